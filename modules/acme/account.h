/* SPDX-License-Identifier: GPL-3.0-or-later
 * account.h - the account at each directory: made once, shared by all threads, kept over restarts (RFC 8555 section 7.3).
 */
#pragma once
#include "modules/acme/client.h"
#include "modules/acme/conf.h"

/* Before the first thread; the conf is kept, not copied. */
void accounts_init(const struct acme_conf *);
void accounts_fini(void);

/* The account at that directory, as this thread needs it: registered, with today's contact and key. One thread at a time does what is to
 * be done, the others wait. False: *ret says why. */
struct acme_account {
    struct key *key; /* this thread's own copy; key_free */
    char url[URL_MOST];
};
bool account_ready(size_t directory, struct client *, struct acme_account *ret, struct problem *);
/* The directory does not know it: to be made again. */
void account_lost(size_t directory);
/* 16 hex digits that stand for a directory in names of rows and files. */
void directory_hash(const char *url, char out[17]);
