/* log_terms.c: see log_terms.h. */
#include "log_terms.h"

#include "storage_bytes.h"
#include "storage_hash.h"

enum { TERM_RECORD_BYTES = 16 };

static uint64_t log_terms_checksum(uint64_t first_index, uint64_t term)
{
    uint8_t bytes[16];
    storage_put_u64(bytes, first_index);
    storage_put_u64(bytes + 8, term);
    return storage_hash_chain(0, bytes, sizeof bytes);
}

static int log_terms_decode(const MDB_val *key, const MDB_val *value, uint64_t *first_index, uint64_t *term)
{
    if (key->mv_size != 8 || value->mv_size != TERM_RECORD_BYTES) {
        return MDB_CORRUPTED;
    }
    *first_index = storage_get_u64(key->mv_data);
    *term = storage_get_u64(value->mv_data);
    uint64_t checksum = storage_get_u64((const uint8_t *)value->mv_data + 8);
    return checksum == log_terms_checksum(*first_index, *term) ? MDB_SUCCESS : MDB_CORRUPTED;
}

int log_terms_put(MDB_txn *transaction, MDB_dbi terms, uint64_t first_index, uint64_t term)
{
    uint8_t record[TERM_RECORD_BYTES];
    storage_put_u64(record, term);
    storage_put_u64(record + 8, log_terms_checksum(first_index, term));
    MDB_val key = {sizeof first_index, &first_index};
    MDB_val value = {sizeof record, record};
    return mdb_put(transaction, terms, &key, &value, 0);
}

int log_terms_find(MDB_txn *transaction, MDB_dbi terms, uint64_t index, uint64_t *first_index, uint64_t *term)
{
    MDB_cursor *cursor = NULL;
    int result = mdb_cursor_open(transaction, terms, &cursor);
    if (result != 0) {
        return result;
    }
    uint64_t wanted = index;
    MDB_val key = {sizeof wanted, &wanted};
    MDB_val value;
    result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (result == MDB_NOTFOUND) {
        result = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    } else if (result == 0 && storage_get_u64(key.mv_data) > index) {
        result = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
    }
    if (result == 0) {
        result = log_terms_decode(&key, &value, first_index, term);
    }
    mdb_cursor_close(cursor);
    return result;
}

int log_terms_truncate(MDB_txn *transaction, MDB_dbi terms, uint64_t from)
{
    for (;;) {
        uint64_t first_index = 0;
        uint64_t term = 0;
        int result = log_terms_find(transaction, terms, UINT64_MAX, &first_index, &term);
        if (result == MDB_NOTFOUND || (result == 0 && first_index < from)) {
            return MDB_SUCCESS;
        }
        MDB_val key = {sizeof first_index, &first_index};
        if (result == 0) {
            result = mdb_del(transaction, terms, &key, NULL);
        }
        if (result != 0) {
            return result;
        }
    }
}

int log_terms_drop(MDB_txn *transaction, MDB_dbi terms, uint64_t to)
{
    for (;;) {
        uint64_t first_index = 0;
        uint64_t term = 0;
        int result = log_terms_find(transaction, terms, to, &first_index, &term);
        if (result == MDB_NOTFOUND) {
            return MDB_SUCCESS;
        }
        MDB_val key = {sizeof first_index, &first_index};
        if (result == 0) {
            result = mdb_del(transaction, terms, &key, NULL);
        }
        if (result != 0) {
            return result;
        }
    }
}

int log_terms_compact(MDB_txn *transaction, MDB_dbi terms, uint64_t base, uint64_t last)
{
    assert(base <= last);
    uint64_t first_index = 0;
    uint64_t term = 0;
    int result = MDB_SUCCESS;
    if (base < last) {
        /* The stretch that is cut in two goes on, from base + 1. */
        result = log_terms_find(transaction, terms, base + 1, &first_index, &term);
        if (result == 0 && first_index <= base) {
            result = log_terms_put(transaction, terms, base + 1, term);
        }
    }
    if (result == 0) {
        return log_terms_drop(transaction, terms, base);
    }
    return result == MDB_NOTFOUND ? MDB_CORRUPTED : result;
}

int log_terms_visit(MDB_txn *transaction, MDB_dbi terms,
                    void (*visit)(void *context, uint64_t first_index, uint64_t term), void *context)
{
    MDB_cursor *cursor = NULL;
    int result = mdb_cursor_open(transaction, terms, &cursor);
    if (result != 0) {
        return result;
    }
    MDB_val key;
    MDB_val value;
    while ((result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint64_t first_index = 0;
        uint64_t term = 0;
        result = log_terms_decode(&key, &value, &first_index, &term);
        if (result != 0) {
            break;
        }
        visit(context, first_index, term);
    }
    mdb_cursor_close(cursor);
    return result == MDB_NOTFOUND ? MDB_SUCCESS : result;
}
