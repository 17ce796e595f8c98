"""kvcli add, promote, replace, remove, transfer: asked of any node, shown until done, also when the leader dies in the
middle."""

import json
import os
import signal
import time

import pytest

from kvcli import INTERRUPTED, KVCLI, NOT_EXECUTED, OK, SERVER_ERROR, USAGE, Started, kvcli
from kvd_cluster import free_ports, wait_until
from test_failover import report
from growing import Growing
from test_snapshot import SHORT_LOG, fill
from workload import WriterLoad

pytestmark = pytest.mark.skipif(not os.path.exists(KVCLI), reason="kvcli is not built")

# A leader that is not replaced because the machine is busy for a moment, and yet one that is found soon.
RATHER_STEADY = {"election-timeout": "1500ms"}


def bus_of(node):
    return "%s:%d" % (node.bus_host, node.bus_port)


def lines_of(out):
    """What a pipe gets: whole lines of plain text, nothing drawn over."""
    assert out.endswith("\n") and "\r" not in out and "\033" not in out, out
    return out.splitlines()


@pytest.mark.seconds(200)
def test_members_come_and_go_by_one_command_each(capsys):
    """Under load: a learner, promoted; a replacement; the leader removed; each shown until done."""
    with Growing(5, 3, RATHER_STEADY) as cluster:
        cluster.start()
        with WriterLoad(cluster.addresses(), clients=2).start() as load:
            load.wait_for_success(0, wait_until)
            with Started([cluster.followers()[0]], "add", 4, bus_of(cluster.node(4)), "learner") as run:
                wait_until(lambda: "has not come yet" in run.text(), 40, "to be told to start it")
                cluster.join(cluster.node(4), cluster.leader())
                code, out, errors = run.end()
            assert code == OK, (out, errors)
            assert lines_of(out)[-1] == "node 4 is a learner, and has caught up. Voters: 1, 2, 3"
            result = kvcli(cluster.nodes, "promote", 4)
            assert result.returncode == OK, result
            assert lines_of(result.stdout)[-1] == "node 4 is a voter. Voters: 1, 2, 3, 4"
            leader = cluster.leader()
            old = next(node for node in cluster.running if node is not leader and node.id != 4)
            with Started(cluster.nodes, "--json", "replace", old.id, 5, bus_of(cluster.node(5))) as run:
                wait_until(lambda: "waiting" in run.text(), 40, "to be told to start it")
                cluster.join(cluster.node(5), leader)
                code, out, errors = run.end()
            assert code == OK, (out, errors)
            phases = [json.loads(line)["phase"] for line in lines_of(out)]
            assert phases[0] == "begun" and phases[-1] == "done" and "waiting" in phases
            cluster.expect_removed(old)
            result = kvcli([leader], "remove", leader.id)  # asked of the one that leaves
            assert result.returncode == OK, result
            assert "node %d is no member any more" % leader.id in lines_of(result.stdout)[-1]
            cluster.expect_removed(leader)
            load.wait_for_success(time.monotonic(), wait_until)
        cluster.wait_until_equal()
        load.verify_on(cluster.leader())
        report(capsys, "phases of a replacement: %s" % " ".join(phases))


def test_a_member_moves_to_another_address():
    """kvcli address while it is down, for a follower and then for the one that led; a wrong one is corrected."""
    with Growing(3, 3, RATHER_STEADY) as cluster:
        cluster.start()
        for node in (cluster.followers()[0], cluster.leader()):
            node.kill9()
            wait_until(cluster.leader, 40, "a leader")
            old = bus_of(node)
            result = kvcli(cluster.running, "address", node.id, "127.0.0.1:1")
            assert result.returncode == OK and "node %d is reached at 127.0.0.1:1" % node.id in result.stdout, result
            node.bus_port = free_ports(2)[1]
            result = kvcli(cluster.running, "address", node.id, bus_of(node))
            assert result.returncode == OK and "is reached at %s" % bus_of(node) in result.stdout, result
            assert bus_of(node) != old
            node.start()
            wait_until(lambda: cluster.leader().status()["member_%d" % node.id].find("active=yes") > 0
                       or cluster.leader() is node, 40, "node %d to be heard at its new address" % node.id)
            wait_until(lambda: "connected=no" not in str(cluster.leader().status()), 40, "all connections")
            cluster.leader().command("SET", "moved", str(node.id))
        result = kvcli(cluster.nodes, "address", 9, "127.0.0.1:1")
        assert result.returncode == SERVER_ERROR and "is not a member" in result.stderr, result
        assert kvcli(cluster.nodes, "address", 1, "nowhere").returncode == USAGE
        cluster.wait_until_equal()


