/* SPDX-License-Identifier: GPL-3.0-or-later
 * caa.c - see caa.h.
 *
 *   value of issue and issuewild    [DOMAIN] [";" TAG "=" VALUE]...      (RFC 8659 section 4.2)
 *   accounturi, validationmethods   narrow that record to an account, to methods (RFC 8657)
 *
 * One record that allows is enough. A value that is not of this form allows nobody, as does an empty domain.
 */
#include "modules/acme/caa.h"
#include "core/resolver.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unbound.h>

enum { TYPE_CAA = 257, FLAG_CRITICAL = 128 };

/* --- looking ---------------------------------------------------------------------------------*/

bool caa_record_read(const void *data, size_t length, struct caa_record *ret) {
    const unsigned char *at = data;
    struct caa_record record = {0};
    size_t tag = length > 1 ? at[1] : 0;
    if (!tag || tag > CAA_TAG_MAX || tag > length - 2 || length - 2 - tag > CAA_VALUE_MAX)
        return false;
    record.critical = at[0] & FLAG_CRITICAL;
    for (size_t i = 0; i < tag; i++) {
        if (!isalnum(at[2 + i]))
            return false;
        record.tag[i] = (char)tolower(at[2 + i]);
    }
    memcpy(record.value, at + 2 + tag, length - 2 - tag);
    if (strlen(record.value) != length - 2 - tag)
        return false;
    *ret = record;
    return true;
}

static void set_take(struct caa_set *set, const char *domain, const struct ub_result *result) {
    set->found = CAA_RECORDS;
    snprintf(set->domain, sizeof set->domain, "%s", domain);
    for (size_t i = 0; result->data[i]; i++)
        if (set->count == CAA_RECORDS_MAX ||
            !caa_record_read(result->data[i], (size_t)result->len[i], &set->record[set->count]))
            set->broken = true;
        else
            set->count++;
}

void caa_look(struct ub_ctx *ctx, const char *name, int64_t patience_ms, struct caa_set *ret) {
    *ret = (struct caa_set){.found = CAA_NONE};
    for (const char *at = name, *dot; at && *at && ret->found == CAA_NONE; at = dot) {
        struct ub_result *result;
        enum resolver_answer answer = resolver_ask(ctx, at, TYPE_CAA, patience_ms, &result);
        if (answer == RESOLVER_UNKNOWN) {
            ret->found = CAA_UNKNOWN;
            snprintf(ret->domain, sizeof ret->domain, "%s", at);
        }
        if (answer == RESOLVER_DATA)
            set_take(ret, at, result);
        ub_resolve_free(result);
        dot = strchr(at, '.');
        dot = dot ? dot + 1 : NULL;
    }
}

/* --- what a record allows --------------------------------------------------------------------*/

static const char *blanks_skip(const char *at) {
    return at + strspn(at, " \t");
}

static bool word_is(const char *word, size_t length, const char *text) {
    return strlen(text) == length && !strncasecmp(word, text, length);
}

/* The method is one of those the value lists, separated by commas. */
static bool methods_hold(const char *value, size_t length, const char *method) {
    for (const char *at = value, *end = value + length; at <= end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        if (word_is(at, (size_t)(stop - at), method))
            return true;
        at = stop + 1;
    }
    return false;
}

struct limits { /* of one record */
    bool account_other, method_other;
    unsigned accounts,
        methods; /* how often each parameter stands there; twice is not defined, so allows nobody */
};

static void parameter_take(struct limits *l, const char *tag, size_t tag_length, const char *value,
                           size_t length, const struct caa_wish *wish) {
    if (word_is(tag, tag_length, "accounturi")) {
        l->accounts++;
        l->account_other |=
            strlen(wish->account) != length || strncmp(value, wish->account, length) != 0;
    } else if (word_is(tag, tag_length, "validationmethods")) {
        l->methods++;
        l->method_other |= !methods_hold(value, length, wish->method);
    }
}

/* False: not of the form. Parameters that are not known are the CA's own business. */
static bool parameters_read(const char *at, struct limits *l, const struct caa_wish *wish) {
    while (*(at = blanks_skip(at))) {
        const char *tag = at, *value;
        while (isalnum((unsigned char)*at) || *at == '-')
            at++;
        size_t tag_length = (size_t)(at - tag);
        at = blanks_skip(at);
        if (!tag_length || *at != '=')
            return false;
        value = at = blanks_skip(at + 1);
        while (*at > ' ' && *at < 127 && *at != ';')
            at++;
        parameter_take(l, tag, tag_length, value, (size_t)(at - value), wish);
        at = blanks_skip(at);
        if (*at && *at++ != ';')
            return false;
    }
    return true;
}

