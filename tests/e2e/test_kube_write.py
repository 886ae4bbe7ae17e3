# SPDX-License-Identifier: GPL-3.0-or-later
"""What kubectl writes: it lands in the tenant's folder as YAML, checked as a drop is, and is live when kubectl says so."""
import concurrent.futures
import contextlib
import os
import re
import urllib.parse

import pytest
import yaml

from edge import Edge, eventually
from kube import Kube, needs_kubectl, needs_new_kubectl, sections
from objects import ACME, GLOBEX, documents, grant, ingress, pod, rule, service
from pod import EchoPod

INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
PODS, SERVICES = (f"/api/v1/namespaces/default/{kind}" for kind in ("pods", "services"))
STRATEGIC, MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"
COMPOSE = "services:\n  files:\n    labels: {kr.ingress.80: 'https://files.*'}\n    networks: {n: {ipv4_address: 127.0.0.9}}\n"


@pytest.fixture(scope="module")
def e():
    with contextlib.ExitStack() as stack:
        web, other = (stack.enter_context(EchoPod(n)) for n in ("web", "other"))
        yield stack.enter_context(Edge({
            "acme.yaml": documents(grant("acme"), pod(web), service("web", target=web.port)),
            "globex/tenant.yaml": documents(grant("globex")),
            "globex/compose.yaml": COMPOSE,
            "globex/all.yaml": "# the operator's own words\n" + documents(pod(other), service("other", target=other.port))},
            **sections(requests_per_second=5000)))


@pytest.fixture(scope="module")
def acme(e):
    return Kube(e, "acme")


@pytest.fixture(scope="module")
def globex(e):
    return Kube(e, "globex")


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(text)
        return path
    return write


def plain(name, *rules):
    return ingress(*rules, name=name, ssl_redirect="false")


# ---- kubectl ----
@needs_kubectl
def test_what_is_applied_routes_when_kubectl_returns_and_lies_in_the_folder(e, acme, file):
    """A tenant that was one file becomes a folder at its first write, and loses nothing."""
    text = documents(plain("web", rule(f"web.{ACME}", "web")), service("two", target=80))
    assert acme.kubectl("apply", "-f", file(text)) == "ingress.networking.k8s.io/web created\nservice/two created\n"
    assert e.status(f"http://web.{ACME}/") == 200
    assert not (e.conf_d / "acme.yaml").exists()
    written = yaml.safe_load((e.conf_d / "acme/ingress.web.yaml").read_text())
    assert written["spec"]["rules"][0]["host"] == f"web.{ACME}" and "status" not in written and "namespace" not in written["metadata"]
    assert (e.conf_d / "acme/service.two.yaml").exists()
    assert acme.kubectl("apply", "-f", file(text)) == "ingress.networking.k8s.io/web unchanged\nservice/two unchanged\n"
    moved = documents(plain("web", rule(f"moved.{ACME}", "web")))
    done = acme.run("diff", "-f", file(moved))
    assert done.returncode == 1 and re.search(rf"^-.*web\.{ACME}$", done.stdout, re.M) and re.search(rf"^\+.*moved\.{ACME}$", done.stdout, re.M)
    assert acme.kubectl("apply", "-f", file(moved), "--dry-run=server") == "ingress.networking.k8s.io/web configured (server dry run)\n"
    assert e.status(f"http://moved.{ACME}/") == 404
    assert acme.kubectl("apply", "-f", file(moved)) == "ingress.networking.k8s.io/web configured\n"
    assert (e.status(f"http://moved.{ACME}/"), e.status(f"http://web.{ACME}/")) == (200, 404)
    assert acme.kubectl("delete", "ingress", "web") == 'ingress.networking.k8s.io "web" deleted\n'
    assert e.status(f"http://moved.{ACME}/") == 404 and not (e.conf_d / "acme/ingress.web.yaml").exists()
    assert acme.kubectl("delete", "svc", "two")


