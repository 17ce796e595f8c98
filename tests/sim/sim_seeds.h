/* sim_seeds.h: many runs, several at a time, and what they came to. */
#ifndef SIM_SEEDS_H
#define SIM_SEEDS_H

#include "sim.h"

#include <stdio.h>

struct sim_result; /* sim_process.h */

struct sim_seeds_options {
    struct sim_options run;      /* of which `seed` is set, and the knobs are drawn, for each run */
    const char *const *settings; /* "name=value", over what is drawn */
    uint32_t settings_count;
    bool neutral; /* nothing is drawn */
    uint64_t first, count;
    uint32_t jobs;
    uint32_t seconds;          /* stop beginning new ones after this real time; 0: no limit */
    uint32_t seconds_of_run;   /* CPU time of one run; not 0 */
    bool stop_at_failure;      /* report the smallest seed that fails, and begin no more */
    const char *failures_file; /* failing seeds are added to it; NULL: to none */
};

/* The knobs of a seed. False: a setting is wrong. */
bool sim_seeds_knobs(const struct sim_seeds_options *options, uint64_t seed, struct sim_knobs *knobs);
/* What failed, the command that shows it again, and the one that makes it smaller. */
void sim_seeds_print_failure(const struct sim_seeds_options *options, const struct sim_result *result,
                             FILE *out);
/* Prints each failure, with the command that shows it again, and a summary. Returns the failure of the
 * smallest seed that failed. */
enum sim_failure sim_seeds_run(const struct sim_seeds_options *options);
/* Makes a failure smaller: fewer knobs, less time. Prints the command that shows what is left. */
enum sim_failure sim_seeds_shrink(const struct sim_seeds_options *options);

#endif
