# SPDX-License-Identifier: GPL-3.0-or-later
"""acme_story.py - what stories of certificates share: an edge that orders, the authorities it asks, and looks at what came of it."""
import contextlib
import json
import sqlite3
import ssl
import urllib.request

from acme_ca import Names, Pebble
from edge import PATIENCE, Edge, eventually
from objects import documents, grant, ingress, pod, rule, service
from own_ca import Ca

MODULES = ["sni", "http", "tcp", "acme"]
LONG = 60  # an order on a busy machine


def tenant(echo, *hosts, name="acme", entries=None, **options):
    entries = entries or [[h] for h in hosts]
    web = ingress(*[rule(h, echo.name) for h in hosts], name="web", **options)
    web["spec"]["tls"] = [{"hosts": e} for e in entries]
    return documents(grant(name, domains=list(hosts)), pod(echo), service(echo.name, target=echo.port), web)


def edge_for(authority, **options):
    return Edge({}, authority=authority, modules=MODULES, **options)


def acme_section(e, *cas, **more):
    e.content["acme"] = {"directory": [c.directory for c in cas], "ca_file": str(e.authority.ca),
                         "email": "ops@example.com", "challenges": ["http-01"], "caa": False, **more}
    e.write_yaml(e.content)


def row(e, name, tenant_name=None):
    return next((c for c in e.get("certificates") if c.get("source") == "acme" and name in c["names"]
                 and tenant_name in (None, c["tenant"])), None)


def has(e, name, **fields):
    found = row(e, name)
    return found and all(found[k] == v for k, v in fields.items()) and found


def issued(e, name):
    return eventually(lambda: has(e, name, state="ok"), LONG)


def trusting(root):
    context = ssl.create_default_context(cadata=root)
    context.set_alpn_protocols(["http/1.1"])
    return context


def status_over_tls(e, name, root):
    with e.connect_tls(name, trusting(root)) as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return wire.read_response("GET").status


def peer(e, name):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with e.connect_tls(name, context) as wire:
        return wire.sock.getpeercert(True)


def metric(e, series):
    text = urllib.request.urlopen(f"http://127.0.0.1:{e.admin_port}/metrics", timeout=PATIENCE).read().decode()
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series))


def events(e, reason):
    return [v for v in e.get("events") if v["reason"] == reason]


@contextlib.contextmanager
def pebble_for(authority, section=None, pebble=None, **options):
    """An edge (not started) and Pebble, which looks at that edge's ports."""
    with Names() as names:
        e = edge_for(authority, **options)
        with Pebble(e.http_port, e.https_port, names, authority, **(pebble or {})) as ca:
            acme_section(e, ca, **(section or {}))
            yield e, ca


@contextlib.contextmanager
def own_ca_for(authority, section=None, workers=1, **options):
    e = edge_for(authority, workers=workers)
    with Ca(authority, e.http_port, **options) as ca:
        acme_section(e, ca, **(section or {}))
        yield e, ca


def rows(e, prefix):
    with contextlib.closing(sqlite3.connect(e.state / "ringress.db")) as db:
        return dict(db.execute("SELECT key, value FROM row WHERE substr(key, 1, ?) = ?", (len(prefix), prefix)).fetchall())


def drop_rows(e, prefix):
    """So that a story need not wait for a back-off. The edge does not run."""
    with contextlib.closing(sqlite3.connect(e.state / "ringress.db")) as db:
        db.execute("DELETE FROM row WHERE substr(key, 1, ?) = ?", (len(prefix), prefix))
        db.commit()


def put_rows(e, rows):
    """As if it had always known that. The edge does not run."""
    with contextlib.closing(sqlite3.connect(e.state / "ringress.db")) as db, db:
        db.executemany("INSERT INTO row (key, value, revision) VALUES (?, ?, 1)", ((k, json.dumps(v)) for k, v in rows.items()))
