/* sim_scenario.h: the classics of Raft, told step by step on a calm cluster: what happens is written down
 * here, what the nodes do about it is theirs. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim.h"

void sim_scenario_list(FILE *out);
bool sim_scenario_exists(const char *name);
/* The seed that shows what it is about; what is expected of it is checked with this one only. */
uint64_t sim_scenario_seed(const char *name);
/* Sets the knobs that it is about. */
void sim_scenario_set_knobs(const char *name, struct sim_knobs *knobs);
/* Plays it on a cluster that is formed and led, with its clients at work. */
void sim_scenario_play(struct sim *sim, const char *name);

#endif
