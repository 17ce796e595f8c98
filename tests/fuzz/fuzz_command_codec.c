/* fuzz_command_codec.c: libFuzzer on the decoder of commands in log entries.
 *
 * Any bytes: no crash, no read past the end; whatever is accepted is written back as the very same bytes, and
 * is refused when it is one byte shorter.
 *
 *   clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Iserver/protocol
 *         tests/fuzz/fuzz_command_codec.c server/protocol/[a-z]*.c -o build/fuzz_command_codec
 *   build/fuzz_command_codec -max_total_time=60
 */
#include "command_codec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void check_written_back(const uint8_t *bytes, size_t size, const struct encoded_command *command)
{
    check(command->arguments_count <= command->body_bytes / 4);
    struct argument *arguments = calloc(command->arguments_count + 1u, sizeof *arguments);
    uint8_t *again = malloc(size);
    check(arguments != NULL && again != NULL);
    command_codec_arguments(command, arguments);
    check(command_codec_size(arguments, command->arguments_count) == size);
    command_codec_write(again, command->opcode, arguments, command->arguments_count);
    check(memcmp(again, bytes, size) == 0);
    free(again);
    free(arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct encoded_command command;
    size_t at = 0;
    for (;;) { /* commands stand back to back, as in an entry */
        size_t read = command_codec_read(data + at, size - at, &command);
        if (read == 0)
            break;
        check(read >= COMMAND_CODEC_HEADER_BYTES && read <= size - at);
        check_written_back(data + at, read, &command);
        check(command_codec_read(data + at, read - 1, &command) == 0);
        at += read;
    }
    return 0;
}
