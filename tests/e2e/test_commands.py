# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: what people read, what programs read, and the exit codes both rely on."""
import contextlib
import json
import re
import socket
import subprocess
import threading
import time

import pytest

from edge import BINARY, Edge, eventually, ringress
from objects import (ACME, GLOBEX, documents, grant, ingress, node_port, plain_ingress, pod, rule, secret, service,
                     tenant, web_tenant)
from pod import EchoPod, Pod, TcpEchoPod
from wire import Closed

FIELDS = {  # interface.md section 6
    "ports": {"tenant", "service", "containerPort", "publicPort", "state", "reason", "until"},
    "domains": {"domain", "tenant", "ingress", "state", "reason"},
    "routes": {"tenant", "host", "path", "pathType", "service", "port", "scheme", "state"},
    "backends": {"tenant", "service", "address", "state", "connections", "failures"},
    "certificates": {"names", "tenant", "issuer", "notAfter", "source", "state", "nextAction"},
    "tenants": {"tenant", "domain", "state", "error", "connections", "requests"},
    "modules": {"module", "version", "abi", "file"},
}


@pytest.fixture(scope="module")
def e(workers, authority):
    with contextlib.ExitStack() as stack:
        web, api, late = (stack.enter_context(EchoPod(n)) for n in ("web", "api", "late"))
        db = stack.enter_context(TcpEchoPod("db"))
        acme = tenant(
            "acme", pod(web), pod(api), pod(late, ready=False), pod(db), service("web"), service("api"),
            service("late"), node_port("db"), secret("own", *authority.issue(f"own.{ACME}")),
            ingress(rule(f"web.{ACME}", ("/", "web"), ("/api", "api"), ("/only", "web", "Exact"), ("/late", "late"),
                         ("/missing", "missing")),
                    rule("shop.example.com", "web"), rule(f"own.{ACME}", "web"),
                    tls=[f"web.{ACME}", "shop.example.com", "unproved.example.org", ((f"own.{ACME}",), "own")]),
            domains=["shop.example.com"])
        globex = web_tenant("globex", web)
        yield stack.enter_context(Edge(
            {"acme.yaml": acme, "globex.yaml": globex}, workers, authority, certificates=[(f"*.{ACME}",)]))


# ---- get ----
@pytest.mark.parametrize("what", sorted(FIELDS))
def test_get_prints_json_with_the_fields_of_the_contract(e, what):
    rows = e.get(what)
    assert rows
    for row in rows:
        assert FIELDS[what] <= set(row), FIELDS[what] - set(row)


@pytest.mark.parametrize("what", [*sorted(FIELDS), "events"])
def test_get_prints_a_table_for_people(e, what):
    done = e.run("get", what)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines and (lines[0] == lines[0].upper() or what == "events")
    assert e.run("get", what, "-o", "wide").returncode == 0


def test_get_routes_says_where_each_path_goes(e):
    rows = {(r["host"], r["path"]): r for r in e.get("routes") if r["tenant"] == "acme"}
    row = rows[f"web.{ACME}", "/only"]
    assert (row["pathType"], row["service"], row["port"]) == ("Exact", "web", 80)
    assert rows[f"web.{ACME}", "/"]["pathType"] == "Prefix"


def test_get_backends_says_which_pods_are_ready(e):
    states = {b["service"]: b["state"] for b in e.get("backends") if b["tenant"] == "acme"}
    assert states["web"] == "ready" and states["late"] == "notReady"


def test_get_domains_says_what_is_proved(e):
    states = {d["domain"]: d["state"] for d in e.get("domains")}
    assert states["shop.example.com"] == "verified" and states["unproved.example.org"] == "pending"


def test_get_certificates_says_whose_they_are(e):
    sources = {tuple(c["names"]): (c["source"], c["tenant"]) for c in e.get("certificates")}
    assert sources[f"own.{ACME}",] == ("secret", "acme")
    assert sources[f"*.{ACME}",][0] == "operator"


def test_get_of_one_tenant_shows_no_other(e):
    for what in ("routes", "domains", "ports", "backends", "tenants"):
        assert {r["tenant"] for r in e.get(what, "-n", "globex")} <= {"globex"}
    assert {r["tenant"] for r in e.get("routes", "-n", "globex")} == {"globex"}


def test_get_counts_requests(e):
    before = e.tenant("globex")["requests"]
    for _ in range(3):
        assert e.status(f"http://web.{GLOBEX}/") == 200
    eventually(lambda: e.tenant("globex")["requests"] == before + 3)


