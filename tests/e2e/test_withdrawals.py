# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tenant loses ends at once: raw ports, passed-through names, WebSockets, pods outside its network. Nothing else does."""
import contextlib

import pytest

from edge import Edge, eventually
from objects import ACME, GLOBEX, ingress, node_port, plain_ingress, pod, rule, service, tenant
from pod import Pod, TcpEchoPod
from tls import hello

DB, WEB = f"db.{ACME}", f"web.{ACME}"
FILE = "acme.yaml"


class Keeper(Pod):
    """Sends every byte back, upgrades who asks for it, and keeps in `ends` how its connections ended."""

    def __init__(self, name, **options):
        self.ends = []
        super().__init__(self.keep, name, **options)

    def keep(self, wire):
        try:
            while data := wire.sock.recv(65536):
                if data.startswith(b"GET "):
                    data = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                wire.sock.sendall(data)
            self.ends.append("fin")
        except ConnectionResetError:
            self.ends.append("reset")


def answers(wire, text=b"ping"):
    wire.send(text)
    return wire.need(len(text)) == text


def is_reset(wire):
    """Within the patience of a test; an orderly end is not enough."""
    with pytest.raises(ConnectionResetError):
        wire.rest()
    return True


def raw(e, tenant_name, name):
    wire = e.connect(e.raw_port(tenant_name, name))
    assert answers(wire)
    return wire


def passed_through(e, name):
    """The pod sends the ClientHello back, which shows that the two are joined."""
    wire = e.connect(e.https_port)
    assert answers(wire, hello(name))
    return wire


def tunnel(e, host):
    wire = e.connect()
    wire.send(f"GET /chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert wire.read_response().status == 101 and answers(wire)
    return wire


def raw_objects(*servers):
    return [o for s in servers for o in (pod(s), node_port(s.name, target=s.port))]


def through_objects(server, host=DB, app=None):
    name = host.split(".")[0]
    return [pod(server, app=app or name, name=name), service(name, target=server.port, app=app or name),
            ingress(rule(host, name), name=name, tls_passthrough="true")]


@pytest.fixture
def everything(workers):
    """(edge, pod, the joined connections of acme by kind, one of globex)."""
    with Keeper("keep") as p, TcpEchoPod("other") as other:
        acme = tenant("acme", *raw_objects(p), *through_objects(p),
                      service("web", target=p.port, app="keep"), plain_ingress(rule(WEB, "web")))
        with Edge({FILE: acme, "globex.yaml": tenant("globex", *raw_objects(other))}, workers) as e:
            with contextlib.ExitStack() as stack:
                wires = {"raw": raw(e, "acme", "keep"), "through": passed_through(e, DB), "tunnel": tunnel(e, WEB),
                         "globex": raw(e, "globex", "other")}
                for wire in wires.values():
                    stack.enter_context(wire)
                yield e, p, wires


def test_a_removed_tenants_joined_connections_are_reset_at_both_ends_and_nobody_elses(everything):
    e, p, wires = everything
    e.remove(FILE)
    for kind in ("raw", "through", "tunnel"):
        assert is_reset(wires[kind]), kind
    assert eventually(lambda: len(p.ends) == 3 and p.ends) == ["reset"] * 3
    assert answers(wires["globex"])


def test_a_change_that_takes_nothing_back_ends_nothing(everything):
    e, p, wires = everything
    more = "---\napiVersion: v1\nkind: Service\nmetadata: {name: more}\nspec: {ports: [{port: 81}]}\n"
    e.drop(FILE, (e.conf_d / FILE).read_text() + more)
    eventually(lambda: "tenant acme: live" in e.log_text())
    for wire in wires.values():
        assert answers(wire)
    assert not p.ends


def test_a_tenant_whose_name_is_taken_again_at_once_does_not_inherit_connections(everything):
    e, _, wires = everything
    text = (e.conf_d / FILE).read_text()
    e.remove(FILE)
    eventually(lambda: e.tenant("acme") is None)
    e.drop(FILE, text)
    eventually(lambda: e.tenant("acme"))
    assert all(map(is_reset, (wires["raw"], wires["through"], wires["tunnel"])))


def test_a_raw_port_given_back_resets_its_connections_and_leaves_the_tenants_others(workers):
    with TcpEchoPod("one") as one, TcpEchoPod("two") as two:
        with Edge({FILE: tenant("acme", *raw_objects(one, two))}, workers) as e:
            with raw(e, "acme", "one") as first, raw(e, "acme", "two") as second:
                e.drop(FILE, tenant("acme", pod(one), service("one", target=one.port), *raw_objects(two)))
                assert is_reset(first)
                assert answers(second)


def test_a_passed_through_name_that_is_withdrawn_resets_its_connections_only(workers):
    cache = f"cache.{ACME}"
    with TcpEchoPod("p") as p:
        both = [*through_objects(p), *through_objects(p, cache)]
        with Edge({FILE: tenant("acme", *both)}, workers) as e:
            with passed_through(e, DB) as first, passed_through(e, cache) as second:
                e.drop(FILE, tenant("acme", *through_objects(p, cache)))
                assert is_reset(first)
                assert answers(second)


def test_a_name_whose_tls_is_to_end_here_from_now_on_resets_what_was_passed_through(workers):
    with TcpEchoPod("p") as p:
        objects = through_objects(p)
        with Edge({FILE: tenant("acme", *objects)}, workers) as e:
            with passed_through(e, DB) as wire:
                e.drop(FILE, tenant("acme", *objects[:2], ingress(rule(DB, "db"), name="db")))
                assert is_reset(wire)


def test_a_pod_outside_the_tenants_network_loses_its_connections(workers):
    with TcpEchoPod("in") as inside, TcpEchoPod("out") as outside:
        objects = raw_objects(inside, outside)
        with Edge({FILE: tenant("acme", *objects)}, workers) as e:
            with raw(e, "acme", "in") as kept, raw(e, "acme", "out") as lost:
                e.drop(FILE, tenant("acme", *objects, network={"allow": [f"{inside.address}/32"]}))
                assert is_reset(lost)
                assert answers(kept)


def test_a_pod_that_is_only_not_ready_any_more_keeps_its_connections(workers):
    with TcpEchoPod("p") as p, TcpEchoPod("q") as q:
        with Edge({FILE: tenant("acme", *raw_objects(p, q))}, workers) as e, raw(e, "acme", "p") as wire:
            e.drop(FILE, tenant("acme", pod(p, ready=False), node_port("p", target=p.port), pod(q)))
            eventually(lambda: any(b["state"] == "notReady" for b in e.get("backends")))
            assert answers(wire)


def test_a_running_request_of_a_removed_tenant_is_finished(workers):
    def slow(wire):
        while wire.read_request():
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
            eventually(lambda: gone)
            wire.send(b"67890")
    gone = []
    with Pod(slow, "slow") as p:
        text = tenant("acme", pod(p, app="web"), service("web", target=p.port), plain_ingress(rule(WEB, "web")))
        with Edge({FILE: text, "globex.yaml": tenant("globex", domain=GLOBEX)}, workers) as e, e.connect() as wire:
            wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
            wire.until(b"12345")
            e.remove(FILE)
            eventually(lambda: e.tenant("acme") is None)
            gone.append(True)
            assert wire.need(5) == b"67890"
