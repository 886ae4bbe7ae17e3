/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_proxy.c - PROXY headers at every fragmentation: what is good says what it says, what is bad is refused as soon as it is bad.
 */
#include "core/proxy.h"
#include "tenants/network.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x07\xc6\x33\x64\x01\xc8\x22\x01\xbb" /* 192.0.2.7:51234 198.51.100.1:443 */

/* Each length in a block of exactly its size, so that reading on is seen. */
static enum proxy_step read_exactly(const uint8_t *data, size_t length, struct proxy_header *h) {
    uint8_t *copy = malloc(length ? length : 1);
    memcpy(copy, data, length);
    enum proxy_step step = proxy_read(copy, length, h);
    free(copy);
    return step;
}

static void says(const char *header, size_t length, const char *source, const char *destination) {
    struct proxy_header h;
    char text[ADDRESS_TEXT_MAX];
    uint8_t whole[PROXY_V2_MOST + 16];
    memcpy(whole, header, length);
    memcpy(whole + length, "GET / HTTP", 10); /* what follows is none of ours */
    for (size_t n = 1; n < length; n++)
        assert_int_equal(read_exactly(whole, n, &h), PROXY_MORE);
    for (size_t n = length; n <= length + 10; n++) {
        assert_int_equal(read_exactly(whole, n, &h), PROXY_DONE);
        assert_int_equal(h.length, length);
    }
    if (!source) {
        assert_int_equal(h.source.any.sa_family, 0);
        return;
    }
    address_print(&h.source, text);
    assert_string_equal(text, source);
    address_print(&h.destination, text);
    assert_string_equal(text, destination);
}
#define SAYS(header, source, destination) says(header, sizeof(header) - 1, source, destination)

/* Bad however it comes; never taken for good on the way. */
static void refused(const char *header, size_t length) {
    struct proxy_header h;
    enum proxy_step step = PROXY_MORE;
    for (size_t n = 1; n <= length && step == PROXY_MORE; n++)
        step = read_exactly((const uint8_t *)header, n, &h);
    if (step != PROXY_BAD)
        fail_msg("not refused: %.*s", (int)length, header);
}
#define REFUSED(header) refused(header, sizeof(header) - 1)

static void version_1_says_who_the_client_is(void **state) {
    (void)state;
    SAYS("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n", "192.0.2.7:51234", "198.51.100.1:443");
    SAYS("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535",
         "255.255.255.255:65535");
    SAYS("PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n", "[2001:db8::7]:51234",
         "[2001:db8::1]:443");
    SAYS("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    SAYS("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 2\r\n", "192.0.2.7:1",
         "198.51.100.1:2"); /* lists of prefixes know it as IPv4 */
}

static void version_1_may_not_know(void **state) {
    (void)state;
    SAYS("PROXY UNKNOWN\r\n", NULL, NULL);
    SAYS("PROXY UNKNOWN ffff::1 whatever it says\r\n", NULL, NULL);
}

static void version_1_is_strict(void **state) {
    (void)state;
    REFUSED("GET / HTTP/1.1\r\n");
    REFUSED("PROXI");
    REFUSED("proxy TCP4 192.0.2.7 198.51.100.1 51234 443\r\n");
    REFUSED("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\n");
    REFUSED("PROXY TCP4 192.0.2.7 198.51.100.1 51234\r\n");
    REFUSED("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443 \r\n");
    REFUSED("PROXY TCP4  192.0.2.7 198.51.100.1 51234 443\r\n");
    REFUSED("PROXY TCP4 192.0.2.07 198.51.100.1 51234 443\r\n");
    REFUSED("PROXY TCP4 192.0.2 198.51.100.1 51234 443\r\n");
    REFUSED("PROXY TCP4 2001:db8::7 2001:db8::1 51234 443\r\n");
    REFUSED("PROXY TCP6 192.0.2.7 198.51.100.1 51234 443\r\n");
    REFUSED("PROXY TCP4 192.0.2.7 198.51.100.1 051234 443\r\n");
    REFUSED("PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n");
    REFUSED("PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n");
    REFUSED("PROXY UDP4 192.0.2.7 198.51.100.1 51234 443\r\n");
    REFUSED("PROXY UNKNOWNS\r\n");
    REFUSED("PROXY \r\n");
    REFUSED("PROXY TCP4 192.0.2.7\0 198.51.100.1 51234 443\r\n");
    REFUSED("PROXY TCP4 192.0.2.7\r198.51.100.1 51234 443\r\n");
    char line[200];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14); /* 107 bytes, and no more */
    refused(line, PROXY_V1_MOST);
    memcpy(line + PROXY_V1_MOST - 2, "\r\n", 2);
    says(line, PROXY_V1_MOST, NULL, NULL);
}

