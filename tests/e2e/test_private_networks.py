# SPDX-License-Identifier: GPL-3.0-or-later
"""Private networks under hostile or careless hands: addresses that are not to be dialled, networks that go and come back as others.

The edge lives in a namespace of its own here where the machine's own addresses matter, so that the real machine is left alone."""
import contextlib

import pytest
import yaml

from edge import Edge, eventually
from namespaces import Names, ip
from objects import ACME, GLOBEX, documents, grant, node_port, plain_ingress, pod, rule, service, tenant
from pod import EchoPod, Pod, TcpEchoPod
from wire import Closed

ADDRESS, RESOLVER, OWN = "10.11.0.5", "10.11.0.53", "10.11.0.1"
PRIVATE = ["10.11.0.0/16"]


def pod_in(stack, spaces, space, kind, name, **options):
    with spaces.inside(space):
        return stack.enter_context(kind(name, **{"address": ADDRESS, **options}))


def web(name, server, domain, *more, raw=False, annotations=None, **network):
    one = service("web", target=server.port)
    if annotations:
        one["metadata"]["annotations"] = {f"ringress/{k}": v for k, v in annotations.items()}
    return tenant(name, pod(server, app="web"), one, plain_ingress(rule(f"web.{domain}", "web")),
                  *([node_port("raw", target=server.port, app="web")] if raw else []), *more,
                  network={"allow": PRIVATE, **network})


def reasons(e, name, reason):
    return [x["message"] for x in e.get("events", "-n", name) if x["reason"] == reason]


class At:
    """A pod that is only an address."""

    def __init__(self, address, port, name="pod"):
        self.address, self.port, self.name = address, port, name


# ---- what is not to be dialled ----

def test_the_machines_own_addresses_need_to_be_named_and_its_listeners_are_no_pods(spaces, stack):
    home = spaces.add("home", OWN, ADDRESS)
    with spaces.inside(home):
        here = stack.enter_context(EchoPod("here", address=OWN))
        with Edge({"acme.yaml": web("acme", here, ACME)}) as e:
            content = dict(e.content)
            content["listen"] = {"http": [f"0.0.0.0:{e.http_port}"], "https": [f"[::]:{e.https_port}"]}
            content["raw_tcp"] = {**content["raw_tcp"], "address": "0.0.0.0"}
            e.write_yaml(content)
            e.restart()

            def refusal():
                backend = e.get("backends")[0]
                return backend["state"] != "ready" and backend["reason"]
            assert "edge's own" in refusal() and e.status(f"http://web.{ACME}/") == 503
            e.drop("acme.yaml", web("acme", here, ACME, allow=[f"{OWN}/32"]))
            eventually(lambda: e.status(f"http://web.{ACME}/") == 200)
            ports = (e.http_port, e.https_port, e.admin_port, e.raw_first, e.raw_first + 7)
            for port in ports:
                address = "127.0.0.1" if port == e.admin_port else OWN
                e.drop("acme.yaml", web("acme", At(address, port), ACME, allow=[f"{OWN}/32", "127.0.0.1/32", *PRIVATE]))
                eventually(lambda: e.get("backends")[0]["address"].endswith(f":{port}"))
                assert "listeners" in refusal() and e.status(f"http://web.{ACME}/") == 503


def test_an_address_that_the_machine_gets_later_is_not_dialled_any_more(spaces, stack, workers):
    home, away = spaces.add("home"), spaces.add("away")
    spaces.cable(home, "veth-away", "10.11.0.2", away, ADDRESS)
    there = pod_in(stack, spaces, away, EchoPod, "there")
    with spaces.inside(home), Edge({"acme.yaml": web("acme", there, ACME)}, workers) as e:
        assert e.echo(f"http://web.{ACME}/")["pod"] == "there"
        ip("-n", home, "addr", "add", f"{ADDRESS}/32", "dev", "lo")
        eventually(lambda: "edge's own" in (e.get("backends")[0]["reason"] or ""))
        impostor = stack.enter_context(EchoPod("impostor", address=ADDRESS))
        assert e.status(f"http://web.{ACME}/") == 503
        assert not impostor.accepted
        ip("-n", home, "addr", "del", f"{ADDRESS}/32", "dev", "lo")
        impostor.stop()
        assert eventually(lambda: e.status(f"http://web.{ACME}/") == 200)
        assert e.echo(f"http://web.{ACME}/")["pod"] == "there"


