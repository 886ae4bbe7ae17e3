# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done so that one tenant's kubectl does not cost the others theirs: much is composed and listed elsewhere, too much is asked to come again."""
import concurrent.futures
import contextlib
import json
import re
import time
import urllib.request

import pytest

from edge import ROOT, Edge
from kube import Kube, sections
from objects import documents, grant

MAPS, FILES, SIZE = 800, 10, 400  # more text than is gone through at once
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
NAMES = [f"settings-{i:04}" for i in range(MAPS)]


def settings(name, revision="0"):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"revision": revision, "text": "x" * SIZE}}


@pytest.fixture(scope="module")
def e():
    each = MAPS // FILES
    files = {f"acme/{k}.yaml": documents(*map(settings, NAMES[k * each:(k + 1) * each])) for k in range(FILES)}
    with Edge({"acme/tenant.yaml": documents(grant("acme")), **files, "globex.yaml": documents(grant("globex"), settings("one"))},
              **sections()) as edge:
        yield edge


@pytest.fixture(scope="module")
def large(e):
    return Kube(e, "acme")


def names(list_):
    return [row["object"]["metadata"]["name"] for row in list_["rows"]] if "rows" in list_ else [o["metadata"]["name"] for o in list_["items"]]


def asked(kube, *words, **headers):
    """As a client does: who is told to come again does."""
    while True:
        status, said = kube.ask(*words, **headers)
        if status != 429:
            assert status == 200, said
            return said
        time.sleep(0.1)


def listed(kube, query="", **headers):
    return asked(kube, "GET", CONFIG_MAPS + query, **headers)


@pytest.mark.parametrize("form", ["application/json", TABLE], ids=["objects", "a table"])
def test_a_large_list_is_whole_and_others_are_answered_meanwhile(e, large, form):
    small = Kube(e, "globex")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        lists = [pool.submit(listed, large, Accept=form) for _ in range(4)]
        while not all(one.done() for one in lists):
            assert names(listed(small)) == ["one"]
        assert all(names(one.result()) == NAMES for one in lists)


def test_of_many_large_lists_at_once_each_is_whole_in_the_end_and_who_is_to_come_again_is_told_when(large):
    def ask(_):
        with contextlib.closing(large.connect()) as c:
            while True:
                c.request("GET", CONFIG_MAPS, headers=large.headers())
                answer = c.getresponse()
                text = json.loads(answer.read())
                if answer.status == 200:
                    return text
                assert (answer.status, answer.headers["Retry-After"], text["reason"]) == (429, "1", "TooManyRequests"), text
                time.sleep(0.2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(names(text) == NAMES for text in pool.map(ask, range(8)))


def test_pages_and_selectors_of_a_large_list_are_as_of_any(large):
    page, found, versions = listed(large, "?limit=300"), [], set()
    while True:
        found += names(page)
        versions.add(page["metadata"]["resourceVersion"])
        if "continue" not in page["metadata"]:
            break
        page = listed(large, f"?limit=300&continue={page['metadata']['continue']}")
    assert found == NAMES and len(versions) == 1
    assert names(listed(large, "?fieldSelector=metadata.name%3Dsettings-0042")) == ["settings-0042"]


def test_a_watch_of_a_large_tenant_begins_with_all_of_it_and_goes_on(large):
    query = "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    listed(large, "?limit=1")
    with contextlib.closing(large.watch(CONFIG_MAPS + query)) as events:
        first = [next(events) for _ in NAMES]
        assert [(one["type"], one["object"]["metadata"]["name"]) for one in first] == [("ADDED", n) for n in NAMES]
        end = next(events)
        assert end["type"] == "BOOKMARK" and end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        asked(large, "PUT", f"{CONFIG_MAPS}/settings-0123", settings("settings-0123", "1"), Content_Type="application/json")
        changed = next(events)
        assert (changed["type"], changed["object"]["data"]["revision"]) == ("MODIFIED", "1")
        asked(large, "DELETE", f"{CONFIG_MAPS}/{NAMES[-1]}")
        gone = next(events)
        assert (gone["type"], gone["object"]["metadata"]["name"]) == ("DELETED", NAMES[-1])


def test_every_metric_of_the_api_is_on_its_page_and_no_other(e):
    with urllib.request.urlopen(f"http://127.0.0.1:{e.admin_port}/metrics", timeout=20) as answer:
        served = set(re.findall(r"^(ringress_kube_\w+)[{ ]", answer.read().decode(), re.M))
    assert set(re.findall(r"`(ringress_kube_\w+)`", (ROOT / "docs/kube.md").read_text())) == served
