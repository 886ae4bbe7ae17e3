# SPDX-License-Identifier: GPL-3.0-or-later
"""edge.py - a real edge for one story.

    with Edge({"acme.yaml": text}, workers=3, authority=authority) as e:
        assert e.request("https://web.123123.1d.pt/").status == 200

Makes a temporary folder (edge.yaml, conf.d, state, admin socket, log), starts `ringress run`, waits until it answers, and at
the end stops it by SIGTERM: it must exit 0 and no sanitizer may have complained. The log is printed when a story fails.
The binary is that of RINGRESS_BUILD (default build/release)."""
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse

import yaml

from wire import Wire

ROOT = pathlib.Path(os.environ.get("RINGRESS_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("RINGRESS_BUILD", ROOT / "build/release"))
BINARY = BUILD / "ringress"
COMPLAINT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed")
SANITIZER = {"ASAN_OPTIONS": "quarantine_size_mb=8"}  # freed memory is not ours to measure
SANITIZED = any(name in BUILD.name for name in ("asan", "tsan"))
SLOWNESS = 4 if SANITIZED else 1
PATIENCE = 20 * SLOWNESS  # seconds that anything may take on a busy machine
RAW_PORTS = 8


def port_is_free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


PORTS = [int(end) for end in os.environ.get("RINGRESS_PORTS", "20000-31999").split("-")]
given = collections.deque(maxlen=500)  # ports may be chosen well before they are bound


def free_ports(count):
    """That many free neighbours, below the range of outgoing connections."""
    while True:
        first = random.randint(PORTS[0], PORTS[1] - count)
        wanted = range(first, first + count)
        if all(p not in given and port_is_free(p) for p in wanted):
            given.extend(wanted)
            return first


def unhurried(text):
    """A time of a configuration, "300ms", that is long enough for what a story does meanwhile: longer in a sanitizer's build."""
    number, unit = re.fullmatch(r"(\d+)(\D+)", text).groups()
    return f"{int(number) * SLOWNESS}{unit}"


def eventually(probe, seconds=PATIENCE, every=0.02):
    """The first true answer of `probe`; its last answer fails the test."""
    end = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        assert time.monotonic() < end, f"still {answer!r} after {seconds} s"
        time.sleep(every)


def ringress(*words, timeout=PATIENCE, **options):
    return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=timeout, **options)


class Edge:
    def __init__(self, conf_d=None, workers=1, authority=None, certificates=(), modules=None,
                 module_path=(BUILD / "modules",), binary=BINARY, **sections):
        """certificates: names tuples the authority issues for the operator. sections: more of edge.yaml."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ringress-e2e-"))
        self.conf_d, self.log = self.folder / "conf.d", self.folder / "edge.log"
        self.yaml, self.state = self.folder / "edge.yaml", self.folder / "state"
        self.binary, self.authority, self.process = binary, authority, None
        self.conf_d.mkdir()
        first = free_ports(3 + RAW_PORTS)
        self.http_port, self.https_port, self.admin_port, self.raw_first = first, first + 1, first + 2, first + 3
        for name, text in (conf_d or {}).items():
            self.write(name, text)
        self.write_yaml({
            "workers": workers, "conf_d": "conf.d", "state": "state", "zones": ["1d.pt"],
            "module_path": [*map(str, module_path)],
            **({"modules": modules} if modules else {}),
            "listen": {"http": [f"127.0.0.1:{self.http_port}"], "https": [f"127.0.0.1:{self.https_port}"]},
            "admin": {"socket": "admin.sock", "listen": f"127.0.0.1:{self.admin_port}"},
            "raw_tcp": {"address": "127.0.0.1", "ports": f"{first + 3}-{first + 2 + RAW_PORTS}"},
            "dns": {"servers": ["127.0.0.1:9"], "trust_anchor": "none"},  # nobody is there: stories of names bring their own
            **({"tls": {"certificates": [self.certificate(names) for names in certificates]}} if certificates else {}),
            **sections})

    # ---- life ----
    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.end(failed=True)
            raise
        return self

    def __exit__(self, kind, *_):
        failed = kind is not None
        try:
            if not failed and self.process:
                self.stop()
        except BaseException:
            failed = True
            raise
        finally:
            self.end(failed)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.binary, "run", "-c", self.yaml], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**SANITIZER, **os.environ})
        eventually(self.is_up)

    def is_up(self):
        assert self.process.poll() is None, f"the edge ended with {self.process.returncode} while starting"
        return self.run("get", "tenants", "-o", "json").returncode == 0

    def stop(self):
        """In order, as an operator would."""
        self.process.send_signal(signal.SIGTERM)
        self.wait_end()

    def wait_end(self):
        code = self.process.wait(PATIENCE)
        self.process = None
        assert code == 0, f"the edge exited with {code}"
        complaint = COMPLAINT.search(self.log_text())
        assert not complaint, complaint

    def kill(self):
        """A crash: nothing is put in order."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def end(self, failed):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if failed and self.log.exists():
            print(f"---- edge.log ----\n{self.log_text()[-20000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def log_text(self):
        return self.log.read_text(errors="replace")

    def memory(self):
        """Resident bytes."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    # ---- the operator's and tenants' files ----
    def write_yaml(self, content):
        self.content = content
        self.yaml.write_text(yaml.safe_dump(content, sort_keys=False))

    def hold_nobody(self):
        """Before it starts: who harms others is not held (docs/shutoff.md). For stories that load an edge, and are about something else."""
        self.write_yaml({**self.content, "raw_tcp": {**self.content["raw_tcp"], "shutoff": {"enabled": False}}})
        return self

    def certificate(self, names):
        chain, key = self.authority.issue(*names)
        return {"cert": str(chain), "key": str(key)}

    def write(self, name, text):
        path = self.conf_d / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def drop(self, name, text):
        """A plain file copy, as an operator does it. It is live a moment later: ask with `eventually`."""
        self.write(name, text)

    def remove(self, name):
        path = self.conf_d / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    # ---- commands ----
    def run(self, *words, **options):
        return ringress(*words, "-c", self.yaml, **options)

    def get(self, what, *words):
        done = self.run("get", what, *words, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def explain(self, url):
        return self.run("explain", url)

    def raw_port(self, tenant, service=None):
        return next(p["publicPort"] for p in self.get("ports")
                    if p["tenant"] == tenant and p["publicPort"] and service in (None, p["service"]))

    def tenant(self, name):
        return next((t for t in self.get("tenants") if t["tenant"] == name), None)

    # ---- clients ----
    def connect(self, port=None):
        """Plain bytes to the http listener, or to another port."""
        sock = socket.create_connection(("127.0.0.1", port or self.http_port), timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Wire(sock)

    def connect_from(self, address):
        sock = socket.create_connection(("127.0.0.1", self.http_port), PATIENCE, (address, 0))
        return Wire(sock)

    def context(self):
        context = ssl.create_default_context(cafile=str(self.authority.ca))
        context.set_alpn_protocols(["http/1.1"])
        return context

    def connect_tls(self, name, context=None, session=None):
        sock = socket.create_connection(("127.0.0.1", self.https_port), timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Wire((context or self.context()).wrap_socket(sock, server_hostname=name, session=session))

    def connect_for(self, url):
        parts = urllib.parse.urlsplit(url)
        return self.connect_tls(parts.hostname) if parts.scheme == "https" else self.connect()

    def request(self, url, method="GET", headers=None, body=b"", host=None):
        """One request on one connection."""
        parts = urllib.parse.urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or parts.netloc}", "Connection: close"]
        lines += [f"{n}: {v}" for n, v in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with self.connect_for(url) as wire:
            wire.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            return wire.read_response(method)

    def echo(self, url, **options):
        """What an EchoPod was told."""
        answer = self.request(url, **options)
        assert answer.status == 200, (answer.start, answer.body)
        return json.loads(answer.body)

    def status(self, url, **options):
        return self.request(url, **options).status

    def curl(self, *words):
        """curl with every name resolved to this edge and the throw-away CA trusted."""
        ports = [f"::127.0.0.1:{self.https_port if any('https:' in str(w) for w in words) else self.http_port}"]
        trust = ["--cacert", self.authority.ca] if self.authority else []
        return subprocess.run(["curl", "-sS", "--max-time", "20", *trust, "--connect-to", *ports, *words],
                              capture_output=True, text=True, timeout=30)


def open_files(e):
    return len(os.listdir(f"/proc/{e.pid}/fd"))


def starved_edge(free, files, workers, **sections):
    """One that will have so many descriptors left once it serves."""
    with Edge(files, workers, **sections) as e:
        limit = open_files(e) + free
    e = Edge(files, workers, **sections)
    e.limit, e.binary = limit, e.folder / "limited"
    e.binary.write_text(f'#!/bin/sh\nulimit -n {limit}\nexec {BINARY} "$@"\n')
    e.binary.chmod(0o755)
    return e
