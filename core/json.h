/* SPDX-License-Identifier: GPL-3.0-or-later
 * json.h - text of anybody's, as a JSON string: valid whatever its bytes are. Pure.
 */
#pragma once
#include <stddef.h>

/* Writes `text` with its quotes: at most `most` bytes between them (then it ends with an ellipsis, at a whole character), so
 * most + 2 in all. Control characters, quotes and backslashes are escaped, bytes that are no UTF-8 become U+FFFD. `most` is at
 * least 8. Returns where it ends; nothing is NUL-terminated. */
char *json_text(char *out, size_t most, const char *text, size_t length);
