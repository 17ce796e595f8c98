"""Members that are too far behind get a snapshot, in real processes: whole, under load, with kills in the middle."""

import glob
import os
import time

import pytest

from growing import Growing
from kvd_cluster import STEADY, wait_until
from small_disk import SmallDisk, why_not
from test_failover import report, wait_until_caught_up
from workload import WriterLoad, describe_times

# A log that is short, so that being away for a moment is too long.
SHORT_LOG = {"log-tail-bytes": 1 << 20, "checkpoint-log-bytes": 256 << 10, "checkpoint-idle": "200ms"}


def fill(node, keys, first=0, value_bytes=1000):
    """Keys of a size, by MSET, on the leader."""
    value = "x" * value_bytes
    with node.connect() as connection:
        for start in range(first, first + keys, 100):
            pairs = [word for i in range(start, min(start + 100, first + keys))
                     for word in ("key:%d" % i, "%d:%s" % (i, value))]
            assert connection.command("MSET", *pairs) == "OK"


def leave_behind(cluster, node, keys=4000):
    """The node is killed, and what it needs is dropped by all others."""
    last = node.status()["last_index"]
    node.kill9()
    written = [keys]

    def is_compacted():
        leader = cluster.leader()
        fill(leader, 200, first=written[0])
        written[0] += 200
        return all(other.status()["first_index"] > last + 1 for other in cluster.running)

    fill(cluster.leader(), keys)
    wait_until(is_compacted, 60, "compaction", interval=0.2)
    return written[0]


def maps_of(node):
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(node.directory, "map-*")))


@pytest.mark.seconds(200)
@pytest.mark.tsan
def test_a_member_that_was_away_beyond_the_log_catches_up_by_a_snapshot(capsys):
    """Clients notice nothing; what is left of the old map goes away; the next start is an ordinary one."""
    with Growing(3, 3, dict(SHORT_LOG, **STEADY)) as cluster:
        cluster.start()
        away = cluster.followers()[0]
        keys = leave_behind(cluster, away)
        with WriterLoad(cluster.addresses(), clients=2).start() as load:
            load.wait_for_success(0, wait_until)
            moment = time.monotonic()
            away.start()
            wait_until(lambda: "event=snapshot-installed" in away.last_log(), 60, "the snapshot")
            wait_until_caught_up(cluster, away)
            took = time.monotonic() - moment
            load.wait_for_success(time.monotonic(), wait_until)
        cluster.wait_until_equal()
        for node in cluster.nodes:
            load.verify_on(node)
        assert away.read("GET", "key:%d" % (keys - 1)).startswith(b"%d:" % (keys - 1))
        wait_until(lambda: maps_of(away) == ["map-2"], 20, "one map alone; there are %r" % maps_of(away))
        report(capsys, "%d keys, caught up after %.2f s" % (keys, took))
        report(capsys, describe_times("time without a successful write", load.gaps_around([moment])))
        away.kill9()
        away.start()
        wait_until_caught_up(cluster, away)
        assert "event=snapshot-loading" not in away.last_log()
        cluster.wait_until_equal()


@pytest.mark.seconds(300)
def test_pitfall_12_senders_and_receivers_that_are_killed_in_the_middle_begin_anew(capsys):
    """kill -9 of either side, again and again, while a slow stream is under way."""
    with Growing(3, 3, dict(SHORT_LOG, **{"snapshot-rate": 1 << 20})) as cluster:
        cluster.start()
        away = cluster.followers()[0]
        leave_behind(cluster, away, keys=5000)
        kills = 0
        for number in range(6):
            if not away.running:
                away.start()
            else:
                cluster.restart_all()
            begun = wait_until(lambda: away.last_log().count("event=snapshot-loading"), 60, "a stream")
            time.sleep(0.2 + 0.5 * number % 1.5)
            if "event=snapshot-installed" in away.last_log():
                break
            victim = away if number % 2 == 0 else cluster.leader()
            victim.kill9()
            kills += 1
            if victim is not away:
                victim.start()
                wait_until(lambda b=begun: away.last_log().count("event=snapshot-loading") > b or
                           "event=snapshot-installed" in away.last_log(), 60, "another stream")
        cluster.restart_all()
        wait_until(lambda: "event=snapshot-installed" in away.last_log(), 120, "the snapshot")
        wait_until_caught_up(cluster, away)
        cluster.wait_until_equal()
        assert kills >= 2
        report(capsys, "%d kills" % kills)


