# SPDX-License-Identifier: GPL-3.0-or-later
"""awake.py - processors that do not fall asleep while waits are measured.

A virtual processor that has nothing to do is given back, and comes again when its host likes: on a shared host one wake-up in a hundred took
more than a millisecond, which is more than what is measured here. So something runs on each CPU that yields to everything else at once: a
program in a cgroup with cpu.idle (Linux 5.15), which shares its CPU with nobody who wants it. It is no load: whoever wakes up preempts it.

Only who wakes up, though: of two who can run already the kernel (EEVDF) takes the one that has had less of its share, that is, this one, and for a
tick, 4 ms, also where the other was merely preempted for a moment. So it has no place where a proxy is measured, which has real-time priority there instead
(the kernel keeps a twentieth of each second, in one piece, for what waits for such a CPU in vain, and that would be this).

    with awake([1]) as spun:   # spun(cpu): seconds it has used, so that nobody takes them for another's work"""
import contextlib
import os
import pathlib
import subprocess
import sys

from measure import cpu_seconds, pinned
from proxies import end_with_parent

NAME = f'ringress-bench-{os.getpid()}'
SPIN = 'while True: pass'


def controllers():
    """Where a cgroup that shares the CPU may be made: version 1 by its own controller, version 2 at the top."""
    for line in pathlib.Path('/proc/self/mounts').read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == 'cgroup2' or (kind == 'cgroup' and 'cpu' in options.split(',')):
            yield pathlib.Path(place)


@contextlib.contextmanager
def idle_group():
    """None where there is no such thing, or it may not be made."""
    for parent in controllers():
        group = parent / NAME
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / 'cpu.idle').write_text('1')
        except OSError:
            group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    yield None


class Spun:
    """What keeps the processors awake; nothing where there is no cpu.idle."""

    def __init__(self, spinners):
        self.spinners, self.pids = spinners, list(spinners.values())

    def __call__(self, cpu):
        return cpu_seconds([self.spinners[cpu]]) if cpu in self.spinners else 0.0


@contextlib.contextmanager
def awake(cpus):
    with idle_group() as group, contextlib.ExitStack() as stack:
        spinners = {}
        for cpu in cpus if group else ():
            spinners[cpu] = subprocess.Popen(pinned([sys.executable, '-c', SPIN], cpu), preexec_fn=lambda: enter(group))
            stack.callback(end, spinners[cpu])
        yield Spun({cpu: s.pid for cpu, s in spinners.items()})


def enter(group):
    end_with_parent()
    (group / 'cgroup.procs').write_text(str(os.getpid()))


def end(process):
    process.kill()
    process.wait()
