/* SPDX-License-Identifier: GPL-3.0-or-later
 * dn.h - a distinguished name as text: "CN=ann,O=Example" (RFC 4514). Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `der`: what is inside the SEQUENCE of a Name of X.509, as wolfSSL hands it out. Two names never give one text. False: it is malformed, or longer than `room`. */
bool dn_print(const uint8_t *der, size_t length, char *out, size_t room);
