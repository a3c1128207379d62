"""Django, Alembic and ActiveRecord migrate node 1 while nodes 2 and 3 take writes. In the end every node has the schema
and the rows, and no write that was acknowledged is gone."""
import shutil
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

from case import case
from process import Failure, Skipped, check, until
from tables import connect, execute, query, quoted, scalar, wait_identical

HERE = Path(__file__).resolve().parent


def tool(*argv):
    """Each tool migrates in one transaction that reads before it writes: SQLite tells such a one at once that the database is
    locked when anybody else commits in between, whatever its timeout. Nothing has changed then, and it is run again."""
    for _ in range(10):
        run = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        if run.returncode == 0 or "database is locked" not in run.stderr:
            break
    check(run.returncode == 0, f"{' '.join(map(str, argv))} ended with {run.returncode}:\n{run.stderr[:1500]}")


def needs(*argv):
    if shutil.which(argv[0]) is None or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        raise Skipped(f"{' '.join(argv)} does not run: tests/packages.sh test installs it")


class Writer:
    """An application that inserts rows for as long as it lives, and knows which were acknowledged. It asks the file which
    columns there are, as one that was deployed before the migration would not; so it never stands still."""

    def __init__(self, db, first, tables):
        self.db = db
        self.next = first
        self.tables = tables  # names it may have -> columns to fill, by name
        self.acknowledged = []
        self.refused = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        connection = connect(self.db, 20)
        while not self._stop.wait(0.03):
            self.next += 1
            try:
                here = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
                for names, values in self.tables:
                    name = next((name for name in names if name in here), None)
                    if name is None:
                        continue
                    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({quoted(name)})")]
                    wanted = {column: value for column, value in values.items() if column in columns}
                    connection.execute(f"INSERT INTO {quoted(name)}(id, {', '.join(wanted)}) VALUES(?{', ?' * len(wanted)})",
                                       [self.next, *(value(self.next) for value in wanted.values())])
                    self.acknowledged.append((names, self.next))
            except (sqlite3.OperationalError, sqlite3.IntegrityError):  # the schema changed between the question and the write
                self.refused += 1
        connection.close()

    def stop(self):
        self._stop.set()
        self._thread.join()


def schema(path):
    """Tables with their columns in order, and the names of indexes, views and triggers."""
    out = {}
    for kind, name in query(path, "SELECT type, name FROM sqlite_schema WHERE name NOT GLOB '__marmot*' AND name NOT GLOB 'sqlite_*' "
                                  "AND tbl_name NOT GLOB 'sqlite_*'"):
        out[kind, name] = query(path, 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?) ORDER BY cid', name) if kind == "table" else None
    return out


def migrate(t, first, steps, tables):
    """Starts three nodes with what `first` makes, runs the steps on node 1, and compares."""
    nats = t.nats()
    nodes = t.nodes(3, nats)
    first(nodes[0].db)
    for node in nodes:
        node.start()
    files = [node.db for node in nodes]
    wait_identical(files)
    writers = [Writer(files[1], 1_000_000, tables), Writer(files[2], 2_000_000, tables)]
    try:
        for step in steps:
            time.sleep(0.3)
            step(files[0])
        time.sleep(0.3)
    finally:
        for writer in writers:
            writer.stop()
    found = wait_identical(files, 30)
    until("all nodes have one schema", lambda: schema(files[0]) == schema(files[1]) == schema(files[2]), 10)
    for node in nodes:
        stopped = [table for table in node.status()["databases"][0].get("stopped", [])]
        check(not stopped, f"{node.name}: {stopped}")
        check(scalar(node.db, "PRAGMA integrity_check") == "ok", f"{node.name}: integrity_check")
    wrote = 0
    for writer in writers:
        check(len(writer.acknowledged) > 10, f"a writer wrote {len(writer.acknowledged)} rows only")
        for names, number in writer.acknowledged:
            name = next((name for name in names if name in found), None)
            check(name is not None, f"none of {names} is there")
        for names, _ in writer.tables:
            name = next((name for name in names if name in found), None)
            ids = {row[0] for row in query(files[0], f"SELECT id FROM {quoted(name)}")}
            lost = [number for these, number in writer.acknowledged if these == names and number not in ids]
            check(not lost, f"{name}: {len(lost)} acknowledged rows are gone, such as {lost[:5]}")
        wrote += len(writer.acknowledged)
    t.note(f"{len(steps)} migrations, {wrote} rows written beside them, {sum(w.refused for w in writers)} refused by a schema just changed")
    return files


@case("Django's migrations (rebuilds, renames, data, drops) reach nodes that take writes meanwhile", seconds=100)
def django(t):
    needs("/usr/bin/python3", "-c", "import django")
    run = HERE / "django_migrate.py"

    def at(number):
        return lambda db: tool("/usr/bin/python3", "-B", run, db, number)

    def first(db):
        at("0001")(db)
        execute(db, "INSERT INTO shop_person(id, name, age) VALUES(1, 'Ann', NULL), (2, 'Bob', 40)",
                "INSERT INTO shop_note(id, author_id, body) VALUES(1, 1, 'hello')", "INSERT INTO shop_tag(id, word) VALUES(1, 'x')",
                "INSERT INTO shop_note_tags(note_id, tag_id) VALUES(1, 1)")

    files = migrate(t, first, [at(f"{n:04}") for n in range(2, 9)],
                    [(("shop_person",), {"name": lambda n: f"P{n}", "age": lambda n: n % 90, "city": lambda n: "Nice", "town": lambda n: "Nice"}),
                     (("shop_note", "shop_letter"), {"author_id": lambda n: 1, "body": lambda n: f"body {n}"})])
    check(query(files[2], "SELECT id, name, age, town FROM shop_person WHERE id < 3") == [(1, "Ann", 18, "PARIS"), (2, "Bob", 40, "Paris")],
          "the migration's own changes did not arrive")
    check(query(files[2], "PRAGMA foreign_key_check") == [], "foreign keys point nowhere")


