/* SPDX-License-Identifier: GPL-3.0-or-later
 * heap.c - see heap.h.
 */
#include "tenants/heap.h"
#include <stdlib.h>

static void place(struct heap *heap, size_t at, struct heap_item *item) {
    heap->item[at] = item;
    item->at = at + 1;
}

static void rise(struct heap *heap, size_t at) {
    struct heap_item *item = heap->item[at];
    for (; at && heap->item[(at - 1) / 2]->key > item->key; at = (at - 1) / 2)
        place(heap, at, heap->item[(at - 1) / 2]);
    place(heap, at, item);
}

static void sink(struct heap *heap, size_t at) {
    struct heap_item *item = heap->item[at];
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap->item[child + 1]->key < heap->item[child]->key)
            child++;
        if (heap->item[child]->key >= item->key)
            break;
        place(heap, at, heap->item[child]);
    }
    place(heap, at, item);
}

struct heap_item *heap_first(const struct heap *heap) {
    return heap->count ? heap->item[0] : NULL;
}

static void append(struct heap *heap, struct heap_item *item) {
    if (heap->count == heap->room) {
        heap->room = heap->room ? 2 * heap->room : 16;
        heap->item = reallocarray(heap->item, heap->room, sizeof *heap->item);
        if (!heap->item)
            abort(); /* as in core/stash.c */
    }
    place(heap, heap->count++, item);
}

void heap_put(struct heap *heap, struct heap_item *item, int64_t key) {
    item->key = key;
    if (!item->at)
        append(heap, item);
    rise(heap, item->at - 1);
    sink(heap, item->at - 1);
}

void heap_take(struct heap *heap, struct heap_item *item) {
    if (!item->at)
        return;
    size_t at = item->at - 1;
    struct heap_item *last = heap->item[--heap->count];
    item->at = 0;
    if (last == item)
        return;
    place(heap, at, last);
    rise(heap, at);
    sink(heap, last->at - 1);
}

void heap_fini(struct heap *heap) {
    free(heap->item);
    *heap = (struct heap){0};
}
