# SPDX-License-Identifier: GPL-3.0-or-later
"""What auditors say of the TLS: testssl.sh, sslscan, and OpenSSL and GnuTLS as clients that offer what is weak."""
import json
import subprocess
import xml.etree.ElementTree as xml

import pytest

from edge import Edge
from objects import ACME, ingress, pod, rule, service, tenant
from pod import EchoPod

WEB = f"web.{ACME}"

# A finding that is not OK or INFO fails, unless it stands here with the reason why it is none.
REASONS = {
    "engine_problem": "WARN: of the openssl that testssl itself uses on this machine",
    "secure_renego": "WARN: testssl asks without a server name, and who names nobody is shown no certificate; "
                     "test_renegotiation_is_announced_as_secure_and_ends_the_connection asks with one",
}
# Forward secrecy and AEAD, nothing else: what SSL Labs grades A.
SUITES = {
    "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
}


@pytest.fixture(scope="module")
def e(authority):
    with EchoPod("web") as web:
        acme = tenant("acme", pod(web), service("web"), ingress(rule(WEB, "web")))
        with Edge({"acme.yaml": acme}, 2, authority, certificates=[(WEB,)]) as edge:
            yield edge


def s_client(e, *words, say=""):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{e.https_port}", "-servername", WEB, *words],
                          input=say, capture_output=True, text=True, timeout=60)


def test_testssl_finds_no_weakness(e, tmp_path):
    """Protocols, forward secrecy, heartbleed, renegotiation, compression; about 50 s of CPU, most of it in forks."""
    found = tmp_path / "found.json"
    done = subprocess.run(["testssl", "--quiet", "--warnings", "off", "--color", "0", "--fast", "--nodns", "none",
                           "--ip", "127.0.0.1", "--add-ca", e.authority.ca, "--jsonfile", found,
                           "-p", "-f", "-H", "-R", "-C", f"{WEB}:{e.https_port}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500)
    findings = {f["id"]: f for f in json.loads(found.read_text())}
    bad = [f for f in findings.values() if f["severity"] not in ("OK", "INFO") and f["id"] not in REASONS]
    assert not bad, (bad, done.stdout)
    for asked in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "heartbleed", "CRIME_TLS"):
        assert asked in findings, (asked, done.stdout)  # it was looked at at all
    assert findings["TLS1"]["finding"] == findings["TLS1_1"]["finding"] == "not offered"
    assert findings["TLS1_2"]["finding"] == findings["TLS1_3"]["finding"].split(" ")[0] == "offered"


def test_sslscan_sees_tls_1_3_and_nothing_old(e):
    """Its own hello of TLS 1.2 lists 344 suites, more than wolfSSL reads: that version is for the test below."""
    done = subprocess.run(["sslscan", "--no-colour", "--no-groups", "--xml=-", f"--sni-name={WEB}",
                           f"127.0.0.1:{e.https_port}"], capture_output=True, text=True, timeout=120)
    scan = xml.fromstring(done.stdout).find("ssltest")
    enabled = {(p.get("type"), p.get("version")) for p in scan.findall("protocol") if p.get("enabled") == "1"}
    assert enabled <= {("tls", "1.2"), ("tls", "1.3")} and ("tls", "1.3") in enabled
    assert {c.get("cipher") for c in scan.findall("cipher")} <= SUITES
    assert all(h.get("vulnerable") == "0" for h in scan.findall("heartbleed"))


def test_of_all_suites_that_openssl_knows_only_good_ones_are_accepted(e):
    known = subprocess.run(["openssl", "ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True,
                           text=True, check=True).stdout.strip().split(":")
    accepted = set()
    for suite in known:
        if not suite.startswith("TLS_"):
            done = s_client(e, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
            if f"Cipher is {suite}" in done.stdout:
                accepted.add(suite)
    assert accepted == {s for s in SUITES if not s.startswith("TLS_")}


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(e, version):
    done = s_client(e, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in done.stdout and "alert" in done.stderr, done


def test_renegotiation_is_announced_as_secure_and_ends_the_connection(e):
    done = s_client(e, "-tls1_2", say="R\n")
    assert "Secure Renegotiation IS supported" in done.stdout
    assert "RENEGOTIATING\n" in done.stderr and ("errno=" in done.stderr or "alert" in done.stderr), done


@pytest.mark.parametrize("priority", ["NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.2"])
def test_gnutls_verifies_resumes_and_ends_in_order(e, priority):
    done = subprocess.run(["gnutls-cli", "--x509cafile", e.authority.ca, "--priority", priority, "--resume", "--waitresumption",
                           "--sni-hostname", WEB, "--verify-hostname", WEB, "--alpn=http/1.1", "-p", str(e.https_port), "127.0.0.1"],
                          input=f"GET / HTTP/1.1\r\nHost: {WEB}\r\nConnection: close\r\n\r\n", capture_output=True, text=True,
                          timeout=60)
    assert "The certificate is trusted" in done.stdout, done
    assert "This is a resumed session" in done.stdout, done
