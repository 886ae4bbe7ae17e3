/* SPDX-License-Identifier: GPL-3.0-or-later
 * DNS UPDATE with TSIG: byte for byte what RFC 2136 and RFC 8945 say, and taken by a real server: knotd, on a port of its own,
 * started and ended here.
 * link: modules/acme/update.c
 */
#include <wolfssl/options.h>

#include "modules/acme/update.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include <cmocka.h>

static struct err err;
static struct tsig_key key;
static const struct update add = {.zone = "example.com",
                                  .name = "_acme-challenge.example.com",
                                  .text = "LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo",
                                  .ttl = 60};

/* --- bytes -----------------------------------------------------------------------------------*/

static void hex(const uint8_t *bytes, size_t length, char *out) {
    for (size_t i = 0; i < length; i++)
        sprintf(out + 2 * i, "%02x", bytes[i]);
}

static void key_make(void) {
    assert_true(tsig_key_parse("hmac-sha256:Acme.Key.:c2VjcmV0IG9mIHRoZSBlZGdl", &key, &err));
    assert_string_equal(key.name, "acme.key");
    assert_memory_equal(key.secret, "secret of the edge", key.secret_length);
    assert_int_equal(key.secret_length, 18);
}

#define MAC_OF_REQUEST "108ff0143f681727671dabed498f40165f16af426a95cf4a5a3ffb5c1583ff11"

/* The MAC was computed with Python's hmac over what RFC 8945 section 4.3 lists. */
static void a_request_is_these_bytes(void **state) {
    uint8_t out[UPDATE_MESSAGE_MAX], mac[UPDATE_MAC_LENGTH];
    char text[2 * UPDATE_MESSAGE_MAX + 1];
    (void)state;
    key_make();
    size_t n = update_build(&add, &key, 0x1234, 1700000000, out, mac);
    hex(out, n, text);
    assert_string_equal(
        text, "123428000001000000010001"
              "076578616d706c6503636f6d0000060001"
              "0f5f61636d652d6368616c6c656e6765076578616d706c6503636f6d00001000010000003c002c2b"
              "4c50734977546f376f38426f47302d766a437947514742575356495078492d695f5833333665554f"
              "515a6f"
              "0461636d65036b65790000fa00ff00000000003d0b686d61632d73686132353600"
              "00006553f100012c0020" MAC_OF_REQUEST "123400000000");
    hex(mac, sizeof mac, text);
    assert_string_equal(text, MAC_OF_REQUEST);
}

static void a_text_of_many_strings_and_both_ways_to_remove(void **state) {
    uint8_t out[UPDATE_MESSAGE_MAX], mac[UPDATE_MAC_LENGTH];
    char text[UPDATE_TEXT_MAX + 2];
    struct update u = add;
    (void)state;
    key_make();
    memset(text, 'x', sizeof text);
    text[UPDATE_TEXT_MAX + 1] = 0;
    u.text = text;
    assert_int_equal(update_build(&u, &key, 1, 1, out, mac), 0);
    text[510] = 0;
    size_t n = update_build(&u, &key, 1, 1, out, mac);
    assert_true(n > 600);
    const uint8_t *data = out + 12 + 17 + 29 + 8; /* header, zone, name, type to ttl */
    assert_int_equal(data[0] << 8 | data[1], 512);
    assert_int_equal(data[2], 255);
    assert_int_equal(data[2 + 256], 255);
    u.remove = true;
    u.text = "t";
    update_build(&u, &key, 1, 1, out, mac);
    assert_int_equal(out[12 + 17 + 29 + 3], 254);
    u.text = NULL;
    update_build(&u, &key, 1, 1, out, mac);
    assert_int_equal(out[12 + 17 + 29 + 3], 255);
    u.remove = false;
    assert_int_equal(update_build(&u, &key, 1, 1, out, mac), 0);
}

