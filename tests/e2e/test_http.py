# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 both ways: connections that live, bodies of any kind and size, and what happens when somebody misbehaves."""
import asyncio
import contextlib
import hashlib
import json
import random
import threading
import time

import pytest
import websockets

from edge import Edge, eventually
from objects import ACME, ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod, Pod, answering, free_address
from wire import Closed

HOST = f"web.{ACME}"
URL = f"http://{HOST}/"
MIB = 1 << 20


@pytest.fixture(scope="module")
def echo(workers, authority):
    """(edge, pod): every request is answered with what it was."""
    with EchoPod("web") as p:
        with Edge({"acme.yaml": web_tenant("acme", p)}, workers, authority, certificates=[(f"*.{ACME}",)]) as e:
            yield e, p


@pytest.fixture
def serve(workers, authority):
    """serve(handle) -> (edge, pod) of a pod with that behaviour."""
    with contextlib.ExitStack() as stack:
        def start(handle, **sections):
            p = stack.enter_context(Pod(handle, "web"))
            e = stack.enter_context(Edge({"acme.yaml": web_tenant("acme", p)}, workers, authority,
                                         certificates=[(f"*.{ACME}",)], **sections))
            return e, p
        yield start


def get(path="/", more="", method="GET", version="1.1"):
    return f"{method} {path} HTTP/{version}\r\nHost: {HOST}\r\n{more}\r\n"


def both_schemes(e):
    return (e.connect, lambda: e.connect_tls(HOST))


# ---- connections ----
def test_who_asks_again_and_again_for_names_that_nobody_has_is_sent_away(echo):
    e, _ = echo
    nobodys = "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n"
    for together in (1, 20):
        with e.connect() as wire:
            for i in range(15):
                if i % together == 0:
                    wire.send(nobodys * together)
                answer = wire.read_response()
                assert answer.status == 404 and (answer.get("Connection") == "close") == (i == 14)
            assert wire.at_end()
    with e.connect() as wire:
        for _ in range(20):  # not again and again
            wire.send(nobodys + get())
            assert wire.read_response().status == 404
            assert wire.read_response().status == 200


def test_a_connection_serves_many_requests(echo):
    e, _ = echo
    for connect in both_schemes(e):
        with connect() as wire:
            for i in range(50):
                wire.send(get(f"/{i}"))
                assert json.loads(wire.read_response().text)["target"] == f"/{i}"


def test_pipelined_requests_are_answered_in_order(echo):
    e, _ = echo
    for connect in both_schemes(e):
        with connect() as wire:
            wire.send("".join(get(f"/{i}") for i in range(30)))
            for i in range(30):
                assert json.loads(wire.read_response().text)["target"] == f"/{i}"


def test_pipelined_requests_with_bodies_are_kept_apart(echo):
    e, _ = echo
    bodies = ["", "a" * 10, "GET / HTTP/1.1\r\n\r\n", "b" * 70_000, "c"]
    with e.connect() as wire:
        wire.send("".join(get("/", f"Content-Length: {len(b)}\r\n", "POST") + b for b in bodies))
        for body in bodies:
            told = json.loads(wire.read_response().text)
            assert told["length"] == len(body) and told["body"] == body[:65536]


def test_connections_to_pods_are_used_again(echo):
    e, p = echo
    for _ in range(10):
        e.status(URL)
    before = p.accepted
    with e.connect() as wire:
        for _ in range(20):
            wire.send(get())
            assert wire.read_response().status == 200
    assert p.accepted - before <= 1


def test_connection_close_is_kept_by_both(echo):
    e, _ = echo
    with e.connect() as wire:
        wire.send(get(more="Connection: close\r\n"))
        answer = wire.read_response()
        assert answer.get("connection", "").lower() == "close"
        assert wire.at_end()


