/* SPDX-License-Identifier: GPL-3.0-or-later
 * requests.c - what the commands ask the running edge for, one function each.
 */
#include "edge/admin.h"
#include "edge/command.h"
#include "edge/proof.h"
#include "tenants/hostname.h"
#include <stdlib.h>
#include <string.h>

struct request {
    const char *word[8]; /* "" past the last */
    const char *tenant;  /* NULL: not given */
};

static json_t *answer_data(json_t *data) {
    return json_pack("{s:i s:o}", "exit", EXIT_GOOD, "data", data);
}

__attribute__((format(printf, 2, 3))) static json_t *answer_error(int code, const char *format,
                                                                  ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *message = json_string(text);
    return json_pack("{s:i s:o}", "exit", code, "error",
                     message ? message : json_string("the question is not UTF-8"));
}

/* --- get, describe, explain ------------------------------------------------------------------*/

static json_t *get(struct edge *e, const struct request *r) {
    json_t *rows = view_of(e, r->word[0], r->tenant);
    return rows ? answer_data(rows) : answer_error(EXIT_USAGE, "there is no kind `%s`", r->word[0]);
}

static char *ingress_describe(struct edge *e, const char *tenant, const char *name) {
    char *text = describe_ingress(e->registry, tenant, name), *object = NULL;
    if (text && asprintf(&object, "Ingress/%s", name) > 0)
        text = events_describe(&e->events, tenant, object, text);
    free(object);
    return text;
}

/* With what is live: events, and whether its network is there. */
static char *tenant_describe(struct edge *e, const char *name) {
    char *text = describe_tenant(e->registry, name), *object = NULL, why[NETWORK_WHY_MAX];
    const struct version *v = text ? published(name) : NULL;
    struct events now = {0};
    if (!text || asprintf(&object, "Tenant %s", name) < 0)
        return text;
    if (v && network_missing(v, why))
        events_add(&now, name, object, true, "NetworkMissing", why, time(NULL));
    if (now.list)
        text = events_describe(&now, name, object, text);
    events_fini(&now);
    text = events_describe(&e->events, name, object, text);
    free(object);
    return text;
}

static char *describe_one(struct edge *e, const char *kind, const char *tenant, const char *name) {
    if (!strcmp(kind, "tenant"))
        return tenant_describe(e, name);
    if (!strcmp(kind, "domain"))
        return describe_domain(e->registry, tenant, name);
    if (!strcmp(kind, "ingress"))
        return ingress_describe(e, tenant, name);
    return guard_port_describe(e->guard, tenant, name, describe_port(e->registry, tenant, name));
}

/* Without -n: of every tenant that has one of that name. */
static char *describe_any(struct edge *e, const char *kind, const char *name) {
    json_t *tenants = view_tenants(e->registry, NULL), *row;
    char *text = NULL;
    size_t i, length;
    FILE *out = open_memstream(&text, &length);
    bool any = false;
    json_array_foreach(tenants, i, row) {
        char *one =
            out ? describe_one(e, kind, json_string_value(json_object_get(row, "tenant")), name)
                : NULL;
        if (one)
            fprintf(out, "%s%s", any ? "\n" : "", one);
        any |= one != NULL;
        free(one);
    }
    json_decref(tenants);
    if (out)
        fclose(out);
    if (any)
        return text;
    free(text);
    return NULL;
}

static bool row_is(const json_t *row, const char *key, const char *name) {
    const char *value = json_string_value(json_object_get(row, key));
    size_t length = value ? strlen(value) : 0;
    char port[24];
    if (!value || strncmp(value, name, length) != 0)
        return false;
    snprintf(port, sizeof port, ":%d",
             (int)json_integer_value(json_object_get(row, "containerPort")));
    return !name[length] || !strcmp(name + length, port);
}

