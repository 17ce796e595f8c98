"""workload.py: clients that write and read while nodes fail, and that remember what they were told.

Three outcomes, never mixed:
  DONE     the server answered; the effect is there for good
  NOT_DONE certainly without effect: an error of the kind that clients may retry, or nothing was sent
  UNKNOWN  -UNKNOWN, silence, or a connection that broke after the command was sent
"""

import bisect
import math
import random
import statistics
import threading
import time

from linearizability import Operation
from resp import Connection, ConnectionLost, ErrorReply, ReplyTimeout

DONE, NOT_DONE, UNKNOWN = "done", "not done", "unknown"

# Said only of commands that were certainly not appended.
DEFINITE_CODES = ("MOVED", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "READONLY", "MASTERDOWN")


class FollowingClient:
    """Follows MOVED, goes on to another node when one is down. Not thread-safe."""

    def __init__(self, addresses, reply_timeout=10.0, seed=None):
        self.addresses = list(addresses)
        self.reply_timeout = reply_timeout
        self.random = random.Random(seed)
        self.connection = None
        self.connection_address = None
        self.next_address = self.random.choice(self.addresses)
        self.lost_connections = 0
        self.unknown_replies = 0
        self.refused = []      # definite errors that were answered
        self.other_errors = [] # whatever else was answered

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def _connect(self):
        if self.connection is None:
            self.connection = Connection(self.next_address, self.reply_timeout, connect_timeout=1.0)
            self.connection_address = self.next_address

    def _go_elsewhere(self, address=None):
        self.close()
        others = [a for a in self.addresses if a != self.next_address] or self.addresses
        self.next_address = address or self.random.choice(others)

    def execute(self, *arguments, patience=10.0):
        """(outcome, reply). NOT_DONE only after `patience` seconds of trying."""
        deadline = time.monotonic() + patience
        reply = None
        while time.monotonic() < deadline:
            try:
                self._connect()
            except (ConnectionLost, ReplyTimeout):
                self._go_elsewhere()
                time.sleep(0.002)
                continue
            try:
                reply = self.connection.command(*arguments)
            except ReplyTimeout:
                self._go_elsewhere()
                return UNKNOWN, None
            except ConnectionLost:
                self.lost_connections += 1
                self._go_elsewhere()
                return UNKNOWN, None
            if not isinstance(reply, ErrorReply):
                return DONE, reply
            if reply.code == "MOVED":
                self._go_elsewhere(reply.split()[2])
            elif reply.code == "UNKNOWN":
                self.unknown_replies += 1
                return UNKNOWN, reply
            elif reply.code in DEFINITE_CODES:
                self.refused.append(reply)
                self._go_elsewhere()
                time.sleep(0.005)
            else:
                self.other_errors.append(reply)
                return NOT_DONE, reply
        return NOT_DONE, reply


class Workload:
    """Threads that run until stopped; an exception in one of them is raised by stop()."""

    def __init__(self):
        self._threads = []
        self._stop = threading.Event()
        self._errors = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if kind is None and self._errors:
            raise self._errors[0]

    def stop(self):
        self.__exit__(None)

    @property
    def stopping(self):
        return self._stop.is_set()

    def run(self, function, *arguments):
        def body():
            try:
                function(*arguments)
            except BaseException as error:  # noqa: B902 - handed to the main thread
                self._errors.append(error)

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        self._threads.append(thread)

    def check(self):
        if self._errors:
            raise self._errors[0]