@case("Alembic's batch migrations do, and its autogenerate leaves Marmot's tables alone with the documented filter", seconds=100)
def alembic(t):
    needs("/usr/bin/python3", "-c", "import alembic")
    run = HERE / "alembic_migrate.py"

    def step(name):
        return lambda db: tool("/usr/bin/python3", "-B", run, db, name)

    def first(db):
        step("create")(db)
        execute(db, "INSERT INTO account(id, email, level) VALUES(1, 'a@x', 5), (2, 'b@x', 7)", "INSERT INTO entry(id, account_id, amount) VALUES(1, 1, 9.5)")

    files = migrate(t, first, [step(name) for name in ("add", "alter", "rename", "drop", "autogenerate")],
                    [(("account",), {"email": lambda n: f"{n}@x", "level": lambda n: n % 9, "city": lambda n: "Bari", "town": lambda n: "Bari"}),
                     (("entry", "booking"), {"account_id": lambda n: 1, "amount": lambda n: n / 4})])
    check(query(files[2], "SELECT id, email, level, town FROM account WHERE id < 3") == [(1, "a@x", 5, "Rome"), (2, "b@x", 7, "Rome")],
          "the migration's own changes did not arrive")


@case("ActiveRecord's migrations do", seconds=100)
def rails(t):
    needs("ruby", "-e", "require 'active_record'; require 'sqlite3'")
    run = HERE / "rails_migrate.rb"

    def step(name):
        return lambda db: tool("ruby", run, db, name)

    def first(db):
        step("create")(db)
        execute(db, "INSERT INTO users(id, name, age) VALUES(1, 'Ann', 30), (2, 'Bob', 40)", "INSERT INTO posts(id, user_id, body) VALUES(1, 1, 'hi')")

    files = migrate(t, first, [step(name) for name in ("add", "alter", "rename", "drop")],
                    [(("users",), {"name": lambda n: f"U{n}", "age": lambda n: n % 90, "city": lambda n: "Bergen", "town": lambda n: "Bergen"}),
                     (("posts", "articles"), {"user_id": lambda n: 1, "body": lambda n: f"body {n}"})])
    check(query(files[2], "SELECT id, name, age, town FROM users WHERE id < 3") == [(1, "Ann", 30.0, "Oslo"), (2, "Bob", 40.0, "Oslo")],
          "the migration's own changes did not arrive")


class Stopwatch(Writer):
    """Keeps the longest that one commit took."""

    def __init__(self, db, first):
        self.worst = 0.0
        super().__init__(db, first, [])

    def _run(self):
        connection = connect(self.db, 20)
        while not self._stop.wait(0.002):
            self.next += 1
            began = time.monotonic()
            connection.execute("INSERT INTO tick VALUES(?)", (self.next,))
            self.worst = max(self.worst, time.monotonic() - began)
        connection.close()


@case("adding a column to a table of 1,000,000 rows sends no row, and holds the lock under 1 s on every node", seconds=170)
def million(t):
    rows = 1_000_000
    nats = t.nats()
    nodes = t.nodes(3, nats)
    execute(nodes[0].db, "CREATE TABLE big(id INTEGER PRIMARY KEY, body TEXT)", "CREATE TABLE tick(n INTEGER PRIMARY KEY)",
            f"INSERT INTO big(body) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {rows}) SELECT 'row number ' || i FROM c")
    for node in nodes:
        node.start(seconds=60)
    files = [node.db for node in nodes]
    for path in files:
        until(f"{path.name} has all rows", lambda: scalar(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'big'") and
              scalar(path, "SELECT max(id) FROM big") == rows, 100, pause=0.3)
        until(f"{path.name} has nothing to send", lambda: scalar(path, "SELECT count(*) FROM __marmot_version WHERE seq IS NULL") == 0, 60, pause=0.3)
    versions = "SELECT hlc, seq FROM __marmot_version WHERE key = (SELECT min(key) FROM __marmot_version WHERE tbl = (SELECT id FROM __marmot_table WHERE name = 'big')) " \
               "AND tbl = (SELECT id FROM __marmot_table WHERE name = 'big')"
    before = [query(path, versions) for path in files]
    watches = [Stopwatch(path, (i + 1) * 1_000_000) for i, path in enumerate(files)]
    client = nats.client()
    try:
        time.sleep(1)
        usual = [watch.worst for watch in watches]
        for watch in watches:
            watch.worst = 0.0
        size = nats.stream_state("MARMOT_main_app")["bytes"]
        execute(files[0], "ALTER TABLE big ADD COLUMN flag INTEGER NOT NULL DEFAULT 7")
        for path in files[1:]:
            until(f"{path.name} has the column", lambda: "flag" in [row[1] for row in query(path, "PRAGMA table_info(big)")], 20)
        time.sleep(1)
    finally:
        client.close()
        for watch in watches:
            watch.stop()
    grown = nats.stream_state("MARMOT_main_app")["bytes"] - size
    check(grown < 2_000_000, f"the stream grew by {grown} bytes")  # the ticks; a million rows are more than that, however small
    check([query(path, versions) for path in files] == before, "a row of the table was given another version")
    worst = [watch.worst for watch in watches]
    t.note("worst commit beside it, s: " + ", ".join(f"{one:.3f}" for one in worst) + "; without it: " + ", ".join(f"{one:.3f}" for one in usual))
    check(max(worst) < 1.0, f"a commit waited for {max(worst):.2f} s")
    check(scalar(files[2], "SELECT count(*) FROM big WHERE flag = 7") == rows, "the default is not there")
