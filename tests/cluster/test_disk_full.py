"""Pitfall 19: disks that run full under load, on one node, on a majority, on all. What grows is refused with a clear
error, or goes to a leader that has room; deletions go on; it all clears by itself; nothing acknowledged is lost."""

import contextlib
import time

import pytest

from kvcli import SERVER_ERROR, kvcli
from kvd_cluster import STEADY, Cluster, wait_until
from resp import ErrorReply
from small_disk import SmallDisk, why_not
from workload import DONE, NOT_DONE, FollowingClient

REASONS = {kind: why_not(kind) for kind in ("tmpfs", "ext4")}
KINDS = [pytest.param(kind, marks=pytest.mark.skipif(REASONS[kind] is not None, reason="%s: %s" % (kind, REASONS[kind])))
         for kind in REASONS]
pytestmark = [pytest.mark.skipif(REASONS["tmpfs"] is not None, reason="full disks: %s" % REASONS["tmpfs"])]

SETTINGS = {
    **STEADY,
    "disk-reserve": "8MiB",
    "checkpoint-log-bytes": "512KiB",
    "checkpoint-idle": "300ms",
    "log-tail-bytes": "1MiB",
    "write-buffer-bytes": "4MiB",
}
DISK_MEGABYTES = 64
VALUE_BYTES = 30000


def cluster_on(disks, size=3, settings=None):
    """Node i + 1 on disks[i]; those without one where other tests have theirs."""

    def configure(cluster):
        for node, disk in zip(cluster.nodes, disks):
            node.directory = disk.path + "/data"

    return Cluster(size, {**SETTINGS, **(settings or {})}, configure=configure)


