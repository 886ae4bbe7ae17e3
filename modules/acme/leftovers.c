/* SPDX-License-Identifier: GPL-3.0-or-later
 * leftovers.c - see leftovers.h. A list: there are few, and mostly none.
 */
#include "modules/acme/leftovers.h"
#include "core/control_host.h"
#include "core/module.h"
#include "modules/acme/schedule.h"
#include "modules/acme/world.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_FIRST = 60, RETRY_MOST = 3 * SCHEDULE_HOUR, GIVEN_UP_AFTER = 3 * SCHEDULE_DAY };
static const char prefix[] = "acme/txt/";

struct kept {
    struct kept *next;
    struct leftover is;
    int64_t since, at;
    unsigned failures;
};

static struct kept *list;
static size_t count;
static bool busy; /* a thread has one */

static struct kept **find(const char *name, const char *text) {
    struct kept **at = &list;
    while (*at && (strcmp((*at)->is.name, name) || strcmp((*at)->is.text, text)))
        at = &(*at)->next;
    return at;
}

static void row_name(const struct leftover *l, char out[400]) {
    snprintf(out, 400, "%s%s/%s", prefix, l->name, l->text);
}

static void row_put(const struct kept *k) {
    char row[400], value[64];
    row_name(&k->is, row);
    snprintf(value, sizeof value, "{\"since\":%lld}", (long long)k->since);
    control_row_put(row, value);
}

static struct kept *kept_new(const char *name, size_t length, const char *text, int64_t since) {
    struct kept *k = length && length < sizeof k->is.name && strlen(text) < sizeof k->is.text
                         ? calloc(1, sizeof *k)
                         : NULL;
    if (!k)
        return NULL;
    memcpy(k->is.name, name, length);
    snprintf(k->is.text, sizeof k->is.text, "%s", text);
    k->since = since;
    k->at = world_now();
    k->next = list;
    list = k;
    count++;
    return k;
}

static void row_take(void *user, const char *key, const char *value) {
    const char *name = key + sizeof prefix - 1, *slash = strchr(name, '/');
    json_t *row = json_loads(value, 0, NULL);
    int64_t since = json_integer_value(json_object_get(row, "since"));
    (void)user;
    if (slash)
        kept_new(name, (size_t)(slash - name), slash + 1, since);
    json_decref(row);
}

void leftovers_open(void) {
    control_rows(prefix, row_take, NULL);
}

void leftovers_close(void) {
    while (list) {
        struct kept *k = list;
        list = k->next;
        free(k);
    }
    count = 0;
    busy = false;
}

void leftover_add(const char *name, const char *text) {
    struct kept *k = *find(name, text) ? NULL : kept_new(name, strlen(name), text, world_now());
    if (k)
        row_put(k);
}

void leftover_forget(const char *name, const char *text) {
    struct kept **at = find(name, text), *k = *at;
    char row[400];
    if (!k)
        return;
    row_name(&k->is, row);
    control_row_put(row, NULL);
    *at = k->next;
    free(k);
    count--;
}

bool leftover_take(int64_t now, struct leftover *ret, int64_t *ret_at) {
    const struct kept *best = busy ? NULL : list;
    for (const struct kept *k = best; k; k = k->next)
        if (k->at < best->at)
            best = k;
    *ret_at = best ? best->at : 0;
    if (!best || best->at > now)
        return false;
    *ret = best->is;
    busy = true;
    return true;
}

void leftover_tried(const struct leftover *l, const char *why, int64_t now) {
    struct kept *k = *find(l->name, l->text);
    busy = false;
    if (!k)
        return; /* wanted again meanwhile */
    bool given_up = why && now - k->since > GIVEN_UP_AFTER;
    if (given_up)
        log_write(1, "acme: _acme-challenge.%s TXT %s stays in its zone: %s", l->name, l->text,
                  why);
    if (given_up || !why) {
        leftover_forget(l->name, l->text);
        return;
    }
    int64_t wait = (int64_t)RETRY_FIRST << (k->failures < 8 ? k->failures : 8);
    k->at = now + (wait < RETRY_MOST ? wait : RETRY_MOST);
    k->failures++;
}

size_t leftovers_count(void) {
    return count;
}
