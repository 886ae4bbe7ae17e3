/* SPDX-License-Identifier: GPL-3.0-or-later
 * slices.h - slices that wait for a window: a ring of them, two in place, more when it must be.
 */
#pragma once
#include "core/stream.h"

enum { SLICES_PLACE = 2 };

struct slices { /* zero is empty */
    struct slice *more;
    uint32_t first, count, room; /* room 0: in `place` */
    uint32_t bytes;
    struct slice place[SLICES_PLACE];
};

/* The slice moves in, also on failure. Small ones are copied together. False: no memory. */
bool slices_put(struct worker *, struct slices *, struct slice);
bool slices_put_copy(struct worker *, struct slices *, const void *data, size_t length);
/* Hands the first `bytes` to `to`; returns what the last write returned, or an earlier failure. */
int slices_send(struct worker *, struct slices *, size_t bytes, struct stream *to);
void slices_drop(struct worker *, struct slices *);
