/* SPDX-License-Identifier: GPL-3.0-or-later
 * ring.c - the verbs of ring.h over io_uring. With sys.c the only file that knows the kernel.
 *
 *   verb -> SQE tagged with its op -> ring_wait: one io_uring_enter submits all and waits -> CQEs -> op_complete
 *
 * user_data: the op's address; bit 0 set: a message from another ring; bit 1 set: a message of ours that failed to go out;
 * 0: nobody waits for it.
 */
#include "core/ring.h"
#include "core/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { TAG_MESSAGE = 1, TAG_BOUNCED = 2, TAG_MASK = 3 };
enum { GATHER_US = 60, LONG_S = 3600, SCRATCH_SIZE = 512 * 1024, BUFFER_GROUP = 0 };

struct ring {
    struct io_uring uring;
    struct io_uring_buf_ring *buffers;
    unsigned buffer_count, buffers_added;
    unsigned features;
    struct worker *worker;
    const void *one; /* who all completions before `one_until` belong to */
    unsigned one_until;
    size_t scratch_used;
    /* iovecs, message headers and addresses of requests not yet submitted; the kernel has its copy after that */
    _Alignas(16) uint8_t scratch[SCRATCH_SIZE];
};

/* ---- making one, or saying why not ---- */

static long read_number(const char *path) {
    char text[32];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return -1;
    text[n] = 0;
    return strtol(text, NULL, 10);
}

static bool seccomp_filters(void) {
    char line[128];
    bool found = false;
    FILE *f = fopen("/proc/self/status", "re");
    if (!f)
        return false;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "Seccomp:", 8))
            found = strtol(line + 8, NULL, 10) == 2;
    fclose(f);
    return found;
}

/* The sysctl's folder can be set for tests only: what is read there decides a message, nothing else. */
static long sysctl_number(const char *name) {
    char path[512];
    const char *root = getenv("RINGRESS_PROC_SYS");
    snprintf(path, sizeof path, "%s/kernel/%s", root ? root : "/proc/sys", name);
    return read_number(path);
}

static bool explain_failure(int error, struct err *err) {
    struct utsname u;
    unsigned major = 0, minor = 0;
    uname(&u);
    sscanf(u.release, "%u.%u", &major, &minor);
    long disabled = sysctl_number("io_uring_disabled");
    if (major < 6 || (major == 6 && minor < 1))
        return err_set(err,
                       "kernel %s is too old: Ringress needs Linux 6.1 or newer\n"
                       "remedy: boot a newer kernel (Debian 12: apt-get install linux-image-amd64)",
                       u.release);
    if (disabled == 2)
        return err_set(err,
                       "io_uring is switched off on this machine (kernel.io_uring_disabled = 2)\n"
                       "remedy: sysctl -w kernel.io_uring_disabled=0");
    if (disabled == 1)
        return err_set(
            err,
            "io_uring is reserved for one group (kernel.io_uring_disabled = 1, "
            "kernel.io_uring_group = %ld)\n"
            "remedy: sysctl -w kernel.io_uring_disabled=0, or run Ringress in that group",
            sysctl_number("io_uring_group"));
    if (error == -ENOSYS && !seccomp_filters())
        return err_set(err, "this kernel was built without io_uring (CONFIG_IO_URING)\n"
                            "remedy: boot a kernel with CONFIG_IO_URING=y");
    if (error == -ENOMEM) {
        struct rlimit lock;
        getrlimit(RLIMIT_MEMLOCK, &lock);
        return err_set(
            err,
            "not enough lockable memory for io_uring (RLIMIT_MEMLOCK is %llu bytes)\n"
            "remedy: ulimit -l unlimited, or LimitMEMLOCK=infinity in the service's unit",
            (unsigned long long)lock.rlim_cur);
    }
    if ((error == -EPERM || error == -EACCES || error == -ENOSYS) && seccomp_filters())
        return err_set(
            err,
            "a seccomp filter denies io_uring_setup (Seccomp: 2 in /proc/self/status): %s\n"
            "remedy: allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
            "seccomp profile",
            strerror(-error));
    return err_set(err,
                   "io_uring_setup failed: %s\n"
                   "remedy: check kernel.io_uring_disabled, seccomp and security modules (dmesg)",
                   strerror(-error));
}

/* A ring does what it is told past any seccomp filter: so from the start it takes the verbs below, and no others. */
static const uint8_t verbs[] = {IORING_OP_ACCEPT,  IORING_OP_RECV,    IORING_OP_SEND,
                                IORING_OP_SENDMSG, IORING_OP_CONNECT, IORING_OP_ASYNC_CANCEL,
                                IORING_OP_CLOSE,   IORING_OP_MSG_RING};
