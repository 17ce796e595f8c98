#!/usr/bin/python3
"""What it costs clients when members come and go.

    members.py life                       1 -> 3 -> 5 nodes, every node replaced, then down to 3, under load
    members.py join --keys 10000000       a new node joins three that hold so many keys

The load is redis-benchmark at the leader, in slices of half a second, and clients that remember every answer (tests/cluster/workload.py); at
the end every acknowledged write must be on every node. A step's p99 is that of the slices that have a part in it (median
and worst), beside that of the calm seconds before it: look at the ratio. All nodes, the load and the disk are one machine.
"""
import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))
from growing import Growing  # noqa: E402
from kvd_cluster import wait_until  # noqa: E402
from workload import WriterLoad  # noqa: E402

from loads import missing_redis_benchmark  # noqa: E402
from steady_load import SteadyLoad, median_of, worst_of  # noqa: E402

PATIENCE_S = 900
VALUE_BYTES = 100
KEYS_AT_A_TIME = 500


def say(text=""):
    print(text, flush=True)


def leader_port_of(cluster):
    def find():
        leader = cluster.leader()
        return leader.client_port if leader else None
    return find


def fill(cluster, keys):
    """keys keys of VALUE_BYTES bytes, with progress."""
    begun = told = time.monotonic()
    value = "v" * VALUE_BYTES
    window = 8
    with cluster.leader().connect(120) as connection:
        waiting = 0
        for first in range(0, keys, KEYS_AT_A_TIME):
            words = ["MSET"]
            for i in range(first, min(first + KEYS_AT_A_TIME, keys)):
                words += ["filled:%012d" % i, value]
            connection.send(*words)
            waiting += 1
            if waiting == window:
                assert connection.read_reply() == "OK"
                waiting -= 1
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say("  filled %d of %d keys in %.0f s" % (first, keys, told - begun))
        while waiting:
            assert connection.read_reply() == "OK"
            waiting -= 1
    say("  %d keys of %d bytes in %.0f s" % (keys, VALUE_BYTES, time.monotonic() - begun))


