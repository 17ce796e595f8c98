"""loads.py: a load, the three programs that make one, and what they print.

redis-benchmark makes SET and GET of uniform keys; bench/load (load.c) what it cannot: mixes, Zipfian keys, an open loop, an
end at a given moment; h2load speaks to etcd. Each ends at the first request that fails, and so does the measurement.
"""
import dataclasses
import json
import os
import shutil
import subprocess
import tempfile

TIME_LIMIT_S = 600
FILL_TIME_LIMIT_S = 3600


class BenchError(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Load:
    operation: str  # set, get, mix (nine GETs to one SET)
    clients: int = 50
    pipeline: int = 1
    value_bytes: int = 100
    keys: int = 100000
    distribution: str = "uniform"

    @property
    def writes_share(self):
        return {"set": 1.0, "get": 0.0, "mix": 0.1}[self.operation]


@dataclasses.dataclass
class Result:
    """Of one run; times are milliseconds."""
    generator: str
    requests: int
    seconds: float
    rps: float
    p50: float
    p99: float
    p999: float
    max: float
    missing: int = 0  # reads that found nothing, where the generator tells

    def __getitem__(self, name):
        return getattr(self, name)


def run_program(command, time_limit_s=TIME_LIMIT_S):
    """Its standard output; BenchError with what it said when it fails."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=time_limit_s, check=False,
                                stdin=subprocess.DEVNULL)
    except FileNotFoundError as missing:
        raise BenchError("%s is not there" % command[0]) from missing
    except subprocess.TimeoutExpired as expired:
        raise BenchError("%s: no end after %d s" % (" ".join(command), time_limit_s)) from expired
    if result.returncode != 0:
        raise BenchError("%s: ended with %d: %s" % (" ".join(command), result.returncode,
                                                    (result.stdout[-500:] + result.stderr[-500:]).strip()))
    return result.stdout


# ---- redis-benchmark ------------------------------------------------------------------------------

def missing_redis_benchmark():
    """What to install; None where it is there."""
    return None if shutil.which("redis-benchmark") else \
        "redis-benchmark is missing (Debian package: redis-tools; tests/install-packages bench)"


def parse_redis_benchmark(text):
    """The numbers in what redis-benchmark 7 prints without -q and --csv (in CSV there is no p99.9)."""
    percentiles, fields, rps = [], None, None
    lines = text.replace("\r", "\n").splitlines()
    in_percentiles = False
    for number, line in enumerate(lines):
        if line.startswith("Latency by percentile distribution"):
            in_percentiles = True
        elif not line.strip():
            in_percentiles = False
        elif in_percentiles and "% <= " in line:
            share, rest = line.split("% <= ")
            percentiles.append((float(share), float(rest.split()[0])))
        elif "throughput summary:" in line:
            rps = float(line.split(":")[1].split()[0])
        elif line.split() == ["avg", "min", "p50", "p95", "p99", "max"]:
            fields = dict(zip(line.split(), map(float, lines[number + 1].split())))
        elif " requests completed in " in line:
            requests, seconds = int(line.split()[0]), float(line.split()[-2])
    if not percentiles or not fields or rps is None:
        raise BenchError("redis-benchmark printed something else: %s" % text[-500:])
    return Result("redis-benchmark", requests, seconds, rps, fields["p50"], fields["p99"],
                  next((time for share, time in percentiles if share >= 99.9), fields["max"]), fields["max"])


def redis_benchmark(port, load, requests):
    if load.operation not in ("set", "get") or load.distribution != "uniform":
        raise BenchError("redis-benchmark cannot do %s" % (load,))
    return parse_redis_benchmark(run_program([
        "redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", load.operation, "-c", str(load.clients),
        "-P", str(load.pipeline), "-n", str(requests), "-d", str(load.value_bytes), "-r", str(load.keys),
        "--precision", "3"]))


def run_load(port, operation, clients, pipeline, requests):
    """SET or GET of 100 bytes by redis-benchmark."""
    return redis_benchmark(port, Load(operation, clients, pipeline), requests)


# ---- bench/load -----------------------------------------------------------------------------------

def parse_own(text, part="all"):
    """`part`: all, reads or writes."""
    answer = json.loads(text)
    times = answer[part]
    return Result("load", times["requests"], answer["seconds"], answer["rps"] if part == "all" else
                  times["requests"] / answer["seconds"], times["p50"], times["p99"], times["p999"], times["max"],
                  answer["missing"])


def own_command(build, port, load, **more):
    """Further options of load.c as keywords: seconds=1.5, rate=1000, slices="file"."""
    options = {"port": port, "clients": load.clients, "pipeline": load.pipeline, "value_bytes": load.value_bytes,
               "keys": load.keys, "distribution": load.distribution,
               "read_percent": {"set": 0, "get": 100, "mix": 90}[load.operation], **more}
    command = [os.path.join(build, "bench", "load")]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    return command


def own_load(build, port, load, **more):
    return parse_own(run_program(own_command(build, port, load, **more)))


def fill(build, port, keys, value_bytes=100):
    """Each key once, in order."""
    keys_per_write = max(1, min(50, 20000 // value_bytes))
    writes = -(-keys // keys_per_write)
    run_program(own_command(build, port, Load("set", 10, 4, value_bytes, keys, "sequential"), requests=writes,
                            keys_per_write=keys_per_write), FILL_TIME_LIMIT_S)


class OwnLoadRunning:
    """bench/load in the background, until stopped; then its result and its slices."""

    def __init__(self, build, port, load, **more):
        descriptor, self.slices_path = tempfile.mkstemp(prefix="kvd-bench-slices-")
        os.close(descriptor)
        self.process = subprocess.Popen(own_command(build, port, load, slices=self.slices_path, **more),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        if os.path.exists(self.slices_path):
            os.unlink(self.slices_path)

    def check(self):
        if self.process.poll() not in (None, 0):
            raise BenchError("load ended with %d: %s" % (self.process.returncode, self.process.stderr.read()[-500:]))

    def stop(self):
        """(Result, slices)."""
        self.process.terminate()
        output, errors = self.process.communicate(timeout=30)
        if self.process.returncode != 0:
            raise BenchError("load ended with %d: %s" % (self.process.returncode, errors[-500:]))
        with open(self.slices_path, encoding="ascii") as file:
            slices = parse_slices(file.read())
        return parse_own(output), slices


# ---- slices ---------------------------------------------------------------------------------------

SLICE_S = 0.1


@dataclasses.dataclass
class Slice:
    """A tenth of a second of load: when it began (time.monotonic()), {longest microseconds: requests}."""
    begun: float
    counts: dict

    @property
    def requests(self):
        return sum(self.counts.values())


def parse_slices(text):
    slices = []
    for line in text.splitlines():
        begun, *pairs = line.split()
        slices.append(Slice(float(begun), {int(us): int(n) for us, n in (pair.split(":") for pair in pairs)}))
    return slices


def quantile_ms(slices, share):
    """The time that this share of the requests of all slices did not exceed; None of none."""
    counts = {}
    for one in slices:
        for us, count in one.counts.items():
            counts[us] = counts.get(us, 0) + count
    wanted, seen = share * sum(counts.values()), 0
    for us in sorted(counts):
        seen += counts[us]
        if seen >= wanted:
            return us / 1000
    return None


# ---- h2load ---------------------------------------------------------------------------------------

def protobuf_bytes(field, content):
    """A length-delimited field of a protobuf message."""
    size, length = b"", len(content)
    while length >= 0x80:
        size += bytes([length & 0x7f | 0x80])
        length >>= 7
    return bytes([field << 3 | 2]) + size + bytes([length]) + content


def grpc_frame(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


def etcd_request(operation, key, value_bytes):
    """(path, body) of etcdserverpb's PutRequest {key = 1, value = 2} or RangeRequest {key = 1}."""
    if operation == "set":
        message = protobuf_bytes(1, key) + protobuf_bytes(2, b"x" * value_bytes)
        return "/etcdserverpb.KV/Put", grpc_frame(message)
    return "/etcdserverpb.KV/Range", grpc_frame(protobuf_bytes(1, key))


def parse_h2load(text, log, requests):
    """(Result, bytes of the replies' bodies). The log has a line per request: begin, HTTP status, microseconds."""
    numbers = {}
    for line in text.splitlines():
        if line.startswith("finished in "):
            rate = line.split(",")[1].split()
            numbers["rps"] = float(rate[0])
        elif line.startswith("requests:"):
            numbers.update((name, int(value)) for value, name in (
                part.split()[:2] for part in line.split(":")[1].split(",")))
        elif line.startswith("traffic:"):
            numbers["data"] = int(line.rsplit("(", 1)[1].split(")")[0])
    if numbers.get("succeeded") != requests or "data" not in numbers or "rps" not in numbers:
        raise BenchError("h2load: %s" % text[-800:])
    times = sorted(int(line.split("\t")[2]) for line in log.splitlines())
    if len(times) != requests or any(line.split("\t")[1] != "200" for line in log.splitlines()):
        raise BenchError("h2load logged %d of %d requests, or not all with status 200" % (len(times), requests))

    def at(share):
        return times[min(len(times) - 1, int(share * len(times)))] / 1000

    return Result("h2load", requests, requests / numbers["rps"], numbers["rps"], at(0.5), at(0.99), at(0.999),
                  times[-1] / 1000), numbers["data"]


def h2load(port, operation, key, load, requests):
    """(Result, bytes of the replies' bodies)."""
    path, body = etcd_request(operation, key, load.value_bytes)
    with tempfile.TemporaryDirectory(prefix="kvd-bench-h2load-") as directory:
        data, log = os.path.join(directory, "body"), os.path.join(directory, "log")
        with open(data, "wb") as file:
            file.write(body)
        text = run_program(["h2load", "-n", str(requests), "-c", str(load.clients), "-m", str(load.pipeline), "-d", data,
                            "-H", "content-type: application/grpc", "-H", "te: trailers", "--log-file=" + log,
                            "http://127.0.0.1:%d%s" % (port, path)])
        with open(log, encoding="ascii") as file:
            return parse_h2load(text, file.read(), requests)
