/* SPDX-License-Identifier: MIT
 * feed.h - what runs, as somebody else than the tenant's files knows it: containers with labels and addresses.
 *
 *   files of conf.d --> model --+--> compile --> what is served
 *   feeds, by name -------------+
 *
 * A feed says all it knows of a tenant each time; what it said before is replaced. Its labels go through the same step as those
 * in files, with the same states and events. A feed belongs to a tenant's name and waits for a tenant that is not there (yet).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { FEED_MOST = 4096, FED_LABELS_MOST = 64, FED_ADDRESSES_MOST = 16 };

struct fed_label {
    const char *key, *value;
};
struct fed {            /* one container; everything is copied */
    const char *object; /* "Container/web-1": what events are about */
    const char *name;   /* "web-1", of the pod in `get backends` */
    const char
        *group; /* one name for all replicas of a service: what a raw port's number belongs to */
    const struct fed_label *label; /* only kr.ingress.* is kept */
    size_t label_count;
    const char *const
        *address; /* the first that may be dialled for the tenant is used; none: it has none */
    size_t address_count;
    const char *not_ready; /* why; NULL: it is ready */
    /* for people only; NULL and 0: not known */
    const char *id;                     /* of this one, however often another takes its name */
    const char *image;                  /* "nginx:1.27" */
    int64_t created, started, restarts; /* Unix seconds; since it was created */
};
