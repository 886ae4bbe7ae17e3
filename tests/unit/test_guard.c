/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_guard.c - what is left of a tenant's ports when another comes in its place. Doors, listeners and the store are no more than notes.
 * link: edge/guard.c edge/guard_past.c
 */
#include "core/account.h"
#include "core/door.h"
#include "edge/admin.h"
#include "edge/edge.h"
#include "edge/filter.h"
#include "edge/guard_feed.h"
#include "edge/store_read.h"
#include "shutoff_defaults.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PORT = 20001 };

static struct edge_conf conf;
static struct edge edge = {.conf = &conf};
static struct version now; /* of the one tenant there is */
static bool is_shut, is_held;
static const struct account *removed; /* whose names had a door last */

/* ---- what guard.c asks of others ---- */

struct version *published(const char *name) {
    (void)name;
    return now.tenant ? &now : NULL;
}

unsigned core_workers(void) {
    return 1;
}

int64_t loop_now_ns(void) {
    return 1000000000;
}

void doors_start(const struct door_conf *c, unsigned workers) {
    (void)c;
    (void)workers;
}

bool door_set(const struct door_at *at, const struct door_rule *rule) {
    (void)at;
    (void)rule;
    return true;
}

void door_remove(const struct door_at *at) {
    if (!at->port)
        removed = at->names;
}

struct door_figures door_figures(const struct door_at *at) {
    (void)at;
    return (struct door_figures){0};
}

void door_watch(const struct door_at *at) {
    (void)at;
}

void door_shed(const struct door_at *at, int64_t idle_ms) {
    (void)at;
    (void)idle_ms;
}

void door_reset(const struct door_at *at) {
    (void)at;
}

bool ports_is_shut(const struct ports *p, unsigned port) {
    (void)p;
    return port == PORT && is_shut;
}

void ports_shut(struct ports *p, unsigned port, bool shut) {
    (void)p;
    assert_int_equal(port, PORT);
    is_shut = shut;
}

void ports_hold(struct ports *p, unsigned port, bool held) {
    (void)p;
    assert_int_equal(port, PORT);
    is_held = held;
}

struct filter *filter_open(const union address *at, struct err *err) {
    (void)at;
    err_set(err, "not here");
    return NULL;
}

bool filter_drop(struct filter *f, uint16_t port, bool drop, struct err *err) {
    (void)f;
    (void)port;
    (void)drop;
    (void)err;
    return true;
}

void filter_close(struct filter *f) {
    (void)f;
}

struct feed *feed_new(struct edge *e) {
    return (struct feed *)e;
}

bool feed_window(struct feed *f, struct shutoff *s, int64_t ms) {
    (void)f;
    (void)s;
    (void)ms;
    return false;
}

void feed_free(struct feed *f) {
    (void)f;
}

void events_add(struct events *e, const char *tenant, const char *object, bool warning,
                const char *reason, const char *message, int64_t at) {
    (void)e;
    (void)tenant;
    (void)object;
    (void)warning;
    (void)reason;
    (void)message;
    (void)at;
}

char *events_describe(const struct events *e, const char *tenant, const char *object, char *text) {
    (void)e;
    (void)tenant;
    (void)object;
    return text;
}

void label_print(FILE *out, const char *text) {
    fputs(text, out);
}

void metric_head(FILE *out, const char *name, const char *type, const char *help) {
    fprintf(out, "%s %s %s\n", name, type, help);
}

void store_put(struct store *s, const char *key, const char *value) {
    (void)s;
    (void)key;
    (void)value;
}

bool store_commit(struct store *s, struct err *err) {
    (void)s;
    (void)err;
    return true;
}

void store_each(const struct store *s, const char *prefix,
                void (*row)(void *user, const char *key, const char *value), void *user) {
    (void)s;
    (void)prefix;
    (void)row;
    (void)user;
}

/* ---- stories ---- */

static struct account first, second;

static void follow(const struct tenant *t, struct account *account) {
    now = (struct version){.tenant = t, .account = account};
    guard_follow(edge.guard, "acme", t);
}

static int up(void **state) {
    struct err err;
    (void)state;
    conf.raw_tcp.shutoff = DEFAULTS;
    is_shut = is_held = false;
    removed = NULL;
    return guard_start(&edge, &err) ? 0 : -1;
}

static int down(void **state) {
    (void)state;
    guard_end(&edge);
    return 0;
}

static struct raw_port port = {
    .service = "db", .container_port = 5432, .public_port = PORT, .state = RAW_PORT_OPEN};
static const struct tenant old = {"acme", "1", .raw_port = &port, .raw_port_count = 1};
static const struct tenant same = {"acme", "1", .raw_port = &port, .raw_port_count = 1};
static const struct tenant other = {"acme", "2", .raw_port = &port, .raw_port_count = 1};

static void shut_it(void) {
    struct err err;
    follow(&old, &first);
    assert_int_equal(guard_hand(edge.guard, "acme", "db", true, &err), 1);
    assert_true(is_shut);
}

static void a_new_version_of_a_tenant_finds_its_port_shut(void **state) {
    (void)state;
    shut_it();
    follow(&same, &first);
    assert_true(is_shut);
    assert_null(removed);
}

static void a_tenant_that_goes_leaves_its_port_open(void **state) {
    (void)state;
    shut_it();
    follow(NULL, NULL);
    assert_false(is_shut);
    assert_ptr_equal(removed, &first);
}

/* Gone and made anew before the first was seen to be gone: what was shut is nobody's, and nobody would open it. */
static void another_of_the_same_name_at_once_gets_its_port_open(void **state) {
    (void)state;
    shut_it();
    follow(&other, &second);
    assert_false(is_shut);
    assert_false(is_held);
    assert_ptr_equal(removed, &first);
}

static void another_of_the_same_name_can_be_shut_and_opened(void **state) {
    struct err err;
    (void)state;
    shut_it();
    follow(&other, &second);
    assert_int_equal(guard_hand(edge.guard, "acme", "db", true, &err), 1);
    assert_true(is_shut);
    assert_int_equal(guard_hand(edge.guard, "acme", "db", false, &err), 1);
    assert_false(is_shut);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(a_new_version_of_a_tenant_finds_its_port_shut),
        STORY(a_tenant_that_goes_leaves_its_port_open),
        STORY(another_of_the_same_name_at_once_gets_its_port_open),
        STORY(another_of_the_same_name_can_be_shut_and_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
