"""A configuration that cannot be meant is an error that names the key, the value and the fix."""
import time

from case import case
from process import check, until
from tables import execute, query, scalar, wait_identical

GOOD = '[[database]]\npath = "{db}"\nname = "app"\n'

# name -> (file, words that the message must hold)
BAD = {
    "unknown key": ("nod_id = 1\n" + GOOD, ["nod_id", "node_id"]),
    "unknown key in a table": (GOOD + '[nats]\nurl = "nats://127.0.0.1:4222"\n', ["nats.url", "urls"]),
    "unknown key of a database": (GOOD + 'tabels = ["*"]\n', ["tabels", "tables"]),
    "wrong type": ('node_id = "one"\n' + GOOD, ["node_id", "one"]),
    "wrong type in a list": (GOOD + "tables = [1]\n", ["tables"]),
    "node id out of range": ("node_id = 9007199254740992\n" + GOOD, ["node_id", "9007199254740992"]),
    "negative": ("poll_interval_ms = -5\n" + GOOD, ["poll_interval_ms", "-5"]),
    "bad size": (GOOD + '[log]\nmax_bytes = "1 gigantic"\n', ["max_bytes", "1 gigantic"]),
    "bad duration": (GOOD + '[log]\nmax_age = "soon"\n', ["max_age", "soon"]),
    "bad replicas": (GOOD + "[log]\nreplicas = 9\n", ["replicas", "9"]),
    "bad url": (GOOD + '[nats]\nurls = ["htp:/nowhere"]\n', ["urls", "htp:/nowhere"]),
    "bad level": (GOOD + '[logging]\nlevel = "loud"\n', ["level", "loud"]),
    "bad format": (GOOD + '[logging]\nformat = "xml"\n', ["format", "xml"]),
    "bad name": ('[[database]]\npath = "{db}"\nname = "my app"\n', ["name", "my app"]),
    "two of a name": (GOOD + '[[database]]\npath = "{db}2"\nname = "app"\n', ["name", "app"]),
    "one file twice": (GOOD + '[[database]]\npath = "{db}"\nname = "other"\n', ["twice"]),
    "no path": ('[[database]]\nname = "app"\n', ["path"]),
    "not TOML": ("this is not toml\n", ["marmot.toml"]),
    "bad adopt": (GOOD + 'adopt = "maybe"\n', ["adopt", "maybe"]),
}


@case("a table excluded at a restart is the node's own at once, with nothing of it dropped elsewhere; chosen again it counts as written then")
def another_choice(t):
    nats = t.nats()
    config = t.dir / "marmot.toml"
    config.write_text("anti_entropy_interval_seconds = 1\n")
    one, two, three = nodes = t.nodes(3, nats, options=["--config", config])
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body)", "CREATE TABLE job(id INTEGER PRIMARY KEY, what)",
            "CREATE INDEX job_what ON job(what)", "CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY, seq)",
            "INSERT INTO job VALUES(1, 'shared'), (2, 'shared')", "INSERT INTO _litestream_seq VALUES(1, 1)")
    for node in nodes:
        node.start("--tables", "*", "--tables", "_litestream_*")  # as a version did that knew nothing of Litestream
    wait_identical([node.db for node in nodes])
    three.stop()
    execute(three.db, "INSERT INTO job VALUES(3, 'written while it was stopped')")
    three.start("--exclude", "job")
    check({table["name"] for table in three.status()["databases"][0]["tables"]} == {"note"}, f"{three.status()}")
    execute(three.db, "UPDATE job SET what = 'of node 3' WHERE id = 1", "UPDATE _litestream_seq SET seq = 3", "INSERT INTO note VALUES(1, 'of node 3')")
    execute(one.db, "INSERT INTO job VALUES(4, 'of node 1')", "DELETE FROM job WHERE id = 2", "UPDATE _litestream_seq SET seq = 1000",
            "INSERT INTO note VALUES(2, 'of node 1')")
    until("notes arrive both ways", lambda: all(scalar(node.db, "SELECT count(*) FROM note") == 2 for node in nodes))
    until("node 2 has node 1's", lambda: scalar(two.db, "SELECT seq FROM _litestream_seq") == 1000)
    time.sleep(2.5)  # some repairs
    for node in (one, two):
        check(query(node.db, "SELECT * FROM job") == [(1, "shared"), (4, "of node 1")], f"{node.name}: {query(node.db, 'SELECT * FROM job')}")
        check(query(node.db, "SELECT 1 FROM sqlite_schema WHERE name = 'job_what'"), f"{node.name}: the index was dropped")
    own = query(three.db, "SELECT * FROM job")
    check(own == [(1, "of node 3"), (2, "shared"), (3, "written while it was stopped")], f"{own}")
    check(scalar(three.db, "SELECT seq FROM _litestream_seq") == 3, "the other nodes' Litestream came")
    three.stop()
    three.start()
    execute(three.db, "INSERT INTO job VALUES(5, 'replicated again')")
    wanted = [(1, "of node 3"), (2, "shared"), (3, "written while it was stopped"), (4, "of node 1"), (5, "replicated again")]
    for node in nodes:
        until(f"{node.name} has all of them, by the repair too", lambda node=node: query(node.db, "SELECT * FROM job") == wanted, 15)
    check(scalar(one.db, "SELECT seq FROM _litestream_seq") == 1000, "node 3's Litestream was sent")


@case("every bad configuration ends with 2, in `config check` and in `agent`, naming key, value and fix", short=True)
def bad_configurations(t):
    db = t.dir / "app.db"
    execute(db, "CREATE TABLE a(id INTEGER PRIMARY KEY)")
    config = t.dir / "marmot.toml"
    for name, (text, words) in BAD.items():
        config.write_text(text.replace("{db}", str(db)))
        for arguments in (["config", "check", config], ["agent", "--config", config]):
            run = t.product.run(*arguments, seconds=10)
            check(run.returncode == 2, f"{name}: marmot {arguments[0]} ended with {run.returncode}: {run.stdout}{run.stderr}")
            for word in words:
                check(word in run.stderr, f"{name}: no '{word}' in: {run.stderr}")
    check(scalar(db, "SELECT count(*) FROM sqlite_schema") == 1, "a bad configuration touched the database")


@case("a full configuration is accepted, and so is the example that is installed", short=True)
def good_configuration(t):
    config = t.dir / "marmot.toml"
    config.write_text(
        'node_id = 7\ndata_dir = "' + str(t.dir / "data") + '"\ncluster = "blue"\npoll_interval_ms = 50\natomic_rows = 1000\n'
        'max_clock_drift_ms = 500\n' + GOOD.replace("{db}", str(t.dir / "app.db")) +
        'tables = ["*"]\nexclude = ["tmp_*"]\n[nats]\nurls = ["nats://127.0.0.1:4222", "tls://other:4222"]\nuser = "u"\n'
        'password = "p"\n[log]\nreplicas = 3\nmax_age = "24h"\nmax_bytes = "1GiB"\ncompress = true\nupdate_existing = false\n'
        '[extensions]\nload = []\n[logging]\nlevel = "debug"\nformat = "json"\n')
    run = t.product.run("config", "check", config, seconds=10)
    check(run.returncode == 0, f"{run.returncode}: {run.stdout}{run.stderr}")
    missing = t.product.run("config", "check", t.dir / "none.toml", seconds=10)
    check(missing.returncode in (1, 2) and "none.toml" in missing.stderr, f"{missing.returncode}: {missing.stderr}")
