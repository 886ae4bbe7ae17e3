/* SPDX-License-Identifier: GPL-3.0-or-later
 * slab.c - see slab.h. A chunk begins at a multiple of its size, so that an object tells its chunk; what it keeps of itself takes the
 * place of its first step.
 */
#include "core/slab.h"
#include "core/account.h"
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_OFF 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_OFF 1
#endif
#endif

#ifdef SLAB_OFF /* under AddressSanitizer every object is its own, so that a use after free is seen */

void *slab_alloc(struct slab *s, size_t size) {
    (void)s;
    return calloc(1, size);
}

void slab_free(struct slab *s, void *p, size_t size) {
    (void)s;
    (void)size;
    free(p);
}

void slab_trim(struct slab *s) {
    (void)s;
}

void slab_fini(struct slab *s) {
    (void)s;
}

#else

struct slab_chunk {
    struct slab_chunk *next; /* of its class */
    unsigned free;           /* counted while it is trimmed, else 0 */
};
_Static_assert(sizeof(struct slab_chunk) <= SLAB_STEP, "one step");

/* From 1; what malloc is for has a number beyond the last. */
static inline size_t class_of(size_t size) {
    return (size + SLAB_STEP - 1) / SLAB_STEP;
}

static bool chunk_cut(struct slab *s, size_t class) {
    size_t size = class * SLAB_STEP;
    char *chunk = aligned_alloc(SLAB_CHUNK, SLAB_CHUNK);
    if (!chunk)
        return false;
    *(struct slab_chunk *)chunk = (struct slab_chunk){.next = s->chunks[class - 1]};
    s->chunks[class - 1] = (struct slab_chunk *)chunk;
    ACCOUNT_ADD(s->bytes, SLAB_CHUNK);
    for (size_t at = SLAB_STEP; at + size <= SLAB_CHUNK; at += size) {
        *(void **)(chunk + at) = s->free[class - 1];
        s->free[class - 1] = chunk + at;
    }
    return true;
}

void *slab_alloc(struct slab *s, size_t size) {
    size_t class = class_of(size);
    if (class == 0 || class > SLAB_CLASSES)
        return calloc(1, size);
    if (!s->free[class - 1] && !chunk_cut(s, class))
        return NULL;
    void *p = s->free[class - 1];
    s->free[class - 1] = *(void **)p;
    return memset(p, 0, size);
}

void slab_free(struct slab *s, void *p, size_t size) {
    size_t class = class_of(size);
    if (class == 0 || class > SLAB_CLASSES) {
        free(p);
        return;
    }
    *(void **)p = s->free[class - 1];
    s->free[class - 1] = p;
}

/* ---- giving back ---- */

static struct slab_chunk *chunk_of(void *object) {
    char *p = object;
    return (struct slab_chunk *)(p - (uintptr_t)p % SLAB_CHUNK);
}

static unsigned objects_of(size_t class) {
    return (unsigned)((SLAB_CHUNK - SLAB_STEP) / (class * SLAB_STEP));
}

/* The free list without what lies in chunks that are free as a whole. */
static void list_thin(void **list, unsigned objects) {
    while (*list) {
        if (chunk_of(*list)->free == objects)
            *list = *(void **)*list;
        else
            list = *list;
    }
}

static void chunks_drop(struct slab *s, struct slab_chunk **link, unsigned objects) {
    for (struct slab_chunk *c; (c = *link);) {
        if (c->free < objects) {
            c->free = 0;
            link = &c->next;
            continue;
        }
        *link = c->next;
        free(c);
        ACCOUNT_ADD(s->bytes, -SLAB_CHUNK);
    }
}

void slab_trim(struct slab *s) {
    for (size_t class = 1; class <= SLAB_CLASSES; class ++) {
        for (void *p = s->free[class - 1]; p; p = *(void **)p)
            chunk_of(p)->free++;
        list_thin(&s->free[class - 1], objects_of(class));
        chunks_drop(s, &s->chunks[class - 1], objects_of(class));
    }
}

void slab_fini(struct slab *s) {
    for (size_t i = 0; i < SLAB_CLASSES; i++)
        for (struct slab_chunk *c = s->chunks[i], *next; c; c = next) {
            next = c->next;
            free(c);
        }
    *s = (struct slab){0};
}

#endif
