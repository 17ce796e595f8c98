"""failover.py: how long clients cannot write: after kill -9 of the leader, and when it is told to end.

Four clients write all the time, each the next key as soon as the last is acknowledged and a millisecond has passed; they
follow redirects and go to another node when a connection breaks. kill -9: from the signal to the first write that is
acknowledged after the process is gone. SIGTERM: the longest time around it in which no client was told OK. At the end every
acknowledged write must be on every node.
"""
import os
import statistics
import time

import charts
from kvd_cluster import wait_until
from measurements import quantile
from systems import running
from workload import WriterLoad

CLIENTS = 4


def caught_up(cluster, node):
    last = cluster.wait_for_leader().status()["commit_index"]
    wait_until(lambda: (node.status() or {}).get("applied_index", 0) >= last, 60, "the node to catch up")
    cluster.wait_until_all_follow()


def describe(what, seconds):
    return "%s: median %.3f s, p90 %.3f s, p99 %.3f s, max %.3f s of %d" % (
        what, statistics.median(seconds), quantile(seconds, 0.9), quantile(seconds, 0.99), max(seconds), len(seconds))


def kill_leaders(bench, cluster, load):
    times = []
    for number in range(1, bench.level.faults + 1):
        leader = cluster.wait_for_leader()
        time.sleep(0.1)
        begun = time.monotonic()
        leader.kill9()
        times.append(load.wait_for_success(time.monotonic(), wait_until) - begun)
        bench.book.note("failover", "kill -9", "kvd", number, times[-1], "s")
        leader.start()
        caught_up(cluster, leader)
    return times


def hand_over(bench, cluster, load):
    moments = []
    for number in range(1, bench.level.faults + 1):
        leader = cluster.wait_for_leader()
        time.sleep(0.2)
        moments.append(time.monotonic())
        leader.terminate()
        assert leader.wait_exit() == 0
        load.wait_for_success(time.monotonic(), wait_until)
        moments.append(time.monotonic())  # what follows is the node's return
        leader.start()
        caught_up(cluster, leader)
    gaps = load.gaps_around(moments)[::2]
    for number, gap in enumerate(gaps, 1):
        bench.book.note("failover", "SIGTERM, longest gap", "kvd", number, gap, "s")
    return gaps


def run(bench):
    with running(["kvd"], os.path.join(bench.directory, "failover"), bench.options, bench.say) as systems:
        for kvd in systems:
            measure(bench, kvd.cluster)


def measure(bench, cluster):
    with WriterLoad(cluster.addresses(), clients=CLIENTS, pause=0.001).start() as load:
        load.wait_for_success(0, wait_until)
        calm = time.monotonic()
        time.sleep(1)
        calm_gap = load.gaps_around([calm])[0]
        kills = kill_leaders(bench, cluster, load)
        gaps = hand_over(bench, cluster, load)
    load.verify_everywhere(cluster)
    bench.book.note("failover", "longest gap of a calm second", "kvd", 1, calm_gap, "s")
    bench.say(describe("kill -9 of the leader to the next acknowledged write", kills))
    bench.say(describe("SIGTERM of the leader, longest gap", gaps) + "; of a calm second: %.3f s" % calm_gap)
    bench.say("%d acknowledged writes, all there; %d of unknown outcome" % (load.acknowledged_count(), load.unknown_count()))
    bench.chart(charts.distribution, "failover", "time without an acknowledged write", "seconds",
                {"kill -9 of the leader": kills, "SIGTERM of the leader": gaps})
