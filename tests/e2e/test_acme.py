# SPDX-License-Identifier: GPL-3.0-or-later
"""test_acme.py - certificates that come and renew by themselves, from Pebble and from an authority of our own."""
import ssl
import stat
import subprocess
import time
import uuid

import pytest

from acme_ca import Names, Pebble, Primary
from acme_story import (LONG, MODULES, acme_section, drop_rows, edge_for, events, has, issued, metric, own_ca_for, pebble_for, peer,
                        put_rows, row, rows, status_over_tls, tenant)
from edge import Edge, eventually
from objects import documents, grant, ingress, pod, rule, service
from own_ca import Ca
from pod import EchoPod


@pytest.fixture(scope="module")
def echo():
    with EchoPod("web") as p:
        yield p


# ---- Pebble ----

@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_a_drop_with_a_vouched_name_is_served_with_pebbles_certificate(authority, echo, challenge):
    with pebble_for(authority, {"challenges": [challenge]}, pebble={"environment": {"PEBBLE_WFE_NONCEREJECT": "30"}}) as (e, ca):
        with e:
            e.drop("acme.yaml", tenant(echo, "shop.example.com"))
            found = issued(e, "shop.example.com")
            assert found["tenant"] == "acme" and found["issuer"].startswith("Pebble") and found["notAfter"]
            assert found["nextAction"].startswith("renewed at 20")
            assert status_over_tls(e, "shop.example.com", ca.root()) == 200
            assert "CertificateIssued" in e.run("describe", "ingress", "web", "-n", "acme").stdout
            assert metric(e, "ringress_acme_issued_total") == 1


def test_one_certificate_per_entry_and_never_two_tenants_in_one(authority, echo):
    with pebble_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "a.example.com", "b.example.com", "c.example.com",
                                    entries=[["a.example.com", "b.example.com"], ["c.example.com"]]))
        e.write("globex.yaml", tenant(echo, "d.example.com", name="globex"))
        with e:
            for name in "abcd":
                issued(e, f"{name}.example.com")
            sets = sorted(tuple(c["names"]) for c in e.get("certificates") if c["source"] == "acme" and c["state"] == "ok")
            assert sets == [("a.example.com", "b.example.com"), ("c.example.com",), ("d.example.com",)]
            for name in "abcd":
                assert status_over_tls(e, f"{name}.example.com", ca.root()) == 200


def test_an_authority_that_takes_its_time_is_waited_for(authority, echo):
    slow = {"environment": {"PEBBLE_VA_NOSLEEP": "0", "PEBBLE_VA_SLEEPTIME": "4"}}
    with pebble_for(authority, pebble=slow) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            issued(e, "shop.example.com")


def test_a_binding_is_given_where_it_is_asked_for(authority, echo):
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    options = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"kid-1": key}}
    with pebble_for(authority, pebble=options) as (e, ca):
        (e.folder / "eab.key").write_text(key + "\n")
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            failed = eventually(lambda: has(e, "shop.example.com", state="failing"), LONG)
            assert "acme.eab" in failed["error"]
            e.stop()
            e.content["acme"]["eab"] = [{"kid": "kid-1", "hmac_key_file": "eab.key"}]
            e.write_yaml(e.content)
            drop_rows(e, "acme/cert/")
            e.start()
            issued(e, "shop.example.com")


def test_rsa_by_annotation(authority, echo):
    with pebble_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com", certificate_key="rsa"))
        with e:
            issued(e, "shop.example.com")
            text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=peer(e, "shop.example.com"),
                                  capture_output=True).stdout.decode()
            assert "rsaEncryption" in text and "2048 bit" in text


def test_keys_are_nobody_elses(authority, echo):
    with pebble_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            issued(e, "shop.example.com")
            folder = e.state / "certificates"
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            files = list(folder.iterdir())
            assert {f.suffix for f in files} == {".key", ".pem"} and len(files) == 3
            assert all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in files)
            e.stop()
            assert not any("PRIVATE KEY" in v for v in rows(e, "acme/").values())


