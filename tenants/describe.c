/* SPDX-License-Identifier: GPL-3.0-or-later
 * describe.c - `ringress describe`, in the layout of kubectl's describe; and why a name does not
 * route.
 */
#include "tenants/hostname.h"
#include "tenants/inside.h"
#include "tenants/labels.h"
#include "tenants/network.h"
#include "tenants/tabs.h"
#include "tenants/view.h"
#include <stdlib.h>
#include <string.h>

struct page { /* text with tabs, until it is set */
    char *text;
    size_t length;
    FILE *out;
};

static bool page_begin(struct page *page) {
    *page = (struct page){0};
    page->out = open_memstream(&page->text, &page->length);
    return page->out != NULL;
}

static char *page_end(struct page *page) {
    char *set = fclose(page->out) ? NULL : tabs_expand(page->text);
    free(page->text);
    return set;
}

/* ---- parts ---- */

static void dict_print(FILE *out, const char *title, const struct dict *dict, const char *between) {
    fprintf(out, "%s:\t", title);
    for (size_t i = 0; dict && i < dict->count; i++)
        fprintf(out, "%s%.200s%s%.500s\n", i ? "\t" : "", dict->item[i].key.text, between,
                dict->item[i].value.text);
    if (!dict || !dict->count)
        fputs("<none>\n", out);
}

enum { ENDPOINTS_SHOWN = 3 };

static void backend_print(FILE *out, const struct backend *backend) {
    char text[ADDRESS_TEXT_MAX];
    unsigned shown = 0;
    if (!backend)
        return;
    fprintf(out, "%s:%u (", backend->service, backend->port);
    for (unsigned i = 0; i < backend->endpoint_count; i++) {
        if (!backend->endpoint[i].ready)
            continue;
        if (shown++ >= ENDPOINTS_SHOWN)
            continue;
        address_print(&backend->endpoint[i].addr, text);
        fprintf(out, "%s%s", shown > 1 ? "," : "", text);
    }
    if (shown > ENDPOINTS_SHOWN)
        fprintf(out, " + %u more...", shown - ENDPOINTS_SHOWN);
    fputc(')', out);
}

static void words_print(FILE *out, const struct words *words) {
    for (size_t i = 0; i < words->count; i++)
        fprintf(out, "%s%s", i ? "," : "", words->item[i].text);
}

static bool tls_print(FILE *out, const struct entry *entry, const struct ingress_object *ingress,
                      const char *name) {
    bool any = false;
    const struct claim *claim = entry->claims;
    char own[256];
    snprintf(own, sizeof own, "*.%s", entry->domain ? entry->domain : "");
    for (char text[256]; entry->domain && !any && claim; claim = claim->next_of_entry)
        if (!strcmp(claim->ingress, name) && !strcmp(claim_name(claim, text), own)) {
            fprintf(out, "TLS:\n  SNI routes %s\n", own);
            any = true;
        }
    for (size_t i = 0; ingress && ingress->spec && i < ingress->spec->tls.count; i++) {
        const struct ingress_tls *tls = (struct ingress_tls *)ingress->spec->tls.item + i;
        if (any && !tls->secret.text && tls->hosts.count == 1 &&
            !strcmp(tls->hosts.item[0].text, own))
            continue;
        fprintf(out, "%s", any ? "" : "TLS:\n");
        any = true;
        if (tls->secret.text)
            fprintf(out, "  %s terminates ", tls->secret.text);
        else
            fputs("  SNI routes ", out);
        words_print(out, &tls->hosts);
        fputc('\n', out);
    }
    return any;
}

static void rules_print(FILE *out, const struct compiled *compiled, const char *name,
                        const struct backend *fallback) {
    const char *host = NULL;
    fputs("Rules:\n  Host\tPath\tBackends\n  ----\t----\t--------\n", out);
    for (size_t i = 0; i < compiled->route_count; i++) {
        const struct route_note *note = &compiled->route[i];
        if (strcmp(note->ingress, name))
            continue;
        if (!host || strcmp(host, note->host))
            fprintf(out, "  %s\t\n", *note->host ? note->host : "*");
        host = note->host;
        fprintf(out, "    \t%s \t", note->path);
        backend_print(out, note->backend);
        fputc('\n', out);
    }
    if (host)
        return;
    fputs("  *\t*\t", out);
    backend_print(out, fallback);
    fputc('\n', out);
}