@needs_kubectl
def test_every_way_to_write_that_kubectl_has(e, acme, file):
    acme.kubectl("create", "ingress", "simple", f"--rule=simple.{ACME}/=web:80", "--annotation=ringress/ssl-redirect=false")  # protobuf
    assert e.status(f"http://simple.{ACME}/") == 200
    done = acme.run("create", "ingress", "simple", f"--rule=simple.{ACME}/=web:80")
    assert done.returncode == 1 and 'ingresses.networking.k8s.io "simple" already exists' in done.stderr
    acme.kubectl("annotate", "ingress", "simple", "note=1")
    acme.kubectl("label", "ingress", "simple", "tier=front")
    acme.kubectl("patch", "ingress", "simple", "-p", '{"metadata":{"annotations":{"note":"2"}}}')
    acme.kubectl("patch", "ingress", "simple", "--type=merge", "-p", '{"spec":{"ingressClassName":"ringress"}}')
    acme.kubectl("patch", "ingress", "simple", "--type=json", "-p", '[{"op":"remove","path":"/metadata/labels/tier"}]')
    shown = acme.get("ingress", "simple")
    assert shown["metadata"]["annotations"]["note"] == "2" and "labels" not in {k for k, v in shown["metadata"].items() if v}
    assert shown["spec"]["ingressClassName"] == "ringress"
    assert "edited" in acme.kubectl("edit", "ingress", "simple", EDITOR=f"sed -i s,simple.{ACME},edited.{ACME},")
    assert e.status(f"http://edited.{ACME}/") == 200
    text = file(documents(plain("simple", rule(f"applied.{ACME}", "web"))))
    assert "serverside-applied" in acme.kubectl("apply", "--server-side", "--force-conflicts", "-f", text)
    assert e.status(f"http://applied.{ACME}/") == 200
    done = acme.run("apply", "--server-side", "--field-manager=other", "-f", file(documents(plain("simple", rule(f"stolen.{ACME}", "web")))))
    assert done.returncode == 1 and "conflict with \"kubectl\"" in done.stderr, done.stderr
    assert "replaced" in acme.kubectl("replace", "-f", text)
    acme.kubectl("apply", "-f", file("apiVersion: v1\nkind: Image\nmetadata: {name: echo}\nspec: {ref: hashicorp/http-echo}\n"))
    assert re.search(r"^echo +hashicorp/http-echo", acme.kubectl("get", "images"), re.M)
    acme.kubectl("delete", "ingress/simple", "image/echo")


@needs_kubectl
def test_the_seeds_own_way_a_pod_a_service_and_a_host_in_the_default_ingress(e, globex, file, tmp_path):
    """apply example.yaml; edit ingress default. What labels made stays shown, and is not written down."""
    globex.kubectl("apply", "-f", file(documents(service("echo", app="other", target=80))))
    rules = tmp_path / "edit.py"
    rules.write_text("import sys, yaml\nd = yaml.safe_load(open(sys.argv[1]))\n"
                     f"d['metadata'].setdefault('annotations', {{}})['ringress/ssl-redirect'] = 'false'\n"
                     f"d['spec']['rules'].append({rule(f'echo.{GLOBEX}', 'other')!r})\nyaml.safe_dump(d, open(sys.argv[1], 'w'))\n")
    assert "edited" in globex.kubectl("edit", "ingress", "default", EDITOR=f"/usr/bin/python3 {rules}")
    assert e.status(f"http://echo.{GLOBEX}/") == 200
    hosts = [r["host"] for r in globex.get("ingress", "default")["spec"]["rules"]]
    assert sorted(hosts) == [f"echo.{GLOBEX}", f"files.{GLOBEX}"]
    written = yaml.safe_load((e.conf_d / "globex/ingress.default.yaml").read_text())
    assert [r["host"] for r in written["spec"]["rules"]] == [f"echo.{GLOBEX}"] and "tls" not in written["spec"]
    globex.kubectl("delete", "ingress", "default")  # what is always there is another object
    assert [r["host"] for r in globex.get("ingress", "default")["spec"]["rules"]] == [f"files.{GLOBEX}"]
    done = globex.run("delete", "ingress", "default")
    assert done.returncode == 1 and "nobody wrote this object" in done.stderr
    globex.kubectl("delete", "svc", "echo")


