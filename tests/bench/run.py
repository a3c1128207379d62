#!/usr/bin/python3
"""How fast Marmot is on this machine: a table on stdout, JSON with --json FILE.

usage: run.py --build DIR [--smoke] [--json FILE]

Everything that is compared is measured side by side in one run (the machine may be shared and noisy); ratios travel,
absolute numbers do not. --smoke only shows that the benchmark itself works.
"""
import argparse
import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cluster"))
import disk  # noqa: E402
from nats import Nats  # noqa: E402
from node import Node, Product  # noqa: E402
from process import Workspace, until  # noqa: E402


@contextlib.contextmanager
def workspace_of(name):
    workspace = Workspace(name)
    try:
        yield workspace
    finally:
        workspace.close(keep=False)


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p / 100))]


def connect(path):
    db = sqlite3.connect(path, timeout=10, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")
    return db


class Lag:
    """From the return of COMMIT on node A until a SELECT on node C sees the row; one polling process."""

    def __init__(self, a, c):
        self.write, self.read = connect(a.db), connect(c.db)
        self.next = self.write.execute("SELECT coalesce(max(id), 0) FROM lag").fetchone()[0]

    def once(self):
        self.next += 1
        self.write.execute("INSERT INTO lag VALUES(?, 'x')", (self.next,))
        committed = time.perf_counter()
        deadline = committed + 10
        while self.read.execute("SELECT 1 FROM lag WHERE id = ?", (self.next,)).fetchone() is None:
            if time.perf_counter() > deadline:
                sys.exit(f"bench: row {self.next} did not arrive within 10 s")
        return (time.perf_counter() - committed) * 1000

    def samples(self, count, pause):
        out = []
        for _ in range(count):
            time.sleep(pause)
            out.append(self.once())
        return out


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def load(node, stop, rate):
    db = connect(node.db)
    db.execute("PRAGMA busy_timeout = 5000")
    key, began = 0, time.perf_counter()
    while not stop.is_set():
        key += 1
        db.execute("INSERT OR REPLACE INTO load VALUES(?, hex(randomblob(20)))", (key % 5000,))
        ahead = key / rate - (time.perf_counter() - began)
        if ahead > 0:
            time.sleep(ahead)
    return key


def cluster(product, smoke):
    out = {}
    with workspace_of("bench") as workspace:
        nats = Nats(workspace).start()
        nodes = [Node(product, workspace, name, nats=nats, database_name="bench") for name in ("a", "b", "c")]
        with connect(nodes[0].db) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE lag(id INTEGER PRIMARY KEY, v TEXT)")
            db.execute("CREATE TABLE load(id INTEGER PRIMARY KEY, v TEXT)")
            db.execute("CREATE TABLE bulk(id INTEGER PRIMARY KEY, v TEXT)")
        for node in nodes:
            node.start()
        until("node c has the tables", lambda: connect(nodes[2].db).execute(
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('lag', 'load', 'bulk')").fetchone()[0] == 3)
        lag = Lag(nodes[0], nodes[2])
        lag.samples(20, 0.01)
        rest = lag.samples(50 if smoke else 500, 0.02)
        out["lag.rest_p50_ms"], out["lag.rest_p99_ms"] = statistics.median(rest), percentile(rest, 99)

        stop = threading.Event()
        writer = threading.Thread(target=load, args=(nodes[1], stop, 300))
        writer.start()
        under = lag.samples(50 if smoke else 500, 0.01)
        stop.set()
        writer.join()
        out["lag.load_p50_ms"], out["lag.load_p99_ms"] = statistics.median(under), percentile(under, 99)

        # A bulk load on one node until the last row is visible on another.
        rows = 10000 if smoke else 200000
        db = connect(nodes[0].db)
        reader = connect(nodes[2].db)
        began = time.perf_counter()
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                   "INSERT INTO bulk SELECT i, 'row number ' || i FROM n", (rows,))
        committed = time.perf_counter()
        until("the bulk load is visible on c", lambda: reader.execute("SELECT count(*) FROM bulk").fetchone()[0] == rows, 120, 0.01)
        out["bulk.rows_s_end_to_end"] = rows / (time.perf_counter() - committed)
        out["bulk.insert_s"] = committed - began

        time.sleep(2)  # at rest: nothing written, nothing to apply
        pid = nodes[0].program.pid
        span = 2 if smoke else 10
        before = cpu_seconds(pid)
        time.sleep(span)
        out["rest.agent_cpu_percent"] = (cpu_seconds(pid) - before) / span * 100
        out["rest.agent_resident_mb"] = resident_mb(pid)
    return out


def cpu_share(nodes, span):
    before = [cpu_seconds(node.program.pid) for node in nodes]
    time.sleep(span)
    return max((cpu_seconds(node.program.pid) - b) / span * 100 for node, b in zip(nodes, before))


def repair(product, smoke):
    """What the two comparisons of the background cost: rows with versions, node with node."""
    rows, span = (20000, 3) if smoke else (1000000, 60)
    out = {"repair.rows": rows}
    with workspace_of("bench-repair") as workspace:
        config = workspace.dir / "marmot.toml"
        config.write_text("anti_entropy_interval_seconds = 30\n")
        nats = Nats(workspace).start()
        nodes = [Node(product, workspace, name, nats=nats, database_name="bench", options=["--config", config]) for name in ("a", "b")]
        with connect(nodes[0].db) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n INT, at TEXT)")
            db.execute("CREATE TABLE tick(id INTEGER PRIMARY KEY, v INT)")
            db.execute("INSERT INTO tick VALUES(1, 0)")
            db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                       "INSERT INTO t SELECT i, 'name of row ' || i, i * 7, '2026-11-21 00:00:00' FROM n", (rows,))
        for node in nodes:
            node.start(seconds=180)
        until("b has the rows", lambda: connect(nodes[1].db).execute("SELECT count(*) FROM t").fetchone()[0] == rows, 180, 0.2)
        nodes[0].command("wait", "--level", "all", "--timeout-ms", "60000", seconds=70)
        before = [cpu_seconds(node.program.pid) for node in nodes]
        began = time.perf_counter()
        report = nodes[0].json("verify", "--repair", "--timeout-ms", "300000", seconds=310)
        assert report["identical"], report
        out["repair.verify_repair_s"] = time.perf_counter() - began
        out["repair.verify_repair_cpu_s"] = max(cpu_seconds(node.program.pid) - b for node, b in zip(nodes, before))
        stop = threading.Event()

        def ticking():
            db = connect(nodes[1].db)
            while not stop.wait(1):
                db.execute("UPDATE tick SET v = v + 1")

        writer = threading.Thread(target=ticking)
        writer.start()
        time.sleep(0 if smoke else 35)  # into the passes
        out["repair.busy_cpu_percent"] = cpu_share(nodes, span)
        stop.set()
        writer.join()
        time.sleep(0 if smoke else 120)  # until the last passes are over
        out["repair.rest_cpu_percent"] = cpu_share(nodes, span)
    return out


