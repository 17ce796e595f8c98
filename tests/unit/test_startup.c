/* test_startup.c: what a node refuses to start with, what it says, and that it leaves everything as it was.
 */
#include "runtime_child.h"

#include "config.h"
#include "map_record.h"
#include "storage_testing.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Starts a second node on the same directory; it must end with `code` and say `words`. */
static void expect_refusal(const struct runtime_child *first, const char *const *flags, int code,
                           const char *words)
{
    struct runtime_child second;

    runtime_child_try_start(&second, first->directory, flags);
    assert_int_equal(second.port, 0);
    assert_int_equal(runtime_child_wait(&second), code);
    assert_true(runtime_child_logs(first, words));
}

static void start_write_k_and_stop(struct runtime_child *child)
{
    runtime_child_start(child, NULL);
    int file = runtime_child_connect(child->port);

    runtime_child_send_text(file, "SET k v\r\n");
    runtime_child_expect(file, "+OK\r\n");
    (void)close(file);
    assert_int_equal(kill(child->pid, SIGTERM), 0);
    assert_int_equal(runtime_child_wait(child), 0);
}

static void expect_k_is_v(uint16_t port)
{
    int file = runtime_child_connect(port);

    runtime_child_send_text(file, "GET k\r\n");
    runtime_child_expect(file, "$1\r\nv\r\n");
    (void)close(file);
}

static void a_node_that_is_started_again_has_its_data(void **state)
{
    struct runtime_child child;

    (void)state;
    runtime_child_start(&child, NULL);
    int file = runtime_child_connect(child.port);

    runtime_child_send_text(file, "SET k v\r\n");
    runtime_child_expect(file, "+OK\r\n");
    assert_int_equal(kill(child.pid, SIGKILL), 0);
    assert_int_equal(runtime_child_wait(&child), 128 + SIGKILL);
    (void)close(file);
    runtime_child_try_start(&child, child.directory, NULL);
    assert_int_not_equal(child.port, 0);
    expect_k_is_v(child.port);
    runtime_child_stop(&child);
}

static void a_second_node_on_one_directory_is_refused(void **state)
{
    struct runtime_child child;

    (void)state;
    runtime_child_start(&child, NULL);
    int file = runtime_child_connect(child.port);

    runtime_child_send_text(file, "SET k v\r\n");
    runtime_child_expect(file, "+OK\r\n");
    (void)close(file);
    expect_refusal(&child, NULL, REPLICA_EXIT_START, "data");
    expect_k_is_v(child.port);
    runtime_child_stop(&child);
}

static void a_port_in_use_is_refused_and_nothing_is_made(void **state)
{
    struct runtime_child child, second;
    char listen[64], path[500];
    struct stat status;

    (void)state;
    runtime_child_start(&child, NULL);
    second.directory = temp_directory_create();
    sprintf(listen, "other=127.0.0.1:%u", child.port);
    runtime_child_try_start(&second, second.directory, FLAGS("--listen", listen));
    assert_int_equal(second.port, 0);
    assert_int_equal(runtime_child_wait(&second), REPLICA_EXIT_START);
    assert_true(runtime_child_logs(&second, "Address already in use (another program, perhaps another kvd"));
    sprintf(path, "%s/data", second.directory);
    assert_int_equal(stat(path, &status), -1);
    temp_directory_remove(second.directory);
    runtime_child_stop(&child);
}

/* Pitfall 28: identities. */
static void a_directory_of_another_node_is_refused_and_stays_usable(void **state)
{
    struct runtime_child child;

    (void)state;
    start_write_k_and_stop(&child);
    expect_refusal(&child, FLAGS("--id", "2"), REPLICA_EXIT_START, "belongs to node 1, and this is node 2");
    runtime_child_try_start(&child, child.directory, NULL);
    assert_int_not_equal(child.port, 0);
    expect_k_is_v(child.port);
    runtime_child_stop(&child);
}

