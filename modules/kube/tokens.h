/* SPDX-License-Identifier: GPL-3.0-or-later
 * tokens.h - who may ask: bearer tokens of tenants. Only their SHA-256 is kept, in rows of the state store.
 *
 *   rk.ID.SECRET     ID: 10 letters, names the token to people; SECRET: 256 random bits
 *   row kube/token/ID = {"sha256", "tenant", "uid", "created", "expires"}
 *
 * A token is of a tenant's UID: a name that is used again by another does not inherit it. Rows and their changes are the control
 * thread's; `token_judge` may be called on any thread.
 */
#pragma once
#include "core/diag.h"
#include <jansson.h>
#include <stdint.h>

enum { TOKEN_ID_LENGTH = 10, TOKEN_SECRET_LENGTH = 43, TOKEN_TEXT_MAX = 64, TENANT_NAME_MAX = 64 };

/* ---- control thread ---- */
void tokens_open(void); /* those that are in the rows */
void tokens_close(void);
/* A tenant is served under this UID; NULL: it is gone. */
void tokens_tenant(const char *name, const char *uid);
/* `text` gets the token: the only time that anyone sees it. On disk when true. */
bool token_make(const char *tenant, int64_t ttl_s, int64_t now, char text[TOKEN_TEXT_MAX],
                struct err *);
/* [{"id", "tenant", "created", "expires", "state"}] */
json_t *tokens_list(const char *tenant, int64_t now);
/* `id` "all": every one of the tenant's. How many were; on disk when true. */
bool tokens_revoke(const char *tenant, const char *id, size_t *ret_count, struct err *);
/* Those that expired long ago are forgotten. */
void tokens_tidy(int64_t now);
size_t tokens_count(void);

/* ---- any thread ---- */
/* The tenant that this text speaks for at `now`; false: none. The secret is compared in constant time. */
bool token_judge(const char *text, size_t length, int64_t now, char tenant[TENANT_NAME_MAX]);
/* Is what began with this token still in order? `id` as it stands in the token's text. */
bool token_is_good(const char *id, int64_t now);
enum { TOKEN_ID_AT = 3 };
