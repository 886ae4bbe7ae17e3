# SPDX-License-Identifier: GPL-3.0-or-later
"""h2_fields.py - requests over HTTP/2 that HTTP/1 could not carry, or that two readers would not read alike: they cost their stream."""
from h2 import CONTINUATION, DATA, END_STREAM, HEADERS, PADDED, block, frame
from protocols import OPENING, request
from vector import CANARY, HOST, SMUGGLED, Got, Seen, Vector

EXTRA = 4  # END_HEADERS alone: the stream goes on
# RFC 9113 section 8.1.1: a stream error of type PROTOCOL_ERROR, before which there may be an answer
MALFORMED = (400, "RST PROTOCOL_ERROR")
BODY = "RST PROTOCOL_ERROR"
INSIDE = request(stream=3, authority="a.example")


def data(payload=b"", stream=1, end=True):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def trailers(*pairs, stream=1, end=True):
    return frame(HEADERS, EXTRA | (END_STREAM if end else 0), stream, block(*pairs))


def h2_refused(name, rfc, *frames, status=MALFORMED, **more):
    """One request that no pod sees any byte of; the connection lives on."""
    return Vector(f"h2-{name}", rfc, (OPENING + b"".join(frames),), (), (Got(status),), front="h2", **more)


def h2_passed(name, rfc, *frames, seen=Seen(), client=None, **more):
    seen = seen if isinstance(seen, tuple) else (seen,)
    client = tuple(Got(200) for _ in seen) if client is None else client
    return Vector(f"h2-{name}", rfc, (OPENING + b"".join(frames),), seen, client, front="h2", **more)


def field(name, rfc, *pairs, **more):
    return h2_refused(name, rfc, request(*pairs, path="/CANARY"), **more)


NAMES = [
    *(field(f"name-{what}", "RFC 9113 8.2.1", (name, "CANARY")) for what, name in {
        "upper-case": "X-a", "upper-case-inside": "xAa", "upper-case-last": "x-aZ", "cr": "x\ra", "lf": "x\na", "cr-lf": "x\r\na",
        "a-line": "x: y\r\nx-b", "a-request": f"x: y\r\n\r\nGET /CANARY HTTP/1.1\r\nhost: {HOST}\r\nx", "nul": "x\0a", "space": "x a",
        "space-first": " x", "space-last": "x ", "tab-last": "x\t", "colon": "x:a", "colon-last": "x:", "delete": "x\x7f",
        "latin-1": "x\xe9", "non-breaking-space": "x\xa0", "bracket": "x(a)", "comma": "x,a", "quote": 'x"a', "slash": "x/a",
        "equals": "x=a", "brace": "{x}", "question": "x?", "at": "x@a", "semicolon": "x;a", "backslash": "x\\a", "empty": "",
        "control": "x\x01", "vertical-tab": "x\x0b"}.items()),
    field("name-content-length-upper-case", "RFC 9113 8.2.1", ("Content-Length", "0")),
    field("name-content-length-disguised", "RFC 9110 5.1", ("content_length", "5")),
    field("name-transfer-encoding-disguised", "RFC 9110 5.1", ("transfer_encoding", "chunked")),
    field("name-host-space-behind", "RFC 9113 8.2.1", ("host ", HOST)),
    h2_passed("name-of-every-token-character", "RFC 9110 5.6.2", request(("!#$%&'*+-.^_`|~09az", "b")),
              seen=Seen(has=(("!#$%&'*+-.^_`|~09az", "b"),))),
]

