/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_hello.c - what the ClientHello parser promises; the names of the tests are the promises.
 * link: modules/sni/hello.c
 */
#include "modules/sni/hello.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 8 * HELLO_SIZE_MAX };

struct stream { /* a client's bytes, as a test writes them */
    uint8_t data[ROOM];
    size_t length;
};

struct outcome {
    enum hello_answer answer;
    enum tls_alert alert;
    struct hello hello;
};

static void put(struct stream *s, const void *data, size_t length) {
    assert_true(s->length + length <= ROOM);
    memcpy(s->data + s->length, data, length);
    s->length += length;
}

static void put_number(struct stream *s, size_t width, size_t n) {
    while (width--) {
        uint8_t byte = (uint8_t)(n >> 8 * width);
        put(s, &byte, 1);
    }
}

static void put_extension(struct stream *s, unsigned type, const void *body, size_t length) {
    put_number(s, 2, type);
    put_number(s, 2, length);
    put(s, body, length);
}

static void put_server_name(struct stream *s, const char *name, size_t length) {
    put_number(s, 2, 0);
    put_number(s, 2, length + 5);
    put_number(s, 2, length + 3);
    put_number(s, 1, 0);
    put_number(s, 2, length);
    put(s, name, length);
}

/* A handshake message of these extensions. */
static void put_message(struct stream *s, unsigned version, const struct stream *extensions) {
    static const uint8_t random[32], suites[] = {0, 2, 0x13, 0x01}, compression[] = {1, 0};
    put_number(s, 1, 1);
    put_number(s, 3, 2 + 32 + 1 + 4 + 2 + 2 + extensions->length);
    put_number(s, 2, version);
    put(s, random, 32);
    put_number(s, 1, 0);
    put(s, suites, sizeof suites);
    put(s, compression, sizeof compression);
    put_number(s, 2, extensions->length);
    put(s, extensions->data, extensions->length);
}

static void put_records(struct stream *s, const struct stream *message, size_t size) {
    for (size_t at = 0; at < message->length; at += size) {
        size_t n = message->length - at < size ? message->length - at : size;
        put_number(s, 3, 0x160301);
        put_number(s, 2, n);
        put(s, message->data + at, n);
    }
}

/* The stream of a hello with these extensions in records of `size`. */
static struct stream *hello_of(const struct stream *extensions, size_t size) {
    static struct stream message, out;
    message.length = out.length = 0;
    put_message(&message, 0x0303, extensions);
    put_records(&out, &message, size);
    return &out;
}

static struct stream *hello_named(const char *name, size_t size) {
    static struct stream extensions;
    extensions.length = 0;
    put_server_name(&extensions, name, strlen(name));
    return hello_of(&extensions, size);
}

static struct stream *hello_with(unsigned type, const void *body, size_t length) {
    static struct stream extensions;
    extensions.length = 0;
    put_extension(&extensions, type, body, length);
    return hello_of(&extensions, HELLO_SIZE_MAX);
}

static struct outcome read_at_once(const void *data, size_t length) {
    struct outcome out = {0};
    struct hello_scan scan = {0};
    out.answer = hello_read(&scan, data, length, HELLO_SIZE_MAX, &out.hello, &out.alert);
    return out;
}

/* Whole, in steps, and as every single prefix: the answers must agree. */
static struct outcome read_in_every_way(const struct stream *s) {
    struct outcome whole = read_at_once(s->data, s->length);
    for (size_t step = 1; step < 8; step++) {
        struct outcome out = {.answer = HELLO_MORE};
        struct hello_scan scan = {0};
        for (size_t n = step; out.answer == HELLO_MORE; n += step) {
            if (n > s->length)
                n = s->length;
            out.answer = hello_read(&scan, s->data, n, HELLO_SIZE_MAX, &out.hello, &out.alert);
            if (n == s->length)
                break;
        }
        assert_int_equal(out.answer, whole.answer);
        assert_int_equal(out.alert, whole.alert);
        assert_string_equal(out.hello.sni, whole.hello.sni);
    }
    return whole;
}

static void assert_refused(const struct stream *s, enum tls_alert alert) {
    struct outcome out = read_in_every_way(s);
    assert_int_equal(out.answer, HELLO_BAD);
    assert_int_equal(out.alert, alert);
}

