/* sim_workload.c: see sim_workload.h. */
#include "sim_workload.h"

#include "sim_check.h"
#include "sim_draft.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TTL_MS_MAX = 4000, KEYS_OF_COMMAND_MAX = 3, GROUP_KEYS = 3 };

/* ---- what is drawn ------------------------------------------------------------------------------- */

static uint64_t below(struct sim_draft *draft, uint64_t limit)
{
    return sim_random_below(&draft->sim->random, limit);
}

#define WORDS(...)                                                                                           \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

/* One of them, all alike. */
static const char *draw_word(struct sim_draft *draft, const char *const *words)
{
    uint64_t count = 0;
    while (words[count] != NULL) {
        count++;
    }
    return words[below(draft, count)];
}

static uint32_t draw_key(struct sim_draft *draft, char kind)
{
    char name[SIM_KEY_BYTES_MAX];
    (void)snprintf(name, sizeof name, "%c%" PRIu64, kind, below(draft, draft->sim->knobs.keys));
    return sim_record_key(draft->sim, name);
}

static bool can_grow(enum history_kind kind)
{
    return kind == HISTORY_SET || kind == HISTORY_GETSET || kind == HISTORY_SETNX || kind == HISTORY_INCRBY ||
           kind == HISTORY_APPEND;
}

static void ask(struct sim_draft *draft, const struct sim_asked *asked)
{
    struct sim_command *command = draft->command;
    command->grows = command->grows || can_grow(asked->kind);
    command->operations[command->operations_count++] =
        sim_record_ask(draft->sim, draft->client, draft->connection, asked);
}

static void ask_kind(struct sim_draft *draft, uint32_t key, enum history_kind kind)
{
    ask(draft, &(struct sim_asked){.key = key, .kind = kind});
}

static void ask_value(struct sim_draft *draft, uint32_t key, enum history_kind kind, uint32_t options)
{
    ask(draft, &(struct sim_asked){.key = key,
                                   .kind = kind,
                                   .options = options,
                                   .bytes = (const uint8_t *)draft->value,
                                   .size = draft->value_bytes});
}

/* ---- reads --------------------------------------------------------------------------------------- */

static void make_mget(struct sim_draft *draft, char kind)
{
    sim_draft_add(draft, "MGET");
    draft->command->form = SIM_ANSWER_EACH;
    for (uint64_t n = 1 + below(draft, 3); n > 0; n--) {
        uint32_t key = draw_key(draft, kind);
        sim_draft_add_key(draft, key);
        ask_kind(draft, key, HISTORY_GET);
    }
}

static void make_exists(struct sim_draft *draft, char kind)
{
    uint64_t keys = 1 + below(draft, KEYS_OF_COMMAND_MAX);
    sim_draft_add(draft, draw_word(draft, WORDS("EXISTS", "TOUCH")));
    draft->command->form = keys == 1 ? SIM_ANSWER_WHOLE : SIM_ANSWER_COUNT;
    for (uint64_t n = 0; n < keys; n++) {
        uint32_t key = draw_key(draft, kind);
        sim_draft_add_key(draft, key);
        ask_kind(draft, key, HISTORY_EXISTS);
    }
}

static void make_read(struct sim_draft *draft, char kind)
{
    draft->command->is_write = false;
    uint64_t choice = below(draft, 100);
    if (choice >= 60 && choice < 75) {
        make_mget(draft, kind);
        return;
    }
    if (choice >= 75 && choice < 83) {
        make_exists(draft, kind);
        return;
    }
    uint32_t key = draw_key(draft, kind);
    if (choice < 60) {
        sim_draft_add(draft, "GET");
        ask_kind(draft, key, HISTORY_GET);
    } else if (choice < 86) {
        sim_draft_add(draft, "TYPE");
        draft->command->form = SIM_ANSWER_TYPE;
        ask_kind(draft, key, HISTORY_EXISTS);
    } else if (choice < 92) {
        sim_draft_add(draft, "STRLEN");
        ask_kind(draft, key, HISTORY_STRLEN);
    } else {
        sim_draft_add(draft, draw_word(draft, WORDS("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")));
        ask_kind(draft, key, HISTORY_TTL);
    }
    sim_draft_add_key(draft, key);
}

