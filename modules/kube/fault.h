/* SPDX-License-Identifier: GPL-3.0-or-later
 * fault.h - why a request of the API is refused: a code, upstream's reason, a sentence, and what caused it, field by field.
 *
 * The pure functions of this module fill one in; the server sends it as a `Status`. Zero is "nothing is wrong".
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { FAULT_CAUSES_MAX = 100 };

struct fault {
    int code;           /* of HTTP; 0: nothing is wrong */
    const char *reason; /* "Invalid", "BadRequest", "Conflict", …; static */
    char *message;      /* owned; NULL while it is only causes */
    json_t *causes;     /* owned; [{reason, message, field}], or NULL */
};

struct fault_about { /* what the Status' `details` say; each may be NULL */
    const char *group, *kind, *name;
};

/* Takes the place of what was said before, causes stay; always false, so that `return fault_set(...)` reads well. */
bool fault_set(struct fault *, int code, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* One more cause; after FAULT_CAUSES_MAX they are left out. */
void fault_cause(struct fault *, const char *reason, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
size_t fault_causes(const struct fault *);
/* 422 over the causes, worded as upstream does: `Ingress.networking.k8s.io "web" is invalid: …`. */
void fault_invalid(struct fault *, const struct fault_about *);
json_t *fault_details(const struct fault_about *);
/* A new `Status` object. */
json_t *fault_status(const struct fault *, const struct fault_about *);
void fault_fini(struct fault *);
