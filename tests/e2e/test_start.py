# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting: it serves only when everything is live, and when it can't start it says the true cause and the remedy."""
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import socket
import struct
import subprocess
import tempfile

import pytest

from edge import BINARY, BUILD, Edge, eventually
from objects import ACME, web_tenant
from pod import EchoPod

NOBODY = 65534
IO_URING_SETUP = 425
LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def folder():
    """An edge that is not running."""
    edge = Edge({})
    yield edge
    edge.end(failed=False)


def start(edge, seconds=8, **options):
    """Runs it until it ends by itself, or that long: (exit code or None, what it said)."""
    with subprocess.Popen([edge.binary, "run", "-c", edge.yaml], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **options) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        ended = process.poll()
        if ended is None:
            process.terminate()
        _, said = process.communicate(timeout=20)
    return ended, said


def deny(number):
    """A seccomp filter for this process: that system call fails with EPERM."""
    def instruction(code, jt, jf, k):
        return struct.pack("HBBI", code, jt, jf, k)
    program = (instruction(0x20, 0, 0, 0) + instruction(0x15, 0, 1, number)
               + instruction(0x06, 0, 0, 0x00050000 | 1) + instruction(0x06, 0, 0, 0x7FFF0000))
    memory = ctypes.create_string_buffer(program)
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(memory)))
    assert LIBC.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert LIBC.prctl(22, 2, filter_, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


# ---- io_uring can't be had ----
def test_a_seccomp_filter_that_denies_io_uring_is_named_with_its_remedy(folder):
    code, said = start(folder, preexec_fn=lambda: deny(IO_URING_SETUP))
    assert code == 1, said
    assert "seccomp" in said.lower() and "io_uring" in said
    assert 1 <= len(said.strip().splitlines()) <= 4, said


@pytest.mark.parametrize("value, remedy", [("2", "kernel.io_uring_disabled=0"), ("1", "group")])
def test_a_machine_where_io_uring_is_switched_off_is_told_apart_from_seccomp(folder, tmp_path, value, remedy):
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/io_uring_disabled").write_text(value + "\n")
    (tmp_path / "kernel/io_uring_group").write_text("1234\n")
    folder.write_yaml({**folder.content, "jail_read": [str(tmp_path)]})
    code, said = start(folder, preexec_fn=lambda: deny(IO_URING_SETUP),
                       env={**os.environ, "RINGRESS_PROC_SYS": str(tmp_path)})
    assert code == 1, said
    assert f"kernel.io_uring_disabled = {value}" in said and remedy in said
    assert "seccomp" not in said.lower()


def readable_copy(edge):
    """A program and its configuration that an unprivileged user may read."""
    home = tempfile.mkdtemp(prefix="ringress-nobody-")
    os.chmod(home, 0o755)
    shutil.copy(BINARY, home)
    shutil.copytree(BUILD / "modules", f"{home}/modules")
    edge.content.update(state=f"{home}/state", module_path=[f"{home}/modules"],
                        admin={"socket": f"{home}/admin.sock"})
    edge.write_yaml(edge.content)
    os.chmod(edge.folder, 0o755)
    os.chown(home, NOBODY, NOBODY)
    return home


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become nobody")
def test_without_lockable_memory_an_unprivileged_edge_starts_or_says_so(folder):
    home = readable_copy(folder)
    folder.binary = f"{home}/ringress"

    def become_nobody():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    code, said = start(folder, preexec_fn=become_nobody)
    shutil.rmtree(home)
    if code is not None:
        assert code == 1 and "memlock" in said.lower(), said


def test_the_open_file_limit_is_raised_and_what_it_allows_is_said(workers):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    edge = Edge({}, workers)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    code, said = start(edge, seconds=2, preexec_fn=lower)
    edge.end(failed=False)
    assert code is None, said
    assert str(hard) in said and re.search(r"connections", said), said


def slice_of(task):
    """ns a thread runs where others want its CPU, as the kernel shows it; None: it does not."""
    with contextlib.suppress(FileNotFoundError):
        found = re.search(r"^se\.slice\s*:\s*(\d+)$", (task / "sched").read_text(), re.M)
        return int(found[1]) if found else None
    return None


def test_a_worker_that_wakes_up_need_not_wait_for_longer_turns(workers):
    release = tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))
    if release < (6, 12) or slice_of(pathlib.Path("/proc/self")) is None:
        pytest.skip("this kernel has no slices, or shows none")
    with Edge({}, workers) as e:
        tasks = {(t / "comm").read_text().strip(): slice_of(t) for t in pathlib.Path(f"/proc/{e.pid}/task").iterdir()}
        assert {n: s for n, s in tasks.items() if n.startswith("worker ")} == {f"worker {i}": 100000 for i in range(workers)}
        assert all(s > 100000 for n, s in tasks.items() if not n.startswith("worker ")), tasks


def test_the_table_of_descriptors_is_as_large_from_the_start_as_a_flood_would_make_it(workers):
    """Each time it grows the kernel makes the worker that accepts wait for all CPUs."""
    with Edge({}, workers) as e:
        status = pathlib.Path(f"/proc/{e.pid}/status").read_text()
        assert int(re.search(r"FDSize:\s+(\d+)", status).group(1)) >= min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)


