/* SPDX-License-Identifier: MIT
 * module.h - the module ABI, the only way into Ringress.
 *
 *   listener -> accept -> [module, module, ...] in the order of edge.yaml's `modules`
 *
 * A module is NAME.so with one exported const object, `ringress_module`. The host looks at that data before any code of the
 * module runs: `abi` first and for ever, nothing past it is read on a mismatch; `size` is what the module was built with, and
 * what an older module did not know is taken as zero. The host allocates every state; a module never sees a ring, a
 * thread or a lock. For each connection the modules that take part in its listener's kind are asked in order:
 *
 *   on_accept -> on_bytes (peeks at what the client sent, until it decides) -> on_stream (takes the connection over)
 *
 * each answering PASS (the next one), WAIT (ask again on more bytes, or after conn_resume) or REJECT (close).
 * With modules/http, every request is also offered to on_request of all modules before it is routed.
 * Loaded at start, never unloaded.
 */
#pragma once
#include "core/access.h"
#include "core/conf.h"
#include "core/flush.h"
#include "core/limit.h"
#include "core/names.h"
#include "core/stream.h"
#include "core/timer.h"
#include "core/upstream.h"

#define RINGRESS_ABI 1u

enum verdict { VERDICT_PASS, VERDICT_WAIT, VERDICT_REJECT };

enum module_flag {
    /* By control_object_put: conf.d is in the jail's list of what may be written. */
    MODULE_WRITES_CONF_D = 1,
    /* Its section is a list of mappings; as `conf` it is handed a struct conf_list of structs of conf_size. */
    MODULE_CONF_LIST = 2,
};

enum listener_kind { LISTENER_HTTP = 1, LISTENER_HTTPS = 2, LISTENER_RAW = 4 };

struct conn; /* one client connection */
struct flow; /* core/flow.h */
struct relay_tally;
struct gate;   /* tenants/compiled.h */
struct tenant; /* the same */
union address;
struct identity; /* a certificate with its key, as TLS serves it */

/* A request as modules/http offers it to on_request. Strings are not NUL-terminated and live for the call only. */
struct request_view {
    uint32_t size; /* of this struct in the host */
    const char *method, *host, *path, *query;
    size_t method_length, host_length, path_length,
        query_length; /* host: normalised; query: without '?' */
    /* The first field of that name (case-insensitive), or NULL. */
    const char *(*header)(const struct request_view *, const char *name, size_t *ret_length);
    /* Answers to give: */
    int reject_status; /* with VERDICT_REJECT: 400..599; 0 means 403 */
    char route_host
        [254]; /* not empty: route as if the request were for this host; must be the same tenant's */
    const void *request; /* the host's own */
};

/* `ringress NAME …` of a module: a process beside the edge, of whoever typed it, with edge.yaml's section of that module. */
struct module_call {
    uint32_t size;    /* of this struct in the host */
    const void *conf; /* as conf_check has left it */
    const char *const *word;
    int words;
    const char *tenant; /* -n; NULL: not given */
    bool all;           /* --all */
    /* What `ringress get KIND -o json` shows of the running edge: malloc'd text. NULL: none answers, stderr says so. From any thread. */
    char *(*get)(const struct module_call *, const char *kind);
    const void *host; /* the host's own */
};

