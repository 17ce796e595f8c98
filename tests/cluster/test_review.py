"""Odds and ends that a review of the whole found: each was wrong once."""

import os
import random
import signal
import socket
import subprocess
import tempfile

import pytest

from kvd_cluster import REPOSITORY, Failure, chosen_binary, wait_until
from resp import Connection, ConnectionLost, ReplyTimeout


def first_of_six_free_ports():
    """A port p so that p, p + 1, p + 2 and those 10000 above are free."""
    for _ in range(1000):
        first = random.SystemRandom().randrange(10000, 20000)
        sockets = []
        try:
            for port in [first + i for i in range(3)] + [first + 10000 + i for i in range(3)]:
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise Failure("no free ports")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_make_run_leaves_no_node_behind(number):
    """Ctrl-C, a kind kill and a terminal that is closed end all three nodes, cleanly."""
    first = first_of_six_free_ports()
    pids = []

    def all_answer():
        found = []
        for i in range(3):
            try:
                with Connection("127.0.0.1:%d" % (first + i), 2) as connection:
                    info = connection.command("INFO", "server").decode()
            except (ConnectionLost, ReplyTimeout):
                return None
            found += [int(line.split(":")[1]) for line in info.split() if line.startswith("process_id:")]
        return found

    with tempfile.TemporaryDirectory() as directory:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KVD_")}
        environment.update(KVD_PROGRAM=chosen_binary(), KVD_DATA_PARENT=directory, KVD_FIRST_PORT=str(first))
        script = subprocess.Popen([os.path.join(REPOSITORY, "deploy", "run-local-cluster")], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
                                  start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        try:
            pids = wait_until(all_answer, 20, "three nodes")
            assert len(pids) == 3
            script.send_signal(number)
            assert script.wait(30) == 0
            left = [pid for pid in pids if os.path.exists("/proc/%d" % pid)]
            assert not left
        finally:
            script.kill()
            script.wait()
            for pid in pids:
                if os.path.exists("/proc/%d" % pid):
                    os.kill(pid, signal.SIGKILL)
