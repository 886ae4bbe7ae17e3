/* SPDX-License-Identifier: GPL-3.0-or-later
 * answer.c - the edge's own answers: short text, no hint to strangers about what exists here. Pure.
 */
#include "modules/http/answer.h"
#include "tenants/compiled.h"
#include <stdio.h>
#include <string.h>

const char *answer_reason(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 308:
        return "Permanent Redirect";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 417:
        return "Expectation Failed";
    case 421:
        return "Misdirected Request";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return status < 500 ? "Client Error" : "Server Error";
    }
}

static int put(char *out, size_t room, int at, const char *name, const char *value, size_t length) {
    if (at < 0 || (size_t)at >= room)
        return -1;
    return at + snprintf(out + at, room - (size_t)at, "%s: %.*s\r\n", name, (int)length, value);
}

const struct error_page *answer_page(const struct policy *policy, int status) {
    const struct error_page *page = status == 502   ? &policy->page[ERROR_PAGE_502]
                                    : status == 503 ? &policy->page[ERROR_PAGE_503]
                                    : status == 504 ? &policy->page[ERROR_PAGE_504]
                                                    : NULL;
    return page && page->text ? page : NULL;
}

size_t answer_write(const struct answer *a, char *out, size_t room) {
    char body[64], number[16], date[40];
    const char *type = a->page ? a->page->type : "text/plain";
    struct tm tm;
    size_t body_length = a->page ? a->page->length
                                 : (size_t)snprintf(body, sizeof body, "%d %s\n", a->status,
                                                    answer_reason(a->status));
    int at = snprintf(out, room, "HTTP/1.1 %d %s\r\n", a->status, answer_reason(a->status));
    gmtime_r(&a->date, &tm);
    at = put(out, room, at, "Date", date,
             strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm));
    at = put(out, room, at, "Content-Type", type, strlen(type));
    at = put(out, room, at, "Content-Length", number,
             (size_t)snprintf(number, sizeof number, "%zu", body_length));
    if (a->location)
        at = put(out, room, at, "Location", a->location, a->location_length);
    if (a->retry_after)
        at = put(out, room, at, "Retry-After", number,
                 (size_t)snprintf(number, sizeof number, "%d", a->retry_after));
    if (a->status == 405)
        at = put(out, room, at, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 44);
    if (a->close)
        at = put(out, room, at, "Connection", "close", 5);
    else if (a->http_1_0)
        at = put(out, room, at, "Connection", "keep-alive", 10);
    if (at < 0 || (size_t)at + 2 + sizeof body >= room)
        return 0;
    at += snprintf(out + at, room - (size_t)at, "\r\n%s", a->head_only || a->page ? "" : body);
    return (size_t)at;
}
