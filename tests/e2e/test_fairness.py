# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants that all want more than there is get the same, however many connections they come with.

Shares of the workers' time are counted, and no clock is read for a verdict. Each crowd sends pipelined requests to a path that its
tenant's rules do not have, so that the edge itself answers and no pod is what limits, and always has more on its way than is
answered. In the order in which events come the small crowd would be given one part in twenty-six."""
import contextlib
import multiprocessing
import resource
import select
import selectors
import socket
import time

import pytest

from edge import Edge, eventually
from objects import ACME, GLOBEX, plain_ingress, pod, rule, service, tenant
from pod import EchoPod
from tls import alert_of, hello

SMALL, LARGE = f"web.{ACME}", f"web.{GLOBEX}"


def shop(name, host, server):
    return tenant(name, pod(server, app="web"), service("web", target=server.port),
                  plain_ingress(rule(host, ("/only-this", "web"))))


def crowd(port, block, connections, stop):
    """Keeps every connection supplied with `block` again and again, and reads whatever comes, until told to stop."""
    pending, chooser = {}, selectors.DefaultSelector()
    for _ in range(connections):
        s = socket.create_connection(("127.0.0.1", port), timeout=10)
        s.setblocking(False)
        pending[s] = memoryview(block)
        chooser.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE)
    while not stop.is_set():
        for key, events in chooser.select(0.2):
            s = key.fileobj
            with contextlib.suppress(BlockingIOError):
                if events & selectors.EVENT_READ and not s.recv(1 << 18):
                    raise ConnectionError("the edge has closed a connection")
                if events & selectors.EVENT_WRITE:
                    pending[s] = pending[s][s.send(pending[s]):] or memoryview(block)


@contextlib.contextmanager
def crowds(*who):
    stop = multiprocessing.Event()
    running = [multiprocessing.Process(target=crowd, args=(*one, stop), daemon=True) for one in who]
    for p in running:
        p.start()
    try:
        yield running
        assert all(p.is_alive() for p in running)
    finally:
        stop.set()
        for p in running:
            p.join(10)
            p.kill()


def asks(host):
    return f"GET /elsewhere HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() * 2000


def worked(e, name):
    return e.tenant(name)["loopSeconds"]


def share(e, small, large, seconds=4):
    """Of the time that both were given meanwhile, what the small one was."""
    eventually(lambda: worked(e, small) and worked(e, large))
    time.sleep(1)  # until all of them have come
    before = worked(e, small), worked(e, large)
    time.sleep(seconds)
    given = worked(e, small) - before[0], worked(e, large) - before[1]
    return given[0] / sum(given)


@pytest.mark.parametrize("workers,few,many", [(1, 4, 100), (2, 8, 120)])
def test_a_few_busy_connections_get_as_much_as_many_of_another_tenant(workers, few, many):
    with EchoPod("web") as p:
        e = Edge({"acme.yaml": shop("acme", SMALL, p), "globex.yaml": shop("globex", LARGE, p)}, workers)
        with e.hold_nobody(), crowds((e.http_port, asks(SMALL), few), (e.http_port, asks(LARGE), many)):
            assert share(e, "acme", "globex") > 0.2


# ---- TLS handshakes ----
FLOOD, ACCESS_DENIED = 6000, 49


@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < FLOOD + 1000:
        pytest.skip(f"no more than {before[1]} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def readable(sockets):
    poll = select.poll()
    for s in sockets:
        poll.register(s, select.POLLIN)
    return [fd for fd, _ in poll.poll(0)]


def test_a_flood_of_hellos_for_one_tenants_name_waits_in_its_own_line(authority, many_descriptors, stack):
    """Of six thousand that come at once, those that find no place are told so before any cryptography; a neighbour's that comes after
    all of them is done while most of them wait."""
    p = stack.enter_context(EchoPod("web"))
    e = Edge({"acme.yaml": shop("acme", SMALL, p), "globex.yaml": shop("globex", LARGE, p)}, 1, authority,
             certificates=[(f"*.{ACME}",), (f"*.{GLOBEX}",)]).hold_nobody()
    stack.enter_context(e)
    flood = [stack.enter_context(socket.create_connection(("127.0.0.1", e.https_port))) for _ in range(FLOOD)]
    for _ in range(3):  # resumed or not: the neighbour's own are served
        assert e.status(f"https://{SMALL}/only-this") == 200
    first = hello(LARGE)
    for s in flood:
        s.send(first)
    with e.connect_tls(SMALL) as wire:
        answered = len(readable(flood))
        wire.send(f"GET /only-this HTTP/1.1\r\nHost: {SMALL}\r\n\r\n")
        assert wire.read_response().status == 200
    assert answered < FLOOD
    eventually(lambda: len(readable(flood)) == FLOOD)
    alerts = [a for a in (s.recv(7) for s in flood) if a[0] == 21]
    assert alerts and {alert_of(a) for a in alerts} == {ACCESS_DENIED}
    acme, globex = e.tenant("acme"), e.tenant("globex")
    assert globex["handshakesRefused"] == len(alerts) and globex["handshakes"] == FLOOD - len(alerts)
    assert acme["handshakesRefused"] == 0 and acme["handshakes"] == 4
