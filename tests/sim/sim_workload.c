/* sim_workload.c: see sim_workload.h. */
#include "sim_workload.h"

#include "sim_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 16, WORD_BYTES = 32, TTL_MS_MAX = 4000, VALUE_BYTES_MAX = 8192 };

/* A command that is being put together. */
struct draft {
    struct sim *sim;
    uint64_t client, connection;
    struct sim_command *command;
    struct byte_buffer *out;
    const char *words[WORDS_MAX];
    size_t sizes[WORDS_MAX];
    uint32_t count;
    char memory[WORDS_MAX][WORD_BYTES];
    char value[VALUE_BYTES_MAX];
    size_t value_bytes;
};

/* ---- words --------------------------------------------------------------------------------------- */

static void add_bytes(struct draft *draft, const char *bytes, size_t size)
{
    draft->words[draft->count] = bytes;
    draft->sizes[draft->count++] = size;
}

static void add(struct draft *draft, const char *word)
{
    add_bytes(draft, word, strlen(word));
}

static void add_number(struct draft *draft, int64_t number)
{
    char *memory = draft->memory[draft->count];
    (void)snprintf(memory, WORD_BYTES, "%" PRId64, number);
    add(draft, memory);
}

static void send_draft(struct draft *draft)
{
    char line[64];
    char *text = draft->command->text;
    size_t used = 0;
    int size = snprintf(line, sizeof line, "*%u\r\n", draft->count);
    byte_buffer_append(draft->out, line, (size_t)size);
    text[0] = '\0';
    for (uint32_t i = 0; i < draft->count; i++) {
        size = snprintf(line, sizeof line, "$%zu\r\n", draft->sizes[i]);
        byte_buffer_append(draft->out, line, (size_t)size);
        byte_buffer_append(draft->out, draft->words[i], draft->sizes[i]);
        byte_buffer_append(draft->out, "\r\n", 2);
        int shown = draft->sizes[i] > 24 ? 24 : (int)draft->sizes[i];
        if (used + 32 < SIM_COMMAND_TEXT_BYTES) {
            used +=
                (size_t)snprintf(text + used, SIM_COMMAND_TEXT_BYTES - used, "%s%.*s%s", i == 0 ? "" : " ",
                                 shown, draft->words[i], (int)draft->sizes[i] > shown ? "..." : "");
        }
    }
}

/* ---- what is drawn ------------------------------------------------------------------------------- */

static uint64_t below(struct draft *draft, uint64_t limit)
{
    return sim_random_below(&draft->sim->random, limit);
}

static uint32_t draw_key(struct draft *draft, char kind)
{
    char name[SIM_KEY_BYTES_MAX];
    (void)snprintf(name, sizeof name, "%c%" PRIu64, kind, below(draft, draft->sim->knobs.keys));
    return sim_record_key(draft->sim, name);
}

static void add_key(struct draft *draft, uint32_t key)
{
    char *memory = draft->memory[draft->count];
    (void)snprintf(memory, WORD_BYTES, "%s", sim_record_key_name(draft->sim, key));
    add(draft, memory);
}

/* A value that nobody else writes. */
static void draw_value(struct draft *draft)
{
    struct sim *sim = draft->sim;
    int size = snprintf(draft->value, sizeof draft->value, "%" PRIu64 ".%" PRIu64 ";", draft->client,
                        ++sim->counts.values);
    draft->value_bytes = (size_t)size;
    size_t wanted = below(draft, sim->knobs.value_bytes + 1);
    while (draft->value_bytes < wanted) {
        draft->value[draft->value_bytes++] = 'x';
    }
}

static void ask(struct draft *draft, const struct sim_asked *asked)
{
    struct sim_command *command = draft->command;
    command->operations[command->operations_count++] =
        sim_record_ask(draft->sim, draft->client, draft->connection, asked);
}

static void ask_kind(struct draft *draft, uint32_t key, enum history_kind kind)
{
    ask(draft, &(struct sim_asked){.key = key, .kind = kind});
}

static void ask_value(struct draft *draft, uint32_t key, enum history_kind kind, uint32_t options)
{
    ask(draft, &(struct sim_asked){.key = key,
                                   .kind = kind,
                                   .options = options,
                                   .bytes = (const uint8_t *)draft->value,
                                   .size = draft->value_bytes});
}

