# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS by name: which certificate, which refusal, what a ticket is good for, and what goes through untouched."""
import contextlib
import ctypes
import socket
import ssl
import subprocess
import time

import pytest

from edge import ROOT, Edge, eventually
from objects import ACME, GLOBEX, ingress, pod, rule, secret, service, tenant
from pod import EchoPod, Pod, TcpEchoPod
from tls import INTERNAL_ERROR, UNRECOGNIZED_NAME, handshake, hello, in_records, refusal

WEB, EXACT = f"web.{ACME}", f"exact.{ACME}"
UNEXPECTED_MESSAGE, HANDSHAKE_FAILURE, DECODE_ERROR, PROTOCOL_VERSION = 10, 40, 50, 70


@pytest.fixture(scope="module")
def e(workers, authority):
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(EchoPod("web"))
        own = stack.enter_context(EchoPod("own", tls=authority.issue(f"through.{ACME}", serial=7)))
        raw = stack.enter_context(TcpEchoPod("raw"))
        acme = tenant(
            "acme", pod(web), service("web"), secret("exact-tls", *authority.issue(EXACT)),
            ingress(rule(WEB, "web"), rule(EXACT, "web"), tls=[f"*.{ACME}", ((EXACT,), "exact-tls")]),
            pod(own), service("own"), pod(raw), service("raw"), service("nobody"),
            ingress(rule(f"through.{ACME}", "own"), rule(f"raw.{ACME}", "raw"), rule(f"empty.{ACME}", "nobody"),
                    name="through", tls_passthrough="true"))
        globex = tenant("globex", pod(web), service("web"), ingress(rule(f"web.{GLOBEX}", "web")))
        bare = tenant("bare", pod(web), service("web"), ingress(rule("web.bare.1d.pt", "web")))
        yield stack.enter_context(Edge(
            {"acme.yaml": acme, "globex.yaml": globex, "bare.yaml": bare}, workers, authority,
            certificates=[(f"*.{ACME}",), (f"*.{GLOBEX}", GLOBEX)], timeouts={"header": "700ms"}))


def names_of(wire):
    return {value for _, value in wire.sock.getpeercert()["subjectAltName"]}


def ask(wire, host):
    wire.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
    return wire.read_response()


# ---- which certificate ----
def test_an_exact_certificate_comes_before_a_wildcard(e):
    with e.connect_tls(EXACT) as wire:
        assert names_of(wire) == {EXACT}
    with e.connect_tls(WEB) as wire:
        assert names_of(wire) == {f"*.{ACME}"}


def test_a_name_is_compared_without_case(e):
    context = e.context()
    context.check_hostname = False
    with e.connect_tls(EXACT.upper(), context) as wire:
        assert names_of(wire) == {EXACT}


def test_a_name_below_the_domain_that_has_no_certificate_is_a_handshake_failure(e):
    assert refusal(e, hello("web.bare.1d.pt")) == HANDSHAKE_FAILURE


def test_a_certificate_that_is_dropped_again_is_served_at_once(workers, authority):
    first, second = authority.issue(EXACT), authority.issue(EXACT, serial=1)
    with EchoPod("web") as web:
        def acme(pair):
            return tenant("acme", pod(web), service("web"), secret("t", *pair),
                          ingress(rule(EXACT, "web"), tls=[((EXACT,), "t")]))

        def served():
            with e.connect_tls(EXACT) as wire:
                return ssl.DER_cert_to_PEM_cert(wire.sock.getpeercert(True))
        with Edge({"acme.yaml": acme(first)}, workers, authority) as e:
            assert served().strip() in first[0].read_text()
            with e.connect_tls(EXACT) as old:
                e.drop("acme.yaml", acme(second))
                eventually(lambda: served().strip() in second[0].read_text())
                assert ask(old, EXACT).status == 200


# ---- who is refused, and how ----
def test_an_unknown_name_is_an_unrecognized_name(e):
    for name in ("nobody.example.org", "localhost", "1d.pt"):
        assert refusal(e, hello(name)) == UNRECOGNIZED_NAME


def test_no_name_an_address_and_a_final_dot_are_unrecognized_names(e):
    assert refusal(e, hello(None)) == UNRECOGNIZED_NAME
    assert refusal(e, hello("a-placeholder").replace(b"a-placeholder", b"127.000.000.1")) == UNRECOGNIZED_NAME
    name = WEB.encode()
    assert refusal(e, hello("x" + WEB).replace(b"x" + name, name + b".")) == UNRECOGNIZED_NAME


