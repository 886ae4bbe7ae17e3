/* SPDX-License-Identifier: GPL-3.0-or-later
 * lookup.c - a list of names with the time each is due; threads take the one that is due longest.
 *
 *   due -> taken by a thread (busy) -> answer kept, `fresh`, eventfd -> the loop tells who asked
 *
 * One lock over the list. A failed question keeps the addresses of the last good one: a resolver that is down must not take
 * pods away that work.
 */
#include "edge/lookup.h"
#include "core/module.h"
#include "edge/resolve.h"
#include "tenants/network.h"
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MS 1000000ll

struct lookup {
    struct lookup *next;
    char *tenant, *name, *dns, *netns, *device;
    int64_t due_ns, wait_ms;
    bool busy, gone, stale, fresh, told;
    bool past; /* what is being asked is of no use any more */
    union address address[LOOKUP_ADDRESSES_MAX];
    size_t count;
};

struct lookups {
    struct loop *loop;
    struct loop_source source;
    lookup_answered_fn *answered;
    void *user;
    char *const *servers;
    size_t server_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread[LOOKUP_THREADS];
    unsigned threads;
    const struct lookup *running[LOOKUP_THREADS];
    bool ending;
    struct lookup *first;
};

static void lookup_free(struct lookup *l) {
    free(l->tenant);
    free(l->name);
    free(l->dns);
    free(l->netns);
    free(l->device);
    free(l);
}

static void sweep(struct lookups *ls) {
    for (struct lookup **at = &ls->first, *l; (l = *at);)
        if (l->gone && !l->busy) {
            *at = l->next;
            lookup_free(l);
        } else {
            at = &l->next;
        }
}

/* --- threads ---------------------------------------------------------------------------------*/

static bool tenant_busy(const struct lookups *ls, const char *tenant) {
    for (size_t i = 0; i < LOOKUP_THREADS; i++)
        if (ls->running[i] && !strcmp(ls->running[i]->tenant, tenant))
            return true;
    return false;
}

static void running_swap(struct lookups *ls, const struct lookup *from, const struct lookup *to) {
    size_t i = 0;
    while (ls->running[i] != from)
        i++;
    ls->running[i] = to;
}

/* The one that is due longest and whose tenant is not being asked for. */
static struct lookup *pick(const struct lookups *ls) {
    struct lookup *best = NULL;
    for (struct lookup *l = ls->first; l; l = l->next)
        if (!l->gone && !l->busy && (!best || l->due_ns < best->due_ns) &&
            !tenant_busy(ls, l->tenant))
            best = l;
    return best;
}

static void wait_until(struct lookups *ls, int64_t ns) {
    struct timespec until = {ns / 1000000000, ns % 1000000000};
    pthread_cond_timedwait(&ls->changed, &ls->lock, &until);
}

static bool addresses_differ(const union address *a, size_t n, const union address *b, size_t m) {
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < m && !address_same(&a[i], &b[k]))
            k++;
        if (k == m)
            return true;
    }
    return n != m;
}

static void answer_keep(struct lookups *ls, struct lookup *l, enum resolve_answer answer,
                        const union address *address, size_t count) {
    if (answer == RESOLVE_GOOD) {
        if (!l->told || addresses_differ(address, count, l->address, l->count)) {
            memcpy(l->address, address, count * sizeof *address);
            l->count = count;
            l->fresh = true;
            eventfd_write(ls->source.fd, 1);
        }
        l->wait_ms = count ? LOOKUP_GOOD_MS : LOOKUP_BAD_MS;
    } else {
        l->wait_ms = l->wait_ms ? l->wait_ms * 2 : LOOKUP_BAD_MS;
        if (l->wait_ms > LOOKUP_GOOD_MS)
            l->wait_ms = LOOKUP_GOOD_MS;
    }
    l->due_ns = loop_now_ns() + l->wait_ms * MS;
}

static void lookup_run(struct lookups *ls, struct lookup *l) {
    union address address[LOOKUP_ADDRESSES_MAX];
    size_t count = 0;
    struct question q = {.name = l->name, /* names and networks of a busy lookup don't change */
                         .dns = l->dns,
                         .netns = l->netns,
                         .device = l->device,
                         .servers = ls->servers,
                         .server_count = ls->server_count,
                         .patience_ms = LOOKUP_PATIENCE_MS};
    l->busy = true;
    running_swap(ls, NULL, l);
    pthread_mutex_unlock(&ls->lock);
    enum resolve_answer answer = resolve(&q, address, LOOKUP_ADDRESSES_MAX, &count);
    pthread_mutex_lock(&ls->lock);
    l->busy = false;
    running_swap(ls, l, NULL);
    if (!l->past)
        answer_keep(ls, l, answer, address, count);
    l->past = false;
    sweep(ls);
    pthread_cond_broadcast(&ls->changed); /* its tenant's next one may go */
}

static void *thread_run(void *user) {
    struct lookups *ls = user;
    pthread_mutex_lock(&ls->lock);
    while (!ls->ending) {
        struct lookup *l = pick(ls);
        if (!l)
            pthread_cond_wait(&ls->changed, &ls->lock);
        else if (l->due_ns > loop_now_ns())
            wait_until(ls, l->due_ns);
        else
            lookup_run(ls, l);
    }
    pthread_mutex_unlock(&ls->lock);
    return NULL;
}

