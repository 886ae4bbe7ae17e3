/* SPDX-License-Identifier: GPL-3.0-or-later
 * mock_core.c - the core as modules/http sees it, see mock_core.h.
 */
#include "tests/unit/mock_core.h"
#include "core/challenge.h"
#include "core/full.h"
#include "core/worker.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct conn {
    void *state;
    struct version *version;
    char sni[256];
    bool tls;
};

static struct access_clock access_clock;

struct mock_stream {
    struct stream stream;
    struct mock_end *end;
};

struct mock mock;
static const struct ringress_module *module;
static struct worker worker;
static struct timer *timers[64];
static struct flush flushes = {.next = &flushes, .prev = &flushes};

/* ---- memory ---- */

static bool memory_is_out(void) {
    return mock.fail_in && --mock.fail_in == 0;
}

struct buf *buf_get(struct worker *w) {
    (void)w;
    if (memory_is_out())
        return NULL;
    struct buf *b = calloc(1, sizeof *b);
    b->data = malloc(BUF_SIZE);
    b->refs = 1;
    mock.live++;
    return b;
}

/* Here they are nobody's until somebody says whose. */
void buf_charge(struct worker *w, struct buf *b, struct account_worker *to) {
    (void)w;
    if (!b || !to)
        return;
    if (b->payer)
        b->payer->buffers--;
    to->buffers++;
    b->payer = to;
}

void buf_unref(struct worker *w, struct buf *b) {
    (void)w;
    assert(b->refs > 0);
    if (--b->refs)
        return;
    if (b->payer)
        b->payer->buffers--;
    free(b->data);
    free(b);
    mock.live--;
}

void *worker_alloc(struct worker *w, size_t size) {
    (void)w;
    if (memory_is_out())
        return NULL;
    mock.live++;
    return calloc(1, size);
}

void worker_free(struct worker *w, void *p, size_t size) {
    (void)w;
    memset(p, 0xdd, size); /* wrong sizes are seen */
    free(p);
    mock.live--;
}

/* ---- streams ---- */

static struct mock_end *end_of(const struct stream *s) {
    return ((const struct mock_stream *)s)->end;
}

static int stream_queue(struct stream *s, struct slice slice) {
    struct mock_end *end = end_of(s);
    assert(!end->closed && !end->shutdown);
    assert(end->queue_count < MOCK_QUEUE);
    end->queue[end->queue_count++] = slice;
    end->queued += slice.length;
    if (end->queued >= STREAM_HIGH)
        end->full = true;
    return end->queued >= STREAM_HIGH;
}

static int op_write_copy(struct stream *s, const void *data, size_t length) {
    struct buf *b = calloc(1, sizeof *b);
    b->data = malloc(length ? length : 1);
    b->refs = 1;
    memcpy(b->data, data, length);
    mock.live++;
    return stream_queue(s, (struct slice){.buf = b, .data = b->data, .length = (uint32_t)length});
}

static void op_pause(struct stream *s) {
    assert(!end_of(s)->paused);
    end_of(s)->paused = true;
    end_of(s)->pauses++;
}
static void op_resume(struct stream *s) {
    assert(end_of(s)->paused);
    end_of(s)->paused = false;
}
static void op_shutdown(struct stream *s) {
    end_of(s)->shutdown = true;
}
static size_t op_queued(const struct stream *s) {
    return end_of(s)->queued;
}

static void end_send(struct mock_end *end, bool discard) {
    for (size_t i = 0; i < end->queue_count; i++) {
        struct slice *s = &end->queue[i];
        if (end->out_room < end->out_length + s->length + 1)
            end->out = realloc(end->out, end->out_room = 2 * (end->out_length + s->length + 1));
        if (!discard) {
            memcpy(end->out + end->out_length, s->data, s->length);
            end->out_length += s->length;
        }
        end->out[end->out_length] = 0;
        slice_drop(&worker, s);
    }
    end->queue_count = end->queued = 0;
}

static void op_close(struct stream *s, bool reset) {
    struct mock_end *end = end_of(s);
    assert(!end->closed);
    end_send(end, reset && false);
    end->closed = true;
    end->reset = reset;
    end->stream = NULL;
    free(s);
}

