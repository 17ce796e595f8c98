"""redis-py as Debian ships it (python3-redis): Redis and RedisCluster, unmodified, against any node and through failovers."""

import threading
import time

import pytest

from kvd_cluster import Cluster, rounds, wait_until
from test_failover import wait_until_caught_up

redis = pytest.importorskip("redis", reason="redis-py is not installed (package python3-redis)")


def plain(node, **options):
    return redis.Redis(host=node.host, port=node.client_port, socket_timeout=10, **options)


def clustered(node, **options):
    return redis.RedisCluster(host=node.host, port=node.client_port, socket_timeout=10, **options)


def test_redis_at_the_leader(shared_cluster):
    """The plain client: strings, counters, pipelines, expiry, SCAN, INFO, CLIENT."""
    client = plain(shared_cluster.wait_for_leader())
    assert client.ping()
    assert client.set("py:k", b"\x00\xff") and client.get("py:k") == b"\x00\xff"
    assert client.set("py:k", "x", nx=True) is None
    assert client.set("py:k", "x", get=True) == b"\x00\xff"
    assert client.incr("py:n", 5) == 5 and client.decr("py:n") == 4
    assert client.append("py:s", "abc") == 3 and client.strlen("py:s") == 3
    assert client.mset({"py:a": 1, "py:b": 2}) and client.mget("py:a", "py:none", "py:b") == [b"1", None, b"2"]
    assert client.expire("py:a", 100) and 0 < client.ttl("py:a") <= 100
    assert client.persist("py:a") and client.ttl("py:a") == -1
    assert client.delete("py:a", "py:none") == 1 and client.exists("py:a", "py:b") == 1
    assert b"py:b" in set(client.scan_iter("py:*"))
    pipe = client.pipeline(transaction=False)
    for i in range(100):
        pipe.set("py:p:%d" % i, i)
        pipe.get("py:p:%d" % i)
    assert pipe.execute() == [x for i in range(100) for x in (True, b"%d" % i)]
    info = client.info()
    assert info["redis_mode"] == "cluster" and info["role"] == "master" and info["loading"] == 0
    client.client_setname("me")
    assert client.client_getname() in ("me", b"me")
    assert any(c["name"] == "me" for c in client.client_list())
    assert client.dbsize() > 100
    with pytest.raises(redis.ResponseError):
        client.incr("py:k")


def test_redis_at_a_follower_gets_a_moved_error(shared_cluster):
    """The plain client does not follow, and is told where to go."""
    for node in shared_cluster.followers():
        client = plain(node)
        assert client.ping()
        with pytest.raises(redis.ResponseError, match="MOVED 12182"):
            client.set("foo", "bar")


def test_redis_cluster_works_from_any_node(shared_cluster):
    """RedisCluster started from each single node: whole topology, reads and writes, keyless commands, pipelines."""
    for node in shared_cluster.nodes:
        client = clustered(node)
        leader = shared_cluster.wait_for_leader()
        assert len(client.get_nodes()) == 3
        assert [n.port for n in client.get_primaries()] == [leader.client_port]
        for i in range(50):
            assert client.set("pyc:%d:%d" % (node.id, i), i)
            assert client.get("pyc:%d:%d" % (node.id, i)) == b"%d" % i
        assert client.mset_nonatomic({"pyc:a": 1, "pyc:b": 2})
        assert client.mget_nonatomic("pyc:a", "pyc:b") == [b"1", b"2"]
        assert client.incr("pyc:n") >= 1
        pipe = client.pipeline()
        for i in range(20):
            pipe.set("pyc:p:%d" % i, i)
        assert all(pipe.execute())
        assert client.dbsize() > 0
        assert client.ping()
        client.close()


def test_redis_cluster_reads_from_replicas(shared_cluster):
    """read_from_replicas=True: reads go to followers after READONLY and see the last write."""
    client = clustered(shared_cluster.nodes[0], read_from_replicas=True)
    for i in range(100):
        assert client.set("pyc:replica", i)
        assert client.get("pyc:replica") == b"%d" % i
    client.close()


@pytest.mark.seconds(300)
@pytest.mark.parametrize("how", ["kill9", "terminate"])
def test_pitfall_29_redis_cluster_follows_failovers(how):
    """While the leader dies again and again, RedisCluster clients go on by themselves; every acknowledged SET is there,
    and a counter is at least what was acknowledged (redis-py resends after a lost connection, so it may be more, by at most
    the number of failovers times tries)."""
    with Cluster() as cluster:
        stop = threading.Event()
        acknowledged, errors, counted = [{} for _ in range(4)], [], [0] * 4
        last_success = [0.0] * 4

        def write(number):
            client = clustered(cluster.nodes[number % 3])
            count = 0
            while not stop.is_set():
                count += 1
                try:
                    if client.set("pf:%d:%d" % (number, count), count):
                        acknowledged[number]["pf:%d:%d" % (number, count)] = b"%d" % count
                    client.incr("pf:counter:%d" % number)
                    counted[number] += 1
                    last_success[number] = time.monotonic()
                except redis.RedisError as error:
                    errors.append("%.3f %s: %s" % (time.monotonic(), type(error).__name__, error))
                time.sleep(0.002)
            client.close()

        threads = [threading.Thread(target=write, args=(i,), daemon=True) for i in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(rounds(4)):
                leader = cluster.wait_for_leader()
                time.sleep(0.3)
                if how == "kill9":
                    leader.kill9()
                else:
                    leader.terminate()
                    leader.wait_exit()
                moment = time.monotonic()
                wait_until(lambda: all(t > moment for t in last_success), 15, "every RedisCluster client to write again")
                leader.start()
                wait_until_caught_up(cluster, leader)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        cluster.wait_until_equal()
        client = plain(cluster.wait_for_leader())
        for number, written in enumerate(acknowledged):
            assert len(written) > 20
            keys = list(written)
            for start in range(0, len(keys), 500):
                part = keys[start:start + 500]
                assert client.mget(part) == [written[key] for key in part]
            assert int(client.get("pf:counter:%d" % number)) >= counted[number]
        unexpected = [e for e in errors if "UNKNOWN" not in e and "ConnectionError" not in e
                      and "TimeoutError" not in e and "ClusterDown" not in e]
        assert not unexpected, unexpected[:5]


def test_redis_cluster_can_start_while_there_is_no_leader(cluster):
    """Every node answers CLUSTER SLOTS without a leader: a client that starts in the middle of an outage loads the topology,
    and works as soon as a majority is back."""
    leader = cluster.wait_for_leader()
    survivor, other = cluster.followers()
    other.kill9()
    leader.kill9()
    client = clustered(survivor)
    assert len(client.get_nodes()) == 3
    leader.start()
    other.start()
    cluster.wait_for_leader(20)

    def writes():
        try:
            return client.set("after", "outage")
        except redis.RedisError:
            return False

    wait_until(writes, 15, "the client to write")
    assert client.get("after") == b"outage"
    client.close()
