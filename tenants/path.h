/* SPDX-License-Identifier: GPL-3.0-or-later
 * path.h - one meaning per path: what is matched is what the pod is asked for.
 *
 * Policy (docs/http.md): percent-encoded unreserved characters are decoded and dot segments resolved (RFC 3986 section 6.2.2);
 * the result is matched and forwarded. Empty segments are forwarded as they came and folded for matching. What two readers
 * could take for two different paths is refused.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Normalises in place; `path` starts with '/' and holds no query. Returns the new length, or -1: refuse with 400. */
long path_normalise(char *path, size_t length);
/* Are there empty segments, that path_fold would take away? */
bool path_has_empty(const char *path, size_t length);
/* The form for matching: runs of '/' folded to one, into `out` of at least `length` bytes. Returns its length. */
size_t path_fold(const char *path, size_t length, char *out);
