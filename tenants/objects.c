/* SPDX-License-Identifier: GPL-3.0-or-later
 * objects.c - the walk over a drop's documents.
 *
 *   file -> documents -> (List: its items) -> kind's rows -> checks -> model
 *
 * All mistakes of all files are reported; a model exists only when there was none.
 */
#include "tenants/objects.h"
#include "tenants/hostname.h"
#include <stdlib.h>
#include <string.h>

void model_list_add(struct stash *stash, struct list *list, void *item) {
    list->item = stash_room(stash, list->item, list->count, sizeof *list->item);
    list->item[list->count++] = item;
}

static const char *index_key(struct stash *stash, const char *kind, const char *name) {
    return stash_format(stash, "%s/%s", kind, name);
}

void *model_find(const struct model *model, const char *kind, const char *name) {
    char key[320];
    int length = snprintf(key, sizeof key, "%s/%s", kind, name);
    return length < (int)sizeof key ? table_get(&model->index, key) : NULL;
}

/* False when another object of this drop has the name. */
static bool object_index(struct reader *r, struct model *model, struct object *object) {
    const char *key = index_key(r->stash, object->kind.text, object->name);
    const struct object *other = table_get(&model->index, key);
    if (!other) {
        table_put(&model->index, key, object);
        return true;
    }
    reader_error(r, object->at, "%s is here twice: first at %s:%u:%u", key, other->file,
                 other->at.line, other->at.column);
    return false;
}

/* The grant comes from a file only the operator writes; what an API or the tenant may write is
 * KIND.NAME.yaml. */
static void tenant_take(struct reader *r, struct model *model, struct tenant_object *tenant,
                        const char *file_name) {
    if (model->folder && strcmp(file_name, "tenant.yaml")) {
        reader_warning(r, tenant->head.at, "kind: Tenant is honoured only in tenant.yaml: ignored");
        model->ignored_tenant = tenant;
        return;
    }
    if (tenant->head.name && strcmp(tenant->head.name, model->tenant_name))
        reader_error(r, tenant->head.metadata->name.at,
                     "metadata.name: must be `%s`, as the %s is called", model->tenant_name,
                     model->folder ? "folder" : "file");
    if (model->tenant)
        reader_error(r, tenant->head.at, "a second Tenant: first at %s:%u:%u",
                     model->tenant->head.file, model->tenant->head.at.line,
                     model->tenant->head.at.column);
    else
        model->tenant = tenant;
}

static bool head_good(struct reader *r, struct object *object) {
    if (!object->metadata || !object->metadata->name.text)
        return false; /* said by the rows */
    object->name = object->metadata->name.text;
    if (!object_name_good(object->name)) {
        reader_error(r, object->metadata->name.at,
                     "metadata.name: `%s` must be lower-case letters, digits, `-`, `_` and `.`, at "
                     "most 253, and start and "
                     "end with a letter or digit",
                     object->name);
        object->name = NULL;
    }
    const struct word *space = &object->metadata->namespace;
    if (space->text && strcmp(space->text, "default"))
        reader_error(r, space->at, "metadata.namespace: a tenant has the one namespace `default`");
    return object->name != NULL;
}

/* In a stash of its own: it stays when the others go. */
static void grant_take(struct reader *r, struct model *model, const struct kind *kind,
                       const struct yaml_node *node, const char *file_name) {
    struct reader grant = {
        .file = stash_text(model->stash, r->file), .diags = r->diags, .stash = model->stash};
    struct tenant_object *tenant = stash_alloc(model->stash, kind->schema->size);
    fields_read(&grant, kind->schema, node, tenant);
    tenant->head.file = grant.file;
    head_good(&grant, &tenant->head);
    tenant_take(&grant, model, tenant, file_name);
    object_check(&grant, &tenant->head);
    table_fini(&grant.texts);
}

static void object_take(struct reader *r, struct model *model, const struct kind *kind,
                        const struct yaml_node *node) {
    struct object *object = stash_alloc(r->stash, kind->schema->size);
    fields_read(r, kind->schema, node, object);
    object->file = r->file;
    bool named = head_good(r, object);
    object_check(r, object);
    if (named && object_index(r, model, object))
        model_list_add(r->stash, (struct list *)((char *)model + kind->list), object);
}

static void node_take(struct reader *, struct model *, const struct yaml_node *,
                      const char *file_name, bool nested);

static void list_take(struct reader *r, struct model *model, const struct yaml_node *node,
                      const char *file_name) {
    const struct yaml_node *items = yaml_get(node, "items");
    if (items && items->kind != YAML_LIST && items->kind != YAML_NULL)
        diags_add(r->diags, DIAG_ERROR, r->file, items->line, items->column,
                  "items: must be a list");
    for (size_t i = 0; items && items->kind == YAML_LIST && i < items->count; i++)
        node_take(r, model, items->item[i], file_name, true);
}

