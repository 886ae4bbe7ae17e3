# SPDX-License-Identifier: GPL-3.0-or-later
"""gRPC through the edge, as @grpc/grpc-js speaks it at both ends: every kind of call, deadlines, trailers; and pods of HTTP/2 by hand."""
import contextlib
import itertools
import json
import threading

import pytest

import h2
from edge import PATIENCE, Edge, eventually
from h2 import END_HEADERS, END_STREAM, GOAWAY, H2, frame
from node import NodePod, node
from objects import ACME, plain_ingress, pod, rule, service, tenant
from pod import Pod
from wire import Closed

HOST = f"web.{ACME}"
SIZE = 32 << 20
OK = {"code": 0, "trailer": "t-a", "proof": "00ff0a0d"}


def h2c_service(port=5678, **annotations):
    s = service("web", target=port)
    s["metadata"]["annotations"] = {f"ringress/{k.replace('_', '-')}": v for k, v in annotations.items()}
    s["spec"]["ports"][0]["appProtocol"] = "kubernetes.io/h2c"
    return s


def drop(*servers, **annotations):
    return {"acme.yaml": tenant("acme", *[pod(s, app="web", name=f"web{i}") for i, s in enumerate(servers)],
                                h2c_service(**annotations), plain_ingress(rule(HOST, "web")))}


@pytest.fixture(scope="module")
def served(workers, authority):
    with NodePod("grpc_pod.js") as p, Edge(drop(p), workers, authority, certificates=[(f"*.{ACME}",)]) as e:
        yield e


def client(e, story, secure=True):
    words = [f"127.0.0.1:{e.https_port}", HOST, e.authority.ca] if secure else [f"127.0.0.1:{e.http_port}", HOST, "-"]
    return node("grpc_client.js", *words, story)


# ---- what is seen of it ----
def test_a_call_is_a_line_with_everything_that_is_known(authority):
    with NodePod("grpc_pod.js") as p, Edge(drop(p), 1, authority, certificates=[(f"*.{ACME}",)],
                                           log={"access": "json", "access_path": "access.log"}) as e:
        assert client(e, "unary")["reply"] == "re:hello"
        told = json.loads(eventually(lambda: (e.folder / "access.log").read_text().split("\n")[:-1])[0])
    assert (told["type"], told["protocol"], told["method"], told["status"], told["error"]) == ("http", "HTTP/2", "POST", 200, None)
    assert (told["tenant"], told["ingress"], told["rule"], told["service"]) == ("acme", "default", "/", "web")
    assert (told["pod"], told["tls"], told["sni"], told["host"]) == (f"{p.address}:{p.port}", "TLSv1.3", HOST, HOST)
    assert told["path"].startswith("/") and told["request_id"] and told["client"] == "127.0.0.1"
    assert told["bytes_in"] > 0 and told["bytes_out"] > 0
    assert 0 < told["routed_us"] <= told["connected_us"] <= told["first_byte_us"] <= told["total_us"]


# ---- @grpc/grpc-js ----
@pytest.mark.parametrize("secure", [True, False], ids=["TLS", "h2c"])
def test_unary(served, secure):
    assert client(served, "unary", secure) == {"head": "h", "reply": "re:hello", "status": OK}


def test_a_failure_has_its_code_its_words_and_its_trailers(served):
    told = client(served, "fail")["reply"]
    assert told == {**OK, "code": 9, "details": "nö: 100 %"}


def test_a_big_message_both_ways(served):
    told = client(served, "big")
    assert told["reply"] == (3 << 20) + 3 and told["status"] == OK


def test_server_streaming(served):
    assert client(served, "download") == {"count": 2000, "bytes": 6_000_000, "status": OK}


def test_client_streaming(served):
    assert client(served, "upload") == {"reply": "2000 6000000", "status": OK}


def test_both_streaming_each_message_as_it_is_said(served):
    told = client(served, "chat")
    assert told["said"] == [str(i) for i in range(100)] and told["status"] == OK


@pytest.mark.parametrize("story, code", [("deadline", 4), ("cancel", 1)])
def test_who_gives_up_is_heard_by_the_pod(served, story, code):
    before = client(served, "cancelled")
    assert client(served, story)["reply"]["code"] == code
    eventually(lambda: client(served, "cancelled") == before + 1, every=0.2)


