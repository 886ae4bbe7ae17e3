/* SPDX-License-Identifier: GPL-3.0-or-later
 * access_line.c - see access_line.h. Every line has every field, in one order; what is not there is null. The operator's page
 * (docs/operator.md) lists them, and a test compares.
 *
 * Written by hand, since it is done for each request: literals and digits are copied, every text has its maximum, and the sum of
 * all maxima is below ACCESS_LINE_MAX, so that no bound is looked at in between.
 */
#include "core/access_line.h"
#include "core/json.h"
#include <string.h>
#include <time.h>

enum { /* bytes between the quotes, escapes counted */
       TENANT_MOST = 64,
       CLIENT_MOST = 48,
       PROTOCOL_MOST = 16,
       TLS_MOST = 16,
       NAME_MOST = 256, /* sni, host, ingress, service */
       METHOD_MOST = 32,
       PATH_MOST = 1024,
       QUERY_MOST = 512,
       RULE_MOST = 256,
       POD_MOST = 64,
       ID_MOST = 136,
       DETAIL_MOST = 48,
       TEXTS = 16,
       KEYS_MOST = 430, /* names, colons, commas, braces, the time, the type */
       NUMBERS = 12,
       NUMBER_MOST = 20,
       WORD_MOST = 16,
};
_Static_assert(TENANT_MOST + CLIENT_MOST + PROTOCOL_MOST + TLS_MOST + 4 * NAME_MOST + METHOD_MOST +
                       PATH_MOST + QUERY_MOST + RULE_MOST + POD_MOST + ID_MOST + DETAIL_MOST +
                       2 * TEXTS + KEYS_MOST + NUMBERS * NUMBER_MOST + WORD_MOST <=
                   ACCESS_LINE_MAX,
               "the longest line fits");

#define LITERAL(out, text) (memcpy((out), (text), sizeof(text) - 1), (out) + sizeof(text) - 1)

static char *number_put(char *out, uint64_t n) {
    char digits[NUMBER_MOST];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    memcpy(out, digits + at, sizeof digits - at);
    return out + sizeof digits - at;
}

/* What never happened is null. */
static char *span_put(char *out, int64_t us) {
    return us < 0 ? LITERAL(out, "null") : number_put(out, (uint64_t)us);
}

static char *text_put(char *out, size_t most, const char *text, size_t length) {
    return text ? json_text(out, most, text, length) : LITERAL(out, "null");
}

static char *string_put(char *out, size_t most, const char *text) {
    return text_put(out, most, text, text ? strnlen(text, most + 1) : 0);
}

/* ---- time ---- */

static void clock_check(struct access_clock *c, int64_t now_us) {
    struct timespec mono, wall;
    if (c->checked_us && now_us - c->checked_us < 1000000)
        return;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    c->wall_us = (wall.tv_sec - mono.tv_sec) * 1000000ll + (wall.tv_nsec - mono.tv_nsec) / 1000;
    c->checked_us = now_us;
}

static char *time_put(char *out, struct access_clock *c, int64_t us) {
    int64_t second = us / 1000000;
    unsigned rest = (unsigned)(us % 1000000);
    if (second != c->second) {
        struct tm utc;
        gmtime_r(&(time_t){second}, &utc);
        strftime(c->stamp, sizeof c->stamp, "%Y-%m-%dT%H:%M:%S", &utc);
        c->second = second;
    }
    memcpy(out, c->stamp, 19);
    out[19] = '.';
    for (int i = 25; i > 19; i--, rest /= 10)
        out[i] = (char)('0' + rest % 10);
    out[26] = 'Z';
    return out + 27;
}

/* ---- the line ---- */

const char *access_error_word(unsigned error) {
    static const char *const words[] = {
#define X(upper, word, text) word,
        ACCESS_ERRORS(X)
#undef X
    };
    return error < ACCESS_ERRORS_COUNT ? words[error] : NULL;
}

