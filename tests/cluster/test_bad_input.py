"""What clients must not be able to do: crash the server, fill its memory, or keep it from others."""

import os
import random
import resource
import socket
import threading
import time

import pytest

from kvd_cluster import PATIENCE, STEADY, Cluster, wait_until
from resp import Connection, ConnectionLost, ErrorReply, ReplyTimeout, encode_command

MIB = 1 << 20


@pytest.fixture
def leader(shared_cluster):
    return shared_cluster.wait_for_leader()


def assert_serves(node, seconds=30):
    """A client of good manners is served."""
    with node.connect(seconds) as connection:
        assert connection.command("SET", "manners", "good") == "OK"
        assert connection.command("GET", "manners") == b"good"


def test_unknown_commands_and_wrong_arity_are_errors_and_the_connection_goes_on(leader):
    """Each gets the error that Redis gives, and the next command works."""
    with leader.connect() as connection:
        for command, start in [
                (("NOSUCH",), "ERR unknown command 'NOSUCH'"),
                (("x" * 100000,), "ERR unknown command"),
                (("GET",), "ERR wrong number of arguments for 'get' command"),
                (("SET", "a"), "ERR wrong number of arguments for 'set' command"),
                (("MSET", "a", "1", "b"), "ERR wrong number of arguments for 'mset' command"),
                (("INCR", "a", "b"), "ERR wrong number of arguments for 'incr' command"),
                (("kvd.purge", "12345678"), "ERR unknown command"),
                (("",), "ERR unknown command"),
        ]:
            reply = connection.command(*command)
            assert isinstance(reply, ErrorReply) and reply.startswith(start), (command[0][:20], reply)
            assert len(reply) < 1000
            assert connection.command("PING") == "PONG"


def test_a_value_over_the_limit_is_refused_and_nothing_is_stored(leader):
    """8 MiB fit, one byte more does not, by SET, APPEND and MSET; all else goes on."""
    with leader.connect(30) as connection:
        assert connection.command("SET", "big", b"x" * (8 * MIB)) == "OK"
        reply = connection.command("APPEND", "big", "y")
        assert isinstance(reply, ErrorReply) and reply.startswith("ERR"), reply
        assert connection.command("STRLEN", "big") == 8 * MIB
        assert connection.command("DEL", "big") == 1
    for command in [("SET", "big", b"x" * (8 * MIB + 1)), ("MSET", "small", "1", "big", b"x" * (8 * MIB + 1))]:
        with leader.connect() as connection:
            try:
                reply = connection.command(*command)
            except ConnectionLost:
                pytest.fail("%s with a value over the limit was not answered" % command[0])
            assert isinstance(reply, ErrorReply) and reply.startswith("ERR"), reply
    with leader.connect() as connection:
        assert connection.command("EXISTS", "big", "small") == 0
    assert_serves(leader)


