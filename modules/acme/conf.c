/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.c - the rows of section `acme`, and what is judged before anything is asked of a directory.
 */
#include "modules/acme/conf.h"
#include "core/control_host.h"
#include "modules/acme/secrets.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(member) offsetof(struct acme_conf, member)

static const char *const key_kinds[] = {"ecdsa", "rsa", NULL};

static const struct conf_field eab_fields[] = {
    {.name = "directory",
     .type = CONF_STRING,
     .offset = offsetof(struct acme_binding, directory),
     .doc = "which of `directory` it is for; default: the first"},
    {.name = "kid",
     .type = CONF_STRING,
     .offset = offsetof(struct acme_binding, kid),
     .required = true,
     .doc = "the key's name, as the authority gave it"},
    {.name = "hmac_key_file",
     .type = CONF_STRING,
     .offset = offsetof(struct acme_binding, hmac_key_file),
     .required = true,
     .doc = "a file with the key, as the authority gave it: base64url, one line"},
    CONF_END,
};

static const struct conf_field zone_fields[] = {
    {.name = "zone",
     .type = CONF_STRING,
     .offset = offsetof(struct acme_zone, zone),
     .required = true,
     .doc = "the zone that is changed; also for names in it that are tenants' own domains"},
    {.name = "server",
     .type = CONF_STRING,
     .offset = offsetof(struct acme_zone, server),
     .required = true,
     .doc = "its primary server, ADDRESS or ADDRESS:PORT"},
    {.name = "key_file",
     .type = CONF_STRING,
     .offset = offsetof(struct acme_zone, key_file),
     .required = true,
     .doc = "a file with the TSIG key: hmac-sha256:NAME:BASE64"},
    {.name = "wait",
     .type = CONF_DURATION,
     .offset = offsetof(struct acme_zone, wait_ms),
     .max = 600000,
     .fallback = "0s",
     .doc = "how long its other servers take to hear of a change"},
    CONF_END,
};

static const struct conf_field limit_fields[] = {
    {.name = "orders",
     .type = CONF_INT,
     .offset = AT(limits.orders) - AT(limits),
     .min = 1,
     .max = 1000000,
     .fallback = "300",
     .doc = "orders per `orders_window` at each directory"},
    {.name = "orders_window",
     .type = CONF_DURATION,
     .offset = AT(limits.orders_window_ms) - AT(limits),
     .min = 1000,
     .max = 365ll * 86400000,
     .fallback = "3h",
     .doc = "over how long they come back"},
    {.name = "domain",
     .type = CONF_INT,
     .offset = AT(limits.domain) - AT(limits),
     .min = 1,
     .max = 1000000,
     .fallback = "50",
     .doc = "new certificates per registered domain and `domain_window`; renewals are not counted"},
    {.name = "domain_window",
     .type = CONF_DURATION,
     .offset = AT(limits.domain_window_ms) - AT(limits),
     .min = 1000,
     .max = 365ll * 86400000,
     .fallback = "7d",
     .doc = "over how long they come back"},
    CONF_END,
};

const struct conf_field acme_fields[] = {
    {.name = "directory",
     .type = CONF_STRING_LIST,
     .offset = AT(directory),
     .required = true,
     .doc = "URL of an ACME directory, or a list: the next one is asked when one refuses. Using it "
            "agrees to its terms"},
    {.name = "email",
     .type = CONF_STRING,
     .offset = AT(email),
     .doc = "contact that the authorities are told; default none"},
    {.name = "ca_file",
     .type = CONF_STRING,
     .offset = AT(ca_file),
     .doc = "PEM: whom the directories' own TLS may be certified by; default: the system's"},
    {.name = "challenges",
     .type = CONF_STRING_LIST,
     .offset = AT(challenges),
     .fallback = "[tls-alpn-01, http-01]",
     .doc = "how names are proved, the first first: tls-alpn-01, http-01, dns-01"},
    {.name = "eab",
     .type = CONF_MAP_LIST,
     .offset = AT(eab),
     .fields = eab_fields,
     .item_size = sizeof(struct acme_binding),
     .doc = "external account bindings, one per directory that wants one"},
    {.name = "caa",
     .type = CONF_BOOL,
     .offset = AT(caa),
     .fallback = "true",
     .doc =
         "look at CAA records before an order is made, by `dns`; false: leave it to the authority"},
    {.name = "profile",
     .type = CONF_STRING,
     .offset = AT(profile),
     .doc = "certificate profile that is asked for, of those a directory offers; default: its own "
            "choice"},
    {.name = "key",
     .type = CONF_ENUM,
     .offset = AT(key),
     .values = key_kinds,
     .fallback = "ecdsa",
     .doc = "kind of certificates' keys: ecdsa (P-256) or rsa; an Ingress may ask for rsa by "
            "ringress/certificate-key"},
    {.name = "rsa_bits",
     .type = CONF_INT,
     .offset = AT(rsa_bits),
     .min = 2048,
     .max = 4096,
     .fallback = "2048",
     .doc = "length of RSA keys"},
    {.name = "account_key",
     .type = CONF_INT,
     .offset = AT(account_key),
     .min = 1,
     .max = 1000000,
     .fallback = "1",
     .doc = "raise it by one, and the accounts' keys are changed at the next start (RFC 8555 "
            "section 7.3.5)"},
    {.name = "names_per_certificate",
     .type = CONF_INT,
     .offset = AT(names_per_certificate),
     .min = 1,
     .max = 100,
     .fallback = "100",
     .doc =
         "what the authority allows; a spec.tls entry with more names gets several certificates"},
    {.name = "threads",
     .type = CONF_INT,
     .offset = AT(threads),
     .min = 1,
     .max = THREADS_MOST,
     .fallback = "8",
     .doc = "orders that are under way at one time"},
    {.name = "timeout",
     .type = CONF_DURATION,
     .offset = AT(timeout_ms),
     .min = 1000,
     .max = 300000,
     .fallback = "30s",
     .doc = "for one answer of a directory"},
    {.name = "limits",
     .type = CONF_MAP,
     .offset = AT(limits),
     .fields = limit_fields,
     .doc = "we stop before the authority does"},
    {.name = "dns_update",
     .type = CONF_MAP_LIST,
     .offset = AT(dns_update),
     .fields = zone_fields,
     .item_size = sizeof(struct acme_zone),
     .doc = "zones that dns-01 may change, by DNS UPDATE (RFC 2136) signed with TSIG; also for "
            "names in tenants' own domains"},
    CONF_END,
};

