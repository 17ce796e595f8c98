/* status_advice.h: what somebody should do about the state of a cluster: replace a node, make room. Pure.
 *
 * Only what no node gets over by itself has advice: one that is behind, or knows no leader, has none.
 */
#ifndef STATUS_ADVICE_H
#define STATUS_ADVICE_H

#include "cluster_status.h"

/* `take` is called with each sentence, one line of printable ASCII that lives as long as the call. */
void status_advice_each(const struct cluster_status *status, void (*take)(void *context, const char *line),
                        void *context);

#endif
