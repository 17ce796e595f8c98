/* raft_payload.c: the reference-counted bytes of entries (contract in raft.h).
 *
 * Invariant: 1 <= references; size <= capacity. Bytes do not change once references > 1.
 */
#include <stdlib.h>

#include "raft.h"
#include "raft_assert.h"

struct raft_payload *raft_payload_create(uint32_t capacity)
{
    struct raft_payload *payload = malloc(sizeof *payload + capacity);
    if (payload == NULL) {
        abort();
    }
    payload->references = 1;
    payload->size = 0;
    payload->capacity = capacity;
    return payload;
}

struct raft_payload *raft_payload_grow(struct raft_payload *payload, uint32_t capacity)
{
    raft_assert(payload->references == 1);
    raft_assert(payload->size <= payload->capacity);
    if (capacity <= payload->capacity) {
        return payload;
    }
    struct raft_payload *grown = realloc(payload, sizeof *grown + capacity);
    if (grown == NULL) {
        abort();
    }
    grown->capacity = capacity;
    return grown;
}

struct raft_payload *raft_payload_ref(struct raft_payload *payload)
{
    if (payload == NULL) {
        return NULL;
    }
    raft_assert(payload->references > 0);
    raft_assert(payload->references < UINT32_MAX);
    payload->references++;
    return payload;
}

void raft_payload_unref(struct raft_payload *payload)
{
    if (payload == NULL) {
        return;
    }
    raft_assert(payload->references > 0);
    raft_assert(payload->size <= payload->capacity);
    payload->references--;
    if (payload->references == 0) {
        free(payload);
    }
}