static void kind_complain(struct reader *r, const struct yaml_node *node, const char *version,
                          const char *kind) {
    const struct yaml_node *key = yaml_get(node, "kind");
    struct spot at =
        key ? (struct spot){key->line, key->column} : (struct spot){node->line, node->column};
    char known[256] = "";
    for (const struct kind *k = object_kinds; k->name; k++) {
        if (!strcmp(k->name, kind)) {
            reader_error(r, at, "%s has apiVersion %s here, not `%s`", kind, k->api_version,
                         version);
            return;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", k->name);
    }
    if (*kind)
        reader_error(r, at, "kind `%s` is not supported; supported are %s and List", kind, known);
    else if (yaml_get(node, "services"))
        reader_error(r, at,
                     "kind is missing; a compose file is called compose.yaml or "
                     "docker-compose.yaml here");
    else
        reader_error(r, at, "kind is missing; supported are %s and List", known);
}

static const char *scalar_text(const struct yaml_node *node) {
    return node && node->kind == YAML_SCALAR ? node->text : "";
}

static void node_take(struct reader *r, struct model *model, const struct yaml_node *node,
                      const char *file_name, bool nested) {
    if (node->kind != YAML_MAP) {
        diags_add(r->diags, DIAG_ERROR, r->file, node->line, node->column,
                  "an object (apiVersion, kind, …) is expected");
        return;
    }
    const char *kind = scalar_text(yaml_get(node, "kind")),
               *version = scalar_text(yaml_get(node, "apiVersion"));
    if (!strcmp(kind, "List") && !nested) {
        list_take(r, model, node, file_name);
        return;
    }
    for (const struct kind *k = object_kinds; k->name; k++)
        if (!strcmp(k->name, kind) && !strcmp(k->api_version, version)) {
            if (k->list)
                object_take(r, model, k, node);
            else
                grant_take(r, model, k, node, file_name);
            model->entangled |= !k->list && nested; /* an alias of a word in another item */
            return;
        }
    kind_complain(r, node, version, kind);
}

static void source_take(struct reader *r, struct model *model, const struct source *source) {
    const struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    struct yaml_docs docs;
    if (!yaml_parse(r->file, source->text, source->length, &limits, r->diags, &docs))
        return;
    for (size_t i = 0; i < docs.count; i++)
        if (model->folder && compose_is(source->name))
            compose_read(r, docs.doc[i], model);
        else
            node_take(r, model, docs.doc[i], source->name, false);
    yaml_docs_free(&docs);
}

enum { SOURCES_MAX = 1000, SOURCES_BYTES_MAX = 16 << 20 };

static void size_check(const struct drop *drop, struct diags *diags) {
    size_t bytes = 0;
    for (size_t i = 0; i < drop->source_count; i++)
        bytes += drop->source[i].length;
    if (drop->source_count > SOURCES_MAX)
        diags_add(diags, DIAG_ERROR, drop->source[0].path, 0, 0,
                  "more than %d files for one tenant", SOURCES_MAX);
    if (bytes > SOURCES_BYTES_MAX)
        diags_add(diags, DIAG_ERROR, drop->source[0].path, 0, 0, "more than 16 MiB for one tenant");
}

static void grant_warn(struct reader *r, const struct drop *drop, const struct model *model) {
    struct spot none = {0, 0};
    r->file = model->tenant        ? model->tenant->head.file
              : drop->source_count ? drop->source[0].path
                                   : drop->tenant;
    const struct tenant_spec *spec = model->tenant ? model->tenant->spec : NULL;
    if (!model->tenant)
        reader_warning(r, none, "no kind: Tenant: %s has no domain, and no pod of it is reachable",
                       drop->tenant);
    else if (spec && (!spec->network || !spec->network->allow.count))
        reader_warning(r, spec->at, "no network.allow: no pod of %s is reachable", drop->tenant);
}

struct model *model_parse(const struct drop *drop, struct diags *diags) {
    size_t errors = diags->errors;
    struct stash *stash = stash_new();
    struct model *model = stash_alloc(stash, sizeof *model);
    model->stash = stash;
    model->folder = drop->folder;
    model->tenant_name = stash_text(stash, drop->tenant);
    model->rest = stash_new();
    struct reader reader = {.diags = diags, .stash = model->rest};
    if (!tenant_name_good(drop->tenant))
        diags_add(diags, DIAG_ERROR, drop->source_count ? drop->source[0].path : "", 0, 0,
                  "`%s` cannot name a tenant: lower-case letters, digits and `-`, at most 63, no "
                  "`-` at the ends",
                  drop->tenant);
    size_check(drop, diags);
    for (size_t i = 0; i < drop->source_count && i < SOURCES_MAX; i++) {
        reader.file = stash_text(model->rest, drop->source[i].path);
        source_take(&reader, model, &drop->source[i]);
    }
    table_fini(&reader.texts);
    if (diags->errors == errors)
        grant_warn(&reader, drop, model);
    if (diags->errors == errors)
        return model;
    model_free(model);
    return NULL;
}

void model_free(struct model *model) {
    if (!model)
        return;
    table_fini(&model->index);
    stash_free(model->rest);
    stash_free(model->stash);
}

void model_shed(struct model *model) {
    if (!model->rest || model->entangled)
        return;
    table_fini(&model->index);
    stash_free(model->rest);
    *model = (struct model){.stash = model->stash,
                            .folder = model->folder,
                            .tenant_name = model->tenant_name,
                            .tenant = model->tenant,
                            .ignored_tenant = model->ignored_tenant};
}

void model_refill(struct model *model, struct model *again) {
    struct model grant = *model;
    struct stash *spare = again->stash;
    *model = *again;
    model->stash = grant.stash;
    model->tenant_name = grant.tenant_name;
    model->tenant = grant.tenant;
    model->ignored_tenant = grant.ignored_tenant;
    stash_free(spare);
}
