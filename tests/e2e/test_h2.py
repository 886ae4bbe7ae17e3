# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/2 from clients: real ones, frames by hand, what is refused, windows, and floods that cost their sender nothing."""
import base64
import contextlib
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading

import pytest

import h2
from edge import PATIENCE, Edge, eventually
from h2 import (CALM, CONTINUATION, DATA, END_HEADERS, END_STREAM, H2, HEADERS, INTERNAL_ERROR, NO_ERROR, PING, PRIORITY,
                PROTOCOL_ERROR, PUSH, SETTINGS, WINDOW, block, frame)
from objects import ACME, GLOBEX, web_tenant
from pod import EchoPod, Pod, answering

HOST, OTHER = f"web.{ACME}", f"web.{GLOBEX}"
URL = f"https://{HOST}/"
MIB = 1 << 20


@pytest.fixture(scope="module")
def echo(workers, authority):
    """(edge, pod): every request is answered with what it was; two tenants."""
    with EchoPod("web") as p, EchoPod("other") as q:
        drop = {"acme.yaml": web_tenant("acme", p), "globex.yaml": web_tenant("globex", q)}
        with Edge(drop, workers, authority, certificates=[(f"*.{ACME}",), (f"*.{GLOBEX}",)]) as e:
            yield e, p


@pytest.fixture
def serve(authority):
    """serve(handle) -> (edge, pod) of a pod with that behaviour."""
    with contextlib.ExitStack() as stack:
        def start(handle, **sections):
            p = stack.enter_context(Pod(handle, "web"))
            e = stack.enter_context(Edge({"acme.yaml": web_tenant("acme", p)}, 1, authority,
                                         certificates=[(f"*.{ACME}",)], **sections))
            return e, p
        yield start


@contextlib.contextmanager
def secure(e, host=HOST, **options):
    context = e.context()
    context.set_alpn_protocols(["h2"])
    with e.connect_tls(host, context) as wire:
        assert wire.sock.selected_alpn_protocol() == "h2"
        yield H2(wire, host, **options)


@contextlib.contextmanager
def plain(e, host=HOST, **options):
    with e.connect() as wire:
        yield H2(wire, host, **options)


BOTH = pytest.mark.parametrize("way", [secure, plain], ids=["TLS", "prior knowledge"])


def told(answer):
    assert answer.status == "200", (answer.status, answer.reset, answer.body)
    return json.loads(answer.body)


def field(request, name):
    return [v for n, v in request["headers"] if n.lower() == name]


# ---- real clients ----
@pytest.mark.parametrize("words", [["--http2", URL], ["--http2-prior-knowledge", f"http://{HOST}/"]], ids=["TLS", "h2c"])
def test_curl_speaks_http2(echo, words):
    done = echo[0].curl("-w", "%{stderr}%{http_version}", *words)
    assert done.stderr == "2" and json.loads(done.stdout)["target"] == "/"


def test_curl_that_offers_both_gets_http2_and_one_that_does_not_gets_what_it_speaks(echo):
    for word, version in (("--http2", "2"), ("--http1.1", "1.1")):
        assert echo[0].curl("-w", "%{stderr}%{http_version}", word, URL).stderr == version


def test_upgrade_to_h2c_is_not_taken(echo):
    done = echo[0].curl("-w", "%{stderr}%{http_version}", "--http2", f"http://{HOST}/")
    assert done.stderr == "1.1"


@pytest.mark.parametrize("size", [0, 1, 65_535, 3 * MIB])
def test_curl_uploads_and_downloads_any_size(serve, tmp_path, size):
    def handle(wire):
        while request := wire.read_request():
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body) + request.body)
    e, _ = serve(handle)
    (tmp_path / "up").write_bytes(os.urandom(size))
    for extra in ([], ["-H", "Content-Length:"]):
        done = e.curl("--http2", "--data-binary", f"@{tmp_path}/up", "-o", tmp_path / "down", *extra, URL)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "down").read_bytes() == (tmp_path / "up").read_bytes()


def test_h2load_is_answered_every_time(echo):
    e, _ = echo
    done = subprocess.run(["h2load", "-n", "3000", "-c", "10", "-m", "32", "-t", "1",
                           f"--connect-to=127.0.0.1:{e.https_port}", URL], capture_output=True, text=True, timeout=120)
    assert "3000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout + done.stderr


