# SPDX-License-Identifier: GPL-3.0-or-later
"""acme.py - how long a name waits for its certificate: from the drop of a vouched name to the first good answer over HTTPS.

    Pebble, without sleep <- edge, 1 worker, 8 order threads <- drops of one name; then a thousand names of twenty tenants at once

The edge, its order threads with it, has CPU 0; the authority, the pod and this program have CPU 1: an authority lives elsewhere."""
import os
import pathlib
import ssl
import sys
import tempfile
import time
import urllib.request

from measure import LOAD_CPU, PROXY_CPU, lag_ms, placed, timed_row, waited_ms

ROOT = pathlib.Path(__file__).resolve().parents[1]
TENANTS, NAMES_EACH = 20, 50
OURS = 'ringress'


class Acme:
    """One name after the other; the thousand at once stands beside it, with its progress."""
    name, title, unit = 'acme', 'a vouched name: file written to the first good answer over HTTPS', 'ms'
    most, lag_most, bar = 5000, 5, '≤ 5 s; loop lag ≤ 5 ms while 1,000 are issued'

    def run(self, bench):
        os.environ.setdefault('RINGRESS_BUILD', str(bench.build))
        sys.path.insert(0, str(ROOT / 'tests/e2e'))
        from acme_ca import Names, Pebble
        from conftest import Authority
        from edge import Edge
        from pod import EchoPod
        self.each = 5 if bench.quick else NAMES_EACH
        authority = Authority(tempfile.mkdtemp(prefix='bench-acme-', dir=bench.folder))
        with placed(LOAD_CPU), Names() as names, EchoPod('web') as self.pod:
            edge = Edge({}, binary=bench.build / 'ringress', module_path=(bench.build / 'modules',), authority=authority,
                        modules=['sni', 'http', 'tcp', 'acme'])
            with Pebble(edge.http_port, edge.https_port, names, authority, strict=True) as ca:
                edge.content['acme'] = {'directory': ca.directory, 'ca_file': str(authority.ca), 'caa': False,
                                        'limits': {'orders': 100000, 'domain': 100000}}
                edge.write_yaml(edge.content)
                with placed(PROXY_CPU), edge, placed(LOAD_CPU):
                    rounds = [{'value': self.single(edge, ca, i)} for i in range(bench.drops)]
                    many = self.many(edge, bench)
        return timed_row(self, OURS, rounds, many,
                         f"{many['names']} names at once {many['all_ms'] / 1000:.1f} s, half of them after "
                         f"{many['half_ms'] / 1000:.1f} s")

    def write(self, edge, tenant, hosts):
        from objects import documents, grant, ingress, pod, rule, service
        web = ingress(*[rule(h, self.pod.name) for h in hosts], name='web', tls=hosts)
        text = documents(grant(tenant, domains=list(hosts)), pod(self.pod), service(self.pod.name, target=self.pod.port), web)
        beside = edge.folder / f'{tenant}.new'
        beside.write_text(text)
        beside.rename(edge.conf_d / f'{tenant}.yaml')

    def single(self, edge, ca, i):
        host = f's{i}.example{i}.com'
        context = ssl.create_default_context(cadata=ca.root())
        began = time.monotonic()
        self.write(edge, f's{i}', [host])
        while not self.answers(edge, host, context):
            if time.monotonic() - began > 60:
                raise RuntimeError(f'{host} has no certificate after 60 s')
            time.sleep(0.02)
        return (time.monotonic() - began) * 1000

    def answers(self, edge, host, context):
        try:
            with edge.connect_tls(host, context) as wire:
                wire.send(f'GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n'.encode())
                return wire.read_response('GET').status == 200
        except OSError:
            return False

    def metrics(self, edge):
        with urllib.request.urlopen(f'http://127.0.0.1:{edge.admin_port}/metrics', timeout=30) as answer:
            return answer.read().decode().splitlines()

    def many(self, edge, bench):
        waited, before, count = waited_ms(edge.pid), issued(self.metrics(edge)), TENANTS * self.each
        began, progress, lag = time.monotonic(), [], 0
        for i in range(TENANTS):
            self.write(edge, f't{i}', [f'n{k}.of{i}.example' for k in range(self.each)])
        while not progress or progress[-1][1] < count:
            if time.monotonic() - began > 300:
                raise RuntimeError(f'{progress[-1][1]} of {count} issued after 300 s')
            time.sleep(0.5)
            seen = self.metrics(edge)
            lag = max(lag, lag_ms(seen))
            progress.append(((time.monotonic() - began) * 1000, issued(seen) - before))
        half, idle = next(t for t, n in progress if n >= count / 2), self.longest_rest(progress)
        waited = waited_ms(edge.pid) - waited
        bench.say(f'{self.name}: {count} names of {TENANTS} tenants at once: {progress[-1][0]:.0f} ms, half after {half:.0f} ms, '
                  f'never longer than {idle:.0f} ms without one, lag {lag:.1f} ms; '
                  f'the workers waited {waited:.0f} ms for a processor')
        return {'names': count, 'all_ms': progress[-1][0], 'half_ms': half, 'rest_ms': idle, 'lag_ms': lag, 'waited_ms': waited,
                'progress': progress}

    def longest_rest(self, progress):
        """Between two looks that saw more."""
        longest, last, at = 0, 0, 0
        for t, n in progress:
            longest = max(longest, t - at)
            if n > last:
                last, at = n, t
        return longest


def issued(metrics):
    return next(float(line.split()[-1]) for line in metrics if line.startswith('ringress_acme_issued_total '))
