# SPDX-License-Identifier: GPL-3.0-or-later
"""soak.py - hours in minutes: load, random drops into conf.d and killed pods, while memory and descriptors are watched.

    start -> every load once, some drops -> rest, count -> [loads | drops | kills | samples] for N minutes -> rest, count -> verdict

At rest no load runs, every dropped tenant is gone, and connections to pods have timed out. Both rests must be the same: resident
memory, descriptors, versions of tenants, connections. Of the memory, what the kernel was lent to receive into is told apart: it
goes, at most 16 MiB a worker, only as it is received into. Under the strain, the second half must not need more than the
first: highest and median of windows are compared, not single samples. Where memory is (buffers, slabs, malloc) is taken from
the edge's own /metrics with every sample, so that growth has a name. Everything random comes from one seed, which is printed."""
import http.client
import random
import re
import signal
import statistics
import subprocess
import threading
import time

from measure import LOAD_CPU, pinned

TENANTS = 50
MEMORY_GROWTH, REST_SLACK_MIB, FDS_SLACK = 1.10, 3, 16
REST_MOST = 150  # seconds; a kept connection to a pod lasts 60, buffers go back after 2, the kernel is lent half after 10
LOADS = [  # two at a time, each for some seconds, then cut off in the middle
    'again -t http -p {p.http} -c 64', 'again -t http -p {p.http} -c 200 -u /64k', 'again -t tls -p {p.https} -c 32',
    'connect -t http -p {p.http} -c 16', 'connect -t tls -p {p.https} -c 16', 'connect -t resume -p {p.https} -c 16',
    'again -t raw -p {p.echo} -c 32', 'connect -t raw -p {p.echo} -c 16', 'bulk -t raw -p {p.source} -c 8',
    'again -t http -p {p.http} -c 16 -n 50 -s example.com', 'idle -t tls -p {p.https} -c 500',
]
BROKEN = ['kind: Tenant\nmetadata: {name: [\n', 'a: &a [*a]\n', '', 'kind: Ingress\nspec: {rules: 7}\n',
          'rules:\n- *.example.com\n']
SERIES = re.compile(r'^ringress_(\w+)(?:\{\w+="(\w+)"\})? (\d+)$', re.M)


