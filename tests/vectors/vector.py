# SPDX-License-Identifier: GPL-3.0-or-later
"""vector.py - what a vector is: bytes that somebody hostile sends, and what must hold.

    refused(name, rfc, bytes)         a client's message that no pod may see any byte of: 400, and the connection ends
    passed(name, rfc, bytes, Seen())  a client's messages that pods see exactly so many of, and so
    answer(name, rfc, bytes, ...)     a pod's answer, and what the client gets of it

Vectors are data; player.py plays each in several fragmentations. Behind the bytes of a vector whose connection must end, the player sends one
more request, for /CANARY; behind the others one for /sentinel that must be answered. Whatever holds the word CANARY is never seen on
the other side. `front` and `back` name the protocols spoken (protocols.py)."""
from dataclasses import dataclass

HOST = "vNNNNN.123123.1d.pt"  # the player puts each run's own number in place of the Ns
CANARY = b"CANARY"

ANSWER = "ANSWER"  # a step: wait until one more final answer has come
FIN = "FIN"        # a step: end writing
RESET = "RESET"    # a step of a pod: end with RST
ASKED = "ASKED"    # a step of a pod: wait for the whole request (else the script starts when the head is there)


def head(start, *fields, host=HOST):
    lines = [start, *([f"Host: {host}"] if host is not None else []), *fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def get(target="/", *fields, method="GET", version="HTTP/1.1", host=HOST):
    return head(f"{method} {target} {version}", *fields, host=host)


def post(*fields, body=b"", target="/", version="HTTP/1.1", host=HOST):
    return head(f"POST {target} {version}", *fields, host=host) + body


def chunked(*pieces, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + last


SMUGGLED = get("/CANARY")


@dataclass(frozen=True)
class Seen:
    """A request as a pod gets it. `has`: fields with their values, None for one that must not be there."""
    method: str = "GET"
    target: str = "/"
    body: bytes = b""
    has: tuple = ()
    trailers: tuple = ()
    rule: str = "/"


@dataclass(frozen=True)
class Got:
    """An answer as a client gets it."""
    status: object = 200  # or a tuple of those that would do; "RST ..." of HTTP/2
    body: object = None   # None: any
    has: tuple = ()
    trailers: tuple = ()


@dataclass(frozen=True)
class Vector:
    name: str
    rfc: str
    send: tuple            # bytes, functions that make them of the host, and steps of the client
    pod: tuple = ()        # Seen..., in turn
    client: tuple = ()     # Got..., in turn, without interim answers
    ends: bool = False     # the client's connection is closed after them
    cut: bool = False      # it ends in the middle of an answer, so that that can't be taken for whole; or 502
    partial: bool = False  # pods may have seen the beginning of one more request, never its end
    script: tuple = ()     # bytes and steps of the pod in place of its first answer
    tunnel: object = None  # what the pod gets behind 101
    kept: object = None    # is the pod's connection used again? None: not asked
    interim: object = None  # statuses of 1xx the client gets; None: any
    rules: tuple = (("/", "Prefix"),)
    methods: tuple = ()    # of the requests in turn, where they are not GET (answers to HEAD have no body)
    front: str = "h1"
    back: str = "h1"
    lost: bool = False     # what came before a connection's end may be lost with it
    error: object = None   # HTTP/2: what the client's connection is ended with, or a tuple of those that would do
    greets: bool = True    # the pod's SETTINGS come before its script, too
    cuts: tuple = ("whole", "lines", "bytes")


def steps(send):
    return send if isinstance(send, tuple) else (send,)


def refused(name, rfc, send, status=400, before=(), partial=False, **more):
    """`before`: what pods see of requests that came first, and are answered."""
    client = (*(Got(200) for _ in before), Got(status))
    return Vector(name, rfc, steps(send), tuple(before), client, ends=True, partial=partial, **more)


def passed(name, rfc, send, *seen, **more):
    more.setdefault("client", tuple(Got(200) for _ in seen))
    return Vector(name, rfc, steps(send), seen, **more)


def declined(name, rfc, send, status, ends=False, **more):
    """A good message that the edge answers itself."""
    return Vector(name, rfc, steps(send), (), (Got(status),), ends=ends, **more)


def answer(name, rfc, script, *got, ask=get(), seen=Seen(), **more):
    """A pod's answer. Without `got` it is no answer: 502, and that connection is never used again."""
    if not got and not more.get("cut"):
        got = (Got(502),)
        more.setdefault("kept", False)
    seen = seen if isinstance(seen, tuple) else (seen,)
    return Vector(name, rfc, steps(ask), seen, got, script=steps(script), **more)


def reply(*fields, body=b"", status="200 OK", version="HTTP/1.1"):
    return "\r\n".join([f"{version} {status}", *fields]).encode("latin-1") + b"\r\n\r\n" + body


GOOD = reply("Content-Length: 2", body=b"ok")
SECOND = reply("Content-Length: 6", body=CANARY)
