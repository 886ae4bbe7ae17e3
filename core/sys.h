/* SPDX-License-Identifier: GPL-3.0-or-later
 * sys.h - the few plain system calls of the data path, and the clock. sys.c is the kernel; tests/sim links a fake.
 * All return a descriptor or 0, or negative errno.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* What the names of a namespace and a device meant when they were looked at: either may go, and come back as another. Both NULL:
 * the edge's own network, all zero but for `ports`. */
struct place {
    uint64_t space; /* the namespace's cookie, which no other ever gets */
    int device;     /* its index */
    unsigned ports; /* local ports for connections from there; 0: not known */
    int error; /* what hinders: -ENOENT, the namespace is not there; -ENODEV, the device; -EPERM, it may not be entered;
                     * -ELOOP, it is the edge's own; or what the look itself lacked, as -EMFILE */
};
/* Once, on a thread that is in the edge's own network. */
void sys_begin(void);
struct place sys_place(const char *netns, const char *device);
/* A non-inheritable TCP socket for reaching a pod, with TCP_NODELAY; made inside the named network namespace when
 * `netns` is not NULL (failing to come back aborts the process), bound to `device` when not NULL. -ESTALE: the names do not
 * mean `place` any more; its `error`, when it has one. */
int sys_socket(int family, const char *netns, const char *device, const struct place *);
int sys_dup(int fd); /* non-inheritable */
int sys_shutdown_write(int fd);
/* The coming close sends RST instead of FIN. */
int sys_linger_reset(int fd);
/* Bytes the peer has acknowledged so far, modulo 2^32; 0 when the socket can't say. */
uint32_t sys_acked(int fd);
int sys_name(int fd, bool peer, struct sockaddr_storage *ret, socklen_t *ret_length);
/* Zeroed pages, none of them in memory before it is written to; NULL: no memory. */
void *sys_pages_new(size_t size);
void sys_pages_free(void *, size_t size);
/* What they hold is worth nothing: their memory goes back, and comes again, zeroed, when they are next used. */
void sys_pages_drop(void *, size_t size);
/* The first byte is written: the page is in memory then. */
void sys_page_touch(void *);
int64_t sys_now_ns(void);  /* CLOCK_MONOTONIC */
int64_t sys_cpu_ns(void);  /* of this thread, since it began; a system call */
uint64_t sys_cycles(void); /* cheap, monotonic on one thread */
/* Asks the kernel to run this thread `ns` at a time where others want its CPU, so that it need not wait for their longer turns when it
 * wakes up. Linux 6.12 and later; others go on as before. */
void sys_slice(int64_t ns);
