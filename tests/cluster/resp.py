"""resp.py: a tiny RESP client for tests: exact bytes out, parsed replies in, a time limit on everything.

What it is not: a library for users. It follows no redirect and hides no error: an error reply is a value
(`ErrorReply`), a broken connection is an exception (`ConnectionLost`), silence is another (`ReplyTimeout`).
"""

import socket
import time


class ConnectionLost(Exception):
    """The other side closed or reset the connection, or could not be reached."""


class ReplyTimeout(Exception):
    """No whole reply arrived in time."""


class BadReply(Exception):
    """The bytes that arrived are not RESP."""


class Status(str):
    """A simple string such as OK."""


class ErrorReply(str):
    """An error reply; `code` is its first word."""

    @property
    def code(self):
        return self.split(" ", 1)[0]


def encode_argument(argument):
    if isinstance(argument, bytes):
        return argument
    return str(argument).encode()


def encode_command(*arguments):
    """The command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = encode_argument(argument)
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def split_address(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


class Connection:
    """One TCP connection. Every wait ends after `timeout` seconds at the latest."""

    def __init__(self, address, timeout=30.0, connect_timeout=None):
        self.address = address
        self.timeout = timeout
        self._buffer = bytearray()
        try:
            self.socket = socket.create_connection(
                split_address(address), timeout=connect_timeout or timeout)
        except OSError as error:
            raise ConnectionLost("connect to %s: %s" % (address, error)) from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # ---- bytes ----

    def send_raw(self, data):
        try:
            self.socket.settimeout(self.timeout)
            self.socket.sendall(data)
        except socket.timeout:
            raise ReplyTimeout("the other side does not read") from None
        except OSError as error:
            raise ConnectionLost("send: %s" % error) from None

    def _receive(self, deadline):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise ReplyTimeout("no whole reply from %s; so far %r" % (self.address, bytes(self._buffer[:200])))
        self.socket.settimeout(remaining)
        try:
            data = self.socket.recv(1 << 16)
        except socket.timeout:
            raise ReplyTimeout("no whole reply from %s; so far %r"
                               % (self.address, bytes(self._buffer[:200]))) from None
        except OSError as error:
            raise ConnectionLost("receive: %s" % error) from None
        if not data:
            raise ConnectionLost("closed by %s" % self.address)
        self._buffer += data

    def read_exactly(self, count, timeout=None):
        return self._take(count, self._deadline(timeout))

    def read_until(self, end, timeout=None):
        """Bytes up to and with `end`, which must be the last to arrive."""
        deadline = self._deadline(timeout)
        while not self._buffer.endswith(end):
            self._receive(deadline)
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def read_until_closed(self, timeout=None):
        """All bytes up to the end of the connection."""
        deadline = self._deadline(timeout)
        try:
            while True:
                self._receive(deadline)
        except ConnectionLost:
            data = bytes(self._buffer)
            self._buffer.clear()
            return data

    def read_for(self, seconds):
        """Whatever arrives within this time."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._receive(deadline)
        except (ReplyTimeout, ConnectionLost):
            data = bytes(self._buffer)
            self._buffer.clear()
            return data

    def _deadline(self, timeout):
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def _take(self, count, deadline):
        while len(self._buffer) < count:
            self._receive(deadline)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _take_line(self, deadline):
        start = 0
        while True:
            end = self._buffer.find(b"\r\n", start)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[:end + 2]
                return line
            start = max(0, len(self._buffer) - 1)
            self._receive(deadline)

    # ---- replies ----

    def send(self, *arguments):
        self.send_raw(encode_command(*arguments))

    def read_reply(self, timeout=None):
        return self._parse(self._deadline(timeout))

    def command(self, *arguments, timeout=None):
        self.send(*arguments)
        return self.read_reply(timeout)

    def pipeline(self, commands, timeout=None):
        """Sends all commands in one piece and returns their replies in order."""
        self.send_raw(b"".join(encode_command(*command) for command in commands))
        deadline = self._deadline(timeout)
        return [self._parse(deadline) for _ in commands]

    def _parse(self, deadline):
        line = self._take_line(deadline)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return Status(rest.decode())
        if kind == b"-":
            return ErrorReply(rest.decode(errors="backslashreplace"))
        if kind == b":":
            return int(rest)
        if kind in (b"$", b"="):
            size = int(rest)
            if size < 0:
                return None
            data = self._take(size + 2, deadline)
            if data[-2:] != b"\r\n":
                raise BadReply("bulk string does not end with CRLF: %r" % data[-20:])
            return data[4:-2] if kind == b"=" else data[:-2]
        if kind in (b"*", b"~", b">"):
            size = int(rest)
            return None if size < 0 else [self._parse(deadline) for _ in range(size)]
        if kind == b"%":
            pairs = [(self._parse(deadline), self._parse(deadline)) for _ in range(int(rest))]
            return dict(pairs)
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        raise BadReply("not RESP: %r" % line[:200])