static const uint8_t registrations[] = {IORING_UNREGISTER_PBUF_RING, IORING_UNREGISTER_RING_FDS};
enum { VERBS = sizeof verbs, REGISTRATIONS = sizeof registrations };

static int ring_restrict(struct ring *r) {
    struct io_uring_restriction rule[VERBS + REGISTRATIONS + 1] = {0};
    unsigned n = 0;
    for (; n < VERBS; n++)
        rule[n] =
            (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = verbs[n]};
    for (unsigned i = 0; i < REGISTRATIONS; i++)
        rule[n++] = (struct io_uring_restriction){.opcode = IORING_RESTRICTION_REGISTER_OP,
                                                  .register_op = registrations[i]};
    rule[n++] =
        (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
                                      .sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS};
    int error = io_uring_register_restrictions(&r->uring, rule, n);
    return error ? error : io_uring_enable_rings(&r->uring);
}

static int ring_setup(struct ring *r, const struct ring_conf *conf) {
    struct io_uring_params p = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_R_DISABLED,
        .cq_entries = conf->entries * 8,
    };
    int error = io_uring_queue_init_params(conf->entries, &r->uring, &p);
    if (error)
        return error;
    if (p.features & IORING_FEAT_MIN_TIMEOUT)
        r->features |= RING_MIN_WAIT;
    io_uring_register_ring_fd(&r->uring); /* saves a look-up per enter; without it all works */
    if (conf->buffer_count) {
        r->buffers =
            io_uring_setup_buf_ring(&r->uring, conf->buffer_count, BUFFER_GROUP, 0, &error);
        if (!r->buffers) {
            io_uring_queue_exit(&r->uring);
            return error;
        }
        r->buffer_count = conf->buffer_count;
        if (p.features & IORING_FEAT_RECVSEND_BUNDLE)
            r->features |= RING_BUNDLE;
    }
    error = ring_restrict(r);
    if (error) {
        if (r->buffers)
            io_uring_free_buf_ring(&r->uring, r->buffers, r->buffer_count, BUFFER_GROUP);
        io_uring_queue_exit(&r->uring);
    }
    return error;
}

bool ring_new(const struct ring_conf *conf, struct ring **ret, struct err *err) {
    struct ring *r = aligned_alloc(64, (sizeof *r + 63) & ~(size_t)63);
    if (!r)
        return err_set(err, "out of memory");
    memset(r, 0, offsetof(struct ring, scratch));
    r->worker = conf->worker;
    int error = ring_setup(r, conf);
    if (error) {
        free(r);
        return explain_failure(error, err);
    }
    *ret = r;
    return true;
}

void ring_free(struct ring *r) {
    if (!r)
        return;
    if (r->buffers)
        io_uring_free_buf_ring(&r->uring, r->buffers, r->buffer_count, BUFFER_GROUP);
    io_uring_queue_exit(&r->uring);
    free(r);
}

unsigned ring_features(const struct ring *r) {
    return r->features;
}

int ring_fd(const struct ring *r) {
    return r->uring.ring_fd;
}

/* ---- verbs ---- */

/* The kernel has its copy of what it took: where it has no memory that is less than all. */
static void scratch_forget(struct ring *r) {
    if (!io_uring_sq_ready(&r->uring))
        r->scratch_used = 0;
}

static void ring_push(struct ring *r) {
    io_uring_submit(&r->uring);
    scratch_forget(r);
}

static struct io_uring_sqe *sqe_get(struct ring *r) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
    while (
        !sqe) { /* full: the kernel takes what is queued (it may ask to wait when completions are backed up) */
        ring_push(r);
        sqe = io_uring_get_sqe(&r->uring);
    }
    return sqe;
}

static void arm(struct io_uring_sqe *sqe, struct op *op, enum kernel_cost cost) {
    op->armed = true;
    op->cost = cost;
    op->braked = false;
    op->owner->inflight++;
    io_uring_sqe_set_data(sqe, op);
}

static void *scratch_get(struct ring *r, size_t size) {
    size = (size + 15) & ~(size_t)15;
    while (r->scratch_used + size > SCRATCH_SIZE)
        ring_push(r);
    void *p = r->scratch + r->scratch_used;
    r->scratch_used += size;
    return p;
}

/* For what is in the scratch memory already: to make room for it may forget that, but the kernel reads it only with this one. */
static struct io_uring_sqe *sqe_get_for_scratch(struct ring *r) {
    size_t used = r->scratch_used;
    struct io_uring_sqe *sqe = sqe_get(r);
    r->scratch_used = used;
    return sqe;
}