def test_hundreds_at_once_share_connections(served):
    assert client(served, "many") == 500


# ---- pods by hand ----
class H2Pod(Pod):
    """answer(c, stream, head, body): called when a request is whole."""

    def __init__(self, answer, **values):
        self.answer, self.heads = answer, []
        super().__init__(lambda wire: self.talk(wire, values), "web")

    def talk(self, wire, values):
        c = H2(wire, server=True, **values)
        done = set()
        while c.step():
            for stream, a in list(c.answers.items()):
                if stream and a.ended and stream not in done:
                    done.add(stream)
                    self.heads.append(dict(a.heads[0]))
                    self.answer(c, stream, a)


@pytest.fixture
def serve(authority):
    with contextlib.ExitStack() as stack:
        def start(answer, pods=1, values=None, **sections):
            made = [stack.enter_context(H2Pod(answer, **(values or {}))) for _ in range(pods)]
            e = stack.enter_context(Edge(drop(*made), 1, authority, certificates=[(f"*.{ACME}",)], **sections))
            return e, made
        yield start


def reply(c, stream, *fields, body=b"", status="200", trailers=()):
    c.headers(stream, (":status", status), *fields, flags=END_HEADERS | (0 if body or trailers else END_STREAM))
    if body:
        c.data(stream, body, end=not trailers)
    if trailers:
        c.headers(stream, *trailers)


def test_http1_to_http2(serve):
    e, (p,) = serve(lambda c, stream, a: reply(c, stream, ("x-length", str(len(a.body))), body=b"hi"))
    with e.connect() as wire:
        for i, body in enumerate((b"", b"x" * 10, b"y" * 300_000)):
            wire.send(f"POST /a/../{i} HTTP/1.1\r\nHost: {HOST}\r\nConnection: x-gone\r\nX-Gone: 1\r\nX-A: b\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = wire.read_response()
            assert answer.status == 200 and answer.text == "hi" and answer.get("x-length") == str(len(body))
    assert [h[":path"] for h in p.heads] == ["/0", "/1", "/2"] and p.accepted == 1
    head = p.heads[0]
    assert (head[":method"], head[":authority"], head[":scheme"], head["x-a"]) == ("POST", HOST, "http", "b")
    assert not {"connection", "host", "x-gone", "transfer-encoding"} & set(head)


def test_trailers_reach_who_asked_over_http1(serve):
    e, _ = serve(lambda c, stream, a: reply(c, stream, body=b"x", trailers=[("grpc-status", "0")]))
    with e.connect() as wire:
        wire.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
        answer = wire.read_response()
    assert answer.body == b"x" and answer.trailers == [("grpc-status", "0")]


def test_interim_answers_and_answers_without_a_body(serve):
    def answer(c, stream, a):
        c.headers(stream, (":status", "103"), ("link", "x"), flags=END_HEADERS)
        reply(c, stream, ("content-length", "7") if dict(a.heads[0])[":method"] == "HEAD" else ("x", "y"))
    e, _ = serve(answer)
    with e.connect() as wire:
        for method in ("HEAD", "GET"):
            wire.send(f"{method} / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
            answer = wire.read_response(method)
            assert answer.status == 200 and answer.interim == [103] and answer.body == b""


@pytest.mark.parametrize("name, fields, body", [
    ("upper case", [("X-A", "b")], b""), ("connection", [("connection", "close")], b""),
    ("coding", [("transfer-encoding", "chunked")], b""), ("CR LF", [("x", "a\r\nSet-Cookie: b")], b""),
    ("too long", [("content-length", "1")], b"ab"), ("too short", [("content-length", "9")], b"ab"),
    ("two lengths", [("content-length", "2"), ("content-length", "2")], b"ab"), ("disguised", [("content_length", "2")], b"ab"),
])
def test_a_pods_answer_is_scrutinised(serve, name, fields, body):
    e, (p,) = serve(lambda c, stream, a: reply(c, stream, *fields, body=body) if "x-bad" in dict(a.heads[0])
                    else reply(c, stream, body=b"good"))
    with e.connect() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Bad: 1\r\n\r\n")
        with contextlib.suppress(Exception):
            answer = wire.read_response()
            assert answer.status == 502
            assert "set-cookie" not in [n.lower() for n, _ in answer.headers]
    assert e.request(f"http://{HOST}/").body == b"good"


def test_a_refused_stream_is_asked_again_even_when_it_is_a_post(serve):
    first = [True]

    def answer(c, stream, a):
        if first and first.pop():
            c.reset(stream, h2.REFUSED)
        else:
            reply(c, stream, body=b"second")
    e, _ = serve(answer)
    assert e.request(f"http://{HOST}/", method="POST").body == b"second"


def test_goaway_is_honoured_and_what_it_leaves_out_asked_again(serve):
    first = [True]

    def answer(c, stream, a):
        if first:
            first.clear()
            c.send(frame(GOAWAY, 0, 0, bytes(8)))
        else:
            reply(c, stream, body=b"second")
    e, (p,) = serve(answer)
    assert e.request(f"http://{HOST}/").body == b"second"
    assert p.accepted == 2


def test_a_pod_that_breaks_the_protocol_is_not_waited_for(serve):
    e, (p,) = serve(lambda c, stream, a: reply(c, stream, body=b"x" * (20_000 if "x-bad" in dict(a.heads[0]) else 2)))
    with e.connect() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Bad: a frame above 16 KiB\r\n\r\n")
        with contextlib.suppress(ConnectionResetError, Closed):
            wire.read_response()
            assert False, "there was no whole answer"
    assert e.request(f"http://{HOST}/").body == b"xx" and p.accepted == 2


def test_no_more_streams_than_the_pod_allows(serve):
    go, most, now, lock = threading.Event(), [0], [0], threading.Lock()

    def answer(c, stream, a):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])

        def later():
            go.wait(PATIENCE)
            with lock:
                now[0] -= 1
            with contextlib.suppress(OSError):
                reply(c, stream, body=b"x")
        threading.Thread(target=later).start()
    e, (p,) = serve(answer, values={"streams": 2})
    go.set()
    assert e.request(f"http://{HOST}/warm").status == 200
    go.clear()
    results = []
    threads = [threading.Thread(target=lambda: results.append(e.request(f"http://{HOST}/").status)) for _ in range(6)]
    for t in threads:
        t.start()
    eventually(lambda: now[0] == 6)
    assert p.accepted >= 3
    go.set()
    for t in threads:
        t.join()
    assert results == [200] * 6


