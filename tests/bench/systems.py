"""systems.py: the servers that are measured, each started, asked and ended in the same way.

A system knows its processes, where the load goes now, and which program makes its load. What is not installed raises
NotInstalled, and the bench goes on without it.
"""
import base64
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))
from kvd_cluster import Cluster, free_ports, release_ports  # noqa: E402
from resp import Connection, ConnectionLost, ReplyTimeout  # noqa: E402

import loads  # noqa: E402
import resources  # noqa: E402
from loads import BenchError  # noqa: E402

START_SECONDS = 30
OPEN_FILES = 32768


class NotInstalled(Exception):
    pass


def need(program, package):
    if shutil.which(program) is None:
        raise NotInstalled("%s is missing (Debian package: %s)" % (program, package))


def ask(port, *words, timeout=5):
    """One command, one reply as text; None where nobody answers."""
    try:
        with Connection("127.0.0.1:%d" % port, timeout=timeout) as connection:
            reply = connection.command(*words)
    except (ConnectionLost, ReplyTimeout):
        return None
    return reply.decode() if isinstance(reply, bytes) else reply


def wait_until(what, seconds, question, interval=0.05):
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise BenchError("%s: not within %g s" % (what, seconds))
        time.sleep(interval)


class System:
    """A server under load. `rates` remembers requests per second by load, to choose how many a run should make."""

    keeps_data = True      # what was written can be read
    uses_own_load = False  # bench/load also for what redis-benchmark can do: where the two would be compared, or it is missing

    def __init__(self, name, title, directory, options):
        self.name, self.title, self.options = name, title, options
        self.directory = os.path.join(directory, name)
        self.processes = []  # (process, path of its log)
        self.ports = []
        self.client_port = None
        self.rates = {}
        self.filled = None  # (keys, value bytes) that are all there
        os.makedirs(self.directory)

    # ---- its life ----

    def start(self):
        raise NotImplementedError

    def take_ports(self, count):
        ports = free_ports(count)
        self.ports += ports
        return ports

    def launch(self, command, log_name="log"):
        log_path = os.path.join(self.directory, log_name)
        with open(log_path, "ab") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL)
        self.processes.append((process, log_path))

    def check_alive(self):
        for process, log_path in self.processes:
            if process.poll() is not None:
                with open(log_path, encoding="utf-8", errors="replace") as log:
                    tail = "".join(log.readlines()[-10:])
                raise BenchError("%s: a process ended with %d:\n%s" % (self.title, process.returncode, tail))

    def wait_for_port(self, port):
        def answers():
            self.check_alive()
            return ask(port, "PING")
        wait_until("%s on port %d" % (self.title, port), START_SECONDS, answers)

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
        release_ports(self.ports)

    # ---- what it costs ----

    def pids(self):
        return [process.pid for process, _ in self.processes if process.poll() is None]

    def usage(self):
        return resources.of_processes(self.pids())

    def checkpoints(self):
        """How many were completed by the node that is under load; None of systems without any."""
        return None

    # ---- load ----

    def supports(self, load):
        return load.pipeline >= 1

    def fill(self, keys, value_bytes=100):
        try:
            loads.fill(self.options.build, self.port(), keys, value_bytes)
        except BenchError:
            self.check_alive()
            raise

    def prepare(self, load):
        """Before a run: reads find what they ask for."""
        wanted = (load.keys, load.value_bytes)
        if load.operation == "set":
            self.filled = self.filled if self.filled == wanted else None
        elif self.keeps_data and self.filled != wanted:
            self.fill(*wanted)
            self.settle()
            self.filled = wanted

    def generate(self, load, requests):
        """One run of so many requests."""
        if load.operation != "mix" and load.distribution == "uniform" and not self.uses_own_load:
            return loads.redis_benchmark(self.port(), load, requests)
        return loads.own_load(self.options.build, self.port(), load, requests=requests)

    def run(self, load, seconds):
        """A run of about that long; the first time a short one finds out the rate, and warms up."""
        least = load.clients * load.pipeline * 4
        if load not in self.rates:
            requests = max(200, least)
            for _ in range(3):
                rate = self.generate(load, requests).rps
                if requests / rate > min(0.2, seconds / 3):
                    break
                requests = max(least, int(rate * min(0.3, seconds / 2)))
            self.rates[load] = rate
        result = self.generate(load, max(2 * least, int(self.rates[load] * seconds)))
        self.rates[load] = result.rps
        return result


