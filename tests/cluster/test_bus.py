"""Strangers on the bus port: noise, lengths that lie, peers that say nothing. The cluster does not notice."""

import os
import random
import socket
import struct
import time

import pytest

from kvd_cluster import PATIENCE, STEADY, Cluster
from resp import encode_command

MIB = 1 << 20
MAGIC = b"kvdb"


def dial(node):
    return socket.create_connection((node.bus_host, node.bus_port), timeout=20 * PATIENCE)


def send_all(connection, data):
    try:
        connection.sendall(data)
    except OSError:
        pass


def is_closed(connection, seconds=40):
    """True if the other side ends the connection."""
    connection.settimeout(seconds * PATIENCE)
    try:
        while connection.recv(65536):
            pass
        return True
    except socket.timeout:
        return False
    except OSError:
        return True


def frame(body_bytes, checksum=0, kind=1, body=b""):
    return MAGIC[::-1] + struct.pack("<IQHHI", body_bytes, checksum, kind, 0, 0) + body


GARBAGE = {
    "noise": lambda source: source.randbytes(5000),
    "a client's command": lambda source: encode_command("SET", "k", "v"),
    "an HTTP request": lambda source: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": lambda source: b"\0" * 5000,
    "a frame with a huge length": lambda source: frame(0xffffffff) + b"x" * 5000,
    "a frame with a wrong checksum": lambda source: frame(100, 12345, 1, b"x" * 100),
    "the magic the other way round, a huge length": lambda source: MAGIC + b"\xff" * 20,
    "a frame of an unknown type": lambda source: frame(0, 0, 999),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_on_the_bus_is_closed_and_changes_nothing(shared_cluster, name):
    """Whoever does not speak the protocol is cut off; leader, term and service stay as they are."""
    leader = shared_cluster.wait_for_leader()
    term = leader.status()["term"]
    source = random.Random(name)
    for node in shared_cluster.nodes:
        with dial(node) as connection:
            send_all(connection, GARBAGE[name](source))
            assert is_closed(connection), "a stranger is kept"
    assert leader.command("SET", "k", "v") == "OK"
    status = leader.status()
    assert (status["role"], status["term"]) == ("leader", term)


@pytest.mark.tsan
def test_hundreds_of_silent_or_babbling_strangers_do_not_disturb_the_cluster():
    """300 connections to the bus of each node that say nothing or half a frame: memory stays bounded,
    writes go on, no election."""
    with Cluster(settings=STEADY) as cluster:
        leader = cluster.wait_for_leader()
        term = leader.status()["term"]
        before = leader.anonymous_bytes()
        source = random.Random(1)
        strangers = []
        try:
            for number in range(300):
                for node in cluster.nodes:
                    try:
                        connection = dial(node)
                    except OSError:
                        continue
                    strangers.append(connection)
                    if number % 3 == 1:
                        send_all(connection, frame(39 * MIB) + b"x" * 20000)
                    elif number % 3 == 2:
                        send_all(connection, source.randbytes(10))
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                assert leader.command("SET", "k", os.urandom(100)) == "OK"
            assert leader.anonymous_bytes() - before < 100 * MIB
            status = leader.status()
            assert (status["role"], status["term"]) == ("leader", term)
        finally:
            for connection in strangers:
                connection.close()


def test_a_captured_hello_of_a_member_is_of_no_use_to_a_stranger():
    """With a secret set, bytes that a member sent once do not open a connection a second time."""
    with Cluster(start=False, settings={"cluster-secret": "0123456789abcdef-first", **STEADY}) as cluster:
        # The stranger stands where node 3 is expected and records what nodes 1 and 2 say to it.
        with socket.create_server(("127.0.0.1", cluster.node(3).bus_port)) as listener:
            cluster.node(1).start()
            cluster.node(2).start()
            listener.settimeout(40 * PATIENCE)
            connection, _ = listener.accept()
            connection.settimeout(40 * PATIENCE)
            captured = connection.recv(65536)
            connection.close()
        assert captured
        cluster.node(3).start()
        leader = cluster.wait_for_leader()
        term = leader.status()["term"]
        for node in cluster.nodes:
            with dial(node) as connection:
                send_all(connection, captured * 3)
                assert is_closed(connection)
        assert leader.command("SET", "k", "v") == "OK"
        assert leader.status()["term"] == term
