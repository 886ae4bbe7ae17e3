/* SPDX-License-Identifier: GPL-3.0-or-later
 * tunnel.c - bytes both ways between a client and the engine: `docker run`, attach, exec, build and all else that --all lets through.
 *
 * A connection that is handed over like this carries one request: without an upgrade both ends are told to close after it, so that
 * the next one is looked at again.
 */
#include "modules/docker/proxy.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PIECE = 65536 };

static int engine_connect(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof to))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool send_all(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        length -= (size_t)n;
    }
    return true;
}

/* The head as it came, but for its Connection fields. */
static bool head_send(int fd, const char *head, size_t length, bool upgrade) {
    static const char close_after[] = "Connection: close\r\n";
    for (const char *line = head, *end = head + length, *next; line < end; line = next) {
        next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
        bool left_out = !upgrade && line != head && !strncasecmp(line, "connection:", 11);
        if (!left_out && !send_all(fd, line, (size_t)(next - line)))
            return false;
        if (line == head && !upgrade && !send_all(fd, close_after, sizeof close_after - 1))
            return false;
    }
    return true;
}

/* False: that way is over. */
static bool pass(int from, int to) {
    char piece[PIECE];
    ssize_t n = recv(from, piece, sizeof piece, 0);
    if (n > 0 && send_all(to, piece, (size_t)n))
        return true;
    shutdown(to, SHUT_WR);
    return false;
}

void tunnel(int client, const char *engine, const char *data, size_t length, size_t head,
            bool upgrade) {
    int fd = engine_connect(engine);
    if (fd < 0)
        return;
    struct pollfd on[] = {{.fd = client, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    bool good = head_send(fd, data, head, upgrade) && send_all(fd, data + head, length - head);
    while (good && on[1].fd >= 0) { /* what the client has finished saying may still be answered */
        if (poll(on, 2, -1) < 0 && errno != EINTR)
            break;
        if (on[0].fd >= 0 && on[0].revents && !pass(client, fd))
            on[0].fd = -1;
        if (on[1].revents && !pass(fd, client))
            on[1].fd = -1;
    }
    close(fd);
}
