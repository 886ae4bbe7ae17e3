# SPDX-License-Identifier: GPL-3.0-or-later
"""node.py - programs of tests/node, with the packages that `./dev setup` installs for them."""
import json
import os
import subprocess

from edge import ROOT
from pod import free_address

SCRIPTS, PACKAGES = ROOT / "tests/node", ROOT / "build/node/node_modules"
NODE = {**os.environ, "NODE_PATH": str(PACKAGES)}


class NodePod:
    """A server script as a pod, at an address of its own."""

    def __init__(self, script, name="web", port=5678, more=()):
        assert PACKAGES.exists(), "./dev setup brings them"
        self.name, self.port = name, port
        self.address, held = free_address(port)
        held.close()
        self.process = subprocess.Popen(["node", SCRIPTS / script, self.address, str(port), *map(str, more)], env=NODE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def node(script, *words):
    """Runs a client script; what it says, as JSON."""
    done = subprocess.run(["node", SCRIPTS / script, *map(str, words)], env=NODE, text=True, capture_output=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
