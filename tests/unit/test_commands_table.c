/* test_commands_table.c: the table, and what holds for every command (command_table.c, command_run.c). */
#include "command_table.h"
#include "commands_testing.h"

#include <stdio.h>

/* On disk and between nodes. A number here is never changed; new commands are added. */
static const struct {
    uint16_t opcode;
    const char *name;
} OPCODES[] = {
    {101, "get"},       {102, "set"},       {103, "mget"},       {104, "mset"},        {105, "incr"},
    {106, "decr"},      {107, "incrby"},    {108, "decrby"},     {109, "append"},      {110, "strlen"},
    {111, "setnx"},     {112, "setex"},     {113, "psetex"},     {114, "getset"},      {115, "getdel"},
    {116, "getex"},     {117, "msetnx"},    {201, "del"},        {202, "exists"},      {203, "expire"},
    {204, "pexpire"},   {205, "ttl"},       {206, "pttl"},       {207, "persist"},     {208, "scan"},
    {209, "expireat"},  {210, "pexpireat"}, {211, "expiretime"}, {212, "pexpiretime"}, {213, "type"},
    {214, "unlink"},    {215, "touch"},     {301, "dbsize"},     {302, "flushall"},    {303, "flushdb"},
    {304, "info"},      {305, "command"},   {306, "config"},     {307, "time"},        {308, "raft"},
    {401, "ping"},      {402, "echo"},      {403, "hello"},      {404, "auth"},        {405, "select"},
    {406, "client"},    {407, "quit"},      {408, "reset"},      {501, "cluster"},     {502, "readonly"},
    {503, "readwrite"}, {504, "asking"},    {900, "kvd.purge"},
};

static void opcodes_are_for_ever(void **state)
{
    (void)state;
    uint32_t count;
    command_table(&count);
    assert_int_equal(sizeof OPCODES / sizeof OPCODES[0], count + 1);
    for (size_t i = 0; i < sizeof OPCODES / sizeof OPCODES[0]; i++) {
        const struct command *command = command_by_opcode(OPCODES[i].opcode);
        assert_non_null(command);
        assert_string_equal(command->name, OPCODES[i].name);
        assert_int_equal(command->opcode, OPCODES[i].opcode);
    }
    assert_null(command_by_opcode(0));
    assert_null(command_by_opcode(100));
    assert_null(command_by_opcode(599));
    assert_null(command_by_opcode(600));
    assert_null(command_by_opcode(899));
    assert_null(command_by_opcode(65535));
}

static void rows_are_whole_and_sorted(void **state)
{
    (void)state;
    uint32_t count;
    const struct command *table = command_table(&count);
    for (uint32_t i = 0; i < count; i++) {
        const struct command *row = &table[i];
        unsigned kinds = row->flags & (COMMAND_WRITE | COMMAND_READ | COMMAND_LOCAL);
        assert_true(i == 0 || strcmp(table[i - 1].name, row->name) < 0);
        assert_true(kinds == COMMAND_WRITE || kinds == COMMAND_READ || kinds == COMMAND_LOCAL);
        assert_true(((row->flags & COMMAND_CONTAINER) != 0) == (row->subcommands != NULL));
        assert_true(row->run != NULL || row->subcommands != NULL);
        assert_true(row->run != NULL ||
                    row->arity == -2); /* a container without a subcommand is an arity error */
        assert_true(row->arity != 0 && strlen(row->name) <= COMMAND_NAME_BYTES_MAX);
        assert_true((row->first_key == 0) == (row->key_flags == NULL));
        assert_true((row->first_key == 0) == (row->key_step == 0));
        assert_true((row->flags & COMMAND_NEEDS_VIEW) == 0 || kinds == COMMAND_LOCAL);
        assert_non_null(row->group);
        assert_non_null(row->since);
        assert_non_null(row->complexity);
        assert_non_null(row->summary);
        assert_non_null(row->syntax);
        for (const char *at = row->name; *at != '\0'; at++)
            assert_true(*at >= 'a' && *at <= 'z');
        for (const struct command_subcommand *sub = row->subcommands; sub != NULL && sub->name != NULL;
             sub++) {
            assert_true(sub == row->subcommands || strcmp(sub[-1].name, sub->name) < 0);
            assert_true(sub->run != NULL && sub->summary != NULL && sub->syntax != NULL);
        }
    }
}

