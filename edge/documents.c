/* SPDX-License-Identifier: GPL-3.0-or-later
 * documents.c - libyaml's events tell where documents are and what they are called; what they hold is not looked at, aliases
 * are not expanded. libyaml counts characters, so its marks are turned into bytes once, going along.
 */
#include "edge/documents.h"
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 64 };

struct scan {
    yaml_parser_t parser;
    const char *file, *text;
    size_t length;
    struct documents *out;
    struct err *err;
    size_t mark, byte; /* a character and where it begins; both only grow */
    /* of the document that is being read */
    size_t depth;
    bool is_key[DEPTH_MAX + 1]; /* in the mapping at this depth, a key comes next */
    bool is_map[DEPTH_MAX + 1];
    char *key; /* owned; the last one at depth 1 or 2 */
    bool in_metadata;
};

/* ---- places ---- */

/* The byte at which character `index` begins; indexes must not fall. */
static size_t byte_at(struct scan *s, size_t index) {
    while (s->mark < index && s->byte < s->length) {
        s->byte++;
        while (s->byte < s->length && (s->text[s->byte] & 0xc0) == 0x80)
            s->byte++;
        s->mark++;
    }
    return s->byte;
}

static size_t line_end(const char *text, size_t length, size_t at) {
    const char *feed = at < length ? memchr(text + at, '\n', length - at) : NULL;
    return feed ? (size_t)(feed - text) + 1 : length;
}

/* ---- one document ---- */

static struct document *document_last(struct scan *s) {
    return &s->out->item[s->out->count - 1];
}

static bool document_add(struct scan *s, size_t begin) {
    struct documents *d = s->out;
    if (d->count == DOCUMENTS_MAX)
        return err_set(s->err, "%s: more than %d documents", s->file, DOCUMENTS_MAX);
    if (d->count == d->room) {
        size_t room = d->room ? d->room * 2 : 8;
        struct document *more = realloc(d->item, room * sizeof *more);
        if (!more)
            return err_set(s->err, "out of memory");
        d->item = more;
        d->room = room;
    }
    d->item[d->count++] = (struct document){.begin = begin,
                                            .empty = true,
                                            .api_version = strdup(""),
                                            .kind = strdup(""),
                                            .name = strdup("")};
    return true;
}

static void text_take(char **slot, const char *text) {
    char *copy = strdup(text);
    if (!copy)
        return;
    free(*slot);
    *slot = copy;
}

/* A value at `apiVersion`, `kind` or `metadata.name`. */
static void value_note(struct scan *s, const char *text) {
    struct document *d = document_last(s);
    if (!s->key)
        return;
    if (s->depth == 1 && !strcmp(s->key, "apiVersion"))
        text_take(&d->api_version, text);
    else if (s->depth == 1 && !strcmp(s->key, "kind"))
        text_take(&d->kind, text);
    else if (s->depth == 2 && s->in_metadata && !strcmp(s->key, "name"))
        text_take(&d->name, text);
}

/* A value has come at the present depth; a key, if it was its turn (then true). */
static bool turn_take(struct scan *s) {
    bool key = s->is_map[s->depth] && s->is_key[s->depth];
    s->is_key[s->depth] = !s->is_key[s->depth];
    return key;
}

static void scalar_see(struct scan *s, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    bool key = turn_take(s);
    if (key && s->depth <= 2)
        text_take(&s->key, text);
    else if (!key)
        value_note(s, text);
}

static bool deeper(struct scan *s, bool map) {
    if (s->depth == DEPTH_MAX)
        return err_set(s->err, "%s: nested deeper than %d", s->file, DEPTH_MAX);
    turn_take(s);
    if (s->depth == 1)
        s->in_metadata = map && s->key && !strcmp(s->key, "metadata");
    s->depth++;
    s->is_map[s->depth] = map;
    s->is_key[s->depth] = true;
    return true;
}

/* What an event says goes up to the end of its last line: a comment behind it is the document's too. */
static void content_see(struct scan *s, const yaml_event_t *event, size_t begin) {
    struct document *d = document_last(s);
    if (d->empty)
        d->content_begin = begin;
    d->empty = false;
    bool block = event->type == YAML_SCALAR_EVENT &&
                 (event->data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
                  event->data.scalar.style == YAML_FOLDED_SCALAR_STYLE);
    size_t end = byte_at(s, event->end_mark.index);
    if (!block || (end && s->text[end - 1] != '\n')) /* a block ends where the next line begins */
        end = line_end(s->text, s->length, end);
    if (end > d->content_end)
        d->content_end = end;
}

