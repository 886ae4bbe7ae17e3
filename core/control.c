/* SPDX-License-Identifier: GPL-3.0-or-later
 * control.c - the process around the workers: start, call, drain, stop; and the facts that all of them share.
 */
#include "core/conn.h"
#include "core/directory.h"
#include "core/door.h"
#include "core/identity.h"
#include "core/ledger.h"
#include "core/own.h"
#include "core/process.h"
#include "core/room.h"
#include "core/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

enum { FILES_RESERVED = 200, STOP_MS = 2000, WIND_DOWN_TURNS = 4, TLS_CACHE = 10000 };
enum { SLICE_NS = 100000 }; /* the least there is; a turn is often less */

struct process process;
static pthread_t *threads;
struct pulse { /* of one worker; asked by the control thread, answered by the worker */
    struct message message;
    uint32_t answered, asked;
    int64_t asked_ns;
};

struct call { /* to one worker; one for all at a time */
    struct message message;
    struct worker *worker;
    void (*run)(struct worker *, void *);
    void *user;
    sem_t *done;
};

static struct pulse *pulses;
static struct call
    *calls; /* made at the start: what is withdrawn must not depend on memory being there */
static struct ledger_worker *looked;
static char features[256];

/* ---- worker threads ---- */

struct start { /* of one worker, on the starter's stack */
    unsigned id;
    int cpu; /* -1: not pinned */
    bool up;
    struct err err;
    sem_t done;
};

static uint64_t seed_draw(void) {
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)sys_now_ns();
    return seed;
}

static void worker_pin(int cpu) {
    cpu_set_t set;
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* For ./dev bench accounting and fairness, which measure what these cost. */
static bool is_off(const char *name) {
    const char *said = getenv(name);
    return said && !strcmp(said, "off");
}

static bool accounting_off(void) {
    return is_off("RINGRESS_ACCOUNTING");
}

static bool fairness_off(void) {
    return is_off("RINGRESS_FAIRNESS");
}

static struct worker *worker_begin(struct start *s) {
    struct worker *w;
    struct worker_conf conf = {
        .id = s->id,
        .buffer_memory = process.conf.buffer_memory,
        .nobody = process.nobody,
        .uncounted = accounting_off(),
        .in_order = fairness_off(),
        .seed = seed_draw(),
        .popular = process.conf.popular,
    };
    char name[16];
    snprintf(name, sizeof name, "worker %u", s->id);
    pthread_setname_np(pthread_self(), name);
    worker_pin(s->cpu);
    sys_slice(SLICE_NS);
    if (!worker_new(&conf, &w, &s->err))
        return NULL;
    int error = modules_worker_up(w);
    if (!error)
        return w;
    err_set(&s->err, "a module can't start on worker %u: %s", s->id, strerror(-error));
    worker_end(w);
    return NULL;
}

/* A request on another worker may still be asking this one for a connection. */
bool workers_wait(void) {
    for (unsigned i = 0; i < process.workers; i++)
        if (__atomic_load_n(&process.worker[i]->wait_count, __ATOMIC_RELAXED))
            return true;
    return false;
}

/* Everything that lives on a worker that ends has been asked to; give it the turns that takes. */
static void worker_wind_down(struct worker *w) {
    int64_t until = sys_now_ns() + STOP_MS * 1000000LL;
    conns_reset(w);
    upstreams_close_idle(w);
    while ((w->conn_count || w->upstream_count || w->dead || workers_wait()) &&
           sys_now_ns() < until)
        if (worker_turn(w, 1000000))
            break;
    for (unsigned i = 0; i < WIND_DOWN_TURNS; i++) /* what the last turns asked to end */
        worker_turn(w, 1000000);
    lull_end(w); /* while their accounts are there */
    turn_end(w);
}

static void *worker_main(void *argument) {
    struct start *s = argument;
    urcu_qsbr_register_thread();
    struct worker *w = worker_begin(s);
    s->up = w;
    if (w)
        process.worker[s->id] = w;
    sem_post(&s->done); /* `s` is the starter's again */
    int error = 0;
    while (w && !w->stopping && !error)
        error = worker_turn(w, -1);
    if (error) { /* a bug here or in the kernel: connections can't be ended without a ring, so none may hang on */
        log_write(0, "worker %u: its ring is broken: %s", w->id, strerror(-error));
        abort();
    }
    if (w)
        worker_wind_down(w);
    if (w)
        modules_worker_down(w);
    urcu_qsbr_unregister_thread();
    return NULL;
}

static bool worker_spawn(unsigned id, int cpu, struct err *err) {
    struct start s = {.id = id, .cpu = cpu};
    sem_init(&s.done, 0, 0);
    int error = pthread_create(&threads[id], NULL, worker_main, &s);
    if (error)
        return err_set(err, "thread for worker %u: %s", id, strerror(error));
    urcu_qsbr_thread_offline();
    while (sem_wait(&s.done))
        ;
    urcu_qsbr_thread_online();
    sem_destroy(&s.done);
    if (s.up)
        return true;
    pthread_join(threads[id], NULL);
    *err = s.err;
    return false;
}

/* ---- start ---- */

static void files_raise(void) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r))
        return;
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    getrlimit(RLIMIT_NOFILE, &r);
    process.files = (unsigned)(r.rlim_cur > 1u << 30 ? 1u << 30 : r.rlim_cur);
    /* A proxied connection takes two descriptors. */
    rlim_t usable = r.rlim_cur > FILES_RESERVED * 2 ? r.rlim_cur - FILES_RESERVED : r.rlim_cur / 2;
    process.connections_max = (unsigned)(usable / 2 > 1u << 30 ? 1u << 30 : usable / 2);
    snprintf(features, sizeof features, "files: %llu, about %u connections",
             (unsigned long long)r.rlim_cur, process.connections_max);
}

