/* SPDX-License-Identifier: GPL-3.0-or-later
 * order.c - see order.h. Straight-line code on a thread of the module's own.
 *
 *   for each directory, until one does not refuse:
 *     row there? go on with it : key, newOrder, row
 *     pending -> show answers, trigger, wait -> ready -> finalize -> processing -> valid -> fetch, judge, write
 */
#include "modules/acme/order.h"
#include "core/module.h"
#include "modules/acme/bank.h"
#include "modules/acme/schedule.h"
#include "modules/acme/world.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE =
        90, /* seconds that one run waits for an authority; then the thread does something else */
    POLL_MOST = 15,   /* between two looks; an authority that asks for more is come back to later */
    LIFE = 7 * 86400, /* after which an order that was begun is given up */
    ACCOUNT_TRIES = 2,
    DNS_AGAIN = 60,  /* the same, to where a name points */
    CAA_AGAIN = 120, /* seconds, when the DNS did not answer */
    RETRY_AFTER_MOST =
        6 * 3600, /* an order that is under way is looked at again by then, whatever it says */
    OPEN_AGAIN =
        3600, /* a directory that named no time is asked again, while another is closed for long */
};

struct proof { /* one answer that the authority shall find */
    char type[32], name[256], token[TOKEN_MOST], url[URL_MOST];
    char text[64]; /* of a TXT, once it was shown: it can be taken away without the account's key */
    bool triggered;
};

struct run {
    const struct order_job *job;
    struct order_result *result;
    struct client *client;
    struct acme_account account;
    size_t directory;
    struct acme_order *order;
    char url[URL_MOST];
    const char *step;
    int64_t since, patience_end;
    unsigned polls;
    struct proof *proof; /* what is shown to the authority; room for AUTHORIZATIONS_MOST */
    size_t proof_count;
    unsigned account_tries;
};

enum go { GO_ON, GO_FAIL, GO_LATER, GO_ENDS };

/* ---- names ---- */

void order_row_name(const char *id, char out[80]) {
    snprintf(out, 80, "acme/order/%s", id);
}

void order_file_names(const char *id, unsigned number, char key[80], char chain[80]) {
    snprintf(key, 80, "%s-%u.key", id, number);
    snprintf(chain, 80, "%s-%u.pem", id, number);
}

/* ---- how it can go wrong ---- */

bool problem_is_refusal(const struct problem *p) {
    static const char *const types[] = {"rateLimited",
                                        "serverInternal",
                                        "rejectedIdentifier",
                                        "unsupportedIdentifier",
                                        "caa",
                                        "externalAccountRequired",
                                        "userActionRequired",
                                        "invalidContact",
                                        "unsupportedContact",
                                        "badPublicKey",
                                        "invalidProfile",
                                        "alreadyReplaced"};
    if (!*p->type)
        return p->status == 0 || p->status == 429 || p->status >= 500; /* not reachable, or ill */
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (problem_is(p, types[i]))
            return true;
    return false;
}

/* What fails while the edge ends fails because of it: the order stays as it is, and is gone on with after the start. */
__attribute__((format(printf, 2, 3))) static enum go fail(struct run *r, const char *format, ...) {
    struct problem p = {.type = "local"}; /* our own words */
    va_list args;
    va_start(args, format);
    vsnprintf(p.detail, sizeof p.detail, format, args);
    va_end(args);
    r->result->problem = p;
    return world_ends() ? GO_ENDS : GO_FAIL;
}

static enum go later(struct run *r, int64_t at, const char *why) {
    r->result->not_before = at;
    snprintf(r->result->explanation, sizeof r->result->explanation, "%s", why);
    return GO_LATER;
}

/* Waits until the next look at what the authority does: as it says, else soon at first. */
static enum go pause_for(struct run *r, int64_t retry_after, const char *what) {
    static const int64_t steps_ms[] = {200, 400, 800, 1000, 2000, 2000, 3000};
    enum { STEPS = sizeof steps_ms / sizeof *steps_ms };
    retry_after = retry_after > RETRY_AFTER_MOST ? RETRY_AFTER_MOST : retry_after;
    int64_t ms = retry_after ? retry_after * 1000 : r->polls < STEPS ? steps_ms[r->polls] : 5000;
    int64_t next = world_now() + (ms + 999) / 1000;
    r->polls++;
    if (ms > POLL_MOST * 1000 || next > r->patience_end)
        return later(r, next, what);
    return world_wait(ms) ? GO_ON : GO_ENDS;
}

