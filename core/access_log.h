/* SPDX-License-Identifier: GPL-3.0-or-later
 * access_log.h - the access log as the control thread and the workers see it: where it goes, and how a line gets there.
 *
 *   worker 0 --line--> ring 0 --.
 *   worker 1 --line--> ring 1 --+--> writer thread --gathered write--> file, pipe
 *
 * A worker only copies a line into its own ring: no lock, no system call, no waiting. A full ring loses the line and counts it.
 */
#pragma once
#include "core/access_line.h"
#include "core/diag.h"

struct access_conf {
    const char *path; /* a file to append to (made 0640), or "stderr" */
    unsigned workers;
    bool query;       /* queries are written */
    size_t ring_size; /* bytes per worker, a power of two; 0: 2 MiB */
};

/* Opens it and starts the writer, before any worker runs. False: *err says why. */
bool access_log_start(const struct access_conf *, struct err *);
/* Opens the path again, for whoever moved the file away; what waits goes to the new one, whole lines only. False: *err says why,
 * and the old file is used on. Does nothing without an access log. */
bool access_log_reopen(struct err *);
/* After the last worker has ended: writes what there is, for as long as it is taken without a pause, and ends the writer. */
void access_log_stop(void);

struct access_figures {
    uint64_t lines;   /* handed to the rings */
    uint64_t lost;    /* dropped instead */
    uint64_t pending; /* bytes that wait to be written */
};
struct access_figures access_log_figures(void);

/* On a worker: one line, or one lost. */
void access_log_put(unsigned worker, struct access_facts *, const struct access_record *);
