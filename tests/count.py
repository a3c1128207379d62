#!/usr/bin/env -S /usr/bin/python3 -B
"""Counts what a suite did, for tests/run.sh.

    count.py log FILE CODE     a suite that ends with `N passed, M failed, K skipped`, and the code it ended with
    count.py meson FILE        meson-logs/testlog.json: doctest cases where a test says how many it had, else one a test

Prints `N M K`. A suite that failed without saying so counts as one failure; one that says nothing at all and succeeded,
as one passed.
"""
import json
import re
import sys

CLOSING = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped\s*$", re.MULTILINE)
DOCTEST = re.compile(r"\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped")


def counted(text, failed_anyhow, skipped_anyhow=False):
    """[passed, failed, skipped] of one program's output."""
    if skipped_anyhow:
        return [0, 0, 1]
    closing = CLOSING.findall(text)
    cases = DOCTEST.findall(text)
    if closing:
        counts = [int(n) for n in closing[-1]]
    elif cases:
        # What doctest calls skipped was deselected by a filter on the command line: another test of the suite runs it.
        counts = [sum(int(c[0]) for c in cases), sum(int(c[1]) for c in cases), 0]
    else:
        counts = [0, 0, 0] if failed_anyhow else [1, 0, 0]
    if failed_anyhow and counts[1] == 0:
        counts[1] = 1
    return counts


def main():
    kind, path = sys.argv[1], sys.argv[2]
    total = [0, 0, 0]
    try:
        text = open(path, encoding="utf-8", errors="replace").read()
    except OSError:
        print("0 1 0")
        return
    if kind == "log":
        total = counted(text, sys.argv[3] != "0")
    else:
        for line in text.splitlines():
            test = json.loads(line)
            counts = counted(re.sub(r"\x1b\[[0-9;]*m", "", test.get("stdout", "")),
                             test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP"), test["result"] == "SKIP")
            total = [a + b for a, b in zip(total, counts)]
    print(*total)


if __name__ == "__main__":
    main()
