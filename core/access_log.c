/* SPDX-License-Identifier: GPL-3.0-or-later
 * access_log.c - the writer of the access log, see access_log.h.
 *
 *   WAIT (5 to 50 ms) -> for each ring: gather what is there -> write -> ... -> WAIT
 *                          '--- taken in part: the rest of that line is the next to be written, before any other ring
 *
 * A destination that takes nothing (a full disk, a pipe nobody reads) is tried again every RETRY_MS; meanwhile the rings keep what
 * they can hold and the workers lose the rest, counted. A line is in the file whole or not at all, unless the disk was full in the
 * middle of it and the file was then taken away: the new file begins with that line.
 */
#include "core/access_log.h"
#include "core/access_ring.h"
#include "core/module.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    RING_SIZE = 2 << 20,
    WRITE_MOST = 1 << 20,
    WAIT_MS_MIN = 5,
    WAIT_MS_MAX = 50,
    RETRY_MS = 250,
    CHEAP_SHARE = 4, /* a quarter of a ring, see room_of */
    LAST_MS = 500,   /* that the destination may pause at the end */
    STOP_MS = 5000,  /* for one write that hangs */
};
_Static_assert(ACCESS_LINE_MAX <= PIPE_BUF, "a pipe takes a line whole");

struct place { /* of one worker */
    struct access_ring ring;
    struct access_clock clock;
    uint64_t taken; /* written so far; beyond tail while a line is written in part */
};

static struct log {
    struct place *place;    /* NULL: there is no access log */
    unsigned workers, next; /* next: the ring whose turn it is */
    char *path;
    bool query;
    int fd, wake;
    bool piece_wise; /* no file: written a piece at a time, when it says that it takes one */
    int failed;      /* errno that was told, 0: all is well */
    _Atomic int fd_next;
    _Atomic bool stopping, stopped;
    pthread_t thread;
} access_log;

/* ---- the destination ---- */

static int path_open(const char *path) {
    int fd = strcmp(path, "stderr")
                 ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640)
                 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? -errno : fd;
}

static void destination_set(struct log *l, int fd) {
    struct stat st;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = fd;
    l->piece_wise = !fstat(fd, &st) && !S_ISREG(st.st_mode);
}

/* A line begun in the old file is written whole to the new one. */
static void destination_follow(struct log *l) {
    int fd = atomic_exchange(&l->fd_next, -1);
    if (fd < 0)
        return;
    destination_set(l, fd);
    for (unsigned i = 0; i < l->workers; i++)
        l->place[i].taken = l->place[i].ring.tail;
}

/* Said when it begins and when it is over, not with every try. */
static void failure_tell(struct log *l, int error) {
    if (error == l->failed)
        return;
    l->failed = error;
    if (error)
        log_write(0, "access log %s: %s; lines wait, and are lost once the memory for them is full",
                  l->path, strerror(error));
    else
        log_write(2, "access log %s: written again", l->path);
}

/* ---- writing ---- */

/* How much of `length` bytes from `from` may be given to a pipe: whole lines, no more than it takes at once. */
static size_t piece_length(const struct access_ring *r, uint64_t from, size_t length) {
    if (length <= PIPE_BUF)
        return length;
    for (size_t n = PIPE_BUF; n > 0; n--)
        if (r->data[(from + n - 1) & (r->size - 1)] == '\n')
            return n;
    return PIPE_BUF;
}

static bool is_ready(const struct log *l) {
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    return !l->piece_wise || (poll(&p, 1, 0) == 1 && p.revents & (POLLOUT | POLLERR));
}

/* Everything before the last newline that was written is done with: its room is the worker's again. */
static void lines_release(struct place *p) {
    struct access_ring *r = &p->ring;
    uint64_t end = p->taken;
    while (end > r->tail && r->data[(end - 1) & (r->size - 1)] != '\n')
        end--;
    __atomic_store_n(&r->tail, end, __ATOMIC_RELEASE);
}

