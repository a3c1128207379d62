#!/usr/bin/python3
"""MariaDB's own expectations: the SELECTs without FROM of its test suite, run unchanged in stock SQLite with libmarmotmysql.

usage: run.py LIBMARMOTMYSQL [FILE...] [--show N] [--accept]

Debian's mariadb-test-data has main/func_*.test, type_*.test, cast.test, json*.test, xml.test, and what each statement printed beside them in
.result. A statement is one case: its rows must be the same; numbers as numbers, for SQLite keeps no trailing zeros of a DECIMAL.
What SQLite's grammar cannot parse is counted apart; what cannot mean the same there is counted by class, with the reason (reasons.py):
the share that agrees is told of all, and of those without a reason. Settings that the file makes by SET are made here. passing.txt
lists the cases that pass, by file and a digest of the statement, with a reason or without: it only grows. A listed case that fails is
a failure; --accept adds those that pass now.
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
import reasons  # noqa: E402
import suite  # noqa: E402

PASSING = os.path.join(HERE, "passing.txt")
CHOSEN = re.compile(r"^(func_.*|type_.*|cast|json.*|xml)\.test$")
# What SQLite's parser says of what it cannot read; a function or a column that is missing is ours to answer for.
GRAMMAR = re.compile(r"syntax error|unrecognized token|incomplete input|no such column|DISTINCT|row value misused|near |HAVING clause")


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


class Keys:
    """Cases by file, a digest of the statement, and how often the file has had it before: settings may differ."""

    def __init__(self):
        self.seen = {}

    def of(self, case):
        digest = f"{case.name} {hashlib.sha1(case.text.encode()).hexdigest()[:12]}"
        self.seen[digest] = self.seen.get(digest, 0) + 1
        return digest if self.seen[digest] == 1 else f"{digest}.{self.seen[digest]}"


def connect(library):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.text_factory = bytes
    connection.enable_load_extension(True)
    connection.load_extension(library[:-3] if library.endswith(".so") else library)
    return connection


class Session:
    """The connection with the settings that the test file has made so far."""

    def __init__(self, library):
        self.connection, self.values = connect(library), {}

    def settle(self, values):
        """False: SET gave a value that is no constant of SQLite's."""
        for name, value in values.items():
            if self.values.get(name) == value:
                continue
            try:
                constant = value if not isinstance(value, str) or not re.search(r"[(\"']", value) else self.connection.execute(f"SELECT {value}").fetchone()[0]
                constant = constant.decode() if isinstance(constant, bytes) else constant
                constant = float(constant) if name == "timestamp" else int(constant) if str(constant).isdigit() else constant
                self.connection.execute("SELECT marmot_set_variable(?, ?)", (name, constant))
            except (sqlite3.Error, ValueError):
                return False
            self.values[name] = value
        return True

    def ask(self, case):
        """(what is printed, the error)"""
        try:
            row = self.connection.execute(case.text.encode("latin-1").decode("utf-8", "replace")).fetchone()
            return [] if row is None else [shown(value) for value in row], None
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            return [str(error)], str(error)


def judge(session, case):
    """Whether it agrees, None: SQLite cannot parse it; why it is not judged, or None; what was printed."""
    followed = session.settle(case.values)
    printed, error = session.ask(case)
    if error and GRAMMAR.search(error):
        return None, None, printed
    agrees = len(printed) == len(case.row) and all(map(same, printed, case.row))
    why = reasons.reason(case) or (error and reasons.documented_error(case, error)) or None
    return agrees, why if why or followed else reasons.NOT_FOLLOWED, printed


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("library")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--accept", action="store_true")
    options = parser.parse_args()
    if not os.path.isdir(suite.SUITE):
        print(f"{suite.SUITE} is not there: apt-get install mariadb-test-data\n0 passed, 0 failed, 1 skipped")
        return 0
    session = Session(options.library)
    listed = set(open(PASSING, encoding="utf-8").read().split("\n")) - {""} if os.path.exists(PASSING) else set()
    passing, unparsed, failed, lost, apart = set(), 0, [], [], {}
    all_agreeing = agreeing = judged = 0
    keys = Keys()
    for name in options.files or sorted(filter(CHOSEN.match, os.listdir(suite.SUITE))):
        for case in suite.cases(name):
            case_key = keys.of(case)
            agrees, why, printed = judge(session, case)
            if agrees is None:
                unparsed += 1
                continue
            all_agreeing += agrees
            if why:
                apart.setdefault(why, []).append(agrees)
            else:
                judged += 1
                agreeing += agrees
            if agrees:
                passing.add(case_key)
                continue
            shown_case = f"{name}: {case.text}\n    {printed}\n    {case.row}"
            if case_key in listed:
                lost.append(shown_case)
            if not why:
                failed.append(shown_case)
    for line in lost + failed[:options.show]:
        print(line)
    if options.accept:
        with open(PASSING, "w", encoding="utf-8") as file:
            file.write("\n".join(sorted(listed | passing)) + "\n")
    parsed, excused = judged + sum(map(len, apart.values())), sum(map(len, apart.values()))
    for (name, why), those in sorted(apart.items(), key=lambda item: -len(item[1])):
        print(f"{len(those):5} {name} ({sum(those)} agree): {why}")
    print(f"{parsed} that SQLite can parse, of which {all_agreeing} agree ({100 * all_agreeing / max(parsed, 1):.1f} %); {unparsed} that it cannot parse")
    print(f"{excused} of them have a reason above to mean something else; of the other {judged}, {agreeing} agree ({100 * agreeing / max(judged, 1):.1f} %)")
    print(f"{len(listed & passing) if listed else len(passing)} passed, {len(lost)} failed, 0 skipped")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
