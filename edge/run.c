/* SPDX-License-Identifier: GPL-3.0-or-later
 * run.c - the life of the process: everything is ready before a listener accepts, and what runs is finished before the end.
 *
 *   as who started it   edge.yaml, modules -> logs, admin socket, listeners bound
 *   as `user`, in jail  workers -> rows, conf.d -> listeners accept -> READY -> loop
 *
 *   SIGHUP reload    SIGUSR1 logs opened again    SIGTERM, SIGINT drain, once more: end at once
 */
#include "core/access_log.h"
#include "core/log.h"
#include "edge/admin.h"
#include "edge/capability.h"
#include "edge/command.h"
#include "edge/dumps.h"
#include "edge/edge.h"
#include "edge/file.h"
#include "edge/host.h"
#include "edge/jail.h"
#include "edge/reserved.h"
#include "edge/user.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BEAT_MS = 100, PORT_FREE = 1024 };

static struct edge edge;
static struct loop_source signals;
static struct jailed jailed;
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

static const char *access_path(const struct edge_conf *c) {
    return c->log.access_path ? c->log.access_path : c->log.path;
}

static bool log_start(struct err *err) {
    const struct edge_conf *c = edge.conf;
    if (!log_open(c->log.path, c->log.level, err))
        return blame(&c->log_at, err);
    if (c->log.access)
        log_as_json(!strcmp(access_path(c), c->log.path));
    return true;
}

static bool access_start(struct err *err) {
    const struct edge_conf *c = edge.conf;
    struct access_conf access = {
        .path = access_path(c), .workers = c->workers, .query = c->log.query};
    return !c->log.access || access_log_start(&access, err) || blame(&c->access_at, err);
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

/* Of each worker. */
static size_t buffer_memory(const struct edge_conf *c) {
    int64_t all = exhausted_buffer_memory(&edge.exhausted), wanted = c->buffer_memory;
    return (size_t)(all && all / c->workers < wanted ? all / c->workers : wanted);
}

static bool workers_start(struct err *err) {
    const struct edge_conf *c = edge.conf;
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
                .buffer_memory = buffer_memory(c),
                .popular = (unsigned)c->metrics.hosts,
            },
            err))
        return false;
    log_write(2, "%u workers; %s", core_workers(), core_features());
    return true;
}

/* --- giving up what only a start takes ---------------------------------------------------------*/

/* Root that stays root goes on with what tenants' networks and others' files take; everybody else with what edge.yaml says. */
static uint64_t capabilities_wanted(const struct edge_conf *c, const struct user *u) {
    static const char *const roots[] = {"sys_admin", "net_admin", "net_raw", "dac_read_search"};
    uint64_t bit = 0, wanted = c->capability_set;
    for (size_t i = 0; i < 4 && !c->capabilities_given && u->uid == 0; i++)
        if (capability_parse(roots[i], &bit))
            wanted |= bit;
    if (c->port_low && c->port_low < PORT_FREE && capability_parse("net_bind_service", &bit))
        wanted |= bit; /* raw ports are bound when they are asked for */
    return wanted;
}

static bool capabilities_judge(const struct edge_conf *c, struct err *err) {
    char names[160];
    uint64_t lacking = c->capability_set & ~capabilities_held();
    if (!lacking)
        return true;
    capabilities_print(lacking, names);
    err_set(err,
            "capabilities: %s: this process does not have that, so it can't keep it; start it as "
            "root, or with AmbientCapabilities= in its unit (docker run: --cap-add)",
            names);
    return blame(&c->capabilities_at, err);
}

/* What he will open again, but could not make; what is on disk from a start as somebody else. */
static void files_give(const struct edge_conf *c, const struct user *u) {
    static const char *const kept[] = {"ringress.db", "ringress.db-wal", "ringress.db-shm",
                                       "ticket-keys", "secret",          NULL};
    const char *log[] = {c->log.path, c->log.access ? access_path(c) : "stderr"};
    char *path;
    for (size_t i = 0; i < 2; i++) {
        int fd = strcmp(log[i], "stderr")
                     ? open(log[i], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640)
                     : -1;
        if (fd < 0)
            continue;
        close(fd);
        user_give(u, log[i]);
    }
    for (const char *const *name = kept; *name; name++, free(path))
        if ((path = path_join(c->state, *name)))
            user_give(u, path);
    if ((path = path_join(c->state, "certificates")))
        user_give_folder(u, path);
    free(path);
    if (lchown(c->state, u->uid, u->gid))
        log_write(1, "%s can't be given to user %s: %s", c->state, u->name ? u->name : "root",
                  strerror(errno));
}

