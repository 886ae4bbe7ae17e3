/* SPDX-License-Identifier: GPL-3.0-or-later
 * retire.c - see retire.h.
 */
#include "core/retire.h"
#include <stddef.h>
#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

static struct retired {
    void *object;
    void (*release)(void *);
} * list;
static size_t count, room;

void retire(void *object, void (*release)(void *)) {
    if (count == room) {
        size_t bigger = room ? room * 2 : 64;
        struct retired *moved = realloc(list, bigger * sizeof *list);
        if (!moved) {
            urcu_qsbr_synchronize_rcu();
            release(object);
            return;
        }
        list = moved;
        room = bigger;
    }
    list[count++] = (struct retired){object, release};
}

bool retired_any(void) {
    return count;
}

/* A release may retire what it can't free yet: for the next time. */
void retired_free(void) {
    struct retired *now = list;
    size_t n = count;
    list = NULL;
    count = room = 0;
    for (size_t i = 0; i < n; i++)
        now[i].release(now[i].object);
    free(now);
}
