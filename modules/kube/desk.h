/* SPDX-License-Identifier: GPL-3.0-or-later
 * desk.h - what the API's thread asks of the control thread, and what that tells by itself. Nobody waits: an answer comes back as
 * a list, with server_wake.
 *
 *   API's thread: desk_ask(job) --control_post--> control thread: job->run --done list--> API's thread: desk_take
 *   control thread: a followed tenant is published --touched--> API's thread
 */
#pragma once
#include <stdbool.h>

struct job { /* first in what is asked; malloc'd, owned by whoever has it in hand */
    struct job *next;
    void (*run)(struct job *);  /* on the control thread */
    void (*done)(struct job *); /* on the API's thread; frees it */
    void (*lost)(struct job *); /* the edge ends: frees it, on any thread */
};

void desk_open(void);
/* Control thread, when the API's thread has ended: what is still under way is lost. */
void desk_close(void);

/* ---- the API's thread ---- */
void desk_ask(struct job *);
/* Calls `done` of what was answered, `touched` for each followed tenant that was published anew or is gone. */
void desk_take(void (*touched)(const char *tenant));
/* False: no memory. */
bool desk_follow(const char *tenant);
void desk_unfollow(const char *tenant);

/* ---- any thread ---- */
/* Has been run elsewhere. */
void desk_answer(struct job *);

/* ---- control thread ---- */
void desk_touch(const char *tenant);
