"""An acknowledgement is not durable for ever: streams that lost their end, or were made anew, are noticed and healed."""
import base64
import json
import shutil
import time

from case import case
from node import stream_of
from process import check, until
from stale_copy import StaleCopy
from tables import execute, query, scalar, unpublished, wait_identical


def running(t, rows=200):
    nats = t.nats()
    nodes = t.nodes(3, nats)
    execute(nodes[0].db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)",
            *[f"INSERT INTO note VALUES({i}, 'note {i}')" for i in range(rows)])
    for node in nodes:
        node.start()
    wait_identical([n.db for n in nodes])
    return nats, nodes


@case("the stream is deleted: the nodes make a new one, publish what they have, and go on", short=True)
def stream_deleted(t):
    nats, nodes = running(t)
    execute(nodes[1].db, "UPDATE note SET body = 'changed' WHERE id = 5", "DELETE FROM note WHERE id = 6")
    wait_identical([n.db for n in nodes])
    for node in nodes[1:]:
        node.kill9()
    nats.client().api(f"STREAM.DELETE.{stream_of('app')}")
    execute(nodes[0].db, "INSERT INTO note VALUES(1001, 'after the loss, node 1')")
    execute(nodes[1].db, "INSERT INTO note VALUES(1002, 'after the loss, node 2')", "DELETE FROM note WHERE id = 7")
    for node in nodes[1:]:
        node.start(seconds=30 * t.slow)
    found = wait_identical([n.db for n in nodes], 30 * t.slow)
    check(len(found["note"]) == 200 - 2 + 2, f"{len(found['note'])} rows, not 200")
    late = t.node("n4", nats, database_name="app").start()
    wait_identical([nodes[0].db, late.db], 20 * t.slow)


@case("the stream is deleted under running agents that nobody restarts: they heal it too")
def stream_deleted_live(t):
    nats, nodes = running(t)
    nats.client().api(f"STREAM.DELETE.{stream_of('app')}")
    for i, node in enumerate(nodes):
        execute(node.db, f"INSERT INTO note VALUES({1000 + i}, 'of node {i + 1}')")
    found = wait_identical([n.db for n in nodes], 30)
    check(len(found["note"]) == 203, f"{len(found['note'])} rows")


def behind_a_stale_copy(t):
    nats = t.nats()
    one = t.node("n1", nats, database_name="app")
    proxy = StaleCopy(t.workspace, nats)
    two = t.node("n2", proxy, database_name="app")
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    return one, two, proxy


# Seen with three servers that were killed at once: one copy of the stream lacked a message for ever, and the node that read it
# had staged 1,934 units behind that one without a word.
@case("a server whose copy of the stream lacks a message: noticed while running, and read anew from another one")
def copy_lacks_message(t):
    one, two, proxy = behind_a_stale_copy(t)
    proxy.lack()
    for i in range(5):
        execute(one.db, f"INSERT INTO note VALUES({i}, 'note {i}')")
        time.sleep(0.2)
    wait_identical([one.db, two.db], 20 * t.slow)
    two.says("another one there", 1)
    check(proxy.twice == 0, f"{proxy.twice} messages of the log went over the wire twice")


@case("a server that tells that all is well and delivers nothing more: noticed, and read on from another one")
def copy_stands_still(t):
    one, two, proxy = behind_a_stale_copy(t)
    proxy.stand_still()
    for i in range(5):
        execute(one.db, f"INSERT INTO note VALUES({i}, 'note {i}')")
        time.sleep(0.2)
    wait_identical([one.db, two.db], 30 * t.slow)
    two.says("nothing came after", 1)


