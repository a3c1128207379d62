"""Virtual tables whose module is none of SQLite's own: what they hold is each file's own, whether or not the agents have loaded the module."""
from case import case
from process import check, until
from sqlite_vec import vec0, vec_connect
from tables import execute, query, scalar

SCHEMA = ["CREATE TABLE doc(id INTEGER PRIMARY KEY, body TEXT, vector BLOB)",
          "CREATE VIRTUAL TABLE doc_vec USING vec0(id INTEGER PRIMARY KEY, v FLOAT[4], +note TEXT)",
          "CREATE TRIGGER doc_ai AFTER INSERT ON doc WHEN new.vector IS NOT NULL BEGIN INSERT INTO doc_vec(id, v, note) VALUES(new.id, new.vector, 'of a trigger'); END"]


def vectors(path):
    connection = vec_connect(path)
    try:
        return connection.execute("SELECT id, vec_to_json(v), note FROM doc_vec ORDER BY id").fetchall()
    finally:
        connection.close()


def write(path, *statements):
    connection = vec_connect(path)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


def vectors_stay(t, loaded):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    for node in (one, two):
        write(node.db, *SCHEMA)  # every node runs the same migrations
        if loaded:
            config = t.dir / f"{node.name}.toml"
            config.write_text(f'[extensions]\nload = ["{vec0()}"]\n')
            node.options += ["--config", config]
        node.start()
    write(one.db, "INSERT INTO doc_vec VALUES(1, '[1,1,1,1]', 'of one'), (2, '[2,2,2,2]', 'of one')", "INSERT INTO doc(id, body) VALUES(1, 'one')")
    write(two.db, "INSERT INTO doc_vec VALUES(1, '[9,9,9,9]', 'of two')", "INSERT INTO doc(id, body) VALUES(2, 'two')")
    for node in (one, two):
        until(f"{node.name} has both rows", lambda: scalar(node.db, "SELECT count(*) FROM doc") == 2)
    # Again, now that the first ones would have arrived.
    write(one.db, "INSERT INTO doc_vec VALUES(3, '[3,3,3,3]', 'of one')", "DELETE FROM doc_vec WHERE id = 2")
    write(two.db, "INSERT INTO doc_vec VALUES(4, '[4,4,4,4]', 'of two')", "INSERT INTO doc VALUES(3, 'three', '[7,7,7,7]')")
    until("node 1 has the third row", lambda: scalar(one.db, "SELECT count(*) FROM doc") == 3)
    of_one = [(1, "[1.000000,1.000000,1.000000,1.000000]", "of one"), (3, "[3.000000,3.000000,3.000000,3.000000]", "of one")]
    of_two = [(1, "[9.000000,9.000000,9.000000,9.000000]", "of two"), (3, "[7.000000,7.000000,7.000000,7.000000]", "of a trigger"),
              (4, "[4.000000,4.000000,4.000000,4.000000]", "of two")]
    check(vectors(one.db) == of_one, f"node 1 holds {vectors(one.db)}")
    check(vectors(two.db) == of_two, f"node 2 holds {vectors(two.db)}")
    for node in (one, two):
        watched = query(node.db, "SELECT name FROM __marmot_table ORDER BY name")
        check(watched == [("doc",)], f"{node.name} watches {watched}")
        told = node.program.err().count("table doc_vec_vector_chunks00 is not watched: taken for a backing table of the virtual table doc_vec")
        check(told == 1, f"{node.name} tells {told} times\n{node.program.err_tail()}")
    return one, two


@case("vectors that two nodes write to a table of sqlite-vec stay each file's own, where the agents have not loaded it")
def foreign_module_unknown(t):
    vectors_stay(t, loaded=False)


@case("vectors stay each file's own where the agents have loaded sqlite-vec, and follow through triggers")
def foreign_module_loaded(t):
    one, two = vectors_stay(t, loaded=True)
    write(two.db, "INSERT INTO doc VALUES(5, 'five', '[5,5,5,5]')")
    until("the trigger's vector is on node 1", lambda: (5, "[5.000000,5.000000,5.000000,5.000000]", "of a trigger") in vectors(one.db))
    check(len(vectors(two.db)) == 4, f"node 2 holds {vectors(two.db)}")


