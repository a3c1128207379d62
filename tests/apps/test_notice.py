"""docs/what-your-application-can-notice.md, executed: the page names the test of each of its statements."""
import ctypes
import sqlite3
import subprocess

from case import case
from process import check, until
from tables import connect, execute, has_table, query, scalar, wait_identical


def pair(t, *statements):
    """Two nodes that run, with what the statements made in the first one's file."""
    nats = t.nats()
    nodes = t.nodes(2, nats)
    for statement in statements:
        execute(nodes[0].db, statement)
    for node in nodes:
        node.start()
    wait_identical([node.db for node in nodes])
    return nodes


def holding_back(node, what):
    """Does something on both nodes before either hears of the other: one agent is away meanwhile."""
    node.stop()
    what()
    node.start()


@case("a job is claimed on two nodes, a leader stands twice, a count loses: what is one decision there are two", seconds=40)
def notice_local_decisions(t):
    one, two = pair(t, "CREATE TABLE job(id INTEGER PRIMARY KEY, state TEXT, worker TEXT)", "INSERT INTO job VALUES(1, 'ready', NULL)",
                    "CREATE TABLE leader(role TEXT PRIMARY KEY, node TEXT)", "CREATE TABLE hits(client TEXT PRIMARY KEY, n INTEGER)",
                    "INSERT INTO hits VALUES('ann', 0)")
    claimed, led = [], []

    def work(node):
        connection = connect(node.db)
        claimed.append(connection.execute("UPDATE job SET state = 'taken', worker = ? WHERE id = 1 AND state = 'ready'", (node.name,)).rowcount)
        led.append(connection.execute("INSERT OR IGNORE INTO leader VALUES('scheduler', ?)", (node.name,)).rowcount)
        for _ in range(3):
            connection.execute("UPDATE hits SET n = n + 1 WHERE client = 'ann'")
        connection.close()

    holding_back(two, lambda: (work(one), work(two)))
    wait_identical([one.db, two.db])
    check(claimed == [1, 1], f"the job was claimed {claimed} times")
    check(led == [1, 1], f"the leader's row was won {led} times")
    check(scalar(one.db, "SELECT n FROM hits") == 3, "six requests are counted as three: the later row won")
    check(scalar(one.db, "SELECT count(*) FROM leader") == 1, "one of the two leaders stands in the end")


@case("an excluded table is not made elsewhere, and where it is made by hand each node has its own", seconds=40)
def notice_excluded(t):
    one, two = nodes = t.nodes(2, t.nats(), options=("--exclude", "cache"))
    execute(one.db, "CREATE TABLE note(id TEXT PRIMARY KEY)", "CREATE TABLE cache(key TEXT PRIMARY KEY, value TEXT)")
    for node in nodes:
        node.start()
    execute(one.db, "INSERT INTO cache VALUES('k', 'v')", "INSERT INTO note VALUES('a')")
    until("the note arrives", lambda: has_table(two.db, "note") and scalar(two.db, "SELECT count(*) FROM note") == 1)
    check(not has_table(two.db, "cache"), "the excluded table was made on node 2")
    schema = subprocess.run(["sqlite3", "-batch", one.db, ".schema cache"], capture_output=True, text=True, check=True).stdout
    subprocess.run(["sqlite3", "-batch", "-cmd", ".timeout 5000", two.db, schema], check=True)
    execute(two.db, "INSERT INTO cache VALUES('k', 'of node 2')", "INSERT INTO note VALUES('b')")
    until("the second note arrives", lambda: scalar(one.db, "SELECT count(*) FROM note") == 2)
    check([scalar(node.db, "SELECT group_concat(value) FROM cache") for node in nodes] == ["v", "of node 2"], "the caches are not each node's own")


@case("total_changes counts Marmot's rows, rowcount and changes() do not; hooks and authorizers see __marmot_log", seconds=40)
def notice_counts_and_hooks(t):
    one, _ = pair(t, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    connection = connect(one.db)
    before = connection.total_changes
    cursor = connection.execute("INSERT INTO note(body) VALUES('x')")
    check(connection.total_changes - before == 2, f"total_changes says {connection.total_changes - before}")
    check(cursor.rowcount == 1 and connection.execute("SELECT changes()").fetchone()[0] == 1, "rowcount and changes() count the application's row")
    check(cursor.lastrowid == 1, "last_insert_rowid() is the application's")
    seen = set()
    connection.set_authorizer(lambda action, first, *_: (seen.add(first), sqlite3.SQLITE_OK)[1])
    connection.execute("INSERT INTO note(body) VALUES('y')")
    connection.set_authorizer(None)
    check("__marmot_log" in seen, f"the authorizer saw {seen}")
    allow = {"note", None}
    connection.set_authorizer(lambda action, first, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_INSERT and first not in allow else sqlite3.SQLITE_OK)
    try:
        connection.execute("INSERT INTO note(body) VALUES('z')")
        check(False, "an authorizer that allows only the application's tables let the write pass")
    except sqlite3.DatabaseError as error:
        check("authorized" in str(error) or "prohibited" in str(error), str(error))
    connection.close()
    check({b"note", b"__marmot_log"} <= tables_of_update_hook(one.db, b"INSERT INTO note(body) VALUES('w')"), "the update hook did not see both")


def tables_of_update_hook(db, sql):
    """The tables that sqlite3_update_hook reports while `sql` runs. Python's module does not offer it."""
    library = ctypes.CDLL("libsqlite3.so.0")
    hook = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64)
    seen = set()
    called = hook(lambda _user, _operation, _schema, table, _rowid: seen.add(table))
    handle = ctypes.c_void_p()
    check(library.sqlite3_open(str(db).encode(), ctypes.byref(handle)) == 0, "sqlite3_open")
    library.sqlite3_busy_timeout(handle, 5000)
    library.sqlite3_update_hook(handle, called, None)
    check(library.sqlite3_exec(handle, sql, None, None, None) == 0, "sqlite3_exec")
    library.sqlite3_close(handle)
    return seen


