/* SPDX-License-Identifier: GPL-3.0-or-later
 * admin.c - clients of both doors: read a request, answer it whole, write at the client's pace, close.
 *
 *   READ --complete--> answered --> WRITE --all out--> close   (HTTP; no keep-alive)
 *                                          --all out--> HOLD   (drain: until the process ends)
 *   any state: ADMIN_PATIENCE_MS without progress -> close
 */
#include "edge/admin.h"
#include "edge/address.h"
#include "edge/file.h"
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SILENT_MS = 5000, ACCEPT_RETRY_MS = 100, PEER_GROUPS_MAX = 1024, REFUSALS_QUIET_MS = 1000 };

struct client {
    struct loop_source source;
    struct admin *admin;
    struct client *next;
    bool http, hold;
    int64_t end_ns; /* whatever it does */
    char *in;       /* ADMIN_REQUEST_MAX + 1 */
    size_t in_length;
    char *out;
    size_t out_length, out_sent;
    int64_t until_ns;
};

struct admin {
    struct edge *edge;
    struct loop_source socket, http;
    struct loop_timer timer; /* looks for the impatient-making */
    struct client *first;
    unsigned clients, http_clients;
    char *path; /* of the socket, once it is ours */
    bool made;  /* its folder, too */
    bool has_group;
    gid_t group;            /* whose members may give commands */
    int64_t quiet_until_ns; /* of refusals */
    dev_t device;           /* and which file it was */
    ino_t inode;
};

static void client_close(struct client *c) {
    struct client **at = &c->admin->first;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->admin->clients--;
    c->admin->http_clients -= c->http;
    loop_remove(&c->admin->edge->loop, &c->source);
    close(c->source.fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void patience_renew(struct client *c) {
    int64_t until = loop_now_ns() + ADMIN_PATIENCE_MS * 1000000ll;
    c->until_ns = until < c->end_ns ? until : c->end_ns;
}

/* --- answering -------------------------------------------------------------------------------*/

static void client_write(struct client *c) {
    while (c->out_sent < c->out_length) {
        ssize_t n = send(c->source.fd, c->out + c->out_sent, c->out_length - c->out_sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            c->source.events = POLLOUT;
            return;
        }
        if (n <= 0) {
            client_close(c);
            return;
        }
        c->out_sent += (size_t)n;
        patience_renew(c);
    }
    if (!c->hold) {
        client_close(c);
        return;
    }
    c->source.events = 0;
    c->until_ns = INT64_MAX;
}

static void answer_give(struct client *c, char *text, size_t length) {
    free(c->in);
    c->in = NULL;
    c->out = text;
    c->out_length = text ? length : 0;
    client_write(c);
}

static void line_answer(struct client *c) {
    json_t *request = json_loadb(c->in, c->in_length, 0, NULL);
    json_t *answer = request_answer(c->admin->edge, request);
    c->hold = json_is_true(json_object_get(answer, "wait"));
    char *text = json_dumps(answer, JSON_COMPACT), *line = NULL;
    int length = text ? asprintf(&line, "%s\n", text) : -1;
    free(text);
    json_decref(answer);
    json_decref(request);
    answer_give(c, length < 0 ? NULL : line, length < 0 ? 0 : (size_t)length);
}

/* --- HTTP ------------------------------------------------------------------------------------*/

struct page {
    int status;
    const char *type;
    char *body;
    size_t length;
};

static void page_text(struct page *p, int status, const char *text) {
    *p = (struct page){status, "text/plain; charset=utf-8", strdup(text), strlen(text)};
}

static void page_json(struct page *p, json_t *value) {
    char *text = json_dumps(value, JSON_INDENT(1));
    json_decref(value);
    *p = (struct page){200, "application/json", text, text ? strlen(text) : 0};
}

static void page_metrics(struct page *p, struct edge *e) {
    *p = (struct page){200, "text/plain; version=0.0.4; charset=utf-8", NULL, 0};
    FILE *out = open_memstream(&p->body, &p->length);
    if (!out)
        return;
    metrics_print(e, out);
    fclose(out);
}

/* /api/v1/KIND and /api/v1/KIND?tenant=NAME */
static void page_api(struct page *p, struct edge *e, char *kind) {
    char *query = strchr(kind, '?');
    const char *tenant = NULL;
    if (query) {
        *query++ = 0;
        tenant = strncmp(query, "tenant=", 7) ? NULL : query + 7;
    }
    json_t *rows = view_of(e, kind, tenant && *tenant ? tenant : NULL);
    if (rows)
        page_json(p, rows);
    else
        page_text(p, 404, "no such kind\n");
}

/* A worker that does not turn serves nobody, though the kernel still accepts for it. */
static void page_health(struct page *p) {
    char text[80];
    int64_t silent = core_silent_ms();
    if (silent < SILENT_MS) {
        page_text(p, 200, "ok\n");
        return;
    }
    snprintf(text, sizeof text, "a worker has not turned for %lld ms\n", (long long)silent);
    page_text(p, 503, text);
}

/* A tenant whose files are broken is that tenant's trouble: the edge is ready for all that is live. */
static void page_ready(struct page *p, const struct edge *e) {
    const char *why = e->drain      ? "draining"
                      : !e->serving ? "starting"
                      : e->first    ? "publishing"
                                    : NULL;
    char text[40];
    snprintf(text, sizeof text, "%s%s\n", why ? "not ready: " : "ready", why ? why : "");
    page_text(p, why ? 503 : 200, text);
}

static void page_make(struct page *p, struct edge *e, char *target) {
    if (!strncmp(target, "/api/v1/", 8)) {
        page_api(p, e, target + 8);
        return;
    }
    target[strcspn(target, "?")] = 0;
    if (!strcmp(target, "/metrics"))
        page_metrics(p, e);
    else if (!strcmp(target, "/healthz"))
        page_health(p);
    else if (!strcmp(target, "/readyz"))
        page_ready(p, e);
    else if (!strcmp(target, "/"))
        page_text(p, 200,
                  "ringress: /metrics /healthz /readyz /api/v1/{tenants,routes,domains,"
                  "ports,backends,certificates,modules,events}\n");
    else
        page_text(p, 404, "not found\n");
}

static const char *reason_of(int status) {
    return status == 200   ? "OK"
           : status == 400 ? "Bad Request"
           : status == 404 ? "Not Found"
           : status == 405 ? "Method Not Allowed"
                           : "Service Unavailable";
}

static void page_give(struct client *c, struct page *p, bool head_only) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out) {
        fprintf(out,
                "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                "Connection: close\r\n%s\r\n",
                p->status, reason_of(p->status), p->type, p->length,
                p->status == 405 ? "Allow: GET, HEAD\r\n" : "");
        if (!head_only && p->body)
            fwrite(p->body, 1, p->length, out);
        fclose(out);
    }
    free(p->body);
    answer_give(c, text, text ? length : 0);
}

