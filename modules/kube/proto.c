/* SPDX-License-Identifier: GPL-3.0-or-later
 * proto.c - see proto.h. protobuf-c takes messages apart; one walk over their descriptors makes JSON of any of them, since
 * kube.proto calls fields what JSON calls them.
 *
 * A few bytes on the wire can be large structs in memory: what is allocated is counted, and so are the values that come of it.
 */
#include "modules/kube/proto.h"
#include "core/base64.h"
#include "kube.pb-c.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct decoding {
    ProtobufCAllocator allocator; /* its data is this struct */
    size_t memory, nodes;
    bool bad; /* a text that is not UTF-8, or too much */
    bool nul; /* a text with a NUL in it: it would end there */
};

static const struct proto_kind {
    const char *api_version; /* NULL: any */
    const char *kind;
    const ProtobufCMessageDescriptor *message;
} kinds[] = {
    {"networking.k8s.io/v1", "Ingress", &kube__ingress__descriptor},
    {"v1", "Service", &kube__service__descriptor},
    {"v1", "Secret", &kube__secret__descriptor},
    {"v1", "ConfigMap", &kube__config_map__descriptor},
    {"authentication.k8s.io/v1", "SelfSubjectReview", &kube__self_subject_review__descriptor},
    {"authorization.k8s.io/v1", "SelfSubjectAccessReview",
     &kube__self_subject_access_review__descriptor},
    {"authorization.k8s.io/v1", "SelfSubjectRulesReview",
     &kube__self_subject_rules_review__descriptor},
    {NULL, "DeleteOptions", &kube__delete_options__descriptor},
};

/* Numbers and truths that upstream writes even when nobody said them; all others are said, be they 0. */
static const char *const unsaid[] = {
    "generation",          "observedGeneration",       "port",  "nodePort",
    "healthCheckNodePort", "publishNotReadyAddresses", "number"};

/* ---- memory ---- */

static void *counted_alloc(void *data, size_t size) {
    struct decoding *d = data;
    d->memory += size;
    return d->memory <= PROTO_MEMORY_MAX ? malloc(size) : NULL;
}

static void counted_free(void *data, void *pointer) {
    (void)data;
    free(pointer);
}

static ProtobufCMessage *unpack(struct decoding *d, const ProtobufCMessageDescriptor *message,
                                const uint8_t *bytes, size_t length) {
    return protobuf_c_message_unpack(message, &d->allocator, length, bytes);
}

/* ---- a message as JSON ---- */

static json_t *message_json(struct decoding *, const ProtobufCMessage *);

static json_t *text_json(struct decoding *d, const char *text) {
    json_t *value = json_string(text);
    if (!value)
        d->bad = true;
    return value;
}

static json_t *bytes_json(struct decoding *d, const ProtobufCBinaryData *bytes) {
    char *text = base64(bytes->data, bytes->len);
    json_t *value = json_string(text);
    d->bad |= !value;
    free(text);
    return value;
}

/* RFC 3339, to the second; the time nobody set is absent. */
static json_t *time_json(const Kube__Time *t) {
    char text[64];
    struct tm when;
    time_t seconds = (time_t)t->seconds;
    if (!seconds || !gmtime_r(&seconds, &when) ||
        !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &when))
        return NULL;
    return json_string(text);
}

static json_t *port_json(struct decoding *d, const Kube__IntOrString *port) {
    if (port->type)
        return port->strval && *port->strval ? text_json(d, port->strval) : NULL;
    return port->intval ? json_integer(port->intval) : NULL;
}

static json_t *raw_json(const Kube__FieldsV1 *fields) {
    return json_loadb((const char *)fields->raw.data, fields->raw.len, 0, NULL);
}

/* NULL: absent. */
static json_t *child_json(struct decoding *d, const ProtobufCMessage *m) {
    if (m->descriptor == &kube__time__descriptor)
        return time_json((const Kube__Time *)m);
    if (m->descriptor == &kube__int_or_string__descriptor)
        return port_json(d, (const Kube__IntOrString *)m);
    if (m->descriptor == &kube__fields_v1__descriptor)
        return raw_json((const Kube__FieldsV1 *)m);
    json_t *object = message_json(d, m);
    if (json_object_size(object))
        return object;
    json_decref(object);
    return NULL;
}

/* One value of a field, at `at`; NULL: absent. */
static json_t *value_json(struct decoding *d, const ProtobufCFieldDescriptor *f, const void *at) {
    if (++d->nodes > PROTO_NODES_MAX) {
        d->bad = true;
        return NULL;
    }
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return text_json(d, *(char *const *)at);
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_json(d, at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_INT32:
        return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_INT64:
        return json_integer(*(const int64_t *)at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return child_json(d, *(ProtobufCMessage *const *)at);
    default: /* kube.proto has no other */
        return NULL;
    }
}

static bool is_zero(const json_t *value) {
    return json_is_false(value) || (json_is_integer(value) && !json_integer_value(value));
}

/* Is this optional field to be seen in JSON? */
static bool is_said(const ProtobufCFieldDescriptor *f, const json_t *value) {
    if (json_is_string(value))
        return *json_string_value(value);
    for (size_t i = 0; is_zero(value) && i < sizeof unsaid / sizeof *unsaid; i++)
        if (!strcmp(unsaid[i], f->name))
            return false;
    return value != NULL;
}

static bool is_there(const ProtobufCFieldDescriptor *f, const char *m) {
    if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void *const *)(m + f->offset);
    return *(const protobuf_c_boolean *)(m + f->quantifier_offset);
}

