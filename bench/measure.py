# SPDX-License-Identifier: GPL-3.0-or-later
"""measure.py - one timed load command and what it cost the proxy.

    quiet? -> warm up -> CPU before -> load on CPU 1 -> CPU after -> calm? -> a Round

The proxy's CPU is utime + stime of its processes: all threads, all children, so a worker of io_uring is counted, too.
A round is calm when nobody else used either CPU meanwhile; one that is not is taken again, twice at most."""
import contextlib
import json
import os
import pathlib
import re
import resource
import subprocess
import time
from dataclasses import asdict, dataclass

PROXY_CPU, LOAD_CPU = 0, 1
TICKS = os.sysconf('SC_CLK_TCK')
FOREIGN_MAX, STEAL_MAX = 0.08, 0.03
TRIES = 3  # of a round that others disturb


@dataclass
class Round:
    value: float          # CPU µs per request or connection, or CPU s per GB
    cpu_seconds: float
    done: int
    bytes: int
    seconds: float
    errors: int
    p50_us: float
    p99_us: float
    proxy_share: float    # of its CPU
    foreign: list         # share of each CPU that others used
    steal: float
    calm: bool

    def to_dict(self):
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


# ---- processes ----
def tree(pid):
    """The process and all that descend from it."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        try:
            threads = os.listdir(f'/proc/{p}/task')
            for t in threads:
                todo += map(int, pathlib.Path(f'/proc/{p}/task/{t}/children').read_text().split())
            found.append(p)
        except OSError:
            continue
    return found


def cpu_seconds(pids):
    total = 0
    for p in pids:
        try:
            fields = pathlib.Path(f'/proc/{p}/stat').read_text().rsplit(')', 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def rss_kib(pids):
    total = 0
    for p in pids:
        found = re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{p}/status').read_text())
        total += int(found.group(1)) if found else 0
    return total


def cpu_times():
    """{cpu: (all, idle, stolen)} in ticks."""
    times = {}
    for line in pathlib.Path('/proc/stat').read_text().splitlines():
        if re.match(r'cpu\d', line):
            name, *v = line.split()
            v = [int(x) for x in v[:8]]
            times[int(name[3:])] = (sum(v), v[3] + v[4], v[7])
    return times


def wait_quiet(limit=20):
    """Until both CPUs were nearly idle for a moment, or `limit` seconds have passed."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        a = cpu_times()
        time.sleep(0.15)
        b = cpu_times()
        if all((b[c][1] - a[c][1]) / max(1, b[c][0] - a[c][0]) > 0.85 for c in (PROXY_CPU, LOAD_CPU)):
            return
        time.sleep(0.3)


def session_nice(pid, nice):
    """Where the kernel shares a CPU by session (autogroup), a process' own nice counts only against those of its session."""
    with contextlib.suppress(FileNotFoundError):
        pathlib.Path(f'/proc/{pid}/autogroup').write_text(str(nice))


def session_nice_now():
    """Of our own session; 0 where the kernel does not share by session."""
    with contextlib.suppress(FileNotFoundError):
        return int(pathlib.Path('/proc/self/autogroup').read_text().split()[-1])
    return 0


# ---- load ----
def pinned(command, cpu=LOAD_CPU):
    return ['taskset', '-c', str(cpu), *map(str, command)]


@contextlib.contextmanager
def placed(cpu):
    """What is started within by this thread, processes and threads, runs there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_load(command, limit=120):
    """Runs load or wrk on CPU 1; a dict with done, bytes, seconds, errors, p50_us, p99_us."""
    done = subprocess.run(pinned(command), capture_output=True, text=True, timeout=limit)
    text = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(f"{command[0]}: exit {done.returncode}: {text[-500:]}")
    parse = {'wrk': parse_wrk, 'h2load': parse_h2load}.get(pathlib.Path(command[0]).name)
    return parse(text) if parse else parse_own(done.stdout)


def run_turns(command, limit=300):
    """load turns: its slices, each a dict. Not one request may have failed: a slice is cut where one does."""
    done = subprocess.run(pinned(command), capture_output=True, text=True, timeout=limit)
    if done.returncode:
        raise RuntimeError(f'load turns: exit {done.returncode}: {done.stderr[-500:]}')
    *slices, last = done.stdout.splitlines()
    if parse_own(last)['errors']:
        raise RuntimeError(f'load turns: {last}')
    return [json.loads(s) for s in slices]


def parse_own(text):
    r = json.loads(text.splitlines()[-1])
    r['errors'] = r['failed_dial'] + r['failed_tls'] + r['failed_answer']
    return r


def parse_wrk(text):
    total = re.search(r'(\d+) requests in ([\d.]+)(ms|s|m), ([\d.]+)(\w+) read', text)
    if not total:
        raise RuntimeError(f"wrk said: {text[-500:]}")
    units = {'us': 1, 'ms': 1e3, 's': 1e6, 'm': 6e7, 'B': 1, 'KB': 2**10, 'MB': 2**20, 'GB': 2**30}

    def percentile(p):
        m = re.search(rf'^\s+{p}%\s+([\d.]+)(\w+)', text, re.M)
        return float(m.group(1)) * units[m.group(2)] if m else -1
    socket_errors = re.search(r'Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)', text)
    bad = re.search(r'Non-2xx or 3xx responses: (\d+)', text)
    return {'done': int(total.group(1)), 'seconds': float(total.group(2)) * units[total.group(3)] / 1e6,
            'bytes': int(float(total.group(4)) * units[total.group(5)]),
            'errors': sum(map(int, socket_errors.groups() if socket_errors else [])) + int(bad.group(1) if bad else 0),
            'p50_us': percentile(50), 'p99_us': percentile(99)}


def parse_h2load(text):
    total = re.search(r'requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored', text)
    time_taken = re.search(r'finished in ([\d.]+)(us|ms|s)', text)
    traffic = re.search(r'traffic: \S+ \((\d+)\) total', text)
    if not total or not time_taken or not traffic or 'Application protocol: h2' not in text:
        raise RuntimeError(f"h2load said: {text[-500:]}")
    return {'done': int(total.group(1)), 'errors': int(total.group(2)) + int(total.group(3)),
            'seconds': float(time_taken.group(1)) * {'us': 1e-6, 'ms': 1e-3, 's': 1}[time_taken.group(2)],
            'bytes': int(traffic.group(1)), 'p50_us': -1, 'p99_us': -1}


# ---- a round ----
def measure(proxy, bench, command, per='done', warm=None):
    """The median's raw material: one Round, tried again while others disturb it."""
    for _ in range(1 if bench.quick else TRIES):
        if not bench.quick and not bench.options.first:
            wait_quiet()
        result = measure_once(proxy, bench.backend.pid, command, per, warm)
        if result.calm:
            break
    return result


