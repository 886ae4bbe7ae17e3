/* SPDX-License-Identifier: GPL-3.0-or-later
 * glut.h - tenants that hold many of a worker's buffers, so that the others always have some.
 *
 *   more than HEAD_ROOM times what is left    MUCH: its queues are full with 8 KiB, its receives bring one buffer
 *   more than MOST_ROOM times that, and       ALL: any queue with something in it is full, no new request is taken, and the
 *   more than a MOST_PART of all                   longest-full give way, a few each turn
 *
 * So one tenant alone stops at 4/5, and at 8/9 whatever it does. On the worker's thread.
 */
#pragma once
#include "core/full.h"

struct account;

enum glut_degree { GLUT_NONE, GLUT_MUCH, GLUT_ALL };
enum glut_degree glut_degree(const struct worker *, const struct account *payer);
/* With little of `bytes` in a queue of this payer's, is it full? */
bool glut_is_full(const struct worker *, const struct account *payer, size_t bytes);
/* At the end of a turn: who holds too much gives way, and when there are none left, somebody. */
void gluts_turn(struct worker *);
