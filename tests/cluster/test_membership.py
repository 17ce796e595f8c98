"""Members come, are replaced and go, in real processes and under clients that check what they were told."""

import os
import time

import pytest

from growing import Growing
from kvd_cluster import EXIT_REFUSED, EXIT_START, STEADY, wait_until
from linearizability import check_history
from test_failover import report, wait_until_caught_up
from workload import HistoryLoad, WriterLoad, describe_times


@pytest.mark.seconds(300)
def test_one_grows_to_five_every_node_is_replaced_and_three_are_left(capsys):
    """Under load 1 -> 3 -> 5, each node replaced in one step, the leader among them, then down to 3: no acknowledged
    write is lost, and the longest time without a successful write is told."""
    with Growing(10, 1) as cluster:
        cluster.start()
        moments = []

        def step():
            load.check()
            moments.append(time.monotonic())

        with WriterLoad(cluster.addresses(), clients=4).start() as load:
            load.wait_for_success(0, wait_until)
            for count in range(2, 6):
                step()
                cluster.join(cluster.node(count), cluster.node(count - 1))
                cluster.wait_for_voters(*range(1, count + 1))
            for old in range(1, 6):
                step()
                new = cluster.node(old + 5)
                cluster.tell("REPLACE", old, new.id, "%s:%d" % (new.bus_host, new.bus_port))
                cluster.join(new, cluster.leader())
                cluster.wait_for_voters(*range(old + 1, old + 6))
                cluster.expect_removed(cluster.node(old))
            for node_id in (6, 7):
                step()
                cluster.tell("REMOVE", node_id)
                cluster.wait_for_voters(*range(node_id + 1, 11))
                cluster.expect_removed(cluster.node(node_id))
            load.wait_for_success(time.monotonic(), wait_until)
            time.sleep(0.5)
        left = cluster.nodes[7:]
        cluster.wait_until_equal()
        for node in left:
            load.verify_on(node)
        assert not [error for client in load.clients for error in client.other_errors]
        report(capsys, describe_times("time without a successful write, by step", load.gaps_around(moments)))
        report(capsys, "%d keys acknowledged, %d of unknown outcome" % (load.acknowledged_count(),
                                                                       load.unknown_count()))


@pytest.mark.seconds(300)
def test_every_answer_is_linearizable_while_members_come_and_go(capsys):
    """Registers, counters and reads of each node, checked as one history, while the log is so short that new members
    get snapshots: 3 -> 5, the leader replaced, then removed, a member killed meanwhile."""
    short_log = {"log-tail-bytes": 1 << 20, "checkpoint-log-bytes": 256 << 10, "checkpoint-idle": "200ms"}
    with Growing(6, 3, short_log) as cluster:
        cluster.start()
        load = HistoryLoad(cluster.addresses())
        load.start(followers=4, pinned_per_node=1)
        with load:
            value = "x" * 4000
            for count in (4, 5):
                load.label += 1
                with cluster.leader().connect() as connection:
                    for i in range(1500):  # so much that the log is cut
                        assert connection.command("SET", "large:%d" % (i % 50), value) == "OK"
                cluster.join(cluster.node(count), cluster.leader())
                cluster.wait_for_voters(*range(1, count + 1))
            load.label += 1
            old = cluster.leader()
            cluster.tell("REPLACE", old.id, 6, "%s:%d" % (cluster.node(6).bus_host, cluster.node(6).bus_port))
            cluster.join(cluster.node(6), old)
            cluster.expect_removed(old)
            load.label += 1
            killed = next(node for node in cluster.running if node is not cluster.leader())
            killed.kill9()
            time.sleep(0.3)
            leader = wait_until(cluster.leader, 40, "a leader")
            cluster.tell("REMOVE", leader.id)
            cluster.expect_removed(leader)
            killed.start()
            load.label += 1
            time.sleep(1)
            load.check()
        check_history(load.history)
        cluster.wait_until_equal()
        assert len(load.reads_by_address) >= 5
        assert any("event=snapshot-installed" in node.log_text() for node in cluster.nodes[3:])
        report(capsys, "%d operations checked" % len(load.history))


@pytest.mark.seconds(120)
@pytest.mark.tsan
def test_a_node_joins_a_cluster_with_many_keys_and_survives_restarts(capsys):
    """10^5 keys; the new node is a voter soon, has them all, and comes back by what is stored, not by its flags."""
    with Growing(4, 3) as cluster:
        cluster.start()
        leader = cluster.leader()
        with leader.connect() as connection:
            for start in range(0, 100000, 1000):
                pairs = [word for i in range(start, start + 1000) for word in ("key:%d" % i, "value-%d" % i)]
                assert connection.command("MSET", *pairs) == "OK"
        new = cluster.node(4)
        begun = time.monotonic()
        cluster.join(new, cluster.followers()[0])
        cluster.wait_for_voters(1, 2, 3, 4)
        report(capsys, "a voter after %.2f s" % (time.monotonic() - begun))
        wait_until_caught_up(cluster, new)
        assert new.read("DBSIZE") == 100000
        assert new.read("GET", "key:99999") == b"value-99999"
        for node in cluster.nodes:
            node.kill9()
        for node in cluster.nodes[:3]:
            node.start({"cluster": None})
        new.start({"join": "127.0.0.1:1"})  # ignored by now
        cluster.wait_for_voters(1, 2, 3, 4)
        cluster.leader().command("SET", "after", "1")
        cluster.wait_until_equal()
        assert all(len(cluster.kinds(node)) == 4 for node in cluster.nodes)


