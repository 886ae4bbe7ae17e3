/* SPDX-License-Identifier: GPL-3.0-or-later
 * outgoing.c - see outgoing.h.
 */
#include "modules/kube/outgoing.h"
#include <stdlib.h>
#include <string.h>

enum { REST_ROOM = 16 << 10 };

/* Only what is left is carried over, so this costs no more than sending it did. */
static bool grow(struct outgoing *o, size_t more) {
    size_t left = outgoing_left(o), room = (left + more) * 2;
    char *data = malloc(room);
    if (!data)
        return false;
    if (left)
        memcpy(data, outgoing_next(o), left);
    free(o->data);
    *o = (struct outgoing){.data = data, .length = left, .room = room};
    return true;
}

bool outgoing_add(struct outgoing *o, const char *data, size_t length) {
    if (o->sent == o->length)
        o->sent = o->length = 0;
    if (o->length + length > o->room && !grow(o, length))
        return false;
    memcpy(o->data + o->length, data, length);
    o->length += length;
    return true;
}

void outgoing_sent(struct outgoing *o, size_t length) {
    o->sent += length;
}

void outgoing_rest(struct outgoing *o) {
    if (o->room > REST_ROOM) /* a big list is rare, and connections live long */
        outgoing_fini(o);
    o->sent = o->length = 0;
}

void outgoing_fini(struct outgoing *o) {
    free(o->data);
    *o = (struct outgoing){0};
}
