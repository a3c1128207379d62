"""Facts that need two connections, two processes, or Python's driver."""
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time

FACTS = []


def fact(function):
    FACTS.append(function)
    return function


def connect(setting, path=None, load=False):
    db = sqlite3.connect(path or setting.db, isolation_level=None, timeout=5)
    db.execute("PRAGMA synchronous = OFF")
    if load:
        db.enable_load_extension(True)
        db.load_extension(setting.stem)
    return db


def column(db, sql):
    return [row[0] for row in db.execute(sql)]


APPLICATION = """
    CREATE TABLE user(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE COLLATE NOCASE);
    CREATE TABLE tag(user INT, tag TEXT, PRIMARY KEY(user, tag));
    CREATE TABLE keyless(a, b);
    CREATE TABLE "odd "" name"(k BLOB PRIMARY KEY, v) WITHOUT ROWID;
    CREATE INDEX tag_by_tag ON tag(tag);
    CREATE VIEW tagged AS SELECT * FROM user JOIN tag ON tag.user = user.id;
    CREATE TRIGGER welcome AFTER INSERT ON user BEGIN INSERT INTO tag VALUES(NEW.id, 'new'); END;
    INSERT INTO user(name) VALUES('ann'), ('bob');
    INSERT INTO keyless VALUES(1, 2), (1, 2), (3, x'00');
"""
WRITES = """
    INSERT INTO user(name) VALUES('cid'); DELETE FROM user WHERE name = 'bob'; INSERT INTO user(name) VALUES('dan');
    UPDATE keyless SET b = 9 WHERE a = 3; DELETE FROM keyless WHERE rowid = 1; INSERT INTO keyless VALUES(NULL, 1e999);
    INSERT INTO "odd "" name" VALUES(x'', 'x'), (x'00', -0.0); REPLACE INTO tag VALUES(1, 'new');
    CREATE TABLE later(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO later VALUES(9);
    ALTER TABLE user ADD COLUMN email TEXT DEFAULT 'none'; CREATE INDEX by_email ON user(email);
    ALTER TABLE keyless RENAME TO still_keyless; CREATE VIEW late AS SELECT 1;
    DROP INDEX tag_by_tag; CREATE UNIQUE INDEX tag_by_tag ON tag(tag, user);
"""


@fact
def cleanup_dump(setting):
    """cleanup leaves .dump byte for byte as if Marmot had never been there"""
    plain = os.path.join(setting.directory, "plain.db")
    for path, watched in ((setting.db, True), (plain, False)):
        db = connect(setting, path, load=True)
        db.executescript(APPLICATION)
        if watched:
            assert column(db, "SELECT marmot_watch('*')") == [4]
        db.executescript(WRITES)
        if watched:
            assert column(db, "SELECT marmot_watch('later')") == [1]
            assert column(db, "SELECT marmot_pending()")[0] > 10
        db.execute("VACUUM")
        db.execute("INSERT INTO still_keyless VALUES('after', 'vacuum')")
        if watched:
            assert column(db, "SELECT marmot_cleanup()") == [1]
        db.close()
    dumps = [setting.shell(".dump\n", path, load=False) for path in (setting.db, plain)]
    assert len(dumps[0]) > 20 and dumps[0] == dumps[1], dumps
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema"
    schemas = [connect(setting, path).execute(schema).fetchall() for path in (setting.db, plain)]
    assert schemas[0] == schemas[1], schemas


@fact
def cleanup_statistics(setting):
    """what ANALYZE collects about the application's tables is the same with Marmot, and stays when it goes"""
    db = connect(setting, load=True)
    db.executescript(APPLICATION + WRITES + "ANALYZE")
    query = "SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY 1, 2"
    plain = db.execute(query).fetchall()
    assert len(plain) > 5
    db.execute("SELECT marmot_watch('*')").fetchall()
    db.execute("ANALYZE")
    assert [row for row in db.execute(query) if not row[0].startswith("__marmot_")] == plain
    db.execute("SELECT marmot_cleanup()").fetchall()
    assert db.execute(query).fetchall() == plain


