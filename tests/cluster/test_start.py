"""Starts that must be refused: each with a clear message and an exit code of its own, and nothing lost."""

import os
import re
import shutil
import subprocess
import time

import pytest

from kvd_cluster import (EXIT_REFUSED, EXIT_START, EXIT_USAGE, PATIENCE, STEADY, Cluster, free_ports, kvd_binary,
                         server_environment, spawn, wait_until)
from resp import Connection, ConnectionLost, ReplyTimeout
from test_failover import wait_until_caught_up


def assert_explained(node, *patterns):
    """What was logged since the last start says each of these, and nothing crashed."""
    log = node.last_log()
    for pattern in patterns:
        assert re.search(pattern, log, re.IGNORECASE), "the log does not say %r:\n%s" % (pattern, log[-3000:])
    assert "Assertion" not in log


def assert_undisturbed(cluster, leader, term):
    """The same leader in the same term goes on serving."""
    assert leader.command("SET", "undisturbed", "1") == "OK"
    status = leader.status()
    assert (status["role"], status["term"]) == ("leader", term), status


def run(arguments, directory, seconds=40):
    environment = server_environment(os.path.join(directory, "sanitizer-run"))
    return subprocess.run([kvd_binary(), *arguments], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds * PATIENCE)


# ---- identities -----------------------------------------------------------------------------------

@pytest.mark.tsan
def test_pitfall_28_an_emptied_directory_under_a_known_id_is_refused_and_never_votes():
    """A node whose data was removed ends with code 4 and the way back in its message; even when another
    node is dead and its vote would make a majority, nobody is elected by it."""
    with Cluster(settings=STEADY) as cluster:
        leader = cluster.wait_for_leader()
        assert leader.command("SET", "k", "v") == "OK"
        victim, other = cluster.followers()
        term = leader.status()["term"]
        victim.kill9()
        saved = victim.directory + ".saved"
        os.rename(victim.directory, saved)
        victim.start()
        assert victim.wait_exit() == EXIT_REFUSED
        assert_explained(victim, "disk", "rejoin|put the old|replace")
        assert_undisturbed(cluster, leader, term)

        # Now its vote would count: one of two live nodes is the emptied one.
        shutil.rmtree(victim.directory)
        leader.kill9()
        victim.start()
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline and victim.running:
            status = other.status()
            assert status is None or status["role"] != "leader", "elected by the vote of an emptied disk"
            time.sleep(0.1)
        if victim.running:
            assert victim.status() is None or victim.status()["role"] != "leader"
            victim.kill9()
        else:
            assert victim.wait_exit() == EXIT_REFUSED

        # With the old directory back all is well.
        shutil.rmtree(victim.directory)
        os.rename(saved, victim.directory)
        victim.start()
        new = cluster.wait_for_leader()
        assert new.command("GET", "k") == b"v"
        leader.start()
        wait_until_caught_up(cluster, leader)
        cluster.wait_until_equal()


def test_pitfall_28_a_second_node_with_the_same_id_is_refused():
    """While node 2 runs, another process with id 2 and a directory of its own ends with code 4; nobody
    notices."""
    with Cluster(settings=STEADY) as cluster:
        leader = cluster.wait_for_leader()
        term = leader.status()["term"]
        twin_of = cluster.followers()[0]
        client_port, bus_port = free_ports(2)
        log = os.path.join(cluster.directory, "twin.log")
        overrides = {"data": os.path.join(cluster.directory, "data-twin"), "listen": "127.0.0.1:%d" % client_port,
                     "bus-listen": "127.0.0.1:%d" % bus_port}
        twin = spawn(twin_of.arguments(overrides), log,
                     environment=server_environment(os.path.join(cluster.directory, "sanitizer-twin")))
        try:
            assert twin.wait(40 * PATIENCE) == EXIT_REFUSED
        finally:
            twin.kill()
            twin.wait()
        with open(log) as file:
            assert re.search("disk|already connected", file.read())
        assert twin_of.running
        assert_undisturbed(cluster, leader, term)
        cluster.wait_until_equal()


