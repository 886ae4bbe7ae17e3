# SPDX-License-Identifier: GPL-3.0-or-later
"""test_acme_zones.py - certificates and the DNS of their names, which is knot's: CAA records, and proofs that lie in a zone."""
import contextlib
import os
import pathlib
import pwd
import re
import stat

import pytest

from acme_ca import Names, Pebble, Primary
from acme_story import LONG, acme_section, drop_rows, edge_for, events, has, issued, peer, row, rows, status_over_tls, tenant
from edge import eventually
from names import Knot
from objects import documents, grant, ingress, pod, rule, service
from own_ca import Ca
from pod import EchoPod

OURS, OTHERS = 'CAA 0 issue "ca.example"', 'CAA 0 issue "other.example"'


@pytest.fixture(scope="module")
def echo():
    with EchoPod("web") as p:
        yield p


@contextlib.contextmanager
def asked_about(authority, *records):
    """An edge that looks at CAA in a zone of knot's, and a CA that is named ca.example there."""
    with Knot({"example.com": list(records)}) as dns:
        e = edge_for(authority, **dns.edge())
        with Ca(authority, e.http_port, caa=["ca.example"]) as ca:
            acme_section(e, ca, caa=True)
            yield e, ca, dns


def failing(e, name):
    return eventually(lambda: has(e, name, state="failing"), LONG)


def ordered(ca, name):
    return any(name in order["names"] for order in ca.orders)


def test_a_caa_record_that_names_another_authority_prevents_the_order_and_one_that_names_ours_does_not(authority, echo):
    records = [f"shop {OTHERS}", f"mine {OURS}", 'method CAA 0 issue "ca.example; validationmethods=dns-01"', f"above {OTHERS}",
               'critical CAA 128 tbs "x"', f"both {OTHERS}", f"both {OURS}", f"@ {OURS}"]
    with asked_about(authority, *records) as (e, ca, dns):
        names = ["shop", "mine", "method", "www.above", "critical", "both", "below"]
        e.write("acme.yaml", tenant(echo, *[f"{n}.example.com" for n in names]))
        with e:
            for name in "mine", "both", "below":
                issued(e, f"{name}.example.com")
            said = {n: failing(e, f"{n}.example.com")["error"] for n in ("shop", "method", "www.above", "critical")}
            assert said["shop"] == "caa: no CAA issue record at shop.example.com allows ca.example"
            assert said["method"] == "caa: the CAA issue record at method.example.com does not allow validation by http-01"
            assert said["www.above"] == "caa: no CAA issue record at above.example.com allows ca.example"
            assert "tbs" in said["critical"] and "critical" in said["critical"]
            assert not any(ordered(ca, f"{n}.example.com") for n in said), "the authority was not troubled"
            told = [v["message"] for v in events(e, "OrderFailed")]
            assert all(any(words in message for message in told) for words in said.values()), told
            assert "no CAA issue record at shop.example.com" in e.run("describe", "ingress", "web", "-n", "acme").stdout


def test_a_change_of_caa_is_noticed_both_ways_and_what_serves_goes_on(authority, echo):
    with asked_about(authority, f"shop {OTHERS}") as (e, ca, dns):
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            failing(e, "shop.example.com")
            e.stop()
            dns.set("example.com", [f"shop {OURS}"])
            drop_rows(e, "acme/cert/")  # so that the story need not wait for the back-off
            e.start()
            issued(e, "shop.example.com")
            before, orders = peer(e, "shop.example.com"), len(ca.orders)
            dns.set("example.com", [f"shop {OTHERS}"])
            ca.window = (-7200, -3600)  # to be renewed now; asked for at the next start
            e.restart()
            found = eventually(lambda: (row(e, "shop.example.com") or {}).get("failures") and row(e, "shop.example.com"), LONG)
            assert "no CAA issue record" in found["error"] and found["state"] == "ok"
            assert len(ca.orders) == orders and peer(e, "shop.example.com") == before


