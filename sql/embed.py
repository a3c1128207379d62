#!/usr/bin/env python3
"""Turns sql/*.sql into a C++ header: each `-- name: some_name` section becomes `sql::kSomeName`.

usage: embed.py OUTPUT INPUT...
"""
import re
import sys


def sections(path):
    name, lines, start = None, [], 0
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = re.match(r"--\s*name:\s*([a-z0-9_]+)\s*$", line)
            if match:
                if name:
                    yield name, "".join(lines), start
                name, lines, start = match.group(1), [], number
            elif name and not line.startswith("--"):
                lines.append(line)
    if name:
        yield name, "".join(lines), start


def main():
    out = ["// Made from sql/*.sql by sql/embed.py: edit those.", "#pragma once", "#include <string_view>",
           "namespace marmot::sql {"]
    seen = {}
    for path in sys.argv[2:]:
        for name, body, line in sections(path):
            if name in seen:
                sys.exit(f"{path}:{line}: section {name} stands in {seen[name]} too")
            seen[name] = path
            constant = "k" + "".join(part.capitalize() for part in name.split("_"))
            out.append(f'inline constexpr std::string_view {constant} = R"sql({body.strip()})sql";')
    out.append("}  // namespace marmot::sql")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


main()
