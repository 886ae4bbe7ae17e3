/* SPDX-License-Identifier: GPL-3.0-or-later
 * wishes.c - which certificates a tenant should have that it did not bring: one for each spec.tls entry, and one for its own domain.
 *
 *   spec.tls entry without a usable Secret -> its hosts that may route -> those no other wish names -> a wish
 *   spec.domain T                          -> T and *.T
 *
 * The gate: a name that is not bound and verified is in no wish, so that nobody makes us ask a certificate authority for a name that
 * is not his. One that is at risk still routes, and what there is for it is still served: it is held, and not ordered. A name is in
 * one wish only, the first by Ingress and entry; what T and *.T cover is still named by an entry that asks for it, since who has no
 * way to prove a wildcard orders that one.
 */
#include "tenants/hostname.h"
#include "tenants/work.h"
#include <stdlib.h>
#include <string.h>

static bool secret_is_usable(const struct work *w, const struct ingress_tls *tls) {
    const struct secret_object *secret =
        tls->secret.text ? model_find(w->model, "Secret", tls->secret.text) : NULL;
    return secret && secret->facts;
}

/* Held by this very Ingress, or in the tenant's own domain. */
static enum claim_state state_of(const struct work *w, const char *host) {
    const char *reason;
    return host_judge(w->registry, w->entry, host, &reason);
}

static int name_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void wish_add(struct work *w, struct certificate_wish wish, const char **name,
                     const char **held) {
    struct tenant *tenant = &w->out->tenant;
    if (!wish.name_count && !wish.held_count)
        return;
    qsort(name, wish.name_count, sizeof *name, name_compare);
    if (held)
        qsort(held, wish.held_count, sizeof *held, name_compare);
    wish.name = name;
    wish.held = held;
    ((struct certificate_wish *)(uintptr_t)tenant->wish)[tenant->wish_count++] = wish;
}

static void entry_wish(struct work *w, const struct ingress_object *ingress, unsigned number,
                       struct table *known) {
    const struct ingress_tls *tls = (const struct ingress_tls *)ingress->spec->tls.item + number;
    const char **name = stash_array(w->stash, tls->hosts.count + 1, sizeof *name),
               **held = stash_array(w->stash, tls->hosts.count + 1, sizeof *held);
    struct certificate_wish wish = {
        .ingress = stash_text(w->stash, ingress->head.name), .entry = number, .rsa = ingress->rsa};
    for (size_t i = 0; i < tls->hosts.count; i++) {
        const char *host = tls->hosts.item[i].text;
        enum claim_state state = state_of(w, host);
        if (table_get(known, host) || !claim_routes(state))
            continue;
        const char *copy = stash_text(w->stash, host);
        if (state == CLAIM_VERIFIED)
            name[wish.name_count++] = copy;
        else
            held[wish.held_count++] = copy;
        table_put(known, copy, known);
    }
    wish_add(w, wish, name, held);
}

static void own_wish(struct work *w, struct table *known) {
    const char **name = stash_array(w->stash, 2, sizeof *name);
    const char *domain = w->out->tenant.domain,
               *both[] = {domain, stash_format(w->stash, "*.%s", domain)};
    struct certificate_wish wish = {.ingress = "default", .entry = WISH_OWN_DOMAIN};
    for (size_t i = 0; *domain && i < 2; i++)
        if (!table_get(known, both[i]))
            name[wish.name_count++] = both[i];
    wish_add(w, wish, name, NULL);
}

static size_t entries_count(const struct model *model) {
    size_t count = 1;
    for (size_t i = 0; i < model->ingresses.count; i++) {
        const struct ingress_object *ingress = model->ingresses.item[i];
        count += ingress->spec ? ingress->spec->tls.count : 0;
    }
    return count;
}

void wishes_build(struct work *w) {
    struct table known = {0};
    w->out->tenant.wish =
        stash_array(w->stash, entries_count(w->model), sizeof *w->out->tenant.wish);
    for (size_t i = 0; i < w->model->ingresses.count; i++) {
        const struct ingress_object *ingress = w->model->ingresses.item[i];
        size_t count = ingress->spec && !ingress->passthrough ? ingress->spec->tls.count : 0;
        for (size_t j = 0; j < count; j++)
            if (!secret_is_usable(w, (const struct ingress_tls *)ingress->spec->tls.item + j))
                entry_wish(w, ingress, (unsigned)j, &known);
    }
    own_wish(w, &known);
    table_fini(&known);
}
