/* test_raft_hostile.c: what a correct peer cannot send is ignored, never fatal (raft.h): one core between two
 * members that send anything at all.
 *
 * Messages are drawn near what the core would take: terms round its own, indexes round the ends of its log.
 * In between the core is driven as the server drives it, with a disk that confirms late, compaction, reads
 * back from disk, proposals, reads, transfers, changes of the membership and snapshots. After each step its
 * whole state is checked; what it holds to be committed never changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raft.h"

enum { LOG_MAX = 4096, STEPS = 10000, ENTRIES_MAX = 3, READS_MAX = 64 };

struct hostile {
    struct raft *raft;
    uint64_t random;
    uint64_t now_ms;
    uint64_t terms[LOG_MAX];     /* on disk, by index; as written, for writes are in order */
    uint64_t committed[LOG_MAX]; /* terms of what was handed out */
    uint64_t handed, applied, base;
    uint64_t installed, changed;
    uint64_t sequence, persisted;
    struct raft_log_read reads[READS_MAX];
    uint32_t reads_count;
};

static uint64_t below(struct hostile *hostile, uint64_t limit)
{
    hostile->random = hostile->random * 6364136223846793005u + 1442695040888963407u;
    return (hostile->random >> 33) % limit;
}

/* Round `value`, not below 0. */
static uint64_t near(struct hostile *hostile, uint64_t value)
{
    uint64_t up = value + below(hostile, 4);
    uint64_t down = below(hostile, 3);
    return up > down ? up - down : 0;
}

static uint64_t some_index(struct hostile *hostile, const struct raft_status *status)
{
    const uint64_t places[] = {0,
                               status->first_index,
                               status->commit,
                               status->durable_index,
                               status->last.index,
                               status->last.index,
                               UINT64_MAX - 2};
    return near(hostile, places[below(hostile, sizeof places / sizeof places[0])]);
}

static struct raft_entry_id some_id(struct hostile *hostile, const struct raft_status *status)
{
    struct raft_entry_id id = {.index = some_index(hostile, status)};
    if (below(hostile, 8) == 0 || !raft_get_entry_term(hostile->raft, id.index, &id.term)) {
        id.term = below(hostile, status->term + 2);
    }
    return id;
}

static struct raft_membership some_membership(struct hostile *hostile)
{
    struct raft_membership membership = {.voters_count = 1, .voters = {1 + below(hostile, 3)}};
    for (raft_node_id id = 1; id <= 5; id++) {
        enum raft_member_kind kind = (enum raft_member_kind)below(hostile, RAFT_MEMBER_OUTGOING);
        if (id != membership.voters[0]) {
            assert_true(raft_membership_set(&membership, id, kind));
        }
    }
    for (raft_node_id id = 1; below(hostile, 2) == 0 && id <= 3; id++) {
        membership.outgoing[membership.outgoing_count++] = id;
    }
    return membership;
}

/* Now and then one that is none. */
static struct raft_payload *some_configuration(struct hostile *hostile)
{
    struct raft_membership membership = some_membership(hostile);
    struct raft_payload *payload = raft_membership_encode(&membership, NULL, 0);
    if (below(hostile, 5) == 0) {
        payload->bytes[below(hostile, payload->size)] ^= (uint8_t)below(hostile, 256);
    }
    return payload;
}

static void send_something(struct hostile *hostile)
{
    struct raft_status status;
    raft_get_status(hostile->raft, &status);
    struct raft_message message = {
        .type = (enum raft_message_type)(1 + below(hostile, RAFT_MESSAGE_READ_INDEX_RESPONSE)),
        .from = 1 + below(hostile, 4),
        .to = below(hostile, 50) == 0 ? 2 : 1,
        .term = below(hostile, 60) == 0 ? near(hostile, status.term) : status.term,
        .log = some_id(hostile, &status),
        .hint = some_id(hostile, &status),
        .commit = some_index(hostile, &status),
        .round = below(hostile, 200),
        .reject = below(hostile, 3) == 0,
        .force = below(hostile, 8) == 0,
    };
    message.from = message.from == 4 && below(hostile, 9) != 0 ? 2 : message.from;
    if (message.type == RAFT_MESSAGE_TIMEOUT_NOW && below(hostile, 20) != 0) {
        return; /* else a term would never last */
    }
    /* Elections must come to an end now and then. */
    bool vote = message.type == RAFT_MESSAGE_VOTE_RESPONSE || message.type == RAFT_MESSAGE_PRE_VOTE_RESPONSE;
    if (vote && below(hostile, 2) == 0) {
        message.reject = false;
        message.term = status.term + (message.type == RAFT_MESSAGE_PRE_VOTE_RESPONSE ? 1 : 0);
    }
    struct raft_entry entries[ENTRIES_MAX];
    if (message.type == RAFT_MESSAGE_APPEND) {
        message.entries = entries;
        message.entries_count = (uint32_t)below(hostile, ENTRIES_MAX + 1);
        uint64_t term = message.log.term;
        for (uint32_t i = 0; i < message.entries_count; i++) {
            uint64_t known = 0;
            uint64_t index = message.log.index + 1 + i;
            bool same = below(hostile, 2) == 0 && raft_get_entry_term(hostile->raft, index, &known);
            term = same ? known : term + below(hostile, 2);
            entries[i] = (struct raft_entry){.id = {.term = term, .index = index}, .type = RAFT_ENTRY_NOOP};
            if (below(hostile, 6) == 0) {
                entries[i].type = RAFT_ENTRY_MEMBERSHIP;
                entries[i].payload = some_configuration(hostile);
            }
        }
    }
    if (status.last.index + ENTRIES_MAX + 2 < LOG_MAX) {
        raft_step(hostile->raft, &message);
    }
    for (uint32_t i = 0; i < message.entries_count; i++) {
        raft_payload_unref(entries[i].payload);
    }
}

