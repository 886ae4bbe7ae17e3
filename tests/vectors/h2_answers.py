# SPDX-License-Identifier: GPL-3.0-or-later
"""h2_answers.py - pods that speak HTTP/2: what they are told, and what becomes of answers that are none.

A client gets 502, or an answer that breaks off, and never a whole one made of something else. What is wrong with an answer costs its stream
(kept: the next request goes out on the same connection); what is wrong with the connection ends that."""
import dataclasses
import struct

import chunks
import connection
import framing
import h2
import h2_fields
import lines
from h2 import ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PUSH, RST, SETTINGS, WINDOW, block, frame
from protocols import answer_frames
from vector import ANSWER, ASKED, CANARY, FIN, RESET, Got, Seen, Vector, chunked, get, post, steps

BOTH = END_HEADERS | END_STREAM
OK = Got(200, b"ok")


def word(value):
    return struct.pack(">I", value)


def head(*pairs, end=False, stream=1):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block(*pairs))


def data(payload=b"", end=True, stream=1):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def pod_says(name, rfc, *script, got=(), ask=get(), seen=Seen(), **more):
    """Without `got`: 502, or half an answer where `cut`."""
    if not got and not more.get("cut"):
        got = (Got(502),)
    got = got if isinstance(got, tuple) else (got,)
    seen = seen if isinstance(seen, tuple) else (seen,)
    return Vector(f"pod-h2-{name}", rfc, steps(ask), seen, got, script=script, back="h2", **more)


def bad(name, rfc, *script, **more):
    """The answer's fault."""
    more.setdefault("kept", True)
    return pod_says(name, rfc, *script, **more)


def broken(name, rfc, *script, **more):
    """The connection's fault."""
    return pod_says(name, rfc, *script, kept=False, **more)


def good(name, rfc, *script, got=OK, **more):
    more.setdefault("kept", True)
    return pod_says(name, rfc, *script, got=got, **more)


def bad_head(name, rfc, *pairs, **more):
    return bad(name, rfc, head(*pairs), data(CANARY), **more)


STATUS = (":status", "200")

HEADS = [
    bad_head("status-missing", "RFC 9113 8.3.2", ("x-a", "b")),
    bad_head("status-missing-of-nothing", "RFC 9113 8.3.2"),
    bad_head("status-twice", "RFC 9113 8.3.2", STATUS, STATUS),
    bad_head("status-twice-differing", "RFC 9113 8.3.2", STATUS, (":status", "404")),
    bad_head("status-behind-a-field", "RFC 9113 8.3", ("x-a", "b"), STATUS),
    *(bad_head(f"status-{name}", "RFC 9110 15", (":status", value)) for name, value in {
        "empty": "", "two-digits": "20", "four-digits": "2000", "letters": "abc", "plus": "+20", "space": "2 0", "zero": "000", "below-100": "099",
        "with-a-reason": "200 OK", "negative": "-20", "cr-lf": "200\r\nx-a: b"}.items()),
    bad_head("101", "RFC 9113 8.6", (":status", "101")),
    bad_head("pseudo-of-a-request", "RFC 9113 8.3", STATUS, (":path", "/")),
    bad_head("pseudo-unknown", "RFC 9113 8.3", STATUS, (":x", "b")),
    bad_head("pseudo-upper-case", "RFC 9113 8.2.1", (":Status", "200")),
    *(bad_head(f"name-{what}", "RFC 9113 8.2.1", STATUS, (name, "CANARY")) for what, name in {
        "upper-case": "X-a", "cr-lf": "x\r\na", "nul": "x\0a", "space": "x a", "space-last": "x ", "colon": "x:a", "empty": "", "delete": "x\x7f",
        "a-line": "x: y\r\nx-b", "latin-1": "x\xe9"}.items()),
    *(bad_head(f"value-{what}", "RFC 9113 8.2.1", STATUS, ("x-a", value)) for what, value in {
        "cr": "a\rb", "lf": "a\nb", "nul": "a\0b", "a-line": "a\r\nset-cookie: CANARY", "an-answer": "a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nCANARY",
        "space-first": " a", "space-last": "a ", "tab-last": "a\t", "delete": "a\x7f", "control": "\x01"}.items()),
    *(bad_head(f"{name}", "RFC 9113 8.2.2", STATUS, (name, value)) for name, value in (
        ("connection", "close"), ("keep-alive", "timeout=5"), ("proxy-connection", "close"), ("transfer-encoding", "chunked"), ("upgrade", "h2c"))),
    bad_head("content-length-disguised", "RFC 9110 5.1", STATUS, ("content_length", "6")),
    bad_head("transfer-encoding-disguised", "RFC 9110 5.1", STATUS, ("transfer_encoding", "chunked")),
    bad("fields-200", "RFC 9113 10.5.1", head(STATUS, *((f"x-{i}", "b") for i in range(200))), data(CANARY)),
]

