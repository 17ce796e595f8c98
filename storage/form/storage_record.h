/* storage_record.h: the envelope of every single record (hard state, identity, meta, ...): version, checksum,
 * body.
 *
 * | offset | bytes | field                                                        |
 * |      0 |     4 | version of the body's form                                    |
 * |      4 |     4 | size of the body                                              |
 * |      8 |     8 | checksum: chain over the record's name, the 8 bytes above, the body |
 * |     16 |       | body                                                          |
 *
 * The name is in the checksum, so that a record cannot pass for another one. Numbers are little-endian.
 */
#ifndef STORAGE_RECORD_H
#define STORAGE_RECORD_H

#include "storage_status.h"

#include <stddef.h>
#include <stdint.h>

enum { STORAGE_RECORD_HEAD_BYTES = 16 };

/* Fills the head of a record whose body already stands at record + STORAGE_RECORD_HEAD_BYTES. */
void storage_record_seal(uint8_t *record, const char *name, uint32_t version, size_t body_size);

/* Checks the envelope and gives the body, borrowed from `record`. STORAGE_CORRUPT: wrong size or checksum;
 * STORAGE_INCOMPATIBLE: sound, but of another version. `where` names the directory in the sentence. */
enum storage_status storage_record_open(const void *record, size_t record_size, const char *where,
                                        const char *name, uint32_t version, const uint8_t **body,
                                        size_t *body_size, struct storage_error *error) STORAGE_MUST_CHECK;

#endif