/* The request line alone decides; header fields are read past, a body is never read. */
static void http_answer(struct client *c) {
    struct page page;
    char *target = strchr(c->in, ' '), *version = target ? strchr(target + 1, ' ') : NULL;
    bool get = !strncmp(c->in, "GET ", 4), head = !strncmp(c->in, "HEAD ", 5);
    if (!version || strncmp(version, " HTTP/1.", 8) != 0 || target[1] != '/') {
        page_text(&page, 400, "bad request\n");
    } else if (!get && !head) {
        page_text(&page, 405, "read-only\n");
    } else {
        *version = 0;
        page_make(&page, c->admin->edge, target + 1);
    }
    page_give(c, &page, head);
}

/* --- clients ---------------------------------------------------------------------------------*/

static bool is_complete(const struct client *c) {
    return c->http ? strstr(c->in, "\r\n\r\n") || strstr(c->in, "\n\n")
                   : memchr(c->in, '\n', c->in_length) != NULL;
}

static void client_read(struct client *c) {
    ssize_t n =
        recv(c->source.fd, c->in + c->in_length, ADMIN_REQUEST_MAX - c->in_length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || memchr(c->in + c->in_length, 0, (size_t)n)) {
        client_close(c);
        return;
    }
    c->in_length += (size_t)n;
    c->in[c->in_length] = 0;
    if (is_complete(c))
        c->http ? http_answer(c) : line_answer(c);
    else if (c->in_length == ADMIN_REQUEST_MAX)
        client_close(c);
}

static void client_ready(struct loop_source *source, short revents) {
    struct client *c = (struct client *)((char *)source - offsetof(struct client, source));
    if (c->out && revents & (POLLERR | POLLHUP))
        client_close(c);
    else if (c->out)
        client_write(c);
    else
        client_read(c);
}

/* --- who may give commands -------------------------------------------------------------------*/

static bool in_group(const struct admin *a, int fd, const struct ucred *peer) {
    gid_t list[PEER_GROUPS_MAX];
    socklen_t length = sizeof list;
    if (!a->has_group || peer->gid == a->group)
        return a->has_group;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &length))
        return false;
    for (size_t i = 0; i < length / sizeof *list; i++)
        if (list[i] == a->group)
            return true;
    return false;
}

