/* SPDX-License-Identifier: GPL-3.0-or-later
 * loader.h - the thread that reads the files of stored certificates, so that no worker waits for a disk.
 *
 *   worker --want--> loader: in line by tenant -> files -> shelf --want--> worker: handshakes that wait for it go on
 *
 * Tenants take turns: one that has a thousand names asked for at once delays another's first by one file.
 */
#pragma once
#include "core/ring.h"
#include "core/stored.h"

struct worker;

struct want { /* a worker's, for one certificate; the loader's from loader_want until it is back */
    struct message message;
    struct stored *stored; /* counted in its wants */
    struct worker *worker;
    struct want *next;                /* in the worker's bucket */
    struct certificate_wait *waiting; /* the worker's handshakes */
    struct want *behind;              /* in the loader's line */
};

enum { WANT_LINES = 256 }; /* lines, by a hash of the tenant's UID */
unsigned want_line(const struct stored *);

bool loader_start(struct err *);
/* On the want's worker. */
void loader_want(struct want *);
/* wants.c: it is back on its worker. */
void want_done(struct message *);
/* Control thread, once no worker runs any more. */
void loader_stop(void);
uint64_t loader_loads(void);
uint64_t loader_failures(void);
uint64_t loader_wanted(void); /* wants that came, since the start */
size_t loader_waiting(void);  /* those of them that have not been served */
