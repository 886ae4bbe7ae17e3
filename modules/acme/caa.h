/* SPDX-License-Identifier: GPL-3.0-or-later
 * caa.h - may this CA issue for this name? RFC 8659, with the parameters of RFC 8657. Looked at before an order is made, so that a
 * refusal costs none of the account's tries.
 *
 *   caa_look (waits): NAME, its parent, ... -> the first that has CAA records -> struct caa_set -> caa_judge (pure)
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ub_ctx;

enum {
    CAA_RECORDS_MAX = 32, /* more are refused: what was not read can't be obeyed */
    CAA_TAG_MAX = 32,
    CAA_VALUE_MAX = 512,
    CAA_REASON_MAX = 640,
};

struct caa_record {
    bool critical;
    char tag[CAA_TAG_MAX + 1]; /* lower case */
    char value[CAA_VALUE_MAX + 1];
};
enum caa_found {
    CAA_UNKNOWN, /* could not be looked up: no order until it can */
    CAA_NONE,    /* neither the name nor any above it has one */
    CAA_RECORDS,
};
struct caa_set {
    enum caa_found found;
    char domain[254]; /* where they stand */
    bool broken;      /* a record is malformed or too long, or there are too many */
    size_t count;
    struct caa_record record[CAA_RECORDS_MAX];
};

/* `name` without "*.". Each level may take `patience_ms`. `ctx` as core/resolver.h makes it. */
void caa_look(struct ub_ctx *ctx, const char *name, int64_t patience_ms, struct caa_set *ret);
/* One record's data of wire format (RFC 8659 section 4.1). False: malformed, or longer than a record here can be. */
bool caa_record_read(const void *data, size_t length, struct caa_record *ret);

struct caa_wish {
    const char *const *issuer; /* the CA's names, of its directory's meta.caaIdentities */
    size_t issuer_count;       /* 0: it does not say; then only what forbids everybody is refused */
    const char *account;       /* its URL */
    const char *method;        /* "http-01", "dns-01", "tls-alpn-01" */
    bool wildcard;
};
enum caa_verdict { CAA_ALLOWED, CAA_FORBIDDEN, CAA_UNDECIDED };
/* `why` ("" when allowed): a sentence for the tenant. */
enum caa_verdict caa_judge(const struct caa_set *, const struct caa_wish *,
                           char why[CAA_REASON_MAX]);
