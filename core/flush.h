/* SPDX-License-Identifier: MIT
 * flush.h - something to do once at the end of the loop's turn: bytes written in pieces are handed down together.
 */
#pragma once
#include <stdbool.h>

struct worker;

struct flush {
    struct flush *next;
    void (*run)(struct flush *);
    bool listed;
};

/* Runs `run` at the end of this turn, once however often it is asked for. */
void worker_later(struct worker *, struct flush *);
void flush_forget(struct worker *, struct flush *); /* before its memory goes */
