# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl as its users type it: each story is a verb, and what they read afterwards."""
import contextlib
import json
import re
import urllib.parse

import pytest

from edge import Edge, eventually
from kube import Kube, needs_kubectl, needs_new_kubectl, sections
from objects import ACME, documents, grant, ingress, pod, rule, service
from pod import EchoPod

pytestmark = needs_kubectl


@pytest.fixture(scope="module")
def e():
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(EchoPod("web"))
        yield stack.enter_context(Edge({
            "acme/tenant.yaml": documents(grant("acme")),
            "acme/web.yaml": documents(pod(web), service("web", target=web.port)),
            "globex.yaml": documents(grant("globex"))}, **sections(requests_per_second=5000)))


@pytest.fixture(scope="module")
def acme(e):
    return Kube(e, "acme")


def refused(kube, *words, **options):
    """What it says on the way out."""
    done = kube.run(*words, **options)
    assert done.returncode == 1, (words, done.stdout, done.stderr)
    return done.stderr


def config_map(name, **data):
    return documents({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


# ---- create, expose ----
def test_each_kind_of_service_can_be_created_and_what_runs_exposed(e, acme):
    acme.kubectl("create", "service", "clusterip", "inner", "--tcp=80:5678", "--tcp=81:5679")
    acme.kubectl("create", "service", "nodeport", "outer", "--tcp=8080:80")
    acme.kubectl("create", "service", "externalname", "far", "--external-name=far.example.com")
    acme.kubectl("expose", "pod", "web", "--name=shown", "--port=80", "--target-port=5678")
    number = e.raw_port("acme", "outer")
    text = acme.kubectl("get", "svc")
    for row in (r"inner +ClusterIP .* 80/TCP,81/TCP ", rf"outer +NodePort .* 8080:{number}/TCP ", r"far +ExternalName +<none> +far\.example\.com ",
                r"shown +ClusterIP .* 80/TCP "):
        assert re.search(f"^{row}", text, re.M), text
    acme.kubectl("delete", "svc", "inner", "outer", "far", "shown")


def test_ports_of_one_container_port_have_one_raw_port_and_can_be_changed(e, acme):
    ports = [{"name": f"p{n}", "port": n, "targetPort": 5678} for n in (3306, 3307, 3308)]
    acme.kubectl("apply", "-f", "-", stdin=documents({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "thrice"},
                                                      "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": ports}}))
    number = e.raw_port("acme", "thrice")
    assert re.search(rf" 3306:{number}/TCP,3307/TCP,3308/TCP ", acme.kubectl("get", "svc", "thrice"))
    assert "PortTwice" in acme.kubectl("describe", "svc", "thrice")
    acme.kubectl("label", "svc", "thrice", "a=b")
    acme.kubectl("patch", "svc", "thrice", "--type=json", "-p", '[{"op":"remove","path":"/spec/ports/0"}]')
    assert re.search(rf" 3307:{number}/TCP,3308/TCP ", acme.kubectl("get", "svc", "thrice"))
    acme.kubectl("delete", "svc", "thrice")


# ---- apply --server-side ----
def test_a_field_that_somebody_else_applied_is_a_conflict_and_kubectl_says_what_to_do(acme):
    apply = lambda *words, **data: acme.run("apply", "--server-side", *words, "-f", "-", stdin=config_map("owned", **data))
    assert apply(a="1", b="1").returncode == 0
    done = apply("--field-manager=other", a="2", b="2")
    assert done.returncode == 1 and 'Apply failed with 2 conflicts: conflicts with "kubectl":\n- .data.a\n- .data.b' in done.stderr
    assert "--force-conflicts" in done.stderr
    assert apply("--field-manager=other", "--force-conflicts", a="2").returncode == 0
    assert acme.get("cm", "owned")["data"] == {"a": "2", "b": "1"}
    status, answer = acme.ask("PATCH", "/api/v1/namespaces/default/configmaps/owned?fieldManager=kubectl", config_map("owned", a="3"),
                              Content_Type="application/apply-patch+yaml")
    assert (status, answer["reason"]) == (409, "Conflict"), answer
    assert [(c["reason"], c["field"]) for c in answer["details"]["causes"]] == [("FieldManagerConflict", ".data.a")]
    acme.kubectl("delete", "cm", "owned")


