/* test_storage_log_install.c: the commit point of a snapshot (pitfalls 12 and 13): what stays of the log,
 * what is refused, and logs that are long. Killed processes are in test_storage_install_crash.c, failing
 * disks in test_storage_install_faults.c. */
#include "log_store_internal.h"
#include "storage_file.h"
#include "storage_testing.h"

static const size_t MAP_BYTES = 64 * 1024 * 1024;

static void append(struct log_store *store, uint64_t index, uint64_t term, uint32_t type)
{
    struct storage_error error = {{0}};
    uint8_t bytes[40];
    memset(bytes, (uint8_t)(index + term), sizeof bytes);
    const struct log_entry entry = {
        .id = {.term = term, .index = index}, .type = type, .bytes = bytes, .size = sizeof bytes};
    const struct log_write write = {.entries = &entry, .entries_count = 1};
    assert_ok(log_store_write(store, &write, &error), error);
}

static void set_hard_state(struct log_store *store, uint64_t term, uint64_t commit_hint)
{
    struct storage_error error = {{0}};
    const struct log_hard_state hard_state = {.term = term, .vote = 7};
    const struct log_write write = {.hard_state = &hard_state, .commit_hint = commit_hint};
    assert_ok(log_store_write(store, &write, &error), error);
}

/* Entries 1 to 20, of terms 1, 2, 3, 4 in turn for five each; memberships at 3, 12 and 18; term 9. */
static struct log_store *open_with_entries(const char *directory)
{
    struct log_store *store = testing_open_log(directory, MAP_BYTES);
    for (uint64_t index = 1; index <= 20; index++) {
        bool membership = index == 3 || index == 12 || index == 18;
        append(store, index, (index + 4) / 5, membership ? LOG_ENTRY_MEMBERSHIP : 2);
    }
    set_hard_state(store, 9, 0);
    return store;
}

static enum storage_status install_after(struct log_store *store, uint64_t term, uint64_t index,
                                         struct log_entry_id live_applied, struct storage_error *error)
{
    const struct log_install install = {
        .map_generation = log_store_map_generation(store) + 1,
        .base = {.term = term, .index = index},
        .live_applied = live_applied,
    };
    return log_store_install(store, &install, error);
}

static enum storage_status install(struct log_store *store, uint64_t term, uint64_t index,
                                   struct storage_error *error)
{
    return install_after(store, term, index, (struct log_entry_id){0}, error);
}

static void count_entry(void *context, const struct log_entry *entry)
{
    uint64_t *next = context;
    uint8_t bytes[40];
    memset(bytes, (uint8_t)(entry->id.index + entry->id.term), sizeof bytes);
    assert_int_equal(entry->id.index, *next);
    assert_int_equal(entry->size, sizeof bytes);
    assert_memory_equal(entry->bytes, bytes, sizeof bytes);
    (*next)++;
}

static void count_run(void *context, uint64_t first_index, uint64_t term)
{
    uint64_t *sum = context;
    *sum = *sum * 100 + first_index * 10 + term;
}

static void count_membership(void *context, const struct log_entry *entry)
{
    uint64_t *sum = context;
    *sum = *sum * 100 + entry->id.index;
}

struct expected {
    struct log_entry_id base;
    struct log_entry_id last;
    uint64_t memberships; /* their indexes, two digits each */
    uint64_t generation;
};

static void assert_log(struct log_store *store, struct expected expected)
{
    struct storage_error error = {{0}};
    struct log_store_state state = testing_log_state(store);
    assert_int_equal(state.base.index, expected.base.index);
    assert_int_equal(state.base.term, expected.base.term);
    assert_int_equal(state.last.index, expected.last.index);
    assert_int_equal(state.last.term, expected.last.term);
    assert_true(state.commit_hint <= state.last.index);
    assert_int_equal(log_store_map_generation(store), expected.generation);
    uint64_t next = state.base.index + 1;
    if (state.last.index > state.base.index) {
        assert_ok(log_store_read(store, next, state.last.index, SIZE_MAX, count_entry, &next, &error), error);
    }
    assert_int_equal(next, state.last.index + 1);
    uint64_t memberships = 0;
    assert_ok(log_store_memberships(store, count_membership, &memberships, &error), error);
    assert_int_equal(memberships, expected.memberships);
}

