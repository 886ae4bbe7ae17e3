/* SPDX-License-Identifier: GPL-3.0-or-later
 * acme_wire.c - whatever an ACME directory answers: directories, orders, authorizations, problem documents, renewal information, chains.
 * link: modules/acme/wire.c modules/acme/paper.c modules/acme/jose.c modules/acme/keys.c
 *
 * Each input is given to every reader. What comes out must be bounded text without control characters, and URLs only https.
 */
#include "modules/acme/paper.h"
#include "modules/acme/wire.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_is_clean(const char *text, size_t room) {
    size_t length = strnlen(text, room);
    assert(length < room);
    for (size_t i = 0; i < length; i++)
        assert((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void url_is_https(const char *url) {
    assert(strnlen(url, URL_MOST) < URL_MOST);
    assert(!*url || !strncmp(url, "https://", 8));
}

static void problem_is_clean(const struct problem *p) {
    text_is_clean(p->type, sizeof p->type);
    text_is_clean(p->detail, sizeof p->detail);
    text_is_clean(p->name, sizeof p->name);
}

static void directory_try(const char *text) {
    struct directory d;
    struct err err;
    if (!directory_read(text, &d, &err))
        return;
    url_is_https(d.new_nonce);
    url_is_https(d.new_account);
    url_is_https(d.new_order);
    url_is_https(d.key_change);
    url_is_https(d.renewal_info);
    assert(strnlen(d.profiles, sizeof d.profiles) < sizeof d.profiles);
    directory_has_profile(&d, "classic");
}

static void order_try(const char *text) {
    struct acme_order *o = calloc(1, sizeof *o);
    struct err err;
    if (order_read(text, o, &err)) {
        assert(o->authorization_count > 0 && o->authorization_count <= AUTHORIZATIONS_MOST);
        for (size_t i = 0; i < o->authorization_count; i++)
            url_is_https(o->authorization[i]);
        url_is_https(o->certificate);
        problem_is_clean(&o->problem);
    }
    free(o);
}

static void authorization_try(const char *text) {
    struct acme_authorization *a = calloc(1, sizeof *a);
    struct err err;
    if (authorization_read(text, a, &err))
        for (size_t i = 0; i < a->challenge_count; i++) {
            url_is_https(a->challenge[i].url);
            assert(!strpbrk(a->challenge[i].token, "/.%\r\n "));
            problem_is_clean(&a->challenge[i].problem);
        }
    free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    struct problem p;
    struct renewal r;
    struct paper paper;
    struct err err;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    problem_read(text, 400, &p);
    problem_is_clean(&p);
    directory_try(text);
    order_try(text);
    authorization_try(text);
    if (renewal_read(text, &r, &err))
        assert(r.start < r.end);
    if (leaf_read(text, &paper, &err))
        assert(strnlen(paper.renewal_id, sizeof paper.renewal_id) < sizeof paper.renewal_id);
    free(text);
    return 0;
}
