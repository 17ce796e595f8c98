/* sim_message_text.h: messages and events in words, for the trace. */
#ifndef SIM_MESSAGE_TEXT_H
#define SIM_MESSAGE_TEXT_H

#include "sim_node.h"

void sim_message_trace(struct sim_node *from, const struct raft_message *message);
/* What the replica logged. */
void sim_message_trace_event(struct sim_node *node, enum replica_log_level level, const char *event,
                             const char *fields);

#endif