def test_an_idle_connection_is_closed_after_its_time(workers):
    with EchoPod("web") as p:
        with Edge({"acme.yaml": web_tenant("acme", p)}, workers, timeouts={"keepalive": "300ms"}) as e:
            with e.connect() as wire:
                begin = time.monotonic()
                wire.send(get())
                assert wire.read_response().status == 200
                assert wire.at_end()  # of timeouts.keepalive, 75 s
                assert time.monotonic() - begin > 0.2


def test_a_head_that_takes_too_long_is_408(workers):
    with EchoPod("web") as p:
        with Edge({"acme.yaml": web_tenant("acme", p)}, workers, timeouts={"header": "400ms"}) as e:
            with e.connect() as wire:
                wire.send("GET / HTTP/1.1\r\nHost: we")
                assert wire.read_response().status == 408
                assert wire.at_end()


def test_a_body_that_stops_coming_is_408(workers):
    with EchoPod("web") as p:
        with Edge({"acme.yaml": web_tenant("acme", p)}, workers, timeouts={"body_idle": "400ms"}) as e:
            with e.connect() as wire:
                wire.send(get(more="Content-Length: 100\r\n", method="POST") + "half")
                assert wire.read_response().status == 408


# ---- HTTP/1.0 ----
def test_an_http_1_0_client_is_answered_and_the_connection_closed(echo):
    e, _ = echo
    with e.connect() as wire:
        wire.send(get(version="1.0"))
        answer = wire.read_response()
        assert answer.status == 200 and json.loads(answer.text)["target"] == "/"
        assert wire.at_end()


def test_an_http_1_0_client_may_ask_to_keep_alive(echo):
    e, _ = echo
    with e.connect() as wire:
        for _ in range(3):
            wire.send(get(more="Connection: keep-alive\r\n", version="1.0"))
            answer = wire.read_response()
            assert answer.status == 200 and answer.get("connection", "").lower() == "keep-alive"


