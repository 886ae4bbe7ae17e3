# SPDX-License-Identifier: GPL-3.0-or-later
"""unseen.py - `isolation-extra`: what a judge might try, beside the twelve attacks of `isolation`; Ringress alone.

    storm.c plays a text against first.example.com, its raw ports, a name that is passed through, or nobody's; evil.c is its pods

Victims, rounds and what is counted are those of `isolation`. After each attack the edge rests, and what the attack left behind is counted."""
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import isolation
from isolation import SETTLE, AFTER, WARM, NICE, Calmness, Watch, attacked_backend, before_others, first_of_all, sleep_until
from measure import pinned
from neighbours import RingressNeighbours
from proxies import ENDPOINT, RULE, TENANT, accepts
from victims import PRIORITY_POD, TENANTS, Child, Victims, at_priority, summary

EVIL = 16          # ports of evil.c: from the attacked backend's on
MANY = 20          # tenants who attack together, each a little
P99_MOST, SUCCESS_LEAST, LEAST_MS = 3, 0.999, 2   # a finding: p99 is so many times that of the calm, and longer than this
REST, SLACK_FDS, SLACK_BUFFERS = 3.0, 64, 64


# ---- texts ----
def get(path, *fields, host='first.example.com', method='GET', body=''):
    return '\r\n'.join([f'{method} {path} HTTP/1.1', f'Host: {host}', *fields, '', body]).encode()


def hello(name, **context):
    """What a client of TLS says first."""
    c = ssl.create_default_context()
    c.minimum_version = ssl.TLSVersion.TLSv1_3
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        c.wrap_bio(into, out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + struct.pack('>BBI', kind, flags, stream) + payload


def field(name, value):
    return b'\0' + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def head(path, host='first.example.com', method='POST', *more):
    fields = [(':method', method), (':scheme', 'http'), (':authority', host), (':path', path), ('content-type', 'application/grpc'), ('te', 'trailers'), *more]
    return b''.join(field(*f) for f in fields)


NEXT = 0x7fffffff  # storm.c's mark for the next stream
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0) + frame(4, 1, 0)
WINDOW = frame(8, 0, 0, struct.pack('>I', 65535))
MESSAGE = b'\0\0\0\0\5hello'
UPGRADE = ('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')


def call(path, end=True):
    return frame(1, 4, NEXT, head(path)) + frame(0, int(end), NEXT, MESSAGE)


def opened(path, count, first=1):
    return b''.join(frame(1, 4, first + 2 * i, head(path)) + frame(0, 0, first + 2 * i, MESSAGE) for i in range(count))


TEXTS = {
    'get': get('/small'), 'close': get('/small', 'Connection: close'), 'head': get('/small', method='HEAD'), 'options': get('/small', method='OPTIONS'),
    'ranges': get('/64k', 'Range: bytes=' + ','.join(f'{i}-{i + 1}' for i in range(1000))), 'get64k': get('/64k'),
    'fields': get('/small', *(f'X-Field-{i}: {"x" * 100}' for i in range(90))), 'cookie': get('/small', 'Cookie: c=' + 'x' * 16000),
    'paths': get('/########'), 'nobody': get('/', host='########.example.org'), 'many': get('/small', host='a$$.example.com'),
    'x': b'x', 'kilo': b'x' * 1024, 'big': b'x' * 65536,
    'slowhead': b'GET / HTTP/1.1\r\nHost: first.example.com\r\nX-Slow: ', 'slowbody': get('/small', 'Content-Length: 1000000', method='POST'),
    'expect': get('/small', 'Content-Length: 1000000', 'Expect: 100-continue', method='POST'),
    'ws': get('/ws', *UPGRADE), 'wsquiet': get('/wsquiet', *UPGRADE), 'frame': b'\x82\xfe\x0f\xfc\0\0\0\0' + b'x' * 4092, 'tinyframe': b'\x81\x80\0\0\0\0',
    'h2': PREFACE, 'unary': call('/unary/p.S/M') + WINDOW, 'slowstreams': PREFACE + opened('/streaming/p.S/M', 100),
    'streams': PREFACE + opened('/silent/p.S/M', 100), 'manystreams': PREFACE + opened('/streaming/p.S/M', 100),
    'windows': b''.join(frame(8, 0, i, struct.pack('>I', 16384)) for i in (0, *range(1, 200, 2))),
    'h2goaway': call('/goaway/p.S/M') + WINDOW, 'h2rst': call('/rst/p.S/M') + WINDOW, 'h2pings': call('/pings/p.S/M') + WINDOW,
    'h2window': PREFACE + opened('/window/p.S/M', 100),
    'hellonobody': hello('########.example.org'), 'hello': hello('first.example.com'), 'halfhello': hello('first.example.com')[:100],
    'passed': hello('pass.first.example.com'), 'passbulk': hello('passbulk.first.example.com'), 'record': b'\x17\x03\x03\0\1x',
    **{name: get(f'/{name}') for name in ('endless', 'reset', 'drip', 'dripbody', 'heads', 'interim', 'extension', 'half', 'silent')},
    'mute': get('/window'), 'deaf': get('/deaf', 'Content-Length: 1000000000', method='POST'),
    'metrics': get('/metrics', host='localhost'), 'tenants': get('/api/v1/tenants', host='localhost'),
}


