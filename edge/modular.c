/* SPDX-License-Identifier: GPL-3.0-or-later
 * modular.c - commands that modules bring: edge.yaml is read for the module's own section, the rest is the module's.
 */
#include "core/control.h"
#include "edge/client.h"
#include "edge/conf.h"
#include "edge/host.h"
#include <stdlib.h>
#include <string.h>

static char *get(const struct module_call *call, const char *kind) {
    struct args args = *(const struct args *)call->host;
    int code;
    args.word[0] = kind;
    args.words = 1;
    json_t *answer = client_ask(&args, "get", &code, NULL);
    json_t *rows = json_object_get(answer, "data");
    char *text = rows ? json_dumps(rows, JSON_COMPACT) : NULL;
    json_decref(answer);
    return text;
}

static const struct ringress_module *module_named(const char *name) {
    for (size_t i = 0; i < modules_count(); i++)
        if (!strcmp(modules_get(i)->module->name, name))
            return modules_get(i)->module;
    return NULL;
}

static int module_command(const char *name, const struct args *args) {
    struct err err;
    const struct ringress_module *m = module_named(name);
    if (!m || !m->command) {
        fprintf(stderr, "ringress: that is a command of module %s, which `modules` must list\n",
                name);
        return EXIT_BAD_NEWS;
    }
    if (m->conf_check && !m->conf_check(module_conf(m), &err)) {
        fprintf(stderr, "ringress: %s\n", err.text);
        return EXIT_BAD_NEWS;
    }
    return m->command(&(struct module_call){.size = sizeof(struct module_call),
                                            .conf = module_conf(m),
                                            .word = args->word,
                                            .words = args->words,
                                            .tenant = args->tenant,
                                            .all = args->all,
                                            .get = get,
                                            .host = args});
}

int command_docker_proxy(const struct args *args) {
    struct diags diags = DIAGS_INIT;
    struct edge_conf *conf = edge_conf_load(args->conf ? args->conf : EDGE_CONF_DEFAULT, &diags);
    diags_print(&diags, stderr);
    diags_fini(&diags);
    if (!conf)
        return EXIT_BAD_NEWS;
    host_conf_path(conf->path);
    int code = module_command("docker", args);
    edge_conf_free(conf);
    return code;
}
