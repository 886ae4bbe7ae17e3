# SPDX-License-Identifier: GPL-3.0-or-later
"""Private networks: tenants whose pods have the same addresses, in namespaces and behind devices of their own, never meet."""
import os

import pytest
import yaml

from edge import Edge, eventually
from namespaces import Names, ip
from objects import ACME, GLOBEX, documents, grant, node_port, plain_ingress, pod, rule, service, tenant
from pod import EchoPod, TcpEchoPod

ADDRESS, RESOLVER = "10.11.0.5", "10.11.0.53"
PRIVATE = ["10.11.0.0/16"]


def pod_in(stack, spaces, space, kind, name):
    with spaces.inside(space):
        return stack.enter_context(kind(name, address=ADDRESS))


def web_in(name, server, domain, raw=(), **network):
    return tenant(name, pod(server, app="web"), service("web", target=server.port),
                  plain_ingress(rule(f"web.{domain}", "web")), *raw, network={"allow": PRIVATE, **network})


def test_two_tenants_with_the_same_pod_addresses_each_reach_their_own(spaces, stack, workers):
    a, b = spaces.add("a", ADDRESS), spaces.add("b", ADDRESS)
    of_a, of_b = pod_in(stack, spaces, a, EchoPod, "of-a"), pod_in(stack, spaces, b, EchoPod, "of-b")
    files = {"acme.yaml": web_in("acme", of_a, ACME, netns=a), "globex.yaml": web_in("globex", of_b, GLOBEX, netns=b)}
    with Edge(files, workers) as e:
        for _ in range(10):
            assert e.echo(f"http://web.{ACME}/")["pod"] == "of-a"
            assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "of-b"
        # The other network is no further away than a change, and kept connections of the old one are not used for it.
        e.drop("acme.yaml", web_in("acme", of_b, ACME, netns=b))
        eventually(lambda: e.echo(f"http://web.{ACME}/")["pod"] == "of-b")
        assert {e.echo(f"http://web.{ACME}/")["pod"] for _ in range(20)} == {"of-b"}


def test_a_pod_of_the_machines_own_network_is_not_reached_from_a_namespace(spaces, stack, workers):
    a = spaces.add("a")
    with EchoPod("outside") as outside:
        text = tenant("acme", pod(outside, app="web"), service("web", target=outside.port),
                      plain_ingress(rule(f"web.{ACME}", "web")), network={"allow": ["127.0.0.0/8"], "netns": a})
        with Edge({"acme.yaml": text}, workers) as e:
            assert e.status(f"http://web.{ACME}/") == 502
            assert outside.accepted == 0


