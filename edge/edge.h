/* SPDX-License-Identifier: GPL-3.0-or-later
 * edge.h - the running edge, as the files of the control thread share it. One thread, no locks.
 *
 *   conf.d --watch--> control --registry--> rows -> store, tenants -> publish -> ports
 *                                  ^ lookups, proofs       admin, metrics read
 */
#pragma once
#include "core/control.h"
#include "edge/conf.h"
#include "edge/events.h"
#include "edge/exhausted.h"
#include "edge/guard.h"
#include "edge/health.h"
#include "edge/lookup.h"
#include "edge/network.h"
#include "edge/own.h"
#include "edge/ports.h"
#include "edge/recent.h"
#include "edge/store.h"
#include "edge/watch.h"
#include "tenants/registry.h"
#include <time.h>

struct queued { /* a tenant that changed, until its rows are on disk */
    struct queued *next;
    char *name;
    struct tenant *tenant; /* NULL: it is gone */
};

struct edge {
    struct edge_conf *conf;
    struct loop loop;
    struct registry *registry;
    struct store store;
    struct watch watch;
    struct lookups *lookups;
    struct proofs *proofs;
    struct ports ports;
    struct guard *guard;
    struct health *health;
    struct networks networks;
    struct exhausted exhausted;
    struct own_watch own;
    struct listener **listener; /* http and https */
    size_t listener_count;
    struct map tenants; /* name -> struct known *, of conf.d */
    struct recent recent;
    struct queued *first, **last;
    struct events events; /* told by modules */
    json_t *certificates; /* the operator's, as `get certificates` shows them */
    struct admin *admin;
    struct loop_timer beat;      /* 100 ms */
    unsigned beats, quiet_beats; /* since the start, since the last change */
    time_t started;
    bool serving;       /* listeners accept */
    bool store_failed;  /* said once, not with every commit */
    bool rescan_failed; /* the same; it is tried again */
    bool rescan_due;    /* something could not be read for want of descriptors or memory */
    bool drain;         /* the loop ended to drain */
    bool stop_now;
};

/* ---- control.c: from files to what is served ---- */
struct reload_result {
    size_t tenants, changed, failed;
    struct diags diags;
};
/* Reads the tenant's files and puts them into the registry; what follows from it is queued. */
void control_load(struct edge *, const char *tenant, struct reload_result *);
/* Of the files that were read for it last; 0: there are none. */
uint64_t control_digest(const struct edge *, const char *tenant);
/* What a call of the registry changed: rows to be written, tenants to be published with the next control_flush. */
void control_take(struct edge *, struct change *);
/* Rows to disk, then the queued tenants into the directory, their ports opened and closed; then looks that became due. */
void control_flush(struct edge *);
/* All of conf.d: what is new, changed or gone. `ret` may be NULL; its diags are then only logged. */
bool control_rescan(struct edge *, struct reload_result *ret, struct err *);
/* At start: rows, then all of conf.d. */
bool control_start(struct edge *, struct err *);
void control_beat(struct edge *); /* every 100 ms */
void control_fini(struct edge *);

/* ---- run.c ---- */
/* Both logs' files, opened again under their names. False: *err says which can't be. */
bool logs_reopen(const struct edge *, struct err *);

/* ---- operator.c: tls.certificates ---- */
/* Reads all of them; adds what is wrong to `diags`. With `use`, and nothing wrong, they replace those in use. */
bool operator_load(const struct edge_conf *, struct edge *use, struct diags *);
/* The files of the next operator_load with `use`, read now: afterwards this process may not be able to. */
void operator_read_ahead(const struct edge_conf *);

/* ---- listeners.c ---- */
/* Before core_start and before other rights are given up: the addresses are bound, and refuse until listeners_open. */
bool listeners_bind(const struct edge_conf *, struct err *);
bool listeners_open(struct edge *, struct err *);
void listeners_start(struct edge *);
void listeners_close(struct edge *);

/* ---- memory.c ---- */
/* Now and then: what was freed long ago goes back, also that of threads that do nothing at present. */
void memory_tidy(void);
/* Memory is short: what is free goes back at once. */
void memory_purge(void);
/* Bytes of addresses that the allocator keeps to use again, without memory behind them. */
int64_t memory_retained(void);