static const struct stream_ops ops = {.write = stream_queue,
                                      .write_copy = op_write_copy,
                                      .pause = op_pause,
                                      .resume = op_resume,
                                      .shutdown = op_shutdown,
                                      .close = op_close,
                                      .queued = op_queued};

static struct stream *stream_new(struct mock_end *end) {
    struct mock_stream *m = calloc(1, sizeof *m);
    m->stream = (struct stream){.ops = &ops, .worker = &worker};
    m->end = end;
    end->stream = &m->stream;
    end->out = calloc(1, 1);
    end->out_room = 1;
    return &m->stream;
}

static void end_free(struct mock_end *end) {
    end_send(end, true);
    free(end->out);
    if (end->stream)
        free(end->stream);
    memset(end, 0, sizeof *end);
}

void mock_clear(struct mock_end *end) {
    end->out_length = 0;
    end->out[0] = 0;
}

void conn_pays(const struct conn *c) {
    (void)c;
}

void conn_holds(struct conn *c, int64_t bytes) {
    (void)c;
    mock.holds += bytes;
}

void stream_pays(struct stream *s) {
    (void)s;
}

struct account_worker *stream_payer(const struct stream *s) {
    (void)s;
    return &mock.account->w[0];
}

/* ---- who holds too much ---- */

static struct full *fulls;

bool queue_is_much(const struct worker *w, const struct account_worker *payer, size_t bytes) {
    (void)w;
    return mock.glut && payer == &mock.account->w[0] && bytes >= mock.glut;
}

bool payer_holds_all(const struct worker *w, const struct account_worker *payer) {
    (void)w;
    return mock.holds_all && payer == &mock.account->w[0];
}

void full_add(struct worker *w, struct account_worker *payer, struct full *f) {
    (void)w;
    assert(payer);
    if (f->link)
        return;
    f->link = &fulls;
    f->next = fulls;
    if (f->next)
        f->next->link = &f->next;
    fulls = f;
}

void full_remove(struct worker *w, struct account_worker *payer, struct full *f) {
    (void)w, (void)payer;
    if (!f->link)
        return;
    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    f->link = NULL;
}

bool mock_yield(void) {
    struct full *f = fulls;
    if (f) {
        full_remove(&worker, NULL, f);
        f->yield(f);
    }
    return f;
}

void worker_later(struct worker *w, struct flush *f) {
    (void)w;
    if (f->next)
        return;
    f->next = flushes.next;
    f->prev = &flushes;
    f->next->prev = flushes.next = f;
}

void flush_forget(struct flush *f) {
    if (!f->next)
        return;
    f->prev->next = f->next;
    f->next->prev = f->prev;
    f->next = NULL;
}

static void flush_all(void) {
    while (flushes.next != &flushes) {
        struct flush *f = flushes.next;
        flush_forget(f);
        f->run(f);
    }
}

void mock_turn(void) {
    flush_all();
    if (!mock.client.blocked)
        end_send(&mock.client, false);
    for (unsigned i = 0; i < mock.pods; i++)
        if (!mock.pod[i].blocked)
            end_send(&mock.pod[i], false);
}

void mock_say(struct mock_end *end, const void *data, size_t length) {
    while (length && end->stream) {
        size_t n = length < BUF_SIZE ? length : BUF_SIZE;
        struct buf *b = calloc(1, sizeof *b);
        b->data = malloc(n); /* exactly: reading on is seen */
        b->refs = 1;
        mock.live++;
        if (end != &mock.client)
            buf_charge(&worker, b, &mock.account->w[0]);
        memcpy(b->data, data, n);
        end->stream->events->data(end->stream, end->stream->user,
                                  (struct slice){.buf = b, .data = b->data, .length = (uint32_t)n});
        if (!mock.ahead_waits)
            mock_ahead();
        data = (const char *)data + n;
        length -= n;
    }
}

void mock_say_eof(struct mock_end *end) {
    if (end->stream)
        end->stream->events->eof(end->stream, end->stream->user);
}

void mock_fail(struct mock_end *end, int error) {
    if (end->stream)
        end->stream->events->error(end->stream, end->stream->user, error);
}

void mock_connected(struct mock_end *end) {
    if (end->stream)
        end->stream->events->connected(end->stream, end->stream->user);
}

