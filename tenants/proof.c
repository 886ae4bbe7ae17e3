/* SPDX-License-Identifier: GPL-3.0-or-later
 * proof.c - see proof.h. Three facts are read from what DNS said, each yes, no or unknown; the judge combines them.
 *
 *   name      cname or (txt and address)     "txt_only": txt and (cname or address)
 *   wildcard  txt or cname                   "txt_only": txt
 *
 * A fact that is unknown makes the verdict unknown only where knowing it could make it a yes.
 */
#include <wolfssl/options.h>

#include "tenants/hostname.h"
#include "tenants/network.h"
#include "tenants/proof.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/wolfcrypt/hmac.h>

/* ---- saying what was seen ---- */

static void say(struct proof_facts *facts, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct proof_facts *facts, const char *format, ...) {
    size_t used = strlen(facts->seen);
    va_list list;
    if (used && used + 2 < sizeof facts->seen) {
        memcpy(facts->seen + used, "; ", 3);
        used += 2;
    }
    va_start(list, format);
    vsnprintf(facts->seen + used, sizeof facts->seen - used, format, list);
    va_end(list);
}

/* ---- by CNAME ---- */

static bool under_any(const char *name, const char *const *zone, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (hostname_under(name, zone[i]))
            return true;
    return false;
}

static bool passes_through(const struct dns_chain *chain, const char *domain) {
    for (size_t i = 0; domain && i < chain->count && i < DNS_HOPS_MAX; i++)
        if (hostname_under(chain->hop[i], domain))
            return true;
    return false;
}

static enum fact chain_read(const struct dns_chain *chain, const char *name, const char *domain,
                            struct proof_facts *facts) {
    if (!chain->loop && passes_through(chain, domain))
        return FACT_YES;
    if (chain->answer == DNS_UNKNOWN)
        say(facts, "the CNAME of %s could not be looked up", name);
    else if (chain->loop)
        say(facts, "the CNAMEs of %s lead in a circle", name);
    else if (chain->too_long)
        say(facts, "%s leads through more than %d CNAMEs", name, DNS_HOPS_MAX);
    else if (chain->count)
        say(facts, "%s is a CNAME of %s", name, chain->hop[chain->count - 1]);
    return chain->answer == DNS_UNKNOWN ? FACT_UNKNOWN : FACT_NO;
}

/* Two labels nobody could foresee: one may be chance, both are a wildcard record. */
static enum fact probes_read(const struct name_check *check, const struct dns_seen *seen,
                             const char *domain, struct proof_facts *facts) {
    enum fact all = FACT_YES;
    char name[DNS_NAME_MAX + 3];
    snprintf(name, sizeof name, "*.%s", check->name);
    for (size_t i = 0; i < DNS_PROBES && all == FACT_YES; i++)
        all = chain_read(&seen->probe[i], name, domain, facts);
    return all;
}

/* ---- by TXT ---- */

static bool text_is(const struct dns_text *text, const char *token) {
    return text->length == strlen(token) && !memcmp(text->data, token, text->length);
}

static bool texts_have(const struct dns_texts *texts, const char *token) {
    for (size_t i = 0; token && i < texts->count && i < DNS_TEXTS_MAX; i++)
        if (text_is(&texts->text[i], token))
            return true;
    return false;
}

static enum fact txt_read(const struct dns_texts *texts, const struct name_check *check,
                          const struct proof_rules *rules, struct proof_facts *facts) {
    if (texts->answer == DNS_UNKNOWN || texts->alias.answer == DNS_UNKNOWN) {
        say(facts, "the TXT at _ringress-challenge.%s could not be looked up", check->name);
        return FACT_UNKNOWN;
    }
    for (size_t i = 0; i < texts->alias.count; i++)
        if (under_any(texts->alias.hop[i], rules->zone, rules->zone_count) ||
            (rules->domain && hostname_under(texts->alias.hop[i], rules->domain))) {
            say(facts, "_ringress-challenge.%s leads to %s, whose answers prove nothing about %s",
                check->name, texts->alias.hop[i], check->name);
            return FACT_NO;
        }
    if (texts->alias.loop || texts->alias.too_long)
        return FACT_NO;
    if (texts_have(texts, rules->token))
        return FACT_YES;
    facts->void_token = texts_have(texts, rules->proven);
    if (facts->void_token)
        return FACT_YES;
    if (texts->more)
        say(facts, "only the first %d TXT records at _ringress-challenge.%s were read",
            DNS_TEXTS_MAX, check->name);
    else if (texts->count)
        say(facts, "the TXT at _ringress-challenge.%s is another one", check->name);
    return FACT_NO;
}

/* ---- by addresses ---- */

static bool is_edge(const union address *address, const struct proof_rules *rules) {
    for (size_t i = 0; i < rules->edge_count; i++) {
        const union address *own = &rules->edge[i];
        if (own->any.sa_family != address->any.sa_family)
            continue;
        if (own->any.sa_family == AF_INET
                ? own->v4.sin_addr.s_addr == address->v4.sin_addr.s_addr
                : !memcmp(&own->v6.sin6_addr, &address->v6.sin6_addr, sizeof own->v6.sin6_addr))
            return true;
    }
    return false;
}

