# SPDX-License-Identifier: GPL-3.0-or-later
"""kube.py - the edge's Kubernetes API, asked by the real kubectl and by plain requests.

    kube = Kube(e, "acme")
    kube.kubectl("get", "ingress").stdout
    kube.ask("GET", "/api/v1/namespaces/default/pods")    -> (status, JSON)"""
import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess

import pytest
import yaml

from edge import PATIENCE, ROOT, eventually, free_ports

DEBIANS = str(ROOT / "build/kubernetes-client/usr/bin/kubectl")  # which ./dev setup puts there; on Debian 12 it is 1.20
KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl") or shutil.which(DEBIANS)
MINOR = int(re.match(r"\d+", json.loads(subprocess.run([KUBECTL, "version", "--client", "-o", "json"], capture_output=True, check=True,
                                                        timeout=PATIENCE).stdout)["clientVersion"]["minor"])[0]) if KUBECTL else 0
needs_kubectl = pytest.mark.skipif(not KUBECTL, reason="no kubectl is installed (./dev setup, or apt: kubernetes-client)")
needs_new_kubectl = pytest.mark.skipif(MINOR < 27, reason=f"this story needs kubectl 1.27 or newer, here is 1.{MINOR}")
MODULES = ["sni", "http", "tcp", "kube"]
ALL = {"networking.k8s.io": ["ingresses", "ingressclasses"], "discovery.k8s.io": ["endpointslices"],
       "authentication.k8s.io": ["selfsubjectreviews"], "authorization.k8s.io": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
       "": ["configmaps", "endpoints", "events", "images", "namespaces", "pods", "secrets", "services"]}


def sections(**more):
    """What an edge with this API has in its edge.yaml."""
    return {"modules": MODULES, "kube": {"listen": f"127.0.0.1:{free_ports(1)}", **more}}


def base(group):
    return f"/apis/{group}/v1" if group else "/api/v1"


class Kube:
    def __init__(self, edge, tenant, *words):
        done = edge.run("kubeconfig", tenant, *words)
        assert done.returncode == 0, done.stderr
        self.edge, self.tenant, self.config = edge, tenant, yaml.safe_load(done.stdout)
        self.patience = PATIENCE  # seconds that a kubectl may take
        self.home = pathlib.Path(edge.folder) / f"home-{tenant}-{id(self)}"
        self.home.mkdir()
        (self.home / "config").write_text(done.stdout)
        cluster = self.config["clusters"][0]["cluster"]
        self.host, self.port = cluster["server"].removeprefix("https://").split(":")
        self.token = self.config["users"][0]["user"]["token"]
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())

    @property
    def token_id(self):
        return self.token.split(".")[1]

    # ---- kubectl ----
    @property
    def environment(self):
        return {**os.environ, "KUBECONFIG": str(self.home / "config"), "HOME": str(self.home)}

    def run(self, *words, stdin=None, **environment):
        return subprocess.run([KUBECTL, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=self.patience,
                              env={**self.environment, **environment})

    def kubectl(self, *words, **options):
        """What it printed; it must have succeeded."""
        done = self.run(*words, **options)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
        return done.stdout

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def begin(self, *words):
        """Goes on until it is ended."""
        return subprocess.Popen([KUBECTL, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=self.environment)

    # ---- plain requests ----
    def connect(self):
        return http.client.HTTPSConnection(self.host, int(self.port), timeout=PATIENCE, context=self.context)

    def headers(self, **more):
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json",
                **{k.replace("_", "-"): v for k, v in more.items()}}

    def ask(self, method, path, body=None, connection=None, **headers):
        c = connection or self.connect()
        c.request(method, path, json.dumps(body) if isinstance(body, (dict, list)) else body, self.headers(**headers))
        answer = c.getresponse()
        text = answer.read()
        if not connection:
            c.close()
        return answer.status, json.loads(text) if text.startswith((b"{", b"[")) else text

    def watch(self, path):
        """Events of a watch, one after another, as long as it goes on. Told to come again, as time is what a tenant pays with, it does."""
        c = self.connect()

        def answered():
            c.request("GET", path, headers=self.headers())
            answer = c.getresponse()
            if answer.status != 429:
                return answer
            answer.read()
            return None
        answer = eventually(answered, every=0.1)
        assert answer.status == 200, answer.read()
        while True:
            line = answer.readline()
            if not line:
                return
            yield json.loads(line)
