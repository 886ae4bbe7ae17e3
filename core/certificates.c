/* SPDX-License-Identifier: GPL-3.0-or-later
 * certificates.c - see certificates.h.
 *
 *   (UID, name) or id -> index -> struct stored -> identity, while it is on the shelf (shelf.h)
 *                                     `- wants.c, loader.c: read when a worker asks and it is not
 */
#include "core/certificates.h"
#include "core/control.h"
#include "core/index.h"
#include "core/loader.h"
#include "core/process.h"
#include "core/retire.h"
#include "core/shelf.h"
#include "core/stored.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool hash_of(const void *object, unsigned n, uint64_t *ret_hash) {
    const struct stored *s = object;
    if (n > s->name_count)
        return false;
    *ret_hash = n ? stored_name_hash(stored_uid(s).text, stored_name(s, n - 1))
                  : stored_id_hash(stored_id(s).text);
    return true;
}

static struct index certificates = {.hash_of = hash_of};
static size_t count, bytes;

bool certificates_start(unsigned workers, size_t most, struct err *err) {
    if (!wants_init(workers) || !shelf_init(most))
        return err_set(err, "out of memory");
    return loader_start(err);
}

/* ---- looked up by anyone who reads the directory ---- */

static struct stored *find(const char *uid, const char *name, int64_t now) {
    struct index_walk walk = index_walk(&certificates, stored_name_hash(uid, name));
    struct stored *s, *best = NULL;
    while ((s = index_next(&walk)))
        if (s->not_after > now && (!best || s->not_after > best->not_after) &&
            stored_is(s, uid, name))
            best = s;
    return best;
}

struct stored *stored_find(const char *uid, const char *name, int64_t now) {
    char wildcard[256] = "*";
    const char *dot = strchr(name, '.');
    struct stored *s = find(uid, name, now);
    if (s || !dot || dot == name || strlen(dot) + 2 > sizeof wildcard)
        return s;
    memcpy(wildcard + 1, dot, strlen(dot) + 1);
    return find(uid, wildcard, now);
}

bool certificates_cover(const char *uid, const char *name) {
    return stored_find(uid, name, time(NULL));
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
        if (!strcmp(stored_id(s).text, id))
            return s;
    return NULL;
}

/* Nobody can find it any more; a want may still hold it. */
static void stored_release(void *object) {
    struct stored *s = object;
    if (__atomic_load_n(&s->wants, __ATOMIC_ACQUIRE))
        retire(s, stored_release);
    else
        free(s);
}

static void stored_out(struct stored *s) {
    index_remove(&certificates, s);
    shelf_drop(s);
    count--;
    bytes -= malloc_usable_size(s);
    retire(s, stored_release);
}

static bool stored_in(struct stored *s, struct err *err) {
    if (!index_add(&certificates, s))
        return err_set(err, "certificate %s: out of memory", stored_id(s).text);
    count++;
    bytes += malloc_usable_size(s);
    return true;
}

/* What replaces another is known to be good before it does. */
static bool stored_prove(struct stored *s, struct err *err) {
    struct identity *identity = stored_load(s, err);
    if (identity)
        shelf_put(s, identity);
    return identity;
}

bool certificates_put(const struct stored_certificate *c, struct err *err) {
    struct stored *s = stored_new(c, err);
    if (!s)
        return false;
    struct stored *old = find_id(c->id);
    if ((old && !stored_prove(s, err)) || !stored_in(s, err)) {
        shelf_drop(s);
        free(s);
        return false;
    }
    if (old)
        stored_out(old);
    return true;
}

void certificates_drop(const char *id) {
    struct stored *s = find_id(id);
    if (s)
        stored_out(s);
}

/* ---- for people ---- */

static bool stored_good(const struct stored *s, struct err *why) {
    if (__atomic_load_n(&s->identity, __ATOMIC_ACQUIRE))
        return true;
    struct identity *identity = stored_load(s, why);
    identity_unref(identity);
    return identity;
}

bool certificates_good(const char *id, struct err *why) {
    const struct stored *s = find_id(id);
    return !s || !__atomic_load_n(&s->retry_at, __ATOMIC_RELAXED) || stored_good(s, why);
}

enum certificate_answer certificates_look(const char *uid, const char *name, bool expired_too,
                                          struct err *why) {
    const struct stored *s = stored_find(uid, name, expired_too ? 0 : time(NULL));
    return !s ? CERTIFICATE_NONE : stored_good(s, why) ? CERTIFICATE_READY : CERTIFICATE_BAD;
}

void certificates_reap(void) {
    shelf_reap();
}

struct certificate_figures certificate_figures(void) {
    return (struct certificate_figures){.stored = count,
                                        .read = shelf_count(),
                                        .reads = loader_loads(),
                                        .failures = loader_failures(),
                                        .evictions = shelf_evictions(),
                                        .bytes = bytes + index_bytes(&certificates),
                                        .wanted = loader_wanted(),
                                        .waiting = loader_waiting()};
}

/* No worker runs any more, and the loader has nobody to read for. */
void certificates_fini(void) {
    struct stored *s;
    size_t at = 0;
    loader_stop();
    wants_fini();
    while ((s = index_each(&certificates, &at)))
        stored_out(s);
    index_fini(&certificates);
    shelf_fini();
    retired_free(); /* identities and all */
    stored_fini();
}
