/* SPDX-License-Identifier: GPL-3.0-or-later
 * apply.c - see apply.h. Kept to what upstream promises: the sets are exact, the order of lists is live's with the new at the
 * end.
 */
#include "modules/kube/apply.h"
#include "modules/kube/fieldset.h"
#include "modules/kube/patch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- managedFields ---- */

/* What nobody owns: it is the server's, or names the object. */
static json_t *fields_unowned(void) {
    return json_pack("{s:{}, s:{}, s:{s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, "
                     "s:{}}}",
                     "f:apiVersion", "f:kind", "f:metadata", ".", "f:name", "f:namespace",
                     "f:creationTimestamp", "f:deletionTimestamp", "f:deletionGracePeriodSeconds",
                     "f:selfLink", "f:uid", "f:generation", "f:managedFields", "f:resourceVersion");
}

static json_t *owned(json_t *set) {
    json_t *unowned = fields_unowned(), *left = fieldset_subtract(set, unowned);
    json_decref(unowned);
    json_decref(set);
    return left;
}

static const char *text_of(const json_t *entry, const char *key) {
    const char *text = json_string_value(json_object_get(entry, key));
    return text ? text : "";
}

static bool entry_is(const json_t *entry, const char *manager, const char *operation) {
    return !strcmp(text_of(entry, "manager"), manager) &&
           !strcmp(text_of(entry, "operation"), operation) && !*text_of(entry, "subresource");
}

static json_t *entry_set(const json_t *entry) {
    return json_object_get(entry, "fieldsV1");
}

static json_t *entry_new(const struct author *author, const char *operation, json_t *set) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "manager", author->manager, "operation",
                     operation, "apiVersion", author->api_version, "time", author->time,
                     "fieldsType", "FieldsV1", "fieldsV1", set);
}

static json_t *managed_of(const json_t *object) {
    return json_object_get(json_object_get(object, "metadata"), "managedFields");
}

/* A list of entries of its own, without what is no entry. New. */
static json_t *entries_copy(const json_t *managed) {
    json_t *entries = json_array(), *entry;
    size_t i, depth;
    json_array_foreach(managed, i, entry) {
        const json_t *set = entry_set(entry);
        if (json_array_size(entries) < MANAGERS_MAX && json_is_object(set) &&
            tree_measure(set, &depth) && depth <= PATCH_DEPTH && *text_of(entry, "manager"))
            json_array_append_new(entries, json_deep_copy(entry));
    }
    return entries;
}

/* Takes `entries` and the place of what the object had. */
static void managed_set(json_t *object, json_t *entries) {
    json_t *metadata = json_object_get(object, "metadata");
    if (!metadata) {
        metadata = json_object();
        json_object_set_new(object, "metadata", metadata);
    }
    if (json_array_size(entries))
        json_object_set(metadata, "managedFields", entries);
    else
        json_object_del(metadata, "managedFields");
    json_decref(entries);
}

/* The entry's set becomes this one; without any field the entry goes. Its time moves only with its set. Takes `set`. */
static void entry_put(json_t *entries, const struct author *author, const char *operation,
                      json_t *set) {
    json_t *entry;
    size_t i, count = json_array_size(entries);
    for (i = 0; i < count; i++)
        if (entry_is(json_array_get(entries, i), author->manager, operation))
            break;
    entry = json_array_get(entries, i);
    bool same = entry && json_equal(entry_set(entry), set) &&
                !strcmp(text_of(entry, "apiVersion"), author->api_version);
    if (fieldset_empty(set) || same) {
        if (entry && !same)
            json_array_remove(entries, i);
        json_decref(set);
    } else if (entry) {
        json_array_set_new(entries, i, entry_new(author, operation, set));
    } else if (count < MANAGERS_MAX) {
        json_array_append_new(entries, entry_new(author, operation, set));
    } else { /* the oldest is forgotten: its fields are nobody's */
        json_array_remove(entries, 0);
        json_array_append_new(entries, entry_new(author, operation, set));
    }
}

/* Everybody but this one loses those fields. */
static void others_lose(json_t *entries, const struct author *author, const char *operation,
                        const json_t *fields) {
    for (size_t i = json_array_size(entries); i-- > 0;) {
        json_t *entry = json_array_get(entries, i);
        if (entry_is(entry, author->manager, operation))
            continue;
        json_t *left = fieldset_subtract(entry_set(entry), fields);
        if (fieldset_empty(left))
            json_array_remove(entries, i);
        else
            json_object_set(entry, "fieldsV1", left);
        json_decref(left);
    }
}

