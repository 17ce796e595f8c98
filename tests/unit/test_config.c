/* test_config.c: settings from the file, the environment and flags; what is wrong with them; how they are
 * shown. */
#include "config_internal.h"

#include "temp_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 16 };

/* One reading; close() it. */
struct reading {
    struct config config;
    struct config_errors errors;
    enum config_request request;
    bool fine;
};

/* `flags` and `environment` end with NULL. */
static struct reading read_with(const char *const *flags, const char *const *environment)
{
    char *arguments[ARGUMENTS_MAX + 2], *variables[ARGUMENTS_MAX + 1];
    struct reading reading;
    int count = 0, variables_count = 0;

    arguments[count++] = strdup("kvd");
    while (flags != NULL && *flags != NULL) {
        assert_true(count <= ARGUMENTS_MAX);
        arguments[count++] = strdup(*flags++);
    }
    arguments[count] = NULL;
    while (environment != NULL && *environment != NULL) {
        assert_true(variables_count < ARGUMENTS_MAX);
        variables[variables_count++] = strdup(*environment++);
    }
    variables[variables_count] = NULL;
    reading.fine =
        config_read(&reading.config, count, arguments, variables, &reading.request, &reading.errors);
    for (int i = 0; i < count; i++) {
        free(arguments[i]);
    }
    for (int i = 0; i < variables_count; i++) {
        free(variables[i]);
    }
    return reading;
}

#define FLAGS(...)       ((const char *const[]){__VA_ARGS__, NULL})
#define ENVIRONMENT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void end(struct reading *reading)
{
    config_deinit(&reading->config);
    config_errors_deinit(&reading->errors);
}

static void expect_error(const char *const *flags, const char *words)
{
    struct reading reading = read_with(flags, NULL);

    assert_false(reading.fine);
    if (strstr(reading.errors.text, words) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", words, reading.errors.text);
    }
    end(&reading);
}

