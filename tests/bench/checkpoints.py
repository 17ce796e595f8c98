"""checkpoints.py: load across checkpoints: the p99 of a mix beside and outside them, and that of Redis.

Three nodes and 50 clients, nine GETs to one SET of 1,000 bytes (of 100-byte values a checkpoint would come far more seldom). kvd
and Redis take turns, round by round: a turn of kvd lasts until the leader has completed a checkpoint, one of Redis about as
long. Every tenth of a second of kvd's is put to one side or the other: across when any of the three nodes was writing a
checkpoint, for they share the disk here. Both sides are compared with Redis of the same round; a round in which one of them
saw nothing is not counted.
"""
import dataclasses
import os
import time

import charts
from loads import BenchError, Load, OwnLoadRunning, SLICE_S, quantile_ms
from resp import Connection
from systems import running, wait_until

# What a checkpoint may take at most: that much log at a tenth of a slow machine's rate, and the writing.
LOG_BYTES_PER_SECOND_LEAST = 256 << 10
WRITING_SECONDS_MAX = 300
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

    def wait_for(self, count, load, checkpoint_bytes):
        """Until the first node has completed so many more, one for each `checkpoint_bytes` of log."""
        seconds_max = patience_s(count, checkpoint_bytes)
        wanted, deadline = self.look() + count, time.monotonic() + seconds_max
        while self.look() < wanted:
            load.check()
            if time.monotonic() > deadline:
                raise BenchError("%d checkpoints: not within %d s" % (count, seconds_max))
            time.sleep(0.02)

    def finish(self):
        """What is still being written when the load has ended counts as well."""
        self.look()
        self.times += [(begun, time.monotonic()) for begun in self.begun if begun is not None]

    def is_across(self, one):
        """A slice of load that has a part in a checkpoint."""
        return any(begun < one.begun + SLICE_S and ended > one.begun for begun, ended in self.times)


def leader_first(kvd):
    leader = kvd.leader()
    return [leader] + [node for node in kvd.cluster.nodes if node is not leader]


def patience_s(count, checkpoint_bytes):
    return count * (checkpoint_bytes / LOG_BYTES_PER_SECOND_LEAST + WRITING_SECONDS_MAX)


def wait_for_rest(kvd):
    """No node writes a checkpoint: it would be in the other system's turn."""
    wait_until("the checkpoints of all nodes to end", WRITING_SECONDS_MAX,
               lambda: all(kvd.info(node).get("checkpoint_in_progress") == "0" for node in kvd.cluster.nodes))


def run_across(kvd, load, count, checkpoint_bytes):
    """(Result, slices, watch) of a load over so many checkpoints of the leader."""
    with CheckpointWatch(leader_first(kvd)) as watch, OwnLoadRunning(kvd.options.build, kvd.port(), load) as running:
        watch.wait_for(count, running, checkpoint_bytes)
        result, slices = running.stop()
        watch.finish()
    wait_for_rest(kvd)
    return result, slices, watch


@dataclasses.dataclass
class Turn:
    """Of kvd."""
    slices: list
    times: list      # (begun, ended) of the checkpoints
    across: list     # slices
    outside: list

    @property
    def seconds(self):
        return len(self.slices) * SLICE_S


def run(bench):
    level = bench.level
    with running(["kvd", "redis"], os.path.join(bench.directory, "checkpoints"), bench.options, bench.say,
                 settings={"checkpoint-log-bytes": level.mixed_checkpoint_bytes}) as systems:
        if not any(system.name == "kvd" for system in systems):
            return
        for system in systems:
            system.prepare(LOAD)
        turns = []
        for number in range(1, (bench.options.rounds or level.mixed_rounds) + 1):
            p99 = None
            for system in systems if number % 2 else systems[::-1]:  # kvd begins: how long Redis takes is known from it
                if system.name == "kvd":
                    turns.append(turn_of_kvd(bench, system, number))
                else:
                    p99 = p99_of_redis(bench, system, number, min(turns[-1].seconds, REDIS_SECONDS_MAX))
            note(bench, number, turns[-1], p99)
        chart(bench, turns)


def turn_of_kvd(bench, kvd, number):
    turns = []

    def turn():
        result, slices, watch = run_across(kvd, LOAD, 1, bench.level.mixed_checkpoint_bytes)
        turns.append(Turn(slices, watch.times, [one for one in slices if watch.is_across(one)],
                          [one for one in slices if not watch.is_across(one)]))
        return result

    wait_for_rest(kvd)
    bench.book.take("checkpoints", "mix-50-v1000", number, kvd, LOAD, turn)
    return turns[-1]


def p99_of_redis(bench, redis, number, seconds):
    return bench.book.take("checkpoints", "mix-50-v1000", number, redis, LOAD, lambda: redis.run(LOAD, seconds)).result.p99


def note(bench, number, turn, p99_of_redis):
    """A round."""
    if not turn.across or not turn.outside:
        bench.say("round %d is not counted: nothing was seen %s checkpoints" % (number, "outside" if turn.across else "across"))
        return
    for name, side in (("across", turn.across), ("outside", turn.outside)):
        p99 = quantile_ms(side, 0.99)
        bench.book.note("checkpoints", "mix p99 %s checkpoints" % name, "kvd", number, p99, "ms")
        bench.say("round %d, %s checkpoints: p99 %.3f ms%s, %s/s in %.1f s of load" % (
            number, name, p99, ", %.2f times Redis'" % (p99 / p99_of_redis) if p99_of_redis else "",
            format(round(sum(one.requests for one in side) / len(side) / SLICE_S), ","), len(side) * SLICE_S))
    if p99_of_redis:
        bench.book.note("checkpoints", "mix p99 of Redis", "redis", number, p99_of_redis, "ms")


def chart(bench, turns):
    """kvd's turns, joined."""
    points, marks, at = [], [], 0
    for turn in turns:
        begun = turn.slices[0].begun
        points += [(at + one.begun - begun, quantile_ms([one], 0.99)) for one in turn.slices]
        marks += [(max(at, at + a - begun), min(at + turn.seconds, at + b - begun)) for a, b in turn.times]
        at += turn.seconds
    bench.chart(charts.lines, "checkpoints",
                "90/10, 50 clients, 1,000 bytes: p99 of each 0.1 s, turns joined (shaded: a checkpoint)",
                "seconds", "ms", {"kvd": points}, marks=marks, is_log_y=True)