@needs_new_kubectl
def test_the_ingress_that_every_tenant_has_can_be_applied_there_too(e, acme):
    """What the edge adds to it, the tenant's own name and the routes of labels, is nobody's, and in nobody's way."""
    hosts = lambda: [r["host"] for r in acme.get("ing", "default")["spec"]["rules"]]
    apply = lambda *words, name="echo": acme.run("apply", "--server-side", *words, "-f", "-", stdin=documents(
        ingress(rule(f"{name}.{ACME}", "web"), tls=[f"{name}.{ACME}"])))
    assert apply().stdout == "ingress.networking.k8s.io/default serverside-applied\n"
    assert hosts() == [f"echo.{ACME}"]
    e.drop("acme/compose.yaml", "services: {files: {labels: {kr.ingress.80: 'https://files.*'}, networks: {n: {ipv4_address: 127.0.0.9}}}}\n")
    eventually(lambda: hosts() == [f"echo.{ACME}", f"files.{ACME}"])
    version = acme.get("ing", "default")["metadata"]["resourceVersion"]
    assert apply().returncode == 0 and acme.get("ing", "default")["metadata"]["resourceVersion"] == version
    assert apply("--field-manager=other").returncode == 0  # who applies the same has it, too
    done = apply("--field-manager=other", name="again")
    assert done.returncode == 1 and 'conflicts with "kubectl":\n- .spec.rules\n- .spec.tls' in done.stderr, done.stderr
    assert apply("--field-manager=other", "--force-conflicts", name="again").returncode == 0
    assert hosts() == [f"again.{ACME}", f"files.{ACME}"]
    assert f"files.{ACME}" not in (e.conf_d / "acme/ingress.default.yaml").read_text()
    assert [t["hosts"] for t in acme.get("ing", "default")["spec"]["tls"]] == [[f"*.{ACME}"], [f"again.{ACME}"]]
    acme.kubectl("delete", "ing", "default")
    e.remove("acme/compose.yaml")
    eventually(lambda: "rules" not in acme.get("ing", "default")["spec"])


@needs_new_kubectl
def test_what_was_read_and_is_another_by_now_is_not_applied_there(acme):
    text = lambda name, **more: documents({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}, "data": {"a": "2"}})
    apply = lambda *of, **more: acme.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text(*of, **more))
    acme.kubectl("create", "cm", "read", "--from-literal=a=1")
    read = acme.get("cm", "read")["metadata"]
    acme.kubectl("label", "cm", "read", "b=c")
    assert "the object has been modified; please apply your changes to the latest version" in apply("read", resourceVersion=read["resourceVersion"]).stderr
    assert "UID in precondition: another" in apply("read", uid="another").stderr
    assert acme.get("cm", "read")["data"] == {"a": "1"}
    acme.kubectl("delete", "cm", "read")
    assert f'uid mismatch: the provided object specified uid {read["uid"]}' in apply("read", uid=read["uid"]).stderr
    assert "NotFound" in acme.run("get", "cm", "read").stderr


# ---- describe ----
def test_describe_says_which_service_port_or_pod_a_rule_lacks(acme):
    rules = ingress(rule(f"lack.{ACME}", ("/none", "none"), ("/web", "web")), name="lack")
    rules["spec"]["rules"][0]["http"]["paths"][1]["backend"]["service"]["port"]["number"] = 81
    acme.kubectl("apply", "-f", "-", stdin=documents(rules))
    text = acme.kubectl("describe", "ing", "lack")
    assert re.search(rf"Warning +NoEndpoints .* lack\.{ACME}/none: Service none not found$", text, re.M), text
    assert re.search(rf"Warning +NoEndpoints .* lack\.{ACME}/web: Service web has no TCP port 81$", text, re.M), text
    acme.kubectl("delete", "ing", "lack")
    objects = documents({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "far"}, "spec": {"ports": [{"port": 80}]}},
                        {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "far"},
                         "subsets": [{"addresses": [{"ip": "127.0.0.77"}], "ports": [{"port": 80}]}]},
                        ingress(rule(f"far.{ACME}", "far"), name="far"))
    acme.kubectl("apply", "-f", "-", stdin=objects)
    assert re.search(r"/ +far:80 \(127\.0\.0\.77:80\)$", acme.kubectl("describe", "ing", "far"), re.M)
    assert re.search(r"^Endpoints: +127\.0\.0\.77:80$", acme.kubectl("describe", "svc", "far"), re.M)
    acme.kubectl("delete", "-f", "-", stdin=objects)


