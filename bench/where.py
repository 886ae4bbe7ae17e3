# SPDX-License-Identifier: GPL-3.0-or-later
"""where.py - what the proxy's CPU did while the slowest of the victims waited (`--where`).

A p99 of a millisecond or two is as much the machine's as the proxy's: its host, which wakes a virtual processor late, its own daemons, the load. The
kernel tells which (ftrace's sched_switch, in an instance of its own); each moment of the slowest hundredth's waits is one of three:

  proxy    it ran: its work for this request, and for all who came before it
  others   somebody else had its CPU, and it may have wanted it
  nobody   its CPU had nothing to do, or was not there: the request was with the load, the pod or the host"""
import contextlib
import os
import pathlib
import re
import subprocess

import numpy

TRACING = pathlib.Path('/sys/kernel/tracing')
BUFFER_KB = 64 << 10
SWITCH = re.compile(r'\s([\d.]+): sched_switch: .*next_pid=(\d+)')
KINDS = ('proxy', 'others', 'nobody')


def threads(pids):
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found |= set(map(int, os.listdir(f'/proc/{pid}/task')))
    return found


@contextlib.contextmanager
def tracefs():
    """Mounted, for as long as it takes where nobody had done so."""
    mine = not (TRACING / 'instances').is_dir()
    if mine and subprocess.run(['mount', '-t', 'tracefs', 'tracefs', str(TRACING)], check=False).returncode:
        raise SystemExit(f"bench: --where needs the kernel's tracefs on {TRACING}, and may not mount it: run it as root, or without --where")
    try:
        yield
    finally:
        if mine:
            subprocess.run(['umount', str(TRACING)], check=False)


class Where:
    """From its begin to end(): who ran on `cpu`. `idle`: processes that are nobody, as awake.py's."""

    def __init__(self, cpu, stack, idle=()):
        self.folder, self.idle, self.ours = TRACING / f'instances/ringress-bench-{os.getpid()}', {0, *idle}, set()
        stack.enter_context(tracefs())
        self.folder.mkdir()
        stack.callback(self.folder.rmdir)
        for name, value in (('trace_clock', 'mono'), ('tracing_cpumask', f'{1 << cpu:x}'), ('buffer_size_kb', str(BUFFER_KB)),
                            ('events/sched/sched_switch/enable', '1')):
            (self.folder / name).write_text(value)

    def seen(self, pids):
        """These are the proxy; told again when it has been started again."""
        self.ours |= threads(pids)

    def end(self):
        (self.folder / 'tracing_on').write_text('0')
        found = SWITCH.findall((self.folder / 'trace').read_text(errors='replace'))
        self.at = numpy.array([round(float(at) * 1e9) for at, _ in found], 'i8')
        kinds = numpy.array([self.kind(int(pid)) for _, pid in found], 'i1')
        spans = numpy.diff(self.at)
        self.sums = [numpy.concatenate(([0], numpy.cumsum(numpy.where(kinds[:-1] == k, spans, 0)))) for k in range(len(KINDS))]

    def kind(self, pid):
        return 2 if pid in self.idle else 0 if pid in self.ours else 1

    def shares(self, records):
        """Of the waits of the slowest hundredth of these records; None where nothing was seen of them."""
        slow = numpy.sort(records, order='latency')[-max(1, len(records) // 100):]
        begin, end = slow['due'].astype('i8'), (slow['due'] + slow['latency'].astype('u8') * 1000).astype('i8')
        if len(self.at) < 2 or begin.min() < self.at[0]:
            return None
        spent = [float((numpy.interp(end, self.at, s) - numpy.interp(begin, self.at, s)).sum()) for s in self.sums]
        return {k: round(s / max(1.0, sum(spent)), 3) for k, s in zip(KINDS, spent)}
