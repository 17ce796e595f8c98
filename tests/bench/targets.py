"""targets.py: what the benchmark should show, beside what it showed.

Ratios are medians of the ratios within each round. A target that was not measured in this run is said to be so.
"""
import dataclasses
import statistics

from measurements import quantile

FLOORS = ("floor-1", "floor-4")


@dataclasses.dataclass
class Target:
    what: str
    against: str
    limit: float
    is_least: bool  # else: the most
    unit: str       # "x" for ratios
    values: list    # one per round, or all
    value: float = None

    def __post_init__(self):
        if self.value is None and self.values:
            self.value = statistics.median(self.values)

    @property
    def is_met(self):
        return None if self.value is None else self.value >= self.limit if self.is_least else self.value <= self.limit

    def row(self):
        """Of one that was measured."""
        measured = {"x": "%.2f x", "s": "%.3f s", "ms": "%.1f ms", "": "%d"}[self.unit] % self.value
        if len(self.values) > 1:
            measured += " (%.3g-%.3g, %d)" % (min(self.values), max(self.values), len(self.values))
        wanted = ("%s %g %s" % ("at least" if self.is_least else "at most", self.limit, self.unit)).rstrip()
        return [self.what, self.against, wanted, measured, "met" if self.is_met else "NOT met"]


def better_floor(book, cell):
    """The one of the two floors with the higher median; None without any."""
    medians = {name: book.median(cell, name, lambda m: m.rps) for name in FLOORS}
    measured = {name: value for name, value in medians.items() if value}
    return max(measured, key=measured.get) if measured else None


def speed_targets(book):
    rows = []
    for cell in ("set-1", "set-10", "set-50", "set-256", "set-50x16"):
        floor = better_floor(book, cell)
        rows.append(Target(cell, "the floor, the better of its two settings", 0.85, True, "x",
                           book.ratios(cell, "kvd", floor) if floor else []))
    for cell, other, name, limit in (
            ("set-50", "redis", "Redis, fsync always", 0.6), ("set-50x16", "redis", "Redis, fsync always", 0.8),
            ("set-50", "etcd", "etcd, three nodes", 5), ("get-50", "redis", "Redis GET", 0.9),
            ("get-50x16", "redis", "Redis GET", 0.5)):
        rows.append(Target(cell, name, limit, True, "x", book.ratios(cell, "kvd", other)))
    rows.append(Target("set-1000", "kvd with 256 clients", 0.8, True, "x",
                       book.ratios("set-1000", "kvd", "kvd", other_cell="set-256")))
    return rows


def checkpoint_targets(book):
    rows = [Target("mix-50, p99 outside checkpoints", "Redis, fsync always", 2, False, "x",
                   book.ratios("mix-50", "kvd", "redis", lambda m: m.result.p99))]
    for where, limit in (("outside", 2), ("across", 4)):
        rows.append(Target("mix-50 of 1,000 bytes, p99 %s checkpoints" % where, "Redis, fsync always", limit, False, "x",
                           book.event_ratios("checkpoints", "mix p99 %s checkpoints" % where, "mix p99 of Redis", "redis")))
    rows.append(Target("sustained SET, many keys, over checkpoints", "with few keys", 0.4, True, "x",
                       book.event_ratios("sustained", "many keys", "few keys")))
    return rows


def time_targets(book):
    starts = book.values("start", "most keys, killed: acknowledges")
    kills, hand_overs = book.values("failover", "kill -9"), book.values("failover", "SIGTERM, longest gap")
    return [
        Target("start after kill -9 under load, most keys", "-", 1.0, False, "s", starts),
        Target("failover after kill -9, median", "-", 0.2, False, "s", kills),
        Target("failover after kill -9, p99", "-", 0.8, False, "s", kills, quantile(kills, 0.99) if kills else None),
        Target("planned hand-over, longest gap: median", "-", 50, False, "ms", [1000 * gap for gap in hand_overs]),
        Target("planned hand-over, longest gap: p99", "-", 50, False, "ms", [1000 * gap for gap in hand_overs],
               1000 * quantile(hand_overs, 0.99) if hand_overs else None),
        Target("changes of role in %g minutes of full load" % sum(book.values("elections", "minutes of full load")), "-", 0,
               False, "", book.values("elections", "role changes")),
    ]


def all_targets(book):
    return speed_targets(book) + checkpoint_targets(book) + time_targets(book)
