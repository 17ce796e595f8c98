"""What a person on telnet and a program on a socket see, byte for byte."""

import os
import pty
import random
import re
import select
import shutil
import signal
import time

import pytest

from kvd_cluster import PATIENCE
from redis_reference import RedisReference
from resp import Connection, ConnectionLost, ErrorReply, encode_command


@pytest.fixture
def leader(shared_cluster):
    return shared_cluster.wait_for_leader()


@pytest.fixture
def follower(shared_cluster):
    return shared_cluster.followers()[0]


def exchange(node, sent, expected):
    """Sends bytes and compares exactly as many bytes as are expected, and that nothing follows. A "?" stands for any
    digit."""
    with node.connect() as connection:
        connection.send_raw(sent)
        got = connection.read_exactly(len(expected))
        assert re.fullmatch(re.escape(expected).replace(rb"\?", b"[0-9]"), got), "sent %r, got %r" % (sent, got)
        connection.send_raw(b"PING\r\n")
        assert connection.read_exactly(7) == b"+PONG\r\n", "something followed the reply to %r" % sent


# ---- telnet ---------------------------------------------------------------------------------------

class Telnet:
    """The real program on a terminal of its own."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvp("telnet", ["telnet", host, port])
        self.seen = b""
        self.expect(b"Escape character is '^]'.\r\n")

    def expect(self, text, seconds=30):
        """Reads until `text` was seen; returns all up to there and forgets it."""
        deadline = time.monotonic() + seconds * PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            assert ready, "telnet did not show %r, but %r" % (text, self.seen)
            try:
                data = os.read(self.terminal, 4096)
            except OSError:
                data = b""
            assert data, "telnet ended; it had shown %r" % self.seen
            self.seen += data
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, line):
        os.write(self.terminal, line + b"\n")
        self.expect(line + b"\r\n")  # the terminal's echo

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.mark.skipif(shutil.which("telnet") is None, reason="telnet is not installed")
def test_a_telnet_session_reads_as_the_readme_says(leader):
    """SET k v, GET k, quoting, an error and QUIT in the real telnet program."""
    telnet = Telnet(leader.address)
    try:
        for line, answer in [
                (b"SET telnet:k v", b"+OK\r\n"),
                (b"GET telnet:k", b"$1\r\nv\r\n"),
                (b'SET telnet:q "two words"', b"+OK\r\n"),
                (b"GET telnet:q", b"$9\r\ntwo words\r\n"),
                (b"GET telnet:none", b"$-1\r\n"),
                (b"INCR telnet:n", b":1\r\n"),
                (b"INCR telnet:q", b"-ERR value is not an integer or out of range\r\n"),
                (b"GET", b"-ERR wrong number of arguments for 'get' command\r\n"),
        ]:
            telnet.type(line)
            assert telnet.expect(answer) == answer
        telnet.type(b"QUIT")
        telnet.expect(b"+OK\r\n")
        telnet.expect(b"Connection closed by foreign host.")
    finally:
        telnet.close()


@pytest.mark.skipif(shutil.which("telnet") is None, reason="telnet is not installed")
def test_a_telnet_session_on_a_follower_is_sent_to_the_leader(leader, follower):
    """A follower answers -MOVED with the slot of the key and the leader's address."""
    telnet = Telnet(follower.address)
    try:
        telnet.type(b"SET foo bar")
        answer = b"-MOVED 12182 %s\r\n" % leader.address.encode()
        assert telnet.expect(answer) == answer
        telnet.type(b"PING")
        assert telnet.expect(b"+PONG\r\n") == b"+PONG\r\n"
    finally:
        telnet.close()


# ---- exact bytes ----------------------------------------------------------------------------------

