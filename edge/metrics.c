/* SPDX-License-Identifier: GPL-3.0-or-later
 * metrics.c - /metrics, in Prometheus' text format. Tenants' names are RFC 1123 labels where they are valid; whatever else
 * turns up in a label is escaped.
 */
#include "core/access_log.h"
#include "core/certificates.h"
#include "core/ledger.h"
#include "edge/admin.h"
#include "edge/host.h"
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

void label_print(FILE *out, const char *text) {
    if (!text[strcspn(text, "\n\"\\")]) {
        fputs(text, out);
        return;
    }
    for (; *text; text++)
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
}

void metric_head(FILE *out, const char *name, const char *type, const char *help) {
    fprintf(out, "# HELP ringress_%s %s\n# TYPE ringress_%s %s\n", name, help, name, type);
}

/* --- per tenant, per raw port ----------------------------------------------------------------*/

struct series {
    const char *name, *type, *help, *key;
};

static const struct series costs[] = {
    {"connections", "gauge", "Client connections open now.", "connections"},
    {"connections_total", "counter", "Client connections let in.", "connectionsTotal"},
    {"bytes_in_total", "counter", "Bytes from clients.", "bytesIn"},
    {"bytes_out_total", "counter", "Bytes to clients.", "bytesOut"},
    {"buffers", "gauge", "Buffers held in queues now.", "buffers"},
    {"memory_bytes", "gauge", "Held by connections and what goes on in them, without buffers.",
     "memory"},
    {"accepted_total", "counter", "Client connections that came, let in or not.", "accepted"},
    {"silent_connections", "gauge", "Client connections open now that have not sent a byte yet.",
     "silent"},
    {"resets_total", "counter", "Client connections ended by the client's RST.", "resets"},
    {"pod_bytes_in_total", "counter", "Bytes from pods.", "podBytesIn"},
    {"pod_bytes_out_total", "counter", "Bytes to pods.", "podBytesOut"},
    {"descriptors", "gauge", "Sockets open now, of clients and to pods.", "descriptors"},
    {"loop_seconds_total", "counter", "Processor time of the workers that this caused.",
     "loopSeconds"},
};

static const struct series names_costs[] = {
    /* no raw port has any */
    {"requests_total", "counter", "HTTP requests.", "requests"},
    {"failures_total", "counter", "Answers the edge made itself: 502, 503, 504.", "failures"},
    {"handshakes_total", "counter", "TLS handshakes with clients begun.", "handshakes"},
};

static void value_print(FILE *out, const json_t *value) {
    if (json_is_real(value))
        fprintf(out, "} %.9f\n", json_real_value(value));
    else
        fprintf(out, "} %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
}

static void series_print(FILE *out, const json_t *tenants, const struct series *s) {
    size_t i;
    json_t *row;
    metric_head(out, s->name, s->type, s->help);
    json_array_foreach((json_t *)tenants, i, row) {
        fprintf(out, "ringress_%s{tenant=\"", s->name);
        label_print(out, json_string_value(json_object_get(row, "tenant")));
        fputc('"', out);
        value_print(out, json_object_get(row, s->key));
    }
}

/* A port that was refused has no number, and nothing was ever spent on it. */
static void port_series_print(FILE *out, const json_t *ports, const struct series *s) {
    char name[64];
    size_t i;
    json_t *row;
    snprintf(name, sizeof name, "port_%s", s->name);
    metric_head(out, name, s->type, s->help);
    json_array_foreach((json_t *)ports, i, row) {
        const json_t *port = json_object_get(row, "publicPort");
        if (!json_is_integer(port))
            continue;
        fprintf(out, "ringress_%s{tenant=\"", name);
        label_print(out, json_string_value(json_object_get(row, "tenant")));
        fprintf(out, "\",port=\"%" JSON_INTEGER_FORMAT "\"", json_integer_value(port));
        value_print(out, json_object_get(row, s->key));
    }
}

static void costs_print(struct edge *e, FILE *out, const json_t *tenants) {
    json_t *ports = view_of(e, "ports", NULL);
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        series_print(out, tenants, &costs[i]);
        port_series_print(out, ports, &costs[i]);
    }
    for (size_t i = 0; i < sizeof names_costs / sizeof *names_costs; i++)
        series_print(out, tenants, &names_costs[i]);
    json_decref(ports);
}

