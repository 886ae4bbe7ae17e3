#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""demo.py - an edge with two tenants, their pods, and what to type.

    certificate authority -> pods of conf.d -> ringress run -> the text -> wait for Ctrl-C -> all of it ends

    demo.py BUILD_DIR            over the repository's own conf.d
    demo.py BUILD_DIR --check    over a copy of it, runs every printed command, compares, exits 0 or 1

Owns a temporary folder (keys, edge.yaml, admin socket, logs), the pods and the edge; leaves none of them behind.
What must last, the tenants' port numbers, lies in BUILD_DIR/../demo/state."""
import argparse
import contextlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass

from pods import DemoError, read_tenant, require_free, start_child, start_pod, tenant_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
THIRD_TENANT = ROOT / 'tests/demo/initech.yaml'
KUBECTL = shutil.which('kubectl') or shutil.which(ROOT / 'build/kubernetes-client/usr/bin/kubectl')


@dataclass
class Step:
    say: str
    command: str
    expect: str      # regular expression that must be found in what the command prints
    exits: int = 0


@dataclass
class Demo:
    """Where everything is."""
    options: argparse.Namespace
    build: pathlib.Path
    folder: pathlib.Path
    conf_d: pathlib.Path
    third: pathlib.Path
    state: pathlib.Path

    @property
    def edge_yaml(self):
        return self.folder / 'edge.yaml'

    def ringress(self, words):
        return f"{short(self.build / 'ringress')} {words} -c {self.edge_yaml}"

    def curl(self, url, flags=''):
        port = self.options.https if url.startswith('https') else self.options.http
        trust = f"--cacert {self.folder / 'ca.pem'} " if url.startswith('https') else ''
        return f"curl {flags}{trust}--connect-to ::127.0.0.1:{port} {url}"


def short(path):
    """A path as one would type it from the repository."""
    path = pathlib.Path(path)
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


# ---- certificates ----
def openssl(*words):
    done = subprocess.run(['openssl', *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise DemoError(f"openssl {words[0]}: {done.stderr.strip()}")


def make_authority(folder):
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', 7,
            '-subj', '/CN=Ringress demo, a throw-away CA', '-keyout', folder / 'ca.key', '-out', folder / 'ca.pem')


def make_certificate(folder, name, common_name, dns):
    """(certificate, key) signed by the demo's authority, for the DNS names given."""
    base, leaf = folder / f'{name}.ext', folder / f'{name}.pem'
    base.write_text(f"subjectAltName={','.join('DNS:' + n for n in dns)}\nextendedKeyUsage=serverAuth\n")
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', f'/CN={common_name}',
            '-keyout', folder / f'{name}.key', '-out', folder / f'{name}.csr')
    openssl('x509', '-req', '-in', folder / f'{name}.csr', '-CA', folder / 'ca.pem', '-CAkey', folder / 'ca.key',
            '-CAcreateserial', '-days', 7, '-extfile', base, '-out', leaf)
    return leaf, folder / f'{name}.key'


# ---- the edge ----
EDGE_YAML = """\
# Written by the demo; lives as long as it does.
conf_d: {conf_d}
state: {state}
modules: [sni, http, tcp, kube]
module_path: [{modules}]
zones: [1d.pt]
listen:
  http:  ["127.0.0.1:{o.http}"]
  https: ["127.0.0.1:{o.https}"]
admin:
  socket: {folder}/admin.sock
  listen: 127.0.0.1:{o.admin}
raw_tcp: {{address: 127.0.0.1, ports: {o.raw}}}
kube: {{listen: "127.0.0.1:{o.kube}"}}
tls:
  certificates:            # the operator's, one for each tenant's domain
{certificates}
"""


def write_edge_yaml(demo, domains):
    lines = [f"    - {{cert: {c}, key: {k}}}" for c, k in (
        make_certificate(demo.folder, domain, f'*.{domain}', [domain, f'*.{domain}']) for domain in domains)]
    demo.edge_yaml.write_text(EDGE_YAML.format(
        conf_d=demo.conf_d, state=demo.state, modules=demo.build / 'modules', o=demo.options, folder=demo.folder,
        certificates='\n'.join(lines)))


def start_edge(stack, demo):
    for option in ('http', 'https', 'admin', 'kube'):
        require_free('127.0.0.1', getattr(demo.options, option), 'the edge', f"; choose another with --{option} PORT")
    binary = demo.build / 'ringress'
    if not binary.exists():
        raise DemoError(f"{short(binary)} is not there; `./dev build` makes it")
    log = demo.folder / 'edge.log'
    edge = start_child(stack, [str(binary), 'run', '-c', str(demo.edge_yaml)], log)
    deadline = time.monotonic() + 20
    while not answers(demo):
        if edge.poll() is not None:
            raise DemoError(f"the edge ended with {edge.returncode}:\n{textwrap.indent(log.read_text(), '  ')}")
        if time.monotonic() > deadline:
            raise DemoError(f"the edge is not ready after 20 s:\n{textwrap.indent(log.read_text(), '  ')}")
        time.sleep(0.05)
    return edge


