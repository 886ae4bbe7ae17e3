/* SPDX-License-Identifier: GPL-3.0-or-later
 * Looks at names: what a DNS server says is what is seen, unjudged. The server is a thread of this test on a port of its own,
 * answering from a table; libunbound and everything above it are the real ones.
 * link: edge/dns.c edge/loop.c modules/acme/caa.c
 */
#include "core/resolver.h"
#include "edge/dns.h"
#include "modules/acme/caa.h"
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unbound.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the server ------------------------------------------------------------------------------*/

enum { A = 1, CNAME = 5, TXT = 16, AAAA = 28, CAA = 257, SERVFAIL = -2, SILENCE = -3 };

struct record {
    const char *name;
    int type; /* or what happens to every question for this name */
    const char *data;
};
static const struct record empty[] = {{0}}, *zone = empty;
static pthread_mutex_t zone_lock = PTHREAD_MUTEX_INITIALIZER; /* also over what it holds */
static int server_fd;
static pthread_t server_thread;
static atomic_bool server_ending;

struct packet {
    unsigned char data[65000];
    size_t length;
};

static void put16(struct packet *p, unsigned value) {
    p->data[p->length++] = (unsigned char)(value >> 8);
    p->data[p->length++] = (unsigned char)value;
}

static size_t wire_name(const char *text, unsigned char *out) {
    size_t n = 0;
    while (*text) {
        size_t label = strcspn(text, ".");
        out[n++] = (unsigned char)label;
        memcpy(out + n, text, label);
        n += label;
        text += label + (text[label] == '.');
    }
    out[n++] = 0;
    return n;
}

/* Texts are cut into strings of 255; a CAA record is "issue VALUE". */
static size_t wire_data(const struct record *r, unsigned char *out) {
    size_t n = 0;
    if (r->type == A)
        return inet_pton(AF_INET, r->data, out) == 1 ? 4 : 0;
    if (r->type == AAAA)
        return inet_pton(AF_INET6, r->data, out) == 1 ? 16 : 0;
    if (r->type == CNAME)
        return wire_name(r->data, out);
    if (r->type == CAA) {
        out[0] = 0;
        out[1] = 5;
        strcpy((char *)out + 2, r->data);
        memmove(out + 7, out + 8, strlen(r->data) - 5);
        return 2 + strlen(r->data) - 1;
    }
    for (size_t left = strlen(r->data), at = 0; left;) {
        size_t most = left > 255 ? 255 : left;
        out[n++] = (unsigned char)most;
        memcpy(out + n, r->data + at, most);
        n += most;
        at += most;
        left -= most;
    }
    return n;
}

static size_t question_read(const struct packet *p, char name[256], int *ret_type) {
    size_t at = 12, n = 0;
    while (at < p->length && p->data[at]) {
        size_t label = p->data[at++];
        if (n)
            name[n++] = '.';
        memcpy(name + n, p->data + at, label);
        n += label;
        at += label;
    }
    name[n] = 0;
    *ret_type = p->data[at + 1] << 8 | p->data[at + 2];
    return at + 5;
}

static void record_add(struct packet *p, const struct record *r) {
    unsigned char data[4096];
    size_t length = wire_data(r, data);
    p->length += wire_name(r->name, p->data + p->length);
    put16(p, (unsigned)r->type);
    put16(p, 1);
    put16(p, 0);
    put16(p, 60);
    put16(p, (unsigned)length);
    memcpy(p->data + p->length, data, length);
    p->length += length;
}

/* What tells how long an absence may be remembered: an hour, which nobody should. */
static void soa_add(struct packet *p) {
    static const unsigned char data[] = "\0\0\0\0\0\1\0\0\16\20\0\0\16\20\0\0\16\20\0\0\16\20";
    p->data[p->length++] = 0; /* of the root */
    put16(p, 6);
    put16(p, 1);
    put16(p, 0);
    put16(p, 3600);
    put16(p, sizeof data - 1);
    memcpy(p->data + p->length, data, sizeof data - 1);
    p->length += sizeof data - 1;
    p->data[9] = 1;
}

