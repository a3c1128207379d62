"""MediaWiki, as Debian has it, on three nodes: pages made and edited through three servers in step."""
import http.client
import http.cookiejar
import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

from cache import cache, install, needs
from case import case
from process import Skipped, check, free_port, until
from tables import execute, query, scalar, wait_identical
from test_in_step import in_step

PASSWORD = "correct horse battery 9"
ANONYMOUS = "+\\"  # the token of who is not logged in
OTHER_FILES = ("wiki_jobqueue.sqlite", "wiki_l10n_cache.sqlite", "wikicache.sqlite")
KEYS_OF_OTHERS = {"site_stats", "redirect", "watchlist_expiry", "ip_changes", "user_autocreate_serial"}  # MediaWiki says their keys itself
CHAIN = """SELECT page_title, page_id, page_latest, rev_id, rev_page, actor_name, old_text, old_flags
           FROM page LEFT JOIN revision ON rev_id = page_latest LEFT JOIN actor ON actor_id = rev_actor
           LEFT JOIN slots ON slot_revision_id = rev_id LEFT JOIN content ON content_id = slot_content_id
           LEFT JOIN text ON content_address = 'tt:' || old_id"""


def mediawiki():
    """The folder of Debian's package, unpacked and not installed: it would bring a web server with it."""
    needs("php", "apt-get", "dpkg-deb")
    modules = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout.split()
    lacking = {"intl", "mbstring", "xml", "pdo_sqlite"} - set(modules)
    if lacking:
        raise Skipped(f"php has no {', '.join(sorted(lacking))}: tests/packages.sh test installs them")
    work = cache("mediawiki")
    root = work / "root" / "usr" / "share" / "mediawiki"
    if not root.exists():
        download = "apt-get -q download mediawiki mediawiki-classes"
        got = subprocess.run(["sh", "-c", f"{download} || {{ apt-get -q update && {download}; }}"], cwd=work, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        if got.returncode != 0:
            raise Skipped(f"Debian's package mediawiki cannot be had: {got.stderr[-300:]}")
        install(["sh", "-c", "for deb in *.deb; do dpkg-deb -x $deb new; done && rm *.deb && mv new root"], work, root / "api.php")
    return root


class Wiki:
    """One machine: its files in a folder of its own, its server on a port of its own, and the settings that all share."""

    def __init__(self, t, root, name):
        self.t, self.root, self.name = t, root, name
        self.port = free_port()
        self.data = t.dir / name
        self.data.mkdir()
        self.db = self.data / "wiki.sqlite"
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = dict(os.environ, MW_CONFIG_FILE=str(t.dir / "LocalSettings.php"), WIKI_DATA=str(self.data), WIKI_SERVER=self.address,
                                PHP_CLI_SERVER_WORKERS="3")
        self.server = None

    def php(self, *words):
        run = subprocess.run(["php", *map(str, words)], cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        check(run.returncode == 0, f"{words[0]} ended with {run.returncode}: {(run.stdout + run.stderr)[-2000:]}")
        return run.stdout

    def install(self):
        self.php("maintenance/install.php", "--dbtype", "sqlite", "--dbpath", self.data, "--dbname", "wiki", "--pass", PASSWORD, "--server", self.address,
                 "--scriptpath", "", "--confpath", self.t.dir, "Wiki", "Admin")
        settings = self.t.dir / "LocalSettings.php"
        text = settings.read_text(encoding="utf-8")
        for what, name in ((f'"{self.data}"', "WIKI_DATA"), (f'"{self.address}"', "WIKI_SERVER")):
            check(what in text, f"{what} is not in the settings")
            text = text.replace(what, f'getenv("{name}")')
        settings.write_text(text + "$wgRateLimits = [];  # a test is faster than a person\n", encoding="utf-8")

    def serve(self):
        self.server = self.t.workspace.start(["php", "-S", f"127.0.0.1:{self.port}", "-t", self.root], f"{self.name}-wiki", env=self.environment, cwd=self.root)
        until(f"the wiki of {self.name} answers", self._answers, 20 * self.t.slow)

    def _answers(self):
        try:
            return "wikitext" in json.dumps(Editor(self, "127.0.0.1").ask(action="query", prop="info", titles="Main Page"))
        except (OSError, ValueError):
            return False


class Editor:
    """Somebody at a browser: anonymous, known by the address, or logged in."""

    def __init__(self, wiki, address):
        self.wiki, self.name, self.token = wiki, address, ANONYMOUS
        self.failed = 0

        class Connection(http.client.HTTPConnection):
            def __init__(self, *arguments, **options):
                super().__init__(*arguments, **{**options, "source_address": (address, 0)})

        class Handler(urllib.request.HTTPHandler):
            def http_open(self, request):
                return self.do_open(Connection, request)
        self.opener = urllib.request.build_opener(Handler, urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def ask(self, **form):
        data = urllib.parse.urlencode({"format": "json", **form}).encode()
        with self.opener.open(self.wiki.address + "/api.php", data, timeout=60) as answer:
            return json.load(answer)

    def log_in(self, name):
        token = self.ask(action="query", meta="tokens", type="login")["query"]["tokens"]["logintoken"]
        said = self.ask(action="login", lgname=name, lgpassword=PASSWORD, lgtoken=token)
        check(said["login"]["result"] == "Success", f"{name} logs in through {self.wiki.name}: {said}")
        self.name = name
        self.token = self.ask(action="query", meta="tokens")["query"]["tokens"]["csrftoken"]

    def save(self, title, text):
        """(page id, revision id), or nothing where the wiki said that it failed."""
        said = self.ask(action="edit", title=title, text=text, summary=f"summary of {title}", token=self.token)
        if said.get("edit", {}).get("result") == "Success":
            return said["edit"]["pageid"], said["edit"]["newrevid"]
        check("database" in json.dumps(said).lower(), f"{title}: {said}")
        self.failed += 1
        return None


def write_pages(editor, count, told):
    """Each page is made, and edited once. told: title -> page id, revision, text, author."""
    for number in range(count):
        title = f"{editor.wiki.name} {editor.name.replace('.', ' ')} {number}"
        for text in (f"The text of {title}.", f"The later text of {title}."):
            said = editor.save(title, text)
            if said is not None:
                told[title] = (*said, text, editor.name)
            time.sleep(0.02)


def check_pages(db, told):
    """Every page that was answered with Success is there, with its own last revision, text and author."""
    there = {title.decode() if isinstance(title, bytes) else title: rest for title, *rest in query(db, CHAIN)}
    wrong = []
    for title, (page, revision, text, author) in told.items():
        found = there.get(title.replace(" ", "_"))
        said = found and [value.decode() if isinstance(value, bytes) else value for value in found]
        if said is None or said[:5] != [page, revision, revision, page, author] or said[5] != text:
            wrong.append((title, page, revision, said))
    check(not wrong, f"{db}: {len(wrong)} of {len(told)} pages are not what was answered: {wrong[:3]}")


def check_shown(wiki, told):
    """As a reader sees it."""
    reader, titles = Editor(wiki, "127.0.0.1"), list(told)
    for start in range(0, len(titles), 50):
        said = reader.ask(action="query", prop="revisions", rvprop="ids|user|comment|content", rvslots="main", formatversion=2, titles="|".join(titles[start:start + 50]))
        pages = {page["title"]: page for page in said["query"]["pages"]}
        for title in titles[start:start + 50]:
            page, revision, text, author = told[title]
            found = pages[title[0].upper() + title[1:]]
            shown = found.get("revisions", [{}])[0]
            is_right = (found.get("pageid") == page and shown.get("revid") == revision and shown.get("user") == author and
                        shown.get("comment") == f"summary of {title}" and shown["slots"]["main"]["content"] == text)
            check(is_right, f"{wiki.name} shows {title} as {found}; {told[title]} was answered")


def three_wikis(t):
    """(wikis, nodes): installed on the first node; the others' files come by replication, but for those that are each machine's own."""
    root = mediawiki()
    wikis = [Wiki(t, root, f"N{i}") for i in range(3)]
    wikis[0].install()
    nats = t.nats()
    nodes = [t.node(f"n{i}", nats, db=wiki.db, database_name="wiki") for i, wiki in enumerate(wikis)]
    for node in nodes:
        node.start(seconds=20 * t.slow)
    wait_identical([wiki.db for wiki in wikis], 30 * t.slow)
    for wiki in wikis[1:]:
        for name in OTHER_FILES:
            shutil.copy(wikis[0].data / name, wiki.data / name)
    for wiki in wikis:
        wiki.serve()
    return wikis, nodes


@case("MediaWiki: pages made and edited through three servers in step: each answered with Success is there, with its own text and revision", seconds=400)
def mediawiki_in_step(t):
    wikis, nodes = three_wikis(t)
    files = [node.db for node in nodes]
    plain = {one["name"] for one in nodes[0].json("ids")["plain"]}
    check(plain == KEYS_OF_OTHERS, f"tables with a plain key: {plain}")
    if t.long:
        adopted = t.product.run("ids", "adopt", files[0], "--all")
        check(adopted.returncode == 0, f"{adopted}")
        for node in nodes:
            until(f"{node.name} has adopted them", lambda node=node: not node.json("ids")["plain"], 20 * t.slow)
    in_step([lambda wiki=wiki: wiki.php("maintenance/createAndPromote.php", f"User of {wiki.name}", PASSWORD) for wiki in wikis])
    wait_identical(files, 30 * t.slow)
    editors = [Editor(wiki, f"127.0.0.{10 * i + j}") for i, wiki in enumerate(wikis) for j in range(2, 5)]
    for i, wiki in enumerate(wikis):
        editors[3 * i].log_in(f"User of {wikis[(i + 1) % 3].name}")  # whose account was made through another node
    told, count = {}, 60 if t.long else 6
    began = time.monotonic()
    in_step([lambda editor=editor: write_pages(editor, count, told) for editor in editors])
    took = time.monotonic() - began
    wait_identical(files, 60 * t.slow)
    for db in files:
        check_pages(db, told)
        check(scalar(db, "SELECT count(*) FROM user") == 5, f"{db}: accounts")
    for wiki in wikis:
        check_shown(wiki, told)
    lost = [one for node in nodes for one in node.json("conflicts")["conflicts"] if one["kind"] in ("insert", "unique")]
    check(not lost, f"rows collided: {lost[:3]}")
    t.note(f"{len(told)} pages, {2 * count * len(editors)} edits in {took:.1f} s, {sum(editor.failed for editor in editors)} of them refused, "
           f"{sum(node.json('ids')['outside'] for node in nodes)} ids outside of an own block")
    check(len(told) == count * len(editors), f"{len(told)} pages were answered with Success, of {count * len(editors)}")
    check_search(wikis[1], told)
    wait_identical(files, 30 * t.slow)


def check_search(wiki, told):
    """Each node finds what was written through it; the rest once the operator has had the index made."""
    def found():
        said = Editor(wiki, "127.0.0.1").ask(action="query", list="search", srsearch="later text", srwhat="text")
        return said["query"]["searchinfo"]["totalhits"]
    own = [title for title in told if title.startswith(wiki.name)]
    check(found() == len(own), f"{wiki.name} finds {found()} pages; {len(own)} of {len(told)} were written through it")
    wiki.php("maintenance/rebuildtextindex.php")
    check(found() == len(told), f"{wiki.name} finds {found()} of {len(told)} pages in the index made anew")


@case("MediaWiki: an address that edits for the first time through two nodes at once is two actors, of which one stays; the docs' statements put it right",
      seconds=300, long=True)
def mediawiki_one_address(t):
    wikis, nodes = three_wikis(t)
    files = [node.db for node in nodes]
    told = {}
    nodes[1].stop()  # the agent is away; its wiki goes on
    for wiki in wikis[:2]:
        write_pages(Editor(wiki, "127.0.0.9"), 1, told)
    nodes[1].start()
    wait_identical(files, 30 * t.slow)
    [lost] = [one for one in nodes[0].json("conflicts")["conflicts"] if one["kind"] == "unique"]
    check(lost["table"] == "actor", f"{lost}")
    loser, winner = (lost[which]["row"]["actor_id"] for which in ("loser", "winner"))
    said = Editor(wikis[2], "127.0.0.1").ask(action="query", prop="revisions", formatversion=2, titles="|".join(told))
    check(sorted("revisions" in page for page in said["query"]["pages"]) == [False, True], f"one of the two pages can be read: {said}")
    execute(files[2], *[f"UPDATE {table} SET {column} = {winner} WHERE {column} = {loser}"
                        for table, column in (("revision", "rev_actor"), ("recentchanges", "rc_actor"), ("logging", "log_actor"))])
    wait_identical(files, 30 * t.slow)
    for wiki in wikis:
        check_shown(wiki, told)
