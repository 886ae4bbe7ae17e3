/* SPDX-License-Identifier: GPL-3.0-or-later
 * table.c - see table.h. Columns and their words are those of the API server's own printers.
 */
#include "modules/kube/table.h"
#include "modules/kube/parts.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CELL_MAX = 4096, COLUMNS_MOST = 10, ENDPOINTS_SHOWN = 3 };

struct cells {
    const json_t *object, *metadata, *spec, *status;
    int64_t now;
    json_t *list;
};
struct column {
    const char *name, *type, *format;
    int priority; /* 1: with -o wide only */
};

/* ---- words ---- */

static const char *age_two(long long high, const char *high_unit, long long low,
                           const char *low_unit, char out[AGE_MAX]) {
    if (low)
        snprintf(out, AGE_MAX, "%lld%s%lld%s", high, high_unit, low, low_unit);
    else
        snprintf(out, AGE_MAX, "%lld%s", high, high_unit);
    return out;
}

const char *age_text(int64_t seconds, char out[AGE_MAX]) {
    long long s = seconds < 0 ? 0 : seconds, minutes = s / 60, hours = s / 3600, days = s / 86400;
    if (s < 120)
        return age_two(s, "s", 0, "", out);
    if (minutes < 10)
        return age_two(minutes, "m", s % 60, "s", out);
    if (minutes < 180)
        return age_two(minutes, "m", 0, "", out);
    if (hours < 8)
        return age_two(hours, "h", minutes % 60, "m", out);
    if (hours < 48)
        return age_two(hours, "h", 0, "", out);
    if (days < 8)
        return age_two(days, "d", hours % 24, "h", out);
    if (days < 730)
        return age_two(days, "d", 0, "", out);
    if (days < 365 * 8)
        return age_two(days / 365, "y", days % 365, "d", out);
    return age_two(days / 365, "y", 0, "", out);
}

static const char *age_since(const char *when, int64_t now, char out[AGE_MAX]) {
    struct tm tm = {0};
    const char *end = strptime(when, "%Y-%m-%dT%H:%M:%S", &tm);
    return end ? age_text(now - timegm(&tm), out) : "<unknown>";
}

/* ---- cells ---- */

static void cell(struct cells *c, const char *text) {
    json_t *value = json_string(text);
    json_array_append_new(c->list, value ? value : json_string(""));
}

static void cell_number(struct cells *c, json_int_t number) {
    json_array_append_new(c->list, json_integer(number));
}

static void cell_or_none(struct cells *c, const char *text) {
    cell(c, *text ? text : "<none>");
}

static void cell_age(struct cells *c) {
    char age[AGE_MAX];
    cell(c, age_since(text_of(c->metadata, "creationTimestamp"), c->now, age));
}

struct words { /* joined by commas, cut where there is no more room */
    char text[CELL_MAX];
    size_t length, count;
};

__attribute__((format(printf, 2, 3))) static void words_add(struct words *w, const char *format,
                                                            ...) {
    va_list args;
    size_t room = sizeof w->text - w->length;
    int comma = w->count++ ? snprintf(w->text + w->length, room, ",") : 0;
    va_start(args, format);
    if (comma >= 0 && (size_t)comma < room)
        comma += vsnprintf(w->text + w->length + comma, room - (size_t)comma, format, args);
    va_end(args);
    w->length += (size_t)comma < room ? (size_t)comma : room - 1;
}

static void cell_words(struct cells *c, const struct words *w, const char *none) {
    cell(c, w->count ? w->text : none);
}

static void cell_dict(struct cells *c, json_t *dict) {
    struct words w = {.length = 0};
    const char *key;
    json_t *value;
    json_object_foreach(dict, key, value) {
        if (json_is_string(value))
            words_add(&w, "%s=%s", key, json_string_value(value));
    }
    cell_words(c, &w, "<none>");
}

/* ---- Ingress ---- */

static const struct column ingress_columns[] = {{"Name", "string", "name", 0},
                                                {"Class", "string", "", 0},
                                                {"Hosts", "string", "", 0},
                                                {"Address", "string", "", 0},
                                                {"Ports", "string", "", 0},
                                                {"Age", "string", "", 0},
                                                {.name = NULL}};

