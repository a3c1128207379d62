"""Bad input and faults: a clear error, nothing lost (the list of issue 2)."""
import base64
import ctypes
import json
import os
import shutil
import time

from case import case
from node import stream_of, subject_of
from process import check, until
from tables import connect, execute, query, scalar, unpublished, wait_identical


def note_table(db, rows=0):
    execute(db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)",
            *[f"INSERT INTO note(body) VALUES('note {i}')" for i in range(rows)])


def refused(t, db, *options, words=(), nats=None):
    """An agent that must not start: it ends with 1 or 2 and says why."""
    run = t.product.run("agent", db, *(["--nats", nats.url] if nats else []), *options, seconds=15)
    check(run.returncode in (1, 2), f"the agent ended with {run.returncode}: {run.stdout}{run.stderr}")
    for word in words:
        check(word in run.stderr, f"no '{word}' in: {run.stderr}")
    return run


@case("files that are no database, in no directory, or directories themselves are refused by name and left alone", short=True)
def bad_files(t):
    nats = t.nats()
    junk = t.dir / "junk.db"
    junk.write_bytes(b"this is no database, whatever its name says\n" * 200)
    before = junk.read_bytes()
    refused(t, junk, nats=nats, words=["junk.db", "not a database"])
    check(junk.read_bytes() == before, "the file was changed")
    refused(t, t.dir / "no" / "such" / "dir.db", nats=nats, words=["dir.db"])
    (t.dir / "folder.db").mkdir()
    refused(t, t.dir / "folder.db", nats=nats, words=["folder.db"])
    truncated = t.dir / "short.db"
    execute(truncated, "CREATE TABLE a(id INTEGER PRIMARY KEY, v)", "INSERT INTO a(v) VALUES(zeroblob(20000))")
    truncated.write_bytes(truncated.read_bytes()[:6000])
    refused(t, truncated, nats=nats, words=["short.db"])


@case("a file that may not be read or written, and a directory that may not be, are refused by name")
def read_only(t):
    nats = t.nats()
    mount = t.workspace.tmpfs("ro", "8m")
    note_table(mount / "app.db", 3)
    t.workspace.remount(mount, "ro")
    refused(t, mount / "app.db", "--data-dir", t.dir / "data", nats=nats, words=["app.db"])
    check(scalar(mount / "app.db", "SELECT count(*) FROM note") == 3, "the file is as it was")
    t.workspace.remount(mount, "rw")
    if os.geteuid() != 0:
        db = t.dir / "locked.db"
        note_table(db)
        db.chmod(0)
        refused(t, db, nats=nats, words=["locked.db"])


@case("a file that cannot be in WAL mode is refused with the reason")
def wal_impossible(t):
    nats = t.nats()
    db = t.dir / "app.db"
    note_table(db, 2)
    (t.dir / "app.db-shm").mkdir()  # nobody can have shared memory there
    run = refused(t, db, nats=nats, words=["app.db"])
    check("WAL" in run.stderr or "wal" in run.stderr, f"WAL is not named: {run.stderr}")
    (t.dir / "app.db-shm").rmdir()
    check(scalar(db, "SELECT count(*) FROM note") == 2, "the rows are there")


@case("NATS away at start: the agent says so and waits, the application writes, and all is published later", short=True)
def nats_away_at_start(t):
    nats = t.nats()
    nats.kill9()
    one, two = t.nodes(2, nats)
    note_table(one.db, 5)
    one.launch()
    one.says(r"nats|connect")
    execute(one.db, "INSERT INTO note(body) VALUES('while waiting')")
    check(one.program.alive(), "the agent waits")
    nats.start()
    one.wait_ready(20 * t.slow)
    two.start()
    found = wait_identical([one.db, two.db])
    check(len(found["note"]) == 6, f"{len(found['note'])} of 6 rows")