static void assert_named(const struct stream *s, const char *name) {
    struct outcome out = read_in_every_way(s);
    assert_int_equal(out.answer, HELLO_WHOLE);
    assert_string_equal(out.hello.sni, name);
    assert_int_equal(out.hello.sni_length, strlen(name));
}

/* ---- the name ---- */

static void the_name_is_found_as_it_was_sent(void **state) {
    (void)state;
    assert_named(hello_named("Files.123123.1D.pt", HELLO_SIZE_MAX), "Files.123123.1D.pt");
}

static void the_name_is_found_whatever_the_size_of_records(void **state) {
    (void)state;
    for (size_t size = 1; size < 100; size++)
        assert_named(hello_named("web.example.com", size), "web.example.com");
}

static void a_hello_without_extensions_has_no_name(void **state) {
    (void)state;
    struct stream *s = hello_of(&(struct stream){.length = 0}, HELLO_SIZE_MAX);
    assert_named(s, "");
    s->length -= 2; /* no list of extensions at all, as TLS 1.2 allows */
    s->data[8] -= 2;
    s->data[4] -= 2;
    assert_named(s, "");
}

static void two_host_names_are_refused(void **state) {
    (void)state;
    assert_refused(hello_with(0, "\0\x08\0\0\1a\0\0\1b", 10), TLS_ALERT_DECODE_ERROR);
}

static void a_name_type_that_is_not_host_name_is_refused(void **state) {
    (void)state;
    assert_refused(hello_with(0, "\0\4\1\0\1a", 6), TLS_ALERT_DECODE_ERROR);
}

static void a_server_name_extension_given_twice_is_refused(void **state) {
    (void)state;
    struct stream extensions = {.length = 0};
    put_server_name(&extensions, "a.example", 9);
    put_server_name(&extensions, "a.example", 9);
    assert_refused(hello_of(&extensions, HELLO_SIZE_MAX), TLS_ALERT_DECODE_ERROR);
}

static void empty_and_overlong_names_are_refused(void **state) {
    (void)state;
    char name[257];
    memset(name, 'a', sizeof name);
    name[255] = 0;
    assert_named(hello_named(name, HELLO_SIZE_MAX), name);
    name[255] = 'a';
    name[256] = 0;
    assert_refused(hello_named(name, HELLO_SIZE_MAX), TLS_ALERT_DECODE_ERROR);
    assert_refused(hello_named("", HELLO_SIZE_MAX), TLS_ALERT_DECODE_ERROR);
}

static void a_name_with_a_nul_inside_is_refused(void **state) {
    (void)state;
    struct stream extensions = {.length = 0};
    put_server_name(&extensions, "a.example\0.evil", 15);
    assert_refused(hello_of(&extensions, HELLO_SIZE_MAX), TLS_ALERT_DECODE_ERROR);
}

static void a_list_longer_than_its_extension_is_refused(void **state) {
    (void)state;
    assert_refused(hello_with(0, "\0\x09\0\0\1a", 6), TLS_ALERT_DECODE_ERROR);
    assert_refused(hello_with(0, "\0\3\0\0\1a", 6), TLS_ALERT_DECODE_ERROR);
    assert_refused(hello_with(0, "", 0), TLS_ALERT_DECODE_ERROR);
}

/* ---- versions and protocols ---- */

static void the_highest_version_is_that_of_supported_versions(void **state) {
    (void)state;
    struct outcome out = read_in_every_way(hello_with(43, "\6\x7a\x7a\x03\x03\x03\x04", 7));
    assert_int_equal(out.answer, HELLO_WHOLE);
    assert_int_equal(out.hello.version, 0x0304);
    out = read_in_every_way(hello_named("a.example", HELLO_SIZE_MAX));
    assert_int_equal(out.hello.version, 0x0303);
}

static void half_a_version_is_refused(void **state) {
    (void)state;
    assert_refused(hello_with(43, "\3\x03\x04\x03", 4), TLS_ALERT_DECODE_ERROR);
    assert_refused(hello_with(43, "\0", 1), TLS_ALERT_DECODE_ERROR);
}

static void alpn_protocols_are_known_by_their_whole_name(void **state) {
    (void)state;
    struct outcome out = read_in_every_way(hello_with(16, "\0\x0c\x02h2\x08http/1.1", 14));
    assert_int_equal(out.answer, HELLO_WHOLE);
    assert_true(hello_offers(&out.hello, "h2"));
    assert_true(hello_offers(&out.hello, "http/1.1"));
    assert_false(hello_offers(&out.hello, "http/1"));
    assert_false(hello_offers(&out.hello, "h"));
}

