/* sim_message_text.h: messages in words, for the trace. */
#ifndef SIM_MESSAGE_TEXT_H
#define SIM_MESSAGE_TEXT_H

#include "sim_node.h"

void sim_message_trace(struct sim_node *from, const struct raft_message *message);

#endif