def measure_once(proxy, backend_pid, command, per, warm):
    if warm:
        run_load(warm)
    backend = [backend_pid]
    proxy0, backend0, load0 = cpu_seconds(proxy.pids()), cpu_seconds(backend), children_cpu()
    cpus0, t0 = cpu_times(), time.monotonic()
    load = run_load(command)
    wall, cpus1 = time.monotonic() - t0, cpu_times()
    cpu = cpu_seconds(proxy.pids()) - proxy0
    helpers = cpu_seconds(backend) - backend0 + children_cpu() - load0
    foreign = [foreign_share(cpus0, cpus1, PROXY_CPU, cpu, wall), foreign_share(cpus0, cpus1, LOAD_CPU, helpers, wall)]
    steal = max((cpus1[c][2] - cpus0[c][2]) / (wall * TICKS) for c in (PROXY_CPU, LOAD_CPU))
    amount = load[per] / 1e9 if per == 'bytes' else load[per] / 1e6
    return Round(value=cpu / amount if amount else float('nan'), cpu_seconds=cpu, done=load['done'],
                 bytes=load['bytes'], seconds=load['seconds'], errors=load['errors'], p50_us=load['p50_us'],
                 p99_us=load['p99_us'], proxy_share=cpu / wall, foreign=[round(f, 3) for f in foreign], steal=steal,
                 calm=max(foreign) <= FOREIGN_MAX and steal <= STEAL_MAX)


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def foreign_share(before, after, cpu, ours, wall):
    ticks, idle = (after[cpu][i] - before[cpu][i] for i in (0, 1))
    return (ticks - idle) / max(1, ticks) - ours / wall


# ---- rows of how long one waited, not of what a load cost ----
def timed_row(work, proxy, rounds, many, says):
    """`rounds`: milliseconds of one after the other; `many`: what was measured of many at once, `says` tells it.
    The bars are `work.most` for the slowest round and `work.lag_most` for the loop lag meanwhile."""
    values = sorted(r['value'] for r in rounds)
    median, worst = values[len(values) // 2], values[-1]
    return {'work': work.name, 'title': work.title, 'unit': work.unit, 'bar': work.bar, **many,
            'series': [{'proxy': proxy, 'rounds': rounds, 'median': median, 'worst': worst}],
            'verdict': {'value': worst, 'max': work.most, 'ok': worst <= work.most and many['lag_ms'] <= work.lag_most,
                        'says': f'median {median:.0f} ms, worst {worst:.0f} of {len(values)}, at most {work.most}; {says}, '
                                f"loop lag {many['lag_ms']:.1f} ms, at most {work.lag_most}; meanwhile the workers "
                                f"waited {many['waited_ms']:.0f} ms for a processor"}}


def lag_ms(metrics):
    """The longest turn of a worker since the edge's metrics, these lines, were last asked for."""
    return max(float(line.split()[-1]) for line in metrics if line.startswith('ringress_worker_loop_lag_max_seconds{')) * 1000


def waited_ms(pid):
    """How long the workers were ready to run and had no processor: what others' work adds to their lag."""
    tasks = [t for t in pathlib.Path(f'/proc/{pid}/task').iterdir() if (t / 'comm').read_text().startswith('worker')]
    return sum(int((t / 'schedstat').read_text().split()[1]) for t in tasks) / 1e6
