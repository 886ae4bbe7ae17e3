/* SPDX-License-Identifier: GPL-3.0-or-later
 * labels.c - any "key=value" as a label: it parses to a port, a host and a path that hold what
 * they promise, or says why not.
 */
#include "tenants/labels.h"
#include "tenants/hostname.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void label_hold(const struct label *label) {
    if (!label->port || !label->path || label->path[0] != '/')
        abort();
    if ((label->scheme == LABEL_TCP) != (label->host == NULL))
        abort();
    if (!label->host)
        return;
    struct stash *stash = stash_new();
    const char *why, *again = hostname_normalise(stash, label->host, true, &why);
    if (!again || strcmp(again, label->host) || strlen(label->host) > HOSTNAME_MAX)
        abort();
    hostname_refusal(label->host);
    stash_free(stash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct stash *stash = stash_new();
    char *text = stash_slice(stash, (const char *)data, size);
    char *equals = strchr(text, '=');
    const char *at = equals ? equals + 1 : "", *piece, *why;
    size_t length;
    if (equals)
        *equals = 0;
    while (label_is_ours(text) && label_next(&at, &piece, &length)) {
        struct label label;
        why = NULL;
        if (label_parse(stash, text, piece, length, "123123.1d.pt", &label, &why))
            label_hold(&label);
        else if (!why)
            abort();
        if (label_parse(stash, text, piece, length, NULL, &label, &why))
            label_hold(&label);
    }
    stash_free(stash);
    return 0;
}
