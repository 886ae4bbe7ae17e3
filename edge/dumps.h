/* SPDX-License-Identifier: GPL-3.0-or-later
 * dumps.h - what a core dump, a debugger's or the kernel's, finds of this process: stacks and globals, so that a crash can be
 * understood, but not the heap, where keys, sessions and what tenants' clients sent are.
 */
#pragma once
#include "core/diag.h"

/* Before anything secret is in memory: from now on the heap is left out of dumps (MADV_DONTDUMP). False: *err, it is not. */
bool dumps_spare_the_heap(struct err *);
/* Dumps are made, or not; without them no process of the same user can look into this one either. */
void dumps_allow(bool);
