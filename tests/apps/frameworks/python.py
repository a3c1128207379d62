import sqlite3
import sys


def work(connection):
    connection.execute("SELECT count(*) FROM note").fetchone()
    print("open", flush=True)
    sys.stdin.readline()
    connection.execute("INSERT INTO note(body) VALUES('framework')")


connection = sqlite3.connect("app.db")
print("version", sys.version.split()[0])
print("busy", connection.execute("PRAGMA busy_timeout").fetchone()[0])
try:
    # SNIPPET
    print("done")
except sqlite3.OperationalError as error:
    print("error", error)
