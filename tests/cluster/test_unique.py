"""UNIQUE across nodes: one row is visible everywhere, the other one is kept, listed, and can be written again."""
import time

from case import case
from process import check, until
from tables import execute, query, wait_identical

SCHEMA = ("CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE UNIQUE, name TEXT, photo BLOB)",
          "CREATE TABLE note(id INTEGER PRIMARY KEY, body)")


def collided(t, *options):
    """Two of three nodes take one address while they are cut off; the second one is later."""
    nats = t.nats()
    nodes = t.nodes(3, nats, options=options)
    execute(nodes[0].db, *SCHEMA)
    for node in nodes:
        node.start(seconds=20 * t.slow)
    wait_identical([n.db for n in nodes])
    for node in nodes[:2]:
        node.kill9()
    execute(nodes[0].db, "INSERT INTO person VALUES(1, 'Ann@x.org', 'of n1', x'00ff')")
    time.sleep(0.05)
    execute(nodes[1].db, "INSERT INTO person VALUES(2, 'ann@X.org', 'of n2', NULL)", "INSERT INTO note VALUES(1, 'goes on')")
    for node in nodes[:2]:
        node.start(seconds=20 * t.slow)
    wait_identical([n.db for n in nodes])
    until("the other table goes on", lambda: all(query(n.db, "SELECT body FROM note") == [("goes on",)] for n in nodes), 15 * t.slow)
    return nodes


def lost_of(node, kind="unique"):
    return [lost for lost in node.json("conflicts")["conflicts"] if lost["kind"] == kind]


@case("one UNIQUE value taken on two nodes: the later row is visible everywhere, the other one is kept, listed and restored", short=True)
def unique_value_on_two_nodes(t):
    nodes = collided(t)
    until("the loser is retired and listed on every node",
          lambda: all([lost["shelved"] for lost in lost_of(n)] == [False] for n in nodes), 15 * t.slow)
    for node in nodes:
        rows = query(node.db, "SELECT id, name FROM person")
        check(rows == [(2, "of n2")], f"{node.name} shows {rows}")
        [lost] = lost_of(node)
        check(lost["loser"]["row"] == {"id": 1, "email": "Ann@x.org", "name": "of n1", "photo": {"hex": "00FF"}}, f"{node.name}: {lost}")
        check(lost["winner"]["row"]["name"] == "of n2", f"{node.name}: {lost}")
        check(node.json("status")["databases"][0]["shelved"] == 0, "a retired row is not shelved")
    identifier = lost_of(nodes[2])[0]["id"]
    shown = nodes[2].command("conflicts", "show", identifier)
    check("of n1" in shown.stdout and "UNIQUE constraint failed: person.email" in shown.stdout, shown.stdout)
    refused = nodes[2].command("conflicts", "restore", identifier)
    check(refused.returncode == 1 and '"name": "of n2"' in refused.stderr, f"what is in the way is told: {refused}")
    restored = nodes[2].command("conflicts", "restore", identifier, "--set", "email=ann2@x.org")
    check(restored.returncode == 0, restored.stderr)
    wait_identical([n.db for n in nodes])
    expected = [(1, "ann2@x.org", "of n1", b"\x00\xff"), (2, "ann@X.org", "of n2", None)]
    until("the restored row is everywhere", lambda: all(query(n.db, "SELECT * FROM person ORDER BY id") == expected for n in nodes), 15 * t.slow)
    check(not lost_of(nodes[2]), "it is no conflict any more where it was restored")
    until("nor anywhere else", lambda: not any(lost_of(n) for n in nodes), 15 * t.slow)
    check(nodes[0].command("conflicts", "discard", "--all").returncode == 0, "discard --all")


@case("unique_losers = keep: the loser waits on every node, and returns when the winner goes")
def unique_loser_is_kept(t):
    config = t.dir / "keep.toml"
    config.write_text('unique_losers = "keep"\n')
    nodes = collided(t, "--config", config)
    until("the loser waits on every node", lambda: all([lost["shelved"] for lost in lost_of(n)] == [True] for n in nodes), 15 * t.slow)
    for node in nodes:
        check(node.json("status")["databases"][0]["shelved"] == 1, f"{node.name} counts it")
    execute(nodes[2].db, "DELETE FROM person WHERE id = 2")
    until("the loser is back", lambda: all(query(n.db, "SELECT id, name FROM person") == [(1, "of n1")] for n in nodes), 15 * t.slow)
    check(not any(lost_of(n) for n in nodes), "nothing waits any more")
    verify = nodes[0].command("verify")
    check(verify.returncode == 0, f"marmot verify ended with {verify.returncode}: {verify.stdout}{verify.stderr}")
