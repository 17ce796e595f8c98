"""resources.py: what processes cost: processor time, bytes for the disk, memory; from /proc, children included.

Bytes written are /proc/PID/io's write_bytes: pages that the process made dirty and that are bound for a disk. A page that
is written twice with a sync in between counts twice, as it should; the filesystem's own journal does not count.
"""
import dataclasses
import os

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Usage:
    cpu_seconds: float = 0.0
    written_bytes: int = 0
    anonymous_bytes: int = 0  # resident, without mapped files: what the kernel cannot drop
    resident_bytes: int = 0
    major_faults: int = 0     # pages that came from the disk

    def add(self, other):
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def stat_fields(text):
    """The fields of /proc/PID/stat from the third (state) on; the second, the name, may hold anything."""
    return text[text.rindex(")") + 2:].split()


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def with_children(pids):
    """These processes and everything below them."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents.setdefault(int(stat_fields(read("/proc/%s/stat" % name))[1]), []).append(int(name))
            except OSError:  # it has just ended
                pass
    found, waiting = [], list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def of_process(pid):
    fields = stat_fields(read("/proc/%d/stat" % pid))
    usage = Usage(cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND, major_faults=int(fields[9]))
    for line in read("/proc/%d/io" % pid).splitlines():
        if line.startswith("write_bytes:"):
            usage.written_bytes = int(line.split()[1])
    for line in read("/proc/%d/status" % pid).splitlines():
        if line.startswith("RssAnon:"):
            usage.anonymous_bytes = int(line.split()[1]) * 1024
        elif line.startswith("VmRSS:"):
            usage.resident_bytes = int(line.split()[1]) * 1024
    return usage


def of_processes(pids):
    """The sum. A process that has ended counts as nothing."""
    total = Usage()
    for pid in with_children(pids):
        try:
            total.add(of_process(pid))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def available_memory_bytes():
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def free_disk_bytes(directory):
    numbers = os.statvfs(directory)
    return numbers.f_bavail * numbers.f_frsize


def filesystem_of(path):
    """(type, mount point) of the file system that holds the path."""
    best = ("unknown", "/")
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, point, kind = line.split()[:3]
            inside = os.path.realpath(path) + "/"
            if inside.startswith(point.rstrip("/") + "/") and len(point) >= len(best[1]):
                best = (kind, point)
    return best
