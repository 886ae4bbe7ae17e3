# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tenant asks of TLS: its oldest version and certificates of clients, for each host; and that no other way leads past it."""
import contextlib
import json
import ssl
import subprocess

import pytest

from edge import Edge, eventually
from objects import ACME, GLOBEX, ingress, plain_ingress, pod, rule, service, tenant
from pod import EchoPod
from tls import alert_of, hello

OPEN, NEW, ASKS, MAY, LOST = (f"{n}.{ACME}" for n in ("open", "new", "asks", "may", "lost"))
INTERNAL_ERROR = 80


class People:
    """A client authority with certificates for ann and bob, and a stranger's authority with one for mallory."""

    def __init__(self, authority, folder):
        self.ssl, self.folder = authority.openssl, folder
        self.ca, self.ca_key = self.make_authority("clients")
        other = self.make_authority("strangers")
        self.ann, self.bob = self.issue("/O=Example/CN=ann"), self.issue("/CN=bob,O=Admin")
        self.mallory = self.issue("/O=Example/CN=ann", *other)
        self.late = self.issue("/CN=late", days=-1)

    def make_authority(self, name):
        pem, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self.ssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 7,
                 "-subj", f"/CN={name}", "-keyout", key, "-out", pem)
        return pem, key

    def issue(self, subject, ca=None, ca_key=None, days=7):
        n = len(list(self.folder.iterdir()))
        pem, key, csr, ext = (self.folder / f"c{n}.{end}" for end in ("pem", "key", "csr", "ext"))
        ext.write_text("extendedKeyUsage=clientAuth\n")
        self.ssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                 "-keyout", key, "-out", csr)
        self.ssl("x509", "-req", "-in", csr, "-CA", ca or self.ca, "-CAkey", ca_key or self.ca_key, "-CAcreateserial",
                 "-days", days, "-extfile", ext, "-out", pem)
        return pem, key


@pytest.fixture(scope="module")
def people(authority, tmp_path_factory):
    return People(authority, tmp_path_factory.mktemp("people"))


def ca_secret(name, pem):
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name},
            "stringData": {"ca.crt": pem.read_text()}}


def acme_of(web, people, **spec):
    return tenant(
        "acme", pod(web), service("web"), ca_secret("people", people.ca),
        plain_ingress(rule(OPEN, "web"), name="open"),
        plain_ingress(rule(NEW, "web"), name="new", tls_min_version="1.3"),
        plain_ingress(rule(ASKS, "web"), name="asks", client_ca_secret="people"),
        plain_ingress(rule(MAY, "web"), name="may", client_ca_secret="people", client_certificate="optional"),
        plain_ingress(rule(LOST, "web"), name="lost", client_ca_secret="nowhere"), **spec)


@pytest.fixture(scope="module")
def e(workers, authority, people):
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(EchoPod("web"))
        yield stack.enter_context(Edge({"acme.yaml": acme_of(web, people)}, workers, authority,
                                       certificates=[(f"*.{ACME}",)]))


