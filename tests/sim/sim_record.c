/* sim_record.c: see sim_record.h. */
#include "sim_record.h"

#include "linearizability.h"
#include "sim_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS_OF_KEY_MAX = 700, DESCRIPTION_BYTES = 6000 };

enum state { OPEN, ANSWERED, UNKNOWN, FORGOTTEN };

struct operation {
    enum state state;
    uint32_t key;
    enum sim_expiry expiry;
    uint64_t expiry_ms;
    uint64_t log_time_asked_ms, log_time_answered_ms;
    struct history_operation history;
};

/* Log time reached this value at this simulated time. */
struct moment {
    uint64_t log_time_ms, time_us;
};

struct key {
    char name[SIM_KEY_BYTES_MAX];
};

struct sim_record {
    struct operation *operations;
    size_t operations_count, operations_capacity;
    struct moment *moments;
    size_t moments_count, moments_capacity;
    struct key *keys;
    size_t keys_count, keys_capacity;
};

void sim_record_create(struct sim *sim)
{
    sim->record = sim_allocate(sizeof *sim->record);
}

static uint8_t *copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copied = sim_allocate(size + 1);
    if (size > 0) {
        memcpy(copied, bytes, size);
    }
    return copied;
}

void sim_record_destroy(struct sim *sim)
{
    struct sim_record *record = sim->record;
    for (size_t i = 0; i < record->operations_count; i++) {
        free((void *)(uintptr_t)record->operations[i].history.bytes);
        free((void *)(uintptr_t)record->operations[i].history.reply_bytes);
    }
    free(record->operations);
    free(record->moments);
    free(record->keys);
    free(record);
}

/* ---- keys and time ------------------------------------------------------------------------------- */

uint32_t sim_record_key(struct sim *sim, const char *name)
{
    struct sim_record *record = sim->record;
    for (size_t i = 0; i < record->keys_count; i++) {
        if (strcmp(record->keys[i].name, name) == 0) {
            return (uint32_t)i;
        }
    }
    record->keys = sim_grow(record->keys, record->keys_count, &record->keys_capacity, sizeof *record->keys);
    struct key *key = &record->keys[record->keys_count++];
    *key = (struct key){{0}};
    (void)snprintf(key->name, sizeof key->name, "%s", name);
    return (uint32_t)record->keys_count - 1;
}

const char *sim_record_key_name(const struct sim *sim, uint32_t key)
{
    return sim->record->keys[key].name;
}

uint32_t sim_record_keys_count(const struct sim *sim)
{
    return (uint32_t)sim->record->keys_count;
}

void sim_record_log_time(struct sim *sim, uint64_t log_time_ms)
{
    struct sim_record *record = sim->record;
    if (record->moments_count > 0 && record->moments[record->moments_count - 1].log_time_ms >= log_time_ms) {
        return;
    }
    record->moments =
        sim_grow(record->moments, record->moments_count, &record->moments_capacity, sizeof *record->moments);
    record->moments[record->moments_count++] = (struct moment){log_time_ms, sim->now_us};
}

/* When log time was first seen to have reached this. */
static uint64_t time_of(const struct sim_record *record, uint64_t log_time_ms)
{
    size_t low = 0;
    size_t high = record->moments_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (record->moments[middle].log_time_ms >= log_time_ms) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low < record->moments_count ? record->moments[low].time_us : UINT64_MAX;
}

bool sim_record_is_full(const struct sim *sim)
{
    return sim->record->operations_count > sim->record->keys_count * OPERATIONS_OF_KEY_MAX;
}

/* ---- recording ----------------------------------------------------------------------------------- */

size_t sim_record_ask(struct sim *sim, uint64_t client, uint64_t connection, const struct sim_asked *asked)
{
    struct sim_record *record = sim->record;
    record->operations = sim_grow(record->operations, record->operations_count, &record->operations_capacity,
                                  sizeof *record->operations);
    size_t number = record->operations_count++;
    record->operations[number] = (struct operation){
        .key = asked->key,
        .expiry = asked->expiry,
        .expiry_ms = asked->expiry_ms,
        .log_time_asked_ms = sim_check_log_time_ms(sim),
        .history =
            {
                .client = client,
                .connection = connection,
                .sequence = number,
                .invoked_us = sim->now_us,
                .kind = asked->kind,
                .options = asked->options,
                .bytes = copy(asked->bytes, asked->size),
                .size = asked->size,
                .delta = asked->delta,
            },
    };
    return number;
}

static struct operation *end(struct sim *sim, size_t number, enum state state)
{
    struct operation *operation = &sim->record->operations[number];
    if (operation->state != OPEN) {
        sim_fail(sim, SIM_HISTORY, "operation %zu was answered twice", number);
    }
    operation->state = state;
    operation->history.returned_us = sim->now_us;
    operation->log_time_answered_ms = sim_check_log_time_ms(sim);
    return operation;
}

void sim_record_answer(struct sim *sim, size_t number, enum history_reply reply, int64_t integer,
                       const uint8_t *bytes, size_t size)
{
    struct operation *operation = end(sim, number, ANSWERED);
    operation->history.outcome = HISTORY_DONE;
    operation->history.reply = reply;
    operation->history.reply_integer = integer;
    operation->history.reply_bytes = copy(bytes, size);
    operation->history.reply_size = size;
}

