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
