"""Backups of real nodes: taken while clients write, interrupted, altered, restored, and held against what was
acknowledged."""

import json
import os
import random
import shutil
import signal
import subprocess

import pytest

from kvcli import INTERRUPTED, KVCLI, NOT_EXECUTED, OK, SERVER_ERROR, Started, environment, kvcli
from kvd_cluster import EXIT_CORRUPT, EXIT_OK, EXIT_START, EXIT_USAGE, STEADY, Cluster, run_kvd, wait_until
from resp import ErrorReply
from test_failover import report
from growing import Growing
from test_snapshot import fill
from workload import DONE, FollowingClient, Workload

pytestmark = pytest.mark.skipif(not os.path.exists(KVCLI), reason="kvcli is not built")


class Sequences(Workload):
    """Clients that each write 1, 2, 3, ... to keys of their own, one after the other, and a pair of keys that are
    always equal. Whatever state they are seen in, each has a first part of its keys, and equal pairs."""

    def __init__(self, addresses, clients=4):
        super().__init__()
        self.addresses = addresses
        self.acknowledged = [0] * clients
        self.sent = [0] * clients

    def start(self):
        for number in range(len(self.sent)):
            self.run(self._write, number)
        return self

    def _write(self, number):
        client = FollowingClient(self.addresses, seed=number)
        while not self.stopping:
            count = self.sent[number] + 1
            self.sent[number] = count
            outcome, _ = client.execute("MSET", "seq:%d:%d" % (number, count), count, "a:%d" % number, count,
                                        "b:%d" % number, count)
            assert outcome == DONE, outcome
            self.acknowledged[number] = count
        client.close()

    def check_restored(self, node, at_least, at_most):
        """Everything that was acknowledged before, nothing from after, and no hole."""
        with node.connect() as connection:
            for number, least in enumerate(at_least):
                last = int(connection.command("GET", "a:%d" % number) or 0)
                assert connection.command("GET", "b:%d" % number) == b"%d" % last
                assert least <= last <= at_most[number]
                replies = connection.pipeline([("GET", "seq:%d:%d" % (number, i)) for i in range(1, last + 2)])
                assert replies == [b"%d" % i for i in range(1, last + 1)] + [None]


def backup(nodes, path, *arguments):
    """The summary of a backup that must succeed."""
    result = kvcli(nodes, "--json", "backup", path, *arguments)
    assert result.returncode == OK, result
    return json.loads(result.stdout.splitlines()[-1])


def restore(path, directory, node_id=1):
    return run_kvd("restore", path, "--data", directory, "--id", node_id)


class Restored(Growing):
    """A cluster whose first node is one that was restored, and that others may join."""

    def __init__(self, path, size=1):
        super().__init__(size, 1)
        result = restore(path, self.nodes[0].directory)
        assert result.returncode == EXIT_OK, result
        self.said = result.stdout


@pytest.mark.seconds(200)
@pytest.mark.tsan
def test_a_backup_under_writers_holds_what_was_acknowledged_and_grows_again(capsys, scratch):
    """From a follower (which is the default) and from the leader; restored as a new cluster, which others join."""
    with Growing(3, 3, {"election-timeout": "1500ms"}) as cluster:
        cluster.start()
        fill(cluster.leader(), 2000)
        leader = cluster.leader()
        with Sequences(cluster.addresses()).start() as load:
            wait_until(lambda: min(load.acknowledged) > 20, 40, "writes")
            for name, arguments in (("follower", ()), ("leader", ("--from", leader.address))):
                path = os.path.join(scratch, name)
                before = list(load.acknowledged)
                made = backup(cluster.nodes, path, *arguments)
                after = list(load.sent)
                assert (made["node_id"] == leader.id) == (name == "leader")
                assert made["cluster_id"] == leader.status()["cluster_id"]
                assert not os.path.exists(path + ".part")
                verified = json.loads(kvcli(["127.0.0.1:1"], "--json", "verify", path).stdout)
                assert verified == made
                with Restored(path, 2) as restored:
                    node = restored.node(1)
                    node.start()
                    wait_until(restored.leader, 40, "a leader")
                    assert node.status()["cluster_id"] != made["cluster_id"]
                    assert node.status()["key_count"] == made["key_count"]
                    assert node.status()["digest"] == made["digest"]
                    assert made["cluster_id"] in restored.said
                    load.check_restored(node, before, after)
                    if name == "follower":
                        restored.join(restored.node(2), node)
                        restored.wait_for_voters(1, 2)
                        node.command("SET", "later", "1")
                        restored.wait_until_equal()
                report(capsys, "%s: %d keys, entry %d" % (name, made["key_count"], made["applied_index"]))
        cluster.wait_until_equal()
        old = cluster.followers()[0]
        old.kill9()
        shutil.rmtree(old.directory)
        result = restore(os.path.join(scratch, "leader"), old.directory, old.id)
        assert result.returncode == EXIT_OK, result
        # A restored node is no member of the cluster that the backup is from: that one goes on without it.
        old.start()
        wait_until(lambda: (old.status(2.0) or {}).get("role") == "leader", 40, "the restored node to lead itself")
        assert old.status()["cluster_id"] != leader.status()["cluster_id"]
        assert leader.command("SET", "k", "v") == "OK"
        assert old.command("GET", "k") is None


