# SPDX-License-Identifier: GPL-3.0-or-later
"""engine.py - a Docker engine that runs nothing: containers a story makes up, in Docker's shapes, on a Unix socket.

    with Engine(folder / "docker.sock") as d:
        d.start("web-1", labels={"kr.ingress.5678": "https://web.*"}, networks={"acme-net": "10.11.0.2"})
        d.stop("web-1")

`answer` may be set to (status, bytes) or to a function of the path, for what no engine says. Every request is in `asked`."""
import contextlib
import hashlib
import http.server
import json
import os
import queue
import socketserver
import threading
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "client"

    def reply(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Api-Version", "1.45")
        self.send_header("Ostype", "linux")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        engine = self.server.engine
        path, _, query = self.path.partition("?")
        engine.asked.append((self.command, self.path))
        path = "/" + "/".join(s for s in path.split("/") if s and not (s[0] == "v" and s[1:2].isdigit()))
        odd = engine.answer(path) if callable(engine.answer) else engine.answer
        if odd:
            self.reply(*odd)
        elif path == "/_ping":
            self.reply(200, b"OK", "text/plain")
        elif path == "/events":
            self.events(engine)
        elif path == "/containers/json":
            with engine.lock:
                limit = int(urllib.parse.parse_qs(query).get("limit", ["0"])[0])
                rows = [c.row() for c in engine.containers.values() if c.status != "exited" or "all=1" in query or limit]
                rows = rows[-limit:] if limit else rows
            self.reply(200, json.dumps(rows).encode())
        elif path == "/services":
            self.reply(200, json.dumps(list(engine.services.values())).encode())
        elif path.startswith("/services/"):
            found = engine.services.get(path.split("/")[2])
            self.reply(200 if found else 404, json.dumps(found or {"message": "service not found"}).encode())
        elif path.startswith("/containers/") and path.endswith("/json"):
            with engine.lock:
                found = engine.find(urllib.parse.unquote(path.split("/")[2]))
                text = json.dumps(found.inspect()).encode() if found else None
            self.reply(200 if found else 404, text or b'{"message":"No such container"}')
        else:
            self.reply(200, json.dumps({"path": path}).encode())

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.engine.asked.append((self.command, self.path))
        self.reply(201, json.dumps({"Id": "made", "said": body.decode()}).encode())

    do_DELETE = do_PUT = do_POST

    def events(self, engine):
        mine = queue.SimpleQueue()
        if engine.late_events:
            time.sleep(engine.late_events)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        with engine.lock:
            engine.listeners.append(mine)
        with contextlib.suppress(OSError):
            while (line := mine.get()) is not None:
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
        self.close_connection = True


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self):
        sock, _ = super().get_request()
        self.engine.sockets.append(sock)
        return sock, ("client", 0)

    def handle_error(self, *_):
        pass


class Container:
    def __init__(self, name, labels, networks, health, mode, status="running"):
        self.id = hashlib.sha256(f"{name}{time.monotonic_ns()}".encode()).hexdigest()
        self.name, self.labels, self.networks = name, labels, networks
        self.health, self.mode, self.status = health, mode, status

    def settings(self):
        return {name: {"IPAMConfig": None, "NetworkID": "n" + name, "IPAddress": address, "IPPrefixLen": 16, "GlobalIPv6Address": ""}
                for name, address in self.networks.items()}

    def row(self):
        health = {"starting": " (health: starting)"}.get(self.health, f" ({self.health})") if self.health else ""
        return {"Id": self.id, "Names": ["/" + self.name], "Image": "local/app:1", "ImageID": "sha256:" + self.id,
                "Command": "/app", "Created": 1700000000, "Labels": self.labels, "State": self.status,
                "Status": f"Up {int(time.monotonic()) % 60} seconds{health}", "Mounts": [],
                "Ports": [{"PrivatePort": 3306, "Type": "tcp"}] if "kr.ingress.3306" in self.labels else [],
                "HostConfig": {"NetworkMode": self.mode}, "NetworkSettings": {"Networks": self.settings()}}

    def inspect(self):
        state = {"Status": self.status, "Running": self.status != "exited", "Paused": self.status == "paused", "Pid": 1,
                 "StartedAt": "2023-11-15T00:13:21.25+02:00"}
        if self.health:
            state["Health"] = {"Status": self.health, "FailingStreak": 0, "Log": []}
        return {"Id": self.id, "Name": "/" + self.name, "State": state, "HostConfig": {"NetworkMode": self.mode},
                "Created": "2023-11-14T22:13:20.5Z", "RestartCount": 3, "Image": "sha256:" + self.id,
                "Config": {"Labels": self.labels, "Env": ["SECRET=1"], "Image": "local/app:1"},
                "NetworkSettings": {"Ports": {}, "Networks": self.settings()}}


class Engine:
    def __init__(self, path):
        self.services = {}
        self.path, self.containers, self.listeners, self.asked, self.sockets = str(path), {}, [], [], []
        self.lock, self.answer, self.late_events, self.server = threading.RLock(), None, 0, None
        self.up()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    def up(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.server = Server(self.path, Handler)
        self.server.engine = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self):
        """Gone, with every connection; containers run on."""
        if not self.server:
            return
        self.server.shutdown()
        self.server.server_close()
        self.hang_up()
        os.unlink(self.path)
        self.server = None

    def hang_up(self):
        with self.lock:
            listeners, self.listeners = self.listeners, []
            sockets, self.sockets = self.sockets, []
        for mine in listeners:
            mine.put(None)
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(2)

    def find(self, which):
        return next((c for c in self.containers.values() if which in (c.id, c.name)), None)

    def say(self, line):
        with self.lock:
            for mine in self.listeners:
                mine.put(line)

    def event(self, container, action, silent=False):
        if not silent:
            self.say(json.dumps({"status": action, "id": container.id, "Type": "container", "Action": action, "scope": "local",
                                 "Actor": {"ID": container.id, "Attributes": {"name": container.name, **container.labels}},
                                 "time": 1700000000}).encode() + b"\n")

    # ---- what a user would type ----
    def start(self, name, labels=None, networks=None, health=None, mode="bridge", silent=False):
        made = Container(name, labels or {}, networks or {}, health, mode)
        with self.lock:
            self.containers[name] = made
        self.event(made, "start", silent)
        return made

    def stop(self, name, silent=False):
        with self.lock:
            gone = self.containers.pop(name)
        self.event(gone, "die", silent)

    def move(self, name, networks):
        """Off the networks it is on, then on these."""
        with self.lock:
            c = self.containers[name]
            was, c.networks = c.networks, networks
        for action, names in (("disconnect", was), ("connect", networks)):
            for network in names:
                self.say(json.dumps({"Type": "network", "Action": action, "scope": "local", "time": 1700000000,
                                     "Actor": {"ID": "n" + network, "Attributes": {"container": c.id, "name": network}}}).encode() + b"\n")

    def service(self, id_, name, labels, action="update"):
        """Of a swarm, with these labels from now on; its tasks are containers that start() has made."""
        self.services[id_] = {"ID": id_, "Spec": {"Name": name, "Labels": labels, "TaskTemplate": {"ContainerSpec": {"Image": "local/app:1"}}}}
        self.say(json.dumps({"Type": "service", "Action": action, "scope": "swarm", "time": 1700000000,
                             "Actor": {"ID": id_, "Attributes": {"name": name}}}).encode() + b"\n")

    def change(self, name, action, **fields):
        """Any other event: health_status, pause, …"""
        with self.lock:
            vars(self.containers[name]).update(fields)
        self.event(self.containers[name], action)
