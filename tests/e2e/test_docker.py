# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers by label: what runs in an engine becomes routes, and what ends takes them along. The engine is engine.py, and podman where
it works."""
import contextlib
import json
import os
import re
import socket
import subprocess
import time

from edge import BINARY, COMPLAINT, ROOT, SLOWNESS, Edge, eventually, unhurried
from engine import Engine
from objects import ACME, GLOBEX, documents, grant, tenant
from pod import EchoPod, TcpEchoPod
from podman import DOCKER, Podman
from wire import Closed, Wire

SOON = 1.0 * SLOWNESS  # seconds from an event to the route
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


def has_route(e, host):
    return any(row["host"] == host for row in e.get("routes"))


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
        with docked(tmp_path, engine=contextlib.nullcontext(d)) as (e, _), e.connect(e.admin_port) as wire:
            assert answers(e, "one")
            wire.send("GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
            text = wire.read_response().text
    assert f'ringress_docker_containers{{engine="{d.path}"}} 1\n' in text
    served = set(re.findall(r"^(ringress_docker_\w+){", text, re.M))
    assert served == set(re.findall(r"`(ringress_docker_\w+)", (ROOT / "docs/docker.md").read_text()))


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
        e.restart()
        assert e.raw_port("acme", "blog/db") == number


def test_labels_of_a_swarms_service_are_those_of_its_tasks(tmp_path):
    """As of `docker service create --label`, and `deploy.labels` of a stack: the containers do not have them. A new value needs no new task."""
    task = {"com.docker.swarm.service.id": "s9k2", "com.docker.swarm.service.name": "mystack_web"}
    with EchoPod("one") as p, EchoPod("two") as q, docked(tmp_path) as (e, d):
        d.start("plain", {}, {"bridge": q.address})
        d.service("s9k2", "mystack_web", WEB, "create")
        d.start("mystack_web.1.x", task, {"o": p.address})
        eventually(lambda: answers(e, "one"), SOON)
        d.start("mystack_web.2.y", task, {"o": q.address})
        eventually(lambda: len([b for b in e.get("backends") if b["service"] == "mystack_web"]) == 2, SOON)
        d.service("s9k2", "mystack_web", {"kr.ingress.5678": "http://moved.*"})
        eventually(lambda: has_route(e, f"moved.{ACME}") and not has_route(e, f"web.{ACME}"), 2 * SOON)
        d.stop("mystack_web.1.x")
        eventually(lambda: answers(e, "two", f"moved.{ACME}"), SOON)
        d.hang_up()
        d.start("stranger", {"com.docker.swarm.service.id": "../../x"}, {"o": p.address})
        d.start("unknown", {"com.docker.swarm.service.id": "zzz"}, {"o": p.address})
        d.start("last", WEB, {"o": p.address})
        eventually(lambda: answers(e, "one"))
        assert not [path for _, path in d.asked if path.split("/")[2:3] == ["services"] and ".." in path]


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
        assert next(r["state"] for r in e.get("routes") if r["service"] == "taken") != "ok" and status(e, f"web.{GLOBEX}") == 404


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
    with EchoPod("one") as p, EchoPod("two") as q, docked(tmp_path, entry={"tenant": "acme", "keep": unhurried("1500ms")}) as (e, d):
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
            assert status(e) == 404
            gone, = (row for row in e.get("events") if row["reason"] == "EngineGone")
            assert gone["message"].endswith("No such file or directory"), gone


# ---- docker-proxy ----
def listens(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(str(path)) == 0


@contextlib.contextmanager
def proxied(e, tmp_path, *words, at=None):
    """The socket of `ringress docker-proxy`."""
    path = at or tmp_path / "proxy.sock"
    process = subprocess.Popen([BINARY, "docker-proxy", str(path), *words, "-c", str(e.yaml)], stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: listens(path) or process.poll() is not None)
        yield path
        assert process.poll() is None, process.stderr.read()
    finally:
        process.terminate()
        complaint = process.communicate(timeout=20)[1]
        assert process.returncode == 0 and not COMPLAINT.search(complaint), complaint
        assert not path.exists()


def ask(path, request):
    """(status, body) of one request, told byte for byte."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(path))
        with Wire(s) as wire:
            wire.send(request if isinstance(request, bytes) else f"{request} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
            answer = wire.read_response(request.split()[0] if isinstance(request, str) else "GET")
            return answer.status, answer.text


@contextlib.contextmanager
def events(path, engine):
    """What the proxy tells of them, up to a word."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(path))
        s.sendall(b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n")
        said = s.recv(65536)
        eventually(lambda: len(engine.listeners) == 2)
        time.sleep(0.1)

        def told(word):
            nonlocal said
            while word not in said:
                said += s.recv(65536)
            return said
        yield told


def shows(path, request="GET /v1.41/containers/json"):
    status_, text = ask(path, request)
    assert status_ == 200, text
    return json.loads(text)


TWO = {n + ".yaml": tenant(n) for n in ("acme", "globex")}
NETS = {"networks": {"acme-net": "acme", "globex-net": "globex"}}


def test_the_proxy_shows_a_tenant_its_own_containers_with_their_public_ports(tmp_path):
    with TcpEchoPod("db", port=3306) as db, docked(tmp_path, TWO, entry=NETS) as (e, d):
        d.start("blithesome_paper", {"kr.ingress.3306": "tcp://"}, {"acme-net": db.address})
        d.start("theirs", {"kr.ingress.3306": "tcp://"}, {"globex-net": db.address})
        d.start("both", {}, {"acme-net": db.address, "globex-net": db.address})
        eventually(lambda: len(e.get("ports")) == 2)
        number = e.raw_port("acme")
        with proxied(e, tmp_path, "-n", "acme") as path:
            row, = shows(path)
            assert row["Names"] == ["/blithesome_paper"]
            assert row["Ports"] == [{"IP": ACME, "PrivatePort": 3306, "PublicPort": number, "Type": "tcp"}]
            new = b"GET /containers/json HTTP/1.1\r\nHost: d\r\nUser-Agent: Docker-Client/29.1.0 (linux)\r\n\r\n"
            assert shows(path, new)[0]["Ports"][0]["IP"] == "0.0.0.0"  # it would fail to read a name
            ports = shows(path, "GET /containers/blithesome_paper/json")["NetworkSettings"]["Ports"]
            assert ports == {"3306/tcp": [{"HostIp": ACME, "HostPort": str(number)}]}
            missing = ask(path, "GET /containers/nobody/json")
            assert missing[0] == 404
            for name in ("theirs", "both", d.find("theirs").id):
                assert ask(path, f"GET /v1.45/containers/{name}/json") == missing
            assert ask(path, "GET /info")[0] == 403
            if os.path.exists(DOCKER):
                done = subprocess.run([DOCKER, "-H", f"unix://{path}", "ps"], capture_output=True, text=True, timeout=20)
                assert f"{ACME}:{number}->3306/tcp" in done.stdout and "theirs" not in done.stdout, done
            with events(path, d) as told:
                d.stop("theirs")
                d.stop("blithesome_paper")
                assert b"theirs" not in told(b"blithesome")


def test_the_proxy_tells_no_events_of_a_container_that_has_gone_over_to_another_tenant(tmp_path):
    with docked(tmp_path, TWO, entry=NETS) as (e, d), proxied(e, tmp_path, "-n", "acme") as path:
        d.start("roamer", {}, {"acme-net": "10.11.0.2"})
        d.start("own", {}, {"acme-net": "10.11.0.3"})
        with events(path, d) as told:
            d.move("roamer", {"globex-net": "10.12.0.2"})
            d.change("roamer", "pause", status="paused")
            d.stop("roamer")
            d.stop("own")
            said = told(b'"own"')
            assert b"disconnect" in said and b"roamer" not in said, said


def test_a_list_can_not_be_asked_for_by_somebody_elses_container(tmp_path):
    """An engine says of one that is not there that it is not; of one that is, it sorts by it."""
    with docked(tmp_path, TWO, entry=NETS) as (e, d), proxied(e, tmp_path, "-n", "acme") as path:
        asked = len(d.asked)
        for query in ("before=theirs", "all=1&since=theirs", "sinc%65=x", 'filters=%7B%22before%22%3A%5B%22theirs%22%5D%7D',
                      "filters=%7B%22%62efore%22%3A%5B%22theirs%22%5D%7D", "filters=%7B%22%5Cu0062efore%22%3A%5B%22theirs%22%5D%7D",
                      "filters=(%27since%27:%27theirs%27)"):
            assert ask(path, f"GET /v1.41/containers/json?{query}")[0] == 403, query
        assert len(d.asked) == asked
        for query in ("all=1", "size=1", "limit=0", "all=1&filters=%7B%22status%22%3A%7B%22running%22%3Atrue%7D%7D"):
            assert ask(path, f"GET /v1.41/containers/json?{query}")[0] == 200, query


def test_how_many_containers_others_have_is_not_told_by_a_limit(tmp_path):
    """An engine takes the newest of all."""
    with docked(tmp_path, TWO, entry=NETS) as (e, d), proxied(e, tmp_path, "-n", "acme") as path:
        for name, net in (("own", "acme-net"), ("own-too", "acme-net"), ("theirs", "globex-net"), ("theirs-too", "globex-net")):
            d.start(name, {}, {net: "10.11.0.2"})
        assert [len(shows(path, f"GET /containers/json?limit={n}")) for n in range(6)] == [2, 1, 2, 2, 2, 2]
        assert not any("limit" in asked for _, asked in d.asked)


def test_how_ids_of_others_begin_is_not_told_by_an_engine_that_finds_several(tmp_path):
    """Docker answers 400 then, podman 500."""
    with docked(tmp_path, TWO, entry=NETS) as (e, d), proxied(e, tmp_path, "-n", "acme") as path, \
            proxied(e, tmp_path, at=tmp_path / "operator.sock") as operators:
        missing = ask(path, "GET /containers/nobody/json")
        assert missing[0] == 404
        for status in (400, 500):
            d.answer = lambda of: (status, b'{"message":"multiple IDs found with provided prefix: 4"}') if of == "/containers/4/json" else None
            assert ask(path, "GET /containers/4/json") == missing
            assert ask(operators, "GET /containers/4/json")[0] == status


def test_the_proxy_lets_nothing_through_but_what_is_on_its_list(tmp_path):
    with docked(tmp_path, entry=NETS) as (e, d), proxied(e, tmp_path, "-n", "acme") as path:
        assert ask(path, "HEAD /_ping")[0] == 200 and ask(path, "GET /v1.30/version")[0] == 200
        eventually(lambda: d.asked.count(("GET", "/containers/json")) == 2)  # the edge's own: now it rests
        before = len(d.asked)
        for request in ("POST /containers/create", "POST /v1.41/containers/x/start", "DELETE /containers/x", "PUT /containers/x/archive?path=/",
                        "GET /images/json", "GET /containers/x/archive?path=/", "GET /containers/x/logs?stdout=1", "GET //containers/json",
                        "GET /v1.41//containers/json", "GET /containers/../images/json", "GET /v1.41/v1.41/containers/json",
                        "GET /containers/%2e%2e/json", "GET /containers/a%2farchive/json", "GET /_ping/../images/json", "OPTIONS /_ping",
                        "GET http://engine/images/json", "GET /secrets", "GET /containers/json/../../images/json", "GET /v1.41/containers/x/json/"):
            assert ask(path, request)[0] in (400, 403), request
        smuggled = (b"GET /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: 46\r\n\r\nGET /images/json HTTP/1.1\r\nHost: d\r\nX: yyyy\r\n\r\n",
                    b"GET /events HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nPOST /containers/create HTTP/1.1\r\n\r\n",
                    b"GET /_ping HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /images/json HTTP/1.1\r\nHost: d\r\n\r\n")
        for request in smuggled:
            assert ask(path, request)[0] == 403, request
        for request in (b"get /_ping HTTP/1.1\r\n\r\n", b"GET /_ping\0 HTTP/1.1\r\n\r\n", b"GET /_ping HTTP/1.1\r\nA b: c\r\n\r\n"):
            assert ask(path, request)[0] == 400, request
        for request in (b"GET / HTTP/9\r\n\r\n", b"\0" * 20000, b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", b"GET /_ping HTTP/1.1\r\nA b: c\r\n\r\n"):
            with contextlib.suppress(Closed, OSError, ValueError):
                assert ask(path, request)[0] in (400, 403), request
        assert len(d.asked) == before
        assert ask(path, "GET /_ping")[0] == 200


def test_with_all_everything_goes_through_and_ports_are_added_all_the_same(tmp_path):
    with TcpEchoPod("db", port=3306) as db, docked(tmp_path) as (e, d), proxied(e, tmp_path, "--all") as path:
        made = ask(path, b'POST /v1.41/containers/create?name=x HTTP/1.1\r\nHost: d\r\nContent-Length: 14\r\n\r\n{"Image": "x"}')
        assert made[0] == 201 and json.loads(made[1])["said"] == '{"Image": "x"}' and ("POST", "/v1.41/containers/create?name=x") in d.asked
        assert shows(path, "GET /images/json") == {"path": "/images/json"}
        d.start("db", {"kr.ingress.3306": "tcp://"}, {"bridge": db.address})
        eventually(lambda: len(e.get("ports")) == 1)
        assert shows(path)[0]["Ports"][0]["IP"] == ACME
        assert e.run("docker-proxy", tmp_path / "x.sock", "/no/such", "-n", "acme").returncode == 1


def test_an_edge_may_look_through_the_proxy_and_need_not_be_root_at_the_engine(tmp_path):
    path = tmp_path / "shown.sock"
    with EchoPod("one") as p, Engine(tmp_path / "docker.sock") as d:
        e = Edge({"acme.yaml": tenant("acme")}, modules=["sni", "http", "tcp", "docker"], docker=[{"socket": str(path), "tenant": "acme"}])
        d.start("web-1", WEB, {"bridge": p.address})
        with proxied(e, tmp_path, d.path, at=path), e:
            assert answers(e, "one")  # the first question: neither waited for the other at the start
            d.stop("web-1")
            eventually(lambda: status(e) == 404, SOON)


# ---- a real engine ----
def test_what_podman_runs_is_served_and_docker_ps_tells_the_public_port(tmp_path, spaces):
    with Podman(spaces, tmp_path) as p, Edge({"acme.yaml": tenant("acme", network={"netns": p.space, "allow": ["10.0.0.0/8"]})},
                                             modules=["sni", "http", "tcp", "docker"],
                                             docker=[{"socket": str(p.socket), "networks": {"acme-net": "acme"}}]) as e:
        p.docker("network", "create", "acme-net")
        with proxied(e, tmp_path, "-n", "acme", "--all") as path:
            p.docker("run", "-d", "--name", "nginx", "--network", "acme-net", "-l", "kr.ingress.80=http://nginx.*", p.image)
            eventually(lambda: status(e, f"nginx.{ACME}") == 200, SOON)
            # as the seed has it: docker run, docker ps, a client at the port
            p.docker("run", "-dti", "-e", "MARIADB_ROOT_PASSWORD=bob", "--network", "acme-net", "-l", "kr.ingress.3306=tcp://", p.image, "3306",
                     socket=path)
            number = eventually(lambda: [r["publicPort"] for r in e.get("ports")], SOON)[0]
            with e.connect(number) as wire:
                wire.send(b"ping\n")
                assert wire.rest().endswith(b"hello\n")
            assert f"{ACME}:{number}->3306/tcp" in p.docker("ps", socket=path)
            p.docker("run", "-d", "--name", "stray", "-l", "kr.ingress.80=http://stray.*", p.image)
            assert "stray" not in p.docker("ps", socket=path) and status(e, f"stray.{ACME}") == 404
            p.docker("network", "create", "elsewhere")
            p.docker("network", "connect", "elsewhere", "nginx")
            p.docker("network", "disconnect", "acme-net", "nginx")
            eventually(lambda: not has_route(e, f"nginx.{ACME}"), SOON)
            p.docker("network", "connect", "acme-net", "nginx")
            eventually(lambda: status(e, f"nginx.{ACME}") == 200, SOON)
            p.docker("stop", "-t", "0", "nginx", socket=path)
            eventually(lambda: not has_route(e, f"nginx.{ACME}"), SOON)  # a request now might wait for an address that is gone
            assert status(e, f"nginx.{ACME}") == 404
            p.docker("start", "nginx", socket=path)
            eventually(lambda: status(e, f"nginx.{ACME}") == 200, SOON)