def run(command):
    return subprocess.run(command, shell=True, executable='/bin/bash', cwd=ROOT, capture_output=True, text=True,
                          timeout=20)


def answers(demo):
    return run(demo.ringress('get ports -o json')).returncode == 0


def raw_port(demo, tenant, container_port):
    done = run(demo.ringress('get ports -o json'))
    for port in json.loads(done.stdout):
        if port['tenant'] == tenant and port['containerPort'] == container_port and port['publicPort']:
            return port['publicPort']
    raise DemoError(f"{tenant} was given no raw port for its container port {container_port}: {done.stdout}")


# ---- what there is to see ----
def steps(demo):
    meter, cache = raw_port(demo, 'acme', 5678), raw_port(demo, 'globex', 6379)
    third = demo.third.stem
    return [
        ('acme: Kubernetes objects', [
            Step('one host, by path: /', demo.curl('https://shop.123123.1d.pt/'), r"acme's shop, pod \d"),
            Step('and /api', demo.curl('https://shop.123123.1d.pt/api/v1'), r"acme's api"),
            Step('plain HTTP is sent to https', demo.curl('http://shop.123123.1d.pt/', '-i '),
                 r'308[^\n]*\r?\n(.*\n)*(?i:location): https://shop\.123123\.1d\.pt'),
            Step('TLS passed through to the pod, which holds the key', demo.curl('https://vault.123123.1d.pt/'),
                 r"acme's vault-1.*TLS ended here, in the pod"),
            Step('a raw TCP port', f'curl http://127.0.0.1:{meter}/', r"acme's meter"),
        ]),
        ('globex: a compose file', [
            Step('nginx, by its label https://nginx.*', demo.curl('https://nginx.456456.1d.pt/'),
                 r"globex's web, a real nginx"),
            Step('redis, by its label tcp://', f'redis-cli -h 127.0.0.1 -p {cache} ping', r'PONG'),
        ]),
        ("nobody's", [
            Step('a name that no tenant has gets no TLS', demo.curl('https://nobody.example.org/', '-sS '),
                 r'(?i)unrecognized.name', exits=35),
            Step('and 404', demo.curl('http://nobody.example.org/', '-i '), r'^HTTP/1\.1 404'),
        ]),
        ('what the edge knows', [
            Step('every route', demo.ringress('get routes'), r'shop\.123123\.1d\.pt(.*\n)*.*nginx\.456456\.1d\.pt'),
            Step('every raw port', demo.ringress('get ports'), rf'{meter}(.*\n)*.*{cache}|{cache}(.*\n)*.*{meter}'),
            Step('an ingress', demo.ringress('describe ingress default -n acme'),
                 r'Address: +123123\.1d\.pt(.*\n)*.*shop\.123123\.1d\.pt'),
            Step('why a URL goes where it goes', demo.ringress('explain https://shop.123123.1d.pt/api/v1'),
                 r'acme(.*\n)*.*127\.\d+\.0\.21:5678'),
        ]),
        *kubectl_steps(demo, meter),
        ('a third tenant, while all this runs', [
            Step('drop its file', f'cp {short(demo.third)} {short(demo.conf_d)}/', r''),
            Step('it is live', demo.curl('https://reports.789789.1d.pt/'), r'hello from initech'),
            Step('and gone again', f'rm {short(demo.conf_d)}/{third}.yaml', r''),
        ]),
    ]


def kubectl_steps(demo, meter):
    if not KUBECTL:
        return []
    config = demo.folder / 'acme.kubeconfig'
    kubectl = f'{short(KUBECTL) if KUBECTL.startswith(str(ROOT)) else "kubectl"} --kubeconfig {config}'
    return [("acme's own view, by kubectl", [
        Step('a token', f"{demo.ringress('kubeconfig acme')} > {config}", r''),
        Step('its ingress', f'{kubectl} describe ingress default', r'Address: +123123\.1d\.pt(.*\n)*.*shop\.123123\.1d\.pt'),
        Step('its services', f'{kubectl} get svc', rf'meter +NodePort .*:{meter}/TCP'),
    ])]


