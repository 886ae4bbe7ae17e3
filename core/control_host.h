/* SPDX-License-Identifier: MIT
 * control_host.h - what the control thread does for modules that have work beside the data path (core/module.h: control_up).
 *
 *   a thread of the module's own --control_post--> control thread: rows, events, certificates, answers
 *
 * All calls: on the control thread, between control_up and the end of control_down, but for control_post. The control thread
 * serves every tenant's changes: what waits belongs on a thread of the module's own.
 */
#pragma once
#include "core/diag.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- rows: what must survive a restart. Keys begin with the module's name and a slash. ---- */
/* The value, malloc'd, with what was put but not committed yet; NULL: there is none. */
char *control_row(const char *key);
/* Every row whose key begins so, in the order of keys. The callback may put rows. */
void control_rows(const char *prefix, void (*row)(void *user, const char *key, const char *value),
                  void *user);
/* value NULL: delete. Nothing is on disk before control_commit. */
void control_row_put(const char *key, const char *value);
/* Everything put since, by anybody, in one transaction, synced. False: *err; it is kept and tried again. */
bool control_commit(struct err *);

/* ---- for people ---- */
/* `object`: "Ingress/web". Shown by `get events` and `describe`; the same one again only moves its time. */
void control_event(const char *tenant, const char *object, bool warning, const char *reason,
                   const char *message);

/* ---- what runs (tenants/feed.h) ---- */
struct fed;
/* All that this module knows of the tenant's containers under this name; what it said before under the same name is replaced, and
 * the tenant is served so at once. None: nothing. Also for a tenant that is not there yet. Valid for the call; unchanged costs little. */
void control_feed(const char *tenant, const char *feed, const struct fed *, size_t count);
/* ---- tenants ---- */
/* What `get KIND -n TENANT -o json` prints: a JSON array, malloc'd; NULL: there is no such kind, or no memory. Two kinds more than
 * people can ask for: "objects", what the tenant's files say, as {"file", "line", "modified", "object"}, Secrets and all, and
 * "containers", what feeds say, as {"feed", "name", "notReady", "labels", "addresses", "id", "image", "created", "started",
 * "restarts"}; "feed": which module's. */
char *control_get(const char *kind, const char *tenant);

/* One object into the tenant's folder of conf.d, or out of it, for modules with MODULE_WRITES_CONF_D: checked as a drop of all its files
 * is, written whole, live when this returns. */
struct control_object {
    const char *tenant, *uid; /* nothing is written when the name is another's by now */
    const char *api_version, *kind, *name;
    const char *file_name; /* of one that is new: KIND.NAME.yaml */
    const char *text;      /* its YAML; NULL: it goes */
    bool there;            /* it was seen: it stands somewhere, or did a moment ago */
    bool secret;           /* a new file is for the edge's user alone */
    bool dry_run;          /* all but the writing */
    uint64_t
        seen; /* hash_bytes (core/map.h) of what control_get("objects") was when this was made of it */
};
enum control_put {
    CONTROL_PUT_DONE, /* *ret_told: JSON {"diags": [{"error", "file", "line", "column", "message"}], and, if there are
                             any, "file", "text": where the object is to stand, and what that file would hold} */
    CONTROL_PUT_CHANGED, /* somebody else was first: look again, and try again */
    CONTROL_PUT_INVALID, /* *ret_told: the same; nothing was written */
    CONTROL_PUT_FAILED   /* *ret_told: why, in words */
};
enum control_put control_object_put(const struct control_object *, char **ret_told);

/* ---- names ---- */
enum control_look { LOOK_WAITS, LOOK_YES, LOOK_NO, LOOK_UNKNOWN };
/* DNS is asked again soon whether this name is the tenant's. */
void control_recheck(const char *tenant, const char *name);
/* What it said at `since` or later; of a name that needs no look: LOOK_YES. LOOK_WAITS: nothing yet. */
enum control_look control_looked(const char *tenant, const char *name, int64_t since);

/* ---- threads ---- */
/* From any thread: `run` is called on the control thread soon, in the order of posting; never after control_down returned. False:
 * it is not, there is no memory or the edge ends. */
bool control_post(void (*run)(void *user), void *user);

/* ---- listening ---- */
/* For a module that accepts connections beside the data path, in control_up: the socket, which listens, of an address that stands in
 * its own field `listen` (CONF_STRING_LIST). It was bound while the process still might, and is never dialled for a tenant. Negative:
 * *err says why. */
int control_listen(const char *as_written, struct err *);

/* ---- certificates ---- */
struct identity; /* core/certificates.h, core/challenge.h take them */
struct identity *control_identity(const char *chain_pem, const char *key_pem, struct err *);

/* ---- files ---- */
/* The folder of edge.yaml's `state`, which is there and is this process's own. */
const char *control_state_folder(void);
/* A path as edge.yaml has it, relative to that file: ready to open; malloc'd. Also in conf_check. */
char *control_path(const char *as_written);
