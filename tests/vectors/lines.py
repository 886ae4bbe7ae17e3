# SPDX-License-Identifier: GPL-3.0-or-later
"""lines.py - the lines of a head: their ends, folding, names, values, control octets, how many and how long."""
from vector import HOST, SMUGGLED, Seen, get, passed, post, refused


def raw(name, rfc, text, **more):
    """`text`: all of the message, $ for the host."""
    return refused(name, rfc, text.replace("$", HOST).encode("latin-1") + SMUGGLED, **more)


def field(name, line, rfc="RFC 9112 5", **more):
    return refused(f"field-{name}", rfc, get("/", line) + SMUGGLED, **more)


ENDS = [
    raw("lf-only", "RFC 9112 2.2", "GET / HTTP/1.1\nHost: $\n\n"),
    raw("lf-behind-request-line", "RFC 9112 2.2", "GET / HTTP/1.1\nHost: $\r\n\r\n"),
    raw("lf-behind-field", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\nX-A: b\r\n\r\n"),
    raw("lf-behind-last-field", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\n\r\n"),
    raw("lf-as-empty-line", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\r\n\n"),
    raw("cr-only", "RFC 9112 2.2", "GET / HTTP/1.1\rHost: $\r\r"),
    raw("cr-behind-request-line", "RFC 9112 2.2", "GET / HTTP/1.1\rHost: $\r\n\r\n"),
    raw("cr-behind-field", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\rX-A: b\r\n\r\n"),
    raw("cr-as-empty-line", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\r\n\rX"),
    raw("cr-cr-lf", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\r\r\n\r\n"),
    raw("cr-cr-lf-as-empty-line", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\r\n\r\r\n"),
    raw("lf-cr", "RFC 9112 2.2", "GET / HTTP/1.1\n\rHost: $\n\r\n\r"),
    raw("cr-in-method", "RFC 9112 2.2", "GE\rT / HTTP/1.1\r\nHost: $\r\n\r\n"),
    raw("lf-in-method", "RFC 9112 2.2", "GE\nT / HTTP/1.1\r\nHost: $\r\n\r\n"),
    raw("cr-in-target", "RFC 9112 2.2", "GET /a\rb HTTP/1.1\r\nHost: $\r\n\r\n"),
    raw("lf-in-target", "RFC 9112 2.2", "GET /a\nb HTTP/1.1\r\nHost: $\r\n\r\n"),
    raw("cr-in-version", "RFC 9112 2.2", "GET / HTTP/1\r.1\r\nHost: $\r\n\r\n"),
    raw("cr-before-version", "RFC 9112 3", "GET /\rHTTP/1.1\r\nHost: $\r\n\r\n"),
    raw("cr-in-field-name", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\r\nX\r-A: b\r\n\r\n"),
    raw("lf-in-field-name", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\r\nX\n-A: b\r\n\r\n"),
    raw("line-end-splits-field", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\r\nX-A\r\n: b\r\n\r\n"),
    raw("next-line-character", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: $\r\nX-A\x85: b\r\n\r\n"),
    passed("empty-line-before-request", "RFC 9112 2.2", b"\r\n" + get("/first"), Seen("GET", "/first")),
    passed("empty-lines-before-request", "RFC 9112 2.2", b"\r\n\r\n\r\n" + get("/first"), Seen("GET", "/first")),
    passed("empty-lines-of-lf-before-request", "RFC 9112 2.2", b"\n\n" + get("/first"), Seen("GET", "/first")),
    passed("empty-line-between-requests", "RFC 9112 2.2", get("/first") + b"\r\n" + get("/second"),
           Seen("GET", "/first"), Seen("GET", "/second")),
    passed("empty-line-behind-body", "RFC 9112 2.2", post("Content-Length: 5", body=b"hello\r\n") + get("/second"),
           Seen("POST", body=b"hello"), Seen("GET", "/second")),
    raw("space-before-request", "RFC 9112 2.2", " GET / HTTP/1.1\r\nHost: $\r\n\r\n"),
    raw("tab-before-request", "RFC 9112 2.2", "\tGET / HTTP/1.1\r\nHost: $\r\n\r\n"),
    raw("nul-before-request", "RFC 9112 2.2", "\0GET / HTTP/1.1\r\nHost: $\r\n\r\n"),
    raw("byte-order-mark-before-request", "RFC 9112 2.2", "\xef\xbb\xbfGET / HTTP/1.1\r\nHost: $\r\n\r\n"),
]

FOLDS = [
    field("folded", "X-A: b\r\n c", "RFC 9112 5.2"),
    field("folded-tab", "X-A: b\r\n\tc", "RFC 9112 5.2"),
    field("folded-empty", "X-A:\r\n b", "RFC 9112 5.2"),
    field("folded-blank-line", "X-A: b\r\n ", "RFC 9112 5.2"),
    field("folded-blank-line-tab", "X-A: b\r\n\t", "RFC 9112 5.2"),
    field("folded-smuggles-line", "X-A: b\r\n Host: other.example", "RFC 9112 5.2"),
    field("folded-bare-lf", "X-A: b\n c", "RFC 9112 5.2"),
    raw("first-line-indented", "RFC 9112 2.2", "GET / HTTP/1.1\r\n X-A: b\r\nHost: $\r\n\r\n"),
    raw("first-line-tabbed", "RFC 9112 2.2", "GET / HTTP/1.1\r\n\tX-A: b\r\nHost: $\r\n\r\n"),
    raw("host-folded", "RFC 9112 5.2", "GET / HTTP/1.1\r\nHost:\r\n $\r\n\r\n"),
    raw("request-line-folded", "RFC 9112 5.2", "GET /\r\n HTTP/1.1\r\nHost: $\r\n\r\n"),
]

NAMES = [
    field("space-before-colon", "X-A : b", "RFC 9112 5.1"),
    field("tab-before-colon", "X-A\t: b", "RFC 9112 5.1"),
    field("spaces-before-colon", "X-A   : b", "RFC 9112 5.1"),
    field("no-colon", "X-A"),
    field("no-colon-but-value", "X-A b"),
    field("no-name", ": b"),
    field("no-name-no-value", ":"),
    field("space-in-name", "X A: b", "RFC 9110 5.1"),
    field("space-before-name", " X-A: b", "RFC 9112 5.2"),
    *(field(f"name-with-{label}", f"X{octet}A: b", "RFC 9110 5.6.2") for label, octet in (
        ("nul", "\0"), ("control-octet", "\x01"), ("backspace", "\x08"), ("vertical-tab", "\x0b"), ("delete", "\x7f"),
        ("obs-text", "\xe9"), ("parenthesis", "("), ("comma", ","), ("slash", "/"), ("semicolon", ";"), ("less", "<"),
        ("equals", "="), ("at", "@"), ("bracket", "["), ("backslash", "\\"), ("brace", "{"), ("quote", '"'))),
    raw("host-space-before-colon", "RFC 9112 5.1", "GET / HTTP/1.1\r\nHost : $\r\n\r\n"),
    raw("host-in-quotes", "RFC 9110 5.1", 'GET / HTTP/1.1\r\n"Host": $\r\n\r\n'),
    *(refused(f"disguised-{name.lower()}", "RFC 9110 5.1", get("/", f"{name}: {value}") + SMUGGLED) for name, value in (
        ("Transfer_Encoding", "chunked"), ("Content_Length", "0"))),
    raw("disguised-host-alone", "RFC 9110 5.1", "GET / HTTP/1.1\r\nHo_st: $\r\n\r\n"),
]

VALUES = [
    *(field(f"value-with-{label}", f"X-A: b{octet}c", "RFC 9110 5.5") for label, octet in (
        ("nul", "\0"), ("control-octet", "\x01"), ("bell", "\x07"), ("backspace", "\x08"), ("vertical-tab", "\x0b"),
        ("form-feed", "\x0c"), ("escape", "\x1b"), ("unit-separator", "\x1f"), ("delete", "\x7f"), ("bare-cr", "\r"),
        ("bare-lf", "\n"), ("crlf", "\r\n"), ("crlf-and-a-word", "\r\nX"))),
    passed("value-with-tab", "RFC 9110 5.5", get("/", "X-A: b\tc"), Seen(has=(("x-a", "b\tc"),))),
    passed("value-with-obs-text", "RFC 9110 5.5", get("/", "X-A: b\xe9\xffc"), Seen(has=(("x-a", "b\xe9\xffc"),))),
    passed("value-empty", "RFC 9110 5.5", get("/", "X-A:"), Seen(has=(("x-a", ""),))),
    passed("value-only-spaces", "RFC 9110 5.5", get("/", "X-A:  \t "), Seen(has=(("x-a", ""),))),
    passed("value-padded", "RFC 9110 5.5", get("/", "X-A: \t b \t "), Seen(has=(("x-a", "b"),))),
    passed("value-looks-like-a-line", "RFC 9110 5.5", get("/", "X-A: Content-Length: 5"),
           Seen(has=(("x-a", "Content-Length: 5"), ("content-length", None)))),
    passed("value-with-encoded-line-end", "RFC 9110 5.5", get("/", "X-A: b%0d%0aX-B: c"),
           Seen(has=(("x-a", "b%0d%0aX-B: c"), ("x-b", None)))),
]

SIZES = [
    field("too-long", "X-A: " + "b" * 40000, "RFC 9110 5.4", status=431),
    field("name-too-long", "X" * 40000 + ": b", "RFC 9110 5.4", status=431),
    refused("fields-too-many", "RFC 9110 5.4", get("/", *(f"X-{i}: b" for i in range(200))) + SMUGGLED, 431),
    refused("fields-too-large-together", "RFC 9110 5.4", get("/", *(f"X-{i}: {'b' * 1000}" for i in range(60))) + SMUGGLED, 431),
    refused("target-too-long", "RFC 9110 15.5.15", get("/" + "a" * 9000) + SMUGGLED, 414),
    refused("query-too-long", "RFC 9110 15.5.15", get("/?" + "a" * 9000) + SMUGGLED, 414),
    passed("fields-100", "RFC 9110 5.4", get("/", *(f"X-{i}: b" for i in range(98))), Seen(has=(("x-97", "b"),))),
    passed("target-8000", "RFC 9112 3", get("/" + "a" * 8000), Seen("GET", "/" + "a" * 8000)),
]

VECTORS = ENDS + FOLDS + NAMES + VALUES + SIZES