def test_a_bad_label_is_told_where_its_rule_is_missed_and_of_whom(e, acme):
    """Though that service has no other, and so no route; `file` is not `files`."""
    e.drop("acme/compose.yaml", "services: {file: {labels: {kr.ingress.80: 'htps://file.*'}}, files: {labels: {kr.ingress.80: 'https://files.*'}}}\n")
    eventually(lambda: "rules" in acme.get("ing", "default")["spec"])
    text = acme.kubectl("describe", "ing", "default")
    assert re.findall(r"BadLabel .*ringress +(.*)", text) == ["compose/file: kr.ingress.80=htps://file.*: the value must start with https://, http://, "
                                                              "tls:// or tcp://"], text
    assert re.search(r"Warning +BadLabel +compose/file +kr\.ingress\.80=htps", e.run("describe", "ingress", "default", "-n", "acme").stdout)
    e.remove("acme/compose.yaml")
    eventually(lambda: "rules" not in acme.get("ing", "default")["spec"])


# ---- what is refused ----
def test_what_is_wrong_with_an_object_is_said_with_its_name(acme):
    assert 'ConfigMap "Upper" is invalid: metadata.name: Invalid value: "Upper"' in refused(acme, "create", "cm", "Upper")
    bad = documents({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bad"}, "data": {"a": "not base64!"}})
    assert 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 3' in refused(acme, "apply", "-f", "-", stdin=bad)


def test_why_a_patch_does_not_fit_and_which_file_is_in_the_way_are_said(e, acme):
    acme.kubectl("create", "cm", "patched", "--from-literal=a=1")
    said = refused(acme, "patch", "cm", "patched", "--type=json", "-p", '[{"op":"test","path":"/data/a","value":"2"}]')
    assert said == 'The ConfigMap "patched" is invalid: patch: testing value /data/a failed: test failed\n'
    e.drop("acme/broken.yaml", "kind: [")
    eventually(lambda: e.tenant("acme")["state"] == "stale")
    said = refused(acme, "patch", "cm", "patched", "--type=merge", "-p", '{"data":{"b":"1"}}')
    assert re.fullmatch(r'The ConfigMap "patched" is invalid: broken\.yaml:\d+:\d+: .+\n', said), said
    assert re.search(r"^\S+ +Warning +Invalid +namespace/default +broken\.yaml:\d+:\d+: ", acme.kubectl("get", "events"), re.M)
    e.remove("acme/broken.yaml")
    eventually(lambda: e.tenant("acme")["state"] == "ok")
    acme.kubectl("delete", "cm", "patched")


def test_what_a_node_would_do_for_a_pod_is_said_not_to_be_had(acme):
    for words in (["logs", "web"], ["logs", "web", "-f"], ["exec", "web", "--", "ls"], ["attach", "web"], ["cp", "web:/a", "/dev/null"]):
        assert "Error from server (MethodNotAllowed): pods/" in refused(acme, *words)
        assert "forbidden" in refused(acme, "-n", "globex", *words)


def test_text_with_a_nul_in_it_is_refused_and_not_cut_there(acme, tmp_path):
    """kubectl takes a file for text that is UTF-8, be there a NUL in it."""
    (tmp_path / "half").write_bytes(b"one\0two\n")
    kept = r"text with (a NUL in it, which|\\u0000 in it) can't be kept"
    assert re.search(kept, refused(acme, "create", "cm", "half", "--from-file", tmp_path / "half"))  # an older kubectl says it in JSON
    half = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "half"}, "data": {"half": "one\0two"}})
    assert re.search(kept, refused(acme, "apply", "-f", "-", stdin=half))
    acme.kubectl("create", "secret", "generic", "half", "--from-file", tmp_path / "half")
    assert acme.get("secret", "half")["data"] == {"half": "b25lAHR3bwo="}
    acme.kubectl("delete", "secret", "half")


