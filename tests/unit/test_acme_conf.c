/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_acme_conf.c - the page about certificates says what the rows of the section are.
 * link: modules/acme/conf.c modules/acme/secrets.c
 */
#include "core/control_host.h"
#include "modules/acme/conf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char *control_path(const char *as_written) {
    return strdup(as_written);
}

static char *page_read(void) {
    const char *source = getenv("RINGRESS_SOURCE");
    char path[4096], *text = calloc(1, 1 << 20);
    snprintf(path, sizeof path, "%s/docs/acme.md", source ? source : ".");
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
    fclose(in);
    return text;
}

static void rows_are_documented(const char *page, const char *above, const struct conf_field *f) {
    for (; f->name; f++) {
        char name[128], line[256];
        snprintf(name, sizeof name, "%s.%s", above, f->name);
        if (f->fallback)
            snprintf(line, sizeof line, "\n| `%s` | `%s` |", name, f->fallback);
        else
            snprintf(line, sizeof line, "\n| `%s` |%s", name, f->required ? " required |" : " |");
        if (!strstr(page, line))
            fail_msg("docs/acme.md lacks: %s", line + 1);
        if (f->fields)
            rows_are_documented(page, name, f->fields);
    }
}

static void every_row_is_on_the_page(void **state) {
    (void)state;
    char *page = page_read();
    rows_are_documented(page, "acme", acme_fields);
    free(page);
}

static void the_nearest_zone_holds_a_name(void **state) {
    (void)state;
    struct acme_zone zone[] = {{.zone = (char *)"1d.pt"}, {.zone = (char *)"dev.1d.pt"}};
    struct acme_conf c = {.dns_update = {2, zone}};
    assert_ptr_equal(conf_zone_of(&c, "1d.pt"), &zone[0]);
    assert_ptr_equal(conf_zone_of(&c, "a.b.1d.pt"), &zone[0]);
    assert_ptr_equal(conf_zone_of(&c, "x.DEV.1d.pt"), &zone[1]);
    assert_null(conf_zone_of(&c, "x1d.pt"));
    assert_null(conf_zone_of(&c, "pt"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_on_the_page),
        cmocka_unit_test(the_nearest_zone_holds_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
