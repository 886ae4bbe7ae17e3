# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants that all want more than there is get the same, however many connections they come with.

Shares of the workers' time are counted, and no clock is read for a verdict. Each crowd sends pipelined requests to a path that its
tenant's rules do not have, so that the edge itself answers and no pod is what limits, and always has more on its way than is
answered. In the order in which events come the small crowd would be given one part in twenty-six."""
import contextlib
import multiprocessing
import selectors
import socket
import time

import pytest

from edge import Edge, eventually
from objects import ACME, GLOBEX, plain_ingress, pod, rule, service, tenant
from pod import EchoPod

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
