"""kvd_cluster.py: real kvd processes for tests: start, kill, pause, restart, look inside, always clean
up.

A `Cluster` is N processes on free loopback ports with directories of their own. Whatever happens to the
test (a failure, an exception, Ctrl-C, even a kill -9 of the test itself), no process stays behind: the
cluster is a context manager, an exit handler covers the rest, and each kvd dies with its parent.

A node that ends without being told to fails the test, and so does any report of a sanitizer.

Environment:
  KVD_BINARY     the server under test (default build/kvd); in a folder named after a sanitizer, its checks are on
  KVD_TEST_DIR   where data directories go (default the temporary directory; never on an overlay filesystem)
  KVD_TEST_KEEP  when set, directories are kept
  KVD_TEST_PATIENCE  multiplies every time limit (a slow machine; sanitizers set it themselves)
"""

import atexit
import functools
import glob
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from resp import BadReply, Connection, ConnectionLost, ErrorReply, ReplyTimeout

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_START = 3
EXIT_REFUSED = 4
EXIT_DISK = 5
EXIT_CORRUPT = 6

SANITIZER_EXIT = 66


def chosen_binary():
    return os.path.abspath(os.environ.get("KVD_BINARY", os.path.join(REPOSITORY, "build", "kvd")))


@functools.lru_cache(maxsize=None)
def kvd_binary():
    """A copy of the server: one that is built anew while tests run is not mixed with the old one."""
    root = test_directory_root()
    for left in glob.glob(os.path.join(root, "kvd-test-binary-*")):  # by test runs that were killed
        if not os.path.exists("/proc/" + left.rsplit("-", 1)[1]):
            shutil.rmtree(left, ignore_errors=True)
    directory = os.path.join(root, "kvd-test-binary-%d" % os.getpid())
    os.makedirs(directory, exist_ok=True)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.chmod(directory, 0o755)
    return shutil.copy(chosen_binary(), os.path.join(directory, "kvd"))


def runs_under(sanitizer):
    """By the name of the folder: build-tsan/kvd."""
    return sanitizer in os.path.basename(os.path.dirname(chosen_binary()))


def runs_under_sanitizer():
    return runs_under("tsan") or runs_under("asan")


PATIENCE = float(os.environ.get("KVD_TEST_PATIENCE", "5" if runs_under_sanitizer() else "1"))


# For tests of what a leader does while it leads. On a busy machine a node may not get to run for a second, and is then
# replaced, as it should be; such a test is not about that.
STEADY = {"election-timeout": "3s"}


def rounds(default):
    """How often a fault is repeated; KVD_TEST_ROUNDS makes a quick form of it."""
    limit = os.environ.get("KVD_TEST_ROUNDS")
    return min(default, int(limit)) if limit else default


class Failure(AssertionError):
    """Something that a test waited for did not come, or a node misbehaved."""


def wait_until(condition, seconds, what, interval=0.02):
    """Calls `condition` until it returns something true, which is returned."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failure("waited %.0f s in vain: %s" % (seconds * PATIENCE, what))
        time.sleep(interval)


# ---- ports ----------------------------------------------------------------------------------------

def _ephemeral_ports_start():
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            return int(file.read().split()[0])
    except OSError:
        return 32768


_handed_out = set()
_held = {}  # port -> the socket that keeps it from others


def _hold_port(port):
    """True if the port was free, and is now kept from everybody else on this machine, another test run included, also
    while nobody listens there. It is bound without SO_REUSEADDR, which fails if anyone else has it; with that option
    set afterwards, a server of ours that sets it too can bind it beside us."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return False
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _held[port] = holder
    return True


def release_ports(ports):
    """For servers that cannot share a port with its holder, and when the ports are not needed any more."""
    for port in ports:
        holder = _held.pop(port, None)
        if holder:
            holder.close()


def free_ports(count, second_at=0):
    """Ports that are ours until they are released; if `second_at` is not 0, those that lie so much higher are too. Below
    the range that the kernel hands out to outgoing connections: a node that is down for a moment finds its port free
    when it comes back."""
    end = min(_ephemeral_ports_start(), 32768)
    while True:
        base = random.SystemRandom().randrange(10000, end - count - second_at)
        ports = list(range(base, base + count))
        wanted = ports + [port + second_at for port in ports if second_at]
        if not _handed_out.intersection(wanted):
            if all(map(_hold_port, wanted)):
                _handed_out.update(wanted)
                return ports
            release_ports(wanted)


