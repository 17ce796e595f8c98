"""little_memory.py: data larger than the memory that a node may use (three times, but with --quick).

Each node is in a control group of its own whose limit covers what it allocates and its share of the page cache. The same
loads run with the limit, and once more when it is lifted and the data was read once. Where no control group can be made the part
is skipped, and says so.
"""
import glob
import os
import shutil
import subprocess

import resources
from loads import Load
from measurements import per
from systems import running

VALUE_BYTES = 1000
V1 = "/sys/fs/cgroup/memory"
V2 = "/sys/fs/cgroup"
UNLIMITED_MIB = 1 << 20


class NoControlGroups(Exception):
    pass


class ControlGroup:
    """A memory limit for one process. On control groups of version 1 or 2, by hand; else as a scope of systemd, which cannot be
    lifted."""

    def __init__(self, name, limit_mib):
        self.path, self.file = None, None
        reasons = []
        for root, limit_file, is_there in ((V1, "memory.limit_in_bytes", os.path.exists(V1 + "/memory.limit_in_bytes")),
                                           (V2, "memory.max", os.path.exists(V2 + "/cgroup.controllers"))):
            path = os.path.join(root, name)
            if not is_there:
                continue
            try:
                os.mkdir(path)
                self.path, self.file = path, os.path.join(path, limit_file)
                self.set(limit_mib)
                return
            except OSError as error:
                reasons.append("%s: %s" % (error.filename, error.strerror))
                self.remove()
        if shutil.which("systemd-run") and subprocess.run(
                ["systemd-run", "--scope", "--quiet", "-p", "MemoryMax=100M", "true"], capture_output=True,
                timeout=30, check=False).returncode == 0:
            self.prefix = ["systemd-run", "--scope", "--quiet", "-p", "MemoryMax=%dM" % limit_mib]
            return
        raise NoControlGroups("; ".join(reasons) or "no memory controller, and no systemd")

    def set(self, limit_mib):
        with open(self.file, "w", encoding="ascii") as file:
            file.write("%d" % (limit_mib << 20))
        self.prefix = ["sh", "-c", 'echo $$ > "%s/cgroup.procs" && exec "$@"' % self.path, "sh"]

    def lift(self):
        """True if the limit is gone."""
        if self.file:
            self.set(UNLIMITED_MIB)
        return self.file is not None

    def remove(self):
        """When its process has ended."""
        if self.path and os.path.isdir(self.path):
            try:
                os.rmdir(self.path)
            except OSError:
                pass
        self.path = None


def remove_left_overs():
    """Of benches that were killed."""
    for path in glob.glob(V1 + "/kvd-bench-*") + glob.glob(V2 + "/kvd-bench-*"):
        if not os.path.exists("/proc/" + path.rsplit("-", 2)[1]):
            try:
                os.rmdir(path)
            except OSError:
                pass


def loads_of(keys):
    return [("get-uniform", Load("get", 50, 1, VALUE_BYTES, keys)),
            ("get-zipfian", Load("get", 50, 1, VALUE_BYTES, keys, "zipfian")),
            ("set-uniform", Load("set", 50, 1, VALUE_BYTES, keys)),
            ("mix-zipfian", Load("mix", 50, 1, VALUE_BYTES, keys, "zipfian"))]


def measure(bench, kvd, keys, manner):
    for name, load in loads_of(keys):
        faults = kvd.usage().major_faults
        taken = bench.book.take("memory", "%s-%s" % (name, manner), 1, kvd, load,
                                lambda load=load: kvd.run(load, bench.level.memory_seconds))
        faults = per(kvd.usage().major_faults - faults, taken.result.requests)
        bench.book.note("memory", "%s, %s: major faults per request" % (name, manner), "kvd", 1, faults, "faults")


def measure_both(bench, kvd, keys, groups):
    kvd.uses_own_load = True
    kvd.fill(keys, VALUE_BYTES)
    kvd.filled = (keys, VALUE_BYTES)
    measure(bench, kvd, keys, "limited")
    if all(group.lift() for group in groups):
        kvd.generate(Load("get", 50, 16, VALUE_BYTES, keys, "sequential"), keys)  # reads everything once
        measure(bench, kvd, keys, "unlimited")


def run(bench):
    limit_mib = bench.level.memory_mib
    keys = int((limit_mib << 20) * bench.level.memory_times) // VALUE_BYTES
    if resources.free_disk_bytes(bench.directory) < keys * VALUE_BYTES * 20:
        bench.say("not measured: data larger than memory: too little room on the disk")
        return
    remove_left_overs()
    groups = []
    try:
        for i in range(3):
            groups.append(ControlGroup("kvd-bench-%d-%d" % (os.getpid(), i), limit_mib))
    except NoControlGroups as error:
        bench.say("NOT MEASURED: data larger than memory: no control group could be made (%s)" % error)
        return

    def configure(cluster):
        for node, group in zip(cluster.nodes, groups):
            node.prefix = group.prefix

    settings = {"write-buffer-bytes": limit_mib << 15, "checkpoint-log-bytes": limit_mib << 14}  # a page for each key
    try:
        with running(["kvd"], os.path.join(bench.directory, "memory"), bench.options, bench.say, settings=settings,
                     configure=configure) as systems:
            for kvd in systems:
                bench.say("%d MiB of values on nodes with %d MiB each" % (keys * VALUE_BYTES >> 20, limit_mib))
                measure_both(bench, kvd, keys, groups)
    finally:
        for group in groups:
            group.remove()