/* ---- reads --------------------------------------------------------------------------------------- */

static void make_mget(struct draft *draft, char kind)
{
    add(draft, "MGET");
    draft->command->form = SIM_ANSWER_EACH;
    for (uint64_t n = 1 + below(draft, 3); n > 0; n--) {
        uint32_t key = draw_key(draft, kind);
        add_key(draft, key);
        ask_kind(draft, key, HISTORY_GET);
    }
}

static void make_exists(struct draft *draft, char kind)
{
    static const char *const names[] = {"EXISTS", "TOUCH"};
    uint64_t keys = 1 + below(draft, 2);
    add(draft, names[below(draft, 2)]);
    draft->command->form = keys == 1 ? SIM_ANSWER_WHOLE : SIM_ANSWER_COUNT;
    for (uint64_t n = 0; n < keys; n++) {
        uint32_t key = draw_key(draft, kind);
        add_key(draft, key);
        ask_kind(draft, key, HISTORY_EXISTS);
    }
}

static void make_read(struct draft *draft, char kind)
{
    draft->command->is_write = false;
    uint64_t choice = below(draft, 100);
    if (choice >= 60 && choice < 75) {
        make_mget(draft, kind);
        return;
    }
    if (choice >= 75 && choice < 85) {
        make_exists(draft, kind);
        return;
    }
    uint32_t key = draw_key(draft, kind);
    if (choice < 60) {
        add(draft, "GET");
        ask_kind(draft, key, HISTORY_GET);
    } else if (choice < 92) {
        add(draft, "STRLEN");
        ask_kind(draft, key, HISTORY_STRLEN);
    } else {
        add(draft, below(draft, 2) == 0 ? "TTL" : "PTTL");
        ask_kind(draft, key, HISTORY_TTL);
    }
    add_key(draft, key);
}

/* ---- writes -------------------------------------------------------------------------------------- */

static void make_count(struct draft *draft, char kind)
{
    uint32_t key = draw_key(draft, kind);
    struct sim_asked asked = {.key = key, .kind = HISTORY_INCRBY};
    uint64_t choice = below(draft, 10);
    const int64_t by = 5;
    if (choice < 7) {
        add(draft, choice < 6 ? "INCR" : "DECR");
        add_key(draft, key);
        asked.delta = choice < 6 ? 1 : -1;
    } else {
        add(draft, choice < 9 ? "INCRBY" : "DECRBY");
        add_key(draft, key);
        add_number(draft, by);
        asked.delta = choice < 9 ? by : -by;
    }
    ask(draft, &asked);
}

static void make_set(struct draft *draft, char kind)
{
    uint32_t key = draw_key(draft, kind);
    uint32_t options = 0;
    draw_value(draft);
    add(draft, "SET");
    add_key(draft, key);
    add_bytes(draft, draft->value, draft->value_bytes);
    switch (below(draft, 8)) {
    case 0:
        add(draft, "NX");
        options = HISTORY_NX;
        break;
    case 1:
        add(draft, "XX");
        options = HISTORY_XX;
        break;
    case 2:
        add(draft, "GET");
        options = HISTORY_RETURN_OLD;
        break;
    case 3:
        add(draft, "KEEPTTL");
        options = HISTORY_KEEPTTL;
        break;
    }
    ask_value(draft, key, HISTORY_SET, options);
}

static void make_mset(struct draft *draft, char kind)
{
    bool only_new = below(draft, 3) == 0;
    add(draft, only_new ? "MSETNX" : "MSET");
    draft->command->form = only_new ? SIM_ANSWER_IF_ONE : SIM_ANSWER_ALL;
    draw_value(draft);
    uint32_t first = draw_key(draft, kind);
    for (uint64_t n = 0; n < 2; n++) {
        uint32_t key = n == 0 ? first : draw_key(draft, kind);
        if (n > 0 && key == first) {
            return;
        }
        add_key(draft, key);
        add_bytes(draft, draft->value, draft->value_bytes);
        ask_value(draft, key, only_new ? HISTORY_SETNX : HISTORY_SET, 0);
    }
}

