/* SPDX-License-Identifier: GPL-3.0-or-later
 * policy.c - annotations of a Service or an Ingress that say how a service's pods are used.
 *
 *   ringress/load-balance: hash --policy_read--> struct policy_spec --policy_apply--> backend->policy
 *
 * One row for each annotation. What the Service says about itself stands; what it leaves open, the Ingresses that name it may say,
 * the first by name first. A value that is wrong is an error at its place, and so is a name that is nearly one of these.
 */
#include "core/conf.h"
#include "tenants/hostname.h"
#include "tenants/work.h"
#include <stdlib.h>
#include <string.h>

const struct policy policy_default = {
    .eject_after = 3,
    .eject_ms = 2000,
    .eject_most_ms = 60000,
    .eject_percent = 50,
    .retry_percent = 20,
    .queue_most = 100,
    .queue_ms = 10000,
    .health_ms = 10000,
    .health_timeout_ms = 2000,
    .health_rise = 2,
    .health_fall = 3,
    .health_status = 200 << 16 | 399,
};

enum { PAGE_MAX = 16 << 10, SECOND = 1000, HOUR = 3600 * SECOND };

enum value_type { VALUE_COUNT, VALUE_TIME, VALUE_PERCENT, VALUE_OTHER, VALUE_PAGE };
struct row;
typedef bool value_fn(struct reader *, const struct row *, const struct word *, struct policy *);

struct row {
    const char *name;
    enum value_type type;
    size_t offset, size;
    int64_t min, max;
    value_fn *read; /* VALUE_OTHER */
};

/* ---- values ---- */

static bool complain(struct reader *r, const struct row *row, const struct word *value,
                     const char *expected) {
    reader_error(r, value->at, "ringress/%s: `%.100s` is not %s", row->name, value->text, expected);
    return false;
}

static bool balance_read(struct reader *r, const struct row *row, const struct word *value,
                         struct policy *policy) {
    static const char *const names[] = {[BALANCE_LEAST] = "least-requests",
                                        [BALANCE_ROUND_ROBIN] = "round-robin",
                                        [BALANCE_HASH] = "hash"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], value->text)) {
            policy->balance = (int64_t)i;
            return true;
        }
    return complain(r, row, value, "least-requests, round-robin or hash");
}

