/* SPDX-License-Identifier: GPL-3.0-or-later
 * dns.c - looks at names: each a few questions side by side, each chain of aliases one question after the other.
 *
 *   a name        CHAIN: CNAME, CNAME, ...    A    AAAA    ALIAS: CNAME, CNAME, ...    TEXTS: TXT at _ringress-challenge.NAME
 *   a wildcard    PROBE_0, PROBE_1: CNAME, CNAME, ...      ALIAS                       TEXTS
 *
 *   dns_look -> questions asked -> answered (from ub_process) -> none waits, or patience ends -> seen
 */
#include "edge/dns.h"
#include "core/module.h"
#include "core/resolver.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

enum { RR_A = 1, RR_CNAME = 5, RR_TXT = 16, RR_AAAA = 28 };
enum part { CHAIN, ADDRESSES_4, ADDRESSES_6, ALIAS, TEXTS, PROBE_0, PARTS = PROBE_0 + DNS_PROBES };

static const int64_t RETRY_NS = 10000000000;
static const char challenge_label[] = "_ringress-challenge";

struct question {
    struct look *look;
    int id;
    bool asked;
};
struct look {
    struct look *next;
    struct dns *dns;
    int64_t end_ns;
    unsigned waiting; /* questions without an answer */
    struct question question[PARTS];
    struct name_check check;
    struct dns_seen seen;
};
struct dns {
    struct loop *loop;
    struct loop_source source;
    struct loop_timer timer;
    const struct dns_events *events;
    void *user;
    struct ub_ctx *ctx; /* NULL: none asked yet, or it can't be had */
    bool begun;         /* it was asked */
    int64_t retry_ns;   /* it could not be had: not before this, again; 0: it never failed */
    struct look *first, **last;
    size_t looking;
};

/* When the next one ends; one that nothing could be asked for is told from the loop all the same. */
static void ends_watch(struct dns *d) {
    d->timer.due_ns = d->first ? d->first->end_ns : 0; /* all have the same patience */
    for (const struct look *l = d->first; l; l = l->next)
        if (!l->waiting)
            d->timer.due_ns = 1;
}

/* --- what an answer says ---------------------------------------------------------------------*/

static struct dns_chain *chain_of(struct look *l, enum part part) {
    return part == CHAIN   ? &l->seen.chain
           : part == ALIAS ? &l->seen.challenge.alias
                           : &l->seen.probe[part - PROBE_0];
}

static void addresses_take(struct dns_addresses *to, enum resolver_answer answer,
                           const struct ub_result *r, int family) {
    to->answer = (enum dns_answer)answer;
    to->secure = answer != RESOLVER_UNKNOWN && r->secure;
    for (size_t i = 0; answer == RESOLVER_DATA && r->data[i]; i++) {
        if (r->len[i] != (family == AF_INET ? 4 : 16))
            continue;
        if (to->count == DNS_ADDRESSES_MAX) {
            to->more = true;
            return;
        }
        union address *a = &to->address[to->count++];
        a->any.sa_family = (sa_family_t)family;
        memcpy(family == AF_INET ? (void *)&a->v4.sin_addr : (void *)&a->v6.sin6_addr, r->data[i],
               (size_t)r->len[i]);
    }
}

static void text_take(struct dns_text *to, const char *data, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t n = (unsigned char)data[at++];
        if (n > length - at)
            n = length - at;
        size_t room = sizeof to->data - to->length, most = n < room ? n : room;
        memcpy(to->data + to->length, data + at, most);
        to->length += most;
        at += n;
    }
}

static void texts_take(struct dns_texts *to, enum resolver_answer answer,
                       const struct ub_result *r) {
    to->answer = (enum dns_answer)answer;
    to->secure = answer != RESOLVER_UNKNOWN && r->secure;
    for (size_t i = 0; answer == RESOLVER_DATA && r->data[i]; i++) {
        if (to->count == DNS_TEXTS_MAX) {
            to->more = true;
            return;
        }
        text_take(&to->text[to->count++], r->data[i], (size_t)r->len[i]);
    }
}

