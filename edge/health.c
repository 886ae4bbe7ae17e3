/* SPDX-License-Identifier: GPL-3.0-or-later
 * health.c - asks pods how they are: one check per pod for the process, however many workers there are.
 *
 *   WAIT --due--> CONNECT --up--> ASK --status (probe.c)--> judged --threshold passed--> upstream_health_set: all workers see it
 *                    '---------------'--timeout, refused, wrong status--> judged
 *
 * Sockets are made as those for requests are, in the tenant's network, and nothing blocks: a check that hangs costs its own
 * time-out. At most IN_FLIGHT_MOST run at once; those that are due later wait for the next beat, the longest due first.
 */
#include "edge/health.h"
#include "core/control.h"
#include "core/map.h"
#include "core/module.h"
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
    struct health *health;
    struct check *next;   /* of the tenant */
    struct upstream *up;  /* alive: the tenant's live version lists it */
    struct policy policy; /* with texts of its own */
    struct health_streak streak;
    enum check_state state;
    bool wanted;         /* while the tenant is followed */
    bool known, fails;   /* what the workers were told */
    int64_t due_ns;      /* WAIT: the next; else: when its time is up */
    struct probe *probe; /* while it asks */
    char tenant[64], why[96];
};

struct health {
    struct loop *loop;
    struct map tenants; /* name -> struct check, the first of its list */
    struct map checks;  /* of an upstream's address in memory -> struct check */
    unsigned in_flight;
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
    c->health->in_flight--;
}

static void check_tell(struct check *c) {
    upstream_health_set(c->up, !c->fails);
    log_write(c->fails ? 1 : 2, "tenant %s: pod %s %s%s", c->tenant, upstream_name(c->up),
              c->fails ? "is not ready: " : "passes its checks", c->fails ? c->why : "");
}

/* `why` NULL: passed. */
static void check_end(struct check *c, const char *why) {
    bool fails;
    check_stop(c);
    c->due_ns = loop_now_ns() + interval_ns(c);
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

static void check_start(struct check *c) {
    const struct policy *p = &c->policy;
    int64_t most = p->health_timeout_ms < p->health_ms ? p->health_timeout_ms : p->health_ms;
    int fd = upstream_socket(c->up);
    c->source = (struct loop_source){.fd = fd, .events = POLLOUT, .ready = check_ready};
    if (fd < 0 ||
        !loop_add(c->health->loop, &c->source)) { /* no fault of the pod: ask again later */
        if (fd >= 0)
            close(fd);
        c->due_ns = loop_now_ns() + interval_ns(c);
        return;
    }
    c->state = CHECK_CONNECT;
    c->health->in_flight++;
    c->due_ns = loop_now_ns() + most * MS;
    int error = upstream_connect_fd(c->up, fd);
    if (error && error != -EINPROGRESS)
        check_fail(c, "can't connect", -error);
}

/* ---- all of them ---- */

static void check_look(struct check *c, int64_t now, struct check **longest_due) {
    if (c->due_ns > now)
        return;
    if (c->state != CHECK_WAIT)
        check_end(c, c->state == CHECK_CONNECT ? "no connection in time" : "no answer in time");
    else if (!*longest_due || c->due_ns < (*longest_due)->due_ns)
        *longest_due = c;
}

static struct check *checks_look(struct health *h, int64_t now) {
    struct check *longest_due = NULL;
    for (size_t i = 0; i < h->tenants.room; i++)
        for (struct check *c = h->tenants.slot[i].key ? h->tenants.slot[i].value : NULL; c;
             c = c->next)
            check_look(c, now, &longest_due);
    return longest_due;
}

/* When more are due than may run, the longest due go first: found one by one, since that is rare; all in one walk otherwise. */
void health_beat(struct health *h) {
    int64_t now = loop_now_ns();
    size_t due = 0;
    if (!checks_look(h, now))
        return;
    for (size_t i = 0; i < h->tenants.room; i++)
        for (struct check *c = h->tenants.slot[i].key ? h->tenants.slot[i].value : NULL; c;
             c = c->next)
            due += c->state == CHECK_WAIT && c->due_ns <= now;
    bool few = h->in_flight + due <= IN_FLIGHT_MOST;
    for (size_t i = 0; few && i < h->tenants.room; i++)
        for (struct check *c = h->tenants.slot[i].key ? h->tenants.slot[i].value : NULL; c;
             c = c->next)
            if (c->state == CHECK_WAIT && c->due_ns <= now)
                check_start(c);
    struct check *c;
    while (!few && h->in_flight < IN_FLIGHT_MOST && (c = checks_look(h, now)))
        check_start(c);
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

/* A new one goes into `list`; one that is known already stands in its tenant's old list. */
static struct check *check_get(struct health *h, const char *tenant, struct upstream *up,
                               struct check **list) {
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
    c->up = up;
    snprintf(c->tenant, sizeof c->tenant, "%s", tenant);
    c->next = *list;
    *list = c;
    return c;
}

static bool same_question(const struct policy *a, const struct policy *b) {
    return a->health == b->health && a->health_status == b->health_status &&
           !strcmp(a->health_path ? a->health_path : "", b->health_path ? b->health_path : "") &&
           !strcmp(a->health_host ? a->health_host : "", b->health_host ? b->health_host : "");
}

static void pod_follow(struct health *h, const char *tenant, const struct policy *p,
                       struct upstream *up, struct check **list) {
    struct check *c = check_get(h, tenant, up, list);
    if (!c || c->wanted)
        return;
    c->wanted = true;
    if (!same_question(&c->policy, p)) {
        check_stop(c);
        c->due_ns = 0;
    }
    c->wanted = policy_take(c, p); /* false: no memory, it is not checked */
}

static void backends_follow(struct health *h, const char *name, const struct tenant *t,
                            struct check **list) {
    for (size_t i = 0; t && i < t->backend_count; i++) {
        const struct backend *b = &t->backend[i];
        for (unsigned j = 0; b->policy.health != HEALTH_NONE && j < b->endpoint_count; j++)
            if (b->endpoint[j].host_upstream)
                pod_follow(h, name, &b->policy, b->endpoint[j].host_upstream, list);
    }
}

/* Of two lists the checks that are wanted. The pods of the others are still there: versions are freed later, by publish_reap. */
static struct check *wanted_of(struct check *list, struct check *kept) {
    for (struct check *c = list, *next; c; c = next) {
        next = c->next;
        if (c->wanted) {
            c->next = kept;
            kept = c;
            c->wanted = false;
        } else {
            upstream_health_set(c->up, true);
            check_free(c);
        }
    }
    return kept;
}

void health_follow(struct health *h, const char *tenant, const struct tenant *t) {
    struct check *old = map_remove(&h->tenants, tenant), *new = NULL;
    backends_follow(h, tenant, t, &new);
    struct check *list = wanted_of(old, wanted_of(new, NULL));
    if (list && !map_put(&h->tenants, tenant, list))
        wanted_of(list, NULL); /* no memory: nobody is checked, all count as ready */
}

struct health *health_new(struct loop *loop) {
    struct health *h = calloc(1, sizeof *h);
    if (h)
        h->loop = loop;
    return h;
}

void health_free(struct health *h) {
    if (!h)
        return;
    for (size_t i = 0; i < h->checks.room; i++) {
        struct check *c = h->checks.slot[i].key ? h->checks.slot[i].value : NULL;
        if (!c)
            continue;
        check_stop(c);
        free((char *)(uintptr_t)c->policy.health_path);
        free((char *)(uintptr_t)c->policy.health_host);
        free(c);
    }
    map_fini(&h->checks);
    map_fini(&h->tenants);
    free(h);
}
