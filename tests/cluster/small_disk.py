"""small_disk.py: filesystems of a test's own, small enough to be filled: tmpfs, or ext4 on a loop device.

They are unmounted whatever happens: at the end of the `with` block, by an exit handler, and by the next test run if this
one was killed (their folders are named after our process).
"""

import atexit
import glob
import os
import shutil
import subprocess
import tempfile

from kvd_cluster import test_directory_root

PREFIX = "kvd-test-disk-"
_mounted = []


def _run(*arguments):
    return subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _unmount(folder):
    if os.path.ismount(os.path.join(folder, "disk")):
        if _run("umount", os.path.join(folder, "disk")).returncode != 0:
            _run("umount", "-l", os.path.join(folder, "disk"))
    shutil.rmtree(folder, ignore_errors=True)


def _unmount_all():
    while _mounted:
        _unmount(_mounted.pop())


atexit.register(_unmount_all)


def remove_left_overs():
    """Of test runs that were killed."""
    for folder in glob.glob(os.path.join(test_directory_root(), PREFIX + "*")):
        process = os.path.basename(folder)[len(PREFIX):].split("-")[0]
        if not os.path.exists("/proc/" + process):
            _unmount(folder)


class SmallDisk:
    """A mounted filesystem; `path` is where."""

    def __init__(self, megabytes, kind="tmpfs"):
        self.megabytes = megabytes
        self.kind = kind
        self.folder = tempfile.mkdtemp(prefix="%s%d-" % (PREFIX, os.getpid()), dir=test_directory_root())
        self.path = os.path.join(self.folder, "disk")
        os.mkdir(self.path)
        _mounted.append(self.folder)
        if kind == "tmpfs":
            self._mount("-t", "tmpfs", "-o", "size=%dm" % megabytes, "tmpfs")
        else:
            image = os.path.join(self.folder, "image")
            with open(image, "wb") as file:
                file.truncate(megabytes << 20)
            made = _run("mkfs.ext4", "-q", "-F", image)
            if made.returncode != 0:
                raise OSError("mkfs.ext4: " + made.stdout)
            self._mount("-o", "loop", image)

    def _mount(self, *arguments):
        mounted = _run("mount", *arguments, self.path)
        if mounted.returncode != 0:
            raise OSError("mount: " + mounted.stdout.strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder in _mounted:
            _mounted.remove(self.folder)
        _unmount(self.folder)

    def grow(self, megabytes):
        assert self.kind == "tmpfs"
        result = _run("mount", "-o", "remount,size=%dm" % megabytes, self.path)
        assert result.returncode == 0, result.stdout

    def free_bytes(self):
        information = os.statvfs(self.path)
        return information.f_bavail * information.f_frsize

    def take(self, leave_bytes):
        """Somebody else uses the disk, all of it but so much."""
        path = os.path.join(self.path, "taken")
        with open(path, "ab") as file:
            while self.free_bytes() > leave_bytes:
                file.write(bytes(min(self.free_bytes() - leave_bytes, 1 << 20)))
                file.flush()

    def give_back(self):
        os.unlink(os.path.join(self.path, "taken"))


def why_not(kind="tmpfs"):
    """None if such filesystems can be made here, else the reason."""
    if os.geteuid() != 0:
        return "not root"
    if kind != "tmpfs" and shutil.which("mkfs.ext4") is None:
        return "no mkfs.ext4 (package e2fsprogs)"
    try:
        with SmallDisk(16, kind):
            return None
    except OSError as error:
        return "no small filesystems here: %s" % error


remove_left_overs()
