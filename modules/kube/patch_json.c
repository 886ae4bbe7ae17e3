/* SPDX-License-Identifier: GPL-3.0-or-later
 * patch_json.c - JSON Patch (RFC 6902) over JSON Pointer (RFC 6901).
 *
 * Operations work on one copy of the object and end with the first that fails. Messages are those of the library that the API
 * server uses, so that what people find on the web about them is true here.
 */
#include "modules/kube/patch.h"
#include <stdlib.h>
#include <string.h>

struct patching {
    json_t *root; /* owned */
    size_t nodes; /* made so far */
    struct fault *fault;
};

/* A pointer, come as far as the value that holds its last token. */
struct place {
    json_t *holder; /* object or array */
    char *token;    /* owned; the last, unescaped */
};

static size_t tree_walk(const json_t *value, size_t depth, size_t *deepest) {
    const char *key;
    json_t *child;
    size_t nodes = 1, i;
    if (depth > *deepest)
        *deepest = depth;
    if (depth > PATCH_DEPTH)
        return nodes;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, child) {
            nodes += tree_walk(child, depth + 1, deepest);
        }
    } else {
        json_array_foreach(value, i, child) {
            nodes += tree_walk(child, depth + 1, deepest);
        }
    }
    return nodes;
}

size_t tree_measure(const json_t *value, size_t *ret_depth) {
    *ret_depth = 0;
    return tree_walk(value, 1, ret_depth);
}

#define UNFIT(p, ...) fault_set((p)->fault, 422, "Invalid", __VA_ARGS__)

/* RFC 6901 section 4: `~1` is `/`, `~0` is `~`, in one pass. */
static char *token_unescape(const char *text, size_t length) {
    char *token = malloc(length + 1), *out = token;
    for (size_t i = 0; token && i < length; i++) {
        bool escaped =
            text[i] == '~' && i + 1 < length && (text[i + 1] == '0' || text[i + 1] == '1');
        *out++ = !escaped ? text[i] : text[++i] == '1' ? '/' : '~';
    }
    if (token)
        *out = 0;
    return token;
}

/* An index as the RFC writes it: no sign, no leading zero. */
static bool token_index(const char *token, size_t *ret) {
    size_t length = strlen(token);
    if (!length || length > 9 || strspn(token, "0123456789") != length ||
        (length > 1 && token[0] == '0'))
        return false;
    *ret = (size_t)strtoul(token, NULL, 10);
    return true;
}

static json_t *child_get(const json_t *holder, const char *token) {
    size_t index;
    if (json_is_object(holder))
        return json_object_get(holder, token);
    return json_is_array(holder) && token_index(token, &index) ? json_array_get(holder, index)
                                                               : NULL;
}

/* False: what holds the last token is not there. The empty pointer has no holder: that is the caller's to see. */
static bool place_find(const struct patching *p, const char *pointer, struct place *ret) {
    json_t *holder = p->root;
    const char *at = pointer;
    if (*at != '/')
        return false;
    for (;;) {
        const char *next = strchr(++at, '/');
        char *token = token_unescape(at, next ? (size_t)(next - at) : strlen(at));
        if (!next) {
            bool good = token && (json_is_object(holder) || json_is_array(holder));
            *ret = (struct place){good ? holder : NULL, good ? token : NULL};
            if (!good)
                free(token);
            return good;
        }
        holder = token ? child_get(holder, token) : NULL;
        free(token);
        at = next;
    }
}

static json_t *pointer_get(const struct patching *p, const char *pointer) {
    struct place place;
    if (!*pointer)
        return p->root;
    if (!place_find(p, pointer, &place))
        return NULL;
    json_t *value = child_get(place.holder, place.token);
    free(place.token);
    return value;
}

/* A copy of its own: nothing in a patch is shared with what it makes. */
static json_t *value_copy(struct patching *p, const json_t *value) {
    size_t depth;
    p->nodes += tree_measure(value, &depth);
    if (depth > PATCH_DEPTH)
        fault_set(p->fault, 422, "Invalid", "nested deeper than %d", PATCH_DEPTH);
    else if (p->nodes > PATCH_NODES)
        fault_set(p->fault, 413, "RequestEntityTooLarge", "the patch makes more than %d values",
                  PATCH_NODES);
    else
        return json_deep_copy(value);
    return NULL;
}

static bool root_replace(struct patching *p, const json_t *value) {
    json_t *copy = value_copy(p, value);
    if (!copy)
        return false;
    json_decref(p->root);
    p->root = copy;
    return true;
}

static bool value_add(struct patching *p, const char *path, const json_t *value) {
    struct place place;
    size_t index;
    if (!*path)
        return root_replace(p, value);
    if (!place_find(p, path, &place))
        return UNFIT(p, "add operation does not apply: doc is missing path: \"%s\": missing value",
                     path);
    json_t *copy = value_copy(p, value);
    bool good = copy != NULL;
    if (good && json_is_object(place.holder)) {
        json_object_set_new(place.holder, place.token, copy);
    } else if (good && !strcmp(place.token, "-")) {
        json_array_append_new(place.holder, copy);
    } else if (good && token_index(place.token, &index) && index <= json_array_size(place.holder)) {
        json_array_insert_new(place.holder, index, copy);
    } else if (good) {
        json_decref(copy);
        good = UNFIT(p,
                     "error in add for path: '%s': Unable to access invalid index: %s: invalid "
                     "index referenced",
                     path, place.token);
    }
    free(place.token);
    return good;
}

