/* SPDX-License-Identifier: GPL-3.0-or-later
 * command.h - what was typed, and who does it.
 */
#pragma once
#include <stdbool.h>

enum { EXIT_GOOD = 0, EXIT_BAD_NEWS = 1, EXIT_USAGE = 2, EXIT_NO_EDGE = 3 };
enum output { OUTPUT_TEXT, OUTPUT_WIDE, OUTPUT_JSON };
enum { WORDS_MAX = 256 };

struct args {
    const char *conf;   /* NULL: not given */
    const char *socket; /* the same */
    const char *tenant; /* the same */
    const char *ttl;    /* the same */
    enum output output;
    bool all;                    /* --all */
    const char *word[WORDS_MAX]; /* without the command itself */
    int words;
};

int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each returns the exit code. */
int command_run(const struct args *);
int command_check(const struct args *);
int command_version(const struct args *);
int command_get(const struct args *);
int command_describe(const struct args *);
int command_explain(const struct args *);
int command_domain(const struct args *);
int command_kubeconfig(const struct args *);
int command_token(const struct args *);
int command_port(const struct args *);
int command_reload(const struct args *);
int command_drain(const struct args *);
int command_docker_proxy(const struct args *);
