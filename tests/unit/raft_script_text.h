/* raft_script_text.h: text that grows, and how messages and entries of Raft read in a trace.
 *
 * An entry is written `5(t2)`, "entry 5 of term 2"; `start` stands before the first one.
 */
#ifndef RAFT_SCRIPT_TEXT_H
#define RAFT_SCRIPT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "raft.h"

struct script_text {
    char *bytes; /* ends with a 0; NULL while nothing was added */
    size_t size; /* without it */
    size_t capacity;
};

void script_text_add(struct script_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void script_text_deinit(struct script_text *text);

const char *script_message_name(enum raft_message_type type); /* "append", "vote-response", ... */

void script_text_add_id(struct script_text *text, struct raft_entry_id id);
void script_text_add_membership(struct script_text *text, const struct raft_membership *membership);
void script_text_add_entry(struct script_text *text, const struct raft_entry *entry);
/* The type and all fields that it uses. `read`: the number by which the script knows the read that a
 * READ_INDEX or its response is about. */
void script_text_add_message(struct script_text *text, const struct raft_message *message, unsigned read);

#endif
