import os
import sqlite3

connection = sqlite3.connect(":memory:")
connection.enable_load_extension(True)
connection.load_extension(os.environ.get("LIBMARMOT", "libmarmot"))
for value in connection.execute("SELECT DATE_FORMAT('2026-11-21', '%W %D %M %Y'), SUBSTRING_INDEX('a.b.c', '.', 2), SHA2('x', 256)").fetchone():
    print(value)
