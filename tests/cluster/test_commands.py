"""The commands beside the agent: what they print, and the codes they end with."""
import json
import subprocess
import time

from case import case
from process import check, until
from tables import connect, execute, scalar, wait_identical


def two_nodes(t, rows=100, options=()):
    nats = t.nats()
    one, two = t.nodes(2, nats, options=options)
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "CREATE TABLE other(id TEXT PRIMARY KEY, n INT)",
            *[f"INSERT INTO note(body) VALUES('note {i}')" for i in range(rows)])
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    return nats, one, two


@case("verify says identical with the rows counted; after a tampered row it names table and key and ends with 3", short=True)
def verify_names_difference(t):
    # Nobody repairs the difference before it is seen.
    config = t.dir / "marmot.toml"
    config.write_text("anti_entropy_interval_seconds = 0\n")
    _, one, two = two_nodes(t, options=["--config", config])
    same = one.command("verify")
    check(same.returncode == 0 and "identical" in same.stdout, f"{same.returncode}: {same.stdout}{same.stderr}")
    check("note" in same.stdout and "100" in same.stdout, f"tables and rows are not named: {same.stdout}")
    two.stop()
    until("the member that is away is named", lambda: "did not answer" in one.command("verify").stdout, 40 * t.slow)
    away = one.command("verify")
    check(away.returncode == 3 and f"node {two.printed_node_id()} did not answer" in away.stdout, f"{away.returncode}: {away.stdout}{away.stderr}")
    check(one.command("verify", "--reachable").returncode == 0, "all that answer are identical")
    execute(two.db, "UPDATE note SET body = 'tampered' WHERE id = 42", "DELETE FROM __marmot_log")
    two.start()
    other = one.command("verify")
    check(other.returncode == 3, f"verify ended with {other.returncode}: {other.stdout}{other.stderr}")
    check("note" in other.stdout + other.stderr and "42" in other.stdout + other.stderr,
          f"the difference is not named: {other.stdout}{other.stderr}")
    report = one.json("verify", expect=(3,))
    check("42" in json.dumps(report), f"--json does not name the key: {report}")


@case("verify waits for an agent that is still opening its file or has no server yet, and says so when that takes longer than 5 s")
def verify_waits_for_start(t):
    nats, one, two = two_nodes(t, rows=3)
    one.stop()
    application = connect(one.db)
    application.execute("BEGIN IMMEDIATE")  # the agent cannot open the file meanwhile
    one.launch()
    until("the agent answers", lambda: one.command("status").returncode == 0)
    check(one.status()["databases"][0]["state"] == "opening", f"the test shows nothing: {one.status()}")
    began = time.monotonic()
    early = t.workspace.start([t.product.marmot, "verify", one.db], "verify-early")
    time.sleep(1)
    check(early.alive(), f"verify did not wait: {early.err_tail()}")
    application.execute("ROLLBACK")
    check(early.wait(10) == 0 and any("identical on 2 nodes" in line for line in early.lines), f"{early.lines} {early.err_tail()}")
    t.note(f"answered {time.monotonic() - began:.1f} s after it was asked, the file was held for 1 s")
    nats.kill9()
    until("it is gone", lambda: one.status()["databases"][0]["state"] == "waiting")
    for arguments, least, most in (((), 4.5, 8), (("--timeout-ms", 500), 0.4, 3)):
        began = time.monotonic()
        run = one.command("verify", *arguments)
        took = time.monotonic() - began
        check(run.returncode == 1 and "not connected to the cluster: waiting for NATS" in run.stderr, f"{run.returncode}: {run.stdout}{run.stderr}")
        check(least < took < most * t.slow, f"after {took:.1f} s")
    nats.start()
    until("both are there again", lambda: one.command("verify").returncode == 0, 20 * t.slow)


@case("status shows each database with what is pending, published and applied, as text and as JSON", short=True)
def status_tells(t):
    nats, one, two = two_nodes(t)
    text = one.command("status")
    check(text.returncode == 0 and "app" in text.stdout, f"{text.returncode}: {text.stdout}{text.stderr}")
    dumped = json.dumps(one.status())
    for word in ("pending", "published", "applied", "lag", "error"):
        check(word in dumped, f"status --json has no {word}: {dumped}")
    nats.kill9()
    execute(two.db, "INSERT INTO note(body) VALUES('waits')")
    until("status shows the change as pending", lambda: _pending(two.status()) == 1)
    nats.start()
    until("nothing is pending any more", lambda: _pending(two.status()) == 0, 15)


def _pending(status):
    """The number of rows that wait for their acknowledgement."""
    return status["databases"][0]["pending"]


@case("status without an agent says so and ends with 1; a command on a file that is not there names it")
def status_without_agent(t):
    db = t.dir / "lonely.db"
    execute(db, "CREATE TABLE a(id INTEGER PRIMARY KEY)")
    run = t.product.run("status", db)
    check(run.returncode == 1 and "agent" in run.stderr, f"{run.returncode}: {run.stdout}{run.stderr}")
    run = t.product.run("status", t.dir / "nowhere.db")
    check(run.returncode in (1, 2) and "nowhere.db" in run.stderr, f"{run.returncode}: {run.stdout}{run.stderr}")


