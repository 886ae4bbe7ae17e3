/* SPDX-License-Identifier: GPL-3.0-or-later
 * yaml.c - libyaml's events to a tree, refusing what is too much before it has grown.
 *
 *   text -> libyaml -> event -> node_build (recursive, bounded by limits.depth) -> documents
 *
 * Of every node the weight is known while it is built: the number of nodes it stands for with all aliases expanded, and its height.
 * An alias adds both of its target, so nine lines that expand to a billion nodes are refused at the ninth line. Nothing is copied.
 */
#include "core/yaml.h"
#include "core/stash.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct grown {              /* a node, and what it costs */
    struct yaml_node *node; /* NULL: an error was told */
    size_t weight, height;
};
static const struct grown nothing;

_Static_assert(sizeof(struct yaml_node) == 24, "of a tenant's ten objects there are five hundred");

struct anchor {
    const char *name;
    struct grown target;
    bool open; /* its end has not been seen: an alias to it would be a loop */
};

struct build {
    yaml_parser_t parser;
    const char *file;
    const char *text;
    size_t length;
    struct yaml_limits limits;
    struct diags *diags;
    struct stash *stash;
    struct anchor *anchor;
    size_t anchor_count;
    size_t weight; /* of everything so far */
    /* what lists and maps hold whose end has not been seen, the outermost's first */
    struct yaml_node **pending;
    size_t pending_count, pending_room;
};

enum { ANCHORS_MAX = 1000 }; /* they are searched one by one */

static struct grown node_build(struct build *, yaml_event_t *, size_t depth);

#define build_error(b, mark, ...)                                           \
    diags_add((b)->diags, DIAG_ERROR, (b)->file, (unsigned)(mark).line + 1, \
              (unsigned)(mark).column + 1, __VA_ARGS__)

/* The word at a mark, for the message: "*.example.com". */
static int word_at(const struct build *b, yaml_mark_t mark, const char **ret_word) {
    const char *word = b->text, *end = b->text + b->length;
    for (size_t line = 0; line < mark.line && word < end; word++)
        line += *word == '\n';
    word += (size_t)(end - word) < mark.column ? (size_t)(end - word) : mark.column;
    int length = 0;
    while (word + length < end && length < 80 && !strchr(" \t\r\n,]}#", word[length]))
        length++;
    *ret_word = word;
    return length;
}

/* libyaml reads ahead: where its parser stands is not where the byte is that cannot be read. */
static yaml_mark_t mark_of_byte(const struct build *b, size_t offset) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < b->length; i++) {
        bool end = b->text[i] == '\n', follows = (b->text[i] & 0xc0) == 0x80;
        mark.line += end;
        mark.column = end ? 0 : mark.column + !follows;
    }
    return mark;
}

static void syntax_error(struct build *b) {
    const yaml_parser_t *p = &b->parser;
    const char *word = "";
    if (p->context && strstr(p->context, "scanning an alias")) {
        int length = word_at(b, p->context_mark, &word);
        build_error(b, p->context_mark, "a plain value cannot start with `*`: quote it: \"%.*s\"",
                    length, word);
    } else if (p->error == YAML_READER_ERROR) {
        yaml_mark_t mark = mark_of_byte(b, p->problem_offset);
        build_error(b, mark, "%s", p->problem ? p->problem : "not UTF-8 text");
    } else {
        build_error(b, p->problem_mark, "%s%s%s", p->context ? p->context : "",
                    p->context ? ": " : "", p->problem ? p->problem : "not YAML");
    }
}

static bool event_next(struct build *b, yaml_event_t *ret_event) {
    if (yaml_parser_parse(&b->parser, ret_event))
        return true;
    syntax_error(b);
    return false;
}

/* With room for a text right behind it. */
static struct grown node_new(struct build *b, enum yaml_kind kind, yaml_mark_t mark, size_t text) {
    if (++b->weight > b->limits.nodes) {
        build_error(b, mark, "more than %zu YAML nodes", b->limits.nodes);
        return nothing;
    }
    struct yaml_node *node = stash_alloc(b->stash, sizeof *node + text);
    node->kind = kind;
    node->line = (unsigned)mark.line + 1;
    node->column = (unsigned)mark.column + 1;
    return (struct grown){node, 1, 1};
}

