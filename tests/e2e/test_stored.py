# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that lie on disk, an authority's challenges, and tickets over restarts; stored by tests/thirdparty/keeper.c."""
import concurrent.futures
import contextlib
import json
import os
import socket
import sqlite3
import ssl
import subprocess
import time

import pytest

from edge import BUILD, ROOT, Edge, eventually
from objects import ACME, GLOBEX, ingress, pod, rule, secret, service, tenant
from pod import EchoPod
from tls import alert_of, hello

SHOP = "shop.example.com"
HANDSHAKE_FAILURE, INTERNAL_ERROR, UNRECOGNIZED_NAME, NO_APPLICATION_PROTOCOL = 40, 80, 112, 120
LATER = int(time.time()) + 86400


@pytest.fixture(scope="module")
def keeper(tmp_path_factory):
    """The folder of keeper.so."""
    folder = tmp_path_factory.mktemp("keeper")
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC",
                    "-shared", "-I", ROOT, "-o", folder / "keeper.so", ROOT / "tests/thirdparty/keeper.c"], check=True)
    return folder


class Kept(Edge):
    """An edge with the keeper; what it keeps is named by tenant, whose UID is found once the tenant is known."""

    def __init__(self, keeper, conf_d, workers=1, authority=None, **options):
        super().__init__(conf_d, workers, authority, modules=["keeper", "sni", "http", "tcp"],
                         module_path=[keeper, BUILD / "modules"], **options)
        self.list = self.folder / "list"
        self.list.write_text("")
        read = [str(authority.folder)] if authority else []  # the jail does not know the keeper's files
        self.write_yaml({**self.content, "keeper": {"list": str(self.list)}, "jail_read": read})

    def uids(self):
        """Tenant -> UID; the edge must not run."""
        with contextlib.closing(sqlite3.connect(self.state / "ringress.db")) as db:
            rows = db.execute("SELECT key, value FROM row").fetchall()
        found = {}
        for key, value in rows:
            kind, _, name = key.partition("/")
            if kind == "tenant":
                found[name] = json.loads(value)["uid"]
        return found

    def keep(self, *lines):
        """certificate lines hold a tenant's name in the place of its UID. Then the edge is started anew."""
        if self.process:
            self.stop()
        uids = self.uids()
        out = []
        for words in lines:
            words = [str(w) for w in words]
            if words[0] == "certificate":
                words[2] = uids.get(words[2], words[2])
            out.append(" ".join(words) + "\n")
        self.list.write_text("".join(out))
        self.start()


def certificate(id, tenant, pair, *names, not_after=LATER):
    return ("certificate", id, tenant, not_after, *pair, *names)


def shown(e, name):
    """The names in the certificate that is shown for this one."""
    with e.connect_tls(name) as wire:
        return {value for _, value in wire.sock.getpeercert()["subjectAltName"]}


def refusal(e, name, alpn=("http/1.1",)):
    with e.connect(e.https_port) as wire:
        wire.send(hello(name, alpn))
        return alert_of(wire.rest())


@pytest.fixture(scope="module")
def pods():
    with EchoPod("web") as web:
        yield web


def shop_of(name, web, *more, **spec):
    return tenant(name, pod(web), service("web"), ingress(rule(SHOP, "web"), tls=[SHOP]), *more, domains=[SHOP], **spec)


# ---- which certificate ----
def test_a_stored_certificate_serves_its_tenant_and_name_on_every_worker(keeper, pods, workers, authority):
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, workers, authority) as e:
        assert refusal(e, SHOP) == HANDSHAKE_FAILURE
        e.keep(certificate("c1", "acme", authority.issue(SHOP), SHOP))
        for _ in range(4 * workers):
            assert shown(e, SHOP) == {SHOP}
        assert e.echo(f"https://{SHOP}/")["pod"] == "web"
        done = e.curl("-w", "%{ssl_verify_result} %{http_code}", f"https://{SHOP}/")
        assert done.stdout.endswith("0 200"), done


