/* SPDX-License-Identifier: GPL-3.0-or-later */
/* replay.c - runs a fuzz target over every file of its corpus, without libFuzzer.
 *
 *   fuzz_NAME CORPUS...     each a file or a folder; a folder that is not there is an empty corpus
 *
 * Linked into each tests/fuzz/NAME.c in all presets but `fuzz`, so that what fuzzing once found is
 * checked by every test run, by gcc as well. Each input gets a heap block of exactly its size, which
 * lets AddressSanitizer see the first byte too far.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;

static void die(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void replay_file(const char *path, size_t size) {
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(size != 0 ? size : 1);
    if (f == NULL || data == NULL || fread(data, 1, size, f) != size)
        die(path);
    LLVMFuzzerTestOneInput(data, size);
    inputs++;
    free(data);
    fclose(f);
}

static void replay(const char *path) {
    struct dirent **names;
    struct stat st;
    int n;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT)
            return;
        die(path);
    }
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
        return;
    }
    n = scandir(path, &names, NULL, alphasort); /* sorted: a failure is the same one every time */
    if (n < 0)
        die(path);
    for (int i = 0; i < n; i++) {
        char child[4096];
        if (names[i]->d_name[0] != '.') {
            snprintf(child, sizeof child, "%s/%s", path, names[i]->d_name);
            replay(child);
        }
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u inputs replayed\n", inputs);
    return 0;
}
