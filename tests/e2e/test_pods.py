# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that die, hang, break, answer 500, come back, are too few, leave: what is asked of whom, and what clients see of it."""
import contextlib
import json
import threading
import time

import pytest

from edge import PATIENCE, SLOWNESS, Edge, eventually, unhurried
from namespaces import Namespaces
from objects import ACME, GLOBEX, annotation_is_refused, documents, grant, plain_ingress, pod, rule, service as bare_service, tenant
from pod import EchoPod, Pod, TcpEchoPod, answering
from wire import Closed

HOST = f"web.{ACME}"
URL = f"http://{HOST}/"
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def service(name="web", **annotations):
    made = bare_service(name)
    if annotations:
        made["metadata"]["annotations"] = {f"ringress/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return made


def acme(*servers, ingress_marks=None, more=(), **annotations):
    """One service `web` over these servers; annotations: those of the Service."""
    pods = [pod(s, app="web", name=f"web-{i}") for i, s in enumerate(servers)]
    return tenant("acme", *pods, service(**annotations), plain_ingress(rule(HOST, "web"), **(ingress_marks or {})), *more)


def states(e):
    return {b["address"].rsplit(":", 1)[0]: b["state"] for b in e.get("backends") if b["address"]}


def backend(e, server):
    return next(b for b in e.get("backends") if b["address"] == f"{server.address}:{server.port}")


def closing(wire):
    """Breaks every request."""
    wire.read_request()


def hanging(wire):
    wire.read_request()
    time.sleep(PATIENCE * 3)


# ---- passive ejection ----
def test_a_dead_pod_is_ejected_and_one_that_comes_back_is_asked_again(workers):
    with EchoPod("one") as one:
        two = EchoPod("two")
        with Edge({"acme.yaml": acme(one, two, eject_for=unhurried("4s"))}, workers) as e:
            two.stop()
            # Not one client sees anything of it.
            assert eventually(lambda: (e.status(URL), states(e)[two.address])[1] == "ejected")
            for _ in range(20):
                assert e.status(URL) == 200
            shown = backend(e, two)
            assert shown["failures"] >= 3 and shown["until"] and "left alone" in shown["reason"]
            told = e.explain(URL).stdout
            assert "one of 1 ready pod; 1 ejected, asked only when there is no other" in told
            assert f"after 3 failures in a row, for {4000 * SLOWNESS} ms" in told
            assert states(e)[one.address] == "ready"
            with EchoPod("two", address=two.address) as back:
                eventually(lambda: (e.status(URL), back.requests)[1])
                assert eventually(lambda: (e.status(URL), states(e)[two.address])[1] == "ready")


def ejected(e, expected):
    """Asks until one pod is ejected; what was answered meanwhile."""
    seen = []

    def ask():
        seen.append(e.status(URL))
        return "ejected" in states(e).values()
    eventually(ask)
    assert set(seen) <= expected
    return seen


def test_a_pod_that_hangs_is_ejected(workers):
    with EchoPod("one") as one, Pod(hanging) as two:
        with Edge({"acme.yaml": acme(one, two, eject_for="30s")}, workers, timeouts={"response": unhurried("300ms")}) as e:
            assert ejected(e, {200, 504}).count(504) <= 3 + workers
            assert states(e) == {one.address: "ready", two.address: "ejected"}
            assert [e.status(URL) for _ in range(20)] == [200] * 20


def test_a_pod_that_breaks_off_is_ejected(workers):
    with EchoPod("one") as one, Pod(closing) as two:
        with Edge({"acme.yaml": acme(one, two, eject_for="30s")}, workers) as e:
            ejected(e, {200, 502})
            assert [e.status(URL) for _ in range(20)] == [200] * 20


def test_a_pod_that_answers_500_has_answered(workers):
    with Pod(answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")) as one, EchoPod() as two:
        with Edge({"acme.yaml": acme(one, two)}, workers) as e:
            assert {e.status(URL) for _ in range(40)} == {200, 500}
            assert set(states(e).values()) == {"ready"}


def test_half_of_the_pods_and_a_lone_one_are_never_ejected(workers):
    with contextlib.ExitStack() as stack:
        bad = [stack.enter_context(Pod(closing)) for _ in range(5)]
        with Edge({"acme.yaml": acme(*bad, eject_for="30s")}, workers) as e:
            for _ in range(40):
                assert e.status(URL) == 502
            assert sorted(states(e).values()) == ["ejected"] * 2 + ["ready"] * 3
            e.drop("acme.yaml", acme(bad[0], eject_for="30s"))
            eventually(lambda: len(states(e)) == 1)
            for _ in range(10):
                assert e.status(URL) == 502
            assert set(states(e).values()) <= {"ready", "ejected"}  # ejected before: asked all the same, there is no other
            if set(states(e).values()) == {"ejected"}:
                assert "every pod is ejected: one is asked all the same" in e.explain(URL).stdout


def test_ejection_can_be_turned_off(workers):
    with EchoPod("one") as one, Pod(closing) as two:
        with Edge({"acme.yaml": acme(one, two, eject_after="0")}, workers) as e:
            eventually(lambda: (e.status(URL), backend(e, two)["failures"] > 4)[1])
            assert set(states(e).values()) == {"ready"}
            assert "ejection  never" in e.explain(URL).stdout


# ---- retries ----
def test_a_dead_service_is_not_hit_again_for_every_request(workers):
    one, two = EchoPod(), EchoPod()
    with Edge({"acme.yaml": acme(one, two, eject_after="0")}, workers) as e:
        one.stop()
        two.stop()
        begin = time.monotonic()
        for _ in range(150):
            assert e.status(URL) == 502
        tries = backend(e, one)["failures"] + backend(e, two)["failures"]
        allowance = 150 * 0.2 + workers * (10 + time.monotonic() - begin + 1)
        assert 150 <= tries <= 150 + allowance
        shown = backend(e, one)
        assert shown["retries"] == tries - 150 == e.get("tenants")[0]["retries"]
        assert shown["retries"] + shown["retriesRefused"] >= 150
        told = json.loads(e.run("explain", URL, "-o", "json").stdout)
        assert (told["retries"], told["retriesRefused"]) == (shown["retries"], shown["retriesRefused"])
        assert f"at most 20 % of the requests; {shown['retries']} made, {shown['retriesRefused']} refused so far" in told["text"]


def test_without_a_retry_budget_there_are_no_retries(workers):
    with EchoPod("one") as one:
        two = EchoPod()
        with Edge({"acme.yaml": acme(one, two, retry_budget="0%", eject_after="0", load_balance="round-robin")},
                  workers) as e:
            two.stop()
            assert 502 in {e.status(URL) for _ in range(30)}


# ---- who is asked ----
def test_round_robin_takes_the_pods_in_turn():
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(EchoPod(str(i))) for i in range(3)]
        with Edge({"acme.yaml": acme(*servers, load_balance="round-robin")}) as e:
            turns = [e.echo(URL)["pod"] for _ in range(12)]
            assert turns == turns[:3] * 4 and len(set(turns[:3])) == 3
            assert "round robin" in e.explain(URL).stdout


def ask_from(e, address, more=""):
    with e.connect_from(address) as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n")
        return json.loads(wire.read_response().text)["pod"]


def test_hash_sends_an_address_to_the_same_pod_from_every_worker(workers):
    addresses = [f"127.9.{i}.1" for i in range(1, 41)]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(EchoPod(str(i))) for i in range(4)]
        with Edge({"acme.yaml": acme(*servers, load_balance="hash")}, workers) as e:
            first = {a: ask_from(e, a) for a in addresses}
            assert len(set(first.values())) == 4
            for _ in range(3):
                assert {a: ask_from(e, a) for a in addresses} == first
            # One pod less: only its clients move.
            e.drop("acme.yaml", acme(*servers[:3], load_balance="hash"))
            eventually(lambda: len(states(e)) == 3)
            then = {a: ask_from(e, a) for a in addresses}
            assert all(then[a] == first[a] for a in addresses if first[a] != "3")
            assert "3" not in then.values()