/* *ret_at: where, for anchor_close. */
static bool anchor_open(struct build *b, const yaml_char_t *name, struct grown target,
                        size_t *ret_at) {
    *ret_at = b->anchor_count;
    if (!name)
        return true;
    if (b->anchor_count == ANCHORS_MAX) {
        diags_add(b->diags, DIAG_ERROR, b->file, target.node->line, target.node->column,
                  "more than %d anchors", ANCHORS_MAX);
        return false;
    }
    b->anchor = stash_room(b->stash, b->anchor, b->anchor_count, sizeof *b->anchor);
    b->anchor[b->anchor_count++] =
        (struct anchor){stash_text(b->stash, (const char *)name), target, true};
    return true;
}

static void anchor_close(struct build *b, const yaml_char_t *name, size_t at, struct grown target) {
    if (!name)
        return;
    b->anchor[at].target = target;
    b->anchor[at].open = false;
}

static const struct anchor *anchor_find(const struct build *b, const char *name) {
    for (size_t i = b->anchor_count; i > 0; i--) /* the latest of a name counts */
        if (!strcmp(b->anchor[i - 1].name, name))
            return &b->anchor[i - 1];
    return NULL;
}

static struct grown alias_build(struct build *b, const yaml_event_t *event, size_t depth) {
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = anchor_find(b, name);
    if (!anchor)
        build_error(b, event->start_mark,
                    "no anchor `&%s` before this alias; if the text `*%s` is meant, quote it", name,
                    name);
    else if (anchor->open)
        build_error(b, event->start_mark, "the alias `*%s` stands inside its own anchor", name);
    else if (b->weight + anchor->target.weight > b->limits.nodes)
        build_error(b, event->start_mark, "aliases expand to more than %zu YAML nodes",
                    b->limits.nodes);
    else if (depth + anchor->target.height > b->limits.depth)
        build_error(b, event->start_mark, "nested deeper than %zu", b->limits.depth);
    else {
        b->weight += anchor->target.weight;
        return anchor->target;
    }
    return nothing;
}

static bool scalar_is_null(const yaml_event_t *event) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (!strcmp((const char *)event->data.scalar.value, nulls[i]))
            return true;
    return false;
}

static struct grown scalar_build(struct build *b, const yaml_event_t *event) {
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length, at;
    if (memchr(value, 0, length)) {
        build_error(b, event->start_mark, "a NUL character inside text");
        return nothing;
    }
    struct grown grown =
        node_new(b, scalar_is_null(event) ? YAML_NULL : YAML_SCALAR, event->start_mark, length + 1);
    if (!grown.node)
        return nothing;
    char *text = (char *)(grown.node + 1);
    memcpy(text, value, length);
    grown.node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    grown.node->text = text;
    if (!anchor_open(b, event->data.scalar.anchor, grown, &at))
        return nothing;
    anchor_close(b, event->data.scalar.anchor, at, grown);
    return grown;
}

static void grown_add(struct grown *parent, const struct grown *child) {
    parent->weight += child->weight;
    if (child->height + 1 > parent->height)
        parent->height = child->height + 1;
}

static void pending_add(struct build *b, struct yaml_node *node) {
    if (b->pending_count == b->pending_room) {
        b->pending_room = b->pending_room ? b->pending_room * 2 : 64;
        b->pending = reallocarray(b->pending, b->pending_room, sizeof(struct yaml_node *));
        if (!b->pending)
            abort(); /* as in core/stash.c */
    }
    b->pending[b->pending_count++] = node;
}

/* What came since `from` is all that the list holds. */
static void list_fill(struct build *b, struct yaml_node *list, size_t from) {
    list->count = (unsigned)(b->pending_count - from);
    list->item = stash_array(b->stash, list->count, sizeof(struct yaml_node *));
    if (list->count)
        memcpy(list->item, b->pending + from, list->count * sizeof(struct yaml_node *));
    b->pending_count = from;
}

