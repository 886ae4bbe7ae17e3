/* SPDX-License-Identifier: GPL-3.0-or-later
 * http.c - libcurl, as an authority may be spoken to: https only, its certificate verified, no redirects followed (what is signed is
 * signed for one URL), answers of at most a megabyte, no exchange longer than the time-out or than the edge runs.
 */
#include "modules/acme/http.h"
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct http {
    CURL *curl;
    struct curl_slist *post_headers;
    bool (*stop)(void);
    char error[CURL_ERROR_SIZE];
};

static int stopping(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a, (void)b, (void)c, (void)d;
    return ((struct http *)user)->stop();
}

static size_t body_take(char *data, size_t size, size_t count, void *user) {
    struct http_answer *a = user;
    size_t more = size * count;
    char *body = a->length + more > ANSWER_MOST ? NULL : realloc(a->body, a->length + more + 1);
    if (!body)
        return 0; /* ends the exchange */
    memcpy(body + a->length, data, more);
    a->length += more;
    body[a->length] = 0;
    a->body = body;
    return more;
}

struct http *http_new(const char *ca_file, int64_t timeout_ms, bool (*stop)(void)) {
    struct http *h = calloc(1, sizeof *h);
    if (!h || !(h->curl = curl_easy_init())) {
        free(h);
        return NULL;
    }
    h->stop = stop;
    h->post_headers = curl_slist_append(NULL, "Content-Type: application/jose+json");
    curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(h->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ca_file)
        curl_easy_setopt(h->curl, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms / 2 + 1);
    curl_easy_setopt(h->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h->curl, CURLOPT_XFERINFOFUNCTION, stopping);
    curl_easy_setopt(h->curl, CURLOPT_XFERINFODATA, h);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->error);
    curl_easy_setopt(h->curl, CURLOPT_USERAGENT, "ringress/" RINGRESS_VERSION);
    return h;
}

void http_free(struct http *h) {
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    curl_slist_free_all(h->post_headers);
    free(h);
}

static void header_copy(struct http *h, const char *name, char *out, size_t room) {
    struct curl_header *found;
    *out = 0;
    if (!curl_easy_header(h->curl, name, 0, CURLH_HEADER, -1, &found) &&
        strlen(found->value) < room)
        snprintf(out, room, "%s", found->value);
}

/* RFC 9110 section 10.2.3: seconds, or a date. */
static int64_t retry_after(struct http *h) {
    char text[64], *end;
    header_copy(h, "Retry-After", text, sizeof text);
    if (!*text)
        return 0;
    long long seconds = strtoll(text, &end, 10);
    if (*end) {
        time_t at = curl_getdate(text, NULL);
        seconds = at < 0 ? 0 : (long long)at - (long long)time(NULL);
    }
    return seconds < 0 ? 0 : seconds > 30 * 86400 ? 30 * 86400 : seconds;
}

static void method_set(struct http *h, const char *method, const char *body) {
    curl_easy_setopt(h->curl, CURLOPT_NOBODY, (long)!strcmp(method, "HEAD"));
    if (body) {
        curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->post_headers);
    } else {
        if (strcmp(method, "HEAD"))
            curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
    }
}

bool http_exchange(struct http *h, const char *method, const char *url, const char *body,
                   struct http_answer *a, struct err *err) {
    *a = (struct http_answer){.body = calloc(1, 1)};
    *h->error = 0;
    method_set(h, method, body);
    curl_easy_setopt(h->curl, CURLOPT_URL, url);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, a);
    CURLcode code = a->body ? curl_easy_perform(h->curl) : CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK)
        return err_set(err, "%s: %s", url, *h->error ? h->error : curl_easy_strerror(code));
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &a->status);
    header_copy(h, "Replay-Nonce", a->nonce, sizeof a->nonce);
    header_copy(h, "Location", a->location, sizeof a->location);
    header_copy(h, "Content-Type", a->type, sizeof a->type);
    a->retry_after = retry_after(h);
    return true;
}

void http_answer_fini(struct http_answer *a) {
    free(a->body);
    *a = (struct http_answer){0};
}
