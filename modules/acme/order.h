/* SPDX-License-Identifier: GPL-3.0-or-later
 * order.h - from names to a certificate on disk (RFC 8555 section 7.4), each step a row, so that a crash at any of them is gone on from.
 *
 *   NEW        key on disk
 *   PLACED     the order's URL is known
 *   PROVING    what the authority shall find is shown, and shown again at once after a crash; then it is told to look
 *   FINALIZED  the request was sent: wait for the certificate
 *   ISSUED     the certificate's URL is known: fetch it, judge it, write it
 *   (done)     the row is gone; the caller's row says what is served
 *
 * What the authority says of the order decides, the row only says where to ask: a step done twice does no harm.
 */
#pragma once
#include "modules/acme/account.h"
#include "modules/acme/paper.h"

struct order_job {
    const char *id, *tenant;
    const char *const *name;
    size_t name_count;
    bool rsa;
    unsigned number;                /* of the certificate to be made: ID-NUMBER.key, .pem */
    bool renewal;                   /* there is one for these names */
    unsigned failures;              /* in a row, before this attempt */
    const char *replaces;           /* the name of the old one, RFC 9773 section 5; "" */
    const char *replaces_directory; /* where that came from */
    const struct acme_conf *conf;
    struct client *client; /* one for each directory */
};

enum order_end {
    ORDER_DONE, /* ID-NUMBER.key and .pem are on disk; the row acme/order/ID still is there: it goes with the caller's next one */
    ORDER_FAILED, /* nothing is left of it */
    ORDER_LATER,  /* not yet: buckets are empty, or the authority takes its time; the row stays */
    ORDER_ENDS,   /* the edge ends; the row stays */
};
struct order_result {
    enum order_end end;
    struct paper paper;
    size_t directory;   /* which one it came from, or refused last */
    int64_t not_before; /* for ORDER_LATER and ORDER_FAILED: not earlier; 0: as the schedule says */
    struct problem problem; /* ORDER_FAILED: what was wrong */
    bool by_authority;      /* it refused; not the names' fault */
    bool shown; /* ORDER_LATER, ORDER_ENDS: what the authority shall find still is there */
    char explanation[160]; /* what ORDER_LATER waits for */
};
void order_run(const struct order_job *, struct order_result *ret);

/* Does this problem say that the directory won't, whatever the name does? Then the next directory is asked. */
bool problem_is_refusal(const struct problem *);
/* The challenge that can prove this name, as configured; NULL: none can, *ret_why says so. `turn` picks another one each time. */
const char *challenge_choose(const struct acme_conf *, const char *name, bool wildcard,
                             unsigned turn, const char **ret_why);
void order_row_name(const char *id, char out[80]);
void order_file_names(const char *id, unsigned number, char key[80], char chain[80]);
