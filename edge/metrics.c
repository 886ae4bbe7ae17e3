/* SPDX-License-Identifier: GPL-3.0-or-later
 * metrics.c - /metrics, in Prometheus' text format. Tenants' names are RFC 1123 labels where they are valid; whatever else
 * turns up in a label is escaped.
 */
#include "edge/admin.h"
#include <stdio_ext.h>
#include <string.h>

static void label_print(FILE *out, const char *text) {
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

static void head_print(FILE *out, const char *name, const char *type, const char *help) {
    fprintf(out, "# HELP ringress_%s %s\n# TYPE ringress_%s %s\n", name, help, name, type);
}

/* --- per tenant ------------------------------------------------------------------------------*/

static const struct series {
    const char *name, *type, *help, *key;
} series[] = {
    {"connections", "gauge", "Client connections open now.", "connections"},
    {"connections_total", "counter", "Client connections charged to the tenant.",
     "connectionsTotal"},
    {"requests_total", "counter", "HTTP requests.", "requests"},
    {"bytes_in_total", "counter", "Bytes from clients.", "bytesIn"},
    {"bytes_out_total", "counter", "Bytes to clients.", "bytesOut"},
    {"failures_total", "counter", "Answers the edge made itself: 502, 503, 504.", "failures"},
    {"buffers", "gauge", "Buffers held in queues now.", "buffers"},
    {"loop_cycles_total", "counter", "Processor cycles spent in the workers' loops.", "loopCycles"},
};

static void series_print(FILE *out, const json_t *tenants, const struct series *s) {
    size_t i;
    json_t *row;
    head_print(out, s->name, s->type, s->help);
    json_array_foreach((json_t *)tenants, i, row) {
        fprintf(out, "ringress_%s{tenant=\"", s->name);
        label_print(out, json_string_value(json_object_get(row, "tenant")));
        fprintf(out, "\"} %" JSON_INTEGER_FORMAT "\n",
                json_integer_value(json_object_get(row, s->key)));
    }
}

static void refusals_print(FILE *out, const json_t *tenants) {
    size_t i;
    json_t *row, *count;
    const char *limit;
    head_print(out, "limited_total", "counter",
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
    head_print(
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

static void worker_print(FILE *out, unsigned id, const struct core_figures *f) {
    fprintf(out, "ringress_worker_connections{worker=\"%u\"} %llu\n", id,
            (unsigned long long)f->connections);
    fprintf(out, "ringress_worker_accepted_total{worker=\"%u\"} %llu\n", id,
            (unsigned long long)f->accepted);
    fprintf(out, "ringress_worker_buffers_in_use{worker=\"%u\"} %llu\n", id,
            (unsigned long long)f->buffers_in_use);
    fprintf(out, "ringress_worker_buffers_max{worker=\"%u\"} %llu\n", id,
            (unsigned long long)f->buffers_max);
    fprintf(out, "ringress_worker_cpu_seconds_total{worker=\"%u\"} %.6f\n", id, f->cpu_seconds);
    fprintf(out, "ringress_worker_loop_lag_max_seconds{worker=\"%u\"} %.9f\n", id,
            (double)f->loop_lag_ns_max / 1e9);
}

static void workers_print(FILE *out) {
    struct core_figures f;
    fputs("# TYPE ringress_worker_connections gauge\n"
          "# TYPE ringress_worker_accepted_total counter\n"
          "# TYPE ringress_worker_buffers_in_use gauge\n"
          "# TYPE ringress_worker_buffers_max gauge\n"
          "# TYPE ringress_worker_cpu_seconds_total counter\n"
          "# TYPE ringress_worker_loop_lag_max_seconds gauge\n",
          out);
    for (unsigned i = 0; i < core_workers(); i++) {
        core_worker_figures(i, &f);
        worker_print(out, i, &f);
    }
}

static void process_print(const struct edge *e, FILE *out) {
    head_print(out, "workers", "gauge", "Worker threads.");
    fprintf(out, "ringress_workers %u\n", core_workers());
    head_print(out, "tenants_published", "gauge", "Tenants that are served.");
    fprintf(out, "ringress_tenants_published %zu\n", published_count());
    head_print(out, "connections_limit", "gauge", "Connections the open-file limit allows.");
    fprintf(out, "ringress_connections_limit %u\n", core_connections_max());
    head_print(out, "store_reachable", "gauge", "1: what must survive a restart can be written.");
    fprintf(out, "ringress_store_reachable %d\n", store_reachable(&e->store) && !e->store_failed);
    head_print(out, "store_pending_rows", "gauge", "Rows that wait to be written.");
    fprintf(out, "ringress_store_pending_rows %zu\n", store_pending(&e->store));
    head_print(out, "ports_failed", "gauge", "Raw ports that could not be opened.");
    fprintf(out, "ringress_ports_failed %zu\n", e->ports.failed);
    head_print(out, "start_time_seconds", "gauge", "When this process began to serve.");
    fprintf(out, "ringress_start_time_seconds %lld\n", (long long)e->started);
}

void metrics_print(struct edge *e, FILE *out) {
    json_t *tenants = view_of(e, "tenants", NULL);
    __fsetlocking(out, FSETLOCKING_BYCALLER); /* one lock per character is most of the cost */
    for (size_t i = 0; i < sizeof series / sizeof *series; i++)
        series_print(out, tenants, &series[i]);
    refusals_print(out, tenants);
    states_print(out, tenants);
    workers_print(out);
    process_print(e, out);
    memory_print(out);
    json_decref(tenants);
}
