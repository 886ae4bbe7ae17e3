/* SPDX-License-Identifier: GPL-3.0-or-later
 * texts.c - see texts.h.
 */
#include "modules/acme/texts.h"
#include "core/map.h"
#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAID_MOST = 600 };

struct shared {
    size_t takers;
    char text[];
};

static struct map shared; /* text -> struct shared * */

const char *text_take(const char *text) {
    struct shared *s = map_get(&shared, text);
    if (!s) {
        size_t size = strlen(text) + 1;
        s = calloc(1, sizeof *s + size);
        if (!s || !map_put(&shared, text, s)) {
            free(s);
            return NULL;
        }
        memcpy(s->text, text, size);
    }
    s->takers++;
    return s->text;
}

void text_give(const char *taken) {
    struct shared *s = taken ? map_get(&shared, taken) : NULL;
    if (!s || --s->takers)
        return;
    map_remove(&shared, taken);
    free(s);
}

void text_swap(const char **at, const char *text) {
    const char *taken = text_take(text);
    if (!taken)
        return;
    text_give(*at);
    *at = taken;
}

void texts_fini(void) {
    map_clear(&shared, free);
}

/* ---- lists ---- */

void texts_free(char **list, size_t count) {
    for (size_t i = 0; list && i < count; i++)
        free(list[i]);
    free(list);
}

char **texts_copy(const char *const *list, size_t count) {
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++)
        if (!(copy[i] = strdup(list[i]))) {
            texts_free(copy, i);
            return NULL;
        }
    return copy;
}

/* ---- said of one entry ---- */

void text_unsay(char **at) {
    free(*at);
    *at = NULL;
}

void text_say(char **at, const char *format, ...) {
    char text[SAID_MOST];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    text_mend(text, sizeof text);
    free(*at);
    *at = *text ? strdup(text) : NULL;
}

static bool is_text(const char *text) {
    json_t *value = json_string(text); /* judges it as whoever will take it */
    bool good = value;
    json_decref(value);
    return good;
}

void text_mend(char *text, size_t room) {
    static const char otherwise[] = "(not UTF-8)";
    enum { CUT_MOST = 3 };
    size_t length = strlen(text), cut = 0;
    while (cut < CUT_MOST && cut < length && !is_text(text)) {
        cut++;
        text[length - cut] = 0;
    }
    if (!is_text(text))
        snprintf(text, room, "%s", otherwise);
}
