/* backup_command.c: see backup_command.h. */
#include "backup_command.h"

#include "allocate.h"
#include "backup_check.h"
#include "backup_summary.h"
#include "backup_writer.h"
#include "cluster_status.h"
#include "node_connection.h"
#include "progress.h"
#include "request.h"
#include "server_error.h"
#include "status_command.h"
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BACKUP_BEGIN_MS_MAX = 10 * 60 * 1000, /* for the node to write down what it has in memory */
    BACKUP_SILENCE_MS_MAX = 2 * 60 * 1000,
    BACKUP_ASK_AGAIN_MS = 200,
    BACKUP_REASON_BYTES_MAX = 700,
    BACKUP_NICE = 10,
};

struct backup_run {
    const struct options *options;
    int cancel_fd;
    const char *path;
    struct endpoint node;
    char node_name[ENDPOINT_TEXT_BYTES_MAX];
    struct node_connection connection;
    struct progress progress;
    struct backup_writer *writer;
    struct backup_check *check;
    uint64_t key_count; /* as announced */
    uint64_t begun_ms;
    uint64_t bytes;
    char reason[BACKUP_REASON_BYTES_MAX]; /* why not */
};

static int backup_fail(struct backup_run *run, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int backup_fail(struct backup_run *run, int exit_code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->reason, sizeof run->reason, format, arguments);
    va_end(arguments);
    return exit_code;
}

static int backup_fail_connection(struct backup_run *run, enum node_connection_result how, int exit_code)
{
    if (how == NODE_CONNECTION_CANCELLED) {
        return backup_fail(run, EXIT_CODE_INTERRUPTED, "interrupted");
    }
    return backup_fail(run, exit_code, "%s: %s", run->node_name, run->connection.error);
}

/* The server's words, without what could steer a terminal. */
static int backup_fail_answer(struct backup_run *run, const struct answer *answer, int exit_code)
{
    struct byte_buffer text = {0};
    bool words = answer_has_text(answer);
    text_append_escaped(&text, words ? answer->text : "an answer that makes no sense here",
                        words ? (answer->size < 400 ? answer->size : 400) : 34, false);
    (void)backup_fail(run, exit_code, "%s: %s", run->node_name, text_c_string(&text));
    byte_buffer_deinit(&text);
    return exit_code;
}

/* ---- which node ------------------------------------------------------------------------------ */

/* One that is well rather than one that is not (it may be of another cluster), a follower rather than the
 * leader, so that that one has the less to do; of several the one that is furthest. */
static bool backup_is_better(const struct cluster_status_node *node, const struct cluster_status_node *than)
{
    if (than == NULL || node->troubled != than->troubled) {
        return than == NULL || than->troubled;
    }
    if (node->is_leader != than->is_leader) {
        return than->is_leader;
    }
    return node->status.applied_index > than->status.applied_index;
}

static int backup_choose_node(struct backup_run *run)
{
    const struct options *options = run->options;
    if (options->from_given) {
        run->node = options->from;
        return EXIT_CODE_OK;
    }
    struct endpoint_list nodes = options->nodes;
    struct cluster_status *status = allocate_zeroed(1, sizeof *status);
    const struct cluster_status_node *best = NULL;
    cluster_status_collect(status, &nodes,
                           options->timeout_given ? options->timeout_ms : STATUS_NODE_TIMEOUT_MS);
    for (size_t i = 0; i < status->count; i++) {
        const struct cluster_status_node *node = &status->nodes[i];
        best = node->reachable && backup_is_better(node, best) ? node : best;
    }
    if (best != NULL) {
        run->node = best->address;
    }
    bool found = best != NULL;
    free(status);
    return found ? EXIT_CODE_OK
                 : backup_fail(run, EXIT_CODE_NOT_EXECUTED, "no kvd answers at the addresses asked");
}

/* ---- asking ---------------------------------------------------------------------------------- */

static enum node_connection_result backup_send(struct backup_run *run, const char *const *words, size_t count,
                                               const struct deadline *deadline)
{
    struct byte_buffer request = {0};
    request_append_words(&request, words, count);
    enum node_connection_result result = node_connection_send(&run->connection, byte_buffer_front(&request),
                                                              byte_buffer_size(&request), deadline);
    byte_buffer_deinit(&request);
    return result == NODE_CONNECTION_ANSWERED ? NODE_CONNECTION_OK : result;
}

static int backup_fail_stale(struct backup_run *run)
{
    strncat(run->reason, " (nobody knows what is newest; --stale makes a backup of what the node has)",
            sizeof run->reason - strlen(run->reason) - 1);
    return EXIT_CODE_NOT_EXECUTED;
}

/* DBSIZE is linearizable and may be asked of any node: when it is answered the node has applied all that was
 * acknowledged before. */
