"""Repair: what the triggers did not see is found, and ends alike on every node; the alarm, the metrics, the members."""
import re
import time

from case import case
from process import check, until
from tables import connect, contents, execute, query, scalar, wait_identical


def configured(t, **keys):
    """A configuration file; `databases` are named on the command line."""
    path = t.dir / "marmot.toml"
    path.write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))
    return ["--config", path]


def behind_the_triggers(db, *statements):
    """What a tool does that knows nothing of the triggers: in one transaction they go and come back."""
    connection = connect(db)
    try:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '__marmot_*'").fetchall()
        check(triggers, "no triggers to get around")
        connection.execute("BEGIN IMMEDIATE")
        for name, _ in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")
    finally:
        connection.close()


def three_nodes(t, interval, rows=300):
    nats = t.nats()
    nodes = t.nodes(3, nats, options=configured(t, anti_entropy_interval_seconds=interval))
    execute(nodes[0].db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "CREATE TABLE tag(name TEXT PRIMARY KEY, n INT)",
            "CREATE TABLE line(text TEXT)",
            *[f"INSERT INTO note(body) VALUES('note {i}')" for i in range(rows)],
            "INSERT INTO tag VALUES('a', 1), ('b', 2), ('c', 3)", "INSERT INTO line VALUES('one'), ('two')")
    for i, node in enumerate(nodes):
        node.node_id = i + 1
        node.start()
    wait_identical([node.db for node in nodes])
    return nats, nodes


def status_of(node):
    return node.status()["databases"][0]


@case("rows changed, deleted and inserted without the triggers are found and repaired on every node within two intervals", short=True)
def scrub_repairs(t):
    interval = 3
    _, nodes = three_nodes(t, interval)
    damaged = nodes[1]
    began = time.monotonic()
    behind_the_triggers(damaged.db, "UPDATE note SET body = 'changed' WHERE id = 17", "DELETE FROM note WHERE id = 18",
                        "INSERT INTO note VALUES(9000, 'new')", "DELETE FROM tag WHERE name = 'b'",
                        "UPDATE line SET text = 'TWO' WHERE text = 'two'")
    limit = (2 * interval + 2) * t.slow
    until("every node has what was written", lambda: all(
        query(node.db, "SELECT id, body FROM note WHERE id IN (17, 18, 9000) ORDER BY id") == [(17, "changed"), (9000, "new")]
        and query(node.db, "SELECT name FROM tag ORDER BY name") == [("a",), ("c",)]
        and sorted(query(node.db, "SELECT text FROM line")) == [("TWO",), ("one",)] for node in nodes), limit)
    t.note(f"repaired on 3 nodes after {time.monotonic() - began:.1f} s (interval {interval} s)")
    wait_identical([node.db for node in nodes])
    damaged.says("without the triggers")
    check(status_of(damaged)["repair"]["scrub_found"] == 5, f"{status_of(damaged)['repair']}")


@case("registers that were lost or put back to an older state on one node are repaired from the others", short=True)
def anti_entropy_repairs(t):
    interval = 3
    _, nodes = three_nodes(t, interval)
    execute(nodes[0].db, "UPDATE note SET body = 'second' WHERE id <= 20")
    execute(nodes[2].db, "DELETE FROM note WHERE id BETWEEN 21 AND 25")
    wait_identical([node.db for node in nodes])
    expected = contents(nodes[0].db)
    # A row gone with its version, one as it was before its update, one that was deleted and is back: from inside nothing of it
    # looks wrong.
    damaged = nodes[1]
    key = "(SELECT key FROM __marmot_version WHERE tbl = 1 ORDER BY key LIMIT 1 OFFSET {})"
    damaged.stop()
    before = query(nodes[0].db, "SELECT count(*) FROM __marmot_version")
    behind_the_triggers(damaged.db, "DELETE FROM note WHERE id = 100",
                        f"DELETE FROM __marmot_version WHERE key = {key.format(99)} AND tbl = 1",
                        f"UPDATE __marmot_version SET hlc = hlc - 10000 WHERE tbl = 1 AND key = {key.format(4)}")
    damaged.start()
    until("all hold the same registers again", lambda: contents(damaged.db) == expected and before == query(
        damaged.db, "SELECT count(*) FROM __marmot_version"), (2 * interval + 10) * t.slow)
    wait_identical([node.db for node in nodes])
    check(contents(nodes[0].db) == expected, "the repair changed what was right")
    nodes[0].says("differed between nodes")  # the lowest leads the comparison
    until("no range is divergent any more", lambda: all(status_of(node)["divergent_ranges"] == 0 for node in nodes), 15 * t.slow)