/* Aliases are followed as a real server does. False: nothing is said. */
static bool answer_make(const struct packet *question, struct packet *p) {
    char name[256];
    const char *at = name;
    int type, count = 0;
    bool known = false;
    p->length = question_read(question, name, &type);
    memcpy(p->data, question->data, p->length);
    for (const struct record *r = zone; r->name && count < 100; r++) {
        if (strcasecmp(r->name, at) != 0)
            continue;
        if (r->type == SILENCE)
            return false;
        known = true;
        p->data[3] = r->type == SERVFAIL ? 2 : 0;
        if (r->type != type && r->type != CNAME)
            continue;
        record_add(p, r);
        count++;
        if (r->type == CNAME && type != CNAME && count < 12) {
            at = r->data;
            r = zone - 1;
        }
    }
    p->data[2] = 0x85;
    p->data[3] = known ? p->data[3] : 3;
    memset(p->data + 6, 0, 6);
    p->data[7] = (unsigned char)count;
    if (!count && p->data[3] != 2)
        soa_add(p);
    return true;
}

static void *server_run(void *user) {
    static struct packet question, answer;
    struct sockaddr_in from;
    (void)user;
    while (!server_ending) {
        socklen_t size = sizeof from;
        struct pollfd fd = {.fd = server_fd, .events = POLLIN};
        if (poll(&fd, 1, 20) <= 0)
            continue;
        ssize_t n = recvfrom(server_fd, question.data, sizeof question.data, 0,
                             (struct sockaddr *)&from, &size);
        question.length = n > 0 ? (size_t)n : 0;
        pthread_mutex_lock(&zone_lock);
        bool answered = n > 12 && answer_make(&question, &answer);
        pthread_mutex_unlock(&zone_lock);
        if (answered)
            sendto(server_fd, answer.data, answer.length, 0, (struct sockaddr *)&from, size);
    }
    return NULL;
}

static void zone_set(const struct record *records) {
    pthread_mutex_lock(&zone_lock);
    zone = records;
    pthread_mutex_unlock(&zone_lock);
}

static int server_start(void **state) {
    static char text[32], *servers[] = {text};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct err err;
    (void)state;
    server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(server_fd, (struct sockaddr *)&address, size) ||
        getsockname(server_fd, (struct sockaddr *)&address, &size))
        return -1;
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.sin_port));
    if (!resolver_configure(&(struct resolver_conf){.server = servers, .server_count = 1}, &err))
        return -1;
    return pthread_create(&server_thread, NULL, server_run, NULL);
}

static int server_stop(void **state) {
    (void)state;
    server_ending = true;
    pthread_join(server_thread, NULL);
    return close(server_fd);
}

/* --- the looker ------------------------------------------------------------------------------*/

static struct loop loop;
static atomic_int minutes_passed;

/* When it can't have its pipe libunbound keeps what it had made of the context: its leak, not ours to mend. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libunbound";
}

/* In place of libc's, so that minutes can pass. */
int clock_gettime(clockid_t clock, struct timespec *ret) {
    int error = (int)syscall(SYS_clock_gettime, clock, ret);
    if (!error && clock == CLOCK_MONOTONIC)
        ret->tv_sec += 60 * minutes_passed;
    return error;
}

static struct dns_seen seen;
static unsigned seen_count, settled_count;

static void note_seen(void *user, const struct name_check *check, const struct dns_seen *what) {
    (void)user, (void)check;
    seen = *what;
    seen_count++;
}

static void note_settled(void *user) {
    (void)user;
    settled_count++;
}

static const struct dns_events events = {note_seen, note_settled};

static struct name_check check_of(const char *name) {
    struct name_check check = {.probe = {"probe-1", "probe-2"}, .uid = "u"};
    check.wildcard = !strncmp(name, "*.", 2);
    snprintf(check.name, sizeof check.name, "%s", check.wildcard ? name + 2 : name);
    return check;
}

static void loop_until(unsigned count) {
    for (int turns = 0; seen_count < count && turns < 3000; turns++)
        loop_turn(&loop, 10000000);
    assert_int_equal(seen_count, count);
}

