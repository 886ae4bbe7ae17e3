/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_proof.c - what DNS proves, row by row of docs/domains.md; and how a standing moves with it and with time.
 */
#include "tenants/network.h"
#include "tenants/standing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOKEN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const char *const zones[] = {"1d.pt"};
static union address edge[2];
static struct proof_rules rules = {.domain = "t.1d.pt",
                                   .token = TOKEN,
                                   .zone = zones,
                                   .zone_count = 1,
                                   .edge = edge,
                                   .edge_count = 2};
static struct dns_seen seen; /* of the test that runs */
static struct name_check check;
static struct proof_facts facts;

/* Nothing is there, and that is sure. */
static int clear(void **state) {
    (void)state;
    seen = (struct dns_seen){.chain = {.answer = DNS_NONE},
                             .a = {.answer = DNS_NONE},
                             .aaaa = {.answer = DNS_NONE},
                             .challenge = {.answer = DNS_NONE, .alias = {.answer = DNS_NONE}},
                             .probe = {{.answer = DNS_NONE}, {.answer = DNS_NONE}}};
    check = (struct name_check){.name = "web.example.com"};
    address_parse("203.0.113.7", 443, &edge[0]);
    address_parse("2001:db8::7", 443, &edge[1]);
    return 0;
}

static void hop(struct dns_chain *chain, const char *to) {
    chain->answer = DNS_DATA;
    snprintf(chain->hop[chain->count++], sizeof chain->hop[0], "%s", to);
}

static void address(struct dns_addresses *list, const char *text) {
    list->answer = DNS_DATA;
    assert_true(address_parse(text, 0, &list->address[list->count++]));
}

static void txt(const char *text) {
    seen.challenge.answer = DNS_DATA;
    struct dns_text *t = &seen.challenge.text[seen.challenge.count++];
    t->length = strlen(text);
    memcpy(t->data, text, t->length);
}

static enum fact judged(bool txt_only) {
    proof_read(&check, &seen, &rules, &facts);
    return proof_judge(&facts, check.wildcard, txt_only);
}

static void proves(void) {
    assert_int_equal(judged(false), FACT_YES);
}
static void proves_nothing(const char *because) {
    assert_int_equal(judged(false), FACT_NO);
    if (!strstr(facts.seen, because))
        fail_msg("said `%s`, not `%s`", facts.seen, because);
}

/* ---- by CNAME ---- */

static void a_chain_through_the_tenants_domain_proves_owner_and_route(void **state) {
    (void)state;
    hop(&seen.chain, "cdn.example.net");
    hop(&seen.chain, "web.t.1d.pt");
    proves();
    assert_int_equal(judged(true), FACT_NO); /* but not where only a TXT counts */
}

static void what_lies_behind_the_link_that_proves_does_no_harm(void **state) {
    (void)state;
    hop(&seen.chain, "t.1d.pt");
    seen.chain.answer = DNS_UNKNOWN;
    seen.a.answer = seen.aaaa.answer = seen.challenge.answer = DNS_UNKNOWN;
    proves();
}

static void a_shared_name_or_another_tenants_domain_proves_nothing(void **state) {
    (void)state;
    hop(&seen.chain, "edge.1d.pt");
    proves_nothing("web.example.com is a CNAME of edge.1d.pt");
    clear(NULL);
    hop(&seen.chain, "u.1d.pt");
    proves_nothing("CNAME of u.1d.pt");
    clear(NULL);
    hop(&seen.chain, "nott.1d.pt");
    proves_nothing("CNAME of nott.1d.pt");
}

static void circles_and_long_chains_prove_nothing(void **state) {
    (void)state;
    hop(&seen.chain, "a.example.com");
    hop(&seen.chain, "web.example.com");
    seen.chain.loop = true;
    proves_nothing("in a circle");
    clear(NULL);
    hop(&seen.chain, "t.1d.pt"); /* also one that passes through the right domain */
    hop(&seen.chain, "web.example.com");
    seen.chain.loop = true;
    proves_nothing("in a circle");
    clear(NULL);
    for (int i = 0; i < DNS_HOPS_MAX; i++)
        hop(&seen.chain, "x.example.com");
    seen.chain.too_long = true;
    proves_nothing("more than 10 CNAMEs");
}