/* The table of descriptors doubles whenever it is full, and with several threads the kernel waits for all CPUs to have looked away
 * from the old one: 10 ms of a worker, in the midst of a flood. It never shrinks. So it is made large now, by using a high descriptor once. */
static void files_table_make(void) {
    enum { TABLE_MOST = 65536 }; /* 8 bytes each */
    int any = eventfd(0, EFD_CLOEXEC), high = -1;
    if (any >= 0)
        high = fcntl(any, F_DUPFD_CLOEXEC,
                     (int)(process.files < TABLE_MOST ? process.files : TABLE_MOST) - 1);
    if (high >= 0)
        close(high);
    if (any >= 0)
        close(any);
}

static void features_note(void) {
    unsigned f = ring_features(process.worker[0]->ring);
    size_t n = strlen(features);
    snprintf(features + n, sizeof features - n,
             "; io_uring: multishot accept and receive, provided buffers%s%s",
             f & RING_BUNDLE ? ", bundles" : "", f & RING_MIN_WAIT ? ", gathering waits" : "");
}

static int cpu_of(unsigned id) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) || (unsigned)CPU_COUNT(&set) != process.workers)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &set) && id-- == 0)
            return cpu;
    return -1;
}

static bool process_init(const struct core_conf *conf, struct err *err) {
    process.conf = *conf;
    process.workers = conf->workers ? conf->workers : 1;
    process.worker = calloc(process.workers, sizeof *process.worker);
    threads = calloc(process.workers, sizeof *threads);
    pulses = calloc(process.workers, sizeof *pulses);
    looked = calloc(process.workers, sizeof *looked);
    calls = calloc(process.workers, sizeof *calls);
    process.nobody = account_new("", process.workers);
    if (!process.worker || !threads || !pulses || !looked || !calls || !process.nobody ||
        !directory_init())
        return err_set(err, "out of memory");
    if (wolfSSL_Init() != WOLFSSL_SUCCESS || !tickets_init(conf->state))
        return err_set(err, "wolfSSL can't start");
    identities_init(process.workers, conf->tls_min_version);
    return true;
}

bool core_start(const struct core_conf *conf, struct err *err) {
    struct ring_conf rc = {.entries = 256};
    files_raise();
    files_table_make();
    sys_begin();
    if (!process_init(conf, err) || !ring_new(&rc, &process.control, err) ||
        !certificates_start(process.workers, conf->tls_cache ? conf->tls_cache : TLS_CACHE, err)) {
        process.workers = 0;
        return false;
    }
    urcu_qsbr_register_thread();
    for (unsigned i = 0; i < process.workers; i++)
        if (!worker_spawn(i, cpu_of(i), err)) {
            process.workers = i;
            core_stop();
            return false;
        }
    features_note();
    if (accounting_off())
        log_write(1, "RINGRESS_ACCOUNTING=off: nobody is charged for processor time");
    if (fairness_off())
        log_write(1, "RINGRESS_FAIRNESS=off: all is done in the order in which it comes");
    ledger_look(sys_now_ns());
    ledger_fold(sys_now_ns());
    return true;
}

unsigned core_workers(void) {
    return process.workers;
}

const char *core_features(void) {
    return features;
}

unsigned core_connections_max(void) {
    return process.connections_max;
}

/* ---- calls ---- */

static void call_run(struct message *m) {
    struct call *c = container_of(m, struct call, message);
    c->run(c->worker, c->user);
    sem_post(c->done);
}

