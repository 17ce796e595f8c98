/* interactive.c: kvcli with a person in front of it.
 *
 * libedit knows no hints, so they are drawn here: while waiting for a key, behind the cursor when it stands
 * at the line's end, dimmed, and never beyond the terminal's right edge; and erased before libedit sees the
 * key. libedit takes what is behind the line for blank, which is what it finds.
 */
#include "interactive.h"

#include "allocate.h"
#include "command_line.h"
#include "completion.h"
#include "help.h"
#include "hint.h"
#include "own_commands.h"
#include "own_words.h"
#include "status_command.h"
#include "text.h"

#include <assert.h>
#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <wchar.h>

enum {
    INTERACTIVE_HISTORY_LINES = 1000,
    INTERACTIVE_LEARN_MS = 1500,
    KEY_CANCEL = 3, /* what Ctrl-C becomes */
};

struct interactive {
    struct runner *runner;
    uint64_t status_timeout_ms;
    EditLine *editor;
    History *history;
    char *history_file; /* NULL: no home directory */
    int signal_fd;
    sigset_t signals_before;
    bool cancelled; /* the present line was */
    bool hints;     /* the terminal can show them */
    bool hint_visible;
    bool learnt; /* the server's commands are known */
    mbstate_t decoding;
    char prompt[ENDPOINT_TEXT_BYTES_MAX + 16];
};

static struct interactive *interactive_of(EditLine *editor)
{
    void *data = NULL;
    el_get(editor, EL_CLIENTDATA, &data);
    assert(data != NULL);
    return data;
}

/* ---- keys and hints -------------------------------------------------------------------------- */

static size_t terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void interactive_show_hint(struct interactive *interactive)
{
    const LineInfo *line = el_line(interactive->editor);
    if (!interactive->hints || line->cursor != line->lastchar || line->lastchar == line->buffer) {
        return;
    }
    size_t size = (size_t)(line->lastchar - line->buffer);
    char *hint = completion_hint(&interactive->runner->client->commands, line->buffer, size);
    size_t room = hint_room(strlen(interactive->prompt) + hint_width(line->buffer, size), terminal_columns());
    if (hint[0] != '\0' && room > 0) {
        printf("\0337\033[2m%.*s\033[0m\0338", (int)room, hint);
        fflush(stdout);
        interactive->hint_visible = true;
    }
    free(hint);
}

static void interactive_hide_hint(struct interactive *interactive)
{
    if (interactive->hint_visible) {
        fputs("\033[K", stdout);
        fflush(stdout);
        interactive->hint_visible = false;
    }
}

static void interactive_drain_signals(const struct interactive *interactive)
{
    struct signalfd_siginfo information;
    while (read(interactive->signal_fd, &information, sizeof information) == (ssize_t)sizeof information) {
    }
}

/* One byte of stdin, or Ctrl-C as a key. 1, 0 at the end, -1 on an error. */
static int interactive_wait_byte(struct interactive *interactive, char *byte)
{
    struct pollfd watched[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                {.fd = interactive->signal_fd, .events = POLLIN}};
    if (poll(watched, 1, 0) == 0) { /* not amid of pasted text */
        interactive_show_hint(interactive);
    }
    for (;;) {
        int ready = poll(watched, 2, -1);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready < 0) {
            return -1;
        }
        if (watched[1].revents != 0) {
            interactive_drain_signals(interactive);
            *byte = KEY_CANCEL;
            return 1;
        }
        ssize_t got = read(STDIN_FILENO, byte, 1);
        if (got >= 0 || errno != EINTR) {
            return got < 0 ? -1 : (int)got;
        }
    }
}

static int interactive_read_key(EditLine *editor, wchar_t *key)
{
    struct interactive *interactive = interactive_of(editor);
    for (;;) {
        char byte;
        int got = interactive_wait_byte(interactive, &byte);
        interactive_hide_hint(interactive);
        if (got <= 0) {
            return got;
        }
        switch (mbrtowc(key, &byte, 1, &interactive->decoding)) {
        case (size_t)-2: /* more bytes of this character follow */
            continue;
        case (size_t)-1:
            memset(&interactive->decoding, 0, sizeof interactive->decoding);
            *key = L'?';
            return 1;
        default:
            return 1;
        }
    }
}

static unsigned char interactive_on_cancel(EditLine *editor, int key)
{
    (void)key;
    interactive_of(editor)->cancelled = true;
    return CC_NEWLINE;
}

/* Below the line, in columns; libedit then draws the line anew. */
static void interactive_list_candidates(const struct completion *completion)
{
    size_t width = 0;
    for (size_t i = 0; i < completion->count; i++) {
        size_t size = strlen(completion->candidates[i]);
        width = size > width ? size : width;
    }
    size_t columns = terminal_columns() / (width + 2);
    columns = columns == 0 ? 1 : columns;
    fputc('\n', stdout);
    for (size_t i = 0; i < completion->count; i++) {
        bool last = (i + 1) % columns == 0 || i + 1 == completion->count;
        printf("%-*s%s", last ? 0 : (int)width + 2, completion->candidates[i], last ? "\n" : "");
    }
    fflush(stdout);
}

