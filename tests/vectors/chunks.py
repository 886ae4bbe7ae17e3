# SPDX-License-Identifier: GPL-3.0-or-later
"""chunks.py - chunked bodies of requests: sizes, extensions, line ends, trailers.

The head is good here, so a pod may have seen it and the chunks before the flaw; it never sees the end of that message."""
from vector import SMUGGLED, Seen, passed, post, refused

CHUNKED = "Transfer-Encoding: chunked"


def broken(name, body, rfc="RFC 9112 7.1"):
    return refused(f"chunk-{name}", rfc, post(CHUNKED, body=body + SMUGGLED), partial=True)


def size(name, size, rfc="RFC 9112 7.1"):
    return broken(f"size-{name}", size.encode("latin-1") + b"\r\nhello\r\n0\r\n\r\n", rfc)


def whole(name, body, rfc="RFC 9112 7.1", seen=b"hello", trailers=(), fields=()):
    return passed(f"chunk-{name}", rfc, post(CHUNKED, *fields, body=body), Seen("POST", body=seen, trailers=trailers))


SIZES = [
    size("plus", "+5"),
    size("minus", "-5"),
    size("0x", "0x5"),
    size("0X", "0X5"),
    size("h", "5h"),
    size("empty", ""),
    size("space-before", " 5"),
    size("tab-before", "\t5"),
    size("space-behind", "5 "),
    size("tab-behind", "5\t"),
    size("two-words", "5 5"),
    size("comma", "5,5"),
    size("fraction", "5.0"),
    size("underscore", "0_5"),
    size("nul", "5\0"),
    size("vertical-tab", "\x0b5"),
    size("letters", "five"),
    size("no-hexadecimal", "g"),
    size("quoted", '"5"'),
    size("2^64", "10000000000000000"),
    size("2^64+5", "10000000000000005"),
    size("2^128", "1" + "0" * 32),
    size("17-digits", "0" * 16 + "5"),
    size("1000-zeros", "0" * 1000 + "5"),
    size("carriage-return", "5\r"),
    size("wide-digit", "\xef\xbc\x95"),
    broken("size-too-small", b"4\r\nhello\r\n0\r\n\r\n"),
    broken("size-too-large", b"6\r\nhello\r\n0\r\n\r\n"),
    whole("size-leading-zeros", b"0000000000000005\r\nhello\r\n0\r\n\r\n"),
    whole("size-upper-case", b"A\r\n0123456789\r\n0\r\n\r\n", seen=b"0123456789"),
    whole("size-lower-case", b"a\r\n0123456789\r\n0\r\n\r\n", seen=b"0123456789"),
    whole("last-of-many-zeros", b"5\r\nhello\r\n0000000000000000\r\n\r\n"),
    whole("one-byte-each", b"".join(b"1\r\n%c\r\n" % c for c in b"hello") + b"0\r\n\r\n"),
    whole("empty-body", b"0\r\n\r\n", seen=b""),
]

