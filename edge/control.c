/* SPDX-License-Identifier: GPL-3.0-or-later
 * control.c - from files to what is served.
 *
 *   files of a tenant -> registry -> rows, compiled tenants (queued) -> rows committed -> published -> ports
 *
 * A tenant whose files are what they were is not touched. What several drops of one moment change shares one commit.
 * Rows that can't be committed are kept and tried again; serving goes on.
 */
#include "core/ledger.h"
#include "core/own.h"
#include "edge/drop.h"
#include "edge/edge.h"
#include "edge/proof.h"
#include "edge/secret.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_DIAGS_MAX = 20, QUIET_BEATS = 20 };

struct known {       /* a tenant that has something in conf.d */
    uint64_t digest; /* of what was last put; 0: nothing was */
    bool here;       /* while rescanning */
    bool blamed;     /* said once, not with every rescan */
};

/* --- what a registry call changed ------------------------------------------------------------*/

/* What is queued right behind its own earlier change takes that one's place; past others it must not go, to whom a name or port
 * may have moved. */
static bool queue_replace(struct edge *e, const char *name, struct tenant *tenant) {
    struct queued *last =
        e->first ? (struct queued *)((char *)e->last - offsetof(struct queued, next)) : NULL;
    if (!last || strcmp(last->name, name) != 0)
        return false;
    tenant_free(last->tenant);
    last->tenant = tenant;
    return true;
}

static void queue_add(struct edge *e, const char *name, struct tenant *tenant) {
    if (queue_replace(e, name, tenant))
        return;
    struct queued *q = calloc(1, sizeof *q);
    char *copy = strdup(name);
    if (!q || !copy) { /* the next drop of this tenant will do */
        log_write(0, "tenant %s: out of memory, its change is not live", name);
        free(q);
        free(copy);
        tenant_free(tenant);
        return;
    }
    *q = (struct queued){.name = copy, .tenant = tenant};
    *e->last = q;
    e->last = &q->next;
}

static void lookups_take(struct edge *e, const struct change *c, const char *put) {
    if (put)
        lookups_begin(e->lookups, put);
    for (size_t i = 0; i < c->lookup_count; i++)
        lookups_add(
            e->lookups, c->lookup[i].tenant, c->lookup[i].name,
            &(struct lookup_place){c->lookup[i].dns, c->lookup[i].netns, c->lookup[i].device});
    if (put)
        lookups_end(e->lookups, put);
}

/* `put`: the tenant whose drop or removal this is, so that `c` holds all look-ups it still needs; NULL: none. */
static void change_take(struct edge *e, struct change *c, const char *put) {
    for (size_t i = 0; i < c->row_count; i++)
        store_put(&e->store, c->row[i].key, c->row[i].value);
    for (size_t i = 0; i < c->tenant_count; i++) {
        queue_add(e, c->tenant[i].name, c->tenant[i].tenant);
        c->tenant[i].tenant = NULL;
    }
    lookups_take(e, c, put);
    change_fini(c);
}

void control_take(struct edge *e, struct change *c) {
    change_take(e, c, NULL);
}

static void commit(struct edge *e) {
    struct err err;
    e->quiet_beats = 0;
    if (store_commit(&e->store, &err)) {
        if (e->store_failed)
            log_write(2, "state: written again");
        e->store_failed = false;
        return;
    }
    if (!e->store_failed)
        log_write(0, "%s; %zu rows wait, serving goes on", err.text, store_pending(&e->store));
    e->store_failed = true;
}

static void queued_publish(struct edge *e, struct queued *q) {
    if (q->tenant)
        publish(q->tenant);
    else
        unpublish(q->name);
    struct version *v = q->tenant ? published(q->name) : NULL;
    char why[NETWORK_WHY_MAX];
    guard_follow(e->guard, q->name, v ? v->tenant : NULL);
    ports_follow(&e->ports, q->name, v ? v->tenant : NULL);
    modules_tenant(q->name, v ? v->tenant : NULL);
    if (!v)
        events_forget(&e->events, q->name);
    networks_follow(&e->networks, q->name, v);
    if (v && network_missing(v, why))
        log_write(1, "tenant %s: %s", q->name, why);
    health_follow(e->health, q->name, v ? v->tenant : NULL);
    log_write(e->serving ? 2 : 3, "tenant %s: %s", q->name, q->tenant ? "live" : "removed");
}

void control_flush(struct edge *e) {
    commit(e);
    for (struct queued *q = e->first, *next; q; q = next) {
        next = q->next;
        queued_publish(e, q);
        free(q->name);
        free(q);
    }
    e->first = NULL;
    e->last = &e->first;
    publish_settle();
    proofs_pump(e);
}

