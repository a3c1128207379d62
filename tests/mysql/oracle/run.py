#!/usr/bin/python3
"""The corpus of MySQL expressions: asked of libmarmotmysql in SQLite, compared with what a real server answered.

usage: run.py LIBMARMOTMYSQL [CHAPTER...] [--failures N]     compare with the golden files, and with the table in docs/mysql-functions.md
       run.py LIBMARMOTMYSQL --document                      write that table anew
       run.py --live [CHAPTER...]                            ask a live MariaDB, rewrite the golden files

CHAPTER.txt is the corpus, a line a case:

    EXPRESSION                                    asked of both
    EXPRESSION => SERVER'S EXPRESSION             where SQLite's grammar lacks the server's form
    EXPRESSION [=> ...] == ANSWER -- citation     MySQL 8.0 answers otherwise than MariaDB, or MariaDB lacks it: the manual decides

ANSWER is NULL, ERROR, or TYPE VALUE as in CHAPTER.golden, which has, in the corpus's order, separated by tabs: the expression,
the type (INTEGER DECIMAL DOUBLE TEXT BINARY DATE TIME DATETIME YEAR JSON, NULL, ERROR), and the value (the error's number), with
backslash escapes; binary values in hexadecimal.
"""
import argparse
import os
import re
import sqlite3
import sys
from fractions import Fraction

import json_text
import server

HERE = os.path.dirname(os.path.abspath(__file__))
NUMBERS = {"INTEGER", "DECIMAL", "DOUBLE", "YEAR"}
# Whose text is JSON: compared as MySQL prints it, since MariaDB prints it otherwise (json_text.py).
JSON = {"JSON_ARRAY", "JSON_ARRAYAGG", "JSON_ARRAY_APPEND", "JSON_ARRAY_INSERT", "JSON_EXTRACT", "JSON_INSERT", "JSON_KEYS", "JSON_MERGE",
        "JSON_MERGE_PATCH", "JSON_MERGE_PRESERVE", "JSON_OBJECT", "JSON_OBJECTAGG", "JSON_PRETTY", "JSON_REMOVE", "JSON_REPLACE", "JSON_SEARCH", "JSON_SET"}


class Case:
    def __init__(self, line):
        rest, self.citation, self.answer = line, None, None
        match = re.match(r"(.*?)\s+==\s+(.*?)\s+--\s+(.*)$", rest)
        if match:
            rest, answer, self.citation = match.groups()
            self.answer = (answer, "") if answer in ("NULL", "ERROR") else tuple(answer.split(" ", 1)) if " " in answer else (answer, "")
        ours, arrow, theirs = rest.partition(" => ")
        self.ours = ours.strip()
        self.theirs = theirs.strip() if arrow else self.ours

    @property
    def function(self):
        match = re.match(r'"?([A-Za-z_0-9]+)"?\s*\(', self.ours)
        return match.group(1).upper() if match else "(operator)"


