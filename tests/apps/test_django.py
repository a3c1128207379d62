"""The real Django with its stock admin, SQLite and the default deferred transactions, driven over HTTP beside an agent.

The admin's "add user" begins a transaction, reads, hashes a password for some 100 ms, and writes: the transaction that a
writer in between makes fail at once."""
import http.cookiejar
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from cache import PYTHON, from_pypi
from case import case
from process import Skipped, check, free_port, until
from tables import scalar, wait_identical

PASSWORD = "correct horse battery 9"
FORM = "/admin/auth/user/add/"
SETTINGS = """
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
LOGGING = {"version": 1, "disable_existing_loggers": False, "handlers": {"console": {"class": "logging.StreamHandler"}},
           "loggers": {"django.request": {"handlers": ["console"], "level": "ERROR"}}}
"""  # everything else is what startproject writes


class Project:
    """A fresh project, as startproject makes it. Its database is not there yet."""

    def __init__(self, t, name, packages):
        self.t = t
        self.dir = t.dir / name
        self.dir.mkdir()
        self.db = self.dir / "db.sqlite3"
        self.env = {**os.environ, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        self.env.pop("DJANGO_SETTINGS_MODULE", None)
        if packages is not None:
            self.env["PYTHONPATH"] = str(packages)
        self.run("-m", "django", "startproject", "mysite", ".")
        with open(self.dir / "mysite" / "settings.py", "a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
        self.version = self.run("-m", "django", "--version").strip()

    def script(self, path, *arguments):
        """Runs a Python file in the project."""
        setup = f"import sys, django; sys.argv = {[str(path), *map(str, arguments)]!r}; django.setup(); exec(open({str(path)!r}).read())"
        return self.run("-c", setup, DJANGO_SETTINGS_MODULE="mysite.settings")

    def run(self, *arguments, **environment):
        run = subprocess.run([PYTHON, *arguments], cwd=self.dir, env={**self.env, **environment}, capture_output=True, text=True, timeout=60, check=False)
        check(run.returncode == 0, f"{' '.join(arguments)} ended with {run.returncode}: {run.stderr[-8000:]}")
        return run.stdout


class Site(Project):
    """Migrated, with an administrator; served by its own process."""

    def __init__(self, t, name, packages):
        super().__init__(t, name, packages)
        self.run("manage.py", "migrate", "--verbosity", "0")
        self.run("manage.py", "createsuperuser", "--noinput", "--username", "root", "--email", "root@example.org")
        self.server = None

    def serve(self):
        self.port = free_port()
        self.server = self.t.workspace.start([PYTHON, "manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"],
                                             self.dir.name, env=self.env, cwd=self.dir)
        until("Django answers", self._answers, 20, pause=0.1)
        return Admin(f"http://127.0.0.1:{self.port}")

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def token_in(page):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page).group(1)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Admin:
    """A browser that is logged in: it keeps cookies, and does not follow redirects."""

    def __init__(self, address):
        self.address = address
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), NoRedirect)
        self.users = 0
        self.token = None
        _, page = self.request("/admin/login/")
        code, _ = self.request("/admin/login/", csrfmiddlewaretoken=token_in(page), username="root", password=PASSWORD, next="/admin/")
        check(code == 302, f"the login was answered with {code}")

    def request(self, path, **form):
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self.opener.open(urllib.request.Request(self.address + path, data), timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def add_users(self, count, pause):
        """How many of so many forms were answered with HTTP 500. With a pause each form is fetched, and the new user's page
        looked at, as a human does; without one a form is posted as soon as the one before is answered."""
        failures = 0
        for _ in range(count):
            time.sleep(pause)
            if pause or self.token is None:
                code, page = self.request(FORM)
                check(code == 200, f"the form was answered with {code}")
                self.token = token_in(page)
            self.users += 1
            code, page = self.request(FORM, csrfmiddlewaretoken=self.token, username=f"user{self.users}", password1=PASSWORD,
                                      password2=PASSWORD, usable_password="true", _save="Save")
            check(code in (302, 500), f"user{self.users} was answered with {code}: {page[:2000]}")
            failures += code == 500
            if pause and code == 302:
                code, page = self.request("/admin/auth/user/")
                check(code == 200 and f"user{self.users}" in page, f"the list of users was answered with {code}")
        return failures


def django_packages(version):
    """For PYTHONPATH: None for Debian's Django, else PyPI's Django 5."""
    if version == "5":
        return from_pypi("Django==5.2.19", "django")
    if subprocess.run([PYTHON, "-c", "import django"], capture_output=True, check=False).returncode != 0:
        raise Skipped("python3-django is not there: tests/packages.sh test installs it")
    return None


def admin_beside_an_agent(t, packages):
    alone, back_to_back, spaced = (200, 140, 60) if t.long else (6, 14, 6)
    site = Site(t, "site", packages)
    admin = site.serve()
    began = time.monotonic()
    failed_alone = admin.add_users(alone, 0)
    each = (time.monotonic() - began) / alone
    nats = t.nats()
    nodes = [t.node("n1", nats, db=site.db, database_name="app"), *(t.node(name, nats, database_name="app") for name in ("n2", "n3"))]
    for node in nodes:
        node.start()
    time.sleep(0.5)  # the first look at the file is over
    failed = admin.add_users(back_to_back, 0)
    failed_spaced = admin.add_users(spaced, 2.0 if t.long else 0.5)
    t.note(f"Django {site.version}, users answered with HTTP 500: without an agent {failed_alone} of {alone} ({each:.2f} s each), "
           f"beside it {failed} of {back_to_back}, with pauses {failed_spaced} of {spaced}")
    check(failed_alone == 0, f"{failed_alone} of {alone} failed without an agent")
    files = [node.db for node in nodes]
    wait_identical(files)
    kept = scalar(files[2], "SELECT count(*) FROM auth_user")
    check(kept == 1 + admin.users - failed - failed_spaced, f"node 3 has {kept} users; {admin.users} were added, "
          f"{failed + failed_spaced} of them refused")
    check(failed + failed_spaced == 0, f"beside the agent {failed} of {back_to_back} users failed back to back, {failed_spaced} of {spaced} "
          f"with pauses\n{site.server.err_tail(6)}")


@case("Debian's Django: no user added in its admin fails beside an agent, deferred transactions and all", seconds=1500)
def django_admin_debian(t):
    admin_beside_an_agent(t, django_packages("debian"))


@case("PyPI's Django 5: none fails there either", seconds=1500)
def django_admin_5(t):
    admin_beside_an_agent(t, django_packages("5"))
