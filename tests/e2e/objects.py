# SPDX-License-Identifier: GPL-3.0-or-later
"""objects.py - the YAML of a tenant, written in Python: grant, pods, services, ingresses, secrets.

    tenant("acme", web, service("web"), ingress(rule("web.123123.1d.pt", "/", "web")))   -> text of acme.yaml"""
import yaml

from edge import Edge

ACME, GLOBEX = "123123.1d.pt", "456456.1d.pt"
DOMAINS = {"acme": ACME, "globex": GLOBEX}


def documents(*docs):
    return yaml.safe_dump_all(docs, sort_keys=False)


def grant(name, domain=None, **spec):
    spec = {"domain": domain or DOMAINS.get(name, f"{name}.1d.pt"), "network": {"allow": ["127.0.0.0/8"]}, **spec}
    return {"apiVersion": "ringress/v1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec}


def pod(server, app=None, ready=True, name=None, port_name=None):
    """The Pod object of a server of pod.py."""
    port = {"containerPort": server.port, **({"name": port_name} if port_name else {})}
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name or server.name, "labels": {"app": app or server.name}},
            "spec": {"containers": [{"name": "main", "image": "main", "ports": [port]}]},
            "status": {"podIP": server.address, "conditions": [{"type": "Ready", "status": str(ready)}]}}


def service(name, port=80, target=5678, app=None, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": app or name}, "ports": [{"port": port, "targetPort": target}], **spec}}


def node_port(name, target=5678, app=None):
    return service(name, port=target, target=target, app=app, type="NodePort")


def backend(name, port=80):
    return {"service": {"name": name, "port": {"number": port}}}


def rule(host, *paths):
    """paths: (path, service) or (path, service, pathType), or one service name for everything."""
    paths = [("/", p) if isinstance(p, str) else p for p in paths]
    entries = [{"path": p[0], "pathType": p[2] if len(p) > 2 else "Prefix", "backend": backend(p[1])} for p in paths]
    return {**({"host": host} if host else {}), "http": {"paths": entries}}


def ingress(*rules, name="default", tls=(), fallback=None, **annotations):
    """tls: hosts, or (hosts, secretName); annotations: ssl_redirect="false" becomes ringress/ssl-redirect."""
    blocks = [{"hosts": [t]} if isinstance(t, str) else {"hosts": list(t[0]), "secretName": t[1]} for t in tls]
    spec = {**({"tls": blocks} if blocks else {}), **({"rules": list(rules)} if rules else {}),
            **({"defaultBackend": backend(fallback)} if fallback else {})}
    marks = {f"ringress/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, **({"annotations": marks} if marks else {})}, "spec": spec}


def plain_ingress(*rules, **options):
    """An ingress whose hosts answer on plain HTTP too."""
    return ingress(*rules, ssl_redirect="false", **options)


def secret(name, chain, key):
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name},
            "stringData": {"tls.crt": chain.read_text(), "tls.key": key.read_text()}}


def tenant(name, *objects, domain=None, **spec):
    return documents(grant(name, domain, **spec), *objects)


def web_tenant(name, server, host=None, **spec):
    """The smallest tenant that serves: one pod behind one host, plain HTTP allowed."""
    host = host or f"web.{DOMAINS[name]}"
    return tenant(name, pod(server, app="web"), service("web", target=server.port),
                  plain_ingress(rule(host, "web")), **spec)


def annotation_is_refused(made, name, value, complaint):
    """With ringress/NAME: VALUE this object of a tenant's is an error, said where it stands."""
    made["metadata"]["annotations"] = {f"ringress/{name}": value}
    edge = Edge({"acme.yaml": documents(made, grant("acme"))})
    done = edge.run("check")
    edge.end(failed=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if complaint in line]
    assert done.returncode == 1 and said and f"ringress/{name}" in said[0], done.stdout + done.stderr
    assert "acme.yaml:" in said[0] and said[0].split("acme.yaml:")[1][0].isdigit()
