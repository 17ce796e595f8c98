/* visited_set.c: open addressing with linear steps; doubles when half full. */
#include "visited_set.h"

#include <stdlib.h>

enum { PLACES_MIN = 1024 };

static struct fingerprint *allocate_places(size_t count)
{
    struct fingerprint *places = calloc(count, sizeof *places);
    if (places == NULL) {
        abort();
    }
    return places;
}

void visited_set_init(struct visited_set *set)
{
    *set = (struct visited_set){.places = allocate_places(PLACES_MIN), .places_count = PLACES_MIN};
}

void visited_set_deinit(struct visited_set *set)
{
    free(set->places);
    *set = (struct visited_set){0};
}

/* The place that holds it, or the free one where it belongs. */
static struct fingerprint *find_place(const struct visited_set *set, struct fingerprint wanted)
{
    size_t i = wanted.low & (set->places_count - 1);
    for (;;) {
        struct fingerprint *place = &set->places[i];
        if ((place->low == 0 && place->high == 0) ||
            (place->low == wanted.low && place->high == wanted.high)) {
            return place;
        }
        i = (i + 1) & (set->places_count - 1);
    }
}

static void grow(struct visited_set *set)
{
    struct visited_set bigger = {.places = allocate_places(set->places_count * 2),
                                 .places_count = set->places_count * 2,
                                 .count = set->count};
    for (size_t i = 0; i < set->places_count; i++) {
        if (set->places[i].low != 0 || set->places[i].high != 0) {
            *find_place(&bigger, set->places[i]) = set->places[i];
        }
    }
    free(set->places);
    *set = bigger;
}

bool visited_set_add(struct visited_set *set, struct fingerprint fingerprint)
{
    if (fingerprint.low == 0 && fingerprint.high == 0) {
        fingerprint.high = 1;
    }
    struct fingerprint *place = find_place(set, fingerprint);
    if (place->low != 0 || place->high != 0) {
        return false;
    }
    *place = fingerprint;
    set->count++;
    if (set->count * 2 > set->places_count) {
        grow(set);
    }
    return true;
}

/* The finaliser of splitmix64. */
static uint64_t scramble(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

struct fingerprint fingerprint_of(uint64_t number)
{
    return (struct fingerprint){.low = scramble(number * 2 + UINT64_C(0x9E3779B97F4A7C15)),
                                .high = scramble(number * 2 + UINT64_C(0x6A09E667F3BCC909))};
}

struct fingerprint fingerprint_xor(struct fingerprint a, struct fingerprint b)
{
    return (struct fingerprint){a.low ^ b.low, a.high ^ b.high};
}

struct fingerprint fingerprint_mix(struct fingerprint a, uint64_t number)
{
    return (struct fingerprint){.low = scramble(a.low ^ (number + UINT64_C(0x9E3779B97F4A7C15))),
                                .high = scramble(a.high + number * UINT64_C(0xD1B54A32D192ED03))};
}
