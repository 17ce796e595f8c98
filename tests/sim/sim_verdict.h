/* sim_verdict.h: the end of a run: with all faults off, everything comes right, and the last checks hold.
 *
 * Progress within a bounded simulated time: a leader, every command answered, one more
 * write acknowledged, every member with all entries, every key read at every node.
 * Then: what has expired is gone; each key is read by each node, which the history must explain; the nodes'
 * contents are equal byte for byte, now and after a restart of all.
 */
#ifndef SIM_VERDICT_H
#define SIM_VERDICT_H

#include "sim.h"

void sim_verdict(struct sim *sim, bool canary);

#endif