static unsigned char interactive_on_complete(EditLine *editor, int key)
{
    struct interactive *interactive = interactive_of(editor);
    const LineInfo *line = el_line(editor);
    size_t cursor = (size_t)(line->cursor - line->buffer);
    struct completion completion;
    unsigned char result = CC_ERROR; /* a beep */
    (void)key;
    completion_find(&interactive->runner->client->commands, line->buffer, cursor, &completion);
    size_t typed = cursor - completion.word_start;
    if (completion.count > 0 && (completion.common_size > typed || completion.count == 1)) {
        char *word = allocate_copy(completion.candidates[0], completion.common_size + 1);
        word[completion.common_size] = completion.count == 1 ? ' ' : '\0';
        word[completion.common_size + 1] = '\0';
        el_deletestr(editor, (int)typed);
        result = el_insertstr(editor, word) == 0 ? CC_REFRESH : CC_ERROR;
        free(word);
    } else if (completion.count > 1) {
        interactive_list_candidates(&completion);
        result = CC_REDISPLAY;
    }
    completion_deinit(&completion);
    return result;
}

static char *interactive_prompt(EditLine *editor)
{
    return interactive_of(editor)->prompt;
}

static void interactive_set_prompt(struct interactive *interactive)
{
    const struct cluster_client *client = interactive->runner->client;
    char name[ENDPOINT_TEXT_BYTES_MAX];
    const char *where = client->ready ? endpoint_format(&client->connection.peer, name) : "not connected";
    snprintf(interactive->prompt, sizeof interactive->prompt, "%s> ", where);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static char *history_file_name(void)
{
    const char *home = getenv("HOME");
    if (home == NULL || home[0] == '\0') {
        return NULL;
    }
    size_t size = strlen(home) + sizeof "/.kvcli_history";
    char *name = allocate_zeroed(size, 1);
    snprintf(name, size, "%s/.kvcli_history", home);
    return name;
}

static void interactive_begin_history(struct interactive *interactive)
{
    HistEvent event;
    interactive->history = history_init();
    interactive->history_file = history_file_name();
    if (interactive->history == NULL) {
        return;
    }
    history(interactive->history, &event, H_SETSIZE, INTERACTIVE_HISTORY_LINES);
    history(interactive->history, &event, H_SETUNIQUE, 1);
    if (interactive->history_file != NULL) {
        history(interactive->history, &event, H_LOAD, interactive->history_file);
    }
    el_set(interactive->editor, EL_HIST, history, interactive->history);
}

static bool interactive_begin(struct interactive *interactive)
{
    const char *terminal = getenv("TERM");
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &interactive->signals_before);
    interactive->signal_fd = signalfd(-1, &interrupt, SFD_CLOEXEC | SFD_NONBLOCK);
    interactive->runner->client->options.cancel_fd = interactive->signal_fd;
    interactive->hints = isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
    interactive->editor = el_init("kvcli", stdin, stdout, stderr);
    if (interactive->editor == NULL) {
        return false;
    }
    EditLine *editor = interactive->editor;
    el_set(editor, EL_CLIENTDATA, interactive);
    el_set(editor, EL_PROMPT, interactive_prompt);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_SIGNAL, 1);
    el_set(editor, EL_ADDFN, "kvcli-complete", "complete the command", interactive_on_complete);
    el_set(editor, EL_ADDFN, "kvcli-cancel", "cancel the line", interactive_on_cancel);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    interactive_begin_history(interactive);
    el_source(editor, NULL); /* the person's ~/.editrc */
    el_set(editor, EL_BIND, "^I", "kvcli-complete", NULL);
    el_set(editor, EL_BIND, "^C", "kvcli-cancel", NULL);
    el_set(editor, EL_GETCFN, interactive_read_key);
    return true;
}

static void interactive_end(struct interactive *interactive)
{
    if (interactive->editor != NULL) {
        el_end(interactive->editor);
    }
    if (interactive->history != NULL) {
        history_end(interactive->history);
    }
    free(interactive->history_file);
    interactive->runner->client->options.cancel_fd = -1;
    if (interactive->signal_fd >= 0) {
        interactive_drain_signals(interactive);
        close(interactive->signal_fd);
    }
    pthread_sigmask(SIG_SETMASK, &interactive->signals_before, NULL);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Whether the line may be kept: AUTH and HELLO ... AUTH carry passwords. */
static bool line_is_public(const struct command_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        bool may_name_auth = i == 0 || command_line_is(line, "hello");
        if (may_name_auth && strcasecmp(line->arguments[i].bytes, "auth") == 0) {
            return false;
        }
    }
    return line->count > 0;
}

