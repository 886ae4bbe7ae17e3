/* SPDX-License-Identifier: GPL-3.0-or-later
 * selector.c - see selector.h. A selector is read each time it is applied: it is short, and nothing is kept.
 *
 *   requirement := ["!"] KEY | KEY ("=" | "==" | "!=") VALUE | KEY ("<" | ">") NUMBER | KEY ("in" | "notin") "(" VALUE {"," VALUE} ")"
 */
#include "modules/kube/selector.h"
#include "modules/kube/words.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 320 };

struct reading {
    const char *at;
    struct err *err;
};

static void blanks_skip(struct reading *r) {
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
}

static bool is_label_character(char c) {
    return isalnum((unsigned char)c) || strchr("-_./", c);
}

/* A key or a value: letters, digits and -_./ ; may be empty. */
static bool token_read(struct reading *r, char out[TOKEN_MAX]) {
    size_t n = 0;
    blanks_skip(r);
    while (*r->at && is_label_character(*r->at)) {
        if (n == TOKEN_MAX - 1)
            return err_set(r->err, "a word of the selector is too long");
        out[n++] = *r->at++;
    }
    out[n] = 0;
    blanks_skip(r);
    return true;
}

static bool sign_take(struct reading *r, const char *sign) {
    size_t n = strlen(sign);
    if (strncmp(r->at, sign, n))
        return false;
    r->at += n;
    return true;
}

static bool unexpected(struct reading *r) {
    return err_set(r->err, "found '%.20s', expected: ',' or 'end of string'", r->at);
}

/* The list after in or notin; *ret: `value` (NULL: there is none) is in it. */
static bool set_read(struct reading *r, const char *value, bool *ret) {
    char token[TOKEN_MAX];
    *ret = false;
    if (!sign_take(r, "("))
        return err_set(r->err, "found '%.20s', expected: '('", r->at);
    do {
        if (!token_read(r, token))
            return false;
        *ret |= value && !strcmp(value, token);
    } while (sign_take(r, ","));
    return sign_take(r, ")") || err_set(r->err, "found '%.20s', expected: ',' or ')'", r->at);
}

static bool word_take(struct reading *r, const char *word) {
    size_t n = strlen(word);
    if (strncmp(r->at, word, n) || (r->at[n] != '(' && r->at[n] != ' '))
        return false;
    r->at += n;
    blanks_skip(r);
    return true;
}

static bool number_read(const char *text, long long *ret) {
    char *end;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return *text && !*end && !errno;
}

/* A label that is no number is neither more nor less. */
static bool order_read(struct reading *r, const char *value, bool less, bool *ret) {
    char token[TOKEN_MAX];
    long long is, than;
    if (!token_read(r, token))
        return false;
    if (!number_read(token, &than))
        return err_set(r->err, "for 'Gt', 'Lt' operators, the value must be an integer");
    *ret = value && number_read(value, &is) && (less ? is < than : is > than);
    return true;
}

static bool requirement_read(struct reading *r, const json_t *labels, bool *ret) {
    char key[TOKEN_MAX], token[TOKEN_MAX];
    blanks_skip(r);
    bool negated = sign_take(r, "!"), in;
    if (!token_read(r, key))
        return false;
    if (!*key)
        return err_set(r->err, "found '%.20s', expected: identifier", r->at);
    const char *wrong = word_label_key(key);
    if (wrong)
        return err_set(r->err, "key: Invalid value: \"%.60s\": %.150s", key, wrong);
    const char *value = json_string_value(json_object_get(labels, key));
    *ret = negated ? !value : value != NULL;
    if (negated || !*r->at || *r->at == ',')
        return true;
    if (word_take(r, "in"))
        return set_read(r, value, ret);
    if (word_take(r, "notin")) {
        bool good = set_read(r, value, &in);
        *ret = !in;
        return good;
    }
    bool less = sign_take(r, "<");
    if (less || sign_take(r, ">"))
        return order_read(r, value, less, ret);
    bool differs = sign_take(r, "!=");
    if (!differs && !sign_take(r, "==") && !sign_take(r, "="))
        return err_set(r->err, "found '%.20s', expected: in, notin, =, ==, !=, gt, lt", r->at);
    if (!token_read(r, token))
        return false;
    bool same = value && !strcmp(value, token);
    *ret = differs ? !same : same;
    return true;
}

