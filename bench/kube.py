# SPDX-License-Identifier: GPL-3.0-or-later
"""kube.py - what kubectl costs: how long one waits for it, what the objects of many tenants take, and what requests of the data path notice.

    10,000 tenants x 10 objects, a token for each
      memory:  nobody asked -> lists of every tenant's ingresses, one after the other -> all of it asked -> at rest again
      wait:    those lists; an Ingress written -> the first good answer through it
      beside:  customers of twenty tenants at a steady rate, by turns alone, beside fifty loops of what kubectl asks of this edge, and beside
               the same loops, asking another edge: a process of its own on the same CPU, as much work in the same bursts. CPU 1 is never
               idle meanwhile; `still` is alone where it may be

The edge has CPU 0, all of its threads; customers, their pod and those who ask the API share CPU 1, in this order, and in `beside` the API's threads do, too.
Counted is the worker's CPU, the share of those is told. A load that takes all it can (wrk) would leave the fifty nothing, and kubectl itself takes so much
to start that fifty on one processor ask next to nothing: askers.py asks what it would, as often as fifty with a processor each could."""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import sqlite3
import ssl
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

import numpy

import measure
from awake import awake
from measure import LOAD_CPU, PROXY_CPU, pinned, placed, rss_kib, session_nice
from proxies import Ringress
from victims import PRIORITY_PLAIN, PRIORITY_POD, RECORD, TENANTS, WAIT_MS, Child, at_priority, p50_ms, p99_ms

LOOPS, FRESH_ROUTES, OBJECTS, SETTLE_S, REST_S, NICE = 50, 25, 10, 12, 40, -15
BESIDE = ('still', 'alone', 'asking', 'elsewhere')
CUSTOMERS, KUBECTL_MS = 2000, 160  # requests a second; what `kubectl version --client` takes by itself
HERE = pathlib.Path(__file__).resolve().parent
INGRESSES = '/apis/networking.k8s.io/v1/namespaces/default/ingresses'
TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
KUBE = 'modules: [sni, http, tcp, kube]\nkube: {{listen: "127.0.0.1:{port}"}}\n'
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {{name: {app}-{i}, labels: {{app: {app}, version: "1.27.3"}}}}
spec: {{containers: [{{name: main, image: "registry.example.com/team/{app}:1.27.3", ports: [{{containerPort: {port}}}]}}]}}
status: {{podIP: 127.0.0.1, conditions: [{{type: Ready, status: "True"}}]}}
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {{name: {app}}}
spec: {{selector: {{app: {app}}}, ports: [{{name: http, port: 80, targetPort: {port}}}]}}
"""
INGRESS = """\
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, annotations: {{ringress/ssl-redirect: "false"}}}}
spec:
  rules:
    - host: {host}
      http: {{paths: [{{pathType: Prefix, path: /, backend: {{service: {{name: {app}, port: {{number: 80}}}}}}}}]}}
"""
GRANT = """\
apiVersion: ringress/v1
kind: Tenant
metadata: {{name: {name}}}
spec: {{domain: {domain}, network: {{allow: [127.0.0.1/32]}}}}
"""
REST = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {LOG_LEVEL: info, REGION: eu-west, FEATURES: "search,export,webhooks"}
---
apiVersion: v1
kind: Secret
metadata: {name: api}
stringData: {token: "0123456789abcdef0123456789abcdef0123456789abcdef"}
"""


