# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done so that one tenant's kubectl does not cost the others theirs: much is composed and listed elsewhere, too much is asked to come again."""
import asyncio
import concurrent.futures
import contextlib
import json
import pathlib
import re
import statistics
import time
import urllib.request

import pytest

from edge import ROOT, SANITIZED, Edge, eventually
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


def metrics(e):
    with urllib.request.urlopen(f"http://127.0.0.1:{e.admin_port}/metrics", timeout=20) as answer:
        return answer.read().decode()


def written(kube, method, path, body, connection, **headers):
    """A write, as a client does it."""
    while (done := kube.ask(method, path, body, connection, **headers))[0] == 429:
        time.sleep(0.1)
    assert done[0] in (200, 201), done


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
    served = set(re.findall(r"^(ringress_kube_\w+)[{ ]", metrics(e), re.M))
    assert set(re.findall(r"`(ringress_kube_\w+)`", (ROOT / "docs/kube.md").read_text())) == served


# ---- a thousand watches ----
WATCHES, CHANGES, PACE_S = (100, 20, 0.05) if SANITIZED else (1000, 50, 0.01)
AT_ONCE = 100  # connections that have not shown a token yet: there may be 256


async def heard(kube, start, entering, begun):
    """What one watch is told of the counter, whole, until it is gone: kinds of events and what it stood at."""
    async with entering:
        reader, writer = await asyncio.open_connection(kube.host, int(kube.port), ssl=kube.context, server_hostname=kube.host, limit=1 << 20)
        path = f"{CONFIG_MAPS}?watch=true&resourceVersion={start}&fieldSelector=metadata.name%3Dcounted"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {kube.token}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    begun()
    text = bytearray()
    while not text.endswith(b"\n\r\n") or b'"type":"DELETED"' not in text[-4096:]:
        piece = await reader.read(1 << 16)  # looked through in the end: two processors have the edge and a thousand readers to serve
        assert piece, bytes(text[-300:])
        text += piece
    writer.transport.abort()
    return bytes(text)


def events_of(chunked):
    text, at = b"", 0
    while at < len(chunked):
        end = chunked.index(b"\r\n", at)
        size = int(chunked[at:end], 16)
        text += chunked[end + 2:end + 2 + size]
        at = end + size + 4
    events = map(json.loads, text.splitlines())
    return [(event["type"], int(event["object"]["data"]["n"])) for event in events]


async def all_heard(kube, start, change):
    waiting, all_begun, entering = [WATCHES], asyncio.Event(), asyncio.Semaphore(AT_ONCE)

    def begun():
        waiting[0] -= 1
        if not waiting[0]:
            all_begun.set()

    async def changes():
        await all_begun.wait()
        await asyncio.to_thread(change)
    async with asyncio.TaskGroup() as group:  # who fails ends them all
        tasks = [group.create_task(heard(kube, start, entering, begun)) for _ in range(WATCHES)]
        group.create_task(changes())
    return [events_of(t.result()) for t in tasks]


@pytest.fixture
def lone():
    with Edge({"globex.yaml": documents(grant("globex"))}, **sections(requests_per_second=5000)) as edge:
        yield edge


def test_a_thousand_watches_hear_each_of_many_changes_once_in_order_and_leave_nothing(lone):
    e, kube, paces = lone, Kube(lone, "globex"), []
    figure = lambda name: float(re.search(rf"^{name} (\S+)$", metrics(e), re.M)[1])
    resident = lambda: int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{e.process.pid}/status").read_text(), re.M)[1])

    def change(count):
        connection = kube.connect()
        write = lambda method, path, body, **more: written(kube, method, path, body, connection, **more)
        write("POST", CONFIG_MAPS, {"metadata": {"name": "counted"}, "data": {"n": "0"}})
        for n in range(1, count):
            began = time.monotonic()
            write("PATCH", f"{CONFIG_MAPS}/counted", {"data": {"n": str(n)}}, Content_Type="application/merge-patch+json")
            paces.append(time.monotonic() - began)
            time.sleep(max(0, PACE_S - paces[-1]))
        write("DELETE", f"{CONFIG_MAPS}/counted", None)

    def round_(count):
        start = listed(kube)["metadata"]["resourceVersion"]
        told = asyncio.run(all_heard(kube, start, lambda: change(count)))
        eventually(lambda: figure("ringress_kube_watches") == 0)
        assert told == [[("ADDED", 0), *(("MODIFIED", n) for n in range(1, count)), ("DELETED", count - 1)]] * WATCHES
    before = resident()
    round_(2)
    round_(CHANGES)
    burst = resident()
    # jemalloc gives back within ten seconds what nobody uses, when asked, and is asked each five (control_beat)
    eventually(lambda: SANITIZED or resident() < before + 4096, seconds=30)
    print(f"{WATCHES} watches, a write in {statistics.median(paces) * 1000:.0f} ms, {before} KiB before, {burst} then, {resident()} in the end")
