/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_claims_many.c - thousands of claims of one name, and of one tenant: what each of them costs does not grow with the others.
 *
 * No time is asserted. What went through all other claims for each claim of each drop took minutes for these numbers, which ends
 * the test by its time limit; now it is a second or two under a sanitizer.
 */
#include "tests/unit/small_edge.h"

enum { CROWD = 3000, MANY = 2000, IN_ONE_FILE = 1000, FILES = 1 + MANY / IN_ONE_FILE };

#define GRANT \
    "apiVersion: ringress/v1\nkind: Tenant\nmetadata: {name: %s}\nspec:\n  domain: %s.1d.pt\n"
#define BINDS                                                                                \
    "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i%d}\nspec:\n  " \
    "tls:\n  - hosts:\n"

/* ---- a folder of many files ---- */

struct folder {
    struct source file[FILES];
    char name[FILES][16], *text[FILES];
    size_t length[FILES], count;
};

static FILE *file_open(struct folder *f) {
    size_t i = f->count++;
    snprintf(f->name[i], sizeof f->name[i], i ? "f%zu.yaml" : "tenant.yaml", i);
    return open_memstream(&f->text[i], &f->length[i]);
}

static void file_close(struct folder *f, FILE *out) {
    size_t i = f->count - 1;
    fclose(out);
    f->file[i] = (struct source){f->name[i], f->name[i], f->text[i], f->length[i]};
}

static bool folder_put(struct edge *edge, const struct folder *f, int64_t now) {
    struct drop drop = {"acme", true, (struct source *)f->file, f->count};
    struct change change;
    bool good = registry_put(edge->registry, &drop, now, &edge->diags, &change);
    change_take(edge, &change);
    return good;
}

static void folder_fini(struct folder *f) {
    for (size_t i = 0; i < f->count; i++)
        free(f->text[i]);
}

static void names_list(FILE *out, int from, int to) {
    for (int i = from; i < to; i++)
        fprintf(out, "    - n%d.example.com\n", i);
}

static void names_bind(struct folder *f) {
    for (int at = 0; at < MANY; at += IN_ONE_FILE) {
        FILE *out = file_open(f);
        fprintf(out, BINDS, at);
        names_list(out, at, at + IN_ONE_FILE);
        file_close(f, out);
    }
}

static size_t rows_with(struct edge *edge, const char *prefix, const char *text) {
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(edge->rows, key, value) count +=
        !strncmp(key, prefix, strlen(prefix)) && strstr(json_string_value(value), text);
    return count;
}

/* ---- stories ---- */

static void all_of_a_tenants_vouched_names_are_its_however_many(void **state) {
    struct edge edge;
    struct folder f = {0};
    (void)state;
    edge_begin(&edge);
    FILE *out = file_open(&f);
    fprintf(out, GRANT "  domains:\n", "acme", "acme");
    names_list(out, 0, MANY);
    file_close(&f, out);
    names_bind(&f);
    for (int i = 0; i < 3; i++)
        assert_true(folder_put(&edge, &f, 1000 + i));
    assert_int_equal(rows_with(&edge, "name/n", "acme"), MANY);
    assert_int_equal(rows_with(&edge, "claim/", ""), 0); /* nothing to prove */
    edge_restart(&edge);
    assert_true(folder_put(&edge, &f, 2000));
    assert_string_equal(domain_state(&edge, "acme", "n1234.example.com"), "verified");
    drop_gone(&edge, "acme", 3000);
    assert_int_equal(rows_with(&edge, "name/n", ""), 0);
    folder_fini(&f);
    edge_end(&edge);
}

static void a_tenant_may_wait_for_thousands_of_names(void **state) {
    struct edge edge;
    struct folder f = {0};
    (void)state;
    edge_begin(&edge);
    FILE *out = file_open(&f);
    fprintf(out, GRANT, "acme", "acme");
    file_close(&f, out);
    names_bind(&f);
    for (int i = 0; i < 3; i++)
        assert_true(folder_put(&edge, &f, 1000 + i));
    assert_int_equal(rows_with(&edge, "claim/", "pending"), MANY);
    edge_restart(&edge);
    assert_true(folder_put(&edge, &f, 2000));
    assert_int_equal(rows_with(&edge, "claim/", "pending"), MANY);
    drop_gone(&edge, "acme", 3000);
    assert_int_equal(rows_with(&edge, "claim/", ""), 0);
    folder_fini(&f);
    edge_end(&edge);
}

static void crowd_drop(struct edge *edge, int tenant, int64_t now) {
    char name[16], *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    snprintf(name, sizeof name, "t%d", tenant);
    fprintf(out, GRANT BINDS "    - web.example.com\n", name, name, 0);
    fclose(out);
    struct source source = {"t.yaml", "t.yaml", text, length};
    struct drop drop = {name, false, &source, 1};
    struct change change;
    assert_true(registry_put(edge->registry, &drop, now, &edge->diags, &change));
    for (size_t i = 0; i < change.row_count; i++)
        row_keep(edge, change.row[i].key, change.row[i].value);
    change_fini(&change); /* there is not room for so many tenants in `live` */
    free(text);
}

static void a_crowd_may_wait_for_one_name_and_one_of_it_gets_it(void **state) {
    enum { WINNER = CROWD / 2 };
    static struct dns_seen seen;
    struct edge edge;
    struct name_check check;
    struct change change;
    int64_t next;
    (void)state;
    edge_begin(&edge);
    for (int i = 0; i < CROWD; i++)
        crowd_drop(&edge, i, 1000);
    assert_int_equal(rows_with(&edge, "claim/", "pending"), CROWD);
    seen.chain = (struct dns_chain){.answer = DNS_DATA, .count = 1};
    snprintf(seen.chain.hop[0], sizeof seen.chain.hop[0], "t%d.1d.pt", WINNER);
    for (size_t looks = 0; !json_object_get(edge.rows, "name/web.example.com"); looks++) {
        assert_true(looks < CROWD);
        assert_int_equal(registry_due(edge.registry, 1001, &check, 1, &next), 1);
        registry_seen(edge.registry, &check, &seen, 1001, &change);
        for (size_t i = 0; i < change.row_count; i++)
            row_keep(&edge, change.row[i].key, change.row[i].value);
        change_fini(&change);
    }
    char holder[32];
    snprintf(holder, sizeof holder, "\"t%d\"", WINNER);
    assert_int_equal(rows_with(&edge, "name/web.example.com", holder), 1);
    assert_int_equal(rows_with(&edge, "claim/", "verified"), 1);
    assert_int_equal(registry_due(edge.registry, 1002, &check, 1, &next),
                     0); /* nobody is looked at for a name that is held */
    edge_end(&edge);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_a_tenants_vouched_names_are_its_however_many),
        cmocka_unit_test(a_tenant_may_wait_for_thousands_of_names),
        cmocka_unit_test(a_crowd_may_wait_for_one_name_and_one_of_it_gets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