/* A snapshot that a broken peer has sent whole. The state machine is exchanged as the core says. */
static void send_snapshot(struct hostile *hostile)
{
    struct raft_status status;
    raft_get_status(hostile->raft, &status);
    struct raft_entry_id upto = some_id(hostile, &status);
    struct raft_payload *payload = some_configuration(hostile);
    if (upto.index + ENTRIES_MAX + 2 < LOG_MAX && raft_install_snapshot(hostile->raft, upto, payload)) {
        assert_true(upto.index > hostile->handed);
        hostile->handed = hostile->applied = hostile->base = upto.index;
        hostile->terms[upto.index] = hostile->committed[upto.index] = upto.term;
        hostile->installed++;
    }
    raft_payload_unref(payload);
}

static void change_members(struct hostile *hostile)
{
    struct raft_membership target = some_membership(hostile);
    struct raft_entry_id id;
    enum raft_membership_result result = raft_propose_membership(hostile->raft, &target, NULL, 0, &id);
    hostile->changed += result == RAFT_MEMBERSHIP_OK;
}

/* The ends of streams that were asked for, and of some that were not. */
static void end_stream(struct hostile *hostile)
{
    struct raft_status status;
    raft_get_status(hostile->raft, &status);
    if (status.commit == 0) {
        return;
    }
    struct raft_entry_id upto = {.index = 1 + below(hostile, status.commit)};
    bool known = raft_get_entry_term(hostile->raft, upto.index, &upto.term);
    raft_node_id peer = 1 + below(hostile, 6);
    if (known && below(hostile, 2) == 0) {
        raft_snapshot_started(hostile->raft, peer, upto);
    } else {
        raft_snapshot_done(hostile->raft, peer, upto, known && below(hostile, 3) != 0);
    }
}

static void take_outputs(struct hostile *hostile)
{
    while (raft_has_ready(hostile->raft)) {
        struct raft_ready ready;
        raft_take_ready(hostile->raft, &ready);
        hostile->sequence = ready.sequence > 0 ? ready.sequence : hostile->sequence;
        for (uint32_t i = 0; i < ready.entries_count; i++) {
            struct raft_entry_id id = ready.entries[i].id;
            assert_true(id.index > hostile->base);
            assert_true(id.index > hostile->handed || id.term == hostile->committed[id.index]);
            hostile->terms[id.index] = id.term;
        }
        for (uint32_t i = 0; i < ready.log_reads_count; i++) {
            assert_true(hostile->reads_count < READS_MAX);
            hostile->reads[hostile->reads_count++] = ready.log_reads[i];
        }
        raft_ready_deinit(&ready);
    }
}

static void answer_read(struct hostile *hostile)
{
    if (hostile->reads_count == 0) {
        return;
    }
    struct raft_log_read read = hostile->reads[--hostile->reads_count];
    struct raft_entry entries[8];
    uint32_t count = 0;
    for (uint64_t index = read.first_index; index <= read.last_index && count < 8; index++, count++) {
        entries[count] = (struct raft_entry){.id = {.term = hostile->terms[index], .index = index},
                                             .type = RAFT_ENTRY_NOOP};
    }
    bool gone = read.first_index <= hostile->base || below(hostile, 8) == 0;
    raft_log_read_done(hostile->raft, read.read_id, entries, gone ? 0 : count);
}

static void apply(struct hostile *hostile)
{
    const struct raft_entry *entry;
    while (raft_next_committed(hostile->raft, &entry) == RAFT_NEXT_ENTRY) {
        assert_int_equal(entry->id.index, hostile->handed + 1);
        hostile->handed = entry->id.index;
        hostile->committed[hostile->handed] = entry->id.term;
    }
    if (hostile->handed > hostile->applied) {
        hostile->applied += 1 + below(hostile, hostile->handed - hostile->applied);
        raft_applied(hostile->raft, hostile->applied);
    }
}

