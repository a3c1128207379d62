"""A node: one agent beside one or more database files."""
import json
import re
import subprocess

from netns import LOOPBACK
from process import Failure, check, until


class Product:
    """The programs under test."""

    def __init__(self, build):
        self.build = build
        self.marmot = self._find("agent/marmot", "marmot")
        self.extension = self._find("extension/libmarmot.so", "libmarmot.so")
        writer = build / "tests" / "cluster" / "cluster_writer"
        self.writer = writer if writer.exists() else None

    def _find(self, *names):
        for name in names:
            if (self.build / name).is_file():
                return self.build / name
        raise Failure(f"{self.build} holds no {names[0]}: build first (ninja -C {self.build})")

    def run(self, *arguments, seconds=30.0, env=None):
        """A short command; returns the finished process with text output."""
        try:
            return subprocess.run([str(self.marmot), *map(str, arguments)], capture_output=True, text=True, timeout=seconds,
                                  env=env, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Failure(f"marmot {' '.join(map(str, arguments))} does not end within {seconds:g} s") from None


class Node:
    """`marmot agent` on a database file in the workspace; started and killed as often as a test likes."""

    def __init__(self, product, workspace, name, nats=None, db=None, database_name=None, node_id=None, options=(), env=None,
                 machine=LOOPBACK):
        self.product = product
        self.workspace = workspace
        self.name = name
        self.db = db or workspace.dir / f"{name}.db"
        self.nats = nats
        self.database_name = database_name
        self.node_id = node_id
        self.options = list(options)
        self.env = env
        self.machine = machine
        self.program = None

    def arguments(self):
        arguments = ["agent", self.db]
        if self.nats is not None:
            arguments += [word for url in self.nats.urls for word in ("--nats", url)]
        if self.database_name is not None:
            arguments += ["--name", self.database_name]
        if self.node_id is not None:
            arguments += ["--node-id", self.node_id]
        return arguments + self.options

    def launch(self, *more):
        """Starts the agent without waiting for anything."""
        argv = self.machine.wrap([self.product.marmot, *self.arguments(), *more])
        self.program = self.workspace.start(argv, self.name, env=self.env)
        return self

    def start(self, *more, seconds=20.0):
        """Starts the agent and waits until it is ready."""
        self.launch(*more)
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=20.0):
        self.program.wait_line(r": ready\b", seconds)

    def printed_node_id(self):
        return int(self.program.wait_line(r"\bnode (\d+)").group(1))

    def join_address(self):
        return self.program.wait_line(r"--join (\S+)").group(1)

    def stop(self, seconds=5.0):
        """SIGTERM, which must end it with 0 in time."""
        self.program.popen.terminate()
        code = self.program.wait(seconds)
        check(code == 0, f"{self.name}: SIGTERM ended it with {code}, not 0\n{self.program.err_tail()}")

    def kill9(self):
        self.program.kill9()

    def says(self, pattern, seconds=10.0):
        """Waits until its log matches."""
        try:
            return until(f"{self.name} logs /{pattern}/", lambda: re.search(pattern, self.program.err(), re.IGNORECASE), seconds)
        except Failure as failure:
            raise Failure(f"{failure}; it said\n{self.program.err_tail()}") from None

    def command(self, verb, *arguments, seconds=30.0):
        return self.product.run(verb, self.db, *arguments, seconds=seconds)

    def json(self, verb, *arguments, seconds=30.0, expect=(0,)):
        run = self.command(verb, "--json", *arguments, seconds=seconds)
        check(run.returncode in expect, f"marmot {verb} {self.db.name} ended with {run.returncode}: {run.stderr.strip()}")
        try:
            return json.loads(run.stdout)
        except ValueError as error:
            raise Failure(f"marmot {verb} --json is not JSON ({error}): {run.stdout[:300]}") from error

    def status(self):
        """What `marmot status --json` says of this database."""
        return self.json("status")


def stream_of(database_name, cluster="main"):
    return f"MARMOT_{cluster}_{database_name}"


def subject_of(database_name, cluster="main"):
    return f"marmot.{cluster}.{database_name}.log"
