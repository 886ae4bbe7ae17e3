/* SPDX-License-Identifier: GPL-3.0-or-later
 * heavy.h - a thread for what takes long, that others be answered meanwhile: objects of large tenants, lists of them. One after the
 * other: those who are large wait for each other, and for nobody else. What it is given it only reads.
 *
 *   API's thread: heavy_run(job) --queue--> job->run --desk_answer--> API's thread: job->done
 */
#pragma once
#include "core/diag.h"
#include "modules/kube/desk.h"
#include <stddef.h>

enum { HEAVY_BYTES = 256 << 10 }; /* from so much text on: some milliseconds of work */

bool heavy_open(struct err *);
void heavy_close(void); /* what has not been run is lost; before desk_close */
/* The API's thread. */
void heavy_run(struct job *);
