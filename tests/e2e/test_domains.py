# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose name it is, as a real authoritative DNS server says it: docs/domains.md, case by case.

Every edge here serves tenants whose pods answer with their tenant's name, so that "routes" is what a client sees."""
import contextlib
import json
import re
import sqlite3
import time

import pytest

from edge import Edge, eventually
from names import Knot
from objects import plain_ingress, pod, rule, secret, service, tenant
from pod import EchoPod
from tls import UNRECOGNIZED_NAME, hello, refusal

PLATFORM = "1d.pt"
EDGE_4, EDGE_6 = "203.0.113.7", "2001:db8::7"
PUBLIC = {"addresses": [EDGE_4, EDGE_6]}


def t(name):
    """A tenant's own domain."""
    return f"{name}.{PLATFORM}"


@pytest.fixture(scope="module")
def pods():
    with contextlib.ExitStack() as stack:
        yield {n: stack.enter_context(EchoPod(n)) for n in ("acme", "globex", "mallory")}


def drop(pods, name, *hosts, rules=None, **spec):
    """The tenant binds these names and routes them (or `rules`) to its pod."""
    routes = rules if rules is not None else [h for h in hosts]
    return tenant(name, pod(pods[name], app="web"), service("web", target=pods[name].port),
                  plain_ingress(*(rule(h, "web") for h in routes), tls=hosts), domain=t(name), **spec)


def row(e, name, tenant_name=None):
    return next((d for d in e.get("domains") if d["domain"] == name and tenant_name in (None, d["tenant"])), None)


def state(e, name, tenant_name=None):
    found = row(e, name, tenant_name)
    return found and found["state"]


def becomes(e, wanted, name, tenant_name=None):
    return eventually(lambda: state(e, name, tenant_name) == wanted and row(e, name, tenant_name))


def look(e, name, *words):
    """An operator's hand; the answer has come when this returns."""
    before = {(d["tenant"], d["domain"]): d.get("lastLook") for d in e.get("domains")}
    assert e.run("domain", "recheck", name, *words).returncode == 0
    eventually(lambda: looked(e, name, before))


def looked(e, name, before):
    """Seconds are too coarse to tell two looks apart: what is under way has no next look in the past."""
    rows = [d for d in e.get("domains") if d["domain"] == name and d.get("proof") is not None]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return rows and all(d["lastLook"] and (d["nextLook"] is None or d["nextLook"] > now
                                           or d["lastLook"] != before.get((d["tenant"], name))) for d in rows)


def routes_to(e, name):
    """Whose pod answers; None: nobody's."""
    answer = e.request(f"http://{name}/")
    return json.loads(answer.body)["pod"] if answer.status == 200 else None


def token(e, name, tenant_name):
    return next(r["value"] for r in row(e, name, tenant_name)["records"] if r["type"] == "TXT")


def challenge(value):
    return f'_ringress-challenge TXT "{value}"'


PLATFORM_ZONE = [f"* A {EDGE_4}", f"acme A {EDGE_4}", f"globex A {EDGE_4}", f"mallory A {EDGE_4}"]


def zones(**customers):
    """zones(example_com=[...]): that zone beside the platform's own."""
    return {PLATFORM: PLATFORM_ZONE, **{z.replace("__", "-").replace("_", "."): r for z, r in customers.items()}}


# ---- by CNAME ----
def test_a_name_whose_cnames_pass_through_the_tenants_domain_routes(pods):
    with Knot(zones(example_com=["shop CNAME cdn.example.net.", "www CNAME deep.in.acme.1d.pt."],
                    example_net=["cdn CNAME acme.1d.pt."])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "shop.example.com", "www.example.com", "not.example.com")},
            **dns.edge()) as e:
        assert becomes(e, "verified", "shop.example.com")["proof"] == "CNAME"
        becomes(e, "verified", "www.example.com")
        eventually(lambda: routes_to(e, "shop.example.com") == routes_to(e, "www.example.com") == "acme")
        assert state(e, "not.example.com") == "pending" and routes_to(e, "not.example.com") is None