@case("verify --repair repairs at once, says what, and ends with 0; a second one has nothing to repair", short=True)
def verify_repair(t):
    _, nodes = three_nodes(t, 0)
    behind_the_triggers(nodes[2].db, "UPDATE note SET body = 'changed' WHERE id IN (3, 4)", "DELETE FROM note WHERE id = 5")
    time.sleep(0.5)
    found = nodes[0].command("verify")
    check(found.returncode == 3, f"nobody looks while the interval is 0: {found.returncode} {found.stdout}")
    run = nodes[0].command("verify", "--repair")
    check(run.returncode == 0 and "3 rows" in run.stdout and "identical on 3 nodes" in run.stdout,
          f"{run.returncode}: {run.stdout}{run.stderr}")
    check(query(nodes[1].db, "SELECT id, body FROM note WHERE id IN (3, 4, 5)") == [(3, "changed"), (4, "changed")], "not repaired")
    again = nodes[1].json("verify", "--repair")
    check(again["identical"] and all(table["found"] == 0 and table["repaired"] == 0 for table in again["tables"]), f"{again}")


@case("a row changed into another one of the same hash is named by verify, and verify --repair makes the nodes equal")
def same_hash(t):
    nats = t.nats()
    one, two = t.nodes(2, nats, options=configured(t, anti_entropy_interval_seconds=0))
    columns = "abcdefgh"
    # The cluster's secret is out, and with it such a row is found at once (tests/replica/collision.hpp).
    secret, found = "0f0e0d0c0b0a09080706050403020100", (5898, 26402, 101300, 40439, 97191, 54291, 20344, 57983)
    execute(one.db, f"CREATE TABLE t(id INTEGER PRIMARY KEY, {', '.join(columns)})", f"INSERT INTO t VALUES(1{', -1' * 8}), (2{', 0' * 8})")
    connection = connect(one.db)
    connection.enable_load_extension(True)
    connection.load_extension(str(t.product.extension.with_suffix("")))
    connection.execute("SELECT marmot_watch('t')")
    connection.execute("INSERT OR REPLACE INTO __marmot_meta(key, value) VALUES('hash_key', ?), ('format', 3)", (secret,))
    connection.close()
    one.node_id, two.node_id = 1, 2
    for node in (one, two):
        node.start()
    wait_identical([one.db, two.db])
    execute(one.db, "UPDATE t SET " + ", ".join(f"{column} = {value}" for column, value in zip(columns, found)) + " WHERE id = 1")
    execute(one.db, "INSERT INTO t(id) VALUES(3)")
    until("what came behind it is there", lambda: scalar(two.db, "SELECT count(*) FROM t") == 3, 10 * t.slow)
    check(scalar(two.db, "SELECT a FROM t WHERE id = 1") == -1, "the secret is another one: the row was sent")
    told = one.command("verify")
    check(told.returncode == 3 and "t" in told.stdout, f"{told.returncode}: {told.stdout}{told.stderr}")
    run = one.command("verify", "--repair")
    check(run.returncode == 0 and "identical on 2 nodes" in run.stdout, f"{run.returncode}: {run.stdout}{run.stderr}")
    wait_identical([one.db, two.db])


@case("a node that lost most of a table together with its versions gets it back from the others, list by list")
def much_is_lost(t):
    _, nodes = three_nodes(t, 0)
    execute(nodes[1].db, "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 13000) "
                         "INSERT INTO note SELECT i, 'row ' || i FROM n")
    wait_identical([node.db for node in nodes])
    expected = contents(nodes[1].db)
    behind_the_triggers(nodes[0].db, "DELETE FROM note WHERE id > 5",
                        "DELETE FROM __marmot_version WHERE tbl = 1 AND key > (SELECT key FROM __marmot_version WHERE tbl = 1 ORDER BY key LIMIT 1 OFFSET 4)")
    report = nodes[2].json("verify", "--repair", "--timeout-ms", "50000", seconds=60)
    check(report["identical"], f"{report}")
    note = next(table for table in report["tables"] if table["name"] == "note")
    check(note["found"] == 0 and note["repaired"] == 12296, f"{note}")
    check(contents(nodes[0].db) == expected and contents(nodes[2].db) == expected, "not what it was")