static void assert_log_twice(struct log_store **store, const char *directory, struct expected expected)
{
    assert_log(*store, expected);
    log_store_close(*store);
    *store = testing_open_log(directory, MAP_BYTES);
    assert_log(*store, expected);
}

static uint64_t runs(struct log_store *store)
{
    uint64_t sum = 0;
    struct storage_error error = {{0}};
    assert_ok(log_store_term_runs(store, count_run, &sum, &error), error);
    return sum;
}

static void pitfall_12_a_snapshot_beyond_the_log_empties_it(void **state)
{
    struct log_store *store = open_with_entries(*state);
    struct storage_error error = {{0}};
    assert_ok(install(store, 8, 1000, &error), error);
    const struct expected expected = {{8, 1000}, {8, 1000}, 0, 2};
    assert_log_twice(&store, *state, expected);
    assert_int_equal(testing_log_state(store).hard_state.term, 9);
    assert_int_equal(testing_log_state(store).hard_state.vote, 7);
    assert_int_equal(testing_log_state(store).commit_hint, 1000);
    assert_int_equal(runs(store), 0);
    /* And it goes on. */
    append(store, 1001, 8, LOG_ENTRY_MEMBERSHIP);
    append(store, 1002, 9, 2);
    assert_log_twice(&store, *state, (struct expected){{8, 1000}, {9, 1002}, 1001, 2});
    log_store_close(store);
}

static void pitfall_13_entries_after_a_matching_one_stay(void **state)
{
    struct log_store *store = open_with_entries(*state);
    struct storage_error error = {{0}};
    assert_ok(install(store, 3, 12, &error), error);
    const struct expected expected = {{3, 12}, {4, 20}, 18, 2};
    assert_int_equal(store->left_over, 1);
    assert_log_twice(&store, *state, expected);
    assert_int_equal(store->left_over, 1);
    assert_int_equal(runs(store), (13 * 10 + 3) * 100 + 16 * 10 + 4);
    set_hard_state(store, 10, 15); /* any write drops what was left over */
    assert_int_equal(store->left_over, 0);
    assert_log_twice(&store, *state, expected);
    append(store, 21, 4, 2);
    assert_log_twice(&store, *state, (struct expected){{3, 12}, {4, 21}, 18, 2});
    log_store_close(store);
}

static void pitfall_13_a_conflicting_entry_takes_the_whole_log_with_it(void **state)
{
    struct log_store *store = open_with_entries(*state);
    struct storage_error error = {{0}};
    assert_ok(install(store, 5, 12, &error), error); /* ours is of term 3 */
    assert_log_twice(&store, *state, (struct expected){{5, 12}, {5, 12}, 0, 2});
    assert_int_equal(store->left_over, 0);
    log_store_close(store);
}

static void a_snapshot_up_to_the_last_entry_empties_the_log(void **state)
{
    struct log_store *store = open_with_entries(*state);
    struct storage_error error = {{0}};
    assert_ok(install(store, 4, 20, &error), error);
    assert_log_twice(&store, *state, (struct expected){{4, 20}, {4, 20}, 0, 2});
    append(store, 21, 9, 2);
    assert_log_twice(&store, *state, (struct expected){{4, 20}, {9, 21}, 0, 2});
    log_store_close(store);
}