@dataclass
class Extra(isolation.Attack):
    of_control: bool = False  # its thread is what is attacked


def storm(name, title, *words, **more):
    """Words name texts as {NAME}."""
    return Extra(name, title, tuple(words), **more)


def evil(name, title, count=256):
    return storm(f'pod-{name}', title, f'storm -p {{p.http}} -c {count} -o {{t.{name}}} -f {{t.{name}}} -e answer')


EXTRA = [
    storm('ws-hold', '6,000 WebSockets held open', 'storm -p {p.http} -c 6000 -o {t.wsquiet}'),
    storm('ws-flood', 'frames without end both ways, 64 WebSockets', 'storm -p {p.http} -c 64 -o {t.ws} -f {t.frame} -e always'),
    storm('ws-tiny', 'frames of 6 bytes without end, 64 WebSockets', 'storm -p {p.http} -c 64 -o {t.wsquiet} -f {t.tinyframe} -e always'),
    storm('ws-slow', '1,000 WebSockets that never read what pods send without end', 'storm -p {p.http} -c 1000 -o {t.ws} -n none -b 4096'),
    storm('ws-churn', 'upgrades, each reset at once', 'storm -p {p.http} -c 256 -o {t.wsquiet} -w answer'),
    storm('grpc-unary', 'unary calls, 64 connections', 'storm -p {p.http} -c 64 -o {t.h2} -f {t.unary} -e answer'),
    storm('grpc-flood', 'unary calls without waiting, 64 connections', 'storm -p {p.http} -c 64 -o {t.h2} -f {t.unary} -e always'),
    storm('grpc-hold', '100 connections of 100 calls that pods never answer', 'storm -p {p.http} -c 100 -o {t.streams}'),
    storm('grpc-slow', '100 connections of 100 server streams that nobody reads', 'storm -p {p.http} -c 100 -o {t.slowstreams} -n none -b 4096'),
    storm('grpc-bulk', '16 connections of 100 server streams, all read', 'storm -p {p.http} -c 16 -o {t.manystreams} -f {t.windows} -e answer'),
    storm('sni-nobody', 'ClientHellos for names that nobody has', 'storm -p {p.https} -c 256 -o {t.hellonobody} -w answer'),
    storm('sni-bytes', 'ClientHellos a byte at a time', 'storm -p {p.https} -c 256 -o {t.hello} -k 1:0 -w answer'),
    storm('sni-half', '12,000 half ClientHellos', 'storm -p {p.https} -c 12000 -o {t.halfhello}'),
    storm('pass-churn', 'passed-through ClientHellos, reset at the answer', 'storm -p {p.https} -c 256 -o {t.passed} -w answer'),
    storm('pass-bulk', '64 passed-through downloads', 'storm -p {p.https} -c 64 -o {t.passbulk}'),
    storm('pass-bytes', 'passed-through records of one byte', 'storm -p {p.https} -c 64 -o {t.passed} -f {t.record} -e always'),
    storm('tls-resume', 'resumed handshakes and a request', 'storm -p {p.https} -c 64 -t first.example.com -r -o {t.get} -w answer'),
    storm('tls-keys', 'TLS key updates without end', 'storm -p {p.https} -c 64 -t first.example.com -o {t.get} -u -e 0'),
    storm('tls-bytes', 'requests in TLS records of one byte', 'storm -p {p.https} -c 64 -t first.example.com -o {t.get} -f {t.get} -e answer -k 1:0'),
    storm('tls-bulk', '64 KiB answers over TLS', 'storm -p {p.https} -c 64 -t first.example.com -o {t.get64k} -f {t.get64k} -e answer'),
    evil('endless', 'pods whose answers have no end'), evil('reset', 'pods that reset'), evil('drip', 'pods that drip a head', 2000),
    evil('dripbody', 'pods that drip a body', 2000), evil('heads', 'pods whose heads have no end'), evil('interim', 'pods that say 103 without end'),
    evil('extension', "pods whose chunk extensions have no end"), evil('half', 'pods that close in the middle'),
    evil('silent', 'pods that never answer, 2,000 wait', 2000),
    storm('pod-deaf', 'pods that never read, 256 uploads', 'storm -p {p.http} -c 256 -o {t.deaf} -f {t.big} -e always'),
    storm('pod-endless-slow', 'endless answers that nobody reads', 'storm -p {p.http} -c 1000 -o {t.endless} -n none -b 4096'),
    storm('pod-goaway', 'pods of HTTP/2 that say GOAWAY', 'storm -p {p.http} -c 64 -o {t.h2} -f {t.h2goaway} -e answer'),
    storm('pod-rst', 'pods of HTTP/2 that reset each stream', 'storm -p {p.http} -c 64 -o {t.h2} -f {t.h2rst} -e answer'),
    storm('pod-window', 'pods of HTTP/2 that grant no window', 'storm -p {p.http} -c 100 -o {t.h2window}'),
    storm('pod-mute', 'pods of HTTP/2 that never answer, 10,000 clients wait', 'storm -p {p.http} -c 10000 -o {t.mute}'),
    storm('pod-pings', 'pods of HTTP/2 that ping without end', 'storm -p {p.http} -c 64 -o {t.h2} -f {t.h2pings} -e 1000'),
    storm('slow-heads', '10,000 slow heads', 'storm -p {p.http} -c 10000 -o {t.slowhead} -f {t.x} -e 1000'),
    storm('slow-bodies', '4,000 slow bodies', 'storm -p {p.http} -c 4000 -o {t.slowbody} -f {t.x} -e 1000'),
    storm('expect', '4,000 uploads that wait for 100 and say nothing then', 'storm -p {p.http} -c 4000 -o {t.expect}'),
    storm('close', 'a connection for each request', 'storm -p {p.http} -c 256 -o {t.close} -w answer -x fin'),
    storm('head', 'HEAD, 256 connections', 'storm -p {p.http} -c 256 -o {t.head} -f {t.head} -e answer'),
    storm('options', 'OPTIONS, 256 connections', 'storm -p {p.http} -c 256 -o {t.options} -f {t.options} -e answer'),
    storm('fields', 'heads of 90 fields of 100 bytes', 'storm -p {p.http} -c 256 -o {t.fields} -f {t.fields} -e answer'),
    storm('cookie', 'cookies of 16 KB', 'storm -p {p.http} -c 256 -o {t.cookie} -f {t.cookie} -e answer'),
    storm('ranges', 'a thousand ranges a request', 'storm -p {p.http} -c 256 -o {t.ranges} -f {t.ranges} -e answer'),
    storm('pipeline', 'requests without waiting for answers', 'storm -p {p.http} -c 64 -o {t.get} -f {t.get} -e always'),
    storm('pipeline-slow', 'the same, answers of 64 KiB that nobody reads', 'storm -p {p.http} -c 1000 -o {t.get64k} -f {t.get64k} -e always -n none -b 4096'),
    storm('nobody', 'requests for names that nobody has', 'storm -p {p.http} -c 256 -o {t.nobody} -f {t.nobody} -e answer'),
    storm('raw-half', 'raw port: half-closed, then closed', 'storm -p {p.echo} -c 256 -o {t.x} -w answer -x half'),
    storm('raw-rst', 'raw port: 1 KiB, then a reset', 'storm -p {p.echo} -c 256 -o {t.kilo} -w answer'),
    storm('raw-zero', 'raw port: 2,000 downloads that nobody reads', 'storm -p {p.source} -c 2000 -o {t.x} -n none -b 4096'),
    storm('raw-window', 'raw port: 256 downloads, 64 KiB read each 20 ms', 'storm -p {p.source} -c 256 -o {t.x} -n 65536 -b 65536'),
    storm('raw-bytes', 'raw port: a byte at a time, there and back', 'storm -p {p.echo} -c 256 -o {t.x} -f {t.x} -e answer'),
    storm('raw-flood', 'raw port: bytes without end through the echo', 'storm -p {p.echo} -c 64 -o {t.big} -f {t.big} -e always'),
    storm('many', 'twenty tenants attacked at once, 16 connections each', f'storm -p {{p.http}} -c {16 * MANY} -o {{t.many}} -f {{t.many}} -e answer -m {MANY}'),
    storm('many-churn', 'the same, a connection for each request', f'storm -p {{p.http}} -c {16 * MANY} -o {{t.many}} -w answer -m {MANY}'),
    storm('metrics', "the edge's own /metrics", 'storm -p {p.admin} -c 64 -o {t.metrics} -f {t.metrics} -e answer', of_control=True),
    storm('raw-pulse', 'raw port: 256 bursts of 64 KiB at once, each 300 ms', 'storm -p {p.echo} -c 256 -o {t.x} -f {t.big} -e 300'),
    storm('pulse', 'requests: 512 at once, each 300 ms', 'storm -p {p.http} -c 512 -o {t.get} -f {t.get} -e 300'),
]
DROPS = {  # what is written into the attacked tenant's drops, ten times a second
    'routes': 'a file of 1,000 routes', 'broken': 'a file that is not valid', 'huge': 'a file of 32 MB', 'come-and-go': '200 tenants that come and go'}
