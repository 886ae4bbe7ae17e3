/* SPDX-License-Identifier: GPL-3.0-or-later
 * host.c - what modules may ask of the control thread (core/control_host.h), and how it calls them.
 *
 *   control_post from any thread -> list under a lock, eventfd -> the loop runs all of the list
 *
 * Between host_up and host_down; what was posted and did not run by then never does.
 */
#include "edge/host.h"
#include "core/control_host.h"
#include "edge/address.h"
#include "edge/admin.h"
#include "edge/file.h"
#include "edge/proof.h"
#include "edge/store_read.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct posted {
    struct posted *next;
    void (*run)(void *user);
    void *user;
};

static struct edge *edge;
static const char *conf_path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct posted *first, **last = &first;
static bool open_for_posts;
static struct loop_source source = {.fd = -1};

/* --- posting ---------------------------------------------------------------------------------*/

bool control_post(void (*run)(void *), void *user) {
    struct posted *p = malloc(sizeof *p);
    if (!p)
        return false;
    *p = (struct posted){.run = run, .user = user};
    pthread_mutex_lock(&lock);
    bool good = open_for_posts;
    if (good) {
        *last = p;
        last = &p->next;
        eventfd_write(source.fd, 1);
    }
    pthread_mutex_unlock(&lock);
    if (!good)
        free(p);
    return good;
}

static struct posted *posted_take(void) {
    pthread_mutex_lock(&lock);
    struct posted *list = first;
    first = NULL;
    last = &first;
    pthread_mutex_unlock(&lock);
    return list;
}

static void posted_run(struct loop_source *s, short revents) {
    eventfd_t count;
    (void)revents;
    eventfd_read(s->fd, &count);
    for (struct posted *p = posted_take(), *next; p; p = next) {
        next = p->next;
        p->run(p->user);
        free(p);
    }
}

static void posts_end(void) {
    pthread_mutex_lock(&lock);
    open_for_posts = false;
    pthread_mutex_unlock(&lock);
    for (struct posted *p = posted_take(), *next; p; p = next) {
        next = p->next;
        free(p);
    }
}

/* --- rows ------------------------------------------------------------------------------------*/

char *control_row(const char *key) {
    return store_read(&edge->store, key);
}

void control_rows(const char *prefix, void (*row)(void *, const char *, const char *), void *user) {
    store_each(&edge->store, prefix, row, user);
}

void control_row_put(const char *key, const char *value) {
    store_put(&edge->store, key, value);
}

bool control_commit(struct err *err) {
    return store_commit(&edge->store, err);
}

/* --- tenants ---------------------------------------------------------------------------------*/

/* When each object's file was written. */
static json_t *objects_dated(json_t *rows) {
    const char *seen = "";
    struct stat st = {0};
    json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        const char *file = json_string_value(json_object_get(row, "file"));
        if (file && strcmp(file, seen) && stat(file, &st))
            st.st_mtime = 0;
        seen = file ? file : "";
        json_object_set_new(row, "modified", json_integer(st.st_mtime));
    }
    return rows;
}

char *control_get(const char *kind, const char *tenant) {
    char *again = !strcmp(kind, "objects") && tenant && registry_is_good(edge->registry, tenant)
                      ? recent_objects(&edge->recent, tenant, control_digest(edge, tenant))
                      : NULL;
    if (again)
        return again;
    json_t *rows = !strcmp(kind, "objects") ? objects_dated(view_objects(edge->registry, tenant))
                   : !strcmp(kind, "containers") ? view_containers(edge->registry, tenant)
                                                 : view_of(edge, kind, tenant);
    char *text = rows ? json_dumps(rows, JSON_COMPACT) : NULL;
    json_decref(rows);
    return text;
}

enum control_put control_object_put(const struct control_object *o, char **ret_told) {
    return object_write(edge, o, ret_told);
}

/* --- names -----------------------------------------------------------------------------------*/

void control_recheck(const char *tenant, const char *name) {
    registry_recheck(edge->registry, tenant, name, time(NULL));
    proofs_pump(edge);
}

enum control_look control_looked(const char *tenant, const char *name, int64_t since) {
    static const enum control_look look[] = {
        [FACT_NO] = LOOK_NO, [FACT_YES] = LOOK_YES, [FACT_UNKNOWN] = LOOK_UNKNOWN};
    enum fact fact;
    return registry_looked(edge->registry, tenant, name, since, &fact) ? look[fact] : LOOK_WAITS;
}

/* --- what runs -------------------------------------------------------------------------------*/

void control_feed(const char *tenant, const char *feed, const struct fed *list, size_t count) {
    struct change change;
    registry_feed(edge->registry, tenant, feed, list, count, time(NULL), &change);
    if (change.tenant_count) {
        control_take(edge, &change);
        control_flush(edge);
    }
    change_fini(&change);
}

/* --- events, files ---------------------------------------------------------------------------*/

void control_event(const char *tenant, const char *object, bool warning, const char *reason,
                   const char *message) {
    events_add(&edge->events, tenant, object, warning, reason, message, time(NULL));
}

const char *control_state_folder(void) {
    return edge->conf->state;
}

void host_conf_path(const char *path) {
    conf_path = path;
}

char *control_path(const char *as_written) {
    return conf_path ? path_beside(conf_path, as_written) : strdup(as_written);
}

int control_listen(const char *as_written, struct err *err) {
    union address address;
    if (endpoint_parse(as_written, &address))
        return listener_take(&address, err);
    err_set(err, "`%s` is not an address with a port", as_written);
    return -1;
}

struct identity *control_identity(const char *chain_pem, const char *key_pem, struct err *err) {
    return identity_new(chain_pem, key_pem, err);
}

/* --- calling modules -------------------------------------------------------------------------*/

static void tenants_tell(const struct edge *e) {
    for (size_t i = 0; i < e->tenants.room; i++) {
        const struct version *v = e->tenants.slot[i].key ? published(e->tenants.slot[i].key) : NULL;
        if (v)
            modules_tenant(e->tenants.slot[i].key, v->tenant);
    }
}

bool host_up(struct edge *e, struct err *err) {
    edge = e;
    source = (struct loop_source){
        .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .events = POLLIN, .ready = posted_run};
    if (source.fd < 0 || !loop_add(&e->loop, &source))
        return err_set(err, "modules: no eventfd to hear of their threads");
    open_for_posts = true;
    if (!modules_control_up(err))
        return false;
    tenants_tell(e);
    return true;
}

void host_down(struct edge *e) {
    modules_control_down();
    posts_end();
    if (source.fd >= 0) {
        loop_remove(&e->loop, &source);
        close(source.fd);
        source.fd = -1;
    }
    events_fini(&e->events);
}

static void rows_take(void *user, const char *text) {
    json_t *rows = json_loads(text, 0, NULL);
    if (json_is_array(rows))
        json_array_extend(user, rows);
    json_decref(rows);
}

void host_view(const char *kind, const char *tenant, json_t *rows) {
    modules_rows(kind, tenant, rows_take, rows);
}

static void text_take(void *user, const char *text) {
    fputs(text, user);
}

void host_metrics(FILE *out) {
    modules_metrics(text_take, out);
}
