/* SPDX-License-Identifier: GPL-3.0-or-later
 * resolver.c - one way to make a libunbound context, and a blocking question for threads that may wait.
 */
#include "core/resolver.h"
#include <ctype.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unbound.h>
#include <unistd.h>

enum { CLASS_IN = 1, RCODE_GOOD = 0, RCODE_NO_NAME = 3 };

static struct resolver_conf conf;

/* --- contexts --------------------------------------------------------------------------------*/

static const char *const options[][2] = {
    {"do-not-query-localhost:", "no"},
    {"cache-max-ttl:", "0"},
    {"cache-max-negative-ttl:", "0"},
    {"val-bogus-ttl:", "1"},
    {"aggressive-nsec:", "no"}, /* a proof that a name is missing, kept, would be a kept negative */
    {"harden-below-nxdomain:", "no"}, /* the same */
    {"infra-host-ttl:", "1"},         /* a server that was down is asked again soon */
    {"infra-keep-probing:", "yes"},
    {"num-queries-per-thread:", "2048"},
    {"outgoing-range:", "512"},
    {"outgoing-num-tcp:", "64"},
    {"unblock-lan-zones:", "yes"}, /* no answers out of a table: */
    {"local-zone:", "localhost. transparent"},
    {"local-zone:", "test. transparent"},
    {"local-zone:", "invalid. transparent"},
    {"local-zone:", "onion. transparent"},
    {"local-zone:", "home.arpa. transparent"},
};

void resolver_forward(struct ub_ctx *ctx, const char *server) {
    char text[80];
    const char *colon = strrchr(server, ':'), *bracket = strchr(server, ']');
    bool port =
        colon && (*server == '[' ? bracket && colon == bracket + 1 : strchr(server, ':') == colon);
    const char *host = *server == '[' ? server + 1 : server;
    size_t length = *server == '[' && bracket ? (size_t)(bracket - host)
                    : port                    ? (size_t)(colon - host)
                                              : strlen(host);
    snprintf(text, sizeof text, "%.*s@%s", (int)length, host, port ? colon + 1 : "53");
    ub_ctx_set_fwd(ctx, text);
}

static bool context_set(struct ub_ctx *ctx) {
    bool good = !ub_ctx_set_option(
        ctx, "module-config:", conf.trust_anchor ? "validator iterator" : "iterator");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        good = !ub_ctx_set_option(ctx, options[i][0], options[i][1]) && good;
    for (size_t i = 0; i < conf.server_count; i++)
        resolver_forward(ctx, conf.server[i]);
    if (!conf.server_count && ub_ctx_resolvconf(ctx, NULL))
        good = false;
    if (conf.trust_anchor && ub_ctx_add_ta_file(ctx, conf.trust_anchor))
        good = false;
    ub_ctx_debugout(
        ctx, NULL); /* what matters of a failure is its answer; stderr may be a log of JSON */
    return !ub_ctx_async(ctx, 1) && good;
}

enum {
    DESCRIPTORS_LEAST = 16
}; /* a context has 4, its first question takes 3, then come sockets */

static bool descriptors_are_left(void) {
    int fd[DESCRIPTORS_LEAST], count = 0;
    while (count < DESCRIPTORS_LEAST && (fd[count] = eventfd(0, EFD_CLOEXEC)) >= 0)
        count++;
    for (int i = 0; i < count; i++)
        close(fd[i]);
    return count == DESCRIPTORS_LEAST;
}

static struct ub_ctx *context_new(void) {
    struct ub_ctx *ctx = ub_ctx_create();
    if (ctx && !context_set(ctx)) {
        ub_ctx_delete(ctx);
        ctx = NULL;
    }
    return ctx;
}

struct ub_ctx *resolver_context(void) {
    return descriptors_are_left() ? context_new() : NULL;
}

/* Removing a zone that is not there makes libunbound read all it was given, which it would else do at the first question. */
bool resolver_configure(const struct resolver_conf *given, struct err *err) {
    conf = *given;
    struct ub_ctx *ctx = context_new();
    bool good = ctx && !ub_ctx_zone_remove(ctx, "ringress.invalid.");
    if (ctx)
        ub_ctx_delete(ctx);
    return good || err_set(err, "DNS: libunbound does not take %s%s",
                           conf.trust_anchor ? "the trust anchor " : "the configuration",
                           conf.trust_anchor ? conf.trust_anchor : "");
}

/* --- answers ---------------------------------------------------------------------------------*/

enum resolver_answer resolver_judge(int error, const struct ub_result *result) {
    if (error || !result || result->bogus)
        return RESOLVER_UNKNOWN;
    if (result->rcode == RCODE_NO_NAME)
        return RESOLVER_NONE;
    if (result->rcode != RCODE_GOOD)
        return RESOLVER_UNKNOWN;
    return result->havedata ? RESOLVER_DATA : RESOLVER_NONE;
}

/* What is more than a letter in the text of a name, such as the '\' of an escape, would ask for another name than was answered. */
static char letter_text(unsigned char c) {
    return c > ' ' && c < 127 && c != '.' && c != '\\' ? (char)tolower(c) : '?';
}

bool resolver_name_text(const void *wire, size_t length, char ret[254]) {
    const unsigned char *at = wire, *end = at + length;
    char text[254];
    size_t n = 0;
    while (at < end && *at) {
        size_t label = *at++;
        if (label > 63 || label >= (size_t)(end - at) || n + label + (n > 0) > 253)
            return false;
        if (n)
            text[n++] = '.';
        for (; label; label--)
            text[n++] = letter_text(*at++);
    }
    if (at != end - 1)
        return false;
    text[n] = 0;
    memcpy(ret, text, n + 1);
    return true;
}

/* --- asking ----------------------------------------------------------------------------------*/

/* A context's first question makes an event base of libevent's, which calls exit() when it gets no pair of sockets to wake itself with.
 * One at a time, so that several threads don't find the same descriptors left. */
bool resolver_begin(struct ub_ctx *ctx, bool *begun, const char *name, int type,
                    resolver_done_fn *done, void *user, int *ret_id) {
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one);
    bool asked = (*begun || descriptors_are_left()) &&
                 !ub_resolve_async(ctx, name, type, CLASS_IN, user, done, ret_id);
    *begun |= asked;
    pthread_mutex_unlock(&one);
    return asked;
}

/* --- one question, waited for ----------------------------------------------------------------*/

struct asked {
    bool answered;
    enum resolver_answer answer;
    struct ub_result *result;
};

static void ask_done(void *user, int error, struct ub_result *result) {
    struct asked *a = user;
    a->answered = true;
    a->answer = resolver_judge(error, result);
    a->result = result;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

enum resolver_answer resolver_ask(struct ub_ctx *ctx, const char *name, int type,
                                  int64_t patience_ms, struct ub_result **ret) {
    struct asked a = {0};
    bool begun = false; /* whoever waits asks few */
    int id, end_in;
    int64_t end = now_ms() + patience_ms;
    *ret = NULL;
    if (!resolver_begin(ctx, &begun, name, type, ask_done, &a, &id))
        return RESOLVER_UNKNOWN;
    while (!a.answered && (end_in = (int)(end - now_ms())) > 0) {
        struct pollfd fd = {.fd = ub_fd(ctx), .events = POLLIN};
        if (poll(&fd, 1, end_in) > 0)
            ub_process(ctx);
    }
    if (!a.answered)
        ub_cancel(ctx, id); /* it will not be called back any more */
    if (a.answer == RESOLVER_UNKNOWN)
        ub_resolve_free(a.result);
    else
        *ret = a.result;
    return a.answer;
}