@fact
def application_without_extension(setting):
    """a process without the extension keeps writing, and what it writes is logged"""
    db = connect(setting, load=True)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    db.execute("SELECT marmot_watch('t')").fetchall()
    db.close()
    assert setting.shell("INSERT INTO t VALUES(1, 'shell'); SELECT v FROM t;", load=False) == ["shell"]
    plain = connect(setting)
    plain.execute("PRAGMA trusted_schema = OFF")
    plain.execute("UPDATE t SET v = 'python', id = 2")
    assert plain.execute("SELECT op, k1 FROM __marmot_log").fetchall() == [(1, 1), (2, 2), (3, 1)]


@fact
def other_sidecars(setting):
    """marmot_watch('*') leaves another sidecar's tables alone; a pattern that spells their name watches them"""
    db = connect(setting, load=True)
    db.executescript("CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY, seq);"
                     "CREATE TABLE _litestream_lock(id)")
    assert column(db, "SELECT marmot_watch('*')") == [1]
    assert column(db, "SELECT marmot_watch('_litestream_seq')") == [1]
    assert column(db, "SELECT marmot_watch('_litestream_*')") == [1]
    assert column(db, "SELECT count(*) FROM __marmot_table") == [3]


@fact
def default_driver_mode(setting):
    """Python's default transactions, executemany and rollback work with watched tables"""
    db = sqlite3.connect(setting.db)
    db.enable_load_extension(True)
    db.load_extension(setting.stem)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    assert db.execute("SELECT marmot_watch('*')").fetchone() == (1,)
    cursor = db.executemany("INSERT INTO t(v) VALUES(?)", [(i,) for i in range(100)])
    assert cursor.rowcount == 100, cursor.rowcount
    db.commit()
    assert db.execute("INSERT INTO t(v) VALUES('x')").lastrowid == 101
    db.rollback()
    assert db.execute("UPDATE t SET v = 0 WHERE id <= 10").rowcount == 10
    db.commit()
    assert db.execute("SELECT op, count(*) FROM __marmot_log GROUP BY op").fetchall() == [(1, 100), (2, 10)]


@fact
def milliseconds(setting):
    """the time logged is exactly the millisecond that SQLite's own clock shows to the statement"""
    db = connect(setting, load=True)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, ms INT)")
    db.execute("SELECT marmot_watch('t')").fetchall()
    db.execute("BEGIN")
    for _ in range(3000):  # 'now' stands still within a statement and its triggers
        db.execute("INSERT INTO t(ms) SELECT CAST(strftime('%s', 'now') AS INT) * 1000"
                   " + CAST(substr(strftime('%f', 'now'), 4) AS INT)")
    db.execute("COMMIT")
    found = db.execute("SELECT count(*), count(DISTINCT ts) > 5, sum(ts <> ms) "
                       "FROM __marmot_log l JOIN t ON t.id = l.k1")
    assert found.fetchall() == [(3000, 1, 0)]


@fact
def attached(setting):
    """a watched file that is attached under another name logs into itself"""
    db = connect(setting, load=True)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    db.execute("SELECT marmot_watch('t')").fetchall()
    db.close()
    other = connect(setting, os.path.join(setting.directory, "other.db"))
    other.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    other.execute("CREATE TABLE __marmot_log(tbl, op, ts, k1)")
    other.execute("ATTACH ? AS app", (setting.db,))
    other.execute("INSERT INTO app.t VALUES(5)")
    assert column(other, "SELECT k1 FROM app.__marmot_log") == [5]
    assert column(other, "SELECT count(*) FROM main.__marmot_log") == [0]


@fact
def values_of_every_class(setting):
    """rows of every storage class pass the triggers bit for bit"""
    db = connect(setting, load=True)
    db.text_factory = bytes
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    db.execute("SELECT marmot_watch('t')").fetchall()
    values = [None, 0, -1, 2**63 - 1, -(2**63), 0.0, -0.0, 1e308, 5e-324, float("inf"), float("-inf"), b"", b"\0\xff"]
    db.executemany("INSERT INTO t VALUES(?, ?)", list(enumerate(values)))
    db.execute("INSERT INTO t VALUES(100, CAST(x'61ff0062' AS TEXT)), (101, '')")
    db.execute("UPDATE t SET v = v")
    got = [row[0] for row in db.execute("SELECT v FROM t ORDER BY id")]
    assert [(type(v), repr(v)) for v in got[: len(values)]] == [(type(v), repr(v)) for v in values], got
    assert got[len(values):] == [b"a\xff\0b", b""], got
    assert column(db, "SELECT count(*) FROM __marmot_log") == [2 * (len(values) + 2)]