static struct grown list_build(struct build *b, const yaml_event_t *start, size_t depth) {
    const yaml_char_t *anchor = start->data.sequence_start.anchor;
    size_t from = b->pending_count, at;
    struct grown list = node_new(b, YAML_LIST, start->start_mark, 0);
    if (!list.node || !anchor_open(b, anchor, list, &at))
        return nothing;
    for (yaml_event_t event; event_next(b, &event);) {
        bool last = event.type == YAML_SEQUENCE_END_EVENT;
        struct grown item = last ? nothing : node_build(b, &event, depth + 1);
        yaml_event_delete(&event);
        if (last) {
            list_fill(b, list.node, from);
            anchor_close(b, anchor, at, list);
            return list;
        }
        if (!item.node)
            return nothing;
        pending_add(b, item.node);
        grown_add(&list, &item);
    }
    return nothing;
}

static int pair_order(const void *left, const void *right) {
    const struct yaml_pair *a = *(const struct yaml_pair *const *)left,
                           *b = *(const struct yaml_pair *const *)right;
    int order = strcmp(a->key->text, b->key->text);
    return order ? order : (a > b) - (a < b);
}

/* Sorted, not compared each with each: a mapping may have a hundred thousand keys. */
static bool keys_differ(struct build *b, const struct yaml_node *map) {
    const struct yaml_pair **sorted = calloc(map->count + 1, sizeof(struct yaml_pair *));
    bool differ = sorted != NULL;
    for (size_t i = 0; sorted && i < map->count; i++)
        sorted[i] = &map->pair[i];
    if (sorted)
        qsort(sorted, map->count, sizeof *sorted, pair_order);
    for (size_t i = 1; sorted && i < map->count; i++) {
        const struct yaml_node *first = sorted[i - 1]->key, *again = sorted[i]->key;
        if (strcmp(first->text, again->text))
            continue;
        diags_add(b->diags, DIAG_ERROR, b->file, again->line, again->column,
                  "the key `%s` is here twice: first at %u:%u", again->text, first->line,
                  first->column);
        differ = false;
    }
    free(sorted);
    return differ;
}

static bool is_key(struct build *b, const struct yaml_node *node) {
    if (node->kind == YAML_SCALAR || node->kind == YAML_NULL)
        return true;
    diags_add(b->diags, DIAG_ERROR, b->file, node->line, node->column, "a key must be plain text");
    return false;
}

/* What came since `from` is keys and values by turns. */
static void map_fill(struct build *b, struct yaml_node *map, size_t from) {
    map->count = (unsigned)(b->pending_count - from) / 2;
    map->pair = stash_array(b->stash, map->count, sizeof *map->pair);
    for (size_t i = 0; i < map->count; i++)
        map->pair[i] = (struct yaml_pair){b->pending[from + 2 * i], b->pending[from + 2 * i + 1]};
    b->pending_count = from;
}

static struct grown map_build(struct build *b, const yaml_event_t *start, size_t depth) {
    const yaml_char_t *anchor = start->data.mapping_start.anchor;
    size_t from = b->pending_count, at;
    struct grown map = node_new(b, YAML_MAP, start->start_mark, 0);
    if (!map.node || !anchor_open(b, anchor, map, &at))
        return nothing;
    for (yaml_event_t event; event_next(b, &event);) {
        bool last = event.type == YAML_MAPPING_END_EVENT;
        bool is_value = (b->pending_count - from) % 2;
        struct grown item = last ? nothing : node_build(b, &event, depth + 1);
        yaml_event_delete(&event);
        if (last) {
            map_fill(b, map.node, from);
            anchor_close(b, anchor, at, map);
            /* goes on: the rest may be wrong as well; the caller sees the error count */
            keys_differ(b, map.node);
            return map;
        }
        if (!item.node || (!is_value && !is_key(b, item.node)))
            return nothing;
        pending_add(b, item.node);
        grown_add(&map, &item);
    }
    return nothing;
}

