/* sim_reason.h: whether two runs failed for the same reason, so that a smaller failure is not another one. */
#ifndef SIM_REASON_H
#define SIM_REASON_H

#include "sim_process.h"

/* Of one kind, and their lines begin alike, whatever numbers are in them. What clients saw is worded by the
 * command: there the kind is enough. */
bool sim_reason_is_alike(const struct sim_result *one, const struct sim_result *other);

#endif