def test_nghttp_with_its_priorities_and_padding_is_answered(echo):
    e, _ = echo
    done = subprocess.run(["nghttp", "-y", "-m", "20", "-b", "100", "--no-verify-peer", "-H", f":authority: {HOST}",
                           f"https://127.0.0.1:{e.https_port}/n"], capture_output=True, text=True, timeout=60)
    # nghttp's SNI is an address, for which no tenant has a certificate
    assert done.returncode == 0
    done = subprocess.run(["nghttp", "-y", "-m", "20", "-b", "100", f"http://127.0.0.1:{e.http_port}/n", "-H",
                           f":authority: {HOST}"], capture_output=True, text=True, timeout=60)
    assert done.stdout.count('"target": "/n"') == 20, done.stdout + done.stderr


# ---- one request ----
@BOTH
def test_a_request_reaches_the_pod_as_http1(echo, way):
    e, _ = echo
    with way(e) as c:
        c.request(1, ("x-a", "b"), path="/a/../%62?q")
        request = told(c.answer(1))
    assert (request["method"], request["target"]) == ("GET", "/b?q")
    assert field(request, "host") == [HOST] and field(request, "x-a") == ["b"]
    assert field(request, "x-forwarded-proto") == ["https" if way is secure else "http"]
    assert not field(request, "connection") and not field(request, "transfer-encoding")


@BOTH
def test_streams_are_answered_each_on_its_own(echo, way):
    e, _ = echo
    with way(e) as c:
        for i in range(60):
            c.request(1 + 2 * i, path=f"/{i}")
        for i in reversed(range(60)):
            assert told(c.answer(1 + 2 * i))["target"] == f"/{i}"


def test_a_slow_answer_does_not_hold_up_the_others(serve):
    go = threading.Event()

    def handle(wire):
        while request := wire.read_request():
            if request.target == "/slow":
                go.wait(PATIENCE)
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
    e, _ = serve(handle)
    with secure(e) as c:
        c.request(1, path="/slow")
        c.request(3, path="/fast")
        assert c.answer(3).status == "200" and not c.of(1).ended
        go.set()
        assert c.answer(1).status == "200"


def test_cookie_crumbs_become_one_field(echo):
    with plain(echo[0]) as c:
        c.request(1, ("cookie", "a=1"), ("x-between", "y"), ("cookie", "b=2"), ("cookie", "c=3"))
        request = told(c.answer(1))
    assert field(request, "cookie") == ["a=1; b=2; c=3"] and field(request, "x-between") == ["y"]


def test_host_stands_in_for_an_authority_and_must_agree_with_one(echo):
    with plain(echo[0]) as c:
        c.headers(1, (":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", HOST))
        assert field(told(c.answer(1)), "host") == [HOST]
        c.request(3, ("host", HOST))
        assert field(told(c.answer(3)), "host") == [HOST]
        c.request(5, ("host", OTHER))
        assert c.answer(5).status == "400"


@BOTH
def test_body_with_and_without_a_length(echo, way):
    with way(echo[0]) as c:
        c.request(1, ("content-length", "5"), method="POST", end=False)
        c.data(1, b"12")
        c.data(1, b"345", end=True)
        request = told(c.answer(1))
        assert request["body"] == "12345" and field(request, "content-length") == ["5"]
        c.request(3, method="POST", end=False)
        c.data(3, b"123")
        c.data(3, end=True)
        request = told(c.answer(3))
        assert request["body"] == "123" and field(request, "transfer-encoding") == ["chunked"]


def test_trailers_of_a_request_follow_its_chunks(echo):
    with plain(echo[0]) as c:
        c.request(1, method="POST", end=False)
        c.data(1, b"x")
        c.headers(1, ("x-sum", "9"), ("authorization", "no"))
        request = told(c.answer(1))
    assert request["body"] == "x" and request["trailers"] == [["x-sum", "9"]]


def test_trailers_and_interim_answers_of_a_pod(serve):
    def handle(wire):
        while wire.read_request():
            wire.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "3\r\nabc\r\n0\r\nGrpc-Status: 0\r\n\r\n")
    e, _ = serve(handle)
    with secure(e) as c:
        c.request(1)
        answer = c.answer(1)
    assert [dict(h).get(":status") for h in answer.heads] == ["103", "200", None]
    assert answer.body == b"abc" and answer.trailers == {"grpc-status": "0"}
    assert "transfer-encoding" not in answer.fields and "connection" not in answer.fields


def test_head_and_204_end_with_their_head(echo):
    with secure(echo[0]) as c:
        c.request(1, method="HEAD")
        c.request(3, ("x-status", "204"))
        for stream, status in ((1, "200"), (3, "204")):
            assert c.answer(stream).status == status and not c.of(stream).body
            assert [k for k, _, _ in c.of(stream).frames] == [HEADERS]