/* ---- the row ---- */

static json_t *proofs_json(const struct run *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->proof_count; i++)
        json_array_append_new(list,
                              json_pack("[s, s, s, s, s]", r->proof[i].type, r->proof[i].name,
                                        r->proof[i].token, r->proof[i].url, r->proof[i].text));
    return list;
}

static void proofs_read(struct run *r, const json_t *list) {
    const char *type, *name, *token, *url, *text;
    json_t *one;
    size_t i;
    r->proof_count = 0;
    json_array_foreach(list, i, one) {
        struct proof *p = &r->proof[r->proof_count];
        if (r->proof_count == AUTHORIZATIONS_MOST ||
            json_unpack(one, "[s, s, s, s]", &type, &name, &token, &url))
            continue;
        snprintf(p->type, sizeof p->type, "%s", type);
        snprintf(p->name, sizeof p->name, "%s", name);
        snprintf(p->token, sizeof p->token, "%s", token);
        snprintf(p->url, sizeof p->url, "%s", url);
        text = json_string_value(json_array_get(one, 4)); /* older rows have none */
        snprintf(p->text, sizeof p->text, "%s", text ? text : "");
        p->triggered = true; /* a look will say when it was not */
        r->proof_count++;
    }
}

static bool row_write(struct run *r, const char *step, struct err *err) {
    char name[80];
    order_row_name(r->job->id, name);
    json_t *row = json_pack("{s:s s:s s:s s:I s:i s:o}", "step", step, "directory", r->client->url,
                            "url", r->url, "since", (json_int_t)r->since, "number",
                            (int)r->job->number, "proofs", proofs_json(r));
    char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
    bool good = text ? world_rows_save(name, text, NULL, NULL, err) : err_set(err, "out of memory");
    free(text);
    json_decref(row);
    r->step = step;
    return good;
}

static enum go step_to(struct run *r, const char *step) {
    struct err err;
    return row_write(r, step, &err) ? GO_ON
                                    : fail(r, "the order can't be remembered: %s", err.text);
}

/* Nothing is left of it. */
static void row_forget(const struct order_job *job) {
    char row[80], key[80], chain[80];
    struct err err;
    order_row_name(job->id, row);
    order_file_names(job->id, job->number, key, chain);
    if (!world_rows_save(row, NULL, NULL, NULL, &err))
        log_write(0, "acme: order %s: %s", job->id, err.text);
    bank_remove(key);
    bank_remove(chain);
}

static void proofs_forget(struct run *r);

/* The order that was begun at one of our directories; false: there is none, or none that can be gone on with. */
static bool row_resume(struct run *r) {
    char name[80], key[80], chain[80];
    order_row_name(r->job->id, name);
    order_file_names(r->job->id, r->job->number, key, chain);
    char *text = world_row(name);
    json_t *row = text ? json_loads(text, 0, NULL) : NULL;
    const char *directory = json_string_value(json_object_get(row, "directory"));
    const char *url = json_string_value(json_object_get(row, "url"));
    r->since = json_integer_value(json_object_get(row, "since"));
    size_t i = 0;
    while (i < r->job->conf->directory.count && directory &&
           strcmp(r->job->client[i].url, directory))
        i++;
    bool good = directory && url && *url && i < r->job->conf->directory.count &&
                json_integer_value(json_object_get(row, "number")) == r->job->number &&
                world_now() - r->since < LIFE && bank_has(key);
    proofs_read(r, json_object_get(row, "proofs"));
    if (good) {
        r->directory = i;
        snprintf(r->url, sizeof r->url, "%s", url);
    } else if (text) {
        proofs_forget(r);
        row_forget(r->job);
    }
    json_decref(row);
    free(text);
    return good;
}

/* ---- asking ---- */

static enum go told_problem(struct run *r) {
    const struct problem *p = &r->result->problem;
    if (world_ends())
        return GO_ENDS;
    if (problem_is(p, "accountDoesNotExist") && ++r->account_tries < ACCOUNT_TRIES)
        account_lost(r->directory);
    if (problem_is(p, "rateLimited") || p->status == 429)
        world_was_limited(r->client->url, world_now() + (p->retry_after ? p->retry_after : 3600));
    if (p->retry_after)
        r->result->not_before = world_now() + p->retry_after;
    return GO_FAIL;
}

