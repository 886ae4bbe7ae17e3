/* SPDX-License-Identifier: GPL-3.0-or-later
 * fieldset.c - see fieldset.h.
 */
#include "modules/kube/fieldset.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- of objects ---- */

static const char self[] = ".";

static json_t *set_leaf(void) {
    return json_object();
}

static char *element(const char *prefix, const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY), *key = NULL;
    if (!text || asprintf(&key, "%s%s", prefix, text) < 0)
        key = NULL;
    free(text);
    return key;
}

char *fieldset_item(const struct part *part, const json_t *item) {
    if (part->form == PART_SET)
        return element("v:", item);
    if (!json_is_object(item))
        return NULL;
    json_t *keys = part_item_keys(part, item);
    char *key = element("k:", keys);
    json_decref(keys);
    return key;
}

static bool splits_into_fields(const struct part *part, const json_t *value) {
    return json_is_object(value) && json_object_size(value) && !(part && part->atomic);
}

static bool splits_into_items(const struct part *part, const json_t *value) {
    return json_is_array(value) && json_array_size(value) && part &&
           (part->form == PART_KEYED || part->form == PART_SET);
}

/* Element -> item, of a list that splits. New. */
static json_t *items_by_element(const struct part *part, const json_t *list) {
    json_t *items = json_object(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        char *key = fieldset_item(part, item);
        if (key)
            json_object_set(items, key, item);
        free(key);
    }
    return items;
}

static json_t *fields_changed(const json_t *before, const json_t *now, const struct shape *);

static json_t *items_changed(const struct part *part, const json_t *before, const json_t *now) {
    json_t *set = json_object(), *item, *now_items = items_by_element(part, now);
    json_t *before_items = json_is_array(before) ? items_by_element(part, before) : json_object();
    const char *key;
    json_object_foreach(now_items, key, item) {
        json_t *old = json_object_get(before_items, key);
        json_t *below =
            json_is_object(item) ? fields_changed(old, item, part_shape(part)) : set_leaf();
        if (!old && json_is_object(item))
            json_object_set_new(below, self, json_object());
        if (!old || json_object_size(below))
            json_object_set(set, key, below);
        json_decref(below);
    }
    json_decref(now_items);
    json_decref(before_items);
    return set;
}

/* The set below one field; NULL: nothing changed. */
static json_t *value_changed(const struct part *part, const json_t *before, const json_t *now) {
    json_t *set;
    if (splits_into_fields(part, now))
        set = fields_changed(before, now, part && part->form == PART_ONE ? part_shape(part) : NULL);
    else if (splits_into_items(part, now))
        set = items_changed(part, before, now);
    else
        return before && json_equal(before, now) ? NULL : set_leaf();
    if (json_object_size(set))
        return set;
    json_decref(set);
    return NULL;
}

static json_t *fields_changed(const json_t *before, const json_t *now, const struct shape *shape) {
    json_t *set = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)now, name, value) {
        json_t *below =
            value_changed(shape_part(shape, name), json_object_get(before, name), value);
        char *key = NULL;
        if (below && asprintf(&key, "f:%s", name) >= 0)
            json_object_set(set, key, below);
        free(key);
        json_decref(below);
    }
    return set;
}

json_t *fieldset_changed(const json_t *before, const json_t *now, const struct shape *shape) {
    return fields_changed(before, now, shape);
}

json_t *fieldset_of(const json_t *object, const struct shape *shape) {
    return fields_changed(NULL, object, shape);
}

/* ---- of sets ---- */

bool fieldset_member(const json_t *node) {
    return json_is_object(node) && (!json_object_size(node) || json_object_get(node, self));
}

bool fieldset_empty(const json_t *set) {
    return !json_object_size(set);
}

/* A node of the two sets' combination: itself, if `member`, and what is below; NULL: neither. Takes `below`. */
static json_t *node_make(bool member, json_t *below) {
    if (member && json_object_size(below))
        json_object_set_new(below, self, json_object());
    if (member || json_object_size(below))
        return below;
    json_decref(below);
    return NULL;
}

/* Which of the two must have a field for the combination to have it. */
typedef bool combine_fn(bool left, bool right);

static bool either(bool left, bool right) {
    return left || right;
}
static bool both(bool left, bool right) {
    return left && right;
}
static bool only_left(bool left, bool right) {
    return left && !right;
}

static json_t *combine(const json_t *left, const json_t *right, combine_fn *keep);

static void child_combine(json_t *set, const char *key, const json_t *left, const json_t *right,
                          combine_fn *keep) {
    const json_t *l = json_object_get(left, key), *r = json_object_get(right, key);
    json_t *node = node_make(keep(fieldset_member(l), fieldset_member(r)), combine(l, r, keep));
    if (node)
        json_object_set_new(set, key, node);
}

static json_t *combine(const json_t *left, const json_t *right, combine_fn *keep) {
    json_t *set = json_object(), *child;
    const char *key;
    json_object_foreach((json_t *)left, key, child) {
        if (strcmp(key, self) != 0)
            child_combine(set, key, left, right, keep);
    }
    json_object_foreach((json_t *)right, key, child) {
        if (strcmp(key, self) != 0 && !json_object_get(left, key))
            child_combine(set, key, left, right, keep);
    }
    return set;
}

json_t *fieldset_union(const json_t *left, const json_t *right) {
    return combine(left, right, either);
}

json_t *fieldset_intersect(const json_t *left, const json_t *right) {
    return combine(left, right, both);
}

json_t *fieldset_subtract(const json_t *left, const json_t *right) {
    return combine(left, right, only_left);
}

/* ---- as paths ---- */

static void keys_write(FILE *out, const char *text) {
    json_t *keys = json_loads(text, 0, NULL), *value;
    const char *name, *comma = "";
    fputc('[', out);
    json_object_foreach(keys, name, value) {
        char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        fprintf(out, "%s%s=%s", comma, name, shown ? shown : "");
        comma = ",";
        free(shown);
    }
    fputc(']', out);
    json_decref(keys);
}

static char *path_join(const char *path, const char *key) {
    char *joined = NULL;
    size_t length;
    FILE *out = open_memstream(&joined, &length);
    if (!out)
        return NULL;
    fputs(path, out);
    if (!strncmp(key, "f:", 2))
        fprintf(out, ".%s", key + 2);
    else if (!strncmp(key, "k:", 2))
        keys_write(out, key + 2);
    else if (!strncmp(key, "v:", 2))
        fprintf(out, "[=%s]", key + 2);
    else
        fprintf(out, "[%s]", key);
    fclose(out);
    return joined;
}

static void set_walk(const json_t *set, const char *path, void (*visit)(void *, const char *),
                     void *user) {
    const char *key;
    json_t *child;
    json_object_foreach((json_t *)set, key, child) {
        char *joined = strcmp(key, self) != 0 ? path_join(path, key) : NULL;
        if (joined && fieldset_member(child))
            visit(user, joined);
        if (joined)
            set_walk(child, joined, visit, user);
        free(joined);
    }
}

void fieldset_each(const json_t *set, void (*visit)(void *user, const char *path), void *user) {
    set_walk(set, "", visit, user);
}