VALUES = [
    *(field(f"value-{what}", "RFC 9113 8.2.1", ("x-a", value)) for what, value in {
        "cr": "a\rb", "lf": "a\nb", "nul": "a\0b", "cr-last": "a\r", "lf-first": "\na", "nul-last": "a\0",
        "a-line": "a\r\nx-b: c", "a-length": "a\r\ncontent-length: 5", "a-coding": "a\r\ntransfer-encoding: chunked",
        "a-request": f"a\r\n\r\nGET /CANARY HTTP/1.1\r\nhost: {HOST}\r\n\r\n", "folded": "a\r\n b", "space-first": " a", "space-last": "a ",
        "tab-first": "\ta", "tab-last": "a\t", "only-a-space": " ", "only-a-tab": "\t", "delete": "a\x7fb", "control": "a\x01b",
        "vertical-tab": "a\x0bb", "form-feed": "a\x0cb", "escape": "a\x1bb", "backspace": "a\x08b"}.items()),
    field("value-lf-in-a-cookie-crumb", "RFC 9113 8.2.3", ("cookie", "a=1"), ("cookie", "b=2\nx: y")),
    h2_passed("value-latin-1", "RFC 9110 5.5", request(("x-a", "\xe9\xff\x80")), seen=Seen(has=(("x-a", "\xe9\xff\x80"),))),
    h2_passed("value-tab-inside", "RFC 9110 5.5", request(("x-a", "a\tb")), seen=Seen(has=(("x-a", "a\tb"),))),
    h2_passed("value-empty", "RFC 9110 5.5", request(("x-a", "")), seen=Seen(has=(("x-a", ""),))),
    h2_passed("value-is-a-chunk", "RFC 9110 5.5", request(("x-a", "0;a=b")), seen=Seen(has=(("x-a", "0;a=b"),))),
    h2_passed("cookie-crumbs", "RFC 9113 8.2.3", request(("cookie", "a=1"), ("x-a", "b"), ("cookie", "c=2")),
              seen=Seen(has=(("cookie", "a=1; c=2"),))),
]

CONNECTION = [
    *(field(f"{name}-{value.replace(' ', '-')}", "RFC 9113 8.2.2", (name, value)) for name, value in (
        ("connection", "close"), ("connection", "x-a"), ("connection", "upgrade"), ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked"), ("transfer-encoding", "identity"), ("upgrade", "websocket"),
        ("upgrade", "h2c"), ("te", "gzip"), ("te", "trailers, gzip"), ("te", "chunked"), ("te", "trailers;q=1"))),
    field("te-empty", "RFC 9113 8.2.2", ("te", "")),
    field("connection-empty", "RFC 9113 8.2.2", ("connection", "")),
    h2_refused("transfer-encoding-with-chunks", "RFC 9113 8.2.2",
               request(("transfer-encoding", "chunked"), method="POST", path="/CANARY", end=False), data(b"0\r\n\r\n" + SMUGGLED)),
    h2_refused("length-and-transfer-encoding", "RFC 9113 8.2.2",
               request(("content-length", "5"), ("transfer-encoding", "chunked"), method="POST", path="/CANARY", end=False), data(b"0\r\n\r\n")),
    h2_passed("te-trailers", "RFC 9113 8.2.2", request(("te", "trailers"))),
    h2_passed("hop-by-hop-of-proxies", "RFC 9110 7.6.1",
              request(("proxy-authorization", "CANARY"), ("proxy", "CANARY"), ("trailer", "CANARY"), ("http2-settings", "CANARY")),
              seen=Seen(has=(("proxy-authorization", None), ("proxy", None), ("trailer", None), ("http2-settings", None)))),
    h2_passed("forwarded-of-a-stranger", "RFC 7239 8.1", request(("x-forwarded-for", "CANARY"), ("forwarded", "for=CANARY"), ("x-real-ip", "CANARY")),
              seen=Seen(has=(("x-forwarded-for", "127.0.0.1"), ("forwarded", None), ("x-real-ip", None)))),
]

PSEUDO = {":method": "GET", ":scheme": "http", ":authority": HOST, ":path": "/CANARY"}


def head(*pairs):
    return frame(HEADERS, EXTRA | END_STREAM, 1, block(*pairs))


def but(**changed):
    """The four, with some of them otherwise; None: without."""
    pairs = [(n, changed.get(n[1:], v)) for n, v in PSEUDO.items()]
    return [(n, v) for n, v in pairs if v is not None]


def pseudo(name, rfc, *pairs, **more):
    return h2_refused(f"pseudo-{name}", rfc, head(*pairs), **more)


