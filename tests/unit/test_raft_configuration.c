/* test_raft_configuration.c: whom a configuration means by this node's id; the rest is in
 * test_raft_paper_membership.c. */
#include "raft_fixture.h"

/* Configurations of this node say "mine". */
static bool is_mine(const void *context, const uint8_t *opaque, uint32_t size)
{
    const char *mine = context;
    return size == strlen(mine) && memcmp(opaque, mine, size) == 0;
}

static struct raft_payload *encode(const struct raft_membership *membership, const char *opaque)
{
    return raft_membership_encode(membership, (const uint8_t *)opaque, (uint32_t)strlen(opaque));
}

/* Started with this configuration. */
static struct fixture create(const struct raft_membership *membership, const char *opaque)
{
    struct raft_config config = fixture_config();
    config.is_this_node = is_mine;
    config.is_this_node_context = "mine";
    struct raft_membership_entry first = {.payload = encode(membership, opaque)};
    struct raft_restore restore = {.memberships = &first, .memberships_count = 1};
    struct fixture f = fixture_create_with(&config, 0, &restore);
    raft_payload_unref(first.payload);
    return f;
}

/* From node 2, which leads term 1: the entry after `index`. */
static void append(struct fixture *f, uint64_t index, const struct raft_membership *membership,
                   const char *opaque, uint64_t commit)
{
    struct raft_entry entry = {
        .id = {.term = 1, .index = index + 1},
        .type = RAFT_ENTRY_MEMBERSHIP,
        .payload = encode(membership, opaque),
    };
    struct raft_message message = fixture_message(RAFT_MESSAGE_APPEND, 2, 1);
    message.log = fixture_id(index == 0 ? 0 : 1, index);
    message.commit = commit;
    message.entries = &entry;
    message.entries_count = 1;
    fixture_step(f, &message);
    raft_payload_unref(entry.payload);
    fixture_turn(f);
    fixture_persist(f);
}

static bool campaigns(struct fixture *f)
{
    struct raft_message order = fixture_message(RAFT_MESSAGE_TIMEOUT_NOW, 2, raft_get_term(f->raft));
    fixture_step(f, &order);
    for (int i = 0; i < 50 && raft_get_role(f->raft) == RAFT_FOLLOWER; i++) {
        uint64_t before = f->now_ms;
        fixture_tick_to_deadline(f);
        assert_true(i == 0 || raft_get_role(f->raft) != RAFT_FOLLOWER || f->now_ms > before);
    }
    return raft_get_role(f->raft) != RAFT_FOLLOWER;
}

/* Seed 1795667353013: a node that joined with an empty disk under its old id read, entry by entry, of the
 * time when its former self was the only voter, and elected itself. */
static void pitfall_28_one_with_the_id_of_a_former_voter_does_not_campaign(void **state)
{
    (void)state;
    struct raft_membership alone = fixture_members(FIXTURE_IDS(1), NULL, NULL);
    struct raft_membership two = fixture_members(FIXTURE_IDS(1, 2), NULL, NULL);
    struct raft_membership without = fixture_members(FIXTURE_IDS(2), NULL, NULL);
    struct raft_membership learns = fixture_members(FIXTURE_IDS(2), NULL, FIXTURE_IDS(1));

    struct fixture f = create(&alone, "another's");
    assert_false(campaigns(&f));
    append(&f, 0, &two, "another's", 0);
    assert_false(campaigns(&f));
    append(&f, 1, &without, "mine", 2);
    assert_false(campaigns(&f));
    assert_false(fixture_status(&f)->removed); /* it was another that was removed */
    append(&f, 2, &learns, "mine", 3);
    assert_false(campaigns(&f));
    append(&f, 3, &two, "mine", 4);
    assert_true(campaigns(&f));
    fixture_destroy(&f);

    f = create(&alone, "mine"); /* the same bytes but for the caller's */
    assert_true(campaigns(&f));
    fixture_destroy(&f);
}

/* A voter whose removal is not committed may have to lead (4.2.2), but not where its id is another's already:
 * it would count the other's vote as its own. */
static void pitfall_28_one_whose_id_is_anothers_by_now_does_not_campaign(void **state)
{
    (void)state;
    struct raft_membership two = fixture_members(FIXTURE_IDS(1, 2), NULL, NULL);
    struct raft_membership leaving = fixture_members(FIXTURE_IDS(2), FIXTURE_IDS(1, 2), NULL);
    struct fixture f = create(&two, "mine");
    append(&f, 0, &leaving, "mine", 0);
    assert_true(campaigns(&f));
    fixture_destroy(&f);

    f = create(&two, "mine");
    append(&f, 0, &leaving, "mine", 0);
    append(&f, 1, &two, "another's", 0);
    assert_false(campaigns(&f));
    fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitfall_28_one_with_the_id_of_a_former_voter_does_not_campaign),
        cmocka_unit_test(pitfall_28_one_whose_id_is_anothers_by_now_does_not_campaign),
    };
    return FIXTURE_MAIN(tests);
}
