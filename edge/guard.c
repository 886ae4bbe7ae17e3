/* SPDX-License-Identifier: GPL-3.0-or-later
 * guard.c - see guard.h. From a step of the machine to what is done, and what is said.
 *
 *   OPEN       no door                                           LIMITED   a door of that level; from the third step on a short queue
 *   SHUT       listener closed, what was open reset, packets     PROBATION listener open again, a door with a small budget
 *              dropped where we may
 *
 * Rows: guard/hand/UID/SERVICE:PORT  the operator has shut it, until he opens it
 *       guard/past/UID/SERVICE:PORT  how often it was shut, and until when (guard_past.h); of a tenant's names: guard/past/UID/names
 */
#include "edge/guard.h"
#include "core/door.h"
#include "core/log.h"
#include "core/shutoff.h"
#include "edge/admin.h"
#include "edge/edge.h"
#include "edge/filter.h"
#include "edge/guard_feed.h"
#include "edge/guard_past.h"
#include "edge/store_read.h"
#include <stdlib.h>
#include <string.h>

#define ROW_HAND "guard/hand/"
#define ROW_PAST "guard/past/"

struct guard {
    struct edge *edge;
    struct shutoff *shutoff;
    struct feed *feed;
    struct filter *filter; /* NULL: no port was shut yet, or this process may not */
    bool unfiltered;       /* it was tried, and said */
    struct map rows;       /* key -> text, as in the store */
    struct map served;     /* tenant -> struct served * */
};

struct served { /* what a tenant had when it was last published: to see what it lost */
    const struct account *account;
    size_t count;
    uint16_t port[];
};

static int64_t now_ms(void) {
    return loop_now_ns() / 1000000;
}

/* --- whose it is -----------------------------------------------------------------------------*/

static const struct raw_port *port_find(const struct tenant *t, uint16_t number) {
    for (size_t i = 0; t && number && i < t->raw_port_count; i++)
        if (t->raw_port[i].public_port == number && t->raw_port[i].state == RAW_PORT_OPEN)
            return &t->raw_port[i];
    return NULL;
}

static const struct tenant *tenant_now(const char *name) {
    const struct version *v = published(name);
    return v ? v->tenant : NULL;
}

static struct door_at door_of(const struct shutoff_unit *u) {
    const struct version *v = u->port ? NULL : published(u->tenant);
    return (struct door_at){.names = v ? v->account : NULL, .port = u->port};
}

enum { ROW_KEY = 320 };

/* `p` NULL: the tenant's names. */
static void row_key(const char *kind, const struct tenant *t, const struct raw_port *p,
                    char out[ROW_KEY]) {
    if (p)
        snprintf(out, ROW_KEY, "%s%s/%s:%u", kind, t->uid, p->service, p->container_port);
    else
        snprintf(out, ROW_KEY, "%s%s/names", kind, t->uid);
}

/* --- rows ------------------------------------------------------------------------------------*/

static void row_keep(void *user, const char *key, const char *value) {
    struct guard *g = user;
    char *copy = strdup(value);
    free(map_remove(&g->rows, key));
    if (!copy || !map_put(&g->rows, key, copy))
        free(copy);
}

static void row_put(struct guard *g, const char *key, const char *value) {
    if (value)
        row_keep(g, key, value);
    else
        free(map_remove(&g->rows, key));
    store_put(&g->edge->store, key, value);
}

/* For the next life of the process, or of the port. */
static void past_put(struct guard *g, const struct shutoff_unit *u) {
    const struct tenant *t = tenant_now(u->tenant);
    const struct raw_port *p = port_find(t, u->port);
    char key[ROW_KEY], value[PAST_TEXT];
    if (!t || (u->port && !p))
        return;
    row_key(ROW_PAST, t, p, key);
    past_print(u, now_ms(), time(NULL), value);
    if (u->offences || map_get(&g->rows, key))
        row_put(g, key, u->offences ? value : NULL);
}

/* At the start: what is over is forgotten, whoever it was of. */
static void row_load(void *user, const char *key, const char *value) {
    struct guard *g = user;
    struct shutoff_past past;
    bool over = !strncmp(key, ROW_PAST, strlen(ROW_PAST)) &&
                !past_read(value, &g->edge->conf->raw_tcp.shutoff, time(NULL), &past);
    if (over)
        store_put(&g->edge->store, key, NULL);
    else
        row_keep(g, key, value);
}

