/* SPDX-License-Identifier: GPL-3.0-or-later
 * ports.c - see ports.h. A listener belongs to its number, not to a tenant: when a number moves from one tenant to another
 * in one change, only the label changes, and names_find_port decides who is served.
 */
#include "edge/ports.h"
#include "edge/address.h"
#include <stdlib.h>
#include <string.h>

bool ports_init(struct ports *p, const union address *address, uint16_t low, uint16_t high) {
    *p = (struct ports){.address = *address, .low = low, .high = high};
    p->slot = calloc((size_t)(high - low) + 1, sizeof *p->slot);
    return p->slot;
}

static struct port_slot *slot_of(const struct ports *p, unsigned port) {
    return p->slot && p->high && port >= p->low && port <= p->high ? &p->slot[port - p->low] : NULL;
}

static void error_clear(struct ports *p, struct port_slot *s) {
    p->failed -= s->error != NULL;
    free(s->error);
    s->error = NULL;
}

static void slot_open(struct ports *p, struct port_slot *s) {
    union address a = p->address;
    struct err err;
    address_set_port(&a, (uint16_t)(p->low + (s - p->slot)));
    s->listener = listener_open(LISTENER_RAW, &a, &err);
    if (s->listener) {
        error_clear(p, s);
        if (s->held)
            listener_hold(s->listener, true);
        if (p->serving)
            listener_start(s->listener);
        return;
    }
    if (!s->error) {
        log_write(0, "tenant %s: raw port not open: %s", s->tenant, err.text);
        s->error = strdup(err.text);
        p->failed += s->error != NULL;
    }
}

static void slot_close(struct ports *p, struct port_slot *s) {
    if (s->listener)
        listener_close(s->listener);
    s->listener = NULL;
    error_clear(p, s);
    free(s->tenant);
    s->tenant = NULL;
}

static bool holds(const struct tenant *t, unsigned port) {
    for (size_t i = 0; t && i < t->raw_port_count; i++)
        if (t->raw_port[i].state == RAW_PORT_OPEN && t->raw_port[i].public_port == port)
            return true;
    return false;
}

static void slot_give(struct ports *p, struct port_slot *s, const char *name) {
    if (!s->tenant || strcmp(s->tenant, name) != 0) {
        free(s->tenant);
        s->tenant = strdup(name);
    }
    if (!s->listener && s->tenant && !s->shut)
        slot_open(p, s);
}

void ports_shut(struct ports *p, unsigned port, bool shut) {
    struct port_slot *s = slot_of(p, port);
    if (!s || s->shut == shut)
        return;
    s->shut = shut;
    if (!shut && s->tenant) {
        slot_open(p, s);
    } else if (shut) {
        if (s->listener)
            listener_close(s->listener);
        s->listener = NULL;
        error_clear(p, s);
    }
}

bool ports_is_shut(const struct ports *p, unsigned port) {
    const struct port_slot *s = slot_of(p, port);
    return s && s->shut;
}

void ports_hold(struct ports *p, unsigned port, bool held) {
    struct port_slot *s = slot_of(p, port);
    if (!s || s->held == held)
        return;
    s->held = held;
    if (s->listener)
        listener_hold(s->listener, held);
}

void ports_follow(struct ports *p, const char *name, const struct tenant *t) {
    for (unsigned port = p->low; p->high && port <= p->high; port++) {
        struct port_slot *s = slot_of(p, port);
        if (s->tenant && !strcmp(s->tenant, name) && !holds(t, port))
            slot_close(p, s);
    }
    for (size_t i = 0; t && i < t->raw_port_count; i++) {
        struct port_slot *s = slot_of(p, t->raw_port[i].public_port);
        if (s && t->raw_port[i].state == RAW_PORT_OPEN)
            slot_give(p, s, name);
    }
}

void ports_serve(struct ports *p) {
    p->serving = true;
    for (unsigned port = p->low; p->high && port <= p->high; port++)
        if (slot_of(p, port)->listener)
            listener_start(slot_of(p, port)->listener);
}

void ports_retry(struct ports *p) {
    for (unsigned port = p->low; p->failed && port <= p->high; port++)
        if (slot_of(p, port)->error)
            slot_open(p, slot_of(p, port));
}

const char *ports_error(const struct ports *p, unsigned port) {
    const struct port_slot *s = slot_of(p, port);
    return s ? s->error : NULL;
}

void ports_fini(struct ports *p) {
    for (unsigned port = p->low; p->slot && p->high && port <= p->high; port++)
        slot_close(p, slot_of(p, port));
    free(p->slot);
    *p = (struct ports){0};
}
