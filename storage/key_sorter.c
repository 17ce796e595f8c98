/* key_sorter.c: see key_sorter.h.
 *
 * In the file a pair is: number (8), size of the key (2), key. Runs follow each other without a gap. They are
 * merged by a heap of runs, each with a buffer of its own for reading.
 */
#include "key_sorter.h"

#include "map.h"
#include "map_record.h"
#include "storage_bytes.h"
#include "storage_error.h"
#include "storage_file.h"
#include "storage_hash.h"
#include "storage_memory.h"

#include <errno.h>
#include <stdlib.h>

enum {
    PAIR_HEAD_BYTES = 10,
    PAIR_BYTES_MAX = PAIR_HEAD_BYTES + MAP_KEY_BYTES_MAX,
    WRITE_BYTES = 128 * 1024,
    READ_BYTES_MIN = 4096,
    READ_BYTES_MAX = 1024 * 1024,
    ITEMS_MIN = 64,
};

_Static_assert(READ_BYTES_MIN >= PAIR_BYTES_MAX, "a pair fits into the buffer of a run");

struct key_sorter_item {
    uint64_t number;
    uint32_t offset; /* of the key, in key_sorter.bytes */
    uint32_t size;
};

struct key_sorter_run {
    uint64_t offset; /* in the file: of what is not yet in the buffer */
    uint64_t end;
    uint8_t *buffer;
    size_t filled;
    size_t position;
    struct key_sorter_pair pair; /* the smallest that is left; its key is in the buffer */
};

struct key_sorter {
    char *directory;
    size_t memory_bytes;
    bool sorted;
    uint64_t in_count;
    uint64_t in_sum; /* of the hashes of all pairs */
    uint64_t out_count;
    uint64_t out_sum;
    /* What is in memory. */
    struct key_sorter_item *items;
    size_t items_count;
    size_t items_capacity;
    size_t next_item;
    uint8_t *bytes;
    size_t bytes_size;
    size_t bytes_capacity;
    /* What is in the file. */
    int file; /* -1: none */
    uint64_t file_bytes;
    struct key_sorter_run *runs;
    size_t runs_count;
    size_t *heap; /* places in `runs`; the one with the smallest pair first */
    size_t heap_count;
    size_t read_bytes;
    bool top_was_handed_out;
};

struct key_sorter *key_sorter_create(const char *directory, size_t memory_bytes)
{
    struct key_sorter *sorter = storage_allocate_zero(sizeof *sorter);
    sorter->directory = storage_format("%s", directory);
    sorter->memory_bytes =
        memory_bytes > KEY_SORTER_MEMORY_BYTES_MIN ? memory_bytes : (size_t)KEY_SORTER_MEMORY_BYTES_MIN;
    sorter->memory_bytes = sorter->memory_bytes < UINT32_MAX ? sorter->memory_bytes : UINT32_MAX;
    sorter->file = -1;
    return sorter;
}

static void key_sorter_free_memory(struct key_sorter *sorter)
{
    free(sorter->items);
    free(sorter->bytes);
    sorter->items = NULL;
    sorter->bytes = NULL;
    sorter->items_count = sorter->items_capacity = 0;
    sorter->bytes_size = sorter->bytes_capacity = 0;
}

void key_sorter_destroy(struct key_sorter *sorter)
{
    if (sorter == NULL) {
        return;
    }
    key_sorter_free_memory(sorter);
    for (size_t i = 0; i < sorter->runs_count; i++) {
        free(sorter->runs[i].buffer);
    }
    free(sorter->runs);
    free(sorter->heap);
    storage_close_file(sorter->file);
    free(sorter->directory);
    free(sorter);
}

uint64_t key_sorter_count(const struct key_sorter *sorter)
{
    return sorter->in_count;
}

static uint64_t key_sorter_hash(uint64_t number, const uint8_t *key, size_t key_size)
{
    return storage_hash_chain(number, key, key_size);
}

static int key_sorter_compare(uint64_t left_number, const uint8_t *left, size_t left_size,
                              uint64_t right_number, const uint8_t *right, size_t right_size)
{
    if (left_number != right_number) {
        return left_number < right_number ? -1 : 1;
    }
    return map_key_compare(left, left_size, right, right_size);
}

/* ---- in memory ---- */

static int key_sorter_compare_items(const void *left, const void *right, void *context)
{
    const struct key_sorter_item *a = left;
    const struct key_sorter_item *b = right;
    const uint8_t *bytes = context;
    return key_sorter_compare(a->number, bytes + a->offset, a->size, b->number, bytes + b->offset, b->size);
}

static void key_sorter_sort_items(struct key_sorter *sorter)
{
    if (sorter->items_count > 1) {
        qsort_r(sorter->items, sorter->items_count, sizeof *sorter->items, key_sorter_compare_items,
                sorter->bytes);
    }
}

