# SPDX-License-Identifier: GPL-3.0-or-later
"""answers.py - hostile pods: answers that could be read two ways, lying lengths, two answers, unasked 101, floods.

What is no answer is a 502 and that connection to the pod ends. What breaks once it has begun cuts the client, so that half is never
taken for all. Behind each the next request must get its own answer."""
from vector import ANSWER, ASKED, CANARY, FIN, GOOD, RESET, SECOND, Got, Seen, answer, chunked, get, post, reply

CHUNKED = "Transfer-Encoding: chunked"
OK = Got(200, b"ok")


def bad(name, rfc, script, **more):
    """No answer at all: 502."""
    return answer(f"answer-{name}", rfc, script, **more)


def cut(name, rfc, script, **more):
    """Good until it had begun: the client is cut (or, where nothing had been sent yet, told 502)."""
    return answer(f"answer-{name}", rfc, script, cut=True, kept=False, **more)


def good(name, rfc, script, *got, kept=True, **more):
    return answer(f"answer-{name}", rfc, script, *(got or (OK,)), kept=kept, **more)


def text(raw):
    return raw.encode("latin-1")


STATUS_LINES = [
    bad("is-rubbish", "RFC 9112 4", b"CANARY\r\n\r\n"),
    bad("is-a-request", "RFC 9112 2.1", get("/CANARY")),
    bad("has-no-status-line", "RFC 9112 2.1", b"Content-Length: 6\r\n\r\nCANARY"),
    bad("is-http-0.9", "RFC 9112 2.3", (b"<html>CANARY</html>", FIN)),
    *(bad(f"status-line-{name}", "RFC 9112 4", text(line) + b"\r\nContent-Length: 6\r\n\r\nCANARY") for name, line in (
        ("version-2.0", "HTTP/2.0 200 OK"), ("version-0.9", "HTTP/0.9 200 OK"), ("version-1.2", "HTTP/1.2 200 OK"),
        ("version-1.1x", "HTTP/1.1x 200 OK"), ("version-lower-case", "http/1.1 200 OK"), ("icy", "ICY 200 OK"),
        ("rtsp", "RTSP/1.0 200 OK"), ("two-spaces", "HTTP/1.1  200 OK"), ("tab", "HTTP/1.1\t200 OK"),
        ("space-before", " HTTP/1.1 200 OK"), ("two-digits", "HTTP/1.1 20 OK"), ("four-digits", "HTTP/1.1 2000 OK"),
        ("letters", "HTTP/1.1 2OO OK"), ("negative", "HTTP/1.1 -200 OK"), ("zeros", "HTTP/1.1 000 OK"),
        ("below-100", "HTTP/1.1 099 OK"), ("no-status", "HTTP/1.1 OK"), ("no-status-at-all", "HTTP/1.1"),
        ("nul-in-reason", "HTTP/1.1 200 O\0K"), ("cr-in-reason", "HTTP/1.1 200 O\rK"), ("lf-in-reason", "HTTP/1.1 200 O\nK"),
        ("control-in-reason", "HTTP/1.1 200 O\x01K"), ("delete-in-reason", "HTTP/1.1 200 O\x7fK"))),
    good("status-line-without-reason", "RFC 9112 4", reply("Content-Length: 2", status="200 ", body=b"ok")),
    good("status-line-obs-text-in-reason", "RFC 9112 4", reply("Content-Length: 2", status="200 \xe9", body=b"ok")),
    good("status-unknown", "RFC 9110 15", reply("Content-Length: 2", status="599 Strange", body=b"ok"), Got(599, b"ok")),
    good("http-1.0", "RFC 9112 9.3", (reply(version="HTTP/1.0", body=b"ok"), FIN), kept=False),
    good("http-1.0-with-length", "RFC 9112 9.3", reply("Content-Length: 2", version="HTTP/1.0", body=b"ok"), kept=False),
    good("http-1.0-kept", "RFC 9112 9.3", reply("Content-Length: 2", "Connection: keep-alive", version="HTTP/1.0", body=b"ok")),
    good("behind-an-empty-line", "RFC 9112 2.2", b"\r\n" + GOOD),
]

