"""open_loop.py: latency at a given rate, for clients that do not wait for each other.

Requests are due at random moments, so many a second, and their time runs from then (load.c): a moment in which the server stands
still is seen by all that were due in it. The rates are shares of what kvd reached with 50 clients that wait for their replies;
Redis gets the same rates.
"""
import os

import charts
from loads import Load, own_load
from systems import running

OPERATIONS = ("set", "mix")


def run(bench):
    directory = os.path.join(bench.directory, "open-loop")
    with running(["kvd", "redis"], directory, bench.options, bench.say) as systems:
        for operation in OPERATIONS:
            measure(bench, systems, Load(operation))


def measure(bench, systems, load):
    seconds, series = 2 * bench.level.seconds, {}
    for system in systems:
        system.prepare(load)
    most = own_load(bench.options.build, systems[0].port(), load, seconds=seconds).rps
    for share in bench.level.rates:
        for system in systems:
            rate = max(1, round(share * most))
            taken = bench.book.take("open-loop", "%s-open-%d%%" % (load.operation, 100 * share), 1, system, load,
                                    lambda system=system: own_load(bench.options.build, system.port(), load, seconds=seconds,
                                                                   rate=rate))
            for name in ("p50", "p99", "p999"):
                series.setdefault("%s, %s" % (system.title, name.replace("p999", "p99.9")), []).append(
                    (rate, taken.result[name]))
    bench.chart(charts.lines, "open-loop-" + load.operation, "%s, open loop: latency by rate" % load.operation.upper(),
                "requests per second", "ms", series, is_log_y=True)
