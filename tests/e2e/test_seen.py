# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen afterwards: lines of the access log, metrics, health."""
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
import websockets

from edge import PATIENCE, ROOT, Edge, eventually
from objects import ACME, ingress, node_port, plain_ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod, Pod, TcpEchoPod, answering

WEB = f"web.{ACME}"
PAGE = (ROOT / "docs/operator.md").read_text()


class Seen(Edge):
    """An edge with an access log in a file of its own."""

    def __init__(self, conf_d=None, workers=1, log=None, **options):
        super().__init__(conf_d, workers, log={"access": "json", "access_path": "access.log", **(log or {})}, **options)
        self.access = self.folder / "access.log"

    def lines(self, path=None):
        """Every line, each of which must be JSON with every field; the last may be on its way."""
        whole = (path or self.access).read_text().split("\n")[:-1]
        return [json.loads(line) for line in whole]

    def line(self, **wanted):
        """The one line that says this, once it is there."""
        def find():
            return [x for x in self.lines() if all(x[k] == v for k, v in wanted.items())]
        found = eventually(find)
        assert len(found) == 1, found
        return found[0]

    def page(self, target, method="GET"):
        with self.connect(self.admin_port) as wire:
            wire.send(f"{method} {target} HTTP/1.1\r\nHost: admin\r\n\r\n")
            return wire.read_response(method)

    def metrics(self):
        return self.page("/metrics").text

    def metric(self, name, **labels):
        """The value of one series; None: it is not there."""
        inside = ",".join(f'{k}="{v}"' for k, v in labels.items())
        found = re.search(rf"^{name}{re.escape('{' + inside + '}') if labels else ''} (\S+)$", self.metrics(), re.M)
        return found and float(found[1])


def expect(line, **wanted):
    assert {k: line[k] for k in wanted} == wanted


def closed_address():
    """An address where nobody listens."""
    p = EchoPod()
    p.stop()
    return p


@pytest.fixture(scope="module")
def seen(workers, authority):
    """(edge, echo pod, raw pod): every kind of way a request can go."""
    def hang_up(wire):
        wire.read_request()
    with EchoPod("web") as web, Pod(hang_up, "broken") as broken, TcpEchoPod("raw") as raw, \
            Pod(answering(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "liar") as liar:
        gone = closed_address()
        acme = tenant(
            "acme", pod(web), service("web", target=web.port), pod(broken), service("broken", target=broken.port),
            pod(liar), service("liar", target=liar.port), pod(gone, app="gone"), service("gone", target=gone.port),
            service("empty"), pod(raw), service("tls", target=raw.port, app="raw"), node_port("raw", target=raw.port), node_port("nobody", target=9),
            plain_ingress(rule(WEB, ("/", "web"), ("/broken", "broken"), ("/gone", "gone"), ("/empty", "empty"), ("/liar", "liar")),
                          name="plain"),
            ingress(rule(f"safe.{ACME}", "web"), name="safe", tls=[f"safe.{ACME}"]),
            ingress(rule(f"through.{ACME}", "tls"), name="through", tls_passthrough="true"))
        with Seen({"acme.yaml": acme}, workers, authority=authority, certificates=[(f"*.{ACME}",)],
                  log={"query": "keep"}, timeouts={"header": "1s"}) as e:
            yield e, web, raw


# ---- the field list ----
def test_every_line_has_the_fields_of_the_operators_page_in_that_order(seen):
    e, *_ = seen
    e.status(f"http://{WEB}/fields")
    section = PAGE[PAGE.index("## Access log"):PAGE.index("| word | means |")]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.M)
    assert list(e.line(path="/fields")) == documented
    assert all(list(line) == documented for line in e.lines())


def test_the_words_for_errors_are_those_of_the_operators_page():
    header = (ROOT / "core/access.h").read_text()
    words = re.findall(r'X\(\w+, "(\w+)",', header)
    section = PAGE[PAGE.index("| word | means |"):PAGE.index("**Nothing waits")]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == words


