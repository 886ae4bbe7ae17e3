/* SPDX-License-Identifier: GPL-3.0-or-later
 * serve.c - one client of the proxy: a head is read, judged by path.c, and answered; then the next.
 *
 * Nothing of a request reaches the engine but what path.c has written anew. Heads, waits and answers are bounded.
 */
#include "core/map.h"
#include "modules/docker/head.h"
#include "modules/docker/http.h"
#include "modules/docker/path.h"
#include "modules/docker/proxy.h"
#include "modules/docker/shown.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    HEAD_MOST = 16384,
    PATIENCE_S = 30,
    LOOK_MS = 1000,
    KNOWN_MOST = 10000,
    QUEUE_MOST = 4 << 20
};

struct client {
    const struct proxy *proxy;
    int fd;
    struct line *line;
    char data[HEAD_MOST];
    size_t length;    /* read and not used yet */
    struct head head; /* of the request */
    bool malformed;
};

/* ---- a head ---- */

/* False: there is none, or none that is one. */
static bool head_await(struct client *c) {
    enum head_state state;
    while ((state = head_read(c->data, c->length, &c->head)) == HEAD_MORE) {
        c->malformed = c->length == HEAD_MOST;
        ssize_t n =
            c->length < HEAD_MOST ? recv(c->fd, c->data + c->length, HEAD_MOST - c->length, 0) : 0;
        if (n <= 0)
            return false;
        c->length += (size_t)n;
    }
    c->malformed = state == HEAD_BAD;
    return state == HEAD_GOOD;
}

static void head_drop(struct client *c) {
    c->length -= c->head.length;
    memmove(c->data, c->data + c->head.length, c->length);
}

/* ---- answers ---- */

static const char *phrase_of(long status) {
    return status == 200   ? "OK"
           : status == 400 ? "Bad Request"
           : status == 403 ? "Forbidden"
           : status == 404 ? "Not Found"
                           : "Answer";
}

static bool answer_send(const struct client *c, long status, const char *type, const char *fields,
                        const char *body, size_t length) {
    char head[1200];
    bool bodiless = !strcmp(c->head.method, "HEAD");
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %ld %s\r\n%sContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n",
                     status, phrase_of(status), fields, *type ? type : "application/json", length,
                     c->head.keeps ? "" : "Connection: close\r\n");
    return send_all(c->fd, head, (size_t)n) && (bodiless || send_all(c->fd, body, length)) &&
           c->head.keeps;
}

static bool refuse(struct client *c, long status, const char *why) {
    char body[300];
    c->head.keeps = c->head.keeps && !c->head.has_body; /* what follows the head is not read */
    int n = snprintf(body, sizeof body, "{\"message\":\"%s\"}\n", why);
    return answer_send(c, status, "application/json", "", body, (size_t)n);
}

static bool reply_send(const struct client *c, const struct reply *r) {
    return answer_send(c, r->status, r->type, r->passed, r->body, r->length);
}

static bool json_send(const struct client *c, const struct reply *r, const json_t *json) {
    char *text = json_dumps(json, JSON_COMPACT);
    bool good = text && answer_send(c, 200, "application/json", r->passed, text, strlen(text));
    free(text);
    return good;
}

/* ---- what is shown ---- */

static json_t *rows_get(const struct client *c, const char *kind) {
    char *text = c->proxy->call->get(c->proxy->call, kind);
    json_t *rows = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return rows;
}

static bool list_answer(struct client *c, const struct reply *r, const struct shown *s) {
    json_t *rows = json_bounded(r->body, r->length), *list = shown_list(s, rows);
    bool good = list ? json_send(c, r, list) : refuse(c, 502, "the engine has answered no list");
    json_decref(list);
    json_decref(rows);
    return good;
}

static bool inspect_answer(struct client *c, const struct reply *r, const struct shown *s) {
    json_t *inspected = json_bounded(r->body, r->length);
    bool good;
    if (!json_is_object(inspected) || !shown_is(s, inspected)) {
        good = refuse(c, 404, "No such container");
    } else {
        shown_inspected(s, inspected);
        good = json_send(c, r, inspected);
    }
    json_decref(inspected);
    return good;
}

