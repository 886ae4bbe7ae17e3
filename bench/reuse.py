# SPDX-License-Identifier: GPL-3.0-or-later
"""reuse.py - how often a request finds a connection to its pod open: 4 workers, 50 services, 200 requests/s.

    client --Poisson arrivals, a service at random--> edge, 4 workers --> pods, one address for each service

The pods take 1 to 5 ms for an answer and close what was idle for 60 s, as nginx's and many others do. They count: a
connection accepted after the warm-up is a request that was not served by a kept one."""
import asyncio
import contextlib
import random
import threading
import time

from measure import LOAD_CPU
from proxies import Ringress

SERVICES, RATE, WORKERS, CLIENTS, IDLE_S = 50, 200, 4, 64, 60
ADDRESSES = [f'127.0.2.{i + 1}' for i in range(SERVICES)]
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {{name: s{i}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: s{i}}}
subsets: [{{addresses: [{{ip: 127.0.2.{ip}}}], ports: [{{port: {port}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: s{i}, annotations: {{ringress/ssl-redirect: "false"}}}}
spec:
  rules:
    - host: s{i}.bench.test
      http: {{paths: [{{pathType: Prefix, path: /, backend: {{service: {{name: s{i}, port: {{number: 80}}}}}}}}]}}
"""


class Edge(Ringress):
    cpus, workers, pod_port = f'0,{LOAD_CPU}', WORKERS, 0

    def bench_tenant(self):
        grant = super().bench_tenant().replace('127.0.0.1/32', '127.0.0.0/16')
        return grant + ''.join(SERVICE.format(i=i, ip=i + 1, port=self.pod_port) for i in range(SERVICES))


class Pods:
    """All of them in a thread of their own."""

    def __init__(self, port):
        self.port, self.accepted, self.requests, self.loop = port, 0, 0, asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),), daemon=True)

    def __enter__(self):
        self.ready, self.over = threading.Event(), asyncio.Event()
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()

    async def serve(self):
        async with await asyncio.start_server(self.connection, ADDRESSES, self.port, backlog=1024):
            self.ready.set()
            await self.over.wait()

    async def connection(self, reader, writer):
        self.accepted += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            while True:
                await asyncio.wait_for(reader.readuntil(b'\r\n\r\n'), IDLE_S)
                self.requests += 1
                await asyncio.sleep(random.uniform(0.001, 0.005))
                writer.write(ANSWER)
        writer.close()


class Client:
    """Open loop: a request that is late delays no other."""

    def __init__(self, port, seed):
        self.port, self.random, self.idle, self.failed, self.done = port, random.Random(seed), [], 0, 0

    async def ask(self):
        try:
            reader, writer = self.idle.pop(self.random.randrange(len(self.idle))) if self.idle else \
                await asyncio.open_connection('127.0.0.1', self.port)
            writer.write(f'GET / HTTP/1.1\r\nHost: s{self.random.randrange(SERVICES)}.bench.test\r\n\r\n'.encode())
            head = await reader.readuntil(b'\r\n\r\n')
            await reader.readexactly(2)
        except (OSError, asyncio.IncompleteReadError):
            self.failed += 1
            return
        self.done += 1
        self.failed += b' 200 ' not in head.split(b'\r\n')[0]
        if len(self.idle) < CLIENTS and self.random.random() < 0.9:  # one in ten comes over a connection of its own
            self.idle.append((reader, writer))
        else:
            writer.close()

    async def run(self, seconds):
        end, due, asked = time.monotonic() + seconds, time.monotonic(), set()
        while due < end:
            due += self.random.expovariate(RATE)
            await asyncio.sleep(max(0, due - time.monotonic()))
            task = asyncio.ensure_future(self.ask())
            asked.add(task)
            task.add_done_callback(asked.discard)
        await asyncio.gather(*asked)


class Reuse:
    name, title, unit = 'reuse', '200 requests/s over 50 services, 4 workers: requests on a kept connection', '%'
    least, bar = 99.9, '≥ 99.9 %'

    def run(self, bench):
        rounds = []
        for r in range(min(bench.rounds, 2)):
            rounds.append(self.once(bench))
            bench.say(f"{self.name} round {r + 1}: {rounds[-1]['value']:.3f} %, {rounds[-1]['connections']} connections "
                      f"for {rounds[-1]['requests']} requests, {rounds[-1]['failed']} failed")
        worst = min(r['value'] for r in rounds)
        ok = worst >= self.least and not any(r['failed'] for r in rounds)
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar,
                'series': [{'proxy': 'ringress', 'rounds': rounds, 'median': sorted(r['value'] for r in rounds)[len(rounds) // 2]}],
                'verdict': {'value': worst, 'max': self.least, 'ok': ok, 'says': f'{worst:.3f} %, at least {self.least} %'}}

    def once(self, bench):
        place = bench.proxy('ringress')
        edge = Edge(bench.build, 'ringress', place.base, place.backend, bench.folder, place.certificate)
        warm, seconds = (5, 10) if bench.quick else (30, 120)
        edge.pod_port = bench.backend_port + 5
        client = Client(edge.http, seed=random.randrange(1 << 32))
        with Pods(edge.pod_port) as pods, bench.running([edge]):
            return asyncio.run(self.measure(client, pods, warm, seconds))

    async def measure(self, client, pods, warm, seconds):
        await client.run(warm)
        accepted, requests = pods.accepted, pods.requests
        await client.run(seconds)
        accepted, requests = pods.accepted - accepted, pods.requests - requests
        return {'value': 100 * (1 - accepted / requests), 'connections': accepted, 'requests': requests,
                'failed': client.failed, 'opened_in_warm_up': pods.accepted - accepted}
