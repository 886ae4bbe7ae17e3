/* SPDX-License-Identifier: MIT
 * flush.h - something to do once at the end of the loop's turn: bytes written in pieces are handed down together.
 *
 * Who pays when it is asked for has a line of his own, and lines take turns: what one tenant's bytes take to encrypt is in nobody's way for
 * long. What a turn has no time for is done in the next.
 */
#pragma once
#include <stdbool.h>

struct worker;

struct flush {
    struct flush *next, *prev; /* next NULL: it is not asked for */
    void (*run)(struct flush *);
};

struct account_worker;
struct flush_rows { /* in a line */
    struct account_worker *first, *last;
};

/* Runs `run` at the end of this turn or of one of the next, once however often it is asked for. */
void worker_later(struct worker *, struct flush *);
void flush_forget(struct flush *); /* before its memory goes */
