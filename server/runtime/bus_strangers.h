/* bus_strangers.h: which trouble with strangers is worth a line of the log.
 *
 * Anybody can cause it, and as often as they like: an old member that does not know that it is none any more
 * comes again every half second, for as long as it runs. So the same trouble with the same stranger is told
 * once in BUS_STRANGER_INTERVAL_MS, with how often it was not; and all together make one line in
 * BUS_STRANGERS_INTERVAL_MS at most. Only the last BUS_STRANGERS_MAX are remembered.
 */
#ifndef BUS_STRANGERS_H
#define BUS_STRANGERS_H

#include "bus_message.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    BUS_STRANGERS_MAX = 16,
    BUS_STRANGER_INTERVAL_MS = 60 * 1000,
    BUS_STRANGERS_INTERVAL_MS = 1000,
    BUS_ADDRESS_BYTES_MAX = 63, /* "host:port" in numbers */
};

/* One trouble with one stranger. */
struct bus_stranger {
    uint64_t node_id; /* as it says; RAFT_NODE_NONE: it did not */
    char host[BUS_ADDRESS_BYTES_MAX + 1];
    char reason[BUS_REASON_BYTES_MAX + 1];
    uint64_t told_ms;  /* never 0 in use: 0 is a free place */
    uint64_t left_out; /* since then */
};

/* {0}: nothing was told yet. */
struct bus_strangers {
    uint64_t told_ms; /* the last one of all; 0: none yet */
    struct bus_stranger known[BUS_STRANGERS_MAX];
};

/* Whether it is to be told now; then *left_out is how often the same was not since it was told last.
 * `address`: where it came from, "host:port"; the port, which is another one each time, makes no stranger.
 * `now_ms`: monotonic, not 0. */
bool bus_strangers_take(struct bus_strangers *strangers, uint64_t node_id, const char *address,
                        const char *reason, uint64_t now_ms, uint64_t *left_out);

#endif
