/* SPDX-License-Identifier: GPL-3.0-or-later
 * operator.c - the operator's own certificates: files of edge.yaml to identities by name, and how they are shown.
 */
#include "core/stash.h"
#include "edge/edge.h"
#include "edge/file.h"
#include "tenants/certificate.h"
#include <stdlib.h>
#include <string.h>

enum { PEM_MAX = 1 << 20 };

/* What was read while the process still could: a key file may be root's alone. Good for one load. */
static struct pair { char *chain, *key; } * ahead;

struct loading {
    struct stash *stash;
    struct identity **identity;
    const char *const **name;
    size_t *name_count, count;
    json_t *shown;
};

static json_t *shown_new(const struct edge_certificate *file,
                         const struct certificate_facts *facts) {
    char until[32] = "";
    struct tm tm;
    time_t at = (time_t)facts->not_after;
    bool expired = at < time(NULL);
    json_t *names = json_array();
    if (gmtime_r(&at, &tm))
        strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &tm);
    for (size_t i = 0; i < facts->name_count; i++)
        json_array_append_new(names, json_string(facts->name[i]));
    return json_pack("{s:o s:n s:s? s:s s:s s:s s:s? s:s}", "names", names, "tenant", "issuer",
                     facts->issuer, "notAfter", until, "source", "operator", "state",
                     expired ? "expired" : "ok", "nextAction",
                     expired ? "renew the file, then: ringress reload" : NULL, "file", file->cert);
}

static bool pair_read(struct loading *l, const struct edge_certificate *file, bool use,
                      struct diags *diags, const char *chain, const char *key) {
    struct certificate_facts facts;
    struct err err;
    const char *why;
    if (!certificate_read(l->stash, chain, key, &facts, &why)) {
        diags_add(diags, DIAG_ERROR, file->cert, 0, 0, "%s", why);
        return false;
    }
    struct identity *identity = use ? identity_new(chain, key, &err) : NULL;
    if (use && !identity) {
        diags_add(diags, DIAG_ERROR, file->cert, 0, 0, "%s", err.text);
        return false;
    }
    l->identity[l->count] = identity;
    l->name[l->count] = facts.name;
    l->name_count[l->count++] = facts.name_count;
    json_array_append_new(l->shown, shown_new(file, &facts));
    return true;
}

static struct pair pair_open(const struct edge_certificate *file, struct err *chain_err,
                             struct err *key_err) {
    size_t length;
    return (struct pair){file_read(file->cert, PEM_MAX, &length, chain_err),
                         file_read(file->key, PEM_MAX, &length, key_err)};
}

static void pair_close(struct pair *p) {
    if (p->key)
        explicit_bzero(p->key, strlen(p->key));
    free(p->key);
    free(p->chain);
}

static bool one_load(struct loading *l, const struct edge_certificate *file, bool use,
                     struct diags *diags, struct pair *read) {
    struct err chain_err, key_err;
    if (!read->chain || !read->key) {
        pair_close(read);
        *read = pair_open(file, &chain_err, &key_err);
    }
    const char *chain = read->chain, *key = read->key;
    if (!chain)
        diags_add(diags, DIAG_ERROR, "", 0, 0, "%s", chain_err.text);
    if (!key)
        diags_add(diags, DIAG_ERROR, "", 0, 0, "%s", key_err.text);
    return chain && key && pair_read(l, file, use, diags, chain, key);
}

static void loading_end(struct loading *l, struct edge *use, bool good) {
    if (use && good) {
        operator_identities_set(l->identity, l->name, l->name_count, l->count);
        json_decref(use->certificates);
        use->certificates = json_incref(l->shown);
    }
    for (size_t i = 0; use && !good && i < l->count; i++)
        identity_unref(l->identity[i]);
    json_decref(l->shown);
    stash_free(l->stash);
}

void operator_read_ahead(const struct edge_conf *conf) {
    const struct edge_certificate *file = conf->tls.certificates.item;
    struct err chain_err, key_err; /* operator_load reads again what could not be, and says why */
    ahead = calloc(conf->tls.certificates.count + 1, sizeof *ahead);
    for (size_t i = 0; ahead && i < conf->tls.certificates.count; i++)
        ahead[i] = pair_open(&file[i], &chain_err, &key_err);
}

bool operator_load(const struct edge_conf *conf, struct edge *use, struct diags *diags) {
    size_t n = conf->tls.certificates.count;
    struct loading l = {.stash = stash_new(), .shown = json_array()};
    struct pair *read = use ? ahead : NULL;
    bool good = true;
    l.identity = stash_array(l.stash, n + 1, sizeof *l.identity);
    l.name = stash_array(l.stash, n + 1, sizeof *l.name);
    l.name_count = stash_array(l.stash, n + 1, sizeof *l.name_count);
    for (size_t i = 0; i < n; i++) {
        struct pair own = read ? read[i] : (struct pair){0};
        good &= one_load(&l, (const struct edge_certificate *)conf->tls.certificates.item + i, use,
                         diags, &own);
        pair_close(&own);
    }
    if (read)
        ahead = NULL;
    free(read);
    loading_end(&l, use, good);
    return good;
}
