/* SPDX-License-Identifier: GPL-3.0-or-later
 * slab.h - small objects of one worker, in classes of SLAB_STEP bytes, cut from chunks.
 *
 *   chunk --cut--> free list of its class --slab_alloc--> object --slab_free--> free list --slab_trim--> chunk, given back
 *
 * An object is never told from another of its class; who frees says how large it was. Larger ones come from malloc.
 */
#pragma once
#include <stddef.h>

enum {
    SLAB_STEP = 64,
    SLAB_CLASSES = 64, /* up to 4 KiB */
    SLAB_CHUNK = 64 * 1024,
};

struct slab { /* zero is empty */
    void *free[SLAB_CLASSES];
    struct slab_chunk *chunks[SLAB_CLASSES];
    size_t bytes; /* of all chunks */
};

void *slab_alloc(struct slab *, size_t size); /* zeroed; NULL: no memory */
void slab_free(struct slab *, void *, size_t size);
/* Chunks in which nothing lives go back to where they came from. It looks at every free object: for when memory is short. */
void slab_trim(struct slab *);
/* All of it goes, whatever lives in it. */
void slab_fini(struct slab *);
