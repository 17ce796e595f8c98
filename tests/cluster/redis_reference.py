"""redis_reference.py: a real redis-server on a free port, to compare answers with. Skips where none is
installed."""

import os
import shutil

import pytest

from kvd_cluster import free_ports, spawn, wait_until
from resp import Connection, ConnectionLost, ReplyTimeout


class RedisReference:
    def __init__(self, directory, cluster_enabled=False):
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        self.port, = free_ports(1)
        self.address = "127.0.0.1:%d" % self.port
        self._process = spawn(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", directory, "--cluster-enabled", "yes" if cluster_enabled else "no",
             "--cluster-port", str(free_ports(1)[0]) if cluster_enabled else "0"],
            os.path.join(directory, "redis.log"))

    def __enter__(self):
        def answers():
            try:
                with Connection(self.address, 5) as connection:
                    return connection.command("PING") == "PONG"
            except (ConnectionLost, ReplyTimeout):
                return False

        wait_until(answers, 30, "redis-server")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