LENGTHS = [
    *(bad_head(f"length-{name}", "RFC 9110 8.6", STATUS, ("content-length", value)) for name, value in {
        "negative": "-6", "plus": "+6", "hexadecimal": "0x6", "list": "6, 6", "empty": "", "letters": "six", "above-2^63": "9223372036854775808",
        "2^64+6": "18446744073709551622", "space": "6 6"}.items()),
    bad_head("length-twice", "RFC 9110 8.6", STATUS, ("content-length", "6"), ("content-length", "6")),
    bad_head("length-twice-differing", "RFC 9110 8.6", STATUS, ("content-length", "6"), ("content-length", "0")),
    bad("length-of-no-body", "RFC 9113 8.1.1", head(STATUS, ("content-length", "5"), end=True)),
    bad("length-short", "RFC 9113 8.1.1", head(STATUS, ("content-length", "5")), data(b"hell"), cut=True),
    bad("length-short-by-all", "RFC 9113 8.1.1", head(STATUS, ("content-length", "5")), data(), cut=True),
    bad("length-long", "RFC 9113 8.1.1", head(STATUS, ("content-length", "5")), data(b"hello" + CANARY), cut=True),
    bad("length-long-in-pieces", "RFC 9113 8.1.1", head(STATUS, ("content-length", "5")), data(b"hello", False), data(CANARY), cut=True),
    bad("length-long-without-end", "RFC 9113 8.1.1", head(STATUS, ("content-length", "5")), data(b"hello", False), data(CANARY, False), cut=True),
    bad("length-zero-and-a-body", "RFC 9113 8.1.1", head(STATUS, ("content-length", "0")), data(CANARY), cut=True),
    bad("length-short-with-trailers", "RFC 9113 8.1.1", head(STATUS, ("content-length", "5")), data(b"hell", False), head(("x-sum", "1"), end=True), cut=True),
    good("length", "RFC 9113 8.1.1", head(STATUS, ("content-length", "2")), data(b"ok"), got=Got(200, b"ok", has=(("content-length", "2"),))),
    good("length-in-pieces", "RFC 9113 8.1.1", head(STATUS, ("content-length", "2")), data(b"o", False), data(b"", False), data(b"k", False), data()),
    good("length-zero", "RFC 9113 8.1.1", head(STATUS, ("content-length", "0")), data(), got=Got(200, b"", has=(("content-length", "0"),))),
    good("length-leading-zeros", "RFC 9110 8.6", head(STATUS, ("content-length", "0002")), data(b"ok"), got=Got(200, b"ok", has=(("content-length", "2"),))),
    good("no-length", "RFC 9113 8.1", head(STATUS), data(b"o", False), data(b"k"), got=Got(200, b"ok", has=(("transfer-encoding", "chunked"),))),
    good("no-length-no-body", "RFC 9113 8.1", head(STATUS, end=True), got=Got(200, b"")),
    good("no-length-empty-body", "RFC 9113 8.1", head(STATUS), data(), got=Got(200, b"")),
    good("body-is-chunks", "RFC 9112 7.1", head(STATUS), data(b"0\r\n\r\n"), got=Got(200, b"0\r\n\r\n")),
    good("head", "RFC 9110 9.3.2", head(STATUS, ("content-length", "6"), end=True), ask=get(method="HEAD"), seen=Seen("HEAD"),
         got=Got(200, b"", has=(("content-length", "6"),)), methods=("HEAD",)),
    bad("head-and-a-body", "RFC 9110 9.3.2", head(STATUS, ("content-length", "6")), data(CANARY), ask=get(method="HEAD"), seen=Seen("HEAD"),
        got=Got((200, 502), b""), methods=("HEAD",), lost=True, kept=None),
    good("204", "RFC 9110 15.3.5", head((":status", "204"), end=True), got=Got(204, b"")),
    good("304-with-a-length", "RFC 9110 15.4.5", head((":status", "304"), ("content-length", "6"), end=True), got=Got(304, b"")),
    bad("204-and-a-body", "RFC 9110 15.3.5", head((":status", "204")), data(CANARY), got=Got((204, 502)), lost=True, kept=None),
    bad("304-and-a-body", "RFC 9110 15.4.5", head((":status", "304")), data(CANARY), got=Got((304, 502), b""), lost=True, kept=None),
]


