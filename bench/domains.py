# SPDX-License-Identifier: GPL-3.0-or-later
"""domains.py - how long a name waits: from the drop that binds it, its DNS being right, to `verified`.

    knot on loopback <- edge, 1 worker <- drops of one name; then a thousand names of twenty tenants at once

The edge has CPU 0, knot and this program CPU 1."""
import pathlib
import sys
import time
import urllib.request

from measure import LOAD_CPU, PROXY_CPU, lag_ms, placed, timed_row, waited_ms

ROOT = pathlib.Path(__file__).resolve().parents[1]
TENANTS, NAMES_EACH = 20, 50
OURS = 'ringress'
DROP = """\
apiVersion: ringress/v1
kind: Tenant
metadata: {{name: t{i}}}
spec: {{domain: t{i}.1d.pt}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: default}}
spec: {{tls: [{{hosts: [{hosts}]}}]}}
"""


class Domains:
    """One name after the other; the thousand at once stands beside it."""
    name, title, unit = 'domains', 'a bound name, its DNS right: file written to verified', 'ms'
    most, lag_most, bar = 2000, 5, '≤ 2 s; loop lag ≤ 5 ms while 1,000 are looked at'

    def run(self, bench):
        sys.path.insert(0, str(ROOT / 'tests/e2e'))
        from edge import Edge
        from names import Knot
        singles = bench.drops
        records = [f's{i} CNAME t{TENANTS}.1d.pt.' for i in range(singles)]
        records += [f'n{i}-{k} CNAME t{i}.1d.pt.' for i in range(TENANTS) for k in range(NAMES_EACH)]
        with placed(LOAD_CPU), Knot({'bench.example': records, '1d.pt': ['* A 203.0.113.7']}) as dns:
            edge = Edge({}, binary=bench.build / 'ringress', module_path=(bench.build / 'modules',), **dns.edge(counted=False))
            with placed(PROXY_CPU), edge, placed(LOAD_CPU):
                rounds = [{'value': self.single(edge, i)} for i in range(singles)]
                many = self.many(edge, bench)
        return timed_row(self, OURS, rounds, many, f"{many['names']} names at once {many['all_ms']:.0f} ms")

    def write(self, edge, i, hosts):
        beside = edge.folder / f't{i}.new'
        beside.write_text(DROP.format(i=i, hosts=', '.join(hosts)))
        beside.rename(edge.conf_d / f't{i}.yaml')

    def verified(self, edge, *words):
        return sum(d['state'] == 'verified' for d in edge.get('domains', *words) if d['domain'].endswith('bench.example'))

    def wait(self, edge, count, began, *words):
        while self.verified(edge, *words) < count:
            if time.monotonic() - began > 120:
                raise RuntimeError(f'not {count} names verified after 120 s')
            time.sleep(0.01 if count < 100 else 0.2)
        return (time.monotonic() - began) * 1000

    def single(self, edge, i):
        self.write(edge, TENANTS, [f's{k}.bench.example' for k in range(i)])
        self.wait(edge, i, time.monotonic(), '-n', f't{TENANTS}')
        time.sleep(0.1)
        began = time.monotonic()
        self.write(edge, TENANTS, [f's{k}.bench.example' for k in range(i + 1)])
        return self.wait(edge, i + 1, began, '-n', f't{TENANTS}')

    def many(self, edge, bench):
        before, waited = self.verified(edge), waited_ms(edge.pid)
        self.lag(edge)
        began = time.monotonic()
        for i in range(TENANTS):
            self.write(edge, i, [f'n{i}-{k}.bench.example' for k in range(NAMES_EACH)])
        spent = self.wait(edge, before + TENANTS * NAMES_EACH, began)
        lag, waited = self.lag(edge), waited_ms(edge.pid) - waited
        bench.say(f'{self.name}: {TENANTS * NAMES_EACH} names of {TENANTS} tenants at once: {spent:.0f} ms, lag {lag:.1f} ms; '
                  f'the workers waited {waited:.0f} ms for a processor')
        return {'names': TENANTS * NAMES_EACH, 'all_ms': spent, 'lag_ms': lag, 'waited_ms': waited}

    def lag(self, edge):
        with urllib.request.urlopen(f'http://127.0.0.1:{edge.admin_port}/metrics', timeout=10) as answer:
            return lag_ms(answer.read().decode().splitlines())
