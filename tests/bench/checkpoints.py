"""checkpoints.py: load across checkpoints: the p99 of a mix beside and outside them.

Three nodes and 50 clients, nine GETs to one SET of 1,000 bytes (with 100-byte values a checkpoint would come every two
minutes), until so many checkpoints are through on the leader. Every tenth of a second of the load is put to one side or
the other: across when any of the three nodes was writing one, for they share the disk here. Redis has the same load.
"""
import os
import time

import charts
from loads import BenchError, Load, OwnLoadRunning, SLICE_S, quantile_ms
from resp import Connection
from systems import running

PATIENCE_S = 600
REDIS_SECONDS_MAX = 20
LOAD = Load("mix", 50, 1, 1000)


class CheckpointWatch:
    """Asks the nodes again and again whether they write a checkpoint. In a `with` statement."""

    def __init__(self, nodes):
        self.connections = [Connection(node.address, 10) for node in nodes]
        self.begun = [None] * len(nodes)
        self.totals = [None] * len(nodes)
        self.times = []  # (begun, ended) of each that was seen, on any node

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()

    def look(self):
        """The checkpoints that the first node has completed."""
        for i, connection in enumerate(self.connections):
            now = time.monotonic()
            text = connection.command("INFO", "persistence").decode()
            fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            total = int(fields["checkpoints_total"])
            if self.begun[i] is not None and (fields["checkpoint_in_progress"] == "0" or total > self.totals[i]):
                self.times.append((self.begun[i], now))
                self.begun[i] = None
            elif self.totals[i] is not None and total > self.totals[i]:  # too short to be seen
                self.times.append((now - 0.05, now))
            if fields["checkpoint_in_progress"] == "1" and self.begun[i] is None:
                self.begun[i] = now
            self.totals[i] = total
        return self.totals[0]

    def wait_for(self, count, load):
        """Until the first node has completed so many more."""
        wanted, deadline = self.look() + count, time.monotonic() + PATIENCE_S
        while self.look() < wanted:
            load.check()
            if time.monotonic() > deadline:
                raise BenchError("%d checkpoints: not within %d s" % (count, PATIENCE_S))
            time.sleep(0.02)

    def is_across(self, one):
        """A slice of load that has a part in a checkpoint."""
        return any(begun < one.begun + SLICE_S and ended > one.begun for begun, ended in self.times)


def leader_first(kvd):
    leader = kvd.leader()
    return [leader] + [node for node in kvd.cluster.nodes if node is not leader]


def run_across(kvd, load, count):
    """(Result, slices, watch) of a load over so many checkpoints of the leader."""
    with CheckpointWatch(leader_first(kvd)) as watch, OwnLoadRunning(kvd.options.build, kvd.port(), load) as running:
        watch.wait_for(count, running)
        result, slices = running.stop()
        watch.look()
    return result, slices, watch


def run(bench):
    with running(["kvd", "redis"], os.path.join(bench.directory, "checkpoints"), bench.options, bench.say,
                 settings={"checkpoint-log-bytes": bench.level.checkpoint_bytes}) as systems:
        for system in systems:
            system.prepare(LOAD)
            begun = time.monotonic()
            if system.name == "kvd":
                measure_kvd(bench, system)
                kvd_seconds = time.monotonic() - begun
            else:
                seconds = min(kvd_seconds, REDIS_SECONDS_MAX)
                taken = bench.book.take("checkpoints", "mix-50-v1000", 1, system, LOAD, lambda: system.run(LOAD, seconds))
                bench.book.note("checkpoints", "mix p99 of Redis", "redis", 1, taken.result.p99, "ms")


def measure_kvd(bench, kvd):
    seen = []

    def across():
        result, slices, watch = run_across(kvd, LOAD, bench.level.mixed_checkpoints)
        seen.append((slices, watch))
        return result

    bench.book.take("checkpoints", "mix-50-v1000", 1, kvd, LOAD, across)
    slices, watch = seen[-1]
    sides = {True: [], False: []}
    for one in slices:
        sides[watch.is_across(one)].append(one)
    for is_across, name in ((True, "across"), (False, "outside")):
        side = sides[is_across]
        if not side:
            bench.say("%s checkpoints: nothing was seen" % name)
            continue
        p99 = quantile_ms(side, 0.99)
        bench.book.note("checkpoints", "mix p99 %s checkpoints" % name, "kvd", 1, p99, "ms")
        bench.say("%s checkpoints: p99 %.3f ms, %s/s in %.1f s of load" % (
            name, p99, format(round(sum(one.requests for one in side) / len(side) / SLICE_S), ","), len(side) * SLICE_S))
    start = slices[0].begun
    bench.chart(charts.lines, "checkpoints", "90/10, 50 clients, 1,000 bytes: p99 of each 0.1 s (shaded: a checkpoint)",
                "seconds", "ms", {"kvd": [(one.begun - start, quantile_ms([one], 0.99)) for one in slices]},
                marks=[(a - start, b - start) for a, b in watch.times], is_log_y=True)
