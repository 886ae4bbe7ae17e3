/* SPDX-License-Identifier: GPL-3.0-or-later
 * exhausted.c - see exhausted.h. Who gives up what is decided on the workers (core/room.c); here it is only told.
 *
 *   short --said--> still short: said again each SAY_EVERY_S --quiet for OVER_S--> said to be over
 */
#include "edge/exhausted.h"
#include "core/room.h"
#include "edge/admin.h"
#include "edge/edge.h"
#include <fcntl.h>
#include <time.h>

enum { SAY_EVERY_S = 10, OVER_S = 5, GAP = 1024 /* numbers not in use, after which none is */ };

#define S 1000000000ll

/* What the edge itself holds once it is ready: logs, listeners, rings, the store. In its jail it can't read /proc. */
void exhausted_init(void) {
    unsigned open = 0;
    for (int fd = 0, missed = 0; missed < GAP; fd++) {
        bool is_open = fcntl(fd, F_GETFD) >= 0;
        missed = is_open ? 0 : missed + 1;
        open += is_open;
    }
    room_init(open);
}

static void tenant_tell(struct edge *e, const struct account *a) {
    char object[80];
    uint64_t now = account_tree_sum(a).shed;
    uint64_t before = (uint64_t)(uintptr_t)map_get(&e->exhausted.tenants, a->name);
    if (now == before || !*a->name)
        return;
    map_put(&e->exhausted.tenants, a->name, (void *)(uintptr_t)now);
    snprintf(object, sizeof object, "Tenant %s", a->name);
    events_add(&e->events, a->name, object, true, "Shed",
               "the edge had no descriptors left, and of all tenants this one held the most: "
               "connections that were silent or idle have been closed",
               time(NULL));
}

static void say(struct exhausted *x, const struct room_figures *f, int64_t now) {
    if (x->said_ns && now - x->said_ns < SAY_EVERY_S * S)
        return;
    x->said_ns = now;
    log_write(
        1,
        "no descriptors left: connections may use %u (RLIMIT_NOFILE); whoever holds the most gives "
        "up what is idle; so far %llu given up, %llu turned away",
        core_descriptors_max(), (unsigned long long)f->shed, (unsigned long long)f->refused);
}

void exhausted_beat(struct edge *e) {
    struct exhausted *x = &e->exhausted;
    int64_t now = loop_now_ns();
    room_beat();
    struct room_figures f = room_sum();
    if (f.shed != x->shed)
        for (struct account *a = account_first(); a; a = a->next)
            if (!a->tenant)
                tenant_tell(e, a);
    x->shed = f.shed;
    if (f.short_of != x->seen) {
        x->seen = f.short_of;
        x->last_ns = now;
        say(x, &f, now);
    } else if (x->said_ns && now - x->last_ns > OVER_S * S) {
        x->said_ns = 0;
        log_write(2, "descriptors are to be had again: %llu were given up, %llu turned away",
                  (unsigned long long)f.shed, (unsigned long long)f.refused);
    }
}

static void line(FILE *out, const char *name, const char *type, const char *help, uint64_t value) {
    metric_head(out, name, type, help);
    fprintf(out, "ringress_%s %llu\n", name, (unsigned long long)value);
}

void exhausted_print(FILE *out) {
    struct room_figures f = room_sum();
    line(out, "descriptors_limit", "gauge", "Descriptors that clients and pods may use together.",
         core_descriptors_max());
    line(out, "descriptors_short_total", "counter", "Times that there was no descriptor left.",
         f.short_of);
    line(out, "descriptors_shed_total", "counter",
         "Connections given up by whoever held the most, when there was none left.", f.shed);
    line(out, "descriptors_refused_total", "counter",
         "Connections turned away, as nobody had any to give up.", f.refused);
}

void exhausted_fini(struct exhausted *x) {
    map_fini(&x->tenants);
}
