/* SPDX-License-Identifier: GPL-3.0-or-later
 * validate.c - see validate.h. One function for each thing that has values, in the order upstream reports them; paths are built
 * in one buffer that goes along.
 */
#include "modules/kube/validate.h"
#include "modules/kube/words.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 512, ANNOTATIONS_MOST = 256 << 10 };

struct checking {
    struct fault *fault;
    char path[PATH_ROOM];
    size_t at;
};

/* ---- where ---- */

/* Goes a step down; what comes back is how to go up again. */
__attribute__((format(printf, 2, 3))) static size_t down(struct checking *c, const char *format,
                                                         ...) {
    va_list list;
    size_t was = c->at, room = sizeof c->path - c->at;
    va_start(list, format);
    int n = vsnprintf(c->path + c->at, room, format, list);
    va_end(list);
    c->at += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    return was;
}

static void up(struct checking *c, size_t was) {
    c->path[c->at = was] = 0;
}

/* ---- what ---- */

#define REQUIRED "FieldValueRequired"
#define INVALID "FieldValueInvalid"

/* `.name` below the present path, as a cause. */
#define cause(c, below, reason, ...)                             \
    do {                                                         \
        size_t cause_was = down(c, "%s", below);                 \
        fault_cause((c)->fault, reason, (c)->path, __VA_ARGS__); \
        up(c, cause_was);                                        \
    } while (0)

static void invalid_text(struct checking *c, const char *below, const char *text, const char *why) {
    json_t *value = json_string(text);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    if (why)
        cause(c, below, INVALID, "Invalid value: %.1024s: %s", quoted ? quoted : "\"\"", why);
    free(quoted);
    json_decref(value);
}

static const char *text_at(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is_listed(const char *text, const char *const *list) {
    for (; *list; list++)
        if (!strcmp(text, *list))
            return true;
    return false;
}

/* One of a few words; "" is left to defaults. */
static void supported(struct checking *c, const char *below, const char *text,
                      const char *const *list) {
    char choices[200] = "";
    if (!*text || is_listed(text, list))
        return;
    for (size_t i = 0, n = 0; list[i] && n < sizeof choices; i++)
        n += (size_t)snprintf(choices + n, sizeof choices - n, "%s\"%s\"", i ? ", " : "", list[i]);
    cause(c, below, "FieldValueNotSupported", "Unsupported value: \"%.200s\": supported values: %s",
          text, choices);
}

static void port_number(struct checking *c, const char *below, json_int_t number) {
    const char *why = word_port_number(number);
    if (why)
        cause(c, below, INVALID, "Invalid value: %" JSON_INTEGER_FORMAT ": %s", number, why);
}

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

/* ---- metadata ---- */

static void labels_check(struct checking *c, const json_t *labels, bool values) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)labels, key, value) {
        const char *text = json_string_value(value);
        invalid_text(c, "", key, word_label_key(key));
        if (values && text && strncmp(key, "kr.ingress.", strlen("kr.ingress.")) != 0)
            invalid_text(c, "", text, word_label_value(text));
    }
}

static void annotations_weigh(struct checking *c, const json_t *annotations) {
    const char *key;
    json_t *value;
    size_t sum = 0;
    json_object_foreach((json_t *)annotations, key, value) {
        sum += strlen(key) + json_string_length(value);
    }
    if (sum > ANNOTATIONS_MOST)
        cause(c, "", "FieldValueTooLong", "Too long: may not be more than %d bytes",
              ANNOTATIONS_MOST);
}

static void metadata_check(struct checking *c, const json_t *object, const json_t *old) {
    static const char *const immutable[] = {"uid", "creationTimestamp", NULL};
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *was = json_object_get(old, "metadata");
    const char *name = text_at(metadata, "name");
    size_t root = down(c, "metadata");
    if (!*name && !*text_at(metadata, "generateName"))
        cause(c, ".name", REQUIRED, "Required value: name or generateName is required");
    else if (*name)
        invalid_text(c, ".name", name, word_name(name));
    size_t below = down(c, ".labels");
    labels_check(c, json_object_get(metadata, "labels"), true);
    up(c, below);
    below = down(c, ".annotations");
    labels_check(c, json_object_get(metadata, "annotations"), false);
    annotations_weigh(c, json_object_get(metadata, "annotations"));
    up(c, below);
    for (size_t i = 0; old && immutable[i]; i++) {
        const char *is = text_at(metadata, immutable[i]), *before = text_at(was, immutable[i]);
        below = down(c, ".");
        if (*is && *before && strcmp(is, before) != 0)
            invalid_text(c, immutable[i], is, "field is immutable");
        up(c, below);
    }
    up(c, root);
}

/* ---- Ingress ---- */

