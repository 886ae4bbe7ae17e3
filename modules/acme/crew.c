/* SPDX-License-Identifier: GPL-3.0-or-later
 * crew.c - each thread: take what is due, run it, hand over what came of it, again. The first one also sees to the sweep.
 */
#include "modules/acme/crew.h"
#include "core/control_host.h"
#include "core/module.h"
#include "modules/acme/calls.h"
#include "modules/acme/keeper.h"
#include "modules/acme/leftovers.h"
#include "modules/acme/world.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SWEEP_SECONDS = 10, REST_MOST = 60, NICE = 10 };

struct hand {
    pthread_t thread;
    unsigned number;
    struct http *http;
    struct client client[DIRECTORIES_MOST];
};

static const struct acme_conf *conf;
static struct hand *hands;
static size_t hand_count;
static bool ending;                                       /* read without the lock, too */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER; /* something is due; with keeper.lock */
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;   /* the same */

bool crew_ends(void) {
    return __atomic_load_n(&ending, __ATOMIC_RELAXED);
}

void crew_wake(void) {
    pthread_cond_signal(&changed);
}

/* Of the clock that nobody sets: a wait must not last for ever because the day was wrong when it began. */
static struct timespec after(int64_t ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void rest(int64_t seconds) {
    struct timespec until = after(seconds > 0 ? seconds * 1000 : 0);
    pthread_cond_clockwait(&changed, &keeper.lock, CLOCK_MONOTONIC, &until);
}

/* Not woken by other work; by the end only. */
bool crew_wait(int64_t ms) {
    struct timespec until = after(ms);
    pthread_mutex_lock(&keeper.lock);
    while (!crew_ends() &&
           pthread_cond_clockwait(&ended, &keeper.lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&keeper.lock);
    return !crew_ends();
}

/* ---- when to renew ---- */

static struct client *client_of(struct hand *h, const char *directory) {
    for (size_t i = 0; i < conf->directory.count; i++)
        if (!strcmp(h->client[i].url, directory))
            return &h->client[i];
    return NULL;
}

static bool window_ask(struct hand *h, const struct task *t, struct renewal *ret,
                       int64_t *ret_retry) {
    struct client *c = client_of(h, text_or_none(t->as.directory));
    struct problem p;
    struct http_answer a;
    struct err err;
    char url[URL_MOST * 2];
    if (!c || !client_ready(c, world_now(), &p))
        return false;
    if (!*c->directory.renewal_info) {
        *ret_retry = SCHEDULE_DAY;
        return false;
    }
    snprintf(url, sizeof url, "%s/%s", c->directory.renewal_info, text_or_none(t->as.renewal_id));
    if (!client_get(c, url, &a, &p)) {
        *ret_retry = p.retry_after;
        return false;
    }
    bool good = renewal_read(a.body, ret, &err);
    *ret_retry = a.retry_after;
    http_answer_fini(&a);
    return good;
}

/* ---- one task ---- */

static void order_do(struct hand *h, const struct task *t, struct order_result *out) {
    const struct order_job job = {.id = t->id,
                                  .tenant = t->as.tenant->name, /* stays while it has entries */
                                  .name = (const char *const *)t->name,
                                  .name_count = t->name_count,
                                  .rsa = t->as.rsa,
                                  .number = t->as.number + 1,
                                  .renewal = t->as.number > 0,
                                  .failures = t->as.failures,
                                  .replaces = text_or_none(t->as.renewal_id),
                                  .replaces_directory = text_or_none(t->as.directory),
                                  .conf = conf,
                                  .client = h->client};
    order_run(&job, out);
}

static void task_do(struct hand *h, struct task *t) {
    struct order_result *result = calloc(1, sizeof *result);
    struct renewal renewal;
    struct finish finish = {.task = t, .result = result};
    struct err err;
    if (result && t->ask_window)
        finish.renewal = window_ask(h, t, &renewal, &finish.renewal_retry) ? &renewal : NULL;
    else if (result)
        order_do(h, t, result);
    if (result && call_control(keeper_finish, &finish, true, &err))
        keeper_finished(&finish);
    else if (result && !crew_ends())
        log_write(0, "acme: %s: %s", t->name[0], err.text);
    free(result);
    task_fini(t);
}

static void *hand_run(void *user) {
    struct hand *h = user;
    int64_t swept = 0, at, left_at;
    struct leftover left;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* making keys must not delay a request */
    pthread_mutex_lock(&keeper.lock);
    while (!crew_ends()) {
        struct task task;
        int64_t now = world_now();
        if (h->number == 0 && (now - swept >= SWEEP_SECONDS || now < swept)) {
            swept = now;
            control_post(keeper_sweep, NULL);
        }
        if (leftover_take(now, &left, &left_at)) {
            pthread_mutex_unlock(&keeper.lock);
            world_remove_left(&left);
            pthread_mutex_lock(&keeper.lock);
            continue;
        }
        if (keeper_take(now, &task, &at)) {
            pthread_mutex_unlock(&keeper.lock);
            task_do(h, &task);
            pthread_mutex_lock(&keeper.lock);
            continue;
        }
        int64_t most = now + (h->number ? REST_MOST : SWEEP_SECONDS);
        at = at && at < most ? at : most;
        rest((left_at && left_at < at ? left_at : at) - now);
    }
    pthread_mutex_unlock(&keeper.lock);
    return NULL;
}

/* ---- all of them ---- */

static bool hand_make(struct hand *h, unsigned number) {
    h->number = number;
    h->http = http_new(conf->ca_file, conf->timeout_ms, crew_ends);
    for (size_t i = 0; i < conf->directory.count; i++)
        h->client[i] = (struct client){.http = h->http, .url = ((char **)conf->directory.item)[i]};
    return h->http;
}

bool crew_start(const struct acme_conf *c, struct err *err) {
    conf = c;
    __atomic_store_n(&ending, false, __ATOMIC_RELAXED);
    hands = calloc((size_t)c->threads, sizeof *hands);
    for (hand_count = 0; hands && hand_count < (size_t)c->threads; hand_count++) {
        struct hand *h = &hands[hand_count];
        if (!hand_make(h, (unsigned)hand_count) || pthread_create(&h->thread, NULL, hand_run, h)) {
            http_free(h->http);
            break;
        }
    }
    return hand_count == (size_t)c->threads || err_set(err, "acme: its threads can't be made");
}

void crew_stop(void) {
    pthread_mutex_lock(&keeper.lock);
    __atomic_store_n(&ending, true, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&changed);
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&keeper.lock);
    calls_close();
    for (size_t i = 0; i < hand_count; i++) {
        pthread_join(hands[i].thread, NULL);
        http_free(hands[i].http);
    }
    free(hands);
    hands = NULL;
    hand_count = 0;
}
