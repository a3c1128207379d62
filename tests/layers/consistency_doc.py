#!/usr/bin/python3
"""Every test that docs/consistency.md names exists, and every statement in it names one.

usage: consistency_doc.py ROOT
"""
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
known = set()
for path in [*(root / "tests" / "cluster").glob("test_*.py"), *(root / "tests" / "apps").glob("test_*.py")]:
    known.update(re.findall(r"^@case\(.*?\)\ndef (\w+)\(t\):", path.read_text(), re.MULTILINE | re.DOTALL))
for path in (root / "tests").glob("*/*.cpp"):
    known.update(re.findall(r'TEST_CASE\("(.*?)"\)', path.read_text()))
known.update(path.relative_to(root).as_posix() for path in (root / "tests" / "scenarios").glob("*.txt"))

wrong = []
statements = 0
for paragraph in (root / "docs" / "consistency.md").read_text().split("\n\n"):
    if not paragraph.startswith("**"):
        continue
    statements += 1
    text = " ".join(paragraph.split())
    named = [name for part in re.findall(r"Shown by ((?:`[^`]+`(?:, )?)+)", text) for name in re.findall(r"`([^`]+)`", part)]
    if not named:
        wrong.append(f"no test shows: {text[:70]}...")
    wrong += [f"there is no test `{name}`" for name in named if name not in known]
if statements < 10:
    wrong.append(f"only {statements} statements found: the document has another shape than this test expects")
print("\n".join(wrong) or f"{statements} statements, every test is there")
sys.exit(1 if wrong else 0)