struct ringress_module {
    uint32_t abi;  /* RINGRESS_ABI; first for ever */
    uint32_t size; /* sizeof(struct ringress_module) in the module's build */
    const char *name, *version, *summary;
    uint32_t listeners;            /* bits of enum listener_kind */
    uint32_t flags;                /* bits of enum module_flag */
    const struct conf_field *conf; /* section NAME of edge.yaml; NULL: none */
    size_t conf_size;
    size_t worker_size, conn_size; /* host-allocated, zeroed */
    const char *
        alpn; /* protocols its on_stream speaks over TLS, "http/1.1" or "h2,http/1.1"; NULL: none */
    bool (*conf_check)(const void *conf, struct err *);
    int (*worker_up)(struct worker *, void *worker_state, const void *conf);
    void (*worker_down)(struct worker *, void *worker_state);
    enum verdict (*on_accept)(struct conn *, void *state);
    enum verdict (*on_bytes)(struct conn *, void *state, const uint8_t *data,
                             size_t length); /* all bytes so far */
    enum verdict (*on_stream)(struct conn *, void *state,
                              struct stream *); /* PASS: not mine; WAIT: taken */
    enum verdict (*on_request)(struct conn *, void *state, struct request_view *);
    void (*on_close)(struct conn *, void *state); /* the connection ends: state goes after this */
    void (*on_drain)(struct conn *,
                     void *state); /* the edge is draining: finish what runs, then close */
    /* The tenant goes on, but something of it is gone: a name, a raw port, a part of its network. Asked of the module that
     * joined this connection to a pod. REJECT: what it was joined for is gone, too; it is reset. */
    enum verdict (*on_change)(struct conn *, void *state, struct version *now);
    /* The same of one that the module has taken, for what it has itself joined to pods within it (WebSockets that are streams): the
     * tenant who pays to this account has lost something; `now`: what is left of it, NULL: nothing. Ends a few at a time; true: ask again,
     * there may be more. */
    bool (*on_withdraw)(struct conn *, void *state, const struct account *, struct version *now);
    /* ---- on the control thread, for modules that have work beside the data path (core/control_host.h) ---- */
    /* Rows and conf.d are loaded, the process is the user it will stay, no connection was accepted yet. False ends the start. */
    bool (*control_up)(const void *conf, struct err *);
    void (*control_down)(void); /* ends the module's threads; no hook is called any more */
    /* A tenant is served in this state now; NULL: it is gone. `now` is good for the call only. */
    void (*on_tenant)(const char *name, const struct tenant *now);
    /* The module's rows of `get KIND`, of one tenant or (NULL) of all: a JSON array as malloc'd text; NULL: none. */
    char *(*control_view)(const char *kind, const char *tenant);
    /* The module's part of /metrics: malloc'd text; NULL: none. */
    char *(*control_metrics)(void);
    /* ---- in a process of its own ---- */
    int (*command)(const struct module_call *); /* the exit code */
    /* A command that is the module's (`ringress kubeconfig acme`), asked at the admin socket: {"exit", "text", "data", "error"} as
     * malloc'd JSON; NULL: it is not. Words past the last are "", tenant is what -n says or NULL. */
    char *(*control_command)(const char *command, const char *const *word, const char *tenant);
};

#define RINGRESS_EXPORT __attribute__((visibility("default")))
#define RINGRESS_MODULE(...)                                             \
    RINGRESS_EXPORT extern const struct ringress_module ringress_module; \
    const struct ringress_module ringress_module = {                     \
        .abi = RINGRESS_ABI, .size = sizeof(struct ringress_module), __VA_ARGS__}

