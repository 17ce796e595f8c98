/* commands_server.c: CONFIG GET and TIME.
 *
 * CONFIG is here for Redis' own tools, which ask a few questions before they work. It answers what is true of
 * every kvd; kvd's settings are in its configuration file and cannot be changed while it runs.
 */
#include "command_functions.h"
#include "command_text.h"

#include <string.h>

static const struct {
    const char *name;
    const char *value;
} CONFIG_ANSWERS[] = {
    {"appendfsync", "always"}, /* an acknowledged write is on the disks of a majority */
    {"appendonly", "yes"},
    {"cluster-enabled", "yes"},
    {"databases", "1"},
    {"maxmemory", "0"}, /* the data may be larger than memory, and no key is evicted */
    {"maxmemory-policy", "noeviction"},
    {"save", ""},
};

enum {
    CONFIG_ANSWERS_COUNT = sizeof CONFIG_ANSWERS / sizeof CONFIG_ANSWERS[0],
    CONFIG_PATTERN_BYTES_MAX = 1024,
};

static void config_get(struct command_context *context)
{
    bool wanted[CONFIG_ANSWERS_COUNT] = {false};
    size_t count = 0;
    for (uint32_t i = 2; i < context->arguments_count; i++) {
        const struct argument *pattern = &context->arguments[i];
        if (pattern->size > CONFIG_PATTERN_BYTES_MAX) {
            continue;
        }
        for (size_t row = 0; row < CONFIG_ANSWERS_COUNT; row++) {
            const char *name = CONFIG_ANSWERS[row].name;
            if (!wanted[row] && command_glob_match(pattern->bytes, pattern->size, (const uint8_t *)name,
                                                   strlen(name), true)) {
                wanted[row] = true;
                count++;
            }
        }
    }
    reply_map(context->reply, count);
    for (size_t row = 0; row < CONFIG_ANSWERS_COUNT; row++) {
        if (wanted[row]) {
            reply_bulk_text(context->reply, CONFIG_ANSWERS[row].name);
            reply_bulk_text(context->reply, CONFIG_ANSWERS[row].value);
        }
    }
}

const struct command_subcommand COMMAND_CONFIG_SUBCOMMANDS[] = {
    {"get", -3, config_get, "Tells the values of the parameters that match.", "parameter [parameter ...]"},
    {"help", 2, command_help, "Prints this help.", ""},
    {NULL, 0, NULL, NULL, NULL},
};

void command_time(struct command_context *context)
{
    struct byte_buffer text = {0};
    uint64_t now_ms = context->node->wall_clock_ms;
    reply_array(context->reply, 2);
    command_text_append(&text, "%llu", (unsigned long long)(now_ms / 1000));
    reply_bulk(context->reply, byte_buffer_front(&text), byte_buffer_size(&text));
    byte_buffer_consume(&text, byte_buffer_size(&text));
    command_text_append(&text, "%llu", (unsigned long long)(now_ms % 1000 * 1000));
    reply_bulk(context->reply, byte_buffer_front(&text), byte_buffer_size(&text));
    byte_buffer_deinit(&text);
}
