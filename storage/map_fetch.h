/* map_fetch.h: has the disk's pages of some keys brought into memory, before somebody looks the keys up who
 * must not wait for a disk.
 *
 * Nothing is changed and nothing is told: what cannot be read is met again by whoever looks the key up, and
 * is dealt with there. Each fetch has a read transaction of its own, which is to be short: it keeps pages
 * from being used again.
 */
#ifndef MAP_FETCH_H
#define MAP_FETCH_H

#include "map.h"

struct map_fetch {
    struct map *map;
    void *transaction;
};

/* Looking this key up now touches no page of the disk's: a table in memory knows it, or all that is on the
 * disk is cleared. The thread that applies. */
bool map_is_in_memory(const struct map *map, const uint8_t *key, size_t key_size);

/* Any thread, several at a time, each with a fetch of its own; all have ended when the map is closed.
 * False: it cannot be done now. */
bool map_fetch_begin(struct map_fetch *fetch, struct map *map);
/* Waits for the disk. `whole`: for map_get(), which reads all of the value; otherwise for map_put() or
 * map_delete(), which look at no more than the header of a large one. */
void map_fetch_key(struct map_fetch *fetch, const uint8_t *key, size_t key_size, bool whole);
void map_fetch_end(struct map_fetch *fetch);

#endif
