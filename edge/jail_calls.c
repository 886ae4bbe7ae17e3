/* SPDX-License-Identifier: GPL-3.0-or-later
 * jail_calls.c - the system calls of a jail, by seccomp: a list of what serving takes. What is not on it fails.
 *
 *   on the list             allowed, some only with certain arguments
 *   what an intruder wants  EPERM, so that whoever meets it by mistake reads what it is
 *   all the rest            ENOSYS: to a library a call it may do without, as on an older kernel
 *
 * Nothing is killed: a new version of a library that tries a new call must not end every tenant's service, and an intruder who makes
 * calls could end it anyway. io_uring does what it does past this filter; so no ring can be made any more, and those that are
 * there take no verbs but the edge's own (core/ring.c).
 */
#include "core/module.h"
#include "edge/jail.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* tests/e2e/test_packaging.py reads this list, too. */
static const char *const allowed[] = {
    /* the rings that are there */
    "io_uring_enter",
    /* sockets that are not made by a ring: raw ports, the admin's, libcurl's, libunbound's */
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    "socketpair",
    /* files */
    "access", "chmod", "close", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64",
    "fallocate", "fchmod", "fchmodat", "fchown", "fcntl", "fdatasync", "flock", "fstat", "fstatfs",
    "fsync", "ftruncate", "getcwd", "getdents64", "lseek", "lstat", "mkdir", "mkdirat",
    "newfstatat", "open", "openat", "pipe", "pipe2", "pread64", "preadv", "pwrite64", "pwritev",
    "read", "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir", "stat",
    "statfs", "statx", "umask", "unlink", "unlinkat", "write", "writev",
    /* waiting, and being told */
    "clock_getres", "clock_gettime", "clock_nanosleep", "epoll_create1", "epoll_ctl", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "eventfd2", "futex", "gettimeofday", "inotify_add_watch",
    "inotify_init1", "inotify_rm_watch", "nanosleep", "poll", "ppoll", "pselect6",
    "restart_syscall", "select", "signalfd4", "time", "timerfd_create", "timerfd_settime",
    /* memory; mmap and mprotect are looked at */
    "brk", "madvise", "membarrier", "mincore", "mremap", "munmap",
    /* threads and signals of our own; clone and kill are looked at */
    "exit", "exit_group", "getcpu", "getegid", "geteuid", "getgid", "getgroups", "getpid",
    "getppid", "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage", "gettid", "getuid",
    "capget", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
    "sched_setaffinity", "sched_yield", "set_robust_list", "sigaltstack", "sysinfo", "times",
    "uname", NULL};

static const char *const forbidden[] = {"execve",
                                        "execveat",
                                        "fork",
                                        "vfork", /* other programs */
                                        "ptrace",
                                        "process_vm_readv",
                                        "process_vm_writev",
                                        "kcmp", /* other processes */
                                        "pidfd_open",
                                        "pidfd_getfd",
                                        "pidfd_send_signal",
                                        "process_madvise",
                                        "mount",
                                        "umount2",
                                        "move_mount",
                                        "open_tree",
                                        "fsopen",
                                        "fsmount",
                                        "fspick",
                                        "mount_setattr",
                                        "pivot_root",
                                        "chroot",
                                        "unshare", /* another view of the machine */
                                        "bpf",
                                        "perf_event_open",
                                        "userfaultfd",
                                        "io_uring_setup", /* large parts of the kernel */
                                        "keyctl",
                                        "add_key",
                                        "request_key",
                                        "init_module",
                                        "finit_module",
                                        "delete_module",
                                        "kexec_load",
                                        "kexec_file_load",
                                        "reboot",
                                        "swapon",
                                        "swapoff",
                                        "acct",
                                        "settimeofday",
                                        "clock_settime",
                                        "adjtimex",
                                        "clock_adjtime",
                                        "sethostname",
                                        "setdomainname",
                                        "iopl",
                                        "ioperm",
                                        "syslog",
                                        "quotactl",
                                        "vhangup",
                                        "setuid",
                                        "setgid",
                                        "setreuid",
                                        "setregid",
                                        "setresuid",
                                        "setresgid",
                                        "setfsuid",
                                        "setfsgid",
                                        "setgroups",
                                        "capset",
                                        "personality",
                                        "seccomp", /* another self */
                                        "chown",
                                        "lchown",
                                        "fchownat",
                                        "mknod",
                                        "mknodat",
                                        "link",
                                        "linkat",
                                        "symlink",
                                        "symlinkat",
                                        "open_by_handle_at",
                                        "name_to_handle_at",
                                        "memfd_create",
                                        "pkey_mprotect",
                                        "shmget",
                                        "shmat",
                                        NULL};

struct building {
    scmp_filter_ctx filter;
    int error; /* the first */
};

/* ---- rules ---- */

static void rule(struct building *b, uint32_t action, const char *name, unsigned count,
                 const struct scmp_arg_cmp *arg) {
    int number = seccomp_syscall_resolve_name(name);
    if (number < 0) /* this architecture, or this libseccomp, has none of that name */
        return;
    int error = seccomp_rule_add_array(b->filter, action, number, count, arg);
    if (error && !b->error)
        b->error = error;
}

#define ALLOW(b, name, ...)                                                        \
    rule(b, SCMP_ACT_ALLOW, name,                                                  \
         sizeof(struct scmp_arg_cmp[]){__VA_ARGS__} / sizeof(struct scmp_arg_cmp), \
         (struct scmp_arg_cmp[]){__VA_ARGS__})

