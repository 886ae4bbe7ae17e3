/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_docker.c - what an engine says, and what becomes of it. Replies of podman 4.3 as they were recorded (tests/unit/docker/), those
 * of Docker written after its API's reference.
 * link: modules/docker/conf.c modules/docker/wire.c modules/docker/fleet.c modules/docker/path.c modules/docker/shown.c
 */
#include "core/control_host.h"
#include "modules/docker/fleet.h"
#include "modules/docker/path.h"
#include "modules/docker/shown.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char *control_path(const char *as_written) {
    return strdup(as_written);
}

static json_t *recorded(const char *name) {
    const char *source = getenv("RINGRESS_SOURCE");
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/unit/docker/%s.json", source ? source : ".", name);
    json_t *json = json_load_file(path, 0, NULL);
    if (!json)
        fail_msg("%s can't be read", path);
    return json;
}

static char socket_name[] = "/run/docker.sock", acme_name[] = "acme";
static const struct docker_engine acmes = {.socket = socket_name, .tenant = acme_name};
static struct conf_pair homes[] = {{(char[]){"acme-net"}, (char[]){"acme"}},
                                   {(char[]){"globex-net"}, (char[]){"globex"}},
                                   {(char[]){"host"}, (char[]){"acme"}}};
static const struct docker_engine shared = {.socket = socket_name, .networks = {3, homes}};

/* ---- reading ---- */

static struct container inspected(struct stash *stash, const char *name) {
    struct container c;
    json_t *json = recorded(name);
    assert_true(container_read(stash, json, &c));
    json_decref(json);
    return c;
}

static void a_compose_service_of_docker_is_read(void **state) {
    (void)state;
    struct stash *stash = stash_new();
    struct container c = inspected(stash, "docker_inspect_compose");
    assert_true(c.runs);
    assert_null(c.not_ready);
    assert_string_equal(c.name, "shop-web-1");
    assert_string_equal(c.group, "shop/web");
    assert_string_equal(c.image, "nginx");
    assert_int_equal(c.created, 1795162500); /* as its row in the list has it */
    assert_int_equal(c.started, 1795162501);
    assert_int_equal(c.label_count, 1);
    assert_string_equal(c.label[0].value, "https://nginx.*");
    assert_int_equal(c.network_count, 2);
    assert_string_equal(c.network[0].name, "acme-net");
    assert_string_equal(c.network[0].address[0], "10.11.0.4");
    assert_string_equal(c.network[0].address[1], "2001:db8:11::4");
    stash_free(stash);
}

static void a_task_of_a_stack_that_is_starting_is_read(void **state) {
    (void)state;
    struct stash *stash = stash_new();
    struct container c = inspected(stash, "docker_inspect_stack");
    assert_true(c.runs);
    assert_non_null(strstr(c.not_ready, "health check"));
    assert_string_equal(c.group, "mystack_nginx");
    stash_free(stash);
}

/* `deploy.labels` of a stack, `--label` of `docker service create`. */
static void labels_of_a_service_are_each_of_its_containers(void **state) {
    (void)state;
    struct stash *stash = stash_new();
    struct container c;
    struct listed listed, before;
    json_t *services = json_object(), *rows = recorded("docker_services"), *row;
    json_t *task = recorded("docker_inspect_stack"), *list = recorded("docker_list");
    size_t i;
    json_array_foreach(rows, i, row) {
        service_read(row, services);
    }
    assert_int_equal(json_object_size(services), 2);
    assert_string_equal(container_service(task), "s9k2");
    service_labels_add(task, services);
    assert_true(container_read(stash, task, &c));
    assert_int_equal(c.label_count, 2); /* one of its own, which goes before the service's */
    for (i = 0; i < 2; i++)
        assert_string_equal(c.label[i].value,
                            strcmp(c.label[i].key, "kr.ingress.80") ? "tcp://" : "https://nginx.*");
    row = json_array_get(list, 0);
    json_object_set_new(row, "Labels", json_pack("{s:s}", "com.docker.swarm.service.id", "s9k2"));
    assert_true(listed_read(row, &before));
    assert_false(before.labelled);
    service_labels_add(row, services);
    assert_true(listed_read(row, &listed));
    assert_true(listed.labelled && listed.digest != before.digest);
    json_decref(list);
    json_decref(task);
    json_decref(rows);
    json_decref(services);
    stash_free(stash);
}

