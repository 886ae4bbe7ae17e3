/* SPDX-License-Identifier: GPL-3.0-or-later
 * tabs.h - columns as kubectl sets them: a cell ends at a tab, a column is as wide as its widest
 * cell in consecutive lines
 * that have it, plus two.
 */
#pragma once

/* malloc'd. The last cell of a line (after its last tab) has no column. */
char *tabs_expand(const char *text);
