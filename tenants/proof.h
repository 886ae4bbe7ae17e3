/* SPDX-License-Identifier: GPL-3.0-or-later
 * proof.h - what DNS says of a name, and what that proves (docs/domains.md has the rules).
 *
 *   registry_due -> struct name_check -> [edge asks DNS] -> struct dns_seen -> registry_seen -> states, rows, tenants
 *
 * Pure: who asks DNS brings what he saw, raw; nothing is judged where it is asked. Names are in lower case, A-labels, without
 * a trailing dot. "Unknown" (SERVFAIL, a time-out, bogus DNSSEC) is neither proof nor disproof.
 */
#pragma once
#include "tenants/compiled.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DNS_HOPS_MAX = 10,
    DNS_NAME_MAX = 253,
    DNS_PROBES = 2,
    DNS_TEXTS_MAX = 64,      /* TXT records looked at; more is said, and is no proof */
    DNS_ADDRESSES_MAX = 64,  /* of each family; the same */
    DNS_PROBE_LABEL_MAX = 63 /* "probe-<random>" */
};

enum dns_answer {
    DNS_UNKNOWN, /* could not be had */
    DNS_NONE,    /* there is no such name, or nothing of this type */
    DNS_DATA,
};

/* CNAMEs followed one by one, each link a question of its own, so that a dead end behind the link that proves does no harm.
 * DNS_NONE: `name` is no alias. DNS_DATA: the chain ended after `count` hops. DNS_UNKNOWN: a link could not be had; the hops
 * before it are there. */
struct dns_chain {
    enum dns_answer answer;
    bool secure;   /* every link validated by DNSSEC */
    bool loop;     /* comes back to a name it has passed */
    bool too_long; /* goes on after DNS_HOPS_MAX hops */
    size_t count;
    char hop[DNS_HOPS_MAX][DNS_NAME_MAX + 1]; /* where it leads, without the name asked for */
};

struct dns_addresses { /* A or AAAA, aliases followed by the resolver */
    enum dns_answer answer;
    bool secure;
    bool more; /* than DNS_ADDRESSES_MAX */
    size_t count;
    union address address[DNS_ADDRESSES_MAX]; /* ports are 0 */
};

struct dns_text { /* one TXT record, its strings joined (RFC 7208 section 3.3 does the same) */
    size_t length;
    char data[512]; /* a longer one is cut: no token is */
};
struct dns_texts {
    enum dns_answer answer;
    bool secure;
    bool more;              /* than DNS_TEXTS_MAX */
    struct dns_chain alias; /* of the name asked for */
    size_t count;
    struct dns_text text[DNS_TEXTS_MAX];
};

/* One look at everything that may prove a name. */
struct dns_seen {
    struct dns_chain chain;             /* of `name`; not asked for a wildcard */
    struct dns_addresses a, aaaa;       /* of `name`; not asked for a wildcard */
    struct dns_texts challenge;         /* at _ringress-challenge.`name` */
    struct dns_chain probe[DNS_PROBES]; /* of PROBE.`name`; for a wildcard only */
};

/* What is to be asked. */
struct name_check {
    char name[DNS_NAME_MAX + 1]; /* without "*." */
    bool wildcard;
    char probe[DNS_PROBES][DNS_PROBE_LABEL_MAX + 1]; /* two different labels nobody could foresee */
    char uid[64];                                    /* whose claim it is */
    uint64_t
        serial; /* of this look: an answer that comes after another look began, or after the claim went, is nobody's */
};

/* ---- what it proves ---- */

enum {
    PROOF_TOKEN_LENGTH = 32, /* base32 of 160 bits, lower case */
    PROOF_REASON_MAX = 640,
};

enum fact { FACT_NO, FACT_YES, FACT_UNKNOWN };
struct proof_facts {
    enum fact
        cname; /* owner and route: the chain (of a wildcard: of both probes) passes through the tenant's domain */
    enum fact txt;     /* owner: the tenant's token stands at the challenge's name */
    enum fact address; /* route: every address of the name is one of the edge's */
    bool secure;       /* the TXT, and what led to it, was validated by DNSSEC */
    bool void_token;   /* the TXT is the one that proved it before, whose key is no more */
    char seen
        [PROOF_REASON_MAX]; /* what stands there instead, a sentence for the tenant; "" when there is nothing to say */
};
struct proof_rules {
    const char *domain; /* the tenant's, NULL: none, and no CNAME proves */
    const char *token;
    const char *proven;      /* the token that proved it, when that was another; or NULL */
    const char *const *zone; /* the platform's own */
    size_t zone_count;
    const union address *edge; /* its public addresses, ports ignored */
    size_t edge_count;
};
void proof_read(const struct name_check *, const struct dns_seen *, const struct proof_rules *,
                struct proof_facts *ret);

/* Is the name proved? `txt_only`: it lies under another tenant's wildcard or is another's to lose, and only a TXT takes it. */
enum fact proof_judge(const struct proof_facts *, bool wildcard, bool txt_only);
/* Would it be, if not for the TXT? Then that answer has to be trusted: validated, or seen twice. */
bool proof_hangs_on_txt(const struct proof_facts *, bool txt_only);

/* base32 of HMAC-SHA256 under `secret`, cut to 160 bits, over version, tenant, name and scope (of the name alone, or of "*."). */
void proof_token(const uint8_t *secret, size_t secret_length, const char *uid, const char *name,
                 bool wildcard, char ret[PROOF_TOKEN_LENGTH + 1]);
