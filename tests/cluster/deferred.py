"""An application whose transactions read first and write later: BEGIN; SELECT; sleep; INSERT; COMMIT, the default of most frameworks.

As a program: deferred.py FILE INSIDE_MS COUNT PAUSE_MS prints how many got SQLITE_BUSY.
"""
import contextlib
import sqlite3
import subprocess
import sys
import threading
import time


def connect(path):
    db = sqlite3.connect(path, timeout=10, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def transactions(path, inside_ms, count, pause_ms, checkpoints=False):
    """(refused, {row: time of commit}) of one client. `checkpoints`: PRAGMA wal_checkpoint now and then."""
    db, refused, committed = connect(path), 0, {}
    for number in range(count):
        try:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM work WHERE id < 10").fetchone()
            if inside_ms:
                time.sleep(inside_ms / 1000)
            row = db.execute("INSERT INTO work(body) VALUES('x')").lastrowid
            db.execute("COMMIT")
            committed[row] = time.perf_counter()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xff != sqlite3.SQLITE_BUSY:
                raise
            refused += 1
            if db.in_transaction:
                db.execute("ROLLBACK")
        if checkpoints and number % 10 == 9:
            db.execute("PRAGMA wal_checkpoint").fetchall()
        if pause_ms:
            time.sleep(pause_ms / 1000)
    db.close()
    return refused, committed


def in_parallel(path, clients, inside_ms, count, pause_ms):
    """Clients as processes: threads of one would share their marks."""
    script = [sys.executable, __file__, str(path), str(inside_ms), str(count // clients), str(pause_ms)]
    running = [subprocess.Popen(script, stdout=subprocess.PIPE, text=True) for _ in range(clients)]
    return sum(int(client.communicate()[0]) for client in running)


@contextlib.contextmanager
def cursor_held(path):
    """Another process holds a read transaction open."""
    holder = subprocess.Popen([sys.executable, "-c", "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                               "db.execute('BEGIN')\ndb.execute('SELECT count(*) FROM work').fetchone()\nprint('held', flush=True)\nsys.stdin.read()",
                               str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdout.readline()
    try:
        yield
    finally:
        holder.communicate()


@contextlib.contextmanager
def others_write(nodes):
    """Each of them once a second."""
    stop = threading.Event()

    def run(index, node):
        db, number = connect(node.db), 0
        while not stop.wait(1.0):
            number += 1
            db.execute("INSERT INTO far VALUES(?, 'x')", (f"{index}-{number}-{time.time()}",))
        db.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(nodes)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def create(path):
    db = connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE work(id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)")
    db.execute("CREATE TABLE far(id TEXT PRIMARY KEY, body TEXT)")
    db.execute("INSERT INTO work(body) VALUES('first')")
    db.close()


if __name__ == "__main__":
    print(transactions(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))[0])