/* ---- by TXT and addresses ---- */

static void txt_and_addresses_prove_together_only(void **state) {
    (void)state;
    txt(TOKEN);
    proves_nothing("has no address");
    address(&seen.a, "203.0.113.7");
    proves();
    address(&seen.aaaa, "2001:db8::7");
    proves();
    assert_int_equal(judged(true), FACT_YES);
    seen.challenge.count = 0;
    seen.challenge.answer = DNS_NONE;
    assert_int_equal(judged(false), FACT_NO);
}

static void one_foreign_address_is_a_failure(void **state) {
    (void)state;
    txt(TOKEN);
    address(&seen.a, "203.0.113.7");
    address(&seen.aaaa, "2001:db8::8");
    proves_nothing("has the AAAA [2001:db8::8], which is not this edge's");
    clear(NULL);
    txt(TOKEN);
    address(&seen.a, "203.0.113.7");
    address(&seen.a, "203.0.113.8");
    proves_nothing("has the A 203.0.113.8, which is not");
}

static void a_foreign_address_is_sure_though_the_other_family_is_not_known(void **state) {
    (void)state;
    txt(TOKEN);
    address(&seen.a, "203.0.113.8");
    seen.aaaa.answer = DNS_UNKNOWN;
    assert_int_equal(judged(false), FACT_NO);
    clear(NULL);
    txt(TOKEN);
    address(&seen.a, "203.0.113.7");
    seen.aaaa.answer = DNS_UNKNOWN;
    assert_int_equal(judged(false), FACT_UNKNOWN);
}

static void a_token_is_the_whole_text_of_one_record(void **state) {
    (void)state;
    address(&seen.a, "203.0.113.7");
    txt(TOKEN "b");
    txt("x" TOKEN);
    txt("");
    proves_nothing("is another one");
    char twice[sizeof TOKEN * 2];
    snprintf(twice, sizeof twice, "%s%s", TOKEN, TOKEN);
    txt(twice);
    proves_nothing("is another one");
    txt(TOKEN);
    proves();
}

static void a_token_whose_key_is_lost_counts_where_it_proved(void **state) {
    (void)state;
    address(&seen.a, "203.0.113.7");
    txt("the-one-before");
    proves_nothing("is another one");
    assert_false(facts.void_token);
    rules.proven = "the-one-before";
    proves();
    assert_true(facts.void_token);
    txt(TOKEN);
    proves();
    assert_false(facts.void_token);
    rules.proven = "another";
    seen.challenge.count = 1;
    proves_nothing("is another one");
    rules.proven = NULL;
}

static void more_texts_than_are_read_prove_nothing(void **state) {
    (void)state;
    address(&seen.a, "203.0.113.7");
    for (int i = 0; i < DNS_TEXTS_MAX; i++)
        txt("other");
    seen.challenge.more = true;
    proves_nothing("only the first 64");
}

static void a_challenge_that_leads_into_the_platform_proves_nothing(void **state) {
    (void)state;
    address(&seen.a, "203.0.113.7");
    txt(TOKEN);
    hop(&seen.challenge.alias, "_ringress-challenge.t.1d.pt");
    proves_nothing("answers prove nothing");
    seen.challenge.alias.count = 0;
    hop(&seen.challenge.alias, "challenges.example.net"); /* handed to somebody else on purpose */
    proves();
}

