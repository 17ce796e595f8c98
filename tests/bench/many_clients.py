"""many_clients.py: no collapse with very many clients, and memory that stays within bounds.

SET with 256, 1,000 and 10,000 connections. Memory is that of the nodes while the clients are connected and work.
"""
import os
import threading

import charts
from loads import Load
from measurements import MIB
from systems import Kvd, NotInstalled, Redis, raise_open_files

SPARE_FILES = 500


class PeakMemory:
    """The most anonymous memory of a system, looked at ten times a second. In a `with` statement."""

    def __init__(self, system):
        self.system = system
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            self.bytes = max(self.bytes, self.system.usage().anonymous_bytes)
            self._stop.wait(0.1)


def run(bench):
    most = min(bench.level.clients, raise_open_files() - SPARE_FILES)
    if most < bench.level.clients:
        bench.say("only %d clients: this is as many open files as we may have" % most)
    directory = os.path.join(bench.directory, "clients")
    systems = [Kvd(directory, bench.options, settings={"max-clients": most + SPARE_FILES})]
    try:
        systems.append(Redis(directory, bench.options))
    except NotInstalled as missing:
        bench.say("not measured: redis: %s" % missing)
    counts = sorted({256, 1000, most})
    rates = {}
    for system in systems:
        with system:
            for count in counts:
                load = Load("set", count)
                with PeakMemory(system) as peak:
                    taken = bench.book.take("clients", "clients-%d" % count, 1, system, load,
                                            lambda load=load: system.run(load, 2 * bench.level.seconds))
                rates.setdefault(system.title, []).append((count, taken.rps))
                bench.book.note("clients", "%d clients: anonymous memory at most" % count, system.name, 1, peak.bytes / MIB,
                                "MiB")
                bench.say("%s, %d clients: %.0f MiB at most" % (system.title, count, peak.bytes / MIB))
            base = rates[system.title][0][1]
            bench.book.note("clients", "%d clients / 256 clients" % most, system.name, 1, rates[system.title][-1][1] / base, "x")
            system.check_alive()
    if charts.is_available():
        bench.chart(charts.lines, "clients", "SET of 100 bytes by the number of clients", "clients", "requests per second",
                    rates, is_log_x=True)
