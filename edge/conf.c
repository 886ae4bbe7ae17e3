/* SPDX-License-Identifier: GPL-3.0-or-later
 * conf.c - edge.yaml by rows, then what the rows can't say: addresses, prefixes, files, what this build lacks.
 *
 *   text -> tree -> the modules it names are inspected -> our rows + theirs -> conf_fill -> judged, made ready
 *
 * The module's own configuration lies behind struct edge_conf in the same block, each where its row says.
 */
#include "edge/conf.h"
#include "core/control.h"
#include "core/yaml.h"
#include "edge/address.h"
#include "edge/capability.h"
#include "edge/file.h"
#include "edge/user.h"
#include "tenants/hostname.h"
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(member) .offset = offsetof(struct edge_conf, member)

/* --- the rows --------------------------------------------------------------------------------*/

static const struct conf_field listen_fields[] = {
    {"http", CONF_STRING_LIST, AT(listen.http), .doc = "addresses that speak plain HTTP"},
    {"https", CONF_STRING_LIST, AT(listen.https), .doc = "addresses that speak TLS"},
    {"proxy_protocol", CONF_STRING_LIST, AT(listen.proxy_protocol),
     .doc = "prefixes that must speak the PROXY protocol"},
    CONF_END};
static const struct conf_field admin_fields[] = {
    {"socket", CONF_STRING, AT(admin.socket), .fallback = ADMIN_SOCKET_DEFAULT,
     .doc = "the socket of the commands"},
    {"listen", CONF_STRING, AT(admin.listen), .doc = "read-only HTTP: /metrics and the rest"},
    {"group", CONF_STRING, AT(admin.group), .doc = "whose members may give commands, too"},
    CONF_END};
#define SHUTOFF(key, member, type, low, high, value, text) \
    { key, type, AT(raw_tcp.member), low, high, value, .doc = text }
static const char *const shutoff_drops[] = {"auto", "off", NULL};
static const struct conf_field shutoff_fields[] = {
    {"enabled", CONF_BOOL, AT(raw_tcp.shutoff.on), .fallback = "true",
     .doc = "hold who harms others; false: only the operator's hand shuts a port"},
    SHUTOFF("lag", shutoff.lag_ms, CONF_DURATION, 1, 10000, "10ms",
            "harm: a turn of a worker's loop that takes so long"),
    SHUTOFF("severe_lag", shutoff.severe_ms, CONF_DURATION, 1, 60000, "50ms",
            "severe harm, which skips the first steps"),
    SHUTOFF("accept_wait", shutoff.wait_ms, CONF_DURATION, 1, 10000, "50ms",
            "harm: new connections wait so long at the http and https listeners"),
    SHUTOFF("lane_wait", shutoff.lane_ms, CONF_DURATION, 1, 10000, "5ms",
            "harm: others' work is in the way of a tenant's so long, on the average; or of new "
            "connections, twice as long"),
    SHUTOFF(
        "turn_wait_us", shutoff.turn_us, CONF_INT, 1, 10000000, "12",
        "harm: who comes waits so many microseconds for the turn of a worker that is busy for two "
        "thirds of the time, on the average, and one tenant takes half of the workers' time or "
        "more"),
    SHUTOFF("p99", shutoff.p99_factor, CONF_INT, 2, 1000, "4",
            "harm: others' p99 is so many times what it is when all is calm"),
    SHUTOFF("errors", shutoff.errors, CONF_INT, 1, 1000, "5",
            "harm: so many of 1,000 tries of others fail for what the edge lacks"),
    SHUTOFF("severe_errors", shutoff.severe_errors, CONF_INT, 1, 1000, "10", "severe harm"),
    SHUTOFF("headroom", shutoff.headroom, CONF_INT, 1, 90, "10",
            "harm: less than so many percent of descriptors or buffers are left"),
    SHUTOFF("step", shutoff.step_ms, CONF_DURATION, 100, 60000, "100ms",
            "a step that has not helped by then gives way to the next"),
    SHUTOFF("shut", shutoff.shut_ms, CONF_DURATION, 100, 86400000, "30s",
            "the first time; twice as long each further time, give or take a fifth"),
    SHUTOFF("shut_most", shutoff.shut_most_ms, CONF_DURATION, 100, 86400000, "30m", "at most"),
    SHUTOFF("probation", shutoff.probation_ms, CONF_DURATION, 100, 86400000, "10s",
            "then so long with a small budget of connections"),
    SHUTOFF("quiet", shutoff.quiet_ms, CONF_DURATION, 1000, 30 * 86400000ll, "1h",
            "so long without offence and one is forgotten"),
    SHUTOFF("relax", shutoff.relax_ms, CONF_DURATION, 100, 3600000, "2s",
            "so long without harm and one step is taken back; ten times as long while as many are "
            "turned away as come in"),
    SHUTOFF("source_rate", door.source_rate, CONF_INT, 1, 1000000, "20",
            "held: new connections a second from one address (IPv6: /64)"),
    SHUTOFF("source_open", door.source_open, CONF_INT, 1, 1000000, "64",
            "held: connections to a port that one address has open"),
    SHUTOFF("source_requests", door.source_requests, CONF_INT, 1, 1000000, "100",
            "held: requests a second from one address"),
    SHUTOFF("network_rate", door.network_rate, CONF_INT, 1, 1000000, "80",
            "the same of a /24 (IPv6: /48), from the second step on"),
    SHUTOFF("network_open", door.network_open, CONF_INT, 1, 1000000, "256", "the same"),
    SHUTOFF("network_requests", door.network_requests, CONF_INT, 1, 1000000, "400", "the same"),
    SHUTOFF("first_byte", door.first_byte_ms, CONF_DURATION, 50, 3600000, "2s",
            "from the second step on: the client's first byte comes within so long"),
    SHUTOFF("idle", door.idle_ms, CONF_DURATION, 50, 86400000, "10s",
            "from the second step on: of a connection on which nothing moves"),
    SHUTOFF("accepts", door.accepts, CONF_INT, 1, 1000000, "100",
            "from the third step on: new connections (or handshakes) a second; or twice as many as "
            "usual"),
    SHUTOFF("requests", door.requests, CONF_INT, 1, 10000000, "1000",
            "from the third step on: requests a second to a tenant's names"),
    SHUTOFF("probation_accepts", door.probation, CONF_INT, 1, 1000000, "20",
            "on probation: new connections a second"),
    {"drop", CONF_ENUM, AT(raw_tcp.drop), .fallback = "auto", .values = shutoff_drops,
     .doc = "packets to a shut port: dropped by nftables where the process may, or never"},
    CONF_END};
