/* SPDX-License-Identifier: GPL-3.0-or-later
 * engine.c - see engine.h. All but the outbox and the figures is the thread's alone.
 */
#include "modules/docker/engine.h"
#include "core/control_host.h"
#include "core/module.h"
#include "modules/docker/fleet.h"
#include "modules/docker/http.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    FLOW_MS =
        1000, /* until an engine has agreed to tell its events; else it is listed that often */
    AGAIN_MS =
        1000, /* after a list, in case that the engine subscribes only after it has said so */
    LIST_MS = 60000, /* in case that events were lost */
    SETTLE_MS = 10,  /* what comes together is told together */
    RETRY_MS = 100,  /* after a loss; doubled up to: */
    RETRY_MOST_MS = 2000,
    DIRTY_MOST = 1024, /* more at once: all is listed */
    INSPECT_MOST = 1 << 20,
    NICE = 10,
};
static const char EVENTS[] =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%2C%22service%22%5D%7D";

struct told { /* to one tenant, on its way to the control thread */
    struct told *next;
    struct news *news; /* NULL: only the event */
    char *tenant;
    bool warning;
    const char *reason; /* of the engine's own event; NULL: none */
    char message[300];
};

struct engine {
    const struct docker_engine *conf;
    char feed[160], object[160];
    pthread_t thread;
    atomic_bool ending;
    struct line *line;
    struct fleet fleet;
    struct map dirty; /* ids that events were about */
    json_t *services; /* of a swarm, as they are known since the last list; NULL: not asked yet */
    bool list_due;
    int64_t list_at, settle_at;
    bool known, gone,
        expired; /* it has been listed once; it does not answer; for longer than `keep` */
    int64_t lost_at;
    bool crowded; /* said once */
    pthread_mutex_t lock;
    pthread_cond_t tried; /* with `lock`: once it has been listed, or could not be */
    bool is_tried;
    struct told *first, **last; /* under `lock` */
    atomic_bool up;
    atomic_size_t containers;
    atomic_ullong events, lists, losses;
};

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* ---- to the control thread ---- */

static void told_free(struct told *t) {
    if (t->news)
        stash_free(t->news->stash);
    free(t->tenant);
    free(t);
}

static struct told *outbox_take(struct engine *e) {
    pthread_mutex_lock(&e->lock);
    struct told *list = e->first;
    e->first = NULL;
    e->last = &e->first;
    pthread_mutex_unlock(&e->lock);
    return list;
}

static void told_apply(const struct engine *e, const struct told *t) {
    const struct news *n = t->news;
    if (n)
        control_feed(n->tenant, e->feed, n->fed, n->count);
    for (size_t i = 0; n && i < n->event_count; i++)
        control_event(n->tenant, n->event[i].object, true, n->event[i].reason, n->event[i].message);
    if (t->reason)
        control_event(t->tenant, e->object, t->warning, t->reason, t->message);
}

static void outbox_deliver(void *user) {
    for (struct told *t = outbox_take(user), *next; t; t = next) {
        next = t->next;
        told_apply(user, t);
        told_free(t);
    }
}

/* What was not delivered yet is out of date: the newer one says all of it. */
static void outbox_forget(struct engine *e, const char *tenant) {
    for (struct told *t = e->first; t; t = t->next)
        if (t->news && !strcmp(t->news->tenant, tenant)) {
            stash_free(t->news->stash);
            t->news = NULL;
        }
}

static void outbox_add(struct engine *e, struct told *t) {
    pthread_mutex_lock(&e->lock);
    if (t->news)
        outbox_forget(e, t->news->tenant);
    *e->last = t;
    e->last = &t->next;
    pthread_mutex_unlock(&e->lock);
    control_post(outbox_deliver, e);
}

static void fleet_tell(struct engine *e) {
    char why[120];
    const char *tenant;
    snprintf(why, sizeof why, "its engine has not answered for more than %lld s",
             (long long)e->conf->keep_ms / 1000);
    for (size_t i = 0; (tenant = engine_tenant(e->conf, i)); i++) {
        struct told *t = calloc(1, sizeof *t);
        if (!t)
            continue; /* the next list tells it */
        t->news = fleet_news(&e->fleet, tenant, e->expired ? why : NULL);
        outbox_add(e, t);
    }
    atomic_store(&e->containers, e->fleet.containers.count);
}

static void engine_tell(struct engine *e, bool warning, const char *reason, const char *message) {
    const char *tenant;
    log_write(warning ? 0 : 2, "docker: %s: %s", e->conf->socket, message);
    for (size_t i = 0; (tenant = engine_tenant(e->conf, i)); i++) {
        struct told *t = calloc(1, sizeof *t);
        if (!t || !(t->tenant = strdup(tenant))) {
            free(t);
            continue;
        }
        t->warning = warning;
        t->reason = reason;
        snprintf(t->message, sizeof t->message, "%s", message);
        outbox_add(e, t);
    }
}

