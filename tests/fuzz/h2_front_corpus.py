#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""h2_front_corpus.py - writes corpus/h2_front: connections of HTTP/2 as clients open them, and bent in ways that matter."""
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from h2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RST, SETTINGS, WINDOW,  # noqa: E402
                block, frame, settings, text)

OUT = HERE / "corpus" / "h2_front"
GET = [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")]
POST = [(":method", "POST"), *GET[1:]]
SOCKET = [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:], ("sec-websocket-version", "13")]


def headers(stream, pairs, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, stream, block(*pairs))


CASES = {
    "get": headers(1, GET),
    "three": b"".join(headers(i, GET) for i in (1, 3, 5)),
    "post": headers(1, [*POST, ("content-length", "5")], END_HEADERS) + frame(DATA, END_STREAM, 1, b"hello"),
    "post-chunks": headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, b"hel") + frame(DATA, END_STREAM, 1, b"lo"),
    "post-big": headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, bytes(9000)) + frame(DATA, END_STREAM, 1, bytes(9000)),
    "trailers": headers(1, POST, END_HEADERS) + frame(DATA, 0, 1, b"x") + headers(1, [("x-sum", "1")]),
    "short": headers(1, [*POST, ("content-length", "5")], END_HEADERS) + frame(DATA, END_STREAM, 1, b"h"),
    "long": headers(1, [*POST, ("content-length", "1")], END_HEADERS) + frame(DATA, END_STREAM, 1, b"hello"),
    "websocket": headers(1, SOCKET, END_HEADERS) + frame(DATA, 0, 1, b"hello") + frame(DATA, END_STREAM, 1),
    "cookies": headers(1, [*GET, ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]),
    "continuation": frame(HEADERS, END_STREAM, 1, block(*GET)) + frame(CONTINUATION, END_HEADERS, 1, block(("a", "b"))),
    "reset": headers(1, GET) + frame(RST, 0, 1, struct.pack(">I", 8)) + headers(3, GET),
    "lower": headers(5, GET) + headers(3, GET),
    "windows": headers(1, GET) + frame(WINDOW, 0, 0, struct.pack(">I", 100)) + frame(WINDOW, 0, 1, struct.pack(">I", 1)),
    "settings": settings(window=0, frame=16384) + headers(1, GET) + frame(SETTINGS, 1, 0),
    "ping-priority": frame(PING, 0, 0, b"12345678") + frame(PRIORITY, 0, 3, struct.pack(">IB", 0, 9)) + headers(1, GET),
    "goaway": headers(1, GET) + frame(GOAWAY, 0, 0, bytes(8)),
    "crlf": headers(1, [*GET, ("x", "a\r\nb: c")]),
    "upper": headers(1, [*GET, ("X", "a")]),
    "connection": headers(1, [*GET, ("connection", "close")]),
    "bomb": frame(HEADERS, 5, 1, block(*GET) + b"\x40" + text("x") + text("a" * 1000) + b"\xbe" * 500),
    "padded": frame(HEADERS, 13, 1, b"\x03" + block(*GET) + bytes(3)),
    "junk": b"\xff" * 40,
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, data in CASES.items():
        for how in (0, 1, 2) if name in ("get", "post", "websocket", "trailers") else (0,):
            (OUT / f"{name}-{how}").write_bytes(bytes([255, how]) + settings() + data)
    (OUT / "bytewise").write_bytes(bytes([0, 1]) + settings() + CASES["post"])


main()
