import sys
import time

import apsw

db, tag, count = sys.argv[1:]
connection = apsw.Connection(db)
connection.setbusytimeout(30000)
for number in range(int(count)):
    name = f"{tag} {number}"
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    cursor.execute("INSERT INTO parent(name) VALUES(?)", (name,))
    parent = connection.last_insert_rowid()
    cursor.execute("INSERT INTO child(parent, name) VALUES(?, ?)", (parent, name))
    child = connection.last_insert_rowid()
    [(returned,)] = cursor.execute("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id", (parent, name)).fetchall()
    cursor.execute("COMMIT")
    print(name, parent, child, returned, sep="\t")
    time.sleep(0.02)
