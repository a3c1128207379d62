"""Ids of AUTOINCREMENT tables: plain INSERTs of unchanged applications on three nodes, and what a user then sees."""
import sqlite3
import threading
import time

from case import case
from earlier import earlier_build
from process import check, until
from tables import connect, execute, query, scalar, wait_identical

FAMILY = ("CREATE TABLE parent(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL)",
          "CREATE TABLE child(id INTEGER PRIMARY KEY AUTOINCREMENT, parent INT NOT NULL REFERENCES parent(id), name TEXT NOT NULL)")


class Writer(threading.Thread):
    """Parents with two children each, by last_insert_rowid(), in one transaction; and what was acknowledged."""

    def __init__(self, db, tag, count, pause=0.0):
        super().__init__(daemon=True)
        self.db, self.tag, self.count, self.pause = db, tag, count, pause
        self.acknowledged, self.error = {}, None

    def run(self):
        try:
            connection = sqlite3.connect(self.db, timeout=30, isolation_level=None)
            for number in range(self.count):
                name = f"{self.tag} {number}"
                connection.execute("BEGIN IMMEDIATE")
                parent = connection.execute("INSERT INTO parent(name) VALUES(?)", (name,)).lastrowid
                for child in range(2):
                    [(returned,)] = connection.execute("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id", (parent, name)).fetchall()
                    check(returned == connection.execute("SELECT last_insert_rowid()").fetchone()[0], f"{name} {child}: RETURNING says {returned}")
                connection.execute("COMMIT")
                self.acknowledged[name] = parent
                time.sleep(self.pause)
            connection.close()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def check_families(nodes, acknowledged):
    """Every parent that was acknowledged is there, under the id that its writer was told, with its own two children."""
    for node in nodes:
        there = dict(query(node.db, "SELECT name, id FROM parent"))
        wrong = [(name, parent, there.get(name)) for name, parent in acknowledged.items() if there.get(name) != parent]
        check(not wrong, f"{node.name}: {len(wrong)} of {len(acknowledged)} parents are not what was acknowledged: {wrong[:3]}")
        own = scalar(node.db, "SELECT count(*) FROM child JOIN parent ON parent.id = child.parent AND parent.name = child.name")
        every = scalar(node.db, "SELECT count(*) FROM child")
        check(own == every == 2 * len(acknowledged), f"{node.name}: of {every} children {own} are their own parent's")
        lost = node.json("conflicts")["conflicts"]
        check(not [one for one in lost if one["kind"] == "insert"], f"{node.name}: {lost[:2]}")


def ids_of(node):
    return node.json("ids")


def joined(t, count=3, schema=FAMILY, options=()):
    nodes = t.nodes(count, t.nats(), options=options)
    execute(nodes[0].db, *schema)
    for node in nodes:
        node.start(seconds=20 * t.slow)
    wait_identical([node.db for node in nodes])
    return nodes


def run_all(writers, seconds):
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(seconds)
        check(not writer.is_alive(), f"{writer.tag} did not end in {seconds} s")
        if writer.error is not None:
            raise writer.error
    return {name: parent for writer in writers for name, parent in writer.acknowledged.items()}


@case("inserts with children on three nodes at once, from eight writers: every one is there, under its own parent", seconds=400, short=True)
def ids_in_step(t):
    nodes = joined(t)
    count = 2500 if t.long else 120
    acknowledged = run_all([Writer(nodes[i % 3].db, f"w{i}", count, 0.02) for i in range(8)], 240 * t.slow)
    wait_identical([node.db for node in nodes], 60 * t.slow)
    check_families(nodes, acknowledged)
    given = sum(ids_of(node)["given"] for node in nodes)
    outside = sum(ids_of(node)["outside"] for node in nodes)
    highest = scalar(nodes[0].db, "SELECT max(id) FROM parent")
    t.note(f"{len(acknowledged)} parents, {given} ids given out, {outside} of them outside of an own block, the highest {highest}")
    check(outside * 1000 < given, f"{outside} of {given} ids lie outside of an own block")
    check(given >= 3 * len(acknowledged), f"{given} ids were seen given out")
    verify = nodes[0].command("verify")
    check(verify.returncode == 0, verify.stdout + verify.stderr)


