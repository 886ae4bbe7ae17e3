# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tenant may use over all workers together, who may come in, and who pods are told has come.

Totals are counted over seconds; bounds are such that only a limiter that is wrong can leave them: above by more than 5 % and
the burst, below by half (a busy machine may be slow to ask)."""
import contextlib
import datetime
import json
import socket
import struct
import threading
import time

import pytest

from edge import Edge, eventually
from objects import ACME, node_port, plain_ingress, pod, rule, service, tenant
from pod import EchoPod, Pod, TcpEchoPod, answering
from wire import Closed, Wire

WEB = f"web.{ACME}"
URL = f"http://{WEB}/"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(params=[1, 4], ids=["1 worker", "4 workers"], scope="module")
def workers(request):
    return request.param


def web(server, limits=None, **annotations):
    return tenant("acme", pod(server, app="web"), service("web", target=server.port),
                  plain_ingress(rule(WEB, "web"), **annotations), **({"limits": limits} if limits else {}))


def raw(server, limits=None, **annotations):
    port = node_port(server.name, target=server.port)
    port["metadata"]["annotations"] = {f"ringress/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return tenant("acme", pod(server), port, **({"limits": limits} if limits else {}))


def together(count, work):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


# ---- requests ----
def test_requests_per_second_hold_over_all_workers(workers):
    rate, good, seen = 100, [0] * 8, set()
    with EchoPod("web") as p, Edge({"acme.yaml": web(p, {"requestsPerSecond": rate})}, workers) as e:
        start = time.monotonic()

        def ask(i):
            with e.connect() as wire:
                while time.monotonic() < start + 5:
                    wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
                    answer = wire.read_response()
                    seen.add((answer.status, answer.get("retry-after")))
                    good[i] += answer.status == 200
        together(8, ask)
        took = time.monotonic() - start
        assert seen == {(200, None), (429, "1")}
        assert rate * took * 0.5 < sum(good) <= rate * took * 1.05 + rate / 10
        told = e.tenant("acme")
        assert told["limited429"] > 0 and told["limits"]["requestsPerSecond"] == rate
        assert len(p.requests) == sum(good)  # what was refused never reached the pod


# ---- connections ----
def test_connections_are_counted_over_all_workers_and_given_back(workers):
    with TcpEchoPod("echo") as p, Edge({"acme.yaml": raw(p, {"connections": 20})}, workers) as e:
        port, held = e.raw_port("acme"), []

        def one():
            with contextlib.suppress(OSError, Closed):
                wire = e.connect(port)
                wire.send(b"x")
                held.append(wire if wire.need(1) == b"x" else None)
                return True
            return False
        assert sum(one() for _ in range(60)) == 20
        assert e.tenant("acme")["refusedConnections"] == 40
        assert e.tenant("acme")["connections"] == 20
        for wire in held[:5]:
            wire.close()
        del held[:5]
        assert eventually(lambda: e.tenant("acme")["connections"] == 15)
        assert sum(one() for _ in range(20)) == 5
        for wire in held:
            wire.close()


def test_one_http_connection_too_many_is_429_and_closed(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web(p, {"connections": 1})}, workers) as e:
        with e.connect() as first:
            first.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
            assert first.read_response().status == 200
            with e.connect() as second:
                second.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
                answer = second.read_response()
                assert (answer.status, answer.get("connection"), second.at_end()) == (429, "close", True)


def test_new_connections_per_second_hold_over_all_workers(workers):
    rate, good = 50, [0]
    with TcpEchoPod("echo") as p, Edge({"acme.yaml": raw(p, {"newConnectionsPerSecond": rate})}, workers) as e:
        port, start = e.raw_port("acme"), time.monotonic()
        while time.monotonic() < start + 5:
            with contextlib.suppress(OSError, Closed), e.connect(port) as wire:
                wire.send(b"x")
                good[0] += wire.need(1) == b"x"
        took = time.monotonic() - start
        assert rate * took * 0.5 < good[0] <= rate * took * 1.05 + rate / 10
        assert e.tenant("acme")["refusals"]["new-connections"] > 0


# ---- bandwidth ----
RATE = 1_000_000  # bytes per second


def pour(wire, seconds=20):
    with contextlib.suppress(OSError):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            wire.send(bytes(65536))


def drink(wire, seconds):
    """Bytes that come within that time, from the first one on."""
    total = len(wire.need(1))
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        total += len(wire.sock.recv(65536))
    return total, time.monotonic() - start


def test_bandwidth_to_clients_is_shared_and_nothing_is_lost(workers):
    with Pod(pour, "pour") as p, Edge({"acme.yaml": raw(p, {"bandwidth": "8Mbit"})}, workers) as e:
        port, got = e.raw_port("acme"), []

        def one(_):
            with e.connect(port) as wire:
                got.append(drink(wire, 4))
        together(4, one)
        total, took = sum(g[0] for g in got), max(g[1] for g in got)
        assert RATE * took * 0.5 < total <= RATE * (took + 0.5) * 1.05 + RATE / 10
        assert min(g[0] for g in got) > total / 40  # nobody starves
        assert e.tenant("acme")["refusals"]["bandwidth-out"] > 0


def test_bandwidth_is_within_five_percent_by_the_edges_own_clock(workers):
    """Eight connections over all workers, both ways at once: what went, and from when to when, is what the lines of the log say."""
    size, count = 1_000_000, 8

    def both_ways(e, port):
        with e.connect(port) as wire:
            sender = threading.Thread(target=lambda: (wire.send(bytes(size)), wire.finish_writing()))
            sender.start()
            assert len(wire.rest()) == size
            sender.join()
    log = {"access": "json", "access_path": "access.log"}
    with TcpEchoPod("echo") as p, Edge({"acme.yaml": raw(p, {"bandwidth": "16Mbit"})}, workers, log=log) as e:
        port = e.raw_port("acme")
        together(count, lambda _: both_ways(e, port))
        written = (e.folder / "access.log").read_text
        lines = [json.loads(line) for line in eventually(lambda: written().count("\n") == count and written().splitlines())]
    begun = [datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() for line in lines]
    took = max(b + line["total_us"] / 1e6 for b, line in zip(begun, lines)) - min(begun)
    for way in ("bytes_in", "bytes_out"):
        total = sum(line[way] for line in lines)
        assert total == count * size
        assert 2 * RATE * took * 0.5 < total <= 2 * RATE * took * 1.05 + 2 * RATE / 10


def test_an_upload_that_only_our_own_limit_slows_is_not_too_slow(workers):
    """Each gets 1.5 KB every two seconds of a body of which 100 bytes must come in one."""
    count, size, answers = 12, 5000, []
    begun = threading.Barrier(count)

    def upload(e):
        with e.connect() as wire:
            wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
            assert wire.read_response().status == 200  # its tenant is known
            wire.send(f"POST / HTTP/1.1\r\nHost: {WEB}\r\nExpect: 100-continue\r\nContent-Length: {size}\r\n\r\n")
            wire.need(25)
            begun.wait()
            wire.send(bytes(size))
            answers.append(wire.read_response().status)
    with Pod(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "web") as p:
        with Edge({"acme.yaml": web(p, {"bandwidth": "64kbit"})}, workers, timeouts={"body_idle": "1s"}) as e:
            together(count, lambda _: upload(e))
    assert answers == [200] * count


def test_bandwidth_from_clients_is_shared_and_every_byte_arrives(workers):
    arrived = []

    def count(wire):
        total, start = 0, None
        while data := wire.sock.recv(65536):
            start = start or time.monotonic()
            total += len(data)
        arrived.append((total, start, time.monotonic()))
    with Pod(count, "count") as p, Edge({"acme.yaml": raw(p, {"bandwidth": "8Mbit"})}, workers) as e:
        port, size = e.raw_port("acme"), 1_000_000

        def one(_):
            with e.connect(port) as wire:
                wire.send(bytes(size))
                wire.finish_writing()
                assert wire.rest() == b""
        together(4, one)
        eventually(lambda: len(arrived) == 4)
        assert [a[0] for a in arrived] == [size] * 4
        took = max(a[2] for a in arrived) - min(a[1] for a in arrived)
        assert took >= (4 * size - RATE / 10) / RATE / 1.05 - 0.1


# ---- bodies ----
def test_bodies_over_the_limit_are_413_before_and_while_they_come(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web(p, max_body_size="1Ki")}, workers) as e:
        assert e.status(URL, method="POST", body=bytes(1024)) == 200
        assert e.status(URL, method="POST", body=bytes(1025)) == 413
        assert len(p.requests) == 1
        chunked = f"POST / HTTP/1.1\r\nHost: {WEB}\r\nTransfer-Encoding: chunked\r\n\r\n"
        for size, status in ((1024, 200), (1025, 413)):
            with e.connect() as wire:
                wire.send(chunked.encode() + b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n")
                assert wire.read_response().status == status
        assert len(p.requests) == 2
        assert e.tenant("acme")["refusals"]["body-size"] == 2


def test_the_smaller_limit_of_tenant_and_ingress_holds_for_bodies(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web(p, {"requestSize": "1Ki"})}, workers) as e:
        def sizes(*wanted):
            return [e.status(URL, method="POST", body=bytes(size)) for size in wanted]
        assert sizes(1024, 1025) == [200, 413]
        with e.connect() as wire:
            wire.send(f"POST / HTTP/1.1\r\nHost: {WEB}\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n{'x' * 1025}\r\n")
            assert wire.read_response().status == 413
        told = e.tenant("acme")
        assert told["limits"]["requestSize"] == 1024 and told["refusals"]["body-size"] == 2
        assert "1024 bytes of a request's body, 2 refused so far" in e.explain(URL).stdout
        e.drop("acme.yaml", web(p, {"requestSize": "2Ki"}, max_body_size="1500"))
        eventually(lambda: sizes(1500, 1501) == [200, 413])
        e.drop("acme.yaml", web(p, {"requestSize": "1200"}, max_body_size="1500"))
        eventually(lambda: sizes(1200, 1201) == [200, 413])
        e.drop("acme.yaml", web(p))
        eventually(lambda: sizes(70000) == [200])


# ---- addresses ----
def test_addresses_are_let_in_by_list(workers):
    lists = {"allow_source_range": "127.0.0.0/30, 10.0.0.0/8", "deny_source_range": "127.0.0.2"}
    with EchoPod("web") as p, Edge({"acme.yaml": web(p, **lists)}, workers) as e:
        for address, status in (("127.0.0.1", 200), ("127.0.0.2", 403), ("127.0.0.9", 403)):
            with e.connect_from(address) as wire:
                wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n")
                assert wire.read_response().status == status, address
        assert e.tenant("acme")["refusals"]["source"] == 2


def test_behind_a_trusted_proxy_the_client_it_names_is_judged(workers):
    with EchoPod("web") as p:
        with Edge({"acme.yaml": web(p, allow_source_range="192.0.2.0/24")}, workers,
                  trusted_proxies=["127.0.0.0/8", "198.51.100.0/24"]) as e:
            for told, status in (("192.0.2.7", 200), ("192.0.2.7, 198.51.100.9", 200), ("203.0.113.1", 403),
                                 ("192.0.2.7, 203.0.113.1", 403), ("192.0.2.7, unknown", 403)):
                assert e.status(URL, headers={"X-Forwarded-For": told}) == status, told


def test_a_raw_port_closes_to_addresses_that_are_not_let_in(workers):
    with TcpEchoPod("echo") as p, Edge({"acme.yaml": raw(p, deny_source_range="127.0.0.0/8")}, workers) as e:
        with pytest.raises((OSError, Closed)):
            with e.connect(e.raw_port("acme")) as wire:
                wire.send(b"x")
                wire.need(1)
        assert p.accepted == 0


def test_a_list_that_can_not_be_read_rejects_the_drop(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web(p)}, workers) as e:
        e.drop("acme.yaml", web(p, allow_source_range="10.0.0.0/33"))
        assert eventually(lambda: e.tenant("acme")["state"] == "stale")
        assert "allow-source-range" in e.tenant("acme")["error"] and e.status(URL) == 200


# ---- PROXY ----
def v2(source, port, destination="198.51.100.1", tlvs=b""):
    body = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!HH", port, 443) + tlvs
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(body)) + body


V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def listening(e, proxies):
    """edge.yaml's listen section with these prefixes; before the start."""
    e.content["listen"]["proxy_protocol"] = proxies
    e.write_yaml(e.content)
    return e


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_the_proxy_in_front_says_who_the_client_is(workers, cut):
    tlv = b"\x02\x00\x05hello"
    with EchoPod("web") as p, listening(Edge({"acme.yaml": web(p)}, workers), ["127.0.0.0/8"]) as e:
        for header, client in ((V1, "192.0.2.7"), (v2("192.0.2.8", 1, tlvs=tlv), "192.0.2.8"), (LOCAL, "127.0.0.1"),
                               (b"PROXY UNKNOWN\r\n", "127.0.0.1")):
            with e.connect() as wire:
                data = header + f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode()
                for at in range(0, len(data), cut):
                    wire.send(data[at:at + cut])
                assert wire.read_response().status == 200
            assert p.requests[-1].get("x-forwarded-for") == client