@pytest.mark.seconds(200)
def test_a_node_joins_by_a_snapshot_under_load_and_pitfall_14_does_not_loop(capsys):
    """The log that it needs next is kept while it loads, however much is written meanwhile."""
    with Growing(4, 3, dict(SHORT_LOG, **{"snapshot-rate": 2 << 20})) as cluster:
        cluster.start()
        fill(cluster.leader(), 6000)
        wait_until(lambda: fill(cluster.leader(), 100) or cluster.leader().status()["first_index"] > 5, 60,
                   "compaction", interval=0.2)
        new = cluster.node(4)
        with WriterLoad(cluster.addresses(), clients=2).start() as load:
            load.wait_for_success(0, wait_until)
            cluster.join(new, cluster.leader())
            written = 0
            while "event=snapshot-installed" not in new.last_log():
                fill(cluster.leader(), 200, first=written)
                written += 200
                load.check()
                time.sleep(0.05)
                assert written < 200000
            cluster.wait_for_voters(1, 2, 3, 4)
        assert new.last_log().count("event=snapshot-loading") == 1
        wait_until_caught_up(cluster, new)
        cluster.wait_until_equal()
        load.verify_on(new)
        report(capsys, "%d values were written over while it loaded" % written)


def test_a_snapshot_needs_the_secret():
    """The stream's connection proves it as every other does."""
    with Growing(3, 3, dict(SHORT_LOG, **{"cluster-secret": "a secret of some length"})) as cluster:
        cluster.start()
        away = cluster.followers()[0]
        leave_behind(cluster, away, keys=2000)
        away.start()
        wait_until(lambda: "event=snapshot-installed" in away.last_log(), 60, "the snapshot")
        cluster.wait_until_equal()


@pytest.mark.seconds(120)
def test_pitfall_21_a_stream_that_pins_too_many_pages_is_given_up():
    """A slow stream while everything is written over: the leader's file must not grow for it. Given up with the reason,
    and begun anew; it gets through when less is written."""
    with Growing(3, 3, dict(SHORT_LOG, **{"snapshot-rate": 2 << 20, "snapshot-pinned-bytes": 1 << 20})) as cluster:
        cluster.start()
        away = cluster.followers()[0]
        keys = leave_behind(cluster, away, keys=2000)
        leader = cluster.leader()
        away.start()

        def is_given_up():
            fill(leader, 500)
            return "see the setting snapshot-pinned-bytes" in leader.last_log()

        wait_until(is_given_up, 60, "a stream that is given up", interval=0.05)
        wait_until(lambda: "event=snapshot-not-loaded" in away.last_log(), 20, "the other side to notice")
        assert leader.status()["snapshots_failed_total"] >= 1
        wait_until(lambda: "event=snapshot-installed" in away.last_log(), 60, "the snapshot")
        wait_until_caught_up(cluster, away)
        assert away.status()["snapshots_installed_total"] == 1
        assert away.read("DBSIZE") == keys


@pytest.mark.seconds(120)
@pytest.mark.skipif(why_not() is not None, reason="full disks: %s" % why_not())
def test_pitfall_19_a_receiver_without_room_keeps_what_it_has_and_tries_again():
    """It says why, its old map serves, and it takes the snapshot when there is room."""
    with SmallDisk(64) as disk:
        with Growing(3, 3, dict(SHORT_LOG, **{"disk-reserve": "1MiB"})) as cluster:
            away = cluster.node(3)
            away.directory = disk.path + "/data"
            cluster.start()
            if cluster.leader() is away:
                cluster.tell("TRANSFER", 1)
                wait_until(lambda: cluster.leader() is cluster.node(1), 30, "another leader")
            cluster.leader().command("SET", "early", "1")
            wait_until_caught_up(cluster, away)
            leave_behind(cluster, away, keys=3000)
            disk.take(1 << 20)
            away.start()
            wait_until(lambda: "event=snapshot-not-loaded" in away.last_log(), 60, "a load that finds no room")
            assert "no room left on the disk" in away.last_log() or "the disk is full" in away.last_log()
            assert away.running and maps_of(away) in (["map-1"], ["map-1", "map-2"])  # perhaps the next try
            assert "event=snapshot-installed" not in away.last_log()
            disk.give_back()
            wait_until(lambda: "event=snapshot-installed" in away.last_log(), 60, "the snapshot")
            wait_until_caught_up(cluster, away)
            cluster.wait_until_equal()
