/* status_print.h: a cluster's state as a table for people or as JSON for programs. Pure. */
#ifndef STATUS_PRINT_H
#define STATUS_PRINT_H

#include "byte_buffer.h"
#include "cluster_status.h"

#include <stdbool.h>

/* A table, one line per node, a line that sums up, and one for each thing that somebody should do.
 * `columns`: lines are cut there; 0: never. */
void status_print_table(struct byte_buffer *text, const struct cluster_status *status, bool colours,
                        size_t columns);
/* One line; stable, see client/README.md. */
void status_print_json(struct byte_buffer *text, const struct cluster_status *status);

#endif