@needs_kubectl
@needs_new_kubectl
def test_what_is_wrong_is_said_with_the_path_of_the_field_and_nothing_is_written(e, acme, file):
    bad = ingress(rule("UPPER", ("x", "web", "Sideways")), name="bad")
    done = acme.run("apply", "-f", file(documents(bad)))
    assert done.returncode == 1 and 'The Ingress "bad" is invalid:' in done.stderr
    for field in ("spec.rules[0].host", "spec.rules[0].http.paths[0].pathType"):
        assert field in done.stderr, done.stderr
    odd = {**ingress(rule(f"odd.{ACME}", "web"), name="odd")}
    odd["spec"]["rulez"] = []
    done = acme.run("apply", "-f", file(documents(odd)))
    assert done.returncode == 1 and 'strict decoding error: unknown field "spec.rulez"' in done.stderr
    done = acme.run("apply", "--validate=warn", "-f", file(documents(odd)))
    assert done.returncode == 0 and 'Warning: unknown field "spec.rulez"' in done.stderr, done.stderr
    acme.kubectl("delete", "ingress", "odd")
    assert not list((e.conf_d / "acme").glob("ingress.*"))


def test_what_only_the_check_of_a_drop_finds_is_said_with_the_path_of_the_field_too(e, acme, globex):
    """Also where the object is one of several in a file that somebody wrote by hand."""
    def causes(kube, method, path, body, **headers):
        status, answer = kube.ask(method, path, body, **headers)
        assert status == 422, answer
        return {c.get("field"): c["message"] for c in answer["details"]["causes"]}
    ask = ingress(rule(f"ask.{ACME}", "web"), name="ask", ssl_redirect="maybe")
    said = causes(acme, "POST", INGRESSES, ask)
    assert said["metadata.annotations[ringress/ssl-redirect]"] == 'Invalid value: "maybe": must be "true" or "false"', said
    e.drop("globex/both.yaml", "# above\n" + documents(service("above", target=80)) + "---\n" + documents(plain("both", rule(f"both.{GLOBEX}", "other"))))
    eventually(lambda: globex.ask("GET", f"{INGRESSES}/both")[0] == 200)
    bad = {"metadata": {"annotations": {"ringress/certificate-key": "dsa"}}}
    said = causes(globex, "PATCH", f"{INGRESSES}/both", bad, Content_Type=MERGE)
    assert said == {"metadata.annotations[ringress/certificate-key]": 'Invalid value: "dsa": must be ecdsa or rsa'}
    assert "dsa" not in (e.conf_d / "globex/both.yaml").read_text()
    e.remove("globex/both.yaml")
    eventually(lambda: globex.ask("GET", f"{INGRESSES}/both")[0] == 404)


def test_a_field_there_is_not_is_left_out_and_one_that_a_hand_wrote_stays(e, globex):
    text = "# mine\n" + documents(plain("odd", rule(f"odd.{GLOBEX}", "other")))
    e.drop("globex/odd.yaml", text.replace("spec:\n", "spec:\n  rulez: [1]\n"))
    eventually(lambda: globex.ask("GET", f"{INGRESSES}/odd")[0] == 200)
    for query, status in (("?fieldValidation=Strict", 422), ("?fieldValidation=Warn", 200)):
        answer = globex.ask("PATCH", f"{INGRESSES}/odd{query}", {"spec": {"more": 1, "ingressClassName": "ringress"}}, Content_Type=MERGE)
        assert answer[0] == status, answer
        if status == 422:
            assert [c["field"] for c in answer[1]["details"]["causes"]] == ["patch"] and 'unknown field "spec.more"' in answer[1]["message"]
    written = (e.conf_d / "globex/odd.yaml").read_text()
    assert "rulez" in written and "ringress" in written and "more" not in written
    shown = globex.ask("GET", f"{INGRESSES}/odd")[1]
    assert globex.ask("PUT", f"{INGRESSES}/odd?fieldValidation=Strict", shown)[0] == 200
    applied = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "odd"}, "spec": {"less": 1}}
    status, answer = globex.ask("PATCH", f"{INGRESSES}/odd?fieldManager=me", applied, Content_Type="application/apply-patch+yaml")
    assert status == 200 and "less" not in str(answer), answer
    e.remove("globex/odd.yaml")
    eventually(lambda: globex.ask("GET", f"{INGRESSES}/odd")[0] == 404)