EXTRA += [Extra(f'drops-{kind}', f'conf.d, ten times a second: {title}', (f'drops {kind} {{p.folder}}',), of_control=True) for kind, title in DROPS.items()]


# ---- who is attacked ----
class Texts:
    """The texts as files, by name."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        for name, data in TEXTS.items():
            (folder / name).write_bytes(data)
            setattr(self, name, folder / name)


SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{port: 80{protocol}}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: {name}}}
subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{port: {port}}}]}}]
"""
PATH = """\
        - {{pathType: Prefix, path: {path}, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}
"""
PASSED = """\
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, annotations: {{ringress/tls-passthrough: "true"}}}}
spec:
  tls: [{{hosts: [{name}.first.example.com]}}]
  rules:
    - host: {name}.first.example.com
      http: {{paths: [{{pathType: Prefix, path: /, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}
"""


class ExtraNeighbours(RingressNeighbours):
    kinds = ()  # (name, whether of HTTP/2) of evil.c

    def write(self, version):
        super().write(version)
        at = self.attacked_pods + EVIL
        services = [(name, at + i, ', appProtocol: kubernetes.io/h2c' if h2 else '') for i, (name, h2) in enumerate(self.kinds)]
        services += [('pass', self.attacked_pods + 1, ''), ('passbulk', self.attacked_pods + 2, '')]
        old = (self.folder / 'conf.d/first.yaml').read_text()
        grant, raw = old.split('---\napiVersion: v1\nkind: Service\nmetadata: {name: echo}')
        paths = '    - host: first.example.com\n      http:\n        paths:\n' + PATH.format(path='/', service='web')
        paths += ''.join(PATH.format(path=f'/{name}', service=name) for name, _ in self.kinds)
        grant = grant[:grant.index('    - host: first')] + paths
        more = ''.join(SERVICE.format(name=n, port=p, protocol=k) for n, p, k in services) + ''.join(PASSED.format(name=n) for n in ('pass', 'passbulk'))
        self.drop('first', grant + more + '---\napiVersion: v1\nkind: Service\nmetadata: {name: echo}' + raw)
        for i in range(MANY):
            name = f'a{i:02}'
            text = TENANT.format(name=name, domain=f'{name}.example.com', limits='', endpoints=ENDPOINT.format(self.attacked_pods))
            self.drop(name, text + RULE.format(host=f'{name}.example.com', type='Prefix', path='/'))


