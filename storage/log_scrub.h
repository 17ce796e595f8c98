/* log_scrub.h: a slow walk over the log, which finds what a disk has altered while nobody reads it (pitfall
 * 27).
 *
 * A slice reads some entries in a read transaction of its own and checks their checksums and that none is
 * missing; the last one of a pass also the other tables. What is found is named,
 * and the walk goes on: whoever needs an entry or a record learns of it there too, and an old entry may go
 * by compaction before.
 */
#ifndef LOG_SCRUB_H
#define LOG_SCRUB_H

#include "log_store.h"

#include <stdbool.h>
#include <stdint.h>

struct log_scrub_slice {
    uint64_t next_index; /* where the next slice goes on; 0: the pass is over */
    uint64_t work_bytes;
    bool is_damaged; /* `damage` is a sentence: the first thing that this slice found */
    struct storage_error damage;
};

/* Looks at entries from `from_index` on, or from the first one that there is; at about `work_bytes_max`,
 * one entry at least. Any thread. */
void log_scrub_run(struct log_store *store, uint64_t from_index, uint64_t work_bytes_max,
                   struct log_scrub_slice *slice);

#endif
