"""No two files of a folder give one name to different things of their own: README's build compiles several of them as one. No two headers give one
name to different types of a namespace: a program may hold but one of them.

    unity_names.py SOURCE_ROOT

Looks at constants, types and functions in unnamed namespaces, and functions of the same parameters. The compiler of `meson setup --unity=on` would refuse a second one.
"""
import collections
import pathlib
import re
import sys

UNNAMED = re.compile(r"^namespace \{$(.*?)^\}  // namespace$", re.M | re.S)
NAMED = re.compile(r"^(?:(?:static |inline )?(?:constexpr|const)\s+[\w:<>,* ]+[ *]|(?:struct|class|enum class|enum) )(\w+)(?:\[\w*\])?\s*[={:]", re.M)


ALIAS = re.compile(r"^using (\w+) =", re.M)
FUNCTION = re.compile(r"^(?!return\b|struct\b|class\b)[\w:][\w:<>,*& ]*[ &*](\w+)\(([^;{}]*?)\)(?: const| noexcept)* \{", re.M)


NAMESPACE = re.compile(r"^namespace ([\w:]+) \{$", re.M)
TYPE = re.compile(r"^(?:struct|class|enum class|enum) (\w+)(?: final)?(?: : [\w:<>, ]+)? \{", re.M)


def header_types(text):
    """With their namespace, the one that began last before them."""
    inside = [(found.start(), found.group(1)) for found in NAMESPACE.finditer(text)]
    return {"::".join([next((name for at, name in reversed(inside) if at < found.start()), ""), found.group(1)]) for found in TYPE.finditer(text)}


def types(text):
    """Of the parameters. What converts to a view of text is one type: the one could be called for the other."""
    depth, out = 0, [""]
    for before, char in zip(" " + text, text):
        depth += (char in "<(") - (char == ")" or (char == ">" and before != "-"))
        if char == "," and depth == 0:
            out.append("")
        else:
            out[-1] += char
    plain = [re.sub(r"\s*=.*$|\bconst\b|[\s&]", "", re.sub(r"\b\w+\s*(=.*)?$", "", one.strip())) for one in out if one.strip()]
    return ", ".join("text" if one in ("char*", "std::string", "std::string_view") else one for one in plain)


def own_names(text):
    blocks = UNNAMED.findall(text)
    functions = {f"{name}({types(list_)})" for block in blocks for name, list_ in FUNCTION.findall(block)}
    return {name for block in blocks for name in NAMED.findall(block)} | functions


def main():
    # A check that finds nothing proves nothing.
    sample = "namespace {\nconstexpr int64_t kA = 1;\nconst char* const kB[] = {};\nstruct C {\n  int kD = 0;\n  int method() {\n  }\n};\nenum class E : int { x };\nResult<std::map<int, int>> f(const char* a, const std::map<int, int>& b) {\n  return {};\n}\n}  // namespace\nconstexpr int kF = 1;\n"
    assert own_names(sample) == {"kA", "kB", "C", "E", "f(text, std::map<int,int>)"}, own_names(sample)

    sample = "namespace a::b {\nstruct X {\n};\nstruct Forward;\n}\nnamespace c {\nclass Y final : public Z {\n};\n}\n"
    assert header_types(sample) == {"a::b::X", "c::Y"}, header_types(sample)

    root = pathlib.Path(sys.argv[1])
    faults, files = [], 0
    headers = collections.defaultdict(list)
    for part in ["common", "extension", "agent"]:
        for path in sorted((root / part).rglob("*.hpp")):
            for name in header_types(path.read_text()):
                headers[name].append(str(path.relative_to(root)))
    faults += [f"type {name} in {' and '.join(where)}" for name, where in headers.items() if len(where) > 1]
    if not headers:
        faults.append("no type in any header")
    for part in ["common", "extension", "agent"]:
        # An alias of a file's own that a header has too: a file that includes the header may be compiled together with it.
        shared = {name for path in (root / part).rglob("*.hpp") for name in ALIAS.findall(path.read_text())}
        folders = collections.defaultdict(lambda: collections.defaultdict(list))
        for path in sorted((root / part).rglob("*.cpp")):
            files += 1
            own = {name for block in UNNAMED.findall(path.read_text()) for name in ALIAS.findall(block)}
            faults += [f"{path.relative_to(root)}: its alias {name} is one of a header's too" for name in sorted(own & shared)]
            for name in own_names(path.read_text()):
                folders[path.parent][name].append(path.name)
        for folder, names in folders.items():
            faults += [f"{folder.relative_to(root)}: {name} in {' and '.join(where)}" for name, where in names.items() if len(where) > 1]
    print("\n".join(faults) or f"{files} files, no name twice")
    return 1 if faults or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
