# SPDX-License-Identifier: GPL-3.0-or-later
"""Abuse of HTTP/2 by many connections of one tenant, each just below what a single one may waste: a hundred of them together are met, while
those who ask and read, of the same tenant and of its neighbour, notice nothing."""
import contextlib
import socket

import pytest

from edge import PATIENCE, Edge, eventually
from h2 import CALM, DATA, END_HEADERS, END_STREAM, H2, HEADERS, PING, PREFACE, RST, SETTINGS, block, frame, settings
from objects import ACME, GLOBEX, web_tenant
from pod import EchoPod
from wire import Wire

HOST, OTHER = f"web.{ACME}", f"web.{GLOBEX}"
CONNECTIONS = 100
PAIRS = ((":method", "POST"), (":scheme", "http"), (":authority", HOST), (":path", "/abuse"))
ASK = block(*PAIRS)
SHORT = block(*PAIRS, ("content-length", "1"))


def reset(stream):
    return frame(HEADERS, END_HEADERS, stream, ASK) + frame(RST, 0, stream, b"\0\0\0\x08")


def made_to_reset(stream):
    """More DATA than was announced: it is the server who resets (CVE-2025-8671)."""
    return frame(HEADERS, END_HEADERS, stream, SHORT) + frame(DATA, END_STREAM, stream, b"xx")


# name: (bytes of one piece of abuse, how many at a time, how often); none of them uses up the budget of one connection
ABUSES = {
    "rapid reset": (reset, 20, 10),
    "resets it makes us send": (made_to_reset, 15, 10),
    "ping": (lambda stream: frame(PING, 0, 0, b"12345678"), 30, 50),
    "settings": (lambda stream: frame(SETTINGS, 0, 0), 20, 16),
}


class Attacker:
    def __init__(self, e):
        self.sock = socket.create_connection(("127.0.0.1", e.http_port), PATIENCE)
        first = block(*[(n, "GET" if n == ":method" else v) for n, v in PAIRS])
        self.sock.sendall(PREFACE + settings() + frame(HEADERS, END_HEADERS | END_STREAM, 1, first))
        self.stream, self.data, self.ended = 3, b"", False

    def read(self, timeout):
        """What is there, at least something within `timeout`."""
        self.sock.settimeout(timeout)
        try:
            while not self.ended:
                data = self.sock.recv(65536)
                self.data, self.ended = self.data + data, not data
                self.sock.settimeout(0.0001)
        except (BlockingIOError, TimeoutError):
            pass
        except OSError:
            self.ended = True

    def abuse(self, piece, count):
        if self.ended:
            return
        data = b"".join(piece(self.stream + 2 * i) for i in range(count))
        self.stream += 2 * count
        self.sock.settimeout(PATIENCE)
        with contextlib.suppress(OSError):
            self.sock.sendall(data)
        self.read(0.0001)

    def told(self):
        """The error of GOAWAY, or None."""
        at = 0
        while len(self.data) - at >= 9:
            if self.data[at + 3] == 7:
                return int.from_bytes(self.data[at + 13:at + 17], "big")
            at += 9 + int.from_bytes(self.data[at:at + 3], "big")
        return None


@pytest.fixture(scope="module")
def two(workers):
    with EchoPod("web") as p, EchoPod("other") as q:
        yield {"acme.yaml": web_tenant("acme", p), "globex.yaml": web_tenant("globex", q)}, workers


@contextlib.contextmanager
def client(e, host):
    with Wire(socket.create_connection(("127.0.0.1", e.http_port), PATIENCE)) as wire:
        yield H2(wire, host)


@pytest.mark.parametrize("name", ABUSES)
def test_a_hundred_connections_that_waste_are_met_and_nobody_else_notices(two, name):
    drop, workers = two
    piece, count, times = ABUSES[name]
    with Edge(drop, workers).hold_nobody() as e, client(e, HOST) as same, client(e, OTHER) as neighbour:
        attackers = [Attacker(e) for _ in range(CONNECTIONS)]
        for a in attackers:
            a.read(PATIENCE)
        stream = 1
        for _ in range(times):
            for a in attackers:
                a.abuse(piece, count)
            for c in (same, neighbour):
                c.request(stream)
                assert c.answer(stream).status == "200" and c.goaway is None
            stream += 2

        def calmed():
            for a in attackers:
                a.read(0.001)
            return sum(a.told() == CALM for a in attackers) >= CONNECTIONS // 2
        eventually(calmed)
        for c in (same, neighbour):
            c.request(stream)
            assert c.answer(stream).status == "200" and c.goaway is None
        rows = {t["tenant"]: t for t in e.get("tenants")}
        assert rows["acme"]["http2Calmed"] >= CONNECTIONS // 2 and rows["acme"]["http2Wasted"] >= 100_000
        assert rows["globex"]["http2Calmed"] == 0 and rows["globex"]["http2Wasted"] == 0
        for a in attackers:
            a.sock.close()


def test_one_connection_that_wastes_as_much_is_left_alone(two):
    """What the hundred did, one may: its own budget has it, and its tenant's."""
    drop, workers = two
    for piece, count, times in ABUSES.values():
        with Edge(drop, workers) as e:
            a = Attacker(e)
            a.read(PATIENCE)
            for _ in range(times):
                a.abuse(piece, count)
                a.read(0.01)
            a.sock.sendall(frame(HEADERS, END_HEADERS | END_STREAM, a.stream, block((":method", "GET"), *PAIRS[1:3], (":path", "/after"))))
            a.sock.settimeout(PATIENCE)
            eventually(lambda: a.read(0.01) or b"/after" in a.data)
            assert a.told() is None and e.tenant("acme")["http2Calmed"] == 0
            a.sock.close()