class Serving(Ringress):
    """The API on base +5. Tenants come with `populate`, so that what they add can be seen. All in one session: where the kernel shares by session,
    what each thread is allowed beside those of the other edge is by its own nice."""
    own_session = False
    api = property(lambda self: self.base + 5)
    count = 0

    def edge_yaml(self):
        return super().edge_yaml() + KUBE.format(port=self.api)

    def objects(self, i):
        """Ten, and the grant, which is none."""
        domain, port = f't{i}.example.com', self.backend
        return (GRANT.format(name=f't{i}', domain=domain)
                + ''.join(POD.format(app=app, i=k, port=port) for app, k in (('web', 0), ('web', 1), ('api', 0)))
                + ''.join(SERVICE.format(app=app, port=port) for app in ('web', 'api'))
                + ''.join(INGRESS.format(name=n, host=h, app=a) for n, h, a in
                          (('default', domain, 'web'), ('shop', f'shop.{domain}', 'web'), ('api', f'api.{domain}', 'api'))) + REST)

    def populate(self, count):
        """A tenant has a UID once the edge has seen it, and then a token can be its."""
        self.stop()
        for i in range(count):
            (self.folder / f'conf.d/t{i}.yaml').write_text(self.objects(i))
        self.again()
        self.stop()
        self.count = count
        self.write_tokens()
        self.again()

    def again(self):
        self.launch()
        self.wait_ready()
        self.metrics('/readyz')  # its ports take connections before there is anybody to serve them

    def write_tokens(self):
        """As `ringress kubeconfig` leaves them; ten thousand of those would take minutes."""
        now = int(time.time())
        with contextlib.closing(sqlite3.connect(self.folder / 'state/ringress.db')) as db, db:
            uid = {key: json.loads(value)['uid'] for key, value in db.execute("SELECT key, value FROM row WHERE key LIKE 'tenant/%'")}
            for i in range(self.count):
                digest = hashlib.sha256(self.token(i).rpartition('.')[2].encode()).hexdigest()
                row = {'sha256': digest, 'tenant': f't{i}', 'uid': uid[f'tenant/t{i}'], 'created': now, 'expires': now + 86400}
                db.execute('INSERT INTO row (key, value, revision) VALUES (?, ?, 1)', (f'kube/token/{letters(i)}', json.dumps(row)))

    def token(self, i):
        return f'rk.{letters(i)}.{i:043d}'

    def metrics(self, path='/metrics'):
        with urllib.request.urlopen(f'http://127.0.0.1:{self.admin}{path}', timeout=60) as answer:
            return answer.read().decode()

    def figure(self, name):
        return next(float(line.split()[-1]) for line in self.metrics().splitlines() if line.startswith(f'{name} '))

    def config(self, i):
        """A kubeconfig of this tenant; the path."""
        path = self.folder / f'kube-t{i}.json'
        cluster = {'server': f'https://127.0.0.1:{self.api}', 'certificate-authority': str(self.folder / 'state/kube/ca.pem')}
        path.write_text(json.dumps({
            'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'edge',
            'clusters': [{'name': 'edge', 'cluster': cluster}], 'users': [{'name': 'me', 'user': {'token': self.token(i)}}],
            'contexts': [{'name': 'edge', 'context': {'cluster': 'edge', 'user': 'me', 'namespace': 'default'}}]}))
        return path

    def threads(self, *names):
        return [t for t in pathlib.Path(f'/proc/{self.process.pid}/task').iterdir()
                if (t / 'comm').read_text().strip().startswith(names)]

    def busy(self, *names):
        """Seconds of processor that these threads have had."""
        return sum(int((t / 'schedstat').read_text().split()[0]) for t in self.threads(*names)) / 1e9


def letters(i):
    """The id of a token: ten of a-z and 2-7."""
    return ''.join('abcdefghijklmnopqrstuvwxyz234567'[i >> 5 * k & 31] for k in range(10))


class Client:
    """One connection; whose it is each request says anew."""

    def __init__(self, proxy):
        self.proxy = proxy
        context = ssl.create_default_context(cafile=proxy.folder / 'state/kube/ca.pem')
        self.connection = http.client.HTTPSConnection('127.0.0.1', proxy.api, timeout=60, context=context)

    def ask(self, i, method, path, body=None):
        headers = {'Authorization': f'Bearer {self.proxy.token(i)}', 'Accept': TABLE if method == 'GET' else 'application/json',
                   'Content-Type': 'application/json'}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f'{method} {path}: {answer.status}: {text[:300]}')
        return json.loads(text)


@contextlib.contextmanager
def before_others(proxy, *names):
    """Where it is allowed to (root): these threads of the edge and who asks them run before whatever else the machine does."""
    tasks = [0, *(int(t.name) for t in proxy.threads(*names))]
    were = {t: os.getpriority(os.PRIO_PROCESS, t) for t in tasks}
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(PermissionError):
            for t in tasks:
                os.setpriority(os.PRIO_PROCESS, t, NICE)
                stack.callback(os.setpriority, os.PRIO_PROCESS, t, were[t])
            session_nice('self', NICE)
            stack.callback(session_nice, 'self', 0)
        yield


@contextlib.contextmanager
def apart(edges):
    """Their API's threads are on the load's CPU: where a worker is busy the kernel takes others away from it, if they may go."""
    tasks = [int(t.name) for edge in edges for t in edge.threads('kube')]
    for t in tasks:
        os.sched_setaffinity(t, {LOAD_CPU})
    try:
        yield
    finally:
        for t in tasks:
            os.sched_setaffinity(t, {PROXY_CPU})


