/* SPDX-License-Identifier: GPL-3.0-or-later
 * patch_merge.c - patches that look like the object: RFC 7386, and upstream's strategic merge, which knows by the shape which
 * lists have keys.
 *
 *   strategic:  a map's own directives ($patch, $retainKeys)
 *               then each field: null deletes, maps merge, keyed lists merge by key, the rest is replaced
 *               then the lists that have an order to keep ($setElementOrder/NAME)
 *
 * Lists are matched by a table of their keys: work grows with the size of patch and object, not with their product.
 */
#include "modules/kube/patch.h"
#include <stdlib.h>
#include <string.h>

static const char directive[] = "$patch", retain[] = "$retainKeys";
static const char order_prefix[] = "$setElementOrder/",
                  prune_prefix[] = "$deleteFromPrimitiveList/";

static bool patch_bounded(const json_t *object, const json_t *patch, struct fault *fault) {
    size_t object_depth, patch_depth;
    size_t nodes = tree_measure(object, &object_depth) + tree_measure(patch, &patch_depth);
    if (!json_is_object(patch))
        return fault_set(fault, 400, "BadRequest", "the patch must be an object");
    if (object_depth > PATCH_DEPTH || patch_depth > PATCH_DEPTH)
        return fault_set(fault, 400, "BadRequest", "nested deeper than %d", PATCH_DEPTH);
    return nodes <= PATCH_NODES ||
           fault_set(fault, 413, "RequestEntityTooLarge",
                     "object and patch have more than %d values", PATCH_NODES);
}

/* ---- RFC 7386 ---- */

static json_t *merge(const json_t *target, const json_t *patch) {
    const char *key;
    json_t *value;
    if (!json_is_object(patch))
        return json_deep_copy(patch);
    json_t *merged = json_is_object(target) ? json_copy((json_t *)target) : json_object();
    json_object_foreach((json_t *)patch, key, value) {
        if (json_is_null(value))
            json_object_del(merged, key);
        else
            json_object_set_new(merged, key, merge(json_object_get(merged, key), value));
    }
    return merged;
}

bool patch_merge(const json_t *object, const json_t *patch, struct fault *fault, json_t **ret) {
    if (!patch_bounded(object, patch, fault))
        return false;
    json_t *merged = merge(object, patch);
    *ret = json_deep_copy(merged); /* nothing of it is the old object's */
    json_decref(merged);
    return true;
}

/* ---- strategic: what a patch says that is not the object's ---- */

static bool starts_with(const char *text, const char *prefix, const char **ret_rest) {
    size_t length = strlen(prefix);
    *ret_rest = text + length;
    return !strncmp(text, prefix, length);
}

static bool is_directive(const char *key) {
    const char *rest;
    return !strcmp(key, directive) || !strcmp(key, retain) ||
           starts_with(key, order_prefix, &rest) || starts_with(key, prune_prefix, &rest);
}

static bool wants(const json_t *item, const char *what) {
    const char *text = json_string_value(json_object_get(item, directive));
    return text && !strcmp(text, what);
}

/* A value of the patch as it goes into the object: without directives and nulls. NULL: it is one itself (`$patch: delete`). */
static json_t *value_clean(const json_t *value) {
    const char *key;
    json_t *child, *clean;
    size_t i;
    if (wants(value, "delete"))
        return NULL;
    if (json_is_object(value)) {
        clean = json_object();
        json_object_foreach((json_t *)value, key, child) {
            json_t *copy = is_directive(key) || json_is_null(child) ? NULL : value_clean(child);
            if (copy)
                json_object_set_new(clean, key, copy);
        }
        return clean;
    }
    if (!json_is_array(value))
        return json_deep_copy(value);
    clean = json_array();
    json_array_foreach(value, i, child) {
        json_t *copy = json_object_get(child, directive) ? NULL : value_clean(child);
        if (copy)
            json_array_append_new(clean, copy);
    }
    return clean;
}

static void value_take(json_t *merged, const char *key, const json_t *value) {
    json_t *copy = json_is_null(value) ? NULL : value_clean(value);
    if (copy)
        json_object_set_new(merged, key, copy);
    else
        json_object_del(merged, key);
}

/* ---- strategic: lists ---- */

static json_t *map_merge(const json_t *original, const json_t *patch, const struct shape *,
                         struct fault *);