static size_t value_size(const ProtobufCFieldDescriptor *f) {
    switch (f->type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT32:
        return sizeof(int32_t);
    case PROTOBUF_C_TYPE_INT64:
        return sizeof(int64_t);
    default:
        return sizeof(void *);
    }
}

static json_t *mapped_text_json(struct decoding *d, const ProtobufCBinaryData *text) {
    json_t *value = json_stringn(text->len ? (const char *)text->data : "", text->len);
    d->nul |= text->len && memchr(text->data, 0, text->len);
    d->bad |= !value || d->nul;
    return value;
}

static void entry_put(struct decoding *d, json_t *map, const ProtobufCMessage *m) {
    const Kube__TextEntry *text = (const Kube__TextEntry *)m;
    const Kube__BytesEntry *bytes = (const Kube__BytesEntry *)m;
    bool is_text = m->descriptor == &kube__text_entry__descriptor;
    const char *key = is_text ? text->key : bytes->key;
    json_t *value = is_text ? mapped_text_json(d, &text->value) : bytes_json(d, &bytes->value);
    if (++d->nodes > PROTO_NODES_MAX || json_object_set_new(map, key ? key : "", value))
        d->bad = true;
}

static json_t *list_json(struct decoding *d, const ProtobufCFieldDescriptor *f, const char *m) {
    size_t count = *(const size_t *)(m + f->quantifier_offset);
    const char *at = *(char *const *)(m + f->offset);
    bool is_map = f->descriptor == &kube__text_entry__descriptor ||
                  f->descriptor == &kube__bytes_entry__descriptor;
    json_t *list = is_map ? json_object() : json_array();
    for (size_t i = 0; i < count && !d->bad; i++, at += value_size(f)) {
        if (is_map) {
            entry_put(d, list, *(ProtobufCMessage *const *)at);
            continue;
        }
        json_t *value = value_json(d, f, at);
        json_array_append_new(list, value ? value : json_object());
    }
    if (count)
        return list;
    json_decref(list);
    return NULL;
}

/* Always an object. */
static json_t *message_json(struct decoding *d, const ProtobufCMessage *m) {
    json_t *object = json_object();
    for (unsigned i = 0; i < m->descriptor->n_fields && !d->bad; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const char *base = (const char *)m;
        bool list = f->label == PROTOBUF_C_LABEL_REPEATED;
        json_t *value = list                ? list_json(d, f, base)
                        : is_there(f, base) ? value_json(d, f, base + f->offset)
                                            : NULL;
        if (value && f->descriptor == &kube__ingress_rule_value__descriptor)
            json_object_update(object, value); /* inlined, as in JSON */
        else if (value && (list || is_said(f, value)))
            json_object_set(object, f->name, value);
        json_decref(value);
    }
    return object;
}

/* ---- the envelope ---- */

static bool malformed(struct fault *fault, const char *what) {
    return fault_set(fault, 400, "BadRequest", "the protobuf body can't be decoded: %s", what);
}

static bool object_decode(struct decoding *d, const Kube__Unknown *u, const char *api_version,
                          const char *kind, struct fault *fault, json_t **ret) {
    const struct proto_kind *k = kinds, *end = kinds + sizeof kinds / sizeof *kinds;
    while (k < end && (strcmp(k->kind, kind) != 0 ||
                       (k->api_version && strcmp(k->api_version, api_version) != 0)))
        k++;
    if (k == end)
        return fault_set(fault, 400, "BadRequest",
                         "no kind \"%.100s\" is registered for version \"%.100s\" in scheme", kind,
                         api_version);
    ProtobufCMessage *m = unpack(d, k->message, u->raw.data, u->raw.len);
    if (!m)
        return malformed(fault, "not the message its kind is made of, or too much in it");
    json_t *object = message_json(d, m);
    protobuf_c_message_free_unpacked(m, &d->allocator);
    json_t *version = json_string(api_version);
    if (d->bad || !version) {
        json_decref(version);
        json_decref(object);
        return malformed(fault, d->nul ? "text with a NUL in it, which can't be kept; a "
                                         "ConfigMap's binaryData and a Secret's data can"
                                       : "text that is not UTF-8, or too many values");
    }
    json_object_set_new(object, "apiVersion", version);
    json_object_set_new(object, "kind", json_string(kind));
    *ret = object;
    return true;
}

bool proto_decode(const uint8_t *body, size_t length, struct fault *fault, json_t **ret) {
    static const uint8_t magic[] = {'k', '8', 's', 0};
    struct decoding d = {.allocator = {counted_alloc, counted_free, &d}};
    if (length > PROTO_BODY_MAX)
        return fault_set(fault, 413, "RequestEntityTooLarge",
                         "Request entity too large: limit is %d", PROTO_BODY_MAX);
    if (length < sizeof magic || memcmp(body, magic, sizeof magic) != 0)
        return malformed(fault, "it does not start with k8s\\0");
    ProtobufCMessage *m =
        unpack(&d, &kube__unknown__descriptor, body + sizeof magic, length - sizeof magic);
    if (!m)
        return malformed(fault, "no envelope");
    const Kube__Unknown *u = (const Kube__Unknown *)m;
    const char *api_version = u->typemeta && u->typemeta->apiversion ? u->typemeta->apiversion : "";
    const char *kind = u->typemeta && u->typemeta->kind ? u->typemeta->kind : "";
    bool encoded = u->contentencoding && *u->contentencoding;
    bool good = encoded ? malformed(fault, "its content is encoded")
                        : object_decode(&d, u, api_version, kind, fault, ret);
    protobuf_c_message_free_unpacked(m, &d.allocator);
    return good;
}
