/* SPDX-License-Identifier: GPL-3.0-or-later
 * names.c - the directory: one hash table of keys to nodes, written by the control thread, read by all without locks.
 *
 *   "shop.example.com"  exact        "*.example.com"  any one label below
 *   ".123123.1d.pt"     a tree       "#28791"         a raw port
 *
 * Open addressing, and the hash stands in the slot, so a look-up among many tenants misses the cache twice: slot, node.
 * (liburcu's own table links nodes through dummies; it was 8 % of all CPU with 10,000 hosts asked in turn.)
 * A name is tried as it is, then as a wildcard, and suffix by suffix only when neither is there. A node without a version
 * ends the search: the name is kept for somebody who does not route it, whatever lies above.
 *
 * Readers and the writer: a slot's hash is written once, after its node; replacing and deleting swap the node. A table that
 * fills up is copied, published, and the old one freed after a grace period.
 */
#include "core/directory.h"
#include "core/map.h"
#include "core/worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    uint64_t hash;          /* 0: never used; ends a probe */
    struct name_node *node; /* NULL: deleted */
};

struct table {
    size_t mask, used; /* used: slots with a hash */
    struct slot slot[];
};

static struct table *table;

enum { KEY_MOST = 256, TABLE_LEAST = 1024, PROBE_AHEAD = 4 };

struct key {
    const char *text;
    size_t length;
    uint64_t hash;
};

static struct key key_of(const char *text, size_t length) {
    return (struct key){text, length, hash_bytes(text, length) | 1};
}

static bool node_is(const struct name_node *n, const struct key *k) {
    return n->length == k->length && !memcmp(n->key, k->text, k->length);
}

/* The slot of this key, or the empty one where its probe ends. */
static struct slot *slot_find(struct table *t, const struct key *k) {
    for (size_t at = k->hash & t->mask;; at = (at + 1) & t->mask) {
        struct slot *s = &t->slot[at];
        uint64_t hash = __atomic_load_n(&s->hash, __ATOMIC_ACQUIRE);
        if (!hash)
            return s;
        const struct name_node *n =
            hash == k->hash ? __atomic_load_n(&s->node, __ATOMIC_ACQUIRE) : NULL;
        if (n && node_is(n, k))
            return s;
    }
}

static const struct name_entry *key_find(const char *text, size_t length) {
    struct key k = key_of(text, length);
    struct slot *s = slot_find(__atomic_load_n(&table, __ATOMIC_ACQUIRE), &k);
    const struct name_node *n = __atomic_load_n(&s->node, __ATOMIC_ACQUIRE);
    return n ? &n->entry : NULL;
}

/* `key` has the name from its second octet on; the octet before a label is overwritten to ask for trees. */
static const struct name_entry *tree_find(char *key, size_t length) {
    for (char *at = key; at;) {
        *at = '.';
        const struct name_entry *e = key_find(at, (size_t)(key + length - at));
        if (e)
            return e;
        at = memchr(at + 1, '.', (size_t)(key + length - at - 1));
    }
    return NULL;
}

const struct name_entry *names_find(const char *name, size_t length) {
    char key[KEY_MOST];
    if (length == 0 || length > 253)
        return NULL;
    const struct name_entry *e = key_find(name, length);
    const char *dot = e ? NULL : memchr(name, '.', length);
    if (e)
        return e->version ? e : NULL;
    if (dot && dot > name) {
        key[0] = '*';
        size_t rest = (size_t)(name + length - dot);
        memcpy(key + 1, dot, rest);
        e = key_find(key, rest + 1);
        if (e)
            return e;
    }
    memcpy(key + 1, name, length);
    return tree_find(key, length + 1);
}

const struct name_entry *names_find_port(uint16_t port) {
    char key[16];
    int n = snprintf(key, sizeof key, "#%u", port);
    return key_find(key, (size_t)n);
}

/* ---- looking ahead ---- */

const void *names_slot(const char *name, size_t length, uint64_t *ret_hash) {
    struct key k = key_of(name, length);
    const struct table *t = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
    *ret_hash = k.hash;
    return &t->slot[k.hash & t->mask];
}

/* Probes no further than what lies beside the beginning. */
const struct name_node *names_slot_node(const void *slot, uint64_t hash) {
    const struct slot *first = slot;
    for (const struct slot *s = first; s < first + PROBE_AHEAD; s++)
        if (__atomic_load_n(&s->hash, __ATOMIC_ACQUIRE) == hash)
            return __atomic_load_n(&s->node, __ATOMIC_ACQUIRE);
    return NULL;
}

size_t names_count(void) {
    return __atomic_load_n(&__atomic_load_n(&table, __ATOMIC_ACQUIRE)->used, __ATOMIC_RELAXED);
}

/* ---- spelling ---- */

static bool name_octet(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* What follows a host: nothing, or ":" and a port that can be one (RFC 9112 section 3.2: "*DIGIT"). */
static bool port_good(const char *text, size_t length) {
    unsigned port = 0;
    if (length > 6 || (length && text[0] != ':'))
        return false;
    for (size_t i = 1; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port <= 65535;
}

static size_t bracketed(const char *host, size_t length, char out[254]) {
    size_t end = 1;
    while (end < length && host[end] != ']') {
        char c = host[end];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
              c == ':' || c == '.'))
            return 0;
        end++;
    }
    if (end >= length || end < 3 || end > 200 || !port_good(host + end + 1, length - end - 1))
        return 0;
    memcpy(out, host, end + 1);
    out[end + 1] = 0;
    return end + 1;
}

