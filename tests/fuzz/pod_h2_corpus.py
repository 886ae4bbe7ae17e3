#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_h2_corpus.py - writes corpus/pod_h2: what pods of HTTP/2 answer, and what none should, to each kind of client."""
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from h2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PUSH, RST, WINDOW,  # noqa: E402
                block, frame, settings)

OUT = HERE / "corpus" / "pod_h2"
H1, HEAD, POST, MANY, EOF, LEAVES, STALLS = (1 << bit for bit in range(7))
OK = [(":status", "200")]


def headers(stream, pairs, flags=END_HEADERS):
    return frame(HEADERS, flags, stream, block(*pairs))


def data(stream, payload=b"", flags=END_STREAM):
    return frame(DATA, flags, stream, payload)


def answer(stream, *more, payload=b"ok"):
    return headers(stream, [*OK, *more]) + data(stream, payload)


CASES = {  # what the pod says, and to whom (one of these or several)
    "ok": (answer(1), [0, H1, POST, H1 | POST, HEAD, STALLS]),
    "length": (answer(1, ("content-length", "2")), [0, H1, H1 | EOF]),
    "short": (answer(1, ("content-length", "3")), [0, H1]),
    "long": (answer(1, ("content-length", "1")), [0, H1]),
    "three": (answer(5) + answer(1) + answer(3), [MANY, MANY | H1, MANY | POST]),
    "split": (headers(1, OK) + data(1, b"o", 0) + headers(3, OK) + data(3, b"o", 0) + data(1, b"k") + data(3, b"k"), [MANY, MANY | LEAVES]),
    "nothing": (headers(1, [(":status", "204")], END_HEADERS | END_STREAM), [0, H1, H1 | HEAD]),
    "hints": (headers(1, [(":status", "103"), ("link", "</a>")]) + answer(1), [0, H1]),
    "trailers": (headers(1, OK) + data(1, b"ok", 0) + headers(1, [("grpc-status", "0")], END_HEADERS | END_STREAM), [0, H1]),
    "trailers-bad": (headers(1, OK) + data(1, b"ok", 0) + headers(1, [("x", "a\r\nb")], END_HEADERS | END_STREAM), [0, H1]),
    "big": (headers(1, OK) + b"".join(data(1, bytes(900), 0) for _ in range(8)) + data(1), [0, H1, STALLS, STALLS | H1, LEAVES]),
    "refused": (frame(RST, 0, 1, struct.pack(">I", 7)), [0, H1, MANY]),
    "reset": (headers(1, OK) + data(1, b"o", 0) + frame(RST, 0, 1, struct.pack(">I", 2)), [0, H1]),
    "goaway": (frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0)) + answer(1), [0, MANY, MANY | EOF]),
    "goaway-all": (frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)), [MANY, H1]),
    "one-stream": (settings(streams=1) + answer(1) + answer(3), [MANY]),
    "no-window": (settings(window=0) + frame(WINDOW, 0, 1, struct.pack(">I", 3)) + answer(1), [POST, POST | H1]),
    "continuation": (frame(HEADERS, 0, 1, block(*OK)) + frame(CONTINUATION, END_HEADERS, 1, block(("a", "b"))) + data(1), [0]),
    "push": (frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + block(*OK)) + answer(1), [0]),
    "ping": (frame(PING, 0, 0, b"12345678") + answer(1), [0]),
    "status-bad": (headers(1, [(":status", "2000")]) + data(1), [0, H1]),
    "status-101": (headers(1, [(":status", "101")]) + data(1), [0, H1]),
    "crlf": (answer(1, ("x", "a\r\nb: c")), [0, H1]),
    "upper": (answer(1, ("X", "a")), [0, H1]),
    "connection": (answer(1, ("connection", "close")), [0, H1]),
    "http1": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", [0, H1]),
    "end": (headers(1, OK) + data(1, b"o", 0), [EOF, EOF | H1]),
    "junk": (b"\xff" * 40, [0, H1]),
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (says, hows) in CASES.items():
        for how in hows:
            (OUT / f"{name}-{how}").write_bytes(bytes([255, how, 0]) + settings() + says)
    (OUT / "bytewise").write_bytes(bytes([0, 0, 0]) + settings() + CASES["trailers"][0])
    for fail in (1, 2, 3, 5, 8):
        (OUT / f"memory-{fail}").write_bytes(bytes([255, MANY | POST, fail]) + settings() + CASES["three"][0])


main()
