/* SPDX-License-Identifier: GPL-3.0-or-later
 * names.c - the directory: one lock-free RCU hash (liburcu's) of keys to entries.
 *
 *   "shop.example.com"  exact        "*.example.com"  any one label below
 *   ".123123.1d.pt"     a tree       "#28791"         a raw port
 *
 * A look-up of a name makes at most two probes for the common cases, and one more per suffix only when nothing else matched.
 */
#include "core/directory.h"
#include "core/map.h"
#include "core/worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cds_lfht *table;

enum { KEY_MOST = 256, PIN_STRIDE = 16 };

struct key {
    const char *text;
    size_t length;
};

static int key_match(struct cds_lfht_node *node, const void *key) {
    const struct key *k = key;
    const struct name_node *n = container_of(node, struct name_node, node);
    /* Pairs with directory_put: whoever sees the length sees the entry and what it points at. */
    return __atomic_load_n(&n->length, __ATOMIC_ACQUIRE) == k->length && !memcmp(n->key, k->text, k->length);
}

static const struct name_entry *key_find(const char *text, size_t length) {
    struct key k = {text, length};
    struct cds_lfht_iter iter;
    cds_lfht_lookup(table, hash_bytes(text, length), key_match, &k, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node ? &container_of(node, struct name_node, node)->entry : NULL;
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
        return e;
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

/* ---- spelling ---- */

static bool name_octet(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static size_t bracketed(const char *host, size_t length, char out[254]) {
    size_t end = 1;
    while (end < length && host[end] != ']') {
        char c = host[end];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.'))
            return 0;
        end++;
    }
    if (end >= length || end < 3 || end > 200)
        return 0;
    memcpy(out, host, end + 1);
    out[end + 1] = 0;
    return end + 1;
}

static size_t port_strip(const char *host, size_t length) {
    size_t end = length;
    while (end && host[end - 1] >= '0' && host[end - 1] <= '9')
        end--;
    if (end && host[end - 1] == ':' && length - end <= 5)
        return end - 1;
    return length;
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

bool directory_init(void) {
    table = cds_lfht_new_flavor(1024, 1024, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, &urcu_qsbr_flavor, NULL);
    return table;
}

void directory_fini(void) {
    /* A resize that is still under way waits for a grace period: not for this thread. */
    urcu_qsbr_thread_offline();
    if (table)
        cds_lfht_destroy(table, NULL);
    urcu_qsbr_thread_online();
    table = NULL;
}

static struct name_node *node_new(struct version *v, const char *prefix, const char *name, const void *object) {
    size_t a = strlen(prefix), b = strlen(name);
    struct name_node *n = calloc(1, sizeof *n + a + b + 1);
    if (!n)
        return NULL;
    n->entry = (struct name_entry){.version = v, .object = object};
    n->length = (uint16_t)(a + b);
    memcpy(n->key, prefix, a);
    memcpy(n->key + a, name, b);
    return n;
}

struct name_node *directory_node(struct version *v, enum name_kind kind, const char *name, const void *object) {
    return node_new(v, kind == NAME_TREE ? "." : "", name, object);
}

struct name_node *directory_port_node(struct version *v, uint16_t port, const void *object) {
    char text[8];
    snprintf(text, sizeof text, "%u", port);
    return node_new(v, "#", text, object);
}

void directory_put(struct name_node *n) {
    struct key k = {n->key, n->length};
    __atomic_store_n(&n->length, n->length, __ATOMIC_RELEASE);
    struct cds_lfht_node *old = cds_lfht_add_replace(table, hash_bytes(n->key, n->length), key_match, &k, &n->node);
    if (old)
        container_of(old, struct name_node, node)->gone = true;
}

void directory_delete(struct name_node *n) {
    if (!n->gone)
        cds_lfht_del(table, &n->node);
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
