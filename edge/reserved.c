/* SPDX-License-Identifier: GPL-3.0-or-later
 * reserved.c - see reserved.h.
 */
#include "edge/reserved.h"
#include "edge/file.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIST_MOST = 1 << 18 }; /* each second number by itself is less */

/* The next of "1,5-9"; *at moves on. */
static bool next_range(const char **at, unsigned *low, unsigned *high) {
    int length = 0;
    if (sscanf(*at, " %u%n", low, &length) != 1)
        return false;
    *at += length;
    *high = *low;
    if (sscanf(*at, "-%u%n", high, &length) == 1)
        *at += length;
    *at += **at == ',';
    return true;
}

unsigned reserved_lacks(unsigned low, unsigned high, const char *range, const char *reserved) {
    unsigned first, last, from, to, lacks = 0;
    if (sscanf(range, "%u %u", &first, &last) != 2)
        return 0;
    first = first > low ? first : low;
    last = last < high ? last : high;
    if (first > last)
        return 0;
    lacks = last - first + 1;
    while (next_range(&reserved, &from, &to)) { /* sorted, and none twice */
        from = from > first ? from : first;
        to = to < last ? to : last;
        lacks -= from <= to ? to - from + 1 : 0;
    }
    return lacks;
}

static char *setting_read(const char *path) {
    struct err unused;
    size_t length;
    return file_read(path, LIST_MOST, &length, &unused);
}

unsigned reserved_lacks_here(unsigned low, unsigned high) {
    char *range = setting_read("/proc/sys/net/ipv4/ip_local_port_range");
    char *reserved = setting_read("/proc/sys/net/ipv4/ip_local_reserved_ports");
    unsigned lacks = range && reserved ? reserved_lacks(low, high, range, reserved) : 0;
    free(range);
    free(reserved);
    return lacks;
}