static const struct conf_field raw_tcp_fields[] = {
    {"address", CONF_STRING, AT(raw_tcp.address), .fallback = "0.0.0.0",
     .doc = "where raw ports listen"},
    {"ports", CONF_STRING, AT(raw_tcp.ports), .doc = "the pool, LOW-HIGH; none: no raw ports"},
    {"per_tenant", CONF_INT, AT(raw_tcp.per_tenant), 0, 65535, "4", .doc = "quota of a tenant"},
    {"shutoff", CONF_MAP, .fields = shutoff_fields,
     .doc = "when a port that harms others is held, and how"},
    CONF_END};
#define TIMEOUT(key, member, value, text) \
    { key, CONF_DURATION, AT(timeouts.member), 1, 86400000, value, .doc = text }
static const struct conf_field timeouts_fields[] = {
    TIMEOUT("header", header, "10s", "for a request's head, or a ClientHello"),
    TIMEOUT("body_idle", body_idle, "60s", "between two pieces of a body"),
    TIMEOUT("connect", connect, "5s", "to reach a pod"),
    TIMEOUT("response", response, "60s", "for a pod's answer to begin"),
    TIMEOUT("keepalive", keepalive, "75s", "of an idle kept connection"),
    TIMEOUT("drain", drain, "30s", "for what runs to finish when stopping"),
    CONF_END};
static const struct conf_field certificate_fields[] = {
    {"cert", CONF_STRING, offsetof(struct edge_certificate, cert), .required = true,
     .doc = "PEM, leaf first"},
    {"key", CONF_STRING, offsetof(struct edge_certificate, key), .required = true, .doc = "PEM"},
    CONF_END};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const struct conf_field tls_fields[] = {
    {"min_version", CONF_ENUM, AT(tls.min_version), .fallback = "\"1.2\"", .values = tls_versions,
     .doc = "the oldest TLS to accept"},
    {"cache", CONF_INT, AT(tls.cache), 16, 10000000, "10000",
     .doc = "certificates of acme that are kept in memory; others are read when asked for"},
    {"certificates", CONF_MAP_LIST, AT(tls.certificates), .fields = certificate_fields,
     .item_size = sizeof(struct edge_certificate), .doc = "the operator's own, chosen by SNI"},
    CONF_END};
static const struct conf_field dns_fields[] = {
    {"servers", CONF_STRING_LIST, AT(dns.servers), .doc = "resolvers; default: the system's"},
    {"recheck", CONF_DURATION, AT(dns.recheck_ms), 1000, 30 * 86400000ll, "1h",
     .doc = "how often a verified domain is verified again"},
    {"trust_anchor", CONF_STRING, AT(dns.trust_anchor), .doc = "file of DNSSEC keys, or none"},
    CONF_END};