@case("a stream that was made again, and got a waiting unit before its first message, is followed all the same")
def stream_without_beginning(t):
    nats, nodes = running(t)
    client = nats.client()
    stream = stream_of("app")
    config = client.api(f"STREAM.INFO.{stream}")["config"]
    unit = base64.b64decode(client.api(f"STREAM.MSG.GET.{stream}", {"seq": 2})["message"]["data"])
    for node in nodes:
        node.kill9()
    client.api(f"STREAM.DELETE.{stream}")
    client.api(f"STREAM.CREATE.{stream}", config)
    client.append(config["subjects"][0], unit)
    execute(nodes[0].db, "INSERT INTO note VALUES(1001, 'meanwhile')")
    for node in nodes:
        node.start(seconds=30 * t.slow)
    found = wait_identical([n.db for n in nodes], 30 * t.slow)
    check(len(found["note"]) == 201, f"{len(found['note'])} rows, not 201")


@case("the server comes back with an older store (a power cut, a restored disk): the lost end is published again", short=True)
def stream_lost_tail(t):
    nats, nodes = running(t)
    store = t.dir / "nats-store"
    nats.stop()
    shutil.copytree(store, t.dir / "older-store")
    nats.start()
    for i in range(20):
        execute(nodes[i % 3].db, f"INSERT INTO note VALUES({2000 + i}, 'in the end that gets lost')",
                f"UPDATE note SET body = 'updated in the lost end' WHERE id = {i}")
    wait_identical([n.db for n in nodes])
    nats.kill9()
    shutil.rmtree(store)
    shutil.copytree(t.dir / "older-store", store)
    nats.start()
    execute(nodes[2].db, "INSERT INTO note VALUES(3000, 'after the loss')")
    found = wait_identical([n.db for n in nodes], 30 * t.slow)
    check(len(found["note"]) == 200 + 20 + 1, f"{len(found['note'])} rows, not 221")
    # A node that joins now, from the stream alone, gets the lost end too.
    late = t.node("n4", nats, database_name="app").start(seconds=30 * t.slow)
    wait_identical([nodes[0].db, late.db], 30 * t.slow)


def cut_back(t, nats, store):
    """The server dies, and comes back with an older store."""
    nats.kill9()
    shutil.rmtree(t.dir / "nats-store")
    shutil.copytree(store, t.dir / "nats-store")
    nats.start()


@case("a stream that was trimmed also loses its end, and no snapshot is there: it is begun anew from what all nodes hold", short=True)
def stream_trimmed_and_cut(t):
    nats, nodes = running(t)
    stream = stream_of("app")
    for i in range(5):
        execute(nodes[i % 3].db, f"UPDATE note SET body = 'before the cut' WHERE id = {100 + i}")
        wait_identical([n.db for n in nodes])
    client = nats.client()
    client.api(f"STREAM.PURGE.{stream}", {"seq": nats.stream_state(stream)["last_seq"] - 1})
    nats.stop()
    shutil.copytree(t.dir / "nats-store", t.dir / "older-store")
    nats.start()
    for i in range(20):
        execute(nodes[i % 3].db, f"INSERT INTO note VALUES({2000 + i}, 'in the end that gets lost')",
                f"UPDATE note SET body = 'updated in the lost end' WHERE id = {i}")
    execute(nodes[1].db, "DELETE FROM note WHERE id = 150")
    wait_identical([n.db for n in nodes])
    cut_back(t, nats, t.dir / "older-store")
    for i, node in enumerate(nodes):
        execute(node.db, f"INSERT INTO note VALUES({3000 + i}, 'after the loss')")
    found = wait_identical([n.db for n in nodes], 60 * t.slow)
    check(len(found["note"]) == 200 + 20 - 1 + 3, f"{len(found['note'])} rows, not 222")
    until("every outbox is empty", lambda: not any(unpublished(n.db) for n in nodes), 30 * t.slow)
    # It is a whole stream again: a node that joins now needs nothing else.
    late = t.node("n4", nats, database_name="app").start(seconds=30 * t.slow)
    wait_identical([nodes[0].db, late.db], 30 * t.slow)
    execute(late.db, "INSERT INTO note VALUES(4000, 'of the one that came late')")
    wait_identical([n.db for n in [*nodes, late]], 30 * t.slow)


