"""sqlite-utils and Datasette, which nobody here wrote: full-text indexes over tables of their own, with triggers and without, on two nodes."""
import json
import os
import subprocess
import urllib.parse
import urllib.request

from cache import PYTHON, from_pypi
from case import case
from process import check, free_port, until
from tables import query, wait_identical


def environment():
    paths = [from_pypi("sqlite-utils==4.2.1", "sqlite_utils"), from_pypi("datasette==0.65.5", "datasette")]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, paths)))


def sqlite_utils(*words, rows=None):
    run = subprocess.run([PYTHON, "-m", "sqlite_utils", *map(str, words)], env=environment(), input=json.dumps(rows) if rows else None, capture_output=True, text=True, timeout=60)
    check(run.returncode == 0, f"sqlite-utils {' '.join(map(str, words))}: {run.stderr[-1000:]}")
    return run.stdout


class Datasette:
    """A server over a node's file."""

    def __init__(self, t, node):
        self.port, self.name = free_port(), node.db.stem
        self.process = t.workspace.start([PYTHON, "-m", "datasette", "serve", node.db, "--port", str(self.port)], f"{node.name}-datasette", env=environment())
        until(f"datasette of {node.name} answers", lambda: self.get("/-/versions.json") is not None, 20 * t.slow)

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    def search(self, table, word):
        found = self.get(f"/{self.name}/{table}.json?_shape=array&_search={urllib.parse.quote(word)}")
        return sorted(row["id"] for row in found or [])


def objects(node):
    return {one["name"]: one["stopped"] for one in node.status()["databases"][0]["objects"]}


@case("sqlite-utils and Datasette: indexes made by enable-fts are searched on the other node, with and without triggers; one whose table is dropped holds nothing up", seconds=120)
def enable_fts(t):
    nats = t.nats()
    one, two, three = t.nodes(3, nats)
    animals = [{"id": 1, "title": "marmot", "body": "burrows"}, {"id": 2, "title": "badger", "body": "digs"}]
    for table in ("plain", "fed", "old"):
        sqlite_utils("insert", one.db, table, "-", "--pk", "id", rows=animals)
    sqlite_utils("enable-fts", one.db, "plain", "title", "body")  # filled once, here, and never again
    sqlite_utils("enable-fts", one.db, "fed", "title", "body", "--create-triggers", "--tokenize", "porter")
    sqlite_utils("enable-fts", one.db, "old", "title", "body", "--fts4", "--create-triggers")
    one.start()
    two.start()
    wait_identical([one.db, two.db], 20 * t.slow)
    servers = [Datasette(t, node) for node in (one, two)]
    for table in ("plain", "fed", "old"):
        until(f"node 2 finds the marmot in {table}", lambda table=table: servers[1].search(table, "marmot") == [1], 15 * t.slow)
    # A table, its rows and its index, as one command makes them.
    sqlite_utils("insert", one.db, "late", "-", "--pk", "id", rows=animals)
    sqlite_utils("enable-fts", one.db, "late", "title", "body")
    until("node 2 finds the marmot in the late table", lambda: servers[1].search("late", "marmot") == [1], 15 * t.slow)
    # What is written on node 2 is found on node 1, by the triggers.
    sqlite_utils("insert", two.db, "fed", "-", "--pk", "id", rows=[{"id": 3, "title": "another marmot", "body": "whistles"}])
    sqlite_utils("insert", two.db, "old", "-", "--pk", "id", rows=[{"id": 3, "title": "another marmot", "body": "whistles"}])
    for table in ("fed", "old"):
        until(f"node 1 finds both in {table}", lambda table=table: servers[0].search(table, "marmot") == [1, 3], 10 * t.slow)
    sqlite_utils("transform", one.db, "fed", "--rename", "body", "text")  # the index names a column that is gone
    sqlite_utils("drop-table", one.db, "plain")
    sqlite_utils("insert", one.db, "late", "-", "--pk", "id", rows=[{"id": 9, "title": "vole", "body": "runs"}])
    until("node 2 goes on", lambda: query(two.db, "SELECT title FROM late WHERE id = 9") == [("vole",)], 10 * t.slow)
    for node in (one, two):
        until(f"{node.name} tells of both", lambda node=node: sorted(objects(node)) == ["full-text index fed_fts", "full-text index plain_fts"], 15 * t.slow)
        check("its content cannot be read here: no such table: main.plain" in objects(node)["full-text index plain_fts"], f"{objects(node)}")
        check("NOT HERE" in t.product.run("status", node.db).stdout, "status does not show it")
        found = t.product.run("check", node.db)
        check(found.returncode == 3 and "unreadable-content" in found.stdout, f"{found}")
    # A node that joins now gets the rest.
    three.start()
    wait_identical([one.db, two.db, three.db], 20 * t.slow)
    for index in ("plain_fts", "fed_fts"):
        for node in (one, two, three):
            until(f"{node.name} has {index}", lambda node=node: query(node.db, "SELECT count(*) FROM sqlite_schema WHERE name = ?", index) == [(1,)], 10 * t.slow)
    sqlite_utils("query", one.db, "DROP TABLE plain_fts")
    sqlite_utils("query", one.db, "DROP TABLE fed_fts")
    for node in (one, two, three):
        until(f"{node.name} tells nothing any more", lambda node=node: objects(node) == {}, 20 * t.slow)
    check(Datasette(t, three).search("late", "marmot") == [1], "node 3 does not find the marmot")
