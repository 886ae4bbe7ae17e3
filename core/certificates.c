/* SPDX-License-Identifier: GPL-3.0-or-later
 * certificates.c - see certificates.h.
 *
 *   (uid, name) or id -> index -> struct stored -> identity
 */
#include "core/certificates.h"
#include "core/control.h"
#include "core/index.h"
#include "core/retire.h"
#include "core/stored.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool hash_of(const void *object, unsigned n, uint64_t *ret_hash) {
    const struct stored *s = object;
    if (n > s->name_count)
        return false;
    *ret_hash =
        n ? stored_name_hash(stored_uid(s), stored_name(s, n - 1)) : stored_id_hash(stored_id(s));
    return true;
}

static struct index certificates = {.hash_of = hash_of};
static size_t count;

/* ---- looked up by workers ---- */

/* Of several the one that lasts longest. */
static struct stored *find(const char *uid, const char *name) {
    struct index_walk walk = index_walk(&certificates, stored_name_hash(uid, name));
    struct stored *s, *best = NULL;
    while ((s = index_next(&walk)))
        if ((!best || s->not_after > best->not_after) && stored_is(s, uid, name))
            best = s;
    return best;
}

static struct stored *find_covering(const char *uid, const char *name) {
    char wildcard[256];
    const char *dot = strchr(name, '.');
    struct stored *s = find(uid, name);
    if (s || !dot || dot == name || strlen(dot) > 252)
        return s;
    wildcard[0] = '*';
    strcpy(wildcard + 1, dot);
    return find(uid, wildcard);
}

bool certificates_cover(const char *uid, const char *name) {
    const struct stored *s = find_covering(uid, name);
    return s && s->not_after > time(NULL);
}

const struct identity *certificates_find(const char *uid, const char *name) {
    struct stored *s = find_covering(uid, name);
    return s ? __atomic_load_n(&s->identity, __ATOMIC_ACQUIRE) : NULL;
}

bool version_has_certificate(const struct version *v, const char *name, size_t length) {
    const struct certificate *own = tenant_certificate(v->tenant, name, length);
    return (own && own->host_identity) || certificates_cover(v->tenant->uid, name) ||
           operator_identity(name, length);
}

/* ---- written by the control thread ---- */

static struct stored *find_id(const char *id) {
    struct index_walk walk = index_walk(&certificates, stored_id_hash(id));
    struct stored *s;
    while ((s = index_next(&walk)))
        if (!strcmp(stored_id(s), id))
            return s;
    return NULL;
}

static void stored_free(void *object) {
    struct stored *s = object;
    identity_unref(s->identity);
    free(s);
}

static void stored_out(struct stored *s) {
    index_remove(&certificates, s);
    count--;
    retire(s, stored_free);
}

bool certificates_put(const struct stored_certificate *c, struct err *err) {
    struct stored *s = stored_new(c, err);
    if (!s)
        return false;
    struct stored *old = find_id(c->id);
    s->identity = stored_load(s, err);
    if (!s->identity) {
        free(s);
        return false;
    }
    if (!index_add(&certificates, s)) {
        stored_free(s);
        return err_set(err, "certificate %s: out of memory", c->id);
    }
    count++;
    if (old)
        stored_out(old);
    return true;
}

void certificates_drop(const char *id) {
    struct stored *s = find_id(id);
    if (s)
        stored_out(s);
}

size_t certificates_count(void) {
    return count;
}
