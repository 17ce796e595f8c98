/* resp_parser.h: requests as clients send them: RESP arrays of bulk strings, and inline commands.
 *
 * What it is: pure. Bytes and limits in; "need more", "a request" or "an error" out. It knows no connection,
 * no configuration and no command. It does not scan bytes twice when a request arrives in pieces.
 *
 * Rules: https://redis.io/docs/reference/protocol-spec/ ("Sending commands", "Inline commands"); error
 * texts are those of Redis ("Protocol error: invalid multibulk length", "... invalid bulk length",
 * "... expected '$', got 'x'", "... too big mbulk count string", "... too big bulk count string",
 * "... unbalanced quotes in request", "... too big inline request").
 *
 * Stricter than Redis: a count, a length and a bulk must really end with CR LF; and how the bytes were cut
 * into pieces never changes the result (a line is too long by its length, not by how much of it had arrived).
 *
 * An inline line whose first word is "POST" or begins with "Host:", in any case, is refused
 * (RESP_PARSER_FORBIDDEN): somebody's browser was tricked into talking to us.
 */
#ifndef RESP_PARSER_H
#define RESP_PARSER_H

#include "byte_buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct argument {
    const uint8_t *bytes;
    size_t size;
};

struct resp_limits {
    size_t inline_bytes_max;  /* 64 KiB in Redis */
    uint32_t arguments_max;   /* of one request */
    size_t bulk_bytes_max;    /* of one argument */
    size_t request_bytes_max; /* of all arguments of one request together */
};

enum resp_parser_result {
    RESP_PARSER_NEED_MORE,
    RESP_PARSER_REQUEST,   /* *consumed bytes were one request (count may be 0: an empty line or "*0") */
    RESP_PARSER_ERROR,     /* parser->error is the text; answer "-ERR <text>" and close */
    RESP_PARSER_FORBIDDEN, /* close without an answer */
};

struct resp_parser {
    struct resp_limits limits;
    /* The result: views into the given bytes (or, for inline requests, into the parser's own memory), valid
     * until the next call or until the given bytes move. */
    struct argument *arguments;
    uint32_t arguments_count;
    char error[128];
    /* private */
    uint32_t arguments_capacity;
    size_t *offsets; /* of the arguments found so far, from the start of the request */
    bool in_array;
    uint32_t arguments_expected;
    bool bulk_size_known;
    size_t bulk_size;
    size_t position; /* bytes of the request already understood */
    size_t scanned;  /* bytes in which no line end was found yet; 0 or > position */
    size_t request_bytes;
    struct byte_buffer inline_bytes;
};

void resp_parser_init(struct resp_parser *parser, const struct resp_limits *limits);
void resp_parser_deinit(struct resp_parser *parser);

/* `bytes` starts at the first byte of the present request each time, and holds all that has arrived of it.
 * After RESP_PARSER_REQUEST the caller drops *consumed bytes before the next call. */
enum resp_parser_result resp_parser_feed(struct resp_parser *parser, const uint8_t *bytes, size_t size,
                                         size_t *consumed) __attribute__((warn_unused_result));

/* How many bytes the present, unfinished request will have at least, as far as the argument that is arriving:
 * for reading large bulks in one go. At most limits.bulk_bytes_max + 2 above what was given so far. */
size_t resp_parser_bytes_wanted(const struct resp_parser *parser);

/* The memory that the arguments found so far take beside their bytes: of many short ones it is a multiple of
 * what arrived. */
size_t resp_parser_memory_bytes(const struct resp_parser *parser);

#endif