def test_pitfall_28_the_directory_of_another_cluster_is_refused():
    """A node that comes with the directory of the same node of another cluster ends with code 4 and says
    why; neither cluster loses anything."""
    with Cluster(settings=STEADY) as ours, Cluster(settings=STEADY) as theirs:
        leader = ours.wait_for_leader()
        leader.command("SET", "whose", "ours")
        theirs.wait_for_leader().command("SET", "whose", "theirs")
        term = leader.status()["term"]
        victim = ours.followers()[0]
        stranger = theirs.node(victim.id)
        stranger.kill9()
        victim.kill9()
        os.rename(victim.directory, victim.directory + ".saved")
        shutil.copytree(stranger.directory, victim.directory)
        victim.start()
        assert victim.wait_exit() == EXIT_REFUSED
        assert_explained(victim, "cluster")
        assert_undisturbed(ours, leader, term)
        shutil.rmtree(victim.directory)
        os.rename(victim.directory + ".saved", victim.directory)
        victim.start()
        stranger.start()
        wait_until_caught_up(ours, victim)
        wait_until_caught_up(theirs, stranger)
        for cluster, value in ((ours, b"ours"), (theirs, b"theirs")):
            cluster.wait_until_equal()
            for node in cluster.nodes:
                assert node.read("GET", "whose") == value


def test_pitfall_28_the_directory_of_another_node_is_refused():
    """Node 2 started with node 3's directory ends at once and says whose it is."""
    with Cluster() as cluster:
        leader = cluster.wait_for_leader()
        term = leader.status()["term"]
        one, two = cluster.followers()
        one.kill9()
        two.kill9()
        one.start({"data": two.directory})
        code = one.wait_exit()
        assert code in (EXIT_START, EXIT_REFUSED), code
        assert_explained(one, r"node \D*%d|id" % two.id)
        one.start()
        two.start()
        new = cluster.wait_for_leader()
        assert new.status()["term"] >= term
        wait_until_caught_up(cluster, one)
        wait_until_caught_up(cluster, two)
        cluster.wait_until_equal()


def test_initial_members_configured_differently_never_form_a_cluster():
    """Formation is unanimous: nodes that were given different members refuse each other and elect nobody."""
    with Cluster(start=False) as cluster:
        odd = cluster.nodes[2]
        odd.settings["cluster"] = cluster.members_setting() + ",4=127.0.0.1:%d" % free_ports(1)[0]
        for node in cluster.nodes:
            node.start()
            node.told_to_end = True  # some may end with code 4
        wait_until(lambda: any("member" in node.log_text() for node in cluster.nodes), 40, "somebody to say that members differ")
        time.sleep(3)
        for node in cluster.nodes:
            if node.running:
                status = node.status()
                assert status is None or status["role"] != "leader", "a leader without agreement"
            else:
                assert node.wait_exit() == EXIT_REFUSED


def test_a_cluster_does_not_form_before_all_members_are_there():
    """Two of three new nodes elect nobody; with the third they do."""
    with Cluster(start=False) as cluster:
        cluster.nodes[0].start()
        cluster.nodes[1].start()
        for node in cluster.nodes[:2]:
            wait_until(node.status, 40, "node %d to answer" % node.id)
        time.sleep(3)
        for node in cluster.nodes[:2]:
            status = node.status()
            assert status and status["role"] not in ("leader", "candidate"), status
            assert node.command("PING") == "PONG"
        cluster.nodes[2].start()
        assert cluster.wait_for_leader().command("SET", "k", "v") == "OK"


@pytest.mark.parametrize("moment", [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5])
def test_pitfall_28_all_nodes_killed_while_the_cluster_forms_can_start_again(moment):
    """Wherever kill -9 strikes during formation, the same directories form one cluster afterwards."""
    with Cluster(start=False) as cluster:
        for node in cluster.nodes:
            node.start()
        time.sleep(moment)
        for node in cluster.nodes:
            node.kill9()
        cluster.start()
        assert cluster.wait_for_leader().command("SET", "k", "v") == "OK"
        cluster.wait_until_equal()
        assert len({node.status()["cluster_id"] for node in cluster.nodes}) == 1


# ---- secrets --------------------------------------------------------------------------------------

SECRET = "0123456789abcdef-first"