def test_a_drop_is_looked_at_without_being_asked_and_says_what_it_waits_for(pods):
    with Knot(zones(example_com=["other A 192.0.2.1"])) as dns, Edge({}, **dns.edge()) as e:
        e.drop("acme.yaml", drop(pods, "acme", "shop.example.com"))
        eventually(lambda: (row(e, "shop.example.com") or {}).get("lastLook"))
        found = row(e, "shop.example.com")
        assert found["state"] == "pending" and "shop.example.com CNAME acme.1d.pt." in found["reason"]
        text = e.run("describe", "domain", "shop.example.com").stdout
        assert "acme.1d.pt." in text and "_ringress-challenge.shop.example.com" in text
        assert e.explain("http://shop.example.com/").returncode == 1
        dns.set("example.com", ["shop CNAME acme.1d.pt."])
        becomes(e, "verified", "shop.example.com")  # by the back-off alone


def test_a_cname_to_another_tenants_domain_proves_nothing(pods):
    with Knot(zones(example_com=["shop CNAME acme.1d.pt."])) as dns, Edge(
            {"globex.yaml": drop(pods, "globex", "shop.example.com")}, **dns.edge()) as e:
        eventually(lambda: row(e, "shop.example.com")["lastLook"])
        found = row(e, "shop.example.com")
        assert found["state"] == "pending" and "acme.1d.pt" in found["seen"]
        assert routes_to(e, "shop.example.com") is None
        e.drop("acme.yaml", drop(pods, "acme", "shop.example.com"))  # a pending claim blocks nobody
        becomes(e, "verified", "shop.example.com", "acme")
        eventually(lambda: routes_to(e, "shop.example.com") == "acme")
        becomes(e, "conflict", "shop.example.com", "globex")


def test_a_cname_left_behind_is_nobody_elses(pods):
    """The takeover that GitHub Pages and others had: the customer's CNAME outlives the tenant's claim."""
    with Knot(zones(example_com=["shop CNAME acme.1d.pt."])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "shop.example.com")}, **dns.edge(recheck="1s"), **PUBLIC) as e:
        becomes(e, "verified", "shop.example.com")
        e.drop("acme.yaml", drop(pods, "acme"))
        eventually(lambda: state(e, "shop.example.com") is None)
        e.drop("mallory.yaml", drop(pods, "mallory", "shop.example.com"))
        eventually(lambda: state(e, "shop.example.com", "mallory"))
        asked = dns.asked("shop.example.com")
        eventually(lambda: dns.asked("shop.example.com") > asked + 6)  # the tombstone is looked at, again and again
        assert state(e, "shop.example.com", "mallory") != "verified" and routes_to(e, "shop.example.com") is None
        e.remove("acme.yaml")  # nor when the tenant goes
        eventually(lambda: e.tenant("acme") is None)
        look(e, "shop.example.com", "-n", "mallory")
        assert state(e, "shop.example.com", "mallory") != "verified" and routes_to(e, "shop.example.com") is None
        dns.set("example.com", [f"shop A {EDGE_4}", f'_ringress-challenge.shop TXT "{token(e, "shop.example.com", "mallory")}"'])
        becomes(e, "verified", "shop.example.com", "mallory")  # when the owner says so


def test_ten_hops_are_followed_an_eleventh_is_not_and_a_circle_ends(pods):
    chain = [f"n{i} CNAME n{i + 1}" for i in range(2, 11)] + ["n11 CNAME acme.1d.pt."]
    names = ["n1.example.com", "n2.example.com", "a.example.com"]
    with Knot(zones(example_com=[*chain, "n1 CNAME n2", "a CNAME b", "b CNAME c", "c CNAME a"])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", *names)}, **dns.edge()) as e:
        becomes(e, "verified", "n2.example.com")
        eventually(lambda: all(row(e, n)["lastLook"] for n in names))
        assert row(e, "n1.example.com")["state"] == "pending" and "more than 10" in row(e, "n1.example.com")["seen"]
        assert row(e, "a.example.com")["state"] == "pending" and "circle" in row(e, "a.example.com")["seen"]


# ---- by TXT and address ----
def test_a_flattened_apex_needs_the_txt_and_the_txt_needs_the_address(pods):
    flattened = [f"@ A {EDGE_4}", f"@ AAAA {EDGE_6}"]
    with Knot(zones(example_com=flattened)) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "example.com")}, **dns.edge(), **PUBLIC) as e:
        eventually(lambda: row(e, "example.com")["lastLook"])
        assert state(e, "example.com") == "pending"
        proof = challenge(token(e, "example.com", "acme"))
        dns.set("example.com", ["@ A 192.0.2.1", proof])
        look(e, "example.com")
        assert state(e, "example.com") == "pending" and "192.0.2.1" in row(e, "example.com")["seen"]
        dns.set("example.com", [*flattened, proof])
        assert becomes(e, "verified", "example.com")["proof"] == "TXT"
        eventually(lambda: routes_to(e, "example.com") == "acme")