@needs_kubectl
def test_an_annotation_that_is_none_of_ours_is_a_warning(acme):
    acme.kubectl("create", "ingress", "near", f"--rule=near.{ACME}/=web:80")
    done = acme.run("annotate", "ingress", "near", "ringress/alow-source-range=10.0.0.0/8")
    assert done.returncode == 0 and "Warning: " in done.stderr and "ringress/alow-source-range" in done.stderr, done.stderr
    done = acme.run("annotate", "ingress", "near", "ringress/alow-source-range-", "ringress/allow-source-range=127.0.0.0/8", "other/x=y")
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    acme.kubectl("delete", "ingress", "near")


def test_of_a_pods_status_nothing_but_the_status_is_written(acme):
    body = {"metadata": {"name": "there"}, "spec": {"containers": [{"name": "a", "image": "x"}]}}
    assert acme.ask("POST", PODS, body)[0] == 201
    body.update(spec={"containers": [{"name": "b", "image": "y"}]}, status={"podIP": "127.0.0.7", "phase": "Running"})
    for answer in (acme.ask("PUT", f"{PODS}/there/status", {"kind": "Pod", "apiVersion": "v1", **body}),
                   acme.ask("PATCH", f"{PODS}/there/status", body, Content_Type=MERGE)):
        assert answer[0] == 200 and answer[1]["status"]["podIP"] == "127.0.0.7", answer
        assert answer[1]["spec"]["containers"] == [{"name": "a", "image": "x"}], answer
    assert acme.ask("DELETE", f"{PODS}/there/status")[0] == 405
    assert acme.ask("DELETE", f"{PODS}/there")[0] == 200


def test_endpoints_of_pods_that_a_service_selects_are_not_written(acme):
    """They would stay as they are without the pods; those of a Service that selects none are its owner's."""
    endpoints = "/api/v1/namespaces/default/endpoints"
    slices = acme.ask("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb")[1]
    label = {"metadata": {"labels": {"a": "b"}}}
    assert acme.ask("PATCH", f"{endpoints}/web", label, Content_Type=MERGE)[0] == 405
    path = f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/{slices['items'][0]['metadata']['name']}"
    assert acme.ask("PATCH", path, label, Content_Type=MERGE)[0] == 405
    assert acme.ask("POST", SERVICES, {"metadata": {"name": "own"}, "spec": {"ports": [{"port": 80}]}})[0] == 201
    subsets = {"subsets": [{"addresses": [{"ip": "127.0.0.7"}], "ports": [{"port": 80}]}]}
    status, answer = acme.ask("PATCH", f"{endpoints}/own", subsets, Content_Type=MERGE)
    assert status == 200 and answer["subsets"][0]["addresses"] == [{"ip": "127.0.0.7"}], answer
    assert acme.ask("DELETE", f"{endpoints}/own")[0] == 200 and acme.ask("DELETE", f"{SERVICES}/own")[0] == 200


def test_a_service_that_is_no_node_port_any_more_lets_go_of_its_number(e, acme):
    made = {"metadata": {"name": "port"}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 5678}]}}
    status, answer = acme.ask("POST", SERVICES, made)
    assert status == 201 and answer["spec"]["ports"][0]["nodePort"]
    status, answer = acme.ask("PATCH", f"{SERVICES}/port", {"spec": {"type": "ClusterIP"}}, Content_Type=MERGE)
    assert status == 200 and "nodePort" not in answer["spec"]["ports"][0], answer
    assert "nodePort" not in (e.conf_d / "acme/service.port.yaml").read_text()
    assert acme.ask("DELETE", f"{SERVICES}/port")[0] == 200