static void make_del(struct draft *draft, char kind)
{
    uint64_t keys = 1 + below(draft, 2);
    add(draft, below(draft, 2) == 0 ? "DEL" : "UNLINK");
    draft->command->form = keys == 1 ? SIM_ANSWER_WHOLE : SIM_ANSWER_COUNT;
    uint32_t first = draw_key(draft, kind);
    add_key(draft, first);
    ask_kind(draft, first, HISTORY_DEL);
    uint32_t second = draw_key(draft, kind);
    if (keys == 2) {
        add_key(draft, second);
        ask_kind(draft, second, HISTORY_DEL);
    }
}

static void make_write(struct draft *draft, char kind)
{
    uint64_t choice = below(draft, 100);
    if (choice < 45) {
        make_set(draft, kind);
    } else if (choice < 55) {
        make_mset(draft, kind);
    } else if (choice < 65) {
        make_del(draft, kind);
    } else if (choice < 67) {
        make_count(draft, kind);
    } else {
        static const char *const names[] = {"GETSET", "SETNX", "GETDEL"};
        static const enum history_kind kinds[] = {HISTORY_GETSET, HISTORY_SETNX, HISTORY_GETDEL};
        uint64_t which = choice < 84 ? 0 : choice < 93 ? 1 : 2;
        uint32_t key = draw_key(draft, kind);
        add(draft, names[which]);
        add_key(draft, key);
        if (kinds[which] == HISTORY_GETDEL) {
            ask_kind(draft, key, kinds[which]);
            return;
        }
        draw_value(draft);
        add_bytes(draft, draft->value, draft->value_bytes);
        ask_value(draft, key, kinds[which], 0);
    }
}

static void make_append(struct draft *draft)
{
    if (below(draft, 8) == 0) {
        make_del(draft, 'a');
        return;
    }
    uint32_t key = draw_key(draft, 'a');
    add(draft, "APPEND");
    add_key(draft, key);
    draw_value(draft);
    add_bytes(draft, draft->value, draft->value_bytes);
    ask_value(draft, key, HISTORY_APPEND, 0);
}

/* ---- expiry -------------------------------------------------------------------------------------- */

/* A time to live, in the unit of the command; *asked gets what it means. */
static int64_t draw_ttl(struct draft *draft, struct sim_asked *asked, bool seconds)
{
    uint64_t ttl_ms = seconds ? 1000 * (1 + below(draft, TTL_MS_MAX / 1000)) : 1 + below(draft, TTL_MS_MAX);
    asked->expiry = SIM_EXPIRY_IN;
    asked->expiry_ms = ttl_ms;
    return (int64_t)(seconds ? ttl_ms / 1000 : ttl_ms);
}

static void make_set_that_expires(struct draft *draft, struct sim_asked *asked)
{
    uint64_t choice = below(draft, 3);
    int64_t ttl = draw_ttl(draft, asked, choice == 1);
    draw_value(draft);
    asked->kind = HISTORY_SET;
    asked->options = HISTORY_EXPIRY;
    asked->bytes = (const uint8_t *)draft->value;
    asked->size = draft->value_bytes;
    add(draft, choice == 0 ? "SET" : choice == 1 ? "SETEX" : "PSETEX");
    add_key(draft, asked->key);
    if (choice != 0) {
        add_number(draft, ttl);
    }
    add_bytes(draft, draft->value, draft->value_bytes);
    if (choice == 0) {
        add(draft, "PX");
        add_number(draft, ttl);
    }
}

static void make_expire(struct draft *draft, struct sim_asked *asked)
{
    uint64_t choice = below(draft, 4);
    asked->kind = HISTORY_EXPIRE;
    add(draft, choice == 0 ? "EXPIRE" : choice < 3 ? "PEXPIRE" : "PEXPIREAT");
    add_key(draft, asked->key);
    int64_t ttl = draw_ttl(draft, asked, choice == 0);
    if (choice == 3) {
        asked->expiry = SIM_EXPIRY_AT;
        asked->expiry_ms += sim_check_log_time_ms(draft->sim);
        ttl = (int64_t)asked->expiry_ms;
    }
    add_number(draft, ttl);
    uint64_t condition = below(draft, 6);
    if (condition < 2) {
        add(draft, condition == 0 ? "NX" : "XX");
        asked->options = condition == 0 ? HISTORY_NX : HISTORY_XX;
    }
}