@case("trimmed and cut while one node is away that has seen more than the others: it is waited for, and all heal")
def stream_trimmed_and_cut_one_away(t):
    nats, nodes = running(t)
    stream = stream_of("app")
    nats.client().api(f"STREAM.PURGE.{stream}", {"seq": nats.stream_state(stream)["last_seq"]})
    nats.stop()
    shutil.copytree(t.dir / "nats-store", t.dir / "older-store")
    nats.start()
    execute(nodes[0].db, "UPDATE note SET body = 'in the lost end' WHERE id < 50")
    wait_identical([n.db for n in nodes])
    until("all know of one another", lambda: all(scalar(n.db, "SELECT count(*) FROM __marmot_member") == 3 for n in nodes), 15 * t.slow)
    for node in nodes[:2]:
        node.kill9()
    execute(nodes[2].db, "INSERT INTO note VALUES(500, 'of the third alone')")
    until("it is published", lambda: not unpublished(nodes[2].db), 10 * t.slow)
    nodes[2].kill9()
    execute(nodes[2].db, "INSERT INTO note VALUES(501, 'while its agent was away')")
    cut_back(t, nats, t.dir / "older-store")
    for node in nodes[:2]:
        node.launch()
    nodes[0].says("waiting for a snapshot", 20 * t.slow)
    before = nats.stream_state(stream)["last_seq"]
    time.sleep(12)
    check(nats.stream_state(stream)["last_seq"] == before, "the stream was begun anew although a member that may help is away")
    nodes[2].launch()
    found = wait_identical([n.db for n in nodes], 60 * t.slow)
    check(len(found["note"]) == 202, f"{len(found['note'])} rows, not 202")


@case("no snapshot is stored, the stream is trimmed beyond one node, the others are there: one of them takes it")
def stream_trimmed_others_there(t):
    nats, nodes = running(t)
    stream = stream_of("app")
    nodes[2].kill9()
    execute(nodes[0].db, "UPDATE note SET body = 'missed' WHERE id < 50", "DELETE FROM note WHERE id = 60")
    execute(nodes[2].db, "INSERT INTO note VALUES(500, 'meanwhile')")
    wait_identical([n.db for n in nodes[:2]])
    nats.client().api(f"STREAM.PURGE.{stream}", {"seq": nats.stream_state(stream)["last_seq"]})
    created = nats.client().api(f"STREAM.INFO.{stream}")["state"]["first_seq"]
    nodes[2].start(seconds=30 * t.slow)
    found = wait_identical([n.db for n in nodes], 30 * t.slow)
    check(len(found["note"]) == 200, f"{len(found['note'])} rows, not 200")
    check(nats.client().api(f"STREAM.INFO.{stream}")["state"]["first_seq"] == created, "the stream was begun anew without need")


@case("the stream is deleted, the store of its snapshots is not: the old snapshot is not taken for one of the new stream")
def stream_deleted_snapshots_kept(t):
    nats, nodes = running(t)
    run = nodes[0].product.run("snapshot", "save", nodes[0].db, seconds=60)
    check(run.returncode == 0, run.stderr)
    execute(nodes[1].db, "UPDATE note SET body = 'after the snapshot' WHERE id < 20")
    wait_identical([n.db for n in nodes])
    for node in nodes:
        node.kill9()
    nats.client().api(f"STREAM.DELETE.{stream_of('app')}")
    execute(nodes[2].db, "INSERT INTO note VALUES(500, 'meanwhile')")
    for node in nodes:
        node.launch()
    found = wait_identical([n.db for n in nodes], 40 * t.slow)
    check(len(found["note"]) == 201, f"{len(found['note'])} rows, not 201")
    late = t.node("n4", nats, database_name="app").start(seconds=30 * t.slow)
    wait_identical([nodes[0].db, late.db], 30 * t.slow)


