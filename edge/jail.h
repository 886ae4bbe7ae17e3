/* SPDX-License-Identifier: GPL-3.0-or-later
 * jail.h - what this process can still do once it serves, whoever has got hold of it: which files (Landlock), which system
 * calls (seccomp). Both only ever take away, and for good. docs/security.md says what that is worth.
 *
 *   jail_files: before any thread is started (Landlock is a thread's, and inherited)
 *   jail_calls: once the rings are made, for all threads at once; the calls that only a start takes are gone then
 */
#pragma once
#include "edge/conf.h"

/* Under a sanitizer the process makes calls and reads files of its runtime's: no seccomp, and every file can be read. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JAIL_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define JAIL_SANITIZED 1
#endif
#endif
#ifndef JAIL_SANITIZED
#define JAIL_SANITIZED 0
#endif

enum jail {
    JAIL_OFF,
    JAIL_ON,
    JAIL_REQUIRED
}; /* as edge.yaml's `jail`; on: as far as the kernel can */

struct jailed {    /* how far it is shut */
    long landlock; /* its version; 0: files are not confined */
    bool seccomp;
};

/* Both: false only when the jail is required and can't be had, *err says why. What is not to be had else is logged. */
bool jail_files(const struct edge_conf *, uint64_t capabilities, struct jailed *, struct err *);
bool jail_calls(const struct edge_conf *, uint64_t capabilities, struct jailed *, struct err *);
