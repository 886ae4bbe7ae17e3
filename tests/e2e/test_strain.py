# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory runs short: whoever holds the most of it gives up connections, the others are served, and it ends by itself."""
import contextlib
import pathlib
import time

import pytest

import tls
from edge import BINARY, SANITIZED, Edge, eventually
from objects import ACME, GLOBEX, plain_ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod
from test_memory import figures

MIB = 1 << 20
NAME, OTHER = f"web.{ACME}", f"web.{GLOBEX}"
WAVES, IN_A_WAVE = 40, 100  # of handshakes that are begun and not gone on with: some 8 KiB each
gives_back = pytest.mark.skipif(SANITIZED, reason="a sanitizer's allocator gives nothing back, so it would never be over")
CGROUPS = pathlib.Path("/sys/fs/cgroup/memory")  # version 1
LIMIT = {1: "memory.limit_in_bytes", 2: "memory.max"}


def story(authority, files, workers, **sections):
    return Edge(files, workers, authority, certificates=[(f"*.{ACME}",), (f"*.{GLOBEX}",)],
                timeouts={"header": "60s"}, **sections).hold_nobody()


def at_rest(authority, files, workers):
    """What such an edge takes when it has served a little."""
    with story(authority, files, workers) as e:
        assert e.status(f"https://{OTHER}/") == 200
        return e.memory()


class Neighbour:
    """Keeps a connection, and makes new ones; each request is to be answered."""

    def __init__(self, e, stack):
        self.e, self.kept = e, stack.enter_context(e.connect())

    def is_served(self):
        self.kept.send(f"GET / HTTP/1.1\r\nHost: {OTHER}\r\n\r\n")
        return (self.kept.read_response().status == 200 and self.e.status(f"http://{OTHER}/") == 200 and
                self.e.status(f"https://{OTHER}/") == 200)


def begin_handshakes(e, stack, count, hello):
    for _ in range(count):
        with contextlib.suppress(OSError):
            wire = stack.enter_context(e.connect(e.https_port))
            wire.send(hello)


def assert_one_pays_and_it_passes(e, limit):
    """A flood that holds ever more, until it has given up more than it ever had at once."""
    hello = tls.hello(NAME)
    with contextlib.ExitStack() as stack:
        neighbour = Neighbour(e, stack)
        with contextlib.ExitStack() as flood:
            waves = [flood.enter_context(contextlib.ExitStack()) for _ in range(WAVES)]
            for wave in waves:
                begin_handshakes(e, wave, IN_A_WAVE, hello)
                assert neighbour.is_served()
                if figures(e)["memory_shed_total"] > 5 * IN_A_WAVE:
                    break
            assert e.memory() < limit
            assert figures(e)["memory_shed_total"] > 5 * IN_A_WAVE
            assert e.tenant("acme")["memory"] > e.tenant("globex")["memory"]
            assert e.tenant("acme")["shed"] > 5 * IN_A_WAVE and e.tenant("globex")["shed"] == 0
            eventually(lambda: [x for x in e.get("events", "-n", "acme") if x["reason"] == "Shed" and "no memory" in x["message"]])
            assert "memory is short" in e.log_text()
            for wave in waves:  # it is over long before the last of them has gone
                wave.close()
                time.sleep(0.05)
        eventually(lambda: e.tenant("acme")["memory"] == 0)
        eventually(lambda: figures(e)["memory_strain"] == 0)
        eventually(lambda: "memory is to be had again" in e.log_text())
        assert limit - e.memory() > 6 * MIB  # what went later is given back as well
        # And it does not give up more than it had to.
        time.sleep(1.2)  # a worker that felt it by itself is wary for a second
        shed = figures(e)["memory_shed_total"]
        begin_handshakes(e, stack, IN_A_WAVE, hello)
        assert neighbour.is_served()
        assert figures(e)["memory_shed_total"] == shed


def two_tenants(stack):
    return {"acme.yaml": web_tenant("acme", stack.enter_context(EchoPod("a"))),
            "globex.yaml": web_tenant("globex", stack.enter_context(EchoPod("b")))}


@gives_back
def test_a_tenant_that_holds_ever_more_memory_gives_up_its_own(stack, workers, authority):
    files = two_tenants(stack)
    limit = at_rest(authority, files, workers) + 16 * MIB
    with story(authority, files, workers, memory=limit) as e:
        assert_one_pays_and_it_passes(e, limit)


@pytest.fixture
def cgroup():
    """A group of this process's own, with version 1 of cgroups or 2."""
    lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    mine = next((line.split(":", 2)[2] for line in lines if ":memory:" in line), None)
    folder = CGROUPS / mine.strip("/") if mine else pathlib.Path("/sys/fs/cgroup")
    group = folder / f"ringress-{id(folder)}"
    try:
        group.mkdir()
        has_limit = any((group / name).exists() for name in LIMIT.values())
    except OSError:
        has_limit = False
    if not has_limit:
        if group.exists():
            group.rmdir()
        pytest.skip("no cgroup with a limit of memory can be made here")
    yield group
    eventually(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


@gives_back
def test_the_limit_of_a_cgroup_is_kept_and_nobody_is_killed(stack, authority, cgroup):
    """The kernel would kill the whole edge, for what one tenant holds."""
    files = two_tenants(stack)
    limit = at_rest(authority, files, 1) + 16 * MIB
    name = next(n for n in LIMIT.values() if (cgroup / n).exists())
    (cgroup / name).write_text(str(limit))
    with story(authority, files, 1) as e:
        e.stop()
        e.binary = e.folder / "grouped"
        e.binary.write_text(f'#!/bin/sh\necho $$ >{cgroup}/cgroup.procs\nexec {BINARY} "$@"\n')
        e.binary.chmod(0o755)
        e.start()
        assert_one_pays_and_it_passes(e, limit + MIB * 16)  # pages of the program's file are not charged to it


def test_a_tenants_files_for_which_there_is_no_memory_are_that_tenants_error(stack, authority):
    files = two_tenants(stack)
    limit = at_rest(authority, files, 1) + 32 * MIB
    web = stack.enter_context(EchoPod("web"))

    def hooli(hosts):
        rules = [rule(f"w{i}.hooli.1d.pt", ("/", "web")) for i in range(hosts)]
        return tenant("hooli", pod(web, app="web"), service("web", target=web.port),
                      plain_ingress(*rules), domain="hooli.1d.pt")
    with story(authority, files, 1, memory=limit) as e:
        e.drop("hooli.yaml", hooli(8000))
        eventually(lambda: (e.tenant("hooli") or {}).get("state") == "error")
        assert "MiB of memory" in e.tenant("hooli")["error"]
        assert e.tenant("acme")["state"] == e.tenant("globex")["state"] == "ok"
        assert e.memory() < limit and e.status(f"https://{OTHER}/") == 200
        e.drop("hooli.yaml", hooli(20))
        eventually(lambda: e.tenant("hooli")["state"] == "ok" and e.status("http://w7.hooli.1d.pt/") == 200)
