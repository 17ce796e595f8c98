/* raft_script_internal.h: what the files of commands share: raft_script.c, raft_script_network.c and
 * raft_script_members.c. */
#ifndef RAFT_SCRIPT_INTERNAL_H
#define RAFT_SCRIPT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "raft_script.h"
#include "raft_script_world.h"

enum {
    SCRIPT_WORDS_MAX = 80,
};

struct raft_script {
    struct script_world world;
    struct script_text *output; /* of the command that runs */
    char *line;
    char *words[SCRIPT_WORDS_MAX];
    uint32_t words_count;
};

void script_fail(struct raft_script *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- arguments: raft_script.c ------------------------------------------------------------------ */

const char *script_word(const struct raft_script *script, uint32_t i); /* "" if there are fewer */
/* The number in word `i`; `otherwise` if there is no such word or no number in it. */
uint64_t script_number_at(const struct raft_script *script, uint32_t i, uint64_t otherwise);
/* The node in word 1, which must run unless `may_be_down`; NULL after an error. */
struct script_node *script_node_argument(struct raft_script *script, bool may_be_down);
/* "1->2", "1->*", "*->2": 0 for the star. False after an error. */
bool script_parse_link(struct raft_script *script, const char *text, raft_node_id *from, raft_node_id *to);
struct raft_payload *script_create_payload(const char *text);

/* ---- commands: raft_script_network.c ----------------------------------------------------------- */

void script_deliver_all(struct raft_script *script); /* until nothing is on its way */
void script_do_deliver(struct raft_script *script);
void script_do_drop(struct raft_script *script);
void script_do_append(struct raft_script *script);
void script_do_duplicate(struct raft_script *script);
void script_do_delay(struct raft_script *script);
void script_do_partition(struct raft_script *script);
void script_do_heal(struct raft_script *script);
void script_do_unreachable(struct raft_script *script);

/* ---- commands: raft_script_members.c ----------------------------------------------------------- */

void script_do_change(struct raft_script *script);
void script_do_members(struct raft_script *script);
void script_do_snapshot(struct raft_script *script);
void script_do_snapshot_fails(struct raft_script *script);

#endif