void mock_read(struct mock_end *end, size_t slices) {
    for (size_t i = 0; i < slices; i++) {
        end->queued -= end->queue[i].length;
        slice_drop(&worker, &end->queue[i]);
    }
    end->queue_count -= slices;
    memmove(end->queue, end->queue + slices, end->queue_count * sizeof *end->queue);
}

void mock_unblock(struct mock_end *end) {
    end->blocked = false;
    end_send(end, false);
    if (!end->full || !end->stream)
        return;
    end->full = false;
    end->stream->events->drain(end->stream, end->stream->user);
}

/* ---- pods ---- */

struct upstream_wait {
    struct upstream_want want;
};
static struct upstream_wait waiting;

static struct stream *pod_new(const struct upstream *up, bool reused) {
    struct mock_end *end = &mock.pod[mock.pods++];
    memset(end, 0, sizeof *end);
    end->reused = reused;
    end->upstream = up;
    return stream_new(end);
}

static struct upstream *pod_choose(const struct upstream_want *want) {
    for (unsigned i = 0; want->avoid && i < mock.upstreams; i++)
        if (&mock.upstream[i] == want->avoid)
            return &mock.upstream[(i + 1) % mock.upstreams];
    return &mock.upstream[0];
}

static struct stream *pod_give(const struct upstream_want *want) {
    return pod_new(pod_choose(want), mock.reuse && !want->fresh);
}

struct stream *upstream_ask(struct worker *w, struct upstream_set *set,
                            const struct upstream_want *want, struct upstream_wait **ret_wait,
                            int *ret_error) {
    (void)w;
    (void)set;
    mock.key = want->key;
    if (mock.line && want->turn) {
        assert(!mock.waits);
        mock.waits = true;
        waiting.want = *want;
        *ret_wait = &waiting;
        *ret_error = -EINPROGRESS;
        return NULL;
    }
    if (mock.open_error || mock.pods == MOCK_PODS) {
        *ret_error = mock.open_error;
        return NULL;
    }
    return pod_give(want);
}

bool upstream_wait_in_line(const struct upstream_wait *wait) {
    assert(wait == &waiting && mock.waits);
    return true;
}

void upstream_wait_cancel(struct upstream_wait *wait) {
    assert(wait == &waiting && mock.waits);
    mock.waits = false;
    mock.cancelled++;
}

void mock_turn_comes(int error) {
    assert(mock.waits);
    mock.waits = false;
    waiting.want.turn(waiting.want.user, error ? NULL : pod_give(&waiting.want), error);
}

bool upstream_may_retry(struct worker *w, struct upstream_set *set) {
    (void)w;
    (void)set;
    mock.retries_asked++;
    return !mock.budget_spent;
}

bool upstream_wants_key(const struct upstream_set *set) {
    (void)set;
    return mock.policy.balance == BALANCE_HASH;
}

uint64_t upstream_key(const void *data, size_t length) {
    uint64_t key = length;
    for (size_t i = 0; i < length; i++)
        key = key * 31 + ((const uint8_t *)data)[i];
    return key;
}

bool upstream_is_reused(const struct stream *s) {
    return end_of(s)->reused;
}
struct upstream *upstream_of(const struct stream *s) {
    return (struct upstream *)end_of(s)->upstream;
}
int upstream_line(struct worker *w, struct upstream_set *set, const struct upstream_want *want,
                  struct upstream_wait **ret_wait) {
    (void)w, (void)set, (void)want, (void)ret_wait;
    return -EBUSY;
}
bool upstream_lines(const struct upstream_set *set, const struct worker *w) {
    (void)set, (void)w;
    return false;
}
enum upstream_first upstream_first(struct upstream *up, const struct worker *w) {
    (void)up, (void)w;
    return FIRST_NOBODY;
}
bool upstream_call(struct upstream *up, struct worker *w) {
    (void)up, (void)w;
    return false;
}
unsigned upstream_called(const struct upstream *up, const struct worker *w) {
    (void)up, (void)w;
    return 0;
}
bool upstream_stays(const struct stream *s, const struct version *now) {
    (void)s;
    return now;
}
bool upstream_is_secure(const struct stream *s) {
    (void)s;
    return false;
}
bool upstream_is_truncated(const struct stream *s) {
    return end_of(stream_base(s))->truncated;
}
const char *upstream_name(const struct upstream *u) {
    return u->name;
}
void upstream_ends_after(struct stream *s, int64_t ms) {
    end_of(s)->ends_after_ms = ms;
}
void upstream_keep(struct stream *s) {
    struct mock_end *end = end_of(s);
    assert(!end->paused);
    end_send(end, false);
    end->kept = true;
    end->stream = NULL;
    free(s);
}
void upstream_report(struct upstream *u, struct worker *w, int error) {
    (void)w;
    u->reports += error != 0;
    u->error = error;
}

