/* progress.c: see progress.h. */
#include "progress.h"

#include "json.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void progress_begin(struct progress *progress, FILE *out, bool json)
{
    *progress = (struct progress){.out = out, .json = json, .draws = !json && isatty(fileno(out)) == 1};
}

static void progress_write_line(struct progress *progress, const char *phase, const char *text)
{
    if (progress->json) {
        cJSON *object = cJSON_CreateObject();
        json_add_word(object, "phase", phase, true);
        json_add_word(object, "message", text, true);
        char *line = json_take_line(object);
        fprintf(progress->out, "%s\n", line);
        cJSON_free(line);
    } else {
        fprintf(progress->out, "%s\n", text);
    }
    fflush(progress->out);
}

/* Over the line before; cut at the right edge, beyond which it could not be drawn over. */
static void progress_draw(struct progress *progress, const char *text)
{
    struct winsize size;
    bool known = ioctl(fileno(progress->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    fprintf(progress->out, "\r%.*s\033[K", known ? size.ws_col - 1 : 79, text);
    fflush(progress->out);
    progress->drawn = true;
}

void progress_show(struct progress *progress, uint64_t now_ms, const char *phase, const char *format, ...)
{
    char text[PROGRESS_TEXT_BYTES_MAX];
    va_list arguments;
    bool same = strncmp(progress->phase, phase, sizeof progress->phase - 1) == 0;
    uint64_t pause_ms = progress->draws ? PROGRESS_DRAW_MS : PROGRESS_LINE_MS;
    if (same && now_ms - progress->shown_ms < pause_ms) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(progress->phase, sizeof progress->phase, "%s", phase);
    progress->shown_ms = now_ms;
    if (progress->draws) {
        progress_draw(progress, text);
    } else {
        progress_write_line(progress, phase, text);
    }
}

void progress_say(struct progress *progress, const char *phase, const char *format, ...)
{
    char text[PROGRESS_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    progress_end(progress);
    progress_write_line(progress, phase, text);
}

void progress_end(struct progress *progress)
{
    if (progress->drawn) {
        fputs("\r\033[K", progress->out);
        fflush(progress->out);
        progress->drawn = false;
    }
}

const char *progress_format_size(uint64_t bytes, char text[PROGRESS_SIZE_BYTES_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(text, PROGRESS_SIZE_BYTES_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

unsigned progress_percent(uint64_t done, uint64_t total)
{
    if (done >= total) {
        return 100;
    }
    unsigned percent = (unsigned)((double)done / (double)total * 100);
    return percent > 99 ? 99 : percent;
}
