#!/usr/bin/python3
"""Each log line of level error is in docs/decisions/0031, with what the code does beside logging, and each line there is in the sources.

usage: error_lines.py ROOT
"""
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
LIST = "docs/decisions/0031-what-an-error-line-does.md"
# Where levels are read, printed and passed on.
NOT_LINES = {"agent/config/config.cpp", "agent/config/config.hpp"}


def statements(path):
    """What logs an error: each statement that names the level, as (number of its line, text without line breaks)."""
    text = path.read_text()
    for found in re.finditer(r"LogLevel::error", text):
        end = text.find(";", found.end())
        start = max(text.rfind(mark, 0, found.start()) for mark in ";{}") + 1
        yield text.count("\n", 0, found.start()) + 1, " ".join(text[start:end + 1].split())


listed = []
for line in (root / LIST).read_text().splitlines():
    row = re.fullmatch(r"\| ((?:agent|common|extension)/\S+) \| `(.+)` \| (.+) \|", line)
    if row:
        listed.append(row.groups())
wrong, seen, count = [], set(), 0
for folder in ("agent", "common", "extension"):
    for path in sorted((root / folder).rglob("*.?pp")):
        name = path.relative_to(root).as_posix()
        if name.startswith("agent/report/") or name in NOT_LINES:
            continue
        for number, text in statements(path):
            count += 1
            of = [row for row in listed if row[0] == name and row[1] in text]
            if len(of) != 1:
                wrong.append(f"{name}:{number} is {'not' if not of else str(len(of)) + ' times'} in {LIST}: {text[:120]}")
            for row in of:
                if row in seen:
                    wrong.append(f"{name}:{number}: a second statement fits `{row[1]}` of {LIST}")
                seen.add(row)
wrong += [f"{LIST}: no statement of {row[0]} has `{row[1]}`" for row in listed if row not in seen]
if count < 30:
    wrong.append(f"only {count} statements found: the sources have another shape than this test expects")
print("\n".join(wrong) or f"{count} error lines, all in the list")
sys.exit(1 if wrong else 0)