/* Searches a multiplier without collisions, and prints what belongs into command_table.[ch]. */
static void print_name_index(const struct command *table, uint32_t count)
{
    uint64_t multiplier = UINT64_C(0x9E3779B97F4A7C15);
    for (;;) {
        uint8_t index[COMMAND_NAME_INDEX_SIZE] = {0};
        uint32_t i = 0;
        for (; i < count; i++) {
            char name[COMMAND_NAME_BYTES_MAX + 1] = {0};
            snprintf(name, sizeof name, "%s", table[i].name);
            uint8_t *place = &index[command_name_hash(multiplier, name, strlen(name))];
            if (*place != 0)
                break;
            *place = (uint8_t)(i + 1);
        }
        if (i == count) {
            printf("#define COMMAND_NAME_HASH_MULTIPLIER UINT64_C(0x%016llx)\n",
                   (unsigned long long)multiplier);
            for (i = 0; i < COMMAND_NAME_INDEX_SIZE; i++)
                printf("%s%u,%s", i % 24 == 0 ? "    " : "", index[i], i % 24 == 23 ? "\n" : " ");
            printf("\n");
            return;
        }
        multiplier = (multiplier * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407)) | 1;
    }
}

static void every_command_is_found_by_its_name(void **state)
{
    (void)state;
    uint32_t count;
    const struct command *table = command_table(&count);
    bool all = true;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *name = (const uint8_t *)table[i].name;
        all = all && command_find(name, strlen(table[i].name)) == &table[i];
    }
    if (!all)
        print_name_index(table, count);
    assert_true(all);
}

static const struct command *find(const char *name)
{
    return command_find((const uint8_t *)name, strlen(name));
}

static void names_are_compared_wholly_and_in_any_case(void **state)
{
    (void)state;
    assert_string_equal(find("gEt")->name, "get");
    assert_string_equal(find("PEXPIRETIME")->name, "pexpiretime");
    static const char *const UNKNOWN[] = {
        "",          "g",          "ge",           "gett",        "get ",
        " get",      "pexpiretim", "pexpiretime2", "expireatx",   "averyveryverylongname",
        "kvd.purge", "\007et",     "g\x05t",       "client|list", "@et",
        "GE\x14"};
    for (size_t i = 0; i < sizeof UNKNOWN / sizeof UNKNOWN[0]; i++)
        assert_null(find(UNKNOWN[i]));
    assert_null(command_find((const uint8_t *)"get\0", 4));
    assert_null(command_find((const uint8_t *)"get\0\0\0\0\0\0\0\0\0\0\0\0", 15));
}

static void unknown_commands_are_quoted_as_in_redis(void **state)
{
    expect(*state, "foo", "-ERR unknown command 'foo', with args beginning with: \r\n");
    expect(*state, "FOO bar \"b z\"",
           "-ERR unknown command 'FOO', with args beginning with: 'bar' 'b z' \r\n");
    expect(*state, "\"a\\r\\nb\" \"c\\nd\"",
           "-ERR unknown command 'a  b', with args beginning with: 'c d' \r\n");
    char line[1024] = "x";
    for (int i = 0; i < 40; i++)
        strcat(line, " 1234567890");
    commands_run(*state, line);
    /* Nine full words are 117 bytes, under 128, so a tenth follows: 130 bytes, and no more. */
    char expected[512] = "-ERR unknown command 'x', with args beginning with: ";
    for (int i = 0; i < 9; i++)
        strcat(expected, "'1234567890' ");
    strcat(expected, "'1234567890' \r\n");
    expect(*state, line, expected);
    memset(line, 'y', 200);
    line[200] = '\0';
    memset(expected, 0, sizeof expected);
    strcpy(expected, "-ERR unknown command '");
    memset(expected + strlen(expected), 'y', 128);
    strcat(expected, "', with args beginning with: \r\n");
    expect(*state, line, expected);
}

