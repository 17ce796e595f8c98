/* answer_print.h: answers as text: for people, for pipes, and as JSON. Pure; the form for people is that of
 * redis-cli.
 *
 * JSON (stable; client/README.md): strings as JSON strings, or as {"base64": "..."} when they are not text in
 * UTF-8 without zero bytes; integers and doubles as numbers (infinite ones and NaN as strings), nil as null,
 * maps with text keys as objects, other maps as arrays of [key, value].
 */
#ifndef ANSWER_PRINT_H
#define ANSWER_PRINT_H

#include "answer.h"
#include "byte_buffer.h"

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

/* Quoted, typed, numbered and indented, with a line end. `plain_text`: a string at the top is shown as it is,
 * line ends and all, but for what could harm a terminal: for INFO and the like. */
void answer_print_human(struct byte_buffer *text, const struct answer *answer, bool plain_text);
/* The bytes as they are, elements one per line, with a line end. */
void answer_print_raw(struct byte_buffer *text, const struct answer *answer);
/* An item for the caller to add or free. An error is {"code": "...", "message": "..."}. */
struct cJSON *answer_print_json(const struct answer *answer);
/* A string, or {"base64": "..."}. */
struct cJSON *answer_print_json_text(const void *bytes, size_t size);

#endif
