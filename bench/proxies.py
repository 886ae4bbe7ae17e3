# SPDX-License-Identifier: GPL-3.0-or-later
"""proxies.py - Ringress and its peers, each set up as well as its manual knows for the same work.

Every proxy gets four ports from its base: +0 HTTP, +1 HTTPS (TLS 1.3, the same P-256 certificate), +2 raw TCP to the
echo, +3 raw TCP to the source (ours +4: its figures); one worker on CPU 0, access log off, kept connections to the backend, session tickets.
With `logs` each writes an access log into a file of its folder, and our tenant has every limit, each too high to be met.
`hosts` adds t0.example.com, t1.example.com, …; `version` is the one path of probe.example.com that exists, /vN."""
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from measure import PROXY_CPU, pinned, tree


class Proxy:
    """Start and stop of a process in a folder of its own; the rest is each proxy's."""
    cpus, workers, stop_signal, suffix, environment = PROXY_CPU, 1, signal.SIGTERM, 'example.com', {}
    own_session = True

    def __init__(self, name, base, backend, folder, certificate, logs=False):
        self.name, self.base, self.backend, self.folder, self.logs = name, base, backend, pathlib.Path(folder) / name, logs
        self.certificate = certificate  # (chain, key)
        self.process = None

    http = property(lambda self: self.base)
    https = property(lambda self: self.base + 1)
    echo = property(lambda self: self.base + 2)
    source = property(lambda self: self.base + 3)

    def start(self, hosts=0):
        for port in (self.http, self.https, self.echo, self.source):
            wait_free(port, self.name)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.hosts = hosts
        self.write(version=0)
        self.launch()
        self.wait_ready()

    def launch(self):
        with open(self.folder / 'log', 'wb') as log:
            self.process = subprocess.Popen(pinned(self.command(), self.cpus), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=self.own_session, preexec_fn=end_with_parent,
                                            env={**os.environ, **self.environment})

    def wait_ready(self):
        deadline = time.monotonic() + 120
        for port in (self.http, self.https, self.echo, self.source):
            while not accepts(port):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not start: {(self.folder / 'log').read_text()[-2000:]}")
                time.sleep(0.02)

    def stop(self):
        if not self.process:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def pids(self):
        return tree(self.process.pid)

    def change(self, version):
        """Make /v`version` the path of probe.example.com that exists; nobody else's changes."""
        self.write(version)
        self.process.send_signal(self.reload_signal)


def wait_free(port, name):
    """The kernel lets go of a ring's sockets a moment after their process has ended."""
    deadline = time.monotonic() + 3
    while accepts(port):
        if time.monotonic() > deadline:
            raise RuntimeError(f'port {port} of {name} is taken; choose others with --port')
        time.sleep(0.05)


def end_with_parent():
    """However this program ends, the proxy ends with it."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


# ---- Ringress ----
TENANT = """\
apiVersion: ringress/v1
kind: Tenant
metadata: {{name: {name}}}
spec: {{domain: {domain}, network: {{allow: [127.0.0.1/32]}}{limits}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: web}}
subsets:
{endpoints}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: default, annotations: {{ringress/ssl-redirect: "false"}}}}
spec:
  rules:
