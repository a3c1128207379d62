"""What docs/consistency.md says that Marmot does not promise, shown; and the order that it does."""
import threading
import time

from case import case
from process import check
from tables import connect, execute, query, reader, scalar, wait_identical


def apart(nodes, changes):
    """Each node's application writes while no agent runs; then the agents meet."""
    for node in nodes:
        node.kill9()
    for node, statements in zip(nodes, changes):
        execute(node.db, *statements)
    for node in nodes:
        node.start()
    return wait_identical([node.db for node in nodes])


def pair(t, *statements):
    nodes = t.nodes(2, t.nats())
    execute(nodes[0].db, *statements)
    for node in nodes:
        node.start()
    wait_identical([node.db for node in nodes])
    return nodes


@case("limit: a counter that two nodes raise at once loses one of the two; one row for each rise keeps both", short=True)
def lost_update(t):
    nodes = pair(t, "CREATE TABLE counter(id INTEGER PRIMARY KEY, n INT)", "INSERT INTO counter VALUES(1, 10)",
                 "CREATE TABLE rise(id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))), by INT)")
    both = ["UPDATE counter SET n = n + 1 WHERE id = 1", "INSERT INTO rise(by) VALUES(1)"]
    apart(nodes, [both, both])
    for node in nodes:
        check(scalar(node.db, "SELECT n FROM counter") == 11, "last writer wins was to lose one of two rises")
        check(scalar(node.db, "SELECT sum(by) FROM rise") == 2, "a row of its own was lost")


@case("limit: a rule over several rows that each node keeps for itself can be broken by two together (write skew)", short=True)
def write_skew(t):
    nodes = pair(t, "CREATE TABLE doctor(name TEXT PRIMARY KEY, on_call INT)", "INSERT INTO doctor VALUES('ann', 1), ('bob', 1)")
    off = "UPDATE doctor SET on_call = 0 WHERE name = '{}' AND (SELECT sum(on_call) FROM doctor) > 1"
    apart(nodes, [[off.format("ann")], [off.format("bob")]])
    for node in nodes:
        check(scalar(node.db, "SELECT sum(on_call) FROM doctor") == 0, "both went, each seeing the other on call")


@case("limit: a child added on one node while another deletes its parent stands without it, on every node, and is listed", short=True)
def orphaned_child(t):
    nodes = pair(t, "CREATE TABLE parent(id INTEGER PRIMARY KEY)", "INSERT INTO parent VALUES(1)",
                 "CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT REFERENCES parent)")
    apart(nodes, [["DELETE FROM parent WHERE id = 1"], ["INSERT INTO child VALUES(7, 1)"]])
    for node in nodes:
        check(query(node.db, "PRAGMA foreign_key_check") == [("child", 7, "parent", 0)], "the orphan is listed")
        check(query(node.db, "SELECT * FROM child") == [(7, 1)] and not query(node.db, "SELECT * FROM parent"), "both changes stand")


@case("limit: a read on another node may come too early; after `marmot wait --level all` it does not", short=True)
def read_your_writes(t):
    one, two = pair(t, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    early = 0
    for i in range(10):
        execute(one.db, f"INSERT INTO note VALUES({i}, 'here')")
        early += scalar(two.db, "SELECT count(*) FROM note") < i + 1
        waited = one.command("wait", "--level", "all")
        check(waited.returncode == 0, f"wait ended with {waited.returncode}: {waited.stderr}")
        check(scalar(two.db, "SELECT count(*) FROM note") == i + 1, "the row was not there after wait")
    t.note(f"{early} of 10 reads on the other node came too early")


@case("an answer is never seen without its question: what a node had seen when it wrote is everywhere before what it wrote",
      short=True)
def causal_order(t):
    nodes = t.nodes(3, t.nats())
    execute(nodes[0].db, "CREATE TABLE question(id INTEGER PRIMARY KEY)", "CREATE TABLE answer(id INTEGER PRIMARY KEY)")
    for node in nodes:
        node.start()
    wait_identical([node.db for node in nodes])
    stop, early, looks = threading.Event(), [], [0]

    def answering():
        connection = connect(nodes[1].db)
        while not stop.is_set():
            connection.execute("INSERT OR IGNORE INTO answer SELECT id FROM question WHERE id NOT IN (SELECT id FROM answer)")
            time.sleep(0.001)
        connection.close()

    def looking():
        connection = reader(nodes[2].db)
        while not stop.is_set():
            early.extend(connection.execute("SELECT id FROM answer WHERE id NOT IN (SELECT id FROM question)").fetchall())
            looks[0] += 1
            time.sleep(0.001)
        connection.close()

    threads = [threading.Thread(target=answering), threading.Thread(target=looking)]
    for thread in threads:
        thread.start()
    try:
        for i in range(150):
            execute(nodes[0].db, f"INSERT INTO question VALUES({i})")
            time.sleep(0.003)
        time.sleep(0.3)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    found = wait_identical([node.db for node in nodes])
    check(not early, f"answers without their questions: {early[:5]}")
    check(len(found["answer"]) > 100, f"only {len(found['answer'])} answers: too few to say anything")
    t.note(f"{len(found['answer'])} answers, {looks[0]} looks")
