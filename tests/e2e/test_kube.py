# SPDX-License-Identifier: GPL-3.0-or-later
"""What kubectl sees of a tenant: its objects with what came of them, live, and nothing of anybody else's."""
import contextlib
import itertools
import json
import multiprocessing
import re
import socket
import ssl
import time
import urllib.request

import pytest

from edge import PATIENCE, Edge, eventually
from engine import Engine
from kube import ALL, MODULES, Kube, base, needs_kubectl, needs_new_kubectl, sections
from objects import ACME, GLOBEX, documents, grant, ingress, node_port, plain_ingress, pod, rule, secret, service
from pod import EchoPod

COMPOSE = "services:\n  files:\n    labels: {kr.ingress.80: 'https://files.*'}\n    networks: {n: {ipv4_address: 127.0.0.9}}\n"


@pytest.fixture(scope="module")
def e(authority):
    """Two tenants; the second has what the first must never see."""
    with contextlib.ExitStack() as stack:
        web, db, other = (stack.enter_context(EchoPod(n)) for n in ("web", "db", "other"))
        vault = secret("vault", *authority.issue(f"vault.{GLOBEX}"))
        yield stack.enter_context(Edge({
            "acme/tenant.yaml": documents(grant("acme")),
            "acme/web.yaml": documents(pod(web), pod(db), service("web", target=web.port), node_port("db", target=db.port),
                                       plain_ingress(rule(f"web.{ACME}", "web"), tls=["shop.example.com"])),
            "acme/compose.yaml": COMPOSE,
            "globex/tenant.yaml": documents(grant("globex")),
            "globex/all.yaml": documents(pod(other, app="hidden"), service("hidden", target=other.port), vault,
                                         plain_ingress(rule(f"hidden.{GLOBEX}", "hidden"), name="hidden"))},
            **sections(requests_per_second=5000)))


@pytest.fixture(scope="module")
def acme(e):
    return Kube(e, "acme")


@pytest.fixture(scope="module")
def globex(e):
    return Kube(e, "globex")


# ---- looking ----
@needs_kubectl
def test_kubectl_knows_the_server_and_its_kinds(acme):
    assert json.loads(acme.kubectl("version", "-o", "json"))["serverVersion"]["minor"] == "32"
    kinds = acme.kubectl("api-resources", "-o", "name").split()
    assert sorted(kinds) == sorted(f"{r}.{g}" if g else r for g, names in ALL.items() for r in names)


def test_discovery_says_the_same_in_both_forms(acme):
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    for root in ("/api", "/apis"):
        _, document = acme.ask("GET", root, Accept=aggregated)
        for group in document["items"]:
            name, version = group["metadata"].get("name", ""), group["versions"][0]
            status, plain = acme.ask("GET", base(name))
            assert status == 200 and plain["kind"] == "APIResourceList"
            assert {r["resource"]: sorted(r["verbs"]) for r in version["resources"]} == \
                {r["name"]: sorted(r["verbs"]) for r in plain["resources"]}
    # `apply --prune` looks for kinds of those two in vain
    assert [g["name"] for g in acme.ask("GET", "/apis")[1]["groups"]] == sorted({*filter(None, ALL), "apps", "batch"})


@needs_kubectl
def test_tables_have_the_words_of_the_api_server(acme, e):
    ingresses = acme.kubectl("get", "ingress").splitlines()
    assert ingresses[0].split() == ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]
    assert re.fullmatch(rf"default +<none> +web\.{ACME},files\.{ACME} +{ACME} +80, 443 +\S+", ingresses[1])
    port = e.raw_port("acme")
    services = acme.kubectl("get", "svc", "-o", "wide")
    assert re.search(rf"^db +NodePort +<none> +<none> +5678:{port}/TCP +\S+ +app=db$", services, re.M), services
    assert re.search(r"^web +ClusterIP +<none> +<none> +80/TCP", services, re.M)
    assert re.search(r"^web +1/1 +Running +0 ", acme.kubectl("get", "pods"), re.M)


@needs_kubectl
def test_the_default_ingress_is_described_as_the_seed_shows_it(acme):
    text = acme.kubectl("describe", "ingress", "default")
    assert re.search(rf"^Address: +{ACME}$", text, re.M), text
    assert f"SNI routes *.{ACME}\n" in text
    assert re.search(rf"^  web\.{ACME} *\n +/ +web:80 \(127\.\d+\.\d+\.\d+:\d+\)$", text, re.M), text
    assert re.search(rf"^  files\.{ACME} *\n +/ +files:80 \(127\.0\.0\.9:80\)$", text, re.M)
    assert re.search(r"Warning +HostPending .*shop\.example\.com.*CNAME", text), text