def test_one_foreign_aaaa_is_a_failure(pods):
    with Knot(zones(example_com=[f"@ A {EDGE_4}", "@ AAAA 2001:db8:bad::1"])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "example.com")}, **dns.edge(recheck="1s"), **PUBLIC) as e:
        proof = challenge(token(e, "example.com", "acme"))
        dns.set("example.com", [f"@ A {EDGE_4}", "@ AAAA 2001:db8:bad::1", proof])
        look(e, "example.com")
        assert state(e, "example.com") == "pending" and "2001:db8:bad::1" in row(e, "example.com")["seen"]
        dns.set("example.com", [f"@ A {EDGE_4}", proof])
        becomes(e, "verified", "example.com")
        dns.set("example.com", [f"@ A {EDGE_4}", "@ AAAA 2001:db8:bad::1", proof])
        assert "2001:db8:bad::1" in becomes(e, "at-risk", "example.com")["seen"]
        assert routes_to(e, "example.com") == "acme"  # and is warned for 72 hours
        eventually(lambda: any(v["reason"] == "HostAtRisk" and "example.com" in v["message"] for v in e.get("events")))
        dns.set("example.com", [f"@ A {EDGE_4}", f"@ AAAA {EDGE_6}", proof])
        becomes(e, "verified", "example.com")


def test_a_token_is_found_among_long_texts_and_many(pods):
    long = [f'_ringress-challenge TXT "{"x" * 255}" "{"y" * 255}" "{i}"' for i in range(3)]
    many = [f'_ringress-challenge TXT "another {i}"' for i in range(40)]
    with Knot(zones(example_com=[f"@ A {EDGE_4}", *long, *many])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "example.com")}, **dns.edge(), **PUBLIC) as e:
        look(e, "example.com")
        assert state(e, "example.com") == "pending" and "TXT" in row(e, "example.com")["seen"]
        value = token(e, "example.com", "acme")
        split = f'_ringress-challenge TXT "{value[:9]}" "{value[9:]}"'  # one text of two strings
        dns.set("example.com", [f"@ A {EDGE_4}", *long, *many, split])
        becomes(e, "verified", "example.com")


def test_more_texts_than_are_read_are_told(pods):
    many = [f'_ringress-challenge TXT "another {i}"' for i in range(80)]
    with Knot(zones(example_com=[f"@ A {EDGE_4}", *many])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "example.com")}, **dns.edge(), **PUBLIC) as e:
        look(e, "example.com")
        assert state(e, "example.com") == "pending" and "64" in row(e, "example.com")["seen"]


def test_a_challenge_that_a_wildcard_leads_into_the_platforms_zones_is_refused(pods):
    """*.victim CNAME acme: whoever can put a TXT at acme's name would answer for every challenge below victim."""
    with Knot(zones(victim_example=["* CNAME acme.1d.pt."])) as dns, Edge(
            {"mallory.yaml": drop(pods, "mallory", "shop.victim.example")}, **dns.edge(), **PUBLIC) as e:
        value = token(e, "shop.victim.example", "mallory")
        dns.set(PLATFORM, [*PLATFORM_ZONE, f'acme TXT "{value}"'])
        assert value in dns.ask("acme.1d.pt", "TXT")
        look(e, "shop.victim.example")
        found = row(e, "shop.victim.example")
        assert found["state"] == "pending" and "_ringress-challenge.shop.victim.example leads to acme.1d.pt" in found["seen"]
        assert routes_to(e, "shop.victim.example") is None
        dns.set("victim.example", ["* CNAME acme.1d.pt.", f'_ringress-challenge.shop CNAME proofs',
                                   f'proofs TXT "{value}"', f"shop A {EDGE_4}"])
        becomes(e, "verified", "shop.victim.example")  # an alias within the owner's zone is the owner's word