PSEUDOS = [
    *(pseudo(f"without-{n[1:]}", "RFC 9113 8.3.1", *((m, v) for m, v in PSEUDO.items() if m != n)) for n in PSEUDO),
    *(pseudo(f"{n[1:]}-twice", "RFC 9113 8.3.1", *PSEUDO.items(), (n, PSEUDO[n])) for n in PSEUDO),
    *(pseudo(f"{n[1:]}-twice-differing", "RFC 9113 8.3.1", *PSEUDO.items(), (n, other)) for n, other in (
        (":method", "POST"), (":path", "/other"), (":authority", "other.example"), (":scheme", "https"))),
    *(pseudo(f"{n[1:]}-behind-a-field", "RFC 9113 8.3", *((m, v) for m, v in PSEUDO.items() if m != n), ("x-a", "b"), (n, PSEUDO[n])) for n in PSEUDO),
    *(pseudo(f"{n[1:]}-empty", "RFC 9113 8.3.1", *but(**{n[1:]: ""})) for n in PSEUDO),
    pseudo("none", "RFC 9113 8.3.1", ("x-a", "CANARY")),
    pseudo("unknown", "RFC 9113 8.3", *PSEUDO.items(), (":x", "CANARY")),
    pseudo("without-a-name", "RFC 9113 8.3", *PSEUDO.items(), (":", "CANARY")),
    pseudo("upper-case", "RFC 9113 8.2.1", *but(method=None), (":Method", "GET")),
    pseudo("upper-case-beside", "RFC 9113 8.2.1", *PSEUDO.items(), (":PATH", "/")),
    pseudo("status", "RFC 9113 8.3", *PSEUDO.items(), (":status", "200")),
    pseudo("protocol-of-a-get", "RFC 8441 4", *PSEUDO.items(), (":protocol", "websocket")),
    pseudo("nothing-at-all", "RFC 9113 8.3.1"),
]

PATHS = [
    *(pseudo(f"path-{name}", rfc, *but(path=value)) for name, rfc, value in (
        ("star-of-a-get", "RFC 9113 8.3.1", "*"), ("without-a-slash", "RFC 9113 8.3.1", "CANARY"), ("absolute", "RFC 9113 8.3.1", f"http://{HOST}/CANARY"),
        ("only-a-query", "RFC 9113 8.3.1", "?CANARY"), ("authority-form", "RFC 9113 8.3.1", f"{HOST}:80"), ("space", "RFC 9112 3", "/CANARY HTTP/1.1"),
        ("cr-lf", "RFC 9113 8.2.1", "/CANARY HTTP/1.1\r\nx-a: b"), ("lf", "RFC 9113 8.2.1", "/CANARY\n"), ("nul", "RFC 9113 8.2.1", "/CANARY\0"),
        ("tab", "RFC 9112 3", "/CANARY\tx"), ("delete", "RFC 9112 3", "/CANARY\x7f"), ("latin-1", "RFC 9112 3", "/CANARY\xe9"),
        ("fragment", "RFC 9112 3.2", "/CANARY#a"), ("space-first", "RFC 9113 8.2.1", " /CANARY"), ("space-last", "RFC 9113 8.2.1", "/CANARY "),
        ("above-the-root", "RFC 3986 5.2.4", "/../CANARY"), ("broken-escape", "RFC 3986 2.1", "/CANARY%zz"), ("nul-escaped", "RFC 3986 2.1", "/CANARY%00"),
        ("dots-and-escaped-slash", "RFC 3986 5.2.4", "/..%2fCANARY"), ("star-and-more", "RFC 9113 8.3.1", "*/CANARY"),
        ("backslash-first", "RFC 9113 8.3.1", "\\CANARY"), ("overlong-dot", "RFC 3629 10", "/%c0%ae%c0%ae/CANARY"))),
    h2_refused("path-of-9-kib", "RFC 9110 15.5.15", head(*but(path="/CANARY" + "a" * 9000)), status=414),
    h2_refused("path-star-of-options-and-a-query", "RFC 9113 8.3.1", head(*but(method="OPTIONS", path="*?CANARY"))),
    h2_passed("path-star-of-options", "RFC 9113 8.3.1", request(method="OPTIONS", path="*"), seen=Seen("OPTIONS", "*")),
    h2_passed("path-normalised", "RFC 3986 6.2.2", request(path="/a/../%62?q=%62"), seen=Seen(target="/b?q=%62")),
    h2_passed("path-two-slashes", "RFC 3986 3.3", request(path="//other.example/"), seen=Seen(target="//other.example/")),
    h2_passed("path-is-a-version", "RFC 9112 3", request(path="/HTTP/1.1"), seen=Seen(target="/HTTP/1.1")),
]