static void threads_start(struct lookups *ls) {
    while (ls->threads < LOOKUP_THREADS &&
           !pthread_create(&ls->thread[ls->threads], NULL, thread_run, ls))
        ls->threads++;
    if (!ls->threads)
        log_write(0, "no thread for name look-ups: services without an address stay unknown");
}

/* --- the control thread ----------------------------------------------------------------------*/

static struct lookup *fresh_take(struct lookups *ls) {
    pthread_mutex_lock(&ls->lock);
    struct lookup *l = ls->first, *copy = NULL;
    while (l && !(l->fresh && !l->gone))
        l = l->next;
    if (l && (copy = malloc(sizeof *copy))) {
        l->fresh = false;
        l->told = true;
        *copy = *l;
        copy->dns = copy->netns = copy->device = NULL;
        copy->tenant = strdup(l->tenant);
        copy->name = strdup(l->name);
    }
    pthread_mutex_unlock(&ls->lock);
    return copy;
}

static void answers_ready(struct loop_source *source, short revents) {
    struct lookups *ls = (struct lookups *)((char *)source - offsetof(struct lookups, source));
    eventfd_t n;
    (void)revents;
    eventfd_read(source->fd, &n);
    for (struct lookup *l; (l = fresh_take(ls)); lookup_free(l))
        if (l->tenant && l->name)
            ls->answered(ls->user, l->tenant, l->name, l->address, l->count);
}

struct lookups *lookups_new(struct loop *loop, char *const *servers, size_t server_count,
                            lookup_answered_fn *answered, void *user) {
    struct lookups *ls = calloc(1, sizeof *ls);
    pthread_condattr_t monotonic;
    if (!ls)
        return NULL;
    *ls = (struct lookups){.loop = loop,
                           .answered = answered,
                           .user = user,
                           .servers = servers,
                           .server_count = server_count};
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&ls->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&ls->lock, NULL);
    ls->source = (struct loop_source){
        .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .events = POLLIN, .ready = answers_ready};
    loop_add(loop, &ls->source);
    return ls;
}

void lookups_begin(struct lookups *ls, const char *tenant) {
    pthread_mutex_lock(&ls->lock);
    for (struct lookup *l = ls->first; l; l = l->next)
        l->stale = !strcmp(l->tenant, tenant);
    pthread_mutex_unlock(&ls->lock);
}

static bool same(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

static struct lookup *lookup_find(struct lookups *ls, const char *tenant, const char *name,
                                  const struct lookup_place *at, size_t *ret_count) {
    struct lookup *found = NULL;
    *ret_count = 0;
    for (struct lookup *l = ls->first; l; l = l->next) {
        if (l->gone || strcmp(l->tenant, tenant) != 0)
            continue;
        ++*ret_count;
        if (!strcmp(l->name, name) && same(l->dns, at->dns) && same(l->netns, at->netns) &&
            same(l->device, at->device))
            found = l;
    }
    return found;
}

static bool copy_text(char **to, const char *from) {
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

static void lookup_add(struct lookups *ls, const char *tenant, const char *name,
                       const struct lookup_place *at) {
    struct lookup *l = calloc(1, sizeof *l);
    if (!l)
        return;
    if (!copy_text(&l->tenant, tenant) || !copy_text(&l->name, name) ||
        !copy_text(&l->dns, at->dns) || !copy_text(&l->netns, at->netns) ||
        !copy_text(&l->device, at->device)) {
        lookup_free(l);
        return;
    }
    l->next = ls->first;
    ls->first = l;
    pthread_cond_broadcast(&ls->changed);
}

void lookups_add(struct lookups *ls, const char *tenant, const char *name,
                 const struct lookup_place *at) {
    size_t count;
    pthread_mutex_lock(&ls->lock);
    struct lookup *l = lookup_find(ls, tenant, name, at, &count);
    if (l)
        l->stale = false;
    else if (count < LOOKUP_NAMES_MAX)
        lookup_add(ls, tenant, name, at);
    bool start = !ls->threads;
    pthread_mutex_unlock(&ls->lock);
    if (start)
        threads_start(ls);
}

void lookups_end(struct lookups *ls, const char *tenant) {
    pthread_mutex_lock(&ls->lock);
    for (struct lookup *l = ls->first; l; l = l->next)
        l->gone |= l->stale && !strcmp(l->tenant, tenant);
    sweep(ls);
    pthread_mutex_unlock(&ls->lock);
}

/* The answer of one that is under way comes from the network that was. */
void lookups_again(struct lookups *ls, const char *tenant) {
    pthread_mutex_lock(&ls->lock);
    for (struct lookup *l = ls->first; l; l = l->next)
        if (!strcmp(l->tenant, tenant)) {
            l->told = l->fresh = false;
            l->past = l->busy;
            l->due_ns = l->wait_ms = 0;
        }
    pthread_cond_broadcast(&ls->changed);
    pthread_mutex_unlock(&ls->lock);
}

void lookups_free(struct lookups *ls) {
    if (!ls)
        return;
    pthread_mutex_lock(&ls->lock);
    ls->ending = true;
    pthread_cond_broadcast(&ls->changed);
    pthread_mutex_unlock(&ls->lock);
    for (unsigned i = 0; i < ls->threads; i++)
        pthread_join(ls->thread[i], NULL);
    for (struct lookup *l = ls->first; l; l = l->next)
        l->gone = true;
    sweep(ls);
    loop_remove(ls->loop, &ls->source);
    close(ls->source.fd);
    pthread_cond_destroy(&ls->changed);
    pthread_mutex_destroy(&ls->lock);
    free(ls);
}
