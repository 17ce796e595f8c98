"""The harness itself: no process stays behind, a node that dies unbidden fails its test, a hanging test
ends."""

import os
import signal
import subprocess
import sys

import pytest

from kvd_cluster import Cluster, Failure, deaf_to_nothing, free_ports, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))

SCRIPT = """
import sys
sys.path.insert(0, %r)
sys.dont_write_bytecode = True
from kvd_cluster import Cluster
import time
with Cluster() as cluster:
    print(*[node.process.pid for node in cluster.nodes], cluster.directory, flush=True)
    time.sleep(600)
""" % HERE


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_node_stays_behind_when_a_test_run_is_ended(number):
    """Ctrl-C and even kill -9 of the test take the nodes along."""
    script = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              preexec_fn=deaf_to_nothing)
    try:
        *pids, directory = script.stdout.readline().split()
        pids = [int(pid) for pid in pids]
        assert len(pids) == 3 and all(map(is_alive, pids))
        script.send_signal(number)
        script.wait(60)
        wait_until(lambda: not any(map(is_alive, pids)), 40, "the nodes to be gone")
        if number == signal.SIGINT:
            assert not os.path.exists(directory)
        else:
            subprocess.run(["rm", "-rf", directory], check=True)
    finally:
        script.kill()
        script.wait()


def test_a_node_that_dies_unbidden_fails_its_test():
    """The canary: a crash that nobody looked for is found at the end."""
    with pytest.raises(Failure, match="node 2 ended by itself"):
        with Cluster() as cluster:
            os.kill(cluster.node(2).process.pid, signal.SIGKILL)
            cluster.node(2).process.wait()


def test_a_node_that_crashes_while_it_is_told_to_end_fails_its_test():
    """SIGTERM does not excuse an abort."""
    with pytest.raises(Failure, match="node 3 crashed"):
        with Cluster() as cluster:
            node = cluster.node(3)
            node.told_to_end = True
            os.kill(node.process.pid, signal.SIGSEGV)
            node.process.wait()


def test_a_report_of_a_sanitizer_fails_the_test():
    """Whatever the exit code, a report file is enough."""
    with pytest.raises(Failure, match="data race"):
        with Cluster(size=1) as cluster:
            with open(os.path.join(cluster.directory, "sanitizer-1.99"), "w") as file:
                file.write("WARNING: ThreadSanitizer: data race")


def test_ports_are_given_once_and_lie_below_those_of_outgoing_connections():
    """Two clusters never share a port, and no outgoing connection takes one while its node is down."""
    ports = [port for _ in range(50) for port in free_ports(6)]
    assert len(set(ports)) == len(ports)
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first = int(file.read().split()[0])
    assert max(ports) < max(first, 32768)
