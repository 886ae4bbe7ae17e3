/* SPDX-License-Identifier: GPL-3.0-or-later
 * outgoing.h - bytes on their way to a client, in one piece. What has been sent gives its room back also while there is always more to
 * send, so a client that reads slowly makes us keep what it has not read, and nothing else. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct outgoing { /* zeroed: empty */
    char *data;
    size_t length, sent, room;
};

static inline size_t outgoing_left(const struct outgoing *o) {
    return o->length - o->sent;
}
static inline const char *outgoing_next(const struct outgoing *o) {
    return o->data + o->sent;
}
/* False: no memory, and nothing was added. */
bool outgoing_add(struct outgoing *, const char *data, size_t length);
void outgoing_sent(struct outgoing *, size_t length);
/* Empty: what is more room than a connection usually needs is given back. */
void outgoing_rest(struct outgoing *);
void outgoing_fini(struct outgoing *);
