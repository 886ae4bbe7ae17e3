/* SPDX-License-Identifier: GPL-3.0-or-later
 * run.c - the life of the process: everything is ready before a listener accepts, and what runs is finished before the end.
 *
 *   edge.yaml, modules -> workers -> rows, conf.d -> listeners bound -> accept -> other user -> READY -> loop
 *   SIGHUP reload    SIGUSR1 logs opened again    SIGTERM, SIGINT drain, once more: end at once
 */
#include "core/access_log.h"
#include "core/log.h"
#include "edge/admin.h"
#include "edge/command.h"
#include "edge/edge.h"
#include "edge/host.h"
#include "edge/secret.h"
#include "edge/user.h"
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BEAT_MS = 100 };

static struct edge edge;
static struct loop_source signals;
static volatile bool stop_early;

/* --- signals and time ------------------------------------------------------------------------*/

bool logs_reopen(const struct edge *e, struct err *err) {
    bool good = log_open(e->conf->log.path, e->conf->log.level, err);
    return access_log_reopen(err) && good;
}

static void reload(struct edge *e) {
    struct reload_result r = {.diags = DIAGS_INIT};
    struct err err;
    if (!logs_reopen(e, &err))
        log_write(0, "%s", err.text);
    if (!operator_load(e->conf, e, &r.diags))
        for (size_t i = 0; i < r.diags.count; i++)
            log_write(0, "certificates stay as they are: %s%s%s", r.diags.item[i].file,
                      *r.diags.item[i].file ? ": " : "", r.diags.item[i].message);
    if (control_rescan(e, &r, &err))
        log_write(2, "reloaded: %zu tenants, %zu changed, %zu with errors", r.tenants, r.changed,
                  r.failed);
    diags_fini(&r.diags);
}

/* Whoever moved the files away (logrotate) says so. */
static void logs_rotated(const struct edge *e) {
    struct err err;
    if (!logs_reopen(e, &err))
        log_write(0, "%s; the old file is written on", err.text);
}

static void signal_ready(struct loop_source *source, short revents) {
    struct signalfd_siginfo info;
    (void)revents;
    while (read(source->fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            reload(&edge);
            continue;
        }
        if (info.ssi_signo == SIGUSR1) {
            logs_rotated(&edge);
            continue;
        }
        edge.stop_now |= edge.drain;
        edge.drain = true;
        edge.loop.stopped = true;
    }
}

static void signals_block(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, set, NULL); /* workers and all other threads inherit it */
    signal(SIGPIPE, SIG_IGN);
}

static void signals_watch(const sigset_t *set) {
    signals = (struct loop_source){.fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC),
                                   .events = POLLIN,
                                   .ready = signal_ready};
    loop_add(&edge.loop, &signals);
}

static void beat(struct loop_timer *timer) {
    control_beat(&edge);
    timer->due_ns = loop_now_ns() + BEAT_MS * 1000000ll;
}

/* --- start -----------------------------------------------------------------------------------*/

static struct edge_conf *conf_read(const char *path) {
    struct diags diags = DIAGS_INIT;
    struct edge_conf *conf = edge_conf_load(path, &diags);
    struct stat st;
    if (conf && (stat(conf->conf_d, &st) || !S_ISDIR(st.st_mode))) {
        diags_add(&diags, DIAG_ERROR, "", 0, 0, "conf_d: %s is not a folder", conf->conf_d);
        edge_conf_free(conf);
        conf = NULL;
    }
    diags_print(&diags, stderr);
    diags_fini(&diags);
    return conf;
}

/* What can't be opened is blamed on the line of edge.yaml that names it. */
static bool blame(const struct conf_place *at, struct err *err) {
    struct err why = *err;
    return at->line ? err_set(err, "%s:%u:%u: %s", edge.conf->path, at->line, at->column, why.text)
                    : false;
}

static bool logs_start(struct err *err) {
    const struct edge_conf *c = edge.conf;
    struct access_conf access = {.path = c->log.access_path ? c->log.access_path : c->log.path,
                                 .workers = c->workers,
                                 .query = c->log.query};
    if (!log_open(c->log.path, c->log.level, err))
        return blame(&c->log_at, err);
    if (!c->log.access)
        return true;
    log_as_json(!strcmp(access.path, c->log.path));
    return access_log_start(&access, err) || blame(&c->access_at, err);
}

static bool certificates_start(struct err *err) {
    struct diags diags = DIAGS_INIT;
    bool good = operator_load(edge.conf, &edge, &diags);
    if (!good)
        err_set(err, "tls.certificates: %s%s%s", diags.item[0].file,
                diags.item[0].file[0] ? ": " : "", diags.item[0].message);
    diags_fini(&diags);
    return good;
}

