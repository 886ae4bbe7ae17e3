/* SPDX-License-Identifier: MIT
 * resolver.h - how this edge asks the public DNS: through `dns.servers`, validated against `dns.trust_anchor`.
 *
 * Answers are not kept beyond the second they came in, so that the questions of one look share what they need (negative ones not at
 * all; those that come without SOA, against RFC 2308, for libunbound's five seconds): a tenant who has just put his record
 * must not hear that it is not there. Names are absolute, without a final dot; /etc/hosts is no DNS and is not read; no name is
 * answered out of a built-in table.
 */
#pragma once
#include "core/diag.h"
#include <stdint.h>

struct ub_ctx;
struct ub_result;

struct resolver_conf {
    char *const *
        server; /* "ADDRESS", "ADDRESS:PORT" or "[ADDRESS]:PORT"; none: those of /etc/resolv.conf */
    size_t server_count;
    const char *trust_anchor; /* a file; NULL: no DNSSEC, nothing is secure */
};
/* Before any other call; strings and arrays stay the caller's and must outlive them. False: *err says what can't be used. */
bool resolver_configure(const struct resolver_conf *, struct err *);

enum resolver_answer {
    RESOLVER_UNKNOWN, /* no answer, a failure, or one that DNSSEC shows to be forged */
    RESOLVER_NONE,    /* no such name, or nothing of this type */
    RESOLVER_DATA,
};
enum resolver_answer resolver_judge(int error, const struct ub_result *);

/* A context that asks on a thread of its own; answers are called back from ub_process. NULL: no memory, no descriptors, or the anchor
 * can't be read. End it with ub_ctx_delete. */
struct ub_ctx *resolver_context(void);
/* "10.11.0.53", "127.0.0.1:5353" or "[fd00::53]:53" to where a context forwards its questions. */
void resolver_forward(struct ub_ctx *, const char *server);

typedef void resolver_done_fn(void *user, int error, struct ub_result *);
/* As ub_resolve_async, which is not to be called itself: what a context's first question begins needs descriptors, and ends the
 * process when there are none. *begun: whether this context has begun one; false at first. False: nothing was asked, nothing is
 * called back. */
bool resolver_begin(struct ub_ctx *, bool *begun, const char *name, int type, resolver_done_fn *,
                    void *user, int *ret_id);

/* One question, on a thread that may wait. *ret, to be given to ub_resolve_free, is NULL when the answer is unknown. */
enum resolver_answer resolver_ask(struct ub_ctx *, const char *name, int type, int64_t patience_ms,
                                  struct ub_result **ret);

/* A name of wire format (RFC 1035 section 3.1, without compression) as text in lower case; what no host name holds (a dot inside a
 * label, blanks, control characters) becomes '?'. False: it is no name. */
bool resolver_name_text(const void *wire, size_t length, char ret[254]);
