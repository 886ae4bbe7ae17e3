/* SPDX-License-Identifier: MIT
 * doorman.c - turns clients away at the door: by address as they come, or by the first byte they say.
 *
 *   doorman: {banned: ["192.0.2.7"], first_byte: "!"}      in edge.yaml
 */
#include "core/module.h"
#include <string.h>

struct doorman_conf {
    struct conf_list banned; /* char * each */
    char *first_byte;
};

static const struct conf_field FIELDS[] = {{.name = "banned",
                                            .type = CONF_STRING_LIST,
                                            .offset = offsetof(struct doorman_conf, banned),
                                            .doc = "addresses of clients that are not let in"},
                                           {.name = "first_byte",
                                            .type = CONF_STRING,
                                            .offset = offsetof(struct doorman_conf, first_byte),
                                            .fallback = "!",
                                            .doc = "whoever begins with this is sent away"},
                                           CONF_END};

struct doorman_worker {
    unsigned long turned_away; /* of this worker's thread alone: no lock */
};

static bool doorman_conf_check(const void *conf, struct err *err) {
    const struct doorman_conf *own = conf;
    return strlen(own->first_byte) == 1 || err_set(err, "doorman: first_byte is one character");
}

static enum verdict doorman_on_accept(struct conn *conn, void *state);
static enum verdict doorman_on_bytes(struct conn *conn, void *state, const uint8_t *data,
                                     size_t length);

RINGRESS_MODULE(.name = "doorman", .version = "1.0",
                .summary = "turns clients away by address or first byte",
                .listeners = LISTENER_HTTP, .conf = FIELDS,
                .conf_size = sizeof(struct doorman_conf),
                .worker_size = sizeof(struct doorman_worker), .conf_check = doorman_conf_check,
                .on_accept = doorman_on_accept, .on_bytes = doorman_on_bytes);

static enum verdict turn_away(struct conn *conn) {
    struct doorman_worker *worker = module_worker_state(&ringress_module, conn_worker(conn));
    log_write(2, "doorman: %lu turned away on worker %u", ++worker->turned_away,
              worker_id(conn_worker(conn)));
    return VERDICT_REJECT;
}

static enum verdict doorman_on_accept(struct conn *conn, void *state) {
    const struct doorman_conf *conf = module_conf(&ringress_module);
    char *const *banned = conf->banned.item;
    char peer[46];
    (void)state;
    conn_peer(conn, peer);
    for (size_t i = 0; i < conf->banned.count; i++)
        if (strcmp(banned[i], peer) == 0)
            return turn_away(conn);
    return VERDICT_PASS;
}

static enum verdict doorman_on_bytes(struct conn *conn, void *state, const uint8_t *data,
                                     size_t length) {
    const struct doorman_conf *conf = module_conf(&ringress_module);
    (void)state;
    if (length == 0)
        return VERDICT_WAIT;
    if (data[0] != (uint8_t)conf->first_byte[0])
        return VERDICT_PASS;
    conn_last_words(conn, "not here\n", 9);
    return turn_away(conn);
}
