/* SPDX-License-Identifier: GPL-3.0-or-later
 * yaml.c - any text as a tenant's file: as Kubernetes objects and as a compose file, put, shown,
 * put again, removed.
 * Nothing may crash, leak, or grow beyond the limits; what was accepted must survive its own row.
 */
#include "tenants/registry.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void views_read(const struct registry *registry) {
    json_decref(view_tenants(registry, NULL));
    json_decref(view_routes(registry, NULL));
    json_decref(view_domains(registry, NULL));
    json_decref(view_ports(registry, NULL));
    json_decref(view_backends(registry, NULL));
    json_decref(view_certificates(registry, NULL));
    json_decref(view_events(registry, NULL));
    free(describe_ingress(registry, "acme", "default"));
    free(describe_tenant(registry, "acme"));
    free(explain_name(registry, "web.example.com"));
}

static void tenant_read(const struct change *change) {
    static const char *const paths[] = {"/", "/foo", "/foo/bar"};
    for (size_t i = 0; i < change->tenant_count; i++) {
        const struct tenant *tenant = change->tenant[i].tenant;
        struct route_answer answer;
        for (size_t j = 0; tenant && j < tenant->name_count; j++)
            for (size_t k = 0; k < 3; k++)
                route_find(tenant, tenant->names[j].host, paths[k], strlen(paths[k]), &answer);
        if (tenant)
            tenant_certificate(tenant, "web.example.com", 15);
    }
}

static void drop_put(struct registry *registry, const char *file, bool folder, const char *text,
                     size_t size) {
    static const char grant[] = "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: acme}\n"
                                "spec: {domain: acme.1d.pt, network: {allow: [10.0.0.0/8]}}\n";
    struct source source[] = {{file, file, text, size},
                              {"tenant.yaml", "tenant.yaml", grant, sizeof grant - 1}};
    struct drop drop = {"acme", folder, source, folder ? 2 : 1};
    struct diags diags = DIAGS_INIT;
    struct change change;
    if (registry_put(registry, &drop, 1000, &diags, &change)) {
        for (size_t i = 0; i < change.row_count; i++)
            if (change.row[i].value)
                registry_row(registry, "good/other", change.row[i].value);
    }
    tenant_read(&change);
    change_fini(&change);
    diags_fini(&diags);
    views_read(registry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const zones[] = {"1d.pt"};
    struct registry_conf conf = {.zones = zones,
                                 .zone_count = 1,
                                 .port_low = 28000,
                                 .port_high = 28015,
                                 .ports_per_tenant = 4};
    struct registry *registry = registry_new(&conf);
    struct change change;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    drop_put(registry, "acme.yaml", false, text, size);
    drop_put(registry, "compose.yaml", true, text, size);
    drop_put(registry, "web.yaml", true, text, size);
    registry_tick(registry, 100000, &change);
    change_fini(&change);
    registry_remove(registry, "acme", 2000, &change);
    change_fini(&change);
    registry_loaded(registry, 2000, &change);
    change_fini(&change);
    registry_free(registry);
    free(text);
    return 0;
}
