"""Promises 2 and 3 on a real database: three applications write at once, nodes and server are killed, nothing is lost."""
import random
import shutil
import time

import load
from case import case
from process import Skipped, check
from tables import contents, query, wait_identical


def three_copies(t, nats):
    """Three nodes on copies of Chinook. The first one is up before the others, so that they join what it published."""
    source = t.chinook()
    nodes = t.nodes(3, nats, "chinook")
    for node in nodes:
        shutil.copy(source, node.db)
        node.db.chmod(0o644)
    for node in nodes:
        node.start(seconds=30 * t.slow)
    return nodes


def writers_for(t, nodes, transactions, seconds):
    if t.product.writer is None:
        raise Skipped(f"{t.product.build} has no tests/cluster/cluster_writer")
    writers = [load.PythonWriter(nodes[0].db, 1 * load.OWN_SPAN, 11, transactions, seconds),
               load.ShellWriter(nodes[1].db, 2 * load.OWN_SPAN, 22, transactions, seconds),
               load.CppWriter(t.product.writer, nodes[2].db, 3 * load.OWN_SPAN, 33, transactions, seconds)]
    t.workspace.closers.append(lambda: load.close(writers))
    return writers


def check_end_state(t, nodes, writers, before, seconds):
    """Every table identical on all nodes; own rows as their ledgers say; nobody's rows gone but by a delete."""
    after = wait_identical([n.db for n in nodes], seconds * t.slow)
    for writer in writers:
        for node in nodes:
            missing = load.own_rows_missing(writer, node.db)
            check(not missing, "\n".join(missing))
    # Tables and rows that nobody wrote to are as they were; nobody deletes a Track or a Customer.
    for table in ("Album", "Employee", "Invoice", "MediaType", "Playlist"):
        check(after[table] == before[table], f"{table} changed, though nobody wrote to it")
    for table in ("Track", "Customer"):
        check(len(after[table]) == len(before[table]), f"{table}: {len(before[table])} rows became {len(after[table])}")
    total = sum(len(rows) for rows in after.values())
    t.note(f"{sum(w.statements for w in writers)} statements by three writers; {len(after)} tables, {total} rows identical")


@case("three writers in three languages at once: every table ends identical on all nodes, and no own row is missing",
      seconds=90, short=True)
def chinook_three_writers(t):
    nodes = three_copies(t, t.nats())
    before = contents(nodes[0].db)
    transactions = 1500 if not t.long else 20_000
    writers = writers_for(t, nodes, transactions, seconds=0.0 if not t.long else 60.0)
    for writer in writers:
        writer.start()
    load.finish(writers, 80 * t.slow)
    check_end_state(t, nodes, writers, before, 40)
    verify = nodes[0].command("verify")
    check(verify.returncode == 0, f"marmot verify ended with {verify.returncode}: {verify.stdout}{verify.stderr}")


@case("kill -9 of agents and of nats-server in the middle of the load, again and again: the same end state", seconds=150)
def chinook_kill9(t):
    nats = t.nats()
    nodes = three_copies(t, nats)
    before = contents(nodes[0].db)
    seconds = 30 if not t.long else 600
    writers = writers_for(t, nodes, transactions=seconds * 100, seconds=seconds)
    for writer in writers:
        writer.start()
    draw = random.Random(7)
    kills = {"agent": 0, "nats-server": 0}
    while any(w.is_alive() for w in writers):
        time.sleep(draw.uniform(0.1, 1.2))
        victim = draw.choice([*nodes, nats])
        victim.kill9()
        time.sleep(draw.choice([0.0, 0.0, 0.3, 1.0]))
        if victim is nats:
            nats.start()
            kills["nats-server"] += 1
        else:
            victim.launch()
            kills["agent"] += 1
    load.finish(writers, 60)
    check(kills["agent"] > 4 and kills["nats-server"] > 1, f"too few kills to say anything: {kills}")
    check_end_state(t, nodes, writers, before, 60)
    t.note(f"killed -9: agents {kills['agent']} times, nats-server {kills['nats-server']} times")


@case("a collision of inserts keeps the loser in marmot conflicts, in full, on every node")
def insert_collision_keeps_loser(t):
    nats = t.nats()
    nodes = three_copies(t, nats)
    for node in nodes[:2]:
        node.kill9()
    # Two applications take the same key while their nodes are cut off.
    for n, node in enumerate(nodes[:2]):
        query(node.db, "INSERT INTO Genre(GenreId, Name) VALUES(900, ?) RETURNING 1", f"genre of {node.name}")
        time.sleep(0.05 * (n + 1))
    for node in nodes[:2]:
        node.start()
    wait_identical([n.db for n in nodes])
    winner = query(nodes[2].db, "SELECT Name FROM Genre WHERE GenreId = 900")
    check(winner == [("genre of n2",)], f"the later insert wins everywhere, not {winner}")
    for node in nodes:
        listed = node.command("conflicts", "--json")
        check(listed.returncode == 0 and "genre of n1" in listed.stdout,
              f"{node.name}: conflicts do not show the loser: {listed.returncode} {listed.stdout} {listed.stderr}")


@case("two nodes that update one row while cut off end with the later value everywhere", short=True)
def later_update_wins(t):
    nats = t.nats()
    nodes = three_copies(t, nats)
    for node in nodes[:2]:
        node.kill9()
    query(nodes[1].db, "UPDATE Track SET Name = 'earlier' WHERE TrackId = 5 RETURNING 1")
    query(nodes[1].db, "UPDATE Track SET Name = 'only one' WHERE TrackId = 6 RETURNING 1")
    time.sleep(0.02)
    query(nodes[0].db, "UPDATE Track SET Name = 'later' WHERE TrackId = 5 RETURNING 1")
    for node in nodes[:2]:
        node.start()
    wait_identical([n.db for n in nodes])
    for node in nodes:
        rows = query(node.db, "SELECT Name FROM Track WHERE TrackId IN (5, 6) ORDER BY TrackId")
        check(rows == [("later",), ("only one",)], f"{node.name} shows {rows}")