"""
ENDPOINT = "  - {{addresses: [{{ip: 127.0.0.1}}], ports: [{{port: {}}}]}}"
RULE = """\
    - host: {host}
      http: {{paths: [{{pathType: {type}, path: {path}, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}
"""
RAW_SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{type: NodePort, ports: [{{port: 1, nodePort: {port}}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: {name}}}
subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{port: {backend}}}]}}]
"""
LIMITS = ', limits: {connections: 100000, newConnectionsPerSecond: 1000000, requestsPerSecond: 10000000, bandwidth: 1000Gbit}'
LOG = 'log: {access: json, access_path: access.log}\n'
EDGE = """\
workers: {p.workers}
conf_d: conf.d
state: state
module_path: [{modules}]
listen: {{http: ["127.0.0.1:{p.http}"], https: ["127.0.0.1:{p.https}"]}}
admin: {{socket: admin.sock, listen: "127.0.0.1:{p.admin}"}}
buffer_memory: {p.buffer_memory}
raw_tcp: {{address: 127.0.0.1, ports: {p.echo}-{p.source}}}
timeouts: {{keepalive: 600s}}
tls:
  min_version: "1.3"
  certificates: [{{cert: {p.certificate[0]}, key: {p.certificate[1]}}}]
"""


class Ringress(Proxy):
    """`hosts` are tenants of their own; with `one_tenant` they are all hosts of a single one."""
    pods = None  # the backends' ports, when there are several
    buffer_memory = '256Mi'
    admin = property(lambda self: self.base + 4)

    def __init__(self, build, *rest, one_tenant=False, **named):
        super().__init__(*rest, **named)
        self.build, self.one_tenant = pathlib.Path(build), one_tenant
        self.suffix = 'many.test' if one_tenant else 'example.com'

    def command(self):
        return [self.build / 'ringress', 'run', '-c', self.folder / 'edge.yaml']

    def edge_yaml(self):
        return EDGE.format(modules=self.build / 'modules', p=self) + (LOG if self.logs else '')

    def write(self, version):
        conf_d = self.folder / 'conf.d'
        if not conf_d.exists():
            conf_d.mkdir()
            (self.folder / 'state').mkdir()
            (self.folder / 'edge.yaml').write_text(self.edge_yaml())
            (conf_d / 'bench.yaml').write_text(self.bench_tenant())
            self.write_hosts(conf_d)
        self.drop('probe', self.tenant('probe', 'probe.example.com', [('probe.example.com', 'Exact', f'/v{version}')]))

    def write_hosts(self, conf_d):
        names = [f't{i}.{self.suffix}' for i in range(self.hosts)]
        if self.one_tenant:
            self.write_one_tenant(conf_d / 'many', names)
            return
        for i, name in enumerate(names):
            (conf_d / f't{i}.yaml').write_text(self.tenant(f't{i}', name, [(name, 'Prefix', '/')]))

    def write_one_tenant(self, folder, names, each=1000):
        """A file of any size would be over the limits for one; so there is an Ingress for each thousand hosts."""
        folder.mkdir()
        grant, service, endpoints, ingress = self.tenant('many', self.suffix, []).split('---\n')
        (folder / 'tenant.yaml').write_text(grant)
        (folder / 'web.yaml').write_text(f'{service}---\n{endpoints}')
        for i in range(0, len(names), each):
            rules = ''.join(RULE.format(host=n, type='Prefix', path='/') for n in names[i:i + each])
            (folder / f'hosts-{i}.yaml').write_text(ingress.replace('name: default', f'name: hosts-{i}') + rules)

    def tenant(self, name, domain, rules):
        endpoints = '\n'.join(ENDPOINT.format(port) for port in self.pods or [self.backend])
        head = TENANT.format(name=name, domain=domain, endpoints=endpoints, limits=LIMITS if self.logs else '')
        return head + ''.join(RULE.format(host=h, type=t, path=p) for h, t, p in rules)

    def bench_tenant(self):
        return (self.tenant('bench', 'bench.test', [('bench.test', 'Prefix', '/')])
                + RAW_SERVICE.format(name='echo', port=self.echo, backend=self.backend + 1)
                + RAW_SERVICE.format(name='source', port=self.source, backend=self.backend + 2))

    def drop(self, name, text):
        """As an editor or a deploy script does it: complete file beside, then renamed over."""
        new = self.folder / f'{name}.new'
        new.write_text(text)
        os.rename(new, self.folder / f'conf.d/{name}.yaml')

    def change(self, version):
        self.write(version)


# ---- nginx ----
NGINX = """\
daemon off; pid {p.folder}/pid; error_log stderr crit;
worker_processes 1; worker_rlimit_nofile 20000; {user}
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
events {{ worker_connections 16384; }}
http {{
  access_log {log}; server_tokens off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {p.folder}/b; proxy_temp_path {p.folder}/p; fastcgi_temp_path {p.folder}/f;
  uwsgi_temp_path {p.folder}/u; scgi_temp_path {p.folder}/s;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_max_temp_file_size 0;
  ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets on;
  server_names_hash_max_size 65536; server_names_hash_bucket_size 128;
  upstream web {{
    server 127.0.0.1:{p.backend}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 600s;
  }}
  server {{
    listen 127.0.0.1:{p.http} default_server backlog=4096;
    listen 127.0.0.1:{p.https} default_server ssl http2 backlog=4096;
    ssl_certificate {p.certificate[0]}; ssl_certificate_key {p.certificate[1]};
    location / {{ proxy_pass http://web; }}
  }}
  server {{
    listen 127.0.0.1:{p.http}; server_name probe.example.com;
    location = /v{version} {{ proxy_pass http://web; }}
    location / {{ return 404; }}
  }}
{hosts}}}
stream {{
  {buffer}
  server {{ listen 127.0.0.1:{p.echo} backlog=4096; proxy_pass 127.0.0.1:{echo}; }}
  server {{ listen 127.0.0.1:{p.source} backlog=4096; proxy_pass 127.0.0.1:{source}; }}
}}
"""
NGINX_HOST = """\
  server {{ listen 127.0.0.1:{0}; server_name t{1}.example.com; location / {{ proxy_pass http://web; }} }}
"""


class Nginx(Proxy):
    reload_signal = signal.SIGHUP

    def __init__(self, *rest, buffer=None, **named):
        super().__init__(*rest, **named)
        self.buffer = buffer

    def command(self):
        return ['nginx', '-e', 'stderr', '-p', self.folder, '-c', self.folder / 'nginx.conf']

    def write(self, version):
        (self.folder / 'nginx.conf').write_text(NGINX.format(
            p=self, version=version, echo=self.backend + 1, source=self.backend + 2,
            user='user root;' if os.geteuid() == 0 else '',
            log=f'{self.folder}/access.log combined buffer=64k flush=1s' if self.logs else 'off',
            buffer=f'proxy_buffer_size {self.buffer};' if self.buffer else '',
            hosts=''.join(NGINX_HOST.format(self.http, i) for i in range(self.hosts))))


# ---- HAProxy ----
HAPROXY = """\
global
  nbthread 1
  maxconn {most}
  ssl-default-bind-options ssl-min-ver TLSv1.3
  {buffer}
defaults
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  timeout tunnel 600s
  http-reuse always
  option http-keep-alive
  backlog 4096
  {splice}
frontend http
  mode http
  {log}
  bind 127.0.0.1:{p.http}
  bind 127.0.0.1:{p.https} ssl crt {p.folder}/both.pem alpn h2,http/1.1
  http-request return status 404 if {{ hdr(host) -m beg probe.example.com }} !{{ path /v{version} }}
  {choose}
backend web
  mode http
  server s1 127.0.0.1:{p.backend}
listen echo
  mode tcp
  bind 127.0.0.1:{p.echo}
  server s1 127.0.0.1:{echo}
listen source
  mode tcp
  bind 127.0.0.1:{p.source}
  server s1 127.0.0.1:{source}
"""


class Haproxy(Proxy):
    reload_signal = signal.SIGUSR2

    def __init__(self, *rest, buffer=None, splice=False, **named):
        super().__init__(*rest, **named)
        self.buffer, self.splice = buffer, splice

    def command(self):
        return ['haproxy', '-W', '-db', '-f', self.folder / 'haproxy.cfg']

    def write(self, version):
        chain, key = (pathlib.Path(f).read_text() for f in self.certificate)
        (self.folder / 'both.pem').write_text(chain + key)
        (self.folder / 'hosts.map').write_text(''.join(f't{i}.example.com web\n' for i in range(self.hosts)))
        choose = 'default_backend web'
        if self.hosts:
            choose = f'use_backend %[req.hdr(host),lower,map_str({self.folder}/hosts.map,web)]'
        (self.folder / 'haproxy.cfg').write_text(HAPROXY.format(
            p=self, version=version, choose=choose, echo=self.backend + 1, source=self.backend + 2,
            buffer=f'tune.bufsize {self.buffer}' if self.buffer else '',
            log='log stdout format raw local0\n  option httplog' if self.logs else '',
            # Each spliced connection takes pipes, too: more descriptors than the limit allows for 9,500.
            most=2000 if self.splice else 9500, splice='option splice-auto' if self.splice else ''))