static int backup_await_newest(struct backup_run *run)
{
    static const char *const words[] = {"DBSIZE"};
    struct deadline deadline = deadline_in(run->options->timeout_ms, run->cancel_fd);
    for (;;) {
        struct answer answer = {0};
        struct server_redirect redirect;
        enum node_connection_result result = backup_send(run, words, 1, &deadline);
        if (result == NODE_CONNECTION_OK) {
            result = node_connection_receive(&run->connection, &answer, &deadline);
        }
        if (result != NODE_CONNECTION_OK) {
            int exit_code = backup_fail_connection(run, result, EXIT_CODE_NOT_EXECUTED);
            return result == NODE_CONNECTION_TIMED_OUT ? backup_fail_stale(run) : exit_code;
        }
        enum server_error error = server_error_classify(&answer, &redirect);
        if (error == SERVER_ERROR_NONE) {
            answer_deinit(&answer);
            return EXIT_CODE_OK;
        }
        (void)backup_fail_answer(run, &answer, EXIT_CODE_NOT_EXECUTED);
        answer_deinit(&answer);
        bool later = error == SERVER_ERROR_NOT_NOW || error == SERVER_ERROR_TRY_AGAIN;
        if (!later || deadline_sleep(&deadline, BACKUP_ASK_AGAIN_MS) != DEADLINE_READY) {
            return backup_fail_stale(run);
        }
    }
}

static int backup_connect(struct backup_run *run)
{
    struct deadline deadline = deadline_in(run->options->timeout_ms, run->cancel_fd);
    (void)endpoint_format(&run->node, run->node_name);
    enum node_connection_result result = node_connection_open(&run->connection, &run->node, &deadline);
    return result == NODE_CONNECTION_OK ? EXIT_CODE_OK
                                        : backup_fail_connection(run, result, EXIT_CODE_NOT_EXECUTED);
}

static uint64_t announced_number(const struct answer *lines, const char *key)
{
    const char *at = lines->type == ANSWER_STRING ? strstr(lines->text, key) : NULL;
    return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10);
}

/* Sends RAFT BACKUP; what comes back says what follows. */
static int backup_begin(struct backup_run *run)
{
    static const char *const words[] = {"RAFT", "BACKUP"};
    struct deadline deadline = deadline_in(BACKUP_BEGIN_MS_MAX, run->cancel_fd);
    struct answer answer = {0};
    progress_show(&run->progress, deadline_clock_ms(), "waiting",
                  "waiting for %s to write down what it has in memory", run->node_name);
    enum node_connection_result result = backup_send(run, words, 2, &deadline);
    if (result == NODE_CONNECTION_OK) {
        result = node_connection_receive(&run->connection, &answer, &deadline);
    }
    if (result != NODE_CONNECTION_OK) {
        return backup_fail_connection(run, result, EXIT_CODE_SERVER_ERROR);
    }
    int exit_code = EXIT_CODE_OK;
    if (answer.type != ANSWER_STRING) {
        exit_code = backup_fail_answer(run, &answer, EXIT_CODE_SERVER_ERROR);
    }
    run->key_count = announced_number(&answer, "key_count:");
    answer_deinit(&answer);
    return exit_code;
}

/* ---- taking ---------------------------------------------------------------------------------- */

static void backup_show(struct backup_run *run, uint64_t keys_count)
{
    char size[PROGRESS_SIZE_BYTES_MAX], rate[PROGRESS_SIZE_BYTES_MAX];
    uint64_t now_ms = deadline_clock_ms();
    uint64_t took_ms = now_ms - run->begun_ms + 1;
    progress_show(&run->progress, now_ms, "streaming", "backup of %s: %u%% of %" PRIu64 " keys, %s, %s/s",
                  run->node_name, progress_percent(keys_count, run->key_count), run->key_count,
                  progress_format_size(run->bytes, size),
                  progress_format_size(run->bytes * 1000 / took_ms, rate));
}

/* [keys so far, piece] */
static int backup_take_piece(struct backup_run *run, const struct answer *answer)
{
    struct storage_error error = {{0}};
    bool valid = answer->type == ANSWER_ARRAY && answer->count == 2 &&
                 answer->elements[0].type == ANSWER_INTEGER && answer->elements[1].type == ANSWER_STRING;
    if (!valid) {
        return backup_fail_answer(run, answer, EXIT_CODE_SERVER_ERROR);
    }
    const struct answer *piece = &answer->elements[1];
    const uint8_t *bytes = (const uint8_t *)piece->text;
    enum storage_status status = backup_check_add(run->check, bytes, piece->size, &error);
    if (status == STORAGE_OK) {
        status = backup_writer_add(run->writer, bytes, piece->size, &error);
    }
    if (status != STORAGE_OK) {
        return backup_fail(run, EXIT_CODE_SERVER_ERROR, "%s", error.text);
    }
    run->bytes += piece->size;
    backup_show(run, (uint64_t)answer->elements[0].integer);
    return EXIT_CODE_OK;
}

