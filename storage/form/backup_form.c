/* backup_form.c: see backup_form.h. */
#include "backup_form.h"

#include "storage_bytes.h"
#include "storage_error.h"
#include "storage_hash.h"
#include "storage_record.h"

enum { MAGIC_BYTES = 8, HEAD_BODY_BYTES = 32, TRAILER_BODY_BYTES = 24, BACKUP_FORM = 1 };

#define BACKUP_MAGIC     "kvdback\n"
#define BACKUP_HEAD_NAME "backup"
#define BACKUP_END_NAME  "backup_end"

_Static_assert(BACKUP_HEAD_BYTES == MAGIC_BYTES + STORAGE_RECORD_HEAD_BYTES + HEAD_BODY_BYTES,
               "the head's size");
_Static_assert(BACKUP_TRAILER_BYTES == STORAGE_RECORD_HEAD_BYTES + TRAILER_BODY_BYTES, "the trailer's size");

void backup_encode_head(uint8_t bytes[BACKUP_HEAD_BYTES], const struct backup_head *head)
{
    uint8_t *record = bytes + MAGIC_BYTES;
    uint8_t *body = record + STORAGE_RECORD_HEAD_BYTES;
    memcpy(bytes, BACKUP_MAGIC, MAGIC_BYTES);
    storage_put_u64(body, head->cluster_id[0]);
    storage_put_u64(body + 8, head->cluster_id[1]);
    storage_put_u64(body + 16, head->node_id);
    storage_put_u64(body + 24, head->created_ms);
    storage_record_seal(record, BACKUP_HEAD_NAME, BACKUP_FORM, HEAD_BODY_BYTES);
}

static uint64_t backup_checksum(const uint8_t head[BACKUP_HEAD_BYTES], const struct backup_end *end)
{
    return storage_hash_chain(end->checksum, head, BACKUP_HEAD_BYTES);
}

void backup_encode_trailer(uint8_t bytes[BACKUP_TRAILER_BYTES], const uint8_t head[BACKUP_HEAD_BYTES],
                           const struct backup_end *end)
{
    uint8_t *body = bytes + STORAGE_RECORD_HEAD_BYTES;
    storage_put_u64(body, end->chunks_count);
    storage_put_u64(body + 8, end->bytes);
    storage_put_u64(body + 16, backup_checksum(head, end));
    storage_record_seal(bytes, BACKUP_END_NAME, BACKUP_FORM, TRAILER_BODY_BYTES);
}

enum storage_status backup_decode_head(const uint8_t bytes[BACKUP_HEAD_BYTES], const char *path,
                                       struct backup_head *head, struct storage_error *error)
{
    const uint8_t *body = NULL;
    size_t body_size = 0;
    if (memcmp(bytes, BACKUP_MAGIC, MAGIC_BYTES) != 0) {
        return storage_fail(error, STORAGE_INCOMPATIBLE, "%s: not a backup of kvd", path);
    }
    enum storage_status status =
        storage_record_open(bytes + MAGIC_BYTES, BACKUP_HEAD_BYTES - MAGIC_BYTES, path, BACKUP_HEAD_NAME,
                            BACKUP_FORM, &body, &body_size, error);
    if (status == STORAGE_CORRUPT) {
        return storage_fail(error, STORAGE_CORRUPT, "%s: the head of this backup is damaged", path);
    }
    if (status == STORAGE_OK) {
        assert(body_size == HEAD_BODY_BYTES);
        head->cluster_id[0] = storage_get_u64(body);
        head->cluster_id[1] = storage_get_u64(body + 8);
        head->node_id = storage_get_u64(body + 16);
        head->created_ms = storage_get_u64(body + 24);
    }
    return status;
}

enum storage_status backup_check_trailer(const uint8_t bytes[BACKUP_TRAILER_BYTES],
                                         const uint8_t head[BACKUP_HEAD_BYTES], const char *path,
                                         const struct backup_end *found, struct storage_error *error)
{
    uint8_t expected[BACKUP_TRAILER_BYTES];
    backup_encode_trailer(expected, head, found);
    if (memcmp(bytes, expected, sizeof expected) != 0) {
        return storage_fail(error, STORAGE_CORRUPT,
                            "%s: the end of this backup is damaged, or belongs to another one", path);
    }
    return STORAGE_OK;
}
