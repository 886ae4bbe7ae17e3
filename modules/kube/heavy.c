/* SPDX-License-Identifier: GPL-3.0-or-later
 * heavy.c - see heavy.h.
 */
#include "modules/kube/heavy.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NICE = 15 }; /* after the API's own thread */

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct job *first, **end = &first;
static bool is_open;

/* NULL: it is over. */
static struct job *job_next(void) {
    pthread_mutex_lock(&lock);
    while (is_open && !first)
        pthread_cond_wait(&more, &lock);
    struct job *j = is_open ? first : NULL;
    if (j && !(first = j->next))
        end = &first;
    pthread_mutex_unlock(&lock);
    return j;
}

static void *heavy_main(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "kube-heavy");
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    for (struct job *j; (j = job_next());) {
        j->run(j);
        desk_answer(j);
    }
    return NULL;
}

void heavy_run(struct job *j) {
    j->next = NULL;
    pthread_mutex_lock(&lock);
    bool good = is_open;
    if (good) {
        *end = j;
        end = &j->next;
        pthread_cond_signal(&more);
    }
    pthread_mutex_unlock(&lock);
    if (!good)
        j->lost(j);
}

bool heavy_open(struct err *err) {
    is_open = true; /* the thread looks at once */
    if (!pthread_create(&thread, NULL, heavy_main, NULL))
        return true;
    is_open = false;
    return err_set(err, "kube: its second thread can't be made");
}

void heavy_close(void) {
    pthread_mutex_lock(&lock);
    bool was = is_open;
    is_open = false;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&lock);
    if (was)
        pthread_join(thread, NULL);
    for (struct job *j = first, *next; j; j = next) {
        next = j->next;
        j->lost(j);
    }
    first = NULL;
    end = &first;
}
