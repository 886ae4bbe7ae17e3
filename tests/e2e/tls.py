# SPDX-License-Identifier: GPL-3.0-or-later
"""tls.py - TLS clients that misbehave on purpose: hellos as bytes, handshakes a byte at a time, alerts by number."""
import ssl
import struct

RECORD_ALERT = 21
INTERNAL_ERROR, UNRECOGNIZED_NAME = 80, 112


def hello(name, alpn=("http/1.1",)):
    """A ClientHello as OpenSSL writes it, in one record."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def in_records(record, size):
    """The same handshake message in records of `size` bytes."""
    message, out = record[5:], b""
    while message:
        out += record[:3] + struct.pack(">H", len(message[:size])) + message[:size]
        message = message[size:]
    return out


def alert_of(data):
    """The number of the one fatal alert that these bytes are."""
    assert len(data) == 7 and data[0] == RECORD_ALERT and data[3:6] == b"\x00\x02\x02", data
    return data[6]


def refusal(e, data):
    """The alert these first bytes are refused with."""
    with e.connect(e.https_port) as wire:
        wire.send(data)
        return alert_of(wire.rest())


def handshake(wire, context, name, cut):
    """A whole handshake over plain bytes; `cut(first, data)` yields the pieces that each flight is sent in."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    first = True
    while True:
        done = True
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            done = False
        for piece in cut(first, outgoing.read()):
            wire.send(piece)
        first = False
        if done:
            return Inside(wire, tls, incoming, outgoing)
        data = wire.sock.recv(65536)
        assert data, "closed in the middle of the handshake"
        incoming.write(data)


class Inside:
    """What is said within a handshake's connection."""

    def __init__(self, wire, tls, incoming, outgoing):
        self.wire, self.tls, self.incoming, self.outgoing = wire, tls, incoming, outgoing

    def ask(self, request):
        self.tls.write(request)
        self.wire.send(self.outgoing.read())
        answer = b""
        while b"\r\n\r\n" not in answer:
            try:
                answer += self.tls.read(65536)
            except ssl.SSLWantReadError:
                data = self.wire.sock.recv(65536)
                assert data, answer
                self.incoming.write(data)
        return answer
