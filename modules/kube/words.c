/* SPDX-License-Identifier: GPL-3.0-or-later
 * words.c - see words.h. Regular expressions of the sentences are upstream's; what is checked is said by loops.
 */
#include "modules/kube/words.h"
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define LABEL_RE "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define LOOSE_RE "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"

static bool is_small(char c) {
    return (c >= 'a' && c <= 'z') || isdigit((unsigned char)c);
}

static bool is_any(char c) {
    return isalnum((unsigned char)c);
}

/* `text` of at most `most`: ends by `outer`, all else by `outer` or one of `inner`. */
static bool is_made_of(const char *text, size_t length, bool (*outer)(char), const char *inner) {
    if (!length || !outer(text[0]) || !outer(text[length - 1]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!outer(text[i]) && !(text[i] && strchr(inner, text[i])))
            return false;
    return true;
}

/* Labels between dots. */
static bool is_subdomain(const char *text, const char *inner) {
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ".");
        if (!is_made_of(at, length, is_small, inner))
            return false;
        at += length;
        if (!*at)
            return true;
    }
}

static const char too_long_253[] = "must be no more than 253 characters";
static const char too_long_63[] = "must be no more than 63 characters";
static const char too_long_15[] = "must be no more than 15 characters";

const char *word_name(const char *text) {
    if (strlen(text) > 253)
        return too_long_253;
    if (is_made_of(text, strlen(text), is_small, "-_."))
        return NULL;
    return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
           "'_', "
           "'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', "
           "regex used for validation is '" LOOSE_RE "(\\." LOOSE_RE ")*')";
}

const char *word_label(const char *text) {
    if (strlen(text) > 63)
        return too_long_63;
    if (is_made_of(text, strlen(text), is_small, "-"))
        return NULL;
    return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
           "and must start and end with an alphanumeric character (e.g. 'my-name',  or "
           "'123-abc', regex used for validation is '" LABEL_RE "')";
}

const char *word_host(const char *text) {
    if (strlen(text) > 253)
        return too_long_253;
    if (is_subdomain(text, "-"))
        return NULL;
    return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
           "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', "
           "regex used for validation is '" LABEL_RE "(\\." LABEL_RE ")*')";
}

const char *word_wildcard(const char *text) {
    if (strlen(text) > 253)
        return too_long_253;
    if (!strncmp(text, "*.", 2) && is_subdomain(text + 2, "-"))
        return NULL;
    return "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
           "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "
           "alphanumeric character (e.g. '*.example.com', regex used for validation is "
           "'\\*\\." LABEL_RE "(\\." LABEL_RE ")*')";
}

const char *word_label_key(const char *text) {
    const char *slash = strchr(text, '/'), *name = slash ? slash + 1 : text;
    size_t length = strlen(name);
    char prefix[254];
    if (slash) {
        size_t n = (size_t)(slash - text);
        if (!n)
            return "prefix part must be non-empty";
        if (n > 253)
            return "prefix part must be no more than 253 characters";
        memcpy(prefix, text, n);
        prefix[n] = 0;
        if (!is_subdomain(prefix, "-"))
            return "prefix part a lowercase RFC 1123 subdomain must consist of lower case "
                   "alphanumeric characters, '-' or '.', and must start and end with an "
                   "alphanumeric character (e.g. 'example.com', regex used for validation is "
                   "'" LABEL_RE "(\\." LABEL_RE ")*')";
    }
    if (!length)
        return "name part must be non-empty";
    if (length > 63)
        return "name part must be no more than 63 characters";
    if (is_made_of(name, length, is_any, "-_."))
        return NULL;
    return "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
           "end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex "
           "used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
}

const char *word_label_value(const char *text) {
    if (strlen(text) > 63)
        return too_long_63;
    if (!*text || is_made_of(text, strlen(text), is_any, "-_."))
        return NULL;
    return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "
           "or "
           "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
           "'my_value',  or '12345', regex used for validation is "
           "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
}

const char *word_data_key(const char *text) {
    size_t length = strlen(text), plain = 0;
    while (text[plain] && (is_any(text[plain]) || strchr("-_.", text[plain])))
        plain++;
    if (length > 253)
        return too_long_253;
    if (!length || plain < length)
        return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
               "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
               "'[-._a-zA-Z0-9]+')";
    if (!strcmp(text, "."))
        return "must not be '.'";
    if (!strcmp(text, ".."))
        return "must not be '..'";
    return strncmp(text, "..", 2) ? NULL : "must not start with '..'";
}

const char *word_port_name(const char *text) {
    size_t length = strlen(text);
    if (length > 15)
        return too_long_15;
    if (strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
    if (!strpbrk(text, "abcdefghijklmnopqrstuvwxyz"))
        return "must contain at least one letter (a-z)";
    if (strstr(text, "--"))
        return "must not contain consecutive hyphens";
    return text[0] == '-' || text[length - 1] == '-' ? "must not begin or end with a hyphen" : NULL;
}

const char *word_port_number(json_int_t number) {
    return number >= 1 && number <= 65535 ? NULL : "must be between 1 and 65535, inclusive";
}