/* ---- pods of HTTP/2 ---- */

struct upstream *upstream_choose(struct worker *w, struct upstream_set *set,
                                 const struct upstream_want *want, int *ret_error) {
    (void)w, (void)set;
    *ret_error = mock.open_error;
    return mock.open_error ? NULL : pod_choose(want);
}
struct stream *upstream_dial(struct worker *w, struct upstream_set *set, struct upstream *up,
                             int *ret_error) {
    (void)w, (void)set;
    *ret_error = -ENETUNREACH;
    return mock.pods == MOCK_PODS ? NULL : pod_new(up, false);
}
struct upstream_shared **upstream_shared(struct upstream *up, struct worker *w) {
    (void)w;
    return &up->shared;
}
void upstream_carry(struct upstream *up, struct worker *w, int requests) {
    (void)up, (void)w, (void)requests;
}
bool upstream_may_keep(const struct upstream *up, const struct worker *w) {
    (void)up, (void)w;
    return true;
}

/* ---- time ---- */

void timer_set(struct worker *w, struct timer *t, int64_t ms) {
    (void)w;
    timer_stop(t);
    for (size_t i = 0; i < 64; i++)
        if (!timers[i]) {
            timers[i] = t;
            t->link = &timers[i];
            t->deadline = (uint32_t)(mock.now + ms);
            return;
        }
    abort();
}

void timer_stop(struct timer *t) {
    if (t->link)
        *t->link = NULL;
    t->link = NULL;
    t->deadline = 0;
}

void mock_wait(int64_t ms) {
    mock.now += ms;
    for (size_t i = 0; i < 64; i++) {
        struct timer *t = timers[i];
        if (!t || t->deadline > mock.now)
            continue;
        timer_stop(t);
        t->fire(t);
    }
    mock_turn();
}

const struct timeouts *edge_timeouts(void) {
    return &mock.timeouts;
}

/* ---- tenants: two of them ---- */

static struct upstream_set *const some_set = (struct upstream_set *)&mock;
static struct backend backend_ready = {.service = "echo", .port = 80};
static const struct backend backend_empty = {.service = "none", .port = 80};
static struct route acme_routes[] = {
    {.type = PATH_PREFIX, .path = "/none", .path_length = 5, .backend = &backend_empty},
    {.type = PATH_PREFIX, .path = "/api", .path_length = 4, .backend = &backend_ready},
    {.type = PATH_PREFIX, .path = "/a", .path_length = 2, .backend = &backend_ready},
};
static struct route open_routes[] = {
    {.type = PATH_PREFIX, .path = "/", .path_length = 1, .backend = &backend_ready}};
static const struct host host_paths = {
    .name = "paths.example", .route = acme_routes, .route_count = 3};
static const struct host host_open = {.name = "a.example", .route = open_routes, .route_count = 1};
static const struct host host_tls = {
    .name = "tls.example", .route = open_routes, .route_count = 1, .redirect = true};
static struct tenant acme = {.name = "acme", .uid = "1", .domain = "acme.zone.example"};
static const struct tenant other = {.name = "other", .uid = "2", .domain = "other.zone.example"};
static uint32_t pins[2];
static struct version acme_version = {.tenant = &acme, .pins = pins};
static struct version other_version = {.tenant = &other, .pins = pins + 1};

static const struct {
    const char *name;
    struct name_entry entry;
} names[] = {
    {"a.example", {&acme_version, &host_open}},  {"paths.example", {&acme_version, &host_paths}},
    {"tls.example", {&acme_version, &host_tls}}, {"bare.example", {&acme_version, NULL}},
    {"127.0.0.1", {&acme_version, &host_open}},  {"other.example", {&other_version, &host_open}},
};

