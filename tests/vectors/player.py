# SPDX-License-Identifier: GPL-3.0-or-later
"""player.py - plays every vector in every fragmentation through one edge, many at a time, and says what did not hold.

    client --bytes, cut--> edge --> recording pod       one host, one Service, one pod address for each run: what a pod
           <---------------     <-- (its script)        has seen is that run's alone, kept connections and late bytes included

The pods are one listening socket on all of 127/8; the address a connection came to names the run and the rule. Nothing is judged before
the edge has ended: what has not come by then never comes."""
import asyncio
import collections
import contextlib
import json
import re
import socket
import struct

from edge import Edge
from objects import backend, grant, pod, service
from protocols import BACKS, FRONTS, cut_bytes, cut_lines
from vector import ANSWER, ASKED, CANARY, FIN, HOST, RESET, Got

CUTS = ("whole", "lines", "bytes")
TOGETHER = 48   # runs at a time
PER_TENANT = 500  # runs; a tenant's file has a size that it may have
PATIENCE = 30   # seconds for one run on a busy machine
SECOND_PATH = "/sentinel"


def pieces(data, cut, at_borders=cut_lines):
    """The same bytes: all at once; cut where the protocol has its borders (lines, frames); byte by byte."""
    if cut == "whole":
        return [data]
    return cut_bytes(data) if cut == "bytes" else at_borders(data)


class Recorded:
    """One connection to a pod."""
    def __init__(self, rule):
        self.rule, self.data, self.ended, self.answered, self.scripted = rule, b"", False, 0, False


class Run:
    def __init__(self, vector, cut, number):
        self.vector, self.cut, self.number = vector, cut, number
        self.front, self.back = FRONTS[vector.front], BACKS[vector.back]
        self.tenant = number // PER_TENANT
        self.host = self.own(HOST)
        self.connections = []
        self.received, self.ended, self.again = b"", None, b""
        self.scripted = not vector.script   # the script was begun; played
        self.played = not vector.script
        self.stuck = self.asked_on = False  # asked_on: /sentinel went out on the same connection
        self.changed = None

    def __str__(self):
        return f"{self.vector.name}-{self.cut}"

    def address(self, rule):
        return f"127.{101 + [path for path, _ in self.vector.rules].index(rule)}.{self.number // 250}.{self.number % 250 + 1}"

    def objects(self, port):
        """The Kubernetes objects of this run: an Ingress, and a Service and a Pod for each rule."""
        paths = []
        for i, (path, kind) in enumerate(self.vector.rules):
            name = f"v{self.number}-{i}"
            server = type("Server", (), {"name": name, "port": port, "address": self.address(path)})
            yield pod(server)
            made = service(name, target=port)
            if self.back.app_protocol:
                made["spec"]["ports"][0]["appProtocol"] = self.back.app_protocol
            yield made
            paths.append({"path": path, "pathType": kind, "backend": backend(name)})
        yield {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
               "metadata": {"name": f"v{self.number}", "annotations": {"ringress/ssl-redirect": "false"}},
               "spec": {"rules": [{"host": self.host, "http": {"paths": paths}}]}}

    # ---- what has happened so far ----
    async def notify(self):
        async with self.changed:
            self.changed.notify_all()

    async def until(self, truth):
        async with self.changed:
            await self.changed.wait_for(truth)

    def answers(self):
        """(final answers, what is left, why it is malformed) of the client's connection."""
        found, left, why = self.front.responses(self.received, self.vector.methods, self.ended == "closed")
        return [m for m in found if m.is_final], [m.status for m in found if not m.is_final], left, why

    def own(self, data):
        """HOST in `data` as this run's, whatever else was done to it; a function is told it."""
        if callable(data):
            return data(self.own(HOST))
        for placeholder, own in ("NNNNN", f"{self.number:05d}"), ("123123", f"{123123 + self.tenant}"):
            data = data.replace(placeholder.encode(), own.encode()) if isinstance(data, bytes) else data.replace(placeholder, own)
        return data


# ---- sockets ----
async def send(sock, data, cut, at_borders=cut_lines):
    """False: the peer has ended."""
    loop = asyncio.get_running_loop()
    try:
        for piece in pieces(data, cut, at_borders):
            await loop.sock_sendall(sock, piece)
            await asyncio.sleep(0)
    except OSError:
        return False
    return True


async def receive(sock, take):
    """Every byte to `take`; returns how it ended."""
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(sock, 65536):
            await take(data)
    except OSError:
        return "reset"
    return "closed"


