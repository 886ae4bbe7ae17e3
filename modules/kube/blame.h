/* SPDX-License-Identifier: GPL-3.0-or-later
 * blame.h - the errors of a drop's check (file:line:column: message) as causes with field paths of the object that was written. Pure.
 */
#pragma once
#include "core/diag.h"
#include "modules/kube/fault.h"

struct blamed { /* the object, and the file it is to stand in */
    const char *api_version, *kind, *name;
    const char *file, *text;
    size_t length;
};

/* Errors that lie elsewhere than in this object have their place, FILE:LINE:COLUMN, for a field. */
void diags_blame(const struct diags *, const struct blamed *, struct fault *);
/* Warnings as texts, for the header `Warning`. */
void diags_warn(const struct diags *, const struct blamed *, json_t *warnings);
