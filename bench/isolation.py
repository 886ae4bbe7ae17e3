# SPDX-License-Identifier: GPL-3.0-or-later
"""isolation.py - what twenty tenants feel while a neighbour is attacked, beside nginx and HAProxy with their limits.

    victims ------------------------------------------------------------------------->   gentle.c, over HTTP and over TLS, and past the proxy
    | warm | calm: p99 | attack begins | a second | under attack: p99, successes | ends |   attack.c, on the same CPU as the victims, at nice 19

The victim degradation ratio is p99 under attack over p99 calm, of the same stream of requests through the same process. A request that failed counts
as one that took the whole wait. Every request is kept as the load wrote it, so nothing is binned, corrected or subtracted; the stream past
the proxy says what the machine and the load did by themselves. Each round is a fresh process of the proxy."""
import contextlib
import datetime
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import time
from dataclasses import dataclass

import measure
from awake import awake
from measure import LOAD_CPU, PROXY_CPU, FOREIGN_MAX, STEAL_MAX, TICKS, TRIES, cpu_seconds, cpu_times, pinned, session_nice, session_nice_now
from neighbours import neighbours
from proxies import accepts
from victims import PRIORITY_POD, TENANTS, Child, Victims, at_priority, before_all, between, harmed_ms, summary, unthrottled
from where import Where

NICE = -15
SHUT = ('PortShut', 'NamesRefused')
STEPS = ('PortOpen', 'PortLimited', 'PortProbation', 'NamesOpen', 'NamesLimited', 'NamesProbation', *SHUT)  # reasons of the edge's events
STEP_LOGGED = re.compile(r'^warning tenant \S+: (port \d+: )?(limited, step|shut|names are refused)')
WARM, SETTLE, AFTER = 1.0, 1.0, 0.5         # seconds: before the calm, from the attack's start to the count, after it
VDR_MOST, SUCCESS_LEAST, NOTICED_MOST_MS, REOPEN_MOST_S = 1.5, 0.999, 300, 45


@dataclass
class Attack:
    name: str
    title: str
    commands: tuple
    restart: bool = False
    honest: bool = False   # must not be shut


ATTACKS = [
    Attack('churn', 'connect and reset, raw port', ('churn -p {p.echo} -c 256',)),
    Attack('few', 'the same from four addresses', ('churn -p {p.echo} -c 256 -a 4',)),
    Attack('hold', '12,000 silent connections, raw port', ('hold -p {p.echo} -c 12000',)),
    Attack('drip', '12,000 connections, a byte every 10 s, raw port', ('drip -p {p.echo} -c 12000',)),
    Attack('bulk', '64 downloads without end, raw port', ('bulk -p {p.source} -c 64',)),
    Attack('upload', '64 uploads without end, raw port', ('upload -p {p.sink} -c 64',)),
    Attack('hello', 'ClientHellos for one name, never finished', ('hello -p {p.https} -c 256 -s first.example.com',)),
    Attack('shake', 'whole TLS handshakes for one name', ('shake -p {p.https} -c 64 -s first.example.com',)),
    Attack('flood', 'requests for one name, 256 connections', ('flood -p {p.http} -c 256 -t http -s first.example.com',)),
    Attack('crowd', 'flash crowd: 1,500 good new customers/s', ('crowd -p {p.http} -c 4000 -r 1000 -t http -s first.example.com',
                                                                'crowd -p {p.echo} -c 2000 -r 500 -t raw'), honest=True),
    Attack('two', 'two at once: churn and downloads', ('churn -p {p.echo} -c 256', 'bulk -p {p.source} -c 64')),
    Attack('restart', 'churn and requests while the proxy restarts', ('churn -p {p.echo} -c 256', 'flood -p {p.http} -c 64 -t http -s first.example.com'),
           restart=True),
]
QUICK = ['churn', 'bulk', 'hello', 'crowd']


