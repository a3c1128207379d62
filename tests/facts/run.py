#!/usr/bin/python3
"""Tries what Marmot claims about capture and its extension, through the real libmarmot.so.

usage: run.py LIBMARMOT [--sqlite3 SHELL] [--preload LIBRARY] [PART_OF_A_CLAIM]

*.sql beside this file hold facts for the stock sqlite3 shell, each in a database file of its own:

    -- fact: the claim
    SQL and dot commands; the extension is loaded (@LIBMARMOT@ is its name)
    -- =>
    -- the output, line by line; errors stand last, as "error: ..."

python_facts.py holds those that need two connections, two processes or Python's driver.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


class Setting:
    """What a fact gets: the library, a shell, and a directory of its own."""

    def __init__(self, options, directory):
        self.library = os.path.abspath(options.library)
        self.stem = self.library[: -len(".so")]
        self.directory = directory
        self.db = os.path.join(directory, "app.db")
        self.sqlite3 = options.sqlite3

    def shell(self, sql, db=None, load=True):
        """Runs the stock shell; returns its lines, errors last and without their line numbers."""
        sql = "PRAGMA synchronous = OFF;\n" + sql.replace("@LIBMARMOT@", self.stem)
        # -batch and -init keep a developer's ~/.sqliterc out.
        done = subprocess.run([self.sqlite3, "-batch", "-init", "/dev/null", db or self.db],
                              input=(f".load {self.stem}\n" if load else "") + sql, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="surrogateescape")
        errors = [re.sub(r"^(?:(?:Runtime |Parse )?[Ee]rror)(?:: near| near)? line \d+: ", "error: ", line)
                  for line in done.stderr.splitlines() if re.match(r"^(Runtime |Parse )?[Ee]rror", line)]
        return done.stdout.splitlines() + [re.sub(r" \(\d+\)$", "", line) for line in errors]


def sql_facts(path):
    claim, sql, expected, target = None, [], [], None
    with open(path, encoding="utf-8") as file:
        for line in file:
            start = re.match(r"-- fact: (.*)", line)
            if start:
                if claim:
                    yield claim, "".join(sql), expected
                claim, sql, expected = start.group(1), [], []
                target = sql
            elif line.rstrip() == "-- =>":
                target = expected
            elif target is expected and line.startswith("-- "):
                expected.append(line[3:].rstrip("\n"))
            elif target is sql and claim:
                sql.append(line)
    if claim:
        yield claim, "".join(sql), expected


def check_sql(sql, expected):
    def fact(setting):
        got = setting.shell(sql)
        assert got == expected, "expected\n    " + "\n    ".join(expected) + "\n  got\n    " + "\n    ".join(got)

    return fact


def all_facts():
    for name in sorted(os.listdir(HERE)):
        if name.endswith(".sql"):
            for claim, sql, expected in sql_facts(os.path.join(HERE, name)):
                if not expected:
                    sys.exit(f"{name}: '{claim}' expects nothing, so it cannot fail")
                yield name[: -len(".sql")] + ": " + claim, check_sql(sql, expected)
    import python_facts
    for function in python_facts.FACTS:
        yield "python: " + function.__doc__, function


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("part", nargs="?", default="")
    parser.add_argument("--sqlite3", default="sqlite3")
    parser.add_argument("--preload")
    options = parser.parse_args()
    if options.preload and os.environ.get("LD_PRELOAD") != options.preload:
        # Python itself must be started with it. The hosts' own leaks are not ours to find.
        os.environ["LD_PRELOAD"] = options.preload
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        os.execv(sys.executable, [sys.executable] + sys.argv)
    sys.path.insert(0, HERE)
    sys.dont_write_bytecode = True
    passed = failed = 0
    for number, (claim, fact) in enumerate(all_facts(), 1):
        if options.part not in claim:
            continue
        with tempfile.TemporaryDirectory(prefix="marmot_fact_") as directory:
            try:
                fact(Setting(options, directory))
                passed += 1
                print(f"ok     {number:3} {claim}")
            except Exception as failure:  # one fact's failure must not hide the others
                failed += 1
                print(f"FAILED {number:3} {claim}\n  {type(failure).__name__}: {failure}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