static void tried(struct engine *e) {
    pthread_mutex_lock(&e->lock);
    e->is_tried = true;
    pthread_cond_signal(&e->tried);
    pthread_mutex_unlock(&e->lock);
}

/* ---- services of a swarm ---- */

/* What there is of `path`: one, a list, or nothing where this is no manager of a swarm. False: no answer. */
static bool services_ask(struct engine *e, const char *path, struct err *err) {
    struct reply reply;
    json_t *said = NULL, *row;
    size_t i;
    bool answered = line_get(e->line, path, REPLY_MOST, &reply, err);
    if (answered && reply.status == 200)
        said = json_bounded(reply.body, reply.length);
    reply_fini(&reply);
    if (!e->services)
        e->services = json_object();
    json_array_foreach(said, i, row) {
        service_read(row, e->services);
    }
    if (json_is_object(said))
        service_read(said, e->services);
    json_decref(said);
    return answered;
}

static void services_forget(struct engine *e) {
    json_decref(e->services);
    e->services = NULL;
}

/* Of a service that is newer than the last list. */
static bool service_need(struct engine *e, const json_t *container, struct err *err) {
    const char *id = container_service(container);
    char path[ID_ROOM + 16];
    if (!*id || json_object_get(e->services, id))
        return true;
    snprintf(path, sizeof path, "/services/%s", id);
    if (!services_ask(e, path, err))
        return false;
    if (!json_object_get(e->services, id)) /* nobody here knows it: not to be asked again soon */
        json_object_set_new(e->services, id, json_object());
    return true;
}

static bool services_list(struct engine *e, const json_t *rows, struct err *err) {
    size_t i;
    json_t *row;
    services_forget(e);
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        if (*container_service(row) && !e->services && !services_ask(e, "/services", err))
            return false;
    }
    return true;
}

/* ---- one container ---- */

enum asked {
    ASKED_FAILED, /* no answer: the engine is lost */
    ASKED_NONE,   /* there is no such container */
    ASKED_NONSENSE,
    ASKED_GOOD
};

static enum asked inspect_ask(struct engine *e, struct stash *stash, const char *which,
                              struct container *ret, struct err *err) {
    char path[400];
    struct reply reply;
    json_t *inspected = NULL;
    snprintf(path, sizeof path, "/containers/%s/json", which);
    bool answered = line_get(e->line, path, INSPECT_MOST, &reply, err);
    long status = reply.status;
    if (answered && status == 200)
        inspected = json_bounded(reply.body, reply.length);
    answered = answered && service_need(e, inspected, err);
    service_labels_add(inspected, e->services);
    bool good = inspected && container_read(stash, inspected, ret);
    json_decref(inspected);
    reply_fini(&reply);
    return !answered       ? ASKED_FAILED
           : good          ? ASKED_GOOD
           : status == 404 ? ASKED_NONE
                           : ASKED_NONSENSE;
}

/* It has no network of its own, but that of another. */
static bool network_borrow(struct engine *e, struct stash *stash, struct container *c,
                           struct err *err) {
    struct container lender = {.runs = false};
    if (inspect_ask(e, stash, c->shares, &lender, err) == ASKED_FAILED)
        return false;
    if (!lender.runs)
        c->not_ready = "the container whose network it shares does not run";
    memcpy(c->network, lender.network, sizeof c->network);
    c->network_count = lender.network_count;
    c->host = lender.host;
    return true;
}

/* Takes the stash. */
static void container_take(struct engine *e, struct stash *stash, const struct container *c) {
    if (!c->runs || !c->label_count) {
        fleet_drop(&e->fleet, c->id);
        stash_free(stash);
    } else if (!fleet_put(&e->fleet, stash, c) && !e->crowded) {
        e->crowded = true;
        log_write(0, "docker: %s: more than %d containers ask for routes; no further one gets any",
                  e->conf->socket, CONTAINERS_MOST);
    }
}

/* Of nonsense nothing is learned: what is known of the container stays, and all is listed again soon. */
static bool inspect(struct engine *e, const char *id, struct err *err) {
    struct container c;
    struct stash *stash = stash_new();
    enum asked asked = inspect_ask(e, stash, id, &c, err);
    if (asked == ASKED_GOOD && strcmp(c.id, id) != 0)
        asked = ASKED_NONSENSE;
    bool good = asked != ASKED_FAILED &&
                (asked != ASKED_GOOD || !c.shares || network_borrow(e, stash, &c, err));
    if (good && asked == ASKED_GOOD) {
        container_take(e, stash, &c);
        return true;
    }
    stash_free(stash);
    if (asked == ASKED_NONE)
        fleet_drop(&e->fleet, id);
    e->list_due |= asked == ASKED_NONSENSE;
    return good;
}

