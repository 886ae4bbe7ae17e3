/* SPDX-License-Identifier: GPL-3.0-or-later
 * store_folder.h - a folder of its own for each test of the state store.
 */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static inline int folder_make(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ringress-store-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int folder_remove(void **state) {
    static const char *const file[] = {"ringress.db", "ringress.db-wal", "ringress.db-shm"};
    char path[128];
    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, file[i]);
        unlink(path);
    }
    return rmdir(folder);
}
