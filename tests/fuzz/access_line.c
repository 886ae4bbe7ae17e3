/* SPDX-License-Identifier: GPL-3.0-or-later
 * access_line.c - fuzz target: whatever clients put into a request, its line in the access log is one line of JSON with every field,
 * no longer than it may be, and text that is UTF-8 and fits says what it said.
 *
 *   input: its pieces between 0xff 0x00 are the texts of the line, in turn; its first byte chooses type, status and error
 */
#include "core/access_line.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXTS = 12, FIELDS = 28, SHORT = 32 / 6 };

static void must(bool truth) {
    if (!truth)
        abort();
}

/* The next piece, as a string of its own; NULL: there is none. */
static char *piece_take(const uint8_t **data, size_t *size, size_t *ret_length) {
    const uint8_t *end = memmem(*data, *size, "\xff", 2);
    size_t length = end ? (size_t)(end - *data) : *size, skip = end ? length + 2 : length;
    *ret_length = length;
    if (!*size)
        return NULL;
    char *text = malloc(length + 1);
    must(text);
    memcpy(text, *data, length);
    text[length] = 0;
    *data += skip;
    *size -= skip;
    return text;
}

static void told_as_it_was(const json_t *line, const char *key, const struct access_text *t) {
    const json_t *value = json_object_get(line, key);
    must(value);
    if (!t->text) {
        must(json_is_null(value));
        return;
    }
    json_t *same = json_stringn(t->text, t->length); /* NULL: it is no UTF-8 */
    must(json_is_string(value));
    if (same && t->length <= SHORT)
        must(json_equal(same, value));
    json_decref(same);
}

static void line_check(const char *line, size_t length, const struct access_record *r) {
    must(length <= ACCESS_LINE_MAX && memchr(line, '\n', length) == line + length - 1);
    json_t *parsed = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    must(parsed && json_object_size(parsed) == FIELDS);
    told_as_it_was(parsed, "host", &r->host);
    told_as_it_was(parsed, "method", &r->method);
    told_as_it_was(parsed, "path", &r->path);
    told_as_it_was(parsed, "query", &r->query);
    told_as_it_was(parsed, "sni", &r->sni);
    told_as_it_was(parsed, "request_id", &r->request_id);
    json_decref(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text[TEXTS], line[ACCESS_LINE_MAX];
    size_t length[TEXTS];
    static struct access_clock clock;
    if (!size)
        return 0;
    struct access_record r = {.size = sizeof r,
                              .type = data[0] % 3,
                              .error = data[0] % ACCESS_ERRORS_COUNT,
                              .status = (uint16_t)(data[0] << 2),
                              .begun_us = (int64_t)size};
    struct access_facts facts = {.query = true, .tls = "", .now_us = (int64_t)size};
    data++, size--;
    for (int i = 0; i < TEXTS; i++)
        text[i] = piece_take(&data, &size, &length[i]);
    struct access_text *const texts[] = {&r.path, &r.host,       &r.query,  &r.method,
                                         &r.sni,  &r.request_id, &r.client, &r.protocol};
    for (int i = 0; i < 8; i++)
        *texts[i] = (struct access_text){text[i], length[i]};
    facts.tenant = text[8];
    r.ingress = text[9];
    r.rule = text[10];
    r.service = r.pod = r.detail = text[11];
    line_check(line, access_line(line, &clock, &facts, &r), &r);
    for (int i = 0; i < TEXTS; i++)
        free(text[i]);
    return 0;
}
