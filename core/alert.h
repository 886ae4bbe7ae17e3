/* SPDX-License-Identifier: MIT
 * alert.h - TLS alerts by name (RFC 8446 section 6), as lines of the access log tell them.
 */
#pragma once
#include <stddef.h>

enum { ALERT_TEXT = 48 };

/* "handshake_failure"; NULL: not one of the registry. */
const char *alert_name(unsigned code);
/* "sent handshake_failure", "got 77". Returns `out`. */
const char *alert_text(const char *who, unsigned code, char out[ALERT_TEXT]);
