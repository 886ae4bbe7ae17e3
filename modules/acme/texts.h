/* SPDX-License-Identifier: GPL-3.0-or-later
 * texts.h - what entries and sleepers keep of others' words: most of a hundred thousand have the same issuer, directory, UID and
 * Ingress. Under the keeper's lock.
 */
#pragma once
#include <stddef.h>

/* One copy for all who take the same text; NULL: no memory. Each is given back once; NULL may be. */
const char *text_take(const char *text);
void text_give(const char *taken);
/* Another text in the place of one that was taken; without memory the old one stays. */
void text_swap(const char **at, const char *text);
void texts_fini(void); /* when all were given back */

/* A copy of a list and of its texts; NULL: no memory. */
char **texts_copy(const char *const *list, size_t count);
void texts_free(char **list, size_t count);

/* Owned by *at, NULL: nothing is said. Mended. */
__attribute__((format(printf, 2, 3))) void text_say(char **at, const char *format, ...);
void text_unsay(char **at);

static inline const char *text_or_none(const char *text) {
    return text ? text : "";
}

/* Another's words, as rows and views take them: without the character in whose midst they were cut; else "(not UTF-8)". */
void text_mend(char *text, size_t room);
