# SPDX-License-Identifier: GPL-3.0-or-later
"""connection.py - what belongs to the connection and ends at the edge: Connection, Upgrade, Expect, forwarded fields, pipelines."""
from vector import ANSWER, FIN, SMUGGLED, Got, Seen, Vector, chunked, declined, get, passed, post, refused, reply

CHUNKED = "Transfer-Encoding: chunked"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
NO_UPGRADE = (("upgrade", None), ("connection", None))


def without(name, rfc, *fields, gone, **more):
    """Passed on without those fields."""
    return passed(name, rfc, get("/", *fields), Seen(has=tuple((g, None) for g in gone)), **more)


NOMINATIONS = [
    passed("connection-close", "RFC 9112 9.6", get("/", "Connection: close") + SMUGGLED, Seen(has=(("connection", None),)), ends=True),
    passed("connection-close-any-case", "RFC 9110 7.6.1", get("/", "cOnNeCtIoN: ClOsE") + SMUGGLED, Seen(), ends=True),
    passed("connection-close-in-a-list", "RFC 9110 7.6.1", get("/", "Connection: a,, close ,b") + SMUGGLED, Seen(), ends=True),
    passed("connection-close-and-keep-alive", "RFC 9112 9.3", get("/", "Connection: keep-alive, close") + SMUGGLED, Seen(), ends=True),
    passed("connection-close-in-two-fields", "RFC 9112 9.3", get("/", "Connection: keep-alive", "Connection: close") + SMUGGLED,
           Seen(), ends=True),
    passed("connection-close-with-body", "RFC 9112 9.6", post("Connection: close", "Content-Length: 5", body=b"hello") + SMUGGLED,
           Seen("POST", body=b"hello"), ends=True),
    without("connection-names-a-field", "RFC 9110 7.6.1", "Connection: x-a", "X-A: CANARY", gone=("x-a", "connection")),
    without("connection-names-a-field-after-it", "RFC 9110 7.6.1", "X-A: CANARY", "Connection: x-a", gone=("x-a", "connection")),
    without("connection-names-two", "RFC 9110 7.6.1", "X-A: CANARY", "X-B: CANARY", "Connection: x-a, X-B", gone=("x-a", "x-b")),
    without("connection-names-in-two-fields", "RFC 9110 7.6.1", "X-A: CANARY", "X-B: CANARY", "Connection: x-a",
            "Connection: x-b", gone=("x-a", "x-b")),
    without("connection-names-a-repeated-field", "RFC 9110 7.6.1", "X-A: CANARY", "X-A: CANARY", "Connection: x-a", gone=("x-a",)),
    without("connection-names-a-long-field", "RFC 9110 7.6.1", f"X-{'a' * 100}: CANARY", f"Connection: x-{'a' * 100}",
            gone=(f"x-{'a' * 100}",)),
    without("connection-names-what-is-not-there", "RFC 9110 7.6.1", "Connection: x-a", gone=("x-a", "connection")),
    passed("connection-names-host", "RFC 9110 7.6.1", get("/", "Connection: host"), Seen()),
    passed("connection-names-content-length", "RFC 9110 7.6.1", post("Connection: content-length", "Content-Length: 5", body=b"hello"),
           Seen("POST", body=b"hello", has=(("content-length", "5"),))),
    passed("connection-names-transfer-encoding", "RFC 9110 7.6.1", post("Connection: transfer-encoding", CHUNKED, body=chunked(b"hello")),
           Seen("POST", body=b"hello", has=(("transfer-encoding", "chunked"),))),
    *(passed(f"connection-names-{name}", "RFC 9110 7.6.1", get("/", f"Connection: close, {name}") + SMUGGLED, Seen(), ends=True)
      for name in ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id")),
    without("connection-with-empty-elements", "RFC 9110 5.6.1", "Connection: ,,  ,", gone=("connection",)),
    without("connection-empty", "RFC 9110 7.6.1", "Connection:", gone=("connection",)),
    refused("connection-disguised", "RFC 9110 5.1", get("/", "Conn_ection: close", "Connection : x") + SMUGGLED),
    refused("connection-endless", "RFC 9110 7.6.1", get("/", "Connection: " + ", ".join(f"x-{i}" for i in range(200))) + SMUGGLED, 431),
    without("hop-by-hop", "RFC 9110 7.6.1", "Keep-Alive: timeout=CANARY", "Proxy-Connection: CANARY", "Proxy-Authorization: CANARY",
            "Proxy-Authenticate: CANARY", "Trailer: CANARY", gone=("keep-alive", "proxy-connection", "trailer")),
    without("proxy-becomes-an-environment", "RFC 3875 4.1.18", "Proxy: CANARY", gone=("proxy",)),
    passed("te-trailers", "RFC 9110 10.1.4", get("/", "TE: trailers, CANARY;q=0.5", "Connection: TE"),
           Seen(has=(("te", "trailers"), ("connection", "TE")))),
    without("te-other", "RFC 9110 10.1.4", "TE: gzip, chunked", gone=("te", "connection")),
    without("forwarded-of-a-stranger", "RFC 7239 8.1", "Forwarded: for=CANARY", "X-Real-IP: CANARY", "X-Forwarded-Server: CANARY",
            gone=("forwarded", "x-real-ip", "x-forwarded-server")),
    without("forwarded-disguised", "RFC 9110 5.1", "X_Forwarded_For: CANARY", "X-Forwarded_For: CANARY", "X_Real_IP: CANARY",
            gone=("x_forwarded_for", "x-forwarded_for", "x_real_ip")),
    passed("x-forwarded-for-of-a-stranger", "RFC 7239 8.1", get("/", "X-Forwarded-For: CANARY", "X-Forwarded-For: CANARY"),
           Seen(has=(("x-forwarded-for", "127.0.0.1"),))),
    passed("x-forwarded-proto-of-a-stranger", "RFC 7239 8.1", get("/", "X-Forwarded-Proto: CANARY"),
           Seen(has=(("x-forwarded-proto", "http"),))),
]


def upgrade(name, rfc, *fields, has=NO_UPGRADE, **more):
    return passed(f"upgrade-{name}", rfc, get("/", *fields), Seen(has=has), **more)


SWITCH = reply("Connection: Upgrade", "Upgrade: websocket", status="101 Switching Protocols")
EARLY = get("/", *UPGRADE)
ASKED_FOR = Seen(has=(("upgrade", "websocket"), ("connection", "upgrade")))

UPGRADES = [
    upgrade("h2c", "RFC 9113 3.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            has=(*NO_UPGRADE, ("http2-settings", None))),
    upgrade("h2c-any-case", "RFC 9113 3.1", "Connection: upgrade", "Upgrade: H2C"),
    upgrade("h2c-behind-websocket", "RFC 9113 3.1", "Connection: Upgrade", "Upgrade: websocket, h2c"),
    upgrade("h2c-in-a-second-field", "RFC 9113 3.1", "Connection: Upgrade", "Upgrade: h2c", "Upgrade: h2c"),
    upgrade("http2-settings-alone", "RFC 9113 3.1", "HTTP2-Settings: AAMAAABk", has=(("http2-settings", None),)),
    upgrade("http-2.0", "RFC 9110 7.8", "Connection: Upgrade", "Upgrade: HTTP/2.0"),
    upgrade("tls", "RFC 2817 3", "Connection: Upgrade", "Upgrade: TLS/1.0"),
    upgrade("without-connection", "RFC 9110 7.8", "Upgrade: websocket"),
    upgrade("connection-without-upgrade", "RFC 9110 7.8", "Connection: upgrade"),
    upgrade("empty", "RFC 9110 7.8", "Connection: upgrade", "Upgrade:"),
    refused("upgrade-disguised", "RFC 9110 5.1", get("/", "Connection: upgrade", "Up_grade: websocket", "Transfer_Encoding: x") + SMUGGLED),
    passed("upgrade-http-1.0", "RFC 9110 7.8", get("/", *UPGRADE, version="HTTP/1.0"), Seen(has=NO_UPGRADE), ends=True),
    passed("upgrade-with-body", "RFC 9110 7.8", post(*UPGRADE, "Content-Length: 5", body=b"hello"), Seen("POST", body=b"hello", has=NO_UPGRADE)),
    passed("upgrade-with-chunks", "RFC 9110 7.8", post(*UPGRADE, CHUNKED, body=chunked(b"hello")), Seen("POST", body=b"hello", has=NO_UPGRADE)),
    passed("upgrade-declined", "RFC 9110 7.8", EARLY, ASKED_FOR, ends=True),
    passed("upgrade-declined-late-request", "RFC 9110 7.8", (EARLY, ANSWER, SMUGGLED), ASKED_FOR, ends=True),
    passed("upgrade-declined-early-request", "RFC 9110 7.8", EARLY + SMUGGLED, ASKED_FOR, ends=True),
    passed("upgrade-declined-early-bytes", "RFC 9110 7.8", EARLY + b"\x81\x05CANARY", ASKED_FOR, ends=True),
    Vector("upgrade-refused-early-request", "RFC 9110 7.8", (get("/", *UPGRADE, host="other.example") + SMUGGLED,), (),
           (Got(404),), ends=True),
    Vector("upgrade-refused-late-request", "RFC 9110 7.8", (get("/", *UPGRADE, host="other.example"), ANSWER, SMUGGLED), (),
           (Got(404),), ends=True),
    Vector("upgrade-early-bytes-wait-for-101", "RFC 9110 7.8", (EARLY + b"early", ANSWER, b" and late", FIN), (ASKED_FOR,),
           (Got(101),), script=(SWITCH,), tunnel=b"early and late"),
    Vector("upgrade-switched", "RFC 9110 7.8", (EARLY, ANSWER, get("/inside"), FIN), (ASKED_FOR,),
           (Got(101),), script=(SWITCH,), tunnel=get("/inside")),
]

EXPECTATIONS = [
    passed("expect-continue", "RFC 9110 10.1.1", post("Expect: 100-continue", "Content-Length: 5", body=b"hello"),
           Seen("POST", body=b"hello", has=(("expect", "100-continue"),))),
    passed("expect-continue-any-case", "RFC 9110 10.1.1", post("eXPECT: 100-Continue", "Content-Length: 5", body=b"hello"),
           Seen("POST", body=b"hello")),
    passed("expect-continue-chunked", "RFC 9110 10.1.1", post("Expect: 100-continue", CHUNKED, body=chunked(b"hello")),
           Seen("POST", body=b"hello")),
    passed("expect-continue-without-body", "RFC 9110 10.1.1", get("/", "Expect: 100-continue"), Seen()),
    passed("expect-twice", "RFC 9110 10.1.1", post("Expect: 100-continue", "Expect: 100-continue", "Content-Length: 5", body=b"hello"),
           Seen("POST", body=b"hello", has=(("expect", "100-continue"),))),
    passed("expect-http-1.0", "RFC 9110 10.1.1",
           post("Expect: 100-continue", "Content-Length: 5", "Connection: keep-alive", body=b"hello", version="HTTP/1.0"),
           Seen("POST", body=b"hello", has=(("expect", None),))),
    refused("expect-unknown", "RFC 9110 10.1.1", post("Expect: CANARY", "Content-Length: 5", body=b"hello") + SMUGGLED, 417),
    refused("expect-list", "RFC 9110 10.1.1", post("Expect: 100-continue, x", "Content-Length: 5", body=b"hello") + SMUGGLED, 417),
    refused("expect-empty", "RFC 9110 10.1.1", post("Expect:", "Content-Length: 5", body=b"hello") + SMUGGLED, 417),
    refused("expect-prefix", "RFC 9110 10.1.1", post("Expect: y 100-continue", "Content-Length: 5", body=b"hello") + SMUGGLED, 417),
    refused("expect-folded", "RFC 9112 5.2", post("Expect:\r\n 100-continue", "Content-Length: 5", body=b"hello") + SMUGGLED),
    refused("expect-disguised", "RFC 9110 5.1", post("Exp_ect: x", "Transfer_Encoding: x", "Content-Length: 5", body=b"hello") + SMUGGLED),
    # the body of what the edge has answered itself is no request
    declined("expect-of-nobody", "RFC 9110 10.1.1",
             (post("Expect: 100-continue", f"Content-Length: {len(SMUGGLED)}", host="other.example"), ANSWER, SMUGGLED), 404, ends=True),
]

BAD = get("/", "Transfer_Encoding: chunked")
PIPELINES = [
    passed("pipeline", "RFC 9112 9.3.2", b"".join(get(f"/{i}") for i in range(10)), *(Seen("GET", f"/{i}") for i in range(10))),
    passed("pipeline-with-bodies", "RFC 9112 9.3.2",
           b"".join(post("Content-Length: 5", body=b"hello") + post(CHUNKED, body=chunked(b"world")) for _ in range(3)),
           *[Seen("POST", body=b"hello"), Seen("POST", body=b"world")] * 3),
    passed("pipeline-behind-a-404", "RFC 9112 9.3.2", get(host="other.example") + get("/second"), Seen("GET", "/second"),
           client=(Got(404), Got(200))),
    passed("pipeline-behind-a-404-with-a-body", "RFC 9112 9.3.2", get("/first") + get(host="other.example") + get("/second"),
           Seen("GET", "/first"), Seen("GET", "/second"), client=(Got(200), Got(404), Got(200))),
    refused("pipeline-bad-second", "RFC 9112 9.3.2", get("/first") + BAD + SMUGGLED, before=[Seen("GET", "/first")]),
    refused("pipeline-bad-second-behind-a-body", "RFC 9112 9.3.2", post("Content-Length: 5", body=b"hello") + BAD + SMUGGLED,
            before=[Seen("POST", body=b"hello")]),
    refused("pipeline-bad-second-behind-chunks", "RFC 9112 9.3.2", post(CHUNKED, body=chunked(b"hello")) + BAD + SMUGGLED,
            before=[Seen("POST", body=b"hello")]),
    refused("pipeline-bad-fifth", "RFC 9112 9.3.2", b"".join(get(f"/{i}") for i in range(4)) + BAD + SMUGGLED,
            before=[Seen("GET", f"/{i}") for i in range(4)]),
    refused("pipeline-rubbish-behind-a-request", "RFC 9112 9.3.2", get("/first") + b"CANARY\r\n\r\n", before=[Seen("GET", "/first")]),
    refused("pipeline-bytes-behind-a-length", "RFC 9112 6.3", post("Content-Length: 5", body=b"helloCANARY"),
            before=[Seen("POST", body=b"hello")]),
    refused("pipeline-trace-in-the-middle", "RFC 9110 9.3.8", get("/first") + get("/", method="TRACE") + SMUGGLED, 405,
            before=[Seen("GET", "/first")]),
    refused("pipeline-bad-chunk-in-the-middle", "RFC 9112 7.1", get("/first") + post(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n") + SMUGGLED,
            before=[Seen("GET", "/first")], partial=True),
    Vector("half-a-head", "RFC 9112 8", (get("/CANARY")[:-2], FIN), (), ()),
    Vector("half-a-request-line", "RFC 9112 8", (b"GET /CANARY HTT", FIN), (), ()),
    Vector("half-a-length", "RFC 9112 8", (post("Content-Length: 50", body=b"hello"), FIN), (), (), partial=True),
    Vector("half-a-chunk", "RFC 9112 8", (post(CHUNKED, body=b"a\r\nhello"), FIN), (), (), partial=True),
    Vector("half-a-last-chunk", "RFC 9112 8", (post(CHUNKED, body=b"5\r\nhello\r\n0\r\n"), FIN), (), (), partial=True),
    Vector("half-a-trailer", "RFC 9112 8", (post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-CANARY: b\r\n"), FIN), (), (), partial=True),
]

VECTORS = NOMINATIONS + UPGRADES + EXPECTATIONS + PIPELINES