@case("replication that stands still while the WAL grows raises an alarm within 10 s, which clears by itself")
def stall_alarm(t):
    _, nodes = three_nodes(t, 30)
    holder = connect(nodes[0].db)
    holder.execute("PRAGMA cache_size = 5")
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    execute(nodes[1].db, "INSERT INTO note(id, body) VALUES(5000, 'comes later')")
    alarmed = None
    for i in range(24):
        holder.execute("INSERT INTO tag(name, n) SELECT ? || '.' || id || hex(randomblob(200)), 1 FROM note", (f"held {i}",))
        if alarmed is None and status_of(nodes[0])["alarm"]:
            alarmed = time.monotonic() - began
        time.sleep(0.5)
    check(alarmed is not None and alarmed < 10, f"no alarm within 10 s: {alarmed}, {status_of(nodes[0])}")
    t.note(f"alarm after {alarmed:.1f} s: {status_of(nodes[0])['alarm']}")
    text = nodes[0].command("status").stdout
    check("ALARM" in text, f"status does not show it: {text}")
    metrics = nodes[0].command("status", "--metrics").stdout
    check(re.search(r'^marmot_stalled\{database="app"\} 1$', metrics, re.M), f"no metric: {metrics}")
    nodes[0].says("stood still for")
    holder.execute("COMMIT")
    until("the alarm is over", lambda: not status_of(nodes[0])["alarm"], 10)
    nodes[0].says("replication goes on")
    wait_identical([node.db for node in nodes], 30)


@case("status --metrics is what Prometheus reads: every line a comment or a sample, every sample announced", short=True)
def metrics_format(t):
    _, nodes = three_nodes(t, 30)
    run = nodes[0].command("status", "--metrics")
    check(run.returncode == 0, run.stderr)
    announced = set()
    for line in run.stdout.splitlines():
        match = re.fullmatch(r"# (HELP|TYPE) (marmot_[a-z_]+) .+", line)
        if match:
            announced.add(match.group(2))
            continue
        match = re.fullmatch(r'(marmot_[a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.]+', line)
        check(match, f"no sample: {line}")
        check(match.group(1) in announced, f"{match.group(1)} has no TYPE")
    check('marmot_applied_rows_total{database="app"}' in run.stdout, run.stdout)
    check(len(re.findall(r"^marmot_peer_lag_messages\{", run.stdout, re.M)) == 2, run.stdout)


@case("members lists every node, and one that is away is still one after the others have restarted", short=True)
def members_persist(t):
    _, nodes = three_nodes(t, 30)
    until("three members", lambda: len(nodes[0].json("members")["members"]) == 3, 15 * t.slow)
    nodes[2].kill9()
    until("the file knows them", lambda: scalar(nodes[0].db, "SELECT count(*) FROM __marmot_member") == 3, 15 * t.slow)
    nodes[0].stop()
    nodes[0].start()
    until("it remembers the one that is away",
          lambda: [(m["node"], m["alive"]) for m in nodes[0].json("members")["members"]] == [(1, True), (2, True), (3, False)], 20 * t.slow)
    text = nodes[0].command("members").stdout
    check(re.search(r"node 3 +AWAY", text) and "this node" in text, text)


@case("tombstones that every member has applied are pruned, and a node that is away holds them back", seconds=300, long=True)
def floor_is_announced(t):
    _, nodes = three_nodes(t, 30)
    execute(nodes[0].db, "DELETE FROM note WHERE id > 100")
    wait_identical([node.db for node in nodes])
    dead = "SELECT count(*) FROM __marmot_version WHERE state = 0"
    check(scalar(nodes[1].db, dead) == 200, "no tombstones")
    until("tombstones are pruned everywhere", lambda: all(scalar(node.db, dead) == 0 for node in nodes), 150, pause=1)
    nodes[2].kill9()
    execute(nodes[0].db, "DELETE FROM note WHERE id > 50")
    time.sleep(90)
    check(scalar(nodes[0].db, dead) == 50, "pruned although a member has not applied them")
    nodes[2].start()
    until("pruned once it is back", lambda: all(scalar(node.db, dead) == 0 for node in nodes), 100, pause=1)
    wait_identical([node.db for node in nodes])