/* What everybody but this one owns. New. */
static json_t *others_own(const json_t *entries, const struct author *author,
                          const char *operation) {
    json_t *all = json_object(), *entry;
    size_t i;
    json_array_foreach(entries, i, entry) {
        if (entry_is(entry, author->manager, operation))
            continue;
        json_t *more = fieldset_union(all, entry_set(entry));
        json_decref(all);
        all = more;
    }
    return all;
}

static json_t *own_set(const json_t *entries, const struct author *author, const char *operation) {
    json_t *entry;
    size_t i;
    json_array_foreach(entries, i, entry) {
        if (entry_is(entry, author->manager, operation))
            return entry_set(entry);
    }
    return NULL;
}

/* ---- merging ---- */

static json_t *fields_merge(const json_t *live, const json_t *config, const struct shape *);

static json_t *items_merge(const struct part *part, const json_t *live, const json_t *config) {
    json_t *list = json_copy((json_t *)live), *places = json_object(), *item;
    size_t i;
    json_array_foreach(live, i, item) {
        char *key = fieldset_item(part, item);
        if (key)
            json_object_set_new(places, key, json_integer((json_int_t)i));
        free(key);
    }
    json_array_foreach(config, i, item) {
        char *key = fieldset_item(part, item);
        const json_t *place = key ? json_object_get(places, key) : NULL;
        size_t at = (size_t)json_integer_value(place);
        free(key);
        if (!place)
            json_array_append(list, item);
        else if (json_is_object(item))
            json_array_set_new(list, at,
                               fields_merge(json_array_get(list, at), item, part_shape(part)));
    }
    json_decref(places);
    return list;
}

static json_t *value_merge(const struct part *part, json_t *live, json_t *config) {
    if (json_is_object(live) && json_is_object(config) && !(part && part->atomic))
        return fields_merge(live, config, part && part->form == PART_ONE ? part_shape(part) : NULL);
    if (json_is_array(live) && json_is_array(config) && part &&
        (part->form == PART_KEYED || part->form == PART_SET))
        return items_merge(part, live, config);
    return json_incref(config);
}

static json_t *fields_merge(const json_t *live, const json_t *config, const struct shape *shape) {
    json_t *merged = json_is_object(live) ? json_copy((json_t *)live) : json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)config, name, value) {
        json_object_set_new(
            merged, name,
            value_merge(shape_part(shape, name), json_object_get(merged, name), value));
    }
    return merged;
}

/* ---- taking back what is applied no more ---- */

static void fields_prune(json_t *object, const json_t *gone, const struct shape *);

static bool is_container(const json_t *value, const struct part *part) {
    bool items = part && (part->form == PART_KEYED || part->form == PART_SET);
    return (json_is_object(value) && !(part && part->atomic)) || (json_is_array(value) && items);
}

static bool is_hollow(const json_t *value) {
    return (json_is_object(value) && !json_object_size(value)) ||
           (json_is_array(value) && !json_array_size(value));
}

static void items_prune(json_t *list, const json_t *gone, const struct part *part) {
    for (size_t i = json_array_size(list); i-- > 0;) {
        json_t *item = json_array_get(list, i);
        char *key = fieldset_item(part, item);
        json_t *node = key ? json_object_get(gone, key) : NULL;
        bool whole = fieldset_member(node);
        free(key);
        if (whole)
            json_array_remove(list, i);
        else if (node)
            fields_prune(item, node, part_shape(part));
    }
}

static void fields_prune(json_t *object, const json_t *gone, const struct shape *shape) {
    const char *key;
    json_t *node;
    json_object_foreach((json_t *)gone, key, node) {
        if (strncmp(key, "f:", 2) != 0)
            continue;
        const struct part *part = shape_part(shape, key + 2);
        json_t *value = json_object_get(object, key + 2);
        bool container = is_container(value, part);
        if (container && json_is_object(value))
            fields_prune(value, node, part && part->form == PART_ONE ? part_shape(part) : NULL);
        else if (container)
            items_prune(value, node, part);
        if (value && (container ? is_hollow(value) : fieldset_member(node)))
            json_object_del(object, key + 2);
    }
}

/* ---- what is applied ---- */

static json_t *nulls_drop(const json_t *value) {
    const char *name;
    json_t *child, *copy;
    size_t i;
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach(value, i, child) {
            json_array_append_new(copy, nulls_drop(child));
        }
        return copy;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    copy = json_object();
    json_object_foreach((json_t *)value, name, child) {
        if (!json_is_null(child))
            json_object_set_new(copy, name, nulls_drop(child));
    }
    return copy;
}

