/* report.c: what members tell one another of themselves beside Raft: whether they are low on space, and the
 * digest of their map at certain entries (pitfall 27).
 *
 * A report goes to everybody when something in it changes, when a connection stands, and again and again in
 * case one was lost. Only to members that understand it: it came with version 3 of the bus.
 *
 * Digests. All members that have applied the same entries have the same digest; at multiples of an interval
 * each says what it has. Every node collects them, the leader judges: when more than half of the members
 * agree at an entry, and one says something else, that one differs: its map is not what the log says, by a
 * fault of its memory, its disk or of kvd. The leader says so, in its log and in RAFT STATUS; if it is the
 * one that differs it hands leadership over, for a new node would get its data. The way back is a replaced
 * node, and who takes that step is a person.
 */
#include "replica_internal.h"

#include <inttypes.h>
#include <string.h>

enum { REPEAT_INTERVAL_MS = 1000, DIGEST_INTERVAL = 4096 };

/* ---- telling ------------------------------------------------------------------------------------- */

static void fill_report(const struct replica *replica, struct bus_report *report)
{
    *report = (struct bus_report){
        .low_space = space_is_low(replica),
        .digest_index = replica->reports.own.index,
        .digest = replica->reports.own.digest,
    };
}

void report_send(struct replica *replica, const struct peer *peer)
{
    if (replica->raft == NULL || peer->is_self || !peer->hello_known ||
        peer->hello.protocol_version < BUS_PROTOCOL_VERSION_OF_REPORTS) {
        return;
    }
    struct bus_message message = {.type = BUS_MESSAGE_REPORT};
    fill_report(replica, &message.report);
    replica->io.send(replica->io.context, peer->member.node_id, &message);
}

void report_send_to_all(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->peers_count; i++) {
        report_send(replica, &replica->peers[i]);
    }
    replica->reports.repeat_ms = replica->now_ms + REPEAT_INTERVAL_MS;
}

void report_tick(struct replica *replica)
{
    if (replica->now_ms >= replica->reports.repeat_ms && replica->peers_count > 1) {
        report_send_to_all(replica);
    }
}

uint64_t report_deadline_ms(const struct replica *replica)
{
    return replica->peers_count > 1 ? replica->reports.repeat_ms : UINT64_MAX;
}

/* ---- digests ------------------------------------------------------------------------------------- */

/* The row of this entry, perhaps a new one in the place of the oldest; NULL: it is older than all. */
static struct digest_row *find_row(struct replica *replica, uint64_t index)
{
    struct digest_row *oldest = &replica->reports.rows[0];
    for (size_t i = 0; i < REPORT_ROWS; i++) {
        struct digest_row *row = &replica->reports.rows[i];
        if (row->index == index) {
            return row;
        }
        oldest = row->index < oldest->index ? row : oldest;
    }
    if (oldest->index > index) {
        return NULL;
    }
    *oldest = (struct digest_row){.index = index};
    return oldest;
}

/* The digest that more than half of the voters have at this entry. */
static bool find_agreed(const struct replica *replica, const struct digest_row *row, uint64_t *agreed)
{
    for (uint32_t i = 0; i < row->count; i++) {
        uint32_t same = 0;
        for (uint32_t j = 0; j < row->count; j++) {
            same += row->said[j].digest == row->said[i].digest &&
                    membership_is_voter(replica, row->said[j].node_id);
        }
        if (same > raft_get_membership(replica->raft)->voters_count / 2) {
            *agreed = row->said[i].digest;
            return true;
        }
    }
    return false;
}

/* What another voter than this one said of it; NULL: none did. */
static const struct digest_said *find_other_voter(const struct replica *replica, const struct digest_row *row,
                                                  uint64_t node_id)
{
    for (uint32_t i = 0; i < row->count; i++) {
        if (row->said[i].node_id != node_id && membership_is_voter(replica, row->said[i].node_id)) {
            return &row->said[i];
        }
    }
    return NULL;
}

/* Of two voters that differ nobody can say which is right: both are named. */
static bool is_split(const struct replica *replica, const struct digest_row *row)
{
    const struct digest_said *one = find_other_voter(replica, row, RAFT_NODE_NONE);
    return raft_get_membership(replica->raft)->voters_count == 2 && one != NULL &&
           find_other_voter(replica, row, one->node_id) != NULL;
}

static void judge(struct replica *replica, struct digest_row *row)
{
    uint64_t agreed = 0;
    bool has_agreed = find_agreed(replica, row, &agreed);
    if (raft_get_role(replica->raft) != RAFT_LEADER || (!has_agreed && !is_split(replica, row))) {
        return;
    }
    for (uint32_t i = 0; i < row->count; i++) {
        struct digest_said *said = &row->said[i];
        struct peer *peer = peers_find(replica, said->node_id);
        bool may_be_judged = has_agreed || membership_is_voter(replica, said->node_id);
        if (peer == NULL || said->judged || !may_be_judged) {
            continue;
        }
        said->judged = true;
        bool differs = !has_agreed || said->digest != agreed;
        if (differs) {
            replica_log(replica, REPLICA_LOG_ERROR, "digest-differs",
                        "node=%" PRIu64 " index=%" PRIu64 " digest=%016" PRIx64 " others=%016" PRIx64
                        " advice=\"the data of this node is not what the log says: replace it\"",
                        said->node_id, row->index, said->digest,
                        has_agreed ? agreed : find_other_voter(replica, row, said->node_id)->digest);
        } else if (peer->differs) {
            replica_log(replica, REPLICA_LOG_INFO, "digest-agrees", "node=%" PRIu64 " index=%" PRIu64,
                        said->node_id, row->index);
        }
        peer->differs = differs;
        if (differs && has_agreed && peer->is_self) {
            replica_hand_over(replica, "digest-differs");
        }
    }
}

static void note_digest(struct replica *replica, uint64_t node_id, uint64_t index, uint64_t digest)
{
    struct digest_row *row = find_row(replica, index);
    if (row == NULL) {
        return;
    }
    for (uint32_t i = 0; i < row->count; i++) {
        if (row->said[i].node_id == node_id) {
            judge(replica, row); /* said again: perhaps this node leads since */
            return;
        }
    }
    if (row->count < RAFT_NODES_MAX) {
        row->said[row->count++] = (struct digest_said){.node_id = node_id, .digest = digest};
        judge(replica, row);
    }
}

void report_note_applied(struct replica *replica, uint64_t index, uint64_t digest)
{
    uint64_t interval =
        replica->options.digest_interval == 0 ? DIGEST_INTERVAL : replica->options.digest_interval;
    if (index % interval != 0) {
        return;
    }
    replica->reports.own.index = index;
    replica->reports.own.digest = digest;
    note_digest(replica, replica->options.node_id, index, digest);
    report_send_to_all(replica);
}

/* ---- hearing ------------------------------------------------------------------------------------- */

void report_on_message(struct replica *replica, uint64_t node_id, const struct bus_report *report)
{
    struct peer *peer = peers_find(replica, node_id);
    if (peer == NULL || peer->is_self || replica->raft == NULL) {
        return;
    }
    if (peer->report.low_space != report->low_space) {
        replica->redispatch = true;
    }
    peer->report = *report;
    if (report->digest_index > 0) {
        note_digest(replica, node_id, report->digest_index, report->digest);
    }
}
