/* SPDX-License-Identifier: GPL-3.0-or-later
 * answers.h - what orders show to authorities, as their rows tell it: shown again before the listeners open, forgotten when an order is
 * dropped and its thread can't do it any more. Control thread.
 */
#pragma once
#include <stdbool.h>

/* From the rows of all orders: http-01 and tls-alpn-01; a TXT is still where it was. Bank open. */
void answers_show_again(void);
/* Of the order with this row (NULL: none). `keeps` (NULL: nobody): does somebody else prove this name? For acme-tls/1 the name is all
 * there is, a token is nobody else's. A TXT is handed to leftovers.c. */
void answers_forget(const char *row, bool (*keeps)(const void *, const char *name),
                    const void *user);
/* Does this order show anything? */
bool answers_any(const char *row);
