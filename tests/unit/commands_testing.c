/* commands_testing.c: see commands_testing.h. */
#include "commands_testing.h"

#include "temp_directory.h"

#include <stdio.h>

enum { START_MS = 1000000000 };

static void visit_own_client(void *clients, void (*visit)(void *context, const struct client_info *client),
                             void *context)
{
    visit(context, clients);
}

static void fill_member(struct node_view_member *member, uint64_t id, char digit)
{
    *member = (struct node_view_member){
        .node_id = id,
        .port = (uint16_t)(7000 + id - 1),
        .bus_port = (uint16_t)(17000 + id - 1),
        .connected = true,
        .kind = "voter",
        .disk_known = true,
    };
    memset(member->hex_id, digit, 40);
    snprintf(member->host, sizeof member->host, "10.0.0.%d", (int)id);
    snprintf(member->bus_host, sizeof member->bus_host, "10.1.0.%d", (int)id);
}

void commands_testing_fill_node(struct node_view *node)
{
    *node = (struct node_view){
        .node_id = 2,
        .version = "0.1.0",
        .build = "test",
        .now_ms = 60000,
        .wall_clock_ms = 1700000000123,
        .uptime_ms = 90061000,
        .process_id = 4711,
        .data_directory = "/data",
        .config_file = "",
        .port = 7001,
        .bus_port = 17001,
        .role = "follower",
        .term = 5,
        .vote = 1,
        .leader_id = 1,
        .leader_ready = true,
        .first_index = 1,
        .last_index = 12,
        .last_term = 5,
        .durable_index = 11,
        .commit_index = 10,
        .applied_index = 9,
        .map_durable_index = 8,
        .state_ok = true,
        .formed = true,
        .cluster_id = "0123456789abcdef0123456789abcdef",
        .disk_id = "00112233aabbccdd",
        .key_count = 3,
        .digest = 0xabc,
        .log_time_ms = 1700000000000,
        .rules_version = 1,
        .rules_known = 2,
        .clock_skew_ms = -4,
        .clients_connected = 1,
        .clients_max = 100,
        .members_count = 3,
        .for_each_client = visit_own_client,
    };
    fill_member(&node->members[0], 1, 'a');
    fill_member(&node->members[1], 2, 'b');
    fill_member(&node->members[2], 3, 'c');
    node->membership = "stable";
    node->members[0].is_leader = true;
    node->members[1].is_self = true;
}

int commands_testing_setup(void **state)
{
    struct commands_testing *testing = calloc(1, sizeof *testing);
    assert_non_null(testing);
    testing->directory = temp_directory_create();
    char *path = temp_directory_join(testing->directory, "map-1");
    struct storage_error error = {{0}};
    const struct map_options options = {
        .directory = path, .map_bytes = 256 << 20, .hash_seed = 42, .buffer_bytes_max = 64 << 20};
    assert_int_equal(map_open(&options, &testing->map, &error), STORAGE_OK);
    free(path);
    testing->log_time_ms = START_MS;
    testing->client = (struct client_info){
        .id = 7,
        .address = "127.0.0.1:50412",
        .local_address = "127.0.0.1:7001",
        .file_descriptor = 9,
        .created_ms = 50000,
        .last_command_ms = 58000,
        .protocol = 2,
    };
    commands_testing_fill_node(&testing->node);
    testing->node.clients = &testing->client;
    *state = testing;
    return 0;
}

int commands_testing_teardown(void **state)
{
    struct commands_testing *testing = *state;
    assert_null(map_error(testing->map));
    uint64_t key_count, digest;
    map_recount(testing->map, &key_count, &digest);
    assert_int_equal(key_count, map_get_meta(testing->map)->key_count);
    assert_true(digest == map_get_meta(testing->map)->digest);
    map_close(testing->map);
    temp_directory_remove(testing->directory);
    byte_buffer_deinit(&testing->out);
    free(testing);
    return 0;
}

static void run_found(struct commands_testing *testing, const struct command *command,
                      const struct argument *arguments, uint32_t count, struct reply *reply)
{
    bool writes = (command->flags & COMMAND_WRITE) != 0;
    bool has_map = (command->flags & COMMAND_LOCAL) == 0;
    if (writes)
        map_begin_entry(testing->map, ++testing->index, 1, testing->log_time_ms);
    struct command_context context = {
        .command = command,
        .arguments = arguments,
        .arguments_count = count,
        .reply = reply,
        .map = has_map ? testing->map : NULL,
        .log_time_ms = testing->log_time_ms,
        .clock_ms = writes || testing->clock_ms == 0 ? testing->log_time_ms : testing->clock_ms,
        .can_wait = !writes && !testing->cannot_wait,
        .version = {.index = testing->index, .command = 3},
        .client = has_map ? NULL : &testing->client,
        .node = (command->flags & COMMAND_NEEDS_VIEW) != 0 ? &testing->node : NULL,
    };
    command_run(&context);
    testing->met_due_key = context.met_due_key;
    testing->close_client = context.close_client;
    if (writes)
        map_end_entry(testing->map, 100);
}

const char *commands_run_arguments(struct commands_testing *testing, const struct argument *arguments,
                                   uint32_t count)
{
    char buffer[COMMAND_ERROR_BYTES_MAX];
    struct byte_buffer *out = &testing->out;
    struct reply reply = {.out = testing->nobody_listens ? NULL : out, .protocol = testing->client.protocol};
    byte_buffer_consume(out, byte_buffer_size(out));
    testing->met_due_key = testing->close_client = false;
    const struct command *command = command_find(arguments[0].bytes, arguments[0].size);
    if (command == NULL) {
        reply_error(&reply, command_unknown_error(arguments, count, buffer, sizeof buffer));
    } else {
        const char *error = testing->skip_validation
                                ? NULL
                                : command_validate(command, arguments, count, buffer, sizeof buffer);
        if (error != NULL)
            reply_error(&reply, error);
        else
            run_found(testing, command, arguments, count, &reply);
    }
    byte_buffer_append(out, "", 1);
    out->end--;
    return (const char *)byte_buffer_front(out);
}

const char *commands_run(struct commands_testing *testing, const char *line)
{
    struct resp_parser parser;
    const struct resp_limits limits = {65536, COMMAND_ARGUMENTS_MAX, 1 << 20, 1 << 20};
    struct byte_buffer input = {0};
    size_t consumed = 0;
    resp_parser_init(&parser, &limits);
    byte_buffer_append(&input, line, strlen(line));
    byte_buffer_append(&input, "\n", 1);
    assert_int_equal(
        resp_parser_feed(&parser, byte_buffer_front(&input), byte_buffer_size(&input), &consumed),
        RESP_PARSER_REQUEST);
    assert_int_equal(consumed, byte_buffer_size(&input));
    assert_true(parser.arguments_count > 0);
    const char *reply = commands_run_arguments(testing, parser.arguments, parser.arguments_count);
    byte_buffer_deinit(&input);
    resp_parser_deinit(&parser);
    return reply;
}
