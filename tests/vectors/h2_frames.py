# SPDX-License-Identifier: GPL-3.0-or-later
"""h2_frames.py - frames, streams, windows and HPACK: what breaks the connection, what only its stream, and what is to be passed over."""
import struct

import h2
from h2 import ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PUSH, RST, SETTINGS, WINDOW, block, frame
from h2_fields import data, h2_passed, h2_refused, trailers
from protocols import OPENING, request
from vector import CANARY, HOST, Got, Seen, Vector, get

PRIORITISED = 32
BOTH = END_HEADERS | END_STREAM
PAIRS = ((":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", "/CANARY"))
BLOCK = block(*PAIRS)
GOOD = block(*PAIRS[:3], (":path", "/"))


def word(value):
    return struct.pack(">I", value)


def h2_broken(name, rfc, *frames, error="PROTOCOL_ERROR", pod=(), client=(), opening=OPENING, **more):
    """A connection error: GOAWAY with that error, and nothing that comes behind is a request."""
    return Vector(f"h2-{name}", rfc, (opening + b"".join(frames),), pod, client, ends=True, error=error, front="h2", **more)


STREAMS = [
    h2_broken("stream-lower-than-one-seen", "RFC 9113 5.1.1", request(stream=5, path="/5"), request(stream=3, path="/CANARY"),
              pod=(Seen(target="/5"),), client=(Got(("RST CANCEL", 200)),), partial=True, lost=True),
    h2_broken("stream-1-after-3", "RFC 9113 5.1.1", request(stream=3, path="/3"), request(stream=1, path="/CANARY"),
              pod=(Seen(target="/3"),), client=(Got(200),), partial=True, lost=True),
    h2_broken("stream-again", "RFC 9113 5.1", request(path="/1"), request(path="/CANARY"), error=("PROTOCOL_ERROR", "STREAM_CLOSED"),
              pod=(Seen(target="/1"),), client=(Got(200),), partial=True, lost=True),
    h2_broken("stream-even", "RFC 9113 5.1.1", request(stream=2, path="/CANARY")),
    h2_broken("stream-0", "RFC 9113 6.2", request(stream=0, path="/CANARY")),
    h2_broken("data-on-stream-0", "RFC 9113 6.1", data(CANARY, 0)),
    h2_broken("data-on-an-idle-stream", "RFC 9113 5.1", data(CANARY, 7)),
    h2_broken("data-on-an-even-stream", "RFC 9113 5.1", data(CANARY, 2)),
    h2_broken("reset-of-an-idle-stream", "RFC 9113 6.4", frame(RST, 0, 7, word(8))),
    h2_broken("reset-of-stream-0", "RFC 9113 6.4", frame(RST, 0, 0, word(8))),
    h2_broken("reset-of-3-bytes", "RFC 9113 6.4", request(method="POST", end=False), frame(RST, 0, 1, b"\0\0\0"), error="FRAME_SIZE_ERROR", partial=True, lost=True),
    h2_broken("window-of-an-idle-stream", "RFC 9113 5.1", frame(WINDOW, 0, 7, word(8))),
    h2_broken("continuation-of-nothing", "RFC 9113 6.10", frame(CONTINUATION, END_HEADERS, 1, BLOCK)),
    h2_broken("continuation-behind-a-whole-block", "RFC 9113 6.10", request(path="/1", end=False, method="POST"), frame(CONTINUATION, END_HEADERS, 1, BLOCK),
              partial=True, lost=True),
    h2_broken("continuation-of-another-stream", "RFC 9113 6.10", frame(HEADERS, END_STREAM, 1, BLOCK), frame(CONTINUATION, END_HEADERS, 3)),
    h2_broken("continuation-of-stream-0", "RFC 9113 6.10", frame(HEADERS, END_STREAM, 1, BLOCK), frame(CONTINUATION, END_HEADERS, 0)),
    *(h2_broken(f"{name}-inside-a-block", "RFC 9113 4.3", frame(HEADERS, END_STREAM, 1, BLOCK), inside, frame(CONTINUATION, END_HEADERS, 1))
      for name, inside in (("ping", frame(PING, 0, 0, bytes(8))), ("data", data(CANARY)), ("headers", request(stream=3, path="/CANARY")),
                           ("settings", frame(SETTINGS, 0, 0)), ("window", frame(WINDOW, 0, 0, word(9))), ("unknown", frame(0xbb, 0, 1, CANARY)),
                           ("priority", frame(PRIORITY, 0, 3, word(0) + b"\1")), ("reset", frame(RST, 0, 1, word(8))))),
    h2_broken("push-promise", "RFC 9113 8.4", request(path="/1"), frame(PUSH, END_HEADERS, 1, word(2) + BLOCK), pod=(Seen(target="/1"),),
              client=(Got(200),), partial=True, lost=True),
    h2_broken("push-promise-of-an-idle-stream", "RFC 9113 8.4", frame(PUSH, END_HEADERS, 1, word(2) + BLOCK)),
    h2_passed("streams-far-apart", "RFC 9113 5.1.1", request(stream=1, path="/1"), request(stream=0x8001, path="/32769"),
              seen=(Seen(target="/1"), Seen(target="/32769"))),
    h2_passed("stream-id-with-its-reserved-bit", "RFC 9113 4.1", request(stream=0x80000001)),
    # of the stream while it is half closed, of the connection once it is closed
    h2_passed("data-behind-the-end", "RFC 9113 5.1", request(path="/1"), data(CANARY), seen=Seen(target="/1"),
              client=(Got((200, "RST STREAM_CLOSED")),), lost=True, partial=True, error=(None, "STREAM_CLOSED")),
    h2_passed("reset-of-a-request-that-runs", "RFC 9113 5.4.2", request(method="POST", path="/1", end=False), frame(RST, 0, 1, word(8)),
              request(stream=3, path="/3"), seen=Seen(target="/3"), partial=True),
    # who says GOAWAY wants to leave: what runs is finished, and what he opens behind it may be let go
    h2_passed("goaway-and-a-stream-before-it", "RFC 9113 6.8", request(path="/1"), frame(GOAWAY, 0, 0, word(0) * 2), seen=Seen(target="/1"), lost=True),
    h2_passed("goaway-and-a-stream-behind-it", "RFC 9113 6.8", frame(GOAWAY, 0, 0, word(0) * 2 + CANARY), request(path="/1"), seen=Seen(target="/1"), lost=True),
    h2_broken("goaway-of-7-bytes", "RFC 9113 6.8", frame(GOAWAY, 0, 0, bytes(7)), error="FRAME_SIZE_ERROR"),
    h2_broken("goaway-on-a-stream", "RFC 9113 6.8", frame(GOAWAY, 0, 1, word(0) * 2)),
]


