/* SPDX-License-Identifier: GPL-3.0-or-later
 * registry.c - the life of a tenant, from its first drop to its removal.
 *
 *   put:     parse -> adopt the model -> domain, claims -> compile it and whoever it touched ->
 * change
 *   remove:  claims and ports given back -> whoever gains from that is compiled -> change
 *
 * Rows: tenant/NAME (its UID), good/NAME (its last valid drop), domain/NAME, name/NAME,
 * port/NUMBER: rows.c.
 */
#include "tenants/inside.h"
#include "tenants/network.h"
#include "tenants/rows.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- memory that must be had ---- */

static void *grown(void *array, size_t count, size_t size) {
    if (count && (count & (count - 1)))
        return array;
    array = reallocarray(array, count ? count * 2 : 1, size);
    if (!array)
        abort(); /* as in core/stash.c */
    return array;
}

static char *copied(const char *text) {
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

/* ---- changes ---- */

void change_row(struct change *change, const char *value, const char *key_format, ...) {
    char *key = NULL;
    va_list list;
    va_start(list, key_format);
    if (vasprintf(&key, key_format, list) < 0)
        abort();
    va_end(list);
    change->row = grown(change->row, change->row_count, sizeof *change->row);
    change->row[change->row_count].key = key;
    change->row[change->row_count++].value = value ? copied(value) : NULL;
}

static void change_tenant(struct change *change, const char *name, struct tenant *tenant) {
    change->tenant = grown(change->tenant, change->tenant_count, sizeof *change->tenant);
    change->tenant[change->tenant_count].name = name;
    change->tenant[change->tenant_count++].tenant = tenant;
}

static void change_lookup(struct change *change, const struct entry *entry, const char *name) {
    const struct tenant_spec *spec = entry->model->tenant ? entry->model->tenant->spec : NULL;
    const struct network_spec *network = spec ? spec->network : NULL;
    change->lookup = grown(change->lookup, change->lookup_count, sizeof *change->lookup);
    change->lookup[change->lookup_count].tenant = entry->name;
    change->lookup[change->lookup_count].name = copied(name);
    change->lookup[change->lookup_count].dns =
        network && network->dns.text ? copied(network->dns.text) : NULL;
    change->lookup[change->lookup_count].device =
        network && network->device.text ? copied(network->device.text) : NULL;
    change->lookup[change->lookup_count++].netns =
        network && network->netns.text ? copied(network->netns.text) : NULL;
}

void change_fini(struct change *change) {
    for (size_t i = 0; i < change->tenant_count; i++)
        tenant_free(change->tenant[i].tenant);
    for (size_t i = 0; i < change->row_count; i++) {
        if (change->row[i].value)
            explicit_bzero(change->row[i].value,
                           strlen(change->row[i].value)); /* a good drop may hold private keys */
        free(change->row[i].key);
        free(change->row[i].value);
    }
    for (size_t i = 0; i < change->lookup_count; i++) {
        free(change->lookup[i].name);
        free(change->lookup[i].dns);
        free(change->lookup[i].netns);
        free(change->lookup[i].device);
    }
    free(change->tenant);
    free(change->row);
    free(change->lookup);
    *change = (struct change){0};
}

void change_begin(struct registry *registry, struct change *change, int64_t now) {
    *change = (struct change){0};
    registry->now = now;
    stash_free(registry->scratch);
    registry->scratch = stash_new();
}

/* ---- the registry ---- */

static char **texts_copied(const char *const *list, size_t count) {
    char **copy = calloc(count + 1, sizeof *copy);
    if (!copy)
        abort();
    for (size_t i = 0; i < count; i++)
        copy[i] = copied(list[i]);
    return copy;
}

enum { SECRET_LENGTH = 32 };

static void secret_keep(struct registry *registry, const struct registry_conf *conf) {
    size_t length = conf->secret ? conf->secret_length : SECRET_LENGTH;
    registry->secret = calloc(1, length + 1);
    registry->secret_length = length;
    if (!registry->secret)
        abort();
    if (conf->secret)
        memcpy(registry->secret, conf->secret, length);
    else if (getrandom(registry->secret, length, 0) != (ssize_t)length)
        abort(); /* fails never for 32 bytes */
}

static void edge_addresses_keep(struct registry *registry) {
    registry->edge = calloc(registry->address_count + 1, sizeof *registry->edge);
    if (!registry->edge)
        abort();
    for (size_t i = 0; i < registry->address_count; i++)
        registry->edge_count +=
            address_parse(registry->address[i], 0, &registry->edge[registry->edge_count]);
}

static void own_copy(struct own *to, const struct own *from) {
    *to = *from;
    to->listener = calloc(from->listener_count + 1, sizeof *to->listener);
    to->address = calloc(from->address_count + 1, sizeof *to->address);
    if (!to->listener || !to->address)
        abort();
    if (from->listener_count)
        memcpy(to->listener, from->listener, from->listener_count * sizeof *to->listener);
    if (from->address_count)
        memcpy(to->address, from->address, from->address_count * sizeof *to->address);
}

struct registry *registry_new(const struct registry_conf *conf) {
    struct registry *registry = calloc(1, sizeof *registry);
    size_t pool = conf->port_low ? (size_t)(conf->port_high - conf->port_low) + 1 : 0;
    if (!registry)
        abort();
    registry->zone_name = texts_copied(conf->zones, conf->zone_count);
    registry->zone_count = conf->zone_count;
    registry->address = texts_copied(conf->addresses, conf->address_count);
    registry->address_count = conf->address_count;
    registry->port = pool ? calloc(pool, sizeof(struct port *)) : NULL;
    if (pool && !registry->port)
        abort();
    if (conf->own)
        own_copy(&registry->own, conf->own);
    registry->port_low = conf->port_low;
    registry->port_high = conf->port_high;
    registry->ports_per_tenant = conf->ports_per_tenant;
    registry->recheck_s = conf->recheck_s ? conf->recheck_s : RECHECK_S;
    secret_keep(registry, conf);
    edge_addresses_keep(registry);
    registry->random = conf->random;
    registry->random_context = conf->random_context;
    return registry;
}

uint64_t registry_random(struct registry *registry) {
    uint64_t value;
    if (registry->random)
        return registry->random(registry->random_context);
    if (getrandom(&value, sizeof value, 0) != sizeof value)
        abort(); /* blocks until the kernel has entropy; fails never for 8 bytes */
    return value;
}

static void resolved_free(struct resolved *resolved) {
    free(resolved->name);
    free(resolved->address);
    free(resolved);
}

static void entry_free(struct entry *entry) {
    for (struct claim *claim = entry->claims, *next; claim; claim = next) {
        next = claim->next_of_entry;
        free(claim->ingress);
        free(claim);
    }
    for (struct resolved *resolved = entry->resolved, *next; resolved; resolved = next) {
        next = resolved->next;
        resolved_free(resolved);
    }
    if (entry->good)
        explicit_bzero(entry->good, strlen(entry->good));
    compiled_unref(entry->compiled);
    table_fini(&entry->vouched);
    model_free(entry->model);
    free(entry->good);
    free(entry->error);
    free(entry->name);
    free(entry->uid);
    free(entry);
}

void registry_free(struct registry *registry) {
    struct entry *entry;
    if (!registry)
        return;
    raw_ports_fini(registry);
    names_fini(registry);
    looks_fini(registry);
    feeds_fini(registry);
    for (size_t at = 0; (entry = table_next(&registry->entries, &at));)
        entry_free(entry);
    table_fini(&registry->entries);
    for (size_t i = 0; i < registry->zone_count; i++)
        free(registry->zone_name[i]);
    for (size_t i = 0; i < registry->address_count; i++)
        free(registry->address[i]);
    free(registry->zone_name);
    free(registry->address);
    free(registry->own.listener);
    free(registry->own.address);
    free(registry->edge);
    explicit_bzero(registry->secret, registry->secret_length);
    free(registry->secret);
    free(registry->touched);
    stash_free(registry->scratch);
    free(registry);
}

/* ---- entries ---- */

struct entry *entry_find(const struct registry *registry, const char *name) {
    return table_get(&registry->entries, name);
}

static char *uid_new(struct registry *registry) {
    uint64_t high = registry_random(registry), low = registry_random(registry);
    char *uid = NULL; /* RFC 9562 version 4 */
    if (asprintf(&uid, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(high >> 32),
                 (unsigned)(high >> 16) & 0xffff, (unsigned)high & 0xfff,
                 0x8000 | ((unsigned)(low >> 48) & 0x3fff),
                 (unsigned long long)(low & 0xffffffffffffu)) < 0)
        abort();
    return uid;
}

/* `uid` NULL: a new one. */
static struct entry *entry_need(struct registry *registry, const char *name, const char *uid) {
    struct entry *entry = entry_find(registry, name);
    if (entry)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        abort();
    entry->name = copied(name);
    entry->uid = uid ? copied(uid) : uid_new(registry);
    entry->stored = uid != NULL;
    table_put(&registry->entries, entry->name, entry);
    return entry;
}

void entry_touch(struct registry *registry, struct entry *entry) {
    if (entry->touched || !entry->live)
        return;
    entry->touched = true;
    registry->touched = grown(registry->touched, registry->touched_count, sizeof(struct entry *));
    registry->touched[registry->touched_count++] = entry;
}

static void entry_untouch(struct registry *registry, struct entry *entry) {
    size_t i = 0;
    if (!entry->touched)
        return;
    while (registry->touched[i] != entry)
        i++;
    registry->touched[i] = registry->touched[--registry->touched_count];
    entry->touched = false;
}

/* ---- a model is needed when its tenant is compiled, and hardly ever else: of a small one only the grant stays ---- */

enum { SHED_TEXT_MAX = 16 << 10 }; /* which is a millisecond of reading */

/* Of the last good text; NULL: nothing can be made of it any more. */
static struct model *good_model(const struct entry *entry) {
    struct good_drop good;
    struct diags diags = DIAGS_INIT;
    if (!good_drop_read(entry->name, entry->good, &good))
        return NULL;
    struct model *model = model_parse(&good.drop, &diags);
    diags_fini(&diags);
    good_drop_fini(&good);
    return model;
}

void entry_whole(struct entry *entry) {
    if (entry->model->rest)
        return;
    struct model *again = good_model(entry);
    assert(again); /* it was read from this very text before */
    model_refill(entry->model, again);
}

void entry_shed(struct entry *entry) {
    if (entry->good_is_model && strlen(entry->good) <= SHED_TEXT_MAX)
        model_shed(entry->model);
}

static void entry_compile(struct registry *registry, struct entry *entry, int64_t now,
                          struct change *change) {
    entry_whole(entry);
    struct compiled *before = entry->compiled,
                    *compiled = tenant_compile(registry, entry, now, change);
    entry_shed(entry);
    atomic_fetch_add(&compiled->holders, 1); /* one for the views, one for the caller */
    entry->compiled = compiled;
    compiled_unref(before);
    change_tenant(change, entry->name, &compiled->tenant);
}

void touched_compile(struct registry *registry, int64_t now, struct change *change) {
    for (size_t i = 0; i < registry->touched_count; i++) {
        struct entry *entry = registry->touched[i];
        entry->touched = entry->news = false;
        if (entry->live)
            entry_compile(registry, entry, now, change);
    }
    registry->touched_count = 0;
}

/* ---- names of compose services that need an address ---- */

static void resolved_forget(struct entry *entry) {
    for (struct resolved *resolved = entry->resolved; resolved; resolved = resolved->next) {
        free(resolved->address);
        resolved->address = NULL;
        resolved->count = 0;
    }
}

static struct resolved *resolved_find(const struct entry *entry, const char *name) {
    struct resolved *resolved = entry->resolved;
    while (resolved && strcmp(resolved->name, name))
        resolved = resolved->next;
    return resolved;
}

static struct resolved *resolved_need(struct entry *entry, const char *name) {
    struct resolved *resolved = resolved_find(entry, name);
    if (resolved)
        return resolved;
    resolved = calloc(1, sizeof *resolved);
    if (!resolved)
        abort();
    resolved->name = copied(name);
    resolved->next = entry->resolved;
    entry->resolved = resolved;
    return resolved;
}

static void lookups_renew(const struct registry *registry, struct entry *entry,
                          struct change *change) {
    struct stash *stash = stash_new();
    struct workload *workload;
    size_t count = workloads_list(stash, registry, entry, &workload);
    for (struct resolved *resolved = entry->resolved; resolved; resolved = resolved->next)
        resolved->wanted = false;
    for (size_t i = 0; i < count; i++) {
        if (!workload[i].compose || workload[i].compose->addresses.count)
            continue;
        resolved_need(entry, workload[i].compose->name)->wanted = true;
        change_lookup(change, entry, workload[i].compose->name);
    }
    stash_free(stash);
    for (struct resolved **at = &entry->resolved, *resolved; (resolved = *at);) {
        if (resolved->wanted) {
            at = &resolved->next;
            continue;
        }
        *at = resolved->next;
        resolved_free(resolved);
    }
}

static const char *text_or_none(const struct word *word) {
    return word->text ? word->text : "";
}

/* Do names mean the same in both? */
static bool network_spec_same(const struct model *a, const struct model *b) {
    static const struct network_spec none;
    const struct tenant_spec *x = a->tenant ? a->tenant->spec : NULL;
    const struct tenant_spec *y = b->tenant ? b->tenant->spec : NULL;
    const struct network_spec *m = x && x->network ? x->network : &none;
    const struct network_spec *n = y && y->network ? y->network : &none;
    return !strcmp(text_or_none(&m->netns), text_or_none(&n->netns)) &&
           !strcmp(text_or_none(&m->device), text_or_none(&n->device)) &&
           !strcmp(text_or_none(&m->dns), text_or_none(&n->dns));
}

/* ---- put ---- */

static void domain_renew(struct registry *registry, struct entry *entry, struct change *change) {
    const struct tenant_spec *spec = entry->model->tenant ? entry->model->tenant->spec : NULL;
    const char *domain = spec ? spec->domain.text : NULL;
    entry->domain = NULL;
    entry->domain_refusal = NULL;
    if (domain && domain_grant(registry, entry, domain, &entry->domain_refusal, change))
        entry->domain = domain;
    looker_domain(registry, entry);
}

static void claims_renew(struct registry *registry, struct entry *entry, struct change *change) {
    struct stash *stash = stash_new();
    struct wanted_name *wanted;
    size_t count = wanted_names(stash, entry, &wanted);
    names_update(registry, entry, wanted, count, change);
    stash_free(stash);
}

static void entry_adopt(struct registry *registry, struct entry *entry, struct model *model,
                        int64_t now, struct change *change) {
    struct model *before = entry->model;
    entry->model = model;
    names_vouched(entry);
    if (before && !network_spec_same(before, model))
        resolved_forget(entry);
    entry->live = true;
    if (!entry->stored)
        row_tenant(change, entry, now);
    entry->stored = true;
    domain_renew(registry, entry, change);
    claims_renew(registry, entry, change);
    model_free(before);
    lookups_renew(registry, entry, change);
    entry_touch(registry, entry);
    touched_compile(registry, now, change);
}

static void error_set(struct entry *entry, char *error) {
    free(entry->error);
    entry->error = error;
}

/* One line with the first mistakes: the whole list was the caller's to show. */
static char *error_text(const struct diags *diags, size_t from) {
    char *text = NULL;
    size_t length = 0, said = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    for (size_t i = from; i < diags->count && said < 3; i++) {
        const struct diag *diag = &diags->item[i];
        if (diag->level != DIAG_ERROR)
            continue;
        fprintf(out, "%s%s:", said++ ? "; " : "", diag->file);
        if (diag->line)
            fprintf(out, "%u:%u:", diag->line, diag->column);
        fprintf(out, " %s", diag->message);
    }
    if (diags->errors > said)
        fprintf(out, "; %zu errors in all", diags->errors);
    if (fclose(out))
        abort();
    return text;
}

/* After a restart the newest drop may be broken; what served before it is in the rows. */
static void entry_recover(struct registry *registry, struct entry *entry, int64_t now,
                          struct change *change) {
    struct model *model = entry->live || !entry->good ? NULL : good_model(entry);
    if (!model)
        return;
    entry->good_is_model = true;
    entry_adopt(registry, entry, model, now, change);
}

static void good_renew(struct entry *entry, const struct drop *drop, struct change *change) {
    char *good = good_drop_text(drop);
    if (good && (!entry->good || strcmp(entry->good, good)))
        change_row(change, good, "good/%s", entry->name);
    if (good)
        free(entry->good);
    entry->good = good ? good : entry->good;
    entry->good_is_model = good;
}

bool registry_check(struct registry *registry, const struct drop *drop, struct diags *diags) {
    (void)registry;
    struct model *model = model_parse(drop, diags);
    model_free(model);
    return model != NULL;
}

bool registry_put(struct registry *registry, const struct drop *drop, int64_t now,
                  struct diags *diags, struct change *ret) {
    size_t before = diags->count;
    change_begin(registry, ret, now);
    struct model *model = model_parse(drop, diags);
    struct entry *entry = entry_need(registry, drop->tenant, NULL);
    entry->seen = true;
    entry->since = now;
    if (!model) {
        error_set(entry, error_text(diags, before));
        entry_recover(registry, entry, now, ret);
        return false;
    }
    error_set(entry, NULL);
    good_renew(entry, drop, ret);
    entry_adopt(registry, entry, model, now, ret);
    return true;
}

void registry_error(struct registry *registry, const char *tenant, const char *message) {
    struct entry *entry = entry_need(registry, tenant, NULL);
    entry->seen = true;
    error_set(entry, copied(message));
}

/* ---- remove ---- */

static void entry_remove(struct registry *registry, struct entry *entry, int64_t now,
                         struct change *change) {
    entry->live = false;
    names_update(registry, entry, NULL, 0, change);
    raw_ports_retire(entry, now, change);
    if (entry->stored)
        change_row(change, NULL, "tenant/%s", entry->name);
    if (entry->good)
        change_row(change, NULL, "good/%s", entry->name);
    change_tenant(change, stash_text(registry->scratch, entry->name), NULL);
    entry_untouch(registry, entry);
    table_drop(&registry->entries, entry->name);
    looker_tidy(registry, entry->uid);
    entry_free(entry);
}

void registry_remove(struct registry *registry, const char *tenant, int64_t now,
                     struct change *ret) {
    change_begin(registry, ret, now);
    struct entry *entry = entry_find(registry, tenant);
    if (!entry)
        return;
    entry_remove(registry, entry, now, ret);
    touched_compile(registry, now, ret);
}

/* ---- start, time, answers ---- */

void registry_loaded(struct registry *registry, int64_t now, struct change *ret) {
    struct entry *entry, **list = calloc(registry->entries.count + 1, sizeof *list);
    size_t count = 0;
    change_begin(registry, ret, now);
    if (!list)
        abort();
    for (size_t at = 0; (entry = table_next(&registry->entries, &at));)
        if (!entry->live)
            list[count++] = entry;
    for (size_t i = 0; i < count; i++)
        if (!list[i]->seen)
            entry_remove(registry, list[i], now, ret);
        else
            entry_recover(registry, list[i], now, ret);
    free(list);
    standings_loaded(registry, ret);
    registry->loaded = true;
    touched_compile(registry, now, ret);
}

static bool addresses_same(const struct resolved *resolved, const union address *address,
                           size_t count) {
    return resolved->address && resolved->count == count &&
           (!count || !memcmp(resolved->address, address, count * sizeof *address));
}

void registry_resolved(struct registry *registry, const char *tenant, const char *name,
                       const union address *address, size_t count, int64_t now,
                       struct change *ret) {
    change_begin(registry, ret, now);
    struct entry *entry = entry_find(registry, tenant);
    struct resolved *resolved = entry ? resolved_find(entry, name) : NULL;
    if (!resolved || addresses_same(resolved, address, count))
        return;
    free(resolved->address);
    resolved->address = calloc(count + 1, sizeof *address);
    if (!resolved->address)
        abort();
    if (count)
        memcpy(resolved->address, address, count * sizeof *address);
    resolved->count = count;
    entry_touch(registry, entry);
    touched_compile(registry, now, ret);
}

/* ---- the networks around ---- */

/* Is some pod of it to be judged otherwise than it was? */
static bool endpoints_turn(const struct tenant *tenant, const struct own *before,
                           const struct own *now) {
    for (size_t i = 0; i < tenant->backend_count; i++)
        for (unsigned k = 0; k < tenant->backend[i].endpoint_count; k++) {
            const union address *address = &tenant->backend[i].endpoint[k].addr;
            if (address->any.sa_family && network_refusal(&tenant->network, before, address) !=
                                              network_refusal(&tenant->network, now, address))
                return true;
        }
    return false;
}

static bool own_same(const struct own *a, const struct own *b) {
    return a->address_count == b->address_count && a->listener_count == b->listener_count &&
           (!a->address_count ||
            !memcmp(a->address, b->address, a->address_count * sizeof *a->address)) &&
           (!a->listener_count ||
            !memcmp(a->listener, b->listener, a->listener_count * sizeof *a->listener));
}

void registry_own(struct registry *registry, const struct own *own, int64_t now,
                  struct change *ret) {
    struct own before = registry->own;
    struct entry *entry;
    change_begin(registry, ret, now);
    if (own_same(&before, own))
        return;
    own_copy(&registry->own, own);
    for (size_t at = 0; (entry = table_next(&registry->entries, &at));)
        if (entry->live && entry->compiled &&
            endpoints_turn(&entry->compiled->tenant, &before, &registry->own))
            entry_touch(registry, entry);
    free(before.listener);
    free(before.address);
    touched_compile(registry, now, ret);
}

void registry_moved(struct registry *registry, const char *tenant, int64_t now,
                    struct change *ret) {
    change_begin(registry, ret, now);
    struct entry *entry = entry_find(registry, tenant);
    if (!entry || !entry->live)
        return;
    resolved_forget(entry);
    entry_touch(registry, entry);
    touched_compile(registry, now, ret);
}

void registry_tick(struct registry *registry, int64_t now, struct change *ret) {
    struct entry *entry;
    change_begin(registry, ret, now);
    size_t freed = raw_ports_tick(registry, now, ret);
    for (size_t at = 0; (entry = table_next(&registry->entries, &at));) {
        const char *refusal;
        if (!entry->live)
            continue;
        if (entry->domain_refusal &&
            domain_possible(registry, entry, entry->model->tenant->spec->domain.text, &refusal)) {
            domain_renew(registry, entry, ret);
            entry_whole(entry);
            claims_renew(registry, entry, ret);
            entry_touch(registry, entry);
        }
        if ((freed && entry->port_refused) || entry->news)
            entry_touch(registry, entry);
    }
    touched_compile(registry, now, ret);
}

/* ---- rows ---- */

void registry_row(struct registry *registry, const char *key, const char *value) {
    struct row row;
    standing_row(registry, key, value);
    log_row(registry, key);
    if (!row_read(key, value, &row))
        return;
    struct entry *entry =
        row.kind == ROW_DOMAIN || !row.tenant ? NULL : entry_need(registry, row.tenant, row.uid);
    if (entry && row.uid && !entry->stored && strcmp(entry->uid, row.uid)) {
        free(
            entry
                ->uid); /* rows that do not tell it came before this one: "good" before "name" before "tenant" */
        entry->uid = copied(row.uid);
    }
    if (entry && row.kind == ROW_TENANT && row.uid)
        entry->stored = true;
    if (entry && row.kind == ROW_GOOD) {
        free(entry->good);
        entry->good = copied(value);
    }
    if (entry && row.kind == ROW_NAME)
        names_row(registry, row.name, entry, row.ingress);
    if (row.kind == ROW_DOMAIN)
        domain_row(registry, row.name, row.tenant, row.uid);
    if (row.kind == ROW_PORT)
        raw_ports_row(registry, row.number, entry, row.slot, row.until);
    row_fini(&row);
}
