/* SPDX-License-Identifier: GPL-3.0-or-later
 * sys.c - the plain system calls of sys.h. With ring.c the only file that knows the kernel.
 */
#include "core/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* A socket belongs to the namespace its maker was in: enter, make, leave. A thread that can't come back would reach
 * other tenants' pods through this one's network, so it must not go on. */
static int socket_in(int family, const char *netns) {
    char path[300];
    snprintf(path, sizeof path, "/run/netns/%s", netns);
    int target = open(path, O_RDONLY | O_CLOEXEC);
    if (target < 0)
        return -ENODEV;
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0) {
        close(target);
        return -errno;
    }
    int fd = setns(target, CLONE_NEWNET) ? -errno : 0;
    close(target);
    if (fd == 0) {
        fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
        fd = fd < 0 ? -errno : fd;
        if (setns(home, CLONE_NEWNET))
            abort();
    }
    close(home);
    return fd;
}

int sys_socket(int family, const char *netns, const char *device) {
    int fd, one = 1;
    if (netns) {
        fd = socket_in(family, netns);
    } else {
        fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
        fd = fd < 0 ? -errno : fd;
    }
    if (fd < 0)
        return fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one,
               sizeof one); /* a relay may be silent for long; a dead pod must not be */
    if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device))) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int sys_dup(int fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

int sys_shutdown_write(int fd) {
    return shutdown(fd, SHUT_WR) ? -errno : 0;
}

int sys_linger_reset(int fd) {
    struct linger l = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l) ? -errno : 0;
}

uint32_t sys_acked(int fd) {
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) ? 0
                                                                 : (uint32_t)info.tcpi_bytes_acked;
}

int sys_name(int fd, bool peer, struct sockaddr_storage *ret, socklen_t *ret_length) {
    *ret_length = sizeof *ret;
    int failed = peer ? getpeername(fd, (struct sockaddr *)ret, ret_length)
                      : getsockname(fd, (struct sockaddr *)ret, ret_length);
    return failed ? -errno : 0;
}

void *sys_pages_new(size_t size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_DONTDUMP); /* what clients and pods say is nothing for a core dump */
    return p;
}

void sys_pages_free(void *p, size_t size) {
    munmap(p, size);
}

void sys_pages_drop(void *p, size_t size) {
    madvise(p, size, MADV_DONTNEED);
}

int64_t sys_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

uint64_t sys_cycles(void) {
#if defined(__x86_64__)
    return __rdtsc();
#elif defined(__aarch64__)
    uint64_t v;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
    return v;
#else
    return (uint64_t)sys_now_ns();
#endif
}
