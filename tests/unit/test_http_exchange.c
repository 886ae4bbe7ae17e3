/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_http_exchange.c - what a client and a pod see of each other through modules/http; each story at every fragmentation.
 * link: modules/http/http.c modules/http/exchange.c modules/http/record.c modules/http/route.c modules/http/pod_h1.c modules/http/pod_h2.c
 * link: modules/http/message.c modules/http/request.c modules/http/response.c modules/http/body.c modules/http/answer.c
 * link: modules/http/head.c modules/http/field.c modules/http/affinity.c modules/http/h2_front.c modules/http/h2_session.c
 * link: modules/http/h2_stream.c modules/http/h2_message.c modules/http/h2_guard.c modules/http/slices.c
 * link: tests/unit/mock_core.c llhttp PkgConfig::NGHTTP2 no-kernel
 */
#include "modules/http/http.h"
#include "tests/unit/mock_core.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FWD(host)                                               \
    "X-Forwarded-Host: " host "\r\nX-Forwarded-Proto: http\r\n" \
    "X-Request-Id: 00000000000000000000000000000000\r\nX-Forwarded-For: 192.0.2.1\r\n"
#define HOST "Host: a.example\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST
#define TRACE "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define CL(n) "Content-Length: " #n "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define CLOSE "Connection: close\r\n"
#define END "\r\n"
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ERR(status, length, more, body)                                                       \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain\r\nContent-Length: " #length "\r\n" more \
    "\r\n" body "\n"
#define E400 ERR("400 Bad Request", 16, CLOSE, "400 Bad Request")
#define E502(more) ERR("502 Bad Gateway", 16, more, "502 Bad Gateway")

/* ---- what was received, in a form that does not depend on how chunks were cut ---- */

static const char *chunks_join(const char *at, const char *end, char **out) {
    for (;;) {
        char *rest;
        unsigned long n = strtoul(at, &rest, 16);
        if (rest == at || (size_t)(end - rest) < n + 4) {
            *out += sprintf(*out, "<incomplete>");
            return end;
        }
        assert_memory_equal(rest, "\r\n", 2);
        at = rest + 2;
        if (n == 0)
            break;
        memcpy(*out, at, n);
        *out += n;
        assert_memory_equal(at + n, "\r\n", 2);
        at += n + 2;
    }
    *out += sprintf(*out, "<end>");
    return at;
}

static char *plain(const struct mock_end *end) {
    static char out[4][1 << 20];
    static int turn;
    char *text = out[turn++ & 3], *to = text;
    const char *at = end->out, *stop = end->out + end->out_length;
    while (at < stop) {
        const char *head = strstr(at, "\r\n\r\n");
        const char *next = head ? head + 4 : stop;
        char *from = to;
        for (const char *line = at; line < next;) {
            const char *eol = memchr(line, '\n', (size_t)(next - line));
            eol = eol ? eol + 1 : next;
            if (strncmp(line, "Date: ", 6) != 0) {
                memcpy(to, line, (size_t)(eol - line));
                to += eol - line;
            }
            line = eol;
        }
        *to = 0;
        at = next;
        if (head && strstr(from, CHUNKED))
            at = chunks_join(at, stop, &to);
    }
    *to = 0;
    return text;
}

/* ---- driving ---- */

static void say(struct mock_end *end, const char *text, size_t step) {
    size_t length = strlen(text);
    for (size_t at = 0; at < length && end->stream; at += step) {
        mock_say(end, text + at, length - at < step ? length - at : step);
        mock_turn();
    }
}

static void pod_up(unsigned i) {
    if (mock.pods > i && !mock.pod[i].reused)
        mock_connected(&mock.pod[i]);
    mock_turn();
}

enum ending { STAYS, CLOSES, CUT };

static void ending_check(enum ending want) {
    if (want == STAYS) {
        assert_true(mock.conn_open);
        assert_false(mock.client.shutdown);
        return;
    }
    if (mock.conn_open) { /* lingers */
        assert_int_equal(want, CLOSES);
        assert_true(mock.client.shutdown);
        mock_say_eof(&mock.client);
    }
    assert_true(mock.client.closed);
    assert_int_equal(mock.client.reset, want == CUT);
}

static const size_t steps[] = {1, 2, 3, 7, 29, 100000};
enum { STEPS = sizeof steps / sizeof *steps };

/* ---- stories of one exchange ---- */

struct story {
    const char *name, *request, *forwarded, *response, *delivered;
    enum ending end;
    bool kept;    /* the pod's connection can be used again */
    bool pod_eof; /* the pod ends after its response */
    bool trust;
};