static char *file_with(const char *directory, const char *content)
{
    char *path = malloc(strlen(directory) + 16);

    sprintf(path, "%s/kvd.conf", directory);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* ---- sources --------------------------------------------------------------------------------- */

static void without_settings_it_is_a_single_node(void **state)
{
    struct reading reading = read_with(NULL, NULL);

    (void)state;
    assert_true(reading.fine);
    assert_int_equal(reading.request, CONFIG_RUN);
    assert_int_equal(reading.config.id, 1);
    assert_int_equal(reading.config.members_count, 1);
    assert_int_equal(reading.config.members[0].node_id, 1);
    assert_int_equal(reading.config.bus_bind_port, 0);
    assert_int_equal(reading.config.listeners_count, 1);
    assert_string_equal(reading.config.listeners[0].bind_host, "127.0.0.1");
    assert_int_equal(reading.config.listeners[0].bind_port, 7000);
    assert_string_equal(reading.config.listeners[0].announced.name, "client");
    assert_string_equal(reading.config.listeners[0].announced.host, "127.0.0.1");
    assert_string_equal(reading.config.data, "kvd-data");
    assert_int_equal(reading.config.election_timeout_ms, 1000);
    assert_int_equal(reading.config.entry_bytes, 1024 * 1024);
    assert_int_equal(reading.config.clients_max, 10000);
    assert_int_equal(reading.config.secret_bytes, 0);
    end(&reading);
}

static void flags_win_over_the_environment_and_that_over_the_file(void **state)
{
    char *directory = temp_directory_create();
    char *path = file_with(directory, "parking-time 1ms\ncommand-timeout 1s\nlog-level = debug\n");
    char *variable = malloc(strlen(path) + 16);

    (void)state;
    sprintf(variable, "KVD_CONFIG=%s", path);
    struct reading reading =
        read_with(FLAGS("--parking-time", "3ms"),
                  ENVIRONMENT(variable, "KVD_PARKING_TIME=2ms", "KVD_COMMAND_TIMEOUT=2s", "PATH=/bin"));

    assert_true(reading.fine);
    assert_int_equal(reading.config.parking_ms, 3);
    assert_int_equal(reading.config.command_timeout_ms, 2000);
    assert_int_equal(reading.config.log_level, REPLICA_LOG_DEBUG);
    assert_string_equal(reading.config.config_file, path);
    end(&reading);
    free(variable);
    free(path);
    temp_directory_remove(directory);
}

static void a_file_has_comments_quotes_and_both_forms_of_lines(void **state)
{
    char *directory = temp_directory_create();
    char *path = file_with(directory, "# a comment\n"
                                      "\n"
                                      "  id = 7   # the seventh\n"
                                      "data \"a # b\"\n"
                                      "cluster-secret=0123456789#abcdef\n"
                                      "listen 127.0.0.1:7001\r\n"
                                      "listen inside=127.0.0.1:7002\n");
    struct reading reading = read_with(FLAGS("--config", path), NULL);

    (void)state;
    assert_true(reading.fine);
    assert_int_equal(reading.config.id, 7);
    assert_string_equal(reading.config.data, "a # b");
    assert_int_equal(reading.config.secret_bytes, 17);
    assert_int_equal(reading.config.listeners_count, 2);
    end(&reading);
    free(path);
    temp_directory_remove(directory);
}

static void a_list_of_a_stronger_source_replaces_the_whole_list(void **state)
{
    struct reading reading = read_with(FLAGS("--listen=a=127.0.0.1:1", "--listen", "b=127.0.0.1:2"),
                                       ENVIRONMENT("KVD_LISTEN=c=127.0.0.1:3,d=127.0.0.1:4,e=127.0.0.1:5"));

    (void)state;
    assert_true(reading.fine);
    assert_int_equal(reading.config.listeners_count, 2);
    assert_string_equal(reading.config.listeners[1].announced.name, "b");
    end(&reading);
}

static void all_errors_are_reported_with_where_they_came_from(void **state)
{
    char *directory = temp_directory_create();
    char *path = file_with(directory, "id 1\nelection-timeot 5s\nparking-time soon\nid 2\n");
    struct reading reading =
        read_with(FLAGS("--config", path, "--entry-bytes", "1", "--nonsense", "7", "stray"),
                  ENVIRONMENT("KVD_LOG_LEVEL=loud", "KVD_HEARTBEAT_INTERVALL=1s"));

    (void)state;
    assert_false(reading.fine);
    assert_int_equal(reading.errors.count, 8);
    assert_non_null(strstr(reading.errors.text,
                           "kvd.conf:2: there is no setting \"election-timeot\". Did you mean "
                           "\"election-timeout\"?"));
    assert_non_null(strstr(reading.errors.text, "kvd.conf:3: parking-time: \"soon\" is not a time such as"));
    assert_non_null(strstr(reading.errors.text, "kvd.conf:4: id is given a second time"));
    assert_non_null(strstr(reading.errors.text,
                           "flag --entry-bytes: entry-bytes: \"1\" is outside the range 4KiB to 16MiB"));
    assert_non_null(strstr(reading.errors.text, "flag --nonsense: there is no setting"));
    assert_non_null(strstr(reading.errors.text, "\"stray\" is not a flag"));
    assert_non_null(
        strstr(reading.errors.text, "environment variable KVD_LOG_LEVEL: log-level: \"loud\" is not one of"));
    assert_non_null(strstr(reading.errors.text,
                           "KVD_HEARTBEAT_INTERVALL: there is no such setting; did you mean "
                           "KVD_HEARTBEAT_INTERVAL?"));
    end(&reading);
    free(path);
    temp_directory_remove(directory);
}

static void variables_that_kubernetes_makes_up_are_passed_over(void **state)
{
    struct reading reading =
        read_with(NULL, ENVIRONMENT("KVD_SERVICE_HOST=10.0.0.1", "KVD_SERVICE_PORT=7000",
                                    "KVD_PORT=tcp://10.0.0.1:7000", "KVD_PORT_7000_TCP=tcp://10.0.0.1:7000",
                                    "KVD_BUS_PORT_17000_TCP_ADDR=10.0.0.1"));

    (void)state;
    assert_true(reading.fine);
    end(&reading);
}

static void a_missing_file_or_value_is_an_error(void **state)
{
    (void)state;
    expect_error(FLAGS("--config", "/nowhere/kvd.conf"), "/nowhere/kvd.conf cannot be read: No such file");
    expect_error(FLAGS("--id"), "flag --id: a value is missing");
    expect_error(FLAGS("--config"), "flag --config: a value is missing");
    expect_error(FLAGS("--help-me", "--id", "x"), "--id");
    expect_error(FLAGS("--id", "0"), "outside the range");
    expect_error(FLAGS("--id", "99999999999999999999999"), "not a whole number");
    expect_error(FLAGS("--id", ""), "id is given without a value");
    expect_error(FLAGS("--data="), "data is given without a value");
    expect_error(FLAGS("--cluster="), "cluster is given without a value");
    expect_error(FLAGS("--cluster-secret", " "), "cluster-secret is given without a value");
}

static void requests_are_found_wherever_they_stand(void **state)
{
    struct reading reading = read_with(FLAGS("--id", "nonsense", "--help"), NULL);

    (void)state;
    assert_true(reading.fine);
    assert_int_equal(reading.request, CONFIG_HELP);
    end(&reading);
    reading = read_with(FLAGS("--version"), NULL);
    assert_int_equal(reading.request, CONFIG_VERSION);
    end(&reading);
    reading = read_with(FLAGS("--check-config", "--id=3"), NULL);
    assert_true(reading.fine);
    assert_int_equal(reading.request, CONFIG_CHECK);
    assert_int_equal(reading.config.id, 3);
    end(&reading);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void times_and_sizes_have_units(void **state)
{
    uint64_t value;

    (void)state;
    assert_true(config_parse_duration("500ms", &value) && value == 500);
    assert_true(config_parse_duration("5s", &value) && value == 5000);
    assert_true(config_parse_duration("2m", &value) && value == 120000);
    assert_true(config_parse_duration("7", &value) && value == 7);
    assert_true(config_parse_size("64MiB", &value) && value == 64 << 20);
    assert_true(config_parse_size("1 gb", &value) && value == 1 << 30);
    assert_true(config_parse_size("16k", &value) && value == 16384);
    assert_false(config_parse_duration("5 fortnights", &value));
    assert_false(config_parse_duration("-5s", &value));
    assert_false(config_parse_duration("", &value));
    assert_false(config_parse_duration("5.5s", &value));
    assert_false(config_parse_size("99999999999999TiB", &value));
    assert_false(config_parse_size("MiB", &value));
}

static void what_is_printed_can_be_read_again(void **state)
{
    char text[CONFIG_VALUE_BYTES_MAX];
    uint64_t value;
    static const uint64_t values[] = {0, 1, 999, 1000, 1023, 1024, 1025, 60000, 1 << 20, 3 << 20, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        config_format_duration(values[i], text);
        assert_true(config_parse_duration(text, &value) && value == values[i]);
        config_format_size(values[i], text);
        assert_true(config_parse_size(text, &value) && value == values[i]);
    }
}

static bool parse_address(const char *text, char *host, uint16_t *port)
{
    return config_parse_address(text, strlen(text), host, port, 1);
}

static void addresses_are_hosts_and_ports(void **state)
{
    char host[BUS_HOST_BYTES_MAX + 1];
    uint16_t port;

    (void)state;
    assert_true(parse_address("node1:7000", host, &port));
    assert_string_equal(host, "node1");
    assert_int_equal(port, 7000);
    assert_true(parse_address("[fd00::1]:65535", host, &port));
    assert_string_equal(host, "fd00::1");
    assert_true(parse_address("*:1", host, &port));
    assert_string_equal(host, "");
    assert_false(parse_address("node1", host, &port));
    assert_false(parse_address("node1:", host, &port));
    assert_false(parse_address("node1:0", host, &port));
    assert_false(parse_address("node1:65536", host, &port));
    assert_false(parse_address("node1:70a", host, &port));
    assert_false(parse_address("fd00::1:7000", host, &port));
    assert_false(parse_address("[fd00::1]7000", host, &port));
    assert_false(parse_address("[]:7000", host, &port));
    assert_false(parse_address("no de:7000", host, &port));
}

/* ---- members, listeners, secret -------------------------------------------------------------- */

static void members_are_sorted_and_the_bus_listens_at_the_own_address(void **state)
{
    struct reading reading =
        read_with(FLAGS("--id", "2", "--cluster", "3=c:17003, 1=[fd00::1]:17001,2=b:17002"), NULL);

    (void)state;
    assert_true(reading.fine);
    assert_int_equal(reading.config.members_count, 3);
    assert_int_equal(reading.config.members[0].node_id, 1);
    assert_string_equal(reading.config.members[0].bus_host, "fd00::1");
    assert_int_equal(reading.config.members[2].node_id, 3);
    assert_string_equal(reading.config.bus_bind_host, "b");
    assert_int_equal(reading.config.bus_bind_port, 17002);
    end(&reading);
    reading = read_with(FLAGS("--cluster=1=a:1,2=b:2", "--bus-listen", "0.0.0.0:99"), NULL);
    assert_string_equal(reading.config.members[0].bus_host, "a");
    assert_int_equal(reading.config.members[0].bus_port, 1);
    assert_true(reading.fine);
    assert_string_equal(reading.config.bus_bind_host, "0.0.0.0");
    assert_int_equal(reading.config.bus_bind_port, 99);
    end(&reading);
}

static void expect_bus(const char *const *flags, const char *bind, uint16_t bind_port, const char *host,
                       uint16_t port)
{
    struct reading reading = read_with(flags, NULL);

    assert_true(reading.fine);
    assert_string_equal(reading.config.bus_bind_host, bind);
    assert_int_equal(reading.config.bus_bind_port, bind_port);
    assert_string_equal(reading.config.members[0].bus_host, host);
    assert_int_equal(reading.config.members[0].bus_port, port);
    end(&reading);
}

static void a_node_that_joins_or_is_alone_has_a_bus_too(void **state)
{
    (void)state;
    expect_bus(FLAGS("--join", "a:1"), "127.0.0.1", 17000, "127.0.0.1", 17000);
    expect_bus(FLAGS("--join", "a:1,b:2", "--listen", "0.0.0.0:7003@node4:7000"), "0.0.0.0", 17003, "node4",
               17003);
    expect_bus(FLAGS("--join", "a:1", "--bus-listen", "h:5"), "h", 5, "h", 5);
    expect_bus(FLAGS("--join", "a:1", "--bus-listen", "*:5@node4:6"), "", 5, "node4", 6);
    expect_bus(FLAGS("--bus-listen", "h:5"), "h", 5, "h", 5); /* others may join it */
    expect_bus(FLAGS("--cluster", "1=h:5"), "h", 5, "h", 5);
    expect_bus(FLAGS("--cluster", "1=h:5", "--bus-listen", "[::]:9"), "::", 9, "h", 5);
    expect_bus(FLAGS("--cluster", "1=h:5", "--bus-listen", "[::]:9@[fd00::1]:7"), "::", 9, "fd00::1", 7);
    expect_bus(FLAGS("--id", "1"), "", 0, "", 0);
    struct reading reading = read_with(FLAGS("--id", "7", "--join", "a:1", "--join", "[fd00::2]:2"), NULL);

    assert_true(reading.fine);
    assert_int_equal(reading.config.joins_count, 2);
    assert_string_equal(reading.config.joins[1].bus_host, "fd00::2");
    assert_int_equal(reading.config.joins[1].bus_port, 2);
    assert_int_equal(reading.config.members_count, 1);
    assert_int_equal(reading.config.members[0].node_id, 7);
    end(&reading);
}

static void clusters_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    expect_error(FLAGS("--cluster", "1=a:1,1=b:2"), "number 1 is there twice");
    expect_error(FLAGS("--cluster", "1=a:1,2=a:1"), "have the same address a:1");
    expect_error(FLAGS("--cluster", "2=a:1,3=b:1"), "node 1 is not in `cluster`");
    expect_error(FLAGS("--cluster", "1=a"), "is not of the form ID=HOST:PORT");
    expect_error(FLAGS("--cluster", "0=a:1"), "is not of the form ID=HOST:PORT");
    expect_error(FLAGS("--cluster", "1=:1"), "is not of the form ID=HOST:PORT");
    expect_error(FLAGS("--bus-listen", "a"), "not of the form");
    expect_error(FLAGS("--bus-listen", "a:1@0.0.0.0:1"), "does not tell where");
    expect_error(FLAGS("--join", "a:1", "--cluster", "1=a:1"), "forms a cluster or joins one");
    expect_error(FLAGS("--join", "a"), "join: \"a\" is not of the form");
    expect_error(FLAGS("--join", ":17000"), "join: \":17000\" is not of the form");
    expect_error(FLAGS("--join", "a:1", "--listen", "127.0.0.1:60000"), "is needed with join");
    expect_error(FLAGS("--join", "a:1", "--listen", "127.0.0.1:0"), "is needed with join");
    expect_error(FLAGS("--cluster",
                       "1=a:1,2=a:2,3=a:3,4=a:4,5=a:5,6=a:6,7=a:7,8=a:8,9=a:9,10=a:10,11=a:11,12=a:12,"
                       "13=a:13,14=a:14,15=a:15,16=a:16"),
                 "more than 15 members");
}

static void listeners_announce_what_they_are_told_or_the_bound_address(void **state)
{
    char name[BUS_HOST_BYTES_MAX + 1] = "";
    struct reading reading = read_with(
        FLAGS("--listen", "[::1]:7000,out=0.0.0.0:7001@kvd.example.org:443,any=*:7002,free=127.0.0.1:0"),
        NULL);
    const struct config_listener *listeners = reading.config.listeners;

    (void)state;
    assert_true(reading.fine);
    assert_int_equal(gethostname(name, sizeof name - 1), 0);
    assert_int_equal(reading.config.listeners_count, 4);
    assert_string_equal(listeners[0].announced.host, "::1");
    assert_int_equal(listeners[0].announced.port, 7000);
    assert_string_equal(listeners[1].announced.name, "out");
    assert_string_equal(listeners[1].bind_host, "0.0.0.0");
    assert_string_equal(listeners[1].announced.host, "kvd.example.org");
    assert_int_equal(listeners[1].announced.port, 443);
    assert_string_equal(listeners[2].bind_host, "");
    assert_string_equal(listeners[2].announced.host, name);
    assert_int_equal(listeners[3].bind_port, 0);
    end(&reading);
}

static void listeners_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    expect_error(FLAGS("--listen", "127.0.0.1:1,127.0.0.1:2"), "two listeners with the name \"client\"");
    expect_error(FLAGS("--listen", "a=h:1,b=h:2,c=h:3,d=h:4,e=h:5"), "more than 4 listeners");
    expect_error(FLAGS("--listen", "127.0.0.1"), "is not of the form");
    expect_error(FLAGS("--listen", "h:1@0.0.0.0:1"), "is not of the form");
    expect_error(FLAGS("--listen", "h:1@x:0"), "is not of the form");
    expect_error(FLAGS("--listen", "a b=h:1"), "is not of the form");
    expect_error(FLAGS("--listen", ""), "listen is given without a value");
    expect_error(FLAGS("--listen", ","), "listen: is empty");
}