static void pitfall_13_a_second_snapshot_in_quick_succession(void **state)
{
    struct log_store *store = open_with_entries(*state);
    struct storage_error error = {{0}};
    assert_ok(install(store, 2, 6, &error), error);
    /* The same again (another leader sent it too): everything after it stays. */
    assert_ok(install(store, 2, 6, &error), error);
    assert_log_twice(&store, *state, (struct expected){{2, 6}, {4, 20}, 1218, 3});
    /* A later one, while entries of the first are still left over. */
    assert_ok(install(store, 4, 17, &error), error);
    assert_int_equal(store->left_over, 1);
    assert_log_twice(&store, *state, (struct expected){{4, 17}, {4, 20}, 18, 4});
    /* Older than it: refused, and nothing was changed. */
    assert_int_equal(install(store, 2, 6, &error), STORAGE_OUTDATED);
    assert_non_null(strstr(error.text, "older"));
    assert_int_equal(install(store, 3, 16, &error), STORAGE_OUTDATED);
    assert_log_twice(&store, *state, (struct expected){{4, 17}, {4, 20}, 18, 4});
    assert_ok(install(store, 4, 20, &error), error);
    assert_int_equal(store->left_over, 0);
    assert_log_twice(&store, *state, (struct expected){{4, 20}, {4, 20}, 0, 5});
    log_store_close(store);
}

static void an_install_does_not_go_back_behind_the_live_map(void **state)
{
    struct log_store *store = open_with_entries(*state);
    struct storage_error error = {{0}};
    const struct log_entry_id live = {.term = 3, .index = 14};
    assert_int_equal(install_after(store, 3, 13, live, &error), STORAGE_OUTDATED);
    assert_int_equal(install_after(store, 2, 14, live, &error), STORAGE_CORRUPT);
    assert_int_equal(install_after(store, 4, 14, live, &error), STORAGE_CORRUPT);
    assert_log_twice(&store, *state, (struct expected){{0, 0}, {4, 20}, 31218, 1});
    assert_ok(install_after(store, 3, 14, live, &error), error);
    assert_log_twice(&store, *state, (struct expected){{3, 14}, {4, 20}, 18, 2});
    log_store_close(store);
}

static void what_contradicts_the_log_is_refused(void **state)
{
    struct log_store *store = open_with_entries(*state);
    struct storage_error error = {{0}};
    set_hard_state(store, 9, 12);
    assert_int_equal(install(store, 10, 1000, &error), STORAGE_CORRUPT); /* a term that nobody has seen */
    assert_non_null(strstr(error.text, "contradicts"));
    assert_int_equal(install(store, 5, 12, &error), STORAGE_CORRUPT); /* entry 12 is committed, of term 3 */
    assert_non_null(strstr(error.text, "committed"));
    assert_log(store, (struct expected){{0, 0}, {4, 20}, 31218, 1});
    assert_ok(install(store, 3, 12, &error), error); /* it was a refusal, not a failure */
    assert_int_equal(install(store, 2, 12, &error), STORAGE_CORRUPT);
    assert_int_equal(install(store, 2, 15, &error), STORAGE_CORRUPT); /* a term below the base's */
    assert_log_twice(&store, *state, (struct expected){{3, 12}, {4, 20}, 18, 2});
    log_store_close(store);
}

static void hard_state_and_identity_go_with_it(void **state)
{
    struct log_store *store = testing_open_log(*state, MAP_BYTES);
    struct storage_error error = {{0}};
    const struct log_hard_state hard_state = {.term = 30, .vote = 2};
    const struct log_identity identity = {.node_id = 5,
                                          .disk_id = 6,
                                          .formation = LOG_FORMATION_FORMED,
                                          .cluster_id = {7, 8},
                                          .members_count = 1,
                                          .members = {{5, 6}}};
    const struct log_install install = {.map_generation = 2,
                                        .base = {.term = 30, .index = 77},
                                        .hard_state = &hard_state,
                                        .identity = &identity};
    assert_ok(log_store_install(store, &install, &error), error);
    for (int i = 0; i < 2; i++) {
        struct log_identity found;
        bool there = false;
        assert_log_twice(&store, *state, (struct expected){{30, 77}, {30, 77}, 0, 2});
        assert_ok(log_store_read_identity(store, &found, &there, &error), error);
        assert_true(there);
        assert_int_equal(found.cluster_id[1], 8);
        assert_int_equal(found.members[0].disk_id, 6);
        assert_int_equal(testing_log_state(store).hard_state.term, 30);
    }
    log_store_close(store);
}

