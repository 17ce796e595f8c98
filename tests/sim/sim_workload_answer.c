/* sim_workload_answer.c: what an answer means for each operation of a command; see sim_workload.h. */
#include "sim_workload.h"

#include <inttypes.h>
#include <string.h>

static bool begins(const struct answer *answer, const char *word)
{
    return answer->type == ANSWER_ERROR && strncmp(answer->text, word, strlen(word)) == 0;
}

static void answer_one(struct sim *sim, const struct sim_command *command, size_t operation,
                       const struct answer *answer)
{
    switch (answer->type) {
    case ANSWER_NIL:
        sim_record_answer(sim, operation, HISTORY_NIL, 0, NULL, 0);
        return;
    case ANSWER_INTEGER:
        sim_record_answer(sim, operation, HISTORY_INTEGER, answer->integer, NULL, 0);
        return;
    case ANSWER_STRING:
        sim_record_answer(sim, operation, HISTORY_BYTES, 0, (const uint8_t *)answer->text, answer->size);
        return;
    case ANSWER_STATUS:
        if (strcmp(answer->text, "OK") == 0) {
            sim_record_answer(sim, operation, HISTORY_OK, 0, NULL, 0);
            return;
        }
        break;
    case ANSWER_ERROR:
        if (begins(answer, "ERR value is not an integer") || begins(answer, "ERR increment or decrement")) {
            sim_record_answer(sim, operation, HISTORY_ERROR, 0, NULL, 0);
            return;
        }
        break;
    case ANSWER_VERBATIM:
    case ANSWER_DOUBLE:
    case ANSWER_BIG_NUMBER:
    case ANSWER_BOOLEAN:
    case ANSWER_ARRAY:
    case ANSWER_MAP:
    case ANSWER_SET:
    case ANSWER_PUSH:
        break;
    }
    sim_fail(sim, SIM_HISTORY, "%s got an answer of the wrong kind: %s", command->text,
             answer_has_text(answer) ? answer->text : "not text");
}

static void end_all(struct sim *sim, const struct sim_command *command,
                    void (*end)(struct sim *sim, size_t operation))
{
    for (uint32_t i = 0; i < command->operations_count; i++) {
        end(sim, command->operations[i]);
    }
}

static void check_count(struct sim *sim, const struct sim_command *command, const struct answer *answer,
                        int64_t most)
{
    if (answer->integer < 0 || answer->integer > most) {
        sim_fail(sim, SIM_HISTORY, "%s was answered with %" PRId64, command->text, answer->integer);
    }
}

static void answer_kind(struct sim *sim, const struct sim_command *command, const struct answer *answer)
{
    bool exists = strcmp(answer->text, "string") == 0;
    if (!exists && strcmp(answer->text, "none") != 0) {
        sim_fail(sim, SIM_HISTORY, "%s was answered with %s", command->text, answer->text);
    }
    sim_record_answer(sim, command->operations[0], HISTORY_INTEGER, exists ? 1 : 0, NULL, 0);
}

static const char *shown(const struct answer *answer)
{
    return answer_has_text(answer) ? answer->text : "nil";
}

/* Of keys that are only written together, to one value. */
static void check_group(struct sim *sim, const struct sim_command *command, const struct answer *answer)
{
    bool counts = command->form == SIM_ANSWER_COUNT;
    if (counts && answer->integer != 0 && answer->integer != command->operations_count) {
        sim_fail(sim, SIM_HISTORY, "%s was answered with %" PRId64 ": these keys come and go together",
                 command->text, answer->integer);
    }
    for (uint32_t i = 1; command->form == SIM_ANSWER_EACH && i < command->operations_count; i++) {
        const struct answer *one = &answer->elements[0];
        const struct answer *other = &answer->elements[i];
        bool same = one->type == other->type &&
                    (!answer_has_text(one) ||
                     (one->size == other->size && memcmp(one->text, other->text, one->size) == 0));
        if (!same) {
            sim_fail(sim, SIM_HISTORY, "%s shows %.20s and %.20s, of keys that are only written together",
                     command->text, shown(one), shown(other));
        }
    }
}

