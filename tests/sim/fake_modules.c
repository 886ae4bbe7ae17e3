/* SPDX-License-Identifier: GPL-3.0-or-later
 * fake_modules.c - stands in for core/modules.c, which loads files: one chain for every kind of listener, with the module
 * the test has made.
 */
#include "fake_modules.h"

const struct ringress_module *fake_module;

const struct chain *chain_of(enum listener_kind kind) {
    static const struct chain chain = {.count = 1, .state_size = 16};
    (void)kind;
    return &chain;
}

const struct ringress_module *module_at(unsigned index) {
    (void)index;
    return fake_module;
}

int modules_worker_up(struct worker *w) {
    (void)w;
    return 0;
}

void modules_worker_down(struct worker *w) {
    (void)w;
}