static void an_answer_is_validated_when_every_link_to_it_was(void **state) {
    (void)state;
    address(&seen.a, "203.0.113.7");
    txt(TOKEN);
    proves();
    assert_false(facts.secure);
    seen.challenge.secure = true;
    proves();
    assert_true(facts.secure && proof_hangs_on_txt(&facts, false));
    hop(&seen.challenge.alias, "challenges.example.net");
    proves();
    assert_false(facts.secure);
    seen.challenge.alias.secure = true;
    proves();
    assert_true(facts.secure);
    hop(&seen.chain, "t.1d.pt");
    proves();
    assert_false(proof_hangs_on_txt(&facts, false));
}

/* ---- wildcards ---- */

static void a_wildcard_needs_the_txt_or_both_probes(void **state) {
    (void)state;
    check = (struct name_check){.name = "example.com", .wildcard = true};
    assert_int_equal(judged(false), FACT_NO);
    hop(&seen.probe[0], "t.1d.pt");
    assert_int_equal(judged(false), FACT_NO);
    hop(&seen.probe[1], "t.1d.pt");
    proves();
    assert_int_equal(judged(true), FACT_NO);
    seen.probe[1].count = 0;
    seen.probe[1].answer = DNS_UNKNOWN;
    assert_int_equal(judged(false), FACT_UNKNOWN);
    txt(TOKEN);
    proves();
    assert_int_equal(judged(true), FACT_YES);
}

/* ---- unknown ---- */

static void what_is_unknown_matters_only_where_it_could_prove(void **state) {
    (void)state;
    seen.challenge.answer = DNS_UNKNOWN;
    proves_nothing("could not be looked up"); /* no address: the TXT would not help */
    address(&seen.a, "203.0.113.7");
    assert_int_equal(judged(false), FACT_UNKNOWN);
    seen.chain.answer = DNS_UNKNOWN;
    assert_int_equal(judged(false), FACT_UNKNOWN);
    hop(&seen.chain, "t.1d.pt");
    proves();
}

static void without_a_domain_no_cname_proves(void **state) {
    (void)state;
    struct proof_rules none = rules;
    none.domain = NULL;
    hop(&seen.chain, "t.1d.pt");
    proof_read(&check, &seen, &none, &facts);
    assert_int_equal(proof_judge(&facts, false, false), FACT_NO);
}

/* ---- tokens ---- */

static void tokens_differ_by_all_they_are_made_of(void **state) {
    (void)state;
    char t[6][PROOF_TOKEN_LENGTH + 1];
    const uint8_t one[] = "one", two[] = "two";
    proof_token(one, 3, "u", "example.com", false, t[0]);
    proof_token(two, 3, "u", "example.com", false, t[1]);
    proof_token(one, 3, "v", "example.com", false, t[2]);
    proof_token(one, 3, "u", "example.org", false, t[3]);
    proof_token(one, 3, "u", "example.com", true, t[4]);
    proof_token(one, 3, "ue", "xample.com", false, t[5]);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(strlen(t[i]), PROOF_TOKEN_LENGTH);
        assert_int_equal(strspn(t[i], "abcdefghijklmnopqrstuvwxyz234567"), PROOF_TOKEN_LENGTH);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(t[i], t[k]);
    }
    char again[PROOF_TOKEN_LENGTH + 1];
    proof_token(one, 3, "u", "example.com", false, again);
    assert_string_equal(again, t[0]);
}

/* ---- standings and time ---- */

static const struct verdict_on_name yes = {FACT_YES, false, false},
                                    by_txt = {FACT_YES, true, false},
                                    by_signed_txt = {FACT_YES, true, true},
                                    no = {FACT_NO, false, false},
                                    unknown = {FACT_UNKNOWN, false, false};

static enum outcome judge(struct standing *s, const struct verdict_on_name *v, int64_t now) {
    return standing_judged(s, v, now, RECHECK_S, 0);
}

