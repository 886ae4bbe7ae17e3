/* SPDX-License-Identifier: GPL-3.0-or-later
 * words.h - the API server's checks of single words (names, labels, ports, hosts), with its sentences. Pure.
 *
 * Each returns what is wrong, static text; NULL: nothing.
 */
#pragma once
#include <jansson.h>

/* An object's name: RFC 1123, and `_` as well, which this edge allows. */
const char *word_name(const char *text);
const char *word_host(const char *text);     /* RFC 1123 subdomain, as in rules */
const char *word_wildcard(const char *text); /* *.example.com */
const char *word_label_key(const char *text);
const char *word_label_value(const char *text);
const char *word_data_key(const char *text);  /* of a Secret or ConfigMap */
const char *word_label(const char *text);     /* RFC 1123 label, as ports of Services are called */
const char *word_port_name(const char *text); /* of a Pod's port, and where one is named */
const char *word_port_number(json_int_t);