static bool workers_start(struct err *err) {
    const struct edge_conf *c = edge.conf;
    host_conf_path(c->path);
    if (!modules_up(err))
        return false;
    if (!core_start(
            &(struct core_conf){
                .workers = c->workers,
                .timeouts = c->timeouts,
                .trusted_proxies = c->trusted_proxy,
                .trusted_proxy_count = c->trusted_proxy_count,
                .proxies = c->proxy,
                .proxy_count = c->proxy_count,
                .tls_min_version = c->tls.min_version ? 3 : 2,
                .tls_cache = (size_t)c->tls.cache,
                .state = c->state,
                .buffer_memory = (size_t)c->buffer_memory,
                .popular = (unsigned)c->metrics.hosts,
            },
            err))
        return false;
    log_write(2, "%u workers; %s", core_workers(), core_features());
    return true;
}

static bool privileges_drop(struct err *err) {
    struct user user;
    const char *name = edge.conf->user;
    if (!name)
        return true;
    if (!user_find(name, &user, err))
        return false;
    if (geteuid() == user.uid)
        return true;
    store_chown(&edge.store, user.uid, user.gid);
    tickets_chown(user.uid, user.gid);
    secret_chown(edge.conf->state, user.uid, user.gid);
    if (chown(edge.conf->admin.socket, user.uid, user.gid))
        log_write(1, "%s stays root's", edge.conf->admin.socket);
    access_log_chown(user.uid, user.gid);
    host_chown(&edge, user.uid, user.gid);
    if (!user_become(&user, err))
        return false;
    log_write(2, "now user %s; network namespaces of tenants can't be entered any more", name);
    return true;
}

/* Everything, in this order; what fails ends the start. */
static bool edge_start(struct err *err) {
    return logs_start(err) && admin_open(&edge, err) && workers_start(err) &&
           certificates_start(err) && control_start(&edge, err) && listeners_open(&edge, err) &&
           privileges_drop(err) && host_up(&edge, err);
}

static void serve(void) {
    edge.started = time(NULL);
    edge.networks.hurry = true; /* another user may not enter what root may */
    networks_beat(&edge);
    exhausted_init();
    listeners_start(&edge);
    edge.beat = (struct loop_timer){.due_ns = loop_now_ns(), .fire = beat};
    loop_add_timer(&edge.loop, &edge.beat);
    log_write(2, "serving: %zu listeners, %zu tenants", edge.listener_count, published_count());
    notify_send("READY=1");
    loop_run(&edge.loop);
}

/* --- end -------------------------------------------------------------------------------------*/

static void on_second_signal(int number) {
    (void)number;
    stop_early = true;
}

static void drain_meanwhile(void *user) {
    admin_serve(user, 10);
}

static void drain(const sigset_t *set) {
    struct sigaction again = {.sa_handler = on_second_signal};
    int64_t ms = edge.conf->timeouts.drain;
    notify_send("STOPPING=1");
    log_write(2, "draining for at most %lld ms", (long long)ms);
    close(signals.fd);
    sigaction(SIGTERM, &again, NULL);
    sigaction(SIGINT, &again, NULL);
    signal(SIGHUP, SIG_IGN); /* nothing is read again any more, and the logs stay where they are */
    signal(SIGUSR1, SIG_IGN);
    stop_early = edge.stop_now;
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
    admin_drain(&edge);
    listeners_close(&edge);
    unsigned left = core_drain(ms, &stop_early, drain_meanwhile, &edge);
    log_write(left ? 1 : 2, left ? "%u connections were left" : "drained", left);
}

static void edge_end(void) {
    bool started = core_workers();
    if (edge.listener)
        listeners_close(&edge);
    host_down(&edge);
    control_fini(&edge);
    admin_close(&edge);
    if (started)
        core_stop();
    access_log_stop();
    loop_fini(&edge.loop);
    edge_conf_free(edge.conf);
}

int command_run(const struct args *args) {
    struct err err;
    sigset_t set;
    if (args->words)
        return usage_error("run takes no further words");
    signals_block(&set);
    edge.conf = conf_read(args->conf ? args->conf : EDGE_CONF_DEFAULT);
    if (!edge.conf)
        return EXIT_BAD_NEWS;
    signals_watch(&set);
    bool started = edge_start(&err);
    if (started) {
        serve();
        drain(&set);
    } else {
        fprintf(stderr, "ringress: %s\n", err.text);
    }
    edge_end();
    return started ? EXIT_GOOD : EXIT_BAD_NEWS;
}
