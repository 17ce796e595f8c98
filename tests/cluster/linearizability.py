"""linearizability.py: were these histories possible if every operation happened at one instant?

Each key is checked by itself (linearizability is local: Herlihy and Wing 1990), with the search of Wing
and Gong, Lowe's linked list and a memo of (operations done, state). Models: a register (get, set) and a
counter (get, incr), told apart by the operations seen on the key.

An operation has a call time and, if its outcome is known, a return time. A write of unknown outcome has
none: it may take effect at any later time or never (never is the same as after everything else). Reads
of unknown outcome and writes that certainly did not happen do not belong in a history; a read that sees
such a write is then a violation, as it should be.

Two facts keep the search small. A set of unknown outcome whose value no read saw can be left out:
putting it out of a valid order changes no read. Increments of unknown outcome are alike, so they are
tried in the order of their calls.
"""

import math

STEPS_MAX = 3_000_000


class Operation:
    """`kind`: get, set or incr. `value`: what was set, or what get or incr answered (None: no value).
    `call` and `end`: times; `end` is math.inf when the outcome is unknown."""

    __slots__ = ("client", "key", "kind", "value", "call", "end")

    def __init__(self, client, key, kind, value, call, end=math.inf):
        self.client = client
        self.key = key
        self.kind = kind
        self.value = value
        self.call = call
        self.end = end

    @property
    def unknown(self):
        return self.end == math.inf

    def __repr__(self):
        end = "?" if self.unknown else "%.6f" % (self.end / 1e9)
        return "[%.6f, %s] %s %s %s %r" % (self.call / 1e9, end, self.client, self.kind, self.key, self.value)


class NotLinearizable(AssertionError):
    """The history of one key has no valid order."""


class Undecided(AssertionError):
    """The search was given up: make the histories shorter."""


def _step(state, operation):
    """(allowed, new state). A key that was never written has the state None."""
    kind = operation.kind
    if kind == "get":
        return state == operation.value, state
    if kind == "set":
        return True, operation.value
    new = int(state or 0) + 1
    return operation.unknown or operation.value == new, new


def _relevant(operations):
    seen = {operation.value for operation in operations if operation.kind == "get"}
    return [operation for operation in operations
            if not (operation.kind == "set" and operation.unknown and operation.value not in seen)
            and not (operation.kind == "get" and operation.unknown)]


def _build_events(operations):
    """The calls and returns in order of time, as arrays of a linked list with a head at 0. At equal times
    calls come first: operations that touch count as concurrent."""
    events = []
    for number, operation in enumerate(operations):
        events.append((operation.call, 0, number))
        events.append((operation.end, 1, number))
    events.sort()
    call_of, return_of = [0] * len(operations), [0] * len(operations)
    number_at, is_call_at = [-1], [False]
    for position, (_, is_return, number) in enumerate(events, start=1):
        number_at.append(number)
        is_call_at.append(not is_return)
        (return_of if is_return else call_of)[number] = position
    following = list(range(1, len(events) + 1)) + [0]
    previous = [len(events)] + list(range(len(events)))
    return number_at, is_call_at, call_of, return_of, following, previous


def check_key(operations, initial=None):
    """None if the operations of one key are linearizable, else the operations round the place where every
    order ends."""
    operations = sorted(_relevant(operations), key=lambda operation: operation.call)
    if not operations:
        return None
    number_at, is_call_at, call_of, return_of, following, previous = _build_events(operations)

    unknown_before = {}
    last_unknown = None
    for number, operation in enumerate(operations):
        if operation.kind == "incr" and operation.unknown:
            unknown_before[number] = last_unknown
            last_unknown = number

    def lift(position):
        following[previous[position]] = following[position]
        previous[following[position]] = previous[position]

    def unlift(position):
        following[previous[position]] = position
        previous[following[position]] = position

    state, done, steps = initial, 0, 0
    memo, stack = set(), []
    deepest, deepest_done = -1, 0
    position = following[0]
    while following[0] != 0:
        steps += 1
        if steps > STEPS_MAX:
            raise Undecided("gave up after %d steps on key %r with %d operations"
                            % (steps, operations[0].key, len(operations)))
        number = number_at[position]
        if is_call_at[position]:
            operation = operations[number]
            waits_for = unknown_before.get(number)
            allowed, new_state = _step(state, operation)
            if allowed and (waits_for is None or done >> waits_for & 1):
                new_done = done | 1 << number
                if (new_done, new_state) not in memo:
                    memo.add((new_done, new_state))
                    stack.append((number, state))
                    done, state = new_done, new_state
                    lift(position)
                    lift(return_of[number])
                    position = following[0]
                    continue
            position = following[position]
            continue
        # The return of an operation that has no place yet: the order so far leads nowhere.
        if len(stack) > deepest:
            deepest, deepest_done = len(stack), done
        if not stack:
            return _explain(operations, deepest_done)
        number, state = stack.pop()
        done &= ~(1 << number)
        unlift(return_of[number])
        unlift(call_of[number])
        position = following[call_of[number]]
    return None


def _explain(operations, done):
    placed = [operation for number, operation in enumerate(operations) if done >> number & 1]
    waiting = [operation for number, operation in enumerate(operations) if not done >> number & 1]
    return placed[-8:], waiting[:8]


def check_history(history):
    """Raises NotLinearizable, with the operations to look at, if any key's history is impossible.
    Returns the number of operations checked."""
    by_key = {}
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
    for key, operations in by_key.items():
        problem = check_key(operations)
        if problem:
            placed, waiting = problem
            raise NotLinearizable(
                "key %r: no order explains these %d operations. Placed last:\n  %s\nno place for any of:\n  %s"
                % (key, len(operations), "\n  ".join(map(repr, placed)), "\n  ".join(map(repr, waiting))))
    return len(history)