HEADS = [
    *(bad(f"head-{name}", rfc, text(f"HTTP/1.1 200 OK\r\n{lines}\r\nContent-Length: 6\r\n\r\n") + CANARY) for name, rfc, lines in (
        ("folded", "RFC 9112 5.2", "X-A: b\r\n c"), ("folded-tab", "RFC 9112 5.2", "X-A: b\r\n\tc"),
        ("first-line-indented", "RFC 9112 2.2", " X-A: b"), ("bare-lf", "RFC 9112 2.2", "X-A: b\nX-B: c"),
        ("bare-cr", "RFC 9112 2.2", "X-A: b\rX-B: c"), ("nul", "RFC 9110 5.5", "X-A: b\0c"), ("control", "RFC 9110 5.5", "X-A: b\x01c"),
        ("space-before-colon", "RFC 9112 5.1", "X-A : b"), ("no-colon", "RFC 9112 5", "X-A"), ("no-name", "RFC 9112 5", ": b"),
        ("space-in-name", "RFC 9110 5.1", "X A: b"), ("obs-text-in-name", "RFC 9110 5.1", "X\xe9A: b"),
        ("disguised-te", "RFC 9110 5.1", "Transfer_Encoding: chunked"), ("disguised-cl", "RFC 9110 5.1", "Content_Length: 1"))),
    bad("head-lf-only", "RFC 9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 6\n\nCANARY"),
    bad("head-lf-as-empty-line", "RFC 9112 2.2", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\nCANARY"),
    bad("head-too-large", "RFC 9110 5.4", reply("X-A: " + "b" * 40000, "Content-Length: 6", body=CANARY)),
    bad("head-too-many-fields", "RFC 9110 5.4", reply(*(f"X-{i}: b" for i in range(200)), "Content-Length: 6", body=CANARY)),
    bad("head-breaks-off", "RFC 9112 8", (b"HTTP/1.1 200 OK\r\nX-A: CANARY\r\n", FIN)),
    bad("head-breaks-off-by-reset", "RFC 9112 8", (b"HTTP/1.1 200 OK\r\nX-A: CANARY\r\n", RESET)),
    bad("never-comes", "RFC 9112 8", (ASKED, FIN)),
    good("hop-by-hop-fields", "RFC 9110 7.6.1",
         reply("Keep-Alive: timeout=CANARY", "Proxy-Connection: CANARY", "Proxy-Authenticate: CANARY", "Trailer: CANARY",
               "X-A: CANARY", "Connection: x-a", "Upgrade: CANARY", "Content-Length: 2", body=b"ok"),
         Got(200, b"ok", has=(("x-a", None), ("upgrade", None), ("keep-alive", None)))),
    good("connection-names-content-length", "RFC 9110 7.6.1", reply("Connection: content-length", "Content-Length: 2", body=b"ok"),
         Got(200, b"ok", has=(("content-length", "2"),))),
    good("cookie-for-the-neighbours", "RFC 6265 5.3", reply("Set-Cookie: a=CANARY; Domain=1d.pt", "Content-Length: 2", body=b"ok")),
]

BOTH = "RFC 9112 6.1"
LENGTHS = [
    *(bad(f"framing-{name}", rfc, reply(*fields, body=b"6\r\nCANARY\r\n0\r\n\r\n")) for name, rfc, fields in (
        ("cl-te", BOTH, ("Content-Length: 6", CHUNKED)), ("te-cl", BOTH, (CHUNKED, "Content-Length: 6")),
        ("cl-te-identity", BOTH, ("Content-Length: 6", "Transfer-Encoding: identity")),
        ("cl-twice", "RFC 9112 6.3", ("Content-Length: 6", "Content-Length: 6")),
        ("cl-differing", "RFC 9112 6.3", ("Content-Length: 6", "Content-Length: 3")),
        ("cl-list", "RFC 9112 6.3", ("Content-Length: 6, 6",)), ("cl-plus", "RFC 9110 8.6", ("Content-Length: +6",)),
        ("cl-minus", "RFC 9110 8.6", ("Content-Length: -6",)), ("cl-hexadecimal", "RFC 9110 8.6", ("Content-Length: 0x6",)),
        ("cl-empty", "RFC 9110 8.6", ("Content-Length:",)), ("cl-letters", "RFC 9110 8.6", ("Content-Length: six",)),
        ("cl-2^64", "RFC 9110 8.6", ("Content-Length: 18446744073709551616",)),
        ("cl-above-2^63", "RFC 9110 8.6", ("Content-Length: 9223372036854775808",)),
        ("te-xchunked", BOTH, ("Transfer-Encoding: xchunked",)), ("te-identity", BOTH, ("Transfer-Encoding: identity",)),
        ("te-empty", BOTH, ("Transfer-Encoding:",)), ("te-gzip", BOTH, ("Transfer-Encoding: gzip",)),
        ("te-gzip-chunked", BOTH, ("Transfer-Encoding: gzip, chunked",)),
        ("te-chunked-gzip", BOTH, ("Transfer-Encoding: chunked, gzip",)),
        ("te-chunked-twice", BOTH, (CHUNKED, CHUNKED)), ("te-quoted", BOTH, ('Transfer-Encoding: "chunked"',)),
        ("te-vertical-tab", BOTH, ("Transfer-Encoding: \x0bchunked",)))),
    bad("framing-te-http-1.0", BOTH, reply(CHUNKED, version="HTTP/1.0", body=b"6\r\nCANARY\r\n0\r\n\r\n")),
    good("framing-length", "RFC 9112 6.3", GOOD),
    good("framing-length-zeros", "RFC 9110 8.6", reply("Content-Length: 002", body=b"ok"), Got(200, b"ok", has=(("content-length", "2"),))),
    good("framing-chunks", "RFC 9112 7.1", reply(CHUNKED, body=chunked(b"o", b"k"))),
    good("framing-close", "RFC 9112 6.3", (reply(body=b"ok"), FIN), kept=False),
    cut("length-too-large", "RFC 9112 8", (reply("Content-Length: 10", body=b"half"), FIN)),
    cut("length-too-large-reset", "RFC 9112 8", (reply("Content-Length: 10", body=b"half"), RESET)),
    cut("close-by-reset", "RFC 9112 8", (reply(body=b"half"), RESET)),
    cut("close-by-reset-http-1.0-client", "RFC 9112 8", (reply(body=b"half"), RESET), ask=get(version="HTTP/1.0")),
    good("length-too-small", "RFC 9112 6.3", reply("Content-Length: 2", body=b"okCANARY"), kept=False),
    good("length-0-with-a-body", "RFC 9112 6.3", reply("Content-Length: 0", body=CANARY), Got(200, b""), kept=False),
]

CHUNKS = [
    *(cut(f"chunk-{name}", "RFC 9112 7.1", (reply(CHUNKED, body=b"2\r\nok\r\n" + body), ASKED)) for name, body in (
        ("size-plus", b"+6\r\nCANARY\r\n0\r\n\r\n"), ("size-0x", b"0x6\r\nCANARY\r\n0\r\n\r\n"), ("size-space", b"6 \r\nCANARY\r\n0\r\n\r\n"),
        ("size-empty", b"\r\nCANARY\r\n0\r\n\r\n"), ("size-letters", b"six\r\nCANARY\r\n0\r\n\r\n"),
        ("size-2^64", b"10000000000000006\r\nCANARY\r\n0\r\n\r\n"), ("size-lf", b"6\nCANARY\r\n0\r\n\r\n"),
        ("size-cr", b"6\rCANARY\r\n0\r\n\r\n"), ("size-zeros", b"0" * 17 + b"6\r\nCANARY\r\n0\r\n\r\n"),
        ("extension-lf", b"6;a\nb\r\nCANARY\r\n0\r\n\r\n"), ("extension-cr", b"6;a\rb\r\nCANARY\r\n0\r\n\r\n"),
        ("extension-quoted-lf", b'6;a="\n"\r\nCANARY\r\n0\r\n\r\n'), ("extension-nul", b"6;\0\r\nCANARY\r\n0\r\n\r\n"),
        ("extension-endless", b"6;" + b"a" * 5000 + b"\r\nCANARY\r\n0\r\n\r\n"))),
    *(cut(f"chunk-{name}", "RFC 9112 7.1", (reply(CHUNKED, body=b"2\r\nok" + body), ASKED)) for name, body in (
        ("no-crlf-behind-data", b"0\r\n\r\n"), ("lf-behind-data", b"\n0\r\n\r\n"), ("data-too-long", b"CANARY\r\n0\r\n\r\n"),
        ("trailer-content-length", b"\r\n0\r\nContent-Length: 5\r\n\r\n"), ("trailer-te", b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("trailer-disguised", b"\r\n0\r\nTransfer_Encoding: chunked\r\n\r\n"), ("trailer-folded", b"\r\n0\r\nX-A: b\r\n CANARY\r\n\r\n"),
        ("trailer-lf", b"\r\n0\r\nX-A: b\n\r\n"), ("trailer-too-large", b"\r\n0\r\nX-A: " + b"b" * 40000 + b"\r\n\r\n"))),
    cut("chunk-breaks-off", "RFC 9112 8", (reply(CHUNKED, body=b"2\r\nok\r\n5\r\nha"), FIN)),
    cut("chunk-without-the-last", "RFC 9112 8", (reply(CHUNKED, body=b"2\r\nok\r\n"), FIN)),
    cut("chunk-without-the-end", "RFC 9112 8", (reply(CHUNKED, body=b"2\r\nok\r\n0\r\n"), FIN)),
    cut("chunk-breaks-off-http-1.0-client", "RFC 9112 8", (reply(CHUNKED, body=b"2\r\nok\r\n"), FIN), ask=get(version="HTTP/1.0")),
    good("chunk-extension", "RFC 9112 7.1.1", reply(CHUNKED, body=b"2;a=CANARY\r\nok\r\n0;CANARY\r\n\r\n")),
    good("chunk-trailers", "RFC 9112 7.1.2", reply(CHUNKED, body=b"2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n"),
         Got(200, b"ok", trailers=(("x-sum", "42"),))),
    good("chunk-trailer-of-the-head", "RFC 9110 6.5.1", reply(CHUNKED, body=b"2\r\nok\r\n0\r\nSet-Cookie: CANARY\r\nLocation: CANARY\r\n\r\n")),
    good("chunks-and-more", "RFC 9112 9.3", reply(CHUNKED, body=chunked(b"ok") + CANARY), kept=False),
]

NO_BODY = [
    good("head-with-a-body", "RFC 9110 9.3.2", reply("Content-Length: 6", body=CANARY), Got(200, has=(("content-length", "6"),)),
         ask=get(method="HEAD"), seen=Seen("HEAD"), methods=("HEAD",), kept=False),
    good("head-without-a-body", "RFC 9110 9.3.2", reply("Content-Length: 6"), Got(200), ask=get(method="HEAD"), seen=Seen("HEAD"),
         methods=("HEAD",)),
    good("head-with-chunks", "RFC 9110 9.3.2", reply(CHUNKED, body=chunked(CANARY)), Got(200), ask=get(method="HEAD"),
         seen=Seen("HEAD"), methods=("HEAD",), kept=False),
    good("head-of-unknown-length", "RFC 9110 9.3.2", reply(), Got(200), ask=get(method="HEAD"), seen=Seen("HEAD"), methods=("HEAD",)),
    good("204-with-a-body", "RFC 9110 15.3.5", reply(status="204 No Content", body=CANARY), Got(204), kept=False),
    good("204-with-an-answer-behind", "RFC 9112 6.3", reply(status="204 No Content") + SECOND, Got(204), kept=False),
    good("204-length-0", "RFC 9110 8.6", reply("Content-Length: 0", status="204 No Content"), Got(204)),
    bad("204-with-a-length", "RFC 9110 8.6", reply("Content-Length: 6", status="204 No Content", body=CANARY)),
    bad("204-with-chunks", "RFC 9112 6.1", reply(CHUNKED, status="204 No Content", body=chunked(CANARY))),
    good("304-with-a-length", "RFC 9110 8.6", reply("Content-Length: 6", status="304 Not Modified"), Got(304)),
    good("304-with-a-body", "RFC 9110 15.4.5", reply("Content-Length: 6", status="304 Not Modified", body=CANARY), Got(304), kept=False),
    good("304-with-chunks", "RFC 9112 6.3", reply(CHUNKED, status="304 Not Modified", body=chunked(CANARY)), Got(304), kept=False),
    good("205-without-a-body", "RFC 9110 15.3.6", reply("Content-Length: 0", status="205 Reset Content"), Got(205)),
]

TWICE = [
    good("twice", "RFC 9112 9.3", GOOD + SECOND, kept=False),
    good("twice-the-second-later", "RFC 9112 9.3", (GOOD, ANSWER, SECOND), kept=False),
    good("twice-the-second-a-408", "RFC 9110 15.5.9", (GOOD, ANSWER, reply("Content-Length: 6", status="408 Request Timeout", body=CANARY)),
         kept=False),
    good("and-rubbish-later", "RFC 9112 9.3", (GOOD, ANSWER, CANARY), kept=False),
    good("and-one-line-end", "RFC 9112 9.3", GOOD + b"\r\n", kept=False),
    good("and-half-an-answer-later", "RFC 9112 9.3", (GOOD, ANSWER, b"HTTP/1.1 200 OK\r\nX-A: CANARY\r\n"), kept=False),
    good("and-the-end", "RFC 9112 9.6", (GOOD, ANSWER, FIN), kept=False),
    good("and-a-reset", "RFC 9112 9.6", (GOOD, ANSWER, RESET), kept=False),
    good("and-an-interim-later", "RFC 9110 15.2", (GOOD, ANSWER, reply(status="100 Continue")), kept=False),
    good("says-close", "RFC 9112 9.6", reply("Content-Length: 2", "Connection: close", body=b"ok"), kept=False),
    good("says-close-and-answers-again", "RFC 9112 9.6", reply("Content-Length: 2", "Connection: close", body=b"ok") + SECOND, kept=False),
    good("chunks-and-an-answer-behind", "RFC 9112 9.3", reply(CHUNKED, body=chunked(b"ok")) + SECOND, kept=False),
]


def interim(status, *fields, body=b""):
    return reply(*fields, status=status, body=body)


SWITCH = interim("101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket")
UPGRADE = get("/", "Connection: upgrade", "Upgrade: websocket")
INTERIM = [
    good("interim-100", "RFC 9110 15.2.1", interim("100 Continue") + GOOD, interim=(100,)),
    good("interim-103", "RFC 8297 2", interim("103 Early Hints", "Link: </a>") + GOOD, interim=(103,)),
    good("interim-many", "RFC 9110 15.2", interim("102 Processing") * 10 + GOOD, interim=(102,) * 10),
    good("interim-http-1.0-client", "RFC 9110 15.2", interim("103 Early Hints") + GOOD, OK, interim=(),
         ask=get("/", "Connection: keep-alive", version="HTTP/1.0")),
    good("interim-length-0", "RFC 9112 6.1", interim("103 Early Hints", "Content-Length: 0") + GOOD, interim=(103,)),
    good("interim-unknown", "RFC 9110 15.2", interim("199 Strange") + GOOD, interim=(199,)),
    bad("interim-flood", "RFC 9110 15.2", interim("102 Processing") * 100 + GOOD),
    bad("interim-with-a-length", "RFC 9110 8.6", interim("103 Early Hints", "Content-Length: 6", body=CANARY) + GOOD),
    bad("interim-with-chunks", "RFC 9112 6.1", interim("103 Early Hints", CHUNKED, body=chunked(CANARY)) + GOOD),
    bad("interim-and-rubbish", "RFC 9112 2.1", interim("103 Early Hints") + b"CANARY\r\n\r\n"),
    bad("interim-and-the-end", "RFC 9110 15.2", (interim("103 Early Hints"), FIN)),
    bad("interim-bad", "RFC 9112 5.2", interim("103 Early Hints", "X-A: b\r\n CANARY") + GOOD),
    bad("101-unasked", "RFC 9110 15.2.2", SWITCH + CANARY),
    bad("101-unasked-then-an-answer", "RFC 9110 15.2.2", SWITCH + SECOND),
    bad("101-unasked-h2c", "RFC 9110 7.8", interim("101 Switching Protocols", "Connection: upgrade", "Upgrade: h2c") + CANARY),
    bad("101-without-upgrade", "RFC 9110 7.8", interim("101 Switching Protocols") + CANARY, ask=UPGRADE, ends=True),
    bad("101-without-connection", "RFC 9110 7.8", interim("101 Switching Protocols", "Upgrade: websocket") + CANARY, ask=UPGRADE, ends=True),
    bad("101-to-another-protocol", "RFC 9110 7.8",
        interim("101 Switching Protocols", "Connection: upgrade", "Upgrade: h2c") + CANARY, ask=UPGRADE, ends=True),
    bad("101-to-two-protocols", "RFC 9110 7.8",
        interim("101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket, h2c") + CANARY, ask=UPGRADE, ends=True),
    bad("101-with-a-length", "RFC 9112 6.1",
        interim("101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket", "Content-Length: 6") + CANARY, ask=UPGRADE, ends=True),
    bad("101-with-chunks", "RFC 9112 6.1",
        interim("101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket", CHUNKED) + CANARY, ask=UPGRADE, ends=True),
    good("200-to-an-upgrade", "RFC 9110 7.8", GOOD, ask=UPGRADE, ends=True),
    good("426", "RFC 9110 15.5.22", reply("Upgrade: websocket", "Connection: upgrade", "Content-Length: 2", status="426 Upgrade Required", body=b"ok"),
         Got(426, b"ok", has=(("upgrade", "websocket"),))),
]

LONG = 50_000
EARLY = [
    answer("answer-early", "RFC 9112 9.3", GOOD, OK, ask=(post(f"Content-Length: {LONG}"), ANSWER), seen=(), ends=True,
           partial=True, kept=False),
    answer("answer-early-chunked", "RFC 9112 9.3", GOOD, OK, ask=(post(CHUNKED, body=b"5\r\nhello\r\n"), ANSWER), seen=(), ends=True,
           partial=True, kept=False),
    # what comes of the body behind the answer is no request of anybody
    answer("answer-early-body-is-a-request", "RFC 9112 9.3", GOOD, OK,
           ask=(post(f"Content-Length: {LONG}"), ANSWER, get("/CANARY")), seen=(), ends=True, partial=True, kept=False),
    answer("answer-early-and-twice", "RFC 9112 9.3", GOOD + SECOND, OK, ask=(post(f"Content-Length: {LONG}"), ANSWER), seen=(),
           ends=True, partial=True, kept=False),
    answer("answer-early-then-the-whole-body", "RFC 9112 9.3", (ASKED, GOOD), OK, ask=post("Content-Length: 5", body=b"hello"),
           seen=Seen("POST", body=b"hello"), kept=True),
    answer("answer-without-100", "RFC 9110 10.1.1", reply("Content-Length: 2", status="403 Forbidden", body=b"no"), Got(403, b"no"),
           ask=(post("Expect: 100-continue", f"Content-Length: {LONG}"), ANSWER), seen=(), ends=True, partial=True, kept=False),
    answer("answer-with-100-before-the-body", "RFC 9110 10.1.1", (interim("100 Continue"), ASKED, GOOD), OK,
           ask=post("Expect: 100-continue", "Content-Length: 5", body=b"hello"), seen=Seen("POST", body=b"hello"), kept=True, interim=(100,)),
]

VECTORS = STATUS_LINES + HEADS + LENGTHS + CHUNKS + NO_BODY + TWICE + INTERIM + EARLY