@case("a file restored from an older backup heals from the stream and publishes nothing old over what is newer")
def file_rolled_back(t):
    nats, nodes = running(t, rows=50)
    two = nodes[1]
    two.stop()
    query(two.db, "PRAGMA wal_checkpoint(TRUNCATE)")
    backup = t.dir / "backup.db"
    shutil.copy(two.db, backup)
    two.start()
    execute(two.db, "INSERT INTO note VALUES(500, 'written before the roll-back')", "UPDATE note SET body = 'newer' WHERE id = 1")
    execute(nodes[0].db, "UPDATE note SET body = 'newer too' WHERE id = 2")
    wait_identical([n.db for n in nodes])
    two.kill9()
    for suffix in ("-wal", "-shm"):
        (t.dir / (two.db.name + suffix)).unlink(missing_ok=True)
    # The same inode, older contents: what a power cut does.
    with open(two.db, "r+b") as file:
        file.truncate(0)
        file.write(backup.read_bytes())
    two.start()
    found = wait_identical([n.db for n in nodes])
    bodies = {row[0]: row[1][1] for row in found["note"]}
    check(bodies[500] == b"written before the roll-back" and bodies[1] == b"newer" and bodies[2] == b"newer too",
          f"the roll-back won: {bodies[1]}, {bodies[2]}, {bodies.get(500)}")
    execute(two.db, "INSERT INTO note VALUES(501, 'after the roll-back')")
    wait_identical([n.db for n in nodes])


@case("a stream whose settings differ from the configuration is reported, and changed only when that is asked for")
def stream_settings(t):
    nats = t.nats()
    one = t.node("n1", nats)
    execute(one.db, "CREATE TABLE a(id INTEGER PRIMARY KEY)")
    config = t.dir / "marmot.toml"

    def configured(age, update):
        config.write_text(f'[[database]]\nname = "app"\npath = "{one.db}"\n[nats]\nurls = ["{nats.url}"]\n'
                          f'[log]\nmax_age = "{age}"\nupdate_existing = {json.dumps(update)}\n')
    one.arguments = lambda: ["agent", "--config", config]

    def age():
        return nats.client().api(f"STREAM.INFO.{stream_of('app')}")["config"]["max_age"]
    configured("24h", False)
    one.start()
    check(age() == 24 * 3600 * 10**9, f"max_age is {age()}")
    one.stop()
    configured("48h", False)
    one.start()
    one.says("max_age")
    check(age() == 24 * 3600 * 10**9, "the stream was changed unasked")
    one.stop()
    configured("48h", True)
    one.start()
    until("the stream is changed", lambda: age() == 48 * 3600 * 10**9, 5)


@case("nothing is left in the outbox when all is quiet, and a restart publishes nothing again", short=True)
def quiet_is_quiet(t):
    nats, nodes = running(t)
    until("every outbox is empty", lambda: not any(unpublished(n.db) for n in nodes))
    before = nats.stream_state(stream_of("app"))["last_seq"]
    for node in nodes:
        node.stop()
        node.start()
    wait_identical([n.db for n in nodes])
    after = nats.stream_state(stream_of("app"))["last_seq"]
    check(after == before, f"restarts published {after - before} messages")
    check(scalar(nodes[0].db, "SELECT count(*) FROM __marmot_part") == 0, "staged parts are left")


def stored_by(client, state):
    """Of each node, the numbers in the stream of what it published, in order."""
    found = {}
    for seq in range(state["first_seq"], state["last_seq"] + 1):
        message = client.api(f"STREAM.MSG.GET.{stream_of('app')}", {"seq": seq})["message"]
        node = base64.b64decode(message["hdrs"]).decode().lower().split("nats-msg-id:")[1].strip().split(".")[0]
        found.setdefault(int(node, 16), []).append(seq)
    return found


