# SPDX-License-Identifier: GPL-3.0-or-later
"""works.py - what is measured: one class for each way of measuring, one row for each figure.

A work is run as `work.run(bench)` and gives a result:
    {work, title, unit, bar, series: [{proxy, rounds: [...], median}], verdict: {value, max, ok, says}}
Rounds are interleaved: every proxy once, then every proxy again in the other order."""
import http.client
import statistics
import subprocess
import time

import measure
from accounting import Accounting, Fairness, Jail
from acme import Acme
from domains import Domains
from kube import Kube
from measure import rss_kib, run_load
from reuse import Reuse

OURS = 'ringress'
BETTER_OF = ('nginx', 'haproxy')


def orders(proxies, rounds):
    """Each round's proxies, forwards and backwards in turn, so that a drift of the machine favours none."""
    for r in range(rounds):
        yield r, (proxies if r % 2 == 0 else proxies[::-1])


def median(rounds):
    calm = [r['value'] for r in rounds if r.get('calm', True)]
    values = calm or [r['value'] for r in rounds]
    return statistics.median(values) if values else float('nan')


def result(work, series, verdict, **more):
    return {'work': work.name, 'title': work.title, 'unit': work.unit, 'bar': work.bar, 'series': series,
            'verdict': verdict, **more}


def against_peers(series, most):
    """Our median over that of the better peer."""
    medians = {s['proxy']: s['median'] for s in series}
    peers = [p for p in BETTER_OF if p in medians]
    if OURS not in medians or not peers:
        return {'value': None, 'max': most, 'ok': None, 'says': 'not compared'}
    best = min(peers, key=medians.get)
    ratio = medians[OURS] / medians[best]
    return {'value': ratio, 'max': most, 'ok': ratio <= most, 'says': f'{ratio:.2f} of {best}, at most {most}'}


class Cost:
    """CPU of the proxy per request, connection or GB under a load that lasts some seconds."""

    def __init__(self, name, title, unit, most, load, port, per='done', variants=(), logs=False):
        self.name, self.title, self.unit, self.most, self.per = name, title, unit, most, per
        self.load, self.port, self.variants, self.logs = load, port, variants, logs
        self.bar = f'≤ {most} of the better peer'

    def command(self, bench, proxy, seconds):
        words = [w.format(port=getattr(proxy, self.port), seconds=seconds) for w in self.load.split()]
        return [bench.tools / words[0] if words[0] == 'load' else words[0], *words[1:]] + (
            ['-H', 'Host: bench.test'] if words[0] == 'wrk' else [])

    def run(self, bench):
        proxies = bench.proxies(self.variants, self.logs)
        rounds = {p.name: [] for p in proxies}
        with bench.running(proxies):
            for r, order in orders(proxies, bench.rounds):
                for proxy in order:
                    one = measure.measure(proxy, bench, self.command(bench, proxy, bench.seconds), self.per,
                                          self.command(bench, proxy, 1))
                    rounds[proxy.name].append(one.to_dict())
                    bench.say(f'{self.name} round {r + 1} {proxy.name}: {one.value:.2f} {self.unit}'
                              f' done={one.done} MB={one.bytes // 10**6} errors={one.errors} cpu={one.proxy_share:.2f}'
                              f'{"" if one.calm else " (not calm)"}')
            logged = {p.name: log_growth(p) for p in proxies if p.logs}
        for name, size in logged.items():
            if not size:
                raise RuntimeError(f'{name} was to write an access log, and did not')
        series = [{'proxy': n, 'rounds': v, 'median': median(v)} for n, v in rounds.items()]
        return result(self, series, against_peers(series, self.most), **({'logged_bytes': logged} if logged else {}))


def log_growth(proxy):
    """Bytes of the access log it has written; HAProxy's goes to its standard output, which is the file `log`."""
    return max((proxy.folder / name).stat().st_size if (proxy.folder / name).exists() else 0 for name in ('access.log', 'log'))