@case("tail prints a line for each change in and out, as JSON when asked", short=True)
def tail_follows(t):
    _, one, two = two_nodes(t, rows=3)
    plain = t.workspace.start([t.product.marmot, "tail", one.db], "tail-plain")
    as_json = t.workspace.start([t.product.marmot, "tail", one.db, "--json"], "tail-json")
    time.sleep(0.5 * t.slow)
    execute(one.db, "INSERT INTO note(id, body) VALUES(71, 'out of one')")
    execute(two.db, "UPDATE note SET body = 'into one' WHERE id = 2")
    execute(two.db, "DELETE FROM note WHERE id = 3")
    for pattern in (r" out +insert +note +71 ", r" in +update +note +2 ", r" in +delete +note +3 "):
        plain.wait_line(pattern)
    as_json.wait_line(r"71")
    for line in as_json.lines:
        json.loads(line)
    for program in (plain, as_json):
        program.popen.terminate()
        program.wait(5)


@case("wait ends with 0 once everything is published, and with 3 when that does not come in time", short=True)
def wait_waits(t):
    nats, one, _ = two_nodes(t, rows=3)
    execute(one.db, "INSERT INTO note(body) VALUES('x')")
    run = one.command("wait", "--timeout-ms", "10000")
    check(run.returncode == 0, f"{run.returncode}: {run.stdout}{run.stderr}")
    check(scalar(one.db, "SELECT count(*) FROM __marmot_version WHERE seq IS NULL") == 0, "wait returned too early")
    nats.kill9()
    execute(one.db, "INSERT INTO note(body) VALUES('y')")
    run = one.command("wait", "--timeout-ms", "1000")
    check(run.returncode == 3, f"wait ended with {run.returncode}: {run.stdout}{run.stderr}")


@case("cleanup leaves the dump byte for byte as it was, and the journal mode restored", short=True)
def cleanup_leaves_nothing(t):
    nats = t.nats()
    one = t.node("n1", nats)
    execute(one.db, "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", "CREATE TABLE loose(v)", "CREATE INDEX i ON a(v)",
            "CREATE TABLE pair(a, b, PRIMARY KEY(a, b)) WITHOUT ROWID", "INSERT INTO a(v) VALUES(1), (2)",
            "INSERT INTO loose VALUES(3)")
    def dump():
        return subprocess.run(["sqlite3", one.db, ".dump"], capture_output=True, timeout=10, check=True).stdout
    before = dump()
    check(scalar(one.db, "PRAGMA journal_mode") == "delete", "a new file has a rollback journal")
    one.start()
    check(scalar(one.db, "PRAGMA journal_mode") == "wal", "the agent switched the file to WAL")
    refused = one.command("cleanup")
    check(refused.returncode != 0 and str(one.program.pid) in refused.stderr, f"beside an agent: {refused.stdout}{refused.stderr}")
    one.stop()
    run = one.command("cleanup")
    check(run.returncode == 0, f"{run.returncode}: {run.stdout}{run.stderr}")
    check(dump() == before, f"left: {set(dump().splitlines()) ^ set(before.splitlines())}")
    check(scalar(one.db, "PRAGMA journal_mode") == "delete", "the journal mode was not restored")
    check(scalar(one.db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_\\_marmot%' ESCAPE '\\'") == 0, "tables stayed")


@case("a second agent on the same file is refused and names the first one's pid", short=True)
def second_agent(t):
    nats = t.nats()
    one = t.node("n1", nats)
    execute(one.db, "CREATE TABLE a(id INTEGER PRIMARY KEY)")
    one.start()
    second = t.product.run("agent", one.db, "--nats", nats.url, "--data-dir", t.dir / "elsewhere", seconds=10)
    check(second.returncode in (1, 2) and str(one.program.pid) in second.stderr, f"{second.returncode}: {second.stderr}")
    check(one.program.alive(), "the first agent went on")
    one.kill9()
    one.start()  # a lock of a dead agent holds nobody up


@case("SIGTERM publishes what is there and ends with 0 within 5 s, under load too", short=True)
def sigterm_drains(t):
    _, one, two = two_nodes(t, rows=3)
    for round_number in range(3):
        connection = connect(one.db)
        for i in range(200):
            connection.execute("INSERT INTO note(body) VALUES(?)", (f"{round_number} {i}",))
        connection.close()
        one.stop(seconds=5 * t.slow)
        left = scalar(one.db, "SELECT (SELECT count(*) FROM __marmot_log) + "
                              "(SELECT count(*) FROM __marmot_version WHERE seq IS NULL)")
        check(left == 0, f"SIGTERM left {left} changes unpublished though the server was there")
        one.start()
    wait_identical([one.db, two.db])


@case("usage errors end with 2 and say what to type instead")
def usage_errors(t):
    for arguments in (["frobnicate"], ["agent", "--no-such-option"], ["agent"], ["status"], ["config", "check"],
                      ["agent", t.dir / "a.db", "--adopt", "maybe"], ["agent", t.dir / "a.db", "--node-id", "minus one"]):
        run = t.product.run(*arguments, seconds=10)
        check(run.returncode == 2, f"marmot {' '.join(map(str, arguments))} ended with {run.returncode}: {run.stdout}{run.stderr}")
        check(run.stderr.strip(), f"marmot {' '.join(map(str, arguments))} says nothing")
    run = t.product.run("--help")
    check(run.returncode == 0 and "agent" in run.stdout, "--help prints the commands")
    run = t.product.run("--version")
    check(run.returncode == 0 and run.stdout.startswith("marmot "), f"--version prints {run.stdout}")