@fact
def waits_for_the_agent(setting):
    """marmot_wait returns as soon as another process has emptied the log and the outbox"""
    db = connect(setting, load=True)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    db.execute("SELECT marmot_watch('t')").fetchall()
    db.execute("INSERT INTO t VALUES(1)")

    def agent():
        mine = connect(setting)
        time.sleep(0.1)
        mine.executescript("BEGIN IMMEDIATE; DELETE FROM __marmot_log;"
                           "INSERT INTO __marmot_version VALUES(1, x'41', 1, 1, NULL, 0, 1); COMMIT")
        time.sleep(0.1)
        mine.execute("UPDATE __marmot_version SET seq = 1")

    thread = threading.Thread(target=agent)
    start = time.monotonic()
    thread.start()
    assert column(db, "SELECT marmot_wait('PUBLISHED', 10000)") == [1]
    took = time.monotonic() - start
    thread.join()
    assert 0.19 < took < 5, took


@fact
def interrupt(setting):
    """marmot_wait can be interrupted"""
    db = sqlite3.connect(setting.db, isolation_level=None, check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(setting.stem)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    db.execute("SELECT marmot_watch('t')").fetchall()
    db.execute("INSERT INTO t VALUES(1)")
    timer = threading.Timer(0.1, db.interrupt)
    start = time.monotonic()
    timer.start()
    try:
        db.execute("SELECT marmot_wait('PUBLISHED', 20000)").fetchall()
        raise AssertionError("not interrupted")
    except sqlite3.OperationalError as error:
        assert "interrupted" in str(error), error
    assert time.monotonic() - start < 5


@fact
def read_only(setting):
    """watching a read-only file or a locked one is a clear SQL error, and nothing is left behind"""
    db = connect(setting)
    db.execute("CREATE TABLE t(x)")
    only = sqlite3.connect(f"file:{setting.db}?mode=ro", uri=True, isolation_level=None)
    only.enable_load_extension(True)
    only.load_extension(setting.stem)
    locked = connect(setting, load=True)
    locked.execute("PRAGMA busy_timeout = 10")
    db.execute("BEGIN IMMEDIATE")
    for who, wanted in ((only, "attempt to write a readonly database"), (locked, "database is locked")):
        try:
            who.execute("SELECT marmot_watch('t')").fetchall()
            raise AssertionError("watched")
        except sqlite3.OperationalError as error:
            assert str(error).startswith("marmot_watch: ") and wanted in str(error), error
    db.execute("ROLLBACK")
    assert column(db, "SELECT name FROM sqlite_schema") == ["t"]
    assert column(locked, "SELECT marmot_watch('t')") == [1]


@fact
def loads_again(setting):
    """loading twice on one connection and on a second one is harmless, while a statement runs too"""
    db = connect(setting, load=True)
    db.load_extension(setting.stem)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    db.execute("SELECT marmot_watch('t')").fetchall()
    running = db.execute("SELECT 1 UNION ALL SELECT 2")
    running.fetchone()
    db.load_extension(setting.stem)
    assert db.execute("SELECT load_extension(?)", (setting.stem,)).fetchall() == [(None,)]
    assert running.fetchone() == (2,)
    second = connect(setting, load=True)
    assert column(second, "SELECT name FROM marmot_tables") == ["t"]
    db.close()
    assert column(second, "SELECT marmot_pending()") == [0]


@fact
def built_ins(setting):
    """loading changes no function, collation or module that was there before"""
    db = connect(setting)

    def everything():
        kinds = ("function", "collation", "module")
        # A collation's first column is its place in the list.
        return {kind: {row[1:] if kind == "collation" else row for row in db.execute(f"SELECT * FROM pragma_{kind}_list")} for kind in kinds}

    before = everything()
    db.enable_load_extension(True)
    db.load_extension(setting.stem)
    after = everything()
    for kind in before:
        names = [row[0] for row in after[kind] - before[kind]]
        assert before[kind] <= after[kind], before[kind] - after[kind]
        taken = {row[0] for row in before[kind]}
        assert not taken.intersection(names), taken.intersection(names)


@fact
def ids_across_threads(setting):
    """marmot_new_id gives different ids to different connections on different threads"""
    found = []

    def take():
        db = connect(setting, ":memory:", load=True)
        found.append(column(db, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000) "
                                "SELECT marmot_new_id() FROM c"))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(sum(found, []))) == 80000
    assert all(ids == sorted(ids) for ids in found)