@case("journal_mode=DELETE and locking_mode=EXCLUSIVE fail beside an agent", seconds=40)
def notice_modes(t):
    one, _ = pair(t, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    connection = connect(one.db, 1)
    try:
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    except sqlite3.OperationalError as error:
        mode = str(error)
    check(mode in ("wal", "database is locked"), f"journal_mode = DELETE gave {mode}")
    t.note(f"journal_mode = DELETE: {mode}")
    connection.close()
    connection = connect(one.db, 1)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("INSERT INTO note(body) VALUES('x')")
        said = "nothing"
    except sqlite3.OperationalError as error:
        said = str(error)
    connection.close()
    t.note(f"locking_mode = EXCLUSIVE: {said}")
    check(said == "database is locked", f"the write said {said}")


@case("rowids of tables without a declared key differ, and one settings row without a key becomes two", seconds=40)
def notice_rowids_and_singletons(t):
    one, two = pair(t, "CREATE TABLE note(body TEXT)", "CREATE TABLE settings(theme TEXT)", "CREATE TABLE right_settings(id INTEGER PRIMARY KEY CHECK(id = 1), theme TEXT)")

    def work():
        execute(one.db, "INSERT INTO note VALUES('a')", "INSERT INTO note VALUES('b')")
        execute(two.db, "INSERT INTO note VALUES('c')")
        for node in (one, two):
            execute(node.db, "INSERT INTO settings SELECT 'light' WHERE NOT EXISTS (SELECT 1 FROM settings)")
            execute(node.db, "INSERT OR IGNORE INTO right_settings VALUES(1, 'light')")
    holding_back(two, work)
    wait_identical([one.db, two.db])
    rowids = [dict(query(node.db, "SELECT body, rowid FROM note")) for node in (one, two)]
    check(rowids[0] != rowids[1] and set(rowids[0]) == set(rowids[1]) == {"a", "b", "c"}, f"the rowids are {rowids}")
    check(scalar(one.db, "SELECT count(*) FROM settings") == 2, "the row of settings stands once")
    check(scalar(one.db, "SELECT count(*) FROM right_settings") == 1, "with a key it stands twice")


@case("a search table that a script fills is each node's own, and replaced, empty, by one of its name made elsewhere", seconds=40)
def notice_search_tables(t):
    one, two = pair(t, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "CREATE VIRTUAL TABLE search USING fts5(body)",
                    "INSERT INTO search VALUES('filled by a script')")
    found = "SELECT count(*) FROM search WHERE search MATCH 'script'"
    check(scalar(one.db, found) == 1, "it is filled where the script ran")
    check(scalar(two.db, found) == 0, "its content was sent")
    execute(two.db, "INSERT INTO search VALUES('by a script on node 2')")
    execute(one.db, "INSERT INTO note(body) VALUES('x')")
    until("the note arrives", lambda: scalar(two.db, "SELECT count(*) FROM note") == 1)
    check(scalar(two.db, found) == 1, "node 2's own content is gone")
    execute(one.db, "DROP TABLE search", "CREATE VIRTUAL TABLE search USING fts5(body, title)", "INSERT INTO search VALUES('the script again', 'title')")
    until("node 2 has the new search table", lambda: "title" in str(query(two.db, "SELECT sql FROM sqlite_schema WHERE name = 'search'")))
    check(scalar(two.db, found) == 0, "it kept its content under another definition")
    check(scalar(one.db, found) == 1, "node 1 lost its content")


@case("a process that keeps the schema in memory does not see a column that another node adds", seconds=40)
def notice_cached_schema(t):
    one, two = pair(t, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO note VALUES(1, 'x')")
    program = ("import sys\nfrom sqlalchemy import MetaData, create_engine\n"
               f"engine = create_engine('sqlite:///{two.db}')\n"
               "def columns():\n    metadata = MetaData()\n    metadata.reflect(engine, only=['note'])\n    return metadata.tables['note']\n"
               "kept = columns()\nprint('open', flush=True)\nsys.stdin.readline()\n"
               "print(len(kept.columns), len(columns().columns))\n")
    with subprocess.Popen(["/usr/bin/python3", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as application:
        try:
            check(application.stdout.readline() == "open\n", "the application did not start")
            execute(one.db, "ALTER TABLE note ADD COLUMN title TEXT")
            until("node 2 has the column", lambda: "title" in [row[1] for row in query(two.db, "PRAGMA table_info(note)")])
            said, _ = application.communicate("\n", 20)
        finally:
            application.kill()
    check(said == "2 3\n", f"the kept and the new look have {said.strip()} columns")
