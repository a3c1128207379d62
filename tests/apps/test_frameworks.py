"""docs/with-your-framework.md, executed: the line it gives for each framework begins transactions that take the write lock before
they read, and without the line they do not."""
import os
import re
import sqlite3
import subprocess
import time
from pathlib import Path

from cache import PYTHON, ROOT, cache, from_pypi, install, needs
from case import case
from process import check, die_with_parent
from tables import execute, query, wait_identical

PAGE = ROOT / "docs" / "with-your-framework.md"
PROGRAMS = Path(__file__).resolve().parent / "frameworks"


def blocks():
    """The page's code blocks that follow a `tried:` mark, by the name in it."""
    return dict(re.findall(r"<!-- tried: ([\w-]+) -->\n```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


def waits(row):
    """What the page's table says a framework waits by itself, ms."""
    return int(re.search(rf"^\| {re.escape(row)} \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE).group(1))


def source(program, snippet):
    """A program of ours with the page's lines where it says SNIPPET, indented as that line is."""
    text = (PROGRAMS / program).read_text(encoding="utf-8")
    return re.sub(r"^([ \t]*)(//|#) SNIPPET$", lambda mark: "".join(mark[1] + line if line.strip() else line for line in snippet.splitlines(True)).rstrip("\n"),
                  text, flags=re.MULTILINE)


def without(snippet, *edits):
    """The snippet without the line that matters: each (old, new) is replaced and must have been there."""
    for old, new in edits:
        check(old in snippet, f"the page's block no longer holds {old}")
        snippet = snippet.replace(old, new)
    return snippet


class Outcome:
    """What a program did: its version, its timeout, whether others were locked out after its first read, how it ended."""

    def __init__(self, directory, argv, env):
        db = directory / "app.db"
        for path in (db, directory / "app.db-wal", directory / "app.db-shm"):
            path.unlink(missing_ok=True)
        for statement in ("PRAGMA journal_mode = WAL", "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO note(body) VALUES('first')"):
            execute(db, statement)
        self.said = {}
        with subprocess.Popen([str(word) for word in argv], cwd=directory, env={**os.environ, **env}, stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent) as program:
            try:
                self._read(program, "open")
                self.locked = self._others_are_locked_out(db)
                program.stdin.write("\n")
                program.stdin.flush()
                self._read(program, "done", "error")
                program.stdin.close()
                program.wait(10)
            finally:
                if program.poll() is None:
                    program.kill()
        self.version = self.said.get("version", "")
        self.busy = int(self.said["busy"])
        self.error = self.said.get("error")
        bodies = [body for (body,) in query(db, "SELECT body FROM note ORDER BY id")]
        expected = ["first"] + ([] if self.locked else ["other"]) + ([] if self.error else ["framework"])
        check(bodies == expected, f"the file holds {bodies}, not {expected}")

    def _read(self, program, *last):
        for line in program.stdout:
            word, _, rest = line.strip().partition(" ")
            self.said[word] = rest
            if word in last:
                return
            check(word != "error", f"{' '.join(map(str, program.args))} said {line}")
        check(False, f"{' '.join(map(str, program.args))} ended early: {program.stderr.read()[-2000:]}")

    @staticmethod
    def _others_are_locked_out(db):
        other = sqlite3.connect(db, timeout=0, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO note(body) VALUES('other')")
            other.execute("COMMIT")
            return False
        except sqlite3.OperationalError as error:
            check("locked" in str(error), f"another connection said {error}")
            return True
        finally:
            other.close()


def judge(t, row, run, snippet, plain):
    """`run` executes a snippet. The page's one must lock others out; each of `plain`, as (snippet, whether it fails), must not.
    The first plain one has the framework's own timeout."""
    right = run(snippet)
    name, _, wanted = row.rpartition(" ")
    version = right.version
    check(version.startswith(wanted + "."), f"{row}: this is version {version}")
    check(right.locked, f"{row}: another connection wrote while the page's transaction was open: it did not begin IMMEDIATE")
    check(right.error is None, f"{row}: {right.error}")
    check(right.busy >= 1000, f"{row}: with the page's lines it waits {right.busy} ms")
    for number, (text, fails) in enumerate(plain):
        usual = run(text)
        check(not usual.locked, f"{row}: without the page's line it locks others out too")
        check((usual.error is not None) == fails, f"{row}: without the line it ended with {usual.error}")
        check(not fails or "locked" in usual.error, f"{row}: {usual.error}")
        if number == 0:
            check(usual.busy == waits(row), f"{row}: by itself it waits {usual.busy} ms; the page says {waits(row)}")
    t.note(f"{name} {version}: immediate with the page's line, " + ", ".join("fails" if fails else "does not begin" for _, fails in plain) + " without")


def interpreted(t, program, argv, env=None):
    """`run` for a program that needs no build."""
    path = t.dir / "program" / program
    path.parent.mkdir(exist_ok=True)  # not where it runs: Python must not find it under the framework's name

    def run(snippet):
        path.write_text(source(program, snippet), encoding="utf-8")
        return Outcome(t.dir, [*argv, path], {"PYTHONSAFEPATH": "1", **(env or {})})
    return run


def pythonpath(packages):
    return {"PYTHONPATH": str(packages)}


@case("Django takes the write lock before it reads with the page's option, and before 5.1 with the page's backend", seconds=60)
def frameworks_django(t):
    django5 = from_pypi("Django==5.2.19", "django")
    page = blocks()
    run = interpreted(t, "django.py", [PYTHON], pythonpath(django5))
    judge(t, "Django 5.2", run, page["django"], [(without(page["django"], ('"OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},', "")), True)])
    backend = t.dir / "mysite" / "immediate"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "base.py").write_text(page["django-backend"], encoding="utf-8")
    older = page["django-older"]
    plain = without(older, ("mysite.immediate", "django.db.backends.sqlite3"), (', "OPTIONS": {"timeout": 20}', ""))
    judge(t, "Django 3.2", interpreted(t, "django.py", [PYTHON]), older, [(plain, True)])


@case("SQLAlchemy does with the page's events", seconds=60)
def frameworks_sqlalchemy(t):
    snippet = blocks()["sqlalchemy"]
    plain = [(without(snippet, ("BEGIN IMMEDIATE", "BEGIN")), True), (snippet[:snippet.index("@event")], False)]
    judge(t, "SQLAlchemy 1.4", interpreted(t, "sqlalchemy.py", [PYTHON]), snippet, plain)
    judge(t, "SQLAlchemy 2.0", interpreted(t, "sqlalchemy.py", [PYTHON], pythonpath(from_pypi("SQLAlchemy==2.0.36", "sqlalchemy"))), snippet, plain)


@case("SQLAlchemy's reflection sees the application's tables only, with the page's filter", seconds=30)
def frameworks_reflection(t):
    node = t.node("n1", t.nats())
    execute(node.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    node.start()
    program = ("from sqlalchemy import MetaData, create_engine\nmetadata, every = MetaData(), MetaData()\n"
               f"engine = create_engine('sqlite:///{node.db}')\n" + blocks()["reflection"] +
               "every.reflect(engine)\nprint(sorted(metadata.tables), len(every.tables) > 1)\n")
    run = subprocess.run([PYTHON, "-B", "-c", program], capture_output=True, text=True, timeout=30, check=False)
    check(run.stdout == "['note'] True\n", f"it saw {run.stdout}{run.stderr}")


@case("Python's sqlite3 does with BEGIN IMMEDIATE written out, and not by isolation_level", seconds=30)
def frameworks_python(t):
    snippet = blocks()["python"]
    run = interpreted(t, "python.py", [PYTHON])
    by_level = "connection.isolation_level = 'IMMEDIATE'\nwith connection:\n    work(connection)\n"
    judge(t, "Python 3.11", run, snippet, [(without(snippet, ("BEGIN IMMEDIATE", "BEGIN")), True), (by_level, False)])


@case("ActiveRecord does with the page's initializer", seconds=60)
def frameworks_rails(t):
    needs("ruby")
    page = blocks()
    run = interpreted(t, "rails.rb", ["ruby"])

    def plain(snippet):
        right = snippet == page["rails"]
        (t.dir / "database.yml").write_text(page["rails-yml"] if right else without(page["rails-yml"], ("  timeout: 5000\n", "")), encoding="utf-8")
        return run(snippet)
    judge(t, "ActiveRecord 6.1", plain, page["rails"], [(without(page["rails"], ("transaction(:immediate)", "transaction")), True)])


def better_sqlite3():
    """As tests/mysql/examples.sh installs it, which runs before; 50 s where it did not."""
    work = cache("..") / "node"
    work.mkdir(exist_ok=True)
    modules = work / "node_modules"
    install(["npm", "install", "--silent", "--no-audit", "--no-fund", "better-sqlite3@12.11.1"], work, modules / "better-sqlite3" / "build")
    return modules


@case("better-sqlite3 does with .immediate()", seconds=200)
def frameworks_better_sqlite3(t):
    needs("node", "npm")
    snippet = blocks()["better-sqlite3"]
    judge(t, "better-sqlite3 12.11", interpreted(t, "better-sqlite3.js", ["node"], {"NODE_PATH": str(better_sqlite3())}), snippet,
          [(without(snippet, (".immediate()", "()")), True)])


def sequelize_modules():
    work = cache("sequelize")
    install(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", work, "sequelize@6.37.8", "sqlite3@6.0.1"], work,
            work / "node_modules" / "sqlite3" / "build")
    return work / "node_modules"


@case("Sequelize does with transactionType", seconds=300, long=True)
def frameworks_sequelize(t):
    needs("node", "npm")
    snippet = blocks()["sequelize"]
    judge(t, "Sequelize 6.37", interpreted(t, "sequelize.js", ["node"], {"NODE_PATH": str(sequelize_modules())}), snippet,
          [(without(snippet, (', transactionType: "IMMEDIATE"', "")), True)])


@case("Sequelize's sync({ alter: true }) leaves the same rows on both nodes, and sends them again each time", seconds=120, long=True)
def frameworks_sequelize_sync(t):
    needs("node", "npm")
    one, two = t.nodes(2, t.nats())
    program = t.dir / "sync.js"
    program.write_text("""
const { Sequelize, DataTypes } = require("sequelize")
const sequelize = new Sequelize({ dialect: "sqlite", storage: process.argv[2], logging: false, transactionType: "IMMEDIATE" })
sequelize.define("note", { body: DataTypes.TEXT, title: DataTypes.TEXT }, { timestamps: false, freezeTableName: true })
sequelize.sync({ alter: true }).catch((error) => { console.log(error.message); process.exit(1) })
""", encoding="utf-8")
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)",
            "INSERT INTO note(body) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100) SELECT 'note ' || i FROM c")
    for node in (one, two):
        node.start()
    wait_identical([one.db, two.db])
    sent = []
    for _ in range(2):
        before = one.status()["databases"][0]["published"]
        run = subprocess.run(["node", program, one.db], capture_output=True, text=True, timeout=40, check=False,
                             env={**os.environ, "NODE_PATH": str(sequelize_modules())})
        check(run.returncode == 0, f"sync: {run.stdout}{run.stderr}")
        time.sleep(1)  # status counts what was acknowledged
        found = wait_identical([one.db, two.db])
        check(len(found["note"]) == 100, f"{len(found['note'])} rows are left")
        sent.append(one.status()["databases"][0]["published"] - before)
    check(sent[1] >= 100, f"the second sync sent {sent[1]} rows")
    t.note(f"rows sent by the first sync and by the second, which changes nothing: {sent}; conflicts: {len(two.json('conflicts').get('conflicts', []))}")


@case("PHP does with BEGIN IMMEDIATE as a statement, and not with PDO's beginTransaction", seconds=30)
def frameworks_php(t):
    needs("php")
    page = blocks()
    judge(t, "PDO 8.2", interpreted(t, "pdo.php", ["php"]), page["pdo"], [(without(page["pdo"], ("exec('BEGIN IMMEDIATE')", "beginTransaction()")), True)])
    judge(t, "SQLite3 8.2", interpreted(t, "sqlite3.php", ["php"]), page["sqlite3-php"],
          [(without(page["sqlite3-php"], ("BEGIN IMMEDIATE", "BEGIN"), ("$db->busyTimeout(5000);", "")), True)])


def compiled_go(t, module, version, *tags):
    work = cache("go-" + module.rpartition("/")[2])
    env = {**os.environ, "GOCACHE": str(cache("go-build")), "GOFLAGS": "-mod=mod"}
    (work / "go.mod").write_text(f"module tried\n\ngo 1.21\n\nrequire {module} v{version}\n", encoding="utf-8")

    def run(snippet):
        (work / "main.go").write_text(source("go.go", snippet).replace("DRIVER", module), encoding="utf-8")
        built = subprocess.run(["go", "build", *tags, "-o", t.dir / "go-program", "."], cwd=work, env=env, capture_output=True, text=True, timeout=280, check=False)
        check(built.returncode == 0, f"go build: {built.stderr[-2000:]}")
        return Outcome(t.dir, [t.dir / "go-program"], {})
    return run


@case("Go's mattn/go-sqlite3 does with _txlock", seconds=300, long=True)
def frameworks_go_mattn(t):
    needs("go", "gcc")
    snippet = blocks()["go-mattn"]
    judge(t, "mattn/go-sqlite3 1.14", compiled_go(t, "github.com/mattn/go-sqlite3", "1.14.24", "-tags", "libsqlite3"), snippet,
          [(without(snippet, ("?_txlock=immediate", "")), True)])


@case("Go's modernc.org/sqlite does with _txlock", seconds=300, long=True)
def frameworks_go_modernc(t):
    needs("go")
    snippet = blocks()["go-modernc"]
    judge(t, "modernc.org/sqlite 1.34", compiled_go(t, "modernc.org/sqlite", "1.34.4"), snippet,
          [(without(snippet, ("?_txlock=immediate&_pragma=busy_timeout(5000)", "")), True)])


def jdbc_jars():
    needs("java", "javac", "mvn")
    jars = cache("jdbc")
    for jar in ("org.xerial:sqlite-jdbc:3.46.1.3", "org.slf4j:slf4j-api:1.7.36"):
        install(["mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy", f"-Dartifact={jar}", "-DoutputDirectory=."], jars,
                jars / (jar.split(":", 1)[1].replace(":", "-") + ".jar"))
    return jars


@case("JDBC does with transaction_mode", seconds=200, long=True)
def frameworks_jdbc(t):
    jars = jdbc_jars()
    snippet = blocks()["jdbc"]
    judge(t, "sqlite-jdbc 3.46", interpreted(t, "Jdbc.java", ["java", "-cp", f"{jars}/*"]), snippet, [(without(snippet, ("?transaction_mode=IMMEDIATE", "")), True)])


@case("rusqlite does with transaction_with_behavior", seconds=300, long=True)
def frameworks_rusqlite(t):
    needs("cargo")
    work = cache("rusqlite")
    (work / "src").mkdir(exist_ok=True)
    (work / "Cargo.toml").write_text('[package]\nname = "tried"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\nrusqlite = "0.32"\n', encoding="utf-8")

    def run(snippet):
        (work / "src" / "main.rs").write_text(source("rusqlite.rs", snippet), encoding="utf-8")
        built = subprocess.run(["cargo", "build", "--quiet"], cwd=work, capture_output=True, text=True, timeout=280, check=False)
        check(built.returncode == 0, f"cargo build: {built.stderr[-2000:]}")
        outcome = Outcome(t.dir, [work / "target" / "debug" / "tried"], {})
        outcome.version = re.search(r'name = "rusqlite"\nversion = "([\d.]+)"', (work / "Cargo.lock").read_text(encoding="utf-8"))[1]
        return outcome
    snippet = blocks()["rusqlite"]
    judge(t, "rusqlite 0.32", run, snippet, [(without(snippet, ("transaction_with_behavior(TransactionBehavior::Immediate)", "transaction()")), True)])


@case("the page's list of excluded tables is a valid configuration, and every tried block of the page has a test", seconds=30)
def frameworks_page(t):
    page = blocks()
    config = t.dir / "marmot.toml"
    config.write_text(page["exclude"], encoding="utf-8")
    run = t.product.run("config", "check", config)
    check(run.returncode == 0, f"config check: {run.stderr}")
    tests = Path(__file__).read_text(encoding="utf-8")
    for name in page:
        check(f'"{name}"' in tests, f"no test here reads the page's block {name}")
    fences = PAGE.read_text(encoding="utf-8").count("```") // 2
    check(fences == len(page), f"{fences} blocks on the page, {len(page)} of them marked as tried")
