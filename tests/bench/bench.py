#!/usr/bin/python3
"""kvd beside its marks, in one run: requests per second and latency of SET and GET.

Systems: kvd on three nodes (the load goes to the leader), Redis on one node with appendfsync always, the ceiling (kvd's
loop, parser and replies with nothing behind them) and the floor model (kvd's hops and log commits without Raft and
map). All are alive during the whole run and take turns, cell by cell, in an order that rotates from round to round, so
that a slow minute of the machine hits everybody alike. Printed are medians over the rounds; a ratio is the median of
each round's own ratio, with the smallest and the largest beside it.

Load comes from redis-benchmark, which ends at the first error reply: a cell with an error is no number but a failure.
See README.md for what the numbers can and cannot say.
"""
import argparse
import csv
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))
from kvd_cluster import free_ports  # noqa: E402
from resp import Connection, ConnectionLost, ReplyTimeout  # noqa: E402

VALUE_BYTES = 100
KEYS = 100000
ATTEMPTS = 3
LOADS = [("1", 1, 1, "1 client"), ("50", 50, 1, "50 clients"), ("256", 256, 1, "256 clients"),
         ("50x16", 50, 16, "50 clients x 16")]
OPERATIONS = ["set", "get"]
CELLS = [(f"{operation}-{load[0]}", operation, load) for operation in OPERATIONS for load in LOADS]
FLOOR_NAMES = ["floor-1", "floor-4"]


class BenchError(Exception):
    pass


def ask(port, *words):
    """One command, one reply as text; None where nobody answers."""
    try:
        with Connection(f"127.0.0.1:{port}", timeout=5) as connection:
            reply = connection.command(*words)
    except (ConnectionLost, ReplyTimeout):
        return None
    return reply.decode() if isinstance(reply, bytes) else reply


