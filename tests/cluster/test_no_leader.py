"""Commands while there is no leader, or no majority: parked, then refused for certain; or of unknown
outcome, and told so."""

import socket
import threading
import time

import pytest

from kvd_cluster import STEADY, Cluster, rounds, wait_until
from resp import ErrorReply
from test_failover import wait_until_caught_up

PARKING_S = 1.0


def test_commands_to_a_follower_are_parked_through_an_election():
    """Right after the leader's death a command sent to a survivor waits for the new leader: it is done
    there or redirected, and never answered -CLUSTERDOWN."""
    with Cluster(settings={"parking-time": "30s"}) as cluster:  # an election takes as long as the disks do
        for number in range(rounds(5)):
            leader = cluster.wait_for_leader()
            survivors = cluster.followers()
            connections = [node.connect(60) for node in survivors for _ in range(5)]
            for connection in connections:
                connection.command("PING")
            leader.kill9()
            for i, connection in enumerate(connections):
                connection.send("SET", "parked:%d:%d" % (number, i), "v")
            addresses = {node.address for node in survivors}
            for connection in connections:
                reply = connection.read_reply()
                if isinstance(reply, ErrorReply) and reply.code == "MOVED" and reply.split()[2] == leader.address:
                    continue  # it arrived before the survivor noticed
                assert reply == "OK" or (reply.code == "MOVED" and reply.split()[2] in addresses), reply
                connection.close()
            leader.start()
            wait_until_caught_up(cluster, leader)


def test_without_a_majority_a_survivor_parks_commands_and_then_says_clusterdown():
    """With two nodes dead, the third holds a command for about the parking time, then answers -CLUSTERDOWN;
    local commands are answered at once; nothing of it was done."""
    with Cluster() as cluster:
        leader = cluster.wait_for_leader()
        leader.command("SET", "n", 0)
        survivor, other = cluster.followers()
        wait_until_caught_up(cluster, survivor)
        other.kill9()
        leader.kill9()
        with survivor.connect() as connection:
            started = time.monotonic()
            reply = connection.command("INCR", "n")
            while isinstance(reply, ErrorReply) and reply.code == "MOVED":
                assert time.monotonic() - started < 40, "still sends clients to a dead leader"
                reply = connection.command("INCR", "n")
            waited = time.monotonic() - started
            assert isinstance(reply, ErrorReply) and reply.code == "CLUSTERDOWN", reply
            assert waited > PARKING_S / 2, "not parked: answered after %.3f s" % waited
            assert connection.command("PING") == "PONG"
            (start, end, *nodes), = connection.command("CLUSTER", "SLOTS")
            assert (start, end) == (0, 16383) and len(nodes) == 3
            wait_until(lambda: b"cluster_state:fail" in connection.command("CLUSTER", "INFO"), 30, "cluster_state:fail")
            for command in (("GET", "n"), ("SET", "n", 5), ("DEL", "n")):
                assert connection.command(*command).code == "CLUSTERDOWN", command
            connection.command("READONLY")
            assert connection.command("GET", "n").code == "CLUSTERDOWN", "a read that nobody confirmed"
            # Order holds for parked commands too.
            replies = connection.pipeline([("ECHO", 1), ("INCR", "n"), ("ECHO", 2), ("GET", "n"), ("ECHO", 3)])
            assert replies[::2] == [b"1", b"2", b"3"]
            assert all(isinstance(reply, ErrorReply) for reply in replies[1::2])
        other.start()
        leader.start()
        cluster.wait_for_leader()
        cluster.wait_until_equal()
        assert cluster.wait_for_leader().command("GET", "n") == b"0", "CLUSTERDOWN was said of a command that was done"


def test_pitfall_5_writes_in_flight_without_a_majority_are_unknown_and_later_ones_definite():
    """The followers die under a writing leader: what it had appended gets -UNKNOWN after the command
    time-out on an open connection, what came later -CLUSTERDOWN; the counter agrees with both
    afterwards."""
    # The leader keeps its role long enough for all commands to reach it.
    with Cluster(settings={"command-timeout": 1500, **STEADY}) as cluster:
        for number in range(rounds(3)):
            key = "counter:%d" % number
            leader = cluster.wait_for_leader()
            connections = [leader.connect(20) for _ in range(12)]
            assert connections[0].command("INCR", key) == 1
            done = 1
            for follower in [node for node in cluster.nodes if node is not leader]:
                follower.pause()  # still connected: the leader does not know yet
            for connection in connections:
                connection.send("INCR", key)
            replies = [connection.read_reply() for connection in connections]
            codes = [reply.code if isinstance(reply, ErrorReply) else "done" for reply in replies]
            assert set(codes) <= {"UNKNOWN", "CLUSTERDOWN", "done"}, codes
            assert "UNKNOWN" in codes, "an appended write without a majority was not called unknown: %r" % codes
            done += codes.count("done")
            unknown = codes.count("UNKNOWN")
            for connection in connections:
                assert connection.command("PING") == "PONG", "the connection must stay open"
            wait_until(lambda: leader.status()["role"] != "leader", 30, "the leader to step down")
            later = [connection.command("INCR", key) for connection in connections[:3]]
            assert all(isinstance(reply, ErrorReply) and reply.code == "CLUSTERDOWN" for reply in later), later
            for follower in cluster.nodes:
                if follower.paused:
                    follower.resume()
            for connection in connections:
                connection.close()
            new = cluster.wait_for_leader()
            value = int(new.command("GET", key))
            assert done <= value <= done + unknown, (done, value, unknown)
            cluster.wait_until_equal()


