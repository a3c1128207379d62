"""Machines whose clock is wrong (docs/decisions/0032): a preloaded library shows an agent, and what writes beside it, another time."""
import json
import os
import subprocess
import sys
import time

from case import case
from process import Skipped, check, until
from tables import execute, query, scalar, wait_identical

HOUR = 3_600_000


class Clock:
    """The wall clock of a machine: how far it is ahead can be changed while programs run."""

    def __init__(self, t, ahead_ms):
        library = t.product.build / "tests" / "cluster" / "libshifted_clock.so"
        if not library.exists():
            raise Skipped(f"{t.product.build} has no tests/cluster/libshifted_clock.so")
        self.file = t.dir / "clock"
        self.env = {**os.environ, "LD_PRELOAD": str(library), "MARMOT_TEST_CLOCK": str(self.file)}
        self.set(ahead_ms)

    def set(self, ahead_ms):
        self.file.with_suffix(".new").write_text(str(ahead_ms))
        self.file.with_suffix(".new").rename(self.file)

    def execute(self, db, sql):
        """As an application on that machine."""
        subprocess.run([sys.executable, "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=10); c.execute(sys.argv[2]); c.commit()",
                        str(db), sql], env=self.env, check=True, timeout=30)


def database(node):
    return node.status()["databases"][0]