/* Labels route under `default`, where a bad one is missed. */
static bool event_concerns(const struct compiled *compiled, const struct event *event,
                           const char *ingress) {
    if (!strncmp(event->object, "Ingress/", 8) && !strcmp(event->object + 8, ingress))
        return true;
    if (!strcmp(event->reason, "BadLabel") && !strcmp(ingress, "default"))
        return true;
    for (size_t i = 0; i < compiled->route_count; i++) {
        const struct route_note *note = &compiled->route[i];
        if (!strcmp(note->ingress, ingress) && label_origin_is_on(note->origin, event->object))
            return true;
    }
    return false;
}

static void events_print(FILE *out, const struct compiled *compiled, const char *ingress) {
    bool any = false;
    for (size_t i = 0; compiled && i < compiled->event_count; i++) {
        const struct event *event = &compiled->event[i];
        if (ingress && !event_concerns(compiled, event, ingress))
            continue;
        if (!any)
            fputs("Events:\n  Type\tReason\tFrom\tMessage\n  ----\t------\t----\t-------\n", out);
        fprintf(out, "  Warning\t%s\t%s\t%s\n", event->reason, event->object, event->message);
        any = true;
    }
    if (!any)
        fputs("Events:\t<none>\n", out);
}

/* ---- ingress ---- */

static const struct backend *fallback_of(const struct compiled *compiled, const char *name) {
    for (size_t i = 0; i < compiled->ingress_count; i++)
        if (!strcmp(compiled->ingress[i].name, name))
            return compiled->ingress[i].fallback;
    return NULL;
}

static char *ingress_describe(const struct entry *entry, const struct ingress_object *ingress,
                              const char *name) {
    const struct compiled *compiled = entry->compiled;
    struct page page;
    if ((!ingress && strcmp(name, "default")) || !page_begin(&page))
        return NULL;
    const struct metadata *meta = ingress ? ingress->head.metadata : NULL;
    const struct backend *fallback = fallback_of(compiled, name);
    fprintf(page.out, "Name:\t%s\n", name);
    dict_print(page.out, "Labels", meta ? &meta->labels : NULL, "=");
    fputs("Namespace:\tdefault\n", page.out);
    fprintf(page.out, "Address:\t%s\nDefault backend:\t", entry->domain ? entry->domain : "");
    backend_print(page.out, fallback);
    fputc('\n', page.out);
    tls_print(page.out, entry, ingress, name);
    rules_print(page.out, compiled, name, fallback);
    dict_print(page.out, "Annotations", meta ? &meta->annotations : NULL, ": ");
    events_print(page.out, compiled, name);
    return page_end(&page);
}

char *describe_ingress(const struct registry *registry, const char *tenant, const char *name) {
    struct entry *entry = entry_find(registry, tenant);
    if (!entry || !entry->compiled)
        return NULL;
    entry_whole(entry);
    char *text = ingress_describe(entry, model_find(entry->model, "Ingress", name), name);
    entry_shed(entry);
    return text;
}

/* ---- tenant ---- */

static void network_print(FILE *out, const struct tenant_spec *spec) {
    const struct network_spec *network = spec ? spec->network : NULL;
    fputs("Network:\t", out);
    if (network && network->allow.count)
        words_print(out, &network->allow);
    else
        fputs("<none>: no pod is reachable", out);
    if (network && network->device.text)
        fprintf(out, " device %s", network->device.text);
    if (network && network->netns.text)
        fprintf(out, " netns %s", network->netns.text);
    fputc('\n', out);
}

