/* SPDX-License-Identifier: GPL-3.0-or-later
 * rules.c - Ingresses to rules: a flat list of (host, path, backend), ordered by the Ingress's
 * name and then as written.
 */
#include "tenants/hostname.h"
#include "tenants/work.h"
#include <stdlib.h>
#include <string.h>

struct rule *rule_add(struct work *w) {
    w->rule = stash_room(w->stash, w->rule, w->rule_count, sizeof *w->rule);
    struct rule *rule = &w->rule[w->rule_count++];
    *rule = (struct rule){.host = "", .order = w->rule_count};
    return rule;
}

static bool tls_covers(const struct ingress_spec *spec, const char *host) {
    for (size_t i = 0; i < spec->tls.count; i++) {
        const struct words *hosts = &((struct ingress_tls *)spec->tls.item)[i].hosts;
        for (size_t j = 0; j < hosts->count; j++)
            if (hostname_covers(hosts->item[j].text, host))
                return true;
    }
    return false;
}

static const struct backend *backend_under(struct work *w, const struct ingress_object *ingress,
                                           const struct backend *backend) {
    if (backend)
        policy_apply(w, (struct backend *)(uintptr_t)backend, ingress->policy,
                     stash_format(w->stash, "Ingress/%s", ingress->head.name), ingress->head.file);
    return backend;
}

static const struct backend *ref_backend(struct work *w, const struct ingress_object *ingress,
                                         const struct backend_ref *ref) {
    if (!ref)
        return NULL;
    const struct service_ref *service = ref->service;
    if (service && service->name.text && service->port)
        return backend_under(w, ingress,
                             backend_of_service(w, service->name.text, service->port->number,
                                                service->port->name.text));
    note_event(w, stash_format(w->stash, "Ingress/%s", ingress->head.name), ingress->head.file,
               ref->at, "ResourceBackend",
               "a backend must be a service; resource backends are not supported");
    struct backend *backend = backend_new(w, "resource", 0, APP_HTTP);
    if (backend)
        backend->reason = "resource backends are not supported";
    return backend;
}

static enum path_type path_type_of(const char *name) {
    return !strcmp(name, "Exact")    ? PATH_EXACT
           : !strcmp(name, "Prefix") ? PATH_PREFIX
                                     : PATH_IMPLEMENTATION_SPECIFIC;
}

static void rule_take(struct work *w, const struct ingress_object *ingress,
                      const struct ingress_rule *from, const struct ingress_path *path,
                      const struct ingress_note *note) {
    const struct backend *backend = path ? ref_backend(w, ingress, path->backend) : NULL;
    struct rule *rule = rule_add(w);
    rule->host = from->host.text ? stash_text(w->stash, from->host.text) : "";
    rule->path = path ? stash_text(w->stash, path->path.text) : NULL;
    rule->type = path ? path_type_of(path->type.text) : PATH_PREFIX;
    rule->backend = backend;
    rule->fallback = note->fallback;
    rule->gate = note->gate;
    rule->tls = note->tls;
    rule->ingress = stash_text(w->stash, ingress->head.name);
    rule->object = rule->origin = stash_format(w->stash, "Ingress/%s", ingress->head.name);
    rule->origin = stash_format(w->stash, "Ingress %s", ingress->head.name);
    bool covered = *rule->host && tls_covers(ingress->spec, rule->host);
    rule->redirect = covered && ingress->redirect != MAYBE_FALSE;
    rule->plain = ingress->redirect == MAYBE_FALSE;
    rule->passthrough = ingress->passthrough;
    rule->scheme = rule->passthrough ? "tls" : rule->redirect ? "https" : "http";
    rule->file = ingress->head.file;
    rule->at = path ? path->at : from->at;
}

static void ingress_take(struct work *w, const struct ingress_object *ingress) {
    const struct ingress_spec *spec = ingress->spec;
    const struct backend *fallback = spec ? ref_backend(w, ingress, spec->fallback) : NULL;
    struct ingress_note *note = &w->out->ingress[w->out->ingress_count++];
    *note = (struct ingress_note){stash_text(w->stash, ingress->head.name), fallback,
                                  gate_take(w, ingress->gate), tls_rules_take(w, ingress)};
    for (size_t i = 0; spec && i < spec->rules.count; i++) {
        const struct ingress_rule *rule = (struct ingress_rule *)spec->rules.item + i;
        const struct items *paths = rule->http ? &rule->http->paths : NULL;
        for (size_t j = 0; paths && j < paths->count; j++)
            rule_take(w, ingress, rule, (struct ingress_path *)paths->item + j, note);
        if (!paths || !paths->count)
            rule_take(w, ingress, rule, NULL, note);
    }
    if (ingress->passthrough && spec && spec->fallback && !spec->rules.count)
        note_event(w, stash_format(w->stash, "Ingress/%s", note->name), ingress->head.file,
                   ingress->head.at, "NoHost",
                   "tls-passthrough needs rules with a host: SNI is all that can be seen");
}

static int ingress_order(const void *left, const void *right) {
    const struct ingress_object *a = *(struct ingress_object *const *)left,
                                *b = *(struct ingress_object *const *)right;
    return strcmp(a->head.name, b->head.name);
}

/* Label rules belong to the Ingress `default` and stand behind what is written there. */
void rules_gather(struct work *w) {
    size_t count = w->model->ingresses.count;
    const struct ingress_object **sorted = stash_array(w->stash, count + 1, sizeof *sorted);
    w->out->ingress = stash_array(w->stash, count + 1, sizeof *w->out->ingress);
    if (count)
        memcpy(sorted, w->model->ingresses.item, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, ingress_order);
    size_t i = 0;
    while (i < count && strcmp(sorted[i]->head.name, "default") <= 0)
        ingress_take(w, sorted[i++]);
    label_rules_gather(w);
    while (i < count)
        ingress_take(w, sorted[i++]);
}