/* For programs: the rows of `get` that the text is about; of an ingress its routes. */
static json_t *described_rows(struct edge *e, const char *kind, const char *tenant,
                              const char *name) {
    static const char *const of[][3] = {{"tenant", "tenants", "tenant"},
                                        {"domain", "domains", "domain"},
                                        {"ingress", "routes", "ingress"},
                                        {"port", "ports", "service"}};
    json_t *found = json_array(), *row;
    size_t k = 0, i;
    while (k < 3 && strcmp(of[k][0], kind) != 0)
        k++;
    json_t *rows = view_of(e, of[k][1], tenant);
    json_array_foreach(rows, i, row) {
        if (row_is(row, of[k][2], name))
            json_array_append(found, row);
    }
    json_decref(rows);
    return found;
}

static json_t *describe(struct edge *e, const struct request *r) {
    const char *kind = r->word[0], *name = r->word[1];
    bool of_tenant = !strcmp(kind, "ingress") || !strcmp(kind, "port");
    char *text = of_tenant && !r->tenant ? describe_any(e, kind, name)
                                         : describe_one(e, kind, r->tenant, name);
    if (!text)
        return answer_error(EXIT_BAD_NEWS, "no %s %s%s%s", kind, name,
                            of_tenant && r->tenant ? " in tenant " : "",
                            of_tenant && r->tenant ? r->tenant : "");
    json_t *value = json_string(text);
    free(text);
    value = value ? value : json_string("");
    return json_pack("{s:i s:O s:o}", "exit", EXIT_GOOD, "text", value, "data",
                     json_pack("{s:s s:s s:o s:o}", "kind", kind, "name", name, "rows",
                               described_rows(e, kind, r->tenant, name), "text", value));
}

static json_t *explain(struct edge *e, const struct request *r) {
    json_t *data = explain_url(e, r->word[0]);
    const char *answer = json_string_value(json_object_get(data, "answer"));
    bool good = answer && strcmp(answer, "none") != 0;
    return json_pack("{s:i s:O s:o}", "exit", good ? EXIT_GOOD : EXIT_BAD_NEWS, "text",
                     json_object_get(data, "text"), "data", data);
}

/* --- domain recheck --------------------------------------------------------------------------*/

static json_t *recheck(struct edge *e, const char *tenant, const char *name) {
    size_t looks = registry_recheck(e->registry, tenant, name, time(NULL));
    proofs_pump(e);
    if (!looks && name)
        return answer_error(EXIT_BAD_NEWS,
                            "%s is not looked at%s%s: nobody binds it, or it needs "
                            "no proof",
                            name, tenant ? " for tenant " : "", tenant ? tenant : "");
    if (!looks)
        return answer_error(EXIT_BAD_NEWS, "tenant %s has no name that is looked at", tenant);
    return json_pack("{s:i s:o s:o}", "exit", EXIT_GOOD, "data",
                     json_pack("{s:I}", "looks", (json_int_t)looks), "text",
                     json_sprintf("looking at %zu name%s\n", looks, looks == 1 ? "" : "s"));
}

static json_t *domain(struct edge *e, const struct request *r) {
    struct stash *stash = stash_new();
    const char *why = NULL, *name = NULL;
    if (*r->word[1])
        name = hostname_normalise(stash, r->word[1], true, &why);
    json_t *answer = why ? answer_error(EXIT_USAGE, "`%s` %s", r->word[1], why)
                     : name || r->tenant
                         ? recheck(e, r->tenant, name)
                         : answer_error(EXIT_USAGE, "neither a name nor a tenant is given");
    stash_free(stash);
    return answer;
}

/* --- port open, shut -------------------------------------------------------------------------*/

static json_t *port(struct edge *e, const struct request *r) {
    bool shut = !strcmp(r->word[0], "shut");
    struct err err;
    if ((!shut && strcmp(r->word[0], "open") != 0) || !*r->word[1] || !r->tenant)
        return answer_error(EXIT_USAGE, "port wants open or shut, a service and a tenant");
    unsigned count = guard_hand(e->guard, r->tenant, r->word[1], shut, &err);
    if (!count)
        return answer_error(EXIT_BAD_NEWS, "%s", err.text);
    return json_pack("{s:i s:o s:o}", "exit", EXIT_GOOD, "data",
                     described_rows(e, "port", r->tenant, r->word[1]), "text",
                     json_sprintf("%s of tenant %s: %s%s\n", r->word[1], r->tenant,
                                  shut ? "shut until it is opened by hand" : "open",
                                  count > 1 ? ", all of its ports" : ""));
}