static void times_are_read_in_whatever_zone_and_never_is_none(void **state) {
    static const struct {
        const char *text;
        int64_t is;
    } cases[] = {{"2026-11-20T08:15:00Z", 1795162500},
                 {"2026-11-20T08:15:00.123456789Z", 1795162500},
                 {"2026-11-20T10:15:00.1+02:00", 1795162500},
                 {"2026-11-20T05:45:00-02:30", 1795162500},
                 {"0001-01-01T00:00:00Z", 0},
                 {"2026-11-20T08:15:00", 0},
                 {"yesterday", 0},
                 {"", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stash *stash = stash_new();
        json_t *json = recorded("docker_inspect_compose");
        struct container c;
        json_object_set_new(json, "Created", json_string(cases[i].text));
        assert_true(container_read(stash, json, &c));
        if (c.created != cases[i].is)
            fail_msg("%s: %lld", cases[i].text, (long long)c.created);
        json_decref(json);
        stash_free(stash);
    }
}

static void a_container_of_podman_is_read(void **state) {
    (void)state;
    struct stash *stash = stash_new();
    struct container c = inspected(stash, "podman_inspect");
    struct listed listed;
    json_t *rows = recorded("podman_list");
    assert_true(c.runs && c.host && !c.not_ready);
    assert_string_equal(c.name, "web-1");
    assert_int_equal(c.network_count, 0);
    assert_true(listed_read(json_array_get(rows, 0), &listed));
    assert_true(listed.labelled);
    assert_string_equal(listed.id, c.id);
    json_decref(rows);
    stash_free(stash);
}

static void time_passing_is_no_news_and_health_is(void **state) {
    (void)state;
    json_t *rows = recorded("docker_list"), *row = json_array_get(rows, 0);
    struct listed first, second;
    assert_true(listed_read(row, &first));
    json_object_set_new(row, "Status", json_string("Up 3 hours (healthy)"));
    assert_true(listed_read(row, &second));
    assert_int_equal(first.digest, second.digest);
    json_object_set_new(row, "Status", json_string("Up 3 hours (unhealthy)"));
    assert_true(listed_read(row, &second));
    assert_int_not_equal(first.digest, second.digest);
    json_decref(rows);
}

static void events_tell_whom_to_look_at(void **state) {
    (void)state;
#define ID "aaaaaaaaaaaabbbbbbbbbbbbccccccccccccdddddddddddd0123456789abcdef"
    static const struct {
        const char *line;
        enum happened happened;
    } story[] = {
        {"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID "\"}}",
         HAPPENED_CONTAINER},
        {"{\"Type\":\"container\",\"Action\":\"health_status: healthy\",\"Actor\":{\"ID\":\"" ID
         "\"}}",
         HAPPENED_CONTAINER},
        {"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"n\",\"Attributes\":{"
         "\"container\":\"" ID "\"}}}",
         HAPPENED_CONTAINER},
        {"{\"Type\":\"network\",\"Action\":\"disconnect\",\"Actor\":{\"ID\":\"" ID /* podman */
         "\",\"Attributes\":{\"containerExitCode\":\"0\",\"name\":\"web\"}}}",
         HAPPENED_CONTAINER},
        {"{\"Type\":\"container\",\"Action\":\"exec_create: sh\",\"Actor\":{\"ID\":\"" ID "\"}}",
         HAPPENED_NOTHING},
        {"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"../../x\"}}",
         HAPPENED_NOTHING},
        {"{\"Type\":\"image\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID "\"}}",
         HAPPENED_NOTHING},
        {"{\"Type\":\"service\",\"Action\":\"update\",\"Actor\":{\"ID\":\"s9k2\"}}",
         HAPPENED_SERVICE},
        {"{\"Type\":7,\"Actor\":[]}", HAPPENED_NOTHING},
        {"[]", HAPPENED_GARBAGE},
        {"{\"Type\":", HAPPENED_GARBAGE},
        {"", HAPPENED_GARBAGE},
    };
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        char id[ID_ROOM] = "";
        assert_int_equal(event_read(story[i].line, strlen(story[i].line), id), story[i].happened);
        assert_true(!*id == (story[i].happened != HAPPENED_CONTAINER));
    }
}