def stop_writing(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


# ---- pods ----
class Pods:
    def __init__(self, runs):
        self.listener = socket.create_server(("0.0.0.0", 0), backlog=1024)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.by_address = {run.address(path): (run, path) for run in runs for path, _ in run.vector.rules}
        self.tasks = set()

    async def accept(self):
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self.listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            run, rule = self.by_address[sock.getsockname()[0]]
            task = asyncio.create_task(self.serve(run, rule, sock))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def serve(self, run, rule, sock):
        conn = Recorded(rule)
        run.connections.append(conn)
        if run.back.greeting and (run.vector.greets or len(run.connections) > 1):
            await send(sock, run.back.greeting, "whole")
        speaker = asyncio.create_task(self.speak(run, conn, sock))

        async def take(data):
            conn.data += data
            await run.notify()
        await receive(sock, take)
        conn.ended = True
        await run.notify()
        await speaker
        sock.close()

    async def speak(self, run, conn, sock):
        if not run.scripted:
            run.scripted = True
            ended = await self.play(run, conn, sock)
            run.played = True
            await run.notify()
            if ended:
                return

        def asked():
            found = run.back.requests(conn.data)[0]
            return (run.back.behind_script(found) if conn.scripted else found)[conn.answered:]
        while True:
            await run.until(lambda: conn.ended or asked())
            for request in asked():
                conn.answered += 1
                if not await send(sock, run.back.answer(request), "whole"):
                    return
            if conn.ended:
                return

    async def play(self, run, conn, sock):
        """The script. True: the connection ends with it."""
        answers = 0
        await run.until(lambda: conn.ended or run.back.head_is_there(conn.data))
        for step in run.vector.script:
            if step == ASKED:
                await run.until(lambda: conn.ended or run.back.requests(conn.data)[0])
            elif step == ANSWER:
                answers += 1
                await run.until(lambda: run.ended or len(run.answers()[0]) >= answers)
            elif step == FIN:
                stop_writing(sock)
                return True
            elif step == RESET:  # when `serve` closes it
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RD)
                return True
            else:
                await send(sock, run.own(step), run.cut, run.back.cut)
        conn.scripted = True
        return False


# ---- clients ----
async def connect(port):
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


async def ask(run, sock):
    """The client's bytes, and behind them what must be no request, or must be one."""
    vector, answers, follow = run.vector, 0, run.vector.ends
    for i, step in enumerate(vector.send):
        if step == ANSWER:
            answers += 1
            await run.until(lambda: run.ended or len(run.answers()[0]) >= answers)
        elif step == FIN:
            stop_writing(sock)
            return
        else:
            last = follow and i == len(vector.send) - 1
            await send(sock, run.own(step) + (run.own(run.front.follow) if last else b""), run.cut, run.front.cut)
    if follow:
        return
    await run.until(lambda: run.ended or (run.played and len(run.answers()[0]) >= (1 if vector.cut else len(vector.client))))
    if not run.ended:
        run.asked_on = True
        await send(sock, run.own(run.front.sentinel), "whole")
        await run.until(lambda: run.ended or run.front.is_over(run.received))
        if run.front.is_over(run.received):
            stop_writing(sock)


async def ask_again(run, port):
    """A request of somebody else, after the pod has done its worst."""
    await run.until(lambda: run.played)
    sock = await connect(port)

    async def take(data):
        run.again += data
        if run.front.is_over(run.again):
            stop_writing(sock)
    await send(sock, run.own(run.front.first), "whole")
    await receive(sock, take)
    sock.close()


async def play(run, port, room):
    async with room:
        run.changed = asyncio.Condition()
        sock = await connect(port)

        async def take(data):
            run.received += data
            await run.notify()

        async def listen():
            run.ended = await receive(sock, take)
            await run.notify()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(listen(), ask(run, sock))
                if run.vector.script and not run.asked_on and run.vector.tunnel is None:
                    await ask_again(run, port)
        except TimeoutError:
            run.stuck = True
        finally:
            sock.close()


async def play_all(runs, pods, port):
    room = asyncio.Semaphore(TOGETHER)
    acceptor = asyncio.create_task(pods.accept())
    await asyncio.gather(*(play(run, port, room) for run in runs))
    acceptor.cancel()
    return {*pods.tasks}


def tenants_of(runs, port):
    """(file name, text): JSON is YAML, and much faster to write."""
    for number in {run.tenant for run in runs}:
        objects = [grant(f"t{number}", f"{123123 + number}.1d.pt")]
        objects += [o for run in runs if run.tenant == number for o in run.objects(port)]
        yield f"t{number}.yaml", "".join("---\n" + json.dumps(o) + "\n" for o in objects)


def run_all(vectors, **sections):
    """Every vector in every fragmentation. {str(run): [complaints]}"""
    runs = [Run(v, cut, n) for n, (v, cut) in enumerate((v, cut) for v in vectors for cut in v.cuts)]
    pods = Pods(runs)
    async def story():
        with Edge(dict(tenants_of(runs, pods.port)), 1, **sections).hold_nobody() as e:
            await play_all(runs, pods, e.http_port)
            # the pods must go on listening while the edge ends in order
            await asyncio.to_thread(e.stop)
        for _ in range(200):
            if not pods.tasks:
                break
            await asyncio.sleep(0.05)
    asyncio.run(story())
    pods.listener.close()
    return {str(run): judge(run) for run in runs}


# ---- judgement ----
def same_fields(run, message_fields, has):
    """Complaints about fields that must have a value, or must not be there (None)."""
    for name, value in has:
        value = value and run.own(value)
        found = [v for n, v in message_fields if n == name]
        if found != ([] if value is None else [value]):
            yield f"{name} is {found}, not {value!r}"


