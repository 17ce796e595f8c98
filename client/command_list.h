/* command_list.h: the commands that a server has, as it describes them in COMMAND and COMMAND DOCS.
 *
 * Two uses: help, hints and completion; and to know which commands may change something, so that only the
 * others are ever sent twice. What is not known counts as changing.
 */
#ifndef COMMAND_LIST_H
#define COMMAND_LIST_H

#include "answer.h"

#include <stdbool.h>
#include <stddef.h>

struct command_entry {
    char *name;    /* lower case; of a subcommand: without its container */
    char *summary; /* these may be NULL */
    char *syntax;  /* "key value [NX | XX]" */
    char *since;
    char *group;
    bool flags_known;
    bool may_change; /* a repetition could do harm; true while flags are not known */
    struct command_entry *subcommands;
    size_t subcommands_count;
};

struct command_list {
    struct command_entry *entries; /* sorted by name */
    size_t count;
};

/* What is known about repeating a command. */
enum command_effect {
    COMMAND_EFFECT_NOT_KNOWN, /* the server has not been asked */
    COMMAND_EFFECT_READS,
    COMMAND_EFFECT_MAY_CHANGE,
};

/* One argument of a command: bytes with a zero byte after them. */
struct command_argument {
    char *bytes;
    size_t size;
};

void command_list_deinit(struct command_list *list);
/* Takes in the answer to COMMAND or COMMAND INFO; what is not of that form is skipped. */
void command_list_add_information(struct command_list *list, const struct answer *answer);
/* Takes in the answer to COMMAND DOCS, RESP2 or RESP3. */
void command_list_add_documentation(struct command_list *list, const struct answer *answer);
/* Notes that the server does not know such a command, so that it is not asked again. */
void command_list_add_unknown(struct command_list *list, const char *name, size_t size);

/* By name in any case; NULL: not there. Valid until something is added. */
const struct command_entry *command_list_find(const struct command_list *list, const char *name, size_t size);
const struct command_entry *command_entry_find_subcommand(const struct command_entry *entry, const char *name,
                                                          size_t size);
enum command_effect command_list_effect(const struct command_list *list,
                                        const struct command_argument *arguments, size_t count);

#endif