static void refusals_print(FILE *out, const json_t *tenants) {
    size_t i;
    json_t *row, *count;
    const char *limit;
    metric_head(out, "limited_total", "counter",
                "What a limit of the tenant refused; of bandwidth: how often a connection waited.");
    json_array_foreach((json_t *)tenants, i, row) {
        json_object_foreach(json_object_get(row, "refusals"), limit, count) {
            fputs("ringress_limited_total{tenant=\"", out);
            label_print(out, json_string_value(json_object_get(row, "tenant")));
            fprintf(out, "\",limit=\"%s\"} %" JSON_INTEGER_FORMAT "\n", limit,
                    json_integer_value(count));
        }
    }
}

static void states_print(FILE *out, const json_t *tenants) {
    size_t i;
    json_t *row;
    metric_head(
        out, "tenant_stale", "gauge",
        "1: the tenant's files are not valid, what serves is older than they are, or nothing.");
    json_array_foreach((json_t *)tenants, i, row) {
        const char *state = json_string_value(json_object_get(row, "state"));
        fputs("ringress_tenant_stale{tenant=\"", out);
        label_print(out, json_string_value(json_object_get(row, "tenant")));
        fprintf(out, "\"} %d\n", state && strcmp(state, "ok") != 0);
    }
}

/* --- per worker, and of the process ----------------------------------------------------------*/

#define FIGURE(name, expression)                                \
    static double worker_##name(const struct core_figures *f) { \
        return expression;                                      \
    }
FIGURE(connections, (double)f->connections)
FIGURE(accepted, (double)f->accepted)
FIGURE(buffers_in_use, (double)f->buffers_in_use)
FIGURE(buffers_max, (double)f->buffers_max)
FIGURE(cpu, f->cpu_seconds)
FIGURE(lag, (double)f->loop_lag_ns_max / 1e9)
FIGURE(tenants, f->tenants_seconds)
FIGURE(own, f->own_seconds)
#undef FIGURE

static const struct worker_figure {
    const char *name, *type, *help;
    double (*of)(const struct core_figures *);
} worker_figures[] = {
    {"connections", "gauge", "Client connections open now.", worker_connections},
    {"accepted_total", "counter", "Client connections accepted.", worker_accepted},
    {"buffers_in_use", "gauge", "Buffers that hold bytes.", worker_buffers_in_use},
    {"buffers_max", "gauge", "Buffers there may be.", worker_buffers_max},
    {"cpu_seconds_total", "counter", "Processor time of the thread.", worker_cpu},
    {"tenants_seconds_total", "counter", "Of it, what tenants caused.", worker_tenants},
    {"own_seconds_total", "counter", "Of it, what no tenant caused.", worker_own},
    {"loop_lag_max_seconds", "gauge", "The longest turn of the loop since the last look.",
     worker_lag},
};

/* Each worker is looked at once: looking forgets the longest turn. */
static void workers_print(FILE *out) {
    unsigned count = core_workers();
    struct core_figures *f = calloc(count + 1, sizeof *f);
    for (unsigned id = 0; f && id < count; id++)
        core_worker_figures(id, &f[id]);
    for (size_t i = 0; f && i < sizeof worker_figures / sizeof *worker_figures; i++) {
        const struct worker_figure *w = &worker_figures[i];
        fprintf(out, "# HELP ringress_worker_%s %s\n# TYPE ringress_worker_%s %s\n", w->name,
                w->help, w->name, w->type);
        for (unsigned id = 0; id < count; id++)
            fprintf(out, "ringress_worker_%s{worker=\"%u\"} %.15g\n", w->name, id, w->of(&f[id]));
    }
    free(f);
}

static void access_print(FILE *out) {
    struct access_figures f = access_log_figures();
    metric_head(out, "access_log_lines_total", "counter", "Lines of the access log.");
    fprintf(out, "ringress_access_log_lines_total %llu\n", (unsigned long long)f.lines);
    metric_head(out, "access_log_lost_total", "counter",
                "Lines dropped because the log was not written fast enough.");
    fprintf(out, "ringress_access_log_lost_total %llu\n", (unsigned long long)f.lost);
    metric_head(out, "access_log_pending_bytes", "gauge",
                "Bytes of lines that wait to be written.");
    fprintf(out, "ringress_access_log_pending_bytes %llu\n", (unsigned long long)f.pending);
}

