/* sim_history_draw.c: the history of a correct server, drawn at random: one operation takes effect per slot
 * of time, and its client called before and hears after it. Some clients never hear; then it may have taken
 * effect long after the call, or never.
 */
#include "sim_history.h"
#include "storage_testing.h"

#include <assert.h>

enum { CLIENTS_MAX = 16, CONNECTIONS = 2 };

struct late_operation {
    struct history_operation operation;
    size_t slot;
};

struct draw {
    const struct sim_history_options *options;
    struct sim_history *history;
    struct plain_key key;
    uint64_t expiry_us; /* the true one */
    uint64_t random;
    uint64_t values_count;
    struct late_operation *late;
    size_t late_count;
    struct last_times {
        uint64_t invoked_us, returned_us;
    } last[CLIENTS_MAX][CONNECTIONS]; /* calls and answers of a connection come in its order */
};

static uint64_t below(struct draw *draw, uint64_t limit)
{
    return testing_random_below(&draw->random, limit);
}

static bool chance(struct draw *draw, unsigned percent)
{
    return below(draw, 100) < percent;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static enum history_kind draw_write_kind(struct draw *draw)
{
    const struct sim_history_options *options = draw->options;
    enum history_kind kinds[24];
    size_t count = 0;
    if (options->mostly_expiry) {
        static const enum history_kind KINDS[] = {HISTORY_SET,     HISTORY_SET,     HISTORY_EXPIRE,
                                                  HISTORY_PERSIST, HISTORY_PERSIST, HISTORY_GETEX};
        return KINDS[below(draw, sizeof KINDS / sizeof KINDS[0])];
    }
    kinds[count++] = HISTORY_SET;
    kinds[count++] = HISTORY_SET;
    kinds[count++] = HISTORY_SET;
    kinds[count++] = HISTORY_GETSET;
    kinds[count++] = HISTORY_DEL;
    if (options->with_conditions) {
        kinds[count++] = HISTORY_SETNX;
        kinds[count++] = HISTORY_GETDEL;
    }
    if (options->with_counters) {
        kinds[count++] = HISTORY_INCRBY;
        kinds[count++] = HISTORY_INCRBY;
        kinds[count++] = HISTORY_INCRBY;
        kinds[count++] = HISTORY_INCRBY;
    }
    if (options->with_appends) {
        kinds[count++] = HISTORY_APPEND;
        kinds[count++] = HISTORY_APPEND;
    }
    if (options->with_expiry) {
        kinds[count++] = HISTORY_EXPIRE;
        kinds[count++] = HISTORY_EXPIRE;
        kinds[count++] = HISTORY_PERSIST;
        kinds[count++] = HISTORY_GETEX;
    }
    return kinds[below(draw, count)];
}

static enum history_kind draw_read_kind(struct draw *draw)
{
    static const enum history_kind KINDS[] = {HISTORY_GET, HISTORY_GET,    HISTORY_GET,
                                              HISTORY_GET, HISTORY_EXISTS, HISTORY_STRLEN};
    size_t i = below(draw, 6);
    if (KINDS[i] == HISTORY_STRLEN && !draw->options->with_appends) {
        return draw->options->with_expiry ? HISTORY_TTL : HISTORY_GET;
    }
    return KINDS[i];
}

static void draw_value(struct draw *draw, struct history_operation *operation)
{
    char text[32];
    int size;
    if (draw->options->small_values) {
        static const char *const VALUES[] = {"a", "b", "ab", "1", "2", "-", ""};
        size = snprintf(text, sizeof text, "%s", VALUES[below(draw, 7)]);
    } else if (operation->kind == HISTORY_APPEND) {
        size = snprintf(text, sizeof text, ".%d", (int)(draw->values_count++ % 1000));
    } else {
        const bool is_number = draw->options->with_counters && chance(draw, 50);
        size = snprintf(text, sizeof text, is_number ? "%d000" : "v%d", (int)++draw->values_count);
    }
    operation->size = (size_t)size;
    operation->bytes = sim_history_keep(draw->history, text, operation->size);
}

static void draw_options(struct draw *draw, struct history_operation *operation)
{
    const bool can_expire = draw->options->with_expiry;
    if (operation->kind == HISTORY_SET) {
        if (draw->options->with_conditions && chance(draw, 30)) {
            operation->options |= chance(draw, 50) ? HISTORY_NX : HISTORY_XX;
        }
        if (draw->options->with_conditions && chance(draw, 20)) {
            operation->options |= HISTORY_RETURN_OLD;
        }
        if (can_expire && chance(draw, 40)) {
            operation->options |= chance(draw, 70) ? HISTORY_EXPIRY : HISTORY_KEEPTTL;
        }
    } else if (operation->kind == HISTORY_GETEX) {
        const uint32_t options[] = {0, HISTORY_EXPIRY, HISTORY_REMOVE_EXPIRY};
        operation->options = options[below(draw, 3)];
    } else if (operation->kind == HISTORY_EXPIRE && draw->options->with_conditions) {
        const uint32_t options[] = {0,          0,          0,          HISTORY_NX,
                                    HISTORY_XX, HISTORY_GT, HISTORY_LT, HISTORY_XX | HISTORY_LT};
        operation->options = options[below(draw, 8)];
    }
    if (operation->kind == HISTORY_EXPIRE || (operation->options & HISTORY_EXPIRY) != 0) {
        const uint64_t slot_us = draw->options->slot_us;
        const bool is_soon = draw->options->mostly_expiry;
        operation->expiry_earliest_us = operation->invoked_us + below(draw, (is_soon ? 5 : 12) * slot_us);
        operation->expiry_latest_us =
            operation->expiry_earliest_us + below(draw, (is_soon ? 1 : 4) * slot_us);
    }
}

/* It takes effect now. The plain model needs to be told what comes of GT and LT. */
static void execute(struct draw *draw, const struct history_operation *drawn, uint64_t now_us,
                    struct plain_reply *reply)
{
    if (draw->key.has_expiry && now_us >= draw->expiry_us) {
        draw->key = (struct plain_key){0};
    }
    const struct plain_key before = draw->key;
    struct history_operation operation = *drawn;
    const bool expires = operation.kind == HISTORY_EXPIRE || (operation.options & HISTORY_EXPIRY) != 0;
    const uint64_t window_us = operation.expiry_latest_us - operation.expiry_earliest_us;
    const uint64_t expiry_us = operation.expiry_earliest_us + (expires ? below(draw, window_us + 1) : 0);
    if ((operation.options & (HISTORY_GT | HISTORY_LT)) != 0) {
        const uint64_t old_us = before.has_expiry ? draw->expiry_us : UINT64_MAX;
        operation.outcome = HISTORY_DONE;
        operation.reply_integer =
            (operation.options & HISTORY_GT) != 0 ? expiry_us > old_us : expiry_us < old_us;
    }
    plain_key_apply(&draw->key, &operation, reply);
    if (draw->key.has_expiry &&
        (!before.has_expiry || before.expiry_earliest_us != draw->key.expiry_earliest_us ||
         before.expiry_latest_us != draw->key.expiry_latest_us)) {
        draw->expiry_us = expiry_us;
    }
}

static struct history_operation draw_operation(struct draw *draw, size_t slot, uint64_t now_us)
{
    struct history_operation operation = {.outcome = HISTORY_DONE};
    operation.client = below(draw, draw->options->clients_count);
    operation.connection = below(draw, CONNECTIONS);
    operation.sequence = slot;
    operation.kind = chance(draw, draw->options->read_percent) ? draw_read_kind(draw) : draw_write_kind(draw);
    if (operation.kind == HISTORY_APPEND && draw->key.size > PLAIN_BYTES_MAX / 2) {
        operation.kind = HISTORY_DEL;
    }
    const uint64_t half_us = draw->options->half_span_us;
    uint64_t before_us = below(draw, half_us + 1), after_us = below(draw, half_us + 1);
    operation.invoked_us = now_us - (before_us < now_us ? before_us : now_us);
    operation.returned_us = now_us + after_us;
    struct last_times *last = &draw->last[operation.client][operation.connection];
    last->invoked_us = operation.invoked_us = later(operation.invoked_us, last->invoked_us);
    if (operation.kind == HISTORY_SET || operation.kind == HISTORY_GETSET ||
        operation.kind == HISTORY_SETNX || operation.kind == HISTORY_APPEND) {
        draw_value(draw, &operation);
    } else if (operation.kind == HISTORY_INCRBY) {
        static const int64_t DELTAS[] = {1, 1, 1, -1, 7};
        operation.delta = DELTAS[below(draw, 5)];
    }
    draw_options(draw, &operation);
    if (chance(draw, draw->options->unknown_percent)) {
        operation.outcome = HISTORY_UNKNOWN;
        operation.returned_us = UINT64_MAX;
        return operation;
    }
    last->returned_us = operation.returned_us = later(operation.returned_us, last->returned_us);
    if ((draw->options->small_values || operation.kind == HISTORY_SET || operation.kind == HISTORY_DEL) &&
        (operation.options & (HISTORY_GT | HISTORY_LT)) == 0 &&
        chance(draw, 5)) { /* large histories: only what has several keys */
        operation.outcome = HISTORY_DONE_UNCHECKED;
    }
    return operation;
}

static void execute_late(struct draw *draw, size_t slot, uint64_t now_us)
{
    struct plain_reply reply;
    for (size_t i = 0; i < draw->late_count;) {
        struct late_operation *late = &draw->late[i];
        if (late->slot > slot) {
            i++;
            continue;
        }
        if (late->operation.kind != HISTORY_APPEND || draw->key.size < PLAIN_BYTES_MAX / 2) {
            execute(draw, &late->operation, now_us, &reply);
        }
        *late = draw->late[--draw->late_count];
    }
}

void sim_history_draw(struct sim_history *history, const struct sim_history_options *options)
{
    struct draw draw = {.options = options, .history = history, .random = options->seed};
    assert(options->clients_count <= CLIENTS_MAX);
    draw.late = calloc(options->count, sizeof *draw.late);
    assert(draw.late != NULL);
    sim_history_init(history);
    for (size_t slot = 0; slot < options->count; slot++) {
        const uint64_t now_us = (slot + 1) * options->slot_us;
        execute_late(&draw, slot, now_us);
        struct history_operation drawn = draw_operation(&draw, slot, now_us);
        struct history_operation *operation = sim_history_add(history, &drawn);
        if (operation->outcome == HISTORY_UNKNOWN) {
            if (chance(&draw, 60)) {
                draw.late[draw.late_count++] =
                    (struct late_operation){*operation, slot + below(&draw, options->unknown_late_slots + 1)};
                execute_late(&draw, slot, now_us);
            }
            continue;
        }
        struct plain_reply reply;
        execute(&draw, operation, now_us, &reply);
        sim_history_answer(history, operation, &reply);
    }
    free(draw.late);
}
