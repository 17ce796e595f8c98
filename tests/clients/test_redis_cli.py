"""redis-cli and redis-benchmark, as installed, against every node."""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

from kvd_cluster import PATIENCE

pytestmark = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed (package redis-tools)")


def cli(node, *arguments, stdin=None):
    result = subprocess.run(["redis-cli", "-h", node.host, "-p", str(node.client_port), *arguments], input=stdin,
                            stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
                            timeout=60 * PATIENCE)
    return result.stdout.strip()


def test_redis_cli_writes_and_reads_at_the_leader_and_is_redirected_elsewhere(shared_cluster):
    """Plain redis-cli: OK at the leader, the MOVED error at a follower."""
    leader = shared_cluster.wait_for_leader()
    assert cli(leader, "SET", "cli:k", "v") == "OK"
    assert cli(leader, "GET", "cli:k") == "v"
    assert cli(leader, "INCR", "cli:n") == "1"
    assert cli(leader, "--no-raw", "GET", "cli:none") == "(nil)"
    for node in shared_cluster.followers():
        assert cli(node, "GET", "foo") == "MOVED 12182 " + leader.address
        assert cli(node, "PING") == "PONG"
        assert cli(node, "DBSIZE") == cli(leader, "DBSIZE")


def test_redis_cli_c_works_against_any_node(shared_cluster):
    """redis-cli -c follows redirects: writes and reads from every node, many in one session."""
    for node in shared_cluster.nodes:
        key = "cli-c:%d" % node.id
        assert cli(node, "-c", "SET", key, "v%d" % node.id) == "OK"
        assert cli(node, "-c", "GET", key) == "v%d" % node.id
        lines = "".join("SET %s:%d %d\nGET %s:%d\n" % (key, i, i, key, i) for i in range(50))
        output = cli(node, "-c", stdin=lines).splitlines()
        output = [line for line in output if not line.startswith("-> Redirected") and line]
        assert output == [x for i in range(50) for x in ("OK", str(i))]


def test_redis_cli_speaks_resp3(shared_cluster):
    """redis-cli -3 says HELLO 3 and shows maps as maps."""
    leader = shared_cluster.wait_for_leader()
    assert cli(leader, "-3", "SET", "cli:3", "v") == "OK"
    assert cli(leader, "-3", "GET", "cli:3") == "v"
    assert "kvd" in cli(leader, "-3", "HELLO") or "redis" in cli(leader, "-3", "HELLO")


def test_redis_cli_pipes_in_bulk(shared_cluster):
    """redis-cli --pipe loads thousands of commands and counts the replies."""
    leader = shared_cluster.wait_for_leader()
    data = "".join("*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\nv\r\n" % (len("pipe:%d" % i), "pipe:%d" % i) for i in range(5000))
    output = cli(leader, "--pipe", stdin=data)
    assert "errors: 0, replies: 5000" in output, output


def test_redis_cli_scans(shared_cluster):
    """redis-cli --scan lists the keys of a pattern."""
    leader = shared_cluster.wait_for_leader()
    for i in range(20):
        leader.command("SET", "cli:scan:%d" % i, "v")
    assert sorted(cli(leader, "--scan", "--pattern", "cli:scan:*").splitlines()) == sorted(
        "cli:scan:%d" % i for i in range(20))


def test_redis_cli_cluster_info_and_nodes(shared_cluster):
    """What redis-cli shows of the cluster is whole."""
    for node in shared_cluster.nodes:
        assert "cluster_state:ok" in cli(node, "CLUSTER", "INFO")
        assert len(cli(node, "CLUSTER", "NODES").splitlines()) == 3
        assert "0" in cli(node, "CLUSTER", "SLOTS")


class Terminal:
    """An interactive redis-cli, which asks for COMMAND DOCS to show help and hints."""

    def __init__(self, node):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp("redis-cli", ["redis-cli", "-h", node.host, "-p", str(node.client_port)])
        # Without a size it asks the terminal where the cursor is, and waits for an answer.
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.seen = ""

    def expect(self, pattern, seconds=30):
        deadline = time.monotonic() + seconds * PATIENCE
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self.file], [], [], max(0, deadline - time.monotonic()))
            assert ready, "redis-cli did not show %r but %r" % (pattern, self.seen)
            self.seen += os.read(self.file, 65536).decode(errors="replace")
        seen, self.seen = self.seen, ""
        return seen

    def type(self, line):
        os.write(self.file, line.encode() + b"\r")

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)


def test_the_help_of_an_interactive_redis_cli_comes_from_our_command_docs(shared_cluster):
    """`help set` and `help @string` in redis-cli show summaries; every command has documentation."""
    leader = shared_cluster.wait_for_leader()
    with leader.connect() as connection:
        docs = connection.command("COMMAND", "DOCS")
        names = docs[::2]
        assert set(names) == {entry[0] for entry in connection.command("COMMAND")}
        for name, entry in zip(names, docs[1::2]):
            fields = dict(zip(entry[::2], entry[1::2]))
            assert fields[b"summary"] and fields[b"group"], name
        one = connection.command("COMMAND", "DOCS", "get")
        assert one[0] == b"get"
        assert connection.command("COMMAND", "DOCS", "nosuch") == []
    terminal = Terminal(leader)
    try:
        terminal.expect(r"> ")
        terminal.type("help set")
        shown = terminal.expect(r"summary:[^\r\n]+[\s\S]*> ")
        assert re.search(r"SET.*key.*value", shown, re.IGNORECASE), shown
        terminal.type("SET cli:tty v")
        terminal.expect(r"OK")
    finally:
        terminal.close()


@pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="redis-benchmark is not installed")
@pytest.mark.parametrize("pipeline", [1, 16])
def test_redis_benchmark_runs_against_the_leader(shared_cluster, pipeline):
    """redis-benchmark with SET, GET, INCR, MSET and PING ends with 0 and no error."""
    leader = shared_cluster.wait_for_leader()
    result = subprocess.run(["redis-benchmark", "-h", leader.host, "-p", str(leader.client_port), "-n", "4000", "-c", "20",
                             "-P", str(pipeline), "-r", "1000", "-q", "-e", "-t", "ping,set,get,incr,mset"],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200 * PATIENCE)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "rror" not in result.stdout.replace("\r", "\n"), result.stdout[-2000:]
    for name in ("SET", "GET", "INCR"):
        assert re.search(r"%s: [\d.]+ requests per second" % name, result.stdout), result.stdout[-2000:]