static void cell_load_balancer(struct cells *c) {
    struct words w = {.length = 0};
    json_t *at;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(c->status, "loadBalancer"), "ingress"), i,
                       at) {
        const char *ip = text_of(at, "ip");
        words_add(&w, "%s", *ip ? ip : text_of(at, "hostname"));
    }
    cell_words(c, &w, "");
}

static void ingress_cells(struct cells *c) {
    const json_t *rules = json_object_get(c->spec, "rules");
    struct words w = {.length = 0};
    size_t i, count = json_array_size(rules);
    for (i = 0; i < count && i < ENDPOINTS_SHOWN; i++) {
        const char *host = text_of(json_array_get(rules, i), "host");
        words_add(&w, "%s", *host ? host : "*");
    }
    if (count > ENDPOINTS_SHOWN) {
        size_t n = strlen(w.text);
        snprintf(w.text + n, sizeof w.text - n, " + %zu more...", count - ENDPOINTS_SHOWN);
    }
    cell_or_none(c, text_of(c->spec, "ingressClassName"));
    cell_words(c, &w, "*");
    cell_load_balancer(c);
    cell(c, json_array_size(json_object_get(c->spec, "tls")) ? "80, 443" : "80");
    cell_age(c);
}

/* ---- Service ---- */

static const struct column service_columns[] = {
    {"Name", "string", "name", 0},   {"Type", "string", "", 0},
    {"Cluster-IP", "string", "", 0}, {"External-IP", "string", "", 0},
    {"Port(s)", "string", "", 0},    {"Age", "string", "", 0},
    {"Selector", "string", "", 1},   {.name = NULL}};

static void service_cells(struct cells *c) {
    struct words w = {.length = 0};
    json_t *port;
    size_t i;
    json_array_foreach(json_object_get(c->spec, "ports"), i, port) {
        const char *protocol = text_of(port, "protocol");
        json_int_t node = int_of(port, "nodePort"), number = int_of(port, "port");
        if (node)
            words_add(&w, "%lld:%lld/%s", (long long)number, (long long)node, protocol);
        else
            words_add(&w, "%lld/%s", (long long)number, protocol);
    }
    cell(c, text_of(c->spec, "type"));
    cell_or_none(c, text_of(c->spec, "clusterIP"));
    cell_or_none(c, text_of(c->spec, "externalName"));
    cell_words(c, &w, "<none>");
    cell_age(c);
    cell_dict(c, json_object_get(c->spec, "selector"));
}

/* ---- Pod ---- */

static const struct column pod_columns[] = {{"Name", "string", "name", 0},
                                            {"Ready", "string", "", 0},
                                            {"Status", "string", "", 0},
                                            {"Restarts", "string", "", 0},
                                            {"Age", "string", "", 0},
                                            {"IP", "string", "", 1},
                                            {"Node", "string", "", 1},
                                            {"Nominated Node", "string", "", 1},
                                            {"Readiness Gates", "string", "", 1},
                                            {.name = NULL}};

static json_int_t restarts_of(const json_t *status) {
    json_int_t sum = 0;
    json_t *container;
    size_t i;
    json_array_foreach(json_object_get(status, "containerStatuses"), i, container) {
        sum += int_of(container, "restartCount");
    }
    return sum;
}

static void pod_cells(struct cells *c) {
    size_t containers = json_array_size(json_object_get(c->spec, "containers"));
    bool ready = pod_is_ready(c->status);
    char text[48];
    const char *phase = text_of(c->status, "phase");
    snprintf(text, sizeof text, "%zu/%zu", ready ? containers : 0, containers);
    cell(c, text);
    cell_or_none(c, phase);
    snprintf(text, sizeof text, "%lld", (long long)restarts_of(c->status));
    cell(c, text);
    cell_age(c);
    cell_or_none(c, text_of(c->status, "podIP"));
    cell_or_none(c, text_of(c->spec, "nodeName"));
    cell(c, "<none>");
    cell(c, "<none>");
}

/* ---- Secret, ConfigMap, Image ---- */

static const struct column secret_columns[] = {{"Name", "string", "name", 0},
                                               {"Type", "string", "", 0},
                                               {"Data", "string", "", 0},
                                               {"Age", "string", "", 0},
                                               {.name = NULL}};