def test_a_wildcard_is_proved_by_probes_nobody_could_foresee_and_covers_one_label(pods):
    with Knot(zones(example_com=["* CNAME acme.1d.pt."], example_net=["www CNAME acme.1d.pt."])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "*.example.com", "*.example.net",
                               rules=["a.example.com", "b.c.example.com", "www.example.net"])}, **dns.edge()) as e:
        becomes(e, "verified", "*.example.com")
        eventually(lambda: routes_to(e, "a.example.com") == "acme" and routes_to(e, "b.c.example.com") is None)
        eventually(lambda: row(e, "*.example.net")["lastLook"])
        assert state(e, "*.example.net") == "pending" and routes_to(e, "www.example.net") is None
        probes = {q[0] for q in dns.counter.asked if re.fullmatch(r"probe-[0-9a-f]+\.example\.com", q[0])}
        assert len(probes) >= 2
        e.drop("globex.yaml", drop(pods, "globex", "b.example.com"))  # under a stranger's wildcard
        look(e, "b.example.com", "-n", "globex")
        assert state(e, "b.example.com", "globex") in ("pending", "conflict") and routes_to(e, "b.example.com") is None
        dns.set("example.com", ["* CNAME acme.1d.pt.", "b CNAME globex.1d.pt."])
        look(e, "b.example.com", "-n", "globex")
        assert state(e, "b.example.com", "globex") in ("pending", "conflict")  # a CNAME is not enough there
        dns.set("example.com", ["* CNAME acme.1d.pt.", "b CNAME globex.1d.pt.",
                                f'_ringress-challenge.b TXT "{token(e, "b.example.com", "globex")}"'])
        becomes(e, "verified", "b.example.com", "globex")
        eventually(lambda: routes_to(e, "b.example.com") == "globex" and routes_to(e, "a.example.com") == "acme")


# ---- what is held or kept for somebody, under another's wildcard ----
SHOP = "shop.example.com"


def under_a_wildcard(pods, authority):
    """globex routes *.example.com, on TLS too, with whatever else stands below it."""
    every = "*.example.com"
    return tenant("globex", pod(pods["globex"], app="web"), service("web", target=pods["globex"].port),
                  secret("tls", *authority.issue(every)), plain_ingress(rule(every, "web"), tls=[((every,), "tls")]),
                  domain=t("globex"))


def is_nobodys(e, name):
    """On plain HTTP, by its SNI, and on a connection that was opened for a name of the wildcard's."""
    with e.connect() as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert wire.read_response().status == 404
    assert refusal(e, hello(name)) == UNRECOGNIZED_NAME
    with e.connect_tls("other.example.com") as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert wire.read_response().status == 404
    assert e.explain(f"http://{name}/").returncode == 1
    return True


