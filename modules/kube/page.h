/* SPDX-License-Identifier: GPL-3.0-or-later
 * page.h - which objects a list is of: those there are, or, from its second page on, those there were when the first was given.
 *
 *   continue = VERSION/NAME: what stood after NAME at VERSION. What changed since is taken from the log (follow.h); what the log does
 *   not reach back to is 410, and clients list anew.
 */
#pragma once
#include "modules/kube/follow.h"
#include "modules/kube/target.h"

struct page_row {
    const char *name; /* NULL: held */
    struct blob *object;
};
struct page {
    struct page_row *row; /* in the order of names */
    size_t count;
    uint64_t version;    /* that all of it is of */
    unsigned long limit; /* 0: all */
    struct map changed;  /* name -> struct change, the first since */
    bool held;
};

/* False: *ret_status says why. Valid until `follow` changes, unless it is held. */
bool page_begin(const struct follow *, const struct kube_kind *, const struct target *,
                struct page *ret, json_t **ret_status);
void page_hold(struct page *);
/* How much text there is to go through, at most. */
size_t page_bytes(const struct page *);
/* "continue" of a list whose last object is of this name; new. */
json_t *page_continue(const struct page *, const char *name);
void page_fini(struct page *);
