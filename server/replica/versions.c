/* versions.c: what this kvd can do, what all members can do, and which rules the cluster goes by (design
 * section 5).
 *
 * There is one number for all that members have to understand alike: the *rules* of the state machine, and
 * the forms of what stands in the log and the map. (The bus has a version of its own, for each pair of nodes;
 * the files of a node are its own affair.) Each node announces in its hello the newest rules that it knows
 * and the oldest.
 *
 * Raising. A leader stamps an entry with newer rules only when every member, learners included, is connected
 * and has announced them, and no change of the members is under way. Applying that entry puts the rules in
 * force, on every node at the same place; what depends on them looks at versions_in_force(). They are in the
 * map's meta, so in snapshots too, and never go back: an entry of a leader that has not applied the raise yet
 * carries the older number, and is applied by the newer rules.
 *
 * The way back. Until then each node may be started with an older kvd again. Afterwards one that is too old
 * is refused, by its own start if it looks (versions_check_start()), by everybody's hello, and by the first
 * entry that it cannot apply: it stops rather than guess.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* Tests of upgrades build servers that pretend to be older or newer (Makefile: kvd-older, kvd-newer). */
#ifndef KVD_TEST_RULES_VERSION
#define KVD_TEST_RULES_VERSION COMMAND_RULES_VERSION
#endif
#ifndef KVD_TEST_BUS_VERSION
#define KVD_TEST_BUS_VERSION BUS_PROTOCOL_VERSION
#endif

uint16_t versions_bus(void)
{
    return KVD_TEST_BUS_VERSION;
}

uint32_t versions_known(const struct replica *replica)
{
    return replica->options.rules_version_max != 0 ? replica->options.rules_version_max
                                                   : KVD_TEST_RULES_VERSION;
}

uint32_t versions_in_force(const struct replica *replica)
{
    uint32_t applied = replica->map == NULL ? 0 : map_get_meta(replica->map)->rules_version;
    return applied > COMMAND_RULES_VERSION_MIN ? applied : COMMAND_RULES_VERSION_MIN;
}

/* A book that remembers says by itself what it takes to read it: one that was forced begins with such. */
static uint32_t needed(const struct replica *replica)
{
    uint32_t in_force = versions_in_force(replica);
    bool remembers = replica->members.removed_count > 0 || replica->members.forced_count > 0;
    return remembers && in_force < COMMAND_RULES_VERSION_OF_MEMORY ? COMMAND_RULES_VERSION_OF_MEMORY
                                                                   : in_force;
}

/* Our connection to it stands: its hello is that of the process that is there now. */
static bool has_announced(const struct peer *peer)
{
    return peer != NULL && peer->hello_known && peer->dialled;
}

uint32_t versions_agreed(const struct replica *replica)
{
    uint32_t in_force = versions_in_force(replica), least = versions_known(replica);
    if (in_force >= least || !membership_is_settled(replica)) {
        return in_force;
    }
    for (uint32_t i = 0; i < replica->members.count; i++) {
        uint64_t id = replica->members.list[i].node_id;
        const struct peer *peer = peers_find_const(replica, id);
        if (id == replica->options.node_id) {
            continue;
        }
        if (!has_announced(peer)) {
            return in_force;
        }
        least = peer->hello.rules_version < least ? peer->hello.rules_version : least;
    }
    return least > in_force ? least : in_force;
}

/* ---- saying and judging -------------------------------------------------------------------------- */

void versions_fill_hello(const struct replica *replica, struct bus_hello *hello)
{
    hello->protocol_version = versions_bus();
    hello->protocol_version_min = BUS_PROTOCOL_VERSION_MIN;
    hello->rules_version = versions_known(replica);
    hello->rules_version_min = COMMAND_RULES_VERSION_MIN;
}

bool versions_check_bus(const struct bus_hello *hello, struct bus_message *refused)
{
    if (hello->protocol_version >= BUS_PROTOCOL_VERSION_MIN &&
        hello->protocol_version_min <= versions_bus()) {
        return true;
    }
    return hello_refuse(refused, BUS_REFUSAL_VERSION,
                        "node %" PRIu64 " speaks bus versions %u to %u, this node %d to %u", hello->from,
                        (unsigned)hello->protocol_version_min, (unsigned)hello->protocol_version,
                        BUS_PROTOCOL_VERSION_MIN, (unsigned)versions_bus());
}

bool versions_check_rules(const struct replica *replica, const struct bus_hello *hello,
                          struct bus_message *refused)
{
    uint32_t here = replica->map == NULL ? 0 : needed(replica);
    if (hello->rules_version < here) {
        return hello_refuse(refused, BUS_REFUSAL_VERSION,
                            "node %" PRIu64 " knows rules up to version %" PRIu32
                            ", and this cluster goes by version %" PRIu32 ": start it with a newer kvd",
                            hello->from, hello->rules_version, here);
    }
    if (here != 0 && hello->rules_version_min > here) {
        return hello_refuse(refused, BUS_REFUSAL_VERSION,
                            "node %" PRIu64 " knows rules from version %" PRIu32
                            " on, and this cluster goes by version %" PRIu32
                            ": upgrade all members to a kvd between the two first",
                            hello->from, hello->rules_version_min, here);
    }
    return true;
}

enum storage_status versions_check_start(const struct replica *replica, struct storage_error *error)
{
    uint32_t used = map_get_meta(replica->map)->rules_version;
    if (used <= versions_known(replica)) {
        return STORAGE_OK;
    }
    (void)snprintf(
        error->text, sizeof error->text,
        "the data goes by rules of version %" PRIu32 ", and this kvd knows them up to version %" PRIu32
        ": start this node with a newer kvd. All members had been upgraded; from there no way leads back",
        used, versions_known(replica));
    return STORAGE_INCOMPATIBLE;
}

/* ---- what depends on them ------------------------------------------------------------------------ */

void versions_remember_removed(const struct replica *replica, struct members *members, uint64_t node_id)
{
    const struct replica_member *member = members_find_const(members, node_id);
    if (versions_in_force(replica) >= COMMAND_RULES_VERSION_OF_MEMORY && member != NULL &&
        member->disk_id != 0) {
        members_remember_removed(members, node_id, member->disk_id);
    }
}