def test_a_node_with_another_secret_is_refused_and_with_the_right_one_it_returns():
    """The proof of the secret is asked for on every bus connection; the cluster goes on with the other
    two."""
    with Cluster(settings={"cluster-secret": SECRET, **STEADY}) as cluster:
        leader = cluster.wait_for_leader()
        leader.command("SET", "k", "v")
        term = leader.status()["term"]
        victim = cluster.followers()[0]
        for other_secret in ("fedcba9876543210-other", None):
            victim.kill9()
            victim.start({"cluster-secret": other_secret})
            victim.told_to_end = True
            leader.command("SET", "k", other_secret or "none")
            wait_until(lambda: "secret" in victim.last_log(), 40, "the node to say what is wrong with its secret")
            time.sleep(2)
            if victim.running:
                status = victim.status()
                assert status is None or status["applied_index"] < leader.status()["commit_index"], \
                    "a node without the secret receives the log"
            else:
                assert victim.wait_exit() == EXIT_REFUSED
            assert SECRET not in victim.last_log() + leader.last_log(), "the secret is in the log"
            assert_undisturbed(cluster, leader, term)
            if not victim.running:
                victim.start({"cluster-secret": other_secret})
                victim.told_to_end = True
        if victim.running:
            victim.kill9()
        victim.start()
        wait_until_caught_up(cluster, victim)
        cluster.wait_until_equal()


# ---- directories and ports ------------------------------------------------------------------------

def test_a_second_kvd_on_one_directory_is_refused():
    """The lock on the directory is held: the second one ends with code 3, the first does not notice."""
    with Cluster(settings=STEADY) as cluster:
        node = cluster.wait_for_leader()
        client_port, bus_port = free_ports(2)
        result = run(node.arguments({"listen": "127.0.0.1:%d" % client_port,
                                     "bus-listen": "127.0.0.1:%d" % bus_port})[1:], cluster.directory)
        assert result.returncode == EXIT_START, result.stdout
        assert re.search("lock|in use|already|another", result.stdout), result.stdout
        assert node.command("SET", "k", "v") == "OK"
        assert node.command("GET", "k") == b"v"


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root ignores modes; no setpriv")
def test_a_directory_that_cannot_be_written_is_refused(scratch):
    """A read-only directory, and one that cannot be created: code 3, and the path in the message."""
    os.chmod(scratch, 0o755)
    locked = os.path.join(scratch, "locked")
    os.mkdir(locked, 0o555)
    prefix = []
    if os.geteuid() == 0:
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for path in (locked, os.path.join(locked, "below")):
        result = subprocess.run([*prefix, kvd_binary(), "--data", path, "--listen", "127.0.0.1:%d" % free_ports(1)[0]],
                                cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=server_environment("/tmp/kvd-none"), text=True, timeout=40 * PATIENCE)
        assert result.returncode == EXIT_START, (path, result.returncode, result.stdout)
        assert path in result.stdout, result.stdout
    assert os.listdir(locked) == []


def test_a_data_path_that_is_a_file_is_refused(scratch):
    """Code 3 and the path; the file is untouched."""
    path = os.path.join(scratch, "file")
    with open(path, "w") as file:
        file.write("mine")
    result = run(["--data", path, "--listen", "127.0.0.1:%d" % free_ports(1)[0]], scratch)
    assert result.returncode == EXIT_START, result.stdout
    assert path in result.stdout
    with open(path) as file:
        assert file.read() == "mine"


@pytest.mark.parametrize("which", ["client", "bus"])
def test_a_port_in_use_is_refused(cluster, scratch, which):
    """Code 3 and the port in the message, for the client port and for the bus port."""
    node = cluster.nodes[0]
    client_port, bus_port = free_ports(2)
    if which == "client":
        client_port = node.client_port
    else:
        bus_port = node.bus_port
    result = run(["--data", os.path.join(scratch, "d"), "--listen", "127.0.0.1:%d" % client_port, "--id", "1",
                  "--cluster", "1=127.0.0.1:%d,2=127.0.0.1:1,3=127.0.0.1:2" % bus_port,
                  "--bus-listen", "127.0.0.1:%d" % bus_port], scratch)
    assert result.returncode == EXIT_START, result.stdout
    assert str(client_port if which == "client" else bus_port) in result.stdout
    assert node.command("PING") == "PONG"


def test_a_damaged_log_stops_the_node_and_is_never_cut_short():
    """A flipped byte in an entry is found when it is read back: the node ends with a code of its own and
    says what to do; the others go on."""
    with Cluster(settings=STEADY) as cluster:
        leader = cluster.wait_for_leader()
        marker = b"marker-of-an-entry-" + b"x" * 300
        for i in range(20):
            leader.command("SET", "k%d" % i, marker)
        cluster.wait_until_equal()
        victim = cluster.followers()[0]
        victim.kill9()
        path = os.path.join(victim.directory, "log", "data.mdb")
        with open(path, "r+b") as file:
            data = bytearray(file.read())
            places = [m.start() for m in re.finditer(re.escape(marker), data)]
            assert places, "the log on disk does not hold the entries"
            for place in places:
                file.seek(place + 25)
                file.write(b"Y")
        victim.start()
        code = victim.wait_exit()
        assert code == 6, code
        assert_explained(victim, "damaged|corrupt|checksum")
        assert leader.command("GET", "k3") == marker