static bool value_remove(struct patching *p, const char *path) {
    struct place place;
    size_t index;
    if (!place_find(p, path, &place))
        return UNFIT(
            p, "remove operation does not apply: doc is missing path: \"%s\": missing value", path);
    bool good;
    if (json_is_object(place.holder))
        good = json_object_del(place.holder, place.token) == 0 ||
               UNFIT(p,
                     "error in remove for path: '%s': Unable to remove nonexistent key: %s: "
                     "missing value",
                     path, place.token);
    else
        good = (token_index(place.token, &index) && json_array_remove(place.holder, index) == 0) ||
               UNFIT(p,
                     "error in remove for path: '%s': Unable to access invalid index: %s: invalid "
                     "index referenced",
                     path, place.token);
    free(place.token);
    return good;
}

static bool value_replace(struct patching *p, const char *path, const json_t *value) {
    struct place place;
    size_t index;
    if (!*path)
        return root_replace(p, value);
    if (!place_find(p, path, &place))
        return UNFIT(p, "replace operation does not apply: doc is missing path: %s: missing value",
                     path);
    bool there = child_get(place.holder, place.token) != NULL;
    json_t *copy = there ? value_copy(p, value) : NULL;
    if (!there)
        UNFIT(p, "replace operation does not apply: doc is missing key: %s: missing value", path);
    else if (copy && json_is_object(place.holder))
        json_object_set_new(place.holder, place.token, copy);
    else if (copy && token_index(place.token, &index))
        json_array_set_new(place.holder, index, copy);
    free(place.token);
    return copy != NULL;
}

/* Into itself: `from` is a proper prefix of `path`, which RFC 6902 section 4.4 forbids. */
static bool path_within(const char *path, const char *from) {
    size_t length = strlen(from);
    return !strncmp(path, from, length) && path[length] == '/';
}

static bool value_move(struct patching *p, const char *from, const char *path) {
    json_t *value = pointer_get(p, from);
    if (!value || !*from)
        return UNFIT(
            p, "move operation does not apply: doc is missing from path: %s: missing value", from);
    if (path_within(path, from))
        return UNFIT(p, "move operation does not apply: %s lies within %s", path, from);
    json_incref(value);
    bool good = value_remove(p, from) && value_add(p, path, value);
    json_decref(value);
    return good;
}

static bool value_test(struct patching *p, const char *path, const json_t *wanted) {
    const json_t *value = pointer_get(p, path);
    bool same = value ? json_equal(value, wanted) : json_is_null(wanted);
    return same || UNFIT(p, "testing value %s failed: test failed", path);
}

/* ---- the list of operations ---- */

static bool operation_run(struct patching *p, const json_t *operation) {
    const char *op = json_string_value(json_object_get(operation, "op"));
    const char *path = json_string_value(json_object_get(operation, "path"));
    const char *from = json_string_value(json_object_get(operation, "from"));
    const json_t *value = json_object_get(operation, "value");
    if (!op || !path)
        return fault_set(p->fault, 400, "BadRequest",
                         "each operation of a JSON patch has an `op` and a `path`");
    bool valued = !strcmp(op, "add") || !strcmp(op, "replace") || !strcmp(op, "test");
    bool sourced = !strcmp(op, "move") || !strcmp(op, "copy");
    if (valued && !value)
        return fault_set(p->fault, 400, "BadRequest", "the operation `%s` has a `value`", op);
    if (sourced && !from)
        return fault_set(p->fault, 400, "BadRequest", "the operation `%s` has a `from`", op);
    if (!strcmp(op, "add"))
        return value_add(p, path, value);
    if (!strcmp(op, "replace"))
        return value_replace(p, path, value);
    if (!strcmp(op, "test"))
        return value_test(p, path, value);
    if (!strcmp(op, "remove"))
        return value_remove(p, path);
    if (!strcmp(op, "move"))
        return value_move(p, from, path);
    if (strcmp(op, "copy"))
        return fault_set(p->fault, 400, "BadRequest", "Unexpected kind: %.100s", op);
    value = pointer_get(p, from);
    return value ? value_add(p, path, value)
                 : UNFIT(p,
                         "copy operation does not apply: doc is missing from path: %s: missing "
                         "value",
                         from);
}

static bool result_good(struct patching *p) {
    size_t depth, nodes = tree_measure(p->root, &depth);
    if (depth > PATCH_DEPTH)
        return UNFIT(p, "nested deeper than %d", PATCH_DEPTH);
    if (nodes > PATCH_NODES)
        return fault_set(p->fault, 413, "RequestEntityTooLarge",
                         "what comes of the patch has more than %d values", PATCH_NODES);
    return json_is_object(p->root) || UNFIT(p, "what comes of the patch is no object");
}

bool patch_json(const json_t *object, const json_t *patch, struct fault *fault, json_t **ret) {
    size_t i, count = json_array_size(patch);
    json_t *operation;
    if (!json_is_array(patch))
        return fault_set(fault, 400, "BadRequest",
                         "error decoding patch: a JSON patch is a list of operations");
    if (count > PATCH_OPERATIONS)
        return fault_set(fault, 413, "RequestEntityTooLarge",
                         "The allowed maximum operations in a JSON patch is %d, got %zu",
                         PATCH_OPERATIONS, count);
    struct patching p = {.root = json_deep_copy(object), .fault = fault};
    bool good = true;
    json_array_foreach(patch, i, operation) {
        good = good && operation_run(&p, operation);
    }
    good = good && result_good(&p);
    if (good)
        *ret = p.root;
    else
        json_decref(p.root);
    return good;
}
