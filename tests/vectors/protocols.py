# SPDX-License-Identifier: GPL-3.0-or-later
"""protocols.py - what the player must know of the protocol on either side of the edge.

A front is spoken by clients, a back by pods; another protocol is another class with these functions, entered in FRONTS or BACKS,
and vectors that name it."""
import strict
from vector import get


class Http1Front:
    follow = get("/CANARY")
    sentinel = get("/sentinel", "Connection: close")

    @staticmethod
    def responses(data, methods, ended):
        """(messages, what is left, why it is malformed)"""
        return strict.responses_in(data, methods, ended)


class Http1Back:
    app_protocol = None  # of the Service

    @staticmethod
    def requests(data):
        return strict.requests_in(data)

    @staticmethod
    def head_is_there(data):
        return b"\r\n\r\n" in data

    @staticmethod
    def answer(request):
        """An ordinary answer, that says which request it belongs to."""
        text = f"{request.method} {request.target}".encode()
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
        return answer if request.method == "HEAD" else answer + text


FRONTS = {"h1": Http1Front}
BACKS = {"h1": Http1Back}