def test_what_is_too_large_is_said_to_be(acme, tmp_path):
    """Not by a reset of the connection, into which kubectl is still writing."""
    (tmp_path / "large").write_text("x" * 3_000_000)
    for _ in range(5):
        said = refused(acme, "create", "cm", "large", "--from-file", tmp_path / "large")
        assert said.endswith(": the request's body is too large\n"), said


# ---- pods ----
@needs_new_kubectl
def test_the_phase_of_a_pod_follows_from_its_readiness_where_nobody_says_it(e, acme):
    names = lambda *words: acme.kubectl("get", "pods", "-o", "name", *words).split()
    acme.kubectl("run", "late", "--image=late", "--port=80")
    assert names("--field-selector=status.phase=Pending") == ["pod/late"] and names("--field-selector=status.phase!=Pending") == ["pod/web"]
    assert re.search("^Status: +Pending$", acme.kubectl("describe", "pod", "late"), re.M)
    waiting = acme.begin("wait", "--for=jsonpath={.status.phase}=Running", "pod/late", "--timeout=15s")
    status = '{"status":{"podIP":"127.0.0.9","conditions":[{"type":"Ready","status":"True"}]}}'
    acme.kubectl("patch", "pod", "late", "--subresource=status", "--type=merge", "-p", status)
    assert waiting.communicate()[0] == "pod/late condition met\n"
    assert "phase" not in (e.conf_d / "acme/pod.late.yaml").read_text()
    acme.kubectl("replace", "-f", "-", stdin=documents({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late", "labels": {"a": "b"}},
                                                        "spec": {"containers": [{"name": "late", "image": "late"}]}}))
    shown = acme.get("pod", "late")
    assert shown["status"]["podIP"] == "127.0.0.9" and shown["metadata"]["labels"] == {"a": "b"}  # a replacement says nothing of it
    acme.kubectl("delete", "pod", "late")


def test_a_pods_port_that_says_no_protocol_is_shown_with_it_and_left_as_it_is(e, acme):
    acme.kubectl("run", "ported", "--image=ported", "--port=5678")
    assert re.search(r"^    Port: +5678/TCP$", acme.kubectl("describe", "pod", "ported"), re.M)
    acme.kubectl("label", "pod", "ported", "a=b")
    assert "protocol" not in (e.conf_d / "acme/pod.ported.yaml").read_text()
    patch = {"spec": {"containers": [{"name": "ported", "ports": [{"containerPort": 5679, "protocol": "TCP"}]}]}}
    acme.kubectl("patch", "pod", "ported", "-p", json.dumps(patch))
    assert (e.conf_d / "acme/pod.ported.yaml").read_text().count("protocol: TCP") == 1
    acme.kubectl("delete", "pod", "ported")


# ---- diff ----
def test_a_diff_is_what_an_apply_would_change_and_no_more(e, acme):
    """Of the Ingress that every tenant has, too: what the edge adds to it stays."""
    e.drop("acme/compose.yaml", "services: {files: {labels: {kr.ingress.80: 'https://files.*'}, networks: {n: {ipv4_address: 127.0.0.9}}}}\n")
    eventually(lambda: "rules" in acme.get("ing", "default")["spec"])
    text = documents(ingress(rule(f"echo.{ACME}", "web"), tls=[f"echo.{ACME}"]))
    done = acme.run("diff", "-f", "-", stdin=text)
    changed = [row for row in done.stdout.splitlines() if re.match(r"[-+] ", row)]
    assert done.returncode == 1 and not [row for row in changed if row.startswith("-")], done.stdout
    assert [row[1:].strip() for row in changed if "echo" in row] == [f"- host: echo.{ACME}", f"- echo.{ACME}"]
    assert not [row for row in changed if "annotations" in row or "Timestamp" in row or "resourceVersion" in row], changed
    acme.kubectl("apply", "-f", "-", stdin=text)
    assert acme.run("diff", "-f", "-", stdin=text).returncode == 0
    acme.kubectl("delete", "ing", "default")
    e.remove("acme/compose.yaml")
    acme.kubectl("create", "cm", "tidy", "--from-literal=a=b")
    acme.kubectl("label", "cm", "tidy", "c=d")
    acme.kubectl("label", "cm", "tidy", "c-")
    assert "labels" not in acme.get("cm", "tidy")["metadata"]
    acme.kubectl("delete", "cm", "tidy")


