/* restore.h: `kvd restore FILE`: makes a backup the data of a new cluster of one node, and ends.
 *
 * The new cluster has an id of its own, and the node a new disk id, so that no member of the old cluster
 * takes it for one of its own. Where it is reached its settings say when it is started. Interrupted, it is
 * begun again.
 */
#ifndef RESTORE_H
#define RESTORE_H

#include "config.h"

/* Restores config->restore_file into config->data. Progress and problems go to `errors`, what came of it to
 * `out`. The process' exit code: START for a directory that is not empty or in use, or a file that is no
 * backup; CORRUPT for a backup that is damaged; DISK for one that cannot be read or written. */
enum replica_exit restore_run(const struct config *config, FILE *out, FILE *errors);

#endif