static void json_that_would_grow_is_refused_unread(void **state) {
    (void)state;
    size_t length = 2 * VALUES_MOST + 8;
    char *text = malloc(length);
    for (size_t i = 0; i < length; i++)
        text[i] = i % 2 ? ',' : i ? '0' : '[';
    text[length - 1] = ']';
    assert_null(json_bounded(text, length));
    assert_null(json_bounded("[[[[[[[[", 8));
    free(text);
}

static void names_that_are_none_become_ids(void **state) {
    (void)state;
    struct stash *stash = stash_new();
    struct container c;
    json_t *json = recorded("docker_inspect_compose");
    json_object_set_new(json, "Name", json_string("/\x1b[2Jweb"));
    json_object_set_new(json_object_get(json_object_get(json, "Config"), "Labels"),
                        "com.docker.compose.service", json_string("we/b"));
    assert_true(container_read(stash, json, &c));
    assert_int_equal(strlen(c.name), 12);
    assert_string_equal(c.group, c.name);
    json_decref(json);
    stash_free(stash);
}

/* ---- whose ---- */

static const struct fed *fed_of(struct news *n, const char *name) {
    for (size_t i = 0; i < n->count; i++)
        if (!strcmp(n->fed[i].name, name))
            return &n->fed[i];
    return NULL;
}

static void a_containers_tenant_and_address_are_those_of_the_network(void **state) {
    (void)state;
    struct fleet fleet = {.conf = &shared};
    struct stash *stash = stash_new();
    struct container c = inspected(stash, "docker_inspect_compose");
    assert_true(fleet_put(&fleet, stash, &c));
    stash = stash_new();
    c = inspected(stash, "podman_inspect");
    assert_true(fleet_put(&fleet, stash, &c));

    struct news *acme = fleet_news(&fleet, "acme", NULL),
                *globex = fleet_news(&fleet, "globex", NULL);
    assert_int_equal(acme->count, 2);
    assert_int_equal(globex->count, 0);
    const struct fed *web = fed_of(acme, "shop-web-1"), *host = fed_of(acme, "web-1");
    assert_int_equal(web->address_count, 2); /* not the one on the network that is nobody's */
    assert_string_equal(web->address[0], "10.11.0.4");
    assert_string_equal(host->address[0], "127.0.0.1");
    stash_free(acme->stash);
    stash_free(globex->stash);

    acme = fleet_news(&fleet, "acme", "its engine is gone");
    assert_string_equal(fed_of(acme, "web-1")->not_ready, "its engine is gone");
    stash_free(acme->stash);
    fleet_fini(&fleet);
}

static void on_networks_of_two_tenants_it_is_nobodys(void **state) {
    (void)state;
    struct fleet fleet = {.conf = &shared};
    struct stash *stash = stash_new();
    struct container c = inspected(stash, "docker_inspect_compose");
    c.network[1].name = "globex-net";
    assert_true(fleet_put(&fleet, stash, &c));
    for (int i = 0; i < 2; i++) {
        struct news *n = fleet_news(&fleet, i ? "acme" : "globex", NULL);
        assert_int_equal(n->count, 0);
        assert_int_equal(n->event_count, 1);
        assert_string_equal(n->event[0].reason, "SeveralTenants");
        stash_free(n->stash);
    }
    fleet_fini(&fleet);
}