# ---- what our edge says of it ----
class Watch:
    """The state of our ports, and of the names, as its API shows them; nothing of the peers."""

    def __init__(self, proxy):
        self.admin, self.log = getattr(proxy, 'admin', None), proxy.folder / 'log'
        self.before = self.steps() if self.admin else set()

    def get(self, what):
        door = http.client.HTTPConnection('127.0.0.1', self.admin, timeout=5)
        try:
            door.request('GET', f'/api/v1/{what}')
            return json.loads(door.getresponse().read())
        finally:
            door.close()

    def ports(self):
        return {f"{p['tenant']}/{p['service']}": p['state'] for p in self.get('ports')}

    def steps(self):
        """Each step of the ladder that it has told of, whomever it was taken against."""
        return {(e['tenant'], e['object'], e['reason'], e['message'], e['count']) for e in self.get('events') if e['reason'] in STEPS}

    def first_step(self, since_ns, limit=SETTLE):
        """ms until a first step of the ladder was taken, as its log dates it: whoever asks from outside competes with the attackers for a CPU, and may
        hear of it a third of a second later. None when there was none within `limit`. What asking costs ends before the count begins."""
        to_wall = time.time_ns() - time.monotonic_ns()
        while self.admin and time.monotonic_ns() < since_ns + limit * 1e9:
            if self.told():
                taken = [at - since_ns - to_wall for at in self.logged()]
                return min(t for t in taken if t > -10**6) / 1e6  # the log has milliseconds
            time.sleep(0.02)
        return None

    def logged(self):
        """When it took steps, in ns of the wall clock."""
        for line in self.log.read_text().splitlines():
            at, _, says = line.partition(' ')
            if STEP_LOGGED.search(says):
                yield int(datetime.datetime.fromisoformat(at).timestamp() * 1000) * 10**6

    def told(self):
        try:
            return sorted(map(list, self.steps() - self.before))
        except (OSError, http.client.HTTPException, ValueError):
            return []  # it is restarting

    def states(self):
        return self.ports() if self.admin else None


# ---- a round ----
@contextlib.contextmanager
def first_of_all(bench, proxy, control=True):
    """It runs, before all else on its CPU."""
    with bench.running([proxy], hosts=TENANTS):
        before_all(proxy, control)
        yield


class Calmness:
    """Whether somebody else used the CPUs meanwhile."""

    def __init__(self, proxy, helpers, spun):
        self.proxy, self.helpers, self.spun = proxy, helpers, spun
        self.restarted = 0
        self.before = self.now()

    def restarts(self):
        """What the proxy has used until here is a child's that was waited for from now on."""
        self.restarted += cpu_seconds(self.proxy.pids())

    def now(self):
        own = os.times()
        return {'proxy': cpu_seconds(self.proxy.pids()), 'load': cpu_seconds(self.helpers) + measure.children_cpu() + own.user + own.system,
                'spun': {cpu: self.spun(cpu) for cpu in (PROXY_CPU, LOAD_CPU)}, 'cpus': cpu_times(), 'at': time.monotonic()}

    def end(self):
        a, b = self.before, self.now()
        wall = b['at'] - a['at']
        used = {PROXY_CPU: b['proxy'] - a['proxy'] + self.restarted, LOAD_CPU: b['load'] - a['load'] - self.restarted}
        known = {cpu: used[cpu] + b['spun'][cpu] - a['spun'][cpu] for cpu in used}
        foreign = [measure.foreign_share(a['cpus'], b['cpus'], cpu, known[cpu], wall) for cpu in known]
        steal = max((b['cpus'][c][2] - a['cpus'][c][2]) / (wall * TICKS) for c in (PROXY_CPU, LOAD_CPU))
        return {'proxy_share': round(used[PROXY_CPU] / wall, 3), 'load_share': round(used[LOAD_CPU] / wall, 3), 'foreign': [round(f, 3) for f in foreign],
                'steal': round(steal, 3), 'calm': max(foreign) <= FOREIGN_MAX and steal <= STEAL_MAX}


def sleep_until(at_ns):
    time.sleep(max(0, at_ns - time.monotonic_ns()) / 1e9)