/* Until the end is said. */
static int backup_take_all(struct backup_run *run)
{
    int exit_code = EXIT_CODE_OK;
    bool ended = false;
    run->begun_ms = deadline_clock_ms();
    while (exit_code == EXIT_CODE_OK && !ended) {
        struct answer answer = {0};
        struct deadline deadline = deadline_in(BACKUP_SILENCE_MS_MAX, run->cancel_fd);
        enum node_connection_result result = node_connection_receive(&run->connection, &answer, &deadline);
        if (result != NODE_CONNECTION_OK) {
            return backup_fail_connection(run, result, EXIT_CODE_SERVER_ERROR);
        }
        ended = answer.type == ANSWER_STATUS;
        exit_code = ended ? EXIT_CODE_OK : backup_take_piece(run, &answer);
        answer_deinit(&answer);
        /* While pieces are there nothing is waited for, and nobody looks whether we are to end. */
        struct deadline at_once = deadline_in(0, run->cancel_fd);
        if (exit_code == EXIT_CODE_OK && deadline_wait(&at_once, -1, 0) == DEADLINE_CANCELLED) {
            exit_code = backup_fail(run, EXIT_CODE_INTERRUPTED, "interrupted");
        }
    }
    if (exit_code == EXIT_CODE_OK && !backup_check_is_complete(run->check)) {
        exit_code = backup_fail(run, EXIT_CODE_SERVER_ERROR, "%s ended the backup before it was whole",
                                run->node_name);
    }
    return exit_code;
}

static int backup_finish(struct backup_run *run)
{
    struct storage_error error = {{0}};
    progress_show(&run->progress, deadline_clock_ms(), "syncing", "writing the last of it to the disk");
    return backup_writer_finish(run->writer, &error) == STORAGE_OK
               ? EXIT_CODE_OK
               : backup_fail(run, EXIT_CODE_SERVER_ERROR, "%s", error.text);
}

static int backup_run(struct backup_run *run)
{
    struct storage_error error = {{0}};
    if (backup_writer_create(run->path, &run->writer, &error) != STORAGE_OK) {
        return backup_fail(run, EXIT_CODE_SERVER_ERROR, "%s", error.text);
    }
    int exit_code = backup_choose_node(run);
    if (exit_code == EXIT_CODE_OK) {
        exit_code = backup_connect(run);
    }
    if (exit_code == EXIT_CODE_OK && !run->options->stale) {
        exit_code = backup_await_newest(run);
    }
    if (exit_code == EXIT_CODE_OK) {
        exit_code = backup_begin(run);
    }
    if (exit_code == EXIT_CODE_OK) {
        exit_code = backup_take_all(run);
    }
    return exit_code == EXIT_CODE_OK ? backup_finish(run) : exit_code;
}

static void backup_print_failure(const struct options *options, const char *path, const char *what,
                                 const char *reason, FILE *out, FILE *errors)
{
    if (options->output == OUTPUT_JSON) {
        backup_summary_print_failure(path, reason, out);
    } else {
        fprintf(errors, "kvcli: %s %s: %s\n", path, what, reason);
    }
}

int backup_command_run(const struct options *options, int cancel_fd, FILE *out, FILE *errors)
{
    struct backup_run run = {.options = options, .cancel_fd = cancel_fd, .path = options->arguments[0]};
    bool json = options->output == OUTPUT_JSON;
    (void)!nice(BACKUP_NICE); /* perhaps a node is on this machine */
    node_connection_init(&run.connection);
    progress_begin(&run.progress, out, json);
    run.check = backup_check_create(run.path);
    int exit_code = backup_run(&run);
    progress_end(&run.progress);
    if (exit_code == EXIT_CODE_OK) {
        struct backup_summary summary;
        backup_check_summarize(run.check, &summary);
        backup_summary_print(run.path, run.bytes, &summary, json, out);
    } else {
        backup_print_failure(options, run.path, "was not written", run.reason, out, errors);
    }
    backup_writer_destroy(run.writer);
    backup_check_destroy(run.check);
    node_connection_deinit(&run.connection);
    return exit_code;
}

/* ---- verifying ------------------------------------------------------------------------------- */

struct verify_run {
    struct progress progress;
    const char *path;
    uint64_t bytes;
};

static void verify_show(void *context, uint64_t bytes, uint64_t bytes_total)
{
    struct verify_run *run = context;
    char size[PROGRESS_SIZE_BYTES_MAX];
    run->bytes = bytes;
    if (run->progress.draws) {
        progress_show(&run->progress, deadline_clock_ms(), "verifying", "%s: %u%% of %s", run->path,
                      progress_percent(bytes, bytes_total), progress_format_size(bytes_total, size));
    }
}

int verify_command_run(const struct options *options, FILE *out, FILE *errors)
{
    struct verify_run run = {.path = options->arguments[0]};
    struct backup_summary summary;
    struct storage_error error = {{0}};
    bool json = options->output == OUTPUT_JSON;
    progress_begin(&run.progress, out, json);
    enum storage_status status = backup_file_verify(run.path, verify_show, &run, &summary, &error);
    progress_end(&run.progress);
    if (status == STORAGE_OK) {
        backup_summary_print(run.path, run.bytes, &summary, json, out);
        return EXIT_CODE_OK;
    }
    backup_print_failure(options, run.path, "is not a sound backup", error.text, out, errors);
    return EXIT_CODE_SERVER_ERROR;
}
