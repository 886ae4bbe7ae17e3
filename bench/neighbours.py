# SPDX-License-Identifier: GPL-3.0-or-later
"""neighbours.py - the proxies of `isolation`: twenty tenants who want to live in peace, and two who are attacked.

    base +0 HTTP   +1 HTTPS   +2 raw TCP to an echo   +3 raw TCP to a source   +4 raw TCP to a sink   (+6 ours: its figures)

t0.example.com to t19.example.com are the victims; their pods are the bench's own backend. `first` (first.example.com, the echo and the sink) and
`second` (second.example.com, the source) are attacked; their pods are a second backend.

Ringress runs as it comes: no limit is set for anybody. The peers have the limits their manuals give against such attacks, for each source and for each
tenant, high enough for a busy honest customer:
  nginx    "Mitigating DDoS Attacks with NGINX": limit_req and limit_conn by address and by server, short timeouts for heads and bodies
  HAProxy  stick tables with conn_cur, conn_rate and http_req_rate by source, http_req_rate by Host, maxconn and rate-limit sessions for each
           port's own listener, timeout http-request
Neither has a means against bytes in these versions, so there is none."""
import os
import signal
import subprocess
import time

from proxies import ENDPOINT, RAW_SERVICE, RULE, TENANT, Haproxy, Nginx, Proxy, Ringress, accepts

SOURCE_CONNECTIONS, SOURCE_REQUESTS = 50, 100                 # at a time, and a second
TENANT_CONNECTIONS, TENANT_RATE, TENANT_REQUESTS = 2000, 2000, 2000


