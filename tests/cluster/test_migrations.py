"""Hand-written migrations that stand on PRAGMA user_version, run by the application of every node as it starts."""
import shutil

from case import case
from process import check, until
from tables import connect, execute, query, scalar, wait_identical

MIGRATIONS = [
    ["CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)"],
    ["ALTER TABLE note ADD COLUMN done INTEGER NOT NULL DEFAULT 0", "CREATE INDEX note_done ON note(done)"],
    ["CREATE TABLE tag(id INTEGER PRIMARY KEY, name TEXT)", "ALTER TABLE note ADD COLUMN tag INTEGER"],
]


def application_starts(db, latest=len(MIGRATIONS)):
    """How many migrations it ran. Dies of "duplicate column name" where one was run before."""
    connection = connect(db)
    connection.execute("BEGIN IMMEDIATE")
    stands = connection.execute("PRAGMA user_version").fetchone()[0]
    for migration in MIGRATIONS[stands:latest]:
        for statement in migration:
            connection.execute(statement)
    if stands < latest:
        connection.execute(f"PRAGMA user_version = {latest}")
    connection.execute("COMMIT")
    connection.close()
    return max(0, latest - stands)


def numbers(db):
    return scalar(db, "PRAGMA user_version"), scalar(db, "PRAGMA application_id")


@case("a migration by user_version that one node's application ran is run by no other's, nor in files built from the stream or a snapshot", short=True)
def user_version(t):
    nats = t.nats()
    one, two, three, four = t.nodes(4, nats)
    check(application_starts(one.db, 1) == 1, "the first migration was not run")
    execute(one.db, "PRAGMA application_id = 252006673")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    until("node 2 was built with the number", lambda: numbers(two.db) == (1, 252006673))
    execute(one.db, "INSERT INTO note(body) VALUES('a')")
    check(application_starts(one.db) == 2, "node 1 did not upgrade")
    until("node 2 has the number", lambda: scalar(two.db, "PRAGMA user_version") == 3)
    check(application_starts(two.db) == 0, "node 2's application ran a migration again")
    three.start()
    wait_identical([one.db, two.db, three.db])
    check(application_starts(three.db) == 0, "in a file built from the stream a migration was run again")
    check(one.product.run("snapshot", "save", one.db, seconds=60).returncode == 0, "no snapshot was taken")
    four.start()
    four.says("built from the snapshot")
    wait_identical([one.db, two.db, three.db, four.db])
    check(application_starts(four.db) == 0, "in a file built from a snapshot a migration was run again")
    execute(four.db, "PRAGMA user_version = 12")
    until("all have the number that was set alone", lambda: all(numbers(node.db) == (12, 252006673) for node in (one, two, three, four)))
    two.stop()
    check(two.command("cleanup").returncode == 0, "cleanup failed")
    check(numbers(two.db) == (12, 252006673), f"cleanup left {numbers(two.db)}")


@case("a user_version migration that all nodes run at once ends at its number everywhere, and nothing is run twice afterwards", short=True)
def user_version_at_once(t):
    nats = t.nats()
    nodes = t.nodes(3, nats)
    application_starts(nodes[0].db, 1)
    for node in nodes[1:]:
        shutil.copy(nodes[0].db, node.db)
    for node in nodes:
        node.start()
    wait_identical([node.db for node in nodes])
    ran = [application_starts(node.db) for node in nodes]
    wait_identical([node.db for node in nodes])
    until("all have the number", lambda: all(scalar(node.db, "PRAGMA user_version") == 3 for node in nodes))
    check(ran[0] == 2, f"the migrations ran {ran} times")
    columns = [query(node.db, "SELECT name FROM pragma_table_info('note')") for node in nodes]
    check(all(one == [("id",), ("body",), ("done",), ("tag",)] for one in columns), f"columns {columns}")
    check([application_starts(node.db) for node in nodes] == [0, 0, 0], "a migration was run again")
