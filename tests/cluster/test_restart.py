"""What is on disk is what was said: checkpoints and log replay give the same contents on every node."""

import random

import pytest

from kvd_cluster import STEADY, Cluster, rounds
from test_failover import wait_until_caught_up

SMALL_CHECKPOINTS = {"checkpoint-log-bytes": 64 * 1024, "checkpoint-idle": 300, **STEADY}


class Model:
    """What a map should hold after the same commands."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.data = {}

    def some_key(self):
        return "m:%d" % self.random.randrange(3000)

    def draw(self):
        draw, key = self.random.random(), self.some_key()
        if draw < 0.5:
            value = self.random.randbytes(self.random.choice((0, 10, 100, 100, 1000, 5000)))
            self.data[key] = value
            return "SET", key, value
        if draw < 0.65:
            self.data.pop(key, None)
            return "DEL", key
        if draw < 0.8:
            value = self.random.randbytes(30)
            self.data[key] = self.data.get(key, b"") + value
            return "APPEND", key, value
        if draw < 0.95:
            key = "n:" + key
            self.data[key] = b"%d" % (int(self.data.get(key, b"0")) + 1)
            return "INCR", key
        keys = [self.some_key() for _ in range(5)]
        self.data.update({k: b"mset" for k in keys})
        return ("MSET", *[word for k in keys for word in (k, b"mset")])

    def write(self, node, count):
        with node.connect(60) as connection:
            for _ in range(count // 100):
                for reply in connection.pipeline([self.draw() for _ in range(100)]):
                    assert isinstance(reply, int) or reply == "OK", reply

    def verify(self, node):
        with node.connect(60) as connection:
            connection.command("READONLY")
            assert connection.command("DBSIZE") == len(self.data)
            items = list(self.data.items())
            for start in range(0, len(items), 200):
                part = items[start:start + 200]
                assert connection.command("MGET", *[k for k, _ in part]) == [v for _, v in part]


@pytest.mark.tsan
def test_pitfall_11_checkpoints_and_replay_give_the_same_digest_on_all_nodes():
    """With a checkpoint every 64 KiB of log, all nodes killed between rounds of writes and an occasional
    FLUSHALL, every node holds exactly what the model holds."""
    with Cluster(settings=SMALL_CHECKPOINTS) as cluster:
        model = Model(1)
        for number in range(rounds(4)):
            leader = cluster.wait_for_leader()
            model.write(leader, 3000)
            if number == 1:
                assert leader.command("FLUSHALL") == "OK"
                model.data.clear()
                model.write(leader, 300)
            cluster.wait_until_equal()
            for node in cluster.nodes:
                node.kill9()
            cluster.restart_all()
            cluster.wait_for_leader()
            cluster.wait_until_equal()
            for node in cluster.nodes:
                model.verify(node)


def test_a_clean_end_and_a_start_keep_everything():
    """SIGTERM, start, and the same contents, digest and terms that only grow."""
    with Cluster(settings=SMALL_CHECKPOINTS) as cluster:
        model = Model(2)
        model.write(cluster.wait_for_leader(), 2000)
        before = cluster.wait_until_equal()
        for node in cluster.nodes:
            node.terminate()
        assert [node.wait_exit() for node in cluster.nodes] == [0, 0, 0]
        cluster.restart_all()
        cluster.wait_for_leader()
        after = cluster.wait_until_equal()
        assert after["digest"] == before["digest"] and after["key_count"] == before["key_count"]
        assert after["term"] > before["term"] or after["leader_id"]
        for node in cluster.nodes:
            model.verify(node)


@pytest.mark.tsan
def test_a_follower_that_was_away_catches_up_from_the_log():
    """A node that missed thousands of writes, with checkpoints on all others meanwhile, ends with the
    same contents."""
    with Cluster(settings=SMALL_CHECKPOINTS) as cluster:
        model = Model(3)
        leader = cluster.wait_for_leader()
        away = cluster.followers()[0]
        model.write(leader, 500)
        away.kill9()
        model.write(leader, 5000)
        away.start()
        wait_until_caught_up(cluster, away)
        cluster.wait_until_equal()
        model.verify(away)


def test_pitfall_11_a_node_killed_at_random_moments_of_its_checkpoints_applies_each_entry_once():
    """One follower is killed again and again while it writes checkpoints under load; counters and
    appended strings come out exact."""
    with Cluster(settings=SMALL_CHECKPOINTS) as cluster:
        model = Model(4)
        source = random.Random(4)
        for _ in range(rounds(8)):
            leader = cluster.wait_for_leader()
            victim = source.choice(cluster.followers())
            model.write(leader, source.randrange(200, 1200))
            victim.kill9()
            model.write(leader, 200)
            victim.start()
            wait_until_caught_up(cluster, victim)
        cluster.wait_until_equal()
        for node in cluster.nodes:
            model.verify(node)


def test_a_single_node_without_arguments_keeps_its_data(scratch):
    """kvd alone is a working single node: it serves, is killed, and has everything when it is back."""
    with Cluster(size=1) as cluster:
        node = cluster.nodes[0]
        model = Model(5)
        model.write(node, 1000)
        node.kill9()
        node.start()
        cluster.wait_for_leader()
        model.verify(node)