/* Of those that lie on disk (core/certificates.h): their number says nothing of any tenant. */
static void certificates_print(FILE *out) {
    struct certificate_figures f = certificate_figures();
    metric_head(out, "certificates_stored", "gauge", "Certificates on disk that are known.");
    fprintf(out, "ringress_certificates_stored %zu\n", f.stored);
    metric_head(out, "certificates_cached", "gauge",
                "Those of them whose files are in memory; tls.cache bounds it.");
    fprintf(out, "ringress_certificates_cached %zu\n", f.read);
    metric_head(out, "certificates_index_bytes", "gauge",
                "Memory that knowing them takes, without what is cached.");
    fprintf(out, "ringress_certificates_index_bytes %zu\n", f.bytes);
    metric_head(out, "certificates_wanted_total", "counter",
                "How often handshakes of a worker waited for a certificate's files.");
    fprintf(out, "ringress_certificates_wanted_total %llu\n", (unsigned long long)f.wanted);
    metric_head(out, "certificates_waiting", "gauge", "Those that are being read or in line.");
    fprintf(out, "ringress_certificates_waiting %zu\n", f.waiting);
    metric_head(out, "certificates_loaded_total", "counter", "How often files were read.");
    fprintf(out, "ringress_certificates_loaded_total %llu\n", (unsigned long long)f.reads);
    metric_head(out, "certificates_unreadable_total", "counter",
                "How often they were missing or no good.");
    fprintf(out, "ringress_certificates_unreadable_total %llu\n", (unsigned long long)f.failures);
    metric_head(out, "certificates_evicted_total", "counter",
                "How often one left memory to make room for another.");
    fprintf(out, "ringress_certificates_evicted_total %llu\n", (unsigned long long)f.evictions);
}

static void process_print(const struct edge *e, FILE *out) {
    metric_head(out, "build_info", "gauge", "Which program this is.");
    fprintf(out, "ringress_build_info{version=\"%s\",abi=\"%u\"} 1\n", RINGRESS_VERSION,
            RINGRESS_ABI);
    metric_head(out, "workers", "gauge", "Worker threads.");
    fprintf(out, "ringress_workers %u\n", core_workers());
    metric_head(out, "tenants_published", "gauge", "Tenants that are served.");
    fprintf(out, "ringress_tenants_published %zu\n", published_count());
    metric_head(out, "connections_limit", "gauge", "Connections the open-file limit allows.");
    fprintf(out, "ringress_connections_limit %u\n", core_connections_max());
    metric_head(out, "store_reachable", "gauge", "1: what must survive a restart can be written.");
    fprintf(out, "ringress_store_reachable %d\n", store_reachable(&e->store) && !e->store_failed);
    metric_head(out, "store_pending_rows", "gauge", "Rows that wait to be written.");
    fprintf(out, "ringress_store_pending_rows %zu\n", store_pending(&e->store));
    metric_head(out, "ports_failed", "gauge", "Raw ports that could not be opened.");
    fprintf(out, "ringress_ports_failed %zu\n", e->ports.failed);
    metric_head(out, "start_time_seconds", "gauge", "When this process began to serve.");
    fprintf(out, "ringress_start_time_seconds %lld\n", (long long)e->started);
}

void metrics_print(struct edge *e, FILE *out) {
    json_t *tenants = view_of(e, "tenants", NULL);
    __fsetlocking(out, FSETLOCKING_BYCALLER); /* one lock per character is most of the cost */
    costs_print(e, out, tenants);
    refusals_print(out, tenants);
    states_print(out, tenants);
    traffic_print(out, tenants);
    popular_print(out, (size_t)e->conf->metrics.hosts);
    ledger_charge();
    workers_print(out);
    access_print(out);
    certificates_print(out);
    process_print(e, out);
    guard_metrics(e->guard, out);
    exhausted_print(&e->exhausted, out);
    memory_print(out);
    host_metrics(out);
    json_decref(tenants);
}
