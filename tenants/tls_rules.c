/* SPDX-License-Identifier: GPL-3.0-or-later
 * tls_rules.c - what a tenant asks of TLS that ends here: its oldest version, and certificates of clients.
 *
 *   spec.tls of the grant, annotations of Ingresses --> struct tls_rules of the tenant and of each host: the strictest of them
 *
 * What was written to keep clients out must not be taken as nothing: a Secret that is not there lets nobody in.
 */
#include <wolfssl/options.h>

#include "tenants/work.h"
#include <string.h>
#include <wolfssl/wolfcrypt/hash.h>

static const char MIN_VERSION[] = "ringress/tls-min-version";
static const char CA_SECRET[] = "ringress/client-ca-secret";
static const char VERIFY[] = "ringress/client-certificate";

/* ---- as it is written ---- */

void tls_spec_check(struct reader *r, const struct tls_spec *spec, const char *field) {
    const char *version = spec->min_version.text;
    if (version && strcmp(version, "1.2") && strcmp(version, "1.3"))
        reader_error(r, spec->min_version.at, "%s: must be \"1.2\" or \"1.3\"", field);
}

static uint8_t client_read(struct reader *r, const struct object *object) {
    const struct word *secret = annotation_find(object, CA_SECRET);
    const struct word *verify = annotation_find(object, VERIFY);
    if (verify && strcmp(verify->text, "required") && strcmp(verify->text, "optional"))
        reader_error(r, verify->at, "%s: must be \"required\" or \"optional\"", VERIFY);
    if (verify && !secret)
        reader_error(r, verify->at, "%s needs %s: signed by whom?", VERIFY, CA_SECRET);
    if (secret && !object_name_good(secret->text))
        reader_error(r, secret->at, "%s: `%.80s` is not a Secret's name", CA_SECRET, secret->text);
    return !secret                                      ? CLIENT_UNASKED
           : verify && strcmp(verify->text, "required") ? CLIENT_OPTIONAL
                                                        : CLIENT_REQUIRED;
}

struct tls_spec *tls_spec_read(struct reader *r, const struct object *object, bool passthrough) {
    const struct word *version = annotation_find(object, MIN_VERSION);
    const struct word *secret = annotation_find(object, CA_SECRET);
    struct tls_spec *spec = stash_alloc(r->stash, sizeof *spec);
    spec->client = client_read(r, object);
    if (version)
        spec->min_version = *version;
    if (secret)
        spec->client_ca_secret = *secret;
    if (!version && !secret)
        return NULL;
    if (passthrough)
        reader_error(r, (version ? version : secret)->at,
                     "%s: with tls-passthrough the pod ends TLS, and asks what it likes",
                     version ? MIN_VERSION : CA_SECRET);
    tls_spec_check(r, spec, MIN_VERSION);
    return spec;
}

/* ---- compiled ---- */

static uint8_t version_of(const struct word *version) {
    return version->text && !strcmp(version->text, "1.3") ? 3 : 0;
}

static void client_ca_take(struct work *w, const struct ingress_object *ingress,
                           struct tls_rules *rules) {
    const struct word *name = &ingress->tls->client_ca_secret;
    const struct secret_object *secret = model_find(w->model, "Secret", name->text);
    if (secret && secret->ca_pem) {
        rules->client_ca = stash_text(w->stash, secret->ca_pem);
        wc_Sha256Hash((const byte *)rules->client_ca, (word32)strlen(rules->client_ca),
                      rules->client_ca_id);
        return;
    }
    note_event(w, stash_format(w->stash, "Ingress/%s", ingress->head.name), ingress->head.file,
               name->at, secret ? "SecretUnusable" : "SecretNotFound",
               "Secret %s %s: nobody is let in", name->text,
               secret ? "has no usable ca.crt" : "not found");
}

const struct tls_rules *tls_rules_take(struct work *w, const struct ingress_object *ingress) {
    const struct tls_spec *spec = ingress->tls;
    if (!spec)
        return NULL;
    struct tls_rules *rules = stash_alloc(w->stash, sizeof *rules);
    rules->min_version = version_of(&spec->min_version);
    rules->client = spec->client;
    if (rules->client)
        client_ca_take(w, ingress, rules);
    return rules->min_version || rules->client ? rules : NULL;
}

const struct tls_rules *tls_rules_of(const struct work *w, const char *ingress) {
    for (size_t i = 0; i < w->out->ingress_count; i++)
        if (!strcmp(w->out->ingress[i].name, ingress))
            return w->out->ingress[i].tls;
    return NULL;
}

static bool same_authorities(const struct tls_rules *a, const struct tls_rules *b) {
    return !a->client_ca == !b->client_ca &&
           !memcmp(a->client_ca_id, b->client_ca_id, sizeof a->client_ca_id);
}

/* Two authorities can't both be asked of one handshake: the first by its Ingress's name is. */
static void client_join(struct work *w, struct tls_rules *into, const struct tls_rules *more,
                        const char *host) {
    bool both = into->client && more->client;
    if (both && !same_authorities(into, more))
        note_event(w, "Ingress/default", "", (struct spot){0, 0}, "ClientCaConflict",
                   "%s: two Ingresses name different authorities for clients of the same name; "
                   "the first by name counts",
                   *host ? host : "all names");
    if (!into->client) {
        into->client_ca = more->client_ca;
        memcpy(into->client_ca_id, more->client_ca_id, sizeof into->client_ca_id);
    }
    if (more->client > into->client)
        into->client = more->client;
}

const struct tls_rules *tls_rules_join(struct work *w, const struct tls_rules *a,
                                       const struct tls_rules *b, const char *host) {
    if (!a || !b || a == b)
        return a ? a : b;
    struct tls_rules *joined = stash_alloc(w->stash, sizeof *joined);
    *joined = *a;
    if (b->min_version > joined->min_version)
        joined->min_version = b->min_version;
    client_join(w, joined, b, host);
    return joined;
}

/* Rules without a host and defaultBackends speak for every name, so what their Ingresses ask is asked of every name. */
void tls_rules_build(struct work *w) {
    struct tenant *tenant = &w->out->tenant;
    const struct tenant_spec *grant = w->model->tenant ? w->model->tenant->spec : NULL;
    if (grant && grant->tls && version_of(&grant->tls->min_version)) {
        struct tls_rules *rules = stash_alloc(w->stash, sizeof *rules);
        rules->min_version = version_of(&grant->tls->min_version);
        tenant->tls = rules;
    }
    for (size_t i = 0; i < w->out->ingress_count; i++)
        if (w->out->ingress[i].fallback)
            tenant->tls = tls_rules_join(w, tenant->tls, w->out->ingress[i].tls, "");
    for (size_t i = 0; i < w->rule_count; i++)
        if (!*w->rule[i].host)
            tenant->tls = tls_rules_join(w, tenant->tls, w->rule[i].tls, "");
}