@needs_kubectl
def test_one_object_and_parts_of_it_are_shown_as_asked(acme):
    shown = acme.get("ingress", "default")
    assert shown["apiVersion"] == "networking.k8s.io/v1" and shown["metadata"]["namespace"] == "default"
    assert shown["status"]["loadBalancer"]["ingress"] == [{"hostname": ACME}]
    assert acme.kubectl("get", "svc", "web", "-o", "jsonpath={.spec.ports[0].targetPort}").isdigit()
    assert "kind: Ingress" in acme.kubectl("get", "ing", "default", "-o", "yaml")
    assert [i["metadata"]["name"] for i in acme.get("ing", "-A")["items"]] == ["default"]
    done = acme.run("get", "ingress", "nowhere")
    assert done.returncode == 1 and '(NotFound): ingresses.networking.k8s.io "nowhere" not found' in done.stderr


@needs_kubectl
def test_selectors_choose(acme):
    names = lambda *words: sorted(i["metadata"]["name"] for i in acme.get("pods", *words)["items"])
    assert names("-l", "app=web") == ["web"]
    assert names("-l", "app in (web, db)") == ["db", "web"]
    assert names("-l", "app!=web") == ["db"]
    assert names("-l", "!app") == []
    assert names("--field-selector", "metadata.name=db") == ["db"]
    done = acme.run("get", "pods", "--field-selector", "spec.no=1")
    assert done.returncode == 1 and "field label not supported: spec.no" in done.stderr


@needs_kubectl
def test_explain_says_what_a_field_is_for(acme):
    text = acme.kubectl("explain", "ingress.spec.tls.hosts")
    assert "one label" in text and re.search(r"FIELD: +hosts <\[\]string>", text)
    assert re.search(r"ref\s<string>", acme.kubectl("explain", "image.spec"))


def fields(message):
    """(number, bytes) of a protobuf message that has nothing but texts and messages."""
    def varint(at):
        value = shift = 0
        while True:
            value, shift, at = value | (message[at] & 127) << shift, shift + 7, at + 1
            if message[at - 1] < 128:
                return value, at
    at = 0
    while at < len(message):
        tag, at = varint(at)
        assert tag & 7 == 2
        length, at = varint(at)
        yield tag >> 3, message[at:at + length]
        at += length


def named(message, field):
    """The items of a map: NAME -> its fields."""
    pairs = [dict(fields(value)) for number, value in fields(message) if number == field]
    return {p[1].decode(): list(fields(p.get(2, b""))) for p in pairs}


