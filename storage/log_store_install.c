/* log_store_install.c: the commit point of a snapshot: one transaction that names another map and shortens
 * the log to what comes after it (design section 4; pitfalls 12 and 13).
 *
 * Entries that go may be millions. All of them: mdb_drop() frees the pages of a table without changing them.
 * A part: deleting them one by one would dirty every page of theirs in one transaction, so they stay in the
 * table for now, below the base; the record `left_over` says where they start, opening expects them there,
 * and each later write drops a piece, before the base moves on.
 */
#include "log_store.h"

#include "lmdb_environment.h"
#include "log_store_internal.h"
#include "log_terms.h"
#include "storage_bytes.h"
#include "storage_error.h"

int log_store_drop_left_over(const struct log_store *store, MDB_txn *transaction, uint64_t base,
                             uint32_t entries_max, uint64_t *left_over)
{
    assert(*left_over > 0 && *left_over <= base && entries_max > 0);
    int result = MDB_SUCCESS;
    uint64_t index = *left_over;
    for (uint32_t i = 0; i < entries_max && index <= base && result == 0; i++, index++) {
        uint64_t key_number = index;
        MDB_val key = {sizeof key_number, &key_number};
        result = mdb_del(transaction, store->entries, &key, NULL);
    }
    *left_over = index <= base ? index : 0;
    return result != 0 ? result
                       : log_store_put_numbers(store, transaction, LOG_STATE_LEFT_OVER, left_over, 1);
}

/* Does the log go on from this very entry? */
static int log_store_find_base(const struct log_store *store, MDB_txn *transaction,
                               const struct log_store_state *state, struct log_entry_id base, bool *matches)
{
    uint64_t first_index = 0;
    uint64_t term = state->base.term;
    int result = MDB_SUCCESS;
    assert(base.index >= state->base.index);
    *matches = false;
    if (base.index > state->last.index) {
        return result;
    }
    if (base.index > state->base.index) {
        result = log_terms_find(transaction, store->terms, base.index, &first_index, &term);
    }
    *matches = term == base.term;
    return result == MDB_NOTFOUND ? MDB_CORRUPTED : result;
}

/* Refuses what would take back something that this node has, or that contradicts it. */
static enum storage_status log_store_check_install(const struct log_store *store,
                                                   const struct log_store_state *state,
                                                   const struct log_install *install,
                                                   struct storage_error *error)
{
    const struct log_entry_id base = install->base;
    uint64_t term = install->hard_state != NULL ? install->hard_state->term : state->hard_state.term;
    assert(install->map_generation > store->map_generation);
    assert(term >= state->hard_state.term);
    if (base.index < state->base.index || base.index < install->live_applied.index) {
        return storage_fail(error, STORAGE_OUTDATED,
                            "%s: a snapshot up to entry %llu is older than what is here (the log begins "
                            "after %llu, the map has "
                            "applied %llu): refused, nothing was changed",
                            store->directory, (unsigned long long)base.index,
                            (unsigned long long)state->base.index,
                            (unsigned long long)install->live_applied.index);
    }
    const struct log_entry_id present[] = {state->base, install->live_applied};
    for (size_t i = 0; i < 2; i++) {
        if (base.term > term || base.term < present[i].term ||
            (base.index == present[i].index && base.term != present[i].term)) {
            return storage_fail(error, STORAGE_CORRUPT,
                                "%s: a snapshot up to entry %llu of term %llu contradicts entry %llu of term "
                                "%llu that is here, "
                                "or the present term %llu: refused, nothing was changed",
                                store->directory, (unsigned long long)base.index,
                                (unsigned long long)base.term, (unsigned long long)present[i].index,
                                (unsigned long long)present[i].term, (unsigned long long)term);
        }
    }
    return STORAGE_OK;
}

/* Drops the covered entries. */
static int log_store_move_base(struct log_store *store, MDB_txn *transaction, struct log_store_state *state,
                               struct log_entry_id base, bool matches, uint64_t *left_over)
{
    int result = MDB_SUCCESS;
    if (!matches || base.index == state->last.index) {
        const MDB_dbi tables[] = {store->entries, store->terms, store->memberships};
        for (size_t i = 0; i < 3 && result == 0; i++) {
            result = mdb_drop(transaction, tables[i], 0);
        }
        state->last = base;
        *left_over = 0;
    } else if (base.index > state->base.index) {
        result = log_terms_compact(transaction, store->terms, base.index, state->last.index);
        if (result == 0) {
            result = log_terms_drop(transaction, store->memberships, base.index);
        }
        *left_over = *left_over != 0 ? *left_over : state->base.index + 1;
    }
    state->base = base;
    return result;
}

