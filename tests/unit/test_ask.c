/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_ask.c - answers of a tenant's resolver, good, cut short and hostile.
 * link: edge/ask.c edge/loop.c
 */
#include "edge/ask.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct packet {
    uint8_t data[512];
    size_t length;
};

static void put(struct packet *p, const void *data, size_t length) {
    memcpy(p->data + p->length, data, length);
    p->length += length;
}

#define PUT(p, text) put(p, text, sizeof(text) - 1)

static struct packet question(void) {
    struct packet p = {0};
    PUT(&p, "\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01");
    return p;
}

/* As a server begins it: with so many records to come. */
static struct packet answer(uint8_t records, uint8_t rcode) {
    struct packet p = question();
    p.data[2] |= 0x80;
    p.data[3] = rcode;
    p.data[7] = records;
    return p;
}

static bool reads(const struct packet *a, size_t *count, union address *out) {
    struct packet q = question();
    *count = 0;
    return ask_read(a->data, a->length, q.data, q.length, out, 4, count);
}

static void addresses_are_taken_also_at_the_end_of_a_chain(void **state) {
    struct packet p = answer(3, 0);
    union address out[4];
    size_t count;
    (void)state;
    PUT(&p, "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x05\x03www\x00");
    PUT(&p, "\x03WWW\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x0b\x00\x05");
    PUT(&p, "\x05other\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x0b\x00\x06");
    assert_true(reads(&p, &count, out));
    assert_int_equal(count, 1); /* not what was not asked for */
    assert_int_equal(out[0].v4.sin_addr.s_addr, inet_addr("10.11.0.5"));
}

static void a_missing_name_is_an_answer_and_a_failure_is_none(void **state) {
    struct packet missing = answer(0, 3), failed = answer(0, 2);
    union address out[4];
    size_t count;
    (void)state;
    assert_true(reads(&missing, &count, out));
    assert_int_equal(count, 0);
    assert_false(reads(&failed, &count, out));
}

static void what_answers_something_else_is_no_answer(void **state) {
    union address out[4];
    size_t count;
    (void)state;
    for (size_t at = 0; at < question().length; at++) {
        struct packet p = answer(0, 0);
        if (at >= 2 && at < 12 && at != 4 && at != 5)
            continue; /* flags and counts */
        p.data[at] ^= at < 12 ? 0xff : 0x01;
        if (reads(&p, &count, out))
            fail_msg("octet %zu may be another", at);
    }
    struct packet same = question(); /* a question is no answer */
    assert_false(reads(&same, &count, out));
}

/* Everything that can be cut off, and a name that points at itself, which compression allows to write. */
static void what_is_malformed_brings_no_address_and_no_harm(void **state) {
    struct packet p = answer(1, 0), loop = answer(1, 0), odd = answer(1, 0);
    union address out[4];
    size_t count, whole;
    (void)state;
    PUT(&p, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x0b\x00\x05");
    whole = p.length;
    for (p.length = 0; p.length < whole; p.length++) {
        reads(&p, &count, out);
        assert_int_equal(count, 0);
    }
    PUT(&loop, "\xc0\x15\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x21");
    reads(&loop, &count, out);
    assert_int_equal(count, 0);
    PUT(&odd, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x05\x0a\x0b\x00\x05\x06");
    reads(&odd, &count, out);
    assert_int_equal(count, 0); /* five octets are no address */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_taken_also_at_the_end_of_a_chain),
        cmocka_unit_test(a_missing_name_is_an_answer_and_a_failure_is_none),
        cmocka_unit_test(what_answers_something_else_is_no_answer),
        cmocka_unit_test(what_is_malformed_brings_no_address_and_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