static void an_empty_alpn_name_is_refused(void **state) {
    (void)state;
    assert_refused(hello_with(16, "\0\4\0\2h2", 6), TLS_ALERT_DECODE_ERROR);
}

static void ssl_3_is_a_protocol_version_nobody_speaks(void **state) {
    (void)state;
    struct stream message = {.length = 0}, s = {.length = 0};
    put_message(&message, 0x0300, &(struct stream){.length = 0});
    put_records(&s, &message, HELLO_SIZE_MAX);
    assert_refused(&s, TLS_ALERT_PROTOCOL_VERSION);
}

/* ---- sizes ---- */

static struct stream *hello_padded_to(size_t message_size, size_t record_size) {
    static struct stream extensions;
    static const uint8_t zero[HELLO_SIZE_MAX];
    extensions.length = 0;
    put_server_name(&extensions, "a.example", 9);
    put_extension(&extensions, 21, zero, message_size - 4 - 43 - 18 - 4);
    return hello_of(&extensions, record_size);
}

static void a_message_of_16_kib_is_read_and_a_byte_more_is_refused(void **state) {
    (void)state;
    assert_named(hello_padded_to(HELLO_SIZE_MAX, HELLO_SIZE_MAX), "a.example");
    assert_named(hello_padded_to(HELLO_SIZE_MAX, 100), "a.example");
    assert_refused(hello_padded_to(HELLO_SIZE_MAX + 1, 100), TLS_ALERT_ILLEGAL_PARAMETER);
}

static void a_smaller_limit_is_kept(void **state) {
    (void)state;
    const struct stream *s = hello_padded_to(513, 513);
    struct hello_scan scan = {0};
    struct outcome out = {0};
    assert_int_equal(hello_read(&scan, s->data, s->length, 512, &out.hello, &out.alert), HELLO_BAD);
    assert_int_equal(out.alert, TLS_ALERT_ILLEGAL_PARAMETER);
}

static void a_message_cut_into_absurdly_many_records_is_refused(void **state) {
    (void)state;
    assert_refused(hello_padded_to(HELLO_SIZE_MAX, 1), TLS_ALERT_ILLEGAL_PARAMETER);
}

static void a_record_over_16_kib_is_refused_by_its_header(void **state) {
    (void)state;
    struct stream s = {.data = "\x16\x03\x01\x40\x01", .length = 5};
    assert_refused(&s, TLS_ALERT_RECORD_OVERFLOW);
}

static void framing_goes_over_each_byte_once(void **state) {
    (void)state;
    const struct stream *s = hello_padded_to(HELLO_SIZE_MAX, 700);
    struct hello_scan scan = {0};
    struct outcome out = {0};
    for (size_t n = 1; n < s->length; n++) {
        uint32_t before = scan.offset;
        assert_int_equal(hello_read(&scan, s->data, n, HELLO_SIZE_MAX, &out.hello, &out.alert),
                         HELLO_MORE);
        assert_true(scan.offset >= before && scan.offset <= n && n - scan.offset < 5);
    }
    assert_int_equal(hello_read(&scan, s->data, s->length, HELLO_SIZE_MAX, &out.hello, &out.alert),
                     HELLO_WHOLE);
}

/* ---- what is no ClientHello ---- */

static void assert_bytes_refused(const char *data, size_t length, enum tls_alert alert) {
    struct stream s = {.length = 0};
    put(&s, data, length);
    assert_refused(&s, alert);
}

static void every_cut_before_the_end_asks_for_more(void **state) {
    (void)state;
    const struct stream *s = hello_named("web.example.com", 20);
    for (size_t n = 0; n < s->length; n++)
        assert_int_equal(read_at_once(s->data, n).answer, HELLO_MORE);
}

static void every_length_field_off_by_one_is_refused_or_waited_for(void **state) {
    (void)state;
    struct stream *s = hello_named("a.example", HELLO_SIZE_MAX);
    for (size_t at = 4; at < s->length - 9; at++) {
        if (at >= 9 && at < 43) /* version and random: any value will do */
            continue;
        s->data[at]++;
        struct outcome out = read_at_once(s->data, s->length);
        assert_true(out.answer != HELLO_WHOLE || strcmp(out.hello.sni, "a.example") == 0 ||
                    out.hello.sni_length == 0);
        s->data[at]--;
    }
}