def test_a_kill_in_the_middle_of_an_order_is_gone_on_from(authority, echo):
    slow = {"environment": {"PEBBLE_VA_NOSLEEP": "0", "PEBBLE_VA_SLEEPTIME": "6", "PEBBLE_WFE_NONCEREJECT": "0"}}
    with pebble_for(authority, pebble=slow) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            eventually(lambda: ca.log.read_text().count("POST /chalZ"), LONG)
            e.kill()
            e.start()
            issued(e, "shop.example.com")
            assert status_over_tls(e, "shop.example.com", ca.root()) == 200
            # Pebble may have looked while nobody was there, or look a second time when all is over: then one more order is made.
            assert 1 <= ca.log.read_text().count("POST /order-plz") <= 2


def test_what_was_issued_serves_at_once_after_a_restart(authority, echo):
    with pebble_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            issued(e, "shop.example.com")
            before = peer(e, "shop.example.com")
            ca.stop()
            e.restart()
            assert peer(e, "shop.example.com") == before
            ca.start()


def test_a_certificate_that_nobody_asks_for_takes_little_memory(authority):
    """Those of tenants that are not there (yet): all rows are read at the start, no file is."""
    first, count, e = 5000, 25000, edge_for(authority)  # the first fill SQLite's cache, whose size does not depend on theirs
    e.content["acme"] = {"directory": "https://127.0.0.1:1/", "caa": False}
    e.write_yaml(e.content)

    def put(ids):
        now = int(time.time())
        put_rows(e, {f"acme/cert/{i:032x}": {
            "tenant": f"t{i % 500}", "uid": str(uuid.UUID(int=i % 500)), "ingress": "web", "names": [f"www.customer-{i}.example.org"],
            "number": 1, "notBefore": now - 86400, "notAfter": now + 89 * 86400, "attemptAt": now + 59 * 86400,
            "issuer": "Example Authority R10", "renewalId": f"aYhba4dGQEHhs3uEe6CuLN4ByNQ.{i:019x}",
            "directory": "https://127.0.0.1:1/"} for i in ids})

    with e:
        e.stop()
        put(range(first))
        e.start()
        before = metric(e, 'ringress_malloc_bytes{state="allocated"}')
        e.stop()
        put(range(first, count))
        e.start()
        assert metric(e, "ringress_certificates_stored ") == count and metric(e, "ringress_certificates_cached ") == 0
        assert metric(e, 'ringress_acme_certificates{state="retiring"}') == count
        assert metric(e, "ringress_certificates_index_bytes ") / count <= 150, "what TLS needs of each"
        each = (metric(e, 'ringress_malloc_bytes{state="allocated"}') - before) / (count - first)
        assert each <= 200, "and what renewals need, with it"
        told = {r["id"]: r for r in e.get("certificates", "-n", "t7")}
        assert len(told) == count / 500 and told[f"{7:032x}"]["names"] == ["www.customer-7.example.org"], "told from the rows"
        eventually(lambda: (metric(e, 'ringress_malloc_bytes{state="allocated"}') - before) / (count - first) <= 200)  # at rest again


def test_until_its_certificate_comes_a_redirecting_host_asks_to_come_again(authority, echo):
    with own_ca_for(authority) as (e, ca):
        ca.inject("new-order", 503, "serverInternal", times=50)
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            eventually(lambda: has(e, "shop.example.com", state="failing"), LONG)
            answer = e.request("http://shop.example.com/")
            assert answer.status == 503 and answer.get("Retry-After"), answer.start
            with pytest.raises(ssl.SSLError):
                peer(e, "shop.example.com")


def test_tokens_that_are_not_ours_go_to_the_pod(authority, echo):
    with pebble_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com", ssl_redirect="false"))
        with e:
            issued(e, "shop.example.com")
            seen = e.echo("http://shop.example.com/.well-known/acme-challenge/somebody-elses")
            assert seen["target"] == "/.well-known/acme-challenge/somebody-elses"


def test_an_unproved_name_is_never_ordered(authority, echo):
    with pebble_for(authority) as (e, ca):
        text = documents(grant("acme", domains=["other.example.com"]), pod(echo), service(echo.name, target=echo.port),
                         {**ingress(rule("shop.example.com", echo.name), name="web"),
                          "spec": {"tls": [{"hosts": ["shop.example.com", "other.example.com"]}]}})
        e.write("acme.yaml", text)
        with e:
            issued(e, "other.example.com")
            assert row(e, "shop.example.com") is None
            assert "shop.example.com" not in ca.log.read_text()


