# SPDX-License-Identifier: GPL-3.0-or-later
"""What packaging/ ships: a unit that systemd accepts and finds well confined, and a seccomp profile that is enough, and is one."""
import ctypes
import ctypes.util
import errno
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from edge import BINARY, ROOT, SANITIZED, Edge, eventually
from objects import ACME, node_port, plain_ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod

PACKAGING = ROOT / "packaging"
EXPOSURE_MOST = 3.0  # of 10: `systemd-analyze security` calls this OK; nginx's unit of Debian has 9.6
ALLOW, ERRNO_EPERM = 0x7FFF0000, 0x00050000 | errno.EPERM
systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


# ---- the unit ----
@pytest.fixture
def unit(tmp_path):
    """The unit as installed, but for the program's place, and a user that is there."""
    text = (PACKAGING / "ringress.service").read_text()
    assert "ExecStart=/usr/bin/ringress run" in text
    text = text.replace("/usr/bin/ringress", str(BINARY)).replace("=ringress\nGroup=ringress", "=daemon\nGroup=daemon")
    path = tmp_path / "ringress.service"
    path.write_text(text)
    return path


def analyze(*words):
    done = subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@systemd
@pytest.mark.parametrize("more", [(), ("netns",), ("kube",)], ids=["plain", "with the drop-in for namespaces", "with that for kubectl's writes"])
def test_systemd_accepts_the_unit_without_a_word(unit, more):
    folder = unit.parent / "ringress.service.d"
    folder.mkdir()
    for name in more:
        shutil.copy(PACKAGING / f"ringress-{name}.conf", folder)
    code, said = analyze("verify", "--man=no", unit)
    ours = [line for line in said.splitlines() if "ringress" in line]
    assert not ours and code == 0, said


@systemd
def test_the_unit_is_well_confined(unit):
    code, said = analyze("security", "--offline=yes", f"--threshold={EXPOSURE_MOST * 10:.0f}", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found, said
    assert code == 0 and float(found[1]) <= EXPOSURE_MOST, found[0]


def test_the_unit_gives_what_the_edge_asks_for(unit):
    lines = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and line[0] != "#")
    assert (lines["Type"], lines["NotifyAccess"]) == ("notify", "main")
    assert int(lines["LimitNOFILE"]) >= 1 << 20 and lines["LimitMEMLOCK"] == "infinity"
    assert int(lines["TimeoutStopSec"]) > 30  # timeouts.drain


# ---- the seccomp profile ----
def profile_load():
    """In a child before exec: the profile, as a container engine would load it."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    profile = json.loads((PACKAGING / "seccomp.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO" and profile["defaultErrnoRet"] == errno.EPERM
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ERRNO_EPERM)))
    for row in profile["syscalls"]:
        assert row["action"] == "SCMP_ACT_ALLOW"
        for name in row["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number >= 0:  # else this machine's architecture has none of that name
                assert library.seccomp_rule_add_array(context, ALLOW, number, 0, None) == 0, name
    assert library.seccomp_load(context) == 0


class Confined(Edge):
    """An edge under the profile."""

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.binary, "run", "-c", self.yaml], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=profile_load)
        eventually(self.is_up)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer makes calls of its own")
def test_the_edge_does_all_it_does_under_the_seccomp_profile(workers, authority):
    with EchoPod("web") as p:
        text = tenant("acme", pod(p, app="web"), service("web", target=p.port), plain_ingress(rule(f"web.{ACME}", "web")),
                      node_port("raw", target=p.port, app="web"))
        with Confined({"acme.yaml": text}, workers, authority, certificates=[(f"*.{ACME}",)]) as e:
            assert e.status(f"http://web.{ACME}/") == e.status(f"https://web.{ACME}/") == 200
            with e.connect(e.raw_port("acme")) as wire:
                wire.send(f"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert wire.read_response().status == 200
            e.drop("globex.yaml", web_tenant("globex", p))
            eventually(lambda: e.tenant("globex"))
            e.remove("globex.yaml")
            eventually(lambda: not e.tenant("globex"))
            assert e.run("reload").returncode == 0 and e.run("check").returncode == 0
            e.restart()
            assert e.status(f"https://web.{ACME}/") == 200
            status = open(f"/proc/{e.pid}/status").read()
            assert re.search(r"^Seccomp:\s+2$", status, re.M)


def jail_calls():
    """The lists of edge/jail_calls.c: what a serving edge may do, and what it may not."""
    source = (ROOT / "edge/jail_calls.c").read_text()
    lists = [set(re.findall(r'"(\w+)"', re.sub(r"/\*.*?\*/", "", body, flags=re.S)))
             for body in re.findall(r"static const char \*const (?:allowed|forbidden)\[\] = \{(.*?)NULL\}", source, re.S)]
    looked_at = set(re.findall(r'ALLOW\(b, "(\w+)"', source)) | {"mmap", "mprotect"}
    return lists[0] | looked_at, lists[1]


def test_the_profile_is_what_the_edges_own_jail_allows_and_what_a_start_takes_before():
    allowed, forbidden = jail_calls()
    rows = json.loads((PACKAGING / "seccomp.json").read_text())["syscalls"]
    start = {name for row in rows if "only a start takes" in row["comment"] for name in row["names"]}
    assert len(allowed) > 100 and len(forbidden) > 50 and not allowed & forbidden
    assert {name for row in rows for name in row["names"]} - start == allowed
    assert not start & allowed


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's build has no filter of its own")
def test_an_edge_in_the_profile_is_in_its_own_jail_too(authority):
    with Confined({}, 1, authority) as e:
        assert "system calls by seccomp" in e.log_text() and "filter denies" not in e.log_text(), e.log_text()


@pytest.mark.parametrize("what", ["ptrace", "mount", "kexec_load", "bpf", "perf_event_open", "keyctl"])
def test_what_the_edge_never_does_is_denied(what):
    """By name, through libseccomp, in a child that has the profile."""
    child = subprocess.run([sys.executable, "-c", f"""
import ctypes, ctypes.util, errno
from test_packaging import profile_load
library = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2")
libc = ctypes.CDLL(None, use_errno=True)
number = library.seccomp_syscall_resolve_name({what.encode()!r})
profile_load()
ctypes.set_errno(0)
assert libc.syscall(number, 0, 0, 0, 0, 0) == -1
print(ctypes.get_errno())
"""], capture_output=True, text=True, cwd=ROOT / "tests/e2e", env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert child.stdout.strip() == str(errno.EPERM), child.stderr