const struct name_entry *names_find(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
            return &names[i].entry;
    return NULL;
}

size_t name_normalise(const char *host, size_t length, char out[254]) {
    const char *colon = memchr(host, ':', length);
    size_t n = colon ? (size_t)(colon - host) : length;
    for (const char *p = colon ? colon + 1 : host + length; p < host + length; p++)
        if (!isdigit((unsigned char)*p))
            return 0;
    if (colon && strtoul(colon + 1, NULL, 10) > 65535)
        return 0;
    if (n && host[n - 1] == '.')
        n--;
    if (n == 0 || n > 253)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)host[i]) && host[i] != '-' && host[i] != '.' && host[i] != '_')
            return 0;
        out[i] = (char)tolower((unsigned char)host[i]);
    }
    out[n] = 0;
    return n;
}

void route_find(const struct tenant *t, const struct host *host, const char *path, size_t length,
                struct route_answer *ret) {
    (void)t;
    *ret = (struct route_answer){.why = host ? ROUTE_NO_RULE_FOR_PATH : ROUTE_NO_RULE_FOR_HOST,
                                 .host = host};
    acme.limits.request_size = mock.request_size;
    backend_ready.host_set = mock.no_set ? NULL : some_set;
    backend_ready.protocol = mock.pods_h2 ? APP_H2C : APP_HTTP;
    backend_ready.policy = mock.policy;
    for (unsigned i = 0; host && i < host->route_count; i++) {
        const struct route *r = &host->route[i];
        size_t n = r->path_length;
        if (n == 1 ||
            (length >= n && memcmp(path, r->path, n) == 0 && (length == n || path[n] == '/'))) {
            *ret = (struct route_answer){.why = ROUTE_FOUND,
                                         .host = host,
                                         .route = r,
                                         .backend = r->backend,
                                         .gate = mock.gate};
            return;
        }
    }
}

/* ---- certificates ---- */

bool version_has_certificate(const struct version *v, const char *name, size_t length) {
    (void)v, (void)name, (void)length;
    return !mock.no_certificate;
}

static const char challenge_path[] = "/.well-known/acme-challenge/tok";

const char *challenge_http(const char *host, size_t host_length, const char *path,
                           size_t path_length) {
    bool ours = (host_length == 9 && !memcmp(host, "a.example", 9)) ||
                (host_length == 11 && !memcmp(host, "tls.example", 11));
    return ours && path_length == strlen(challenge_path) &&
                   !memcmp(path, challenge_path, path_length)
               ? mock.challenge
               : NULL;
}

bool challenge_is_path(const char *path, size_t path_length) {
    const size_t prefix = strlen("/.well-known/acme-challenge/");
    return path_length > prefix && !memcmp(path, challenge_path, prefix);
}

/* ---- the connection and the edge ---- */