/* ---- what a module may ask of a connection ---- */
struct worker *conn_worker(const struct conn *);
enum listener_kind conn_kind(const struct conn *);
uint16_t conn_local_port(const struct conn *);
/* Who is at the other end (PROXY protocol already taken into account), as text without port: "203.0.113.9". */
const char *conn_peer(struct conn *, char out[46]);
/* The same as an address, and the one it came to. Family 0: not known. */
void conn_addresses(struct conn *, union address *ret_peer, union address *ret_local);
/* Its client has ended it with an RST. Cheap beside whatever would be done for him: a flood of connects and resets is not to reach a pod. */
bool conn_is_gone(const struct conn *);
bool conn_is_tls(const struct conn *);
/* The normalised SNI of a TLS connection that ends here; "" otherwise. */
const char *conn_sni(const struct conn *);
const char *conn_tls_version(const struct conn *); /* "TLSv1.3", or "" */
struct tls_rules;                                  /* tenants/compiled.h */
/* What this (normalised) name of this tenant asks of TLS; NULL: no more than the operator does. conn_start_tls does as they say. */
const struct tls_rules *version_tls_rules(const struct version *, const char *name);
/* Would this connection have been let in by these rules? What was judged by one name's rules must not reach another's. */
bool conn_meets(const struct conn *, const struct tls_rules *);
/* Who the client has proved to be, as rules asked him to: "CN=ann,O=Example" (RFC 4514), or NULL. */
const char *conn_client_subject(const struct conn *);
/* What ALPN has agreed on, "h2", or "" when it did not come up. */
const char *conn_alpn(const struct conn *);
/* Which tenant this connection is charged to (NULL before one is known), and charge it to another. Pins the version. */
struct version *conn_version(const struct conn *);
/* False: that tenant's limits do not allow it, or there is no memory; nothing was changed, the refusal is counted. */
bool conn_charge(struct conn *, struct version *);
/* The same for a connection that came to a raw port of the version: the port has an account of its own. */
struct raw_port;
bool conn_charge_port(struct conn *, struct version *, const struct raw_port *);
/* What runs now is for this connection, though it is none of its own events: a timer. Its payer is charged. */
void conn_pays(const struct conn *);
struct account_worker *conn_account(const struct conn *); /* this worker's counters of the payer */
/* So many bytes of memory more, or fewer, are held for this connection: its payer is charged. What is added is taken back before the
 * connection is gone, or goes with it. When memory is short, who holds the most gives up connections. */
void conn_holds(struct conn *, int64_t bytes);

/* For who reads requests: a request for this host (as it stands in the request) has come and will be routed. Calls `run` later in
 * this turn, when what that will look at has been fetched into the cache, for all who announced one together. False: there is
 * nothing to wait for, go on. conn_look_away before the connection is closed meanwhile: `run` is not called. */
bool conn_look_ahead(struct conn *, const char *host, size_t length,
                     void (*run)(struct conn *, void *user), void *user);
void conn_look_away(struct conn *);

/* For who has done a piece of work and finds more of it in the same event: where others wait for the worker, `run` is called when it is
 * this tenant's turn again, unless the connection closes before. False: go on. */
bool conn_rest(struct conn *, void (*run)(struct conn *, void *user), void *user);

/* May a client at this address come in? Counted when not. `gate` NULL: yes. */
bool conn_admits(struct conn *, const struct gate *, const union address *client);
/* One more request; false: over the tenant's requests per second, counted. */
bool conn_takes_request(struct conn *);
/* It did not, since others are harmed by what its tenant is asked: then whoever asks again at once would be answered all the time. True:
 * refuse it only after so many milliseconds, a draw between half of CONN_STALL_MS and three halves, and then call conn_stalled. 0: at once;
 * no such reason, or too many wait already. */
enum { CONN_STALL_MS = 250 };
unsigned conn_stall(struct conn *);
void conn_stalled(struct conn *);
/* Of a connection whose latest request was for a name nobody has, or came while its tenant's names are held (shutoff) and was refused: has
 * it asked so for long enough? Then its answer is the last one, and what else it sends is not waited for. */
bool conn_outstays(struct conn *);
void conn_count_refusal(struct conn *, enum limit);
/* What the last no of these was for; LIMIT_COUNT: there was no memory. */
enum limit conn_refusal(const struct conn *);
static inline enum access_error access_refusal(enum limit limit) {
    return limit == LIMIT_COUNT    ? ACCESS_NO_MEMORY
           : limit == LIMIT_SOURCE ? ACCESS_DENIED
           : limit == LIMIT_BODY   ? ACCESS_TOO_LARGE
                                   : ACCESS_LIMITED;
}
/* The PROXY header, version 1 or 2, that says who this client is; at most 128 bytes. */
size_t conn_introduction(struct conn *, unsigned proxy_version, uint8_t *out);
/* Before conn_relay: the pod gets that header first. 0: it does not. */
void conn_introduce(struct conn *, unsigned proxy_version);

/* Continue after WAIT: the module that waited is asked again. */
void conn_resume(struct conn *);
/* For on_bytes/on_accept, followed by PASS: end TLS here with this identity for this (normalised) name. `alpn`: the protocols
 * offered are those of the modules that follow. */
