# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants come, change and go as files, while everybody is served: a drop costs nobody a request."""
import contextlib
import os
import re
import statistics
import threading
import time

import pytest

from edge import SANITIZED, Edge, eventually
from objects import ACME, GLOBEX, documents, grant, ingress, plain_ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod, Pod
from wire import Closed

WEB, OTHER = f"http://web.{ACME}/", f"http://web.{GLOBEX}/"
BROKEN = "kind: Tenant\n  bad: [indent\n"


@pytest.fixture
def pods():
    with EchoPod("one") as one, EchoPod("two") as two:
        yield one, two


class Load:
    """Steady requests for a URL from several threads; `failed` lists every answer that was not 200."""

    def __init__(self, edge, url=OTHER, clients=2):
        self.edge, self.url, self.failed, self.count, self.over = edge, url, [], 0, False
        self.threads = [threading.Thread(target=self.ask, args=(i % 2,)) for i in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over = True
        for thread in self.threads:
            thread.join()
        if kind is None:
            assert self.failed == [] and self.count > 20, (self.count, self.failed[:3])

    def ask(self, keep):
        host = self.url.split("/")[2]
        while not self.over:
            try:
                with self.edge.connect() as wire:
                    for _ in range(50 if keep else 1):
                        wire.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
                        answer = wire.read_response()
                        self.count += 1
                        if answer.status != 200:
                            self.failed.append(answer.start)
                        if self.over:
                            return
            except (OSError, Closed) as error:
                self.failed.append(repr(error))


def who(e, url=WEB):
    answer = e.request(url)
    return answer.get("X-Pod") if answer.status == 200 else answer.status


def state(e, name="acme"):
    shown = e.tenant(name)
    return shown and shown["state"]


# ---- appearing, changing, vanishing ----
def test_a_file_that_appears_is_served_and_one_that_vanishes_is_not(pods, workers):
    with Edge({}, workers) as e:
        assert who(e) == 404
        e.drop("acme.yaml", web_tenant("acme", pods[0]))
        eventually(lambda: who(e) == "one")
        assert state(e) == "ok"
        e.remove("acme.yaml")
        eventually(lambda: who(e) == 404)
        assert e.tenant("acme") is None


def test_a_drop_is_live_within_100_ms(pods, workers):
    took = []
    with Edge({}, workers) as e:
        for i in range(10):
            begin = time.monotonic()
            e.drop("acme.yaml", web_tenant("acme", pods[i % 2]))
            eventually(lambda: who(e) == pods[i % 2].name, every=0.002)
            took.append(time.monotonic() - begin)
    assert statistics.median(took) < (0.5 if SANITIZED else 0.1), took


def test_a_file_that_changes_is_served_as_it_is_now(pods, workers):
    with Edge({"acme.yaml": web_tenant("acme", pods[0])}, workers) as e:
        assert who(e) == "one"
        e.drop("acme.yaml", web_tenant("acme", pods[1]))
        eventually(lambda: who(e) == "two")
        e.drop("acme.yaml", web_tenant("acme", pods[1], host=f"new.{ACME}"))
        eventually(lambda: who(e, f"http://new.{ACME}/") == "two")
        assert who(e) == 404


def test_an_atomic_rename_is_a_drop(pods, workers):
    with Edge({"acme.yaml": web_tenant("acme", pods[0])}, workers) as e:
        e.write(".acme.yaml.part", web_tenant("acme", pods[1]))
        os.rename(e.conf_d / ".acme.yaml.part", e.conf_d / "acme.yaml")
        eventually(lambda: who(e) == "two")
        outside = e.folder / "outside.yaml"
        outside.write_text(web_tenant("acme", pods[0]))
        os.rename(outside, e.conf_d / "acme.yaml")
        eventually(lambda: who(e) == "one")
        os.rename(e.conf_d / "acme.yaml", outside)
        eventually(lambda: who(e) == 404)


def test_a_link_is_a_drop_and_so_is_an_edit_of_the_file_it_leads_to(pods, workers, tmp_path):
    kept = tmp_path / "kept.yaml"
    kept.write_text(web_tenant("acme", pods[0]))
    with Edge({}, workers, jail_read=[str(tmp_path)]) as e:
        (e.conf_d / "acme.yaml").symlink_to(kept)
        eventually(lambda: who(e) == "one")
        kept.write_text(web_tenant("acme", pods[1]))
        eventually(lambda: who(e) == "two")


def test_an_editors_swap_and_backup_files_are_not_tenants(pods, workers):
    with Edge({"acme.yaml": web_tenant("acme", pods[0])}, workers) as e:
        for name in (".acme.yaml.swp", ".acme.yaml.swx", "4913", "acme.yaml~", "#acme.yaml#", ".#acme.yaml"):
            e.write(name, "b0VIM 9.0\x00 not yaml: [")
        os.rename(e.conf_d / "acme.yaml", e.conf_d / "acme.yaml~")  # as vim saves
        e.write("acme.yaml", web_tenant("acme", pods[1]))
        e.remove("acme.yaml~")
        eventually(lambda: who(e) == "two")
        assert [(t["tenant"], t["state"]) for t in e.get("tenants")] == [("acme", "ok")]


def test_a_file_written_in_two_halves_is_never_an_outage(pods, workers):
    with Edge({"acme.yaml": web_tenant("acme", pods[0])}, workers) as e, Load(e, WEB):
        for i in range(6):
            text = web_tenant("acme", pods[i % 2])
            with open(e.conf_d / "acme.yaml", "w") as file:
                file.write(text[:len(text) // 2])
                file.flush()
                time.sleep(0.08)
                file.write(text[len(text) // 2:])
            eventually(lambda: who(e) == pods[i % 2].name)
            eventually(lambda: state(e) == "ok")


def test_a_folder_is_a_tenant_of_all_its_files(pods, workers):
    with Edge({}, workers) as e:
        e.drop("acme/tenant.yaml", documents(grant("acme")))
        e.drop("acme/pods.yml", documents(pod(pods[0], app="web")))
        e.drop("acme/web.yaml", documents(service("web"), plain_ingress(rule(f"web.{ACME}", "web"))))
        eventually(lambda: who(e) == "one")
        (e.conf_d / "acme/pods.yml").unlink()
        eventually(lambda: who(e) == 503)
        e.drop("acme/pods.yml", documents(pod(pods[1], app="web")))
        eventually(lambda: who(e) == "two")
        e.remove("acme")
        eventually(lambda: who(e) == 404)


def test_a_folder_that_is_moved_in_and_out_is_a_drop(pods, workers):
    with Edge({}, workers) as e:
        outside = e.folder / "outside"
        outside.mkdir()
        (outside / "tenant.yaml").write_text(documents(grant("acme")))
        (outside / "rest.yaml").write_text(documents(pod(pods[0], app="web"), service("web"),
                                                     plain_ingress(rule(f"web.{ACME}", "web"))))
        os.rename(outside, e.conf_d / "acme")
        eventually(lambda: who(e) == "one")
        os.rename(e.conf_d / "acme", outside)
        eventually(lambda: who(e) == 404)


def test_a_grant_counts_in_a_folders_tenant_yaml_only(pods, workers):
    with Edge({}, workers) as e:
        e.drop("acme/mine.yaml", documents(grant("acme"), pod(pods[0], app="web"), service("web"),
                                           plain_ingress(rule(f"web.{ACME}", "web"))))
        eventually(lambda: e.tenant("acme"))
        assert who(e) == 404


def test_file_and_folder_of_one_name_change_neither(pods, workers):
    with Edge({"acme.yaml": web_tenant("acme", pods[0])}, workers) as e:
        e.drop("acme/tenant.yaml", documents(grant("acme")))
        eventually(lambda: (e.tenant("acme")["error"] or "") != "")
        assert "acme/" in e.tenant("acme")["error"]
        assert who(e) == "one"
        e.remove("acme")
        eventually(lambda: state(e) == "ok")
        assert who(e) == "one"


def test_reload_looks_again_at_everything(pods, workers):
    with Edge({"acme.yaml": web_tenant("acme", pods[0])}, workers) as e:
        done = e.run("reload")
        assert done.returncode == 0, done.stderr
        assert who(e) == "one"
        e.process.send_signal(1)  # SIGHUP is reload
        time.sleep(0.2)
        assert who(e) == "one"


# ---- broken drops ----
@pytest.mark.parametrize("broken", [
    BROKEN, "- just\n- a list\n", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 99999}]}\n",
    "%\x01", "a: &a [*a, *a]\n", "kind: Tenant\nmetadata: {name: acme}\nspec: {rawPorts: many}\n",
])
def test_a_broken_file_keeps_the_last_good_state_also_over_a_restart(pods, workers, broken):
    with Edge({"acme.yaml": web_tenant("acme", pods[0]), "globex.yaml": web_tenant("globex", pods[1])}, workers) as e:
        e.drop("acme.yaml", broken)
        eventually(lambda: state(e) == "stale")
        assert re.search(r"acme\.yaml:\d+:\d+: ", e.tenant("acme")["error"])
        assert who(e) == "one"
        assert state(e, "globex") == "ok" and who(e, OTHER) == "two"
        e.restart()
        assert state(e) == "stale"
        assert who(e) == "one"
        e.drop("acme.yaml", web_tenant("acme", pods[1]))
        eventually(lambda: who(e) == "two")
        assert state(e) == "ok" and not e.tenant("acme")["error"]


def test_a_file_that_was_never_good_is_an_error_and_nobody_elses(pods, workers):
    with Edge({"acme.yaml": BROKEN, "globex.yaml": web_tenant("globex", pods[1])}, workers) as e:
        assert state(e) == "error"
        assert who(e) == 404 and who(e, OTHER) == "two"
        e.remove("acme.yaml")
        eventually(lambda: e.tenant("acme") is None)


def test_an_unquoted_wildcard_is_explained(pods, workers):
    text = web_tenant("acme", pods[0]) + "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: w}\n" \
        "spec:\n  tls:\n    - hosts:\n      - *.example.com\n"
    with Edge({}, workers) as e:
        e.drop("acme.yaml", text)
        eventually(lambda: e.tenant("acme"))
        line = 1 + text.splitlines().index("      - *.example.com")
        error = e.tenant("acme")["error"]
        assert f"acme.yaml:{line}:" in error and '"*.example.com"' in error


def test_a_yaml_bomb_is_refused_in_no_time_and_memory(pods, workers):
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
    with Edge({"globex.yaml": web_tenant("globex", pods[1])}, workers) as e:
        before = e.memory()
        for text in (bomb, "[" * 100_000, "a: " + "x" * (5 << 20), "{a: " * 5000):
            e.drop("acme.yaml", text)
            begin = time.monotonic()
            eventually(lambda: state(e) == "error")
            assert time.monotonic() - begin < 3
            assert who(e, OTHER) == "two"
            e.remove("acme.yaml")
            eventually(lambda: e.tenant("acme") is None)
        assert e.memory() - before < (512 << 20 if SANITIZED else 64 << 20)


# ---- nobody notices ----
def test_no_request_of_anyone_fails_while_tenants_come_change_break_and_go(pods, workers):
    with Edge({"globex.yaml": web_tenant("globex", pods[1])}, workers) as e, Load(e):
        for i in range(12):
            e.drop("acme.yaml", (web_tenant("acme", pods[0]), BROKEN, web_tenant("acme", pods[1]))[i % 3])
            e.drop("globex.yaml", web_tenant("globex", pods[1], host=(f"web.{GLOBEX}")) + f"# {i}\n")
            time.sleep(0.1)
            if i % 4 == 3:
                e.remove("acme.yaml")
        e.drop("acme.yaml", web_tenant("acme", pods[0]))
        eventually(lambda: who(e) == "one")


def test_a_running_request_ends_as_it_began_though_its_tenant_is_gone(workers):
    go = threading.Event()

    def slow(wire):
        while wire.read_request():
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            go.wait(10)
            wire.send("half")
    with Pod(slow, "slow") as p, Edge({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        with e.connect() as wire:
            wire.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
            wire.until(b"half")
            e.remove("acme.yaml")
            eventually(lambda: e.tenant("acme") is None)
            go.set()
            assert wire.need(4) == b"half"
            wire.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
            with contextlib.suppress(Closed, OSError):
                assert wire.read_response().status == 404


# ---- who holds a name ----
def test_a_host_of_two_tenants_stays_with_its_holder(pods, workers):
    shop = "shop.example.com"

    def claim(name, server):
        return tenant(name, pod(server, app="web"), service("web"),
                      ingress(rule(shop, "web"), tls=[shop], ssl_redirect="false"), domains=[shop])
    with Edge({"acme.yaml": claim("acme", pods[0])}, workers) as e:
        assert who(e, f"http://{shop}/") == "one"
        e.drop("globex.yaml", claim("globex", pods[1]))
        eventually(lambda: e.tenant("globex"))
        states = {d["tenant"]: d["state"] for d in e.get("domains") if d["domain"] == shop}
        assert states["acme"] == "verified" and states["globex"] == "conflict"
        reason = next(d["reason"] for d in e.get("domains", "-n", "globex") if d["domain"] == shop)
        assert reason and "acme" not in reason
        assert who(e, f"http://{shop}/") == "one"
        e.restart()
        assert who(e, f"http://{shop}/") == "one"


def test_a_custom_domain_without_proof_is_pending_and_does_not_route(pods, workers):
    text = tenant("acme", pod(pods[0], app="web"), service("web"),
                  ingress(rule("web.example.com", "web"), tls=["web.example.com"], ssl_redirect="false"))
    with Edge({"acme.yaml": text}, workers) as e:
        assert who(e, "http://web.example.com/") == 404
        shown = next(d for d in e.get("domains") if d["domain"] == "web.example.com")
        assert shown["state"] == "pending" and shown["tenant"] == "acme" and shown["reason"]


def test_a_vouched_domain_routes_once_it_is_bound(pods, workers):
    def acme(tls):
        return tenant("acme", pod(pods[0], app="web"), service("web"),
                      ingress(rule("shop.example.com", "web"), tls=tls, ssl_redirect="false"),
                      domains=["shop.example.com"])
    with Edge({"acme.yaml": acme([])}, workers) as e:
        assert who(e, "http://shop.example.com/") == 404
        e.drop("acme.yaml", acme(["shop.example.com"]))
        eventually(lambda: who(e, "http://shop.example.com/") == "one")


def test_a_tenant_can_not_take_a_name_in_anothers_domain(pods, workers):
    thief = tenant("globex", pod(pods[1], app="web"), service("web"),
                   ingress(rule(f"web.{ACME}", "web"), tls=[f"web.{ACME}"], ssl_redirect="false"))
    with Edge({"acme.yaml": web_tenant("acme", pods[0]), "globex.yaml": thief}, workers) as e:
        assert who(e) == "one"
        e.remove("acme.yaml")
        eventually(lambda: who(e) == 404)


# ---- labels ----
def test_labels_of_pods_and_compose_services_are_routes(workers, authority):
    with EchoPod("web") as a, EchoPod("labelled", port=8080) as b:
        labelled = pod(a)
        labelled["metadata"]["labels"]["kr.ingress.5678"] = "http://pod.*"
        compose = {"services": {"nginx": {"image": "nginx", "networks": {"n": {"ipv4_address": b.address}},
                                          "labels": ["kr.ingress.8080=https://nginx.*", "other=1"]}}}
        with Edge({"acme/tenant.yaml": documents(grant("acme")), "acme/pod.yaml": documents(labelled),
                   "acme/docker-compose.yaml": documents(compose)}, workers, authority,
                  certificates=[(f"*.{ACME}",)]) as e:
            assert who(e, f"http://pod.{ACME}/") == "web"
            assert who(e, f"http://nginx.{ACME}/") == 308
            assert who(e, f"https://nginx.{ACME}/") == "labelled"
            routes = {(r["host"], r["service"]) for r in e.get("routes")}
            assert (f"nginx.{ACME}", "nginx") in routes