static const struct story stories[] = {
    {"a get", GET END, GET FWD("a.example") END, OK CL(2) END "hi", OK CL(2) END "hi", STAYS, true,
     0, 0},
    {"empty lines before a request", "\r\n\r\n" GET END, GET FWD("a.example") END, OK CL(0) END,
     OK CL(0) END, STAYS, true, 0, 0},
    {"value space is trimmed", GET "A:  b c \t \r\nB:\r\n" END,
     GET "A: b c\r\nB: \r\n" FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"hop by hop request fields",
     GET
     "Connection: x-gone, keep-alive\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: b\r\n"
     "Proxy: evil\r\nTrailer: x\r\nx-stays: 2\r\nUpgrade: websocket\r\nHTTP2-Settings: A\r\n" END,
     GET "x-stays: 2\r\n" FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"nominated before and after",
     GET "X-Gone: 1\r\nA: b\r\nConnection: a, X-GONE\r\nX-gone: 2\r\n" END,
     GET FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"a nominated field with a long name",
     GET "X-" A50 A50 ": 1\r\nA: b\r\nConnection: x-" A50 A50 "\r\n" END,
     GET "A: b\r\n" FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"host can not be nominated away", GET "Connection: host, x-forwarded-for\r\n" END,
     GET FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"te trailers", GET "TE: gzip, trailers\r\nConnection: TE\r\n" END,
     GET FWD("a.example") "TE: trailers\r\nConnection: TE\r\n" END, OK CL(0) END, OK CL(0) END,
     STAYS, true, 0, 0},
    {"a stranger's forwarded fields",
     GET
     "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=x\r\nX-Real-IP: 8\r\n"
     "X_Forwarded_For: 2\r\nX-Request-Id: abc\r\nX-Forwarded-Port: 1\r\n" END,
     GET FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"a trusted proxy's forwarded fields",
     GET
     "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Request-Id: abc\r\nA: b\r\n" END,
     GET "X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Request-Id: "
         "abc\r\nA: b\r\nX-Forwarded-Host: a.example\r\n" END,
     OK CL(0) END, OK CL(0) END, STAYS, true, 0, true},
    {"a trusted proxy's list in two lines, moved by what Connection names",
     GET "X-Gone: 1\r\nX-Forwarded-For: 1.1.1.1\r\nConnection: x-gone\r\n"
         "X-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: https\r\nX-Request-Id: "
         "abc\r\nX-Forwarded-Host: h\r\n" END,
     GET "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 192.0.2.1\r\nX-Forwarded-Proto: "
         "https\r\nX-Request-Id: abc\r\nX-Forwarded-Host: h\r\n" END,
     OK CL(0) END, OK CL(0) END, STAYS, true, 0, true},
    {"a trusted proxy's Forwarded before X-Forwarded-For",
     GET "Forwarded: for=1.1.1.1\r\nA: b\r\nX-Forwarded-For: 1.1.1.1\r\nX-Request-Id: abc\r\n" END,
     GET "Forwarded: for=1.1.1.1, for=192.0.2.1;proto=http\r\nA: b\r\nX-Forwarded-For: 1.1.1.1, "
         "192.0.2.1\r\nX-Request-Id: abc\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Proto: "
         "http\r\n" END,
     OK CL(0) END, OK CL(0) END, STAYS, true, 0, true},
    {"a trusted proxy's Forwarded behind X-Forwarded-For, in two lines",
     GET "Forwarded: for=a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Gone: 1\r\nX-Request-Id: abc\r\n"
         "Connection: x-gone\r\nForwarded: for=b\r\n" END,
     GET "Forwarded: for=a\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.1\r\nX-Request-Id: abc\r\n"
         "Forwarded: for=b, for=192.0.2.1;proto=http\r\nX-Forwarded-Host: a.example\r\n"
         "X-Forwarded-Proto: http\r\n" END,
     OK CL(0) END, OK CL(0) END, STAYS, true, 0, true},
    {"a trace is passed on by a stranger", GET TRACE "tracestate: a=1\r\nTracestate: b=2\r\n" END,
     GET TRACE "tracestate: a=1\r\nTracestate: b=2\r\n" FWD("a.example") END, OK CL(0) END,
     OK CL(0) END, STAYS, true, 0, 0},
    {"two traces are none", GET TRACE "A: b\r\ntracestate: a=1\r\n" TRACE END,
     GET "A: b\r\n" FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"a trace's state without it", GET "Tracestate: a=1\r\n" END, GET FWD("a.example") END,
     OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"a malformed trace before its Host",
     "GET / HTTP/1.1\r\ntraceparent: 00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
     "tracestate: a\r\n" HOST END,
     GET FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"a trace of a later version",
     GET "traceparent: 01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more\r\n" END,
     GET "traceparent: 01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more\r\n" FWD(
         "a.example") END,
     OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"absolute form", "GET HTTP://A.example:80/x?y HTTP/1.1\r\nHost: a.example:80\r\n" END,
     "GET /x?y HTTP/1.1\r\nHost: A.example:80\r\n" FWD("A.example:80") END, OK CL(0) END,
     OK CL(0) END, STAYS, true, 0, 0},
    {"absolute form without path", "GET http://a.example?q HTTP/1.1\r\n" HOST END,
     "GET /?q HTTP/1.1\r\n" HOST FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0,
     0},
    {"options star", "OPTIONS * HTTP/1.1\r\n" HOST END,
     "OPTIONS * HTTP/1.1\r\n" HOST FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0,
     0},
    {"options absolute", "OPTIONS http://a.example HTTP/1.1\r\n" HOST END,
     "OPTIONS * HTTP/1.1\r\n" HOST FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0,
     0},
    {"path is normalised", "GET /a/%2e%2E/%7eb/./c?d=/../e HTTP/1.1\r\n" HOST END,
     "GET /~b/c?d=/../e HTTP/1.1\r\n" HOST FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS,
     true, 0, 0},
    {"empty segments stay", "GET //a//b HTTP/1.1\r\n" HOST END,
     "GET //a//b HTTP/1.1\r\n" HOST FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true,
     0, 0},
    {"a small body", "POST / HTTP/1.1\r\n" HOST CL(5) END "12345",
     "POST / HTTP/1.1\r\n" HOST FWD("a.example") CL(5) END "12345", OK CL(0) END, OK CL(0) END,
     STAYS, true, 0, 0},
    {"a body of length 0", "POST / HTTP/1.1\r\n" HOST CL(0) END,
     "POST / HTTP/1.1\r\n" HOST FWD("a.example") CL(0) END, OK CL(0) END, OK CL(0) END, STAYS, true,
     0, 0},
    {"a chunked body",
     "POST / HTTP/1.1\r\n" HOST CHUNKED END "3\r\nabc\r\n02;x=y;z=\"q\\\"\"\r\nde\r\n0\r\n\r\n",
     "POST / HTTP/1.1\r\n" HOST FWD("a.example") CHUNKED END "abcde<end>\r\n", OK CL(0) END,
     OK CL(0) END, STAYS, true, 0, 0},
    {"trailers of a request",
     "POST / HTTP/1.1\r\n" HOST CHUNKED END
     "1\r\nx\r\n0\r\nX-Sum: 9\r\nHost: evil\r\nAuthorization: no\r\nX_Forwarded-For: 1\r\n\r\n",
     "POST / HTTP/1.1\r\n" HOST FWD("a.example") CHUNKED END "x<end>X-Sum: 9\r\n\r\n", OK CL(0) END,
     OK CL(0) END, STAYS, true, 0, 0},
    {"connection close", GET CLOSE END, GET FWD("a.example") END, OK CL(2) END "hi",
     OK CL(2) CLOSE END "hi", CLOSES, true, 0, 0},
    {"http/1.0", "GET / HTTP/1.0\r\n" HOST END, GET FWD("a.example") END, OK CL(2) END "hi",
     OK CL(2) CLOSE END "hi", CLOSES, true, 0, 0},
    {"http/1.0 keep-alive", "GET / HTTP/1.0\r\n" HOST "Connection: Keep-Alive\r\n" END,
     GET FWD("a.example") END, OK CL(2) END "hi", OK CL(2) "Connection: keep-alive\r\n" END "hi",
     STAYS, true, 0, 0},
    {"http/1.0 and a chunked response", "GET / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n" END,
     GET FWD("a.example") END, OK CHUNKED END "2\r\nhi\r\n0\r\nT: x\r\n\r\n", OK CLOSE END "hi",
     CLOSES, true, 0, 0},
    {"expect of http/1.0 is dropped",
     "POST / HTTP/1.0\r\n" HOST "Expect: 100-continue\r\n" CL(1) END "x",
     "POST / HTTP/1.1\r\n" HOST FWD("a.example") CL(1) END "x", OK CL(0) END, OK CL(0) CLOSE END,
     CLOSES, true, 0, 0},
    {"an upgrade of http/1.0 is dropped",
     "GET / HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n" END,
     GET FWD("a.example") END, OK CL(0) END, OK CL(0) CLOSE END, CLOSES, true, 0, 0},
    {"h2c is not asked for",
     GET
     "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: A\r\n" END,
     GET FWD("a.example") END, OK CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    {"an upgrade with a body is none",
     "POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n" CL(1) END "x",
     "POST / HTTP/1.1\r\n" HOST FWD("a.example") CL(1) END "x", OK CL(0) END, OK CL(0) END, STAYS,
     true, 0, 0},
    {"an upgrade that is declined", GET "Upgrade: websocket\r\nConnection: Upgrade\r\n" END,
     GET "Upgrade: websocket\r\n" FWD("a.example") "Connection: upgrade\r\n" END, OK CL(0) END,
     OK CL(0) CLOSE END, CLOSES, true, 0, 0},
    {"426 keeps its Upgrade", GET END, GET FWD("a.example") END,
     "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" CL(0) END,
     "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n" CL(0) "Connection: upgrade\r\n" END,
     STAYS, true, 0, 0},
    {"chunked response", GET END, GET FWD("a.example") END,
     OK CHUNKED END "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", OK CHUNKED END "abcd<end>\r\n", STAYS, true,
     0, 0},
    {"empty chunked response", GET END, GET FWD("a.example") END, OK CHUNKED END "0\r\n\r\n",
     OK CHUNKED END "<end>\r\n", STAYS, true, 0, 0},
    {"trailers of a response", GET END, GET FWD("a.example") END,
     OK "Trailer: X-T\r\n" CHUNKED END "1\r\na\r\n0\r\nX-T: 1\r\nSet-Cookie: a\r\nY: 2\r\n\r\n",
     OK CHUNKED END "a<end>X-T: 1\r\nY: 2\r\n\r\n", STAYS, true, 0, 0},
    {"until close becomes chunked", GET END, GET FWD("a.example") END, OK END "hello",
     OK CHUNKED END "hello<end>\r\n", STAYS, false, true, 0},
    {"until close with nothing", GET END, GET FWD("a.example") END, OK END,
     OK CHUNKED END "<end>\r\n", STAYS, false, true, 0},
    {"until close to http/1.0", "GET / HTTP/1.0\r\n" HOST END, GET FWD("a.example") END,
     "HTTP/1.0 200 OK\r\n" END "hello", OK CLOSE END "hello", CLOSES, false, true, 0},
    {"hop by hop response fields", GET END, GET FWD("a.example") END,
     OK "Connection: x-a\r\nKeep-Alive: timeout=5\r\nX-A: 1\r\nX-B: 2\r\nUpgrade: "
        "h2c\r\nProxy-Authenticate: x\r\n" CL(0) END,
     OK "X-B: 2\r\n" CL(0) END, STAYS, true, 0, 0},
    {"pod says close", GET END, GET FWD("a.example") END, OK CL(1) CLOSE END "a", OK CL(1) END "a",
     STAYS, false, 0, 0},
    {"pod speaks 1.0", GET END, GET FWD("a.example") END, "HTTP/1.0 200 Fine\r\n" CL(1) END "a",
     "HTTP/1.1 200 Fine\r\n" CL(1) END "a", STAYS, false, 0, 0},
    {"pod speaks 1.0 keep-alive", GET END, GET FWD("a.example") END,
     "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" CL(1) END "a", OK CL(1) END "a", STAYS, true,
     0, 0},
    {"no reason phrase", GET END, GET FWD("a.example") END, "HTTP/1.1 404\r\n" CL(0) END,
     "HTTP/1.1 404 \r\n" CL(0) END, STAYS, true, 0, 0},
    {"head", "HEAD / HTTP/1.1\r\n" HOST END, "HEAD / HTTP/1.1\r\n" HOST FWD("a.example") END,
     OK CL(500) END, OK CL(500) END, STAYS, true, 0, 0},
    {"head of something chunked", "HEAD / HTTP/1.1\r\n" HOST END,
     "HEAD / HTTP/1.1\r\n" HOST FWD("a.example") END, OK CHUNKED END, OK END, STAYS, true, 0, 0},
    {"204", GET END, GET FWD("a.example") END, "HTTP/1.1 204 No Content\r\n" END,
     "HTTP/1.1 204 No Content\r\n" END, STAYS, true, 0, 0},
    {"204 with a length of 0", GET END, GET FWD("a.example") END,
     "HTTP/1.1 204 No Content\r\n" CL(0) END, "HTTP/1.1 204 No Content\r\n" END, STAYS, true, 0, 0},
    {"304 with a length", GET END, GET FWD("a.example") END,
     "HTTP/1.1 304 Not Modified\r\n" CL(9) END, "HTTP/1.1 304 Not Modified\r\n" CL(9) END, STAYS,
     true, 0, 0},
    {"100 and 103 are passed on",
     "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n" CL(2) END "ab",
     "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n" FWD("a.example") CL(2) END "ab",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: y\r\nY: "
     "z\r\n\r\n" OK CL(1) END "a",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK CL(1) END "a",
     STAYS, true, 0, 0},
    {"http/1.0 gets no 1xx", "GET / HTTP/1.0\r\n" HOST END, GET FWD("a.example") END,
     "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 x\r\n\r\n" OK CL(1) END "a",
     OK CL(1) CLOSE END "a", CLOSES, true, 0, 0},
    {"data behind the response", GET END, GET FWD("a.example") END, OK CL(1) END "ab",
     OK CL(1) END "a", STAYS, false, 0, 0},
    {"a cookie above the tenant's domain", GET END, GET FWD("a.example") END,
     OK "Set-Cookie: a=b; domain = .Zone.example ; Secure\r\nSet-Cookie: c=d; "
        "Domain=acme.zone.example\r\nSet-Cookie: e=f; Path=/; Domain=other.example\r\n" CL(0) END,
     OK "Set-Cookie: c=d; Domain=acme.zone.example\r\nSet-Cookie: e=f; Path=/; "
        "Domain=other.example\r\n" CL(0) END,
     STAYS, true, 0, 0},
    {"a cookie for a public suffix", GET END, GET FWD("a.example") END,
     OK "Set-Cookie: a=b;Domain=example\r\n" CL(0) END, OK CL(0) END, STAYS, true, 0, 0},
    /* what breaks */
    {"pod ends before its response", GET END, GET FWD("a.example") END, "", E502(""), STAYS, false,
     true, 0},
    {"pod ends in its head", GET END, GET FWD("a.example") END, OK "A: b", E502(""), STAYS, false,
     true, 0},
    {"pod speaks no HTTP", GET END, GET FWD("a.example") END, "SSH-2.0-x\r\n", E502(""), STAYS,
     false, 0, 0},
    {"pod speaks RTSP", GET END, GET FWD("a.example") END, "RTSP/1.1 200 OK\r\n" CL(0) END,
     E502(""), STAYS, false, 0, 0},
    {"pod speaks HTTP/2", GET END, GET FWD("a.example") END, "HTTP/2.0 200 OK\r\n" CL(0) END,
     E502(""), STAYS, false, 0, 0},
    {"two lengths", GET END, GET FWD("a.example") END, OK CL(1) CL(1) END "a", E502(""), STAYS,
     false, 0, 0},
    {"length and coding", GET END, GET FWD("a.example") END, OK CL(1) CHUNKED END "1", E502(""),
     STAYS, false, 0, 0},
    {"coding and length", GET END, GET FWD("a.example") END, OK CHUNKED CL(1) END "1", E502(""),
     STAYS, false, 0, 0},
    {"a list of lengths", GET END, GET FWD("a.example") END, OK "Content-Length: 1, 1\r\n" END "1",
     E502(""), STAYS, false, 0, 0},
    {"a negative length", GET END, GET FWD("a.example") END, OK "Content-Length: -1\r\n" END "1",
     E502(""), STAYS, false, 0, 0},
    {"gzip, chunked", GET END, GET FWD("a.example") END,
     OK "Transfer-Encoding: gzip, chunked\r\n" END "0\r\n\r\n", E502(""), STAYS, false, 0, 0},
    {"chunked, gzip", GET END, GET FWD("a.example") END,
     OK "Transfer-Encoding: chunked, gzip\r\n" END "x", E502(""), STAYS, false, 0, 0},
    {"an empty coding", GET END, GET FWD("a.example") END, OK "Transfer-Encoding:\r\n" END "x",
     E502(""), STAYS, false, 0, 0},
    {"coding in 1.0", GET END, GET FWD("a.example") END,
     "HTTP/1.0 200 OK\r\n" CHUNKED END "0\r\n\r\n", E502(""), STAYS, false, 0, 0},
    {"a disguised length", GET END, GET FWD("a.example") END, OK "Content_Length: 4\r\n" CL(0) END,
     E502(""), STAYS, false, 0, 0},
    {"a folded line", GET END, GET FWD("a.example") END, OK "A: b\r\n c\r\n" CL(0) END, E502(""),
     STAYS, false, 0, 0},
    {"bare LF", GET END, GET FWD("a.example") END, "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
     E502(""), STAYS, false, 0, 0},
    {"a control byte in the reason", GET END, GET FWD("a.example") END,
     "HTTP/1.1 200 O\x01K\r\n" CL(0) END, E502(""), STAYS, false, 0, 0},
    {"space before the colon", GET END, GET FWD("a.example") END, OK "Content-Length : 0\r\n" END,
     E502(""), STAYS, false, 0, 0},
    {"204 with a body", GET END, GET FWD("a.example") END,
     "HTTP/1.1 204 No Content\r\n" CL(3) END "abc", E502(""), STAYS, false, 0, 0},
    {"101 that nobody asked for", GET END, GET FWD("a.example") END,
     "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", E502(""), STAYS,
     false, 0, 0},
    {"101 without Upgrade", GET "Upgrade: x\r\nConnection: upgrade\r\n" END,
     GET "Upgrade: x\r\n" FWD("a.example") "Connection: upgrade\r\n" END,
     "HTTP/1.1 101 Switching\r\n\r\n", E502(CLOSE), CLOSES, false, 0, 0},
    {"101 to what was not asked for", GET "Upgrade: a, b\r\nConnection: upgrade\r\n" END,
     GET "Upgrade: a, b\r\n" FWD("a.example") "Connection: upgrade\r\n" END,
     "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", E502(CLOSE), CLOSES,
     false, 0, 0},
    {"101 to more than was asked for", GET "Upgrade: a, b\r\nConnection: upgrade\r\n" END,
     GET "Upgrade: a, b\r\n" FWD("a.example") "Connection: upgrade\r\n" END,
     "HTTP/1.1 101 Switching\r\nUpgrade: a, h2c\r\nConnection: upgrade\r\n\r\n", E502(CLOSE),
     CLOSES, false, 0, 0},
    {"101 to nothing", GET "Upgrade: a\r\nConnection: upgrade\r\n" END,
     GET "Upgrade: a\r\n" FWD("a.example") "Connection: upgrade\r\n" END,
     "HTTP/1.1 101 Switching\r\nUpgrade: ,\r\nConnection: upgrade\r\n\r\n", E502(CLOSE), CLOSES,
     false, 0, 0},
    {"a length above 2^63", GET END, GET FWD("a.example") END, OK CL(9223372036854775808) END "a",
     E502(""), STAYS, false, 0, 0},
    {"1xx with a body", GET END, GET FWD("a.example") END,
     "HTTP/1.1 103 Early Hints\r\n" CL(3) END "abc", E502(""), STAYS, false, 0, 0},
    {"a status below 100", GET END, GET FWD("a.example") END, "HTTP/1.1 099 x\r\n" CL(0) END,
     E502(""), STAYS, false, 0, 0},
};

static void story_play(const struct story *s, size_t client_step, size_t pod_step, bool reuse) {
    mock_start(&ringress_module);
    mock.reuse = reuse;
    mock.trust = s->trust;
    mock_connect(NULL);
    say(&mock.client, s->request, client_step);
    assert_int_equal(mock.pods, 1);
    pod_up(0);
    assert_string_equal(plain(&mock.pod[0]), s->forwarded);
    assert_int_equal(mock.client.out_length, 0);
    say(&mock.pod[0], s->response, pod_step);
    if (s->pod_eof && mock.pod[0].stream) {
        mock_say_eof(&mock.pod[0]);
        mock_turn();
    }
    if (reuse && mock.pods == 2) { /* died before a byte: asked again */
        pod_up(1);
        assert_string_equal(plain(&mock.pod[1]), s->forwarded);
        mock_say_eof(&mock.pod[1]);
        mock_turn();
    }
    assert_string_equal(plain(&mock.client), s->delivered);
    /* what comes later than a response meets a kept connection, which is the core's to judge */
    if (strcmp(s->name, "data behind the response") != 0 || pod_step > 1000)
        assert_int_equal(mock.pod[0].kept, s->kept);
    ending_check(s->end);
    mock_stop();
}

static void each_story_at_every_fragmentation(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        print_message("         %s\n", stories[i].name);
        for (int n = 0; n < STEPS * STEPS; n++) {
            story_play(&stories[i], steps[n / STEPS], steps[n % STEPS], false);
            story_play(&stories[i], steps[n / STEPS], steps[n % STEPS], true);
        }
    }
}