def test_a_listed_proxy_must_say_it_and_nobody_else_may(workers):
    request = f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode()
    with EchoPod("web") as p, listening(Edge({"acme.yaml": web(p)}, workers), ["127.0.0.2/32"]) as e:
        with e.connect_from("127.0.0.2") as wire, pytest.raises((OSError, Closed)):
            wire.send(request)
            wire.read_response()
        for header in (V1, v2("192.0.2.7", 1)):
            with e.connect_from("127.0.0.1") as wire:
                wire.send(header + request)
                assert wire.read_response().status == 400
        assert not p.requests
        assert e.status(URL) == 200


def test_the_proxied_address_is_what_lists_see(workers):
    with EchoPod("web") as p:
        e = listening(Edge({"acme.yaml": web(p, allow_source_range="192.0.2.7")}, workers), ["127.0.0.0/8"])
        with e:
            for header, status in ((V1, 200), (v2("192.0.2.8", 1), 403), (LOCAL, 403)):
                with e.connect() as wire:
                    wire.send(header + f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode())
                    assert wire.read_response().status == status


def test_tls_behind_a_proxy_header(workers, authority):
    with EchoPod("web") as p:
        e = listening(Edge({"acme.yaml": web(p)}, workers, authority, certificates=[(f"*.{ACME}",)]), ["127.0.0.0/8"])
        with e:
            sock = socket.create_connection(("127.0.0.1", e.https_port), timeout=20)
            sock.sendall(V1)
            with Wire(e.context().wrap_socket(sock, server_hostname=WEB)) as wire:
                wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
                assert wire.read_response().status == 200
            assert p.requests[-1].get("x-forwarded-for") == "192.0.2.7"


