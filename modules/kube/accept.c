/* SPDX-License-Identifier: GPL-3.0-or-later
 * accept.c - see accept.h. Weights (q=) are not looked at: clients of this API send their list in the order they like.
 */
#include "modules/kube/accept.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct media { /* one of the list */
    char type[64], as[64], group[64], version[32];
};

static char *trimmed(char *text) {
    while (isspace((unsigned char)*text))
        text++;
    size_t n = strlen(text);
    while (n && isspace((unsigned char)text[n - 1]))
        text[--n] = 0;
    return text;
}

static void media_read(char *text, struct media *m) {
    char *rest = text, *part = strsep(&rest, ";");
    *m = (struct media){.type = ""};
    snprintf(m->type, sizeof m->type, "%s", trimmed(part));
    while ((part = strsep(&rest, ";"))) {
        char *value = strchr(part, '=');
        if (!value)
            continue;
        *value++ = 0;
        part = trimmed(part);
        value = trimmed(value);
        if (!strcmp(part, "as"))
            snprintf(m->as, sizeof m->as, "%s", value);
        else if (!strcmp(part, "g"))
            snprintf(m->group, sizeof m->group, "%s", value);
        else if (!strcmp(part, "v"))
            snprintf(m->version, sizeof m->version, "%s", value);
    }
}

static enum form media_form(const struct media *m) {
    bool json = !strcasecmp(m->type, "application/json"),
         any = !strcmp(m->type, "*/*") || !strcmp(m->type, "application/*");
    bool meta = !strcmp(m->group, "meta.k8s.io") && !strcmp(m->version, "v1");
    if (any || (json && !*m->as))
        return FORM_JSON;
    if (!json)
        return FORM_NONE;
    if (!strcmp(m->as, "Table") && meta)
        return FORM_TABLE;
    if (!strncmp(m->as, "PartialObjectMetadata", 21) && meta)
        return FORM_PARTIAL;
    if (strcmp(m->as, "APIGroupDiscoveryList") || strcmp(m->group, "apidiscovery.k8s.io"))
        return FORM_NONE;
    return !strcmp(m->version, "v2")        ? FORM_DISCOVERY
           : !strcmp(m->version, "v2beta1") ? FORM_DISCOVERY_V2BETA1
                                            : FORM_NONE;
}

enum form accept_choose(const char *accept) {
    char text[1024], *rest = text, *part;
    struct media media;
    if (!accept[strspn(accept, " \t,")]) /* a list of nothing asks for nothing */
        return FORM_JSON;
    snprintf(text, sizeof text, "%s", accept);
    while ((part = strsep(&rest, ","))) {
        if (!*trimmed(part))
            continue;
        media_read(part, &media);
        enum form form = media_form(&media);
        if (form != FORM_NONE)
            return form;
    }
    return FORM_NONE;
}