class Load:
    """Writes keys of its own, and remembers what was acknowledged. Slower once a disk is low: while others have room that
    node goes on with its reserve, and one that has used it up waits for room on its disk. Here they are to be low
    together."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.client = FollowingClient(cluster.addresses(), 30.0, seed=1)
        self.acknowledged = {}
        self.count = 0

    def write(self):
        """None, or the error."""
        self.count += 1
        key = "full:%d" % self.count
        value = "%08d" % self.count * (VALUE_BYTES // 8)
        outcome, reply = self.client.execute("SET", key, value, patience=60.0)
        if outcome == DONE:
            self.acknowledged[key] = value.encode()
            return None
        assert outcome == NOT_DONE, "a write whose outcome is not known: %r" % (reply,)
        return reply

    def write_until_refused(self, seconds=120):
        deadline = time.monotonic() + seconds
        pause = 0
        while time.monotonic() < deadline:
            error = self.write()
            if self.count % 20 == 0 and low_nodes(self.cluster):
                pause = 0.01
            time.sleep(pause)
            if error is not None:
                assert error.startswith("OOM command not allowed: too few nodes have room left on their disks"), error
                return
        raise AssertionError("never refused")

    def delete_some(self, share):
        keys = list(self.acknowledged)[:int(len(self.acknowledged) * share)]
        for start in range(0, len(keys), 50):
            part = keys[start:start + 50]
            outcome, reply = self.client.execute("DEL", *part, patience=60.0)
            assert outcome == DONE and reply == len(part), reply
            for key in part:
                del self.acknowledged[key]

    def read(self, *arguments):
        """A read may be asked again when its connection broke."""
        for _ in range(3):
            outcome, reply = self.client.execute(*arguments, patience=60.0)
            if outcome == DONE:
                return reply
        raise AssertionError("a read was not answered: %r" % (reply,))

    def verify(self):
        keys = list(self.acknowledged)
        for start in range(0, len(keys), 50):
            part = keys[start:start + 50]
            reply = self.read("MGET", *part)
            assert reply == [self.acknowledged[key] for key in part]


def low_nodes(cluster):
    return [node.id for node in cluster.running if (node.status() or {}).get("low_space") == "yes"]


def wait_until_clear(cluster, load):
    wait_until(lambda: not low_nodes(cluster), 60, "low space to end by itself")
    wait_until(lambda: load.write() is None, 60, "a write that is taken")


@pytest.mark.parametrize("kind", KINDS)
def test_pitfall_19_a_node_alone_refuses_what_grows_until_something_is_deleted(kind):
    with SmallDisk(DISK_MEGABYTES, kind) as disk, cluster_on([disk], size=1) as cluster:
        load = Load(cluster)
        node = cluster.nodes[0]
        load.write_until_refused()
        assert low_nodes(cluster) == [1]
        assert "low-space" in node.log_text()
        seen = kvcli(cluster.nodes, "status")
        assert seen.returncode == SERVER_ERROR and "node 1 is low on space" in seen.stdout, seen
        assert len(load.acknowledged) * VALUE_BYTES > DISK_MEGABYTES * (1 << 20) / 8  # much of the disk was used
        assert load.read("GET", "full:1") is not None
        assert isinstance(node.command("APPEND", "full:1", "x"), ErrorReply)
        node.kill9()
        node.start()
        cluster.wait_for_leader()
        load.verify()
        load.delete_some(0.8)
        wait_until_clear(cluster, load)
        assert "low-space-ended" in node.log_text()
        load.verify()
        node.kill9()
        node.start()
        cluster.wait_for_leader()
        load.verify()


def small_disks(count):
    stack = contextlib.ExitStack()
    return stack, [stack.enter_context(SmallDisk(DISK_MEGABYTES)) for _ in range(count)]


def test_pitfall_19_a_leader_whose_disk_is_full_hands_over_and_no_client_sees_an_error():
    stack, disks = small_disks(3)
    # The others keep what it will lack.
    with stack, cluster_on(disks, settings={"log-tail-bytes": "8MiB"}) as cluster:
        load = Load(cluster)
        small = cluster.wait_for_leader()
        for node, disk in zip(cluster.nodes, disks):
            if node is not small:
                disk.grow(DISK_MEGABYTES * 16)
        while not low_nodes(cluster):
            assert load.write() is None
        wait_until(lambda: cluster.find_leader() not in (None, small), 40, "another leader")
        for _ in range(20):
            assert load.write() is None
        assert "handing-over node=%d reason=low-space" % small.id in small.log_text()
        assert cluster.wait_for_leader().status()["low_space_nodes"] == small.id
        # Until nothing fits any more: it falls behind, and stays alive.
        for _ in range(DISK_MEGABYTES // 2 * (1 << 20) // VALUE_BYTES):
            assert load.write() is None
        assert small.running
        assert small.status()["applied_index"] < cluster.find_leader().status()["applied_index"]
        disks[small.id - 1].grow(DISK_MEGABYTES * 16)
        wait_until_clear(cluster, load)
        cluster.wait_until_equal()
        load.verify()


@pytest.mark.parametrize("full", [2, 3])
def test_pitfall_19_a_majority_without_room_refuses_what_grows(full):
    stack, disks = small_disks(full)
    with stack, cluster_on(disks) as cluster:
        load = Load(cluster)
        load.write_until_refused()
        assert len(low_nodes(cluster)) >= 2
        load.verify()
        load.delete_some(0.8)
        wait_until_clear(cluster, load)
        load.verify()
        cluster.wait_until_equal()
        assert all(node.running for node in cluster.nodes)


def test_pitfall_19_all_nodes_killed_while_their_disks_are_full_lose_nothing():
    stack, disks = small_disks(3)
    with stack, cluster_on(disks) as cluster:
        load = Load(cluster)
        load.write_until_refused()
        for disk in disks:
            disk.take(0)  # not even what is left
        for node in cluster.nodes:
            node.kill9()
        cluster.restart_all()
        cluster.wait_for_leader()
        load.verify()
        load.delete_some(0.8)  # within the reserve
        wait_until_clear(cluster, load)
        load.verify()
        cluster.wait_until_equal()


@pytest.mark.parametrize("kind", KINDS)
def test_pitfall_19_room_that_others_took_and_give_back_is_noticed(kind):
    with SmallDisk(DISK_MEGABYTES, kind) as disk, cluster_on([disk], size=1) as cluster:
        load = Load(cluster)
        for _ in range(20):
            assert load.write() is None
        disk.take(64 * 1024)
        load.write_until_refused()
        assert low_nodes(cluster) == [1]
        disk.give_back()
        wait_until_clear(cluster, load)
        load.verify()