def test_hash_by_cookie_goes_by_that_cookie_alone(workers):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(EchoPod(str(i))) for i in range(4)]
        with Edge({"acme.yaml": acme(*servers, load_balance="hash", hash_by="cookie:sid")}, workers) as e:
            for value in ("a", "b", "c", "d", "e"):
                pods = {ask_from(e, f"127.9.9.{i}", f"Cookie: x=1{i}; sid={value}; sidx={i}\r\n") for i in range(1, 9)}
                assert len(pods) == 1
            assert len({ask_from(e, "127.9.9.1", f"Cookie: sid={i}\r\n") for i in range(40)}) == 4


def test_hash_works_for_raw_ports_too(workers):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Pod(lambda wire, i=i: wire.send(str(i)))) for i in range(3)]
        pods = [pod(s, app="raw", name=f"raw-{i}") for i, s in enumerate(servers)]
        made = service("raw", load_balance="hash")
        made["spec"]["type"] = "NodePort"
        with Edge({"acme.yaml": tenant("acme", *pods, made)}, workers) as e:
            port = e.raw_port("acme")
            seen = set()
            for _ in range(12):
                with e.connect(port) as wire:
                    seen.add(wire.rest())
            assert len(seen) == 1


# ---- kept connections ----
def test_a_kept_connection_is_given_up_before_the_pod_ends_it(workers):
    """After a second; without the hint after 55, which is longer than this waits."""
    ended = threading.Event()

    def hinting(wire):
        while wire.read_request():
            wire.send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2, max=100\r\nContent-Length: 0\r\n\r\n")
        ended.set()
    with Pod(hinting) as one, Edge({"acme.yaml": acme(one)}, workers) as e:
        with e.connect() as wire:
            for _ in range(3):
                wire.send(GET)
                answer = wire.read_response()
                assert answer.status == 200 and not answer.get("keep-alive")
            assert one.accepted == 1
            assert ended.wait(PATIENCE)


