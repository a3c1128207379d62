#!/usr/bin/python3
"""What an application that reads first and writes later sees beside the agent: refused transactions, and what politeness costs.

usage: deferred_transactions.py --build DIR [--smoke] [--parallel N] [--pause MS] [--others] [--reader] [--json FILE]

One row a time that passes inside the transaction (BEGIN; SELECT; sleep; INSERT; COMMIT, the default of most frameworks), each
measured without an agent and with one beside two idle nodes, in the same run: how many got SQLITE_BUSY, and how long after COMMIT
the row could be read on another node. --pause: the application rests so long between two transactions (0: it never does).
--others: both other nodes write once a second. --reader: another process holds a cursor open all the time.
"""
import argparse
import contextlib
import json
import sqlite3
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cluster"))
from deferred import connect, create, cursor_held, in_parallel, others_write, transactions  # noqa: E402
from nats import Nats  # noqa: E402
from node import Node, Product  # noqa: E402
from process import Workspace, until  # noqa: E402

ROUNDS = [(0, 1000), (5, 1000), (50, 1000), (500, 200)]
SMOKE = [(0, 50), (50, 20), (500, 4)]


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p / 100))] if values else float("nan")


class Arrivals:
    """When rows become readable in a file."""

    def __init__(self, path):
        self.seen, self.stopped = {}, threading.Event()
        self.thread = threading.Thread(target=self._poll, args=(path,))
        self.thread.start()

    def _poll(self, path):
        db, last = connect(path), 0
        while not self.stopped.is_set():
            rows = db.execute("SELECT id FROM work WHERE id > ?", (last,)).fetchall()
            now = time.perf_counter()
            for (row,) in rows:
                self.seen[row], last = now, max(last, row)
            time.sleep(0.001)
        db.close()

    def stop(self):
        self.stopped.set()
        self.thread.join()


@contextlib.contextmanager
def cluster(build, name="deferred"):
    """Three nodes on one nats-server; the first is the application's."""
    workspace = Workspace(name)
    try:
        nats = Nats(workspace)
        nats.start()
        product = Product(Path(build).resolve())
        nodes = [Node(product, workspace, f"n{i}", nats, database_name="app") for i in (1, 2, 3)]
        create(nodes[0].db)
        for node in nodes:
            node.start()
        until("the first row on node 3", lambda: count_of(nodes[2].db) == 1, 20)
        alone = workspace.dir / "alone.db"
        create(alone)
        yield nodes, alone
        for node in nodes:
            node.stop()
    finally:
        workspace.close(keep=False)


def count_of(path):
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return db.execute("SELECT count(*) FROM work").fetchone()[0]
        finally:
            db.close()
    except sqlite3.Error:
        return -1


def gave_way(node):
    database = node.status()["databases"][0]
    return database.get("gave_way"), database.get("forced")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--reader", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    print(f"{options.parallel} client(s), {options.pause:g} ms between transactions"
          + (", both other nodes write once a second" if options.others else ", the other nodes idle")
          + (", a cursor held by another process" if options.reader else ""))
    print(f"{'inside':>8} {'transactions':>13} {'refused alone':>14} {'beside the agent':>17} {'lag p50 ms':>11} {'p99 ms':>8} {'gave way':>9} {'forced':>7}")
    with cluster(options.build) as (nodes, alone):
        for inside, count in SMOKE if options.smoke else ROUNDS:
            before = gave_way(nodes[0])
            with contextlib.ExitStack() as stack:
                if options.others:
                    stack.enter_context(others_write(nodes[1:]))
                if options.reader:
                    stack.enter_context(cursor_held(nodes[0].db))
                if options.parallel == 1:
                    paired = transactions(alone, inside, min(count, 200), options.pause)[0]
                    arrivals = Arrivals(nodes[1].db)
                    try:
                        refused, committed = transactions(nodes[0].db, inside, count, options.pause)
                        until("the last row on node 2", lambda: not committed or max(committed) in arrivals.seen, 10)
                    finally:
                        arrivals.stop()
                    lags = [(arrivals.seen[row] - at) * 1000 for row, at in committed.items() if row in arrivals.seen]
                else:
                    paired = in_parallel(alone, options.parallel, inside, count, options.pause)
                    refused, lags = in_parallel(nodes[0].db, options.parallel, inside, count, options.pause), []
            after = gave_way(nodes[0])
            waited, forced = [(b - a) if a is not None else "-" for a, b in zip(before, after)]
            print(f"{inside:>5} ms {count:>13} {paired:>14} {refused:>17} {percentile(lags, 50):>11.1f} {percentile(lags, 99):>8.1f} {waited:>9} {forced:>7}", flush=True)
            rows.append({"inside_ms": inside, "transactions": count, "alone": paired, "refused": refused,
                         "lag_p50_ms": percentile(lags, 50), "lag_p99_ms": percentile(lags, 99)})
    if options.json:
        Path(options.json).write_text(json.dumps(rows))
    if options.smoke:
        print(f"{len(rows)} passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    main()