static void record_each(struct sim *sim, const struct sim_command *command, int64_t integer)
{
    for (uint32_t i = 0; i < command->operations_count; i++) {
        sim_record_answer(sim, command->operations[i], HISTORY_INTEGER, integer, NULL, 0);
    }
}

static void answer_done(struct sim *sim, const struct sim_command *command, const struct answer *answer)
{
    bool is_status = command->form == SIM_ANSWER_ALL || command->form == SIM_ANSWER_TYPE;
    enum answer_type wanted = command->form == SIM_ANSWER_EACH ? ANSWER_ARRAY
                              : is_status                      ? ANSWER_STATUS
                                                               : ANSWER_INTEGER;
    if (command->form != SIM_ANSWER_WHOLE && command->form != SIM_ANSWER_IGNORED && answer->type != wanted) {
        sim_fail(sim, SIM_HISTORY, "%s got an answer of the wrong kind", command->text);
    }
    switch (command->form) {
    case SIM_ANSWER_WHOLE:
        answer_one(sim, command, command->operations[0], answer);
        break;
    case SIM_ANSWER_EACH:
        if (answer->count != command->operations_count) {
            sim_fail(sim, SIM_HISTORY, "%s got %zu answers", command->text, answer->count);
        }
        for (uint32_t i = 0; i < command->operations_count; i++) {
            answer_one(sim, command, command->operations[i], &answer->elements[i]);
        }
        if (command->is_group) {
            check_group(sim, command, answer);
        }
        break;
    case SIM_ANSWER_COUNT:
        check_count(sim, command, answer, command->operations_count);
        if (command->is_group) {
            check_group(sim, command, answer);
            record_each(sim, command, answer->integer == 0 ? 0 : 1);
        } else {
            end_all(sim, command, sim_record_answer_unchecked);
        }
        break;
    case SIM_ANSWER_ALL:
        end_all(sim, command, sim_record_answer_unchecked);
        break;
    case SIM_ANSWER_IF_ONE:
        check_count(sim, command, answer, 1);
        if (answer->integer == 1 || command->is_group) {
            record_each(sim, command, answer->integer); /* of a group all are there, or none */
        } else {
            end_all(sim, command, sim_record_forget);
        }
        break;
    case SIM_ANSWER_TYPE:
        answer_kind(sim, command, answer);
        break;
    case SIM_ANSWER_IGNORED:
        break;
    }
}

enum sim_told sim_workload_answer(struct sim *sim, const struct sim_command *command,
                                  const struct answer *answer)
{
    if (begins(answer, "MOVED ")) {
        end_all(sim, command, sim_record_forget);
        return SIM_TOLD_MOVED;
    }
    if (begins(answer, "CLUSTERDOWN ")) {
        end_all(sim, command, sim_record_forget);
        return SIM_TOLD_DOWN;
    }
    if (begins(answer, "OOM ")) {
        /* The map is small, or disks may be full. */
        bool may_be =
            sim->knobs.map_kib != sim_knob_neutral(SIM_KNOB_map_kib) || sim->knobs.disk_full_per_minute > 0;
        if (!command->grows || !may_be) {
            sim_fail(sim, SIM_CORRECTNESS, "%s was refused for want of room", command->text);
        }
        sim->counts.refused++;
        end_all(sim, command, sim_record_forget);
        return SIM_TOLD_FULL;
    }
    if (begins(answer, "UNKNOWN ")) {
        if (!command->is_write) {
            sim_fail(sim, SIM_HISTORY, "%s was answered -UNKNOWN, but it only reads", command->text);
        }
        sim->counts.unknown++;
        end_all(sim, command, sim_record_unknown);
        return SIM_TOLD_UNKNOWN;
    }
    sim->counts.acknowledged++;
    answer_done(sim, command, answer);
    return SIM_TOLD_DONE;
}

void sim_workload_lost(struct sim *sim, const struct sim_command *command)
{
    sim->counts.unknown += command->is_write ? 1 : 0;
    end_all(sim, command, command->is_write ? sim_record_unknown : sim_record_forget);
}
