/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube_json.h - JSON in tests of modules/kube, written with ' for ".
 */
#pragma once
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline json_t *js(const char *text) {
    json_error_t error;
    char *copy = strdup(text);
    for (char *at = copy; *at; at++)
        if (*at == '\'')
            *at = '"';
    json_t *value = json_loads(copy, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!value)
        fail_msg("%s: %s", error.text, copy);
    free(copy);
    return value;
}

/* Takes the reference. */
static inline void assert_json(json_t *value, const char *text) {
    json_t *wanted = js(text);
    if (!json_equal(value, wanted)) {
        char *is = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
        char *should = json_dumps(wanted, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
        fail_msg("is     %s\nshould %s", is, should);
    }
    json_decref(value);
    json_decref(wanted);
}