static bool fields_check(const json_t *object, const struct shape *, const char *path,
                         struct fault *);

/* Keyed lists: each item has its keys, and no two have the same. */
static bool items_check(const struct part *part, const json_t *list, const char *path,
                        struct fault *fault) {
    json_t *seen = json_object(), *item;
    bool good = true;
    size_t i;
    json_array_foreach(list, i, item) {
        const char *lacking = part->key[0].name;
        char *key = part->form == PART_KEYED ? part_item_key(part, item, PART_KEYS_MAX, &lacking)
                                             : fieldset_item(part, item);
        if (!key)
            good = fault_set(fault, 400, "BadRequest",
                             "%s: element %zu: associative list with keys has an element that "
                             "omits key field \"%s\"",
                             path, i, lacking);
        else if (json_object_get(seen, key))
            good =
                fault_set(fault, 400, "BadRequest", "%s: duplicate entries for key %s", path, key);
        if (key)
            json_object_set_new(seen, key, json_true());
        free(key);
        good = good && (!json_is_object(item) || fields_check(item, part_shape(part), path, fault));
        if (!good)
            break;
    }
    json_decref(seen);
    return good;
}

static bool fields_check(const json_t *object, const struct shape *shape, const char *path,
                         struct fault *fault) {
    const char *name;
    json_t *value;
    bool good = true;
    json_object_foreach((json_t *)object, name, value) {
        const struct part *part = shape_part(shape, name);
        char *below = NULL;
        if (!part || !good || asprintf(&below, "%s.%s", path, name) < 0)
            continue;
        if (part->form == PART_ONE && json_is_object(value))
            good = fields_check(value, part_shape(part), below, fault);
        else if ((part->form == PART_KEYED || part->form == PART_SET) && json_is_array(value))
            good = items_check(part, value, below, fault);
        free(below);
    }
    return good;
}

static bool config_good(const json_t *config, const struct shape *shape, struct fault *fault) {
    size_t depth, nodes = tree_measure(config, &depth);
    if (!json_is_object(config))
        return fault_set(fault, 400, "BadRequest", "what is applied must be an object");
    if (depth > PATCH_DEPTH || nodes > PATCH_NODES)
        return fault_set(fault, 400, "BadRequest",
                         "what is applied is nested deeper than %d, or "
                         "has more than %d values",
                         PATCH_DEPTH, PATCH_NODES);
    if (json_array_size(managed_of(config)))
        return fault_set(fault, 400, "BadRequest", "metadata.managedFields must be nil");
    return fields_check(config, shape, "", fault);
}

/* ---- conflicts ---- */

struct conflicts {
    struct fault *fault;
    const json_t *entry; /* whose fields are being listed */
    FILE *list;          /* "- .spec.type" each, headed by their manager */
    size_t count;
    char *only; /* owned: the sentence, should there be just this one */
};

/* `"kubectl-edit" using v1 at 2026-01-01T00:00:00Z` */
static void manager_print(FILE *out, const json_t *entry) {
    fprintf(out, "\"%s\"", text_of(entry, "manager"));
    if (*text_of(entry, "subresource"))
        fprintf(out, " with subresource \"%s\"", text_of(entry, "subresource"));
    if (strcmp(text_of(entry, "operation"), "Update") != 0)
        return;
    fprintf(out, " using %s", text_of(entry, "apiVersion"));
    if (*text_of(entry, "time"))
        fprintf(out, " at %s", text_of(entry, "time"));
}

static char *manager_text(const json_t *entry) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    manager_print(out, entry);
    fclose(out);
    return text;
}

static void conflict_add(void *user, const char *path) {
    struct conflicts *c = user;
    char *manager = manager_text(c->entry);
    fault_cause(c->fault, "FieldManagerConflict", path, "conflict with %s", manager);
    if (!c->count++ && asprintf(&c->only, "conflict with %s: %s", manager, path) < 0)
        c->only = NULL;
    fprintf(c->list, "\n- %s", path);
    free(manager);
}