static void the_secret_comes_from_one_place_and_is_long_enough(void **state)
{
    char *directory = temp_directory_create();
    char *path = file_with(directory, "a secret of some length\n");
    struct reading reading = read_with(FLAGS("--secret-file", path), NULL);

    (void)state;
    assert_true(reading.fine);
    assert_int_equal(reading.config.secret_bytes, 23);
    assert_memory_equal(reading.config.secret, "a secret of some length", 23);
    end(&reading);
    expect_error(FLAGS("--secret-file", path, "--cluster-secret", "0123456789abcdef"), "both set");
    expect_error(FLAGS("--cluster-secret", "short"), "has not between 16 and 1024 bytes");
    expect_error(FLAGS("--secret-file", directory), "cannot be read");
    free(path);
    temp_directory_remove(directory);
}

static void values_are_checked_against_each_other(void **state)
{
    (void)state;
    expect_error(FLAGS("--heartbeat-interval", "400ms"), "more than a third of election-timeout (1s)");
    expect_error(FLAGS("--unreachable-delay", "2s"), "more than election-timeout (1s)");
    expect_error(FLAGS("--log-map-size", "1GiB"), "less than four times log-tail-bytes (1GiB)");
    expect_error(FLAGS("--client-pending-bytes", "512MiB"), "more than pending-bytes (256MiB)");
}