static const struct dns_seen *look(const struct record *records, const char *name) {
    struct name_check check = check_of(name);
    zone_set(records);
    seen_count = 0;
    struct dns *d = dns_new(&loop, &events, NULL);
    dns_look(d, &check);
    loop_until(1);
    assert_int_equal(dns_room(d), DNS_LOOKS_MAX);
    dns_free(d);
    loop_fini(&loop);
    zone_set(empty); /* the caller may change what he has brought */
    return &seen;
}

/* --- stories ---------------------------------------------------------------------------------*/

static void a_name_nobody_has_shows_nothing_of_any_kind(void **state) {
    static const struct record none[] = {{0}};
    (void)state;
    const struct dns_seen *s = look(none, "shop.example.com");
    assert_int_equal(s->chain.answer, DNS_NONE);
    assert_int_equal(s->a.answer, DNS_NONE);
    assert_int_equal(s->aaaa.answer, DNS_NONE);
    assert_int_equal(s->challenge.answer, DNS_NONE);
    assert_int_equal(s->challenge.alias.answer, DNS_NONE);
    assert_int_equal(s->probe[0].answer, DNS_UNKNOWN);
    assert_false(s->chain.secure);
}

static void each_link_of_a_chain_is_seen_in_lower_case(void **state) {
    static const struct record records[] = {{"shop.example.com", CNAME, "CDN.example.net"},
                                            {"cdn.example.net", CNAME, "acme.1d.test"},
                                            {0}};
    (void)state;
    const struct dns_seen *s = look(records, "shop.example.com");
    assert_int_equal(s->chain.answer, DNS_DATA);
    assert_int_equal(s->chain.count, 2);
    assert_string_equal(s->chain.hop[0], "cdn.example.net");
    assert_string_equal(s->chain.hop[1], "acme.1d.test");
    assert_int_equal(s->a.answer, DNS_NONE); /* a dead end behind the link that proves */
}