def big(kind, flags, stream):
    return frame(kind, flags, stream, CANARY + bytes(16385 - len(CANARY)))


def setting(key, value):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", key, value))


FRAMES = [
    h2_broken("frame-too-large-data", "RFC 9113 4.2", big(DATA, 0, 1), error=("FRAME_SIZE_ERROR", "PROTOCOL_ERROR")),
    h2_broken("frame-too-large-headers", "RFC 9113 4.2", big(HEADERS, BOTH, 1), error="FRAME_SIZE_ERROR"),
    h2_broken("frame-too-large-unknown", "RFC 9113 4.2", big(0xbb, 0, 1), error="FRAME_SIZE_ERROR"),
    h2_broken("frame-too-large-settings", "RFC 9113 4.2", frame(SETTINGS, 0, 0, bytes(16386)), error="FRAME_SIZE_ERROR"),
    h2_broken("frame-of-16-mib", "RFC 9113 4.2", b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + CANARY, error="FRAME_SIZE_ERROR"),
    h2_broken("settings-of-5-bytes", "RFC 9113 6.5", frame(SETTINGS, 0, 0, bytes(5)), error="FRAME_SIZE_ERROR"),
    h2_broken("settings-acknowledged-with-a-payload", "RFC 9113 6.5", frame(SETTINGS, ACK, 0, bytes(6)), error="FRAME_SIZE_ERROR"),
    h2_broken("settings-on-a-stream", "RFC 9113 6.5", frame(SETTINGS, 0, 1)),
    h2_broken("settings-push-of-2", "RFC 9113 6.5.2", setting(2, 2)),
    h2_broken("settings-window-of-2^31", "RFC 9113 6.5.2", setting(4, 1 << 31), error="FLOW_CONTROL_ERROR"),
    h2_broken("settings-frame-of-16383", "RFC 9113 6.5.2", setting(5, 16383)),
    h2_broken("settings-frame-of-2^24", "RFC 9113 6.5.2", setting(5, 1 << 24)),
    h2_broken("settings-connect-of-2", "RFC 8441 3", setting(8, 2)),
    h2_broken("settings-priorities-of-2", "RFC 9218 2.1", setting(9, 2)),
    h2_broken("settings-priorities-changed", "RFC 9218 2.1", setting(9, 1), setting(9, 0)),
    h2_broken("settings-missing", "RFC 9113 3.4", request(path="/CANARY"), opening=PREFACE),
    h2_broken("settings-acknowledged-first", "RFC 9113 3.4", frame(SETTINGS, ACK, 0), opening=PREFACE),
    h2_broken("settings-behind-a-ping", "RFC 9113 3.4", frame(PING, 0, 0, bytes(8)), frame(SETTINGS, 0, 0), opening=PREFACE),
    h2_passed("settings-unknown", "RFC 9113 6.5.2", setting(0xbbbb, 0xffffffff), request()),
    h2_passed("settings-of-every-kind", "RFC 9113 6.5.2", h2.settings(table=0, push=0, streams=0, window=65535, frame=16384, list=100), request()),
    h2_passed("settings-twice-in-one-frame", "RFC 9113 6.5", frame(SETTINGS, 0, 0, struct.pack(">HIHI", 4, 1, 4, 65535)), request()),
    h2_broken("ping-of-7-bytes", "RFC 9113 6.7", frame(PING, 0, 0, bytes(7)), error="FRAME_SIZE_ERROR"),
    h2_broken("ping-on-a-stream", "RFC 9113 6.7", frame(PING, 0, 1, bytes(8))),
    h2_passed("ping-acknowledged-unasked", "RFC 9113 6.7", frame(PING, ACK, 0, CANARY + bytes(2)), request()),
    h2_broken("window-of-3-bytes", "RFC 9113 6.9", frame(WINDOW, 0, 0, bytes(3)), error="FRAME_SIZE_ERROR"),
    h2_broken("window-of-0", "RFC 9113 6.9", frame(WINDOW, 0, 0, word(0))),
    h2_broken("window-of-0-with-the-reserved-bit", "RFC 9113 6.9", frame(WINDOW, 0, 0, word(1 << 31))),
    h2_broken("window-that-overflows", "RFC 9113 6.9.1", frame(WINDOW, 0, 0, word(0x7fffffff)), error="FLOW_CONTROL_ERROR"),
    # "a connection error": nghttp2 gives up those streams whose windows overflow, which holds nobody else up
    h2_refused("window-that-overflows-by-settings", "RFC 9113 6.9.2", request(method="POST", end=False), frame(WINDOW, 0, 1, word(0x7fffffff - 65535)),
               setting(4, 65536), status="RST FLOW_CONTROL_ERROR", partial=True),
    # "a stream error", which may be treated as one of the connection (section 5.4.1)
    h2_broken("window-of-0-of-a-stream", "RFC 9113 6.9", request(method="POST", end=False), frame(WINDOW, 0, 1, word(0)), partial=True, lost=True),
    h2_refused("window-of-a-stream-that-overflows", "RFC 9113 6.9.1", request(method="POST", end=False), frame(WINDOW, 0, 1, word(0x7fffffff)),
               status="RST FLOW_CONTROL_ERROR", partial=True),
    h2_passed("window-with-the-reserved-bit", "RFC 9113 6.9", frame(WINDOW, 0, 0, word(1 << 31 | 9)), request()),
    h2_broken("padding-of-more-than-there-is", "RFC 9113 6.2", frame(HEADERS, BOTH | PADDED, 1, b"\xff" + BLOCK)),
    h2_broken("padding-of-all-there-is-and-one", "RFC 9113 6.2", frame(HEADERS, BOTH | PADDED, 1, b"\x05\0\0\0\0")),
    h2_broken("padding-without-its-length", "RFC 9113 6.2", frame(HEADERS, BOTH | PADDED, 1), error=("FRAME_SIZE_ERROR", "PROTOCOL_ERROR")),
    h2_broken("padding-of-data-too-long", "RFC 9113 6.1", request(method="POST", path="/1", end=False), frame(DATA, PADDED | END_STREAM, 1, b"\x07" + CANARY),
              partial=True, lost=True),
    h2_passed("padding-of-headers", "RFC 9113 6.2", frame(HEADERS, BOTH | PADDED, 1, b"\x06" + GOOD + CANARY)),
    h2_passed("padding-of-nothing", "RFC 9113 6.2", frame(HEADERS, BOTH | PADDED, 1, b"\x00" + GOOD)),
    h2_passed("padding-of-data", "RFC 9113 6.1", request(method="POST", end=False), frame(DATA, PADDED | END_STREAM, 1, b"\x06hello" + CANARY),
              seen=Seen("POST", body=b"hello")),
    h2_passed("padding-is-all-of-the-data", "RFC 9113 6.1", request(method="POST", end=False), frame(DATA, PADDED, 1, b"\x06" + CANARY), data(b"hello"),
              seen=Seen("POST", body=b"hello")),
    h2_passed("priority-of-headers", "RFC 9113 5.3.2", frame(HEADERS, BOTH | PRIORITISED, 1, word(0x80000003) + b"\xff" + GOOD)),
    h2_broken("priority-of-headers-cut-short", "RFC 9113 6.2", frame(HEADERS, BOTH | PRIORITISED, 1, b"\0\0"), error=("FRAME_SIZE_ERROR", "PROTOCOL_ERROR")),
    h2_broken("priority-of-stream-0", "RFC 9113 6.3", frame(PRIORITY, 0, 0, word(1) + b"\1")),
    h2_broken("priority-of-4-bytes", "RFC 9113 6.3", frame(PRIORITY, 0, 1, word(3)), error="FRAME_SIZE_ERROR"),
    h2_passed("priority-of-an-idle-stream", "RFC 9113 6.3", frame(PRIORITY, 0, 9, word(3) + b"\1"), request()),
    # deprecated with all of RFC 7540 section 5.3: either may be ignored now, neither may become a request of its own
    h2_passed("priority-of-a-stream-on-itself", "RFC 9113 5.3.2", frame(PRIORITY, 0, 9, word(9) + b"\1"), request()),
    h2_passed("unknown-frames", "RFC 9113 5.5", frame(0xbb, 0xff, 0, CANARY), frame(0x0a, 0, 0, CANARY), frame(0x0c, 0, 0, CANARY), request(end=False, method="POST"),
              frame(0xbb, 0xff, 1, CANARY), data(b"hello"), seen=Seen("POST", body=b"hello")),
    h2_passed("unknown-frame-of-an-idle-stream", "RFC 9113 5.5", frame(0xbb, 0, 99, CANARY), request()),
    h2_passed("unknown-flags", "RFC 9113 4.1", frame(HEADERS, BOTH | 0xd2 & ~PRIORITISED, 1, GOOD)),
    h2_passed("priority-update", "RFC 9218 7.1", frame(0x10, 0, 0, word(1) + b"u=0"), request()),
    h2_passed("data-of-nothing", "RFC 9113 6.1", request(method="POST", end=False), *[frame(DATA, 0, 1)] * 20, data(b"hello"), seen=Seen("POST", body=b"hello")),
]