def test_a_name_is_ordered_when_its_cname_proves_it_and_not_renewed_when_that_leads_away(authority, echo):
    led = ["shop CNAME acme.1d.pt."]
    with Knot({"example.com": led, "1d.pt": ["* A 203.0.113.7"]}) as dns:
        e = edge_for(authority, **dns.edge())
        with Ca(authority, e.http_port) as ca:
            acme_section(e, ca)
            names = ["shop.example.com", "later.example.com"]
            web = ingress(*[rule(n, echo.name) for n in names], name="web")
            web["spec"]["tls"] = [{"hosts": names}]
            e.write("acme.yaml", documents(grant("acme", domain="acme.1d.pt"), pod(echo), service(echo.name, target=echo.port), web))
            with e:
                assert issued(e, "shop.example.com")["names"] == ["shop.example.com"], "a name that is not proved holds up nobody"
                assert not ordered(ca, "later.example.com") and row(e, "later.example.com") is None
                dns.set("example.com", [*led, "later CNAME acme.1d.pt."])
                assert e.run("domain", "recheck", "later.example.com").returncode == 0
                assert issued(e, "later.example.com")["names"] == sorted(names), "one that is proved later is added"
                orders = len(ca.orders)

                def alone():
                    return next((c for c in e.get("certificates") if c["names"] == ["later.example.com"]), {})
                dns.set("example.com", ["shop A 192.0.2.1", "later CNAME acme.1d.pt."])
                assert e.run("domain", "recheck", "shop.example.com").returncode == 0
                eventually(lambda: [d["state"] for d in e.get("domains") if d["domain"] == "shop.example.com"] == ["at-risk"])
                eventually(lambda: len(ca.orders) == orders + 1, LONG)  # later alone
                eventually(lambda: alone().get("state") == "ok", LONG)
                ca.window = (-7200, -3600)  # to be renewed now; asked for at the next start
                e.restart()
                eventually(lambda: len(ca.replaced) == 1, LONG)
                eventually(lambda: alone()["nextAction"].startswith("renewed at "), LONG)
                assert all(o["names"] == ["later.example.com"] for o in ca.orders[orders:]), "nothing for a name at risk"
                assert len(ca.orders) == orders + 2, "once, though the window of what came says: now"
                assert status_over_tls(e, "shop.example.com", ca.root_pem()) == 200, "at risk it is served, and routed"


def test_an_order_waits_while_caa_cannot_be_looked_up(authority, echo):
    with asked_about(authority) as (e, ca, dns):
        dns.counter.mode = "servfail"
        e.write("acme.yaml", tenant(echo, "shop.example.com"))
        with e:
            waits = eventually(lambda: (r := row(e, "shop.example.com")) and "CAA" in (r["nextAction"] or "") and r, LONG)
            assert waits["state"] == "pending" and "could not be looked up" in waits["nextAction"]
            assert not ca.orders and not events(e, "OrderFailed")


def test_a_record_that_could_not_be_removed_is_removed_after_a_restart(authority, echo):
    zone, name = "1d.pt", "_acme-challenge.123123.1d.pt"
    slow = {"PEBBLE_VA_NOSLEEP": "0", "PEBBLE_VA_SLEEPTIME": "3", "PEBBLE_WFE_NONCEREJECT": "0"}
    with Primary(zone) as primary, Names(primary) as names:
        e = edge_for(authority)
        with Pebble(e.http_port, e.https_port, names, authority, environment=slow) as ca:
            acme_section(e, ca, challenges=["dns-01"], dns_update=[primary.section])
            e.write("acme.yaml", tenant(echo, "shop.example.com"))
            with e:
                shown = eventually(lambda: ca.log.read_text().count("POST /chalZ") and primary.texts(name), LONG)
                primary.stop()  # the authority finds nothing, and nothing can be taken back
                eventually(lambda: events(e, "OrderFailed"), LONG)
                e.stop()
                left = rows(e, "acme/txt/")
                assert 1 <= len(left) <= shown
                ca.stop()  # nothing new is put there meanwhile
                primary.start()
                assert primary.texts(name) == shown, "the zone has not forgotten it by itself"
                e.start()
                eventually(lambda: primary.texts(name) == shown - len(left), LONG)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_keys_that_only_root_may_read_serve_an_edge_that_became_another_user(authority):
    """The binding of the account and the zone's key are read before that."""
    zone, key = "1d.pt", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    bound = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"kid-1": key}}
    with Primary(zone) as primary, Names(primary) as names:
        e = edge_for(authority, user="nobody")
        with Pebble(e.http_port, e.https_port, names, authority, **bound) as ca:
            binding, tsig = e.folder / "eab.key", e.folder / "tsig.key"
            binding.write_text(key + "\n")
            tsig.write_bytes(primary.key_file.read_bytes())
            trusted = e.folder / "ca.pem"  # the one file that is opened by the user
            trusted.write_bytes(authority.ca.read_bytes())
            for file, mode in (e.folder, 0o755), (trusted, 0o644), (binding, 0o600), (tsig, 0o600):
                file.chmod(mode)
            acme_section(e, ca, challenges=["dns-01"], dns_update=[{**primary.section, "key_file": "tsig.key"}],
                         eab=[{"kid": "kid-1", "hmac_key_file": "eab.key"}], ca_file="ca.pem")
            e.write("acme.yaml", documents(grant("acme")))
            with e:
                status = pathlib.Path(f"/proc/{e.pid}/status").read_text()
                assert re.search(r"^Uid:\s+(\d+)\s+\1\s+\1\s+\1$", status, re.M)[1] == str(pwd.getpwnam("nobody").pw_uid)
                issued(e, "*.123123.1d.pt")
                files = list((e.state / "certificates").iterdir())
                assert files and all((f.owner(), stat.S_IMODE(f.stat().st_mode)) == ("nobody", 0o600) for f in files)
                assert binding.owner() == tsig.owner() == "root", "they are not given away"
                e.stop()
                said = e.log_text() + "".join(rows(e, "").values())
                assert key not in said and tsig.read_text().strip().rsplit(":", 1)[1] not in said
