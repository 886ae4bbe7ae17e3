#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""bench.py - measures Ringress beside nginx and HAProxy, in the same run, on two CPUs of this machine.

    tools compiled -> backend on CPU 1 -> for each work: proxies on CPU 0, rounds in turn -> table, JSON, PNG

    bench.py [NAME…] [--rounds 5] [--seconds 3] [--build build/release] [--quick] [--list]

Loopback only; every load is bounded in time; every process it started has ended when it ends."""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time

import accounting
import bodies
import isolation
import plots
import soak
import stored
import unseen
import works
from measure import LOAD_CPU, PROXY_CPU, pinned
from proxies import Haproxy, Nginx, Ringress, accepts

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROXIES = ('ringress', 'nginx', 'haproxy', 'nginx-256k', 'haproxy-256k', 'haproxy-splice', 'ringress-one-tenant',
           'ringress-quiet', 'nginx-quiet', 'haproxy-quiet', 'ringress-100k', 'ringress-uncounted', 'ringress-unfair', 'ringress-unjailed', 'ringress-again',
           'ringress-orders', 'ringress-kube-other')
PORTS_EACH = 7  # from --port on: seven for each proxy, then the backends'


class Bench:
    """What a work may use: proxies, the backend, the tools and how long to take."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.build, self.tools = pathlib.Path(options.build).resolve(), ROOT / 'build/bench'
        self.rounds, self.seconds = options.rounds, options.seconds
        self.quick = quick = options.quick
        self.idle_connections = 1000 if quick else 8000
        # Two descriptors for each must do: HAProxy and we keep the other for a pod's.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.idle_connections_h2 = 1000 if quick else min(10000, (files - 1000) // 2)
        self.hosts = 500 if quick else 10000
        self.other_tenants = (10, 100) if quick else (10, 100, 1000, 10000)
        self.drops = 5 if quick else 25
        self.backend, self.backend_port = None, options.port + PORTS_EACH * len(PROXIES)

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def proxies(self, variants, logs=False):
        """Ours, the peers, and the variants named, in the order of the table; `logs`: all but the quiet ones write an access log."""
        names = ['ringress', *self.options.peers.split(','), *variants]
        return [self.proxy(n, logs and not n.endswith('quiet')) for n in names
                if n and (n.split('-')[0] in ('ringress', *self.options.peers.split(',')))]

    def base(self, name):
        return self.options.port + PORTS_EACH * PROXIES.index(name)

    def place(self, name, base):
        """What each Proxy is made with, besides what is its own."""
        return name, base, self.backend_port, self.folder, (self.folder / 'cert.pem', self.folder / 'cert.key')

    def proxy(self, name, logs=False):
        place = self.place(name, self.base(name))
        if name == 'ringress-100k':
            return stored.Keeping(self.build, *place)
        if name == 'ringress-orders':
            return stored.Ordering(self.build, *place)
        if name == 'ringress-uncounted':
            return accounting.Uncounted(self.build, *place)
        if name == 'ringress-unfair':
            return accounting.Unfair(self.build, *place)
        if name == 'ringress-unjailed':
            return accounting.Unjailed(self.build, *place)
        if name.startswith('ringress'):
            return Ringress(self.build, *place, one_tenant=name.endswith('one-tenant'), logs=logs)
        if name.startswith('nginx'):
            return Nginx(*place, buffer='256k' if name.endswith('256k') else None, logs=logs)
        return Haproxy(*place, buffer=262144 if name.endswith('256k') else None, splice=name.endswith('splice'), logs=logs)

    @contextlib.contextmanager
    def running(self, proxies, hosts=0):
        with contextlib.ExitStack() as stack:
            for proxy in proxies:
                stack.callback(proxy.stop)
                proxy.start(hosts)
            yield


# ---- getting ready ----
def compile_tools(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for tool, libraries in (('backend', []), ('evil', []), *((t, ['-lssl', '-lcrypto']) for t in ('load', 'gentle', 'attack', 'storm'))):
        source, binary = ROOT / f'bench/{tool}.c', folder / tool
        if binary.exists() and binary.stat().st_mtime > max(f.stat().st_mtime for f in (source, *(ROOT / 'bench').glob('*.h'))):
            continue
        subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', '-o', binary, source,
                        *libraries], check=True)


def make_certificate(folder):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-days', '2', '-subj', '/CN=bench.test',
                    '-addext', 'subjectAltName=DNS:bench.test,DNS:*.example.com', '-keyout', folder / 'cert.key', '-out', folder / 'cert.pem'], check=True, capture_output=True)


