"""Other programs beside the agent on the same file."""
import json
import re
import shutil
import subprocess
import threading
import time

from case import case
from litestream import Litestream
from process import check, until
from tables import connect, execute, query, scalar, wait_identical


def tables_of(node):
    return {table["name"] for table in node.status()["databases"][0]["tables"]}


@case("tables of another sidecar are each file's own, which the log tells once; a glob that spells their name replicates them")
def sidecar_tables(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body)", "INSERT INTO note VALUES(1, 'a')",
            "CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY, seq INTEGER)", "INSERT INTO _litestream_seq VALUES(1, 17)")
    for node in (one, two):
        node.start()
    execute(one.db, "CREATE TABLE more(id INTEGER PRIMARY KEY)", "UPDATE _litestream_seq SET seq = 18")  # the schema is read again
    wait_identical([one.db, two.db], own="_litestream")
    check(tables_of(one) == {"note", "more"}, f"node 1 replicates {tables_of(one)}")
    check(not query(two.db, "SELECT 1 FROM sqlite_schema WHERE name = '_litestream_seq'"), "node 2 got Litestream's table")
    told = one.program.err().count("table _litestream_seq is not watched: the bookkeeping of Litestream")
    check(told == 1, f"told {told} times\n{one.program.err_tail()}")
    # A glob that spells the name overrules it.
    three, four = (t.node(name, nats, database_name="both", options=["--tables", "*", "--tables", "_litestream_*"]) for name in ("n3", "n4"))
    execute(three.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body)", "CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY, seq INTEGER)",
            "INSERT INTO _litestream_seq VALUES(1, 18)")
    for node in (three, four):
        node.start()
    wait_identical([three.db, four.db])
    check(scalar(four.db, "SELECT seq FROM _litestream_seq") == 18, "node 4 lacks Litestream's row")



class Writer(threading.Thread):
    """Inserts rows one by one until told to stop; `done` is the last one committed."""

    def __init__(self, db, base):
        super().__init__()
        self.db, self.base, self.done, self.ending, self.error = db, base, 0, False, None

    def run(self):
        db = connect(self.db)
        db.execute("PRAGMA busy_timeout = 5000")
        try:
            while not self.ending:
                db.execute("BEGIN IMMEDIATE")
                db.execute("INSERT INTO note(id, body) VALUES(?, ?)", (self.base + self.done + 1, f"row {self.done + 1}" + "x" * 200))
                db.execute("UPDATE note SET body = 'counted ' || ? WHERE id = 1", (self.done,))
                db.execute("COMMIT")
                self.done += 1
                time.sleep(0.002)
        except Exception as error:  # told by the test's thread
            self.error = error
        finally:
            db.close()

    def end(self):
        self.ending = True
        self.join()
        check(self.error is None, f"writing to {self.db.name} failed: {self.error}")


@case("Litestream beside each agent: both are killed under load, both files restored from their backups, and hold the same rows",
      seconds=300, long=True)
def litestream_restore(t):
    nats = t.nats()
    nodes = t.nodes(2, nats)
    execute(nodes[0].db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body)", "INSERT INTO note VALUES(1, 'shared')")
    for node in nodes:
        node.start()
    wait_identical([node.db for node in nodes])
    backups = [Litestream(t.workspace, node.db).start() for node in nodes]
    for backup in backups:
        until(f"there is a backup of {backup.db.name}", backup.has_backup)
    writers = [Writer(node.db, 1_000_000 * (i + 1)) for i, node in enumerate(nodes)]
    for writer in writers:
        writer.start()
    time.sleep(5)
    safe = [writer.done for writer in writers]  # committed before the wait, so in the stream after it
    for node in nodes:
        run = node.command("wait", "--timeout-ms", 20000)
        check(run.returncode == 0, f"wait: {run.stderr}")
        check(tables_of(node) == {"note"}, f"{node.name} replicates {tables_of(node)}")
        check(node.program.err().count("the bookkeeping of Litestream") == 2, f"both of Litestream's tables are told once\n{node.program.err_tail(40)}")
    time.sleep(1)
    for node, backup in zip(nodes, backups):  # in the middle of the load
        backup.running.kill9()
        node.kill9()
    for writer in writers:
        writer.end()
    before = [scalar(node.db, "SELECT count(*) FROM note") for node in nodes]
    for node, backup in zip(nodes, backups):
        for suffix in ("", "-wal", "-shm"):
            path = node.db.with_name(node.db.name + suffix)
            if path.exists():
                path.rename(node.db.with_name("old-" + path.name))
        backup.restore(node.db)
        check(scalar(node.db, "PRAGMA integrity_check") == "ok", f"{node.db.name} is damaged")
        check(scalar(node.db, "PRAGMA journal_mode") == "wal", f"{node.db.name} was restored without WAL")
    restored = [scalar(node.db, "SELECT count(*) FROM note") for node in nodes]
    check(all(0 < have <= had for have, had in zip(restored, before)), f"{restored} rows restored of {before}")
    t.note(f"rows before {before}, in the restored files {restored}, in the stream at least {safe}")
    for node in nodes:
        node.start(seconds=60)
    wait_identical([node.db for node in nodes], seconds=60, own="_litestream")
    for writer, number in zip(writers, safe):
        have = scalar(nodes[0].db, f"SELECT count(*) FROM note WHERE id BETWEEN {writer.base + 1} AND {writer.base + number}")
        check(have == number, f"{number} rows were published, {have} are there after the restore")
    again = [Litestream(t.workspace, node.db) for node in nodes]
    for backup in again:
        backup.start()
    execute(nodes[0].db, "INSERT INTO note(id, body) VALUES(5, 'after the restore')")
    wait_identical([node.db for node in nodes], own="_litestream")
    time.sleep(2)
    for backup, node in zip(again, nodes):
        copy = node.db.with_name(f"{node.db.stem}-again.db")
        backup.restore(copy)
        check(query(copy, "SELECT * FROM note ORDER BY id") == query(node.db, "SELECT * FROM note ORDER BY id"), f"{copy.name} differs")