def test_server_sent_events_come_as_they_are_made(serve):
    more = threading.Event()

    def handle(wire):
        wire.read_request()
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        more.wait(PATIENCE)
        wire.send("data: 2\n\n")
    e, _ = serve(handle)
    with secure(e) as c:
        c.request(1)
        assert c.until(lambda: c.of(1).body == b"data: 1\n\n")
        more.set()
        assert c.answer(1).body == b"data: 1\n\ndata: 2\n\n"


# ---- whose request ----
def test_a_connection_speaks_for_its_own_tenant_only(echo):
    with secure(echo[0]) as c:
        c.request(1, authority=OTHER)
        assert c.answer(1).status == "421"
        c.request(3, authority=f"another.{ACME}")
        assert c.answer(3).status == "404"
        c.request(5)
        assert told(c.answer(5))["pod"] == "web"


def test_without_tls_each_stream_goes_to_its_own_tenant_and_is_counted_there(echo):
    e, _ = echo
    before = {t["tenant"]: t["requests"] for t in e.get("tenants")}
    with plain(e) as c:
        for stream, host, name in ((1, HOST, "web"), (3, OTHER, "other"), (5, HOST, "web")):
            c.request(stream, authority=host)
            assert told(c.answer(stream))["pod"] == name

    def counted():
        return {t["tenant"]: t["requests"] - before[t["tenant"]] for t in e.get("tenants")} == {"acme": 2, "globex": 1}
    eventually(counted)


