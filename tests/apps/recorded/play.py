"""Plays the statements of a file as its framework sends them: play.py FILE DB make | play.py FILE DB NAME COUNT. The id is what the last statement returns, or
last_insert_rowid() where none returns anything."""
import re
import sqlite3
import sys
import time


def statements(text):
    found, rest = [], ""
    for line in text.splitlines(True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest.strip())
            rest = ""
    assert not rest.strip(), rest
    return found


source, db, name, *count = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    heads = re.split(r"^-- \[(\w+)\]\n", file.read(), flags=re.MULTILINE)[1:]
sections = {head: statements(text) for head, text in zip(heads[::2], heads[1::2])}
connection = sqlite3.connect(db, timeout=30, isolation_level=None)


def play(section, **values):
    rows = None
    for statement in sections[section]:
        rows = connection.execute(statement, {key: value for key, value in values.items() if f":{key}" in statement}).fetchall() or rows
    return rows


def insert(section, **values):
    rows = play(section, **values)
    last = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
    asks = any(word in sections[section][-1] for word in ("RETURNING", "SELECT"))
    assert rows == ([(last,)] if asks else None), f"{section}: {rows} was returned, and the last id is {last}"
    return last


if name == "make":
    play("migrate")
else:
    play("open")
    for number in range(int(count[0])):
        play("begin")
        parent = insert("parent", name=f"{name}-{number}")
        for child in range(2):
            insert("child", parent=parent, text=f"{name}-{number} {child}")
        play("commit")
        time.sleep(0.02)
