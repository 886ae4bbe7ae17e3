/* SPDX-License-Identifier: GPL-3.0-or-later
 * dumps.c - see dumps.h. The allocator asks for memory by the extent: each is marked as it comes, so that no allocation costs
 * more. What it had before is marked where the kernel says it is. Buffers of the workers are marked where they are made (core/sys.c).
 */
#include "edge/dumps.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* jemalloc's; not there under a sanitizer, which brings its own malloc. */
extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak));

/* As jemalloc(3) has it; the header would bring its malloc along. */
typedef struct extent_hooks extent_hooks;
struct extent_hooks {
    void *(*alloc)(extent_hooks *, void *, size_t, size_t, bool *, bool *, unsigned);
    void *other[8]; /* dalloc, destroy, commit, decommit, purges, split, merge: as they are */
};

static extent_hooks ours;
static void *(*theirs)(extent_hooks *, void *, size_t, size_t, bool *, bool *, unsigned);

static void *extent_alloc(extent_hooks *hooks, void *where, size_t size, size_t alignment,
                          bool *zero, bool *commit, unsigned arena) {
    void *p = theirs(hooks, where, size, alignment, zero, commit, arena);
    if (p)
        madvise(p, size, MADV_DONTDUMP);
    return p;
}

/* The arena of the largest allocations is made with the first of them, and can be hooked only once it is there. */
static void largest_make(void) {
    enum { LARGE = 16 << 20 };
    void *volatile p = malloc(LARGE);
    free(p);
}

/* All that threads will be given, made now: about 120 KiB each, four for each CPU. */
static bool arenas_hook(void) {
    unsigned arenas = 0;
    size_t length = sizeof arenas;
    extent_hooks *was = NULL, *now = &ours;
    char name[48];
    largest_make();
    if (mallctl("arenas.narenas", &arenas, &length, NULL, 0))
        return false;
    for (unsigned i = 0; i < arenas; i++) {
        snprintf(name, sizeof name, "arena.%u.extent_hooks", i);
        length = sizeof was;
        if (mallctl(name, &was, &length, NULL, 0) || !was)
            return false;
        if (!theirs) {
            ours = *was;
            theirs = was->alloc;
            ours.alloc = extent_alloc;
        }
        if (mallctl(name, NULL, NULL, &now, sizeof now))
            return false;
    }
    return true;
}

/* Memory with no file behind it that is not a stack: what malloc had before it was hooked. Globals of libraries look the same,
 * and are no loss. */
static void mapping_mark(const char *line) {
    unsigned long from, to;
    char rights[5], rest[64] = "";
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %63s", &from, &to, rights, rest) < 3)
        return;
    if (!strncmp(rights, "rw-p", 4) && (!rest[0] || !strcmp(rest, "[heap]")))
        madvise((void *)from, to - from, MADV_DONTDUMP);
}

static bool mappings_mark(void) {
    char line[512];
    FILE *f = fopen("/proc/self/maps", "re");
    if (!f)
        return false;
    while (fgets(line, sizeof line, f))
        mapping_mark(line);
    fclose(f);
    return true;
}

bool dumps_spare_the_heap(struct err *err) {
    if (!mallctl)
        return err_set(err, "this is a sanitizer's build, whose heap is in core dumps");
    return (arenas_hook() && mappings_mark()) ||
           err_set(err, "the heap can't be left out of core dumps: jemalloc does not let us");
}

void dumps_allow(bool allow) {
    struct rlimit limit;
    if (!allow && !getrlimit(RLIMIT_CORE, &limit)) {
        limit.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &limit);
    }
    prctl(PR_SET_DUMPABLE, allow, 0, 0, 0);
}
