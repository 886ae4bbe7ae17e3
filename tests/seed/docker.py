#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker.py - the docker, compose and stack lines of the project's seed document, one after the other, and what came of each.

    tests/seed/docker.py          builds nothing: RINGRESS_BUILD names the build, default build/release

The client is docker, the engine is podman in a network namespace of its own; nginx and mariadb are one small program under those names,
as no image can be downloaded here. What could not be typed as it stands says how it was done instead. Exit 0: every outcome is the
seed's; 1: one is not; 77: this machine can't, and why."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import pytest  # noqa: E402
from conftest import Authority  # noqa: E402
from edge import BINARY, Edge, eventually  # noqa: E402
from namespaces import Names, Namespaces  # noqa: E402
from objects import documents, grant  # noqa: E402
from podman import DOCKER, Podman  # noqa: E402
from seed import ACME, DATABASE, line, outcome, verdict  # noqa: E402

COMPOSE = """\
version: "3.9"
services:
  nginx:
    labels:
      kr.ingress.80: https://nginx.*
    image: "nginx"
"""


class Seed:
    """An edge with the seed's two domains, an engine whose network `acme` and `database` are theirs, a socket for docker clients."""

    def __init__(self, folder, spaces, podman):
        self.folder, self.podman, self.proxy = folder, podman, {}
        network = {"netns": podman.space, "allow": ["10.0.0.0/8"], "dns": "10.99.0.53"}
        tenants = {"acme/tenant.yaml": documents(grant("acme", ACME, network=network)),
                   "database.yaml": documents(grant("database", DATABASE, network=network))}
        authority = Authority(folder)
        self.edge = Edge(tenants, authority=authority, certificates=[(ACME, f"*.{ACME}")], modules=["sni", "http", "tcp", "docker"],
                         docker=[{"socket": str(podman.socket), "networks": {"acme": "acme", "database": "database"}}])
        for name in ("acme", "database"):
            podman.docker("network", "create", name)

    def __enter__(self):
        self.edge.__enter__()
        for name in ("acme", "database"):
            path = self.folder / f"{name}.sock"
            words = [BINARY, "docker-proxy", str(path), "-n", name, "--all", "-c", str(self.edge.yaml)]
            self.proxy[name] = subprocess.Popen(words)
            eventually(path.exists)
        os.environ["DOCKER_CONFIG"] = str(self.folder / "docker")
        self.docker("context", "create", "kraud.aep", "--docker", f"host=unix://{self.folder}/database.sock")
        return self

    def __exit__(self, *words):
        for process in self.proxy.values():
            process.terminate()
            process.wait()
        self.edge.__exit__(*words)

    @staticmethod
    def docker(*words):
        return subprocess.run([DOCKER, *words], capture_output=True, text=True, check=True, timeout=60).stdout

    def acme(self, *words):
        return self.podman.docker(*words, socket=self.folder / "acme.sock")

    def serves(self, url, seconds=2):
        end = time.monotonic() + seconds
        while (status := self.edge.request(url).status) != 200 and time.monotonic() < end:
            time.sleep(0.05)
        outcome(status == 200, f"{url} answers {status}")

    def is_gone(self, url):
        host = url.split("/")[2]
        eventually(lambda: all(r["host"] != host for r in self.edge.get("routes")))
        outcome(self.edge.request(url).status == 404, f"{url} is gone with it")


URL = f"https://nginx.{ACME}/"


def routing_your_first_service(s):
    line("docker run -ti --label kr.ingress.80='https://nginx.*' nginx", "-dti, as nobody sits at a terminal; --network acme says whose it is")
    made = s.acme("run", "-dti", "--network", "acme", "--label", "kr.ingress.80=https://nginx.*", "nginx").strip()
    s.serves(URL)
    s.acme("rm", "-f", made)
    s.is_gone(URL)


