/* SPDX-License-Identifier: GPL-3.0-or-later
 * answers.h - what orders had shown before the edge ended, shown again before its listeners open.
 */
#pragma once

/* From the rows of all orders: http-01 and tls-alpn-01; a TXT is still where it was. Control thread, bank open. */
void answers_show_again(void);
