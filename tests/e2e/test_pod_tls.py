# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that speak TLS (appProtocol: https): what is verified, what is kept, what is seen of those that fail, and what passes through."""
import contextlib
import ssl
import threading

import pytest

from edge import Edge, eventually
from node import NodePod, node
from objects import ACME, annotation_is_refused, ingress, plain_ingress, pod, rule, service, tenant
from pod import EchoPod, Pod, TcpEchoPod, answering
from test_grpc import H2Pod, OK, reply
from wire import Closed

HOST = f"web.{ACME}"
URL = f"http://{HOST}/"
NAME = "web.acme.svc"
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="session")
def stranger(tmp_path_factory, authority):
    """Another authority, that nobody named."""
    return type(authority)(tmp_path_factory.mktemp("stranger"))


def marks(annotations):
    return {f"ringress/{k.replace('_', '-')}": v for k, v in annotations.items()}


def https_service(name="web", port=5678, protocol="https", **annotations):
    made = service(name, target=port)
    made["spec"]["ports"][0]["appProtocol"] = protocol
    if annotations:
        made["metadata"]["annotations"] = marks(annotations)
    return made


def authority_secret(authority, name="pods-ca"):
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name},
            "stringData": {"ca.crt": authority.ca.read_text()}}


def acme(*servers, more=(), ingress_marks=None, protocol="https", **annotations):
    pods = [pod(s, app="web", name=f"web-{i}") for i, s in enumerate(servers)]
    return tenant("acme", *pods, https_service(protocol=protocol, **annotations),
                  plain_ingress(rule(HOST, "web"), **(ingress_marks or {})), *more)


def verified(authority, *servers, **annotations):
    return acme(*servers, more=[authority_secret(authority)], backend_ca_secret="pods-ca", **annotations)


def backend(e, server):
    return next(b for b in e.get("backends") if b["address"] == f"{server.address}:{server.port}")


def reasons(e):
    return [v["message"] for v in e.get("events") if v["reason"] == "PodTLS"]


def seen(stack, authority, *names):
    """An EchoPod with a certificate for these names that keeps what SNI and ALPN it was asked with."""
    p = stack.enter_context(EchoPod("web", tls=authority.issue(*names)))
    p.sni, p.alpn = [], []
    p.context.sni_callback = lambda sock, name, context: p.sni.append(name)
    return p


# ---- verification ----
def test_without_a_word_nobody_is_verified(workers, stranger):
    with contextlib.ExitStack() as stack:
        p = seen(stack, stranger, "somebody.example")
        with Edge({"acme.yaml": acme(p)}, workers) as e:
            assert e.echo(URL)["pod"] == "web"
            assert set(p.sni) == {NAME}
            told = e.explain(URL).stdout
            assert "certificates are not verified" in told and f"server name {NAME}" in told
            assert reasons(e) == []


def test_a_certificate_of_the_named_authority_for_the_services_name_is_good(workers, authority):
    with EchoPod("web", tls=authority.issue(NAME)) as p, Edge({"acme.yaml": verified(authority, p)}, workers) as e:
        assert e.echo(URL)["headers"]
        assert "certificates are verified" in e.explain(URL).stdout
        assert backend(e, p)["tlsFailures"] == 0


def test_the_name_that_is_sent_and_checked_can_be_said(workers, authority):
    with contextlib.ExitStack() as stack:
        p = seen(stack, authority, "pods.example")
        drop = verified(authority, p, backend_server_name="pods.example")
        with Edge({"acme.yaml": drop}, workers) as e:
            assert e.status(URL) == 200 and set(p.sni) == {"pods.example"}


def expired(authority):
    leaf, key, csr = (authority.folder / f"expired.{end}" for end in ("pem", "key", "csr"))
    ext = authority.folder / "expired.ext"
    ext.write_text("subjectAltName=DNS:web.acme.svc\n")
    authority.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={NAME}",
                      "-keyout", key, "-out", csr)
    authority.openssl("x509", "-req", "-in", csr, "-CA", authority.ca, "-CAkey", authority.ca_key, "-CAcreateserial",
                      "-days", -1, "-extfile", ext, "-out", leaf)
    return leaf, key


