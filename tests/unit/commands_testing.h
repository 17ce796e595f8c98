/* commands_testing.h: one node's commands without a node: a map in a folder of its own, a clock that the test
 * sets, and a line of text in, the bytes of the reply out.
 *
 * Lines are inline requests, so "\x00" and quotes work in them. Expected bytes were taken from
 * redis-server 7.0.15 wherever Redis has the command.
 */
#ifndef COMMANDS_TESTING_H
#define COMMANDS_TESTING_H

#include "command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct commands_testing {
    char *directory;
    struct map *map;
    uint64_t index;       /* of the last entry */
    uint64_t log_time_ms; /* of the last entry, and of the next unless the test moves it */
    uint64_t clock_ms;    /* 0: as log_time_ms; else what reads see */
    bool cannot_wait;     /* reads go by log time alone, as on a follower */
    bool nobody_listens;  /* replies go nowhere, as on a follower */
    bool skip_validation; /* run what command_validate() would refuse */
    struct client_info client;
    struct node_view node;
    struct byte_buffer out; /* the last reply; ends with a zero byte that is not counted */
    bool met_due_key;       /* by the last command */
    bool close_client;
};

int commands_testing_setup(void **state);
int commands_testing_teardown(void **state);

/* Runs a command as the server would: find, validate, an entry of its own for a write. The reply as text. */
const char *commands_run(struct commands_testing *testing, const char *line);
const char *commands_run_arguments(struct commands_testing *testing, const struct argument *arguments,
                                   uint32_t count);

#define expect(testing, line, reply) assert_string_equal(commands_run(testing, line), reply)

#define commands_test(name)                                                                                  \
    cmocka_unit_test_setup_teardown(name, commands_testing_setup, commands_testing_teardown)

/* Three members; the node is the second and the first leads. */
void commands_testing_fill_node(struct node_view *node);

#endif
