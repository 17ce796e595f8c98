/* sim_draft.c: see sim_draft.h. */
#include "sim_draft.h"

#include "sim_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_BYTES_MAX = 24 };

void sim_draft_begin(struct sim_draft *draft, struct sim *sim, uint64_t client, uint64_t connection,
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

void sim_draft_add_bytes(struct sim_draft *draft, const char *bytes, size_t size)
{
    draft->words[draft->count] = bytes;
    draft->shown[draft->count] = NULL;
    draft->sizes[draft->count++] = size;
}

void sim_draft_add(struct sim_draft *draft, const char *word)
{
    sim_draft_add_bytes(draft, word, strlen(word));
}

void sim_draft_add_number(struct sim_draft *draft, int64_t number)
{
    char *memory = draft->memory[draft->count];
    (void)snprintf(memory, SIM_DRAFT_WORD_BYTES, "%" PRId64, number);
    sim_draft_add(draft, memory);
}

/* For the trace: the first bytes of a word, without those that a terminal does not show. */
static size_t show_word(const struct sim_draft *draft, uint32_t i, char *text, size_t text_bytes)
{
    const char *word = draft->shown[i] != NULL ? draft->shown[i] : draft->words[i];
    size_t size = draft->shown[i] != NULL ? strlen(word) : draft->sizes[i];
    size_t used = 0;
    for (; used < size && used < SHOWN_BYTES_MAX && used + 4 < text_bytes; used++) {
        text[used] = (char)(word[used] < ' ' || word[used] > '~' ? '?' : word[used]);
    }
    return used + (size_t)snprintf(text + used, text_bytes - used, "%s", used < size ? "..." : "");
}

void sim_draft_send(struct sim_draft *draft)
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

void sim_draft_add_key(struct sim_draft *draft, uint32_t key)
{
    const char *name = sim_record_key_name(draft->sim, key);
    char *memory = draft->memory[draft->count];
    size_t size = (size_t)snprintf(memory, SIM_DRAFT_WORD_BYTES, "%s", name);
    bool odd = draft->sim->knobs.odd_keys != 0;
    if (odd && strcmp(name, "a0") == 0) {
        memset(draft->long_key, 0xff, SIM_DRAFT_LONG_KEY_BYTES);
        memcpy(draft->long_key, name, size);
        sim_draft_add_bytes(draft, draft->long_key, SIM_DRAFT_LONG_KEY_BYTES);
    } else if (odd && strcmp(name, "k0") == 0) {
        sim_draft_add_bytes(draft, memory, 0);
    } else if (odd && name[0] != 'c' && strcmp(name + 1, "1") == 0) {
        memcpy(memory + size, "\0\r\n\xff", 4);
        sim_draft_add_bytes(draft, memory, size + 4);
    } else {
        sim_draft_add(draft, memory);
    }
    draft->shown[draft->count - 1] = name;
}

void sim_draft_draw_value(struct sim_draft *draft)
{
    struct sim *sim = draft->sim;
    int size = snprintf(draft->value, sizeof draft->value, "%" PRIu64 ".%" PRIu64 ";", draft->client,
                        ++sim->counts.values);
    draft->value_bytes = (size_t)size;
    size_t wanted = sim_random_below(&sim->random, sim->knobs.value_bytes + 1);
    bool plain = sim_random_below(&sim->random, 4) != 0;
    while (draft->value_bytes < wanted) {
        draft->value[draft->value_bytes] = plain ? 'x' : (char)(draft->value_bytes * 37 % 256);
        draft->value_bytes++;
    }
}
