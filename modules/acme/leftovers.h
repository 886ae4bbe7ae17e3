/* SPDX-License-Identifier: GPL-3.0-or-later
 * leftovers.h - TXT records of orders that ended without taking them back: dropped in their midst, or the zone's primary was away. A
 * thread of the crew removes them, one at a time, and tries again for three days; a crash forgets none.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leftover {
    char name[256], text[64]; /* _acme-challenge.NAME TXT TEXT */
};

/* ---- control thread, keeper's lock held ---- */
void leftovers_open(void); /* reads the rows acme/txt/NAME/TEXT */
void leftovers_close(void);
/* The row is put, not committed. */
void leftover_add(const char *name, const char *text);
/* It is wanted again, or gone. */
void leftover_forget(const char *name, const char *text);

/* ---- a thread of the crew, keeper's lock held ---- */
/* The one that is due longest; not while another is being removed. False: *ret_at says when the next will be (0: none). */
bool leftover_take(int64_t now, struct leftover *ret, int64_t *ret_at);
/* Control thread again: what came of it; `why` NULL: it is gone. */
void leftover_tried(const struct leftover *, const char *why, int64_t now);
size_t leftovers_count(void);