void ring_accept(struct ring *r, struct op *op, int fd) {
    struct io_uring_sqe *sqe = sqe_get(r);
    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    arm(sqe, op, KERNEL_ACCEPT);
}

void ring_accept_once(struct ring *r, struct op *op, int fd) {
    struct io_uring_sqe *sqe = sqe_get(r);
    io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    arm(sqe, op, KERNEL_ACCEPT);
}

void ring_recv(struct ring *r, struct op *op, int fd) {
    struct io_uring_sqe *sqe = sqe_get(r);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    arm(sqe, op, KERNEL_RECV);
}

void ring_recv_once(struct ring *r, struct op *op, int fd, size_t cap) {
    struct io_uring_sqe *sqe = sqe_get(r);
    /* A bundle without a cap could empty the whole ring for one connection. Kernels from 6.15 on take one that filled its buffers for a
     * reason to go on with all there is, whatever the cap; not one whose last buffer was not asked for whole. */
    bool bundle = r->features & RING_BUNDLE && cap > BUF_SIZE;
    io_uring_prep_recv(sqe, fd, NULL, bundle ? cap + 1 : cap, 0);
    if (bundle)
        sqe->ioprio |= IORING_RECVSEND_BUNDLE;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    arm(sqe, op, KERNEL_RECV);
}

void ring_send(struct ring *r, struct op *op, int fd, const void *data, size_t length) {
    struct io_uring_sqe *sqe = sqe_get(r);
    io_uring_prep_send(sqe, fd, data, length, MSG_NOSIGNAL | MSG_WAITALL);
    arm(sqe, op, KERNEL_PAID);
}

void ring_sendv(struct ring *r, struct op *op, int fd, const struct iovec *iov, unsigned count) {
    size_t header = (sizeof(struct msghdr) + 15) & ~(size_t)15;
    uint8_t *p = scratch_get(r, header + count * sizeof *iov);
    struct msghdr *m = (struct msghdr *)p;
    *m = (struct msghdr){.msg_iov = (struct iovec *)(p + header), .msg_iovlen = count};
    memcpy(m->msg_iov, iov, count * sizeof *iov);
    struct io_uring_sqe *sqe = sqe_get_for_scratch(r);
    io_uring_prep_sendmsg(sqe, fd, m, MSG_NOSIGNAL | MSG_WAITALL);
    arm(sqe, op, KERNEL_PAID);
}

void ring_connect(struct ring *r, struct op *op, int fd, const struct sockaddr *addr,
                  socklen_t length) {
    void *copy = scratch_get(r, length);
    memcpy(copy, addr, length);
    struct io_uring_sqe *sqe = sqe_get_for_scratch(r);
    io_uring_prep_connect(sqe, fd, copy, length);
    arm(sqe, op, KERNEL_PAID);
}

void ring_cancel(struct ring *r, struct op *target) {
    struct io_uring_sqe *sqe = sqe_get(r);
    io_uring_prep_cancel(sqe, target, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, 0);
}

void ring_close(struct ring *r, int fd) {
    struct io_uring_sqe *sqe = sqe_get(r);
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, 0);
}

void ring_submit(struct ring *r) {
    ring_push(r);
}

void ring_message(struct ring *r, struct ring *to, struct message *m) {
    m->to = to;
    __atomic_store_n(&m->posted, 1, __ATOMIC_RELEASE);
    struct io_uring_sqe *sqe = sqe_get(r);
    io_uring_prep_msg_ring(sqe, to->uring.ring_fd, 0, (uint64_t)(uintptr_t)m | TAG_MESSAGE, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)m | TAG_BOUNCED);
}

/* ---- buffers ---- */

void ring_buffer_add(struct ring *r, void *data, unsigned size, uint16_t id) {
    io_uring_buf_ring_add(r->buffers, data, size, id, io_uring_buf_ring_mask(r->buffer_count),
                          (int)r->buffers_added++);
}

void ring_buffers_publish(struct ring *r) {
    if (r->buffers_added)
        io_uring_buf_ring_advance(r->buffers, (int)r->buffers_added);
    r->buffers_added = 0;
}

/* ---- completions ---- */