SLOW = dict(STEADY, **{"snapshot-rate": 1 << 20, "snapshot-pinned-bytes": 1 << 20, "checkpoint-log-bytes": 256 << 10})


@pytest.mark.seconds(200)
@pytest.mark.tsan
def test_a_backup_that_is_interrupted_leaves_no_file(scratch):
    """Ctrl-C, kill -9 of kvcli, pages that are pinned by it while all is written over, kill -9 and SIGTERM of the node:
    never a file of that name; the node lets go, and the next one succeeds over what was left."""
    path = os.path.join(scratch, "backup")
    with Cluster(1, SLOW) as cluster:
        node = cluster.node(1)
        fill(node, 3000)

        def under_way():
            return os.path.exists(path + ".part") and os.path.getsize(path + ".part") > 600 << 10

        with Started(cluster.nodes, "backup", path) as run:
            wait_until(under_way, 40, "a part of the backup")
            run.process.send_signal(signal.SIGINT)
            code, out, errors = run.end()
            assert code == INTERRUPTED and "interrupted" in errors, (out, errors)
            assert os.listdir(scratch) == []
        with Started(cluster.nodes, "backup", path) as run:
            wait_until(under_way, 40, "a part of the backup")
            run.process.kill()
            assert run.end()[0] == -signal.SIGKILL
            assert os.listdir(scratch) == ["backup.part"]
        os.unlink(path + ".part")
        with Started(cluster.nodes, "backup", path) as run:
            wait_until(under_way, 40, "a part of the backup")
            wait_until(lambda: fill(node, 1000) or run.process.poll() is not None, 40, "the limit to be met")
            code, out, errors = run.end()
            assert code == SERVER_ERROR and "see the setting snapshot-pinned-bytes" in errors, (out, errors)
            assert os.listdir(scratch) == []
        for end in (node.kill9, node.terminate):
            with Started(cluster.nodes, "backup", path) as run:
                wait_until(under_way, 40, "a part of the backup")
                end()
                code, out, errors = run.end()
                assert code == SERVER_ERROR and "was not written" in errors, (out, errors)
                assert os.listdir(scratch) == []
            node.wait_exit()
            node.start({"snapshot-rate": "100MiB"} if end == node.terminate else None)
            cluster.wait_for_leader()
        with open(path + ".part", "w") as file:
            file.write("left over")
        backup(cluster.nodes, path)
        assert os.listdir(scratch) == ["backup"]
        again = kvcli(cluster.nodes, "backup", path)
        assert again.returncode == SERVER_ERROR and "never overwrites" in again.stderr
        assert node.log_text().count("event=backup-failed") >= 2


def test_streams_are_bounded_and_a_client_that_does_not_read_holds_up_nobody():
    """Two at a time; what is not taken stays unread, not in memory; writes go on."""
    with Cluster(1, STEADY) as cluster:
        node = cluster.node(1)
        fill(node, 2000, value_bytes=10000)
        node.command("SET", "settle", "1")
        with node.connect() as first, node.connect() as second:
            for connection in (first, second):
                connection.send("RAFT", "BACKUP")
            wait_until(lambda: node.last_log().count("event=backup-begun") == 2, 40, "two backups")
            before = node.anonymous_bytes()
            refused = node.command("RAFT", "BACKUP")
            assert isinstance(refused, ErrorReply) and "as many backups as it may" in refused
            for i in range(200):
                assert node.command("SET", "k%d" % i, "v" * 1000) == "OK"
            assert node.anonymous_bytes() < before + (4 << 20)
            assert b"key_count:2001" in first.read_reply()
        wait_until(lambda: node.last_log().count("event=backup-failed") == 2, 40, "their end")
        # What was asked for before is answered before, also when it does not fit into the socket at once; nothing that
        # follows on the connection is taken for a command.
        with node.connect() as connection:
            for i in range(300):
                connection.send("GET", "key:%d" % i)
            connection.send("RAFT", "BACKUP")
            connection.send("SET", "never", "1")
            wait_until(lambda: node.last_log().count("event=backup-begun") == 3, 40, "a third one")
            for i in range(300):
                assert connection.read_reply().startswith(b"%d:x" % i)
            while not isinstance(connection.read_reply(), str):
                pass
            assert connection.read_until_closed() == b""
        assert node.command("GET", "never") is None


