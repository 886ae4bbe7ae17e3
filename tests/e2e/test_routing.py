# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pod answers a request, what it is told, and what a client gets when none can."""
import contextlib
import json
import re
import time

import pytest

from edge import Edge
from objects import ACME, GLOBEX, ingress, plain_ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod, Pod, answering

WEB = f"http://web.{ACME}"
OTHER = f"http://other.{GLOBEX}"


@pytest.fixture(scope="module")
def e(workers, authority):
    """Two tenants with rules of every sort."""
    with contextlib.ExitStack() as stack:
        names = ("web", "api", "deep", "exact", "dir", "wild", "star", "other", "any", "late")
        p = {n: stack.enter_context(EchoPod(n)) for n in names}
        gone = stack.enter_context(EchoPod("gone"))
        gone.stop()
        silent = stack.enter_context(Pod(lambda wire: wire.read_request() and time.sleep(5), "silent"))
        rude = stack.enter_context(Pod(lambda wire: wire.read_request() and None, "rude"))
        garbage = stack.enter_context(Pod(answering(b"SSH-2.0-OpenSSH\r\n\r\n", then_close=True), "garbage"))
        acme = tenant(
            "acme", *(pod(s) for s in (*p.values(), gone, silent, rude, garbage) if s.name != "late"),
            pod(p["late"], ready=False),
            *(service(n) for n in (*names, "gone", "silent", "rude", "garbage")),
            plain_ingress(
                rule(f"web.{ACME}", ("/", "web"), ("/api", "api"), ("/api/v1/deep", "deep"),
                     ("/api/exact", "exact", "Exact"), ("/dir/", "dir"), ("/gone", "gone"), ("/silent", "silent"),
                     ("/rude", "rude"), ("/garbage", "garbage"), ("/late", "late"), ("/missing", "missing")),
                rule(f"only.{ACME}", ("/only", "web")),
                rule(f"*.wild.{ACME}", "wild"),
                rule(f"star.wild.{ACME}", "star")),
            ingress(rule(f"safe.{ACME}", "web"), name="safe", tls=[f"safe.{ACME}"]))
        globex = tenant("globex", pod(p["other"]), pod(p["any"]), service("other"), service("any"),
                        plain_ingress(rule(f"other.{GLOBEX}", ("/here", "other")), fallback="any"))
        yield stack.enter_context(Edge(
            {"acme.yaml": acme, "globex.yaml": globex}, workers, authority,
            certificates=[(f"*.{ACME}", ACME), (f"*.{GLOBEX}", GLOBEX)],
            timeouts={"response": "400ms", "connect": "400ms"}))


def who(e, url, **options):
    return e.echo(url, **options)["pod"]


# ---- paths ----
def test_the_longest_prefix_wins(e):
    assert who(e, f"{WEB}/") == "web"
    assert who(e, f"{WEB}/api/v1") == "api"
    assert who(e, f"{WEB}/api/v1/deep") == "deep"
    assert who(e, f"{WEB}/api/v1/deep/er") == "deep"


def test_a_prefix_matches_by_path_element(e):
    assert who(e, f"{WEB}/api") == "api"
    assert who(e, f"{WEB}/api/") == "api"
    assert who(e, f"{WEB}/api?x=/deep") == "api"
    assert who(e, f"{WEB}/apiary") == "web"


def test_a_prefix_written_with_a_slash_matches_without_it_too(e):
    assert who(e, f"{WEB}/dir") == "dir"
    assert who(e, f"{WEB}/dir/x") == "dir"
    assert who(e, f"{WEB}/directory") == "web"


def test_exact_comes_before_prefix_and_means_it(e):
    assert who(e, f"{WEB}/api/exact") == "exact"
    assert who(e, f"{WEB}/api/exact?q=1") == "exact"
    assert who(e, f"{WEB}/api/exact/") == "api"
    assert who(e, f"{WEB}/api/exactly") == "api"


def test_a_path_is_case_sensitive(e):
    assert who(e, f"{WEB}/API") == "web"


def test_the_path_and_query_are_passed_on_unchanged(e):
    assert e.echo(f"{WEB}/api/a%20b/%E2%82%AC?x=1&y=%2F")["target"] == "/api/a%20b/%E2%82%AC?x=1&y=%2F"