static int log_store_put_install(struct log_store *store, MDB_txn *transaction, struct log_store_state *state,
                                 const struct log_install *install, uint64_t left_over)
{
    if (install->hard_state != NULL) {
        state->hard_state = *install->hard_state;
    }
    if (state->commit_hint < state->base.index) {
        state->commit_hint = state->base.index;
    }
    assert(state->commit_hint <= state->last.index);
    const struct {
        const char *name;
        uint64_t numbers[2];
        size_t count;
    } records[] = {
        {LOG_STATE_HARD_STATE, {state->hard_state.term, state->hard_state.vote}, 2},
        {LOG_STATE_BASE, {state->base.term, state->base.index}, 2},
        {LOG_STATE_COMMIT_HINT, {state->commit_hint}, 1},
        {LOG_STATE_MAP_GENERATION, {install->map_generation}, 1},
        {LOG_STATE_LEFT_OVER, {left_over}, 1},
    };
    int result = MDB_SUCCESS;
    for (size_t i = 0; i < sizeof records / sizeof records[0] && result == 0; i++) {
        result =
            log_store_put_numbers(store, transaction, records[i].name, records[i].numbers, records[i].count);
    }
    if (result == 0 && install->identity != NULL) {
        result = log_store_put_identity(store, transaction, install->identity);
    }
    return result;
}

/* One try. */
static enum storage_status log_store_try_install(struct log_store *store, const struct log_install *install,
                                                 struct storage_error *error)
{
    static const char doing[] = "installing a snapshot";
    struct log_store_state state;
    log_store_get_state(store, &state);
    uint64_t entries_bytes = 0;
    uint64_t left_over = store->left_over;
    bool matches = false;
    MDB_txn *transaction = NULL;
    enum storage_status status = log_store_begin(store, &transaction, error);
    if (status != STORAGE_OK) {
        return status;
    }
    int result = lmdb_environment_clear_readers(store->environment);
    if (result == 0) {
        result = log_store_find_base(store, transaction, &state, install->base, &matches);
    }
    if (result == 0 && !matches && install->base.index <= state.commit_hint) {
        mdb_txn_abort(transaction);
        return storage_fail(error, STORAGE_CORRUPT,
                            "%s: a snapshot says that entry %llu is of term %llu, and the log holds another "
                            "one there that is "
                            "known as committed: refused, nothing was changed",
                            store->directory, (unsigned long long)install->base.index,
                            (unsigned long long)install->base.term);
    }
    if (result == 0) {
        result = log_store_move_base(store, transaction, &state, install->base, matches, &left_over);
    }
    if (result == 0) {
        result = log_store_put_install(store, transaction, &state, install, left_over);
    }
    if (result == 0) {
        result = log_store_measure(store, transaction, &entries_bytes);
    }
    result = result == MDB_NOTFOUND ? MDB_CORRUPTED : result;
    status = log_store_end(store, transaction, result, doing, error);
    if (status == STORAGE_OK) {
        pthread_mutex_lock(&store->mutex);
        store->cached = state;
        store->left_over = left_over;
        store->entries_bytes = entries_bytes;
        store->map_generation = install->map_generation;
        pthread_mutex_unlock(&store->mutex);
    }
    return status;
}

enum storage_status log_store_install(struct log_store *store, const struct log_install *install,
                                      struct storage_error *error)
{
    struct log_store_state state;
    log_store_get_state(store, &state);
    enum storage_status status = log_store_check_install(store, &state, install, error);
    if (status != STORAGE_OK) {
        return status;
    }
    status = log_store_try_install(store, install, error);
    if (status == STORAGE_FULL) {
        status = log_store_turn_over(store, error);
        if (status == STORAGE_OK) {
            status = log_store_try_install(store, install, error);
        }
    }
    return status;
}