static void left_overs_that_are_not_where_they_should_be_are_refused_at_start(void **state)
{
    const uint64_t wrong[] = {2, 13, 14, 21};
    struct storage_error error = {{0}};
    struct log_store *store = open_with_entries(*state);
    assert_ok(install(store, 3, 12, &error), error);
    for (size_t i = 0; i < 4; i++) {
        log_store_close(store);
        testing_damage_record(*state, "state", LOG_STATE_LEFT_OVER, (const uint8_t *)&wrong[i], 8);
        const struct log_store_options options = {.directory = *state, .map_bytes = MAP_BYTES};
        assert_int_equal(log_store_open(&options, &store, &error), STORAGE_CORRUPT);
        assert_non_null(strstr(error.text, "gap"));
        const uint64_t right = 1;
        testing_damage_record(*state, "state", LOG_STATE_LEFT_OVER, (const uint8_t *)&right, 8);
        store = testing_open_log(*state, MAP_BYTES);
        assert_int_equal(testing_log_state(store).last.index, 20);
    }
    log_store_close(store);
}

static void a_left_over_entry_that_is_gone_stops_the_log(void **state)
{
    struct storage_error error = {{0}};
    struct log_store *store = open_with_entries(*state);
    assert_ok(install(store, 3, 12, &error), error);
    MDB_txn *transaction = NULL;
    uint64_t index = 4;
    MDB_val key = {sizeof index, &index};
    assert_int_equal(mdb_txn_begin(store->environment, NULL, 0, &transaction), 0);
    assert_int_equal(mdb_del(transaction, store->entries, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(transaction), 0);
    const struct log_hard_state hard_state = {.term = 9};
    const struct log_write write = {.hard_state = &hard_state};
    assert_int_equal(log_store_write(store, &write, &error), STORAGE_CORRUPT);
    assert_int_equal(install(store, 4, 20, &error), STORAGE_FAILED); /* poisoned */
    log_store_close(store);
}

/* ---- long logs ---- */

static uint64_t entries_wanted(void)
{
    const char *wanted = getenv("KVD_TEST_ENTRIES"); /* to try with millions */
    return wanted != NULL ? strtoull(wanted, NULL, 10) : 60000;
}

static void fill(struct log_store *store, uint64_t count, uint32_t size)
{
    enum { BATCH = 4096 };
    struct storage_error error = {{0}};
    static struct log_entry entries[BATCH];
    static uint8_t bytes[8192];
    assert_true(size <= sizeof bytes);
    for (uint64_t index = 1; index <= count;) {
        size_t n = 0;
        for (; n < BATCH && index <= count; n++, index++) {
            entries[n] = (struct log_entry){.id = {.term = 1 + index * 10 / count, .index = index},
                                            .type = index % 1000 == 0 ? LOG_ENTRY_MEMBERSHIP : 2,
                                            .bytes = bytes,
                                            .size = size};
        }
        const struct log_write write = {.entries = entries, .entries_count = n};
        assert_ok(log_store_write(store, &write, &error), error);
    }
    set_hard_state(store, 20, 0);
}

static void count_only(void *context, const struct log_entry *entry)
{
    (void)entry;
    ++*(uint64_t *)context;
}

static void pitfall_26_a_long_log_is_emptied_at_once(void **state)
{
    /* Entries of a page of their own too, for those are freed one by one. */
    for (uint32_t size = 40; size <= 4040; size += 4000) {
        char *path = temp_directory_join(*state, size == 40 ? "small" : "large");
        uint64_t count = entries_wanted() / (size == 40 ? 1 : 4);
        struct storage_error error = {{0}};
        assert_ok(storage_create_directory(path, &error), error);
        struct log_store *store = testing_open_log(path, (size_t)4 << 30);
        struct log_store_usage usage;
        fill(store, count, size);
        log_store_get_usage(store, &usage);
        uint64_t file_bytes = usage.file_bytes;
        assert_ok(install(store, 20, count + 5, &error), error);
        log_store_get_usage(store, &usage);
        assert_true(usage.entries_bytes < 8192);
        assert_int_equal(testing_log_state(store).last.index, count + 5);
        log_store_close(store);
        store = testing_open_log(path, (size_t)4 << 30);
        assert_log(store, (struct expected){{20, count + 5}, {20, count + 5}, 0, 2});
        /* What was freed is used again. */
        for (uint64_t i = 1; i <= 100; i++) {
            append(store, count + 5 + i, 20, 2);
        }
        log_store_get_usage(store, &usage);
        assert_true(usage.file_bytes < file_bytes + file_bytes / 4 + 1024 * 1024);
        log_store_close(store);
        temp_directory_remove(path);
    }
}

static void pitfall_26_a_long_log_whose_end_stays_is_shortened_in_pieces(void **state)
{
    struct storage_error error = {{0}};
    uint64_t count = entries_wanted();
    struct log_store *store = testing_open_log(*state, (size_t)4 << 30);
    struct log_store_usage usage;
    fill(store, count, 40);
    log_store_get_usage(store, &usage);
    uint64_t all_bytes = usage.entries_bytes;
    uint64_t keep_from = count - 1000;
    assert_ok(install(store, 1 + keep_from * 10 / count, keep_from, &error), error);
    uint64_t left_over = 1;
    uint64_t last = count;
    for (int round = 0; store->left_over != 0; round++) {
        /* Writes of all kinds, and restarts, while it goes. */
        append(store, ++last, 20, 2);
        assert_true(store->left_over == 0 || store->left_over >= left_over + 256);
        left_over = store->left_over;
        const struct log_write write = {.compact_to = keep_from + 10, .compact_entries_max = 2000};
        assert_ok(log_store_write(store, &write, &error), error);
        /* The base moves on when they are gone, and not before. */
        assert_int_equal(testing_log_state(store).base.index, left_over != 0 ? keep_from : keep_from + 10);
        if (round % 5 == 0) {
            log_store_close(store);
            store = testing_open_log(*state, (size_t)4 << 30);
        }
        struct log_store_state found = testing_log_state(store);
        uint64_t entries = 0;
        assert_int_equal(found.last.index, last);
        assert_ok(log_store_read(store, found.base.index + 1, last, SIZE_MAX, count_only, &entries, &error),
                  error);
        assert_int_equal(entries, last - found.base.index);
    }
    log_store_get_usage(store, &usage);
    assert_true(usage.entries_bytes < all_bytes / 2);
    const struct log_write write = {.compact_to = keep_from + 10, .compact_entries_max = 2000};
    assert_ok(log_store_write(store, &write, &error), error);
    assert_int_equal(testing_log_state(store).base.index, keep_from + 10);
    log_store_close(store);
}

static void pitfall_19_an_install_finds_room_in_a_full_log(void **state)
{
    struct storage_error error = {{0}};
    struct log_store *store = testing_open_log(*state, 4 * 1024 * 1024);
    static uint8_t bytes[3000];
    uint64_t last = 0;
    while (testing_append(store, last + 1, 1, bytes, sizeof bytes, &error) == STORAGE_OK) {
        last++;
    }
    assert_true(last > 100);
    const struct log_hard_state hard_state = {.term = 1};
    const struct log_write write = {.hard_state = &hard_state};
    assert_ok(log_store_write(store, &write, &error), error);
    assert_ok(install(store, 1, last - 10, &error), error);
    assert_ok(install(store, 1, last, &error), error);
    assert_int_equal(testing_log_state(store).last.index, last);
    for (int i = 0; i < 100; i++) {
        assert_ok(testing_append(store, ++last, 1, bytes, sizeof bytes, &error), error);
    }
    log_store_close(store);
}

static void pitfall_19_an_install_that_finds_no_page_changes_nothing(void **state)
{
    /* Fuller than the log's own writes ever make it: somebody else's bytes, down to the last page, and
     * somebody who reads, so that no page that was freed can be used again. */
    struct storage_error error = {{0}};
    struct log_store *store = testing_open_log(*state, 1024 * 1024);
    static uint8_t bytes[100 * 1024];
    append(store, 1, 1, 2);
    set_hard_state(store, 1, 0);
    MDB_txn *reader = NULL;
    assert_int_equal(mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &reader), 0);
    for (uint32_t size = sizeof bytes; size >= 1024; size /= 2) {
        for (uint32_t i = 0;; i++) {
            uint32_t name[2] = {size, i};
            MDB_val key = {sizeof name, name};
            MDB_val value = {size, bytes};
            MDB_txn *transaction = NULL;
            assert_int_equal(mdb_txn_begin(store->environment, NULL, 0, &transaction), 0);
            int result = mdb_put(transaction, store->state, &key, &value, 0);
            if (result == 0) {
                result = mdb_txn_commit(transaction);
            } else {
                mdb_txn_abort(transaction);
            }
            if (result != 0) {
                assert_int_equal(result, MDB_MAP_FULL);
                break;
            }
        }
    }
    assert_int_equal(install(store, 1, 1, &error), STORAGE_FULL);
    assert_non_null(strstr(error.text, "no room"));
    assert_log(store, (struct expected){{0, 0}, {1, 1}, 0, 1});
    assert_int_equal(install(store, 1, 1, &error), STORAGE_FULL); /* it is not poisoned */
    mdb_txn_abort(reader);
    assert_ok(install(store, 1, 1, &error), error);
    assert_log(store, (struct expected){{1, 1}, {1, 1}, 0, 2});
    log_store_close(store);
}

