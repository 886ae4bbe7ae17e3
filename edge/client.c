/* SPDX-License-Identifier: GPL-3.0-or-later
 * client.c - finds the socket, asks one question, reads one answer.
 */
#include "edge/client.h"
#include "edge/conf.h"
#include "edge/print.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* --socket; else what edge.yaml says; without -c and without the default file, the default socket. */
static char *socket_find(const struct args *args, int *ret_exit) {
    struct err err;
    if (args->socket)
        return strdup(args->socket);
    if (!args->conf && access(EDGE_CONF_DEFAULT, F_OK))
        return strdup(ADMIN_SOCKET_DEFAULT);
    char *path = edge_conf_socket(args->conf ? args->conf : EDGE_CONF_DEFAULT, &err);
    if (!path) {
        fprintf(stderr, "ringress: %s\n", err.text);
        *ret_exit = EXIT_BAD_NEWS;
    }
    return path;
}

static int socket_connect(const char *path, int *ret_exit) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) < sizeof to.sun_path)
        memcpy(to.sun_path, path, strlen(path) + 1);
    else
        errno = ENAMETOOLONG;
    if (fd >= 0 && to.sun_path[0] && !connect(fd, (struct sockaddr *)&to, sizeof to))
        return fd;
    if (errno == EACCES)
        fprintf(stderr,
                "ringress: %s may be opened by root, the edge's own user and admin.group only\n",
                path);
    else
        fprintf(stderr, "ringress: no edge is running at %s%s%s\n", path,
                errno == ENOENT || errno == ECONNREFUSED ? "" : ": ",
                errno == ENOENT || errno == ECONNREFUSED ? "" : strerror(errno));
    *ret_exit = EXIT_NO_EDGE;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Whether it went out does not matter: whoever is refused is told so before he asks. */
static void question_send(int fd, const struct args *args, const char *command) {
    json_t *words = json_array();
    for (int i = 0; i < args->words; i++)
        json_array_append_new(words, json_string(args->word[i]));
    json_t *question =
        json_pack("{s:s s:o s:s?}", "command", command, "words", words, "tenant", args->tenant);
    char *text = json_dumps(question, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0;
    if (text)
        text[length++] = '\n'; /* in place of its NUL */
    for (size_t sent = 0; sent < length;) {
        ssize_t n = send(fd, text + sent, length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    free(text);
    json_decref(question);
}

static char *line_read(int fd, size_t *ret_length) {
    size_t room = 65536, length = 0;
    char *line = malloc(room);
    for (ssize_t n; line; length += (size_t)n) {
        if (length == room) {
            char *more = realloc(line, room *= 2);
            if (!more)
                break;
            line = more;
        }
        n = recv(fd, line + length, room - length, 0);
        if (n <= 0)
            break;
        if (line[length + (size_t)n - 1] == '\n') { /* JSON has no newline but this last one */
            *ret_length = length + (size_t)n;
            return line;
        }
    }
    free(line);
    return NULL;
}

json_t *client_ask(const struct args *args, const char *command, int *ret_exit, int *ret_fd) {
    char *path = socket_find(args, ret_exit), *line = NULL;
    int fd = path ? socket_connect(path, ret_exit) : -1;
    json_t *answer = NULL;
    size_t length;
    free(path);
    if (fd < 0)
        return NULL;
    question_send(fd, args, command);
    if ((line = line_read(fd, &length)))
        answer = json_loadb(line, length, 0, NULL);
    free(line);
    if (!answer) {
        fprintf(stderr, "ringress: the edge gave no answer\n");
        *ret_exit = EXIT_NO_EDGE;
    }
    if (answer && ret_fd)
        *ret_fd = fd;
    else
        close(fd);
    return answer;
}

int client_show(const struct args *args, const json_t *answer) {
    const char *error = json_string_value(json_object_get(answer, "error"));
    const char *text = json_string_value(json_object_get(answer, "text"));
    const json_t *data = json_object_get(answer, "data");
    if (error)
        fprintf(stderr, "ringress: %s\n", error);
    else if (args->output == OUTPUT_JSON && data)
        print_json(data);
    else if (text)
        print_text(text);
    return (int)json_integer_value(json_object_get(answer, "exit"));
}