def test_a_tenants_certificate_is_never_shown_for_another_tenant(keeper, pods, authority):
    globex = tenant("globex", pod(pods), service("web"), ingress(rule(f"web.{GLOBEX}", "web")))
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods), "globex.yaml": globex}, 1, authority) as e:
        pair = authority.issue(SHOP, f"*.{GLOBEX}")
        e.keep(certificate("c1", "acme", pair, SHOP, f"*.{GLOBEX}", f"web.{GLOBEX}"),
               certificate("c2", "globex", pair, SHOP))
        assert shown(e, SHOP) == {SHOP, f"*.{GLOBEX}"}  # the one of acme
        assert refusal(e, f"web.{GLOBEX}") == HANDSHAKE_FAILURE


def test_the_tenants_secret_comes_first_then_the_stored_then_the_operators(keeper, pods, authority):
    exact, wild, none = f"exact.{ACME}", f"wild.{ACME}", f"none.{ACME}"
    acme = tenant("acme", pod(pods), service("web"), secret("own", *authority.issue(exact)),
                  ingress(rule(exact, "web"), rule(wild, "web"), rule(none, "web"), tls=[((exact,), "own")]))
    with Kept(keeper, {"acme.yaml": acme}, 1, authority, certificates=[(f"*.{ACME}",)]) as e:
        e.keep(certificate("c1", "acme", authority.issue(exact, wild), exact, wild),
               certificate("c2", "acme", authority.issue(none, serial=1), none, not_after=int(time.time()) - 5))
        assert shown(e, exact) == {exact}
        assert shown(e, wild) == {exact, wild}
        assert shown(e, none) == {f"*.{ACME}"}  # its own has expired


def test_an_expired_certificate_is_shown_when_there_is_no_other(keeper, pods, authority):
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, 1, authority) as e:
        e.keep(certificate("c1", "acme", authority.issue(SHOP), SHOP, not_after=int(time.time()) - 5))
        assert shown(e, SHOP) == {SHOP}
        assert e.status(f"http://{SHOP}/") == 503


def test_files_that_are_gone_are_an_internal_error_and_a_line_in_the_log(keeper, pods, authority, tmp_path):
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, 1, authority) as e:
        e.keep(certificate("c1", "acme", (tmp_path / "gone.pem", tmp_path / "gone.key"), SHOP))
        for _ in range(3):
            assert refusal(e, SHOP) == INTERNAL_ERROR
        assert e.log_text().count("certificate c1: ") == 1


def test_many_first_names_at_once_are_all_served(keeper, pods, workers, authority):
    names = [f"n{i}.{ACME}" for i in range(300)]
    acme = tenant("acme", pod(pods), service("web"), ingress(*(rule(n, "web") for n in names)))
    with Kept(keeper, {"acme.yaml": acme}, workers, authority, tls={"cache": 16}) as e:
        pair = authority.issue(f"*.{ACME}")
        e.keep(*(certificate(f"c{i}", "acme", pair, n) for i, n in enumerate(names)))
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: e.status(f"https://{n}/"), names))
        assert answers == [200] * len(names)


def test_a_client_that_goes_while_its_certificate_is_read_harms_nothing(keeper, pods, authority):
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, 1, authority) as e:
        e.keep(certificate("c1", "acme", authority.issue(SHOP), SHOP))
        first = hello(SHOP)
        for cut in (len(first), len(first) - 1):
            with e.connect(e.https_port) as wire:
                wire.send(first[:cut])
                wire.send(first[cut:] + b"\x17\x03\x03")
        assert shown(e, SHOP) == {SHOP}


# ---- until the first one comes ----
def test_a_redirecting_host_answers_503_until_there_is_a_certificate(keeper, pods, authority):
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, 1, authority) as e:
        answer = e.request(f"http://{SHOP}/")
        assert answer.status == 503 and int(answer.get("Retry-After")) > 0
        assert refusal(e, SHOP) == HANDSHAKE_FAILURE
        e.keep(certificate("c1", "acme", authority.issue(SHOP), SHOP))
        assert e.status(f"http://{SHOP}/") == 308


