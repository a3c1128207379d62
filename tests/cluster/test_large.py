"""Large rows, large transactions, many rows."""
import time

from case import case
from load import Applications
from process import check, until
from tables import execute, scalar, wait_identical


@case("one row larger than any message (20 MB; 100 MB in --long) goes in parts and arrives whole", seconds=90)
def large_row(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE file(name TEXT PRIMARY KEY, data BLOB)")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    size = 100_000_000 if t.long else 20_000_000
    started = time.monotonic()
    execute(one.db, ("INSERT INTO file VALUES('big', randomblob(?))", (size,)))
    until("the row arrives", lambda: scalar(two.db, "SELECT length(data) FROM file WHERE name = 'big'") == size, 60)
    t.note(f"{size // 1_000_000} MB arrived after {time.monotonic() - started:.1f} s")
    wait_identical([one.db, two.db])
    two.kill9()
    execute(one.db, "UPDATE file SET name = 'renamed'")
    two.start(seconds=30)
    wait_identical([one.db, two.db], 40)


@case("60 blobs of 1 MB (250 in --long) in one transaction arrive in seconds, with a small max_payload too, and nobody waits long beside it", seconds=200)
def many_blobs(t):
    count = 250 if t.long else 60
    for limit in ("1MB", "64KB"):
        nats = t.nats(name=f"nats{limit}", server=f"max_payload: {limit}\n")
        one, two = nodes = [t.node(f"n{i}of{limit}", nats, database_name="app") for i in (1, 2)]
        execute(one.db, "CREATE TABLE file(id INTEGER PRIMARY KEY, data BLOB)", "CREATE TABLE note(id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)")
        for node in nodes:
            node.start()
        wait_identical([one.db, two.db])
        writer = Applications(two.db, pause=0.01, timeout=60)
        writer.start()
        execute(one.db, ("INSERT INTO file(data) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?) SELECT randomblob(1000000) FROM c",
                         (count,)))
        started = time.monotonic()
        until("all arrive", lambda: scalar(two.db, "SELECT count(*) FROM file") == count, 80 * t.slow)
        took = time.monotonic() - started
        writer.finish()
        t.note(f"max_payload {limit}: {count} MB arrived after {took:.1f} s; of {writer.rows} commits beside it the worst took {writer.longest * 1000:.0f} ms")
        wait_identical([one.db, two.db], 60)
        for node in nodes:
            node.stop()


@case("a transaction of 150,000 rows, more than atomic_rows, is applied in parts, counted, and arrives whole", seconds=90)
def large_transaction(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE n(id INTEGER PRIMARY KEY, body TEXT)")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    started = time.monotonic()
    execute(one.db, "INSERT INTO n(body) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 150000) "
                    "SELECT 'row number ' || i FROM c")
    until("all rows arrive", lambda: scalar(two.db, "SELECT count(*) FROM n") == 150_000, 40)
    t.note(f"150,000 rows of one transaction arrived after {time.monotonic() - started:.1f} s")
    wait_identical([one.db, two.db], 30)


@case("a transaction of 90,000 rows, below atomic_rows, appears on the other node in one commit", seconds=60)
def atomic_transaction(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE n(id INTEGER PRIMARY KEY, body TEXT)")
    one.start()
    two.start()
    wait_identical([one.db, two.db])
    execute(one.db, "INSERT INTO n(body) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 90000) "
                    "SELECT 'row number ' || i FROM c")
    seen = set()

    def arrived():
        seen.add(scalar(two.db, "SELECT count(*) FROM n"))
        return 90_000 in seen
    until("all rows arrive", arrived, 40, pause=0.002)
    check(seen <= {0, 90_000}, f"the transaction was seen in part: {sorted(seen)}")


@case("1,000,000 rows: a joining node is built from the stream", seconds=300, long=True)
def million_rows(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE n(id INTEGER PRIMARY KEY, body TEXT, number REAL)",
            "INSERT INTO n(body, number) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000000) "
            "SELECT 'row number ' || i, i / 7.0 FROM c")
    started = time.monotonic()
    one.start(seconds=120)
    published = time.monotonic()
    two.start(seconds=120)
    until("all rows arrive", lambda: scalar(two.db, "SELECT count(*) FROM n") == 1_000_000, 120)
    t.note(f"published in {published - started:.1f} s, built on the other node in {time.monotonic() - published:.1f} s")
    verify = one.command("verify", seconds=120)
    check(verify.returncode == 0, f"verify ended with {verify.returncode}: {verify.stdout}{verify.stderr}")
