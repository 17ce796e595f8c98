"""measurements.py: one run of a load on a system, what it cost, and the rows of the two CSV files.

measurements.csv has a row per run, COLUMNS; events.csv a row per single figure of the parts that are not runs of a load:
part, what, system, number, value, unit.
"""
import csv
import dataclasses
import math
import os
import statistics
import sys

from loads import BenchError

ATTEMPTS = 3
MIB = 1 << 20
COLUMNS = ["part", "cell", "round", "system", "generator", "operation", "clients", "pipeline", "value_bytes", "keys",
           "distribution", "requests", "seconds", "rps", "p50_ms", "p99_ms", "p999_ms", "max_ms", "missing",
           "cpu_seconds_per_million", "written_bytes_per_write", "anonymous_bytes", "resident_bytes", "checkpoints"]
EVENT_COLUMNS = ["part", "what", "system", "number", "value", "unit"]


@dataclasses.dataclass
class Measurement:
    part: str
    cell: str
    round: int
    system: str
    load: object
    result: object
    cpu_seconds_per_million: float
    written_bytes_per_write: float  # None where nothing was written
    anonymous_bytes: int
    resident_bytes: int
    checkpoints: int                # completed meanwhile; None where there are none

    @property
    def rps(self):
        return self.result.rps

    def row(self):
        load, result = self.load, self.result
        values = [self.part, self.cell, self.round, self.system, result.generator, load.operation, load.clients, load.pipeline,
                  load.value_bytes, load.keys, load.distribution, result.requests, result.seconds, result.rps, result.p50,
                  result.p99, result.p999, result.max, result.missing, self.cpu_seconds_per_million,
                  self.written_bytes_per_write, self.anonymous_bytes, self.resident_bytes, self.checkpoints]
        return [round(value, 4) if isinstance(value, float) else "" if value is None else value for value in values]


def per(amount, count):
    return amount / count if count else None


class Book:
    """Everything that was measured in this run of the bench."""

    def __init__(self, say):
        self.say = say
        self.measurements = []
        self.events = []
        self.tried_again = 0

    # ---- taking ----

    def take(self, part, cell, round_number, system, load, run):
        """`run()` makes the load and returns its Result; what the system spent meanwhile is noted with it. Tried again when
        a run fails, for a change of leader, say: worth knowing, not worth the whole bench."""
        for attempt in range(ATTEMPTS):
            try:
                system.port()
                before, checkpoints = system.usage(), system.checkpoints()
                result = run()
                after, checkpoints_after = system.usage(), system.checkpoints()
                break
            except BenchError as error:
                system.check_alive()
                self.tried_again += 1
                self.say("%s %s: %s" % (cell, system.title, error))
                if attempt == ATTEMPTS - 1:
                    raise
        measurement = Measurement(
            part, cell, round_number, system.name, load, result,
            per((after.cpu_seconds - before.cpu_seconds) * 1e6, result.requests),
            per(after.written_bytes - before.written_bytes, result.requests * load.writes_share),
            after.anonymous_bytes, after.resident_bytes,
            None if checkpoints is None or checkpoints_after is None else checkpoints_after - checkpoints)
        self.measurements.append(measurement)
        system.settle()
        self.say("%-22s %-20s %10s/s   p50 %8.3f  p99 %8.3f  p99.9 %8.3f ms%s" % (
            cell, system.title, format(round(result.rps), ","), result.p50, result.p99, result.p999,
            "   %d reads found nothing" % result.missing if result.missing else ""))
        return measurement

    def note(self, part, what, system, number, value, unit):
        self.events.append([part, what, system, number, value, unit])

    # ---- asking ----

    def of(self, cell, system, part=None):
        return [m for m in self.measurements if m.cell == cell and m.system == system and part in (None, m.part)]

    def median(self, cell, system, get):
        """The median of get(measurement); None where there is none."""
        values = [value for value in map(get, self.of(cell, system)) if value is not None]
        return statistics.median(values) if values else None

    def ratios(self, cell, system, other, get=lambda m: m.rps, other_cell=None):
        """Round by round, for what changes with the minute changes for both."""
        theirs = {m.round: get(m) for m in self.of(other_cell or cell, other)}
        return [get(m) / theirs[m.round] for m in self.of(cell, system) if theirs.get(m.round)]

    def values(self, part, what, system="kvd"):
        return [value for p, w, s, _, value, _ in self.events if (p, w, s) == (part, what, system)]

    def event_ratios(self, part, what, other, other_system="kvd"):
        """As ratios(), of single figures: `what` of kvd to `other` of the other system with the same number."""
        theirs = {number: value for p, w, s, number, value, _ in self.events if (p, w, s) == (part, other, other_system)}
        return [value / theirs[number] for p, w, s, number, value, _ in self.events
                if (p, w, s) == (part, what, "kvd") and theirs.get(number)]

    # ---- keeping ----

    def write(self, directory, measurements_path=None):
        os.makedirs(directory, exist_ok=True)
        for path, columns, rows in (
                (measurements_path or os.path.join(directory, "measurements.csv"), COLUMNS, [m.row() for m in self.measurements]),
                (os.path.join(directory, "events.csv"), EVENT_COLUMNS, self.events)):
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(rows)


def progress(text):
    print("  " + text, file=sys.stderr, flush=True)


def run_cells(book, part, cells, systems, seconds, rounds=None):
    """All cells, round by round, the systems in an order that rotates. `rounds` overrides the cells' own."""
    def wanted(cell, system):
        if not system.supports(cell.load):
            return 0
        return rounds if rounds and cell.rounds_of(system.name) else cell.rounds_of(system.name)

    most = max((wanted(cell, system) for cell in cells for system in systems), default=0)
    for number in range(1, most + 1):
        for i, cell in enumerate(cells):
            shift = (number - 1 + i) % len(systems)
            for system in systems[shift:] + systems[:shift]:
                if number <= wanted(cell, system):
                    system.prepare(cell.load)
                    book.take(part, cell.name, number, system, cell.load,
                              lambda system=system, cell=cell: system.run(cell.load, seconds))


def quantile(values, share):
    """The smallest of the values that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