# ---- what is refused ----
PSEUDO = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/")]
REFUSED = {
    "upper case": [*PSEUDO, ("X-A", "b")],
    "connection": [*PSEUDO, ("connection", "close")],
    "keep-alive": [*PSEUDO, ("keep-alive", "5")],
    "proxy-connection": [*PSEUDO, ("proxy-connection", "x")],
    "transfer-encoding": [*PSEUDO, ("transfer-encoding", "chunked")],
    "upgrade": [*PSEUDO, ("upgrade", "websocket")],
    "te": [*PSEUDO, ("te", "gzip")],
    "CR in a value": [*PSEUDO, ("x", "a\rb")],
    "LF in a value": [*PSEUDO, ("x", "a\nHost: evil")],
    "NUL in a value": [*PSEUDO, ("x", "a\0b")],
    "DEL in a value": [*PSEUDO, ("x", "a\x7fb")],
    "space before a value": [*PSEUDO, ("x", " a")],
    "tab behind a value": [*PSEUDO, ("x", "a\t")],
    "CR LF in a name": [*PSEUDO, ("x\r\ny", "a")],
    "colon in a name": [*PSEUDO, ("x:y", "a")],
    "space in a name": [*PSEUDO, ("x y", "a")],
    "an empty name": [*PSEUDO, ("", "a")],
    "a disguised length": [*PSEUDO, ("content_length", "4")],
    "a disguised coding": [*PSEUDO, ("transfer_encoding", "chunked")],
    "two lengths": [*PSEUDO, ("content-length", "0"), ("content-length", "0")],
    "a length that is none": [*PSEUDO, ("content-length", "0x0")],
    "a negative length": [*PSEUDO, ("content-length", "-1")],
    "a length without a body": [*PSEUDO, ("content-length", "1")],
    "no method": PSEUDO[1:], "no scheme": [PSEUDO[0], *PSEUDO[2:]], "no path": PSEUDO[:3],
    "no authority": [PSEUDO[0], PSEUDO[1], PSEUDO[3]],
    "an empty authority": [*PSEUDO[:2], (":authority", ""), PSEUDO[3]],
    "two hosts": [*PSEUDO, ("host", HOST), ("host", HOST)],
    "userinfo": [*PSEUDO[:2], (":authority", f"a@{HOST}"), PSEUDO[3]],
    "an authority that is none": [*PSEUDO[:2], (":authority", f"{HOST}:99999"), PSEUDO[3]],
    "two methods": [PSEUDO[0], *PSEUDO], "two paths": [*PSEUDO, (":path", "/b")],
    "pseudo behind a field": [*PSEUDO[:3], ("x", "a"), PSEUDO[3]],
    "an unknown pseudo": [*PSEUDO, (":x", "a")],
    "a status": [*PSEUDO, (":status", "200")],
    "a path that is none": [*PSEUDO[:3], (":path", "x")],
    "an absolute path": [*PSEUDO[:3], (":path", "http://x/")],
    "an empty path": [*PSEUDO[:3], (":path", "")],
    "a space in the path": [*PSEUDO[:3], (":path", "/ HTTP/1.1")],
    "a CR LF in the path": [*PSEUDO[:3], (":path", "/ HTTP/1.1\r\nX: y")],
    "above the root": [*PSEUDO[:3], (":path", "/../a")],
    "a fragment": [*PSEUDO[:3], (":path", "/#a")],
    "a star that is no OPTIONS": [*PSEUDO[:3], (":path", "*")],
    "a CR LF in the method": [(":method", "GET / HTTP/1.1\r\nX: y"), *PSEUDO[1:]],
    "an unknown method": [(":method", "FETCH"), *PSEUDO[1:]],
    "PRI": [(":method", "PRI"), *PSEUDO[1:]],
    "a method of RTSP": [(":method", "PLAY"), *PSEUDO[1:]], "a method of ICE": [(":method", "SOURCE"), *PSEUDO[1:]],
    "CONNECT": [(":method", "CONNECT"), (":authority", HOST)],
    "TRACE": [(":method", "TRACE"), *PSEUDO[1:]],
    "an unknown scheme": [PSEUDO[0], (":scheme", "ftp"), *PSEUDO[2:]],
    "a path of 9 KiB": [*PSEUDO[:3], (":path", "/" + "a" * 9000)],
    "another protocol": [(":method", "CONNECT"), (":protocol", "h2c"), *PSEUDO[1:]],
    "a protocol of GET": [*PSEUDO, (":protocol", "websocket")],
    "many fields": [*PSEUDO, *[(f"x{i}", "a") for i in range(101)]],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_malformed_reaches_no_pod_and_costs_its_stream_only(echo, name):
    e, p = echo
    seen = len(p.requests)
    with secure(e) as c:
        c.headers(1, *REFUSED[name])
        answer = c.answer(1)
        assert answer.reset or int(answer.status) >= 400, name
        assert c.goaway is None
        c.request(3, path="/after")
        assert told(c.answer(3))["target"] == "/after"
    assert [r.target for r in p.requests[seen:]] == ["/after"]


@pytest.mark.parametrize("pieces", [[b"12"], [b"1234", b"56"]], ids=["short", "long"])
def test_a_body_that_is_not_of_its_length_never_becomes_a_whole_request(serve, pieces):
    whole = []

    def handle(wire):
        while request := wire.read_request():
            whole.append(request)
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    e, _ = serve(handle)
    with secure(e) as c:
        c.request(1, ("content-length", "5"), method="POST", end=False)
        for piece in pieces:
            c.data(1, piece, end=piece == pieces[-1])
        assert c.answer(1).reset == PROTOCOL_ERROR
        c.request(3)
        assert c.answer(3).status == "200"
    assert [r.method for r in whole] == ["GET"]


def test_a_pod_that_breaks_off_resets_its_stream_only(serve):
    def handle(wire):
        while request := wire.read_request():
            if request.target == "/half":
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
                return
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
    e, _ = serve(handle)
    with secure(e) as c:
        c.request(1, path="/half")
        assert c.answer(1).reset == INTERNAL_ERROR and not c.of(1).ended
        c.request(3)
        assert c.answer(3).body == b"x"


def test_a_refused_pod_is_502_and_a_second_request_is_answered(serve):
    e, p = serve(answering("not http\r\n\r\n"))
    with secure(e) as c:
        c.request(1)
        assert c.answer(1).status == "502"
        c.request(3)
        assert c.answer(3).status == "502"


BROKEN = {
    "a lower stream": lambda c: (c.request(5), c.request(3)),
    "an even stream": lambda c: c.request(2),
    "headers on stream 0": lambda c: c.send(frame(HEADERS, END_HEADERS, 0, block(*PSEUDO))),
    "data on stream 0": lambda c: c.send(frame(DATA, 0, 0, b"x")),
    "data on an idle stream": lambda c: c.send(frame(DATA, 0, 9, b"x")),
    "continuation alone": lambda c: c.send(frame(CONTINUATION, END_HEADERS, 1, b"")),
    "ping in a block": lambda c: (c.send(frame(HEADERS, 0, 1, block(*PSEUDO))), c.send(frame(PING, 0, 0, b"12345678"))),
    "push from a client": lambda c: c.send(frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + block(*PSEUDO))),
    "settings of 5 bytes": lambda c: c.send(frame(SETTINGS, 0, 0, b"12345")),
    "ping of 7 bytes": lambda c: c.send(frame(PING, 0, 0, b"1234567")),
    "a frame of 16 KiB and one": lambda c: c.send(frame(DATA, 0, 1, bytes(16385))),
    "a window that overflows": lambda c: (c.window(0, 0x7fffffff), c.window(0, 0x7fffffff)),
    "an index of 0": lambda c: c.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x80")),
    "an index that is none": lambda c: c.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\x7f")),
    "a window of the header table too large": lambda c: c.send(frame(HEADERS, 5, 1, b"\x3f\xe1\xff\x7f" + block(*PSEUDO))),
    "padding of more than there is": lambda c: c.send(frame(HEADERS, END_HEADERS | 8, 1, b"\xff" + block(*PSEUDO))),
}