def interim(status, *fields, **more):
    return head((":status", str(status)), *fields, **more)


GOOD = answer_frames()
SECOND = answer_frames(body=CANARY)

ORDER = [
    good("100", "RFC 9113 8.1", interim(100) + GOOD, interim=(100,)),
    good("103-and-102", "RFC 9113 8.1", interim(103, ("link", "x")) + interim(102) + GOOD, interim=(103, 102)),
    bad("interim-that-ends", "RFC 9113 8.1", interim(103, end=True), kept=None),
    bad("interim-with-a-length", "RFC 9110 8.6", interim(103, ("content-length", "6")) + SECOND, kept=None),
    bad("interim-and-data", "RFC 9113 8.1", interim(103) + data(CANARY), kept=None),
    bad("interim-101-inside", "RFC 9113 8.6", interim(103) + interim(101) + SECOND, kept=None),
    bad("interims-40", "RFC 9110 15.2", interim(103) * 40 + SECOND, kept=None),
    bad("interim-malformed", "RFC 9113 8.2.1", interim(103, ("X-A", "CANARY")) + SECOND, kept=None),
    pod_says("data-first", "RFC 9113 8.1", data(CANARY)),
    pod_says("data-of-nothing-first", "RFC 9113 8.1", data()),
    bad("two-heads", "RFC 9113 8.1", head(STATUS) + head(STATUS) + data(CANARY), cut=True, kept=None),
    bad("two-heads-and-the-second-ends", "RFC 9113 8.1", head(STATUS) + head((":status", "404"), end=True), cut=True, kept=None),
    pod_says("twice", "RFC 9113 5.1", GOOD + SECOND, got=OK),
    pod_says("data-behind-the-end", "RFC 9113 5.1", GOOD + data(CANARY), got=OK),
    pod_says("trailers-behind-the-end", "RFC 9113 5.1", GOOD + head(("x-CANARY".lower(), "CANARY"), end=True), got=OK),
    pod_says("on-an-even-stream", "RFC 9113 5.1.1", answer_frames(stream=2, body=CANARY)),
    pod_says("on-a-stream-nobody-opened", "RFC 9113 5.1.1", answer_frames(stream=7, body=CANARY)),
    pod_says("on-stream-0", "RFC 9113 6.2", answer_frames(stream=0, body=CANARY)),
]


def bad_trailers(name, rfc, *pairs):
    return bad(f"trailers-{name}", rfc, head(STATUS), data(b"ok", False), head(*pairs, end=True), cut=True)


