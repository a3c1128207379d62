"""The drivers of ten languages, on three nodes in step: the id that each tells after an INSERT is the row's, and stays it."""
import os
import subprocess
from pathlib import Path

from cache import PYTHON, cache, needs
from case import case
from process import Skipped, check
from tables import execute, query, scalar, wait_identical
from test_frameworks import better_sqlite3, jdbc_jars, sequelize_modules
from test_ids import FAMILY, ids_of
from test_in_step import in_step

PROGRAMS = Path(__file__).resolve().parent / "drivers"


class Driver:
    """A program that takes a file, a tag and a number: it writes so many parents, each with two children, in a transaction, and prints a line
    of name, id of the parent, id of the first child as the driver tells the last one, and of the second as RETURNING does."""

    def __init__(self, name, *argv, **environment):
        self.name, self.argv, self.environment = name, [str(word) for word in argv], environment

    def families(self, db, tag, count):
        run = subprocess.run([*self.argv, str(db), tag, str(count)], env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        check(run.returncode == 0, f"{self.name} ended with {run.returncode}: {run.stderr[-2000:]}")
        rows = [line.split("\t") for line in run.stdout.splitlines()]
        check([row[0] for row in rows] == [f"{tag} {number}" for number in range(count)], f"{self.name} printed {run.stdout[:300]!r}")
        return [(name, *map(int, ids)) for name, *ids in rows]


def script(name, interpreter, program, **environment):
    needs(interpreter)
    return Driver(name, interpreter, PROGRAMS / program, **environment)


def lacking(argv, package):
    """Skips the test where a module of Debian's is missing."""
    if subprocess.run(argv, capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode != 0:
        raise Skipped(f"{package} is not there: tests/packages.sh test installs it")


def interpreted():
    lacking([PYTHON, "-c", "import apsw"], "python3-apsw")
    lacking(["perl", "-MDBD::SQLite", "-e", "1"], "libdbd-sqlite3-perl")
    lacking(["sh", "-c", "echo 'package require sqlite3' | tclsh"], "libsqlite3-tcl")
    lacking(["lua5.4", "-e", "require 'luasql.sqlite3'"], "lua-sql-sqlite3")
    return [script("sqlite3 (Python)", PYTHON, "python.py"), script("APSW", PYTHON, "apsw_.py"), script("PDO", "php", "pdo.php"), script("SQLite3 (PHP)", "php", "sqlite3.php"),
            script("sqlite3 (Ruby)", "ruby", "sqlite3.rb"), script("DBD::SQLite", "perl", "dbi.pl"), script("Tcl", "tclsh", "tcl.tcl"), script("LuaSQL", "lua5.4", "luasql.lua"),
            script("better-sqlite3", "node", "better-sqlite3.js", NODE_PATH=str(better_sqlite3()))]


def built(argv, cwd, **environment):
    run = subprocess.run([str(word) for word in argv], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=400, check=False, stdin=subprocess.DEVNULL)
    check(run.returncode == 0, f"{argv[0]} build: {run.stderr[-2000:]}")


def go_driver(module, version, name, timeout, *tags):
    needs("go", "gcc")
    work = cache("go-ids-" + name)
    (work / "go.mod").write_text(f"module tried\n\ngo 1.21\n\nrequire {module} v{version}\n", encoding="utf-8")
    text = (PROGRAMS / "go.go").read_text(encoding="utf-8")
    (work / "main.go").write_text(text.replace("DRIVER", module).replace("NAME", name).replace("TIMEOUT", timeout), encoding="utf-8")
    built(["go", "build", *tags, "-o", "program", "."], work, GOCACHE=str(cache("go-build")), GOFLAGS="-mod=mod")
    return Driver(module, work / "program")


def rusqlite():
    needs("cargo")
    work = cache("rusqlite-ids")
    (work / "src").mkdir(exist_ok=True)
    (work / "Cargo.toml").write_text('[package]\nname = "tried"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\nrusqlite = { version = "0.32", features = ["bundled"] }\n', encoding="utf-8")
    (work / "src" / "main.rs").write_text((PROGRAMS / "rusqlite.rs").read_text(encoding="utf-8"), encoding="utf-8")
    built(["cargo", "build", "--quiet"], work)
    return Driver("rusqlite", work / "target" / "debug" / "tried")


def jdbc(t):
    jars = jdbc_jars()
    built(["javac", "-d", t.dir, PROGRAMS / "Jdbc.java"], t.dir)
    return Driver("sqlite-jdbc", "java", "-cp", f"{t.dir}:{jars}/*", "Jdbc")


def drivers_in_step(t, drivers, count):
    """One driver after another, on the three nodes at once."""
    nodes = t.nodes(3, t.nats())
    files = [node.db for node in nodes]
    execute(files[0], *FAMILY)
    for node in nodes:
        node.start(seconds=20 * t.slow)
    wait_identical(files, 30 * t.slow)
    parents, children = {}, {}  # id -> name, id -> (parent, name)

    def write(driver, db, tag):
        for name, parent, *both in driver.families(db, tag, count):
            check(parent not in parents, f"{driver.name} was told {parent} for {name}; {parents.get(parent)} has it")
            parents[parent] = name
            children.update({child: (parent, name) for child in both})
    for number, driver in enumerate(drivers):
        in_step([lambda db=db, i=i: write(driver, db, f"driver {number} node {i}") for i, db in enumerate(files)])
    wait_identical(files, 30 * t.slow)
    for db in files:
        check(dict(query(db, "SELECT id, name FROM parent")) == parents, f"{db}: parents are not what the drivers were told")
        there = {number: (parent, name) for number, parent, name in query(db, "SELECT id, parent, name FROM child")}
        wrong = [(number, said, there.get(number)) for number, said in children.items() if there.get(number) != said]
        check(not wrong and len(there) == len(children) == 2 * len(parents), f"{db}: {len(wrong)} of {len(children)} children are not what the drivers were told: {wrong[:3]}")
    check(len(parents) == scalar(files[0], "SELECT count(*) FROM parent") == 3 * count * len(drivers), f"{len(parents)} parents")
    t.note(f"{', '.join(driver.name for driver in drivers)}: {len(parents)} parents, {sum(ids_of(node)['outside'] for node in nodes)} ids outside of an own block")


@case("the drivers of Python, PHP, Ruby, Perl, Tcl, Lua and Node.js on three nodes in step: every child is under its own parent, by the ids that they told", seconds=240)
def drivers_interpreted(t):
    drivers_in_step(t, interpreted(), 200 if t.long else 10)


@case("the drivers of Go, Rust and Java, and Node's sqlite3: the same", seconds=900, long=True)
def drivers_compiled(t):
    needs("node", "npm")
    drivers = [script("sqlite3 (Node.js)", "node", "sqlite3.js", NODE_PATH=str(sequelize_modules())),
               go_driver("github.com/mattn/go-sqlite3", "1.14.24", "sqlite3", "_busy_timeout=30000", "-tags", "libsqlite3"),
               go_driver("modernc.org/sqlite", "1.34.4", "sqlite", "_pragma=busy_timeout(30000)"), rusqlite(), jdbc(t)]
    drivers_in_step(t, drivers, 200)