/* ---- the list ---- */

static bool row_take(struct engine *e, struct events *events, json_t *row, struct err *err) {
    struct listed listed;
    struct err ended;
    service_labels_add(row, e->services);
    if (!listed_read(row, &listed) || !listed.labelled)
        return true;
    struct kept *kept = fleet_get(&e->fleet, listed.id);
    if (!kept || kept->digest != listed.digest || kept->c.shares) {
        if (!inspect(e, listed.id, err))
            return false;
        (void)!events_wait(events, 0, &ended); /* its end is seen in the next turn, too */
        kept = fleet_get(&e->fleet, listed.id);
    }
    if (kept) {
        kept->digest = listed.digest;
        kept->here = true;
    }
    return true;
}

static bool rows_take(struct engine *e, struct events *events, const json_t *rows,
                      struct err *err) {
    size_t i;
    json_t *row;
    for (i = 0; i < e->fleet.containers.room; i++)
        if (e->fleet.containers.slot[i].key)
            ((struct kept *)e->fleet.containers.slot[i].value)->here = false;
    json_array_foreach(rows, i, row) {
        if (!row_take(e, events, row, err))
            return false;
    }
    for (i = 0; i < e->fleet.containers.room;) {
        const struct kept *kept = e->fleet.containers.slot[i].value;
        if (e->fleet.containers.slot[i].key && !kept->here)
            fleet_drop(&e->fleet, kept->c.id); /* another may move into this slot: look again */
        else
            i++;
    }
    return true;
}

static bool list(struct engine *e, struct events *events, struct err *err) {
    struct reply reply;
    json_t *rows = NULL;
    bool good = line_get(e->line, "/containers/json", REPLY_MOST, &reply, err);
    if (good && reply.status == 200)
        rows = json_bounded(reply.body, reply.length);
    if (good && !json_is_array(rows))
        good =
            err_set(err, "its answer to /containers/json, of status %ld, is no list", reply.status);
    reply_fini(&reply);
    good = good && services_list(e, rows, err) && rows_take(e, events, rows, err);
    json_decref(rows);
    if (!good)
        return false;
    atomic_fetch_add(&e->lists, 1);
    e->list_at = now_ms() + (!e->known || !events_flow(events) ? AGAIN_MS : LIST_MS);
    e->known = true;
    return true;
}

/* ---- events ---- */

static void dirty_add(struct engine *e, const char *id) {
    if (!e->dirty.count && !e->list_due) /* the more there is to tell, the more is told together */
        e->settle_at = now_ms() + SETTLE_MS + (int64_t)e->fleet.containers.count / 20;
    e->list_due |= e->dirty.count >= DIRTY_MOST || !map_put(&e->dirty, id, e);
}

static void event_take(void *user, const char *line, size_t length) {
    struct engine *e = user;
    char id[ID_ROOM];
    enum happened happened = event_read(line, length, id);
    atomic_fetch_add(&e->events, 1);
    if (happened == HAPPENED_CONTAINER)
        dirty_add(e, id);
    else if (happened != HAPPENED_NOTHING)
        e->list_due = true;
}

static void event_lost(void *user) {
    ((struct engine *)user)->list_due = true;
}

/* Whoever shares another's network hears of nothing when that one comes or goes. */
static void sharers_add(struct engine *e) {
    for (size_t i = 0; i < e->fleet.containers.room; i++) {
        const struct kept *kept = e->fleet.containers.slot[i].value;
        if (e->fleet.containers.slot[i].key && kept->c.shares && e->dirty.count < DIRTY_MOST)
            map_put(&e->dirty, kept->c.id, e);
    }
}

static bool dirty_inspect(struct engine *e, struct events *events, struct err *err) {
    struct map dirty;
    struct err ended;
    bool good = true;
    sharers_add(e);
    dirty = e->dirty;
    e->dirty = (struct map){0};
    for (size_t i = 0; i < dirty.room && good; i++)
        if (dirty.slot[i].key) {
            good = inspect(e, dirty.slot[i].key, err);
            (void)!events_wait(events, 0, &ended);
        }
    map_fini(&dirty);
    return good;
}

/* ---- a session: from one connection to its loss ---- */