static void names_that_are_none_make_no_message(void **state) {
    static const char *const bad[] = {"", ".", "a..b", ".a"};
    uint8_t out[UPDATE_MESSAGE_MAX], mac[UPDATE_MAC_LENGTH];
    char label[80];
    struct update u = add;
    (void)state;
    key_make();
    for (size_t i = 0; i < 4; i++) {
        u.name = bad[i];
        assert_int_equal(update_build(&u, &key, 1, 1, out, mac), 0);
    }
    memset(label, 'a', sizeof label);
    label[64] = 0;
    u.name = label;
    assert_int_equal(update_build(&u, &key, 1, 1, out, mac), 0);
    label[63] = 0;
    assert_true(update_build(&u, &key, 1, 1, out, mac) > 0);
}

static void keys_are_read_and_others_are_refused_without_their_secret(void **state) {
    static const char *const bad[] = {
        "", "name", "name:", ":c2Vj", "name:%%%%", "hmac-md5:name:c2VjcmV0", "a..b:c2VjcmV0"};
    (void)state;
    assert_true(tsig_key_parse("name:c2VjcmV0", &key, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(tsig_key_parse(bad[i], &key, &err));
        assert_null(strstr(err.text, "c2VjcmV0"));
    }
}

/* --- answers ---------------------------------------------------------------------------------*/

struct answer {
    uint8_t data[512];
    size_t length;
};

/* As a server makes it: the header with `rcode`, and a TSIG over the request's MAC. */
static void answer_make(struct answer *a, uint16_t id, int rcode, int error, uint64_t now,
                        const uint8_t request_mac[32]) {
    static const uint8_t name[] = "\4acme\3key", algorithm[] = "\13hmac-sha256";
    uint8_t variables[128], times[10] = {0}, length[2] = {0, 32};
    Hmac hmac;
    memset(a, 0, sizeof *a);
    a->data[0] = (uint8_t)(id >> 8);
    a->data[1] = (uint8_t)id;
    a->data[2] = 0xa8;
    a->data[3] = (uint8_t)rcode;
    for (int i = 0; i < 6; i++)
        times[i] = (uint8_t)(now >> 8 * (5 - i));
    times[6] = 1;
    times[7] = 44;
    uint8_t *v = variables;
    memcpy(v, name, sizeof name);
    v += sizeof name;
    memcpy(v, "\0\377\0\0\0\0", 6);
    v += 6;
    memcpy(v, algorithm, sizeof algorithm);
    v += sizeof algorithm;
    memcpy(v, times, 8);
    v += 8;
    memcpy(v, (uint8_t[]){0, (uint8_t)error, 0, 0}, 4);
    v += 4;
    uint8_t mac[32];
    assert_int_equal(wc_HmacInit(&hmac, NULL, INVALID_DEVID), 0);
    wc_HmacSetKey(&hmac, WC_SHA256, key.secret, (word32)key.secret_length);
    wc_HmacUpdate(&hmac, length, 2);
    wc_HmacUpdate(&hmac, request_mac, 32);
    wc_HmacUpdate(&hmac, a->data, 12);
    wc_HmacUpdate(&hmac, variables, (word32)(v - variables));
    wc_HmacFinal(&hmac, mac);
    wc_HmacFree(&hmac);
    a->data[11] = 1;
    uint8_t *p = a->data + 12;
    memcpy(p, name, sizeof name);
    p += sizeof name;
    memcpy(p, "\0\372\0\377\0\0\0\0\0\75", 10);
    p += 10;
    memcpy(p, algorithm, sizeof algorithm);
    p += sizeof algorithm;
    memcpy(p, times, 8);
    p += 8;
    memcpy(p, length, 2);
    memcpy(p + 2, mac, 32);
    p += 34;
    memcpy(p, (uint8_t[]){(uint8_t)(id >> 8), (uint8_t)id, 0, (uint8_t)error, 0, 0}, 6);
    a->length = (size_t)(p + 6 - a->data);
}

static void an_answer_counts_only_when_it_is_signed_for_this_request(void **state) {
    uint8_t mac[32] = {1, 2, 3}, other[32] = {4};
    struct answer a;
    char why[64];
    (void)state;
    key_make();
    answer_make(&a, 7, 0, 0, 1000, mac);
    assert_int_equal(update_read(a.data, a.length, 7, &key, mac, 1000, why), UPDATE_DONE);
    assert_int_equal(update_read(a.data, a.length, 7, &key, mac, 1300, why), UPDATE_DONE);
    assert_int_equal(update_read(a.data, a.length, 7, &key, mac, 1301, why), UPDATE_FOREIGN);
    assert_int_equal(update_read(a.data, a.length, 8, &key, mac, 1000, why), UPDATE_FOREIGN);
    assert_int_equal(update_read(a.data, a.length, 7, &key, other, 1000, why), UPDATE_FOREIGN);
    for (size_t i = 0; i < a.length; i++) { /* each byte is needed, and none more */
        assert_int_equal(update_read(a.data, i, 7, &key, mac, 1000, why), UPDATE_FOREIGN);
        a.data[i] ^= 1;
        assert_int_not_equal(update_read(a.data, a.length, 7, &key, mac, 1000, why), UPDATE_DONE);
        a.data[i] ^= 1;
    }
    assert_int_equal(update_read(a.data, a.length + 1, 7, &key, mac, 1000, why), UPDATE_FOREIGN);
}

static void a_refusal_says_why(void **state) {
    static const uint8_t unsigned_answer[12] = {0, 7, 0xa8, 5};
    uint8_t mac[32] = {1};
    struct answer a;
    char why[64];
    (void)state;
    key_make();
    answer_make(&a, 7, 5, 0, 1000, mac);
    assert_int_equal(update_read(a.data, a.length, 7, &key, mac, 1000, why), UPDATE_REFUSED);
    assert_string_equal(why, "REFUSED");
    answer_make(&a, 7, 9, 18, 99999, mac);
    assert_int_equal(update_read(a.data, a.length, 7, &key, mac, 1000, why), UPDATE_REFUSED);
    assert_non_null(strstr(why, "clocks"));
    assert_int_equal(update_read(unsigned_answer, 12, 7, &key, mac, 1000, why), UPDATE_REFUSED);
    assert_int_equal(update_read(unsigned_answer, 12, 6, &key, mac, 1000, why), UPDATE_FOREIGN);
}

/* --- a real server ---------------------------------------------------------------------------*/

static char folder[64], server[32];
static pid_t knot;
static unsigned port;

__attribute__((format(printf, 2, 3))) static void file_write(const char *name, const char *format,
                                                             ...) {
    char path[160];
    va_list list;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    va_start(list, format);
    vfprintf(f, format, list);
    va_end(list);
    fclose(f);
}

static unsigned port_free(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    close(fd);
    return ntohs(address.sin_port);
}

static int knot_start(void **state) {
    char conf[160];
    (void)state;
    strcpy(folder, "/tmp/ringress-knot-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    port = port_free();
    snprintf(server, sizeof server, "127.0.0.1:%u", port);
    file_write("knot.conf",
               "server:\n  listen: 127.0.0.1@%u\n  rundir: %s\n  user: %s\n"
               "database:\n  storage: %s\n"
               "control:\n  listen: knot.sock\n"
               "key:\n  - id: acme.key\n    algorithm: hmac-sha256\n"
               "    secret: c2VjcmV0IG9mIHRoZSBlZGdl\n"
               "acl:\n  - id: acme\n    key: acme.key\n    action: update\n"
               "    update-type: [TXT]\n"
               "zone:\n  - domain: example.com\n    file: %s/zone\n    acl: acme\n",
               port, folder, geteuid() ? "" : "root", folder, folder);
    file_write("zone", "$ORIGIN example.com.\n@ 60 SOA ns a 1 60 60 60 60\n@ 60 NS ns\n"
                       "ns 60 A 127.0.0.1\n");
    snprintf(conf, sizeof conf, "%s/knot.conf", folder);
    knot = fork();
    if (!knot) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(126);
        execlp("knotd", "knotd", "-c", conf, NULL);
        execl("/usr/sbin/knotd", "knotd", "-c", conf, NULL);
        _exit(127);
    }
    return knot > 0 ? 0 : -1;
}

static int knot_stop(void **state) {
    char command[160];
    int status;
    (void)state;
    kill(knot, SIGTERM);
    waitpid(knot, &status, 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* The TXT that the server has at `name`, one after the other, as kdig prints them. */
static const char *texts(const char *name) {
    static char out[4096];
    char command[256];
    snprintf(command, sizeof command, "kdig @127.0.0.1 -p %u +short +time=2 %s TXT", port, name);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    out[fread(out, 1, sizeof out - 1, f)] = 0;
    pclose(f);
    return out;
}

static void send_good(const struct update *u) {
    if (!update_send(server, u, &key, &err))
        fail_msg("%s", err.text);
}

static void server_wait(void) {
    time_t end = time(NULL) + 60;
    struct timespec moment = {.tv_nsec = 50000000};
    struct update none = add;
    none.remove = true;
    while (!update_send(server, &none, &key, &err) && time(NULL) < end)
        nanosleep(&moment, NULL);
}

static void knot_takes_a_record_twice_and_gives_it_up_again(void **state) {
    struct update second = add, gone = add;
    char expected[160];
    (void)state;
    key_make();
    server_wait();
    send_good(&add);
    send_good(&add);
    snprintf(expected, sizeof expected, "\"%s\"\n", add.text);
    assert_string_equal(texts(add.name), expected);
    second.text = "another";
    send_good(&second); /* a name and its wildcard are proved at one place */
    assert_non_null(strstr(texts(add.name), "\"another\""));
    gone.remove = true;
    send_good(&gone);
    send_good(&gone);
    assert_string_equal(texts(add.name), "\"another\"\n");
    gone.text = NULL;
    send_good(&gone);
    assert_string_equal(texts(add.name), "");
}

static void knot_refuses_and_says_why(void **state) {
    struct tsig_key wrong;
    struct update elsewhere = add;
    (void)state;
    key_make();
    server_wait();
    wrong = key;
    wrong.secret[0] ^= 1;
    assert_false(update_send(server, &add, &wrong, &err));
    assert_non_null(strstr(err.text, "BADSIG"));
    strcpy(wrong.name, "nobody.knows");
    assert_false(update_send(server, &add, &wrong, &err));
    assert_non_null(strstr(err.text, "BADKEY"));
    elsewhere.zone = "example.org";
    elsewhere.name = "_acme-challenge.example.org";
    assert_false(update_send(server, &elsewhere, &key, &err));
    assert_non_null(strstr(err.text, "NOTAUTH"));
    assert_string_equal(texts(add.name), "");
}

static void nobody_there_is_an_error_and_not_a_wait(void **state) {
    char nobody[32];
    (void)state;
    key_make();
    snprintf(nobody, sizeof nobody, "127.0.0.1:%u", port_free());
    assert_false(update_send(nobody, &add, &key, &err));
    assert_non_null(strstr(err.text, "no answer"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_these_bytes),
        cmocka_unit_test(a_text_of_many_strings_and_both_ways_to_remove),
        cmocka_unit_test(names_that_are_none_make_no_message),
        cmocka_unit_test(keys_are_read_and_others_are_refused_without_their_secret),
        cmocka_unit_test(an_answer_counts_only_when_it_is_signed_for_this_request),
        cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(knot_takes_a_record_twice_and_gives_it_up_again),
        cmocka_unit_test(knot_refuses_and_says_why),
        cmocka_unit_test(nobody_there_is_an_error_and_not_a_wait),
    };
    return cmocka_run_group_tests(tests, knot_start, knot_stop);
}
