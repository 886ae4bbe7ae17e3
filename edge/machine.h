/* SPDX-License-Identifier: GPL-3.0-or-later
 * machine.h - what of a wait is the machine's doing, and no tenant's: a worker that has no CPU does nothing, for anybody. Pure.
 */
#pragma once
#include <stdint.h>

/* What is left of `wait_ns` without that: less what a worker was ready for and had no CPU, and no more than all of them worked meanwhile.
 * The kernel counts the one when it is over only; while it lasts there is the other. */
static inline uint64_t machine_less(uint64_t wait_ns, uint64_t no_cpu_ns, uint64_t loop_ns) {
    uint64_t left = wait_ns > no_cpu_ns ? wait_ns - no_cpu_ns : 0;
    return left < loop_ns ? left : loop_ns;
}
