/* runner.c: executes a command and says what came of it. */
#include "runner.h"

#include "allocate.h"
#include "answer_print.h"
#include "command_line.h"
#include "json.h"
#include "text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RUNNER_SLOW_MS = 500 };

static int runner_exit_code(const struct cluster_result *result)
{
    switch (result->outcome) {
    case CLUSTER_OUTCOME_ANSWERED:
        return result->answer.type == ANSWER_ERROR ? EXIT_CODE_SERVER_ERROR : EXIT_CODE_OK;
    case CLUSTER_OUTCOME_NOT_EXECUTED:
        return EXIT_CODE_NOT_EXECUTED;
    case CLUSTER_OUTCOME_UNKNOWN:
        return EXIT_CODE_UNKNOWN;
    case CLUSTER_OUTCOME_CANCELLED:
        break;
    }
    return EXIT_CODE_INTERRUPTED;
}

/* Commands whose reply is text of many lines, made to be read. */
static bool reply_is_plain_text(const struct command_argument *arguments, size_t count)
{
    static const char *const names[][2] = {
        {"info", NULL},     {"cluster", "info"},  {"cluster", "nodes"},
        {"client", "list"}, {"client", "info"},   {"raft", "status"},
        {"lolwut", NULL},   {"memory", "doctor"}, {"latency", "doctor"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool first = strcasecmp(arguments[0].bytes, names[i][0]) == 0;
        bool second = names[i][1] == NULL || (count > 1 && strcasecmp(arguments[1].bytes, names[i][1]) == 0);
        if (first && second) {
            return true;
        }
    }
    return false;
}

static const char *outcome_name(int exit_code)
{
    switch (exit_code) {
    case EXIT_CODE_OK:
        return "ok";
    case EXIT_CODE_SERVER_ERROR:
        return "error";
    case EXIT_CODE_NOT_EXECUTED:
        return "not_executed";
    case EXIT_CODE_UNKNOWN:
        return "unknown";
    default:
        return "cancelled";
    }
}

static void runner_print_json(const struct runner *runner, const struct cluster_result *result, int exit_code)
{
    char name[ENDPOINT_TEXT_BYTES_MAX];
    cJSON *root = cJSON_CreateObject();
    json_add(root, "outcome", cJSON_CreateString(outcome_name(exit_code)));
    if (exit_code == EXIT_CODE_OK) {
        json_add(root, "reply", answer_print_json(&result->answer));
    } else {
        bool error = result->answer.type == ANSWER_ERROR;
        json_add(root, "error", error ? answer_print_json(&result->answer) : cJSON_CreateNull());
    }
    if (exit_code != EXIT_CODE_OK && exit_code != EXIT_CODE_SERVER_ERROR) {
        json_add(root, "reason", answer_print_json_text(result->error, strlen(result->error)));
    }
    json_add(root, "node", cJSON_CreateString(endpoint_format(&result->node, name)));
    char *line = json_take_line(root);
    fprintf(runner->out, "%s\n", line);
    cJSON_free(line);
}

static void runner_print_answer(const struct runner *runner, const struct answer *answer, bool plain_text)
{
    struct byte_buffer text = {0};
    bool error = answer->type == ANSWER_ERROR;
    if (runner->form == OUTPUT_HUMAN || error) {
        answer_print_human(&text, answer, plain_text);
    } else {
        answer_print_raw(&text, answer);
    }
    text_write(&text, error && !runner->interactive ? runner->error : runner->out);
    byte_buffer_deinit(&text);
}

int runner_print(const struct runner *runner, const struct cluster_result *result, bool plain_text)
{
    int exit_code = runner_exit_code(result);
    assert(runner->form != OUTPUT_AUTOMATIC);
    if (runner->form == OUTPUT_JSON) {
        runner_print_json(runner, result, exit_code);
    }
    switch (result->outcome) {
    case CLUSTER_OUTCOME_ANSWERED:
        if (runner->form != OUTPUT_JSON) {
            runner_print_answer(runner, &result->answer, plain_text);
        }
        break;
    case CLUSTER_OUTCOME_NOT_EXECUTED:
        fprintf(runner->error, "kvcli: not executed, %s\n", result->error);
        break;
    case CLUSTER_OUTCOME_UNKNOWN:
        fprintf(runner->error, "kvcli: OUTCOME UNKNOWN, %s\n", result->error);
        break;
    case CLUSTER_OUTCOME_CANCELLED:
        fprintf(runner->error, "kvcli: interrupted\n");
        break;
    }
    fflush(runner->out);
    return exit_code;
}

int runner_execute(const struct runner *runner, const struct command_argument *arguments, size_t count)
{
    struct cluster_result result;
    uint64_t start_ms = deadline_clock_ms();
    cluster_client_execute(runner->client, arguments, count, &result);
    uint64_t took_ms = deadline_clock_ms() - start_ms;
    bool talks = runner->interactive && runner->form == OUTPUT_HUMAN;
    if (talks && result.redirects > 0 && result.outcome == CLUSTER_OUTCOME_ANSWERED) {
        char name[ENDPOINT_TEXT_BYTES_MAX];
        fprintf(runner->out, "-> redirected to %s\n", endpoint_format(&result.node, name));
    }
    int exit_code = runner_print(runner, &result, reply_is_plain_text(arguments, count));
    if (talks && took_ms >= RUNNER_SLOW_MS) {
        fprintf(runner->out, "(%.2fs)\n", (double)took_ms / 1000);
    }
    cluster_result_deinit(&result);
    return exit_code;
}

/* Returns the exit code for one line; a line without words is EXIT_CODE_OK. */
static int runner_execute_line(const struct runner *runner, const char *text, size_t size, uint64_t number)
{
    struct command_line line;
    int exit_code = EXIT_CODE_OK;
    if (!command_line_parse(&line, text, size)) {
        fprintf(runner->error, "kvcli: line %llu: unbalanced quotes\n", (unsigned long long)number);
        exit_code = EXIT_CODE_USAGE;
    } else if (line.count > 0) {
        exit_code = runner_execute(runner, line.arguments, line.count);
        if (exit_code >= EXIT_CODE_NOT_EXECUTED) {
            fprintf(runner->error, "kvcli: stopped at line %llu\n", (unsigned long long)number);
        }
    }
    command_line_deinit(&line);
    return exit_code;
}

int runner_execute_lines(const struct runner *runner, FILE *lines)
{
    char *text = NULL;
    size_t capacity = 0;
    uint64_t number = 0;
    int highest = EXIT_CODE_OK;
    ssize_t size;
    while (highest < EXIT_CODE_NOT_EXECUTED && (size = getline(&text, &capacity, lines)) >= 0) {
        number++;
        int exit_code = runner_execute_line(runner, text, (size_t)size, number);
        highest = exit_code > highest ? exit_code : highest;
    }
    free(text);
    return highest;
}
