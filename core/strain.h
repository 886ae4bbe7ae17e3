/* SPDX-License-Identifier: GPL-3.0-or-later
 * strain.h - memory is short: who gives some up, and that nobody comes without room being made for him.
 *
 *   control thread, each beat, while it is short: strain_beat --> every worker: the tenant that holds most gives up connections,
 *                                                                 what is free goes back to the machine
 *   worker, a client comes: strain_admit --> one for one
 *
 * A beat may be late, and connections come fast: a worker that has taken its part of what is left since the last one is tight by itself.
 *
 * Tight: what is given up is silent or idle. Dire: the reserve goes, too; then also those who are being served are cut, of the one who
 * holds most. When nobody holds much, nothing is given up, and newcomers come in all the same. How much there is, is measured in
 * edge/spare.c.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct worker;

enum strain { STRAIN_NONE, STRAIN_TIGHT, STRAIN_DIRE };

/* On the control thread. NONE costs nothing. `left`: bytes that all workers may take before the next beat, however late that is. */
void strain_beat(enum strain, int64_t left);
bool strain_is_felt(struct worker *); /* on the worker: not NONE */
/* On the worker: a client comes in. */
void strain_admit(struct worker *);
/* On the worker: one of those who are in is about to take much more. Room is made for him if all that may be taken is. */
void strain_grows(struct worker *);

/* On the worker: it asked for memory and got none, whatever was measured. What could not be done for want of it has failed; some
 * is given up when the turn ends, and for a second it is tight here. */
void strain_feel(struct worker *);
void strain_turn(struct worker *); /* then */

struct strain_figures {
    uint64_t failed; /* times that there was none */
    uint64_t shed;   /* connections given up */
};
struct strain_figures strain_sum(void);