DJANGO = """
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DB}}, USE_TZ=True,
                   INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"])
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""
WORDPRESS = """
    CREATE TABLE wp_posts(ID INTEGER PRIMARY KEY AUTOINCREMENT, post_author INTEGER NOT NULL DEFAULT 0, post_title TEXT NOT NULL);
    CREATE TABLE wp_options(option_id INTEGER PRIMARY KEY AUTOINCREMENT, option_name TEXT NOT NULL DEFAULT '' UNIQUE, option_value TEXT NOT NULL);
    CREATE TABLE wp_term_relationships(object_id INTEGER NOT NULL, term_taxonomy_id INTEGER NOT NULL, PRIMARY KEY(object_id, term_taxonomy_id));
    INSERT INTO wp_options(option_name, option_value) VALUES('siteurl', 'x');
"""
QUEUE = """
    CREATE TABLE jobs(id INTEGER PRIMARY KEY, payload TEXT, reserved_at INTEGER, attempts INTEGER);
    CREATE TABLE sequences(name TEXT NOT NULL PRIMARY KEY, next INTEGER); INSERT INTO sequences VALUES('jobs', 1);
    CREATE TABLE schema_info(version INTEGER); INSERT INTO schema_info VALUES(3);
"""


def checked(t, path, expect):
    """The rules that found something, with the tables: `marmot check --json`."""
    run = t.product.run("check", path, "--json")
    check(run.returncode == expect, f"check {path.name} ended with {run.returncode}: {run.stderr}")
    found = {}
    for one in json.loads(run.stdout)["databases"][0]["findings"]:
        check(one["what"] and one["cure"], f"no words: {one}")
        found.setdefault(one["rule"], set()).add(one["table"])
    return found


@case("marmot check tells what real schemas mean here, without an agent and beside one; the agent and status keep its short form")
def check_command(t):
    chinook = t.dir / "chinook.db"
    shutil.copy(t.chinook(), chinook)
    found = checked(t, chinook, 3)
    check({"Album", "Artist", "Invoice"} <= found["counted-ids"] and "PlaylistTrack" not in found["counted-ids"], f"chinook: {found}")
    check(not {"queue", "counter", "missing-function"} & set(found), f"chinook: {found}")
    django = t.dir / "django.db"
    run = subprocess.run(["/usr/bin/python3", "-c", DJANGO.replace("DB}", f"{str(django)!r}}}")], capture_output=True, text=True)
    if "No module named 'django'" in run.stderr:
        t.note("python3-django is not here: its tables were left out")
    else:
        check(run.returncode == 0, f"migrate: {run.stderr}")
        found = checked(t, django, 3)
        check("auth_user" in found["unique"], f"Django: {found}")
        check("auth_user" not in found.get("counted-ids", set()), f"Django declares its ids AUTOINCREMENT: {found}")
        check(found["cache"] == {"django_session"}, f"Django: {found}")
        check("not-replicable" not in found and "queue" not in found, f"Django: {found}")
    for name, schema, wanted in (
            ("wordpress", WORDPRESS, {"unique": {"wp_options"}}),
            ("queue", QUEUE, {"queue": {"jobs"}, "counter": {"sequences"}, "singleton": {"schema_info"}, "counted-ids": {"jobs"}}),
            ("plain", "CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, v)", {})):
        path = t.dir / f"{name}.db"
        db = connect(path)
        db.executescript(schema)
        db.close()
        found = checked(t, path, 3 if wanted else 0)
        check(found == wanted, f"{name}: {found}")
    node = t.node("n1", db=t.dir / "queue.db")
    node.start()
    short = "4 things to know: a queue or lock (jobs), a counter (sequences), a single row without a key (schema_info), a table with counted ids (jobs)"
    node.program.wait_line(rf"^queue\.db: {re.escape(short)} \(`marmot check queue\.db`\)$")
    check(checked(t, node.db, 3)["queue"] == {"jobs"}, "check beside an agent")
    check(node.status()["databases"][0]["to_know"] == short, f"status: {node.status()}")
    check(short in node.command("status").stdout, node.command("status").stdout)
    text = node.command("check").stdout
    check(text.index("collides: queue: jobs (reserved_at)") < text.index("collides: counted-ids"), text)
    (t.dir / "local.toml").write_text('[[database]]\npath = "queue.db"\nexclude = ["jobs", "sequences", "schema_info"]\n')
    run = t.product.run("check", "--config", t.dir / "local.toml")
    check(run.returncode == 0 and "nothing to do" in run.stdout, f"with all of it excluded: {run.stdout}{run.stderr}")
