# SPDX-License-Identifier: GPL-3.0-or-later
"""accounting.py - what a part of the edge costs: the same binary without it beside itself.

    accounts off: no look at the time stamp counter, no weights of the kernel's work, no lists for the ledger; connections, requests and
    bytes are counted on, since limits need them
    fairness off: completions are worked off as they come, however long a turn takes; no look at the clock for it

A machine that others use is now faster, now slower, by tens of percent, and that for seconds. A difference of a percent is seen all the same
where both are met by the same moments:

    start: with, without and `again` (which is `with` once more), each with its connections open, one worker each on CPU 0
      round: each is asked for a fifth of a second, in an order that is drawn; processor time of its process per answer
        with and again / without; again / with -> two ratios; the median of a start's rounds is that start's
    again, with processes that lie elsewhere in memory -> the mean of the starts

`again` says what the measure is worth: that ratio ought to be 1. The interval is the 95 % of a bootstrap over starts, and over rounds
within each. The bar is for the dearest of the loads, and it is kept, or missed, where the interval lies on one side of it."""
import math
import random
import statistics

import measure
from proxies import Ringress

SLICE_MS, RESAMPLES, PART = 200, 2000, 0.95
LOADS = (('http-64', '-t http -c 64', 'http', False),
         ('http-512', '-t http -c 512', 'http', False),
         ('tenants', '-t http -c 64 -n {hosts} -s {suffix}', 'http', True),
         ('tcp-pingpong', '-t raw -c 64', 'echo', False))
LARGE = ('http-64k', '-t http -c 64 -u /64k', 'http', False)


class Uncounted(Ringress):
    environment = {'RINGRESS_ACCOUNTING': 'off'}


class Unfair(Ringress):
    environment = {'RINGRESS_FAIRNESS': 'off'}


class Unjailed(Ringress):
    def edge_yaml(self):
        return super().edge_yaml() + 'jail: off\n'


# ---- figures ----
def ratios(start, over, under):
    """Of one start, {proxy: [value of each round]}; `over`: the names of those that are one side, `under` of the others."""
    return [math.prod(o) ** (1 / len(o)) / math.prod(u) ** (1 / len(u))
            for o, u in zip(zip(*(start[n] for n in over)), zip(*(start[n] for n in under)))]


def estimate(of_starts):
    """The mean, of ratios, of each start's median."""
    return math.exp(statistics.fmean(math.log(statistics.median(r)) for r in of_starts))


def interval(of_starts, seed=7):
    draw = random.Random(seed)
    drawn = sorted(estimate([draw.choices(r, k=len(r)) for r in draw.choices(of_starts, k=len(of_starts))])
                   for _ in range(RESAMPLES))
    beyond = int(RESAMPLES * (1 - PART) / 2)
    return drawn[beyond], drawn[-1 - beyond]


def compared(starts, over, under):
    of_starts = [ratios(s, over, under) for s in starts]
    least, most = interval(of_starts)
    return {'ratio': round(estimate(of_starts), 4), 'least': round(least, 4), 'most': round(most, 4),
            'starts': [round(statistics.median(r), 4) for r in of_starts], 'rounds': sum(map(len, of_starts))}


def verdict(figures, most):
    """`figures`: {load: {'cost': …, 'again': …}}."""
    dearest = max(figures, key=lambda n: figures[n]['cost']['ratio'])
    cost = figures[dearest]['cost']
    ok = True if all(f['cost']['most'] <= most for f in figures.values()) else \
        False if any(f['cost']['least'] > most for f in figures.values()) else None
    return {'value': cost['ratio'], 'max': most, 'ok': ok, 'says': '; '.join(
        f"{n} {shown(f['cost'])}, itself again {shown(f['again'])}" for n, f in figures.items()) + f'; at most {most}'}


def shown(c):
    return f"{c['ratio']:.3f} ({c['least']:.3f} to {c['most']:.3f})"


# ---- the works ----
class Accounting:
    name, title, unit = 'accounting', 'CPU with accounts, against the same without', 'µs/request'
    most, bar = 1.02, '≤ 1.02 of itself without accounts'
    without, loads, starts_each = 'ringress-uncounted', LOADS, 2  # to a round of other works

    def run(self, bench):
        sides = [bench.proxy(n) for n in ('ringress', self.without, 'ringress-again')]
        names = [p.name for p in sides]
        series, figures = [], {}
        for name, load, port, many in self.loads:
            starts = [self.start(bench, sides, name, load, port, many) for _ in range(1 if bench.quick else self.starts_each * bench.rounds)]
            figures[name] = {'cost': compared(starts, (names[0], names[2]), names[1:2]), 'again': compared(starts, names[2:], names[:1])}
            bench.say(f"{self.name} {name}: {shown(figures[name]['cost'])}, again {shown(figures[name]['again'])}")
            for n in names:
                values = [v for s in starts for v in s[n]]
                series.append({'proxy': f'{n}, {name}', 'rounds': [{'value': round(v, 4)} for v in values],
                               'median': statistics.median(values)})
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar, 'series': series, 'figures': figures,
                'verdict': verdict(figures, self.most)}

    def start(self, bench, sides, name, load, port, many):
        """{proxy: [µs of processor time per answer, of each round]}."""
        hosts = bench.hosts // 2 if many else 0  # three times so many connections to pods must have a port each
        with bench.running(sides, hosts=hosts):
            where = ','.join(f'{getattr(p, port)}:{only(p.pids())}' for p in sides)
            # All hosts must have been asked before: the first request of one opens its connection to the pod.
            command = [bench.tools / 'load', 'turns', '-p', where, '-d', 2 * bench.seconds, '-S', SLICE_MS, '-w', max(0.5, hosts / 3000),
                       *load.format(hosts=hosts, suffix=sides[0].suffix).split()]
            if not bench.quick and not bench.options.first:
                measure.wait_quiet(5)
            slices = measure.run_turns(command)
        start = {p.name: [s['cpu_ns'] / 1000 / s['done'] for s in slices if s['side'] == i] for i, p in enumerate(sides)}
        bench.say(f'{self.name} {name}: ' + ', '.join(f'{n} {statistics.median(v):.2f}' for n, v in start.items())
                  + f' {self.unit}, {len(slices) // len(sides)} rounds')
        return start


def only(pids):
    """Its threads are counted, its children would not be."""
    pid, = pids
    return pid


class Fairness(Accounting):
    name, title = 'fairness', 'CPU with turns by tenant, against the same without, where nobody contends'
    most, bar, without = 1.01, '≤ 1.01 of itself in the order in which things come', 'ringress-unfair'
    loads = (LOADS[0], LOADS[1], LARGE, LOADS[3])


class Jail(Accounting):
    """io_uring's own restriction of verbs is there in both: it is not to be had without."""
    name, title = 'jail', 'CPU in the jail (seccomp, Landlock), against the same without'
    bar, without, loads = '≤ 1.02 of itself without the jail', 'ringress-unjailed', (LOADS[0], LOADS[3])
