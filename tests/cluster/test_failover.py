"""The leader dies, all die, the leader sleeps: nothing acknowledged is lost, nothing stale is read."""

import time

import pytest

from kvd_cluster import Cluster, rounds, wait_until
from linearizability import NotLinearizable, check_history
from resp import Connection, ConnectionLost, ErrorReply, ReplyTimeout
from workload import HistoryLoad, WriterLoad, describe_times, DONE


def report(capsys, line):
    with capsys.disabled():
        print("\n    " + line)


def wait_until_caught_up(cluster, node, seconds=60):
    """Until the node has applied what was committed when this was called."""
    leader = cluster.wait_for_leader()
    target = wait_until(leader.status, 30, "a status of the leader")["commit_index"]

    def caught_up():
        status = node.status()
        return status and status.get("applied_index", 0) >= target

    wait_until(caught_up, seconds, "node %d to catch up" % node.id)


@pytest.mark.seconds(400)
@pytest.mark.tsan
def test_pitfall_5_no_acknowledged_write_is_lost_when_the_leader_is_killed_again_and_again(capsys):
    """kill -9 of the leader under writing clients, 20 times in a row: every acknowledged write is on all
    three nodes, and the counters lie between what was acknowledged and what may have happened."""
    with Cluster() as cluster:
        kills = []
        with WriterLoad(cluster.addresses(), clients=8).start() as load:
            load.wait_for_success(0, wait_until)
            for number in range(rounds(20)):
                load.label = number
                time.sleep(0.2)
                leader = cluster.wait_for_leader()
                moment = time.monotonic()
                leader.kill9()
                kills.append(moment)
                load.wait_for_success(time.monotonic() + 0.001, wait_until)
                time.sleep(0.1)
                leader.start()
                wait_until_caught_up(cluster, leader)
            time.sleep(0.5)
        load.verify_everywhere(cluster)
        report(capsys, describe_times("time without a successful write, leader killed", load.gaps_around(kills)))
        report(capsys, "%d keys acknowledged, %d increments of unknown outcome"
               % (load.acknowledged_count(), load.unknown_count()))


@pytest.mark.seconds(400)
def test_pitfall_10_nothing_acknowledged_is_lost_when_all_nodes_are_killed_at_once(capsys):
    """All three nodes get kill -9 at once under load and are started again, 10 times."""
    with Cluster(settings={"checkpoint-log-bytes": 256 * 1024}) as cluster:
        times = []
        with WriterLoad(cluster.addresses(), clients=8).start() as load:
            for number in range(rounds(10)):
                load.label = number
                load.wait_for_success(time.monotonic(), wait_until)
                time.sleep(0.3)
                for node in cluster.nodes:
                    node.process.kill()
                for node in cluster.nodes:
                    node.kill9()
                started = time.monotonic()
                cluster.restart_all()
                times.append(load.wait_for_success(started, wait_until, 30) - started)
            time.sleep(0.3)
        load.verify_everywhere(cluster)
        report(capsys, describe_times("from the start of all nodes to the first write", times))
        report(capsys, "%d keys acknowledged" % load.acknowledged_count())


def late_reads(load, node, opened_before):
    """Sends reads to a paused node, long after a new leader wrote: on connections opened before the pause and
    on new ones. Returns what waits for the answers."""
    waiting = []
    registers, counters = load.keys()
    connections = list(opened_before)
    for _ in range(2):
        try:
            connections.append(Connection(node.address, 15.0, connect_timeout=0.5))
        except (ConnectionLost, ReplyTimeout):
            pass
    for connection in connections:
        keys = registers + counters
        call = time.monotonic_ns()
        for key in keys:
            connection.send("GET", key)
        waiting.append((connection, keys, call))
    return waiting


def collect_late_reads(load, waiting):
    answered = 0
    for connection, keys, call in waiting:
        for key in keys:
            try:
                reply = connection.read_reply(15.0)
            except (ConnectionLost, ReplyTimeout):
                break
            if not isinstance(reply, ErrorReply):
                load.record("late", key, "get", load.read_value(key, reply), call, DONE)
                answered += 1
        connection.close()
    return answered


