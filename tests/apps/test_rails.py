"""A whole Rails application, made by its own generators and served by puma, on three nodes in step."""
import html
import http.cookiejar
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from cache import cache, needs
from case import case
from process import check, free_port, until
from tables import query, scalar, wait_identical
from test_django import NoRedirect
from test_in_step import in_step

LEAVES_OUT = [f"--skip-{part}" for part in ("bundle", "git", "javascript", "bootsnap", "spring", "listen", "sprockets", "test", "system-test", "jbuilder",
                                            "turbolinks", "action-mailbox", "action-text", "active-storage", "action-cable", "action-mailer")]
GEMS = "source 'https://rubygems.org'\ngem 'rails', '~> 6.1.7'\ngem 'sqlite3', '~> 1.4'\ngem 'puma', '~> 5.0'\n"  # what Debian's packages hold
SCAFFOLDS = (("User", "name:string"), ("Post", "user:references", "title:string"), ("Comment", "post:references", "body:string"))


class Application:
    """One folder with the program, as it is put on each machine."""

    def __init__(self, t):
        needs("ruby", "rails", "puma")
        made = cache("rails") / "blog"
        self.t, self.dir = t, made
        if not (made / "done").exists():
            self._generate()
        self.dir = t.dir / "blog"
        shutil.copytree(made, self.dir)

    def _generate(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self._run(["rails", "new", self.dir, "--database=sqlite3", *LEAVES_OUT], self.dir.parent, dict(os.environ))
        (self.dir / "Gemfile").write_text(GEMS)
        for words in SCAFFOLDS:
            self.rails(self.t.dir / "unused.db", "generate", "scaffold", *words)
        (self.dir / "done").touch()

    def environment(self, db):
        return dict(os.environ, RAILS_ENV="production", SECRET_KEY_BASE="0123456789abcdef" * 8, DATABASE_URL=f"sqlite3:{db}", BUNDLE_FROZEN="false")

    def rails(self, db, *words):
        return self._run(["bin/rails", *words], self.dir, self.environment(db))

    @staticmethod
    def _run(argv, cwd, environment):
        run = subprocess.run([str(word) for word in argv], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        check(run.returncode == 0, f"{' '.join(map(str, argv[:3]))} ended with {run.returncode}: {(run.stdout + run.stderr)[-2000:]}")
        return run.stdout

    def serve(self, name, db):
        port = free_port()
        environment = dict(self.environment(db), PORT=str(port), PIDFILE=str(self.t.dir / f"{name}.pid"), RAILS_LOG_TO_STDOUT="1")
        self.t.workspace.start(["bin/rails", "server", "--binding", "127.0.0.1"], f"{name}-rails", env=environment, cwd=self.dir)
        return port


class Visitor:
    """A browser, which keeps cookies and fetches each form before it posts it."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), NoRedirect)
        self.refused = 0

    def answers(self):
        try:
            return self.request("/users")[0] == 200
        except OSError:
            return False

    def request(self, path, **form):
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self.opener.open(urllib.request.Request(self.address + path, data), timeout=60) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace"), error.headers

    def create(self, resource, **fields):
        """The id that the answer leads to. A form that is answered with an error is sent again, as people do."""
        for _ in range(10):
            code, page, _ = self.request(f"/{resource}s/new")
            check(code == 200, f"the form of a {resource} was answered with {code}")
            token = html.unescape(re.search(r'name="authenticity_token" value="([^"]+)"', page).group(1))
            code, page, headers = self.request(f"/{resource}s", authenticity_token=token, **{f"{resource}[{name}]": value for name, value in fields.items()})
            if code == 302:
                return int(re.search(rf"/{resource}s/(\d+)$", headers["Location"]).group(1))
            check(code == 500, f"{resource} {fields} was answered with {code}: {page[-1500:]}")
            self.refused += 1
            time.sleep(0.1)
        check(False, f"{resource} {fields} was refused ten times")

    def write(self, name, count, told):
        for number in range(count):
            user = self.create("user", name=f"{name}-{number}")
            told["users"][user] = f"{name}-{number}"
            for title in (f"{name}-{number} first", f"{name}-{number} second"):
                post = self.create("post", user_id=user, title=title)
                told["posts"][post] = (user, title)
                told["comments"][self.create("comment", post_id=post, body=f"on {title}")] = (post, f"on {title}")
            code, page, _ = self.request(f"/posts/{post}")
            check(code == 200 and title in page, f"the page of {title} shows something else: {page[-1000:]}")


@case("a Rails application: users with posts and comments through three servers in step: every one is there, under its own parent", seconds=400)
def rails_in_step(t):
    application = Application(t)
    nats = t.nats()
    nodes = [t.node(f"n{i}", nats, database_name="blog") for i in range(3)]
    application.rails(nodes[0].db, "db:migrate")
    for node in nodes:
        node.start(seconds=20 * t.slow)
    files = [node.db for node in nodes]
    wait_identical(files, 30 * t.slow)
    application.rails(nodes[1].db, "db:migrate")  # has nothing to do
    check(not nodes[0].json("ids")["plain"], "Rails declares AUTOINCREMENT")
    ports = [application.serve(node.name, node.db) for node in nodes]
    for port in ports:
        until("puma answers", lambda port=port: Visitor(port).answers(), 60 * t.slow, pause=0.2)
    told = {"users": {}, "posts": {}, "comments": {}}
    visitors = [Visitor(port) for port in [*ports, *ports]]
    count = 100 if t.long else 10
    began = time.monotonic()
    in_step([lambda visitor=visitor, i=i: visitor.write(f"v{i}", count, told) for i, visitor in enumerate(visitors)])
    took = time.monotonic() - began
    wait_identical(files, 60 * t.slow)
    for db in files:
        check(dict(query(db, "SELECT id, name FROM users")) == told["users"], f"{db}: users are not what was answered")
        for table, columns in (("posts", "user_id, title"), ("comments", "post_id, body")):
            there = {number: rest for number, *rest in query(db, f"SELECT id, {columns} FROM {table}")}
            wrong = [(number, said, there.get(number)) for number, said in told[table].items() if there.get(number) != list(said)]
            check(not wrong and len(there) == len(told[table]), f"{db}: {len(there)} {table}, {len(wrong)} of {len(told[table])} are not what was answered: {wrong[:3]}")
        check(scalar(db, "SELECT count(*) FROM posts") == 2 * count * len(visitors), f"{db}: posts were lost before they were answered")
        check(not query(db, "PRAGMA foreign_key_check"), f"{db}: a parent is missing")
    check(not [node for node in nodes if node.json("conflicts")["conflicts"]], "rows collided")
    t.note(f"{len(told['posts'])} posts and as many comments of {len(told['users'])} users in {took:.1f} s, {sum(visitor.refused for visitor in visitors)} forms were sent again, "
           f"{sum(node.json('ids')['outside'] for node in nodes)} ids outside of an own block")
