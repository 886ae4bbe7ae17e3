/* SPDX-License-Identifier: GPL-3.0-or-later
 * probe.c - asks one pod for its health, in HTTP/1.1 or HTTP/2, with or without TLS. See probe.h.
 *
 *   [TLS handshake] -> question sent -> answer read until its status is known
 *
 * On the control thread; the socket never blocks, and who gives up on time is health.c. Nothing of the answer but its status is kept.
 */
#include "edge/probe.h"
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

enum { OUT_MOST = 4096, ANSWER_MOST = 64, READ_MOST = 4096, READS_MOST = 16 };

struct probe {
    int fd;
    WOLFSSL *ssl;        /* NULL: plain */
    nghttp2_session *ng; /* NULL: HTTP/1.1 */
    bool http2, open, malformed;
    int status;
    size_t out_length, out_sent, length;
    char answer[ANSWER_MOST];
    char out[OUT_MOST];
};

/* ---- the wire ---- */

static int wire_recv(WOLFSSL *ssl, char *out, int size, void *user) {
    const struct probe *p = user;
    (void)ssl;
    ssize_t n = recv(p->fd, out, (size_t)size, 0);
    if (n > 0)
        return (int)n;
    if (n == 0)
        return WOLFSSL_CBIO_ERR_CONN_CLOSE;
    return errno == EAGAIN || errno == EINTR ? WOLFSSL_CBIO_ERR_WANT_READ
                                             : WOLFSSL_CBIO_ERR_CONN_RST;
}

static int wire_send(WOLFSSL *ssl, char *data, int size, void *user) {
    const struct probe *p = user;
    (void)ssl;
    ssize_t n = send(p->fd, data, (size_t)size, MSG_NOSIGNAL);
    if (n >= 0)
        return (int)n;
    return errno == EAGAIN || errno == EINTR ? WOLFSSL_CBIO_ERR_WANT_WRITE
                                             : WOLFSSL_CBIO_ERR_CONN_RST;
}