def test_a_name_that_is_kept_or_suspended_is_not_answered_by_anothers_wildcard(pods, authority):
    shop, every = "shop CNAME acme.1d.pt.", "* CNAME globex.1d.pt."
    with Knot(zones(example_com=[shop, every])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", SHOP)}, authority=authority, **dns.edge(recheck="1s")) as e:
        becomes(e, "verified", SHOP)
        e.drop("globex.yaml", under_a_wildcard(pods, authority))
        becomes(e, "verified", "*.example.com")
        eventually(lambda: routes_to(e, SHOP) == "acme" and routes_to(e, "other.example.com") == "globex")
        assert e.echo("https://other.example.com/")["pod"] == "globex"
        who = []
        e.drop("acme.yaml", drop(pods, "acme"))
        eventually(lambda: who.append(routes_to(e, SHOP)) or who[-1] is None)
        assert set(who) == {"acme", None} or who == [None]  # not for a moment the wildcard's
        assert is_nobodys(e, SHOP) and routes_to(e, "other.example.com") == "globex"
        e.kill()
        e.start()
        assert is_nobodys(e, SHOP) and routes_to(e, "other.example.com") == "globex"
        e.drop("acme.yaml", drop(pods, "acme", SHOP))
        eventually(lambda: routes_to(e, SHOP) == "acme")
        dns.set("example.com", [every])  # DNS leads to globex now, and acme is warned
        becomes(e, "at-risk", SHOP)
        e.stop()
        rewrite_claim(e, SHOP, "acme", since=int(time.time()) - 73 * 3600)
        e.start()
        becomes(e, "suspended", SHOP)
        eventually(lambda: routes_to(e, SHOP) is None)  # the routes follow the state, a moment later
        assert is_nobodys(e, SHOP)
        e.stop()
        rewrite_claim(e, SHOP, "acme", since=int(time.time()) - 31 * 86400)
        e.start()
        eventually(lambda: routes_to(e, SHOP) == "globex")  # released at last


# ---- two of them ----
def test_of_two_that_can_prove_it_the_first_has_it_and_the_other_is_not_told_who(pods):
    with Knot(zones(example_com=[f"@ A {EDGE_4}"])) as dns, Edge(
            {n + ".yaml": drop(pods, n, "example.com") for n in ("acme", "globex")}, **dns.edge(recheck="1s"), **PUBLIC) as e:
        both = [challenge(token(e, "example.com", n)) for n in ("acme", "globex")]
        dns.set("example.com", [f"@ A {EDGE_4}", *both])
        eventually(lambda: sorted(state(e, "example.com", n) for n in ("acme", "globex")) == ["conflict", "verified"])
        winner, loser = sorted(("acme", "globex"), key=lambda n: state(e, "example.com", n) != "verified")
        eventually(lambda: routes_to(e, "example.com") == winner)
        shown = json.dumps(e.get("domains", "-n", loser)) + e.run("describe", "domain", "example.com", "-n", loser).stdout
        assert "taken" in shown and winner not in shown
        e.kill()
        e.start()
        look(e, "example.com", "-n", winner)
        assert state(e, "example.com", winner) == "verified" and state(e, "example.com", loser) == "conflict"
        assert routes_to(e, "example.com") == winner
        dns.set("example.com", [f"@ A {EDGE_4}", challenge(token(e, "example.com", loser))])
        becomes(e, "verified", "example.com", loser)  # a fresh TXT takes what is at risk
        eventually(lambda: routes_to(e, "example.com") == loser)


# ---- names ----
def test_a_name_is_one_name_however_it_is_written(pods):
    with Knot(zones(xn____bcher__kva_example=["shop CNAME ACME.1D.PT."])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "Shop.XN--Bcher-KVA.Example.", rules=["shop.xn--bcher-kva.EXAMPLE"])},
            **dns.edge()) as e:
        becomes(e, "verified", "shop.xn--bcher-kva.example")
        eventually(lambda: routes_to(e, "SHOP.xn--BCHER-kva.example") == "acme")
        e.drop("globex.yaml", drop(pods, "globex", "shop.xn--bcher-kva.example"))
        becomes(e, "conflict", "shop.xn--bcher-kva.example", "globex")
        assert e.run("domain", "recheck", "SHOP.xn--bcher-kva.example.").returncode == 0


@pytest.mark.parametrize("name", ["bücher.example", "127.0.0.1", "a..example"])
def test_what_is_no_name_is_refused_at_the_drop(pods, name):
    with Edge({"acme.yaml": drop(pods, "acme", name)}) as e:
        assert e.tenant("acme")["state"] == "error"