@contextmanager
def evil_pods(bench, base):
    process = subprocess.Popen(pinned([bench.tools / 'evil', base]), preexec_fn=lambda: os.nice(-NICE))
    try:
        while not accepts(base):
            if process.poll() is not None:
                raise RuntimeError('the evil pods did not start')
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


# ---- conf.d ----
def drops(kind, folder, seconds):
    """What an attacker with access to its own drops can do: one writer, ten times a second."""
    start = time.monotonic()
    print('START', time.monotonic_ns(), flush=True)
    conf_d, n = os.path.join(folder, 'conf.d'), 0
    head = TENANT.format(name='a00', domain='a00.example.com', limits='', endpoints=ENDPOINT.format(1))
    while time.monotonic() < start + seconds:
        n += 1
        if kind == 'come-and-go':
            for i in range(20):
                j = (n * 20 + i) % 200
                path = os.path.join(conf_d, f'g{j}.yaml')
                if os.path.exists(path):
                    os.unlink(path)
                else:
                    put(path, TENANT.format(name=f'g{j}', domain=f'g{j}.example.com', limits='', endpoints=ENDPOINT.format(1))
                        + RULE.format(host=f'g{j}.example.com', type='Prefix', path='/'))
        else:
            text = {'routes': lambda: head + '    - host: a00.example.com\n      http:\n        paths:\n'
                    + ''.join(PATH.format(path=f'/v{n}/{i}', service='web') for i in range(1000)),
                    'broken': lambda: 'kind: Tenant\nmetadata: {name: [\n' * 1000, 'huge': lambda: '# ' + 'x' * 32_000_000 + f'\n{n}'}[kind]()
            put(os.path.join(conf_d, 'a00.yaml'), text)
        time.sleep(max(0, start + n / 10 - time.monotonic()))
    print(f'{{"kind": "drops", "seconds": {time.monotonic() - start:.3f}, "connected": 0, "bytes_in": 0, "bytes_out": 0, "good": {n}, "bad": 0, '
          '"thrown_out": 0, "refused": 0, "held_most": 0}')


