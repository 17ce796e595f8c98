/* sim_knobs.h: what a run is like. Drawn from the seed; each can be set by hand (`--set name=value`), which
 * is how a failure is made smaller. */
#ifndef SIM_KNOBS_H
#define SIM_KNOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct sim_knobs {
#define SIM_KNOB(name, neutral, low, high, chance, what) uint64_t name;
#include "sim_knob_rows.h"
#undef SIM_KNOB
};

enum sim_knob_number {
#define SIM_KNOB(name, neutral, low, high, chance, what) SIM_KNOB_##name,
#include "sim_knob_rows.h"
#undef SIM_KNOB
    SIM_KNOBS_COUNT,
};

const char *sim_knob_name(size_t knob);
uint64_t sim_knob_neutral(size_t knob);
/* Half the way from `value` to the neutral one, or to what may be set and is nearest to that; `value` itself
 * when it is there. */
uint64_t sim_knob_nearer(size_t knob, uint64_t value);
uint64_t sim_knob_get(const struct sim_knobs *knobs, size_t knob);
void sim_knob_set(struct sim_knobs *knobs, size_t knob, uint64_t value);

void sim_knobs_neutral(struct sim_knobs *knobs);
void sim_knobs_draw(struct sim_knobs *knobs, uint64_t seed);
/* Only what belongs to `snapshots`, which is on. */
void sim_knobs_draw_part(struct sim_knobs *knobs, uint64_t seed);
/* "name=value". False: no such knob, or a value that it cannot have; says which on stderr. */
bool sim_knobs_parse(struct sim_knobs *knobs, const char *text);
/* The knobs that are not neutral, as `name=value` words. */
void sim_knobs_print(const struct sim_knobs *knobs, FILE *out);
void sim_knobs_print_help(FILE *out);

#endif