void conn_start_tls(struct conn *, struct version *, const struct identity *, const char *sni);
/* The same for a certificate authority that asks by acme-tls/1 (RFC 8737): charged to nobody, closed when the handshake is done. */
void conn_start_challenge(struct conn *, const struct identity *, const char *sni);
/* For on_accept/on_bytes, followed by WAIT: join the connection to a pod, bytes already read first, untouched. */
void conn_relay(struct conn *, struct version *, struct upstream_set *);
/* For on_stream's owner: join the client's stream to another (a WebSocket after 101). Takes both streams. */
void conn_relay_stream(struct conn *, struct stream *upstream);
/* Before REJECT: bytes to send first (a TLS alert). At most 64. */
void conn_last_words(struct conn *, const void *data, size_t length);
/* on_stream's owner is done with the connection: closes the stream (see stream_close), then on_close. */
void conn_close(struct conn *, bool reset);
/* The edge is stopping: answer with Connection: close. */
bool conn_draining(const struct conn *);
/* How long its tenant's bandwidth limit has kept this connection's bytes waiting, in ms: what did not come or go meanwhile is nobody's
 * fault. Only what it grows by says something; it starts over when the tenant changes. */
uint32_t conn_held_ms(const struct conn *);
/* Offers a request to every module's on_request, in order. WAIT is not possible there. */
enum verdict conn_offer_request(struct conn *, struct request_view *);
/* The module's own configuration and per-worker state. */
const void *module_conf(const struct ringress_module *);
void *module_worker_state(const struct ringress_module *, const struct worker *);

/* ---- facts and services of the host ---- */
struct timeouts { /* milliseconds */
    int64_t header, body_idle, connect, response, keepalive, drain;
};
const struct timeouts *edge_timeouts(void);
/* The operator's certificate for this name (exact before wildcard), or NULL. */
const struct identity *operator_identity(const char *sni, size_t length);
/* Would a client that came by TLS for this (normalised) name of this tenant be shown a certificate? */
bool version_has_certificate(const struct version *, const char *name, size_t length);
bool edge_trusts_proxy(struct conn *); /* the peer lies within trusted_proxies */
bool edge_trusts(const union address *);

int64_t worker_now_ms(const struct worker *); /* monotonic, as of this turn */
int64_t worker_now_us(const struct worker *); /* the same, for what is measured */
unsigned worker_id(const struct worker *);
uint64_t worker_random(struct worker *); /* not for keys */
/* Zeroed memory of this worker, in size classes; NULL when there is none. */
void *worker_alloc(struct worker *, size_t size);
void worker_free(struct worker *, void *, size_t size);
void log_write(int level, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* 0 error … 3 debug */

/* ---- what is written down of the traffic ---- */
/* A request for a name that this host's rules speak for: counted among the most popular hosts of /metrics. */
void host_count(struct worker *, const struct host *);
/* Is there an access log? What only a line needs may be left out when not. */
bool access_wanted(void);
/* A line now. Never waits: when the log can't keep up the line is dropped and counted. */
void access_write(struct conn *, const struct access_record *);
/* The same of a connection that is turned away now, before VERDICT_REJECT or conn_close: type, times, protocol and bytes are filled in.
 * Only the first counts; a module that rejects without one has `rejected`. */
void access_write_refused(struct conn *, const struct access_record *);
/* Before conn_relay or conn_relay_stream: the line to write when that ends. The host adds both ways' bytes, the pod, the times and how
 * it ended. Everything is copied. Without it the line tells what the host knows. */
void access_write_at_end(struct conn *, const struct access_record *);
/* The same for one of many streams on a connection, joined to a pod by its module with relay_new: *ret_tally is the relay's, and the
 * line is written when access_end gives the flow back, before the connection is gone. NULL: no log, or no memory for it. */
struct flow *access_begin(struct conn *, const struct access_record *,
                          struct relay_tally **ret_tally);
void access_end(struct conn *, struct flow *);
