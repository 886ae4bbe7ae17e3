# SPDX-License-Identifier: GPL-3.0-or-later
"""stored.py - TLS with 100,000 stored certificates, one of them in use, beside the same edge with one certificate of the operator's.

Stored by tests/thirdparty/keeper.c, as the acme module does it. Only the files of the one in use exist: nothing opens the others',
and that is what keeps the start short. Noted besides: how long until it accepts, and what each certificate takes of memory; and
both once more with 100,000 rows of the acme module, which knows of each when to renew it, too."""
import contextlib
import json
import pathlib
import shutil
import sqlite3
import subprocess
import time
import urllib.request
import uuid

import measure
from proxies import EDGE, Ringress

ROOT = pathlib.Path(__file__).resolve().parents[1]
COUNT = 100_000
LOADS = {'handshake': 'connect -t tls', 'resume': 'connect -t resume', 'tls': 'again -t tls'}


class Keeping(Ringress):
    """Started twice: the tenant has a UID only once the edge has seen it."""
    count, settle = COUNT, 0.5

    def edge_yaml(self):
        conf = EDGE.format(modules=f"{self.folder}, {self.build / 'modules'}", p=self)
        conf = '\n'.join(line for line in conf.splitlines() if 'certificates:' not in line)
        return f'{conf}\nmodules: [keeper, sni, http, tcp]\nkeeper: {{list: {self.folder}/list}}\n'

    def start(self, hosts=0):
        super().start(hosts)
        time.sleep(0.5)
        self.kib_without = sum_rss(self)
        self.stop()
        self.write_list()
        began = time.monotonic()
        self.launch()
        self.wait_ready()
        with urllib.request.urlopen(f'http://127.0.0.1:{self.admin}/readyz', timeout=60):
            pass  # its ports take connections before there is anybody to serve them
        self.start_seconds = round(time.monotonic() - began, 3)
        time.sleep(self.settle)
        self.bytes_each = round((sum_rss(self) - self.kib_without) * 1024 / self.count)

    def write(self, version):
        super().write(version)
        if version == 0:
            (self.folder / 'list').write_text('')
            subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-fPIC', '-shared', '-I', ROOT, '-o',
                            self.folder / 'keeper.so', ROOT / 'tests/thirdparty/keeper.c'], check=True)

    def write_list(self):
        with contextlib.closing(sqlite3.connect(self.folder / 'state/ringress.db')) as db:
            rows = dict(db.execute('SELECT key, value FROM row').fetchall())
        uid = json.loads(rows['tenant/bench'])['uid']
        later = int(time.time()) + 86400
        store = self.folder / 'state/certificates'  # outside the state folder the jail would let nobody read them
        store.mkdir(mode=0o700)
        chain, key = (shutil.copy(file, store) for file in self.certificate)
        with open(self.folder / 'list', 'w') as out:
            out.write(f'certificate in-use {uid} {later} {chain} {key} bench.test\n')
            for i in range(1, self.count):
                id = f'{i * 2654435761 % 2**32:08x}-58cc-4372-a567-0e02b2c3d479'
                out.write(f'certificate {id} {uid} {later} {store}/{id}.pem {store}/{id}.key www.customer-{i}.example.org\n')


class Ordering(Keeping):
    """The rows of certificates that were issued for tenants who are not there: read and kept as those of any other."""
    settle = 12  # what parsing took is given back within ten seconds

    def edge_yaml(self):
        conf = EDGE.format(modules=self.build / 'modules', p=self)
        return f'{conf}\nmodules: [sni, http, tcp, acme]\nacme: {{directory: "https://127.0.0.1:1/", caa: false}}\n'

    def write(self, version):
        Ringress.write(self, version)

    def write_list(self):
        now = int(time.time())
        with contextlib.closing(sqlite3.connect(self.folder / 'state/ringress.db')) as db, db:
            for i in range(self.count):
                row = {'tenant': f't{i % 1000}', 'uid': str(uuid.UUID(int=i % 1000)), 'ingress': 'web', 'rsa': False,
                       'names': [f'www.customer-{i}.example.org'], 'number': 1, 'notBefore': now - 86400,
                       'notAfter': now + 89 * 86400, 'attemptAt': now + 59 * 86400, 'issuer': 'Example Authority R10',
                       'renewalId': f'aYhba4dGQEHhs3uEe6CuLN4ByNQ.{i * 2654435761:019x}', 'directory': 'https://127.0.0.1:1/',
                       'failures': 0, 'error': '', 'problem': '', 'windowStart': 0, 'windowEnd': 0}
                db.execute('INSERT INTO row (key, value, revision) VALUES (?, ?, 1)', (f'acme/cert/{i:032x}', json.dumps(row)))


def sum_rss(proxy):
    return measure.rss_kib(proxy.pids())


class Stored:
    """The same loads against both, in turn."""
    name, title, unit = 'tls-100k', 'TLS with 100,000 stored certificates, one in use, against one certificate', 'µs'
    most, start_most, bytes_most = 1.1, 3, 200
    bar = '≤ 1.1 of our own one certificate; start ≤ 3 s; ≤ 200 B each'

    def run(self, bench):
        plain, keeping = bench.proxy('ringress'), bench.proxy('ringress-100k')
        keeping.count = 10_000 if bench.quick else COUNT
        rounds = {(p.name, load): [] for p in (plain, keeping) for load in LOADS}
        ordering = bench.proxy('ringress-orders')
        ordering.count = keeping.count
        with bench.running([ordering]):
            pass
        with bench.running([plain, keeping]):
            for r in range(bench.rounds):
                for proxy in (plain, keeping) if r % 2 == 0 else (keeping, plain):
                    for load in LOADS:
                        rounds[proxy.name, load].append(self.once(bench, proxy, load, r))
        series = [{'proxy': f'{n}, {load}', 'rounds': v, 'median': middle(v)} for (n, load), v in rounds.items()]
        ratios = {load: middle(rounds[keeping.name, load]) / middle(rounds[plain.name, load]) for load in LOADS}
        worst = max(ratios.values())
        served = not any(r['errors'] for v in rounds.values() for r in v)
        good = (served and worst <= self.most and max(keeping.start_seconds, ordering.start_seconds) <= self.start_most
                and keeping.bytes_each <= self.bytes_most)
        says = (f"{', '.join(f'{load} {x:.2f}' for load, x in ratios.items())}, at most {self.most}; start "
                f"{keeping.start_seconds} s; {keeping.bytes_each} B each; with what acme keeps of "
                f"them {ordering.start_seconds} s; {ordering.bytes_each} B each{'' if served else '; not all were served'}")
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar, 'series': series,
                'verdict': {'value': worst, 'max': self.most, 'ok': good, 'says': says}, 'ratios': ratios,
                'start_seconds': keeping.start_seconds, 'bytes_each': keeping.bytes_each,
                'acme_start_seconds': ordering.start_seconds, 'acme_bytes_each': ordering.bytes_each, 'certificates': keeping.count}

    @staticmethod
    def once(bench, proxy, load, r):
        words = [bench.tools / 'load', *LOADS[load].split(), '-p', proxy.https, '-c', 64, '-d']
        one = measure.measure(proxy, bench, words + [bench.seconds], 'done', words + [1])
        bench.say(f'tls-100k round {r + 1} {proxy.name} {load}: {one.value:.2f} µs errors={one.errors}'
                  f'{"" if one.calm else " (not calm)"}')
        return one.to_dict()


def middle(rounds):
    values = sorted(r['value'] for r in rounds if r.get('calm', True)) or sorted(r['value'] for r in rounds)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