# ---- challenges ----
TOKEN = "/.well-known/acme-challenge/"


def test_a_token_of_ours_is_answered_on_every_worker_before_any_redirect(keeper, pods, workers, authority):
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, workers, authority) as e:
        e.keep(("http", SHOP, "tok_-1", "tok_-1.thumb"))
        for _ in range(4 * workers):
            answer = e.request(f"http://{SHOP}{TOKEN}tok_-1")
            assert (answer.status, answer.body) == (200, b"tok_-1.thumb")
        assert e.request(f"http://{SHOP}{TOKEN}tok_-1", method="HEAD").status == 200
        assert e.request(f"http://{SHOP}:80{TOKEN}tok_-1?x", host=f"{SHOP}:80").body == b"tok_-1.thumb"
        assert e.status(f"http://{SHOP}{TOKEN}tok_-1", method="POST") == 503  # as any other request
        assert e.status(f"http://web.{ACME}{TOKEN}tok_-1") == 404


def test_a_token_that_is_not_ours_goes_to_the_pod_and_is_not_redirected(keeper, pods, authority):
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, 1, authority) as e:
        e.keep(certificate("c1", "acme", authority.issue(SHOP), SHOP), ("http", SHOP, "ours", "ours.thumb"))
        for token in ("theirs", "ours2"):
            answer = e.request(f"http://{SHOP}{TOKEN}{token}")
            assert answer.status == 200 and answer.get("X-Pod") == "web"
        for path in (TOKEN, TOKEN + "a/b", TOKEN[:-1], TOKEN + "a.b", "/x" + TOKEN + "a"):
            assert e.status(f"http://{SHOP}{path}") == 308
        assert e.request(f"https://{SHOP}{TOKEN}ours").get("X-Pod") == "web"  # by TLS it is a request as any