bool conf_has_challenge(const struct acme_conf *c, const char *type) {
    for (size_t i = 0; i < c->challenges.count; i++)
        if (!strcmp(((char **)c->challenges.item)[i], type))
            return true;
    return false;
}

static bool zone_holds(const char *zone, const char *name) {
    size_t n = strlen(name), z = strlen(zone);
    return n == z ? !strcasecmp(name, zone)
                  : n > z && name[n - z - 1] == '.' && !strcasecmp(name + n - z, zone);
}

const struct acme_zone *conf_zone_of(const struct acme_conf *c, const char *name) {
    const struct acme_zone *best = NULL, *list = c->dns_update.item;
    for (size_t i = 0; i < c->dns_update.count; i++)
        if (zone_holds(list[i].zone, name) && (!best || strlen(best->zone) < strlen(list[i].zone)))
            best = &list[i];
    return best;
}

/* ---- judging ---- */

/* Relative to edge.yaml from now on. */
static bool file_judge(const char *what, char **path, struct err *err) {
    char *whole = *path ? control_path(*path) : NULL;
    if (!*path)
        return true;
    if (!whole)
        return err_set(err, "out of memory");
    free(*path);
    *path = whole;
    return !access(whole, R_OK) || err_set(err, "acme.%s: %s can't be read", what, whole);
}

static bool secret_judge(const char *what, char **path, struct err *err) {
    struct err why;
    return file_judge(what, path, err) &&
           (secret_keep(*path, &why) || err_set(err, "acme.%s: %s", what, why.text));
}

static bool directories_judge(const struct acme_conf *c, struct err *err) {
    char *const *url = c->directory.item;
    if (!c->directory.count)
        return err_set(err, "acme.directory: one at least");
    if (c->directory.count > DIRECTORIES_MOST)
        return err_set(err, "acme.directory: %d at most", DIRECTORIES_MOST);
    for (size_t i = 0; i < c->directory.count; i++) {
        if (strncmp(url[i], "https://", 8) || strlen(url[i]) > 1000)
            return err_set(err, "acme.directory: %s is no https URL", url[i]);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(url[i], url[j]))
                return err_set(err, "acme.directory: %s is there twice", url[i]);
    }
    return true;
}

static bool challenges_judge(const struct acme_conf *c, struct err *err) {
    char *const *type = c->challenges.item;
    if (!c->challenges.count)
        return err_set(err, "acme.challenges: one at least");
    for (size_t i = 0; i < c->challenges.count; i++)
        if (strcmp(type[i], "http-01") && strcmp(type[i], "tls-alpn-01") &&
            strcmp(type[i], "dns-01"))
            return err_set(err, "acme.challenges: there is no %s, but tls-alpn-01, http-01, dns-01",
                           type[i]);
    if (conf_has_challenge(c, "dns-01") != (c->dns_update.count > 0))
        return err_set(err, "acme: challenge dns-01 and dns_update need each other");
    return true;
}

static bool eab_judge(const struct acme_conf *c, struct err *err) {
    struct acme_binding *list = c->eab.item;
    for (size_t i = 0; i < c->eab.count; i++) {
        bool known = !list[i].directory;
        for (size_t j = 0; j < c->directory.count; j++)
            known |=
                list[i].directory && !strcmp(list[i].directory, ((char **)c->directory.item)[j]);
        if (!known)
            return err_set(err, "acme.eab: %s is not in acme.directory", list[i].directory);
        if (!secret_judge("eab.hmac_key_file", &list[i].hmac_key_file, err))
            return false;
    }
    return true;
}

bool acme_conf_check(const void *conf, struct err *err) {
    struct acme_conf *c = (struct acme_conf *)(uintptr_t)conf; /* paths become whole here */
    struct acme_zone *zone = c->dns_update.item;
    if (!directories_judge(c, err) || !challenges_judge(c, err) ||
        !file_judge("ca_file", &c->ca_file, err) || !eab_judge(c, err))
        return false;
    for (size_t i = 0; i < c->dns_update.count; i++)
        if (!secret_judge("dns_update.key_file", &zone[i].key_file, err))
            return false;
    return !c->email || (strchr(c->email, '@') && !strpbrk(c->email, " ,?\r\n\t")) ||
           err_set(err, "acme.email: %s is no mail address", c->email);
}
