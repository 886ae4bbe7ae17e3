/* SPDX-License-Identifier: GPL-3.0-or-later
 * docker_head.c - bytes of a client of docker-proxy: a head is one or none however it comes, and ends where the parser says so.
 * link: modules/docker/head.c llhttp
 */
#include "modules/docker/head.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth) {
    if (!truth)
        abort();
}

static void good_check(const char *text, size_t length, const struct head *h) {
    size_t method = strlen(h->method), target = strlen(h->target);
    must(h->length >= 4 && h->length <= length && !memcmp(text + h->length - 4, "\r\n\r\n", 4));
    must(method && method < sizeof h->method && target && target < sizeof h->target);
    must(strspn(h->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == method);
    must(strlen(h->agent) < sizeof h->agent && !strchr(h->agent, '\n'));
    for (size_t i = 0; i < target; i++)
        must((unsigned char)h->target[i] > ' ' && h->target[i] != 0x7f);
    const char *line = memmem(text, h->length, h->target, target);
    must(line && memchr(line, '\n', h->length - (size_t)(line - text))); /* the first line's */
}

/* A copy of that very length, so that a byte too far is seen. */
static enum head_state read_some(const char *text, size_t length, struct head *h) {
    char *copy = malloc(length ? length : 1);
    memcpy(copy, text, length);
    enum head_state state = head_read(copy, length, h);
    free(copy);
    return state;
}

/* All that is judged below holds of a reader that takes nothing for a head, too. */
static void known_check(void) {
    static const char known[] = "GET /_ping?a=b HTTP/1.1\r\nHost: d\r\nUser-Agent: x\r\n\r\nGET";
    static struct head h;
    must(head_read(known, sizeof known - 1, &h) == HEAD_GOOD && h.length == sizeof known - 4);
    must(!strcmp(h.method, "GET") && !strcmp(h.target, "/_ping?a=b") && *h.agent == 'x');
    must(h.keeps && !h.has_body && !h.upgrade);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    static struct head head, again, cut;
    known_check();
    enum head_state state = read_some(text, size, &head);
    if (state == HEAD_MORE) {
        must(!memmem(text, size, "\r\n\r\n", 4));
        return 0;
    }
    size_t end = (size_t)((const char *)memmem(text, size, "\r\n\r\n", 4) - text) + 4;
    must(read_some(text, end, &again) == state); /* what follows it changes nothing */
    must(read_some(text, end - 1, &cut) == HEAD_MORE);
    if (state == HEAD_BAD)
        return 0;
    good_check(text, size, &head);
    must(!strcmp(head.method, again.method) && !strcmp(head.target, again.target) &&
         !strcmp(head.agent, again.agent) && head.length == again.length && head.length == end &&
         head.has_body == again.has_body && head.upgrade == again.upgrade &&
         head.keeps == again.keeps);
    return 0;
}