static void ssl_2_is_told_about_the_version(void **state) {
    (void)state;
    assert_bytes_refused("\x80\x2e\x01\x00\x02", 5, TLS_ALERT_PROTOCOL_VERSION);
    assert_bytes_refused("\x80\x2e\x04\x00\x02", 5, TLS_ALERT_UNEXPECTED_MESSAGE);
}

static void plain_http_is_told_nothing(void **state) {
    (void)state;
    assert_int_equal(read_at_once("GET / HTTP/1.1\r\n", 16).answer, HELLO_TEXT);
    assert_int_equal(read_at_once("P", 1).answer, HELLO_TEXT);
}

static void garbage_is_an_unexpected_message(void **state) {
    (void)state;
    assert_bytes_refused("\0\0\0\0", 4, TLS_ALERT_UNEXPECTED_MESSAGE);
    assert_bytes_refused("\x17\x03\x03\x00\x01", 5, TLS_ALERT_UNEXPECTED_MESSAGE);
}

static void another_handshake_message_is_unexpected(void **state) {
    (void)state;
    assert_bytes_refused("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, TLS_ALERT_UNEXPECTED_MESSAGE);
}

static void another_record_in_the_middle_is_unexpected(void **state) {
    (void)state;
    struct stream *s = hello_named("a.example", 30);
    s->data[35] = 21;
    assert_refused(s, TLS_ALERT_UNEXPECTED_MESSAGE);
}

static void an_empty_record_is_refused(void **state) {
    (void)state;
    assert_bytes_refused("\x16\x03\x01\x00\x00", 5, TLS_ALERT_DECODE_ERROR);
}

static void a_record_of_another_major_version_is_refused(void **state) {
    (void)state;
    assert_bytes_refused("\x16\x02\x00\x00\x20", 5, TLS_ALERT_PROTOCOL_VERSION);
}

static void what_follows_the_hello_is_left_alone(void **state) {
    (void)state;
    struct stream *s = hello_named("a.example", HELLO_SIZE_MAX);
    put(s, "\x17\x03\x03\x00\x01x", 6);
    assert_named(s, "a.example");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_is_found_as_it_was_sent),
        cmocka_unit_test(the_name_is_found_whatever_the_size_of_records),
        cmocka_unit_test(a_hello_without_extensions_has_no_name),
        cmocka_unit_test(two_host_names_are_refused),
        cmocka_unit_test(a_name_type_that_is_not_host_name_is_refused),
        cmocka_unit_test(a_server_name_extension_given_twice_is_refused),
        cmocka_unit_test(empty_and_overlong_names_are_refused),
        cmocka_unit_test(a_name_with_a_nul_inside_is_refused),
        cmocka_unit_test(a_list_longer_than_its_extension_is_refused),
        cmocka_unit_test(the_highest_version_is_that_of_supported_versions),
        cmocka_unit_test(half_a_version_is_refused),
        cmocka_unit_test(alpn_protocols_are_known_by_their_whole_name),
        cmocka_unit_test(an_empty_alpn_name_is_refused),
        cmocka_unit_test(ssl_3_is_a_protocol_version_nobody_speaks),
        cmocka_unit_test(a_message_of_16_kib_is_read_and_a_byte_more_is_refused),
        cmocka_unit_test(a_smaller_limit_is_kept),
        cmocka_unit_test(a_message_cut_into_absurdly_many_records_is_refused),
        cmocka_unit_test(a_record_over_16_kib_is_refused_by_its_header),
        cmocka_unit_test(framing_goes_over_each_byte_once),
        cmocka_unit_test(every_cut_before_the_end_asks_for_more),
        cmocka_unit_test(every_length_field_off_by_one_is_refused_or_waited_for),
        cmocka_unit_test(ssl_2_is_told_about_the_version),
        cmocka_unit_test(plain_http_is_told_nothing),
        cmocka_unit_test(garbage_is_an_unexpected_message),
        cmocka_unit_test(another_handshake_message_is_unexpected),
        cmocka_unit_test(another_record_in_the_middle_is_unexpected),
        cmocka_unit_test(an_empty_record_is_refused),
        cmocka_unit_test(a_record_of_another_major_version_is_refused),
        cmocka_unit_test(what_follows_the_hello_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