/* Who the members are is in the data by then. */
static void the_setting_cluster_counts_only_until_there_is_a_cluster(void **state)
{
    struct runtime_child child;
    char bus[64];

    (void)state;
    start_write_k_and_stop(&child);
    sprintf(bus, "127.0.0.1:%u", runtime_child_free_port());
    runtime_child_try_start(&child, child.directory,
                            FLAGS("--cluster", "1=127.0.0.1:1,2=127.0.0.1:2", "--bus-listen", bus));
    assert_int_not_equal(child.port, 0);
    assert_true(runtime_child_logs(&child, "event=cluster-setting-not-used"));
    expect_k_is_v(child.port);
    runtime_child_stop(&child);
}

static void a_directory_that_cannot_be_written_is_refused(void **state)
{
    struct runtime_child child = {.directory = temp_directory_create()};

    (void)state;
    runtime_child_try_start(&child, child.directory, FLAGS("--data", "/proc/kvd"));
    assert_int_equal(child.port, 0);
    assert_int_equal(runtime_child_wait(&child), REPLICA_EXIT_START);
    assert_true(runtime_child_logs(&child, "/proc/kvd"));
    temp_directory_remove(child.directory);
}

/* Not a letter of it is what LMDB wrote. */
static void overwrite_head(const char *directory, const char *file_name)
{
    char *path = temp_directory_join(directory, file_name);
    FILE *file = fopen(path, "r+b");

    assert_non_null(file);
    for (int i = 0; i < 2 * 4096; i++) {
        assert_int_equal(fputc('x', file), 'x');
    }
    assert_int_equal(fclose(file), 0);
    free(path);
}

static void damage_meta_record(const char *directory)
{
    char *map = temp_directory_join(directory, "data/map-1");
    char name[] = MAP_META_NAME, garbage[] = "???";

    testing_damage(map, "meta", 0, (MDB_val){sizeof name - 1, name}, &(MDB_val){3, garbage});
    free(map);
}

/* Nobody is to start it again and again. */
static void damaged_data_is_refused_with_a_code_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct runtime_child child;

        start_write_k_and_stop(&child);
        if (i == 0) {
            damage_meta_record(child.directory);
        } else {
            overwrite_head(child.directory, i == 1 ? "data/map-1/data.mdb" : "data/log/data.mdb");
        }
        expect_refusal(&child, NULL, REPLICA_EXIT_CORRUPT,
                       i == 0 ? "the record \"meta\" is damaged" : "not an LMDB file");
        temp_directory_remove(child.directory);
    }
}

static void bad_settings_are_refused(void **state)
{
    struct runtime_child child = {.directory = temp_directory_create()};

    (void)state;
    runtime_child_try_start(&child, child.directory, FLAGS("--entry-bytes", "none"));
    assert_int_equal(runtime_child_wait(&child), REPLICA_EXIT_USAGE);
    assert_true(runtime_child_logs(&child, "is not a size such as"));
    temp_directory_remove(child.directory);
}

static void a_second_signal_stops_at_once(void **state)
{
    struct runtime_child child;

    (void)state;
    runtime_child_start(&child, NULL);
    assert_int_equal(kill(child.pid, SIGINT), 0);
    (void)kill(child.pid, SIGTERM);
    assert_int_equal(runtime_child_wait(&child), 0);
    temp_directory_remove(child.directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_is_started_again_has_its_data),
        cmocka_unit_test(a_second_node_on_one_directory_is_refused),
        cmocka_unit_test(a_port_in_use_is_refused_and_nothing_is_made),
        cmocka_unit_test(a_directory_of_another_node_is_refused_and_stays_usable),
        cmocka_unit_test(the_setting_cluster_counts_only_until_there_is_a_cluster),
        cmocka_unit_test(a_directory_that_cannot_be_written_is_refused),
        cmocka_unit_test(damaged_data_is_refused_with_a_code_of_its_own),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(a_second_signal_stops_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