def test_a_public_suffix_is_nobodys_and_is_not_even_asked_for(pods):
    names = ["co.uk", "github.io", "*.com", "localhost"]
    with Knot(zones(example_com=["shop CNAME acme.1d.pt."])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", *names, "shop.example.com")}, **dns.edge()) as e:
        becomes(e, "verified", "shop.example.com")
        for name in names:
            assert state(e, name) == "conflict" and "taken" not in row(e, name)["reason"], name
            assert not dns.asked(name.removeprefix("*."))


def test_the_platforms_zones_are_not_to_be_proved(pods):
    with Knot(zones()) as dns, Edge({"acme.yaml": drop(pods, "acme", "www.globex.1d.pt", "1d.pt")}, **dns.edge()) as e:
        assert state(e, "www.globex.1d.pt") == state(e, "1d.pt") == "conflict"
        assert not dns.asked("www.globex.1d.pt")


# ---- when DNS fails ----
def test_a_storm_of_servfail_and_then_silence_drops_nobody(pods):
    names = [f"s{i}.example.com" for i in range(30)]
    with Knot(zones(example_com=[f"s{i} CNAME acme.1d.pt." for i in range(30)])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", *names)}, **dns.edge(recheck="1s")) as e:
        eventually(lambda: all(state(e, n) == "verified" for n in names))
        since = {n: row(e, n)["since"] for n in names}
        for mode in ("servfail", "silence"):
            dns.counter.mode = mode
            dns.counter.asked.clear()
            eventually(lambda: all(dns.asked(n) >= 2 for n in names), 120)  # every name was looked at, in vain
            assert all(state(e, n) == "verified" for n in names) and routes_to(e, names[0]) == "acme"
        e.kill()
        e.start()  # in the middle of it
        assert all(state(e, n) == "verified" for n in names) and routes_to(e, names[7]) == "acme"
        dns.counter.mode = "pass"
        dns.set("example.com", [f"s{i} CNAME acme.1d.pt." for i in range(1, 30)])
        becomes(e, "at-risk", "s0.example.com")  # now it is known
        assert {n: row(e, n)["since"] for n in names[1:]} == {n: since[n] for n in names[1:]}


def test_one_dead_zone_holds_up_nobody_elses_first_look(pods):
    """knot answers SERVFAIL for a zone it could not load; another tenant's names are verified meanwhile."""
    with Knot(zones(example_com=["shop CNAME globex.1d.pt."])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", *(f"d{i}.dead.example" for i in range(100)))}, **dns.edge()) as e:
        e.drop("globex.yaml", drop(pods, "globex", "shop.example.com"))
        becomes(e, "verified", "shop.example.com")
        assert {d["state"] for d in e.get("domains", "-n", "acme") if d["domain"].endswith(".dead.example")} == {"pending"}


# ---- DNSSEC ----
def test_a_txt_of_a_signed_zone_counts_at_once_and_a_forged_one_never(pods):
    with Knot(zones(signed_example=[f"@ A {EDGE_4}"], plain_example=[f"@ A {EDGE_4}"]),
              signed=["signed.example"]) as dns:
        good, forged = dns.anchor("signed.example"), dns.anchor("signed.example", forged=True)
        names = ["signed.example", "plain.example"]
        with Edge({"acme.yaml": drop(pods, "acme", *names)}, **dns.edge(anchor=forged, recheck="1s"), **PUBLIC) as e:
            for name in names:
                dns.set(name, [f"@ A {EDGE_4}", challenge(token(e, name, "acme"))])
            assert token(e, "signed.example", "acme") in dns.ask("_ringress-challenge.signed.example", "TXT")
            becomes(e, "verified", "plain.example")
            look(e, "signed.example")
            assert state(e, "signed.example") == "pending" and "could not be looked up" in row(e, "signed.example")["seen"]
            e.stop()
            e.write_yaml({**e.content, **dns.edge(anchor=good)})
            e.start()
            look(e, "signed.example")  # one look: no second one was needed
            assert state(e, "signed.example") == "verified"
            e.stop()
            e.write_yaml({**e.content, **dns.edge(anchor=forged)})
            e.start()
            look(e, "signed.example")
            assert state(e, "signed.example") == "verified"  # bogus is unknown: no proof, and no disproof


def test_a_trust_anchor_that_is_none_ends_the_start(pods):
    with Knot(zones()) as dns, Edge({}, **dns.edge()) as e:
        e.write_yaml({**e.content, **dns.edge(anchor=e.yaml)})
        done = e.run("check")
        assert done.returncode == 1 and "trust anchor" in done.stdout


# ---- restarts, time ----
def rewrite_claim(e, name, tenant_name, **fields):
    """What the store remembers of a claim, as if it had been so for longer: time is not waited for here. The edge is down."""
    with contextlib.closing(sqlite3.connect(e.state / "ringress.db")) as db, db:
        for key, value in db.execute("SELECT key, value FROM row WHERE key LIKE ?", (f"claim/{name} %",)).fetchall():
            claim = json.loads(value)
            if claim["tenant"] == tenant_name:
                db.execute("UPDATE row SET value = ? WHERE key = ?", (json.dumps({**claim, **fields}), key))
                return claim


def test_every_state_outlives_a_crash_and_goes_on(pods):
    shown = ("state", "since", "proof")
    gone = ["other A 192.0.2.1"]
    with Knot(zones(example_com=["shop CNAME acme.1d.pt.", "kept CNAME acme.1d.pt."], example_net=gone)) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "shop.example.com", "kept.example.com", "wait.example.net"),
             "globex.yaml": drop(pods, "globex", "shop.example.com")}, **dns.edge(recheck="1s")) as e:
        names = [("shop.example.com", "acme"), ("kept.example.com", "acme"), ("wait.example.net", "acme"),
                 ("shop.example.com", "globex")]

        def crash():
            before = {n: [row(e, *n)[k] for k in shown] for n in names}
            e.kill()
            e.start()
            assert {n: [row(e, *n)[k] for k in shown] for n in names} == before

        becomes(e, "verified", "shop.example.com", "acme")
        becomes(e, "verified", "kept.example.com")
        becomes(e, "conflict", "shop.example.com", "globex")
        eventually(lambda: row(e, "wait.example.net")["lastLook"])
        crash()  # verified, pending, conflict
        eventually(lambda: routes_to(e, "shop.example.com") == "acme")
        dns.set("example.com", ["kept CNAME acme.1d.pt."])
        becomes(e, "at-risk", "shop.example.com", "acme")
        crash()  # at-risk
        eventually(lambda: routes_to(e, "shop.example.com") == "acme")
        e.stop()
        long_ago = rewrite_claim(e, "shop.example.com", "acme", since=int(time.time()) - 73 * 3600)
        assert long_ago["phase"] == "at-risk"
        e.start()
        becomes(e, "suspended", "shop.example.com", "acme")
        eventually(lambda: routes_to(e, "shop.example.com") is None)
        crash()  # suspended
        assert routes_to(e, "shop.example.com") is None and routes_to(e, "kept.example.com") == "acme"
        dns.set("example.com", ["shop CNAME acme.1d.pt.", "kept CNAME acme.1d.pt."])
        becomes(e, "verified", "shop.example.com", "acme")  # back as soon as DNS is
        eventually(lambda: routes_to(e, "shop.example.com") == "acme")
        dns.set("example.com", ["kept CNAME acme.1d.pt."])
        becomes(e, "at-risk", "shop.example.com", "acme")
        e.stop()
        rewrite_claim(e, "shop.example.com", "acme", phase="suspended", since=int(time.time()) - 31 * 86400)
        e.start()
        becomes(e, "pending", "shop.example.com", "acme")  # released: it begins anew, as everybody may
        e.drop("acme.yaml", drop(pods, "acme", "kept.example.com", "wait.example.net"))
        eventually(lambda: state(e, "shop.example.com", "acme") is None)
        dns.set("example.com", ["shop CNAME globex.1d.pt.", "kept CNAME acme.1d.pt."])
        becomes(e, "verified", "shop.example.com", "globex")
        transitions = log_of(e)
        assert {("shop.example.com", "pending", "verified"), ("shop.example.com", "verified", "at-risk"),
                ("shop.example.com", "at-risk", "suspended"), ("shop.example.com", "suspended", "verified"),
                ("shop.example.com", "suspended", "released")} <= transitions