static void version_2_says_who_the_client_is(void **state) {
    (void)state;
    SAYS(SIG "\x21\x11\x00\x0c" V4, "192.0.2.7:51234", "198.51.100.1:443");
    SAYS(SIG "\x21\x21\x00\x24"
             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
             "\xc8\x22\x01\xbb",
         "[2001:db8::7]:51234", "[2001:db8::1]:443");
}

static void version_2_takes_tlvs_and_skips_them(void **state) {
    (void)state;
    /* ALPN, an authority, and one nobody knows */
    static const char good[] = SIG "\x21\x11\x00\x1b" V4 "\x01\x00\x02h2"
                                   "\x02\x00\x01"
                                   "a"
                                   "\xee\x00\x03xyz"; /* 5 + 4 + 6 */
    says(good, sizeof good - 1, "192.0.2.7:51234", "198.51.100.1:443");
    REFUSED(SIG "\x21\x11\x00\x0e" V4 "\x01\x00");      /* half a head */
    REFUSED(SIG "\x21\x11\x00\x10" V4 "\x01\x00\x02h"); /* longer than the header */
}

static uint32_t castagnoli(const uint8_t *data, size_t length) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < length * 8; i++) {
        uint32_t low = (crc ^ (uint32_t)(data[i / 8] >> i % 8)) & 1;
        crc = crc >> 1 ^ (low ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* RFC 3720 appendix B.4, written once more: the check value of "123456789" keeps both honest. */
static void version_2_checks_its_checksum(void **state) {
    (void)state;
    uint8_t header[35];
    memcpy(header, SIG "\x21\x11\x00\x13" V4 "\x03\x00\x04\0\0\0\0", 35);
    assert_int_equal(castagnoli((const uint8_t *)"123456789", 9), 0xe3069283);
    uint32_t crc = castagnoli(header, sizeof header);
    for (int i = 0; i < 4; i++)
        header[31 + i] = (uint8_t)(crc >> (24 - 8 * i));
    says((char *)header, sizeof header, "192.0.2.7:51234", "198.51.100.1:443");
    for (size_t at = 16; at < sizeof header; at++) {
        if (at == 28) /* the TLV's type: without it there is no checksum */
            continue;
        header[at] ^= 0x10; /* one bit is enough */
        struct proxy_header h;
        assert_int_equal(read_exactly(header, sizeof header, &h), PROXY_BAD);
        header[at] ^= 0x10;
    }
}

static void version_2_may_speak_for_the_proxy_itself(void **state) {
    (void)state;
    SAYS(SIG "\x20\x00\x00\x00", NULL, NULL);
    SAYS(SIG "\x20\x11\x00\x0c" V4, NULL, NULL); /* LOCAL: what it carries is skipped */
    SAYS(SIG "\x21\x00\x00\x00", NULL, NULL);    /* UNSPEC */
    SAYS(SIG "\x21\x00\x00\x03"
             "abc",
         NULL, NULL);
    char local[16 + 216] = SIG "\x21\x31\x00\xd8/run/client.sock";
    says(local, sizeof local, NULL, NULL);
}

static void version_2_is_strict(void **state) {
    (void)state;
    REFUSED("\r\n\r\n\0\r\nQUIT\r");
    REFUSED(SIG "\x11\x11\x00\x0c" V4); /* version 1 in binary */
    REFUSED(SIG "\x22\x11\x00\x0c" V4); /* no such command */
    REFUSED(SIG "\x21\x12\x00\x0c" V4); /* UDP */
    REFUSED(SIG "\x21\x41\x00\x0c" V4); /* no such family */
    REFUSED(SIG "\x21\x11\x00\x0b" V4); /* too short for its family */
    REFUSED(SIG "\x21\x21\x00\x0c" V4);
    REFUSED(SIG "\x21\x31\x00\x0c" V4);
    REFUSED(SIG "\x21\x11\xff\xff"); /* 64 KiB of TLVs: refused before they have come */
    uint8_t most[PROXY_V2_MOST] = SIG "\x20\x00";
    most[14] = (PROXY_V2_MOST - 16) >> 8;
    most[15] = (PROXY_V2_MOST - 16) & 255;
    says((char *)most, sizeof most, NULL, NULL);
}

static void what_is_written_is_read_back(void **state) {
    static const char *const pairs[][2] = {{"192.0.2.7", "198.51.100.1"},
                                           {"2001:db8::7", "2001:db8::1"},
                                           {"0.0.0.0", "255.255.255.255"},
                                           {"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0"}};
    (void)state;
    for (unsigned version = 1; version <= 2; version++)
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            union address from, to;
            uint8_t out[PROXY_WRITE_MOST];
            char a[ADDRESS_TEXT_MAX], b[ADDRESS_TEXT_MAX];
            assert_true(address_parse(pairs[i][0], 51234, &from));
            assert_true(address_parse(pairs[i][1], 443, &to));
            address_print(&from, a);
            address_print(&to, b);
            says((char *)out, proxy_write(version, &from, &to, out), a, b);
        }
}

static void what_is_not_known_is_said_so(void **state) {
    (void)state;
    union address none = {0}, v4, v6;
    uint8_t out[PROXY_WRITE_MOST];
    assert_true(address_parse("192.0.2.7", 1, &v4) && address_parse("2001:db8::7", 2, &v6));
    for (unsigned version = 1; version <= 2; version++) {
        says((char *)out, proxy_write(version, &none, &none, out), NULL, NULL);
        says((char *)out, proxy_write(version, &v4, &v6, out), NULL, NULL);
    }
}

/* ---- where none may be ---- */

static bool watched(const char *data, size_t length, size_t step, size_t *ret_passed) {
    struct proxy_watch w = {0};
    *ret_passed = 0;
    for (size_t at = 0; at < length; at += step) {
        size_t n = length - at < step ? length - at : step;
        if (proxy_watch(&w, (const uint8_t *)data + at, n))
            return true;
        *ret_passed += n;
    }
    return false;
}

static void a_header_where_none_may_be_is_seen_before_it_is_whole(void **state) {
    (void)state;
    static const char one[] = "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", two[] = SIG "\x20\x00\x00\x00";
    size_t passed;
    for (size_t step = 1; step < sizeof one; step++) {
        assert_true(watched(one, sizeof one - 1, step, &passed));
        assert_true(passed < PROXY_WORD);
    }
    for (size_t step = 1; step < sizeof two; step++) {
        assert_true(watched(two, sizeof two - 1, step, &passed));
        assert_true(passed < PROXY_SIGNATURE);
    }
}

static void what_only_begins_like_one_passes(void **state) {
    (void)state;
    static const char *const good[] = {"P",        "PROX",    "PROXIMITY", "\r\n",  "\r\n\r\nhello",
                                       "PRPROXY ", "xPROXY ", "\r\rn",     "GET /", "PROXY\r\n"};
    size_t passed;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t step = 1; step <= strlen(good[i]); step++) {
            assert_false(watched(good[i], strlen(good[i]), step, &passed));
            assert_int_equal(passed, strlen(good[i]));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_says_who_the_client_is),
        cmocka_unit_test(version_1_may_not_know),
        cmocka_unit_test(version_1_is_strict),
        cmocka_unit_test(version_2_says_who_the_client_is),
        cmocka_unit_test(version_2_takes_tlvs_and_skips_them),
        cmocka_unit_test(version_2_checks_its_checksum),
        cmocka_unit_test(version_2_may_speak_for_the_proxy_itself),
        cmocka_unit_test(version_2_is_strict),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(what_is_not_known_is_said_so),
        cmocka_unit_test(a_header_where_none_may_be_is_seen_before_it_is_whole),
        cmocka_unit_test(what_only_begins_like_one_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