/* A message whose queue was full bounced and is posted again by our own ring, so that has to turn meanwhile. */
static void call_wait(sem_t *done) {
    struct timespec until;
    do {
        ring_wait(process.control, 0, 1);
        ring_dispatch(process.control, NULL);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
    } while (sem_timedwait(done, &until));
}

void workers_call(void (*run)(struct worker *, void *), void *user) {
    sem_t done;
    sem_init(&done, 0, 0);
    for (unsigned i = 0; i < process.workers; i++) {
        calls[i] = (struct call){{.run = call_run}, process.worker[i], run, user, &done};
        worker_post(process.worker[i], process.control, &calls[i].message);
    }
    ring_wait(process.control, 0, 1);
    ring_dispatch(process.control, NULL);
    urcu_qsbr_thread_offline();
    for (unsigned i = 0; i < process.workers; i++)
        call_wait(&done);
    urcu_qsbr_thread_online();
    sem_destroy(&done);
}

/* ---- signs of life ---- */

static void pulse_run(struct message *m) {
    struct pulse *p = container_of(m, struct pulse, message);
    __atomic_store_n(&p->answered, p->answered + 1, __ATOMIC_RELEASE);
}

static bool pulse_owed(const struct pulse *p) {
    return __atomic_load_n(&p->answered, __ATOMIC_ACQUIRE) != p->asked;
}

void core_pulse(void) {
    for (unsigned i = 0; i < process.workers; i++) {
        struct pulse *p = &pulses[i];
        if (pulse_owed(p))
            continue;
        p->message.run = pulse_run;
        p->asked++;
        p->asked_ns = sys_now_ns();
        worker_post(process.worker[i], process.control, &p->message);
    }
    ring_wait(process.control, 0, 1);
    ring_dispatch(process.control, NULL);
}

int64_t core_silent_ms(void) {
    int64_t now = sys_now_ns(), most = 0;
    for (unsigned i = 0; i < process.workers; i++)
        if (pulse_owed(&pulses[i]) && now - pulses[i].asked_ns > most)
            most = now - pulses[i].asked_ns;
    return most / 1000000;
}

/* ---- drain and stop ---- */

static void drain_run(struct worker *w, void *user) {
    (void)user;
    conns_drain(w);
}

static unsigned connections_left(void) {
    unsigned left = 0;
    for (unsigned i = 0; i < process.workers; i++)
        left += __atomic_load_n(&process.worker[i]->conn_count, __ATOMIC_RELAXED);
    return left;
}

unsigned core_drain(int64_t ms, const volatile bool *stop_early, void (*meanwhile)(void *),
                    void *user) {
    int64_t until = sys_now_ns() + ms * 1000000;
    workers_call(drain_run, NULL);
    while (connections_left() && sys_now_ns() < until && !*stop_early)
        meanwhile(user);
    return connections_left();
}

static void stop_run(struct worker *w, void *user) {
    (void)user;
    w->stopping = true;
}

void core_stop(void) {
    workers_call(stop_run, NULL);
    urcu_qsbr_thread_offline();
    for (unsigned i = 0; i < process.workers; i++) {
        pthread_join(threads[i], NULL);
        process.worker[i]->gone = true;
    }
    urcu_qsbr_thread_online();
    certificates_fini();
    challenges_fini();
    doors_fini();
    publish_fini();
    own_publish(NULL);
    for (unsigned i = 0; i < process.workers; i++)
        worker_end(process.worker[i]);
    ring_free(process.control);
    operator_identities_set(NULL, NULL, NULL, 0);
    identities_reap();
    account_unref(process.nobody);
    accounts_end();
    ledger_fini();
    free(looked);
    free(process.worker);
    free(threads);
    free(pulses);
    free(calls);
    tickets_fini();
    wolfSSL_Cleanup();
    urcu_qsbr_unregister_thread();
    process = (struct process){0};
}

/* ---- figures ---- */

static int64_t cpu_ns_of(unsigned id) {
    struct timespec cpu = {0};
    clockid_t clock;
    if (!pthread_getcpuclockid(threads[id], &clock))
        clock_gettime(clock, &cpu);
    return cpu.tv_sec * 1000000000ll + cpu.tv_nsec;
}

unsigned core_descriptors_max(void) {
    return room_most();
}

uint64_t core_descriptors_short(void) {
    return room_sum().short_of;
}

uint64_t core_descriptors_refused(void) {
    return room_sum().refused;
}

