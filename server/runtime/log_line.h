/* log_line.h: one event is one line on standard error.
 *
 *   2026-11-23T12:00:00.123Z level=info event=leader-elected node=1 term=3
 *
 * Values with anything but visible characters in them are quoted, control characters escaped: whatever
 * strangers sent, one event stays one line. A line is written with one system call; when standard error
 * cannot take it now (a full disk, a pipe whose reader is stuck), it is dropped: the node never waits for it.
 */
#ifndef LOG_LINE_H
#define LOG_LINE_H

#include "replica.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum { LOG_FIELDS_BYTES_MAX = 1500 };

/* "key=value key=value"; {0} is empty. What does not fit is left out. */
struct log_fields {
    char text[LOG_FIELDS_BYTES_MAX];
    size_t size;
};

void log_fields_add_text(struct log_fields *fields, const char *key, const char *value);
void log_fields_add_number(struct log_fields *fields, const char *key, uint64_t value);

struct log {
    enum replica_log_level level_min;
    enum log_format format;
    uint64_t node_id;
    int file; /* 2 */
};

/* `fields`: as log_fields builds them; "" for none. */
void log_event(const struct log *log, enum replica_log_level level, const char *event, const char *fields);
/* The line with its end, as it would be written; returns its size. For tests. */
size_t log_format_line(const struct log *log, uint64_t wall_clock_ms, enum replica_log_level level,
                       const char *event, const char *fields, char *to, size_t to_bytes);

#endif