# ---- directories ----------------------------------------------------------------------------------

def _filesystem(path):
    result = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True)
    return result.stdout.strip()


def test_directory_root():
    wanted = os.environ.get("KVD_TEST_DIR")
    if wanted:
        os.makedirs(wanted, exist_ok=True)
        return wanted
    for path in (tempfile.gettempdir(), "/var/tmp", "/dev/shm", os.path.join(REPOSITORY, "build")):
        if os.path.isdir(path) and os.access(path, os.W_OK) and not _filesystem(path).startswith("overlay"):
            return path
    return tempfile.gettempdir()


# ---- processes ------------------------------------------------------------------------------------

_running = set()  # every process that this module started and has not seen end
_open_clusters = []


def _kill_all():
    for process in list(_running):
        if process.poll() is None:
            process.kill()
    for process in list(_running):
        process.wait()
    _running.clear()


atexit.register(_kill_all)


def open_clusters():
    """The clusters that the present test has open, for the report of a failure."""
    return list(_open_clusters)


def _command_prefix():
    prefix = []
    if shutil.which("setpriv"):
        prefix += ["setpriv", "--pdeathsig", "KILL"]
    if runs_under("tsan"):
        # The thread sanitizer of older compilers does not find its memory layout under full randomisation.
        prefix += ["setarch", "-R"]
    return prefix


def spawn(arguments, log_path, prefix=(), environment=None):
    """Starts a process whose output goes to the end of a file. It dies with us."""
    with open(log_path, "ab") as log:
        process = subprocess.Popen([*prefix, *_command_prefix(), *arguments], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, env=environment, start_new_session=True)
    _running.add(process)
    return process


def deaf_to_nothing():
    """For preexec_fn of what is to be ended by a signal: nohup and shells that start something in the background make
    it deaf to SIGHUP and SIGINT, we hand that on, and neither a shell script nor kvd undoes it."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def server_environment(log_prefix):
    """Ours, without the variables that kvd would take for settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KVD_")}
    common = "log_path=%s:exitcode=%d" % (log_prefix, SANITIZER_EXIT)
    environment["TSAN_OPTIONS"] = common + ":second_deadlock_stack=1:history_size=4"
    environment["ASAN_OPTIONS"] = common + ":detect_leaks=1"
    environment["UBSAN_OPTIONS"] = common + ":print_stacktrace=1"
    return environment


