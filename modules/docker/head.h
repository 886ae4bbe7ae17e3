/* SPDX-License-Identifier: GPL-3.0-or-later
 * head.h - the head of a request to the proxy. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct head {
    char method[24], target[4096], agent[64]; /* User-Agent, its begin */
    size_t length;                            /* of all of it, with the empty line */
    bool has_body, upgrade, keeps;
};
enum head_state {
    HEAD_MORE, /* it has not ended yet */
    HEAD_GOOD,
    HEAD_BAD
};
/* What begins at `data`; *ret for HEAD_GOOD only. */
enum head_state head_read(const char *data, size_t length, struct head *ret);