@pytest.mark.parametrize("query,body,type_,status,words", [
    ("", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}, "application/apply-patch+yaml", 422, "fieldManager: Required value: is required for apply"),
    ("?force=true", {}, MERGE, 422, 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch'),
    ("", {"metadata": {"namespace": "globex"}}, MERGE, 400, "the namespace of the provided object does not match"),
    ("", {"apiVersion": "v2"}, MERGE, 400, "apiVersion: can't be changed"),
    ("", {"metadata": {"uid": "another"}}, MERGE, 409, "Precondition failed: UID in precondition: another, UID in object meta: "),
    ("", {"metadata": {"resourceVersion": "1"}}, MERGE, 409, "the object has been modified"),
])
def test_what_a_patch_can_not_change_is_said(acme, query, body, type_, status, words):
    acme.ask("POST", PODS, {"metadata": {"name": "p"}})
    answer = acme.ask("PATCH", f"{PODS}/p{query}", body, Content_Type=type_)
    assert answer[0] == status and words in answer[1]["message"], answer
    assert acme.ask("DELETE", f"{PODS}/p", {"propagationPolicy": "Some"})[0] == 422
    assert acme.ask("DELETE", f"{PODS}/p", {"propagationPolicy": "Background"})[0] == 200


# ---- conflicts ----
def test_an_older_version_is_refused_and_two_writers_lose_nothing(acme):
    made = acme.ask("POST", PODS, {"metadata": {"name": "shared"}})[1]
    newer = acme.ask("PUT", f"{PODS}/shared", {**made, "metadata": {**made["metadata"], "labels": {"a": "1"}}})
    assert newer[0] == 200 and newer[1]["metadata"]["uid"] == made["metadata"]["uid"]
    status, answer = acme.ask("PUT", f"{PODS}/shared", made)
    assert (status, answer["reason"]) == (409, "Conflict") and "the object has been modified" in answer["message"]

    def patch(n):
        return acme.ask("PATCH", f"{PODS}/shared", {"metadata": {"labels": {f"n{n}": "1"}}}, Content_Type=MERGE)[0]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(patch, range(24))) == {200}
    labels = acme.ask("GET", f"{PODS}/shared")[1]["metadata"]["labels"]
    assert labels == {"a": "1", **{f"n{n}": "1" for n in range(24)}}
    assert acme.ask("DELETE", f"{PODS}/shared", {"preconditions": {"uid": "another"}})[0] == 409
    assert acme.ask("DELETE", f"{PODS}/shared")[0] == 200


def test_what_a_server_says_of_an_objects_life_is_not_a_clients_to_say(e, acme):
    """As objects have it that were read elsewhere."""
    maps, said = "/api/v1/namespaces/default/configmaps", {"deletionTimestamp": "2020-01-01T00:00:00Z", "deletionGracePeriodSeconds": 3, "generation": 7}
    life = lambda answer: set(answer["metadata"]) & set(said)
    assert not life(acme.ask("POST", maps, {"metadata": {"name": "lived", **said}})[1])
    assert not life(acme.ask("PATCH", f"{maps}/lived", {"metadata": said, "data": {"a": "b"}}, Content_Type=MERGE)[1])
    assert not life(acme.ask("PUT", f"{maps}/lived", {"metadata": {"name": "lived", **said}, "data": {"a": "c"}})[1])
    assert not life(acme.ask("PATCH", f"{maps}/lived?fieldManager=m&force=true",
                             {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lived", **said}, "data": {"a": "d"}},
                             Content_Type="application/apply-patch+yaml")[1])
    assert acme.ask("GET", f"{maps}/lived")[1]["data"] == {"a": "d"} and "eletion" not in (e.conf_d / "acme/configmap.lived.yaml").read_text()
    assert acme.ask("DELETE", f"{maps}/lived")[0] == 200


def test_a_file_that_is_edited_by_hand_is_what_is_shown_next_and_keeps_its_comments(e, globex):
    by_hand = "# mine\n" + documents(plain("hand", rule(f"hand.{GLOBEX}", "other"))) + "---\n# and this\n" + documents(service("beside", target=80))
    e.drop("globex/hand.yaml", by_hand)
    eventually(lambda: globex.ask("GET", f"{INGRESSES}/hand")[0] == 200)
    beside = globex.ask("GET", "/api/v1/namespaces/default/services/beside")[1]
    os.utime(e.conf_d / "globex/hand.yaml", (1, 1))
    status, answer = globex.ask("PATCH", f"{INGRESSES}/hand", {"metadata": {"annotations": {"note": "x"}}}, Content_Type=STRATEGIC)
    assert status == 200, answer
    text = (e.conf_d / "globex/hand.yaml").read_text()
    assert "# mine" in text and "# and this" in text and "note: x" in text and "kind: Service" in text
    assert globex.ask("GET", "/api/v1/namespaces/default/services/beside")[1] == beside  # its file is another, it is not
    e.remove("globex/hand.yaml")
    eventually(lambda: globex.ask("GET", f"{INGRESSES}/hand")[0] == 404)


def test_what_stands_in_a_list_is_left_to_an_editor(e, globex):
    maps = "/api/v1/namespaces/default/configmaps"
    one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "listed"}}
    e.drop("globex/list.yaml", documents({"apiVersion": "v1", "kind": "List", "items": [one]}))
    eventually(lambda: globex.ask("GET", f"{maps}/listed")[0] == 200)
    for answer in (globex.ask("PATCH", f"{maps}/listed", {"data": {"a": "b"}}, Content_Type=MERGE), globex.ask("DELETE", f"{maps}/listed")):
        assert answer[0] == 422 and [c["field"] for c in answer[1]["details"]["causes"]] == ["list.yaml"], answer
        assert "only an editor changes what is in one" in answer[1]["message"], answer
    assert globex.ask("POST", maps, {"metadata": {"name": "beside"}})[0] == 201 and globex.ask("DELETE", f"{maps}/beside")[0] == 200
    e.remove("globex/list.yaml")
    eventually(lambda: globex.ask("GET", f"{maps}/listed")[0] == 404)