def test_the_document_that_older_kubectls_validate_by_knows_the_same_kinds_and_fields(acme):
    """Version 2, in protobuf: without it, those before 1.27 apply nothing. Numbers are of gnostic's OpenAPIv2.proto."""
    path, asks = "/openapi/v2", {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    assert acme.ask("GET", path, Accept="text/html")[0] == 406 and acme.ask("POST", path, "", **asks)[0] == 404
    status, text = acme.ask("GET", path, **asks)
    document = dict(fields(text))
    assert status == 200 and document[1] == b"2.0"
    schemas = named(document[9], 1)
    kinds = {}
    for name, schema in schemas.items():
        for extension in (dict(fields(v)) for number, v in schema if number == 31):
            if extension[1] == b"x-kubernetes-group-version-kind":
                kinds |= {(g["group"], g["kind"]): name for g in json.loads(dict(fields(extension[2]))[2])}
    known = {("", "Pod"), ("", "Secret"), ("networking.k8s.io", "Ingress"), ("discovery.k8s.io", "EndpointSlice")}
    assert known <= set(kinds) and len(kinds) == sum(map(len, ALL.values()))

    for group in ALL:  # and what version 3 says, but for how it is said
        for name, schema in acme.ask("GET", f"/openapi/v3{base(group)}")[1]["components"]["schemas"].items():
            parts = named(next((v for number, v in schemas[name] if number == 25), b""), 1)
            assert set(parts) == set(schema.get("properties", {}))
            assert {v.decode() for number, v in schemas[name] if number == 19} == set(schema.get("required", []))
            for reference in (v.decode() for part in parts.values() for number, v in part if number == 1):
                assert reference.removeprefix("#/definitions/") in schemas
    status, plain = acme.ask("GET", path)  # and the same as JSON
    assert status == 200 and plain["swagger"] == "2.0" and set(plain["definitions"]) == set(schemas)
    assert plain["definitions"]["io.k8s.ServicePort"]["properties"]["targetPort"]["type"] == "string"
    assert set(re.findall(r'"#/(\w+)/', json.dumps(plain))) == {"definitions"} and '"oneOf"' not in json.dumps(plain)
    patched = [dict(fields(dict(fields(v))[2])) for number, v in fields(document[8]) if number == 2]
    assert len(patched) == 8 and all(b"dryRun" in p[8] for p in patched)


def test_secrets_are_shown_to_their_owner(globex):
    status, vault = globex.ask("GET", "/api/v1/namespaces/default/secrets/vault")
    assert status == 200 and sorted(vault["data"]) == ["tls.crt", "tls.key"] and "stringData" not in vault


# ---- being told ----
def test_a_watch_tells_each_change_once_and_in_order(e, globex):
    path = "/api/v1/namespaces/default/pods"
    start = globex.ask("GET", path)[1]["metadata"]["resourceVersion"]
    events = globex.watch(f"{path}?watch=true&resourceVersion={start}&allowWatchBookmarks=true")
    told = []
    for n in range(5):
        e.drop("globex/late.yaml", documents({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late", "labels": {"n": str(n)}}}))
        told.append(next(events))
    e.remove("globex/late.yaml")
    told.append(next(events))
    assert [t["type"] for t in told] == ["ADDED", *["MODIFIED"] * 4, "DELETED"]
    assert [t["object"]["metadata"]["labels"]["n"] for t in told] == list("012344")
    versions = [int(t["object"]["metadata"]["resourceVersion"]) for t in told]
    assert versions == sorted(set(versions)) and versions[0] > int(start)


def test_what_comes_into_a_selection_and_leaves_it_is_added_and_deleted(e, globex):
    e.drop("globex/tier.yaml", documents({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tier"}}))
    eventually(lambda: globex.ask("GET", "/api/v1/namespaces/default/pods/tier")[0] == 200)
    events = globex.watch("/api/v1/namespaces/default/pods?watch=true&labelSelector=tier%3Dfront")
    e.drop("globex/tier.yaml", documents({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tier", "labels": {"tier": "front"}}}))
    assert next(events)["type"] == "ADDED"
    e.drop("globex/tier.yaml", documents({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tier", "labels": {"tier": "back"}}}))
    assert next(events)["type"] == "DELETED"
    e.remove("globex/tier.yaml")


def test_who_asks_without_tls_is_told_so(acme):
    with socket.create_connection((acme.host, int(acme.port)), timeout=PATIENCE) as sock:
        sock.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        said = sock.makefile("rb").read()
    assert said.startswith(b"HTTP/1.0 400 ") and said.endswith(b"Client sent an HTTP request to an HTTPS server.\n"), said


def test_a_watch_from_too_long_ago_is_told_so(acme):
    assert acme.ask("GET", "/api/v1/pods?watch=true&resourceVersion=5")[1]["reason"] == "Expired"
    assert acme.ask("GET", "/api/v1/pods?watch=true&resourceVersion=x")[0] == 400


@pytest.mark.parametrize("query,status,words", [
    ("resourceVersion=x", 400, "resourceVersion: invalid value"),
    ("resourceVersion=0&resourceVersionMatch=NotOlderThan", 200, ""),
    ("resourceVersion={now}&resourceVersionMatch=Exact", 200, ""),
    ("resourceVersion=1&resourceVersionMatch=Exact", 410, "too old"),
    ("resourceVersion=9{now}", 504, "Too large resource version"),
    ("resourceVersionMatch=Exact", 422, "forbidden unless resourceVersion is provided"),
    ("resourceVersion=0&resourceVersionMatch=Exact", 422, 'is forbidden for resourceVersion "0"'),
    ("resourceVersion=1&resourceVersionMatch=Some", 422, 'Unsupported value: "Some": supported values: "Exact", "NotOlderThan"'),
    ("sendInitialEvents=true", 422, 'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden'),
    ("watch=true&sendInitialEvents=true", 422, "requires setting resourceVersionMatch to NotOlderThan"),
    ("watch=true&resourceVersion=1&resourceVersionMatch=NotOlderThan", 422, "forbidden for watch unless sendInitialEvents is provided"),
    ("watch=true&resourceVersion=1", 410, "too old resource version"),
    ("labelSelector=%3D", 400, "unable to parse requirement: found '='"),
    ("labelSelector=app%3Dweb%2C", 400, "found '', expected: identifier after ','"),
    ("labelSelector=-app%3Dweb", 400, 'Invalid value: "-app": name part must consist of'),
    ("labelSelector=%20app%3Dweb%20%2C%20a.b/c%20", 200, ""),
    ("fieldSelector=spec.some%3D1", 400, "field label not supported: spec.some"),
])
def test_what_a_list_is_asked_for_is_given_or_refused(globex, query, status, words):
    path = "/api/v1/namespaces/default/services"
    now = globex.ask("GET", path)[1]["metadata"]["resourceVersion"]
    answer = globex.ask("GET", f"{path}?{query.format(now=now)}")
    assert answer[0] == status and (status == 200 or words in answer[1]["message"]), answer
    assert not answer[1].get("message", words).startswith("unable") or "label" in query


@needs_kubectl
def test_kubectl_watches_and_waits(e, globex):
    waiting = globex.begin("wait", "--for=condition=Ready", "pod/slow", "--timeout=15s")
    waiting.communicate()
    assert waiting.returncode == 1  # there is none yet
    slow = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slow"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    e.drop("globex/slow.yaml", documents(slow))
    eventually(lambda: globex.ask("GET", "/api/v1/namespaces/default/pods/slow")[0] == 200)
    waiting = globex.begin("wait", "--for=condition=Ready", "pod/slow", "--timeout=15s")
    watching = globex.begin("get", "pods", "--watch", "--field-selector", "metadata.name=slow")
    assert watching.stdout.readline().startswith("NAME")
    assert re.match(r"slow +0/0 +Pending", watching.stdout.readline())
    slow["status"]["conditions"][0]["status"] = "True"
    e.drop("globex/slow.yaml", documents(slow))
    assert re.match(r"slow +0/0 +Running", watching.stdout.readline())
    watching.terminate()
    watching.communicate()
    out, _ = waiting.communicate()
    assert waiting.returncode == 0 and "condition met" in out, out
    e.remove("globex/slow.yaml")


def test_many_watches_see_every_change_once_and_in_order(e, globex):
    changes = 10
    start = globex.ask("GET", "/api/v1/configmaps")[1]["metadata"]["resourceVersion"]
    watches = [globex.watch(f"/api/v1/configmaps?watch=true&resourceVersion={start}") for _ in range(100)]
    path = "/api/v1/namespaces/default/configmaps"
    assert globex.ask("POST", path, {"metadata": {"name": "counted"}, "data": {"n": "0"}})[0] == 201
    told = [[next(w)["object"]["data"]["n"]] for w in watches]  # all of them have begun
    for n in range(1, changes):
        assert globex.ask("PATCH", f"{path}/counted", {"data": {"n": str(n)}}, Content_Type="application/merge-patch+json")[0] == 200
    for w, seen in zip(watches, told):
        seen += [next(w)["object"]["data"]["n"] for _ in range(1, changes)]
    assert told == [[str(n) for n in range(changes)]] * len(watches)
    assert globex.ask("DELETE", f"{path}/counted")[0] == 200
    assert {next(w)["type"] for w in watches} == {"DELETED"}


# ---- who may ----
def test_without_a_token_that_is_in_order_there_is_nothing(e, acme):
    for authorization in ("", "Bearer", "Bearer x", f"Basic {acme.token}", f"Bearer {acme.token}x", f"Bearer {acme.token[:-1]}",
                          "Bearer " + acme.token.replace(acme.token_id, "aaaaaaaaaa"), "Bearer rk.." + "a" * 60):
        for path in ("/", "/version", "/api", "/openapi/v3", "/api/v1/namespaces/default/secrets", "/nonsense"):
            status, answer = acme.ask("GET", path, Authorization=authorization)
            assert (status, answer["reason"]) == (401, "Unauthorized"), (authorization, path)
    assert acme.ask("GET", "/healthz", Authorization="")[0] == 200


def test_tokens_expire_are_listed_and_revoked_and_only_their_hashes_are_kept(e):
    short, good = Kube(e, "acme", "--ttl", "1s"), Kube(e, "acme")
    assert good.ask("GET", "/version")[0] == 200
    eventually(lambda: short.ask("GET", "/version")[0] == 401)
    listed = {t["id"]: t["state"] for t in json.loads(e.run("token", "list", "-n", "acme", "-o", "json").stdout)}
    assert listed[short.token_id] == "expired" and listed[good.token_id] == "good"
    assert e.run("token", "revoke", good.token_id, "-n", "globex").returncode == 1  # not its own
    events = good.watch("/api/v1/pods?watch=true")
    next(events)
    assert e.run("token", "revoke", good.token_id, "-n", "acme").returncode == 0
    assert good.ask("GET", "/version")[0] == 401
    list(events)  # the watch ends as well
    kept = b"".join(p.read_bytes() for p in e.state.iterdir() if p.is_file())
    assert good.token_id.encode() in kept and good.token.split(".")[2].encode() not in kept
    assert e.run("kubeconfig", "nobody").returncode == 1
    assert e.run("kubeconfig", "acme", "--ttl", "soon").returncode == 2


def strange_names():
    return ["hidden", "globex", "..", "%2e%2e", "default%2F..%2Fglobex", "..%2Fglobex", "globex%2Fhidden", "default%00", "default%2Fhidden",
            "DEFAULT", "default ", "default%20", "*", "%", "%zz", "a" * 300]


def test_a_token_sees_its_own_tenant_and_nothing_else_whatever_it_asks(acme, globex):
    """Every kind, every verb, every place for a name, by paths and by selectors: no answer knows a word of the other tenant's."""
    words = (b"hidden", GLOBEX.encode(), b"vault")
    connection = acme.connect()
    asked = 0
    for group, resources in ALL.items():
        for resource, method in itertools.product(resources, ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")):
            own = f"{base(group)}/namespaces/default/{resource}" + ("?dryRun=All" if method == "DELETE" else "")
            paths = [f"{base(group)}/{resource}", own]
            for name in strange_names():
                paths += [f"{base(group)}/namespaces/{name}/{resource}", f"{base(group)}/namespaces/{name}/{resource}/hidden",
                          f"{base(group)}/namespaces/default/{resource}/{name}", f"{base(group)}/{resource}/{name}",
                          f"{base(group)}/namespaces/default/{resource}/{name}/status"]
            for path in paths:
                status, answer = acme.ask(method, path.replace(" ", "%20"), connection=connection)
                # What was asked for may stand in the answer; what it looks like may not.
                said = json.dumps(answer).encode() if not isinstance(answer, bytes) else answer
                asked += 1
                for word in words:
                    if word in path.encode():
                        continue
                    assert word not in said, (method, path, said)
                if status == 200 and method == "GET":
                    assert b"127." not in said or b"hidden" not in said, (method, path)
                else:
                    assert method == "HEAD" or status >= 400 or (method, path) == ("DELETE", own), (method, path, status)
    assert asked > 3000
    for selector in ("labelSelector=app%3Dhidden", "fieldSelector=metadata.name%3Dhidden", "fieldSelector=metadata.namespace%3Dglobex"):
        for path in ("/api/v1/pods", "/api/v1/services", "/api/v1/namespaces/default/pods"):
            assert acme.ask("GET", f"{path}?{selector}")[1]["items"] == []
    connection.close()


def test_another_namespace_is_forbidden_in_the_same_words_whether_it_is_a_tenant_or_not(acme):
    def refused(name):
        status, answer = acme.ask("GET", f"/api/v1/namespaces/{name}/secrets/vault")
        return status, answer["message"].replace(name, "NAME")
    assert refused("globex") == refused("nobody")
    assert refused("globex")[0] == 403 and 'User "tenant:acme" cannot get resource "secrets"' in refused("globex")[1]


def test_a_watch_hears_nothing_of_another_tenants_changes(e, acme, globex):
    mine, theirs = acme.watch("/api/v1/pods?watch=true"), globex.watch("/api/v1/pods?watch=true&resourceVersion=0")
    for _ in acme.ask("GET", "/api/v1/pods")[1]["items"]:
        next(mine)
    for _ in globex.ask("GET", "/api/v1/pods")[1]["items"]:
        next(theirs)
    named = lambda name: documents({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}})
    e.drop("globex/theirs.yaml", named("theirs"))
    assert next(theirs)["object"]["metadata"]["name"] == "theirs"
    e.drop("acme/mine.yaml", named("mine"))
    assert next(mine)["object"]["metadata"]["name"] == "mine"
    e.remove("globex/theirs.yaml")
    e.remove("acme/mine.yaml")


def test_the_name_of_a_tenant_that_is_gone_brings_its_tokens_to_nobody(e):
    e.drop("initech.yaml", documents(grant("initech")))
    eventually(lambda: e.tenant("initech"))
    first = Kube(e, "initech")
    assert first.ask("GET", "/api/v1/pods")[0] == 200
    e.remove("initech.yaml")
    eventually(lambda: not e.tenant("initech"))
    assert first.ask("GET", "/api/v1/pods")[0] == 401
    e.drop("initech.yaml", documents(grant("initech", domain="initech2.1d.pt")))
    eventually(lambda: e.tenant("initech"))
    assert first.ask("GET", "/api/v1/pods")[0] == 401


def test_this_api_is_never_dialled_for_a_tenant(e, acme, globex):
    e.drop("globex/self.yaml", documents(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "self"}, "spec": {"ports": [{"port": 80}]}},
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "self"},
         "subsets": [{"addresses": [{"ip": acme.host}], "ports": [{"port": int(acme.port)}]}]},
        plain_ingress(rule(f"self.{GLOBEX}", "self"), name="self")))
    row = eventually(lambda: next((b for b in e.get("backends", "-n", "globex") if b["service"] == "self"), None))
    assert row["state"] == "notReady" and "edge's own" in row["reason"], row
    e.remove("globex/self.yaml")


# ---- how much ----
def stranger(kube):
    return kube.context.wrap_socket(socket.create_connection((kube.host, int(kube.port)), 15), server_hostname="localhost")


def asked_at_once(kube, path, count):
    """What so many requests are answered that are there before the first one is, until one is refused: however slow the client, none of them is late."""
    said = b""
    with stranger(kube) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {kube.token}\r\n\r\n".encode() * count)
        with contextlib.suppress(OSError):
            while piece := s.recv(1 << 16):
                said += piece
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+)", said)]


def test_more_requests_than_a_tenant_may_make_are_told_to_come_later(authority):
    with Edge({"acme.yaml": documents(grant("acme")), "globex.yaml": documents(grant("globex"))},
              **sections(requests_per_second=5, tenant_connections=3, body_size=4096)) as e:
        acme, globex = Kube(e, "acme"), Kube(e, "globex")
        answers = asked_at_once(acme, "/version", 60)
        assert answers[:20] == [200] * 20 and answers[-1] == 429
        assert globex.ask("GET", "/version")[0] == 200
        held = [globex.connect() for _ in range(3)]
        assert [globex.ask("GET", "/version", connection=c)[0] for c in held] == [200] * 3
        assert globex.ask("GET", "/version")[0] == 429
        assert acme.ask("POST", "/api/v1/namespaces/default/pods", "x" * 5000)[0] in (413, 429)
        assert globex.ask("POST", "/api/v1/namespaces/default/pods", "x" * 5000, connection=held[0])[0] == 413
        for c in held:
            c.close()


def requests(e):
    """So many it has been asked."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{e.admin_port}/metrics", timeout=PATIENCE).read().decode()
    return int(re.search(r"^ringress_kube_requests_total (\d+)", text, re.M)[1])


def test_who_has_much_to_be_shown_is_shown_it_less_often(authority):
    many = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{i}"}, "data": {f"k{n}": "v" for n in range(50)}} for i in range(1000)]
    with Edge({"acme/tenant.yaml": documents(grant("acme")), "acme/many.yaml": documents(*many), "globex.yaml": documents(grant("globex"))},
              **sections(requests_per_second=20)) as e:
        acme, globex = Kube(e, "acme"), Kube(e, "globex")
        assert acme.ask("GET", "/api/v1/configmaps")[0] == 200
        for _ in range(400):  # as often as the other, who has nothing to be shown
            assert globex.ask("GET", "/api/v1/configmaps")[0] == 200
            if acme.ask("GET", "/api/v1/configmaps")[0] == 429:
                return
        assert not "it was always shown"


def ask_without_end(kube):
    """In one thread: Python's TLS is not for two."""
    asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 400
    with stranger(kube) as s:
        s.setblocking(False)
        while True:
            with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
                s.send(asked)
            with contextlib.suppress(ssl.SSLWantReadError):
                s.recv(1 << 20)


def test_who_asks_faster_than_is_answered_keeps_nobody_else_waiting(e, acme):
    """Health needs no token: anybody may ask."""
    flood = multiprocessing.get_context("fork").Process(target=ask_without_end, args=(acme,), daemon=True)
    flood.start()
    try:
        time.sleep(0.5)
        before = requests(e)
        assert [acme.ask("GET", "/version")[0] for _ in range(5)] == [200] * 5
        assert requests(e) - before < 20000
    finally:
        flood.kill()
        flood.join()


def test_one_tenant_never_has_all_connections(authority):
    with Edge({"acme.yaml": documents(grant("acme")), "globex.yaml": documents(grant("globex"))}, **sections(connections=8)) as e:
        acme, globex = Kube(e, "acme"), Kube(e, "globex")
        held = [acme.connect() for _ in range(8)]
        assert [acme.ask("GET", "/version", connection=c)[0] for c in held] == [200] * 4 + [429] * 4
        assert globex.ask("GET", "/version")[0] == 200
        for c in held:
            c.close()


def waits(kube, count, head, body=b""):
    """So many of this request, whose answers nobody reads."""
    sockets = []
    for _ in range(count):
        raw = socket.socket()
        raw.settimeout(PATIENCE)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((kube.host, int(kube.port)))
        s = kube.context.wrap_socket(raw, server_hostname="localhost")
        sockets.append(s)
        with contextlib.suppress(OSError):  # it may be refused before all is said
            s.sendall(f"{head} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {kube.token}\r\n".encode() + body)
    return sockets


def test_what_a_tenants_clients_do_not_read_is_kept_for_few_of_them(authority):
    big = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"a": "x" * (3 << 20)}}
    with Edge({"acme/tenant.yaml": documents(grant("acme")), "acme/big.yaml": documents(big),
               "globex.yaml": documents(grant("globex"))}, **sections()) as e:
        acme, globex = Kube(e, "acme"), Kube(e, "globex")
        held = waits(acme, 30, "GET /api/v1/configmaps", b"\r\n")
        codes = [s.recv(12)[-3:] for s in held]
        assert b"200" in codes and b"429" in codes, codes
        assert globex.ask("GET", "/api/v1/configmaps")[0] == 200
        for s in held:
            s.close()


def test_bodies_that_never_end_are_kept_for_few_of_a_tenants_clients(authority):
    with Edge({"acme.yaml": documents(grant("acme"))}, **sections()) as e:
        acme = Kube(e, "acme")
        body = b"Content-Length: 1000000\r\n\r\n" + b"x" * 999000
        held = waits(acme, 60, "POST /api/v1/namespaces/default/services", body)
        assert held[-1].recv(12).endswith(b"429")
        held[0].settimeout(0.1)
        with pytest.raises(TimeoutError):
            held[0].recv(12)
        for s in held:
            s.close()
        assert eventually(lambda: acme.ask("GET", "/api/v1/services")[0] == 200)


def test_what_is_no_request_is_refused_and_who_says_nothing_is_let_go_of(e, acme):
    def said(data):
        with socket.create_connection((acme.host, int(acme.port)), 15) as raw, acme.context.wrap_socket(raw, server_hostname="localhost") as s:
            s.sendall(data)
            return s.recv(200)
    token = f"Authorization: Bearer {acme.token}\r\n".encode()
    assert said(b"GET / HTTP/1.0\r\n\r\n")[:12] in (b"HTTP/1.1 401", b"HTTP/1.1 400")
    assert said(b"NONSENSE\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert said(b"GET /version HTTP/1.1\r\nHost: x\r\n" + token * 2 + b"\r\n").startswith(b"HTTP/1.1 400")
    assert said(b"GET /version HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431")
    assert said(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n" + token + b"\r\n").startswith(b"HTTP/1.1 431")
    assert said(b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n" + token + b"\r\n").startswith(b"HTTP/1.1 400")
    for seconds in ("99999999999999999", "9223372036854775807", "-5", "x"):
        next(acme.watch(f"/api/v1/pods?watch=1&timeoutSeconds={seconds}"))
    with stranger(acme) as s:  # no answer to HEAD has a body, or whoever stands between takes it for the next answer
        s.sendall(b"HEAD /api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\n" + token + b"\r\n")
        assert b"Content-Length" in s.recv(2000)
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(2000).startswith(b"HTTP/1.1 200")
    with socket.create_connection((acme.host, int(acme.port)), 15) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n\r\n")  # not TLS: told so, and nothing else
        assert raw.recv(200).startswith(b"HTTP/1.0 400 Bad Request\r\n") and not raw.recv(200)


def test_a_token_outlives_a_restart_and_so_does_the_authority(authority):
    with Edge({"acme.yaml": documents(grant("acme"))}, **sections()) as e:
        acme = Kube(e, "acme")
        uid = acme.ask("GET", "/api/v1/namespaces/default")[1]["metadata"]["uid"]
        start = acme.ask("GET", "/api/v1/pods")[1]["metadata"]["resourceVersion"]
        time.sleep(0.01)
        e.restart()
        assert acme.ask("GET", "/api/v1/namespaces/default")[1]["metadata"]["uid"] == uid
        assert acme.ask("GET", f"/api/v1/pods?watch=true&resourceVersion={start}")[1]["reason"] == "Expired"
        assert (e.state / "kube/ca.key").stat().st_mode & 0o777 == 0o600


def test_a_section_that_is_wrong_is_blamed_and_a_command_without_the_module_is_not_known(authority):
    for kube, wrong in (({}, "listen"), ({"listen": "localhost"}, "is not an address with a port"), ({"listen": "127.0.0.1:1", "cert_file": "x"}, "go together"),
                        ({"listen": "127.0.0.1:1", "server": "http://x"}, "https://"), ({"listen": "127.0.0.1:1", "token_ttl": "1s"}, "token_ttl")):
        edge = Edge({"acme.yaml": documents(grant("acme"))}, modules=MODULES, kube=kube)
        done = edge.run("check")
        edge.end(failed=False)
        assert done.returncode == 1 and wrong in done.stdout, (kube, done.stdout)
    with Edge({"acme.yaml": documents(grant("acme"))}) as e:
        done = e.run("kubeconfig", "acme")
        assert done.returncode == 2 and "does not know the command `kubeconfig`" in done.stderr
    chain, key = authority.issue("localhost")
    given = sections(cert_file=str(chain), key_file=str(key), ca_file=str(authority.ca), server="https://localhost:1")
    given["kube"]["server"] = given["kube"]["listen"].replace("127.0.0.1", "https://localhost")
    with Edge({"acme.yaml": documents(grant("acme"))}, **given) as e:
        assert Kube(e, "acme").ask("GET", "/version")[0] == 200


# ---- what runs in an engine ----
@needs_kubectl
@needs_new_kubectl
def test_containers_are_pods_that_come_and_go_with_the_engines_and_can_not_be_written(tmp_path):
    """As the docker module tells of them: to lists, to watches, behind the default Ingress, and as whose word that is."""
    path, mine = tmp_path / "docker.sock", sections()
    with EchoPod("one") as one, EchoPod("two") as two, Engine(path) as d, Edge(
            {"acme/tenant.yaml": documents(grant("acme")), "globex.yaml": documents(grant("globex"))},
            **{**mine, "modules": [*MODULES, "docker"]}, docker=[{"socket": str(path), "tenant": "acme"}]) as e:
        acme, pods = Kube(e, "acme"), "/api/v1/namespaces/default/pods"
        start = acme.ask("GET", pods)[1]["metadata"]["resourceVersion"]
        events = acme.watch(f"{pods}?watch=true&resourceVersion={start}")
        label = {"kr.ingress.5678": "http://web.*"}
        d.start("web-1", label, {"bridge": one.address})
        added = next(events)
        assert (added["type"], added["object"]["metadata"]["name"]) == ("ADDED", "web-1")
        assert added["object"]["metadata"]["annotations"] == {**label, "ringress/origin": "docker"}
        assert re.search(r"^web-1 +1/1 +Running +3 +[1-9]y", acme.kubectl("get", "pods"), re.M)
        told = acme.kubectl("describe", "pod", "web-1")
        for words in (r"Image: +local/app:1", rf"Container ID: +docker://{d.containers['web-1'].id}", r"State: +Running\n +Started: +Tue, 14 Nov 2023 22:13:21",
                      r"Restart Count: +3"):
            assert re.search(words, told), (words, told)
        assert re.search(rf"^  web\.{ACME} *\n +/ +web-1:5678 \({one.address}:5678\)$", acme.kubectl("describe", "ingress", "default"), re.M)
        assert e.status(f"http://web.{ACME}/") == 200
        d.change("web-1", "pause", status="paused")
        changed = next(events)
        assert changed["type"] == "MODIFIED" and changed["object"]["status"]["conditions"][0]["status"] == "False"
        assert re.search(r"^web-1 +0/1 ", acme.kubectl("get", "pods"), re.M)

        for words in (["delete", "pod", "web-1"], ["label", "pod", "web-1", "a=b"], ["annotate", "svc", "web-1", "a=b"],
                      ["patch", "pod", "web-1", "--subresource=status", "--type=merge", "-p", '{"status":{"podIP":"127.0.0.1"}}']):
            done = acme.run(*words)
            assert done.returncode == 1 and "(MethodNotAllowed): nobody wrote this object" in done.stderr, (words, done.stderr)
        assert acme.ask("POST", pods, {"metadata": {"name": "web-1"}})[0] == 409
        assert acme.ask("PUT", f"{pods}/web-1", changed["object"])[0] == 405
        assert sorted(p.name for p in (e.conf_d / "acme").iterdir()) == ["tenant.yaml"]
        assert Kube(e, "globex").ask("GET", pods)[1]["items"] == []

        d.start("web-2", label, {"bridge": two.address})
        assert next(events)["object"]["metadata"]["name"] == "web-2"
        d.stop("web-1")
        gone = next(events)
        assert (gone["type"], gone["object"]["metadata"]["name"]) == ("DELETED", "web-1")


@needs_kubectl
def test_a_compose_service_has_a_name_that_kubectl_takes_and_says_why_it_has_no_raw_port(tmp_path):
    path, mine = tmp_path / "docker.sock", sections()
    with EchoPod("one") as one, Engine(path) as d, Edge(
            {"acme.yaml": documents(grant("acme", rawPorts=0))},
            **{**mine, "modules": [*MODULES, "docker"]}, docker=[{"socket": str(path), "tenant": "acme"}]) as e:
        acme = Kube(e, "acme")
        of = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
        d.start("shop-web-1", {**of, "kr.ingress.5678": "http://web.*", "kr.ingress.9": "tcp://"}, {"bridge": one.address})
        eventually(lambda: e.get("backends"))
        assert re.search(rf"^  web\.{ACME} *\n +/ +shop\.web:5678 \({one.address}:5678\)$", acme.kubectl("describe", "ingress", "default"), re.M)
        text = acme.kubectl("describe", "svc", "shop.web")
        assert re.search(r"Warning +PortRefused .* no raw port for 9: the quota of 0 raw ports is used up", text), text
        assert acme.get("endpointslices", "-l", "kubernetes.io/service-name=shop.web")["items"]