/* One write. 0: nothing was taken (EAGAIN), or there is nothing; negative errno: the destination is broken. */
static ssize_t place_write(struct log *l, struct place *p) {
    struct access_ring *r = &p->ring;
    uint64_t at = p->taken & (r->size - 1);
    size_t length = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) - p->taken;
    if (!length || !is_ready(l))
        return 0;
    length = l->piece_wise         ? piece_length(r, p->taken, length)
             : length > WRITE_MOST ? WRITE_MOST
                                   : length;
    size_t first = r->size - at < length ? r->size - at : length;
    struct iovec iov[2] = {{r->data + at, first}, {r->data, length - first}};
    ssize_t n = writev(l->fd, iov, first < length ? 2 : 1);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    p->taken += (uint64_t)n;
    lines_release(p);
    return n;
}

static bool is_between_lines(const struct place *p) {
    return p->taken == p->ring.tail;
}

/* All that waited when its turn came, so that no ring keeps the others from theirs. False: the destination takes no more. */
static bool place_drain(struct log *l, struct place *p, size_t *ret_written) {
    uint64_t until = __atomic_load_n(&p->ring.head, __ATOMIC_ACQUIRE);
    while (p->taken < until || !is_between_lines(p)) {
        ssize_t n = place_write(l, p);
        if (n < 0 || (n > 0 && is_between_lines(p)))
            failure_tell(l, n < 0 ? (int)-n : 0);
        if (n <= 0)
            return false;
        *ret_written += (size_t)n;
    }
    return true;
}

/* Every ring once, beginning where the last round had to stop. */
static bool round_write(struct log *l, size_t *ret_written) {
    *ret_written = 0;
    for (unsigned i = 0; i < l->workers; i++) {
        if (!place_drain(l, &l->place[l->next], ret_written))
            return false;
        l->next = (l->next + 1) % l->workers;
    }
    return true;
}

static void pause_for(const struct log *l, int ms) {
    struct pollfd p = {.fd = l->wake, .events = POLLIN};
    uint64_t count;
    if (poll(&p, 1, ms) == 1 && read(l->wake, &count, sizeof count) < 0) {
        /* nothing to learn from it */
    }
}

/* Once more, when nothing is added any more: what is there, unless it is not taken for LAST_MS. */
static void last_write(struct log *l) {
    size_t written;
    for (int idle_ms = 0; idle_ms < LAST_MS && !round_write(l, &written);) {
        idle_ms = written ? 0 : idle_ms + WAIT_MS_MIN;
        poll(NULL, 0, WAIT_MS_MIN);
    }
}

static void *writer_main(void *argument) {
    struct log *l = argument;
    int wait = WAIT_MS_MIN;
    size_t written;
    pthread_setname_np(pthread_self(), "access log");
    while (!atomic_load(&l->stopping)) {
        destination_follow(l);
        bool taken = round_write(l, &written);
        wait = written ? WAIT_MS_MIN : wait < WAIT_MS_MAX ? wait * 2 : WAIT_MS_MAX;
        pause_for(l, taken || written ? wait : RETRY_MS);
    }
    destination_follow(l);
    last_write(l);
    atomic_store(&l->stopped, true);
    return NULL;
}

/* ---- life ---- */

static bool places_make(struct log *l, size_t ring_size) {
    l->place = aligned_alloc(64, l->workers * sizeof *l->place);
    if (!l->place)
        return false;
    memset(l->place, 0, l->workers * sizeof *l->place);
    for (unsigned i = 0; i < l->workers; i++) {
        l->place[i].ring.size = ring_size;
        l->place[i].ring.data = malloc(ring_size);
        if (!l->place[i].ring.data)
            return false;
    }
    return true;
}

static void log_free(struct log *l) {
    for (unsigned i = 0; l->place && i < l->workers; i++)
        free(l->place[i].ring.data);
    free(l->place);
    free(l->path);
    if (l->fd >= 0)
        close(l->fd);
    if (l->wake >= 0)
        close(l->wake);
    *l = (struct log){.fd = -1, .wake = -1, .fd_next = -1};
}