/* Sorting takes as much again as the items do. */
static bool key_sorter_has_room(const struct key_sorter *sorter, size_t key_size)
{
    return (sorter->items_count + 1) * sizeof *sorter->items * 2 + sorter->bytes_size + key_size <=
           sorter->memory_bytes;
}

static void key_sorter_keep(struct key_sorter *sorter, uint64_t number, const uint8_t *key, size_t key_size)
{
    if (sorter->items_count == sorter->items_capacity) {
        sorter->items_capacity = sorter->items_capacity == 0 ? ITEMS_MIN : sorter->items_capacity * 2;
        sorter->items = storage_reallocate(sorter->items, sorter->items_capacity * sizeof *sorter->items);
    }
    if (sorter->bytes_capacity - sorter->bytes_size < key_size) {
        size_t needed = sorter->bytes_size + key_size;
        sorter->bytes_capacity = needed * 2 < sorter->memory_bytes ? needed * 2 : sorter->memory_bytes;
        assert(sorter->bytes_capacity >= needed);
        sorter->bytes = storage_reallocate(sorter->bytes, sorter->bytes_capacity);
    }
    sorter->items[sorter->items_count++] = (struct key_sorter_item){
        .number = number, .offset = (uint32_t)sorter->bytes_size, .size = (uint32_t)key_size};
    if (key_size > 0) {
        memcpy(sorter->bytes + sorter->bytes_size, key, key_size);
    }
    sorter->bytes_size += key_size;
}

/* ---- in the file ---- */

static enum storage_status key_sorter_write_run(struct key_sorter *sorter, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    if (sorter->file < 0) {
        status = storage_open_nameless(sorter->directory, &sorter->file, error);
    }
    key_sorter_sort_items(sorter);
    const uint64_t start = sorter->file_bytes;
    uint8_t *buffer = storage_allocate(WRITE_BYTES);
    size_t size = 0;
    for (size_t i = 0; i < sorter->items_count && status == STORAGE_OK; i++) {
        const struct key_sorter_item *item = &sorter->items[i];
        storage_put_u64(buffer + size, item->number);
        storage_put_u16(buffer + size + 8, (uint16_t)item->size);
        if (item->size > 0) {
            memcpy(buffer + size + PAIR_HEAD_BYTES, sorter->bytes + item->offset, item->size);
        }
        size += PAIR_HEAD_BYTES + item->size;
        if (WRITE_BYTES - size < PAIR_BYTES_MAX || i + 1 == sorter->items_count) {
            status =
                storage_write_at(sorter->file, buffer, size, sorter->file_bytes, sorter->directory, error);
            sorter->file_bytes += size;
            size = 0;
        }
    }
    free(buffer);
    sorter->runs = storage_reallocate(sorter->runs, (sorter->runs_count + 1) * sizeof *sorter->runs);
    sorter->runs[sorter->runs_count++] = (struct key_sorter_run){.offset = start, .end = sorter->file_bytes};
    sorter->items_count = 0;
    sorter->bytes_size = 0;
    return status;
}

static enum storage_status key_sorter_fail(const struct key_sorter *sorter, struct storage_error *error)
{
    return storage_fail(error, STORAGE_FAILED,
                        "%s: what was written for sorting was not what was read: the disk is not sound",
                        sorter->directory);
}

/* Reads the next pair of a run; *found is false at its end. */
static enum storage_status key_sorter_advance_run(struct key_sorter *sorter, struct key_sorter_run *run,
                                                  bool *found, struct storage_error *error)
{
    if (run->filled - run->position < PAIR_BYTES_MAX && run->offset < run->end) {
        memmove(run->buffer, run->buffer + run->position, run->filled - run->position);
        run->filled -= run->position;
        run->position = 0;
        uint64_t left = run->end - run->offset;
        size_t size = sorter->read_bytes - run->filled;
        size = left < size ? (size_t)left : size;
        enum storage_status status = storage_read_at(sorter->file, run->buffer + run->filled, size,
                                                     run->offset, sorter->directory, error);
        if (status != STORAGE_OK) {
            return status;
        }
        run->offset += size;
        run->filled += size;
    }
    struct storage_reader reader =
        storage_reader_init(run->buffer + run->position, run->filled - run->position);
    *found = reader.size > 0;
    if (!*found) {
        return STORAGE_OK;
    }
    const uint8_t *head = storage_read_bytes(&reader, PAIR_HEAD_BYTES);
    size_t key_size = head == NULL ? 0 : storage_get_u16(head + 8);
    const uint8_t *key = storage_read_bytes(&reader, key_size);
    if (reader.failed || key_size > MAP_KEY_BYTES_MAX) {
        return key_sorter_fail(sorter, error);
    }
    run->pair = (struct key_sorter_pair){.number = storage_get_u64(head), .key = key, .key_size = key_size};
    run->position += reader.offset;
    return STORAGE_OK;
}

/* ---- merging ---- */

