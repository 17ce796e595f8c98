/* sim_process.h: a run in a process and a directory of its own, so that a crash of the code under test ends
 * that run only. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "sim.h"

enum { SIM_PROCESS_TEXT_BYTES = 2000 };

struct sim_result {
    uint64_t seed;
    enum sim_failure failure;
    char text[SIM_PROCESS_TEXT_BYTES]; /* "FAILED seed=... kind=... why" */
    struct sim_counts counts;
    uint64_t digest, simulated_us;
};

struct sim_process;

/* From now on SIGINT and SIGTERM only note that they came, so that runs are ended and cleaned up. */
void sim_process_catch_signals(void);
/* The signal that came; 0: none. */
int sim_process_signal(void);

/* Whether there is room for so many at a time; if not, that is said on stderr. */
bool sim_process_has_room(uint32_t jobs);

/* `options->directory` is set by this. At most `seconds` (not 0) of CPU time. */
struct sim_process *sim_process_start(const struct sim_options *options, uint32_t seconds);
/* The id of the process, for waitpid(). */
int sim_process_id(const struct sim_process *process);
/* After it has ended with this status: fills *result, cleans up and frees it. */
void sim_process_end(struct sim_process *process, int status, struct sim_result *result);
/* Ends it at once: to be waited for. */
void sim_process_kill(const struct sim_process *process);
/* Start, wait, end. After a signal it is killed. */
void sim_process_run(const struct sim_options *options, uint32_t seconds, struct sim_result *result);

#endif