static bool turn(struct engine *e, struct events *events, struct err *err) {
    int64_t now = now_ms(), due = e->list_at;
    if (e->list_due && now + AGAIN_MS < due)
        due = e->list_at = now + AGAIN_MS;
    e->list_due = false;
    if (e->dirty.count && e->settle_at < due)
        due = e->settle_at;
    if (!events_wait(events, due > now ? due - now : 0, err))
        return false;
    now = now_ms();
    bool inspects = e->dirty.count && e->settle_at <= now, lists = e->list_at <= now;
    if (inspects && !dirty_inspect(e, events, err))
        return false;
    if (lists && !list(e, events, err))
        return false;
    if (inspects || lists)
        fleet_tell(e);
    return true;
}

static bool flow_await(struct engine *e, struct events *events, struct err *err) {
    int64_t until = now_ms() + FLOW_MS;
    while (!e->ending && !events_flow(events) && now_ms() < until)
        if (!events_wait(events, 20, err))
            return false;
    return true;
}

static void back(struct engine *e) {
    if (e->gone)
        engine_tell(e, false, "EngineBack", "the engine answers again");
    e->gone = e->expired = false;
    e->lost_at = 0;
    atomic_store(&e->up, true);
    fleet_tell(e);
    tried(e);
}

/* Until it is lost. True: it had been listed. */
static bool session(struct engine *e, struct err *err) {
    const struct events_taker taker = {event_take, event_lost, e};
    struct events *events = events_open(e->line, EVENTS, &taker);
    if (!events)
        return err_set(err, "out of memory");
    e->known = false;
    bool listed = flow_await(e, events, err) && list(e, events, err);
    if (listed)
        back(e);
    while (listed && !e->ending && turn(e, events, err))
        continue;
    events_close(events);
    map_fini(&e->dirty);
    return listed;
}

static void lost(struct engine *e, bool was_listed, const struct err *err) {
    char message[300];
    int64_t now = now_ms();
    if (!e->lost_at) {
        e->lost_at = now;
        atomic_fetch_add(&e->losses, 1);
    }
    if (!was_listed && !e->gone) { /* one that is back at once is not worth a word */
        e->gone = true;
        atomic_store(&e->up, false);
        snprintf(message, sizeof message, "the engine does not answer: %.200s", err->text);
        engine_tell(e, true, "EngineGone", message);
    }
    if (!e->expired && now - e->lost_at >= e->conf->keep_ms && e->fleet.containers.count) {
        e->expired = true;
        fleet_tell(e);
    }
}

static void *engine_run(void *user) {
    struct engine *e = user;
    int64_t rest = RETRY_MS;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    while (!e->ending) {
        struct err err;
        int64_t began = now_ms();
        bool listed = session(e, &err);
        if (e->ending)
            break;
        lost(e, listed, &err);
        tried(e);
        rest = now_ms() - began > RETRY_MOST_MS ? RETRY_MS : rest * 2;
        line_rest(e->line, rest = rest < RETRY_MOST_MS ? rest : RETRY_MOST_MS);
    }
    return NULL;
}

/* ---- start and end ---- */

struct engine *engine_new(const struct docker_engine *conf, struct err *err) {
    struct engine *e = calloc(1, sizeof *e);
    if (!e) {
        err_set(err, "out of memory");
        return NULL;
    }
    e->conf = e->fleet.conf = conf;
    e->last = &e->first;
    snprintf(e->feed, sizeof e->feed, "docker:%s", conf->socket);
    snprintf(e->object, sizeof e->object, "Engine%s%s", *conf->socket == '/' ? "" : "/",
             conf->socket);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->tried, NULL);
    e->line = line_new(conf->socket, &e->ending);
    if (e->line && !pthread_create(&e->thread, NULL, engine_run, e))
        return e;
    line_free(e->line);
    free(e);
    err_set(err, "docker: no thread for %s", conf->socket);
    return NULL;
}

void engine_await(struct engine *e, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    pthread_mutex_lock(&e->lock);
    while (!e->is_tried &&
           pthread_cond_clockwait(&e->tried, &e->lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&e->lock);
    outbox_deliver(e);
}

void engine_free(struct engine *e) {
    e->ending = true;
    line_wake(e->line);
    pthread_join(e->thread, NULL);
    for (struct told *t = outbox_take(e), *next; t; t = next) {
        next = t->next;
        told_free(t);
    }
    line_free(e->line);
    fleet_fini(&e->fleet);
    map_fini(&e->dirty);
    services_forget(e);
    free(e);
}

struct engine_figures engine_figures(const struct engine *e) {
    return (struct engine_figures){.socket = e->conf->socket,
                                   .up = atomic_load(&e->up),
                                   .containers = atomic_load(&e->containers),
                                   .events = atomic_load(&e->events),
                                   .lists = atomic_load(&e->lists),
                                   .losses = atomic_load(&e->losses)};
}