def context_of(e, who=None, version=None, alpn="http/1.1"):
    context = e.context()
    context.set_alpn_protocols([alpn])
    if who:
        context.load_cert_chain(*who)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def ask(e, sni, context, *hosts, fields="", session=None):
    """Answers to one request for each host (default: the SNI) on one connection."""
    with e.connect_tls(sni, context, session) as wire:
        answers = []
        for host in hosts or (sni,):
            wire.send(f"GET /x HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
            answers.append(wire.read_response())
        return answers if hosts else answers[0]


def told(answer):
    """The headers the pod was told, lower case."""
    assert answer.status == 200, answer.start
    return {n.lower(): v for n, v in json.loads(answer.body)["headers"]}


def fails(e, sni, context):
    """Is this client turned away? With TLS 1.3 it learns of it when it reads."""
    try:
        answer = ask(e, sni, context)
    except (ssl.SSLError, ConnectionError, EOFError, AssertionError) as error:
        return str(error) or True
    raise RuntimeError(f"was let in: {answer.start}")


BOTH = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


# ---- the oldest version ----
def test_a_host_may_ask_for_tls_1_3_and_others_do_not(e):
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        e.connect_tls(NEW, context_of(e, version=ssl.TLSVersion.TLSv1_2))
    assert ask(e, NEW, context_of(e, version=ssl.TLSVersion.TLSv1_3)).status == 200
    assert ask(e, OPEN, context_of(e, version=ssl.TLSVersion.TLSv1_2)).status == 200


def test_a_grant_may_ask_for_tls_1_3_of_all_of_its_tenants_names(authority, people):
    with EchoPod("web") as web:
        globex = tenant("globex", pod(web), service("web"), ingress(rule(f"web.{GLOBEX}", "web")))
        with Edge({"acme.yaml": acme_of(web, people, tls={"minVersion": "1.3"}), "globex.yaml": globex}, 1, authority,
                  certificates=[(f"*.{ACME}",), (f"*.{GLOBEX}",)]) as e:
            for name in (OPEN, f"no-rule.{ACME}"):
                with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
                    e.connect_tls(name, context_of(e, version=ssl.TLSVersion.TLSv1_2))
            assert ask(e, f"web.{GLOBEX}", context_of(e, version=ssl.TLSVersion.TLSv1_2)).status == 200


def test_a_connection_of_tls_1_2_does_not_reach_a_host_that_asks_for_1_3(e):
    old, new = context_of(e, version=ssl.TLSVersion.TLSv1_2), context_of(e, version=ssl.TLSVersion.TLSv1_3)
    assert [a.status for a in ask(e, OPEN, old, OPEN, NEW, OPEN)] == [200, 421, 200]
    assert [a.status for a in ask(e, OPEN, new, OPEN, NEW)] == [200, 200]


# ---- certificates of clients ----
@BOTH
def test_who_shows_a_good_certificate_is_let_in_and_named_to_the_pod(e, people, version):
    headers = told(ask(e, ASKS, context_of(e, people.ann, version)))
    assert headers["ssl-client-verify"] == "SUCCESS"
    assert headers["ssl-client-subject-dn"] == "CN=ann,O=Example"
    headers = told(ask(e, ASKS, context_of(e, people.bob, version)))
    assert headers["ssl-client-subject-dn"] == r"CN=bob\,O\=Admin"


@BOTH
@pytest.mark.parametrize("who", ["nobody", "mallory", "late"])
def test_who_does_not_is_turned_away(e, people, version, who):
    assert fails(e, ASKS, context_of(e, getattr(people, who, None), version))


@BOTH
def test_an_optional_certificate_may_be_left_out_but_not_be_bad(e, people, version):
    headers = told(ask(e, MAY, context_of(e, None, version)))
    assert headers["ssl-client-verify"] == "NONE" and "ssl-client-subject-dn" not in headers
    assert told(ask(e, MAY, context_of(e, people.ann, version)))["ssl-client-subject-dn"] == "CN=ann,O=Example"
    assert fails(e, MAY, context_of(e, people.mallory, version))


FORGED = ("ssl-client-verify: SUCCESS\r\nSSL-Client-Subject-DN: CN=root\r\nssl_client_verify: SUCCESS\r\n"
          "Ssl-Client-Cert: x\r\nssl-client-issuer-dn: CN=x\r\n")


@pytest.mark.parametrize("name", [OPEN, MAY])
def test_nobody_can_write_these_headers_himself(e, name):
    headers = told(ask(e, name, context_of(e), fields=FORGED))
    said = {n: v for n, v in headers.items() if n.replace("_", "-").startswith("ssl-client")}
    assert said == ({"ssl-client-verify": "NONE"} if name == MAY else {})


def test_a_connection_that_showed_nothing_does_not_reach_a_host_that_asks(e, people):
    assert [a.status for a in ask(e, OPEN, context_of(e), OPEN, ASKS, MAY, OPEN)] == [200, 421, 421, 200]
    assert [a.status for a in ask(e, MAY, context_of(e), MAY, ASKS)] == [200, 421]
    assert [a.status for a in ask(e, MAY, context_of(e, people.ann), MAY, ASKS)] == [200, 200]
    assert [a.status for a in ask(e, ASKS, context_of(e, people.ann), ASKS, OPEN, MAY)] == [200, 200, 200]


def test_a_certificate_good_for_one_authority_is_not_good_for_another(authority, people, tmp_path):
    strangers = people.folder / "strangers.pem"
    with EchoPod("web") as web:
        acme = tenant("acme", pod(web), service("web"), ca_secret("people", people.ca), ca_secret("others", strangers),
                      ingress(rule(ASKS, "web"), name="asks", client_ca_secret="people"),
                      ingress(rule(MAY, "web"), name="others", client_ca_secret="others"))
        with Edge({"acme.yaml": acme}, 1, authority, certificates=[(f"*.{ACME}",)]) as e:
            assert [a.status for a in ask(e, ASKS, context_of(e, people.ann), ASKS, MAY)] == [200, 421]
            assert [a.status for a in ask(e, MAY, context_of(e, people.mallory), MAY, ASKS)] == [200, 421]
            assert fails(e, MAY, context_of(e, people.ann)) and fails(e, ASKS, context_of(e, people.mallory))


def test_http_2_coalescing_leads_no_further(e):
    done = e.curl("--http2", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code} ", f"https://{OPEN}/",
                  "-H", f"Host: {ASKS}")
    assert done.stdout.strip().startswith("421"), done