def test_answers_of_a_hostile_resolver_are_judged_one_by_one_and_every_time(spaces, stack, workers):
    a = spaces.add("a", ADDRESS, RESOLVER, "10.99.0.1", "169.254.169.254")
    good = pod_in(stack, spaces, a, EchoPod, "good")
    evil = [pod_in(stack, spaces, a, EchoPod, f"evil-{i}", address=address)
            for i, address in enumerate(("10.99.0.1", "169.254.169.254", "127.0.0.1"))]
    with spaces.inside(a):
        names = stack.enter_context(Names(RESOLVER, {"web": [ADDRESS, *(p.address for p in evil)]}))
    compose = yaml.safe_dump({"services": {"web": {"image": "x", "labels": {f"kr.ingress.{good.port}": "http://web.*"}}}})
    network = {"allow": [*PRIVATE, "169.254.169.254/32"], "netns": a, "dns": RESOLVER}
    files = {"acme/tenant.yaml": documents(grant("acme", network=network)), "acme/compose.yaml": compose}
    with Edge(files, workers) as e:
        eventually(lambda: e.status(f"http://web.{ACME}/") == 200)
        assert {e.echo(f"http://web.{ACME}/")["pod"] for _ in range(20)} == {"good"}
        assert len(e.get("backends")) == 4 and sum(b["state"] == "ready" for b in e.get("backends")) == 1
        # The name turns to what was never allowed; the network is made anew, so that it is looked up again at once.
        names.names["web"] = [p.address for p in evil]
        again = spaces.again("a", ADDRESS, RESOLVER, "10.99.0.1", "169.254.169.254")
        evil += [pod_in(stack, spaces, again, EchoPod, "again", address="10.99.0.1")]
        with spaces.inside(again):
            stack.enter_context(Names(RESOLVER, names.names))
        eventually(lambda: len(e.get("backends")) == 3)
        assert not any(b["state"] == "ready" for b in e.get("backends"))
        assert e.status(f"http://web.{ACME}/") == 503
        assert not any(p.accepted for p in evil)


def test_a_check_that_is_redirected_goes_nowhere(workers):
    with EchoPod("other") as other:
        where = f"http://{other.address}:{other.port}/".encode()
        answer = b"HTTP/1.1 302 Found\r\nLocation: " + where + b"\r\nContent-Length: 0\r\n\r\n"

        def redirecting(wire):
            while wire.read_request():
                wire.send(answer)
        with Pod(redirecting, "p") as p:
            text = web("acme", p, ACME, allow=["127.0.0.0/8"],
                       annotations={"health-path": "/health", "health-status": "200", "health-interval": "1s"})
            with Edge({"acme.yaml": text}, workers) as e:
                eventually(lambda: "302" in (e.get("backends")[0]["reason"] or ""))
                assert not other.accepted


def test_two_tenants_behind_wireguard_with_the_same_addresses_never_meet(spaces, stack):
    """Each in its own namespace, one of them also bound to the tunnel's device; the tunnels end in processes, as containers have them."""
    pods, files = {}, {}
    for name, domain in (("acme", ACME), ("globex", GLOBEX)):
        near, far = spaces.add(f"{name}-near"), spaces.add(f"{name}-far")
        device = spaces.tunnel(near, OWN, far, ADDRESS)
        pods[name] = pod_in(stack, spaces, far, EchoPod, f"of-{name}")
        files[f"{name}.yaml"] = web(name, pods[name], domain, netns=near, **({"device": device} if name == "acme" else {}))
    with Edge(files) as e:
        for _ in range(10):
            assert e.echo(f"http://web.{ACME}/")["pod"] == "of-acme"
            assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "of-globex"
        # A tunnel whose process dies takes its device along: that tenant's trouble alone.
        spaces.tunnels[0].terminate()
        spaces.tunnels[0].wait()
        eventually(lambda: reasons(e, "acme", "NetworkMissing"))
        assert e.status(f"http://web.{ACME}/") == 503
        assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "of-globex"


