/* test_client_interactive.c: kvcli with a person in front of it, on a terminal. */
#include "client_fake_server.h"
#include "client_terminal.h"
#include "interactive.h"
#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <locale.h>
#include <sys/stat.h>

static const char information[] = "*3\r\n*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"
                                  "*6\r\n$6\r\nincrby\r\n:3\r\n*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n"
                                  "*6\r\n$4\r\nincr\r\n:2\r\n*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n";
static const char documentation[] =
    "*2\r\n$3\r\nget\r\n*4\r\n$7\r\nsummary\r\n$6\r\nGet it\r\n$6\r\nsyntax\r\n$3\r\nkey\r\n";

struct fixture {
    struct client_terminal terminal;
    struct fake_server *server;
    char *home;
};

static int run_interactive(uint16_t port)
{
    const struct cluster_client_options options = {.timeout_ms = 20000, .protocol = 2, .cancel_fd = -1};
    struct endpoint_list nodes = {.count = 1};
    struct cluster_client client;
    struct runner runner = {
        .client = &client, .form = OUTPUT_HUMAN, .interactive = true, .out = stdout, .error = stderr};
    setlocale(LC_CTYPE, "C.UTF-8");
    nodes.items[0] = (struct endpoint){.host = "127.0.0.1", .port = port};
    cluster_client_init(&client, &nodes, &options);
    int exit_code = interactive_run(&runner, 20000);
    cluster_client_deinit(&client);
    return exit_code;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.home = temp_directory_create();
    setenv("HOME", fixture.home, 1);
    client_terminal_begin(&fixture.terminal, run_interactive);
    fixture.server = fake_server_start();
    fake_server_add(fixture.server,
                    &(struct fake_rule){.command = "COMMAND", .reply = information, .times = 1});
    fake_server_add(fixture.server,
                    &(struct fake_rule){.command = "COMMAND", .reply = documentation, .times = 1});
    fake_server_add(fixture.server, &(struct fake_rule){.command = "GET", .reply = "$5\r\nvalue\r\n"});
    client_terminal_set_port(&fixture.terminal, fake_server_port(fixture.server));
    client_terminal_expect(&fixture.terminal, "> ");
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fake_server_stop(fixture->server);
    temp_directory_remove(fixture->home);
    return 0;
}

static void end(struct fixture *fixture)
{
    client_terminal_type(&fixture->terminal, "\004");
    assert_int_equal(client_terminal_end(&fixture->terminal), EXIT_CODE_OK);
}

static void a_command_is_completed_hinted_and_executed(void **state)
{
    struct fixture *fixture = *state;
    client_terminal_type(&fixture->terminal, "ge");
    client_terminal_expect(&fixture->terminal, "e");
    client_terminal_type(&fixture->terminal, "\t");
    client_terminal_expect(&fixture->terminal, "\033[2mkey\033[0m");
    client_terminal_type(&fixture->terminal, "'a b'\r");
    client_terminal_expect(&fixture->terminal, "\"value\"");
    client_terminal_expect(&fixture->terminal, "> ");
    end(fixture);
    assert_int_equal(fake_server_count(fixture->server, "GET"), 1);
}

static void tab_lists_what_is_possible(void **state)
{
    struct fixture *fixture = *state;
    client_terminal_type(&fixture->terminal, "i\t");
    client_terminal_expect(&fixture->terminal, "ncr");
    client_terminal_type(&fixture->terminal, "\t");
    client_terminal_expect(&fixture->terminal, "incr    incrby");
    client_terminal_type(&fixture->terminal, "\025");
    end(fixture);
}

static void control_c_cancels_the_line(void **state)
{
    struct fixture *fixture = *state;
    client_terminal_type(&fixture->terminal, "incr n");
    client_terminal_expect(&fixture->terminal, "incr n");
    client_terminal_type(&fixture->terminal, "\003");
    client_terminal_expect(&fixture->terminal, "^C");
    client_terminal_expect(&fixture->terminal, "> ");
    client_terminal_type(&fixture->terminal, "get a\r");
    client_terminal_expect(&fixture->terminal, "\"value\"");
    client_terminal_expect(&fixture->terminal, "> ");
    end(fixture);
    assert_int_equal(fake_server_count(fixture->server, "INCR"), 0);
}

