"""Writers for the Chinook load: three applications in three languages, each with a ledger of what it wrote to rows of its own.

Every writer owns a range of keys, in which its ledger says exactly what must stand at the end, and also writes to rows that
the other writers write to, where only one outcome is right: the same one everywhere.
"""
import json
import random
import sqlite3
import subprocess
import threading
import time

from process import Failure, die_with_parent
from tables import connect, reader

OWN_SPAN = 1_000_000  # keys a writer owns: [base, base + OWN_SPAN)


class Script:
    """Transactions as SQL text, drawn from a seed, and the ledger of own rows."""

    def __init__(self, seed, base):
        self.random = random.Random(seed)
        self.tag = f"w{base // OWN_SPAN}"
        self.base = base
        self.next_id = base
        self.artists = {}  # ArtistId -> Name
        self.lines = {}    # (PlaylistId, TrackId): own playlist ids
        self.count = 0

    def _literal(self, text):
        return "'" + text.replace("'", "''") + "'"

    def _own(self):
        """One statement on rows of our own; the ledger follows."""
        draw = self.random.random()
        known = list(self.artists)
        self.count += 1
        name = f"{self.tag} {self.count} it's ünïcode"
        if draw < 0.40 or len(known) < 10:
            key, self.next_id = self.next_id, self.next_id + 1
            self.artists[key] = name
            return f"INSERT INTO Artist(ArtistId, Name) VALUES({key}, {self._literal(name)})"
        key = self.random.choice(known)
        if draw < 0.60:
            self.artists[key] = name
            return f"UPDATE Artist SET Name = {self._literal(name)} WHERE ArtistId = {key}"
        if draw < 0.68:
            del self.artists[key]
            return f"DELETE FROM Artist WHERE ArtistId = {key}"
        if draw < 0.76:
            self.artists[key] = name
            return f"INSERT OR REPLACE INTO Artist(ArtistId, Name) VALUES({key}, {self._literal(name)})"
        if draw < 0.84:
            moved, self.next_id = self.next_id, self.next_id + 1
            self.artists[moved] = self.artists.pop(key)
            return f"UPDATE Artist SET ArtistId = {moved} WHERE ArtistId = {key}"
        if draw < 0.88:
            self.artists[key] = name
            return (f"INSERT INTO Artist(ArtistId, Name) VALUES({key}, 'ignored') "
                    f"ON CONFLICT(ArtistId) DO UPDATE SET Name = {self._literal(name)}")
        playlist = self.base + self.random.randrange(20)
        if draw < 0.95 or not self.lines:
            track = self.random.randrange(1, 3504)
            self.lines[(playlist, track)] = True
            return f"INSERT OR IGNORE INTO PlaylistTrack(PlaylistId, TrackId) VALUES({playlist}, {track})"
        key = self.random.choice(list(self.lines))
        del self.lines[key]
        if draw < 0.975:
            return f"DELETE FROM PlaylistTrack WHERE PlaylistId = {key[0]} AND TrackId = {key[1]}"
        moved = (playlist, 4000 + self.random.randrange(100_000))
        self.lines[moved] = True
        return (f"UPDATE OR REPLACE PlaylistTrack SET PlaylistId = {moved[0]}, TrackId = {moved[1]} "
                f"WHERE PlaylistId = {key[0]} AND TrackId = {key[1]}")

    def _shared(self):
        """One statement on rows that everybody writes to."""
        draw = self.random.random()
        track = self.random.randrange(1, 300)
        other = self.random.randrange(1, 300)
        self.count += 1
        name = self._literal(f"{self.tag} shared {self.count}")
        if draw < 0.35:
            return f"UPDATE Track SET Name = {name}, UnitPrice = {self.count % 97}.25 WHERE TrackId = {track}"
        if draw < 0.50:
            return f"INSERT OR REPLACE INTO Genre(GenreId, Name) VALUES({track % 40 + 1}, {name})"
        if draw < 0.60:
            return f"DELETE FROM PlaylistTrack WHERE PlaylistId = 1 AND TrackId = {track}"
        if draw < 0.70:
            return f"INSERT OR REPLACE INTO PlaylistTrack(PlaylistId, TrackId) VALUES(1, {track})"
        if draw < 0.78:
            return f"UPDATE OR REPLACE PlaylistTrack SET TrackId = {other} WHERE PlaylistId = 1 AND TrackId = {track}"
        if draw < 0.84:
            return f"DELETE FROM InvoiceLine WHERE InvoiceLineId = {track}"
        if draw < 0.94:
            return (f"INSERT OR REPLACE INTO InvoiceLine(InvoiceLineId, InvoiceId, TrackId, UnitPrice, Quantity) "
                    f"VALUES({track}, {other}, {track}, 0.99, {self.count})")
        return f"UPDATE Customer SET Company = {name}, Fax = NULL WHERE CustomerId = {track % 59 + 1}"

    def transaction(self):
        return [self._own() if self.random.random() < 0.6 else self._shared()
                for _ in range(self.random.randrange(1, 12))]