@contextlib.contextmanager
def backend(tools, port):
    process = subprocess.Popen(pinned([tools / 'backend', port], LOAD_CPU))
    try:
        while not accepts(port):
            if process.poll() is not None:
                raise RuntimeError('the backend did not start')
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait()


def version_of(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def machine(bench):
    cpu = next((line.partition(':')[2].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')), '')
    return {'cpu': cpu, 'kernel': platform.release(), 'date': datetime.date.today().isoformat(),
            'commit': version_of('git', '-C', str(ROOT), 'rev-parse', '--short', 'HEAD'),
            'ringress': version_of(str(bench.build / 'ringress'), 'version'),
            'nginx': version_of('nginx', '-v'), 'haproxy': version_of('haproxy', '-v'),
            'pins': f'proxy on CPU {PROXY_CPU}, load and backend on CPU {LOAD_CPU}'}


# ---- the results ----
def table(results):
    lines = ['| work | unit | proxies, median (least – most) | verdict |', '| --- | --- | --- | --- |']
    for r in results:
        cells = [f"{label(s)} {s['median']:.2f} ({spread(s)})" for s in r['series']]
        mark = {True: 'good', False: '**missed**', None: 'not decided'}[r['verdict']['ok']]
        lines.append(f"| {r['work']}: {r['title']} | {r['unit']} | {'<br>'.join(cells)} "
                     f"| {mark}: {r['verdict']['says']} |")
    return '\n'.join(lines)


def label(series):
    return series['proxy'] + (f", {series['others']:,} others:" if 'others' in series else ':')


def spread(series):
    values = [r['value'] for r in series['rounds']]
    return f'{min(values):.2f} – {max(values):.2f}'


def keep(bench, folder, one):
    folder.mkdir(parents=True, exist_ok=True)
    one.update(machine=machine(bench), command=f"./dev bench {'--first ' if bench.options.first else ''}{one['work']}", rounds=bench.rounds, seconds=bench.seconds)
    (folder / f"{one['work']}.json").write_text(json.dumps(one, indent=1, ensure_ascii=False) + '\n')
    plots.draw(one, folder / f"{one['work']}.png")


def arguments(known):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='*', metavar='NAME', help=f"one of {', '.join(known)}; default: all but big-bodies and soak")
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=3)
    parser.add_argument('--build', default=ROOT / 'build/release')
    parser.add_argument('--peers', default='nginx,haproxy', help='which peers; empty for none')
    parser.add_argument('--attacks', default='', help='which of isolation or isolation-extra; default: all')
    parser.add_argument('--where', action='store_true', help='isolation: who ran on the CPU of the proxy while the slowest waited')
    parser.add_argument('--minutes', type=float, default=10, help='of soak')
    parser.add_argument('--port', type=int, default=7500, help='the first of a hundred and fifty ports to use')
    parser.add_argument('--quick', action='store_true', help='one short round of each, small; results in build/bench')
    parser.add_argument('--first', action='store_true', help='before whatever else the machine does, at real-time priority; as root')
    parser.add_argument('--list', action='store_true')
    options = parser.parse_args()
    for name in options.names:
        if name not in known:
            parser.error(f"no work {name}; one of {', '.join(known)}")
    if options.quick:
        options.rounds, options.seconds, options.minutes = 1, 1, 0.5
    return options


def run_works(bench, chosen, folder):
    results = []
    for work in chosen:
        bench.say(f'--- {work.name}: {work.title}')
        one = work.run(bench)
        keep(bench, folder, one)
        results.append(one)
    print(table(results))
    return results


def main():
    known = {w.name: w for w in (*works.ALL, bodies.BigBodies(), soak.Soak(), stored.Stored(), isolation.Isolation(), unseen.IsolationExtra())}
    options = arguments(known)
    if options.list:
        print('\n'.join(f'{n:16} {w.title}; {w.bar}' for n, w in known.items()))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = [known[n] for n in options.names] or list(works.ALL)
    if options.first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))  # and all that it starts
    with tempfile.TemporaryDirectory(prefix='ringress-bench-') as folder:
        folder = pathlib.Path(folder)
        bench = Bench(options, folder)
        compile_tools(bench.tools)
        make_certificate(folder)
        with backend(bench.tools, bench.backend_port) as bench.backend:
            results = run_works(bench, chosen, bench.tools / 'quick' if options.quick else ROOT / 'bench/results')
    return 1 if any(r['verdict']['ok'] is False for r in results) else 0


if __name__ == '__main__':
    sys.exit(main())
