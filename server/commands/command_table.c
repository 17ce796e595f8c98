/* command_table.c: the rows of command_rows.h as a table, found by name and by opcode.
 *
 * Both ways are one look into a constant array: they are taken for every command on every node. NAME_INDEX is
 * a perfect hash over the first eight letters of a name: made by the unit test of this file, which also fails
 * when it is not right any more, and then prints a right one.
 */
#include "command_table.h"
#include "command_functions.h"

#include <assert.h>
#include <string.h>

enum command_row {
#define COMMAND_ROW(name, ...) COMMAND_ROW_##name,
#include "command_rows.h"
#undef COMMAND_ROW
    COMMAND_ROWS_COUNT
};

static const struct command TABLE[] = {
#define COMMAND_ROW(name_, opcode_, arity_, flags_, first_, last_, step_, run_, check_, group_, since_,      \
                    complexity_, summary_, syntax_, key_flags_, tips_, subcommands_)                         \
    {                                                                                                        \
        .name = #name_,                                                                                      \
        .opcode = opcode_,                                                                                   \
        .arity = arity_,                                                                                     \
        .flags = flags_,                                                                                     \
        .first_key = first_,                                                                                 \
        .last_key = last_,                                                                                   \
        .key_step = step_,                                                                                   \
        .run = run_,                                                                                         \
        .check = check_,                                                                                     \
        .group = group_,                                                                                     \
        .since = since_,                                                                                     \
        .complexity = complexity_,                                                                           \
        .summary = summary_,                                                                                 \
        .syntax = syntax_,                                                                                   \
        .key_flags = key_flags_,                                                                             \
        .tips = tips_,                                                                                       \
        .subcommands = subcommands_,                                                                         \
    },
#include "command_rows.h"
#undef COMMAND_ROW
};
_Static_assert(sizeof TABLE / sizeof TABLE[0] == COMMAND_ROWS_COUNT, "a row of each");
_Static_assert(COMMAND_ROWS_COUNT < UINT8_MAX, "rows + 1 fit into the indexes");

static const struct command PURGE = {
    .name = "kvd.purge",
    .opcode = COMMAND_OPCODE_PURGE,
    .arity = 2,
    .flags = COMMAND_WRITE | COMMAND_INTERNAL,
    .run = command_purge,
    .check = command_check_purge,
    .group = "generic",
    .since = "kvd 0.1",
    .complexity = "O(N) where N is the number of keys that are removed",
    .summary = "Removes keys that have expired.",
    .syntax = "until",
};

enum { OPCODES_END = 600 };

/* Row + 1; 0: no such opcode. */
static const uint8_t OPCODE_INDEX[OPCODES_END] = {
#define COMMAND_ROW(name, opcode, ...) [opcode] = COMMAND_ROW_##name + 1,
#include "command_rows.h"
#undef COMMAND_ROW
};

/* Row + 1 by command_name_hash(); 0: no command. */
static const uint8_t NAME_INDEX[COMMAND_NAME_INDEX_SIZE] = {
    0,  0, 0,  0,  45, 0,  0,  0, 32, 0,  2,  0,  0,  27, 0,  0, 0,  0,  0,  0,  0,  31, 0,  7,  0,  0,
    0,  0, 0,  0,  0,  18, 0,  0, 0,  0,  0,  0,  5,  25, 0,  0, 0,  22, 0,  0,  0,  0,  0,  0,  0,  0,
    19, 0, 0,  0,  44, 0,  0,  0, 0,  0,  0,  0,  0,  0,  0,  0, 0,  51, 0,  0,  52, 0,  0,  0,  35, 0,
    6,  0, 15, 0,  0,  0,  0,  0, 0,  1,  0,  0,  0,  36, 4,  0, 0,  23, 0,  0,  0,  0,  0,  33, 0,  10,
    0,  0, 0,  3,  41, 0,  0,  0, 0,  0,  0,  39, 49, 0,  0,  0, 0,  38, 0,  24, 0,  0,  26, 0,  0,  47,
    0,  0, 0,  0,  0,  0,  0,  0, 0,  0,  0,  0,  12, 0,  0,  0, 50, 0,  42, 0,  0,  0,  0,  0,  0,  14,
    0,  0, 0,  0,  0,  0,  0,  0, 0,  0,  0,  0,  0,  0,  0,  0, 0,  0,  0,  0,  0,  0,  8,  0,  0,  0,
    0,  0, 0,  20, 0,  9,  0,  0, 43, 0,  34, 0,  0,  0,  16, 0, 0,  11, 0,  48, 0,  0,  17, 0,  0,  0,
    30, 0, 0,  0,  0,  0,  37, 0, 0,  0,  0,  0,  0,  0,  0,  0, 0,  0,  0,  0,  13, 0,  0,  0,  0,  0,
    40, 0, 46, 0,  28, 0,  0,  0, 0,  29, 0,  0,  0,  0,  0,  0, 0,  0,  0,  0,  0,  21,
};

const struct command *command_table(uint32_t *count)
{
    *count = COMMAND_ROWS_COUNT;
    return TABLE;
}

const struct command *command_by_opcode(uint16_t opcode)
{
    if (opcode < OPCODES_END) {
        return OPCODE_INDEX[opcode] == 0 ? NULL : &TABLE[OPCODE_INDEX[opcode] - 1];
    }
    return opcode == COMMAND_OPCODE_PURGE ? &PURGE : NULL;
}

const struct command *command_find(const uint8_t *name, size_t size)
{
    if (size == 0 || size > COMMAND_NAME_BYTES_MAX) {
        return NULL;
    }
    /* Names are letters only, and no other byte becomes a letter when its bit 0x20 is set. */
    char lower[COMMAND_NAME_BYTES_MAX + 1] = {0};
    for (size_t i = 0; i < size; i++) {
        lower[i] = (char)(name[i] | 0x20);
    }
    uint8_t row = NAME_INDEX[command_name_hash(COMMAND_NAME_HASH_MULTIPLIER, lower, size)];
    if (row == 0) {
        return NULL;
    }
    const struct command *command = &TABLE[row - 1];
    return strcmp(command->name, lower) == 0 ? command : NULL;
}
