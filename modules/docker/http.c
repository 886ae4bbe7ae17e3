/* SPDX-License-Identifier: GPL-3.0-or-later
 * http.c - see http.h. No redirects, no proxy of the environment, nothing but the socket; answers and lines are bounded, no answer may
 * take longer than REPLY_MS. libcurl reads heads and chunks.
 */
#include "modules/docker/http.h"
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

struct line {
    const char *socket;
    const atomic_bool *stop;
    CURL *curl;
    CURLM *multi; /* of the stream of events; it also wakes whoever waits */
};

struct events {
    struct line *line;
    CURL *curl;
    struct lines lines;
    bool read; /* by this wait, something */
    char error[CURL_ERROR_SIZE];
};

static int stopping(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a, (void)b, (void)c, (void)d;
    return *((struct line *)user)->stop;
}

static CURL *handle_new(struct line *l) {
    CURL *curl = curl_easy_init();
    if (!curl)
        return NULL;
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, l->socket);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stopping);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, l);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)REPLY_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "ringress/" RINGRESS_VERSION);
    return curl;
}

static void url_set(CURL *curl, const char *path) {
    char url[4200];
    snprintf(url, sizeof url, "http://engine%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
}

struct line *line_new(const char *socket, const atomic_bool *stop) {
    struct line *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    *l = (struct line){.socket = socket, .stop = stop};
    l->curl = handle_new(l);
    l->multi = curl_multi_init();
    if (l->curl && l->multi)
        return l;
    line_free(l);
    return NULL;
}

void line_free(struct line *l) {
    if (!l)
        return;
    curl_easy_cleanup(l->curl);
    curl_multi_cleanup(l->multi);
    free(l);
}

void line_rest(struct line *l, int64_t ms) {
    curl_multi_poll(l->multi, NULL, 0, (int)ms, NULL);
}

void line_wake(struct line *l) {
    curl_multi_wakeup(l->multi);
}

/* libcurl speaks of a host and port 80, which there is none of. */
static bool blame(CURL *curl, CURLcode code, const char *what, const char *text, struct err *err) {
    long os = 0;
    if (code == CURLE_COULDNT_CONNECT && !curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os) && os)
        return err_set(err, "no connection: %s", strerror((int)os));
    return err_set(err, "%s%s", what, *text ? text : curl_easy_strerror(code));
}

/* ---- one answer ---- */

struct taking {
    struct reply *reply;
    size_t most;
};

static size_t body_take(char *data, size_t size, size_t count, void *user) {
    struct taking *t = user;
    struct reply *r = t->reply;
    size_t more = size * count;
    char *body = r->length + more > t->most ? NULL : realloc(r->body, r->length + more + 1);
    if (!body)
        return 0; /* ends the exchange */
    memcpy(body + r->length, data, more);
    r->length += more;
    body[r->length] = 0;
    r->body = body;
    return more;
}

static bool is_plain(const char *text, size_t room) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] > '~')
            return false;
    return length && length < room;
}

static void head_take(struct line *l, struct reply *r) {
    static const char *const names[] = {"Api-Version", "Docker-Experimental", "Ostype",
                                        "Server",      "Builder-Version",     "Libpod-Api-Version"};
    const char *type = NULL;
    struct curl_header *found;
    size_t at = 0;
    curl_easy_getinfo(l->curl, CURLINFO_RESPONSE_CODE, &r->status);
    if (!curl_easy_getinfo(l->curl, CURLINFO_CONTENT_TYPE, &type) && type &&
        is_plain(type, sizeof r->type))
        memcpy(r->type, type, strlen(type) + 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!curl_easy_header(l->curl, names[i], 0, CURLH_HEADER, -1, &found) &&
            is_plain(found->value, 80))
            at += (size_t)snprintf(r->passed + at, sizeof r->passed - at, "%s: %s\r\n", names[i],
                                   found->value);
}

bool line_ask(struct line *l, bool head, const char *path, size_t most, struct reply *r,
              struct err *err) {
    char why[CURL_ERROR_SIZE] = "";
    *r = (struct reply){.body = calloc(1, 1)};
    struct taking taking = {r, most};
    url_set(l->curl, path);
    curl_easy_setopt(l->curl, head ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(l->curl, CURLOPT_TIMEOUT_MS, (long)REPLY_MS);
    curl_easy_setopt(l->curl, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(l->curl, CURLOPT_WRITEDATA, &taking);
    curl_easy_setopt(l->curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = r->body ? curl_easy_perform(l->curl) : CURLE_OUT_OF_MEMORY;
    curl_easy_setopt(l->curl, CURLOPT_ERRORBUFFER, NULL);
    if (code == CURLE_WRITE_ERROR)
        return err_set(err, "its answer to %s is longer than %zu bytes", path, most);
    if (code != CURLE_OK)
        return blame(l->curl, code, "", why, err);
    head_take(l, r);
    return true;
}

void reply_fini(struct reply *r) {
    free(r->body);
    *r = (struct reply){0};
}

/* ---- the stream ---- */

static size_t stream_take(char *data, size_t size, size_t count, void *user) {
    struct events *e = user;
    e->read = true;
    lines_feed(&e->lines, data, size * count);
    return size * count;
}

struct events *events_open(struct line *l, const char *path, const struct events_taker *taker) {
    struct events *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->line = l;
    e->curl = handle_new(l);
    if (!lines_init(&e->lines, taker) || !e->curl) {
        events_close(e);
        return NULL;
    }
    url_set(e->curl, path);
    curl_easy_setopt(e->curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(e->curl, CURLOPT_WRITEFUNCTION, stream_take);
    curl_easy_setopt(e->curl, CURLOPT_WRITEDATA, e);
    curl_easy_setopt(e->curl, CURLOPT_ERRORBUFFER, e->error);
    curl_multi_add_handle(l->multi, e->curl);
    return e;
}

void events_close(struct events *e) {
    if (e->curl) {
        curl_multi_remove_handle(e->line->multi, e->curl);
        curl_easy_cleanup(e->curl);
    }
    lines_fini(&e->lines);
    free(e);
}

bool events_wait(struct events *e, int64_t ms, struct err *err) {
    int running, left;
    e->read = false;
    curl_multi_perform(e->line->multi, &running);
    if (running && ms > 0 && !e->read) { /* what was there may be all there is to come */
        curl_multi_poll(e->line->multi, NULL, 0, (int)(ms < 60000 ? ms : 60000), NULL);
        curl_multi_perform(e->line->multi, &running);
    }
    const CURLMsg *message = curl_multi_info_read(e->line->multi, &left);
    if (running && !message)
        return true;
    if (!message || message->data.result == CURLE_OK)
        return err_set(err, "it has ended its events");
    return blame(e->curl, message->data.result, "its events ended: ", e->error, err);
}

bool events_flow(const struct events *e) {
    long status = 0;
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200;
}