LINE_ENDS = [
    broken("lf-behind-size", b"5\nhello\r\n0\r\n\r\n", "RFC 9112 2.2"),
    broken("cr-behind-size", b"5\rhello\r\n0\r\n\r\n", "RFC 9112 2.2"),
    broken("lf-cr-behind-size", b"5\n\rhello\r\n0\r\n\r\n", "RFC 9112 2.2"),
    broken("lf-behind-data", b"5\r\nhello\n0\r\n\r\n", "RFC 9112 2.2"),
    broken("cr-behind-data", b"5\r\nhello\r0\r\n\r\n", "RFC 9112 2.2"),
    broken("nothing-behind-data", b"5\r\nhello0\r\n\r\n"),
    broken("two-octets-behind-data", b"5\r\nhelloXX0\r\n\r\n"),
    broken("two-crlf-behind-data", b"5\r\nhello\r\n\r\n0\r\n\r\n"),
    broken("lf-behind-last-size", b"5\r\nhello\r\n0\n\r\n", "RFC 9112 2.2"),
    broken("lf-at-the-end", b"5\r\nhello\r\n0\r\n\n", "RFC 9112 2.2"),
    broken("cr-at-the-end", b"5\r\nhello\r\n0\r\n\rX", "RFC 9112 2.2"),
    broken("only-lf", b"5\nhello\n0\n\n", "RFC 9112 2.2"),
    broken("rubbish-at-the-end", b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
]

EXTENSIONS = [
    whole("extension", b"5;a=b\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    whole("extension-without-value", b"5;a\r\nhello\r\n0;last\r\n\r\n", "RFC 9112 7.1.1"),
    whole("extension-quoted", b'5;a="b;c"\r\nhello\r\n0\r\n\r\n', "RFC 9112 7.1.1"),
    whole("extension-quoted-pair", b'5;a="b\\"c"\r\nhello\r\n0\r\n\r\n', "RFC 9112 7.1.1"),
    broken("extension-lf", b"5;a=b\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extension-cr", b"5;a\rb\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extension-lf-hides-a-size", b"5;\n2e\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extension-quoted-lf", b'5;a="\n"\r\nhello\r\n0\r\n\r\n', "RFC 9112 7.1.1"),
    broken("extension-quoted-crlf", b'5;a="\r\nhello\r\n0\r\n\r\n"', "RFC 9112 7.1.1"),
    broken("extension-quoted-cr", b'5;a="\r"\r\nhello\r\n0\r\n\r\n', "RFC 9112 7.1.1"),
    broken("extension-quoted-pair-cr", b'5;a="\\\r"\r\nhello\r\n0\r\n\r\n', "RFC 9112 7.1.1"),
    broken("extension-nul", b"5;a=\0\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extension-control-octet", b"5;a=\x01\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extension-space", b"5;a b\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extension-space-before", b"5 ;a=b\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extension-obs-text-name", b"5;\xff=b\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extension-endless", b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n", "RFC 9112 7.1.1"),
    broken("extensions-many", b"1;aaaaaaaaaaaaaaaaaaaa\r\nx\r\n" * 300 + b"0\r\n\r\n", "RFC 9112 7.1.1"),
]


def trailer(name, line, rfc="RFC 9110 6.5.1"):
    return broken(f"trailer-{name}", b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n", rfc)


def dropped(name, line):
    """Passed on without that line."""
    return whole(f"trailer-{name}-dropped", b"5\r\nhello\r\n0\r\nX-Good: 1\r\n" + line + b"\r\n\r\n", "RFC 9110 6.5.1",
                 trailers=(("x-good", "1"),))


TRAILERS = [
    whole("trailer", b"5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n", "RFC 9112 7.1.2", trailers=(("x-sum", "42"),)),
    trailer("content-length", b"Content-Length: 50"),
    trailer("transfer-encoding", b"Transfer-Encoding: chunked"),
    trailer("content-length-disguised", b"Content_Length: 50"),
    trailer("transfer-encoding-disguised", b"Transfer_Encoding: chunked"),
    trailer("space-before-colon", b"X-Sum : 42", "RFC 9112 5.1"),
    trailer("folded", b"X-Sum: 42\r\n 43", "RFC 9112 5.2"),
    trailer("folded-at-once", b" X-Sum: 42", "RFC 9112 5.2"),
    trailer("bare-lf", b"X-Sum: 42\nX-B: c", "RFC 9112 2.2"),
    trailer("bare-cr", b"X-Sum: 42\rX-B: c", "RFC 9112 2.2"),
    trailer("nul", b"X-Sum: 4\x002", "RFC 9110 5.5"),
    trailer("no-colon", b"X-Sum", "RFC 9112 5"),
    trailer("no-name", b": 42", "RFC 9112 5"),
    trailer("is-a-request-line", b"GET /CANARY HTTP/1.1", "RFC 9112 5"),
    refused("chunk-trailer-too-large", "RFC 9110 5.4",
            post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Big: " + b"x" * 40000 + b"\r\n\r\n" + SMUGGLED), 431, partial=True),
    refused("chunk-trailer-too-many", "RFC 9110 5.4",
            post(CHUNKED, body=b"5\r\nhello\r\n0\r\n" + b"X-A: b\r\n" * 200 + b"\r\n" + SMUGGLED), 431, partial=True),
    dropped("host", b"Host: other.example"),
    dropped("authorization", b"Authorization: Basic Q0FOQVJZ"),
    dropped("x-forwarded-for", b"X-Forwarded-For: 10.9.9.9"),
    dropped("x-forwarded-for-disguised", b"X_Forwarded_For: 10.9.9.9"),
    dropped("connection", b"Connection: close"),
    dropped("upgrade", b"Upgrade: websocket"),
    dropped("expect", b"Expect: 100-continue"),
    dropped("set-cookie", b"Set-Cookie: a=b"),
    dropped("cookie", b"Cookie: a=CANARY"),
    dropped("content-type", b"Content-Type: text/CANARY"),
    dropped("te", b"TE: trailers"),
    whole("trailer-and-behind-it-line-ends", b"5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n\r\n\r\n", "RFC 9112 2.2",
          trailers=(("x-sum", "42"),)),
]

VECTORS = SIZES + LINE_ENDS + EXTENSIONS + TRAILERS