def test_while_a_file_of_the_tenant_is_broken_nothing_is_written_and_it_is_said_why(e, globex):
    e.drop("globex/broken.yaml", "kind: [")
    eventually(lambda: e.tenant("globex")["state"] == "stale")
    status, answer = globex.ask("POST", PODS, {"metadata": {"name": "late"}})
    assert status == 422 and "broken.yaml" in answer["message"], answer
    e.remove("globex/broken.yaml")
    eventually(lambda: e.tenant("globex")["state"] == "ok")
    assert globex.ask("POST", PODS, {"metadata": {"name": "late"}})[0] == 201
    assert globex.ask("DELETE", f"{PODS}/late")[0] == 200


def test_a_collection_is_deleted_but_not_what_the_edge_made_and_what_was_not_meant(e, globex):
    for name, tier in (("front-1", "front"), ("front-2", "front"), ("back", "back")):
        body = plain(name, rule(f"{name}.{GLOBEX}", "other"))
        body["metadata"]["labels"] = {"tier": tier}
        assert globex.ask("POST", INGRESSES, body)[0] == 201
    shown = lambda: [i["metadata"]["name"] for i in globex.ask("GET", INGRESSES)[1]["items"]]
    assert globex.ask("DELETE", f"{INGRESSES}?labelSelector=tier%3D%3D%3D")[0] == 400
    status, answer = globex.ask("DELETE", f"{INGRESSES}?labelSelector=tier%3Dfront&dryRun=All")
    assert (status, len(answer["items"])) == (200, 2) and len(shown()) == 4
    status, answer = globex.ask("DELETE", f"{INGRESSES}?labelSelector=tier%3Dfront")
    assert (status, [i["metadata"]["name"] for i in answer["items"]]) == (200, ["front-1", "front-2"])
    assert shown() == ["back", "default"] and e.status(f"http://front-1.{GLOBEX}/") == 404
    assert globex.ask("DELETE", INGRESSES)[0] == 200 and shown() == ["default"]
    assert not list((e.conf_d / "globex").glob("ingress.*"))
    assert globex.ask("DELETE", INGRESSES.replace("/namespaces/default", ""))[0] == 405
    assert globex.ask("DELETE", INGRESSES.replace("default", "acme"))[0] == 403