def attackers(bench, proxy, attack, seconds, stack):
    children = []
    for words in attack.commands:
        children.append(Child([bench.tools / 'attack', *words.format(p=proxy).split(), '-d', round(seconds, 2)], nice=39))
        stack.callback(children[-1].stop)
    return children


def one_round(bench, proxy, attack, helpers, spun):
    calm_s, count_s = bench.seconds, bench.seconds
    restart_s = 4 if attack.restart else 0  # of the attack before and for the restart
    with first_of_all(bench, proxy), contextlib.ExitStack() as stack:
        watch = Watch(proxy)
        victims = Victims(bench, proxy, WARM + calm_s + restart_s + SETTLE + count_s + AFTER, stack)
        where = Where(PROXY_CPU, stack, spun.pids) if bench.options.where else None
        sleep_until(victims.start + int((WARM + calm_s) * 1e9))
        calmness = Calmness(proxy, helpers, spun)
        hostile = attackers(bench, proxy, attack, restart_s + SETTLE + count_s, stack)
        began = hostile[0].start
        noticed = watch.first_step(began)
        since = began
        if attack.restart:
            calmness.restarts()
            if where:
                where.seen(proxy.pids())
            proxy.restart()
            before_all(proxy)
            since = time.monotonic_ns()
        end = min(since + int((SETTLE + count_s) * 1e9), began + int((restart_s + SETTLE + count_s) * 1e9))
        sleep_until(end)
        told, states = watch.told(), watch.states()
        if where:
            where.seen(proxy.pids())
            where.end()
        attack_says = [h.end() for h in hostile]
        records = victims.end()
        shares = calmness.end()
    calm = (victims.start + int(WARM * 1e9), began)
    counted = (since + int(SETTLE * 1e9), end)
    streams = {k: summary(r, calm, counted) for k, r in records.items()}
    return {'value': streams['http']['vdr'], **streams, **shares, 'noticed_ms': noticed,
            'harmed_ms': harmed_ms(records['http'], calm, began, end), 'told': told, 'states': states, 'attackers': attack_says,
            **({'restart_ms': (since - began) / 1e6} if attack.restart else {}),
            **({'slowest': where.shares(between(records['http'], *counted))} if where else {})}


# ---- ours alone: open again, and never shut by customers ----
def reopening(bench, proxy, attack):
    """Seconds from the attack's end until a customer of that port is served again."""
    with first_of_all(bench, proxy), contextlib.ExitStack() as stack:
        victims = Victims(bench, proxy, WARM + 5 + 2 * REOPEN_MOST_S, stack)
        sleep_until(victims.start + int(WARM * 1e9))
        hostile = attackers(bench, proxy, attack, 4, stack)
        watch = Watch(proxy)
        for h in hostile:
            h.end()
        over, states = time.monotonic(), watch.states()
        while not echoes(proxy.echo) and time.monotonic() < over + 2 * REOPEN_MOST_S - 5:
            time.sleep(0.1)
        return {'seconds': round(time.monotonic() - over, 2), 'served': echoes(proxy.echo), 'states_at_end': states}


def echoes(port):
    try:
        with socket.create_connection(('127.0.0.1', port), timeout=1) as s:
            s.sendall(b'again?')
            return s.recv(64) == b'again?'
    except OSError:
        return False


def crowds(bench, proxy, tries):
    """A flash crowd again and again, victims beside it: how often a port was shut, and what customers of the crowd got."""
    shut = good = bad = 0
    states, told = {}, []
    crowd = next(a for a in ATTACKS if a.honest)
    with first_of_all(bench, proxy), contextlib.ExitStack() as stack:
        Victims(bench, proxy, 30 + 2 * tries, stack)
        watch = Watch(proxy)
        for _ in range(tries):
            hostile = attackers(bench, proxy, crowd, 1, stack)
            says = [h.end() for h in hostile]
            good, bad = good + sum(s['good'] for s in says), bad + sum(s['bad'] for s in says)
            for state in watch.ports().values():
                states[state] = states.get(state, 0) + 1
            new = [t for t in watch.told() if t not in told]
            told += new
            shut += any(t[2] in SHUT for t in new)
    return {'tries': tries, 'shut': shut, 'good': good, 'bad': bad, 'states': states, 'told': told}


