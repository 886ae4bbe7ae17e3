# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl in many shells at once, of two tenants, while their pods are asked: nobody loses anything and nobody sees the other's."""
import concurrent.futures
import contextlib
import json
import threading

from edge import SANITIZED, Edge
from kube import Kube, needs_kubectl, sections
from objects import DOMAINS, documents, grant, plain_ingress, pod, rule, service
from pod import EchoPod

LOOPS = 12 if SANITIZED else 30  # two processors that have fifty to start leave some of them waiting for longer than they do
ROUNDS, CLIENTS = 2, 4
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"


def names_of(tenant):
    return sorted(f"loop-{n}" for n in range(LOOPS) if n % 2 == list(DOMAINS).index(tenant))


class Clients:
    """Ask both tenants' pods until they are told to end; what was not answered by the right pod is in `bad`."""

    def __init__(self, e):
        self.e, self.ending, self.good, self.bad = e, threading.Event(), 0, []
        self.lock, self.pool = threading.Lock(), concurrent.futures.ThreadPoolExecutor(CLIENTS)

    def __enter__(self):
        self.running = [self.pool.submit(self.ask, list(DOMAINS)[n % 2]) for n in range(CLIENTS)]
        return self

    def __exit__(self, *_):
        self.ending.set()
        for client in self.running:
            client.result()
        self.pool.shutdown()

    def ask(self, tenant):
        while not self.ending.is_set():
            answer = self.e.request(f"http://web.{DOMAINS[tenant]}/")
            right = answer.status == 200 and json.loads(answer.body)["pod"] == tenant
            with self.lock:
                self.good += right
                if not right:
                    self.bad.append((tenant, answer.start, answer.body))


def shell(e, kube, n):
    """An Ingress of its own, twice: it routes when kubectl returns, and is read back as it was written."""
    name, host = f"loop-{n}", f"loop-{n}.{DOMAINS[kube.tenant]}"
    for r in range(ROUNDS):
        made = plain_ingress(rule(host, "web"), name=name)
        made["metadata"]["labels"] = {"round": str(r)}
        kube.kubectl("apply", "-f", "-", stdin=documents(made))
        assert e.echo(f"http://{host}/")["pod"] == kube.tenant
        assert kube.kubectl("get", "ingress", name, "-o", "jsonpath={.metadata.labels.round}") == str(r)


def told(kube, start):
    """What a watch hears of a tenant's loops until each has had all of its rounds."""
    heard, left = {}, LOOPS // 2 * ROUNDS
    with contextlib.closing(kube.watch(f"{INGRESSES}?watch=true&resourceVersion={start}")) as events:
        while left:
            event = next(events)
            labels = event["object"]["metadata"].get("labels", {})
            if "round" in labels:
                heard.setdefault(event["object"]["metadata"]["name"], []).append((event["type"], labels["round"]))
                left -= 1
    return heard


@needs_kubectl
def test_shells_of_two_tenants_lose_nothing_while_every_request_is_answered():
    with contextlib.ExitStack() as stack:
        pods = {t: stack.enter_context(EchoPod(t)) for t in DOMAINS}
        files = {f"{t}/all.yaml": documents(pod(p, app="web"), service("web", target=p.port), plain_ingress(rule(f"web.{DOMAINS[t]}", "web")))
                 for t, p in pods.items()}
        e = stack.enter_context(Edge({**files, **{f"{t}/tenant.yaml": documents(grant(t)) for t in pods}}, 3, **sections()).hold_nobody())
        kubes = [Kube(e, t) for t in DOMAINS]
        starts = [k.ask("GET", INGRESSES)[1]["metadata"]["resourceVersion"] for k in kubes]
        shells = stack.enter_context(concurrent.futures.ThreadPoolExecutor(LOOPS + 2))
        with Clients(e) as clients:
            watches = [shells.submit(told, k, start) for k, start in zip(kubes, starts)]
            for done in [shells.submit(shell, e, kubes[n % 2], n) for n in range(LOOPS)]:
                done.result()
        assert clients.bad == [] and clients.good > LOOPS
        for kube, watch in zip(kubes, watches):
            mine = names_of(kube.tenant)
            assert watch.result() == {name: [("ADDED", "0"), ("MODIFIED", "1")] for name in mine}
            assert kube.kubectl("get", "ingress", "-o", "name").split() == \
                [f"ingress.networking.k8s.io/{name}" for name in ["default", *mine]]
        print(f"{clients.good} requests beside {LOOPS * ROUNDS * 2} kubectl commands")
