/* SPDX-License-Identifier: GPL-3.0-or-later
 * version.c - what this build is, what it stands on, and what the running kernel gives it.
 */
#include "core/module.h"
#include "core/ring.h"
#include "edge/command.h"
#include "edge/print.h"
#include <jansson.h>
#include <liburing/io_uring_version.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unbound.h>
#include <wolfssl/options.h>
#include <wolfssl/version.h>
#include <yaml.h>

#define TEXT_OF(x) #x
#define NUMBER_TEXT(x) TEXT_OF(x)

static json_t *libraries(void) {
    return json_pack("{s:s s:s s:s s:s s:s s:s}", "wolfSSL", LIBWOLFSSL_VERSION_STRING, "liburing",
                     NUMBER_TEXT(IO_URING_VERSION_MAJOR) "." NUMBER_TEXT(IO_URING_VERSION_MINOR),
                     "libyaml", yaml_get_version_string(), "jansson", jansson_version_str(),
                     "SQLite", sqlite3_libversion(), "unbound", ub_version());
}

/* A small ring, made and given back. */
static json_t *kernel(void) {
    struct ring_conf conf = {.entries = 8, .buffer_count = 8, .buffer_size = BUF_SIZE};
    struct utsname name;
    struct ring *ring;
    struct err err;
    json_t *k = json_object();
    uname(&name);
    json_object_set_new(k, "release", json_string(name.release));
    bool good = ring_new(&conf, &ring, &err);
    json_object_set_new(k, "io_uring", json_boolean(good));
    if (!good) {
        json_object_set_new(k, "cause", json_string(err.text));
        return k;
    }
    unsigned f = ring_features(ring);
    json_object_set_new(k, "receiveBundles", json_boolean(f & RING_BUNDLE));
    json_object_set_new(k, "gatheringWaits", json_boolean(f & RING_MIN_WAIT));
    ring_free(ring);
    return k;
}

static void object_print(const char *title, json_t *object) {
    const char *key;
    json_t *value;
    printf("%s\n", title);
    json_object_foreach(object, key, value) {
        const char *text = json_is_string(value) ? json_string_value(value)
                           : json_is_true(value) ? "yes"
                                                 : "no";
        printf("  %-16s %s\n", key, text);
    }
}

int command_version(const struct args *args) {
    if (args->words)
        return usage_error("version takes no further words");
    json_t *version = json_pack("{s:s s:i s:o s:o}", "version", RINGRESS_VERSION, "moduleABI",
                                (int)RINGRESS_ABI, "kernel", kernel(), "libraries", libraries());
    if (args->output == OUTPUT_JSON) {
        print_json(version);
    } else {
        printf("ringress %s\nmodule ABI %u\n", RINGRESS_VERSION, RINGRESS_ABI);
        object_print("kernel", json_object_get(version, "kernel"));
        object_print("libraries", json_object_get(version, "libraries"));
    }
    json_decref(version);
    return EXIT_GOOD;
}