# ---- the work ----
class Isolation:
    name, title, unit = 'isolation', 'victims while a neighbour is attacked: p99 under attack / p99 calm', '× calm'
    bar = f'VDR ≤ {VDR_MOST}, {SUCCESS_LEAST:.1%} good'

    def run(self, bench):
        known = QUICK if bench.quick else [a.name for a in ATTACKS]
        wanted = bench.options.attacks.split(',') if bench.options.attacks else known
        unknown = set(wanted) - {a.name for a in ATTACKS}
        if unknown:
            raise SystemExit(f"bench: no attack {', '.join(sorted(unknown))}; there are {', '.join(a.name for a in ATTACKS)}")
        chosen = [a for a in ATTACKS if a.name in wanted]
        names = ['ringress', *(p for p in bench.options.peers.split(',') if p)]
        with before_others() as spun, attacked_backend(bench) as pod, at_priority(PRIORITY_POD, bench.backend.pid):
            proxies = neighbours(bench, names, bench.backend_port + 12)
            rounds = self.rounds(bench, proxies, chosen, [bench.backend.pid, pod.pid], spun)
            ours = self.ours(bench, proxies[0], wanted)
        return self.judge(chosen, names, rounds, ours)

    def rounds(self, bench, proxies, chosen, helpers, spun):
        rounds = {}
        for r in range(bench.rounds):
            for attack in chosen:
                for proxy in proxies if r % 2 == 0 else proxies[::-1]:
                    for _ in range(1 if bench.quick else TRIES):
                        one = one_round(bench, proxy, attack, helpers, spun)
                        bench.say(f'isolation round {r + 1} {attack.name} {proxy.name}: {line(one)}')
                        if one['calm']:
                            break
                    rounds.setdefault((attack.name, proxy.name), []).append(one)
        return rounds

    def ours(self, bench, proxy, wanted):
        """What only we promise."""
        found = {}
        if 'churn' in wanted and not bench.quick:
            found['reopening'] = {name: reopening(bench, proxy, next(a for a in ATTACKS if a.name == name)) for name in ('churn', 'hold')}
            bench.say(f"isolation: open again {found['reopening']}")
        if 'crowd' in wanted:
            found['crowds'] = crowds(bench, proxy, 3 if bench.quick else 100)
            bench.say(f"isolation: crowds {found['crowds']}")
        return found

    def judge(self, chosen, names, rounds, ours):
        series = []
        for attack in chosen:
            for name in names:
                mine = rounds[attack.name, name]
                series.append({'proxy': f'{name}, {attack.name}', 'attack': attack.name, 'title': attack.title, 'rounds': mine,
                               'median': median(mine, 'http'), 'median_tls': median(mine, 'tls'), 'median_past': median(mine, 'past'),
                               'success': success(mine), 'noticed_ms': [m['noticed_ms'] for m in mine],
                               'harmed_ms': [m['harmed_ms'] for m in mine]})
        faults = self.faults([s for s in series if s['proxy'].startswith('ringress')], ours)
        worst = max((max(s['median'], s['median_tls']) for s in series if s['proxy'].startswith('ringress')))
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar, 'series': series, **ours,
                'verdict': {'value': worst, 'max': VDR_MOST, 'ok': not faults,
                            'says': f"worst VDR {worst:.2f}, at most {VDR_MOST}{''.join('; ' + f for f in faults)}"}}

    def faults(self, mine, ours):
        found = []
        for s in mine:
            for kind, value in (('HTTP', s['median']), ('TLS', s['median_tls'])):
                if not value <= VDR_MOST:
                    found.append(f"{s['attack']}: {kind} VDR {value:.2f}")
            if s['success'] < SUCCESS_LEAST:
                found.append(f"{s['attack']}: {s['success']:.2%} good")
            late = [(n, h) for n, h in zip(s['noticed_ms'], s['harmed_ms']) if n is not None and n > NOTICED_MOST_MS]
            if late:
                noticed, harmed = max(late, key=lambda pair: pair[0])
                found.append(f"{s['attack']}: noticed after {noticed:.0f} ms, {'before' if harmed is None or harmed > noticed else f'{noticed - harmed:.0f} after'}"
                             ' the first harm')
            wrong = {t[0] for r in s['rounds'] for t in r['told']} - {'first', 'second'}
            if wrong:
                found.append(f"{s['attack']}: steps against {', '.join(sorted(wrong))}")
        for name, r in ours.get('reopening', {}).items():
            if not r['served'] or r['seconds'] > REOPEN_MOST_S:
                found.append(f"{name}: open again after {r['seconds']} s")
        if ours.get('crowds', {}).get('shut'):
            found.append(f"a crowd was shut out {ours['crowds']['shut']} times")
        return found


