/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_docker_http.c - the stream of an engine's events, from a socket that this test answers itself.
 * link: modules/docker/http.c modules/docker/lines.c PkgConfig::CURL
 */
#include "modules/docker/http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = 60000, STUCK_S = 5 }; /* libcurl itself wakes up after ten seconds */

static struct {
    char folder[64];
    struct sockaddr_un address;
    int listener;
    atomic_bool stop;
    struct line *line;
    struct events *events; /* a stream that has begun, */
    int fd;                /* and the engine's end of it */
    unsigned told;
} engine;

static void line_count(void *user, const char *line, size_t length) {
    (void)user, (void)line, (void)length;
    engine.told++;
}
static void lost_count(void *user) {
    (void)user;
    fail_msg("an event was lost");
}
static const struct events_taker taker = {line_count, lost_count, NULL};

static void say(int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int stream_begin(struct events *events) {
    char request[1000];
    struct err err;
    ssize_t got;
    assert_non_null(events);
    assert_true(events_wait(events, 0, &err));
    int fd = accept(engine.listener, NULL, NULL);
    do {
        assert_true(events_wait(events, 10, &err));
        got = recv(fd, request, sizeof request, MSG_DONTWAIT);
    } while (got < 0);
    say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (!events_flow(events))
        assert_true(events_wait(events, 10, &err));
    for (int i = 0; i < 3; i++) /* until libcurl has no timer of its own that would end a wait */
        assert_true(events_wait(events, 200, &err));
    return fd;
}

static int engine_begin(void **state) {
    (void)state;
    snprintf(engine.folder, sizeof engine.folder, "/tmp/ringress-unit-XXXXXX");
    if (!mkdtemp(engine.folder))
        return -1;
    engine.address.sun_family = AF_UNIX;
    snprintf(engine.address.sun_path, sizeof engine.address.sun_path, "%s/sock", engine.folder);
    engine.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    engine.told = 0;
    engine.line = line_new(engine.address.sun_path, &engine.stop);
    if (!engine.line || bind(engine.listener, &engine.address, sizeof engine.address) ||
        listen(engine.listener, 8))
        return -1;
    engine.events = events_open(engine.line, "/events", &taker);
    engine.fd = stream_begin(engine.events);
    return 0;
}

static int engine_end(void **state) {
    (void)state;
    events_close(engine.events);
    close(engine.fd);
    line_free(engine.line);
    close(engine.listener);
    unlink(engine.address.sun_path);
    return rmdir(engine.folder);
}

/* It came while another question was asked, so it is there before the wait: nothing else may ever come. */
static void what_is_there_is_told_without_a_wait(void **state) {
    (void)state;
    struct err err;
    alarm(STUCK_S);
    say(engine.fd, "5\r\n{\"a\"\n\r\n");
    assert_true(events_wait(engine.events, LONG_MS, &err));
    assert_int_equal(engine.told, 1);
    alarm(0);
}

static void what_is_not_there_is_waited_for(void **state) {
    (void)state;
    struct err err;
    assert_true(events_wait(engine.events, 50, &err));
    assert_int_equal(engine.told, 0);
    say(engine.fd, "5\r\n{\"a\"\n\r\n");
    while (!engine.told)
        assert_true(events_wait(engine.events, 10, &err));
}

static void an_end_of_the_stream_is_told(void **state) {
    (void)state;
    struct err err;
    say(engine.fd, "0\r\n\r\n");
    shutdown(engine.fd, SHUT_RDWR);
    alarm(STUCK_S);
    while (events_wait(engine.events, LONG_MS, &err))
        continue;
    alarm(0);
    assert_string_equal(err.text, "it has ended its events");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_told_without_a_wait, engine_begin,
                                        engine_end),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_waited_for, engine_begin, engine_end),
        cmocka_unit_test_setup_teardown(an_end_of_the_stream_is_told, engine_begin, engine_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
