/* SPDX-License-Identifier: GPL-3.0-or-later
 * upkeep.c - see upkeep.h. Connections that are open keep the certificate they began with.
 */
#include "modules/kube/upkeep.h"
#include "core/module.h"
#include "modules/kube/desk.h"
#include "modules/kube/server.h"
#include "modules/kube/tokens.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVERY_MS = 3600000 };

static const struct kube_conf *conf;
static char *chain; /* that is served */
static int64_t due_ms;

static void paper_look(void) {
    struct paper now;
    struct err err;
    if (!paper_load(conf, time(NULL), &now, &err)) {
        log_write(0, "%s; the certificate of before serves on", err.text);
        return;
    }
    if (chain && strcmp(chain, now.chain) != 0) {
        log_write(2, "kube: a new certificate is served");
        server_paper(&now);
        free(chain);
        chain = strdup(now.chain);
    }
    paper_fini(&now);
}

/* Control thread. */
static void look(struct job *unused) {
    (void)unused;
    paper_look();
    tokens_tidy(time(NULL));
}

static void job_free(struct job *j) {
    free(j);
}

void upkeep_beat(void) {
    struct job *j;
    if (server_now_ms() < due_ms || !(j = malloc(sizeof *j)))
        return;
    due_ms = server_now_ms() + EVERY_MS;
    *j = (struct job){.run = look, .done = job_free, .lost = job_free};
    desk_ask(j);
}

void upkeep_open(const struct kube_conf *c, const struct paper *p) {
    conf = c;
    chain = strdup(p->chain);
    due_ms = server_now_ms() + EVERY_MS;
}

void upkeep_close(void) {
    free(chain);
    chain = NULL;
}
