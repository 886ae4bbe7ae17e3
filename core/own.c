/* SPDX-License-Identifier: GPL-3.0-or-later
 * own.c - see own.h. Pods' addresses are checked when they are compiled; the machine's own may change after that.
 */
#include "core/own.h"
#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

static struct own *current;

static void own_free(struct own *own) {
    if (own) {
        free(own->listener);
        free(own->address);
    }
    free(own);
}

void own_publish(struct own *own) {
    struct own *before = __atomic_exchange_n(&current, own, __ATOMIC_ACQ_REL);
    if (!before)
        return;
    urcu_qsbr_synchronize_rcu();
    own_free(before);
}

bool own_refuses(bool elsewhere, bool named, const union address *address) {
    const struct own *own = __atomic_load_n(&current, __ATOMIC_ACQUIRE);
    return own && own_refusal(own, elsewhere, named, address);
}