static void memory_unlock(void) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &all) && !getrlimit(RLIMIT_MEMLOCK, &all)) {
        all.rlim_cur =
            all.rlim_max; /* if that is too little, it is told when a ring can't be had */
        setrlimit(RLIMIT_MEMLOCK, &all);
    }
}

/* All that may take the rights we were started with. No thread is running yet, nothing a tenant wrote has been read. */
static bool privileged_start(const struct user *u, struct err *err) {
    const struct edge_conf *c = edge.conf;
    host_conf_path(c->path);
    mkdir(c->state, 0700); /* the store says why it can't be used */
    memory_unlock();
    if (!modules_up(err) || !log_start(err) || !admin_open(&edge, err))
        return false;
    operator_read_ahead(c);
    if (geteuid() == 0) /* root that stays root may not write what is another's either */
        files_give(c, u);
    return listeners_bind(c, err) && admin_give(&edge, u, err);
}

static bool rights_drop(const struct user *u, uint64_t capabilities, struct err *err) {
    if (!user_become(u, capabilities, err))
        return false;
    dumps_allow(edge.conf->core_dumps || JAIL_SANITIZED); /* a sanitizer looks into its process */
    return jail_files(edge.conf, capabilities_held(), &jailed, err);
}

static void rights_tell(void) {
    char names[160], landlock[40] = "any file";
    if (jailed.landlock)
        snprintf(landlock, sizeof landlock, "files by Landlock %ld", jailed.landlock);
    capabilities_print(capabilities_held(), names);
    log_write(2, "jail: user %u, capabilities: %s; %s, %s", geteuid(), names, landlock,
              jailed.seccomp ? "system calls by seccomp" : "any system call");
}

static void pool_judge(const struct edge_conf *c) {
    unsigned lacks = c->port_low ? reserved_lacks_here(c->port_low, c->port_high) : 0;
    if (lacks)
        log_write(1,
                  "raw_tcp.ports: %u of %u-%u are in net.ipv4.ip_local_port_range: the kernel may "
                  "give them to other connections, which are cut "
                  "off when that port is shut, and keep it from opening; set "
                  "net.ipv4.ip_local_reserved_ports=%u-%u",
                  lacks, c->port_low, c->port_high, c->port_low, c->port_high);
}

/* Everything, in this order; what fails ends the start. */
static bool edge_start(struct err *err) {
    const struct edge_conf *c = edge.conf;
    struct user user;
    exhausted_open(&edge.exhausted, c->memory);
    if (!user_find(c->user, &user, err) || !capabilities_judge(c, err) ||
        !privileged_start(&user, err))
        return false;
    pool_judge(c);
    if (!rights_drop(&user, capabilities_wanted(c, &user), err))
        return false;
    if (!access_start(err) || !workers_start(err) ||
        !jail_calls(c, capabilities_held(), &jailed, err))
        return false;
    rights_tell();
    return certificates_start(err) && control_start(&edge, err) && listeners_open(&edge, err) &&
           host_up(&edge, err);
}

static void serve(void) {
    edge.started = time(NULL);
    edge.networks.hurry = true; /* another user may not enter what root may */
    networks_beat(&edge);
    exhausted_init(&edge.exhausted);
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
    listeners_unbind();
    access_log_stop();
    loop_fini(&edge.loop);
    edge_conf_free(edge.conf);
}

int command_run(const struct args *args) {
    struct err err, why;
    sigset_t set;
    if (args->words)
        return usage_error("run takes no further words");
    signals_block(&set);
    bool spared = dumps_spare_the_heap(&why);
    edge.conf = conf_read(args->conf ? args->conf : EDGE_CONF_DEFAULT);
    if (!edge.conf)
        return EXIT_BAD_NEWS;
    signals_watch(&set);
    bool started = edge_start(&err);
    if (started && edge.conf->core_dumps && !spared)
        log_write(1, "core_dumps: %s", why.text);
    if (started) {
        serve();
        drain(&set);
    } else {
        fprintf(stderr, "ringress: %s\n", err.text);
    }
    edge_end();
    return started ? EXIT_GOOD : EXIT_BAD_NEWS;
}
