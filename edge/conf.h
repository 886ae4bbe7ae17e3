/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.h - edge.yaml, the operator's file: its rows, and what is made of them.
 */
#pragma once
#include "core/conf.h"
#include "core/door.h"
#include "core/module.h"
#include "core/shutoff.h"
#include "tenants/compiled.h"

struct address_list {
    union address *item;
    size_t count;
};

struct conf_place { /* in edge.yaml */
    unsigned line, column;
};

struct edge_certificate {
    char *cert, *key;
};

struct edge_conf {
    /* as written; filled by the rows of conf.c */
    char *workers_text, *user, *conf_d, *state;
    struct conf_list capabilities, jail_read;
    int jail;              /* enum jail */
    int core_dumps;        /* 0: off, 1: on */
    int64_t memory;        /* bytes, of the process; 0: what the system allows */
    int64_t buffer_memory; /* bytes, of each worker */
    struct conf_list modules, module_path, zones, addresses;
    struct {
        struct conf_list http, https, proxy_protocol;
    } listen;
    struct conf_list trusted_proxies;
    struct {
        char *socket, *listen, *group;
    } admin;
    struct {
        char *address, *ports;
        int64_t per_tenant;
        struct shutoff_conf shutoff;
        struct door_conf door;
        int drop; /* 0: as the process may, 1: never */
    } raw_tcp;
    struct timeouts timeouts;
    struct {
        int min_version;               /* 0: TLS 1.2, 1: TLS 1.3 */
        int64_t cache;                 /* stored certificates in memory at most */
        struct conf_list certificates; /* struct edge_certificate */
    } tls;
    struct {
        struct conf_list servers;
        int64_t recheck_ms;
        char *trust_anchor; /* a file; NULL: no DNSSEC */
    } dns;
    struct {
        int64_t hosts;
    } metrics;
    struct {
        int access;
        int query; /* 0: drop, 1: keep */
        char *path, *access_path;
        int level;
    } log;

    /* made from it */
    char *path; /* of the file itself, as it was named */
    unsigned workers;
    uint64_t capability_set; /* of `capabilities`: 1 << CAP_… */
    bool capabilities_given;
    struct conf_place capabilities_at, group_at;
    struct conf_place log_at, access_at; /* of log.path, and of what says where the access log is */
    struct address_list http, https, admin_http; /* admin_http: none or one */
    struct address_list modules_http; /* what fields called `listen` of modules' sections name */
    union address raw_address;
    uint16_t port_low, port_high; /* both 0: no raw ports */
    struct prefix *trusted_proxy;
    size_t trusted_proxy_count;
    struct prefix *proxy; /* of listen.proxy_protocol */
    size_t proxy_count;
    struct conf_field *fields; /* our rows and the modules' */
};

/* Reads and checks `path`, loads the modules it names (modules_inspect, once per process) and hands each its section.
 * Adds all that is wrong to `diags`. NULL: there are errors. Paths come out relative to nothing or to the working
 * directory, ready to open. */
struct edge_conf *edge_conf_load(const char *path, struct diags *);
/* The same of a text alone: `modules`, sections of modules and the default trust anchor are not looked at. For tests. */
struct edge_conf *edge_conf_parse(const char *path, const char *text, size_t length,
                                  struct diags *);
void edge_conf_free(struct edge_conf *);

/* Where the admin socket of that edge is, without checking the rest; malloc'd. NULL: the file can't be read or is no
 * YAML, *err says why. */
char *edge_conf_socket(const char *path, struct err *);

#define EDGE_CONF_DEFAULT "/etc/ringress/edge.yaml"
#define TRUST_ANCHOR_DEFAULT "/usr/share/dns/root.key"
#define ADMIN_SOCKET_DEFAULT "/run/ringress/admin.sock"