def test_curl_and_openssl_see_the_alert(e):
    done = e.curl("https://nobody.example.org/")
    assert done.returncode == 35 and "unrecognized name" in done.stderr.lower().replace("_", " ")
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{e.https_port}", "-servername", "no.example"],
                          input="", capture_output=True, text=True, timeout=20)
    assert "unrecognized name" in done.stderr


def test_garbage_is_refused_with_an_alert(e):
    assert refusal(e, b"\x00\x01\x02\x03") == UNEXPECTED_MESSAGE
    assert refusal(e, b"\x16\x03\x01\x00\x00") == DECODE_ERROR
    assert refusal(e, b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10") == PROTOCOL_VERSION


def test_plain_http_on_the_tls_port_is_closed(e):
    with e.connect(e.https_port) as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n")
        assert wire.rest() == b""


def test_silence_is_closed_after_the_header_timeout(e):
    for start in (b"", hello(WEB)[:50]):
        begin = time.monotonic()
        with e.connect(e.https_port) as wire:
            wire.send(start)
            wire.rest()
            assert 0.5 < time.monotonic() - begin < 8


def test_silence_after_the_hello_is_closed_too(e):
    with e.connect(e.https_port) as wire:
        wire.send(hello(WEB))
        begin = time.monotonic()
        assert wire.rest()
        assert time.monotonic() - begin < 8


# ---- any fragmentation ----
def cut_bytes(first, data):
    return (data[i:i + 1] for i in range(len(data)))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_one_byte_at_a_time_is_a_handshake(e, version):
    context = e.context()
    context.minimum_version = context.maximum_version = version
    with e.connect(e.https_port) as wire:
        inside = handshake(wire, context, WEB, cut_bytes)
        assert inside.ask(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_hello_in_several_records_is_a_hello(e, size):
    def cut(first, data):
        return [in_records(data, size)] if first else [data]
    with e.connect(e.https_port) as wire:
        inside = handshake(wire, e.context(), WEB, cut)
        assert inside.ask(f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")


def test_a_hello_of_almost_16_kib_is_a_hello(e):
    names = [f"protocol-{i:04}-{'x' * 200}" for i in range(70)]
    context = e.context()
    context.set_alpn_protocols([*names, "http/1.1"])
    with e.connect_tls(WEB, context) as wire:
        assert ask(wire, WEB).status == 200


# ---- versions, protocols ----
@pytest.mark.parametrize("version, said", [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_tls_1_2_and_1_3_are_spoken(e, version, said):
    context = e.context()
    context.minimum_version = context.maximum_version = version
    with e.connect_tls(WEB, context) as wire:
        assert wire.sock.version() == said
        assert ask(wire, WEB).status == 200


def test_a_higher_least_version_is_kept(workers, authority):
    with EchoPod("web") as web:
        acme = tenant("acme", pod(web), service("web"), ingress(rule(WEB, "web")))
        tls = {"min_version": "1.3"}
        with Edge({"acme.yaml": acme}, workers, authority) as e:
            e.content["tls"] = {**tls, "certificates": [e.certificate((f"*.{ACME}",))]}
            e.write_yaml(e.content)
            e.restart()
            context = e.context()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
                e.connect_tls(WEB, context)
            with e.connect_tls(WEB) as wire:
                assert wire.sock.version() == "TLSv1.3"


def test_alpn_chooses_http_2_where_it_is_offered(e):
    for offered in (["http/1.1"], ["h2"], ["h2", "http/1.1"]):
        context = e.context()
        context.set_alpn_protocols(offered)
        with e.connect_tls(WEB, context) as wire:
            assert wire.sock.selected_alpn_protocol() == offered[0]


def test_curl_speaks_to_it_with_verification(e):
    done = e.curl("-w", "%{ssl_verify_result} %{http_code}", f"https://{WEB}/")
    assert done.stdout.endswith("0 200"), done


def test_openssl_finds_chain_and_name_in_order(e):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{e.https_port}", "-servername", EXACT,
                           "-CAfile", e.authority.ca, "-verify_return_error", "-verify_hostname", EXACT, "-brief"],
                          input="", capture_output=True, text=True, timeout=20)
    assert "Verification: OK" in done.stderr, done.stderr


def test_the_hybrid_post_quantum_key_exchange_is_spoken(e, tmp_path):
    wolfssl = ROOT / "build/deps/prefix"
    subprocess.run(["cc", "-std=gnu17", "-I", wolfssl / "include", "-o", tmp_path / "pq_client",
                    ROOT / "tests/e2e/pq_client.c", "-L", wolfssl / "lib", "-lwolfssl", "-lm", "-lpthread"], check=True)
    done = subprocess.run([tmp_path / "pq_client", str(e.https_port), WEB, e.authority.ca],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout == "TLSv1.3 X25519MLKEM768\n", done


def test_the_end_of_a_tls_connection_is_announced(e):
    with e.connect_tls(WEB) as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {WEB}\r\nConnection: close\r\n\r\n")
        wire.sock.suppress_ragged_eofs = False
        assert wire.read_response().status == 200
        assert wire.at_end()  # without close_notify this raises


def test_key_updates_whose_answers_nobody_reads_end_the_connection(e):
    lib = ctypes.CDLL("libssl.so.3")
    for function in (lib.TLS_client_method, lib.SSL_CTX_new, lib.SSL_new):
        function.restype = ctypes.c_void_p
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", e.https_port))
        context = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
        client = ctypes.c_void_p(lib.SSL_new(context))
        lib.SSL_ctrl(client, 55, 0, WEB.encode())  # SSL_CTRL_SET_TLSEXT_HOSTNAME
        lib.SSL_set_fd(client, sock.fileno())
        assert lib.SSL_connect(client) == 1
        request = f"GET / HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode()
        assert lib.SSL_write(client, request, len(request)) == len(request)
        assert lib.SSL_read(client, ctypes.create_string_buffer(4096), 4096) > 0
        sent = 0  # an idle connection now, which may stay for long
        while lib.SSL_key_update(client, 1) == 1 and lib.SSL_do_handshake(client) == 1:
            sent += 1
            assert sent < 1_000_000
        lib.SSL_free(client)
        lib.SSL_CTX_free(context)
    assert sent > 1000


# ---- tickets ----
def session_after_request(e, context, name, session=None):
    """(was it resumed, a session to resume it with)"""
    with e.connect_tls(name, context, session) as wire:
        assert ask(wire, name).status in (200, 404)
        return wire.sock.session_reused, wire.sock.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_is_good_on_every_worker(e, version):
    context = e.context()
    context.minimum_version = context.maximum_version = version
    reused, session = session_after_request(e, context, WEB)
    assert not reused
    for _ in range(12):
        reused, session = session_after_request(e, context, WEB, session)
        assert reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("other", [f"web.{GLOBEX}", f"another.{ACME}"])
def test_a_ticket_is_good_for_its_own_name_only(e, version, other):
    context = e.context()
    context.minimum_version = context.maximum_version = version
    _, session = session_after_request(e, context, WEB)
    reused, _ = session_after_request(e, context, other, session)
    assert not reused


def test_a_ticket_survives_a_new_drop_of_its_tenant(workers, authority):
    with EchoPod("web") as web:
        acme = tenant("acme", pod(web), service("web"), ingress(rule(WEB, "web")))
        with Edge({"acme.yaml": acme}, workers, authority, certificates=[(f"*.{ACME}",)]) as e:
            context = e.context()
            _, session = session_after_request(e, context, WEB)
            e.drop("acme.yaml", acme.replace("name: web", "name: web"))
            time.sleep(0.3)
            assert session_after_request(e, context, WEB, session)[0]


# ---- passthrough ----
def test_passthrough_leaves_tls_to_the_pod(e):
    with e.connect_tls(f"through.{ACME}") as wire:
        assert names_of(wire) == {f"through.{ACME}"}
        answer = ask(wire, f"through.{ACME}")
        assert answer.get("X-Pod") == "own"
        assert "x-forwarded-for" not in answer.text.lower()


def test_passthrough_hands_on_every_byte_from_the_first(e):
    first = hello(f"raw.{ACME}")
    for data in (first, in_records(first, 11), first + b"early and not TLS at all" * 1000):
        with e.connect(e.https_port) as wire:
            wire.send(data)
            assert wire.need(len(data)) == data
            wire.finish_writing()
            assert wire.at_end()


def test_passthrough_hands_on_bytes_that_came_one_at_a_time(e):
    data = hello(f"raw.{ACME}")
    with e.connect(e.https_port) as wire:
        for piece in cut_bytes(True, data):
            wire.send(piece)
        assert wire.need(len(data)) == data


def test_passthrough_without_a_ready_pod_is_an_internal_error(e):
    assert refusal(e, hello(f"empty.{ACME}")) == INTERNAL_ERROR


def test_a_passthrough_pod_that_refuses_ends_the_connection(workers, authority):
    with Pod(None, "down") as down:
        down.stop()
        acme = tenant("acme", pod(down), service("down"),
                      ingress(rule(WEB, "down"), tls_passthrough="true"))
        with Edge({"acme.yaml": acme}, workers, authority) as e:
            with e.connect(e.https_port) as wire, contextlib.suppress(ConnectionResetError):
                wire.send(hello(WEB))
                wire.rest()