static bool shown_answer(struct client *c, const struct asked_path *asked, const struct reply *r) {
    bool plain = shown_plain(c->head.agent);
    json_t *ports = plain ? NULL : rows_get(c, "ports");
    json_t *tenants = plain ? NULL : rows_get(c, "tenants");
    const struct shown s = {.engine = &c->proxy->engine,
                            .tenant = c->proxy->call->tenant,
                            .ports = ports,
                            .tenants = tenants,
                            .by_address = shown_by_address(c->head.agent),
                            .most = asked->most};
    bool list = asked->question == QUESTION_LIST;
    bool good = list ? list_answer(c, r, &s) : inspect_answer(c, r, &s);
    json_decref(ports);
    json_decref(tenants);
    return good;
}

static bool is_filtered(const struct proxy *p) {
    return p->call->tenant && !p->engine.tenant;
}

/* What an engine says of a container that is not there names it as the client did; others' must sound the same. So must a few letters
 * that more than one begin with, which engines don't call missing: how many there are, and then their ids, could be found out. */
static bool asked_answer(struct client *c, const struct asked_path *asked) {
    struct reply r;
    struct err err;
    bool good, shown = asked->question == QUESTION_LIST || asked->question == QUESTION_INSPECT;
    bool head = !strcmp(c->head.method, "HEAD");
    if (!line_ask(c->line, head, asked->ask, REPLY_MOST, &r, &err))
        good = refuse(c, 502, "the engine does not answer");
    else if (asked->question == QUESTION_INSPECT &&
             (r.status == 404 || (r.status != 200 && is_filtered(c->proxy))))
        good = refuse(c, 404, "No such container");
    else if (shown && r.status == 200)
        good = shown_answer(c, asked, &r);
    else
        good = reply_send(c, &r);
    reply_fini(&r);
    return good;
}

/* ---- events ---- */

struct telling {
    struct client *c;
    struct map known; /* id -> &yes or &no: a container that is gone can't be looked at any more */
    char *queue;      /* lines that came and were not judged yet */
    size_t length;
    bool broken;
};
static char yes, no;

static void line_queue(void *user, const char *line, size_t length) {
    struct telling *t = user;
    char *queue =
        t->length + length + 1 > QUEUE_MOST ? NULL : realloc(t->queue, t->length + length + 1);
    if (!queue) {
        t->broken = true;
        return;
    }
    memcpy(queue + t->length, line, length);
    queue[t->length + length] = '\n';
    t->queue = queue;
    t->length += length + 1;
}

static void line_lost(void *user) {
    ((struct telling *)user)->broken = true;
}

static void known_put(struct telling *t, const char *id, bool shown) {
    if (map_get(&t->known, id) || t->known.count < KNOWN_MOST)
        map_put(&t->known, id, shown ? &yes : &no);
}

/* Asks the engine; of one that is gone what was known of it stands. */
static bool container_look(struct telling *t, const char *id) {
    const struct proxy *p = t->c->proxy;
    const struct shown s = {.engine = &p->engine, .tenant = p->call->tenant};
    char path[100];
    struct reply r;
    struct err err;
    snprintf(path, sizeof path, "/containers/%s/json", id);
    bool asked = line_get(t->c->line, path, REPLY_MOST, &r, &err) && r.status == 200;
    json_t *inspected = asked ? json_bounded(r.body, r.length) : NULL;
    bool shown = inspected ? json_is_object(inspected) && shown_is(&s, inspected)
                           : map_get(&t->known, id) == &yes;
    if (inspected)
        known_put(t, id, shown);
    json_decref(inspected);
    reply_fini(&r);
    return shown;
}

static bool container_is_shown(struct telling *t, const char *id) {
    const void *known = map_get(&t->known, id);
    return known ? known == &yes : container_look(t, id);
}

/* A container may go over to another tenant: whose it was sees it leave, and nothing more. What it does on networks of others is
 * not told, and to join one of these is to be theirs, or nobody's. */
static bool joining_is_shown(struct telling *t, const char *id, const json_t *event) {
    const struct proxy *p = t->c->proxy;
    const char *network =
        json_text(json_object_get(json_object_get(event, "Actor"), "Attributes"), "name");
    const char *owner = engine_network_tenant(&p->engine, network);
    bool others = owner && strcmp(owner, p->call->tenant) != 0;
    bool was = map_get(&t->known, id) == &yes;
    if (others && !strcmp(json_text(event, "Action"), "connect")) {
        known_put(t, id, false);
        return false;
    }
    return (container_look(t, id) || was) && !others;
}