@pytest.mark.seconds(400)
@pytest.mark.tsan
def test_pitfall_4_a_paused_leader_reads_nothing_stale_and_loses_no_write_when_it_wakes(capsys):
    """SIGSTOP of the leader for 3 s under load, then SIGCONT, 10 times: the history of all clients, with
    reads from every node and reads sent to the sleeping leader, is linearizable."""
    with Cluster() as cluster:
        answered = 0
        with HistoryLoad(cluster.addresses()).start(followers=5, pinned_per_node=1) as load:
            for number in range(rounds(10)):
                load.label = number
                leader = cluster.wait_for_leader()
                time.sleep(0.3)
                before = [leader.connect(15), leader.connect(15)]
                before[1].command("READONLY")
                for connection in before:
                    connection.command("PING")
                moment = time.monotonic()
                leader.pause()
                time.sleep(2.5)
                waiting = late_reads(load, leader, before)
                time.sleep(0.5)
                leader.resume()
                answered += collect_late_reads(load, waiting)
                time.sleep(0.3)
                load.check()
                wait_until(lambda: any(t > moment for t in load.success_times[-100:]), 30,
                           "somebody to write or read after a pause of the leader")
                wait_until(lambda: leader.status(), 30, "the old leader answers again")
        cluster.wait_until_equal()
        operations = check_history(load.history)
        assert all(load.reads_by_address.get(address, 0) for address in cluster.addresses()), load.reads_by_address
        report(capsys, "%d operations checked, %d of them late reads that were answered" % (operations, answered))


def test_the_checker_finds_stale_reads_where_they_are_allowed():
    """The canary: with follower-reads stale, a follower that slept answers from the past, and the same
    load and the same checker must say so."""
    with Cluster(settings={"follower-reads": "stale"}) as cluster:
        for _ in range(5):
            with HistoryLoad(cluster.addresses()).start(followers=4, pinned_per_node=1) as load:
                follower = cluster.followers()[0]
                before = [follower.connect(15) for _ in range(4)]
                for connection in before:
                    connection.command("READONLY")
                time.sleep(0.3)
                follower.pause()
                time.sleep(0.5)
                waiting = late_reads(load, follower, before)
                follower.resume()
                collect_late_reads(load, waiting)
            try:
                check_history(load.history)
            except NotLinearizable:
                return
        pytest.fail("five times nothing was found")


def test_pitfall_1_and_3_reads_beside_quick_changes_of_leadership_are_linearizable():
    """The leader is killed or paused for a moment, again and again, while clients read from all nodes: no
    read is served before the new leader's term has committed an entry, none by one that lost its role."""
    with Cluster() as cluster:
        with HistoryLoad(cluster.addresses(), registers=2).start(followers=4, pinned_per_node=2) as load:
            for number in range(rounds(6)):
                load.label = number
                leader = cluster.wait_for_leader()
                time.sleep(0.2)
                if number % 2 == 0:
                    leader.kill9()
                    time.sleep(0.3)
                    leader.start()
                else:
                    leader.terminate()
                    leader.wait_exit()
                    leader.start()
                wait_until_caught_up(cluster, leader)
        cluster.wait_until_equal()
        check_history(load.history)


def test_pitfall_9_a_follower_killed_and_started_in_a_loop_never_spoils_the_vote():
    """A follower restarts again and again under load: terms only grow, one leader per term, nothing is
    lost."""
    with Cluster() as cluster:
        leaders_of_term = {}

        def look():
            for node in cluster.running:
                status = node.status()
                if status and status["role"] == "leader":
                    leaders_of_term.setdefault(status["term"], set()).add(node.id)

        with WriterLoad(cluster.addresses(), clients=4).start() as load:
            for number in range(rounds(8)):
                leader = cluster.wait_for_leader()
                victims = [node for node in cluster.nodes if node is not leader]
                victim = victims[number % 2]
                victim.kill9()
                look()
                victim.start()
                if number % 3 == 2:
                    leader.kill9()
                    look()
                    leader.start()
                wait_until_caught_up(cluster, victim)
                look()
        load.verify_everywhere(cluster)
        assert all(len(nodes) == 1 for nodes in leaders_of_term.values()), leaders_of_term
