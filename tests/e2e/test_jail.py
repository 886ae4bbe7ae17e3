# SPDX-License-Identifier: GPL-3.0-or-later
"""The process itself: what it gives up once it serves, what somebody who took it over could still do, what it leaves behind."""
import contextlib
import grp
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge import BINARY, SANITIZED, Edge, eventually, free_ports
from namespaces import Namespaces
from objects import ACME, node_port, plain_ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod, TcpEchoPod
from test_module_abi import build, edge_with, installed  # noqa: F401 (fixtures)
from test_start import LIBC, deny, start

NOBODY = pwd.getpwnam("nobody")
SECCOMP, LANDLOCK = 317, 444
CAPABILITY = {"net_bind_service": 10, "net_admin": 12, "net_raw": 13, "sys_admin": 21}
WEB = f"http://web.{ACME}/"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
confined = pytest.mark.skipif(SANITIZED, reason="a sanitizer makes calls of its own and looks into its process")


def landlock():
    """The version this machine has; 0: none, or a filter around us denies it."""
    return max(LIBC.syscall(LANDLOCK, 0, 0, 1), 0)


class Dropping(Edge):
    """An edge that starts as root and becomes nobody. Its folder lets him in."""

    def __init__(self, conf_d=None, workers=1, authority=None, **sections):
        super().__init__(conf_d, workers, authority, **{"user": "nobody", **sections})
        os.chmod(self.folder, 0o755)