TRAILERS = [
    good("trailers", "RFC 9113 8.1", head(STATUS), data(b"ok", False), head(("x-sum", "1"), end=True), got=Got(200, b"ok", trailers=(("x-sum", "1"),))),
    good("trailers-of-a-length", "RFC 9113 8.1", head(STATUS, ("content-length", "2")), data(b"ok", False), head(("x-sum", "1"), end=True)),
    bad_trailers("status", "RFC 9113 8.1", STATUS),
    bad_trailers("pseudo", "RFC 9113 8.1", (":path", "/")),
    bad_trailers("pseudo-unknown", "RFC 9113 8.1", (":x", "y")),
    bad_trailers("upper-case", "RFC 9113 8.2.1", ("X-CANARY", "b")),
    bad_trailers("cr-lf", "RFC 9113 8.2.1", ("x-a", "b\r\nCANARY: c")),
    bad_trailers("an-answer", "RFC 9113 8.2.1", ("x-a", "b\r\n\r\nHTTP/1.1 200 CANARY\r\n\r\n")),
    bad_trailers("nul", "RFC 9113 8.2.1", ("x-a", "CANARY\0")),
    bad_trailers("space-last", "RFC 9113 8.2.1", ("x-a", "CANARY ")),
    bad_trailers("empty-name", "RFC 9113 8.2.1", ("", "CANARY")),
    bad_trailers("connection", "RFC 9113 8.2.2", ("connection", "CANARY")),
    bad_trailers("transfer-encoding", "RFC 9113 8.2.2", ("transfer-encoding", "chunked")),
    bad("trailers-that-do-not-end", "RFC 9113 8.1", head(STATUS), data(b"ok", False), head(("x-a", "b")), data(CANARY), cut=True),
    bad("trailers-cr-lf-of-a-length", "RFC 9113 8.2.1", head(STATUS, ("content-length", "2")), data(b"ok", False), head(("x-a", "b\r\nCANARY"), end=True), cut=True),
]


def reset(error, stream=1):
    return frame(RST, 0, stream, word(error))


def goaway(last, error=0):
    return frame(GOAWAY, 0, 0, word(last) + word(error))


HALF = head(STATUS, ("content-length", "5")) + data(b"hel", False)
ENDS = [
    bad("reset", "RFC 9113 5.4.2", reset(2)),
    bad("reset-cancel", "RFC 9113 5.4.2", reset(8)),
    bad("reset-no-error-and-no-answer", "RFC 9113 8.1", reset(0)),
    bad("reset-behind-an-interim", "RFC 9113 5.4.2", interim(103) + reset(2)),
    bad("reset-behind-half", "RFC 9113 5.4.2", HALF + reset(2), cut=True),
    bad("reset-no-error-behind-half", "RFC 9113 5.4.2", HALF + reset(0), cut=True),
    bad("reset-behind-half-of-no-length", "RFC 9113 5.4.2", head(STATUS) + data(b"hel", False) + reset(0), cut=True),
    bad("reset-behind-the-whole-body-but-its-end", "RFC 9113 8.1", head(STATUS, ("content-length", "5")) + data(b"hello", False) + reset(0), cut=True),
    # RFC 9113 section 8.7: it has not been looked at, and goes out once more
    pod_says("refused", "RFC 9113 8.7", reset(7), seen=(Seen(), Seen()), got=Got(200, b"GET /")),
    # but for a body that has been passed on already: nobody has kept it
    pod_says("refused-post", "RFC 9113 8.7", ASKED, reset(7), ask=post("Content-Length: 5", body=b"hello"), seen=Seen("POST", body=b"hello"), kept=True),
    pod_says("goaway-of-streams-above-0", "RFC 9113 6.8", goaway(0), seen=(Seen(), Seen()), got=Got(200, b"GET /"), kept=False),
    pod_says("goaway-and-the-answer", "RFC 9113 6.8", goaway(1) + GOOD, got=OK, kept=False),
    pod_says("goaway-inside-of-the-answer", "RFC 9113 6.8", head(STATUS) + goaway(1) + data(b"ok"), got=OK, kept=False),
    pod_says("goaway-of-everything-yet-and-the-answer", "RFC 9113 6.8", goaway(0x7fffffff) + GOOD, got=OK, kept=False),
    pod_says("goaway-with-an-error-and-the-end", "RFC 9113 6.8", goaway(1, 2), FIN, kept=False),
    pod_says("goaway-with-an-error-behind-half", "RFC 9113 6.8", HALF + goaway(1, 2), FIN, cut=True, kept=False),
    pod_says("end-before-an-answer", "RFC 9113 5.4.1", FIN, kept=False),
    pod_says("end-behind-half", "RFC 9113 5.4.1", HALF, FIN, cut=True, kept=False),
    pod_says("end-behind-half-of-no-length", "RFC 9113 5.4.1", head(STATUS) + data(b"hel", False), FIN, cut=True, kept=False),
    pod_says("end-behind-the-body-without-its-end", "RFC 9113 8.1", head(STATUS, ("content-length", "5")) + data(b"hello", False), FIN, cut=True, kept=False),
    pod_says("end-inside-of-a-frame", "RFC 9113 5.4.1", head(STATUS) + data(b"hello")[:12], FIN, cut=True, kept=False),
    pod_says("end-inside-of-a-block", "RFC 9113 5.4.1", frame(HEADERS, 0, 1, block(STATUS)), FIN, kept=False),
    pod_says("connection-reset-behind-half", "RFC 9113 5.4.1", HALF, RESET, cut=True, kept=False),
]


