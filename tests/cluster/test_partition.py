"""Real partitions between network namespaces: packets vanish, nothing is closed or refused."""

import time

import pytest

import network as network_module
from kvd_cluster import STEADY, rounds, wait_until
from linearizability import check_history
from network import Network, networked_cluster
from resp import ErrorReply
from workload import HistoryLoad, WriterLoad
from test_failover import report, wait_until_caught_up

REASON = network_module.why_not()
pytestmark = [pytest.mark.skipif(REASON is not None, reason="partition tests: %s" % REASON)]


def leader_among(cluster, nodes, seconds=40):
    def look():
        for node in nodes:
            status = node.status(1)
            if status and status["role"] == "leader" and status["leader_ready"] == "yes":
                return node
        return None
    return wait_until(look, seconds, "a leader among %s" % [node.id for node in nodes])


@pytest.mark.parametrize("how", ["isolate", "pull_cable"])
def test_pitfall_4_an_isolated_leader_serves_no_reads_and_confirms_no_writes(how):
    """Clients still reach the old leader, its peers do not: a read that is sent to it after the cut gets
    no value once the others may have a new leader, a write no OK; the others go on."""
    with Network() as network, networked_cluster(network) as cluster:
        old = cluster.wait_for_leader()
        assert old.command("SET", "k", "old") == "OK"
        getattr(network, how)(old.id)
        with old.connect(20) as connection:
            write = old.connect(20)
            write.send("SET", "k", "lost?")
            others = [node for node in cluster.nodes if node is not old]
            new = leader_among(cluster, others)
            assert new.command("SET", "k", "new") == "OK"
            reply = connection.command("GET", "k")
            assert isinstance(reply, ErrorReply), "the isolated leader answered %r" % reply
            reply = write.read_reply(20)
            assert isinstance(reply, ErrorReply) and reply.code in ("UNKNOWN", "CLUSTERDOWN", "MOVED"), reply
            write.close()
            wait_until(lambda: old.status()["role"] != "leader", 30, "the isolated leader to step down")
        network.heal()
        wait_until_caught_up(cluster, old)
        assert old.read("GET", "k") == b"new"
        cluster.wait_until_equal()


def test_pitfall_15_a_node_that_comes_back_does_not_disturb_the_leader():
    """A follower is cut off for many election time-outs and returns: thanks to pre-vote the leader and
    the term stay."""
    with Network() as network, networked_cluster(network, STEADY) as cluster:
        leader = cluster.wait_for_leader()
        follower = cluster.followers()[0]
        term = leader.status()["term"]
        network.isolate(follower.id)
        for i in range(100):
            assert leader.command("SET", "k", i) == "OK"
            time.sleep(0.1)
        assert follower.status()["role"] == "pre-candidate", "not away for long enough"
        network.heal()
        wait_until_caught_up(cluster, follower)
        time.sleep(1)
        status = leader.status()
        assert (status["role"], status["term"]) == ("leader", term), "disturbed by the return of a node"
        assert follower.status()["term"] == term
        assert follower.read("GET", "k") == b"99"


@pytest.mark.parametrize("direction", ["nothing from the leader arrives", "nothing to the leader arrives"])
def test_one_way_cuts_end_in_a_leader_that_serves(direction):
    """Packets between the leader and both followers are lost in one direction: a leader that can work is
    found, and afterwards all agree."""
    with Network() as network, networked_cluster(network) as cluster:
        leader = cluster.wait_for_leader()
        others = [node for node in cluster.nodes if node is not leader]
        for other in others:
            if direction == "nothing from the leader arrives":
                network.cut_one_way(leader.id, other.id)
            else:
                network.cut_one_way(other.id, leader.id)
        new = leader_among(cluster, others)
        assert new.command("SET", "k", "v") == "OK"
        wait_until(lambda: leader.status()["role"] != "leader", 30, "the cut-off leader to step down")
        network.heal()
        wait_until_caught_up(cluster, leader)
        cluster.wait_until_equal()


def test_a_leader_that_one_follower_cannot_reach_stays_leader():
    """Only one link is cut: the leader keeps its majority, and the follower behind the cut cannot unseat
    it."""
    with Network() as network, networked_cluster(network, STEADY) as cluster:
        leader = cluster.wait_for_leader()
        term = leader.status()["term"]
        behind, _ = cluster.followers()
        network.cut(leader.id, behind.id)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            assert leader.command("SET", "k", "v") == "OK"
            time.sleep(0.05)
        status = leader.status()
        assert (status["role"], status["term"]) == ("leader", term), status
        network.heal()
        wait_until_caught_up(cluster, behind)
        cluster.wait_until_equal()


@pytest.mark.seconds(300)
def test_histories_beside_partitions_are_linearizable(capsys):
    """Isolations, one-way cuts and healing under clients that read and write everywhere: the history is
    linearizable and nothing acknowledged is lost."""
    with Network() as network, networked_cluster(network) as cluster:
        with HistoryLoad(cluster.addresses()).start(followers=5, pinned_per_node=1) as load, \
                WriterLoad(cluster.addresses(), clients=2, reply_timeout=10).start() as writes:
            for number in range(rounds(6)):
                load.label = writes.label = number
                leader = cluster.wait_for_leader()
                time.sleep(0.3)
                others = [node.id for node in cluster.nodes if node is not leader]
                kind = number % 3
                if kind == 0:
                    network.isolate(leader.id)
                elif kind == 1:
                    for other in others:
                        network.cut_one_way(leader.id, other)
                else:
                    network.cut(leader.id, others[0])
                time.sleep(3)
                network.heal()
                writes.wait_for_success(time.monotonic(), wait_until)
                time.sleep(0.3)
        writes.verify_everywhere(cluster)
        report(capsys, "%d operations checked" % check_history(load.history))
