/* SPDX-License-Identifier: GPL-3.0-or-later
 * health.c - asks pods how they are: one check per pod for the process, however many workers there are.
 *
 *   WAIT --due--> CONNECT --up--> ASK --status (probe.c)--> judged --threshold passed--> upstream_health_set: all workers see it
 *                    '---------------'--timeout, refused, wrong status--> judged
 *
 * Sockets are made as those for requests are, in the tenant's network, and nothing blocks: a check that hangs costs its own
 * time-out. At most IN_FLIGHT_MOST run at once, and tenants take turns (agenda.h), so that one with many pods that hang doesn't
 * keep others from hearing of theirs.
 */
#include "edge/health.h"
#include "core/control.h"
#include "core/map.h"
#include "core/module.h"
#include "edge/agenda.h"
#include "edge/probe.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_FLIGHT_MOST = 256, MS = 1000000 };

enum check_state { CHECK_WAIT, CHECK_CONNECT, CHECK_ASK };

struct check {
    struct loop_source source; /* while it runs */
    struct agenda_item item;   /* when it is due; while it runs: when its time is up */
    struct health *health;
    struct checked *of;
    struct check *next;   /* of the tenant */
    struct upstream *up;  /* alive: the tenant's live version lists it */
    struct policy policy; /* with texts of its own */
    struct health_streak streak;
    enum check_state state;
    bool wanted;         /* while the tenant is followed */
    bool known, fails;   /* what the workers were told */
    struct probe *probe; /* while it asks */
    char why[96];
};

struct checked { /* a tenant, while it has checks */
    struct agenda_party party;
    struct check *first;
    char name[64];
};

struct health {
    struct loop *loop;
    struct map tenants; /* name -> struct checked */
    struct map checks;  /* of an upstream's address in memory -> struct check */
    struct agenda agenda;
};

/* ---- judging ---- */

bool health_judge(struct health_streak *s, const struct policy *p, bool known, bool fails,
                  bool passed, bool *ret_fails) {
    s->passes = passed ? s->passes + 1 : 0;
    s->fails = passed ? 0 : s->fails + 1;
    if (known &&
        (passed != fails || (passed ? s->passes < p->health_rise : s->fails < p->health_fall)))
        return false;
    *ret_fails = !passed;
    return true;
}

static bool status_good(const struct policy *p, int status) {
    return status >= p->health_status >> 16 && status <= (p->health_status & 0xffff);
}

/* ---- one check ---- */

static int64_t interval_ns(const struct check *c) {
    int64_t ns =
        c->policy.health_ms * MS; /* a tenth of it at random, so that checks don't march in step */
    return ns - ns / 20 + (int64_t)((uint64_t)random() % (uint64_t)(ns / 10 + 1));
}

static void check_stop(struct check *c) {
    if (c->state == CHECK_WAIT)
        return;
    loop_remove(c->health->loop, &c->source);
    probe_free(c->probe);
    c->probe = NULL;
    close(c->source.fd);
    c->state = CHECK_WAIT;
}

static void check_later(struct check *c) {
    agenda_wait(&c->health->agenda, &c->item, loop_now_ns() + interval_ns(c));
}

static void check_tell(struct check *c) {
    upstream_health_set(c->up, !c->fails);
    log_write(c->fails ? 1 : 2, "tenant %s: pod %s %s%s", c->of->name, upstream_name(c->up),
              c->fails ? "is not ready: " : "passes its checks", c->fails ? c->why : "");
}

/* `why` NULL: passed. */
static void check_end(struct check *c, const char *why) {
    bool fails;
    check_stop(c);
    check_later(c);
    snprintf(c->why, sizeof c->why, "%s", why ? why : "");
    if (!health_judge(&c->streak, &c->policy, c->known, c->fails, !why, &fails))
        return;
    bool news = c->known || fails; /* a pod that is well from the beginning is none */
    c->known = true;
    c->fails = fails;
    if (news)
        check_tell(c);
}