def test_get_counts_a_backends_failures_and_connections(workers):
    with EchoPod("web") as p, Edge({"globex.yaml": web_tenant("globex", p)}, workers) as e:
        e.status(f"http://web.{GLOBEX}/")
        eventually(lambda: e.get("backends")[0]["connections"] >= 1)
        p.stop()
        e.status(f"http://web.{GLOBEX}/")
        eventually(lambda: e.get("backends")[0]["failures"] >= 1)


# ---- describe ----
def test_describe_ingress_reads_like_kubectl(e):
    done = e.run("describe", "ingress", "default", "-n", "acme")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    for line in (r"Name: +default", r"Labels: +<none>", r"Namespace: +\S+", rf"Address: +{re.escape(ACME)}",
                 r"Default backend:.*", r"TLS:", r"Rules:", r"  Host +Path +Backends", r"  ---- +---- +--------",
                 rf"  web\.{re.escape(ACME)} *", r" +/api +api:80 \(127\.\d+\.\d+\.\d+:5678\)", r"Annotations: .*",
                 r"Events:.*"):
        assert re.search(f"^{line}$", text, re.M), (line, text)


def test_describe_shows_the_default_ingress_nobody_wrote(workers):
    with EchoPod("web") as p, Edge({"acme/tenant.yaml": documents(grant("acme")), "acme/pod.yaml": documents(pod(p))},
                                   workers) as e:
        done = e.run("describe", "ingress", "default", "-n", "acme")
        assert done.returncode == 0 and f"*.{ACME}" in done.stdout


def test_describe_of_what_is_not_there_is_bad_news(e):
    done = e.run("describe", "ingress", "nowhere", "-n", "acme")
    assert done.returncode == 1 and "nowhere" in done.stderr


@pytest.mark.parametrize("words", [("tenant", "acme"), ("domain", "shop.example.com"), ("port", "db:5678")])
def test_describe_knows_tenants_domains_and_ports(e, words):
    done = e.run("describe", *words, "-n", "acme")
    assert done.returncode == 0, done.stderr
    assert words[1].split(":")[0] in done.stdout


def test_describe_domain_tells_a_second_claimant_that_it_is_taken_not_by_whom(workers):
    def claimant(name):
        return tenant(name, plain_ingress(rule("shop.example.com", "web"), tls=["shop.example.com"]),
                      domains=["shop.example.com"])
    with Edge({"acme.yaml": claimant("acme")}, workers) as e:
        e.drop("globex.yaml", claimant("globex"))
        eventually(lambda: e.tenant("globex"))
        told = e.run("describe", "domain", "shop.example.com", "-n", "globex").stdout
        assert "taken" in told and "acme" not in told
        assert e.run("describe", "domain", ACME, "-n", "globex").returncode == 1
        operator = e.run("describe", "domain", "shop.example.com").stdout
        assert "acme" in operator and "globex" in operator


@pytest.mark.parametrize("kind, name", [("tenant", "acme"), ("domain", "shop.example.com"), ("port", "db:5678"),
                                        ("ingress", "default")])
def test_describe_prints_json_for_programs(e, kind, name):
    described = json.loads(e.run("describe", kind, name, "-n", "acme", "-o", "json").stdout)
    assert (described["kind"], described["name"]) == (kind, name)
    assert described["rows"] and all(r["tenant"] == "acme" for r in described["rows"])


# ---- explain ----
def test_explain_names_tenant_rule_service_and_pod(e):
    done = e.explain(f"https://web.{ACME}/api/v1?x=1")
    assert done.returncode == 0, done.stderr
    for word in ("acme", "/api", "api", ":5678"):
        assert word in done.stdout


@pytest.mark.parametrize("url, word", [
    ("https://nobody.example.com/", "nobody.example.com"), ("https://unproved.example.org/", "pending"),
    (f"https://web.{ACME}/late", "late"), (f"https://web.{ACME}/missing", "missing"),
    (f"https://nothing.{ACME}/", f"nothing.{ACME}"),
])
def test_explain_says_why_nobody_answers(e, url, word):
    done = e.explain(url)
    assert done.returncode == 1
    assert word in done.stdout + done.stderr


def test_explain_and_the_edge_agree(e):
    for path in ("/", "/api", "/apiary", "/only", "/only/", "/late"):
        served = e.request(f"https://web.{ACME}{path}")
        done = e.explain(f"https://web.{ACME}{path}")
        assert (done.returncode == 0) == (served.status == 200), (path, served.start, done.stdout)


def test_explain_knows_that_a_name_without_a_certificate_fails_in_its_handshake(e):
    done = e.explain(f"https://web.{GLOBEX}/")
    assert done.returncode == 1 and "handshake" in done.stdout
    assert e.explain(f"http://web.{GLOBEX}/").returncode == 0


