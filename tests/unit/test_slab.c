/* SPDX-License-Identifier: GPL-3.0-or-later
 * test_slab.c - objects are whole and zeroed; when memory is short, chunks in which nothing lives go back, and no other.
 * link: core/slab.c
 */
#include "core/slab.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 3000 };

static const size_t sizes[] = {1, 64, 65, 384, 1000, 4096, 5000};

struct piece {
    uint8_t *data;
    size_t size;
};

static void piece_fill(struct piece *p, struct slab *s, size_t size, uint8_t mark) {
    *p = (struct piece){slab_alloc(s, size), size};
    assert_non_null(p->data);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(p->data[i], 0);
    memset(p->data, mark, size);
}

static void piece_check_and_free(struct piece *p, struct slab *s, uint8_t mark) {
    for (size_t i = 0; i < p->size; i++)
        assert_int_equal(p->data[i], mark);
    memset(p->data, 0xee, p->size);
    slab_free(s, p->data, p->size);
    p->data = NULL;
}

static bool has_chunks(const struct slab *s) {
    return s->bytes > 0; /* not under AddressSanitizer, where each object is malloc's */
}

static void all_of_a_peak_goes_back(void **state) {
    static struct piece piece[COUNT];
    struct slab s = {0};
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            piece_fill(&piece[i], &s, sizes[i % 7], (uint8_t)i);
        size_t peak = s.bytes;
        slab_trim(&s);
        assert_true(s.bytes <= peak && (!peak || s.bytes > peak / 2)); /* it is in use */
        for (int i = 0; i < COUNT; i++)
            piece_check_and_free(&piece[i], &s, (uint8_t)i);
        assert_true(!peak || has_chunks(&s));
        slab_trim(&s);
        assert_int_equal(s.bytes, 0);
    }
    slab_fini(&s);
}

static void what_lives_keeps_its_chunk_and_the_chunk_its_free_places(void **state) {
    static struct piece piece[COUNT];
    struct slab s = {0};
    (void)state;
    for (int i = 0; i < COUNT; i++)
        piece_fill(&piece[i], &s, 384, (uint8_t)i);
    size_t peak = s.bytes;
    for (int i = 0; i < COUNT; i++)
        if (i % 1000)
            piece_check_and_free(&piece[i], &s, (uint8_t)i);
    slab_trim(&s);
    size_t left = s.bytes;
    assert_true(left <= 3 * (size_t)SLAB_CHUNK && (!peak || left >= SLAB_CHUNK));
    slab_trim(&s); /* counts anew */
    assert_int_equal(s.bytes, left);
    for (int i = 1; i < 100; i++) /* there is room for more than these in what is left */
        piece_fill(&piece[i], &s, 384, (uint8_t)i);
    assert_int_equal(s.bytes, left);
    for (int i = 0; i < COUNT; i++)
        if (piece[i].data)
            piece_check_and_free(&piece[i], &s, (uint8_t)i);
    slab_trim(&s);
    assert_int_equal(s.bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_a_peak_goes_back),
        cmocka_unit_test(what_lives_keeps_its_chunk_and_the_chunk_its_free_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
