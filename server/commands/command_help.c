/* command_help.c: CLIENT HELP, CLUSTER HELP, ... in the form of Redis, from the rows of the subcommands. */
#include "command_functions.h"
#include "command_text.h"

#include <ctype.h>

static void send_line(struct command_context *context, struct byte_buffer *line)
{
    byte_buffer_append(line, "", 1);
    reply_simple(context->reply, (const char *)byte_buffer_front(line));
    byte_buffer_consume(line, byte_buffer_size(line));
}

static void append_upper(struct byte_buffer *line, const char *name)
{
    for (; *name != '\0'; name++) {
        char upper = (char)toupper((unsigned char)*name);
        byte_buffer_append(line, &upper, 1);
    }
}

void command_help(struct command_context *context)
{
    const struct command *command = context->command;
    bool runs_alone = command->run != NULL;
    size_t rows_count = 0;
    while (command->subcommands[rows_count].name != NULL) {
        rows_count++;
    }
    struct byte_buffer line = {0};
    reply_array(context->reply, 1 + (runs_alone ? 2u : 0u) + 2 * rows_count);
    append_upper(&line, command->name);
    command_text_append(&line, " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    send_line(context, &line);
    if (runs_alone) {
        reply_simple(context->reply, "(no subcommand)");
        command_text_append(&line, "    %s", command->summary);
        send_line(context, &line);
    }
    for (const struct command_subcommand *row = command->subcommands; row->name != NULL; row++) {
        append_upper(&line, row->name);
        if (row->syntax[0] != '\0') {
            command_text_append(&line, " %s", row->syntax);
        }
        send_line(context, &line);
        command_text_append(&line, "    %s", row->summary);
        send_line(context, &line);
    }
    byte_buffer_deinit(&line);
}