def test_explain_tells_of_the_redirect(e):
    assert "308" in e.explain(f"http://web.{ACME}/").stdout


def test_what_can_not_be_written_is_bad_news(e):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, "get", "tenants", "-c", e.yaml], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"No space left" in done.stderr


# ---- check ----
@pytest.fixture
def folder():
    """An edge that is not running."""
    edge = Edge({})
    yield edge
    edge.end(failed=False)


def test_check_is_content_with_what_is_good(folder):
    folder.write("acme/tenant.yaml", documents(grant("acme")))
    done = folder.run("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not folder.state.exists()


def test_check_shows_every_error_of_every_file_at_once_with_its_place(folder):
    folder.write("acme.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 99999\n"
                              "---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: many}\n")
    folder.write("globex/one.yaml", "a: [\n")
    folder.write("globex/two.yaml", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\n"
                                    "spec: {rules: [{http: {paths: [{path: nope, pathType: Odd}]}}]}\n")
    done = folder.run("check")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    for place in (r"acme\.yaml:6:\d+: ", r"acme\.yaml:11:\d+: ", r"globex/one\.yaml:\d+:\d+: ",
                  r"globex/two\.yaml:4:\d+: "):
        assert re.search(place, said), (place, said)


def test_check_of_one_tenant_looks_at_no_other(folder):
    folder.write("acme.yaml", documents(grant("acme")))
    folder.write("globex.yaml", "a: [\n")
    assert folder.run("check", "acme").returncode == 0
    assert folder.run("check", "globex").returncode == 1


def test_check_warns_of_unknown_fields_and_of_no_network(folder):
    service_x = {**service("x"), "colour": "red"}
    folder.write("acme.yaml", documents({**grant("acme"), "spec": {"domain": ACME}}, service_x))
    done = folder.run("check")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "colour" in said and "warning" in said
    assert "network" in said


def test_check_warns_of_labels_that_route_nothing(folder):
    folder.write("acme/tenant.yaml", documents(grant("acme")))
    folder.write("acme/compose.yaml", "services:\n  web:\n    labels:\n      kr.ingress.80: https//web.*\n")
    folder.write("acme/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  labels:\n"
                                  "    kr.ingress.99999: https://web.*\nspec: {}\n")
    done = folder.run("check")
    assert done.returncode == 0 and "2 warnings" in done.stdout, done.stdout
    assert re.search(r"compose\.yaml:4:22: warning: kr\.ingress\.80=https//web\.\*: ", done.stdout), done.stdout
    assert re.search(r"pod\.yaml:6:23: warning: .*1 to 65535", done.stdout), done.stdout


def test_check_prints_json_for_programs(folder):
    folder.write("acme.yaml", "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: acme}\nspec: {domain: 5}\nx: 1\n")
    done = folder.run("check", "-o", "json")
    rows = json.loads(done.stdout)
    assert done.returncode == 1 and {r["level"] for r in rows} == {"error", "warning"}
    assert all(r["file"].endswith("acme.yaml") and r["line"] and r["column"] and r["message"] for r in rows)


def test_check_finds_mistakes_of_the_operator(folder):
    folder.content["listne"] = {}
    folder.content["timeouts"] = {"header": "soon"}
    folder.write_yaml(folder.content)
    done = folder.run("check")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert re.search(r"edge\.yaml:\d+:\d+: .*listne", said) and re.search(r"edge\.yaml:\d+:\d+: .*header", said)


def test_check_is_the_same_beside_a_running_edge(e):
    assert e.run("check").returncode == 0


# ---- version, usage, no edge ----
def test_version_names_itself_its_libraries_and_the_abi():
    done = ringress("version")
    assert done.returncode == 0
    for word in ("ringress", "wolfSSL", "liburing", "io_uring", "ABI"):
        assert word.lower() in done.stdout.lower(), done.stdout


@pytest.mark.parametrize("words", [(), ("dance",), ("get",), ("get", "nothing"), ("explain",), ("run", "--fast"),
                                   ("describe", "ingress"), ("get", "routes", "-o", "xml")])
def test_what_is_not_understood_is_usage_and_2(words):
    done = ringress(*words)
    assert done.returncode == 2
    assert "usage" in done.stderr.lower() or "ringress" in done.stderr.lower()


@pytest.mark.parametrize("words", [("get", "tenants"), ("describe", "ingress", "x", "-n", "y"), ("explain", "http://x/"),
                                   ("reload",), ("drain",)])
def test_no_running_edge_is_3(folder, words):
    done = folder.run(*words)
    assert done.returncode == 3
    assert "admin.sock" in done.stderr


def test_the_socket_may_be_named_instead(e):
    for words in (("--socket", e.folder / "admin.sock", "get", "tenants", "-o", "json"),
                  ("get", "tenants", "-o", "json", "--socket", e.folder / "admin.sock")):
        done = ringress(*words)
        assert done.returncode == 0 and json.loads(done.stdout), done.stderr


def test_the_admin_socket_is_its_owners(e):
    assert (e.folder / "admin.sock").stat().st_mode & 0o777 == 0o600


def metrics(e):
    with e.connect(e.admin_port) as wire:
        wire.send("GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
        return wire.read_response().text


def test_metrics_and_health_are_read_over_http(e):
    e.status(f"http://web.{GLOBEX}/")
    samples = [line for line in metrics(e).splitlines() if line and not line.startswith("#")]
    assert samples and all(s.startswith("ringress_") for s in samples)
    eventually(lambda: re.search(r'ringress_\w*requests\w*\{[^}]*tenant="globex"[^}]*\} [1-9]', metrics(e)))
    for path in ("/healthz", "/readyz"):
        with e.connect(e.admin_port) as wire:
            wire.send(f"GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
            assert wire.read_response().status == 200


# ---- the end ----
def draining_edge(workers, go, **sections):
    def slow(wire):
        while wire.read_request():
            go.wait(15)
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
    return Pod(slow, "web"), lambda p: Edge({"acme.yaml": web_tenant("acme", p)}, workers, **sections)


@pytest.mark.parametrize("how", ["drain", "SIGTERM", "SIGINT"])
def test_a_drain_finishes_what_runs_refuses_what_is_new_and_exits_0(workers, how):
    go = threading.Event()
    p, make = draining_edge(workers, go)
    with p, make(p) as e, e.connect() as wire, e.connect() as idle:
        wire.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
        eventually(lambda: p.wires and e.tenant("acme")["connections"])
        if how == "drain":
            command = threading.Thread(target=e.run, args=("drain",))
            command.start()
        else:
            e.process.send_signal({"SIGTERM": 15, "SIGINT": 2}[how])

        def refused():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", e.http_port)) != 0
        eventually(refused)
        with contextlib.suppress(ConnectionResetError):
            assert idle.at_end()
        assert e.process.poll() is None
        go.set()
        answer = wire.read_response()
        assert answer.status == 200 and answer.body == b"done"
        assert wire.at_end()
        e.wait_end()
        if how == "drain":
            command.join()


def test_a_drain_does_not_wait_longer_than_its_time(workers):
    go = threading.Event()
    p, make = draining_edge(workers, go, timeouts={"drain": "500ms"})
    with p, make(p) as e, e.connect() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
        eventually(lambda: p.wires and e.tenant("acme")["connections"])
        begin = time.monotonic()
        e.stop()
        assert time.monotonic() - begin < 5
        go.set()


def test_half_a_head_does_not_hold_a_drain(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        with e.connect() as half, e.connect() as silent:
            half.send("GET / HTTP/1.1\r\nHost: ")
            eventually(lambda: sum(map(int, re.findall(r"^ringress_worker_connections\{.*\} (\d+)$", metrics(e), re.M))) == 2)
            time.sleep(0.2)  # until it has read that, too
            begin = time.monotonic()
            e.stop()
            assert time.monotonic() - begin < 15  # of timeouts.drain, 30 s
            assert half.read_response().status == 408 and silent.at_end()


def test_a_second_signal_ends_at_once(workers):
    go = threading.Event()
    p, make = draining_edge(workers, go)
    with p, make(p) as e, e.connect() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
        eventually(lambda: p.wires and e.tenant("acme")["connections"])
        e.process.send_signal(15)
        time.sleep(0.3)
        assert e.process.poll() is None
        begin = time.monotonic()
        e.process.send_signal(15)
        e.process.wait(10)
        assert time.monotonic() - begin < 5
        e.process = None
        go.set()
        with contextlib.suppress(Closed, OSError):
            wire.rest()


def test_a_raw_connection_is_reset_when_the_drain_is_over(workers):
    with TcpEchoPod("p") as p:
        acme = tenant("acme", pod(p), node_port("p"), plain_ingress())
        with Edge({"acme.yaml": acme}, workers, timeouts={"drain": "300ms"}) as e:
            with e.connect(e.raw_port("acme")) as wire:
                wire.send(b"x")
                assert wire.need(1) == b"x"
                e.stop()
                with contextlib.suppress(ConnectionResetError):
                    wire.rest()
