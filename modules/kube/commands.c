/* SPDX-License-Identifier: GPL-3.0-or-later
 * commands.c - see commands.h. A kubeconfig is printed once and kept nowhere: it is the only place where its token stands.
 */
#include "modules/kube/commands.h"
#include "modules/kube/parts.h"
#include "modules/kube/tokens.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct kube_conf *conf;
static struct paper paper;

void commands_open(const struct kube_conf *c, const struct paper *p) {
    conf = c;
    paper = *p;
}

void commands_close(void) {
    paper_fini(&paper);
}

/* ---- answers ---- */

static char *answer_text(json_t *answer) {
    char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    return text;
}

static char *answer_error(int code, const char *message) {
    json_t *text = json_string(message);
    return answer_text(json_pack("{s:i s:o}", "exit", code, "error",
                                 text ? text : json_string("the question is not UTF-8")));
}

static char *answer_good(char *text, json_t *data) {
    json_t *value = text ? json_string(text) : NULL;
    free(text);
    return answer_text(json_pack("{s:i s:o s:o}", "exit", 0, "text",
                                 value ? value : json_string(""), "data", data));
}

/* ---- kubeconfig ---- */

static void server_print(FILE *out) {
    if (conf->server)
        fputs(conf->server, out);
    else
        fprintf(out, "https://%s", ((char *const *)conf->listen.item)[0]);
}

static char *kubeconfig_text(const char *tenant, const char *token) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    json_t *ca = paper.ca ? base64_json(paper.ca, strlen(paper.ca)) : NULL;
    fputs("apiVersion: v1\nkind: Config\nclusters:\n- name: ringress\n  cluster:\n    server: ",
          out);
    server_print(out);
    if (ca)
        fprintf(out, "\n    certificate-authority-data: %s", json_string_value(ca));
    fprintf(out,
            "\nusers:\n- name: %s\n  user:\n    token: %s\ncontexts:\n- name: %s\n  context:\n"
            "    cluster: ringress\n    user: %s\n    namespace: default\ncurrent-context: %s\n",
            tenant, token, tenant, tenant, tenant);
    fclose(out);
    json_decref(ca);
    return text;
}

static char *kubeconfig(const char *tenant, const char *ttl) {
    char token[TOKEN_TEXT_MAX];
    int64_t ms = conf->token_ttl_ms;
    struct err err;
    if (!*tenant)
        return answer_error(2, "kubeconfig wants a tenant");
    if (*ttl && (!conf_duration_parse(ttl, &ms) || ms < 1000))
        return answer_error(2, "--ttl: a duration of a second or more, like 12h or 30d");
    if (!token_make(tenant, ms / 1000, time(NULL), token, &err))
        return answer_error(1, err.text);
    char *text = kubeconfig_text(tenant, token);
    explicit_bzero(token, sizeof token);
    json_t *data = json_pack("{s:s s:s}", "tenant", tenant, "kubeconfig", text ? text : "");
    return answer_good(text, data);
}

/* ---- token ---- */

static char *tokens_text(const json_t *rows) {
    char *text = NULL;
    size_t length, i;
    json_t *row;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    fprintf(out, "%-12s %-22s %-22s %s\n", "ID", "CREATED", "EXPIRES", "STATE");
    json_array_foreach(rows, i, row) {
        fprintf(out, "%-12s %-22s %-22s %s\n", text_of(row, "id"), text_of(row, "created"),
                text_of(row, "expires"), text_of(row, "state"));
    }
    fclose(out);
    return text;
}

static char *token_revoke(const char *tenant, const char *id) {
    struct err err;
    size_t count;
    char *text = NULL;
    if (!tokens_revoke(tenant, id, &count, &err))
        return answer_error(1, err.text);
    if (!count)
        return answer_error(1, "that tenant has no such token");
    if (asprintf(&text, "%zu token%s revoked\n", count, count == 1 ? "" : "s") < 0)
        text = NULL;
    return answer_good(text, json_pack("{s:I}", "revoked", (json_int_t)count));
}

static char *token(const char *const *word, const char *tenant) {
    if (!tenant)
        return answer_error(2, "token wants -n TENANT");
    if (!strcmp(word[0], "list")) {
        json_t *rows = tokens_list(tenant, time(NULL));
        return answer_good(tokens_text(rows), rows);
    }
    if (!strcmp(word[0], "revoke") && *word[1])
        return token_revoke(tenant, word[1]);
    return answer_error(2, "token wants list, or revoke and an ID");
}

char *commands_answer(const char *command, const char *const *word, const char *tenant) {
    if (!strcmp(command, "kubeconfig"))
        return kubeconfig(word[0], word[1]);
    return strcmp(command, "token") ? NULL : token(word, tenant);
}
