/* test_replica_disk_job.c: work on the disk, run whole, with its result. */
#include "disk_job.h"
#include "storage_testing.h"

enum { LOG_BYTES = 16 << 20 };

static struct raft_entry make_entry(uint64_t index, uint64_t term, const char *text)
{
    struct raft_entry entry = {.id = {.term = term, .index = index}, .type = RAFT_ENTRY_NOOP};
    if (text != NULL) {
        entry.type = RAFT_ENTRY_COMMANDS;
        entry.payload = raft_payload_create((uint32_t)strlen(text));
        entry.payload->size = (uint32_t)strlen(text);
        memcpy(entry.payload->bytes, text, entry.payload->size);
    }
    return entry;
}

static struct disk_job *make_write(struct log_store *log, uint64_t first, uint32_t count)
{
    struct disk_job *job = disk_job_create(DISK_JOB_LOG_WRITE, log);
    job->entries = calloc(count, sizeof *job->entries);
    assert_non_null(job->entries);
    job->entries_count = job->entries_capacity = count;
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "entry %u", (unsigned)(first + i));
        job->entries[i] = make_entry(first + i, 1, i % 2 == 0 ? text : NULL);
    }
    return job;
}

static void test_each_kind_has_its_queue(void **state)
{
    (void)state;
    static const struct {
        enum disk_job_kind kind;
        enum disk_queue queue;
    } kinds[] = {{DISK_JOB_LOG_WRITE, DISK_QUEUE_LOG},
                 {DISK_JOB_IDENTITY, DISK_QUEUE_LOG}, /* in order with the log's writes */
                 {DISK_JOB_CHECKPOINT, DISK_QUEUE_MAP},
                 {DISK_JOB_LOG_READ, DISK_QUEUE_READ},
                 {DISK_JOB_FETCH, DISK_QUEUE_FETCH}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct disk_job *job = disk_job_create(kinds[i].kind, NULL);
        assert_int_equal(job->queue, kinds[i].queue);
        disk_job_destroy(job);
    }
    disk_job_destroy(NULL);
}

static void test_what_a_write_wrote_a_read_reads(void **state)
{
    char *directory = *state;
    struct log_store *log = testing_open_log(directory, LOG_BYTES);
    struct disk_job *write = make_write(log, 1, 10);
    write->hard_state = (struct log_hard_state){.term = 3, .vote = 2};
    write->write.hard_state = &write->hard_state;
    write->write.commit_hint = 4;
    disk_job_run(write);
    assert_int_equal(write->status, STORAGE_OK);
    assert_int_equal(write->log_state.last.index, 10);
    assert_int_equal(write->log_state.hard_state.term, 3);
    assert_int_equal(write->log_state.commit_hint, 4);
    disk_job_destroy(write);

    struct disk_job *read = disk_job_create(DISK_JOB_LOG_READ, log);
    read->read =
        (struct raft_log_read){.read_id = 1, .first_index = 3, .last_index = 8, .bytes_max = 1 << 20};
    disk_job_run(read);
    assert_int_equal(read->status, STORAGE_OK);
    assert_int_equal(read->entries_count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        const struct raft_entry *entry = &read->entries[i];
        assert_int_equal(entry->id.index, 3 + i);
        assert_int_equal(entry->id.term, 1);
        assert_int_equal(entry->type, i % 2 == 0 ? RAFT_ENTRY_COMMANDS : RAFT_ENTRY_NOOP);
        assert_int_equal(entry->payload == NULL, i % 2 == 1);
    }
    assert_memory_equal(read->entries[0].payload->bytes, "entry 3", 7);
    disk_job_destroy(read);
    log_store_close(log);
}

static void test_a_read_stops_at_its_bytes_but_reads_one(void **state)
{
    char *directory = *state;
    struct log_store *log = testing_open_log(directory, LOG_BYTES);
    struct disk_job *write = make_write(log, 1, 100);
    disk_job_run(write);
    disk_job_destroy(write);
    struct disk_job *read = disk_job_create(DISK_JOB_LOG_READ, log);
    read->read = (struct raft_log_read){.read_id = 1, .first_index = 1, .last_index = 100, .bytes_max = 1};
    disk_job_run(read);
    assert_int_equal(read->status, STORAGE_OK);
    assert_in_range(read->entries_count, 1, 2);
    disk_job_destroy(read);
    log_store_close(log);
}