static const char *const log_access[] = {"off", "json", NULL};
static const char *const log_query[] = {"drop", "keep", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const struct conf_field log_fields[] = {
    {"access", CONF_ENUM, AT(log.access), .fallback = "off", .values = log_access,
     .doc = "one line per request and joined connection"},
    {"access_path", CONF_STRING, AT(log.access_path), .doc = "its file; default: that of path"},
    {"query", CONF_ENUM, AT(log.query), .fallback = "drop", .values = log_query,
     .doc = "whether its lines tell queries"},
    {"path", CONF_STRING, AT(log.path), .fallback = "stderr", .doc = "a file, or stderr"},
    {"level", CONF_ENUM, AT(log.level), .fallback = "info", .values = log_levels,
     .doc = "the least grave lines to write"},
    CONF_END};

static const struct conf_field metrics_fields[] = {
    {"hosts", CONF_INT, AT(metrics.hosts), 0, 1000, "20",
     .doc = "how many hosts have a series of their own: those that most requests are for"},
    CONF_END};

static const char *const jails[] = {"off", "on", "required", NULL};
static const char *const core_dumps[] = {"off", "on", NULL};
static const struct conf_field edge_fields[] = {
    {"workers", CONF_STRING, AT(workers_text), .fallback = "auto",
     .doc = "threads; auto: one per CPU we may use"},
    {"memory", CONF_SIZE, AT(memory), 16 << 20, INT64_MAX / 2,
     .doc = "what the process may use; default: what its cgroup, its limits and the machine allow"},
    {"buffer_memory", CONF_SIZE, AT(buffer_memory), 2 << 20, 256 << 20, "256Mi",
     .doc = "what each worker may hold of data on its way"},
    {"user", CONF_STRING, AT(user), .doc = "become this user once the listeners are open"},
    {"capabilities", CONF_STRING_LIST, AT(capabilities),
     .doc = "what the process may still do beside its user's rights"},
    {"jail", CONF_ENUM, AT(jail), .fallback = "on", .values = jails,
     .doc = "confine files and system calls"},
    {"jail_read", CONF_STRING_LIST, AT(jail_read), .doc = "further folders it may read"},
    {"core_dumps", CONF_ENUM, AT(core_dumps), .fallback = "off", .values = core_dumps,
     .doc = "whether a crash may leave one"},
    {"conf_d", CONF_STRING, AT(conf_d), .required = true, .doc = "the folder of tenants"},
    {"state", CONF_STRING, AT(state), .required = true, .doc = "the folder of what must survive"},
    {"modules", CONF_STRING_LIST, AT(modules), .fallback = "[sni, http, tcp]",
     .doc = "asked in this order"},
    {"module_path", CONF_STRING_LIST, AT(module_path), .doc = "folders to look for NAME.so in"},
    {"zones", CONF_STRING_LIST, AT(zones), .doc = "the platform's own DNS zones"},
    {"addresses", CONF_STRING_LIST, AT(addresses), .doc = "the edge's public addresses"},
    {"listen", CONF_MAP, .fields = listen_fields, .required = true, .doc = "where clients come in"},
    {"trusted_proxies", CONF_STRING_LIST, AT(trusted_proxies),
     .doc = "prefixes whose X-Forwarded-* is believed"},
    {"admin", CONF_MAP, .fields = admin_fields, .doc = "how the edge is looked into"},
    {"raw_tcp", CONF_MAP, .fields = raw_tcp_fields, .doc = "raw TCP ports"},
    {"timeouts", CONF_MAP, .fields = timeouts_fields, .doc = "patience"},
    {"tls", CONF_MAP, .fields = tls_fields, .doc = "TLS of the https listeners"},
    {"dns", CONF_MAP, .fields = dns_fields, .doc = "name look-ups"},
    {"log", CONF_MAP, .fields = log_fields, .doc = "what is written down"},
    {"metrics", CONF_MAP, .fields = metrics_fields, .doc = "what is counted"},
    CONF_END};
enum { EDGE_FIELDS = sizeof edge_fields / sizeof *edge_fields - 1 };

/* --- reading ---------------------------------------------------------------------------------*/

struct reading {
    const char *path;
    struct yaml_node *root; /* a map; may be `empty` */
    struct diags *diags;
    struct edge_conf *conf;
    struct yaml_node empty;
    bool whole; /* with what lies beside the file: modules, the trust anchor */
};

__attribute__((format(printf, 4, 5))) static void complain(const struct reading *r,
                                                           enum diag_level level,
                                                           const struct yaml_node *at,
                                                           const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    diags_add(r->diags, level, r->path, at ? at->line : 0, at ? at->column : 0, "%s", message);
}

/* The node at "listen.http", or NULL. */
static const struct yaml_node *node_at(const struct reading *r, const char *section,
                                       const char *key) {
    const struct yaml_node *node = yaml_get(r->root, section);
    return !key ? node : node && node->kind == YAML_MAP ? yaml_get(node, key) : NULL;
}

/* Where the i-th item of a list stands; of a scalar that means a list of one, the scalar. */
static const struct yaml_node *item_at(const struct yaml_node *list, size_t i) {
    return list && list->kind == YAML_LIST && i < list->count ? list->item[i] : list;
}

static bool is_empty(const struct yaml_node *node) {
    return !node || node->kind == YAML_NULL || (node->kind != YAML_SCALAR && !node->count);
}

/* --- modules ---------------------------------------------------------------------------------*/

static const struct yaml_node *list_item(const struct yaml_node *list, size_t i) {
    const struct yaml_node *node = item_at(list, i);
    return node && node->kind == YAML_SCALAR ? node : NULL;
}

static size_t list_count(const struct yaml_node *list) {
    return !list ? 0 : list->kind == YAML_LIST ? list->count : list->kind == YAML_SCALAR;
}

struct folders {
    char *item[32];
    size_t count;
};

static void folder_add(struct folders *f, char *folder) {
    if (folder && f->count < sizeof f->item / sizeof *f->item)
        f->item[f->count++] = folder;
    else
        free(folder);
}

/* Unless the file says so: modules/ beside the file, beside the program, and where an installation puts them. */
static void folders_default(struct folders *f, const char *path) {
    static const char *const installed[] = {"../lib/ringress/modules", NULL};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    folder_add(f, path_beside(path, "modules"));
    if (n <= 0)
        return;
    self[n] = 0;
    folder_add(f, path_beside(self, "modules"));
    for (int i = 0; installed[i]; i++)
        folder_add(f, path_beside(self, installed[i]));
    folder_add(f, strdup("/usr/lib/ringress/modules"));
}

static void folders_find(const struct reading *r, struct folders *f) {
    const struct yaml_node *list = node_at(r, "module_path", NULL);
    if (is_empty(list))
        folders_default(f, r->path);
    for (size_t i = 0; i < list_count(list); i++)
        if (list_item(list, i))
            folder_add(f, path_beside(r->path, list_item(list, i)->text));
}

static void modules_look(const struct reading *r, struct folders *f) {
    static const char *const fallback[] = {"sni", "http", "tcp"};
    const struct yaml_node *list = node_at(r, "modules", NULL);
    const char *name[64];
    size_t count = 0;
    struct err err;
    for (size_t i = 0; i < list_count(list) && count < 64; i++)
        if (list_item(list, i))
            name[count++] = list_item(list, i)->text;
    bool given = list && list->kind != YAML_NULL;
    if (!modules_inspect(given ? name : fallback, given ? count : 3, (const char *const *)f->item,
                         f->count, &err))
        complain(r, DIAG_ERROR, list, "modules: %s", err.text);
}

static bool module_exists(const struct folders *f, const char *name) {
    char file[4096];
    for (size_t i = 0; i < f->count && !strchr(name, '/'); i++)
        if ((size_t)snprintf(file, sizeof file, "%s/%s.so", f->item[i], name) < sizeof file &&
            !access(file, R_OK))
            return true;
    return false;
}

static const struct conf_field *field_find(const struct conf_field *fields, const char *name) {
    for (; fields->name; fields++)
        if (!strcmp(fields->name, name))
            return fields;
    return NULL;
}

/* A section without a row, of a module that exists but is not used here, or of one that does not exist yet: say that
 * rather than "unknown key", and take it out of the walk. */
static void sections_judge(const struct reading *r, const struct conf_field *fields,
                           const struct folders *folders) {
    size_t kept = 0;
    for (size_t i = 0; i < r->root->count; i++) {
        struct yaml_pair pair = r->root->pair[i];
        const char *name = pair.key->text;
        bool section = pair.value->kind == YAML_MAP || pair.value->kind == YAML_LIST;
        if (field_find(fields, name) || !section)
            r->root->pair[kept++] = pair;
        else if (module_exists(folders, name))
            complain(
                r, DIAG_ERROR, pair.key,
                "section `%s` belongs to a module that `modules` does not list, or that takes no "
                "configuration",
                name);
        else
            complain(r, DIAG_ERROR, pair.key,
                     "section `%s` is not known, and no module of that name is in module_path",
                     name);
    }
    r->root->count = kept;
}

static size_t module_room(size_t i) {
    const struct ringress_module *m = modules_get(i)->module;
    size_t size = m->flags & MODULE_CONF_LIST ? sizeof(struct conf_list) : m->conf_size;
    return m->conf ? (size + 15) & ~(size_t)15 : 0;
}

static struct conf_field module_field(const struct ringress_module *m, size_t at) {
    bool list = m->flags & MODULE_CONF_LIST;
    return (struct conf_field){.name = m->name,
                               .type = list ? CONF_MAP_LIST : CONF_MAP,
                               .offset = at,
                               .fields = m->conf,
                               .item_size = m->conf_size};
}

/* Our rows and one for each module that has rows; *ret_size: of the block they fill. */
static struct conf_field *fields_merge(size_t modules, size_t *ret_size) {
    struct conf_field *fields = calloc(EDGE_FIELDS + modules + 1, sizeof *fields);
    size_t at = (sizeof(struct edge_conf) + 15) & ~(size_t)15, n = EDGE_FIELDS;
    if (!fields)
        return NULL;
    memcpy(fields, edge_fields, EDGE_FIELDS * sizeof *fields);
    for (size_t i = 0; i < modules; at += module_room(i++))
        if (modules_get(i)->module->conf)
            fields[n++] = module_field(modules_get(i)->module, at);
    *ret_size = at;
    return fields;
}

/* --- from rows to what is used ---------------------------------------------------------------*/

static unsigned cpus_allowed(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

static void workers_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    int64_t n = 0;
    const struct yaml_node *node = node_at(r, "workers", NULL);
    if (!c->workers_text || !strcmp(c->workers_text, "auto"))
        c->workers = cpus_allowed();
    else if (node && yaml_int(node, &n) && n >= 1 && n <= 256)
        c->workers = (unsigned)n;
    else
        complain(r, DIAG_ERROR, node, "workers: auto, or 1 to 256");
}

static void addresses_make(const struct reading *r, const struct yaml_node *node,
                           const struct conf_list *list, struct address_list *ret) {
    union address *room = realloc(ret->item, (ret->count + list->count + 1) * sizeof *room);
    if (room)
        ret->item = room;
    for (size_t i = 0; room && i < list->count; i++) {
        const char *text = ((char **)list->item)[i];
        if (endpoint_parse(text, &ret->item[ret->count]))
            ret->count++;
        else
            complain(r, DIAG_ERROR, item_at(node, i),
                     "`%s` is not an address with a port, like 0.0.0.0:443 or [::]:443", text);
    }
}

static void admin_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    struct conf_list one = {1, &c->admin.listen};
    if (c->admin.listen)
        addresses_make(r, node_at(r, "admin", "listen"), &one, &c->admin_http);
}