@needs_new_kubectl
def test_a_diff_of_a_secret_written_as_text_is_nothing_or_stars(acme):
    text = lambda password: documents({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "texts"}, "stringData": {"password": password}})
    for words in ([], ["--server-side", "--force-conflicts"]):
        acme.kubectl("apply", *words, "-f", "-", stdin=text("hunter2"))
        version = acme.get("secret", "texts")["metadata"]["resourceVersion"]
        assert acme.run("diff", *words, "-f", "-", stdin=text("hunter2")).returncode == 0
        acme.kubectl("apply", *words, "-f", "-", stdin=text("hunter2"))
        shown = acme.get("secret", "texts")
        assert shown["metadata"]["resourceVersion"] == version and shown["data"] == {"password": "aHVudGVyMg=="} and "stringData" not in shown
        done = acme.run("diff", *words, "-f", "-", stdin=text("hunter3"))
        assert done.returncode == 1 and "+  password: '*** (after)'" in done.stdout and "stringData" not in done.stdout, done.stdout
        assert "hunter" not in done.stdout, done.stdout
        acme.kubectl("apply", *words, "-f", "-", stdin=text("hunter3"))
        assert acme.get("secret", "texts")["data"] == {"password": "aHVudGVyMw=="}
    acme.kubectl("delete", "secret", "texts")


def test_a_diff_knows_what_is_filled_in_where_nothing_is_said(acme):
    port = {"port": 80, "targetPort": 5678, "protocol": "TCP"}
    text = lambda port, **spec: documents({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "filled"}, "spec": {"ports": [port], **spec}})
    acme.kubectl("apply", "-f", "-", stdin=text(port, type="ClusterIP", sessionAffinity="None"))
    assert acme.run("diff", "-f", "-", stdin=text({"port": 80, "targetPort": 5678})).returncode == 0
    done = acme.run("diff", "-f", "-", stdin=text({"port": 80}))
    changed = [row.replace(" ", "") for row in done.stdout.splitlines() if re.match(r"[-+] ", row)]
    assert changed == ["-targetPort:5678", "+targetPort:80"], done.stdout
    acme.kubectl("delete", "svc", "filled")


# ---- edit ----
def pasted(kube, folder, text):
    """An editor in which somebody puts a whole file in place of what is shown; kubectl opens it once more when it does not like it."""
    (folder / "pasted.yaml").write_text(text)
    return kube.run("edit", "ingress", "default", EDITOR=f"cp {folder / 'pasted.yaml'}")


def test_a_whole_file_can_be_pasted_into_the_editor_again_and_again(e, acme, tmp_path):
    """As the seed shows it: what it does not say, the edge's own part of that Ingress, stays all the same."""
    e.drop("acme/compose.yaml", "services: {files: {labels: {kr.ingress.80: 'https://files.*'}, networks: {n: {ipv4_address: 127.0.0.9}}}}\n")
    hosts = lambda: [r["host"] for r in acme.get("ing", "default")["spec"]["rules"]]
    eventually(lambda: "rules" in acme.get("ing", "default")["spec"])
    for host in ("echo", "again", "third"):
        done = pasted(acme, tmp_path, documents(ingress(rule(f"{host}.{ACME}", "web"), tls=[f"{host}.{ACME}"])))
        assert done.stdout == "ingress.networking.k8s.io/default edited\n", done.stderr
        shown = acme.get("ing", "default")
        assert [r["host"] for r in shown["spec"]["rules"]] == [f"{host}.{ACME}", f"files.{ACME}"]
        assert [t["hosts"] for t in shown["spec"]["tls"]] == [[f"*.{ACME}"], [f"{host}.{ACME}"]]
    done = pasted(acme, tmp_path, documents(ingress(tls=["*.example.com"])).replace("'", ""))  # which is not YAML
    assert done.returncode == 1 and "no valid changes were saved" in done.stderr
    assert pasted(acme, tmp_path, documents(ingress(tls=["*.example.com"]))).returncode == 0
    assert hosts() == [f"files.{ACME}"]
    text = acme.kubectl("describe", "ing", "default")
    assert re.search(rf"Warning +HostPending .*\*\.example\.com waits for its proof: add \*\.example\.com CNAME {ACME}", text), text
    since = acme.get("ing", "default")["metadata"]["creationTimestamp"]
    assert acme.kubectl("delete", "ing", "default") == 'ingress.networking.k8s.io "default" deleted\n'
    assert acme.get("ing", "default")["metadata"]["creationTimestamp"] == since
    e.remove("acme/compose.yaml")


