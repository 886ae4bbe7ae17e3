#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl.py - the kubectl lines of the project's seed document, one after the other, and what came of each.

    tests/seed/kubectl.py         builds nothing: RINGRESS_BUILD names the build, default build/release

The client is the installed kubectl, the edge is one of its own, and so is the DNS of example.com. Nobody runs images here: servers on
loopback are what would. `kubectl edit` opens an editor that writes what the seed shows to what is there. Exit 0: every outcome is the
seed's; 1: one is not; 77: this machine can't, and why."""
import contextlib
import json
import os
import pathlib
import re
import ssl
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from conftest import Authority  # noqa: E402
from edge import Edge, eventually  # noqa: E402
from kube import KUBECTL, MINOR, Kube, sections  # noqa: E402
from names import Knot  # noqa: E402
from objects import documents, grant  # noqa: E402
from pod import EchoPod, TcpEchoPod  # noqa: E402
from seed import ACME, line, outcome, verdict  # noqa: E402

LINES = ["kubectl describe ingress default", "kubectl apply -f example.yaml", "kubectl edit ingress default  # echo.123123.1d.pt",
         "kubectl edit ingress default  # web.example.com", "kubectl edit ingress default  # *.example.com", "kubectl get svc"]
EXAMPLE = r"""---
apiVersion: v1
kind: Image
metadata:
  name: hashicorp-http-echo
spec:
  ref: hashicorp/http-echo
---
apiVersion: v1
kind: Pod
metadata:
  name: echo1
  labels:
    app:  echo
    text: hello
spec:
  containers:
  - name:   echo
    image:  hashicorp-http-echo
    args: ["-text=\"hello from pod1\""]
---
apiVersion: v1
kind: Service
metadata:
  name: echo
spec:
  selector:
    app: echo
  ports:
    - protocol:   TCP
      port:       80
      targetPort: 5678
---
"""
SPEC = """
  tls:
    - hosts:
      - "{bound}"
  rules:
  - host: {host}
    http:
      paths:
      - pathType: Prefix
        path: "/"
        backend:
          service:
            name: echo
            port:
              number: 80
"""
ECHO = SPEC.format(bound=f"echo.{ACME}", host=f"echo.{ACME}")
WEB = """
  tls:
    - hosts:
      - web.example.com
"""
WILDCARD = SPEC.format(bound="*.example.com", host="echo.example.com")
EDITOR = """#!/usr/bin/python3
import os, sys, yaml
with open(sys.argv[1]) as file:
    ingress = yaml.safe_load(file)
for key, more in yaml.safe_load(os.environ["SEED_SPEC"]).items():
    ingress["spec"][key] = ingress["spec"].get(key, []) + more
with open(sys.argv[1], "w") as file:
    yaml.safe_dump(ingress, file)
"""
ZONE, COMPOSE = ["www A 192.0.2.1"], "acme/compose.yaml"


class Seed:
    """One tenant with the seed's domain, what its containers would be, and a shell to type in."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.files, self.database = (stack.enter_context(p) for p in (EchoPod("bountiful_paper", port=80), TcpEchoPod("mariadb", port=3306)))
        self.echo = stack.enter_context(EchoPod("echo1"))
        self.dns = stack.enter_context(Knot({"1d.pt": ["* A 203.0.113.7"], "example.com": ZONE}))
        self.edge = stack.enter_context(Edge(
            {"acme/tenant.yaml": documents(grant("acme", ACME)), COMPOSE: self.labels("bountiful_paper", 80, "https://files.*", self.files)},
            authority=Authority(folder), certificates=[(ACME, f"*.{ACME}"), ("*.example.com",)], **sections(), **self.dns.edge(recheck="2s")))
        self.kube = Kube(self.edge, "acme")
        (folder / "editor").write_text(EDITOR)
        (folder / "editor").chmod(0o755)
        (folder / "example.yaml").write_text(EXAMPLE)

    @staticmethod
    def labels(name, port, value, pod):
        return (f"services:\n  {name}:\n    labels: {{kr.ingress.{port}: '{value}'}}\n"
                f"    networks: {{n: {{ipv4_address: {pod.address}}}}}\n")

    def type(self, *words, **environment):
        """What kubectl said, which is shown."""
        done = self.kube.run(*words, **environment)
        for row in (done.stdout + done.stderr).splitlines():
            print(f"  | {row}")
        outcome(done.returncode == 0, f"kubectl ends with {done.returncode}")
        return done.stdout

    def says(self, text, *patterns):
        for pattern in patterns:
            found = re.search(pattern, text, re.M)
            outcome(found, f"it says {found[0].strip() if found else pattern!r}")

    def edits(self, spec):
        text = self.type("edit", "ingress", "default", EDITOR=str(self.folder / "editor"), SEED_SPEC=spec)
        self.says(text, "^ingress.networking.k8s.io/default edited$")

    def serves(self, url, by):
        outcome(eventually(lambda: self.pod_of(url)) == by, f"{url} is answered by {by}")

    def pod_of(self, url):
        """None: nobody answers, or nobody may for that name yet."""
        with contextlib.suppress(ssl.SSLError):
            answer = self.edge.request(url)
            return json.loads(answer.body)["pod"] if answer.status == 200 else None


