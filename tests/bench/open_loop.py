"""open_loop.py: latency at a given rate, for clients that do not wait for each other.

Requests are due at random moments, so many a second, and their time runs from then (load.c): a moment in which the server stands
still is seen by all that were due in it. The rates are shares of what kvd reached with 50 clients that wait for their replies;
Redis gets the same rates.
"""
import os

import charts
from loads import Load, own_load
from systems import Kvd, NotInstalled, Redis

OPERATIONS = ("set", "mix")


def run(bench):
    directory = os.path.join(bench.directory, "open-loop")
    systems = [Kvd(directory, bench.options)]
    try:
        systems.append(Redis(directory, bench.options))
    except NotInstalled as missing:
        bench.say("not measured: redis: %s" % missing)
    seconds, started = 2 * bench.level.seconds, []
    try:
        for system in systems:
            system.start()
            started.append(system)
        for operation in OPERATIONS:
            load = Load(operation)
            for system in systems:
                system.prepare(load)
            most = own_load(bench.options.build, systems[0].port(), load, seconds=seconds).rps
            series = {}
            for share in bench.level.rates:
                for system in systems:
                    rate = max(1, round(share * most))
                    taken = bench.book.take("open-loop", "%s-open-%d%%" % (operation, 100 * share), 1, system, load,
                                            lambda system=system: own_load(bench.options.build, system.port(), load,
                                                                           seconds=seconds, rate=rate))
                    for name in ("p50", "p99", "p999"):
                        series.setdefault("%s, %s" % (system.title, name.replace("p999", "p99.9")), []).append(
                            (rate, taken.result[name]))
            if charts.is_available():
                bench.chart(charts.lines, "open-loop-" + operation, "%s, open loop: latency by rate" % operation.upper(),
                            "requests per second", "ms", series, is_log_y=True)
    finally:
        for system in started:
            system.stop()