static void two_exchanges_on_one_connection_at_every_fragmentation(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        const struct story *s = &stories[i];
        if (s->end != STAYS || strstr(s->forwarded, "Upgrade:"))
            continue; /* what follows a request to upgrade is no request */
        char twice[1 << 16], delivered[1 << 16];
        sprintf(twice, "%s%s", s->request, s->request);
        sprintf(delivered, "%s%s", s->delivered, s->delivered);
        for (size_t n = 0; n < STEPS; n++) {
            mock_start(&ringress_module);
            mock.trust = s->trust;
            mock_connect(NULL);
            say(&mock.client, twice, steps[n]);
            for (unsigned pod = 0; pod < 2; pod++) {
                assert_int_equal(mock.pods, pod + 1);
                pod_up(pod);
                assert_string_equal(plain(&mock.pod[pod]), s->forwarded);
                mock_say(&mock.pod[pod], s->response, strlen(s->response));
                if (s->pod_eof)
                    mock_say_eof(&mock.pod[pod]);
                mock_turn();
            }
            assert_string_equal(plain(&mock.client), delivered);
            ending_check(STAYS);
            mock_stop();
        }
    }
}

/* ---- what is refused: the pod never sees a byte ---- */

#define B400 "400 Bad Request"

/* clang-format off: one request a line */
static const struct {
    const char *request, *answer;
} refused[] = {
    {"GET / HTTP/1.1\r\n\r\n", B400},
    {"GET / HTTP/1.0\r\n\r\n", B400},
    {GET HOST END, B400},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", B400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", B400},
    {"GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", B400},
    {"GET / HTTP/1.1\r\nHost: a.example:x\r\n\r\n", B400},
    {"GET / HTTP/1.1\r\nHost: a.example:65536\r\n\r\n", B400},
    {"GET / HTTP/1.1\r\nHost: a.example:99999\r\n\r\n", B400},
    {"GET http://a.example/ HTTP/1.1\r\n\r\n", B400},
    {"GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n", B400},
    {"GET http://u@a.example/ HTTP/1.1\r\nHost: u@a.example\r\n\r\n", B400},
    {"GET ftp://a.example/ HTTP/1.1\r\n" HOST END, B400},
    {"GET http:/// HTTP/1.1\r\n" HOST END, B400},
    {"GET * HTTP/1.1\r\n" HOST END, B400},
    {"OPTIONS *x HTTP/1.1\r\n" HOST END, B400},
    {"GET a.example HTTP/1.1\r\n" HOST END, B400},
    {"GET /#x HTTP/1.1\r\n" HOST END, B400},
    {"GET /?a#x HTTP/1.1\r\n" HOST END, B400},
    {"GET /\x7f HTTP/1.1\r\n" HOST END, B400},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" HOST END, B400},
    {"GET /\t HTTP/1.1\r\n" HOST END, B400},
    {"GET /a b HTTP/1.1\r\n" HOST END, B400},
    {"GET  / HTTP/1.1\r\n" HOST END, B400},
    {"GET /  HTTP/1.1\r\n" HOST END, B400},
    {"OPTIONS   *   HTTP/1.1\r\n" HOST END, B400},
    {"GET /%zz HTTP/1.1\r\n" HOST END, B400},
    {"GET /%2 HTTP/1.1\r\n" HOST END, B400},
    {"GET /%00 HTTP/1.1\r\n" HOST END, B400},
    {"GET /../a HTTP/1.1\r\n" HOST END, B400},
    {"GET /a/%2e%2e/%2e%2e/b HTTP/1.1\r\n" HOST END, B400},
    {"GET /a//../b HTTP/1.1\r\n" HOST END, B400},
    {"GET /a/..%2fb HTTP/1.1\r\n" HOST END, B400},
    {"GET /a%2f../b HTTP/1.1\r\n" HOST END, B400},
    {"GET /a/..%5Cb HTTP/1.1\r\n" HOST END, B400},
    {"GET /a/..\\b HTTP/1.1\r\n" HOST END, B400},
    {"GET /a/..;x/b HTTP/1.1\r\n" HOST END, B400},
    {"GET /a/%c0%ae%c0%ae/b HTTP/1.1\r\n" HOST END, B400},
    {"GET / HTTP/0.9\r\n" HOST END, B400},
    {"GET /\r\n", B400},
    {"GET / HTTP/1.2\r\n" HOST END, B400},
    {"GET / RTSP/1.0\r\n" HOST END, B400},
    {"SOURCE / ICE/1.0\r\n" HOST END, B400},
    {"get / HTTP/1.1\r\n" HOST END, B400},
    {"FOO / HTTP/1.1\r\n" HOST END, B400},
    {"GET / http/1.1\r\n" HOST END, B400},
    {"GET / HTTP/1.1\n" HOST END, B400},
    {"GET / HTTP/1.1\r" HOST END, B400},
    {"GET / HTTP/1.1 \r\n" HOST END, B400},
    {"GET / HTTP/1.1\r\n " HOST END, B400},
    {GET "A: b\n" END, B400},
    {GET "A: b\rC: d\r\n" END, B400},
    {GET "A: b\r\n c\r\n" END, B400},
    {GET "A: b\r\n\tc\r\n" END, B400},
    {GET "A : b\r\n" END, B400},
    {GET "A\t: b\r\n" END, B400},
    {GET " A: b\r\n" END, B400},
    {GET ": b\r\n" END, B400},
    {GET "A\r\n" END, B400},
    {GET "A\x01: b\r\n" END, B400},
    {GET "A(: b\r\n" END, B400},
    {GET "A: \x01\r\n" END, B400},
    {GET "A: \x7f\r\n" END, B400},
    {GET "\xc3\xa9: b\r\n" END, B400},
    {GET CL(1) CL(1) END "a", B400},
    {GET CL(1) CL(2) END "ab", B400},
    {GET CL(+1) END "a", B400},
    {GET CL(-1) END "a", B400},
    {GET CL(0x1) END "a", B400},
    {GET CL(1a) END "a", B400},
    {GET CL(1 1) END "a", B400},
    {GET "Content-Length: 1,1\r\n" END "a", B400},
    {GET "Content-Length:\r\n" END "a", B400},
    {GET CL(99999999999999999999) END "a", B400},
    {GET CL(9223372036854775808) END "a", B400},
    {GET CL(18446744073709551615) END "a", B400},
    {GET CL(1) CHUNKED END "0\r\n\r\n", B400},
    {GET CHUNKED CL(1) END "0\r\n\r\n", B400},
    {GET CHUNKED CHUNKED END "0\r\n\r\n", B400},
    {GET "Transfer-Encoding: gzip\r\n" END, B400},
    {GET "Transfer-Encoding: gzip, chunked\r\n" END "0\r\n\r\n", B400},
    {GET "Transfer-Encoding: chunked, gzip\r\n" END "0\r\n\r\n", B400},
    {GET "Transfer-Encoding: chunked, chunked\r\n" END "0\r\n\r\n", B400},
    {GET "Transfer-Encoding: identity\r\n" END, B400},
    {GET "Transfer-Encoding:\r\n" END, B400},
    {GET "Transfer-Encoding: xchunked\r\n" END, B400},
    {GET "Transfer-Encoding: chunked;q=1\r\n" END "0\r\n\r\n", B400},
    {GET "Transfer-Encoding: \"chunked\"\r\n" END "0\r\n\r\n", B400},
    {GET "Transfer-Encoding: \vchunked\r\n" END "0\r\n\r\n", B400},
    {GET "Transfer-Encoding : chunked\r\n" END "0\r\n\r\n", B400},
    {GET "Transfer_Encoding: chunked\r\n" END "0\r\n\r\n", B400},
    {GET "transfer-encoding_: chunked\r\nTransfer_encoding: x\r\n" END, B400},
    {GET "Content_Length: 1\r\n" END "a", B400},
    {"POST / HTTP/1.0\r\n" HOST CHUNKED END "0\r\n\r\n", B400},
    {"GET / HTTP/1.1\r\nHost: a.example\r\nho_st: x\r\nHost : b\r\n\r\n", B400},
    {"CONNECT a.example:443 HTTP/1.1\r\n" HOST END, "405 Method Not Allowed"},
    {"TRACE / HTTP/1.1\r\n" HOST END, "405 Method Not Allowed"},
    {"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", "505 HTTP Version Not Supported"},
    {"GET / HTTP/2.0\r\n" HOST END, "505 HTTP Version Not Supported"},
    {GET "Expect: 200-ok\r\n" END, "417 Expectation Failed"},
    {"\x16\x03\x01\x02", "400 Bad Request"},
};
/* clang-format on */

static void malformed_requests_are_refused_and_no_pod_sees_them(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        for (size_t n = 0; n < STEPS; n++) {
            char line[64];
            snprintf(line, sizeof line, "HTTP/1.1 %s\r\n", refused[i].answer);
            mock_start(&ringress_module);
            mock_connect(NULL);
            say(&mock.client, refused[i].request, steps[n]);
            say(&mock.client, GET END GET END, steps[n]);
            const char *answer = plain(&mock.client);
            if (mock.pods || strncmp(answer, line, strlen(line)) != 0 ||
                strstr(answer + 1, "HTTP/1.1 "))
                fail_msg("not refused: %s -> %s", refused[i].request, answer);
            assert_non_null(strstr(answer, CLOSE));
            ending_check(CLOSES);
            mock_stop();
        }
}

static const char *const bad_bodies[] = {"x\r\n",
                                         "-1\r\n",
                                         "+1\r\na\r\n",
                                         "0x1\r\na\r\n",
                                         " 1\r\na\r\n",
                                         "1 \r\na\r\n",
                                         "1\na\r\n",
                                         "1\r\nab\r\n",
                                         "1\r\na\n0\r\n\r\n",
                                         "1\r\na\r0\r\n\r\n",
                                         "1;\r\na\r\n",
                                         "1; a\r\na\r\n",
                                         "1;a=\"b\r\na\r\n",
                                         "1;\x01\r\na\r\n",
                                         "10000000000000000\r\n",
                                         "1\r\na\r\n0\r\nA : b\r\n\r\n",
                                         "0\r\nA: b\r\n c\r\n\r\n",
                                         "0\r\nContent-Length: 5\r\n\r\n",
                                         "0\r\nTransfer-Encoding: chunked\r\n\r\n",
                                         "\r\n",
                                         ";a\r\n"};