@pytest.mark.parametrize("header", [V1, v2("192.0.2.7", 1)], ids=["v1", "v2"])
def test_no_stranger_passes_a_proxy_header_to_a_raw_port(workers, header):
    seen = []
    with Pod(lambda wire: seen.append(wire.rest()), "p") as p, Edge({"acme.yaml": raw(p)}, workers) as e:
        for cut in (1, 1000):
            with contextlib.suppress(OSError), e.connect(e.raw_port("acme")) as wire:
                for at in range(0, len(header), cut):
                    wire.send(header[at:at + cut])
                    time.sleep(0.002)
                wire.rest()
        time.sleep(0.1)
        assert all(len(s) < 12 for s in seen)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_pods_of_raw_ports_hear_who_the_client_is(workers, version):
    with TcpEchoPod("echo") as p, Edge({"acme.yaml": raw(p, proxy_protocol=version)}, workers) as e:
        port = e.raw_port("acme")
        with e.connect(port) as wire:
            mine = wire.sock.getsockname()
            want = (f"PROXY TCP4 127.0.0.1 127.0.0.1 {mine[1]} {port}\r\n".encode() if version == "v1" else
                    SIGNATURE + b"\x21\x11\x00\x0c" + socket.inet_aton("127.0.0.1") * 2 +
                    struct.pack("!HH", mine[1], port))
            wire.send(b"hello")
            assert wire.need(len(want) + 5) == want + b"hello"


