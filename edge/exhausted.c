/* SPDX-License-Identifier: GPL-3.0-or-later
 * exhausted.c - see exhausted.h. How much memory is left is looked at here (spare.c); who gives up what is decided on the workers
 * (core/room.c, core/strain.c); the rest only tells.
 *
 *   short --said--> still short: said again each SAY_EVERY_S --quiet for OVER_S--> said to be over
 */
#include "edge/exhausted.h"
#include "core/room.h"
#include "edge/admin.h"
#include "edge/edge.h"
#include <fcntl.h>
#include <string.h>
#include <time.h>

enum { SAY_EVERY_S = 10, OVER_S = 5, GAP = 1024 /* numbers not in use, after which none is */ };

/* What a tenant's files become: their tree, its model, what is compiled of it, the row in the store; the last good state stays beside
 * it until that is live. Measured with 8,500 rules in 1.6 MB. */
enum { MEMORY_PER_BYTE = 26 };

#define S 1000000000ll
#define MIB(bytes) ((long long)((bytes) >> 20))

void exhausted_open(struct exhausted *x, int64_t memory) {
    spare_open(&x->spare, memory, "");
}

/* The other half is for what is not buffers. The machine's memory is everybody's: that is no reason to make do with less. */
int64_t exhausted_buffer_memory(struct exhausted *x) {
    struct spare_look look = spare_look(&x->spare);
    return look.strain == STRAIN_NONE && !strcmp(look.what, "machine") ? 0
           : look.left > 0                                             ? look.left / 2
                                                                       : 1;
}

/* What the edge itself holds once it is ready: logs, listeners, rings, the store. In its jail it can't read /proc. */
void exhausted_init(struct exhausted *x) {
    unsigned open = 0;
    for (int fd = 0, missed = 0; missed < GAP; fd++) {
        bool is_open = fcntl(fd, F_GETFD) >= 0;
        missed = is_open ? 0 : missed + 1;
        open += is_open;
    }
    room_init(open);
    memset(x->spare.reserve, 0, sizeof x->spare.reserve); /* of what is left now */
    x->look = spare_look(&x->spare);
}

/* ---- who had to give some up ---- */

static void tenant_tell(struct edge *e, const struct account *a) {
    char object[80], message[200];
    uint64_t now = account_tree_sum(a).shed;
    uint64_t before = (uint64_t)(uintptr_t)map_get(&e->exhausted.tenants, a->name);
    if (now == before || !*a->name)
        return;
    map_put(&e->exhausted.tenants, a->name, (void *)(uintptr_t)now);
    snprintf(object, sizeof object, "Tenant %s", a->name);
    snprintf(message, sizeof message,
             "the edge had no %s left, and of all tenants this one held the most: "
             "connections that were silent or idle have been closed%s",
             e->exhausted.memory.said_ns ? "memory" : "descriptors",
             e->exhausted.look.strain == STRAIN_DIRE ? ", and others as well" : "");
    events_add(&e->events, a->name, object, true, "Shed", message, time(NULL));
}

/* ---- in the log ---- */

/* Is it to be said now? */
static bool is_due(struct lack *l, int64_t now) {
    l->last_ns = now;
    if (l->said_ns && now - l->said_ns < SAY_EVERY_S * S)
        return false;
    l->said_ns = now;
    return true;
}

static bool is_over(struct lack *l, int64_t now) {
    if (!l->said_ns || now - l->last_ns <= OVER_S * S)
        return false;
    l->said_ns = 0;
    return true;
}

static void descriptors_say(struct lack *l, bool is_short, const struct room_figures *f,
                            int64_t now) {
    if (is_short && is_due(l, now))
        log_write(1,
                  "no descriptors left: connections may use %u (RLIMIT_NOFILE); whoever holds the "
                  "most gives up what is idle; so far %llu given up, %llu turned away",
                  core_descriptors_max(), (unsigned long long)f->shed,
                  (unsigned long long)f->refused);
    else if (!is_short && is_over(l, now))
        log_write(2, "descriptors are to be had again: %llu were given up, %llu turned away",
                  (unsigned long long)f->shed, (unsigned long long)f->refused);
}