@case("an hour of three nodes that insert in turn: how far their ids go", seconds=4000, long=True)
def ids_in_turn(t):
    nodes = joined(t)
    connections = [connect(node.db) for node in nodes]
    each, every, start = (36_000, 3_600), 0.1, time.monotonic()
    for number in range(each[0]):
        connection = connections[number % 3]
        connection.execute("INSERT INTO parent(name) VALUES(?)", (f"parent {number}",))
        if number % (each[0] // each[1]) == 0:
            connection.execute("INSERT INTO child(parent, name) VALUES(last_insert_rowid(), ?)", (f"child {number}",))
        time.sleep(max(0.0, start + (number + 1) * every - time.monotonic()))
    wait_identical([node.db for node in nodes], 60 * t.slow)
    outside = sum(ids_of(node)["outside"] for node in nodes)
    for table, count in zip(("parent", "child"), each):
        check(scalar(nodes[0].db, f"SELECT count(*) FROM {table}") == count, f"rows of {table} are missing")
        highest = scalar(nodes[0].db, f"SELECT max(id) FROM {table}")
        t.note(f"{table}: {count} rows in {time.monotonic() - start:.0f} s, the highest id is {highest}, {highest / count:.0f} a row")
    check(outside == 0, f"{outside} ids lie outside of an own block")


@case("a node is away while all go on inserting, and its agent is killed in the middle: every row is there, under its own parent", seconds=600)
def ids_with_a_node_away(t):
    nodes = joined(t)
    first, there, away, last = (2000, 4000, 20, 1994) if t.long else (3, 60, 3, 20)
    acknowledged = run_all([Writer(node.db, f"first {node.name}", first, 0.01 * t.long) for node in nodes], 200 * t.slow)
    time.sleep(0.5)
    nodes[2].kill9()
    # As many as its block has left: beyond it two nodes may give out one id, and the conflict rule decides.
    acknowledged |= run_all([Writer(nodes[0].db, "there 1", there, 0.01), Writer(nodes[1].db, "there 2", there, 0.01), Writer(nodes[2].db, "away", away)], 300 * t.slow)
    given = sum(ids_of(node)["given"] for node in nodes[:2])
    nodes[2].start(seconds=20 * t.slow)
    acknowledged |= run_all([Writer(node.db, f"last {node.name}", last, 0.01) for node in nodes], 200 * t.slow)
    wait_identical([node.db for node in nodes], 60 * t.slow)
    check_families(nodes, acknowledged)
    outside = sum(ids_of(node)["outside"] for node in nodes)
    t.note(f"{len(acknowledged)} parents, {outside} ids outside of an own block, at least {given} given out by the two that stayed")
    check(outside * 1000 < 3 * len(acknowledged), f"{outside} of {3 * len(acknowledged)} ids lie outside of an own block")


@case("alice is made an administrator on one node, and mallory a user on another one that is away for a second: mallory is none", short=True)
def ids_alice_and_mallory(t):
    nodes = joined(t, schema=("CREATE TABLE user(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)",
                              "CREATE TABLE admin(user INT NOT NULL REFERENCES user(id))"))
    nodes[1].kill9()
    execute(nodes[0].db, "INSERT INTO user(name) VALUES('alice')", "INSERT INTO admin VALUES(last_insert_rowid())")
    execute(nodes[1].db, "INSERT INTO user(name) VALUES('mallory')")
    nodes[1].start(seconds=20 * t.slow)
    wait_identical([node.db for node in nodes])
    for node in nodes:
        check(query(node.db, "SELECT name FROM user ORDER BY name") == [("alice",), ("mallory",)], f"{node.name} lost a user")
        check(query(node.db, "SELECT name FROM user JOIN admin ON admin.user = user.id") == [("alice",)], f"{node.name}: who is administrator?")


@case("a node that is alone counts 1, 2, 3; marmot ids tells who has which slot, a slot is retired, and a node waits until it is ready")
def ids_commands(t):
    nats = t.nats()
    nodes = t.nodes(2, nats)
    execute(nodes[0].db, *FAMILY)
    nodes[0].start(seconds=20 * t.slow)
    check(run_all([Writer(nodes[0].db, "alone", 20)], 20 * t.slow) == {f"alone {i}": i + 1 for i in range(20)}, "it counts otherwise")
    check(ids_of(nodes[0])["alone"] and ids_of(nodes[0])["slot"] == 0, f"{ids_of(nodes[0])}")
    nodes[1].start(seconds=20 * t.slow)
    ready = nodes[1].command("wait", "--ready")
    check(ready.returncode == 0 and "this node is ready" in ready.stdout, f"{ready}")
    check(nodes[1].status()["databases"][0]["ready"], "status does not say so")
    until("node 1 has heard of the other slot", lambda: not ids_of(nodes[0])["alone"], 10 * t.slow)
    shown = nodes[1].command("ids").stdout
    check("this node has slot 1" in shown and "parent" in shown and "left of a block of" in shown, shown)
    own = t.product.run("ids", "retire", 1, nodes[1].db)
    check(own.returncode == 1 and "this node's own" in own.stderr, f"{own}")
    nodes[1].kill9()
    retired = t.product.run("ids", "retire", 1, nodes[0].db)
    check(retired.returncode == 0, retired.stderr)
    until("it is retired", lambda: [slot["retired"] for slot in ids_of(nodes[0])["slots"]] == [False, True], 10 * t.slow)
    again = t.product.run("ids", "retire", 1, nodes[0].db)
    check(again.returncode == 1 and "not granted" in again.stderr, f"{again}")
    nodes[1].start(seconds=20 * t.slow)
    until("the owner that came back has claimed anew", lambda: ids_of(nodes[1]).get("slot") == 2, 10 * t.slow)


@case("an application sets a sequence back, and the file is made anew by VACUUM: no id is given out twice")
def ids_sequence_set_back(t):
    nodes = joined(t)
    acknowledged = run_all([Writer(node.db, f"first {node.name}", 5, 0.02) for node in nodes], 30 * t.slow)
    wait_identical([node.db for node in nodes])
    execute(nodes[0].db, "DELETE FROM sqlite_sequence")
    time.sleep(0.5 * t.slow)
    connect(nodes[1].db).execute("VACUUM")
    acknowledged |= run_all([Writer(node.db, f"then {node.name}", 5, 0.02) for node in nodes], 30 * t.slow)
    wait_identical([node.db for node in nodes])
    check_families(nodes, acknowledged)


@case("[ids] mode = off: two nodes that insert at the same moment give out the same ids, as the docs say")
def ids_off(t):
    config = t.dir / "off.toml"
    config.write_text('[ids]\nmode = "off"\n')
    nodes = joined(t, 2, options=("--config", config))
    nodes[1].kill9()
    execute(nodes[0].db, "INSERT INTO parent(name) VALUES('one')")
    execute(nodes[1].db, "INSERT INTO parent(name) VALUES('two')")
    nodes[1].start(seconds=20 * t.slow)
    wait_identical([node.db for node in nodes])
    check(scalar(nodes[0].db, "SELECT count(*) FROM parent") == 1, "they did not collide")
    check(nodes[0].status()["databases"][0]["ready"], "a node that deals no ids is ready all the same")


PLAIN = tuple(sql.replace(" AUTOINCREMENT", "") for sql in FAMILY)


@case("tables with a plain INTEGER PRIMARY KEY are adopted while applications write: from then on nothing collides; release and cleanup undo it", short=True)
def ids_adopt(t):
    nodes = joined(t, schema=PLAIN)
    nodes[0].program.wait_line(r"the same ids in parent, child, each its own with: marmot ids adopt n1.db parent child")
    check("marmot ids adopt" in nodes[1].command("status").stdout, "status does not name the tables")
    before = query(nodes[2].db, "SELECT sql FROM sqlite_schema WHERE name IN ('parent', 'child') ORDER BY name")
    writing = [Writer(nodes[0].db, "open", 300, 0.01)]  # one connection, open the whole time
    writing[0].start()
    refused = t.product.run("ids", "adopt", nodes[0].db, "nothere")
    check(refused.returncode != 0 and "there is no table nothere" in refused.stderr, f"{refused}")
    adopted = t.product.run("ids", "adopt", "--json", nodes[1].db, "--all")
    check(adopted.returncode == 0 and '"adopted":["child","parent"]' in adopted.stdout.replace(" ", ""), f"{adopted}")
    for node in nodes:
        until(f"{node.name} has the word", lambda node=node: scalar(node.db, "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%' AND name IN ('parent', 'child')") == 2,
              20 * t.slow)
    acknowledged = run_all([Writer(nodes[i % 3].db, f"w{i}", 60, 0.02) for i in range(8)], 120 * t.slow)
    writing[0].join(60 * t.slow)
    if writing[0].error is not None:
        raise writing[0].error
    acknowledged |= writing[0].acknowledged
    wait_identical([node.db for node in nodes], 60 * t.slow)
    check_families(nodes, acknowledged)
    for node in nodes:
        check(scalar(node.db, "PRAGMA integrity_check") == "ok" and ids_of(node)["plain"] == [], f"{node.name}: {ids_of(node)['plain']}")
    # A tool that rebuilds by its own text.
    execute(nodes[2].db, "CREATE TABLE new_parent(id INTEGER PRIMARY KEY, name TEXT NOT NULL, more TEXT)", "INSERT INTO new_parent(id, name) SELECT id, name FROM parent",
            "DROP TABLE parent", "ALTER TABLE new_parent RENAME TO parent")
    for node in nodes:
        until(f"{node.name} follows the rebuild", lambda node=node: scalar(node.db, "SELECT count(*) FROM pragma_table_info('parent')") == 3 and
              scalar(node.db, "SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE name = 'parent'") == 1, 20 * t.slow)
    released = t.product.run("ids", "release", nodes[0].db, "child")
    check(released.returncode == 0, f"{released}")
    for node in nodes:
        until(f"{node.name} has released it", lambda node=node: scalar(node.db, "SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE name = 'child'") == 0, 20 * t.slow)
    wait_identical([node.db for node in nodes], 30 * t.slow)
    nodes[2].stop(20 * t.slow)
    cleaned = nodes[2].command("cleanup")
    check(cleaned.returncode == 0, f"{cleaned}")
    after = query(nodes[2].db, "SELECT sql FROM sqlite_schema WHERE name IN ('parent', 'child') ORDER BY name")
    check(after[0] == before[0] and "AUTOINCREMENT" not in after[1][0], f"{after}")
    left = query(nodes[2].db, "SELECT name FROM sqlite_schema WHERE name NOT IN ('parent', 'child')")
    check(left == [("sqlite_sequence",)] and scalar(nodes[2].db, "SELECT count(*) FROM sqlite_sequence") == 0, f"left: {left}")


@case('[ids] adopt = "auto": tables that an application makes are adopted by themselves')
def ids_adopt_by_itself(t):
    config = t.dir / "auto.toml"
    config.write_text('[ids]\nadopt = "auto"\n')
    nodes = joined(t, schema=PLAIN, options=("--config", config))
    for node in nodes:
        until(f"{node.name} has the word", lambda node=node: scalar(node.db, "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%' AND name IN ('parent', 'child')") == 2,
              20 * t.slow)
    acknowledged = run_all([Writer(nodes[i % 3].db, f"w{i}", 30, 0.02) for i in range(6)], 120 * t.slow)
    wait_identical([node.db for node in nodes], 60 * t.slow)
    check_families(nodes, acknowledged)


@case("a cluster of two versions: beside an agent that knows nothing of ids rows go both ways and nothing is said of ids; after its upgrade they are dealt",
      seconds=1500, long=True)
def ids_beside_an_earlier_agent(t):
    folder = earlier_build(t.product.build, "fa07b49")  # the last one before ids were dealt
    one, two = nodes = t.nodes(2, t.nats())
    present = one.product
    earlier = type("Earlier", (), {"marmot": folder / "agent" / "marmot", "run": present.run})()
    execute(one.db, *PLAIN)
    for node in nodes:
        node.product = earlier
        node.start(seconds=30 * t.slow)
    wait_identical([node.db for node in nodes], 20 * t.slow)
    one.stop()
    one.product = present
    one.start(seconds=30 * t.slow)
    one.says(r"ids are not dealt yet, for node \d+ runs Marmot", 30 * t.slow)
    adopted = t.product.run("ids", "adopt", one.db, "--all")
    check(adopted.returncode == 0, f"{adopted}")
    for node in nodes:
        execute(node.db, f"INSERT INTO parent(id, name) VALUES({100 if node is one else 200}, '{node.name}')")
    wait_identical([node.db for node in nodes], 20 * t.slow)
    check("AUTOINCREMENT" in scalar(one.db, "SELECT sql FROM sqlite_schema WHERE name = 'parent'"), "it was not adopted here")
    check("AUTOINCREMENT" not in scalar(two.db, "SELECT sql FROM sqlite_schema WHERE name = 'parent'"), "the earlier one was told")
    two.stop()
    two.product = present
    two.start(seconds=30 * t.slow)
    for node in nodes:
        until(f"{node.name} has the word", lambda node=node: "AUTOINCREMENT" in scalar(node.db, "SELECT sql FROM sqlite_schema WHERE name = 'parent'"), 30 * t.slow)
        until(f"{node.name} has a slot", lambda node=node: "slot" in ids_of(node), 30 * t.slow)
        check(node.command("wait", "--ready").returncode == 0, f"{node.name} is not ready")
    acknowledged = run_all([Writer(nodes[i % 2].db, f"w{i}", 20, 0.02) for i in range(4)], 60 * t.slow)
    execute(one.db, "DELETE FROM parent WHERE id IN (100, 200)")
    wait_identical([node.db for node in nodes], 20 * t.slow)
    check_families(nodes, acknowledged)