/* --- one tenant ------------------------------------------------------------------------------*/

static void diag_log(const char *tenant, const struct diag *d) {
    char place[32] = "";
    if (d->line)
        snprintf(place, sizeof place, ":%u:%u", d->line, d->column);
    log_write(d->level == DIAG_ERROR ? 0 : 1, "tenant %s: %s%s: %s", tenant, d->file, place,
              d->message);
}

static void diags_log(const char *tenant, const struct diags *d, size_t from) {
    for (size_t i = from; i < d->count && i < from + LOG_DIAGS_MAX; i++)
        diag_log(tenant, &d->item[i]);
    if (d->count > from + LOG_DIAGS_MAX)
        log_write(1, "tenant %s: and %zu more", tenant, d->count - from - LOG_DIAGS_MAX);
}

static struct known *known_get(struct edge *e, const char *tenant) {
    struct known *k = map_get(&e->tenants, tenant);
    if (k)
        return k;
    k = calloc(1, sizeof *k);
    if (k && map_put(&e->tenants, tenant, k))
        return k;
    free(k);
    return NULL;
}

uint64_t control_digest(const struct edge *e, const char *tenant) {
    const struct known *k = map_get(&e->tenants, tenant);
    return k ? k->digest : 0;
}

static void tenant_remove(struct edge *e, const char *tenant, struct reload_result *r) {
    struct change change = {0};
    free(map_remove(&e->tenants, tenant));
    registry_remove(e->registry, tenant, time(NULL), &change);
    change_take(e, &change, tenant);
    r->changed++;
}

static void tenant_put(struct edge *e, const struct drop_files *f, struct reload_result *r) {
    struct change change = {0};
    size_t from = r->diags.count;
    bool good = registry_put(e->registry, &f->drop, time(NULL), &r->diags, &change);
    diags_log(f->tenant, &r->diags, from);
    change_take(e, &change, good || change.lookup_count ? f->tenant : NULL);
    r->changed++;
    r->failed += !good;
    if (good && e->serving) /* he who edits is waiting; a restart is no edit */
        registry_recheck(e->registry, f->tenant, NULL, time(NULL));
    if (!good)
        log_write(0, "tenant %s: not taken over; %s", f->tenant,
                  published(f->tenant) ? "its last good state serves" : "nothing of it serves");
}

static void tenant_blame(struct edge *e, struct known *k, const char *tenant, const char *message,
                         struct reload_result *r) {
    registry_error(e->registry, tenant, message);
    diags_add(&r->diags, DIAG_ERROR, "", 0, 0, "tenant %s: %s", tenant, message);
    if (!k->blamed)
        log_write(0, "tenant %s: %s", tenant, message);
    k->blamed = true;
    k->digest = 0;
    r->failed++;
}

