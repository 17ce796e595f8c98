/* answer_reader.h: replies, RESP2 and RESP3, from bytes that arrive in pieces.
 *
 * What it is: pure. Bytes in; "need more", "an answer" or "malformed" out. It trusts nothing: every length,
 * the depth, the number of elements and the size of the whole are bounded, and memory is taken for what has
 * arrived, never for what was announced. It keeps no copy beside the bytes not understood yet.
 *
 * Why not hiredis' reader: the one in Debian 12 (0.14) knows RESP2 only, stops at a depth of seven (the
 * reply to COMMAND DOCS, which completion and hints come from, is thirteen deep) and does not bound what it
 * holds.
 *
 * Not supported, and malformed here: streamed strings and aggregates, attributes. No server sends them
 * unasked. Rules: https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md
 */
#ifndef ANSWER_READER_H
#define ANSWER_READER_H

#include "answer.h"
#include "byte_buffer.h"

enum {
    ANSWER_READER_DEPTH_MAX = 32,
    ANSWER_READER_LINE_BYTES_MAX = 64 * 1024, /* of one line: a status, an error, a number */
};

struct answer_limits {
    size_t bytes_max;    /* of one answer, as sent */
    size_t elements_max; /* of one answer, at all depths together */
};

/* What kvcli uses. */
#define ANSWER_LIMITS_DEFAULT ((struct answer_limits){.bytes_max = 512 << 20, .elements_max = 16 << 20})

enum answer_reader_result {
    ANSWER_READER_NEED_MORE,
    ANSWER_READER_ANSWER,
    ANSWER_READER_MALFORMED, /* reader->error says why; nothing sensible can follow */
};

struct answer_reader {
    struct answer_limits limits;
    struct byte_buffer input; /* append what arrives here, or reserve, read and commit */
    char error[160];
    /* private */
    struct answer root;
    size_t bytes;    /* of the present answer, understood */
    size_t elements; /* of the present answer */
    size_t scanned;  /* bytes at the input's front that hold no line end */
    struct {
        struct answer *container; /* stays where it is while it is in here */
        size_t expected;
        size_t capacity;
    } stack[ANSWER_READER_DEPTH_MAX];
    size_t depth; /* containers that are not complete */
};

void answer_reader_init(struct answer_reader *reader, const struct answer_limits *limits);
void answer_reader_deinit(struct answer_reader *reader);
/* Drops everything that was read, for a new connection. */
void answer_reader_reset(struct answer_reader *reader);
/* The next answer; the caller owns it. *answer is set with ANSWER_READER_ANSWER only. */
enum answer_reader_result answer_reader_next(struct answer_reader *reader, struct answer *answer)
    __attribute__((warn_unused_result));

#endif