def split(i, host):
    """A request whose block is cut behind its byte `i`."""
    whole = block(*PAIRS[:2], (":authority", host), (":path", f"/{i:03}"))
    return frame(HEADERS, END_STREAM, 2 * i + 1, whole[:i]) + frame(CONTINUATION, END_HEADERS, 2 * i + 1, whole[i:])


def split_all(numbers):
    return Vector(f"h2-continuation-behind-byte-{numbers[0]}-to-{numbers[-1]}", "RFC 9113 6.10",
                  (lambda host: OPENING + b"".join(split(i, host) for i in numbers),),
                  tuple(Seen(target=f"/{i:03}") for i in numbers), tuple(Got(200) for _ in numbers), front="h2")


CONTINUATIONS = [
    *(split_all(range(first, min(first + 20, len(GOOD) + 4))) for first in range(0, len(GOOD) + 4, 20)),
    h2_passed("continuation-of-nothing-more", "RFC 9113 6.10", frame(HEADERS, END_STREAM, 1, GOOD), frame(CONTINUATION, 0, 1), frame(CONTINUATION, END_HEADERS, 1)),
    h2_passed("continuation-of-padded-headers", "RFC 9113 6.10", frame(HEADERS, END_STREAM | PADDED, 1, b"\x06" + GOOD[:9] + CANARY),
              frame(CONTINUATION, END_HEADERS, 1, GOOD[9:])),
    h2_passed("continuation-of-trailers", "RFC 9113 8.1", request(method="POST", end=False), data(b"hello", end=False),
              frame(HEADERS, END_STREAM, 1, block(("x-sum", "1"))[:4]), frame(CONTINUATION, END_HEADERS, 1, block(("x-sum", "1"))[4:]),
              seen=Seen("POST", body=b"hello", trailers=(("x-sum", "1"),))),
    h2_broken("continuations-without-end", "RFC 9113 10.5.1", frame(HEADERS, END_STREAM, 1, BLOCK), *[frame(CONTINUATION, 0, 1)] * 40, error="ENHANCE_YOUR_CALM"),
    h2_broken("continuations-of-40-kib", "RFC 9113 10.5.1", frame(HEADERS, END_STREAM, 1, BLOCK), *[frame(CONTINUATION, 0, 1, block(("x-a", "a" * 8000)))] * 5,
              error="ENHANCE_YOUR_CALM", cuts=("whole", "lines")),
    h2_broken("headers-cut-off-by-the-end", "RFC 9113 8.1.1", frame(HEADERS, END_STREAM, 1, BLOCK), frame(WINDOW, 0, 0, word(1))),
]


