/* SPDX-License-Identifier: GPL-3.0-or-later
 * accept.h - in which form a client wants an answer, by its Accept header. Pure.
 */
#pragma once

enum form {
    FORM_JSON,
    FORM_TABLE,             /* application/json;as=Table;g=meta.k8s.io;v=v1 */
    FORM_PARTIAL,           /* ...;as=PartialObjectMetadata or PartialObjectMetadataList */
    FORM_DISCOVERY,         /* ...;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList */
    FORM_DISCOVERY_V2BETA1, /* the same, of older clients */
    FORM_NONE,              /* nothing of what is asked for: 406 */
};
/* The first of the list that there is; "" is anything. */
enum form accept_choose(const char *accept);