class Writer(threading.Thread):
    """A writer's outside: start(), join(), and then `error` and `ledger()`."""

    def __init__(self, db, base):
        super().__init__(daemon=True)
        self.db = db
        self.base = base
        self.statements = 0
        self.error = None

    def run(self):
        try:
            self.write()
        except Exception as error:  # reported by finish()
            self.error = f"{type(self).__name__}: {error}"


class PythonWriter(Writer):
    def __init__(self, db, base, seed, transactions, seconds):
        super().__init__(db, base)
        self.script = Script(seed, base)
        self.transactions = transactions
        self.pause = seconds / transactions

    def write(self):
        connection = connect(self.db, timeout=15)
        for _ in range(self.transactions):
            statements = self.script.transaction()
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute("COMMIT")
            self.statements += len(statements)
            if self.pause:
                time.sleep(self.pause)
        connection.close()

    def ledger(self):
        return self.script.artists, set(self.script.lines)


class ShellWriter(Writer):
    """The stock sqlite3 shell, one process for the whole load."""

    def __init__(self, db, base, seed, transactions, seconds):
        super().__init__(db, base)
        self.script = Script(seed, base)
        self.transactions = transactions
        self.pause = seconds / transactions
        self.shell = subprocess.Popen(["sqlite3", "-batch", str(db)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent)

    def write(self):
        self.shell.stdin.write(".bail on\n.timeout 15000\n")
        for _ in range(self.transactions):
            statements = self.script.transaction()
            self.shell.stdin.write("BEGIN IMMEDIATE;\n" + "".join(s + ";\n" for s in statements) + "COMMIT;\n")
            self.shell.stdin.flush()
            self.statements += len(statements)
            if self.pause:
                time.sleep(self.pause)
        output, _ = self.shell.communicate(timeout=60)
        if self.shell.returncode != 0 or output:
            raise Failure(f"sqlite3 ended with {self.shell.returncode}: {output[:400]}")

    def ledger(self):
        return self.script.artists, set(self.script.lines)


class CppWriter(Writer):
    """tests/cluster/writer.cpp, which prints its ledger as JSON."""

    def __init__(self, program, db, base, seed, transactions, seconds):
        super().__init__(db, base)
        self.process = subprocess.Popen(
            [str(program), str(db), str(seed), str(base), str(transactions), str(int(seconds * 1e6 / transactions))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.result = None

    def write(self):
        output, errors = self.process.communicate()
        if self.process.returncode != 0:
            raise Failure(f"writer ended with {self.process.returncode}: {errors[:400]}")
        self.result = json.loads(output)
        self.statements = self.result["statements"]

    def ledger(self):
        return ({int(k): v for k, v in self.result["artists"].items()}, {tuple(pair) for pair in self.result["lines"]})


class NoteWriter(Writer):
    """An application on `note(id INTEGER PRIMARY KEY, body TEXT)` that writes rows of its own until told to end: what it
    committed stands in `rows`. It never waits for anybody but SQLite, for `timeout` seconds at most."""

    def __init__(self, db, number, a_second=50, timeout=10.0):
        super().__init__(db, number * OWN_SPAN)
        self.random = random.Random(number)
        self.rows = {}
        self.pause = 1.0 / a_second
        self.timeout = timeout
        self.worst = 0.0  # seconds in one transaction
        self.stopping = threading.Event()

    def write(self):
        connection = connect(self.db, self.timeout)
        connection.execute("PRAGMA synchronous = NORMAL")
        key, begin = self.base, time.monotonic()
        while not self.stopping.is_set():
            self.statements += 1
            body = f"{self.base} {self.statements}"
            draw = self.random.random()
            known = self.random.choice(range(self.base + 1, key + 1)) if key > self.base else 0
            change = "insert" if known not in self.rows or draw < 0.8 else "update" if draw < 0.95 else "delete"
            started = time.perf_counter()
            if change == "insert":
                key += 1
                connection.execute("INSERT INTO note VALUES(?, ?)", (key, body))
                self.rows[key] = body
            elif change == "update":
                connection.execute("UPDATE note SET body = ? WHERE id = ?", (body, known))
                self.rows[known] = body
            else:
                connection.execute("DELETE FROM note WHERE id = ?", (known,))
                del self.rows[known]
            self.worst = max(self.worst, time.perf_counter() - started)
            ahead = begin + self.statements * self.pause - time.monotonic()
            if ahead > 0:
                self.stopping.wait(ahead)
        connection.close()

    def ledger(self):
        return self.rows


def end_notes(writers):
    """Ends NoteWriters; raises what went wrong in one."""
    for writer in writers:
        writer.stopping.set()
    if writers and writers[0].ident is not None:  # a test may end them before its end
        finish(writers, 15)


def check_notes(writers, contents):
    """Every committed row stands in `contents` (tables.contents) as it was last written, and no other row of the writers."""
    expected = {key: body for writer in writers for key, body in writer.ledger().items()}
    found = {row[0]: row[1][1].decode() for row in contents["note"] if row[0] >= OWN_SPAN}
    wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
    if wrong:
        words = [f"{key}: written {expected.get(key)!r}, found {found.get(key)!r}" for key in sorted(wrong)[:5]]
        raise Failure(f"{len(wrong)} of {len(expected)} committed rows are not as written: " + "; ".join(words))


def finish(writers, seconds):
    """Joins them all; raises what went wrong in one."""
    deadline = time.monotonic() + seconds
    for writer in writers:
        writer.join(max(0.0, deadline - time.monotonic()))
        if writer.is_alive():
            raise Failure(f"{type(writer).__name__} is still writing after {seconds:g} s")
        if writer.error:
            raise Failure(writer.error)


def close(writers):
    """For clean-up after a failure: ends the processes, which ends the threads."""
    for writer in writers:
        if isinstance(writer, NoteWriter):
            writer.stopping.set()
            continue
        process = getattr(writer, "shell", None) or getattr(writer, "process", None)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def own_rows_missing(writer, db):
    """What the ledger says and the file does not show, and the other way round, in words."""
    artists, lines = writer.ledger()
    low, high = writer.base, writer.base + OWN_SPAN
    connection = reader(db)
    found = {key: name[1].decode() for key, name in
             connection.execute("SELECT ArtistId, Name FROM Artist WHERE ArtistId >= ? AND ArtistId < ?", (low, high))}
    found_lines = set(connection.execute(
        "SELECT PlaylistId, TrackId FROM PlaylistTrack WHERE PlaylistId >= ? AND PlaylistId < ?", (low, high)))
    connection.close()
    words = []
    for what, expected, there in (("Artist", set(artists.items()), set(found.items())),
                                  ("PlaylistTrack", lines, found_lines)):
        missing, extra = sorted(expected - there), sorted(there - expected)
        if missing or extra:
            words.append(f"{what} rows of {type(writer).__name__} in {db.name}: {len(missing)} of {len(expected)} missing, "
                         f"such as {missing[:3]}; {len(extra)} unexpected, such as {extra[:3]}")
    return words


class Applications(threading.Thread):
    """Writes one row after the other into the table note, and keeps the longest time a commit took."""

    def __init__(self, db, pause=0.001, timeout=1.0):
        super().__init__(daemon=True)
        self.pause, self.timeout = pause, timeout
        self.db, self.longest, self.rows, self.failed = db, 0.0, 0, None
        self.ended = threading.Event()

    def run(self):
        connection = connect(self.db, timeout=self.timeout)
        connection.isolation_level = None
        while not self.ended.is_set():
            started = time.monotonic()
            try:
                connection.execute("INSERT INTO note(body) VALUES('of the application')")
            except sqlite3.Error as error:
                self.failed = error
                break
            self.rows += 1
            self.longest = max(self.longest, time.monotonic() - started)
            if self.pause:
                time.sleep(self.pause)
        connection.close()

    def finish(self):
        self.ended.set()
        self.join(10)
        if self.failed:
            raise Failure(f"the application failed: {self.failed}")