static void listeners_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    addresses_make(r, node_at(r, "listen", "http"), &c->listen.http, &c->http);
    addresses_make(r, node_at(r, "listen", "https"), &c->listen.https, &c->https);
    if (yaml_get(r->root, "listen") && !c->listen.http.count && !c->listen.https.count)
        complain(r, DIAG_ERROR, yaml_get(r->root, "listen"),
                 "listen: neither http nor https has an address");
}

static struct prefix *prefixes_of(const struct reading *r, const struct yaml_node *node,
                                  const struct conf_list *texts, size_t *ret_count) {
    struct prefix *list = calloc(texts->count + 1, sizeof *list);
    for (size_t i = 0; list && i < texts->count; i++) {
        const char *text = ((char **)texts->item)[i];
        if (prefix_parse(text, &list[*ret_count]))
            ++*ret_count;
        else
            complain(r, DIAG_ERROR, item_at(node, i),
                     "`%s` is not a prefix like 10.0.0.0/8 (bits below it must be 0)", text);
    }
    return list;
}

/* A module's field that is called listen names addresses that are bound for it (core/control_host.h). */
static void module_listeners_make(const struct reading *r, const struct ringress_module *m,
                                  const char *conf) {
    for (const struct conf_field *f = m->conf; f->name; f++)
        if (!strcmp(f->name, "listen") && f->type == CONF_STRING_LIST)
            addresses_make(r, node_at(r, m->name, "listen"),
                           (const struct conf_list *)(conf + f->offset), &r->conf->modules_http);
}

