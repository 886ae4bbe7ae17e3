/* SPDX-License-Identifier: GPL-3.0-or-later
 * docker.c - containers by label: what runs in a Docker engine (or podman) becomes routes of the tenant whose it is.
 *
 *   engine --events, list, inspect--> engine.c --> fleet.c --control_feed--> tenants/: the same step as labels in conf.d
 *
 * Works on a thread for each engine; takes no part in any connection, asks engines nothing that changes anything.
 */
#include "core/module.h"
#include "modules/docker/conf.h"
#include "modules/docker/engine.h"
#include "modules/docker/proxy.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { START_MS = 2000 }; /* for what runs to be live before the first connection */

static struct engine *engines[ENGINES_MOST];
static size_t engine_count;

static void docker_down(void) {
    for (; engine_count; engine_count--)
        engine_free(engines[engine_count - 1]);
    curl_global_cleanup();
}

static bool docker_up(const void *conf, struct err *err) {
    const struct conf_list *list = conf;
    const struct docker_engine *engine = list->item;
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return err_set(err, "docker: libcurl can't be used");
    for (engine_count = 0; engine_count < list->count; engine_count++)
        if (!(engines[engine_count] = engine_new(&engine[engine_count], err))) {
            docker_down();
            return false;
        }
    for (size_t i = 0; i < engine_count; i++)
        engine_await(engines[i], START_MS);
    return true;
}

/* ---- metrics ---- */

static void family(FILE *out, const char *name, const char *type, const char *help,
                   double (*value)(const struct engine_figures *)) {
    fprintf(out, "# HELP ringress_docker_%s %s\n# TYPE ringress_docker_%s %s\n", name, help, name,
            type);
    for (size_t i = 0; i < engine_count; i++) {
        struct engine_figures f = engine_figures(engines[i]);
        fprintf(out, "ringress_docker_%s{engine=\"%s\"} %.0f\n", name, f.socket, value(&f));
    }
}

static double up_of(const struct engine_figures *f) {
    return f->up;
}
static double containers_of(const struct engine_figures *f) {
    return (double)f->containers;
}
static double events_of(const struct engine_figures *f) {
    return (double)f->events;
}
static double lists_of(const struct engine_figures *f) {
    return (double)f->lists;
}
static double losses_of(const struct engine_figures *f) {
    return (double)f->losses;
}

static char *docker_metrics(void) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    family(out, "engine_up", "gauge", "Does the engine answer?", up_of);
    family(out, "containers", "gauge", "Containers that ask for routes.", containers_of);
    family(out, "events_total", "counter", "Events that the engine has told.", events_of);
    family(out, "lists_total", "counter", "Times that all containers were listed.", lists_of);
    family(out, "losses_total", "counter", "Times that the engine was lost.", losses_of);
    fclose(out);
    return text;
}

RINGRESS_MODULE(.name = "docker", .version = RINGRESS_VERSION,
                .summary = "routes for containers by their labels", .flags = MODULE_CONF_LIST,
                .conf = docker_fields, .conf_size = sizeof(struct docker_engine),
                .conf_check = docker_conf_check, .control_up = docker_up,
                .control_down = docker_down, .control_metrics = docker_metrics,
                .command = docker_proxy);
