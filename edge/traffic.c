/* SPDX-License-Identifier: GPL-3.0-or-later
 * traffic.c - the part of /metrics about what became of requests: by class of status, by duration, pods that could not be reached,
 * retries. A fixed number of series for each tenant; and one for each of the most popular hosts of all.
 */
#include "core/popular.h"
#include "edge/admin.h"
#include <stdlib.h>

static const struct traffic {
    const char *name, *help;
    size_t at; /* a uint64_t of struct account_worker */
} traffic[] = {
    {"pod_connect_failures_total", "Connections to pods that could not be made.",
     offsetof(struct account_worker, pod_failures)},
    {"retries_total", "Further pods that were asked for the same request or connection.",
     offsetof(struct account_worker, retries)},
    {"http2_wasted_units_total",
     "Work that connections of HTTP/2 cost and nobody got anything for.",
     offsetof(struct account_worker, wasted)},
    {"http2_calmed_total", "Connections of HTTP/2 that were ended with ENHANCE_YOUR_CALM.",
     offsetof(struct account_worker, calmed)},
    {"handshakes_refused_total", "TLS handshakes that the tenant's line had no place or time for.",
     offsetof(struct account_worker, handshakes_refused)},
    {"dials_refused_total", "Connections to pods that the tenant's line had no place or time for.",
     offsetof(struct account_worker, dials_refused)},
};

static const char *tenant_of(const json_t *row) {
    return json_string_value(json_object_get(row, "tenant"));
}

static void counters_print(FILE *out, json_t *tenants, const struct traffic *t) {
    size_t i;
    json_t *row;
    metric_head(out, t->name, "counter", t->help);
    json_array_foreach(tenants, i, row) {
        struct account_worker sum = tenant_sum(row);
        fprintf(out, "ringress_%s{tenant=\"", t->name);
        label_print(out, tenant_of(row));
        fprintf(out, "\"} %llu\n",
                (unsigned long long)*(const uint64_t *)((const char *)&sum + t->at));
    }
}

static void responses_print(FILE *out, json_t *tenants) {
    size_t i;
    json_t *row;
    metric_head(out, "responses_total", "counter",
                "Requests answered, by class of status; 1xx: upgrades.");
    json_array_foreach(tenants, i, row) {
        struct account_worker sum = tenant_sum(row);
        for (unsigned k = 0; k < ACCOUNT_CLASSES; k++) {
            fputs("ringress_responses_total{tenant=\"", out);
            label_print(out, tenant_of(row));
            fprintf(out, "\",code=\"%uxx\"} %llu\n", k + 1, (unsigned long long)sum.answered[k]);
        }
    }
}

static void duration_line(FILE *out, const char *tenant, const char *suffix, const char *le) {
    fprintf(out, "ringress_request_duration_seconds_%s{tenant=\"", suffix);
    label_print(out, tenant);
    fprintf(out, le ? "\",le=\"%s\"} " : "\"} ", le);
}

static void duration_print(FILE *out, const char *tenant, const struct account_worker *sum) {
    static const uint64_t bounds[] = {ACCOUNT_BOUNDS};
    uint64_t count = 0;
    for (unsigned k = 0; k < ACCOUNT_BUCKETS; k++) {
        char le[32] = "+Inf";
        if (k < ACCOUNT_BUCKETS - 1)
            snprintf(le, sizeof le, "%g", (double)bounds[k] / 1e6);
        count += sum->duration[k];
        duration_line(out, tenant, "bucket", le);
        fprintf(out, "%llu\n", (unsigned long long)count);
    }
    duration_line(out, tenant, "sum", NULL);
    fprintf(out, "%.6f\n", (double)sum->duration_us / 1e6);
    duration_line(out, tenant, "count", NULL);
    fprintf(out, "%llu\n", (unsigned long long)count);
}

void traffic_print(FILE *out, json_t *tenants) {
    size_t i;
    json_t *row;
    for (i = 0; i < sizeof traffic / sizeof *traffic; i++)
        counters_print(out, tenants, &traffic[i]);
    responses_print(out, tenants);
    metric_head(out, "request_duration_seconds", "histogram",
                "From a request's first byte to the last of its answer; of upgrades: to the 101.");
    json_array_foreach(tenants, i, row) {
        struct account_worker sum = tenant_sum(row);
        duration_print(out, tenant_of(row), &sum);
    }
}

/* ---- hosts ---- */

void popular_print(FILE *out, size_t most) {
    struct popular *p = most ? calloc(most, sizeof *p) : NULL;
    size_t count = p ? popular_find(p, most) : 0;
    if (count)
        metric_head(out, "host_requests_total", "counter",
                    "Requests for a host's rules, of the hosts that most are for.");
    for (size_t i = 0; i < count; i++) {
        fputs("ringress_host_requests_total{tenant=\"", out);
        label_print(out, p[i].tenant);
        fputs("\",host=\"", out);
        label_print(out, *p[i].host ? p[i].host : "*");
        fprintf(out, "\"} %llu\n", (unsigned long long)p[i].hits);
    }
    free(p);
}
