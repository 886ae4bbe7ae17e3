/* SPDX-License-Identifier: GPL-3.0-or-later
 * write.h - create, update, patch, apply, delete: from a request to a file of conf.d, and the answer. The API's thread alone.
 *
 *   body -> the object as it is -> the object as it shall be -> YAML --control thread: check, write, load--> the object as it is now
 *             ^------------------- somebody else was first: all over again ------------'
 */
#pragma once
#include "modules/kube/follow.h"
#include "modules/kube/http.h"
#include "modules/kube/target.h"

enum verb { VERB_CREATE, VERB_UPDATE, VERB_PATCH, VERB_DELETE };

struct writing; /* one write under way */
struct write_wish {
    enum verb verb;
    const struct kube_kind *kind;
    const struct target *target; /* valid until it is answered, as is the body */
    const struct http_request *request;
    const char *tenant, *token; /* the token's ID */
    /* Takes the object or Status; `warnings`: header lines, or NULL. */
    void (*answer)(void *user, int code, json_t *value, const char *warnings);
    void *user;
    struct writing **slot; /* where the one under way stands, NULL again once it is answered */
};
void write_begin(const struct write_wish *); /* may be answered before it returns */
void writes_beat(void);
void writes_fini(void);
void write_forget(struct writing *); /* whoever asked is gone; what was begun is finished */