def put(path, text):
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.rename(path + '.new', path)


# ---- a round ----
SERIES = re.compile(r'^(ringress_\w+)(?:\{[^}]*\})? ([\d.e+]+)$', re.M)


def figures(proxy):
    with urllib.request.urlopen(f'http://127.0.0.1:{proxy.admin}/metrics', timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for name, value in SERIES.findall(text):
        found[name] = found.get(name, 0) + float(value)
    return {short: int(found.get(f'ringress_{name}', 0)) for short, name in (
        ('files', 'open_files'), ('buffers', 'buffers'), ('connections', 'connections'), ('pod_connections', 'worker_pod_connections'), ('memory', 'memory_bytes'),
        ('resident', 'resident_bytes'))}


def rest(proxy, before, most):
    """What is left when the attack is over, and how long that took to be nothing."""
    began = time.monotonic()
    while True:
        left = {k: v - before[k] for k, v in figures(proxy).items()}
        took = time.monotonic() - began
        if took >= most or (left['buffers'] <= SLACK_BUFFERS and left['files'] - left['pod_connections'] <= SLACK_FDS):
            return {'seconds': round(took, 2), 'left': left, 'fine': took < most}
        time.sleep(0.1)


class TimeToLive:
    """How long a change of another tenant takes to be served, again and again."""

    def __init__(self, proxy):
        self.proxy, self.version = proxy, 0

    def ms(self):
        self.version += 1
        began = time.monotonic()
        self.proxy.drop('probe', self.proxy.tenant('probe', 'probe.example.com', [('probe.example.com', 'Exact', f'/v{self.version}')]))
        while time.monotonic() < began + 5:
            with socket.create_connection(('127.0.0.1', self.proxy.http), timeout=5) as s:
                s.sendall(get(f'/v{self.version}', 'Connection: close', host='probe.example.com'))
                if s.recv(64).startswith(b'HTTP/1.1 200'):
                    return (time.monotonic() - began) * 1e3
        return 5000.0

    def median(self, tries=5):
        return sorted(self.ms() for _ in range(tries))[tries // 2]


def attackers(bench, proxy, attack, seconds, stack):
    children = []
    for words in attack.commands:
        tool, *rest_of = words.format(p=proxy, t=bench.texts).split()
        command = [sys.executable, __file__, 'drops', *rest_of] if tool == 'drops' else [bench.tools / tool, *rest_of, '-d']
        children.append(Child([*command, str(round(seconds, 2))]))
        stack.callback(children[-1].stop)
    return children


def one_round(bench, proxy, attack, helpers, spun):
    count = bench.seconds
    with first_of_all(bench, proxy, not attack.of_control), ExitStack() as stack:
        watch = Watch(proxy)
        live = TimeToLive(proxy) if attack.name.startswith('drops') else None
        calm_live = live.median() if live else None
        victims = Victims(bench, proxy, WARM + count + SETTLE + count + AFTER, stack)
        sleep_until(victims.start + int(WARM * 1e9))
        before = figures(proxy)
        sleep_until(victims.start + int((WARM + count) * 1e9))
        calmness = Calmness(proxy, helpers, spun)
        hostile = attackers(bench, proxy, attack, SETTLE + count, stack)
        began = hostile[0].start
        noticed = watch.first_step(began)
        end = began + int((SETTLE + count) * 1e9)
        under_live = live.median() if live else None
        sleep_until(end - 200_000_000)
        during = figures(proxy)
        sleep_until(end)
        told = watch.told()
        says = [h.end() for h in hostile]
        records = victims.end()
        shares = calmness.end()
        after = rest(proxy, before, REST)
        alive = proxy.process.poll() is None
    calm, counted = (victims.start + int(WARM * 1e9), began), (began + int(SETTLE * 1e9), end)
    streams = {k: summary(r, calm, counted) for k, r in records.items()}
    return {'value': streams['http']['vdr'], **streams, **shares, 'noticed_ms': noticed, 'told': told, 'attackers': says, 'before': before, 'during': during,
            'rest': after, 'alive': alive, 'live_ms': [calm_live, under_live]}


def line(one):
    held = sorted({f'{t[0]}/{t[1]}:{t[2]}' for t in one['told']})
    left = one['rest']['left']
    live = '' if one['live_ms'][0] is None else ' live {:.0f}→{:.0f} ms'.format(*one['live_ms'])
    return (f"{isolation.line(one)} held {held} during {one['during']} rest {one['rest']['seconds']} s, left {left}{live}{'' if one['alive'] else ' DEAD'}")


class IsolationExtra(isolation.Isolation):
    name, title = 'isolation-extra', 'victims under attacks of other kinds: p99 under attack / p99 calm'
    bar = f'p99 ≤ {P99_MOST} × calm, {SUCCESS_LEAST:.1%} good'

    def run(self, bench):
        wanted = bench.options.attacks.split(',') if bench.options.attacks else [a.name for a in EXTRA]
        unknown = set(wanted) - {a.name for a in EXTRA}
        if unknown:
            raise SystemExit(f"bench: no attack {', '.join(sorted(unknown))}; there are {', '.join(a.name for a in EXTRA)}")
        chosen = [a for a in EXTRA if a.name in wanted]
        bench.texts = Texts(bench.folder / 'texts')
        pods = bench.backend_port + 12
        names = subprocess.run([bench.tools / 'evil', 'names'], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        with before_others() as spun, attacked_backend(bench) as backend, evil_pods(bench, pods + EVIL) as hostile, at_priority(PRIORITY_POD, bench.backend.pid):
            proxy = ExtraNeighbours(bench.build, *bench.place('ringress', bench.options.port))
            proxy.attacked_pods = pods
            proxy.kinds = [(n.split()[0], ' ' in n) for n in names]
            rounds = {a.name: [] for a in chosen}
            for r in range(bench.rounds):
                for attack in chosen:
                    one = one_round(bench, proxy, attack, [bench.backend.pid, backend.pid, hostile.pid], spun)
                    rounds[attack.name].append(one)
                    bench.say(f'isolation-extra round {r + 1} {attack.name}: {line(one)}')
        return self.judge_extra(chosen, rounds)

    def judge_extra(self, chosen, rounds):
        series = []
        for attack in chosen:
            mine = rounds[attack.name]
            series.append({'proxy': attack.name, 'attack': attack.name, 'title': attack.title, 'rounds': mine, 'median': isolation.median(mine, 'http'),
                           'median_tls': isolation.median(mine, 'tls'), 'success': isolation.success(mine)})
        faults = [f for s in series for f in self.faults_of(s)]
        worst = max(max(s['median'], s['median_tls']) for s in series)
        return {'work': self.name, 'title': self.title, 'unit': self.unit, 'bar': self.bar, 'series': series,
                'verdict': {'value': worst, 'max': P99_MOST, 'ok': not faults, 'says': f"worst {worst:.2f}{''.join('; ' + f for f in faults)}"}}

    def faults_of(self, s):
        for kind, key in (('HTTP', 'median'), ('TLS', 'median_tls')):
            if not s[key] <= P99_MOST:
                yield f"{s['attack']}: {kind} × {s[key]:.2f}"
        if s['success'] < SUCCESS_LEAST:
            yield f"{s['attack']}: {s['success']:.2%} good"
        wrong = {t[0] for r in s['rounds'] for t in r['told'] if t[0] not in ('first', 'second') and not re.fullmatch(r'a\d\d', t[0])}
        if wrong:
            yield f"{s['attack']}: steps against {', '.join(sorted(wrong))}"
        if not all(r['rest']['fine'] and r['alive'] for r in s['rounds']):
            yield f"{s['attack']}: left {s['rounds'][-1]['rest']['left']}"


if __name__ == '__main__':
    drops(sys.argv[2], sys.argv[3], float(sys.argv[-1]))
