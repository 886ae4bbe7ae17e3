# SPDX-License-Identifier: GPL-3.0-or-later
"""Who harms the others is held, step by step, and let in again; and the operator's hand on raw ports. No story measures a
time: each waits for what must come."""
import json
import re
import socket

import pytest

from edge import Edge, eventually
from objects import ACME, GLOBEX, node_port, plain_ingress, pod, rule, service, tenant
from pod import EchoPod, TcpEchoPod


def port_row(e, tenant_name="acme", name=None):
    return next(p for p in e.get("ports") if p["tenant"] == tenant_name and name in (None, p["service"]))


def events_of(e, tenant_name="acme"):
    return [(v["object"], v["reason"], v["message"]) for v in e.get("events", "-n", tenant_name)]


def answers(e, port, data=b"ping"):
    """Does somebody echo there?"""
    try:
        with e.connect(port) as wire:
            wire.send(data)
            return wire.need(len(data)) == data
    except OSError:
        return False


def is_refused(e, port):
    try:
        with e.connect(port):
            return False
    except ConnectionRefusedError:
        return True


def hand(e, word, name, tenant_name="acme"):
    done = e.run("port", word, name, "-n", tenant_name)
    assert done.returncode == 0, done.stderr
    return done.stdout


def metric(e, name, **labels):
    with e.connect(e.admin_port) as wire:
        wire.send("GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
        text = wire.read_response().text
    inside = ",".join(f'{k}="{v}"' for k, v in labels.items())
    found = re.search(rf"^{name}{re.escape('{' + inside + '}')} (\S+)$", text, re.M)
    return float(found[1]) if found else None


def raw_and_names(tcp, web, **spec):
    """One tenant with a raw port and a name."""
    return tenant("acme", pod(tcp), node_port(tcp.name, target=tcp.port), pod(web), service(web.name, target=web.port),
                  plain_ingress(rule(f"web.{ACME}", web.name)), **spec)


# ---- the operator's hand ----
@pytest.fixture(scope="module")
def both(workers):
    with TcpEchoPod("db") as tcp, EchoPod("web") as web, Edge({"acme.yaml": raw_and_names(tcp, web)}, workers) as e:
        yield e, tcp


def test_the_operators_hand_shuts_a_port_resets_what_was_open_and_leaves_names_alone(both):
    e, _ = both
    port = e.raw_port("acme")
    with e.connect(port) as wire, e.connect() as kept:
        wire.send(b"x")
        assert wire.need(1) == b"x"
        kept.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
        assert kept.read_response().status == 200
        assert "shut" in hand(e, "shut", "db")
        with pytest.raises(ConnectionResetError):
            wire.need(1)
        kept.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
        assert kept.read_response().status == 200
    assert is_refused(e, port)
    row = port_row(e)
    assert (row["state"], row["reason"], row["until"]) == ("shut", "shut by the operator", None)
    assert ("Service/db", "PortShut") in [v[:2] for v in events_of(e)]
    assert metric(e, "ringress_port_state", tenant="acme", port=port) == 2
    assert metric(e, "ringress_port_shut_seconds_total", tenant="acme", port=port) >= 0
    assert e.status(f"http://web.{ACME}/") == 200
    told = e.run("describe", "port", "db", "-n", "acme").stdout
    assert re.search(r"State: +shut\nReason: +shut by the operator\n", told) and "PortShut" in told, told
    assert "open" in hand(e, "open", "db")
    eventually(lambda: answers(e, port))
    row = port_row(e)
    assert (row["state"], row["reason"], row["until"]) == ("open", None, None)
    assert metric(e, "ringress_port_state", tenant="acme", port=port) == 0


def test_what_the_operator_shut_stays_shut_over_a_restart_and_a_new_drop(both):
    e, tcp = both
    port = e.raw_port("acme")
    hand(e, "shut", f"db:{tcp.port}")
    e.restart()
    assert port_row(e)["state"] == "shut" and is_refused(e, port)
    text = (e.conf_d / "acme.yaml").read_text()
    e.drop("acme.yaml", text + "# the same\n")
    assert e.run("reload").returncode == 0
    assert port_row(e)["state"] == "shut" and is_refused(e, port)
    e.kill()
    e.start()
    assert port_row(e)["state"] == "shut" and is_refused(e, port)
    hand(e, "open", "db")
    eventually(lambda: answers(e, port))
    e.restart()
    assert port_row(e)["state"] == "open"
    eventually(lambda: answers(e, port))


def test_the_hand_says_what_it_can_not_do(both):
    e, _ = both
    for words, code, part in ((("shut", "db"), 2, "-n TENANT"), (("shut",), 2, "SERVICE"), (("close", "db", "-n", "acme"), 2, "open or shut"),
                              (("shut", "nothing", "-n", "acme"), 1, "no raw port of nothing"),
                              (("shut", "web", "-n", "acme"), 1, "no raw port of web"),
                              (("shut", "db:1", "-n", "acme"), 1, "no raw port"), (("shut", "db", "-n", "nobody"), 1, "no tenant nobody")):
        done = e.run("port", *words)
        assert done.returncode == code and part in done.stderr, (words, done)
    assert port_row(e)["state"] == "open"


def test_the_hand_answers_in_json(both):
    e, _ = both
    done = e.run("port", "shut", "db", "-n", "acme", "-o", "json")
    assert json.loads(done.stdout)[0]["state"] == "shut"
    done = e.run("port", "open", "db", "-n", "acme", "-o", "json")
    assert json.loads(done.stdout)[0]["state"] == "open"