def alpn_handshake(e, name, protocols=("acme-tls/1",), version=None):
    """(certificate as DER, protocol, what the edge says after the handshake)"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    if version:
        context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", e.https_port), 20) as raw:
        with context.wrap_socket(raw, server_hostname=name) as tls:
            return tls.getpeercert(True), tls.selected_alpn_protocol(), tls.recv(100)


def der(pem):
    return ssl.PEM_cert_to_DER_cert(pem.read_text())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_acme_tls_1_shows_the_challenge_and_ends(keeper, pods, workers, authority, version):
    proof = authority.issue(SHOP, serial=99)
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, workers, authority) as e:
        e.keep(certificate("c1", "acme", authority.issue(SHOP), SHOP), ("alpn", SHOP, *proof))
        for _ in range(2 * workers):
            assert alpn_handshake(e, SHOP, version=version) == (der(proof[0]), "acme-tls/1", b"")
        with e.connect_tls(SHOP) as wire:  # who comes for the web sees the web's
            assert wire.sock.getpeercert(True) == der(authority.issue(SHOP)[0])
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{e.https_port}", "-servername", SHOP,
                               "-alpn", "acme-tls/1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        assert "ALPN protocol: acme-tls/1" in done.stdout


def test_acme_tls_1_without_a_challenge_is_refused_as_the_rfc_says(keeper, pods, authority):
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, 1, authority) as e:
        e.keep(certificate("c1", "acme", authority.issue(SHOP), SHOP))
        assert refusal(e, SHOP, ("acme-tls/1",)) == NO_APPLICATION_PROTOCOL
        assert refusal(e, "nobody.example.com", ("acme-tls/1",)) == UNRECOGNIZED_NAME
        gnutls = subprocess.run(["gnutls-cli", "--insecure", "--alpn=acme-tls/1", "-p", str(e.https_port),
                                 "--sni-hostname", SHOP, "127.0.0.1"], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=20)
        assert "No supported application protocol" in gnutls.stdout + gnutls.stderr


def test_a_challenge_among_other_protocols_is_no_challenge(keeper, pods, authority):
    proof = authority.issue(SHOP, serial=98)
    with Kept(keeper, {"acme.yaml": shop_of("acme", pods)}, 1, authority) as e:
        e.keep(certificate("c1", "acme", authority.issue(SHOP), SHOP), ("alpn", SHOP, *proof))
        context = e.context()
        context.set_alpn_protocols(["acme-tls/1", "http/1.1"])
        with e.connect_tls(SHOP, context) as wire:
            assert wire.sock.selected_alpn_protocol() == "http/1.1"
            assert wire.sock.getpeercert(True) == der(authority.issue(SHOP)[0])


def test_acme_tls_1_of_a_passed_through_name_goes_to_the_pod(keeper, authority):
    with EchoPod("own", tls=authority.issue(SHOP)) as own:
        acme = tenant("acme", pod(own), service("own"),
                      ingress(rule(SHOP, "own"), tls=[SHOP], tls_passthrough="true"), domains=[SHOP])
        with Kept(keeper, {"acme.yaml": acme}, 1, authority) as e:
            context = e.context()
            context.set_alpn_protocols(["acme-tls/1"])
            with e.connect_tls(SHOP, context) as wire:
                assert wire.sock.getpeercert(True) == der(authority.issue(SHOP)[0])


# ---- tickets over restarts ----
def session_after_request(e, context, name, session=None):
    with e.connect_tls(name, context, session) as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")
        assert wire.read_response().status in (200, 404)
        return wire.sock.session_reused, wire.sock.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_survives_a_restart(pods, workers, authority, version):
    acme = tenant("acme", pod(pods), service("web"), ingress(rule(f"web.{ACME}", "web")))
    with Edge({"acme.yaml": acme}, workers, authority, certificates=[(f"*.{ACME}",)]) as e:
        context = e.context()
        context.minimum_version = context.maximum_version = version
        _, session = session_after_request(e, context, f"web.{ACME}")
        keys = e.state / "ticket-keys"
        assert keys.stat().st_mode & 0o777 == 0o600
        e.restart()
        assert session_after_request(e, context, f"web.{ACME}", session)[0]
        e.stop()
        keys.unlink()
        e.start()
        assert not session_after_request(e, context, f"web.{ACME}", session)[0]


def test_ticket_keys_that_can_not_be_read_cost_handshakes_and_nothing_else(pods, authority):
    acme = tenant("acme", pod(pods), service("web"), ingress(rule(f"web.{ACME}", "web")))
    with Edge({"acme.yaml": acme}, 1, authority, certificates=[(f"*.{ACME}",)]) as e:
        context = e.context()
        keys = e.state / "ticket-keys"
        for harm in (lambda: keys.write_text("junk"), lambda: keys.chmod(0o644)):
            _, session = session_after_request(e, context, f"web.{ACME}")
            e.stop()
            harm()
            e.start()
            assert not session_after_request(e, context, f"web.{ACME}", session)[0]
            assert "ticket keys: " in e.log_text()
            assert keys.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_does_not_follow_a_name_to_another_tenant(pods, authority, version):
    def serving(name, **spec):
        return tenant(name, pod(pods), service("web"), ingress(rule(SHOP, "web"), tls=[SHOP]), **spec)
    with Edge({"acme.yaml": serving("acme", domains=[SHOP])}, 1, authority, certificates=[(SHOP,)]) as e:
        context = e.context()
        context.minimum_version = context.maximum_version = version
        _, session = session_after_request(e, context, SHOP)
        assert session_after_request(e, context, SHOP, session)[0]
        e.remove("acme.yaml")
        eventually(lambda: e.tenant("acme") is None)
        e.drop("globex.yaml", serving("globex", domains=[SHOP]))
        eventually(lambda: e.status(f"https://{SHOP}/") == 200 if e.tenant("globex") else False)
        assert not session_after_request(e, context, SHOP, session)[0]
        e.restart()
        assert not session_after_request(e, context, SHOP, session)[0]
