/* SPDX-License-Identifier: GPL-3.0-or-later
 * commands.c - get, describe, explain, domain, reload, drain: ask the running edge, show what it says.
 */
#include "edge/client.h"
#include "edge/print.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- get -------------------------------------------------------------------------------------*/

static const struct column tenants_columns[] = {{"TENANT", "tenant", false},
                                                {"DOMAIN", "domain", false},
                                                {"STATE", "state", false},
                                                {"CONNECTIONS", "connections", false},
                                                {"REQUESTS", "requests", false},
                                                {"IN", "bytesIn", true},
                                                {"OUT", "bytesOut", true},
                                                {"PODIN", "podBytesIn", true},
                                                {"PODOUT", "podBytesOut", true},
                                                {"DESCRIPTORS", "descriptors", true},
                                                {"BUFFERS", "buffers", true},
                                                {"MEMORY", "memory", true},
                                                {"SECONDS", "loopSeconds", true},
                                                {"FAILURES", "failures", true},
                                                {"429", "limited429", true},
                                                {"REFUSED", "refusedConnections", true},
                                                {"UID", "uid", true},
                                                {"ERROR", "error", false},
                                                {NULL, NULL, false}};
static const struct column routes_columns[] = {
    {"TENANT", "tenant", false},     {"HOST", "host", false},       {"PATH", "path", false},
    {"PATHTYPE", "pathType", false}, {"SERVICE", "service", false}, {"PORT", "port", false},
    {"SCHEME", "scheme", false},     {"STATE", "state", false},     {"INGRESS", "ingress", true},
    {"ORIGIN", "origin", true},      {"REASON", "reason", false},   {NULL, NULL, false}};
static const struct column domains_columns[] = {
    {"DOMAIN", "domain", false}, {"TENANT", "tenant", false}, {"INGRESS", "ingress", false},
    {"STATE", "state", false},   {"REASON", "reason", false}, {NULL, NULL, false}};
static const struct column ports_columns[] = {{"TENANT", "tenant", false},
                                              {"SERVICE", "service", false},
                                              {"CONTAINERPORT", "containerPort", false},
                                              {"PUBLICPORT", "publicPort", false},
                                              {"STATE", "state", false},
                                              {"CONNECTIONS", "connections", true},
                                              {"IN", "bytesIn", true},
                                              {"OUT", "bytesOut", true},
                                              {"PODIN", "podBytesIn", true},
                                              {"PODOUT", "podBytesOut", true},
                                              {"DESCRIPTORS", "descriptors", true},
                                              {"BUFFERS", "buffers", true},
                                              {"MEMORY", "memory", true},
                                              {"SECONDS", "loopSeconds", true},
                                              {"UNTIL", "until", true},
                                              {"REASON", "reason", false},
                                              {NULL, NULL, false}};
static const struct column backends_columns[] = {{"TENANT", "tenant", false},
                                                 {"SERVICE", "service", false},
                                                 {"PORT", "port", false},
                                                 {"ADDRESS", "address", false},
                                                 {"STATE", "state", false},
                                                 {"CONNECTIONS", "connections", false},
                                                 {"FAILURES", "failures", false},
                                                 {"POD", "pod", true},
                                                 {"WAITING", "waiting", true},
                                                 {"RETRIES", "retries", true},
                                                 {"UNTIL", "until", true},
                                                 {"REASON", "reason", false},
                                                 {NULL, NULL, false}};
static const struct column certificates_columns[] = {
    {"NAMES", "names", false},           {"TENANT", "tenant", false},
    {"ISSUER", "issuer", false},         {"NOTAFTER", "notAfter", false},
    {"SOURCE", "source", false},         {"STATE", "state", false},
    {"SECRET", "secret", true},          {"FILE", "file", true},
    {"NEXTACTION", "nextAction", false}, {NULL, NULL, false}};
static const struct column modules_columns[] = {
    {"MODULE", "module", false}, {"VERSION", "version", false}, {"ABI", "abi", false},
    {"FILE", "file", false},     {"SUMMARY", "summary", true},  {NULL, NULL, false}};
static const struct column events_columns[] = {
    {"TENANT", "tenant", false},   {"TYPE", "type", false},   {"OBJECT", "object", false},
    {"REASON", "reason", false},   {"SINCE", "since", false}, {"AT", "at", true},
    {"MESSAGE", "message", false}, {NULL, NULL, false}};

static const struct kind {
    const char *name, *singular;
    const struct column *column;
} kinds[] = {
    {"tenants", "tenant", tenants_columns},
    {"routes", "route", routes_columns},
    {"domains", "domain", domains_columns},
    {"ports", "port", ports_columns},
    {"backends", "backend", backends_columns},
    {"certificates", "certificate", certificates_columns},
    {"modules", "module", modules_columns},
    {"events", "event", events_columns},
    {NULL, NULL, NULL},
};

