"""Pitfall 27: bits that flip in the files of a node, while it runs or while it is down, are found and named; the others go
on, and what is altered is not served."""

import mmap
import os
import re
import shutil
import struct

import pytest

from growing import Growing
from kvcli import SERVER_ERROR, kvcli
from kvd_cluster import EXIT_CORRUPT, STEADY, Cluster, runs_under_sanitizer, wait_until
from resp import ConnectionLost, ErrorReply

SETTINGS = {
    **STEADY,
    "checkpoint-idle": "200ms",
    "scrub-rate": "64MiB",
    "scrub-pause": "200ms",
}
KEYS = 200


def value_of(number):
    return "value-%06d-" % number * 60


def fill(cluster):
    leader = cluster.wait_for_leader()
    with leader.connect() as connection:
        for number in range(KEYS):
            assert connection.command("SET", "key:%d" % number, value_of(number)) == "OK"
    wait_until(lambda: all(node.status()["map_durable_index"] >= KEYS for node in cluster.nodes), 60, "checkpoints")


def flip(node, folder, text):
    """Flips a bit in the middle of every place where the file has this text; also in a file that is in use, for what
    LMDB has mapped is the same page cache."""
    with open(os.path.join(node.directory, folder, "data.mdb"), "r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            places = []
            at = content.find(text)
            while at >= 0:
                places.append(at)
                at = content.find(text, at + 1)
        assert places, "nowhere in the file"
        for place in places:
            file.seek(place + len(text) // 2)
            byte = file.read(1)
            file.seek(place + len(text) // 2)
            file.write(bytes([byte[0] ^ 1]))


def damage_meta_record(victim):
    """In what lies on the disk, LMDB's leaf: the record's name, then its form and what follows."""
    flip(victim, "map-1", b"meta" + struct.pack("<I", 1))


def overwrite_head(victim):
    with open(os.path.join(victim.directory, "map-1", "data.mdb"), "r+b") as file:
        file.write(b"x" * 8192)


def put_old_log_back(victim):
    """The map has got further since."""
    path = os.path.join(victim.directory, "log", "data.mdb")
    shutil.copy(path, path + ".old")
    victim.start()
    leader = victim.cluster.wait_for_leader()
    for number in range(10):
        assert leader.command("SET", "later:%d" % number, "1") == "OK"
    last = leader.status()["last_index"]
    wait_until(lambda: (victim.status() or {}).get("map_durable_index", 0) >= last, 60, "a checkpoint")
    victim.kill9()
    os.rename(path + ".old", path)


def wait_for_damage(node, words):
    wait_until(lambda: (node.status() or {}).get("damage"), 60, "the damage to be found")
    assert words in node.status()["damage"]
    assert "damage-found" in node.last_log() and words in node.last_log()


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("folder", ["map-1", "log"])
def test_pitfall_27_a_flipped_bit_is_found_and_named(folder, running):
    with Cluster(3, SETTINGS) as cluster:
        fill(cluster)
        node = cluster.followers()[0]
        if not running:
            node.kill9()
        flip(node, folder, value_of(77).encode())
        if not running:
            node.start()
        wait_for_damage(node, "the key with hash" if folder == "map-1" else "log entry")
        others = [other for other in cluster.nodes if other is not node]
        assert all(other.status()["damage"] == "" for other in others)
        seen = kvcli(cluster.nodes, "status")
        assert seen.returncode == SERVER_ERROR and "kvcli replace %d " % node.id in seen.stdout, seen
        # The cluster serves all of it, and the node all but what is altered.
        leader = cluster.wait_for_leader()
        assert leader.command("GET", "key:77") == value_of(77).encode()
        assert node.read("GET", "key:78") == value_of(78).encode()
        if folder == "map-1":
            try:
                reply = node.read("GET", "key:77")
                assert isinstance(reply, ErrorReply), reply
            except ConnectionLost:
                pass
            assert node.wait_exit() == EXIT_CORRUPT
            assert "wrong checksum" in node.last_log()
        assert leader.command("SET", "after", "1") == "OK"


@pytest.mark.parametrize("damage, words", [
    (damage_meta_record, 'the record "meta" is damaged'),
    (overwrite_head, "not an LMDB file"),
    (put_old_log_back, "the map has applied entry"),
])
def test_damage_that_is_found_at_the_start_is_told_from_a_start_that_may_be_tried_again(damage, words):
    """Code 6 and what it is, each time: systemd does not start the node again."""
    with Cluster(3, SETTINGS) as cluster:
        fill(cluster)
        victim = cluster.followers()[0]
        victim.kill9()
        damage(victim)
        for _ in range(2):
            victim.start()
            assert victim.wait_exit() == EXIT_CORRUPT, victim.last_log()
            assert words in victim.last_log()
        assert cluster.wait_for_leader().command("GET", "key:77") == value_of(77).encode()


@pytest.mark.parametrize("running", [True, False])
def test_a_file_that_was_cut_short_is_damage(running):
    """LMDB reads what it has mapped, where nothing is and no call fails; or what the reserve made longer again."""
    if runs_under_sanitizer():
        pytest.skip("a sanitizer looks after the signal itself")
    with Cluster(3, SETTINGS) as cluster:
        fill(cluster)
        victim = cluster.followers()[0]
        if not running:
            victim.kill9()
        os.truncate(os.path.join(victim.directory, "map-1", "data.mdb"), 8192)  # the two heads
        if not running:
            victim.start()
        assert victim.wait_exit() == EXIT_CORRUPT, victim.last_log()
        assert re.search(r"cannot be read \(SIGBUS\)|Keep the directory for inspection", victim.last_log())
        assert cluster.wait_for_leader().command("GET", "key:77") == value_of(77).encode()


def test_pitfall_27_a_leader_whose_map_is_damaged_is_replaced_by_one_command():
    """Its snapshot breaks off at what is damaged: another one leads then, and sends what it could not."""
    with Growing(4, 3, {**SETTINGS, "log-tail-bytes": "1MiB", "checkpoint-log-bytes": "64KiB"}) as cluster:
        cluster.start()
        leader = cluster.leader()
        with leader.connect() as connection:
            for number in range(4000):
                assert connection.command("SET", "key:%d" % number, value_of(number)) == "OK"
        wait_until(lambda: leader.status()["first_index"] > 100, 60, "the log to be cut short")
        wait_until(lambda: all(node.status()["map_durable_index"] >= 3000 for node in cluster.nodes[:3]), 60,
                   "checkpoints")
        flip(leader, "map-1", value_of(77).encode())
        new = cluster.node(4)
        cluster.tell("REPLACE", leader.id, 4, "%s:%d" % (new.bus_host, new.bus_port))
        cluster.join(new, next(node for node in cluster.nodes[:3] if node is not leader))
        cluster.wait_for_voters(*(node.id for node in cluster.nodes if node is not leader))
        cluster.expect_removed(leader)
        assert new.read("GET", "key:77") == value_of(77).encode()
        cluster.wait_until_equal()


def test_a_sound_cluster_is_scrubbed_under_load_and_nothing_is_found():
    with Cluster(3, {**SETTINGS, "checkpoint-log-bytes": "64KiB"}) as cluster:
        leader = cluster.wait_for_leader()
        before = [node.status()["scrubs_total"] for node in cluster.nodes]
        with leader.connect() as connection:
            for number in range(4000):
                connection.command("SET", "key:%d" % (number * 7919 % 500), value_of(number)[:number % 700])
        wait_until(lambda: all(node.status()["scrubs_total"] > count + 2 for node, count in zip(cluster.nodes, before)),
                   60, "some passes")
        assert all(node.status()["damage"] == "" for node in cluster.nodes)
        cluster.wait_until_equal()