AUTHORITIES = [
    *(pseudo(f"authority-{name}", rfc, *but(authority=value)) for name, rfc, value in (
        ("userinfo", "RFC 9113 8.3.1", f"a@{HOST}"), ("userinfo-and-password", "RFC 9113 8.3.1", f"a:b@{HOST}"), ("at-last", "RFC 9113 8.3.1", f"{HOST}@"),
        ("port-99999", "RFC 3986 3.2.3", f"{HOST}:99999"), ("port-letters", "RFC 3986 3.2.3", f"{HOST}:CANARY"), ("slash", "RFC 3986 3.2", f"{HOST}/CANARY"),
        ("space", "RFC 3986 3.2", f"{HOST} CANARY"), ("comma", "RFC 3986 3.2", f"{HOST},{HOST}"), ("cr-lf", "RFC 9113 8.2.1", f"{HOST}\r\nx-a: b"),
        ("nul", "RFC 9113 8.2.1", f"{HOST}\0"), ("lf", "RFC 9113 8.2.1", f"{HOST}\n"), ("question", "RFC 3986 3.2", f"{HOST}?CANARY"),
        ("hash", "RFC 3986 3.2", f"{HOST}#CANARY"), ("backslash", "RFC 3986 3.2", f"{HOST}\\CANARY"), ("space-first", "RFC 9113 8.2.1", f" {HOST}"),
        ("escaped", "RFC 3986 3.2", f"{HOST}%0d%0a"), ("only-a-port", "RFC 9110 4.2.1", ":80"), ("colon-twice", "RFC 3986 3.2", f"{HOST}:80:80"),
        ("a-scheme", "RFC 9113 8.3.1", f"http://{HOST}"), ("300-bytes", "RFC 1035 2.3.4", "a" * 300))),
    field("host-against-the-authority", "RFC 9113 8.3.1", ("host", "other.example")),
    field("host-twice", "RFC 9112 3.2", ("host", HOST), ("host", HOST)),
    field("host-empty-against-the-authority", "RFC 9113 8.3.1", ("host", "")),
    field("host-with-another-port", "RFC 9113 8.3.1", ("host", f"{HOST}:81")),
    field("host-disguised", "RFC 9110 5.1", ("h_ost", HOST), ("host", "other.example")),
    pseudo("host-twice-alone", "RFC 9112 3.2", *but(authority=None), ("host", HOST), ("host", "other.example")),
    pseudo("host-empty-alone", "RFC 9113 8.3.1", *but(authority=None), ("host", "")),
    pseudo("host-with-userinfo-alone", "RFC 9113 8.3.1", *but(authority=None), ("host", f"a@{HOST}")),
    pseudo("authority-of-nobody", "RFC 9110 15.5.5", *but(authority="other.example"), status=404),
    h2_passed("host-beside-the-authority", "RFC 9113 8.3.1", request(("host", HOST)), seen=Seen(has=(("host", HOST),))),
    h2_passed("host-alone", "RFC 9113 8.3.1", head((":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", HOST)),
              seen=Seen(has=(("host", HOST),))),
    h2_passed("authority-with-a-port", "RFC 9113 8.3.1", request(authority=HOST + ":80"), seen=Seen()),
]

SCHEMES = [
    *(pseudo(f"scheme-{name}", rfc, *but(scheme=value)) for name, rfc, value in (
        ("ftp", "RFC 9113 8.3.1", "ftp"), ("a-url", "RFC 9113 8.3.1", f"http://{HOST}/CANARY"), ("colon", "RFC 3986 3.1", "http:"),
        ("cr-lf", "RFC 9113 8.2.1", "http\r\nx-a: b"), ("space-last", "RFC 9113 8.2.1", "http "), ("ws", "RFC 8441 5", "wss"), ("javascript", "RFC 3986 3.1", "javascript"),
        ("httpss", "RFC 9113 8.3.1", "httpss"), ("nul", "RFC 9113 8.2.1", "http\0"))),
    h2_passed("scheme-https", "RFC 9113 8.3.1", request(scheme="https"), seen=Seen(has=(("x-forwarded-proto", "http"),))),
]

WEBSOCKET = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", HOST), (":path", "/CANARY")]

