"""What Marmot's tables take on disk, beside the same rows in a file that it never saw.

Both files get the same transactions, so both have the page fill of a database that grew in use: nothing is vacuumed. Pages
on the free list do not count on either side: they are used again. What an empty file takes more, a page for each of Marmot's
tables, is told apart: it is no part of what a row costs.
"""
import random

from process import until
from tables import connect, unpublished

BLOCK = 50  # rows a transaction


class Shape:
    """A table and its rows: row number i is `row(random, i)`."""

    def __init__(self, name, sql, row):
        self.name = name
        self.sql = sql
        self.row = row


def body(draw, length):
    return draw.randbytes(length).hex()[:length]


def hex_key(draw):
    return f"{draw.getrandbits(64):016x}"


def uuid_key(draw):
    return "-".join(f"{draw.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12))


def shapes():
    """Integer and text keys at widths of about 36, 100 and 300 bytes a row (as plain SQLite stores it), and what costs more."""
    out = []
    for width in (36, 100, 300):
        out.append(Shape(f"integer key, {width} bytes", "CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)",
                         lambda draw, i, n=width - 9: (i, body(draw, n))))
    for width in (64, 100, 300):
        out.append(Shape(f"text key of 16, {width} bytes", "CREATE TABLE t(id TEXT PRIMARY KEY, body TEXT)",
                         lambda draw, i, n=width - 53: (hex_key(draw), body(draw, n))))
    out.append(Shape("UUID key, 200 bytes", "CREATE TABLE t(id TEXT PRIMARY KEY, body TEXT)",
                     lambda draw, i: (uuid_key(draw), body(draw, 100))))
    out.append(Shape("two integers as key", "CREATE TABLE t(a INT, b INT, n INT, PRIMARY KEY(a, b)) WITHOUT ROWID",
                     lambda draw, i: (i // 100, i % 100, draw.getrandbits(20))))
    out.append(Shape("integer key and UNIQUE address, 150 bytes",
                     "CREATE TABLE t(id INTEGER PRIMARY KEY, mail TEXT UNIQUE, body TEXT)",
                     lambda draw, i: (i, f"{hex_key(draw)}@example.org", body(draw, 70))))
    out.append(Shape("no key, 100 bytes", "CREATE TABLE t(a INT, body TEXT)", lambda draw, i: (i, body(draw, 90))))
    return out


def fill(path, shape, rows):
    draw = random.Random(shape.name)
    connection = connect(path)
    connection.execute("PRAGMA synchronous = OFF")  # sizes are measured here, not safety
    marks = None
    for i in range(1, rows + 1):
        row = shape.row(draw, i)
        marks = marks or "INSERT INTO t VALUES(" + ", ".join("?" * len(row)) + ")"
        if (i - 1) % BLOCK == 0:
            connection.execute("BEGIN IMMEDIATE")
        connection.execute(marks, row)
        if i % BLOCK == 0 or i == rows:
            connection.execute("COMMIT")
    connection.close()


def used_bytes(path):
    """(bytes in use, {object: bytes}) once everything is in the main file."""
    connection = connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    pages = connection.execute("PRAGMA page_count").fetchone()[0] - connection.execute("PRAGMA freelist_count").fetchone()[0]
    objects = dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    connection.close()
    return pages * size, objects


def make(path, shape):
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(shape.sql)
    connection.close()


def measure(product, workspace, nats, chosen, rows):
    """(bytes that an empty watched file takes more,
    {shape name: (bytes of the plain file, bytes of the watched one less those of an empty one, {object: bytes})}), all published."""
    watched = [workspace.dir / f"watched{i}.db" for i in range(len(chosen))]
    plain = [workspace.dir / f"plain{i}.db" for i in range(len(chosen))]
    for paths in (watched, plain):
        for path, shape in zip(paths, chosen):
            make(path, shape)
    agent = workspace.start([product.marmot, "agent", *watched, "--nats", nats.url, "--data-dir", workspace.dir / "data"], "disk")
    for path in watched:
        agent.wait_line(rf"{path.name}: ready", 30)
    empty = min(used_bytes(a)[0] - used_bytes(b)[0] for a, b in zip(watched, plain))
    for path, shape in zip(watched, chosen):
        fill(path, shape, rows)
    for path in watched:
        until(f"{path.name} is published", lambda p=path: unpublished(p) == 0, 60)
    agent.popen.terminate()
    agent.wait(10)
    out = {}
    for one, other, shape in zip(plain, watched, chosen):
        fill(one, shape, rows)
        filled, objects = used_bytes(other)
        out[shape.name] = (used_bytes(one)[0], filled - empty, objects)
    return empty, out
