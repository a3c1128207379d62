"""Files that a tool made anew out of their rows: what has no key then stands under other rowids (docs/decisions/0028)."""
import re
import subprocess

from case import case
from process import check, until
from tables import connect, contents, execute, query, scalar, wait_identical

SHELL = ["sqlite3", "-batch", "-bail"]


def shell(*arguments, script=None):
    run = subprocess.run([*SHELL, *map(str, arguments)], input=script, capture_output=True, timeout=20)
    check(run.returncode == 0 and not run.stderr, f"sqlite3 {arguments}: {run.stderr.decode()}")
    return run.stdout


def without_ours(dump):
    """The dump as of a tool that leaves tables out which it does not know, and what hangs on them."""
    connection = connect(":memory:")
    connection.executescript(dump.decode())
    for kind, name in connection.execute("SELECT type, name FROM sqlite_schema WHERE name GLOB '__marmot_*' ORDER BY type = 'table'").fetchall():
        connection.execute(f"DROP {kind} IF EXISTS \"{name}\"")
    return "\n".join(connection.iterdump()).encode()


def dumped(db, made):
    shell(made, script=shell(db, ".dump"))


def recovered(db, made, rowids=True):
    """`.recover`. Debian 12's shell is built without it: then what it writes, of a file that is whole."""
    run = subprocess.run([*SHELL, str(db), ".recover" if rowids else ".recover --no-rowids"], capture_output=True, timeout=20)
    if not run.stderr:
        return shell(made, script=run.stdout)
    old, new = connect(db), connect(made)
    made_first = old.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type <> 'table', rowid").fetchall()
    for kind, name, sql in made_first:
        new.execute(sql)
        if kind != "table":
            continue
        columns = [row[1] for row in old.execute(f'PRAGMA table_info("{name}")')]
        with_rowid = rowids and "WITHOUT ROWID" not in sql
        names = (["_rowid_"] if with_rowid else []) + [f'"{column}"' for column in columns]
        for row in old.execute(f'SELECT {", ".join(names)} FROM "{name}"'):
            new.execute(f'INSERT OR IGNORE INTO "{name}"({", ".join(names)}) VALUES({", ".join("?" * len(names))})', row)
    new.execute(f"PRAGMA user_version = {old.execute('PRAGMA user_version').fetchone()[0]}")


def recovered_without_rowids(db, made):
    recovered(db, made, rowids=False)


def cloned(db, made):
    subprocess.run(["sqlite3", "-batch", db, f".clone {made}"], capture_output=True, timeout=20, check=True)


def vacuumed_without_the_index(db, made):
    shell(db, f"VACUUM INTO '{made}'")
    for (index,) in query(made, "SELECT name FROM sqlite_schema WHERE name GLOB '__marmot_[0-9]*_keep'"):
        execute(made, f'DROP INDEX "{index}"')
    execute(made, "VACUUM")


def cluster(t):
    """Three nodes with rows that have no key, and gaps between their rowids."""
    nats = t.nats()
    nodes = t.nodes(3, nats)
    execute(nodes[0].db, "CREATE TABLE loose(body TEXT, n INT)", "CREATE TABLE half(k TEXT PRIMARY KEY, body TEXT)",
            "CREATE TABLE keyed(id INTEGER PRIMARY KEY, body TEXT)", "PRAGMA user_version = 7",
            *[f"INSERT INTO {table}(body) VALUES('row {i}')" for table in ("loose", "half", "keyed") for i in range(1, 9)])
    for node in nodes:
        node.start()
    wait_identical([node.db for node in nodes])
    execute(nodes[0].db, *[f"DELETE FROM {table} WHERE body IN ('row 1', 'row 4')" for table in ("loose", "half", "keyed")])
    wait_identical([node.db for node in nodes])
    return nodes


def put_in_place(node, made):
    for suffix in ("", "-wal", "-shm"):
        node.db.with_name(node.db.name + suffix).unlink(missing_ok=True)
    made.rename(node.db)


def bodies(found, table):
    return sorted(row[-1 if table != "loose" else 0][1].decode() for row in found[table])