/* What the managers' sets have in common with `changed`, as upstream's 409. True: nothing. */
static bool conflicts_none(const json_t *entries, const struct author *author,
                           const json_t *changed, struct fault *fault) {
    char *text = NULL;
    size_t length, i;
    struct conflicts c = {.fault = fault, .list = open_memstream(&text, &length)};
    json_t *entry;
    json_array_foreach(entries, i, entry) {
        json_t *common = entry_is(entry, author->manager, "Apply")
                             ? json_object()
                             : fieldset_intersect(entry_set(entry), changed);
        if (!fieldset_empty(common)) {
            char *manager = manager_text(c.entry = entry);
            fprintf(c.list, "%sconflicts with %s:", c.count ? "\n" : "", manager);
            fieldset_each(common, conflict_add, &c);
            free(manager);
        }
        json_decref(common);
    }
    fclose(c.list);
    if (c.count == 1)
        fault_set(fault, 409, "Conflict", "Apply failed with 1 conflict: %s", c.only);
    else if (c.count)
        fault_set(fault, 409, "Conflict", "Apply failed with %zu conflicts: %s", c.count, text);
    free(c.only);
    free(text);
    return !c.count;
}

/* ---- the two ways to write ---- */

/* An object that nobody has owned so far belongs, as a whole, to whoever wrote it before the first apply. */
static void first_owner(json_t *entries, const json_t *live, const struct shape *shape,
                        const struct author *author) {
    const struct author before = {"before-first-apply", author->api_version, author->time};
    if (!json_array_size(entries))
        entry_put(entries, &before, "Update", owned(fieldset_of(live, shape)));
}

/* Of the metadata, what names the object and what the server keeps is live's. */
static void metadata_keep(const json_t *live, json_t *merged) {
    static const char *const kept[] = {"uid",
                                       "resourceVersion",
                                       "generation",
                                       "selfLink",
                                       "creationTimestamp",
                                       "deletionTimestamp",
                                       "namespace",
                                       "name"};
    json_t *metadata = json_object_get(merged, "metadata");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *value = json_object_get(json_object_get(live, "metadata"), kept[i]);
        if (value)
            json_object_set(metadata, kept[i], value);
    }
}

bool apply_server_side(const json_t *live, const json_t *config, const struct shape *shape,
                       const struct author *author, bool force, struct fault *fault, json_t **ret) {
    if (!config_good(config, shape, fault))
        return false;
    json_t *wanted = nulls_drop(config), *entries = entries_copy(managed_of(live));
    json_object_del(json_object_get(wanted, "metadata"), "managedFields");
    if (live)
        first_owner(entries, live, shape, author);
    json_t *set = owned(fieldset_of(wanted, shape)), *shared = fields_merge(live, wanted, shape);
    json_t *merged = json_deep_copy(shared); /* from here on it is changed */
    json_t *changed = owned(fieldset_changed(live, merged, shape));
    json_t *gone = fieldset_subtract(own_set(entries, author, "Apply"), set);
    bool good = force || conflicts_none(entries, author, changed, fault);
    if (good) {
        json_t *others = others_own(entries, author, "Apply");
        json_t *unclaimed = fieldset_subtract(gone, others);
        fields_prune(merged, unclaimed, shape);
        json_decref(unclaimed);
        json_decref(others);
        others_lose(entries, author, "Apply", changed);
        entry_put(entries, author, "Apply", json_incref(set));
        if (live)
            metadata_keep(live, merged);
        managed_set(merged, json_incref(entries));
        *ret = json_incref(merged);
    }
    json_decref(gone);
    json_decref(changed);
    json_decref(merged);
    json_decref(shared);
    json_decref(set);
    json_decref(entries);
    json_decref(wanted);
    return good;
}

void apply_track(const json_t *live, json_t *object, const struct shape *shape,
                 const struct author *author) {
    json_t *brought = managed_of(object);
    json_t *entries = entries_copy(json_is_array(brought) ? brought : managed_of(live));
    json_t *empty = json_object();
    json_t *changed = owned(fieldset_changed(live, object, shape));
    json_t *was = live ? owned(fieldset_of(live, shape)) : json_object();
    json_t *is = owned(fieldset_of(object, shape));
    json_t *gone = fieldset_subtract(was, is), *touched = fieldset_union(changed, gone);
    const json_t *own = own_set(entries, author, "Update");
    json_t *more = fieldset_union(own ? own : empty, changed),
           *left = fieldset_subtract(more, gone);
    others_lose(entries, author, "Update", touched);
    entry_put(entries, author, "Update", json_incref(left));
    managed_set(object, entries);
    json_decref(left);
    json_decref(more);
    json_decref(touched);
    json_decref(gone);
    json_decref(is);
    json_decref(was);
    json_decref(changed);
    json_decref(empty);
}