static struct grown node_build(struct build *b, yaml_event_t *event, size_t depth) {
    if (depth > b->limits.depth) {
        build_error(b, event->start_mark, "nested deeper than %zu", b->limits.depth);
        return nothing;
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return alias_build(b, event, depth);
    case YAML_SCALAR_EVENT:
        return scalar_build(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return list_build(b, event, depth);
    case YAML_MAPPING_START_EVENT:
        return map_build(b, event, depth);
    default:
        build_error(b, event->start_mark, "not YAML");
        return nothing;
    }
}

static void doc_add(struct build *b, struct yaml_docs *docs, struct yaml_node *root) {
    if (root->kind == YAML_NULL)
        return;
    docs->doc = stash_room(b->stash, docs->doc, docs->count, sizeof *docs->doc);
    docs->doc[docs->count++] = root;
}

/* Anchors end with their document, as YAML says; the count of nodes does not. */
static bool stream_build(struct build *b, struct yaml_docs *docs) {
    for (yaml_event_t event; event_next(b, &event);) {
        struct yaml_node *root = NULL;
        bool last = event.type == YAML_STREAM_END_EVENT;
        bool content = !last && event.type != YAML_STREAM_START_EVENT &&
                       event.type != YAML_DOCUMENT_START_EVENT &&
                       event.type != YAML_DOCUMENT_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT)
            b->anchor_count = 0, b->anchor = NULL;
        if (content)
            root = node_build(b, &event, 1).node;
        yaml_event_delete(&event);
        if (last)
            return true;
        if (content && !root)
            return false;
        if (root)
            doc_add(b, docs, root);
    }
    return false;
}

bool yaml_parse(const char *file, const char *text, size_t length, const struct yaml_limits *limits,
                struct diags *diags, struct yaml_docs *ret_docs) {
    size_t errors = diags->errors;
    if (length > limits->bytes) {
        diags_add(diags, DIAG_ERROR, file, 0, 0, "the file is longer than %zu bytes",
                  limits->bytes);
        return false;
    }
    if (length >= 3 &&
        !memcmp(text, "\xef\xbb\xbf", 3)) { /* a byte order mark, as Windows writes */
        text += 3;
        length -= 3;
    }
    struct build b = {
        .file = file, .text = text, .length = length, .limits = *limits, .diags = diags};
    if (!yaml_parser_initialize(&b.parser)) {
        diags_add(diags, DIAG_ERROR, file, 0, 0, "out of memory");
        return false;
    }
    struct yaml_docs docs = {0};
    docs.arena = b.stash = stash_new();
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, length);
    bool good = stream_build(&b, &docs) && diags->errors == errors;
    yaml_parser_delete(&b.parser);
    free(b.pending);
    if (good)
        *ret_docs = docs;
    else
        yaml_docs_free(&docs);
    return good;
}

void yaml_docs_free(struct yaml_docs *docs) {
    stash_free(docs->arena);
    *docs = (struct yaml_docs){0};
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key) {
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (!strcmp(map->pair[i].key->text, key))
            return map->pair[i].value;
    return NULL;
}

bool yaml_int(const struct yaml_node *node, int64_t *ret) {
    if (!node || node->kind != YAML_SCALAR || node->quoted)
        return false;
    const char *digits = node->text + (node->text[0] == '-' || node->text[0] == '+');
    if (!*digits || strspn(digits, "0123456789") != strlen(digits))
        return false;
    errno = 0;
    long long value = strtoll(node->text, NULL, 10);
    if (errno)
        return false;
    *ret = value;
    return true;
}

bool yaml_bool(const struct yaml_node *node, bool *ret) {
    static const char *const words[] = {"false", "true", "False", "True", "FALSE", "TRUE"};
    if (!node || node->kind != YAML_SCALAR || node->quoted)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(node->text, words[i]))
            continue;
        *ret = i & 1;
        return true;
    }
    return false;
}