@BOTH
@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_protocol_ends_the_connection(echo, way, name):
    with way(echo[0]) as c:
        BROKEN[name](c)
        assert c.ended() not in (None, NO_ERROR), name


def test_a_preface_that_is_none_is_no_request(echo):
    e, p = echo
    seen = len(p.requests)
    for text in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI / HTTP/2.0\r\n\r\n"):
        with e.connect() as wire:
            wire.send(text)
            assert wire.read_response().status in (400, 505) and wire.at_end()
    assert len(p.requests) == seen


def test_a_request_that_begins_like_the_preface_is_answered(echo):
    with echo[0].connect() as wire:
        for piece in (b"P", b"R", b"OPFIND / HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n"):
            wire.send(piece)
        assert json.loads(wire.read_response().text)["method"] == "PROPFIND"


def test_the_preface_byte_by_byte(echo):
    with echo[0].connect() as wire:
        c = H2(wire, HOST, step=1)
        c.request(1)
        assert told(c.answer(1))["target"] == "/"


# ---- floods ----
def flood(c, send, most=200_000):
    """Sends until the other side ends it; the GOAWAY's error. Not over TLS: Python's can't read and write at once."""
    stop = threading.Event()

    def run():
        with contextlib.suppress(OSError, ValueError):
            for i in range(most):
                if stop.is_set():
                    return
                send(i)
    thread = threading.Thread(target=run)
    thread.start()
    error = c.ended()
    stop.set()
    c.wire.sock.close()
    thread.join()
    return error


FLOODS = {
    "rapid reset": lambda c, i: (c.request(1 + 2 * i), c.reset(1 + 2 * i)),
    "resets it makes us send": lambda c, i: (c.request(1 + 2 * i, ("content-length", "1"), method="POST", end=False),
                                            c.data(1 + 2 * i, b"xx")),
    "ping": lambda c, i: c.send(frame(PING, 0, 0, b"12345678") * 50),
    "settings": lambda c, i: c.send(frame(SETTINGS, 0, 0) * 50),
    "settings of one value": lambda c, i: c.send(h2.settings(window=100 + i % 2) * 50),
    "priority": lambda c, i: c.send(frame(PRIORITY, 0, 1 + 2 * i, struct.pack(">IB", 0, 1)) * 50),
    "unknown frames": lambda c, i: c.send(frame(0xbb, 0, 0, b"x") * 50),
    "windows of one byte": lambda c, i: c.send(frame(WINDOW, 0, 0, struct.pack(">I", 1)) * 50),
}


@pytest.mark.parametrize("name", FLOODS)
def test_work_that_costs_its_sender_nothing_ends_in_calm(echo, name):
    e, _ = echo
    with plain(e, auto=False) as c:
        assert flood(c, lambda i: FLOODS[name](c, i)) == CALM
    with secure(e) as c:
        c.request(1)
        assert told(c.answer(1))


def test_empty_data_ends_in_calm(serve):
    e, _ = serve(lambda wire: wire.read_request())
    with plain(e, auto=False) as c:
        c.request(1, method="POST", end=False)
        assert flood(c, lambda i: c.send(frame(DATA, 0, 1) * 50)) == CALM


@pytest.mark.parametrize("size", [0, 1, 16000])
def test_continuation_without_end_ends_in_calm(echo, size):
    with plain(echo[0], auto=False) as c:
        c.send(frame(HEADERS, END_STREAM, 1, block(*PSEUDO)))
        junk = frame(CONTINUATION, 0, 1, block(("x", "a" * size))[:size])
        assert flood(c, lambda i: c.send(junk)) == CALM