def log_of(e):
    e.stop()
    with contextlib.closing(sqlite3.connect(e.state / "ringress.db")) as db:
        rows = [json.loads(v) for v, in db.execute("SELECT value FROM row WHERE key LIKE 'log/%'")]
    e.start()
    return {(r["name"], r["from"], r["to"]) for r in rows}


def test_the_key_of_tokens_is_kept_and_its_loss_is_loud(pods):
    with Knot(zones(example_com=[])) as dns, Edge({"acme.yaml": drop(pods, "acme", "example.com")}, **dns.edge()) as e:
        secret, before = e.state / "secret", token(e, "example.com", "acme")
        assert secret.stat().st_mode & 0o777 == 0o600
        e.restart()
        assert token(e, "example.com", "acme") == before and "TXT token" not in e.log_text()
        e.stop()
        kept = secret.read_text()
        secret.unlink()
        e.start()
        assert token(e, "example.com", "acme") != before and "was lost" in e.log_text()
        e.stop()
        secret.write_text(kept)
        e.start()
        assert token(e, "example.com", "acme") == before


# ---- the operator's hand ----
def test_recheck_says_what_it_does(pods):
    with Knot(zones(example_com=["shop CNAME acme.1d.pt."])) as dns, Edge(
            {"acme.yaml": drop(pods, "acme", "shop.example.com", "www.example.com", domains=["vouched.example.com"])},
            **dns.edge()) as e:
        becomes(e, "verified", "shop.example.com")
        done = e.run("domain", "recheck", "-n", "acme")
        assert done.returncode == 0 and "2 names" in done.stdout
        assert json.loads(e.run("domain", "recheck", "shop.example.com", "-o", "json").stdout) == {"looks": 1}
        assert e.run("domain", "recheck", "nobody.example.com").returncode == 1
        assert e.run("domain", "recheck", "shop.example.com", "-n", "globex").returncode == 1
        assert e.run("domain", "recheck", "a..b").returncode == 2
        assert e.run("domain", "recheck").returncode == e.run("domain").returncode == 2
