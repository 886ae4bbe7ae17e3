/* SPDX-License-Identifier: MIT
 * certificates.h - certificates that lie on disk, each under one tenant's UID; read when a client first asks for their name.
 *
 * The control thread puts and drops; workers look up without locks. One that nobody asks for costs its names and the paths of its
 * files. A certificate is never found under another tenant's UID.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct identity;

struct stored_certificate {
    const char *id;          /* unique */
    const char *tenant_uid;  /* whose it is */
    const char *const *name; /* lower case; "*.rest" covers one label */
    size_t name_count;
    const char *chain_file, *key_file; /* PEM */
    int64_t not_after;                 /* Unix seconds */
};

/* Replaces the one of that id. Everything is copied; live for new handshakes on all workers when it returns, connections live on.
 * When it replaces one its files are read and must fit each other, else the old one stays: false, *err says why. A new one's are read
 * when first needed, so that 100,000 are put in a second. */
bool certificates_put(const struct stored_certificate *, struct err *);
void certificates_drop(const char *id);
/* Is there one for this name (itself or a wildcard above) that has not expired? Any thread that reads the directory. */
bool certificates_cover(const char *tenant_uid, const char *name);

struct certificate_figures {
    size_t stored, read;                 /* known; of them those whose files are in memory now */
    uint64_t reads, failures, evictions; /* since the start */
    size_t bytes;                        /* what it takes to know them, without what was read */
    uint64_t wanted;                     /* how often a worker had to wait for one's files */
    size_t waiting;                      /* those of them that are being read now, or in line */
};
struct certificate_figures certificate_figures(void); /* control thread */
/* For people, on the control thread. False: its files were no good when somebody asked for it last, and still are; *why says in words
 * what is wrong. Files that nobody asked for are not read. */
bool certificates_good(const char *id, struct err *why);

/* ---- for workers ---- */

struct worker;

enum certificate_answer {
    CERTIFICATE_NONE,
    CERTIFICATE_READY, /* *ret: good until the turn ends */
    CERTIFICATE_WAIT,  /* its files are being read: `ready` is called, once, then ask again */
    CERTIFICATE_BUSY,  /* too many of this tenant's are being read */
    CERTIFICATE_BAD, /* its files are missing or no good; they are looked at again in some seconds */
};

struct certificate_wait { /* of one handshake; zero: it does not wait */
    void (*ready)(struct certificate_wait *);
    struct certificate_wait *next, **link;
};

/* This tenant's certificate for this name, the name itself before a wildcard. `expired_too`: one that has expired as well. */
enum certificate_answer certificates_ask(struct worker *, const char *tenant_uid, const char *name,
                                         bool expired_too, struct certificate_wait *,
                                         const struct identity **ret);
/* The same for people, on the control thread: files that are not in memory are read now. READY, NONE, or BAD with *why. */
enum certificate_answer certificates_look(const char *tenant_uid, const char *name,
                                          bool expired_too, struct err *why);
/* It does not wait any more. Harmless when it never did. */
void certificates_unask(struct certificate_wait *);