static void a_fleet_has_an_end(void **state) {
    (void)state;
    struct fleet fleet = {.conf = &acmes};
    struct container c = {.name = "x", .group = "x"};
    for (int i = 0; i <= CONTAINERS_MOST; i++) {
        snprintf(c.id, sizeof c.id, "%064x", i);
        assert_int_equal(fleet_put(&fleet, stash_new(), &c), i < CONTAINERS_MOST);
    }
    snprintf(c.id, sizeof c.id, "%064x", 7);
    assert_true(fleet_put(&fleet, stash_new(), &c)); /* one that is known may change */
    fleet_fini(&fleet);
}

/* ---- the section ---- */

static void a_section_needs_one_of_tenant_and_networks(void **state) {
    (void)state;
    struct err err;
    struct docker_engine e[] = {{.socket = strdup("/a"), .tenant = acmes.tenant},
                                {.socket = strdup("/a"), .tenant = acmes.tenant}};
    struct conf_list list = {1, e};
    assert_true(docker_conf_check(&list, &err));
    list.count = 2;
    assert_false(docker_conf_check(&list, &err));
    assert_non_null(strstr(err.text, "twice"));
    list.count = 1;
    e[0].networks = (struct conf_list){3, homes};
    assert_false(docker_conf_check(&list, &err));
    e[0].tenant = NULL;
    assert_true(docker_conf_check(&list, &err));
    assert_string_equal(engine_tenant(e, 0), "acme");
    assert_string_equal(engine_tenant(e, 1), "globex");
    assert_null(engine_tenant(e, 2));
    e[0].networks.count = 0;
    assert_false(docker_conf_check(&list, &err));
    free(e[0].socket);
    free(e[1].socket);
}

static void rows_of_the_section_are_documented(void **state) {
    (void)state;
    const char *source = getenv("RINGRESS_SOURCE");
    char path[4096], *page = calloc(1, 1 << 20);
    snprintf(path, sizeof path, "%s/docs/docker.md", source ? source : ".");
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(page, 1, (1 << 20) - 1, in) > 0);
    fclose(in);
    for (const struct conf_field *f = docker_fields; f->name; f++) {
        char row[256], fallback[64] = "";
        if (f->fallback)
            snprintf(fallback, sizeof fallback, "`%s` ", f->fallback);
        snprintf(row, sizeof row, "| `docker.%s` | %s| %s |", f->name,
                 f->required ? "required " : fallback, f->doc);
        if (!strstr(page, row))
            fail_msg("docs/docker.md lacks: %s", row);
    }
    free(page);
}

/* ---- the proxy: what may be asked ---- */

