"""Applications that nobody here wrote, which insert on three nodes at once: what their users see afterwards."""
import os
import re
import subprocess
import threading
import time

from cache import PYTHON, from_pypi, needs
from case import case
from process import Failure, check, until
from tables import query, scalar, wait_identical
from test_django import Project, django_packages

PEOPLE = """
import sys
from django.contrib.auth.models import Group, Permission, User
node, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    name = f"{node}-{number}"
    user = User.objects.create(username=name, email=name)
    group = Group.objects.create(name=f"group of {name}")
    user.groups.add(group)
    group.permissions.add(Permission.objects.order_by("id").first())
    user.user_permissions.add(Permission.objects.order_by("id").last())
    assert User.objects.get(pk=user.pk).username == name
"""


def in_step(actions):
    """All at once; the first complaint is raised."""
    errors = []

    def run(action):
        try:
            action()
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)
    threads = [threading.Thread(target=run, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def migrate(site):
    """As an operator does, once more: where a table has just come from another node ("already exists"), or where another's rows had waited so long on a
    busy machine that the agent wrote beside Django's deferred transaction ("is locked"; with-your-framework.md has the cure)."""
    for attempt in range(6):
        try:
            return site.run("manage.py", "migrate", "--verbosity", "0")
        except Failure as failure:
            if not re.search("already exists|database is locked", str(failure)) or attempt == 5:
                raise
            time.sleep(1)


def clear_up(t, sites, files):
    """Nodes that each ran the first migrate have made content types of their own, of which one of each stays; permissions of the others dangle, and Django
    refuses the next migration until they are gone. The number of them."""
    dangling = query(files[0], "PRAGMA foreign_key_check")
    refused = None
    try:  # a migration that rebuilds a table: Django looks at all foreign keys behind it
        sites[0].run("manage.py", "migrate", "auth", "0011", "--verbosity", "0")
    except Failure as failure:
        refused = str(failure)
    check((refused is not None) == bool(dangling), f"{len(dangling)} rows dangle, and the migration ended so: {refused}")
    check(refused is None or "IntegrityError" in refused, f"{refused}")
    said = []
    for db in files:  # a node lists what it has seen lose: a row that came and was retired with one message it has not
        cleaned = t.product.run("conflicts", db, "discard", "--all", "--with-children")
        check(cleaned.returncode == 0, f"{cleaned}")
        said.append(cleaned.stdout)
        wait_identical(files, 30 * t.slow)
    for db in files:
        left = query(db, "PRAGMA foreign_key_check")
        check(left == [], f"{db}: {len(left)} of {len(dangling)} rows dangle still: {left[:3]}, {said}")
    sites[2].run("manage.py", "migrate", "auth", "0011", "--verbosity", "0")
    wait_identical(files, 30 * t.slow)
    return len(dangling)


def django_in_step(t, packages):
    nats = t.nats()
    sites = [Project(t, f"site{i}", packages) for i in range(3)]
    nodes = [t.node(f"n{i}", nats, db=site.db, database_name="app") for i, site in enumerate(sites)]
    for node in nodes:
        node.start(seconds=20 * t.slow)
    in_step([lambda site=site: migrate(site) for site in sites])
    files = [node.db for node in nodes]
    wait_identical(files, 30 * t.slow)
    in_step([lambda site=site, i=i: site.run("manage.py", "createsuperuser", "--noinput", "--username", f"root{i}", "--email", f"root{i}@example.org")
             for i, site in enumerate(sites)])
    wait_identical(files, 30 * t.slow)
    for db in files:
        check(query(db, "SELECT username FROM auth_user ORDER BY username") == [("root0",), ("root1",), ("root2",)], f"{db}: an administrator is lost")
    script = t.dir / "people.py"
    script.write_text(PEOPLE)
    count = 12
    writers = [(site, f"w{i}") for i, site in enumerate([*sites, *sites, *sites[:2]])]  # eight
    in_step([lambda site=site, name=name: site.script(script, name, count) for site, name in writers])
    wait_identical(files, 30 * t.slow)
    wrong = query(files[0], "SELECT username, name FROM auth_user JOIN auth_user_groups ON user_id = auth_user.id JOIN auth_group ON auth_group.id = group_id"
                            " WHERE name <> 'group of ' || username")
    kept = scalar(files[0], "SELECT count(*) FROM auth_user_groups")
    check(not wrong and kept == 8 * count, f"{len(wrong)} users are in another one's group, {kept} of {8 * count} are in one: {wrong[:3]}")
    check(scalar(files[0], "SELECT count(*) FROM auth_user") == 3 + 8 * count, "users are lost")
    lost = [one for one in nodes[0].json("conflicts")["conflicts"] if one["kind"] == "insert" and one["table"] != "django_migrations"]
    check(not lost, f"ids collided: {lost[:2]}")
    dangling = clear_up(t, sites, files)
    t.note(f"Django {sites[0].version}: {kept} memberships, {dangling} rows refer to one that lost by a unique value, "
           f"{sum(node.json('ids')['outside'] for node in nodes)} ids outside of an own block")
    sites[1].run("manage.py", "migrate", "--verbosity", "0")
    sites[2].run("manage.py", "check")


@case("Django 5: migrate and createsuperuser on three nodes in step, then eight writers: every user is there, in its own groups", seconds=180)
def django5_in_step(t):
    django_in_step(t, django_packages("5"))


@case("Django 5, migrated on three nodes that had not met: rows that are the same are one, and Django migrates on", seconds=180)
def django5_migrated_apart(t):
    nats = t.nats()
    sites = [Project(t, f"site{i}", django_packages("5")) for i in range(3)]
    nodes = [t.node(f"n{i}", nats, db=site.db, database_name="app", options=("--adopt", "merge")) for i, site in enumerate(sites)]
    for site in sites:
        migrate(site)
    for node in nodes:
        node.start(seconds=20 * t.slow)
    files = [node.db for node in nodes]
    wait_identical(files, 30 * t.slow)
    check(clear_up(t, sites, files) == 0, "rows dangle")


@case("Django of Debian: the same", seconds=180)
def django_of_debian_in_step(t):
    django_in_step(t, django_packages("debian"))


SHOP = """
import sys
from sqlalchemy import Column, ForeignKey, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, relationship

Base = declarative_base()


class Customer(Base):
    __tablename__ = "customer"
    id = Column(Integer, primary_key=True)
    name = Column(String, nullable=False)
    orders = relationship("Order", back_populates="customer")


class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    customer_id = Column(Integer, ForeignKey("customer.id"), nullable=False)
    what = Column(String, nullable=False)
    customer = relationship("Customer", back_populates="orders")


engine = create_engine("sqlite:///" + sys.argv[1], connect_args={"timeout": 30})
if sys.argv[2] == "make":
    Base.metadata.create_all(engine)
else:
    for number in range(int(sys.argv[3])):
        with Session(engine) as session:
            name = f"{sys.argv[2]}-{number}"
            customer = Customer(name=name, orders=[Order(what=f"{name} {i}") for i in range(2)])
            session.add(customer)
            session.commit()
            assert customer.name == name and [one.what for one in customer.orders] == [f"{name} 0", f"{name} 1"]
"""


def families_in_step(t, argv, environment, parents, children, plain=(), adopt=False):
    """`argv` DB make makes the tables, `argv` DB NAME 15 writes so many parents with two children each, whose texts begin with the parent's name.
    `parents` is a table and its name column, `children` a table, the column that refers, and the text. `plain`: the tables that have a plain key."""
    (parent, name), (child, refers, text) = parents, children
    nats = t.nats()
    nodes = [t.node(f"n{i}", nats, database_name="app") for i in range(3)]

    def run(node, *words):
        done = subprocess.run([*map(str, argv), node.db, *map(str, words)], env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        check(done.returncode == 0, f"{words}: {done.stderr[-2000:]}")
    run(nodes[0], "make")
    for node in nodes:
        node.start(seconds=20 * t.slow)
    files = [node.db for node in nodes]
    wait_identical(files, 30 * t.slow)
    found = [one["name"] for one in nodes[0].json("ids")["plain"]]
    check(found == list(plain), f"tables with a plain key: {found}")
    if adopt:
        adopted = t.product.run("ids", "adopt", nodes[0].db, "--all")
        check(adopted.returncode == 0, f"{adopted}")
        wait_identical(files, 30 * t.slow)
        for node in nodes:
            until(f"{node.name} has adopted them", lambda node=node: not node.json("ids")["plain"], 20 * t.slow)
    in_step([lambda node=node, i=i: run(node, f"w{i}", 15) for i, node in enumerate([*nodes, *nodes, *nodes[:2]])])
    wait_identical(files, 30 * t.slow)
    kept = scalar(files[0], f"SELECT count(*) FROM {child} JOIN {parent} ON {parent}.id = {refers} AND {text} LIKE {name} || ' %'")
    check(kept == 8 * 15 * 2 and scalar(files[0], f"SELECT count(*) FROM {child}") == kept, f"{kept} of {8 * 15 * 2} {child} are their own {parent}'s")
    check(not nodes[0].json("conflicts")["conflicts"], "rows collided")


def sqlalchemy_in_step(t, environment):
    """Tables as SQLAlchemy makes them, with PRIMARY KEY (id) behind the columns."""
    script = t.dir / "shop.py"
    script.write_text(SHOP)
    families_in_step(t, [PYTHON, script], environment, ("customer", "name"), ("orders", "customer_id", "what"), ["customer", "orders"], adopt=True)


@case("SQLAlchemy 2: tables adopted, then eight writers on three nodes in step: every order is its own customer's", seconds=120)
def sqlalchemy2_in_step(t):
    sqlalchemy_in_step(t, dict(os.environ, PYTHONPATH=str(from_pypi("SQLAlchemy==2.0.36", "sqlalchemy"))))


@case("SQLAlchemy of Debian: the same", seconds=120)
def sqlalchemy_of_debian_in_step(t):
    sqlalchemy_in_step(t, dict(os.environ))


BLOG = """
require "active_record"
ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ARGV[0], timeout: 20000)
class Author < ActiveRecord::Base; has_many :posts; end
class Post < ActiveRecord::Base; belongs_to :author; end
if ARGV[1] == "make"
  ActiveRecord::Schema.verbose = false
  ActiveRecord::Schema.define do
    create_table(:authors) { |t| t.string :name }
    create_table(:posts) { |t| t.integer :author_id; t.string :title }
  end
else
  ARGV[2].to_i.times do |number|
    name = "#{ARGV[1]}-#{number}"
    author = Author.create!(name: name)
    2.times { |i| author.posts.create!(title: "#{name} #{i}") }
    raise "#{name} is another one" unless Author.find(author.id).name == name
  end
end
"""


@case("ActiveRecord of Debian: eight writers on three nodes in step: every post is its own author's", seconds=120)
def activerecord_in_step(t):
    needs("ruby")
    script = t.dir / "blog.rb"
    script.write_text(BLOG)
    families_in_step(t, ["ruby", script], dict(os.environ), ("authors", "name"), ("posts", "author_id", "title"))