static void modules_hand_out(const struct reading *r, size_t modules) {
    size_t at = (sizeof(struct edge_conf) + 15) & ~(size_t)15;
    for (size_t i = 0; i < modules; at += module_room(i++))
        if (modules_get(i)->module->conf) {
            modules_configure(i, (char *)r->conf + at);
            module_listeners_make(r, modules_get(i)->module, (char *)r->conf + at);
        }
}

static void prefixes_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    c->trusted_proxy = prefixes_of(r, node_at(r, "trusted_proxies", NULL), &c->trusted_proxies,
                                   &c->trusted_proxy_count);
    c->proxy = prefixes_of(r, node_at(r, "listen", "proxy_protocol"), &c->listen.proxy_protocol,
                           &c->proxy_count);
}

static bool pool_parse(const char *text, uint16_t *ret_low, uint16_t *ret_high) {
    unsigned low, high;
    char rest;
    if (sscanf(text, "%5u-%5u%c", &low, &high, &rest) != 2 || !low || low > high || high > 65535)
        return false;
    *ret_low = (uint16_t)low;
    *ret_high = (uint16_t)high;
    return true;
}

static void raw_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    const char *address = c->raw_tcp.address;
    if (address && !address_parse(address, 0, &c->raw_address))
        complain(r, DIAG_ERROR, node_at(r, "raw_tcp", "address"), "`%s` is not an address",
                 address);
    if (c->raw_tcp.ports && !pool_parse(c->raw_tcp.ports, &c->port_low, &c->port_high))
        complain(r, DIAG_ERROR, node_at(r, "raw_tcp", "ports"),
                 "`%s` is not a range of ports like 28000-31999", c->raw_tcp.ports);
}

