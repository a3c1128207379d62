"""What stands in database files, compared bit for bit.

A value is read as itself, but text as ("text", bytes), since it need not be UTF-8 and is not a blob, and a real as
("real", its eight bytes), since -0.0 is not 0.0 and 1.0 is not 1.
"""
import sqlite3
import struct
import time

from process import Failure


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def connect(path, timeout=10.0):
    """Autocommit: transactions are written out in the tests."""
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


def reader(path, timeout=10.0):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=timeout, isolation_level=None,
                                 check_same_thread=False)
    connection.text_factory = lambda stored: ("text", stored)
    return connection


def execute(path, *statements, timeout=10.0):
    """Each statement in turn; one transaction around them when there are several."""
    connection = connect(path, timeout)
    try:
        if len(statements) > 1:
            connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            if isinstance(statement, tuple):
                connection.execute(*statement)
            else:
                connection.execute(statement)
        if len(statements) > 1:
            connection.execute("COMMIT")
    finally:
        connection.close()


def query(path, sql, *parameters, timeout=10.0):
    connection = connect(path, timeout)
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def scalar(path, sql, *parameters, timeout=10.0):
    rows = query(path, sql, *parameters, timeout=timeout)
    return rows[0][0] if rows else None


def has_table(path, name):
    try:
        return bool(query(path, "SELECT 1 FROM sqlite_schema WHERE name = ?", name))
    except sqlite3.OperationalError:
        return False


def user_tables(connection):
    rows = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_\\_marmot\\_%' ESCAPE '\\' ORDER BY name").fetchall()
    return [name if isinstance(name, str) else name[1].decode() for (name,) in rows]


def exact(value):
    return ("real", struct.pack(">d", value)) if isinstance(value, float) else value


def contents(path):
    """Table -> its rows in a canonical order, from one snapshot. Rows of keyless tables count as often as they stand there."""
    connection = reader(path)
    try:
        connection.execute("BEGIN")
        found = {}
        for table in user_tables(connection):
            rows = [tuple(map(exact, row)) for row in connection.execute(f"SELECT * FROM {quoted(table)}")]
            rows.sort(key=repr)
            found[table] = rows
        connection.execute("COMMIT")
        return found
    finally:
        connection.close()


def differences(left, right, limit=3):
    """What is not the same, in words; empty when everything is."""
    words = []
    for table in sorted(set(left) | set(right)):
        if table not in left or table not in right:
            words.append(f"{table}: only on one side")
            continue
        if left[table] == right[table]:
            continue
        a, b = left[table], right[table]
        counts_a, counts_b = {}, {}
        for row in a:
            counts_a[row] = counts_a.get(row, 0) + 1
        for row in b:
            counts_b[row] = counts_b.get(row, 0) + 1
        only_a = [row for row in counts_a if counts_a[row] > counts_b.get(row, 0)]
        only_b = [row for row in counts_b if counts_b[row] > counts_a.get(row, 0)]
        words.append(f"{table}: {len(a)} and {len(b)} rows; {len(only_a)} only left, {len(only_b)} only right, "
                     f"such as {only_a[:limit]!r} and {only_b[:limit]!r}"[:1500])
    return words


def unpublished(path):
    """Changes that stand in the file and not yet in the stream: in the log, and in the outbox."""
    connection = connect(path)
    try:
        return connection.execute("SELECT (SELECT count(*) FROM __marmot_log) + "
                                  "(SELECT count(*) FROM __marmot_version WHERE seq IS NULL)").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def wait_identical(paths, seconds=20.0, pause=0.1, own=""):
    """Until nothing waits to be published and every file holds the same rows, twice in a row. Returns the contents. Tables whose
    name starts with `own`, if given, are each file's own."""
    deadline = time.monotonic() + seconds
    settled = 0
    problems = ["not looked at yet"]
    while True:
        waiting = [unpublished(p) for p in paths]
        if not any(waiting):
            all_contents = [{name: rows for name, rows in contents(p).items() if not (own and name.startswith(own))} for p in paths]
            problems = [f"{paths[0].name} against {path.name}: {word}" for path, other in zip(paths[1:], all_contents[1:])
                        for word in differences(all_contents[0], other)]
            settled = settled + 1 if not problems else 0
            if settled == 2:
                return all_contents[0]
        else:
            problems, settled = [f"{n} changes unpublished in {p.name}" for p, n in zip(paths, waiting) if n], 0
        if time.monotonic() > deadline:
            raise Failure(f"not identical within {seconds:g} s:\n  " + "\n  ".join(problems))
        time.sleep(pause)
