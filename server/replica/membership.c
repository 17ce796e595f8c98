/* membership.c: the members in effect.
 *
 * They are those that formed the cluster; where their buses are, the settings say.
 */
#include "replica_internal.h"

#include <string.h>

/* Those that formed the cluster, whatever is configured now. */
static void take_formed(const struct replica *replica, struct members *members)
{
    const struct log_identity *identity = &replica->identity;
    for (uint32_t i = 0; i < identity->members_count; i++) {
        const struct replica_member *configured =
            members_find_const(&replica->configured, identity->members[i].node_id);
        struct replica_member member = {0};
        if (configured != NULL) {
            member = *configured;
        }
        member.node_id = identity->members[i].node_id;
        member.disk_id = identity->members[i].disk_id;
        bool has_room = members_put(members, &member);
        assert(has_room);
    }
}

/* The setting is for the time before there is a cluster; that it stayed as it was is no error. */
static void say_what_counts(struct replica *replica)
{
    bool same = replica->configured.count == replica->members.count;
    for (uint32_t i = 0; same && i < replica->members.count; i++) {
        same = replica->configured.list[i].node_id == replica->members.list[i].node_id;
    }
    if (!same && replica->configured.count > 1) {
        replica_log(
            replica, REPLICA_LOG_INFO, "cluster-setting-not-used",
            "configured=%u members=%u reason=\"the setting forms a new cluster; this node belongs to one, "
            "whose members change by RAFT ADD, REMOVE and REPLACE\"",
            replica->configured.count, replica->members.count);
    }
}

void membership_start(struct replica *replica)
{
    memset(&replica->members, 0, sizeof replica->members);
    if (replica->identity.formation == LOG_FORMATION_FORMED) {
        take_formed(replica, &replica->members);
        say_what_counts(replica);
    } else {
        replica->members = replica->configured;
    }
    peers_set_members(replica, &replica->members);
}

uint64_t membership_index(const struct replica *replica)
{
    (void)replica;
    return 0;
}

uint64_t membership_committed_index(const struct replica *replica)
{
    (void)replica;
    return 0;
}

bool membership_is_settled(const struct replica *replica)
{
    (void)replica;
    return true;
}

bool membership_is_alone(const struct replica *replica)
{
    return replica->members.count == 1 && replica->members.list[0].node_id == replica->options.node_id;
}
