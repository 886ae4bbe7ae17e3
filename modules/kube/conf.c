/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.c - the rows of section `kube`.
 */
#include "modules/kube/conf.h"
#include <stddef.h>
#include <string.h>

#define AT(member) offsetof(struct kube_conf, member)
#define DAY_MS 86400000ll

const struct conf_field kube_fields[] = {
    {.name = "listen",
     .type = CONF_STRING_LIST,
     .offset = AT(listen),
     .required = true,
     .doc = "address with port, or a list of them, where kubectl is answered"},
    {.name = "server",
     .type = CONF_STRING,
     .offset = AT(server),
     .doc = "URL that kubeconfigs name, https://HOST:PORT; default: the first of `listen`"},
    {.name = "names",
     .type = CONF_STRING_LIST,
     .offset = AT(names),
     .doc = "more names and addresses that the self-made certificate is for; those of `server` and "
            "`listen` always are"},
    {.name = "cert_file",
     .type = CONF_STRING,
     .offset = AT(cert_file),
     .doc = "PEM, a certificate and its chain; default: one made by the edge's own authority, in "
            "the state folder"},
    {.name = "key_file", .type = CONF_STRING, .offset = AT(key_file), .doc = "PEM, its key"},
    {.name = "ca_file",
     .type = CONF_STRING,
     .offset = AT(ca_file),
     .doc = "PEM, whom kubectl is to trust, for kubeconfigs; with `cert_file` only; default: whom "
            "the system trusts"},
    {.name = "token_ttl",
     .type = CONF_DURATION,
     .offset = AT(token_ttl_ms),
     .min = 60000,
     .max = 3650 * DAY_MS,
     .fallback = "90d",
     .doc = "how long a token is good when `kubeconfig` does not say"},
    {.name = "connections",
     .type = CONF_INT,
     .offset = AT(connections),
     .min = 8,
     .max = 100000,
     .fallback = "4000",
     .doc = "at once, all together"},
    {.name = "tenant_connections",
     .type = CONF_INT,
     .offset = AT(tenant_connections),
     .min = 1,
     .max = 100000,
     .fallback = "1500",
     .doc = "at once, of one tenant; each watch is one"},
    {.name = "requests_per_second",
     .type = CONF_INT,
     .offset = AT(requests_per_second),
     .min = 1,
     .max = 100000,
     .fallback = "100",
     .doc = "of one tenant; four times as many in a burst, more are answered 429"},
    {.name = "body_size",
     .type = CONF_SIZE,
     .offset = AT(body_size),
     .min = 4096,
     .max = 3 << 20,
     .fallback = "1Mi",
     .doc = "of one request's body; more is answered 413"},
    CONF_END,
};

bool kube_conf_check(const void *conf, struct err *err) {
    const struct kube_conf *c = conf;
    if (!c->listen.count)
        return err_set(err, "kube.listen: at least one address is needed");
    if (!c->cert_file != !c->key_file)
        return err_set(err, "kube: cert_file and key_file go together");
    if (c->ca_file && !c->cert_file)
        return err_set(err, "kube.ca_file: is for a cert_file of your own");
    return !c->server || !strncmp(c->server, "https://", 8) ||
           err_set(err, "kube.server: must be a URL that begins with https://");
}