static void secret_cells(struct cells *c) {
    cell(c, text_of(c->object, "type"));
    cell_number(c, (json_int_t)json_object_size(json_object_get(c->object, "data")));
    cell_age(c);
}

static const struct column config_map_columns[] = {{"Name", "string", "name", 0},
                                                   {"Data", "string", "", 0},
                                                   {"Age", "string", "", 0},
                                                   {.name = NULL}};

static void config_map_cells(struct cells *c) {
    cell_number(c, (json_int_t)json_object_size(json_object_get(c->object, "data")));
    cell_age(c);
}

static const struct column image_columns[] = {{"Name", "string", "name", 0},
                                              {"Ref", "string", "", 0},
                                              {"Age", "string", "", 0},
                                              {.name = NULL}};

static void image_cells(struct cells *c) {
    cell(c, text_of(c->spec, "ref"));
    cell_age(c);
}

/* ---- Endpoints, EndpointSlice ---- */

static const struct column endpoints_columns[] = {{"Name", "string", "name", 0},
                                                  {"Endpoints", "string", "", 0},
                                                  {"Age", "string", "", 0},
                                                  {.name = NULL}};

static void subset_words(struct words *w, const json_t *subset, size_t *count) {
    json_t *port, *address;
    size_t i, k;
    json_array_foreach(json_object_get(subset, "ports"), i, port) {
        json_array_foreach(json_object_get(subset, "addresses"), k, address) {
            const char *ip = text_of(address, "ip");
            if ((*count)++ < ENDPOINTS_SHOWN)
                words_add(w, strchr(ip, ':') ? "[%s]:%lld" : "%s:%lld", ip,
                          (long long)int_of(port, "port"));
        }
    }
}

static void endpoints_cells(struct cells *c) {
    struct words w = {.length = 0};
    json_t *subset;
    size_t i, count = 0;
    json_array_foreach(json_object_get(c->object, "subsets"), i, subset) {
        subset_words(&w, subset, &count);
    }
    if (count > ENDPOINTS_SHOWN) {
        size_t n = strlen(w.text);
        snprintf(w.text + n, sizeof w.text - n, " + %zu more...", count - ENDPOINTS_SHOWN);
    }
    cell_words(c, &w, "<none>");
    cell_age(c);
}

static const struct column slice_columns[] = {
    {"Name", "string", "name", 0},  {"AddressType", "string", "", 0}, {"Ports", "string", "", 0},
    {"Endpoints", "string", "", 0}, {"Age", "string", "", 0},         {.name = NULL}};

static void slice_cells(struct cells *c) {
    struct words ports = {.length = 0}, at = {.length = 0};
    json_t *item;
    size_t i;
    json_array_foreach(json_object_get(c->object, "ports"), i, item) {
        words_add(&ports, "%lld", (long long)int_of(item, "port"));
    }
    json_array_foreach(json_object_get(c->object, "endpoints"), i, item) {
        const char *address =
            json_string_value(json_array_get(json_object_get(item, "addresses"), 0));
        if (address && i < ENDPOINTS_SHOWN)
            words_add(&at, "%s", address);
    }
    cell(c, text_of(c->object, "addressType"));
    cell_words(c, &ports, "<unset>");
    cell_words(c, &at, "<unset>");
    cell_age(c);
}

/* ---- Event ---- */

static const struct column event_columns[] = {{"Last Seen", "string", "", 0},
                                              {"Type", "string", "", 0},
                                              {"Reason", "string", "", 0},
                                              {"Object", "string", "", 0},
                                              {"Subobject", "string", "", 1},
                                              {"Source", "string", "", 1},
                                              {"Message", "string", "", 0},
                                              {"First Seen", "string", "", 1},
                                              {"Count", "string", "", 1},
                                              {"Name", "string", "name", 1},
                                              {.name = NULL}};

