# SPDX-License-Identifier: GPL-3.0-or-later
"""strict_h2.py - HTTP/2 as the edge is to write it, and nothing wider: the whole of one direction of a connection, from its first byte.

    conversation(bytes, client=True)   what a pod was told        .streams[1].fields, .body, .ended, .reset; .goaway, .left, .why
    conversation(bytes, client=False)  what a client was told

Shares no code with the edge or nghttp2 (field sections are read by hpack) and forgives nothing: every frame must be one its sender may send
in the state the stream is in, every field section a message of RFC 9113 section 8, every body of its content-length."""
import functools
import re
from dataclasses import dataclass, field

import hpack

from h2 import ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, RST, SETTINGS, WINDOW
from strict import Malformed, Message

FRAME_MAX = 16384
PRIORITISED = 32
FLAGS = {DATA: END_STREAM | PADDED, HEADERS: END_STREAM | END_HEADERS | PADDED | PRIORITISED, SETTINGS: ACK, PING: ACK,
         CONTINUATION: END_HEADERS}
SIZES = {RST: 4, PING: 8, WINDOW: 4}
ERRORS = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
          "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"]
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\Z")
OF_CONNECTIONS = {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings"}
DISGUISED = {"content_length", "transfer_encoding"}
REQUEST, RESPONSE = {":method", ":scheme", ":authority", ":path"}, {":status"}


@dataclass
class Stream:
    number: int
    heads: list = field(default_factory=list)   # field sections: interim ones, then the final one
    trailers: list = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: object = None                         # the error's name
    is_final: bool = False                       # a final field section has come

    def pseudo(self, name):
        return dict(self.heads[-1]).get(name, "")

    @property
    def fields(self):
        return [(n, v) for n, v in self.heads[-1] if n[0] != ":"]


@dataclass
class Conversation:
    streams: dict = field(default_factory=dict)
    settings: list = field(default_factory=list)
    goaway: object = None
    left: bytes = b""
    why: str = ""


def need(truth, why):
    if not truth:
        raise Malformed(why)


def fields_check(pairs):
    for name, value in pairs:
        need(NAME.match(name.lstrip(":") if name[:1] == ":" else name), f"the name {name!r}")
        need(VALUE.match(value), f"the value {value!r} of {name}")
        need(name not in OF_CONNECTIONS | DISGUISED, f"{name} in HTTP/2")
        need(name != "te" or value == "trailers", f"te: {value}")
    names = [n for n, _ in pairs]
    need(names.count("content-length") <= 1 and names.count("host") <= 1, "a framing field twice")
    regular = next((i for i, n in enumerate(names) if n[0] != ":"), len(names))
    need(all(n[0] != ":" for n in names[regular:]), "a pseudo-header field behind others")
    return names[:regular]


def request_check(pairs):
    need(sorted(fields_check(pairs)) == sorted(REQUEST), f"pseudo-header fields {pairs[:6]}")
    head = dict(pairs)
    need(re.match(r"[A-Z-]+\Z", head[":method"]) and head[":scheme"] in ("http", "https"), "method or scheme")
    need(re.match(r"(/[\x21-\x7e]*|\*)\Z", head[":path"]), f":path {head[':path']!r}")
    need(re.match(r"[A-Za-z0-9.:\[\]_-]+\Z", head[":authority"]) and "host" not in head, "authority")
    for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"):
        need([n for n, _ in pairs].count(name) == 1, f"not one {name}")


def response_check(pairs):
    need(fields_check(pairs) == [":status"], f"pseudo-header fields {pairs[:6]}")
    need(re.match(r"[1-9][0-9][0-9]\Z", pairs[0][1]) and pairs[0][1] != "101", f":status {pairs[0][1]}")


def trailers_check(pairs):
    need(fields_check(pairs) == [], "pseudo-header fields in trailers")
    need(not {"content-length", "host", "te"} & {n for n, _ in pairs}, "a framing field in trailers")


class Reader:
    def __init__(self, client):
        self.client, self.found, self.decoder = client, Conversation(), hpack.Decoder()
        self.block, self.highest, self.first = None, 0, True

    # ---- frames ----
    def frame(self, kind, flags, stream, payload):
        need(len(payload) <= FRAME_MAX, f"a frame of {len(payload)} bytes")
        need(not flags & ~FLAGS.get(kind, 0), f"flags {flags:x} of a frame {kind}")
        need(len(payload) == SIZES.get(kind, len(payload)), f"a frame {kind} of {len(payload)} bytes")
        need(not self.first or (kind == SETTINGS and not flags & ACK), "SETTINGS do not come first")
        need(not self.block or kind == CONTINUATION, f"a frame {kind} inside of a field block")
        need(self.found.goaway in (None, "NO_ERROR"), "a frame behind GOAWAY")
        need((stream == 0) == (kind in (SETTINGS, PING, GOAWAY)) or kind == WINDOW, f"a frame {kind} on stream {stream}")
        self.first = False
        handle = {DATA: self.data, HEADERS: self.headers, RST: self.rst, SETTINGS: self.on_settings, PING: self.nothing,
                  GOAWAY: self.on_goaway, WINDOW: self.window, CONTINUATION: self.continuation}.get(kind)
        need(handle, f"a frame {kind}")
        handle(flags, stream, payload)

    def nothing(self, *_):
        pass

    def window(self, flags, stream, payload):
        need(int.from_bytes(payload, "big") & 0x7fffffff, "a window of 0")
        need(stream <= self.highest or not self.client, "a window of an idle stream")

    def on_settings(self, flags, stream, payload):
        need(len(payload) % 6 == 0 and not (flags & ACK and payload), "SETTINGS of that size")
        for at in range(0, len(payload), 6):
            key, value = int.from_bytes(payload[at:at + 2], "big"), int.from_bytes(payload[at + 2:at + 6], "big")
            need(key != 2 or value == 0, "push is enabled")
            self.found.settings.append((key, value))

    def on_goaway(self, flags, stream, payload):
        need(len(payload) >= 8, "GOAWAY of that size")
        self.found.goaway = ERRORS[int.from_bytes(payload[4:8], "big")]

    def open(self, number):
        """The stream, which its sender may still write to."""
        stream = self.found.streams.get(number)
        need(stream and stream.heads and not stream.ended and stream.reset is None, f"a frame on stream {number}, which is not open")
        return stream

    def rst(self, flags, number, payload):
        stream = self.found.streams.get(number)
        if self.client:
            need(stream, "RST_STREAM of an idle stream")
        stream = stream or self.found.streams.setdefault(number, Stream(number))
        need(stream.reset is None, "RST_STREAM twice")
        stream.reset = ERRORS[int.from_bytes(payload, "big")]

    def padless(self, flags, payload):
        if not flags & PADDED:
            return payload
        need(payload and payload[0] < len(payload), "padding of more than there is")
        return payload[1:len(payload) - payload[0]]

    def data(self, flags, number, payload):
        stream = self.open(number)
        need(stream.is_final, "DATA before a final head")
        stream.body += self.padless(flags, payload)
        if flags & END_STREAM:
            self.end(stream)

    # ---- field sections ----
    def headers(self, flags, number, payload):
        need(number % 2 == 1, "an even stream")
        stream = self.found.streams.get(number)
        if stream is None and self.client:
            need(number > self.highest, "a stream below one that was opened")
        self.highest = max(self.highest, number)
        payload = self.padless(flags, payload)
        self.block = [self.found.streams.setdefault(number, Stream(number)), flags & END_STREAM, payload[5 if flags & PRIORITISED else 0:]]
        self.continuation(flags, number, b"")

    def continuation(self, flags, number, payload):
        need(self.block and self.block[0].number == number, "CONTINUATION of nothing")
        self.block[2] += payload
        if not flags & END_HEADERS:
            return
        stream, ended, block = self.block
        self.block = None
        try:
            pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in self.decoder.decode(block, raw=True)]
        except hpack.HPACKError as error:
            raise Malformed(f"HPACK: {error}") from error
        self.section(stream, pairs, ended)
        if ended:
            self.end(stream)

    def section(self, stream, pairs, ended):
        need(not stream.ended and stream.reset is None, f"HEADERS on stream {stream.number}, which has ended")
        if stream.is_final:
            need(ended, "trailers that do not end the stream")
            trailers_check(pairs)
            stream.trailers = pairs
            return
        (request_check if self.client else response_check)(pairs)
        stream.heads.append(pairs)
        stream.is_final = self.client or int(stream.pseudo(":status")) >= 200
        need(stream.is_final or not ended, "an interim response ends its stream")

    def end(self, stream):
        stream.ended = True
        length = dict(stream.fields).get("content-length")
        need(length is None or re.match(r"(0|[1-9][0-9]*)\Z", length), f"the length {length!r}")
        if length is not None and (self.client or stream.body):
            need(int(length) == len(stream.body), f"a body of {len(stream.body)} bytes, not {length}")

    # ---- all ----
    def read(self, data):
        at = 0
        if self.client:
            need(PREFACE.startswith(data[:24]) if len(data) < 24 else data[:24] == PREFACE, "no preface")
            at = min(24, len(data))
        while len(data) - at >= 9:
            size = int.from_bytes(data[at:at + 3], "big")
            if len(data) - at - 9 < size:
                break
            self.frame(data[at + 3], data[at + 4], int.from_bytes(data[at + 5:at + 9], "big") & 0x7fffffff, data[at + 9:at + 9 + size])
            at += 9 + size
        return data[at:]


