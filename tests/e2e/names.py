# SPDX-License-Identifier: GPL-3.0-or-later
"""names.py - real DNS for a story: knot as the authoritative server, on loopback, with ports and a folder of its own.

    with Knot({"example.com": ["shop CNAME acme.1d.pt."]}) as dns, Edge({...}, **dns.edge()) as e:
        dns.set("example.com", ["shop A 127.0.0.1"])

Between the edge and knot stands a counter: it passes questions on by UDP and TCP, remembers what was asked, and can be told to
answer SERVFAIL or nothing instead. Zones named in `signed` are signed by knot; `anchor` writes the file of their keys."""
import contextlib
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from edge import PATIENCE, eventually, free_ports

KNOTD, KNOTC, KEYMGR = "/usr/sbin/knotd", "/usr/sbin/knotc", "/usr/sbin/keymgr"
SOA = "@ 60 SOA ns.invalid. admin.invalid. {serial} 60 60 60 60\n@ 60 NS ns.invalid.\n"


def question_of(packet):
    """(name, type) of a query."""
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
        at += 1 + packet[at]
    return ".".join(labels), int.from_bytes(packet[at + 1:at + 3], "big")


def received(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


class Counter:
    """mode: "pass", "servfail" or "silence"."""

    def __init__(self, port, server_port):
        self.server, self.mode, self.asked, self.ending = ("127.0.0.1", server_port), "pass", [], False
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", port))
        self.tcp = socket.create_server(("127.0.0.1", port), backlog=128)
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.serve_udp, self.serve_tcp)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.ending = True
        with contextlib.suppress(OSError):
            self.tcp.shutdown(socket.SHUT_RDWR)
        self.udp.close()
        self.tcp.close()

    def answer(self, question, ask):
        self.asked.append(question_of(question))
        if self.mode == "servfail":
            return question[:2] + b"\x81\x82" + question[4:6] + b"\0\0\0\0\0\0" + question[12:]
        return ask(question) if self.mode == "pass" else None

    def ask_udp(self, question):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.connect(self.server)
            with contextlib.suppress(OSError):
                s.send(question)
                return s.recv(65535)

    def ask_tcp(self, question):
        with contextlib.suppress(OSError), socket.create_connection(self.server, 2) as s:
            s.sendall(len(question).to_bytes(2, "big") + question)
            return received(s, int.from_bytes(received(s, 2), "big"))

    def reply_udp(self, question, to):
        answer = self.answer(question, self.ask_udp)
        with contextlib.suppress(OSError):
            if answer:
                self.udp.sendto(answer, to)

    def serve_udp(self):
        while not self.ending:
            try:
                question, to = self.udp.recvfrom(65535)
            except OSError:
                return
            threading.Thread(target=self.reply_udp, args=(question, to), daemon=True).start()

    def serve_connection(self, sock):
        with sock, contextlib.suppress(OSError):
            while True:
                question = received(sock, int.from_bytes(received(sock, 2), "big"))
                answer = self.answer(question, self.ask_tcp)
                if not answer:
                    return
                sock.sendall(len(answer).to_bytes(2, "big") + answer)

    def serve_tcp(self):
        while not self.ending:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_connection, args=(sock,), daemon=True).start()


class Knot:
    def __init__(self, zones=None, signed=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ringress-knot-"))
        self.server_port, self.port = free_ports(2), None
        self.port = self.server_port + 1
        self.zones, self.signed, self.serial, self.process = dict(zones or {}), set(signed), 0, None

    def __enter__(self):
        try:
            for zone in self.zones:
                self.write(zone)
            self.write_conf()
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def start(self):
        with open(self.folder / "knot.log", "ab") as log:
            self.process = subprocess.Popen([KNOTD, "-c", self.conf], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.counter = Counter(self.port, self.server_port)
        eventually(self.is_up)

    def is_up(self):
        assert self.process.poll() is None, (self.folder / "knot.log").read_text()
        return all(self.ask(zone, "SOA") for zone in self.zones)

    def end(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.counter.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- zones ----
    @property
    def conf(self):
        return self.folder / "knot.conf"

    def write(self, zone):
        self.serial += 1
        lines = "".join(f"{r.split(' ', 1)[0]} 60 {r.split(' ', 1)[1]}\n" for r in self.zones[zone])
        (self.folder / f"{zone}.zone").write_text(f"$ORIGIN {zone}.\n{SOA.format(serial=self.serial)}{lines}")

    def write_conf(self):
        zones = "".join(f"  - domain: {z}\n    file: {self.folder}/{z}.zone\n    zonefile-load: difference-no-serial\n"
                        "    zonefile-sync: -1\n    journal-content: all\n"
                        f"{'    dnssec-signing: on' if z in self.signed else ''}\n" for z in self.zones)
        self.conf.write_text(
            f"server:\n  listen: 127.0.0.1@{self.server_port}\n  rundir: {self.folder}\n"
            "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
            f"database:\n  storage: {self.folder}\n  journal-db-max-size: 16M\n  kasp-db-max-size: 16M\n"
            "  timer-db-max-size: 16M\n  catalog-db-max-size: 16M\n"
            f"control:\n  listen: knot.sock\nlog:\n  - target: stderr\n    any: warning\nzone:\n{zones}")

    def set(self, zone, records):
        """These are the zone's records from now on; answers after this have them."""
        self.zones[zone] = records
        self.write(zone)
        done = subprocess.run([KNOTC, "-s", self.folder / "knot.sock", "-b", "zone-reload", zone],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr

    def ask(self, name, kind):
        return subprocess.run(["kdig", "@127.0.0.1", "-p", str(self.server_port), "+short", "+time=1", "+retry=0",
                               name, kind], capture_output=True, text=True).stdout

    # ---- DNSSEC ----
    def anchor(self, *zones, forged=False):
        """A file of the DS records of these zones; `forged`: of keys that never signed anything."""
        path, lines = self.folder / f"anchor{len(list(self.folder.glob('anchor*')))}", []
        for zone in zones:
            done = subprocess.run([KEYMGR, "-c", self.conf, zone, "ds"], capture_output=True, text=True)
            assert done.returncode == 0 and done.stdout, done.stderr
            lines += [line for line in done.stdout.splitlines() if " 13 2 " in line]
        if forged:
            lines = [line[:-8] + ("00000000" if line[-8:] != "0" * 8 else "1" * 8) for line in lines]
        path.write_text("\n".join(lines) + "\n")
        return path

    # ---- the edge's side ----
    def edge(self, anchor="none", recheck="1h", counted=True):
        """Sections of edge.yaml; not `counted`: past the counter, at knot's own speed."""
        port = self.port if counted else self.server_port
        return {"dns": {"servers": [f"127.0.0.1:{port}"], "trust_anchor": str(anchor), "recheck": recheck}}

    def asked(self, name):
        """How often anything was asked of this name."""
        return sum(q[0] == name for q in self.counter.asked)
