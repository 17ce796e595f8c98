"""plan.py: how much is measured: the cells, and the sizes of everything, for --quick, the default and --full.

A cell is one load on several systems. `rounds` says how often each system takes its turn in it: cells that a target rests
on five times, cells that only show a shape once.
"""
import dataclasses

from loads import Load

MARKS = ("kvd", "redis", "floor-1", "floor-4", "floor-4-no-sync")
VALUE_SIZES = [16, 1000, 10000, 100000]  # and 100, which the other cells have
VALUE_BYTES_IN_ALL = 10 ** 8  # large values have fewer keys


@dataclasses.dataclass(frozen=True)
class Cell:
    name: str
    title: str
    load: Load
    rounds: dict  # system -> rounds; others: the entry for None

    def rounds_of(self, system):
        return self.rounds.get(system, self.rounds.get(None, 0))


@dataclasses.dataclass(frozen=True)
class Level:
    rounds: int              # of cells with a target
    seconds: float           # about how long a run of a cell takes
    is_full: bool
    sizes: tuple             # numbers of keys
    sustained_rounds: int    # turns of both clusters, each over so many checkpoints
    sustained_checkpoints: int
    checkpoint_bytes: int    # checkpoint-log-bytes of the part sizes; by default kvd's own
    mixed_rounds: int        # turns of the mix of the part checkpoints, each over one checkpoint
    mixed_checkpoint_bytes: int  # checkpoint-log-bytes there: less than kvd's own but in --full, for shorter turns
    faults: int              # leaders killed, and leaders told to end
    starts: int              # per size and manner
    away_seconds: float      # load while a node is away
    memory_mib: int          # of each node in the part with little memory (under 100 kvd itself does not fit) ...
    memory_times: float      # ... and so many times that is the data
    memory_seconds: float
    clients: int             # of the part with very many
    rates: tuple             # of the open loop, shares of what the closed loop reached
    election_seconds: float  # of full load in which nobody may campaign


QUICK = Level(rounds=1, seconds=0.4, is_full=False, sizes=(1000, 10000), sustained_rounds=1, sustained_checkpoints=1,
              checkpoint_bytes=1 << 20, mixed_rounds=1, mixed_checkpoint_bytes=4 << 20, faults=2, starts=1, away_seconds=1,
              memory_mib=128, memory_times=1.3, memory_seconds=1, clients=2000, rates=(0.5,), election_seconds=3)
DEFAULT = Level(rounds=5, seconds=1.5, is_full=False, sizes=(10 ** 4, 10 ** 6, 10 ** 7), sustained_rounds=5,
                sustained_checkpoints=1, checkpoint_bytes=256 << 20, mixed_rounds=5, mixed_checkpoint_bytes=64 << 20,
                faults=50, starts=5, away_seconds=8, memory_mib=256, memory_times=3, memory_seconds=5, clients=10000,
                rates=(0.25, 0.5, 0.75, 0.9), election_seconds=60)
FULL = dataclasses.replace(DEFAULT, seconds=3.0, is_full=True, sustained_checkpoints=5, mixed_checkpoint_bytes=256 << 20,
                           away_seconds=30, memory_mib=512, memory_seconds=20, election_seconds=3600)


def cell_name(load):
    name = "%s-%d%s" % (load.operation, load.clients, "x%d" % load.pipeline if load.pipeline > 1 else "")
    return name + ("-v%d" % load.value_bytes if load.value_bytes != 100 else "")


def cell_title(load):
    clients = "%d client%s" % (load.clients, "" if load.clients == 1 else "s")
    pipeline = " x %d" % load.pipeline if load.pipeline > 1 else ""
    return clients + pipeline if load.value_bytes == 100 else "%d bytes%s" % (load.value_bytes, pipeline)


def cell(load, rounds):
    return Cell(cell_name(load), cell_title(load), load, rounds)


def base_cells(level):
    """100-byte values: operations, clients, pipelines."""
    with_marks = {name: level.rounds for name in MARKS}
    to_redis = {"kvd": level.rounds, "redis": level.rounds}
    cells = []
    for operation in ("set", "get", "mix"):
        for pipeline in (1, 16):
            for clients in (1, 10, 50, 256, 1000):
                load = Load(operation, clients, pipeline)
                has_target = (operation, clients, pipeline) in TARGETED
                if level.is_full:
                    rounds = {None: level.rounds}
                elif has_target:
                    rounds = {None: 1, **(with_marks if operation == "set" and clients < 1000 else to_redis)}
                    if (operation, clients, pipeline) == ("set", 50, 1):
                        rounds["etcd"] = level.rounds
                elif pipeline == 1 and operation != "mix" or (clients, pipeline) == (50, 16):
                    rounds = {None: 1}
                else:
                    continue
                cells.append(cell(load, rounds))
    return cells


# What the targets of targets.py rest on.
TARGETED = {("set", 1, 1), ("set", 10, 1), ("set", 50, 1), ("set", 256, 1), ("set", 1000, 1), ("set", 50, 16),
            ("get", 50, 1), ("get", 50, 16), ("mix", 50, 1)}


def value_cells(level):
    pipelines = (1, 16) if level.is_full else (1,)
    rounds = level.rounds if level.is_full else 1
    return [cell(Load(operation, 50, pipeline, value_bytes=size, keys=min(100000, VALUE_BYTES_IN_ALL // size)), {None: rounds})
            for size in VALUE_SIZES for operation in ("set", "get") for pipeline in pipelines]


QUICK_CELLS = ("set-1", "set-50", "get-50", "set-50x16", "mix-50")


def cells_of(level):
    """{part: cells}. --quick takes a few of each."""
    parts = {"cells": base_cells(level), "values": value_cells(level)}
    if level is QUICK:
        parts["cells"] = [c for c in parts["cells"] if c.name in QUICK_CELLS]
        parts["values"] = [c for c in parts["values"] if c.load.value_bytes == 10000]
    return parts


def all_cells():
    return {c.name: c for part in (base_cells(FULL), value_cells(FULL)) for c in part}