class Kvd(System):
    """Three nodes of the harness in tests/cluster; the load goes to the leader. It does not write its map when idle: it
    pays for its checkpoints in its own turns."""

    SETTINGS = {"log-level": "warning", "checkpoint-idle": "60m"}

    def __init__(self, directory, options, settings=None, configure=None):
        super().__init__("kvd", "kvd, three nodes", directory, options)
        os.environ["KVD_BINARY"] = os.path.join(options.build, "kvd")
        os.environ["KVD_TEST_DIR"] = directory
        if not os.path.exists(os.environ["KVD_BINARY"]):
            raise NotInstalled("%s is not built" % os.environ["KVD_BINARY"])
        given = dict(word.lstrip("-").split("=", 1) for word in options.kvd_option)
        self.cluster = Cluster(3, {**self.SETTINGS, **(settings or {}), **given}, configure=configure, start=False)

    def start(self):
        self.cluster.start()

    def check_alive(self):
        for node in self.cluster.nodes:
            if node.process is not None and not node.running and not node.told_to_end:
                raise BenchError("kvd: node %d ended with %d:\n%s" % (node.id, node.process.returncode,
                                                                      node.log_text()[-2000:]))

    def pids(self):
        return [node.process.pid for node in self.cluster.nodes if node.running]

    def leader(self):
        def leads():
            self.check_alive()
            for node in self.cluster.running:
                if "role:master" in (ask(node.client_port, "INFO", "replication") or "") \
                        and ask(node.client_port, "SET", "k", "v") == "OK":
                    return node
            return None
        return wait_until("a leader of kvd", START_SECONDS, leads)

    def port(self):
        return self.leader().client_port

    def settle(self):
        super().settle()
        time.sleep(0.3)

    def stop(self):
        self.cluster.close(check=False)

    @staticmethod
    def info(node):
        text = ask(node.client_port, "INFO") or ""
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def checkpoints(self):
        return int(self.info(self.leader()).get("checkpoints_total", 0))


