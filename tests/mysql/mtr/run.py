#!/usr/bin/python3
"""MariaDB's own expectations: the SELECTs without FROM of its test suite, run unchanged in stock SQLite with libmarmotmysql.

usage: run.py LIBMARMOTMYSQL [FILE...] [--show N] [--accept]

Debian's mariadb-test-data has main/func_*.test, type_*.test, cast.test, json*.test, and what each statement printed beside them in
.result. A statement is one case: its rows must be the same; numbers as numbers, for SQLite keeps no trailing zeros of a DECIMAL.
What SQLite's grammar cannot parse is counted apart. passing.txt lists the cases that pass, by file and a digest of the statement:
it only grows. A listed case that fails is a failure; --accept adds those that pass now.
"""
import argparse
import hashlib
import os
import re
import sqlite3
import sys
from fractions import Fraction

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))
import json_text  # noqa: E402

SUITE = "/usr/share/mysql/mysql-test/main"
PASSING = os.path.join(HERE, "passing.txt")
CHOSEN = re.compile(r"^(func_.*|type_.*|cast|json.*)\.test$")
# What SQLite's parser says of what it cannot read; a function or a column that is missing is ours to answer for.
GRAMMAR = re.compile(r"syntax error|unrecognized token|incomplete input|no such column|DISTINCT|row value misused|near ")


def statements(path):
    """(the lines of each SELECT without FROM, as .result echoes them)"""
    with open(path, encoding="latin-1") as file:
        lines = file.read().split("\n")
    current, delimiter = [], ";"
    for line in lines:
        bare = line.strip()
        if not current:
            if not bare or bare.startswith("#") or bare.startswith("--"):
                continue
            changed = re.match(r"(?i)delimiter\s+(\S+?);*$", bare)
            if changed:
                delimiter = changed.group(1).rstrip(";") or ";"
                continue
        current.append(line.rstrip() if not current else line.rstrip("\r"))
        if bare.endswith(delimiter) and delimiter == ";":
            yield [current[0].lstrip()] + current[1:]
            current = []
        elif bare.endswith(delimiter):
            current = []  # the body of a procedure
    return


def is_select_without_from(text):
    plain = re.sub(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"", "''", text)
    return re.match(r"(?i)\s*select\b", plain) and not re.search(r"(?i)\b(from|into|procedure|for update)\b|@|;.*\S", plain.rstrip().rstrip(";"))


def cases(name):
    """(statement, its rows) for each case whose output the .result shows plainly."""
    path = os.path.join(SUITE, name)
    result = path[:-5] + ".result"
    if not os.path.exists(result):
        return
    with open(result, encoding="latin-1") as file:
        printed = file.read().split("\n")
    at = 0
    for lines in statements(path):
        try:
            found = next(i for i in range(at, len(printed)) if printed[i:i + len(lines)] == lines)
        except StopIteration:
            continue
        at = found + len(lines)
        text = "\n".join(lines)
        if not is_select_without_from(text) or at >= len(printed) or printed[at].startswith("ERROR"):
            continue
        yield text.rstrip().rstrip(";"), (printed[at + 1] if at + 1 < len(printed) else "").split("\t")


def shown(value):
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return repr(value) if isinstance(value, float) else str(value)


def number(text):
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def same(ours, theirs):
    if ours == theirs:
        return True
    if theirs[:1] in ("[", "{"):  # MariaDB prints JSON with other blanks and its members in another order
        return json_text.agrees(ours, theirs)
    a, b = number(ours), number(theirs)
    return a is not None and b is not None and (a == b or abs(a - b) <= abs(b) / 10**15)


def key(name, text):
    return f"{name} {hashlib.sha1(text.encode()).hexdigest()[:12]}"


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("library")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--accept", action="store_true")
    options = parser.parse_args()
    if not os.path.isdir(SUITE):
        print(f"{SUITE} is not there: apt-get install mariadb-test-data\n0 passed, 0 failed, 1 skipped")
        return 0
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.text_factory = bytes
    connection.enable_load_extension(True)
    connection.load_extension(options.library[:-3] if options.library.endswith(".so") else options.library)
    listed = set(open(PASSING, encoding="utf-8").read().split("\n")) - {""} if os.path.exists(PASSING) else set()
    passing, unparsed, failed, lost = set(), 0, [], []
    for name in options.files or sorted(filter(CHOSEN.match, os.listdir(SUITE))):
        for text, expected in cases(name):
            try:
                row = connection.execute(text.encode("latin-1").decode("utf-8", "replace")).fetchone()
                printed = [] if row is None else [shown(value) for value in row]
            except sqlite3.Error as error:
                if GRAMMAR.search(str(error)):
                    unparsed += 1
                    continue
                printed = [str(error)]
            except (ValueError, sqlite3.Warning) as error:
                printed = [str(error)]
            if len(printed) == len(expected) and all(map(same, printed, expected)):
                passing.add(key(name, text))
                continue
            failed.append(f"{name}: {text}\n    {printed}\n    {expected}")
            if key(name, text) in listed:
                lost.append(failed[-1])
    for line in lost + failed[:options.show]:
        print(line)
    if options.accept:
        with open(PASSING, "w", encoding="utf-8") as file:
            file.write("\n".join(sorted(listed | passing)) + "\n")
    parsed = len(passing) + len(failed)
    print(f"{parsed} that SQLite can parse, of which {len(passing)} agree ({100 * len(passing) / max(parsed, 1):.1f} %); {unparsed} that it cannot")
    print(f"{len(listed & passing) if listed else len(passing)} passed, {len(lost)} failed, 0 skipped")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
