/* SPDX-License-Identifier: GPL-3.0-or-later
 * trim.h - a worker gives back the memory of buffers that a peak made and nobody has used since.
 */
#pragma once
#include "core/timer.h"
#include <stdint.h>

struct worker;

enum {
    BUF_COLD = 0xffff,        /* `used` of a free buffer without a page */
    BUF_LENT = 0x7fffffff,    /* `refs` of one that the kernel holds */
    BUF_CLAIMED = 0x7ffffffe, /* of one that it has filled, and that waits (core/turn.h) */
    TRIM_MS = 500,            /* a period */
    TRIM_AGE = 4,             /* periods a buffer is free before its page goes */
    TRIM_CALLS = 128,         /* pieces given back in a period, so that no turn takes long */
    TRIM_CALLS_SHORT = 1024,  /* the same when memory is short */
    TRIM_CALM = 20,           /* periods without want before the kernel is lent fewer */
};

struct trim { /* of one worker */
    struct timer timer;
    uint16_t now;  /* the period, never BUF_COLD */
    uint16_t calm; /* periods since the kernel last ran out of buffers */
    unsigned at;   /* the chunk that is looked at next */
};

void trim_init(struct worker *);
/* Memory is short: what is free goes back now, a bounded part of it. */
void trim_now(struct worker *);
/* A cold buffer is about to be used. */
void trim_warmed(struct worker *);
