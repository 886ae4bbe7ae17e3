# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw TCP ports: whose number, for how long, and bytes and ends exactly as they were sent."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from edge import Edge, eventually
from objects import GLOBEX, documents, grant, node_port, pod, tenant
from pod import EchoPod, Pod, TcpEchoPod


def raw_tenant(name, *servers, **spec):
    objects = [o for s in servers for o in (pod(s), node_port(s.name, target=s.port))]
    return tenant(name, *objects, **spec)


@pytest.fixture(scope="module")
def echo(workers):
    """(edge, pod) with one raw port."""
    with TcpEchoPod("echo") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        yield e, p


# ---- bytes and ends ----
def test_bytes_go_both_ways_unchanged(echo):
    e, _ = echo
    data = os.urandom(300_000)
    with e.connect(e.raw_port("acme")) as wire:
        wire.send(data[:10])
        assert wire.need(10) == data[:10]
        for i in range(10, len(data), 60_000):
            wire.send(data[i:i + 60_000])
            assert wire.need(len(data[i:i + 60_000])) == data[i:i + 60_000]


def test_a_client_that_has_finished_writing_still_gets_its_answer(echo):
    e, _ = echo
    with e.connect(e.raw_port("acme")) as wire:
        wire.send(b"question")
        wire.finish_writing()
        assert wire.rest() == b"question"


