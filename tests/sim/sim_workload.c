/* sim_workload.c: see sim_workload.h. */
#include "sim_workload.h"

#include "sim_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORDS_MAX = 16,
    WORD_BYTES = 32,
    TTL_MS_MAX = 4000,
    VALUE_BYTES_MAX = 8192,
    LONG_KEY_BYTES = 510, /* the longest that there is */
    SHOWN_BYTES_MAX = 24,
};

/* A command that is being put together. */
struct draft {
    struct sim *sim;
    uint64_t client, connection;
    struct sim_command *command;
    struct byte_buffer *out;
    const char *words[WORDS_MAX];
    size_t sizes[WORDS_MAX];
    const char *shown[WORDS_MAX]; /* in the trace, for the word itself */
    uint32_t count;
    char long_key[LONG_KEY_BYTES];
    char memory[WORDS_MAX][WORD_BYTES];
    char value[VALUE_BYTES_MAX];
    size_t value_bytes;
};

/* ---- words --------------------------------------------------------------------------------------- */

static void add_bytes(struct draft *draft, const char *bytes, size_t size)
{
    draft->words[draft->count] = bytes;
    draft->shown[draft->count] = NULL;
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

/* For the trace: the first bytes of a word, without those that a terminal does not show. */
static size_t show_word(const struct draft *draft, uint32_t i, char *text, size_t text_bytes)
{
    const char *word = draft->shown[i] != NULL ? draft->shown[i] : draft->words[i];
    size_t size = draft->shown[i] != NULL ? strlen(word) : draft->sizes[i];
    size_t used = 0;
    for (; used < size && used < SHOWN_BYTES_MAX && used + 4 < text_bytes; used++) {
        text[used] = (char)(word[used] < ' ' || word[used] > '~' ? '?' : word[used]);
    }
    return used + (size_t)snprintf(text + used, text_bytes - used, "%s", used < size ? "..." : "");
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
        if (used + SHOWN_BYTES_MAX + 8 < SIM_COMMAND_TEXT_BYTES) {
            used += (size_t)snprintf(text + used, 2, "%s", i == 0 ? "" : " ");
            used += show_word(draft, i, text + used, SIM_COMMAND_TEXT_BYTES - used);
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

/* With odd keys, k0 is the empty key, k1, a1 and e1 hold bytes of all kinds, and a0 is as long as a key can
 * be. */
static void add_key(struct draft *draft, uint32_t key)
{
    const char *name = sim_record_key_name(draft->sim, key);
    char *memory = draft->memory[draft->count];
    size_t size = (size_t)snprintf(memory, WORD_BYTES, "%s", name);
    bool odd = draft->sim->knobs.odd_keys != 0;
    if (odd && strcmp(name, "a0") == 0) {
        memset(draft->long_key, 0xff, LONG_KEY_BYTES);
        memcpy(draft->long_key, name, size);
        add_bytes(draft, draft->long_key, LONG_KEY_BYTES);
    } else if (odd && strcmp(name, "k0") == 0) {
        add_bytes(draft, memory, 0);
    } else if (odd && name[0] != 'c' && strcmp(name + 1, "1") == 0) {
        memcpy(memory + size, "\0\r\n\xff", 4);
        add_bytes(draft, memory, size + 4);
    } else {
        add(draft, memory);
    }
    draft->shown[draft->count - 1] = name;
}

/* A value that nobody else writes. */
static void draw_value(struct draft *draft)
{
    struct sim *sim = draft->sim;
    int size = snprintf(draft->value, sizeof draft->value, "%" PRIu64 ".%" PRIu64 ";", draft->client,
                        ++sim->counts.values);
    draft->value_bytes = (size_t)size;
    size_t wanted = below(draft, sim->knobs.value_bytes + 1);
    bool plain = below(draft, 4) != 0;
    while (draft->value_bytes < wanted) {
        draft->value[draft->value_bytes] = plain ? 'x' : (char)(draft->value_bytes * 37 % 256);
        draft->value_bytes++;
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
static void add_time(struct draft *draft, struct sim_asked *asked, const struct time_form *form)
{
    uint64_t base_ms = form->is_absolute ? sim_check_log_time_ms(draft->sim) : 0;
    uint64_t unit_ms = form->in_seconds ? 1000 : 1;
    uint64_t number = base_ms / unit_ms + 1 + below(draft, TTL_MS_MAX / unit_ms);
    asked->expiry = form->is_absolute ? SIM_EXPIRY_AT : SIM_EXPIRY_IN;
    asked->expiry_ms = number * unit_ms;
    add_number(draft, (int64_t)number);
}

static void make_set_that_expires(struct draft *draft, struct sim_asked *asked)
{
    uint64_t choice = below(draft, 3 + TIME_FORMS_COUNT);
    draw_value(draft);
    asked->kind = HISTORY_SET;
    asked->options = HISTORY_EXPIRY;
    asked->bytes = (const uint8_t *)draft->value;
    asked->size = draft->value_bytes;
    if (choice < 3) {
        add(draft, choice == 0 ? "SETEX" : "PSETEX");
        add_key(draft, asked->key);
        add_time(draft, asked, &time_forms[choice == 0 ? EX : PX]);
        add_bytes(draft, draft->value, draft->value_bytes);
    } else {
        add(draft, "SET");
        add_key(draft, asked->key);
        add_bytes(draft, draft->value, draft->value_bytes);
        add(draft, time_forms[choice - 3].word);
        add_time(draft, asked, &time_forms[choice - 3]);
    }
}

static void make_expire(struct draft *draft, struct sim_asked *asked)
{
    static const char *const names[TIME_FORMS_COUNT] = {"PEXPIRE", "EXPIRE", "PEXPIREAT", "EXPIREAT"};
    uint64_t form = below(draft, TIME_FORMS_COUNT);
    asked->kind = HISTORY_EXPIRE;
    add(draft, names[form]);
    add_key(draft, asked->key);
    if (below(draft, 8) == 0) {
        asked->expiry = SIM_EXPIRY_PAST;
        add_number(draft, -(int64_t)below(draft, 3));
    } else {
        add_time(draft, asked, &time_forms[form]);
    }
    uint64_t condition = below(draft, 6);
    if (condition < 2) {
        add(draft, condition == 0 ? "NX" : "XX");
        asked->options = condition == 0 ? HISTORY_NX : HISTORY_XX;
    }
}

static void make_getex(struct draft *draft, struct sim_asked *asked)
{
    uint64_t choice = below(draft, TIME_FORMS_COUNT + 3);
    asked->kind = HISTORY_GETEX;
    add(draft, "GETEX");
    add_key(draft, asked->key);
    if (choice < TIME_FORMS_COUNT) {
        asked->options = HISTORY_EXPIRY;
        add(draft, time_forms[choice].word);
        add_time(draft, asked, &time_forms[choice]);
    } else if (choice == TIME_FORMS_COUNT) {
        asked->options = HISTORY_REMOVE_EXPIRY;
        add(draft, "PERSIST");
    } /* else it only reads */
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
        make_getex(draft, &asked);
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
    command->committed = sim_check_committed(sim);
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

void sim_workload_make_increment(struct sim *sim, uint64_t client, uint64_t connection, uint32_t key,
                                 struct sim_command *command, struct byte_buffer *out)
{
    struct draft draft;
    begin_draft(&draft, sim, client, connection, command, out);
    add(&draft, "INCR");
    add_key(&draft, key);
    ask(&draft, &(struct sim_asked){.key = key, .kind = HISTORY_INCRBY, .delta = 1});
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
