#!/usr/bin/env -S /usr/bin/python3 -B
"""Migrations by the real tools, on a cluster of real agents. Options as tests/cluster/run.py has them."""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cluster")]

from suite import cluster_runner  # noqa: E402

cluster = cluster_runner()
import test_orm  # noqa: E402,F401

if __name__ == "__main__":
    sys.exit(cluster.main())