/* ---- writes -------------------------------------------------------------------------------------- */

static void make_count(struct sim_draft *draft, char kind)
{
    uint32_t key = draw_key(draft, kind);
    struct sim_asked asked = {.key = key, .kind = HISTORY_INCRBY};
    uint64_t choice = below(draft, 10);
    const int64_t by = 5;
    if (choice < 7) {
        sim_draft_add(draft, choice < 6 ? "INCR" : "DECR");
        sim_draft_add_key(draft, key);
        asked.delta = choice < 6 ? 1 : -1;
    } else {
        sim_draft_add(draft, choice < 9 ? "INCRBY" : "DECRBY");
        sim_draft_add_key(draft, key);
        sim_draft_add_number(draft, by);
        asked.delta = choice < 9 ? by : -by;
    }
    ask(draft, &asked);
}

/* NX or XX, and GET, each in a part of the commands. */
static uint32_t add_set_options(struct sim_draft *draft)
{
    uint32_t options = 0;
    uint64_t condition = below(draft, 8);
    if (condition < 2) {
        sim_draft_add(draft, condition == 0 ? "NX" : "XX");
        options |= condition == 0 ? HISTORY_NX : HISTORY_XX;
    }
    if (below(draft, 6) == 0) {
        sim_draft_add(draft, "GET");
        options |= HISTORY_RETURN_OLD;
    }
    return options;
}

static void make_set(struct sim_draft *draft, char kind)
{
    uint32_t key = draw_key(draft, kind);
    sim_draft_draw_value(draft);
    sim_draft_add(draft, "SET");
    sim_draft_add_key(draft, key);
    sim_draft_add_bytes(draft, draft->value, draft->value_bytes);
    uint32_t options = add_set_options(draft);
    if (below(draft, 8) == 0) {
        sim_draft_add(draft, "KEEPTTL");
        options |= HISTORY_KEEPTTL;
    }
    ask_value(draft, key, HISTORY_SET, options);
}

/* Each key once: of two writes of MSETNX to one key only the first asks whether it is there. */
static void make_mset(struct sim_draft *draft, char kind)
{
    bool only_new = below(draft, 3) == 0;
    uint32_t keys[KEYS_OF_COMMAND_MAX];
    uint64_t count = 1 + below(draft, KEYS_OF_COMMAND_MAX);
    sim_draft_add(draft, only_new ? "MSETNX" : "MSET");
    sim_draft_draw_value(draft);
    for (uint64_t n = 0; n < count; n++) {
        keys[n] = draw_key(draft, kind);
        for (uint64_t i = 0; i < n; i++) {
            count = keys[i] == keys[n] ? n : count;
        }
        if (n < count) {
            sim_draft_add_key(draft, keys[n]);
            sim_draft_add_bytes(draft, draft->value, draft->value_bytes);
            ask_value(draft, keys[n], only_new ? HISTORY_SETNX : HISTORY_SET, 0);
        }
    }
    draft->command->form = !only_new ? SIM_ANSWER_ALL : count == 1 ? SIM_ANSWER_WHOLE : SIM_ANSWER_IF_ONE;
}

static void make_del(struct sim_draft *draft, char kind)
{
    uint64_t keys = 1 + below(draft, KEYS_OF_COMMAND_MAX);
    sim_draft_add(draft, draw_word(draft, WORDS("DEL", "UNLINK")));
    draft->command->form = keys == 1 ? SIM_ANSWER_WHOLE : SIM_ANSWER_COUNT;
    for (uint64_t n = 0; n < keys; n++) {
        uint32_t key = draw_key(draft, kind);
        sim_draft_add_key(draft, key);
        ask_kind(draft, key, HISTORY_DEL);
    }
}

