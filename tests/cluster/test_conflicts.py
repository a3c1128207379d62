"""Conflicts between plain INTEGER PRIMARY KEY rows: what is told of them, and how they come back with their children."""
import sqlite3
import time

from case import case
from process import check, until
from tables import execute, query, scalar, wait_identical

SCHEMA = ("CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
          "CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT NOT NULL REFERENCES parent(id), name TEXT NOT NULL)")


def add_families(node, tag, count):
    """As an application does it that never heard of Marmot: parents with two children each, by lastrowid."""
    connection = sqlite3.connect(node.db, timeout=30, isolation_level=None)
    for number in range(count):
        name = f"{tag} {number}"
        connection.execute("BEGIN IMMEDIATE")
        parent = connection.execute("INSERT INTO parent(name) VALUES(?)", (name,)).lastrowid
        connection.executemany("INSERT INTO child(parent, name) VALUES(?, ?)", [(parent, name)] * 2)
        connection.execute("COMMIT")
    connection.close()
    return [f"{tag} {number}" for number in range(count)]


def listed(node):
    return node.json("conflicts")["conflicts"]


def collided(t):
    """Three families on each of two nodes that cannot hear each other; one more child on the first one, under an id of its own."""
    nodes = t.nodes(3, t.nats())
    execute(nodes[0].db, *SCHEMA)
    for node in nodes:
        node.start(seconds=20 * t.slow)
    wait_identical([n.db for n in nodes])
    for node in nodes[:2]:
        node.kill9()
    acknowledged = add_families(nodes[0], "one", 3)
    execute(nodes[0].db, "INSERT INTO child VALUES(100, 2, 'one 1')")
    time.sleep(0.05)
    acknowledged += add_families(nodes[1], "two", 3)
    for node in nodes[:2]:
        node.start(seconds=20 * t.slow)
    until("every node lists nine rows", lambda: all(len(listed(n)) == 9 for n in nodes), 15 * t.slow)
    wait_identical([n.db for n in nodes])
    return nodes, acknowledged


@case("parents and children under plain ids that collide on two nodes come back together with one restore --all, and no node lists them any more", short=True)
def families_come_back(t):
    nodes, acknowledged = collided(t)
    check(scalar(nodes[2].db, "SELECT count(*) FROM parent") == 3, "three parents are gone")
    of_two = [lost for lost in listed(nodes[2]) if lost["table"] == "parent" and lost["loser"]["row"]["name"] == "one 1"][0]
    check(of_two["referring_rows"] == 1, f"one row refers to it: {of_two}")
    shown = nodes[2].json("conflicts", "show", of_two["id"])
    check([row["row"]["id"] for row in shown["referring"]] == [100], f"that one: {shown}")
    done = nodes[2].json("conflicts", "restore", "--all", "--set", "id=NULL", "--with-children")
    check((done["restored"], done["moved"]) == (9, 1), f"nine rows, and one that follows: {done}")
    for node in nodes:
        until(f"{node.name} has all parents", lambda: scalar(node.db, "SELECT count(*) FROM parent") == 6, 15 * t.slow)
        until(f"{node.name} lists nothing", lambda: not listed(node), 15 * t.slow)
    wait_identical([n.db for n in nodes])
    for node in nodes:
        there = sorted(name for (name,) in query(node.db, "SELECT name FROM parent"))
        check(there == sorted(acknowledged), f"{node.name}: {there}")
        wrong = query(node.db, "SELECT c.*, p.name FROM child c LEFT JOIN parent p ON p.id = c.parent WHERE p.name IS NOT c.name")
        check(not wrong, f"{node.name}: children of other parents: {wrong}")
        each = query(node.db, "SELECT parent.name, count(*) FROM child JOIN parent ON parent.id = child.parent GROUP BY 1")
        check(sorted(each) == sorted((name, 3 if name == "one 1" else 2) for name in acknowledged), f"{node.name}: {each}")
        check(node.json("status")["databases"][0]["conflicts"] == 0, f"{node.name} counts none")
    check(nodes[0].command("verify").returncode == 0, "all nodes hold the same")


@case("conflicts are told in one warning a table and second; one discarded while its node's agent is down is told to the others, a node that was away too")
def discarded_with_agents_down(t):
    nodes, _ = collided(t)
    told = [line for line in nodes[2].program.err().splitlines() if "conflict (insert)" in line]
    check(1 <= len(told) <= 4, f"one a table, and perhaps one more where a unit came in the second after: {told}")
    nodes[0].kill9()
    nodes[1].kill9()
    check(nodes[0].command("conflicts", "discard", "--all").returncode == 0, "discard --all")
    check(not listed(nodes[0]), "none is listed there")
    check(len(listed(nodes[2])) == 9, "the others have not heard of it")
    nodes[0].start(seconds=20 * t.slow)
    until("the one that is there lists none", lambda: not listed(nodes[2]), 15 * t.slow)
    nodes[1].start(seconds=20 * t.slow)
    until("the one that was away neither", lambda: not listed(nodes[1]), 15 * t.slow)
    for node in nodes:
        node.stop()
        check(node.command("cleanup").returncode == 0, f"{node.name}: cleanup")
        left = query(node.db, "SELECT name FROM sqlite_schema WHERE name LIKE '%marmot%'")
        check(not left, f"{node.name}: cleanup left {left}")