char *describe_tenant(const struct registry *registry, const char *tenant) {
    const struct entry *entry = entry_find(registry, tenant);
    struct page page;
    if (!entry || !page_begin(&page))
        return NULL;
    const struct tenant *compiled = entry->compiled ? &entry->compiled->tenant : NULL;
    const struct tenant_spec *spec =
        entry->model && entry->model->tenant ? entry->model->tenant->spec : NULL;
    fprintf(page.out, "Name:\t%s\nUID:\t%s\nDomain:\t%s\nState:\t%s\n", entry->name, entry->uid,
            entry->domain ? entry->domain : "<none>", entry_state(entry));
    if (entry->error)
        fprintf(page.out, "Error:\t%s\n", entry->error);
    network_print(page.out, spec);
    if (compiled)
        fprintf(page.out, "Hosts:\t%zu\nBackends:\t%zu\nRaw ports:\t%zu\n", compiled->host_count,
                compiled->backend_count, compiled->raw_port_count);
    events_print(page.out, entry->compiled, NULL);
    return page_end(&page);
}

/* ---- port ---- */

static bool port_named(const struct raw_port *port, const char *wanted) {
    char full[320];
    snprintf(full, sizeof full, "%s:%u", port->service, port->container_port);
    return !strcmp(full, wanted) || !strcmp(port->service, wanted);
}

char *describe_port(const struct registry *registry, const char *tenant,
                    const char *service_and_port) {
    const struct entry *entry = entry_find(registry, tenant);
    const struct tenant *compiled = entry && entry->compiled ? &entry->compiled->tenant : NULL;
    const struct raw_port *port = NULL;
    struct page page;
    for (size_t i = 0; compiled && !port && i < compiled->raw_port_count; i++)
        if (port_named(&compiled->raw_port[i], service_and_port))
            port = &compiled->raw_port[i];
    if (!port || !page_begin(&page))
        return NULL;
    fprintf(page.out, "Service:\t%s\nContainer port:\t%u\nAddress:\t%s", port->service,
            port->container_port, entry->domain ? entry->domain : "<any>");
    if (port->public_port)
        fprintf(page.out, ":%u", port->public_port);
    fprintf(page.out, "\nState:\t%s\nReason:\t%s\nBackend:\t",
            port->state == RAW_PORT_OPEN   ? "open"
            : port->state == RAW_PORT_SHUT ? "shut"
                                           : "refused",
            port->reason ? port->reason : "<none>");
    backend_print(page.out, port->backend);
    fputc('\n', page.out);
    return page_end(&page);
}

/* ---- domain ---- */

static const char *string_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "<none>";
}

static bool shown_to(const char *tenant, const char *owner) {
    return !tenant || !strcmp(tenant, owner);
}

static void records_print(FILE *out, const json_t *records) {
    const json_t *record;
    json_int_t way = 0;
    size_t i;
    json_array_foreach(records, i, record) {
        json_int_t of = json_integer_value(json_object_get(record, "way"));
        if (of != way)
            fprintf(out, "  %s:\n", !way ? "Records to prove it" : "Or, all of these");
        way = of;
        fprintf(out, "    %s\t%s\t%s\n", string_of(record, "name"), string_of(record, "type"),
                string_of(record, "value"));
    }
}

/* For who asks why a name is not live: what to add, what stands there, when it is looked at next. */
static void proof_print(FILE *out, const json_t *claim) {
    if (json_is_null(json_object_get(claim, "proof")))
        return;
    fprintf(out,
            "  Since:\t%s\n  Proved by:\t%s\n  Seen:\t%s\n  Last look:\t%s\n  Next look:\t%s\n",
            string_of(claim, "since"), string_of(claim, "proof"), string_of(claim, "seen"),
            string_of(claim, "lastLook"), string_of(claim, "nextLook"));
    records_print(out, json_object_get(claim, "records"));
}

