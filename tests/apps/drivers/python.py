import sqlite3
import sys
import time

db, tag, count = sys.argv[1:]
connection = sqlite3.connect(db, timeout=30, isolation_level=None)
for number in range(int(count)):
    name = f"{tag} {number}"
    connection.execute("BEGIN IMMEDIATE")
    parent = connection.execute("INSERT INTO parent(name) VALUES(?)", (name,)).lastrowid
    child = connection.execute("INSERT INTO child(parent, name) VALUES(?, ?)", (parent, name)).lastrowid
    [(returned,)] = connection.execute("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id", (parent, name)).fetchall()
    connection.execute("COMMIT")
    print(name, parent, child, returned, sep="\t")
    time.sleep(0.02)