void sim_record_answer_unchecked(struct sim *sim, size_t number)
{
    end(sim, number, ANSWERED)->history.outcome = HISTORY_DONE_UNCHECKED;
}

void sim_record_unknown(struct sim *sim, size_t number)
{
    struct operation *operation = end(sim, number, UNKNOWN);
    operation->history.outcome = HISTORY_UNKNOWN;
    operation->history.returned_us = UINT64_MAX;
}

void sim_record_forget(struct sim *sim, size_t number)
{
    (void)end(sim, number, FORGOTTEN);
}

/* ---- checking ------------------------------------------------------------------------------------ */

static void set_window(const struct sim_record *record, struct operation *operation)
{
    uint64_t earliest_ms = operation->expiry_ms;
    uint64_t latest_ms = operation->expiry_ms;
    if (operation->expiry == SIM_EXPIRY_NONE) {
        return;
    }
    if (operation->expiry == SIM_EXPIRY_PAST) {
        operation->history.expiry_earliest_us = operation->history.expiry_latest_us = 0;
        return;
    }
    if (operation->expiry == SIM_EXPIRY_IN) {
        earliest_ms += operation->log_time_asked_ms;
        latest_ms += operation->log_time_answered_ms;
    }
    operation->history.expiry_earliest_us = time_of(record, earliest_ms);
    operation->history.expiry_latest_us = time_of(record, latest_ms);
    if (operation->state == UNKNOWN && operation->expiry == SIM_EXPIRY_IN) {
        operation->history.expiry_latest_us = UINT64_MAX;
    }
}

/* Of the counter's increments. */
static void check_counter(struct sim *sim, uint32_t key, const struct history_operation *operations,
                          size_t count)
{
    int64_t acknowledged = 0;
    int64_t low = 0;
    int64_t high = 0;
    int64_t last = 0;
    uint64_t last_us = 0;
    for (size_t i = 0; i < count; i++) {
        const struct history_operation *operation = &operations[i];
        bool counts = operation->kind == HISTORY_INCRBY;
        if (!counts && operation->kind != HISTORY_GET) {
            return; /* it was flushed in between */
        }
        if (!counts && operation->outcome == HISTORY_DONE && operation->returned_us >= last_us) {
            last_us = operation->returned_us;
            last = operation->reply_size == 0 ? 0 : strtoll((const char *)operation->reply_bytes, NULL, 10);
        } else if (counts && operation->outcome == HISTORY_UNKNOWN) {
            low += operation->delta < 0 ? operation->delta : 0;
            high += operation->delta > 0 ? operation->delta : 0;
        } else if (counts) {
            acknowledged += operation->delta;
        }
    }
    if (last < acknowledged + low || last > acknowledged + high) {
        sim_fail(sim, SIM_HISTORY,
                 "%s is %" PRId64 " at the end: %" PRId64 " were acknowledged, from %" PRId64 " to %" PRId64
                 " are unknown",
                 sim_record_key_name(sim, key), last, acknowledged, low, high);
    }
}

static void check_key(struct sim *sim, uint32_t key, const struct history_operation *operations, size_t count)
{
    struct linearizability_report report;
    linearizability_check(operations, count, sim->history_steps_max, &report);
    sim_note(sim, 20, report.steps);
    if (report.verdict == NOT_LINEARIZABLE) {
        char text[DESCRIPTION_BYTES];
        (void)linearizability_describe(operations, count, &report, text, sizeof text);
        sim_trace(sim, NULL, SIM_TRACE_STORY, "the history of %s:\n%s", sim_record_key_name(sim, key), text);
        (void)history_operation_describe(&operations[report.unexplained], text, sizeof text);
        sim_fail(sim, SIM_HISTORY, "the history of %s is not linearizable: nothing explains %s",
                 sim_record_key_name(sim, key), text);
    }
    if (report.verdict == LINEARIZABILITY_GAVE_UP) {
        sim->counts.undecided_keys++;
    }
    sim->counts.keys++;
    linearizability_report_deinit(&report);
    if (sim_record_key_name(sim, key)[0] == 'c') {
        check_counter(sim, key, operations, count);
    }
}

/* Some answered GET gets an answer that nobody ever wrote. */
static void alter(struct sim *sim)
{
    struct sim_record *record = sim->record;
    for (size_t i = record->operations_count; i > 0; i--) {
        struct operation *operation = &record->operations[i - 1];
        if (operation->state == ANSWERED && operation->history.kind == HISTORY_GET &&
            operation->history.outcome == HISTORY_DONE) {
            free((void *)(uintptr_t)operation->history.reply_bytes);
            operation->history.reply = HISTORY_BYTES;
            operation->history.reply_bytes = copy((const uint8_t *)"canary", 6);
            operation->history.reply_size = 6;
            return;
        }
    }
}

void sim_record_check(struct sim *sim, bool canary)
{
    struct sim_record *record = sim->record;
    if (canary) {
        alter(sim);
    }
    struct history_operation *operations = sim_allocate((record->operations_count + 1) * sizeof *operations);
    for (uint32_t key = 0; key < record->keys_count; key++) {
        size_t count = 0;
        for (size_t i = 0; i < record->operations_count; i++) {
            struct operation *operation = &record->operations[i];
            if (operation->key == key && (operation->state == ANSWERED || operation->state == UNKNOWN)) {
                set_window(record, operation);
                operations[count++] = operation->history;
            }
        }
        check_key(sim, key, operations, count);
    }
    free(operations);
}
