/* history_move.h: one step of a plan from one state: the rules that both searches of linearizability.h
 * share. */
#ifndef HISTORY_MOVE_H
#define HISTORY_MOVE_H

#include "history_plan.h"

/* A state with an expiry is tried alive and gone. */
enum move_life { LIFE_ALIVE, LIFE_GONE };

/* A state, and the earliest instant at which it can have been reached. */
struct move_state {
    struct key_state key;
    uint64_t now_us;
};

/* How far the optional INCRBYs that are left can count, at most. */
struct move_reach {
    uint64_t up, down;
};

struct move_reach move_reach_all(const struct history_plan *plan);
void move_reach_add(struct move_reach *reach, const struct key_operation *model);

bool move_has_expiry(const struct key_state *key);

/* Applies a step as early as it can be. deadline_us: the earliest answer among the required steps that are
 * not placed. False if it cannot be, or if it would answer something else. */
bool move_apply(const struct history_plan *plan, const struct move_state *from, const struct plan_step *step,
                enum move_life life, uint64_t deadline_us, struct move_state *to);

/* Whether an optional step from `before` (absent, if the key had gone) to `after` could help a candidate,
 * at once or with further optional steps. */
bool move_can_serve(const struct history_plan *plan, const struct move_reach *reach,
                    const struct plan_step *candidate, const struct plan_step *optional,
                    const struct key_state *before, const struct key_state *after);

/* What an optional step can do from a time on; steps of one effect are interchangeable from then on. value:
 * its value, or what stands for it. Not for APPEND. */
struct fingerprint move_effect(const struct history_plan *plan, const struct key_operation *model,
                               struct key_value value, uint64_t now_us);

/* Whether a required step could as well come before an optional one, from `before` to `after` both. */
bool move_can_swap(const struct history_plan *plan, const struct move_state *before,
                   const struct plan_step *optional, const struct plan_step *required,
                   const struct key_state *after);

/* Whether a step that fits is best placed at once, before any chain: it is an observer, and that it makes the
 * time later does not matter to any expiry (a chain can give a key more time, but only while it has some). */
bool move_needs_no_chain(const struct history_plan *plan, uint64_t now_us, const struct plan_step *step);

/* Of what is placed and the state together. */
struct fingerprint move_fingerprint(struct fingerprint placed, const struct key_state *key);

#endif
