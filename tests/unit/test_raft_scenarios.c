/* test_raft_scenarios.c: plays every file of tests/scenarios and holds what happens against what it expects.
 *
 *     build/tests/test_raft_scenarios               a case for each file
 *     build/tests/test_raft_scenarios --rewrite     writes what happens into the files: read the difference
 *
 * KVD_REWRITE=1 does the same as --rewrite; KVD_SCENARIOS names another folder.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raft_scenario.h"

enum {
    FILES_MAX = 64,
    FILES_MIN = 16, /* so that an empty folder is no success */
};

static bool rewrite;

static char *read_file(const char *path)
{
    struct script_text text = {0};
    char piece[4096];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    script_text_add(&text, "%s", "");
    for (size_t size; (size = fread(piece, 1, sizeof piece, file)) > 0;) {
        script_text_add(&text, "%.*s", (int)size, piece);
    }
    fclose(file);
    return text.bytes;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static void plays_as_expected(void **state)
{
    const char *path = *state;
    char *expected = read_file(path);
    struct script_text played = {0};
    struct script_text difference = {0};
    raft_scenario_play(expected, &played);
    assert_non_null(played.bytes);
    bool same = strcmp(expected, played.bytes) == 0;
    if (!same && rewrite) {
        write_file(path, played.bytes);
    } else if (!same) {
        raft_scenario_diff(expected, played.bytes, &difference);
        print_error("%s:\n%s", path, difference.bytes);
    }
    bool broken = raft_scenario_is_broken(played.bytes);
    free(expected);
    script_text_deinit(&played);
    script_text_deinit(&difference);
    assert_true(same || rewrite);
    assert_false(broken);
}

/* ---- the interpreter itself -------------------------------------------------------------------- */

static const char small_scenario[] = "# One node alone.\n"
                                     "> nodes 1\n"
                                     "> campaign 1\n"
                                     "  1 becomes candidate, term 1\n"
                                     "  1 does write 1: term 1, vote for 1\n"
                                     "  1 becomes leader, term 1\n"
                                     "  1 does write 2: 1(t1) noop\n"
                                     "  1 commits 1(t1) noop\n"
                                     "\n"
                                     "> propose 1 x\n"
                                     "  1 does write 3: 2(t1) x\n"
                                     "  1 commits 2(t1) x\n";

static void what_is_expected_is_left_as_it_is(void **state)
{
    (void)state;
    struct script_text played = {0};
    raft_scenario_play(small_scenario, &played);
    assert_string_equal(played.bytes, small_scenario);
    assert_false(raft_scenario_is_broken(played.bytes));
    script_text_deinit(&played);
}

static void a_wrong_expectation_is_told(void **state)
{
    (void)state;
    char *wrong = strdup(small_scenario);
    struct script_text played = {0};
    struct script_text difference = {0};
    strstr(wrong, "2(t1) x\n")[0] = '7';
    raft_scenario_play(wrong, &played);
    assert_string_equal(played.bytes, small_scenario);
    raft_scenario_diff(wrong, played.bytes, &difference);
    assert_string_equal(difference.bytes, "    1 does write 2: 1(t1) noop\n"
                                          "    1 commits 1(t1) noop\n"
                                          "  \n"
                                          "  > propose 1 x\n"
                                          "-   1 does write 3: 7(t1) x\n"
                                          "+   1 does write 3: 2(t1) x\n"
                                          "    1 commits 2(t1) x\n");
    script_text_deinit(&played);
    script_text_deinit(&difference);
    free(wrong);
}

static void a_command_that_makes_no_sense_is_an_error(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "> status\n",
        "> nodes 99\n",
        "> nodes 3\n> dance 1\n",
        "> nodes 3\n> crash 4\n",
        "> nodes 3\n> deliver 1>2\n",
        "> nodes 3\n> deliver 1->9\n",
        "> nodes 3\n> persist 1\n",
        "> nodes 3\n> crash 1\n> tick 1 10\n",
        "> nodes 3\n> compact 1\n",
        "> nodes 3\n> partition 1 | x\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct script_text played = {0};
        raft_scenario_play(wrong[i], &played);
        assert_true(raft_scenario_is_broken(played.bytes));
        script_text_deinit(&played);
    }
}

/* Node 2 forgets its vote, as no node of Raft may: the checks of the interpreter see what comes of it. */
static void two_leaders_of_one_term_are_told(void **state)
{
    (void)state;
    struct script_text played = {0};
    raft_scenario_play("> nodes 3\n"
                       "> campaign 1\n> deliver 1->2\n> deliver 2->1\n> deliver 1->2\n> deliver 2->1\n"
                       "> disk 2 term 0\n"
                       "> campaign 3\n> deliver 3->2\n> deliver 2->3\n> deliver 3->2\n> deliver 2->3\n",
                       &played);
    assert_non_null(strstr(played.bytes, "BROKEN: 1 and 3 lead in term 1\n"));
    assert_true(raft_scenario_is_broken(played.bytes));
    script_text_deinit(&played);
}

static void two_entries_committed_at_one_index_are_told(void **state)
{
    (void)state;
    struct script_text played = {0};
    raft_scenario_play("> nodes 3\n> elect 1\n> propose 1 x\n> deliver all\n"
                       "> disk 3 term 1 log 1 1\n> tick 1 20\n> deliver all\n",
                       &played);
    assert_non_null(strstr(played.bytes, "BROKEN: other entries were committed there before\n"));
    script_text_deinit(&played);
}

/* ---- the files --------------------------------------------------------------------------------- */

static char paths[FILES_MAX][300];

static int is_scenario(const struct dirent *item)
{
    size_t size = strlen(item->d_name);
    return size > 4 && strcmp(item->d_name + size - 4, ".txt") == 0;
}

/* Adds a case for each file; returns how many there are. */
static int add_files(const char *folder, struct CMUnitTest *tests)
{
    struct dirent **items = NULL;
    int count = scandir(folder, &items, is_scenario, alphasort);
    for (int i = 0; i < count; i++) {
        if (i < FILES_MAX) {
            (void)snprintf(paths[i], sizeof paths[i], "%s/%s", folder, items[i]->d_name);
            tests[i] = (struct CMUnitTest){.name = strrchr(paths[i], '/') + 1,
                                           .test_func = plays_as_expected,
                                           .initial_state = paths[i]};
        }
        free(items[i]);
    }
    free(items);
    return count;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest own[] = {
        cmocka_unit_test(what_is_expected_is_left_as_it_is),
        cmocka_unit_test(a_wrong_expectation_is_told),
        cmocka_unit_test(a_command_that_makes_no_sense_is_an_error),
        cmocka_unit_test(two_leaders_of_one_term_are_told),
        cmocka_unit_test(two_entries_committed_at_one_index_are_told),
    };
    enum { OWN_COUNT = sizeof own / sizeof own[0] };
    struct CMUnitTest tests[OWN_COUNT + FILES_MAX] = {{0}}; /* cmocka passes over the empty ones */
    memcpy(tests, own, sizeof own);

    const char *wish = getenv("KVD_REWRITE");
    const char *folder = getenv("KVD_SCENARIOS");
    folder = folder == NULL ? "tests/scenarios" : folder;
    rewrite = (argc > 1 && strcmp(argv[1], "--rewrite") == 0) || (wish != NULL && strcmp(wish, "1") == 0);
    int count = add_files(folder, tests + OWN_COUNT);
    if (count < FILES_MIN || count > FILES_MAX) {
        (void)fprintf(stderr, "%d scenarios in %s; there should be %d to %d\n", count, folder, FILES_MIN,
                      FILES_MAX);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
