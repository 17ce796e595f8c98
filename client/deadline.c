/* deadline.c: waiting with an end. */
#include "deadline.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>

uint64_t deadline_clock_ms(void)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(failed == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct deadline deadline_in(uint64_t milliseconds, int cancel_fd)
{
    return (struct deadline){.at_ms = deadline_clock_ms() + milliseconds, .cancel_fd = cancel_fd};
}

struct deadline deadline_within(const struct deadline *deadline, uint64_t milliseconds)
{
    struct deadline earlier = deadline_in(milliseconds, deadline->cancel_fd);
    return earlier.at_ms < deadline->at_ms ? earlier : *deadline;
}

uint64_t deadline_remaining_ms(const struct deadline *deadline)
{
    uint64_t now = deadline_clock_ms();
    return deadline->at_ms > now ? deadline->at_ms - now : 0;
}

enum deadline_result deadline_wait(const struct deadline *deadline, int fd, short events)
{
    for (;;) {
        struct pollfd watched[2] = {{.fd = fd, .events = events},
                                    {.fd = deadline->cancel_fd, .events = POLLIN}};
        uint64_t remaining = deadline_remaining_ms(deadline);
        int milliseconds = remaining > INT_MAX ? INT_MAX : (int)remaining;
        int ready = poll(watched, 2, milliseconds);
        if (ready < 0) {
            assert(errno == EINTR);
            continue;
        }
        if (watched[1].revents != 0) {
            return DEADLINE_CANCELLED;
        }
        if (watched[0].revents != 0) {
            return DEADLINE_READY;
        }
        if (deadline_remaining_ms(deadline) == 0) {
            return DEADLINE_PASSED;
        }
    }
}

enum deadline_result deadline_sleep(const struct deadline *deadline, uint64_t milliseconds)
{
    struct deadline nap = deadline_within(deadline, milliseconds);
    if (deadline_wait(&nap, -1, 0) == DEADLINE_CANCELLED) {
        return DEADLINE_CANCELLED;
    }
    return deadline_remaining_ms(deadline) == 0 ? DEADLINE_PASSED : DEADLINE_READY;
}