static void a_cname_counts_at_once_and_a_txt_without_dnssec_when_it_stays(void **state) {
    (void)state;
    struct standing s = {.since = 100, .claims = 1};
    assert_int_equal(judge(&s, &yes, 100), OUTCOME_MOVED);
    assert_int_equal(s.phase, PHASE_VERIFIED);
    s = (struct standing){.since = 100, .claims = 1};
    assert_int_equal(judge(&s, &by_signed_txt, 100), OUTCOME_MOVED);
    s = (struct standing){.since = 100, .claims = 1};
    assert_int_equal(judge(&s, &by_txt, 100), OUTCOME_STAYS);
    assert_int_equal(s.next_look, 100 + TXT_REPEAT_S);
    assert_int_equal(judge(&s, &by_txt, 102), OUTCOME_STAYS);
    assert_int_equal(s.next_look, 100 + TXT_REPEAT_S);
    assert_int_equal(judge(&s, &by_txt, 105), OUTCOME_MOVED);
    assert_true(s.by_txt);
}

static void a_txt_that_goes_away_meanwhile_begins_anew(void **state) {
    (void)state;
    struct standing s = {.since = 100, .claims = 1};
    judge(&s, &by_txt, 100);
    judge(&s, &no, 105);
    assert_int_equal(judge(&s, &by_txt, 110), OUTCOME_STAYS);
    assert_int_equal(judge(&s, &by_txt, 115), OUTCOME_MOVED);
}

static void pending_looks_grow_rare_and_end_after_seven_days(void **state) {
    (void)state;
    struct standing s = {.since = 1, .claims = 1};
    int64_t now = 1, waits[64] = {0};
    int looks = 0;
    for (; looks < 64; looks++) {
        judge(&s, &no, now);
        if (!s.next_look)
            break;
        waits[looks] = s.next_look - now;
        now = s.next_look;
    }
    assert_true(now >= GIVE_UP_S && now < GIVE_UP_S + LOOK_MOST_S);
    assert_in_range(looks, 3, 63);
    assert_int_equal(waits[0], LOOK_FIRST_S);
    assert_int_equal(waits[1], 2 * LOOK_FIRST_S - 1);
    assert_int_equal(waits[looks - 1], LOOK_MOST_S - LOOK_MOST_S / 10);
    assert_int_equal(s.phase, PHASE_PENDING);
}

static void doubt_takes_its_time(void **state) {
    (void)state;
    struct standing s = {.phase = PHASE_VERIFIED, .since = 0, .claims = 1};
    assert_int_equal(judge(&s, &no, 1000), OUTCOME_MOVED);
    assert_int_equal(s.phase, PHASE_AT_RISK);
    assert_int_equal(judge(&s, &no, 1000 + SUSPEND_S - 1), OUTCOME_STAYS);
    assert_int_equal(judge(&s, &no, 1000 + SUSPEND_S), OUTCOME_MOVED);
    assert_int_equal(s.phase, PHASE_SUSPENDED);
    int64_t suspended = 1000 + SUSPEND_S;
    assert_int_equal(judge(&s, &no, suspended + RELEASE_S - 1), OUTCOME_STAYS);
    assert_int_equal(judge(&s, &no, suspended + RELEASE_S), OUTCOME_RELEASED);
}

static void a_proof_mends_every_doubt(void **state) {
    (void)state;
    for (enum phase phase = PHASE_AT_RISK; phase <= PHASE_SUSPENDED; phase++) {
        struct standing s = {.phase = phase, .claims = 1};
        assert_int_equal(judge(&s, &by_txt, 500), OUTCOME_MOVED); /* seen before: no repeat */
        assert_int_equal(s.phase, PHASE_VERIFIED);
    }
}

static void unknowns_end_the_looks_of_a_pending_name_as_well(void **state) {
    (void)state;
    struct standing s = {.since = 1, .claims = 1};
    int64_t now = 1, last = 0;
    for (; !last || s.next_look; now = s.next_look ? s.next_look : now) {
        assert_int_equal(judge(&s, &unknown, now), OUTCOME_STAYS);
        last = now;
    }
    assert_true(last >= GIVE_UP_S && last < GIVE_UP_S + LOOK_MOST_S);
    assert_true(standing_gave_up(&s));
}