def test_what_is_refused_or_prevented_says_why():
    """The exit code is 1 and the reason on stderr; wrong use is 2; nobody there is 3; Ctrl-C is 130 and takes nothing
    back."""
    with Growing(4, 3, RATHER_STEADY) as cluster:
        cluster.start()
        leader = cluster.leader()
        other, victim = cluster.followers()
        result = kvcli(cluster.nodes, "transfer", other.id)
        assert result.returncode == OK and "node %d leads" % other.id in result.stdout, result
        result = kvcli(cluster.nodes, "transfer", other.id)
        assert result.returncode == SERVER_ERROR and "leads already" in result.stderr, result
        result = kvcli(cluster.nodes, "transfer")
        assert result.returncode == OK and "node %d leads" % cluster.leader().id in result.stdout, result
        result = kvcli(cluster.nodes, "transfer", leader.id)
        assert cluster.leader() is leader, result
        result = kvcli(cluster.nodes, "promote", 9)
        assert result.returncode == SERVER_ERROR and "is not a member" in result.stderr, result
        assert kvcli(cluster.nodes, "add", 3, "nowhere").returncode == USAGE
        assert kvcli(["127.0.0.1:1"], "--timeout", "1s", "remove", 1).returncode == NOT_EXECUTED
        with Started(cluster.nodes, "add", 4, bus_of(cluster.node(4))) as run:
            wait_until(lambda: "has not come yet" in run.text(), 40, "to be told to start it")
            run.process.send_signal(signal.SIGINT)
            code, out, errors = run.end()
            assert code == INTERRUPTED and "what was begun goes on" in errors, (out, errors)
        assert cluster.kinds()[4] == "learner"
        victim.kill9()
        wait_until(lambda: "active=no" in leader.status()["member_%d" % victim.id], 40, "the loss to be noticed")
        result = kvcli(cluster.running, "remove", other.id)
        assert result.returncode == SERVER_ERROR, result
        assert "of its 2 voters only 1 are alive, and 2 are needed" in result.stderr and not result.stdout, result


@pytest.mark.seconds(200)
def test_a_leader_that_dies_in_the_middle_takes_nothing_with_it(capsys):
    """Killed while a snapshot is on its way to the new node: kvcli goes on with the next leader. (Answers that are lost:
    tests/unit/test_client_change_command.c.)"""
    with Growing(5, 4, dict(SHORT_LOG, **{"snapshot-rate": 1 << 20})) as cluster:
        cluster.start()
        fill(cluster.leader(), 3000)
        wait_until(lambda: fill(cluster.leader(), 100) or cluster.leader().status()["first_index"] > 5, 60,
                   "compaction", interval=0.2)
        with Started(cluster.nodes, "add", 5, bus_of(cluster.node(5))) as run:
            wait_until(lambda: len(cluster.kinds() or ()) == 5, 40, "the learner")
            cluster.join(cluster.node(5), cluster.leader())
            wait_until(lambda: "gets a snapshot" in run.text(), 40, "a snapshot")
            killed = cluster.leader()
            killed.kill9()
            code, out, errors = run.end(90)
        assert code == OK, (out, errors)
        assert "node 5 is a voter" in lines_of(out)[-1]
        report(capsys, "\n".join(lines_of(out)))