/* Whoever may open the socket meets this, too: its mode is the file system's word, this is the kernel's. */
static bool peer_trusted(const struct admin *a, int fd, struct ucred *ret) {
    socklen_t length = sizeof *ret;
    *ret = (struct ucred){.uid = (uid_t)-1};
    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &length) &&
           (ret->uid == 0 || ret->uid == geteuid() || in_group(a, fd, ret));
}

/* Said to both; to the log not with every try. */
static void peer_refuse(struct admin *a, int fd, const struct ucred *peer) {
    const char *group = a->has_group ? a->edge->conf->admin.group : NULL;
    char line[256];
    int n =
        snprintf(line, sizeof line,
                 "{\"exit\": 1, \"error\": \"user %u may not give commands: root, the edge's own "
                 "user (%u)%s%.64s may\"}\n",
                 peer->uid, geteuid(), group ? " and group " : "", group ? group : "");
    send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    int64_t now = loop_now_ns();
    if (now < a->quiet_until_ns)
        return;
    a->quiet_until_ns = now + REFUSALS_QUIET_MS * 1000000ll;
    log_write(1, "admin socket: process %d of user %u, group %u may not give commands", peer->pid,
              peer->uid, peer->gid);
}

static void client_new(struct admin *a, int fd, bool http) {
    struct client *c = calloc(1, sizeof *c);
    char *in = malloc(ADMIN_REQUEST_MAX + 1);
    if (!c || !in) {
        free(c);
        free(in);
        close(fd);
        return;
    }
    *c = (struct client){.source = {.fd = fd, .events = POLLIN, .ready = client_ready},
                         .admin = a,
                         .next = a->first,
                         .http = http,
                         .end_ns = loop_now_ns() + ADMIN_WHOLE_MS * 1000000ll,
                         .in = in};
    a->first = c;
    a->clients++;
    a->http_clients += http;
    patience_renew(c);
    if (!loop_add(&a->edge->loop, &c->source))
        client_close(c);
}

/* Who waits makes the socket readable: without a pause the loop would spin until a descriptor is free. */
static void accept_pause(struct admin *a) {
    a->socket.events = a->http.events = 0;
    a->timer.due_ns = loop_now_ns() + ACCEPT_RETRY_MS * 1000000ll;
}

static void accept_from(struct admin *a, int listener, bool http) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        accept_pause(a);
    if (fd < 0)
        return;
    struct ucred peer;
    bool full = a->clients >= ADMIN_CLIENTS_MAX || (http && a->http_clients >= ADMIN_HTTP_MAX);
    bool stranger = !http && !peer_trusted(a, fd, &peer);
    if (stranger)
        peer_refuse(a, fd, &peer);
    if (full || stranger)
        close(fd);
    else
        client_new(a, fd, http);
}

static void socket_ready(struct loop_source *source, short revents) {
    struct admin *a = (struct admin *)((char *)source - offsetof(struct admin, socket));
    (void)revents;
    accept_from(a, source->fd, false);
}

static void http_ready(struct loop_source *source, short revents) {
    struct admin *a = (struct admin *)((char *)source - offsetof(struct admin, http));
    (void)revents;
    accept_from(a, source->fd, true);
}

static void patience_check(struct loop_timer *timer) {
    struct admin *a = (struct admin *)((char *)timer - offsetof(struct admin, timer));
    int64_t now = loop_now_ns();
    for (struct client *c = a->first, *next; c; c = next) {
        next = c->next;
        if (c->until_ns <= now)
            client_close(c);
    }
    a->socket.events = a->http.events = POLLIN;
    timer->due_ns = now + 1000000000ll;
}

/* --- opening ---------------------------------------------------------------------------------*/

/* A socket file nobody listens on is left over from a process that was killed. */
static bool stale_remove(const char *path, const struct sockaddr_un *at, struct err *err) {
    struct stat st;
    if (lstat(path, &st))
        return true;
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, "admin.socket: %s is there and no socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool alive =
        fd >= 0 && (!connect(fd, (const struct sockaddr *)at, sizeof *at) || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    if (alive)
        return err_set(err, "an edge is already running at %s", path);
    return !unlink(path) || err_set(err, "admin.socket: %s: %s", path, strerror(errno));
}

static bool folder_make(const char *path) {
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return !mkdir(folder, 0755); /* when it fails, bind says why */
}

static bool socket_open(struct admin *a, const char *path, struct err *err) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof at.sun_path)
        return err_set(err, "admin.socket: %s: longer than %zu bytes", path,
                       sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    a->made = folder_make(path);
    if (!stale_remove(path, &at, err))
        return false;
    a->socket.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    bool bound = a->socket.fd >= 0 && !bind(a->socket.fd, (struct sockaddr *)&at, sizeof at);
    int why = errno;
    umask(mask);
    if (!bound || lstat(path, &st) || listen(a->socket.fd, 64))
        return err_set(err, "admin.socket: %s: %s", path, strerror(bound ? errno : why));
    a->path = strdup(path);
    a->device = st.st_dev;
    a->inode = st.st_ino;
    loop_add(&a->edge->loop, &a->socket);
    return true;
}