def expected_answers(run, finals):
    """What the client is to get. A broken answer of which nothing had been sent yet may still become a 502."""
    expected = [*run.vector.client]
    if run.vector.cut and finals and finals[0].status == 502:
        expected = [Got(502)]
    expected = [*expected, Got(200, b"GET /sentinel")] if run.asked_on else expected
    return expected[:len(finals)] if run.vector.lost else expected


def judge_answer(run, message, wanted):
    if message.status not in (wanted.status if isinstance(wanted.status, tuple) else (wanted.status,)):
        yield f"the client got {message.status}, not {wanted.status}"
    if wanted.body is not None and message.body != wanted.body:
        yield f"the client got the body {message.body!r}, not {wanted.body!r}"
    yield from same_fields(run, message.fields, wanted.has)
    if wanted.trailers is not None and message.trailers != [*wanted.trailers]:
        yield f"the client got the trailers {message.trailers}"


def judge_answers(run):
    vector = run.vector
    finals, interim, left, why = run.answers()
    expected = expected_answers(run, finals)
    if why or (left and not vector.cut and vector.tunnel is None):
        yield f"the client got what is no message: {why} {left[:200]!r}"
    if vector.cut and not expected and not left and run.ended != "reset":
        yield "the client can take half an answer for a whole one"
    if len(finals) != len(expected):
        yield f"the client got {[m.status for m in finals]}, not {[g.status for g in expected]}"
    for message, wanted in zip(finals, expected):
        yield from judge_answer(run, message, wanted)
    if vector.interim is not None and interim != [*vector.interim]:
        yield f"the client got the interim answers {interim}, not {vector.interim}"
    if vector.ends and vector.front == "h1" and finals and "close" not in (finals[-1].get("connection") or ""):
        yield "the last answer does not say that the connection closes"
    error = run.front.error(run.received)
    if error not in (vector.error if isinstance(vector.error, tuple) else (vector.error,)):
        yield f"the connection ended with {error}, not {vector.error}"
    if (vector.ends or run.asked_on) and run.ended != "closed" and not vector.lost:
        yield f"the client's connection was not closed but {run.ended}"
    if CANARY in run.received:
        yield f"the canary reached the client: {run.received!r}"


def judge_pods(run):
    vector, seen, sentinel = run.vector, [], None
    for number, conn in enumerate(run.connections):
        requests, left, why = run.back.requests(conn.data)
        if CANARY in conn.data:
            yield f"the canary reached a pod: {conn.data!r}"
        if vector.tunnel is not None and requests and number == 0:
            if left != run.own(vector.tunnel):
                yield f"behind 101 the pod got {left!r}, not {run.own(vector.tunnel)!r}"
        elif why or (left and not vector.partial):
            yield f"a pod got what is no message: {why} {left[:300]!r}"
        for request in requests:
            if request.target == SECOND_PATH:
                sentinel = number
            else:
                seen.append((conn.rule, request))
    if vector.front == "h2":  # streams run at the same time
        seen.sort(key=lambda one: (one[0], one[1].target))
    told = [f"{r.method} {r.target} at {rule}" for rule, r in seen]
    expected = vector.pod[:len(seen)] if vector.lost else vector.pod
    if len(seen) != len(expected):
        yield f"pods saw {told}, not {len(expected)} requests"
    for (rule, request), wanted in zip(seen, expected):
        if (rule, request.method, request.target) != (wanted.rule, wanted.method, wanted.target):
            yield f"a pod saw {request.method} {request.target} at {rule}, not {wanted}"
        if request.body != wanted.body:
            yield f"a pod saw the body {request.body!r}, not {wanted.body!r}"
        yield from same_fields(run, request.fields, wanted.has)
        if wanted.trailers is not None and request.trailers != [*wanted.trailers]:
            yield f"a pod saw the trailers {request.trailers}"
    if vector.kept is not None and (sentinel == 0) != vector.kept:
        yield f"the next request went to the pod's connection {sentinel}"


def judge_again(run):
    if not run.vector.script or run.asked_on or run.vector.tunnel is not None:
        return
    found, left, why = run.front.responses(run.again, (), True)
    if [(m.status, m.body) for m in found] != [(200, b"GET /sentinel")] or left or why:
        yield f"the next client got {run.again!r}"


def judge(run):
    found = [f"nothing more happened for {PATIENCE} s"] if run.stuck else []
    return [*found, *judge_answers(run), *judge_pods(run), *judge_again(run)]


# ---- what the tests of a table ask ----
def passes(verdicts, vector, cut):
    complaints = verdicts[f"{vector.name}-{cut}"]
    assert not complaints, f"{vector.rfc}: " + "; ".join(complaints)


def are_named(vectors):
    twice = [name for name, count in collections.Counter(v.name for v in vectors).items() if count > 1]
    assert twice == []
    assert [v.name for v in vectors if not re.fullmatch(r"RFC \d{4}( \d+(\.\d+)*)?", v.rfc)] == []
