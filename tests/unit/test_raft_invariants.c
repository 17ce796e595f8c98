/* test_raft_invariants.c: a canary: the whole-state check must notice a broken state. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raft_fixture.h"
#include "raft_internal.h"

static void break_commit(struct raft *raft)
{
    raft->log.commit = raft->log.last_index + 1;
}

static void break_durable(struct raft *raft)
{
    raft->log.durable = raft->log.last_index + 1;
}

static void break_leader(struct raft *raft)
{
    raft->leader = 2;
}

static void break_vote(struct raft *raft)
{
    raft->hard_state.vote = 2;
}

static void break_progress(struct raft *raft)
{
    raft->progress[1].next = raft->progress[1].match;
}

static void break_term(struct raft *raft)
{
    raft->hard_state.term = 0;
}

static void break_transfer(struct raft *raft)
{
    raft->transfer.transferee = raft->config.id;
}

static void break_slot(struct raft *raft)
{
    raft->progress[2].id = 7;
}

static void break_quorum(struct raft *raft)
{
    raft->quorum.outgoing = 1;
}

static void break_left(struct raft *raft)
{
    raft->left_count = 1;
}

static void break_configuration(struct raft *raft)
{
    raft->configurations.items[0].id.index = raft->log.commit + 1;
}

static void break_stream(struct raft *raft)
{
    raft->progress[1].stream.under_way = true;
}

static void break_base(struct raft *raft)
{
    raft->log.install_unsaved = true;
}

static void break_install(struct raft *raft)
{
    raft->log.install_first = 1;
}

/* True if the check aborts, in a child process, on a leader damaged by `damage`. */
static bool check_aborts(void (*damage)(struct raft *raft))
{
    struct fixture f = fixture_create_leader_of(3);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)freopen("/dev/null", "w", stderr);
        if (damage != NULL)
            damage(f.raft);
        raft_check_invariants(f.raft);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    fixture_destroy(&f);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_sound_state_passes_and_a_broken_one_aborts(void **state)
{
    (void)state;
    assert_false(check_aborts(NULL));
    assert_true(check_aborts(break_commit));
    assert_true(check_aborts(break_durable));
    assert_true(check_aborts(break_leader));
    assert_true(check_aborts(break_vote));
    assert_true(check_aborts(break_progress));
    assert_true(check_aborts(break_term));
    assert_true(check_aborts(break_transfer));
    assert_true(check_aborts(break_slot));
    assert_true(check_aborts(break_quorum));
    assert_true(check_aborts(break_left));
    assert_true(check_aborts(break_configuration));
    assert_true(check_aborts(break_stream));
    assert_true(check_aborts(break_base));
    assert_true(check_aborts(break_install));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_state_passes_and_a_broken_one_aborts),
    };
    return FIXTURE_MAIN(tests);
}