static void malformed_chunks_are_refused_and_never_completed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_bodies / sizeof *bad_bodies; i++)
        for (size_t n = 0; n < 2 * STEPS; n++) {
            mock_start(&ringress_module);
            mock.reuse = n >= STEPS;
            mock_connect(NULL);
            say(&mock.client, "POST / HTTP/1.1\r\n" HOST CHUNKED END, steps[n % STEPS]);
            pod_up(0);
            say(&mock.client, bad_bodies[i], steps[n % STEPS]);
            if (mock.conn_open && !mock.client.shutdown)
                fail_msg("not refused: %s", bad_bodies[i]);
            assert_string_equal(plain(&mock.client), E400);
            assert_true(mock.pod[0].reset);
            assert_null(strstr(mock.pod[0].out, "\r\n0\r\n\r\n"));
            ending_check(CLOSES);
            mock_stop();
        }
}

static void malformed_chunks_of_a_pod_are_never_completed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_bodies / sizeof *bad_bodies; i++)
        for (size_t n = 0; n < STEPS; n++) {
            mock_start(&ringress_module);
            mock_connect(NULL);
            say(&mock.client, GET END, 1000);
            pod_up(0);
            char text[256];
            sprintf(text, OK CHUNKED END "%s", bad_bodies[i]);
            say(&mock.pod[0], text, steps[n]);
            assert_true(mock.pod[0].reset);
            assert_false(mock.pod[0].kept);
            assert_null(strstr(mock.client.out, "\r\n0\r\n\r\n"));
            if (mock.client.closed)
                assert_true(mock.client.reset);
            else
                assert_string_equal(plain(&mock.client), E502(""));
            mock_stop();
        }
}

/* ---- limits ---- */

static char *repeat(const char *text, size_t times) {
    char *all = malloc(strlen(text) * times + 1), *to = all;
    *to = 0;
    while (times--)
        to = stpcpy(to, text);
    return all;
}

static void limit_play(const char *before, const char *text, size_t times, const char *after,
                       const char *status) {
    char *middle = repeat(text, times);
    for (size_t n = 0; n < 3; n++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        const size_t cuts[] = {1, 1000, 1 << 20};
        say(&mock.client, before, cuts[n]);
        say(&mock.client, middle, cuts[n]);
        say(&mock.client, after, cuts[n]);
        if (status) {
            assert_int_equal(mock.pods, 0);
            assert_memory_equal(mock.client.out + 9, status, 3);
            ending_check(CLOSES);
        } else {
            assert_int_equal(mock.pods, 1);
            pod_up(0);
            assert_non_null(strstr(mock.pod[0].out, middle));
            say(&mock.pod[0], OK CL(0) END, 1000);
            assert_string_equal(plain(&mock.client), OK CL(0) END);
        }
        mock_stop();
    }
    free(middle);
}

static void heads_have_limits(void **state) {
    (void)state;
    limit_play("GET /", "a", 8000, " HTTP/1.1\r\n" HOST END, NULL);
    limit_play("GET /", "a", 8300, " HTTP/1.1\r\n" HOST END, "414");
    limit_play(GET, "Ab: cd\r\n", 99, END, NULL);
    limit_play(GET, "Ab: cd\r\n", 100, END, "431");
    limit_play(GET "A: ", "x", 32000, "\r\n\r\n", NULL);
    limit_play(GET "A: ", "x", 33000, "\r\n\r\n", "431");
    limit_play(GET "A", "x", 33000, ": b\r\n\r\n", "431");
    limit_play(GET "Connection: ", "abcde,", 90, "\r\n\r\n", "431");
}

static void a_pods_head_has_limits(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        char *value = repeat("x", big ? 33000 : 31000);
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client, GET END, 1000);
        pod_up(0);
        say(&mock.pod[0], OK "A: ", 1000);
        say(&mock.pod[0], value, 4096);
        say(&mock.pod[0], "\r\n" CL(3) END "abc", 1000);
        if (big)
            assert_string_equal(plain(&mock.client), E502(""));
        else
            assert_non_null(strstr(mock.client.out, "\r\n" CL(3) END "abc"));
        mock_stop();
        free(value);
    }
}

static void endless_chunk_extensions_are_refused(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.reuse = true;
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CHUNKED END, 1000);
    for (int i = 0; i < 100; i++)
        say(&mock.client,
            "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=b\r\nx\r\n", 1000);
    assert_string_equal(plain(&mock.client), E400);
    mock_stop();
}

/* ---- routing ---- */

static void answer_play(const char *sni, const char *request, const char *answer) {
    for (size_t n = 0; n < STEPS; n++) {
        mock_connect(sni);
        say(&mock.client, request, steps[n]);
        assert_string_equal(plain(&mock.client), answer);
        assert_true(mock.conn_open);
        say(&mock.client, request, steps[n]); /* it stays usable */
        assert_memory_equal(plain(&mock.client) + strlen(answer), answer, strlen(answer));
        mock_say_eof(&mock.client);
        assert_true(mock.client.closed && !mock.client.reset);
    }
}

#define E404 ERR("404 Not Found", 14, "", "404 Not Found")
#define E421 ERR("421 Misdirected Request", 24, "", "421 Misdirected Request")
#define E503 ERR("503 Service Unavailable", 24, "Retry-After: 5\r\n", "503 Service Unavailable")
#define REDIRECT(to) \
    ERR("308 Permanent Redirect", 23, "Location: " to "\r\n", "308 Permanent Redirect")

static void names_and_paths_without_a_rule_are_404(void **state) {
    (void)state;
    mock_start(&ringress_module);
    answer_play(NULL, "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n", E404);
    answer_play(NULL, "GET / HTTP/1.1\r\nHost: bare.example\r\n\r\n", E404);
    answer_play(NULL, "GET /x HTTP/1.1\r\nHost: paths.example\r\n\r\n", E404);
    answer_play(NULL, "GET /apix HTTP/1.1\r\nHost: paths.example\r\n\r\n", E404);
    answer_play(NULL, "GET /api/../x HTTP/1.1\r\nHost: paths.example\r\n\r\n", E404);
    answer_play(NULL, "HEAD / HTTP/1.1\r\nHost: nobody.example\r\n\r\n",
                "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n");
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\nHost: nobody.example\r\n" CL(2) END "ab", 1000);
    assert_string_equal(plain(&mock.client), E404);
    mock_stop();
}

static void no_ready_pod_is_503(void **state) {
    (void)state;
    mock_start(&ringress_module);
    answer_play(NULL, "GET /none HTTP/1.1\r\nHost: paths.example\r\n\r\n", E503);
    mock.open_error = -ENETUNREACH;
    answer_play(NULL, GET END, E503);
    assert_true(mock.account->w[0].failures > 0);
    assert_int_equal(mock.account->w[0].failures, mock.account->w[0].requests);
    mock_stop();
}

static void sni_of_one_tenant_with_host_of_another_is_421(void **state) {
    (void)state;
    mock_start(&ringress_module);
    answer_play("other.example", GET END, E421);
    answer_play("gone.example", GET END, E421);
    mock_connect("paths.example"); /* another name of the same tenant */
    say(&mock.client, GET END, 1000);
    assert_int_equal(mock.pods, 1);
    assert_non_null(strstr(mock.pod[0].out, "X-Forwarded-Proto: https\r\n"));
    mock_stop();
}

static void plain_http_is_redirected_where_asked(void **state) {
    (void)state;
    mock_start(&ringress_module);
    answer_play(NULL, "GET /a/../b?c=d HTTP/1.1\r\nHost: TLS.example:8080\r\n\r\n",
                REDIRECT("https://tls.example/b?c=d"));
    mock_connect("tls.example");
    say(&mock.client, "GET / HTTP/1.1\r\nHost: tls.example\r\n\r\n", 1000);
    assert_int_equal(mock.pods, 1);
    mock_stop();
}

static void a_redirect_waits_for_the_first_certificate(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.no_certificate = true;
    answer_play(NULL, "GET / HTTP/1.1\r\nHost: tls.example\r\n\r\n", E503);
    mock.no_certificate = false;
    answer_play(NULL, "GET / HTTP/1.1\r\nHost: tls.example\r\n\r\n",
                REDIRECT("https://tls.example/"));
    mock_stop();
}

#define TOKEN(method, host) \
    method " /.well-known/acme-challenge/tok HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define ANSWER \
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 9\r\n\r\n"

static void an_authority_is_answered_before_anything_else(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.challenge = "tok.thumb";
    mock.over_requests = mock.no_certificate = true;
    answer_play(NULL, TOKEN("GET", "a.example"), ANSWER "tok.thumb");
    answer_play(NULL, TOKEN("GET", "tls.example"), ANSWER "tok.thumb");
    answer_play(NULL, TOKEN("HEAD", "TLS.example"), ANSWER);
    mock.over_requests = false;
    answer_play(NULL, TOKEN("GET", "paths.example"), E404); /* another host's */
    mock_stop();
}

static void what_an_authority_asks_of_others_goes_to_the_pod(void **state) {
    (void)state;
    const char *const asked[] = {
        TOKEN("GET", "tls.example"), TOKEN("HEAD", "tls.example"),
        "GET /.well-known/acme-challenge/other HTTP/1.1\r\nHost: tls.example\r\n\r\n"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client, asked[i], 1000);
        assert_int_equal(mock.pods, 1);
        mock_stop();
    }
    mock_start(&ringress_module);
    mock.challenge = "tok.thumb";
    answer_play(NULL, TOKEN("DELETE", "tls.example"),
                REDIRECT("https://tls.example/.well-known/acme-challenge/tok"));
    answer_play(NULL, "GET /.well-known/acme-challenge/ HTTP/1.1\r\nHost: tls.example\r\n\r\n",
                REDIRECT("https://tls.example/.well-known/acme-challenge/"));
    mock_connect("tls.example"); /* asked by TLS: not ours to answer */
    say(&mock.client, TOKEN("GET", "tls.example"), 1000);
    assert_int_equal(mock.pods, 1);
    mock_stop();
}

static void routes_match_the_normalised_path_without_empty_segments(void **state) {
    (void)state;
    const char *const targets[] = {"/api",   "/api/x", "//api", "/x/../api",
                                   "/%61pi", "/api?x", "/a",    "/a//b"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char text[200];
        mock_start(&ringress_module);
        mock_connect(NULL);
        sprintf(text, "GET %s HTTP/1.1\r\nHost: paths.example\r\n\r\n", targets[i]);
        say(&mock.client, text, 1000);
        assert_int_equal(mock.pods, 1);
        mock_stop();
    }
}

static void modules_may_look_reject_and_reroute(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.ask_header = "x-TOKEN";
    mock_connect(NULL);
    say(&mock.client, GET "X-Token: secret\r\n" END, 1000);
    assert_string_equal(mock.seen_header, "secret");
    assert_int_equal(mock.pods, 1);
    mock_stop();

    mock_start(&ringress_module);
    mock.verdict = VERDICT_REJECT;
    mock.reject_status = 429;
    answer_play(NULL, GET END,
                ERR("429 Too Many Requests", 22, "Retry-After: 1\r\n", "429 Too Many Requests"));
    mock.reject_status = 0;
    answer_play(NULL, GET END, ERR("403 Forbidden", 14, "", "403 Forbidden"));
    mock.verdict = VERDICT_PASS;
    mock.route_host = "paths.example"; /* which has no rule for / */
    answer_play(NULL, GET END, E404);
    mock.route_host = "nobody.example";
    answer_play(NULL, GET END, E404);
    mock_stop();
}

#define E429(more) \
    ERR("429 Too Many Requests", 22, "Retry-After: 1\r\n" more, "429 Too Many Requests")
#define E413 ERR("413 Content Too Large", 22, CLOSE, "413 Content Too Large")

static void a_tenant_over_its_limits_is_told_to_come_again(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.over_requests = true;
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    assert_string_equal(plain(&mock.client), E429(""));
    assert_false(mock.client.closed); /* the next one may be in time */
    mock_stop();

    mock_start(&ringress_module);
    mock.over_connections = true;
    mock_connect(NULL);
    say(&mock.client, GET END GET END, 1000);
    assert_string_equal(plain(&mock.client), E429(CLOSE));
    assert_int_equal(mock.pods, 0);
    mock_stop();
}