def test_what_the_operators_certificate_covers_is_not_ordered(authority, echo):
    with pebble_for(authority, certificates=[("*.example.com",)]) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com", "other.example.org"))
        with e:
            issued(e, "other.example.org")
            assert row(e, "shop.example.com") is None


def test_a_wildcard_that_nothing_can_prove_is_said_and_hinders_nobody(authority, echo):
    with pebble_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com", "*.w.example.com",
                                    entries=[["shop.example.com", "*.w.example.com"]]))
        with e:
            issued(e, "shop.example.com")
            found = row(e, "*.w.example.com")
            assert found["state"] == "impossible" and "dns-01" in found["nextAction"]


def test_a_tenants_own_domain_gets_a_wildcard_by_dns_01(authority, echo):
    own = "123123.1d.pt"
    with Primary("1d.pt") as primary, Names(primary) as names:
        e = edge_for(authority)
        with Pebble(e.http_port, e.https_port, names, authority) as ca:
            acme_section(e, ca, challenges=["http-01", "dns-01"], dns_update=[primary.section])
            e.write("acme.yaml", documents(
                grant("acme", domains=["shop.example.com"]), pod(echo), service(echo.name, target=echo.port),
                ingress(rule(f"any.{own}", echo.name), rule("shop.example.com", echo.name), name="web",
                        tls=["shop.example.com", f"any.{own}"])))
            with e:
                found = issued(e, f"*.{own}")
                assert found["names"] == [f"*.{own}", own] and found["ingress"] == "default"
                assert status_over_tls(e, f"any.{own}", ca.root()) == 200
                issued(e, "shop.example.com")
                assert row(e, f"any.{own}") is None, "what *.T covers needs no certificate of its own"
                assert primary.texts(f"_acme-challenge.{own}") == 0, "proofs are taken away again"


def test_a_zone_that_refuses_our_key_is_said(authority, echo):
    with Primary("1d.pt") as primary, Names(primary) as names:
        e = edge_for(authority)
        with Pebble(e.http_port, e.https_port, names, authority) as ca:
            (e.folder / "wrong.key").write_text("hmac-sha256:acme-key:" + "A" * 43 + "=\n")
            acme_section(e, ca, challenges=["dns-01"], dns_update=[{**primary.section, "key_file": "wrong.key"}])
            e.write("acme.yaml", documents(grant("acme")))
            with e:
                found = eventually(lambda: has(e, "*.123123.1d.pt", state="failing"), LONG)
                assert found["error"] and "AAAA" not in found["error"] + e.log_text()


# ---- an authority of our own ----

def test_a_second_directory_takes_over_when_the_first_refuses(authority, echo):
    with Names() as names:
        e = edge_for(authority)
        with Ca(authority, e.http_port) as first, Pebble(e.http_port, e.https_port, names, authority) as second:
            first.inject("new-order", 429, "rateLimited", times=50, retry_after=3600)
            acme_section(e, first, second)
            e.write("acme.yaml", tenant(echo, "shop.example.com"))
            with e:
                found = issued(e, "shop.example.com")
                assert found["directory"] == second.directory
                assert status_over_tls(e, "shop.example.com", second.root()) == 200
                assert metric(e, 'ringress_acme_directory_issued_total{directory="1"') == 1


def test_a_directory_that_is_down_is_passed_by(authority, echo):
    with Names() as names:
        e = edge_for(authority)
        with Ca(authority, e.http_port) as first:
            gone = first.directory
        with Pebble(e.http_port, e.https_port, names, authority) as second:
            acme_section(e, second)
            e.content["acme"]["directory"] = [gone, second.directory]
            e.write_yaml(e.content)
            e.write("acme.yaml", tenant(echo, "shop.example.com"))
            with e:
                issued(e, "shop.example.com")


