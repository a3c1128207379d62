"""For suites that stand beside the cluster tests and run as they do."""
import importlib.util
from pathlib import Path

from case import CASES


def cluster_runner():
    """The module tests/cluster/run.py, by its path: the other suites' own files have its name. Its tests are left out."""
    specification = importlib.util.spec_from_file_location("cluster_run", Path(__file__).resolve().with_name("run.py"))
    runner = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(runner)
    CASES.clear()
    return runner