/* Nothing of it goes to a pod meanwhile, what is pipelined behind it waits as well, and one who leaves takes no place. */
static void who_floods_waits_for_the_refusal(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.over_requests = mock.stalling = true;
    mock_connect(NULL);
    say(&mock.client, GET END GET END, 1000);
    mock_wait(CONN_STALL_MS - 60);
    assert_string_equal(plain(&mock.client), "");
    assert_int_equal(mock.stalls, 1);
    mock_wait(60 + 50);
    assert_string_equal(plain(&mock.client), E429(""));
    assert_int_equal(mock.stalls, 1); /* the second, now */
    mock_wait(CONN_STALL_MS + 50);
    assert_string_equal(plain(&mock.client), E429("") E429(""));
    assert_int_equal(mock.stalls, 0);
    assert_int_equal(mock.pods, 0);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CL(5) END "ab", 1000);
    assert_int_equal(mock.stalls, 1);
    say(&mock.client, "cde", 1000);
    mock_wait(CONN_STALL_MS + 50);
    assert_string_equal(plain(&mock.client), E429("") E429("") E429(CLOSE));
    mock_stop();

    mock_start(&ringress_module);
    mock.over_requests = mock.stalling = true;
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    assert_int_equal(mock.stalls, 1);
    mock_fail(&mock.client, -ECONNRESET);
    assert_int_equal(mock.stalls, 0);
    mock_stop();
}

static void a_body_over_the_limit_is_refused_as_soon_as_it_is_known(void **state) {
    static const struct gate gate = {.body_size_max = 10};
    (void)state;
    mock_start(&ringress_module);
    mock.gate = &gate;
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CL(11) END "x", 1000);
    assert_string_equal(plain(&mock.client), E413);
    assert_int_equal(mock.pods, 0); /* it never heard of it */
    assert_int_equal(mock.refusals, 1);
    mock_stop();

    for (size_t step = 1; step < 100; step++) {
        mock_start(&ringress_module);
        mock.gate = &gate;
        mock_connect(NULL);
        say(&mock.client, "POST / HTTP/1.1\r\n" HOST CHUNKED END, step);
        pod_up(0);
        say(&mock.client, "5\r\n12345\r\n6\r\n678901\r\n0\r\n\r\n", step);
        assert_string_equal(plain(&mock.client), E413);
        assert_true(mock.pod[0].closed && mock.pod[0].reset);
        assert_null(strstr(mock.pod[0].out, "0\r\n\r\n")); /* nor a whole message */
        assert_int_equal(mock.refusals, 1);
        mock_stop();
    }
}

static void a_kept_connection_is_used_no_longer_than_its_pod_says(void **state) {
    static const struct {
        const char *value;
        int64_t ms; /* 0: not said; -1: not kept at all */
    } cases[] = {{"timeout=5", 5000},
                 {"timeout=5, max=100", 5000},
                 {"max=100,Timeout=7", 7000},
                 {"timeout=9, timeout=3", 3000},
                 {"timeout=99999999999999999999", 65535000},
                 {"timeout=0", -1},
                 {"timeout=", 0},
                 {"timeout=-1", 0},
                 {"timeout=5s", 0},
                 {"timeout", 0},
                 {"xtimeout=5", 0},
                 {"", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client, GET END, 1000);
        pod_up(0);
        snprintf(text, sizeof text, OK "Keep-Alive: %s\r\n" CL(2) END "hi", cases[i].value);
        say(&mock.pod[0], text, 1000);
        assert_string_equal(plain(&mock.client), OK CL(2) END "hi");
        assert_int_equal(mock.pod[0].kept, cases[i].ms >= 0);
        assert_int_equal(mock.pod[0].ends_after_ms, cases[i].ms < 0 ? 0 : cases[i].ms);
        mock_stop();
    }
}

static void of_two_limits_on_bodies_the_smaller_holds(void **state) {
    static const struct {
        int64_t tenant, route; /* 0 and -1: none */
        unsigned most;
    } cases[] = {{10, -1, 10}, {10, 20, 10}, {20, 10, 10}, {0, 10, 10}, {10, 10, 10}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned more = 0; more < 2; more++) {
            struct gate gate = {.body_size_max = cases[i].route};
            char text[200];
            mock_start(&ringress_module);
            mock.gate = cases[i].route < 0 ? NULL : &gate;
            mock.request_size = cases[i].tenant;
            mock_connect(NULL);
            snprintf(text, sizeof text, "POST / HTTP/1.1\r\n" HOST "Content-Length: %u\r\n" END,
                     cases[i].most + more);
            say(&mock.client, text, 1000);
            assert_int_equal(mock.pods, !more);
            assert_int_equal(mock.refusals, more);
            mock_stop();
        }
}

/* 192.0.2.1 asks; 198.51.100.0/24 and, where it says so, the peer itself are trusted. */
static void the_client_that_a_trusted_proxy_names_is_let_in_or_not(void **state) {
    static const struct prefix allow = {AF_INET, 24, {203, 0, 113}};
    static const struct gate gate = {.allow = &allow, .allow_count = 1, .body_size_max = -1};
    static const struct {
        const char *fields;
        bool trust, in;
    } cases[] = {
        {"", false, false},
        {"X-Forwarded-For: 203.0.113.9\r\n", false, false}, /* anyone can write that */
        {"X-Forwarded-For: 203.0.113.9\r\n", true, true},
        {"X-Forwarded-For: 203.0.113.9:4711\r\n", true, true},
        {"X-Forwarded-For: 1.1.1.1, 203.0.113.9, 198.51.100.7\r\n", true, true},
        {"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.9\r\n", true, true},
        {"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 1.1.1.1\r\n", true, false},
        {"X-Forwarded-For: 203.0.113.9, unknown\r\n", true, false},
        {"X-Forwarded-For: [2001:db8::1]:80\r\n", true, false},
        {"X-Forwarded-For: 198.51.100.7\r\n", true, false}, /* none but proxies */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[400];
        mock_start(&ringress_module);
        mock.gate = &gate;
        mock.trust = cases[i].trust;
        mock_connect(NULL);
        snprintf(request, sizeof request, GET "%s" END, cases[i].fields);
        say(&mock.client, request, 1000);
        if (mock.pods != cases[i].in)
            fail_msg("%s", cases[i].fields);
        mock_stop();
    }
}

static void a_pod_that_hears_who_asks_serves_one_request_a_connection(void **state) {
    static const struct gate gate = {.body_size_max = -1, .proxy_version = 2};
    (void)state;
    mock_start(&ringress_module);
    mock.gate = &gate;
    mock.reuse = true;
    mock_connect(NULL);
    for (unsigned i = 0; i < 2; i++) {
        say(&mock.client, GET END, 1000);
        assert_false(mock.pod[i].reused);
        pod_up(i);
        assert_string_equal(plain(&mock.pod[i]), "PROXY-2\r\n" GET FWD("a.example") END);
        say(&mock.pod[i], OK CL(0) END, 1000);
        assert_true(mock.pod[i].closed && !mock.pod[i].kept);
    }
    mock_stop();
}

static void a_refused_upload_is_answered_and_the_connection_closed(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\nHost: nobody.example\r\n" CL(1000000) END "abc", 1000);
    assert_string_equal(plain(&mock.client), ERR("404 Not Found", 14, CLOSE, "404 Not Found"));
    assert_true(mock.client.shutdown &&
                !mock.client.closed); /* reads on, lest RST overtakes the answer */
    say(&mock.client, "more", 1);
    mock_wait(LINGER_MS + 100);
    assert_true(mock.client.closed);
    mock_stop();
}

/* ---- order and time ---- */

static void pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    for (size_t n = 0; n < STEPS; n++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client,
            "GET /1 HTTP/1.1\r\n" HOST END "GET /2 HTTP/1.1\r\nHost: nobody.example\r\n\r\n"
            "POST /3 HTTP/1.1\r\n" HOST CL(3) END "abc"
                                                  "GET /4 HTTP/1.1\r\n" HOST CLOSE END
                                                  "GET /5 HTTP/1.1\r\n" HOST END,
            steps[n]);
        assert_int_equal(mock.pods, 1); /* serial */
        say(&mock.pod[0], OK CL(1) END "1", 1000);
        assert_int_equal(mock.pods, 2);
        assert_non_null(strstr(mock.pod[1].out, "POST /3"));
        say(&mock.pod[1], OK CL(1) END "3", 1000);
        assert_int_equal(mock.pods, 3);
        say(&mock.pod[2], OK CL(1) END "4", 1000);
        assert_int_equal(mock.pods, 3); /* nothing after close */
        assert_string_equal(plain(&mock.client),
                            OK CL(1) END "1" E404 OK CL(1) END "3" OK CL(1) CLOSE END "4");
        ending_check(CLOSES);
        mock_stop();
    }
}

static void a_flood_of_pipelined_requests_pauses_the_client(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    for (int i = 0; i < 100; i++)
        say(&mock.client, GET END, 1000);
    assert_true(mock.client.paused);
    for (unsigned i = 0; i < 10; i++)
        say(&mock.pod[i], OK CL(0) END, 1000);
    assert_int_equal(mock.pods, 11);
    while (mock.conn_open && !mock.client.closed) /* a client that ignores the pause is cut */
        say(&mock.client, GET END, 1000);
    assert_true(mock.client.reset);
    mock_stop();
}

#define NOBODYS "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n"

/* What the edge answers itself takes no time, so a buffer of them would be one long piece of work. */
static void where_others_wait_each_pipelined_request_waits_for_a_turn(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.crowded = true;
    mock_connect(NULL);
    say(&mock.client, NOBODYS NOBODYS "GET /3 HTTP/1.1\r\n" HOST END NOBODYS, 1000);
    assert_string_equal(plain(&mock.client), E404);
    say(&mock.client, NOBODYS, 1000); /* behind the others */
    assert_string_equal(plain(&mock.client), E404);
    assert_true(mock_rested());
    mock_turn();
    assert_string_equal(plain(&mock.client), E404 E404);
    assert_int_equal(mock.pods, 0);
    assert_true(mock_rested());
    assert_int_equal(mock.pods, 1);
    assert_false(mock_rested()); /* the pod is waited for */
    say(&mock.pod[0], OK CL(1) END "3", 1000);
    assert_string_equal(plain(&mock.client), E404 E404 OK CL(1) END "3" E404);
    assert_true(mock_rested());
    assert_false(mock_rested());
    mock_turn();
    assert_string_equal(plain(&mock.client), E404 E404 OK CL(1) END "3" E404 E404);
    say(&mock.client, NOBODYS NOBODYS, 1000);
    mock_say_eof(&mock.client); /* what was asked before is answered */
    assert_true(mock_rested());
    mock_turn();
    assert_true(mock.client.closed && !mock.client.reset);
    assert_string_equal(plain(&mock.client), E404 E404 OK CL(1) END "3" E404 E404 E404 E404);
    mock_stop();

    mock_start(&ringress_module);
    mock.crowded = true;
    mock_connect(NULL);
    say(&mock.client, NOBODYS NOBODYS, 1000);
    mock_fail(&mock.client, -ECONNRESET); /* who has gone rests no more */
    assert_false(mock_rested());
    mock_stop();
}

static void who_outstays_gets_one_answer_more_and_is_not_listened_to(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.outstays = true;
    mock_connect(NULL);
    say(&mock.client, NOBODYS NOBODYS GET END, 1000);
    mock_turn();
    assert_string_equal(plain(&mock.client), ERR("404 Not Found", 14, CLOSE, "404 Not Found"));
    assert_true(mock.client.closed);
    assert_int_equal(mock.pods, 0);
    mock_stop();

    mock_start(&ringress_module);
    mock.outstays = mock.over_requests = true;
    mock_connect(NULL);
    say(&mock.client, GET END GET END, 1000);
    mock_turn();
    assert_string_equal(plain(&mock.client), E429(CLOSE));
    assert_true(mock.client.closed);
    mock.over_requests = false;
    mock_connect(NULL);
    say(&mock.client, "GET /no/rule HTTP/1.1\r\nHost: paths.example\r\n\r\n", 1000);
    assert_true(mock.conn_open); /* a path that its tenant does not have is its tenant's affair */
    mock_stop();
}

