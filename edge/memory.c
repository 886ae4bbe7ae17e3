/* SPDX-License-Identifier: GPL-3.0-or-later
 * memory.c - where the process's memory is, as /metrics shows it: the workers' own (buffers, slabs), what is published, the
 * allocator's view of all of it, and what the kernel says. Growth that one of them can't explain is a leak.
 */
#include "edge/admin.h"
#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

/* jemalloc's; not there under a sanitizer, which brings its own malloc. What that tells is less. */
extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));

static void gauge_print(FILE *out, const char *name, const char *help, uint64_t value) {
    fprintf(out, "# HELP ringress_%s %s\n# TYPE ringress_%s gauge\nringress_%s %llu\n", name, help,
            name, name, (unsigned long long)value);
}

/* ---- the workers' ---- */

static const struct worker_gauge {
    const char *name, *help;
    size_t at; /* a uint64_t of struct worker_memory */
} worker_gauges[] = {
#define FIGURE(name, member, help) \
    { name, help, offsetof(struct worker_memory, member) }
    FIGURE("buffers_resident", buffers_resident, "Buffers of 4 KiB that are in memory."),
    FIGURE("buffers_provided", buffers_provided, "Of them, lent to the kernel to receive into."),
    FIGURE("slab_bytes", slab_bytes, "Held for connections and other small objects."),
    FIGURE("pod_connections", pod_connections, "Connections to pods, in use and kept."),
#undef FIGURE
};

static void workers_print(FILE *out) {
    for (size_t i = 0; i < sizeof worker_gauges / sizeof *worker_gauges; i++) {
        const struct worker_gauge *g = &worker_gauges[i];
        fprintf(out, "# HELP ringress_worker_%s %s\n# TYPE ringress_worker_%s gauge\n", g->name,
                g->help, g->name);
        for (unsigned id = 0; id < core_workers(); id++) {
            struct worker_memory m = core_worker_memory(id);
            fprintf(out, "ringress_worker_%s{worker=\"%u\"} %llu\n", g->name, id,
                    (unsigned long long)*(const uint64_t *)((const char *)&m + g->at));
        }
    }
}

/* ---- what is published ---- */

static void published_print(FILE *out) {
    struct publish_figures f = publish_figures();
    gauge_print(out, "versions", "Versions of tenants: the current, and older ones still in use.",
                f.versions);
    gauge_print(out, "upstreams", "Pods that connections are or were kept to.", f.upstreams);
    gauge_print(out, "identities", "Certificates in memory.", f.identities);
}

/* ---- malloc's, and the kernel's ---- */

static size_t figure_read(const char *name) {
    size_t value = 0, length = sizeof value;
    return mallctl && !mallctl(name, &value, &length, NULL, 0) ? value : 0;
}

static void malloc_state_print(FILE *out, const char *state, size_t bytes) {
    fprintf(out, "ringress_malloc_bytes{state=\"%s\"} %zu\n", state, bytes);
}

static void malloc_print(FILE *out) {
    static const char *const states[] = {"allocated", "active", "metadata", "resident", "retained"};
    uint64_t epoch = 1;
    fputs("# HELP ringress_malloc_bytes The allocator's bytes by state: in use, in pages with some "
          "in use, its own, in memory, given back.\n# TYPE ringress_malloc_bytes gauge\n",
          out);
    if (!mallctl) {
        malloc_state_print(out, "allocated", mallinfo2().uordblks);
        return;
    }
    mallctl("epoch", NULL, NULL, &epoch, sizeof epoch); /* take the figures anew */
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        char name[32];
        snprintf(name, sizeof name, "stats.%s", states[i]);
        malloc_state_print(out, states[i], figure_read(name));
    }
}

/* jemalloc gives pages back some seconds after they were freed, but an arena's only while it is in use. */
void memory_tidy(void) {
    if (mallctl)
        mallctl("arena.4096.decay", NULL, NULL, NULL, 0); /* 4096: of all arenas */
}

void memory_purge(void) {
    if (mallctl)
        mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

int64_t memory_retained(void) {
    uint64_t epoch = 1;
    if (mallctl)
        mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    return (int64_t)figure_read("stats.retained");
}

static uint64_t resident_bytes(void) {
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_files(void) {
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - 1; /* without the folder's own */
}

void memory_print(FILE *out) {
    workers_print(out);
    published_print(out);
    malloc_print(out);
    gauge_print(out, "store_bytes", "What SQLite holds in memory.",
                (uint64_t)sqlite3_memory_used());
    gauge_print(out, "resident_bytes", "Memory of the process, as the kernel counts it.",
                resident_bytes());
    gauge_print(out, "open_files", "Descriptors in use.", open_files());
}
