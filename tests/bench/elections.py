"""elections.py: the heaviest load, for long, and nobody campaigns: a leader that works is heard in time.

Loads of different kinds take turns, of a minute at most each; load generator and three nodes share the processors. Counted is
each change of a node's role by its log, an inquiry for votes (pre-candidate) included, and each term that began. A single one
is one too many: the part fails, and names them.
"""
import os
import time

from loads import BenchError, Load, own_load
from systems import running

TURN_S = 60
LOADS = (Load("set", 256), Load("set", 50, 16), Load("mix", 1000), Load("set", 50, 1, 10000, 10000), Load("get", 256, 16),
         Load("set", 256, 16))


def role_changes(cluster):
    return [line for node in cluster.nodes for line in node.log_text().splitlines() if "role-changed" in line]


def run(bench):
    with running(["kvd"], os.path.join(bench.directory, "elections"), bench.options, bench.say,
                 settings={"log-level": "info"}) as systems:
        for kvd in systems:
            measure(bench, kvd)


def measure(bench, kvd):
    leader = kvd.leader()
    kvd.cluster.wait_until_all_follow()
    kvd.fill(max(load.keys for load in LOADS))  # meanwhile the logs of the first election are written out
    term, before = leader.status()["term"], len(role_changes(kvd.cluster))
    seconds_each = min(TURN_S, bench.level.election_seconds / len(LOADS))
    turns = max(len(LOADS), round(bench.level.election_seconds / seconds_each))
    for number in range(turns):
        load = LOADS[number % len(LOADS)]
        name = "elections-%s-%d%s" % (load.operation, load.clients, "x%d" % load.pipeline if load.pipeline > 1 else "")
        bench.book.take("elections", name, number // len(LOADS) + 1, kvd, load,
                        lambda load=load: own_load(bench.options.build, kvd.port(), load, seconds=seconds_each))
    time.sleep(1)
    changes = role_changes(kvd.cluster)[before:]
    terms = kvd.cluster.wait_for_leader().status()["term"] - term
    minutes = turns * seconds_each / 60
    bench.book.note("elections", "minutes of full load", "kvd", 1, minutes, "min")
    bench.book.note("elections", "role changes", "kvd", 1, len(changes), "")
    bench.book.note("elections", "new terms", "kvd", 1, terms, "")
    bench.say("%.1f minutes of full load: %d changes of role, %d new terms" % (minutes, len(changes), terms))
    if changes or terms:
        raise BenchError("under load somebody campaigned:\n%s" % "\n".join(changes))
