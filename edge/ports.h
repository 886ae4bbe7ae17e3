/* SPDX-License-Identifier: GPL-3.0-or-later
 * ports.h - the listeners of raw TCP ports: those that published tenants hold, and no others.
 */
#pragma once
#include "core/control.h"

struct port_slot {
    struct listener *listener;
    char *tenant; /* whose; NULL: nobody's */
    char *error;  /* why it is not open; tried again */
    bool shut;    /* by the shutoff or the operator: it has no listener until that is over */
    bool held;    /* its queue is short */
};
struct ports {
    union address address;
    uint16_t low, high;
    struct port_slot *slot; /* low..high */
    size_t failed;
    bool serving;
};

bool ports_init(struct ports *, const union address *, uint16_t low, uint16_t high);
/* What this tenant holds now, NULL: nothing any more. Opens and closes the difference. */
void ports_follow(struct ports *, const char *name, const struct tenant *);
/* Shut: its listener closes, whoever holds it. Not shut: it opens again, if somebody does. */
void ports_shut(struct ports *, unsigned port, bool shut);
bool ports_is_shut(const struct ports *, unsigned port);
void ports_hold(struct ports *, unsigned port,
                bool held);       /* a short queue for those to be accepted */
void ports_serve(struct ports *); /* accept from now on */
void ports_retry(struct ports *); /* those that could not be opened */
/* Why this port is not open though its tenant holds it, or NULL. */
const char *ports_error(const struct ports *, unsigned port);
void ports_fini(struct ports *); /* closes all */