static bool event_is_shown(struct telling *t, const char *line, size_t length) {
    json_t *event = json_bounded(line, length);
    const char *id = event_container(event);
    bool all = !t->c->proxy->call->tenant || t->c->proxy->engine.tenant;
    bool joins = !strcmp(json_text(event, "Type"), "network");
    bool shown = json_is_object(event) && all;
    if (!all && id_good(id))
        shown = joins ? joining_is_shown(t, id, event) : container_is_shown(t, id);
    json_decref(event);
    return shown;
}

static void lines_tell(struct telling *t) {
    char head[16];
    for (const char *line = t->queue, *end = t->queue + t->length, *next; line && line < end;
         line = next) {
        next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
        size_t length = (size_t)(next - line);
        if (t->broken || !event_is_shown(t, line, length - 1))
            continue;
        int n = snprintf(head, sizeof head, "%zx\r\n", length);
        t->broken = !send_all(t->c->fd, head, (size_t)n) || !send_all(t->c->fd, line, length) ||
                    !send_all(t->c->fd, "\r\n", 2);
    }
    t->length = 0;
}

static bool client_is_there(const struct client *c) {
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Whose containers are there before it begins, so that their ends are told as well. */
static void known_fill(struct telling *t) {
    struct reply r;
    struct err err;
    size_t i;
    json_t *row, *rows = NULL;
    bool filtered = is_filtered(t->c->proxy);
    if (filtered && line_get(t->c->line, "/containers/json?all=1", REPLY_MOST, &r, &err)) {
        rows = json_bounded(r.body, r.length);
        reply_fini(&r);
    }
    json_array_foreach(rows, i, row) {
        if (id_good(json_text(row, "Id")))
            container_is_shown(t, json_text(row, "Id"));
    }
    json_decref(rows);
}

static void events_answer(struct client *c, const struct asked_path *asked) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    struct telling t = {.c = c};
    struct err err;
    struct events *events =
        events_open(c->line, asked->ask, &(struct events_taker){line_queue, line_lost, &t});
    bool flows = events != NULL;
    for (int64_t waited = 0; flows && !events_flow(events) && waited < LOOK_MS; waited += 20)
        flows = events_wait(events, 20, &err);
    if (!events || (!flows && !events_flow(events))) {
        refuse(c, 502, "the engine tells no events");
    } else {
        known_fill(&t);
        t.broken |= !send_all(c->fd, head, sizeof head - 1);
        lines_tell(&t);
        while (flows && !t.broken && !c->proxy->ending && client_is_there(c)) {
            flows = events_wait(events, LOOK_MS, &err);
            lines_tell(&t);
        }
        if (!t.broken)
            send_all(c->fd, "0\r\n\r\n", 5);
    }
    if (events)
        events_close(events);
    map_fini(&t.known);
    free(t.queue);
}

/* ---- one request, and all ---- */

/* False: the connection ends. */
static bool request_answer(struct client *c) {
    static struct asked_path const none;
    const struct module_call *call = c->proxy->call;
    struct asked_path asked = none;
    enum question question = c->head.has_body || c->head.upgrade
                                 ? QUESTION_OTHER
                                 : path_read(c->head.method, c->head.target, &asked);
    bool filtered = is_filtered(c->proxy);
    if (question == QUESTION_OTHER && call->all) {
        tunnel(c->fd, c->proxy->engine.socket, c->data, c->length, c->head.length, c->head.upgrade);
        return false;
    }
    head_drop(c);
    if (question == QUESTION_OTHER)
        return refuse(c, 403, "this socket only shows containers and events");
    if (question == QUESTION_INFO && filtered && !call->all)
        return refuse(c, 403, "this engine has more than one tenant");
    if (question == QUESTION_LIST && filtered && path_names_one(&asked))
        return refuse(c, 403, "no list before or since a container: it may be another tenant's");
    if (question == QUESTION_LIST && filtered && !path_limit_take(&asked))
        return refuse(c, 400, "the query of this list can not be read");
    if (question != QUESTION_EVENTS)
        return asked_answer(c, &asked);
    events_answer(c, &asked);
    return false;
}

void serve(const struct proxy *p, int fd) {
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return;
    c->proxy = p;
    c->fd = fd;
    c->line = line_new(p->engine.socket, &p->ending);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    while (c->line && !p->ending && head_await(c) && request_answer(c))
        continue;
    if (c->malformed) {
        c->head.keeps = false;
        *c->head.method = 0;
        refuse(c, 400, "not a request of HTTP/1.1");
    }
    line_free(c->line);
    free(c);
}
