/* SPDX-License-Identifier: GPL-3.0-or-later
 * desk.c - see desk.h.
 */
#include "modules/kube/desk.h"
#include "core/control_host.h"
#include "core/map.h"
#include "modules/kube/server.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct touch {
    struct touch *next;
    bool listed;
    char name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct job *asked, **asked_end = &asked; /* one list for one post */
static struct job *answered, **answered_end = &answered;
static struct map followed; /* name -> struct touch */
static struct touch *touched_first;
static bool is_open, posted;

static struct job *list_take(struct job **first, struct job ***end) {
    pthread_mutex_lock(&lock);
    struct job *list = *first;
    *first = NULL;
    *end = first;
    pthread_mutex_unlock(&lock);
    return list;
}

static void list_answer(struct job *list) {
    pthread_mutex_lock(&lock);
    *answered_end = list;
    while (*answered_end)
        answered_end = &(*answered_end)->next;
    pthread_mutex_unlock(&lock);
    server_wake();
}

void desk_answer(struct job *j) {
    j->next = NULL;
    list_answer(j);
}

/* Control thread. */
static void asked_run(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    struct job *list = asked;
    asked = NULL;
    asked_end = &asked;
    posted = false;
    pthread_mutex_unlock(&lock);
    for (struct job *j = list; j; j = j->next)
        j->run(j);
    list_answer(list);
}

void desk_ask(struct job *j) {
    j->next = NULL;
    pthread_mutex_lock(&lock);
    bool good = is_open && (posted || (posted = control_post(asked_run, NULL)));
    if (good) {
        *asked_end = j;
        asked_end = &j->next;
    }
    pthread_mutex_unlock(&lock);
    if (!good)
        j->lost(j);
}

static void touches_take(void (*touched)(const char *)) {
    pthread_mutex_lock(&lock);
    while (touched_first) {
        struct touch *t = touched_first;
        char name[256];
        touched_first = t->next;
        t->listed = false;
        strncpy(name, t->name, sizeof name - 1);
        name[sizeof name - 1] = 0;
        pthread_mutex_unlock(&lock);
        touched(name);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
}

void desk_take(void (*touched)(const char *)) {
    touches_take(touched);
    for (struct job *j = list_take(&answered, &answered_end), *next; j; j = next) {
        next = j->next;
        j->done(j);
    }
}

bool desk_follow(const char *tenant) {
    struct touch *t = calloc(1, sizeof *t + strlen(tenant) + 1);
    if (!t)
        return false;
    memcpy(t->name, tenant, strlen(tenant) + 1);
    pthread_mutex_lock(&lock);
    bool good = map_put(&followed, tenant, t);
    pthread_mutex_unlock(&lock);
    if (!good)
        free(t);
    return good;
}

void desk_unfollow(const char *tenant) {
    pthread_mutex_lock(&lock);
    struct touch *t = map_remove(&followed, tenant), **at = &touched_first;
    while (t && t->listed && *at != t)
        at = &(*at)->next;
    if (t && t->listed)
        *at = t->next;
    pthread_mutex_unlock(&lock);
    free(t);
}

void desk_touch(const char *tenant) {
    pthread_mutex_lock(&lock);
    struct touch *t = map_get(&followed, tenant);
    bool news = t && !t->listed;
    if (news) {
        t->listed = true;
        t->next = touched_first;
        touched_first = t;
    }
    pthread_mutex_unlock(&lock);
    if (news)
        server_wake();
}

void desk_open(void) {
    pthread_mutex_lock(&lock);
    is_open = true;
    posted = false;
    pthread_mutex_unlock(&lock);
}

static void jobs_lose(struct job *list) {
    for (struct job *next; list; list = next) {
        next = list->next;
        list->lost(list);
    }
}

void desk_close(void) {
    pthread_mutex_lock(&lock);
    is_open = false;
    touched_first = NULL;
    map_clear(&followed, free);
    pthread_mutex_unlock(&lock);
    jobs_lose(list_take(&asked, &asked_end));
    jobs_lose(list_take(&answered, &answered_end));
}
