/* free_pages.c: see free_pages.h. A bit for each page of the file: a stretch may come from several records.
 * */
#include "free_pages.h"

#include "storage_memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* LMDB gives up its search for pages that lie side by side after 60 records for each page: what is in later
 * ones does not count. */
enum { FREE_TABLE = 0, RECORDS_MAX = 60 };

struct page_set {
    uint64_t *bits;
    uint64_t pages_count; /* of the file */
};

/* ---- readers ---- */

/* One line of mdb_reader_list(): process, thread, and the transaction that it reads, or "-". A line that is
 * not understood counts as a reader of everything: then nothing is usable, which is safe. */
static int oldest_visit(const char *line, void *context)
{
    uint64_t *oldest = context;
    int process = 0;
    char thread[32];
    char transaction[32];
    if (sscanf(line, "%d %31s %31s", &process, thread, transaction) == 3) {
        char *end = NULL;
        uint64_t id = strcmp(transaction, "-") == 0 ? UINT64_MAX : strtoull(transaction, &end, 10);
        if (end != NULL && *end != '\0') {
            id = 0;
        }
        *oldest = id < *oldest ? id : *oldest;
    } else if (strstr(line, "pid") == NULL && line[0] != '(') {
        *oldest = 0;
    }
    return 0;
}

/* What was freed by transactions before this one may be used. There is one reader at least, the present
 * one, of what was committed last. */
static int oldest_transaction(MDB_env *environment, uint64_t *oldest)
{
    *oldest = UINT64_MAX;
    return mdb_reader_list(environment, oldest_visit, oldest) < 0 ? MDB_PANIC : MDB_SUCCESS;
}

/* ---- pages ---- */

static int set_add(struct page_set *set, const MDB_val *record)
{
    size_t count = 0;
    if (record->mv_size < sizeof count) {
        return MDB_CORRUPTED;
    }
    memcpy(&count, record->mv_data, sizeof count);
    if (count > record->mv_size / sizeof count - 1) {
        return MDB_CORRUPTED;
    }
    const uint8_t *numbers = (const uint8_t *)record->mv_data + sizeof count;
    for (size_t i = 0; i < count; i++) {
        size_t page = 0;
        memcpy(&page, numbers + i * sizeof page, sizeof page);
        if (page >= set->pages_count) {
            return MDB_CORRUPTED;
        }
        set->bits[page / 64] |= UINT64_C(1) << (page % 64);
    }
    return MDB_SUCCESS;
}

static uint64_t usable_of_stretch(uint64_t length, uint64_t run)
{
    return length < run ? 0 : length - run + 1;
}

static uint64_t set_count(const struct page_set *set, uint64_t run)
{
    uint64_t usable = 0;
    uint64_t length = 0;
    for (uint64_t page = 0; page < set->pages_count; page++) {
        if (page % 64 == 0 && set->bits[page / 64] == 0 && length == 0) {
            page += 63;
        } else if ((set->bits[page / 64] >> (page % 64) & 1) != 0) {
            length++;
        } else {
            usable += usable_of_stretch(length, run);
            length = 0;
        }
    }
    return usable + usable_of_stretch(length, run);
}

/* Adds the records in their order; at the first that may not be used yet counts what there is. */
static int count(MDB_cursor *cursor, uint64_t oldest, uint64_t run, struct page_set *set,
                 struct free_pages *pages)
{
    MDB_val key;
    MDB_val record;
    bool counted = false;
    uint64_t records = 0;
    int result = MDB_SUCCESS;
    while ((result = mdb_cursor_get(cursor, &key, &record, MDB_NEXT)) == 0) {
        size_t freed_by = 0;
        if (key.mv_size != sizeof freed_by) {
            return MDB_CORRUPTED;
        }
        memcpy(&freed_by, key.mv_data, sizeof freed_by);
        if (!counted && (freed_by >= oldest || ++records > RECORDS_MAX)) {
            pages->usable = set_count(set, run);
            counted = true;
        }
        result = set_add(set, &record);
        if (result != 0) {
            return result;
        }
    }
    pages->later = set_count(set, run);
    pages->usable = counted ? pages->usable : pages->later;
    return result == MDB_NOTFOUND ? MDB_SUCCESS : result;
}

int free_pages_count(MDB_env *environment, uint64_t run, struct free_pages *pages)
{
    assert(run > 0);
    *pages = (struct free_pages){0};
    MDB_txn *transaction = NULL;
    MDB_cursor *cursor = NULL;
    MDB_envinfo information;
    uint64_t oldest = 0;
    int result = mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction);
    if (result != 0) {
        return result;
    }
    result = mdb_env_info(environment, &information);
    assert(result == 0);
    struct page_set set = {.pages_count = (uint64_t)information.me_last_pgno + 1};
    set.bits = storage_allocate_zero((set.pages_count / 64 + 1) * sizeof *set.bits);
    result = oldest_transaction(environment, &oldest);
    if (result == 0) {
        result = mdb_cursor_open(transaction, FREE_TABLE, &cursor);
    }
    if (result == 0) {
        result = count(cursor, oldest, run, &set, pages);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(transaction);
    free(set.bits);
    return result;
}
