# SPDX-License-Identifier: GPL-3.0-or-later
"""accounting.py - what charging every tenant for its time costs, and what the jail does: the same binary without it beside itself, by turns.

    accounts off: no look at the time stamp counter, no weights of the kernel's work, no lists for the ledger; connections, requests and
    bytes are counted on, since limits need them

The value is CPU per request with accounts over that without, of each round's pair: what disturbs the machine for longer than a round
disturbs both. The bar is for the dearest of the loads."""
import statistics

import measure
from proxies import Ringress

LOADS = (('http-64', 'wrk -t1 --latency -d{seconds} -c64 http://127.0.0.1:{http}/small', 0),
         ('http-512', 'wrk -t1 --latency -d{seconds} -c512 http://127.0.0.1:{http}/small', 0),
         ('tenants', 'load again -p {http} -c 64 -n {hosts} -s {suffix} -d {seconds}', 1),
         ('tcp-pingpong', 'load again -t raw -p {echo} -c 64 -d {seconds}', 0))


class Uncounted(Ringress):
    environment = {'RINGRESS_ACCOUNTING': 'off'}


class Unjailed(Ringress):
    def edge_yaml(self):
        return super().edge_yaml() + 'jail: off\n'


class Accounting:
    name, title, unit = 'accounting', 'CPU with accounts, against the same without', 'µs/request'
    most, bar = 1.02, '≤ 1.02 of itself without accounts'
    without, loads = 'ringress-uncounted', LOADS

    def command(self, bench, proxy, load, seconds):
        words = load.format(http=proxy.http, echo=proxy.echo, hosts=bench.hosts, suffix=proxy.suffix, seconds=seconds).split()
        return [bench.tools / words[0] if words[0] == 'load' else words[0], *words[1:]] + (
            ['-H', 'Host: bench.test'] if words[0] == 'wrk' else [])

    def run(self, bench):
        on, off = (bench.proxy(n) for n in ('ringress', self.without))
        series, ratios = [], {}
        for name, load, hosts in self.loads:
            with bench.running([on, off], hosts=bench.hosts if hosts else 0):
                rounds = self.rounds(bench, (on, off), name, load)
            series += [{'proxy': f'{p.name}, {name}', 'rounds': v, 'median': statistics.median(r['value'] for r in v)}
                       for p, v in zip((on, off), rounds)]
            ratios[name] = statistics.median(a['value'] / b['value'] for a, b in zip(*rounds))
        dearest = max(ratios, key=ratios.get)
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar, 'series': series, 'ratios': ratios,
                'verdict': {'value': ratios[dearest], 'max': self.most, 'ok': ratios[dearest] <= self.most,
                            'says': ', '.join(f'{n} {r:.3f}' for n, r in ratios.items()) + f'; at most {self.most}'}}

    def rounds(self, bench, pair, name, load):
        rounds = [[], []]
        for r in range(bench.rounds):
            for i in (0, 1) if r % 2 == 0 else (1, 0):
                one = measure.measure(pair[i], bench, self.command(bench, pair[i], load, bench.seconds), 'done',
                                      self.command(bench, pair[i], load, 1))
                rounds[i].append(one.to_dict())
                bench.say(f'{self.name} {name} round {r + 1} {pair[i].name}: {one.value:.3f} {self.unit} errors={one.errors}'
                          f'{"" if one.calm else " (not calm)"}')
        return rounds


class Jail(Accounting):
    """io_uring's own restriction of verbs is there in both: it is not to be had without."""
    name, title = 'jail', 'CPU in the jail (seccomp, Landlock), against the same without'
    bar, without, loads = '≤ 1.02 of itself without the jail', 'ringress-unjailed', (LOADS[0], LOADS[3])
