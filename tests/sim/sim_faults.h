/* sim_faults.h: what goes wrong, and when: as the knobs say, until the faults end. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "sim_node.h"

void sim_faults_begin(struct sim *sim);
/* Everything is whole again, everybody is there. */
void sim_faults_end(struct sim *sim);

#endif