static void make_write_of_expiring(struct draft *draft)
{
    struct sim_asked asked = {.key = draw_key(draft, 'e')};
    uint64_t choice = below(draft, 100);
    if (choice < 40) {
        make_set_that_expires(draft, &asked);
    } else if (choice < 60) {
        make_expire(draft, &asked);
    } else if (choice < 68) {
        add(draft, "PERSIST");
        add_key(draft, asked.key);
        asked.kind = HISTORY_PERSIST;
    } else if (choice < 80) {
        bool removes = choice >= 76;
        add(draft, "GETEX");
        add_key(draft, asked.key);
        asked.kind = HISTORY_GETEX;
        asked.options = removes ? HISTORY_REMOVE_EXPIRY : HISTORY_EXPIRY;
        add(draft, removes ? "PERSIST" : "PX");
        if (!removes) {
            add_number(draft, draw_ttl(draft, &asked, false));
        }
    } else {
        make_write(draft, 'e');
        return;
    }
    ask(draft, &asked);
}

static void make_flush(struct draft *draft)
{
    add(draft, below(draft, 2) == 0 ? "FLUSHALL" : "FLUSHDB");
    draft->command->form = SIM_ANSWER_ALL;
    for (uint32_t key = 0; key < sim_record_keys_count(draft->sim); key++) {
        ask_kind(draft, key, HISTORY_DEL);
    }
}

/* ---- commands ------------------------------------------------------------------------------------ */

void sim_workload_create(struct sim *sim)
{
    for (const char *kind = "ckae"; *kind != '\0'; kind++) {
        for (uint64_t number = 0; number < sim->knobs.keys; number++) {
            char name[SIM_KEY_BYTES_MAX];
            (void)snprintf(name, sizeof name, "%c%" PRIu64, *kind, number);
            (void)sim_record_key(sim, name);
        }
    }
}

static void begin_draft(struct draft *draft, struct sim *sim, uint64_t client, uint64_t connection,
                        struct sim_command *command, struct byte_buffer *out)
{
    draft->sim = sim;
    draft->client = client;
    draft->connection = connection;
    draft->command = command;
    draft->out = out;
    draft->count = 0;
    *command = (struct sim_command){.form = SIM_ANSWER_WHOLE, .is_write = true};
    sim->counts.commands++;
}

void sim_workload_make(struct sim *sim, uint64_t client, uint64_t connection, bool reads_only,
                       struct sim_command *command, struct byte_buffer *out)
{
    struct draft draft;
    begin_draft(&draft, sim, client, connection, command, out);
    const struct sim_knobs *knobs = &sim->knobs;
    char kind = below(&draft, 100) < knobs->counters_percent   ? 'c'
                : below(&draft, 100) < knobs->expiries_percent ? 'e'
                : below(&draft, 6) == 0                        ? 'a'
                                                               : 'k';
    bool reads = reads_only || below(&draft, 100) < knobs->reads_percent;
    if (!reads && sim_random_chance(&sim->random, knobs->flushes_per_mille)) {
        make_flush(&draft);
    } else if (kind == 'c' && reads) {
        uint32_t key = draw_key(&draft, kind);
        command->is_write = false;
        add(&draft, "GET");
        add_key(&draft, key);
        ask_kind(&draft, key, HISTORY_GET);
    } else if (reads) {
        make_read(&draft, kind);
    } else if (kind == 'c') {
        make_count(&draft, kind);
    } else if (kind == 'e') {
        make_write_of_expiring(&draft);
    } else if (kind == 'a') {
        make_append(&draft);
    } else {
        make_write(&draft, kind);
    }
    send_draft(&draft);
}

void sim_workload_make_get(struct sim *sim, uint64_t client, uint64_t connection, uint32_t key,
                           struct sim_command *command, struct byte_buffer *out)
{
    struct draft draft;
    begin_draft(&draft, sim, client, connection, command, out);
    command->is_write = false;
    add(&draft, "GET");
    add_key(&draft, key);
    ask_kind(&draft, key, HISTORY_GET);
    send_draft(&draft);
}

/* ---- answers ------------------------------------------------------------------------------------- */

static bool begins(const struct answer *answer, const char *word)
{
    return answer->type == ANSWER_ERROR && strncmp(answer->text, word, strlen(word)) == 0;
}