struct worker *conn_worker(const struct conn *c) {
    (void)c;
    return &worker;
}
enum listener_kind conn_kind(const struct conn *c) {
    return c->tls ? LISTENER_HTTPS : LISTENER_HTTP;
}
const char *conn_peer(struct conn *c, char out[46]) {
    (void)c;
    return strcpy(out, "192.0.2.1");
}
bool conn_is_tls(const struct conn *c) {
    return c->tls;
}
const char *conn_sni(const struct conn *c) {
    return c->sni;
}
bool conn_meets(const struct conn *c, const struct tls_rules *rules) {
    (void)c, (void)rules;
    return !mock.meets_not;
}
const char *conn_client_subject(const struct conn *c) {
    (void)c;
    return mock.subject;
}
const char *conn_alpn(const struct conn *c) {
    return c->tls && mock.h2 ? "h2" : "";
}
void version_pin(struct version *v, struct worker *w) {
    (void)w;
    v->pins[0]++;
}
void version_unpin(struct version *v, struct worker *w) {
    (void)w;
    assert(v->pins[0]);
    v->pins[0]--;
}
unsigned worker_id(const struct worker *w) {
    (void)w;
    return 0;
}
struct version *conn_version(const struct conn *c) {
    return c->version;
}
bool conn_charge(struct conn *c, struct version *v) {
    if (mock.over_connections)
        return false;
    c->version = v;
    return true;
}
bool conn_takes_request(struct conn *c) {
    (void)c;
    return !mock.over_requests;
}
unsigned conn_stall(struct conn *c) {
    (void)c;
    mock.stalls += mock.stalling;
    return mock.stalling ? CONN_STALL_MS : 0;
}
void conn_stalled(struct conn *c) {
    (void)c;
    mock.stalls--;
}
bool conn_outstays(struct conn *c) {
    assert(c == mock.conn);
    return mock.outstays;
}
enum limit conn_refusal(const struct conn *c) {
    (void)c;
    return LIMIT_CONNECTIONS;
}
void conn_count_refusal(struct conn *c, enum limit limit) {
    (void)c;
    (void)limit;
    mock.refusals++;
}
void conn_addresses(struct conn *c, union address *ret_peer, union address *ret_local) {
    (void)c;
    *ret_peer = (union address){.v4 = {.sin_family = AF_INET, .sin_addr = {htonl(0xc0000201)}}};
    *ret_local = *ret_peer;
}
bool conn_admits(struct conn *c, const struct gate *gate, const union address *client) {
    (void)c;
    return gate_admits(gate, client);
}
size_t conn_introduction(struct conn *c, unsigned version, uint8_t *out) {
    (void)c;
    return (size_t)sprintf((char *)out, "PROXY-%u\r\n", version);
}
/* 198.51.100.0/24 */
bool edge_trusts(const union address *a) {
    return a->any.sa_family == AF_INET && ntohl(a->v4.sin_addr.s_addr) >> 8 == 0xc63364;
}
struct account_worker *conn_account(const struct conn *c) {
    return c->version ? &mock.account->w[0] : NULL;
}
uint32_t conn_held_ms(const struct conn *c) {
    (void)c;
    return mock.held_ms;
}
bool conn_draining(const struct conn *c) {
    (void)c;
    return mock.draining;
}
bool edge_trusts_proxy(struct conn *c) {
    (void)c;
    return mock.trust;
}
const void *module_conf(const struct ringress_module *m) {
    static const struct {
        int64_t https_port;
        bool begin_trace;
    } conf = {443, false};
    (void)m;
    return &conf;
}
int64_t worker_now_ms(const struct worker *w) {
    (void)w;
    return mock.now;
}
int64_t worker_now_us(const struct worker *w) {
    (void)w;
    return 1000000 + mock.now * 1000;
}
void host_count(struct worker *w, const struct host *h) {
    (void)w;
    (void)h;
}
bool access_wanted(void) {
    return true;
}
enum access_error access_no_pod(int error) {
    return error == -EBUSY || error == -ETIMEDOUT ? ACCESS_POD_BUSY : ACCESS_NO_POD;
}
void access_write(struct conn *c, const struct access_record *r) {
    struct access_facts facts = {.port = 80,
                                 .query = true,
                                 .tenant = c->version ? c->version->tenant->name : NULL,
                                 .tls = c->tls ? "TLSv1.3" : "",
                                 .now_us = worker_now_us(&worker)};
    size_t length = access_line(mock.logged, &access_clock, &facts, r);
    assert(length <= ACCESS_LINE_MAX && mock.logged[length - 1] == '\n');
    mock.logged[length - 1] = 0;
    mock.lines++;
}
void access_write_at_end(struct conn *c, const struct access_record *r) {
    access_write(c, r);
    mock.at_end = true;
}
struct flow *access_begin(struct conn *c, const struct access_record *r,
                          struct relay_tally **ret_tally) {
    (void)ret_tally;
    access_write_at_end(c, r);
    return NULL;
}
void access_end(struct conn *c, struct flow *f) {
    (void)c, (void)f;
}
uint64_t worker_random(struct worker *w) {
    (void)w;
    return 0;
}

static void conn_end(void) {
    if (module->on_close)
        module->on_close(mock.conn, mock.conn->state);
    free(mock.conn->state);
    free(mock.conn);
    mock.conn = NULL;
    mock.rest = NULL;
    mock.conn_open = false;
}

void conn_close(struct conn *c, bool reset) {
    assert(c == mock.conn);
    op_close(mock.client.stream, reset);
    conn_end();
}

