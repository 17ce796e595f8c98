"""conftest.py: what all tests here share: clusters that a module or a test gets, a time limit per test, the
end of each node's log with every failure."""

import os
import resource
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import kvd_cluster  # noqa: E402

TEST_SECONDS_MAX = 240


def pytest_configure(config):
    config.addinivalue_line("markers", "tsan: belongs to the short selection that also runs under the thread sanitizer")
    config.addinivalue_line("markers", "seconds(n): a time limit other than the usual one")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Ends a test that hangs; the alarm strikes the main thread, where waiting is done."""
    marker = item.get_closest_marker("seconds")
    seconds = marker.args[0] if marker else TEST_SECONDS_MAX

    def on_alarm(*_):
        raise kvd_cluster.Failure("the test took more than %d seconds" % (seconds * kvd_cluster.PATIENCE))

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(int(seconds * kvd_cluster.PATIENCE))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        tails = getattr(item, "kvd_tails", None)
        clusters = kvd_cluster.open_clusters()
        for cluster in clusters:
            cluster.failed = True
            tails = (tails or "") + cluster.log_tails()
        if tails:
            report.sections.append(("logs of the nodes", tails))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A cluster made inside a test is closed before the report is made: its log tails are kept here."""
    closed = []
    original = kvd_cluster.Cluster.__exit__

    def remember(cluster, kind, *rest):
        if kind is not None:
            cluster.failed = True
            closed.append(cluster.log_tails())
        return original(cluster, kind, *rest)

    kvd_cluster.Cluster.__exit__ = remember
    try:
        yield
    finally:
        kvd_cluster.Cluster.__exit__ = original
        if closed:
            item.kvd_tails = "\n".join(closed)


@pytest.fixture(scope="module")
def shared_cluster():
    """Three nodes for tests that break nothing; each test uses keys of its own."""
    with kvd_cluster.Cluster(settings=kvd_cluster.STEADY) as cluster:
        yield cluster


@pytest.fixture
def cluster():
    """Three fresh nodes for one test."""
    with kvd_cluster.Cluster() as cluster:
        yield cluster


@pytest.fixture
def steady_cluster():
    """Three fresh nodes for one test, which keep their leader unless it is ended."""
    with kvd_cluster.Cluster(settings=kvd_cluster.STEADY) as cluster:
        yield cluster


@pytest.fixture
def scratch():
    """A directory on a filesystem that kvd accepts."""
    path = tempfile.mkdtemp(prefix="kvd-test-", dir=kvd_cluster.test_directory_root())
    yield path
    shutil.rmtree(path, ignore_errors=True)
