/* sim_check_content.c: see sim_check.h. What a map says of its content is true of its content. */
#include "sim_check.h"

#include "sim_promise.h"

#include "command_codec.h"
#include "entry_codec.h"

#include <inttypes.h>
#include <string.h>

enum { ARGUMENTS_MAX = 16 };

struct walk {
    struct sim_node *node;
    uint64_t keys, earliest_ms;
};

/* A value's version names the command that wrote it last: that command is about this key. */
static void check_version(struct sim_node *node, const uint8_t *key, size_t key_size,
                          struct map_version version)
{
    const struct raft_entry *entry = sim_promise_committed_entry(node->sim, version.index);
    struct entry_header header;
    struct encoded_command encoded = {0};
    bool found = entry != NULL && entry->payload != NULL &&
                 entry_codec_read_header(entry->payload->bytes, entry->payload->size, &header) &&
                 version.command < header.commands_count;
    size_t position = ENTRY_HEADER_BYTES;
    for (uint32_t i = 0; found && i <= version.command; i++) {
        size_t size =
            command_codec_read(entry->payload->bytes + position, entry->payload->size - position, &encoded);
        found = size > 0;
        position += size;
    }
    struct argument arguments[ARGUMENTS_MAX];
    bool names_it = false;
    if (found && encoded.arguments_count <= ARGUMENTS_MAX) {
        command_codec_arguments(&encoded, arguments);
        for (uint32_t i = 0; i < encoded.arguments_count; i++) {
            names_it =
                names_it || (arguments[i].size == key_size && memcmp(arguments[i].bytes, key, key_size) == 0);
        }
    }
    if (!names_it) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "on node %" PRIu64 " the version of %.*s is {%" PRIu64 ", %u}, which is no command about it",
                 node->id, (int)key_size, (const char *)key, version.index, version.command);
    }
}

static void visit(void *context, const uint8_t *key, size_t key_size, const struct map_value *value)
{
    struct walk *walk = context;
    check_version(walk->node, key, key_size, value->version);
    walk->keys++;
    if (value->expiry_ms != 0 && value->expiry_ms < walk->earliest_ms) {
        walk->earliest_ms = value->expiry_ms;
    }
}

void sim_check_content(struct sim_node *node)
{
    struct map *map = replica_map(node->replica);
    const struct map_meta *meta = map_get_meta(map);
    uint64_t key_count;
    uint64_t digest;
    map_recount(map, &key_count, &digest);
    if (key_count != meta->key_count || digest != meta->digest) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "the map of node %" PRIu64 " holds %" PRIu64 " keys and the digest %016" PRIx64
                 ", but says %" PRIu64 " and %016" PRIx64,
                 node->id, key_count, digest, meta->key_count, meta->digest);
    }
    struct walk walk = {.node = node, .earliest_ms = UINT64_MAX};
    uint64_t cursor = 0;
    do {
        cursor = map_scan(map, cursor, 1 + sim_random_below(&node->sim->random, 20), visit, &walk);
    } while (cursor != 0);
    uint64_t next_ms = UINT64_MAX;
    bool any = map_next_expiry(map, &next_ms);
    if (walk.keys != key_count || (any ? next_ms : UINT64_MAX) != walk.earliest_ms) {
        sim_fail(node->sim, SIM_CORRECTNESS,
                 "the map of node %" PRIu64 " holds %" PRIu64 " keys, SCAN shows %" PRIu64
                 "; the earliest expiry is said to be %" PRIu64 " and is %" PRIu64,
                 node->id, key_count, walk.keys, any ? next_ms : 0, walk.earliest_ms);
    }
}