static void check_fail(struct check *c, const char *what, int error) {
    char why[sizeof c->why];
    snprintf(why, sizeof why, "%s: %s", what, strerror(error));
    check_end(c, why);
}

static void check_run(struct check *c) {
    char why[sizeof c->why];
    int status = probe_run(c->probe, &c->source.events, why, sizeof why);
    if (status == PROBE_FAILED) {
        check_end(c, why);
    } else if (status && status_good(&c->policy, status)) {
        check_end(c, NULL);
    } else if (status) {
        snprintf(why, sizeof why, "it answers %d", status);
        check_end(c, why);
    }
}

static void check_ask(struct check *c) {
    const struct policy *p = &c->policy;
    c->probe = probe_new(c->source.fd, upstream_speech(c->up), p->health_path,
                         p->health_host ? p->health_host : upstream_name(c->up));
    if (!c->probe) {
        check_fail(c, "can't ask", ENOMEM);
        return;
    }
    c->state = CHECK_ASK;
    check_run(c);
}

static void check_ready(struct loop_source *s, short revents) {
    struct check *c = (struct check *)((char *)s - offsetof(struct check, source));
    int error = 0;
    socklen_t length = sizeof error;
    (void)revents;
    if (c->state == CHECK_ASK) {
        check_run(c);
        return;
    }
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &length))
        error = errno;
    if (error)
        check_fail(c, "can't connect", error);
    else if (c->policy.health == HEALTH_TCP)
        check_end(c, NULL);
    else
        check_ask(c);
}

static void checks_start(struct health *);

/* A place may be free now. */
static void check_event(struct loop_source *s, short revents) {
    struct check *c = (struct check *)((char *)s - offsetof(struct check, source));
    check_ready(s, revents);
    checks_start(c->health);
}

static void check_start(struct check *c) {
    const struct policy *p = &c->policy;
    int64_t most = p->health_timeout_ms < p->health_ms ? p->health_timeout_ms : p->health_ms;
    int fd = upstream_socket(c->up);
    c->source = (struct loop_source){.fd = fd, .events = POLLOUT, .ready = check_event};
    if (fd < 0 ||
        !loop_add(c->health->loop, &c->source)) { /* no fault of the pod: ask again later */
        if (fd >= 0)
            close(fd);
        check_later(c);
        return;
    }
    c->state = CHECK_CONNECT;
    agenda_run(&c->health->agenda, &c->item, loop_now_ns() + most * MS);
    int error = upstream_connect_fd(c->up, fd);
    if (error && error != -EINPROGRESS)
        check_fail(c, "can't connect", -error);
}

/* ---- all of them ---- */

static struct check *check_of(struct agenda_item *i) {
    return i ? (struct check *)((char *)i - offsetof(struct check, item)) : NULL;
}

static void checks_start(struct health *h) {
    struct check *c;
    while ((c = check_of(agenda_next(&h->agenda))))
        check_start(c);
}

void health_beat(struct health *h) {
    struct check *c;
    while ((c = check_of(agenda_late(&h->agenda, loop_now_ns()))))
        check_end(c, c->state == CHECK_CONNECT ? "no connection in time" : "no answer in time");
    checks_start(h);
}

static void key_of(const struct upstream *up, char key[24]) {
    snprintf(key, 24, "%p", (const void *)up);
}

const char *health_reason(const struct health *h, const struct upstream *up) {
    char key[24];
    key_of(up, key);
    const struct check *c = map_get(&h->checks, key);
    return c && *c->why ? c->why : NULL;
}

static void check_free(struct check *c) {
    char key[24];
    check_stop(c);
    agenda_remove(&c->health->agenda, &c->item);
    key_of(c->up, key);
    map_remove(&c->health->checks, key);
    free((char *)(uintptr_t)c->policy.health_path);
    free((char *)(uintptr_t)c->policy.health_host);
    free(c);
}