/* RFC 6265 section 4.1.1: a cookie's name is a token. */
static bool cookie_name_good(const char *name) {
    size_t length = strlen(name);
    return length && length <= 64 &&
           strspn(
               name,
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~") ==
               length;
}

static bool hash_by_read(struct reader *r, const struct row *row, const struct word *value,
                         struct policy *policy) {
    if (!strcmp(value->text, "client-address"))
        return true;
    if (strncmp(value->text, "cookie:", 7) || !cookie_name_good(value->text + 7))
        return complain(r, row, value, "client-address or cookie:NAME");
    policy->hash_cookie = value->text + 7;
    return true;
}

static bool health_read(struct reader *r, const struct row *row, const struct word *value,
                        struct policy *policy) {
    bool tcp = !strcmp(value->text, "tcp");
    if (!tcp && strcmp(value->text, "http"))
        return complain(r, row, value, "http or tcp");
    policy->health = tcp ? HEALTH_TCP : HEALTH_HTTP;
    return true;
}

/* It is written into a request line as it is. */
static bool path_read(struct reader *r, const struct row *row, const struct word *value,
                      struct policy *policy) {
    for (const char *c = value->text; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '#')
            return complain(r, row, value, "a path in visible ASCII without `#`");
    if (*value->text != '/' || strlen(value->text) > 1024)
        return complain(r, row, value, "a path that starts with `/`, of at most 1024 bytes");
    policy->health_path = value->text;
    return true;
}

static bool host_read(struct reader *r, const struct row *row, const struct word *value,
                      struct policy *policy) {
    const char *why, *name = hostname_normalise(r->stash, value->text, false, &why);
    if (!name)
        return complain(r, row, value, "a host's name");
    policy->health_host = name;
    return true;
}

static bool verify_read(struct reader *r, const struct row *row, const struct word *value,
                        struct policy *policy) {
    bool on = !strcmp(value->text, "on");
    if (!on && strcmp(value->text, "off"))
        return complain(r, row, value, "on or off");
    policy->verify = on ? VERIFY_ON : VERIFY_OFF;
    return true;
}

static bool secret_read(struct reader *r, const struct row *row, const struct word *value,
                        struct policy *policy) {
    if (!object_name_good(value->text))
        return complain(r, row, value, "a Secret's name");
    policy->ca_secret = value->text;
    return true;
}

static bool server_name_read(struct reader *r, const struct row *row, const struct word *value,
                             struct policy *policy) {
    const char *why, *name = hostname_normalise(r->stash, value->text, false, &why);
    if (!name || !strchr(name, '.') || strchr(name, '_')) /* wolfSSL checks no others */
        return complain(r, row, value, "a host's name with a dot, like web.acme.svc");
    policy->server_name = name;
    return true;
}

static bool http_version_read(struct reader *r, const struct row *row, const struct word *value,
                              struct policy *policy) {
    bool two = !strcmp(value->text, "2");
    if (!two && strcmp(value->text, "1.1"))
        return complain(r, row, value, "1.1 or 2");
    policy->http2 = two;
    return true;
}

static bool status_read(struct reader *r, const struct row *row, const struct word *value,
                        struct policy *policy) {
    char *end, *last;
    long low = strtol(value->text, &end, 10), high = low;
    last = end;
    if (*end == '-')
        high = strtol(end + 1, &last, 10);
    if (value->text[strspn(value->text, "0123456789-")] || end == value->text || *last ||
        low < 100 || high > 599 || low > high)
        return complain(r, row, value, "a status like 204, or a range like 200-399");
    policy->health_status = low << 16 | high;
    return true;
}

#define NUMBER(name_, type_, member, min_, max_)                                 \
    {                                                                            \
        .name = name_, .type = type_, .offset = offsetof(struct policy, member), \
        .size = sizeof policy_default.member, .min = min_, .max = max_           \
    }
#define OTHER(name_, member, read_)                                                    \
    {                                                                                  \
        .name = name_, .type = VALUE_OTHER, .offset = offsetof(struct policy, member), \
        .size = sizeof policy_default.member, .read = read_                            \
    }
#define PAGE(name_, which) \
    { .name = name_, .type = VALUE_PAGE, .offset = which }

static const struct row rows[] = {
    OTHER("load-balance", balance, balance_read),
    OTHER("hash-by", hash_cookie, hash_by_read),
    NUMBER("eject-after", VALUE_COUNT, eject_after, 0, 1000),
    NUMBER("eject-for", VALUE_TIME, eject_ms, 100, HOUR),
    NUMBER("eject-for-most", VALUE_TIME, eject_most_ms, 100, 24 * HOUR),
    NUMBER("eject-at-most", VALUE_PERCENT, eject_percent, 0, 100),
    NUMBER("retry-budget", VALUE_PERCENT, retry_percent, 0, 100),
    NUMBER("max-connections-per-pod", VALUE_COUNT, pod_connections, 1, 1000000),
    NUMBER("max-queue", VALUE_COUNT, queue_most, 0, 100000),
    NUMBER("queue-timeout", VALUE_TIME, queue_ms, 100, HOUR),
    OTHER("health-check", health, health_read),
    OTHER("health-path", health_path, path_read),
    OTHER("health-host", health_host, host_read),
    NUMBER("health-interval", VALUE_TIME, health_ms, 500, 24 * HOUR),
    NUMBER("health-timeout", VALUE_TIME, health_timeout_ms, 100, HOUR),
    NUMBER("health-healthy", VALUE_COUNT, health_rise, 1, 100),
    NUMBER("health-unhealthy", VALUE_COUNT, health_fall, 1, 100),
    OTHER("health-status", health_status, status_read),
    PAGE("error-page-502", ERROR_PAGE_502),
    PAGE("error-page-503", ERROR_PAGE_503),
    PAGE("error-page-504", ERROR_PAGE_504),
    OTHER("backend-verify", verify, verify_read),
    OTHER("backend-ca-secret", ca_secret, secret_read),
    OTHER("backend-server-name", server_name, server_name_read),
    OTHER("backend-http-version", http2, http_version_read),
};
enum { ROWS = sizeof rows / sizeof *rows };
_Static_assert(ROWS <= 32, "policy.said has a bit for each");

static bool number_read(struct reader *r, const struct row *row, const struct word *value,
                        struct policy *policy) {
    int64_t number = -1;
    const char *text = value->text, *expected = "a whole number";
    size_t digits = strspn(text, "0123456789");
    bool good = digits && digits < 10;
    if (row->type == VALUE_TIME) {
        expected = "a time like 500ms, 10s or 5m";
        good = conf_duration_parse(text, &number);
    } else if (row->type == VALUE_PERCENT) {
        expected = "a share like 20%";
        good = good && !strcmp(text + digits, "%");
    } else {
        good = good && !text[digits];
    }
    if (!good)
        return complain(r, row, value, expected);
    if (row->type != VALUE_TIME)
        number = atoll(text);
    if (number < row->min || number > row->max) {
        const char *unit = row->type == VALUE_TIME ? " ms" : row->type == VALUE_PERCENT ? "%" : "";
        reader_error(r, value->at, "ringress/%s: `%s` is outside %lld%s to %lld%s", row->name, text,
                     (long long)row->min, unit, (long long)row->max, unit);
        return false;
    }
    memcpy((char *)policy + row->offset, &number, sizeof number);
    return true;
}

/* ---- one object's annotations ---- */

static const struct row *row_find(const char *name) {
    for (size_t i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

/* Other annotations belong to others; one that starts like ours is ours, misspelt. */
static bool looks_like_ours(const char *name) {
    static const char *const stems[] = {"load-balanc", "hash-",     "eject",  "retry-",
                                        "max-conn",    "max-queue", "queue-", "health",
                                        "error-page",  "backend-"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
        if (!strncmp(name, stems[i], strlen(stems[i])))
            return true;
    return false;
}

/* What gate.c, tls_rules.c and checks.c read, and what the edge itself says of objects that it made. */
static bool is_read_elsewhere(const char *name) {
    static const char *const names[] = {
        "allow-source-range", "begin-trace",       "certificate-key", "client-ca-secret",
        "client-certificate", "deny-source-range", "max-body-size",   "origin",
        "proxy-protocol",     "ssl-redirect",      "tls-min-version", "tls-passthrough"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static bool page_read(struct reader *r, const struct row *row, const struct word *value,
                      struct policy_spec *spec) {
    if (strlen(value->text) > PAGE_MAX) {
        reader_error(r, value->at, "ringress/%s: longer than %d bytes", row->name, PAGE_MAX);
        return false;
    }
    if (!strncmp(value->text, "configmap:", 10) && !strchr(value->text + 10, '/'))
        return complain(r, row, value, "a text or configmap:NAME/KEY");
    spec->page[row->offset] = *value;
    return true;
}

static void pair_read(struct reader *r, const struct word_pair *pair, struct policy_spec *spec) {
    const char *name = pair->key.text + strlen("ringress/");
    const struct row *row = row_find(name);
    bool good;
    if (!row) {
        if (looks_like_ours(name))
            reader_error(r, pair->key.at, "%.100s: there is no such annotation", pair->key.text);
        else if (!is_read_elsewhere(name))
            reader_warning(r, pair->key.at, "unknown annotation `%.100s`", pair->key.text);
        return;
    }
    if (row->type == VALUE_OTHER)
        good = row->read(r, row, &pair->value, &spec->policy);
    else if (row->type == VALUE_PAGE)
        good = page_read(r, row, &pair->value, spec);
    else
        good = number_read(r, row, &pair->value, &spec->policy);
    if (good)
        spec->policy.said |= 1u << (row - rows);
}

static bool says(const struct policy *policy, const char *name) {
    return policy->said >> (row_find(name) - rows) & 1;
}

static void need(struct reader *r, const struct object *object, const struct policy *policy,
                 const char *name, const char *other, bool given) {
    if (says(policy, name) && !given)
        reader_error(r, object->metadata->at, "ringress/%s: has no effect without ringress/%s",
                     name, other);
}

/* What only makes sense together. An Ingress may add to what its Service says, so only a Service's are judged. */
static void policy_judge(struct reader *r, const struct object *object, struct policy *policy) {
    static const char *const of_checks[] = {"health-host",    "health-interval",  "health-timeout",
                                            "health-healthy", "health-unhealthy", "health-status"};
    if (says(policy, "health-path") && policy->health == HEALTH_TCP)
        reader_error(r, object->metadata->at,
                     "ringress/health-path: a check by tcp asks for no path");
    if (says(policy, "health-timeout") && policy->health_timeout_ms > policy->health_ms)
        reader_error(r, object->metadata->at,
                     "ringress/health-timeout: must not be longer than ringress/health-interval");
    if (policy->eject_ms >
        policy->eject_most_ms) /* both have a default, and one alone can be wrong */
        reader_error(r, object->metadata->at,
                     "ringress/eject-for: must not be longer than ringress/eject-for-most");
    if (strcmp(object->kind.text, "Service"))
        return;
    for (size_t i = 0; i < sizeof of_checks / sizeof *of_checks; i++)
        need(r, object, policy, of_checks[i], "health-path", policy->health != HEALTH_NONE);
    need(r, object, policy, "hash-by", "load-balance: hash", policy->balance == BALANCE_HASH);
    need(r, object, policy, "max-queue", "max-connections-per-pod", policy->pod_connections);
    need(r, object, policy, "queue-timeout", "max-connections-per-pod", policy->pod_connections);
}

struct policy_spec *policy_read(struct reader *r, const struct object *object) {
    const struct dict *all = object->metadata ? &object->metadata->annotations : NULL;
    struct policy_spec spec = {.policy = policy_default};
    for (size_t i = 0; all && i < all->count; i++)
        if (all->item[i].value.text && !strncmp(all->item[i].key.text, "ringress/", 9))
            pair_read(r, &all->item[i], &spec);
    if (!spec.policy.said)
        return NULL;
    if (says(&spec.policy, "health-path") && spec.policy.health == HEALTH_NONE) {
        spec.policy.health = HEALTH_HTTP; /* who names a path wants it asked for */
        spec.policy.said |= 1u << (row_find("health-check") - rows);
    }
    policy_judge(r, object, &spec.policy);
    struct policy_spec *kept = stash_alloc(r->stash, sizeof *kept);
    *kept = spec;
    return kept;
}

/* ---- to a backend ---- */

static const char *page_type(const char *text) {
    text += strspn(text, " \t\r\n");
    return *text == '<'                   ? "text/html; charset=utf-8"
           : *text == '{' || *text == '[' ? "application/json"
                                          : "text/plain; charset=utf-8";
}

/* The text of "configmap:NAME/KEY"; NULL with an event. */
static const char *config_map_text(struct work *w, const struct word *value, const char *object,
                                   const char *file) {
    const char *name = value->text + strlen("configmap:"), *slash = strchr(name, '/');
    const struct config_map_object *map =
        model_find(w->model, "ConfigMap", stash_slice(w->stash, name, (size_t)(slash - name)));
    const char *text = map ? dict_get(&map->data, slash + 1) : NULL;
    if (!text)
        note_event(w, object, file, value->at, "ErrorPage", "there is no %s", value->text);
    else if (strlen(text) > PAGE_MAX)
        note_event(w, object, file, value->at, "ErrorPage", "%s is longer than %d bytes",
                   value->text, PAGE_MAX);
    return text && strlen(text) <= PAGE_MAX ? text : NULL;
}

static void page_apply(struct work *w, struct error_page *page, const struct word *value,
                       const char *object, const char *file) {
    const char *text = strncmp(value->text, "configmap:", 10)
                           ? value->text
                           : config_map_text(w, value, object, file);
    if (text)
        *page = (struct error_page){stash_text(w->stash, text), page_type(text),
                                    (uint32_t)strlen(text)};
}

void policy_apply(struct work *w, struct backend *backend, const struct policy_spec *spec,
                  const char *object, const char *file) {
    struct policy *to = &backend->policy;
    for (size_t i = 0; spec && i < ROWS; i++) {
        if (!(spec->policy.said >> i & 1) || to->said >> i & 1)
            continue;
        if (rows[i].type == VALUE_PAGE)
            page_apply(w, &to->page[rows[i].offset], &spec->page[rows[i].offset], object, file);
        else
            memcpy((char *)to + rows[i].offset, (const char *)&spec->policy + rows[i].offset,
                   rows[i].size);
        to->said |= 1u << i;
    }
    to->hash_cookie = stash_text(w->stash, to->hash_cookie);
    to->health_path = stash_text(w->stash, to->health_path);
    to->health_host = stash_text(w->stash, to->health_host);
    to->ca_secret = stash_text(w->stash, to->ca_secret);
    to->server_name = stash_text(w->stash, to->server_name);
    if (to->health == HEALTH_HTTP && !to->health_path)
        to->health_path = "/";
    /* The pods of this speak something else; an Ingress can't know. */
    if (to->health == HEALTH_HTTP && backend->protocol == APP_TCP)
        to->health = HEALTH_TCP;
}
