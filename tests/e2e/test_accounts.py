# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts: whose time, bytes, descriptors and connections they were. docs/accounts.md says how they are divided."""
import contextlib
import pathlib
import re
import threading

import pytest

from edge import PATIENCE, Edge, eventually
from h2 import H2
from objects import ACME, GLOBEX, ingress, node_port, plain_ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod, Pod, TcpEchoPod, answering

WEB, OTHER = f"web.{ACME}", f"web.{GLOBEX}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100


def metrics(e):
    """{(name, labels as they stand): value}"""
    with e.connect(e.admin_port) as wire:
        wire.send("GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n")
        text = wire.read_response().text
    return {(m[1], m[2] or ""): float(m[3]) for m in re.finditer(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.M)}


def port_of(e, name, service_name):
    return next(p for p in e.get("ports") if p["tenant"] == name and p["service"] == service_name)


def settled(e, probe):
    """The figure, when a window has been folded since it last moved."""
    seen = []

    def still():
        seen.append(probe(e))
        return len(seen) > 8 and seen[-1] == seen[-8]
    eventually(still, every=0.05)
    return seen[-1]


def thread_seconds(e):
    """{worker: processor time of its thread}, as the kernel counts it."""
    out = {}
    for task in pathlib.Path(f"/proc/{e.pid}/task").iterdir():
        name = (task / "comm").read_text().split()
        if name[0] == "worker":
            out[int(name[1])] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return out


def raw_tenant(name, *servers):
    return tenant(name, *(o for s in servers for o in (pod(s), node_port(s.name, target=s.port))))


def ask(e, host, times):
    with e.connect() as wire:
        for _ in range(times):
            wire.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
            assert wire.read_response().status == 200


