/* sim_knobs.c: see sim_knobs.h and the rows in sim_knob_rows.h. */
#include "sim_knobs.h"

#include "sim_random.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    size_t offset;
    uint64_t neutral, low, high, chance;
    const char *what;
};

static const struct row rows[SIM_KNOBS_COUNT] = {
#define SIM_KNOB(name, neutral, low, high, chance, what)                                                     \
    {#name, offsetof(struct sim_knobs, name), neutral, low, high, chance, what},
#include "sim_knob_rows.h"
#undef SIM_KNOB
};

const char *sim_knob_name(size_t knob)
{
    return rows[knob].name;
}

uint64_t sim_knob_neutral(size_t knob)
{
    return rows[knob].neutral;
}

uint64_t sim_knob_nearer(size_t knob, uint64_t value)
{
    const struct row *row = &rows[knob];
    uint64_t aim = row->neutral < row->low ? row->low : row->neutral > row->high ? row->high : row->neutral;
    return value > aim ? value - (value - aim + 1) / 2 : value + (aim - value + 1) / 2;
}

uint64_t sim_knob_get(const struct sim_knobs *knobs, size_t knob)
{
    uint64_t value;
    memcpy(&value, (const char *)knobs + rows[knob].offset, sizeof value);
    return value;
}

void sim_knob_set(struct sim_knobs *knobs, size_t knob, uint64_t value)
{
    memcpy((char *)knobs + rows[knob].offset, &value, sizeof value);
}

void sim_knobs_neutral(struct sim_knobs *knobs)
{
    for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
        sim_knob_set(knobs, i, rows[i].neutral);
    }
}

/* Five more often than others: the hard schedules need so many, and each node costs time. */
static uint64_t draw_nodes(struct sim_random *random)
{
    static const uint64_t nodes[] = {1, 2, 3, 4, 5, 5, 5, 6, 7};
    return nodes[sim_random_below(random, sizeof nodes / sizeof nodes[0])];
}

/* Each knob has numbers of its own, so that a new row changes no other knob of a seed. What comes behind
 * `snapshots` is part of it. */
static void draw(struct sim_knobs *knobs, uint64_t seed, size_t i)
{
    struct sim_random random = {seed * UINT64_C(0xD1342543DE82EF95)};
    for (const char *c = rows[i].name; *c != '\0'; c++) {
        random.state = sim_random_next(&random) ^ (uint64_t)*c;
    }
    bool drawn = sim_random_chance(&random, rows[i].chance);
    uint64_t value =
        i == SIM_KNOB_nodes ? draw_nodes(&random) : sim_random_scale(&random, rows[i].low, rows[i].high);
    bool is_part = i <= SIM_KNOB_snapshots || knobs->snapshots != 0;
    sim_knob_set(knobs, i, drawn && is_part ? value : rows[i].neutral);
}

void sim_knobs_draw(struct sim_knobs *knobs, uint64_t seed)
{
    for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
        draw(knobs, seed, i);
    }
}

void sim_knobs_draw_part(struct sim_knobs *knobs, uint64_t seed)
{
    for (size_t i = SIM_KNOB_snapshots + 1; i < SIM_KNOBS_COUNT; i++) {
        draw(knobs, seed, i);
    }
}

bool sim_knobs_parse(struct sim_knobs *knobs, const char *text)
{
    const char *equals = strchr(text, '=');
    for (size_t i = 0; equals != NULL && i < SIM_KNOBS_COUNT; i++) {
        if (strlen(rows[i].name) != (size_t)(equals - text) ||
            strncmp(rows[i].name, text, (size_t)(equals - text)) != 0) {
            continue;
        }
        char *end;
        unsigned long long value = strtoull(equals + 1, &end, 10);
        /* A run may be shorter than any that is drawn: that is how a failure is made smaller. */
        uint64_t low = i == SIM_KNOB_duration_ms ? 0 : rows[i].low;
        bool in_range = value >= low && value <= rows[i].high;
        if (equals[1] < '0' || equals[1] > '9' || *end != '\0' || (!in_range && value != rows[i].neutral)) {
            (void)fprintf(stderr, "%s is %" PRIu64 ", or from %" PRIu64 " to %" PRIu64 ": %s\n", rows[i].name,
                          rows[i].neutral, low, rows[i].high, equals + 1);
            return false;
        }
        sim_knob_set(knobs, i, value);
        return true;
    }
    (void)fprintf(stderr, "no such knob (see --knobs): %s\n", text);
    return false;
}

void sim_knobs_print(const struct sim_knobs *knobs, FILE *out)
{
    const char *space = "";
    for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
        uint64_t value = sim_knob_get(knobs, i);
        if (value != rows[i].neutral) {
            (void)fprintf(out, "%s%s=%" PRIu64, space, rows[i].name, value);
            space = " ";
        }
    }
}

void sim_knobs_print_help(FILE *out)
{
    for (size_t i = 0; i < SIM_KNOBS_COUNT; i++) {
        (void)fprintf(out, "  %-28s %8" PRIu64 " or %5" PRIu64 " to %-6" PRIu64 "  %s\n", rows[i].name,
                      rows[i].neutral, rows[i].low, rows[i].high, rows[i].what);
    }
}
