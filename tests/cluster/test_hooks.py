"""[hooks] on_schema_change: a command that is run when schema changes of other nodes have arrived."""
import subprocess
import time
from pathlib import Path

from case import case
from process import check, children_of, until
from tables import execute, query, scalar, wait_identical

QUIET_S = 1.0  # for what must not happen; a run waits for 0.2 s


def with_hook(t, node, command):
    """The node's agent gets a configuration file with that command; $T in it is the test's folder."""
    config = t.dir / f"{node.name}.toml"
    escaped = command.replace("$T", str(t.dir)).replace("\\", "\\\\").replace('"', '\\"')
    config.write_text(f'[hooks]\non_schema_change = "{escaped}"\n')
    node.options += ["--config", config]


def appends(t, node):
    """Its hook appends one line a run to a file: the names, with commas between. Returns a function that reads the lines."""
    with_hook(t, node, f'echo "$MARMOT_NAME:$(basename "$MARMOT_DATABASE"):$(echo "$MARMOT_TABLES" | paste -sd,)" >> $T/{node.name}.ran')
    ran = t.dir / f"{node.name}.ran"
    return lambda: ran.read_text().splitlines() if ran.exists() else []


def columns(db, table):
    return [row[1] for row in query(db, f"PRAGMA table_info({table})")]


def environment_of(pid):
    return sorted(v for v in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if v)


@case("a column that node 1 adds runs the hook of node 2 once, and node 1's own hook never", short=True)
def hook_runs_for_others(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    ran_one, ran_two = appends(t, one), appends(t, two)
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    until("node 2's hook ran for what it joined with", lambda: ran_two() == ["app:n2.db:note"])
    execute(one.db, "INSERT INTO note(body) VALUES('a')")
    execute(one.db, "PRAGMA user_version = 5")
    until("node 2 has the number", lambda: scalar(two.db, "PRAGMA user_version") == 5)
    time.sleep(QUIET_S)
    check(len(ran_two()) == 1, f"a hook ran for rows and a user_version: {ran_two()}")
    subprocess.run(["sqlite3", "-batch", "-cmd", ".timeout 5000", one.db,
                    "BEGIN; ALTER TABLE note ADD COLUMN title TEXT; CREATE INDEX by_title ON note(title); COMMIT"], check=True)
    until("node 2's hook ran", lambda: ran_two()[1:] == ["app:n2.db:by_title,note"])
    check("title" in columns(two.db, "note"), "the hook ran before the column was in the file")
    execute(two.db, "CREATE TABLE mine(id INTEGER PRIMARY KEY)")
    until("node 1's hook ran for node 2's table", lambda: ran_one() == ["app:n1.db:mine"])
    time.sleep(QUIET_S)
    check((len(ran_one()), len(ran_two())) == (1, 2), f"a hook ran for its own node's change: {ran_one()}, {ran_two()}")


@case("a table that has to wait runs the hook when it is made, and so does a file that is built from a snapshot", short=True)
def hook_runs_by_other_ways(t):
    nats = t.nats()
    one, two, three = t.nodes(3, nats)
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    ran_two, ran_three = appends(t, two), appends(t, three)
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    until("node 2's hook ran", lambda: ran_two() == ["app:n2.db:note"])
    two.stop()
    execute(two.db, "CREATE VIEW late AS SELECT 1")
    execute(one.db, "CREATE TABLE late(id INTEGER PRIMARY KEY)")
    two.start()
    two.says("table late: its change cannot be made here")
    time.sleep(QUIET_S)
    check(len(ran_two()) == 1, f"a hook ran for a table that is not there: {ran_two()}")
    execute(two.db, "DROP VIEW late")
    until("node 2's hook ran for the table", lambda: ran_two()[1:] == ["app:n2.db:late"], 20)
    check(one.product.run("snapshot", "save", one.db, seconds=60).returncode == 0, "no snapshot was taken")
    three.start()
    three.says("built from the snapshot")
    until("node 3's hook ran for all of its file", lambda: ran_three() == ["app:n3.db:late,note"])


@case("a hook that fails is logged once with its last words, and the nats-server of its agent has the agent's environment", short=True)
def hook_fails(t):
    one = t.node("n1", database_name="app")
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    with_hook(t, one, "echo first >&2; echo no such unit: app >&2; exit 4")
    one.start()
    two = t.node("n2", database_name="app", options=["--join", one.join_address()]).start()
    wait_identical([one.db, two.db])
    execute(two.db, "CREATE TABLE other(id INTEGER PRIMARY KEY)")
    one.says(r"app: hooks\.on_schema_change failed: exit code 4: no such unit: app")
    execute(two.db, "INSERT INTO other VALUES(1)")
    wait_identical([one.db, two.db])
    time.sleep(QUIET_S)
    check(one.program.err().count("on_schema_change failed") == 1, f"the failure is not logged once:\n{one.program.err_tail()}")
    check(one.program.alive(), "the agent ended with its hook")
    servers = [pid for pid, _ in children_of(one.program.pid)]
    check(len(servers) == 1, f"the agent has {len(servers)} children, not its nats-server alone")
    check(environment_of(servers[0]) == environment_of(one.program.pid), "the nats-server has another environment than its agent")
