/* SPDX-License-Identifier: GPL-3.0-or-later
 * pod_tls.c - how TLS is spoken to the pods of a Service with `appProtocol: https`.
 *
 *   annotations ringress/backend-... --policy.c--> backend->policy --this, with the Secrets--> backend->tls
 *
 * Who names an authority wants it asked; who asks for verification and names none that can be used is refused (502 with an event),
 * never served unverified. Done when everything has been said of a backend, since an Ingress may add to what its Service says.
 */
#include "tenants/hostname.h"
#include "tenants/work.h"
#include <string.h>

static const char *ca_find(struct work *w, const char *name, const char **ret_refusal) {
    const struct secret_object *secret = model_find(w->model, "Secret", name);
    if (!secret)
        *ret_refusal = stash_format(w->stash, "Secret %s of its authority is not found", name);
    else if (!secret->ca_pem)
        *ret_refusal =
            stash_format(w->stash, "Secret %s has no ca.crt with an authority's certificate", name);
    return secret ? stash_text(w->stash, secret->ca_pem) : NULL;
}

/* What Kubernetes itself asks Services for (webhooks, aggregated APIs), and what certificates for them are issued for. */
static const char *name_of(struct work *w, const struct backend *backend) {
    return stash_format(w->stash, "%s.%s.svc", backend->service, w->entry->name);
}

static void name_judge(struct work *w, struct pod_tls *tls) {
    const char *why;
    if (!hostname_normalise(w->stash, tls->server_name, false, &why) ||
        strchr(tls->server_name, '_'))
        tls->refusal = stash_format(w->stash,
                                    "%s is no host's name: ringress/backend-server-name "
                                    "says another",
                                    tls->server_name);
}

static void backend_judge(struct work *w, struct backend *backend) {
    const struct policy *p = &backend->policy;
    struct pod_tls *tls = &backend->tls;
    tls->server_name = p->server_name ? p->server_name : name_of(w, backend);
    tls->http2 = p->http2;
    tls->verify = p->verify == VERIFY_ON || (p->verify == VERIFY_UNSAID && p->ca_secret);
    if (!tls->verify)
        return;
    name_judge(w, tls);
    if (p->ca_secret)
        tls->ca_pem = ca_find(w, p->ca_secret, &tls->refusal);
    else
        tls->refusal = "ringress/backend-verify is on without ringress/backend-ca-secret";
}

void pod_tls_build(struct work *w) {
    for (size_t i = 0; i < w->backend_count; i++) {
        struct backend *backend = &w->backend[i];
        if (backend->protocol != APP_HTTPS)
            continue;
        backend_judge(w, backend);
        if (!backend->tls.refusal)
            continue;
        if (backend->policy.health == HEALTH_HTTP)
            backend->policy.health = HEALTH_TCP; /* all that can be told of them */
        note_event(w, stash_format(w->stash, "Service/%s", backend->service), "",
                   (struct spot){0, 0}, "BackendTLS",
                   "its pods can't be verified: %s; requests are answered 502",
                   backend->tls.refusal);
    }
}