def test_the_leader_is_removed_and_clients_go_on(capsys):
    """The leader hands over, is told, and ends with its reason."""
    with Growing(3, 3) as cluster:
        cluster.start()
        with WriterLoad(cluster.addresses(), clients=4).start() as load:
            load.wait_for_success(0, wait_until)
            time.sleep(0.3)
            leader = cluster.leader()
            moment = time.monotonic()
            cluster.tell("REMOVE", leader.id)
            cluster.expect_removed(leader)
            load.wait_for_success(time.monotonic(), wait_until)
            time.sleep(0.3)
        cluster.wait_for_voters(*[node.id for node in cluster.nodes if node is not leader])
        cluster.wait_until_equal()
        for node in cluster.running:
            load.verify_on(node)
        report(capsys, describe_times("time without a successful write", load.gaps_around([moment])))
        # Started again, it is told again.
        leader.start()
        cluster.expect_removed(leader)


def test_pitfall_28_an_emptied_disk_comes_back_by_raft_replace():
    """The refusal names the way, and the way works."""
    with Growing(4, 3, STEADY) as cluster:
        cluster.start()
        cluster.leader().command("SET", "k", "v")
        victim = cluster.followers()[0]
        victim.kill9()
        os.rename(victim.directory, victim.directory + ".lost")
        cluster.join(victim, cluster.leader())
        victim.settings["cluster"] = None
        victim.kill9()
        cluster.join(victim, cluster.leader())
        assert victim.wait_exit() == EXIT_REFUSED
        assert "RAFT REPLACE %d " % victim.id in victim.last_log()
        new = cluster.node(4)
        cluster.tell("REPLACE", victim.id, 4, "%s:%d" % (new.bus_host, new.bus_port))
        cluster.join(new, cluster.leader())
        cluster.wait_for_voters(*[node.id for node in cluster.nodes if node is not victim])
        wait_until_caught_up(cluster, new)
        assert new.read("GET", "k") == b"v"


def contents(directory):
    """{path: its bytes}, but for what only says who reads just now."""
    files = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            if name != "lock.mdb":
                with open(os.path.join(folder, name), "rb") as file:
                    files[os.path.join(folder, name)] = file.read()
    return files


def test_what_cannot_join_says_why():
    """An id that is taken, another secret: code 4 and the reason. Another cluster's directory: the reason, before anything
    is done with it."""
    with Growing(2, 1) as cluster, Growing(1, 1) as other:
        cluster.start()
        other.start()
        theirs = other.node(1)
        assert theirs.command("SET", "whose", "theirs") == "OK"
        their_id = theirs.status()["cluster_id"]
        theirs.kill9()
        stranger = cluster.node(2)
        before = contents(theirs.directory)
        stranger.start({"data": theirs.directory, "join": "127.0.0.1:%d" % cluster.node(1).bus_port})
        assert stranger.wait_exit() == EXIT_START
        assert "belongs to node 1, and this is node 2" in stranger.last_log()
        assert contents(theirs.directory) == before
        stranger.settings["id"] = 1
        cluster.join(stranger, cluster.node(1))
        assert stranger.wait_exit() == EXIT_REFUSED
        assert "has the id 1 too" in stranger.last_log()
        stranger.settings["id"] = 2
        cluster.join(stranger, cluster.node(1))
        stranger.kill9()
        os.rename(stranger.directory, stranger.directory + ".x")
        stranger.settings["cluster-secret"] = "a secret of some length"
        cluster.join(stranger, cluster.node(1))
        assert stranger.wait_exit() == EXIT_REFUSED
        assert "secret" in stranger.last_log()
        # Under its own id it is what it was: `join` counts only while a directory is new.
        theirs.start({"join": "127.0.0.1:%d" % cluster.node(1).bus_port, "cluster": None})
        wait_until(other.leader, 40, "the other cluster to go on")
        assert theirs.status()["cluster_id"] == their_id
        assert theirs.read("GET", "whose") == b"theirs"
        assert cluster.node(1).command("GET", "whose") is None
        cluster.wait_for_voters(1)


def test_members_with_a_secret_admit_only_who_proves_it():
    with Growing(2, 1, {"cluster-secret": "a secret of some length"}) as cluster:
        cluster.start()
        cluster.join(cluster.node(2), cluster.node(1))
        cluster.wait_for_voters(1, 2)