/* Keeps what is known of the pod: a drop that changes something else must not make it ready. */
static bool policy_take(struct check *c, const struct policy *p) {
    char *path = p->health_path ? strdup(p->health_path) : NULL;
    char *host = p->health_host ? strdup(p->health_host) : NULL;
    if ((p->health_path && !path) || (p->health_host && !host)) {
        free(path);
        free(host);
        return false;
    }
    free((char *)(uintptr_t)c->policy.health_path);
    free((char *)(uintptr_t)c->policy.health_host);
    c->policy = *p;
    c->policy.health_path = path;
    c->policy.health_host = host;
    return true;
}

static struct check *check_get(struct health *h, struct checked *of, struct upstream *up) {
    char key[24];
    key_of(up, key);
    struct check *c = map_get(&h->checks, key);
    if (c)
        return c;
    c = calloc(1, sizeof *c);
    if (!c || !map_put(&h->checks, key, c)) {
        free(c);
        return NULL;
    }
    c->health = h;
    c->of = of;
    c->item.party = &of->party;
    c->up = up;
    c->next = of->first;
    of->first = c;
    return c;
}

static bool same_question(const struct policy *a, const struct policy *b) {
    return a->health == b->health && a->health_status == b->health_status &&
           !strcmp(a->health_path ? a->health_path : "", b->health_path ? b->health_path : "") &&
           !strcmp(a->health_host ? a->health_host : "", b->health_host ? b->health_host : "");
}

static void pod_follow(struct health *h, struct checked *of, const struct policy *p,
                       struct upstream *up) {
    struct check *c = check_get(h, of, up);
    if (!c || c->wanted)
        return;
    c->wanted = true;
    if (!same_question(&c->policy, p)) {
        check_stop(c);
        agenda_wait(&h->agenda, &c->item, 0);
    }
    c->wanted = policy_take(c, p); /* false: no memory, it is not checked */
}

static void backends_follow(struct health *h, struct checked *of, const struct tenant *t) {
    for (size_t i = 0; t && i < t->backend_count; i++) {
        const struct backend *b = &t->backend[i];
        for (unsigned j = 0; b->policy.health != HEALTH_NONE && j < b->endpoint_count; j++)
            if (b->endpoint[j].host_upstream)
                pod_follow(h, of, &b->policy, b->endpoint[j].host_upstream);
    }
}

/* The pods of those that go are still there: versions are freed later, by publish_reap. */
static void unwanted_drop(struct checked *of) {
    for (struct check **link = &of->first, *c; (c = *link);) {
        if (c->wanted) {
            c->wanted = false;
            link = &c->next;
        } else {
            *link = c->next;
            upstream_health_set(c->up, true);
            check_free(c);
        }
    }
}

/* NULL: no memory. */
static struct checked *checked_get(struct health *h, const char *tenant) {
    struct checked *of = map_get(&h->tenants, tenant);
    if (of)
        return of;
    of = calloc(1, sizeof *of);
    if (!of || !map_put(&h->tenants, tenant, of)) {
        free(of);
        return NULL;
    }
    snprintf(of->name, sizeof of->name, "%s", tenant);
    return of;
}

void health_follow(struct health *h, const char *tenant, const struct tenant *t) {
    struct checked *of = checked_get(h, tenant);
    if (!of)
        return; /* nobody is checked, all count as ready */
    backends_follow(h, of, t);
    unwanted_drop(of);
    if (of->first)
        return;
    map_remove(&h->tenants, tenant);
    free(of);
}

struct health *health_new(struct loop *loop) {
    struct health *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->loop = loop;
    agenda_init(&h->agenda, IN_FLIGHT_MOST, loop_now_ns());
    return h;
}

void health_free(struct health *h) {
    if (!h)
        return;
    for (size_t i = 0; i < h->tenants.room; i++) {
        struct checked *of = h->tenants.slot[i].key ? h->tenants.slot[i].value : NULL;
        for (struct check *c = of ? of->first : NULL, *next; c; c = next) {
            next = c->next;
            check_free(c);
        }
        free(of);
    }
    map_fini(&h->checks);
    map_fini(&h->tenants);
    free(h);
}
