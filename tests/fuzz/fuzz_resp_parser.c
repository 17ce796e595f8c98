/* fuzz_resp_parser.c: libFuzzer on the request parser.
 *
 * Any bytes: no crash, no read past the end (each piece is in memory of its exact size), results within the
 * limits; and the same requests and the same end whatever the pieces are in which the bytes arrive: whole,
 * cut once, and byte by byte.
 *
 *   clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Iserver/protocol
 *         tests/fuzz/fuzz_resp_parser.c server/protocol/[a-z]*.c -o build/fuzz_resp_parser
 *   build/fuzz_resp_parser -max_total_time=60
 */
#include "resp_parser.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct resp_limits LIMITS = {
    .inline_bytes_max = 40, .arguments_max = 9, .bulk_bytes_max = 50, .request_bytes_max = 90};

/* What happened, as bytes that can be compared. */
struct outcome {
    struct byte_buffer notes;
};

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void note_request(struct outcome *outcome, const struct resp_parser *parser, size_t consumed)
{
    size_t total = 0;
    check(parser->arguments_count <= LIMITS.arguments_max);
    byte_buffer_append(&outcome->notes, "request", 7);
    byte_buffer_append(&outcome->notes, &consumed, sizeof consumed);
    for (uint32_t i = 0; i < parser->arguments_count; i++) {
        const struct argument *argument = &parser->arguments[i];
        check(argument->size <= LIMITS.bulk_bytes_max);
        total += argument->size;
        byte_buffer_append(&outcome->notes, &argument->size, sizeof argument->size);
        byte_buffer_append(&outcome->notes, argument->bytes, argument->size);
    }
    check(total <= LIMITS.request_bytes_max);
}

/* The bytes arrive `first` at once, then `step` at a time. */
static void run(const uint8_t *data, size_t size, size_t first, size_t step, struct outcome *outcome)
{
    struct resp_parser parser;
    resp_parser_init(&parser, &LIMITS);
    size_t taken = 0;
    size_t arrived = first;
    for (;;) {
        size_t consumed = 0;
        size_t present = arrived - taken;
        uint8_t *exact = malloc(present > 0 ? present : 1);
        check(exact != NULL);
        if (present > 0)
            memcpy(exact, data + taken, present);
        enum resp_parser_result result = resp_parser_feed(&parser, exact, present, &consumed);
        if (result == RESP_PARSER_REQUEST) {
            check(consumed > 0 && consumed <= present);
            note_request(outcome, &parser, consumed);
            taken += consumed;
        }
        free(exact);
        if (result == RESP_PARSER_NEED_MORE) {
            check(resp_parser_bytes_wanted(&parser) <= present + LIMITS.bulk_bytes_max + 2);
            if (arrived == size)
                break;
            arrived = size - arrived < step ? size : arrived + step;
        } else if (result == RESP_PARSER_ERROR) {
            check(strncmp(parser.error, "Protocol error: ", 16) == 0);
            byte_buffer_append(&outcome->notes, parser.error, strlen(parser.error));
            break;
        } else if (result == RESP_PARSER_FORBIDDEN) {
            byte_buffer_append(&outcome->notes, "forbidden", 9);
            break;
        }
    }
    resp_parser_deinit(&parser);
}

static void compare(const struct outcome *whole, struct outcome *other)
{
    size_t size = byte_buffer_size(&whole->notes);
    check(size == byte_buffer_size(&other->notes));
    check(size == 0 || memcmp(byte_buffer_front(&whole->notes), byte_buffer_front(&other->notes), size) == 0);
    byte_buffer_deinit(&other->notes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t cut = data[0] % size; /* the first byte also chooses where the stream is cut */
    struct outcome whole = {0};
    struct outcome cut_once = {0};
    struct outcome bytewise = {0};
    data++;
    size--;
    run(data, size, size, size + 1, &whole);
    run(data, size, cut < size ? cut : size, size + 1, &cut_once);
    run(data, size, 0, 1, &bytewise);
    compare(&whole, &cut_once);
    compare(&whole, &bytewise);
    byte_buffer_deinit(&whole.notes);
    return 0;
}