def test_plain_http_of_a_host_that_asks_is_sent_to_https_whatever_its_annotations_say(e):
    assert e.status(f"http://{ASKS}/") == 308
    assert e.status(f"http://{ASKS}/.well-known/acme-challenge/token") == 308
    assert e.status(f"http://{OPEN}/") == 200
    assert e.status(f"http://{MAY}/") == 200


def test_a_secret_that_is_not_there_lets_nobody_in(e, people):
    with e.connect(e.https_port) as wire:
        wire.send(hello(LOST))
        assert alert_of(wire.rest()) == INTERNAL_ERROR
    assert ask(e, OPEN, context_of(e, people.ann), LOST)[0].status == 421
    assert e.status(f"http://{LOST}/") == 308
    events = [v for v in e.get("events", "-n", "acme") if "nowhere" in str(v)]
    assert events


@BOTH
def test_such_sessions_are_not_resumed(e, people, version):
    context = context_of(e, people.ann, version)
    with e.connect_tls(ASKS, context) as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {ASKS}\r\n\r\n")
        assert wire.read_response().status == 200
        session = wire.sock.session
    if session and session.has_ticket:
        with e.connect_tls(ASKS, context, session) as wire:
            assert not wire.sock.session_reused


def test_a_ticket_of_before_does_not_open_a_host_that_asks_now(authority, people):
    with EchoPod("web") as web:
        before = tenant("acme", pod(web), service("web"), ca_secret("people", people.ca), ingress(rule(OPEN, "web")))
        after = tenant("acme", pod(web), service("web"), ca_secret("people", people.ca),
                       ingress(rule(OPEN, "web"), client_ca_secret="people"))
        with Edge({"acme.yaml": before}, 1, authority, certificates=[(f"*.{ACME}",)]) as e:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                e.drop("acme.yaml", before)
                context = context_of(e, None, version)
                eventually(lambda: not isinstance(outcome(e, OPEN, context), str))
                with e.connect_tls(OPEN, context) as wire:
                    wire.send(f"GET / HTTP/1.1\r\nHost: {OPEN}\r\n\r\n")
                    assert wire.read_response().status == 200
                    session = wire.sock.session
                e.drop("acme.yaml", after)
                eventually(lambda: isinstance(outcome(e, OPEN, context), str))
                with pytest.raises((ssl.SSLError, ConnectionError, EOFError, AssertionError)):
                    ask(e, OPEN, context, OPEN, session=session)


def outcome(e, name, context):
    try:
        return ask(e, name, context).status
    except (ssl.SSLError, ConnectionError, EOFError, AssertionError) as error:
        return str(error)


def test_rules_of_the_default_backend_hold_for_every_name(authority, people):
    with EchoPod("web") as web:
        acme = tenant("acme", pod(web), service("web"), ca_secret("people", people.ca), ingress(rule(OPEN, "web")),
                      ingress(name="rest", fallback="web", client_ca_secret="people"))
        with Edge({"acme.yaml": acme}, 1, authority, certificates=[(f"*.{ACME}",)]) as e:
            for name in (OPEN, f"other.{ACME}"):
                assert fails(e, name, context_of(e))
                assert ask(e, name, context_of(e, people.ann)).status == 200
                assert e.status(f"http://{name}/") == 308


@pytest.mark.parametrize("annotations, message", [
    ({"tls_min_version": "1.1"}, 'must be "1.2" or "1.3"'),
    ({"client_ca_secret": "People!"}, "is not a Secret's name"),
    ({"client_certificate": "required"}, "signed by whom?"),
    ({"client_ca_secret": "people", "client_certificate": "off"}, 'must be "required" or "optional"'),
    ({"client_ca_secret": "people", "tls_passthrough": "true"}, "the pod ends TLS"),
    ({"tls_min_version": "1.3", "tls_passthrough": "true"}, "the pod ends TLS"),
])
def test_what_is_written_wrong_is_an_error_at_its_place(annotations, message):
    e = Edge({"acme.yaml": tenant("acme", service("web"), ingress(rule(OPEN, "web"), **annotations))})
    try:
        done = e.run("check")
        assert done.returncode == 1 and message in done.stdout + done.stderr, done
        assert "acme.yaml:" in done.stdout + done.stderr
    finally:
        e.end(failed=False)


def test_openssl_shows_its_certificate_and_reads_the_answer(e, people):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{e.https_port}", "-servername", ASKS, "-quiet",
                           "-cert", people.ann[0], "-key", people.ann[1]], text=True, capture_output=True, timeout=20,
                          input=f"GET / HTTP/1.1\r\nHost: {ASKS}\r\nConnection: close\r\n\r\n")
    assert "200 Told" in done.stdout and "CN=ann,O=Example" in done.stdout, done