static void an_unknown_moves_nothing_however_long(void **state) {
    (void)state;
    for (enum phase phase = PHASE_VERIFIED; phase <= PHASE_SUSPENDED; phase++)
        for (unsigned claims = 0; claims < 2; claims++) {
            struct standing s = {.phase = phase, .claims = claims};
            for (int64_t now = 0; now < 100 * 86400; now = s.next_look) {
                assert_int_equal(judge(&s, &unknown, now), OUTCOME_STAYS);
                assert_true(s.next_look > now);
            }
            assert_int_equal(s.phase, phase);
        }
}

static void a_tombstone_goes_with_the_second_definite_no(void **state) {
    (void)state;
    struct standing s = {.phase = PHASE_VERIFIED};
    assert_int_equal(judge(&s, &no, 1000), OUTCOME_MOVED);
    assert_int_equal(s.phase, PHASE_AT_RISK);
    assert_int_equal(judge(&s, &yes, 1000 + RECHECK_S), OUTCOME_MOVED); /* it was a mishap */
    int64_t again = 1000 + 2 * RECHECK_S;
    assert_int_equal(judge(&s, &no, again), OUTCOME_MOVED);
    assert_int_equal(judge(&s, &no, again + 10), OUTCOME_STAYS); /* no hand hurries it */
    assert_int_equal(judge(&s, &unknown, again + RECHECK_S - 1), OUTCOME_STAYS);
    assert_int_equal(judge(&s, &no, again + RECHECK_S), OUTCOME_RELEASED);
}

static void a_tombstone_that_was_long_in_doubt_goes_at_once(void **state) {
    (void)state;
    for (enum phase phase = PHASE_AT_RISK; phase <= PHASE_SUSPENDED; phase++) {
        struct standing s = {.phase = phase};
        assert_int_equal(judge(&s, &yes, 10), OUTCOME_MOVED);
        s = (struct standing){.phase = phase};
        assert_int_equal(judge(&s, &no, RECHECK_S), OUTCOME_RELEASED);
    }
}

#define STORY(name) cmocka_unit_test_setup(name, clear)
int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(a_chain_through_the_tenants_domain_proves_owner_and_route),
        STORY(what_lies_behind_the_link_that_proves_does_no_harm),
        STORY(a_shared_name_or_another_tenants_domain_proves_nothing),
        STORY(circles_and_long_chains_prove_nothing),
        STORY(txt_and_addresses_prove_together_only),
        STORY(one_foreign_address_is_a_failure),
        STORY(a_foreign_address_is_sure_though_the_other_family_is_not_known),
        STORY(a_token_is_the_whole_text_of_one_record),
        STORY(more_texts_than_are_read_prove_nothing),
        STORY(a_challenge_that_leads_into_the_platform_proves_nothing),
        STORY(an_answer_is_validated_when_every_link_to_it_was),
        STORY(a_wildcard_needs_the_txt_or_both_probes),
        STORY(what_is_unknown_matters_only_where_it_could_prove),
        STORY(without_a_domain_no_cname_proves),
        STORY(tokens_differ_by_all_they_are_made_of),
        STORY(a_cname_counts_at_once_and_a_txt_without_dnssec_when_it_stays),
        STORY(a_txt_that_goes_away_meanwhile_begins_anew),
        STORY(pending_looks_grow_rare_and_end_after_seven_days),
        STORY(doubt_takes_its_time),
        STORY(a_proof_mends_every_doubt),
        STORY(unknowns_end_the_looks_of_a_pending_name_as_well),
        STORY(a_tombstone_that_was_long_in_doubt_goes_at_once),
        STORY(a_token_whose_key_is_lost_counts_where_it_proved),
        STORY(an_unknown_moves_nothing_however_long),
        STORY(a_tombstone_goes_with_the_second_definite_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
