"""The checker itself: it accepts what is possible and, above all, it fails what is not."""

import itertools
import math
import random

import pytest

from linearizability import NotLinearizable, Operation, check_history, check_key


def op(kind, value, call, end=math.inf, key="k", client="c"):
    return Operation(client, key, kind, value, call, end)


GOOD = {
    "nothing": [],
    "a read of a key that was never written": [op("get", None, 0, 1)],
    "a read after a write": [op("set", "a", 0, 1), op("get", "a", 2, 3)],
    "a read beside a write sees the old value": [op("set", "a", 0, 10), op("get", None, 1, 2)],
    "a read beside a write sees the new value": [op("set", "a", 0, 10), op("get", "a", 1, 2)],
    "two writes side by side, in the order of their returns reversed":
        [op("set", "a", 0, 10), op("set", "b", 1, 9), op("get", "a", 11, 12)],
    "operations that touch count as side by side": [op("set", "a", 0, 5), op("get", None, 5, 6)],
    "an unknown write takes effect late":
        [op("set", "a", 0, 1), op("set", "b", 2), op("get", "a", 3, 4), op("get", "b", 90, 91)],
    "an unknown write never takes effect": [op("set", "a", 0, 1), op("set", "b", 2), op("get", "a", 90, 91)],
    "an unknown write takes effect between two reads, then is overwritten":
        [op("set", "b", 0), op("get", None, 1, 2), op("get", "b", 3, 4), op("set", "c", 5, 6), op("get", "c", 7, 8)],
    "a counter": [op("incr", 1, 0, 1), op("incr", 2, 2, 3), op("get", 2, 4, 5)],
    "counting side by side": [op("incr", 2, 0, 10), op("incr", 1, 0, 10), op("get", 2, 11, 12)],
    "an unknown increment shows in a later answer": [op("incr", 1, 0, 1), op("incr", None, 2), op("incr", 3, 5, 6)],
    "an unknown increment never shows": [op("incr", 1, 0, 1), op("incr", None, 2), op("incr", 2, 5, 6)],
    "many unknown increments, half of them counted":
        [op("incr", None, i) for i in range(40)] + [op("get", 20, 100, 101)],
    "many unknown writes, none seen": [op("set", "u%d" % i, i) for i in range(40)] + [op("get", None, 100, 101)],
}

BAD = {
    "a lost write": [op("set", "a", 0, 1), op("get", None, 2, 3)],
    "a stale read": [op("set", "a", 0, 1), op("set", "b", 2, 3), op("get", "a", 4, 5)],
    "a value from nowhere": [op("set", "a", 0, 1), op("get", "x", 2, 3)],
    "reads that go back": [op("set", "a", 0, 1), op("set", "b", 2, 20), op("get", "b", 3, 4), op("get", "a", 5, 6)],
    "a read from the future": [op("get", "a", 0, 1), op("set", "a", 2, 3)],
    "an unknown write that was seen, then unseen":
        [op("set", "a", 0, 1), op("set", "b", 2), op("get", "b", 3, 4), op("get", "a", 5, 6)],
    "an unknown write seen before it was sent": [op("get", "b", 0, 1), op("set", "b", 2)],
    "two increments with one answer": [op("incr", 1, 0, 10), op("incr", 1, 0, 10)],
    "a lost increment": [op("incr", 1, 0, 1), op("incr", 2, 2, 3), op("get", 1, 4, 5)],
    "an increment counted twice": [op("incr", 1, 0, 1), op("get", 2, 2, 3)],
    "more counted than was sent": [op("incr", None, 0), op("incr", None, 1), op("get", 3, 2, 3)],
    "an increment that skips": [op("incr", 1, 0, 1), op("incr", 3, 2, 3)],
    "a stale read deep inside a long history":
        [op("set", "v%d" % i, 10 * i, 10 * i + 1) for i in range(300)] +
        [op("get", "v%d" % (i - (i == 200)), 10 * i + 2, 10 * i + 3) for i in range(300)],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_possible_history_is_accepted(name):
    """What one copy of the data could have answered passes."""
    check_history(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_an_impossible_history_is_refused(name):
    """The canary: each of these must fail, or the checker checks nothing."""
    with pytest.raises(NotLinearizable):
        check_history(BAD[name])


def test_a_bad_key_among_good_keys_is_found():
    """Every key is looked at, whatever the others are like."""
    history = [op("set", "a", 0, 1, key="k%d" % i) for i in range(20)]
    history.append(op("get", None, 5, 6, key="k17"))
    with pytest.raises(NotLinearizable, match="k17"):
        check_history(history)


def _possible_by_brute_force(operations):
    """Tries every order and every subset of the unknown ones."""
    unknown = [o for o in operations if o.unknown]
    known = [o for o in operations if not o.unknown]
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            for order in itertools.permutations(known + list(chosen)):
                if _is_valid_order(order):
                    return True
    return False


def _is_valid_order(order):
    state = None
    for i, operation in enumerate(order):
        if any(later.end < operation.call for later in order[i + 1:]):
            return False
        if operation.kind == "set":
            state = operation.value
        elif operation.kind == "incr":
            state = int(state or 0) + 1
            if not operation.unknown and operation.value != state:
                return False
        elif operation.value != state:
            return False
    return True


@pytest.mark.parametrize("kind", ["set", "incr"])
def test_small_random_histories_agree_with_brute_force(kind):
    """On thousands of random histories the verdict is that of trying every order."""
    source = random.Random(17)
    verdicts = {True: 0, False: 0}
    for _ in range(1500):
        operations = []
        for _ in range(source.randint(1, 6)):
            call = source.randint(0, 12)
            end = math.inf if source.random() < 0.2 else call + source.randint(1, 5)
            chosen = source.choice([kind, "get"])
            if chosen == "get" and end == math.inf:
                continue
            if kind == "incr":
                value = source.choice([None, 1, 2, 3]) if chosen == "get" else source.randint(1, 3)
            else:
                value = source.choice(["a", "b", None]) if chosen == "get" else source.choice(["a", "b"])
            operations.append(op(chosen, value, call, end))
        expected = _possible_by_brute_force(operations)
        assert (check_key(operations) is None) == expected, operations
        verdicts[expected] += 1
    assert min(verdicts.values()) > 100, "both verdicts must be common, or nothing is compared"
