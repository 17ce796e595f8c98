/* number_parse.h: decimal numbers, read as strictly as Redis reads them, and written.
 *
 * An int64 is "0", or an optional '-', a digit from 1 to 9, and more digits: no blanks, no '+', no leading
 * zero, no "-0". So each number has one form, and INCR's check of a stored value is the same on every node.
 */
#ifndef NUMBER_PARSE_H
#define NUMBER_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBER_TEXT_BYTES_MAX = 20 }; /* "-9223372036854775808", "18446744073709551615" */

/* False, and *value unchanged, when the bytes are not such a number or it does not fit. */
bool number_parse_int64(const uint8_t *bytes, size_t size, int64_t *value);
/* Digits only, 1 to 20 of them; for SCAN cursors. */
bool number_parse_uint64(const uint8_t *bytes, size_t size, uint64_t *value);
/* Writes at most NUMBER_TEXT_BYTES_MAX bytes, no terminator; returns how many. */
size_t number_write_int64(char *to, int64_t value);
size_t number_write_uint64(char *to, uint64_t value);

#endif