# ---- active checks ----
class CheckedPod(EchoPod):
    """Answers /healthz as it is told; None: not at all."""

    def __init__(self, name, health="200", **options):
        self.health, self.checks = health, 0
        super().__init__(name, **options)

    def echo(self, wire):
        while request := wire.read_request():
            if request.target != "/healthz":
                self.requests.append(request)
                wire.send(f"HTTP/1.1 200 OK\r\nX-Pod: {self.name}\r\nContent-Length: 0\r\n\r\n")
                continue
            self.checks += 1
            self.host = request.get("host")
            if self.health is None:
                time.sleep(PATIENCE)
            wire.send(f"HTTP/1.1 {self.health} Told\r\nContent-Length: 0\r\n\r\n")


CHECKS = {"health_path": "/healthz", "health_interval": "500ms", "health_timeout": "300ms", "health_unhealthy": "2"}


def test_a_pod_that_fails_its_checks_gets_nothing_until_it_passes(workers):
    with CheckedPod("one") as one, CheckedPod("two") as two:
        with Edge({"acme.yaml": acme(one, two, health_host="probe.test", **CHECKS)}, workers) as e:
            eventually(lambda: one.checks >= 2 and two.checks >= 2)
            assert set(states(e).values()) == {"ready"} and one.host == "probe.test"
            for bad in ("500", "404", None):
                two.health = bad
                eventually(lambda: states(e)[two.address] == "notReady")
                asked = len(two.requests)
                assert {e.request(URL).get("X-Pod") for _ in range(20)} == {"one"}
                assert len(two.requests) == asked
                assert "health check fails" in backend(e, two)["reason"]
                assert "one of 1 ready pod" in e.explain(URL).stdout
                two.health = "204"
                eventually(lambda: states(e)[two.address] == "ready")
                assert {e.request(URL).get("X-Pod") for _ in range(30)} == {"one", "two"}


def test_when_all_pods_fail_their_checks_it_is_503(workers):
    with CheckedPod("one", "503") as one:
        with Edge({"acme.yaml": acme(one, **CHECKS)}, workers) as e:
            eventually(lambda: states(e)[one.address] == "notReady")
            answer = e.request(URL)
            assert answer.status == 503 and answer.get("Retry-After")
            assert "no pod is ready" in e.explain(URL).stdout
            one.health = "200"
            eventually(lambda: e.status(URL) == 200)


def test_pods_are_checked_once_for_the_process_and_only_when_asked_for():
    with CheckedPod("one") as one, CheckedPod("two") as two:
        with Edge({"acme.yaml": acme(one, **CHECKS)}, workers=4) as e:
            begin = time.monotonic()
            eventually(lambda: one.checks >= 6)
            # One each 475 ms at least, whatever the number of workers.
            assert time.monotonic() - begin > 5 * 0.4
            e.drop("acme.yaml", acme(one, two))
            eventually(lambda: len(states(e)) == 2)
            eventually(lambda: e.request(URL).get("X-Pod") == "two")
            before = one.checks
            time.sleep(1.2)
            assert one.checks - before <= 1 and two.checks == 0