/* What tells an item of this list apart: the text of its key, or of itself. malloc'd; NULL: *fault. */
static char *item_text(const struct part *part, const json_t *item, struct fault *fault) {
    const char *lacking = "";
    char *text = part && part->form == PART_KEYED
                     ? part_item_key(part, item, 1, &lacking)
                     : json_dumps(item, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    if (!text) {
        char *shown = json_dumps(item, JSON_COMPACT | JSON_ENCODE_ANY);
        fault_set(fault, 400, "BadRequest", "map: %.500s does not contain declared merge key: %s",
                  shown ? shown : "", lacking);
        free(shown);
    }
    return text;
}

/* Text of each item, in its place. NULL: *fault. */
static json_t *list_texts(const struct part *part, const json_t *list, struct fault *fault) {
    json_t *texts = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        char *text = item_text(part, item, fault);
        if (!text) {
            json_decref(texts);
            return NULL;
        }
        json_array_append_new(texts, json_string(text));
        free(text);
    }
    return texts;
}

/* Text of each item -> its (first) place. NULL: *fault. */
static json_t *list_index(const struct part *part, const json_t *list, struct fault *fault) {
    json_t *texts = list_texts(part, list, fault), *index = texts ? json_object() : NULL, *text;
    size_t i;
    json_array_foreach(texts, i, text) {
        if (!json_object_get(index, json_string_value(text)))
            json_object_set_new(index, json_string_value(text), json_integer((json_int_t)i));
    }
    json_decref(texts);
    return index;
}

static json_int_t index_of(const json_t *index, const char *text) {
    const json_t *at = json_object_get(index, text);
    return at ? json_integer_value(at) : -1;
}

struct ranked { /* an item, where the patch wants it and where it was; -1: neither */
    json_t *item;
    json_int_t wanted, was;
    size_t place;
};