enum match labels_match(const char *selector, const json_t *object, struct err *err) {
    const json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels");
    struct reading r = {selector ? selector : "", err};
    bool all = true, one = false;
    blanks_skip(&r);
    while (*r.at) {
        if (!requirement_read(&r, labels, &one))
            return MATCH_MALFORMED;
        blanks_skip(&r);
        bool more = sign_take(&r, ",");
        if (*r.at && !more) {
            unexpected(&r);
            return MATCH_MALFORMED;
        }
        blanks_skip(&r);
        if (more && !*r.at) { /* cut short: not what was meant */
            err_set(err, "found '', expected: identifier after ','");
            return MATCH_MALFORMED;
        }
        all &= one;
    }
    return all ? MATCH_YES : MATCH_NO;
}

/* ---- fields ---- */

static const struct {
    const char *kind, *fields; /* beside metadata.name and metadata.namespace */
} selectable[] = {
    {"Event", " involvedObject.kind involvedObject.namespace involvedObject.name "
              "involvedObject.uid involvedObject.apiVersion involvedObject.resourceVersion "
              "involvedObject.fieldPath reason reportingComponent source type "},
    {"Pod", " spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName "
            "spec.hostNetwork status.phase status.podIP status.nominatedNodeName "},
    {"Secret", " type "},
    {"Service", " spec.clusterIP spec.type "},
    {"Namespace", " status.phase "},
};

static bool is_selectable(const struct kube_kind *kind, const char *field) {
    char wanted[TOKEN_MAX + 2];
    if (!strcmp(field, "metadata.name") ||
        (kind->namespaced && !strcmp(field, "metadata.namespace")))
        return true;
    snprintf(wanted, sizeof wanted, " %s ", field);
    for (size_t i = 0; i < sizeof selectable / sizeof *selectable; i++)
        if (!strcmp(selectable[i].kind, kind->kind))
            return strstr(selectable[i].fields, wanted);
    return false;
}

const char *field_text(const json_t *object, const char *path) {
    char key[64];
    while (object) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof key)
            return "";
        memcpy(key, path, n);
        key[n] = 0;
        object = json_object_get(object, key);
        if (!path[n])
            break;
        path += n + 1;
    }
    const char *text = json_string_value(object);
    return text ? text : "";
}

/* Up to a comma; a backslash takes the next character as it is. */
static bool value_read(struct reading *r, char out[TOKEN_MAX]) {
    size_t n = 0;
    for (; *r->at && *r->at != ','; r->at++) {
        if (*r->at == '\\' && r->at[1])
            r->at++;
        if (n == TOKEN_MAX - 1)
            return err_set(r->err, "a value of the selector is too long");
        out[n++] = *r->at;
    }
    out[n] = 0;
    return true;
}

static bool term_read(struct reading *r, const struct kube_kind *kind, const json_t *object,
                      bool *ret) {
    char field[TOKEN_MAX], value[TOKEN_MAX];
    if (!token_read(r, field))
        return false;
    bool differs = sign_take(r, "!=");
    if (!differs && !sign_take(r, "==") && !sign_take(r, "="))
        return err_set(r->err, "invalid selector: '%s%.40s'; can't understand it", field, r->at);
    if (!value_read(r, value))
        return false;
    if (!is_selectable(kind, field))
        return err_set(r->err, "field label not supported: %s", field);
    *ret = !strcmp(field_text(object, field), value) != differs;
    return true;
}

enum match fields_match(const char *selector, const struct kube_kind *kind, const json_t *object,
                        struct err *err) {
    struct reading r = {selector ? selector : "", err};
    bool all = true, one = false;
    while (*r.at) {
        if (!term_read(&r, kind, object, &one))
            return MATCH_MALFORMED;
        if (*r.at == ',')
            r.at++;
        all &= one;
    }
    return all ? MATCH_YES : MATCH_NO;
}
