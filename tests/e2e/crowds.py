# SPDX-License-Identifier: GPL-3.0-or-later
"""crowds.py - clients that always want more than there is, each crowd in a process of its own.

    with crowds((e.http_port, asks(HOST), 100), (raw_port, bytes(1 << 18), 20)):
        ...

A crowd keeps each of its connections supplied with its block, again and again, and reads whatever comes. `asks` is pipelined requests,
if no path is said to one that the tenant's rules do not have, so that the edge itself answers and no pod is what limits."""
import contextlib
import multiprocessing
import selectors
import socket

from pod import Pod


def asks(host, *paths, count=2000):
    return b"".join(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for path in paths or ("elsewhere",)) * count


def crowd(port, block, connections, stop):
    pending, chooser = {}, selectors.DefaultSelector()
    for _ in range(connections):
        s = socket.create_connection(("127.0.0.1", port), timeout=10)
        s.setblocking(False)
        pending[s] = memoryview(block)
        chooser.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE)
    while not stop.is_set():
        for key, events in chooser.select(0.2):
            s = key.fileobj
            with contextlib.suppress(BlockingIOError):
                if events & selectors.EVENT_READ and not s.recv(1 << 18):
                    raise ConnectionError("the edge has closed a connection")
                if events & selectors.EVENT_WRITE:
                    pending[s] = pending[s][s.send(pending[s]):] or memoryview(block)


@contextlib.contextmanager
def crowds(*who):
    """All of them are still there at the end, or it fails."""
    stop = multiprocessing.Event()
    running = [multiprocessing.Process(target=crowd, args=(*one, stop), daemon=True) for one in who]
    for p in running:
        p.start()
    try:
        yield running
        assert all(p.is_alive() for p in running)
    finally:
        stop.set()
        for p in running:
            p.join(10)
            p.kill()


class SinkPod(Pod):
    """Takes in whatever comes, in a process of its own, so that it is not what limits a crowd.

    Forked by who makes it, not by a thread: beside that he may be starting an edge, whose pipe the fork would hold open, and wait for its end."""

    def __init__(self, name="sink", **options):
        super().__init__(None, name, **options)

    def begin(self):
        self.process = multiprocessing.Process(target=swallow, args=(self.server,), daemon=True)
        self.process.start()

    def stop(self):
        self.process.kill()
        super().stop()


class FloodPod(Pod):
    """Answers each request, over HTTP/1, with more than anybody is going to read. In a process of its own, too."""

    def __init__(self, name="flood", size=1 << 20, **options):
        self.answer = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size)
        super().__init__(None, name, **options)

    def begin(self):
        self.process = multiprocessing.Process(target=pour, args=(self.server, self.answer), daemon=True)
        self.process.start()

    def stop(self):
        self.process.kill()
        super().stop()


def pour(server, answer):
    """One request at a time on each connection, and none has a body."""
    left, chooser = {}, selectors.DefaultSelector()
    server.setblocking(False)
    chooser.register(server, selectors.EVENT_READ)
    while True:
        for key, events in chooser.select():
            sock = key.fileobj
            if sock is server:
                with contextlib.suppress(BlockingIOError):
                    sock, _ = server.accept()
                    sock.setblocking(False)
                    chooser.register(sock, selectors.EVENT_READ)
                continue
            try:
                if events & selectors.EVENT_READ:
                    left[sock] = memoryview(answer)
                    if not sock.recv(1 << 16):
                        raise ConnectionError
                if sock in left:
                    left[sock] = left[sock][sock.send(left[sock]):]
                more = len(left.get(sock, b""))
                chooser.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if more else 0))
            except BlockingIOError:
                chooser.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            except OSError:
                left.pop(sock, None)
                chooser.unregister(sock)
                sock.close()


def swallow(server):
    chooser = selectors.DefaultSelector()
    server.setblocking(False)
    chooser.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in chooser.select():
            with contextlib.suppress(OSError):
                if key.fileobj is server:
                    sock, _ = server.accept()
                    sock.setblocking(False)
                    chooser.register(sock, selectors.EVENT_READ)
                elif not key.fileobj.recv(1 << 18):
                    chooser.unregister(key.fileobj)
                    key.fileobj.close()
