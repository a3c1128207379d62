#!/usr/bin/python3
"""What an application waits for beside an agent that catches up with what others wrote while it was away.

usage: catch_up.py --build DIR [--smoke] [--rows N] [--atomic-rows N,N,...] [--json FILE]

For each atomic_rows: node 2's agent is stopped, node 1 writes N rows in transactions of 1, of 100, of 1,000 and of all N rows, node 2's agent starts
again, and an application on node 2 commits one row a millisecond until everything is there. How long its commits took, how long the catching
up took, and how many of the looks at the last transaction saw a part of it. The first line is the application alone.
"""
import argparse
import json
import sqlite3
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cluster"))
from deferred_transactions import percentile  # noqa: E402
from nats import Nats  # noqa: E402
from node import Node, Product  # noqa: E402
from process import Workspace, until  # noqa: E402


def connect(path):
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def write(path, rows, size):
    """`rows` rows in transactions of `size`, each with its own number in the column `tx`."""
    db = connect(path)
    tx = db.execute("SELECT coalesce(max(tx), 0) FROM t").fetchone()[0]
    for _ in range(rows // size):
        tx += 1
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO t(tx, a, b) VALUES(?, ?, ?)", ((tx, f"value {i}", i * 0.5) for i in range(size)))
        db.execute("COMMIT")
    db.close()
    return tx


class Application:
    """Commits a row a millisecond in a table of its own."""

    def __init__(self, path):
        self.took, self.stopped = [], threading.Event()
        self.thread = threading.Thread(target=self._run, args=(path,))
        self.thread.start()

    def _run(self, path):
        db = connect(path)
        while not self.stopped.is_set():
            began = time.perf_counter()
            db.execute("INSERT INTO own(v) VALUES('of the application')")
            self.took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.001)
        db.close()

    def stop(self):
        self.stopped.set()
        self.thread.join()
        return self.took


def create(path):
    db = connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, tx INTEGER, a TEXT, b REAL)")
    db.execute("CREATE INDEX t_tx ON t(tx)")
    db.execute("CREATE TABLE own(id INTEGER PRIMARY KEY, v TEXT)")
    db.close()


def alone():
    workspace = Workspace("alone")
    try:
        create(workspace.dir / "alone.db")
        application = Application(workspace.dir / "alone.db")
        time.sleep(3)
        return application.stop()
    finally:
        workspace.close(keep=False)


def catch_up(nodes, rows, size):
    path = nodes[1].db
    nodes[1].stop()
    tx = write(nodes[0].db, rows, size)
    looker, looks, parts = connect(path), 0, 0
    application = Application(path)
    began = time.perf_counter()
    nodes[1].start(seconds=120)
    while True:
        last, count = looker.execute("SELECT tx, count(*) FROM t WHERE tx = (SELECT max(tx) FROM t)").fetchone()
        looks, parts = looks + 1, parts + (count not in (0, size) and last > tx - rows // size)
        if last == tx and count == size:
            break
        if time.perf_counter() - began > 300:
            raise SystemExit(f"not caught up in 300 s: {last} of {tx}")
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    looker.close()
    return application.stop(), seconds, 100 * parts / looks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--atomic-rows", default="1000,5000,10000,20000,100000")
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = 2_000 if options.smoke else options.rows
    found = []
    print(f"{'atomic_rows':>11} {'rows a transaction':>18} {'p50 ms':>8} {'p99 ms':>8} {'worst ms':>9} {'caught up s':>12} {'looks at parts %':>17}")
    took = alone()
    print(f"{'alone':>11} {'':>18} {percentile(took, 50):>8.2f} {percentile(took, 99):>8.1f} {max(took):>9.0f}", flush=True)
    for atomic_rows in [1000] if options.smoke else [int(one) for one in options.atomic_rows.split(",")]:
        workspace = Workspace("catch-up")
        try:
            nats = Nats(workspace)
            nats.start()
            product = Product(Path(options.build).resolve())
            config = workspace.dir / "marmot.toml"
            config.write_text(f"atomic_rows = {atomic_rows}\n")
            nodes = [Node(product, workspace, f"n{i}", nats, database_name="app", options=["--config", config]) for i in (1, 2)]
            create(nodes[0].db)
            for node in nodes:
                node.start()
            until("the tables are on node 2", lambda: nodes[1].db.exists() and sqlite3.connect(nodes[1].db).execute(
                "SELECT count(*) FROM sqlite_schema WHERE name IN ('t', 'own')").fetchone()[0] == 2, 20)
            for size in [size for size in (1, 100, 1000, rows) if size <= rows]:
                took, seconds, parts = catch_up(nodes, rows, size)
                row = {"atomic_rows": atomic_rows, "size": size, "p50": percentile(took, 50), "p99": percentile(took, 99), "worst": max(took),
                       "seconds": seconds, "parts": parts, "commits": len(took)}
                found.append(row)
                print(f"{atomic_rows:>11,} {size:>18,} {row['p50']:>8.2f} {row['p99']:>8.1f} {row['worst']:>9.0f} {seconds:>12.1f} {parts:>17.0f}", flush=True)
            for node in nodes:
                node.stop()
        finally:
            workspace.close(keep=False)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1))
    if options.smoke:
        print(f"{len(found)} passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    main()
