"""sizes.py: what the number of keys changes: SET and GET, uniform and Zipfian; start-up; sustained writing.

One cluster grows from size to size; at each it is measured beside a Redis with the same keys, and its nodes are started
after a clean stop and after kill -9 (start.py). At the largest, writing that goes on across checkpoints takes turns with a
cluster of few keys: a turn runs from the end of one checkpoint of the leader to the end of another.
"""
import os
import time

import charts
import resources
import start
from checkpoints import leader_first, run_across
from loads import SLICE_S, Load
from measurements import run_cells
from plan import Cell
from systems import running

VALUE_BYTES = 100
SUSTAINED = dict(operation="set", clients=50, pipeline=16, value_bytes=VALUE_BYTES)
# What a key of 16 bytes with its value takes at most, here: three maps and logs on disk, Redis' memory and file.
DISK_PER_KEY = 3000
MEMORY_PER_KEY = 300


def key_count(size):
    return {10 ** 4: "10^4", 10 ** 6: "10^6", 10 ** 7: "10^7"}.get(size, format(size, ","))


def cells_of(size, rounds):
    loads = [Load(operation, 50, 1, VALUE_BYTES, size, distribution)
             for operation in ("set", "get") for distribution in ("uniform", "zipfian")]
    return [Cell("%s-50-k%d-%s" % (load.operation, size, load.distribution),
                 "%s, %s, %s" % (load.operation.upper(), key_count(size), load.distribution), load, {None: rounds})
            for load in loads]


def has_room(bench, size):
    disk, memory = resources.free_disk_bytes(bench.directory), resources.available_memory_bytes()
    if disk > size * DISK_PER_KEY and memory > size * MEMORY_PER_KEY:
        return True
    bench.say("not measured: %d keys: they may need %d GiB of disk and %d GiB of memory" % (
        size, size * DISK_PER_KEY >> 30, size * MEMORY_PER_KEY >> 30))
    return False


def grow(bench, system, size):
    begun = time.monotonic()
    system.fill(size, VALUE_BYTES)
    seconds = time.monotonic() - begun
    bench.say("%s holds %s keys after %.1f s" % (system.title, key_count(size), seconds))
    bench.book.note("sizes", "fill, %d keys by MSET" % size, system.name, 1, size / seconds, "keys/s")
    system.settle()


def run(bench):
    directory = os.path.join(bench.directory, "sizes")
    settings = {"checkpoint-log-bytes": bench.level.checkpoint_bytes}
    with running(["kvd"], directory, bench.options, bench.say, settings=settings) as systems:
        for kvd in systems:
            with running(["redis"], directory, bench.options, bench.say) as others:
                sizes = by_size(bench, kvd, others)
            if len(sizes) > 1:
                sustained(bench, kvd, sizes[0], sizes[-1], directory, settings)


def by_size(bench, kvd, others):
    """The sizes for which there was room."""
    systems, cells, sizes, started = [kvd, *others], [], [], {}
    for size in bench.level.sizes:
        if not has_room(bench, size):
            break
        sizes.append(size)
        for system in systems:
            system.uses_own_load = True
            grow(bench, system, size)
            system.filled = (size, VALUE_BYTES)
        here = cells_of(size, bench.level.rounds if bench.level.is_full else 1)
        cells += here
        run_cells(bench.book, "sizes", here, systems, bench.level.seconds)
        for manner, seconds in start.measure(bench, kvd, size, is_largest=size == bench.level.sizes[-1]).items():
            started.setdefault(manner, []).append((size, seconds))
    bench.show_cells("By number of keys", "sizes", cells, systems)
    bench.chart(charts.lines, "start", "start-up by number of keys, medians", "keys", "seconds", started, is_log_x=True)
    return sizes


def sustained(bench, many, few_keys, many_keys, directory, settings):
    """Turns of both clusters."""
    with running(["kvd"], os.path.join(directory, "few"), bench.options, bench.say, settings=settings) as (few,):
        few.fill(few_keys, VALUE_BYTES)
        sides = [(few, "few keys", few_keys), (many, "many keys", many_keys)]
        series, checkpoints = {}, bench.level.sustained_checkpoints
        for system, _, keys in sides:  # to the end of a checkpoint
            run_across(system, Load(keys=keys, **SUSTAINED), 1, bench.level.checkpoint_bytes)
        for number in range(1, bench.level.sustained_rounds + 1):
            for system, name, keys in sides if number % 2 else sides[::-1]:
                load, slices = Load(keys=keys, **SUSTAINED), []

                def turn():
                    result, seen, _ = run_across(system, load, checkpoints, bench.level.checkpoint_bytes)
                    slices.extend(seen)
                    return result

                taken = bench.book.take("sustained", "sustained-k%d" % keys, number, system, load, turn)
                bench.book.note("sustained", name, "kvd", number, taken.rps, "requests/s")
                before = series.setdefault("%s keys" % key_count(keys), [])
                at = before[-1][0] + SLICE_S if before else 0
                before += [(at + i * SLICE_S, one.requests / SLICE_S) for i, one in enumerate(slices)]
        for system, name, _ in sides:
            bench.say("%s: the leader's checkpoints: %s" % (name, system.info(leader_first(system)[0])["checkpoints_total"]))
    bench.chart(charts.lines, "sustained", "SET, 50 clients x 16, over checkpoints (its own turns, joined)",
                "seconds of load", "requests per second", series)
