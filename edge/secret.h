/* SPDX-License-Identifier: GPL-3.0-or-later
 * secret.h - the key that the tokens of TXT proofs are made with: 32 bytes in the state folder, made once, kept.
 */
#pragma once
#include "edge/store.h"

enum { SECRET_LENGTH = 32 };

/* Reads STATE/secret or makes it (0600). The store remembers which one it was: a secret that was lost or changed invalidates
 * every token tenants have put into DNS, but for what one has proved already, and is logged as an error. One that can't be read or kept is replaced for this life
 * only, and said too; the file then stays as it is. */
void secret_load(const char *folder, struct store *, uint8_t ret[SECRET_LENGTH]);