static const struct kind *kind_find(const char *name) {
    const struct kind *k = kinds;
    while (k->name && strcmp(k->name, name) != 0 && strcmp(k->singular, name) != 0)
        k++;
    return k->name ? k : NULL;
}

static void rows_show(const struct args *args, const struct kind *kind, const json_t *rows) {
    if (json_array_size(rows))
        print_table(rows, kind->column, args->output == OUTPUT_WIDE);
    else if (args->tenant)
        printf("No resources found in tenant %s.\n", args->tenant);
    else
        puts("No resources found.");
}

int command_get(const struct args *args) {
    struct args question = *args;
    const struct kind *kind = args->words == 1 ? kind_find(args->word[0]) : NULL;
    int code;
    if (!kind)
        return usage_error("get wants one of: tenants, routes, domains, ports, backends, "
                           "certificates, modules, events");
    question.word[0] = kind->name;
    json_t *answer = client_ask(&question, "get", &code, NULL);
    const json_t *rows = json_object_get(answer, "data");
    if (!answer)
        return code;
    if (json_is_array(rows) && args->output != OUTPUT_JSON)
        rows_show(args, kind, rows);
    else
        client_show(args, answer);
    code = (int)json_integer_value(json_object_get(answer, "exit"));
    json_decref(answer);
    return code;
}

/* --- describe, explain, reload ---------------------------------------------------------------*/

static int ask_and_show(const struct args *args, const char *command) {
    int code;
    json_t *answer = client_ask(args, command, &code, NULL);
    if (!answer)
        return code;
    code = client_show(args, answer);
    json_decref(answer);
    return code;
}

int command_describe(const struct args *args) {
    static const char *const described[] = {"ingress", "tenant", "port", "domain", NULL};
    int i = 0;
    while (args->words && described[i] && strcmp(described[i], args->word[0]) != 0)
        i++;
    if (args->words != 2 || !described[i])
        return usage_error("describe wants ingress, tenant, port or domain, and a name");
    return ask_and_show(args, "describe");
}

int command_explain(const struct args *args) {
    return args->words == 1 ? ask_and_show(args, "explain") : usage_error("explain wants one URL");
}

int command_domain(const struct args *args) {
    bool recheck = args->words && !strcmp(args->word[0], "recheck");
    if (!recheck || args->words > 2 || (args->words == 1 && !args->tenant))
        return usage_error("domain wants `recheck` and a name, a tenant (-n) or both");
    return ask_and_show(args, "domain");
}

int command_port(const struct args *args) {
    bool known =
        args->words == 2 && (!strcmp(args->word[0], "open") || !strcmp(args->word[0], "shut"));
    if (!known || !args->tenant)
        return usage_error("port wants open or shut, SERVICE[:CONTAINERPORT] and -n TENANT");
    return ask_and_show(args, "port");
}

int command_kubeconfig(const struct args *args) {
    struct args question = *args;
    if (args->words != 1)
        return usage_error("kubeconfig wants one tenant");
    if (args->ttl)
        question.word[question.words++] = args->ttl;
    return ask_and_show(&question, "kubeconfig");
}

int command_token(const struct args *args) {
    bool list = args->words == 1 && !strcmp(args->word[0], "list");
    bool revoke = args->words == 2 && !strcmp(args->word[0], "revoke");
    if ((!list && !revoke) || !args->tenant)
        return usage_error("token wants `list`, or `revoke` and a token's ID (or `all`), and "
                           "-n TENANT");
    return ask_and_show(args, "token");
}

int command_reload(const struct args *args) {
    int code;
    size_t i;
    json_t *error;
    if (args->words)
        return usage_error("reload takes no further words");
    json_t *answer = client_ask(args, "reload", &code, NULL);
    if (!answer)
        return code;
    code = client_show(args, answer);
    json_array_foreach(json_object_get(json_object_get(answer, "data"), "errors"), i, error) {
        if (args->output != OUTPUT_JSON && json_is_string(error)) {
            print_text(json_string_value(error));
            putchar('\n');
        }
    }
    json_decref(answer);
    return code;
}

/* --- drain -----------------------------------------------------------------------------------*/

/* The edge holds the connection until it ends: then it has drained. */
int command_drain(const struct args *args) {
    int code, fd;
    char byte;
    if (args->words)
        return usage_error("drain takes no further words");
    json_t *answer = client_ask(args, "drain", &code, &fd);
    if (!answer)
        return code;
    code = client_show(args, answer);
    fflush(stdout);
    json_decref(answer);
    while (code == EXIT_GOOD && recv(fd, &byte, 1, 0) > 0)
        ;
    close(fd);
    if (code == EXIT_GOOD)
        puts("drained");
    return code;
}