static void only_what_is_on_the_list_is_a_question(void **state) {
    (void)state;
    static const struct {
        const char *method, *target;
        enum question question;
    } story[] = {
        {"HEAD", "/_ping", QUESTION_PING},
        {"GET", "/v1.41/_ping", QUESTION_PING},
        {"GET", "/version", QUESTION_VERSION},
        {"GET", "/v1.45/info", QUESTION_INFO},
        {"GET", "/containers/json", QUESTION_LIST},
        {"GET", "/v1.41/containers/json?filters=%7B%22label%22%3A%7B%22a%22%3Atrue%7D%7D",
         QUESTION_LIST},
        {"GET", "/v1.41/containers/web_1.x-y/json?size=1", QUESTION_INSPECT},
        {"GET", "/events?since=1", QUESTION_EVENTS},
        {"POST", "/containers/json", QUESTION_OTHER},
        {"HEAD", "/containers/json", QUESTION_OTHER},
        {"DELETE", "/containers/x/json", QUESTION_OTHER},
        {"GET", "/containers/x/archive?path=/etc", QUESTION_OTHER},
        {"GET", "/containers/x/json/", QUESTION_OTHER},
        {"GET", "/containers/../containers/json", QUESTION_OTHER},
        {"GET", "/containers/../json", QUESTION_OTHER},
        {"GET", "/containers/./json", QUESTION_OTHER},
        {"GET", "/containers//json", QUESTION_OTHER},
        {"GET", "//containers/json", QUESTION_OTHER},
        {"GET", "/containers/x%2farchive/json", QUESTION_OTHER},
        {"GET", "/containers/x%2F..%2F..%2Fimages/json", QUESTION_OTHER},
        {"GET", "/%2e%2e/version", QUESTION_OTHER},
        {"GET", "/v1.41/v1.41/version", QUESTION_OTHER},
        {"GET", "/v1.41.2/version", QUESTION_OTHER},
        {"GET", "/v1/version", QUESTION_OTHER},
        {"GET", "/v1.41/../images/json", QUESTION_OTHER},
        {"GET", "/v1.41", QUESTION_OTHER},
        {"GET", "/containers\\json", QUESTION_OTHER},
        {"GET", "/containers/json#x", QUESTION_OTHER},
        {"GET", "/containers/json?a=\"", QUESTION_OTHER},
        {"GET", "/containers/x;y/json", QUESTION_OTHER},
        {"GET", "http://engine/containers/json", QUESTION_OTHER},
        {"GET", "*", QUESTION_OTHER},
        {"GET", "", QUESTION_OTHER},
        {"GET", "/images/json", QUESTION_OTHER},
        {"GET", "/containers/x/logs", QUESTION_OTHER},
        {"GET", "/Containers/json", QUESTION_OTHER},
    };
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        struct asked_path asked;
        if (path_read(story[i].method, story[i].target, &asked) != story[i].question)
            fail_msg("%s %s", story[i].method, story[i].target);
        if (asked.question)
            assert_string_equal(asked.ask, story[i].target);
    }
}

static void a_limit_is_not_for_the_engine_who_counts_what_is_others(void **state) {
    static const struct {
        const char *query, *asked;
        size_t most;
    } story[] = {
        {"", "", 0},
        {"?all=1&size=1", "?all=1&size=1", 0},
        {"?limit=3", "?all=1", 3},
        {"?size=1&limit=3&all=0", "?all=1&size=1&all=0", 3},
        {"?l%69mit=3", "?all=1", 3},
        {"?limit=%33", "?all=1", 3},
        {"?limit=3&limit=5", "?all=1", 3},
        {"?limit=0&all=1", "?all=1", 0},
        {"?limit=-1", "?", 0},
        {"?limit=", "?", 0},
        {"?limit", "?", 0},
        {"?limits=3", "?limits=3", 0},
    };
    static const char *const bad[] = {"?limit=x", "?limit=3x", "?limit=9999999999",
                                      "?all=1;limit=1", "?limit=-"};
    struct asked_path asked;
    char target[100];
    (void)state;
    for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
        snprintf(target, sizeof target, "/containers/json%s", story[i].query);
        assert_int_equal(path_read("GET", target, &asked), QUESTION_LIST);
        assert_true(path_limit_take(&asked));
        assert_string_equal(asked.ask + strlen("/containers/json"), story[i].asked);
        assert_int_equal(asked.most, story[i].most);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(target, sizeof target, "/containers/json%s", bad[i]);
        assert_int_equal(path_read("GET", target, &asked), QUESTION_LIST);
        if (path_limit_take(&asked))
            fail_msg("%s", bad[i]);
    }
}