class Redis(System):
    def __init__(self, directory, options):
        need("redis-server", "redis-server")
        super().__init__("redis", "Redis, fsync always", directory, options)

    def start(self):
        self.client_port, = self.take_ports(1)
        self.launch(["redis-server", "--port", str(self.client_port), "--bind", "127.0.0.1", "--dir", self.directory,
                     "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxclients", str(OPEN_FILES // 2),
                     "--auto-aof-rewrite-percentage", "0"])
        self.wait_for_port(self.client_port)


class Ceiling(System):
    keeps_data = False

    def __init__(self, directory, options):
        super().__init__("ceiling", "ceiling", directory, options)
        self.program = os.path.join(options.build, "bench", "ceiling")

    def start(self):
        self.client_port, = self.take_ports(1)
        self.launch([self.program, str(self.client_port)])
        self.wait_for_port(self.client_port)

    def supports(self, load):
        return load.operation == "set" or load.value_bytes == 100


class Floor(System):
    keeps_data = False

    def __init__(self, directory, options, in_flight, extra=()):
        super().__init__("floor-%d%s" % (in_flight, "-no-sync" if extra else ""),
                         "floor, %d in flight%s" % (in_flight, ", no sync" if extra else ""), directory, options)
        self.command = [os.path.join(options.build, "bench", "floor"), "--directory", self.directory,
                        "--in-flight", str(in_flight), *extra]

    def start(self):
        self.client_port, = self.take_ports(1)
        self.launch([*self.command, "--port", str(self.client_port)])
        self.wait_for_port(self.client_port)

    def supports(self, load):
        """No map: GET answers a fixed 100 bytes, and a pipeline that mixes is not answered in order."""
        return load.operation == "set" or load.operation == "get" and load.value_bytes == 100


class Etcd(System):
    """Three nodes; the load goes to the leader. h2load sends each run's requests for one key: see README.md."""

    def __init__(self, directory, options):
        newer = os.path.join(options.build, "etcd", "etcd")
        self.program = options.etcd or (newer if os.path.exists(newer) else "etcd")
        need(self.program, "etcd-server")
        need("h2load", "nghttp2-client")
        version = loads.run_program([self.program, "--version"]).split("\n", 1)[0].split()[-1]
        super().__init__("etcd", "etcd %s, three nodes" % version, directory, options)
        self.client_ports = []
        self.runs = 0

    def start(self):
        ports = self.take_ports(6)
        self.client_ports = ports[:3]
        urls = ["http://127.0.0.1:%d" % port for port in ports]
        cluster = ",".join("n%d=%s" % (i, url) for i, url in enumerate(urls[3:]))
        for i in range(3):
            self.launch([self.program, "--name", "n%d" % i, "--data-dir", os.path.join(self.directory, "n%d" % i),
                         "--listen-client-urls", urls[i], "--advertise-client-urls", urls[i],
                         "--listen-peer-urls", urls[3 + i], "--initial-advertise-peer-urls", urls[3 + i],
                         "--initial-cluster", cluster, "--initial-cluster-state", "new",
                         "--quota-backend-bytes", str(8 << 30)], "n%d.log" % i)
        self.port()

    def call(self, port, path, **body):
        """Its JSON gateway; None where nobody answers."""
        request = urllib.request.Request("http://127.0.0.1:%d/v3/%s" % (port, path), json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def port(self):
        def leader():
            self.check_alive()
            for port in self.client_ports:
                status = self.call(port, "maintenance/status")
                if status and status.get("leader") not in (None, "0") and status["leader"] == status["header"]["member_id"]:
                    return port
            return None
        return wait_until("a leader of etcd", START_SECONDS, leader)

    def supports(self, load):
        return load.operation in ("set", "get") and load.distribution == "uniform"

    def fill(self, keys, value_bytes=100):
        pass  # its reads write what they read

    def version_of(self, port, key):
        """How often the key was written."""
        answer = self.call(port, "kv/range", key=base64.b64encode(key).decode()) or {}
        return int(answer["kvs"][0]["version"]) if answer.get("kvs") else 0

    def generate(self, load, requests):
        port = self.port()
        if load.operation == "set":
            self.runs += 1
            key = b"key:%012d" % self.runs
            result, _ = loads.h2load(port, "set", key, load, requests)
            written = self.version_of(port, key)
            if written != requests:
                raise BenchError("etcd: %d puts sent, %d done" % (requests, written))
            return result
        key = b"read:%d" % load.value_bytes
        if not self.version_of(port, key):
            loads.h2load(port, "set", key, dataclasses.replace(load, operation="set", clients=1, pipeline=1), 1)
        result, data_bytes = loads.h2load(port, "get", key, load, requests)
        if data_bytes < requests * load.value_bytes:
            raise BenchError("etcd: %d reads brought %d bytes" % (requests, data_bytes))
        return result

    def settle(self):
        """Old versions go, as they must some time, so that the files stay bounded."""
        super().settle()
        port = self.port()
        status = self.call(port, "maintenance/status")
        if status:
            self.call(port, "kv/compaction", revision=status["header"]["revision"])
        time.sleep(0.3)


SYSTEMS = {
    "kvd": Kvd,
    "redis": Redis,
    "etcd": Etcd,
    "ceiling": Ceiling,
    "floor-1": lambda directory, options: Floor(directory, options, 1),
    "floor-4": lambda directory, options: Floor(directory, options, 4),
    "floor-4-no-sync": lambda directory, options: Floor(directory, options, 4, ("--no-sync",)),
}
DEFAULT_SYSTEMS = ["kvd", "redis", "etcd", "ceiling", "floor-1", "floor-4"]


@contextlib.contextmanager
def running(names, directory, options, say, **of_kvd):
    """Those of the systems that are asked for and installed, in a list; they run inside the `with` block. `say` is told of the
    others; `of_kvd` are further arguments of Kvd."""
    started = []
    try:
        for name in names:
            if name not in options.systems:
                continue
            try:
                system = SYSTEMS[name](directory, options, **(of_kvd if name == "kvd" else {}))
            except NotInstalled as missing:
                say("not measured: %s: %s" % (name, missing))
                continue
            started.append(system)
            system.start()
        yield started
    finally:
        for system in started:
            system.stop()


def raise_open_files():
    """As many open files as are allowed, at most OPEN_FILES; returns how many."""
    import resource  # pylint: disable=import-outside-toplevel
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, OPEN_FILES), max(hard, OPEN_FILES)))
    except (ValueError, OSError):  # not ours to raise
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def end_on_sigterm():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through the clean-up