static void answer_one(struct sim *sim, const struct sim_command *command, size_t operation,
                       const struct answer *answer)
{
    switch (answer->type) {
    case ANSWER_NIL:
        sim_record_answer(sim, operation, HISTORY_NIL, 0, NULL, 0);
        return;
    case ANSWER_INTEGER:
        sim_record_answer(sim, operation, HISTORY_INTEGER, answer->integer, NULL, 0);
        return;
    case ANSWER_STRING:
        sim_record_answer(sim, operation, HISTORY_BYTES, 0, (const uint8_t *)answer->text, answer->size);
        return;
    case ANSWER_STATUS:
        if (strcmp(answer->text, "OK") == 0) {
            sim_record_answer(sim, operation, HISTORY_OK, 0, NULL, 0);
            return;
        }
        break;
    case ANSWER_ERROR:
        if (begins(answer, "ERR value is not an integer") || begins(answer, "ERR increment or decrement")) {
            sim_record_answer(sim, operation, HISTORY_ERROR, 0, NULL, 0);
            return;
        }
        break;
    case ANSWER_VERBATIM:
    case ANSWER_DOUBLE:
    case ANSWER_BIG_NUMBER:
    case ANSWER_BOOLEAN:
    case ANSWER_ARRAY:
    case ANSWER_MAP:
    case ANSWER_SET:
    case ANSWER_PUSH:
        break;
    }
    sim_fail(sim, SIM_HISTORY, "%s got an answer of the wrong kind: %s", command->text,
             answer_has_text(answer) ? answer->text : "not text");
}

static void end_all(struct sim *sim, const struct sim_command *command,
                    void (*end)(struct sim *sim, size_t operation))
{
    for (uint32_t i = 0; i < command->operations_count; i++) {
        end(sim, command->operations[i]);
    }
}

static void answer_done(struct sim *sim, const struct sim_command *command, const struct answer *answer)
{
    enum answer_type wanted = command->form == SIM_ANSWER_EACH  ? ANSWER_ARRAY
                              : command->form == SIM_ANSWER_ALL ? ANSWER_STATUS
                                                                : ANSWER_INTEGER;
    if (command->form != SIM_ANSWER_WHOLE && command->form != SIM_ANSWER_IGNORED && answer->type != wanted) {
        sim_fail(sim, SIM_HISTORY, "%s got an answer of the wrong kind", command->text);
    }
    switch (command->form) {
    case SIM_ANSWER_WHOLE:
        answer_one(sim, command, command->operations[0], answer);
        break;
    case SIM_ANSWER_EACH:
        if (answer->count != command->operations_count) {
            sim_fail(sim, SIM_HISTORY, "%s got %zu answers", command->text, answer->count);
        }
        for (uint32_t i = 0; i < command->operations_count; i++) {
            answer_one(sim, command, command->operations[i], &answer->elements[i]);
        }
        break;
    case SIM_ANSWER_ALL:
    case SIM_ANSWER_COUNT:
        end_all(sim, command, sim_record_answer_unchecked);
        break;
    case SIM_ANSWER_IF_ONE:
        for (uint32_t i = 0; i < command->operations_count; i++) {
            if (answer->integer == 0) {
                sim_record_forget(sim, command->operations[i]);
            } else {
                sim_record_answer(sim, command->operations[i], HISTORY_INTEGER, 1, NULL, 0);
            }
        }
        break;
    case SIM_ANSWER_IGNORED:
        break;
    }
}

enum sim_told sim_workload_answer(struct sim *sim, const struct sim_command *command,
                                  const struct answer *answer)
{
    if (begins(answer, "MOVED ")) {
        end_all(sim, command, sim_record_forget);
        return SIM_TOLD_MOVED;
    }
    if (begins(answer, "CLUSTERDOWN ")) {
        end_all(sim, command, sim_record_forget);
        return SIM_TOLD_DOWN;
    }
    if (begins(answer, "UNKNOWN ")) {
        if (!command->is_write) {
            sim_fail(sim, SIM_HISTORY, "%s was answered -UNKNOWN, but it only reads", command->text);
        }
        sim->counts.unknown++;
        end_all(sim, command, sim_record_unknown);
        return SIM_TOLD_UNKNOWN;
    }
    sim->counts.acknowledged++;
    answer_done(sim, command, answer);
    return SIM_TOLD_DONE;
}

void sim_workload_lost(struct sim *sim, const struct sim_command *command)
{
    sim->counts.unknown += command->is_write ? 1 : 0;
    end_all(sim, command, command->is_write ? sim_record_unknown : sim_record_forget);
}
