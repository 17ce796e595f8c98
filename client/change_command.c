/* change_command.c: see change_command.h. */
#include "change_command.h"

#include "allocate.h"
#include "change.h"
#include "cluster_client.h"
#include "cluster_status.h"
#include "progress.h"
#include "status_command.h"
#include "text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHANGE_LOOK_MS = 200,
    CHANGE_LEADERLESS_MS_MAX = 60000, /* then it is given up */
    CHANGE_LOST_LOOKS = 5,            /* in a row, without a sign of it, before it is asked for again */
    CHANGE_ASKED_MAX = 4,
    CHANGE_MESSAGE_BYTES_MAX = 700,
};

struct change_run {
    const struct options *options;
    int cancel_fd;
    struct change change;
    struct cluster_client client;
    struct endpoint_list nodes; /* grows with those that answer, so that one that leaves is not missed */
    struct cluster_status *status;
    struct progress progress;
    struct change_view view;
    int asked_count;
    uint64_t seen_term; /* in which it was seen to be under way; 0: never */
    int lost_looks;
    char refusal[CHANGE_MESSAGE_BYTES_MAX / 2]; /* what was answered when it was asked for again */
    uint64_t leader_seen_ms;
    char message[CHANGE_MESSAGE_BYTES_MAX]; /* how it ended */
    const char *outcome;                    /* a word for JSON */
};

/* Whether it goes on, and how it ends. */
enum { CHANGE_GOES_ON = -1 };

static int change_end(struct change_run *run, int exit_code, const char *outcome, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int change_end(struct change_run *run, int exit_code, const char *outcome, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->message, sizeof run->message, format, arguments);
    va_end(arguments);
    run->outcome = outcome;
    return exit_code;
}

/* ---- looking --------------------------------------------------------------------------------- */