def test_an_http_1_0_client_never_sees_chunks(serve):
    e, _ = serve(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
    with e.connect() as wire:
        wire.send(get(version="1.0"))
        answer = wire.read_response()
        assert answer.get("transfer-encoding") is None and answer.body == b"hello"


def test_an_http_1_0_pod_without_length_ends_by_closing(serve):
    e, _ = serve(answering(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it", then_close=True))
    with e.connect() as wire:
        for _ in range(3):
            wire.send(get())
            assert wire.read_response().body == b"all of it"


# ---- answers without bodies ----
@pytest.mark.parametrize("status", ["204", "304"])
def test_an_answer_that_has_no_body_ends_with_its_head(echo, status):
    e, _ = echo
    with e.connect() as wire:
        for _ in range(3):
            wire.send(get(more=f"X-Status: {status}\r\n"))
            assert wire.read_response().status == int(status)
        wire.send(get())
        assert wire.read_response().status == 200


def test_head_has_the_length_of_the_body_it_leaves_out(echo):
    e, _ = echo
    with e.connect() as wire:
        wire.send(get(method="HEAD"))
        answer = wire.read_response("HEAD")
        assert int(answer.get("content-length")) > 0
        wire.send(get())
        assert wire.read_response().status == 200


def test_a_304_may_say_the_length_of_what_was_not_sent(serve):
    e, _ = serve(answering(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n"))
    with e.connect() as wire:
        for _ in range(2):
            wire.send(get())
            assert wire.read_response().status == 304


# ---- bodies ----
def test_a_chunked_request_arrives_whole_with_its_trailers(echo):
    e, _ = echo
    with e.connect() as wire:
        wire.send(get(more="Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", method="POST"))
        for piece in ("5\r\nhello\r\n", "1;ext=1\r\n \r\n", "5\r\nwo", "rld\r\n", "0\r\nX-Sum: 42\r\n\r\n"):
            wire.send(piece)
            time.sleep(0.02)
        told = json.loads(wire.read_response().text)
        assert told["body"] == "hello world"
        assert ["X-Sum", "42"] in [[n, v] for n, v in told["trailers"]] or \
               ["x-sum", "42"] in [[n, v] for n, v in told["trailers"]]


def test_a_chunked_answer_arrives_whole_with_its_trailers(serve):
    e, _ = serve(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                           b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n"))
    with e.connect() as wire:
        for _ in range(3):
            wire.send(get(more="TE: trailers\r\nConnection: TE\r\n"))
            answer = wire.read_response()
            assert answer.body == b"hello world"
            assert [(n.lower(), v) for n, v in answer.trailers] == [("x-sum", "42")]


def test_a_chunk_arrives_when_it_is_sent_and_not_later(serve):
    go = threading.Event()

    def handle(wire):
        while wire.read_request():
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            go.wait(10)
            wire.send("4\r\nlast\r\n0\r\n\r\n")
    e, _ = serve(handle)
    with e.connect() as wire:
        wire.send(get())
        wire.until(b"first")
        go.set()
        assert b"last" in wire.until(b"0\r\n\r\n")


def digest_pod(wire):
    """Takes any body, answers its length and SHA-256; keeps nothing."""
    while True:
        if not wire.buffer and not wire.fill():
            return
        _, headers = wire.read_head()
        left = int(dict((n.lower(), v) for n, v in headers)["content-length"])
        total, digest = left, hashlib.sha256()
        while left:
            if not wire.buffer:
                assert wire.fill()
            piece, wire.buffer = wire.buffer[:left], wire.buffer[left:]
            digest.update(piece)
            left -= len(piece)
        body = f"{total} {digest.hexdigest()}"
        wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_big_upload_arrives_whole_in_constant_memory(serve, scheme):
    e, _ = serve(digest_pod)
    block, count, digest = random.randbytes(MIB), 192, hashlib.sha256()
    with (e.connect() if scheme == "http" else e.connect_tls(HOST)) as wire:
        wire.send(get(more=f"Content-Length: {count * MIB}\r\n", method="PUT"))
        before = e.memory()
        for i in range(count):
            wire.send(block)
            digest.update(block)
            if i % 16 == 0:
                assert e.memory() - before < 48 * MIB
        assert wire.read_response().text == f"{count * MIB} {digest.hexdigest()}"


def big_answer(count, block, ending=b""):
    def handle(wire):
        while wire.read_request():
            wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {count * len(block)}\r\n\r\n")
            for _ in range(count):
                wire.send(block)
    return handle


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_big_answer_reaches_a_slow_reader_whole_in_constant_memory(serve, scheme):
    block, count, digest = random.randbytes(MIB), 192, hashlib.sha256()
    e, _ = serve(big_answer(count, block))
    with (e.connect() if scheme == "http" else e.connect_tls(HOST)) as wire:
        wire.send(get())
        wire.until(b"\r\n\r\n")
        before = e.memory()
        time.sleep(1)  # nothing is read: everything behind us must stop
        assert e.memory() - before < 48 * MIB
        left = count * MIB
        while left:
            if not wire.buffer:
                assert wire.fill()
            digest.update(wire.buffer)
            left, wire.buffer = left - len(wire.buffer), b""
        assert e.memory() - before < 48 * MIB
    expected = hashlib.sha256()
    for _ in range(count):
        expected.update(block)
    assert digest.digest() == expected.digest()


def test_a_slow_pod_stops_a_fast_uploader(serve):
    go = threading.Event()

    def slow(wire):
        wire.read_head()
        go.wait(20)
        left = 64 * MIB - len(wire.buffer)
        wire.buffer = b""
        while left > 0:
            data = wire.sock.recv(MIB)
            assert data
            left -= len(data)
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    e, _ = serve(slow)
    with e.connect() as wire:
        wire.send(get(more=f"Content-Length: {64 * MIB}\r\n", method="POST"))
        before, sent, block = e.memory(), 0, bytes(MIB)
        wire.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while sent < 64 * MIB:
                sent += wire.sock.send(block)
        assert e.memory() - before < 48 * MIB
        wire.sock.settimeout(20)
        go.set()
        while sent < 64 * MIB:
            sent += wire.sock.send(block[:64 * MIB - sent])
        assert wire.read_response().status == 200


def test_one_slow_reader_does_not_slow_the_others(serve):
    block = bytes(MIB)
    e, _ = serve(big_answer(64, block))

    def whole():
        begin = time.monotonic()
        with e.connect() as wire:
            wire.send(get())
            assert len(wire.read_response().body) == 64 * MIB
        return time.monotonic() - begin
    alone = whole()
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            wire = stack.enter_context(e.connect())
            wire.send(get())
        time.sleep(0.5)
        assert whole() < 5 * alone + 5  # as fast as this machine is


# ---- expectations, early answers, half-closed peers ----
def test_a_client_that_expects_100_continue_gets_it(echo):
    e, _ = echo
    with e.connect() as wire:
        wire.send(get(more="Expect: 100-continue\r\nContent-Length: 4\r\n", method="POST"))
        assert wire.read_head()[0].split()[1] == "100"
        wire.send("body")
        answer = wire.read_response()
        assert answer.status == 200 and json.loads(answer.text)["body"] == "body"


def test_a_pod_may_refuse_before_the_body_was_sent(serve):
    def refuse(wire):
        wire.read_head()
        wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    e, _ = serve(refuse)
    with e.connect() as wire:
        wire.send(get(more="Expect: 100-continue\r\nContent-Length: 10000000\r\n", method="POST"))
        answer = wire.read_response()
        assert answer.status == 403 and answer.body == b"no"


def test_interim_answers_are_passed_on_or_left_out_but_never_taken_for_the_answer(serve):
    e, _ = serve(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    with e.connect() as wire:
        wire.send(get() * 2)
        for _ in range(2):
            answer = wire.read_response()
            assert answer.status == 200 and answer.body == b"ok"


def test_an_answer_that_comes_before_the_whole_body_is_passed_on(serve):
    def early(wire):
        wire.read_head()
        wire.send("HTTP/1.1 413 Too Much\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly")
        with contextlib.suppress(OSError):
            wire.sock.settimeout(2)
            wire.rest()
    e, _ = serve(early)
    with e.connect() as wire:
        wire.send(get(more="Content-Length: 100000000\r\n", method="POST") + "x" * 100_000)
        answer = wire.read_response()
        assert answer.status == 413 and answer.body == b"early"


def test_a_client_that_has_finished_writing_still_gets_its_answer(serve):
    def slow(wire):
        while wire.read_request():
            time.sleep(0.3)
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    e, _ = serve(slow)
    with e.connect() as wire:
        wire.send(get())
        wire.finish_writing()
        assert wire.read_response().body == b"ok"
        assert wire.at_end()


def test_an_answer_that_breaks_off_is_seen_to_break_off(serve):
    e, _ = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", then_close=True))
    with e.connect() as wire:
        wire.send(get())
        with pytest.raises((Closed, ConnectionResetError)):
            wire.read_response()


def test_a_chunked_answer_that_breaks_off_is_seen_to_break_off(serve):
    e, _ = serve(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", then_close=True))
    with e.connect() as wire:
        wire.send(get())
        with pytest.raises((Closed, ConnectionResetError)):
            wire.read_response()


# ---- dead connections ----
def test_a_request_that_meets_a_dead_kept_connection_is_sent_again(echo):
    e, p = echo
    for i in range(20):
        assert e.status(URL) == 200
        p.hang_up()
        if i % 2:
            time.sleep(0.02)
    assert e.status(URL) == 200


def one_answer_per_connection(seen):
    def handle(wire):
        seen.append(wire.read_request())
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if wire.fill():  # the next request is read, and never answered
            seen.append("unanswered")
    return handle


def test_a_kept_connection_that_dies_under_a_get_is_replaced(serve):
    seen = []
    e, _ = serve(one_answer_per_connection(seen))
    with e.connect() as wire:
        for _ in range(6):
            wire.send(get())
            assert wire.read_response().status == 200
    assert "unanswered" in seen


def test_a_post_is_not_sent_twice(serve):
    seen = []
    e, _ = serve(one_answer_per_connection(seen))
    with e.connect() as wire:
        wire.send(get())
        assert wire.read_response().status == 200
        wire.send(get(more="Content-Length: 4\r\n", method="POST") + "once")
        status = wire.read_response().status
        posts = sum(1 for r in seen if r not in (None, "unanswered") and r.method == "POST")
    assert (status, posts) in ((502, 0), (200, 1)), (status, seen)


# ---- what is not HTTP ----
@pytest.mark.parametrize("text", [
    f"GET  / HTTP/1.1\r\nHost: {HOST}\r\n\r\n", f"GET /  HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {HOST}:99999\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]:65536\r\n\r\n",
    f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{'0' * 16}1\r\na\r\n0\r\n\r\n",
    "\x00\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", f"GET / HTTP/1.1\r\nHost: {HOST}\r\nbad header\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: {HOST}\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: x\r\n\r\n",
    f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-A: b\r\n folded\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-A : b\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-A: b\x00c\r\n\r\n",
])
def test_what_is_malformed_is_400_and_the_connection_closed(echo, text):
    e, p = echo
    before = len(p.requests)
    with e.connect() as wire:
        wire.send(text)
        answer = wire.read_response()
        assert answer.status in (400, 505), answer
        assert wire.at_end()
    assert len(p.requests) == before


def test_what_is_never_forwarded_is_405_and_the_connection_closed(echo):
    e, _ = echo
    for start in (f"TRACE / HTTP/1.1", f"CONNECT {HOST}:443 HTTP/1.1"):
        with e.connect() as wire:
            wire.send(f"{start}\r\nHost: {HOST}\r\n\r\n" + get())
            answer = wire.read_response()
            assert (answer.status, answer.get("connection")) == (405, "close")
            assert wire.at_end()


def test_a_host_that_can_not_be_one_is_400(echo):
    e, _ = echo
    for host in ("a b", "a..b", "[::1", "a/b", ""):
        assert e.status(URL, host=host or " ") == 400, host


def test_a_chunk_size_that_is_no_number_reaches_nobody_as_a_body(echo):
    e, _ = echo
    with e.connect() as wire:
        wire.send(get(more="Transfer-Encoding: chunked\r\n", method="POST") + "zz\r\nhello\r\n0\r\n\r\n")
        assert wire.read_response().status == 400
        assert wire.at_end()


def test_a_head_that_is_too_large_is_431_and_a_target_414(echo):
    e, _ = echo
    with e.connect() as wire:
        wire.send(get(more="".join(f"X-{i}: {'x' * 1000}\r\n" for i in range(200))))
        assert wire.read_response().status == 431
    with e.connect() as wire:
        wire.send(get("/" + "x" * 100_000))
        assert wire.read_response().status == 414


def test_a_head_of_ordinary_size_is_accepted_however_it_is_cut(echo):
    e, _ = echo
    head = get("/" + "p" * 3000, "".join(f"X-{i}: {'x' * 100}\r\n" for i in range(30)))
    for size in (1, 1000, 4096):
        with e.connect() as wire:
            for i in range(0, len(head), size):
                wire.send(head[i:i + size])
            told = json.loads(wire.read_response().text)
            assert len([n for n, _ in told["headers"] if n.startswith(("X-", "x-")) and n[2:].isdigit()]) == 30


def test_a_pods_answer_in_pieces_of_one_byte_is_an_answer(serve):
    def handle(wire):
        while wire.read_request():
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello":
                wire.send(bytes([byte]))
    e, _ = serve(handle)
    with e.connect() as wire:
        for _ in range(3):
            wire.send(get())
            answer = wire.read_response()
            assert answer.body == b"hello" and answer.get("x-a") == "b"


def test_an_answer_that_could_be_read_two_ways_is_502(serve):
    e, _ = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello"))
    assert e.status(URL) == 502


# ---- websockets ----
@pytest.fixture
def socket_pod():
    """A real WebSocket server that sends every message back; `address`, `port`."""
    class Server:
        name, port = "web", 5678
    Server.address, listener = free_address(Server.port)
    loop = asyncio.new_event_loop()

    async def back(socket, path=None):
        async for message in socket:
            await socket.send(message)

    async def begin():
        return await websockets.serve(back, sock=listener, max_size=None)
    loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield Server
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_websocket_carries_messages_of_any_size(socket_pod, workers, authority, scheme):
    async def talk(e):
        tls = {"ssl": e.context(), "server_hostname": HOST} if scheme == "wss" else {}
        port = e.https_port if scheme == "wss" else e.http_port
        async with websockets.connect(f"{scheme}://{HOST}/chat", host="127.0.0.1", port=port, max_size=None,
                                      **tls) as socket:
            for message in ("hello", "x" * 3_000_000, b"\x00\xff" * 100, ""):
                await socket.send(message)
                assert await socket.recv() == message
            await asyncio.gather(*(socket.send(str(i)) for i in range(200)))
            assert [await socket.recv() for _ in range(200)] == [str(i) for i in range(200)]
    with Edge({"acme.yaml": web_tenant("acme", socket_pod)}, workers, authority, certificates=[(f"*.{ACME}",)]) as e:
        asyncio.run(talk(e))


def test_an_upgrade_that_the_pod_declines_is_an_ordinary_answer_and_the_last(echo):
    e, _ = echo
    with e.connect() as wire:
        wire.send(get(more="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"))
        answer = wire.read_response()
        assert (answer.status, answer.get("connection")) == (200, "close")
        assert wire.at_end()


def test_nothing_is_tunnelled_before_101_and_early_bytes_are_never_a_request(serve):
    e, p = serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"))
    for connect in both_schemes(e):
        before = p.accepted
        with connect() as wire:
            wire.send(get(more="Connection: Upgrade\r\nUpgrade: websocket\r\n") + get("/inside"))
            answer = wire.read_response()
            assert (answer.status, answer.body, answer.get("connection")) == (200, b"no", "close")
            assert wire.at_end()
        assert p.accepted - before <= 1


def test_an_upgraded_connection_ends_as_its_ends_do(serve):
    def handle(wire):
        wire.read_request()
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        data = wire.rest()
        wire.send(b"got " + data)
    e, _ = serve(handle)
    with e.connect() as wire:
        wire.send(get(more="Connection: Upgrade\r\nUpgrade: echo\r\n"))
        assert wire.read_response().status == 101
        wire.send("something")
        wire.finish_writing()
        assert wire.rest() == b"got something"


# ---- many at once ----
def test_many_clients_at_once_each_get_their_own_answer(echo):
    e, _ = echo
    wrong = []

    def client(number):
        for i in range(10):
            told = e.echo(f"{URL}{number}/{i}", method="POST", body=str(number).encode() * 1000)
            if told["target"] != f"/{number}/{i}" or told["length"] != 1000 * len(str(number)):
                wrong.append(told)
    threads = [threading.Thread(target=client, args=(n,)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_requests_and_bytes_are_charged_to_the_tenant(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        for _ in range(7):
            e.status(URL)
        eventually(lambda: e.tenant("acme")["requests"] == 7)
        with e.connect() as wire:
            wire.send(get())
            wire.read_response()
            eventually(lambda: e.tenant("acme")["connections"] == 1)
        eventually(lambda: e.tenant("acme")["connections"] == 0)


def test_plain_http_of_a_host_with_redirect_off_and_tls_both_serve(workers, authority):
    with EchoPod("web") as p:
        acme = tenant("acme", pod(p), service("web"), ingress(rule(HOST, "web"), tls=[HOST], ssl_redirect="false"))
        with Edge({"acme.yaml": acme}, workers, authority, certificates=[(f"*.{ACME}",)]) as e:
            assert e.status(URL) == 200
            assert e.status(f"https://{HOST}/") == 200
