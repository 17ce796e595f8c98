#!/usr/bin/python3
"""kvd beside its marks, in one run: what it does in a second, how long that takes, and what it costs.

    bench.py                       the default: thirty to forty minutes
    bench.py --quick               every part, very short: about three minutes; its numbers mean little
    bench.py --full                every cell five times, longer runs: over three hours
    bench.py --only set-50,get-50 --rounds 5 --systems kvd,redis
    bench.py --parts failover

Systems take turns, cell by cell, in an order that rotates from round to round, so that a slow minute of the machine hits everybody
alike; ratios are medians of each round's own ratio. See README.md for the parts, the files, and what the numbers can and
cannot say.
"""
import argparse
import dataclasses
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))
import catch_up  # noqa: E402
import charts  # noqa: E402
import checkpoints  # noqa: E402
import elections  # noqa: E402
import failover  # noqa: E402
import little_memory  # noqa: E402
import many_clients  # noqa: E402
import open_loop  # noqa: E402
import plan  # noqa: E402
import resources  # noqa: E402
import sizes  # noqa: E402
import tables  # noqa: E402
from loads import BenchError, Load, missing_redis_benchmark  # noqa: E402
from measurements import Book, progress, run_cells  # noqa: E402
from systems import DEFAULT_SYSTEMS, SYSTEMS, System, end_on_sigterm, raise_open_files, running  # noqa: E402

TITLES = {"set": "SET", "get": "GET", "mix": "90/10"}
SPECIAL_PARTS = {"sizes": sizes, "checkpoints": checkpoints, "failover": failover, "catch-up": catch_up,
                 "memory": little_memory, "clients": many_clients, "open-loop": open_loop, "elections": elections}


class Bench:
    """One run: what was asked for, where it goes, what was found."""

    def __init__(self, options, level, directory):
        self.options, self.level, self.directory = options, level, directory
        self.book = Book(progress)
        self.tables = []  # (title, cells, systems), printed at the end
        self.charts = []
        self.failed = []  # parts

    @staticmethod
    def say(text):
        progress(text)

    def chart(self, draw, name, *arguments, **more):
        if charts.is_available():
            self.charts.append(draw(self.options.output, name, *arguments, **more))

    def show_cells(self, title, name, cells, systems):
        """A table at the end, and a chart of it."""
        measured = [system for system in systems if any(self.book.of(cell.name, system.name) for cell in cells)]
        if measured:
            self.tables.append((title, cells, measured))
            self.chart(charts.bars, name, title, "requests per second", cells, measured,
                       lambda cell, system: self.book.median(cell.name, system.name, lambda m: m.rps), is_log=True)

    def run_part(self, name, cells):
        begun = time.monotonic()
        print("== %s" % name, file=sys.stderr, flush=True)
        try:
            if name in SPECIAL_PARTS:
                SPECIAL_PARTS[name].run(self)
            else:
                self.run_cells(name, cells[name])
        except (BenchError, AssertionError) as error:  # the other parts are worth something without it
            self.failed.append(name)
            progress("%s FAILED: %s" % (name, error or traceback.format_exc()))
        print("== %s: %.0f s" % (name, time.monotonic() - begun), file=sys.stderr, flush=True)

    def run_cells(self, part, cells):
        with running(self.options.systems, os.path.join(self.directory, part), self.options, self.say) as systems:
            run_cells(self.book, part, cells, systems, self.level.seconds,
                      self.options.rounds or (self.level.rounds if self.options.only else None))
        for operation, title in TITLES.items():
            here = [cell for cell in cells if cell.load.operation == operation]
            self.show_cells("%s, %s" % (title, "by size of the value" if part == "values" else "100 bytes"),
                            "%s-%s" % (part, operation), here, systems)

    def report(self):
        for title, cells, systems in self.tables:
            tables.print_cells(self.book, title, cells, systems, print)
        tables.print_events(self.book, print)
        tables.print_targets(self.book, print)
        for part in self.failed:
            print("\nFAILED: %s (see above)" % part)
        if self.book.tried_again:
            print("\n%d runs ended with an error and were tried again" % self.book.tried_again)
        if not charts.is_available():
            print("\nno charts: python3-matplotlib is not installed")
        print("\n%s: measurements.csv, events.csv%s" % (
            self.options.output, "".join(", " + os.path.basename(path) for path in self.charts)), flush=True)