def disk_sizes(product, rows):
    with workspace_of("bench-disk") as workspace:
        empty, measured = disk.measure(product, workspace, Nats(workspace).start(), disk.shapes(), rows)
    return {"empty_file_bytes": empty} | {f"disk.{name}": [plain / rows, watched / rows] for name, (plain, watched, _) in measured.items()}


def row(name, value, aim=""):
    print(f"| {name} | {value} | {aim} |")


def table(r):
    print("| measured | value | aim |\n|---|---|---|")
    for kind, aim in (("batch", "50 % on insert"), ("autocommit", "60 %")):
        for verb in ("insert", "update", "delete"):
            plain, marmot, session = (r[f"{kind}.{who}.{verb}"] for who in ("plain", "marmot", "session"))
            row(f"{kind} {verb}, rows/s: plain / with capture / session extension",
                f"{plain:,.0f} / {marmot:,.0f} ({marmot / plain:.0%}) / {session:,.0f} ({session / plain:.0%})", aim)
    row("drain with hashes, rows/s", f"{r['engine.drain_rows_s']:,.0f}", "300,000")
    row("apply with the version check, inserts / updates, rows/s",
        f"{r['engine.apply_insert_rows_s']:,.0f} / {r['engine.apply_update_rows_s']:,.0f}", "200,000")
    keyless = "/".join(f" {r[f'engine.keyless_apart.{step}_rows_s']:,.0f} " for step in ("drain", "apply_insert", "apply_update")).strip()
    row("the same of a table without a key, each row written in a millisecond of its own: drain / inserts / updates, rows/s", keyless)
    for step in ("drain", "apply"):
        off, dealt = (r[f"ids.{mode}.{step}_s"] for mode in ("off", "compact"))
        row(f"{step} of one inserted row, transactions/s: ids as SQLite counts / dealt to nodes", f"{off:,.0f} / {dealt:,.0f} ({dealt / off:.0%})", "100 %")
    row("own messages come round (marking), rows/s", f"{r['engine.echo_rows_s']:,.0f}")
    row("bytes a row in the stream, compressed", f"{r['wire.bytes_a_row']:.1f}")
    row("an empty file takes more, apart from the rows below", f"{r['empty_file_bytes'] // 1024} KiB", "300 KiB")
    for name in (key for key in r if key.startswith("disk.")):
        plain, watched = r[name]
        row(f"bytes a row on disk, {name.removeprefix('disk.')}: plain / with Marmot",
            f"{plain:.0f} / {watched:.0f} ({watched / plain:.2f} times, +{watched - plain:.0f})", "1.6 times")
    row("visibility lag at rest, p50 / p99", f"{r['lag.rest_p50_ms']:.1f} / {r['lag.rest_p99_ms']:.1f} ms", "3 / 15 ms")
    row("visibility lag with 300 commits/s on another node, p50 / p99", f"{r['lag.load_p50_ms']:.1f} / {r['lag.load_p99_ms']:.1f} ms")
    row("bulk load: committed on A until visible on C, rows/s", f"{r['bulk.rows_s_end_to_end']:,.0f}")
    row(f"verify --repair of {r['repair.rows']:,} rows on two nodes", f"{r['repair.verify_repair_s']:.1f} s, "
        f"{r['repair.verify_repair_cpu_s']:.1f} s of a core on the busier one")
    row(f"agent with {r['repair.rows']:,} rows and repair every 30 s: nobody writes / one write a second",
        f"{r['repair.rest_cpu_percent']:.1f} % / {r['repair.busy_cpu_percent']:.1f} % of a core", "5 %")
    row("agent at rest", f"{r['rest.agent_cpu_percent']:.1f} % of a core, {r['rest.agent_resident_mb']:.0f} MB", "1 %, 30 MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=Path)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows, repeats = (5000, 1) if options.smoke else (100000, 5)
    with workspace_of("bench-engine") as workspace:
        made = subprocess.run([options.build / "tests/bench/engine_bench", workspace.dir, str(rows), str(repeats)],
                              capture_output=True, text=True, timeout=1800)
        if made.returncode != 0:
            sys.exit(f"engine_bench failed: {made.stderr}")
        results = json.loads(made.stdout)
    results.update(disk_sizes(Product(options.build.resolve()), rows))
    results.update(cluster(Product(options.build.resolve()), options.smoke))
    results.update(repair(Product(options.build.resolve()), options.smoke))
    table(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    if options.smoke:
        print("1 passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    main()
