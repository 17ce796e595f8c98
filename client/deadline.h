/* deadline.h: the one way in which kvcli waits: until a moment of the monotonic clock, or until somebody
 * cancels.
 *
 * Cancelling is a file descriptor that becomes readable (a signalfd of SIGINT in interactive use). It is
 * looked at, never read: whoever made it empties it.
 */
#ifndef DEADLINE_H
#define DEADLINE_H

#include <stdint.h>

struct deadline {
    uint64_t at_ms;
    int cancel_fd; /* -1: cannot be cancelled */
};

enum deadline_result {
    DEADLINE_READY, /* what was waited for has happened */
    DEADLINE_PASSED,
    DEADLINE_CANCELLED,
};

uint64_t deadline_clock_ms(void);
struct deadline deadline_in(uint64_t milliseconds, int cancel_fd);
/* The same deadline, or now + milliseconds, whichever is earlier. */
struct deadline deadline_within(const struct deadline *deadline, uint64_t milliseconds);
uint64_t deadline_remaining_ms(const struct deadline *deadline);
/* Waits for poll() `events` on the descriptor (-1: for the deadline only). */
enum deadline_result deadline_wait(const struct deadline *deadline, int fd, short events)
    __attribute__((warn_unused_result));
/* DEADLINE_READY: the time has been slept through before the deadline. */
enum deadline_result deadline_sleep(const struct deadline *deadline, uint64_t milliseconds)
    __attribute__((warn_unused_result));

#endif