# ---- configuration --------------------------------------------------------------------------------

BAD_FLAGS = {
    "an unknown flag": ["--no-such-flag", "1"],
    "a number that is none": ["--id", "one"],
    "a port that is none": ["--listen", "127.0.0.1:99999"],
    "an id that is not among the members": ["--id", "9", "--cluster", "1=127.0.0.1:17000,2=127.0.0.1:17001"],
    "members without addresses": ["--cluster", "1,2,3"],
    "the same id twice": ["--cluster", "1=127.0.0.1:17000,1=127.0.0.1:17001"],
    "a heartbeat longer than the election time-out": ["--heartbeat-interval", "2s", "--election-timeout", "1s"],
    "a log level that is none": ["--log-level", "loud"],
    "a flag without its value": ["--id"],
    "a short secret": ["--cluster-secret", "short"],
    "a stray word": ["serve"],
}


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_a_bad_configuration_is_refused_with_the_name_of_the_setting(scratch, name):
    """Code 2 before anything is touched, also for --check-config."""
    flags = BAD_FLAGS[name]
    for extra in ([], ["--check-config"]):
        result = run([*flags, *extra] if name != "a flag without its value" else [*extra, *flags], scratch)
        assert result.returncode == EXIT_USAGE, result.stdout
        assert flags[0].lstrip("-") in result.stdout, result.stdout
        assert os.listdir(scratch) == []


def test_help_and_check_config_say_what_is_there(scratch):
    """--help lists the settings and ends with 0; --check-config accepts a good configuration without
    starting."""
    result = run(["--help"], scratch)
    assert result.returncode == 0
    for setting in ("id", "cluster", "listen", "data", "election-timeout", "client-memory"):
        assert "--" + setting in result.stdout or setting in result.stdout
    result = run(["--check-config", "--listen", "127.0.0.1:7000"], scratch)
    assert result.returncode == 0, result.stdout
    assert os.listdir(scratch) == []


def test_pitfall_10_kvd_alone_without_arguments_is_a_working_single_node(scratch):
    """Started in an empty folder with nothing but a free port it leads itself and serves."""
    port, = free_ports(1)
    log = os.path.join(scratch, "log")
    process = subprocess.Popen([kvd_binary(), "--listen", "127.0.0.1:%d" % port], cwd=scratch,
                               env=server_environment(os.path.join(scratch, "sanitizer")), stdin=subprocess.DEVNULL,
                               stdout=open(log, "w"), stderr=subprocess.STDOUT)
    try:
        def serves():
            assert process.poll() is None, open(log).read()
            try:
                with Connection("127.0.0.1:%d" % port, 5) as connection:
                    return connection.command("SET", "k", "v") == "OK" and connection.command("GET", "k") == b"v"
            except (ConnectionLost, ReplyTimeout):
                return False

        wait_until(serves, 40, "a single node that serves")
        process.terminate()
        assert process.wait(40 * PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_files_are_never_taken_for_data(scratch, closed):
    """Without standard error the next file would get its number, and the log lines would be written into it."""
    port, = free_ports(1)
    data = os.path.join(scratch, "data")
    process = subprocess.Popen(["sh", "-c", 'exec "$@" ' + closed, "sh", kvd_binary(), "--listen", "127.0.0.1:%d" % port,
                                "--data", data], cwd=scratch, env=server_environment(os.path.join(scratch, "sanitizer")))
    try:
        def serves():
            assert process.poll() is None, process.returncode
            try:
                with Connection("127.0.0.1:%d" % port, 2) as connection:
                    return connection.command("SET", "k", "v") == "OK"
            except (ConnectionLost, ReplyTimeout):
                return False

        wait_until(serves, 10, "a node that serves")
        for number in (0, 1, 2):
            target = os.readlink("/proc/%d/fd/%d" % (process.pid, number))
            assert not target.startswith((data, "socket:", "anon_inode:")), (number, target)
        process.terminate()
        assert process.wait(10 * PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