void core_worker_figures(unsigned id, struct core_figures *ret) {
    struct worker *w = process.worker[id];
    *ret = (struct core_figures){
        .connections = __atomic_load_n(&w->conn_count, __ATOMIC_RELAXED),
        .accepted = __atomic_load_n(&w->accepted, __ATOMIC_RELAXED),
        .buffers_in_use = __atomic_load_n(&w->in_use, __ATOMIC_RELAXED),
        .buffers_max = w->most,
        .cpu_seconds = (double)cpu_ns_of(id) / 1e9,
        .tenants_seconds = (double)ledger_worker_tenants_ns(id) / 1e9,
        .own_seconds = (double)ledger_worker_own_ns(id) / 1e9,
        .loop_lag_ns_max = __atomic_exchange_n(&w->lag_ns_max, 0, __ATOMIC_RELAXED),
    };
}

struct worker_memory core_worker_memory(unsigned id) {
    const struct worker *w = process.worker[id];
    return (struct worker_memory){
        .buffers_resident = __atomic_load_n(&w->made, __ATOMIC_RELAXED) -
                            __atomic_load_n(&w->cold, __ATOMIC_RELAXED),
        .buffers_provided = __atomic_load_n(&w->provided, __ATOMIC_RELAXED),
        .slab_bytes = __atomic_load_n(&w->slab.bytes, __ATOMIC_RELAXED),
        .pod_connections = __atomic_load_n(&w->upstream_count, __ATOMIC_RELAXED),
    };
}

static struct ledger_waits lanes_of(const struct worker *w) {
    return (struct ledger_waits){__atomic_load_n(&w->turn.waits, __ATOMIC_RELAXED),
                                 __atomic_load_n(&w->turn.waited_us, __ATOMIC_RELAXED)};
}

/* Those kept for whoever asks next are as good as free. */
static int64_t descriptors_of(const struct worker *w) {
    return (int64_t)__atomic_load_n(&w->client_fds, __ATOMIC_RELAXED) +
           __atomic_load_n(&w->pod_fds, __ATOMIC_RELAXED) -
           (int64_t)__atomic_load_n(&w->kept, __ATOMIC_RELAXED);
}

static void worker_look(unsigned id, struct ledger_worker *ret) {
    struct worker *w = process.worker[id];
    *ret = (struct ledger_worker){
        .cpu_ns = cpu_ns_of(id),
        .lag_ns_max = __atomic_exchange_n(&w->window_lag_ns, 0, __ATOMIC_RELAXED),
        .turns_squared_us = __atomic_load_n(&w->turns_squared_us, __ATOMIC_RELAXED),
        .kernel_ns_max = __atomic_exchange_n(&w->window_kernel_ns, 0, __ATOMIC_RELAXED),
        .lanes_us_max = __atomic_exchange_n(&w->turn.waited_us_max, 0, __ATOMIC_RELAXED),
        .lanes = lanes_of(w),
        .buffers_short = __atomic_load_n(&w->buffers_short, __ATOMIC_RELAXED),
        .memory_short = __atomic_load_n(&w->strain_failed, __ATOMIC_RELAXED),
        .accepted = __atomic_load_n(&w->accepted_shared, __ATOMIC_RELAXED),
        .descriptors = descriptors_of(w),
        .buffers = __atomic_load_n(&w->in_use, __ATOMIC_RELAXED),
        .buffers_most = w->most,
    };
}

/* What is to be charged, and in whose rows that is said. */
static void worker_charge(unsigned id, struct ledger_worker *ret) {
    *ret = (struct ledger_worker){
        .cpu_ns = cpu_ns_of(id),
        .listed = __atomic_exchange_n(&process.worker[id]->listed, NULL, __ATOMIC_ACQUIRE),
    };
}

static struct ledger_moment moment(int64_t now_ns,
                                   void (*gather)(unsigned, struct ledger_worker *)) {
    struct ledger_moment m = {
        .now_ns = now_ns,
        .cycles = sys_cycles(),
        .descriptors_most = 2ll * process.connections_max,
        .workers = process.workers,
        .worker = looked,
    };
    for (unsigned i = 0; i < process.workers; i++)
        gather(i, &looked[i]);
    return m;
}

void ledger_look(int64_t now_ns) {
    struct ledger_moment m = moment(now_ns, worker_look);
    ledger_look_at(&m);
}

void ledger_fold(int64_t now_ns) {
    struct ledger_moment m = moment(now_ns, worker_charge);
    ledger_close_window(&m);
}

void ledger_charge(void) {
    int64_t now = sys_now_ns();
    if (now - ledger_charged_ns() < LEDGER_FRESH_MS * 1000000ll)
        return;
    struct ledger_moment m = moment(now, worker_charge);
    ledger_charge_at(&m);
}

const struct timeouts *edge_timeouts(void) {
    return &process.conf.timeouts;
}
