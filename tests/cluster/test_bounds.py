"""What a stranger or an unlucky moment must not be able to do: exhaust memory, starve others, leave processes behind."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from kvd_cluster import (REPOSITORY, Cluster, chosen_binary, deaf_to_nothing, free_ports, release_ports, runs_under_sanitizer,
                         wait_until)
from resp import Connection, ConnectionLost, ReplyTimeout, encode_command

MIB = 1 << 20


@contextlib.contextmanager
def local_cluster(output=subprocess.DEVNULL):
    """deploy/run-local-cluster with its three nodes: (the script, the nodes' process ids). Nothing is left behind."""
    ports = free_ports(3, second_at=10000)  # the bus
    first = ports[0]
    pids = []

    def all_answer():
        found = []
        for i in range(3):
            try:
                with Connection("127.0.0.1:%d" % (first + i), 10) as connection:
                    info = connection.command("INFO", "server").decode()
            except (ConnectionLost, ReplyTimeout):
                return None
            found += [int(line.split(":")[1]) for line in info.split() if line.startswith("process_id:")]
        return found

    with tempfile.TemporaryDirectory() as directory:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KVD_")}
        environment.update(KVD_PROGRAM=chosen_binary(), KVD_DATA_PARENT=directory, KVD_FIRST_PORT=str(first))
        script = subprocess.Popen([os.path.join(REPOSITORY, "deploy", "run-local-cluster")], stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=subprocess.DEVNULL, env=environment,
                                  start_new_session=True, preexec_fn=deaf_to_nothing)
        try:
            pids = wait_until(all_answer, 40, "three nodes")
            assert len(pids) == 3
            yield script, pids
        finally:
            script.kill()
            script.wait()
            for pid in pids:
                if os.path.exists("/proc/%d" % pid):
                    os.kill(pid, signal.SIGKILL)
            release_ports(port + above for port in ports for above in (0, 10000))


@pytest.mark.parametrize("port", ["abc", "0", "55534", "70000"])
def test_make_run_says_when_its_port_is_none(scratch, port):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KVD_")}
    environment.update(KVD_PROGRAM=chosen_binary(), KVD_DATA_PARENT=scratch, KVD_FIRST_PORT=port)
    result = subprocess.run([os.path.join(REPOSITORY, "deploy", "run-local-cluster")], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, env=environment, timeout=30)
    assert result.returncode == 1
    assert "KVD_FIRST_PORT" in result.stderr and not os.listdir(scratch), result


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_make_run_leaves_no_node_behind(number):
    """Ctrl-C, a kind kill and a terminal that is closed end all three nodes, cleanly."""
    with local_cluster() as (script, pids):
        script.send_signal(number)
        assert script.wait(60) == 0
        left = [pid for pid in pids if os.path.exists("/proc/%d" % pid)]
        assert not left


def test_make_run_leaves_no_node_behind_when_nobody_reads_its_output():
    """Ctrl-C on `make run | tee log` ends tee as well: what the script says then must not end it before its nodes."""
    reading, writing = os.pipe()
    with local_cluster(writing) as (script, pids):
        os.close(reading)
        os.close(writing)
        script.send_signal(signal.SIGINT)
        assert script.wait(30) == 0
        left = [pid for pid in pids if os.path.exists("/proc/%d" % pid)]
        assert not left


@pytest.mark.parametrize("attempt", range(3))
def test_make_run_ends_when_its_nodes_die_as_it_is_told_to_stop(attempt):
    """bash then knows the ended nodes no more; the script once waited for them in a loop that never ended."""
    with local_cluster() as (script, pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        script.send_signal(signal.SIGHUP)
        assert script.wait(60) == 1, "attempt %d" % attempt


@pytest.mark.parametrize("command", [("GET", "big"), ("MGET",) + ("big",) * 6, ("SET", "other", "x", "PIPELINE", "GET", "big")],
                         ids=["reads", "long replies", "reads behind writes"])
def test_many_clients_that_do_not_read_their_replies_leave_memory_bounded_and_others_served(command):
    """pending-bytes holds for the replies of all clients together: those who do not read are cut off, nobody else."""
    limit = 16 * MIB
    settings = {"client-pending-bytes": "1MiB", "pending-bytes": str(limit)}
    with Cluster(1, settings=settings) as cluster:
        node = cluster.wait_for_leader()
        with node.connect(30) as connection:
            assert connection.command("SET", "big", b"x" * (8 * MIB)) == "OK"
        before = node.anonymous_bytes()
        at = command.index("PIPELINE") if "PIPELINE" in command else 0
        request = b"".join(encode_command(*part) for part in (command[:at], command[at + 1:] if at else command) if part)
        silent = []
        most = 0
        try:
            for _ in range(30):
                client = socket.create_connection((node.host, node.client_port), 30)
                client.sendall(request)
                silent.append(client)
            with node.connect(20) as connection:
                for i in range(5):
                    assert connection.command("SET", "good", str(i)) == "OK"
                    assert connection.command("GET", "good") == b"%d" % i
                    most = max(most, node.anonymous_bytes())
        finally:
            for client in silent:
                client.close()
        # What one reply and its growing may take is beside the limit; 30 times the reply is far beyond.
        if not runs_under_sanitizer():
            assert most - before < 2 * limit + 150 * MIB, "%d MiB" % ((most - before) // MIB)
        with node.connect(30) as connection:
            assert connection.command("STRLEN", "big") == 8 * MIB
            assert connection.command("GET", "big") == b"x" * (8 * MIB)


def test_clients_that_read_slowly_get_all_of_their_replies():
    """More replies than pending-bytes allows at one time: clients that read wait for each other, and nobody is cut off."""
    with Cluster(1, settings={"client-pending-bytes": "1MiB", "pending-bytes": "4MiB"}) as cluster:
        node = cluster.wait_for_leader()
        with node.connect(30) as connection:
            assert connection.command("SET", "big", b"x" * (2 * MIB)) == "OK"
        reply = b"$%d\r\n" % (2 * MIB) + b"x" * (2 * MIB) + b"\r\n"
        received = {}

        def read_slowly(number):
            parts = []
            with socket.create_connection((node.host, node.client_port), 30) as client:
                client.sendall(encode_command("GET", "big") * 4)
                left = 4 * len(reply)
                while left:
                    part = client.recv(32768)
                    if not part:
                        break
                    left -= len(part)
                    parts.append(part)
                    time.sleep(0.001)
            received[number] = b"".join(parts)

        threads = [threading.Thread(target=read_slowly, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(received[number] == 4 * reply for number in range(12))


def test_small_commands_that_are_much_work_do_not_unseat_the_leader():
    """Thousands of one-byte APPENDs to a long value share an entry, and each of them writes the whole value. How long
    that takes is the machine's affair; whoever waits is not given up meanwhile."""
    with Cluster(3, settings={"command-timeout": "60s"}) as cluster:
        leader = cluster.wait_for_leader()
        with leader.connect(120) as connection, leader.connect(120) as other:
            assert connection.command("SET", "long", b"x" * (4 * MIB)) == "OK"
            before = leader.status()
            connection.send_raw(encode_command("APPEND", "long", "y") * 3000)
            assert other.command("INCR", "counter") == 1
            replies = [connection.read_reply() for _ in range(3000)]
            assert replies == [4 * MIB + i for i in range(1, 3001)]
        after = leader.status()
        assert (after["role"], after["term"]) == ("leader", before["term"])
