"""Time to live: decided by log time, the same on every node, through failovers and restarts."""

import time

import pytest

from kvd_cluster import Cluster, wait_until
from test_failover import wait_until_caught_up


@pytest.mark.tsan
def test_pitfall_30_expired_keys_vanish_on_all_nodes_without_being_read(steady_cluster):
    """DBSIZE falls to 0 by itself on every node, in spite of nobody reading the keys, and the digests
    agree."""
    cluster = steady_cluster
    leader = cluster.wait_for_leader()
    with leader.connect() as connection:
        replies = connection.pipeline([("SET", "e:%d" % i, "v", "PX", 300 + i % 700) for i in range(2000)])
        assert set(replies) == {"OK"}
        connection.command("SET", "stays", "v")
    for node in cluster.nodes:
        wait_until(lambda: node.read("DBSIZE") == 1, 40, "DBSIZE 1 on node %d" % node.id)
    cluster.wait_until_equal()
    assert leader.command("DEL", "stays") == 1
    for node in cluster.nodes:
        assert node.read("DBSIZE") == 0


def test_an_expired_key_is_gone_for_every_command_at_once(steady_cluster):
    """After its time a key is absent for GET, EXISTS, TTL, SET NX, INCR, APPEND, STRLEN, PERSIST and
    SCAN, before any purge is waited for, on the leader; and for followers as soon as the leader has said so (expiry is
    decided by log time, which moves with the entry that the leader's read waited for)."""
    cluster = steady_cluster
    leader = cluster.wait_for_leader()
    with leader.connect() as connection:
        for i in range(20):
            connection.command("SET", "gone", i, "PX", 30)
            time.sleep(0.035)
            assert connection.command("GET", "gone") is None, "read after its time"
            connection.command("SET", "gone", i, "PX", 30)
            time.sleep(0.035)
            assert connection.command("INCR", "gone") == 1
            assert connection.command("TTL", "gone") == -1
            connection.command("PEXPIRE", "gone", 30)
            time.sleep(0.035)
            assert connection.command("SET", "gone", "v", "NX") == "OK"
            connection.command("PEXPIRE", "gone", 30)
            time.sleep(0.035)
            assert connection.command("APPEND", "gone", "abc") == 3
            connection.command("PEXPIRE", "gone", 30)
            time.sleep(0.035)
            for command, expected in ((("EXISTS", "gone"), 0), (("TTL", "gone"), -2), (("STRLEN", "gone"), 0),
                                      (("PERSIST", "gone"), 0), (("DEL", "gone"), 0), (("DBSIZE",), 0)):
                assert connection.command(*command) == expected, command
            assert connection.command("SCAN", 0)[1] == []
    follower = cluster.followers()[0]
    with leader.connect() as writer, follower.connect() as reader:
        reader.command("READONLY")
        for i in range(20):
            writer.command("SET", "gone", i, "PX", 30)
            assert reader.command("GET", "gone") in (b"%d" % i, None)
            time.sleep(0.035)
            assert writer.command("GET", "gone") is None
            assert reader.command("GET", "gone") is None


@pytest.mark.tsan
def test_pitfall_29_times_to_live_survive_a_failover(cluster):
    """TTL goes on counting on the new leader, KEEPTTL and PERSIST are known there, and what was due
    meanwhile is gone."""
    leader = cluster.wait_for_leader()
    with leader.connect() as connection:
        connection.command("SET", "long", "v", "EX", 1000)
        connection.command("SET", "short", "v", "PX", 1500)
        connection.command("SET", "kept", "v", "EX", 500)
        connection.command("SET", "kept", "w", "KEEPTTL")
        # In one piece, and so in one entry: one second is enough, however long that entry takes.
        assert connection.pipeline([("SET", "persisted", "v", "EX", 1), ("PERSIST", "persisted"), ("EXPIRE", "persisted", 1),
                                    ("PERSIST", "persisted")]) == ["OK", 1, 1, 1]
    leader.kill9()
    new = cluster.wait_for_leader()
    with new.connect() as connection:
        assert 0 < connection.command("PTTL", "long") <= 1000_000
        assert connection.command("TTL", "long") >= 900
        assert 400 <= connection.command("TTL", "kept") <= 500
        assert connection.command("TTL", "persisted") == -1
        assert connection.command("PTTL", "short") <= 1500
        wait_until(lambda: connection.command("EXISTS", "short") == 0, 30, "the short one to expire")
        assert connection.command("EXISTS", "long", "kept", "persisted") == 3
    leader.start()
    wait_until_caught_up(cluster, leader)
    cluster.wait_until_equal()
    assert leader.read("EXISTS", "short", "long", "kept", "persisted") == 3


def test_keys_that_fell_due_while_all_were_down_are_gone_after_the_start():
    """A key that expires while no node runs is not there when they come back."""
    with Cluster() as cluster:
        with cluster.wait_for_leader().connect() as connection:
            connection.command("SET", "due", "v", "PX", 700)
            connection.command("SET", "stays", "v", "EX", 1000)
        for node in cluster.nodes:
            node.kill9()
        time.sleep(0.8)
        cluster.restart_all()
        leader = cluster.wait_for_leader()
        assert leader.command("GET", "due") is None
        assert leader.command("GET", "stays") == b"v"
        wait_until(lambda: leader.command("DBSIZE") == 1, 30, "the purge")
        cluster.wait_until_equal()
