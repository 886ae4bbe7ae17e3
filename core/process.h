/* SPDX-License-Identifier: GPL-3.0-or-later
 * process.h - what the files of core/ know of the one process they are in: workers, configuration, chains of modules.
 * Set before the first worker runs, constant after.
 */
#pragma once
#include "core/control.h"
#include "core/worker.h"

enum { MODULES_MOST = 16, KINDS = 3 };
enum { LISTENER_BACKLOG = 4096 }; /* who may wait to be accepted, at each worker's socket */

struct chain { /* the modules that take part in one kind of listener */
    unsigned count;
    uint8_t module[MODULES_MOST];
    uint16_t state_at[MODULES_MOST]; /* offset of its connection state */
    uint16_t state_size;             /* of all */
};

struct process {
    struct core_conf conf;
    unsigned workers;
    struct worker **worker;
    struct ring *control; /* the control thread's, for messages */
    struct account *nobody;
    unsigned connections_max;
    unsigned files; /* RLIMIT_NOFILE */
};
extern struct process process;

const struct chain *chain_of(enum listener_kind);
const struct ringress_module *module_at(unsigned index);
/* Run `call` on every worker and wait until all have. */
void workers_call(void (*call)(struct worker *, void *), void *user);
bool workers_wait(void); /* has one of them requests that wait for a connection to a pod? */
void upstreams_close_idle(struct worker *);
int modules_worker_up(struct worker *);
void modules_worker_down(struct worker *);
void publish_fini(void);
/* ---- certificates.c, wants.c, challenge.c; `most`: whose files may be in memory at once ---- */
bool certificates_start(unsigned workers, size_t most, struct err *err);
void certificates_reap(void);
void certificates_fini(void);
bool wants_init(unsigned workers);
void wants_fini(void);
void challenges_fini(void);
/* ---- withdraw.c: after the directory has changed from `old` to `now`, both of one UID; NULL: the tenant is gone ---- */
void withdraw(const struct version *old, struct version *now);
