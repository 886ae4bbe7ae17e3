/* SPDX-License-Identifier: MIT
 * access.h - what one line of the access log tells, as a module fills it in. Included by core/module.h.
 *
 * Strings may be NULL: the field is then null. They are read while the call lasts. What the host knows better than a module
 * it fills in itself: worker, tenant, port, TLS version, SNI, the client's address.
 */
#pragma once
#include "core/account.h"
#include <stddef.h>
#include <stdint.h>

struct conn;

/* Why something failed: the whole vocabulary. X(name, word in the log, for people) */
#define ACCESS_ERRORS(X)                                                                           \
    X(NONE, NULL, "nothing did")                                                                   \
    X(NO_ROUTE, "no_route", "no tenant has this name, or none of its rules this path")             \
    X(MISDIRECTED, "misdirected", "the connection was opened for another tenant's name")           \
    X(REJECTED, "rejected", "a module said no")                                                    \
    X(LIMITED, "limited", "over a limit of the tenant; `detail` names it")                         \
    X(DENIED, "denied", "the client's address may not come in here")                               \
    X(TLS_FAILED, "tls_failed", "the TLS handshake came to nothing; `detail` says how")            \
    X(MALFORMED, "malformed", "the client's bytes are not what the protocol allows")               \
    X(TOO_LARGE, "too_large", "the request, its target or its head is over a limit")               \
    X(UNSUPPORTED, "unsupported", "a method, version or expectation that is not served here")      \
    X(CLIENT_SLOW, "client_slow", "the client did not send in time")                               \
    X(CLIENT_GONE, "client_gone", "the client ended before it had its answer")                     \
    X(NO_POD, "no_pod", "no pod is ready")                                                         \
    X(POD_BUSY, "pod_busy", "all pods had all the connections they may have for too long")         \
    X(POD_REFUSED, "pod_refused", "no connection to a pod could be made")                          \
    X(POD_TLS, "pod_tls", "the TLS handshake with a pod failed")                                   \
    X(POD_BROKE, "pod_broke", "the pod ended its connection before its answer was whole")          \
    X(POD_MALFORMED, "pod_malformed", "the pod's answer is not what the protocol allows")          \
    X(POD_TIMEOUT, "pod_timeout", "the pod did not accept or answer in time")                      \
    X(NO_CERTIFICATE, "no_certificate", "TLS is wanted, and there is no certificate for the name") \
    X(NO_MEMORY, "no_memory", "the edge's own buffers are used up")                                \
    X(DRAINED, "drained", "the edge stopped before it was over")                                   \
    X(NO_DESCRIPTOR, "no_descriptor", "the edge had no descriptor left for a connection to a pod")

enum access_error {
#define X(upper, word, text) ACCESS_##upper,
    ACCESS_ERRORS(X)
#undef X
        ACCESS_ERRORS_COUNT
};

enum access_type {
    ACCESS_HTTP,   /* a request */
    ACCESS_STREAM, /* bytes joined to a pod */
    ACCESS_REFUSED /* a connection that was turned away before either */
};

enum { ACCESS_NEVER = -1 }; /* for times: it did not happen */

struct access_text {
    const char *text; /* NULL: none */
    size_t length;
};

struct access_record {
    uint32_t
        size; /* sizeof(struct access_record) in the module's build; what it did not know is null */
    uint8_t type;    /* enum access_type */
    uint8_t error;   /* enum access_error */
    uint16_t status; /* 0: nothing was answered */
    uint32_t retries;
    const char *tenant;        /* NULL: who the connection is charged to; "": nobody */
    struct access_text client; /* address, as text */
    struct access_text host, method, path, query, protocol;
    struct access_text sni; /* none: that of TLS which ends here */
    struct access_text request_id;
    const char *ingress, *rule, *service, *pod;
    uint64_t bytes_in, bytes_out; /* from the client, to it */
    int64_t begun_us;             /* worker_now_us when the first byte came */
    /* Microseconds since then, or ACCESS_NEVER. */
    int64_t routed_us, connected_us, first_byte_us, total_us;
    const char *detail; /* more of why: an alert, the name of a limit */
};

/* What upstream_ask's error means here. */
enum access_error access_no_pod(int error);

/* The edge itself answers 502, 503 or 504, or resets who would have been joined to a pod. What it lacked is its own fault; all else is
 * the pods' or a limit of the tenant's, also when they are slow: an edge that is so late itself has long been seen to be. */
static inline void account_failed(struct account_worker *w, enum access_error error) {
    ACCOUNT_ADD(w->failures, 1);
    if (error == ACCESS_NO_DESCRIPTOR)
        ACCOUNT_ADD(w->no_descriptor, 1);
    if (error == ACCESS_NO_MEMORY)
        ACCOUNT_ADD(w->no_memory, 1);
}