static char *head_put(char *p, struct access_clock *c, const struct access_facts *f,
                      const struct access_record *r) {
    clock_check(c, f->now_us);
    p = LITERAL(p, "{\"time\":\"");
    p = time_put(p, c, r->begun_us + c->wall_us);
    p = r->type == ACCESS_HTTP     ? LITERAL(p, "\",\"type\":\"http\",\"worker\":")
        : r->type == ACCESS_STREAM ? LITERAL(p, "\",\"type\":\"stream\",\"worker\":")
                                   : LITERAL(p, "\",\"type\":\"refused\",\"worker\":");
    p = number_put(p, f->worker);
    p = LITERAL(p, ",\"tenant\":");
    p = string_put(p, TENANT_MOST, f->tenant);
    p = LITERAL(p, ",\"client\":");
    p = text_put(p, CLIENT_MOST, r->client.text, r->client.length);
    p = LITERAL(p, ",\"port\":");
    p = number_put(p, f->port);
    p = LITERAL(p, ",\"protocol\":");
    p = text_put(p, PROTOCOL_MOST, r->protocol.text, r->protocol.length);
    p = LITERAL(p, ",\"tls\":");
    p = string_put(p, TLS_MOST, f->tls && *f->tls ? f->tls : NULL);
    p = LITERAL(p, ",\"sni\":");
    return text_put(p, NAME_MOST, r->sni.text, r->sni.length);
}

static char *asked_put(char *p, const struct access_facts *f, const struct access_record *r) {
    p = LITERAL(p, ",\"host\":");
    p = text_put(p, NAME_MOST, r->host.text, r->host.length);
    p = LITERAL(p, ",\"method\":");
    p = text_put(p, METHOD_MOST, r->method.text, r->method.length);
    p = LITERAL(p, ",\"path\":");
    p = text_put(p, PATH_MOST, r->path.text, r->path.length);
    p = LITERAL(p, ",\"query\":");
    p = text_put(p, QUERY_MOST, f->query ? r->query.text : NULL, r->query.length);
    p = LITERAL(p, ",\"ingress\":");
    p = string_put(p, NAME_MOST, r->ingress);
    p = LITERAL(p, ",\"rule\":");
    p = string_put(p, RULE_MOST, r->rule);
    p = LITERAL(p, ",\"service\":");
    p = string_put(p, NAME_MOST, r->service);
    p = LITERAL(p, ",\"pod\":");
    return string_put(p, POD_MOST, r->pod);
}

static char *outcome_put(char *p, const struct access_record *r) {
    p = LITERAL(p, ",\"status\":");
    p = r->status ? number_put(p, r->status) : LITERAL(p, "null");
    p = LITERAL(p, ",\"error\":");
    p = string_put(p, WORD_MOST, access_error_word(r->error));
    p = LITERAL(p, ",\"detail\":");
    p = string_put(p, DETAIL_MOST, r->detail);
    p = LITERAL(p, ",\"retries\":");
    p = number_put(p, r->retries);
    p = LITERAL(p, ",\"bytes_in\":");
    p = number_put(p, r->bytes_in);
    p = LITERAL(p, ",\"bytes_out\":");
    p = number_put(p, r->bytes_out);
    p = LITERAL(p, ",\"routed_us\":");
    p = span_put(p, r->routed_us);
    p = LITERAL(p, ",\"connected_us\":");
    p = span_put(p, r->connected_us);
    p = LITERAL(p, ",\"first_byte_us\":");
    p = span_put(p, r->first_byte_us);
    p = LITERAL(p, ",\"total_us\":");
    p = span_put(p, r->total_us);
    p = LITERAL(p, ",\"request_id\":");
    return text_put(p, ID_MOST, r->request_id.text, r->request_id.length);
}

size_t access_line(char out[ACCESS_LINE_MAX], struct access_clock *c, const struct access_facts *f,
                   const struct access_record *r) {
    char *p = head_put(out, c, f, r);
    p = asked_put(p, f, r);
    p = outcome_put(p, r);
    p = LITERAL(p, "}\n");
    return (size_t)(p - out);
}
