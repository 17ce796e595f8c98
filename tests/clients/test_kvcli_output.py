"""What kvcli does when it cannot write what it was told."""

import subprocess

import pytest

from test_kvcli import KVCLI, USAGE, environment, kvcli, pytestmark  # noqa: F401


@pytest.mark.parametrize("arguments", [("get", "cli:output"), ("--json", "get", "cli:output"), ("status",), ("--help",)],
                         ids=lambda arguments: " ".join(arguments))
def test_an_answer_that_cannot_be_written_is_not_passed_over(shared_cluster, arguments):
    """On a full disk a script gets an error, not an empty answer and exit code 0."""
    assert kvcli(shared_cluster.nodes, "set", "cli:output", "v").returncode == 0
    seeds = ",".join(node.address for node in shared_cluster.nodes)
    with open("/dev/full", "w") as full:
        result = subprocess.run([KVCLI, "-c", seeds, *arguments], stdin=subprocess.DEVNULL, stdout=full,
                                stderr=subprocess.PIPE, text=True, env=environment(), timeout=120)
    assert result.returncode == USAGE
    assert "could not be written" in result.stderr


def test_an_answer_is_never_sent_to_the_node_as_a_command(shared_cluster):
    """Without a standard output the connection would get its number."""
    assert kvcli(shared_cluster.nodes, "set", "cli:closed", "set cli:closed overwritten").returncode == 0
    seeds = ",".join(node.address for node in shared_cluster.nodes)
    result = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", KVCLI, "-c", seeds, "get", "cli:closed"],
                            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(), timeout=60)
    assert result.returncode == USAGE
    assert "could not be written" in result.stderr
    assert kvcli(shared_cluster.nodes, "get", "cli:closed").stdout == "set cli:closed overwritten\n"
