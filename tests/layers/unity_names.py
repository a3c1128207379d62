"""No two files of a folder give one name to different things of their own: README's build compiles several of them as one.

    unity_names.py SOURCE_ROOT

Looks at constants and types in unnamed namespaces; the compiler of `meson setup --unity=on` would refuse a second one.
"""
import collections
import pathlib
import re
import sys

UNNAMED = re.compile(r"^namespace \{$(.*?)^\}  // namespace$", re.M | re.S)
NAMED = re.compile(r"^(?:(?:static |inline )?(?:constexpr|const)\s+[\w:<>,* ]+[ *]|(?:struct|class|enum class|enum) )(\w+)(?:\[\w*\])?\s*[={:]", re.M)


def own_names(text):
    return {name for block in UNNAMED.findall(text) for name in NAMED.findall(block)}


def main():
    # A check that finds nothing proves nothing.
    sample = "namespace {\nconstexpr int64_t kA = 1;\nconst char* const kB[] = {};\nstruct C {\n  int kD = 0;\n};\nenum class E : int { x };\n}  // namespace\nconstexpr int kF = 1;\n"
    assert own_names(sample) == {"kA", "kB", "C", "E"}, own_names(sample)

    root = pathlib.Path(sys.argv[1])
    faults, files = [], 0
    for part in ["common", "extension", "agent"]:
        folders = collections.defaultdict(lambda: collections.defaultdict(list))
        for path in sorted((root / part).rglob("*.cpp")):
            files += 1
            for name in own_names(path.read_text()):
                folders[path.parent][name].append(path.name)
        for folder, names in folders.items():
            faults += [f"{folder.relative_to(root)}: {name} in {' and '.join(where)}" for name, where in names.items() if len(where) > 1]
    print("\n".join(faults) or f"{files} files, no name twice")
    return 1 if faults or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
