"""steady_load.py: a load that goes on while something else happens, in slices whose latencies can be told apart.

redis-benchmark runs again and again for about half a second, each time at the present leader; a slice that ends with an
error (redis-benchmark follows no redirect) counts as interrupted, and the next one asks anew who leads.
"""
import statistics
import threading
import time

from loads import BenchError, run_load


class Slice:
    def __init__(self, begun, ended, result):
        self.begun, self.ended, self.result = begun, ended, result


class SteadyLoad:
    """Use it in a `with` statement. find_port() says where the leader listens, or None for the moment."""

    def __init__(self, find_port, operation="set", clients=50, pipeline=1, seconds=0.5):
        self.find_port = find_port
        self.operation, self.clients, self.pipeline, self.seconds = operation, clients, pipeline, seconds
        self.slices = []
        self.interrupted = []  # when
        self._rate = 2000.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        port = None
        while not self._stop.is_set():
            port = port or self.find_port()
            if port is None:
                time.sleep(0.02)
                continue
            requests = max(self.clients * self.pipeline * 4, int(self._rate * self.seconds))
            begun = time.monotonic()
            try:
                result = run_load(port, self.operation, self.clients, self.pipeline, requests)
            except BenchError:
                self.interrupted.append(time.monotonic())
                port = None
                continue
            self._rate = result["rps"]
            self.slices.append(Slice(begun, time.monotonic(), result))

    # ---- what it saw ----

    def between(self, begin, end):
        """The slices that have a part in this time."""
        return [s for s in self.slices if s.begun < end and s.ended > begin]

    def within(self, begin, end):
        """The slices that lie in this time whole."""
        return [s for s in self.slices if s.begun >= begin and s.ended <= end]


def median_of(slices, name):
    """The median of the slices' own values; None of no slices."""
    return statistics.median(s.result[name] for s in slices) if slices else None


def worst_of(slices, name):
    return max(s.result[name] for s in slices) if slices else None
