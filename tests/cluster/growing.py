"""growing.py: a cluster whose members come and go."""

from kvd_cluster import EXIT_REFUSED, Cluster, Failure, wait_until
from resp import ConnectionLost, ErrorReply, ReplyTimeout


class Growing(Cluster):
    """A cluster whose first `initial` nodes form it; the others are started with --join."""

    def __init__(self, size, initial, settings=None):
        self.initial = initial
        super().__init__(size, settings, configure=Growing._configure, start=False)

    def _configure(self):
        for node in self.nodes[:self.initial]:
            node.settings["cluster"] = ",".join(
                "%d=%s:%d" % (n.id, n.bus_host, n.bus_port) for n in self.nodes[:self.initial])
        for node in self.nodes[self.initial:]:
            node.settings["cluster"] = None

    def start(self):
        for node in self.nodes[:self.initial]:
            node.start()
        wait_until(self.leader, 40, "a leader")
        return self

    def leader(self):
        """The one that leads by its own word, in the highest term, and has committed something in it."""
        statuses = [(node, node.status(1.0)) for node in self.running]
        leaders = [(status["term"], node) for node, status in statuses
                   if status and status["role"] == "leader" and status["leader_ready"] == "yes"]
        return max(leaders, key=lambda pair: pair[0])[1] if leaders else None

    find_leader = leader

    def tell(self, *arguments, seconds=40):
        """A command for the leader; what asks to be tried again is."""

        def told():
            leader = self.leader()
            if not leader:
                return None
            try:
                reply = leader.command("RAFT", *arguments)
            except (ConnectionLost, ReplyTimeout):
                return None
            return None if isinstance(reply, ErrorReply) and reply.code in ("TRYAGAIN", "MOVED", "CLUSTERDOWN") \
                else reply

        reply = wait_until(told, seconds, "an answer to RAFT %s" % " ".join(map(str, arguments)))
        assert not isinstance(reply, ErrorReply), reply
        return reply

    def kinds(self, node=None):
        """{id: "voter" | "learner" | ...} as the node, or the leader, says; None while it changes."""
        node = node or self.leader()
        status = node and node.status()
        if not status or status["membership"] != "stable":
            return None
        return {int(name.split("_")[1]): dict(pair.split("=", 1) for pair in value.split(","))["kind"]
                for name, value in status.items() if name.startswith("member_")}

    def wait_for_voters(self, *ids, seconds=60):
        expected = {node_id: "voter" for node_id in ids}
        try:
            wait_until(lambda: self.kinds() == expected, seconds, "the voters %r" % (ids,))
        except Failure as error:
            raise Failure("%s; they are %r" % (error, self.kinds())) from None

    def join(self, node, asks):
        node.start({"join": "%s:%d" % (asks.bus_host, asks.bus_port)})

    def expect_removed(self, node):
        assert node.wait_exit(40) == EXIT_REFUSED
        assert "was removed from" in node.last_log()