static void backend_check(struct checking *c, const json_t *backend) {
    const json_t *service = json_object_get(backend, "service");
    const json_t *resource = json_object_get(backend, "resource");
    const json_t *port = json_object_get(service, "port");
    const char *port_name = text_at(port, "name");
    json_int_t number = json_integer_value(json_object_get(port, "number"));
    if (resource && service)
        cause(c, "", INVALID, "Invalid value: \"\": cannot set both resource and service backends");
    else if (!resource && !service)
        cause(c, "", INVALID, "Invalid value: \"\": resource or service backend is required");
    if (resource || !service)
        return;
    if (!*text_at(service, "name"))
        cause(c, ".service.name", REQUIRED, "Required value");
    else
        invalid_text(c, ".service.name", text_at(service, "name"),
                     word_name(text_at(service, "name")));
    if (*port_name && number)
        cause(c, "", INVALID, "Invalid value: \"\": cannot set both port name & port number");
    else if (*port_name)
        invalid_text(c, ".service.port.name", port_name, word_port_name(port_name));
    else if (number)
        port_number(c, ".service.port.number", number);
    else
        cause(c, "", REQUIRED, "Required value: port name or number is required");
}

static void path_text_check(struct checking *c, const char *path) {
    static const char *const within[] = {"//", "/./", "/../", "%2f", "%2F", NULL};
    static const char *const ends[] = {"/..", "/.", NULL};
    char why[64];
    size_t length = strlen(path);
    if (*path != '/')
        invalid_text(c, ".path", path, "must be an absolute path");
    for (size_t i = 0; within[i]; i++) {
        snprintf(why, sizeof why, "must not contain '%s'", within[i]);
        if (strstr(path, within[i]))
            invalid_text(c, ".path", path, why);
    }
    for (size_t i = 0; ends[i]; i++) {
        size_t n = strlen(ends[i]);
        snprintf(why, sizeof why, "cannot end with '%s'", ends[i]);
        if (length >= n && !strcmp(path + length - n, ends[i]))
            invalid_text(c, ".path", path, why);
    }
}

static void path_check(struct checking *c, const json_t *path) {
    static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
    const char *type = text_at(path, "pathType"), *text = text_at(path, "path");
    if (!json_is_string(json_object_get(path, "pathType"))) {
        cause(c, ".pathType", REQUIRED, "Required value: pathType must be specified");
        return;
    }
    if (!*type || !is_listed(type, types))
        cause(c, ".pathType", "FieldValueNotSupported",
              "Unsupported value: \"%.100s\": supported values: \"Exact\", "
              "\"ImplementationSpecific\", \"Prefix\"",
              type);
    else if (*text || strcmp(type, "ImplementationSpecific") != 0)
        path_text_check(c, text);
    size_t was = down(c, ".backend");
    backend_check(c, json_object_get(path, "backend"));
    up(c, was);
}

/* An address of four numbers is a host name to RFC 1123, and none to anybody. */
static bool is_address(const char *host) {
    return *host && strspn(host, "0123456789.") == strlen(host) && strchr(host, '.');
}

static void host_check(struct checking *c, const char *below, const char *host) {
    if (is_address(host))
        invalid_text(c, below, host, "must be a DNS name, not an IP address");
    invalid_text(c, below, host, strchr(host, '*') ? word_wildcard(host) : word_host(host));
}

static void rule_check(struct checking *c, const json_t *rule) {
    const json_t *http = json_object_get(rule, "http"), *paths = json_object_get(http, "paths");
    json_t *path;
    size_t i;
    if (*text_at(rule, "host"))
        host_check(c, ".host", text_at(rule, "host"));
    if (http && !json_array_size(paths))
        cause(c, ".http.paths", REQUIRED, "Required value");
    json_array_foreach(paths, i, path) {
        size_t was = down(c, ".http.paths[%zu]", i);
        path_check(c, path);
        up(c, was);
    }
}

static void tls_check(struct checking *c, const json_t *tls) {
    const char *secret = text_at(tls, "secretName");
    json_t *host;
    size_t i;
    json_array_foreach(json_object_get(tls, "hosts"), i, host) {
        size_t was = down(c, ".hosts[%zu]", i);
        const char *text = json_string_value(host);
        if (text)
            invalid_text(c, "", text, strchr(text, '*') ? word_wildcard(text) : word_host(text));
        up(c, was);
    }
    if (*secret)
        invalid_text(c, ".secretName", secret, word_name(secret));
}

