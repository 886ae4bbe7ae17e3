# SPDX-License-Identifier: GPL-3.0-or-later
"""Many documents in one `kubectl apply`: how long it takes, and what becomes of them when some are wrong, when it is interrupted, when a file is
edited by hand meanwhile, and when two apply the same."""
import concurrent.futures
import contextlib
import signal
import time

import pytest
import yaml

from edge import SANITIZED, Edge, eventually
from kube import Kube, needs_kubectl, needs_new_kubectl, sections
from objects import ACME, documents, grant, plain_ingress, pod, rule, service
from pod import EchoPod

pytestmark = needs_kubectl
PAIRS = 20  # a Service and an Ingress each
A_WHILE_S = 60 if SANITIZED else 20  # for 40 documents, on a machine that has much else to do: it takes one or two
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"


@pytest.fixture(scope="module")
def web():
    with EchoPod("web") as pod_of_web:
        yield pod_of_web


@pytest.fixture
def e(web):
    """Anew for each story: what is written stays."""
    with Edge({"acme/tenant.yaml": documents(grant("acme")), "acme/web.yaml": documents(pod(web, app="web"))}, **sections()) as edge:
        yield edge


@pytest.fixture
def acme(e):
    return Kube(e, "acme")


def pair(web, n, **labels):
    name = f"many-{n}"
    made = [service(name, target=web.port, app="web"), plain_ingress(rule(f"{name}.{ACME}", name), name=name)]
    for one in made:
        one["metadata"]["labels"] = labels
    return made


def pairs(web, count=PAIRS, **labels):
    return [one for n in range(count) for one in pair(web, n, **labels)]


def labels_of(acme, key):
    """Of all that is there: [(Kind/name, value)]"""
    items = [item for kind in ("svc", "ing") for item in acme.get(kind)["items"] if item["metadata"]["name"].startswith("many-")]
    return sorted((f"{i['kind']}/{i['metadata']['name']}", i["metadata"].get("labels", {}).get(key)) for i in items)


def all_of(web, value):
    return sorted((f"{one['kind']}/{one['metadata']['name']}", value) for one in pairs(web))


def files_are_whole(e):
    """And in the end nothing else is there: what somebody asked for who has gone since may be written just now."""
    folder, beside = e.conf_d / "acme", ".ringress.tmp"
    for path in folder.iterdir():
        assert path.name == beside or all(isinstance(one, dict) for one in yaml.safe_load_all(path.read_text())), path
    eventually(lambda: not list(folder.glob(f"{beside}*")))


@pytest.mark.parametrize("words", [[], pytest.param(["--server-side"], marks=needs_new_kubectl)], ids=["client", "server"])
def test_many_documents_are_applied_in_a_moment_and_unchanged_are_not_written(e, web, acme, words):
    text = documents(*pairs(web))
    begun = time.monotonic()
    acme.kubectl("apply", *words, "-f", "-", stdin=text)
    assert time.monotonic() - begun < A_WHILE_S
    for n in (0, PAIRS - 1):
        assert e.echo(f"http://many-{n}.{ACME}/")["pod"] == "web"
    version = lambda: acme.ask("GET", INGRESSES)[1]["metadata"]["resourceVersion"]
    written = lambda: {path.name: path.stat().st_ino for path in (e.conf_d / "acme").iterdir()}
    before = version(), written()
    acme.kubectl("apply", *words, "-f", "-", stdin=text)
    assert (version(), written()) == before


def put(path, text):
    """In one step: a folder that was just written to is looked at, and a file that is emptied first may be seen empty, with nothing in it."""
    beside = path.with_suffix(".part")
    beside.write_text(text)
    beside.replace(path)


@pytest.mark.parametrize("words", [(), pytest.param(("--server-side",), marks=needs_new_kubectl)], ids=["client", "server"])
def test_what_is_as_it_is_shown_may_not_be_what_stands_in_a_file_that_was_refused(e, web, acme, words):
    """What serves then is what was good before, and not what stands there."""
    text = documents(*pair(web, 0))
    acme.kubectl("apply", *words, "-f", "-", stdin=text)
    path = e.conf_d / "acme" / "service.many-0.yaml"
    good = path.read_text()
    put(path, "kind: [")
    eventually(lambda: e.tenant("acme")["error"])
    status, said = acme.ask("PATCH", "/api/v1/namespaces/default/services/many-0", {"spec": yaml.safe_load(good)["spec"]},
                            Content_Type="application/merge-patch+json")
    assert status == 422 and "service.many-0.yaml:2:1" in said["message"]
    put(path, good)
    eventually(lambda: not e.tenant("acme")["error"])
    put(path, good.replace("port: 80", "port: 81"))  # refused with the next, then live alone
    (e.conf_d / "acme" / "bad.yaml").write_text("kind: [")
    eventually(lambda: e.tenant("acme")["error"])
    status, said = acme.ask("PATCH", "/api/v1/namespaces/default/services/many-0", {"metadata": {"labels": {}}},
                            Content_Type="application/merge-patch+json")
    assert status == 422 and "bad.yaml" in said["message"]  # it is not told that what it asked for stands there