def test_a_header_bomb_is_too_large_and_cheap(echo):
    """One entry of 3,000 bytes in the table, then references of a byte each: ten of them are too much for a head, 20,000 would be 60 MB, if
    anybody kept them, and are read no further."""
    entry = b"\x40" + h2.text("x-bomb") + h2.text("a" * 3000)
    with secure(echo[0]) as c:
        c.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block(*PSEUDO) + entry + b"\xbe" * 12))
        answer = c.answer(1)
        assert answer.status == "431" or answer.reset
    with plain(echo[0], auto=False) as c:
        def bomb(i):
            c.send(frame(HEADERS, END_STREAM, 1 + 2 * i, block(*PSEUDO) + entry + b"\xbe" * 10_000))
            c.send(frame(CONTINUATION, END_HEADERS, 1 + 2 * i, b"\xbe" * 10_000))
        assert flood(c, bomb, 3) == CALM


def test_more_streams_than_allowed_are_refused(serve):
    go = threading.Event()

    def handle(wire):
        while wire.read_request():
            go.wait(PATIENCE)
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    e, _ = serve(handle)
    with secure(e) as c:
        assert c.until(lambda: c.settings.get(3) == 100)
        for i in range(105):
            c.request(1 + 2 * i)
        assert c.until(lambda: sum(c.of(1 + 2 * i).reset is not None for i in range(105)) == 5 or c.goaway is not None)
        go.set()
        if c.goaway is None:
            assert all(c.answer(1 + 2 * i).status == "200" for i in range(100))


# ---- windows ----
def test_a_client_that_gives_no_window_holds_the_pod_not_our_memory(serve):
    sent = [0]

    def handle(wire):
        wire.read_request()
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(4096):
                wire.send(bytes(65536))
                sent[0] += 65536
    e, _ = serve(handle)
    with secure(e, auto=False, window=65535) as c:
        c.request(1)
        assert c.until(lambda: len(c.of(1).body) == 65535)
        c.send(frame(PING, 0, 0, b"stillup?"))
        assert c.until(lambda: c.pings)
        held = sent[0]
        assert held < 64 * MIB and len(c.of(1).body) == 65535
        for _ in range(100):
            c.window(0, 65536), c.window(1, 65536)
        assert c.until(lambda: len(c.of(1).body) == 65535 + 100 * 65536)


def test_a_pod_that_does_not_read_closes_the_clients_window(serve):
    go = threading.Event()

    def handle(wire):
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.read_head()
        go.wait(PATIENCE)
        total = 0
        while total < 16 * MIB:
            total += len(wire.buffer) or len(wire.sock.recv(262144))
            wire.buffer = b""
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    e, _ = serve(handle)
    with secure(e) as c:
        assert c.until(lambda: c.settings.get(4))
        c.request(1, ("content-length", str(16 * MIB)), method="POST", end=False)
        sent, stuck = 0, False
        while sent < 16 * MIB:
            n = min(16384, c.room(1, sent), 16 * MIB - sent)
            if n > 0:
                c.data(1, bytes(n), end=sent + n == 16 * MIB)
                sent += n
                continue
            c.send(frame(PING, 0, 0, b"anymore?"))
            seen = len(c.pings)
            c.until(lambda: len(c.pings) > seen)
            if c.room(1, sent) == 0 and not go.is_set():
                stuck = True
                assert sent < 15 * MIB
                go.set()
        assert stuck and c.answer(1).body == b"ok"


# ---- WebSocket ----
def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def socket_pod(proof=accept_of, first=b""):
    def handle(wire):
        request = wire.read_request()
        assert request.get("upgrade") == "websocket" and request.get("connection") == "upgrade" and request.method == "GET"
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  f"Sec-WebSocket-Accept: {proof(request.get('sec-websocket-key'))}\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
        wire.send(first)
        while data := wire.buffer or wire.sock.recv(65536):
            wire.buffer = b""
            wire.send(data.swapcase())
        wire.finish_writing()
    return handle