@functools.lru_cache(maxsize=8192)
def conversation(data, client):
    reader = Reader(client)
    try:
        reader.found.left = reader.read(data)
    except Malformed as error:
        reader.found.why, reader.found.left = str(error), data
    return reader.found


# ---- as messages, like strict.py's ----
def requests_in(data):
    """(whole requests, what is not whole, why it is malformed); a request's `stream` is its number."""
    c = conversation(data, True)
    found, left = [], b""
    for number in sorted(c.streams):
        s = c.streams[number]
        if not s.ended:
            left += f"stream {number}: {s.heads} {s.body!r} {s.reset}; ".encode()
            continue
        message = Message(b"", [*s.fields, ("host", s.pseudo(":authority"))], s.body, s.trailers,
                          method=s.pseudo(":method"), target=s.pseudo(":path"))
        message.stream = number
        found.append(message)
    return found, c.left + left, c.why


def responses_in(data):
    """(answers, interim ones before the final; what is left; why it is malformed). The status of a stream that was reset before its
    answer was whole is its error's name."""
    c = conversation(data, False)
    found = []
    for number in sorted(c.streams):
        s = c.streams[number]
        for head in s.heads[:len(s.heads) - s.is_final]:
            found.append(Message(b"", head, status=int(dict(head)[":status"])))
        if s.ended:
            found.append(Message(b"", s.fields, s.body, s.trailers, status=int(s.pseudo(":status"))))
        elif s.reset is not None:
            found.append(Message(b"", [], s.body, status=f"RST {s.reset}"))
        else:
            continue
        found[-1].stream = number
    return found, c.left, c.why