BAD = {
    "another authority's": (lambda authority, stranger: stranger.issue(NAME), "signed by no authority"),
    "another name's": (lambda authority, stranger: authority.issue("other.example"), "for another name"),
    "expired": (lambda authority, stranger: expired(authority), "has expired"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_certificate_that_is_not_good_is_a_502_that_says_why(workers, authority, stranger, kind):
    make, why = BAD[kind]
    with EchoPod("web", tls=make(authority, stranger)) as p:
        with Edge({"acme.yaml": verified(authority, p)}, workers, log={"access": "json", "access_path": "access.log"}) as e:
            assert e.status(URL) == 502 and not p.requests
            eventually(lambda: '"error":"pod_tls"' in (e.folder / "access.log").read_text())
            shown = backend(e, p)
            assert why in shown["reason"] and shown["tlsFailures"] >= 1 and shown["failures"] >= 1
            assert any(why in r and p.address in r for r in reasons(e))
            assert why in e.explain(URL).stdout
            # Whoever does not want to know is served; and the other way round, nothing that was kept goes on.
            e.drop("acme.yaml", verified(authority, p, backend_verify="off"))
            eventually(lambda: e.status(URL) == 200)
            e.drop("acme.yaml", verified(authority, p))
            eventually(lambda: e.status(URL) == 502)


def test_pods_whose_certificate_is_bad_are_ejected(workers, authority, stranger):
    with EchoPod("one", tls=authority.issue(NAME)) as one, EchoPod("two", tls=stranger.issue(NAME)) as two:
        with Edge({"acme.yaml": verified(authority, one, two, eject_for="30s")}, workers) as e:
            # The other pod is asked instead: it never heard of the request.
            assert eventually(lambda: (e.status(URL) == 200, backend(e, two)["state"])[1] == "ejected")
            assert [e.status(URL) for _ in range(20)] == [200] * 20 and not two.requests
            assert "signed by no authority" in backend(e, two)["reason"]


def test_a_pod_that_gets_a_good_certificate_is_well_again(workers, authority, stranger):
    with EchoPod("web", tls=stranger.issue(NAME)) as p, Edge({"acme.yaml": verified(authority, p)}, workers) as e:
        assert e.status(URL) == 502
        p.context.load_cert_chain(*map(str, authority.issue(NAME)))
        eventually(lambda: e.status(URL) == 200)
        eventually(lambda: reasons(e) == [] and backend(e, p)["reason"] is None)


@pytest.mark.parametrize("annotations, more, why", [
    ({"backend_ca_secret": "none"}, [], "Secret none of its authority is not found"),
    ({"backend_ca_secret": "empty"}, [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "empty"},
                                       "stringData": {"ca.crt": "no PEM"}}], "has no ca.crt"),
    ({"backend_verify": "on"}, [], "without ringress/backend-ca-secret"),
], ids=["no Secret", "no certificate", "no authority named"])
def test_who_wants_verification_that_is_not_possible_is_not_served_without(workers, authority, annotations, more, why):
    with EchoPod("web", tls=authority.issue(NAME)) as p:
        with Edge({"acme.yaml": acme(p, more=more, **annotations)}, workers) as e:
            assert e.status(URL) == 502 and p.accepted == 0
            told = e.explain(URL)
            assert told.returncode == 1 and why in told.stdout
            assert any(v["reason"] == "BackendTLS" and why in v["message"] for v in e.get("events"))


def test_an_ingress_may_say_it_for_its_services(workers, authority, stranger):
    with EchoPod("web", tls=stranger.issue(NAME)) as p:
        drop = acme(p, more=[authority_secret(authority)], ingress_marks={"backend_ca_secret": "pods-ca"})
        with Edge({"acme.yaml": drop}, workers) as e:
            assert e.status(URL) == 502 and any("signed by no authority" in r for r in reasons(e))