class Steps:
    """The time line of a run: named steps with calm seconds before each."""

    def __init__(self, load, calm_seconds):
        self.load = load
        self.calm_seconds = calm_seconds
        self.rows = []  # (name, calm begun, begun, done)

    def run(self, name, action):
        calm = time.monotonic()
        time.sleep(self.calm_seconds)
        begun = time.monotonic()
        action()
        done = time.monotonic()
        self.rows.append((name, calm, begun, done))
        say("  %-28s %7.2f s" % (name, done - begun))

    def table(self, writers):
        say()
        say("| step | done after | longest gap | calm p99 | p99: median slice | worst slice | ratio | SET/s, calm | meanwhile |")
        say("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        gaps = writers.gaps_around([begun for _, _, begun, _ in self.rows])
        for (name, calm_at, begun, done), gap in zip(self.rows, gaps):
            calm = self.load.within(calm_at, begun)
            busy = self.load.between(begun, done)
            base, p99 = median_of(calm, "p99"), median_of(busy, "p99")
            say("| %s | %.2f s | %.3f s | %s | %s | %s | %s | %s | %s |" % (
                name, done - begun, gap, milliseconds(base), milliseconds(p99), milliseconds(worst_of(busy, "p99")),
                "%.2f" % (p99 / base) if base and p99 else "-", rate(median_of(calm, "rps")), rate(median_of(busy, "rps"))))
        say()
        say("slices of load ended by a redirect: %d of %d" % (
            len(self.load.interrupted), len(self.load.interrupted) + len(self.load.slices)))


def milliseconds(value):
    return "-" if value is None else "%.2f ms" % value


def rate(value):
    return "-" if value is None else "%.0f" % value


def run_life(options):
    """1 -> options.nodes nodes; each replaced: node i by node options.nodes + i; then down to `left`, the oldest first."""
    most = options.nodes
    left = min(3, most - 1)
    with Growing(2 * most, 1, {"log-level": "info", **settings(options)}) as cluster:
        cluster.start()
        fill(cluster, options.keys)
        writers = WriterLoad(cluster.addresses(), clients=2, pause=0.005)
        with SteadyLoad(leader_port_of(cluster), clients=options.clients) as load, writers.start():
            steps = Steps(load, options.calm)

            def join(count):
                cluster.join(cluster.node(count), cluster.leader())
                cluster.wait_for_voters(*range(1, count + 1), seconds=PATIENCE_S)

            def replace(old):
                new = cluster.node(old + most)
                cluster.tell("REPLACE", old, new.id, "%s:%d" % (new.bus_host, new.bus_port))
                cluster.join(new, cluster.leader())
                cluster.wait_for_voters(*range(old + 1, old + most + 1), seconds=PATIENCE_S)
                cluster.expect_removed(cluster.node(old))

            def remove(node_id):
                cluster.tell("REMOVE", node_id)
                cluster.wait_for_voters(*range(node_id + 1, 2 * most + 1), seconds=PATIENCE_S)
                cluster.expect_removed(cluster.node(node_id))

            def leads(node_id):
                return " (leads)" if cluster.leader() is cluster.node(node_id) else ""

            for count in range(2, most + 1):
                steps.run("%d -> %d nodes" % (count - 1, count), lambda: join(count))
            for old in range(1, most + 1):
                steps.run("replace node %d%s" % (old, leads(old)), lambda: replace(old))
            for node_id in range(most + 1, 2 * most - left + 1):
                steps.run("remove node %d%s" % (node_id, leads(node_id)), lambda: remove(node_id))
            time.sleep(options.calm)
        steps.table(writers)
        cluster.wait_until_equal()
        for node in cluster.nodes[2 * most - left:]:
            writers.verify_on(node)
        errors = [error for client in writers.clients for error in client.other_errors]
        say("%d keys acknowledged to the checking clients, all of them on every node; %d outcomes unknown, %d unexpected errors" % (
            writers.acknowledged_count(), writers.unknown_count(), len(errors)))
        return 1 if errors else 0


def run_join(options):
    with Growing(3 + options.rounds, 3, {"log-level": "info", **settings(options)}) as cluster:
        cluster.start()
        fill(cluster, options.keys)
        writers = WriterLoad(cluster.addresses(), clients=2, pause=0.005)
        with SteadyLoad(leader_port_of(cluster), clients=options.clients) as load, writers.start():
            steps = Steps(load, options.calm)
            for number in range(4, 4 + options.rounds):
                new = cluster.node(number)

                def join():
                    cluster.join(new, cluster.followers()[0])
                    cluster.wait_for_voters(1, 2, 3, number, seconds=PATIENCE_S)

                steps.run("join of node %d" % number, join)
                installed = [line for line in new.last_log().splitlines() if "snapshot" in line]
                say("\n".join("    " + line for line in installed[-4:]))
                wait_until(lambda: new.status()["key_count"] >= options.keys, 60, "all keys on the new node")
                if number < 3 + options.rounds:
                    cluster.tell("REMOVE", number)
                    cluster.expect_removed(new)
        steps.table(writers)
        for name, _, begun, done in steps.rows:
            say("%s: %d keys, %.0f keys a second, %.1f MB of values a second" % (
                name, options.keys, options.keys / (done - begun), options.keys * VALUE_BYTES / 1e6 / (done - begun)))
        cluster.wait_until_equal(300)
        writers.verify_on(cluster.leader())
    return 0


def settings(options):
    pairs = [word.split("=", 1) for word in options.kvd_option]
    return {name: value for name, value in pairs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["life", "join"])
    parser.add_argument("--keys", type=int, default=100000, help="keys before it begins (100000)")
    parser.add_argument("--clients", type=int, default=50, help="connections of redis-benchmark (50)")
    parser.add_argument("--calm", type=float, default=5.0, help="seconds of load alone before each step (5)")
    parser.add_argument("--nodes", type=int, default=5, help="life: the most at a time, 2 or more (5)")
    parser.add_argument("--rounds", type=int, default=3, help="join: new nodes, one after the other (3)")
    parser.add_argument("--kvd-option", action="append", default=[], metavar="NAME=VALUE", help="a setting of every node")
    options = parser.parse_args()
    if options.nodes < 2:
        parser.error("--nodes: 2 or more")
    if missing_redis_benchmark():
        print("members: %s" % missing_redis_benchmark(), file=sys.stderr)
        return 1
    os.environ.setdefault("KVD_TEST_DIR", "/var/tmp")
    return run_life(options) if options.what == "life" else run_join(options)


if __name__ == "__main__":
    sys.exit(main())