static bool is_lack(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* The registry can't do without memory: so what there is none for does not get there. */
static void tenant_take(struct edge *e, struct known *k, const struct drop_files *f,
                        struct reload_result *r) {
    size_t bytes = 0;
    struct err err;
    for (size_t i = 0; i < f->drop.source_count; i++)
        bytes += f->source[i].length;
    if (!exhausted_has_for(&e->exhausted, bytes, &err)) {
        tenant_blame(e, k, f->tenant, err.text, r);
        return;
    }
    k->digest = f->digest;
    k->blamed = false;
    tenant_put(e, f, r);
}

/* Who was written a moment ago is remembered as it is now. */
static void recent_renew(struct edge *e, const struct drop_files *was, enum drop_found found,
                         struct drop_files *files) {
    if (found == DROP_READ && was)
        recent_put(&e->recent, files, loop_now_ns() / 1000000);
    else if (found == DROP_READ)
        drop_free(files);
}

void control_load(struct edge *e, const char *tenant, struct reload_result *r) {
    const struct drop_files *was = recent_find(&e->recent, tenant);
    struct drop_files files;
    struct err err;
    struct known *k;
    enum drop_found found = was ? drop_read_again(e->conf->conf_d, tenant, was, &files, &err)
                                : drop_read(e->conf->conf_d, tenant, &files, &err);
    if (found == DROP_NONE) {
        if (map_get(&e->tenants, tenant))
            tenant_remove(e, tenant, r);
        return;
    }
    k = known_get(e, tenant);
    if (found == DROP_FAILED && is_lack(errno)) {
        e->rescan_due = true; /* it says nothing of the tenant's files */
        diags_add(&r->diags, DIAG_ERROR, "", 0, 0, "tenant %s: %s; tried again", tenant, err.text);
        r->failed++;
    } else if (k && found == DROP_FAILED) {
        tenant_blame(e, k, tenant, err.text, r);
    } else if (k && k->digest != files.digest) {
        tenant_take(e, k, &files, r);
    }
    recent_renew(e, was, found, &files);
}

/* --- all of them -----------------------------------------------------------------------------*/

/* The names first: removing one moves others in the map. */
static char **gone_list(struct edge *e, size_t *ret_count) {
    char **gone = calloc(e->tenants.count + 1, sizeof *gone);
    *ret_count = 0;
    for (size_t i = 0; gone && i < e->tenants.room; i++) {
        struct known *k = e->tenants.slot[i].value;
        if (e->tenants.slot[i].key && !k->here &&
            (gone[*ret_count] = strdup(e->tenants.slot[i].key)))
            ++*ret_count;
    }
    return gone;
}

static void gone_remove(struct edge *e, struct reload_result *r) {
    size_t count;
    char **gone = gone_list(e, &count);
    for (size_t i = 0; gone && i < count; i++) {
        if (!watch_busy(&e->watch, gone[i]))
            control_load(e, gone[i], r);
        free(gone[i]);
    }
    free(gone);
}

static bool rescan(struct edge *e, struct reload_result *r, struct err *err) {
    struct map names = {0};
    recent_clear(&e->recent); /* who asks for all of it has doubts */
    bool good = drop_list(e->conf->conf_d, &names, e, err);
    for (size_t i = 0; i < e->tenants.room; i++)
        if (e->tenants.slot[i].key)
            ((struct known *)e->tenants.slot[i].value)->here = false;
    for (size_t i = 0; good && i < names.room; i++) {
        if (!names.slot[i].key)
            continue;
        if (!watch_busy(&e->watch, names.slot[i].key))
            control_load(e, names.slot[i].key, r);
        struct known *k = map_get(&e->tenants, names.slot[i].key);
        if (k)
            k->here = true;
    }
    if (good)
        gone_remove(e, r);
    r->tenants = names.count;
    map_fini(&names);
    return good;
}

bool control_rescan(struct edge *e, struct reload_result *ret, struct err *err) {
    e->rescan_due = false;
    struct reload_result own = {.diags = DIAGS_INIT};
    struct reload_result *r = ret ? ret : &own;
    bool good = rescan(e, r, err);
    control_flush(e);
    if (!good && !e->rescan_failed)
        log_write(0, "%s; the tenants stay as they are", err->text);
    e->rescan_failed = !good;
    diags_fini(&own.diags);
    return good;
}

/* --- the watcher, look-ups, time -------------------------------------------------------------*/

static void settled(void *user, const char *tenant) {
    struct reload_result r = {.diags = DIAGS_INIT};
    control_load(user, tenant, &r);
    diags_fini(&r.diags);
}

static void settled_flush(void *user) {
    control_flush(user);
}

static void settled_rescan(void *user) {
    struct err err;
    control_rescan(user, NULL, &err);
}

static void name_answered(void *user, const char *tenant, const char *name,
                          const union address *address, size_t count) {
    struct edge *e = user;
    struct change change = {0};
    registry_resolved(e->registry, tenant, name, address, count, time(NULL), &change);
    change_take(e, &change, NULL);
    control_flush(e);
}

/* --- the machine's own addresses -------------------------------------------------------------*/

/* In this order: what is not to be dialled is not dialled any more before anyone is told. Without memory all stays as it is until
 * the next news. */
static void own_renew(struct edge *e) {
    struct change change;
    struct own *own = calloc(1, sizeof *own), copy;
    if (!own || !own_look(e->conf, own)) {
        free(own);
        return;
    }
    copy = *own;
    own_publish(own); /* the arrays are read until the next one */
    registry_own(e->registry, &copy, time(NULL), &change);
    control_take(e, &change);
    control_flush(e);
}

void control_beat(struct edge *e) {
    struct change change = {0};
    struct err err;
    publish_reap();
    ledger_look(loop_now_ns());
    if (own_watch_due(&e->own))
        own_renew(e);
    exhausted_beat(e);
    networks_beat(e);
    guard_beat(e->guard);
    health_beat(e->health);
    e->beats++;
    if (e->beats % 10 == 0)
        core_pulse();
    if (e->beats % 10 == 0)
        recent_beat(&e->recent, loop_now_ns() / 1000000);
    if (e->beats % 10 == 0 && (e->rescan_due || e->rescan_failed))
        control_rescan(e, NULL, &err);
    if (++e->quiet_beats == QUIET_BEATS)
        store_tidy(&e->store);
    if (e->beats % 10 == 0 && store_pending(&e->store) && store_reachable(&e->store))
        commit(e);
    if (e->beats % 50 == 0) {
        ports_retry(&e->ports);
        memory_tidy();
    }
    if (e->beats % 600 == 0) {
        registry_tick(e->registry, time(NULL), &change);
        change_take(e, &change, NULL);
        control_flush(e);
    }
}

/* --- start and end ---------------------------------------------------------------------------*/

static void row_load(void *user, const char *key, const char *value) {
    registry_row(((struct edge *)user)->registry, key, value);
}

static bool registry_start(struct edge *e, const uint8_t secret[SECRET_LENGTH], struct err *err) {
    const struct edge_conf *c = e->conf;
    struct own *own = calloc(1, sizeof *own);
    if (!own || !own_look(c, own)) {
        free(own);
        return err_set(err, "out of memory");
    }
    e->registry = registry_new(&(struct registry_conf){
        .zones = c->zones.item,
        .zone_count = c->zones.count,
        .addresses = c->addresses.item,
        .address_count = c->addresses.count,
        .port_low = c->port_low,
        .port_high = c->port_high,
        .ports_per_tenant = (unsigned)c->raw_tcp.per_tenant,
        .own = own,
        .secret = secret,
        .secret_length = SECRET_LENGTH,
        .recheck_s = c->dns.recheck_ms / 1000,
    });
    own_publish(own);
    return e->registry || err_set(err, "out of memory");
}

static bool held_by_another(const struct edge *e, struct err *err) {
    if (!e->store.held)
        return false;
    err_set(err,
            "state: another ringress is running on %s; end it, or give this one a `state` folder "
            "of its own",
            e->store.file);
    return true;
}

/* Another edge's claims and port numbers would be given a second time; a file that can't be read costs less than an outage. */
static bool state_start(struct edge *e, struct err *ret) {
    struct err err;
    uint8_t secret[SECRET_LENGTH];
    bool good = store_open(&e->store, e->conf->state, &err);
    if (held_by_another(e, ret))
        return false;
    secret_load(e->conf->state, &e->store, secret);
    bool made = registry_start(e, secret, ret);
    explicit_bzero(secret, sizeof secret);
    if (!made)
        return false;
    if (good && store_load(&e->store, row_load, e, &err))
        return true;
    if (held_by_another(e, ret))
        return false;
    e->store_failed = true;
    log_write(0, "%s", err.text);
    log_write(0, "serving without state: port numbers, claims and last good drops are not kept, "
                 "and a broken drop has nothing to fall back to");
    return true;
}

bool control_start(struct edge *e, struct err *err) {
    static const struct watch_events events = {settled, settled_flush, settled_rescan};
    const struct edge_conf *c = e->conf;
    struct change change = {0};
    e->last = &e->first;
    e->lookups = lookups_new(&e->loop, c->dns.servers.item, c->dns.servers.count, name_answered, e);
    e->health = health_new(&e->loop);
    networks_init(&e->networks, &e->loop);
    own_watch_init(&e->own, &e->loop); /* before they are first looked at */
    if (!e->lookups || !e->health ||
        !ports_init(&e->ports, &c->raw_address, c->port_low, c->port_high))
        return err_set(err, "out of memory");
    if (!state_start(e, err) || !guard_start(e, err) || !proofs_start(e, err))
        return false;
    watch_init(&e->watch, &e->loop, c->conf_d, &events, e);
    struct reload_result r = {.diags = DIAGS_INIT};
    bool good = rescan(e, &r, err); /* one commit for all, below */
    diags_fini(&r.diags);
    if (!good)
        return false;
    registry_loaded(e->registry, time(NULL), &change);
    change_take(e, &change, NULL);
    control_flush(e);
    log_write(2, "%zu tenants read, %zu live, %zu with errors", r.tenants, published_count(),
              r.failed);
    return true;
}

void control_fini(struct edge *e) {
    struct err err;
    if (!e->lookups)
        return;
    lookups_free(e->lookups);
    proofs_end(e);
    if (e->watch.events)
        watch_fini(&e->watch);
    if (store_pending(&e->store) && !store_commit(&e->store, &err))
        log_write(0, "%s; %zu rows are lost", err.text, store_pending(&e->store));
    store_close(&e->store);
    ports_fini(&e->ports);
    guard_end(e);
    health_free(e->health);
    networks_fini(&e->networks, &e->loop);
    exhausted_fini(&e->exhausted);
    own_watch_fini(&e->own, &e->loop);
    map_clear(&e->tenants, free);
    recent_clear(&e->recent);
    if (e->registry)
        registry_free(e->registry);
    json_decref(e->certificates);
}
