# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants that all want more than there is get the same, however many connections they come with, and by whatever door.

Shares of the workers' time are counted, and no clock is read for a verdict. In the order in which events come a small crowd beside a large
one would be given one part in twenty-six."""
import time

import pytest

from crowds import SinkPod, asks, crowds
from edge import Edge, eventually
from objects import ACME, GLOBEX, node_port, plain_ingress, pod, rule, service, tenant
from pod import EchoPod

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