def test_a_pod_that_speaks_http1_is_502(authority):
    with Pod(lambda wire: (wire.sock.recv(100), wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")), "web") as p:
        with Edge(drop(p), 1, authority, certificates=[(f"*.{ACME}",)]) as e:
            assert e.request(f"http://{HOST}/").status == 502


def test_a_pod_that_breaks_off_costs_what_ran_there_and_no_more(serve):
    def answer(c, stream, a):
        if dict(a.heads[0])[":path"] == "/die":
            c.wire.close()
        else:
            reply(c, stream, body=b"good")
    e, _ = serve(answer)
    assert e.request(f"http://{HOST}/").body == b"good"
    assert e.request(f"http://{HOST}/die", method="POST").status == 502
    assert e.request(f"http://{HOST}/").body == b"good"


def test_a_client_that_does_not_read_stops_the_pod(serve):
    sent = [0]

    def answer(c, stream, a):
        c.headers(stream, (":status", "200"), flags=END_HEADERS)
        with contextlib.suppress(OSError):
            while sent[0] < SIZE:
                if c.room(stream, sent[0]) >= 16384:
                    c.data(stream, b"x" * 16384)
                    sent[0] += 16384
                elif not c.step():
                    return
            c.data(stream, end=True)
    e, _ = serve(answer)
    with e.connect() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")
        last = [-1]

        def still():
            now, before = sent[0], last[0]
            last[0] = now
            return now and now == before
        eventually(still, every=0.5)
        assert sent[0] < SIZE // 2
        assert wire.rest().count(b"x") == SIZE


# ---- no more connections than the cap ----
class Counting(H2Pod):
    """Holds each answer until `go`; knows how many requests and connections were there at once."""

    def __init__(self, streams=100):
        self.go, self.lock = threading.Event(), threading.Lock()
        self.now = self.most = self.open = self.most_open = 0
        super().__init__(self.count, streams=streams)

    def talk(self, wire, values):
        with self.lock:
            self.open += 1
            self.most_open = max(self.open, self.most_open)
        try:
            super().talk(wire, values)
        finally:
            with self.lock:
                self.open -= 1

    def count(self, c, stream, a):
        with self.lock:
            self.now += 1
            self.most = max(self.now, self.most)

        def finish():
            self.go.wait(PATIENCE)
            with self.lock:
                self.now -= 1
                reply(c, stream, body=b"ok")
        threading.Thread(target=finish, daemon=True).start()


def asking(stack, e, count):
    """So many requests, each on a connection of its own."""
    wires = [stack.enter_context(e.connect()) for _ in range(count)]
    for wire in wires:
        wire.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
    return wires


def waiting(e):
    return sum(b["waiting"] for b in e.get("backends"))


def test_requests_wait_for_a_stream_of_the_connections_there_may_be():
    with Counting(streams=2) as p, Edge(drop(p, max_connections_per_pod="2"), 1) as e, contextlib.ExitStack() as stack:
        wires = asking(stack, e, 1)  # the edge learns from it how many the pod takes
        eventually(lambda: p.now == 1)
        wires += asking(stack, e, 9)
        eventually(lambda: waiting(e) == 6)
        eventually(lambda: p.now == 4)
        assert p.most == 4 and p.accepted == 2
        p.go.set()
        assert [w.read_response().status for w in wires] == [200] * 10
        assert p.most <= 4 and p.accepted == 2 and waiting(e) == 0


def test_the_line_is_bounded_and_so_is_its_time(workers):
    with Counting(streams=1) as p, contextlib.ExitStack() as stack:
        with Edge(drop(p, max_connections_per_pod="1", max_queue="2", queue_timeout="2s"), workers) as e:
            first = asking(stack, e, 1)
            eventually(lambda: p.now == 1)
            line = asking(stack, e, 2)
            eventually(lambda: waiting(e) == 2)
            late = asking(stack, e, 1)[0].read_response()
            assert late.status == 503 and late.get("retry-after")
            assert [w.read_response().status for w in line] == [503, 503]
            p.go.set()
            assert first[0].read_response().status == 200
            assert [w.read_response().status for w in asking(stack, e, 2)] == [200] * 2


def test_who_leaves_the_line_leaves_his_place():
    with Counting(streams=1) as p, Edge(drop(p, max_connections_per_pod="1"), 1) as e, contextlib.ExitStack() as stack:
        first = asking(stack, e, 1)
        eventually(lambda: p.now == 1)
        gone, stays = asking(stack, e, 3), asking(stack, e, 1)
        eventually(lambda: waiting(e) == 4)
        for wire in gone:
            wire.reset()
        eventually(lambda: waiting(e) == 1)
        p.go.set()
        assert [w.read_response().status for w in first + stays] == [200] * 2
        assert len(p.heads) == 2


def test_a_connection_goes_on_when_the_other_workers_request_it_was_to_end_for_is_gone():
    with Counting() as p, Edge(drop(p, max_connections_per_pod="1"), 2) as e, contextlib.ExitStack() as stack:
        ours = H2(stack.enter_context(e.connect()), HOST)  # all its streams are one worker's
        ours.request(1, scheme="http")
        eventually(lambda: p.now == 1)
        for running in itertools.count(1):  # until one comes to the other worker
            other = asking(stack, e, 1)[0]
            eventually(lambda: waiting(e) == 1 or p.now == running + 1)
            if waiting(e):
                break
        ours.request(3, scheme="http")
        eventually(lambda: waiting(e) == 2)
        other.reset()
        eventually(lambda: p.now == running + 1 and not waiting(e))
        p.go.set()
        while not (ours.of(1).ended and ours.of(3).ended):
            assert ours.step()
        assert p.accepted == 1


def test_workers_take_turns_at_one_connection():
    with Counting() as p, Edge(drop(p, max_connections_per_pod="1"), 3) as e, contextlib.ExitStack() as stack:
        p.go.set()
        for _ in range(3):
            wires = asking(stack, e, 12)
            assert [w.read_response().status for w in wires] == [200] * 12
        assert p.most_open <= 2  # one that the pod has not yet seen the end of
