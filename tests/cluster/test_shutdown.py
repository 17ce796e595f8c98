"""SIGTERM: leadership is handed over, what is in flight is answered, the process ends with 0."""

import threading
import time

import pytest

from kvd_cluster import STEADY, Cluster, rounds, wait_until
from resp import ConnectionLost, ErrorReply
from test_failover import report, wait_until_caught_up
from workload import WriterLoad, describe_times


def test_pitfall_15_the_leader_hands_over_when_it_is_told_to_end(steady_cluster):
    """After SIGTERM of the leader another leads in the next term, without an election timeout, and the
    process exits with 0."""
    cluster = steady_cluster
    leader = cluster.wait_for_leader()
    term = leader.status()["term"]
    leader.terminate()
    assert leader.wait_exit() == 0
    new = cluster.wait_for_leader()
    assert new is not leader
    assert new.status()["term"] == term + 1, "a transfer takes one term, an election by time-out may take more"
    assert new.command("SET", "k", "v") == "OK"


def test_a_follower_ends_with_0_and_the_leader_stays(steady_cluster):
    """SIGTERM of a follower changes neither leader nor term."""
    cluster = steady_cluster
    leader = cluster.wait_for_leader()
    term = leader.status()["term"]
    follower = cluster.followers()[0]
    follower.terminate()
    assert follower.wait_exit() == 0
    status = leader.status()
    assert (status["role"], status["term"]) == ("leader", term)
    assert leader.command("SET", "k", "v") == "OK"


@pytest.mark.tsan
def test_the_last_one_ends_too(cluster):
    """SIGTERM of all three at once: each ends with 0 within its time, and all data is there afterwards."""
    leader = cluster.wait_for_leader()
    assert leader.command("SET", "k", "v") == "OK"
    for node in cluster.nodes:
        node.terminate()
    assert [node.wait_exit() for node in cluster.nodes] == [0, 0, 0]
    cluster.restart_all()
    assert cluster.wait_for_leader().command("GET", "k") == b"v"


def test_what_is_in_flight_is_answered_when_the_leader_ends(steady_cluster):
    """Commands that were sent before SIGTERM all get an answer: done, or certainly not done."""
    cluster = steady_cluster
    leader = cluster.wait_for_leader()
    connections = [leader.connect() for _ in range(20)]
    for connection in connections:
        connection.command("PING")
    stop = threading.Event()
    sent, done = [0] * len(connections), [0] * len(connections)
    bad = []

    def write(number):
        connection = connections[number]
        while not stop.is_set():
            connection_sent = sent[number] + 1
            try:
                connection.send("INCR", "in-flight:%d" % number)
            except ConnectionLost:
                return
            sent[number] = connection_sent
            try:
                reply = connection.read_reply()
            except ConnectionLost:
                # Closed between two commands: this one was never read.
                return
            if isinstance(reply, ErrorReply):
                if reply.code not in ("MOVED", "CLUSTERDOWN"):
                    bad.append(reply)
                return
            done[number] = reply

    threads = [threading.Thread(target=write, args=(i,)) for i in range(len(connections))]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(done) or bad, 30, "every client to have written")
    time.sleep(0.3)
    leader.terminate()
    assert leader.wait_exit() == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert not bad, bad
    new = cluster.wait_for_leader()
    for number in range(len(connections)):
        value = int(new.command("GET", "in-flight:%d" % number))
        assert value == done[number], "acknowledged %d, stored %d: the last one was done but not answered" % (
            done[number], value)


@pytest.mark.seconds(300)
@pytest.mark.tsan
def test_a_rolling_restart_under_load_loses_nothing_and_leaves_no_outcome_unknown(capsys):
    """Each node in turn gets SIGTERM and is started again while clients write: no -UNKNOWN, no lost write."""
    with Cluster(settings=STEADY) as cluster:
        moments = []
        with WriterLoad(cluster.addresses(), clients=6).start() as load:
            load.wait_for_success(0, wait_until)
            for number in range(rounds(2) * 3):
                node = cluster.nodes[number % 3]
                time.sleep(0.2)
                moments.append(time.monotonic())
                node.terminate()
                assert node.wait_exit() == 0
                node.start()
                wait_until_caught_up(cluster, node)
                load.wait_for_success(time.monotonic(), wait_until)
        unknown = [client.unknown_replies for client in load.clients]
        assert not any(unknown), unknown
        load.verify_everywhere(cluster)
        report(capsys, describe_times("time without a successful write, node told to end",
                                      load.gaps_around(moments)))
        report(capsys, "connections closed under a command: %d" % sum(c.lost_connections for c in load.clients))
