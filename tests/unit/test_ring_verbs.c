/* SPDX-License-Identifier: GPL-3.0-or-later
 * What a ring does past every seccomp filter is only what the edge asks of rings: no verb beside those of core/ring.h. And what a
 * look brings that does not wait, and that what is sent is what was said.
 * link: no-kernel core/sys.c
 */
#include "core/buf.h"
#include <liburing.h>
#include <stdbool.h>

static bool kernel_lacks; /* memory, so it takes nothing */
static int submit_and_get_events(struct io_uring *);
#define io_uring_submit_and_get_events submit_and_get_events
#include "core/ring.c" /* to say what its verbs don't: NOLINT(bugprone-suspicious-include) */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#undef io_uring_submit_and_get_events
static int submit_and_get_events(struct io_uring *ring) {
    return kernel_lacks ? -EAGAIN : io_uring_submit_and_get_events(ring);
}

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
        if (ring_begin(&own) || !own) {
            fail_msg("no ring");
            break;
        }
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

/* Somebody's bytes would go to somebody else. */
static void what_the_kernel_has_not_taken_yet_is_not_written_over(void **state) {
    struct ring *r = *state;
    struct owner owner = {0};
    struct op op[2];
    int one[2], two[2];
    char text[8] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, one), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, two), 0);
    op_init(&op[0], &owner, NULL);
    op_init(&op[1], &owner, NULL);
    kernel_lacks = true;
    ring_sendv(r, &op[0], one[0], &(struct iovec){"one", 3}, 1);
    assert_int_equal(ring_wait(r, 0, 1), 0);
    ring_sendv(r, &op[1], two[0], &(struct iovec){"two", 3}, 1);
    kernel_lacks = false;
    assert_int_equal(ring_wait(r, 0, 1), 0);
    assert_int_equal(recv(one[1], text, sizeof text, MSG_DONTWAIT), 3);
    assert_memory_equal(text, "one", 3);
    assert_int_equal(recv(two[1], text, sizeof text, MSG_DONTWAIT), 3);
    assert_memory_equal(text, "two", 3);
    assert_int_equal(r->scratch_used, 0);
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
}

/* The first of them fills the ring, and the second makes room for itself when what it says is there already: those that come then must
 * not write over it. */
static void what_makes_room_for_itself_keeps_what_it_says(void **state) {
    enum { SAID = 4 };
    static uint8_t said[] = "1234";
    struct ring *r = *state;
    struct owner owner = {0};
    struct op op[SAID];
    int fd[2];
    char text[8] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    while (io_uring_sq_space_left(&r->uring) > 1)
        io_uring_prep_close(io_uring_get_sqe(&r->uring), -1);
    for (int i = 0; i < SAID; i++) {
        op_init(&op[i], &owner, NULL);
        ring_sendv(r, &op[i], fd[0], &(struct iovec){&said[i], 1}, 1);
    }
    assert_int_equal(ring_wait(r, 0, 1), 0);
    assert_int_equal(recv(fd[1], text, sizeof text, MSG_DONTWAIT), SAID);
    assert_memory_equal(text, said, SAID);
    close(fd[0]);
    close(fd[1]);
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
        cmocka_unit_test_setup_teardown(what_the_kernel_has_not_taken_yet_is_not_written_over,
                                        ring_begin, ring_end),
        cmocka_unit_test_setup_teardown(what_makes_room_for_itself_keeps_what_it_says, ring_begin,
                                        ring_end),
        cmocka_unit_test(a_receive_brings_no_more_than_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