def handshake(c, stream=1):
    c.headers(stream, (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", HOST),
              (":path", "/chat"), ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat"), flags=END_HEADERS)


def test_a_websocket_is_a_stream_like_any_other(serve):
    e, _ = serve(socket_pod(first=b"hello"))
    with secure(e) as c:
        assert c.until(lambda: c.settings.get(8) == 1)
        handshake(c)
        assert c.until(lambda: c.of(1).body == b"hello")
        assert c.of(1).status == "200" and c.of(1).fields["sec-websocket-protocol"] == "chat"
        assert not {"upgrade", "connection", "sec-websocket-accept"} & set(c.of(1).fields)
        c.data(1, b"Ping")
        assert c.until(lambda: c.of(1).body == b"hellopING")
        c.data(1, b"X" * 16000)
        assert c.until(lambda: len(c.of(1).body) == 9 + 16000)
        c.data(1, end=True)
        assert c.answer(1).ended and c.of(1).reset is None


def test_what_a_websocket_said_last_is_read_after_both_ends_have_ended(serve):
    """More than the stream may queue, said to a client that gives no window; the relay is over before it has been read."""
    said, done = bytes(1000) * 300, threading.Event()

    def handle(wire):
        request = wire.read_request()
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  f"Sec-WebSocket-Accept: {accept_of(request.get('sec-websocket-key'))}\r\n\r\n")
        with contextlib.suppress(OSError):
            wire.sock.settimeout(2)
            wire.send(said)
        wire.finish_writing()
        done.set()
    e, _ = serve(handle)
    for _ in range(3):
        done.clear()
        with secure(e, auto=False, window=0) as c:
            handshake(c)
            assert c.until(lambda: c.of(1).status == "200")
            c.data(1, end=True)
            assert done.wait(PATIENCE)
            for _ in range(40):
                c.window(0, 16384), c.window(1, 16384)
            c.until(lambda: c.of(1).ended or c.of(1).reset is not None)
            assert said.startswith(c.of(1).body)
    assert e.is_up()


def test_a_websockets_line_is_written_at_its_end_with_what_passed(serve):
    e, p = serve(socket_pod(first=b"hello"), log={"access": "json", "access_path": "access.log"})

    def lines():
        return [json.loads(x) for x in (e.folder / "access.log").read_text().split("\n")[:-1]]
    with secure(e) as c:
        for stream, ending in ((1, lambda: c.data(1, end=True)), (3, lambda: c.reset(3))):
            handshake(c, stream)
            assert c.until(lambda: c.of(stream).body == b"hello")
            c.data(stream, b"X" * 5000)
            assert c.until(lambda: len(c.of(stream).body) == 5005)
            assert len(lines()) == stream // 2
            ending()
            told = eventually(lambda: lines()[stream // 2:])[0]
            assert (told["protocol"], told["status"], told["tls"], told["sni"]) == ("HTTP/2", 101, "TLSv1.3", HOST)
            assert (told["tenant"], told["service"], told["pod"]) == ("acme", "web", f"{p.address}:{p.port}")
            assert told["error"] == (None if stream == 1 else "client_gone")
            assert told["request_id"] and told["client"] == "127.0.0.1" and told["path"] == "/chat"
            assert 5000 < told["bytes_in"] < 5500 and 5005 < told["bytes_out"] < 5500
            assert told["routed_us"] <= told["first_byte_us"] <= told["total_us"]


def test_a_body_without_a_length_is_413_when_it_grows_over_the_limit(workers, authority):
    with EchoPod("web") as p, Edge({"acme.yaml": web_tenant("acme", p, limits={"requestSize": "1Ki"})}, workers, authority,
                                   certificates=[(f"*.{ACME}",)]) as e:
        for size, status in ((1024, "200"), (1025, "413"), (5000, "413")):
            with secure(e) as c:
                c.headers(1, (":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/"), flags=END_HEADERS)
                c.data(1, bytes(size // 2))
                c.data(1, bytes(size - size // 2), end=True)
                assert c.answer(1).status == status
        assert [len(r.body) for r in p.requests if len(r.body)] == [1024]


def test_what_a_client_says_before_the_websocket_is_up_is_not_lost(serve):
    e, _ = serve(socket_pod())
    with secure(e) as c:
        handshake(c)
        c.data(1, b"Early")
        assert c.until(lambda: c.of(1).body == b"eARLY")


def test_a_websocket_needs_the_proof_of_its_key(serve):
    e, _ = serve(socket_pod(proof=lambda key: accept_of("another")))
    with secure(e) as c:
        handshake(c)
        assert c.answer(1).status == "502"


def test_a_declined_websocket_is_an_answer(serve):
    e, p = serve(answering("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"))
    with secure(e) as c:
        handshake(c)
        c.data(1, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert c.answer(1).status == "403" and c.of(1).body == b"no"


@pytest.mark.parametrize("what", ["its tenant", "the pod's network"])
def test_a_websocket_ends_with_what_it_stands_on(serve, what):
    e, p = serve(socket_pod(first=b"x"))
    with secure(e) as c:
        handshake(c)
        assert c.until(lambda: c.of(1).body == b"x")
        e.drop("acme.yaml", web_tenant("acme", p, limits={"requestsPerSecond": 1000}))
        c.data(1, b"Ping")
        assert c.until(lambda: c.of(1).body == b"xpING")  # nothing of it was taken back
        if what == "its tenant":
            e.remove("acme.yaml")
        else:
            e.drop("acme.yaml", web_tenant("acme", p, network={"allow": ["10.0.0.0/8"]}))
        assert c.until(lambda: c.of(1).reset is not None)
        assert not c.closed


def test_a_websocket_that_is_reset_ends_at_the_pod(serve):
    ended = threading.Event()

    def handle(wire):
        try:
            socket_pod(first=b"x")(wire)
        finally:
            ended.set()
    e, _ = serve(handle)
    with secure(e) as c:
        handshake(c)
        assert c.until(lambda: c.of(1).body == b"x")
        c.reset(1)
        assert ended.wait(PATIENCE)


# ---- the end ----
def test_an_idle_connection_is_told_to_go(serve):
    e, _ = serve(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), timeouts={"keepalive": "1s", "header": "1s"})
    with secure(e) as c:
        assert c.ended() == NO_ERROR
    with secure(e) as c:
        c.request(1)
        assert c.answer(1).status == "200"
        assert c.ended() == NO_ERROR


def test_half_a_header_block_is_not_waited_for(serve):
    e, _ = serve(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), timeouts={"header": "1s"})
    with secure(e, auto=False) as c:
        c.send(frame(HEADERS, END_STREAM, 1, block(*PSEUDO)))
        assert c.ended() == NO_ERROR


def test_a_slow_body_is_408_and_a_slow_pod_504(serve):
    def handle(wire):
        if wire.read_request():
            threading.Event().wait(3)
    e, _ = serve(handle, timeouts={"body_idle": "1s", "response": "1s"})
    with secure(e) as c:
        c.request(1, ("content-length", "5"), method="POST", end=False)
        c.request(3)
        assert c.answer(1).status == "408"
        assert c.answer(3).status == "504"


def test_a_drain_says_goaway_and_finishes_what_runs(serve):
    go, asked = threading.Event(), threading.Event()

    def handle(wire):
        while wire.read_request():
            asked.set()
            go.wait(PATIENCE)
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    e, _ = serve(handle)
    with secure(e) as c:
        c.request(1)
        assert asked.wait(PATIENCE)
        e.process.terminate()
        assert c.until(lambda: c.goaway == NO_ERROR)
        go.set()
        assert c.until(lambda: c.of(1).ended) and c.of(1).body == b"ok"
        assert c.ended() == NO_ERROR
    e.wait_end()


def test_a_client_that_leaves_takes_its_streams_with_it(serve):
    closed = threading.Semaphore(0)

    def handle(wire):
        wire.read_request()
        with contextlib.suppress(OSError):
            wire.sock.recv(1)
        closed.release()
    e, _ = serve(handle)
    with secure(e) as c:
        for i in range(5):
            c.request(1 + 2 * i)
        c.send(frame(PING, 0, 0, b"12345678"))
        assert c.until(lambda: c.pings)
    for _ in range(5):
        assert closed.acquire(timeout=PATIENCE)


def test_the_access_log_tells_of_each_stream(authority):
    with EchoPod("web") as p, EchoPod("other") as q:
        drop = {"acme.yaml": web_tenant("acme", p), "globex.yaml": web_tenant("globex", q)}
        with Edge(drop, 1, authority, certificates=[(f"*.{ACME}",)],
                  log={"access": "json", "access_path": "access.log"}) as e:
            with plain(e) as c:
                c.request(1, ("content-length", "5"), method="POST", path="/a?b", end=False)
                c.data(1, b"hello", end=True)
                assert c.answer(1).status == "200"
                c.request(3, authority=OTHER)
                assert c.answer(3).status == "200"
                c.request(5, path="/../")
                assert c.answer(5).status == "400"

            def lines():
                found = [json.loads(x) for x in (e.folder / "access.log").read_text().split("\n")[:-1]]
                return found if len(found) == 3 else None
            first, second, third = eventually(lines)
    assert (first["protocol"], first["method"], first["path"], first["tenant"]) == ("HTTP/2", "POST", "/a", "acme")
    assert first["bytes_in"] > 5 and first["bytes_out"] > 50 and first["status"] == 200
    assert second["tenant"] == "globex" and second["pod"] and third["status"] == 400
