/* SPDX-License-Identifier: GPL-3.0-or-later
 * control.h - the core as the control thread drives it: workers, listeners, modules, identities, publishing.
 *
 *   core_start -> modules_load -> listeners_open -> publish, publish, … -> core_drain -> core_stop
 *
 * All calls: on the one control thread, which has registered itself (core_start does that).
 */
#pragma once
#include "core/diag.h"
#include "core/module.h"
#include "core/op.h"
#include "tenants/compiled.h"

struct core_conf {
    unsigned workers; /* >= 1 */
    struct timeouts timeouts;
    const struct prefix *trusted_proxies;
    size_t trusted_proxy_count;
    const struct prefix *proxies; /* peers that speak PROXY, and must; nobody else may */
    size_t proxy_count;
    int tls_min_version; /* 2: TLS 1.2, 3: TLS 1.3 */
    /* Stored certificates whose files are in memory at once, at most; 0: 10,000. */
    size_t tls_cache;
    const char *state; /* the folder of what survives a restart; NULL: ticket keys don't */
    /* Bytes of buffers per worker at most; 0: 256 MiB (65536 buffers is the most). */
    size_t buffer_memory;
    unsigned popular; /* how many hosts are told by name; 0: they are not counted */
};

/* Raises RLIMIT_NOFILE, probes io_uring, starts one thread per worker (pinned to its CPU when as many CPUs are allowed).
 * False: *err says which cause and remedy, ready to print. */
bool core_start(const struct core_conf *, struct err *);
unsigned core_workers(void);
/* Stop accepting, tell every connection, wait up to `ms` for them to finish; returns how many were left. May be called
 * once; *stop_early (set from a signal) ends the wait. `meanwhile` is called over and over, and waits some ms itself. */
unsigned core_drain(int64_t ms, const volatile bool *stop_early, void (*meanwhile)(void *user),
                    void *user);
/* Asks every worker for a sign of life; call about once a second. */
void core_pulse(void);
/* How long the one that owes its sign the longest has owed it. */
int64_t core_silent_ms(void);
/* Ends the workers (connections left are reset) and frees all; nothing of core may be used after. */
void core_stop(void);
/* A line about what was found: "io_uring: bundles, ...; files: 20000, about 9900 connections". */
const char *core_features(void);
unsigned core_connections_max(void);
unsigned core_descriptors_max(void);   /* that workers may use */
uint64_t core_descriptors_short(void); /* how often there was none */
uint64_t
core_descriptors_refused(void); /* how often there was none, and nobody had one to give up */

/* ---- modules ---- */
struct module_info {
    const struct ringress_module *module;
    const char *file;
};
/* Before core_start. Loads NAME.so of each name from the first folder of `path` that has it. On an ABI mismatch: the
 * file, its ABI and ours. `conf_of` gives each module its filled configuration (NULL: none) after it was inspected. */
bool modules_inspect(const char *const *names, size_t count, const char *const *path,
                     size_t path_count, struct err *);
size_t modules_count(void);
const struct module_info *modules_get(size_t i);
void modules_configure(size_t i,
                       void *conf); /* the struct conf_fill made of the module's rows; not owned */
bool modules_up(struct err *);      /* conf_check of all */
/* control_up of all; when one fails those before it are ended. modules_control_down in any case afterwards. */
bool modules_control_up(struct err *);
void modules_control_down(void);
void modules_tenant(const char *name, const struct tenant *now);
/* Calls `take` with what each module has to say, which is freed afterwards. */
void modules_rows(const char *kind, const char *tenant, void (*take)(void *user, const char *rows),
                  void *user);
/* The first module's whose command it is; malloc'd. NULL: nobody's. */
char *modules_command(const char *command, const char *const *word, const char *tenant);
void modules_metrics(void (*take)(void *user, const char *text), void *user);

/* ---- listeners ---- */
struct listener;
/* Before core_start: the address is bound, `workers` times, for the listener_open to come; nobody can connect yet. For who gives up
 * the right to bind. False: *err and errno. listeners_unbind: those that no listener_open came for. */
bool listener_bind(const union address *, unsigned workers, struct err *);
void listeners_unbind(void);
/* Binds and listens with SO_REUSEPORT, one socket per worker; connections are accepted from listener_start on.
 * NULL: *err says why ("listen on 0.0.0.0:80: Permission denied"), errno too. */