/* ---- against a plain model ---- */

enum { MODEL_ENTRIES_MAX = 4000, MODEL_STEPS = 500 };

struct model {
    struct log_entry_id base;
    uint64_t last;
    uint64_t term; /* of the hard state */
    uint64_t generation;
    uint64_t terms[MODEL_ENTRIES_MAX];
    uint32_t types[MODEL_ENTRIES_MAX];
};

static struct log_entry_id model_last(const struct model *model)
{
    return model->last == model->base.index
               ? model->base
               : (struct log_entry_id){.term = model->terms[model->last], .index = model->last};
}

static void model_append(struct model *model, struct log_store *store, uint64_t *random)
{
    uint64_t from = model->last + 1;
    if (testing_random_below(random, 4) == 0) {
        uint64_t back = testing_random_below(random, 6);
        from = model->last - model->base.index > back ? from - back : model->base.index + 1;
        model->term++;
    }
    model->last = from - 1;
    struct storage_error error = {{0}};
    struct log_entry entries[8];
    uint64_t count = 1 + testing_random_below(random, 8);
    uint64_t term = model_last(model).term > model->term ? model_last(model).term : model->term;
    uint8_t filled[8][40];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = ++model->last;
        model->terms[index] = term;
        model->types[index] = testing_random_below(random, 5) == 0 ? LOG_ENTRY_MEMBERSHIP : 2;
        memset(filled[i], (uint8_t)(index + term), sizeof filled[i]);
        entries[i] = (struct log_entry){.id = {.term = term, .index = index},
                                        .type = model->types[index],
                                        .bytes = filled[i],
                                        .size = sizeof filled[i]};
    }
    const struct log_hard_state hard_state = {.term = model->term, .vote = 1};
    const struct log_write write = {
        .hard_state = &hard_state, .entries = entries, .entries_count = (size_t)count};
    assert_ok(log_store_write(store, &write, &error), error);
}