void conn_relay_stream(struct conn *c, struct stream *pod) {
    assert(c == mock.conn);
    struct mock_end *end = end_of(pod);
    assert(!end->paused && !mock.client.paused);
    mock_turn();
    end->joined = mock.client.joined = true;
    free(pod);
    free(mock.client.stream);
    end->stream = mock.client.stream = NULL;
    conn_end();
}

bool conn_look_ahead(struct conn *c, const char *host, size_t length,
                     void (*run)(struct conn *, void *user), void *user) {
    assert(c == mock.conn && host && !mock.ahead);
    if (!length || (mock.announced++ % 2 && !mock.ahead_waits))
        return false;
    mock.ahead = run;
    mock.ahead_user = user;
    return true;
}

bool conn_rest(struct conn *c, void (*run)(struct conn *, void *user), void *user) {
    assert(c == mock.conn && !mock.rest);
    if (!mock.crowded)
        return false;
    mock.rest = run;
    mock.rest_user = user;
    return true;
}

bool mock_rested(void) {
    void (*run)(struct conn *, void *) = mock.rest;
    mock.rest = NULL;
    if (run)
        run(mock.conn, mock.rest_user);
    return run;
}

void conn_look_away(struct conn *c) {
    assert(c == mock.conn);
    mock.ahead = NULL;
}

void mock_ahead(void) {
    void (*run)(struct conn *, void *) = mock.ahead;
    mock.ahead = NULL;
    if (run)
        run(mock.conn, mock.ahead_user);
}

enum verdict conn_offer_request(struct conn *c, struct request_view *view) {
    (void)c;
    size_t length = 0;
    const char *value = mock.ask_header ? view->header(view, mock.ask_header, &length) : NULL;
    if (value)
        snprintf(mock.seen_header, sizeof mock.seen_header, "%.*s", (int)length, value);
    if (mock.route_host)
        strcpy(view->route_host, mock.route_host);
    view->reject_status = mock.reject_status;
    return mock.verdict;
}

void mock_connect(const char *sni) {
    mock.conn = calloc(1, sizeof *mock.conn);
    mock.conn->tls = sni != NULL;
    strcpy(mock.conn->sni, sni ? sni : "");
    mock.conn->state = calloc(1, module->conn_size);
    mock.conn_open = true;
    free(mock.client.out);
    memset(&mock.client, 0, sizeof mock.client);
    struct stream *s = stream_new(&mock.client);
    assert(module->on_stream(mock.conn, mock.conn->state, s) == VERDICT_WAIT);
}

void mock_drain(void) {
    mock.draining = true;
    if (mock.conn_open)
        module->on_drain(mock.conn, mock.conn->state);
}

bool mock_withdraw(void) {
    return module->on_withdraw(mock.conn, mock.conn->state, mock.account, NULL);
}

void mock_start(const struct ringress_module *m) {
    memset(&mock, 0, sizeof mock);
    memset(timers, 0, sizeof timers);
    module = m;
    mock.timeouts = (struct timeouts){10000, 60000, 5000, 61000, 75000, 30000};
    mock.upstreams = 1;
    mock.account = calloc(1, sizeof *mock.account + sizeof *mock.account->w);
    acme_version.account = mock.account;
    other_version.account = calloc(1, sizeof *mock.account + sizeof *mock.account->w);
}

void mock_stop(void) {
    if (mock.conn_open)
        conn_close(mock.conn, true);
    for (unsigned i = 0; i < mock.upstreams; i++)
        if (mock.upstream[i].shared)
            mock.upstream[i].shared->leave(mock.upstream[i].shared);
    mock_turn();
    for (size_t i = 0; i < 64; i++)
        assert(!timers[i]);
    for (unsigned i = 0; i < mock.pods; i++) {
        assert(!mock.pod[i].stream);
        end_free(&mock.pod[i]);
    }
    end_free(&mock.client);
    assert(mock.live == 0);
    assert(flushes.next == &flushes && pins[0] == 0 && pins[1] == 0 && !fulls);
    assert(mock.account->w[0].buffers == 0 && other_version.account->w[0].buffers == 0);
    free(mock.account);
    free(other_version.account);
}
