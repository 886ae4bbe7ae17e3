/* SPDX-License-Identifier: GPL-3.0-or-later
 * rest.c - see rest.h. Each tenant has its sleepers in an array, which is sorted when one is looked for.
 */
#include "modules/acme/rest.h"
#include "modules/acme/crew.h"
#include "modules/acme/entries.h"
#include <stdlib.h>
#include <string.h>

enum {
    SOON = 10,            /* woken that much before, so that many wake at one time */
    AWAKE_MOST = 1024,    /* who is due waits asleep while so many wait awake */
    AT_ONCE_MOST = 64,    /* the control thread has others to serve */
    OF_ONE_MOST = 8,      /* of one tenant, too */
    AGAIN = 60,           /* when a row could not be read */
    ANEW = SCHEDULE_HOUR, /* one that has just come, see schedule_not_at_once */
};

/* ---- ids ---- */

static int digit_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: it is not 32 hexadecimal digits as we write them. */
static bool id_read(const char *text, uint8_t out[16]) {
    for (int i = 0; i < 16; i++, text += 2) {
        int high = digit_of(text[0]), low = high < 0 ? -1 : digit_of(text[1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return !*text;
}

void sleeper_id(const struct sleeper *s, char out[33]) {
    for (int i = 0; i < 16; i++)
        sprintf(out + 2 * i, "%02x", s->id[i]);
}

static int sleeper_compare(const void *a, const void *b) {
    return memcmp(((const struct sleeper *)a)->id, ((const struct sleeper *)b)->id, 16);
}

static struct sleeper *found(struct sleeper *all, size_t count, const char *id) {
    struct sleeper wanted;
    return count && id_read(id, wanted.id)
               ? bsearch(&wanted, all, count, sizeof *all, sleeper_compare)
               : NULL;
}

struct sleeper *sleeper_of(struct followed *f, const char *id) {
    if (!f->sorted && f->sleeper_count)
        qsort(f->sleeper, f->sleeper_count, sizeof *f->sleeper, sleeper_compare);
    f->sorted = true;
    return found(f->sleeper, f->sleeper_count, id);
}

/* ---- when ---- */

static int64_t due_of(const struct sleeper *s) {
    return !s->wanted ? 0 : s->ari_at && s->ari_at < s->attempt_at ? s->ari_at : s->attempt_at;
}

static void due_soonest(int64_t *at, int64_t due) {
    if (due && (!*at || due < *at))
        *at = due;
}

/* ---- to rest ---- */

static bool fits(int64_t value) {
    return value >= 0 && value <= UINT32_MAX;
}

/* Its row says all there is to say, and nothing is to be done for a while. */
static bool can_rest(const struct entry *e, int64_t now) {
    bool idle = !e->busy && !e->shown && !e->gone && !e->alarmed_at && !e->impossible;
    bool good = e->number && !e->failures && !e->error && !e->problem && !e->waits_for &&
                !e->unreadable && now - e->came_at >= ANEW;
    int64_t due = keeper.due[e->index];
    return idle && good && (e->wanted ? due > now + SOON : !e->tenant->known) && e->attempt_at &&
           fits(e->attempt_at) && fits(e->ari_at) && fits(e->not_after) &&
           e->number <= SLEEPER_NUMBER_MOST;
}

static bool entry_rest(struct entry *e) {
    struct followed *f = e->tenant;
    struct sleeper s = {.number = e->number & SLEEPER_NUMBER_MOST,
                        .wanted = e->wanted,
                        .attempt_at = (uint32_t)e->attempt_at,
                        .ari_at = (uint32_t)e->ari_at,
                        .not_after = (uint32_t)e->not_after};
    if (!id_read(e->id, s.id))
        return false;
    /* The allocator has few sizes of what is large, so it seldom moves. */
    struct sleeper *all = realloc(f->sleeper, (f->sleeper_count + 1) * sizeof *all);
    if (!all)
        return false;
    f->sleeper = all;
    s.ingress = text_take(e->ingress);
    if (!s.ingress)
        return false;
    f->sorted =
        !f->sleeper_count || (f->sorted && sleeper_compare(&all[f->sleeper_count - 1], &s) < 0);
    all[f->sleeper_count++] = s;
    due_soonest(&keeper.sleep_due, due_of(&s));
    entry_remove(e);
    return true;
}

void tenant_rest(struct followed *f, int64_t now) {
    for (struct entry *e = f->first, *next; e; e = next) {
        next = e->next;
        if (can_rest(e, now) && !entry_rest(e))
            return;
    }
}

/* ---- awake ---- */

static void sleepers_trim(struct followed *f) {
    if (f->sleeper_count)
        return;
    free(f->sleeper);
    f->sleeper = NULL;
    f->sorted = false;
}

struct entry *sleeper_wake(struct followed *f, size_t at) {
    struct sleeper *s = &f->sleeper[at];
    char id[33];
    sleeper_id(s, id);
    struct entry *e = entry_read(f, id);
    if (!e)
        return NULL;
    text_swap(&e->ingress, s->ingress);
    text_give(s->ingress);
    e->wanted = s->wanted;
    e->attempt_at = s->attempt_at;
    e->ari_at = s->ari_at;
    if (at + 1 < f->sleeper_count) {
        *s = f->sleeper[f->sleeper_count - 1];
        f->sorted = false;
    }
    f->sleeper_count--;
    sleepers_trim(f);
    entry_due(e);
    return e;
}

void tenant_wake(struct followed *f) {
    for (size_t i = f->sleeper_count; f->sleeper && i-- > 0;)
        sleeper_wake(f, i);
}

void sleepers_free(struct followed *f) {
    for (size_t i = 0; i < f->sleeper_count; i++)
        text_give(f->sleeper[i].ingress);
    f->sleeper_count = 0;
    sleepers_trim(f);
}

/* ---- wanted ---- */

void sleeper_want(struct sleeper *s, const char *ingress) {
    s->wanted = true;
    if (strcmp(s->ingress, ingress))
        text_swap(&s->ingress, ingress);
    if (keeper.sleep_due && keeper.sleep_due <= due_of(s))
        return;
    keeper.sleep_due = due_of(s);
    crew_wake();
}

void sleepers_unwant(struct followed *f) {
    for (size_t i = 0; i < f->sleeper_count; i++)
        f->sleeper[i].wanted = false;
}

bool sleepers_all_wanted(const struct followed *f) {
    for (size_t i = 0; i < f->sleeper_count; i++)
        if (!f->sleeper[i].wanted)
            return false;
    return true;
}

/* ---- due ---- */

bool sleepers_due(int64_t now, int64_t *ret_at) {
    *ret_at = keeper.sleep_due;
    return keeper.sleep_due && keeper.sleep_due <= now;
}

static bool waits_awake(const struct entry *e, int64_t until) {
    int64_t due = keeper.due[e->index];
    return e->number && due && due <= until;
}

static size_t awake_of(const struct followed *f, int64_t until) {
    size_t n = 0;
    for (const struct entry *e = f->first; e; e = e->next)
        n += waits_awake(e, until);
    return n;
}

static size_t awake_of_all(int64_t until) {
    size_t n = 0;
    for (size_t i = 0; i < keeper.count; i++)
        n += waits_awake(keeper.entry[i], until);
    return n;
}

static void ask_again(struct sleeper *s, int64_t now) {
    if (s->ari_at && s->ari_at <= now + SOON)
        s->ari_at = (uint32_t)(now + AGAIN);
    if (s->attempt_at <= now + SOON)
        s->attempt_at = (uint32_t)(now + AGAIN);
}

static size_t some_wake(struct followed *f, int64_t now, size_t most) {
    size_t woken = 0, awake = awake_of(f, now + SOON);
    size_t left = awake < OF_ONE_MOST ? OF_ONE_MOST - awake : 0;
    for (size_t i = f->sleeper_count; f->sleeper && i-- > 0;) {
        struct sleeper *s = &f->sleeper[i];
        int64_t due = due_of(s);
        if (due && due <= now + SOON && woken < most && woken < left) {
            if (sleeper_wake(f, i)) {
                woken++;
                continue;
            }
            ask_again(s, now);
        }
        due_soonest(&keeper.sleep_due, due_of(s));
    }
    return woken;
}

void sleepers_wake_due(int64_t now) {
    static size_t begin; /* whoever was left asleep is first the next time */
    const struct map *all = &keeper.tenants;
    size_t awake = awake_of_all(now + SOON), left = awake < AWAKE_MOST ? AT_ONCE_MOST : 0;
    if (!left)
        return; /* called again when one of them was taken */
    keeper.sleep_due = 0;
    size_t from = begin;
    for (size_t n = 0; n < all->room; n++) {
        size_t i = (from + n) % all->room;
        if (all->slot[i].key)
            left -= some_wake(all->slot[i].value, now, left);
        if (left)
            begin = i + 1;
    }
}

/* ---- of everybody ---- */

struct roll roll_make(void) {
    struct roll r = {0};
    size_t room = 0;
    for (size_t i = 0; i < keeper.tenants.room; i++)
        if (keeper.tenants.slot[i].key)
            room += ((const struct followed *)keeper.tenants.slot[i].value)->sleeper_count;
    r.all = calloc(room + 1, sizeof *r.all);
    for (size_t i = 0; r.all && i < keeper.tenants.room; i++) {
        const struct followed *f = keeper.tenants.slot[i].key ? keeper.tenants.slot[i].value : NULL;
        for (size_t j = 0; f && j < f->sleeper_count; j++)
            r.all[r.count++] = f->sleeper[j];
    }
    if (r.count)
        qsort(r.all, r.count, sizeof *r.all, sleeper_compare);
    return r;
}

const struct sleeper *roll_find(const struct roll *r, const char *id) {
    return found(r->all, r->count, id);
}

void roll_fini(struct roll *r) {
    free(r->all);
}