/* ulimit -v, a small machine without overcommitment: what nobody has set fits together all the same. */
static void defaults_fit_where_address_space_is_scarce(void **state)
{
    (void)state;
    struct rlimit before, scarce;
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu", &pages), 1);
    (void)fclose(file);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    for (uint64_t mib = 64; mib <= 16 * 1024; mib *= 2) {
        scarce = before;
        scarce.rlim_cur = (rlim_t)(pages * (uint64_t)sysconf(_SC_PAGESIZE) + (mib << 20));
        assert_int_equal(setrlimit(RLIMIT_AS, &scarce), 0);
        struct reading reading = read_with(NULL, NULL);
        assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
        if (!reading.fine) {
            fail_msg("%d MiB: %s", (int)mib, reading.errors.text);
        }
        assert_true(reading.config.log_map_bytes < UINT64_C(64) << 30);
        end(&reading);
    }
}

/* ---- showing --------------------------------------------------------------------------------- */

static char *printed(void (*print)(FILE *to))
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    print(file);
    (void)fclose(file);
    return text;
}

static void help_and_table_name_every_setting(void **state)
{
    char *help = printed(config_print_help), *table = printed(config_print_table);

    (void)state;
    for (size_t i = 0; i < config_settings_count; i++) {
        char words[80];

        snprintf(words, sizeof words, "\n    --%s ", config_settings[i].name);
        assert_non_null(strstr(help, words));
        snprintf(words, sizeof words, "\n| `%s` | ", config_settings[i].name);
        assert_non_null(strstr(table, words));
    }
    for (const char *line = help; *line != '\0'; line += strcspn(line, "\n") + 1) {
        assert_true(strcspn(line, "\n") <= 110);
    }
    for (const char *line = table; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t bars = 0;

        for (size_t i = 0; i < strcspn(line, "\n"); i++) {
            bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
        }
        assert_int_equal(bars, 5);
    }
    free(help);
    free(table);
}