/* --- reload, drain ---------------------------------------------------------------------------*/

static void broken_list(struct edge *e, json_t *broken) {
    json_t *tenants = view_tenants(e->registry, NULL), *row;
    size_t i;
    json_array_foreach(tenants, i, row) {
        const char *state = json_string_value(json_object_get(row, "state"));
        const char *error = json_string_value(json_object_get(row, "error"));
        if (state && strcmp(state, "ok") != 0)
            json_array_append_new(broken,
                                  json_sprintf("tenant %s: %s: %s",
                                               json_string_value(json_object_get(row, "tenant")),
                                               state, error ? error : ""));
    }
    json_decref(tenants);
}

static void certificates_reload(struct edge *e, json_t *broken) {
    struct diags diags = DIAGS_INIT;
    operator_load(e->conf, e, &diags);
    for (size_t i = 0; i < diags.count; i++)
        json_array_append_new(broken,
                              json_sprintf("%s%s%s", diags.item[i].file,
                                           *diags.item[i].file ? ": " : "", diags.item[i].message));
    diags_fini(&diags);
}

static json_t *reload(struct edge *e, const struct request *r) {
    struct reload_result result = {.diags = DIAGS_INIT};
    struct err err;
    json_t *broken = json_array();
    (void)r;
    if (!logs_reopen(e, &err))
        json_array_append_new(broken, json_string(err.text));
    certificates_reload(e, broken);
    if (!control_rescan(e, &result, &err))
        json_array_append_new(broken, json_string(err.text));
    broken_list(e, broken);
    diags_fini(&result.diags);
    json_t *data = json_pack("{s:i s:i s:o}", "tenants", (int)result.tenants, "changed",
                             (int)result.changed, "errors", broken);
    return json_pack("{s:i s:o s:o}", "exit", json_array_size(broken) ? EXIT_BAD_NEWS : EXIT_GOOD,
                     "data", data, "text",
                     json_sprintf("%zu tenants, %zu changed, %zu with errors\n", result.tenants,
                                  result.changed, json_array_size(broken)));
}

static json_t *drain(struct edge *e, const struct request *r) {
    (void)r;
    e->drain = true;
    e->loop.stopped = true;
    return json_pack("{s:i s:s s:b}", "exit", EXIT_GOOD, "text", "draining\n", "wait", true);
}

/* --- dispatch --------------------------------------------------------------------------------*/

static const struct {
    const char *command;
    json_t *(*answer)(struct edge *, const struct request *);
} commands[] = {
    {"get", get},       {"describe", describe}, {"explain", explain}, {"domain", domain},
    {"reload", reload}, {"drain", drain},       {"port", port},
};

/* What is no command of the edge's may be a module's. */
static json_t *module_answer(const char *command, const struct request *r) {
    char *text = modules_command(command, r->word, r->tenant);
    json_t *answer = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return answer;
}

json_t *request_answer(struct edge *e, const json_t *json) {
    const char *command = json_string_value(json_object_get(json, "command"));
    const json_t *words = json_object_get(json, "words");
    struct request r = {.tenant = json_string_value(json_object_get(json, "tenant"))};
    for (size_t i = 0; i < sizeof r.word / sizeof *r.word; i++) {
        r.word[i] = json_string_value(json_array_get(words, i));
        if (!r.word[i])
            r.word[i] = "";
    }
    for (size_t i = 0; command && i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i].command, command))
            return commands[i].answer(e, &r);
    json_t *answer = command ? module_answer(command, &r) : NULL;
    if (answer)
        return answer;
    return answer_error(EXIT_USAGE, "this edge does not know the command `%s`",
                        command ? command : "");
}