METHODS = [
    *(pseudo(f"method-{name}", rfc, *but(method=value)) for name, rfc, value in (
        ("unknown", "RFC 9110 9.1", "CANARY"), ("lower-case", "RFC 9110 9.1", "get"), ("a-request-line", "RFC 9113 8.2.1", "GET /CANARY HTTP/1.1\r\nx-a: b"),
        ("space-last", "RFC 9113 8.2.1", "GET "), ("space-inside", "RFC 9110 9.1", "GET /"), ("cr-lf-first", "RFC 9113 8.2.1", "\r\nGET"),
        ("pri", "RFC 9113 3.4", "PRI"), ("play", "RFC 7826 13", "PLAY"), ("nul", "RFC 9113 8.2.1", "GET\0"), ("two", "RFC 9110 9.1", "GET,POST"))),
    pseudo("method-trace", "RFC 9110 9.3.8", *but(method="TRACE"), status=405),
    h2_refused("connect", "RFC 9113 8.5", head((":method", "CONNECT"), (":authority", f"{HOST}:80")), status=405),
    h2_refused("connect-with-a-tunnel", "RFC 9113 8.5", frame(HEADERS, EXTRA, 1, block((":method", "CONNECT"), (":authority", f"{HOST}:80"))),
               data(SMUGGLED), status=405),
    h2_refused("connect-with-path-and-scheme", "RFC 9113 8.5", head(*but(method="CONNECT")), status=(405, *MALFORMED)),
    h2_refused("connect-without-authority", "RFC 9113 8.5", head((":method", "CONNECT")), status=(405, *MALFORMED)),
    h2_refused("connect-lower-case", "RFC 9110 9.1", head((":method", "connect"), (":authority", HOST))),
    *(h2_refused(f"extended-connect-without-{n[1:]}", "RFC 8441 4", frame(HEADERS, EXTRA, 1, block(*((m, v) for m, v in WEBSOCKET if m != n))), data(CANARY))
      for n in (":authority", ":path", ":scheme")),
    h2_refused("extended-connect-that-ends", "RFC 8441 5", head(*WEBSOCKET)),
    h2_refused("extended-connect-with-a-length", "RFC 8441 5", frame(HEADERS, EXTRA, 1, block(*WEBSOCKET, ("content-length", "6"))), data(CANARY)),
    h2_refused("extended-connect-of-another-protocol", "RFC 8441 4",
               frame(HEADERS, EXTRA, 1, block(*[(n, "connect-udp" if n == ":protocol" else v) for n, v in WEBSOCKET])), data(CANARY), status=501),
    h2_refused("extended-connect-protocol-twice", "RFC 8441 4", frame(HEADERS, EXTRA, 1, block((":protocol", "websocket"), *WEBSOCKET)), data(CANARY)),
    h2_refused("extended-connect-protocol-behind", "RFC 9113 8.3",
               frame(HEADERS, EXTRA, 1, block(*(p for p in WEBSOCKET if p[0] != ":protocol"), ("x-a", "b"), (":protocol", "websocket"))), data(CANARY)),
    h2_refused("extended-connect-with-upgrade", "RFC 9113 8.2.2", frame(HEADERS, EXTRA, 1, block(*WEBSOCKET, ("upgrade", "h2c"))), data(CANARY)),
]


def length(name, value, body=b"hello", **more):
    return h2_refused(f"length-{name}", "RFC 9110 8.6", request(("content-length", value), method="POST", path="/CANARY", end=False), data(body), **more)


def wrong_length(name, value, *frames, pod=()):
    """The head is good and may be on its way to the pod; what the pod gets is never whole."""
    return h2_refused(f"length-{name}", "RFC 9113 8.1.1", request(("content-length", value), method="POST", end=False), *frames, status=BODY, partial=True)


