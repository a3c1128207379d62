"""Joining (docs/design.md, "Joining"): what a node brings along decides what happens."""
import shutil

from case import case
from node import stream_of
from process import check, until
from tables import contents, execute, query, scalar, wait_identical


def notes(db, *bodies, first=1):
    execute(db, "CREATE TABLE IF NOT EXISTS note(id INTEGER PRIMARY KEY, body TEXT)", "CREATE INDEX IF NOT EXISTS by_body ON note(body)",
            *[("INSERT INTO note VALUES(?, ?)", (first + i, body)) for i, body in enumerate(bodies)])


@case("a missing file and an empty one are built from the stream, schema and rows", short=True)
def missing_and_empty(t):
    nats = t.nats()
    one, two, three = t.nodes(3, nats)
    notes(one.db, "a", "b", "c")
    execute(one.db, "CREATE VIEW long_note AS SELECT * FROM note WHERE length(body) > 3")
    three.db.touch()
    for node in (one, two, three):
        node.start()
    wait_identical([one.db, two.db, three.db])
    for node in (two, three):
        names = {r[0] for r in query(node.db, "SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_\\_marmot%' ESCAPE '\\'")}
        check({"note", "by_body", "long_note"} <= names, f"{node.name} lacks schema objects: it has {names}")
        check(scalar(node.db, "PRAGMA journal_mode") == "wal", f"{node.name} is not in WAL mode")