static void make_write(struct sim_draft *draft, char kind)
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
        sim_draft_add(draft, names[which]);
        sim_draft_add_key(draft, key);
        if (kinds[which] == HISTORY_GETDEL) {
            ask_kind(draft, key, kinds[which]);
            return;
        }
        sim_draft_draw_value(draft);
        sim_draft_add_bytes(draft, draft->value, draft->value_bytes);
        ask_value(draft, key, kinds[which], 0);
    }
}

static void make_append(struct sim_draft *draft)
{
    if (below(draft, 8) == 0) {
        make_del(draft, 'a');
        return;
    }
    uint32_t key = draw_key(draft, 'a');
    sim_draft_add(draft, "APPEND");
    sim_draft_add_key(draft, key);
    sim_draft_draw_value(draft);
    sim_draft_add_bytes(draft, draft->value, draft->value_bytes);
    ask_value(draft, key, HISTORY_APPEND, 0);
}

/* ---- expiry -------------------------------------------------------------------------------------- */

/* How a command says when a key expires. */
struct time_form {
    const char *word; /* of SET and GETEX, and of EXPIRE: see make_expire() */
    bool is_absolute, in_seconds;
};

static const struct time_form time_forms[] = {
    {"PX", false, false}, {"EX", false, true}, {"PXAT", true, false}, {"EXAT", true, true}};
enum { PX, EX, PXAT, EXAT, TIME_FORMS_COUNT };

/* A time to live, as the command wants it; *asked gets what it means. An absolute one in seconds may be over
 * already. */
static void add_time(struct sim_draft *draft, struct sim_asked *asked, const struct time_form *form)
{
    uint64_t base_ms = form->is_absolute ? sim_check_log_time_ms(draft->sim) : 0;
    uint64_t unit_ms = form->in_seconds ? 1000 : 1;
    uint64_t number = base_ms / unit_ms + 1 + below(draft, TTL_MS_MAX / unit_ms);
    asked->expiry = form->is_absolute ? SIM_EXPIRY_AT : SIM_EXPIRY_IN;
    asked->expiry_ms = number * unit_ms;
    sim_draft_add_number(draft, (int64_t)number);
}

static void make_set_that_expires(struct sim_draft *draft, struct sim_asked *asked)
{
    uint64_t choice = below(draft, 3 + TIME_FORMS_COUNT);
    sim_draft_draw_value(draft);
    asked->kind = HISTORY_SET;
    asked->options = HISTORY_EXPIRY;
    asked->bytes = (const uint8_t *)draft->value;
    asked->size = draft->value_bytes;
    if (choice < 3) {
        sim_draft_add(draft, choice == 0 ? "SETEX" : "PSETEX");
        sim_draft_add_key(draft, asked->key);
        add_time(draft, asked, &time_forms[choice == 0 ? EX : PX]);
        sim_draft_add_bytes(draft, draft->value, draft->value_bytes);
    } else {
        sim_draft_add(draft, "SET");
        sim_draft_add_key(draft, asked->key);
        sim_draft_add_bytes(draft, draft->value, draft->value_bytes);
        asked->options |= add_set_options(draft);
        sim_draft_add(draft, time_forms[choice - 3].word);
        add_time(draft, asked, &time_forms[choice - 3]);
    }
}

static void add_expire_condition(struct sim_draft *draft, struct sim_asked *asked)
{
    static const struct {
        uint32_t option;
        const char *word;
    } conditions[] = {{HISTORY_NX, "NX"}, {HISTORY_XX, "XX"}, {HISTORY_GT, "GT"}, {HISTORY_LT, "LT"}};
    uint64_t choice = below(draft, 10);
    if (choice < 4) {
        sim_draft_add(draft, conditions[choice].word);
        asked->options |= conditions[choice].option;
        if (choice >= 2 && below(draft, 4) == 0) {
            sim_draft_add(draft, "XX");
            asked->options |= HISTORY_XX;
        }
    }
}

