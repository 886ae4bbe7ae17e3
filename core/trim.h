/* SPDX-License-Identifier: GPL-3.0-or-later
 * trim.h - a worker gives back the memory of buffers that a peak made and nobody has used since, and gets pages for those that are used.
 */
#pragma once
#include "core/timer.h"
#include <stdint.h>

struct buf;
struct worker;

enum {
    BUF_COLD = 0xffff,        /* `used` of a free buffer without a page */
    BUF_LENT = 0x7fffffff,    /* `refs` of one that the kernel holds */
    BUF_CLAIMED = 0x7ffffffe, /* of one that it has filled, and that waits (core/turn.h) */
    TRIM_MS = 500,            /* a period */
    TRIM_AGE = 4,             /* periods a buffer is free before its page goes */
    TRIM_SLICE_MS = 50,       /* a period's work is done in slices, so that no turn takes long: */
    TRIM_US = 300,            /* it ends after so long (a piece takes 1 us, some guests 80), */
    TRIM_CALLS = 128,         /* or so many pieces given back, */
    TRIM_CHUNKS = 16,         /* or so many chunks looked at */
    TRIM_CALM = 20,           /* periods without want before the kernel is lent fewer */
};

struct trim { /* of one worker */
    struct timer timer;
    uint16_t now;  /* the period, never BUF_COLD */
    uint16_t calm; /* periods since the kernel last ran out of buffers */
    unsigned age;  /* periods a buffer must have been free, this time */
    unsigned left; /* chunks that this period has still to look at */
    unsigned at;   /* the chunk that is looked at next */
};

void trim_init(struct worker *);
/* Memory is short: what is free goes back from now on, however short a time it has been, slice by slice. */
void trim_now(struct worker *);
/* This cold buffer is about to be used: it has a page after that. */
void trim_warm(struct worker *, struct buf *);
