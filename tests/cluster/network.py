"""network.py: three machines made of network namespaces, whose links can be cut one by one, one way or
both.

Each node's namespace has two links: `bus0` to a bridge in a namespace of its own, for the nodes among
themselves, and `client0` straight to us, so that clients still reach a node that is cut off from its
peers. A cut is a permanent neighbour entry with an address nobody has: packets vanish without a trace,
as on a broken network, in one direction only if wanted. "Cable pulled" is a link that is down.
"""

import os
import random
import re
import shutil
import subprocess

from kvd_cluster import Cluster

NOBODY = "02:00:00:00:00:ff"
PREFIX = "kvdtest"


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def remove_left_overs():
    """Namespaces of test runs that were killed."""
    for line in ip("netns", "list", check=False).stdout.splitlines():
        name = line.split()[0] if line.split() else ""
        match = re.fullmatch(PREFIX + r"-(\d+)-\w+", name)
        if match and not os.path.exists("/proc/" + match.group(1)):
            ip("netns", "del", name, check=False)


def why_not():
    """None if namespaces can be made here, else the reason."""
    if os.geteuid() != 0:
        return "not root"
    if shutil.which("ip") is None:
        return "no ip program (package iproute2)"
    name = "%s-%d-probe" % (PREFIX, os.getpid())
    try:
        ip("netns", "add", name)
        try:
            ip("netns", "exec", name, "ip", "link", "add", "br0", "type", "bridge")
            ip("netns", "exec", name, "ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1")
        finally:
            ip("netns", "del", name)
    except (subprocess.CalledProcessError, OSError) as error:
        return "no network namespaces here: %s" % (getattr(error, "stderr", None) or error)
    return None


class Network:
    """The namespaces and links for `size` nodes."""

    def __init__(self, size=3):
        self.size = size
        self.subnet = random.SystemRandom().randrange(1, 250)
        self.names = ["%s-%d-n%d" % (PREFIX, os.getpid(), i + 1) for i in range(size)]
        self.hub = "%s-%d-hub" % (PREFIX, os.getpid())

    def bus_address(self, node_id):
        return "10.213.%d.%d" % (self.subnet, node_id)

    def client_address(self, node_id):
        return "10.214.%d.%d" % (self.subnet, 4 * node_id + 1)

    def _in(self, name, *arguments, check=True):
        return ip("-n", name, *arguments, check=check)

    def __enter__(self):
        remove_left_overs()
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self):
        ip("netns", "add", self.hub)
        self._in(self.hub, "link", "add", "br0", "type", "bridge")
        self._in(self.hub, "link", "set", "br0", "up")
        for node_id, name in enumerate(self.names, start=1):
            ip("netns", "add", name)
            self._in(name, "link", "set", "lo", "up")
            self._in(name, "link", "add", "bus0", "type", "veth", "peer", "name", "port%d" % node_id, "netns", self.hub)
            self._in(self.hub, "link", "set", "port%d" % node_id, "master", "br0", "up")
            self._in(name, "addr", "add", self.bus_address(node_id) + "/24", "dev", "bus0")
            self._in(name, "link", "set", "bus0", "up")
            ours = self._our_end(node_id)
            ip("link", "add", ours, "type", "veth", "peer", "name", "client0", "netns", name)
            ip("addr", "add", "10.214.%d.%d/30" % (self.subnet, 4 * node_id + 2), "dev", ours)
            ip("link", "set", ours, "up")
            self._in(name, "addr", "add", self.client_address(node_id) + "/30", "dev", "client0")
            self._in(name, "link", "set", "client0", "up")
            # Redirects name the client addresses: let nodes and us agree on the way.
            self._in(name, "route", "add", "default", "via", "10.214.%d.%d" % (self.subnet, 4 * node_id + 2))

    def _our_end(self, node_id):
        return "kvt%dn%d" % (os.getpid() % 1000000, node_id)

    def __exit__(self, *_):
        for name in [*self.names, self.hub]:
            ip("netns", "del", name, check=False)
        for node_id in range(1, self.size + 1):
            ip("link", "del", self._our_end(node_id), check=False)

    # ---- faults ----

    def cut_one_way(self, source, target):
        """Nothing from `source` reaches `target` any more; the other direction stays."""
        self._in(self.names[source - 1], "neigh", "replace", self.bus_address(target), "lladdr", NOBODY, "dev", "bus0",
                 "nud", "permanent")

    def cut(self, one, other):
        self.cut_one_way(one, other)
        self.cut_one_way(other, one)

    def isolate(self, node_id):
        for other in range(1, self.size + 1):
            if other != node_id:
                self.cut(node_id, other)

    def pull_cable(self, node_id):
        self._in(self.hub, "link", "set", "port%d" % node_id, "down")

    def heal(self):
        for node_id, name in enumerate(self.names, start=1):
            self._in(self.hub, "link", "set", "port%d" % node_id, "up")
            for other in range(1, self.size + 1):
                if other != node_id:
                    self._in(name, "neigh", "del", self.bus_address(other), "dev", "bus0", check=False)


def configure_cluster(network):
    """For Cluster(configure=...): every node in its namespace."""
    def configure(cluster):
        for node in cluster.nodes:
            node.bus_host = network.bus_address(node.id)
            node.host = network.client_address(node.id)
            node.prefix = ["ip", "netns", "exec", network.names[node.id - 1]]
    return configure


def networked_cluster(network, settings=None):
    return Cluster(size=network.size, settings=settings, configure=configure_cluster(network))
