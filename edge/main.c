/* SPDX-License-Identifier: GPL-3.0-or-later
 * main.c - the table of contents: which word does what. The life of the server is in run.c.
 *
 *   run       run.c -> conf.c (edge.yaml), control.c (conf.d to what is served), listeners.c, admin.c, loop.c
 *   check     check.c: the same files, read and judged
 *   version   version.c
 *   docker-proxy  modular.c -> the module's own command
 *   the rest  commands.c -> client.c -> the admin socket -> requests.c of the running edge -> views.c, explain.c
 */
#include "edge/command.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(const struct args *);
    const char *words, *does;
} commands[] = {
    {"run", command_run, "[-c edge.yaml]", "serve, in the foreground"},
    {"check", command_check, "[-c edge.yaml] [TENANT...]", "validate everything, touch nothing"},
    {"get", command_get, "KIND [-n TENANT] [-o json|wide]",
     "tenants, routes, domains, ports, backends, certificates, modules, events"},
    {"describe", command_describe, "KIND NAME [-n TENANT]", "an ingress, tenant, port or domain"},
    {"explain", command_explain, "URL", "who answers this URL and why, or why nobody does"},
    {"domain", command_domain, "recheck [NAME] [-n TENANT]",
     "look at a name's DNS again, now; without NAME, at all of the tenant's"},
    {"port", command_port, "open|shut SERVICE[:PORT] -n TENANT",
     "the operator's hand on raw ports; PORT is the container's"},
    {"kubeconfig", command_kubeconfig, "TENANT [--ttl DURATION]",
     "a kubeconfig with a fresh token for that tenant, to stdout"},
    {"token", command_token, "list|revoke [ID] -n TENANT", "who may ask the Kubernetes API"},
    {"reload", command_reload, "", "read conf.d again, now"},
    {"drain", command_drain, "", "stop accepting, finish what is running, exit"},
    {"docker-proxy", command_docker_proxy, "SOCKET [ENGINE] [-n TENANT]",
     "a Docker API that may be looked at, with public ports; --all: all of it"},
    {"version", command_version, "", "of this program, its libraries and what the kernel gives"},
    {NULL, NULL, NULL, NULL},
};

static const char *const not_yet[] = {"upgrade", NULL};

static void usage_print(FILE *out) {
    fputs("usage: ringress COMMAND\n\n", out);
    for (const struct command *c = commands; c->name; c++)
        fprintf(out, "  %-12s %-32s %s\n", c->name, c->words, c->does);
    fputs("\n  -c FILE       edge.yaml, /etc/ringress/edge.yaml without it\n"
          "  --socket PATH where the edge listens for commands, instead of what edge.yaml says\n"
          "  -n TENANT     only this tenant's\n"
          "  -o json|wide  JSON for programs, or more columns\n"
          "  --all         let everything through docker-proxy, not only what reads\n"
          "  --ttl TIME    how long a kubeconfig's token is good, like 12h or 30d\n"
          "\nexit: 0 good, 1 bad news, 2 usage, 3 no edge is running there\n",
          out);
}

int usage_error(const char *format, ...) {
    va_list args;
    fputs("ringress: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; ringress --help shows the commands\n", stderr);
    return EXIT_USAGE;
}

static bool output_parse(const char *text, enum output *ret) {
    if (!strcmp(text, "json"))
        *ret = OUTPUT_JSON;
    else if (!strcmp(text, "wide"))
        *ret = OUTPUT_WIDE;
    else
        return false;
    return true;
}

static int option_take(struct args *args, int option) {
    switch (option) {
    case 'c':
        args->conf = optarg;
        return EXIT_GOOD;
    case 's':
        args->socket = optarg;
        return EXIT_GOOD;
    case 'n':
        args->tenant = optarg;
        return EXIT_GOOD;
    case 'a':
        args->all = true;
        return EXIT_GOOD;
    case 't':
        args->ttl = optarg;
        return EXIT_GOOD;
    case 'o':
        return output_parse(optarg, &args->output) ? EXIT_GOOD : usage_error("-o is json or wide");
    case ':':
        return usage_error("an option lacks its value");
    default:
        return usage_error("there is no such option");
    }
}

/* Options may stand before or after the words. -1: go on; else the code to end with. */
static int args_parse(struct args *args, int argc, char **argv) {
    static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
                                          {"conf", required_argument, NULL, 'c'},
                                          {"tenant", required_argument, NULL, 'n'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"ttl", required_argument, NULL, 't'},
                                          {"all", no_argument, NULL, 'a'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'v'},
                                          {NULL, 0, NULL, 0}};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":c:n:o:h", longs, NULL)) != -1;) {
        if (option == 'h') {
            usage_print(stdout);
            return EXIT_GOOD;
        }
        if (option == 'v')
            return command_version(args);
        int code = option_take(args, option);
        if (code)
            return code;
    }
    if (argc - optind > WORDS_MAX)
        return usage_error("more than %d words", WORDS_MAX);
    for (; optind < argc; optind++)
        args->word[args->words++] = argv[optind];
    return -1;
}

static int command_run_named(struct args *args) {
    const char *name = args->word[0];
    memmove(args->word, args->word + 1, (size_t)--args->words * sizeof *args->word);
    for (const struct command *c = commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c->run(args);
    for (int i = 0; not_yet[i]; i++)
        if (!strcmp(not_yet[i], name)) {
            fprintf(stderr, "ringress: this build has no `%s` yet\n", name);
            return EXIT_BAD_NEWS;
        }
    return usage_error("there is no command `%s`", name);
}

int main(int argc, char **argv) {
    static struct args args;
    int code = args_parse(&args, argc, argv);
    if (code >= 0)
        return code;
    if (!args.words) {
        usage_print(stderr);
        return EXIT_USAGE;
    }
    code = command_run_named(&args);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "ringress: cannot write what was asked for: %s\n", strerror(errno));
        return code ? code : EXIT_BAD_NEWS;
    }
    return code;
}
