/* SPDX-License-Identifier: GPL-3.0-or-later
 * wire.c - see wire.h. URLs must be https: whatever a directory says, keys and tokens are never sent elsewhere.
 */
#include "modules/acme/wire.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* True when it was there and fits; else `out` is "". */
static bool text_copy(const json_t *object, const char *key, char *out, size_t room) {
    const char *text = text_of(object, key);
    size_t length = strlen(text);
    *out = 0;
    if (length == 0 || length >= room)
        return false;
    memcpy(out, text, length + 1);
    return true;
}

static bool url_good(const char *url) {
    if (strncmp(url, "https://", 8) != 0 || !url[8])
        return false;
    for (const char *at = url; *at; at++)
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
            return false;
    return true;
}

static bool url_copy(const json_t *object, const char *key, char out[URL_MOST]) {
    if (text_copy(object, key, out, URL_MOST) && url_good(out))
        return true;
    *out = 0;
    return false;
}

static json_t *object_load(const char *text, const char *what, struct err *err) {
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    err_set(err, "%s is no JSON object", what);
    return NULL;
}

/* ---- the directory ---- */

/* Keys of an object, or strings of an array, with spaces between; what does not fit is left out. */
static void words_join(char *out, size_t room, const char *word) {
    size_t at = strlen(out), length = strlen(word);
    if (length && !strpbrk(word, " \t\r\n") && at + length + 2 < room)
        snprintf(out + at, room - at, "%s%s", at ? " " : "", word);
}

static void meta_read(const json_t *meta, struct directory *d) {
    const char *key;
    json_t *value;
    size_t i;
    text_copy(meta, "termsOfService", d->terms, sizeof d->terms);
    d->binding_required = json_is_true(json_object_get(meta, "externalAccountRequired"));
    json_object_foreach(json_object_get(meta, "profiles"), key, value) {
        words_join(d->profiles, sizeof d->profiles, key);
    }
    json_array_foreach(json_object_get(meta, "caaIdentities"), i, value) {
        if (json_is_string(value))
            words_join(d->caa, sizeof d->caa, json_string_value(value));
    }
}

bool directory_read(const char *text, struct directory *ret, struct err *err) {
    struct directory d = {0};
    json_t *object = object_load(text, "the directory", err);
    if (!object)
        return false;
    bool good = url_copy(object, "newNonce", d.new_nonce) &&
                url_copy(object, "newAccount", d.new_account) &&
                url_copy(object, "newOrder", d.new_order);
    url_copy(object, "revokeCert", d.revoke);
    url_copy(object, "keyChange", d.key_change);
    url_copy(object, "renewalInfo", d.renewal_info);
    meta_read(json_object_get(object, "meta"), &d);
    json_decref(object);
    if (!good)
        return err_set(err,
                       "the directory lacks an https URL for newNonce, newAccount or newOrder");
    *ret = d;
    return true;
}

bool directory_has_profile(const struct directory *d, const char *profile) {
    size_t length = strlen(profile);
    for (const char *at = d->profiles; (at = strstr(at, profile)); at += length)
        if ((at == d->profiles || at[-1] == ' ') && (!at[length] || at[length] == ' '))
            return true;
    return false;
}

/* ---- problems ---- */

/* One printable line: it is shown in terminals and logs. */
static void line_clean(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

static void type_copy(const json_t *object, char out[64]) {
    static const char urn[] = "urn:ietf:params:acme:error:";
    const char *type = text_of(object, "type");
    if (!strncmp(type, urn, sizeof urn - 1))
        type += sizeof urn - 1;
    snprintf(out, 64, "%s", type);
    line_clean(out);
}

static void subproblems_read(const json_t *list, struct problem *p) {
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one) {
        if (i == 3)
            return;
        const char *name = text_of(json_object_get(one, "identifier"), "value");
        if (!*p->name && strlen(name) < sizeof p->name)
            snprintf(p->name, sizeof p->name, "%s", name);
        size_t at = strlen(p->detail);
        snprintf(p->detail + at, sizeof p->detail - at, "; %s: %s", name, text_of(one, "detail"));
        if (!*p->type)
            type_copy(one, p->type);
    }
}

static void problem_take(const json_t *object, struct problem *p) {
    type_copy(object, p->type);
    snprintf(p->detail, sizeof p->detail, "%s", text_of(object, "detail"));
    json_t *status = json_object_get(object, "status");
    if (json_is_integer(status) && json_integer_value(status) > 0 &&
        json_integer_value(status) < 1000 && !p->status)
        p->status = (long)json_integer_value(status);
    subproblems_read(json_object_get(object, "subproblems"), p);
    line_clean(p->detail);
    line_clean(p->name);
}

void problem_read(const char *text, long status, struct problem *ret) {
    struct problem p = {.status = status};
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;
    if (json_is_object(object))
        problem_take(object, &p);
    json_decref(object);
    if (!*p.detail)
        snprintf(p.detail, sizeof p.detail, "HTTP status %ld%s%s", status, *p.type ? ", " : "",
                 p.type);
    *ret = p;
}

bool problem_is(const struct problem *p, const char *type) {
    return !strcmp(p->type, type);
}

/* ---- orders, authorizations, challenges ---- */