def test_the_authoritys_problem_is_told_on_the_ingress(authority, echo):
    with own_ca_for(authority) as (e, ca):
        ca.inject("new-order", 400, "rejectedIdentifier", times=50, detail="we do not like it",
                  subproblems=[{"type": "urn:ietf:params:acme:error:caa", "detail": "forbidden by CAA",
                                "identifier": {"type": "dns", "value": "shop.example.com"}}])
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            found = eventually(lambda: has(e, "shop.example.com", state="failing"), LONG)
            assert found["error"] == "rejectedIdentifier: we do not like it; shop.example.com: forbidden by CAA"
            assert found["nextAction"].startswith("ordered again at ")
            event = events(e, "OrderFailed")[0]
            assert event["object"] == "Ingress/web" and event["type"] == "Warning" and "we do not like it" in event["message"]
            assert "we do not like it" in e.run("describe", "ingress", "web", "-n", "acme").stdout
            assert metric(e, "ringress_acme_failed_total") >= 1


def test_the_authoritys_renewal_window_and_profiles_are_followed(authority, echo):
    with own_ca_for(authority, profiles=("shortlived", "classic"), section={"profile": "shortlived"}) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            issued(e, "shop.example.com")
            before = peer(e, "shop.example.com")
            ca.window = (-7200, -3600)  # it lies in the past: now. Asked for at the next start
            e.restart()
            eventually(lambda: ca.replaced, LONG)
            eventually(lambda: peer(e, "shop.example.com") != before, LONG)
            assert len(ca.asked_windows[0].split(".")) == 2 and ca.replaced[0] == ca.asked_windows[0]
            assert set(ca.used_profiles) == {"shortlived"}


def test_who_cannot_renew_is_loud_and_serves_the_old_one(authority, echo):
    with own_ca_for(authority, lifetime=100) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            issued(e, "shop.example.com")
            ca.inject("new-order", 403, "userActionRequired", times=1000)
            found = eventually(lambda: has(e, "shop.example.com", state="expiring"), 120)
            assert "userActionRequired" in found["error"]
            eventually(lambda: events(e, "CertificateExpiring"), LONG)
            assert metric(e, 'ringress_acme_certificates{state="expiring"}') == 1
            assert "can't be renewed" in e.log_text()
            assert status_over_tls(e, "shop.example.com", ca.root_pem()) == 200


def test_the_accounts_key_and_contact_follow_the_file(authority, echo):
    with own_ca_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            issued(e, "shop.example.com")
            (url, before), = ((u, dict(a)) for u, a in ca.accounts.items())
            assert before["contact"] == ["mailto:ops@example.com"]
            e.stop()
            e.content["acme"].update(account_key=2, email="new@example.com")
            e.write_yaml(e.content)
            e.write("acme.yaml", tenant(echo, "shop.example.com", "more.example.com"))
            e.start()
            issued(e, "more.example.com")
        assert list(ca.accounts) == [url]
        assert ca.accounts[url]["contact"] == ["mailto:new@example.com"]
        assert ca.accounts[url]["jwk"] != before["jwk"]


def test_our_own_limit_stops_before_the_authority_does(authority, echo):
    with own_ca_for(authority, section={"limits": {"orders": 2, "orders_window": "1h"}}) as (e, ca):
        e.write("acme.yaml", tenant(echo, *[f"n{i}.example.com" for i in range(4)]))
        with e:
            eventually(lambda: len(ca.issued) == 2, LONG)
            waiting = eventually(lambda: [c for c in e.get("certificates") if c["state"] == "pending" and
                                          "our own limit" in (c["nextAction"] or "")], LONG)
            assert len(waiting) == 2 and len(ca.orders) == 2
            assert not events(e, "OrderFailed")


def test_more_names_than_a_certificate_may_have_are_split(authority, echo):
    with own_ca_for(authority, section={"names_per_certificate": 3}) as (e, ca):
        hosts = [f"n{i}.example.com" for i in range(7)]
        e.write("acme.yaml", tenant(echo, *hosts, entries=[hosts]))
        with e:
            for host in hosts:
                issued(e, host)
            assert sorted(len(names) for names in ca.issued) == [1, 3, 3]