/* What a leader that is ready shows; NULL: there is none now. */
static const struct node_status *change_look(struct change_run *run)
{
    uint64_t timeout_ms = run->options->timeout_given && run->options->timeout_ms < STATUS_NODE_TIMEOUT_MS
                              ? run->options->timeout_ms
                              : STATUS_NODE_TIMEOUT_MS;
    cluster_status_collect(run->status, &run->nodes, timeout_ms);
    const struct cluster_status_node *leader = run->status->leader;
    if (leader == NULL || !leader->status.leader_ready) {
        return NULL;
    }
    run->leader_seen_ms = deadline_clock_ms();
    return &leader->status;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void change_execute(struct change_run *run, struct cluster_result *result)
{
    const struct options *options = run->options;
    struct command_argument words[2 + OPTIONS_ARGUMENTS_MAX];
    size_t count = 0;
    words[count++] = (struct command_argument){allocate_copy("RAFT", 4), 4};
    words[count++] =
        (struct command_argument){allocate_copy(options->word, strlen(options->word)), strlen(options->word)};
    for (int i = 0; i < options->arguments_count; i++) {
        size_t size = strlen(options->arguments[i]);
        words[count++] = (struct command_argument){allocate_copy(options->arguments[i], size), size};
    }
    cluster_client_execute(&run->client, words, count, result);
    for (size_t i = 0; i < count; i++) {
        free(words[i].bytes);
    }
}

/* The server's words without their code, and without what could steer a terminal. */
static void change_copy_answer(const struct answer *answer, char *to, size_t to_bytes)
{
    struct byte_buffer text = {0};
    text_append_escaped(&text, answer->text, answer->size < 500 ? answer->size : 500, false);
    const char *words = text_c_string(&text);
    size_t skipped = strncmp(words, "OK ", 3) == 0 ? 3 : strncmp(words, "ERR ", 4) == 0 ? 4 : 0;
    snprintf(to, to_bytes, "%s", words + skipped);
    byte_buffer_deinit(&text);
}

static int change_take_answer(struct change_run *run, const struct answer *answer)
{
    char text[sizeof run->refusal] = "an answer that makes no sense here";
    if (answer_has_text(answer)) {
        change_copy_answer(answer, text, sizeof text);
    }
    if (answer->type == ANSWER_ERROR || !answer_has_text(answer)) {
        if (run->asked_count == 1) {
            return change_end(run, EXIT_CODE_SERVER_ERROR, "refused", "refused: %s", text);
        }
        memcpy(run->refusal, text, sizeof text); /* perhaps because it was begun before: a look will tell */
        return CHANGE_GOES_ON;
    }
    progress_say(&run->progress, "begun", "%s", text);
    return run->options->no_wait ? EXIT_CODE_OK : CHANGE_GOES_ON;
}

static int change_ask(struct change_run *run)
{
    struct cluster_result result;
    int exit_code = CHANGE_GOES_ON;
    run->asked_count++;
    run->lost_looks = 0;
    change_execute(run, &result);
    switch (result.outcome) {
    case CLUSTER_OUTCOME_ANSWERED:
        exit_code = change_take_answer(run, &result.answer);
        break;
    case CLUSTER_OUTCOME_NOT_EXECUTED:
        if (run->asked_count == 1) {
            exit_code =
                change_end(run, EXIT_CODE_NOT_EXECUTED, "not_executed", "not executed, %s", result.error);
        } else { /* what was asked for before is not answered for by this */
            snprintf(run->refusal, sizeof run->refusal, "%.300s", result.error);
        }
        break;
    case CLUSTER_OUTCOME_UNKNOWN:
        progress_say(&run->progress, "unknown", "the answer was lost (%s): looking at the members instead",
                     result.error);
        break;
    case CLUSTER_OUTCOME_CANCELLED:
        exit_code = change_end(run, EXIT_CODE_INTERRUPTED, "interrupted", "interrupted");
        break;
    }
    cluster_result_deinit(&result);
    run->leader_seen_ms = deadline_clock_ms();
    return exit_code;
}

/* ---- following ------------------------------------------------------------------------------- */

/* A ready leader shows nothing of it. If it did before, in this term, somebody has undone it. Else it was
 * never begun, or lost with a leader: then this one, whose own first entry is committed, will never have it.
 * */
static int change_on_lost(struct change_run *run, const struct node_status *status)
{
    const char *why = run->refusal[0] != '\0' ? run->refusal : run->view.text;
    if (++run->lost_looks < CHANGE_LOST_LOOKS) {
        return CHANGE_GOES_ON;
    }
    if (run->seen_term == status->term || run->asked_count >= CHANGE_ASKED_MAX) {
        return change_end(run, EXIT_CODE_SERVER_ERROR, "prevented", "not done: %s", why);
    }
    progress_say(&run->progress, "again", "%s: asking again", run->view.text);
    return change_ask(run);
}

static int change_on_status(struct change_run *run, const struct node_status *status)
{
    change_judge(&run->change, status, &run->view);
    switch (run->view.state) {
    case CHANGE_NOT_BEGUN:
        return change_on_lost(run, status);
    case CHANGE_UNDER_WAY:
        run->lost_looks = 0;
        run->seen_term = status->term;
        progress_show(&run->progress, deadline_clock_ms(), run->view.phase, "%s", run->view.text);
        return run->options->no_wait ? EXIT_CODE_OK : CHANGE_GOES_ON;
    case CHANGE_DONE:
        progress_say(&run->progress, "done", "%s", run->view.text);
        return EXIT_CODE_OK;
    case CHANGE_PREVENTED:
        break;
    }
    return change_end(run, EXIT_CODE_SERVER_ERROR, "prevented", "not done: %s", run->view.text);
}

static int change_on_no_leader(struct change_run *run)
{
    uint64_t now_ms = deadline_clock_ms();
    if (now_ms - run->leader_seen_ms >= CHANGE_LEADERLESS_MS_MAX) {
        return change_end(
            run, EXIT_CODE_UNKNOWN, "unknown",
            "OUTCOME UNKNOWN, there has been no leader for %d s; what was begun goes on when there "
            "is one",
            CHANGE_LEADERLESS_MS_MAX / 1000);
    }
    progress_show(&run->progress, now_ms, "leaderless", "no leader is known just now");
    return CHANGE_GOES_ON;
}

static int change_follow(struct change_run *run)
{
    for (;;) {
        const struct node_status *status = change_look(run);
        int exit_code = status == NULL ? change_on_no_leader(run) : change_on_status(run, status);
        if (exit_code != CHANGE_GOES_ON) {
            return exit_code;
        }
        uint64_t look_ms = run->options->look_ms != 0 ? run->options->look_ms : CHANGE_LOOK_MS;
        struct deadline pause = deadline_in(look_ms, run->cancel_fd);
        if (deadline_sleep(&pause, look_ms) == DEADLINE_CANCELLED) {
            return change_end(run, EXIT_CODE_INTERRUPTED, "interrupted",
                              "interrupted; what was begun goes on, RAFT STATUS shows how far it is");
        }
    }
}

static int change_run(struct change_run *run)
{
    const struct node_status *status = change_look(run);
    run->change.leader_id_before = status != NULL ? status->node_id : 0;
    int exit_code = change_ask(run);
    return exit_code == CHANGE_GOES_ON ? change_follow(run) : exit_code;
}

int change_command_run(const struct options *options, int cancel_fd, FILE *out, FILE *errors)
{
    const struct cluster_client_options client_options = {
        .timeout_ms = options->timeout_ms, .protocol = 2, .cancel_fd = cancel_fd};
    struct change_run run = {.options = options, .cancel_fd = cancel_fd, .nodes = options->nodes};
    if (!change_parse(&run.change, options->word, options->arguments, options->arguments_count, run.message,
                      sizeof run.message)) {
        fprintf(errors, "kvcli: %s: %s\n", options->word, run.message);
        return EXIT_CODE_USAGE;
    }
    cluster_client_init(&run.client, &options->nodes, &client_options);
    progress_begin(&run.progress, out, options->output == OUTPUT_JSON);
    run.status = allocate_zeroed(1, sizeof *run.status);
    int exit_code = change_run(&run);
    progress_end(&run.progress);
    if (exit_code != EXIT_CODE_OK && options->output == OUTPUT_JSON) {
        progress_say(&run.progress, run.outcome, "%s", run.message);
    } else if (exit_code != EXIT_CODE_OK) {
        fprintf(errors, "kvcli: %s\n", run.message);
    }
    free(run.status);
    cluster_client_deinit(&run.client);
    return exit_code;
}