def describe(options, level_name, level, directory):
    kind, point = resources.filesystem_of(directory)
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False,
                              cwd=HERE).stdout.strip()
    print("kvd %s, %s: Linux %s, %d CPUs, load %.1f, %d MiB of memory available; data on %s (%s) in %s" % (
        revision or "unknown", level_name, platform.release(), os.cpu_count(), os.getloadavg()[0],
        resources.available_memory_bytes() >> 20, kind, point, directory))
    print("about %g s a run, %d rounds where a target rests on it" % (level.seconds, options.rounds or level.rounds), flush=True)
    if missing_redis_benchmark():
        print("%s: bench/load makes its loads" % missing_redis_benchmark(), flush=True)


def choose(given, known, what):
    chosen = given.split(",") if given else list(known)
    for name in chosen:
        if name not in known:
            raise BenchError("no such %s: %s (there are: %s)" % (what, name, ", ".join(known)))
    return chosen


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--quick", action="store_true")
    level.add_argument("--full", action="store_true")
    level.add_argument("--smoke", action="store_true", help="two cells, a fraction of a second: does it run?")
    parser.add_argument("--parts", help="comma separated: cells, values, %s (all)" % ", ".join(SPECIAL_PARTS))
    parser.add_argument("--only", metavar="CELLS", help="only these cells, comma separated: set-50, get-50x16, set-50-v1000 ...")
    parser.add_argument("--rounds", type=int, help="how often each system takes its turn in each cell")
    parser.add_argument("--seconds", type=float, help="about how long a run takes")
    parser.add_argument("--systems", help="comma separated: %s (default: %s)" % (", ".join(SYSTEMS), ", ".join(DEFAULT_SYSTEMS)))
    parser.add_argument("--output", metavar="DIRECTORY", help="where CSV and charts go (BUILD/bench-results)")
    parser.add_argument("--csv", metavar="FILE", help="where measurements.csv goes instead")
    parser.add_argument("--build", default="build", help="where kvd and bench/ are (build)")
    parser.add_argument("--directory", default="/var/tmp", help="data goes into a directory under this one, on a disk")
    parser.add_argument("--etcd", metavar="PROGRAM", help="an etcd (BUILD/etcd/etcd if build-etcd made it, else that in PATH)")
    parser.add_argument("--kvd-option", action="append", default=[], metavar="NAME=VALUE",
                        help="a further setting of every node of kvd; may be given more than once")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.output = os.path.abspath(options.output or os.path.join(options.build, "bench-results"))
    options.systems = choose(options.systems, SYSTEMS, "system") if options.systems else list(DEFAULT_SYSTEMS)
    return options


def level_of(options):
    name = "full" if options.full else "quick" if options.quick or options.smoke else "default"
    level = {"full": plan.FULL, "quick": plan.QUICK, "default": plan.DEFAULT}[name]
    cells = plan.cells_of(level)
    if options.smoke:
        cells = {"cells": [plan.cell(Load(operation, 50, keys=1000), {None: 1}) for operation in ("set", "mix")]}
    if options.seconds or options.smoke:
        level = dataclasses.replace(level, seconds=options.seconds or 0.1)
    if options.only:
        known = plan.all_cells()
        cells = {"cells": [known[name] for name in choose(options.only, known, "cell")]}
    return name, level, cells


def bench(options):
    if missing_redis_benchmark():
        System.uses_own_load = True
    if resources.filesystem_of(options.directory)[0] in ("tmpfs", "ramfs", "overlay"):
        raise BenchError("%s is not on a disk: give another --directory" % options.directory)
    name, level, cells = level_of(options)
    parts = choose(options.parts, [*cells, *SPECIAL_PARTS], "part") if options.parts or not (options.only or options.smoke) \
        else list(cells)
    directory = tempfile.mkdtemp(prefix="kvd-bench-", dir=options.directory)
    run = Bench(options, level, directory)
    raise_open_files()
    describe(options, name, level, directory)
    begun = time.monotonic()
    try:
        for part in parts:
            run.run_part(part, cells)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        run.book.write(options.output, options.csv)  # also what was measured before something went wrong
    run.report()
    print("%.0f s in all" % (time.monotonic() - begun))
    return 1 if run.failed else 0


def main():
    end_on_sigterm()
    try:
        return bench(parse_arguments())
    except BenchError as error:
        print("bench: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