static void model_compact(struct model *model, struct log_store *store, uint64_t *random)
{
    struct storage_error error = {{0}};
    uint64_t to = model->base.index + testing_random_below(random, model->last - model->base.index + 1);
    const struct log_write write = {.compact_to = to,
                                    .compact_entries_max = (uint32_t)testing_random_below(random, 300)};
    bool waits = store->left_over != 0;
    uint64_t most = model->base.index + write.compact_entries_max;
    assert_ok(log_store_write(store, &write, &error), error);
    uint64_t moved = waits ? model->base.index : to < most ? to : most;
    if (moved > model->base.index) {
        model->base = (struct log_entry_id){.term = model->terms[moved], .index = moved};
    }
}

static void model_install(struct model *model, struct log_store *store, uint64_t *random)
{
    struct storage_error error = {{0}};
    uint64_t index = model->base.index + testing_random_below(random, model->last - model->base.index + 6);
    bool inside = index > model->base.index && index <= model->last;
    uint64_t term = index == model->base.index ? model->base.term
                    : inside                   ? model->terms[index]
                                               : model->term;
    bool conflicts = inside && testing_random_below(random, 4) == 0;
    term = conflicts ? ++model->term : term;
    const struct log_hard_state hard_state = {.term = model->term, .vote = 2};
    const struct log_install request = {.map_generation = ++model->generation,
                                        .base = {.term = term, .index = index},
                                        .hard_state = &hard_state};
    assert_ok(log_store_install(store, &request, &error), error);
    model->base = request.base;
    if (conflicts || index > model->last) {
        model->last = index;
    }
}