static void subcommands_are_looked_up(void **state)
{
    expect(*state, "CLIENT", "-ERR wrong number of arguments for 'client' command\r\n");
    expect(*state, "client foo bar", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n");
    expect(*state, "CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command\r\n");
    expect(*state, "CLIENT id 1", "-ERR wrong number of arguments for 'client|id' command\r\n");
    expect(*state, "CLUSTER \"x\\r\\ny\"", "-ERR unknown subcommand 'x  y'. Try CLUSTER HELP.\r\n");
    expect(*state, "RAFT", "-ERR wrong number of arguments for 'raft' command\r\n");
    expect(*state, "COMMAND foo", "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n");
}

static void every_container_explains_itself(void **state)
{
    uint32_t count;
    const struct command *table = command_table(&count);
    for (uint32_t i = 0; i < count; i++) {
        if (table[i].subcommands == NULL)
            continue;
        char line[64];
        snprintf(line, sizeof line, "%s HELP", table[i].name);
        const char *reply = commands_run(*state, line);
        assert_int_equal(reply[0], '*');
        size_t lines = 0;
        for (const char *at = strchr(reply, '\n') + 1; *at != '\0'; at = strchr(at, '\n') + 1) {
            assert_int_equal(*at, '+');
            lines++;
        }
        assert_int_equal(atoi(reply + 1), lines);
        assert_non_null(strstr(reply, " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"));
        assert_non_null(strstr(reply, "\r\n+HELP\r\n+    Prints this help.\r\n"));
    }
}

static void the_first_key_is_where_the_row_says(void **state)
{
    (void)state;
    const struct argument words[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    assert_int_equal(command_first_key(find("get"), words, 2), 1);
    assert_int_equal(command_first_key(find("del"), words, 3), 1);
    assert_int_equal(command_first_key(find("del"), words, 1), 0);
    assert_int_equal(command_first_key(find("scan"), words, 2), 0);
    assert_int_equal(command_first_key(find("client"), words, 2), 0);
}

static void keys_are_where_the_row_says(void **state)
{
    (void)state;
    const struct argument words[6] = {{NULL, 0}};
    assert_int_equal(command_next_key(find("get"), words, 2, 0), 1);
    assert_int_equal(command_next_key(find("get"), words, 2, 1), 0);
    assert_int_equal(command_next_key(find("del"), words, 3, 1), 2);
    assert_int_equal(command_next_key(find("del"), words, 3, 2), 0);
    assert_int_equal(command_next_key(find("mset"), words, 5, 0), 1);
    assert_int_equal(command_next_key(find("mset"), words, 5, 1), 3);
    assert_int_equal(command_next_key(find("mset"), words, 5, 3), 0);
    assert_int_equal(command_next_key(find("mset"), words, 2, 0), 0); /* wrong arity */
    assert_int_equal(command_next_key(find("dbsize"), words, 1, 0), 0);
}

/* ---- determinism ---- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void random_line(uint64_t *random, char line[128])
{
    static const char *const FORMS[] = {
        "SET k%d v%d",     "SET k%d w EX %d",  "SET k%d %d NX GET",     "INCRBY k%d %d", "APPEND k%d %d",
        "DEL k%d k%d",     "EXPIRE k%d %d GT", "PEXPIRE k%d %d",        "PERSIST k%d",   "GETDEL k%d",
        "GETEX k%d PX %d", "MSET k%d a k%d b", "MSETNX k%d a k%d b",    "SETNX k%d %d",  "FLUSHALL",
        "INCR k%d",        "PSETEX k%d %d x",  "EXPIREAT k%d 1000%03d",
    };
    uint64_t form = next_random(random) % (sizeof FORMS / sizeof FORMS[0]);
    if (form == 14 && next_random(random) % 20 != 0)
        form = 0;
    int key = (int)(next_random(random) % 8);
    int number = (int)(next_random(random) % 30);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(line, 128, FORMS[form], key, number);
#pragma GCC diagnostic pop
}

static void pitfall_30_nodes_that_apply_the_same_entries_are_equal(void **state)
{
    /* Pitfall 30: who listens, what was checked before, and when it was written to disk change nothing. */
    struct commands_testing *leader = *state;
    void *other_state;
    commands_testing_setup(&other_state);
    struct commands_testing *follower = other_state;
    follower->nobody_listens = follower->skip_validation = true;
    uint64_t random = 1;
    for (int i = 0; i < 5000; i++) {
        char line[128];
        random_line(&random, line);
        commands_run(leader, line);
        commands_run(follower, line);
        assert_int_equal(byte_buffer_size(&follower->out), 0);
        if (i % 700 == 699) {
            struct storage_error error = {{0}};
            struct map_checkpoint *checkpoint = map_freeze(follower->map);
            assert_int_equal(map_checkpoint_write(checkpoint, &error), STORAGE_OK);
            map_checkpoint_finish(follower->map, checkpoint);
        }
        uint64_t step_ms = next_random(&random) % 20;
        leader->log_time_ms += step_ms;
        follower->log_time_ms += step_ms;
        /* A line that was refused before the log left no entry on the leader. */
        assert_true(map_get_meta(leader->map)->digest == map_get_meta(follower->map)->digest);
        assert_int_equal(map_get_meta(leader->map)->key_count, map_get_meta(follower->map)->key_count);
        leader->index = follower->index = map_get_meta(follower->map)->applied_index;
        if (map_get_meta(leader->map)->applied_index < leader->index) {
            map_begin_entry(leader->map, leader->index, 1, leader->log_time_ms);
            map_end_entry(leader->map, 1);
        }
    }
    commands_testing_teardown(&other_state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opcodes_are_for_ever),
        cmocka_unit_test(rows_are_whole_and_sorted),
        cmocka_unit_test(every_command_is_found_by_its_name),
        cmocka_unit_test(names_are_compared_wholly_and_in_any_case),
        commands_test(unknown_commands_are_quoted_as_in_redis),
        commands_test(subcommands_are_looked_up),
        commands_test(every_container_explains_itself),
        cmocka_unit_test(the_first_key_is_where_the_row_says),
        cmocka_unit_test(keys_are_where_the_row_says),
        commands_test(pitfall_30_nodes_that_apply_the_same_entries_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
