/* SPDX-License-Identifier: GPL-3.0-or-later
 * acme.c - certificates that renew themselves: RFC 8555 for every name that a tenant has bound and proved.
 *
 *   tenants' wishes --keeper--> entries --crew--> order (client, account, jose) --> files, rows --> served by all workers
 *
 * Works on the control thread and on a few threads of its own; takes no part in any connection. What an authority asks to see
 * is answered by core (core/challenge.h), what was issued is served by core (core/certificates.h).
 */
#include "core/module.h"
#include "modules/acme/account.h"
#include "modules/acme/calls.h"
#include "modules/acme/crew.h"
#include "modules/acme/keeper.h"
#include "modules/acme/secrets.h"
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The section was judged before the process became the service user; libcurl opens this one as it is now. */
static bool authorities_readable(const struct acme_conf *conf, struct err *err) {
    return !conf->ca_file || !access(conf->ca_file, R_OK) ||
           err_set(err, "acme.ca_file: %s can't be read by the user the edge runs as: %s",
                   conf->ca_file, strerror(errno));
}

static bool acme_up(const void *conf, struct err *err) {
    if (!authorities_readable(conf, err))
        return false;
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return err_set(err, "acme: libcurl can't be used");
    calls_open();
    accounts_init(conf);
    return keeper_open(conf, err) && crew_start(conf, err);
}

static void acme_down(void) {
    crew_stop();
    keeper_close();
    accounts_fini();
    secrets_forget();
    curl_global_cleanup();
}

RINGRESS_MODULE(.name = "acme", .version = RINGRESS_VERSION,
                .summary = "orders and renews certificates", .conf = acme_fields,
                .conf_size = sizeof(struct acme_conf), .conf_check = acme_conf_check,
                .control_up = acme_up, .control_down = acme_down, .on_tenant = keeper_follow,
                .control_view = keeper_view, .control_metrics = keeper_metrics);