def test_names_behind_two_devices_of_one_namespace_are_asked_for_through_each(spaces, stack, workers):
    """Both resolvers have one address, and the routing table knows only one of them."""
    hub, files, names = spaces.add("hub"), {}, {}
    for i, (name, domain) in enumerate((("acme", ACME), ("globex", GLOBEX))):
        far = spaces.add(f"far-{name}", RESOLVER)
        spaces.cable(hub, f"wg-{name}", f"10.11.0.{i + 1}", far, ADDRESS)
        server = pod_in(stack, spaces, far, EchoPod, f"of-{name}")
        with spaces.inside(far):
            names[name] = stack.enter_context(Names(RESOLVER, {"web": ADDRESS}))
        network = {"allow": PRIVATE, "netns": hub, "device": f"wg-{name}", "dns": RESOLVER}
        files[f"{name}/tenant.yaml"] = documents(grant(name, network=network))
        files[f"{name}/compose.yaml"] = yaml.safe_dump(
            {"services": {"web": {"image": "x", "labels": {f"kr.ingress.{server.port}": "http://web.*"}}}})
    with Edge(files, workers) as e:
        for domain, name in ((ACME, "acme"), (GLOBEX, "globex")):
            eventually(lambda: e.status(f"http://web.{domain}/") == 200)
            assert e.echo(f"http://web.{domain}/")["pod"] == f"of-{name}"
            assert names[name].asked


# ---- networks that go and come back ----

def test_a_namespace_that_vanishes_and_returns_is_another_and_hurts_nobody_else(spaces, stack, workers):
    a, b = spaces.add("a", ADDRESS), spaces.add("b", ADDRESS)
    old, other = pod_in(stack, spaces, a, EchoPod, "old"), pod_in(stack, spaces, b, EchoPod, "other")
    files = {"acme.yaml": web("acme", old, ACME, raw=True, netns=a), "globex.yaml": web("globex", other, GLOBEX, netns=b)}
    with Edge(files, workers) as e:
        with e.connect() as kept, e.connect(e.raw_port("acme")) as joined:
            def ask():
                kept.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n".encode())
                return kept.read_response("GET")
            assert ask().status == 200 and len(old.requests) == 1
            joined.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert joined.read_response("GET").status == 200
            ip("netns", "delete", a)
            eventually(lambda: reasons(e, "acme", "NetworkMissing"))
            assert ask().status == 503  # though the old pod still lives and its connection was kept
            with pytest.raises(ConnectionResetError):
                joined.rest()
            assert e.tenant("acme")["network"] == "missing" and a in e.tenant("acme")["networkReason"]
            assert e.get("backends", "-n", "acme")[0]["state"] == "notReady"
            assert "NetworkMissing" in e.run("describe", "tenant", "acme").stdout
            assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "other"
            assert e.tenant("globex")["network"] == "ok" and not reasons(e, "globex", "NetworkMissing")
            asked = len(old.requests)
            spaces.again("a", ADDRESS)
            pod_in(stack, spaces, a, EchoPod, "new")
            eventually(lambda: e.status(f"http://web.{ACME}/") == 200)
            assert {e.echo(f"http://web.{ACME}/")["pod"] for _ in range(10)} == {"new"}
            assert ask().status == 200 and len(old.requests) == asked
            assert reasons(e, "acme", "NetworkFound") and not reasons(e, "acme", "NetworkMissing")
            assert e.tenant("acme")["network"] == "ok"


def test_what_was_known_of_pods_in_the_earlier_network_is_not_held_against_the_later_one(spaces, stack):
    a = spaces.add("a", ADDRESS)
    with spaces.inside(a):
        gone = EchoPod("gone", address=ADDRESS)
    gone.stop()
    text = web("acme", gone, ACME, netns=a, annotations={"health-check": "tcp", "health-interval": "1s"})
    with Edge({"acme.yaml": text}) as e:
        eventually(lambda: e.get("backends")[0]["state"] == "notReady")
        ip("netns", "delete", a)
        spaces.again("a", ADDRESS)
        pod_in(stack, spaces, a, EchoPod, "new")
        eventually(lambda: e.status(f"http://web.{ACME}/") == 200)
        assert e.get("backends")[0]["failures"] == 0


