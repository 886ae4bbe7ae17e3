/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.h - section `acme` of edge.yaml.
 */
#pragma once
#include "core/conf.h"

enum { DIRECTORIES_MOST = 8, THREADS_MOST = 16, CHALLENGE_TYPES = 3 };

struct
    acme_binding { /* what an authority gave for the account to be bound to (RFC 8555 section 7.3.4) */
    char *directory, *kid, *hmac_key_file;
};
struct acme_zone { /* that we may change by RFC 2136 */
    char *zone, *server, *key_file;
    int64_t wait_ms; /* until its servers have heard of a change */
};
struct acme_conf {
    struct conf_list directory; /* char * */
    char *email, *ca_file, *profile;
    struct conf_list challenges; /* char * */
    struct conf_list eab;        /* struct acme_binding */
    struct conf_list dns_update; /* struct acme_zone */
    bool caa;
    int key; /* 0: ecdsa, 1: rsa */
    int64_t rsa_bits, account_key, names_per_certificate, threads, timeout_ms;
    struct {
        int64_t orders, orders_window_ms, domain, domain_window_ms;
    } limits;
};
extern const struct conf_field acme_fields[];
bool conf_has_challenge(const struct acme_conf *, const char *type);
/* The nearest zone that holds the name; NULL: none. */
const struct acme_zone *conf_zone_of(const struct acme_conf *, const char *name);
bool acme_conf_check(const void *conf, struct err *);