static void event_cells(struct cells *c) {
    const json_t *about = json_object_get(c->object, "involvedObject");
    char age[AGE_MAX], object[CELL_MAX], *at = object;
    snprintf(object, sizeof object, "%s/%s", text_of(about, "kind"), text_of(about, "name"));
    for (; *at && *at != '/'; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
    cell(c, age_since(text_of(c->object, "lastTimestamp"), c->now, age));
    cell(c, text_of(c->object, "type"));
    cell(c, text_of(c->object, "reason"));
    cell(c, object);
    cell(c, "");
    cell(c, "ringress");
    cell(c, text_of(c->object, "message"));
    cell(c, age_since(text_of(c->object, "firstTimestamp"), c->now, age));
    cell_number(c, int_of(c->object, "count"));
    cell(c, text_of(c->metadata, "name"));
}

/* ---- Namespace, IngressClass ---- */

static const struct column namespace_columns[] = {{"Name", "string", "name", 0},
                                                  {"Status", "string", "", 0},
                                                  {"Age", "string", "", 0},
                                                  {.name = NULL}};

static void namespace_cells(struct cells *c) {
    cell(c, text_of(c->status, "phase"));
    cell_age(c);
}

static const struct column class_columns[] = {{"Name", "string", "name", 0},
                                              {"Controller", "string", "", 0},
                                              {"Parameters", "string", "", 0},
                                              {"Age", "string", "", 0},
                                              {.name = NULL}};

static void class_cells(struct cells *c) {
    cell(c, text_of(c->spec, "controller"));
    cell(c, "<none>");
    cell_age(c);
}

/* ---- all of them ---- */

static const struct column absent_columns[] = {{"Name", "string", "name", 0}, {.name = NULL}};

static const struct printer {
    const char *kind;
    const struct column *column;
    void (*cells)(struct cells *); /* those after the name, which all but Event begin with */
} printers[] = {
    {"Ingress", ingress_columns, ingress_cells},
    {"Service", service_columns, service_cells},
    {"Pod", pod_columns, pod_cells},
    {"Secret", secret_columns, secret_cells},
    {"ConfigMap", config_map_columns, config_map_cells},
    {"Image", image_columns, image_cells},
    {"Endpoints", endpoints_columns, endpoints_cells},
    {"EndpointSlice", slice_columns, slice_cells},
    {"Event", event_columns, event_cells},
    {"Namespace", namespace_columns, namespace_cells},
    {"IngressClass", class_columns, class_cells},
};

static const struct printer *printer_of(const struct kube_kind *kind) {
    static const struct printer absent = {.column = absent_columns};
    for (size_t i = 0; i < sizeof printers / sizeof *printers; i++)
        if (!strcmp(printers[i].kind, kind->kind))
            return &printers[i];
    if (kind->nature == KIND_ABSENT)
        return &absent;
    abort(); /* each other row of kube_kinds has one */
}

json_t *table_new(const struct kube_kind *kind, const char *version, bool with_columns) {
    json_t *columns = json_array();
    for (const struct column *c = printer_of(kind)->column; with_columns && c->name; c++)
        json_array_append_new(columns, json_pack("{s:s s:s s:s s:s s:i}", "name", c->name, "type",
                                                 c->type, "format", c->format, "description", "",
                                                 "priority", c->priority));
    json_t *table = json_pack("{s:s s:s s:{} s:o s:[]}", "kind", "Table", "apiVersion",
                              "meta.k8s.io/v1", "metadata", "columnDefinitions", columns, "rows");
    if (version)
        json_object_set_new(json_object_get(table, "metadata"), "resourceVersion",
                            json_string(version));
    return table;
}

void table_add(json_t *table, const struct kube_kind *kind, json_t *object,
               enum include_object include, int64_t now) {
    json_t *metadata = json_object_get(object, "metadata");
    const struct printer *printer = printer_of(kind);
    struct cells c = {.object = object,
                      .metadata = metadata,
                      .spec = json_object_get(object, "spec"),
                      .status = json_object_get(object, "status"),
                      .now = now,
                      .list = json_array()};
    if (printer->cells != event_cells)
        cell(&c, text_of(metadata, "name"));
    printer->cells(&c);
    json_t *row = json_pack("{s:o}", "cells", c.list);
    if (include == INCLUDE_METADATA)
        json_object_set_new(row, "object",
                            json_pack("{s:s s:s s:O}", "kind", "PartialObjectMetadata",
                                      "apiVersion", "meta.k8s.io/v1", "metadata", metadata));
    else
        json_object_set(row, "object", include == INCLUDE_OBJECT ? object : json_null());
    json_array_append_new(json_object_get(table, "rows"), row);
}