def test_a_check_by_tcp_only_connects(workers):
    with TcpEchoPod() as one:
        made = service(health_check="tcp", health_interval="500ms", health_unhealthy="1")
        with Edge({"acme.yaml": tenant("acme", pod(one, app="web"), made, plain_ingress(rule(HOST, "web")))}, workers) as e:
            eventually(lambda: one.accepted >= 3)
            assert states(e)[one.address] == "ready"
            one.stop()
            eventually(lambda: states(e)[one.address] == "notReady")


def test_checks_go_through_the_tenants_own_network(workers):
    """The same address in two networks: one pod is well, the other is not."""
    address = "10.11.0.5"
    with Namespaces() as spaces, contextlib.ExitStack() as stack:
        files, servers = {}, {}
        for name, domain, health in (("acme", ACME, "200"), ("globex", GLOBEX, "500")):
            space = spaces.add(name, address)
            with spaces.inside(space):
                servers[name] = stack.enter_context(CheckedPod(name, health, address=address))
            files[f"{name}.yaml"] = tenant(
                name, pod(servers[name], app="web"), service(**CHECKS), plain_ingress(rule(f"web.{domain}", "web")),
                network={"allow": ["10.11.0.0/16"], "netns": space})
        with Edge(files, workers) as e:
            def state(name):
                return next(b["state"] for b in e.get("backends", "-n", name))
            eventually(lambda: state("globex") == "notReady")
            eventually(lambda: servers["acme"].checks >= 2)
            assert state("acme") == "ready" and e.request(URL).get("X-Pod") == "acme"
            assert e.status(f"http://web.{GLOBEX}/") == 503 and not servers["globex"].requests


def test_a_tenant_whose_pods_all_hang_does_not_keep_others_from_their_checks(workers):
    """One server that hangs under 300 addresses: more checks than run at once, each for a minute."""
    with Pod(hanging, address="0.0.0.0", port=5679) as stuck, CheckedPod("one") as one:
        hung = [{**pod(stuck, app="web", name=f"hung-{i}"),
                 "status": {"podIP": f"127.251.{i // 250}.{i % 250 + 1}", "conditions": [{"type": "Ready", "status": "True"}]}}
                for i in range(300)]
        checks = service(health_path="/healthz", health_interval="1m", health_timeout="1m")
        checks["spec"]["ports"][0]["targetPort"] = stuck.port
        with Edge({"globex.yaml": tenant("globex", *hung, checks, plain_ingress(rule(f"web.{GLOBEX}", "web")))}, workers) as e:
            eventually(lambda: stuck.accepted >= 100)
            e.drop("acme.yaml", acme(one, **CHECKS))
            eventually(lambda: one.checks >= 3)
            one.health = "500"
            eventually(lambda: states(e)[one.address] == "notReady")


# ---- caps and the line ----
class GatedPod(Pod):
    """Answers a request when `gate` lets it; counts what runs at once and the connections that are open."""

    def __init__(self, **options):
        self.gate, self.order, self.running, self.most, self.open, self.most_open = threading.Semaphore(0), [], 0, 0, 0, 0
        self.count_lock = threading.Lock()
        super().__init__(self.gated, **options)

    def count(self, running=0, opened=0):
        with self.count_lock:
            self.running += running
            self.open += opened
            self.most = max(self.most, self.running)
            self.most_open = max(self.most_open, self.open)

    def gated(self, wire):
        self.count(opened=1)
        try:
            while request := wire.read_request():
                self.order.append(request.target)
                self.count(running=1)
                self.gate.acquire(timeout=PATIENCE)
                self.count(running=-1)
                wire.send(OK)
        finally:
            self.count(opened=-1)

    def let(self, count):
        for _ in range(count):
            self.gate.release()


