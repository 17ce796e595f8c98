/* key_slot.h: the Redis Cluster slot of a key: CRC16 (XMODEM) of the key, or of its {tag}, modulo 16384.
 * https://redis.io/docs/reference/cluster-spec/ ("Key distribution model", "Hash tags"). */
#ifndef KEY_SLOT_H
#define KEY_SLOT_H

#include <stddef.h>
#include <stdint.h>

enum { KEY_SLOTS_COUNT = 16384 };

uint16_t key_slot(const uint8_t *key, size_t size);

#endif
