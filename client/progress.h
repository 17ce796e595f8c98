/* progress.h: how far a long piece of work is. On a terminal one line, drawn anew; elsewhere stable lines:
 * one when the work enters another phase, and one every PROGRESS_LINE_MS while it stays in it. With JSON each
 * is an object: {"phase":"...","message":"..."}.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    PROGRESS_LINE_MS = 5000,
    PROGRESS_DRAW_MS = 100,
    PROGRESS_TEXT_BYTES_MAX = 400,
    PROGRESS_PHASE_BYTES_MAX = 24,
    PROGRESS_SIZE_BYTES_MAX = 16,
};

struct progress {
    FILE *out;
    bool draws; /* `out` is a terminal that a line is drawn on */
    bool json;
    bool drawn; /* a line stands there that is not ended */
    uint64_t shown_ms;
    char phase[PROGRESS_PHASE_BYTES_MAX]; /* the last that was shown; "": none */
};

void progress_begin(struct progress *progress, FILE *out, bool json);
/* `phase` is a word. Shown, or not when something was a moment ago; `now_ms` is monotonic. */
void progress_show(struct progress *progress, uint64_t now_ms, const char *phase, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A line that is always shown, and stays. */
void progress_say(struct progress *progress, const char *phase, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Clears a drawn line: what follows stands in its place. */
void progress_end(struct progress *progress);

/* "0 B", "1.5 KiB", "12.3 GiB". Returns `text`. */
const char *progress_format_size(uint64_t bytes, char text[PROGRESS_SIZE_BYTES_MAX]);
/* 0 to 100; 100 only when all is done. */
unsigned progress_percent(uint64_t done, uint64_t total);

#endif
