/* test_client_backup_command.c: what kvcli makes of a node that refuses, breaks off or talks nonsense: never
 * a file. (Whole backups: tests/cluster/test_backup.py.) */
#include "backup_command.h"
#include "client_fake_server.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define ANNOUNCED "$13\r\nkey_count:10\n\r\n"
#define NOISE     "*2\r\n:0\r\n$56\r\nkvdback\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"

struct ran {
    int exit_code;
    char errors[2000];
};

static struct ran run_with(const char *path, uint16_t port, int cancel_fd)
{
    static struct ran ran;
    struct options options = {.action = OPTIONS_BACKUP,
                              .arguments = {path},
                              .arguments_count = 1,
                              .timeout_ms = 700,
                              .from_given = true};
    FILE *out = tmpfile(), *errors = tmpfile();
    options.from = (struct endpoint){.host = "127.0.0.1", .port = port};
    ran.exit_code = backup_command_run(&options, cancel_fd, out, errors);
    fclose(out);
    rewind(errors);
    ran.errors[fread(ran.errors, 1, sizeof ran.errors - 1, errors)] = '\0';
    fclose(errors);
    return ran;
}

/* A node that answers so to RAFT BACKUP, and closes. */
static void expect_failure(const char *directory, const char *reply, enum fake_action action,
                           const char *words)
{
    char *path = temp_directory_join(directory, "backup");
    char *part = temp_directory_join(directory, "backup.part");
    struct fake_server *server = fake_server_start();
    fake_server_add(server,
                    &(struct fake_rule){.command = "DBSIZE", .action = FAKE_REPLY, .reply = ":10\r\n"});
    fake_server_add(server, &(struct fake_rule){.command = "RAFT BACKUP", .action = action, .reply = reply});
    struct ran ran = run_with(path, fake_server_port(server), -1);
    if (ran.exit_code != EXIT_CODE_SERVER_ERROR || strstr(ran.errors, words) == NULL) {
        fail_msg("%d: %s", ran.exit_code, ran.errors);
    }
    assert_true(access(path, F_OK) != 0 && access(part, F_OK) != 0);
    fake_server_stop(server);
    free(part);
    free(path);
}

static void whatever_a_node_does_wrong_there_is_no_file(void **state)
{
    const char *directory = *state;
    expect_failure(directory, "-ERR as many as it may\r\n", FAKE_REPLY, "ERR as many as it may");
    expect_failure(directory, "+OK\r\n", FAKE_REPLY, "OK");
    expect_failure(directory, ANNOUNCED, FAKE_CLOSE, "closed");
    expect_failure(directory, ANNOUNCED "+OK\r\n", FAKE_REPLY, "before it was whole");
    expect_failure(directory, ANNOUNCED "-ERR the backup broke off: it pins too much\r\n", FAKE_REPLY,
                   "pins too much");
    expect_failure(directory, ANNOUNCED ":1\r\n", FAKE_REPLY, "makes no sense");
    expect_failure(directory, ANNOUNCED "*2\r\n:0\r\n:1\r\n", FAKE_REPLY, "makes no sense");
    expect_failure(directory, ANNOUNCED "*2\r\n:0\r\n$4\r\nabcd\r\n", FAKE_REPLY, "impossible size");
    expect_failure(directory, ANNOUNCED NOISE, FAKE_REPLY, "head of this backup is damaged");
    expect_failure(directory, ANNOUNCED "garbage\r\n", FAKE_REPLY, "");
}

static void without_a_leader_the_way_out_is_named(void **state)
{
    char *path = temp_directory_join(*state, "backup");
    struct fake_server *server = fake_server_start();
    fake_server_add(server, &(struct fake_rule){.command = "DBSIZE",
                                                .action = FAKE_REPLY,
                                                .reply = "-CLUSTERDOWN The cluster is down\r\n"});
    struct ran ran = run_with(path, fake_server_port(server), -1);
    assert_int_equal(ran.exit_code, EXIT_CODE_NOT_EXECUTED);
    assert_non_null(strstr(ran.errors, "CLUSTERDOWN"));
    assert_non_null(strstr(ran.errors, "--stale"));
    assert_int_equal(fake_server_count(server, "RAFT BACKUP"), 0);
    assert_true(fake_server_count(server, "DBSIZE") > 1);
    assert_int_equal(run_with(path, fake_server_dead_port(), -1).exit_code, EXIT_CODE_NOT_EXECUTED);
    assert_true(access(path, F_OK) != 0);
    fake_server_stop(server);
    free(path);
}

static void it_can_be_interrupted_while_it_waits(void **state)
{
    char *path = temp_directory_join(*state, "backup");
    struct fake_server *server = fake_server_start();
    int cancelled = eventfd(1, EFD_CLOEXEC);
    fake_server_add(server, &(struct fake_rule){.command = "DBSIZE", .action = FAKE_SILENCE});
    struct ran ran = run_with(path, fake_server_port(server), cancelled);
    assert_int_equal(ran.exit_code, EXIT_CODE_INTERRUPTED);
    close(cancelled);
    fake_server_stop(server);
    free(path);
}

static void a_file_that_is_there_is_not_touched_nor_anybody_asked(void **state)
{
    char *path = temp_directory_join(*state, "backup");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    struct fake_server *server = fake_server_start();
    struct ran ran = run_with(path, fake_server_port(server), -1);
    assert_int_equal(ran.exit_code, EXIT_CODE_SERVER_ERROR);
    assert_non_null(strstr(ran.errors, "never overwrites"));
    assert_int_equal(fake_server_connections(server), 0);
    fake_server_stop(server);
    free(path);
}

static int begin(void **state)
{
    *state = temp_directory_create();
    return 0;
}

static int end(void **state)
{
    temp_directory_remove(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whatever_a_node_does_wrong_there_is_no_file, begin, end),
        cmocka_unit_test_setup_teardown(without_a_leader_the_way_out_is_named, begin, end),
        cmocka_unit_test_setup_teardown(it_can_be_interrupted_while_it_waits, begin, end),
        cmocka_unit_test_setup_teardown(a_file_that_is_there_is_not_touched_nor_anybody_asked, begin, end),
    };
    return cmocka_run_group_tests_name("client/backup_command", tests, NULL, NULL);
}
