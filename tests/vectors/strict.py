# SPDX-License-Identifier: GPL-3.0-or-later
"""strict.py - HTTP/1.1 as the edge is to write it, and nothing wider.

    requests_in(bytes)  -> [Message...], what is left, why it is no message
    responses_in(bytes) -> the same; needs the methods asked, since HEAD has no body

Shares no code with the edge and forgives nothing: CRLF only, one space where there is one, sizes without zeros or extensions, one
framing. Bytes this reader takes for one message can't be two to a laxer one, so that counting messages here is counting them for any pod."""
import re
from dataclasses import dataclass, field

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") (/[\x21-\x7e]*|\*) HTTP/1\.1\Z")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"): ((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)\Z")
STRAY_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
LENGTH = re.compile(rb"(?:0|[1-9][0-9]*)\Z")
CHUNK_SIZE = re.compile(rb"(0|[1-9a-f][0-9a-f]*)\r\n")
# what ends at the edge and is never seen behind it (RFC 9110 section 7.6.1)
HOP_BY_HOP = {"keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "trailer", "http2-settings"}


class Malformed(Exception):
    """No more bytes would make it a message."""


class Incomplete(Exception):
    """The beginning of a message, perhaps."""


@dataclass
class Message:
    start: bytes
    fields: list                        # (name in lower case, value)
    body: bytes = b""
    trailers: list = field(default_factory=list)
    method: str = ""
    target: str = ""
    status: object = 0                  # of HTTP/2 also "RST ...", of a stream that was reset
    until_close: bool = False

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    def get(self, name):
        return next(iter(self.all(name)), None)

    @property
    def is_final(self):
        return isinstance(self.status, str) or self.status >= 200 or self.status == 101


def fields_in(lines):
    found = []
    for line in lines:
        match = FIELD_LINE.match(line)
        if not match:
            raise Malformed(f"no field line: {line!r}")
        found.append((match[1].decode().lower(), match[2].decode("latin-1")))
    return found


def head_at(data, at):
    """(start line, fields, where the head ends)"""
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        if STRAY_LINE_END.search(data, at):
            raise Malformed("a bare CR or LF")
        raise Incomplete
    lines = data[at:end].split(b"\r\n")
    for line in lines:
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise Malformed(f"a line end or NUL inside {line!r}")
    fields = fields_in(lines[1:])
    names = [n.replace("_", "-") for n, _ in fields]
    if HOP_BY_HOP & {*names}:
        raise Malformed(f"hop-by-hop fields: {HOP_BY_HOP & {*names}}")
    if names.count("content-length") + names.count("transfer-encoding") > 1:
        raise Malformed("two framings")
    return lines[0], fields, end + 4


def chunks_at(data, at):
    """(body, trailers, end)"""
    body = b""
    while True:
        match = CHUNK_SIZE.match(data, at)
        if not match:
            if b"\r\n" in data[at:at + 20]:
                raise Malformed(f"no chunk size: {data[at:at + 20]!r}")
            raise Incomplete
        size, at = int(match[1], 16), match.end()
        if size == 0:
            break
        if len(data) < at + size + 2:
            raise Incomplete
        if data[at + size:at + size + 2] != b"\r\n":
            raise Malformed("no CRLF behind a chunk")
        body += data[at:at + size]
        at += size + 2
    trailers = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            raise Incomplete
        if end == at:
            return body, trailers, end + 2
        trailers += fields_in([data[at:end]])
        at = end + 2


def body_at(data, at, message):
    """Fills in the body by its framing; returns its end, or None where there is no framing."""
    coding, length = message.get("transfer-encoding"), message.get("content-length")
    if coding is not None:
        if coding != "chunked":
            raise Malformed(f"the coding {coding!r}")
        message.body, message.trailers, at = chunks_at(data, at)
        return at
    if length is None:
        return None
    if not LENGTH.match(length.encode("latin-1")):
        raise Malformed(f"the length {length!r}")
    if len(data) < at + int(length):
        raise Incomplete
    message.body = data[at:at + int(length)]
    return at + int(length)


def request_at(data, at):
    start, fields, at = head_at(data, at)
    match = REQUEST_LINE.match(start)
    if not match:
        raise Malformed(f"no request line: {start!r}")
    message = Message(start, fields, method=match[1].decode(), target=match[2].decode())
    for name in ("host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"):
        if len(message.all(name)) != 1:
            raise Malformed(f"{len(message.all(name))} {name}")
    if len(message.all("connection")) > 1:
        raise Malformed("two Connection")
    return message, body_at(data, at, message) or at


def response_at(data, at, method, ended):
    start, fields, at = head_at(data, at)
    match = STATUS_LINE.match(start)
    if not match:
        raise Malformed(f"no status line: {start!r}")
    message = Message(start, fields, status=int(match[1]))
    if method == "HEAD" or message.status < 200 or message.status in (204, 304):
        return message, at
    end = body_at(data, at, message)
    if end is None:
        message.until_close, message.body = True, data[at:]
        if not ended:
            raise Incomplete
        return message, len(data)
    return message, end


def requests_in(data):
    """(messages, what is left, why that is malformed or "")"""
    found, at = [], 0
    while at < len(data):
        try:
            message, at = request_at(data, at)
        except Incomplete:
            break
        except Malformed as error:
            return found, data[at:], str(error)
        found.append(message)
    return found, data[at:], ""


def responses_in(data, methods=(), ended=False):
    """`methods`: of the requests in turn, GET beyond; `ended`: no more bytes will come."""
    found, at, finals = [], 0, 0
    while at < len(data):
        method = methods[finals] if finals < len(methods) else "GET"
        try:
            message, at = response_at(data, at, method, ended)
        except Incomplete:
            break
        except Malformed as error:
            return found, data[at:], str(error)
        found.append(message)
        finals += message.is_final
        if message.status == 101:
            break  # what follows is another protocol
    return found, data[at:], ""
