/* SPDX-License-Identifier: GPL-3.0-or-later
 * kube.c - the part of the Kubernetes API that kubectl needs, straight from the edge.
 *
 *   kubectl --TLS, token--> server (a thread of its own) --> api --> follow <--desk--> control thread: registry, files, rows
 *
 * Takes no part in any connection of the data path. A tenant is the namespace `default` of whoever shows its token.
 */
#include "core/module.h"
#include "modules/kube/api.h"
#include "modules/kube/commands.h"
#include "modules/kube/desk.h"
#include "modules/kube/follow.h"
#include "modules/kube/heavy.h"
#include "modules/kube/paper.h"
#include "modules/kube/server.h"
#include "modules/kube/tokens.h"
#include "modules/kube/upkeep.h"
#include "modules/kube/watch.h"
#include "tenants/compiled.h"
#include <stdlib.h>
#include <time.h>

static bool kube_up(const void *conf, struct err *err) {
    const struct kube_conf *c = conf;
    struct paper paper;
    if (!paper_load(c, time(NULL), &paper, err))
        return false;
    tokens_open();
    desk_open();
    api_open(c);
    upkeep_open(c, &paper);
    bool good = heavy_open(err) && server_start(c, &paper, &api_events, err);
    commands_open(c, &paper);
    return good;
}

static void kube_down(void) {
    server_stop();
    heavy_close();
    desk_close();
    api_close();
    tokens_close();
    upkeep_close();
    commands_close();
}

static void kube_tenant(const char *name, const struct tenant *now) {
    tokens_tenant(name, now ? now->uid : NULL);
    desk_touch(name);
}

static void figure(FILE *out, const char *name, const char *type, const char *help,
                   uint64_t value) {
    fprintf(out, "# HELP ringress_kube_%s %s\n# TYPE ringress_kube_%s %s\nringress_kube_%s %llu\n",
            name, help, name, type, name, (unsigned long long)value);
}

/* Their number does not depend on the tenants'. */
static char *kube_metrics(void) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    const struct server_figures s = server_figures();
    const struct follow_figures f = follow_figures();
    figure(out, "connections", "gauge", "Connections to the Kubernetes API, now.", s.connections);
    figure(out, "accepted_total", "counter", "Connections that were accepted.", s.accepted);
    figure(out, "requests_total", "counter", "Requests with a token that is in order.", s.requests);
    figure(out, "refused_total", "counter",
           "Connections and requests that were turned away: too many, too large, not HTTP.",
           s.refused);
    fprintf(
        out,
        "# HELP ringress_kube_answer_max_seconds The longest that a read waited for its answer "
        "since the last look.\n"
        "# TYPE ringress_kube_answer_max_seconds gauge\nringress_kube_answer_max_seconds %.6f\n",
        (double)s.answer_max_us / 1e6);
    figure(out, "watches", "gauge", "Watches that are under way.", watches_count());
    figure(out, "tokens", "gauge", "Tokens that are kept, expired ones among them.",
           tokens_count());
    figure(out, "tenants", "gauge", "Tenants that were asked about of late.", f.tenants);
    figure(out, "objects", "gauge", "Objects of these tenants.", f.objects);
    figure(out, "changes_total", "counter", "Changes of objects that were seen.", f.changes);
    fclose(out);
    return text;
}

RINGRESS_MODULE(.name = "kube", .version = RINGRESS_VERSION, .summary = "answers kubectl",
                .flags = MODULE_WRITES_CONF_D, .conf = kube_fields,
                .conf_size = sizeof(struct kube_conf), .conf_check = kube_conf_check,
                .control_up = kube_up, .control_down = kube_down, .on_tenant = kube_tenant,
                .control_metrics = kube_metrics, .control_command = commands_answer);