/* No signal is this thread's business. */
static bool writer_spawn(struct log *l) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&l->thread, NULL, writer_main, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !error;
}

bool access_log_start(const struct access_conf *conf, struct err *err) {
    struct log *l = &access_log;
    *l = (struct log){
        .workers = conf->workers, .query = conf->query, .fd = -1, .wake = -1, .fd_next = -1};
    int fd = path_open(conf->path);
    if (fd < 0)
        return err_set(err, "cannot open access log %s: %s", conf->path,
                       fd == -ENXIO ? "it is a pipe that nobody reads" : strerror(-fd));
    destination_set(l, fd);
    l->path = strdup(conf->path);
    l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->path && l->wake >= 0 && places_make(l, conf->ring_size ? conf->ring_size : RING_SIZE) &&
        writer_spawn(l))
        return true;
    log_free(l);
    return err_set(err, "access log: out of memory or descriptors");
}

static void writer_wake(struct log *l) {
    if (write(l->wake, &(uint64_t){1}, sizeof(uint64_t)) < 0) {
        /* it is awake */
    }
}

bool access_log_reopen(struct err *err) {
    struct log *l = &access_log;
    if (!l->place)
        return true;
    int fd = path_open(l->path);
    if (fd < 0)
        return err_set(err, "cannot open access log %s: %s", l->path, strerror(-fd));
    int unused = atomic_exchange(&l->fd_next, fd); /* one that the writer has not come to yet */
    if (unused >= 0)
        close(unused);
    writer_wake(l);
    return true;
}

/* A writer that hangs in a write (a dead network disk) is left there. */
void access_log_stop(void) {
    struct log *l = &access_log;
    const struct timespec tick = {.tv_nsec = 1000000};
    if (!l->place)
        return;
    atomic_store(&l->stopping, true);
    writer_wake(l);
    for (int i = 0; i < STOP_MS && !atomic_load(&l->stopped); i++)
        nanosleep(&tick, NULL);
    if (!atomic_load(&l->stopped)) {
        pthread_detach(l->thread); /* what it still looks at stays; the process ends */
        return;
    }
    pthread_join(l->thread, NULL);
    int unused = atomic_exchange(&l->fd_next, -1);
    if (unused >= 0)
        close(unused);
    log_free(l);
}

struct access_figures access_log_figures(void) {
    struct access_figures f = {0};
    for (unsigned i = 0; access_log.place && i < access_log.workers; i++) {
        const struct access_ring *r = &access_log.place[i].ring;
        f.lines += __atomic_load_n(&r->lines, __ATOMIC_RELAXED);
        f.lost += __atomic_load_n(&r->lost, __ATOMIC_RELAXED);
        uint64_t tail = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
        f.pending += __atomic_load_n(&r->head, __ATOMIC_RELAXED) - tail;
    }
    return f;
}

/* ---- on a worker ---- */

bool access_wanted(void) {
    return access_log.place;
}

/* Lines that anybody can bring about by the thousand, without a request to a tenant, wait in a part of the ring only: when the
 * destination is slow they are the first to be lost, and push out nobody's. */
static uint64_t room_of(const struct access_ring *ring, const struct access_facts *facts,
                        const struct access_record *r) {
    bool cheap = !facts->tenant || r->type == ACCESS_REFUSED;
    return cheap ? ring->size / CHEAP_SHARE : ring->size;
}

void access_log_put(unsigned worker, struct access_facts *facts, const struct access_record *r) {
    char line[ACCESS_LINE_MAX];
    struct place *p = &access_log.place[worker];
    facts->worker = worker;
    facts->query = access_log.query;
    access_ring_put(&p->ring, line, access_line(line, &p->clock, facts, r),
                    room_of(&p->ring, facts, r));
}
