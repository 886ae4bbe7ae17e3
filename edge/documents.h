/* SPDX-License-Identifier: GPL-3.0-or-later
 * documents.h - the YAML documents of a text as ranges of its bytes, so that one of them can change and every other byte stay. Pure.
 *
 *   # a comment              \ begin          of the document: with what stands above its content
 *   ---                      |
 *   apiVersion: v1           | content_begin  of what is replaced when its object changes
 *   kind: Service            |
 *   # another                | content_end    the line after the last one with something to say
 *   ---                      \ begin of the next
 */
#pragma once
#include "core/diag.h"
#include <stddef.h>

enum { DOCUMENTS_MAX = 10000 };

struct document {
    size_t begin, content_begin, content_end, end; /* bytes of the text */
    bool empty;                                    /* nothing but comments: it has no content */
    bool list;                                     /* kind: List */
    char *api_version, *kind, *name;               /* owned; "" where it does not say */
};
struct documents {
    struct document *item; /* owned */
    size_t count, room;
};

/* False: *err; the text is not YAML. `file` is for the message. */
bool documents_read(const char *file, const char *text, size_t length, struct documents *ret,
                    struct err *);
void documents_free(struct documents *);
/* The one of this object, NULL: none. */
const struct document *documents_find(const struct documents *, const char *api_version,
                                      const char *kind, const char *name);

/* The text with other content for one document; malloc'd, NUL-terminated. NULL: no memory. */
char *document_replace(const char *text, size_t length, const struct document *,
                       const char *content, size_t content_length, size_t *ret_length);
/* The text without a document; comments after it stay. */
char *document_remove(const char *text, size_t length, const struct documents *,
                      const struct document *, size_t *ret_length);
/* The text with one document more at its end. */
char *document_append(const char *text, size_t length, const char *content, size_t content_length,
                      size_t *ret_length);