static enum go post(struct run *r, const char *url, const char *payload, struct http_answer *a) {
    if (client_post(r->client, r->account.key, r->account.url, url, payload, a,
                    &r->result->problem))
        return GO_ON;
    return told_problem(r);
}

static enum go order_look(struct run *r, int64_t *ret_retry_after) {
    struct http_answer a;
    struct err err;
    enum go go = post(r, r->url, NULL, &a);
    if (go != GO_ON)
        return go;
    bool good = order_read(a.body, r->order, &err);
    *ret_retry_after = a.retry_after;
    http_answer_fini(&a);
    return good ? GO_ON : fail(r, "%s", err.text);
}

static enum go ready(struct run *r) {
    r->client = &r->job->client[r->directory];
    if (!client_ready(r->client, world_now(), &r->result->problem))
        return told_problem(r);
    key_free(r->account.key);
    r->account.key = NULL;
    return account_ready(r->directory, r->client, &r->account, &r->result->problem)
               ? GO_ON
               : told_problem(r);
}

/* ---- NEW ---- */

static char *key_make(struct run *r, struct err *err) {
    const struct acme_conf *c = r->job->conf;
    struct key *key = key_new(r->job->rsa || c->key ? KEY_RSA : KEY_P256, (int)c->rsa_bits, err);
    char *pem = key ? key_pem(key) : NULL;
    key_free(key);
    return pem;
}

static enum go key_write(struct run *r) {
    char file[80], chain[80];
    struct err err = {"out of memory"};
    order_file_names(r->job->id, r->job->number, file, chain);
    char *pem = key_make(r, &err);
    bool good = pem && bank_write(file, pem, &err);
    if (pem)
        explicit_bzero(pem, strlen(pem));
    free(pem);
    return good ? GO_ON : fail(r, "%s", err.text);
}

