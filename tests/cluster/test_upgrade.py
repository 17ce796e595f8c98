"""Members are upgraded one after the other while clients write: two versions in one cluster, and what is said to a node
that is too old.

kvd-older and kvd-newer are this tree's server, but for what it says and takes it knows (Makefile). The server of the
commit before this one is built here, from the repository's history; without history that test is skipped."""

import filecmp
import glob
import os
import re
import shutil
import subprocess
import time

import pytest

import kvd_cluster
from growing import Growing
from kvd_cluster import (EXIT_OK, EXIT_REFUSED, EXIT_START, PATIENCE, REPOSITORY, chosen_binary, kvd_binary,
                         wait_until)
from test_failover import report, wait_until_caught_up
from workload import WriterLoad, describe_times

OLDER_RULES = 1  # of kvd-older


def pretender(name):
    path = os.path.join(os.path.dirname(chosen_binary()), name)
    if not os.path.exists(path):
        pytest.skip("%s is not built: make build/%s" % (path, name))
    return path


# ---- the previous commit ----------------------------------------------------------------------------

def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def previous_commit():
    """The last commit, if the tree was changed since; else the one before it. None: not in this clone."""
    if shutil.which("git") is None or git("rev-parse", "--show-toplevel") != os.path.realpath(REPOSITORY):
        return None
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "raft", "storage", "server")
    return git("rev-parse", "--verify", "--quiet", ("HEAD" if changed else "HEAD^") + "^{commit}")


def take_objects(folder):
    """What is the same in both need not be compiled again: its time, and the objects that were made of it. But for what
    says which build it is."""
    for name in ("raft", "storage", "server"):
        objects = os.path.join(REPOSITORY, "build", "objects", name)
        if os.path.isdir(objects):
            shutil.copytree(objects, os.path.join(folder, "build", "objects", name))
        for path in glob.glob(os.path.join(folder, name, "**", "*.[ch]"), recursive=True):
            present = os.path.join(REPOSITORY, os.path.relpath(path, folder))
            with open(path, encoding="utf-8") as file:
                says_build = "KVD_BUILD" in file.read()
            if os.path.exists(present) and filecmp.cmp(path, present, shallow=False) and not says_build:
                shutil.copystat(present, path)


@pytest.fixture(scope="module")
def previous_binary():
    commit = previous_commit()
    if commit is None:
        pytest.skip("this clone has no previous commit (shallow, or no git)")
    folder = os.path.join(kvd_cluster.test_directory_root(), "kvd-previous-%d" % os.getpid())
    os.makedirs(folder)
    try:
        archive = subprocess.Popen(["git", "archive", commit], cwd=REPOSITORY, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "--touch", "-C", folder], stdin=archive.stdout, check=True)
        archive.stdout.close()
        assert archive.wait() == 0
        take_objects(folder)
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "V", "B")}
        built = subprocess.run(["make", "-j2", "build/kvd", "BUILD_NAME=previous", "OPTIMISE_release=-O0"], cwd=folder,
                               env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=200 * PATIENCE)
        assert built.returncode == 0, "commit %s does not compile:\n%s" % (commit, built.stdout[-4000:])
        yield os.path.join(folder, "build", "kvd")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- rolling ----------------------------------------------------------------------------------------

def restart_with(cluster, node, binary):
    """As an operator does it: it hands over if it leads, ends, is started with the other server, and catches up."""
    node.terminate()
    assert node.wait_exit() == EXIT_OK
    node.binary = binary
    node.start()
    wait_until(cluster.leader, 40, "a leader")
    wait_until_caught_up(cluster, node)


def rules(cluster):
    """In force, by node."""
    return [node.status()["rules_version"] for node in cluster.running]


def roll(cluster, load, binary, each=None):
    """Followers first, the leader last. `each` is called while the versions are mixed."""
    moments = []
    for count in range(3):
        left = [node for node in cluster.nodes[:3] if node.binary != binary]
        node = next((node for node in left if node is not cluster.leader()), left[0])
        moments.append(time.monotonic())
        restart_with(cluster, node, binary)
        load.check()
        if each and count < 2:
            each(node)
    return moments


