"""Two live agents of one identity: a copied configuration, a cloned disk (docs/decisions/0030)."""
import re
import shutil
import socket
from pathlib import Path

from case import case
from process import check, until
from tables import execute, query, scalar, wait_identical

MADE = "CREATE TABLE t(v TEXT)"  # no key: its rows are named by the file that they are new to


def write(node, *numbers):
    """One row a transaction."""
    for number in numbers:
        execute(node.db, ("INSERT INTO t VALUES(?)", (f"{node.name} {number}",)))


def all_there(nodes, *expected):
    wait_identical([node.db for node in nodes], 30)
    there = sorted(row[0] for row in query(nodes[0].db, "SELECT v FROM t"))
    check(there == sorted(expected), f"there is {there}")


def rows(node, *numbers):
    return [f"{node.name} {number}" for number in numbers]


def cloned(node, name, t, **options):
    """A machine whose disk is an image of the node's, where nobody can tell: the file says that it stands where it does."""
    twin = t.node(name, node.nats, database_name=node.database_name, **options)
    shutil.copy(node.db, twin.db)
    facts = twin.db.stat()
    machine = Path("/etc/machine-id")
    place = f"{facts.st_dev}:{facts.st_ino}:{machine.read_text().strip() if machine.exists() else ''}"
    execute(twin.db, ("UPDATE __marmot_meta SET value = ? WHERE key = 'file_place'", (place,)))
    return twin


def pair(t, nats, **options):
    """A node, stopped; one that runs beside; and a clone of the first one."""
    one, other = t.node("n1", nats, database_name="app", **options), t.node("n2", nats, database_name="app")
    execute(one.db, MADE)
    one.start()
    other.start()
    wait_identical([one.db, other.db])
    one.stop()
    return one, other, cloned(one, "n3", t, **options)


def names_the_other(program, other):
    says = program.err()
    wanted = (f"process {other.program.popen.pid} on host {socket.gethostname()[:64]}", "started 20", "--node-id", "nothing is lost")
    check(all(part in says for part in wanted), f"the error does not name {wanted}:\n{program.err_tail()}")


@case("a cloned disk: the later agent takes a node id of its own, and the rows of both are there everywhere", short=True)
def twin_of_a_cloned_disk(t):
    nats = t.nats()
    one, other, twin = pair(t, nats)
    one.start()
    write(twin, *range(10))
    write(one, *range(10))
    twin.start()
    for number in range(10, 20):
        write(one, number)
        write(twin, number)
    all_there([one, other, twin], *rows(one, *range(20)), *rows(twin, *range(20)))
    twin.says("this file gets a node id of its own")
    ids = [scalar(node.db, "SELECT value FROM __marmot_meta WHERE key = 'node_id'") for node in (one, twin)]
    check(ids[0] != ids[1], f"both are node {ids[0]}")
    check("node id of its own" not in one.program.err(), "the one that was there first gives way")
    check(one.command("verify").returncode == 0, "verify finds a difference")


@case("one node_id in two configurations: the later agent ends with an error that names the other one, and nothing is lost", short=True)
def one_node_id_in_two_configurations(t):
    nats = t.nats()
    one, other, two = t.node("n1", nats, database_name="app", node_id=7), *[t.node(n, nats, database_name="app") for n in ("n2", "n3")]
    execute(one.db, MADE)
    for node in (one, other, two):
        node.start()
    wait_identical([node.db for node in (one, other, two)])
    two.stop()
    write(two, *range(20))
    two.node_id = 7
    two.launch()
    write(one, *range(20))
    check(two.program.wait(15) != 0, "it ends as if all were well")
    names_the_other(two.program, one)
    check(one.program.alive(), f"the one that was there first ended\n{one.program.err_tail()}")
    two.node_id = None  # as the error says
    two.start()
    all_there([one, other, two], *rows(one, *range(20)), *rows(two, *range(20)))


@case("two agents of one node_id that come up together: one of them stays")
def twins_that_come_up_together(t):
    nats = t.nats()
    one, other, twin = pair(t, nats, node_id=7)
    nats.stop()
    write(one, *range(20))
    write(twin, *range(20))
    one.launch()
    twin.launch()
    for node in (one, twin):
        node.says("waiting for NATS")
    nats.start()
    until("one of them has ended", lambda: not (one.program.alive() and twin.program.alive()), 20)
    stays, gone = (one, twin) if one.program.alive() else (twin, one)
    stays.wait_ready()
    check(stays.program.alive(), "both have ended")
    names_the_other(gone.program, stays)
    gone.node_id = 8
    gone.start()
    all_there([one, other, twin], *rows(one, *range(20)), *rows(twin, *range(20)))


@case("an agent that was killed starts again at once, under the same node id")
def killed_and_started_again(t):
    nats = t.nats()
    one, other = t.node("n1", nats, database_name="app", node_id=7), t.node("n2", nats, database_name="app")
    execute(one.db, MADE)
    one.start()
    other.start()
    for life in range(3):
        write(one, life)
        one.kill9()
        one.start()
    all_there([one, other], *rows(one, 0, 1, 2))
    check(re.search("another agent runs", one.program.err()) is None, "it takes its former life for another agent")
    check(scalar(one.db, "SELECT value FROM __marmot_meta WHERE key = 'node_id'") == 7, "it has another node id")
