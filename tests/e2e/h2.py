# SPDX-License-Identifier: GPL-3.0-or-later
"""h2.py - HTTP/2 by hand, for clients and pods that do what no library would: frames as bytes.

    c = H2(wire)                      preface and SETTINGS are sent
    c.request(1, path="/")            HEADERS with END_STREAM
    c.answer(1).status                everything until that stream ends

Header blocks are written without compression, so that any byte can stand anywhere; what comes in is read by hpack."""
import struct

import hpack

from wire import Closed

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL, STREAM_CLOSED = 0, 1, 2, 3, 5
REFUSED, CANCEL, CALM = 7, 8, 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def number(value, bits, first=0):
    """An integer of HPACK (RFC 7541 section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes([*out, value])


def text(data):
    data = data if isinstance(data, bytes) else data.encode("latin-1")
    return number(len(data), 7) + data


def block(*pairs):
    """Literals that are not indexed."""
    return b"".join(b"\0" + text(name) + text(value) for name, value in pairs)


def settings(**values):
    ids = {"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5, "list": 6, "connect": 8}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", ids[k], v) for k, v in values.items()))


class Answer:
    def __init__(self):
        self.heads, self.body, self.reset, self.ended, self.frames = [], b"", None, False, []

    @property
    def status(self):
        return next((dict(h)[":status"] for h in self.heads if int(dict(h).get(":status", 0)) >= 200), None)

    @property
    def fields(self):
        return dict(next(h for h in self.heads if int(dict(h).get(":status", 0)) >= 200))

    @property
    def trailers(self):
        return dict(next((h for h in self.heads if ":status" not in dict(h)), []))


class H2:
    """One end of a connection; `auto`: what comes in is acknowledged and its windows given back; `step`: bytes that the
    beginning is sent in."""

    def __init__(self, wire, authority="", server=False, auto=True, step=0, **values):
        self.wire, self.authority, self.auto, self.server = wire, authority, auto, server
        self.decoder, self.answers, self.goaway, self.pings, self.settings = hpack.Decoder(), {}, None, [], {}
        self.closed, self.given = False, {0: 65535}
        if server:
            assert wire.need(24) == PREFACE
        first = settings(**values) if server else PREFACE + settings(**values)
        for at in range(0, len(first), step or len(first)):
            self.send(first[at:at + (step or len(first))])

    def send(self, data):
        self.wire.send(data)

    def headers(self, stream, *pairs, flags=END_STREAM | END_HEADERS):
        self.send(frame(HEADERS, flags, stream, block(*pairs)))

    def request(self, stream, *more, method="GET", path="/", scheme="https", authority=None, end=True):
        self.headers(stream, (":method", method), (":scheme", scheme), (":authority", authority or self.authority),
                     (":path", path), *more, flags=END_HEADERS | (END_STREAM if end else 0))

    def data(self, stream, data=b"", end=False):
        self.send(frame(DATA, END_STREAM if end else 0, stream, data))

    def reset(self, stream, error=CANCEL):
        self.send(frame(RST, 0, stream, struct.pack(">I", error)))

    def window(self, stream, increment):
        self.send(frame(WINDOW, 0, stream, struct.pack(">I", increment)))

    # ---- what comes in ----
    def of(self, stream):
        return self.answers.setdefault(stream, Answer())

    def step(self):
        """Reads one frame. False: the other side has ended."""
        try:
            head = self.wire.need(9)
        except Closed:
            self.closed = True
            return False
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:9], "big") & 0x7fffffff
        payload = self.wire.need(length)
        answer = self.of(stream)
        answer.frames.append((kind, flags, length))
        getattr(self, f"on_{kind}", lambda *_: None)(answer, stream, flags, payload)
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            answer.ended = True
        return True

    def on_0(self, answer, stream, flags, payload):
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        answer.body += payload
        if self.auto and payload:
            self.window(0, len(payload))
            if not flags & END_STREAM:
                self.window(stream, len(payload))

    def on_1(self, answer, stream, flags, payload):
        assert flags & END_HEADERS and not flags & PADDED, "not what nghttp2 does for heads this small"
        if flags & 32:
            payload = payload[5:]
        answer.heads.append(self.decoder.decode(payload))

    def on_3(self, answer, stream, flags, payload):
        answer.reset = int.from_bytes(payload, "big")

    def on_4(self, answer, stream, flags, payload):
        if flags & ACK:
            return
        for i in range(0, len(payload), 6):
            key, value = struct.unpack(">HI", payload[i:i + 6])
            self.settings[key] = value
        if self.auto:
            self.send(frame(SETTINGS, ACK, 0))

    def on_6(self, answer, stream, flags, payload):
        if flags & ACK:
            self.pings.append(payload)
        elif self.auto:
            self.send(frame(PING, ACK, 0, payload))

    def on_7(self, answer, stream, flags, payload):
        self.goaway = int.from_bytes(payload[4:8], "big")

    def on_8(self, answer, stream, flags, payload):
        self.given[stream] = self.given.get(stream, 0) + int.from_bytes(payload, "big")

    def room(self, stream, sent):
        """How much more may be sent there, when `sent` was and nothing on other streams."""
        return min(self.given[0], self.given.get(stream, 0) + self.settings.get(4, 65535)) - sent

    def until(self, probe):
        while not probe():
            if not self.step():
                break
        return probe()

    def answer(self, stream):
        answer = self.of(stream)
        self.until(lambda: answer.ended or answer.reset is not None or self.goaway is not None)
        return answer

    def ended(self):
        """Reads until the other side ends; its GOAWAY's error, or None."""
        try:
            while self.step():
                pass
        except OSError:
            self.closed = True
        return self.goaway
