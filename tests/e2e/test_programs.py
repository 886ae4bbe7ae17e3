# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that everybody uses, on both sides of the edge: curl, wrk, nginx."""
import hashlib
import os
import re
import subprocess

import pytest

from edge import SANITIZED, Edge, eventually
from objects import ACME, ingress, pod, rule, service, tenant
from pod import free_address

HOST = f"web.{ACME}"


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    """A real nginx with a file of 20 MB, an empty one, and a place for uploads; `address`, `port`."""
    class Nginx:
        name, port = "web", 8080
    home = tmp_path_factory.mktemp("nginx")
    home.chmod(0o755)
    (home / "big").write_bytes(os.urandom(20_000_000))
    (home / "empty").write_bytes(b"")
    (home / "small").write_text("small\n")
    Nginx.home = home
    Nginx.address, listener = free_address(Nginx.port)
    listener.close()
    temp = "".join(f"{kind}_temp_path {home}/{kind};" for kind in
                   ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (home / "conf").write_text(
        f"daemon off; master_process off; pid {home}/pid; error_log stderr; events {{ worker_connections 512; }}\n"
        f"http {{ access_log off; {temp} client_max_body_size 100m; keepalive_requests 100000; gzip on;\n"
        f"gzip_min_length 1; gzip_types text/plain; default_type text/plain;\n"
        f"server {{ listen {Nginx.address}:{Nginx.port}; root {home}; dav_methods PUT;\n"
        f"location /up/ {{ alias {home}/up/; create_full_put_path on; }} }} }}\n")
    process = subprocess.Popen(["nginx", "-e", "stderr", "-p", home, "-c", home / "conf"], stderr=subprocess.DEVNULL)

    def answers():
        return subprocess.run(["curl", "-s", f"http://{Nginx.address}:{Nginx.port}/small"]).returncode == 0
    eventually(answers)
    yield Nginx
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def e(nginx, workers, authority):
    acme = tenant("acme", pod(nginx), service("web", target=nginx.port),
                  ingress(rule(HOST, "web"), ssl_redirect="false"))
    with Edge({"acme.yaml": acme}, workers, authority, certificates=[(f"*.{ACME}",)]) as edge:
        yield edge


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_curl_downloads_a_file_from_nginx_unchanged(e, nginx, tmp_path, scheme):
    done = e.curl("-o", str(tmp_path / "got"), "-w", "%{http_code}", f"{scheme}://{HOST}/big")
    assert done.stdout == "200", done
    assert hashlib.sha256((tmp_path / "got").read_bytes()).digest() == \
        hashlib.sha256((nginx.home / "big").read_bytes()).digest()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_curl_uploads_a_file_to_nginx_unchanged(e, nginx, scheme):
    name = f"{scheme}-{e.https_port}"
    done = e.curl("-T", str(nginx.home / "big"), "-w", "%{http_code}", f"{scheme}://{HOST}/up/{name}")
    assert done.stdout.endswith("201"), done  # curl asked with Expect: 100-continue
    assert (nginx.home / "up" / name).read_bytes() == (nginx.home / "big").read_bytes()


def test_curl_uploads_what_it_does_not_know_the_length_of(e, nginx):
    done = e.curl("-H", "Transfer-Encoding: chunked", "-T", str(nginx.home / "big"), "-w", "%{http_code}",
                  f"http://{HOST}/up/chunked-{e.http_port}")
    assert done.stdout.endswith("201"), done
    assert (nginx.home / f"up/chunked-{e.http_port}").read_bytes() == (nginx.home / "big").read_bytes()


def test_curl_gets_ranges_nothing_new_nothing_at_all_and_compressed_chunks(e, nginx):
    url = f"http://{HOST}"
    assert e.curl("-r", "1-3", f"{url}/small").stdout == "mal"
    assert e.curl("-o", "/dev/null", "-w", "%{http_code}", "-z", str(nginx.home / "small"),
                  f"{url}/small").stdout == "304"
    assert e.curl("-w", "%{http_code}", f"{url}/empty").stdout == "200"
    assert e.curl("--compressed", f"{url}/small").stdout == "small\n"
    assert re.search("content-length: 6", e.curl("-I", f"{url}/small").stdout, re.I)


def test_curl_uses_one_connection_for_many_requests(e):
    done = e.curl("-w", "%{num_connects} ", *[w for i in range(5) for w in ("-o", "/dev/null", f"https://{HOST}/small")])
    assert done.stdout.split() == ["1", "0", "0", "0", "0"], done


def test_curl_as_an_http_1_0_client_is_served(e):
    assert e.curl("--http1.0", f"http://{HOST}/small").stdout == "small\n"


def test_wrk_finds_no_error_among_many_requests(e):
    done = subprocess.run(["wrk", "-t1", "-c50", "-d2s", "-H", f"Host: {HOST}",
                           f"http://127.0.0.1:{e.http_port}/small"], capture_output=True, text=True, timeout=30)
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    assert int(re.search(r"(\d+) requests in", done.stdout)[1]) > (100 if SANITIZED else 1000)


def test_wrk_with_a_connection_for_each_request_finds_no_error(e):
    done = subprocess.run(["wrk", "-t1", "-c20", "-d2s", "-H", f"Host: {HOST}", "-H", "Connection: close",
                           f"http://127.0.0.1:{e.http_port}/small"], capture_output=True, text=True, timeout=30)
    assert "Non-2xx" not in done.stdout, done.stdout
    assert int(re.search(r"(\d+) requests in", done.stdout)[1]) > 100
