/* storage_hash.h: the hashes that storage relies on, all XXH3-64.
 *
 * - Checksums of records, against disk rot (LMDB 0.9 has no page checksums: pitfall 27). Not against malice.
 * - hash64 of a key: the order of SCAN and of the write buffer, seeded per cluster so that nobody outside
 *   can choose keys that fall together.
 *
 * The results are on disk and in SCAN cursors: they must never change.
 */
#ifndef STORAGE_HASH_H
#define STORAGE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Hash of `bytes`, continued from `previous` (0 at the start): chaining covers several pieces without copying
 * them together. Pieces of different lengths must be told apart by the pieces themselves or their sizes. */
uint64_t storage_hash_chain(uint64_t previous, const void *bytes, size_t size);

/* The place of a key in the order of SCAN. */
uint64_t storage_hash_key(uint64_t seed, const uint8_t *key, size_t key_size);

#endif
