/* SPDX-License-Identifier: GPL-3.0-or-later
 * rows.c - reads and writes the rows of rows.h; nothing else knows that they are JSON.
 */
#include "tenants/rows.h"
#include "tenants/hostname.h"
#include <stdlib.h>
#include <string.h>

static const char *const prefixes[] = {[ROW_TENANT] = "tenant/",
                                       [ROW_GOOD] = "good/",
                                       [ROW_DOMAIN] = "domain/",
                                       [ROW_NAME] = "name/",
                                       [ROW_PORT] = "port/"};

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool kind_read(const char *key, struct row *row) {
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t length = strlen(prefixes[i]);
        if (strncmp(key, prefixes[i], length) || !key[length])
            continue;
        row->kind = (enum row_kind)i;
        row->name = key + length;
        return true;
    }
    return false;
}

static bool dns_name_good(const char *name) {
    const char *why;
    struct stash *stash = stash_new();
    const char *normal = hostname_normalise(stash, name, true, &why);
    bool good = normal && !strcmp(normal, name);
    stash_free(stash);
    return good;
}

static bool row_complete(struct row *row) {
    switch (row->kind) {
    case ROW_TENANT:
    case ROW_GOOD:
        row->tenant = row->name;
        return tenant_name_good(row->tenant) && (row->kind == ROW_GOOD || row->uid);
    case ROW_DOMAIN:
        return row->tenant && row->uid && dns_name_good(row->name) &&
               !hostname_is_wildcard(row->name);
    case ROW_NAME:
        return row->tenant && row->uid && row->ingress && dns_name_good(row->name);
    case ROW_PORT:
        row->number = (uint16_t)atoi(row->name);
        return row->number && row->slot;
    }
    return false;
}

bool row_read(const char *key, const char *value, struct row *ret) {
    struct row row = {0};
    if (!kind_read(key, &row) || !(row.value = json_loads(value, 0, NULL)))
        return false;
    row.tenant = text_of(row.value, "tenant");
    row.uid = text_of(row.value, "uid");
    row.ingress = text_of(row.value, "ingress");
    row.slot = text_of(row.value, "slot");
    row.until = json_integer_value(json_object_get(row.value, "until"));
    if (!row_complete(&row)) {
        json_decref(row.value);
        return false;
    }
    *ret = row;
    return true;
}

void row_fini(struct row *row) {
    json_decref(row->value);
}

void row_tenant(struct change *change, const struct entry *entry, int64_t now) {
    json_t *value = json_pack("{sssI}", "uid", entry->uid, "since", (json_int_t)now);
    char *dump = json_dumps(value, JSON_COMPACT);
    change_row(change, dump, "tenant/%s", entry->name);
    free(dump);
    json_decref(value);
}

/* ---- the last good drop ---- */

char *good_drop_text(const struct drop *drop) {
    json_t *sources = json_array(),
           *all = json_pack("{sbso}", "folder", drop->folder, "sources", sources);
    bool good = all != NULL;
    for (size_t i = 0; good && i < drop->source_count; i++) {
        const struct source *source = &drop->source[i];
        json_t *item = json_pack("{ssssss%}", "path", source->path, "name", source->name, "text",
                                 source->length ? source->text : "", source->length);
        good = item && !json_array_append_new(sources, item);
    }
    char *text = good ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

bool good_drop_read(const char *tenant, const char *text, struct good_drop *ret) {
    json_t *all = json_loads(text, 0, NULL), *sources = json_object_get(all, "sources"), *item;
    size_t i, count = json_array_size(sources);
    struct source *source = calloc(count + 1, sizeof *source);
    bool good = source && count;
    json_array_foreach(sources, i, item) {
        if (!good || !text_of(item, "path") || !text_of(item, "name") || !text_of(item, "text")) {
            good = false;
            break;
        }
        source[i] =
            (struct source){text_of(item, "path"), text_of(item, "name"), text_of(item, "text"),
                            json_string_length(json_object_get(item, "text"))};
    }
    if (!good) {
        free(source);
        json_decref(all);
        return false;
    }
    bool folder = json_is_true(json_object_get(all, "folder"));
    *ret = (struct good_drop){{tenant, folder, source, count}, source, all};
    return true;
}

void good_drop_fini(struct good_drop *good) {
    free(good->source);
    json_decref(good->value);
}
