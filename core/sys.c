/* SPDX-License-Identifier: GPL-3.0-or-later
 * sys.c - the plain system calls of sys.h. With ring.c the only file that knows the kernel.
 */
#include "core/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* ---- sockets in other networks ---- */

#ifndef SO_NETNS_COOKIE /* Linux 5.14; the C library's headers may be older */
#define SO_NETNS_COOKIE 71
#endif
#ifndef SO_BINDTOIFINDEX /* 5.1 */
#define SO_BINDTOIFINDEX 62
#endif

static int home =
    -1; /* the network that all threads live in; open, so that coming back needs no descriptor */
static uint64_t home_cookie;
static unsigned home_ports;

static uint64_t cookie_of(int fd) {
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) ? 0 : cookie;
}

/* Of the namespace that the thread is in. */
static unsigned local_ports(void) {
    char text[64] = "";
    unsigned low, high;
    int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 && sscanf(text, "%u %u", &low, &high) == 2 && low <= high ? high - low + 1 : 0;
}

void sys_begin(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    home_cookie = fd < 0 ? 0 : cookie_of(fd);
    home_ports = local_ports();
    if (fd >= 0)
        close(fd);
}

/* What is there but no namespace is one that `ip netns add` has not mounted yet. */
static int namespace_open(const char *netns) {
    char path[300];
    snprintf(path, sizeof path, "/run/netns/%s", netns);
    int fd = strchr(netns, '/') ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    if (errno == EACCES) /* of the jail, or of the folder */
        return -EPERM;
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ENOENT;
}

/* A socket belongs to the namespace its maker was in: enter, make, leave. A thread that can't come back would reach
 * other tenants' pods through this one's network, so it must not go on. */
static int socket_in(int family, int type, const char *netns, unsigned *ret_ports) {
    int target = home < 0 ? -EBADF : namespace_open(netns);
    if (target < 0)
        return target;
    int fd = setns(target, CLONE_NEWNET) ? -errno : 0;
    close(target);
    if (fd < 0)
        return fd == -EINVAL ? -ENOENT : fd;
    fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    fd = fd < 0 ? -errno : fd;
    if (ret_ports)
        *ret_ports = local_ports();
    if (setns(home, CLONE_NEWNET))
        abort();
    return fd;
}

static int socket_at(int family, int type, const char *netns) {
    if (netns)
        return socket_in(family, type, netns, NULL);
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

static void device_look(int fd, const char *device, struct place *place) {
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    if (strlen(device) >= sizeof request.ifr_name || ioctl(fd, SIOCGIFINDEX, &request))
        place->error = -ENODEV;
    else
        place->device = request.ifr_ifindex;
}

struct place sys_place(const char *netns, const char *device) {
    struct place place = {.ports = netns ? 0 : home_ports};
    if (!netns && !device)
        return place;
    int fd = netns ? socket_in(AF_INET, SOCK_DGRAM, netns, &place.ports)
                   : socket_at(AF_INET, SOCK_DGRAM, NULL);
    if (fd < 0) {
        place.error = fd;
        return place;
    }
    if (netns)
        place.space = cookie_of(fd);
    if (netns && place.space == home_cookie)
        place.error = -ELOOP;
    else if (device)
        device_look(fd, device, &place);
    close(fd);
    return place;
}

/* Bound by its name it may be another by now than the one that was looked at. */
static int device_bind(int fd, const char *device, const struct place *place) {
    int index = 0;
    socklen_t length = sizeof index;
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) ||
        getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, &length))
        return -errno;
    return index == place->device ? 0 : -ESTALE;
}

static int place_check(int fd, const char *netns, const char *device, const struct place *place) {
    if (netns && cookie_of(fd) != place->space)
        return -ESTALE;
    return device ? device_bind(fd, device, place) : 0;
}

int sys_socket(int family, const char *netns, const char *device, const struct place *place) {
    int one = 1, fd = place->error ? place->error : socket_at(family, SOCK_STREAM, netns);
    if (fd < 0)
        return fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one,
               sizeof one); /* a relay may be silent for long; a dead pod must not be */
    int error = place_check(fd, netns, device, place);
    if (!error)
        return fd;
    close(fd);
    return error;
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

void sys_page_touch(void *p) {
    *(volatile uint8_t *)p = 0;
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t sys_now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t sys_cpu_ns(void) {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* The first form of the kernel's struct sched_attr; the C library's headers may be without it. */
struct fair_share {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* ns: the slice of a thread that shares its CPU fairly */
    uint64_t deadline, period;
};

void sys_slice(int64_t ns) {
    struct fair_share s = {0};
    if (syscall(SYS_sched_getattr, 0, &s, (unsigned)sizeof s, 0U) || s.policy != SCHED_OTHER)
        return;
    s.runtime = (uint64_t)ns;
    syscall(SYS_sched_setattr, 0, &s, 0U);
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