def compose_by_its_file(s, names):
    line("docker compose up", "the file as it stands in conf.d/acme/; its container runs without labels and is found by its name")
    made = s.podman.docker("run", "-d", "--network", "acme", "nginx").strip()
    names.names["nginx"] = s.podman.docker("inspect", "-f", "{{.NetworkSettings.Networks.acme.IPAddress}}", made).strip()
    s.edge.drop("acme/docker-compose.yaml", COMPOSE)
    s.serves(URL, 20)
    s.edge.remove("acme/docker-compose.yaml")
    s.podman.docker("rm", "-f", made)
    s.is_gone(URL)


def as_an_engine_tells_it(s, command, instead, labels, group):
    """Two replicas, with the labels that compose or a swarm gives its containers."""
    line(command, instead)
    words = [w for k, v in {**labels, "kr.ingress.80": "https://nginx.*"}.items() for w in ("-l", f"{k}={v}")]
    made = [s.acme("run", "-d", "--network", "acme", *words, "nginx").strip() for _ in range(2)]
    s.serves(URL)
    eventually(lambda: len([r for r in s.edge.get("backends") if r["service"] == group]) == 2)
    outcome(True, f"service {group} has two pods behind one name")
    s.acme("rm", "-f", *made)
    s.is_gone(URL)


def raw_tcp_ingress(s):
    line("docker --context=kraud.aep run -dti -e MARIADB_ROOT_PASSWORD=bob -l kr.ingress.3306=tcp:// mariadb",
         "--network database says whose it is; the program is told its port")
    s.docker("--context=kraud.aep", "run", "-dti", "--name", "blithesome_paper", "--network", "database", "-e", "MARIADB_ROOT_PASSWORD=bob", "-l",
             "kr.ingress.3306=tcp://", "mariadb", "3306")
    number = eventually(lambda: [r["publicPort"] for r in s.edge.get("ports")])[0]
    line("docker --context=kraud.aep ps  | grep mariadb")
    shown = [row for row in s.docker("--context=kraud.aep", "ps").splitlines() if "mariadb" in row]
    print(f"  {shown[0] if shown else ''}")
    outcome(any(f"{DATABASE}:{number}->3306/tcp" in row for row in shown), f"{DATABASE}:{number}->3306/tcp")
    line(f"mariadb -h {DATABASE} -P {number} -p -u root", "no mariadb client, nor that name in the DNS: a connection to the edge at that port")
    with s.edge.connect(number) as wire:
        wire.send(b"hello\n")
        outcome(wire.rest().endswith(b"hello\n"), "the container answers")


def main():
    with tempfile.TemporaryDirectory() as folder, Namespaces() as spaces:
        folder = pathlib.Path(folder)
        with Podman(spaces, folder) as podman:
            for image in ("nginx", "mariadb"):
                podman.docker("import", "-c", 'ENTRYPOINT ["/app"]', str(folder / "app.tar"), f"docker.io/library/{image}:latest")
            subprocess.run(["ip", "-n", podman.space, "addr", "add", "10.99.0.53/32", "dev", "lo"], check=True)
            with spaces.inside(podman.space):
                names = Names("10.99.0.53", {})
            with names, Seed(folder, spaces, podman) as s:
                routing_your_first_service(s)
                compose_by_its_file(s, names)
                as_an_engine_tells_it(s, "docker compose up", "compose is not installed: containers with the labels it gives them",
                                      {"com.docker.compose.project": "shop", "com.docker.compose.service": "nginx"}, "shop/nginx")
                as_an_engine_tells_it(s, "docker stack deploy -c ./docker-compose.yaml mystack", "podman has no swarm: containers with its labels",
                                      {"com.docker.stack.namespace": "mystack", "com.docker.swarm.service.name": "mystack_nginx"}, "mystack_nginx")
                line("docker stack ls", "not run: podman has no swarm, and the edge takes no part in it")
                raw_tcp_ingress(s)
    return verdict()


if __name__ == "__main__":
    if not shutil.which(DOCKER):
        sys.exit(print("the docker client is not installed") or 77)
    try:
        sys.exit(main())
    except pytest.skip.Exception as reason:
        print(reason)
        sys.exit(77)