static void ingress_check(struct checking *c, const json_t *object) {
    const json_t *spec = json_object_get(object, "spec"), *backend;
    const char *class = text_at(spec, "ingressClassName");
    json_t *rule, *tls;
    size_t i, root = down(c, "spec");
    backend = json_object_get(spec, "defaultBackend");
    if (backend) {
        size_t was = down(c, ".defaultBackend");
        backend_check(c, backend);
        up(c, was);
    }
    json_array_foreach(json_object_get(spec, "rules"), i, rule) {
        size_t was = down(c, ".rules[%zu]", i);
        rule_check(c, rule);
        up(c, was);
    }
    json_array_foreach(json_object_get(spec, "tls"), i, tls) {
        size_t was = down(c, ".tls[%zu]", i);
        tls_check(c, tls);
        up(c, was);
    }
    if (*class)
        invalid_text(c, ".ingressClassName", class, word_host(class));
    up(c, root);
}

/* ---- Service ---- */

static void target_check(struct checking *c, const json_t *target) {
    if (json_is_integer(target))
        port_number(c, ".targetPort", json_integer_value(target));
    else if (json_is_string(target))
        invalid_text(c, ".targetPort", json_string_value(target),
                     word_port_name(json_string_value(target)));
}

static void port_check(struct checking *c, const json_t *port, bool named, json_t *names,
                       json_t *numbers) {
    const char *name = text_at(port, "name"), *protocol = text_at(port, "protocol");
    json_int_t number = json_integer_value(json_object_get(port, "port"));
    char key[64];
    if (!*name && named)
        cause(c, ".name", REQUIRED, "Required value");
    else if (*name && json_object_get(names, name))
        cause(c, ".name", "FieldValueDuplicate", "Duplicate value: \"%s\"", name);
    else if (*name)
        invalid_text(c, ".name", name, word_label(name));
    json_object_set_new(names, name, json_true());
    port_number(c, ".port", number);
    supported(c, ".protocol", protocol, protocols);
    target_check(c, json_object_get(port, "targetPort"));
    snprintf(key, sizeof key, "{\"port\":%" JSON_INTEGER_FORMAT ",\"protocol\":\"%.8s\"}", number,
             *protocol ? protocol : "TCP");
    if (json_object_get(numbers, key))
        cause(c, "", "FieldValueDuplicate", "Duplicate value: %s", key);
    json_object_set_new(numbers, key, json_true());
}

static void node_port_check(struct checking *c, const json_t *port, const char *type,
                            json_t *numbers) {
    json_int_t number = json_integer_value(json_object_get(port, "nodePort"));
    char key[64];
    if (!number)
        return;
    if (!*type || !strcmp(type, "ClusterIP"))
        cause(c, ".nodePort", "FieldValueForbidden",
              "Forbidden: may not be used when `type` is 'ClusterIP'");
    snprintf(key, sizeof key, "nodePort %" JSON_INTEGER_FORMAT "/%.8s", number,
             text_at(port, "protocol"));
    if (json_object_get(numbers, key))
        cause(c, ".nodePort", "FieldValueDuplicate", "Duplicate value: %" JSON_INTEGER_FORMAT,
              number);
    json_object_set_new(numbers, key, json_true());
}

static void service_check(struct checking *c, const json_t *object) {
    static const char *const affinities[] = {"ClientIP", "None", NULL};
    static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort",
                                        NULL};
    const json_t *spec = json_object_get(object, "spec"), *ports = json_object_get(spec, "ports");
    bool external = !strcmp(text_at(spec, "type"), "ExternalName");
    bool headless = !strcmp(text_at(spec, "clusterIP"), "None");
    json_t *port, *names = json_object(), *numbers = json_object();
    size_t i, root = down(c, "spec");
    if (!json_array_size(ports) && !external && !headless)
        cause(c, ".ports", REQUIRED, "Required value");
    json_array_foreach(ports, i, port) {
        size_t was = down(c, ".ports[%zu]", i);
        port_check(c, port, json_array_size(ports) > 1, names, numbers);
        node_port_check(c, port, text_at(spec, "type"), numbers);
        up(c, was);
    }
    supported(c, ".sessionAffinity", text_at(spec, "sessionAffinity"), affinities);
    supported(c, ".type", text_at(spec, "type"), types);
    if (external && !*text_at(spec, "externalName"))
        cause(c, ".externalName", REQUIRED, "Required value");
    else if (external)
        invalid_text(c, ".externalName", text_at(spec, "externalName"),
                     word_host(text_at(spec, "externalName")));
    size_t was = down(c, ".selector");
    labels_check(c, json_object_get(spec, "selector"), true);
    up(c, was);
    up(c, root);
    json_decref(names);
    json_decref(numbers);
}

/* ---- Pod ---- */

