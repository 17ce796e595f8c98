/* storage_hash.c: see storage_hash.h. A chain is XXH3 seeded with the hash of what went before. */
#include "storage_hash.h"

#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "LMDB's pages and integer keys are in host order; files are little-endian");

uint64_t storage_hash_chain(uint64_t previous, const void *bytes, size_t size)
{
    return XXH3_64bits_withSeed(bytes, size, previous);
}

uint64_t storage_hash_key(uint64_t seed, const uint8_t *key, size_t key_size)
{
    return XXH3_64bits_withSeed(key, key_size, seed);
}