def test_who_goes_while_a_collection_is_deleted_leaves_whole_objects_and_a_server_that_answers(acme):
    maps = "/api/v1/namespaces/default/configmaps"
    for n in range(12):
        assert acme.ask("POST", maps, {"metadata": {"name": f"m{n:02}"}})[0] == 201
    gone = acme.connect()
    gone.request("DELETE", maps, headers=acme.headers())
    names = lambda: [i["metadata"]["name"] for i in acme.ask("GET", maps)[1]["items"]]
    eventually(lambda: len(names()) < 12)
    gone.close()
    left = names()
    assert left == [f"m{n:02}" for n in range(12 - len(left), 12)]
    assert acme.ask("DELETE", maps)[0] == 200 and names() == []


@needs_kubectl
def test_kubectl_deletes_all_of_a_kind(acme):
    for name in ("one", "two"):
        assert acme.ask("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": name}})[0] == 201
    assert acme.kubectl("delete", "configmap", "--all") == 'configmap "one" deleted\nconfigmap "two" deleted\n'


def test_a_list_in_pages_is_the_list_there_was_when_it_began(acme):
    maps = "/api/v1/namespaces/default/configmaps"
    for n in range(5):
        assert acme.ask("POST", maps, {"metadata": {"name": f"m{n}"}, "data": {"n": "old"}})[0] == 201
    status, first = acme.ask("GET", f"{maps}?limit=2")
    names = lambda answer: [i["metadata"]["name"] for i in answer["items"]]
    assert status == 200 and names(first) == ["m0", "m1"]
    following = f"{maps}?limit=2&continue={urllib.parse.quote(first['metadata']['continue'], safe='')}"
    assert acme.ask("DELETE", f"{maps}/m2")[0] == 200
    assert acme.ask("PATCH", f"{maps}/m3", {"data": {"n": "new"}}, Content_Type=MERGE)[0] == 200
    assert acme.ask("POST", maps, {"metadata": {"name": "m33"}})[0] == 201
    second = acme.ask("GET", following)[1]
    assert names(second) == ["m2", "m3"] and [i["data"]["n"] for i in second["items"]] == ["old", "old"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    last = acme.ask("GET", f"{maps}?limit=2&continue={second['metadata']['continue']}")[1]
    assert names(last) == ["m4"] and "continue" not in last["metadata"]
    assert names(acme.ask("GET", f"{maps}?limit=1&fieldSelector=metadata.name%3Dm4")[1]) == ["m4"]
    for query, status in (("limit=-1", 400), ("limit=x", 400), ("continue=x", 400), ("continue=5/m1", 410), ("limit=0", 200),
                          (f"continue={second['metadata']['continue']}&resourceVersion=5", 400)):
        assert acme.ask("GET", f"{maps}?{query}")[0] == status, query
    assert acme.ask("DELETE", maps)[0] == 200


# ---- limits of it ----
@pytest.mark.parametrize("path,body,type_,status", [
    (PODS, {"kind": "Service", "metadata": {"name": "x"}}, "application/json", 400),
    (PODS, {"metadata": {"name": "x", "namespace": "globex"}}, "application/json", 400),
    (PODS, {"metadata": {"name": "../x"}}, "application/json", 422),
    (PODS, {"metadata": {"name": "X"}}, "application/json", 422),
    (PODS, {"metadata": {}}, "application/json", 422),
    (PODS, {"metadata": {"name": "x", "resourceVersion": "1"}}, "application/json", 400),
    (PODS, [], "application/json", 400),
    (PODS, "{", "application/json", 400),
    (PODS, "", "application/json", 400),
    (PODS, '{"metadata":' * 200 + "1" + "}" * 200, "application/json", 400),
    (PODS, "k8s\0garbage", "application/vnd.kubernetes.protobuf", 400),
    (PODS, "a: b", "text/plain", 415),
    (PODS, {"metadata": {"name": "x"}}, MERGE, 415),
    (f"{PODS}?dryRun=Some", {"metadata": {"name": "x"}}, "application/json", 422),
    (f"{PODS}?fieldValidation=Some", {"metadata": {"name": "x"}}, "application/json", 422),
    (f"{PODS}?fieldManager={'x' * 129}", {"metadata": {"name": "x"}}, "application/json", 422),
    (PODS, {"metadata": {"name": "x", "annotations": {"a": "x" * 262144}}}, "application/json", 422),
    ("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x"}, "data": {"k": "a"}, "binaryData": {"k": "Yg=="}}, "application/json", 422),
    (SERVICES, {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80, "nodePort": 30000}]}}, "application/json", 422),
    (SERVICES, {"metadata": {"name": "x"}, "spec": {"sessionAffinity": "Some", "ports": [{"port": 80}]}}, "application/json", 422),
    (INGRESSES, {"metadata": {"name": "x"}, "spec": {"ingressClassName": "A b"}}, "application/json", 422),
    (INGRESSES, {"metadata": {"name": "x"}, "spec": {"tls": [{"secretName": "A b"}]}}, "application/json", 422),
    (f"{PODS}/x", {"metadata": {"name": "x"}}, "application/json", 405),
    ("/api/v1/pods", {"metadata": {"name": "x"}}, "application/json", 405),
    ("/api/v1/namespaces/default/events", {"metadata": {"name": "x"}}, "application/json", 405),
    ("/api/v1/namespaces", {"metadata": {"name": "x"}}, "application/json", 405),
    ("/api/v1/namespaces/globex/pods", {"metadata": {"name": "x"}}, "application/json", 403),
])
def test_what_can_not_be_created_is_refused(e, acme, path, body, type_, status):
    written = lambda: sorted(e.conf_d.glob("acme*")) + sorted((e.conf_d / "acme").glob("*"))
    before = written()
    answer = acme.ask("POST", path, body, Content_Type=type_)
    assert answer[0] == status, answer
    assert written() == before


