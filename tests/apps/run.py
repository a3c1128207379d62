#!/usr/bin/env -S /usr/bin/python3 -B
"""Real applications and frameworks beside real agents. Options as tests/cluster/run.py has them.

What is not a Debian package (Django 5, better-sqlite3, Prisma, Go modules, a JDBC driver) is installed by its ordinary client below
$MARMOT_TEST_DIR/apps (default: build-tests/apps) and found there again; so is MediaWiki, whose Debian package is only unpacked.
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cluster")]

from suite import cluster_runner  # noqa: E402

cluster = cluster_runner()
import test_django  # noqa: E402,F401
import test_drivers  # noqa: E402,F401
import test_frameworks  # noqa: E402,F401
import test_in_step  # noqa: E402,F401
import test_isso  # noqa: E402,F401
import test_mediawiki  # noqa: E402,F401
import test_rails  # noqa: E402,F401
import test_recorded  # noqa: E402,F401
import test_sqlite_utils  # noqa: E402,F401
import test_notice  # noqa: E402,F401

if __name__ == "__main__":
    sys.exit(cluster.main())
