/* SPDX-License-Identifier: GPL-3.0-or-later
 * h2_front.h - a client's connection that speaks HTTP/2.
 */
#pragma once
#include "modules/http/http.h"

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* RFC 9113 section 3.4 */

/* Takes the connection's stream over; `preface` of its bytes have been read already and were right. False: the connection is gone. */
bool h2_front_start(struct http_conn *, size_t preface);
/* The host has closed the connection. */
void h2_front_gone(struct h2_front *);
void h2_front_drain(struct h2_front *);
/* WebSockets of this account's tenant whose pod is not in what is left of it are cut. */
/* A few of its streams that are joined to pods and may not be any more are reset. True: there may be more. */
bool h2_front_withdraw(struct h2_front *, const struct account *, struct version *now);
