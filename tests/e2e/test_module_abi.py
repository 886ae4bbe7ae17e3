# SPDX-License-Identifier: GPL-3.0-or-later
"""A module of a third party: built against the installed headers alone, loaded by the installed program."""
import os
import re
import subprocess

import pytest

from edge import BUILD, Edge, ROOT, ringress
from objects import ACME, GLOBEX, plain_ingress, pod, rule, service, tenant, web_tenant
from pod import EchoPod
from wire import Closed

SOURCES = ROOT / "tests/thirdparty"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The prefix the program was installed to."""
    prefix = tmp_path_factory.mktemp("installed")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True)
    return prefix


@pytest.fixture
def build(installed, tmp_path):
    """Compiles C text or a file of tests/thirdparty to NAME.so in a folder of its own, which it returns."""
    def compile_module(name, text=None):
        source, folder = tmp_path / f"{name}.c", tmp_path / "modules"
        folder.mkdir(exist_ok=True)
        source.write_text(text or (SOURCES / f"{name}.c").read_text())
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC",
                        "-shared", "-I", installed / "include/ringress", "-o", folder / f"{name}.so", source],
                       check=True, cwd=tmp_path)
        return folder
    return compile_module


def edge_with(installed, folder, *modules, conf_d=None, **options):
    """The installed program with its own modules and those of `folder`."""
    own = next(installed.glob("**/ringress/modules"))
    return Edge(conf_d, binary=installed / "bin/ringress", modules=[*modules, "sni", "http", "tcp"],
                module_path=[folder, own], **options)


def refusal(edge):
    """What an edge says that must not start."""
    try:
        done = subprocess.run([edge.binary, "run", "-c", edge.yaml], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1, (done.returncode, done.stderr)
        return done.stderr
    finally:
        edge.end(failed=False)


def test_a_module_built_against_the_installed_headers_routes_requests(installed, build, workers):
    with EchoPod("plain") as plain, EchoPod("blue") as blue:
        acme = tenant("acme", pod(plain), pod(blue), service("plain"), service("blue"),
                      plain_ingress(rule(f"web.{ACME}", "plain"), rule(f"blue.{ACME}", "blue")))
        with edge_with(installed, build("shard"), "shard", conf_d={"acme.yaml": acme}, workers=workers) as e:
            url = f"http://web.{ACME}/"
            assert e.echo(url)["pod"] == "plain"
            assert e.echo(url, headers={"X-Shard": "blue"})["pod"] == "blue"
            assert e.status(url, headers={"X-Shard": "red"}) == 404
            assert e.status(url, headers={"X-Shard": "../x"}) == 400


def test_a_module_can_not_send_a_request_to_another_tenant(installed, build):
    thief = (SOURCES / "shard.c").read_text().replace("entry->version->tenant->domain", f'"{GLOBEX}"')
    with EchoPod("mine") as mine, EchoPod("theirs") as theirs:
        with edge_with(installed, build("shard", thief), "shard", conf_d={
                "acme.yaml": web_tenant("acme", mine), "globex.yaml": web_tenant("globex", theirs)}) as e:
            assert e.echo(f"http://web.{ACME}/")["pod"] == "mine"
            assert e.status(f"http://web.{ACME}/", headers={"X-Shard": "web"}) in (404, 421, 500)
            assert theirs.requests == []


def test_a_module_with_configuration_turns_clients_away_by_first_byte_and_address(installed, build, workers):
    with EchoPod() as p:
        folder = build("doorman")
        with edge_with(installed, folder, "doorman", conf_d={"acme.yaml": web_tenant("acme", p)}, workers=workers,
                       doorman={"first_byte": "%", "banned": ["127.0.0.9"]}) as e:
            assert e.status(f"http://web.{ACME}/") == 200
            with e.connect() as wire:
                wire.send("%hello")
                assert wire.rest() == b"not here\n"
            with e.connect_from("127.0.0.9") as wire:
                with pytest.raises((Closed, OSError)):
                    wire.send(f"GET / HTTP/1.1\r\nHost: web.{ACME}\r\n\r\n")
                    wire.read_response()
            assert "turned away" in e.log_text()
            modules = {m["module"]: m for m in e.get("modules")}
            assert modules["doorman"]["version"] == "1.0"
            assert modules["doorman"]["file"] == str(folder / "doorman.so")


def test_a_modules_own_check_of_its_section_stops_the_start(installed, build):
    said = refusal(edge_with(installed, build("doorman"), "doorman", doorman={"first_byte": "two"}))
    assert "first_byte is one character" in said


def test_a_module_that_can_not_start_on_one_worker_stops_the_start_and_leaves_nothing(installed, build):
    folder = build("picky", """
