/* SPDX-License-Identifier: GPL-3.0-or-later
 * page.c - see page.h.
 */
#include "modules/kube/page.h"
#include "modules/kube/renew.h"
#include "modules/kube/status.h"
#include <stdlib.h>
#include <string.h>

static bool number_read(const char *text, uint64_t *ret) {
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 19 || text[digits])
        return false;
    *ret = strtoull(text, NULL, 10);
    return true;
}

/* The name that the last page ended with; NULL: it is no token of ours. */
static const char *token_read(const char *token, uint64_t *ret_version) {
    const char *slash = strchr(token, '/');
    char digits[24];
    if (!slash || (size_t)(slash - token) >= sizeof digits)
        return NULL;
    snprintf(digits, sizeof digits, "%.*s", (int)(slash - token), token);
    return number_read(digits, ret_version) ? slash + 1 : NULL;
}

json_t *page_continue(const struct page *p, const char *name) {
    return json_sprintf("%llu/%s", (unsigned long long)p->version, name);
}

/* ---- what was ---- */

/* An object as the first change since left it is what that change found. */
static void change_note(struct page *p, const struct change *c) {
    json_t *object = blob_json(c->before ? c->before : c->after);
    const char *name = object_name(object);
    union { /* the map's values are not const */
        const struct change *change;
        void *value;
    } u = {c};
    if (!map_get(&p->changed, name) && !map_put(&p->changed, name, u.value))
        abort();
    json_decref(object);
}

static bool changes_note(struct page *p, const struct follow *f, const struct kube_kind *kind) {
    uint64_t serial;
    if (!follow_log_at(f, p->version, &serial))
        return false;
    for (; serial < f->end; serial++)
        if (follow_log(f, serial)->kind == kind)
            change_note(p, follow_log(f, serial));
    return true;
}

static void row_add(struct page *p, const char *after, const char *name, struct blob *object) {
    if (object && (!after || strcmp(name, after) > 0))
        p->row[p->count++] = (struct page_row){name, object};
}

static int row_order(const void *left, const void *right) {
    const struct page_row *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static void rows_add(struct page *p, const struct follow *f, const struct kube_kind *kind,
                     const char *after) {
    if (!(p->row = calloc(f->count + p->changed.count + 1, sizeof *p->row)))
        abort();
    for (size_t i = 0; i < f->count; i++) {
        const char *name = f->list[i]->key + strlen(f->list[i]->kind->kind) + 1;
        if (f->list[i]->kind == kind && !map_get(&p->changed, name))
            row_add(p, after, name, f->list[i]->object);
    }
    for (size_t i = 0; i < p->changed.room; i++)
        if (p->changed.slot[i].key)
            row_add(p, after, p->changed.slot[i].key,
                    ((const struct change *)p->changed.slot[i].value)->before);
    if (p->count)
        qsort(p->row, p->count, sizeof *p->row, row_order);
}

/* ---- the whole ---- */

static bool refuse(json_t **ret, const char *reason, const char *message) {
    *ret =
        status_failure(!strcmp(reason, "Expired") ? 410 : 400, reason, NULL, NULL, "%s", message);
    return false;
}

bool page_begin(const struct follow *f, const struct kube_kind *kind, const struct target *t,
                struct page *ret, json_t **ret_status) {
    const char *limit = target_query(t, "limit"), *token = target_query(t, "continue");
    const char *version = target_query(t, "resourceVersion"), *after = NULL;
    const char *match = target_query(t, "resourceVersionMatch");
    uint64_t most = 0, wanted = 0;
    *ret = (struct page){.version = f->version};
    if (version && *version && !number_read(version, &wanted))
        return refuse(ret_status, "BadRequest", "resourceVersion: invalid value");
    if (match && !strcmp(match, "Exact") && wanted != f->version)
        return refuse(ret_status, "Expired",
                      "The resourceVersion for the provided list is too old.");
    if (wanted > f->version && wanted > version_last()) {
        *ret_status = status_failure(504, "Timeout", NULL, NULL,
                                     "Too large resource version: %llu, current: %llu",
                                     (unsigned long long)wanted, (unsigned long long)f->version);
        return false;
    }
    if (limit && *limit && !number_read(limit, &most))
        return refuse(ret_status, "BadRequest", "limit: invalid value");
    ret->limit = most;
    if (token && *token) {
        if (version && *version && strcmp(version, "0"))
            return refuse(ret_status, "BadRequest",
                          "specifying resource version is not allowed when using continue");
        if (!(after = token_read(token, &ret->version)))
            return refuse(ret_status, "BadRequest", "continue key is not valid");
        if (!changes_note(ret, f, kind))
            return refuse(ret_status, "Expired",
                          "The provided continue parameter is too old to display a consistent "
                          "list result. You must start a new list without the continue parameter");
    }
    rows_add(ret, f, kind, after);
    return true;
}

void page_hold(struct page *p) {
    for (size_t i = 0; i < p->count; i++)
        p->row[i] = (struct page_row){NULL, blob_ref(p->row[i].object)};
    p->held = true;
    map_fini(&p->changed);
}

size_t page_bytes(const struct page *p) {
    size_t sum = 0;
    for (size_t i = 0; i < p->count; i++)
        sum += p->row[i].object->length;
    return sum;
}

void page_fini(struct page *p) {
    for (size_t i = 0; p->held && i < p->count; i++)
        blob_unref(p->row[i].object);
    map_fini(&p->changed);
    free(p->row);
    *p = (struct page){0};
}
