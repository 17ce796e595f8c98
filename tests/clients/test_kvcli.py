"""kvcli against real nodes: finds the leader from any seed, survives failovers, and tells scripts
exactly what happened."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from kvcli import KVCLI, NOT_EXECUTED, OK, SERVER_ERROR, UNKNOWN, USAGE, environment, kvcli
from kvd_cluster import PATIENCE, STEADY, Cluster, free_ports, rounds
from test_failover import wait_until_caught_up

pytestmark = pytest.mark.skipif(not os.path.exists(KVCLI), reason="kvcli is not built")


def test_one_shot_commands_work_from_every_seed(shared_cluster):
    """`kvcli -c host:port get k` from the leader, a follower, and a list with a dead address in front."""
    dead = "127.0.0.1:%d" % free_ports(1)[0]
    for seeds in ([node] for node in shared_cluster.nodes):
        for nodes in (seeds, [dead, *seeds]):
            result = kvcli(nodes, "set", "cli:k", "v w")
            assert (result.returncode, result.stdout) == (OK, "OK\n"), result.stderr
            result = kvcli(nodes, "get", "cli:k")
            assert (result.returncode, result.stdout) == (OK, "v w\n"), result.stderr


def test_errors_have_exit_codes_of_their_own(shared_cluster):
    """1 for the server's error, 2 for wrong use, 3 when nobody can be reached."""
    nodes = shared_cluster.nodes
    kvcli(nodes, "set", "cli:text", "abc")
    assert kvcli(nodes, "incr", "cli:text").returncode == SERVER_ERROR
    assert kvcli(nodes, "nosuchcommand").returncode in (SERVER_ERROR, USAGE)
    assert kvcli(nodes, "--no-such-option").returncode == USAGE
    assert kvcli(["127.0.0.1:notaport"], "get", "k").returncode == USAGE
    dead = "127.0.0.1:%d" % free_ports(1)[0]
    result = kvcli([dead], "--timeout", "1s", "set", "k", "v")
    assert result.returncode == NOT_EXECUTED and result.stderr, result


def test_version_has_the_form_of_the_servers():
    """`kvcli 0.1.0 (build)`, as `kvd 0.1.0 (build)`: from a tarball there is no build to tell versions apart by."""
    result = kvcli(["127.0.0.1:1"], "--version")
    assert re.fullmatch(r"kvcli \d+\.\d+\.\d+ \(\S+\)\n", result.stdout), result


def test_json_is_one_line_per_command(shared_cluster):
    """--json prints valid JSON for values, numbers, nil, errors and binary data."""
    nodes = shared_cluster.nodes
    for command in (("set", "cli:j", "\u00e4 \"quoted\""), ("get", "cli:j"), ("get", "cli:none"), ("incr", "cli:jn"),
                    ("mget", "cli:j", "cli:none"), ("incr", "cli:j"), ("scan", "0")):
        result = kvcli(nodes, "--json", *command)
        line, = result.stdout.splitlines()
        json.loads(line)
    assert "\u00e4 \\\"quoted\\\"" in kvcli(nodes, "--json", "get", "cli:j").stdout


def test_commands_from_standard_input(shared_cluster):
    """One command per line; -x takes the last argument from standard input byte for byte."""
    nodes = shared_cluster.nodes
    result = kvcli(nodes, stdin="set cli:in 1\nincr cli:in\nget cli:in\n")
    assert (result.returncode, result.stdout) == (OK, "OK\n2\n2\n"), result
    value = bytes(range(256)) * 4
    assert kvcli(nodes, "-x", "set", "cli:bin", stdin=value, text=False).returncode == OK
    assert shared_cluster.wait_for_leader().command("GET", "cli:bin") == value


def test_status_shows_every_node(shared_cluster):
    """Every node with role, term and indexes; the JSON form is whole; 0 when all is well."""
    result = kvcli(shared_cluster.nodes[:1], "status")
    assert result.returncode == OK, result.stdout + result.stderr
    for node in shared_cluster.nodes:
        assert str(node.client_port) in result.stdout
    assert "leader" in result.stdout.lower() and "follower" in result.stdout
    result = kvcli(shared_cluster.nodes[:1], "--json", "status")
    json.loads(result.stdout)