LENGTHS = [
    *(length(name, value) for name, value in {
        "negative": "-5", "plus": "+5", "hexadecimal": "0x5", "list": "5, 5", "list-no-space": "5,5", "letters": "five", "empty": "", "fraction": "5.0",
        "above-2^63": "9223372036854775808", "2^64": "18446744073709551616", "2^64+5": "18446744073709551621", "40-digits": "9" * 40,
        "space-inside": "5 5", "nul": "5\0", "arabic-digit": "\xd9\xa5", "exponent": "5e0", "underscore": "1_0"}.items()),
    field("length-twice-the-same", "RFC 9110 8.6", ("content-length", "0"), ("content-length", "0")),
    field("length-twice-differing", "RFC 9110 8.6", ("content-length", "0"), ("content-length", "5")),
    field("length-of-no-body", "RFC 9113 8.1.1", ("content-length", "5")),
    field("length-of-no-body-2^63-1", "RFC 9113 8.1.1", ("content-length", "9223372036854775807")),
    wrong_length("short", "5", data(b"hell")),
    wrong_length("short-by-all", "5", data(b"")),
    wrong_length("short-in-pieces", "5", data(b"he", end=False), data(b"ll", end=False), data(b"")),
    wrong_length("long", "5", data(b"hello" + SMUGGLED)),
    wrong_length("long-by-one", "5", data(b"helloC")),
    wrong_length("long-in-pieces", "5", data(b"hello", end=False), data(SMUGGLED)),
    wrong_length("long-without-end", "5", data(b"hello", end=False), data(SMUGGLED, end=False)),
    wrong_length("zero-and-a-body", "0", data(SMUGGLED)),
    wrong_length("short-with-trailers", "5", data(b"hell", end=False), trailers(("x-a", "b"))),
    wrong_length("short-and-padded", "5", frame(DATA, END_STREAM | PADDED, 1, b"\x01hell\0")),
    h2_passed("length-exact", "RFC 9113 8.1.1", request(("content-length", "5"), method="POST", end=False), data(b"hello"),
              seen=Seen("POST", body=b"hello", has=(("content-length", "5"),))),
    h2_passed("length-exact-in-pieces", "RFC 9113 8.1.1", request(("content-length", "5"), method="POST", end=False), data(b"he", end=False),
              data(b"", end=False), data(b"llo", end=False), data(b""), seen=Seen("POST", body=b"hello")),
    h2_passed("length-without-padding", "RFC 9113 6.1", request(("content-length", "5"), method="POST", end=False),
              frame(DATA, END_STREAM | PADDED, 1, b"\x06helloCANARY"[:6] + bytes(6)), seen=Seen("POST", body=b"hello")),
    h2_passed("length-leading-zeros", "RFC 9110 8.6", request(("content-length", "0005"), method="POST", end=False), data(b"hello"),
              seen=Seen("POST", body=b"hello", has=(("content-length", "5"),))),
    h2_passed("length-zero", "RFC 9113 8.1.1", request(("content-length", "0"), method="POST"), seen=Seen("POST", has=(("content-length", "0"),))),
    h2_passed("length-zero-and-empty-data", "RFC 9113 8.1.1", request(("content-length", "0"), method="POST", end=False), data(), seen=Seen("POST")),
    h2_passed("length-zero-of-a-get", "RFC 9113 8.1.1", request(("content-length", "0"))),
    h2_passed("no-length-no-body", "RFC 9113 8.1", request(method="POST"), seen=Seen("POST", has=(("transfer-encoding", None),))),
    h2_passed("no-length", "RFC 9113 8.1", request(method="POST", end=False), data(b"hel", end=False), data(b"lo"), seen=Seen("POST", body=b"hello")),
    h2_passed("body-is-chunks", "RFC 9113 8.1", request(method="POST", end=False), data(b"0\r\n\r\n"), seen=Seen("POST", body=b"0\r\n\r\n")),
    h2_passed("body-is-a-request", "RFC 9113 8.1", request(method="POST", end=False), data(b"GET /inside HTTP/1.1\r\nhost: a\r\n\r\n"),
              seen=Seen("POST", body=b"GET /inside HTTP/1.1\r\nhost: a\r\n\r\n")),
    h2_passed("body-is-frames", "RFC 9113 8.1", request(method="POST", end=False), data(INSIDE), seen=Seen("POST", body=INSIDE)),
    h2_passed("body-of-a-get", "RFC 9110 9.3.1", request(("content-length", "5"), end=False), data(b"hello"), seen=Seen(body=b"hello")),
]


def bad_trailers(name, rfc, *pairs, **more):
    """The body may have gone before; the request is never whole."""
    return h2_refused(f"trailers-{name}", rfc, request(method="POST", end=False), data(b"hello", end=False), trailers(*pairs),
                      status=BODY, partial=True, **more)


