/* SPDX-License-Identifier: GPL-3.0-or-later
 * operator.c - the operator's own certificates, found by name: exact before wildcard. Replaced whole, read under RCU.
 */
#include "core/control.h"
#include "core/identity.h"
#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

struct entry {
    char *name;
    struct identity *identity;
};

struct table {
    size_t count, identity_count;
    struct identity **identity;
    struct entry entry[]; /* sorted by name */
};

static struct table *table;

static int entry_compare(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void table_free(struct table *t) {
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        free(t->entry[i].name);
    for (size_t i = 0; i < t->identity_count; i++)
        identity_unref(t->identity[i]);
    free(t->identity);
    free(t);
}

static struct table *table_new(struct identity *const *ids, const char *const *const *names,
                               const size_t *counts, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += counts[i];
    struct table *t = calloc(1, sizeof *t + total * sizeof *t->entry);
    if (!t)
        return NULL;
    t->identity = calloc(count + 1, sizeof *t->identity);
    for (size_t i = 0; t->identity && i < count; i++) {
        t->identity[t->identity_count++] = ids[i];
        for (size_t j = 0; j < counts[i]; j++) {
            struct entry e = {strdup(names[i][j]), ids[i]};
            if (e.name)
                t->entry[t->count++] = e;
        }
    }
    qsort(t->entry, t->count, sizeof *t->entry, entry_compare);
    return t;
}

void operator_identities_set(struct identity *const *ids, const char *const *const *names,
                             const size_t *counts, size_t count) {
    struct table *fresh = count ? table_new(ids, names, counts, count) : NULL;
    struct table *old = table;
    __atomic_store_n(&table, fresh, __ATOMIC_RELEASE);
    urcu_qsbr_synchronize_rcu();
    table_free(old);
}

const struct identity *operator_identity(const char *sni, size_t length) {
    const struct table *t = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
    char name[256];
    if (!t || length == 0 || length > 253)
        return NULL;
    memcpy(name, sni, length);
    name[length] = 0;
    struct entry key = {.name = name};
    const struct entry *e = bsearch(&key, t->entry, t->count, sizeof *t->entry, entry_compare);
    const char *dot = strchr(sni, '.');
    if (!e && dot && dot != sni) {
        size_t rest = (size_t)(sni + length - dot);
        name[0] = '*';
        memcpy(name + 1, dot, rest);
        name[rest + 1] = 0;
        e = bsearch(&key, t->entry, t->count, sizeof *t->entry, entry_compare);
    }
    return e ? e->identity : NULL;
}
