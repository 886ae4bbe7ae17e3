# SPDX-License-Identifier: GPL-3.0-or-later
"""bodies.py - bodies far larger than the memory they may take: sent up, then down, through an edge with a small buffer_memory.

    client --PUT, GIB of body--> edge --> pod     and     client <--GIB of body, read in fits-- edge <-- pod

Both ends know what each MiB must be, and compare. The pod stops reading for a moment now and then, and so does the client, so
that the edge would have to hold what it lets in. What counts is the highest resident memory meanwhile, as the kernel saw it."""
import http.client
import pathlib
import re
import socket
import threading
import time

LIMIT_MIB, MIB = 64, 1 << 20
PAUSE_EVERY, PAUSE = 1024, 0.3  # MiB, seconds
PATTERN = bytes(i * 7 % 251 for i in range(MIB))


def block_of(i):
    """The i-th MiB of a body: no two neighbours alike."""
    return PATTERN[i % 251:] + PATTERN[:i % 251]


BLOCKS = [block_of(i) for i in range(251)]


def send_body(sock, count):
    for i in range(count):
        sock.sendall(BLOCKS[i % 251])


def receive_body(sock, count, have=b''):
    """Reads that many MiB and compares; a pause now and then lets the queues behind it fill up."""
    room = bytearray(MIB)
    room[:len(have)] = have
    at = len(have)
    for i in range(count):
        while at < MIB:
            n = sock.recv_into(memoryview(room)[at:])
            if not n:
                raise RuntimeError(f'ended after {i} MiB and {at} bytes')
            at += n
        if room != BLOCKS[i % 251]:
            raise RuntimeError(f'MiB {i} is not what was sent')
        at = 0
        if i % PAUSE_EVERY == 0:
            time.sleep(PAUSE)


def read_head(sock):
    data = b''
    while b'\r\n\r\n' not in data:
        more = sock.recv(4096)
        if not more:
            return None, b''
        data += more
    head, _, rest = data.partition(b'\r\n\r\n')
    return head.decode(), rest


class Pod:
    """PUT: takes the body and says how it was. GET /N: N MiB."""

    def __init__(self):
        self.server = socket.create_server(('127.0.0.1', 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.server.accept()
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with sock:
            head, rest = read_head(sock)
            while head:
                verb, path = head.split()[:2]
                if verb == 'PUT':
                    length = int(re.search(r'content-length: (\d+)', head, re.I)[1])
                    said = self.judge(sock, length // MIB, rest)
                    sock.sendall(f'HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n{said}'.encode())
                else:
                    count = int(path[1:])
                    sock.sendall(f'HTTP/1.1 200 OK\r\nContent-Length: {count * MIB}\r\n\r\n'.encode())
                    send_body(sock, count)
                head, rest = read_head(sock)

    @staticmethod
    def judge(sock, count, have):
        try:
            receive_body(sock, count, have)
        except RuntimeError as wrong:
            return str(wrong)
        return 'whole'


class BigBodies:
    name, title, unit = 'big-bodies', f'bodies of GiB through {LIMIT_MIB} MiB of buffers', 'MiB'
    bar = f'at most {LIMIT_MIB} MiB more memory'

    def run(self, bench):
        count = 1024 if bench.quick else 10240
        pod = Pod()
        edge = bench.proxy('ringress')
        edge.pods, edge.buffer_memory = [pod.port], f'{LIMIT_MIB}Mi'
        with bench.running([edge]):
            series = [self.once(bench, edge, name, move, count) for name, move in
                      (('request body', self.up), ('response body', self.down))]
        most = max(s['median'] for s in series)
        return {'work': self.name, 'title': f'{count // 1024} GiB each way through {LIMIT_MIB} MiB of buffers',
                'unit': self.unit, 'bar': self.bar, 'series': series, 'mib': count,
                'verdict': {'value': most, 'max': LIMIT_MIB, 'ok': most <= LIMIT_MIB,
                            'says': f'{most:.1f} MiB more at the highest, at most {LIMIT_MIB}'}}

    def once(self, bench, edge, name, move, count):
        status = pathlib.Path(f'/proc/{edge.process.pid}/status')
        move(edge, 1)  # what any first request costs
        pathlib.Path(f'/proc/{edge.process.pid}/clear_refs').write_text('5')  # the highest starts anew
        before, began = self.kib(status, 'VmRSS'), time.monotonic()
        move(edge, count)
        seconds, grown = time.monotonic() - began, (self.kib(status, 'VmHWM') - before) / 1024
        bench.say(f'{self.name} {name}: {count} MiB in {seconds:.1f} s, {grown:.1f} MiB more at the highest')
        return {'proxy': name, 'rounds': [{'value': grown, 'seconds': round(seconds, 2)}], 'median': grown}

    @staticmethod
    def kib(status, key):
        return int(re.search(rf'{key}:\s+(\d+)', status.read_text())[1])

    @staticmethod
    def up(edge, count):
        with socket.create_connection(('127.0.0.1', edge.http)) as sock:
            sock.sendall(f'PUT / HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {count * MIB}\r\n\r\n'.encode())
            send_body(sock, count)
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            said = answer.read().decode()
            if answer.status != 200 or said != 'whole':
                raise RuntimeError(f'the pod got it wrong: {answer.status} {said}')

    @staticmethod
    def down(edge, count):
        with socket.create_connection(('127.0.0.1', edge.http)) as sock:
            sock.sendall(f'GET /{count} HTTP/1.1\r\nHost: bench.test\r\n\r\n'.encode())
            head, rest = read_head(sock)
            if not head or ' 200 ' not in head.splitlines()[0]:
                raise RuntimeError(f'no answer: {head}')
            receive_body(sock, count, rest)