def print_story(demo, chapters):
    print(f"\nAn edge serves two tenants on 127.0.0.1:{demo.options.http} (http) and :{demo.options.https} (https).")
    print(f"Their files: {short(demo.conf_d)}/   log: {demo.folder}/edge.log   "
          f"metrics: http://127.0.0.1:{demo.options.admin}/metrics")
    print("In another terminal, from the repository:")
    for title, chapter in chapters:
        print(f'\n  {title}')
        for step in chapter:
            print(f'    # {step.say}\n    {step.command}')
    print('\nCtrl-C ends all of it.', flush=True)


def wait(edge, demo):
    while edge.poll() is None:
        time.sleep(0.2)
    raise DemoError(f"the edge ended with {edge.returncode}:\n" + (demo.folder / 'edge.log').read_text()[-2000:])


def check(chapters):
    """Runs each step as printed. A drop is given a second to be live. Returns how many did not do what they say."""
    failed = 0
    for title, chapter in chapters:
        for step in chapter:
            done = attempt(step)
            output = done.stdout + done.stderr
            good = done.returncode == step.exits and re.search(step.expect, output)
            print(f"{'ok    ' if good else 'FAILED'} {title}: {step.say}")
            if not good:
                failed += 1
                print(f"  $ {step.command}\n  exit {done.returncode}, expected {step.exits} and /{step.expect}/\n"
                      + textwrap.indent(output, '  | '))
    return failed


def attempt(step):
    deadline = time.monotonic() + 1
    while True:
        done = run(step.command)
        if done.returncode == step.exits and re.search(step.expect, done.stdout + done.stderr):
            return done
        if time.monotonic() > deadline:
            return done
        time.sleep(0.02)


# ---- putting it together ----
def copy_examples(folder):
    """A conf.d and a third tenant of our own, with pods on other addresses: it can run beside the real demo."""
    conf_d, third = folder / 'conf.d', folder / THIRD_TENANT.name
    shutil.copytree(ROOT / 'conf.d', conf_d)
    shutil.copy(THIRD_TENANT, third)
    for path in [*conf_d.rglob('*.yaml'), third]:
        path.write_text(re.sub(r'\b127\.([1-9]0)\.', r'127.1\1.', path.read_text()))
    return conf_d, third


def place(options, folder):
    build = pathlib.Path(options.build).resolve()
    if options.copy or options.check:
        conf_d, third = copy_examples(folder)
        return Demo(options, build, folder, conf_d, third, folder / 'state')
    state = build.parent / 'demo/state'
    state.mkdir(parents=True, exist_ok=True)
    return Demo(options, build, folder, ROOT / 'conf.d', THIRD_TENANT, state)


def demonstrate(stack, demo):
    tenants = {**tenant_files(demo.conf_d), demo.third.stem: [demo.third]}
    read = {name: read_tenant(name, files) for name, files in tenants.items()}
    demo.state.mkdir(exist_ok=True)
    make_authority(demo.folder)
    write_edge_yaml(demo, [domain for domain, _ in read.values()])

    def pod_certificate(pod):
        return make_certificate(demo.folder, f'pod-{pod.name}', f'the pod {pod.name} of {pod.tenant}',
                                [f'*.{read[pod.tenant][0]}'])
    for _, pods in read.values():
        for pod in pods:
            start_pod(stack, pod, demo.folder, pod_certificate)
    edge = start_edge(stack, demo)
    chapters = steps(demo)
    if demo.options.check:
        return check(chapters)
    print_story(demo, chapters)
    return wait(edge, demo)


def arguments():
    parser = argparse.ArgumentParser(description='An edge with two tenants and their pods, on this machine only.')
    parser.add_argument('build', metavar='BUILD_DIR', help='where ringress and modules/ were built')
    parser.add_argument('--check', action='store_true',
                        help='run every printed command on such a copy, compare, and exit')
    parser.add_argument('--copy', action='store_true',
                        help='leave conf.d alone: serve a copy of it, its pods on other addresses')
    parser.add_argument('--http', type=int, default=8080)
    parser.add_argument('--https', type=int, default=8443)
    parser.add_argument('--admin', type=int, default=9180)
    parser.add_argument('--kube', type=int, default=16443, help='the port for kubectl')
    parser.add_argument('--raw', default='28000-28099', help='the pool of raw TCP ports')
    return parser.parse_args()


def interrupted(*_):
    raise KeyboardInterrupt


def quiet_exit():
    """Nothing may interrupt the stopping of our children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, interrupted)
    try:
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='ringress-demo-')))
            folder.chmod(0o755)
            try:
                return 1 if demonstrate(stack, place(options, folder)) else 0
            finally:
                quiet_exit()
    except DemoError as e:
        print(f'demo: {e}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nAll of it has ended.')
        return 0


if __name__ == '__main__':
    sys.exit(main())
