# SPDX-License-Identifier: GPL-3.0-or-later
"""wire.py - HTTP/1 as bytes on a socket: what a test sends is exactly what it wrote, what it reads is all there was.

    Wire (a socket, a buffer) -> read_head -> read_body -> Message

One class for both ends: clients read responses with it, pods read requests."""
import contextlib
import socket
import struct
from dataclasses import dataclass, field

TIMEOUT = 20


class Closed(Exception):
    """The peer ended the connection where more was needed."""


@dataclass
class Message:
    start: str                      # request or status line
    headers: list                   # (name, value) as received
    body: bytes = b""
    trailers: list = field(default_factory=list)
    interim: list = field(default_factory=list)  # status codes of the 1xx before it

    def get(self, name, default=None):
        return next((v for n, v in self.headers if n.lower() == name.lower()), default)

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    @property
    def status(self):
        return int(self.start.split()[1])

    @property
    def method(self):
        return self.start.split()[0]

    @property
    def target(self):
        return self.start.split()[1]

    @property
    def text(self):
        return self.body.decode()


def parse_head(raw):
    lines = raw.decode("latin-1").split("\r\n")
    return lines[0], [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines[1:] if line)]


class Wire:
    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def fill(self):
        """More bytes into the buffer; False at the end."""
        data = self.sock.recv(262144)
        self.buffer += data
        return bool(data)

    def need(self, length):
        pieces, have = [self.buffer], len(self.buffer)
        while have < length:
            data = self.sock.recv(262144)
            if not data:
                raise Closed(f"ended after {have} bytes of {length}: {b''.join(pieces)[:1000]!r}")
            pieces.append(data)
            have += len(data)
        data = b"".join(pieces)
        self.buffer = data[length:]
        return data[:length]

    def until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise Closed(f"ended after {self.buffer!r}, needed {mark!r}")
        data, _, self.buffer = self.buffer.partition(mark)
        return data

    def rest(self):
        """All bytes until the orderly end."""
        pieces, self.buffer = [self.buffer], b""
        while data := self.sock.recv(262144):
            pieces.append(data)
        return b"".join(pieces)

    def at_end(self):
        """Has the peer ended, in order, with nothing left to read?"""
        return self.rest() == b""

    def read_head(self):
        return parse_head(self.until(b"\r\n\r\n"))

    def read_chunked(self):
        body, trailers = b"", []
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            body += self.need(size)
            assert self.need(2) == b"\r\n"
        while line := self.until(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            trailers.append((name, value.strip()))
        return body, trailers

    def read_request(self):
        """None when the peer has ended instead."""
        if not self.buffer and not self.fill():
            return None
        message = Message(*self.read_head())
        if message.get("expect") == "100-continue":
            self.send("HTTP/1.1 100 Continue\r\n\r\n")
        if (message.get("transfer-encoding") or "").lower() == "chunked":
            message.body, message.trailers = self.read_chunked()
        else:
            message.body = self.need(int(message.get("content-length", 0)))
        return message

    def read_response(self, method="GET"):
        interim = []
        message = Message(*self.read_head())
        while 100 <= message.status < 200 and message.status != 101:
            interim.append(message.status)
            message = Message(*self.read_head())
        message.interim = interim
        if method == "HEAD" or message.status in (101, 204, 304):
            return message
        if (message.get("transfer-encoding") or "").lower() == "chunked":
            message.body, message.trailers = self.read_chunked()
        elif message.get("content-length") is not None:
            message.body = self.need(int(message.get("content-length")))
        else:
            message.body = self.rest()
        return message

    def finish_writing(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()