static void timeouts_answer_or_close(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    mock_wait(10001); /* said nothing: told nothing */
    assert_true(mock.client.closed && !mock.client.out_length);

    mock_connect(NULL);
    mock_wait(9000);
    say(&mock.client, "GET / HT", 1000);
    mock_wait(1001); /* from the connection's opening, not from its first byte */
    assert_string_equal(plain(&mock.client),
                        ERR("408 Request Timeout", 20, CLOSE, "408 Request Timeout"));
    ending_check(CLOSES);

    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    pod_up(0);
    mock_wait(60000);
    assert_int_equal(mock.client.out_length, 0);
    mock_wait(1001);
    assert_string_equal(plain(&mock.client),
                        ERR("504 Gateway Timeout", 20, "", "504 Gateway Timeout"));
    assert_true(mock.pod[0].reset && mock.upstream[0].error == -ETIMEDOUT);
    mock_wait(74000); /* keep-alive */
    assert_true(mock.conn_open);
    say(&mock.client, "GET / H", 1000);
    mock_wait(9000);
    say(&mock.client, "TTP", 1000);
    mock_wait(1001);
    assert_non_null(strstr(mock.client.out, " 408 "));
    ending_check(CLOSES);
    mock_stop();
}

static void idle_bodies_time_out(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.reuse = true;
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CHUNKED END, 1000);
    for (int i = 0; i < 5; i++) {
        mock_wait(59000);
        say(&mock.client, "1\r\na\r\n", 1000);
    }
    mock_wait(60001);
    assert_non_null(strstr(mock.client.out, " 408 "));
    assert_true(mock.pod[0].reset);
    ending_check(CLOSES);

    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    say(&mock.pod[1], OK CL(5000) END "a", 1000);
    mock_wait(59000);
    say(&mock.pod[1], "a", 1000);
    mock_wait(59000);
    assert_true(mock.conn_open);
    mock_wait(1001);
    assert_true(mock.client.closed && mock.client.reset); /* cut, not ended */
    mock_stop();
}

/* 100 bytes a second, on average over the 60 s of `body_idle`. */
static void an_announced_body_that_drips_times_out(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.reuse = true;
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CL(50000) END, 1000);
    char *enough = repeat("x", 3000);
    for (int i = 0; i < 10; i++) {
        mock_wait(29000);
        say(&mock.client, enough, 1000);
    }
    assert_true(mock.conn_open && !mock.client.shutdown);
    free(enough);
    for (int i = 0; i < 30 && !mock.client.shutdown; i++) {
        mock_wait(5000);
        if (!mock.client.shutdown)
            say(&mock.client, "drip", 1000);
    }
    assert_non_null(strstr(mock.client.out, " 408 "));
    assert_true(mock.pod[0].reset);
    ending_check(CLOSES);
    mock_stop();
}

/* The same drip, but ten of the seconds between two are our own bandwidth limit's. Once it holds nothing back, the minute runs. */
static void time_in_which_our_limit_holds_a_body_back_is_not_the_clients(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CL(50000) END, 1000);
    mock_connected(&mock.pod[0]);
    for (int i = 0; i < 100; i++) {
        mock.held_ms += 10000;
        mock_wait(10000);
        say(&mock.client, "drip", 1000);
    }
    assert_true(mock.conn_open && !mock.client.shutdown);
    mock_wait(59000);
    assert_false(mock.client.shutdown);
    mock_wait(1001);
    assert_non_null(strstr(mock.client.out, " 408 "));
    ending_check(CLOSES);
    mock_stop();
    mock_start(&ringress_module); /* but who waits for a pod that says nothing waits for that */
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    mock.held_ms += 100000;
    mock_wait(61001);
    assert_non_null(strstr(mock.client.out, " 504 "));
    mock_stop();
}

static void a_drained_edge_lets_idle_connections_go_and_finishes_the_others(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    mock_drain();
    assert_true(mock.client.closed && !mock.client.reset);
    mock.draining = false;
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    mock_drain();
    assert_true(mock.conn_open);
    say(&mock.pod[0], OK CL(2) END "hi", 1000);
    assert_string_equal(plain(&mock.client), OK CL(2) CLOSE END "hi");
    ending_check(CLOSES);
    mock_stop();
}

static void half_a_head_holds_a_drain_for_a_moment_only(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, "GET / HTTP", 1000);
    mock_drain();
    assert_true(mock.conn_open);
    mock_wait(DRAIN_HEAD_MS + 100);
    assert_true(mock.client.shutdown);
    assert_non_null(strstr(mock.client.out, "408 "));
    mock_wait(DRAIN_LINGER_MS + 100);
    assert_true(mock.client.closed);
    mock.draining = false;
    mock_connect(NULL);
    say(&mock.client, "GET / HTTP",
        1000); /* who is asked again and again has no more time for it */
    for (int i = 0; i < 4; i++) {
        mock_drain();
        mock_wait(DRAIN_HEAD_MS / 4 + 50);
    }
    assert_true(mock.client.shutdown);
    mock_wait(DRAIN_LINGER_MS + 100);
    mock.draining = false;
    mock_connect(NULL);
    say(&mock.client, "GET / HTTP", 1000); /* the rest comes in time */
    mock_drain();
    say(&mock.client, "/1.1\r\n" HOST END, 1000);
    mock_wait(DRAIN_HEAD_MS + 5000);
    assert_true(mock.conn_open);
    say(&mock.pod[0], OK CL(2) END "hi", 1000);
    ending_check(CLOSES);
    mock_stop();
}

#define ZEROS_15 "000000000000000"

static void a_chunk_size_of_more_digits_than_a_number_has_is_refused(void **state) {
    (void)state;
    for (size_t n = 0; n < STEPS; n++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client, GET CHUNKED END, steps[n]);
        pod_up(0);
        say(&mock.client, ZEROS_15 "1\r\na\r\n" ZEROS_15 "2;x=y\r\nbc\r\n", steps[n]);
        say(&mock.client, ZEROS_15 "03\r\ndef\r\n0\r\n\r\n", steps[n]);
        assert_string_equal(plain(&mock.client), E400);
        assert_null(strstr(mock.pod[0].out, "def"));
        ending_check(CLOSES);
        mock_connect(NULL); /* the first size, in one piece with the head; then the last */
        say(&mock.client, GET CHUNKED END ZEROS_15 "01\r\na\r\n0\r\n\r\n", steps[n]);
        pod_up(mock.pods - 1);
        assert_string_equal(plain(&mock.client), E400);
        ending_check(CLOSES);
        mock_connect(NULL);
        say(&mock.client, GET CHUNKED END "1\r\na\r\n" ZEROS_15 "00\r\n\r\n", steps[n]);
        pod_up(mock.pods - 1);
        assert_string_equal(plain(&mock.client), E400);
        ending_check(CLOSES);
        mock_connect(NULL); /* what follows the last chunk is no size */
        say(&mock.client, GET CHUNKED END "0\r\n\r\n", 1000);
        pod_up(mock.pods - 1);
        say(&mock.client, ZEROS_15 ZEROS_15, steps[n]);
        assert_null(strstr(mock.client.out, "400 "));
        say(&mock.pod[mock.pods - 1], OK CHUNKED END ZEROS_15 "01\r\na\r\n", 1000);
        assert_non_null(strstr(mock.client.out, "502 "));
        mock_stop();
    }
}

/* ---- half-closed and broken ends ---- */

static void a_half_closed_client_gets_its_responses(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET END GET END, 1000);
    mock_say_eof(&mock.client);
    say(&mock.pod[0], OK CL(1) END "1", 1000);
    say(&mock.pod[1], OK CL(1) END "2", 1000);
    assert_string_equal(plain(&mock.client), OK CL(1) END "1" OK CL(1) CLOSE END "2");
    assert_true(mock.client.closed && !mock.client.reset);
    mock_stop();
}

static void what_comes_while_a_request_waits_for_its_look_ups_keeps_its_place(void **state) {
    (void)state;
    for (int eof = 0; eof < 2; eof++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        mock.ahead_waits = true;
        say(&mock.client, "GET /1 HTTP/1.1\r\n" HOST END, 1000);
        say(&mock.client, "GET /2 HTTP/1.1\r\n" HOST END, 1000);
        if (eof)
            mock_say_eof(&mock.client);
        assert_int_equal(mock.announced, 1);
        assert_int_equal(mock.pods, 0);
        mock_ahead();
        pod_up(0);
        assert_non_null(strstr(mock.pod[0].out, "GET /1"));
        say(&mock.pod[0], OK CL(1) END "1", 1000);
        pod_up(1);
        assert_non_null(strstr(mock.pod[1].out, "GET /2"));
        say(&mock.pod[1], OK CL(1) END "2", 1000);
        assert_int_equal(mock.client.closed, eof);
        assert_int_equal(mock.announced, 1);
        mock_stop();
    }
}

static void a_client_that_breaks_while_its_request_waits_is_forgotten(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    mock.ahead_waits = true;
    say(&mock.client, GET END, 1000);
    assert_non_null(mock.ahead);
    mock_fail(&mock.client, -ECONNRESET);
    assert_null(mock.ahead);
    assert_int_equal(mock.pods, 0);
    mock_stop();
}

static void a_client_that_ends_in_a_request_is_let_go(void **state) {
    (void)state;
    const char *const parts[] = {"G", "GET / HTTP/1.1\r\nHost",
                                 "POST / HTTP/1.1\r\n" HOST CL(3) END "ab"};
    for (int i = 0; i < 3; i++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client, parts[i], 1000);
        mock_say_eof(&mock.client);
        assert_true(mock.client.closed);
        assert_int_equal(mock.pods, i == 2);
        if (i == 2)
            assert_true(mock.pod[0].reset);
        mock_stop();
    }
}

static void a_client_that_breaks_frees_the_pod(void **state) {
    (void)state;
    const char *const answers[] = {"", OK, OK CL(5) END "ab"};
    for (int i = 0; i < 3; i++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client, GET END GET END, 1000);
        say(&mock.pod[0], answers[i], 1000);
        mock_fail(&mock.client, -ECONNRESET);
        assert_true(mock.client.closed && mock.pod[0].reset);
        mock_stop();
    }
}

static void a_pod_that_breaks_mid_body_cuts_the_client(void **state) {
    (void)state;
    const char *const answers[] = {OK CL(5) END "ab", OK CHUNKED END "5\r\nab",
                                   OK CHUNKED END "2\r\nab\r\n",
                                   OK CHUNKED END "2\r\nab\r\n0\r\nA: b", OK CL(5) END};
    for (int i = 0; i < 5; i++)
        for (int how = 0; how < 2; how++) {
            mock_start(&ringress_module);
            mock_connect(NULL);
            say(&mock.client, GET END, 1000);
            say(&mock.pod[0], answers[i], 1000);
            if (how)
                mock_fail(&mock.pod[0], -ECONNRESET);
            else
                mock_say_eof(&mock.pod[0]);
            assert_true(mock.client.closed && mock.client.reset);
            assert_null(strstr(mock.client.out, "\r\n0\r\n\r\n"));
            mock_stop();
        }
}

static void an_until_close_response_cut_by_an_error_is_not_completed(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    say(&mock.pod[0], OK END "ab", 1000);
    mock_fail(&mock.pod[0], -ECONNRESET);
    assert_true(mock.client.closed && mock.client.reset);
    mock_stop();
}

/* ---- waiting for a connection to a pod ---- */

static void a_request_in_line_is_sent_whole_when_its_turn_comes(void **state) {
    (void)state;
    char *big = repeat("x", 3000);
    for (int body = 0; body < 4; body++)
        for (int kept = 0; kept < 2; kept++) {
            mock_start(&ringress_module);
            mock.line = true;
            mock_connect(NULL);
            const char *const requests[] = {GET END, "POST / HTTP/1.1\r\n" HOST CL(3) END "abc",
                                            "POST / HTTP/1.1\r\n" HOST CHUNKED END
                                            "3\r\nabc\r\n0\r\n\r\n",
                                            "POST / HTTP/1.1\r\n" HOST CL(3000) END};
            say(&mock.client, requests[body], 7);
            if (body == 3)
                say(&mock.client, big, 700);
            assert_true(mock.waits);
            assert_int_equal(mock.pods, 0);
            mock.reuse = kept;
            mock_turn_comes(0);
            if (!kept)
                pod_up(0);
            mock_turn();
            assert_non_null(strstr(plain(&mock.pod[0]), body == 0   ? "GET / HTTP/1.1"
                                                        : body == 1 ? "\r\n\r\nabc"
                                                        : body == 2 ? "\r\n\r\nabc<end>"
                                                                    : big));
            say(&mock.pod[0], OK CL(0) END, 1000);
            mock_turn();
            assert_string_equal(plain(&mock.client), OK CL(0) END);
            mock_stop();
        }
    free(big);
}