static void compact(struct hostile *hostile)
{
    uint64_t durable = raft_get_durable(hostile->raft);
    uint64_t most = durable < hostile->applied ? durable : hostile->applied;
    if (most > hostile->base) {
        hostile->base += 1 + below(hostile, most - hostile->base);
        raft_compacted(hostile->raft, (struct raft_entry_id){.term = hostile->committed[hostile->base],
                                                             .index = hostile->base});
    }
}

static void drive(struct hostile *hostile)
{
    struct raft_entry_id id;
    switch (below(hostile, 12)) {
    case 0:
        hostile->now_ms += below(hostile, below(hostile, 10) == 0 ? 3000 : 60);
        raft_tick(hostile->raft, hostile->now_ms);
        break;
    case 1:
        take_outputs(hostile);
        break;
    case 2:
        if (hostile->sequence > hostile->persisted) {
            hostile->persisted += 1 + below(hostile, hostile->sequence - hostile->persisted);
            raft_persisted(hostile->raft, hostile->persisted);
        }
        break;
    case 3:
        apply(hostile);
        break;
    case 4:
        answer_read(hostile);
        break;
    case 5:
        if (below(hostile, 100) == 0) {
            compact(hostile);
        }
        break;
    case 6: {
        enum raft_propose_result result = raft_propose(hostile->raft, NULL, &id);
        (void)result;
        break;
    }
    case 7: {
        uint64_t read_id = raft_read_index(hostile->raft);
        (void)read_id;
        break;
    }
    case 9:
        if (below(hostile, 60) == 0) {
            send_snapshot(hostile);
        }
        break;
    case 10:
        if (below(hostile, 2) == 0) {
            change_members(hostile);
        }
        break;
    case 11:
        end_stream(hostile);
        break;
    case 8:
        if (below(hostile, 20) == 0) {
            (void)raft_transfer_leadership(hostile->raft, below(hostile, 4));
        } else if (below(hostile, 4) == 0) {
            raft_peer_unreachable(hostile->raft, below(hostile, 5));
        } else {
            raft_peer_contact(hostile->raft, below(hostile, 5));
        }
        break;
    }
}

static bool run(uint64_t seed, uint64_t *installed, uint64_t *changed)
{
    struct raft_membership membership = {.voters_count = 3, .voters = {1, 2, 3}};
    struct raft_membership_entry formed = {.payload = raft_membership_encode(&membership, NULL, 0)};
    struct raft_config config = {
        .id = 1,
        .seed = seed,
        .election_timeout_ms = 1000,
        .heartbeat_interval_ms = 100,
        .unreachable_delay_ms = 50,
        .disk_stall_timeout_ms = 5000,
        .append_bytes_max = 100,
        .inflight_messages_max = 4,
        .inflight_bytes_max = 1000,
        .cache_bytes_max = 64 * (1 + seed % 20),
        .unstable_bytes_max = 1 << 20,
    };
    struct raft_restore restore = {.memberships = &formed, .memberships_count = 1};
    static struct hostile hostile;
    memset(&hostile, 0, sizeof hostile);
    hostile.random = seed;
    hostile.raft = raft_create(&config, &restore, 0);
    raft_payload_unref(formed.payload);
    bool led = false;
    for (int step = 0; step < STEPS; step++) {
        if (below(&hostile, 2) == 0) {
            send_something(&hostile);
        } else {
            drive(&hostile);
        }
        raft_check_invariants(hostile.raft);
        led = led || raft_get_role(hostile.raft) == RAFT_LEADER;
        for (uint64_t index = hostile.base + 1; index <= hostile.handed; index++) {
            uint64_t term = 0;
            assert_true(raft_get_entry_term(hostile.raft, index, &term));
            assert_int_equal(term, hostile.committed[index]);
        }
    }
    raft_destroy(hostile.raft);
    *installed += hostile.installed;
    *changed += hostile.changed;
    return led && hostile.base > 0;
}

/* HOSTILE_SEED=n runs that seed alone, HOSTILE_SEEDS=n the first n. */
static void nothing_that_a_peer_sends_breaks_the_core(void **state)
{
    (void)state;
    const char *one = getenv("HOSTILE_SEED");
    const char *many = getenv("HOSTILE_SEEDS");
    uint64_t first = one == NULL ? 1 : strtoull(one, NULL, 10);
    uint64_t last = one != NULL ? first : many == NULL ? 200 : strtoull(many, NULL, 10);
    uint64_t led = 0;
    uint64_t installed = 0;
    uint64_t changed = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        led += run(seed, &installed, &changed) ? 1 : 0;
    }
    print_message("%llu snapshots installed, %llu changes begun\n", (unsigned long long)installed,
                  (unsigned long long)changed);
    assert_true(one != NULL || (installed > last && changed > last / 4));
    assert_true(one != NULL || led * 4 > last); /* the draws do reach what they should */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_a_peer_sends_breaks_the_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
