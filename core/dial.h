/* SPDX-License-Identifier: GPL-3.0-or-later
 * dial.h - connections to pods that are being made: how many of one tenant's at once on one worker, and who waits for his turn.
 *
 *   has its tenant as many under way as he may? no --> connect --> made, failed or given up: the next of his line
 *                                               yes -> line of his tenant -> called, or too late (its maker's timer)
 *
 * As many as he may: a part of the descriptors that are left. So while there are plenty nobody waits, and a network whose pods never
 * answer a SYN holds a part of what others need, never all. Where pods answer a connection is under way for a round trip only.
 */
#pragma once
#include "core/queue.h"
#include <stdbool.h>

struct account;
struct worker;

enum { DIALS_WAIT_MOST = 4096 /* in one line */ };

struct dials { /* of one tenant on one worker; there while somebody waits or was called */
    struct queue line;
    unsigned called; /* and have not begun yet */
};

struct dial_wait { /* embedded in who waits */
    struct queued_item item;
    void (*turn)(struct dial_wait *);
    struct worker *worker;
    struct account *tenant;
    bool called;
};

/* `payer`: a tenant's account or a port's of it. */
bool dial_may(const struct worker *, const struct account *payer);
/* In line: `turn` is called once, within a turn of the loop, and dial_answered is owed then. False: the line is full, or no memory; counted. */
bool dial_line(struct worker *, const struct account *payer, struct dial_wait *);
bool dial_is_in_line(const struct dial_wait *);
/* Goes before its turn has come. */
void dial_leave(struct dial_wait *);
/* What it was called for has begun, or will not. */
void dial_answered(struct dial_wait *);
/* Too late, or not let in. */
void dial_refuse(struct worker *, const struct account *payer);

/* ---- sock.c: one is under way, until it is made or not ---- */
void dial_begun(struct worker *, struct account *payer);
void dial_over(struct worker *, struct account *payer);
