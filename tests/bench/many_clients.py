"""many_clients.py: no collapse with very many clients, and memory that stays within bounds.

SET with 256, 1,000 and 10,000 connections. Memory is that of the nodes while the clients are connected and work.
"""
import os
import threading

import charts
from loads import Load
from measurements import MIB
from systems import raise_open_files, running

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
    counts = sorted({256, 1000, most})
    rates = {}
    with running(["kvd", "redis"], os.path.join(bench.directory, "clients"), bench.options, bench.say,
                 settings={"max-clients": most + SPARE_FILES}) as systems:
        for count in counts:
            for system in systems:
                rates.setdefault(system, []).append((count, measure(bench, system, count)))
    for system, points in rates.items():
        bench.book.note("clients", "%d clients / 256 clients" % most, system.name, 1, points[-1][1] / points[0][1], "x")
    bench.chart(charts.lines, "clients", "SET of 100 bytes by the number of clients", "clients", "requests per second",
                {system.title: points for system, points in rates.items()}, is_log_x=True)


def measure(bench, system, count):
    """Requests per second."""
    load = Load("set", count)
    with PeakMemory(system) as peak:
        taken = bench.book.take("clients", "clients-%d" % count, 1, system, load,
                                lambda: system.run(load, 2 * bench.level.seconds))
    bench.book.note("clients", "%d clients: anonymous memory at most" % count, system.name, 1, peak.bytes / MIB, "MiB")
    bench.say("%s, %d clients: %.0f MiB at most" % (system.title, count, peak.bytes / MIB))
    return taken.rps