def test_pods_of_requests_hear_it_on_a_connection_of_its_own(workers):
    def handle(wire):
        line = wire.until(b"\r\n")
        request = wire.read_request()
        assert request
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(line), line))
        wire.rest()
    with Pod(handle, "web") as p, Edge({"acme.yaml": web(p, proxy_protocol="v1")}, workers) as e:
        with e.connect() as wire:
            mine = wire.sock.getsockname()[1]
            for _ in range(3):
                wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
                assert wire.read_response().text == f"PROXY TCP4 127.0.0.1 127.0.0.1 {mine} {e.http_port}"
        assert p.accepted == 3


# ---- what requests carry ----
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_good_traceparent_is_passed_on_and_a_bad_one_is_not(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web(p)}, workers) as e:
        told = dict(e.echo(URL, headers={"traceparent": PARENT, "tracestate": "a=1"})["headers"])
        assert (told["traceparent"], told["tracestate"]) == (PARENT, "a=1")
        for bad in ("", "00-0-0-01", PARENT.upper(), PARENT + "-x", "ff" + PARENT[2:], PARENT.replace("b7ad6b7169203331", "0" * 16)):
            told = dict(e.echo(URL, headers={"traceparent": bad, "tracestate": "a=1"})["headers"])
            assert "traceparent" not in told and "tracestate" not in told, bad