static bool chain_passed(const struct dns_chain *c, const char *start, const char *name) {
    bool passed = !strcmp(name, start);
    for (size_t i = 0; i < c->count; i++)
        passed |= !strcmp(name, c->hop[i]);
    return passed;
}

/* True: there is a link more to be asked for. A target that no host name can be ends the chain like one that leads nowhere. */
static bool link_take(struct dns_chain *c, const char *start, enum resolver_answer answer,
                      const struct ub_result *r) {
    char target[DNS_NAME_MAX + 1];
    c->answer = answer == RESOLVER_UNKNOWN             ? DNS_UNKNOWN
                : answer == RESOLVER_NONE && !c->count ? DNS_NONE
                                                       : DNS_DATA;
    if (answer == RESOLVER_NONE && !c->count)
        c->secure = r->secure;
    if (answer != RESOLVER_DATA)
        return false;
    c->secure = r->secure && (c->secure || !c->count);
    if (!resolver_name_text(r->data[0], (size_t)r->len[0], target))
        return false;
    c->loop = chain_passed(c, start, target);
    c->too_long = !c->loop && c->count == DNS_HOPS_MAX;
    if (c->loop || c->too_long)
        return false;
    snprintf(c->hop[c->count++], sizeof *c->hop, "%s", target);
    return *target && !strchr(target, '?');
}

/* --- asking ----------------------------------------------------------------------------------*/

static void answered(void *user, int error, struct ub_result *result);

static bool start_name(const struct look *l, enum part part, char ret[DNS_NAME_MAX + 1]) {
    const char *label = part >= PROBE_0                  ? l->check.probe[part - PROBE_0]
                        : part == ALIAS || part == TEXTS ? challenge_label
                                                         : "";
    int n = snprintf(ret, DNS_NAME_MAX + 1, "%s%s%s", label, *label ? "." : "", l->check.name);
    return n <= DNS_NAME_MAX;
}

static void ask(struct dns *d, struct look *l, enum part part, const char *name) {
    static const int type[PARTS] = {
        [CHAIN] = RR_CNAME, [ADDRESSES_4] = RR_A, [ADDRESSES_6] = RR_AAAA, [ALIAS] = RR_CNAME,
        [TEXTS] = RR_TXT,   [PROBE_0] = RR_CNAME, [PROBE_0 + 1] = RR_CNAME};
    struct question *q = &l->question[part];
    q->asked = d->ctx && resolver_begin(d->ctx, &d->begun, name, type[part], answered, q, &q->id);
    l->waiting += q->asked;
}

/* A name too long to be has no records. */
static void name_impossible(struct look *l, enum part part) {
    if (part == TEXTS)
        l->seen.challenge.answer = DNS_NONE;
    else
        chain_of(l, part)->answer = DNS_NONE;
}

static void ask_first(struct dns *d, struct look *l, enum part part) {
    char name[DNS_NAME_MAX + 1];
    if (start_name(l, part, name))
        ask(d, l, part, name);
    else
        name_impossible(l, part);
}

static void answer_take(struct dns *d, struct look *l, enum part part, enum resolver_answer answer,
                        const struct ub_result *r) {
    char start[DNS_NAME_MAX + 1];
    struct dns_chain *c;
    switch (part) {
    case ADDRESSES_4:
        addresses_take(&l->seen.a, answer, r, AF_INET);
        return;
    case ADDRESSES_6:
        addresses_take(&l->seen.aaaa, answer, r, AF_INET6);
        return;
    case TEXTS:
        texts_take(&l->seen.challenge, answer, r);
        return;
    default:
        c = chain_of(l, part);
        start_name(l, part, start);
        if (!link_take(c, start, answer, r))
            return;
        c->answer =
            DNS_UNKNOWN; /* until that link is known, which it never is if it can't be asked for */
        ask(d, l, part, c->hop[c->count - 1]);
    }
}

static void answered(void *user, int error, struct ub_result *result) {
    struct question *q = user;
    struct look *l = q->look;
    q->asked = false;
    l->waiting--;
    answer_take(l->dns, l, (enum part)(q - l->question), resolver_judge(error, result), result);
    ub_resolve_free(result);
}