@case("a table created while the agents run arrives on the other nodes, with its rows and indexes")
def new_table(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    notes(one.db, "a")
    for node in (one, two):
        node.start()
    wait_identical([one.db, two.db])
    execute(two.db, "CREATE TABLE later(id TEXT PRIMARY KEY, v)", "CREATE INDEX later_v ON later(v)", "INSERT INTO later VALUES('x', 1)")
    until("node 1 has the table and its row", lambda: scalar(one.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'later'")
          and scalar(one.db, "SELECT v FROM later WHERE id = 'x'") == 1)
    execute(one.db, "UPDATE later SET v = 2")
    wait_identical([one.db, two.db])


@case("the joining command that the first agent prints works as it stands, against its embedded server", short=True)
def printed_join_line(t):
    one = t.node("first")
    notes(one.db, "hello")
    one.start()
    line = one.program.wait_line(r"to join on this machine: marmot (agent .*)").group(1).split()
    two = t.node("second")
    arguments = [str(two.db) if word == "first-2.db" else word for word in line]
    two.arguments = lambda: arguments
    two.start()
    wait_identical([one.db, two.db])
    execute(two.db, "INSERT INTO note(body) VALUES('from the second')")
    until("the first node has the second's row", lambda: scalar(one.db, "SELECT count(*) FROM note") == 2)
    wait_identical([one.db, two.db])


@case("an identical copy publishes nothing")
def identical_copy(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    notes(one.db, *(f"note {i}" for i in range(500)))
    shutil.copy(one.db, two.db)
    one.start()
    until("node 1 has published",
          lambda: scalar(one.db, "SELECT count(*) FROM __marmot_version WHERE seq IS NULL") == 0)
    before = nats.stream_state(stream_of("app"))
    two.start()
    wait_identical([one.db, two.db])
    after = nats.stream_state(stream_of("app"))
    # Its claim of a slot of ids is a message, which holds no row.
    published = two.status()["databases"][0]["published"]
    check(published == 0 and after["last_seq"] <= before["last_seq"] + 1, f"the copy published {published} rows: {before} became {after}")
    execute(two.db, "UPDATE note SET body = 'changed' WHERE id = 7")
    wait_identical([one.db, two.db])


@case("a file that was copied with its identity gets a node id of its own, and both go on", short=True)
def copied_identity(t):
    nats = t.nats()
    one = t.node("n1", nats, database_name="app")
    notes(one.db, "a", "b")
    one.start()
    first_id = one.printed_node_id()
    one.stop()
    two = t.node("n2", nats, database_name="app")
    shutil.copy(one.db, two.db)
    one.start()
    two.start()
    check(one.printed_node_id() == first_id, "a restart keeps the node id")
    check(two.printed_node_id() != first_id, f"the copy runs as node {first_id} too")
    execute(one.db, "INSERT INTO note(id, body) VALUES(10, 'of one')")
    execute(two.db, "INSERT INTO note(id, body) VALUES(20, 'of two')")
    wait_identical([one.db, two.db])
    check(scalar(one.db, "SELECT count(*) FROM note") == 4, "both wrote, and both rows are there")


def strangers(t):
    """A running node with rows 1 to 3, and a file that has 1 the same, 2 different, and 9 of its own."""
    nats = t.nats()
    one, two = t.nodes(2, nats)
    notes(one.db, "same", "of the cluster", "only in the cluster")
    notes(two.db, "same", "of the file")
    execute(two.db, "INSERT INTO note VALUES(9, 'only in the file')")
    one.start()
    return one, two


@case("a file with data of its own is refused, with what differs counted, and stays as it is")
def stranger_refused(t):
    one, two = strangers(t)
    before = contents(two.db)
    two.launch()
    code = two.program.wait(15)
    said = two.program.err()
    check(code in (1, 3), f"ended with {code}: {said}")
    check("note" in said and "--adopt" in said, f"the refusal names neither table nor cure: {said}")
    check(any(ch.isdigit() for ch in said), f"the refusal counts nothing: {said}")
    check(contents(two.db) == before, "the refused file was changed")
    check(scalar(one.db, "SELECT count(*) FROM note") == 3, "the cluster was changed")


@case("--adopt merge: the cluster wins on equal keys, and the file's own rows are published", short=True)
def adopt_merge(t):
    one, two = strangers(t)
    two.start("--adopt", "merge")
    wait_identical([one.db, two.db])
    check(query(one.db, "SELECT * FROM note ORDER BY id") ==
          [(1, "same"), (2, "of the cluster"), (3, "only in the cluster"), (9, "only in the file")],
          f"merged into {query(one.db, 'SELECT * FROM note ORDER BY id')}")


@case("--adopt replace: the file becomes the cluster's, and a backup of it is kept")
def adopt_replace(t):
    one, two = strangers(t)
    two.start("--adopt", "replace")
    wait_identical([one.db, two.db])
    check(scalar(two.db, "SELECT count(*) FROM note") == 3, "the file's own row is gone")
    kept = [p for p in t.dir.rglob("*") if p.is_file() and p.name.startswith("n2") and p != two.db and p.stat().st_size > 4096
            and p.read_bytes()[:15] == b"SQLite format 3"]
    check(any(scalar(p, "SELECT body FROM note WHERE id = 9") == "only in the file" for p in kept),
          f"no backup holds the replaced rows; found {kept}")


@case("a node that was away catches up from where it stopped, both ways", short=True)
def away_and_back(t):
    nats = t.nats()
    one, two, three = t.nodes(3, nats)
    notes(one.db, "a")
    for node in (one, two, three):
        node.start()
    wait_identical([one.db, two.db, three.db])
    two.kill9()
    execute(one.db, *[f"INSERT INTO note VALUES({1000 + i}, 'one while away')" for i in range(2000)])
    execute(two.db, *[f"INSERT INTO note VALUES({5000 + i}, 'two while away')" for i in range(2000)],
            "UPDATE note SET body = 'changed while away' WHERE id = 1")
    two.start()
    wait_identical([one.db, two.db, three.db])
    check(scalar(three.db, "SELECT count(*) FROM note") == 4001, "every row of both is on the third")
    check(scalar(three.db, "SELECT body FROM note WHERE id = 1") == "changed while away", "and the update")


@case("one agent serves several files, each with its stream", short=True)
def several_files(t):
    nats = t.nats()
    config = t.dir / "two.toml"
    config.write_text(f'data_dir = "{t.dir}/data"\n'
                      f'[[database]]\nname = "red"\npath = "{t.dir}/red.db"\n'
                      f'[[database]]\nname = "blue"\npath = "{t.dir}/blue.db"\nexclude = ["secret*"]\n'
                      f'[nats]\nurls = ["{nats.url}"]\n')
    notes(t.dir / "red.db", "red row")
    notes(t.dir / "blue.db", "blue row")
    execute(t.dir / "blue.db", "CREATE TABLE secret_plans(id INTEGER PRIMARY KEY, plan TEXT)",
            "INSERT INTO secret_plans VALUES(1, 'stays here')")
    first = t.node("red")
    first.arguments = lambda: ["agent", "--config", config]
    first.start()
    other_red = t.node("other-red", nats, database_name="red").start()
    other_blue = t.node("other-blue", nats, database_name="blue").start()
    wait_identical([t.dir / "red.db", other_red.db])
    until("the blue row arrives", lambda: query(other_blue.db, "SELECT body FROM note") == [("blue row",)])
    execute(other_blue.db, "INSERT INTO note(body) VALUES('back')")
    until("a row comes back", lambda: scalar(t.dir / "blue.db", "SELECT count(*) FROM note") == 2)
    check(not query(other_blue.db, "SELECT 1 FROM sqlite_schema WHERE name = 'secret_plans'") or
          scalar(other_blue.db, "SELECT count(*) FROM secret_plans") == 0, "an excluded table was sent")
