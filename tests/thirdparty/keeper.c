/* SPDX-License-Identifier: MIT
 * keeper.c - stores certificates and challenges as the acme module does, from a list, for the stories of tests/e2e/test_stored.py.
 *
 *   keeper: {list: FILE}      a line each, words apart by one space:
 *   certificate ID UID NOT_AFTER CHAIN KEY NAME [NAME…]
 *   http HOST TOKEN ANSWER
 *   alpn NAME CHAIN KEY
 *
 * While the first worker comes up the control thread waits for it, so what only that thread may do can be done there.
 */
#include "core/certificates.h"
#include "core/challenge.h"
#include "core/control.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MOST = 4096, WORDS_MOST = 16, PEM_MOST = 65536 };

struct keeper_conf {
    char *list;
};

static const struct conf_field FIELDS[] = {{.name = "list",
                                            .type = CONF_STRING,
                                            .offset = offsetof(struct keeper_conf, list),
                                            .required = true,
                                            .doc = "what is to be stored"},
                                           CONF_END};

static int keeper_worker_up(struct worker *, void *state, const void *conf);

RINGRESS_MODULE(.name = "keeper", .version = "1.0",
                .summary = "certificates and challenges from a list", .conf = FIELDS,
                .conf_size = sizeof(struct keeper_conf), .worker_size = 8,
                .worker_up = keeper_worker_up);

static bool certificate_keep(char *const *word, size_t count, struct err *err) {
    return certificates_put(&(struct stored_certificate){.id = word[1],
                                                         .tenant_uid = word[2],
                                                         .not_after = atoll(word[3]),
                                                         .chain_file = word[4],
                                                         .key_file = word[5],
                                                         .name = (const char *const *)word + 6,
                                                         .name_count = count - 6},
                            err);
}

static void file_read(const char *path, char out[PEM_MOST]) {
    FILE *f = fopen(path, "r");
    out[f ? fread(out, 1, PEM_MOST - 1, f) : 0] = 0;
    if (f)
        fclose(f);
}

static bool alpn_keep(char *const *word, struct err *err) {
    static char chain[PEM_MOST], key[PEM_MOST];
    file_read(word[2], chain);
    file_read(word[3], key);
    struct identity *identity = identity_new(chain, key, err);
    if (identity)
        challenge_alpn_set(word[1], identity);
    return identity;
}

static bool line_keep(char *line, struct err *err) {
    char *word[WORDS_MOST], *rest;
    size_t count = 0;
    for (char *at = strtok_r(line, " \n", &rest); at && count < WORDS_MOST;
         at = strtok_r(NULL, " \n", &rest))
        word[count++] = at;
    if (count > 6 && !strcmp(word[0], "certificate"))
        return certificate_keep(word, count, err);
    if (count == 4 && !strcmp(word[0], "alpn"))
        return alpn_keep(word, err);
    if (count != 4 || strcmp(word[0], "http"))
        return err_set(err, "a line is not known");
    challenge_http_set(word[1], word[2], word[3]);
    return true;
}

static int list_keep(const char *path) {
    char line[LINE_MOST];
    struct err err;
    bool good = true;
    FILE *f = fopen(path, "r");
    if (!f)
        return -errno;
    while (good && fgets(line, sizeof line, f))
        good = line_keep(line, &err);
    fclose(f);
    if (!good)
        log_write(0, "keeper: %s", err.text);
    return good ? 0 : -EINVAL;
}

static int keeper_worker_up(struct worker *worker, void *state, const void *conf) {
    (void)state;
    return worker_id(worker) ? 0 : list_keep(((const struct keeper_conf *)conf)->list);
}