static void pair_judge(const struct reading *r, const struct yaml_node *section, const char *key,
                       int64_t least, const char *than, int64_t value) {
    const struct yaml_node *node =
        section && section->kind == YAML_MAP ? yaml_get(section, key) : NULL;
    if (value < least)
        complain(r, DIAG_ERROR, node ? node : section, "%s: less than %s", key, than);
}

static void shutoff_judge_conf(const struct reading *r) {
    const struct edge_conf *c = r->conf;
    const struct yaml_node *section = node_at(r, "raw_tcp", "shutoff");
    const struct shutoff_conf *s = &c->raw_tcp.shutoff;
    const struct door_conf *d = &c->raw_tcp.door;
    pair_judge(r, section, "severe_lag", s->lag_ms, "lag", s->severe_ms);
    pair_judge(r, section, "severe_errors", s->errors, "errors", s->severe_errors);
    pair_judge(r, section, "shut_most", s->shut_ms, "shut", s->shut_most_ms);
    pair_judge(r, section, "network_rate", d->source_rate, "source_rate", d->network_rate);
    pair_judge(r, section, "network_open", d->source_open, "source_open", d->network_open);
    pair_judge(r, section, "network_requests", d->source_requests, "source_requests",
               d->network_requests);
}

/* Not in the pool: a listener of ours there would take a tenant's port. */
static void pool_judge(const struct reading *r, const char *key, const struct address_list *list) {
    const struct edge_conf *c = r->conf;
    for (size_t i = 0; i < list->count; i++)
        if (c->port_high && address_port(&list->item[i]) >= c->port_low &&
            address_port(&list->item[i]) <= c->port_high)
            complain(r, DIAG_ERROR, item_at(node_at(r, "listen", key), i),
                     "%s: this port lies in the pool raw_tcp.ports", key);
}

static void numbers_judge(const struct reading *r, const char *section, const char *key,
                          const struct conf_list *list, bool with_port) {
    for (size_t i = 0; i < list->count; i++) {
        union address a;
        const char *text = ((char **)list->item)[i];
        if (!address_parse(text, 0, &a) && !(with_port && endpoint_parse(text, &a)))
            complain(r, DIAG_ERROR, item_at(node_at(r, section, key), i), "`%s` is not an address",
                     text);
    }
}

/* A zone that is no name would never match, silently. They come out as names are compared. */
static void zones_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    struct stash *stash = stash_new();
    for (size_t i = 0; i < c->zones.count; i++) {
        char **text = (char **)c->zones.item + i, *copy;
        const char *why, *zone = hostname_normalise(stash, *text, false, &why);
        if (!zone) {
            complain(r, DIAG_ERROR, item_at(node_at(r, "zones", NULL), i), "zones: `%s` %s", *text,
                     why);
        } else if ((copy = strdup(zone))) {
            free(*text);
            *text = copy;
        }
    }
    stash_free(stash);
}

static struct conf_place place_of(const struct yaml_node *node) {
    return node ? (struct conf_place){node->line, node->column} : (struct conf_place){0};
}