def setting(key, value):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", key, value))


FAULTS = {
    "push-promise": ("RFC 9113 8.4", frame(PUSH, END_HEADERS, 1, word(2) + block((":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/CANARY")))),
    "frame-too-large": ("RFC 9113 4.2", frame(DATA, 0, 1, CANARY + bytes(16384))),
    "data-on-stream-0": ("RFC 9113 6.1", data(CANARY, stream=0)),
    "continuation-of-nothing": ("RFC 9113 6.10", frame(CONTINUATION, END_HEADERS, 1, block(STATUS))),
    "ping-inside-a-block": ("RFC 9113 4.3", frame(HEADERS, 0, 1, block(STATUS)) + frame(PING, 0, 0, bytes(8))),
    "settings-of-5-bytes": ("RFC 9113 6.5", frame(SETTINGS, 0, 0, bytes(5))),
    "settings-on-a-stream": ("RFC 9113 6.5", frame(SETTINGS, 0, 1)),
    "settings-window-of-2^31": ("RFC 9113 6.5.2", setting(4, 1 << 31)),
    "settings-frame-of-100": ("RFC 9113 6.5.2", setting(5, 100)),
    "settings-push-of-1": ("RFC 9113 6.5.2", setting(2, 1)),
    "window-of-0": ("RFC 9113 6.9", frame(WINDOW, 0, 0, word(0))),
    "window-that-overflows": ("RFC 9113 6.9.1", frame(WINDOW, 0, 0, word(0x7fffffff))),
    "ping-of-7-bytes": ("RFC 9113 6.7", frame(PING, 0, 0, bytes(7))),
    "goaway-of-7-bytes": ("RFC 9113 6.8", frame(GOAWAY, 0, 0, bytes(7))),
    "reset-of-3-bytes": ("RFC 9113 6.4", frame(RST, 0, 1, bytes(3))),
    "hpack-index-0": ("RFC 7541 6.1", frame(HEADERS, BOTH, 1, b"\x80")),
    "hpack-index-out-of-the-table": ("RFC 7541 2.3.3", frame(HEADERS, BOTH, 1, b"\x88\xff\x7f")),
    "hpack-string-cut-off": ("RFC 7541 5.2", frame(HEADERS, BOTH, 1, b"\x88\0\x7fa")),
    "hpack-size-update-above-the-limit": ("RFC 7541 6.3", frame(HEADERS, BOTH, 1, b"\x3f\xe2\x1f\x88")),
    "padding-too-long": ("RFC 9113 6.1", frame(HEADERS, BOTH | PADDED, 1, b"\xff\x88")),
    "continuations-without-end": ("RFC 9113 10.5.1", frame(HEADERS, END_STREAM, 1, block(STATUS)) + frame(CONTINUATION, 0, 1) * 40),
}