class Asking(threading.Thread):
    def __init__(self, e, path="/"):
        super().__init__()
        self.answer = None
        self.wire = e.connect()
        self.wire.send(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
        self.start()

    def run(self):
        with contextlib.suppress(OSError, Closed):
            self.answer = self.wire.read_response()
        self.wire.close()

    def status(self):
        self.join(PATIENCE * 2)
        return self.answer and self.answer.status


def waiting(e):
    return max(b["waiting"] for b in e.get("backends"))


def test_a_cap_holds_over_all_workers_and_everybody_is_served(workers):
    with GatedPod() as one, GatedPod() as two:
        with Edge({"acme.yaml": acme(one, two, max_connections_per_pod="2")}, workers) as e:
            asking = [Asking(e) for _ in range(30)]
            eventually(lambda: waiting(e) == 26)
            one.let(30)
            two.let(30)
            assert [a.status() for a in asking] == [200] * 30
            assert one.most <= 2 and two.most <= 2
            assert one.most_open <= 3 and two.most_open <= 3  # one may end while the next begins
            assert waiting(e) == 0 and "2 connections to each pod" in e.explain(URL).stdout
            # And again over connections that were kept, by whichever worker.
            asking = [Asking(e) for _ in range(12)]
            one.let(12)
            two.let(12)
            assert [a.status() for a in asking] == [200] * 12


def test_the_line_is_first_come_first_served(workers):
    with GatedPod() as one:
        with Edge({"acme.yaml": acme(one, max_connections_per_pod="1", queue_timeout=unhurried("10s"))}, workers) as e:
            asking = []
            for i in range(12):
                asking.append(Asking(e, f"/{i}"))
                if i == 0:
                    eventually(lambda: one.order == ["/0"])
                else:
                    eventually(lambda: waiting(e) == i)
            one.let(12)
            assert [a.status() for a in asking] == [200] * 12
            assert one.order == [f"/{i}" for i in range(12)]


def test_a_full_line_and_one_that_takes_too_long_are_503(workers):
    with GatedPod() as one:
        marks = {"max_connections_per_pod": "1", "max_queue": "2", "queue_timeout": unhurried("1s")}
        with Edge({"acme.yaml": acme(one, **marks)}, workers) as e:
            first = Asking(e, "/first")
            eventually(lambda: one.order == ["/first"])
            late = [Asking(e, "/late") for _ in range(2)]
            eventually(lambda: waiting(e) == 2)
            answer = e.request(URL)
            assert answer.status == 503 and int(answer.get("Retry-After")) > 0
            assert [a.status() for a in late] == [503, 503]
            shown = backend(e, one)
            assert (shown["waitingRefused"], shown["waitingLate"]) == (1, 2)
            one.let(2)
            assert first.status() == 200 and e.status(URL) == 200
            assert "/late" not in one.order


def test_a_client_that_leaves_the_line_is_never_asked_for(workers):
    with GatedPod() as one:
        with Edge({"acme.yaml": acme(one, max_connections_per_pod="1")}, workers) as e:
            first = Asking(e, "/first")
            eventually(lambda: one.order == ["/first"])
            leaving = [e.connect() for _ in range(5)]
            for wire in leaving:
                wire.send(f"GET /left HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
            eventually(lambda: waiting(e) == 5)
            last = Asking(e, "/last")
            eventually(lambda: waiting(e) == 6)
            for wire in leaving:
                wire.close()
            eventually(lambda: waiting(e) <= 1)
            one.let(2)
            assert (first.status(), last.status()) == (200, 200)
            assert one.order == ["/first", "/last"]


def test_a_body_waits_in_line_with_its_request(workers):
    with GatedPod() as one:
        bodies = []

        def taking(wire):
            while request := wire.read_request():
                bodies.append(request.body)
                one.gate.acquire(timeout=PATIENCE)
                wire.send(OK)
        one.handle = taking
        with Edge({"acme.yaml": acme(one, max_connections_per_pod="1")}, workers) as e:
            first = Asking(e)
            eventually(lambda: len(bodies) == 1)
            with e.connect() as small, e.connect() as large, e.connect() as chunked:
                small.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nsmall")
                large.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 300000\r\n\r\n" + "x" * 300000)
                chunked.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
                eventually(lambda: waiting(e) == 3)
                one.let(4)
                assert [w.read_response().status for w in (small, large, chunked)] == [200] * 3
            assert first.status() == 200
            assert sorted(bodies[1:], key=len) == [b"abc", b"small", b"x" * 300000]


def test_new_pods_serve_who_waits(workers):
    with GatedPod() as one, GatedPod() as two:
        with Edge({"acme.yaml": acme(one, max_connections_per_pod="1")}, workers) as e:
            asking = [Asking(e) for _ in range(3)]
            eventually(lambda: waiting(e) == 2)
            two.let(3)
            e.drop("acme.yaml", acme(one, two, max_connections_per_pod="1"))
            eventually(lambda: len(two.order) == 2)  # both who waited
            one.let(1)
            assert [a.status() for a in asking] == [200] * 3


# ---- connections that are used again ----
def test_a_worker_borrows_an_idle_connection_rather_than_open_one_more():
    """Three requests at once, on whichever workers: three connections are enough, and few more are opened. Each worker for itself
    would open up to three."""
    with GatedPod() as one:
        with Edge({"acme.yaml": acme(one)}, workers=3) as e:
            for _ in range(40):
                before = len(one.order)
                asking = [Asking(e) for _ in range(3)]
                eventually(lambda: len(one.order) == before + 3)
                one.let(3)
                assert [a.status() for a in asking] == [200] * 3
                eventually(lambda: backend(e, one)["idle"] == backend(e, one)["connections"])
            assert one.accepted <= 6, one.accepted
            assert backend(e, one)["connects"] == one.accepted


# ---- pods that leave ----
def test_a_pod_that_leaves_finishes_what_runs_and_gets_nothing_new(workers):
    with GatedPod() as old, EchoPod("new") as new:
        with Edge({"acme.yaml": acme(old)}, workers) as e:
            running = [Asking(e) for _ in range(6)]
            eventually(lambda: old.running == 6)
            with e.connect() as idle:  # a client that stays keeps the old version alive
                idle.send(GET)
                eventually(lambda: old.running == 7)
                old.let(1)
                eventually(lambda: old.running == 6)
                e.drop("acme.yaml", acme(new))
                eventually(lambda: list(states(e)) == [new.address])
                assert e.request(URL).get("X-Pod") == "new"
                accepted = old.accepted
                old.let(6)
                assert [a.status() for a in running] == [200] * 6
                eventually(lambda: old.open == 0)  # kept connections are closed, also those just come back
                assert old.accepted == accepted
                idle.read_response()
                idle.send(GET)
                assert idle.read_response().get("X-Pod") == "new"


@pytest.mark.parametrize("how", ["terminating", "not ready", "terminating, though published when not ready"])
def test_a_pod_that_is_terminating_or_not_ready_is_left(workers, how):
    with EchoPod("old") as old, EchoPod("new") as new:
        def drop(**status):
            leaving = pod(old, app="web", name="web-0", **status)
            if "terminating" in how and status:
                leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
                leaving["status"]["conditions"][0]["status"] = "True"
            made = service()
            made["spec"]["publishNotReadyAddresses"] = "published" in how
            return tenant("acme", leaving, pod(new, app="web", name="web-1"), made, plain_ingress(rule(HOST, "web")))
        with Edge({"acme.yaml": drop()}, workers) as e:
            assert {e.echo(URL)["pod"] for _ in range(30)} == {"old", "new"}
            e.drop("acme.yaml", drop(ready=False))
            eventually(lambda: states(e)[old.address] == "notReady")
            assert ("terminating" if "terminating" in how else "not Ready") in backend(e, old)["reason"]
            assert {e.echo(URL)["pod"] for _ in range(30)} == {"new"}
            e.drop("acme.yaml", drop())
            eventually(lambda: states(e)[old.address] == "ready")
            assert {e.echo(URL)["pod"] for _ in range(30)} == {"old", "new"}


# ---- error pages ----
HTML, LATE = "<!doctype html><title>sorry</title>", '{"error": "late"}'


def test_a_tenant_has_error_pages_of_its_own(workers):
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pages"}, "data": {"502.html": HTML}}
    marks = {"error_page_502": "configmap:pages/502.html", "error_page_504": LATE}
    with Pod(closing) as broken, Pod(hanging) as late, EchoPod("web") as other:
        pods = [pod(broken, app="web"), pod(late, app="late", name="late"), service(), bare_service("late")]
        rules = plain_ingress(rule(HOST, "web"), rule(f"late.{ACME}", "late"), rule(f"none.{ACME}", "none"), **marks,
                              error_page_503="come back\n")
        other.stop()
        with Edge({"acme.yaml": tenant("acme", *pods, rules, config),
                   "globex.yaml": tenant("globex", pod(other, app="web"), bare_service("web"),
                                         plain_ingress(rule(f"web.{GLOBEX}", "web")))},
                  workers, timeouts={"response": "300ms"}) as e:
            answer = e.request(URL)
            assert (answer.status, answer.text, answer.get("Content-Type")) == (502, HTML, "text/html; charset=utf-8")
            answer = e.request(f"http://late.{ACME}/")
            assert (answer.status, answer.text, answer.get("Content-Type")) == (504, LATE, "application/json")
            answer = e.request(f"http://none.{ACME}/")
            assert (answer.status, answer.text) == (503, "come back\n") and answer.get("Retry-After")
            answer = e.request(URL, method="HEAD")
            assert (answer.status, answer.body, answer.get("Content-Length")) == (502, b"", str(len(HTML)))
            answer = e.request(f"http://web.{GLOBEX}/")
            assert (answer.status, answer.text) == (502, "502 Bad Gateway\n")
            with e.connect() as wire:  # the connection goes on
                for _ in range(3):
                    wire.send(GET)
                    assert wire.read_response().text == HTML


# ---- what is wrong is said, with its place ----
@pytest.mark.parametrize("name, value, complaint", [
    ("load-balance", "random", "is not least-requests, round-robin or hash"),
    ("hash-by", "cookie:", "is not client-address or cookie:NAME"),
    ("hash-by", "client-address", "has no effect without ringress/load-balance: hash"),
    ("eject-after", "-1", "is not a whole number"),
    ("eject-after", "1001", "is outside 0 to 1000"),
    ("eject-for", "5", "is not a time"),
    ("eject-for", "2m", "must not be longer than ringress/eject-for-most"),
    ("eject-at-most", "50", "is not a share like 20%"),
    ("eject-at-most", "101%", "is outside 0% to 100%"),
    ("retry-budget", "lots", "is not a share"),
    ("max-connections-per-pod", "0", "is outside 1 to 1000000"),
    ("max-queue", "5", "has no effect without ringress/max-connections-per-pod"),
    ("health-path", "healthz", "is not a path that starts with"),
    ("health-path", "/a b", "is not a path in visible ASCII"),
    ("health-interval", "1s", "has no effect without ringress/health-path"),
    ("health-check", "ping", "is not http or tcp"),
    ("health-timeout", "1h", "must not be longer than ringress/health-interval"),
    ("health-status", "200-100", "is not a status like 204"),
    ("health-pfad", "/", "there is no such annotation"),
    ("error-page-502", "configmap:pages", "is not a text or configmap:NAME/KEY"),
    ("error-page-502", "x" * 20000, "longer than 16384 bytes"),
    ("error-page-418", "x", "there is no such annotation"),
])
def test_a_wrong_annotation_is_an_error_with_its_place(name, value, complaint):
    annotation_is_refused(service(), name, value, complaint)


def test_a_check_of_a_path_is_refused_for_pods_that_speak_no_http():
    made = service(health_path="/")
    made["spec"]["ports"][0]["appProtocol"] = "tcp"
    edge = Edge({"acme.yaml": documents(made, grant("acme"))})
    done = edge.run("check")
    edge.end(failed=False)
    assert done.returncode == 1 and "can't be asked for a path" in done.stdout + done.stderr


def test_a_page_that_is_not_there_is_an_event(workers):
    with EchoPod("web") as one:
        with Edge({"acme.yaml": acme(one, error_page_502="configmap:none/x")}, workers) as e:
            assert any(v["reason"] == "ErrorPage" and "configmap:none/x" in v["message"] for v in e.get("events"))
            assert e.status(URL) == 200


def test_what_the_service_says_goes_before_what_its_ingress_says():
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(EchoPod(str(i))) for i in range(2)]
        marks = {"load_balance": "hash", "max_connections_per_pod": "7"}
        with Edge({"acme.yaml": acme(*servers, ingress_marks=marks, load_balance="round-robin")}) as e:
            told = e.explain(URL).stdout
            assert "round robin" in told and "7 connections to each pod" in told