def test_an_edit_that_is_refused_comes_back_with_the_reasons_in_the_file(acme, tmp_path):
    acme.kubectl("create", "ingress", "edited", f"--rule=edited.{ACME}/=web:80")
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\ncp $1 $(mktemp {tmp_path}/seen.XXXXXX)\ngrep -q Sideways $1 && sed -i s/Sideways/Prefix/ $1 || "
                      "sed -i s/Exact/Sideways/ $1\n")
    editor.chmod(0o755)
    assert acme.kubectl("edit", "ingress", "edited", EDITOR=str(editor)) == "ingress.networking.k8s.io/edited edited\n"
    seen = "".join(p.read_text() for p in tmp_path.glob("seen.*"))
    assert '# * spec.rules[0].http.paths[0].pathType: Unsupported value: "Sideways"' in seen
    assert acme.get("ing", "edited")["spec"]["rules"][0]["http"]["paths"][0]["pathType"] == "Prefix"
    acme.kubectl("delete", "ingress", "edited")


# ---- helm ----
def test_a_release_is_kept_in_secrets_as_helm_keeps_it(acme):
    """A Secret for each revision, found by labels; nothing is said of what the edge makes of it, which is nothing."""
    secrets = "/api/v1/namespaces/default/secrets"

    def release(revision, status):
        return {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "data": {"release": "H4sIAAAA" * 20000},
                "metadata": {"name": f"sh.helm.release.v1.shop.v{revision}",
                             "labels": {"owner": "helm", "name": "shop", "status": status, "version": str(revision)}}}

    def shown(selector):
        items = acme.ask("GET", f"{secrets}?labelSelector={urllib.parse.quote(selector)}")[1]["items"]
        return {(i["metadata"]["labels"]["version"], i["metadata"]["labels"]["status"]) for i in items}
    with contextlib.closing(acme.connect()) as c:
        c.request("POST", secrets, json.dumps(release(1, "pending-install")), acme.headers(Content_Type="application/json"))
        answer = c.getresponse()
        assert (answer.status, answer.headers.get_all("Warning")) == (201, None), answer.read()
    assert acme.ask("PUT", f"{secrets}/sh.helm.release.v1.shop.v1", release(1, "deployed"))[0] == 200
    assert acme.ask("POST", secrets, release(1, "pending-install"))[1]["reason"] == "AlreadyExists"
    assert acme.ask("POST", secrets, release(2, "pending-upgrade"))[0] == 201
    assert shown("owner=helm,name=shop,status=deployed") == {("1", "deployed")}
    assert acme.ask("PUT", f"{secrets}/sh.helm.release.v1.shop.v1", release(1, "superseded"))[0] == 200
    assert acme.ask("PUT", f"{secrets}/sh.helm.release.v1.shop.v2", release(2, "deployed"))[0] == 200
    assert shown("owner=helm,name=shop,status notin (superseded,uninstalled)") == {("2", "deployed")}
    assert re.search(r"^sh\.helm\.release\.v1\.shop\.v2 +helm\.sh/release\.v1 +1 ", acme.kubectl("get", "secrets", "-l", "owner=helm"), re.M)
    acme.kubectl("delete", "secret", "-l", "owner=helm")
    assert shown("owner=helm") == set()