@case("NATS gone under writes: nobody is held up, and everything arrives once it is back", seconds=120, alone=True)
def nats_gone(t):
    nats = t.nats()
    nodes = t.nodes(3, nats)
    note_table(nodes[0].db)
    for node in nodes:
        node.start()
    wait_identical([n.db for n in nodes])
    seconds = 60 if t.long else 10
    nats.kill9()
    ends = time.monotonic() + seconds
    worst, number = 0.0, 0
    connections = [connect(n.db) for n in nodes]
    while time.monotonic() < ends:
        for i, connection in enumerate(connections):
            number += 1
            started = time.perf_counter()
            connection.execute("INSERT INTO note VALUES(?, ?)", (number * 10 + i, f"node {i + 1} alone"))
            worst = max(worst, time.perf_counter() - started)
        time.sleep(0.01)
    check(all(n.program.alive() for n in nodes), "an agent gave up")
    nats.start()
    started = time.monotonic()
    found = wait_identical([n.db for n in nodes], 30)
    t.note(f"{number} rows written in {seconds} s without NATS, worst commit {worst * 1e3:.1f} ms; "
           f"all there {time.monotonic() - started:.1f} s after its return")
    check(len(found["note"]) == number, f"{len(found['note'])} of {number} rows")


@case("JetStream disabled on the server: the agent says so, waits, and goes on once it is enabled")
def jetstream_disabled(t):
    nats = t.nats(jetstream=False)
    one = t.node("n1", nats, database_name="app")
    note_table(one.db, 3)
    one.launch()
    one.says(r"jetstream", 15)
    execute(one.db, "INSERT INTO note(body) VALUES('meanwhile')")
    nats.kill9()
    nats.jetstream = True
    nats.configure()
    nats.start()
    if not one.program.alive():
        one.launch()
    one.wait_ready(20)
    until("all is published", lambda: unpublished(one.db) == 0, 15)
    two = t.node("n2", nats, database_name="app").start()
    check(len(wait_identical([one.db, two.db])["note"]) == 4, "4 rows arrive")


@case("the server's storage limit reached: reported, the changes wait, and go out once there is room")
def storage_limit(t):
    nats = t.nats(extra="max_file: 2MB\n max_mem: 1MB")
    one = t.node("n1", nats, database_name="app")
    note_table(one.db, 3)
    one.start()
    for i in range(12):
        execute(one.db, ("INSERT INTO note(id, body) VALUES(?, hex(randomblob(250000)))", (100 + i,)))
    one.says(r"insufficient .*max_bytes", 15)
    check(one.program.alive(), "the agent gave up")
    check(scalar(one.db, "SELECT count(*) FROM note") == 15, "a row is gone")
    check("insufficient" in one.command("status").stdout, "status does not tell")
    check(unpublished(one.db) > 0, "nothing waits: the limit was not reached")
    # The administrator makes room.
    nats.kill9()
    nats.configure()
    nats.start()
    until("all is published", lambda: unpublished(one.db) == 0, 20)
    two = t.node("n2", nats, database_name="app").start(seconds=20)
    wait_identical([one.db, two.db])


def changed_message(nats, change):
    """The stream's last message, with `change` applied to its bytes."""
    state = nats.stream_state(stream_of("app"))
    message = nats.client().api(f"STREAM.MSG.GET.{stream_of('app')}", {"seq": state["last_seq"]})["message"]
    return change(bytearray(base64.b64decode(message["data"])))


def sealed(data):
    """A message whose bytes were changed, with the checksum that fits them (common/codec/envelope.hpp)."""
    hashed = ctypes.CDLL("libxxhash.so.0").XXH3_64bits_withSeed
    hashed.restype = ctypes.c_uint64
    hashed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
    sizes = {0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8}  # MessagePack's numbers; a bool and a small number are one byte
    at = 6  # behind the array's head
    for _ in range(5):
        at += 1 + sizes.get(data[at], 0)
    check(data[at] == 0xcf, "the checksum stands elsewhere by now")
    head, body = bytes(data[:at]), bytes(data[at + 9:])
    return head + b"\xcf" + hashed(body, len(body), hashed(head, len(head), 0)).to_bytes(8, "big") + body


