# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory comes back: buffers after a peak, versions after drops; and bodies of any size pass in a little of it."""
import contextlib
import re
import socket

import pytest

from edge import SANITIZED, Edge, eventually
from objects import ACME, node_port, pod, plain_ingress, rule, secret, service, tenant, web_tenant
from pod import EchoPod, Pod

MIB = 1 << 20
HOST = f"web.{ACME}"
READERS, QUEUE_BUFFERS = 40, 128  # a queue that nobody reads holds up to 512 KiB, less where they came in small pieces


def figures(e):
    """The process's and the workers' figures, sums over the latter."""
    with e.connect(e.admin_port) as wire:
        wire.send("GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
        text, found = wire.read_response().text, {}
    for name, value in re.findall(r"^ringress_(\w+)(?:\{worker=\"\d+\"\})? (\d+)$", text, re.M):
        found[name] = found.get(name, 0) + int(value)
    return found


def pour(wire):
    """Sends without end to whoever connects."""
    while True:
        wire.sock.sendall(bytes(MIB))


def settled(figure):
    """What it comes to when it has stopped changing."""
    seen = [figure()]

    def still():
        seen.append(figure())
        return seen[-1] == seen[-2]
    eventually(still, every=0.5)
    return seen[-1]


def test_buffers_that_a_peak_took_are_given_back(workers):
    with Pod(pour, "source") as p:
        with Edge({"acme.yaml": tenant("acme", pod(p), node_port("source", target=p.port))}, workers) as e:
            port = e.raw_port("acme")
            with contextlib.ExitStack() as stack:
                for _ in range(READERS):  # none of them reads
                    wire = stack.enter_context(e.connect(port))
                    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                eventually(lambda: figures(e)["worker_buffers_in_use"] >= READERS * QUEUE_BUFFERS // 2)
                peak = settled(lambda: figures(e)["worker_buffers_resident"])
                assert peak >= READERS * QUEUE_BUFFERS // 2
            eventually(lambda: figures(e)["worker_buffers_in_use"] == 0)

            def is_given_back():
                now = figures(e)
                return now["worker_buffers_resident"] <= min(peak, now["worker_buffers_provided"] + 256 * workers)
            eventually(is_given_back, 60)
            # What went is good for the next peak.
            with e.connect(port) as wire:
                assert wire.need(64 * MIB) == bytes(64 * MIB)


def test_after_many_drops_only_the_current_versions_are_left(workers, authority):
    chain_key = [authority.issue(HOST, serial=i) for i in range(2)]
    with EchoPod("web") as p, EchoPod("other") as q:
        def version(i):
            server = (p, q)[i % 2]
            return tenant("acme", pod(server, app="web"), service("web", target=server.port),
                          secret("own", *chain_key[i % 2]),
                          plain_ingress(rule(HOST, (f"/v{i}", "web")), tls=[((HOST,), "own")]))
        files = {"acme.yaml": version(0), "globex.yaml": web_tenant("globex", p)}
        with Edge(files, workers, authority) as e, e.connect() as kept:
            def is_live(i, wire):
                wire.send(f"GET /v{i} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
                return wire.read_response().status == 200
            first = figures(e)
            assert (first["versions"], first["identities"]) == (2, 1)
            for i in range(1, 101):
                e.drop("acme.yaml", version(i))
                eventually(lambda: is_live(i, kept))  # a connection that lives through all of them
            for i in range(100):
                e.drop(f"t{i % 10}.yaml", web_tenant("acme", p, host=f"web.t{i % 10}.1d.pt").replace(
                    "name: acme", f"name: t{i % 10}").replace(ACME, f"t{i % 10}.1d.pt"))
                if i % 3 == 2:
                    e.remove(f"t{i % 10}.yaml")
            for i in range(10):
                with contextlib.suppress(FileNotFoundError):
                    e.remove(f"t{i}.yaml")
            with e.connect() as wire:
                assert is_live(100, wire)
            eventually(lambda: len(e.get("tenants")) == 2)
            kept.close()
            eventually(lambda: [figures(e)[k] for k in ("versions", "upstreams", "identities")] ==
                       [first[k] for k in ("versions", "upstreams", "identities")])


# ---- bodies ----
COUNT, LIMIT = 1024, 8  # MiB
BLOCKS = [bytes((i * 7 + shift) % 256 for i in range(4096)) * 256 for shift in range(7)]


def receive(wire, count):
    """`need` would join pieces: here the bytes are only compared."""
    room, at = bytearray(MIB), len(wire.buffer)
    room[:at], wire.buffer = wire.buffer, b""
    for i in range(count):
        while at < MIB:
            n = wire.sock.recv_into(memoryview(room)[at:])
            if not n:
                return f"ended in MiB {i}"
            at += n
        if room != BLOCKS[i % 7]:
            return f"MiB {i} is not what was sent"
        at = 0
    return "whole"


def body_pod(wire):
    while wire.buffer or wire.fill():
        start, fields = wire.read_head()
        if start.startswith("GET"):
            wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {COUNT * MIB}\r\n\r\n")
            for i in range(COUNT):
                wire.send(BLOCKS[i % 7])
            continue
        said = receive(wire, int(dict((n.lower(), v) for n, v in fields)["content-length"]) // MIB)
        wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n{said}")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_gibibyte_passes_through_eight_mebibytes_of_buffers(workers, direction):
    with Pod(body_pod, "web") as p:
        with Edge({"acme.yaml": web_tenant("acme", p)}, workers, buffer_memory=f"{LIMIT}Mi") as e, e.connect() as wire:
            room = 2 * LIMIT * MIB + (8 * MIB if SANITIZED else 0)  # a sanitizer keeps what is freed for a while
            assert figures(e)["worker_buffers_max"] == workers * LIMIT * MIB // 4096
            before = e.memory()
            if direction == "up":
                wire.send(f"PUT / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {COUNT * MIB}\r\n\r\n")
                for i in range(COUNT):
                    wire.send(BLOCKS[i % 7])
                    if i % 64 == 0:
                        assert e.memory() - before < room
                assert wire.read_response().text == "whole"
            else:
                wire.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
                assert wire.read_head()[0].split()[1] == "200"
                assert receive(wire, COUNT) == "whole"
            assert e.memory() - before < room