def check_copied(t, copy):
    one, two, three = nodes = cluster(t)
    two.stop()
    made = t.dir / "made.db"
    copy(two.db, made)
    for table in ("loose", "half", "keyed"):  # what the copy holds is old when it comes back
        execute(one.db, f"UPDATE {table} SET body = 'changed meanwhile' WHERE body = 'row 6'", f"DELETE FROM {table} WHERE body = 'row 3'")
    wait_identical([one.db, three.db])
    put_in_place(two, made)
    execute(two.db, "UPDATE loose SET body = 'changed on two' WHERE body = 'row 8'")  # before its agent looks
    two.start()
    found = wait_identical([node.db for node in nodes])
    expected = ["changed meanwhile", "row 2", "row 5", "row 7", "row 8"]
    check(bodies(found, "keyed") == expected, f"keyed: {bodies(found, 'keyed')}")
    check(bodies(found, "half") == expected, f"half: {bodies(found, 'half')}")
    check(bodies(found, "loose") == sorted(["changed on two", *expected[:-1]]), f"loose: {bodies(found, 'loose')}")
    numbers = [scalar(node.db, "PRAGMA user_version") for node in nodes]
    check(numbers == [7, 7, 7], f"user_version is {numbers}")
    # Changes find their rows on every node.
    execute(three.db, "UPDATE loose SET body = 'changed on three' WHERE body = 'changed on two'", "DELETE FROM half WHERE body = 'row 7'")
    execute(two.db, "UPDATE loose SET body = 'changed again' WHERE body = 'row 5'")
    found = wait_identical([node.db for node in nodes])
    check(bodies(found, "loose") == ["changed again", "changed meanwhile", "changed on three", "row 2", "row 7"], f"loose: {bodies(found, 'loose')}")
    return nodes


@case("a file made anew by .dump and load: no old version of a row comes back, changes find their rows", short=True)
def copied_by_dump(t):
    check_copied(t, dumped)


@case("a file made anew by .clone: no old version of a row comes back")
def copied_by_clone(t):
    check_copied(t, cloned)


@case("a file made anew by .recover without rowids: no old version of a row comes back")
def copied_by_recover(t):
    check_copied(t, recovered_without_rowids)


@case("a file made anew by .recover, which keeps rowids: no old version of a row comes back")
def copied_by_recover_with_rowids(t):
    check_copied(t, recovered)


@case("a file whose keyless rows a VACUUM numbered anew, its index dropped: no old version of a row comes back")
def copied_by_vacuum(t):
    check_copied(t, vacuumed_without_the_index)


@case("VACUUM, and a VACUUM without the index that keeps rowids, while the agent runs: changes find their rows")
def vacuum_in_place(t):
    one, two, three = nodes = cluster(t)
    for db in (one.db, two.db):
        execute(db, "VACUUM")
    connection = connect(three.db)  # at once: the agent has no time to put it back
    index = scalar(three.db, "SELECT name FROM sqlite_schema WHERE name GLOB '__marmot_*_keep' AND tbl_name = 'loose'")
    connection.executescript(f'BEGIN; DROP INDEX "{index}"; COMMIT; VACUUM')
    connection.close()
    execute(one.db, "UPDATE loose SET body = 'of one' WHERE body = 'row 8'")
    execute(three.db, "UPDATE loose SET body = 'of three' WHERE body = 'row 2'")
    found = wait_identical([node.db for node in nodes])
    check(bodies(found, "loose") == sorted(["of one", "of three", "row 3", "row 5", "row 6", "row 7"]), f"loose: {bodies(found, 'loose')}")


@case("a dump is loaded into the file while the agent runs: no old version of a row comes back")
def restored_in_place(t):
    one, two, three = nodes = cluster(t)
    made = t.dir / "made.db"
    dumped(two.db, made)
    execute(one.db, "UPDATE loose SET body = 'changed meanwhile' WHERE body = 'row 6'", "DELETE FROM loose WHERE body = 'row 3'")
    wait_identical([node.db for node in nodes])
    shell("-cmd", ".timeout 10000", two.db, f".restore {made}")
    found = wait_identical([node.db for node in nodes], seconds=40)
    check(bodies(found, "loose") == ["changed meanwhile", "row 2", "row 5", "row 7", "row 8"], f"loose: {bodies(found, 'loose')}")


@case("a dump without Marmot's tables is a new file: equal rows are accepted under whatever rowids, older ones refused")
def copied_without_our_tables(t):
    one, two, three = nodes = cluster(t)
    two.stop()
    made = t.dir / "made.db"
    dump = without_ours(shell(two.db, ".dump"))
    shell(made, script=dump)
    put_in_place(two, made)
    two.start()
    found = wait_identical([node.db for node in nodes])
    check(len(found["loose"]) == 6 and len(found["half"]) == 6, f"{len(found['loose'])} and {len(found['half'])} rows of 6")
    published = two.status()["databases"][0]["published"]
    check(published == 0, f"equal rows were published: {published}")
    two.stop()
    execute(one.db, "UPDATE loose SET body = 'changed meanwhile' WHERE body = 'row 6'")
    wait_identical([one.db, three.db])
    shell(made, script=dump)
    put_in_place(two, made)
    two.launch()
    two.says(r"loose.*(only here|differs)")
    found = contents(one.db)
    check(bodies(found, "loose") == ["changed meanwhile", "row 2", "row 3", "row 5", "row 7", "row 8"], f"loose: {bodies(found, 'loose')}")