static char *order_text(struct run *r) {
    const struct order_job *j = r->job;
    json_t *names = json_array(), *body = json_pack("{s:o}", "identifiers", names);
    for (size_t i = 0; i < j->name_count; i++)
        json_array_append_new(names, json_pack("{s:s s:s}", "type", "dns", "value", j->name[i]));
    if (j->conf->profile && *r->client->directory.profiles)
        json_object_set_new(body, "profile", json_string(j->conf->profile));
    if (*j->replaces && *r->client->directory.renewal_info &&
        !strcmp(j->replaces_directory, r->client->url) && !j->failures)
        json_object_set_new(body, "replaces", json_string(j->replaces));
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

static enum go profile_check(struct run *r) {
    const char *profile = r->job->conf->profile;
    const struct directory *d = &r->client->directory;
    if (!profile || !*d->profiles || directory_has_profile(d, profile))
        return GO_ON;
    enum go go = fail(r, "the directory offers no profile of that name, but %s", d->profiles);
    strcpy(r->result->problem.type, "invalidProfile");
    return go;
}

/* What the domain's owner allows, by the challenge that each name will be proved by. */
static enum go caa_check(struct run *r) {
    const struct order_job *j = r->job;
    const char **method = calloc(j->name_count, sizeof *method), *why;
    char reason[CAA_REASON_MAX] = "";
    enum caa_verdict verdict = CAA_UNDECIDED;
    for (size_t i = 0; method && i < j->name_count; i++) {
        bool wildcard = !strncmp(j->name[i], "*.", 2);
        method[i] = challenge_choose(j->conf, wildcard ? j->name[i] + 2 : j->name[i], wildcard,
                                     j->failures, &why);
    }
    if (method)
        verdict = world_caa(j->name, method, j->name_count, r->client->directory.caa,
                            r->account.url, reason);
    free(method);
    if (verdict == CAA_ALLOWED)
        return GO_ON;
    if (verdict == CAA_UNDECIDED)
        return later(r, world_now() + CAA_AGAIN, reason);
    enum go go = fail(r, "%s", reason);
    strcpy(r->result->problem.type, "caa");
    return go;
}

/* A name may have gone elsewhere since it was verified: nobody is asked for a certificate of somebody else's. */
static enum go names_check(struct run *r) {
    const struct order_job *j = r->job;
    char why[sizeof r->result->explanation];
    size_t which = 0;
    enum control_look look = world_recheck(j->tenant, j->name, j->name_count, &which);
    if (look == LOOK_YES)
        return GO_ON;
    if (look == LOOK_NO)
        return fail(r, "DNS of %s does not point here any more", j->name[which]);
    if (world_ends())
        return GO_ENDS;
    snprintf(why, sizeof why, "DNS does not answer where it points: %.100s", j->name[which]);
    return later(r, world_now() + DNS_AGAIN, why);
}

/* `take` false: only asked. */
static enum go limits_check(struct run *r, bool take) {
    const struct order_job *j = r->job;
    const struct order_wish wish = {r->client->url, j->name, j->name_count, j->renewal};
    int64_t at;
    return world_may_order(&wish, take, &at) ? GO_ON : later(r, at, "our own limit of orders");
}

static enum go place(struct run *r) {
    struct http_answer a;
    if (world_ends()) /* perhaps a row could not be read: its key must not be written over */
        return GO_ENDS;
    enum go go = profile_check(r);
    if (go == GO_ON) /* before DNS is asked about a thousand names that must wait anyway */
        go = limits_check(r, false);
    if (go == GO_ON)
        go = names_check(r);
    if (go == GO_ON && r->job->conf->caa)
        go = caa_check(r);
    if (go == GO_ON)
        go = limits_check(r, true);
    if (go != GO_ON)
        return go;
    r->since = world_now();
    *r->url = 0;
    if ((go = key_write(r)) != GO_ON || (go = step_to(r, "new")) != GO_ON)
        return go;
    char *text = order_text(r);
    go = text ? post(r, r->client->directory.new_order, text, &a) : fail(r, "out of memory");
    free(text);
    if (go != GO_ON)
        return go;
    snprintf(r->url, sizeof r->url, "%s", a.location);
    http_answer_fini(&a);
    if (strncmp(r->url, "https://", 8))
        return fail(r, "the directory did not say where the order is");
    return step_to(r, "placed");
}

/* ---- proving ---- */

const char *challenge_choose(const struct acme_conf *c, const char *name, bool wildcard,
                             unsigned turn, const char **ret_why) {
    char *const *type = c->challenges.item;
    size_t usable[CHALLENGE_TYPES], count = 0;
    *ret_why = !wildcard
                   ? "acme.challenges names only dns-01, and no zone of acme.dns_update holds it"
               : conf_has_challenge(c, "dns-01")
                   ? "a wildcard is proved by dns-01, and no zone of acme.dns_update holds it"
                   : "a wildcard is proved by dns-01 only, which acme.challenges does not name";
    for (size_t i = 0; i < c->challenges.count && count < CHALLENGE_TYPES; i++)
        if (strcmp(type[i], "dns-01") ? !wildcard : conf_zone_of(c, name) != NULL)
            usable[count++] = i;
    return count ? type[usable[turn % count]] : NULL;
}

static bool text_make(const struct run *r, struct proof *p, struct err *err) {
    bool known = *p->text || !r->account.key;
    char *answer = known ? NULL : key_authorization(r->account.key, p->token);
    char *text = answer ? digest_text(answer) : NULL;
    if (text)
        snprintf(p->text, sizeof p->text, "%s", text);
    free(text);
    free(answer);
    return *p->text || err_set(err, "no memory, or no account to answer for");
}

/* `show` false: forget. */
static bool proof_show(const struct run *r, struct proof *p, bool show, struct err *err) {
    if (!strcmp(p->type, "dns-01"))
        return text_make(r, p, err) && world_show_dns(p->name, p->text, show, err);
    char *text = show ? key_authorization(r->account.key, p->token) : NULL;
    bool good = show && !text                 ? err_set(err, "out of memory")
                : !strcmp(p->type, "http-01") ? world_show_http(p->name, p->token, text, err)
                                              : world_show_alpn(p->name, text, err);
    free(text);
    return good;
}

static void proofs_forget(struct run *r) {
    struct err err;
    for (size_t i = 0; i < r->proof_count && !world_ends(); i++)
        proof_show(r, &r->proof[i], false, &err);
    r->proof_count = 0;
}

static enum go proofs_show(struct run *r) {
    struct err err;
    for (size_t i = 0; i < r->proof_count; i++)
        if (!proof_show(r, &r->proof[i], true, &err))
            return fail(r, "%s", err.text);
    return GO_ON;
}

static enum go authorization_look(struct run *r, const char *url, struct acme_authorization *a,
                                  int64_t *ret_retry_after) {
    struct http_answer answer;
    struct err err;
    enum go go = post(r, url, NULL, &answer);
    if (go != GO_ON)
        return go;
    bool good = authorization_read(answer.body, a, &err);
    *ret_retry_after = answer.retry_after;
    http_answer_fini(&answer);
    return good ? GO_ON : fail(r, "%s", err.text);
}

static enum go refused(struct run *r, const struct acme_authorization *a) {
    for (size_t i = 0; i < a->challenge_count; i++)
        if (*a->challenge[i].problem.detail) {
            r->result->problem = a->challenge[i].problem;
            snprintf(r->result->problem.name, sizeof r->result->problem.name, "%s", a->name);
            return GO_FAIL;
        }
    return fail(r, "the authorization of %s is no longer usable", a->name);
}

/* The one of them that we can answer: as chosen, else another that is configured. */
static const struct acme_challenge *challenge_of(struct run *r, const struct acme_authorization *a,
                                                 const char **ret_why) {
    for (unsigned turn = 0; turn < CHALLENGE_TYPES; turn++) {
        const char *type =
            challenge_choose(r->job->conf, a->name, a->wildcard, r->job->failures + turn, ret_why);
        const struct acme_challenge *c = type ? challenge_find(a, type) : NULL;
        if (!type)
            return NULL;
        *ret_why = "the directory offers none of acme.challenges for it";
        if (c)
            return c;
    }
    return NULL;
}

static struct proof *proof_of(const struct run *r, const struct acme_challenge *c) {
    for (size_t i = 0; i < r->proof_count; i++)
        if (!strcmp(r->proof[i].url, c->url))
            return &r->proof[i];
    return NULL;
}

/* What is to be proved is the directory's word: nothing is shown to anybody for a name that was not asked for. */
static bool was_ordered(const struct order_job *j, const struct acme_authorization *a) {
    for (size_t i = 0; i < j->name_count; i++) {
        bool wildcard = !strncmp(j->name[i], "*.", 2);
        if (wildcard == a->wildcard && !strcmp(j->name[i] + (wildcard ? 2 : 0), a->name))
            return true;
    }
    return false;
}

static enum go proof_add(struct run *r, const struct acme_authorization *a) {
    const char *why;
    if (!was_ordered(r->job, a))
        return fail(r, "the directory wants %s%s proved, which was not ordered",
                    a->wildcard ? "*." : "", a->name);
    const struct acme_challenge *c = challenge_of(r, a, &why);
    if (!c)
        return fail(r, "%s: %s", a->name, why);
    struct proof *p = proof_of(r, c);
    if (p) { /* shown before a crash */
        p->triggered = c->status != STATUS_PENDING;
        return GO_ON;
    }
    if (r->proof_count == AUTHORIZATIONS_MOST)
        return fail(r, "too many authorizations");
    p = &r->proof[r->proof_count++];
    snprintf(p->type, sizeof p->type, "%s", c->type);
    snprintf(p->name, sizeof p->name, "%s", a->name);
    snprintf(p->token, sizeof p->token, "%s", c->token);
    snprintf(p->url, sizeof p->url, "%s", c->url);
    p->triggered = c->status != STATUS_PENDING;
    return GO_ON;
}

/* Looks at all of them; those that are pending are proved from now on (`gather`), and counted. */
static enum go authorizations_look(struct run *r, bool gather, size_t *ret_pending,
                                   int64_t *ret_retry_after) {
    struct acme_authorization *a = calloc(1, sizeof *a);
    enum go go = GO_ON;
    *ret_pending = 0;
    *ret_retry_after = 0;
    if (!a)
        return fail(r, "out of memory");
    for (size_t i = 0; go == GO_ON && i < r->order->authorization_count; i++) {
        int64_t after = 0;
        go = authorization_look(r, r->order->authorization[i], a, &after);
        *ret_retry_after = after > *ret_retry_after ? after : *ret_retry_after;
        if (go == GO_ON && a->status == STATUS_PENDING) {
            ++*ret_pending;
            go = gather ? proof_add(r, a) : GO_ON;
        } else if (go == GO_ON && a->status != STATUS_VALID) {
            go = refused(r, a);
        }
    }
    free(a);
    return go;
}

/* What may have been asked for before a crash is not minded: then it is under way. */
static enum go trigger(struct run *r, struct proof *p) {
    struct http_answer answer;
    if (p->triggered)
        return GO_ON;
    p->triggered = true;
    enum go go = post(r, p->url, "{}", &answer);
    if (go == GO_ON)
        http_answer_fini(&answer);
    return go;
}

/* Everything is shown, and remembered as shown, before the authority is told to look. */
static enum go prove_begin(struct run *r, size_t *ret_pending, int64_t *ret_retry_after) {
    enum go go = authorizations_look(r, true, ret_pending, ret_retry_after);
    if (go == GO_ON && *ret_pending)
        go = proofs_show(r);
    if (go == GO_ON && *ret_pending)
        go = step_to(r, "proving");
    for (size_t i = 0; go == GO_ON && i < r->proof_count; i++)
        go = trigger(r, &r->proof[i]);
    return go;
}

static enum go prove(struct run *r) {
    size_t pending;
    int64_t retry_after;
    r->polls = 0;
    enum go go = prove_begin(r, &pending, &retry_after);
    if (go == GO_ON && !pending) /* proved long ago; the order has not heard of it */
        go = pause_for(r, retry_after, "the authority gathers what it has seen");
    while (go == GO_ON && pending) {
        go = pause_for(r, retry_after, "the authority looks at the names");
        if (go == GO_ON)
            go = authorizations_look(r, false, &pending, &retry_after);
    }
    if (go == GO_ON || go == GO_FAIL) /* else it may still look */
        proofs_forget(r);
    r->polls = 0; /* what comes next is soon done */
    return go;
}

/* ---- the request, the certificate ---- */

static struct key *own_key(struct run *r, struct err *err) {
    char file[80], chain[80];
    order_file_names(r->job->id, r->job->number, file, chain);
    char *pem = bank_read(file, err);
    struct key *key = pem ? key_read(pem, err) : NULL;
    if (pem)
        explicit_bzero(pem, strlen(pem));
    free(pem);
    return key;
}

static enum go finalize(struct run *r) {
    struct http_answer a;
    struct err err;
    struct key *key = own_key(r, &err);
    char *csr = key ? request_make(key, r->job->name, r->job->name_count, &err) : NULL, *body;
    key_free(key);
    if (!csr)
        return fail(r, "%s", err.text);
    if (asprintf(&body, "{\"csr\":\"%s\"}", csr) < 0)
        body = NULL;
    free(csr);
    enum go go = body ? post(r, r->order->finalize, body, &a) : fail(r, "out of memory");
    free(body);
    if (go == GO_ON)
        http_answer_fini(&a);
    else if (problem_is(&r->result->problem, "orderNotReady"))
        return GO_ON; /* another thread of theirs has not seen it yet */
    return go == GO_ON ? step_to(r, "finalized") : go;
}

static enum go chain_take(struct run *r, const char *text) {
    char file[80], chain[80];
    struct err err;
    struct key *key = own_key(r, &err);
    order_file_names(r->job->id, r->job->number, file, chain);
    bool good = key &&
                chain_judge(text, key, r->job->name, r->job->name_count, world_now(),
                            &r->result->paper, &err) &&
                bank_write(chain, text, &err);
    key_free(key);
    return good ? GO_ON : fail(r, "%s", err.text);
}

static enum go fetch(struct run *r) {
    struct http_answer a;
    enum go go = GO_ON;
    if (!*r->order->certificate)
        return fail(r, "the order is valid, but has no certificate");
    if (strcmp(r->step, "issued"))
        go = step_to(r, "issued");
    if (go == GO_ON)
        go = post(r, r->order->certificate, NULL, &a);
    if (go != GO_ON)
        return go;
    go = chain_take(r, a.body);
    http_answer_fini(&a);
    return go;
}

/* ---- the whole ---- */

static enum go invalid(struct run *r) {
    if (!*r->order->problem.detail)
        return prove(r); /* an authorization says what is wrong */
    r->result->problem = r->order->problem;
    return GO_FAIL;
}

/* One look at the order, and what it asks for. *ret_done: the certificate is on disk. */
static enum go advance(struct run *r, bool *ret_done) {
    int64_t retry_after = 0;
    enum go go = order_look(r, &retry_after);
    if (go != GO_ON)
        return go;
    switch (r->order->status) {
    case STATUS_PENDING:
        return prove(r);
    case STATUS_READY: /* a directory may go on saying so, also after it took the request */
        go = finalize(r);
        return go == GO_ON ? pause_for(r, retry_after, "the authority gathers what it has seen")
                           : go;
    case STATUS_PROCESSING:
        return pause_for(r, retry_after, "the authority makes the certificate");
    case STATUS_VALID:
        *ret_done = true;
        return fetch(r);
    default:
        go = invalid(r);
        return go == GO_ON ? fail(r, "the order is no longer usable") : go;
    }
}

static enum go one_directory(struct run *r, bool resumed) {
    bool done = false;
    enum go go = ready(r);
    r->step = "";
    if (!resumed) {
        *r->url = 0;
        r->proof_count = 0;
    }
    if (go == GO_ON)
        go = resumed ? proofs_show(r) : place(r);
    for (unsigned rounds = 0; go == GO_ON && !done; rounds++)
        go = rounds < 1000 ? advance(r, &done) : fail(r, "the order gets nowhere");
    if (go == GO_FAIL && problem_is(&r->result->problem, "accountDoesNotExist") &&
        r->account_tries == 1) {
        proofs_forget(r);
        row_forget(r->job);
        return one_directory(r, false);
    }
    return go;
}

/* True: the next directory shall be asked. */
static bool directory_end(struct run *r, enum go go) {
    struct order_result *out = r->result;
    out->directory = r->directory;
    out->by_authority = go == GO_FAIL && problem_is_refusal(&out->problem);
    out->shown = (go == GO_LATER || go == GO_ENDS) && r->proof_count;
    out->end = go == GO_ON      ? ORDER_DONE
               : go == GO_FAIL  ? ORDER_FAILED
               : go == GO_LATER ? ORDER_LATER
                                : ORDER_ENDS;
    if (go == GO_ON || go == GO_FAIL)
        proofs_forget(r);
    if (go == GO_FAIL)
        row_forget(r->job);
    if (out->by_authority)
        log_write(1, "acme: %s refuses an order for %s: %s%s%s", r->client->url, r->job->name[0],
                  out->problem.type, *out->problem.type ? ": " : "", out->problem.detail);
    return out->by_authority;
}

/* Our own limit, or CAA that can't be read, at one directory is a reason to ask the next, but not to forget the first. */
static bool waits_outside(const struct run *r, enum go go) {
    return go == GO_LATER && !strcmp(r->step, "") && !*r->url;
}

/* When to come again: as the directories say together. One that failed and named no time may be asked as soon as the schedule has it,
 * though another is closed for a week. */
static int64_t come_again(const struct order_result *out, int64_t soonest, bool open) {
    if (!open)
        return soonest;
    if (out->end == ORDER_FAILED)
        return 0;
    int64_t most = world_now() + OPEN_AGAIN;
    return soonest < most ? soonest : most;
}

void order_run(const struct order_job *job, struct order_result *out) {
    struct run r = {.job = job, .result = out, .patience_end = world_now() + PATIENCE};
    size_t count = job->conf->directory.count;
    *out = (struct order_result){.end = ORDER_FAILED};
    r.order = calloc(1, sizeof *r.order);
    r.proof = calloc(AUTHORIZATIONS_MOST, sizeof *r.proof);
    bool next = r.order && r.proof, resumed = next && row_resume(&r);
    bool open = false;
    int64_t soonest = 0;
    size_t first = resumed ? r.directory : schedule_directory(job->failures, count);
    for (size_t i = 0; next && i < count; i++, resumed = false) {
        r.directory = (first + i) % count;
        r.account_tries = 0;
        *r.result = (struct order_result){.end = ORDER_FAILED};
        enum go go = one_directory(&r, resumed);
        next = directory_end(&r, go) || waits_outside(&r, go);
        open |= go == GO_FAIL && !out->not_before;
        if (out->not_before && (!soonest || out->not_before < soonest))
            soonest = out->not_before;
    }
    if (out->end == ORDER_FAILED || out->end == ORDER_LATER)
        out->not_before = come_again(out, soonest, open);
    key_free(r.account.key);
    free(r.order);
    free(r.proof);
}
