/* SPDX-License-Identifier: MIT
 * rest.h - what a module goes on with in its tenant's next turn (conn_rest of module.h): kept for it until then.
 */
#pragma once

struct conn;

/* It closes, or is another's now. */
void rest_forget(struct conn *);
