/* raft_script.h: the language of tests/scenarios: a command per line, and a text of what it brought about.
 *
 * tests/scenarios/README.md lists the commands and says how a trace reads. The interpreter knows nothing of
 * files or of what is expected; raft_scenario.h does.
 */
#ifndef RAFT_SCRIPT_H
#define RAFT_SCRIPT_H

#include "raft_script_text.h"

struct raft_script;

struct raft_script *raft_script_create(void);
void raft_script_destroy(struct raft_script *script);

/* Runs one command and adds what happened to *output, whole lines. A command that makes no sense adds a line
 * that begins with "ERROR: "; it changes nothing. */
void raft_script_run(struct raft_script *script, const char *command, struct script_text *output);

#endif