static enum acme_status status_of(const json_t *object) {
    static const char *const names[] = {[STATUS_UNKNOWN] = "",
                                        [STATUS_PENDING] = "pending",
                                        [STATUS_READY] = "ready",
                                        [STATUS_PROCESSING] = "processing",
                                        [STATUS_VALID] = "valid",
                                        [STATUS_INVALID] = "invalid",
                                        [STATUS_DEACTIVATED] = "deactivated",
                                        [STATUS_EXPIRED] = "expired",
                                        [STATUS_REVOKED] = "revoked"};
    const char *text = text_of(object, "status");
    for (size_t i = 1; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], text))
            return (enum acme_status)i;
    return STATUS_UNKNOWN;
}

static bool authorizations_copy(const json_t *list, struct acme_order *o) {
    size_t i;
    json_t *one;
    if (json_array_size(list) > AUTHORIZATIONS_MOST)
        return false;
    json_array_foreach(list, i, one) {
        const char *url = json_string_value(one);
        if (!url || strlen(url) >= URL_MOST || !url_good(url))
            return false;
        memcpy(o->authorization[o->authorization_count++], url, strlen(url) + 1);
    }
    return o->authorization_count;
}

bool order_read(const char *text, struct acme_order *ret, struct err *err) {
    json_t *object = object_load(text, "the order", err);
    if (!object)
        return false;
    memset(ret, 0, sizeof *ret);
    ret->status = status_of(object);
    bool good = url_copy(object, "finalize", ret->finalize) &&
                authorizations_copy(json_object_get(object, "authorizations"), ret);
    url_copy(object, "certificate", ret->certificate);
    if (json_is_object(json_object_get(object, "error")))
        problem_take(json_object_get(object, "error"), &ret->problem);
    json_decref(object);
    if (!good || ret->status == STATUS_UNKNOWN)
        return err_set(err, "the order has no status we know, no finalize URL, or no, too many or "
                            "unusable authorizations");
    return true;
}

/* Characters of base64url only, RFC 8555 section 8: it becomes part of a path. */
static bool token_good(const char *token) {
    return *token && strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                   "-_") == strlen(token);
}

static void challenge_take(const json_t *object, struct acme_authorization *a) {
    struct acme_challenge c = {.status = status_of(object)};
    if (a->challenge_count == CHALLENGES_MOST ||
        !text_copy(object, "type", c.type, sizeof c.type) || !url_copy(object, "url", c.url) ||
        !text_copy(object, "token", c.token, sizeof c.token) || !token_good(c.token))
        return; /* one of a kind we don't know */
    if (json_is_object(json_object_get(object, "error")))
        problem_take(json_object_get(object, "error"), &c.problem);
    a->challenge[a->challenge_count++] = c;
}

bool authorization_read(const char *text, struct acme_authorization *ret, struct err *err) {
    json_t *object = object_load(text, "the authorization", err), *one;
    size_t i;
    if (!object)
        return false;
    memset(ret, 0, sizeof *ret);
    ret->status = status_of(object);
    const json_t *identifier = json_object_get(object, "identifier");
    bool good = !strcmp(text_of(identifier, "type"), "dns") &&
                text_copy(identifier, "value", ret->name, sizeof ret->name);
    ret->wildcard = json_is_true(json_object_get(object, "wildcard"));
    json_array_foreach(json_object_get(object, "challenges"), i, one) {
        challenge_take(one, ret);
    }
    json_decref(object);
    if (!good || ret->status == STATUS_UNKNOWN)
        return err_set(err, "the authorization has no DNS name or no status we know");
    return true;
}

const struct acme_challenge *challenge_find(const struct acme_authorization *a, const char *type) {
    for (size_t i = 0; i < a->challenge_count; i++)
        if (!strcmp(a->challenge[i].type, type))
            return &a->challenge[i];
    return NULL;
}

/* ---- renewal information ---- */

static bool digits(const char **at, int count, int *ret) {
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return true;
}

static bool offset_read(const char *at, int64_t *ret) {
    int hours, minutes, sign = *at == '-' ? -1 : 1;
    if ((*at == 'Z' || *at == 'z') && !at[1]) {
        *ret = 0;
        return true;
    }
    if (*at != '+' && *at != '-')
        return false;
    at++;
    if (!digits(&at, 2, &hours) || *at++ != ':' || !digits(&at, 2, &minutes) || *at)
        return false;
    *ret = sign * (hours * 3600ll + minutes * 60ll);
    return true;
}

bool time_read(const char *text, int64_t *ret) {
    struct tm tm = {0};
    int64_t offset;
    const char *at = text;
    if (!digits(&at, 4, &tm.tm_year) || *at++ != '-' || !digits(&at, 2, &tm.tm_mon) ||
        *at++ != '-' || !digits(&at, 2, &tm.tm_mday) || !*at || !strchr("Tt ", *at++) ||
        !digits(&at, 2, &tm.tm_hour) || *at++ != ':' || !digits(&at, 2, &tm.tm_min) ||
        *at++ != ':' || !digits(&at, 2, &tm.tm_sec))
        return false;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9';)
            at++;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60 || !offset_read(at, &offset))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *ret = timegm(&tm) - offset;
    return true;
}

bool renewal_read(const char *text, struct renewal *ret, struct err *err) {
    struct renewal r = {0};
    json_t *object = object_load(text, "the renewal information", err);
    if (!object)
        return false;
    const json_t *window = json_object_get(object, "suggestedWindow");
    bool good = time_read(text_of(window, "start"), &r.start) &&
                time_read(text_of(window, "end"), &r.end) && r.start < r.end;
    url_copy(object, "explanationURL", r.explanation);
    json_decref(object);
    if (!good)
        return err_set(err, "the renewal information has no window that begins before it ends");
    *ret = r;
    return true;
}