def threads(e):
    """What the kernel says of each of the edge's threads."""
    said = []
    for status in pathlib.Path(f"/proc/{e.pid}/task").glob("*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            said.append(dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line))
    return said


def held(thread):
    """Its five sets of capabilities."""
    return {name: int(thread[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def everything(p, raw):
    return tenant("acme", pod(p, app="web"), pod(raw, app="raw"), service("web", target=p.port), plain_ingress(rule(f"web.{ACME}", "web")),
                  node_port("raw", target=raw.port))


# ---- giving up ----
def test_root_binds_and_then_all_threads_are_the_other_user_with_nothing_left(workers, authority):
    port = 443
    with EchoPod("web") as p, TcpEchoPod("raw") as raw, Dropping(
            {"acme.yaml": everything(p, raw)}, workers, authority, certificates=[(f"*.{ACME}",)]) as e:
        e.stop()
        e.content["listen"]["https"].append(f"127.77.0.1:{port}")  # a port that only root may bind
        e.write_yaml(e.content)
        e.start()
        for thread in threads(e):
            assert set(thread["Uid"].split()) == {str(NOBODY.pw_uid)} and set(thread["Gid"].split()) == {str(NOBODY.pw_gid)}
            assert "0" not in thread["Groups"].split()
            assert not any(held(thread).values()), thread
            assert thread["NoNewPrivs"] == "1" and (SANITIZED or thread["Seccomp"] == "2"), thread
        assert len(threads(e)) > workers
        assert e.status(WEB) == e.status(f"https://web.{ACME}/") == 200
        with socket.create_connection(("127.77.0.1", port), timeout=20) as sock:
            with e.context().wrap_socket(sock, server_hostname=f"web.{ACME}") as wrapped:
                assert wrapped.version() == "TLSv1.3"
        with e.connect(e.raw_port("acme")) as wire:
            wire.send(b"x")
            assert wire.need(1) == b"x"


def test_the_admin_socket_goes_at_the_end_where_the_user_may_and_else_at_the_next_start():
    with Dropping() as e:
        for folder, goes in ((e.folder / "run", True), (e.folder, False)):
            e.stop()
            e.write_yaml({**e.content, "admin": {"socket": str(folder / "admin.sock")}})
            e.log.write_text("")
            for _ in range(2):
                e.start()
                e.stop()
                assert (folder / "admin.sock").exists() != goes
                assert ("is left behind, the next start removes it" in e.log_text()) != goes
            e.start()
        assert (e.folder / "run").stat().st_uid == NOBODY.pw_uid


def test_what_a_start_as_root_left_in_state_is_the_users_and_kept(workers):
    with EchoPod("web") as p, TcpEchoPod("raw") as raw, Dropping({"acme.yaml": everything(p, raw)}, workers) as e:
        number = e.raw_port("acme")
        e.stop()
        for path in (e.state, *e.state.iterdir()):
            assert path.stat().st_uid == NOBODY.pw_uid, path
            os.chown(path, 0, 0)
        e.start()
        assert e.raw_port("acme") == number and "without state" not in e.log_text()
        assert e.run("reload").returncode == 0
        e.remove("acme.yaml")
        eventually(lambda: not e.tenant("acme"))


def test_what_another_user_left_is_roots_again_when_root_stays_root(workers):
    """Else it could neither write the state nor the logs: it gave up the right to write what is not its own."""
    with EchoPod("web") as p, TcpEchoPod("raw") as raw, Dropping(
            {"acme.yaml": everything(p, raw)}, workers, log={"access": "json", "access_path": "access.log"}) as e:
        number = e.raw_port("acme")
        e.stop()
        del e.content["user"]
        e.write_yaml(e.content)
        e.start()
        assert {t["Uid"].split()[0] for t in threads(e)} == {"0"}
        assert e.raw_port("acme") == number and "without state" not in e.log_text()
        for path in (e.state, *e.state.iterdir(), e.folder / "access.log"):
            assert path.stat().st_uid == 0, path
        assert e.status(WEB) == 200
        eventually(lambda: '"status":200' in (e.folder / "access.log").read_text())
        assert e.run("reload").returncode == 0 and "can't" not in e.log_text()


def test_a_file_with_a_second_name_or_a_link_is_not_given_away(tmp_path):
    """Whoever was that user before may have put it there."""
    mine = tmp_path / "mine"
    mine.write_text("root's\n")
    e = Dropping()
    e.state.mkdir()
    os.link(mine, e.state / "secret")
    (e.state / "ticket-keys").symlink_to(mine)
    start(e, seconds=2)
    e.end(failed=False)
    assert mine.stat().st_uid == 0 and mine.read_text() == "root's\n"


def test_a_key_file_that_only_root_may_read_serves(workers, authority):
    with EchoPod("web") as p, Dropping({"acme.yaml": web_tenant("acme", p)}, workers, authority, certificates=[(f"*.{ACME}",)]) as e:
        assert all(os.stat(path["key"]).st_mode & 0o77 == 0 for path in e.content["tls"]["certificates"])
        assert e.status(f"https://web.{ACME}/") == 200


@pytest.mark.parametrize("names", [["net_admin"], ["net_raw", "net_admin"]])
def test_what_is_configured_is_kept_by_all_threads_and_no_more(names):
    wanted = sum(1 << CAPABILITY[name] for name in names)
    with Dropping(capabilities=names) as e:
        for thread in threads(e):
            assert held(thread) == {"CapInh": 0, "CapPrm": wanted, "CapEff": wanted, "CapBnd": 0, "CapAmb": 0}
        assert all(name in e.log_text() for name in names)


def test_the_right_to_bind_is_kept_only_for_a_pool_that_needs_it(workers):
    with TcpEchoPod("raw") as raw:
        text = tenant("acme", pod(raw), node_port("raw", target=raw.port))
        with Dropping({"acme.yaml": text}, workers, raw_tcp={"address": "127.77.0.2", "ports": "700-720"}) as e:
            assert {held(t)["CapPrm"] for t in threads(e)} == {1 << CAPABILITY["net_bind_service"]}
            with socket.create_connection(("127.77.0.2", e.raw_port("acme")), timeout=20) as sock:
                sock.sendall(b"x")
                assert sock.recv(1) == b"x"


def test_root_that_stays_root_keeps_what_tenants_networks_take_and_nothing_when_told():
    with Edge({}) as e:
        assert {held(t)["CapPrm"] & (1 << CAPABILITY["sys_admin"] | 1 << 7 | 1) for t in threads(e)} == {1 << CAPABILITY["sys_admin"]}
    with Edge({}, capabilities=[]) as e:
        assert {held(t)["CapPrm"] for t in threads(e)} == {0}


@pytest.mark.parametrize("name", ["net_admin", "sys_admin"])
def test_a_capability_that_can_not_be_had_is_refused_with_its_place(name):
    edge = Edge({}, capabilities=[name])
    home = tempfile.mkdtemp(prefix="ringress-nobody-")
    shutil.copy(BINARY, home)
    os.chmod(home, 0o755)
    os.chmod(edge.folder, 0o755)
    edge.binary = f"{home}/ringress"

    def become_nobody():
        os.setgroups([])
        os.setgid(NOBODY.pw_gid)
        os.setuid(NOBODY.pw_uid)
    code, said = start(edge, preexec_fn=become_nobody)
    shutil.rmtree(home)
    edge.end(failed=False)
    assert code == 1 and re.search(rf"edge\.yaml:\d+:\d+: capabilities: {name}:", said), said


def test_a_capability_the_edge_has_no_use_for_is_no_capability():
    edge = Edge({}, capabilities=["sys_module"])
    code, said = start(edge)
    edge.end(failed=False)
    assert code == 1 and re.search(r"edge\.yaml:\d+:\d+: capabilities: `sys_module` is none of", said)


def test_namespaces_of_tenants_are_entered_by_a_user_with_sys_admin_alone(workers):
    address = "10.11.0.5"
    with Namespaces() as spaces, contextlib.ExitStack() as stack:
        space = spaces.add("jail", address)
        with spaces.inside(space):
            p = stack.enter_context(EchoPod("inside", address=address))
        text = web_tenant("acme", p, network={"allow": ["10.11.0.0/16"], "netns": space})
        with Dropping({"acme.yaml": text}, workers, capabilities=["sys_admin"]) as e:
            assert e.echo(WEB)["pod"] == "inside"
            assert {t["Uid"].split()[0] for t in threads(e)} == {str(NOBODY.pw_uid)}
            other = spaces.add("later", address)  # made after the jail was shut
            with spaces.inside(other):
                stack.enter_context(EchoPod("later", address=address, port=p.port))
            e.drop("acme.yaml", web_tenant("acme", p, network={"allow": ["10.11.0.0/16"], "netns": other}))
            eventually(lambda: e.request(WEB).get("x-pod") == "later")


# ---- what is denied ----
DENIED = {
    "execute": "EPERM", "fork": "ENOSYS", "map_code": "EPERM", "make_code": "EPERM", "trace": "EPERM", "peek_other": "EPERM",
    "signal_other": "ENOSYS", "become_root": "EPERM", "capabilities": "EPERM", "be_dumped": "ENOSYS", "mount": "EPERM",
    "namespace": "EPERM", "module": "EPERM", "bpf": "EPERM", "keys": "EPERM", "ring": "EPERM", "type_in": "ENOSYS",
    "raw_socket": "ENOSYS", "packet_socket": "ENOSYS"}
FILES = {"read_elsewhere": "EACCES", "write_elsewhere": "EACCES", "write_drop": "EACCES", "read_other": "EACCES",
         "write_memory": "EACCES", "write_state": "OK"}


def burgled(e, where):
    """{crime: errno} of that thread, once it is done."""
    eventually(lambda: f"burglar {where} is done" in e.log_text())
    return dict(re.findall(rf"burglar {where} (\w+) (\w+)$", e.log_text(), re.M))


@pytest.fixture
def prey():
    """A folder that everybody may read and write, none of the edge's business."""
    folder = tempfile.mkdtemp(prefix="ringress-prey-")
    os.chmod(folder, 0o777)
    pathlib.Path(folder, "loot").write_text("gold\n")
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def burglary(installed, build, prey, p, **options):  # noqa: F811
    port = free_ports(1)
    e = edge_with(installed, build("burglar"), "burglar", conf_d={"acme.yaml": web_tenant("acme", p)}, **options)
    e.write_yaml({**e.content, "burglar": {"elsewhere": prey, "inside": str(e.conf_d), "port": port}})
    os.chmod(e.folder, 0o755)
    with e:
        assert e.status(WEB, headers={"X-Burglar": "please"}) == 200
        yield e


@confined
@pytest.mark.parametrize("user", [None, "nobody"], ids=["as root", "as nobody"])
def test_code_of_an_intruder_on_any_thread_can_do_none_of_it(installed, build, prey, user, workers):  # noqa: F811
    abi = landlock()
    wanted = {**DENIED, **(FILES if abi else {}), **({"bind_port": "EACCES"} if abi >= 4 else {})}
    with EchoPod("web") as p, burglary(installed, build, prey, p, workers=workers, **({"user": user} if user else {})) as e:
        for where in ("control", "thread", "worker"):
            done = burgled(e, where)
            assert {crime: done[crime] for crime in wanted} == wanted
        assert e.status(WEB) == 200
    assert not os.path.exists(f"{prey}/mark")


@confined
def test_without_the_jail_the_same_code_could_do_it(installed, build, prey):  # noqa: F811
    """Else the story above would prove nothing."""
    with EchoPod("web") as p, burglary(installed, build, prey, p, jail="off") as e:
        done = burgled(e, "worker")
        for crime in ("map_code", "make_code", "fork", "read_elsewhere", "write_elsewhere", "write_drop", "write_memory",
                      "be_dumped", "bind_port"):
            assert done[crime] == "OK", (crime, done[crime])
        assert done["execute"] == "ENOENT"
        assert all(t["NoNewPrivs"] == "0" and t["Seccomp"] == "0" for t in threads(e))


def test_a_link_out_of_conf_d_is_read_once_its_folder_is_allowed_and_said_why_not_before(prey):
    if not landlock():
        pytest.skip("no Landlock here")
    if SANITIZED:
        pytest.skip("a sanitizer's build may read everything")
    with EchoPod("web") as p:
        kept = pathlib.Path(prey, "kept.yaml")
        kept.write_text(web_tenant("acme", p))
        with Edge({}) as e:
            (e.conf_d / "acme.yaml").symlink_to(kept)
            eventually(lambda: "jail_read" in ((e.tenant("acme") or {}).get("error") or ""))
            e.restart()  # what leads out at the start is followed
            assert e.status(WEB) == 200
        with Edge({}, jail_read=[prey]) as e:
            (e.conf_d / "acme.yaml").symlink_to(kept)
            eventually(lambda: e.status(WEB) == 200)


# ---- machines that have no jail to give ----
@confined
@pytest.mark.parametrize("missing, word", [(LANDLOCK, "Landlock"), (SECCOMP, "system calls")])
def test_where_the_jail_can_not_be_had_a_line_says_so_and_it_serves_or_not_as_told(missing, word):
    with EchoPod("web") as p:
        edge = Edge({"acme.yaml": web_tenant("acme", p)})
        code, said = start(edge, seconds=3, preexec_fn=lambda: deny(missing))
        assert code is None and re.search(rf"warning jail: .*{word}", said), said
        edge.write_yaml({**edge.content, "jail": "required"})
        code, said = start(edge, preexec_fn=lambda: deny(missing))
        edge.end(failed=False)
        assert code == 1 and "jail: required" in said, said


# ---- core dumps ----
def mappings(pid):
    """(begin, end, rights, left out of dumps) of all that can be read."""
    for block in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path(f"/proc/{pid}/smaps").read_text()):
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(\S*)", block)
        if head and head[3].startswith("r") and head[4] not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
            flags = re.search(r"^VmFlags: (.*)$", block, re.M)[1].split()
            yield int(head[1], 16), int(head[2], 16), "dd" in flags


def memory(pid):
    """{dumped: bytes, left out: bytes}: all that can be read of a process, with gaps between."""
    parts = {False: [], True: []}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as f:
        for begin, end, left_out in mappings(pid):
            for at in range(begin, end, 1 << 22):
                f.seek(at)
                with contextlib.suppress(OSError):
                    parts[left_out].append(f.read(min(1 << 22, end - at)))
    return {left_out: b"".join(list_) for left_out, list_ in parts.items()}


def scalar(path):
    return load_pem_private_key(pathlib.Path(path).read_bytes(), None).private_numbers().private_value.to_bytes(32, "big")


def secrets(e, log):
    """{what: bytes} that must not be in a dump."""
    key = pathlib.Path(e.content["tls"]["certificates"][0]["key"])
    found = {f"line {i} of the key": line.encode() for i, line in enumerate(key.read_text().splitlines()[1:-1]) if len(line) > 40}
    found["the key"] = scalar(key)
    for i, line in enumerate((e.state / "ticket-keys").read_text().splitlines()[1:]):
        found[f"ticket key {i}"] = bytes.fromhex(line.split()[2])
    found["the secret of TXT tokens"] = bytes.fromhex((e.state / "secret").read_text())
    for label, value in re.findall(r"^(\w+_TRAFFIC_SECRET_0) \w+ (\w+)$", log.read_text(), re.M):
        found[label] = bytes.fromhex(value)
    return found


@contextlib.contextmanager
def busy(workers, authority, tmp_path, **sections):
    """An edge that may be dumped, amid a request over TLS, and what of it is secret."""
    log = tmp_path / "keys.log"
    with EchoPod("web") as p, Dropping({"acme.yaml": web_tenant("acme", p)}, workers, authority,
                                       certificates=[(f"*.{ACME}",)], **sections) as e:
        context = e.context()
        context.keylog_filename = str(log)
        with e.connect_tls(f"web.{ACME}", context) as wire:
            wire.send(f"POST / HTTP/1.1\r\nHost: web.{ACME}\r\nContent-Length: 100000\r\nAuthorization: Bearer sesame-open-1234\r\n\r\n")
            wire.send(b"a client's own words; " * 100)
            eventually(lambda: p.accepted)
            yield e, {**secrets(e, log), "a client's words": b"a client's own words; a client's own", "a header": b"sesame-open-1234"}


@confined
def test_no_secret_is_in_what_a_core_dump_would_hold(workers, authority, tmp_path):
    with busy(workers, authority, tmp_path, core_dumps="on") as (e, kept):
        seen = memory(e.pid)
        dumped = [what for what, value in kept.items() if value in seen[False]]
        assert not dumped, dumped
        held_somewhere = [what for what, value in kept.items() if value in seen[True]]
        assert {"the key", "ticket key 0", "the secret of TXT tokens", "a client's words"} & set(held_somewhere), held_somewhere
        assert len(held_somewhere) >= 4, held_somewhere  # else we looked for what isn't there


@confined
def test_a_real_core_holds_the_stacks_and_no_secret(authority, tmp_path):
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if "|" in pattern or "/" in pattern or "%" in pattern:
        pytest.skip(f"cores go to {pattern}")
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    if limits[1] != resource.RLIM_INFINITY:
        pytest.skip("no cores here: ulimit -Hc")
    home = tempfile.mkdtemp(prefix="ringress-core-")
    os.chmod(home, 0o777)
    here = os.getcwd()
    try:
        os.chdir(home)  # the edge's own folder, where its core will be
        resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
        with busy(1, authority, tmp_path, core_dumps="on") as (e, kept):
            os.kill(e.pid, signal.SIGABRT)
            e.process.wait(60)
            e.process = None
        cores = [path for path in pathlib.Path(home).iterdir() if path.name.startswith("core")]
        assert len(cores) == 1
        core = cores[0].read_bytes()
        assert core.startswith(b"\x7fELF") and len(core) > 100_000
        assert [what for what, value in kept.items() if value in core] == []
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
        os.chdir(here)
        shutil.rmtree(home)


@confined
def test_without_core_dumps_the_process_can_not_be_dumped_nor_looked_into():
    with Dropping() as e:
        limits = pathlib.Path(f"/proc/{e.pid}/limits").read_text()
        assert re.search(r"^Max core file size\s+0 ", limits, re.M)
        assert os.stat(f"/proc/{e.pid}/mem").st_uid == 0  # the kernel gives it to root when it may not be dumped
        child = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "cat", f"/proc/{e.pid}/environ"],
                               capture_output=True, text=True)
        assert child.returncode != 0 and "denied" in child.stderr


# ---- the admin socket ----
def ask_as(e, *words, group=None):
    """The client's command as nobody, in no other group but that."""
    copy = e.folder / "client"
    if not copy.exists():
        shutil.copy(BINARY, copy)
        os.chmod(copy, 0o755)

    def become():
        os.setgroups([group] if group is not None else [])
        os.setgid(NOBODY.pw_gid)
        os.setuid(NOBODY.pw_uid)
    return subprocess.run([copy, *words, "--socket", e.folder / "admin.sock"], capture_output=True, text=True, timeout=20,
                          preexec_fn=become, cwd="/")


def test_a_stranger_gets_no_answer_from_the_admin_socket_and_both_are_told():
    with Edge({}) as e:
        os.chmod(e.folder, 0o755)
        refused = ask_as(e, "get", "tenants")
        assert refused.returncode == 3 and "admin.group" in refused.stderr  # by the socket's mode
        os.chmod(e.folder / "admin.sock", 0o666)  # somebody was careless
        refused = ask_as(e, "drain")
        assert refused.returncode == 1 and f"user {NOBODY.pw_uid} may not give commands" in refused.stderr
        eventually(lambda: re.search(rf"warning admin socket: process \d+ of user {NOBODY.pw_uid},", e.log_text()))
        assert e.run("get", "tenants").returncode == 0 and e.process.poll() is None


def test_the_edges_own_user_and_a_configured_group_may_give_commands():
    group = grp.getgrnam("daemon")
    with Edge({}, admin={"socket": "admin.sock", "group": "daemon"}) as e:
        os.chmod(e.folder, 0o755)
        mode = (e.folder / "admin.sock").stat()
        assert (mode.st_gid, mode.st_mode & 0o777) == (group.gr_gid, 0o660)
        assert ask_as(e, "get", "tenants", group=group.gr_gid).returncode == 0
        os.chmod(e.folder / "admin.sock", 0o666)
        refused = ask_as(e, "get", "tenants")
        assert refused.returncode == 1 and "group daemon" in refused.stderr
    with Dropping() as e:
        assert ask_as(e, "get", "tenants").returncode == 0


def test_a_group_that_does_not_exist_is_a_mistake_with_a_place():
    edge = Edge({}, admin={"socket": "admin.sock", "group": "nosuchgroup"})
    code, said = start(edge)
    edge.end(failed=False)
    assert code == 1 and re.search(r"edge\.yaml:\d+:\d+: group nosuchgroup", said)
