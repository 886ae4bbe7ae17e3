/* SPDX-License-Identifier: GPL-3.0-or-later
 * yaml_out.c - see yaml_out.h. libyaml writes; what is decided here is the order of keys and how each text is quoted.
 *
 *   order: apiVersion, kind, metadata (name, namespace, labels, annotations, …), spec and data, the rest by name, status last;
 *          within lists of named things: name and host first
 */
#include "modules/kube/yaml_out.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct writing {
    yaml_emitter_t emitter;
    char *text; /* owned */
    size_t length, room;
    bool bad;
};

/* ---- the order of keys ---- */

static const char *const first_keys[] = {
    "apiVersion", "kind",          "metadata", "name", "generateName", "namespace",
    "labels",     "annotations",   "type",     "host", "path",         "pathType",
    "port",       "containerPort", "protocol", "spec", "data",         NULL};
static const char *const last_keys[] = {"status", NULL};

static int rank_in(const char *const *list, const char *key) {
    for (int i = 0; list[i]; i++)
        if (!strcmp(list[i], key))
            return i;
    return -1;
}

static int key_rank(const char *key) {
    int first = rank_in(first_keys, key);
    return first >= 0 ? first : rank_in(last_keys, key) >= 0 ? 1000 : 500;
}

static int key_order(const void *left, const void *right) {
    const char *a = *(const char *const *)left, *b = *(const char *const *)right;
    int difference = key_rank(a) - key_rank(b);
    return difference ? difference : strcmp(a, b);
}

/* The user's own keys are in the order of their names. */
static int key_plain_order(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool keys_are_the_users(const char *parent) {
    static const char *const maps[] = {"labels",   "annotations", "data",         "stringData",
                                       "selector", "binaryData",  "nodeSelector", NULL};
    return parent && rank_in(maps, parent) >= 0;
}

/* ---- how a text is written ---- */

/* Plain text of these is something else to one reader or another. */
static bool is_word_of_yaml(const char *text) {
    static const char *const words[] = {"~",   "null", "true", "false", "yes",  "no", "on",
                                        "off", "y",    "n",    ".inf",  ".nan", "=",  "<<"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(text, words[i]))
            return true;
    return false;
}

/* What starts like a number may be one: in base 60, with `_` between, in hex, as a date. */
static bool looks_like_a_number(const char *text) {
    const char *at = text + (*text == '-' || *text == '+');
    if (*at == '.')
        at++;
    return isdigit((unsigned char)*at) || !strncasecmp(at, "inf", 3) || !strncasecmp(at, "nan", 3);
}

/* Digits and what is in no number of any reader: 10.11.0.7, 80-8080, 1.2.3-beta, but not 12e4, 0x1f, 1_000, 1:30 or 2026-01-02. */
static bool is_no_number_for_sure(const char *text) {
    size_t dots = 0;
    for (const char *at = text; *at; at++)
        dots += *at == '.';
    bool letters = strpbrk(text, "gGhHjJkKlLmMpPqQrRsSuUvVwWyYzZ") != NULL;
    return (dots > 1 && !strpbrk(text, ":_eExX+")) || (letters && !strpbrk(text, ":_ "));
}

static bool is_plain_character(unsigned char c) {
    return c >= 0x80 || isalnum(c) || strchr("-_./+()$^*;<>~=@%!?&|,'\"\\", c);
}

static bool is_plain(const char *text) {
    if (!*text || is_word_of_yaml(text))
        return false;
    if (looks_like_a_number(text) && !is_no_number_for_sure(text))
        return false;
    if (!isalnum((unsigned char)*text) && !strchr("/_.+", *text) && (unsigned char)*text < 0x80)
        return false;
    for (const char *at = text; *at; at++) {
        bool inner = at > text && at[1];
        bool blank = *at == ' ' && inner && at[1] != '#' && at[-1] != ':';
        bool colon = *at == ':' && inner && at[1] != ' ';
        if (!is_plain_character((unsigned char)*at) && !blank && !colon)
            return false;
    }
    return true;
}

/* Characters that only double quotes can carry: controls, a CR, what is invisible or ends a line in other alphabets. */
static bool needs_escapes(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if ((*at < 0x20 && *at != '\n') || *at == 0x7f)
            return true;
        if ((at[0] == 0xc2 && at[1] < 0xa1) || (at[0] == 0xe2 && at[1] == 0x80) ||
            (at[0] == 0xef && at[1] == 0xbb) || (at[0] == 0xef && at[1] == 0xbf))
            return true;
    }
    return false;
}

/* A block keeps its text only if its first line tells the indentation, and none ends in blanks. */
static bool is_block(const char *text) {
    size_t length = strlen(text);
    return strchr(text, '\n') && *text != ' ' && *text != '\n' && !strstr(text, " \n") &&
           text[length - 1] != ' ';
}