/* --- what is said ----------------------------------------------------------------------------*/

static void until_print(const struct shutoff_unit *u, int64_t now, char out[32]) {
    struct tm tm;
    time_t at = time(NULL) + (time_t)((u->until_ms - now + 999) / 1000);
    *out = 0;
    if (u->until_ms && gmtime_r(&at, &tm))
        strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void headline(const struct shutoff_unit *u, char *out, size_t room) {
    char until[32];
    until_print(u, now_ms(), until);
    switch ((enum shutoff_state)u->state) {
    case SHUTOFF_OPEN:
        snprintf(out, room, "open");
        break;
    case SHUTOFF_LIMITED:
        snprintf(out, room, "limited, step %u: %s", u->step, shutoff_step_text(u->step, u->port));
        break;
    case SHUTOFF_SHUT:
        snprintf(out, room, "%s%s%s", u->port ? "shut" : "names are refused",
                 *until ? " until " : "", until);
        break;
    case SHUTOFF_PROBATION:
        snprintf(out, room, "on probation until %s", until);
        break;
    }
}

static const char *event_reason(const struct shutoff_unit *u) {
    static const char *const of_port[] = {"PortOpen", "PortLimited", "PortShut", "PortProbation"};
    static const char *const of_names[] = {"NamesOpen", "NamesLimited", "NamesRefused",
                                           "NamesProbation"};
    return (u->port ? of_port : of_names)[u->state];
}

static void tell(struct guard *g, const struct shutoff_unit *u) {
    char object[160], head[128], text[512];
    const struct raw_port *p = port_find(tenant_now(u->tenant), u->port);
    snprintf(object, sizeof object, p ? "Service/%s" : "Tenant/%s", p ? p->service : u->tenant);
    headline(u, head, sizeof head);
    if (u->port)
        snprintf(text, sizeof text, "port %u: %s: %s", u->port, head, u->why);
    else
        snprintf(text, sizeof text, "%s: %s", head, u->why);
    events_add(&g->edge->events, u->tenant, object, u->state != SHUTOFF_OPEN, event_reason(u), text,
               time(NULL));
    log_write(u->state == SHUTOFF_OPEN ? 2 : 1, "tenant %s: %s", u->tenant, text);
}

/* --- what is done ----------------------------------------------------------------------------*/

static struct door_rule rule_of(const struct guard *g, const struct shutoff_unit *u) {
    const struct door_conf *c = &g->edge->conf->raw_tcp.door;
    int64_t usual = (int64_t)(2 * u->calm_accepts);
    bool probation = u->state == SHUTOFF_PROBATION;
    return (struct door_rule){
        .level = u->step,
        .accepts = probation            ? c->probation
                   : usual > c->accepts ? usual
                                        : c->accepts,
        .requests = c->requests,
    };
}

static void names_apply(const struct guard *g, const struct shutoff_unit *u,
                        const struct door_at *at) {
    if (u->state == SHUTOFF_SHUT)
        door_reset(at);
    else if (u->step == STEP_SHED)
        door_shed(at, g->edge->conf->raw_tcp.door.idle_ms);
}

/* Also what would be answered with resets is not heard any more; opened when the first port is shut. */
static void packets_drop(struct guard *g, uint16_t port, bool drop) {
    const struct edge_conf *c = g->edge->conf;
    struct err err;
    if (drop && !g->filter && !g->unfiltered && !c->raw_tcp.drop) {
        g->filter = filter_open(&c->raw_address, &err);
        g->unfiltered = !g->filter;
        if (!g->filter)
            log_write(2, "packets to shut ports are answered with resets, not dropped: %s",
                      err.text);
    }
    if (g->filter && !filter_drop(g->filter, port, drop, &err))
        log_write(1, "%s", err.text);
}

static void port_apply(struct guard *g, const struct shutoff_unit *u, const struct door_at *at) {
    bool shut = u->state == SHUTOFF_SHUT;
    if (shut != ports_is_shut(&g->edge->ports, u->port))
        packets_drop(g, u->port, shut);
    ports_shut(&g->edge->ports, u->port, shut);
    ports_hold(&g->edge->ports, u->port, u->step >= STEP_ACCEPTS);
    if (shut)
        door_reset(at);
    else if (u->step == STEP_FIRST_DATA)
        door_watch(at);
    else if (u->step == STEP_SHED)
        door_shed(at, g->edge->conf->raw_tcp.door.idle_ms);
}

static void apply(struct guard *g, const struct shutoff_unit *u) {
    struct door_at at = door_of(u);
    struct door_rule rule = rule_of(g, u);
    if (!at.port && !at.names)
        return; /* gone meanwhile */
    if (u->step == STEP_NONE)
        door_remove(&at);
    else if (!door_set(&at, &rule))
        log_write(0, "tenant %s: out of memory: it can't be held by sources", u->tenant);
    if (u->port)
        port_apply(g, u, &at);
    else
        names_apply(g, u, &at);
}

static void moved(void *user, const struct shutoff_unit *u, enum shutoff_state from,
                  enum shutoff_step step) {
    struct guard *g = user;
    (void)step;
    apply(g, u);
    tell(g, u);
    if (u->state != from)
        past_put(g, u);
}

/* --- the beat --------------------------------------------------------------------------------*/

void guard_beat(struct guard *g) {
    if (feed_window(g->feed, g->shutoff, now_ms()))
        shutoff_judge(g->shutoff, moved, g);
}

/* --- tenants come and go ---------------------------------------------------------------------*/

static void past_remember(struct guard *g, const struct tenant *t, const struct raw_port *p) {
    char key[ROW_KEY];
    struct shutoff_past past;
    row_key(ROW_PAST, t, p, key);
    const char *text = map_get(&g->rows, key);
    if (text && past_read(text, &g->edge->conf->raw_tcp.shutoff, time(NULL), &past))
        shutoff_remember(g->shutoff, t->name, p ? p->public_port : 0, &past, now_ms(), moved, g);
}

static void port_given(struct guard *g, const struct tenant *t, const struct raw_port *p) {
    char key[ROW_KEY];
    if (shutoff_find(g->shutoff, t->name, p->public_port))
        return;
    past_remember(g, t, p);
    row_key(ROW_HAND, t, p, key);
    if (map_get(&g->rows, key))
        shutoff_hand(g->shutoff, t->name, p->public_port, true, now_ms(), moved, g);
}

static void port_lost(struct guard *g, const char *tenant, uint16_t port) {
    struct door_at at = {.port = port};
    door_remove(&at);
    if (ports_is_shut(&g->edge->ports, port))
        packets_drop(g, port, false);
    ports_hold(&g->edge->ports, port, false);
    ports_shut(&g->edge->ports, port, false);
    shutoff_forget(g->shutoff, tenant, port);
}

static void served_keep(struct guard *g, const char *name, const struct tenant *t) {
    size_t n = t ? t->raw_port_count : 0;
    struct served *s = t ? calloc(1, sizeof *s + n * sizeof *s->port) : NULL;
    free(map_remove(&g->served, name));
    if (!s)
        return;
    s->account = published(name)->account;
    for (size_t i = 0; i < n; i++)
        if (t->raw_port[i].public_port && t->raw_port[i].state == RAW_PORT_OPEN)
            s->port[s->count++] = t->raw_port[i].public_port;
    if (!map_put(&g->served, name, s))
        free(s);
}

void guard_follow(struct guard *g, const char *name, const struct tenant *t) {
    const struct served *before = map_get(&g->served, name);
    /* Gone and made anew before anybody looked, it is another, and what the first had was that one's. */
    bool same = before && t && published(name)->account == before->account;
    for (size_t i = 0; before && i < before->count; i++)
        if (!same || !port_find(t, before->port[i]))
            port_lost(g, name, before->port[i]);
    if (before && !same) {
        door_remove(&(struct door_at){.names = before->account});
        shutoff_forget(g->shutoff, name, 0);
    }
    served_keep(g, name, t);
    if (t && !shutoff_find(g->shutoff, name, 0))
        past_remember(g, t, NULL);
    for (size_t i = 0; t && i < t->raw_port_count; i++)
        if (t->raw_port[i].public_port && t->raw_port[i].state == RAW_PORT_OPEN)
            port_given(g, t, &t->raw_port[i]);
}

/* --- the operator's hand ---------------------------------------------------------------------*/

static bool is_named(const struct raw_port *p, const char *name) {
    size_t length = strlen(p->service);
    char port[8];
    if (strncmp(p->service, name, length) != 0)
        return false;
    snprintf(port, sizeof port, ":%u", p->container_port);
    return !name[length] || !strcmp(name + length, port);
}

static void hand_keep(struct guard *g, const struct tenant *t, const struct raw_port *p,
                      bool shut) {
    char key[ROW_KEY];
    row_key(ROW_HAND, t, p, key);
    row_put(g, key, shut ? "shut" : NULL);
    row_key(ROW_PAST, t, p, key);
    if (!shut && map_get(&g->rows, key))
        row_put(g, key, NULL);
}

unsigned guard_hand(struct guard *g, const char *tenant, const char *service, bool shut,
                    struct err *err) {
    const struct tenant *t = tenant_now(tenant);
    unsigned done = 0, refused = 0;
    struct err why;
    for (size_t i = 0; t && i < t->raw_port_count; i++) {
        const struct raw_port *p = &t->raw_port[i];
        if (!is_named(p, service))
            continue;
        if (!p->public_port || p->state != RAW_PORT_OPEN) {
            refused++;
            continue;
        }
        hand_keep(g, t, p, shut);
        done += shutoff_hand(g->shutoff, tenant, p->public_port, shut, now_ms(), moved, g);
    }
    if (done && !store_commit(&g->edge->store, &why))
        log_write(0, "%s; that %s was %s by hand may not survive a restart", why.text, service,
                  shut ? "shut" : "opened");
    if (!t)
        err_set(err, "no tenant %s is live", tenant);
    else if (!done)
        err_set(err,
                refused ? "tenant %s: %s has no port: it was refused one"
                        : "tenant %s has no raw port of %s; `ringress get ports -n %s` shows those "
                          "it has",
                tenant, service, tenant);
    return done;
}

/* --- views -----------------------------------------------------------------------------------*/

static const struct shutoff_unit *unit_of_row(const struct guard *g, const json_t *row) {
    json_int_t port = json_integer_value(json_object_get(row, "publicPort"));
    const char *tenant = json_string_value(json_object_get(row, "tenant"));
    return tenant && port > 0 ? shutoff_find(g->shutoff, tenant, (uint16_t)port) : NULL;
}

void guard_port_enliven(const struct guard *g, json_t *row) {
    const struct shutoff_unit *u = unit_of_row(g, row);
    const char *state = json_string_value(json_object_get(row, "state"));
    char until[32];
    if (!u || !state || strcmp(state, "refused") == 0)
        return;
    struct door_at at = door_of(u);
    struct door_figures f = door_figures(&at);
    until_print(u, now_ms(), until);
    json_object_set_new(row, "step", json_integer(u->step));
    json_object_set_new(row, "offences", json_integer(u->offences));
    json_object_set_new(row, "turnedAway", json_integer((json_int_t)f.refused));
    if (u->state == SHUTOFF_OPEN)
        return;
    json_object_set_new(row, "state", json_string(shutoff_state_name(u->state)));
    json_object_set_new(row, "until", *until ? json_string(until) : json_null());
    json_object_set_new(row, "reason",
                        u->state == SHUTOFF_LIMITED
                            ? json_sprintf("%s: %s", shutoff_step_text(u->step, true), u->why)
                            : json_string(u->why));
}

/* Puts `value` in place of what follows "\nNAME:" and spaces on its line; takes `text`. */
static char *line_replace(char *text, const char *name, const char *value) {
    char *at = strstr(text, name), *out = NULL;
    size_t skip = at ? strlen(name) + strspn(at + strlen(name), " \t") : 0;
    if (!at || asprintf(&out, "%.*s%s%s", (int)(at + skip - text), text, value,
                        at + skip + strcspn(at + skip, "\n")) < 0)
        return text;
    free(text);
    return out;
}

char *guard_port_describe(const struct guard *g, const char *tenant, const char *service,
                          char *text) {
    const struct tenant *t = tenant_now(tenant);
    char head[128];
    for (size_t i = 0; t && text && i < t->raw_port_count; i++) {
        const struct raw_port *p = &t->raw_port[i];
        if (!is_named(p, service))
            continue;
        const struct shutoff_unit *u = shutoff_find(g->shutoff, tenant, p->public_port);
        char object[160];
        if (u && u->state != SHUTOFF_OPEN) {
            headline(u, head, sizeof head);
            text = line_replace(text, "\nState:", head);
            text = line_replace(text, "\nReason:", u->why);
        }
        snprintf(object, sizeof object, "Service/%s", p->service);
        return events_describe(&g->edge->events, tenant, object, text);
    }
    return text;
}

/* --- metrics ---------------------------------------------------------------------------------*/

enum figure { FIGURE_STATE, FIGURE_SECONDS, FIGURE_TURNED_AWAY };

static const struct series {
    const char *name, *type, *help;
    bool names; /* of a tenant's names, else of each of its ports */
    enum figure figure;
} series[] = {
    {"port_state", "gauge", "Of raw ports: 0 open, 1 limited, 2 shut, 3 on probation.", false,
     FIGURE_STATE},
    {"port_shut_seconds_total", "counter", "How long a raw port was shut.", false, FIGURE_SECONDS},
    {"port_turned_away_total", "counter",
     "Connections that a raw port has turned away since it is held.", false, FIGURE_TURNED_AWAY},
    {"names_state", "gauge",
     "Of a tenant's names, on all listeners: 0 open, 1 limited, 2 refused, 3 on probation.", true,
     FIGURE_STATE},
    {"names_turned_away_total", "counter",
     "Handshakes and requests that were refused since a tenant's names are held.", true,
     FIGURE_TURNED_AWAY},
};

static void sample_print(const struct guard *g, FILE *out, const struct series *s,
                         const char *tenant, uint16_t port) {
    static const struct shutoff_unit none;
    const struct shutoff_unit *found = shutoff_find(g->shutoff, tenant, port);
    const struct shutoff_unit *u = found ? found : &none;
    struct door_at at = found ? door_of(u) : (struct door_at){.port = port};
    fprintf(out, "ringress_%s{tenant=\"", s->name);
    label_print(out, tenant);
    if (port)
        fprintf(out, "\",port=\"%u", port);
    fputs("\"} ", out);
    if (s->figure == FIGURE_SECONDS)
        fprintf(out, "%.1f\n", (double)shutoff_shut_ms(u, now_ms()) / 1000);
    else if (s->figure == FIGURE_TURNED_AWAY)
        fprintf(out, "%llu\n", (unsigned long long)door_figures(&at).refused);
    else
        fprintf(out, "%u\n", u->state);
}

static void series_print(const struct guard *g, FILE *out, const struct series *s) {
    metric_head(out, s->name, s->type, s->help);
    for (size_t i = 0; i < g->served.room; i++) {
        const struct served *t = g->served.slot[i].key ? g->served.slot[i].value : NULL;
        if (t && s->names)
            sample_print(g, out, s, g->served.slot[i].key, 0);
        for (size_t k = 0; t && !s->names && k < t->count; k++)
            sample_print(g, out, s, g->served.slot[i].key, t->port[k]);
    }
}

void guard_metrics(const struct guard *g, FILE *out) {
    for (size_t i = 0; i < sizeof series / sizeof *series; i++)
        series_print(g, out, &series[i]);
}

/* --- start and end ---------------------------------------------------------------------------*/

bool guard_start(struct edge *e, struct err *err) {
    struct guard *g = e->guard = calloc(1, sizeof *g);
    uint64_t seed = (uint64_t)loop_now_ns();
    if (!g || !(g->shutoff = shutoff_new(&e->conf->raw_tcp.shutoff, seed)) ||
        !(g->feed = feed_new(e)))
        return err_set(err, "out of memory");
    g->edge = e;
    doors_start(&e->conf->raw_tcp.door, core_workers());
    store_each(&e->store, "guard/", row_load, g);
    return true;
}

void guard_end(struct edge *e) {
    struct guard *g = e->guard;
    if (!g)
        return;
    shutoff_free(g->shutoff);
    feed_free(g->feed);
    filter_close(g->filter);
    map_clear(&g->rows, free);
    map_clear(&g->served, free);
    free(g);
    e->guard = NULL;
}