#include "core/module.h"
#include <errno.h>
static int picky_up(struct worker *w, void *state, const void *conf) {
    (void)state;
    (void)conf;
    return worker_id(w) == 1 ? -EBUSY : 0;
}
RINGRESS_MODULE(.name = "picky", .version = "1", .summary = "not on worker 1", .listeners = LISTENER_HTTP,
                .worker_size = 100, .worker_up = picky_up);
""")
    said = refusal(edge_with(installed, folder, "picky", workers=3))
    assert "worker 1" in said and "LeakSanitizer" not in said, said


def test_an_unknown_key_of_a_modules_section_is_an_error_with_its_position(installed, build):
    edge = edge_with(installed, build("doorman"), "doorman", doorman={"first_bite": "!"})
    line = 1 + edge.yaml.read_text().splitlines().index("  first_bite: '!'")
    assert re.search(rf"edge\.yaml:{line}:3: .*first_bite", refusal(edge))


def test_a_module_of_another_abi_is_refused_with_file_its_abi_and_ours(installed, build):
    alien = """
        #include <stdint.h>
        const struct { uint32_t abi; } ringress_module __attribute__((visibility("default"))) = {4711};
        """
    folder = build("shard", alien)
    said = refusal(edge_with(installed, folder, "shard"))
    assert str(folder / "shard.so") in said
    assert "4711" in said
    header = (installed / "include/ringress/core/module.h").read_text()
    ours = re.search(r"#define RINGRESS_ABI (\d+)", header)[1]
    assert re.search(rf"\b{ours}\b", said.replace(str(folder), ""))


def test_a_module_built_when_the_struct_was_smaller_loads_and_what_it_did_not_know_is_not_read(installed, build):
    smaller = """
        #include "core/module.h"
        static enum verdict on_request(struct conn *conn, void *state, struct request_view *request) {
            (void)conn, (void)state;
            request->reject_status = 418;
            return VERDICT_REJECT;
        }
        RINGRESS_EXPORT extern const struct ringress_module ringress_module;
        const struct ringress_module ringress_module = {
            .abi = RINGRESS_ABI, .size = offsetof(struct ringress_module, on_close), .name = "small", .version = "0.1",
            .summary = "knows less", .listeners = LISTENER_HTTP, .on_request = on_request,
            .on_close = (void *)1, .on_drain = (void *)1};
        """
    with EchoPod() as p:
        with edge_with(installed, build("small", smaller), "small", conf_d={"acme.yaml": web_tenant("acme", p)}) as e:
            assert e.status(f"http://web.{ACME}/") == 418


def test_a_module_built_when_the_struct_was_larger_loads(installed, build):
    larger = """
        #include "core/module.h"
        struct larger { struct ringress_module module; void *future[4]; };
        RINGRESS_EXPORT extern const struct larger ringress_module;
        const struct larger ringress_module = {.module = {
            .abi = RINGRESS_ABI, .size = sizeof(struct larger), .name = "large", .version = "9", .summary = "new",
            .listeners = LISTENER_HTTP}};
        """
    with EchoPod() as p:
        with edge_with(installed, build("large", larger), "large", conf_d={"acme.yaml": web_tenant("acme", p)}) as e:
            assert e.status(f"http://web.{ACME}/") == 200


def test_a_missing_module_is_named_with_the_folders_that_were_searched(installed, build):
    folder = build("shard")
    said = refusal(edge_with(installed, folder, "nowhere"))
    assert "nowhere" in said and str(folder) in said


def test_a_module_whose_name_is_not_its_files_is_refused(installed, build):
    folder = build("other", (SOURCES / "shard.c").read_text())
    said = refusal(edge_with(installed, folder, "other"))
    assert "other" in said and "shard" in said


def test_a_shared_object_that_is_no_module_is_refused(installed, build):
    folder = build("plain", "int answer(void); int answer(void) { return 42; }")
    said = refusal(edge_with(installed, folder, "plain"))
    assert str(folder / "plain.so") in said and "ringress_module" in said


def test_the_manual_teaches_with_the_very_module_that_is_tested(installed):
    manual = (ROOT / "docs/modules.md").read_text()
    blocks = re.findall(r"^```c\n(.*?)^```$", manual, re.M | re.S)
    assert (SOURCES / "shard.c").read_text() in blocks
    assert (SOURCES / "doorman.c").read_text() in blocks


def test_the_installed_program_knows_its_version_and_abi(installed):
    done = subprocess.run([installed / "bin/ringress", "version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert re.search(r"ABI.*\b1\b|\b1\b.*ABI", done.stdout, re.I)
    assert done.stdout == ringress("version").stdout
