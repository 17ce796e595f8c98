"""kvcli.py: our command line client, for tests: run to its end, or started and looked at."""

import os
import subprocess
import tempfile

from kvd_cluster import PATIENCE, REPOSITORY, chosen_binary

OK, SERVER_ERROR, USAGE, NOT_EXECUTED, UNKNOWN, INTERRUPTED = 0, 1, 2, 3, 4, 130

KVCLI = os.path.join(os.path.dirname(chosen_binary()), "kvcli")
if not os.path.exists(KVCLI):
    KVCLI = os.path.join(REPOSITORY, "build", "kvcli")


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KVCLI_")}
    kept["TERM"] = "xterm"
    return kept


def command(nodes, *arguments):
    seeds = ",".join(node if isinstance(node, str) else node.address for node in nodes)
    return [KVCLI, "-c", seeds, *map(str, arguments)]


def kvcli(nodes, *arguments, stdin=None, text=True):
    """One run of it; `nodes` are nodes or addresses."""
    return subprocess.run(command(nodes, *arguments), input=stdin,
                          stdin=subprocess.DEVNULL if stdin is None else None, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=text, env=environment(), timeout=60 * PATIENCE)


class Started:
    """One that runs beside the test. Use it in a `with` statement."""

    def __init__(self, nodes, *arguments):
        self.out = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command(nodes, *arguments), stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=subprocess.PIPE, text=True, env=environment())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.out.close()

    def text(self):
        """What it has printed so far."""
        return os.pread(self.out.fileno(), 1 << 20, 0).decode()

    def end(self, seconds=60):
        """(exit code, output, errors)"""
        _, errors = self.process.communicate(timeout=seconds * PATIENCE)
        return self.process.returncode, self.text(), errors