# ---- hosts ----
def test_a_wildcard_covers_one_label(e):
    assert who(e, f"http://a.wild.{ACME}/") == "wild"
    assert e.status(f"http://a.b.wild.{ACME}/") == 404
    assert e.status(f"http://wild.{ACME}/") == 404


def test_an_exact_host_comes_before_a_wildcard(e):
    assert who(e, f"http://star.wild.{ACME}/") == "star"


@pytest.mark.parametrize("host", [f"WEB.{ACME}", f"web.{ACME}:8080", f"web.{ACME}."])
def test_a_host_is_compared_without_case_port_and_final_dot(e, host):
    assert who(e, WEB, host=host) == "web"


@pytest.mark.parametrize("host", ["nobody.example.org", "127.0.0.1", f"x{ACME}", "web.1d.pt", f"nothing.{ACME}"])
def test_a_host_nobody_has_a_rule_for_is_404(e, host):
    assert e.status(WEB, host=host) == 404


def test_a_path_no_rule_is_for_is_404(e):
    assert e.status(f"http://only.{ACME}/") == 404
    assert who(e, f"http://only.{ACME}/only/this") == "web"


def test_a_default_backend_answers_for_the_tenants_own_names_only(e):
    assert who(e, f"{OTHER}/here") == "other"
    assert who(e, f"{OTHER}/elsewhere") == "any"
    assert who(e, f"http://whatever.{GLOBEX}/") == "any"
    assert e.status("http://nobody.example.org/") == 404


def test_the_requests_of_one_connection_may_be_for_different_tenants_on_plain_http(e):
    with e.connect() as wire:
        for host, path, name in ((f"web.{ACME}", "/", "web"), (f"other.{GLOBEX}", "/here", "other")) * 2:
            wire.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
            assert wire.read_response().get("X-Pod") == name


# ---- TLS and plain HTTP ----
def test_a_host_under_tls_redirects_plain_http_with_308(e):
    answer = e.request(f"http://safe.{ACME}/a/b?c=d", method="POST", body=b"kept")
    assert answer.status == 308
    assert re.fullmatch(rf"https://safe\.{re.escape(ACME)}(:\d+)?/a/b\?c=d", answer.get("Location"))
    assert who(e, f"https://safe.{ACME}/") == "web"


def test_every_host_is_served_on_both_listeners(e):
    assert who(e, f"https://web.{ACME}/api") == "api"


def test_the_host_of_another_tenant_inside_a_tls_connection_is_421(e):
    assert e.status(f"https://web.{ACME}/", host=f"other.{GLOBEX}") == 421
    assert who(e, f"https://web.{ACME}/", host=f"safe.{ACME}") == "web"


def test_a_name_of_a_tenant_without_a_rule_is_404_inside_its_certificate(e):
    assert e.status(f"https://nothing.{ACME}/") == 404


# ---- when no pod can answer ----
def test_no_ready_pod_is_503_with_retry_after(e):
    answer = e.request(f"{WEB}/late")
    assert answer.status == 503
    assert int(answer.get("Retry-After")) > 0


def test_a_service_that_is_missing_is_503(e):
    assert e.status(f"{WEB}/missing") == 503


def test_a_pod_that_refuses_is_502(e):
    assert e.status(f"{WEB}/gone") == 502


def test_a_pod_that_ends_without_an_answer_is_502(e):
    assert e.status(f"{WEB}/rude") == 502


def test_a_pod_that_speaks_no_http_is_502(e):
    assert e.status(f"{WEB}/garbage") == 502


def test_a_pod_that_is_too_slow_is_504(e):
    begin = time.monotonic()
    assert e.status(f"{WEB}/silent") == 504
    assert 0.3 < time.monotonic() - begin < 3