static void memory_say(struct lack *l, bool is_short, const struct spare_look *look,
                       const struct strain_figures *f, int64_t now) {
    if (is_short ? !is_due(l, now) : !is_over(l, now))
        return;
    log_write(is_short ? 1 : 2,
              "memory is %s: %lld of %lld MiB left (%s), %llu allocations failed; whoever holds "
              "the most gives up %s; so far %llu given up",
              is_short ? "short" : "to be had again", MIB(look->left), MIB(look->limit), look->what,
              (unsigned long long)f->failed,
              look->strain == STRAIN_DIRE ? "connections" : "what is idle",
              (unsigned long long)f->shed);
}

void exhausted_beat(struct edge *e) {
    struct exhausted *x = &e->exhausted;
    int64_t now = loop_now_ns();
    struct room_figures f = room_sum();
    room_beat(&f);
    x->look = spare_look(&x->spare);
    /* What the last beat freed: also of those who leave when it is no longer short, or their pages would be taken for what is in use. */
    if (x->look.strain != STRAIN_NONE || x->memory.said_ns)
        memory_purge();
    /* Half: what takes it is not only connections. */
    int64_t left = x->look.left - x->look.reserve / 2;
    strain_beat(x->look.strain, left > 0 ? left / 2 : 0);
    descriptors_say(&x->descriptors, f.short_of != x->short_of, &f, now);
    x->short_of = f.short_of;
    struct strain_figures g = strain_sum();
    bool was_short = x->memory.said_ns;
    /* Workers may have found it short by themselves, and it is no longer. */
    bool is_short =
        x->look.strain != STRAIN_NONE || g.failed != x->failed || g.shed != x->memory_shed;
    memory_say(&x->memory, is_short, &x->look, &g, now);
    x->failed = g.failed;
    x->memory_shed = g.shed;
    e->rescan_due |= was_short && !x->memory.said_ns; /* for some files there was none */
    uint64_t shed = f.shed + g.shed;
    if (shed != x->shed)
        for (struct account *a = account_first(); a; a = a->next)
            if (!a->tenant)
                tenant_tell(e, a);
    x->shed = shed;
}

/* ---- a tenant's files ---- */

bool exhausted_has_for(struct exhausted *x, size_t bytes, struct err *err) {
    struct spare_look look = spare_look(&x->spare);
    int64_t needs = (int64_t)bytes * MEMORY_PER_BYTE, left = look.left - look.reserve / 2;
    return needs <= left ||
           err_set(err,
                   "its files are %lld KiB, which takes about %lld MiB of memory, and %lld of %lld "
                   "MiB are left (%s)",
                   (long long)bytes >> 10, MIB(needs), MIB(look.left > 0 ? look.left : 0),
                   MIB(look.limit), look.what);
}

/* ---- figures ---- */

static void line(FILE *out, const char *name, const char *type, const char *help, uint64_t value) {
    metric_head(out, name, type, help);
    fprintf(out, "ringress_%s %llu\n", name, (unsigned long long)value);
}

static void memory_print_left(const struct exhausted *x, FILE *out) {
    struct strain_figures f = strain_sum();
    line(out, "memory_limit_bytes", "gauge", "The nearest limit of memory.",
         (uint64_t)x->look.limit);
    line(out, "memory_left_bytes", "gauge", "What is left below it.",
         x->look.left > 0 ? (uint64_t)x->look.left : 0);
    line(out, "memory_strain", "gauge",
         "0: there is enough; 1: what is idle is given up; 2: also what is not.", x->look.strain);
    line(out, "memory_failed_total", "counter", "Times that a worker asked for memory in vain.",
         f.failed);
    line(out, "memory_shed_total", "counter",
         "Connections given up by whoever held the most, when memory was short.", f.shed);
}

void exhausted_print(const struct exhausted *x, FILE *out) {
    struct room_figures f = room_sum();
    line(out, "descriptors_limit", "gauge", "Descriptors that clients and pods may use together.",
         core_descriptors_max());
    line(out, "descriptors_short_total", "counter", "Times that there was no descriptor left.",
         f.short_of);
    line(out, "descriptors_shed_total", "counter",
         "Connections given up by whoever held the most, when there was none left.", f.shed);
    line(out, "descriptors_refused_total", "counter",
         "Connections turned away, as nobody had any to give up.", f.refused);
    memory_print_left(x, out);
}

void exhausted_fini(struct exhausted *x) {
    spare_close(&x->spare);
    map_fini(&x->tenants);
}