# ---- prune ----
@needs_new_kubectl
def test_prune_deletes_what_was_applied_with_that_label_and_is_so_no_more(acme):
    """It looks for fourteen kinds, nine of which there never are any of here."""
    config = lambda name, app: {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": app}}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kept-service", "labels": {"app": "pruned"}}, "spec": {"ports": [{"port": 80}]}}
    left = lambda: set(acme.kubectl("get", "cm,svc", "-l", "app", "-o", "name").split())
    before = left()
    acme.kubectl("apply", "-f", "-", stdin=documents(config("kept", "pruned"), config("goes", "pruned"), config("other", "other"), service))
    acme.kubectl("create", "-f", "-", stdin=documents(config("created", "pruned")))
    said = acme.kubectl("apply", "--prune", "-l", "app=pruned", "--prune-allowlist=core/v1/ConfigMap", "-f", "-", stdin=documents(config("kept", "pruned")))
    assert "configmap/goes pruned" in said
    assert left() - before == {"configmap/kept", "configmap/other", "configmap/created", "service/kept-service"}
    said = acme.kubectl("apply", "--prune", "-l", "app=pruned", "-f", "-", stdin=documents(config("kept", "pruned")))
    assert "service/kept-service pruned" in said
    assert left() - before == {"configmap/kept", "configmap/other", "configmap/created"}
    acme.kubectl("delete", "cm", "kept", "other", "created")


@needs_new_kubectl
def test_of_what_only_a_cluster_runs_there_is_none_and_none_can_be_made(acme):
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"metadata": {}, "spec": {"containers": []}}}}
    assert acme.run("get", "deployments").stderr == "No resources found in default namespace.\n"
    assert acme.run("get", "pv").stderr == "No resources found\n"
    said = refused(acme, "create", "-f", "-", "--validate=false", stdin=documents(deployment))
    assert "deployments are not to be had: nothing is run here" in said, said
    assert "deployments" not in acme.kubectl("api-resources") and "deployments" not in acme.kubectl("auth", "can-i", "--list")


# ---- auth ----
@needs_new_kubectl
def test_what_a_token_may_do_is_what_can_be_done_with_it(acme):
    yes = lambda *words: acme.kubectl("auth", "can-i", *words) == "yes\n"
    no = lambda *words: acme.run("auth", "can-i", *words).stdout == "no\n"
    assert yes("create", "ingress") and yes("delete", "secrets") and yes("list", "pods", "-A") and yes("get", "/version") and yes("watch", "events")
    assert no("create", "ingress", "-n", "globex") and no("delete", "events") and no("create", "deployments") and no("get", "/nonsense")
    assert no("get", "pods", "--subresource=log") and no("get", "namespaces/globex") and no("*", "*")
    assert re.search(r"^ingresses\.networking\.k8s\.io .*\[create delete deletecollection get list patch update watch\]$", acme.kubectl("auth", "can-i", "--list"),
                     re.M)
    assert re.search("^Username +tenant:acme$", acme.kubectl("auth", "whoami"), re.M)
    asks = {"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": "globex", "name": "vault"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert acme.ask("POST", path, asks)[1]["status"] == {"allowed": False}
    assert [acme.ask("POST", path, body)[0] for body in ("", "{", "[", {})] == [400, 400, 400, 201]
    assert [acme.ask(method, path)[0] for method in ("GET", "PUT", "DELETE")] == [405, 405, 405]


def test_nobody_is_taken_for_somebody_else(acme):
    for words in (["--as=tenant:globex"], ["--as=admin", "--as-group=system:masters"]):
        assert 'User "tenant:acme" cannot impersonate anybody' in refused(acme, "get", "pods", *words)


def test_the_namespace_of_a_clusters_own_services_is_empty_and_only_that_is_said_of_it(acme):
    assert re.search(r"control plane.* is running at .*https://127\.0\.0\.1:\d+", acme.kubectl("cluster-info"))
    assert acme.run("get", "svc", "-n", "kube-system").stderr == "No resources found in kube-system namespace.\n"
    assert "NotFound" in refused(acme, "get", "endpoints", "web", "-n", "kube-system")
    for words in (["get", "pods"], ["get", "secrets"], ["get", "svc", "--watch-only"], ["delete", "svc", "web"], ["create", "cm", "a"]):
        assert "orbidden" in refused(acme, *words, "-n", "kube-system")