class WriterLoad(Workload):
    """N clients. Each writes keys of its own, each once, increments a counter of its own and one that
    all share; what must be there afterwards follows from the answers."""

    SHARED = "counter:shared"

    def __init__(self, addresses, clients=8, pause=0.001, reply_timeout=10.0, patience=10.0):
        super().__init__()
        self.acknowledged = [dict() for _ in range(clients)]  # key -> value
        self.own_counters = [[0, 0, 0] for _ in range(clients)]  # done, unknown, last answer
        self.shared_counters = [[0, 0] for _ in range(clients)]
        self.success_times = []
        self.clients = [FollowingClient(addresses, reply_timeout, seed=i) for i in range(clients)]
        self.pause = pause
        self.patience = patience  # of one command, with a cluster that takes nothing
        self.label = 0

    def start(self):
        for number in range(len(self.clients)):
            self.run(self._write, number)
        return self

    def _write(self, number):
        client = self.clients[number]
        count = 0
        while not self.stopping:
            count += 1
            key = "key:%d:%d:%d" % (self.label, number, count)
            value = "value-%d-%d" % (number, count)
            outcome, reply = client.execute("SET", key, value, patience=self.patience)
            self._note(outcome)
            if outcome == DONE:
                assert reply == "OK", reply
                self.acknowledged[number][key] = value
            own = self.own_counters[number]
            outcome, reply = client.execute("INCR", "counter:%d" % number, patience=self.patience)
            self._note(outcome)
            if outcome == DONE:
                own[0] += 1
                assert reply > own[2], "a counter went back: %r after %r" % (reply, own[2])
                own[2] = reply
            elif outcome == UNKNOWN:
                own[1] += 1
            outcome, reply = client.execute("INCR", self.SHARED, patience=self.patience)
            self._note(outcome)
            if outcome == DONE:
                self.shared_counters[number][0] += 1
            elif outcome == UNKNOWN:
                self.shared_counters[number][1] += 1
            time.sleep(self.pause)
        client.close()

    def _note(self, outcome):
        if outcome == DONE:
            self.success_times.append(time.monotonic())

    def wait_for_success(self, since, wait_until, seconds=40):
        """Waits until a write succeeds that ended after `since`; returns when that was."""

        def succeeded():
            self.check()
            times = self.success_times
            return times[-1] if times and times[-1] > since else None

        wait_until(succeeded, seconds, "a write that succeeds", interval=0.005)
        return min(t for t in self.success_times[-20000:] if t > since)

    def gaps_around(self, moments):
        """For each moment: the longest time without a successful write between the last one before it and
        the first one after the next moment."""
        times = sorted(self.success_times)
        gaps = []
        for moment, end in zip(moments, [*moments[1:], math.inf]):
            first = max(bisect.bisect_right(times, moment) - 1, 0)
            last = min(bisect.bisect_right(times, end), len(times) - 1)
            gaps.append(max((b - a for a, b in zip(times[first:last], times[first + 1:last + 1])), default=0.0))
        return gaps

    # ---- what must be there afterwards ----

    def acknowledged_count(self):
        return sum(map(len, self.acknowledged))

    def unknown_count(self):
        return sum(own[1] for own in self.own_counters) + sum(c[1] for c in self.shared_counters)

    def verify_on(self, node):
        """Every acknowledged write is on this very node, and counters count what they should."""
        with node.connect(30) as connection:
            assert connection.command("READONLY") == "OK"
            for written in self.acknowledged:
                items = list(written.items())
                for start in range(0, len(items), 500):
                    part = items[start:start + 500]
                    values = connection.command("MGET", *[key for key, _ in part])
                    assert not isinstance(values, ErrorReply), values
                    wrong = [(key, value, got) for (key, value), got in zip(part, values) if got != value.encode()]
                    assert not wrong, "node %d lost acknowledged writes: %r" % (node.id, wrong[:5])
            for number, (done, unknown, _) in enumerate(self.own_counters):
                self._verify_counter(node, connection, "counter:%d" % number, done, unknown)
            self._verify_counter(node, connection, self.SHARED, sum(c[0] for c in self.shared_counters),
                                 sum(c[1] for c in self.shared_counters))

    @staticmethod
    def _verify_counter(node, connection, key, done, unknown):
        reply = connection.command("GET", key)
        value = int(reply or 0)
        assert done <= value <= done + unknown, \
            "node %d: %s is %d, but %d were acknowledged and %d unknown" % (node.id, key, value, done, unknown)

    def verify_everywhere(self, cluster):
        cluster.wait_until_equal()
        assert len(cluster.running) == len(cluster.nodes)
        for node in cluster.nodes:
            self.verify_on(node)
        errors = [error for client in self.clients for error in client.other_errors]
        assert not errors, "unexpected answers: %r" % errors[:5]


