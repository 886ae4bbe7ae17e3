# SPDX-License-Identifier: GPL-3.0-or-later
"""pods.py - the small real servers behind the demo: reads a conf.d and starts what its pods and services name.

    conf.d/*.yaml --read_pods--> [Pod] --start_pod--> a thread (http-echo) or a child process (nginx, redis-server)

An image is known by the last word of its name: http-echo, nginx…, redis. Addresses and ports are those of the files.
Threads die with this process; children are in the ExitStack that the caller gives, and get SIGTERM when it dies."""
import contextlib
import ctypes
import http.server
import pathlib
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field

import yaml

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class DemoError(Exception):
    """What the user should read instead of a traceback."""


@dataclass
class Pod:
    tenant: str
    name: str
    address: str
    image: str
    args: list = field(default_factory=list)
    ports: dict = field(default_factory=dict)  # number -> name


# ---- reading ----
def tenant_files(conf_d):
    """{tenant: [files]} of a conf.d, folders and single files alike."""
    found = {}
    for path in sorted(pathlib.Path(conf_d).iterdir()):
        if path.is_dir():
            found[path.name] = sorted(p for p in path.iterdir() if p.suffix in ('.yaml', '.yml'))
        elif path.suffix == '.yaml':
            found[path.stem] = [path]
    return found


def documents(files):
    return [d for f in files for d in yaml.safe_load_all(f.read_text()) if d]


def read_tenant(tenant, files):
    """The tenant's domain and its pods."""
    docs = documents(files)
    images = {d['metadata']['name']: d['spec']['ref'] for d in docs if d.get('kind') == 'Image'}
    domain = next(d['spec']['domain'] for d in docs if d.get('kind') == 'Tenant')
    pods = [kubernetes_pod(tenant, d, images) for d in docs if d.get('kind') == 'Pod']
    pods += [compose_pod(tenant, *s) for d in docs for s in d.get('services', {}).items()]
    return domain, pods


def kubernetes_pod(tenant, doc, images):
    container = doc['spec']['containers'][0]
    image = container['image']
    ports = {p['containerPort']: p.get('name', '') for p in container['ports']}
    return Pod(tenant, doc['metadata']['name'], doc['status']['podIP'], images.get(image, image),
               container.get('args', []), ports)


def compose_pod(tenant, name, service):
    address = next(n['ipv4_address'] for n in service['networks'].values())
    ports = {int(k.split('.')[2]): '' for k in service['labels'] if k.startswith('kr.ingress.')}
    return Pod(tenant, name, address, service['image'], [], ports)


# ---- starting ----
def start_pod(stack, pod, folder, certificate):
    """Starts the pod's server; it ends with `stack`. `certificate(pod)` makes (chain, key) for a port named https."""
    for port in pod.ports:
        require_free(pod.address, port, f"the pod {pod.name} of {pod.tenant}")
    kind = pod.image.rsplit('/', 1)[-1].split(':')[0]
    if kind == 'http-echo':
        start_echo(stack, pod)
    elif kind.startswith('nginx'):
        start_child(stack, nginx_command(pod, folder, certificate), folder / f'{pod.tenant}-{pod.name}.log')
    elif kind == 'redis':
        start_child(stack, redis_command(pod, folder), folder / f'{pod.tenant}-{pod.name}.log')
    else:
        raise DemoError(f"{pod.tenant}/{pod.name}: the demo has no server for the image {pod.image}")


def require_free(address, port, who, hint=''):
    """A second try or more, because the kernel lets go of a ring's sockets a moment after their process has ended."""
    deadline = time.monotonic() + 2
    while (problem := bind_problem(address, port)):
        if time.monotonic() > deadline:
            raise DemoError(f"{address}:{port} is needed for {who}, but: {problem}{hint}")
        time.sleep(0.05)


def bind_problem(address, port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((address, port))
        except OSError as e:
            return e.strerror
    return None


class EchoHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        body = self.server.text
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; charset=utf-8')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class EchoServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def start_echo(stack, pod):
    """hashicorp/http-echo: answers everything with its -text."""
    text = next((a.partition('=')[2] for a in pod.args if a.startswith('-text=')), 'hello-world')
    for port in pod.ports:
        server = EchoServer((pod.address, port), EchoHandler)
        server.text = text.encode() + b'\n'
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)


def nginx_command(pod, folder, certificate):
    home = folder / f'{pod.tenant}-{pod.name}'
    home.mkdir()
    servers = ''.join(nginx_server(pod, port, name, certificate) for port, name in pod.ports.items())
    temp = ''.join(f'{kind}_temp_path {home}/{kind}; '
                   for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    (home / 'nginx.conf').write_text(
        f"daemon off; master_process off; pid {home}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; default_type text/plain; {temp}\n{servers}}}\n")
    return ['nginx', '-e', 'stderr', '-p', str(home), '-c', str(home / 'nginx.conf')]


def nginx_server(pod, port, name, certificate):
    text, tls = f"hello from {pod.tenant}'s {pod.name}, a real nginx", ''
    if name == 'https':
        chain, key = certificate(pod)
        tls, text = f'ssl_certificate {chain}; ssl_certificate_key {key};', text + '; TLS ended here, in the pod'
    listen = f"listen {pod.address}:{port}{' ssl' if tls else ''};"
    return f'  server {{ {listen} {tls} location / {{ return 200 "{text}\\n"; }} }}\n'


def redis_command(pod, folder):
    return ['redis-server', '--bind', pod.address, '--port', str(next(iter(pod.ports))), '--save', '',
            '--appendonly', 'no', '--protected-mode', 'no', '--dir', str(folder)]


def start_child(stack, command, log):
    """A child in a session of its own (Ctrl-C is ours to hand on), gone when we are, stopped with `stack`."""
    with open(log, 'wb') as out:
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                     preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM))
        except FileNotFoundError:
            raise DemoError(f"{command[0]} is not installed; `./dev setup` installs it") from None
    stack.callback(stop_child, child)
    return child


def stop_child(child):
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(8)
        return
    child.kill()
    child.wait()
