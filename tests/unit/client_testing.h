/* client_testing.h: what several tests of the client share. */
#ifndef CLIENT_TESTING_H
#define CLIENT_TESTING_H

#include "answer_reader.h"
#include "command_list.h"

#include <assert.h>
#include <string.h>

/* The answer that these bytes are; the caller deinits it. */
static inline struct answer client_testing_answer(const char *reply)
{
    struct answer_reader reader;
    struct answer answer;
    answer_reader_init(&reader, &ANSWER_LIMITS_DEFAULT);
    byte_buffer_append(&reader.input, reply, strlen(reply));
    enum answer_reader_result result = answer_reader_next(&reader, &answer);
    assert(result == ANSWER_READER_ANSWER);
    answer_reader_deinit(&reader);
    return answer;
}

/* get, set (with the arguments that Redis documents), config with get and set. */
static inline void client_testing_commands(struct command_list *list)
{
    static const char information[] =
        "*4\r\n"
        "*6\r\n$3\r\nSET\r\n:-3\r\n*2\r\n+write\r\n+denyoom\r\n:1\r\n:1\r\n:1\r\n"
        "*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"
        "*6\r\n$4\r\nping\r\n:2\r\n~1\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
        "*10\r\n$6\r\nconfig\r\n:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n"
        "*2\r\n*6\r\n$10\r\nconfig|get\r\n:-3\r\n*1\r\n+loading\r\n:0\r\n:0\r\n:0\r\n"
        "*6\r\n$10\r\nconfig|set\r\n:-4\r\n*1\r\n+admin\r\n:0\r\n:0\r\n:0\r\n";
    static const char documentation[] =
        "*6\r\n"
        "$3\r\nget\r\n*4\r\n$7\r\nsummary\r\n$10\r\nGet it\033[2J\r\n$9\r\narguments\r\n"
        "*1\r\n*4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n"
        "$3\r\nset\r\n%3\r\n+summary\r\n+Set it\r\n+group\r\n+string\r\n+arguments\r\n*4\r\n"
        "%2\r\n+name\r\n+key\r\n+type\r\n+key\r\n"
        "%2\r\n+name\r\n+value\r\n+type\r\n+string\r\n"
        "%4\r\n+name\r\n+condition\r\n+type\r\n+oneof\r\n+flags\r\n*1\r\n+optional\r\n+arguments\r\n*2\r\n"
        "%3\r\n+name\r\n+nx\r\n+type\r\n+pure-token\r\n+token\r\n+NX\r\n"
        "%3\r\n+name\r\n+xx\r\n+type\r\n+pure-token\r\n+token\r\n+XX\r\n"
        "%4\r\n+name\r\n+seconds\r\n+type\r\n+integer\r\n+token\r\n+EX\r\n+flags\r\n~1\r\n+optional\r\n"
        "$6\r\nconfig\r\n*2\r\n+subcommands\r\n*4\r\n"
        "$10\r\nconfig|get\r\n*2\r\n+arguments\r\n*1\r\n*6\r\n+name\r\n+parameter\r\n+type\r\n+string\r\n+"
        "flags\r\n*1\r\n"
        "+multiple\r\n"
        "$10\r\nconfig|set\r\n*2\r\n+syntax\r\n+parameter value\r\n";
    struct answer answer = client_testing_answer(information);
    command_list_add_information(list, &answer);
    answer_deinit(&answer);
    answer = client_testing_answer(documentation);
    command_list_add_documentation(list, &answer);
    answer_deinit(&answer);
}

#endif
