# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding on: descriptors run out. Whoever holds the most gives up what is idle, the others are served, nothing spins, and it ends by itself."""
import contextlib
import os
import re
import resource
import signal
import socket
import threading
import time
import types

import yaml

from crowds import FloodPod
from edge import Edge, eventually, open_files, starved_edge
from h2 import H2
from names import Knot
from namespaces import Names
from objects import ACME, GLOBEX, documents, grant, ingress, node_port, pod, rule, tenant, web_tenant
from pod import PORT, EchoPod, Pod, TcpEchoPod, free_address
from test_stored import INTERNAL_ERROR, SHOP, Kept, certificate, keeper, pods, shop_of, shown  # noqa: F401
from tls import alert_of, hello
from wire import Closed

WEB_OF_GLOBEX = f"http://web.{GLOBEX}/"


def starved(free, files, workers, **sections):
    return starved_edge(free, files, workers, **sections).hold_nobody()


def processor_seconds(e):
    fields = open(f"/proc/{e.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_does_not_spin(e, seconds=1.5):
    """While nothing happens but that descriptors are short. A loop that spins takes all of one processor."""
    before, begun = processor_seconds(e), time.monotonic()
    time.sleep(seconds)
    used, passed = processor_seconds(e) - before, time.monotonic() - begun
    assert used < 0.5 * passed, f"{used} s of processor time in {passed} s"


def metric(e, name):
    text = e.run("get", "tenants")  # the admin socket, too, is to answer
    assert text.returncode == 0, text.stderr
    with e.connect(e.admin_port) as wire:
        wire.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        body = wire.read_response().body.decode()
    return int(re.search(rf"^ringress_{name} (\d+)$", body, re.M)[1])


def hold(stack, e, port, count, first=b""):
    wires = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            wire = stack.enter_context(e.connect(port))
            wire.send(first)
            wires.append(wire)
    return wires


def two_tenants(stack):
    raw, web = stack.enter_context(TcpEchoPod("raw")), stack.enter_context(EchoPod("web"))
    return {"acme.yaml": tenant("acme", pod(raw, app="raw"), node_port("raw", target=raw.port)),
            "globex.yaml": web_tenant("globex", web)}


def test_with_300_descriptors_an_idle_flood_on_one_port_costs_its_own_tenant(stack, workers):
    with starved(300, two_tenants(stack), workers) as e:
        port = e.raw_port("acme")
        with e.connect() as kept:
            def ask():
                kept.send(f"GET / HTTP/1.1\r\nHost: web.{GLOBEX}\r\n\r\n".encode())
                return kept.read_response().status
            assert ask() == 200
            with contextlib.ExitStack() as flood:
                for _ in range(5):
                    hold(flood, e, port, 100)
                    # The neighbour neither waits nor loses the connection it keeps.
                    assert ask() == 200
                    assert e.status(WEB_OF_GLOBEX) == 200
                assert open_files(e) <= e.limit - 3
                eventually(lambda: metric(e, "descriptors_shed_total") > 100)
                assert e.tenant("acme")["shed"] > 100 and e.tenant("globex")["shed"] == 0
                assert metric(e, "descriptors_refused_total") == 0  # there was always something idle to be given up
                eventually(lambda: [x for x in e.get("events", "-n", "acme") if x["reason"] == "Shed"])
                assert "no descriptors left" in e.log_text()
                assert_does_not_spin(e)
            eventually(lambda: e.tenant("acme")["connections"] == 0)
            with e.connect(port) as wire:
                wire.send(b"x")
                assert wire.need(1) == b"x"
            eventually(lambda: "to be had again" in e.log_text())
            assert ask() == 200


def test_half_heads_that_go_on_for_ever_are_given_up_for_who_comes(stack):
    """They are nobody's, and always in the midst of something; whoever comes has one ended, and waits for no look through all of them."""
    with starved(300, two_tenants(stack), 1) as e, contextlib.ExitStack() as flood:
        for _ in range(4):
            for wire in hold(flood, e, e.http_port, 100, b"GET / HTTP/1.1\r\nX-Slow: "):
                with contextlib.suppress(OSError, Closed):
                    wire.send(b"x")
            assert e.status(WEB_OF_GLOBEX) == 200
            assert open_files(e) <= e.limit - 3
        assert metric(e, "descriptors_shed_total") > 200
        assert e.tenant("globex")["shed"] == 0 and metric(e, "descriptors_refused_total") == 0


def test_newcomers_that_come_all_at_once_find_room_as_those_do_that_come_one_by_one(stack):
    """Each has something idle given up for him, however many one turn of the loop brings."""
    with starved(300, two_tenants(stack), 3) as e, contextlib.ExitStack() as flood:
        port = e.raw_port("acme")
        hold(flood, e, e.http_port, 9, f"GET / HTTP/1.1\r\nHost: web.{GLOBEX}\r\n\r\n".encode())
        hold(flood, e, port, 150)
        for count in range(250, 551, 100):
            os.kill(e.pid, signal.SIGSTOP)
            hold(flood, e, port, 100)
            os.kill(e.pid, signal.SIGCONT)
            eventually(lambda: e.tenant("acme")["accepted"] >= count)
        assert metric(e, "descriptors_refused_total") == 0


def test_a_tenant_all_of_whose_connections_are_used_leaves_room_for_the_others(stack):
    """It can't be made to give any up, so it gets no more than eight times what is left."""
    with starved(300, two_tenants(stack), 1) as e, contextlib.ExitStack() as flood:
        port, stop, held = e.raw_port("acme"), threading.Event(), []

        def talk():
            while not stop.wait(0.2):
                for wire in list(held):
                    with contextlib.suppress(OSError):
                        wire.send(b"x")
        talker = threading.Thread(target=talk)
        talker.start()
        try:
            for _ in range(130):
                with contextlib.suppress(OSError, Closed):
                    wire = e.connect(port)
                    wire.send(b"x")
                    wire.need(1)
                    held.append(flood.enter_context(wire))
            assert 60 < len(held) < 112  # of the 112 that clients may have
            for _ in range(10):
                assert e.status(WEB_OF_GLOBEX) == 200
            assert e.tenant("globex")["shed"] == 0 and metric(e, "descriptors_refused_total") >= 10
        finally:
            stop.set()
            talker.join()


@contextlib.contextmanager
def deaf_pod():
    """Its queue of connections is full: the kernel answers no more SYNs."""
    address, server = free_address(PORT)
    with server, contextlib.ExitStack() as fill:
        server.listen(0)
        for _ in range(4):
            s = fill.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex((address, PORT))
        yield types.SimpleNamespace(name="web", address=address, port=PORT)


def test_pods_that_never_answer_a_connect_leave_descriptors_to_the_other_tenants(stack):
    """Four connections of HTTP/2 ask a hundred times each; all connects hang. Without a budget they took every descriptor there is."""
    deaf = stack.enter_context(deaf_pod())
    files = {**two_tenants(stack), "acme.yaml": web_tenant("acme", deaf)}
    with starved(300, files, 1, timeouts={"connect": "2s"}) as e, contextlib.ExitStack() as many:
        asked = [H2(many.enter_context(e.connect()), f"web.{ACME}") for _ in range(4)]
        for c in asked:
            for stream in range(1, 200, 2):
                c.request(stream, scheme="http")
        eventually(lambda: e.tenant("acme")["descriptors"] > 20)
        for _ in range(10):
            assert e.status(WEB_OF_GLOBEX) == 200
        assert e.tenant("acme")["descriptors"] < 60  # a fifth of 225, and its clients
        statuses = {c.answer(stream).status for c in asked for stream in range(1, 200, 2)}
        assert statuses <= {"503", "504"}
        acme, globex = e.tenant("acme"), e.tenant("globex")
        assert acme["dialsRefused"] > 100 and globex["dialsRefused"] == 0 and globex["failures"] == 0
        eventually(lambda: e.tenant("acme")["descriptors"] <= 4)


def test_what_a_crowd_left_kept_to_its_pods_is_given_up_for_who_needs_it(stack):
    """Ninety connections to one tenant's pods wait for whoever asks next; the neighbour's crowd needs what they take, and gets it."""
    over = {name: threading.Event() for name in ("acme", "globex")}

    def waiting(name):
        def handle(wire):
            while wire.read_request():
                over[name].wait(30)
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return stack.enter_context(Pod(handle, name))
    pods_of = {name: waiting(name) for name in over}
    with starved(300, {f"{name}.yaml": web_tenant(name, p) for name, p in pods_of.items()}, 1) as e:
        def crowd(name, domain, count):
            with contextlib.ExitStack() as wires:
                asked = hold(wires, e, e.http_port, count, f"GET / HTTP/1.1\r\nHost: web.{domain}\r\n\r\n".encode())
                with contextlib.suppress(AssertionError):
                    eventually(lambda: pods_of[name].accepted == count, seconds=3)
                over[name].set()
                return [w.read_response().status for w in asked].count(200)
        assert crowd("acme", ACME, 90) == 90
        eventually(lambda: e.tenant("acme")["connections"] == 0)
        assert e.tenant("acme")["descriptors"] == 90
        assert crowd("globex", GLOBEX, 70) == 70
        assert e.tenant("globex")["shed"] == 0 and metric(e, "descriptors_refused_total") == 0


def test_connections_that_are_used_stay_whoever_comes(stack):
    """With one worker: with so few descriptors those that are used could be all that one of several has."""
    with starved(60, two_tenants(stack), 1) as e:
        port = e.raw_port("acme")
        with contextlib.ExitStack() as flood:
            busy = hold(flood, e, port, 10, b"x")
            for wire in busy:
                assert wire.need(1) == b"x"
            for _ in range(6):
                hold(flood, e, port, 20)
                time.sleep(0.2)
                for wire in busy:
                    wire.send(b"y")
                    assert wire.need(1) == b"y"
                assert e.status(WEB_OF_GLOBEX) == 200


def test_a_file_that_is_dropped_while_nothing_is_left_is_read_in_the_end(stack):
    """The control thread, too, has a share: it answers, and reads a tenant's file, under a flood that holds all it can get."""
    with starved(40, two_tenants(stack), 1) as e:
        more = stack.enter_context(EchoPod("more"))
        with contextlib.ExitStack() as flood:
            hold(flood, e, e.raw_port("acme"), 60)
            e.drop("hooli.yaml", web_tenant("hooli", more, host="web.hooli.1d.pt"))
            eventually(lambda: e.tenant("hooli") and e.status("http://web.hooli.1d.pt/") == 200)
            assert e.run("reload").returncode == 0
            assert e.tenant("hooli")["state"] == "ok"


def test_with_3_descriptors_one_after_the_other_is_served(stack):
    with starved(3, two_tenants(stack), 1) as e:
        assert [e.status(WEB_OF_GLOBEX) for _ in range(20)].count(200) >= 18
        with contextlib.ExitStack() as flood:
            hold(flood, e, e.http_port, 20)
            assert_does_not_spin(e)
            assert e.process.poll() is None
        eventually(lambda: e.status(WEB_OF_GLOBEX) == 200)
        assert e.tenant("globex")["state"] == "ok"


def test_an_administrator_who_finds_no_descriptor_does_not_make_the_control_thread_spin(stack):
    with Edge(two_tenants(stack)) as e:
        # From outside: fewer than are open, so that no call that needs one succeeds.
        resource.prlimit(e.pid, resource.RLIMIT_NOFILE, (12, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        waiting = hold(stack, e, e.admin_port, 3, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        hold(stack, e, e.http_port, 3)
        e.drop("late.yaml", web_tenant("globex", stack.enter_context(EchoPod("late")), host="late.late.1d.pt"))
        assert_does_not_spin(e)
        resource.prlimit(e.pid, resource.RLIMIT_NOFILE, (1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        assert [w.read_response().status for w in waiting] == [200, 200, 200]
        eventually(lambda: e.tenant("late"))
        assert e.status(WEB_OF_GLOBEX) == 200


def test_what_can_not_be_opened_is_said_and_opened_later(keeper, pods, authority, stack):  # noqa: F811
    """A certificate's files, a log that was moved, a tenant's file: none of them is given up, and nobody else notices."""
    web, log = web_tenant("globex", stack.enter_context(EchoPod("web"))), {"access": "json", "path": "moved.log"}
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods), "globex.yaml": web}, 1, authority, log=log) as e:
        e.keep(certificate("a", "acme", authority.issue(SHOP), SHOP))
        path = e.folder / "moved.log"
        asks, kept = e.connect(e.https_port), stack.enter_context(e.connect())

        def ask():
            kept.send(f"GET / HTTP/1.1\r\nHost: web.{GLOBEX}\r\n\r\n".encode())
            return kept.read_response().status
        assert ask() == 200
        eventually(lambda: f"web.{GLOBEX}" in path.read_text())
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.prlimit(e.pid, resource.RLIMIT_NOFILE, (12, most))
        asks.send(hello(SHOP))
        assert alert_of(asks.rest()) == INTERNAL_ERROR
        path.rename(e.folder / "old.log")
        os.kill(e.pid, signal.SIGUSR1)
        e.drop("late.yaml", web_tenant("late", pods, host="web.late.1d.pt", domain="late.1d.pt"))
        old = e.folder / "old.log"
        eventually(lambda: "the old file is written on" in old.read_text())
        assert ask() == 200 and old.read_text().count("Too many open files") >= 2
        resource.prlimit(e.pid, resource.RLIMIT_NOFILE, (most, most))
        assert eventually(lambda: e.tenant("late")) and ask() == 200
        eventually(lambda: e.status("http://web.late.1d.pt/") == 200)
        time.sleep(1.1)  # a name whose files could not be read is not asked for at once
        assert shown(e, SHOP) == {SHOP}
        os.kill(e.pid, signal.SIGUSR1)
        eventually(path.exists)
        assert ask() == 200
        eventually(lambda: f"web.{GLOBEX}" in path.read_text())
        uid = e.tenant("late")["uid"]
        e.restart()
        assert e.tenant("late")["uid"] == uid and shown(e, SHOP) == {SHOP}


def leave(e, free):
    """From now on the edge gets no more than that many descriptors, wherever holes are among those it has."""
    held = sorted(int(fd) for fd in os.listdir(f"/proc/{e.pid}/fd"))
    limit = next(n for n in range(1, 100_000) if n - sum(fd < n for fd in held) == free)
    resource.prlimit(e.pid, resource.RLIMIT_NOFILE, (limit, resource.prlimit(e.pid, resource.RLIMIT_NOFILE)[1]))


def test_looking_up_names_without_descriptors_fails_and_does_not_end_the_edge(stack):
    """libunbound's event library calls exit() when it can't wake itself up."""
    web, other = stack.enter_context(EchoPod("web")), stack.enter_context(EchoPod("other"))
    resolver, held = free_address(53)
    stack.enter_context(held)
    names = stack.enter_context(Names(resolver, {"web": web.address}))
    compose = yaml.safe_dump({"services": {"web": {"image": "x", "labels": {f"kr.ingress.{web.port}": "http://web.*"}}}})
    with Knot({"example.com": [f"shop CNAME {ACME}."]}) as dns, \
            Edge({"globex.yaml": web_tenant("globex", other)}, 1, **dns.edge()) as e:
        before = resource.prlimit(e.pid, resource.RLIMIT_NOFILE)
        for free in (4, 8, 12):
            leave(e, free)
            e.drop(f"acme{free}/compose.yaml", compose)
            e.drop(f"acme{free}/tenant.yaml", documents(
                grant(f"acme{free}", domain=f"acme{free}.1d.pt", network={"allow": ["127.0.0.0/8"], "dns": resolver})))
            e.drop("bound.yaml", tenant("bound", ingress(rule("shop.example.com", "web"), tls=["shop.example.com"]), domain=ACME))
            time.sleep(1)
            assert e.process.poll() is None and not names.asked and not dns.asked("shop.example.com")
            assert e.status(WEB_OF_GLOBEX) == 200
        resource.prlimit(e.pid, resource.RLIMIT_NOFILE, before)
        eventually(lambda: e.status("http://web.acme4.1d.pt/") == 200)
        eventually(lambda: e.run("domain", "recheck", "-n", "bound").returncode == 0 and dns.asked("shop.example.com"))


# ---- buffers ----

def ask_without_window(stack, e, connections, streams=100):
    """Big bodies of acme's on each stream, of which no client takes a byte."""
    asked = []
    for _ in range(connections):
        c = H2(stack.enter_context(e.connect()), f"web.{ACME}", auto=False, window=0)
        for stream in range(1, 2 * streams, 2):
            c.request(stream, scheme="http")
        asked.append(c)
    return asked


def timed_requests(e, url_host, seconds):
    """(how many, how many of them were 200, the slowest in seconds, the 99th percentile) of requests one after the other, each on a connection of its own."""
    statuses, times, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            with e.connect() as wire:
                wire.send(f"GET / HTTP/1.1\r\nHost: {url_host}\r\nConnection: close\r\n\r\n".encode())
                statuses.append(wire.read_response().status)
        except (OSError, Closed):
            statuses.append(0)
        times.append(time.monotonic() - begun)
    times.sort()
    return len(statuses), statuses.count(200), times[-1], times[len(times) * 99 // 100]


def test_clients_that_give_no_window_leave_buffers_to_the_other_tenants(stack):
    """What waits in a thousand streams of HTTP/2 would fill the worker's buffers eight times. It is acme's, and acme is read from less."""
    big = stack.enter_context(FloodPod("big"))
    files = {**two_tenants(stack), "acme.yaml": web_tenant("acme", big)}
    with Edge(files, 1, buffer_memory="16Mi").hold_nobody() as e, contextlib.ExitStack() as many:
        ask_without_window(many, e, 10)
        eventually(lambda: metric(e, 'worker_buffers_in_use{worker="0"}') > 4096 * 3 // 4)
        count, good, slowest, _ = timed_requests(e, f"web.{GLOBEX}", 2)
        assert good == count > 20 and slowest < 1
        assert e.tenant("acme")["buffers"] > 4096 * 3 // 4 and metric(e, 'worker_buffers_in_use{worker="0"}') < 4096 * 19 // 20
        assert e.tenant("globex")["failures"] == 0
        many.close()
        eventually(lambda: e.tenant("acme")["buffers"] == 0)
