/* SPDX-License-Identifier: GPL-3.0-or-later
 * head.c - the bytes of a head, and the fields in them, see head.h. Pure.
 */
#include "modules/http/head.h"
#include "modules/http/field.h"

bool head_put_number(struct head *h, uint64_t n) {
    char digits[20];
    size_t at = sizeof digits;
    for (; n > UINT32_MAX; n /= 10)
        digits[--at] = (char)('0' + n % 10);
    uint32_t rest = (uint32_t)n; /* nearly always all of it, and cheaper to divide */
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    return head_put(h, digits + at, sizeof digits - at);
}

bool head_insert(struct head *h, uint32_t at, const void *data, size_t length) {
    if (!head_reserve(h, length))
        return false;
    memmove(h->data + at + length, h->data + at, h->used - at);
    memcpy(h->data + at, data, length);
    h->used += (uint32_t)length;
    return true;
}

bool head_next(const struct head *h, uint32_t at, struct head_field *ret) {
    if (at >= h->used)
        return false;
    const uint8_t *line = h->data + at;
    const uint8_t *colon = memchr(line, ':', h->used - at);
    const uint8_t *end = colon ? memchr(colon, '\n', h->used - (uint32_t)(colon - h->data)) : NULL;
    if (!end)
        return false;
    *ret = (struct head_field){.at = at,
                               .end = (uint32_t)(end + 1 - h->data),
                               .name_length = (uint32_t)(colon - line),
                               .value_at = (uint32_t)(colon + 2 - h->data),
                               .value_length = (uint32_t)(end - 1 - (colon + 2))};
    return true;
}

bool head_find(const struct head *h, uint32_t from, const char *lower, size_t length,
               struct head_field *ret) {
    struct head_field f;
    for (; head_next(h, from, &f); from = f.end)
        if (field_is(h->data + f.at, f.name_length, lower, length)) {
            *ret = f;
            return true;
        }
    return false;
}

unsigned head_remove(struct head *h, uint32_t from, const char *lower, size_t length) {
    struct head_field f;
    unsigned removed = 0;
    for (; head_find(h, from, lower, length, &f); removed++) {
        memmove(h->data + f.at, h->data + f.end, h->used - f.end);
        h->used -= f.end - f.at;
        from = f.at;
    }
    return removed;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t';
}

bool list_next(const uint8_t **at, const uint8_t *end, const uint8_t **ret, size_t *ret_length) {
    const uint8_t *from = *at;
    while (from < end && (is_space(*from) || *from == ','))
        from++;
    if (from == end)
        return false;
    const uint8_t *stop = memchr(from, ',', (size_t)(end - from));
    *at = stop = stop ? stop : end;
    while (stop > from && is_space(stop[-1]))
        stop--;
    *ret = from;
    *ret_length = (size_t)(stop - from);
    return true;
}
