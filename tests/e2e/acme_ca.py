# SPDX-License-Identifier: GPL-3.0-or-later
"""acme_ca.py - certificate authorities for one story: Pebble, and what it needs around it.

    with Names() as names, Pebble(edge_http, edge_https, names) as ca: ...

Names is a DNS server that says 127.0.0.1 for every name: the authority's view of the world. Everything is on loopback and ends
with the story."""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import urllib.request

from edge import PATIENCE, eventually, free_ports


class Names:
    """Answers every A question with 127.0.0.1 and everything else with nothing; TXT is asked of `primary` when there is one."""

    def __init__(self, primary=None):
        self.primary = primary
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(PATIENCE)
        self.socket.close()

    def serve(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not question:
                return
            with contextlib.suppress(OSError):  # a primary that is away answers nothing
                if len(question) > 16:
                    self.socket.sendto(self.answer(question), peer)

    def answer(self, question):
        end = 12
        while question[end]:
            end += 1 + question[end]
        end += 5
        kind = struct.unpack("!H", question[end - 4:end - 2])[0]
        if kind == 16 and self.primary:
            return self.primary.ask(question)
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + bytes([127, 0, 0, 1]) if kind == 1 else b""
        return question[:2] + b"\x85\x80" + struct.pack("!HHHH", 1, bool(record), 0, 0) + question[12:end] + record


class Primary:
    """knot with one zone that takes DNS UPDATE under a key: `key_file` has it, as acme.dns_update wants it."""

    def __init__(self, zone):
        self.folder, self.zone = pathlib.Path(tempfile.mkdtemp(prefix="primary-")), zone
        self.port, secret = free_ports(1), base64.b64encode(os.urandom(32)).decode()
        self.key_file = self.folder / "tsig.key"
        self.key_file.write_text(f"hmac-sha256:acme-key:{secret}\n")
        (self.folder / f"{zone}.zone").write_text(
            f"@ 60 SOA ns.invalid. admin.invalid. 1 60 60 60 60\n@ 60 NS ns.invalid.\n* 60 A 127.0.0.1\n")
        (self.folder / "knot.conf").write_text(
            f"server:\n  listen: 127.0.0.1@{self.port}\n  rundir: {self.folder}\n"
            "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
            f"database:\n  storage: {self.folder}\n  journal-db-max-size: 16M\n  kasp-db-max-size: 16M\n"
            "  timer-db-max-size: 16M\n  catalog-db-max-size: 16M\n"
            f"control:\n  listen: knot.sock\nlog:\n  - target: stderr\n    any: warning\n"
            f"key:\n  - id: acme-key\n    algorithm: hmac-sha256\n    secret: {secret}\n"
            "acl:\n  - id: acme\n    key: acme-key\n    action: update\n"
            f"zone:\n  - domain: {zone}\n    file: {self.folder}/{zone}.zone\n    acl: acme\n    zonefile-sync: -1\n"
            "    zonefile-load: difference-no-serial\n    journal-content: all\n")
        self.process = None

    @property
    def section(self):
        return {"zone": self.zone, "server": f"127.0.0.1:{self.port}", "key_file": str(self.key_file)}

    def __enter__(self):
        self.start()
        return self

    def start(self):
        with open(self.folder / "knot.log", "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/knotd", "-c", self.folder / "knot.conf"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        eventually(lambda: self.texts("_acme-challenge." + self.zone) is not None)

    def stop(self):
        """What was changed stands in the zone's file, so that it still is there after a start."""
        if self.process:
            subprocess.run(["/usr/sbin/knotc", "-s", self.folder / "knot.sock", "-b", "-f", "zone-flush", self.zone],
                           capture_output=True, timeout=PATIENCE)
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def __exit__(self, kind, *_):
        self.stop()
        if kind:
            print((self.folder / "knot.log").read_text()[-4000:])
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, question):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.sendto(question, ("127.0.0.1", self.port))
            return s.recv(4096)

    def texts(self, name):
        """How many TXT there are; None: no answer."""
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        try:
            answer = self.ask(struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 16, 1))
        except OSError:
            return None
        return struct.unpack("!H", answer[6:8])[0] if answer[3] & 15 in (0, 3) else None


class Pebble:
    """Let's Encrypt's test server. options: more of its configuration; environment as its README has it."""

    def __init__(self, http_port, https_port, names, authority, strict=True, environment=None, **options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pebble-"))
        self.port, self.management = free_ports(2), None
        self.management = self.port + 1
        chain, key = authority.issue("localhost")
        self.authority, self.names, self.strict = authority, names, strict
        self.environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5", **(environment or {})}
        conf = {"listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
                "certificate": str(chain), "privateKey": str(key), "httpPort": http_port, "tlsPort": https_port,
                "ocspResponderURL": "", "externalAccountBindingRequired": False, **options}
        (self.folder / "conf.json").write_text(json.dumps({"pebble": conf}))
        self.process = None

    @property
    def directory(self):
        return f"https://localhost:{self.port}/dir"

    @property
    def log(self):
        return self.folder / "pebble.log"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if kind:
            print(f"---- pebble.log ----\n{self.log.read_text()[-8000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["pebble", "-config", self.folder / "conf.json", "-dnsserver", f"127.0.0.1:{self.names.port}",
                 *(["-strict"] if self.strict else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.environment})
        eventually(self.is_up)

    def is_up(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            self.fetch(self.directory)
        except OSError:
            return False
        return True

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def fetch(self, url):
        context = ssl.create_default_context(cafile=str(self.authority.ca))
        with urllib.request.urlopen(url, context=context, timeout=PATIENCE) as answer:
            return answer.read()

    def root(self):
        """The PEM that what it issues leads to."""
        return self.fetch(f"https://localhost:{self.management}/roots/0").decode()

    def issued(self):
        """How many certificates."""
        return self.log.read_text().count("Issued certificate serial")