def publish_each(nats, node, *statements):
    """Each in a unit of its own: the stream has grown in between."""
    for sql in statements:
        before = nats.stream_state(stream_of("app"))["last_seq"]
        execute(node.db, *([sql] if isinstance(sql, str) else sql))
        until(f"{node.name} has published", lambda seen=before: nats.stream_state(stream_of("app"))["last_seq"] > seen, 10)
        until(f"{node.name} has nothing unpublished", lambda: unpublished(node.db) == 0, 10)


@case("one message of each of three senders is deleted from the stream while a node is away: all are equal again, nobody restarts, no newer row is lost")
def messages_gone(t):
    nats = t.nats()
    nodes = t.nodes(4, nats)
    two, senders = nodes[1], [nodes[0], nodes[2], nodes[3]]
    execute(nodes[0].db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", *[f"INSERT INTO note VALUES({i}, 'note {i}')" for i in range(90)])
    for node in nodes:
        node.start()
    wait_identical([n.db for n in nodes])
    two.kill9()
    before = nats.stream_state(stream_of("app"))["last_seq"]
    for i, node in enumerate(senders):
        publish_each(nats, node, f"UPDATE note SET body = 'first of {i}' WHERE id = {i}",
                     f"UPDATE note SET body = 'gone, of {i}' WHERE id % 30 = {10 + i}", f"UPDATE note SET body = 'last of {i}' WHERE id = {20 + i}")
        execute(node.db, f"INSERT INTO note VALUES({1000 + i}, 'another unit')")
    execute(two.db, "UPDATE note SET body = 'newer, of two' WHERE id = 11", "DELETE FROM note WHERE id = 42")
    wait_identical([n.db for n in senders])
    client = nats.client()
    state = nats.stream_state(stream_of("app"))
    gone = []
    for numbers in stored_by(client, state).values():
        new = [seq for seq in numbers if seq > before]
        if len(new) > 2:
            gone.append(new[1])
            client.api(f"STREAM.MSG.DELETE.{stream_of('app')}", {"seq": new[1]})
    check(len(gone) == 3, f"{gone} are gone, not one of each sender")
    two.start()
    wait_identical([n.db for n in nodes], 35 * t.slow)
    two.says("not in the stream any more", 1)
    rows = dict(query(two.db, "SELECT id, body FROM note"))
    check(rows[11] == "newer, of two" and 42 not in rows, f"what two wrote last is lost: {rows.get(11)}, {rows.get(42)}")
    check(rows[10] == "gone, of 0" and rows[41] == "gone, of 1" and rows[72] == "gone, of 2", "what was gone came back from nobody")
    for node in nodes:
        publish_each(nats, node, f"INSERT INTO note(body) VALUES('after it, of {node.name}')")
    wait_identical([n.db for n in nodes], 10 * t.slow)
    verify = nodes[0].command("verify")
    check(verify.returncode == 0, f"verify: {verify.stdout} {verify.stderr}")


@case("the message that made a table, and the last one of the stream, are deleted while a node is away: it has table and rows all the same")
def schema_message_gone(t):
    nats, nodes = running(t, 20)
    one, two, three = nodes
    two.kill9()
    before = nats.stream_state(stream_of("app"))["last_seq"]
    publish_each(nats, one, ["CREATE TABLE tag(id INTEGER PRIMARY KEY, word TEXT)", "INSERT INTO tag VALUES(1, 'red')"],
                 "INSERT INTO tag VALUES(2, 'blue')")
    wait_identical([one.db, three.db])
    publish_each(nats, three, "DELETE FROM note WHERE id = 3")
    wait_identical([one.db, three.db])
    for seq in (before + 1, nats.stream_state(stream_of("app"))["last_seq"]):
        nats.client().api(f"STREAM.MSG.DELETE.{stream_of('app')}", {"seq": seq})
    two.start()
    found = wait_identical([n.db for n in nodes], 35 * t.slow)
    check(len(found["tag"]) == 2 and len(found["note"]) == 19, f"{len(found['tag'])} tags, {len(found['note'])} notes")
    check(two.status()["databases"][0]["waiting"] == 0, "units wait")
