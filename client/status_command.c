/* status_command.c: `kvcli status`. */
#include "status_command.h"

#include "allocate.h"
#include "cluster_status.h"
#include "deadline.h"
#include "interrupt.h"
#include "status_print.h"
#include "text.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* What --watch changes and restores. */
struct screen {
    bool drawing; /* `out` is a terminal */
    bool keys;    /* stdin is a terminal; `before` is what it was */
    struct termios before;
    struct interrupt interrupt;
};

static int health_exit_code(enum cluster_health health)
{
    switch (health) {
    case CLUSTER_HEALTHY:
        return EXIT_CODE_OK;
    case CLUSTER_DEGRADED:
        return EXIT_CODE_SERVER_ERROR;
    case CLUSTER_NO_LEADER:
    case CLUSTER_UNREACHABLE:
        break;
    }
    return EXIT_CODE_NOT_EXECUTED;
}

static bool wants_colours(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(fileno(out)) && (no_color == NULL || no_color[0] == '\0');
}

static int status_look(struct byte_buffer *text, struct endpoint_list *nodes, uint64_t timeout_ms,
                       enum output_form form, bool colours, size_t columns)
{
    struct cluster_status *status = allocate_zeroed(1, sizeof *status);
    cluster_status_collect(status, nodes, timeout_ms);
    if (form == OUTPUT_JSON) {
        status_print_json(text, status);
    } else {
        status_print_table(text, status, colours, columns);
    }
    int exit_code = health_exit_code(status->health);
    free(status);
    return exit_code;
}

int status_command_once(struct endpoint_list *nodes, uint64_t timeout_ms, enum output_form form, FILE *out)
{
    struct byte_buffer text = {0};
    int exit_code = status_look(&text, nodes, timeout_ms, form, wants_colours(out), 0);
    text_write(&text, out);
    fflush(out);
    byte_buffer_deinit(&text);
    return exit_code;
}

static void screen_begin(struct screen *screen, FILE *out, enum output_form form)
{
    interrupt_begin(&screen->interrupt);
    screen->drawing = isatty(fileno(out)) && form != OUTPUT_JSON;
    screen->keys = screen->drawing && tcgetattr(STDIN_FILENO, &screen->before) == 0;
    if (screen->keys) {
        struct termios keys = screen->before;
        keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        keys.c_cc[VMIN] = 1;
        keys.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    }
    if (screen->drawing) {
        fputs("\033[?1049h\033[?25l", out); /* alternate screen, no cursor */
        fflush(out);
    }
}

static void screen_end(struct screen *screen, FILE *out)
{
    if (screen->drawing) {
        fputs("\033[?25h\033[?1049l", out);
        fflush(out);
    }
    if (screen->keys) {
        tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    }
    interrupt_end(&screen->interrupt);
}

/* False: somebody wants an end. */
static bool screen_wait(const struct screen *screen, uint64_t milliseconds)
{
    struct deadline deadline = deadline_in(milliseconds, screen->interrupt.fd);
    for (;;) {
        switch (deadline_wait(&deadline, screen->keys ? STDIN_FILENO : -1, POLLIN)) {
        case DEADLINE_PASSED:
            return true;
        case DEADLINE_CANCELLED:
            return false;
        case DEADLINE_READY:
            break;
        }
        char key;
        ssize_t got = read(STDIN_FILENO, &key, 1);
        if (got <= 0 || key == 'q' || key == 'Q') {
            return false;
        }
    }
}

static void frame_append_title(struct byte_buffer *text, uint64_t interval_ms)
{
    char clock[32];
    time_t now = time(NULL);
    struct tm broken_down;
    localtime_r(&now, &broken_down);
    strftime(clock, sizeof clock, "%H:%M:%S", &broken_down);
    text_append_format(text, "kvcli status at %s, every %.1fs; q ends\n\n", clock,
                       (double)interval_ms / 1000);
}

/* Ends each line by clearing what an older, longer one left, and clears below: no flicker. */
static void frame_draw(const struct byte_buffer *text, FILE *out)
{
    const uint8_t *at = byte_buffer_front(text);
    fputs("\033[H", out);
    for (size_t i = 0; i < byte_buffer_size(text); i++) {
        if (at[i] == '\n') {
            fputs("\033[K", out);
        }
        fputc(at[i], out);
    }
    fputs("\033[J", out);
}

int status_command_watch(struct endpoint_list *nodes, const struct options *options, FILE *out)
{
    struct screen screen = {0};
    struct byte_buffer text = {0};
    uint64_t timeout_ms = options->timeout_given ? options->timeout_ms : STATUS_NODE_TIMEOUT_MS;
    int exit_code;
    screen_begin(&screen, out, options->output);
    do {
        struct winsize size = {0};
        bool known = screen.drawing && ioctl(fileno(out), TIOCGWINSZ, &size) == 0;
        byte_buffer_consume(&text, byte_buffer_size(&text));
        if (screen.drawing) {
            frame_append_title(&text, options->interval_ms);
        }
        exit_code = status_look(&text, nodes, timeout_ms, options->output, wants_colours(out),
                                known ? size.ws_col : 0);
        if (screen.drawing) {
            frame_draw(&text, out);
        } else {
            text_write(&text, out);
        }
    } while (fflush(out) == 0 && screen_wait(&screen, options->interval_ms));
    screen_end(&screen, out);
    byte_buffer_deinit(&text);
    return exit_code;
}