static void make_expire(struct sim_draft *draft, struct sim_asked *asked)
{
    static const char *const names[TIME_FORMS_COUNT] = {"PEXPIRE", "EXPIRE", "PEXPIREAT", "EXPIREAT"};
    uint64_t form = below(draft, TIME_FORMS_COUNT);
    asked->kind = HISTORY_EXPIRE;
    sim_draft_add(draft, names[form]);
    sim_draft_add_key(draft, asked->key);
    if (below(draft, 8) == 0) {
        asked->expiry = SIM_EXPIRY_PAST;
        sim_draft_add_number(draft, -(int64_t)below(draft, 3));
    } else {
        add_time(draft, asked, &time_forms[form]);
    }
    add_expire_condition(draft, asked);
}

static void make_getex(struct sim_draft *draft, struct sim_asked *asked)
{
    uint64_t choice = below(draft, TIME_FORMS_COUNT + 3);
    asked->kind = HISTORY_GETEX;
    sim_draft_add(draft, "GETEX");
    sim_draft_add_key(draft, asked->key);
    if (choice < TIME_FORMS_COUNT) {
        asked->options = HISTORY_EXPIRY;
        sim_draft_add(draft, time_forms[choice].word);
        add_time(draft, asked, &time_forms[choice]);
    } else if (choice == TIME_FORMS_COUNT) {
        asked->options = HISTORY_REMOVE_EXPIRY;
        sim_draft_add(draft, "PERSIST");
    } /* else it only reads */
}

static void make_write_of_expiring(struct sim_draft *draft)
{
    struct sim_asked asked = {.key = draw_key(draft, 'e')};
    uint64_t choice = below(draft, 100);
    if (choice < 40) {
        make_set_that_expires(draft, &asked);
    } else if (choice < 60) {
        make_expire(draft, &asked);
    } else if (choice < 68) {
        sim_draft_add(draft, "PERSIST");
        sim_draft_add_key(draft, asked.key);
        asked.kind = HISTORY_PERSIST;
    } else if (choice < 80) {
        make_getex(draft, &asked);
    } else {
        make_write(draft, 'e');
        return;
    }
    ask(draft, &asked);
}

static void make_flush(struct sim_draft *draft)
{
    uint64_t mode = below(draft, 4);
    sim_draft_add(draft, draw_word(draft, WORDS("FLUSHALL", "FLUSHDB")));
    if (mode < 2) {
        sim_draft_add(draft, mode == 0 ? "ASYNC" : "SYNC");
    }
    draft->command->form = SIM_ANSWER_ALL;
    for (uint32_t key = 0; key < sim_record_keys_count(draft->sim); key++) {
        ask_kind(draft, key, HISTORY_DEL);
    }
}

/* ---- keys that are only written together ---------------------------------------------------------- */

static uint32_t group_key(struct sim *sim, uint64_t number)
{
    char name[SIM_KEY_BYTES_MAX];
    (void)snprintf(name, sizeof name, "m%" PRIu64, number % GROUP_KEYS);
    return sim_record_key(sim, name);
}

/* The keys of the group, beginning with any; with_values: each with the one value in the draft. */
static void add_group(struct sim_draft *draft, enum history_kind kind, bool with_values)
{
    uint64_t first = below(draft, GROUP_KEYS);
    draft->command->is_group = true;
    for (uint64_t n = 0; n < GROUP_KEYS; n++) {
        uint32_t key = group_key(draft->sim, first + n);
        sim_draft_add_key(draft, key);
        if (with_values) {
            sim_draft_add_bytes(draft, draft->value, draft->value_bytes);
            ask_value(draft, key, kind, 0);
        } else {
            ask_kind(draft, key, kind);
        }
    }
}

static void make_del_of_group(struct sim_draft *draft)
{
    sim_draft_add(draft, draw_word(draft, WORDS("DEL", "UNLINK")));
    draft->command->form = SIM_ANSWER_COUNT;
    add_group(draft, HISTORY_DEL, false);
}

