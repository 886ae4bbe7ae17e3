/* SPDX-License-Identifier: GPL-3.0-or-later
 * retire.h - what readers may still look at is freed after a grace period. Control thread only.
 */
#pragma once
#include <stdbool.h>

/* `release` runs from retired_free. Without memory to remember it, it waits for the grace period here and now. */
void retire(void *object, void (*release)(void *object));
bool retired_any(void);
void retired_free(
    void); /* all that was retired before the last grace period: the caller has waited for one */