static void container_check(struct checking *c, const json_t *container, json_t *names) {
    const char *name = text_at(container, "name");
    json_t *port;
    size_t i;
    if (!*name)
        cause(c, ".name", REQUIRED, "Required value");
    else if (json_object_get(names, name))
        cause(c, ".name", "FieldValueDuplicate", "Duplicate value: \"%s\"", name);
    else
        invalid_text(c, ".name", name, word_name(name));
    json_object_set_new(names, name, json_true());
    json_array_foreach(json_object_get(container, "ports"), i, port) {
        size_t was = down(c, ".ports[%zu]", i);
        if (!json_object_get(port, "containerPort"))
            cause(c, ".containerPort", REQUIRED, "Required value");
        else
            port_number(c, ".containerPort",
                        json_integer_value(json_object_get(port, "containerPort")));
        if (*text_at(port, "name"))
            invalid_text(c, ".name", text_at(port, "name"), word_port_name(text_at(port, "name")));
        supported(c, ".protocol", text_at(port, "protocol"), protocols);
        up(c, was);
    }
}

static void pod_check(struct checking *c, const json_t *object) {
    json_t *container, *names = json_object();
    size_t i;
    json_array_foreach(json_object_get(json_object_get(object, "spec"), "containers"), i,
                       container) {
        size_t was = down(c, "spec.containers[%zu]", i);
        container_check(c, container, names);
        up(c, was);
    }
    json_decref(names);
}

/* ---- Secret, ConfigMap, EndpointSlice ---- */

static void data_check(struct checking *c, const json_t *object, const char *field) {
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(object, field), key, value) {
        size_t was = down(c, "%s[%.253s]", field, key);
        invalid_text(c, "", key, word_data_key(key));
        up(c, was);
    }
}

static void immutable_check(struct checking *c, const json_t *object, const json_t *old,
                            const char *const *fields) {
    if (!json_is_true(json_object_get(old, "immutable")))
        return;
    if (!json_is_true(json_object_get(object, "immutable")))
        cause(c, "immutable", "FieldValueForbidden",
              "Forbidden: field is immutable when `immutable` is set");
    for (; *fields; fields++) {
        const json_t *is = json_object_get(object, *fields), *was = json_object_get(old, *fields);
        if (is != was && !(is && was && json_equal(is, was)))
            cause(c, *fields, "FieldValueForbidden",
                  "Forbidden: field is immutable when `immutable` is set");
    }
}

static void same_check(struct checking *c, const json_t *object, const json_t *old,
                       const char *field, const char *fallback) {
    const char *is = text_at(object, field), *was = text_at(old, field);
    is = *is ? is : fallback;
    was = *was ? was : fallback;
    if (old && strcmp(is, was) != 0)
        invalid_text(c, field, is, "field is immutable");
}

static void secret_check(struct checking *c, const json_t *object, const json_t *old) {
    static const char *const fields[] = {"data", "stringData", NULL};
    static const char *const needed[] = {"tls.crt", "tls.key"};
    same_check(c, object, old, "type", "Opaque");
    immutable_check(c, object, old, fields);
    data_check(c, object, "data");
    data_check(c, object, "stringData");
    for (size_t i = 0; i < 2 && !strcmp(text_at(object, "type"), "kubernetes.io/tls"); i++) {
        size_t was = down(c, "data[%s]", needed[i]);
        if (!json_object_get(json_object_get(object, "data"), needed[i]) &&
            !json_object_get(json_object_get(object, "stringData"), needed[i]))
            cause(c, "", REQUIRED, "Required value");
        up(c, was);
    }
}

static void config_map_check(struct checking *c, const json_t *object, const json_t *old) {
    static const char *const fields[] = {"data", "binaryData", NULL};
    const char *key;
    json_t *value;
    immutable_check(c, object, old, fields);
    data_check(c, object, "data");
    data_check(c, object, "binaryData");
    json_object_foreach(json_object_get(object, "data"), key, value) {
        size_t was = down(c, "data[%.253s]", key);
        if (json_object_get(json_object_get(object, "binaryData"), key))
            invalid_text(c, "", key, "duplicate of key present in binaryData");
        up(c, was);
    }
}

static void slice_check(struct checking *c, const json_t *object, const json_t *old) {
    static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
    if (!*text_at(object, "addressType"))
        cause(c, "addressType", REQUIRED, "Required value");
    supported(c, "addressType", text_at(object, "addressType"), types);
    same_check(c, object, old, "addressType", "");
}

bool object_validate(const json_t *object, const json_t *old, struct fault *fault) {
    struct checking c = {.fault = fault};
    const char *kind = text_at(object, "kind");
    size_t before = fault_causes(fault);
    metadata_check(&c, object, old);
    if (!strcmp(kind, "Ingress"))
        ingress_check(&c, object);
    else if (!strcmp(kind, "Service"))
        service_check(&c, object);
    else if (!strcmp(kind, "Pod"))
        pod_check(&c, object);
    else if (!strcmp(kind, "Secret"))
        secret_check(&c, object, old);
    else if (!strcmp(kind, "ConfigMap"))
        config_map_check(&c, object, old);
    else if (!strcmp(kind, "EndpointSlice"))
        slice_check(&c, object, old);
    return fault_causes(fault) == before;
}