static void dispatch(struct ring *r, struct turn *t, const struct io_uring_cqe *cqe) {
    void *p = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);
    if (!p)
        return;
    if (cqe->user_data & TAG_MESSAGE) {
        struct message *m = p;
        message_begin(r->worker);
        if (__atomic_load_n(&m->posted, __ATOMIC_ACQUIRE))
            m->run(m);
    } else if (cqe->user_data & TAG_BOUNCED) {
        ring_message(r, ((struct message *)p)->to, p);
    } else {
        struct completion c = {
            .res = cqe->res,
            .flags = (cqe->flags & IORING_CQE_F_MORE ? OP_MORE : 0) |
                     (cqe->flags & IORING_CQE_F_BUFFER ? OP_BUFFER : 0) |
                     (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY ? OP_NONEMPTY : 0),
            .buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT),
        };
        if (t && t->crowded) {
            turn_put(t, p, &c);
            return;
        }
        if (t)
            turn_meets(t, p);
        op_complete(p, &c);
    }
}

/* Each look brings some of what is ready (20 on newer kernels); to ask for more at once would be to wait for it. */
static int events_take(struct ring *r, unsigned most) {
    unsigned before;
    int error;
    do {
        before = io_uring_cq_ready(&r->uring);
        error = io_uring_submit_and_get_events(&r->uring);
    } while (error >= 0 && io_uring_cq_ready(&r->uring) > before &&
             io_uring_cq_ready(&r->uring) < most);
    return error;
}

int ring_wait(struct ring *r, int64_t timeout_ns, unsigned expected) {
    struct __kernel_timespec ts = {.tv_sec = timeout_ns / 1000000000,
                                   .tv_nsec = timeout_ns % 1000000000};
    struct io_uring_cqe *cqe;
    int error;
    if (timeout_ns < 0)
        ts = (struct __kernel_timespec){
            .tv_sec = LONG_S}; /* without one liburing drops the gathering time: all or nothing */
    if (!timeout_ns || io_uring_cq_ready(&r->uring))
        error = events_take(r, expected > 1 ? expected : RING_ENTRIES);
    else if (expected > 1 && r->features & RING_MIN_WAIT)
        error =
            io_uring_submit_and_wait_min_timeout(&r->uring, &cqe, expected, &ts, GATHER_US, NULL);
    else
        error =
            io_uring_submit_and_wait_timeout(&r->uring, &cqe, 1, timeout_ns < 0 ? NULL : &ts, NULL);
    scratch_forget(r);
    if (error < 0 && error != -ETIME && error != -EINTR && error != -EBUSY && error != -EAGAIN)
        return error;
    return 0;
}

/* With thousands of connections each completion meets its owner in no cache. So while one is dispatched, the memory of the
 * next few is on its way: the owner first, a little later who pays for it. */
enum { AHEAD_OWNER = 6, AHEAD_PAYER = 3 };

static const struct op *op_ahead(const struct ring *r, unsigned head, unsigned tail) {
    if ((int)(tail - head) <= 0)
        return NULL;
    const struct io_uring_cqe *cqe = &r->uring.cq.cqes[head & r->uring.cq.ring_mask];
    return cqe->user_data & TAG_MASK ? NULL : (const struct op *)(uintptr_t)cqe->user_data;
}

/* Do the completions from `head` on belong to more than one? Each is in no cache: those of which that was asked in vain are not asked
 * again, but nobody's, who may be somebody's by now. */
static bool are_several(struct ring *r, unsigned head, unsigned tail) {
    bool known = (int)(r->one_until - head) > 0 && (int)(tail - r->one_until) >= 0 &&
                 r->one != r->worker->nobody;
    const void *payer = known ? r->one : NULL;
    for (head = known ? r->one_until : head; head != tail; head++) {
        const struct op *op = op_ahead(r, head, tail);
        const void *pays = op ? turn_payer(op) : payer;
        if (payer && pays != payer)
            return true;
        payer = pays;
    }
    r->one = payer;
    r->one_until = tail;
    return false;
}

unsigned ring_dispatch(struct ring *r, struct turn *t) {
    struct io_uring_cqe *cqe;
    unsigned tail = io_uring_smp_load_acquire(r->uring.cq.ktail), head, count = 0;
    for (unsigned i = 0; i < AHEAD_OWNER; i++)
        op_fetch_owner(op_ahead(r, *r->uring.cq.khead + i, tail));
    io_uring_for_each_cqe(&r->uring, head, cqe) {
        count++;
        op_fetch_owner(op_ahead(r, head + AHEAD_OWNER, tail));
        op_fetch_payer(op_ahead(r, head + AHEAD_PAYER, tail));
        dispatch(r, t, cqe);
        if (t && !t->crowded && turn_is_long(t, count, cqe->res) &&
            turn_ends(t, are_several(r, head + 1, tail)))
            break; /* what is left stays in the ring */
    }
    io_uring_cq_advance(&r->uring, count);
    return count;
}
