/* SPDX-License-Identifier: MIT
 * handshake.h - TLS handshakes with clients, the dearest thing a stranger can ask for: whose is begun first.
 *
 *   ClientHello, its tenant known -> is there room in his line? -> [one tenant alone, a young turn] begun at once
 *                                      no: refused, before          '-> [he had another just now] a lull (lull.h)
 *                                      any cryptography                 -> line of his tenant -> his turn (turn.h) -> begun
 *                                                                                                   or too late: refused
 *
 * Each worker has a line for each tenant, and one for handshakes that are nobody's (an authority's challenges). What a handshake took
 * is measured, so one that resumes a session counts for the little it is. A name that nobody has is answered without cryptography.
 */
#pragma once
#include <stdbool.h>

struct conn;
struct version;

enum {
    HANDSHAKES_MOST = 4096,   /* in one line; as many as may wait to be accepted */
    HANDSHAKE_WAIT_MS = 3000, /* later nobody is there any more who would be glad of it */
};

enum handshake_answer {
    HANDSHAKE_BEGIN,
    HANDSHAKE_WAIT,   /* in line; its module is asked again when it is its turn */
    HANDSHAKE_REFUSE, /* the line is full; counted */
};
/* Before anything is made for it, of a connection that is charged to the tenant; or to nobody, before one is known. `name`: that was asked
 * for, copied. */
enum handshake_answer conn_may_handshake(struct conn *, const char *name);
/* It closes, or is for something else now. */
void handshake_forget(struct conn *);
/* The name it is in line for; NULL: it is in no line. */
const char *handshake_name(const struct conn *);