static void control_c_stops_waiting_for_a_write(void **state)
{
    struct fixture *fixture = *state;
    fake_server_add(fixture->server, &(struct fake_rule){.command = "INCR", .action = FAKE_SILENCE});
    client_terminal_type(&fixture->terminal, "incr n\r");
    while (fake_server_count(fixture->server, "INCR") == 0) {
        usleep(1000);
    }
    client_terminal_type(&fixture->terminal, "\003");
    client_terminal_expect(&fixture->terminal, "OUTCOME UNKNOWN");
    client_terminal_expect(&fixture->terminal, "interrupted");
    client_terminal_expect(&fixture->terminal, "> ");
    end(fixture);
}

static void words_of_its_own_and_quotes_are_understood(void **state)
{
    struct fixture *fixture = *state;
    client_terminal_type(&fixture->terminal, "help get\r");
    client_terminal_expect(&fixture->terminal, "get key\r\n  Get it");
    client_terminal_expect(&fixture->terminal, "> ");
    client_terminal_type(&fixture->terminal, "get \"a\r");
    client_terminal_expect(&fixture->terminal, "unbalanced quotes");
    client_terminal_type(&fixture->terminal, "status\r");
    client_terminal_expect(&fixture->terminal, "NODE  ADDRESS");
    client_terminal_expect(&fixture->terminal, "> ");
    client_terminal_type(&fixture->terminal, "verify /nowhere\r");
    client_terminal_expect(&fixture->terminal, "/nowhere is not a sound backup");
    client_terminal_expect(&fixture->terminal, "> ");
    client_terminal_type(&fixture->terminal, "remove\r");
    client_terminal_expect(&fixture->terminal, "remove needs: id");
    client_terminal_expect(&fixture->terminal, "> ");
    client_terminal_type(&fixture->terminal, "exit\r");
    assert_int_equal(client_terminal_end(&fixture->terminal), EXIT_CODE_OK);
}

static void history_is_kept_without_passwords(void **state)
{
    struct fixture *fixture = *state;
    char *file = temp_directory_join(fixture->home, ".kvcli_history");
    char content[1000] = "";
    struct stat information_of_file;
    client_terminal_type(&fixture->terminal, "get first\r");
    client_terminal_expect(&fixture->terminal, "value");
    client_terminal_expect(&fixture->terminal, "> ");
    client_terminal_type(&fixture->terminal, "auth secret\r");
    client_terminal_expect(&fixture->terminal, "OK");
    client_terminal_expect(&fixture->terminal, "> ");
    client_terminal_type(&fixture->terminal, "hello 3 auth me secret\r");
    client_terminal_expect(&fixture->terminal, "OK");
    client_terminal_expect(&fixture->terminal, "> ");
    client_terminal_type(&fixture->terminal, "\033[A");
    client_terminal_expect(&fixture->terminal, "get first");
    client_terminal_type(&fixture->terminal, "\025");
    end(fixture);
    FILE *stream = fopen(file, "r");
    assert_non_null(stream);
    (void)fread(content, 1, sizeof content - 1, stream);
    fclose(stream);
    assert_non_null(strstr(content, "first"));
    assert_null(strstr(content, "secret"));
    assert_int_equal(stat(file, &information_of_file), 0);
    assert_int_equal(information_of_file.st_mode & 077, 0);
    free(file);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_command_is_completed_hinted_and_executed),
        CASE(tab_lists_what_is_possible),
        CASE(control_c_cancels_the_line),
        CASE(control_c_stops_waiting_for_a_write),
        CASE(words_of_its_own_and_quotes_are_understood),
        CASE(history_is_kept_without_passwords),
    };
    return cmocka_run_group_tests_name("client/interactive", tests, NULL, NULL);
}