static bool key_sorter_is_before(const struct key_sorter *sorter, size_t left, size_t right)
{
    const struct key_sorter_pair *a = &sorter->runs[sorter->heap[left]].pair;
    const struct key_sorter_pair *b = &sorter->runs[sorter->heap[right]].pair;
    return key_sorter_compare(a->number, a->key, a->key_size, b->number, b->key, b->key_size) < 0;
}

static void key_sorter_sift_down(struct key_sorter *sorter, size_t place)
{
    for (;;) {
        size_t smallest = place;
        for (size_t child = place * 2 + 1; child <= place * 2 + 2; child++) {
            if (child < sorter->heap_count && key_sorter_is_before(sorter, child, smallest)) {
                smallest = child;
            }
        }
        if (smallest == place) {
            return;
        }
        size_t run = sorter->heap[place];
        sorter->heap[place] = sorter->heap[smallest];
        sorter->heap[smallest] = run;
        place = smallest;
    }
}

static enum storage_status key_sorter_begin_merge(struct key_sorter *sorter, struct storage_error *error)
{
    size_t share = sorter->memory_bytes / sorter->runs_count;
    sorter->read_bytes = share < READ_BYTES_MIN   ? READ_BYTES_MIN
                         : share > READ_BYTES_MAX ? READ_BYTES_MAX
                                                  : share;
    sorter->heap = storage_allocate(sorter->runs_count * sizeof *sorter->heap);
    for (size_t i = 0; i < sorter->runs_count; i++) {
        bool found = false;
        sorter->runs[i].buffer = storage_allocate(sorter->read_bytes);
        enum storage_status status = key_sorter_advance_run(sorter, &sorter->runs[i], &found, error);
        if (status != STORAGE_OK) {
            return status;
        }
        assert(found);
        sorter->heap[sorter->heap_count++] = i;
    }
    for (size_t i = sorter->heap_count / 2; i > 0; i--) {
        key_sorter_sift_down(sorter, i - 1);
    }
    return STORAGE_OK;
}

/* The pair that was handed out last makes room for the next one of its run. */
static enum storage_status key_sorter_drop_top(struct key_sorter *sorter, struct storage_error *error)
{
    bool found = false;
    enum storage_status status =
        key_sorter_advance_run(sorter, &sorter->runs[sorter->heap[0]], &found, error);
    if (status == STORAGE_OK && !found) {
        sorter->heap[0] = sorter->heap[--sorter->heap_count];
    }
    if (status == STORAGE_OK) {
        key_sorter_sift_down(sorter, 0);
    }
    return status;
}

/* ---- in and out ---- */

enum storage_status key_sorter_add(struct key_sorter *sorter, uint64_t number, const uint8_t *key,
                                   size_t key_size, struct storage_error *error)
{
    assert(!sorter->sorted && key_size <= MAP_KEY_BYTES_MAX);
    enum storage_status status = STORAGE_OK;
    if (!key_sorter_has_room(sorter, key_size)) {
        status = key_sorter_write_run(sorter, error);
    }
    key_sorter_keep(sorter, number, key, key_size);
    sorter->in_count++;
    sorter->in_sum += key_sorter_hash(number, key, key_size);
    return status;
}

enum storage_status key_sorter_sort(struct key_sorter *sorter, struct storage_error *error)
{
    assert(!sorter->sorted);
    sorter->sorted = true;
    if (sorter->runs_count == 0) {
        key_sorter_sort_items(sorter);
        return STORAGE_OK;
    }
    enum storage_status status = key_sorter_write_run(sorter, error);
    key_sorter_free_memory(sorter);
    return status == STORAGE_OK ? key_sorter_begin_merge(sorter, error) : status;
}

enum storage_status key_sorter_next(struct key_sorter *sorter, struct key_sorter_pair *pair, bool *found,
                                    struct storage_error *error)
{
    assert(sorter->sorted);
    *found = false;
    if (sorter->top_was_handed_out) {
        sorter->top_was_handed_out = false;
        enum storage_status status = key_sorter_drop_top(sorter, error);
        if (status != STORAGE_OK) {
            return status;
        }
    }
    if (sorter->heap_count > 0) {
        *pair = sorter->runs[sorter->heap[0]].pair;
        sorter->top_was_handed_out = true;
        *found = true;
    } else if (sorter->next_item < sorter->items_count) {
        const struct key_sorter_item *item = &sorter->items[sorter->next_item++];
        *pair = (struct key_sorter_pair){
            .number = item->number, .key = sorter->bytes + item->offset, .key_size = item->size};
        *found = true;
    }
    if (!*found) {
        bool same = sorter->out_count == sorter->in_count && sorter->out_sum == sorter->in_sum;
        return same ? STORAGE_OK : key_sorter_fail(sorter, error);
    }
    sorter->out_count++;
    sorter->out_sum += key_sorter_hash(pair->number, pair->key, pair->key_size);
    return STORAGE_OK;
}