struct listener *listener_open(enum listener_kind, const union address *, struct err *);
void listener_start(struct listener *);
/* A socket that listens there, for who accepts from it himself; bound ahead, or now. Negative: *err says why. */
int listener_take(const union address *, struct err *err);
/* No more accepts; the sockets are closed. Connections that were accepted live on. Frees. */
void listener_close(struct listener *);
/* A short queue for those who are not accepted yet, or the usual one. */
void listener_hold(struct listener *, bool held);
struct listener_queue {
    uint64_t waiting; /* to be accepted, now */
    uint64_t dropped; /* since it was opened: found no room there */
};
struct listener_queue listener_queue(const struct listener *);

/* ---- identities ---- */
struct identity *identity_new(const char *chain_pem, const char *key_pem, struct err *);
void identity_ref(struct identity *);
void identity_unref(
    struct identity *); /* freed when the last version and connection that uses it are gone */
void operator_identities_set(struct identity *const *, const char *const *const *names,
                             const size_t *name_counts, size_t count); /* takes the references */

/* ---- publishing ---- */
/* Makes `tenant` what is served for its names and ports, replacing its earlier version; takes ownership of the tenant
 * and frees the old one when no connection uses it. Fills the host_* slots: upstreams and sets of ready endpoints,
 * identities from the certificates' PEM (one that fails is left NULL and logged). The account is found by tenant->uid.
 * Cost: this tenant's names. What it no longer says still answers until publish_settle. */
void publish(struct tenant *);
/* The tenant is gone: its names answer as nobody's, connections that are joined to its pods are reset, requests that run are
 * finished. */
void unpublish(const char *tenant_name);
/* Once all tenants of one change are published: what they said before goes, and connections that lost their ground end. */
void publish_settle(void);
/* Call about every 100 ms: frees what no one uses any more; folds accounts. */
void publish_reap(void);
/* The current version, for explain and views; NULL: none. */
struct version *published(const char *tenant_name);
size_t published_count(void);

/* ---- live figures ---- */
struct upstream_figures {
    int64_t connections; /* open to it now */
    int64_t idle;        /* of them */
    uint64_t failures;   /* since the start */
    uint64_t connects;   /* the same: connections begun */
    uint32_t failing;    /* failures in a row */
    int64_t ejected_ms;  /* for so long still; 0: it is not */
    bool fails_checks;
    uint64_t tls_failures; /* handshakes */
    const char *tls_why;   /* the latest one failed; NULL: it did not */
    /* of its service: requests that wait for a connection now; were refused as too many; waited too long */
    uint32_t waiting;
    uint64_t refused, late;
    uint64_t retries, retries_refused; /* of its service: that its budget paid for, and did not */
    bool portless; /* of late no local port was left for another connection to it */
};
struct upstream_figures upstream_sum(const struct upstream *);
/* ---- checks of pods (edge/health.c) ---- */
/* A socket as requests to this pod have it: its network namespace, its device. Negative errno. */
int upstream_socket(const struct upstream *);
int upstream_connect_fd(const struct upstream *, int fd); /* 0 or negative errno, -EINPROGRESS */
const struct speech *upstream_speech(const struct upstream *); /* core/trust.h */
/* What the checks say, to all workers: one that fails is given no requests. */
void upstream_health_set(struct upstream *, bool passes);

struct account *account_find(const char *tenant_uid);
struct core_figures {
    uint64_t connections, accepted, requests;
    uint64_t buffers_in_use, buffers_max;
    double cpu_seconds;
    double tenants_seconds, own_seconds; /* of it, as of the last window (ledger.h) */
    uint64_t loop_lag_ns_max;            /* longest turn since the last call */
};
void core_worker_figures(unsigned worker, struct core_figures *ret);
struct worker_memory { /* buffers: of BUF_SIZE bytes, resident: that have a page of memory */
    uint64_t buffers_resident, buffers_provided, slab_bytes, pod_connections;
};
struct worker_memory core_worker_memory(unsigned worker);
struct publish_figures {
    size_t versions;   /* current ones, and older ones that something pins */
    size_t upstreams;  /* the same of pods' addresses */
    size_t identities; /* the same of certificates, the operator's among them */
};
struct publish_figures publish_figures(void);