def wait_until(what, seconds, question):
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class System:
    """A server under load: its processes, and where to send requests."""

    def __init__(self, name, title, directory):
        self.name = name
        self.title = title
        self.directory = os.path.join(directory, name)
        self.processes = []
        self.client_port = None
        os.makedirs(self.directory)

    def start(self):
        raise NotImplementedError

    def launch(self, command, log_name="log"):
        log_path = os.path.join(self.directory, log_name)
        with open(log_path, "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.processes.append((process, log_path))

    def check_alive(self):
        for process, log_path in self.processes:
            if process.poll() is not None:
                with open(log_path, encoding="utf-8", errors="replace") as log:
                    tail = "".join(log.readlines()[-10:])
                raise BenchError(f"{self.title}: a process ended with {process.returncode}:\n{tail}")

    def wait_for_port(self, port):
        def answers():
            self.check_alive()
            return ask(port, "PING")
        wait_until(f"{self.title} on port {port}", 20, answers)

    def port(self):
        """Where the load goes now."""
        return self.client_port

    def settle(self):
        """After a cell: lets the work that it left behind end, so that the next system is not disturbed."""
        self.check_alive()

    def stop(self):
        for process, _ in self.processes:
            if process.poll() is None:
                process.terminate()
        for process, _ in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Kvd(System):
    def __init__(self, directory, options):
        super().__init__("kvd", "kvd, three nodes", directory)
        self.options = options
        self.client_ports = []

    def start(self):
        program = os.path.join(self.options.build, "kvd")
        ports = free_ports(6)
        self.client_ports = ports[:3]
        cluster = ",".join(f"{i + 1}=127.0.0.1:{port}" for i, port in enumerate(ports[3:]))
        for i, port in enumerate(self.client_ports):
            self.launch([program, "--id", str(i + 1), "--cluster", cluster,
                         "--listen", f"127.0.0.1:{port}", "--bus-listen", f"127.0.0.1:{ports[3 + i]}",
                         "--data", os.path.join(self.directory, f"node{i + 1}"), "--log-level", "warning",
                         "--checkpoint-idle", "60m",  # it pays for its checkpoints in its own turns
                         *self.options.kvd_option], f"node{i + 1}.log")
        for port in self.client_ports:
            self.wait_for_port(port)

    def port(self):
        def leader():
            self.check_alive()
            for port in self.client_ports:
                if "role:master" in (ask(port, "INFO", "replication") or "") and ask(port, "SET", "k", "v") == "OK":
                    return port
            return None
        return wait_until("a leader of kvd", 20, leader)

    def settle(self):
        super().settle()
        time.sleep(0.3)


class Redis(System):
    def __init__(self, directory, _options):
        super().__init__("redis", "Redis, fsync always", directory)

    def start(self):
        self.client_port, = free_ports(1)
        self.launch(["redis-server", "--port", str(self.client_port), "--bind", "127.0.0.1", "--dir", self.directory,
                     "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                     "--auto-aof-rewrite-percentage", "0"])
        self.wait_for_port(self.client_port)


class Ceiling(System):
    def __init__(self, directory, options):
        super().__init__("ceiling", "ceiling", directory)
        self.program = os.path.join(options.build, "bench", "ceiling")

    def start(self):
        self.client_port, = free_ports(1)
        self.launch([self.program, str(self.client_port)])
        self.wait_for_port(self.client_port)


class Floor(System):
    def __init__(self, directory, options, in_flight, extra=()):
        super().__init__(f"floor-{in_flight}" + ("-no-sync" if extra else ""),
                         f"floor, {in_flight} in flight" + (", no sync" if extra else ""), directory)
        self.command = [os.path.join(options.build, "bench", "floor"), "--directory", self.directory,
                        "--in-flight", str(in_flight), *extra]

    def start(self):
        self.client_port, = free_ports(1)
        self.launch([*self.command, "--port", str(self.client_port)])
        self.wait_for_port(self.client_port)


SYSTEMS = {
    "kvd": Kvd,
    "redis": Redis,
    "ceiling": Ceiling,
    "floor-1": lambda directory, options: Floor(directory, options, 1),
    "floor-4": lambda directory, options: Floor(directory, options, 4),
    "floor-4-no-sync": lambda directory, options: Floor(directory, options, 4, ("--no-sync",)),
}
DEFAULT_SYSTEMS = ["kvd", "redis", "ceiling", "floor-1", "floor-4"]


def run_load(port, operation, clients, pipeline, requests):
    """One redis-benchmark run: {rps, p50, p95, p99}, latencies in milliseconds."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", operation, "-c", str(clients),
               "-P", str(pipeline), "-n", str(requests), "-d", str(VALUE_BYTES), "-r", str(KEYS), "--csv"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired as expired:
        raise BenchError(f"{' '.join(command)}: no end after 120 s") from expired
    lines = [line for line in result.stdout.splitlines() if line.startswith('"')]
    if result.returncode != 0 or len(lines) != 2:
        raise BenchError(f"{' '.join(command)}: {result.stdout}{result.stderr}")
    header, values = list(csv.reader(lines))
    row = dict(zip(header, values))
    return {"rps": float(row["rps"]), "p50": float(row["p50_latency_ms"]), "p95": float(row["p95_latency_ms"]),
            "p99": float(row["p99_latency_ms"])}


class Run:
    def __init__(self, options):
        self.options = options
        self.rates = {}    # (system, cell) -> requests per second last seen
        self.results = {}  # (system, cell) -> one measurement per round
        self.rows = []
        self.failures = 0

    def requests_for(self, system, cell, operation, load):
        """As many as fill the wished time; the first time a short run finds out the rate (and warms up)."""
        _, clients, pipeline, _ = load
        port = system.port()
        key = (system.name, cell)
        if key not in self.rates:
            requests = max(200, clients * pipeline * 4)
            for _ in range(3):
                rate = run_load(port, operation, clients, pipeline, requests)["rps"]
                if requests / rate > 0.2:
                    break
                requests = int(rate * 0.3)
            self.rates[key] = rate
        return max(clients * pipeline * 10, int(self.rates[key] * self.options.seconds))

    def measure(self, round_number, system, cell, operation, load):
        _, clients, pipeline, _ = load
        for attempt in range(ATTEMPTS):
            try:
                requests = self.requests_for(system, cell, operation, load)
                result = run_load(system.port(), operation, clients, pipeline, requests)
                break
            except BenchError as error:  # a change of leader, say: worth knowing, not worth the whole run
                system.check_alive()
                self.failures += 1
                print(f"  {cell} {system.title}: {error}", file=sys.stderr, flush=True)
                if attempt == ATTEMPTS - 1:
                    raise
        system.settle()
        self.rates[(system.name, cell)] = result["rps"]
        self.results.setdefault((system.name, cell), []).append(result)
        self.rows.append([round_number, system.name, operation, clients, pipeline, requests, result["rps"],
                          result["p50"], result["p95"], result["p99"]])
        print(f"  round {round_number}/{self.options.rounds}  {cell:9} {system.title:27} {result['rps']:>10,.0f}/s"
              f"   p50 {result['p50']:8.3f} ms   p99 {result['p99']:8.3f} ms", file=sys.stderr, flush=True)

    def run(self, systems, cells):
        for system in systems:  # GET finds what it asks for
            if any(operation == "get" for _, operation, _ in cells) and system.name in ("kvd", "redis"):
                print(f"  filling {system.title}", file=sys.stderr, flush=True)
                run_load(system.port(), "set", 50, 16, KEYS * 3)
                system.settle()
        for round_number in range(1, self.options.rounds + 1):
            for i, (cell, operation, load) in enumerate(cells):
                shift = (round_number - 1 + i) % len(systems)
                for system in systems[shift:] + systems[:shift]:
                    self.measure(round_number, system, cell, operation, load)

    def median(self, name, cell, field):
        return statistics.median(result[field] for result in self.results[(name, cell)])

    def ratio(self, name, other, cell):
        pairs = [ours["rps"] / theirs["rps"]
                 for ours, theirs in zip(self.results[(name, cell)], self.results[(other, cell)])]
        return f"{statistics.median(pairs):.2f} ({min(pairs):.2f}-{max(pairs):.2f})"


def print_block(title, cells, rows):
    print(f"\n{title}")
    print(f"  {'':28}" + "".join(f"{load[3]:>22}" for _, _, load in cells))
    for name, values in rows:
        print(f"  {name:28}" + "".join(f"{value:>22}" for value in values))


def print_tables(run, systems, cells):
    names = [system.name for system in systems]
    floors = [name for name in FLOOR_NAMES if name in names]
    for operation in OPERATIONS:
        chosen = [cell for cell in cells if cell[1] == operation]
        if not chosen:
            continue
        rows = [(system.title, [f"{run.median(system.name, cell[0], 'rps'):,.0f}" for cell in chosen])
                for system in systems]
        if "kvd" in names and floors:
            best = [max(floors, key=lambda name, cell=cell: run.median(name, cell[0], "rps")) for cell in chosen]
            rows.append(("kvd / floor, the better",
                         [run.ratio("kvd", name, cell[0]) for name, cell in zip(best, chosen)]))
        if "kvd" in names and "redis" in names:
            rows.append(("kvd / Redis", [run.ratio("kvd", "redis", cell[0]) for cell in chosen]))
        print_block(f"{operation.upper()}, requests per second", chosen, rows)
        print_block(f"{operation.upper()}, latency p50 / p99 in milliseconds", chosen, [
            (system.title, [f"{run.median(system.name, cell[0], 'p50'):.2f} / "
                            f"{run.median(system.name, cell[0], 'p99'):.2f}" for cell in chosen])
            for system in systems])


def filesystem_of(path):
    """(type, mount point) of the file system that holds the path."""
    best = ("unknown", "/")
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, point, kind = line.split()[:3]
            inside = os.path.realpath(path) + "/"
            if inside.startswith(point.rstrip("/") + "/") and len(point) >= len(best[1]):
                best = (kind, point)
    return best


def describe(systems, options, directory):
    kind, point = filesystem_of(directory)
    version = subprocess.run(["redis-benchmark", "--version"], capture_output=True, text=True, check=False).stdout
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False,
                              cwd=HERE).stdout
    print(f"kvd {revision.strip() or 'unknown'}; {version.strip()}; Linux {platform.release()}, {os.cpu_count()} CPUs, "
          f"load {os.getloadavg()[0]:.1f}; data on {kind} ({point}) in {directory}")
    print(f"{VALUE_BYTES}-byte values, {KEYS} keys, loopback, {options.rounds} rounds, about {options.seconds:g} s a "
          f"cell; {', '.join(system.title for system in systems)}", flush=True)


def choose(given, known, what):
    chosen = given.split(",") if given else list(known)
    for name in chosen:
        if name not in known:
            raise BenchError(f"no such {what}: {name} (there are: {', '.join(known)})")
    return chosen


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help="how often each cell is measured (3)")
    parser.add_argument("--seconds", type=float, help="about how long a cell runs (3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second a cell, unless given")
    parser.add_argument("--only", help=f"cells, comma separated: {', '.join(cell[0] for cell in CELLS)}")
    parser.add_argument("--systems", help=f"comma separated: {', '.join(SYSTEMS)} (default: "
                                          f"{', '.join(DEFAULT_SYSTEMS)})")
    parser.add_argument("--csv", metavar="FILE", help="every measurement, one row each")
    parser.add_argument("--build", default="build", help="where kvd and bench/ are (build)")
    parser.add_argument("--directory", default="/var/tmp", help="data goes into a directory under this one, on a disk")
    parser.add_argument("--kvd-option", action="append", default=[], metavar="--NAME=VALUE",
                        help="a further setting of kvd's, may be given more than once")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1.0 if options.quick else 3.0)
    return options


def bench(options):
    if shutil.which("redis-benchmark") is None:
        raise BenchError("redis-benchmark is missing (Debian package: redis-tools)")
    if filesystem_of(options.directory)[0] in ("tmpfs", "ramfs", "overlay"):
        raise BenchError(f"{options.directory} is not on a disk: give another --directory")
    names = choose(options.systems, list(SYSTEMS), "system") if options.systems else list(DEFAULT_SYSTEMS)
    cell_names = choose(options.only, [cell[0] for cell in CELLS], "cell")
    cells = [cell for cell in CELLS if cell[0] in cell_names]
    if "redis" in names and shutil.which("redis-server") is None:
        print("redis-server is missing (Debian package: redis-server): going on without it", file=sys.stderr)
        names.remove("redis")

    directory = tempfile.mkdtemp(prefix="kvd-bench-", dir=options.directory)
    systems = []
    try:
        for name in names:
            systems.append(SYSTEMS[name](directory, options))
            systems[-1].start()
        describe(systems, options, directory)
        run = Run(options)
        run.run(systems, cells)
        print_tables(run, systems, cells)
        if run.failures:
            print(f"\n{run.failures} cells ended with an error and were measured again")
        if options.csv:
            with open(options.csv, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["round", "system", "operation", "clients", "pipeline", "requests", "rps", "p50_ms",
                                 "p95_ms", "p99_ms"])
                writer.writerows(run.rows)
    finally:
        for system in systems:
            system.stop()
        shutil.rmtree(directory, ignore_errors=True)


def run_program(name, work):
    """The exit code; whatever ends it, what it made is removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through the clean-up
    try:
        work()
    except BenchError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run_program("bench", lambda: bench(parse_arguments())))
