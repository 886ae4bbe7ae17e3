# SPDX-License-Identifier: GPL-3.0-or-later
"""acme_ca.py - certificate authorities for one story: Pebble, and what it needs around it.

    with Names() as names, Pebble(edge_http, edge_https, names) as ca: ...

Names is a DNS server that says 127.0.0.1 for every name: the authority's view of the world. Everything is on loopback and ends
with the story."""
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
    """Answers every A question with 127.0.0.1 and everything else with nothing."""

    def __init__(self):
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
            if len(question) > 16:
                self.socket.sendto(self.answer(question), peer)

    @staticmethod
    def answer(question):
        end = 12
        while question[end]:
            end += 1 + question[end]
        end += 5
        kind = struct.unpack("!H", question[end - 4:end - 2])[0]
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + bytes([127, 0, 0, 1]) if kind == 1 else b""
        return question[:2] + b"\x85\x80" + struct.pack("!HHHH", 1, bool(record), 0, 0) + question[12:end] + record


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
