#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""client_hello_corpus.py - writes corpus/client_hello: what real clients say first, then the same bent in ways that matter.

Clients: OpenSSL (by Python's ssl and s_client) and curl. Run it again after adding a case; names are what the bytes are.
"""
import pathlib
import socket
import ssl
import struct
import subprocess
import threading

OUT = pathlib.Path(__file__).parent / "corpus" / "client_hello"


def first_bytes(talk):
    """What `talk(port)` sends before it hears anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=talk, args=(server.getsockname()[1],))
        thread.start()
        client, _ = server.accept()
        with client:
            data = client.recv(65536)
        thread.join()
    return data


def python_hello(name, alpn=(), low=None, high=None):
    context = ssl._create_unverified_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if low:
        context.minimum_version = low
    if high:
        context.maximum_version = high
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def run(*words):
    return lambda port: subprocess.run([w.replace("PORT", str(port)) for w in words], input=b"",
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20)


def records(hello, sizes):
    """The same message in records of these sizes (the last size repeats)."""
    message, out, i = hello[5:], b"", 0
    while message:
        n = sizes[min(i, len(sizes) - 1)]
        out += b"\x16\x03\x01" + struct.pack(">H", len(message[:n])) + message[:n]
        message, i = message[n:], i + 1
    return out


def message(body, kind=1):
    m = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return records(b"12345" + m, [16384])


def hello(extensions, version=b"\x03\x03", session=b""):
    packed = b"".join(struct.pack(">HH", kind, len(body)) + body for kind, body in extensions)
    return message(version + bytes(32) + bytes([len(session)]) + session + b"\x00\x02\x13\x01" + b"\x01\x00"
                   + struct.pack(">H", len(packed)) + packed)


def server_name(*names):
    entries = b"".join(b"\x00" + struct.pack(">H", len(n)) + n for n in names)
    return 0, struct.pack(">H", len(entries)) + entries


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    plain = python_hello("files.123123.1d.pt")
    cases = {
        "python-tls13": plain,
        "python-tls12": python_hello("files.123123.1d.pt", high=ssl.TLSVersion.TLSv1_2),
        "python-alpn": python_hello("web.example.com", alpn=("h2", "http/1.1")),
        "python-no-sni": python_hello(None),
        "curl": first_bytes(run("curl", "-sk", "--connect-to", "::127.0.0.1:PORT", "https://nginx.123123.1d.pt/")),
        "openssl": first_bytes(run("openssl", "s_client", "-connect", "127.0.0.1:PORT", "-servername", "a.b.example")),
        "openssl-many-curves": first_bytes(run("openssl", "s_client", "-connect", "127.0.0.1:PORT", "-servername",
                                               "a.b.example", "-curves", "X25519:P-256:P-384:P-521:X448",
                                               "-alpn", "acme-tls/1")),
        "records-of-1": records(plain, [1]),
        "records-of-3": records(plain, [3]),
        "records-header-split": records(plain, [2, 1, 5, 400]),
        "record-empty": plain[:5] + plain[5:20] + b"\x16\x03\x01\x00\x00",
        "record-alert-between": records(plain, [100])[:105] + b"\x15\x03\x01\x00\x02\x01\x00",
        "two-messages": records(plain + message(b"")[5:], [16384]),
        "half": plain[:len(plain) // 2],
        "sni-two-names": hello([server_name(b"a.example", b"b.example")]),
        "sni-twice": hello([server_name(b"a.example"), server_name(b"b.example")]),
        "sni-empty-name": hello([server_name(b"")]),
        "sni-empty-list": hello([(0, b"\x00\x00")]),
        "sni-nul": hello([server_name(b"a.example\x00.evil.example")]),
        "sni-of-255": hello([server_name(b"a" * 255)]),
        "sni-of-256": hello([server_name(b"a" * 256)]),
        "sni-address": hello([server_name(b"192.0.2.1")]),
        "sni-dot": hello([server_name(b"a.example.")]),
        "versions-grease": hello([(43, b"\x04\x7a\x7a\x03\x04"), server_name(b"a.example")]),
        "versions-odd": hello([(43, b"\x03\x03\x04\x03")]),
        "alpn-empty-name": hello([(16, b"\x00\x01\x00")]),
        "no-extensions": message(b"\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00"),
        "ssl3": message(b"\x03\x00" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00"),
        "session-of-33": hello([], session=bytes(33)),
        "padded-to-16k": hello([server_name(b"a.example"), (21, bytes(16384 - 4 - 43 - 4 - 18))]),
        "message-too-long": b"\x16\x03\x01\x40\x00\x01\x00\x40\x00",
        "server-hello": message(b"\x03\x03" + bytes(60), kind=2),
        "record-too-long": b"\x16\x03\x01\x40\x01\x01",
        "sslv2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        "http": b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "ssh": b"SSH-2.0-OpenSSH_9.2p1\r\n",
        "zeroes": bytes(64),
    }
    for name, data in cases.items():
        (OUT / name).write_bytes(data)


if __name__ == "__main__":
    main()
