# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants that all want more than there is get the same, however many connections they come with, and by whatever door.

Shares of the workers' time are counted, and no clock is read for a verdict. In the order in which events come a small crowd beside a large
one would be given one part in twenty-six."""
import resource
import select
import socket
import time

import pytest

from crowds import SinkPod, asks, crowds
from edge import Edge, eventually
from objects import ACME, GLOBEX, node_port, plain_ingress, pod, rule, service, tenant
from pod import EchoPod
from tls import alert_of, hello

SMALL, LARGE = f"web.{ACME}", f"web.{GLOBEX}"


def shop(name, host, server, *more):
    return tenant(name, pod(server, app="web"), service("web", target=server.port),
                  plain_ingress(rule(host, ("/only-this", "web"))), *more)


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


def test_a_few_busy_connections_by_name_get_their_share_beside_many_on_another_tenants_port():
    """Uploads without end, to a pod that takes them all."""
    with EchoPod("web") as p, SinkPod("db") as db:
        e = Edge({"acme.yaml": shop("acme", SMALL, p),
                  "globex.yaml": shop("globex", LARGE, p, pod(db, app="db"), node_port("db", target=db.port))}, workers=2)
        with e.hold_nobody(), crowds((e.http_port, asks(SMALL), 8), (e.raw_port("globex"), bytes(1 << 18), 120)):
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
