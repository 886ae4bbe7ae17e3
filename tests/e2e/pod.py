# SPDX-License-Identifier: GPL-3.0-or-later
"""pod.py - real servers on loopback addresses of their own, one thread per connection, in any manner a test needs.

    with EchoPod() as p:      answers every request with what it was, as JSON
    with Pod(handle) as p:    handle(wire) is the whole behaviour of a connection

A pod's address is 127.x.y.z, its port 5678 unless said otherwise, so that several can stand behind one Service."""
import contextlib
import json
import random
import socket
import ssl
import threading

from wire import Closed, Wire

PORT = 5678


def free_address(port):
    """A listening socket at an address nobody uses."""
    while True:
        address = f"127.{random.randint(60, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
        with contextlib.suppress(OSError):
            return address, socket.create_server((address, port), backlog=512)


class Pod:
    def __init__(self, handle, name="pod", port=PORT, tls=None, address=None):
        """`tls`: (chain, key) files, to end TLS in the pod."""
        self.name, self.port, self.handle, self.wires = name, port, handle, []
        if address:
            self.address, self.server = address, socket.create_server((address, port), backlog=512)
        else:
            self.address, self.server = free_address(port)
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*map(str, tls))
        self.lock = threading.Lock()
        self.accepted = 0
        self.begin()

    def begin(self):
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.server.accept()
                with self.lock:
                    self.accepted += 1
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, Closed, ValueError):
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            wire = Wire(sock)
            with self.lock:
                self.wires.append(wire)
            self.handle(wire)
        sock.close()

    def hang_up(self):
        """Ends every connection there is; new ones are welcome."""
        with self.lock:
            wires, self.wires = self.wires, []
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
            wire.close()

    def stop(self):
        """Nobody listens any more: connecting is refused."""
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.hang_up()


class EchoPod(Pod):
    """Keeps connections alive. Request header X-Status chooses the status; every request is in `requests`."""

    def __init__(self, name="pod", **options):
        self.requests = []
        super().__init__(self.echo, name, **options)

    def echo(self, wire):
        while request := wire.read_request():
            self.requests.append(request)
            body = json.dumps({
                "pod": self.name, "method": request.method, "target": request.target,
                "headers": request.headers, "trailers": request.trailers,
                "length": len(request.body), "body": request.body[:65536].decode("latin-1"),
            }).encode() + b"\n"
            status = request.get("x-status", "200")
            head = f"HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nX-Pod: {self.name}\r\n"
            if status in ("204", "304"):
                wire.send(head + "\r\n")
                continue
            head += f"Content-Length: {len(body)}\r\n\r\n"
            wire.send(head.encode() + (b"" if request.method == "HEAD" else body))


class TcpEchoPod(Pod):
    """Sends every byte back, and FIN for FIN."""

    def __init__(self, name="tcp", **options):
        super().__init__(self.echo, name, **options)

    @staticmethod
    def echo(wire):
        while data := wire.sock.recv(65536):
            wire.sock.sendall(data)
        wire.finish_writing()


def answering(raw, then_close=False):
    """A handler that answers every request with these very bytes."""
    def handle(wire):
        while wire.read_request():
            wire.send(raw)
            if then_close:
                return
    return handle
