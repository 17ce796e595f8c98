"""conftest.py: the harness of tests/cluster/, for real clients."""

import importlib.util
import os
import sys

CLUSTER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cluster")
sys.path.insert(0, CLUSTER)

_spec = importlib.util.spec_from_file_location("cluster_conftest", os.path.join(CLUSTER, "conftest.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
globals().update({name: value for name, value in vars(_module).items() if not name.startswith("__")})