def dropped_trailer(name, rfc, *pairs):
    return h2_passed(f"trailers-{name}", rfc, request(method="POST", end=False), data(b"hello", end=False), trailers(*pairs, ("x-sum", "1")),
                     seen=Seen("POST", body=b"hello", trailers=(("x-sum", "1"),)))


TRAILERS = [
    *(bad_trailers(f"pseudo-{n[1:]}", "RFC 9113 8.1", (n, "CANARY")) for n in (":method", ":path", ":status", ":authority", ":scheme", ":x")),
    bad_trailers("pseudo-behind-a-field", "RFC 9113 8.1", ("x-a", "b"), (":path", "/CANARY")),
    bad_trailers("upper-case", "RFC 9113 8.2.1", ("X-CANARY", "b")),
    bad_trailers("cr-lf", "RFC 9113 8.2.1", ("x-a", "b\r\nCANARY: c")),
    bad_trailers("end-of-chunks", "RFC 9113 8.2.1", ("x-a", "b\r\n\r\nGET /CANARY HTTP/1.1\r\n")),
    bad_trailers("nul", "RFC 9113 8.2.1", ("x-a", "CANARY\0")),
    bad_trailers("space-last", "RFC 9113 8.2.1", ("x-a", "CANARY ")),
    bad_trailers("colon-in-a-name", "RFC 9113 8.2.1", ("x-a: CANARY\r\nx", "b")),
    bad_trailers("empty-name", "RFC 9113 8.2.1", ("", "CANARY")),
    bad_trailers("connection", "RFC 9113 8.2.2", ("connection", "CANARY")),
    bad_trailers("transfer-encoding", "RFC 9113 8.2.2", ("transfer-encoding", "chunked")),
    bad_trailers("content-length", "RFC 9110 6.5.1", ("content-length", "5")),
    bad_trailers("content-length-disguised", "RFC 9110 6.5.1", ("content_length", "5")),
    bad_trailers("40-kib", "RFC 9113 10.5.1", ("x-a", "a" * 16000)),
    h2_refused("trailers-that-do-not-end", "RFC 9113 8.1", request(method="POST", end=False), data(b"hello", end=False),
               trailers(("x-a", "b"), end=False), status=BODY, partial=True),
    h2_refused("trailers-twice", "RFC 9113 8.1", request(method="POST", end=False), data(b"hello", end=False),
               trailers(("x-a", "b"), end=False), trailers(("x-a", "CANARY")), status=BODY, partial=True),
    dropped_trailer("host", "RFC 9110 6.5.1", ("host", "CANARY")),
    dropped_trailer("authorization", "RFC 9110 6.5.1", ("authorization", "CANARY")),
    h2_passed("trailers", "RFC 9113 8.1", request(method="POST", end=False), data(b"hello", end=False), trailers(("x-sum", "1")),
              seen=Seen("POST", body=b"hello", trailers=(("x-sum", "1"),))),
    h2_passed("trailers-without-a-body", "RFC 9113 8.1", request(method="POST", end=False), trailers(("x-sum", "1")),
              seen=Seen("POST", trailers=(("x-sum", "1"),))),
    h2_passed("trailers-of-a-length", "RFC 9113 8.1", request(("content-length", "5"), method="POST", end=False), data(b"hello", end=False),
              trailers(("x-sum", "CANARY")), seen=Seen("POST", body=b"hello")),
    h2_passed("trailers-empty", "RFC 9113 8.1", request(method="POST", end=False), data(b"hello", end=False), trailers(),
              seen=Seen("POST", body=b"hello", trailers=())),
]

SIZES = [
    h2_refused("fields-101", "RFC 6585 5", request(*((f"x-{i}", "b") for i in range(101)), path="/CANARY"), status=431),
    h2_refused("fields-of-20-kib-twice", "RFC 6585 5", frame(HEADERS, END_STREAM, 1, request(("x-a", "a" * 16200), path="/CANARY")[9:]),
               frame(CONTINUATION, 0, 1, block(("x-b", "b" * 16300))), frame(CONTINUATION, EXTRA, 1, block(("x-c", "c" * 300))), status=431),
]

VECTORS = NAMES + VALUES + CONNECTION + PSEUDOS + PATHS + AUTHORITIES + SCHEMES + METHODS + LENGTHS + TRAILERS + SIZES