static bool is_issuer(const char *word, size_t length, const struct caa_wish *wish) {
    for (size_t i = 0; i < wish->issuer_count; i++)
        if (word_is(word, length, wish->issuer[i]))
            return true;
    return !wish->issuer_count && length;
}

enum record_says { SAYS_YES, SAYS_OTHER_CA, SAYS_OTHER_ACCOUNT, SAYS_OTHER_METHOD };

static enum record_says record_judge(const struct caa_record *record, const struct caa_wish *wish) {
    const char *issuer = blanks_skip(record->value), *at = issuer;
    struct limits l = {0};
    while (isalnum((unsigned char)*at) || *at == '-' || *at == '.')
        at++;
    size_t length = (size_t)(at - issuer);
    at = blanks_skip(at);
    if ((*at && *at != ';') || (*at && !parameters_read(at + 1, &l, wish)) ||
        !is_issuer(issuer, length, wish))
        return SAYS_OTHER_CA;
    if (l.account_other || l.accounts > 1)
        return SAYS_OTHER_ACCOUNT;
    return l.method_other || l.methods > 1 ? SAYS_OTHER_METHOD : SAYS_YES;
}

/* --- the judge -------------------------------------------------------------------------------*/

static bool tag_known(const char *tag) {
    static const char *const known[] = {"issue",        "issuewild", "iodef",   "contactemail",
                                        "contactphone", "issuemail", "issuevmc"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(tag, known[i]))
            return true;
    return false;
}

/* issuewild, where there is one, replaces issue for a wildcard, and says nothing of other names. */
static const char *tag_chosen(const struct caa_set *set, bool wildcard) {
    for (size_t i = 0; wildcard && i < set->count; i++)
        if (!strcmp(set->record[i].tag, "issuewild"))
            return "issuewild";
    return "issue";
}

static const struct caa_record *critical_unknown(const struct caa_set *set) {
    for (size_t i = 0; i < set->count; i++)
        if (set->record[i].critical && !tag_known(set->record[i].tag))
            return &set->record[i];
    return NULL;
}

static enum caa_verdict refuse(const struct caa_set *set, const char *tag, enum record_says says,
                               const struct caa_wish *wish, char why[CAA_REASON_MAX]) {
    if (says == SAYS_OTHER_METHOD)
        snprintf(why, CAA_REASON_MAX, "the CAA %s record at %s does not allow validation by %s",
                 tag, set->domain, wish->method);
    else if (says == SAYS_OTHER_ACCOUNT)
        snprintf(why, CAA_REASON_MAX, "the CAA %s record at %s is for another account than %.200s",
                 tag, set->domain, wish->account);
    else
        snprintf(why, CAA_REASON_MAX, "no CAA %s record at %s allows %s", tag, set->domain,
                 wish->issuer_count ? wish->issuer[0] : "any CA");
    return CAA_FORBIDDEN;
}

/* Of several refusals the one is told that came nearest to allowing. */
static enum caa_verdict records_judge(const struct caa_set *set, const struct caa_wish *wish,
                                      char why[CAA_REASON_MAX]) {
    const char *tag = tag_chosen(set, wish->wildcard);
    enum record_says nearest = SAYS_OTHER_CA;
    bool any = false;
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->record[i].tag, tag) != 0)
            continue;
        enum record_says says = record_judge(&set->record[i], wish);
        if (says == SAYS_YES)
            return CAA_ALLOWED;
        any = true;
        nearest = says > nearest ? says : nearest;
    }
    return any ? refuse(set, tag, nearest, wish, why) : CAA_ALLOWED;
}

enum caa_verdict caa_judge(const struct caa_set *set, const struct caa_wish *wish,
                           char why[CAA_REASON_MAX]) {
    const struct caa_record *critical = critical_unknown(set);
    *why = 0;
    if (set->found == CAA_UNKNOWN)
        snprintf(why, CAA_REASON_MAX, "the CAA records of %s could not be looked up", set->domain);
    if (set->found != CAA_RECORDS)
        return set->found == CAA_NONE ? CAA_ALLOWED : CAA_UNDECIDED;
    if (set->broken)
        snprintf(why, CAA_REASON_MAX, "not all CAA records at %s can be read", set->domain);
    else if (critical)
        snprintf(why, CAA_REASON_MAX, "the CAA record %s at %s is critical and not known here",
                 critical->tag, set->domain);
    return *why ? CAA_FORBIDDEN : records_judge(set, wish, why);
}