def corpus(chapter):
    with open(os.path.join(HERE, chapter + ".txt"), encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    return [Case(line) for line in lines if line.strip() and not line.startswith("#")]


def chapters():
    return sorted(name[:-4] for name in os.listdir(HERE) if name.endswith(".txt"))


def unescape(text):
    return re.sub(r"\\(.)", lambda match: {"t": "\t", "n": "\n", "r": "\r", "0": "\0"}.get(match[1], match[1]), text)


def escape(text):
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")


# --- the server's side ---------------------------------------------------------------------------------------------------

def type_of(description, charset):
    from pymysql.constants import FIELD_TYPE as F
    code = description[1]
    if code in (F.TINY, F.SHORT, F.LONG, F.INT24, F.LONGLONG, F.BIT):
        return "INTEGER"
    named = {F.NEWDECIMAL: "DECIMAL", F.DECIMAL: "DECIMAL", F.FLOAT: "DOUBLE", F.DOUBLE: "DOUBLE", F.DATE: "DATE", F.NEWDATE: "DATE", F.TIME: "TIME",
             F.DATETIME: "DATETIME", F.TIMESTAMP: "DATETIME", F.YEAR: "YEAR", F.JSON: "JSON", F.NULL: "NULL"}
    return named.get(code, "BINARY" if charset == 63 else "TEXT")


def ask_server(connection, expression):
    import pymysql
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT " + expression)
        value = cursor.fetchone()[0]
        kind = type_of(cursor.description[0], cursor._result.fields[0].charsetnr)
    except pymysql.MySQLError as error:
        return "ERROR", str(error.args[0])
    if value is None:
        return "NULL", ""
    if kind == "BINARY":
        return kind, value.hex()
    try:
        return kind, escape(value.decode("utf-8"))
    except UnicodeDecodeError:
        return "BINARY", value.hex()


def record(names):
    with server.Server() as live:
        for chapter in names:
            cases, lines = corpus(chapter), []
            connection = live.connect()
            for case in cases:
                kind, value = ask_server(connection, case.theirs)
                kind = "JSON" if kind == "TEXT" and case.function in JSON else kind
                lines.append("\t".join((case.ours, kind, value)))
            connection.close()
            with open(os.path.join(HERE, chapter + ".golden"), "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            print(f"{chapter}: {len(lines)} answers")


# --- our side ------------------------------------------------------------------------------------------------------------

def connect(library):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.text_factory = bytes
    connection.enable_load_extension(True)
    connection.load_extension(library[:-3] if library.endswith(".so") else library)
    connection.execute("SELECT marmot_set_time_zone('+00:00'), marmot_set_variable('timestamp', ?)", (server.TIMESTAMP,))
    return connection


def ask_sqlite(connection, expression):
    try:
        value = connection.execute("SELECT " + expression).fetchone()[0]
    except sqlite3.Error as error:
        return "ERROR", str(error)
    return value


def number(text):
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def agrees(answer, kind, value):
    """Whether SQLite's `answer` is what the golden file says, in the type that docs/mysql-functions.md gives it."""
    if isinstance(answer, tuple):
        return kind == "ERROR"
    if answer is None or kind == "NULL":
        return answer is None and kind == "NULL"
    if kind in NUMBERS:
        shown = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else repr(answer)
        ours, theirs = number(shown), number(value)
        if ours is None or theirs is None:
            return False
        if kind == "DOUBLE":
            return not isinstance(answer, bytes) and (ours == theirs or abs(ours - theirs) <= abs(theirs) / 10**15)
        return ours == theirs and not (kind == "INTEGER" and isinstance(answer, float))
    if not isinstance(answer, bytes):
        return False
    if kind == "BINARY":
        return answer.hex() == value
    if kind == "JSON":
        return json_text.agrees(answer.decode("utf-8", "replace"), unescape(value))
    return escape(answer.decode("utf-8", "replace")) == value


def compare(library, names, most):
    connection = connect(library)
    table, wrong = {}, []
    for chapter in names:
        cases = corpus(chapter)
        with open(os.path.join(HERE, chapter + ".golden"), encoding="utf-8") as file:
            golden = [line.rstrip("\n").split("\t") for line in file]
        if [case.ours for case in cases] != [line[0] for line in golden]:
            wrong.append(f"{chapter}.golden is not the answers to {chapter}.txt: run.py --live {chapter}")
            continue
        for case, (_, kind, value) in zip(cases, golden):
            answer = ask_sqlite(connection, case.ours)
            row = table.setdefault((chapter, case.function), [0, 0, 0, 0])
            row[0] += 1
            expected = (kind, value) if case.answer is None else case.answer
            if not agrees(answer, *expected):
                row[3] += 1
                wrong.append(f"{chapter}: {case.ours}: {answer!r}, expected {' '.join(expected)}")
            elif case.answer is None:
                row[1] += 1
            else:
                row[2] += 1
    for line in wrong[:most]:
        print(line)
    if len(wrong) > most:
        print(f"... and {len(wrong) - most} more")
    return table, wrong


# --- the table in the documentation --------------------------------------------------------------------------------------

DOCUMENT = os.path.join(HERE, "..", "..", "..", "docs", "mysql-functions.md")
BEGIN, END = "<!-- made by tests/mysql/oracle/run.py --document -->\n", "<!-- until here -->\n"


def documented(table, reasons):
    """The table's lines: a function, its cases, how many agree with MariaDB, how many with the manual alone, and why."""
    rows = {}
    for (_, function), counts in table.items():
        row = rows.setdefault(function, [0, 0, 0])
        for i in range(3):
            row[i] += counts[i]
    lines = ["| function | cases | as MariaDB | as MySQL's manual alone | why |", "|---|---|---|---|---|"]
    for function in sorted(rows):
        why = "; ".join(dict.fromkeys(reasons.get(function, [])))
        lines.append(f"| {function} | {rows[function][0]} | {rows[function][1]} | {rows[function][2] or ''} | {why.replace('|', chr(92) + '|')} |")
    total = [sum(row[i] for row in rows.values()) for i in range(3)]
    lines.append(f"| all {len(rows)} | {total[0]} | {total[1]} | {total[2]} ({100 * total[2] / max(total[0], 1):.1f} %) | |")
    return BEGIN + "\n".join(lines) + "\n" + END


def document(table, write):
    reasons = {}
    for chapter in chapters():
        for case in corpus(chapter):
            if case.citation:
                reasons.setdefault(case.function, []).append(case.citation)
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    made = before + documented(table, reasons) + after
    if write:
        with open(DOCUMENT, "w", encoding="utf-8") as file:
            file.write(made)
    return made == text or write


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--document", action="store_true")
    parser.add_argument("--failures", type=int, default=40)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.live:
        return record(options.names or chapters())
    if not options.names:
        parser.error("LIBMARMOTMYSQL is missing")
    library, *names = options.names
    table, wrong = compare(library, names or chapters(), options.failures)
    if not names and not wrong and not document(table, options.document):
        wrong.append("docs/mysql-functions.md")
        print("the table in docs/mysql-functions.md is not what the cases say: run.py LIBMARMOTMYSQL --document")
    cases, agreeing, cited = (sum(row[i] for row in table.values()) for i in range(3))
    print(f"{cases} cases: {agreeing} as MariaDB, {cited} as the manual says ({100 * cited / max(cases, 1):.1f} %), {len(wrong)} wrong")
    print(f"{agreeing + cited} passed, {len(wrong)} failed, 0 skipped")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