def test_names_that_change_keep_the_old_certificate_until_the_new_one_is_there(authority, echo):
    with own_ca_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "a.example.com"))
        with e:
            issued(e, "a.example.com")
            ca.inject("new-order", 503, "serverInternal")
            e.drop("acme.yaml", tenant(echo, "a.example.com", "b.example.com", entries=[["a.example.com", "b.example.com"]]))
            eventually(lambda: row(e, "b.example.com"), LONG)
            assert status_over_tls(e, "a.example.com", ca.root_pem()) == 200
            issued(e, "b.example.com")
            eventually(lambda: [c["names"] for c in e.get("certificates") if c["source"] == "acme" and c["issuer"]]
                       == [["a.example.com", "b.example.com"]], LONG)
            assert status_over_tls(e, "a.example.com", ca.root_pem()) == 200


def test_a_tenant_that_goes_leaves_nothing(authority, echo):
    with own_ca_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            issued(e, "shop.example.com")
            e.remove("acme.yaml")
            eventually(lambda: not [c for c in e.get("certificates") if c["source"] == "acme"], LONG)
            eventually(lambda: [f.name[:8] for f in (e.state / "certificates").iterdir()] == ["account-"], LONG)
            e.stop()
            assert not rows(e, "acme/cert/") and not rows(e, "acme/order/")


def rested(e, ca):
    """Started anew, and asked when to renew: what is good and not due is a row and little else from then on."""
    ca.window = (30 * 86400, 31 * 86400)
    asked = len(ca.asked_windows)
    e.restart()
    eventually(lambda: len(ca.asked_windows) > asked, LONG)
    time.sleep(0.5)


def test_a_certificate_at_rest_serves_and_goes_when_names_change_and_with_its_tenant(authority, echo):
    with own_ca_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "a.example.com"))
        with e:
            first = issued(e, "a.example.com")
            rested(e, ca)
            again = issued(e, "a.example.com")
            assert again | {"nextAction": None} == first | {"nextAction": None} and again["nextAction"] != first["nextAction"]
            assert metric(e, 'ringress_acme_certificates{state="ok"}') == 1
            e.drop("acme.yaml", tenant(echo, "a.example.com", "b.example.com", entries=[["a.example.com", "b.example.com"]]))
            eventually(lambda: [c["names"] for c in e.get("certificates") if c["source"] == "acme" and c["issuer"]]
                       == [["a.example.com", "b.example.com"]], LONG)
            assert status_over_tls(e, "a.example.com", ca.root_pem()) == 200
            rested(e, ca)
            assert status_over_tls(e, "b.example.com", ca.root_pem()) == 200
            e.remove("acme.yaml")
            eventually(lambda: not [c for c in e.get("certificates") if c["source"] == "acme"], LONG)
            eventually(lambda: [f.name[:8] for f in (e.state / "certificates").iterdir()] == ["account-"], LONG)
            e.stop()
            assert not rows(e, "acme/cert/") and not rows(e, "acme/order/")


def test_a_certificate_at_rest_whose_file_is_gone_is_ordered_anew(authority, echo):
    with own_ca_for(authority) as (e, ca):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            issued(e, "shop.example.com")
            rested(e, ca)
            next((e.state / "certificates").glob("*-1.key")).unlink()
            eventually(lambda: events(e, "CertificateUnreadable"), LONG)
            issued(e, "shop.example.com")
            assert len(ca.issued) == 2 and status_over_tls(e, "shop.example.com", ca.root_pem()) == 200


# ---- the operator's file ----

@pytest.mark.parametrize("section, said", [
    ({}, "directory is missing"),
    ({"directory": "http://ca.example.com/dir"}, "no https URL"),
    ({"directory": ["https://a/", "https://a/"]}, "twice"),
    ({"directory": "https://a/", "challenges": ["dns-02"]}, "dns-02"),
    ({"directory": "https://a/", "challenges": ["dns-01"]}, "need each other"),
    ({"directory": "https://a/", "ca_file": "nowhere.pem"}, "nowhere.pem"),
    ({"directory": "https://a/", "email": "nobody"}, "no mail address"),
    ({"directory": "https://a/", "eab": [{"kid": "x", "hmac_key_file": "no.key"}]}, "no.key"),
    ({"directory": "https://a/", "threads": 100}, "threads"),
])
def test_what_is_wrong_in_the_section_is_said_by_check(section, said):
    e = Edge({}, modules=MODULES, acme=section)
    try:
        done = e.run("check")
        assert done.returncode == 1 and said in done.stdout + done.stderr, (done.stdout, done.stderr)
    finally:
        e.end(False)