def has_counted(connection):
    """True if an INCR was answered, which nobody has read yet."""
    try:
        return b"\r\n:" in connection.socket.recv(1000, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


@pytest.mark.tsan
@pytest.mark.parametrize("how", ["pause", "terminate", "lose followers"])
def test_pitfall_6_replies_of_a_pipeline_stay_in_order_when_leadership_moves(how):
    """A long pipeline of ECHO, INCR, GET in the leader's socket while it loses its role: every reply is
    there, at its place, whatever it is."""
    with Cluster(settings={"command-timeout": 2000}) as cluster:
        leader = cluster.wait_for_leader()
        others = [node for node in cluster.nodes if node is not leader]
        count = 400
        connections = [leader.connect(30) for _ in range(4)]
        for connection in connections:
            connection.command("PING")
        stop = threading.Event()

        def send(number):
            for i in range(count):
                try:
                    connections[number].send_raw(b"ECHO %d\r\nINCR order:%d\r\nGET order:%d\r\n" % (i, number, number))
                except Exception:  # noqa: B902 - closed by the leader that ends
                    return
                if i % 20 == 0:
                    time.sleep(0.01)

        threads = [threading.Thread(target=send, args=(i,)) for i in range(len(connections))]
        for thread in threads:
            thread.start()
        wait_until(lambda: all(map(has_counted, connections)), 30, "an answer to an INCR on every connection")
        if how == "pause":
            leader.pause()
            time.sleep(3)
            leader.resume()
        elif how == "terminate":
            leader.terminate()
        else:
            for node in others:
                node.kill9()
            time.sleep(0.5)
        for thread in threads:
            thread.join()
        stop.set()
        for number, connection in enumerate(connections):
            last, errors, answered = 0, 0, 0
            for i in range(count):
                try:
                    replies = [connection.read_reply(30) for _ in range(3)]
                except Exception:  # noqa: B902
                    assert how == "terminate", "the connection was closed at command %d" % i
                    break
                answered += 1
                assert replies[0] == b"%d" % i, "a reply is at the wrong place: %r" % (replies,)
                if isinstance(replies[1], ErrorReply):
                    assert replies[1].code in ("MOVED", "UNKNOWN", "CLUSTERDOWN"), replies[1]
                    errors += 1
                else:
                    assert replies[1] > last, "INCR went back: %r after %d" % (replies[1], last)
                    last = replies[1]
                    if not isinstance(replies[2], ErrorReply):
                        assert int(replies[2]) >= last, "a GET does not see the INCR before it"
            assert answered > 0
        if how == "terminate":
            assert leader.wait_exit() == 0
        cluster.restart_all()
        cluster.wait_for_leader()
        cluster.wait_until_equal()


def test_pitfall_4_a_leader_without_followers_stops_serving_reads():
    """When its followers are gone, check-quorum makes the leader step down: no read is answered with a
    value any more."""
    with Cluster() as cluster:
        leader = cluster.wait_for_leader()
        leader.command("SET", "k", "v")
        for node in cluster.nodes:
            if node is not leader:
                node.kill9()
        with leader.connect(20) as connection:
            reply = connection.command("GET", "k")
            assert isinstance(reply, ErrorReply) and reply.code == "CLUSTERDOWN", reply
        wait_until(lambda: leader.status()["role"] != "leader", 30, "the leader to step down")


def test_clients_that_go_away_while_parked_are_forgotten():
    """A hundred clients send a write to a leaderless node and vanish; the node lives on and, with a
    majority again, serves."""
    with Cluster() as cluster:
        leader = cluster.wait_for_leader()
        survivor, other = cluster.followers()
        other.kill9()
        leader.kill9()
        for i in range(100):
            connection = survivor.connect()
            connection.send("SET", "gone:%d" % i, "v")
            connection.close()
        leader.start()
        other.start()
        new = cluster.wait_for_leader()
        assert new.command("SET", "k", "v") == "OK"
        cluster.wait_until_equal()