def together(*calls):
    """Each in a thread of its own; what fails in one fails here."""
    failed = []

    def run(call):
        try:
            call()
        except BaseException as problem:  # told below
            failed.append(problem)
    threads = [threading.Thread(target=run, args=(c,)) for c in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


# ---- time ----
def by_worker(got, name):
    return {int(labels.split('"')[1]): v for (n, labels), v in got.items() if n == name}


def own_seconds(e):
    return sum(by_worker(metrics(e), "ringress_worker_own_seconds_total").values())


@pytest.fixture(scope="module")
def loaded(authority, workers):
    """(edge, tenants' seconds, what the workers had of their own before) after seconds of every kind of work."""
    with Pod(answering(ANSWER), "web") as web, Pod(answering(ANSWER), "other") as other, TcpEchoPod("raw") as raw:
        acme = tenant("acme", pod(web), service("web", target=web.port), pod(raw), node_port("raw", target=raw.port),
                      plain_ingress(rule(WEB, "web"), name="plain"), ingress(rule(f"safe.{ACME}", "web"), name="safe", tls=[f"safe.{ACME}"]))
        with Edge({"acme.yaml": acme, "globex.yaml": web_tenant("globex", other)}, workers, authority=authority,
                  certificates=[(f"*.{ACME}",)]) as e:
            number, start = e.raw_port("acme"), own_seconds(e)

            def raw_bytes():
                with e.connect(number) as wire:
                    for _ in range(30):
                        wire.send(b"x" * 50_000)
                        wire.need(50_000)

            def handshakes():
                for _ in range(30):
                    with e.connect_tls(f"safe.{ACME}") as wire:
                        wire.send(f"GET / HTTP/1.1\r\nHost: safe.{ACME}\r\n\r\n")
                        assert wire.read_response().status == 200

            def connections():
                for _ in range(80):
                    ask(e, WEB, 1)
            together(lambda: ask(e, WEB, 600), lambda: ask(e, OTHER, 600), raw_bytes, handshakes, connections)
            own = settled(e, lambda e: sum(t["loopSeconds"] for t in e.get("tenants")))
            yield e, own, start


def test_all_of_each_workers_processor_time_is_somebodys(loaded):
    e, *_ = loaded
    got = metrics(e)
    tenants, own = (by_worker(got, f"ringress_worker_{x}_seconds_total") for x in ("tenants", "own"))
    kernel = thread_seconds(e)
    assert set(kernel) == set(tenants) == set(own)
    for worker, seconds in kernel.items():
        charged = tenants[worker] + own[worker]
        assert abs(charged - seconds) <= 0.05 * seconds + 0.002, (worker, charged, seconds)
    of_tenants = sum(v for (name, _), v in got.items() if name == "ringress_loop_seconds_total")
    assert abs(of_tenants - sum(tenants.values())) <= 0.01 * of_tenants + 0.002


def test_hardly_anything_that_tenants_cause_is_nobodys(loaded):
    e, _, start = loaded
    own = own_seconds(e) - start  # nobody caused that: three workers' is as much as a fast machine has to do here for tenants
    tenants = sum(by_worker(metrics(e), "ringress_worker_tenants_seconds_total").values())
    assert own < 0.25 * (tenants + own), (own, tenants)


def test_what_a_tenant_costs_is_seen_for_its_raw_port_too(loaded):
    e, *_ = loaded
    acme, port = e.tenant("acme"), port_of(e, "acme", "raw")
    assert 0 < port["loopSeconds"] < acme["loopSeconds"]
    assert port["bytesIn"] == port["podBytesOut"] == port["podBytesIn"] == port["bytesOut"] == 1_500_000
    assert acme["handshakes"] == 30 and e.tenant("globex")["handshakes"] == 0
    wide = e.run("get", "tenants", "-o", "wide").stdout
    head, row = (line.split() for line in wide.splitlines()[:2])
    assert {"PODIN", "PODOUT", "DESCRIPTORS", "BUFFERS", "SECONDS"} <= set(head)
    assert abs(float(row[head.index("SECONDS")]) - acme["loopSeconds"]) < 0.05


def test_each_kind_of_work_by_itself_is_charged_to_its_tenant(loaded):
    """In a mixture one kind could be charged too much for what another is charged too little."""
    e, *_ = loaded
    context = e.context()
    context.set_alpn_protocols(["h2"])

    def bulk():
        with e.connect(e.raw_port("acme")) as wire:
            for _ in range(400):
                wire.send(b"x" * 100_000)
                wire.need(100_000)

    def churn():
        for _ in range(300):
            with e.connect(e.raw_port("acme")) as wire:
                wire.send(b"x")
                wire.need(1)

    def handshakes():
        for _ in range(40):
            e.connect_tls(f"safe.{ACME}").sock.close()

    def streams():
        with e.connect_tls(f"safe.{ACME}", context) as wire:
            h2 = H2(wire, f"safe.{ACME}")
            for first in range(1, 4000, 100):
                for stream in range(first, first + 100, 2):
                    h2.request(stream)
                assert all(h2.answer(stream).status == "200" for stream in range(first, first + 100, 2))
    for work in (lambda: ask(e, WEB, 1500), bulk, churn, handshakes, streams):
        before, tenants = sum(thread_seconds(e).values()), sum(t["loopSeconds"] for t in e.get("tenants"))
        work()
        charged = settled(e, lambda e: sum(t["loopSeconds"] for t in e.get("tenants"))) - tenants
        spent = sum(thread_seconds(e).values()) - before
        assert 0.7 * spent - 0.002 <= charged <= 1.05 * spent + 0.002, (work, charged, spent)


def test_who_asks_far_more_is_charged_far_more(workers):
    """Not in proportion: a request that comes alone costs a turn of the loop, and those that come together share one."""
    with Pod(answering(ANSWER), "web") as web, Pod(answering(ANSWER), "other") as other, \
            Edge({"acme.yaml": web_tenant("acme", web), "globex.yaml": web_tenant("globex", other)}, workers) as e:
        together(lambda: ask(e, WEB, 4000), lambda: ask(e, OTHER, 200))
        settled(e, lambda e: e.tenant("acme")["loopSeconds"])
        many, few = e.tenant("acme")["loopSeconds"], e.tenant("globex")["loopSeconds"]
        assert many > 2 * few, (many, few)


# ---- what is held and moved ----
def test_bytes_sockets_and_silence_of_each_raw_port_are_its_own(workers):
    with TcpEchoPod("one") as one, TcpEchoPod("two") as two, EchoPod("web") as web, \
            Edge({"acme.yaml": raw_tenant("acme", one, two), "globex.yaml": web_tenant("globex", web)}, workers) as e:
        first, second = (port_of(e, "acme", s)["publicPort"] for s in ("one", "two"))
        with e.connect(first) as a, e.connect(second) as b, e.connect(second):
            a.send(b"x" * 70_000)
            a.need(70_000)
            b.send(b"y" * 10)
            b.need(10)

            def held():
                ports = {s: port_of(e, "acme", s) for s in ("one", "two")}
                return [(p["connections"], p["accepted"], p["descriptors"], p["silent"], p["bytesIn"], p["bytesOut"],
                         p["podBytesIn"], p["podBytesOut"]) for p in ports.values()]
            eventually(lambda: held() == [(1, 1, 2, 0, 70_000, 70_000, 70_000, 70_000), (2, 2, 4, 1, 10, 10, 10, 10)])
            whole = e.tenant("acme")
            assert (whole["connections"], whole["descriptors"], whole["silent"], whole["bytesIn"]) == (3, 6, 1, 70_010)
            a.reset()
            eventually(lambda: port_of(e, "acme", "one")["resets"] == 1)
        eventually(lambda: e.tenant("acme")["descriptors"] == 0 and e.tenant("acme")["silent"] == 0)
        assert port_of(e, "acme", "two")["resets"] == 0
        assert e.tenant("globex")["accepted"] == e.tenant("globex")["bytesIn"] == 0


def test_a_kept_connection_to_a_pod_is_a_descriptor_of_its_tenant(workers):
    with EchoPod("web") as web, Edge({"acme.yaml": web_tenant("acme", web)}, workers) as e:
        with e.connect() as wire:
            wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
            assert wire.read_response().status == 200
            eventually(lambda: e.tenant("acme")["descriptors"] == 2)
        eventually(lambda: e.tenant("acme")["descriptors"] == 1)
        t = e.tenant("acme")
        assert t["podBytesOut"] > 0 and t["podBytesIn"] > 0
        e.drop("acme.yaml", tenant("acme"))
        eventually(lambda: e.tenant("acme")["descriptors"] == 0)


def test_bytes_and_sockets_of_before_the_name_was_known_are_the_tenants(workers, authority):
    """Hello and head come in pieces: until the last of them nobody knows whose connection it is."""
    with EchoPod("web") as web, Edge({"acme.yaml": web_tenant("acme", web)}, workers) as e:
        head = f"GET / HTTP/1.1\r\nHost: {WEB}\r\nX-Long: {'x' * 900}\r\n\r\n".encode()
        with e.connect() as wire:
            wire.send(head[:20])
            eventually(lambda: metrics(e)["ringress_worker_connections", 'worker="0"'] >= 0)
            assert e.tenant("acme")["accepted"] == 0
            wire.send(head[20:])
            assert wire.read_response().status == 200
            t = e.tenant("acme")
            assert (t["accepted"], t["connections"], t["bytesIn"], t["silent"]) == (1, 1, len(head), 0)


def test_who_is_not_let_in_has_come_nonetheless(workers):
    with TcpEchoPod("raw") as raw:
        acme = tenant("acme", pod(raw), node_port("raw", target=raw.port), limits={"connections": 2})
        with Edge({"acme.yaml": acme}, workers) as e:
            number = e.raw_port("acme")
            with e.connect(number) as a, e.connect(number) as b:
                for wire in (a, b):
                    wire.send(b"x")
                    wire.need(1)
                for _ in range(5):
                    with contextlib.suppress(ConnectionResetError), e.connect(number) as c:
                        c.need(1)
                eventually(lambda: port_of(e, "acme", "raw")["accepted"] == 7)
                port = eventually(lambda: (p := port_of(e, "acme", "raw"))["descriptors"] == 4 and p)
                assert (port["connections"], port["connectionsTotal"]) == (2, 2)


# ---- accounts come and go ----
COUNTERS = ("accepted", "connectionsTotal", "bytesIn", "bytesOut", "podBytesIn", "podBytesOut", "loopSeconds")


def test_no_counter_of_a_tenant_falls_when_a_port_ends_or_comes_back(workers):
    with TcpEchoPod("one") as one, TcpEchoPod("two") as two, Edge({"acme.yaml": raw_tenant("acme", one, two)}, workers) as e:
        least = dict.fromkeys(COUNTERS, 0)

        def look():
            t = e.tenant("acme")
            for name in COUNTERS:
                assert t[name] >= least[name], (name, t[name], least[name])
                least[name] = t[name]
            return t
        number = port_of(e, "acme", "one")["publicPort"]
        for turn in range(3):
            with e.connect(number) as wire:
                wire.send(b"x" * 5000)
                wire.need(5000)
                look()
                e.drop("acme.yaml", raw_tenant("acme", two))  # in the midst of it: the connection is reset
                with pytest.raises(ConnectionResetError):
                    wire.need(1)
            eventually(lambda: look() and len(e.get("ports")) == 1)
            eventually(lambda: look()["descriptors"] == 0)
            for _ in range(10):
                look()
            e.drop("acme.yaml", raw_tenant("acme", one, two))
            eventually(lambda: look() and any(p["publicPort"] == number and p["state"] == "open" for p in e.get("ports")))
        assert look()["bytesIn"] == 15_000 and look()["accepted"] == 3


def test_a_dropped_file_with_the_same_port_goes_on_counting(workers):
    with TcpEchoPod("one") as one, Edge({"acme.yaml": raw_tenant("acme", one)}, workers) as e:
        number = e.raw_port("acme")
        for turn in range(1, 4):
            with e.connect(number) as wire:
                wire.send(b"x" * 100)
                wire.need(100)
            e.drop("acme.yaml", raw_tenant("acme", one) + f"# {turn}\n")
            assert eventually(lambda: (p := port_of(e, "acme", "one"))["accepted"] == turn and p)["bytesIn"] == 100 * turn


def test_a_name_that_is_used_again_inherits_no_account_and_what_ran_pays_to_the_old_one(workers):
    def slow(wire):
        wire.read_request()
        go.wait(PATIENCE)
        wire.send(ANSWER)
    go = threading.Event()
    with Pod(slow, "web") as web, Edge({"acme.yaml": web_tenant("acme", web)}, workers) as e:
        with e.connect() as wire:
            wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
            eventually(lambda: e.tenant("acme")["descriptors"] == 2)
            e.remove("acme.yaml")
            eventually(lambda: not e.tenant("acme"))
            e.drop("acme.yaml", web_tenant("acme", web))
            eventually(lambda: e.tenant("acme"))
            t = e.tenant("acme")
            assert (t["accepted"], t["connections"], t["descriptors"]) == (0, 0, 0)
            go.set()
            assert wire.read_response().status == 200
            wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")  # the connection goes on, and is the new tenant's
            assert wire.read_response().status == 200
            eventually(lambda: (t := e.tenant("acme"))["connections"] == t["requests"] == 1 and t["descriptors"])
        eventually(lambda: (t := e.tenant("acme"))["connections"] == t["descriptors"] == 0)


def test_metrics_of_accounts_are_counters_and_gauges_that_add_up(workers):
    with TcpEchoPod("one") as one, Edge({"acme.yaml": raw_tenant("acme", one)}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            wire.send(b"z" * 1234)
            wire.need(1234)
            label = 'tenant="acme"'
            got = eventually(lambda: (m := metrics(e))["ringress_pod_bytes_in_total", label] == 1234 and m)
            assert got["ringress_descriptors", label] == 2 and got["ringress_accepted_total", label] == 1
            assert got["ringress_pod_bytes_out_total", label] == got["ringress_bytes_in_total", label] == 1234
            eventually(lambda: metrics(e)["ringress_bytes_out_total", label] == 1234)
            assert got["ringress_silent_connections", label] == got["ringress_resets_total", label] == 0


PORT_SERIES = {
    "connections": "connections", "connections_total": "connectionsTotal", "accepted_total": "accepted",
    "silent_connections": "silent", "resets_total": "resets", "bytes_in_total": "bytesIn", "bytes_out_total": "bytesOut",
    "pod_bytes_in_total": "podBytesIn", "pod_bytes_out_total": "podBytesOut", "descriptors": "descriptors",
    "buffers": "buffers", "memory_bytes": "memory"}


def test_metrics_and_the_wide_table_have_what_each_raw_port_costs(workers):
    with TcpEchoPod("one") as one, TcpEchoPod("two") as two, \
            Edge({"acme.yaml": raw_tenant("acme", one), "globex.yaml": raw_tenant("globex", two)}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire, e.connect(e.raw_port("acme")), e.connect(e.raw_port("globex")) as other:
            for w, bytes_sent in ((wire, b"z" * 54_321), (other, b"y")):
                w.send(bytes_sent)
                w.need(len(bytes_sent))
            eventually(lambda: port_of(e, "acme", "one")["silent"] == 1 and port_of(e, "globex", "two")["bytesOut"] == 1)
            labels = [f'tenant="{name}",port="{e.raw_port(name)}"' for name in ("acme", "globex")]
            # time is divided up when a window ends, or for who asks ten milliseconds after another
            got = eventually(lambda: (m := metrics(e)) and all(m["ringress_port_loop_seconds_total", label] > 0 for label in labels) and m)
            for name, service_name in (("acme", "one"), ("globex", "two")):
                row = port_of(e, name, service_name)
                label = f'tenant="{name}",port="{row["publicPort"]}"'
                for series, field in PORT_SERIES.items():
                    assert got[f"ringress_port_{series}", label] == row[field], (series, label)
                assert 0 < got["ringress_port_loop_seconds_total", label] <= got["ringress_loop_seconds_total", f'tenant="{name}"']
            label = f'tenant="acme",port="{e.raw_port("acme")}"'
            assert got["ringress_port_connections", label] == 2 and got["ringress_port_descriptors", label] == 4
            assert got["ringress_port_bytes_in_total", label] == got["ringress_port_pod_bytes_out_total", label] == 54_321
            head, row = (line.split() for line in e.run("get", "ports", "-n", "acme", "-o", "wide").stdout.splitlines()[:2])
            shown = dict(zip(head, row))
            assert (shown["IN"], shown["PODIN"], shown["PODOUT"], shown["DESCRIPTORS"]) == ("54321", "54321", "54321", "4")
            assert {"BUFFERS", "MEMORY", "SECONDS"} <= set(head)
