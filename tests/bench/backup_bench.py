#!/usr/bin/python3
"""What a backup costs those who write meanwhile: SET with and without one under way.

Three nodes on loopback are filled with --gib of values of 1000 bytes. Then cells alternate: 50 clients write 100-byte
values alone, while a follower is backed up again and again, and while the leader is. Printed is, for each way, the
median of each round's own ratio to the cell alone, of p50, p99 and requests per second, with the smallest and the
largest beside it. See README.md for what such numbers can and cannot say.
"""
import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading

import resources
from loads import BenchError, missing_redis_benchmark, run_load
from systems import Connection, Kvd, ask, end_on_sigterm, wait_until

FILL_VALUE_BYTES = 1000
FILL_KEYS_AT_A_TIME = 500
CLIENTS = 50
WAYS = ["alone", "follower", "leader"]


class Backups:
    """kvcli backup of one node, one after the other, until stopped."""

    def __init__(self, options, port, directory):
        self.command = [os.path.join(options.build, "kvcli"), "--raw", "backup", "--from", f"127.0.0.1:{port}",
                        os.path.join(directory, "backup")]
        self.path = self.command[-1]
        self.stopping = threading.Event()
        self.process = None
        self.whole = 0
        self.problem = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.stopping.is_set() and self.problem is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.PIPE, text=True)
            _, errors = self.process.communicate()
            if self.process.returncode == 0:
                self.whole += 1
                os.unlink(self.path)
            elif not self.stopping.is_set():
                self.problem = errors

    def __enter__(self):
        self.thread.start()
        part = self.path + ".part"
        wait_until("a part of the backup", 600, lambda: self.problem or (os.path.exists(part) and
                                                                         os.path.getsize(part) > 1 << 20))
        return self

    def __exit__(self, *_):
        self.stopping.set()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.thread.join()
        if self.problem:
            raise BenchError(f"a backup failed: {self.problem}")


def fill(port, gib):
    """`gib` GiB of values; how many keys that was."""
    value = "v" * FILL_VALUE_BYTES
    keys = int(gib * (1 << 30) / FILL_VALUE_BYTES)
    with Connection(f"127.0.0.1:{port}", timeout=60) as connection:
        for start in range(0, keys, FILL_KEYS_AT_A_TIME):
            words = [word for i in range(start, min(start + FILL_KEYS_AT_A_TIME, keys))
                     for word in (f"fill:{i}", value)]
            if connection.command("MSET", *words) != "OK":
                raise BenchError("the leader changed while the data was written: begin anew")
    return keys


def measure(system, way, requests, options, directory):
    """One cell, and how many whole backups were made in it."""
    leader = system.port()
    if way == "alone":
        return run_load(leader, "set", CLIENTS, 1, requests), 0
    others = [node.client_port for node in system.cluster.nodes if node.client_port != leader]
    node = leader if way == "leader" else others[0]
    with Backups(options, node, directory) as backups:
        result = run_load(leader, "set", CLIENTS, 1, requests)
    return result, backups.whole


def run(system, options, directory):
    requests = int(run_load(system.port(), "set", CLIENTS, 1, 20000)["rps"] * options.seconds)
    results = {way: [] for way in WAYS}
    for number in range(options.rounds):
        shift = number % len(WAYS)
        for way in WAYS[shift:] + WAYS[:shift]:
            system.settle()
            result, whole = measure(system, way, requests, options, directory)
            results[way].append(result)
            print(f"  round {number + 1}/{options.rounds}  {way:9} {result['rps']:>10,.0f}/s   p50 "
                  f"{result['p50']:8.3f} ms   p99 {result['p99']:8.3f} ms   {whole} whole backups", file=sys.stderr,
                  flush=True)
    return results


def print_ratios(results):
    print(f"\n  {'SET with a backup / without':28}{'p50':>22}{'p99':>22}{'requests per second':>24}")
    for way in WAYS[1:]:
        cells = []
        for field in ("p50", "p99", "rps"):
            pairs = [with_it[field] / alone[field] for with_it, alone in zip(results[way], results["alone"])]
            cells.append(f"{statistics.median(pairs):.2f} ({min(pairs):.2f}-{max(pairs):.2f})")
        print(f"  {'of the ' + way:28}{cells[0]:>22}{cells[1]:>22}{cells[2]:>24}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=0.25, help="data in the cluster (0.25)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each cell is measured (3)")
    parser.add_argument("--seconds", type=float, default=8.0, help="about how long a cell runs (8)")
    parser.add_argument("--build", default="build", help="where kvd and kvcli are (build)")
    parser.add_argument("--directory", default="/var/tmp", help="data goes into a directory under this one, on a disk")
    parser.add_argument("--backup-directory", help="where backups go (beside the data, on the same disk)")
    parser.add_argument("--kvd-option", action="append", default=[], metavar="NAME=VALUE",
                        help="a further setting of kvd's, may be given more than once")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    return options


def bench(options):
    if missing_redis_benchmark():
        raise BenchError(missing_redis_benchmark())
    if resources.filesystem_of(options.directory)[0] in ("tmpfs", "ramfs", "overlay"):
        raise BenchError(f"{options.directory} is not on a disk: give another --directory")
    directory = tempfile.mkdtemp(prefix="kvd-bench-", dir=options.directory)
    target = tempfile.mkdtemp(prefix="kvd-bench-", dir=options.backup_directory or directory)
    system = Kvd(directory, options)
    try:
        system.start()
        keys = fill(system.port(), options.gib)
        wait_until("all nodes to have it", 600, lambda: {ask(node.client_port, "DBSIZE") for node in system.cluster.nodes} ==
                   {ask(system.port(), "DBSIZE")})
        print(f"{keys} keys of {FILL_VALUE_BYTES} bytes ({options.gib:g} GiB); backups on "
              f"{resources.filesystem_of(target)[0]}", flush=True)
        print_ratios(run(system, options, target))
    finally:
        system.stop()
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)


def main():
    end_on_sigterm()
    try:
        bench(parse_arguments())
    except BenchError as error:
        print(f"backup_bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