@case("an ordinary table that is named like a backing table is replicated where `tables` names it")
def foreign_module_overruled(t):
    nats = t.nats()
    one, two = t.nodes(2, nats, options=["--tables", "*", "--tables", "doc_vec_tags"])
    for node in (one, two):
        write(node.db, *SCHEMA, "CREATE TABLE doc_vec_tags(id INTEGER PRIMARY KEY, tag TEXT)")
        node.start()
    execute(one.db, "INSERT INTO doc_vec_tags VALUES(1, 'one')")
    until("node 2 has it", lambda: query(two.db, "SELECT * FROM doc_vec_tags") == [(1, "one")])
    watched = query(two.db, "SELECT name FROM __marmot_table ORDER BY name")
    check(watched == [("doc",), ("doc_vec_tags",)], f"node 2 watches {watched}")


def not_here(node):
    return {one["name"]: one["stopped"] for one in node.status()["databases"][0]["objects"]}


def finds(node, index, word="marmot"):
    return [row[0] for row in query(node.db, f"SELECT rowid FROM {index} WHERE {index} MATCH ? ORDER BY rowid", word)]


@case("full-text indexes over an excluded table, a view that fails on a row, and one without triggers: a node joins all the same, tells of two, and fills each once it can")
def content_not_there(t):
    nats = t.nats()
    one, two = t.nodes(2, nats, options=["--exclude", "own"])
    for statement in ("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO note VALUES(1, 'a marmot'), (2, 'a badger')",
                      "CREATE TABLE own(id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO own VALUES(1, 'a marmot')",
                      "CREATE TABLE doc(id INTEGER PRIMARY KEY, v TEXT)", """INSERT INTO doc VALUES(1, '{"a": "marmot"}'), (2, '{')""",
                      "CREATE VIEW shown AS SELECT id AS rowid, json_extract(v, '$.a') AS body FROM doc",
                      "CREATE VIRTUAL TABLE over_note USING fts5(body, content=note)", "INSERT INTO over_note(over_note) VALUES('rebuild')",
                      "CREATE VIRTUAL TABLE over_own USING fts5(body, content=own)", "INSERT INTO over_own(over_own) VALUES('rebuild')",
                      "CREATE VIRTUAL TABLE over_view USING fts4(body, content=shown)",
                      "CREATE TRIGGER note_i AFTER INSERT ON note BEGIN INSERT INTO over_own(rowid, body) VALUES(new.id, new.body); END"):
        execute(one.db, statement)
    one.start()
    two.start()
    until("node 2 searches the notes", lambda: finds(two, "over_note") == [1])
    told = {"full-text index over_own", "full-text index over_view"}
    until("node 2 tells of both", lambda: set(not_here(two)) == told)
    check("no such table: main.own" in not_here(two)["full-text index over_own"], f"{not_here(two)}")
    execute(one.db, "INSERT INTO note VALUES(3, 'goes on')")
    until("rows go on", lambda: scalar(two.db, "SELECT count(*) FROM note") == 3)
    two.stop()
    two.start()
    until("it tells of both after a start", lambda: set(not_here(two)) == told)
    check(two.program.err().count("full-text index over_own: its content cannot be read here") == 1, two.program.err_tail())
    # Cured: in the cluster, and on node 2 alone. By a change of the schema, for which the pause ends.
    execute(one.db, """UPDATE doc SET v = '{"a": "badger"}' WHERE id = 2""")
    until("the cure is there", lambda: scalar(two.db, """SELECT count(*) FROM doc WHERE v LIKE '%badger%'""") == 1)
    execute(two.db, "CREATE TABLE own(id INTEGER PRIMARY KEY, body TEXT)")
    execute(two.db, "INSERT INTO own VALUES(7, 'a marmot of node 2')")
    until("node 2 has filled them", lambda: not_here(two) == {} and finds(two, "over_own") == [7] and finds(two, "over_view") == [1], 20 * t.slow)
    check(finds(one, "over_own") == [1], "node 1's index is its own")
