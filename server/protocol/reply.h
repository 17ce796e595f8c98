/* reply.h: writes replies in RESP2 or, after HELLO 3, RESP3.
 *
 * A reply whose `out` is NULL goes nowhere: followers apply commands without answering anybody.
 * A text given to reply_simple() must not contain line ends. In one given to reply_error() (it may hold a
 * client's words) they become blanks, as in Redis.
 *
 * Where the two protocols differ, RESP3 has the richer type (null, map, set, double, boolean, verbatim) and
 * RESP2 what Redis sends in its place.
 */
#ifndef REPLY_H
#define REPLY_H

#include "byte_buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply {
    struct byte_buffer *out; /* NULL: nobody listens */
    int protocol;            /* 2 or 3 */
};

void reply_simple(struct reply *reply, const char *text); /* +text */
void reply_error(struct reply *reply, const char *text);  /* -text, code included */
void reply_error_format(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, const void *bytes, size_t size);
void reply_bulk_text(struct reply *reply, const char *text);
void reply_null(struct reply *reply);       /* $-1 or _ */
void reply_null_array(struct reply *reply); /* *-1 or _ */
void reply_array(struct reply *reply, size_t count);
void reply_map(struct reply *reply, size_t pairs); /* an array of 2 * pairs in RESP2 */
void reply_set(struct reply *reply, size_t count);
void reply_double(struct reply *reply, double value);
void reply_boolean(struct reply *reply, bool value); /* :1 / :0 in RESP2 */
/* =txt: in RESP3, bulk in RESP2 */
void reply_verbatim_text(struct reply *reply, const char *text, size_t size);

#endif
