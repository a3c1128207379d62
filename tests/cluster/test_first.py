"""The first five minutes: completion in real shells, the examples as a newcomer runs them, one Ctrl-C too many."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from case import case
from process import Failure, Skipped, check, until
from tables import execute, scalar, wait_identical

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "readme"))
from run import alike  # noqa: E402


class Terminal:
    """An interactive shell on a terminal of its own: what is typed is completed as for a user."""

    def __init__(self, t, argv, setup):
        self.shell = argv[0]
        environment = {**os.environ, "PATH": f"{t.product.marmot.parent}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(t.dir),
                       "PS1": "ready> ", "LC_ALL": "C"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(t.dir)
            os.execvpe(argv[0], argv, environment)
        t.workspace.closers.append(self.close)
        self.seen = ""
        self.type(setup + "; echo set''up\n")
        self.wait("setup\\s")

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, pattern, seconds=15.0):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            if time.monotonic() > deadline:
                raise Failure(f"{self.shell} does not show /{pattern}/; it shows\n{self.seen}")
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")

    def completes(self, typed, *patterns):
        """Types it and tabs; then an empty line again."""
        self.seen = ""
        self.type(typed + "\t")
        time.sleep(0.3)
        self.type("\t")
        for pattern in patterns:
            self.wait(pattern)
        self.type("\x15\x0b")  # Ctrl-U, Ctrl-K
        self.type("\n")
        time.sleep(0.1)

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.fd)
        except OSError:
            pass


def try_completion(t, terminal):
    (t.dir / "shop floor.db").touch()
    (t.dir / "shop floor.db-wal").touch()
    (t.dir / "data").mkdir(exist_ok=True)
    terminal.completes("marmot stat", r"marmot status")
    terminal.completes("marmot sn", r"marmot snapshot")
    terminal.completes("marmot snapshot re", r"marmot snapshot restore")
    terminal.completes("marmot s", r"snapshot", r"status")
    terminal.completes("marmot agent --jo", r"--join")
    terminal.completes("marmot agent --adopt ", r"merge", r"refuse", r"replace")
    terminal.completes("marmot tail --direction=o", r"--direction=out")
    terminal.completes("marmot status sh", r"shop\\ floor\.db ")
    terminal.completes("marmot agent x.db --data-dir da", r"--data-dir data/")
    terminal.completes("marmot completion z", r"marmot completion zsh")
    terminal.completes("marmot conflicts x.db re", r"restore")


@case("bash completes commands, options, their words, and files, from the script that marmot prints", short=True)
def completion_bash(t):
    try_completion(t, Terminal(t, ["bash", "--noprofile", "--norc", "-i"], "bind 'set bell-style none'; source <(marmot completion bash)"))


@case("zsh completes commands, options, their words, and files, from the script that marmot prints", short=True)
def completion_zsh(t):
    if shutil.which("zsh") is None:
        raise Skipped("zsh is not installed: apt-get install zsh")
    try_completion(t, Terminal(t, ["zsh", "-f", "-i"], "PS1='ready> '; autoload -U compinit; compinit -u; source <(marmot completion zsh)"))


@case("each option that --help shows stands in both completion scripts")
def completion_is_whole(t):
    scripts = [t.product.run("completion", shell).stdout for shell in ("bash", "zsh")]
    commands = re.findall(r"^  ([a-z]+) ", t.product.run("--help").stdout.split("Subcommands:")[1], re.MULTILINE)
    check(len(commands) >= 10, f"--help lists {commands}")
    for command in commands:
        options = set(re.findall(r"--[a-z-]+", t.product.run(command, "--help").stdout.split("Options:")[1].split("\n\n")[0]))
        for word in {command, *(o for o in options if not o.endswith("-"))}:
            for script in scripts:
                check(word in script, f"{command}: {word} is not completed")


@case("a second SIGTERM within a second is no second one: what was committed is published; a later one stops at once", short=True)
def signals_are_one(t):
    nats = t.nats()
    one, two = t.nodes(2, nats)
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
    one.start()
    two.start()
    execute(one.db, *[f"INSERT INTO note(body) VALUES('{i}')" for i in range(300)])
    for _ in range(3):  # a service manager, a terminal, a script
        one.program.popen.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    code = one.program.wait(5 * t.slow)
    check(code == 0 and "at once" not in one.program.err(), f"ended with {code}:\n{one.program.err_tail()}")
    wait_identical([one.db, two.db])
    # Nobody takes what waits, so the stop lasts; the user does not want to wait.
    one.start()
    nats.pause()
    execute(one.db, "INSERT INTO note(body) VALUES('waits')")
    until("the change waits", lambda: one.status()["databases"][0]["pending"] == 1)
    started = time.monotonic()
    one.program.popen.send_signal(signal.SIGTERM)
    time.sleep(1.2)
    check(one.program.alive(), "a stop waits for what is not published yet")
    one.program.popen.send_signal(signal.SIGTERM)
    one.program.wait(5 * t.slow)
    check("stopping at once" in one.program.err(), one.program.err_tail())
    t.note(f"stopped {time.monotonic() - started:.1f} s after the first signal")


@case("examples/two-machines: the printed line joins from another machine, both write while the cable is pulled, all is alike")
def example_two_machines(t):
    run = subprocess.run([ROOT / "examples" / "two-machines" / "run.sh"], capture_output=True, text=True, timeout=55,
                         env={**os.environ, "MARMOT_BUILD": str(t.product.build), "CI": "true", "TMPDIR": str(t.dir)})
    if run.returncode == 77:
        raise Skipped(run.stdout.strip())
    check(run.returncode == 0, f"ended with {run.returncode}:\n{run.stdout}{run.stderr}")
    expected = (ROOT / "examples" / "two-machines" / "expected.txt").read_text()
    check(alike(run.stdout, expected), f"printed\n{run.stdout}\nand expected.txt has\n{expected}")
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    check("-db1" not in left and "-db2" not in left, f"namespaces are left: {left}")


@case("examples/run-cluster.sh: two files with Books, one's row in the other, Ctrl-C stops both; a second run goes on with them")
def example_run_cluster(t):
    environment = {**os.environ, "MARMOT_BUILD": str(t.product.build), "CI": "true", "MARMOT_EXAMPLE_DIR": str(t.dir)}
    one, two = t.dir / "marmot-1.db", t.dir / "marmot-2.db"
    for books in (3, 4):
        cluster = t.workspace.start([ROOT / "examples" / "run-cluster.sh"], f"run-cluster-{books}", env=environment)
        cluster.wait_line(r"Ctrl-C stops them", 20)
        execute(one if books == 3 else two, "INSERT INTO Books (title, author, publication_year) VALUES "
                                            "('Pride and Prejudice', 'Jane Austen', 1813)")
        until("the book is in both files", lambda: scalar(one, "SELECT count(*) FROM Books") == books
              and scalar(two, "SELECT count(*) FROM Books") == books)
        cluster.popen.send_signal(signal.SIGINT)
        code = cluster.wait(10)
        check(code == 0, f"ended with {code}: {cluster.err_tail()}")
        for db in (one, two):
            run = t.product.run("status", db)
            check(run.returncode == 1 and "no agent is running" in run.stderr, f"an agent is left: {run.stdout}")