def literal(name, value, index=False):
    return (b"\x40" if index else b"\0") + h2.text(name) + h2.text(value)


def bad_block(name, rfc, *tail, error="COMPRESSION_ERROR"):
    """A field block that can't be read leaves both ends with different tables: it costs the connection."""
    return h2_broken(f"hpack-{name}", rfc, frame(HEADERS, BOTH, 1, BLOCK + b"".join(tail)), error=error)


INDEXED = b"\x82\x86" + literal(":authority", HOST)  # :method GET, :scheme http of the static table
HPACK = [
    bad_block("index-0", "RFC 7541 6.1", b"\x80"),
    bad_block("index-62-of-an-empty-table", "RFC 7541 2.3.3", b"\xbe"),
    bad_block("index-huge", "RFC 7541 2.3.3", b"\xff\xff\xff\xff\x07"),
    bad_block("index-endless", "RFC 7541 5.1", b"\xff" + b"\x80" * 20 + b"\x01"),
    bad_block("integer-above-2^32", "RFC 7541 5.1", b"\xff\xff\xff\xff\xff\xff\x0f"),
    bad_block("integer-cut-off", "RFC 7541 5.1", b"\xff\xff"),
    bad_block("name-index-out-of-the-table", "RFC 7541 6.2.2", b"\x0f\xf0\x03\x01a"),
    bad_block("string-longer-than-the-block", "RFC 7541 5.2", b"\0\x7fabc"),
    bad_block("string-without-its-value", "RFC 7541 6.2.2", b"\0\x01a"),
    bad_block("string-of-2^31", "RFC 7541 5.2", b"\0\x01a\x7f\x81\xff\xff\xff\x07abc"),
    bad_block("huffman-end-of-string", "RFC 7541 5.2", b"\0\x01a\x84\xff\xff\xff\xff"),
    bad_block("huffman-padding-of-zeros", "RFC 7541 5.2", b"\0\x01a\x81\x18"),
    bad_block("huffman-padding-of-a-byte", "RFC 7541 5.2", b"\0\x01a\x82\x1f\xff"),
    h2_broken("hpack-size-update-above-the-limit", "RFC 7541 6.3", frame(HEADERS, BOTH, 1, b"\x3f\xe2\x1f" + BLOCK), error="COMPRESSION_ERROR"),
    bad_block("size-update-behind-a-field", "RFC 7541 4.2", b"\x20"),
    h2_broken("hpack-size-update-alone-behind-trailers", "RFC 7541 4.2", request(method="POST", path="/1", end=False),
              frame(HEADERS, BOTH, 1, block(("x-a", "b")) + b"\x20"), error="COMPRESSION_ERROR", partial=True, lost=True),
    h2_broken("hpack-entry-that-was-evicted", "RFC 7541 4.4", frame(HEADERS, BOTH, 1, b"\x20" + INDEXED + literal(":path", "/CANARY", True) + b"\xbe"),
              error="COMPRESSION_ERROR"),
    h2_broken("hpack-entry-larger-than-the-table", "RFC 7541 4.4",
              frame(HEADERS, BOTH, 1, BLOCK + literal("x-a", "b", True) + literal("x-c", "d" * 5000, True) + b"\xbe"), error="COMPRESSION_ERROR"),
    h2_passed("hpack-size-update-to-0", "RFC 7541 6.3", frame(HEADERS, BOTH, 1, b"\x20" + GOOD)),
    h2_passed("hpack-size-updates-to-0-and-back", "RFC 7541 4.2", frame(HEADERS, BOTH, 1, b"\x20\x3f\xe1\x1f" + GOOD)),
    h2_passed("hpack-static-table", "RFC 7541 2.3.1", frame(HEADERS, BOTH, 1, INDEXED + b"\x84")),
    h2_passed("hpack-dynamic-table", "RFC 7541 2.3.2", frame(HEADERS, BOTH, 1, INDEXED + literal(":path", "/a", True)), frame(HEADERS, BOTH, 3, INDEXED + b"\xbe"),
              seen=(Seen(target="/a"), Seen(target="/a"))),
    # what is refused still has its place in the table: the next block must be read alike at both ends
    h2_passed("hpack-dynamic-table-behind-a-refused-block", "RFC 9113 4.3", frame(HEADERS, BOTH, 1, INDEXED + literal("x-CANARY", "b", True) + literal(":path", "/b", True)),
              frame(HEADERS, BOTH, 3, INDEXED + b"\xbe"), seen=Seen(target="/b"), client=(Got((400, "RST PROTOCOL_ERROR")), Got(200))),
    h2_passed("hpack-never-indexed", "RFC 7541 6.2.3", frame(HEADERS, BOTH, 1, GOOD + b"\x10" + h2.text("x-a") + h2.text("b")), seen=Seen(has=(("x-a", "b"),))),
    h2_passed("hpack-huffman", "RFC 7541 5.2", frame(HEADERS, BOTH, 1, INDEXED + b"\x04\x82\x63\x1f"), seen=Seen(target="/H")),
    h2_refused("hpack-small-bomb", "RFC 7541 7.3", frame(HEADERS, BOTH, 1, BLOCK + literal("x-a", "a" * 3000, True) + b"\xbe" * 12), status=431),
    h2_broken("hpack-bomb", "RFC 7541 7.3", frame(HEADERS, BOTH, 1, BLOCK + literal("x-a", "a" * 3000, True) + b"\xbe" * 10000), error="ENHANCE_YOUR_CALM"),
    h2_refused("hpack-huffman-that-decodes-to-a-line-end", "RFC 9113 8.2.1", frame(HEADERS, BOTH, 1, BLOCK + b"\0\x03x-a\x84\xff\xff\xff\xf3"),
               status=(400, "RST PROTOCOL_ERROR")),
]