class HistoryLoad(Workload):
    """Clients whose every operation goes into a history for the linearizability checker.

    `label` is part of the keys: set it anew after each fault and the histories stay short."""

    def __init__(self, addresses, registers=3, counters=1):
        super().__init__()
        self.addresses = addresses
        self.history = []
        self.label = 0
        self.registers = registers
        self.counters = counters
        self._values = 0
        self._lock = threading.Lock()
        self.success_times = []
        self.clients = []
        self.reads_by_address = {}

    def start(self, followers=4, pinned_per_node=1):
        for i in range(followers):
            self.run(self._follow, "client-%d" % i, i)
        for address in self.addresses:
            for i in range(pinned_per_node):
                self.run(self._read_one_node, "reader-%s-%d" % (address, i), address)
        return self

    def new_value(self):
        with self._lock:
            self._values += 1
            return b"v%d" % self._values

    def keys(self):
        label = self.label
        return (["register:%d:%d" % (label, i) for i in range(self.registers)],
                ["counter:%d:%d" % (label, i) for i in range(self.counters)])

    def record(self, client, key, kind, value, call, outcome):
        """Reads without a result and writes that were not done are no part of a history."""
        if outcome == NOT_DONE or (outcome == UNKNOWN and kind == "get"):
            return
        operation = Operation(client, key, kind, value, call)
        if outcome == DONE:
            operation.end = time.monotonic_ns()
        self.history.append(operation)

    def _follow(self, name, seed):
        client = FollowingClient(self.addresses, reply_timeout=8.0, seed=seed)
        self.clients.append(client)
        source = random.Random(seed)
        while not self.stopping:
            registers, counters = self.keys()
            draw = source.random()
            call = time.monotonic_ns()
            if draw < 0.35:
                key, value = source.choice(registers), self.new_value()
                outcome, _ = client.execute("SET", key, value)
                self.record(name, key, "set", value, call, outcome)
            elif draw < 0.6 and counters:
                key = source.choice(counters)
                outcome, reply = client.execute("INCR", key)
                self.record(name, key, "incr", reply if outcome == DONE else None, call, outcome)
            else:
                key = source.choice(registers + counters)
                outcome, reply = client.execute("GET", key)
                self.record(name, key, "get", self.read_value(key, reply), call, outcome)
            if outcome == DONE:
                self.success_times.append(time.monotonic())
            time.sleep(source.random() * 0.006)
        client.close()

    @staticmethod
    def read_value(key, reply):
        if key.startswith("counter") and isinstance(reply, bytes):
            return int(reply)
        return reply if isinstance(reply, bytes) else None

    def _read_one_node(self, name, address):
        """Reads from one node, whether it leads or not; waits patiently while it is paused."""
        source = random.Random(name)
        connection = None
        while not self.stopping:
            try:
                if connection is None:
                    connection = Connection(address, 8.0, connect_timeout=2.0)
                    connection.command("READONLY")
                registers, counters = self.keys()
                key = source.choice(registers + counters)
                call = time.monotonic_ns()
                reply = connection.command("GET", key)
                if not isinstance(reply, ErrorReply):
                    self.record(name, key, "get", self.read_value(key, reply), call, DONE)
                    self.reads_by_address[address] = self.reads_by_address.get(address, 0) + 1
            except (ConnectionLost, ReplyTimeout):
                if connection:
                    connection.close()
                connection = None
                time.sleep(0.02)
            time.sleep(source.random() * 0.01)
        if connection:
            connection.close()


def describe_times(name, seconds):
    """One line for the report: median and maximum."""
    if not seconds:
        return "%s: none" % name
    return "%s: median %.3f s, max %.3f s, all: %s" % (
        name, statistics.median(seconds), max(seconds), " ".join("%.3f" % s for s in sorted(seconds)))