static void user_judge(const struct reading *r) {
    struct err err;
    if (r->conf->user && !user_exists(r->conf->user, &err))
        complain(r, DIAG_ERROR, node_at(r, "user", NULL), "%s", err.text);
}

static void group_judge(const struct reading *r) {
    const char *name = r->conf->admin.group;
    const struct yaml_node *node = node_at(r, "admin", "group");
    r->conf->group_at = place_of(node);
    if (name && !getgrnam(name))
        complain(r, DIAG_ERROR, node, "group %s: no such group", name);
}

static void capabilities_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    const struct yaml_node *node = node_at(r, "capabilities", NULL);
    c->capabilities_given = node && node->kind != YAML_NULL;
    c->capabilities_at = place_of(node);
    for (size_t i = 0; i < c->capabilities.count; i++) {
        const char *name = ((char **)c->capabilities.item)[i];
        uint64_t bit = 0;
        if (!capability_parse(name, &bit))
            complain(r, DIAG_ERROR, item_at(node, i),
                     "capabilities: `%s` is none of net_bind_service, net_admin, net_raw, "
                     "sys_admin, dac_read_search",
                     name);
        c->capability_set |= bit;
    }
}

/* The public addresses, unless given: those of the listeners that name one. */
static void public_make(struct edge_conf *c, const struct address_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        char text[ADDRESS_TEXT_MAX];
        bool known = address_is_any(&list->item[i]);
        address_print_host(&list->item[i], text);
        for (size_t k = 0; k < c->addresses.count; k++)
            known |= !strcmp(((char **)c->addresses.item)[k], text);
        char **more =
            known ? NULL : realloc(c->addresses.item, (c->addresses.count + 1) * sizeof *more);
        if (!more)
            continue;
        c->addresses.item = more;
        if ((more[c->addresses.count] = strdup(text)))
            c->addresses.count++;
    }
}

static void path_rebase(const char *file, char **path) {
    char *based = *path ? path_beside(file, *path) : NULL;
    if (!based)
        return;
    free(*path);
    *path = based;
}

static void log_rebase(const char *file, char **path) {
    if (*path && strcmp(*path, "stderr") != 0)
        path_rebase(file, path);
}

/* Where the logs go; they are opened when the edge starts, so their places are kept for what is said then. */
static void log_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    const struct yaml_node *own = node_at(r, "log", "access_path"),
                           *path = node_at(r, "log", "path");
    log_rebase(r->path, &c->log.path);
    log_rebase(r->path, &c->log.access_path);
    c->log_at = place_of(path);
    c->access_at = place_of(own ? own : path);
}

/* As it is used: a file that can be read, or NULL. */
static void anchor_make(const struct reading *r) {
    char **anchor = &r->conf->dns.trust_anchor;
    const struct yaml_node *node = node_at(r, "dns", "trust_anchor");
    bool given = *anchor != NULL;
    if (given && strcmp(*anchor, "none") != 0)
        path_rebase(r->path, anchor);
    else if (!given && r->whole)
        *anchor = strdup(TRUST_ANCHOR_DEFAULT);
    if (!*anchor || (strcmp(*anchor, "none") != 0 && !access(*anchor, R_OK)))
        return;
    if (!given)
        complain(r, DIAG_WARNING, node_at(r, "dns", NULL),
                 "dns.trust_anchor: there is no " TRUST_ANCHOR_DEFAULT ", so that DNSSEC is not "
                 "looked at; install dns-root-data, or say `none`");
    else if (strcmp(*anchor, "none") != 0)
        complain(r, DIAG_ERROR, node, "trust_anchor: %s: %s", *anchor, strerror(errno));
    free(*anchor);
    *anchor = NULL;
}

static void paths_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    anchor_make(r);
    path_rebase(r->path, &c->conf_d);
    path_rebase(r->path, &c->state);
    path_rebase(r->path, &c->admin.socket);
    for (size_t i = 0; i < c->jail_read.count; i++)
        path_rebase(r->path, (char **)c->jail_read.item + i);
    log_make(r);
    for (size_t i = 0; i < c->tls.certificates.count; i++) {
        struct edge_certificate *certificate =
            (struct edge_certificate *)c->tls.certificates.item + i;
        path_rebase(r->path, &certificate->cert);
        path_rebase(r->path, &certificate->key);
    }
}

