/* SPDX-License-Identifier: GPL-3.0-or-later
 * check.c - everything `run` would read, read and judged, nothing touched: no listener, no state, no edge needed.
 */
#include "core/control.h"
#include "edge/command.h"
#include "edge/conf.h"
#include "edge/drop.h"
#include "edge/edge.h"
#include "edge/host.h"
#include "edge/print.h"
#include "edge/proof.h"
#include "tenants/hostname.h"
#include <stdlib.h>
#include <string.h>

static int name_order(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The tenants asked for, or all of conf.d by name; `names` keeps them. */
static size_t tenants_choose(const struct args *args, const struct edge_conf *conf,
                             struct map *names, const char ***ret, struct diags *diags) {
    size_t count = 0;
    struct err err;
    if (args->words) {
        *ret = (const char **)args->word;
        return (size_t)args->words;
    }
    if (!drop_list(conf->conf_d, names, names, &err))
        diags_add(diags, DIAG_ERROR, "", 0, 0, "%s", err.text);
    *ret = calloc(names->count + 1, sizeof **ret);
    for (size_t i = 0; *ret && i < names->room; i++)
        if (names->slot[i].key)
            (*ret)[count++] = names->slot[i].key;
    if (*ret)
        qsort(*ret, count, sizeof **ret, name_order);
    return count;
}

static void tenant_check(struct registry *registry, const struct edge_conf *conf,
                         const char *tenant, struct diags *diags) {
    struct drop_files files;
    struct err err;
    enum drop_found found = drop_read(conf->conf_d, tenant, &files, &err);
    if (found == DROP_NONE)
        diags_add(diags, DIAG_ERROR, "", 0, 0, "%s: no tenant %s: neither %s.yaml nor %s/ is there",
                  conf->conf_d, tenant, tenant, tenant);
    else if (found == DROP_FAILED)
        diags_add(diags, DIAG_ERROR, "", 0, 0, "%s", err.text);
    if (found != DROP_READ)
        return;
    registry_check(registry, &files.drop, diags);
    drop_free(&files);
}

static size_t tenants_check(const struct args *args, const struct edge_conf *conf,
                            struct diags *diags) {
    struct registry_conf rc = {.zones = conf->zones.item,
                               .zone_count = conf->zones.count,
                               .addresses = conf->addresses.item,
                               .address_count = conf->addresses.count,
                               .port_low = conf->port_low,
                               .port_high = conf->port_high,
                               .ports_per_tenant = (unsigned)conf->raw_tcp.per_tenant};
    struct registry *registry = registry_new(&rc);
    struct map names = {0};
    const char **tenant = NULL;
    size_t count = registry ? tenants_choose(args, conf, &names, &tenant, diags) : 0;
    for (size_t i = 0; tenant && i < count; i++)
        tenant_check(registry, conf, tenant[i], diags);
    if (!args->words)
        free(tenant);
    map_fini(&names);
    if (registry)
        registry_free(registry);
    return count;
}

static void resolver_check(const struct edge_conf *conf, struct diags *diags) {
    struct err err;
    if (!proofs_resolver(conf, &err))
        diags_add(diags, DIAG_ERROR, conf->path, 0, 0, "%s", err.text);
}

static void modules_check(const char *path, struct diags *diags) {
    struct err err;
    host_conf_path(path);
    if (!modules_up(&err))
        diags_add(diags, DIAG_ERROR, path, 0, 0, "%s", err.text);
}

static void report_print(const struct diags *diags, const char *path, size_t tenants) {
    size_t errors = diags->errors;
    diags_print(diags, stdout);
    if (!errors)
        printf("OK: %s and %zu tenant%s, %zu warning%s\n", path, tenants, tenants == 1 ? "" : "s",
               diags->count, diags->count == 1 ? "" : "s");
    else
        printf("%zu error%s\n", errors, errors == 1 ? "" : "s");
}

static void report_print_json(const struct diags *diags) {
    json_t *rows = json_array();
    for (size_t i = 0; i < diags->count; i++) {
        const struct diag *d = &diags->item[i];
        json_t *message = json_string(d->message);
        json_array_append_new(rows,
                              json_pack("{s:s s:s s:i s:i s:o}", "level",
                                        d->level == DIAG_ERROR ? "error" : "warning", "file",
                                        d->file, "line", (int)d->line, "column", (int)d->column,
                                        "message", message ? message : json_string("(not UTF-8)")));
    }
    print_json(rows);
    json_decref(rows);
}

int command_check(const struct args *args) {
    struct diags diags = DIAGS_INIT;
    const char *path = args->conf ? args->conf : EDGE_CONF_DEFAULT;
    struct edge_conf *conf = edge_conf_load(path, &diags);
    size_t tenants = 0;
    if (conf) {
        modules_check(path, &diags);
        resolver_check(conf, &diags);
        operator_load(conf, NULL, &diags);
        tenants = tenants_check(args, conf, &diags);
    }
    size_t errors = diags.errors;
    if (args->output == OUTPUT_JSON)
        report_print_json(&diags);
    else
        report_print(&diags, path, tenants);
    diags_fini(&diags);
    edge_conf_free(conf);
    return errors ? EXIT_BAD_NEWS : EXIT_GOOD;
}
