# SPDX-License-Identifier: GPL-3.0-or-later
"""protocols.py - what the player must know of the protocol on either side of the edge.

A front is spoken by clients, a back by pods; another protocol is another class with these functions, entered in FRONTS or BACKS,
and vectors that name it."""
import re

import strict
import strict_h2
from h2 import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, block, frame, settings
from vector import HOST, get


def cut_bytes(data):
    """Byte by byte; where there are very many, only the first and the last."""
    ends = [*range(min(len(data), 1000)), *range(1000, len(data) - 300, 101), *range(max(1000, len(data) - 300), len(data))]
    return [data[i:j] for i, j in zip(ends, [*ends[1:], len(data)])]


def cut_lines(data):
    """Inside and behind every CRLF."""
    return [p for p in re.split(rb"(?<=\r)(?=\n)|(?<=\n)", data) if p]


def cut_frames(data):
    """Before and behind the nine bytes that every frame begins with, as far as frames can be told."""
    found, at = [], 0
    if data.startswith(PREFACE):
        found, at = [PREFACE[:9], PREFACE[9:]], len(PREFACE)
    while at < len(data):
        size = int.from_bytes(data[at:at + 3], "big")
        found += [data[at:at + 9], data[at + 9:at + 9 + size]]
        at += 9 + size
    return [p for p in found if p]


class Http1Front:
    cut = staticmethod(cut_lines)
    follow = get("/CANARY")
    sentinel = get("/sentinel", "Connection: close")
    first = sentinel  # of a connection of its own

    @staticmethod
    def is_over(data):
        """Has the client to end a connection on which nothing more is to come?"""
        return False

    @staticmethod
    def error(data):
        """What the connection was ended with, where the protocol can tell."""

    @staticmethod
    def responses(data, methods, ended):
        """(messages, what is left, why it is malformed)"""
        return strict.responses_in(data, methods, ended)


class Http1Back:
    cut = staticmethod(cut_lines)
    app_protocol = None  # of the Service
    greeting = b""       # what a pod says first

    @staticmethod
    def requests(data):
        return strict.requests_in(data)

    @staticmethod
    def behind_script(requests):
        """Without the one that the script has answered."""
        return requests[1:]

    @staticmethod
    def head_is_there(data):
        return b"\r\n\r\n" in data

    @staticmethod
    def answer(request):
        """An ordinary answer, that says which request it belongs to."""
        text = f"{request.method} {request.target}".encode()
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
        return answer if request.method == "HEAD" else answer + text


LAST = 0x10001  # a stream above those of vectors
OPENING = PREFACE + settings()


def request(*more, stream=1, end=True, method="GET", path="/", scheme="http", authority=HOST):
    """HEADERS of an ordinary request and `more`. None leaves a pseudo-header field out."""
    pseudo = [(n, v) for n, v in ((":method", method), (":scheme", scheme), (":authority", authority), (":path", path)) if v is not None]
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block(*pseudo, *more))


class Http2Front:
    cut = staticmethod(cut_frames)
    follow = request(stream=LAST, path="/CANARY")
    sentinel = request(stream=LAST, path="/sentinel")
    first = OPENING + sentinel

    @staticmethod
    def responses(data, methods, ended):
        return strict_h2.responses_in(data)

    @staticmethod
    def is_over(data):
        last = strict_h2.conversation(data, False).streams.get(LAST)
        return last is not None and (last.ended or last.reset is not None)

    @staticmethod
    def error(data):
        return strict_h2.conversation(data, False).goaway


def answer_frames(*fields, stream=1, body=b"ok", status="200", end=True):
    head = frame(HEADERS, END_HEADERS | (0 if body or not end else END_STREAM), stream, block((":status", status), *fields))
    return head + (frame(DATA, END_STREAM if end else 0, stream, body) if body else b"")


class Http2Back:
    cut = staticmethod(cut_frames)
    app_protocol = "kubernetes.io/h2c"
    greeting = settings() + frame(4, 1, 0)

    @staticmethod
    def requests(data):
        return strict_h2.requests_in(data)

    @staticmethod
    def behind_script(requests):
        return [r for r in requests if r.stream != 1]

    @staticmethod
    def head_is_there(data):
        return any(s.is_final for s in strict_h2.conversation(data, True).streams.values())

    @staticmethod
    def answer(request):
        text = b"" if request.method == "HEAD" else f"{request.method} {request.target}".encode()
        return answer_frames(stream=request.stream, body=text)


FRONTS = {"h1": Http1Front, "h2": Http2Front}
BACKS = {"h1": Http1Back, "h2": Http2Back}