static void whose_turn_never_comes_is_answered_503(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        mock_start(&ringress_module);
        mock.line = true;
        mock_connect(NULL);
        say(&mock.client, GET END, 1000);
        if (how)
            mock_turn_comes(-ETIMEDOUT);
        else
            mock_wait(mock.timeouts.response + 100);
        mock_turn();
        assert_false(mock.waits);
        assert_string_equal(plain(&mock.client), E503);
        assert_false(mock.client.closed);
        mock.line = false;
        say(&mock.client, GET END, 1000);
        assert_int_equal(mock.pods, 1);
        mock_stop();
    }
}

static void who_leaves_the_line_is_taken_out_of_it(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        mock_start(&ringress_module);
        mock.line = true;
        mock_connect(NULL);
        say(&mock.client, how == 2 ? "POST / HTTP/1.1\r\n" HOST CL(9) END "half" : GET END, 1000);
        assert_true(mock.waits);
        if (how == 0)
            mock_fail(&mock.client, -ECONNRESET);
        else
            mock_say_eof(&mock.client);
        assert_int_equal(mock.cancelled, 1);
        assert_true(mock.client.closed);
        assert_int_equal(mock.pods, 0);
        mock_stop();
    }
}

/* ---- the tenant's own pages ---- */

static void an_error_page_replaces_the_edges_own_words(void **state) {
    (void)state;
    static const char text[] = "<p>sorry";
    for (int head = 0; head < 2; head++) {
        mock_start(&ringress_module);
        mock.policy.page[ERROR_PAGE_502] = (struct error_page){text, "text/html", sizeof text - 1};
        mock_connect(NULL);
        say(&mock.client, head ? "HEAD / HTTP/1.1\r\n" HOST END : GET END, 1000);
        pod_up(0);
        mock_say_eof(&mock.pod[0]);
        mock_turn();
        const char *expected =
            head ? "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n" CL(8) END
                 : "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n" CL(8) END "<p>sorry";
        assert_string_equal(plain(&mock.client), expected);
        mock_clear(&mock.client);
        say(&mock.client, "GET / HTTP/1.1\r\nHost: nobody.example\r\n" END, 1000);
        mock_turn();
        assert_null(strstr(plain(&mock.client), "sorry"));
        mock_stop();
    }
}

/* ---- who asks ---- */

static uint64_t key_asked_with(const char *more) {
    char request[400];
    mock_start(&ringress_module);
    mock.policy = (struct policy){.balance = BALANCE_HASH, .hash_cookie = "sid"};
    mock_connect(NULL);
    snprintf(request, sizeof request, GET "%s" END, more);
    say(&mock.client, request, 5);
    uint64_t key = mock.key;
    mock_stop();
    return key;
}

static void a_cookie_is_found_wherever_it_stands(void **state) {
    (void)state;
    uint64_t key = upstream_key("a=b", 3);
    assert_int_equal(key_asked_with("Cookie: sid=a=b\r\n"), key);
    assert_int_equal(key_asked_with("Cookie: x=1; sid=a=b; y=2\r\n"), key);
    assert_int_equal(key_asked_with("Cookie: x=1\r\nCookie:   sid=\"a=b\"  \r\n"), key);
    assert_int_equal(key_asked_with("Cookie: xsid=z;sid=a=b\r\n"), key);
    assert_int_equal(key_asked_with("Cookie: sidx=1; Sid=2; sid; sid=; =\r\n"), 0);
    assert_int_equal(key_asked_with("X-Cookie: sid=1\r\n"), 0);
    assert_int_equal(key_asked_with(""), 0);
}

/* ---- asking again ---- */

static void only_a_kept_connection_that_ended_is_replaced_beyond_the_budget(void **state) {
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        mock_start(&ringress_module);
        mock.upstreams = 3;
        mock.reuse = kept;
        mock.budget_spent = true;
        mock_connect(NULL);
        say(&mock.client, GET END, 1000);
        mock_fail(&mock.pod[0], kept ? -ECONNRESET : -ECONNREFUSED);
        mock_turn();
        assert_int_equal(mock.retries_asked, !kept);
        assert_int_equal(mock.pods, 1 + kept);
        if (!kept)
            assert_string_equal(plain(&mock.client), E502(""));
        mock_stop();
    }
}

static void a_dead_kept_connection_is_not_the_clients_problem(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        mock_start(&ringress_module);
        mock.reuse = true;
        mock_connect(NULL);
        say(&mock.client, "PUT / HTTP/1.1\r\n" HOST CL(3) END "abc", 1000);
        assert_true(mock.pod[0].reused);
        if (how)
            mock_fail(&mock.pod[0], -EPIPE);
        else
            mock_say_eof(&mock.pod[0]);
        assert_int_equal(mock.pods, 2);
        assert_false(mock.pod[1].reused);
        mock_turn();
        assert_string_equal(plain(&mock.pod[1]), plain(&mock.pod[0]));
        assert_int_equal(mock.upstream[0].reports, 0);
        say(&mock.pod[1], OK CL(0) END, 1000);
        assert_string_equal(plain(&mock.client), OK CL(0) END);
        mock_stop();
    }
}

/* RFC 9110 section 9.2.2 */
static void what_is_not_idempotent_is_sent_once(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.reuse = true;
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CL(0) END, 1000);
    mock_say_eof(&mock.pod[0]);
    mock_turn();
    assert_int_equal(mock.pods, 1);
    assert_string_equal(plain(&mock.client), E502(""));
    mock_stop();
}

static void nothing_is_sent_again_after_a_byte_of_an_answer(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.reuse = true;
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    say(&mock.pod[0], "H", 1);
    mock_say_eof(&mock.pod[0]);
    mock_turn();
    assert_int_equal(mock.pods, 1);
    assert_string_equal(plain(&mock.client), E502(""));
    mock_stop();
}

static void a_pod_that_can_not_be_reached_is_replaced_by_another(void **state) {
    (void)state;
    for (int body = 0; body < 3; body++) {
        mock_start(&ringress_module);
        mock.upstreams = 3;
        mock_connect(NULL);
        const char *const requests[] = {"POST / HTTP/1.1\r\n" HOST CL(3) END "abc",
                                        "POST / HTTP/1.1\r\n" HOST CHUNKED END
                                        "3\r\nabc\r\n0\r\n\r\n",
                                        "POST / HTTP/1.1\r\n" HOST CL(2000) END};
        char *big = repeat("x", 2000);
        say(&mock.client, requests[body], 1000);
        if (body == 2)
            say(&mock.client, big, 700);
        mock_fail(&mock.pod[0], -ECONNREFUSED);
        assert_int_equal(mock.pods, 2);
        assert_int_equal(mock.upstream[0].reports, 1);
        assert_ptr_not_equal(mock.pod[1].upstream, mock.pod[0].upstream);
        pod_up(1);
        assert_non_null(strstr(plain(&mock.pod[1]), body == 0   ? "\r\n\r\nabc"
                                                    : body == 1 ? "\r\n\r\nabc<end>"
                                                                : big));
        say(&mock.pod[1], OK CL(0) END, 1000);
        assert_string_equal(plain(&mock.client), OK CL(0) END);
        mock_stop();
        free(big);
    }
}

static void at_most_three_pods_are_tried(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.upstreams = 2;
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    for (unsigned i = 0; i < 3; i++)
        mock_fail(&mock.pod[i], i == 2 ? -ETIMEDOUT : -ECONNREFUSED);
    mock_turn();
    assert_int_equal(mock.pods, 3);
    assert_non_null(strstr(mock.client.out, " 504 "));
    mock_stop();
}

static void the_only_pod_is_tried_once(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    mock_fail(&mock.pod[0], -ECONNREFUSED);
    mock_turn();
    assert_string_equal(plain(&mock.client), E502(""));
    assert_true(mock.pod[0].closed && mock.pod[1].closed);
    assert_int_equal(mock.pod[1].out_length, 0);
    mock_stop();
}

/* ---- early answers, uploads, backpressure ---- */

static void an_early_response_is_passed_on_and_the_connection_closed(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.reuse = true;
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CL(100000) END "abc", 1000);
    say(&mock.pod[0], "HTTP/1.1 413 Too big\r\n" CL(2) END "no", 1000);
    assert_string_equal(plain(&mock.client), "HTTP/1.1 413 Too big\r\n" CL(2) CLOSE END "no");
    assert_true(mock.pod[0].reset && !mock.pod[0].kept);
    assert_true(mock.client.shutdown && !mock.client.closed);
    say(&mock.client, "more of it", 3);
    mock_wait(2100);
    assert_true(mock.client.closed);
    mock_stop();
}

static void a_response_may_overtake_the_request(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock.reuse = true;
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CHUNKED END "3\r\nabc\r\n", 1000);
    say(&mock.pod[0], OK CHUNKED END "3\r\nABC\r\n", 1000);
    say(&mock.client, "3\r\ndef\r\n0\r\n\r\n", 1000);
    say(&mock.pod[0], "3\r\nDEF\r\n0\r\n\r\n", 1000);
    assert_non_null(strstr(plain(&mock.pod[0]), "\r\n\r\nabcdef<end>\r\n"));
    assert_string_equal(plain(&mock.client), OK CHUNKED CLOSE END "ABCDEF<end>\r\n");
    assert_true(mock.pod[0].kept);
    ending_check(CLOSES);
    mock_stop();
}

static void a_pod_that_does_not_read_pauses_the_client(void **state) {
    (void)state;
    enum { TOTAL = 3 << 20 };
    char *block = repeat("0123456789abcdef", 256);
    mock_start(&ringress_module);
    mock.reuse = true;
    mock_connect(NULL);
    say(&mock.client, "POST / HTTP/1.1\r\n" HOST CL(3145728) END, 1000);
    mock.pod[0].blocked = true;
    size_t sent = 0;
    while (!mock.client.paused) {
        mock_say(&mock.client, block, 4096);
        sent += 4096;
    }
    assert_true(sent <= STREAM_HIGH + 4096);
    assert_true(mock.pod[0].queued <= STREAM_HIGH + 8192);
    for (int i = 0; i < 3; i++, sent += 4096) /* a few more that were on their way */
        mock_say(&mock.client, block, 4096);
    mock_unblock(&mock.pod[0]);
    assert_false(mock.client.paused);
    for (; sent < TOTAL; sent += 4096) {
        mock_say(&mock.client, block, 4096);
        mock_turn();
    }
    say(&mock.pod[0], OK CL(0) END, 1000);
    assert_string_equal(plain(&mock.client), OK CL(0) END);
    assert_true(mock.pod[0].kept);
    assert_int_equal(mock.pod[0].out_length,
                     strlen("POST / HTTP/1.1\r\n" HOST FWD("a.example") CL(3145728) END) + TOTAL);
    assert_int_equal(mock.client.pauses, 1);
    mock_stop();
    free(block);
}

static void a_client_that_does_not_read_pauses_the_pod(void **state) {
    (void)state;
    char *block = repeat("0123456789abcdef", 256);
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    say(&mock.pod[0], OK CL(3145728) END, 1000);
    mock.client.blocked = true;
    size_t sent = 0;
    for (; !mock.pod[0].paused; sent += 4096)
        mock_say(&mock.pod[0], block, 4096);
    assert_true(sent <= STREAM_HIGH + 4096);
    mock_wait(50000);
    mock_unblock(&mock.client);
    assert_false(mock.pod[0].paused);
    mock_wait(50000); /* reading on is progress */
    for (; sent < 3145728; sent += 4096) {
        mock_say(&mock.pod[0], block, 4096);
        mock_turn();
    }
    assert_int_equal(mock.client.out_length, strlen(OK CL(3145728) END) + sent);
    assert_true(mock.pod[0].kept && mock.conn_open);
    mock_stop();
    free(block);
}

static void a_slow_reader_is_given_time_and_one_that_stopped_is_cut(void **state) {
    (void)state;
    char *block = repeat("0123456789abcdef", 256);
    for (int upload = 0; upload < 2; upload++) {
        mock_start(&ringress_module);
        mock.reuse = true;
        mock_connect(NULL);
        say(&mock.client, upload ? "POST / HTTP/1.1\r\n" HOST CL(3145728) END : GET END, 1000);
        if (!upload)
            say(&mock.pod[0], OK CL(3145728) END, 1000);
        struct mock_end *reader = upload ? &mock.pod[0] : &mock.client;
        struct mock_end *writer = upload ? &mock.client : &mock.pod[0];
        reader->blocked = true;
        while (!writer->paused)
            mock_say(writer, block, 4096);
        for (int i = 0; i < 10; i++) {
            mock_wait(60001);
            mock_read(reader, 1);
        }
        assert_true(mock.conn_open && !mock.client.shutdown);
        mock_wait(60001);
        mock_wait(60001);
        if (upload)
            assert_non_null(strstr(mock.client.out, " 504 "));
        else
            assert_true(mock.client.reset);
        mock_stop();
    }
    free(block);
}