static size_t port_strip(const char *host, size_t length) {
    const char *colon = memchr(host, ':', length);
    size_t end = colon ? (size_t)(colon - host) : length;
    return port_good(host + end, length - end) ? end : length; /* a colon that stays is refused */
}

size_t name_normalise(const char *host, size_t length, char out[254]) {
    if (length && host[0] == '[')
        return bracketed(host, length, out);
    length = port_strip(host, length);
    if (length && host[length - 1] == '.')
        length--;
    if (length == 0 || length > 253)
        return 0;
    size_t label = 0;
    for (size_t i = 0; i < length; i++) {
        char c = host[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c == '.' ? label == 0 : !name_octet(c) || label >= 63)
            return 0;
        label = c == '.' ? 0 : label + 1;
        out[i] = c;
    }
    if (!label)
        return 0;
    out[length] = 0;
    return length;
}

/* ---- writing ---- */

/* Looking ahead may read PROBE_AHEAD slots behind the end, and finds nothing there. */
static struct table *table_new(size_t room) {
    struct table *t = calloc(1, sizeof *t + (room + PROBE_AHEAD) * sizeof *t->slot);
    if (t)
        t->mask = room - 1;
    return t;
}

bool directory_init(void) {
    table = table_new(TABLE_LEAST);
    return table;
}

void directory_fini(void) {
    free(table);
    table = NULL;
}

static struct name_node *node_new(struct version *v, const char *prefix, const char *name,
                                  const void *object) {
    size_t a = strlen(prefix), b = strlen(name);
    struct name_node *n = aligned_alloc(64, (sizeof *n + a + b + 1 + 63) & ~(size_t)63);
    if (!n) /* aligned: a node of usual length is one miss of the cache, not two */
        return NULL;
    *n = (struct name_node){.entry = {.version = v, .object = object}};
    n->length = (uint16_t)(a + b);
    snprintf(n->key, a + b + 1, "%s%s", prefix, name);
    return n;
}

struct name_node *directory_node(struct version *v, enum name_kind kind, const char *name,
                                 const void *object) {
    return node_new(kind == NAME_NOBODY ? NULL : v, kind == NAME_TREE ? "." : "", name, object);
}

struct name_node *directory_port_node(struct version *v, uint16_t port, const void *object) {
    char text[8];
    snprintf(text, sizeof text, "%u", port);
    return node_new(v, "#", text, object);
}

/* A copy without what was deleted, with room for twice the names that will be there. */
static bool table_rebuild(size_t more) {
    struct table *old = table;
    size_t names = more, room = TABLE_LEAST;
    for (size_t i = 0; i <= old->mask; i++)
        names += old->slot[i].node != NULL;
    while (room < names * 4)
        room *= 2;
    struct table *t = table_new(room);
    if (!t)
        return false;
    for (size_t i = 0; i <= old->mask; i++) {
        if (!old->slot[i].node)
            continue;
        size_t at = old->slot[i].hash & t->mask;
        while (t->slot[at].hash)
            at = (at + 1) & t->mask;
        t->slot[at] = old->slot[i];
        t->used++;
    }
    __atomic_store_n(&table, t, __ATOMIC_RELEASE);
    urcu_qsbr_synchronize_rcu();
    free(old);
    return true;
}

bool directory_reserve(size_t more) {
    return (table->used + more) * 2 <= table->mask + 1 || table_rebuild(more);
}

void directory_put(struct name_node *n) {
    struct key k = key_of(n->key, n->length);
    struct slot *s = slot_find(table, &k);
    struct name_node *old = s->node;
    __atomic_store_n(&s->node, n, __ATOMIC_RELEASE);
    if (old)
        old->gone = true;
    if (s->hash)
        return;
    __atomic_store_n(&table->used, table->used + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&s->hash, k.hash, __ATOMIC_RELEASE);
}

void directory_delete(struct name_node *n) {
    if (n->gone)
        return;
    struct key k = key_of(n->key, n->length);
    struct slot *s = slot_find(table, &k);
    if (s->node == n)
        __atomic_store_n(&s->node, NULL, __ATOMIC_RELEASE);
    n->gone = true;
}

/* ---- pins ---- */

void version_pin(struct version *v, struct worker *w) {
    uint32_t *p = &v->pins[w->id * PIN_STRIDE];
    __atomic_store_n(p, *p + 1, __ATOMIC_RELAXED);
}

void version_unpin(struct version *v, struct worker *w) {
    uint32_t *p = &v->pins[w->id * PIN_STRIDE];
    __atomic_store_n(p, *p - 1, __ATOMIC_RELEASE);
}

bool version_pinned(const struct version *v, unsigned workers) {
    for (unsigned i = 0; i < workers; i++)
        if (__atomic_load_n(&v->pins[i * PIN_STRIDE], __ATOMIC_ACQUIRE))
            return true;
    return false;
}