def not_http2(name, rfc, text, status):
    return Vector(f"preface-{name}", rfc, (text,), (), (Got(status),), ends=True)


UPGRADE = get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
PREFACES = [
    not_http2("of-http-1", "RFC 9113 3.4", b"PRI * HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n", (400, 505)),
    not_http2("misspelt", "RFC 9113 3.4", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", (400, 505)),
    not_http2("with-a-host", "RFC 9113 3.4", b"PRI * HTTP/2.0\r\nHost: " + HOST.encode() + b"\r\n\r\nSM\r\n\r\n", (400, 505)),
    not_http2("with-a-path", "RFC 9113 3.4", b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    not_http2("with-bare-lf", "RFC 9113 3.4", b"PRI * HTTP/2.0\n\nSM\n\n", (400, 505)),
    not_http2("behind-an-empty-line", "RFC 9113 3.4", b"\r\n" + PREFACE, (400, 505)),
    not_http2("lower-case", "RFC 9113 3.4", b"pri * http/2.0\r\n\r\nsm\r\n\r\n", (400, 505)),
    not_http2("of-http-3", "RFC 9113 3.4", b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    not_http2("one-byte-more", "RFC 9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\nX\r\n", (400, 505)),
    h2_broken("preface-and-rubbish", "RFC 9113 3.4", b"GET /CANARY HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n", opening=PREFACE,
              error=("FRAME_SIZE_ERROR", "PROTOCOL_ERROR")),
    h2_broken("preface-twice", "RFC 9113 3.4", PREFACE, error=("FRAME_SIZE_ERROR", "PROTOCOL_ERROR")),
    # a request of HTTP/1 comes first: it is answered as one, and what the client would have said in HTTP/2 is none of HTTP/1
    Vector("upgrade-to-h2c-and-its-preface", "RFC 9113 3.1", (UPGRADE + PREFACE + frame(SETTINGS, 0, 0),), (Seen(has=(("upgrade", None), ("http2-settings", None))),),
           (Got(200), Got((400, 505))), ends=True),
    Vector("upgrade-to-h2c-and-a-request-of-http-2", "RFC 9113 3.1", (UPGRADE, "ANSWER", OPENING + request(stream=3, path="/CANARY")),
           (Seen(has=(("upgrade", None), ("http2-settings", None))),), (Got(200), Got((400, 505))), ends=True),
]

VECTORS = STREAMS + FRAMES + CONTINUATIONS + HPACK + PREFACES