class Kube:
    name, title, unit = 'kube', 'an Ingress written by the Kubernetes API: request to the first good answer through it', 'ms'
    live_most, list_most, memory_most, beside_most = 100, 20, 2, 1.05
    bar = '≤ 100 ms; lists of one of 10,000 tenants ≤ 20 ms at worst; ≤ 2 KiB an object; worker CPU per request beside 50 kubectl loops ≤ 1.05 of beside 50 that ask another edge'

    def run(self, bench):
        tenants = 300 if bench.quick else 10_000
        proxy = Serving(bench.build, *bench.place('ringress-kube', bench.options.port))
        with bench.running([proxy]):
            memory, lists = self.memory(bench, proxy, tenants)
            rounds, kubectl = self.live(bench, proxy)
            other = Serving(bench.build, *bench.place('ringress-kube-other', bench.base('ringress-kube-other')))
            with bench.running([other]):
                other.populate(LOOPS)
                beside = self.beside(bench, proxy, other)
        values = sorted(r['value'] for r in rounds)
        worst = {'live': values[-1], 'list': lists['server_worst_ms'], 'memory': max(memory['added_kib'].values()), 'beside': beside['of_elsewhere']}
        good = (worst['live'] <= self.live_most and worst['list'] <= self.list_most and worst['memory'] <= self.memory_most
                and worst['beside'] <= self.beside_most)
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar, 'tenants': tenants, 'objects': tenants * OBJECTS,
                'memory': memory, 'lists': lists, 'kubectl_ms': kubectl, 'beside': beside,
                'series': [{'proxy': 'ringress', 'rounds': rounds, 'median': statistics.median(values), 'worst': values[-1]}],
                'verdict': {'value': worst['live'], 'max': self.live_most, 'ok': good, 'says': self.says(worst, values, memory, lists, kubectl, beside)}}

    def says(self, worst, values, memory, lists, kubectl, beside):
        added = ', '.join(f'{when} {kib:.2f}' for when, kib in memory['added_kib'].items())
        return (f"live after median {statistics.median(values):.1f} ms, worst {values[-1]:.1f} of {len(values)}, at most {self.live_most} "
                f"(kubectl apply, all of it: {statistics.median(kubectl):.0f} ms); lists: at the server {lists['server_worst_ms']:.1f} ms at worst, "
                f"at most {self.list_most} (at the client median {lists['median_ms']:.1f}, p99 {lists['p99_ms']:.1f}, worst {lists['worst_ms']:.1f}); "
                f"the API's KiB an object: {added}, at most {self.memory_most} (the edge's own, never asked: {memory['own_kib']:.2f}); worker's CPU beside {LOOPS} loops × {worst['beside']:.3f} of what it is beside as many "
                f"that ask another edge, at most {self.beside_most} (× {beside['ratio']:.3f} of alone; alone {beside['worker_us']['alone']:.0f} µs a "
                f"request, {beside['worker_us']['still']:.0f} where the load's CPU may be idle; the customers' p99 {beside['p99_ms']['alone']:.2f} ms alone, {beside['p99_ms']['asking']:.2f} beside them; "
                f"{beside['failed']} failed; {beside['commands_per_second']:.1f} kubectl a second)")

    # ---- memory, and lists ----
    def memory(self, bench, proxy, tenants):
        resident = lambda: rss_kib(proxy.pids())
        time.sleep(SETTLE_S)
        without, seen = resident(), {}
        proxy.populate(tenants)
        time.sleep(SETTLE_S)  # what parsing took is given back within ten seconds
        seen['never asked'] = resident()
        with placed(LOAD_CPU):
            lists = self.lists(bench, proxy, tenants)
        seen['just asked'] = resident()
        time.sleep(REST_S)
        seen['at rest again'] = resident()
        never = seen.pop('never asked')
        own, added = ((never - without) / (tenants * OBJECTS), {when: (kib - never) / (tenants * OBJECTS) for when, kib in seen.items()})
        bench.say(f'{self.name}: KiB an object: the edge itself {own:.2f}; the API besides: ' + ', '.join(f'{when} {kib:.2f}' for when, kib in added.items()))
        return {'without_kib': without, 'never_asked_kib': never, 'resident_kib': seen, 'own_kib': own, 'added_kib': added}, lists

    def lists(self, bench, proxy, tenants):
        """Each tenant's for the first time, then the first hundred's five times more."""
        client, waits = Client(proxy), []
        client.ask(0, 'GET', '/version')
        with before_others(proxy, ''):  # the API's thread, too, which is at nice 10 else
            proxy.figure('ringress_kube_answer_max_seconds')
            waited = self.waited(proxy)
            for i in [*range(tenants), *list(range(100)) * 5]:
                began = time.perf_counter()
                rows = client.ask(i, 'GET', INGRESSES)['rows']
                waits.append((time.perf_counter() - began) * 1000)
                if len(rows) != 3:
                    raise RuntimeError(f'{len(rows)} ingresses of t{i}')
            waited, server = self.waited(proxy) - waited, proxy.figure('ringress_kube_answer_max_seconds') * 1000
        waits.sort()
        found = {'count': len(waits), 'median_ms': statistics.median(waits), 'p99_ms': waits[len(waits) * 99 // 100], 'worst_ms': waits[-1],
                 'server_worst_ms': server, 'waited_ms': waited}
        bench.say(f"{self.name}: {found['count']} lists: median {found['median_ms']:.2f} ms, p99 {found['p99_ms']:.2f}, worst {found['worst_ms']:.1f}, "
                  f"at the server {server:.1f}; its threads waited {waited:.0f} ms for a processor")
        return found

    def waited(self, proxy):
        return sum(int((t / 'schedstat').read_text().split()[1]) for t in proxy.threads('kube', 'ringress')) / 1e6

    # ---- written to live ----
    def live(self, bench, proxy):
        rounds, kubectl = [], []
        with placed(LOAD_CPU), before_others(proxy, ''):
            client = Client(proxy)
            client.ask(1, 'GET', '/version')
            for k in range(5 if bench.quick else FRESH_ROUTES):
                rounds.append({'value': self.fresh(proxy, client, f'fresh-{k}')})
                kubectl.append(self.applied(proxy, f'typed-{k}'))
        values = [r['value'] for r in rounds]
        bench.say(f'{self.name}: live after median {statistics.median(values):.1f} ms, worst {max(values):.1f}; kubectl apply, all of it: '
                  f'median {statistics.median(kubectl):.0f} ms, worst {max(kubectl):.0f}')
        return rounds, kubectl

    def fresh(self, proxy, client, name):
        """The request as kubectl sends it; the clock runs from its first byte on."""
        host = f'{name}.t1.example.com'
        paths = [{'path': '/', 'pathType': 'Prefix', 'backend': {'service': {'name': 'web', 'port': {'number': 80}}}}]
        body = json.dumps({'apiVersion': 'networking.k8s.io/v1', 'kind': 'Ingress',
                           'metadata': {'name': name, 'annotations': {'ringress/ssl-redirect': 'false'}},
                           'spec': {'rules': [{'host': host, 'http': {'paths': paths}}]}})
        began, live = time.perf_counter(), []
        looking = threading.Thread(target=lambda: live.append(self.first_good(proxy, host, began)))
        looking.start()
        client.ask(1, 'POST', f'{INGRESSES}?fieldManager=kubectl-client-side-apply&fieldValidation=Strict', body)
        looking.join()
        if not live:
            raise RuntimeError(f'{host} is not live after 30 s')
        return live[0]

    def first_good(self, proxy, host, began):
        connection = http.client.HTTPConnection('127.0.0.1', proxy.http, timeout=10)
        while time.perf_counter() - began < 30:
            connection.request('GET', '/small', headers={'Host': host})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return (time.perf_counter() - began) * 1000
        raise RuntimeError(f'{host} is not live after 30 s')

    def applied(self, proxy, name):
        began = time.perf_counter()
        subprocess.run(pinned(['kubectl', 'apply', '-f', '-']), check=True, text=True, capture_output=True, env=self.environment(proxy, 1),
                       input=INGRESS.format(name=name, host=f'{name}.t1.example.com', app='web'))
        return (time.perf_counter() - began) * 1000

    def environment(self, proxy, i):
        return {**os.environ, 'KUBECONFIG': str(proxy.config(i)), 'HOME': str(proxy.folder)}

    # ---- beside the data path ----
    def beside(self, bench, proxy, other):
        """Whoever wakes a thread on another CPU pays for the interrupt, on a virtual machine four times as much where that CPU is at work as where it
        is idle: the worker's time would tell whether those who ask keep theirs busy."""
        rounds, order = {kind: [] for kind in BESIDE}, list(BESIDE)
        with at_priority(PRIORITY_POD, bench.backend.pid):
            for r in range(bench.rounds):
                for kind in order if r % 2 == 0 else order[::-1]:
                    with awake([LOAD_CPU] if kind != 'still' else []):
                        one = self.one_round(bench, proxy, {'asking': proxy, 'elsewhere': other}.get(kind))
                    rounds[kind].append(one)
                    bench.say(f"{self.name} round {r + 1} {kind}: {one['worker_us']:.2f} µs/request of the worker, {one['done']} requests, "
                              f"p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f}, failed {one['failed']}, {one['commands']} kubectl, "
                              f"the API's threads {one['api_share'] * 100:.1f} %{'' if one['calm'] else ' (not calm)'}")
        if not all(any(one['commands'] for one in rounds[kind]) for kind in ('asking', 'elsewhere')):
            raise RuntimeError('no kubectl came to its end beside the requests')
        cost, p99 = ({kind: self.middle(of, figure) for kind, of in rounds.items()} for figure in ('worker_us', 'p99_ms'))
        return {'ratio': cost['asking'] / cost['alone'], 'of_elsewhere': cost['asking'] / cost['elsewhere'], 'worker_us': cost, 'p99_ms': p99,
                'failed': sum(one['failed'] for of in rounds.values() for one in of), 'rounds': rounds,
                'commands_per_second': statistics.median(one['commands'] / one['seconds'] for one in rounds['asking'])}

    def middle(self, rounds, figure):
        calm = [one[figure] for one in rounds if one['calm']]
        return statistics.median(calm or [one[figure] for one in rounds])

    def one_round(self, bench, proxy, asked):
        """Calm: nobody but the edges was on their CPU. On the other one kubectl is meant to be, in what the customers and the pod leave it."""
        records = bench.folder / 'records-kube'
        if not bench.quick:
            measure.wait_quiet()
        edges = [proxy, asked] if asked and asked is not proxy else [proxy]
        with before_others(proxy, 'worker'), apart(edges), self.loops(asked) as counted, contextlib.ExitStack() as stack:
            customers = Child([bench.tools / 'gentle', '-p', proxy.http, '-o', records, '-r', CUSTOMERS, '-n', TENANTS, '-s', 'example.com',
                               '-d', bench.seconds, '-w', WAIT_MS, '-f', PRIORITY_PLAIN])
            stack.callback(customers.stop)
            busy = lambda of, name: sum(edge.busy(name) for edge in of)
            workers, api, all_of_it, commands = proxy.busy('worker'), busy(edges, 'kube'), busy(edges, ''), counted()
            cpus, began = measure.cpu_times(), time.monotonic()
            customers.end()
            spent, wall = proxy.busy('worker') - workers, time.monotonic() - began
            here = busy(edges, '') - all_of_it - (busy(edges, 'kube') - api)
            foreign = measure.foreign_share(cpus, measure.cpu_times(), PROXY_CPU, here, wall)
            came = numpy.fromfile(records, RECORD)
            return {'worker_us': spent / len(came) * 1e6, 'api_share': (busy(edges, 'kube') - api) / wall, 'commands': counted() - commands,
                    'seconds': wall, 'foreign': round(foreign, 3), 'calm': foreign <= measure.FOREIGN_MAX, 'done': len(came),
                    'failed': int((came['outcome'] != 0).sum()), 'p50_ms': p50_ms(came), 'p99_ms': p99_ms(came)}

    @contextlib.contextmanager
    def loops(self, asked):
        """What fifty loops of kubectl ask, of fifty tenants (askers.py); counted by what was answered."""
        if not asked:
            yield lambda: 0
            return
        askers = subprocess.Popen(pinned([sys.executable, HERE / 'askers.py', asked.api, asked.folder / 'state/kube/ca.pem', KUBECTL_MS,
                                          *(asked.token(i) for i in range(LOOPS))]), stdout=subprocess.PIPE, preexec_fn=lambda: os.nice(-NICE))
        lines = [0]
        reader = threading.Thread(target=self.count, args=(askers.stdout, lines))
        reader.start()
        try:
            time.sleep(2)
            yield lambda: lines[0]
            if askers.poll() is not None:
                raise RuntimeError('those who ask have ended')
        finally:
            askers.kill()
            askers.wait()
            reader.join()

    def count(self, out, lines):
        for _ in out:
            lines[0] += 1