class Neighbours(Proxy):
    """What the three have in common here: ports, and a restart in the midst of it."""
    attacked_pods = None  # the first port of the backend that serves those who are attacked
    sink = property(lambda self: self.base + 4)

    def restart(self):
        """Ended by SIGTERM, at once where that would wait for clients, and started again with the same files. Ready when both web ports accept."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(0.3)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
        self.stop()
        self.launch()
        deadline = time.monotonic() + 30
        while not (accepts(self.http) and accepts(self.https)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not come again: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.005)


class RingressNeighbours(Neighbours, Ringress):
    admin = property(lambda self: self.base + 6)

    def edge_yaml(self):
        return super().edge_yaml().replace(f'ports: {self.echo}-{self.source}', f'ports: {self.echo}-{self.sink}')

    def bench_tenant(self):
        return self.tenant('bench', 'bench.test', [])

    def write(self, version):
        super().write(version)
        for name, ports in (('first', {'echo': (self.echo, 1), 'sink': (self.sink, 3)}), ('second', {'source': (self.source, 2)})):
            raw = ''.join(RAW_SERVICE.format(name=n, port=p, backend=self.attacked_pods + kind) for n, (p, kind) in ports.items())
            grant = TENANT.format(name=name, domain=f'{name}.example.com', limits='', endpoints=ENDPOINT.format(self.attacked_pods))
            self.drop(name, grant + RULE.format(host=f'{name}.example.com', type='Prefix', path='/') + raw)


# ---- nginx ----
NGINX = """\
daemon off; pid {p.folder}/pid; error_log /dev/null crit;
worker_processes 1; worker_rlimit_nofile 20000; {user}
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
events {{ worker_connections 16384; }}
http {{
  access_log off; server_tokens off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {p.folder}/b; proxy_temp_path {p.folder}/p; fastcgi_temp_path {p.folder}/f;
  uwsgi_temp_path {p.folder}/u; scgi_temp_path {p.folder}/s;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_max_temp_file_size 0;
  ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets on;
  ssl_certificate {p.certificate[0]}; ssl_certificate_key {p.certificate[1]};
  client_header_timeout 5s; client_body_timeout 5s;
  limit_conn_zone $binary_remote_addr zone=source:16m; limit_conn_zone $server_name zone=tenant:1m;
  limit_req_zone $binary_remote_addr zone=source_requests:16m rate={source_requests}r/s;
  limit_req_zone $server_name zone=tenant_requests:1m rate={tenant_requests}r/s;
  limit_conn source {source_connections}; limit_conn tenant {tenant_connections};
  limit_req zone=source_requests burst={source_requests} nodelay; limit_req zone=tenant_requests burst={tenant_requests} nodelay;
  limit_conn_status 429; limit_req_status 429; limit_conn_log_level info; limit_req_log_level info;
  upstream web {{ server 127.0.0.1:{p.backend}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 600s; }}
  upstream attacked {{ server 127.0.0.1:{p.attacked_pods}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 600s; }}
  server {{
    listen 127.0.0.1:{p.http} default_server backlog=4096;
    listen 127.0.0.1:{p.https} default_server ssl backlog=4096;
    return 404;
  }}
{hosts}}}
stream {{
  limit_conn_zone $binary_remote_addr zone=port_source:16m; limit_conn_zone $server_port zone=port:1m;
  limit_conn port_source {source_connections}; limit_conn port {tenant_connections}; limit_conn_log_level info;
  server {{ listen 127.0.0.1:{p.echo} backlog=4096; proxy_pass 127.0.0.1:{echo}; }}
  server {{ listen 127.0.0.1:{p.source} backlog=4096; proxy_pass 127.0.0.1:{source}; }}
  server {{ listen 127.0.0.1:{p.sink} backlog=4096; proxy_pass 127.0.0.1:{sink}; }}
}}
"""
NGINX_HOST = """\
  server {{ listen 127.0.0.1:{p.http}; listen 127.0.0.1:{p.https} ssl; server_name {name}.example.com; location / {{ proxy_pass http://{pods}; }} }}
"""


class NginxNeighbours(Neighbours, Nginx):
    def write(self, version):
        names = [(f't{i}', 'web') for i in range(self.hosts)] + [('first', 'attacked'), ('second', 'attacked')]
        (self.folder / 'nginx.conf').write_text(NGINX.format(
            p=self, user='user root;' if os.geteuid() == 0 else '', echo=self.attacked_pods + 1, source=self.attacked_pods + 2,
            sink=self.attacked_pods + 3, source_connections=SOURCE_CONNECTIONS, source_requests=SOURCE_REQUESTS,
            tenant_connections=TENANT_CONNECTIONS, tenant_requests=TENANT_REQUESTS,
            hosts=''.join(NGINX_HOST.format(p=self, name=n, pods=pods) for n, pods in names)))


# ---- HAProxy ----
HAPROXY = """\
global
  nbthread 1
  maxconn 9500
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  timeout http-request 5s
  timeout tunnel 600s
  http-reuse always
  option http-keep-alive
  backlog 4096
backend sources
  stick-table type ip size 100k expire 30s store conn_cur,conn_rate(3s),http_req_rate(1s)
backend tenants
  stick-table type string len 64 size 10k expire 30s store http_req_rate(1s)
frontend http
  mode http
  maxconn 8000
  bind 127.0.0.1:{p.http}
  bind 127.0.0.1:{p.https} ssl crt {p.folder}/both.pem alpn h2,http/1.1
  tcp-request connection track-sc0 src table sources
  tcp-request connection reject if {{ sc0_conn_cur gt {source_connections} }} || {{ sc0_conn_rate gt {source_rate} }}
  http-request track-sc1 req.hdr(host),lower table tenants
  http-request deny deny_status 429 if {{ sc0_http_req_rate gt {source_requests} }} || {{ sc1_http_req_rate gt {tenant_requests} }}
  use_backend %[req.hdr(host),lower,map_str({p.folder}/hosts.map,none)]
backend none
  mode http
  http-request return status 404
backend web
  mode http
  server s1 127.0.0.1:{p.backend}
backend attacked
  mode http
  fullconn {tenant_connections}
  server s1 127.0.0.1:{p.attacked_pods} maxconn {tenant_connections}
"""
HAPROXY_RAW = """\
listen {name}
  mode tcp
  bind 127.0.0.1:{port}
  maxconn {most}
  rate-limit sessions {rate}
  tcp-request connection track-sc0 src table sources
  tcp-request connection reject if {{ sc0_conn_cur gt {source_connections} }} || {{ sc0_conn_rate gt {source_rate} }}
  server s1 127.0.0.1:{backend}
"""


class HaproxyNeighbours(Neighbours, Haproxy):
    def write(self, version):
        chain, key = (open(f, encoding='ascii').read() for f in self.certificate)
        (self.folder / 'both.pem').write_text(chain + key)
        names = [(f't{i}', 'web') for i in range(self.hosts)] + [('first', 'attacked'), ('second', 'attacked')]
        (self.folder / 'hosts.map').write_text(''.join(f'{n}.example.com {pods}\n' for n, pods in names))
        source = {'source_connections': SOURCE_CONNECTIONS, 'source_rate': 3 * SOURCE_CONNECTIONS}
        raw = ''.join(HAPROXY_RAW.format(name=n, port=p, backend=self.attacked_pods + kind, most=TENANT_CONNECTIONS, rate=TENANT_RATE, **source)
                      for n, p, kind in (('echo', self.echo, 1), ('source', self.source, 2), ('sink', self.sink, 3)))
        (self.folder / 'haproxy.cfg').write_text(HAPROXY.format(
            p=self, source_requests=SOURCE_REQUESTS, tenant_connections=TENANT_CONNECTIONS, tenant_requests=TENANT_REQUESTS,
            **source) + raw)


def neighbours(bench, names, attacked_pods):
    made = []
    for i, name in enumerate(names):
        place = bench.place(name, bench.options.port + 7 * i)
        proxy = {'ringress': lambda *a: RingressNeighbours(bench.build, *a), 'nginx': NginxNeighbours, 'haproxy': HaproxyNeighbours}[name](*place)
        proxy.attacked_pods = attacked_pods
        made.append(proxy)
    return made