static void make_group(struct sim_draft *draft, bool reads)
{
    uint64_t choice = below(draft, 100);
    if (reads) {
        bool exists = choice >= 85;
        draft->command->is_write = false;
        draft->command->form = exists ? SIM_ANSWER_COUNT : SIM_ANSWER_EACH;
        sim_draft_add(draft, exists ? "EXISTS" : "MGET");
        add_group(draft, exists ? HISTORY_EXISTS : HISTORY_GET, false);
    } else if (choice < 90) {
        bool only_new = choice >= 70;
        draft->command->form = only_new ? SIM_ANSWER_IF_ONE : SIM_ANSWER_ALL;
        sim_draft_draw_value(draft);
        sim_draft_add(draft, only_new ? "MSETNX" : "MSET");
        add_group(draft, only_new ? HISTORY_SETNX : HISTORY_SET, true);
    } else {
        make_del_of_group(draft);
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
    for (uint64_t number = 0; number < GROUP_KEYS && sim->knobs.groups_percent > 0; number++) {
        (void)group_key(sim, number);
    }
}

void sim_workload_make(struct sim *sim, uint64_t client, uint64_t connection, bool reads_only,
                       struct sim_command *command, struct byte_buffer *out)
{
    struct sim_draft draft;
    sim_draft_begin(&draft, sim, client, connection, command, out);
    const struct sim_knobs *knobs = &sim->knobs;
    bool of_group = knobs->groups_percent > 0 && below(&draft, 100) < knobs->groups_percent;
    char kind = below(&draft, 100) < knobs->counters_percent   ? 'c'
                : below(&draft, 100) < knobs->expiries_percent ? 'e'
                : below(&draft, 6) == 0                        ? 'a'
                                                               : 'k';
    bool reads = reads_only || below(&draft, 100) < knobs->reads_percent;
    if (!reads && sim_random_chance(&sim->random, knobs->flushes_per_mille)) {
        make_flush(&draft);
    } else if (of_group) {
        make_group(&draft, reads);
    } else if (kind == 'c' && reads) {
        uint32_t key = draw_key(&draft, kind);
        command->is_write = false;
        sim_draft_add(&draft, "GET");
        sim_draft_add_key(&draft, key);
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
    sim_draft_send(&draft);
}

void sim_workload_make_increment(struct sim *sim, uint64_t client, uint64_t connection, uint32_t key,
                                 struct sim_command *command, struct byte_buffer *out)
{
    struct sim_draft draft;
    sim_draft_begin(&draft, sim, client, connection, command, out);
    sim_draft_add(&draft, "INCR");
    sim_draft_add_key(&draft, key);
    ask(&draft, &(struct sim_asked){.key = key, .kind = HISTORY_INCRBY, .delta = 1});
    sim_draft_send(&draft);
}

void sim_workload_make_del(struct sim *sim, uint64_t client, uint64_t connection, uint32_t key,
                           struct sim_command *command, struct byte_buffer *out)
{
    struct sim_draft draft;
    sim_draft_begin(&draft, sim, client, connection, command, out);
    if (sim_record_key_name(sim, key)[0] == 'm') {
        make_del_of_group(&draft);
    } else {
        sim_draft_add(&draft, "DEL");
        sim_draft_add_key(&draft, key);
        ask_kind(&draft, key, HISTORY_DEL);
    }
    sim_draft_send(&draft);
}

void sim_workload_make_get(struct sim *sim, uint64_t client, uint64_t connection, uint32_t key,
                           struct sim_command *command, struct byte_buffer *out)
{
    struct sim_draft draft;
    sim_draft_begin(&draft, sim, client, connection, command, out);
    command->is_write = false;
    sim_draft_add(&draft, "GET");
    sim_draft_add_key(&draft, key);
    ask_kind(&draft, key, HISTORY_GET);
    sim_draft_send(&draft);
}