def test_another_tenants_secret_is_not_there(workers, authority):
    with EchoPod("web", tls=authority.issue(NAME)) as p:
        globex = tenant("globex", authority_secret(authority))
        with Edge({"acme.yaml": acme(p, backend_ca_secret="pods-ca"), "globex.yaml": globex}, workers) as e:
            assert e.status(URL) == 502 and p.accepted == 0


# ---- pods that do not get so far ----
def test_a_pod_without_tls_is_a_502(workers):
    def handle(wire):
        assert wire.sock.recv(65536)[:2] == b"\x16\x03"
        wire.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        wire.rest()
    with Pod(handle) as p, Edge({"acme.yaml": acme(p)}, workers) as e:
        assert e.status(URL) == 502
        assert any("does not speak TLS" in r and p.address in r for r in reasons(e))


def test_a_pod_that_stalls_in_the_handshake_is_late(workers):
    with Pod(lambda wire: wire.rest()) as p:
        with Edge({"acme.yaml": acme(p)}, workers, timeouts={"connect": "300ms"}) as e:
            assert e.status(URL) == 504
            assert any("not done in time" in r for r in reasons(e))
            assert e.request(URL, method="POST", body=b"x" * 2_000_000).status == 504


def test_a_pod_that_hangs_up_in_the_handshake_is_a_502(workers):
    with Pod(lambda wire: wire.sock.recv(1)) as p, Edge({"acme.yaml": acme(p)}, workers) as e:
        assert e.status(URL) == 502
        assert any("breaks the connection" in r for r in reasons(e))


def test_a_dead_pod_is_refused_and_no_tls_is_blamed(workers, authority):
    p = EchoPod("web", tls=authority.issue(NAME))
    with Edge({"acme.yaml": acme(p)}, workers) as e:
        p.stop()
        assert e.status(URL) == 502 and reasons(e) == []


# ---- what passes ----
def test_connections_are_kept(workers, authority):
    with EchoPod("web", tls=authority.issue(NAME)) as p, Edge({"acme.yaml": verified(authority, p)}, workers) as e:
        for _ in range(50):
            assert e.status(URL) == 200
        assert p.accepted <= workers
        assert backend(e, p)["idle"] == p.accepted


def test_one_connection_serves_all_workers_in_turn(workers, authority):
    """A capped TLS connection can't be lent; it is closed for who waits elsewhere."""
    with EchoPod("web", tls=authority.issue(NAME)) as p:
        with Edge({"acme.yaml": acme(p, max_connections_per_pod="1")}, workers) as e:
            with contextlib.ExitStack() as stack:
                wires = [stack.enter_context(e.connect()) for _ in range(12)]
                for _ in range(3):
                    for wire in wires:
                        wire.send(GET)
                    assert [wire.read_response().status for wire in wires] == [200] * 12