static void test_an_identity_is_stored(void **state)
{
    char *directory = *state;
    struct log_store *log = testing_open_log(directory, LOG_BYTES);
    struct disk_job *job = disk_job_create(DISK_JOB_IDENTITY, log);
    job->identity = (struct log_identity){.node_id = 2, .disk_id = 77, .formation = LOG_FORMATION_NONE};
    disk_job_run(job);
    assert_int_equal(job->status, STORAGE_OK);
    disk_job_destroy(job);
    struct log_identity identity;
    bool found = false;
    struct storage_error error;
    assert_int_equal(log_store_read_identity(log, &identity, &found, &error), STORAGE_OK);
    assert_true(found);
    assert_int_equal(identity.disk_id, 77);
    log_store_close(log);
}

static void test_a_checkpoint_is_written(void **state)
{
    char *directory = *state;
    struct map *map = testing_open_map(directory, TESTING_MAP_BYTES);
    testing_put_text(map, "k", "v", 0);
    struct disk_job *job = disk_job_create(DISK_JOB_CHECKPOINT, NULL);
    job->checkpoint = map_freeze(map);
    job->map = map;
    disk_job_run(job);
    assert_int_equal(job->status, STORAGE_OK);
    map_checkpoint_finish(map, job->checkpoint);
    disk_job_destroy(job);
    assert_int_equal(map_durable_index(map), 1);
    map_close(map);
}

static void test_a_failure_is_told_with_its_reason(void **state)
{
    char *directory = *state;
    struct log_store *log = testing_open_log(directory, 256 << 10);
    enum storage_status status = STORAGE_OK;
    uint64_t last = 0;
    for (int i = 0; i < 100 && status == STORAGE_OK; i++) {
        struct disk_job *job = disk_job_create(DISK_JOB_LOG_WRITE, log);
        job->entries = calloc(1, sizeof *job->entries);
        assert_non_null(job->entries);
        job->entries_count = job->entries_capacity = 1;
        job->entries[0] = make_entry(last + 1, 1, NULL);
        job->entries[0].type = RAFT_ENTRY_COMMANDS;
        job->entries[0].payload = raft_payload_create(20000);
        memset(job->entries[0].payload->bytes, 1, 20000);
        job->entries[0].payload->size = 20000;
        disk_job_run(job);
        status = job->status;
        if (status == STORAGE_OK) {
            last = job->log_state.last.index;
        } else {
            assert_string_not_equal(job->error.text, "");
        }
        disk_job_destroy(job);
    }
    assert_int_equal(status, STORAGE_FULL);
    assert_int_equal(testing_log_state(log).last.index, last);
    log_store_close(log);
}

/* What was installed before the rest found no room is not installed again. */
static void test_a_job_that_installs_may_be_done_again(void **state)
{
    char *directory = *state;
    struct log_store *log = testing_open_log(directory, 256 << 10);
    struct disk_job *job = disk_job_create(DISK_JOB_LOG_WRITE, log);
    job->installs = true;
    job->install = (struct log_install){.map_generation = 2, .base = {.term = 3, .index = 10}};
    job->hard_state = (struct log_hard_state){.term = 3, .vote = 0};
    job->write.hard_state = &job->hard_state;
    job->entries = calloc(1, sizeof *job->entries);
    assert_non_null(job->entries);
    job->entries_count = job->entries_capacity = 1;
    job->entries[0] = (struct raft_entry){.id = {3, 11}, .type = RAFT_ENTRY_COMMANDS};
    job->entries[0].payload = raft_payload_create(300 << 10);
    job->entries[0].payload->size = 300 << 10;
    memset(job->entries[0].payload->bytes, 1, 300 << 10);
    for (int i = 0; i < 3; i++) {
        disk_job_run(job);
        assert_int_equal(job->status, STORAGE_FULL);
        assert_true(job->installed);
        assert_int_equal(log_store_map_generation(log), 2);
    }
    job->entries[0].payload->size = 100;
    disk_job_run(job);
    assert_int_equal(job->status, STORAGE_OK);
    assert_int_equal(job->log_state.base.index, 10);
    assert_int_equal(job->log_state.last.index, 11);
    disk_job_destroy(job);
    log_store_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_has_its_queue),
        testing_in_directory(test_what_a_write_wrote_a_read_reads),
        testing_in_directory(test_a_read_stops_at_its_bytes_but_reads_one),
        testing_in_directory(test_an_identity_is_stored),
        testing_in_directory(test_a_checkpoint_is_written),
        testing_in_directory(test_a_failure_is_told_with_its_reason),
        testing_in_directory(test_a_job_that_installs_may_be_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