@case("a corrupt message is quarantined and reported, and what comes after it is applied", short=True)
def corrupt_message(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    note_table(one.db, 5)
    one.start()
    two.start()
    wait_identical([one.db, two.db])

    def flip(data):
        data[-1] ^= 0xff  # in the slice: its checksum tells
        return bytes(data)
    client = nats.client()
    client.append(subject_of("app"), changed_message(nats, flip))
    client.append(subject_of("app"), b"not even an envelope")
    client.append(subject_of("app"), b"")
    client.append(subject_of("app"), b"MMT\x01\x03" + b"\xff" * 40)
    execute(one.db, "INSERT INTO note(body) VALUES('after the corruption')")
    found = wait_identical([one.db, two.db], 15 * t.slow)
    check(len(found["note"]) == 6, "the row after the corrupt messages arrived")
    for node in (one, two):
        node.says(r"quarantin|corrupt")
        check(scalar(node.db, "SELECT count(*) FROM __marmot_quarantine") == 4, f"{node.name} keeps the four messages")
    two.kill9()
    two.start()
    execute(one.db, "INSERT INTO note(body) VALUES('after a restart')")
    wait_identical([one.db, two.db], 15 * t.slow)


@case("a message of a newer format stops applying with a clear message and loses nothing; local writes go on")
def newer_format(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    note_table(one.db, 5)
    one.start()
    two.start()
    wait_identical([one.db, two.db])

    def newer(data):
        data[3] = 99
        return sealed(data)
    nats.stop()
    shutil.copytree(t.dir / "nats-store", t.dir / "older-store")
    nats.start()
    nats.client().append(subject_of("app"), changed_message(nats, newer))
    for node in (one, two):
        node.says(r"upgrade.*format 99", 10)
    execute(one.db, "INSERT INTO note(body) VALUES('written meanwhile')")
    check(scalar(one.db, "SELECT count(*) FROM note") == 6, "the application is unaffected")
    check(scalar(two.db, "SELECT count(*) FROM __marmot_quarantine") == 0, "a newer message is not corrupt")
    time.sleep(0.5)
    check(scalar(two.db, "SELECT count(*) FROM note") == 5, "nothing behind the newer message was applied out of turn")
    for node in (one, two):  # a restart does not step over it either
        node.stop()
        node.launch()
        node.says(r"upgrade.*format 99", 10)
        node.stop()
    # Nothing was lost: without that message in its way, the row written meanwhile goes out.
    nats.stop()
    shutil.rmtree(t.dir / "nats-store")
    shutil.copytree(t.dir / "older-store", t.dir / "nats-store")
    nats.start()
    one.start()
    two.start()
    check(len(wait_identical([one.db, two.db])["note"]) == 6, "the row written meanwhile arrives")


@case("a full disk is reported, nothing is lost, and the node catches up once there is room", seconds=60)
def full_disk(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    disk = t.workspace.tmpfs("disk", "6m")
    two.db = disk / "n2.db"
    two.options = ["--data-dir", t.dir / "n2-data"]
    note_table(one.db, 3)
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(b"\0" * (free.f_bavail * free.f_bsize - 600_000))
    for i in range(20):
        execute(one.db, ("INSERT INTO note(id, body) VALUES(?, hex(randomblob(50000)))", (100 + i,)))
    two.says(r"full|no space|disk", 15)
    check(one.program.alive(), "the other node goes on")
    ballast.unlink()
    if not two.program.alive():
        two.launch()
    wait_identical([one.db, two.db], 30)
    check(query(two.db, "PRAGMA integrity_check") == [("ok",)], "the file is sound")


@case("a database that an application keeps busy for long: the agent waits, says so, and catches up after")
def database_busy(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    note_table(one.db, 3)
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    connection = connect(two.db)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO note(id, body) VALUES(1000, 'takes its time')")
    execute(one.db, *[f"INSERT INTO note(id, body) VALUES({2000 + i}, 'meanwhile')" for i in range(100)])
    time.sleep(6 if not t.long else 30)
    check(two.program.alive(), f"the agent gave up: {two.program.err_tail()}")
    connection.execute("COMMIT")
    connection.close()
    check(len(wait_identical([one.db, two.db])["note"]) == 104, "both sides' rows are there")


@case("a reader that keeps a snapshot open for long does not stop the agent")
def long_reader(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    note_table(one.db, 3)
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    snapshot = connect(two.db)
    snapshot.execute("BEGIN")
    snapshot.execute("SELECT count(*) FROM note").fetchone()
    execute(one.db, "INSERT INTO note(id, body) VALUES(50, 'arrives all the same')")
    until("the row arrives", lambda: scalar(two.db, "SELECT count(*) FROM note") == 4, 5)
    for i in range(40):  # 80 MB
        execute(two.db, f"UPDATE note SET body = hex(randomblob(1000000)) WHERE id = {1 + i % 2}")
    two.says(rf"the WAL has grown to \d+ MiB, and cannot be emptied: process {os.getpid()} has kept a read transaction open for \d+ s", 20 * t.slow)
    check(snapshot.execute("SELECT count(*) FROM note").fetchone() == (3,), "the reader keeps its snapshot")
    snapshot.execute("COMMIT")
    snapshot.close()


@case("kill -9 at any moment of start-up and catch-up: the next start goes on", seconds=60, short=True)
def kill9_any_moment(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    note_table(one.db, 50)
    one.start()
    for i in range(40):
        execute(one.db, *[f"INSERT INTO note(body) VALUES('{i} {j}')" for j in range(200)])
    for step in range(20):
        two.launch()
        time.sleep(0.01 * step)
        two.kill9()
    two.start()
    found = wait_identical([one.db, two.db])
    check(len(found["note"]) == 50 + 40 * 200, f"{len(found['note'])} rows")


@case("a schema change that cannot be made here stops that table loudly, other tables go on, and the cure lets it go on")
def schema_change_refused(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    note_table(one.db, 3)
    execute(one.db, "CREATE TABLE other(id INTEGER PRIMARY KEY, v)")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    two.stop()
    execute(two.db, "CREATE VIEW memo AS SELECT 1")  # takes the name
    execute(one.db, "ALTER TABLE note RENAME TO memo", "INSERT INTO memo(body) VALUES('under its new name')")
    two.start()
    two.says("note is stopped", 15)
    execute(one.db, "INSERT INTO other(v) VALUES(1)")
    until("node 2 has the row of the other table", lambda: scalar(two.db, "SELECT count(*) FROM other") == 1)
    execute(two.db, "INSERT INTO note(id, body) VALUES(50, 'of two, meanwhile')")
    execute(two.db, "DROP VIEW memo")
    two.says("table memo is replicated again", 15)
    found = wait_identical([one.db, two.db], 15)
    check([row[1][1] for row in found["memo"]][3:] == [b"under its new name", b"of two, meanwhile"], f"after the cure: {found['memo']}")


@case("wrong credentials are told from an absent server; right ones work")
def credentials(t):
    nats = t.nats()
    nats.stop()
    nats.config.write_text(nats.config.read_text() + 'authorization { user: "marmot", password: "s3cret" }\n')
    nats.program = t.workspace.start(["nats-server", "-c", nats.config], "nats")
    one = t.node("n1", nats)
    note_table(one.db, 3)
    config = t.dir / "marmot.toml"

    def configured(password):
        config.write_text(f'[[database]]\nname = "app"\npath = "{one.db}"\n[nats]\nurls = ["{nats.url}"]\nuser = "marmot"\n'
                          f'password = "{password}"\n')
        return ["agent", "--config", config]
    one.arguments = lambda: configured("wrong")
    one.launch()
    one.says(r"authori[sz]ation", 10)
    check("wrong" not in one.program.err(), "a password is printed")
    one.kill9()
    one.arguments = lambda: configured("s3cret")
    one.start()
    check("s3cret" not in one.program.err(), "a password is printed")


@case("logs as JSON are JSON, one object a line", short=True)
def json_logs(t):
    nats = t.nats()
    one = t.node("n1", nats)
    note_table(one.db, 3)
    one.start("--log-format", "json", "--log-level", "debug")
    one.stop()
    lines = one.program.err().splitlines()
    check(lines, "nothing was logged")
    for line in lines:
        check(isinstance(json.loads(line), dict), f"not an object: {line}")