def discovering_your_ingress(s):
    line("kubectl describe ingress default", "a compose file's label is what made its route, and the address of its container is known")
    eventually(lambda: s.edge.request(f"https://files.{ACME}/").status == 200)
    labels = ["^Labels: +<none>$"] if MINOR > 20 else []  # which older ones do not tell
    s.says(s.type("describe", "ingress", "default"), "^Name: +default$", *labels, "^Namespace: +default$", rf"^Address: +{ACME}$",
           rf"^  SNI routes \*\.{ACME}$", "^  Host +Path +Backends *$",
           rf"^  files\.{ACME} *\n +/ +bountiful_paper:80 \({s.files.address}:80\)$", "^Events: +<none>$")
    s.serves(f"https://files.{ACME}/", "bountiful_paper")


def routing_your_first_service(s):
    line("kubectl apply -f example.yaml")
    s.says(s.type("apply", "-f", str(s.folder / "example.yaml")), "^image/hashicorp-http-echo created$", "^pod/echo1 created$",
           "^service/echo created$")
    status = {"status": {"podIP": s.echo.address, "conditions": [{"type": "Ready", "status": "True"}]}}  # a kubelet's part
    s.kube.ask("PATCH", "/api/v1/namespaces/default/pods/echo1/status", status, Content_Type="application/merge-patch+json")
    line("kubectl edit ingress default", "an editor that adds the tls entry and the rule of the seed's ingress.yaml")
    s.edits(ECHO)
    s.serves(f"https://echo.{ACME}/", "echo1")
    s.says(s.kube.kubectl("describe", "ingress", "default"), rf"^  echo\.{ACME} *\n +/ +echo:80 \({s.echo.address}:5678\)$")


def state_of(s, name):
    return next((d["state"] for d in s.edge.get("domains") if d["domain"] == name), None)


def using_your_own_custom_domain(s):
    line("kubectl edit ingress default", "the same editor, with web.example.com")
    s.edits(WEB)
    line("then add a CNAME record", "first without it: what describe says of the name that waits")
    waits = rf"HostPending.*web\.example\.com.*CNAME.*{ACME}"
    s.says(eventually(lambda: (t := s.kube.kubectl("describe", "ingress", "default")) and re.search(waits, t) and t), waits)
    s.dns.set("example.com", [*ZONE, f"web CNAME {ACME}."])
    eventually(lambda: state_of(s, "web.example.com") == "verified")
    outcome(True, "web.example.com is verified soon after the CNAME is there")


def using_a_custom_wildcard_domain(s):
    line("kubectl edit ingress default", "the same editor, with *.example.com and a rule; YAML wants that name in quotes")
    s.dns.set("example.com", [*ZONE, f"web CNAME {ACME}.", f"* CNAME {ACME}."])
    s.edits(WILDCARD)
    eventually(lambda: state_of(s, "*.example.com") == "verified")
    s.serves("https://echo.example.com/", "echo1")


def raw_tcp_ingress(s):
    line("kubectl get svc", "the label kr.ingress.3306=tcp:// stands in a compose file; docker.py types the docker line")
    s.edge.drop(COMPOSE, s.labels("blithesome_paper", 3306, "tcp://", s.database))
    number = eventually(lambda: [r["publicPort"] for r in s.edge.get("ports") if r["publicPort"]])[0]
    s.says(s.type("get", "svc"), rf"^blithesome_paper +NodePort .* 3306:{number}/TCP ")
    with s.edge.connect(number) as wire:
        wire.send(b"hello\n")
        wire.finish_writing()
        outcome(wire.rest() == b"hello\n", f"and port {number} leads to it")


def reason_not_to():
    if not KUBECTL:
        return "no kubectl is installed (apt: kubernetes-client)"
    if os.geteuid():
        return "not root: the seed's container listens on port 80"
    return None


def main():
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        s = Seed(pathlib.Path(folder), stack)
        discovering_your_ingress(s)
        routing_your_first_service(s)
        using_your_own_custom_domain(s)
        using_a_custom_wildcard_domain(s)
        raw_tcp_ingress(s)
    return verdict()


if __name__ == "__main__":
    if reason := reason_not_to():
        for command in LINES:
            line(command, f"not typed: {reason}")
        sys.exit(77)
    sys.exit(main())
