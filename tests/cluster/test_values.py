"""Every value of every storage class, every kind of key and every way to write arrives as it was written."""
import math

from case import case
from process import check, until
from tables import connect, contents, execute, query, scalar, wait_identical

EDGE_VALUES = [
    ("int64 minimum", "-9223372036854775808"), ("int64 maximum", "9223372036854775807"), ("2^53 + 1", "9007199254740993"),
    ("zero", "0"), ("minus one", "-1"), ("one as a real", "1.0"), ("minus zero", "-0.0"), ("infinity", "9e999"),
    ("minus infinity", "-9e999"), ("smallest real", "4.9406564584124654e-324"), ("largest real", "1.7976931348623157e308"),
    ("a third", "1.0 / 3"), ("NULL", "NULL"), ("empty text", "''"), ("empty blob", "x''"), ("a blob", "x'00ff80'"),
    ("the same bytes as text", "CAST(x'00ff80' AS TEXT)"), ("invalid UTF-8", "CAST(x'c328fffe' AS TEXT)"),
    ("embedded NUL", "CAST(x'610062' AS TEXT)"), ("surrogate halves", "CAST(x'eda080' AS TEXT)"),
    ("text that looks like a number", "'12.50'"), ("non-ASCII", "'żółć 漢字 🐿'"), ("quotes", "'it''s \"quoted\"'"),
    ("100 kB of blob", "zeroblob(100000)"), ("text of 70 kB", "printf('%.70000c', 'x')"),
]


@case("every storage class and edge value arrives bit for bit, in columns of every affinity", short=True)
def values_bit_exact(t):
    nats = t.nats()
    one, two, three = t.nodes(3, nats)
    execute(one.db,
            "CREATE TABLE v(id INTEGER PRIMARY KEY, what TEXT, plain, i INTEGER, r REAL, t TEXT, n NUMERIC, b BLOB)",
            "CREATE TABLE strict_v(id INTEGER PRIMARY KEY, a ANY, i INTEGER, r REAL, t TEXT, b BLOB) STRICT")
    for number, (what, literal) in enumerate(EDGE_VALUES[:5]):
        execute(one.db, f"INSERT INTO v VALUES({number}, '{what}', {', '.join([literal] * 6)})")
    for node in (one, two, three):
        node.start()
    wait_identical([one.db, two.db, three.db])
    connection = connect(two.db)
    for number, (what, literal) in enumerate(EDGE_VALUES):
        connection.execute(f"INSERT OR REPLACE INTO v VALUES({number}, '{what}', {', '.join([literal] * 6)})")
        connection.execute(f"INSERT INTO strict_v(id, a) VALUES({number}, {literal})")
    connection.close()
    found = wait_identical([one.db, two.db, three.db])
    plain = {row[1][1].decode(): row[2] for row in found["v"]}
    check(plain["minus zero"][1].hex() == "8000000000000000", f"minus zero became {plain['minus zero']}")
    check(scalar(three.db, "SELECT plain FROM v WHERE what = 'infinity'") == math.inf, "infinity became something else")
    check(plain["the same bytes as text"] == ("text", b"\x00\xff\x80") and plain["a blob"] == b"\x00\xff\x80",
          "text and blob of the same bytes were confused")
    check(plain["embedded NUL"] == ("text", b"a\x00b"), f"an embedded NUL became {plain['embedded NUL']}")
    check(plain["empty blob"] == b"" and plain["NULL"] is None, "an empty blob and NULL were confused")