def test_without_a_leader_only_what_a_node_has_can_be_backed_up(scratch):
    """The default is refused, for nobody knows what is newest; --stale is the last way to save the data."""
    path = os.path.join(scratch, "backup")
    with Cluster(3) as cluster:
        leader = cluster.wait_for_leader()
        assert leader.command("SET", "k", "v") == "OK"
        cluster.wait_until_equal()
        left = cluster.followers()[0]
        for node in cluster.nodes:
            if node is not left:
                node.kill9()
        result = kvcli([left], "--timeout", "1s", "backup", path)
        assert result.returncode == NOT_EXECUTED and "--stale" in result.stderr, result
        assert os.listdir(scratch) == []
        assert backup([left], path, "--stale")["key_count"] == 1
        nobody = kvcli(["127.0.0.1:1"], "backup", path + "2")
        assert nobody.returncode == NOT_EXECUTED and os.listdir(scratch) == ["backup"]
    with Restored(path) as restored:
        restored.start()
        assert restored.node(1).command("GET", "k") == b"v"


def test_what_was_altered_or_cut_is_refused_everywhere(scratch):
    """kvcli verify, at many places; kvd restore, which leaves the directory as good as empty."""
    path, bad = os.path.join(scratch, "backup"), os.path.join(scratch, "bad")
    data = os.path.join(scratch, "data")
    with Cluster(1, STEADY) as cluster:
        fill(cluster.node(1), 700)
        made = backup(cluster.nodes, path)
    with open(path, "rb") as file:
        content = file.read()
    assert len(content) == made["bytes"] > 700000
    choose = random.Random(7)
    places = [0, 8, 20, 56, 60, 100, len(content) - 41, len(content) - 1] + choose.sample(range(len(content)), 12)
    altered = [content[:at] + bytes([content[at] ^ (1 << choose.randrange(8))]) + content[at + 1:] for at in places]
    cuts = [0, 1, 55, 56, 80, len(content) // 2, len(content) - 40, len(content) - 1]
    altered += [content[:cut] for cut in cuts] + [content + b"x", b"", b"kvd" * 100]
    for number, bad_content in enumerate(altered):
        with open(bad, "wb") as file:
            file.write(bad_content)
        result = subprocess.run([KVCLI, "verify", bad], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=environment())
        assert result.returncode == SERVER_ERROR and bad in result.stderr and not result.stdout, (number, result)
        if number % 4 == 0:
            result = restore(bad, data)
            assert result.returncode in (EXIT_CORRUPT, EXIT_START) and bad in result.stderr, (number, result)
    assert kvcli(["127.0.0.1:1"], "verify", path).returncode == OK
    other = os.path.join(scratch, "other")
    os.mkdir(other)
    with open(os.path.join(other, "mine"), "w") as file:
        file.write("x")
    result = restore(path, other)
    assert result.returncode == EXIT_START and "not empty" in result.stderr
    assert os.listdir(other) == ["mine"]
    assert restore(path, data).returncode == EXIT_OK
    result = restore(path, data)
    assert result.returncode == EXIT_START and "belongs to node 1 already" in result.stderr


def test_restore_needs_a_file_and_nothing_else(scratch):
    data = os.path.join(scratch, "data")
    for arguments, said in ((["restore"], "which backup?"), (["restore", "--data", data], "which backup?"),
                            (["restore", "a", "b"], '"b" is not a flag'), (["restore", "a", "--nonsense", "1"], "nonsense"),
                            (["--data", data, "restore"], '"restore" is not a flag')):
        result = run_kvd(*arguments)
        assert result.returncode == EXIT_USAGE and said in result.stderr, (arguments, result)
    for arguments in (["restore", "--help"], ["restore", "a", "--help"]):
        result = run_kvd(*arguments)
        assert result.returncode == EXIT_OK and "kvd restore FILE" in result.stdout
    assert not os.path.exists(data)