static bool http_open(struct admin *a, const union address *at, struct err *err) {
    char text[ADDRESS_TEXT_MAX];
    int one = 1;
    a->http.fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->http.fd >= 0)
        setsockopt(a->http.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    address_print(at, text);
    if (a->http.fd < 0 || bind(a->http.fd, &at->any, address_length(at)) || listen(a->http.fd, 64))
        return err_set(err, "admin.listen: %s: %s", text, strerror(errno));
    loop_add(&a->edge->loop, &a->http);
    return true;
}

bool admin_open(struct edge *e, struct err *err) {
    struct admin *a = e->admin = calloc(1, sizeof *a);
    if (!a)
        return err_set(err, "out of memory");
    *a = (struct admin){.edge = e,
                        .socket = {.fd = -1, .events = POLLIN, .ready = socket_ready},
                        .http = {.fd = -1, .events = POLLIN, .ready = http_ready},
                        .timer = {.due_ns = 1, .fire = patience_check}};
    loop_add_timer(&e->loop, &a->timer);
    return socket_open(a, e->conf->admin.socket, err) &&
           (!e->conf->admin_http.count || http_open(a, &e->conf->admin_http.item[0], err));
}

static bool group_give(struct admin *a, const char *name, struct err *err) {
    const struct conf_place *at = &a->edge->conf->group_at;
    const struct group *g = getgrnam(name);
    a->has_group = g;
    a->group = g ? g->gr_gid : 0;
    if (g && !lchown(a->path, (uid_t)-1, g->gr_gid) && !chmod(a->path, 0660))
        return true;
    return err_set(err, "%s:%u:%u: admin.socket can't be given to group %s: %s",
                   a->edge->conf->path, at->line, at->column, name,
                   g ? strerror(errno) : "no such group");
}

bool admin_give(struct edge *e, const struct user *to, struct err *err) {
    struct admin *a = e->admin;
    char *folder = a->made ? path_beside(a->path, ".") : NULL;
    if (to->uid != geteuid())
        user_give(to, a->path);
    if (folder && to->uid != geteuid() && lchown(folder, to->uid, to->gid))
        log_write(1, "%s stays as it is: %s", folder, strerror(errno));
    free(folder);
    return !e->conf->admin.group || group_give(a, e->conf->admin.group, err);
}

/* Only the file that is ours: another edge may have put its own there since. Who became another user may have no right to its folder. */
static void socket_remove(const struct admin *a) {
    struct stat st;
    if (a->path && !lstat(a->path, &st) && st.st_dev == a->device && st.st_ino == a->inode &&
        unlink(a->path))
        log_write(2, "admin.socket: %s is left behind, the next start removes it: %s", a->path,
                  strerror(errno));
}

static void door_close(struct admin *a, struct loop_source *door) {
    loop_remove(&a->edge->loop, door);
    if (door->fd >= 0)
        close(door->fd);
    door->fd = -1;
}

static void admin_shut(struct edge *e) {
    struct admin *a = e->admin;
    if (!a)
        return;
    socket_remove(a);
    free(a->path);
    a->path = NULL;
    door_close(a, &a->socket);
}

/* In a loop of their own: nothing else is to happen any more. */
void admin_drain(struct edge *e) {
    struct admin *a = e->admin;
    admin_shut(e);
    struct loop old = e->loop;
    e->loop = (struct loop){0};
    loop_fini(&old);
    if (a->http.fd >= 0)
        loop_add(&e->loop, &a->http);
    loop_add_timer(&e->loop, &a->timer);
    for (struct client *c = a->first; c; c = c->next)
        loop_add(&e->loop, &c->source);
}

void admin_serve(struct edge *e, int64_t ms) {
    loop_turn(&e->loop, ms * 1000000);
}

void admin_close(struct edge *e) {
    struct admin *a = e->admin;
    admin_shut(e);
    if (a)
        door_close(a, &a->http);
    for (struct client *c = a ? a->first : NULL, *next; c; c = next) {
        next = c->next;
        client_close(c);
    }
    free(a);
    e->admin = NULL;
}