/* A name whose Ingress is gone, while DNS leads here still. To a tenant: its own. */
static bool left_behind_print(FILE *out, const struct registry *registry, const struct place *place,
                              const char *tenant) {
    const struct standing *s = place ? place->keeper : NULL;
    if (!s || !standing_left_behind(s))
        return false;
    const struct entry *entry = entry_find(registry, s->looker->tenant);
    bool there = entry && !strcmp(entry->uid, s->looker->uid);
    if (tenant && !(there && !strcmp(tenant, entry->name)))
        return false;
    json_t *next = time_json(s->next_look);
    fprintf(
        out,
        "Kept:\n  Tenant:\t%s%s\n  State:\t%s\n  Reason:\tno Ingress binds it, and DNS led here "
        "when it was last looked at\n  Next look:\t%s\n",
        s->looker->tenant, there ? "" : " (gone)", phase_name(s->phase),
        json_is_string(next) ? json_string_value(next) : "<none>");
    json_decref(next);
    return true;
}

static size_t claims_print(FILE *out, const struct registry *registry, const struct place *place,
                           const char *tenant) {
    size_t count = 0;
    for (const struct claim *claim = place ? place->first : NULL; claim; claim = claim->next) {
        if (!shown_to(tenant, claim->entry->name))
            continue;
        json_t *object = claim_json(registry, claim);
        fprintf(out, "Claim:\n  Tenant:\t%s\n  Ingress:\t%s\n  State:\t%s\n  Reason:\t%s\n",
                string_of(object, "tenant"), string_of(object, "ingress"),
                string_of(object, "state"), string_of(object, "reason"));
        proof_print(out, object);
        json_decref(object);
        count++;
    }
    return count;
}

char *describe_domain(const struct registry *registry, const char *tenant, const char *domain) {
    const struct zone *zone = domain_above(registry, domain);
    struct page page;
    if (!page_begin(&page))
        return NULL;
    if (zone && !shown_to(tenant, zone->granted_to))
        zone = NULL;
    fprintf(page.out, "Name:\t%s\n", domain);
    if (zone)
        fprintf(page.out, "Domain of:\t%s%s\n", zone->granted_to,
                entry_find(registry, zone->granted_to) ? "" : " (gone: nobody else is given it)");
    const struct place *place = place_find(registry, domain);
    bool any = claims_print(page.out, registry, place, tenant) > 0;
    any |= left_behind_print(page.out, registry, place, tenant);
    char *text = page_end(&page);
    if (any || (zone && !strcmp(zone->name, domain)))
        return text;
    free(text);
    return NULL;
}

/* ---- why not ---- */

static bool claims_explain(const struct registry *registry, const struct place *place, FILE *out) {
    for (const struct claim *claim = place ? place->first : NULL; claim; claim = claim->next) {
        json_t *object = claim_json(registry, claim);
        fprintf(out, "%s is claimed by tenant %s (Ingress %s): %s; %s\n",
                string_of(object, "domain"), string_of(object, "tenant"),
                string_of(object, "ingress"), string_of(object, "state"),
                string_of(object, "reason"));
        json_decref(object);
    }
    const struct standing *keeper = place ? place->keeper : NULL;
    bool left = keeper && standing_left_behind(keeper);
    if (left)
        fprintf(out,
                "it is kept for tenant %s, which proved it and binds it no more, for as long as "
                "DNS leads there\n",
                keeper->looker->tenant);
    return left || (place && place->first);
}

char *explain_name(const struct registry *registry, const char *host) {
    struct stash *stash = stash_new();
    const char *why = NULL, *name = hostname_normalise(stash, host, true, &why),
               *dot = name ? strchr(name, '.') : NULL;
    const struct zone *domain = name ? domain_above(registry, name) : NULL;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    if (!name)
        fprintf(out, "`%.200s` %s\n", host, why);
    bool claimed = name && claims_explain(registry, place_find(registry, name), out);
    if (name && !claimed && dot)
        claimed =
            claims_explain(registry, place_find(registry, stash_format(stash, "*%s", dot)), out);
    if (domain)
        fprintf(out, "%s lies in the domain %s of tenant %s%s\n", name, domain->name,
                domain->granted_to,
                entry_find(registry, domain->granted_to) ? "" : ", which is gone");
    else if (name && !claimed)
        fprintf(out, "no tenant has bound %s\n", name);
    fclose(out);
    stash_free(stash);
    if (length && text[length - 1] == '\n')
        text[length - 1] = 0;
    return text;
}
