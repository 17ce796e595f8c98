"""Several client listeners, each with the address it announces: redirects name the leader's address of
the listener that the client came in by."""

import pytest

from kvd_cluster import STEADY, Cluster, free_ports
from resp import Connection


@pytest.mark.tsan
def test_a_redirect_names_the_leaders_address_of_the_same_listener():
    """Clients of the listener "inside" are sent to the inside address, those of "outside" to the outside
    one; CLUSTER SLOTS, NODES and SHARDS agree."""
    def configure(cluster):
        for node in cluster.nodes:
            node.outside_port, = free_ports(1)
            node.listeners = [
                "inside=127.0.0.1:%d@node%d:7000" % (node.client_port, node.id),
                "outside=127.0.0.1:%d@host.example.org:%d" % (node.outside_port, 7000 + node.id)]

    with Cluster(configure=configure, settings=STEADY) as cluster:
        leader = cluster.wait_for_leader()
        for node in cluster.nodes:
            for port, host_of, port_of in ((node.client_port, lambda n: "node%d" % n.id, lambda n: 7000),
                                           (node.outside_port, lambda n: "host.example.org", lambda n: 7000 + n.id)):
                with Connection("127.0.0.1:%d" % port) as connection:
                    if node is not leader:
                        assert connection.command("SET", "foo", "bar") == "MOVED 12182 %s:%d" % (
                            host_of(leader), port_of(leader))
                    (_, _, master, *replicas), = connection.command("CLUSTER", "SLOTS")
                    assert master[:2] == [host_of(leader).encode(), port_of(leader)]
                    assert {(r[0].decode(), r[1]) for r in replicas} == {
                        (host_of(n), port_of(n)) for n in cluster.nodes if n is not leader}
                    lines = connection.command("CLUSTER", "NODES").decode()
                    for n in cluster.nodes:
                        assert "%s:%d@" % (host_of(n), port_of(n)) in lines
        old = leader
        old.kill9()
        new = cluster.wait_for_leader()
        other = next(node for node in cluster.nodes if node not in (old, new))
        with Connection("127.0.0.1:%d" % other.outside_port) as connection:
            assert connection.command("GET", "foo") == "MOVED 12182 host.example.org:%d" % (7000 + new.id)


def test_an_announced_address_may_differ_from_the_bound_one():
    """One listener bound to one address that announces another."""
    def configure(cluster):
        for node in cluster.nodes:
            node.listeners = ["127.0.0.1:%d@kvd-%d.example.org:6379" % (node.client_port, node.id)]

    with Cluster(configure=configure, settings=STEADY) as cluster:
        leader = cluster.wait_for_leader()
        for follower in cluster.followers():
            assert follower.command("GET", "foo") == "MOVED 12182 kvd-%d.example.org:6379" % leader.id
