/* SPDX-License-Identifier: GPL-3.0-or-later
 * secrets.c - spec.tls entries that name a Secret: which certificate for which hosts.
 *
 * The gate: a certificate is used only for hosts this tenant may route, and only for those it
 * names. Somebody else's name
 * in one's certificate gives nothing.
 */
#include "tenants/certificate.h"
#include "tenants/hostname.h"
#include "tenants/work.h"
#include <string.h>

static bool facts_cover(const struct certificate_facts *facts, const char *host) {
    for (size_t i = 0; i < facts->name_count; i++)
        if (hostname_covers(facts->name[i], host))
            return true;
    return false;
}

static struct certificate *certificate_need(struct work *w, const struct secret_object *secret,
                                            struct table *known) {
    struct tenant *tenant = &w->out->tenant;
    struct certificate *certificate = table_get(known, secret->head.name);
    if (certificate)
        return certificate;
    certificate = &tenant->certificate[tenant->certificate_count++];
    const char **name = stash_array(w->stash, secret->facts->name_count + 1, sizeof *name);
    for (size_t i = 0; i < secret->facts->name_count; i++)
        name[i] = stash_text(w->stash, secret->facts->name[i]);
    *certificate = (struct certificate){
        .secret = stash_text(w->stash, secret->head.name),
        .name = name,
        .name_count = secret->facts->name_count,
        .chain_pem = stash_text(w->stash, secret->chain_pem),
        .key_pem = stash_text(w->stash, secret->key_pem),
        .not_after = secret->facts->not_after,
        .issuer = stash_text(w->stash, secret->facts->issuer),
    };
    table_put(known, certificate->secret, certificate);
    return certificate;
}

static void host_add(struct work *w, struct certificate *certificate, const char *host) {
    const char **list = (const char **)(void *)certificate->host;
    for (size_t i = 0; i < certificate->host_count; i++)
        if (!strcmp(list[i], host))
            return;
    list = stash_room(w->stash, list, certificate->host_count, sizeof *list);
    list[certificate->host_count++] = stash_text(w->stash, host);
    certificate->host = list;
}

static void host_take(struct work *w, const struct ingress_object *ingress,
                      const struct secret_object *secret, struct certificate *certificate,
                      const struct word *host) {
    const char *reason;
    if (!claim_routes(host_judge(w->registry, w->entry, host->text, &reason)))
        return; /* said where the claim stands */
    if (facts_cover(secret->facts, host->text))
        host_add(w, certificate, host->text);
    else
        note_event(w, stash_format(w->stash, "Ingress/%s", ingress->head.name), ingress->head.file,
                   host->at, "CertificateMismatch", "the certificate in Secret %s does not name %s",
                   secret->head.name, host->text);
}

/* Upstream: hosts left out mean all of them. Here: the hosts of this Ingress's rules that the
 * certificate names. */
static void rule_hosts_take(struct work *w, const struct ingress_object *ingress,
                            const struct secret_object *secret, struct certificate *certificate) {
    const struct items *rules = &ingress->spec->rules;
    for (size_t i = 0; i < rules->count; i++) {
        const struct word *host = &((struct ingress_rule *)rules->item)[i].host;
        if (host->text && *host->text && facts_cover(secret->facts, host->text))
            host_take(w, ingress, secret, certificate, host);
    }
}

static void tls_take(struct work *w, const struct ingress_object *ingress,
                     const struct ingress_tls *tls, struct table *known) {
    const char *object = stash_format(w->stash, "Ingress/%s", ingress->head.name);
    const struct secret_object *secret =
        tls->secret.text ? model_find(w->model, "Secret", tls->secret.text) : NULL;
    if (!tls->secret.text)
        return;
    if (!secret || !secret->facts) {
        note_event(w, object, ingress->head.file, tls->secret.at,
                   secret ? "SecretUnusable" : "SecretNotFound", "Secret %s %s%s", tls->secret.text,
                   secret ? "cannot be used: " : "not found",
                   !secret       ? ""
                   : secret->why ? secret->why
                                 : "it is not of type kubernetes.io/tls");
        return;
    }
    struct certificate *certificate = certificate_need(w, secret, known);
    for (size_t i = 0; i < tls->hosts.count; i++)
        host_take(w, ingress, secret, certificate, &tls->hosts.item[i]);
    if (!tls->hosts.count)
        rule_hosts_take(w, ingress, secret, certificate);
}

void certificates_build(struct work *w) {
    struct tenant *tenant = &w->out->tenant;
    struct table known = {0};
    tenant->certificate =
        stash_array(w->stash, w->model->secrets.count + 1, sizeof *tenant->certificate);
    for (size_t i = 0; i < w->model->ingresses.count; i++) {
        const struct ingress_object *ingress = w->model->ingresses.item[i];
        for (size_t j = 0; ingress->spec && j < ingress->spec->tls.count; j++)
            tls_take(w, ingress, (struct ingress_tls *)ingress->spec->tls.item + j, &known);
    }
    table_fini(&known);
    for (size_t i = 0; i < w->model->secrets.count; i++) {
        const struct secret_object *secret = w->model->secrets.item[i];
        if (secret->why)
            note_event(w, stash_format(w->stash, "Secret/%s", secret->head.name), secret->head.file,
                       secret->head.at, "Unusable", "%s", secret->why);
    }
}