static bool event_see(struct scan *s, const yaml_event_t *event) {
    size_t begin = byte_at(s, event->start_mark.index);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        s->depth = 0;
        s->is_map[0] = s->is_key[0] = s->in_metadata = false;
        return document_add(s, begin);
    case YAML_SCALAR_EVENT:
        if (event->data.scalar.length || !event->data.scalar.plain_implicit || s->depth)
            content_see(s, event, begin);
        scalar_see(s, event);
        return true;
    case YAML_ALIAS_EVENT:
        content_see(s, event, begin);
        turn_take(s);
        return true;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        content_see(s, event, begin);
        return deeper(s, event->type == YAML_MAPPING_START_EVENT);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        s->depth--;
        if (event->end_mark.index > event->start_mark.index) /* a flow's bracket */
            content_see(s, event, begin);
        return true;
    default:
        return true;
    }
}

/* ---- the text ---- */

static void ends_set(struct documents *d, size_t length) {
    for (size_t i = 0; i < d->count; i++) {
        struct document *one = &d->item[i];
        one->end = i + 1 < d->count ? one[1].begin : length;
        if (one->empty)
            one->content_begin = one->content_end = one->end;
        if (one->content_end > one->end)
            one->content_end = one->end;
        one->list = !strcmp(one->kind, "List");
    }
    if (d->count) /* what stands above the first `---` is the first document's */
        d->item[0].begin = 0;
}

static bool stream_scan(struct scan *s) {
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&s->parser, &event))
            return err_set(s->err, "%s:%zu:%zu: %s", s->file, s->parser.problem_mark.line + 1,
                           s->parser.problem_mark.column + 1,
                           s->parser.problem ? s->parser.problem : "not YAML");
        bool last = event.type == YAML_STREAM_END_EVENT, good = event_see(s, &event);
        yaml_event_delete(&event);
        if (!good || last)
            return good;
    }
}

bool documents_read(const char *file, const char *text, size_t length, struct documents *ret,
                    struct err *err) {
    *ret = (struct documents){0};
    struct scan s = {.file = file, .text = text, .length = length, .out = ret, .err = err};
    if (length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        s.byte = 3; /* libyaml does not count a byte order mark */
    if (!yaml_parser_initialize(&s.parser))
        return err_set(err, "out of memory");
    yaml_parser_set_encoding(&s.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&s.parser, (const unsigned char *)text + s.byte, length - s.byte);
    bool good = stream_scan(&s);
    yaml_parser_delete(&s.parser);
    free(s.key);
    ends_set(ret, length);
    if (!good)
        documents_free(ret);
    return good;
}

void documents_free(struct documents *d) {
    for (size_t i = 0; i < d->count; i++) {
        free(d->item[i].api_version);
        free(d->item[i].kind);
        free(d->item[i].name);
    }
    free(d->item);
    *d = (struct documents){0};
}

const struct document *documents_find(const struct documents *d, const char *api_version,
                                      const char *kind, const char *name) {
    for (size_t i = 0; i < d->count; i++)
        if (!strcmp(d->item[i].kind, kind) && !strcmp(d->item[i].name, name) &&
            !strcmp(d->item[i].api_version, api_version))
            return &d->item[i];
    return NULL;
}

/* ---- other texts ---- */

/* text[0, begin) + between + text[end, length) */
static char *splice(const char *text, size_t length, size_t begin, size_t end, const char *between,
                    size_t between_length, size_t *ret_length) {
    size_t total = begin + between_length + (length - end);
    char *out = malloc(total + 1);
    if (!out)
        return NULL;
    memcpy(out, text, begin);
    memcpy(out + begin, between, between_length);
    memcpy(out + begin + between_length, text + end, length - end);
    out[total] = 0;
    *ret_length = total;
    return out;
}

char *document_replace(const char *text, size_t length, const struct document *d,
                       const char *content, size_t content_length, size_t *ret_length) {
    size_t begin = d->content_begin;
    /* `--- {a: b}`: what comes instead needs a line of its own */
    bool feed =
        begin && text[begin - 1] != '\n' && memcmp(text, "\xef\xbb\xbf", begin < 3 ? begin : 3);
    if (!feed)
        return splice(text, length, begin, d->content_end, content, content_length, ret_length);
    char *lined = malloc(content_length + 1);
    if (!lined)
        return NULL;
    lined[0] = '\n';
    memcpy(lined + 1, content, content_length);
    char *out = splice(text, length, begin, d->content_end, lined, content_length + 1, ret_length);
    free(lined);
    return out;
}

char *document_remove(const char *text, size_t length, const struct documents *all,
                      const struct document *d, size_t *ret_length) {
    bool first = d == &all->item[0];
    /* of the first, the comments above stay; of another, its `---` and what is between goes too */
    return splice(text, length, first ? d->content_begin : d->begin, d->content_end, "", 0,
                  ret_length);
}

char *document_append(const char *text, size_t length, const char *content, size_t content_length,
                      size_t *ret_length) {
    bool feed = length && text[length - 1] != '\n';
    const char *head = feed ? "\n---\n" : "---\n";
    size_t with_head;
    char *headed =
        splice(head, strlen(head), strlen(head), strlen(head), content, content_length, &with_head);
    char *out = headed ? splice(text, length, length, length, headed, with_head, ret_length) : NULL;
    free(headed);
    return out;
}
