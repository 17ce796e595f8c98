/* bus_strangers.c: see bus_strangers.h. */
#include "bus_strangers.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct bus_stranger make(uint64_t node_id, const char *address, const char *reason)
{
    struct bus_stranger stranger = {.node_id = node_id};
    char *port;

    (void)snprintf(stranger.host, sizeof stranger.host, "%s", address);
    (void)snprintf(stranger.reason, sizeof stranger.reason, "%s", reason);
    port = strrchr(stranger.host, ':');
    if (port != NULL) {
        *port = '\0';
    }
    return stranger;
}

static bool is_same(const struct bus_stranger *one, const struct bus_stranger *other)
{
    return one->node_id == other->node_id && strcmp(one->host, other->host) == 0 &&
           strcmp(one->reason, other->reason) == 0;
}

/* It, or the place of the one that was told the longest ago. */
static struct bus_stranger *find(struct bus_strangers *strangers, const struct bus_stranger *wanted)
{
    struct bus_stranger *oldest = &strangers->known[0];

    for (uint32_t i = 0; i < BUS_STRANGERS_MAX; i++) {
        struct bus_stranger *known = &strangers->known[i];

        if (known->told_ms != 0 && is_same(known, wanted)) {
            return known;
        }
        oldest = known->told_ms < oldest->told_ms ? known : oldest;
    }
    return oldest;
}

bool bus_strangers_take(struct bus_strangers *strangers, uint64_t node_id, const char *address,
                        const char *reason, uint64_t now_ms, uint64_t *left_out)
{
    struct bus_stranger stranger = make(node_id, address, reason);
    struct bus_stranger *place = find(strangers, &stranger);
    bool is_known = place->told_ms != 0 && is_same(place, &stranger);

    assert(now_ms != 0 && now_ms >= strangers->told_ms);
    if ((is_known && now_ms - place->told_ms < BUS_STRANGER_INTERVAL_MS) ||
        (strangers->told_ms != 0 && now_ms - strangers->told_ms < BUS_STRANGERS_INTERVAL_MS)) {
        place->left_out += is_known;
        return false;
    }
    *left_out = is_known ? place->left_out : 0;
    stranger.told_ms = strangers->told_ms = now_ms;
    *place = stranger;
    return true;
}