def test_a_trace_is_begun_where_one_is_asked_for(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web(p, begin_trace="true")}, workers) as e:
        begun = [dict(e.echo(URL)["headers"])["traceparent"].split("-") for _ in range(2)]
        assert [list(map(len, b)) for b in begun] == [[2, 32, 16, 2]] * 2 and begun[0] != begun[1]
        assert dict(e.echo(URL, headers={"traceparent": PARENT})["headers"])["traceparent"] == PARENT


def test_forwarded_is_dropped_from_strangers_and_appended_to_for_proxies(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web(p)}, workers) as e:
        assert "Forwarded" not in dict(e.echo(URL, headers={"Forwarded": "for=1.2.3.4"})["headers"])
    with EchoPod("web") as p, Edge({"acme.yaml": web(p)}, workers, trusted_proxies=["127.0.0.0/8"]) as e:
        sent = {"Forwarded": "for=1.2.3.4", "X-Forwarded-For": "1.2.3.4", "A": "b"}
        for order in (sent, dict(reversed(sent.items()))):
            told = dict(e.echo(URL, headers=order)["headers"])
            assert told["Forwarded"] == "for=1.2.3.4, for=127.0.0.1;proto=http"
            assert told["X-Forwarded-For"] == "1.2.3.4, 127.0.0.1" and told["A"] == "b"


# ---- what operators read ----
def test_metrics_and_explain_tell_of_limits(workers):
    with EchoPod("web") as p:
        text = web(p, {"requestsPerSecond": 1}, allow_source_range="127.0.0.0/8")
        with Edge({"acme.yaml": text}, workers) as e:
            assert 429 in [e.status(URL) for _ in range(6)]
            with e.connect(e.admin_port) as wire:
                wire.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                body = wire.read_response().text
            line = next(x for x in body.splitlines() if x.startswith('ringress_limited_total{tenant="acme",limit="requests"}'))
            assert int(line.split()[-1]) >= 1
            told = e.explain(URL).stdout
            assert "only from 127.0.0.0/8" in told and "1 requests/s" in told
            limits = json.loads(e.run("explain", URL, "-o", "json").stdout)["limits"]
            assert limits == {"requests": {"most": 1, "refused": e.tenant("acme")["limited429"]}}
