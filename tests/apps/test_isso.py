"""Isso, a comment server that nobody here wrote, on three nodes: its tables have a plain INTEGER PRIMARY KEY."""
import json
import os
import urllib.request

from cache import PYTHON, from_pypi
from case import case
from process import check, free_port, until
from tables import query, scalar, wait_identical
from test_in_step import in_step

CONFIG = """[general]
dbpath = {db}
host = http://127.0.0.1:{port}/
[server]
listen = http://127.0.0.1:{port}
[guard]
enabled = false
[moderation]
enabled = false
"""


class Isso:
    """One server, over a node's file."""

    def __init__(self, t, node):
        self.port = free_port()
        settings = t.dir / f"{node.name}.cfg"
        settings.write_text(CONFIG.format(db=node.db, port=self.port))
        run = f"import sys; sys.argv = ['isso', '-c', {str(settings)!r}]; from isso import main; main()"
        self.process = t.workspace.start([PYTHON, "-c", run], f"{node.name}-isso", env=dict(os.environ, PYTHONPATH=str(from_pypi("isso==0.13.0", "isso"))))
        until(f"isso of {node.name} answers", self.answers, 20 * t.slow)

    def answers(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/demo", timeout=5).status > 0
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def post(self, uri, text, parent=None):
        body = json.dumps({"text": text, "author": "somebody", "title": "A page", "parent": parent}).encode()
        url = f"http://127.0.0.1:{self.port}/new?uri={uri}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{self.port}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = json.load(answer)
            return said["id"], said["text"]


@case("Isso: tables adopted, then 180 comments and answers through three servers in step: each is there, under the one that it answers", seconds=120)
def isso_in_step(t):
    nats = t.nats()
    nodes = [t.node(f"n{i}", nats, database_name="comments") for i in range(3)]
    servers = [Isso(t, nodes[0])]
    servers[0].post("/page/", "the first one")
    for node in nodes:
        node.start(seconds=20 * t.slow)
    files = [node.db for node in nodes]
    wait_identical(files, 30 * t.slow)
    servers += [Isso(t, node) for node in nodes[1:]]
    wait_identical(files, 30 * t.slow)
    adopted = t.product.run("ids", "adopt", files[0], "--all")
    check(adopted.returncode == 0 and "table comments:" in adopted.stdout and "table threads:" in adopted.stdout, f"{adopted}")
    for node in nodes:
        until(f"{node.name} has adopted them", lambda node=node: not node.json("ids")["plain"], 20 * t.slow)
    told, others = {}, []  # id -> (text, parent); whether an answer showed another comment

    def talk(server, db, name):
        last = None
        for number in range(60):
            parent = last if number % 2 else None
            text = f"comment {number} through {name}"
            answered, shown = server.post("/page/", text, parent)
            last = scalar(db, "SELECT id FROM comments WHERE text = ?", text)
            # Isso answers with the row of max(id), which another one's may have become meanwhile; never with an older one.
            check(answered == last if text in shown else answered > last, f"{text} is comment {last}, and the answer was {answered}: {shown}")
            others.append(answered != last)
            told[last] = (text, parent)
    in_step([lambda server=server, i=i: talk(server, files[i], f"n{i}") for i, server in enumerate(servers)])
    wait_identical(files, 30 * t.slow)
    for db in files:
        there = {number: (text, parent) for number, text, parent in query(db, "SELECT id, text, parent FROM comments")}
        wrong = [(number, said, there.get(number)) for number, said in told.items() if there.get(number) != said]
        check(not wrong and len(there) == 181, f"{db}: {len(there)} comments, {len(wrong)} are not what was answered: {wrong[:3]}")
        check(scalar(db, "SELECT count(DISTINCT tid) FROM comments") == 1, f"{db}: comments under another page")
    check(not nodes[0].json("conflicts")["conflicts"], "rows collided")
    t.note(f"{sum(others)} of {len(others)} answers showed another node's comment, which had come before Isso looked for the highest id")
