# SPDX-License-Identifier: GPL-3.0-or-later
"""namespaces.py - real network namespaces for a story, and servers inside them.

    with Namespaces() as n:  a = n.add("a", "10.11.0.5");  with n.inside(a): Pod(...)

A socket belongs to the namespace its maker was in, so servers are made inside and then live on by themselves."""
import contextlib
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def ip(*words):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def why_not():
    """The reason why this machine can't make namespaces, or None."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    name = f"ringress-{os.getpid()}-probe"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if done.returncode:
        return f"no network namespaces here: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


def enter(fd):
    if LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Namespaces:
    def __init__(self):
        self.made, self.tunnels = [], []

    def __enter__(self):
        if reason := why_not():
            pytest.skip(reason)
        return self

    def __exit__(self, *_):
        for process in self.tunnels:
            process.terminate()
            process.wait()
        for name in self.made:
            subprocess.run(["ip", "netns", "delete", name], check=False)

    def name(self, word):
        return f"ringress-{os.getpid()}-{word}"

    def add(self, word, *addresses):
        """A namespace whose loopback also has these addresses; its name."""
        name = self.name(word)
        ip("netns", "add", name)
        self.made.append(name)
        ip("-n", name, "link", "set", "lo", "up")
        for address in addresses:
            ip("-n", name, "addr", "add", f"{address}/32", "dev", "lo")
        return name

    def again(self, word, *addresses):
        """The same name, another namespace."""
        name = self.name(word)
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        if name in self.made:
            self.made.remove(name)
        return self.add(word, *addresses)

    @staticmethod
    def run(name, *words):
        done = subprocess.run(["ip", "netns", "exec", name, *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def cable(self, near, device, near_address, far, far_address):
        """A veth pair: `device` in `near`, eth0 in `far`, both in the /24 of their addresses."""
        ip("-n", near, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", far)
        for name, link, address in ((near, device, near_address), (far, "eth0", far_address)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")

    def tunnel(self, near, near_address, far, far_address):
        """WireGuard in userspace between two namespaces, over a veth pair; the name of the device in `near`."""
        if not shutil.which("wireguard-go") or not os.path.exists("/dev/net/tun"):
            pytest.skip("no userspace WireGuard here")
        number = len(self.tunnels)
        self.cable(near, f"under{number}", "192.0.2.1", far, "192.0.2.2")
        ends = ((near, f"wg{os.getpid()}n{number}"[:15], near_address), (far, f"wg{os.getpid()}f{number}"[:15], far_address))
        keys = [subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout for _ in ends]
        public = [subprocess.run(["wg", "pubkey"], input=k, capture_output=True, text=True, check=True).stdout.strip() for k in keys]
        for i, (space, device, address) in enumerate(ends):
            self.tunnels.append(subprocess.Popen(["ip", "netns", "exec", space, "wireguard-go", "-f", device],
                                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            end = time.monotonic() + 20
            while not os.path.exists(f"/var/run/wireguard/{device}.sock"):
                assert time.monotonic() < end, "wireguard-go does not start"
                time.sleep(0.02)
            with tempfile.NamedTemporaryFile("w") as key:
                key.write(keys[i])
                key.flush()
                self.run(space, "wg", "set", device, "private-key", key.name, "listen-port", 51820, "peer", public[1 - i],
                         "allowed-ips", "10.11.0.0/16", "endpoint", f"192.0.2.{2 - i}:51820")
            ip("-n", space, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", space, "link", "set", device, "up")
        return ends[0][1]

    @contextlib.contextmanager
    def inside(self, name):
        """What this thread opens meanwhile belongs to that namespace."""
        home, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            enter(there)
            yield
        finally:
            enter(home)
            os.close(home)
            os.close(there)


class Names:
    """A name server for A records: {name: address or list of them}. Anything else does not exist."""

    def __init__(self, address, names):
        self.names, self.asked = names, []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self.sock.recvfrom(1500)
                self.sock.sendto(self.answer(query), peer)

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question, kind = query[12:at + 5], struct.unpack(">H", query[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        self.asked.append(name)
        known = self.names.get(name, ())
        addresses = ([known] if isinstance(known, str) else known) if kind == 1 else ()
        records = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(a) for a in addresses]
        flags = 0x8580 | (0 if known else 3)
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)