# ---- requests ----
def test_a_plain_request(seen):
    e, web, _ = seen
    before = time.time()
    request = (f"POST /plain/%22a%22?q=1&r=%00 HTTP/1.1\r\nHost: WEB.{ACME}:80\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
    with e.connect() as wire:
        wire.send(request)
        answer = wire.rest()
    line = e.line(path="/plain/%22a%22")
    expect(line, type="http", tenant="acme", client="127.0.0.1", port=e.http_port, protocol="HTTP/1.1", tls=None, sni=None,
           host=WEB, method="POST", query="q=1&r=%00", ingress="plain", rule="/", service="web",
           pod=f"{web.address}:{web.port}", status=200, error=None, retries=0,
           bytes_in=len(request), bytes_out=len(answer))
    told = next(v for n, v in web.requests[-1].headers if n.lower() == "x-request-id")
    assert line["request_id"] == told
    assert 0 < line["routed_us"] <= line["first_byte_us"] <= line["total_us"]
    assert line["connected_us"] is None or line["routed_us"] <= line["connected_us"] <= line["first_byte_us"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
    at = time.mktime(time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert before - 2 < at < time.time() + 2
    assert 0 <= line["worker"] < 3


def test_a_kept_connection_to_a_pod_has_no_time_of_connecting(seen):
    e, *_ = seen
    with e.connect() as wire:
        for i in range(3):
            wire.send(f"GET /kept{i} HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
            assert wire.read_response().status == 200
    assert e.line(path="/kept2")["connected_us"] is None


def test_a_request_over_tls(seen):
    e, *_ = seen
    assert e.status(f"https://safe.{ACME}/over-tls") == 200
    expect(e.line(path="/over-tls"), tls="TLSv1.3", sni=f"safe.{ACME}", host=f"safe.{ACME}", port=e.https_port,
           status=200, error=None, ingress="safe")


def test_a_redirect_is_no_error(seen):
    e, web, _ = seen
    assert e.status(f"http://safe.{ACME}/redirected") == 308
    expect(e.line(path="/redirected"), status=308, error=None, pod=None, tenant="acme", first_byte_us=None)


@pytest.mark.parametrize("path, status, error", [
    ("/empty/x", 503, "no_pod"), ("/broken/x", 502, "pod_broke"), ("/gone/x", 502, "pod_refused"), ("/liar/x", 502, "pod_malformed")])
def test_what_a_pod_did_wrong_is_said(seen, path, status, error):
    e, *_ = seen
    service_name = path.split("/")[1]
    assert e.status(f"http://{WEB}{path}") == status
    line = e.line(path=path)
    expect(line, status=status, error=error, service=service_name, rule=f"/{service_name}")
    assert (line["pod"] is None) == (error == "no_pod")


def test_a_name_of_nobody_is_nobodys_line(seen):
    e, *_ = seen
    assert e.status("http://nobody.example/who") == 404
    expect(e.line(path="/who"), status=404, error="no_route", tenant=None, host="nobody.example", service=None, pod=None)


def test_what_comes_for_nobody_on_a_kept_connection_is_not_the_tenant_befores(seen):
    e, *_ = seen
    with e.connect() as wire:
        for host, path in ((f"other.{ACME}", "/mine"), ("nobody.example", "/strangers"), ("bad host", "/bad")):
            wire.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
            assert wire.read_response().status in (400, 404)
    expect(e.line(path="/mine"), tenant="acme")
    expect(e.line(path="/strangers"), status=404, tenant=None)
    expect(e.line(path="/bad"), status=400, tenant=None)


def test_a_name_without_a_rule_is_the_tenants(seen):
    e, *_ = seen
    assert e.status(f"http://other.{ACME}/no-rule") == 404
    expect(e.line(path="/no-rule"), status=404, error="no_route", tenant="acme")


def test_malformed_requests_say_what_was_understood(seen):
    e, *_ = seen
    with e.connect() as wire:
        wire.send("\x01\x02\"\\ nonsense\r\n\r\n")
        assert wire.read_response().status == 400
    with e.connect() as wire:
        wire.send(f"GET /half HTTP/1.1\r\nHost: {WEB}\r\nBad Field: x\r\n\r\n")
        assert wire.read_response().status == 400
    expect(e.line(path="/half"), status=400, error="malformed", method="GET", protocol="HTTP/1.1")
    expect(e.line(error="malformed", path=None), status=400, method=None, host=None)


def test_a_client_that_is_slow_and_one_that_leaves(seen):
    e, *_ = seen
    with e.connect() as wire:
        wire.send(f"GET /slow HTTP/1.1\r\nHost: {WEB}\r\n")
        assert wire.read_response().status == 408
    expect(e.line(path="/slow"), status=408, error="client_slow")
    with e.connect() as wire:
        wire.send(f"POST /left HTTP/1.1\r\nHost: {WEB}\r\nContent-Length: 100000\r\n\r\nsome")
        wire.reset()
    expect(e.line(path="/left"), status=None, error="client_gone")


def test_a_websocket_is_one_line_when_it_ends(workers):
    listener = socket.create_server(("127.0.0.1", 0))
    done = []

    async def back(sock, *_):
        async for message in sock:
            await sock.send(message)

    async def story(e):
        async with websockets.serve(back, sock=listener):
            async with websockets.connect(f"ws://{WEB}/chat", host="127.0.0.1", port=e.http_port) as sock:
                message = os.urandom(1000)  # it may compress
                await sock.send(message)
                assert await sock.recv() == message
                assert not [x for x in e.lines() if x["path"] == "/chat"]
            done.append(True)

    class Address:
        name, address, port = "ws", *listener.getsockname()
    with Seen({"acme.yaml": web_tenant("acme", Address)}, workers) as e:
        asyncio.run(story(e))
        line = e.line(path="/chat")
        expect(line, type="http", status=101, error=None, service="web", pod=f"{Address.address}:{Address.port}", host=WEB)
        assert line["bytes_in"] > 1000 and line["bytes_out"] > 1000 and line["total_us"] >= line["first_byte_us"]
        assert e.metric("ringress_responses_total", tenant="acme", code="1xx") == 1
    assert done


# ---- joined connections ----
def test_a_raw_connection(seen):
    e, _, raw = seen
    port = e.raw_port("acme", "raw")
    with e.connect(port) as wire:
        wire.send(b"x" * 5000)
        wire.finish_writing()
        assert len(wire.rest()) == 5000
    line = e.line(port=port)
    expect(line, type="stream", tenant="acme", protocol="tcp", client="127.0.0.1", service="raw", bytes_in=5000,
           bytes_out=5000, pod=f"{raw.address}:{raw.port}", error=None, status=None, method=None)
    assert line["connected_us"] <= line["first_byte_us"] <= line["total_us"]


def test_a_raw_connection_without_a_pod(seen):
    e, *_ = seen
    port = e.raw_port("acme", "nobody")
    with pytest.raises(ConnectionResetError), e.connect(port) as wire:
        wire.send(b"x")
        wire.rest()
    expect(e.line(port=port), type="stream", service="nobody", pod=None, error="no_pod")


def test_a_raw_client_that_breaks_off(workers):
    with TcpEchoPod("raw") as raw, Seen({"acme.yaml": tenant("acme", pod(raw), node_port("raw", target=raw.port))}, workers) as e:
        with e.connect(e.raw_port("acme")) as wire:
            wire.send(b"hello")
            assert wire.need(5) == b"hello"
            wire.reset()
        expect(e.line(type="stream"), error="client_gone", bytes_in=5, bytes_out=5)


def test_tls_passed_through_has_its_sni(seen):
    from tls import hello
    e, *_ = seen
    name = f"through.{ACME}"
    with e.connect(e.https_port) as wire:
        first = hello(name)
        wire.send(first)
        wire.finish_writing()
        assert wire.rest() == first
    expect(e.line(sni=name), type="stream", protocol="tls", tls=None, service="tls", bytes_in=len(first), bytes_out=len(first), error=None)


# ---- connections that are turned away ----
def openssl(e, name, *words):
    """Shakes hands as words say; the edge's answer is the log's business."""
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{e.https_port}", "-servername", name, *map(str, words)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)


def said_to(e, port, data, leave=False):
    """What the edge says to these bytes until it ends the connection."""
    try:
        with e.connect(port) as wire:
            wire.send(data)
            if leave:
                wire.finish_writing()
            return wire.rest()
    except ConnectionResetError:
        return b"reset"


REFUSED = dict(type="refused", status=None, method=None, path=None, host=None, pod=None, connected_us=None, request_id=None,
               client="127.0.0.1")


def test_a_name_that_nobody_has_in_tls(seen):
    e, *_ = seen
    name = "Who-Is-This.example"
    said = openssl(e, name)
    assert "unrecognized name" in said.stderr
    line = e.line(sni=name)
    expect(line, **REFUSED, tenant=None, protocol="tls", tls=None, port=e.https_port, error="no_route",
           detail="sent unrecognized_name", bytes_out=0)
    assert line["bytes_in"] > 100


def test_a_handshake_the_client_breaks_with_an_alert(seen):
    """openssl does not know our authority and says so."""
    e, *_ = seen
    name = f"distrusted.{ACME}"
    assert openssl(e, name, "-tls1_3", "-verify_return_error").returncode
    expect(e.line(sni=name), **REFUSED, tenant="acme", tls=None, error="tls_failed", detail="got unknown_ca")


def test_a_handshake_without_a_suite_or_version_in_common(seen):
    e, *_ = seen
    openssl(e, f"old.{ACME}", "-tls1_2", "-cipher", "AES128-SHA")
    expect(e.line(sni=f"old.{ACME}"), **REFUSED, tenant="acme", tls=None, error="tls_failed", detail="sent handshake_failure")
    openssl(e, f"ancient.{ACME}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    expect(e.line(sni=f"ancient.{ACME}"), **REFUSED, tenant="acme", error="tls_failed", detail="sent protocol_version")


def test_a_handshake_nobody_goes_on_with(seen):
    from tls import hello
    e, *_ = seen
    name = f"silent.{ACME}"
    said_to(e, e.https_port, hello(name))  # the edge ends it after timeouts.header
    expect(e.line(sni=name), **REFUSED, tenant="acme", error="client_slow", detail="handshake")
    name = f"leaving.{ACME}"
    said_to(e, e.https_port, hello(name), leave=True)
    expect(e.line(sni=name), **REFUSED, tenant="acme", error="client_gone", detail="handshake")


def test_those_that_leave_while_their_handshake_is_in_line(seen):
    """Their hello had come whole: the line has what it said."""
    from tls import hello
    e, *_ = seen
    names = [f"crowded-{i}.{ACME}" for i in range(64)]
    hellos = [hello(name) for name in names]
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(e.connect(e.https_port)) for _ in names]
        for wire, data in zip(wires, hellos):
            wire.send(data)
            wire.finish_writing()
        for name in names:
            expect(e.line(sni=name), **REFUSED, tenant="acme", error="client_gone", detail="handshake")


def test_what_is_no_hello(seen):
    from tls import hello
    e, *_ = seen
    assert said_to(e, e.https_port, b"GET / HTTP/1.1\r\n\r\n") == b""
    expect(e.line(detail="not TLS"), **REFUSED, tenant=None, error="malformed", protocol="tls", sni=None, bytes_in=18)
    assert said_to(e, e.https_port, b"\x16\x03\x01\x00\x05\x02xxxx")[:1] == b"\x15"
    expect(e.line(detail="sent unexpected_message"), **REFUSED, tenant=None, error="malformed", bytes_in=10)
    half = hello("half.example")[:50]
    assert said_to(e, e.https_port, half) == b""  # it waits for the rest
    expect(e.line(error="client_slow", detail="hello"), **REFUSED, tenant=None, sni=None, bytes_in=50)


def test_who_never_says_a_word_has_no_line(workers):
    with Seen({}, workers, timeouts={"header": "1s"}) as e:
        assert said_to(e, e.https_port, b"") == b""
        e.status("http://nobody.example/after")
        e.line(path="/after")
        assert len(e.lines()) == 1


def test_passed_through_without_a_pod_is_refused_by_an_alert(workers):
    from tls import hello
    acme = tenant("acme", service("empty"), ingress(rule(f"through.{ACME}", "empty"), name="through", tls_passthrough="true"))
    with Seen({"acme.yaml": acme}, workers) as e:
        assert said_to(e, e.https_port, hello(f"through.{ACME}"))[:1] == b"\x15"
        expect(e.line(type="refused"), **REFUSED, tenant="acme", sni=f"through.{ACME}", service="empty", error="no_pod",
               detail="sent internal_error")


# ---- limits and lists ----
def listed_tenant(web, raw):
    """Every way in, closed to our address."""
    lists = {"deny_source_range": "127.0.0.0/8"}
    port = node_port("raw", target=raw.port)
    port["metadata"]["annotations"] = {"ringress/deny-source-range": "127.0.0.0/8"}
    return tenant("acme", pod(web), service("web", target=web.port), pod(raw), service("tls", target=raw.port, app="raw"), port,
                  plain_ingress(rule(WEB, "web"), **lists),
                  ingress(rule(f"through.{ACME}", "tls"), name="through", tls_passthrough="true", **lists))


def test_clients_that_may_not_come_in_are_told_from_those_over_a_limit(workers):
    from tls import hello
    with EchoPod("web") as web, TcpEchoPod("raw") as raw, Seen({"acme.yaml": listed_tenant(web, raw)}, workers) as e:
        denied = dict(tenant="acme", error="denied", detail="source")
        assert e.status(f"http://{WEB}/listed") == 403
        expect(e.line(path="/listed"), **denied, type="http", status=403, pod=None)
        assert said_to(e, e.https_port, hello(f"through.{ACME}")) == b"reset"
        expect(e.line(sni=f"through.{ACME}"), **{**REFUSED, **denied}, protocol="tls", service="tls")
        port = e.raw_port("acme")
        assert said_to(e, port, b"x") == b"reset"
        expect(e.line(port=port), **{**REFUSED, **denied}, protocol="tcp", service="raw", sni=None)
        assert e.metric("ringress_limited_total", tenant="acme", limit="source") == 3


def test_requests_over_a_limit_say_which(workers):
    with EchoPod("web") as web, Seen({"acme.yaml": web_tenant("acme", web, limits={"requestsPerSecond": 1})}, workers) as e:
        for i in range(10):
            assert e.status(f"http://{WEB}/{i}") in (200, 429)
        lines = eventually(lambda: (lambda all_: len(all_) == 10 and all_)(e.lines()))
        over = [x for x in lines if x["status"] == 429]
        assert over and e.tenant("acme")["limited429"] == len(over)
        for line in over:
            expect(line, tenant="acme", error="limited", detail="requests", service=None)
        assert all(x["error"] is x["detail"] is None for x in lines if x["status"] == 200)


def test_connections_over_a_limit_say_which(workers, authority):
    """The first connection holds the only place; what comes after it is told with its tenant, on every way in."""
    from tls import hello
    with EchoPod("web") as web, TcpEchoPod("raw") as raw:
        acme = tenant("acme", pod(web), service("web", target=web.port), pod(raw), service("tls", target=raw.port, app="raw"),
                      node_port("raw", target=raw.port), plain_ingress(rule(WEB, "web")),
                      ingress(rule(f"through.{ACME}", "tls"), name="through", tls_passthrough="true"), limits={"connections": 1})
        with Seen({"acme.yaml": acme}, workers, authority=authority, certificates=[(f"*.{ACME}",)]) as e, e.connect() as first:
            over = dict(tenant="acme", error="limited", detail="connections")
            first.send(f"GET /first HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
            assert first.read_response().status == 200
            assert e.status(f"http://{WEB}/second") == 429
            expect(e.line(path="/second"), **over, status=429, host=WEB)
            assert said_to(e, e.https_port, hello(WEB)) == b"reset"
            expect(e.line(sni=WEB), **{**REFUSED, **over}, tls=None)
            assert said_to(e, e.https_port, hello(f"through.{ACME}")) == b"reset"
            expect(e.line(sni=f"through.{ACME}"), **{**REFUSED, **over}, service="tls")
            port = e.raw_port("acme")
            assert said_to(e, port, b"x") == b"reset"
            expect(e.line(port=port), **{**REFUSED, **over}, service="raw")


def test_a_body_over_a_limit_says_so_whether_its_length_was_told_or_not(workers):
    with EchoPod("web") as web:
        acme = tenant("acme", pod(web), service("web", target=web.port), plain_ingress(rule(WEB, "web"), max_body_size="10"))
        with Seen({"acme.yaml": acme}, workers) as e:
            assert e.status(f"http://{WEB}/told", method="POST", body=b"x" * 11) == 413
            with e.connect() as wire:
                wire.send(f"POST /chunks HTTP/1.1\r\nHost: {WEB}\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{'x' * 11}\r\n0\r\n\r\n")
                assert wire.read_response().status == 413
            for path in ("/told", "/chunks"):
                expect(e.line(path=path), tenant="acme", status=413, error="too_large", detail="body-size")


def test_a_proxy_header_that_is_none_is_told(workers):
    e = Seen({}, workers)
    e.write_yaml({**e.content, "listen": {**e.content["listen"], "proxy_protocol": ["127.0.0.0/8"]}, "timeouts": {"header": "1s"}})
    with e:
        assert said_to(e, None, b"GET / HTTP/1.1\r\n\r\n") == b"reset"
        expect(e.line(error="malformed"), **REFUSED, tenant=None, protocol=None, detail="PROXY header", bytes_in=18)
        assert said_to(e, e.https_port, b"PROXY TCP4 ") == b""
        expect(e.line(error="client_slow"), **REFUSED, tenant=None, protocol="tls", detail="PROXY header", bytes_in=11)


# ---- where it goes ----
def test_queries_are_dropped_unless_asked_for_and_a_shared_file_is_all_json(workers):
    with EchoPod() as p, Edge({"acme.yaml": web_tenant("acme", p)}, workers, log={"access": "json", "path": "all.log"}) as e:
        assert e.status(f"http://{WEB}/a?secret=1") == 200
        file = e.folder / "all.log"
        eventually(lambda: "/a" in file.read_text())
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert {line["type"] for line in lines} == {"http", "log"}
        assert next(line for line in lines if line["type"] == "http")["query"] is None
        assert "secret" not in file.read_text()


def test_without_it_there_is_no_access_log(workers):
    with EchoPod() as p, Edge({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        assert e.status(f"http://{WEB}/unseen") == 200
        assert "/unseen" not in e.log_text()


@pytest.mark.parametrize("rotate", ["signal", "reload"])
def test_rotation_loses_no_line(workers, rotate):
    with EchoPod() as p, Seen({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        moved, sent = [], 0
        for turn in range(4):
            for _ in range(25):
                assert e.status(f"http://{WEB}/{sent}") == 200
                sent += 1
            moved.append(e.folder / f"access.{turn}")
            e.access.rename(moved[-1])
            if rotate == "signal":
                os.kill(e.pid, signal.SIGUSR1)
            else:
                assert e.run("reload").returncode == 0
            eventually(e.access.exists)
        last = eventually(lambda: (lambda all_: len(all_) == sent and all_)([x for f in [*moved, e.access] for x in e.lines(f)]))
        assert sorted(int(x["path"][1:]) for x in last) == list(range(sent))


def test_what_waits_is_written_before_the_end(workers):
    with EchoPod() as p:
        e = Seen({"acme.yaml": web_tenant("acme", p)}, workers)
        e.start()
        for i in range(50):
            assert e.status(f"http://{WEB}/{i}") == 200
        e.stop()
        assert len(e.lines()) == 50
        e.end(failed=False)


def test_a_full_device_costs_lines_counted_and_no_request(workers):
    with EchoPod() as p, Seen({"acme.yaml": web_tenant("acme", p)}, workers, log={"access_path": "/dev/full"}) as e:
        for _ in range(20):
            assert e.status(f"http://{WEB}/") == 200
        assert e.metric("ringress_access_log_lines_total") == 20
        assert e.metric("ringress_access_log_pending_bytes") > 0
        eventually(lambda: "No space left" in e.log_text())


def test_a_pipe_that_nobody_reads_loses_lines_and_counts_them():
    with EchoPod() as p:
        e = Seen({"acme.yaml": web_tenant("acme", p)}, 1, log={"access_path": "pipe"})
        os.mkfifo(e.folder / "pipe")
        reader = os.open(e.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        path = "/" + "x" * 1500
        with e:
            with e.connect() as wire:
                burst = f"GET {path} HTTP/1.1\r\nHost: {WEB}\r\n\r\n" * 50
                for _ in range(50):  # 2500 lines of 1.5 KiB do not fit into 2 MiB
                    wire.send(burst)
                    for _ in range(50):
                        assert wire.read_response().status == 200
            lost = e.metric("ringress_access_log_lost_total")
            assert lost > 0 and lost + e.metric("ringress_access_log_lines_total") == 2500
            assert e.status(f"http://{WEB}/") == 200
        os.close(reader)


@pytest.mark.parametrize("where, line", [({"access_path": "/nowhere/access.log"}, "access_path"), ({"path": "/nowhere/x.log"}, "path")])
def test_a_path_that_can_not_be_opened_stops_the_start_with_its_place(where, line):
    edge = Seen({}, log=where)
    try:
        done = subprocess.run([edge.binary, "run", "-c", edge.yaml], capture_output=True, text=True, timeout=PATIENCE)
        number = next(i for i, text in enumerate(edge.yaml.read_text().splitlines(), 1) if text.strip().startswith(f"{line}: /nowhere"))
        assert done.returncode == 1 and f"edge.yaml:{number}:" in done.stderr and "/nowhere/" in done.stderr, done.stderr
    finally:
        edge.end(failed=False)


# ---- metrics ----
SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (NaN|[+-]?Inf|[-+0-9.e]+)$')


def samples(text):
    """Checks what promtool would, and returns [(name, {label: value}, value)]."""
    types, helps, seen, out, current = {}, set(), set(), [], None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helps and len(line.split(" ", 3)) == 4, line
            helps.add(name)
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current not in types and kind in ("counter", "gauge", "histogram"), line
            types[current] = kind
        else:
            found = SAMPLE.match(line)
            assert found, line
            name, labels = found[1], dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            family = re.sub(r"_(bucket|sum|count)$", "", name) if types.get(current) == "histogram" else name
            assert family == current and family in helps, f"{line} stands below {current}"
            assert (types[current] == "counter") == name.endswith("_total") or types[current] == "histogram", line
            key = (name, *sorted(labels.items()))
            assert key not in seen, line
            seen.add(key)
            out.append((name, labels, float(found[3])))
    return out


def test_metrics_are_valid_and_of_a_bounded_number(seen):
    e, *_ = seen
    for i in range(30):
        e.status(f"http://{WEB}/{i}")
        e.status(f"http://h{i}.{ACME}/")
    got = samples(e.metrics())
    assert all(name.startswith("ringress_") for name, *_ in got)
    of_acme = [s for s in got if s[1].get("tenant") == "acme" and "host" not in s[1] and "port" not in s[1]]
    assert len(of_acme) == 39  # as the operator's page says; 7 more with limits
    assert sum("port" in s[1] for s in got if s[1].get("tenant") == "acme") == 16 * len(e.get("ports"))
    buckets = [(float(s[1]["le"].replace("+Inf", "inf")), s[2]) for s in of_acme if s[0].endswith("duration_seconds_bucket")]
    assert buckets == sorted(buckets) and [n for _, n in buckets] == sorted(n for _, n in buckets)
    assert buckets[-1][1] == next(s[2] for s in of_acme if s[0].endswith("duration_seconds_count"))


def test_metrics_count_what_became_of_requests(workers):
    with EchoPod("web") as web:
        gone = closed_address()
        acme = tenant("acme", pod(web), service("web", target=web.port), pod(gone, app="gone"), service("gone", target=gone.port),
                      plain_ingress(rule(WEB, ("/", "web"), ("/gone", "gone"))))
        with Seen({"acme.yaml": acme}, workers) as e:
            for status, times in ((200, 3), (404, 2), (500, 1), (302, 1)):
                for _ in range(times):
                    assert e.status(f"http://{WEB}/", headers={"X-Status": str(status)}) == status
            assert e.status(f"http://{WEB}/gone") == 502
            for code, count in (("1xx", 0), ("2xx", 3), ("3xx", 1), ("4xx", 2), ("5xx", 2)):
                assert e.metric("ringress_responses_total", tenant="acme", code=code) == count
            assert e.metric("ringress_request_duration_seconds_count", tenant="acme") == 8
            assert e.metric("ringress_request_duration_seconds_sum", tenant="acme") > 0
            assert e.metric("ringress_pod_connect_failures_total", tenant="acme") >= 1


def hosts_told(e):
    return [(s[1]["host"], s[2]) for s in samples(e.metrics()) if s[0] == "ringress_host_requests_total"]


def test_a_thousand_hosts_have_the_series_of_the_most_popular_only(workers):
    with EchoPod("web") as web:
        hosts = [f"h{i}.{ACME}" for i in range(1000)]
        rules = [rule(h, "web") for h in hosts] + [rule(f"*.wild.{ACME}", "web")]
        acme = tenant("acme", pod(web), service("web", target=web.port), plain_ingress(*rules, fallback="web"))
        with Seen({"acme.yaml": acme}, workers, metrics={"hosts": 40}) as e:
            assert not hosts_told(e)
            others = len([s for s in samples(e.metrics()) if s[1].get("tenant") == "acme"])
            popular = {h: 20 + i for i, h in enumerate(hosts[500:508])}
            popular[f"*.wild.{ACME}"] = 40  # by as many names as requests
            asked = [h for h, n in popular.items() for _ in range(n)]
            crowd = hosts[:500] + hosts[508:]
            with e.connect() as wire:
                for i in range(len(crowd)):
                    for h in [crowd[i], *asked[i::len(crowd)]]:
                        host = h.replace("*", f"made-up-{i}")
                        wire.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\nGET / HTTP/1.1\r\nHost: nobody{i}.example\r\n\r\n")
                        assert [wire.read_response().status for _ in range(2)] == [200, 404]
            told = hosts_told(e)
            assert len(told) == 40 and len(dict(told)) == 40
            assert all(told.count((h, n)) for h, n in popular.items()), told
            # Among themselves they stand by weight, of which each inherited a little from whom it displaced.
            assert {h for h, _ in told[:9]} == set(popular) and told[0][0] == f"*.wild.{ACME}", told
            assert len([s for s in samples(e.metrics()) if s[1].get("tenant") == "acme"]) == others + 40
            e.remove("acme.yaml")
            eventually(lambda: not hosts_told(e))


def test_a_changed_tenant_keeps_its_hosts_counts_and_0_counts_none(workers):
    with EchoPod("web") as web:
        with Seen({"acme.yaml": web_tenant("acme", web)}, workers) as e:
            assert e.status(f"http://{WEB}/") == 200
            e.drop("acme.yaml", tenant("acme", pod(web, app="web"), service("web", target=web.port),
                                       plain_ingress(rule(WEB, "web"), rule(f"new.{ACME}", "web"))))
            eventually(lambda: e.status(f"http://new.{ACME}/") == 200)
            assert e.status(f"http://{WEB}/") == 200
            assert dict(hosts_told(e))[WEB] == 2 and f"new.{ACME}" in dict(hosts_told(e))
        with Seen({"acme.yaml": web_tenant("acme", web)}, workers, metrics={"hosts": 0}) as e:
            assert e.status(f"http://{WEB}/") == 200
            assert not hosts_told(e)


# ---- health ----
def test_health_and_readiness(workers):
    with EchoPod() as p, Seen({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        for target, body in (("/healthz", "ok\n"), ("/readyz", "ready\n")):
            answer = e.page(target)
            assert (answer.status, answer.text) == (200, body)
            head = e.page(target, "HEAD")
            assert head.status == 200 and head.body == b"" and head.get("content-length") == str(len(body))
            wrong = e.page(target, "POST")
            assert wrong.status == 405 and wrong.get("allow") == "GET, HEAD"
        e.drop("acme.yaml", "not: [a tenant")
        eventually(lambda: e.tenant("acme")["state"] != "ok")
        assert e.page("/readyz").status == 200, "a tenant's broken drop must not take the edge out of service"


def test_a_draining_edge_is_alive_and_not_ready(workers):
    with EchoPod() as p, Seen({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        with e.connect() as wire:
            wire.send(f"POST / HTTP/1.1\r\nHost: {WEB}\r\nContent-Length: 4\r\n\r\n12")
            eventually(lambda: p.accepted)
            e.process.send_signal(signal.SIGTERM)
            answer = eventually(lambda: (lambda a: a.status == 503 and a)(e.page("/readyz")))
            assert "draining" in answer.text
            assert e.page("/healthz").status == 200
            os.kill(e.pid, signal.SIGUSR1)  # logrotate does not ask first
            wire.send(b"34")
            assert wire.read_response().status == 200
        e.wait_end()


def test_slow_admin_clients_hold_up_neither_each_other_nor_the_commands(workers):
    with Seen({}, workers) as e:
        slow = [e.connect(e.admin_port) for _ in range(40)]
        for wire in slow:
            wire.send("GET /metr")
        assert e.page("/healthz").status == 200
        slow += [e.connect(e.admin_port) for _ in range(40)]  # more than are let in
        assert e.run("get", "tenants").returncode == 0
        for wire in slow:
            wire.close()
        eventually(lambda: e.run("get", "tenants").returncode == 0)
        assert e.page("/healthz").status == 200
