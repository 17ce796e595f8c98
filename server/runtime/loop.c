/* loop.c: clocks and turns. */
#include "loop.h"

#include <assert.h>
#include <time.h>

struct event_base *loop_make_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config != NULL) {
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* one thread */
        base = event_base_new_with_config(config);
        event_config_free(config);
    }
    return base;
}

static uint64_t read_clock_ms(clockid_t clock)
{
    struct timespec now;
    int result = clock_gettime(clock, &now);

    assert(result == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void loop_read_clocks(struct loop *loop)
{
    loop->now_ms = read_clock_ms(CLOCK_MONOTONIC);
    loop->wall_clock_ms = read_clock_ms(CLOCK_REALTIME);
}

void loop_begin_turn(struct loop *loop)
{
    if (loop->in_turn) {
        return;
    }
    loop->in_turn = true;
    loop_read_clocks(loop);
    if (loop->replica != NULL) {
        replica_set_time(loop->replica, loop->now_ms, loop->wall_clock_ms);
    }
}

/* splitmix64 */
uint32_t loop_random(struct loop *loop, uint32_t bound)
{
    uint64_t z = (loop->random_state += UINT64_C(0x9e3779b97f4a7c15));

    assert(bound > 0);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32) % bound;
}
