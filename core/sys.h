/* SPDX-License-Identifier: GPL-3.0-or-later
 * sys.h - the few plain system calls of the data path, and the clock. sys.c is the kernel; tests/sim links a fake.
 * All return a descriptor or 0, or negative errno.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* A non-inheritable TCP socket for reaching a pod, with TCP_NODELAY; made inside the named network namespace when
 * `netns` is not NULL (failing to come back aborts the process), bound to `device` when not NULL. */
int sys_socket(int family, const char *netns, const char *device);
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
int64_t sys_now_ns(void);  /* CLOCK_MONOTONIC */
uint64_t sys_cycles(void); /* cheap, monotonic on one thread */