TRANSCRIPT = [
    (b"SET t:k v\r\n", b"+OK\r\n"),
    (b"GET t:k\r\n", b"$1\r\nv\r\n"),
    (b"GET t:k\n", b"$1\r\nv\r\n"),
    (b"  get   t:k  \r\n", b"$1\r\nv\r\n"),
    (b"\r\n\r\nGET t:k\r\n", b"$1\r\nv\r\n"),
    (b'SET t:q "a \\"b\\" c"\r\nGET t:q\r\n', b"+OK\r\n$7\r\na \"b\" c\r\n"),
    (b"SET t:q 'it\\'s'\r\nGET t:q\r\n", b"+OK\r\n$4\r\nit's\r\n"),
    (b'SET t:q "\\x00\\xff\\n\\t"\r\nGET t:q\r\n', b"+OK\r\n$4\r\n\x00\xff\n\t\r\n"),
    (b'SET t:q ""\r\nGET t:q\r\nSTRLEN t:q\r\n', b"+OK\r\n$0\r\n\r\n:0\r\n"),
    (b"DEL t:q t:none\r\nEXISTS t:q t:k t:k\r\n", b":1\r\n:2\r\n"),
    (b"MSET t:a 1 t:b 2\r\nMGET t:a t:none t:b\r\n", b"+OK\r\n*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"),
    (b"INCR t:a\r\nINCRBY t:a 40\r\nDECR t:a\r\nDECRBY t:a 11\r\n", b":2\r\n:42\r\n:41\r\n:30\r\n"),
    (b"APPEND t:s foo\r\nAPPEND t:s bar\r\nGET t:s\r\nSTRLEN t:s\r\n", b":3\r\n:6\r\n$6\r\nfoobar\r\n:6\r\n"),
    (b"SET t:k w NX\r\nSET t:k w XX\r\nSET t:k u GET\r\nGET t:k\r\n", b"$-1\r\n+OK\r\n$1\r\nw\r\n$1\r\nu\r\n"),
    (b"TTL t:k\r\nPTTL t:k\r\nTTL t:none\r\nPERSIST t:k\r\n", b":-1\r\n:-1\r\n:-2\r\n:0\r\n"),
    # What is left of 199 seconds is between 100 and 199 even if writing that down takes long.
    (b"EXPIRE t:k 199\r\nTTL t:k\r\nPERSIST t:k\r\nTTL t:k\r\n", b":1\r\n:1??\r\n:1\r\n:-1\r\n"),
    (b"SET t:k v EX 199\r\nSET t:k w KEEPTTL\r\nTTL t:k\r\nSET t:k v\r\nTTL t:k\r\n",
     b"+OK\r\n+OK\r\n:1??\r\n+OK\r\n:-1\r\n"),
    (b"EXPIRE t:none 100\r\nPEXPIRE t:k -1\r\nGET t:k\r\n", b":0\r\n:1\r\n$-1\r\n"),
    (b"PING\r\nPING hello\r\nECHO there\r\nSELECT 0\r\n", b"+PONG\r\n$5\r\nhello\r\n$5\r\nthere\r\n+OK\r\n"),
    (b"SELECT 1\r\n", b"-ERR SELECT is not allowed in cluster mode\r\n"),
    (b"nosuch a b\r\n", b"-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n"),
    (b"GET\r\n", b"-ERR wrong number of arguments for 'get' command\r\n"),
    (b"SET t:k\r\n", b"-ERR wrong number of arguments for 'set' command\r\n"),
    (b"SET t:k v PX\r\n", b"-ERR syntax error\r\n"),
    (b"SET t:k v EX 0\r\n", b"-ERR invalid expire time in 'set' command\r\n"),
    (b"SET t:k v EX x\r\n", b"-ERR value is not an integer or out of range\r\n"),
    (b"SET t:k v NX XX\r\n", b"-ERR syntax error\r\n"),
    (b"*3\r\n$3\r\nSET\r\n$3\r\nt:k\r\n$5\r\na\r\n\x00b\r\n*2\r\n$3\r\nGET\r\n$3\r\nt:k\r\n", b"+OK\r\n$5\r\na\r\n\x00b\r\n"),
    (b"*0\r\n*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
    (b"*-1\r\nPING\r\n", b"+PONG\r\n"),
]


@pytest.mark.parametrize("number", range(len(TRANSCRIPT)))
def test_the_answers_on_a_socket_are_exactly_these(leader, number):
    """Inline and RESP requests, alone and pipelined, get these bytes and no others."""
    exchange(leader, *TRANSCRIPT[number])


def test_a_pipeline_is_answered_in_order_and_each_read_sees_the_writes_before_it(leader):
    """A GET between two SETs of one pipeline sees the first."""
    with leader.connect() as connection:
        commands = []
        for i in range(500):
            commands += [("SET", "t:p", i), ("GET", "t:p"), ("ECHO", i), ("INCR", "t:pn")]
        replies = connection.pipeline(commands)
    base = replies[3] - 1
    for i in range(500):
        assert replies[4 * i:4 * i + 4] == ["OK", b"%d" % i, b"%d" % i, base + i + 1]


def test_requests_split_at_every_byte_are_understood(leader):
    """However the network cuts a request, the answer is the same."""
    request = encode_command("SET", "t:split", b"a\r\nb") + b"GET t:split\r\n"
    with leader.connect() as connection:
        for cut in range(1, len(request)):
            connection.send_raw(request[:cut])
            time.sleep(0.001)
            connection.send_raw(request[cut:])
            assert connection.read_exactly(15) == b"+OK\r\n$4\r\na\r\nb\r\n"
        for i in range(len(request)):
            connection.send_raw(request[i:i + 1])
        assert connection.read_exactly(15) == b"+OK\r\n$4\r\na\r\nb\r\n"


def test_values_are_binary_safe_up_to_the_limit(leader):
    """All byte values, and sizes up to 8 MiB, come back as they were sent."""
    source = random.Random(5)
    with leader.connect(30) as connection:
        for size in (0, 1, 255, 256, 4095, 4096, 65536, 1 << 20, 8 << 20):
            value = source.randbytes(size)
            assert connection.command("SET", b"t:\x00\xff\r\n", value) == "OK", size
            assert connection.command("GET", b"t:\x00\xff\r\n") == value
            assert connection.command("STRLEN", b"t:\x00\xff\r\n") == size
        connection.command("DEL", b"t:\x00\xff\r\n")


def test_pitfall_23_keys_of_0_and_510_bytes_work_and_511_bytes_are_refused(leader):
    """The longest key that LMDB can hold with our prefix works; a longer one gets a clear error before
    the log."""
    with leader.connect() as connection:
        for size in (0, 1, 509, 510):
            key = b"k" * size
            assert connection.command("SET", key, size) == "OK", size
            assert connection.command("GET", key) == b"%d" % size
            assert connection.command("PEXPIRE", key, 100000) == 1
            assert connection.command("INCR", key) == size + 1
            assert connection.command("DEL", key) == 1
        applied = leader.status()["last_index"]
        for size in (511, 512, 4096):
            key = b"k" * size
            for command in (("SET", key, "v"), ("GET", key), ("INCR", key), ("DEL", key), ("MSET", "t:ok", 1, key, 2)):
                reply = connection.command(*command)
                assert isinstance(reply, ErrorReply) and reply.startswith("ERR") and "key" in reply.lower(), \
                    (command[0], size, reply)
        assert connection.command("GET", "t:ok") is None, "half an MSET was done"
        assert leader.status()["last_index"] == applied, "a refused command went to the log"
        assert connection.command("PING") == "PONG"


def test_resp3_answers_after_hello_3(leader):
    """HELLO 3 switches nulls and maps, HELLO 2 switches back, a bad version is refused."""
    with leader.connect() as connection:
        hello = connection.command("HELLO", "3")
        assert isinstance(hello, dict)
        assert hello[b"proto"] == 3 and hello[b"mode"] == b"cluster" and hello[b"role"] == b"master"
        connection.send("GET", "t:none")
        assert connection.read_exactly(3) == b"_\r\n"
        hello = connection.command("HELLO", "2", "SETNAME", "me")
        assert isinstance(hello, list) and len(hello) == 14
        assert connection.command("CLIENT", "GETNAME") == b"me"
        connection.send("GET", "t:none")
        assert connection.read_exactly(5) == b"$-1\r\n"
        assert connection.command("HELLO", "4").code == "NOPROTO"


def test_a_follower_redirects_with_the_true_slot_and_the_leaders_address(shared_cluster, leader):
    """Reads and writes with keys get -MOVED <slot> <host>:<port> on both followers; {tags} count alone."""
    known = {"foo": 12182, "bar": 5061, "hello": 866, "123456789": 12739, "": 0,
             "{user1000}.following": 3443, "{user1000}.followers": 3443, "foo{}{bar}": 8363,
             "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061}
    for node in shared_cluster.followers():
        with node.connect() as connection:
            for key, slot in known.items():
                for command in (("SET", key, "v"), ("GET", key), ("INCR", key), ("EXPIRE", key, 1)):
                    reply = connection.command(*command)
                    assert reply == "MOVED %d %s" % (slot, leader.address), command
            assert connection.command("CLUSTER", "KEYSLOT", "foo") == 12182
            assert connection.command("PING") == "PONG"


def test_slots_are_those_that_redis_computes(leader, follower, scratch):
    """For 1,500 random keys, with and without tags, CLUSTER KEYSLOT here, there, and the slot in MOVED
    agree."""
    source = random.Random(3)
    keys = [b"", b"{}", b"a{}b", b"{a", b"a}", b"{}{x}", b"x{y}z{w}"]
    for _ in range(1500):
        key = source.randbytes(source.randint(1, 40))
        if source.random() < 0.5:
            key = key[:10] + b"{" + source.randbytes(source.randint(0, 5)) + b"}" + key[10:]
        keys.append(key)
    with RedisReference(scratch, cluster_enabled=True) as redis, Connection(redis.address) as reference, \
            leader.connect() as ours, follower.connect() as redirecting:
        commands = [("CLUSTER", "KEYSLOT", key) for key in keys]
        expected = reference.pipeline(commands)
        assert ours.pipeline(commands) == expected
        moved = redirecting.pipeline([("GET", key) for key in keys])
        assert [int(reply.split()[1]) for reply in moved] == expected


# ---- the same bytes as Redis ----------------------------------------------------------------------

SAME_AS_REDIS = [line.encode() + b"\r\n" for line in """
SET k v
GET k
GET none
SET k v EX 10 PX 10
SET k v EX
SET k v PX -1
SET k v PX 9223372036854775807
SET k v EX 9223372036854775807
SET k v EX 92233720368547758080
SET k v GET NX
SET k 5 XX GET
SET k v KEEPTTL EX 5
SET k v bogus
SET k v nx
set k v xx get
GET k extra
APPEND k tail
APPEND k
STRLEN k
STRLEN none
DEL
DEL k none k
EXISTS
EXISTS k
MGET
MSET a
MSET a 1 b
MSET a 1 b 2 a 3
MGET a b c
INCR a
INCR a b
INCRBY a x
INCRBY a 9223372036854775807
INCRBY a -9223372036854775808
DECRBY a -9223372036854775808
DECRBY a 5
DECR none2
SET n 9223372036854775807
INCR n
SET n -9223372036854775808
DECR n
SET n " 5"
INCR n
SET n 05
INCR n
SET n 1.5
INCR n
SET n ""
INCR n
EXPIRE none 5
EXPIRE a
EXPIRE a x
EXPIRE a 100 XX
EXPIRE a 100 NX
EXPIRE a 50 GT
EXPIRE a 200 LT
EXPIRE a 10 NX XX
EXPIRE a 10 GT LT
EXPIRE a 10 bogus
EXPIRE a 9223372036854775807
PEXPIRE a 9223372036854775807
PEXPIRE a 100000
PERSIST a
PERSIST a
TTL a
TTL
PTTL none
EXPIRE a -1
GET a
EXPIRE b 0
EXISTS b
PING
PING a
PING a b
ECHO
ECHO a
ECHO a b
SELECT
SELECT x
SELECT 0
AUTH x
AUTH a b
nosuchcommand
nosuchcommand a b c
"no such" x
GET "unbal" x
CLIENT GETNAME
CLIENT SETNAME me
CLIENT GETNAME
CLIENT SETNAME "with space"
CLIENT SETNAME
CLIENT NOSUCH
CLIENT
HELLO x
HELLO 1
HELLO 3 bogus
HELLO 2 SETNAME
COMMAND NOSUCH
COMMAND GETKEYS GET k
COMMAND GETKEYS MSET a 1 b 2
COMMAND GETKEYS PING
COMMAND GETKEYS
COMMAND GETKEYS nosuch k
COMMAND INFO nosuch
DBSIZE x
SCAN
SCAN x
SCAN 0 COUNT 0
SCAN 0 COUNT x
SCAN 0 BOGUS
FLUSHALL BOGUS
READONLY x
RESET
RESET x
""".strip().splitlines()]
SAME_AS_REDIS += [
    b"SET k \"unbalanced\r\nPING\r\n",
    b"SET k 'unbalanced\r\nPING\r\n",
    b"SET k \"a\"b\r\nPING\r\n",
    b"*1\r\n+PING\r\n",
    b"*1\r\n$x\r\nPING\r\n",
    b"*1\r\n$-5\r\nPING\r\n",
    b"*x\r\n",
    b"*99999999999\r\n",
    b"*1\r\n$99999999999\r\n",
    b"*2147483648\r\n",
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    b"'' a\r\n",
    b'"\\x41\\x4" b\r\n',
    b"get\tk\r\n",
]


def answer_of(address, request):
    """All bytes that come back to a request and the ECHO after it, on a fresh connection."""
    with Connection(address, 30 * PATIENCE) as connection:
        # In one piece: after an error that closes, a second one might find the connection reset.
        connection.send_raw(request + b"*2\r\n$4\r\nECHO\r\n$9\r\n<the end>\r\n")
        try:
            return connection.read_until(b"<the end>\r\n")
        except ConnectionLost:  # some of these errors close
            return connection.read_for(0) + b"<closed>"


def test_answers_are_byte_for_byte_those_of_redis(leader, scratch):
    """The same requests in the same order to a real redis-server in cluster mode and to kvd give the
    same bytes."""
    differences = []
    with RedisReference(scratch, cluster_enabled=True) as redis:
        with Connection(redis.address) as connection:
            connection.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + 40
            while b"cluster_state:ok" not in connection.command("CLUSTER", "INFO"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        # One shard serves any set of keys, and Redis would say CROSSSLOT: all keys get one tag.
        for request in SAME_AS_REDIS:
            tagged = tag_keys(request)
            theirs = answer_of(redis.address, tagged)
            ours = answer_of(leader.address, tagged)
            if ours != theirs:
                differences.append("%r\n      redis: %r\n      kvd:   %r" % (tagged, theirs, ours))
    assert not differences, "%d of %d answers differ:\n    %s" % (
        len(differences), len(SAME_AS_REDIS), "\n    ".join(differences))


def tag_keys(request):
    """Gives the plain words used as keys one hash tag."""
    words = request.split(b" ")
    keys = {b"k", b"a", b"b", b"c", b"n", b"none", b"none2"}
    if request[:1] in b"*\x00'\"" or words[0].upper() in (b"CLIENT", b"HELLO", b"COMMAND", b"ECHO", b"PING", b"AUTH"):
        return request
    out = []
    for i, word in enumerate(words):
        bare = word.rstrip(b"\r\n")
        if i > 0 and bare in keys and words[0].lower() != b"nosuchcommand" and is_key_place(words[0].upper(), i):
            word = word.replace(bare, b"{t}:" + bare)
        out.append(word)
    return b" ".join(out)


def is_key_place(name, position):
    if name in (b"DEL", b"EXISTS", b"MGET"):
        return True
    if name == b"MSET":
        return position % 2 == 1
    return position == 1


def test_every_known_command_says_the_same_about_itself_as_redis(leader, scratch):
    """COMMAND INFO of what clients need to route (name, arity, key positions, write or read) agrees with
    Redis."""
    with leader.connect() as ours, RedisReference(scratch) as redis, Connection(redis.address) as reference:
        mine = {entry[0]: entry for entry in ours.command("COMMAND")}
        theirs = {entry[0]: entry for entry in reference.command("COMMAND")}
        needed = """ping echo hello auth select client command info quit reset get set del exists mget mset incr decr
            incrby decrby append strlen expire pexpire ttl pttl persist dbsize flushall scan cluster readonly
            readwrite asking raft""".encode().split()
        assert not set(needed) - set(mine), "COMMAND does not list %r" % (set(needed) - set(mine))
        assert ours.command("COMMAND", "COUNT") == len(mine)
        for name, entry in mine.items():
            assert len(entry) == 10, name
            if name not in theirs or name in (b"client", b"cluster", b"command", b"quit"):
                continue
            assert entry[1] == theirs[name][1], "arity of %r" % name
            assert entry[3:6] == theirs[name][3:6], "key positions of %r" % name
            flags, expected = set(entry[2]), set(theirs[name][2])
            assert flags & {"write", "readonly"} == expected & {"write", "readonly"}, name


def test_cluster_commands_describe_one_shard_whose_master_is_the_leader(shared_cluster, leader):
    """CLUSTER SLOTS, SHARDS, NODES, INFO, MYID, MYSHARDID, COUNTKEYSINSLOT, REPLICAS and INFO have the
    forms that clients parse, on every node."""
    master_ids = set()
    for node in shared_cluster.nodes:
        with node.connect() as connection:
            (start, end, master, *replicas), = connection.command("CLUSTER", "SLOTS")
            assert (start, end) == (0, 16383)
            assert master[:2] == [b"127.0.0.1", leader.client_port]
            assert len(master[2]) == 40
            master_ids.add(master[2])
            assert {r[1] for r in replicas} == {n.client_port for n in shared_cluster.nodes if n is not leader}
            shard, = connection.command("CLUSTER", "SHARDS")
            fields = dict(zip(shard[::2], shard[1::2]))
            assert fields[b"slots"] == [0, 16383]
            roles = [dict(zip(n[::2], n[1::2]))[b"role"] for n in fields[b"nodes"]]
            assert sorted(roles) == [b"master", b"replica", b"replica"]
            lines = connection.command("CLUSTER", "NODES").decode().splitlines()
            assert len(lines) == 3
            myself = [line for line in lines if "myself" in line.split()[2].split(",")]
            assert len(myself) == 1
            my_id = connection.command("CLUSTER", "MYID").decode()
            assert myself[0].split()[0] == my_id
            for line in lines:
                words = line.split()
                assert len(words) >= 8, line
                if "master" in words[2].split(","):
                    assert words[8:] == ["0-16383"] and words[3] == "-", line
                else:
                    assert words[3] == master[2].decode(), line
            info = dict(line.split(":", 1) for line in connection.command("CLUSTER", "INFO").decode().split("\r\n") if line)
            assert info["cluster_state"] == "ok" and info["cluster_slots_assigned"] == "16384"
            assert info["cluster_known_nodes"] == "3"
            assert connection.command("CLUSTER", "MYSHARDID")
            # A map without an index by slot may say that it cannot; it must answer.
            assert isinstance(connection.command("CLUSTER", "COUNTKEYSINSLOT", 5), (int, ErrorReply))
            assert len(connection.command("CLUSTER", "REPLICAS", master[2])) == 2
            text = connection.command("INFO").decode()
            for line in ("redis_mode:cluster", "cluster_enabled:1", "loading:0",
                         "role:" + ("master" if node is leader else "slave")):
                assert line in text, line
            for command in ("READONLY", "READWRITE", "ASKING"):
                assert connection.command(command) == "OK"
            for command in (("CLUSTER", "NOSUCH"), ("RAFT", "NOSUCH")):
                assert isinstance(connection.command(*command), ErrorReply)
    assert len(master_ids) == 1


def test_reads_on_a_follower_after_readonly_see_what_was_written(leader, follower):
    """READONLY allows reads on a follower, which see every write acknowledged before; READWRITE ends it."""
    with leader.connect() as writer, follower.connect() as reader:
        assert reader.command("READONLY") == "OK"
        for i in range(200):
            assert writer.command("SET", "t:ro", i) == "OK"
            assert reader.command("GET", "t:ro") == b"%d" % i
        assert reader.command("SET", "t:ro", 1).code == "MOVED"
        assert reader.command("READWRITE") == "OK"
        assert reader.command("GET", "t:ro").code == "MOVED"


def test_scan_walks_all_keys_once_on_any_node(shared_cluster, leader):
    """SCAN from cursor 0 to cursor 0 returns every key, on the leader and on a follower; MATCH and COUNT
    count."""
    names = {b"t:scan:%d" % i for i in range(1000)}
    with leader.connect() as connection:
        assert set(connection.pipeline([("SET", name, 1) for name in names])) == {"OK"}
    for node in shared_cluster.nodes:
        with node.connect() as connection:
            cursor, seen, calls = b"0", [], 0
            while True:
                cursor, keys = connection.command("SCAN", cursor, "MATCH", "t:scan:*", "COUNT", 100)
                seen += keys
                calls += 1
                assert calls < 1000
                if cursor == b"0":
                    break
            assert set(seen) == names and len(seen) == len(names)