CONNECTION = [
    *(broken(f"{name}", rfc, fault + SECOND) for name, (rfc, fault) in FAULTS.items()),
    *(broken(f"{name}-behind-half", rfc, HALF + fault, cut=True) for name, (rfc, fault) in FAULTS.items() if not name.startswith("reset")),
    broken("settings-missing", "RFC 9113 3.4", SECOND, greets=False),
    broken("speaks-http-1", "RFC 9113 3.4", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nCANARY", greets=False),
    broken("speaks-http-1-and-declines", "RFC 9113 3.4", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", FIN, greets=False),
    broken("speaks-like-a-client", "RFC 9113 3.4", PREFACE + SECOND, greets=False),
    good("unknown-frames", "RFC 9113 5.5", frame(0xbb, 0xff, 1, CANARY) + frame(0x0a, 0, 0, CANARY) + head(STATUS) + frame(0xbb, 0, 1, CANARY) + data(b"ok")),
    good("priority", "RFC 9113 6.3", frame(PRIORITY, 0, 1, word(3) + b"\1") + GOOD),
    good("ping", "RFC 9113 6.7", frame(PING, 0, 0, bytes(8)) + GOOD),
    good("settings-again", "RFC 9113 6.5", h2.settings(table=0, window=65535, list=1000) + GOOD),
    good("padding", "RFC 9113 6.1", frame(HEADERS, END_HEADERS | PADDED, 1, b"\x06" + block(STATUS) + CANARY) + frame(DATA, END_STREAM | PADDED, 1, b"\x06ok" + CANARY)),
    good("continuation", "RFC 9113 6.10", frame(HEADERS, 0, 1, block(STATUS)[:5]) + frame(CONTINUATION, 0, 1) + frame(CONTINUATION, END_HEADERS, 1, block(STATUS)[5:]) + data(b"ok")),
    good("hpack-size-update", "RFC 7541 6.3", frame(HEADERS, END_HEADERS, 1, b"\x20\x88") + data(b"ok")),
    good("data-of-nothing", "RFC 9113 6.1", head(STATUS) + frame(DATA, 0, 1) * 5 + data(b"ok")),
]

BIG = bytes(b % 251 for b in range(200_000))
WINDOWS = [
    good("window-of-0-then-some", "RFC 9113 6.9.2", h2.settings(window=0), frame(WINDOW, 0, 1, word(2)), frame(WINDOW, 0, 1, word(3)), ASKED, GOOD,
         ask=post("Content-Length: 5", body=b"hello"), seen=Seen("POST", body=b"hello")),
    good("window-that-shrinks-below-0", "RFC 9113 6.9.2", h2.settings(window=0), h2.settings(window=70000), frame(WINDOW, 0, 0, word(1 << 20)),
         frame(WINDOW, 0, 1, word(1 << 20)), ASKED, GOOD, ask=post(f"Content-Length: {len(BIG)}", body=BIG), seen=Seen("POST", body=BIG), cuts=("whole",)),
    good("window-of-a-stream-that-is-over", "RFC 9113 6.9", GOOD, ANSWER, frame(WINDOW, 0, 1, word(9))),
    # the answer is there before the window for the request's body is: RFC 9113 section 8.1
    pod_says("answer-while-the-body-has-no-window", "RFC 9113 8.1", h2.settings(window=0), GOOD, ask=(post("Content-Length: 50000"), ANSWER), seen=(),
             got=OK, ends=True, partial=True),
    pod_says("answer-and-reset-no-error", "RFC 9113 8.1", GOOD + reset(0), ask=(post("Content-Length: 50000"), ANSWER), seen=(), got=OK, ends=True, partial=True),
]


# ---- what pods are told, of all that clients of either kind may say ----
def to_h2(vector):
    """The same client before a pod of HTTP/2, which has no framing fields, no Connection and no tunnels."""
    gone = {"transfer-encoding", "connection", "upgrade", "te"}
    pod = tuple(dataclasses.replace(s, has=tuple((n, v) for n, v in s.has if n not in gone)) for s in vector.pod)
    return dataclasses.replace(vector, name=f"{vector.name}-to-h2", pod=pod, back="h2", cuts=("whole", "bytes") if vector.front == "h2" else ("whole",))


H1_CLIENTS = [to_h2(v) for table in (framing, chunks, lines, connection) for v in table.VECTORS if not v.script and v.tunnel is None]
H2_CLIENTS = [to_h2(v) for v in h2_fields.VECTORS]

VECTORS = HEADS + LENGTHS + ORDER + TRAILERS + ENDS + CONNECTION + WINDOWS
TOLD = H1_CLIENTS + H2_CLIENTS
