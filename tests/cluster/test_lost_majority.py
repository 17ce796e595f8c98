"""A majority is lost for good: kvd force-new-cluster makes a cluster of the one node that is left."""

import re
import shutil
import subprocess
import time

import pytest

from growing import Growing
from kvd_cluster import EXIT_OK, EXIT_START, EXIT_USAGE, PATIENCE, kvd_binary, server_environment, wait_until
from resp import ErrorReply
from test_failover import report, wait_until_caught_up
from workload import WriterLoad


def force(node, *words):
    """Runs the command with the node's settings: its exit code and what it said."""
    done = subprocess.run([kvd_binary(), "force-new-cluster", *words, *node.arguments()[1:]], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60 * PATIENCE,
                          env=server_environment(node.log_path + ".force"))
    return done.returncode, done.stdout


def kept_beginning(load, node):
    """What the node has of each client's acknowledged writes, which came one after the other, is the beginning of them
    all. How many are there, and how many are not."""
    kept = lost = 0
    with node.connect(30) as connection:
        assert connection.command("READONLY") == "OK"
        for written in load.acknowledged:
            values = []
            items = list(written.items())
            for start in range(0, len(items), 500):
                values += connection.command("MGET", *[key for key, _ in items[start:start + 500]])
            right = [got == value.encode() for (_, value), got in zip(items, values)]
            count = right.index(False) if False in right else len(right)
            assert not any(right[count:]), "something is there that came after what is not"
            assert all(got is None for got in values[count:])
            kept += count
            lost += len(right) - count
    return kept, lost


@pytest.mark.seconds(120)
def test_pitfall_28_a_survivor_goes_on_alone_old_members_are_refused_and_new_ones_join(capsys):
    with Growing(3, 3) as cluster:
        cluster.start()
        with WriterLoad(cluster.addresses(), clients=4, reply_timeout=2.0, patience=0.5).start() as load:
            load.wait_for_success(0, wait_until)
            time.sleep(0.5)
            leader = cluster.leader()
            survivor, other = [node for node in cluster.nodes if node is not leader]
            leader.kill9()
            other.kill9()
            time.sleep(0.2)
        assert load.acknowledged_count() > 0
        assert isinstance(survivor.command("SET", "k", "v"), ErrorReply)

        # While it runs nothing is done to it; without the word nothing is done at all.
        code, said = force(survivor, "--accept-data-loss")
        assert code == EXIT_START and "in use by another kvd" in said, said
        survivor.kill9()
        code, said = force(survivor)
        assert code == EXIT_USAGE and "Nothing was changed. To do it, add --accept-data-loss." in said, said
        assert "LOST is what was acknowledged and is not in this log: everything after entry" in said
        assert force(survivor) == (code, said)
        wrong = {"id": other.id, "cluster": None}
        survivor.settings, settings = dict(survivor.settings, **wrong), survivor.settings
        code, said = force(survivor, "--accept-data-loss")
        assert code == EXIT_START and "it belongs to node %d" % survivor.id in said, said
        survivor.settings = settings

        code, said = force(survivor, "--accept-data-loss")
        assert code == EXIT_OK and "Done: node %d is cluster " % survivor.id in said, said
        code, again = force(survivor, "--accept-data-loss")
        assert code == EXIT_START and "made by this command before" in again, again

        survivor.start()
        assert wait_until(cluster.leader, 40, "a leader") is survivor
        kept, lost = kept_beginning(load, survivor)
        assert kept > 0
        report(capsys, "%d acknowledged writes kept, %d lost" % (kept, lost))
        assert survivor.command("SET", "after", "1") == "OK"
        status = survivor.status()
        assert status["forced"] == 1 and "node=%d," % survivor.id in status["forced_1"], status
        assert status["cluster_id"] in said and status["cluster_id"] not in status["forced_1"]

        # One of the old ones comes back with its data.
        other.start()
        wait_until(lambda: "whose majority was given up" in other.last_log(), 30, "the old member to be told")
        wait_until(lambda: "event=stranger-on-the-bus" in survivor.last_log(), 30, "the survivor to say so")
        assert "whose majority was given up" in survivor.last_log()
        time.sleep(3)  # it comes again every half second
        assert len(re.findall("event=stranger-on-the-bus .*whose majority was given up", survivor.last_log())) == 1
        assert other.status()["role"] != "leader"
        assert survivor.command("GET", "after") == b"1"
        other.kill9()

        for node in (other, leader):
            shutil.rmtree(node.directory)
            node.settings["cluster"] = None
            cluster.join(node, survivor)
        cluster.wait_for_voters(1, 2, 3)
        for node in cluster.nodes:
            wait_until_caught_up(cluster, node)
            assert node.read("GET", "after") == b"1"
            assert node.status()["forced_1"] == status["forced_1"]
            assert kept_beginning(load, node) == (kept, lost)
        cluster.wait_until_equal()
        survivor.kill9()
        survivor.start()
        wait_until(lambda: "event=cluster-was-forced" in survivor.last_log(), 30, "the start to say so")


def test_what_is_no_member_of_a_cluster_is_left_alone(tmp_path):
    """No directory, no other voter: the reason, and nothing is made."""
    with Growing(1, 1) as cluster:
        node = cluster.node(1)
        code, said = force(node, "--accept-data-loss")
        assert code == EXIT_START and "there is no data of a node here" in said, said
        cluster.start()
        node.kill9()
        code, said = force(node, "--accept-data-loss")
        assert code == EXIT_START and "the only voter of its cluster" in said, said
        node.start()
        wait_until(cluster.leader, 40, "a leader")