/* --- looks that ended ------------------------------------------------------------------------*/

static void look_cancel(struct dns *d, struct look *l) {
    for (size_t i = 0; i < PARTS; i++)
        if (l->question[i].asked)
            ub_cancel(d->ctx, l->question[i].id);
}

static struct look *ended_take(struct dns *d, int64_t now) {
    for (struct look **at = &d->first, *l; (l = *at); at = &l->next) {
        if (l->waiting && l->end_ns > now)
            continue;
        *at = l->next;
        if (d->last == &l->next)
            d->last = at;
        d->looking--;
        return l;
    }
    return NULL;
}

static void ended_tell(struct dns *d) {
    int64_t now = loop_now_ns();
    bool any = false;
    for (struct look *l; (l = ended_take(d, now)); any = true) {
        look_cancel(d, l);
        d->events->seen(d->user, &l->check, &l->seen);
        free(l);
    }
    ends_watch(d);
    if (any)
        d->events->settled(d->user);
}

static void source_ready(struct loop_source *source, short revents) {
    struct dns *d = (struct dns *)((char *)source - offsetof(struct dns, source));
    (void)revents;
    ub_process(d->ctx);
    ended_tell(d);
}

static void timer_fire(struct loop_timer *timer) {
    ended_tell((struct dns *)((char *)timer - offsetof(struct dns, timer)));
}

/* --- the life of it --------------------------------------------------------------------------*/

struct dns *dns_new(struct loop *loop, const struct dns_events *events, void *user) {
    struct dns *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    *d = (struct dns){.loop = loop, .events = events, .user = user};
    d->last = &d->first;
    d->timer.fire = timer_fire;
    if (loop_add_timer(loop, &d->timer))
        return d;
    free(d);
    return NULL;
}

/* What it lacks may be there soon: descriptors, memory, a thread. It is said once; until then, looks see nothing. */
static void context_missed(struct dns *d) {
    if (!d->retry_ns)
        log_write(0, "no domain can be looked at: the resolver can't be had with the `dns` of "
                     "edge.yaml; it is tried again every 10 s");
    d->retry_ns = loop_now_ns() + RETRY_NS;
}

static void context_need(struct dns *d) {
    if (d->ctx || loop_now_ns() < d->retry_ns)
        return;
    d->ctx = resolver_context();
    if (!d->ctx) {
        context_missed(d);
        return;
    }
    if (d->retry_ns)
        log_write(2, "domains are looked at again");
    d->retry_ns = 0;
    d->source = (struct loop_source){.fd = ub_fd(d->ctx), .events = POLLIN, .ready = source_ready};
    loop_add(d->loop, &d->source);
}

static void questions_ask(struct dns *d, struct look *l) {
    for (enum part part = 0; part < PARTS; part++) {
        bool of_name = part <= ADDRESSES_6, of_wildcard = part >= PROBE_0;
        if (l->check.wildcard ? !of_name : !of_wildcard)
            ask_first(d, l, part);
    }
}

void dns_look(struct dns *d, const struct name_check *check) {
    struct look *l = calloc(1, sizeof *l);
    if (!l)
        abort(); /* the registry waits for every look; as in core/stash.c */
    l->check = *check;
    l->dns = d;
    l->end_ns = loop_now_ns() + DNS_PATIENCE_MS * 1000000ll;
    for (size_t i = 0; i < PARTS; i++)
        l->question[i].look = l;
    context_need(d);
    questions_ask(d, l);
    *d->last = l;
    d->last = &l->next;
    d->looking++;
    ends_watch(d);
}

size_t dns_room(const struct dns *d) {
    return DNS_LOOKS_MAX - d->looking;
}

void dns_free(struct dns *d) {
    if (!d)
        return;
    if (d->ctx) {
        loop_remove(d->loop, &d->source);
        ub_ctx_delete(d->ctx); /* joins its thread; nothing is called back after */
    }
    loop_remove_timer(d->loop, &d->timer);
    for (struct look *l = d->first, *next; l; l = next) {
        next = l->next;
        free(l);
    }
    free(d);
}
