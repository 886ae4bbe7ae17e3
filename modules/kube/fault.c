/* SPDX-License-Identifier: GPL-3.0-or-later
 * fault.c - see fault.h.
 */
#include "modules/kube/fault.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fault_set(struct fault *fault, int code, const char *reason, const char *format, ...) {
    va_list list;
    char *message = NULL;
    va_start(list, format);
    if (vasprintf(&message, format, list) < 0)
        message = NULL;
    va_end(list);
    free(fault->message);
    fault->code = code;
    fault->reason = reason;
    fault->message = message;
    return false;
}

/* Text of a client's may be cut within a character by whoever quotes it; a Status must be UTF-8 all the same. */
static json_t *text_new(const char *text) {
    json_t *string = json_string(text);
    return string ? string : json_string_nocheck("(not UTF-8)");
}

void fault_cause(struct fault *fault, const char *reason, const char *field, const char *format,
                 ...) {
    va_list list;
    char *message = NULL;
    if (!fault->causes)
        fault->causes = json_array();
    if (json_array_size(fault->causes) >= FAULT_CAUSES_MAX)
        return;
    va_start(list, format);
    if (vasprintf(&message, format, list) < 0)
        message = NULL;
    va_end(list);
    json_t *cause = json_pack("{s:s, s:o}", "reason", reason, "message", text_new(message));
    if (field && *field)
        json_object_set_new(cause, "field", text_new(field));
    json_array_append_new(fault->causes, cause);
    free(message);
}

size_t fault_causes(const struct fault *fault) {
    return json_array_size(fault->causes);
}

static void cause_write(FILE *out, const json_t *cause) {
    const char *field = json_string_value(json_object_get(cause, "field"));
    const char *message = json_string_value(json_object_get(cause, "message"));
    fprintf(out, "%s%s%s", field ? field : "", field ? ": " : "", message ? message : "");
}

/* One cause stands as it is; several are a list in brackets, each once, as upstream aggregates them. */
static void causes_write(FILE *out, const json_t *causes) {
    size_t i, written = 0, count = json_array_size(causes);
    json_t *cause;
    json_array_foreach(causes, i, cause) {
        bool again = false;
        for (size_t j = 0; j < i && !again; j++)
            again = json_equal(json_array_get(causes, j), cause);
        if (again)
            continue;
        fputs(written++ ? ", " : count > 1 ? "[" : "", out);
        cause_write(out, cause);
    }
    if (count > 1)
        fputc(']', out);
}

void fault_invalid(struct fault *fault, const struct fault_about *about) {
    char *message = NULL;
    size_t length;
    FILE *out = open_memstream(&message, &length);
    if (!out)
        return;
    bool grouped = about->group && *about->group;
    fprintf(out, "%s%s%s \"%s\" is invalid", about->kind ? about->kind : "", grouped ? "." : "",
            grouped ? about->group : "", about->name ? about->name : "");
    if (fault_causes(fault)) {
        fputs(": ", out);
        causes_write(out, fault->causes);
    }
    fclose(out);
    free(fault->message);
    fault->message = message;
    fault->code = 422;
    fault->reason = "Invalid";
}

static void detail_set(json_t *details, const char *key, const char *value) {
    if (value && *value)
        json_object_set_new(details, key, text_new(value));
}

json_t *fault_details(const struct fault_about *about) {
    json_t *details = json_object();
    detail_set(details, "name", about->name);
    detail_set(details, "group", about->group);
    detail_set(details, "kind", about->kind);
    return details;
}

json_t *fault_status(const struct fault *fault, const struct fault_about *about) {
    json_t *details = fault_details(about);
    if (fault_causes(fault))
        json_object_set(details, "causes", fault->causes);
    return json_pack("{s:s, s:s, s:{}, s:s, s:o, s:s, s:o, s:i}", "kind", "Status", "apiVersion",
                     "v1", "metadata", "status", "Failure", "message",
                     text_new(fault->message ? fault->message : ""), "reason",
                     fault->reason ? fault->reason : "", "details", details, "code", fault->code);
}

void fault_fini(struct fault *fault) {
    free(fault->message);
    json_decref(fault->causes);
    *fault = (struct fault){0};
}
