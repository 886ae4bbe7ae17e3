# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo does what it prints, ends without a trace, and says which port is in its way."""
import signal
import socket
import subprocess
import sys
import threading

from edge import BUILD, ROOT, free_ports

DEMO = [sys.executable, ROOT / "tests/demo/demo.py", BUILD]


def ports():
    first = free_ports(24)
    return ["--http", str(first), "--https", str(first + 1), "--admin", str(first + 2), "--kube", str(first + 3),
            "--raw", f"{first + 4}-{first + 23}"]


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_every_printed_command_works():
    done = subprocess.run([*DEMO, "--check", *ports()], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") >= 15


def test_ctrl_c_ends_all_of_it():
    demo = subprocess.Popen([*DEMO, *ports(), "--copy"], stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(60, demo.kill)
    watchdog.start()
    try:
        assert any("Ctrl-C" in line for line in demo.stdout)
        children = children_of(demo.pid)
        assert len(children) >= 3, "the edge, nginx and redis"
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
        assert not [p for p in children if is_alive(p)]
    finally:
        watchdog.cancel()
        demo.kill()
        demo.wait()


def test_a_taken_port_is_named_with_the_option_that_chooses_another():
    words = ports()
    with socket.create_server(("127.0.0.1", int(words[1]))):
        done = subprocess.run([*DEMO, "--check", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"127.0.0.1:{words[1]}" in done.stderr and "--http" in done.stderr