static void the_effective_settings_are_a_file_that_means_the_same(void **state)
{
    char *directory = temp_directory_create();
    struct reading first =
        read_with(FLAGS("--id=2", "--cluster=1=a:1,2=b:2", "--entry-bytes=96KiB", "--data=a # b",
                        "--follower-reads=stale", "--cluster-secret=very secret indeed"),
                  NULL);
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    (void)state;
    assert_true(first.fine);
    config_print_effective(&first.config, file);
    (void)fclose(file);
    assert_null(strstr(text, "very secret"));
    char *path = file_with(directory, text);
    struct reading second = read_with(FLAGS("--config", path), NULL);

    assert_true(second.fine);
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct setting *setting = &config_settings[i];

        if (!config_is_text(setting)) {
            assert_true(*config_number(&first.config, setting) == *config_number(&second.config, setting));
        } else if (strcmp(setting->name, "cluster-secret") != 0) {
            assert_string_equal(*config_text(&first.config, setting), *config_text(&second.config, setting));
        }
    }
    end(&first);
    end(&second);
    free(text);
    free(path);
    temp_directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_settings_it_is_a_single_node),
        cmocka_unit_test(flags_win_over_the_environment_and_that_over_the_file),
        cmocka_unit_test(a_file_has_comments_quotes_and_both_forms_of_lines),
        cmocka_unit_test(a_list_of_a_stronger_source_replaces_the_whole_list),
        cmocka_unit_test(all_errors_are_reported_with_where_they_came_from),
        cmocka_unit_test(variables_that_kubernetes_makes_up_are_passed_over),
        cmocka_unit_test(a_missing_file_or_value_is_an_error),
        cmocka_unit_test(requests_are_found_wherever_they_stand),
        cmocka_unit_test(times_and_sizes_have_units),
        cmocka_unit_test(what_is_printed_can_be_read_again),
        cmocka_unit_test(addresses_are_hosts_and_ports),
        cmocka_unit_test(members_are_sorted_and_the_bus_listens_at_the_own_address),
        cmocka_unit_test(a_node_that_joins_or_is_alone_has_a_bus_too),
        cmocka_unit_test(clusters_that_make_no_sense_are_refused),
        cmocka_unit_test(listeners_announce_what_they_are_told_or_the_bound_address),
        cmocka_unit_test(listeners_that_make_no_sense_are_refused),
        cmocka_unit_test(the_secret_comes_from_one_place_and_is_long_enough),
        cmocka_unit_test(values_are_checked_against_each_other),
        cmocka_unit_test(defaults_fit_where_address_space_is_scarce),
        cmocka_unit_test(help_and_table_name_every_setting),
        cmocka_unit_test(the_effective_settings_are_a_file_that_means_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
