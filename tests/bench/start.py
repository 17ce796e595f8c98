"""start.py: how long a node takes from exec until it takes part again.

Of three nodes one is down, so that nothing is acknowledged without the node that is started: the time until a write is, is
the time until that node has recognised the leader, appended and acknowledged. Three manners: after a clean stop; after
kill -9 under load; and all three nodes killed at once under load, where they must vote as well and an election timeout of
one to two times a second is part of the time.
"""
import statistics
import time

from kvd_cluster import wait_until
from loads import Load, OwnLoadRunning
from resp import Connection, ConnectionLost, ReplyTimeout
from workload import DONE, FollowingClient

LOAD_S = 1.0
PATIENCE_S = 60


def answers(node):
    """Seconds until RAFT STATUS is answered by a node that was just started: from then on it votes."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE_S:
        try:
            with Connection(node.address, 5) as connection:
                if b"role:" in connection.command("RAFT", "STATUS"):
                    return time.monotonic() - begun
        except (ConnectionLost, ReplyTimeout, TypeError):
            pass
        time.sleep(0.002)
    raise AssertionError("node %d does not answer" % node.id)


def acknowledged(nodes, begun):
    """Seconds since `begun` until a write through any of these nodes is acknowledged."""
    client = FollowingClient([node.address for node in nodes], reply_timeout=1.0, seed=1)
    client.next_address = nodes[0].address
    try:
        while time.monotonic() - begun < PATIENCE_S:
            outcome, _ = client.execute("SET", "start:probe", "v", patience=PATIENCE_S)
            if outcome == DONE:
                return time.monotonic() - begun
    finally:
        client.close()
    raise AssertionError("no write is acknowledged")


def has_applied(node, index):
    return wait_until(lambda: (node.status() or {}).get("applied_index", 0) >= index, PATIENCE_S, "replay")


def under_load(bench, kvd, size, act):
    """Writes for a second, then act() while they go on."""
    load = Load("set", 50, 1, 100, size)
    with OwnLoadRunning(bench.options.build, kvd.port(), load) as running:
        time.sleep(LOAD_S if bench.level.faults > 2 else 0.2)
        running.check()
        act()


def one_start(bench, kvd, size, is_killed):
    """(until it answers, until a write is acknowledged, until it has applied what the leader had)."""
    leader = kvd.leader()
    node, helper = [other for other in kvd.cluster.nodes if other is not leader]
    if is_killed:
        helper.kill9()
        under_load(bench, kvd, size, node.kill9)
    else:
        node.terminate()
        assert node.wait_exit() == 0
        helper.kill9()
    last = leader.status()["commit_index"]
    begun = time.monotonic()
    node.start()
    until_answer = answers(node)
    until_write = acknowledged([leader, node], begun)
    has_applied(node, last)
    until_applied = time.monotonic() - begun
    helper.start()
    kvd.cluster.wait_until_all_follow()
    has_applied(helper, last)
    return until_answer, until_write, until_applied


def all_killed(bench, kvd, size):
    def kill():
        for node in kvd.cluster.nodes:
            node.kill9()
    under_load(bench, kvd, size, kill)
    begun = time.monotonic()
    for node in kvd.cluster.nodes:
        node.start()
    until_write = acknowledged(kvd.cluster.nodes, begun)
    kvd.cluster.wait_until_all_follow()
    return until_write


def measure(bench, kvd, size, is_largest):
    """{manner: median seconds}."""
    found = {}
    for is_killed, manner in ((False, "clean stop"), (True, "kill -9 under load")):
        for number in range(1, bench.level.starts + 1):
            times = one_start(bench, kvd, size, is_killed)
            for what, seconds in zip(("answers", "acknowledges", "has applied all"), times):
                bench.book.note("start", "%d keys, %s: %s" % (size, manner, what), "kvd", number, seconds, "s")
                found.setdefault("%s: %s" % (manner, what), []).append(seconds)
            if is_killed and is_largest:
                bench.book.note("start", "most keys, killed: acknowledges", "kvd", number, times[1], "s")
            bench.say("start with %d keys after %s: answers after %.3f s, acknowledges after %.3f s, has applied all after "
                      "%.3f s" % (size, manner, *times))
    for number in range(1, bench.level.starts + 1):
        seconds = all_killed(bench, kvd, size)
        bench.book.note("start", "%d keys, all three killed: first write" % size, "kvd", number, seconds, "s")
        bench.say("start of all three with %d keys after kill -9 under load: first write after %.3f s" % (size, seconds))
    return {manner: statistics.median(seconds) for manner, seconds in found.items()}
