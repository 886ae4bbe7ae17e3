/* SPDX-License-Identifier: GPL-3.0-or-later
 * blob.h - an object as text: a fifth of what a tree of it takes. Never changes; references are counted on the API's thread alone.
 */
#pragma once
#include <jansson.h>

struct blob {
    unsigned refs, length;
    char text[];
};
struct blob *blob_new(const json_t *object); /* with one reference; any thread */
struct blob *blob_ref(struct blob *);        /* NULL of NULL */
void blob_unref(struct blob *);
json_t *blob_json(const struct blob *); /* the caller's; NULL of NULL; any thread that holds it */
