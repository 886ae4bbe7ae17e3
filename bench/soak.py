# SPDX-License-Identifier: GPL-3.0-or-later
"""soak.py - hours in minutes: load, random drops into conf.d and killed pods, while memory and descriptors are watched.

    start -> warm up -> rest, count -> [loads | drops | kills | samples] for N minutes -> rest, count again -> verdict

At rest no load runs and every dropped tenant is gone, so the descriptors of both rests must be the same, but for some
kept connections. Memory must end where it was early on. Everything random comes from one seed, which is printed."""
import os
import random
import signal
import statistics
import subprocess
import threading
import time

from measure import LOAD_CPU, pinned, rss_kib
from proxies import Ringress

TENANTS = 50
MEMORY_GROWTH, MEMORY_SLACK_MIB, FDS_SLACK = 1.05, 2, 16
LOADS = [  # two at a time, each for some seconds, then cut off in the middle
    'again -t http -p {p.http} -c 64', 'again -t http -p {p.http} -c 200 -u /64k', 'again -t tls -p {p.https} -c 32',
    'connect -t http -p {p.http} -c 16', 'connect -t tls -p {p.https} -c 16', 'connect -t resume -p {p.https} -c 16',
    'again -t raw -p {p.echo} -c 32', 'connect -t raw -p {p.echo} -c 16', 'bulk -t raw -p {p.source} -c 8',
    'again -t http -p {p.http} -c 16 -n 50 -s example.com', 'idle -t tls -p {p.https} -c 500',
]
BROKEN = ['kind: Tenant\nmetadata: {name: [\n', 'a: &a [*a]\n', '', 'kind: Ingress\nspec: {rules: 7}\n',
          'rules:\n- *.example.com\n']


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
        first = self.rest()
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
        pids = self.edge_.pids()
        return {'rss_mib': round(rss_kib(pids) / 1024, 2), 'fds': sum(len(os.listdir(f'/proc/{p}/fd')) for p in pids)}

    def rest(self):
        for i in range(TENANTS):
            (self.edge_.folder / f'conf.d/t{i}.yaml').unlink(missing_ok=True)
        time.sleep(65)  # connections to pods are kept for a minute
        now = self.sample()
        self.bench.say(f'soak: at rest {now}')
        return now

    def judge(self, points, first, last, seed):
        tenth = max(1, len(points) // 10)
        early = statistics.median(p['rss_mib'] for p in points[2 * tenth:4 * tenth] or points)
        late = statistics.median(p['rss_mib'] for p in points[-2 * tenth:])
        memory_ok = late <= early * MEMORY_GROWTH + MEMORY_SLACK_MIB
        fds_ok = last['fds'] <= first['fds'] + FDS_SLACK
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar, 'points': points,
                'seed': seed, 'counts': self.counts, 'minutes': self.bench.options.minutes,
                'at_rest': {'before': first, 'after': last},
                'series': [{'proxy': 'early', 'rounds': [{'value': early}], 'median': early},
                           {'proxy': 'late', 'rounds': [{'value': late}], 'median': late}],
                'verdict': {'value': late / early, 'max': MEMORY_GROWTH, 'ok': memory_ok and fds_ok,
                            'says': f"RSS {early:.1f} → {late:.1f} MiB; descriptors at rest {first['fds']} → "
                                    f"{last['fds']}; {self.counts['drops']} drops, {self.counts['kills']} killed pods"}}