# ---- the operator's mistakes ----
@pytest.mark.parametrize("key, value, word", [
    ("colour", "red", "colour"), ("listen", {"http": ["not an address"]}, "not an address"),
    ("user", "nosuchuser", "nosuchuser"), ("zones", ["*.x"], "*.x"), ("timeouts", {"header": "-1s"}, "header"), ("workers", 0, "workers"), ("raw_tcp", {"ports": "9-1"}, "ports"),
    ("modules", ["sni", "nowhere"], "nowhere"), ("sni", {"hello_size_max": "1Gi"}, "hello_size_max"),
    ("tls", {"certificates": [{"cert": "gone.pem", "key": "gone.key"}]}, "gone.pem"),
])
def test_a_mistake_in_edge_yaml_is_named_with_its_place(folder, key, value, word):
    folder.content[key] = value
    folder.write_yaml(folder.content)
    code, said = start(folder)
    assert code == 1, said
    assert word in said
    if key not in ("modules", "tls"):
        line = next(i for i, text in enumerate(folder.yaml.read_text().splitlines(), 1) if word in text)
        assert f"edge.yaml:{line}:" in said, said


def test_every_mistake_is_said_at_once(folder):
    folder.content.update(worker=1, timeouts={"heeder": "1s"}, raw_tcp={"ports": "x"})
    folder.write_yaml(folder.content)
    code, said = start(folder)
    assert code == 1
    for word in ("worker", "heeder", "ports"):
        assert re.search(rf"edge\.yaml:\d+:\d+: .*{word}", said), said


def test_what_is_required_is_asked_for(folder):
    for key in ("conf_d", "state", "listen"):
        content = {k: v for k, v in folder.content.items() if k != key}
        folder.write_yaml(content)
        code, said = start(folder)
        assert code == 1 and key in said


def test_a_port_that_is_taken_is_named(folder):
    with socket.create_server(("127.0.0.1", folder.http_port)):
        code, said = start(folder)
    assert code == 1
    assert f"127.0.0.1:{folder.http_port}" in said and "in use" in said.lower()


def test_a_second_edge_on_the_same_state_does_not_start_and_says_why(folder):
    with Edge({}) as e:
        folder.content["state"] = str(e.state)
        folder.write_yaml(folder.content)
        code, said = start(folder)
        assert code == 1 and "another ringress" in said and str(e.state) in said, said
        assert e.run("get", "tenants").returncode == 0


def test_a_state_that_is_no_database_is_said_and_served_without(folder):
    folder.state.mkdir()
    (folder.state / "ringress.db").write_bytes(b"garbage\n" * 1000)
    folder.start()
    assert "not a database" in folder.log_text() and "without state" in folder.log_text()
    folder.stop()
    assert (folder.state / "ringress.db").read_bytes() == b"garbage\n" * 1000


def test_a_missing_edge_yaml_is_named(folder):
    folder.yaml.unlink()
    code, said = start(folder)
    assert code == 1 and "edge.yaml" in said


# ---- a good start ----
def test_the_first_connection_that_is_accepted_is_served(workers):
    """Listeners open only when every tenant is live."""
    with EchoPod("web") as p:
        e = Edge({"acme.yaml": web_tenant("acme", p)}, workers)
        log = open(e.log, "ab")
        e.process = subprocess.Popen([e.binary, "run", "-c", e.yaml], stdout=log, stderr=log)
        with contextlib.closing(log), e_stopping(e):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    assert e.status(f"http://web.{ACME}/") == 200
                    break


@contextlib.contextmanager
def e_stopping(e):
    try:
        yield
        e.stop()
    finally:
        e.end(failed=False)


def test_readiness_and_the_end_are_told_to_systemd(workers, tmp_path):
    with EchoPod("web") as p, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)
        e = Edge({"acme.yaml": web_tenant("acme", p)}, workers)
        with open(e.log, "ab") as log:
            e.process = subprocess.Popen([e.binary, "run", "-c", e.yaml], stderr=log,
                                         env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
        with e_stopping(e):
            assert notify.recv(4096) == b"READY=1"
            assert e.status(f"http://web.{ACME}/") == 200  # all is live when it says so
        assert notify.recv(4096) == b"STOPPING=1"


def test_it_starts_again_at_once_on_the_same_ports(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        for _ in range(3):
            assert e.status(f"http://web.{ACME}/") == 200
            e.restart()


def test_nothing_is_left_open_when_many_have_come_and_gone(workers):
    with EchoPod("web") as p, Edge({"acme.yaml": web_tenant("acme", p)}, workers) as e:
        def descriptors():
            return len(os.listdir(f"/proc/{e.pid}/fd"))
        assert e.status(f"http://web.{ACME}/") == 200
        before = descriptors()
        for _ in range(300):
            with e.connect() as wire:
                wire.send("GET / HT")
        for _ in range(50):
            e.status(f"http://web.{ACME}/")
        eventually(lambda: descriptors() <= before + 8)


@pytest.mark.parametrize("inside", [False, True])
def test_a_pool_that_the_kernel_gives_away_from_is_warned_of(inside):
    first, _ = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    low = first if inside else first - 10
    with Edge({}, raw_tcp={"address": "127.0.0.1", "ports": f"{low}-{low + 9}"}) as e:
        told = [line for line in e.log.read_text().splitlines() if "ip_local_port_range" in line]
        assert len(told) == inside
        assert all(f"10 of {low}-{low + 9}" in line and f"ip_local_reserved_ports={low}-{low + 9}" in line for line in told)