class Memory:
    """Memory per connection that has asked once and now waits."""

    def __init__(self, name, title, most, kind, port, count='idle_connections'):
        self.name, self.title, self.unit, self.most = name, title, 'KiB/connection', most
        self.kind, self.port, self.count = kind, port, count
        self.bar = f'≤ {most} KiB'

    def run(self, bench):
        proxies = bench.proxies(())
        rounds = {p.name: [] for p in proxies}
        for r, order in orders(proxies, min(bench.rounds, 3)):
            for proxy in order:
                with bench.running([proxy]):
                    one = self.once(bench, proxy)
                rounds[proxy.name].append(one)
                bench.say(f"{self.name} round {r + 1} {proxy.name}: {one['value']:.2f} KiB,"
                          f" {one['parked']} connections")
        series = [{'proxy': n, 'rounds': v, 'median': median(v)} for n, v in rounds.items()]
        ours = next(s['median'] for s in series if s['proxy'] == OURS)
        return result(self, series, {'value': ours, 'max': self.most, 'ok': ours <= self.most,
                                     'says': f'{ours:.2f} KiB, at most {self.most}'})

    def once(self, bench, proxy):
        """A fresh process, warmed, then RSS before and with the connections open."""
        port = getattr(proxy, self.port)
        run_load([bench.tools / 'load', 'again', '-p', port, '-t', self.kind, '-d', 1])
        time.sleep(0.5)
        before = rss_kib(proxy.pids())
        holder = subprocess.Popen(measure.pinned([bench.tools / 'load', 'idle', '-p', port, '-t', self.kind, '-c',
                                                  getattr(bench, self.count), '-d', 60]),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            parked = int(holder.stdout.readline().split()[1])
            time.sleep(1)
            held = rss_kib(proxy.pids())
        finally:
            holder.stdin.close()
            end = holder.stdout.read()
            holder.wait()
        return {'value': (held - before) / parked, 'before_kib': before, 'held_kib': held, 'parked': parked,
                'still_open': measure.parse_own(end)['parked']}


class ManyHosts:
    """The same process with 10,000 hosts loaded: asked for all of them in turn, and for one. Every host of ours is a
    tenant of its own, with pods and pooled connections of its own; the peers share one pool among all."""
    name, title, unit = 'many-hosts', '10,000 hosts asked in turn, against one of them', 'µs/request'
    most, bar = 1.15, '≤ 1.15 of our own one host'

    def run(self, bench):
        proxies = bench.proxies(('ringress-one-tenant',))
        rounds = {(p.name, kind): [] for p in proxies for kind in ('one', 'many')}
        starts = {}
        for proxy in proxies:
            began = time.monotonic()
            with bench.running([proxy], hosts=bench.hosts):
                starts[proxy.name] = round(time.monotonic() - began, 3)
                for r in range(bench.rounds):
                    for kind in ('one', 'many') if r % 2 == 0 else ('many', 'one'):
                        one = self.once(bench, proxy, kind)
                        rounds[proxy.name, kind].append(one.to_dict())
                        bench.say(f'{self.name} round {r + 1} {proxy.name} {kind}: {one.value:.2f} {self.unit}'
                                  f' errors={one.errors}{"" if one.calm else " (not calm)"}')
        series = [{'proxy': f'{n}, {kind}', 'rounds': v, 'median': median(v)} for (n, kind), v in rounds.items()]
        ratios = {n: median(rounds[n, 'many']) / median(rounds[n, 'one']) for n in starts}
        ours = ratios[OURS]
        return result(self, series, {'value': ours, 'max': self.most, 'ok': ours <= self.most,
                                     'says': f'{ours:.2f}, at most {self.most}'},
                      ratios=ratios, start_seconds=starts, hosts=bench.hosts)

    def once(self, bench, proxy, kind):
        which = ['-n', bench.hosts, '-s', proxy.suffix] if kind == 'many' else ['-s', f't7.{proxy.suffix}']
        load = [bench.tools / 'load', 'again', '-p', proxy.http, '-c', 64, *which, '-d']
        # All 10,000 must have been asked before: the first request of a host opens its connection to the pod.
        warm = max(1, bench.hosts / 3000) if kind == 'many' else 1
        return measure.measure(proxy, bench, load + [bench.seconds], 'done', load + [warm])


class DropLatency:
    """From writing one tenant's file to the first answer by its new content, with more and more other tenants."""
    name, title, unit = 'drop-latency', "one tenant's change, file written to live", 'ms'
    most, bar = 20, '≤ 20 ms, flat'

    def run(self, bench):
        series = []
        for others in bench.other_tenants:
            for proxy in bench.proxies(()):
                with bench.running([proxy], hosts=others):
                    drops = bench.drops if proxy.name == OURS else max(3, bench.drops // 5)
                    rounds = [{'value': self.once(proxy, v)} for v in range(1, drops + 1)]
                worst = max(r['value'] for r in rounds)
                series.append({'proxy': proxy.name, 'others': others, 'rounds': rounds, 'median': median(rounds),
                               'worst': worst})
                bench.say(f'{self.name} {proxy.name}, {others} others: median {median(rounds):.1f} ms, '
                          f'worst {worst:.1f} ms of {drops}')
        ours = [s['median'] for s in series if s['proxy'] == OURS]
        return result(self, series, {
            'value': max(ours), 'max': self.most, 'ok': max(ours) <= self.most,
            'says': f'{max(ours):.1f} ms with the most others, {ours[0]:.1f} ms with the fewest; at most {self.most}'})

    def once(self, proxy, version):
        time.sleep(0.1)
        began = time.monotonic()
        proxy.change(version)
        while not self.live(proxy, version):
            if time.monotonic() - began > 60:
                raise RuntimeError(f'{proxy.name}: version {version} is not live after 60 s')
        return (time.monotonic() - began) * 1000

    def live(self, proxy, version):
        """A new connection each time: an old worker of a peer keeps its old connections with the old content."""
        c = http.client.HTTPConnection('127.0.0.1', proxy.http, timeout=10)
        try:
            c.request('GET', f'/v{version}', headers={'Host': 'probe.example.com'})
            return c.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            c.close()


REQUEST, CONNECTION = 'µs/request', 'µs/connection'
WRK = 'wrk -t1 --latency -d{seconds} http://127.0.0.1:{port}'
ALL = [
    Cost('http-64', 'HTTP/1.1 keep-alive, 100 B, 64 connections', REQUEST, 0.75, WRK + '/small -c64', 'http'),
    Cost('http-512', 'HTTP/1.1 keep-alive, 100 B, 512 connections', REQUEST, 0.75, WRK + '/small -c512', 'http'),
    Cost('http-64k', 'HTTP/1.1 keep-alive, 64 KiB, 64 connections', REQUEST, 0.75, WRK + '/64k -c64', 'http'),
    *(Cost(f'{name}-log', f'{title}, limits set, access log to a file', REQUEST, 0.75, WRK + load, 'http', logs=True,
           variants=('ringress-quiet', 'nginx-quiet', 'haproxy-quiet'))
      for name, title, load in (('http-64', 'HTTP/1.1, 100 B, 64 connections', '/small -c64'),
                                ('http-512', 'HTTP/1.1, 100 B, 512 connections', '/small -c512'),
                                ('http-64k', 'HTTP/1.1, 64 KiB, 64 connections', '/64k -c64'))),
    Cost('tls', 'TLS 1.3 keep-alive, 100 B, 64 connections', REQUEST, 0.80,
         'load again -t tls -p {port} -c 64 -d {seconds}', 'https'),
    Cost('h2', 'HTTP/2 over TLS 1.3, 100 B, 10 connections x 32 streams', REQUEST, 0.9,
         'h2load -t1 -c10 -m32 -D{seconds} --connect-to=127.0.0.1:{port} https://bench.test/small', 'https'),
    Cost('handshake', 'full TLS 1.3 handshake + one request + close', CONNECTION, 0.75,
         'load connect -t tls -p {port} -c 64 -d {seconds}', 'https'),
    Cost('resume', 'resumed TLS 1.3 handshake + one request + close', CONNECTION, 0.80,
         'load connect -t resume -p {port} -c 64 -d {seconds}', 'https'),
    Cost('tcp-pingpong', 'raw TCP, 64 B ping-pong, 64 connections', 'µs/round trip', 1.0,
         'load again -t raw -p {port} -c 64 -d {seconds}', 'echo'),
    Cost('tcp-connect', 'raw TCP, new connection + 64 B round trip + close', CONNECTION, 1.0,
         'load connect -t raw -p {port} -c 64 -d {seconds}', 'echo'),
    Cost('tcp-bulk', 'raw TCP, bulk download, 16 connections', 'CPU s/GB', 0.6,
         'load bulk -t raw -p {port} -c 16 -d {seconds}', 'source', per='bytes',
         variants=('nginx-256k', 'haproxy-256k', 'haproxy-splice')),
    Memory('idle-memory', 'memory per idle keep-alive connection, plain', 0.75, 'http', 'http'),
    Memory('idle-memory-tls', 'memory per idle keep-alive connection, TLS', 9, 'tls', 'https'),
    Memory('idle-memory-h2', 'memory per idle HTTP/2 connection, TLS', 16, 'h2', 'https', 'idle_connections_h2'),
    ManyHosts(),
    DropLatency(),
    Reuse(),
    Domains(),
    Acme(),
    Kube(),
    Accounting(),
    Fairness(),
    Jail(),
]
