/* SPDX-License-Identifier: GPL-3.0-or-later
 * What a ring does past every seccomp filter is only what the edge asks of rings: no verb beside those of core/ring.h. And what a
 * look brings that does not wait.
 * link: no-kernel core/sys.c
 */
#include "core/buf.h"
#include "core/ring.c" /* to say what its verbs don't: NOLINT(bugprone-suspicious-include) */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include <cmocka.h>

static int ring_begin(void **state) {
    struct ring_conf conf = {.entries = 8, .buffer_count = 8, .buffer_size = BUF_SIZE};
    struct ring *ring = NULL;
    struct err err;
    if (!ring_new(&conf, &ring, &err)) {
        print_message("%s\n", err.text);
        return -1;
    }
    *state = ring;
    return 0;
}

static int ring_end(void **state) {
    ring_free(*state);
    return 0;
}

/* What comes of one submission as the ring has it now. */
static int outcome(struct ring *r) {
    struct io_uring_cqe *cqe;
    io_uring_submit(&r->uring);
    assert_int_equal(io_uring_wait_cqe(&r->uring, &cqe), 0);
    int result = cqe->res;
    io_uring_cqe_seen(&r->uring, cqe);
    return result;
}

static void a_file_is_not_opened_by_a_ring(void **state) {
    struct ring *r = *state;
    io_uring_prep_openat(io_uring_get_sqe(&r->uring), AT_FDCWD, "/dev/null", O_RDONLY, 0);
    assert_int_equal(outcome(r), -EACCES);
}

static void no_verb_passes_that_is_not_on_the_list(void **state) {
    struct ring *r = *state;
    for (unsigned op = 0; op < IORING_OP_LAST; op++) {
        if (memchr(verbs, (int)op, VERBS))
            continue;
        struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
        io_uring_prep_rw(op, sqe, -1, NULL, 0, 0);
        int result = outcome(r);
        assert_true(result == -EACCES ||
                    result == -EINVAL); /* EINVAL: the kernel has no such verb */
    }
}

static void a_flag_that_is_not_used_is_refused(void **state) {
    struct ring *r = *state;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
    io_uring_prep_close(sqe, -1);
    sqe->flags = IOSQE_ASYNC;
    assert_int_equal(outcome(r), -EACCES);
}

static void what_is_on_the_list_passes(void **state) {
    struct ring *r = *state;
    io_uring_prep_close(io_uring_get_sqe(&r->uring), -1);
    assert_int_equal(outcome(r), -EBADF);
}

static void nothing_is_registered_any_more(void **state) {
    struct ring *r = *state;
    int fd = 0;
    assert_int_equal(io_uring_register_files(&r->uring, &fd, 1), -EACCES);
    assert_int_equal(io_uring_register_eventfd(&r->uring, 0), -EACCES);
}

/* Whether the op's completion is there; others are let go. */
static bool has_come(struct ring *r, const struct op *op) {
    struct io_uring_cqe *cqe;
    bool found = false;
    while (!io_uring_peek_cqe(&r->uring, &cqe)) {
        found |= io_uring_cqe_get_data(cqe) == op;
        io_uring_cqe_seen(&r->uring, cqe);
    }
    return found;
}

/* A worker that always has something to do never waits, and always has something to submit: it must hear of others all the same. */
static void who_never_waits_hears_of_what_came(void **state) {
    struct ring *r = *state;
    uint8_t buffer[BUF_SIZE];
    struct owner owner = {0};
    struct op recv;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    ring_buffer_add(r, buffer, sizeof buffer, 0);
    ring_buffers_publish(r);
    op_init(&recv, &owner, NULL);
    ring_recv(r, &recv, fd[0]);
    assert_int_equal(ring_wait(r, 0, 1), 0);
    assert_false(has_come(r, &recv));
    assert_int_equal(write(fd[1], "x", 1), 1);
    bool came = false;
    for (unsigned turns = 0; turns < 10 && !came; turns++) {
        io_uring_prep_close(io_uring_get_sqe(&r->uring), -1);
        assert_int_equal(ring_wait(r, 0, 1), 0);
        came = has_come(r, &recv);
    }
    assert_true(came);
    close(fd[0]);
    close(fd[1]);
}

/* Two ends of a connection, with this much sent on its way to the first. */
static void tcp_pair(int fd[2], const void *data, size_t length) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect(fd[1], (struct sockaddr *)&a, sizeof a), 0);
    fd[0] = accept(listener, NULL, NULL);
    close(listener);
    assert_int_equal(send(fd[1], data, length, 0), length);
    for (int there = 0; there < (int)length;) /* the kernel may take a moment */
        assert_int_equal(ioctl(fd[0], FIONREAD, &there), 0);
}

/* However much is there, and though newer kernels go on with a bundle that came full. */
static void a_receive_brings_no_more_than_its_cap(void **state) {
    static const size_t caps[] = {1000, BUF_SIZE, 2 * BUF_SIZE};
    uint8_t *memory = calloc(24, BUF_SIZE);
    (void)state;
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
        struct owner owner = {0};
        struct io_uring_cqe *cqe;
        struct op recv;
        void *own = NULL;
        int fd[2];
        assert_int_equal(ring_begin(&own), 0);
        struct ring *r = own;
        tcp_pair(fd, memory + 8 * BUF_SIZE, 16 * BUF_SIZE);
        for (uint16_t id = 0; id < 8; id++)
            ring_buffer_add(r, memory + id * BUF_SIZE, BUF_SIZE, id);
        ring_buffers_publish(r);
        op_init(&recv, &owner, NULL);
        ring_recv_once(r, &recv, fd[0], caps[i]);
        io_uring_submit(&r->uring);
        assert_int_equal(io_uring_wait_cqe(&r->uring, &cqe), 0);
        assert_int_equal(cqe->res, caps[i]);
        ring_end(&own);
        close(fd[0]);
        close(fd[1]);
    }
    free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_not_opened_by_a_ring, ring_begin, ring_end),
        cmocka_unit_test_setup_teardown(no_verb_passes_that_is_not_on_the_list, ring_begin,
                                        ring_end),
        cmocka_unit_test_setup_teardown(a_flag_that_is_not_used_is_refused, ring_begin, ring_end),
        cmocka_unit_test_setup_teardown(what_is_on_the_list_passes, ring_begin, ring_end),
        cmocka_unit_test_setup_teardown(nothing_is_registered_any_more, ring_begin, ring_end),
        cmocka_unit_test_setup_teardown(who_never_waits_hears_of_what_came, ring_begin, ring_end),
        cmocka_unit_test(a_receive_brings_no_more_than_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
