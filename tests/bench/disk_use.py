#!/usr/bin/python3
"""What the files of log and map grow to while the same data is written again and again.

    disk_use.py --data-mib 64 --times 100 --csv build/disk-use.csv --chart build/disk-use.svg

Three nodes on one disk; redis-benchmark overwrites a fixed set of keys, at random, until so many times the data's size is
written. Every second (--interval) the allocated bytes of each node's log and map are noted. It prints a summary, and fails if
the files of the last quarter are larger than those of the second by more than --growth per cent: disk use must be steady.
"""
import argparse
import csv
import glob
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))
from kvd_cluster import Cluster  # noqa: E402

from loads import missing_redis_benchmark  # noqa: E402

MIB = 1 << 20


def allocated(path):
    """Bytes on disk of everything below, holes not counted."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:  # a generation of the map that has just been removed
                pass
    return total


def sizes(node):
    maps = sum(allocated(path) for path in glob.glob(os.path.join(node.directory, "map*")))
    return allocated(os.path.join(node.directory, "log")), maps


def chart(rows, path, title):
    import matplotlib  # pylint: disable=import-outside-toplevel
    matplotlib.use("svg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
    figure, axes = pyplot.subplots(figsize=(8, 4))
    for column, what in ((2, "log"), (3, "map")):
        for node in sorted({row[1] for row in rows}):
            own = [row for row in rows if row[1] == node]
            axes.plot([row[4] for row in own], [row[column] / MIB for row in own], label="%s, node %d" % (what, node),
                      linestyle="-" if what == "map" else "--", linewidth=1)
    axes.set_xlabel("written, times the data")
    axes.set_ylabel("MiB on disk")
    axes.set_ylim(bottom=0)
    axes.set_title(title)
    axes.legend(fontsize="small", ncols=2)
    figure.tight_layout()
    figure.savefig(path)


def run(options):
    keys = options.data_mib * MIB // options.value_bytes
    requests = keys * options.times
    settings = {"checkpoint-idle": "60m", "log-level": "warning"}
    settings.update(pair.split("=", 1) for pair in options.kvd_option)
    rows = []
    with Cluster(3, settings) as cluster:
        leader = cluster.wait_for_leader()
        command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(leader.client_port), "-t", "set", "-c", "50", "-P", "16",
                   "-n", str(requests), "-d", str(options.value_bytes), "-r", str(keys), "-q"]
        begun = told = time.monotonic()
        load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            while load.poll() is None:
                time.sleep(options.interval)
                seconds = time.monotonic() - begun
                written = commands_done(leader) * options.value_bytes / (options.data_mib * MIB)
                for node in cluster.nodes:
                    rows.append([round(seconds, 1), node.id, *sizes(node), round(written, 2)])
                if time.monotonic() - told > 15:
                    told = time.monotonic()
                    print("  %4.0f s: %5.1f times the data written; log %.0f MiB, map %.0f MiB" % (
                        seconds, written, rows[-1][2] / MIB, rows[-1][3] / MIB), flush=True)
        finally:
            if load.poll() is None:
                load.kill()
            _, errors = load.communicate()
        if load.returncode != 0:
            print("redis-benchmark ended with %d: %s" % (load.returncode, errors), file=sys.stderr)
            return 1
        seconds = time.monotonic() - begun
        cluster.wait_until_equal()
    return report(rows, seconds, options)


def commands_done(node):
    for line in node.command("INFO", "stats").decode().splitlines():
        if line.startswith("total_commands_processed:"):
            return int(line.split(":")[1])
    raise AssertionError("INFO has no total_commands_processed")


def report(rows, seconds, options):
    if options.csv:
        with open(options.csv, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["seconds", "node", "log_bytes", "map_bytes", "times_written"])
            writer.writerows(rows)
    title = "%d MiB of data, overwritten %d times in %.0f s" % (options.data_mib, options.times, seconds)
    print(title)
    if options.chart:
        try:
            chart(rows, options.chart, title)
        except ImportError:
            print("no chart: python3-matplotlib is not installed", file=sys.stderr)
    grew = False
    for name, column in (("log", 2), ("map", 3)):
        quarters = [[row[column] for row in rows if low <= row[4] / options.times < low + 0.25] for low in (0.25, 0.75)]
        if not all(quarters):
            print("too few samples: write more", file=sys.stderr)
            return 1
        second, last = (max(quarter) for quarter in quarters)
        grew = grew or last > second * (1 + options.growth / 100)
        print("%s: at most %.0f MiB in the second quarter, %.0f MiB in the last (median %.0f MiB, %.2f times the data)" % (
            name, second / MIB, last / MIB, statistics.median(quarters[1]) / MIB,
            statistics.median(quarters[1]) / (options.data_mib * MIB)))
    print("disk use is %s" % ("NOT steady" if grew else "steady"))
    return 1 if grew else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-mib", type=int, default=64, help="values in all (64)")
    parser.add_argument("--times", type=int, default=100, help="how often all is written (100)")
    parser.add_argument("--value-bytes", type=int, default=1000)
    parser.add_argument("--growth", type=float, default=10, help="per cent that the last quarter may be above the second (10)")
    parser.add_argument("--interval", type=float, default=1, help="seconds between two looks at the files (1)")
    parser.add_argument("--csv", metavar="FILE")
    parser.add_argument("--chart", metavar="FILE.svg")
    parser.add_argument("--kvd-option", action="append", default=[], metavar="NAME=VALUE", help="a setting of every node")
    options = parser.parse_args()
    os.environ.setdefault("KVD_TEST_DIR", "/var/tmp")
    if missing_redis_benchmark():
        print("disk_use: %s" % missing_redis_benchmark(), file=sys.stderr)
        return 1
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