static void a_response_that_ends_while_the_client_is_behind_keeps_the_pod(void **state) {
    (void)state;
    char *block = repeat("0123456789abcdef", 256);
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    mock.client.blocked = true;
    say(&mock.pod[0], OK CL(528384) END, 1000);
    for (size_t sent = 0; sent < 528384; sent += 4096)
        mock_say(&mock.pod[0], block, 4096);
    assert_true(mock.pod[0].kept);
    say(&mock.client, GET END, 1000); /* waits until its answer can be sent */
    assert_int_equal(mock.pods, 1);
    mock_unblock(&mock.client);
    assert_int_equal(mock.pods, 2);
    mock_stop();
    free(block);
}

static void big_bodies_are_passed_on_in_the_buffers_they_came_in(void **state) {
    (void)state;
    char *block = repeat("x", 4096);
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET END, 1000);
    mock.client.blocked = true;
    say(&mock.pod[0], OK CL(40960) END, 1000);
    int live = mock.live;
    for (int i = 0; i < 9; i++)
        mock_say(&mock.pod[0], block, 4096);
    assert_int_equal(mock.live, live + 9); /* no buffers but those that came */
    mock_unblock(&mock.client);
    mock_stop();
    free(block);
}

/* ---- tunnels ---- */

#define SWITCH \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"

static void a_websocket_is_joined_after_101_only(void **state) {
    (void)state;
    for (size_t n = 0; n < STEPS; n++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client,
            GET "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" END
                "early\r\n\r\nGET /admin HTTP/1.1\r\n\r\n",
            steps[n]);
        assert_null(strstr(mock.pod[0].out, "early"));
        say(&mock.pod[0],
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            steps[n]);
        assert_true(mock.pod[0].joined && mock.client.joined);
        assert_non_null(
            strstr(mock.pod[0].out, "\r\n\r\nearly\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"));
        assert_string_equal(plain(&mock.client), SWITCH);
        mock_stop();
    }
}

static void what_the_pod_sends_behind_its_101_belongs_to_the_tunnel(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET "Upgrade: websocket\r\nConnection: Upgrade\r\n" END, 1000);
    say(&mock.pod[0], SWITCH "hello", 1000);
    assert_true(mock.client.joined);
    assert_string_equal(mock.client.out, SWITCH "hello");
    mock_stop();
}

#define EARLY "GET /admin HTTP/1.1\r\n" HOST END

static void early_bytes_of_a_declined_upgrade_are_never_a_request(void **state) {
    (void)state;
    for (size_t n = 0; n < STEPS; n++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client, GET "Upgrade: websocket\r\nConnection: Upgrade\r\n" END EARLY, steps[n]);
        say(&mock.pod[0], "HTTP/1.1 403 No\r\n" CL(0) END, steps[n]);
        assert_null(strstr(mock.pod[0].out, "admin"));
        assert_string_equal(plain(&mock.client), "HTTP/1.1 403 No\r\n" CL(0) CLOSE END);
        say(&mock.client, EARLY, steps[n]);
        assert_int_equal(mock.pods, 1);
        ending_check(CLOSES);
        mock_stop();
    }
}

static void early_bytes_that_come_after_the_answers_head_end_the_connection_too(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET "Upgrade: websocket\r\nConnection: Upgrade\r\n" END, 1000);
    say(&mock.pod[0], OK CL(2) END "h", 1000);
    say(&mock.client, EARLY, 1000);
    say(&mock.pod[0], "i", 1000);
    assert_string_equal(plain(&mock.client), OK CL(2) CLOSE END "hi");
    assert_int_equal(mock.pods, 1);
    ending_check(CLOSES);
    mock_stop();
}

/* They may also come when the edge has answered and the client can't know yet. */
static void early_bytes_that_come_after_the_answer_are_never_a_request(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    say(&mock.client, GET "Upgrade: websocket\r\nConnection: Upgrade\r\n" END, 1000);
    say(&mock.pod[0], OK CL(2) END "hi", 1000);
    assert_string_equal(plain(&mock.client), OK CL(2) CLOSE END "hi");
    say(&mock.client, EARLY, 1000);
    assert_int_equal(mock.pods, 1);
    ending_check(CLOSES);
    mock_stop();
}

static void early_bytes_of_an_upgrade_the_edge_declines_are_never_a_request(void **state) {
    (void)state;
    for (size_t n = 0; n < STEPS; n++) {
        mock_start(&ringress_module);
        mock_connect(NULL);
        say(&mock.client,
            "GET / HTTP/1.1\r\nHost: nobody.example\r\nUpgrade: websocket\r\nConnection: "
            "Upgrade\r\n" END EARLY,
            steps[n]);
        assert_string_equal(plain(&mock.client), ERR("404 Not Found", 14, CLOSE, "404 Not Found"));
        assert_int_equal(mock.pods, 0);
        ending_check(CLOSES);
        mock_stop();
    }
}

/* ---- memory ---- */

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
        for (int k = 1; k < 12; k++) {
            const struct story *s = &stories[i];
            char *field = repeat("x", 5000);
            mock_start(&ringress_module);
            mock_connect(NULL);
            mock.fail_in = k;
            say(&mock.client, GET "A: ", 1000);
            say(&mock.client, field, 1000);
            say(&mock.client, "\r\n\r\n", 1000);
            say(&mock.client, s->request, 7);
            for (unsigned pod = 0; pod < mock.pods; pod++) {
                pod_up(pod);
                if (pod == 0) {
                    say(&mock.pod[pod], OK "A: ", 1000);
                    say(&mock.pod[pod], field, 1000);
                    say(&mock.pod[pod], "\r\n" CHUNKED END, 1000);
                    say(&mock.pod[pod], "2\r\nhi\r\n0\r\n\r\n", 1000);
                } else {
                    say(&mock.pod[pod], s->response, 7);
                    mock_say_eof(&mock.pod[pod]);
                }
            }
            mock_stop();
            free(field);
        }
}

static void an_idle_connection_is_one_small_struct(void **state) {
    (void)state;
    mock_start(&ringress_module);
    mock_connect(NULL);
    assert_int_equal(mock.live, 0);
    say(&mock.client, GET END, 7);
    say(&mock.pod[0], OK CL(2) END "hi", 7);
    assert_int_equal(mock.live, 0);
    assert_true(sizeof(struct http_conn) <= 192);
    mock_stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_story_at_every_fragmentation),
        cmocka_unit_test(two_exchanges_on_one_connection_at_every_fragmentation),
        cmocka_unit_test(malformed_requests_are_refused_and_no_pod_sees_them),
        cmocka_unit_test(malformed_chunks_are_refused_and_never_completed),
        cmocka_unit_test(malformed_chunks_of_a_pod_are_never_completed),
        cmocka_unit_test(heads_have_limits),
        cmocka_unit_test(a_pods_head_has_limits),
        cmocka_unit_test(endless_chunk_extensions_are_refused),
        cmocka_unit_test(names_and_paths_without_a_rule_are_404),
        cmocka_unit_test(no_ready_pod_is_503),
        cmocka_unit_test(sni_of_one_tenant_with_host_of_another_is_421),
        cmocka_unit_test(plain_http_is_redirected_where_asked),
        cmocka_unit_test(a_redirect_waits_for_the_first_certificate),
        cmocka_unit_test(an_authority_is_answered_before_anything_else),
        cmocka_unit_test(what_an_authority_asks_of_others_goes_to_the_pod),
        cmocka_unit_test(routes_match_the_normalised_path_without_empty_segments),
        cmocka_unit_test(modules_may_look_reject_and_reroute),
        cmocka_unit_test(a_tenant_over_its_limits_is_told_to_come_again),
        cmocka_unit_test(who_floods_waits_for_the_refusal),
        cmocka_unit_test(a_body_over_the_limit_is_refused_as_soon_as_it_is_known),
        cmocka_unit_test(a_kept_connection_is_used_no_longer_than_its_pod_says),
        cmocka_unit_test(of_two_limits_on_bodies_the_smaller_holds),
        cmocka_unit_test(the_client_that_a_trusted_proxy_names_is_let_in_or_not),
        cmocka_unit_test(a_pod_that_hears_who_asks_serves_one_request_a_connection),
        cmocka_unit_test(a_refused_upload_is_answered_and_the_connection_closed),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_flood_of_pipelined_requests_pauses_the_client),
        cmocka_unit_test(where_others_wait_each_pipelined_request_waits_for_a_turn),
        cmocka_unit_test(who_outstays_gets_one_answer_more_and_is_not_listened_to),
        cmocka_unit_test(timeouts_answer_or_close),
        cmocka_unit_test(idle_bodies_time_out),
        cmocka_unit_test(an_announced_body_that_drips_times_out),
        cmocka_unit_test(time_in_which_our_limit_holds_a_body_back_is_not_the_clients),
        cmocka_unit_test(a_drained_edge_lets_idle_connections_go_and_finishes_the_others),
        cmocka_unit_test(a_half_closed_client_gets_its_responses),
        cmocka_unit_test(what_comes_while_a_request_waits_for_its_look_ups_keeps_its_place),
        cmocka_unit_test(a_client_that_breaks_while_its_request_waits_is_forgotten),
        cmocka_unit_test(a_client_that_ends_in_a_request_is_let_go),
        cmocka_unit_test(a_client_that_breaks_frees_the_pod),
        cmocka_unit_test(a_pod_that_breaks_mid_body_cuts_the_client),
        cmocka_unit_test(an_until_close_response_cut_by_an_error_is_not_completed),
        cmocka_unit_test(a_request_in_line_is_sent_whole_when_its_turn_comes),
        cmocka_unit_test(whose_turn_never_comes_is_answered_503),
        cmocka_unit_test(who_leaves_the_line_is_taken_out_of_it),
        cmocka_unit_test(an_error_page_replaces_the_edges_own_words),
        cmocka_unit_test(a_cookie_is_found_wherever_it_stands),
        cmocka_unit_test(only_a_kept_connection_that_ended_is_replaced_beyond_the_budget),
        cmocka_unit_test(a_dead_kept_connection_is_not_the_clients_problem),
        cmocka_unit_test(what_is_not_idempotent_is_sent_once),
        cmocka_unit_test(nothing_is_sent_again_after_a_byte_of_an_answer),
        cmocka_unit_test(a_pod_that_can_not_be_reached_is_replaced_by_another),
        cmocka_unit_test(at_most_three_pods_are_tried),
        cmocka_unit_test(the_only_pod_is_tried_once),
        cmocka_unit_test(an_early_response_is_passed_on_and_the_connection_closed),
        cmocka_unit_test(a_response_may_overtake_the_request),
        cmocka_unit_test(a_pod_that_does_not_read_pauses_the_client),
        cmocka_unit_test(a_client_that_does_not_read_pauses_the_pod),
        cmocka_unit_test(a_slow_reader_is_given_time_and_one_that_stopped_is_cut),
        cmocka_unit_test(a_response_that_ends_while_the_client_is_behind_keeps_the_pod),
        cmocka_unit_test(big_bodies_are_passed_on_in_the_buffers_they_came_in),
        cmocka_unit_test(a_websocket_is_joined_after_101_only),
        cmocka_unit_test(what_the_pod_sends_behind_its_101_belongs_to_the_tunnel),
        cmocka_unit_test(early_bytes_of_a_declined_upgrade_are_never_a_request),
        cmocka_unit_test(early_bytes_that_come_after_the_answers_head_end_the_connection_too),
        cmocka_unit_test(early_bytes_that_come_after_the_answer_are_never_a_request),
        cmocka_unit_test(early_bytes_of_an_upgrade_the_edge_declines_are_never_a_request),
        cmocka_unit_test(half_a_head_holds_a_drain_for_a_moment_only),
        cmocka_unit_test(a_chunk_size_of_more_digits_than_a_number_has_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(an_idle_connection_is_one_small_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
