"""catch_up.py: how fast a node that was away gets what it missed.

A follower is killed, 50 clients write with a pipeline of 16 for some seconds, and it is started again: the rate is what it
missed over the time from its start until it has applied all of it. From the log, with nobody writing and with 50 clients
that write meanwhile; and by a snapshot, where the log is cut short.
"""
import os
import time

from kvd_cluster import wait_until
from loads import Load, OwnLoadRunning, own_load
from systems import running

PATIENCE_S = 300
WHILE_AWAY = Load("set", 50, 16, 100, 1000000)
MEANWHILE = Load("set", 50, 1, 100, 1000000)


def catch_up(bench, kvd, is_under_load):
    """(writes missed, seconds, whether it came by a snapshot)."""
    node = kvd.cluster.followers()[0]
    node.kill9()
    missed = own_load(bench.options.build, kvd.port(), WHILE_AWAY, seconds=bench.level.away_seconds).requests
    leader = kvd.leader()

    def until_applied():
        last = leader.status()["commit_index"]
        begun = time.monotonic()
        node.start()
        wait_until(lambda: (node.status() or {}).get("applied_index", 0) >= last, PATIENCE_S, "the node to catch up")
        return time.monotonic() - begun

    if is_under_load:
        with OwnLoadRunning(bench.options.build, leader.client_port, MEANWHILE) as running:
            seconds = until_applied()
            running.check()
    else:
        seconds = until_applied()
    kvd.cluster.wait_until_all_follow()
    return missed, seconds, "snapshot" in node.last_log()


def run(bench):
    for manner, is_under_load, settings in (
            ("from the log", False, {}),
            ("from the log, under load", True, {}),
            ("by a snapshot", False, {"log-tail-bytes": "1MiB", "checkpoint-log-bytes": "1MiB"})):
        directory = os.path.join(bench.directory, "catch-up-" + manner.replace(" ", "-").replace(",", ""))
        with running(["kvd"], directory, bench.options, bench.say, settings={"log-level": "info", **settings}) as systems:
            for kvd in systems:
                measure(bench, kvd, manner, is_under_load)


def measure(bench, kvd, manner, is_under_load):
    missed, seconds, by_snapshot = catch_up(bench, kvd, is_under_load)
    if by_snapshot != ("snapshot" in manner):
        manner += " (but it came %s)" % ("by a snapshot" if by_snapshot else "from the log")
    bench.book.note("catch-up", manner, "kvd", 1, missed / seconds, "writes/s")
    bench.say("catch-up %s: %d writes of 100 bytes in %.2f s, %s a second" % (
        manner, missed, seconds, format(round(missed / seconds), ",")))