static enum fact family_read(const struct dns_addresses *list, const struct proof_rules *rules,
                             const char *name, const char *type, struct proof_facts *facts) {
    char text[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < list->count && i < DNS_ADDRESSES_MAX; i++)
        if (!is_edge(&list->address[i], rules)) {
            address_print(&list->address[i], text);
            char *port = strrchr(text, ':');
            if (port)
                *port = 0;
            say(facts, "%s has the %s %s, which is not this edge's", name, type, text);
            return FACT_NO;
        }
    if (list->more)
        say(facts, "%s has more than %d %s records", name, DNS_ADDRESSES_MAX, type);
    else if (list->answer == DNS_UNKNOWN)
        say(facts, "the %s of %s could not be looked up", type, name);
    return list->more ? FACT_NO : list->answer == DNS_UNKNOWN ? FACT_UNKNOWN : FACT_YES;
}

/* One foreign address is a failure, whatever the other family says. */
static enum fact address_read(const struct dns_seen *seen, const char *name,
                              const struct proof_rules *rules, struct proof_facts *facts) {
    enum fact a = family_read(&seen->a, rules, name, "A", facts);
    enum fact aaaa = a == FACT_NO ? FACT_NO : family_read(&seen->aaaa, rules, name, "AAAA", facts);
    if (a == FACT_NO || aaaa == FACT_NO)
        return FACT_NO;
    if (a == FACT_UNKNOWN || aaaa == FACT_UNKNOWN)
        return FACT_UNKNOWN;
    if (!seen->a.count && !seen->aaaa.count) {
        say(facts, "%s has no address", name);
        return FACT_NO;
    }
    return FACT_YES;
}

/* ---- the whole ---- */

void proof_read(const struct name_check *check, const struct dns_seen *seen,
                const struct proof_rules *rules, struct proof_facts *ret) {
    *ret = (struct proof_facts){.secure = seen->challenge.secure && (!seen->challenge.alias.count ||
                                                                     seen->challenge.alias.secure)};
    ret->cname = check->wildcard ? probes_read(check, seen, rules->domain, ret)
                                 : chain_read(&seen->chain, check->name, rules->domain, ret);
    ret->txt = txt_read(&seen->challenge, check, rules, ret);
    ret->address = check->wildcard ? FACT_NO : address_read(seen, check->name, rules, ret);
    if (ret->cname == FACT_YES)
        ret->seen[0] = 0;
}

static enum fact both(enum fact a, enum fact b) {
    if (a == FACT_NO || b == FACT_NO)
        return FACT_NO;
    return a == FACT_YES && b == FACT_YES ? FACT_YES : FACT_UNKNOWN;
}

static enum fact either(enum fact a, enum fact b) {
    if (a == FACT_YES || b == FACT_YES)
        return FACT_YES;
    return a == FACT_NO && b == FACT_NO ? FACT_NO : FACT_UNKNOWN;
}

enum fact proof_judge(const struct proof_facts *facts, bool wildcard, bool txt_only) {
    if (wildcard)
        return txt_only ? facts->txt : either(facts->txt, facts->cname);
    enum fact route = either(facts->cname, facts->address);
    enum fact by_txt = both(facts->txt, route);
    return txt_only ? by_txt : either(facts->cname, by_txt);
}

bool proof_hangs_on_txt(const struct proof_facts *facts, bool txt_only) {
    return txt_only || facts->cname != FACT_YES;
}

/* ---- the token ---- */

static void base32(const uint8_t *bytes, size_t length, char *out) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 section 6 */
    uint64_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < length; i++) {
        held = held << 8 | bytes[i];
        for (bits += 8; bits >= 5; bits -= 5)
            *out++ = letters[held >> (bits - 5) & 31];
    }
    *out = 0;
}

/* Each part ends with a NUL, which none holds: no two lists of parts are one text. */
static void part_add(Hmac *hmac, const char *part) {
    if (wc_HmacUpdate(hmac, (const byte *)part, (word32)strlen(part) + 1))
        abort(); /* as below */
}

void proof_token(const uint8_t *secret, size_t secret_length, const char *uid, const char *name,
                 bool wildcard, char ret[PROOF_TOKEN_LENGTH + 1]) {
    uint8_t mac[WC_SHA256_DIGEST_SIZE];
    Hmac hmac;
    if (wc_HmacInit(&hmac, NULL, INVALID_DEVID) ||
        wc_HmacSetKey(&hmac, WC_SHA256, secret, (word32)secret_length))
        abort(); /* no memory: as in core/stash.c; a token of nothing would be everybody's */
    part_add(&hmac, "ringress-challenge-1");
    part_add(&hmac, uid);
    part_add(&hmac, name);
    part_add(&hmac, wildcard ? "wildcard" : "name");
    if (wc_HmacFinal(&hmac, mac))
        abort();
    wc_HmacFree(&hmac);
    base32(mac, PROOF_TOKEN_LENGTH * 5 / 8, ret);
}