static void compare(const struct model *model, struct log_store *store)
{
    uint64_t memberships = 0;
    uint64_t term_runs = 0;
    for (uint64_t index = model->base.index + 1; index <= model->last; index++) {
        bool starts = index == model->base.index + 1 || model->terms[index] != model->terms[index - 1];
        memberships = model->types[index] == LOG_ENTRY_MEMBERSHIP ? memberships * 100 + index : memberships;
        term_runs = starts ? term_runs * 100 + index * 10 + model->terms[index] : term_runs;
    }
    struct log_entry_id last = model_last(model);
    assert_log(store, (struct expected){model->base, last, memberships, model->generation});
    assert_int_equal(runs(store), term_runs);
}

static void random_histories_agree_with_a_plain_model(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        char name[16];
        struct storage_error error = {{0}};
        snprintf(name, sizeof name, "%d", (int)seed);
        char *path = temp_directory_join(*state, name);
        assert_ok(storage_create_directory(path, &error), error);
        struct log_store *store = testing_open_log(path, MAP_BYTES);
        struct model *model = calloc(1, sizeof *model);
        uint64_t random = seed;
        model->generation = 1;
        model->term = 1;
        for (int step = 0; step < MODEL_STEPS && model->last + 20 < MODEL_ENTRIES_MAX; step++) {
            uint64_t choice = testing_random_below(&random, 100);
            if (choice < 70) {
                model_append(model, store, &random);
            } else if (choice < 80) {
                model_compact(model, store, &random);
            } else if (choice < 82) {
                model_install(model, store, &random);
            } else if (choice < 90) {
                log_store_close(store);
                store = testing_open_log(path, MAP_BYTES);
            }
            compare(model, store);
        }
        assert_true(model->generation > 2);
        log_store_close(store);
        free(model);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        testing_in_directory(pitfall_12_a_snapshot_beyond_the_log_empties_it),
        testing_in_directory(pitfall_13_entries_after_a_matching_one_stay),
        testing_in_directory(pitfall_13_a_conflicting_entry_takes_the_whole_log_with_it),
        testing_in_directory(a_snapshot_up_to_the_last_entry_empties_the_log),
        testing_in_directory(pitfall_13_a_second_snapshot_in_quick_succession),
        testing_in_directory(an_install_does_not_go_back_behind_the_live_map),
        testing_in_directory(what_contradicts_the_log_is_refused),
        testing_in_directory(hard_state_and_identity_go_with_it),
        testing_in_directory(left_overs_that_are_not_where_they_should_be_are_refused_at_start),
        testing_in_directory(a_left_over_entry_that_is_gone_stops_the_log),
        testing_in_directory(pitfall_26_a_long_log_is_emptied_at_once),
        testing_in_directory(pitfall_26_a_long_log_whose_end_stays_is_shortened_in_pieces),
        testing_in_directory(pitfall_19_an_install_finds_room_in_a_full_log),
        testing_in_directory(pitfall_19_an_install_that_finds_no_page_changes_nothing),
        testing_in_directory(random_histories_agree_with_a_plain_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