class Soak:
    name, title, unit = 'soak', 'load, drops and killed pods over time', 'MiB'
    bar = 'no growth of memory or descriptors'

    def run(self, bench):
        edge = self.edge(bench)
        seed = random.randrange(1 << 32)
        self.bench, self.edge_, self.random, self.over = bench, edge, random.Random(seed), threading.Event()
        self.counts = {'loads': 0, 'drops': 0, 'kills': 0}
        self.second_pod = None
        bench.say(f'soak: seed {seed}, {bench.options.minutes} minutes')
        with bench.running([edge]):
            try:
                return self.story(bench, seed)
            finally:
                self.over.set()
                self.kill_pod()

    def edge(self, bench):
        edge = bench.proxy('ringress')
        edge.cpus, edge.workers = f'0,{LOAD_CPU}', 2
        edge.pods = [edge.backend, edge.backend + 10]
        return edge

    def story(self, bench, seed):
        self.start_pod()
        for load in LOADS:
            self.load(load, 1)
        for _ in range(4 * TENANTS):  # a name's first drop leaves its UID and rows, whatever comes after
            self.some_drop()
        first = self.rest()
        self.counts = dict.fromkeys(self.counts, 0)
        points = self.strain(bench.options.minutes * 60)
        last = self.rest()
        return self.judge(points, first, last, seed)

    # ---- the strain ----
    def strain(self, seconds):
        threads = [threading.Thread(target=self.repeat, args=(f,), daemon=True)
                   for f in (self.some_load, self.some_load, self.some_drop, self.some_kill)]
        began = time.monotonic()
        for t in threads:
            t.start()
        points = []
        while time.monotonic() - began < seconds:
            time.sleep(min(2, seconds / 30))
            points.append({'minute': round((time.monotonic() - began) / 60, 3), **self.sample()})
            if len(points) % 15 == 0:
                self.bench.say(f"soak: {points[-1]} {self.counts}")
        self.over.set()
        for t in threads:
            t.join(60)
        return points

    def repeat(self, action):
        while not self.over.is_set():
            action()

    def some_load(self):
        self.load(self.random.choice(LOADS), self.random.uniform(1, 8))
        self.counts['loads'] += 1

    def load(self, words, seconds):
        command = [self.bench.tools / 'load', *words.format(p=self.edge_).split(), '-d', 30]
        child = subprocess.Popen(pinned(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdin.close()

    def some_drop(self):
        name = f't{self.random.randrange(TENANTS)}'
        path = self.edge_.folder / f'conf.d/{name}.yaml'
        what = self.random.random()
        if what < 0.2:
            path.unlink(missing_ok=True)
        elif what < 0.3:
            path.write_text(self.random.choice(BROKEN))
        else:
            rules = [(f'{name}.example.com', 'Prefix', '/' + 'x/' * i) for i in range(self.random.randint(1, 20))]
            self.edge_.drop(name, self.edge_.tenant(name, f'{name}.example.com', rules))
        self.counts['drops'] += 1
        self.over.wait(self.random.uniform(0.02, 0.3))

    def some_kill(self):
        self.over.wait(self.random.uniform(2, 8))
        self.kill_pod()
        self.over.wait(self.random.uniform(0.1, 2))
        self.start_pod()
        self.counts['kills'] += 1

    def start_pod(self):
        self.second_pod = subprocess.Popen(pinned([self.bench.tools / 'backend', self.edge_.pods[1]]))

    def kill_pod(self):
        if self.second_pod:
            self.second_pod.send_signal(signal.SIGKILL)
            self.second_pod.wait()

    # ---- watching ----
    def sample(self):
        """The edge's own figures, sums over workers; memory in MiB."""
        door = http.client.HTTPConnection('127.0.0.1', self.edge_.admin, timeout=20)
        door.request('GET', '/metrics')
        text, found = door.getresponse().read().decode(), {}
        door.close()
        for name, label, value in SERIES.findall(text):
            key = f'malloc_{label}' if name == 'malloc_bytes' else name
            found[key] = found.get(key, 0) + int(value)
        mib = {'rss_mib': found['resident_bytes'], 'buffers_mib': found['worker_buffers_resident'] * 4096,
               'lent_mib': found['worker_buffers_provided'] * 4096, 'slabs_mib': found['worker_slab_bytes'],
               'malloc_used_mib': found['malloc_allocated'], 'malloc_resident_mib': found['malloc_resident']}
        return {**{k: round(v / 2**20, 2) for k, v in mib.items()}, 'fds': found['open_files'],
                'connections': found['worker_connections'], 'pod_connections': found['worker_pod_connections'],
                'versions': found['versions'], 'upstreams': found['upstreams']}

    def rest(self):
        """Waits until nothing changes any more: no connection of clients or to pods, what the kernel was lent is what it
        was for ten seconds."""
        for i in range(TENANTS):
            (self.edge_.folder / f'conf.d/t{i}.yaml').unlink(missing_ok=True)
        end, before, now = time.monotonic() + REST_MOST, None, self.sample()
        while time.monotonic() < end and (now['connections'] or now['pod_connections'] or now != before):
            time.sleep(12)
            before, now = now, self.sample()
        self.bench.say(f'soak: at rest {now}')
        return now

    def judge(self, points, first, last, seed):
        halves = [points[len(points) // 10:len(points) // 2] or points, points[len(points) // 2:] or points]
        early, late = ([p['rss_mib'] for p in half] for half in halves)
        faults = []
        if statistics.median(late) > statistics.median(early) * MEMORY_GROWTH and max(late) > max(early):
            faults.append('the second half needed more memory than the first')
        own = [rest['rss_mib'] - rest['lent_mib'] for rest in (first, last)]
        if own[1] > own[0] + REST_SLACK_MIB:
            faults.append('memory at rest grew')
        for key, slack in (('fds', FDS_SLACK), ('connections', 0), ('pod_connections', FDS_SLACK), ('versions', 0),
                           ('upstreams', 0)):
            if last[key] > first[key] + slack:
                faults.append(f'{key} at rest: {first[key]} → {last[key]}')
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar, 'points': points,
                'seed': seed, 'counts': self.counts, 'minutes': self.bench.options.minutes,
                'at_rest': {'before': first, 'after': last},
                'series': [{'proxy': name, 'rounds': [{'value': v} for v in (min(half), max(half))],
                            'median': statistics.median(half)} for name, half in (('early', early), ('late', late))],
                'verdict': {'value': statistics.median(late) / statistics.median(early), 'max': MEMORY_GROWTH, 'ok': not faults,
                            'says': f"at rest {own[0]:.1f} → {own[1]:.1f} MiB and {first['lent_mib']:.0f} → "
                                    f"{last['lent_mib']:.0f} lent to the kernel, {first['fds']} → "
                                    f"{last['fds']} descriptors, {first['versions']} → {last['versions']} versions; "
                                    f"{self.counts['drops']} drops, {self.counts['kills']} killed pods"
                                    f"{''.join('; ' + f for f in faults)}"}}