/* What wolfSSL could not do: wait, the end (0), or an errno that means a broken connection. */
static ssize_t tls_result(struct probe *p) {
    int error = wolfSSL_get_error(p->ssl, 0);
    if (error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (error == WOLFSSL_ERROR_ZERO_RETURN || error == SOCKET_PEER_CLOSED_E)
        return 0;
    else
        errno = EPROTO;
    return -1;
}

static ssize_t probe_read(struct probe *p, char *out, size_t room) {
    if (!p->ssl)
        return recv(p->fd, out, room, 0);
    int n = wolfSSL_read(p->ssl, out, (int)room);
    return n > 0 ? n : tls_result(p);
}

static ssize_t probe_write(struct probe *p, const char *data, size_t length) {
    if (!p->ssl)
        return send(p->fd, data, length, MSG_NOSIGNAL);
    int n = wolfSSL_write(p->ssl, data, (int)length);
    return n > 0 ? n : tls_result(p);
}

/* ---- the question ---- */

static bool out_put(struct probe *p, const void *data, size_t length) {
    if (length > sizeof p->out - p->out_length)
        return false;
    memcpy(p->out + p->out_length, data, length);
    p->out_length += length;
    return true;
}

static bool h1_ask(struct probe *p, const char *path, const char *host) {
    int n = snprintf(p->out, sizeof p->out,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: ringress-health\r\n"
                     "Accept: */*\r\nConnection: close\r\n\r\n",
                     path, host);
    p->out_length = n > 0 && (size_t)n < sizeof p->out ? (size_t)n : 0;
    return p->out_length;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user) {
    struct probe *p = user;
    (void)ng, (void)frame, (void)flags;
    if (name_length != 7 || memcmp(name, ":status", 7) || value_length != 3)
        return 0; /* nghttp2 has seen to it that it is three digits */
    int status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0';
    if (!p->status && status >= 200)
        p->status = status;
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user) {
    struct probe *p = user;
    (void)ng, (void)id, (void)error;
    p->malformed |= !p->status;
    return 0;
}

#define FIELD(name_, value_, length_)                                        \
    {                                                                        \
        .name = (uint8_t *)(uintptr_t)(name_), .namelen = sizeof(name_) - 1, \
        .value = (uint8_t *)(uintptr_t)(value_), .valuelen = (length_)       \
    }

static bool h2_out(struct probe *p) {
    const uint8_t *data;
    for (ssize_t n; (n = nghttp2_session_mem_send(p->ng, &data)) != 0;)
        if (n < 0 || !out_put(p, data, (size_t)n))
            return false;
    return true;
}

static bool h2_ask(struct probe *p, const char *path, const char *host) {
    nghttp2_session_callbacks *calls;
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    const nghttp2_nv fields[] = {FIELD(":method", "GET", 3),
                                 FIELD(":scheme", p->ssl ? "https" : "http", p->ssl ? 5u : 4u),
                                 FIELD(":authority", host, strlen(host)),
                                 FIELD(":path", path, strlen(path)),
                                 FIELD("user-agent", "ringress-health", 15),
                                 FIELD("accept", "*/*", 3)};
    if (nghttp2_session_callbacks_new(&calls))
        return false;
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
    int failed = nghttp2_session_client_new(&p->ng, calls, p);
    nghttp2_session_callbacks_del(calls);
    return !failed &&
           !nghttp2_submit_settings(p->ng, NGHTTP2_FLAG_NONE, settings,
                                    sizeof settings / sizeof *settings) &&
           nghttp2_submit_request(p->ng, NULL, fields, sizeof fields / sizeof *fields, NULL, NULL) >
               0 &&
           h2_out(p);
}

/* ---- the answer ---- */

/* RFC 9112 section 4: HTTP/1.x SP 3DIGIT */
int health_status_read(const char *answer, size_t length) {
    static const char form[] = "HTTP/1.d ddd";
    for (size_t i = 0; i < length && form[i]; i++)
        if (form[i] == 'd' ? answer[i] < '0' || answer[i] > '9' : answer[i] != form[i])
            return -1;
    if (length < sizeof form)
        return 0;
    char after = answer[sizeof form - 1];
    return after == ' ' || after == '\r' || after == '\n' ? atoi(answer + 9) : -1;
}

static void answer_take(struct probe *p, const char *data, size_t length) {
    if (p->ng) {
        ssize_t used = nghttp2_session_mem_recv(p->ng, (const uint8_t *)data, length);
        p->malformed |= used < 0 || !h2_out(p);
        return;
    }
    size_t room = sizeof p->answer - p->length;
    memcpy(p->answer + p->length, data, length < room ? length : room);
    p->length += length < room ? length : room;
    int status = health_status_read(p->answer, p->length);
    p->malformed |= status < 0;
    p->status = status > 0 ? status : 0;
}

/* ---- all of it ---- */

static int failed(char *why, size_t room, const char *text) {
    snprintf(why, room, "%s", text);
    return PROBE_FAILED;
}

static int broken(char *why, size_t room, const char *what, int error) {
    snprintf(why, room, "%s: %s", what, strerror(error));
    return PROBE_FAILED;
}

static int handshake(struct probe *p, short *ret_events, char *why, size_t room) {
    if (wolfSSL_connect(p->ssl) == WOLFSSL_SUCCESS) {
        p->open = true;
        return trust_agreed(p->ssl, p->http2) ? PROBE_MORE
                                              : failed(why, room, trust_why(TRUST_NO_H2));
    }
    int error = wolfSSL_get_error(p->ssl, 0);
    *ret_events = error == WOLFSSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
    if (error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE)
        return PROBE_MORE;
    return failed(why, room, trust_why(error));
}

/* False: it would block, or failed (*ret_error). */
static bool question_send(struct probe *p, int *ret_error) {
    *ret_error = 0;
    while (p->out_sent < p->out_length) {
        ssize_t n = probe_write(p, p->out + p->out_sent, p->out_length - p->out_sent);
        if (n <= 0) {
            *ret_error = n == 0 ? EPIPE : errno == EAGAIN || errno == EINTR ? 0 : errno;
            return false;
        }
        p->out_sent += (size_t)n;
    }
    p->out_sent = p->out_length = 0;
    return true;
}

static int answer_read(struct probe *p, char *why, size_t room) {
    char data[READ_MOST];
    for (int reads = 0; !p->status && !p->malformed && reads < READS_MOST; reads++) {
        ssize_t n = probe_read(p, data, sizeof data);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return PROBE_MORE;
        if (n <= 0)
            return broken(why, room, "no answer", n < 0 ? errno : ECONNRESET);
        answer_take(p, data, (size_t)n);
    }
    if (p->malformed)
        return failed(why, room, p->ng ? "its answer is not HTTP/2" : "its answer is not HTTP/1");
    return p->status;
}

int probe_run(struct probe *p, short *ret_events, char *ret_why, size_t room) {
    int error, result = p->open ? PROBE_MORE : handshake(p, ret_events, ret_why, room);
    if (result || !p->open)
        return result;
    if (question_send(p, &error))
        result = answer_read(p, ret_why, room);
    else if (error)
        return broken(ret_why, room, "can't ask", error);
    /* What HTTP/2 has to say about what it read goes out next time; nothing more is asked of a pod that has answered. */
    *ret_events = (short)(p->out_length ? POLLIN | POLLOUT : POLLIN);
    return result;
}

struct probe *probe_new(int fd, const struct speech *s, const char *path, const char *host) {
    struct probe *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->fd = fd;
    p->http2 = s->http2;
    p->open = !s->trust;
    struct WOLFSSL_CTX *ctx =
        s->trust ? trust_context(s->trust, trust_control_slot(s->trust)) : NULL;
    if (ctx && (p->ssl = trust_session(ctx, s->server_name, s->trust->ca_pem, s->http2))) {
        wolfSSL_SSLSetIORecv(p->ssl, wire_recv);
        wolfSSL_SSLSetIOSend(p->ssl, wire_send);
        wolfSSL_SetIOReadCtx(p->ssl, p);
        wolfSSL_SetIOWriteCtx(p->ssl, p);
    }
    bool good = !s->trust || p->ssl;
    if (good && (s->http2 ? h2_ask(p, path, host) : h1_ask(p, path, host)))
        return p;
    probe_free(p);
    return NULL;
}

void probe_free(struct probe *p) {
    if (!p)
        return;
    if (p->ssl)
        wolfSSL_free(p->ssl);
    if (p->ng)
        nghttp2_session_del(p->ng);
    free(p);
}