/* Descriptors may be there again a minute later; nobody is told a definite no meanwhile. */
static void without_a_resolver_all_is_unknown_and_a_minute_later_it_is_tried_again(void **state) {
    static const struct record one[] = {{"shop.example.com", A, "10.0.0.1"}, {0}};
    struct name_check check = check_of("shop.example.com");
    struct rlimit before, none;
    (void)state;
    zone_set(one);
    seen_count = 0;
    struct dns *d = dns_new(&loop, &events, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    dns_look(d, &check);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    loop_until(1);
    assert_int_equal(seen.a.answer, DNS_UNKNOWN);
    dns_look(d, &check); /* too early */
    loop_until(2);
    assert_int_equal(seen.a.answer, DNS_UNKNOWN);
    minutes_passed++;
    dns_look(d, &check);
    loop_until(3);
    assert_int_equal(seen.a.answer, DNS_DATA);
    dns_free(d);
    loop_fini(&loop);
}

static void a_chain_that_cannot_be_followed_to_its_end_keeps_what_it_passed(void **state) {
    static const struct record records[] = {
        {"shop.example.com", CNAME, "acme.1d.test"}, {"acme.1d.test", SERVFAIL, NULL}, {0}};
    (void)state;
    const struct dns_seen *s = look(records, "shop.example.com");
    assert_int_equal(s->chain.answer, DNS_UNKNOWN);
    assert_int_equal(s->chain.count, 1);
    assert_string_equal(s->chain.hop[0], "acme.1d.test");
    assert_int_equal(s->a.answer, DNS_UNKNOWN);
}

/* In text, "\\" begins an escape; this one is none, and can't be asked for. */
static void a_target_that_cannot_be_written_as_text_ends_its_chain(void **state) {
    static const struct record records[] = {{"shop.example.com", CNAME, "a\\9.example.com"}, {0}};
    (void)state;
    const struct dns_seen *s = look(records, "shop.example.com");
    assert_int_equal(s->chain.answer, DNS_DATA);
    assert_int_equal(s->chain.count, 1);
    assert_string_equal(s->chain.hop[0], "a?9.example.com");
}

static void a_loop_and_an_eleventh_hop_are_told(void **state) {
    static const struct record loops[] = {
        {"a.example.com", CNAME, "b.example.com"}, {"b.example.com", CNAME, "A.example.com"}, {0}};
    static char names[12][32];
    static struct record longer[13];
    (void)state;
    const struct dns_seen *s = look(loops, "a.example.com");
    assert_true(s->chain.loop);
    assert_int_equal(s->chain.answer, DNS_DATA);
    assert_int_equal(s->chain.count, 1);
    for (int i = 0; i < 12; i++)
        snprintf(names[i], sizeof names[i], "n%d.example.com", i);
    for (int i = 0; i < 11; i++)
        longer[i] = (struct record){names[i], CNAME, names[i + 1]};
    s = look(longer, "n0.example.com");
    assert_true(s->chain.too_long);
    assert_int_equal(s->chain.count, DNS_HOPS_MAX);
    longer[10] = (struct record){0};
    s = look(longer, "n0.example.com");
    assert_false(s->chain.too_long);
    assert_int_equal(s->chain.count, DNS_HOPS_MAX);
}

static void addresses_of_both_families_are_seen(void **state) {
    static const struct record records[] = {{"example.com", A, "203.0.113.7"},
                                            {"example.com", A, "203.0.113.8"},
                                            {"example.com", AAAA, "2001:db8::7"},
                                            {0}};
    char text[INET6_ADDRSTRLEN];
    (void)state;
    const struct dns_seen *s = look(records, "example.com");
    assert_int_equal(s->a.count, 2);
    assert_int_equal(s->aaaa.count, 1);
    assert_int_equal(s->aaaa.address[0].any.sa_family, AF_INET6);
    inet_ntop(AF_INET6, &s->aaaa.address[0].v6.sin6_addr, text, sizeof text);
    assert_string_equal(text, "2001:db8::7");
    assert_int_equal(s->chain.answer, DNS_NONE);
}

static void more_addresses_than_are_looked_at_are_told(void **state) {
    static struct record records[DNS_ADDRESSES_MAX + 2];
    static char text[DNS_ADDRESSES_MAX + 1][24];
    (void)state;
    for (int i = 0; i <= DNS_ADDRESSES_MAX; i++) {
        snprintf(text[i], sizeof text[i], "10.0.0.%d", i);
        records[i] = (struct record){"example.com", A, text[i]};
    }
    const struct dns_seen *s = look(records, "example.com");
    assert_int_equal(s->a.count, DNS_ADDRESSES_MAX);
    assert_true(s->a.more);
}

static void long_texts_are_joined_and_cut_and_many_are_told(void **state) {
    static char big[701];
    static struct record records[DNS_TEXTS_MAX + 2];
    static const char name[] = "_ringress-challenge.example.com";
    (void)state;
    memset(big, 'x', 300);
    records[0] = (struct record){name, TXT, big};
    const struct dns_seen *s = look(records, "example.com");
    assert_int_equal(s->challenge.count, 1);
    assert_int_equal(s->challenge.text[0].length, 300);
    memset(big, 'x', 700);
    s = look(records, "example.com");
    assert_int_equal(s->challenge.text[0].length, sizeof s->challenge.text[0].data);
    for (int i = 0; i <= DNS_TEXTS_MAX; i++)
        records[i] = (struct record){name, TXT, "v=token"};
    s = look(records, "example.com");
    assert_int_equal(s->challenge.count, DNS_TEXTS_MAX);
    assert_true(s->challenge.more);
    assert_memory_equal(s->challenge.text[63].data, "v=token", 7);
}

static void a_challenge_behind_an_alias_shows_the_alias(void **state) {
    static const struct record records[] = {
        {"_ringress-challenge.example.com", CNAME, "_ringress-challenge.acme.1d.test"},
        {"_ringress-challenge.acme.1d.test", TXT, "token"},
        {0}};
    (void)state;
    const struct dns_seen *s = look(records, "example.com");
    assert_int_equal(s->challenge.answer, DNS_DATA);
    assert_int_equal(s->challenge.alias.count, 1);
    assert_string_equal(s->challenge.alias.hop[0], "_ringress-challenge.acme.1d.test");
}

static void of_a_wildcard_its_probes_are_seen_and_nothing_of_the_name_itself(void **state) {
    static const struct record records[] = {{"probe-1.example.com", CNAME, "acme.1d.test"},
                                            {"probe-2.example.com", CNAME, "other.1d.test"},
                                            {"example.com", A, "10.0.0.1"},
                                            {0}};
    (void)state;
    const struct dns_seen *s = look(records, "*.example.com");
    assert_string_equal(s->probe[0].hop[0], "acme.1d.test");
    assert_string_equal(s->probe[1].hop[0], "other.1d.test");
    assert_int_equal(s->a.answer, DNS_UNKNOWN);
    assert_int_equal(s->challenge.answer, DNS_NONE);
}

static void silence_is_unknown_and_ends(void **state) {
    static const struct record records[] = {{"shop.example.com", SILENCE, NULL},
                                            {"_ringress-challenge.shop.example.com", TXT, "t"},
                                            {0}};
    (void)state;
    const struct dns_seen *s = look(records, "shop.example.com");
    assert_int_equal(s->chain.answer, DNS_UNKNOWN);
    assert_int_equal(s->a.answer, DNS_UNKNOWN);
    assert_int_equal(s->challenge.answer, DNS_DATA);
}

static void a_name_too_long_for_a_challenge_has_none(void **state) {
    static const struct record none[] = {{0}};
    char name[DNS_NAME_MAX + 1] = "";
    (void)state;
    for (int i = 0; i < 4; i++)
        strcat(name, i ? ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                       : "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    const struct dns_seen *s = look(none, name);
    assert_int_equal(s->challenge.answer, DNS_NONE);
    assert_int_equal(s->challenge.alias.answer, DNS_NONE);
    assert_int_equal(s->chain.answer, DNS_NONE);
}

static void what_a_look_saw_a_moment_ago_is_not_believed_for_its_absence(void **state) {
    static const struct record none[] = {{0}}, one[] = {{"shop.example.com", A, "10.0.0.1"}, {0}};
    struct name_check check = check_of("shop.example.com");
    (void)state;
    struct dns *d = dns_new(&loop, &events, NULL);
    seen_count = 0;
    zone_set(none);
    dns_look(d, &check);
    loop_until(1);
    assert_int_equal(seen.a.answer, DNS_NONE);
    zone_set(one);
    dns_look(d, &check);
    loop_until(2);
    assert_int_equal(seen.a.answer, DNS_DATA);
    dns_free(d);
    loop_fini(&loop);
}

static void dead_names_hold_their_own_places_and_nothing_else(void **state) {
    static const struct record records[] = {{"dead.example.com", SILENCE, NULL},
                                            {"_ringress-challenge.dead.example.com", SILENCE, NULL},
                                            {"good.example.com", A, "10.0.0.1"},
                                            {0}};
    struct name_check dead = check_of("dead.example.com"), good = check_of("good.example.com");
    (void)state;
    zone_set(records);
    seen_count = settled_count = 0;
    struct dns *d = dns_new(&loop, &events, NULL);
    for (int i = 1; i < DNS_LOOKS_MAX; i++)
        dns_look(d, &dead);
    assert_int_equal(dns_room(d), 1);
    dns_look(d, &good);
    loop_until(1);
    assert_int_equal(seen.a.answer, DNS_DATA);
    assert_int_equal(settled_count, 1);
    assert_int_equal(dns_room(d), 1);
    dns_free(d); /* with all of them under way */
    loop_fini(&loop);
}

static atomic_int eventfds;

/* The C library's, counted. */
int eventfd(unsigned value, int flags) {
    eventfds++;
    return (int)syscall(SYS_eventfd2, value, flags);
}

/* Each question would else open and close sixteen. */
static void only_a_first_question_looks_whether_there_are_descriptors(void **state) {
    struct name_check check = check_of("web.example.com");
    (void)state;
    zone_set(empty);
    seen_count = 0;
    struct dns *d = dns_new(&loop, &events, NULL);
    dns_look(d, &check);
    int first = eventfds;
    dns_look(d, &check);
    assert_int_equal(eventfds, first);
    assert_true(first > 0);
    loop_until(2);
    dns_free(d);
}

static void names_of_wire_format_are_read_without_believing_them(void **state) {
    char text[254];
    (void)state;
    assert_true(resolver_name_text("\3WWW\7example\0", 13, text));
    assert_string_equal(text, "www.example");
    assert_true(resolver_name_text("\3a.b\0", 5, text));
    assert_string_equal(text, "a?b");
    assert_true(resolver_name_text("\3a\\b\0", 5, text)); /* no text that asks for another name */
    assert_string_equal(text, "a?b");
    assert_true(resolver_name_text("\0", 1, text));
    assert_string_equal(text, "");
    assert_false(resolver_name_text("\3ab", 3, text));
    assert_false(resolver_name_text("\300\14", 2, text));
    assert_false(resolver_name_text("\1a", 2, text));
    assert_false(resolver_name_text("", 0, text));
    assert_false(resolver_name_text("\1a\0x", 4, text));
}

static void caa_records_are_looked_for_up_the_tree(void **state) {
    static const struct record records[] = {{"www.shop.example.com", CNAME, "cdn.example.net"},
                                            {"cdn.example.net", A, "10.0.0.1"},
                                            {"example.com", CAA, "issue ca.example.net"},
                                            {"dead.example.com", SERVFAIL, NULL},
                                            {0}};
    static struct caa_set set;
    (void)state;
    zone_set(records);
    struct ub_ctx *ctx = resolver_context();
    caa_look(ctx, "www.shop.example.com", 5000, &set);
    assert_int_equal(set.found, CAA_RECORDS);
    assert_string_equal(set.domain, "example.com");
    assert_int_equal(set.count, 1);
    assert_string_equal(set.record[0].tag, "issue");
    assert_string_equal(set.record[0].value, "ca.example.net");
    caa_look(ctx, "a.dead.example.com", 5000, &set);
    assert_int_equal(set.found, CAA_UNKNOWN);
    assert_string_equal(set.domain, "dead.example.com");
    caa_look(ctx, "shop.example.org", 5000, &set);
    assert_int_equal(set.found, CAA_NONE);
    ub_ctx_delete(ctx);
}

static void a_trust_anchor_that_is_none_is_refused(void **state) {
    char path[] = "/tmp/ringress-anchor-XXXXXX";
    struct err err;
    int fd = mkstemp(path);
    (void)state;
    assert_int_equal(write(fd, "this is no key\n", 15), 15);
    close(fd);
    assert_false(resolver_configure(&(struct resolver_conf){.trust_anchor = path}, &err));
    assert_non_null(strstr(err.text, path));
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_nobody_has_shows_nothing_of_any_kind),
        cmocka_unit_test(each_link_of_a_chain_is_seen_in_lower_case),
        cmocka_unit_test(without_a_resolver_all_is_unknown_and_a_minute_later_it_is_tried_again),
        cmocka_unit_test(a_chain_that_cannot_be_followed_to_its_end_keeps_what_it_passed),
        cmocka_unit_test(a_target_that_cannot_be_written_as_text_ends_its_chain),
        cmocka_unit_test(a_loop_and_an_eleventh_hop_are_told),
        cmocka_unit_test(addresses_of_both_families_are_seen),
        cmocka_unit_test(more_addresses_than_are_looked_at_are_told),
        cmocka_unit_test(long_texts_are_joined_and_cut_and_many_are_told),
        cmocka_unit_test(a_challenge_behind_an_alias_shows_the_alias),
        cmocka_unit_test(of_a_wildcard_its_probes_are_seen_and_nothing_of_the_name_itself),
        cmocka_unit_test(silence_is_unknown_and_ends),
        cmocka_unit_test(a_name_too_long_for_a_challenge_has_none),
        cmocka_unit_test(what_a_look_saw_a_moment_ago_is_not_believed_for_its_absence),
        cmocka_unit_test(dead_names_hold_their_own_places_and_nothing_else),
        cmocka_unit_test(only_a_first_question_looks_whether_there_are_descriptors),
        cmocka_unit_test(names_of_wire_format_are_read_without_believing_them),
        cmocka_unit_test(caa_records_are_looked_for_up_the_tree),
        cmocka_unit_test(a_trust_anchor_that_is_none_is_refused), /* last: it configures anew */
    };
    return cmocka_run_group_tests(tests, server_start, server_stop);
}