def test_big_bodies_both_ways(workers, authority):
    size = 10 << 20

    def handle(wire):
        while request := wire.read_request():
            assert len(request.body) == size
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + request.body)
    body = bytes(range(256)) * (size // 256)
    with Pod(handle, "web", tls=authority.issue(NAME)) as p, Edge({"acme.yaml": verified(authority, p)}, workers) as e:
        for _ in range(2):
            answer = e.request(URL, method="POST", body=body)
            assert answer.status == 200 and answer.body == body
        with e.connect() as wire:
            piece = b"%x\r\n" % 65536 + body[:65536] + b"\r\n"
            wire.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            threading.Thread(target=wire.send, args=(piece * (size // 65536) + b"0\r\n\r\n",), daemon=True).start()
            assert wire.read_response().body == body[:65536] * (size // 65536)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_both_versions(workers, authority, version):
    with EchoPod("web", tls=authority.issue(NAME)) as p:
        p.context.minimum_version = p.context.maximum_version = version
        with Edge({"acme.yaml": verified(authority, p)}, workers) as e:
            assert [e.status(URL) for _ in range(5)] == [200] * 5 and p.accepted <= workers


def test_a_body_that_only_the_end_delimits_must_end_as_tls_ends(workers, authority):
    def handle(wire):
        request = wire.read_request()
        wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        if request.target == "/whole":
            wire.sock.unwrap()
    with Pod(handle, "web", tls=authority.issue(NAME)) as p, Edge({"acme.yaml": verified(authority, p)}, workers) as e:
        assert e.request(URL + "whole").body == b"all of it"
        with pytest.raises((Closed, OSError, ValueError, AssertionError)):
            with e.connect() as wire:
                wire.send(f"GET /cut HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
                wire.read_response()


def test_a_websocket(workers, authority):
    def handle(wire):
        assert wire.read_request().get("upgrade") == "websocket"
        key = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        wire.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n")
        TcpEchoPod.echo(wire)
    with Pod(handle, "web", tls=authority.issue(NAME)) as p:
        with Edge({"acme.yaml": acme(p, protocol="kubernetes.io/wss")}, workers) as e, e.connect() as wire:
            wire.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            assert wire.read_response().status == 101
            wire.send(b"\x81\x05hello" * 1000)
            assert wire.need(7000) == b"\x81\x05hello" * 1000
            # A drop that takes the pod's network back cuts it, whatever layers it has.
            e.drop("acme.yaml", tenant("acme", pod(p, app="web"), https_service(protocol="kubernetes.io/wss"),
                                       plain_ingress(rule(HOST, "web")), network={"allow": ["10.0.0.0/8"]}))
            with contextlib.suppress(ConnectionResetError):
                assert wire.sock.recv(1) == b""


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_a_proxy_header_comes_before_tls(workers, authority, http):
    lines = []

    class Introduced(Pod):
        def serve(self, sock):
            line = b""
            while not line.endswith(b"\r\n"):
                line += sock.recv(1)
            lines.append(line)
            super().serve(sock)

    def handle(wire):
        if http == "2":
            return H2Pod.talk(answers, wire, {})
        while wire.read_request():
            wire.send(ANSWER)
    answers = H2Pod.__new__(H2Pod)
    answers.heads, answers.answer = [], lambda c, stream, a: reply(c, stream, body=b"ok")
    with Introduced(handle, "web", tls=authority.issue(NAME)) as p:
        p.context.set_alpn_protocols(["h2" if http == "2" else "http/1.1"])
        drop = acme(p, ingress_marks={"proxy_protocol": "v1"}, backend_http_version=http)
        with Edge({"acme.yaml": drop}, workers) as e:
            assert [e.request(URL).body for _ in range(3)] == [b"ok"] * 3
            assert len(lines) == 3 and all(line.startswith(b"PROXY TCP4 127.0.0.1 ") for line in lines)


def test_tls_that_is_passed_through_is_not_wrapped_again(workers, authority):
    with EchoPod("web", tls=authority.issue(HOST)) as p:
        drop = tenant("acme", pod(p, app="web"), https_service(), ingress(rule(HOST, "web"), tls_passthrough="true"))
        with Edge({"acme.yaml": drop}, workers, authority) as e:
            assert e.status(f"https://{HOST}/") == 200


# ---- HTTP/2 ----
@contextlib.contextmanager
def h2_pod(authority, answer, alpn=("h2",), **values):
    with H2Pod(answer, **values) as p:
        p.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        p.context.load_cert_chain(*map(str, authority.issue(NAME)))
        p.context.set_alpn_protocols(list(alpn))
        yield p


def test_http2_over_tls(workers, authority):
    with h2_pod(authority, lambda c, stream, a: reply(c, stream, body=a.body or b"none")) as p:
        with Edge({"acme.yaml": verified(authority, p, backend_http_version="2")}, workers) as e:
            assert e.request(URL).body == b"none"
            assert e.request(URL, method="POST", body=b"x" * 16_000).body == b"x" * 16_000
            assert {h[":scheme"] for h in p.heads} == {"https"} and p.accepted <= workers


def test_a_pod_that_does_not_agree_on_http2_is_a_502(workers, authority):
    with EchoPod("web", tls=authority.issue(NAME)) as p:
        with Edge({"acme.yaml": acme(p, backend_http_version="2")}, workers) as e:
            assert e.status(URL) == 502 and any("HTTP/2 over TLS" in r for r in reasons(e))


def test_grpc_over_tls(workers, authority):
    chain, key = authority.issue(NAME)
    with NodePod("grpc_pod.js", more=(chain, key)) as p:
        with Edge({"acme.yaml": verified(authority, p, backend_http_version="2")}, workers, authority,
                  certificates=[(f"*.{ACME}",)]) as e:
            where = f"127.0.0.1:{e.https_port}", HOST, authority.ca
            assert node("grpc_client.js", *where, "unary") == {"head": "h", "reply": "re:hello", "status": OK}
            assert node("grpc_client.js", *where, "big")["reply"] == (3 << 20) + 3
            assert node("grpc_client.js", *where, "upload") == {"reply": "2000 6000000", "status": OK}
            assert node("grpc_client.js", *where, "download") == {"count": 2000, "bytes": 6_000_000, "status": OK}


# ---- checks ----
CHECKS = {"health_path": "/healthz", "health_interval": "500ms", "health_timeout": "500ms", "health_unhealthy": "1",
          "health_healthy": "1"}


def test_checks_ask_over_tls(workers, authority):
    well = [True]

    def handle(wire):
        while request := wire.read_request():
            bad = request.target == "/healthz" and not well[0]
            wire.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" if bad else ANSWER)
    with Pod(handle, "web", tls=authority.issue(NAME)) as p:
        with Edge({"acme.yaml": verified(authority, p, **CHECKS)}, workers) as e:
            assert e.status(URL) == 200
            well[0] = False
            eventually(lambda: backend(e, p)["state"] == "notReady")
            assert "it answers 503" in backend(e, p)["reason"] and e.status(URL) == 503
            well[0] = True
            eventually(lambda: e.status(URL) == 200)


def test_checks_verify(workers, authority, stranger):
    with EchoPod("web", tls=stranger.issue(NAME)) as p:
        with Edge({"acme.yaml": verified(authority, p, **CHECKS)}, workers) as e:
            eventually(lambda: backend(e, p)["state"] == "notReady")
            assert "signed by no authority" in backend(e, p)["reason"] and not p.requests


@pytest.mark.parametrize("secure", [True, False], ids=["TLS", "h2c"])
def test_checks_ask_in_http2(workers, authority, secure):
    well = [True]

    def answer(c, stream, a):
        health = dict(a.heads[0])[":path"] == "/healthz"
        reply(c, stream, body=b"ok", status="200" if well[0] or not health else "500")
    with (h2_pod(authority, answer) if secure else H2Pod(answer)) as p:
        drop = (verified(authority, p, backend_http_version="2", **CHECKS) if secure else
                acme(p, protocol="kubernetes.io/h2c", **CHECKS))
        with Edge({"acme.yaml": drop}, workers) as e:
            eventually(lambda: any(h[":path"] == "/healthz" for h in p.heads))
            assert e.status(URL) == 200
            well[0] = False
            eventually(lambda: backend(e, p)["state"] == "notReady")
            assert "it answers 500" in backend(e, p)["reason"]
            well[0] = True
            eventually(lambda: e.status(URL) == 200)


def test_a_check_that_finds_another_protocol_says_so(workers):
    with Pod(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as p, Edge({"acme.yaml": acme(p, protocol="kubernetes.io/h2c", **CHECKS)}, workers) as e:
        eventually(lambda: backend(e, p)["state"] == "notReady")
        assert "its health check fails" in backend(e, p)["reason"]


@pytest.mark.parametrize("name, value, complaint", [
    ("backend-verify", "yes", "is not on or off"), ("backend-http-version", "3", "is not 1.1 or 2"),
    ("backend-server-name", "web", "is not a host's name with a dot"), ("backend-ca-secret", "A/B", "is not a Secret's name"),
    ("backend-ca", "x", "there is no such annotation"),
])
def test_values_that_are_wrong_are_said_at_their_place(name, value, complaint):
    annotation_is_refused(https_service(), name, value, complaint)