static void interactive_remember(struct interactive *interactive, const char *text)
{
    HistEvent event;
    if (interactive->history == NULL) {
        return;
    }
    history(interactive->history, &event, H_ENTER, text);
    if (interactive->history_file != NULL) {
        history(interactive->history, &event, H_SAVE, interactive->history_file);
    }
}

static void interactive_learn(struct interactive *interactive)
{
    if (!interactive->learnt) {
        interactive->learnt =
            cluster_client_learn_commands(interactive->runner->client, INTERACTIVE_LEARN_MS);
    }
}

static void interactive_help(struct interactive *interactive, const struct command_line *line)
{
    struct byte_buffer text = {0};
    interactive_learn(interactive);
    help_print(&text, &interactive->runner->client->commands, line->arguments + 1, line->count - 1,
               terminal_columns());
    text_write(&text, interactive->runner->out);
    byte_buffer_deinit(&text);
}

/* A change, a backup ...: as on the command line, with the nodes that are known here. */
static void interactive_run_own(struct interactive *interactive, const struct command_line *line)
{
    const struct runner *runner = interactive->runner;
    char **words = allocate_zeroed(line->count + 2, sizeof words[0]);
    struct options options;
    char error[256];
    words[0] = allocate_copy("kvcli", 5);
    for (size_t i = 0; i < line->count; i++) {
        words[i + 1] = line->arguments[i].bytes;
    }
    if (!options_parse(&options, (int)line->count + 1, words, NULL, error, sizeof error)) {
        fprintf(runner->out, "%s\n", error);
    } else if (own_commands_are(options.action)) {
        options.nodes = runner->client->nodes;
        options.output = runner->form;
        options.timeout_ms = runner->client->options.timeout_ms;
        (void)own_commands_run(&options, interactive->signal_fd, runner->out, runner->out);
    }
    free(words[0]);
    free(words);
}

static bool line_is_own_command(const struct command_line *line)
{
    const struct own_word *word = own_words_find(line->arguments[0].bytes);
    return word != NULL &&
           (word->kind == OWN_WORD_CHANGE || word->kind == OWN_WORD_BACKUP || word->kind == OWN_WORD_VERIFY);
}

/* False: the person wants to end. */
static bool interactive_execute(struct interactive *interactive, const struct command_line *line)
{
    const struct runner *runner = interactive->runner;
    interactive_drain_signals(interactive);
    if (command_line_is(line, "quit") || command_line_is(line, "exit")) {
        return false;
    }
    if (command_line_is(line, "help")) {
        interactive_help(interactive, line);
    } else if (command_line_is(line, "clear")) {
        fputs("\033[H\033[2J", runner->out);
    } else if (command_line_is(line, "status") && line->count == 1) {
        struct endpoint_list nodes = runner->client->nodes;
        (void)status_command_once(&nodes, interactive->status_timeout_ms, runner->form, runner->out);
    } else if (line_is_own_command(line)) {
        interactive_run_own(interactive, line);
    } else {
        (void)runner_execute(runner, line->arguments, line->count);
        if (runner->client->ready) {
            interactive_learn(interactive); /* no node could be asked at the start */
        }
    }
    interactive_drain_signals(interactive);
    fflush(runner->out);
    return true;
}

/* Reads and executes one line. False: the end. */
static bool interactive_turn(struct interactive *interactive)
{
    int size = 0;
    interactive->cancelled = false;
    interactive_set_prompt(interactive);
    /* Before the prompt is seen: a Ctrl-D that arrives while the terminal is not raw yet would be lost. */
    el_set(interactive->editor, EL_PREP_TERM, 1);
    const char *text = el_gets(interactive->editor, &size);
    if (interactive->cancelled) {
        puts("^C");
        el_reset(interactive->editor);
        return true;
    }
    if (text == NULL || size <= 0) {
        putchar('\n');
        return false;
    }
    struct command_line line;
    bool go_on = true;
    if (!command_line_parse(&line, text, (size_t)size)) {
        puts("unbalanced quotes");
        interactive_remember(interactive, text);
    } else {
        if (line_is_public(&line)) {
            interactive_remember(interactive, text);
        }
        go_on = line.count == 0 || interactive_execute(interactive, &line);
    }
    command_line_deinit(&line);
    return go_on;
}

int interactive_run(struct runner *runner, uint64_t status_timeout_ms)
{
    struct interactive interactive = {
        .runner = runner, .status_timeout_ms = status_timeout_ms, .signal_fd = -1};
    if (!interactive_begin(&interactive)) {
        fputs("kvcli: the terminal cannot be used for editing lines\n", stderr);
        interactive_end(&interactive);
        return EXIT_CODE_USAGE;
    }
    interactive_learn(&interactive);
    if (!interactive.learnt) {
        puts("No node could be asked for its commands yet: there are no hints until one can.");
    }
    while (interactive_turn(&interactive)) {
    }
    interactive_end(&interactive);
    return EXIT_CODE_OK;
}
