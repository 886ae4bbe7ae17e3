# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers by label: what runs in an engine becomes routes, and what ends takes them along. The engine is engine.py, and podman where
it works."""
import contextlib
import json

from edge import Edge, eventually
from engine import Engine
from objects import ACME, GLOBEX, documents, grant, tenant
from pod import EchoPod, TcpEchoPod

SOON = 1.0  # seconds from an event to the route
WEB = {"kr.ingress.5678": "http://web.*"}


def compose(project, service, labels):
    return {"com.docker.compose.project": project, "com.docker.compose.service": service, **labels}


@contextlib.contextmanager
def docked(tmp_path, conf_d=None, workers=1, entry=None, engine=None, **options):
    """(edge, engine): acme has all of it, unless `entry` says otherwise."""
    path = tmp_path / "docker.sock"
    with engine or Engine(path) as d:
        section = [{"socket": str(path), **(entry or {"tenant": "acme"})}]
        with Edge(conf_d or {"acme.yaml": tenant("acme")}, workers, modules=["sni", "http", "tcp", "docker"], docker=section,
                  **options) as e:
            yield e, d


def answers(e, pod, host=f"web.{ACME}"):
    answer = e.request(f"http://{host}/")
    return answer.status == 200 and json.loads(answer.text)["pod"] == pod


def status(e, host=f"web.{ACME}"):
    return e.request(f"http://{host}/").status


def reasons(e, tenant_name="acme"):
    return {(row["object"], row["reason"]) for row in e.get("events", "-n", tenant_name)}


# ---- the life of a container ----
def test_a_container_has_its_route_while_it_runs(tmp_path):
    with EchoPod("one") as p, docked(tmp_path) as (e, d):
        assert status(e) == 404
        d.start("web-1", WEB, {"bridge": p.address})
        eventually(lambda: answers(e, "one"), SOON)
        row = next(r for r in e.get("routes") if r["host"] == f"web.{ACME}")
        assert (row["tenant"], row["service"], row["port"], row["scheme"]) == ("acme", "web-1", 5678, "http")
        d.stop("web-1")
        eventually(lambda: status(e) == 404, SOON)


def test_what_runs_already_is_live_before_the_first_connection(tmp_path):
    with EchoPod("one") as p, Engine(tmp_path / "docker.sock") as d:
        d.start("web-1", WEB, {"bridge": p.address})
        with docked(tmp_path, engine=contextlib.nullcontext(d)) as (e, _):
            assert answers(e, "one")


def test_replicas_of_a_service_are_one_backend_set_and_one_raw_port(tmp_path):
    with EchoPod("one") as p, EchoPod("two") as q, TcpEchoPod("db") as db, docked(tmp_path) as (e, d):
        for i, pod in enumerate((p, q)):
            d.start(f"shop-web-{i}", compose("shop", "web", WEB), {"shop_default": pod.address})
            d.start(f"stack_db.{i}.x", {"com.docker.swarm.service.name": "stack_db", "kr.ingress.5678": "tcp://"}, {"o": db.address})
        d.start("blog-db-1", compose("blog", "db", {"kr.ingress.5678": "tcp://"}), {"blog": db.address})
        eventually(lambda: len(e.get("ports")) == 2)
        assert {(r["service"], r["containerPort"]) for r in e.get("ports")} == {("stack_db", 5678), ("blog/db", 5678)}
        rows = [r for r in e.get("backends") if r["service"] == "shop/web"]
        assert sorted(r["address"] for r in rows) == sorted(f"{pod.address}:5678" for pod in (p, q))
        assert {json.loads(e.request(f"http://web.{ACME}/").text)["pod"] for _ in range(40)} == {"one", "two"}
        number = e.raw_port("acme", "blog/db")
        d.stop("blog-db-1")
        eventually(lambda: len(e.get("ports")) == 1, SOON)
        d.start("blog-db-2", compose("blog", "db", {"kr.ingress.5678": "tcp://"}), {"blog": db.address})
        eventually(lambda: len(e.get("ports")) == 2, SOON)
        assert e.raw_port("acme", "blog/db") == number


def test_a_container_is_ready_when_its_health_check_says_so(tmp_path):
    with EchoPod("one") as p, docked(tmp_path) as (e, d):
        d.start("web-1", WEB, {"bridge": p.address}, health="starting")
        eventually(lambda: status(e) == 503, SOON)
        row = next(r for r in e.get("backends") if r["service"] == "web-1")
        assert row["state"] == "notReady" and "health check" in row["reason"], row
        d.change("web-1", "health_status: healthy", health="healthy")
        eventually(lambda: answers(e, "one"), SOON)
        d.change("web-1", "health_status: unhealthy", health="unhealthy")
        eventually(lambda: status(e) == 503, SOON)
        d.change("web-1", "health_status: healthy", health="healthy")
        eventually(lambda: answers(e, "one"), SOON)
        d.change("web-1", "pause", status="paused")
        eventually(lambda: status(e) == 503, SOON)


def test_a_bad_label_is_an_event_of_that_container_alone(tmp_path):
    with EchoPod("one") as p, docked(tmp_path) as (e, d):
        d.start("good", WEB, {"bridge": p.address})
        d.start("bad", {"kr.ingress.5678": "gopher://x.*", "kr.ingress.nine": "tcp://"}, {"bridge": p.address})
        d.start("taken", {"kr.ingress.5678": f"http://web.{GLOBEX}"}, {"bridge": p.address})
        eventually(lambda: answers(e, "one"), SOON)
        eventually(lambda: ("Container/bad", "BadLabel") in reasons(e))
        assert e.tenant("acme")["state"] == "ok"
        assert [r["host"] for r in e.get("routes") if r["service"] == "bad"] == []


# ---- whose a container is ----
def test_containers_are_the_tenants_by_whose_network_they_are_on(tmp_path):
    nets = {"networks": {"acme-net": "acme", "globex-net": "globex", "host": "acme"}}
    with EchoPod("a") as a, EchoPod("g") as g, EchoPod("h", address="127.0.0.1", port=15678) as h, \
            docked(tmp_path, {n + ".yaml": tenant(n) for n in ("acme", "globex")}, entry=nets) as (e, d):
        d.start("a", WEB, {"aaa-other": g.address, "acme-net": a.address})
        d.start("g", {**WEB, "ringress.tenant": "acme"}, {"globex-net": g.address})
        d.start("h", {f"kr.ingress.{h.port}": "http://host.*"}, mode="host")
        d.start("both", {"kr.ingress.5678": "http://both.*"}, {"acme-net": a.address, "globex-net": g.address})
        d.start("none", {"kr.ingress.5678": "http://none.*"}, {"elsewhere": a.address})
        eventually(lambda: answers(e, "a") and answers(e, "g", f"web.{GLOBEX}") and answers(e, "h", f"host.{ACME}"))
        assert {status(e, f"{n}.{t}") for n in ("both", "none") for t in (ACME, GLOBEX)} == {404}
        eventually(lambda: ("Container/both", "SeveralTenants") in reasons(e) & reasons(e, "globex"))


def test_the_address_that_is_used_is_the_one_inside_the_tenants_network(tmp_path):
    with EchoPod("one") as p, docked(tmp_path, {"acme.yaml": documents(grant("acme", network={"allow": ["127.0.0.0/8"]}))}) as (e, d):
        d.start("web", WEB, {"a-public": "192.0.2.1", "private": p.address})
        eventually(lambda: answers(e, "one"), SOON)
        d.start("side", {"kr.ingress.5678": "http://side.*"}, mode=f"container:{d.find('web').id}")
        eventually(lambda: answers(e, "one", f"side.{ACME}"), SOON)
        d.start("out", {"kr.ingress.5678": "http://out.*"}, {"a-public": "192.0.2.1"})
        eventually(lambda: status(e, f"out.{ACME}") == 503, SOON)


# ---- files beside it ----
def test_files_and_containers_are_merged_and_a_broken_file_does_not_hold_containers(tmp_path):
    file = documents({"services": {"web": {"labels": WEB, "networks": {"n": {"ipv4_address": "127.0.0.1"}}},
                                   "late": {"deploy": {"labels": ["kr.ingress.5678=http://late.*"]}, "networks": {"n": {"ipv4_address": "127.9.9.9"}}}}})
    with EchoPod("one") as p, docked(tmp_path, {"acme/tenant.yaml": documents(grant("acme")), "acme/docker-compose.yaml": file}) as (e, d):
        d.start("shop-web-1", compose("shop", "web", WEB), {"n": p.address})
        eventually(lambda: {r["address"] for r in e.get("backends") if r["service"] == "web"} == {f"{p.address}:5678", "127.0.0.1:5678"})
        e.drop("acme/web.yaml", "kind: [")
        eventually(lambda: e.tenant("acme")["state"] == "stale")
        d.start("other", {"kr.ingress.5678": "http://other.*"}, {"n": p.address})
        eventually(lambda: answers(e, "one", f"other.{ACME}"), SOON)
        e.remove("acme")
        eventually(lambda: status(e) == 404)
        e.drop("acme.yaml", tenant("acme"))
        eventually(lambda: answers(e, "one", f"other.{ACME}"))


# ---- engines that go, lie, or drown one ----
def test_an_engine_that_is_gone_leaves_what_was_known_and_is_asked_anew_when_it_is_back(tmp_path):
    with EchoPod("one") as p, EchoPod("two") as q, docked(tmp_path, entry={"tenant": "acme", "keep": "1500ms"}) as (e, d):
        d.start("web-1", WEB, {"bridge": p.address})
        eventually(lambda: answers(e, "one"), SOON)
        d.hang_up()  # its events end, nothing else does
        d.start("two", {"kr.ingress.5678": "http://two.*"}, {"bridge": q.address}, silent=True)
        eventually(lambda: answers(e, "two", f"two.{ACME}"))
        d.down()
        d.stop("two", silent=True)
        d.start("three", {"kr.ingress.5678": "http://three.*"}, {"bridge": q.address}, silent=True)
        eventually(lambda: any(reason == "EngineGone" for _, reason in reasons(e)))
        assert answers(e, "one") and answers(e, "two", f"two.{ACME}")
        eventually(lambda: status(e) == 503)  # `keep` is over
        d.up()
        eventually(lambda: answers(e, "one") and answers(e, "two", f"three.{ACME}") and status(e, f"two.{ACME}") == 404)
        eventually(lambda: any(reason == "EngineBack" for _, reason in reasons(e)))


def test_garbage_and_floods_change_nothing_and_are_got_over(tmp_path):
    with EchoPod("one") as p, docked(tmp_path) as (e, d):
        d.start("web-1", WEB, {"bridge": p.address})
        eventually(lambda: answers(e, "one"), SOON)
        before = e.memory()
        d.say(b"\0\xff not json\n{}\n[1,2\n" + b"x" * 300_000 + b"\n")
        d.say(b'{"Type":"container","Action":"start","Actor":{"ID":"../../etc/passwd"}}\n')
        for i in range(3000):
            d.say(json.dumps({"Type": "container", "Action": "start", "Actor": {"ID": f"{i:064x}"}}).encode() + b"\n")
        odd = [(200, b"[" * 100_000), (200, b"[" + b"0," * 6_000_000 + b"0]"), (200, b"A" * (17 << 20)), (500, b"{}")]
        told = iter(odd)
        d.answer = lambda path: next(told, (200, b"{}")) if path == "/containers/json" else None
        d.hang_up()
        eventually(lambda: next(told, None) is None)
        assert answers(e, "one")
        row = b'{"Id":"' + b"a" * 64 + b'","Labels":{"kr.ingress.80":null},"NetworkSettings":3}'
        d.answer = lambda path: (200, b'[{"Id":7,"Labels":[]},null,' + row + b"]") if path == "/containers/json" else None
        eventually(lambda: status(e) == 404)  # that is a list, and web-1 is not on it
        d.answer = None
        d.hang_up()
        eventually(lambda: answers(e, "one"))
        assert e.memory() < before + (200 << 20)


def test_an_engine_that_hangs_or_is_not_there_keeps_nobody_from_starting(tmp_path):
    with docked(tmp_path) as (e, d):
        d.late_events = 30  # it never agrees to tell events: then it is listed
        d.hang_up()
        with EchoPod("one") as p:
            d.start("web-1", WEB, {"bridge": p.address}, silent=True)
            eventually(lambda: answers(e, "one"))
            d.down()
            e.restart()
            assert status(e) == 404 and any(reason == "EngineGone" for _, reason in reasons(e))
