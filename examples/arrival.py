#!/usr/bin/env -S /usr/bin/python3 -B
"""Runs a statement with the stock sqlite3 shell and tells when its effect is to be seen in other database files.

    arrival.py --write n1.db "INSERT ..." --see "SELECT ..." n2.db n3.db
        on n2 after 2.1 ms, on n3 after 2.4 ms
    arrival.py --count 10000 --see "SELECT count(*) ..." n2.db
        10,000 of 10,000 after 0.41 s

All files are watched by this one process, the written one too: the time runs from the moment the change is to be seen
there to the moment it is to be seen here. Ends with 1 when that does not come within --seconds.
"""
import argparse
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

PAUSE_S = 0.0003  # short against what is measured, long against the look itself, so that no snapshot stays open


def look(connection, sql):
    """The first value of `sql`, or None while there is no such table or row yet."""
    try:
        row = connection.execute(sql).fetchone()
    except sqlite3.OperationalError:
        return None
    return row[0] if row else None


def opened(path):
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5, isolation_level=None)


def wait_for(connections, sql, satisfied, seconds, writer=None):
    """name -> monotonic time at which `sql` was first satisfied there; those that never were are missing."""
    seen = {}
    deadline = time.monotonic() + seconds
    while len(seen) < len(connections) and time.monotonic() < deadline:
        for name, connection in connections.items():
            if name not in seen and satisfied(look(connection, sql)):
                seen[name] = time.monotonic()
        if writer is not None and writer.poll() not in (None, 0):
            sys.exit(f"sqlite3: {writer.communicate()[0].strip()}")
        time.sleep(PAUSE_S)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", nargs=2, metavar=("DB", "SQL"))
    parser.add_argument("--see", required=True, metavar="SQL", help="true once the change is there; a number with --count")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("databases", nargs="+")
    options = parser.parse_args()
    paths = ([options.write[0]] if options.write else []) + options.databases
    connections = {Path(p).stem: opened(p) for p in paths}
    started = time.monotonic()
    writer = None
    if options.write:
        writer = subprocess.Popen(["sqlite3", "-cmd", ".timeout 5000", *options.write], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
    if options.count is not None:
        enough = lambda value: value is not None and value >= options.count  # noqa: E731
    else:
        enough = bool
    seen = wait_for(connections, options.see, enough, options.seconds, writer)
    if writer is not None:
        output = writer.communicate()[0]
        if writer.returncode != 0:
            sys.exit(f"sqlite3: {output.strip()}")
        started = seen.pop(Path(options.write[0]).stem, started)
    missing = [Path(p).stem for p in options.databases if Path(p).stem not in seen]
    if missing:
        sys.exit(f"not there within {options.seconds:g} s: {', '.join(missing)}")
    if options.count is not None:
        total = look(connections[Path(options.databases[0]).stem], options.see)
        print(f"{total:,} of {options.count:,} after {max(seen.values()) - started:.2f} s")
    else:
        print(", ".join(f"on {name} after {max(0.0, seen[name] - started) * 1e3:.1f} ms" for name in connections if name in seen))


if __name__ == "__main__":
    main()
