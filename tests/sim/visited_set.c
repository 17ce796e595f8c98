/* visited_set.c: open addressing with linear steps, doubled when half full; the nodes of one fingerprint
 * are a list. */
#include "visited_set.h"

#include <stdlib.h>
#include <string.h>

enum { PLACES_MIN = 1024, NODES_MIN = 1024 };

struct visited_node {
    struct fingerprint fingerprint;
    uint64_t time_us;
    uint32_t next; /* of the same fingerprint; 0: none */
};

static void *reallocate(void *memory, size_t count, size_t bytes)
{
    if (bytes != 0 && count > SIZE_MAX / bytes) {
        abort();
    }
    memory = realloc(memory, count * bytes + 1);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void allocate_places(struct visited_set *set, size_t count)
{
    set->places = reallocate(NULL, count, sizeof *set->places);
    memset(set->places, 0, count * sizeof *set->places);
    set->places_count = count;
}

void visited_set_init(struct visited_set *set, size_t words_count)
{
    *set = (struct visited_set){.words_count = words_count, .nodes_count = 1, .nodes_max = NODES_MIN};
    set->nodes = reallocate(NULL, set->nodes_max, sizeof *set->nodes);
    set->words = reallocate(NULL, set->nodes_max * words_count, sizeof *set->words);
    allocate_places(set, PLACES_MIN);
}

void visited_set_deinit(struct visited_set *set)
{
    free(set->nodes);
    free(set->words);
    free(set->places);
    *set = (struct visited_set){0};
}

/* The place of the list of nodes with this fingerprint, or the free one where it belongs. */
static uint32_t *find_place(const struct visited_set *set, struct fingerprint wanted)
{
    size_t i = wanted.low & (set->places_count - 1);
    for (;;) {
        const struct visited_node *node = &set->nodes[set->places[i]];
        if (set->places[i] == 0 ||
            (node->fingerprint.low == wanted.low && node->fingerprint.high == wanted.high)) {
            return &set->places[i];
        }
        i = (i + 1) & (set->places_count - 1);
    }
}

static void double_places(struct visited_set *set)
{
    uint32_t *old = set->places;
    const size_t old_count = set->places_count;
    allocate_places(set, old_count * 2);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] != 0) {
            *find_place(set, set->nodes[old[i]].fingerprint) = old[i];
        }
    }
    free(old);
}

/* More nodes of one fingerprint are not looked through: the search is then longer, and as right. */
enum { COMPARED_MAX = 32 };

static bool covers(const struct visited_set *set, uint32_t node, uint64_t time_us, const uint64_t *words)
{
    const uint64_t *spent = &set->words[node * set->words_count];
    if (set->nodes[node].time_us > time_us) {
        return false;
    }
    for (size_t i = 0; i < set->words_count; i++) {
        if ((spent[i] & ~words[i]) != 0) {
            return false;
        }
    }
    return true;
}

bool visited_set_add(struct visited_set *set, struct fingerprint fingerprint, uint64_t time_us,
                     const uint64_t *words)
{
    uint32_t *place = find_place(set, fingerprint);
    uint32_t compared = 0;
    for (uint32_t node = *place; node != 0 && compared < COMPARED_MAX; node = set->nodes[node].next) {
        compared++;
        if (covers(set, node, time_us, words)) {
            return false;
        }
    }
    if (set->nodes_count == set->nodes_max) {
        set->nodes_max *= 2;
        set->nodes = reallocate(set->nodes, set->nodes_max, sizeof *set->nodes);
        set->words = reallocate(set->words, set->nodes_max * set->words_count, sizeof *set->words);
    }
    if (set->nodes_count > UINT32_MAX) {
        abort();
    }
    set->nodes[set->nodes_count] =
        (struct visited_node){.fingerprint = fingerprint, .time_us = time_us, .next = *place};
    if (set->words_count > 0) {
        memcpy(&set->words[set->nodes_count * set->words_count], words, set->words_count * sizeof *words);
    }
    set->places_used += *place == 0;
    *place = (uint32_t)set->nodes_count++;
    if (set->places_used * 2 > set->places_count) {
        double_places(set);
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
