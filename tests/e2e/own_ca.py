# SPDX-License-Identifier: GPL-3.0-or-later
"""own_ca.py - a second certificate authority, of our own: RFC 8555 with what Debian's Pebble does not have yet (renewal information of
RFC 9773, profiles), lifetimes of any length, and any answer a story wants to be given once.

    with Ca(authority, http_port) as ca:
        ca.inject("new-order", 429, "rateLimited", retry_after=60)

Every request's signature, nonce and URL are checked; names are looked at over http-01 for real."""
import base64
import datetime
import hashlib
import http.client
import http.server
import json
import ssl
import threading

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

UTC = datetime.timezone.utc


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint(jwk):
    text = json.dumps({k: jwk[k] for k in ("crv", "kty", "x", "y")}, separators=(",", ":"), sort_keys=True)
    return b64(hashlib.sha256(text.encode()).digest())


class Refusal(Exception):
    def __init__(self, status, kind, detail="", retry_after=None, subproblems=()):
        super().__init__(kind, detail)
        self.status, self.kind, self.detail, self.retry_after = status, kind, detail or f"this is {kind}", retry_after
        self.subproblems = subproblems


class Ca:
    """lifetime: of certificates, in seconds; profiles: names; binding: {kid: hmac key in base64url}; caa: its names in CAA records.
    `spoiled`: from now on its certificates are for a key that nobody has."""

    def __init__(self, authority, http_port, lifetime=90 * 86400, profiles=(), binding=None, caa=()):
        self.caa, self.spoiled = list(caa), False
        self.http_port, self.lifetime, self.profiles, self.binding = http_port, lifetime, profiles, binding or {}
        self.lock = threading.RLock()
        self.nonces, self.accounts, self.orders, self.injections = set(), {}, [], []
        self.issued, self.asked_windows, self.replaced, self.used_profiles, self.requests = [], [], [], [], []
        self.window = None  # seconds from now on: (start, end)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = self.make_root()
        handler = type("Handler", (Handler,), {"ca": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, authority.issue("localhost")))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def base(self):
        return f"https://localhost:{self.port}"

    @property
    def directory(self):
        return f"{self.base}/dir"

    def root_pem(self):
        return self.root.public_bytes(serialization.Encoding.PEM).decode()

    def inject(self, where, status, kind, times=1, **more):
        """The next `times` requests at that place ("new-order", "finalize", …) are answered with this problem."""
        with self.lock:
            self.injections += [(where, Refusal(status, kind, **more))] * times

    # ---- certificates ----
    def name(self, common):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    def make_root(self):
        now = datetime.datetime.now(UTC)
        name = self.name("a CA in Python")
        return (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=3650))
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
                .add_extension(x509.BasicConstraints(True, None), True).sign(self.key, hashes.SHA256()))

    def issue(self, csr, names):
        now = datetime.datetime.now(UTC)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        key = ec.generate_private_key(ec.SECP256R1()).public_key() if self.spoiled else csr.public_key()
        leaf = (x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.root.subject)
                .public_key(key).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(seconds=2))
                .not_valid_after(now + datetime.timedelta(seconds=self.lifetime))
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), True)
                .add_extension(identifier, False).sign(self.key, hashes.SHA256()))
        self.issued.append(names)
        return leaf.public_bytes(serialization.Encoding.PEM).decode() + self.root_pem()

    # ---- requests ----
    def nonce(self):
        with self.lock:
            nonce = b64(hashlib.sha256(f"{len(self.nonces)} {id(self)} {len(self.requests)}".encode()).digest()) + str(
                len(self.nonces) + len(self.requests))
            self.nonces.add(nonce)
            return nonce

    def verify(self, url, jws, needs_key):
        header = json.loads(unb64(jws["protected"]))
        if header.get("nonce") not in self.nonces:
            raise Refusal(400, "badNonce")
        self.nonces.discard(header["nonce"])
        if header["url"] != url or header["alg"] != "ES256" or ("jwk" in header) != needs_key:
            raise Refusal(400, "malformed", "url, alg or key")
        jwk = header["jwk"] if needs_key else self.accounts.get(header["kid"], {}).get("jwk")
        if not jwk:
            raise Refusal(400, "accountDoesNotExist")
        self.check_signature(jwk, jws)
        return header, jwk, json.loads(unb64(jws["payload"])) if jws["payload"] else None

    @staticmethod
    def check_signature(jwk, jws):
        public = ec.EllipticCurvePublicNumbers(int.from_bytes(unb64(jwk["x"]), "big"),
                                               int.from_bytes(unb64(jwk["y"]), "big"), ec.SECP256R1()).public_key()
        raw = unb64(jws["signature"])
        signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            public.verify(signature, f"{jws['protected']}.{jws['payload']}".encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Refusal(403, "unauthorized", "signature") from None

    def post(self, path, jws):
        where, _, rest = path.strip("/").partition("/")
        with self.lock:
            self.requests.append(path)
            for i, (place, refusal) in enumerate(self.injections):
                if place == where:
                    del self.injections[i]
                    raise refusal
            header, jwk, payload = self.verify(self.base + path, jws, where == "new-account")
            return getattr(self, "on_" + where.replace("-", "_"))(rest, header, jwk, payload)

    # ---- resources; each returns (status, headers, body) ----
    def on_new_account(self, _, header, jwk, payload):
        for url, account in self.accounts.items():
            if account["jwk"] == jwk:
                return 200, {"Location": url}, {"status": "valid"}
        if payload.get("onlyReturnExisting"):
            raise Refusal(400, "accountDoesNotExist")
        if self.binding:
            self.check_binding(payload.get("externalAccountBinding"), jwk)
        url = f"{self.base}/account/{len(self.accounts) + 1}"
        self.accounts[url] = {"jwk": jwk, "contact": payload.get("contact")}
        return 201, {"Location": url}, {"status": "valid"}

    def check_binding(self, jws, jwk):
        if not jws:
            raise Refusal(403, "externalAccountRequired")
        header = json.loads(unb64(jws["protected"]))
        mac = hmac.HMAC(unb64(self.binding.get(header["kid"], "")) or b"?", hashes.SHA256())
        mac.update(f"{jws['protected']}.{jws['payload']}".encode())
        if mac.finalize() != unb64(jws["signature"]) or json.loads(unb64(jws["payload"])) != jwk:
            raise Refusal(403, "unauthorized", "the binding is not of this key")

    def on_account(self, _, header, jwk, payload):
        if payload and "contact" in payload:
            self.accounts[header["kid"]]["contact"] = payload["contact"]
        return 200, {}, {"status": "valid", "contact": self.accounts[header["kid"]]["contact"]}

    def on_key_change(self, _, header, jwk, inner):
        inner_header, payload = json.loads(unb64(inner["protected"])), json.loads(unb64(inner["payload"]))
        self.check_signature(inner_header["jwk"], inner)
        if payload != {"account": header["kid"], "oldKey": jwk} or inner_header["url"] != f"{self.base}/key-change":
            raise Refusal(400, "malformed", "not a key change of this account")
        self.accounts[header["kid"]]["jwk"] = inner_header["jwk"]
        return 200, {}, {"status": "valid"}

    def on_new_order(self, _, header, jwk, payload):
        names = [i["value"] for i in payload["identifiers"]]
        if payload.get("profile") and payload["profile"] not in self.profiles:
            raise Refusal(400, "invalidProfile")
        self.used_profiles.append(payload.get("profile"))
        if "replaces" in payload:
            self.replaced.append(payload["replaces"])
        self.orders.append({"names": names, "status": "pending", "proofs": ["pending"] * len(names), "jwk": jwk,
                            "errors": [None] * len(names)})
        number = len(self.orders) - 1
        return 201, {"Location": f"{self.base}/order/{number}"}, self.order_json(number)

    def order_json(self, number):
        order = self.orders[number]
        if order["status"] == "pending" and all(p == "valid" for p in order["proofs"]):
            order["status"] = "ready"
        if "invalid" in order["proofs"]:
            order["status"] = "invalid"
        return {"status": order["status"], "finalize": f"{self.base}/finalize/{number}",
                "identifiers": [{"type": "dns", "value": n} for n in order["names"]],
                "authorizations": [f"{self.base}/authz/{number}-{i}" for i in range(len(order["names"]))],
                **({"certificate": f"{self.base}/certificate/{number}"} if order["status"] == "valid" else {})}

    def on_order(self, rest, *_):
        return 200, {}, self.order_json(int(rest))

    def on_authz(self, rest, *_):
        number, i = map(int, rest.split("-"))
        order = self.orders[number]
        name = order["names"][i]
        challenge = {"type": "http-01", "url": f"{self.base}/challenge/{rest}", "token": f"token-{rest}",
                     "status": order["proofs"][i], **({"error": order["errors"][i]} if order["errors"][i] else {})}
        return 200, {}, {"status": order["proofs"][i], "identifier": {"type": "dns", "value": name.removeprefix("*.")},
                         "wildcard": name.startswith("*."), "challenges": [challenge]}

    def on_challenge(self, rest, header, jwk, payload):
        number, i = map(int, rest.split("-"))
        order = self.orders[number]
        name, token = order["names"][i], f"token-{rest}"
        answer = self.look(name, token)
        good = answer == f"{token}.{thumbprint(jwk)}"
        order["proofs"][i] = "valid" if good else "invalid"
        if not good:
            order["errors"][i] = {"type": "urn:ietf:params:acme:error:unauthorized", "detail": f"found {answer!r}"}
        return 200, {}, {"type": "http-01", "status": order["proofs"][i], "url": header["url"], "token": token}

    def look(self, name, token):
        client = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            client.request("GET", f"/.well-known/acme-challenge/{token}", headers={"Host": name})
            answer = client.getresponse()
            return answer.read().decode("latin-1").strip() if answer.status == 200 else f"status {answer.status}"
        except OSError as error:
            return str(error)
        finally:
            client.close()

    def on_finalize(self, rest, header, jwk, payload):
        order = self.orders[int(rest)]
        self.order_json(int(rest))
        if order["status"] != "ready":
            raise Refusal(403, "orderNotReady")
        csr = x509.load_der_x509_csr(unb64(payload["csr"]))
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        if not csr.is_signature_valid or sorted(names) != sorted(order["names"]):
            raise Refusal(400, "badCSR", "other names than the order's, or not signed")
        order["chain"], order["status"] = self.issue(csr, names), "valid"
        return 200, {}, self.order_json(int(rest))

    def on_certificate(self, rest, *_):
        return 200, {"Content-Type": "application/pem-certificate-chain"}, self.orders[int(rest)]["chain"]

    def get(self, path):
        if path == "/dir":
            meta = {"externalAccountRequired": bool(self.binding), "profiles": {p: "of the tests" for p in self.profiles},
                    **({"caaIdentities": self.caa} if self.caa else {})}
            return 200, {}, {"newNonce": f"{self.base}/new-nonce", "newAccount": f"{self.base}/new-account",
                             "newOrder": f"{self.base}/new-order", "keyChange": f"{self.base}/key-change",
                             "renewalInfo": f"{self.base}/renewal", "meta": meta}
        if path.startswith("/renewal/") and self.window:
            self.asked_windows.append(path[9:])
            now = datetime.datetime.now(UTC)
            start, end = (now + datetime.timedelta(seconds=s) for s in self.window)
            return 200, {"Retry-After": "60"}, {"suggestedWindow": {
                "start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "end": end.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        if path == "/new-nonce":
            return 204, {}, ""
        raise Refusal(404, "malformed", "nothing here")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, call):
        try:
            status, headers, body = call()
        except Refusal as no:
            problem = {"type": f"urn:ietf:params:acme:error:{no.kind}", "detail": no.detail, "status": no.status,
                       **({"subproblems": list(no.subproblems)} if no.subproblems else {})}
            headers = {"Content-Type": "application/problem+json",
                       **({"Retry-After": str(no.retry_after)} if no.retry_after else {})}
            status, body = no.status, problem
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Replay-Nonce": self.ca.nonce(), **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self):
        self.answer(lambda: self.ca.get(self.path))

    do_HEAD = do_GET

    def do_POST(self):
        jws = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(lambda: self.ca.post(self.path, jws))

    def log_message(self, *_):
        pass
