/* SPDX-License-Identifier: GPL-3.0-or-later
 * sweep.c - see sweep.h.
 */
#include "modules/kube/sweep.h"
#include "modules/kube/status.h"
#include "modules/kube/tokens.h"
#include "modules/kube/watch.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sweep {
    struct asker asker;
    struct sweep_wish wish;
    struct target target;    /* of the one that goes now */
    json_t *wanted, *gone;   /* objects */
    size_t at;               /* in `wanted` */
    struct writing *writing; /* of that one */
};

static void sweep_free(struct sweep *s) {
    json_decref(s->wanted);
    json_decref(s->gone);
    free(s);
}

void sweep_forget(struct sweep *s) {
    follow_forget(&s->asker);
    if (s->writing)
        write_forget(s->writing);
    sweep_free(s);
}

/* Takes the value. */
static void sweep_finish(struct sweep *s, int code, json_t *value) {
    *s->wish.slot = NULL;
    s->wish.of_one.answer(s->wish.of_one.user, code, value, NULL);
    sweep_free(s);
}

static void sweep_done(struct sweep *s) {
    char api_version[API_VERSION_MAX];
    const struct kube_kind *kind = s->wish.of_one.kind;
    sweep_finish(s, 200,
                 json_pack("{s:o s:s s:{} s:O}", "kind", json_sprintf("%sList", kind->kind),
                           "apiVersion", kind_api_version(kind, api_version), "metadata", "items",
                           s->gone));
}

static void sweep_next(struct sweep *s);

/* Somebody else may have been first: then it is gone as well. */
static void one_answered(void *user, int code, json_t *value, const char *warnings) {
    struct sweep *s = user;
    (void)warnings;
    if (code != 200 && code != 404) {
        sweep_finish(s, code, value);
        return;
    }
    if (code == 200)
        json_array_append(s->gone, json_array_get(s->wanted, s->at));
    json_decref(value);
    s->at++;
    sweep_next(s);
}

static void sweep_next(struct sweep *s) {
    if (s->at == json_array_size(s->wanted)) {
        sweep_done(s);
        return;
    }
    struct write_wish wish = s->wish.of_one;
    s->target.name = object_name(json_array_get(s->wanted, s->at));
    wish.verb = VERB_DELETE;
    wish.target = &s->target;
    wish.answer = one_answered;
    wish.user = s;
    wish.slot = &s->writing;
    write_begin(&wish);
}

static void sweep_known(struct asker *a, struct follow *f) {
    struct sweep *s = (struct sweep *)a;
    const struct kube_kind *kind = s->wish.of_one.kind;
    if (!f || !token_is_good(s->wish.of_one.token, time(NULL))) {
        sweep_finish(s, 401, status_failure(401, "Unauthorized", NULL, NULL, "Unauthorized"));
        return;
    }
    for (size_t i = 0; i < f->count; i++) {
        bool written = f->list[i]->kind == kind && f->list[i]->written;
        json_t *object = written ? blob_json(f->list[i]->object) : NULL;
        if (object_selected(kind, s->wish.labels, s->wish.fields, object))
            json_array_append(s->wanted, object);
        json_decref(object);
    }
    sweep_next(s);
}

void sweep_begin(const struct sweep_wish *wish) {
    struct sweep *s = calloc(1, sizeof *s);
    if (!s) {
        wish->of_one.answer(wish->of_one.user, 503,
                            status_failure(503, "ServiceUnavailable", NULL, NULL, "out of memory"),
                            NULL);
        return;
    }
    s->wish = *wish;
    s->target = *wish->of_one.target; /* what it points to stays with the request */
    s->wanted = json_array();
    s->gone = json_array();
    s->asker.ready = sweep_known;
    *wish->slot = s;
    follow_ask(wish->of_one.tenant, &s->asker, true);
}