def start_rolling(cluster, binary):
    for node in cluster.nodes:
        node.binary = binary
    cluster.start()
    return WriterLoad(cluster.addresses()[:3], clients=4).start()


def wait_for_rules(cluster, expected):
    wait_until(lambda: rules(cluster) == [expected] * len(cluster.running), 40, "rules %d in force" % expected)


def check_all(cluster, load):
    cluster.wait_until_equal()
    for node in cluster.running:
        load.verify_on(node)
    assert not [error for client in load.clients for error in client.other_errors]
    for node in cluster.nodes:
        assert not re.search(r"cannot be applied|upgrade this node", node.log_text()), cluster.log_tails()


def tell_gaps(capsys, what, load, moments):
    report(capsys, describe_times("%s: time without a successful write" % what, load.gaps_around(moments)))
    report(capsys, "%d keys acknowledged, %d of unknown outcome" % (load.acknowledged_count(), load.unknown_count()))


@pytest.mark.seconds(200)
def test_pitfall_30_members_are_upgraded_one_by_one_twice(capsys):
    """From the version before to this one, and on to the next. While they are mixed members change, and the older ones
    can read what the newer ones write; one goes back, and up again. Then the new rules are on, by themselves, and there
    is no way back."""
    older, newer = pretender("kvd-older"), pretender("kvd-newer")
    with Growing(4, 3, {"checkpoint-idle": "200ms"}) as cluster:
        with start_rolling(cluster, older) as load:
            load.wait_for_success(0, wait_until)
            wait_for_rules(cluster, OLDER_RULES)
            guest = cluster.node(4)

            def change_members(upgraded):
                """A book that remembers who was removed would stop those that do not know such books."""
                if not guest.process:
                    cluster.tell("TRANSFER", upgraded.id)
                    cluster.join(guest, upgraded)
                    cluster.wait_for_voters(1, 2, 3, 4)
                    cluster.tell("REMOVE", 4)
                    cluster.expect_removed(guest)
                else:
                    restart_with(cluster, upgraded, older)
                    restart_with(cluster, upgraded, kvd_binary())
                assert rules(cluster) == [OLDER_RULES] * 3

            moments = roll(cluster, load, kvd_binary(), change_members)
            this_rules = cluster.node(1).status()["rules_known"]
            assert this_rules > OLDER_RULES
            wait_for_rules(cluster, this_rules)
            moments += roll(cluster, load, newer)
            wait_for_rules(cluster, this_rules + 1)
            load.wait_for_success(time.monotonic(), wait_until)
        check_all(cluster, load)
        tell_gaps(capsys, "8 restarts", load, moments)

        # This version is too old now: for its own data, and for a cluster that it would join.
        late = cluster.followers()[0]
        wait_until(lambda: (status := late.status()) and status["map_durable_index"] == status["applied_index"], 40,
                   "a checkpoint")
        late.terminate()
        assert late.wait_exit() == EXIT_OK
        late.binary = guest.binary = kvd_binary()
        late.start()
        assert late.wait_exit() == EXIT_START
        assert "start this node with a newer kvd" in late.last_log()
        shutil.rmtree(guest.directory)
        cluster.join(guest, cluster.leader())
        assert guest.wait_exit() == EXIT_REFUSED
        assert "start it with a newer kvd" in guest.last_log()


@pytest.mark.seconds(300)
def test_members_are_upgraded_from_the_previous_commit(capsys, previous_binary):
    """The real thing: the server as it was, and as it is."""
    with Growing(3, 3) as cluster:
        with start_rolling(cluster, previous_binary) as load:
            load.wait_for_success(0, wait_until)
            before = rules(cluster)[0]
            assert b"kvd_build:previous" in cluster.node(1).command("INFO", "server")

            def is_mixed(_):
                assert rules(cluster) == [before] * 3

            moments = roll(cluster, load, kvd_binary(), is_mixed)
            wait_for_rules(cluster, cluster.node(1).status()["rules_known"])
            load.wait_for_success(time.monotonic(), wait_until)
        check_all(cluster, load)
        assert b"kvd_build:previous" not in cluster.node(1).command("INFO", "server")
        tell_gaps(capsys, "3 restarts", load, moments)
