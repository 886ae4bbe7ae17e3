/* SPDX-License-Identifier: MIT
 * burglar.c - a module that does what an intruder would, as tests/e2e/test_jail.py wants to see it fail: on the control
 * thread, on a thread of its own, and on the worker of a request that says `X-Burglar: please`.
 *
 *   burglar: {elsewhere: FOLDER, inside: FOLDER, port: N}     logs "burglar WHERE CRIME ERRNO", ERRNO OK: it was done
 *
 * Whatever is done by mistake is undone or harmless: a program that is not there is executed, a child ends at once.
 */
#define _GNU_SOURCE
#include "core/control_host.h"
#include "core/module.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

struct burglar_conf {
    char *elsewhere, *inside;
    int64_t port;
};

static const struct burglar_conf *plan;

static const struct conf_field FIELDS[] = {
    {.name = "elsewhere",
     .type = CONF_STRING,
     .offset = offsetof(struct burglar_conf, elsewhere),
     .required = true,
     .doc = "a folder that is none of the edge's business, with a file `loot`"},
    {.name = "inside",
     .type = CONF_STRING,
     .offset = offsetof(struct burglar_conf, inside),
     .required = true,
     .doc = "conf.d"},
    {.name = "port",
     .type = CONF_INT,
     .offset = offsetof(struct burglar_conf, port),
     .min = 1,
     .max = 65535,
     .required = true,
     .doc = "a TCP port that is not in the pool"},
    CONF_END};

/* ---- files ---- */

static int open_and_close(const char *folder, const char *name, int flags) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static int read_elsewhere(void) {
    return open_and_close(plan->elsewhere, "loot", O_RDONLY);
}
static int write_elsewhere(void) {
    return open_and_close(plan->elsewhere, "mark", O_WRONLY | O_CREAT);
}
static int write_drop(void) {
    return open_and_close(plan->inside, "mine.yaml", O_WRONLY | O_CREAT);
}
static int write_state(void) {
    return open_and_close(control_state_folder(), "burglar", O_WRONLY | O_CREAT);
}
static int read_other(void) {
    return open_and_close("/proc/1", "environ", O_RDONLY);
}
static int write_memory(void) {
    return open_and_close("/proc/self", "mem", O_RDWR);
}

/* ---- programs, code, other processes ---- */

static int execute(void) {
    return execve("/not/there", (char *[]){"x", NULL}, (char *[]){NULL});
}

static int child_end(long child) {
    if (child == 0)
        _exit(0);
    return child < 0 ? -1 : 0;
}

static int fork_plain(void) {
    return child_end(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int map_code(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? -1 : munmap(p, 4096);
}

static int make_code(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int done = mprotect(p, 4096, PROT_READ | PROT_EXEC), why = errno;
    munmap(p, 4096);
    errno = why;
    return done;
}

static int trace(void) {
    return (int)ptrace(PTRACE_PEEKDATA, 0, NULL, NULL);
}
static int signal_other(void) {
    return kill(getppid(), 0);
}

static int peek_other(void) {
    return (int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

/* ---- another self, another machine ---- */

static int become_root(void) {
    return (int)syscall(SYS_setresuid, 0, 0, 0);
}

static int take_capabilities(void) {
    uint32_t head[2] = {0x20080522, 0}, sets[6] = {0};
    return (int)syscall(SYS_capset, head, sets);
}

static int be_dumped(void) {
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static int mount_something(void) {
    return mount("none", "/nowhere", "tmpfs", 0, NULL);
}
static int new_namespace(void) {
    return unshare(CLONE_NEWUSER);
}
static int load_module(void) {
    return (int)syscall(SYS_init_module, NULL, 0, "");
}
static int load_bpf(void) {
    return (int)syscall(SYS_bpf, 0, NULL, 0);
}
static int ask_keys(void) {
    return (int)syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}
static int make_ring(void) {
    return (int)syscall(SYS_io_uring_setup, 1, NULL);
}
static int type_in(void) {
    return ioctl(0, TIOCSTI, "x");
}

/* ---- sockets ---- */

static int fd_end(int fd) {
    return fd < 0 ? -1 : close(fd);
}
static int raw_socket(void) {
    return fd_end(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}
static int packet_socket(void) {
    return fd_end(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static int bind_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int done = bind(fd, (struct sockaddr *)&a, sizeof a), why = errno;
    close(fd);
    errno = why;
    return done;
}

static const struct crime {
    const char *name;
    int (*commit)(void); /* 0: it was done, else errno */
} crimes[] = {
    {"read_elsewhere", read_elsewhere},
    {"write_elsewhere", write_elsewhere},
    {"write_drop", write_drop},
    {"write_state", write_state},
    {"read_other", read_other},
    {"write_memory", write_memory},
    {"execute", execute},
    {"fork", fork_plain},
    {"map_code", map_code},
    {"make_code", make_code},
    {"trace", trace},
    {"signal_other", signal_other},
    {"peek_other", peek_other},
    {"become_root", become_root},
    {"capabilities", take_capabilities},
    {"be_dumped", be_dumped},
    {"mount", mount_something},
    {"namespace", new_namespace},
    {"module", load_module},
    {"bpf", load_bpf},
    {"keys", ask_keys},
    {"ring", make_ring},
    {"type_in", type_in},
    {"raw_socket", raw_socket},
    {"packet_socket", packet_socket},
    {"bind_port", bind_port},
};

static void burgle(const char *where) {
    for (size_t i = 0; i < sizeof crimes / sizeof *crimes; i++) {
        errno = 0;
        int failed = crimes[i].commit(), why = errno;
        const char *name = strerrorname_np(why);
        log_write(2, "burglar %s %s %s", where, crimes[i].name, failed ? name : "OK");
    }
    log_write(2, "burglar %s is done", where);
}

static void *thread_main(void *user) {
    burgle("thread");
    return user;
}

static bool burglar_up(const void *conf, struct err *err) {
    pthread_t thread;
    plan = conf;
    burgle("control");
    return (!pthread_create(&thread, NULL, thread_main, NULL) && !pthread_join(thread, NULL)) ||
           err_set(err, "burglar: no thread");
}

static enum verdict burglar_request(struct conn *c, void *state, struct request_view *r) {
    size_t length;
    (void)c, (void)state;
    if (r->header(r, "x-burglar", &length))
        burgle("worker");
    return VERDICT_PASS;
}

RINGRESS_MODULE(.name = "burglar", .version = "1.0", .summary = "tries what must fail",
                .listeners = LISTENER_HTTP, .conf = FIELDS,
                .conf_size = sizeof(struct burglar_conf), .control_up = burglar_up,
                .on_request = burglar_request);
