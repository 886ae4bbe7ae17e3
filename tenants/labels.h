/* SPDX-License-Identifier: GPL-3.0-or-later
 * labels.h - kr.ingress.{container-port}={scheme}://{host}/{path}: routes written where the
 * container is.
 */
#pragma once
#include "core/stash.h"
#include <stdbool.h>
#include <stdint.h>

enum label_scheme { LABEL_HTTP, LABEL_HTTPS, LABEL_TLS, LABEL_TCP };
struct label {
    uint16_t port;
    enum label_scheme scheme;
    const char *host; /* normalised; NULL for tcp */
    const char *path; /* starts with '/' */
};

/* Is this key ours to read? A key that is and does not parse is a mistake worth an event. */
bool label_is_ours(const char *key);
/* One value may hold several, separated by commas or spaces: calls with *at = value until it
 * returns false.
 * The piece is *ret_piece, *ret_length. */
bool label_next(const char **at, const char **ret_piece, size_t *ret_length);
/* `piece` is one of those. `domain`: the tenant's, or NULL. False: *ret_why is a sentence about
 * it. */
bool label_parse(struct stash *, const char *key, const char *piece, size_t length,
                 const char *domain, struct label *ret, const char **ret_why);
const char *label_scheme_name(enum label_scheme);
/* Is `origin` ("label kr.ingress.80 on compose/web", where a route was written) a label on this object ("compose/web")? */
bool label_origin_is_on(const char *origin, const char *object);