/* Where what is said is 32 bits wide, the register's upper half is whatever the caller left there. */
#define INT_IS(n, value) \
    { n, SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)(value) }
#define BITS_ARE(n, mask, value) \
    { n, SCMP_CMP_MASKED_EQ, mask, value }

static void sockets_allow(struct building *b, uint64_t capabilities) {
    static const int family[] = {AF_INET, AF_INET6, AF_UNIX};
    static const unsigned type[] = {SOCK_STREAM, SOCK_DGRAM};
    for (size_t f = 0; f < sizeof family / sizeof *family; f++)
        for (size_t t = 0; t < sizeof type / sizeof *type; t++)
            ALLOW(b, "socket", INT_IS(0, family[f]), BITS_ARE(1, 0xf, type[t]));
    ALLOW(b, "socket", INT_IS(0, AF_NETLINK), INT_IS(2, NETLINK_ROUTE));
    if (capabilities >> CAP_NET_ADMIN & 1)
        ALLOW(b, "socket", INT_IS(0, AF_NETLINK), INT_IS(2, NETLINK_NETFILTER));
}

/* What may be executed was there when the jail was shut: no new code comes in. */
static void memory_allow(struct building *b) {
    static const char *const call[] = {"mmap", "mprotect"};
    for (size_t i = 0; i < 2; i++) {
        ALLOW(b, call[i], BITS_ARE(2, PROT_EXEC, 0));
        rule(b, SCMP_ACT_ERRNO(EPERM), call[i], 1,
             (struct scmp_arg_cmp[]){BITS_ARE(2, PROT_EXEC, PROT_EXEC)});
    }
}

/* Threads, and no namespaces with them. clone3 says its flags where a filter can't look; without it libc takes clone. */
static void threads_allow(struct building *b) {
    const uint64_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                            CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    uint64_t self = (uint64_t)getpid();
    ALLOW(b, "clone", BITS_ARE(0, spaces | CLONE_THREAD, CLONE_THREAD));
    ALLOW(b, "tgkill", INT_IS(0, self));
    ALLOW(b, "kill", INT_IS(0, self));
    ALLOW(b, "setpriority", INT_IS(0, PRIO_PROCESS)); /* threads that make keys step back */
    ALLOW(b, "prlimit64", INT_IS(0, 0));
    ALLOW(b, "prlimit64", INT_IS(0, self));
}

static void options_allow(struct building *b) {
    static const int option[] = {
        PR_SET_NAME,    PR_GET_NAME,        PR_GET_DUMPABLE, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS,
        PR_GET_SECCOMP, PR_GET_THP_DISABLE, 0x53564d41 /* PR_SET_VMA: names of mappings */};
    static const unsigned long request[] = {FIONBIO, FIONREAD, TCGETS, SIOCGIFINDEX, SIOCGIFNAME};
    for (size_t i = 0; i < sizeof option / sizeof *option; i++)
        ALLOW(b, "prctl", INT_IS(0, option[i]));
    for (size_t i = 0; i < sizeof request / sizeof *request; i++)
        ALLOW(b, "ioctl", INT_IS(1, request[i]));
}

/* To take a ring down: its buffers, its number. The upper bit says how the ring is named. */
static void rings_allow(struct building *b) {
    static const uint32_t ends[] = {21 /* UNREGISTER_RING_FDS */, 23 /* UNREGISTER_PBUF_RING */};
    for (size_t i = 0; i < 2; i++)
        ALLOW(b, "io_uring_register", BITS_ARE(1, 0x7fffffffu, ends[i]));
}

static void rules_make(struct building *b, uint64_t capabilities) {
    for (const char *const *name = allowed; *name; name++)
        rule(b, SCMP_ACT_ALLOW, *name, 0, NULL);
    for (const char *const *name = forbidden; *name; name++)
        rule(b, SCMP_ACT_ERRNO(EPERM), *name, 0, NULL);
    sockets_allow(b, capabilities);
    memory_allow(b);
    threads_allow(b);
    options_allow(b);
    rings_allow(b);
    if (capabilities >> CAP_SYS_ADMIN & 1)
        ALLOW(b, "setns", INT_IS(1, CLONE_NEWNET));
}

/* ---- all of it ---- */

/* Every thread, or none: libcurl's and libunbound's, too, if there are some already. */
static int filter_load(uint64_t capabilities) {
    struct building b = {.filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS))};
    if (!b.filter)
        return -ENOMEM;
    rules_make(&b, capabilities);
    if (!b.error)
        b.error = seccomp_attr_set(b.filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!b.error)
        b.error = seccomp_attr_set(b.filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!b.error)
        seccomp_attr_set(b.filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree; without it a list */
    if (!b.error)
        b.error = seccomp_load(b.filter);
    seccomp_release(b.filter);
    return b.error;
}

static bool calls_fail(const struct edge_conf *c, const char *why, struct err *err) {
    if (c->jail == JAIL_REQUIRED)
        return err_set(err, "jail: required, but system calls can't be confined: %s", why);
    log_write(1, "jail: system calls are not confined: %s", why);
    return true;
}

bool jail_calls(const struct edge_conf *c, uint64_t capabilities, struct jailed *j,
                struct err *err) {
    if (c->jail == JAIL_OFF)
        return true;
    if (JAIL_SANITIZED)
        return calls_fail(c, "this is a sanitizer's build", err);
    int error = filter_load(capabilities);
    if (error)
        return calls_fail(c, strerror(-error), err);
    j->seccomp = true;
    return true;
}