static void of_a_limited_list_the_newest_are_shown(void **state) {
    json_t *rows =
        json_pack("[{s:s s:i} {s:s s:i} {s:s s:i} {s:s s:i}]", "Id", "a", "Created", 30, "Id", "b",
                  "Created", 40, "Id", "c", "Created", 20, "Id", "d", "Created", 30);
    const struct docker_engine all = {.tenant = (char[]){"acme"}};
    const struct shown s = {.engine = &all, .most = 2};
    (void)state;
    json_t *list = shown_list(&s, rows);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "Id")), "a");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "Id")), "b");
    json_decref(list);
    json_decref(rows);
}

/* ---- the proxy: what is shown ---- */

static void a_list_shows_the_tenants_own_with_their_public_ports(void **state) {
    (void)state;
    json_t *rows = recorded("docker_list");
    json_t *ports =
        json_pack("[{s:s s:s s:i s:i} {s:s s:s s:i s:n}]", "tenant", "acme", "service",
                  "blithesome_paper", "containerPort", 3306, "publicPort", 28791, "tenant", "acme",
                  "service", "shop/web", "containerPort", 80, "publicPort");
    json_t *tenants = json_pack("[{s:s s:s}]", "tenant", "acme", "domain", "96jpgtx8.1d.pt");
    const struct shown acme = {&shared, "acme", ports, tenants, false, 0},
                       globex = {&shared, "globex", ports, tenants, false, 0},
                       all = {&shared, NULL, ports, tenants, false, 0};
    json_t *list = shown_list(&acme, rows);
    assert_int_equal(json_array_size(list), 2);
    json_t *port = json_array_get(json_object_get(json_array_get(list, 1), "Ports"), 0);
    assert_string_equal(json_text(port, "IP"), "96jpgtx8.1d.pt");
    assert_int_equal(json_integer_value(json_object_get(port, "PublicPort")), 28791);
    assert_int_equal(json_integer_value(json_object_get(port, "PrivatePort")), 3306);
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 1), "Ports")), 1);
    json_decref(list);
    list = shown_list(&globex, rows);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    list = shown_list(&all, rows);
    assert_int_equal(json_array_size(list), json_array_size(rows));
    json_decref(list);
    assert_null(shown_list(&all, json_array_get(ports, 0)));
    assert_true(shown_by_address("Docker-Client/29.0.1 (linux)"));
    assert_true(shown_by_address("moby-client/0.1.0"));
    assert_false(shown_by_address("Docker-Client/28.2.2 (linux)"));
    assert_false(shown_by_address(""));
    assert_true(shown_plain("ringress/1.0.0"));
    assert_false(shown_plain("Docker-Client/29.0.1 (linux)"));
    assert_false(shown_plain(""));
    json_decref(rows);
    json_decref(ports);
    json_decref(tenants);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compose_service_of_docker_is_read),
        cmocka_unit_test(a_task_of_a_stack_that_is_starting_is_read),
        cmocka_unit_test(a_container_of_podman_is_read),
        cmocka_unit_test(times_are_read_in_whatever_zone_and_never_is_none),
        cmocka_unit_test(time_passing_is_no_news_and_health_is),
        cmocka_unit_test(labels_of_a_service_are_each_of_its_containers),
        cmocka_unit_test(events_tell_whom_to_look_at),
        cmocka_unit_test(json_that_would_grow_is_refused_unread),
        cmocka_unit_test(names_that_are_none_become_ids),
        cmocka_unit_test(a_containers_tenant_and_address_are_those_of_the_network),
        cmocka_unit_test(on_networks_of_two_tenants_it_is_nobodys),
        cmocka_unit_test(a_fleet_has_an_end),
        cmocka_unit_test(a_section_needs_one_of_tenant_and_networks),
        cmocka_unit_test(rows_of_the_section_are_documented),
        cmocka_unit_test(only_what_is_on_the_list_is_a_question),
        cmocka_unit_test(a_limit_is_not_for_the_engine_who_counts_what_is_others),
        cmocka_unit_test(of_a_limited_list_the_newest_are_shown),
        cmocka_unit_test(a_list_shows_the_tenants_own_with_their_public_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
