/* log_record.h: the form of one entry in the table `entries` (the key is its index).
 *
 * | offset | bytes | field                                                             |
 * |      0 |     1 | form: 1                                                           |
 * |      1 |     3 | zero                                                              |
 * |      4 |     4 | type                                                              |
 * |      8 |     8 | term                                                              |
 * |     16 |     8 | checksum: chain over index (8 bytes), the 16 bytes above, the bytes |
 * |     24 |       | bytes                                                             |
 *
 * The index is in the checksum, so that an entry at a wrong place is found too (pitfall 27).
 */
#ifndef LOG_RECORD_H
#define LOG_RECORD_H

#include "log_store.h"

#include <stdbool.h>

enum { LOG_RECORD_HEAD_BYTES = 24, LOG_RECORD_FORM = 1 };

/* Writes LOG_RECORD_HEAD_BYTES + entry->size bytes. */
void log_record_encode(uint8_t *record, const struct log_entry *entry);

/* False when the record is not what log_record_encode() wrote for this index. entry->bytes is borrowed. */
bool log_record_decode(const uint8_t *record, size_t record_size, uint64_t index, struct log_entry *entry);

#endif