def test_a_device_that_vanishes_and_returns_is_another(spaces, stack, workers):
    hub, one, two = spaces.add("hub"), spaces.add("one"), spaces.add("two")
    spaces.cable(hub, "wg-one", OWN, one, ADDRESS)
    old = pod_in(stack, spaces, one, EchoPod, "old")
    spaces.cable(hub, "wg-two", "10.11.0.2", two, ADDRESS)
    other = pod_in(stack, spaces, two, EchoPod, "other")
    files = {"acme.yaml": web("acme", old, ACME, netns=hub, device="wg-one"),
             "globex.yaml": web("globex", other, GLOBEX, netns=hub, device="wg-two")}
    with Edge(files, workers) as e:
        assert e.echo(f"http://web.{ACME}/")["pod"] == "old"
        ip("-n", hub, "link", "delete", "wg-one")
        eventually(lambda: reasons(e, "acme", "NetworkMissing"))
        assert "wg-one" in reasons(e, "acme", "NetworkMissing")[0] and e.status(f"http://web.{ACME}/") == 503
        assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "other"
        later = spaces.add("later")
        spaces.cable(hub, "wg-one", OWN, later, ADDRESS)
        pod_in(stack, spaces, later, EchoPod, "new")
        eventually(lambda: e.status(f"http://web.{ACME}/") == 200)
        assert {e.echo(f"http://web.{ACME}/")["pod"] for _ in range(10)} == {"new"}
        assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "other"


def test_the_edges_own_namespace_under_a_name_is_no_private_network(spaces, stack):
    home = spaces.add("home", OWN)
    with spaces.inside(home):
        here = stack.enter_context(EchoPod("here", address=OWN))
        with Edge({"acme.yaml": web("acme", here, ACME, netns=home)}) as e:
            assert e.status(f"http://web.{ACME}/") == 503
            assert "edge's own" in reasons(e, "acme", "NetworkMissing")[0]
            assert not here.accepted


def test_ports_that_run_out_towards_a_pod_are_its_tenants_trouble_and_no_fault_of_the_pod(spaces, stack, workers):
    """Six outgoing ports in one namespace, all held: the next connection is refused, the others' are not, and it heals."""
    a, b = spaces.add("a", ADDRESS), spaces.add("b", ADDRESS)
    spaces.run(a, "sysctl", "-qw", "net.ipv4.ip_local_port_range=50000 50005")
    raw, other = pod_in(stack, spaces, a, TcpEchoPod, "raw"), pod_in(stack, spaces, b, EchoPod, "other")
    files = {"acme.yaml": web("acme", raw, ACME, raw=True, netns=a), "globex.yaml": web("globex", other, GLOBEX, netns=b)}
    with Edge(files, workers) as e:
        port = e.raw_port("acme")

        def works(port):
            with contextlib.suppress(OSError), e.connect(port) as wire:
                wire.send(b"x")
                return wire.sock.recv(1) == b"x"
        with contextlib.ExitStack() as stack_of_held:
            held = [stack_of_held.enter_context(e.connect(port)) for _ in range(6)]
            for wire in held:
                wire.send(b"x")
                assert wire.need(1) == b"x"
            assert not works(port)
            assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "other"
            assert e.get("backends", "-n", "acme")[0]["state"] == "ready"
            eventually(lambda: any("port" in m for m in reasons(e, "acme", "PortsExhausted")))
            assert not reasons(e, "globex", "PortsExhausted")
            for wire in held:
                wire.reset()  # an orderly end would keep each port for a minute
        eventually(lambda: works(port))


def test_ports_towards_a_pod_that_two_tenants_share_are_shared_too(spaces, stack, workers):
    """Ninety outgoing ports, and one who would have them all: he has 8/9, the other gets his, and only the greedy one is told."""
    space = spaces.add("a", ADDRESS)
    spaces.run(space, "sysctl", "-qw", "net.ipv4.ip_local_port_range=50000 50089")
    raw = pod_in(stack, spaces, space, TcpEchoPod, "raw")
    files = {f"{name}.yaml": web(name, raw, domain, raw=True, netns=space) for name, domain in (("acme", ACME), ("globex", GLOBEX))}
    with Edge(files, workers).hold_nobody() as e, contextlib.ExitStack() as held:
        def opened(port, count):
            good = 0
            for _ in range(count):
                with contextlib.suppress(OSError, Closed):
                    wire = held.enter_context(e.connect(port))
                    wire.send(b"x")
                    good += wire.need(1) == b"x"
            return good
        assert 79 <= opened(e.raw_port("acme"), 95) <= 82
        assert opened(e.raw_port("globex"), 5) == 5
        eventually(lambda: reasons(e, "acme", "PortsExhausted"))
        assert not reasons(e, "globex", "PortsExhausted")
        assert e.get("backends", "-n", "acme")[0]["state"] == "ready"