def test_status_tells_scripts_how_bad_it_is():
    """1 with a node down, 3 without a leader, 0 again when all are back."""
    with Cluster() as cluster:
        leader = cluster.wait_for_leader()
        one, two = cluster.followers()
        one.kill9()
        result = kvcli(cluster.nodes, "status")
        assert result.returncode == SERVER_ERROR, result.stdout
        leader.kill9()
        result = kvcli([two], "status")
        assert result.returncode == NOT_EXECUTED, result.stdout
        one.start()
        leader.start()
        cluster.wait_for_leader()
        for node in cluster.nodes:
            wait_until_caught_up(cluster, node)
        cluster.wait_until_all_follow()
        result = kvcli(cluster.nodes, "status")
        assert result.returncode == OK, result.stdout


def test_writes_go_on_through_failovers_and_are_counted_right():
    """INCR in a loop while the leader is killed: codes 0 and 4 bound the counter; no code but these and 3."""
    with Cluster() as cluster:
        done = unknown = 0
        for number in range(rounds(4)):
            leader = cluster.wait_for_leader()
            processes = [subprocess.Popen([KVCLI, "-c", ",".join(cluster.addresses()), "incr", "cli:count"],
                                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL, env=environment()) for _ in range(10)]
            time.sleep(0.002 * number)
            leader.kill9()
            processes += [subprocess.Popen([KVCLI, "-c", ",".join(cluster.addresses()), "incr", "cli:count"],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, env=environment()) for _ in range(10)]
            for process in processes:
                code = process.wait(60 * PATIENCE)
                assert code in (OK, UNKNOWN, NOT_EXECUTED), code
                done += code == OK
                unknown += code == UNKNOWN
            leader.start()
            wait_until_caught_up(cluster, leader)
        value = int(cluster.wait_for_leader().command("GET", "cli:count"))
        assert done <= value <= done + unknown, (done, value, unknown)
        assert done > 0


def test_pitfall_29_a_write_of_unknown_outcome_is_reported_and_not_sent_again():
    """With both followers asleep the write can neither be confirmed nor denied: exit code 4, and it is
    there at most once."""
    # The leader keeps its role long enough for the command to reach it.
    with Cluster(settings={"command-timeout": 1000, "election-timeout": "10s"}) as cluster:
        leader = cluster.wait_for_leader()
        leader.command("SET", "cli:once", 0)
        followers = [node for node in cluster.nodes if node is not leader]
        for node in followers:
            node.pause()
        result = kvcli([leader], "--timeout", "20s", "incr", "cli:once")
        assert result.returncode == UNKNOWN, (result.returncode, result.stdout, result.stderr)
        assert "unknown" in (result.stdout + result.stderr).lower()
        for node in followers:
            node.resume()
        cluster.wait_for_leader()
        assert int(kvcli(cluster.nodes, "get", "cli:once").stdout) in (0, 1)


class Terminal:
    def __init__(self, *arguments):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ.update(environment())
            os.execv(KVCLI, [KVCLI, *arguments])
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.seen = ""

    def expect(self, text, seconds=30):
        deadline = time.monotonic() + seconds * PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.file], [], [], max(0, deadline - time.monotonic()))
            assert ready, "kvcli did not show %r but %r" % (text, self.seen)
            try:
                data = os.read(self.file, 65536)
            except OSError:
                data = b""
            assert data, "kvcli ended; it had shown %r" % self.seen
            self.seen += data.decode(errors="replace")
        _, _, self.seen = self.seen.partition(text)

    def type(self, text):
        os.write(self.file, text.encode())

    def wait(self):
        deadline = time.monotonic() + 30 * PATIENCE
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.file], [], [], 0.1)
            if ready:
                try:
                    if not os.read(self.file, 65536):
                        break
                except OSError:
                    break
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.file)


def test_an_interactive_session_writes_reads_and_completes(shared_cluster):
    """On a terminal: a write, a read, a tab that completes a command's name, and the end by exit."""
    terminal = Terminal("-c", ",".join(shared_cluster.addresses()))
    try:
        terminal.expect("> ")
        terminal.type("set cli:tty hello\r")
        terminal.expect("OK")
        terminal.expect("> ")
        terminal.type("get cli:tty\r")
        terminal.expect('"hello"')
        terminal.expect("> ")
        terminal.type("strl\t")
        time.sleep(0.3)
        terminal.type("cli:tty\r")
        terminal.expect("(integer) 5")
        terminal.type("exit\r")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_status_watch_ends_at_q(shared_cluster):
    """status --watch shows the nodes until q."""
    terminal = Terminal("-c", ",".join(shared_cluster.addresses()), "status", "--watch", "--interval", "200ms")
    try:
        for _ in range(3):
            terminal.expect("LEADER")
        terminal.type("q")
        assert terminal.wait() == 0
    finally:
        terminal.close()