def test_an_ingress_may_come_before_its_service(e, web, acme):
    """What a rule lacks is not there, to be got or to be in the way of who makes it."""
    made = pair(web, 0)
    acme.kubectl("apply", "-f", "-", stdin=documents(made[1]))
    assert acme.kubectl("get", "svc,ep,endpointslices", "-o", "name") == ""
    acme.kubectl("apply", "-f", "-", stdin=documents(*reversed(made)))
    assert e.echo(f"http://many-0.{ACME}/")["pod"] == "web"


def test_of_many_documents_the_good_are_applied_and_each_of_the_others_is_told(web, acme):
    made = pairs(web)
    made[10]["spec"]["ports"][0]["port"] = 70000
    made[21]["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = "Near"
    made[38]["metadata"]["name"] = "Upper"
    done = acme.run("apply", "-f", "-", stdin=documents(*made))
    assert done.returncode == 1, done.stderr
    for said in ('Service "many-5" is invalid: spec.ports[0].port: Invalid value: 70000',
                 'Ingress.networking.k8s.io "many-10" is invalid: spec.rules[0].http.paths[0].pathType: Unsupported value: "Near"',
                 'Service "Upper" is invalid: metadata.name: Invalid value: "Upper"'):
        assert said in done.stderr, done.stderr
    assert done.stdout.count(" created\n") == 2 * PAIRS - 3, done.stdout
    wanted = {("Service/many-5", None), ("Ingress/many-10", None), ("Service/many-19", None)}
    assert set(labels_of(acme, "none")) == {(name, None) for name, _ in all_of(web, None)} - wanted


def test_an_apply_that_is_interrupted_leaves_whole_objects_and_goes_on_when_it_comes_again(e, web, acme, tmp_path):
    (tmp_path / "all.yaml").write_text(documents(*pairs(web, round="1")))
    applying = acme.begin("apply", "-f", tmp_path / "all.yaml")
    eventually(lambda: len(list((e.conf_d / "acme").glob("service.many-*"))) > 3)
    applying.send_signal(signal.SIGINT)
    applying.communicate()
    files_are_whole(e)
    there = labels_of(acme, "round")
    assert there and set(there) <= set(all_of(web, "1"))
    assert e.tenant("acme")["state"] == "ok"
    acme.kubectl("apply", "-f", tmp_path / "all.yaml")
    assert labels_of(acme, "round") == all_of(web, "1")


def test_a_file_that_is_edited_by_hand_meanwhile_keeps_what_the_hand_wrote(e, web, acme, tmp_path):
    """Both of a file that is applied and of one that is not: nobody's work is lost, and what stands there is what is shown."""
    by_hand = documents({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hand"}, "data": {"turn": "0"}})
    e.drop("acme/hand.yaml", "# by hand\n" + by_hand)
    eventually(lambda: acme.get("cm", "hand"))
    (tmp_path / "all.yaml").write_text(documents(*pairs(web, round="1")))

    def edit(name, text):
        """As editors do."""
        (e.conf_d / "edited").write_text(text)
        (e.conf_d / "edited").rename(e.conf_d / "acme" / name)

    applying, turn, edited = acme.begin("apply", "-f", tmp_path / "all.yaml"), 0, None
    while applying.poll() is None:
        turn += 1
        edit("hand.yaml", "# by hand\n" + by_hand.replace("turn: '0'", f"turn: '{turn}'"))
        mine = e.conf_d / "acme/service.many-2.yaml"
        if not edited and mine.exists():
            edited = mine.read_text().replace("round: ", "hand: mine\n    round: ")
            edit(mine.name, edited)
        time.sleep(0.1)  # who edits without a pause makes writes end in a conflict
    said = applying.communicate()
    assert applying.returncode == 0, said
    assert (e.conf_d / "acme/hand.yaml").read_text().startswith("# by hand\n")
    eventually(lambda: acme.get("cm", "hand")["data"]["turn"] == str(turn))
    assert labels_of(acme, "round") == all_of(web, "1")
    eventually(lambda: acme.get("svc", "many-2")["metadata"]["labels"] == {"hand": "mine", "round": "1"})


def test_two_who_apply_the_same_at_once_both_end_and_nothing_is_lost(e, web, acme):
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        runs = [pool.submit(acme.run, "apply", "-f", "-", stdin=documents(*pairs(web, **{key: "1", "both": "1"}))) for key in ("a", "b")]
        done = [run.result() for run in runs]
    for one in done:  # who was second with a document finds it there, as in Kubernetes
        assert one.returncode in (0, 1), one.stderr
        assert all("AlreadyExists" in line or "already exists" in line or "has been modified" in line for line in one.stderr.splitlines()
                   if line.startswith("Error")), one.stderr
    assert labels_of(acme, "both") == all_of(web, "1")
    for key in ("a", "b"):
        acme.kubectl("apply", "-f", "-", stdin=documents(*pairs(web, **{key: "2"})))
        assert labels_of(acme, key) == all_of(web, "2")
    files_are_whole(e)
