# SPDX-License-Identifier: GPL-3.0-or-later
"""victims.py - the streams of `isolation`: started, read back, and summed up.

gentle.c writes each request as it ended; here they are cut by when they were due into calm and attack. Percentiles are exact."""
import contextlib
import json
import math
import os
import pathlib
import subprocess

import numpy

from measure import pinned

TENANTS, RATE, TLS_RATE, CONTROL_RATE, WAIT_MS, CONTROL = 20, 500, 100, 100, 1000, 65535
HARM_WINDOW = 100_000_000  # ns
THROTTLE = pathlib.Path('/proc/sys/kernel/sched_rt_runtime_us')
PRIORITY_POD, PRIORITY_PLAIN, PRIORITY_TLS, PRIORITY_PROXY = 7, 6, 5, 3
RECORD = numpy.dtype([('due', 'u8'), ('latency', 'u4'), ('tenant', 'u2'), ('kept', 'u1'), ('outcome', 'u1')])
OUTCOMES = ('good', 'late', 'refused', 'broken', 'not_200')


class Child:
    """A load that says when it starts and, at its end, what came of it."""

    def __init__(self, command, nice=0):
        self.process = subprocess.Popen(pinned(command), stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.nice(nice))
        line = self.process.stdout.readline().split()
        if len(line) != 2 or line[0] != 'START':
            self.process.wait()
            raise RuntimeError(f'{command[0]} did not start')
        self.start = int(line[1])

    def end(self):
        out = self.process.stdout.read()
        if self.process.wait():
            raise RuntimeError(f'{self.process.args}: exit {self.process.returncode}')
        return json.loads(out)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def at_priority(priority, pid):
    """The victims' pod runs before the attackers, as the victims do: what they wait for is the proxy."""
    os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(priority))
    try:
        yield
    finally:
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def before_all(proxy, control=True):
    """A proxy, whichever, has real-time priority as the victims have: on this machine as on one of its own, what they wait for is the proxy. Our control
    thread, which must see what happens while a worker is busy, comes before that, unless it is what is attacked; the threads that are nice, after it."""
    for pid in proxy.pids():
        for task in map(int, os.listdir(f'/proc/{pid}/task')):
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(PRIORITY_PROXY + rank(proxy, pid, task, control)))


def rank(proxy, pid, task, control):
    if not proxy.name.startswith('ringress'):
        return 0
    if task == proxy.process.pid:
        return 1 if control else -1
    with open(f'/proc/{pid}/task/{task}/comm', encoding='ascii') as name:
        return 0 if name.read().startswith('worker') else -1


@contextlib.contextmanager
def unthrottled():
    """Nothing of real-time priority has to stop for a twentieth of each second."""
    was = THROTTLE.read_text()
    THROTTLE.write_text('-1')
    try:
        yield
    finally:
        THROTTLE.write_text(was)


class Victims:
    """Both streams of good requests, and the one past the proxy."""

    def __init__(self, bench, proxy, seconds, stack):
        self.files = {k: bench.folder / f'records-{k}' for k in ('http', 'tls')}
        common = ['-n', TENANTS, '-s', 'example.com', '-d', seconds, '-w', WAIT_MS]
        past = ['-P', bench.backend_port, '-R', CONTROL_RATE]
        gentle = bench.tools / 'gentle'
        self.children = [
            Child([gentle, '-p', proxy.http, '-o', self.files['http'], '-r', RATE, '-f', PRIORITY_PLAIN, *past, *common]),
            Child([gentle, '-p', proxy.https, '-o', self.files['tls'], '-t', 'tls', '-r', TLS_RATE, '-f', PRIORITY_TLS, *common])]
        for child in self.children:
            stack.callback(child.stop)
        self.start = max(c.start for c in self.children)

    def end(self):
        for child in self.children:
            child.end()
        plain, tls = (numpy.fromfile(self.files[k], RECORD) for k in ('http', 'tls'))
        past = plain['tenant'] == CONTROL
        return {'http': plain[~past], 'tls': tls, 'past': plain[past]}


def between(records, begin, end):
    return records[(records['due'] >= begin) & (records['due'] < end)]


def waits_ms(records):
    """What each customer waited; one who failed, the whole wait."""
    return numpy.where(records['outcome'] == 0, records['latency'] / 1000, numpy.maximum(records['latency'] / 1000, WAIT_MS))


def p99_ms(records):
    return float(numpy.percentile(waits_ms(records), 99, method='higher')) if len(records) else math.nan


def p50_ms(records):
    return float(numpy.percentile(waits_ms(records), 50)) if len(records) else math.nan


def summary(records, calm, attack):
    """Of one stream: the figures of both phases, and how many of all requests were answered in each second since the attack's start."""
    a, c = between(records, *attack), between(records, *calm)
    failed = {name: int((a['outcome'] == i).sum()) for i, name in enumerate(OUTCOMES) if i and (a['outcome'] == i).any()}
    by_kind = {kind: {'calm_ms': p99_ms(c[c['kept'] == k]), 'attack_ms': p99_ms(a[a['kept'] == k])} for k, kind in enumerate(('new', 'kept'))}
    seconds = range(int((attack[1] - attack[0]) / 1e9) + 1)
    slots = [between(records, attack[0] + (s - 1) * 10**9, attack[0] + s * 10**9) for s in seconds]
    return {'vdr': p99_ms(a) / p99_ms(c), 'calm_p99_ms': p99_ms(c), 'attack_p99_ms': p99_ms(a), 'calm_p50_ms': p50_ms(c), 'attack_p50_ms': p50_ms(a),
            'p99_ms_by_kind': by_kind, 'requests': len(a), 'calm_failed': int((c['outcome'] != 0).sum()), 'failed': failed,
            'success': float((a['outcome'] == 0).mean()) if len(a) else math.nan,
            'worst_tenant_success': worst_tenant(a),
            'good_of_second': [[int((s['outcome'] == 0).sum()), len(s)] for s in slots]}


def harmed_ms(records, calm, began, end):
    """Since the attack's start, of the first tenth of a second in which a tenth of those who asked waited longer than the slowest hundredth did when all
    was calm; None: there was none."""
    limit = p99_ms(between(records, *calm))
    for at in range(began, end, HARM_WINDOW):
        waits = waits_ms(between(records, at, at + HARM_WINDOW))
        if len(waits) and numpy.percentile(waits, 90) > limit:
            return (at - began) / 1e6
    return None


def worst_tenant(records):
    shares = [float((records[records['tenant'] == t]['outcome'] == 0).mean()) for t in numpy.unique(records['tenant'])]
    return min(shares, default=math.nan)
