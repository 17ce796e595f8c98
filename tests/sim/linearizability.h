/* linearizability.h: was this history of one key possible, if every operation happened at one instant
 * between its call and its answer?
 *
 * Each key is checked by itself (linearizability is local: Herlihy and Wing 1990). What one operation does
 * is key_model.h's. Pure: no input or output, no globals; memory that cannot be had aborts.
 *
 * What must hold of the order:
 *   - Real time. a is before b if a.returned_us < b.invoked_us; times that touch count as concurrent. An
 *     operation of unknown outcome never returned: it may be after everything that follows.
 *   - Pipelines. Of two operations with the same client and connection the one with the smaller `sequence`
 *     is first (of equal ones, the one that comes first in the array), unless its outcome is unknown. An
 *     operation of unknown outcome is thus after the answered ones that were sent before it on its
 *     connection, and puts no bound on those sent after it. (A write that was given up can sit in the
 *     leader's log, not committed, while a later read of the same connection is answered from before it.
 *     Answered writes that follow it would be after it in the log; that is not demanded, so that no history
 *     is accused that a server could defend.)
 *   - Unknown outcomes take effect once or never.
 *   - Expiry. A key with an expiry may vanish at any instant from the window's start on. An operation that
 *     found the key must have an instant up to the window's end.
 *
 * The key does not exist before the first operation.
 */
#ifndef LINEARIZABILITY_H
#define LINEARIZABILITY_H

#include "history_operation.h"

#include <stdbool.h>

enum linearizability_verdict {
    LINEARIZABLE,
    NOT_LINEARIZABLE,
    LINEARIZABILITY_GAVE_UP, /* more than steps_max steps: no verdict */
};

enum { LINEARIZABILITY_STEPS_DEFAULT = 50 * 1000 * 1000 };

struct linearizability_report {
    enum linearizability_verdict verdict;
    uint64_t steps;
    /* Places in the array of operations, in an order that explains them: all but those of unknown outcome
     * that are not needed if LINEARIZABLE; else the longest such order that was found. Reads whose
     * outcome is unknown or unchecked are left out of it. Owned. */
    size_t *order;
    size_t order_count;
    /* Not LINEARIZABLE: the operation that would have had to be next, for its answer came before any other
     * that is missing in the order; nothing explains it after this order. */
    size_t unexplained;
};

/* Looks for an order. steps_max 0: LINEARIZABILITY_STEPS_DEFAULT. One step is one operation that was tried
 * in one place. The operations may be in any order. Release with linearizability_report_deinit. */
void linearizability_check(const struct history_operation *operations, size_t count, uint64_t steps_max,
                           struct linearizability_report *report);

void linearizability_report_deinit(struct linearizability_report *report);

/* Explains a report of any verdict in lines for a person: the end of the order, the operation that nothing
 * explains, and those that were under way at the time. Always terminated; returns the bytes written without
 * the terminator. */
size_t linearizability_describe(const struct history_operation *operations, size_t count,
                                const struct linearizability_report *report, char *text, size_t text_bytes);

/* One operation in one line, without a newline. Returns as linearizability_describe. */
size_t history_operation_describe(const struct history_operation *operation, char *text, size_t text_bytes);

#endif