BROKEN = {
    "no number of arguments": b"*\r\n",
    "letters for a number": b"*abc\r\n",
    "too many arguments": b"*1048577\r\n",
    "more arguments than fit": b"*99999999999999999999\r\n",
    "a bulk without $": b"*2\r\n$3\r\nGET\r\n:1\r\n",
    "a negative size": b"*2\r\n$3\r\nGET\r\n$-1\r\n",
    "a huge size": b"*2\r\n$3\r\nGET\r\n$4294967296\r\n",
    "a size that overflows": b"*2\r\n$3\r\nGET\r\n$18446744073709551617\r\n",
    "a bulk longer than its size": b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    "an endless number": b"*" + b"1" * 70000,
    "an endless size": b"*1\r\n$" + b"1" * 70000,
    "unbalanced quotes": b'GET "x\r\n',
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_requests_get_a_protocol_error_and_are_closed(leader, name):
    """-ERR Protocol error..., then the end of the connection; others are served."""
    with leader.connect() as connection:
        try:
            connection.send_raw(BROKEN[name])
        except ConnectionLost:
            pass
        answer = connection.read_until_closed()
    assert answer.startswith(b"-ERR Protocol error") and answer.endswith(b"\r\n"), answer
    assert_serves(leader)


def test_commands_before_a_protocol_error_are_answered_first(leader):
    """What was right and came first is done, in order; then the error; what follows is not done."""
    with leader.connect() as connection:
        connection.send_raw(b"SET before:error 1\r\nINCR before:error\r\n*1\r\nxxx\r\nINCR before:error\r\n")
        answer = connection.read_until_closed()
    assert answer == b"+OK\r\n:2\r\n-ERR Protocol error: expected '$', got 'x'\r\n"
    assert leader.command("GET", "before:error") == b"2"


def test_an_inline_line_without_end_is_cut_off_at_64_kib(leader):
    """A client that never sends a line end gets an error and is closed."""
    with leader.connect() as connection:
        try:
            for _ in range(64):
                connection.send_raw(b"x" * 8192)
        except ConnectionLost:
            pass
        answer = connection.read_until_closed()
        assert answer in (b"-ERR Protocol error: too big inline request\r\n", b""), answer
    with leader.connect() as connection:
        connection.send_raw(b"x" * (64 * 1024 + 2))
        assert connection.read_until_closed() == b"-ERR Protocol error: too big inline request\r\n"
    assert_serves(leader)


def test_a_browser_that_was_tricked_into_talking_to_us_is_cut_off(leader):
    """POST and Host: lines end the connection before any command in the body is run."""
    for request in (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET tricked 1\r\n",
                    b"GET / HTTP/1.1\r\nHost: x\r\n\r\nSET tricked 1\r\n"):
        with leader.connect() as connection:
            connection.send_raw(request)
            connection.read_until_closed()
    assert leader.command("EXISTS", "tricked") == 0


@pytest.mark.tsan
def test_random_bytes_on_the_client_port_harm_nobody(leader):
    """Noise, and requests with noise in them, are answered with errors or closed; the server lives on."""
    source = random.Random(11)
    pid = leader.process.pid
    for round_number in range(150):
        try:
            with Connection(leader.address, 5) as connection:
                if round_number % 2:
                    data = bytearray(encode_command("SET", "noise", source.randbytes(50)) * 5)
                    for _ in range(source.randint(1, 6)):
                        data[source.randrange(len(data))] = source.randrange(256)
                    connection.send_raw(bytes(data))
                else:
                    connection.send_raw(source.randbytes(source.randint(1, 5000)))
                connection.read_for(0.01)
        except (ConnectionLost, ReplyTimeout):
            pass
    assert leader.running and leader.process.pid == pid
    assert_serves(leader)


@pytest.mark.seconds(300)
def test_thousands_of_half_sent_commands_leave_memory_bounded_and_others_served():
    """4,000 connections, each with a command that never ends (some large, some tiny): memory grows by no
    more than the limit and a fixed amount per connection, and a well-behaved client is served all the
    while."""
    limit = 64 * MIB
    available = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(4000, (available - 500) // 2)
    with Cluster(settings={"client-memory": limit, **STEADY}) as cluster:
        leader = cluster.wait_for_leader()
        assert_serves(leader)
        before = leader.anonymous_bytes()
        connections, refused = [], 0
        piece = b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$8000000\r\n" + b"x" * 30000
        try:
            for number in range(count):
                try:
                    connection = socket.create_connection(("127.0.0.1", leader.client_port), timeout=20 * PATIENCE)
                    connection.setblocking(False)
                    connections.append(connection)
                    connection.send(piece if number % 4 else b"*3\r\n$3\r\nSET\r\n$4\r\nha")
                except OSError:
                    refused += 1
            for _ in range(20):
                for connection in connections[:200]:
                    try:
                        connection.send(b"x" * 30000)
                    except OSError:
                        pass
                assert_serves(leader)
            grown = leader.anonymous_bytes() - before
            bound = 2 * limit + count * 20 * 1024
            assert grown < bound, "%d MiB for %d connections, the bound is %d MiB" % (
                grown // MIB, len(connections), bound // MIB)
            assert len(connections) > count * 0.9, "%d refused" % refused
        finally:
            for connection in connections:
                connection.close()
        assert_serves(leader)
        assert leader.command("EXISTS", "half") == 0


@pytest.mark.tsan
def test_clients_over_the_limit_are_told_so_and_closed():
    """With max-clients 20, the 21st gets Redis' words; when one leaves there is room again."""
    with Cluster(size=1, settings={"max-clients": 20}) as cluster:
        node = cluster.nodes[0]
        connections = []
        answer = b""
        for _ in range(25):
            connection = node.connect()
            connection.send_raw(b"PING\r\n")
            first = connection.read_exactly(1)
            if first == b"-":
                answer = first + connection.read_until_closed()
                break
            assert first + connection.read_exactly(6) == b"+PONG\r\n"
            connections.append(connection)
        assert answer == b"-ERR max number of clients reached\r\n"
        assert len(connections) == 20
        for connection in connections:
            connection.close()
        wait_until(lambda: ping(node), 30, "room for a client again")


def ping(node):
    try:
        return node.command("PING") == "PONG"
    except (ConnectionLost, ReplyTimeout):
        return False


@pytest.mark.parametrize("first", ["nothing", "a write"])
def test_a_client_that_never_reads_its_replies_does_not_fill_our_memory(first):
    """Thousands of pipelined GETs of a large value without reading, alone or riding behind a write: the
    server stops reading, others are served, and when the client reads at last, its replies come in
    order."""
    with Cluster(settings={"client-pending-bytes": MIB, **STEADY}) as cluster:
        leader = cluster.wait_for_leader()
        value = os.urandom(256 * 1024)
        leader.command("SET", "large", value)
        leader.command("SET", "small", "s")
        before = leader.anonymous_bytes()
        slow = leader.connect(60)
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        requests = encode_command("GET", "large") * 2000
        if first == "a write":
            requests = encode_command("SET", "other", "x") + requests
        slow.socket.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            try:
                sent += slow.socket.send(requests[sent:sent + 65536])
                if sent == len(requests):
                    break
            except BlockingIOError:
                time.sleep(0.02)
            assert_serves(leader)
        time.sleep(0.5)
        grown = leader.anonymous_bytes() - before
        assert grown < 100 * MIB, "%d MiB for one client that does not read" % (grown // MIB)
        slow.socket.setblocking(True)
        expected = [value] * min(sent // len(encode_command("GET", "large")) - 2, 400)
        if first == "a write":
            expected.insert(0, "OK")
        answered = 0
        try:
            for reply in expected:
                assert slow.read_reply(30) == reply, "reply %d is not the one of request %d" % (answered, answered)
                answered += 1
        except ConnectionLost:
            # Who asks for far more than it reads may be cut off, if only what came before is right.
            assert first == "a write", "cut off after %d replies" % answered
        slow.close()
        assert_serves(leader)


def test_a_client_that_writes_without_reading_is_held_back_not_dropped():
    """A pipeline of hundreds of thousands of small writes without reading: memory stays bounded, every
    reply comes in order."""
    count = 200_000 if PATIENCE == 1 else 20_000
    with Cluster(settings=STEADY) as cluster:
        leader = cluster.wait_for_leader()
        before = leader.anonymous_bytes()
        with leader.connect(120) as connection:
            request = encode_command("INCR", "pipeline")
            def send():
                for _ in range(count // 1000):
                    connection.send_raw(request * 1000)

            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            time.sleep(1.5)
            grown = leader.anonymous_bytes() - before
            assert grown < 200 * MIB, "%d MiB" % (grown // MIB)
            for number in range(count):
                assert connection.read_reply(60) == number + 1
            sender.join()
        assert leader.command("GET", "pipeline") == b"%d" % count
