# SPDX-License-Identifier: GPL-3.0-or-later
"""test_acme_renewal.py - a new certificate takes the place of the one that serves: nobody who is connected notices."""
import base64
import os
import ssl
import time

import pytest

from acme_story import LONG, events, has, issued, metric, own_ca_for, pebble_for, peer, row, status_over_tls, tenant
from edge import eventually
from h2 import H2
from pod import EchoPod, Pod

NAME = "shop.example.com"


@pytest.fixture(scope="module")
def echo():
    with EchoPod("web") as p:
        yield p


def serve(wire):
    """A pod of few words, which speaks WebSocket when it is asked to: whatever comes then is said back."""
    wire.sock.settimeout(None)  # who is slow is not gone: it would be the pod that drops a connection
    while request := wire.read_request():
        if request.get("Upgrade") != "websocket":
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            continue
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Accept: x\r\n\r\n" + wire.buffer)
        while wire.fill():
            wire.send(wire.buffer)
            wire.buffer = b""
        return


def anybody(*alpn):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    return context


class Plain:
    """One HTTP/1.1 connection that is kept."""

    def __init__(self, e):
        self.wire = e.connect_tls(NAME, anybody("http/1.1"))

    def exchange(self):
        self.wire.send(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert self.wire.read_response("GET").status == 200


class Streams:
    """One HTTP/2 connection, a stream for each exchange; the first one stays open all the time."""

    def __init__(self, e):
        self.wire = e.connect_tls(NAME, anybody("h2"))
        self.h2, self.next = H2(self.wire, NAME), 3
        self.h2.request(1, method="POST", end=False)

    def exchange(self):
        self.h2.request(self.next)
        assert self.h2.answer(self.next).status == "200" and self.h2.goaway is None
        self.next += 2


class Socket:
    """One WebSocket."""

    def __init__(self, e):
        self.wire = e.connect_tls(NAME, anybody("http/1.1"))
        key = base64.b64encode(os.urandom(16)).decode()
        self.wire.send(f"GET /chat HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.wire.need(1)
        assert head.startswith(b"HTTP/1.1 101"), head

    def exchange(self):
        text, mask = os.urandom(20), os.urandom(4)
        frame = bytes([0x82, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text))
        self.wire.send(frame)
        assert self.wire.need(len(frame)) == frame


def accepted(e):
    return [metric(e, f'ringress_worker_accepted_total{{worker="{w}"}}') for w in range(2)]


def test_a_renewal_is_live_on_all_workers_and_drops_no_connection(authority):
    """The second certificate is forged first, and judged: the one before serves until there is a good one."""
    with Pod(serve, "web") as web, own_ca_for(authority, workers=2, lifetime=26) as (e, ca):  # renewed after some 17 seconds
        e.write("acme.yaml", tenant(web, NAME))
        with e:
            issued(e, NAME)
            before = peer(e, NAME)
            kept = []  # by chance on one worker or the other
            for kind in [Plain, Streams, Socket] * 6:
                kept.append(kind(e))
                kept[-1].exchange()  # at once: on a slow machine the first would wait for its request longer than timeouts.header
            end, seen = time.monotonic() + 2 * LONG, before
            while seen == before:
                assert time.monotonic() < end, "no renewal"
                for connection in kept:
                    connection.exchange()
                seen = peer(e, NAME)
            at = accepted(e)
            while min(now - then for now, then in zip(accepted(e), at)) < 5:
                assert peer(e, NAME) == seen, "once it is there it is everywhere"
                for connection in kept:
                    connection.exchange()
            assert len(list((e.state / "certificates").glob("*-2.pem"))) == 1
            assert metric(e, "ringress_acme_renewed_total") == 1
            for connection in kept:
                connection.wire.close()


def test_the_old_one_serves_until_the_new_one_is_proved_usable_and_missing_files_are_said(authority, echo):
    with own_ca_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, NAME))
        with e:
            issued(e, NAME)
            before = peer(e, NAME)
            ca.spoiled = True
            key = next((e.state / "certificates").glob("*-1.key"))
            kept = key.read_bytes()
            key.unlink()  # it is in memory: it serves, but not after the next start
            found = eventually(lambda: has(e, NAME, state="unreadable"), LONG)
            said = eventually(lambda: events(e, "CertificateUnreadable"), LONG)[0]["message"]
            assert f"its file {key.name} is missing" in said
            failed = eventually(lambda: (r := row(e, NAME))["failures"] and r, LONG)
            assert failed["error"] == "the key is not the certificate's" or "key" in failed["error"], failed["error"]
            assert found["names"] == [NAME] and peer(e, NAME) == before
            assert status_over_tls(e, NAME, ca.root_pem()) == 200
            assert metric(e, 'ringress_acme_certificates{state="unreadable"}') == 1

            e.stop()
            key.write_bytes(b"junk\n")  # by an operator's mistake
            e.start()
            done = e.explain(f"https://{NAME}/")
            assert "can't be used" in done.stdout and key.name.removesuffix("-1.key") in done.stdout, done.stdout
            with pytest.raises(ssl.SSLError):
                peer(e, NAME)
            eventually(lambda: metric(e, "ringress_certificates_unreadable_total") >= 1, LONG)

            e.stop()
            ca.spoiled = False
            key.write_bytes(kept)
            e.start()
            assert peer(e, NAME) == before
            assert "a certificate that the edge keeps" in e.explain(f"https://{NAME}/").stdout
            figures = {f: metric(e, f"ringress_certificates_{f} ") for f in ("stored", "cached", "loaded_total", "wanted_total")}
            assert figures == {"stored": 1, "cached": 1, "loaded_total": 1, "wanted_total": 1}


def test_an_order_for_a_name_that_another_order_is_proving_waits_for_it(authority, echo):
    """A handshake of acme-tls/1 names no order: the second one's answer would take the place of the first one's."""
    slow = {"environment": {"PEBBLE_VA_NOSLEEP": "0", "PEBBLE_VA_SLEEPTIME": "3", "PEBBLE_WFE_NONCEREJECT": "0"}}
    with pebble_for(authority, {"challenges": ["tls-alpn-01"]}, pebble=slow) as (e, ca):
        e.write("acme.yaml", tenant(echo, NAME))
        with e:
            eventually(lambda: ca.log.read_text().count("POST /chalZ"), LONG)
            e.drop("acme.yaml", tenant(echo, NAME, "b.example.com", entries=[[NAME, "b.example.com"]]))
            issued(e, "b.example.com")
            assert status_over_tls(e, NAME, ca.root()) == 200
            assert not events(e, "OrderFailed")
