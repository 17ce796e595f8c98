/* raft_scenario.h: scenario files: commands of raft_script.h with what is expected of each below it.
 *
 *     # A comment, kept as it is; so are empty lines.
 *     > propose 1 x
 *       1 does write 3: 2(t1) x
 */
#ifndef RAFT_SCENARIO_H
#define RAFT_SCENARIO_H

#include "raft_script_text.h"

/* Plays the commands of `scenario` and adds the same text to *played, with what really happened below each
 * command. It equals `scenario` if all is as expected. */
void raft_scenario_play(const char *scenario, struct script_text *played);

/* True if a command made no sense or a check of the interpreter found something broken: such a text is wrong
 * even if it is expected. */
bool raft_scenario_is_broken(const char *played);

/* The lines that differ, "-" before what was expected and "+" before what happened, with a few others around
 * them. */
void raft_scenario_diff(const char *expected, const char *played, struct script_text *difference);

#endif