def test_a_raw_port_leads_into_the_tenants_namespace_and_a_change_of_it_cuts(spaces, stack, workers):
    a, b = spaces.add("a", ADDRESS), spaces.add("b", ADDRESS)
    echo = pod_in(stack, spaces, a, TcpEchoPod, "raw")
    objects = [pod(echo), node_port("raw", target=echo.port)]
    with Edge({"acme.yaml": tenant("acme", *objects, network={"allow": PRIVATE, "netns": a})}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            wire.send(b"x")
            assert wire.need(1) == b"x"
            e.drop("acme.yaml", tenant("acme", *objects, network={"allow": PRIVATE, "netns": b}))
            with pytest.raises(ConnectionResetError):
                wire.rest()


def test_a_missing_namespace_is_told_and_is_its_tenants_alone(spaces, stack, workers):
    a, missing = spaces.add("a", ADDRESS), spaces.name("later")
    here = pod_in(stack, spaces, a, EchoPod, "here")
    files = {"acme.yaml": web_in("acme", here, ACME, netns=missing),
             "globex.yaml": web_in("globex", here, GLOBEX, netns=a)}

    def told(e):
        return [x for x in e.get("events", "-n", "acme") if x["reason"] == "NetworkMissing" and missing in x["message"]]
    with Edge(files, workers) as e:
        assert e.status(f"http://web.{ACME}/") == 503
        assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "here"
        assert told(e) and f"tenant acme: network namespace `{missing}` is not there" in e.log_text()
        assert not [x for x in e.get("events", "-n", "globex") if x["reason"] == "NetworkMissing"]
        # It is made while the edge runs: nothing is to be told to anyone.
        made = spaces.add("later", ADDRESS)
        pod_in(stack, spaces, made, EchoPod, "late")
        assert eventually(lambda: e.status(f"http://web.{ACME}/") == 200)
        assert e.echo(f"http://web.{ACME}/")["pod"] == "late" and not told(e)


def test_an_edge_that_became_another_user_says_that_it_can_not_enter(spaces, stack, workers):
    a = spaces.add("a", ADDRESS)
    here = pod_in(stack, spaces, a, EchoPod, "here")
    e = Edge({"acme.yaml": web_in("acme", here, ACME, netns=a)}, workers, user="nobody")
    os.chmod(e.folder, 0o755)
    with e:
        assert e.status(f"http://web.{ACME}/") == 503
        assert any("CAP_SYS_ADMIN" in x["message"] for x in e.get("events", "-n", "acme"))


def test_a_missing_device_is_told_and_is_its_tenants_alone(workers):
    with EchoPod("p") as p:
        def text(name, domain, **network):
            return tenant(name, pod(p, app="web"), service("web", target=p.port),
                          plain_ingress(rule(f"web.{domain}", "web")), network={"allow": ["127.0.0.0/8"], **network})
        files = {"acme.yaml": text("acme", ACME, device="wg-nowhere"), "globex.yaml": text("globex", GLOBEX)}
        with Edge(files, workers) as e:
            assert e.status(f"http://web.{ACME}/") == 503
            assert e.status(f"http://web.{GLOBEX}/") == 200
            assert any("wg-nowhere" in x["message"] for x in e.get("events", "-n", "acme"))


def test_devices_tell_two_networks_with_the_same_addresses_apart(spaces, stack, workers):
    hub, one, two = spaces.add("hub"), spaces.add("one"), spaces.add("two")
    spaces.cable(hub, "wg-one", "10.11.0.1", one, ADDRESS)
    spaces.cable(hub, "wg-two", "10.11.0.2", two, ADDRESS)
    of_one, of_two = pod_in(stack, spaces, one, EchoPod, "of-one"), pod_in(stack, spaces, two, EchoPod, "of-two")
    files = {"acme.yaml": web_in("acme", of_one, ACME, netns=hub, device="wg-one"),
             "globex.yaml": web_in("globex", of_two, GLOBEX, netns=hub, device="wg-two")}
    with Edge(files, workers) as e:
        for _ in range(10):
            assert e.echo(f"http://web.{ACME}/")["pod"] == "of-one"
            assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "of-two"
        ip("-n", hub, "link", "set", "wg-one", "down")
        e.drop("acme.yaml", web_in("acme", of_one, ACME, netns=hub, device="wg-one", raw=[service("more")]))
        assert e.status(f"http://web.{GLOBEX}/") == 200


def test_names_are_looked_up_inside_the_namespace(spaces, stack, workers):
    a, b = spaces.add("a", ADDRESS, RESOLVER), spaces.add("b", "10.11.0.6", RESOLVER)
    server = pod_in(stack, spaces, a, EchoPod, "of-a")
    with spaces.inside(b):
        other = stack.enter_context(EchoPod("of-b", address="10.11.0.6"))
        names_b = stack.enter_context(Names(RESOLVER, {"web": "10.11.0.6"}))
    with spaces.inside(a):
        names_a = stack.enter_context(Names(RESOLVER, {"web": ADDRESS}))

    def compose(port):
        return yaml.safe_dump({"services": {"web": {"image": "x", "labels": {f"kr.ingress.{port}": "http://web.*"}}}})

    def files(name, space):
        network = {"allow": PRIVATE, "netns": space, "dns": RESOLVER}
        return {f"{name}/tenant.yaml": documents(grant(name, network=network)), f"{name}/compose.yaml": compose(server.port)}
    assert server.port == other.port
    with Edge({**files("acme", a), **files("globex", b)}, workers) as e:
        eventually(lambda: e.status(f"http://web.{ACME}/") == 200 and e.status(f"http://web.{GLOBEX}/") == 200)
        assert e.echo(f"http://web.{ACME}/")["pod"] == "of-a"
        assert e.echo(f"http://web.{GLOBEX}/")["pod"] == "of-b"
    assert "web" in names_a.asked and "web" in names_b.asked


def test_the_edge_itself_stays_in_its_own_network(spaces, stack, workers):
    a = spaces.add("a", ADDRESS)
    here = pod_in(stack, spaces, a, EchoPod, "here")
    with Edge({"acme.yaml": web_in("acme", here, ACME, netns=a)}, workers) as e:
        assert e.echo(f"http://web.{ACME}/")["pod"] == "here"
        home = os.readlink("/proc/self/ns/net")
        threads = os.listdir(f"/proc/{e.pid}/task")
        assert {os.readlink(f"/proc/{e.pid}/task/{t}/ns/net") for t in threads} == {home}