@fact
def symbols(setting):
    """libmarmot.so exports its entry points only, imports no sqlite3_ symbol, starts no thread, and needs no libstdc++ and no OpenSSL"""
    nm = subprocess.run(["nm", "-D", setting.library], stdout=subprocess.PIPE, text=True, check=True)
    listed = nm.stdout.splitlines()
    exported = [line.split()[-1] for line in listed if re.search(r" [TDBRVWGu] ", line) and " w " not in line]
    assert exported == ["sqlite3_marmot_init", "sqlite3_marmotmysql_init"], exported
    assert not [line for line in listed if " U sqlite3" in line]
    needed = subprocess.run(["readelf", "-d", setting.library], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert not re.search("libstdc|libsqlite3|libcrypto|libz[.]", needed), needed
    # That none of our own sources opens a socket is for tests/layers: libcrypto's unused parts are linked in.
    forbidden = [line for line in listed if re.search(r" U (pthread_create|abort_handler)(@|$)", line)]
    assert not forbidden, forbidden


@fact
def killed_writer(setting):
    """a writer killed in the middle of a transaction leaves neither rows nor log"""
    db = connect(setting, load=True)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    db.execute("SELECT marmot_watch('t')").fetchall()
    code = ("import sqlite3, os, sys, signal\n"
            "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "db.execute('INSERT INTO t VALUES(1)')\n"
            "db.execute('BEGIN')\n"
            "db.executemany('INSERT INTO t VALUES(?)', [(i,) for i in range(2, 500)])\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n")
    subprocess.run([sys.executable, "-c", code, setting.db], check=False, timeout=30)
    assert column(db, "SELECT count(*) FROM t") == [1]
    assert column(db, "SELECT count(*) FROM __marmot_log") == [1]


@fact
def readers_and_checkpoints(setting):
    """a loaded extension holds no lock: checkpoints truncate the WAL and others write"""
    db = connect(setting, load=True)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    for sql in ("SELECT marmot_watch('t')", "SELECT marmot_pending()", "SELECT marmot_wait('PUBLISHED', 0)",
                "SELECT * FROM marmot_tables", "SELECT * FROM marmot_changes", "SELECT marmot_node_id()"):
        db.execute(sql).fetchall()
    other = connect(setting)
    other.execute("INSERT INTO t VALUES(1)")
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


@fact
def one_now_a_statement(setting):
    """NOW() is one time for a statement and its triggers, another for the next; functions of dates alone may be indexed, those of the clock not"""
    db = connect(setting, load=True)
    db.executescript("CREATE TABLE t(v, at); CREATE TABLE log(at);"
                     "CREATE TRIGGER told AFTER INSERT ON t BEGIN INSERT INTO log VALUES(NOW(6)); END")
    times = set()
    for _ in range(20):
        db.executescript("DELETE FROM t; DELETE FROM log; INSERT INTO t SELECT value, NOW(6) FROM json_each('[1, 2, 3]')")
        told = column(db, "SELECT at FROM t UNION ALL SELECT at FROM log")
        assert len(told) == 6 and len(set(told)) == 1, told
        times.update(told)
    assert len(times) == 20, times
    cursor = db.execute("SELECT NOW(6) FROM json_each('[1, 2, 3]')")
    first = cursor.fetchone()
    time.sleep(0.001)
    assert db.execute("SELECT NOW(6)").fetchone() > first
    assert cursor.fetchall() == [first, first]
    db.execute("CREATE INDEX years ON t(YEAR(at), WEEK(at, 3), DATE_ADD(at, 1, 'DAY'))")
    for clock in ("NOW()", "DATE_FORMAT(at, '%W')", "WEEK(at)", "UNIX_TIMESTAMP(at)"):
        try:
            db.execute(f"CREATE INDEX wrong ON t({clock})")
        except sqlite3.OperationalError as error:
            assert "non-deterministic" in str(error)
        else:
            raise AssertionError(clock)