@case("an agent an hour ahead publishes nothing, every node says whose clock it is, and what it wrote goes out once that is right and wins against nothing later")
def clock_an_hour_ahead(t):
    nats = t.nats()
    one, two = t.node("n1", nats, database_name="app"), t.node("n2", nats, database_name="app", node_id=7)
    execute(one.db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES(1, 'first')")
    one.start()
    clock = Clock(t, HOUR)
    two.env = clock.env
    two.launch()
    two.says(r"this machine's clock is 3\d{6} ms ahead of the NATS server's")
    until("the row has come", lambda: query(two.db, "SELECT name FROM sqlite_schema WHERE name = 't'") and scalar(two.db, "SELECT count(*) FROM t") == 1)
    clock.execute(two.db, "UPDATE t SET v = 'ahead'")
    execute(one.db, "INSERT INTO t VALUES(2, 'applied meanwhile')")
    until("it applies what others write", lambda: scalar(two.db, "SELECT count(*) FROM t") == 2)
    until("the other node says whose clock is wrong", lambda: any(peer["node"] == 7 and HOUR - 60_000 < peer["clock_off_ms"] <= HOUR for peer in database(one)["peers"]))
    says = one.command("status").stdout
    check("ITS CLOCK IS" in says and "AHEAD OF" in says, f"status says {says}")
    check(abs(database(two)["clock_off_ms"] - HOUR) < 60_000 and "nothing is published" in database(two)["last_error"], f"{database(two)}")
    execute(one.db, "UPDATE t SET v = 'later' WHERE id = 1")
    time.sleep(2)
    sent = scalar(one.db, "SELECT coalesce(sum(unit), 0) FROM __marmot_origin WHERE node = 7")
    check(sent == 0, f"it has published {sent} units")
    clock.set(0)
    two.says("the clock is right again", 30)
    wait_identical([one.db, two.db], 30)
    execute(one.db, "UPDATE t SET v = 'last' WHERE id = 1")
    wait_identical([one.db, two.db])
    check(scalar(two.db, "SELECT v FROM t WHERE id = 1") == "last", "a later write has lost")
    hlc = scalar(one.db, "SELECT value FROM __marmot_meta WHERE key = 'hlc'") >> 16
    check(hlc < time.time() * 1000 + 60_000, f"the clocks have gone ahead by {hlc - time.time() * 1000:.0f} ms")
    until("nobody's clock is wrong", lambda: database(two)["clock_off_ms"] == 0 and all(peer["clock_off_ms"] == 0 for peer in database(one)["peers"]))


@case("a clock that jumps an hour ahead under a running agent poisons nobody: what it stamped is refused, and sent again with the right time")
def clock_jumps(t):
    nats = t.nats()
    one, two = t.node("n1", nats, database_name="app"), t.node("n2", nats, database_name="app")
    execute(one.db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES(1, 'first')")
    one.start()
    clock = Clock(t, 0)
    two.env = clock.env
    two.start()
    wait_identical([one.db, two.db])
    clock.set(HOUR)
    clock.execute(two.db, "UPDATE t SET v = 'ahead'")
    one.says(r"node \d+ stamped it 3\d{6} ms ahead of the stream's time")
    check(scalar(one.db, "SELECT v FROM t") == "first", "it was applied")
    execute(one.db, "UPDATE t SET v = 'later'")
    clock.set(0)
    two.says("was stamped by a clock that was ahead", 30)
    wait_identical([one.db, two.db], 30)
    check(scalar(two.db, "SELECT v FROM t") == "later", f"the later write has lost: {query(two.db, 'SELECT * FROM t')}")
    hlc = scalar(one.db, "SELECT value FROM __marmot_meta WHERE key = 'hlc'") >> 16
    check(hlc < time.time() * 1000 + 60_000, f"the clocks have gone ahead by {hlc - time.time() * 1000:.0f} ms")


YEAR = 365 * 24 * HOUR


def poison(db):
    """As a Marmot from before left it that had followed a clock a year ahead: what it holds of the row 1, and its clock."""
    execute(db, f"UPDATE __marmot_version SET hlc = hlc + {YEAR} WHERE tbl = 1 AND key = (SELECT min(key) FROM __marmot_version WHERE tbl = 1)",
            f"UPDATE __marmot_meta SET value = value + ({YEAR} << 16) WHERE key IN ('hlc', 'seen_hlc')")


def clock(t, node, *words):
    return t.product.run("clock", *words, node.db, seconds=60).stdout


def highest(db):
    return scalar(db, "SELECT max(hlc & 0xffffffffffff) FROM __marmot_version")


@case("a cluster whose clocks all followed one a year ahead is right again after marmot clock reset, a node that was away too, and later writes win")
def clock_reset(t):
    nats = t.nats()
    nodes = [t.node(f"n{i}", nats, database_name="app") for i in (1, 2, 3)]
    one, two, three = nodes
    execute(one.db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES(1, 'first'), (2, 'two'), (3, 'three')")
    for node in nodes:
        node.start()
    wait_identical([node.db for node in nodes])
    for node in nodes:
        node.stop()
        poison(node.db)
    for node in nodes:
        node.start()
    execute(two.db, "DELETE FROM t WHERE id = 2", "UPDATE t SET v = 'behind' WHERE id = 3")
    wait_identical([node.db for node in nodes])
    for node in nodes:
        check(highest(node.db) > time.time() * 1000 + YEAR - HOUR, "the clocks are not ahead")
    three.stop()
    execute(three.db, "INSERT INTO t VALUES(4, 'while it was away')")
    says = clock(t, one)
    check("LATER WRITES LOSE" in says and "this machine's clock is right" in says, f"marmot clock says {says}")
    dry = json.loads(clock(t, one, "reset", "--dry-run", "--json"))
    check(dry["poisoned"] and not dry["reset"] and dry["ahead_ms"] > YEAR - HOUR and dry["versions"] > 0, f"{dry}")
    done = clock(t, one, "reset")
    check("count as of now" in done, f"marmot clock reset says {done}")
    until("its stamps are lower", lambda: all(highest(node.db) < time.time() * 1000 + 60_000 for node in (one, two)))
    execute(one.db, "UPDATE t SET v = 'later' WHERE id = 1")
    wait_identical([one.db, two.db], 30)
    three.start()
    wait_identical([node.db for node in nodes], 30)
    check(query(three.db, "SELECT id, v FROM t ORDER BY id") == [(1, "later"), (3, "behind"), (4, "while it was away")], f"{query(three.db, 'SELECT * FROM t')}")
    for node in nodes:
        check(highest(node.db) < time.time() * 1000 + 60_000, f"{node.name} holds stamps that are ahead")
        node.stop()
        node.start()
    execute(two.db, "UPDATE t SET v = 'last' WHERE id = 3")
    wait_identical([node.db for node in nodes], 30)
    for node in nodes:
        check(highest(node.db) < time.time() * 1000 + 60_000, f"{node.name} is ahead again after a restart")
    says = clock(t, one, "reset")
    check("nothing to reset" in says, f"marmot clock reset says {says}")
    clock(t, one, "bound", "90000")
    until("the bound has come to the others", lambda: json.loads(clock(t, two, "--json"))["bound_ms"] == 90_000)