@case("half of a surrogate pair in a UTF-16 file's key arrives in a UTF-8 file, and what a UTF-16 file cannot hold is told there until it is mended")
def utf16_texts(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    connection = connect(one.db)
    connection.execute("PRAGMA encoding = 'UTF-16le'")
    connection.execute("CREATE TABLE v(k TEXT PRIMARY KEY, v TEXT)")
    connection.close()
    one.start()
    two.start()
    execute(one.db, "INSERT INTO v VALUES(CAST(x'00d8' AS TEXT), 'half')")
    until("node 2 has it", lambda: query(two.db, "SELECT hex(CAST(k AS BLOB)), v FROM v") == [("EDA080", "half")])
    execute(two.db, "UPDATE v SET v = 'seen'", "INSERT INTO v VALUES(CAST(x'eda081' AS TEXT), CAST(x'ff' AS TEXT))")
    until("node 1 has the change", lambda: query(one.db, "SELECT hex(CAST(k AS BLOB)), v FROM v") == [("00D8", "seen")])
    until("what it cannot hold waits there", lambda: scalar(one.db, "SELECT count(*) FROM __marmot_shelf") == 1)
    waits = str(one.json("conflicts"))
    check("xed" in waits and "text_hex" in waits, waits)
    text = one.command("conflicts").stdout
    check("\\xed\\xa0\\x81" in text and "no valid UTF-8" in text, text)
    found = one.command("verify")  # tables differ while it waits
    check(found.returncode == 3 and "\\xed\\xa0\\x81" in found.stdout, f"{found.returncode}: {found.stdout}{found.stderr}")
    execute(two.db, "UPDATE v SET v = 'mended' WHERE v <> 'seen'")
    until("node 1 has it mended", lambda: scalar(one.db, "SELECT count(*) FROM v WHERE v = 'mended'") == 1)
    same = one.command("verify")
    check(same.returncode == 0, f"{same.returncode}: {same.stdout}{same.stderr}")


KEYED = [
    ("CREATE TABLE k_int(id INTEGER PRIMARY KEY, v)", ["1", "-9223372036854775808", "9223372036854775807", "0"]),
    ("CREATE TABLE k_auto(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", ["5", "6"]),
    ("CREATE TABLE k_text(id TEXT PRIMARY KEY, v)", ["'a'", "''", "'A'", "CAST(x'ff' AS TEXT)", "CAST(x'610062' AS TEXT)", "x'61'"]),
    ("CREATE TABLE k_blob(id BLOB PRIMARY KEY, v)", ["x''", "x'00'", "x'0000'", "x'ff'", "1", "1.5", "'x'", "-0.5", "9e999"]),
    ("CREATE TABLE k_any(id PRIMARY KEY, v)", ["1", "'1'", "x'31'", "2.5", "-7", "9223372036854775807"]),
    ("CREATE TABLE k_nocase(id TEXT COLLATE NOCASE PRIMARY KEY, v)", ["'Straße'", "'abc'"]),
    ("CREATE TABLE k_rtrim(id TEXT COLLATE RTRIM PRIMARY KEY, v)", ["'abc'", "'abd  '"]),
    ("CREATE TABLE k_without(id TEXT PRIMARY KEY, v) WITHOUT ROWID", ["'a'", "'b'"]),
    ("CREATE TABLE k_strict(id TEXT PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID", ["'a'", "'b'"]),
    ("CREATE TABLE k_null(id TEXT PRIMARY KEY, v)", ["NULL", "NULL", "'x'"]),
    ("CREATE TABLE k_desc(id INTEGER PRIMARY KEY DESC, v)", ["1", "2"]),
]
ODD_NAMES = ['quo"te', "sp ace", "select", "bra[ck]et", "żółw", "per%cent", "it's", "semi;colon", "dash-dash--x"]


@case("every kind of key, and every kind of name, replicates inserts, updates, key changes and deletes")
def keys_and_names(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    statements = [create for create, _ in KEYED]
    statements += ["CREATE TABLE k_pair(a TEXT, b INT, v, PRIMARY KEY(b, a))",
                   "CREATE TABLE k_pair_wr(a TEXT, b INT, c BLOB, v, PRIMARY KEY(a, c)) WITHOUT ROWID",
                   "CREATE TABLE generated(id INTEGER PRIMARY KEY, a INT, twice INT AS (a * 2) STORED, thrice INT AS (a * 3))",
                   "CREATE UNIQUE INDEX partial ON generated(a) WHERE a > 100",
                   "CREATE INDEX expression ON generated(a + 1)"]
    for name in ODD_NAMES:
        q = '"' + name.replace('"', '""') + '"'
        statements.append(f"CREATE TABLE {q}({q} TEXT PRIMARY KEY, \"val ue\" TEXT)")
    execute(one.db, *statements)
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    for node, tag in ((one, 1), (two, 2)):
        connection = connect(node.db)
        for create, literals in KEYED:
            table = create.split("(")[0].split()[-1]
            for literal in literals:
                connection.execute(f"INSERT OR IGNORE INTO {table}(id, v) VALUES({literal}, 'of {tag}')")
        connection.execute(f"INSERT INTO k_pair VALUES('a', {tag}, 1), (NULL, {tag}, 2), ('b', NULL, {tag})")
        connection.execute(f"INSERT INTO k_pair_wr VALUES('a', {tag}, x'0{tag}', 'v')")
        connection.execute(f"INSERT INTO generated(id, a) VALUES({tag}, {tag}), ({tag + 10}, {tag + 200})")
        for name in ODD_NAMES:
            q = '"' + name.replace('"', '""') + '"'
            connection.execute(f"INSERT INTO {q} VALUES('row of {tag}', 'x'), ('gone {tag}', 'y')")
            connection.execute(f"UPDATE {q} SET \"val ue\" = 'changed' WHERE {q} = 'row of {tag}'")
            connection.execute(f"DELETE FROM {q} WHERE {q} = 'gone {tag}'")
        connection.close()
        wait_identical([one.db, two.db])
    # The other node's rows, now: keys move, values change, rows go.
    execute(two.db, "UPDATE k_int SET id = id + 1000 WHERE id < 5 AND id >= 0", "UPDATE k_text SET id = id || '!' WHERE id = 'A'",
            "UPDATE k_nocase SET id = 'ABC' WHERE id = 'abc'", "UPDATE k_blob SET id = x'1234' WHERE id = x'00'",
            "UPDATE k_pair SET a = 'z', v = 9 WHERE b = 1 AND a = 'a'", "DELETE FROM k_without", "DELETE FROM k_null WHERE id IS NULL",
            "UPDATE generated SET a = a + 1 WHERE a < 100", "DELETE FROM generated WHERE thrice = 6", "UPDATE k_any SET id = 'one' WHERE id = 1")
    found = wait_identical([one.db, two.db])
    check(found["k_without"] == [] and len(found["k_null"]) == 1, "the deletes arrived")
    check(("text", b"ABC") in {row[0] for row in found["k_nocase"]}, "a key that changed only its case kept the old one")
    check(len(found["k_any"]) == 6, f"k_any holds {found['k_any']}")


@case("rows of tables without a key, written on two nodes under one rowid, are two rows, across VACUUM too", short=True)
def keyless_tables(t):
    nats = t.nats()
    one, two, three = t.nodes(3, nats)
    execute(one.db, "CREATE TABLE loose(body TEXT)", "CREATE TABLE indexed(body TEXT, n INT)",
            "CREATE INDEX by_n ON indexed(n)", "INSERT INTO loose VALUES('first')")
    for node in (one, two, three):
        node.start()
    wait_identical([one.db, two.db, three.db])
    for node in (one, two):
        node.kill9()
        execute(node.db, *[f"INSERT INTO loose VALUES('{node.name} {i}')" for i in range(20)],
                f"INSERT INTO indexed VALUES('{node.name}', 1)", "INSERT INTO loose VALUES('the same on both')")
    for node in (one, two):
        node.start()
    found = wait_identical([one.db, two.db, three.db])
    check(len(found["loose"]) == 43, f"1 + 2 * 21 rows became {len(found['loose'])}")
    check(len(found["indexed"]) == 2, f"both rows under rowid 1 live: {found['indexed']}")
    execute(one.db, "DELETE FROM loose WHERE body LIKE 'n1 1%'")
    wait_identical([one.db, two.db, three.db])
    for node in (one, two, three):
        execute(node.db, "VACUUM")
    execute(two.db, "UPDATE loose SET body = body || ' again' WHERE body = 'n1 5'")
    execute(three.db, "DELETE FROM loose WHERE body = 'n2 3'")
    execute(one.db, "UPDATE loose SET body = 'changed by one' WHERE body = 'n2 4'")
    found = wait_identical([one.db, two.db, three.db])
    bodies = [row[0][1].decode() for row in found["loose"]]
    check("n1 5 again" in bodies and "n2 3" not in bodies and "changed by one" in bodies and "n2 4" not in bodies,
          f"changes after VACUUM hit the wrong rows: {sorted(bodies)}")


@case("an FTS5 search on node 3 finds node 1's row, and an excluded log table is written there by the same trigger")
def fts5_finds(t):
    nats = t.nats()
    one, two, three = t.nodes(3, nats, options=["--exclude", "audit"])
    schema = ["CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)",
              "CREATE VIRTUAL TABLE note_fts USING fts5(body, content='note', content_rowid='id')",
              "CREATE TABLE audit(id INTEGER PRIMARY KEY, what TEXT)",
              "CREATE TRIGGER note_ai AFTER INSERT ON note BEGIN INSERT INTO note_fts(rowid, body) VALUES(new.id, new.body); "
              "INSERT INTO audit(what) VALUES('insert ' || new.id); END",
              "CREATE TRIGGER note_ad AFTER DELETE ON note BEGIN "
              "INSERT INTO note_fts(note_fts, rowid, body) VALUES('delete', old.id, old.body); END",
              "CREATE TRIGGER note_au AFTER UPDATE ON note BEGIN "
              "INSERT INTO note_fts(note_fts, rowid, body) VALUES('delete', old.id, old.body); "
              "INSERT INTO note_fts(rowid, body) VALUES(new.id, new.body); END"]
    for node in (one, two, three):  # every node runs the same migrations
        execute(node.db, *schema)
    for node in (one, two, three):
        node.start()
    execute(one.db, "INSERT INTO note VALUES(1, 'the quick brown marmot'), (2, 'a lazy dog')")
    until("node 3 finds the row",
          lambda: query(three.db, "SELECT rowid FROM note_fts WHERE note_fts MATCH 'marmot'") == [(1,)])
    execute(three.db, "UPDATE note SET body = 'the quick brown fox' WHERE id = 1", "DELETE FROM note WHERE id = 2")
    until("node 1 forgets the old words",
          lambda: query(one.db, "SELECT rowid FROM note_fts WHERE note_fts MATCH 'fox OR marmot OR dog'") == [(1,)])
    until("node 2 has the audit row", lambda: scalar(two.db, "SELECT count(*) FROM audit") == 2)
    for db in (one.db, two.db, three.db):
        execute(db, "INSERT INTO note_fts(note_fts) VALUES('integrity-check')")
    # As sqlite-utils 4 makes one beside a running agent (enable_fts, without triggers).
    execute(one.db, 'CREATE VIRTUAL TABLE "note_search" USING FTS5 (\n    "body",\n    content="note"\n)',
            'INSERT INTO "note_search" (rowid, "body") SELECT rowid, "body" FROM "note"')
    until("node 3 finds the row by way of the new index", lambda: scalar(three.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'note_search'") == 1
          and query(three.db, "SELECT rowid FROM note_search WHERE note_search MATCH 'fox'") == [(1,)])
    same = one.command("verify")
    check(same.returncode == 0, f"{same.returncode}: {same.stdout}{same.stderr}")
    execute(three.db, "INSERT INTO note_search(note_search) VALUES('delete-all')")
    out_of_step = one.command("verify")
    check(out_of_step.returncode == 3 and "full-text index note_search on node" in out_of_step.stdout
          and """INSERT INTO "note_search"("note_search") VALUES('rebuild')""" in out_of_step.stdout and "note_fts" not in out_of_step.stdout,
          f"{out_of_step.returncode}: {out_of_step.stdout}{out_of_step.stderr}")
    execute(three.db, "INSERT INTO note_search(note_search) VALUES('rebuild')")
    check(one.command("verify").returncode == 0, "it is right again")


@case("what a trigger could not write for another node's row stands in status and in the metrics, with the last one's words")
def failed_effects(t):
    nats = t.nats()
    one, two = t.nodes(2, nats, options=["--exclude", "audit"])
    for node, column in ((one, "what TEXT"), (two, "what TEXT UNIQUE")):
        execute(node.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", f"CREATE TABLE audit({column})",
                "CREATE TRIGGER note_ai AFTER INSERT ON note BEGIN INSERT INTO audit VALUES('insert'); END")
        node.start()
    check(two.status()["databases"][0]["failed_effects"] == 0 and "triggers" not in two.command("status").stdout, "none failed yet")
    execute(one.db, *[f"INSERT INTO note VALUES({i}, 'x')" for i in range(5)])
    wait_identical([one.db, two.db], own="audit")
    until("status counts it, once", lambda: two.status()["databases"][0]["failed_effects"] == 1)
    last = two.status()["databases"][0]["last_failed_effect"]
    check(last.startswith("trigger note_ai failed on a row of table note") and "UNIQUE constraint failed: audit.what" in last, last)
    text = two.command("status").stdout
    check("triggers" in text and "1 different failure of what" in text and last in text, text)
    metrics = two.command("status", "--metrics").stdout
    check('marmot_failed_effects_total{database="app"} 1\n' in metrics, metrics)
    check(one.status()["databases"][0]["failed_effects"] == 0, "nothing failed on node 1")


@case("every way to write a row arrives: REPLACE victims, upserts, cascades, triggers, savepoints, DELETE without WHERE",
      short=True)
def ways_to_write(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db,
            "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT)",
            "CREATE TABLE badge(id INTEGER PRIMARY KEY, code TEXT UNIQUE ON CONFLICT REPLACE)",
            "CREATE TABLE parent(id INTEGER PRIMARY KEY)",
            "CREATE TABLE child(id INTEGER PRIMARY KEY, parent REFERENCES parent(id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE stock(item TEXT PRIMARY KEY, n INT)", "CREATE TABLE history(id INTEGER PRIMARY KEY, item TEXT, n INT)",
            "CREATE TRIGGER keep AFTER UPDATE ON stock BEGIN INSERT INTO history(item, n) VALUES(old.item, old.n); END",
            "CREATE TABLE bulk(id INTEGER PRIMARY KEY, v)",
            "INSERT INTO bulk(v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    for pragmas in (["PRAGMA recursive_triggers = OFF"], ["PRAGMA recursive_triggers = ON", "PRAGMA trusted_schema = OFF"]):
        connection = connect(two.db)
        for pragma in [*pragmas, "PRAGMA foreign_keys = ON"]:
            connection.execute(pragma)
        for statement in (
                "DELETE FROM person", "DELETE FROM parent", "DELETE FROM stock",
                "INSERT INTO person VALUES(1, 'a@x', 'A'), (2, 'b@x', 'B'), (3, NULL, 'C'), (4, NULL, 'D')",
                "INSERT OR REPLACE INTO person VALUES(9, 'a@x', 'took the address of 1')",
                "UPDATE OR REPLACE person SET email = 'b@x' WHERE id = 3",
                "INSERT INTO person VALUES(9, 'z@x', 'Z') ON CONFLICT(id) DO UPDATE SET name = excluded.name",
                "INSERT OR IGNORE INTO person VALUES(9, 'q@x', 'ignored')",
                "DELETE FROM badge", "INSERT INTO badge VALUES(1, 'gold')", "INSERT INTO badge VALUES(2, 'gold')",
                "INSERT INTO parent VALUES(1), (2), (3)", "INSERT INTO child(parent) VALUES(1), (1), (2), (3)",
                "UPDATE parent SET id = 30 WHERE id = 3", "DELETE FROM parent WHERE id = 1",
                "INSERT INTO stock VALUES('nut', 1)", "UPDATE stock SET n = n + 1", "UPDATE stock SET n = n + 1",
                "BEGIN", "INSERT INTO bulk(id, v) VALUES(9001, 'kept')", "SAVEPOINT s", "UPDATE bulk SET v = 'rolled back'",
                "DELETE FROM bulk WHERE id < 100", "ROLLBACK TO s", "COMMIT",
                "BEGIN", "DELETE FROM bulk WHERE id < 400", "ROLLBACK",
                "DELETE FROM bulk WHERE id = 9001"):
            connection.execute(statement)
        found = wait_identical([one.db, two.db])
        people = {row[0]: row[1] for row in found["person"]}
        check(people == {9: ("text", b"a@x"), 3: ("text", b"b@x"), 4: None}, f"REPLACE left {people}")
        check([row[0] for row in found["badge"]] == [2], f"ON CONFLICT REPLACE left {found['badge']}")
        check(sorted(row[1] for row in found["child"]) == [2, 30], f"the cascades left {found['child']}")
        check(len(found["bulk"]) == 500 and len(found["history"]) in (2, 4), "savepoints or triggers went astray")
        connection.close()
    execute(one.db, "DELETE FROM bulk")
    found = wait_identical([one.db, two.db])
    check(found["bulk"] == [], "DELETE without WHERE arrives")


@case("values that swap places across a UNIQUE index in one transaction arrive")
def unique_swap(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE seat(id INTEGER PRIMARY KEY, place INT UNIQUE)", "INSERT INTO seat VALUES(1, 1), (2, 2), (3, 3)")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    execute(two.db, "UPDATE seat SET place = -id", "UPDATE seat SET place = 4 + place")
    wait_identical([one.db, two.db])
    check(contents(one.db)["seat"] == [(1, 3), (2, 2), (3, 1)], f"the seats are {contents(one.db)['seat']}")
