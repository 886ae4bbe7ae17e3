# SPDX-License-Identifier: GPL-3.0-or-later
"""test_slow.py - slowhttptest against the edge: slow heads, slow bodies, slow readers.

The attackers are cut, each kind by its own timeout, so that the tool ends by itself because none of its connections is left; meanwhile
everybody else is served. Each attack is over in a few seconds."""
import subprocess
import threading

import pytest

from edge import Edge, eventually
from objects import web_tenant
from pod import Pod

HOST = "0x7f.0.0.0x1"  # a name to the edge, and to the tool, which must look it up, 127.0.0.1
ATTACKERS = 50
SECONDS = 60  # the tool's own limit: it never gets there
BIG = 8 << 20  # more than the buffers of all that lies between a pod and a client who does not read


def generous(wire):
    """Answers /big with much, everything else with little."""
    while request := wire.read_request():
        body = bytes(BIG) if request.target.startswith("/big") else b"ok"
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        wire.send(body)


@pytest.fixture(scope="module")
def edge():
    with Pod(generous, "web") as p:
        with Edge({"acme.yaml": web_tenant("acme", p, host=HOST, domain=HOST)}, 1,
                  timeouts={"header": "2s", "body_idle": "1500ms", "response": "5s"}) as e:
            yield e


class Others:
    """One ordinary client after the other, all the while: what they got."""
    def __init__(self, e):
        self.e, self.over, self.statuses = e, threading.Event(), []
        self.thread = threading.Thread(target=self.ask)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def ask(self):
        while not self.over.wait(0.05):
            self.statuses.append(self.e.status(f"http://{HOST}/"))


def attack(e, path, *words):
    """Starts slowhttptest."""
    return subprocess.Popen(
        ["slowhttptest", "-c", str(ATTACKERS), "-r", "200", "-l", str(SECONDS), "-p", "8",
         "-u", f"http://{HOST}:{e.http_port}/{path}", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def connections(e):
    return e.tenant("acme")["connections"]


@pytest.mark.parametrize("kind", [
    ("-H", "-i", "1"),                # a field a second, for ever
    ("-B", "-i", "2", "-s", "8192"),  # a piece of the body every two: idle
    ("-B", "-i", "1", "-s", "8192", "-x", "8"),  # a few bytes every second: never idle for long
], ids=["slow heads", "slow bodies", "dripping bodies"])
def test_who_sends_slowly_is_cut_and_the_others_served(edge, kind):
    with Others(edge) as others:
        words = attack(edge, "", *kind).communicate(timeout=SECONDS + 30)[0]
    assert "No open connections left" in words, words[-2000:]
    assert len(others.statuses) > 10 and set(others.statuses) == {200}
    eventually(lambda: connections(edge) == 0)


def test_who_reads_slowly_is_cut_and_the_others_served(edge):
    """The tool does not notice, for it has not read what came before the end: the edge is asked instead."""
    with Others(edge) as others:
        tool = attack(edge, "big", "-X", "-w", "1", "-y", "1", "-n", "1", "-z", "1")  # one octet a second
        eventually(lambda: connections(edge) >= ATTACKERS / 2)
        eventually(lambda: connections(edge) <= 1, SECONDS)  # the others'
        still_there = tool.poll() is None
        tool.terminate()
        words = tool.communicate(timeout=SECONDS + 30)[0]
    assert still_there, words[-2000:]
    assert len(others.statuses) > 10 and set(others.statuses) == {200}
    eventually(lambda: connections(edge) == 0)