static void conf_make(const struct reading *r) {
    struct edge_conf *c = r->conf;
    workers_make(r);
    user_judge(r);
    group_judge(r);
    capabilities_make(r);
    zones_make(r);
    listeners_make(r);
    admin_make(r);
    prefixes_make(r);
    raw_make(r);
    shutoff_judge_conf(r);
    pool_judge(r, "http", &c->http);
    pool_judge(r, "https", &c->https);
    numbers_judge(r, "addresses", NULL, &c->addresses, false);
    numbers_judge(r, "dns", "servers", &c->dns.servers, true);
    if (!c->addresses.count && is_empty(node_at(r, "addresses", NULL))) {
        public_make(c, &c->http);
        public_make(c, &c->https);
    }
    paths_make(r);
}

static bool root_find(struct reading *r, struct yaml_docs *docs) {
    r->root = &r->empty;
    r->empty = (struct yaml_node){.kind = YAML_MAP, .line = 1, .column = 1};
    if (docs->count > 1)
        complain(r, DIAG_ERROR, docs->doc[1], "one document is expected, this is a second one");
    else if (docs->count && docs->doc[0]->kind != YAML_MAP)
        complain(r, DIAG_ERROR, docs->doc[0], "a mapping (key: value) is expected here");
    else if (docs->count)
        r->root = docs->doc[0];
    return docs->count <= 1 && (!docs->count || r->root == docs->doc[0]);
}

static void root_read(struct reading *r, bool with_modules) {
    struct folders folders = {.count = 0};
    size_t size, modules = 0;
    if (with_modules) {
        folders_find(r, &folders);
        modules_look(r, &folders);
        modules = modules_count();
    }
    struct conf_field *fields = fields_merge(modules, &size);
    r->conf = fields ? calloc(1, size) : NULL;
    if (!r->conf) {
        free(fields);
        complain(r, DIAG_ERROR, NULL, "out of memory");
    } else {
        r->conf->fields = fields;
        r->conf->path = strdup(r->path);
        sections_judge(r, fields, &folders);
        conf_fill(fields, r->root, r->path, r->conf, r->diags);
        conf_make(r);
        modules_hand_out(r, modules);
    }
    for (size_t i = 0; i < folders.count; i++)
        free(folders.item[i]);
}

static struct edge_conf *text_read(const char *path, const char *text, size_t length,
                                   struct diags *diags, bool with_modules) {
    struct reading r = {.path = path, .diags = diags, .whole = with_modules};
    struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    struct yaml_docs docs;
    size_t errors = diags->errors;
    if (!yaml_parse(path, text, length, &limits, diags, &docs))
        return NULL;
    if (root_find(&r, &docs))
        root_read(&r, with_modules);
    yaml_docs_free(&docs);
    if (diags->errors == errors)
        return r.conf;
    edge_conf_free(r.conf);
    return NULL;
}

struct edge_conf *edge_conf_parse(const char *path, const char *text, size_t length,
                                  struct diags *diags) {
    return text_read(path, text, length, diags, false);
}

struct edge_conf *edge_conf_load(const char *path, struct diags *diags) {
    struct err err;
    size_t length;
    char *text = file_read(path, 4u << 20, &length, &err);
    if (!text) {
        diags_add(diags, DIAG_ERROR, "", 0, 0, "%s", err.text);
        return NULL;
    }
    struct edge_conf *conf = text_read(path, text, length, diags, true);
    free(text);
    return conf;
}

void edge_conf_free(struct edge_conf *c) {
    if (!c)
        return;
    conf_fini(c->fields, c);
    free(c->fields);
    free(c->path);
    free(c->http.item);
    free(c->https.item);
    free(c->admin_http.item);
    free(c->modules_http.item);
    free(c->trusted_proxy);
    free(c->proxy);
    free(c);
}

/* --- only the socket -------------------------------------------------------------------------*/

char *edge_conf_socket(const char *path, struct err *err) {
    struct yaml_limits limits = YAML_LIMITS_DEFAULT;
    struct yaml_docs docs;
    struct diags diags = DIAGS_INIT;
    size_t length;
    char *found = NULL, *text = file_read(path, 4u << 20, &length, err);
    if (!text)
        return NULL;
    if (yaml_parse(path, text, length, &limits, &diags, &docs)) {
        struct reading r = {.path = path, .diags = &diags};
        const struct yaml_node *node = root_find(&r, &docs) ? node_at(&r, "admin", "socket") : NULL;
        bool given = node && node->kind == YAML_SCALAR;
        found = path_beside(path, given ? node->text : ADMIN_SOCKET_DEFAULT);
        yaml_docs_free(&docs);
    } else {
        err_set(err, "%s is not valid; ringress check says why", path);
    }
    diags_fini(&diags);
    free(text);
    return found;
}