def test_an_answer_made_by_the_edge_keeps_the_connection_usable(e):
    with e.connect() as wire:
        for path, status in (("/late", 503), ("/", 200), ("/gone", 502), ("/", 200)):
            wire.send(f"GET {path} HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
            assert wire.read_response().status == status


# ---- what a pod is told ----
def told(e, url, **options):
    """Field name in lower case -> values."""
    fields = {}
    for name, value in e.echo(url, **options)["headers"]:
        fields.setdefault(name.lower(), []).append(value)
    return fields


def test_a_pod_is_told_who_asks_how_and_for_what(e):
    fields = told(e, f"{WEB}/")
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["http"]
    assert fields["x-forwarded-host"] == [f"web.{ACME}"]
    assert fields["host"] == [f"web.{ACME}"]
    assert told(e, f"https://web.{ACME}/")["x-forwarded-proto"] == ["https"]


def test_what_a_client_says_about_forwarding_is_not_believed(e):
    lies = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "bank.example",
            "X-Real-IP": "192.0.2.1"}
    fields = told(e, f"{WEB}/", headers=lies)
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["http"]
    assert fields["x-forwarded-host"] == [f"web.{ACME}"]


def test_every_request_has_an_id_of_its_own(e):
    ids = {told(e, f"{WEB}/")["x-request-id"][0] for _ in range(5)}
    assert len(ids) == 5
    assert all(len(i) >= 16 for i in ids)


def test_hop_by_hop_fields_end_at_the_edge(e):
    with e.connect() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nX-Kept: 2\r\n"
                  "Keep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: keep-alive\r\nUpgrade: foo\r\n\r\n")
        body = wire.read_response().text
    fields = {n.lower() for n, _ in json.loads(body)["headers"]}
    assert "x-kept" in fields
    assert not fields & {"x-mine", "keep-alive", "proxy-connection", "upgrade"}


def test_repeated_fields_arrive_in_order(e):
    with e.connect() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\nCookie: a=1\r\nX-Y: 1\r\nCookie: b=2\r\nX-Y: 2\r\n\r\n")
        fields = json.loads(wire.read_response().text)["headers"]
    assert [v for n, v in fields if n.lower() == "x-y"] == ["1", "2"]
    assert "; ".join(v for n, v in fields if n.lower() == "cookie") == "a=1; b=2"


# ---- several pods, several proxies ----
def test_requests_are_spread_over_the_ready_pods_of_a_service(workers):
    with EchoPod("one") as one, EchoPod("two") as two, EchoPod("three") as three:
        acme = tenant("acme", pod(one, app="web"), pod(two, app="web"), pod(three, app="web", ready=False),
                      service("web"), plain_ingress(rule(f"web.{ACME}", "web")))
        with Edge({"acme.yaml": acme}, workers) as e:
            names = [who(e, WEB) for _ in range(40)]
        assert set(names) == {"one", "two"}


def test_a_pod_that_refuses_does_not_spoil_a_service_that_has_another(workers):
    with EchoPod("up") as up, EchoPod("down") as down:
        down.stop()
        acme = tenant("acme", pod(up, app="web"), pod(down, app="web"), service("web"),
                      plain_ingress(rule(f"web.{ACME}", "web")))
        with Edge({"acme.yaml": acme}, workers) as e:
            assert {e.status(WEB) for _ in range(20)} == {200}


def test_a_trusted_proxy_is_believed_and_named(workers):
    with EchoPod() as p:
        with Edge({"acme.yaml": web_tenant("acme", p)}, workers, trusted_proxies=["127.0.0.0/8"]) as e:
            fields = told(e, WEB, headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"})
            assert fields["x-forwarded-for"] == ["192.0.2.1, 127.0.0.1"]
            assert fields["x-forwarded-proto"] == ["https"]


def test_a_pod_outside_the_tenants_network_is_never_dialled(workers):
    with EchoPod() as p:
        acme = web_tenant("acme", p, network={"allow": ["10.11.0.0/16"]})
        with Edge({"acme.yaml": acme}, workers) as e:
            assert e.status(WEB) == 503
            assert [b["state"] for b in e.get("backends")] == ["notReady"]
        assert p.accepted == 0


def test_the_edges_own_listeners_are_never_dialled_for_a_tenant(workers):
    class Self:
        name, address = "web", "127.0.0.1"
    with Edge({}, workers) as e:
        for port in (e.http_port, e.admin_port):
            Self.port = port
            e.drop("acme.yaml", web_tenant("acme", Self))
            time.sleep(0.3)
            assert e.status(WEB) in (502, 503)


def test_a_client_that_leaves_does_not_break_the_pods_service(e):
    for _ in range(5):
        with e.connect() as wire:
            wire.send(f"GET /silent HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
            wire.reset()
    assert who(e, f"{WEB}/") == "web"