static int ranked_wanted(const void *left, const void *right) {
    const struct ranked *a = left, *b = right;
    if (a->wanted != b->wanted)
        return a->wanted < b->wanted ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

/* The items the patch knows stand in its order; the others keep theirs, and come before one of those only if they always did. */
static json_t *list_weave(struct ranked *known, size_t known_count, const struct ranked *other,
                          size_t other_count) {
    json_t *list = json_array();
    qsort(known, known_count, sizeof *known, ranked_wanted);
    for (size_t i = 0, j = 0; i < other_count || j < known_count;) {
        bool take_other = j == known_count || (i < other_count && other[i].was >= 0 &&
                                               known[j].was >= 0 && other[i].was < known[j].was);
        json_array_append(list, take_other ? other[i++].item : known[j++].item);
    }
    return list;
}

/* `merged` in the order of `wanted`, seen from the order it had; takes the reference. NULL: *fault. */
static json_t *list_order(const struct part *part, json_t *merged, const json_t *original,
                          const json_t *wanted, struct fault *fault) {
    size_t i, count = json_array_size(merged), known_count = 0, other_count = 0;
    json_t *item, *ordered = NULL;
    json_t *wanted_index = list_index(part, wanted, fault);
    json_t *was_index = wanted_index ? list_index(part, original, fault) : NULL;
    struct ranked *known = calloc(count + 1, sizeof *known),
                  *other = calloc(count + 1, sizeof *other);
    bool good = was_index && known && other;
    json_array_foreach(merged, i, item) {
        char *text = good ? item_text(part, item, fault) : NULL;
        good = text != NULL;
        if (!good)
            break;
        struct ranked r = {item, index_of(wanted_index, text), index_of(was_index, text), i};
        if (r.wanted >= 0)
            known[known_count++] = r;
        else
            other[other_count++] = r;
        free(text);
    }
    if (good)
        ordered = list_weave(known, known_count, other, other_count);
    free(known);
    free(other);
    json_decref(wanted_index);
    json_decref(was_index);
    json_decref(merged);
    return ordered;
}

/* The special items of a keyed list: `gone` gets the keys of those to delete; *ret_replace: the list starts empty. */
static bool specials_read(const struct part *part, const json_t *patch, json_t *gone,
                          bool *ret_replace, struct fault *fault) {
    json_t *item;
    size_t i;
    *ret_replace = false;
    json_array_foreach(patch, i, item) {
        json_t *what = json_object_get(item, directive);
        if (!what)
            continue;
        if (wants(item, "replace")) {
            *ret_replace = true;
        } else if (wants(item, "delete")) {
            char *text = item_text(part, item, fault);
            if (!text)
                return false;
            json_object_set_new(gone, text, json_true());
            free(text);
        } else if (wants(item, "merge")) {
            return fault_set(fault, 400, "BadRequest",
                             "merging lists cannot yet be specified in the patch");
        } else {
            char *shown = json_dumps(item, JSON_COMPACT);
            const char *type = json_string_value(what);
            fault_set(fault, 400, "BadRequest", "unknown patch type: %.100s in map: %.500s",
                      type ? type : "", shown ? shown : "");
            free(shown);
            return false;
        }
    }
    return true;
}

/* The original without those in `gone`. NULL: *fault. */
static json_t *list_without(const struct part *part, const json_t *original, const json_t *gone,
                            struct fault *fault) {
    json_t *texts = list_texts(part, original, fault), *left = texts ? json_array() : NULL, *text;
    size_t i;
    json_array_foreach(texts, i, text) {
        if (!json_object_get(gone, json_string_value(text)))
            json_array_append(left, json_array_get(original, i));
    }
    json_decref(texts);
    return left;
}

/* Each plain item of the patch into the item that has its key, or after the last. */
static bool items_merge(const struct part *part, json_t *list, const json_t *patch,
                        struct fault *fault) {
    json_t *item, *index = list_index(part, list, fault);
    bool good = index != NULL;
    size_t i;
    json_array_foreach(patch, i, item) {
        if (!good)
            break;
        if (json_object_get(item, directive))
            continue;
        char *text = item_text(part, item, fault);
        json_int_t at = text ? index_of(index, text) : -1;
        json_t *merged =
            !text     ? NULL
            : at >= 0 ? map_merge(json_array_get(list, (size_t)at), item, part_shape(part), fault)
                      : value_clean(item);
        good = merged != NULL;
        if (good && at >= 0) {
            json_array_set_new(list, (size_t)at, merged);
        } else if (good) {
            json_object_set_new(index, text, json_integer((json_int_t)json_array_size(list)));
            json_array_append_new(list, merged);
        }
        free(text);
    }
    json_decref(index);
    return good;
}

/* The plain items of a patch's list. */
static json_t *items_plain(const json_t *patch) {
    json_t *plain = json_array(), *item;
    size_t i;
    json_array_foreach(patch, i, item) {
        if (!json_object_get(item, directive))
            json_array_append(plain, item);
    }
    return plain;
}

static json_t *keyed_merge(const struct part *part, const json_t *original, const json_t *patch,
                           struct fault *fault) {
    bool replace;
    json_t *gone = json_object(), *empty = json_array(), *list = NULL;
    if (specials_read(part, patch, gone, &replace, fault))
        list = list_without(part, replace ? empty : original, gone, fault);
    if (list && !items_merge(part, list, patch, fault)) {
        json_decref(list);
        list = NULL;
    }
    if (list && !replace) {
        json_t *plain = items_plain(patch);
        list = list_order(part, list, original, plain, fault);
        json_decref(plain);
    }
    json_decref(gone);
    json_decref(empty);
    return list;
}

/* A set of scalars: both, each once. */
static json_t *set_merge(const json_t *original, const json_t *patch, struct fault *fault) {
    const json_t *both[] = {original, patch};
    json_t *list = json_array(), *seen = json_object(), *item;
    size_t i;
    for (size_t side = 0; side < 2; side++)
        json_array_foreach(both[side], i, item) {
            char *text = item_text(NULL, item, fault);
            if (text && !json_object_get(seen, text)) {
                json_object_set_new(seen, text, json_true());
                json_array_append(list, item);
            }
            free(text);
        }
    json_decref(seen);
    return list_order(NULL, list, original, patch, fault);
}

/* $deleteFromPrimitiveList/NAME */
static bool scalars_prune(json_t *merged, const char *name, const json_t *gone,
                          struct fault *fault) {
    json_t *list = json_object_get(merged, name);
    if (!json_is_array(gone))
        return fault_set(fault, 400, "BadRequest", "invalid patch format of primitive list");
    if (!json_is_array(list))
        return true;
    json_t *index = list_index(NULL, gone, fault);
    json_t *left = index ? list_without(NULL, list, index, fault) : NULL;
    json_decref(index);
    if (left)
        json_object_set_new(merged, name, left);
    return left != NULL;
}

/* ---- strategic: maps ---- */

/* $retainKeys: of the original only what the list names stays, and the patch sets nothing else. */
static bool keys_retain(json_t *merged, const json_t *patch, struct fault *fault) {
    const json_t *list = json_object_get(patch, retain);
    json_t *keys, *value, *item;
    const char *key;
    void *next;
    size_t i;
    if (!list)
        return true;
    if (!json_is_array(list))
        return fault_set(fault, 400, "BadRequest", "invalid patch format of retainKeys");
    keys = json_object();
    json_array_foreach(list, i, item) {
        if (json_is_string(item))
            json_object_set_new(keys, json_string_value(item), json_true());
    }
    bool good = true;
    json_object_foreach((json_t *)patch, key, value) {
        if (!is_directive(key) && !json_is_null(value) && !json_object_get(keys, key))
            good =
                fault_set(fault, 400, "BadRequest", "patch content doesn't match retainKeys list");
    }
    json_object_foreach_safe(merged, next, key, value) {
        if (!json_object_get(keys, key))
            json_object_del(merged, key);
    }
    json_decref(keys);
    return good;
}

static bool field_merge(json_t *merged, const char *key, const json_t *value,
                        const struct shape *shape, struct fault *fault) {
    const json_t *original = json_object_get(merged, key);
    const struct part *part = shape_part(shape, key);
    json_t *result = NULL;
    enum part_form form = part ? part->form : PART_ONE;
    if (json_is_object(original) && json_is_object(value)) {
        result = map_merge(original, value, form == PART_ONE ? part_shape(part) : NULL, fault);
    } else if (json_is_array(original) && json_is_array(value) && form == PART_KEYED) {
        result = keyed_merge(part, original, value, fault);
    } else if (json_is_array(original) && json_is_array(value) && form == PART_SET) {
        result = set_merge(original, value, fault);
    } else {
        value_take(merged, key, value);
        return true;
    }
    if (result)
        json_object_set_new(merged, key, result);
    return result != NULL;
}

/* $setElementOrder/NAME, once the list is what it will be. */
static bool field_order(json_t *merged, const char *name, const json_t *wanted,
                        const json_t *original, const struct shape *shape, struct fault *fault) {
    json_t *list = json_object_get(merged, name), *was = json_object_get(original, name);
    if (!json_is_array(wanted))
        return fault_set(fault, 400, "BadRequest", "invalid patch format of setElementOrder list");
    if (!json_is_array(list))
        return true;
    json_t *empty = json_array();
    list = list_order(shape_part(shape, name), json_incref(list), json_is_array(was) ? was : empty,
                      wanted, fault);
    json_decref(empty);
    if (list)
        json_object_set_new(merged, name, list);
    return list != NULL;
}

static bool fields_merge(json_t *merged, const json_t *original, const json_t *patch,
                         const struct shape *shape, struct fault *fault) {
    const char *key, *name;
    json_t *value;
    bool good = keys_retain(merged, patch, fault);
    json_object_foreach((json_t *)patch, key, value) {
        if (good && starts_with(key, prune_prefix, &name))
            good = scalars_prune(merged, name, value, fault);
        else if (good && !is_directive(key))
            good = field_merge(merged, key, value, shape, fault);
    }
    json_object_foreach((json_t *)patch, key, value) {
        if (good && starts_with(key, order_prefix, &name))
            good = field_order(merged, name, value, original, shape, fault);
    }
    return good;
}

static json_t *map_merge(const json_t *original, const json_t *patch, const struct shape *shape,
                         struct fault *fault) {
    const json_t *what = json_object_get(patch, directive);
    if (wants(patch, "replace"))
        return value_clean(patch);
    if (wants(patch, "delete"))
        return json_object();
    if (what && !wants(patch, "merge")) {
        const char *type = json_string_value(what);
        fault_set(fault, 400, "BadRequest", "unknown patch type: %.100s", type ? type : "");
        return NULL;
    }
    json_t *merged = json_is_object(original) ? json_copy((json_t *)original) : json_object();
    if (fields_merge(merged, original, patch, shape, fault))
        return merged;
    json_decref(merged);
    return NULL;
}

bool patch_strategic(const json_t *object, const json_t *patch, const struct shape *shape,
                     struct fault *fault, json_t **ret) {
    if (!patch_bounded(object, patch, fault))
        return false;
    json_t *merged = map_merge(object, patch, shape, fault);
    if (!merged)
        return false;
    *ret = json_deep_copy(merged); /* nothing of it is the old object's */
    json_decref(merged);
    return true;
}