def run_kvd(*arguments, seconds=60):
    """A kvd that does something and ends, as `kvd restore`."""
    prefix = os.path.join(test_directory_root(), "kvd-sanitizer")
    return subprocess.run([*_command_prefix(), kvd_binary(), *map(str, arguments)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=server_environment(prefix),
                          timeout=seconds * PATIENCE)


class Node:
    """One member: its settings stay, its process comes and goes."""

    def __init__(self, cluster, node_id, client_port, bus_port):
        self.cluster = cluster
        self.id = node_id
        self.host = "127.0.0.1"
        self.bus_host = "127.0.0.1"
        self.client_port = client_port
        self.bus_port = bus_port
        self.directory = os.path.join(cluster.directory, "data-%d" % node_id)
        self.log_path = os.path.join(cluster.directory, "node-%d.log" % node_id)
        self.process = None
        self.told_to_end = False
        self.settings = {}
        self.binary = None  # instead of the server under test
        self.listeners = None  # instead of the one plain listener
        self.prefix = []
        self.paused = False

    @property
    def address(self):
        return "%s:%d" % (self.host, self.client_port)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def arguments(self, overrides=None):
        settings = {
            "id": self.id,
            "listen": self.listeners or "%s:%d" % (self.host, self.client_port),
            "data": self.directory,
        }
        if len(self.cluster.nodes) > 1:
            settings["cluster"] = self.cluster.members_setting()
            settings["bus-listen"] = "%s:%d" % (self.bus_host, self.bus_port)
        settings.update(self.cluster.settings)
        settings.update(self.settings)
        settings.update(overrides or {})
        arguments = [self.binary or kvd_binary()]
        for name, value in settings.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if one is not None:
                    arguments += ["--" + name, str(one)]
        return arguments

    def start(self, overrides=None):
        """Call it from the main thread only: a kvd dies with the thread that started it."""
        assert not self.running, "node %d runs already" % self.id
        self.told_to_end = False
        self.paused = False
        with open(self.log_path, "ab") as log:
            log.write(b"---- start of node %d ----\n" % self.id)
        prefix = os.path.join(self.cluster.directory, "sanitizer-%d" % self.id)
        self.process = spawn(self.arguments(overrides), self.log_path, self.prefix, server_environment(prefix))

    def kill9(self):
        self.told_to_end = True
        self.process.kill()
        self.process.wait()
        _running.discard(self.process)

    def pause(self):
        self.paused = True
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        self.paused = False
        os.kill(self.process.pid, signal.SIGCONT)

    def terminate(self):
        """Sends SIGTERM; wait_exit() tells how it ended."""
        self.told_to_end = True
        self.process.terminate()

    def wait_exit(self, seconds=30):
        """The exit code of a process that is expected to end by itself or after terminate()."""
        self.told_to_end = True
        try:
            code = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure("node %d does not end" % self.id) from None
        _running.discard(self.process)
        return code

    def connect(self, timeout=30.0):
        return Connection(self.address, timeout * PATIENCE)

    def command(self, *arguments, timeout=30.0):
        """One command on a connection of its own."""
        with self.connect(timeout) as connection:
            return connection.command(*arguments)

    def read(self, *arguments, timeout=30.0):
        """One read of this very node (READONLY)."""
        with self.connect(timeout) as connection:
            connection.command("READONLY")
            return connection.command(*arguments)

    def status(self, timeout=10.0):
        """RAFT STATUS as a dictionary (numbers as int), or None when the node does not answer."""
        try:
            with Connection(self.address, timeout * PATIENCE) as connection:
                reply = connection.command("RAFT", "STATUS")
        except (ConnectionLost, ReplyTimeout, BadReply):
            return None
        if not isinstance(reply, bytes):
            raise Failure("RAFT STATUS answered %r" % (reply,))
        fields = {}
        for line in reply.decode().splitlines():
            name, separator, value = line.partition(":")
            if separator:
                is_number = value.isdigit() and name not in ("digest", "cluster_id", "disk_id", "version", "build")
                fields[name] = int(value) if is_number else value
        return fields

    def resident_bytes(self):
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise Failure("no VmRSS")

    def anonymous_bytes(self):
        """Resident memory without mapped files (LMDB's pages are the kernel's to drop)."""
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return self.resident_bytes()

    def log_text(self):
        try:
            with open(self.log_path, errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def last_log(self):
        """What was logged since the last start."""
        return self.log_text().rsplit("---- start of node", 1)[-1]


class Cluster:
    """Some nodes and what they have in common. Use it in a `with` statement."""

    def __init__(self, size=3, settings=None, start=True, name="kvd-test", configure=None):
        self.directory = tempfile.mkdtemp(prefix=name + "-", dir=test_directory_root())
        self.settings = {"log-level": os.environ.get("KVD_TEST_LOG_LEVEL", "info")}
        self.settings.update(settings or {})
        self.failed = False
        self._start = start
        self._ports = free_ports(2 * size)
        self.nodes = [Node(self, i + 1, self._ports[i], self._ports[size + i]) for i in range(size)]
        if configure:
            configure(self)

    def members_setting(self):
        return ",".join("%d=%s:%d" % (node.id, node.bus_host, node.bus_port) for node in self.nodes)

    def __enter__(self):
        _open_clusters.append(self)
        try:
            if self._start:
                self.start()
        except BaseException:
            self.close(check=False)
            raise
        return self

    def __exit__(self, kind, *_):
        self.close(check=kind is None)

    # ---- running ----

    def start(self):
        for node in self.nodes:
            node.start()
        self.wait_for_leader()
        self.wait_until_all_follow()

    def restart_all(self):
        for node in self.nodes:
            if not node.running:
                node.start()

    def node(self, node_id):
        return self.nodes[node_id - 1]

    def addresses(self):
        return [node.address for node in self.nodes]

    @property
    def running(self):
        return [node for node in self.nodes if node.running and not node.paused]

    def find_leader(self):
        """The leader in the highest term that a majority of the running nodes names and that serves
        reads, or None."""
        statuses = [(node, node.status(1.0)) for node in self.running]
        statuses = [(node, status) for node, status in statuses if status]
        if not statuses:
            return None
        term = max(status["term"] for _, status in statuses)
        for node, status in statuses:
            if status["role"] == "leader" and status["term"] == term:
                followers = [s for _, s in statuses if s["term"] == term and s["leader_id"] == node.id]
                if len(followers) <= len(self.nodes) // 2:
                    return None
                try:
                    reply = node.command("GET", "kvd:test:probe", timeout=2)
                except (ConnectionLost, ReplyTimeout):
                    return None
                return None if isinstance(reply, ErrorReply) else node
        return None

    def wait_for_leader(self, seconds=40):
        return wait_until(self.find_leader, seconds, "a leader")

    def wait_until_all_follow(self, seconds=40):
        """Until all nodes, which must be running and connected, name the same leader: a majority knows it first."""

        def all_follow():
            statuses = [node.status() for node in self.nodes]
            return all(statuses) and len({(status["term"], status["leader_id"]) for status in statuses}) == 1 \
                and statuses[0]["leader_id"] != 0

        wait_until(all_follow, seconds, "all nodes to follow one leader")

    def followers(self):
        leader = self.wait_for_leader()
        return [node for node in self.running if node is not leader]

    def wait_until_equal(self, seconds=60):
        """Waits until all running nodes have applied the same entries and reports their common status;
        nobody may be writing. Then their digests and key counts must be the same."""

        def settled():
            statuses = [node.status() for node in self.running]
            if not all(statuses):
                return None
            if any("applied_index" not in status for status in statuses):
                return None
            commits = {status["commit_index"] for status in statuses}
            applied = {status["applied_index"] for status in statuses}
            return statuses if len(commits) == 1 and applied == commits else None

        statuses = wait_until(settled, seconds, "equal applied indexes")
        digests = {(status["digest"], status["key_count"]) for status in statuses}
        if len(digests) != 1:
            raise Failure("equal applied indexes, different contents: %r" % statuses)
        return statuses[0]

    # ---- the end ----

    def close(self, check=True):
        problems = []
        for node in self.nodes:
            if node.process is None:
                continue
            code = node.process.poll()
            if code is not None and not node.told_to_end:
                problems.append("node %d ended by itself with %d" % (node.id, code))
            elif code in (SANITIZER_EXIT, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGFPE,
                          -signal.SIGILL):
                problems.append("node %d crashed with %d" % (node.id, code))
        problems += self._stop_processes()
        release_ports(self._ports)
        for path in sorted(glob.glob(os.path.join(self.directory, "sanitizer-*"))):
            with open(path, errors="replace") as file:
                problems.append("sanitizer report %s:\n%s" % (os.path.basename(path), file.read()[:20000]))
        if self in _open_clusters:
            _open_clusters.remove(self)
        if (check and problems) or self.failed:
            self.keep_logs()
        if not os.environ.get("KVD_TEST_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)
        if check and problems:
            raise Failure("\n".join(problems))

    def _stop_processes(self):
        problems = []
        graceful = runs_under_sanitizer()  # leaks and races at the end are found only by a clean end
        for node in self.nodes:
            if node.running and node.paused:
                node.resume()
            if node.running and graceful:
                node.process.terminate()
        for node in self.nodes:
            if node.process is None:
                continue
            if graceful and node.running:
                try:
                    code = node.process.wait(60)
                    if code == SANITIZER_EXIT:
                        problems.append("node %d: sanitizer exit" % node.id)
                except subprocess.TimeoutExpired:
                    problems.append("node %d does not end at SIGTERM" % node.id)
            if node.running:
                node.process.kill()
            node.process.wait()
            _running.discard(node.process)
        return problems

    def log_tails(self, lines=40):
        """The end of every node's log, for the report of a failure."""
        parts = []
        for node in self.nodes:
            state = "runs" if node.running else "ended"
            if node.process is not None and node.process.poll() is not None:
                state = "ended with %d" % node.process.poll()
            tail = node.log_text().splitlines()[-lines:]
            parts.append("==== node %d, %s, %s ====\n%s" % (node.id, node.address, state, "\n".join(tail)))
        return "\n".join(parts)

    def keep_logs(self):
        """Copies the logs of a failed test to build/test-logs/."""
        target = os.path.join(REPOSITORY, "build", "test-logs", os.path.basename(self.directory))
        os.makedirs(target, exist_ok=True)
        for path in glob.glob(os.path.join(self.directory, "*.log")) + glob.glob(
                os.path.join(self.directory, "sanitizer-*")):
            shutil.copy(path, target)
        return target