def test_a_pod_that_has_finished_writing_still_gets_the_rest(workers):
    seen = []

    def greet_then_listen(wire):
        wire.send(b"bye")
        wire.finish_writing()
        seen.append(wire.rest())
    with Pod(greet_then_listen, "p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            assert wire.rest() == b"bye"
            wire.send(b"still ")
            time.sleep(0.1)
            wire.send(b"here")
            wire.finish_writing()
            assert eventually(lambda: seen) == [b"still here"]


def test_a_fin_from_the_pod_stays_a_fin(workers):
    with Pod(lambda wire: wire.send(b"x"), "p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            assert wire.rest() == b"x"


def test_a_reset_from_the_pod_stays_a_reset(workers):
    def reset(wire):
        wire.need(1)
        wire.reset()
    with Pod(reset, "p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            wire.send(b"x")
            with pytest.raises(ConnectionResetError):
                wire.rest()


def test_a_reset_from_the_client_stays_a_reset(workers):
    ends = []

    def watch(wire):
        try:
            while wire.sock.recv(100):
                pass
            ends.append("fin")
        except ConnectionResetError:
            ends.append("reset")
    with Pod(watch, "p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        wire = e.connect(e.raw_port("acme"))
        wire.send(b"x")
        time.sleep(0.1)
        wire.reset()
        assert eventually(lambda: ends) == ["reset"]
        with e.connect(e.raw_port("acme")) as wire:
            wire.send(b"x")
            time.sleep(0.1)
        assert eventually(lambda: ends[1:]) == ["fin"]


def test_who_is_gone_before_he_is_seen_reaches_no_pod_and_is_counted(workers):
    served = []

    def echo(wire):
        served.append(True)
        TcpEchoPod.echo(wire)
    with Pod(echo, "p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        port = e.raw_port("acme")
        os.kill(e.pid, signal.SIGSTOP)
        os.waitpid(e.pid, os.WUNTRACED)  # not before all of its threads stand still
        try:
            for _ in range(50):
                e.connect(port).reset()
            stays = e.connect(port)
        finally:
            os.kill(e.pid, signal.SIGCONT)
        with stays as wire:
            wire.send(b"here")
            assert wire.need(4) == b"here"
        assert served == [True]
        assert eventually(lambda: e.tenant("acme")["resets"] == 50)


def test_a_pod_may_speak_first(workers):
    with Pod(lambda wire: (wire.send(b"220 welcome\r\n"), wire.rest()), "p") as p:
        with Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
            with e.connect(e.raw_port("acme")) as wire:
                assert wire.until(b"\r\n") == b"220 welcome"


def test_no_ready_pod_is_a_reset(workers):
    with TcpEchoPod("p") as p:
        text = tenant("acme", pod(p, ready=False), node_port("p", target=p.port))
        with Edge({"acme.yaml": text}, workers) as e:
            with pytest.raises(ConnectionResetError):
                with e.connect(e.raw_port("acme")) as wire:
                    wire.send(b"x")
                    wire.need(1)


def test_a_pod_that_refuses_is_a_reset(workers):
    with TcpEchoPod("p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        p.stop()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            with e.connect(e.raw_port("acme")) as wire:
                wire.send(b"x")
                wire.need(1)


def test_a_slow_reader_stops_the_writer_and_memory_stays_flat(workers):
    def flood(wire):
        block = bytes(1 << 20)
        while True:
            wire.send(block)
    with Pod(flood, "p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            wire.need(1)
            before = e.memory()
            time.sleep(1.5)
            assert e.memory() - before < 48 << 20
            wire.need(64 << 20)
            assert e.memory() - before < 48 << 20


# ---- numbers ----
def numbers(e, tenant_name):
    return {(p["service"], p["containerPort"]): p["publicPort"] for p in e.get("ports") if p["tenant"] == tenant_name}


def test_a_number_is_from_the_pool_and_stays_over_restart_and_drop(workers):
    with TcpEchoPod("one") as one, TcpEchoPod("two") as two:
        with Edge({"acme.yaml": raw_tenant("acme", one, two)}, workers) as e:
            first = numbers(e, "acme")
            assert len(set(first.values())) == 2
            assert all(e.raw_first <= n < e.raw_first + 8 for n in first.values())
            e.restart()
            assert numbers(e, "acme") == first
            e.remove("acme.yaml")
            eventually(lambda: not e.tenant("acme"))
            e.drop("acme.yaml", raw_tenant("acme", two))
            eventually(lambda: e.tenant("acme"))
            with e.connect(e.raw_port("acme", "two")) as wire:
                wire.send(b"x")
                assert wire.need(1) == b"x"


def test_a_number_survives_a_crash(workers):
    with TcpEchoPod("one") as one, Edge({"acme.yaml": raw_tenant("acme", one)}, workers) as e:
        first = numbers(e, "acme")
        e.kill()
        e.start()
        assert numbers(e, "acme") == first


def test_the_fifth_port_is_refused_with_a_reason_and_the_four_stay(workers):
    servers = [TcpEchoPod(f"p{i}") for i in range(5)]
    with Edge({"acme.yaml": raw_tenant("acme", *servers)}, workers) as e:
        ports = e.get("ports")
        assert sorted(p["state"] for p in ports) == ["open"] * 4 + ["refused"]
        refused = next(p for p in ports if p["state"] == "refused")
        assert refused["publicPort"] is None
        assert "4" in refused["reason"]
        for port in ports:
            if port["publicPort"]:
                with e.connect(port["publicPort"]) as wire:
                    wire.send(b"x")
                    assert wire.need(1) == b"x"
    for server in servers:
        server.stop()


def test_the_grant_sets_the_quota(workers):
    servers = [TcpEchoPod(f"p{i}") for i in range(2)]
    with Edge({"acme.yaml": raw_tenant("acme", *servers, rawPorts=1)}, workers) as e:
        assert sorted(p["state"] for p in e.get("ports")) == ["open", "refused"]
    for server in servers:
        server.stop()


def test_when_the_quota_is_used_up_the_number_of_a_service_that_is_gone_goes_to_the_next(workers):
    with Pod(lambda w: w.send(b"first"), "first") as first, Pod(lambda w: w.send(b"next"), "next") as following:
        with Edge({"acme.yaml": raw_tenant("acme", first, rawPorts=1)}, workers) as e:
            number = e.raw_port("acme", "first")
            e.drop("acme.yaml", raw_tenant("acme", following, rawPorts=1))
            eventually(lambda: [(p["service"], p["publicPort"]) for p in e.get("ports")] == [("next", number)])
            with e.connect(number) as wire:
                assert wire.rest() == b"next"


def test_a_port_of_a_removed_tenant_is_closed_and_what_was_open_is_cut(workers):
    with TcpEchoPod("p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        port = e.raw_port("acme")
        with e.connect(port) as wire:
            e.remove("acme.yaml")

            def refused():
                try:
                    e.connect(port).close()
                except ConnectionRefusedError:
                    return True
            eventually(refused)
            with pytest.raises(ConnectionResetError):
                while True:
                    wire.send(b"still open")
                    wire.need(10)


def test_two_tenants_have_ports_of_their_own(workers):
    with Pod(lambda w: w.send(b"acme"), "p") as a, Pod(lambda w: w.send(b"globex"), "p") as b:
        with Edge({"acme.yaml": raw_tenant("acme", a), "globex.yaml": raw_tenant("globex", b)}, workers) as e:
            for name in ("acme", "globex"):
                with e.connect(e.raw_port(name)) as wire:
                    assert wire.rest() == name.encode()


def test_a_compose_label_opens_a_port(workers):
    with TcpEchoPod("cache", port=6379) as p:
        compose = documents({"services": {"cache": {
            "image": "redis", "labels": {"kr.ingress.6379": "tcp://"},
            "networks": {"private": {"ipv4_address": p.address}}}}})
        with Edge({"acme/tenant.yaml": documents(grant("acme")), "acme/compose.yaml": compose}, workers) as e:
            with e.connect(e.raw_port("acme", "cache")) as wire:
                wire.send(b"x")
                assert wire.need(1) == b"x"


# ---- real programs ----
@pytest.fixture
def redis(tmp_path):
    """(address, port) of a real database."""
    class Redis:
        name, port = "redis", 6399
    with TcpEchoPod("free") as free:
        Redis.address = free.address
    process = subprocess.Popen(["redis-server", "--bind", Redis.address, "--port", str(Redis.port), "--save", "",
                                "--appendonly", "no", "--protected-mode", "no", "--dir", tmp_path],
                               stdout=subprocess.DEVNULL)
    eventually(lambda: socket.socket().connect_ex((Redis.address, Redis.port)) == 0)
    yield Redis
    process.terminate()
    process.wait()


def test_a_real_database_is_used_through_a_raw_port(redis, workers):
    with Edge({"acme.yaml": raw_tenant("acme", redis)}, workers) as e:
        def cli(*words):
            return subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(e.raw_port("acme")), *words],
                                  capture_output=True, text=True, timeout=20).stdout.strip()
        assert cli("ping") == "PONG"
        assert cli("set", "key", "v" * 100_000) == "OK"
        assert cli("get", "key") == "v" * 100_000
        bench = subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(e.raw_port("acme")), "-q", "-n", "20000",
                                "-c", "20", "-P", "16", "-t", "ping_inline,set,get", "--csv"],
                               capture_output=True, text=True, timeout=60)
        assert bench.returncode == 0 and re.search(r'"GET","\d', bench.stdout), bench


def test_http_through_a_raw_port_is_not_looked_into(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            wire.send(f"GET /x HTTP/1.1\r\nHost: web.{GLOBEX}\r\n\r\n")
            assert "x-forwarded-for" not in wire.read_response().text.lower()


def test_connections_and_bytes_are_charged_to_the_tenant(workers):
    with TcpEchoPod("p") as p, Edge({"acme.yaml": raw_tenant("acme", p)}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            wire.send(b"x" * 1000)
            wire.need(1000)
            eventually(lambda: e.tenant("acme")["connections"] == 1)
        eventually(lambda: e.tenant("acme")["connections"] == 0)