static yaml_scalar_style_t style_of(const char *text, bool is_key) {
    if (needs_escapes(text))
        return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    if (strchr(text, '\n'))
        return !is_key && is_block(text) ? YAML_LITERAL_SCALAR_STYLE
                                         : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    return is_plain(text) ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
}

/* ---- events ---- */

static int writing_take(void *data, unsigned char *bytes, size_t size) {
    struct writing *w = data;
    if (w->length + size + 1 > w->room) {
        size_t room = (w->length + size + 1) * 2;
        char *text = realloc(w->text, room);
        if (!text)
            return 0;
        w->text = text;
        w->room = room;
    }
    memcpy(w->text + w->length, bytes, size);
    w->length += size;
    w->text[w->length] = 0;
    return 1;
}

/* `made` says whether the event could be made at all. */
static void emit(struct writing *w, int made, yaml_event_t *event) {
    if (!made || w->bad || !yaml_emitter_emit(&w->emitter, event)) {
        if (made && w->bad)
            yaml_event_delete(event);
        w->bad = true;
    }
}

static void scalar_write(struct writing *w, const char *text, yaml_scalar_style_t style) {
    yaml_event_t event;
    int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                            (int)strlen(text), 1, 1, style);
    emit(w, made, &event);
}

static void number_write(struct writing *w, const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    if (text)
        scalar_write(w, text, YAML_PLAIN_SCALAR_STYLE);
    else
        w->bad = true;
    free(text);
}

static void value_write(struct writing *w, const json_t *value, const char *parent, size_t depth);

static void list_write(struct writing *w, const json_t *list, const char *parent, size_t depth) {
    yaml_event_t event;
    yaml_sequence_style_t style =
        json_array_size(list) ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE;
    json_t *item;
    size_t i;
    emit(w, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style), &event);
    json_array_foreach(list, i, item) {
        value_write(w, item, parent, depth + 1);
    }
    emit(w, yaml_sequence_end_event_initialize(&event), &event);
}

static void map_write(struct writing *w, const json_t *map, const char *parent, size_t depth) {
    yaml_event_t event;
    yaml_mapping_style_t style =
        json_object_size(map) ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE;
    size_t count = 0;
    const char *key, **keys = calloc(json_object_size(map) + 1, sizeof *keys);
    json_t *value;
    if (!keys) {
        w->bad = true;
        return;
    }
    json_object_foreach((json_t *)map, key, value) {
        keys[count++] = key;
    }
    qsort(keys, count, sizeof *keys, keys_are_the_users(parent) ? key_plain_order : key_order);
    emit(w, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style), &event);
    for (size_t i = 0; i < count && !w->bad; i++) {
        scalar_write(w, keys[i], style_of(keys[i], true));
        value_write(w, json_object_get(map, keys[i]), keys[i], depth + 1);
    }
    emit(w, yaml_mapping_end_event_initialize(&event), &event);
    free(keys);
}

static void value_write(struct writing *w, const json_t *value, const char *parent, size_t depth) {
    const char *text = json_string_value(value);
    if (depth > YAML_OUT_DEPTH || (text && strlen(text) != json_string_length(value)))
        w->bad = true;
    else if (json_is_object(value))
        map_write(w, value, parent, depth);
    else if (json_is_array(value))
        list_write(w, value, parent, depth);
    else if (text)
        scalar_write(w, text, style_of(text, false));
    else
        number_write(w, value); /* and true, false, null: YAML writes them alike */
}

char *yaml_out(const json_t *object, size_t *ret_length) {
    struct writing w = {0};
    yaml_event_t event;
    if (!yaml_emitter_initialize(&w.emitter))
        return NULL;
    yaml_emitter_set_output(&w.emitter, writing_take, &w);
    yaml_emitter_set_unicode(&w.emitter, 1);
    yaml_emitter_set_width(&w.emitter, -1);
    emit(&w, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event);
    emit(&w, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event);
    value_write(&w, object, NULL, 1);
    emit(&w, yaml_document_end_event_initialize(&event, 1), &event);
    emit(&w, yaml_stream_end_event_initialize(&event), &event);
    yaml_emitter_delete(&w.emitter);
    if (!w.bad) {
        *ret_length = w.length;
        return w.text;
    }
    free(w.text);
    return NULL;
}

/* ---- file names ---- */

bool yaml_file_name(const char *kind, const char *name, char ret[YAML_NAME_MAX + 1]) {
    static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t kind_length = strlen(kind), name_length = strlen(name);
    size_t length = kind_length + 1 + name_length + strlen(".yaml");
    if (!kind_length || !name_length || length > YAML_NAME_MAX)
        return false;
    for (size_t i = 0; i < kind_length; i++) {
        if (!isalpha((unsigned char)kind[i]))
            return false;
        ret[i] = (char)tolower((unsigned char)kind[i]);
    }
    if (strspn(name, inner) != name_length || strchr("-_.", name[0]))
        return false;
    snprintf(ret + kind_length, YAML_NAME_MAX + 1 - kind_length, ".%s.yaml", name);
    return true;
}
