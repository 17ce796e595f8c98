/* log_identity.c: the record that says which node, disk and cluster a data directory belongs to (pitfall 28).
 *
 * Body of the record "identity" in the table `state` (little-endian):
 *   u64 node_id, u64 disk_id, u32 formation, u32 members_count, u64 cluster_id[2],
 *   members_count times { u64 node_id, u64 disk_id }
 */
#include "log_store.h"

#include "log_store_internal.h"
#include "storage_bytes.h"
#include "storage_lmdb_error.h"

enum { IDENTITY_HEAD_BYTES = 40, IDENTITY_MEMBER_BYTES = 16 };

_Static_assert(IDENTITY_HEAD_BYTES + IDENTITY_MEMBER_BYTES * LOG_MEMBERS_MAX <= LOG_STATE_BODY_BYTES_MAX,
               "an identity fits into a record of the table state");

static size_t log_identity_encode(const struct log_identity *identity, uint8_t *body)
{
    assert(identity->members_count <= LOG_MEMBERS_MAX);
    storage_put_u64(body, identity->node_id);
    storage_put_u64(body + 8, identity->disk_id);
    storage_put_u32(body + 16, (uint32_t)identity->formation);
    storage_put_u32(body + 20, identity->members_count);
    storage_put_u64(body + 24, identity->cluster_id[0]);
    storage_put_u64(body + 32, identity->cluster_id[1]);
    size_t size = IDENTITY_HEAD_BYTES;
    for (uint32_t i = 0; i < identity->members_count; i++) {
        storage_put_u64(body + size, identity->members[i].node_id);
        storage_put_u64(body + size + 8, identity->members[i].disk_id);
        size += IDENTITY_MEMBER_BYTES;
    }
    return size;
}

static bool log_identity_decode(const uint8_t *body, size_t body_size, struct log_identity *identity)
{
    *identity = (struct log_identity){0};
    struct storage_reader reader = storage_reader_init(body, body_size);
    identity->node_id = storage_read_u64(&reader);
    identity->disk_id = storage_read_u64(&reader);
    uint32_t formation = storage_read_u32(&reader);
    identity->members_count = storage_read_u32(&reader);
    identity->cluster_id[0] = storage_read_u64(&reader);
    identity->cluster_id[1] = storage_read_u64(&reader);
    if (reader.failed || formation > LOG_FORMATION_FORMED || identity->members_count > LOG_MEMBERS_MAX) {
        return false;
    }
    identity->formation = (enum log_formation)formation;
    for (uint32_t i = 0; i < identity->members_count; i++) {
        identity->members[i].node_id = storage_read_u64(&reader);
        identity->members[i].disk_id = storage_read_u64(&reader);
    }
    return storage_reader_ended_well(&reader);
}

enum storage_status log_store_read_identity(struct log_store *store, struct log_identity *identity,
                                            bool *found, struct storage_error *error)
{
    *found = false;
    MDB_txn *transaction = NULL;
    int result = mdb_txn_begin(store->environment, NULL, MDB_RDONLY, &transaction);
    if (result != 0) {
        return storage_fail_lmdb(error, result, store->directory, "reading the identity");
    }
    const uint8_t *body = NULL;
    size_t body_size = 0;
    struct log_store_state state;
    log_store_get_state(store, &state);
    enum storage_status status =
        log_store_get_state_record(store, transaction, LOG_STATE_IDENTITY, &body, &body_size, error);
    if (status == STORAGE_OK && body != NULL) {
        *found = log_identity_decode(body, body_size, identity);
        if (!*found) {
            status = storage_fail(error, STORAGE_INCOMPATIBLE,
                                  "%s: an identity of a form that this kvd does not know", store->directory);
        }
    } else if (status == STORAGE_OK && (state.hard_state.term > 0 || state.last.index > 0)) {
        status =
            storage_fail(error, STORAGE_CORRUPT,
                         "%s: a log that was used, without the record \"identity\". " STORAGE_DAMAGED_ADVICE,
                         store->directory);
    }
    mdb_txn_abort(transaction);
    return status;
}

int log_store_put_identity(const struct log_store *store, MDB_txn *transaction,
                           const struct log_identity *identity)
{
    uint8_t body[LOG_STATE_BODY_BYTES_MAX];
    size_t body_size = log_identity_encode(identity, body);
    return log_store_put_state(store, transaction, LOG_STATE_IDENTITY, body, body_size);
}

enum storage_status log_store_write_identity(struct log_store *store, const struct log_identity *identity,
                                             struct storage_error *error)
{
    MDB_txn *transaction = NULL;
    enum storage_status status = log_store_begin(store, &transaction, error);
    if (status != STORAGE_OK) {
        return status;
    }
    int result = log_store_put_identity(store, transaction, identity);
    return log_store_end(store, transaction, result, "writing the identity", error);
}
