"""The extension without an agent: it watches, applications write, the agent started later publishes it all."""
import os
import signal
import sqlite3
import subprocess
import time

from case import case
from process import check, children_of, start_time, until
from tables import execute, scalar, wait_identical


@case("the extension alone watches and writes in the stock shell; the agent started later publishes it all")
def extension_first(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    script = (f".load {t.product.extension.with_suffix('')}\n"
              "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT);\nSELECT marmot_watch('note');\n"
              "INSERT INTO note(body) VALUES('one'), ('two'), ('three');\nUPDATE note SET body = 'TWO' WHERE id = 2;\n"
              "DELETE FROM note WHERE id = 3;\n")
    shell = subprocess.run(["sqlite3", "-batch", "-bail", one.db], input=script, capture_output=True, text=True, timeout=20)
    check(shell.returncode == 0, f"sqlite3: {shell.stdout}{shell.stderr}")
    execute(one.db, "INSERT INTO note(body) VALUES('written without the extension')")  # its triggers are plain SQL
    check(scalar(one.db, "SELECT count(*) FROM __marmot_log") >= 4, "the triggers logged the writes")
    one.start()
    two.start()
    found = wait_identical([one.db, two.db])
    check([row[1][1] for row in found["note"]] == [b"one", b"TWO", b"written without the extension"], f"arrived: {found}")


@case("the extension loads from Python, tells its version, and marmot_cleanup leaves no trace")
def extension_in_python(t):
    db = t.dir / "plain.db"
    execute(db, "CREATE TABLE a(id INTEGER PRIMARY KEY, v)", "INSERT INTO a(v) VALUES(1), (2)")
    before = subprocess.run(["sqlite3", db, ".dump"], capture_output=True, timeout=10).stdout
    connection = sqlite3.connect(db, isolation_level=None)
    connection.enable_load_extension(True)
    connection.load_extension(str(t.product.extension.with_suffix("")))
    version = connection.execute("SELECT marmot_version()").fetchone()[0]
    check(version in t.product.run("--version").stdout, f"the extension says {version}")
    connection.execute("SELECT marmot_watch('*')")
    connection.execute("INSERT INTO a(v) VALUES(3)")
    connection.execute("DELETE FROM a WHERE v = 3")
    connection.execute("SELECT marmot_cleanup()")
    connection.close()
    after = subprocess.run(["sqlite3", db, ".dump"], capture_output=True, timeout=10).stdout
    check(after == before, f"cleanup left {set(after.splitlines()) ^ set(before.splitlines())}")


@case("writes while the agent is stopped, killed or not there yet are captured all the same", short=True)
def writes_without_agent(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    for number, end in enumerate((one.stop, one.kill9)):
        end()
        execute(one.db, *[("INSERT INTO note(body) VALUES(?)", (f"{number} {i}",)) for i in range(100)])
        one.start()
        found = wait_identical([one.db, two.db])
        check(len(found["note"]) == 100 * (number + 1), f"{len(found['note'])} rows arrived")


@case("the embedded server lives and dies with its agent, and keeps port and data over kill -9", short=True)
def embedded_server(t):
    one = t.node("n1")
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO note(body) VALUES('a')")
    one.start()
    address = one.join_address()
    servers = children_of(one.program.pid)
    check(len(servers) == 1, f"the agent has the children {servers}, not one nats-server")
    two = t.node("n2", database_name="n1", options=["--join", address]).start()
    wait_identical([one.db, two.db])
    one.kill9()
    until("the server goes with its agent", lambda: start_time(servers[0][0]) != servers[0][1], 5)
    execute(one.db, "INSERT INTO note(body) VALUES('b')")
    execute(two.db, "INSERT INTO note(id, body) VALUES(100, 'c')")
    one.start()
    check(one.join_address() == address, f"the address {address} became {one.join_address()}")
    wait_identical([one.db, two.db], 20 * t.slow)
    # The server alone dies: the agent starts it again.
    pid, _ = children_of(one.program.pid)[0]
    os.kill(pid, signal.SIGKILL)
    execute(two.db, "INSERT INTO note(id, body) VALUES(101, 'd')")
    found = wait_identical([one.db, two.db], 20 * t.slow)
    check(len(found["note"]) == 4, f"four rows became {found['note']}")
    servers = children_of(one.program.pid)
    one.stop()
    time.sleep(0.2)
    check(all(start_time(p) != s for p, s in servers), "SIGTERM left a nats-server behind")