def median(rounds, stream):
    calm = [r[stream]['vdr'] for r in rounds if r['calm']]
    return statistics.median(calm or [r[stream]['vdr'] for r in rounds])


def success(rounds):
    """Of all victims' requests of all rounds, from a second after the start."""
    failed = sum(sum(r[k]['failed'].values()) for r in rounds for k in ('http', 'tls'))
    return 1 - failed / max(1, sum(r[k]['requests'] for r in rounds for k in ('http', 'tls')))


def line(one):
    cells = [f"{k} {one[k]['calm_p99_ms']:.2f}→{one[k]['attack_p99_ms']:.2f} ms ×{one[k]['vdr']:.2f}"
             f" (p50 {one[k]['calm_p50_ms']:.2f}→{one[k]['attack_p50_ms']:.2f}) good {one[k]['success']:.2%}" for k in ('http', 'tls', 'past')]
    slowest = ' slowest waited: it ran {proxy:.0%}, others {others:.0%}, nobody {nobody:.0%}'.format(**one['slowest']) if one.get('slowest') else ''
    harmed = '' if one.get('harmed_ms') is None else f" harmed {one['harmed_ms']:.0f} ms"
    noticed = '' if one['noticed_ms'] is None else f" noticed {one['noticed_ms']:.0f} ms"
    says = ' '.join(f"[{a['kind']} {a['connected'] / a['seconds']:.0f} conn/s {(a['bytes_in'] + a['bytes_out']) / a['seconds'] / 1e6:.0f} MB/s good {a['good']}"
                    f" bad {a['bad']} out {a['thrown_out']} refused {a['refused']} held {a['held_most']}]" for a in one['attackers'])
    return f"{'; '.join(cells)}; cpu {one['proxy_share']:.2f}{harmed}{noticed}{slowest} {says}{'' if one['calm'] else ' (not calm)'}"


@contextlib.contextmanager
def before_others():
    """All that is started from here, each proxy alike, runs before what else the machine does; the attackers still come last. What awake()
    says."""
    was, session = os.getpriority(os.PRIO_PROCESS, 0), session_nice_now()
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except PermissionError:
        raise SystemExit('bench: isolation needs to be root: its victims run at real-time priority') from None
    try:
        session_nice('self', NICE)
        with unthrottled(), awake([LOAD_CPU]) as spun:
            yield spun
    finally:
        session_nice('self', session)
        os.setpriority(os.PRIO_PROCESS, 0, was)


@contextlib.contextmanager
def attacked_backend(bench):
    """The pods of those who are attacked: not the victims', whose pods nobody disturbs."""
    port = bench.backend_port + 12
    process = subprocess.Popen(pinned([bench.tools / 'backend', port]), preexec_fn=lambda: os.nice(-NICE))
    try:
        while not accepts(port):
            if process.poll() is not None:
                raise RuntimeError('the backend of the attacked did not start')
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