def test_neither_the_grant_nor_a_compose_file_can_be_written(e, globex):
    before = (e.conf_d / "globex/tenant.yaml").read_text(), (e.conf_d / "globex/compose.yaml").read_text()
    grant_ = {"apiVersion": "ringress/v1", "kind": "Tenant", "metadata": {"name": "globex"}, "spec": {"domain": "123123.1d.pt"}}
    for path in ("/apis/ringress/v1/namespaces/default/tenants", PODS, INGRESSES):
        assert globex.ask("POST", path, grant_)[0] in (400, 404)
    for name in ("tenant", "compose", "docker-compose"):
        assert globex.ask("POST", PODS, {"metadata": {"name": name}})[0] == 201
        assert globex.ask("DELETE", f"{PODS}/{name}")[0] == 200
    assert globex.ask("DELETE", "/api/v1/namespaces/default/services/files")[0] == 405
    assert before == ((e.conf_d / "globex/tenant.yaml").read_text(), (e.conf_d / "globex/compose.yaml").read_text())


def test_secrets_are_files_of_the_edges_user_alone(e, globex, authority):
    chain, key = authority.issue(f"safe.{GLOBEX}")
    status, answer = globex.ask("POST", "/api/v1/namespaces/default/secrets",
                                {"metadata": {"name": "safe"}, "type": "kubernetes.io/tls",
                                 "stringData": {"tls.crt": chain.read_text(), "tls.key": key.read_text()}})
    assert status == 201 and sorted(answer["data"]) == ["tls.crt", "tls.key"], answer
    assert (e.conf_d / "globex/secret.safe.yaml").stat().st_mode & 0o777 == 0o600
    assert globex.ask("DELETE", "/api/v1/namespaces/default/secrets/safe")[0] == 200


def test_a_watch_sees_what_is_written_and_who_writes_is_told_the_version_it_has(globex):
    start = globex.ask("GET", PODS)[1]["metadata"]["resourceVersion"]
    events = globex.watch(f"{PODS}?watch=true&resourceVersion={start}")
    made = globex.ask("POST", PODS, {"metadata": {"generateName": "job-"}})[1]
    seen = next(events)
    assert seen["type"] == "ADDED" and seen["object"] == made and re.fullmatch("job-[a-z0-9]{5}", made["metadata"]["name"])
    globex.ask("DELETE", f"{PODS}/{made['metadata']['name']}")
    assert next(events)["type"] == "DELETED"
