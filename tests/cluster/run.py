#!/usr/bin/env -S /usr/bin/python3 -B
"""Cluster tests: real agents, a real nats-server, real applications.

    tests/cluster/run.py --build build [--short] [--long] [--jobs N] [--keep] [NAME...]

One line a test, logs of what failed, and at the end `N passed, M failed, K skipped`. NAME is any part of a test's name.
--short runs the set for sanitizer builds; --long adds what takes minutes; --jobs runs so many at a time, and those that measure
time alone behind them; --keep leaves the scratch directories.
"""
import argparse
import collections
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from case import CASES  # noqa: E402
from nats import Nats  # noqa: E402
from node import Node, Product  # noqa: E402
from process import Failure, Skipped, Workspace  # noqa: E402

import test_chinook  # noqa: E402,F401
import test_transactions  # noqa: E402,F401
import test_unique  # noqa: E402,F401
import test_ids  # noqa: E402,F401
import test_conflicts  # noqa: E402,F401
import test_joining  # noqa: E402,F401
import test_migrations  # noqa: E402,F401
import test_values  # noqa: E402,F401
import test_modules  # noqa: E402,F401
import test_capture  # noqa: E402,F401
import test_commands  # noqa: E402,F401
import test_first  # noqa: E402,F401
import test_config  # noqa: E402,F401
import test_faults  # noqa: E402,F401
import test_clocks  # noqa: E402,F401
import test_snapshots  # noqa: E402,F401
import test_stream  # noqa: E402,F401
import test_repair  # noqa: E402,F401
import test_messages  # noqa: E402,F401
import test_large  # noqa: E402,F401
import test_disk  # noqa: E402,F401
import test_routed  # noqa: E402,F401
import test_consistency  # noqa: E402,F401
import test_hooks  # noqa: E402,F401
import test_sidecars  # noqa: E402,F401
import test_copied  # noqa: E402,F401
import test_sharing  # noqa: E402,F401
import test_twins  # noqa: E402,F401

ROOT = Path(__file__).resolve().parents[2]


class Context:
    """What a test gets: the product, a workspace, and short ways to nodes and servers."""

    def __init__(self, product, workspace, data, long, sanitized):
        self.product = product
        self.workspace = workspace
        self.data = data
        self.long = long
        self.slow = 4.0 if sanitized else 1.0  # deadlines grow by this much
        self.notes = []

    @property
    def dir(self):
        return self.workspace.dir

    def nats(self, **options):
        return Nats(self.workspace, **options).start()

    def node(self, name, nats=None, **options):
        return Node(self.product, self.workspace, name, nats, **options)

    def nodes(self, count, nats, database_name="app", **options):
        """n1, n2, ... on one database name; not started."""
        return [self.node(f"n{i + 1}", nats, database_name=database_name, **options) for i in range(count)]

    def note(self, text):
        """Something measured, printed after the test's line."""
        self.notes.append(text)

    def chinook(self):
        path = self.data / "chinook.db"
        if not path.exists():
            raise Skipped(f"{path} is not there")
        return path


class OutOfTime(BaseException):
    """A BaseException, so that no `except Exception` in a test swallows it."""


def out_of_time(_signal, _frame):
    raise OutOfTime()


def run_case(case, product, options):
    """(outcome, what to print)."""
    workspace = Workspace("test", options.tmp)  # a name of the test in it would match what logs are searched for
    context = Context(product, workspace, options.data, options.long, options.short)
    seconds = int(case.seconds * (4 if options.short else 1))
    started = time.monotonic()
    outcome, detail = "passed", ""
    signal.alarm(seconds)
    try:
        case.function(context)
        signal.alarm(0)
    except Skipped as why:
        outcome, detail = "skipped", str(why)
    except OutOfTime:
        frame = traceback.extract_tb(sys.exc_info()[2])
        where = next((f for f in reversed(frame) if Path(f.filename).name.startswith("test_")), frame[-1])
        outcome, detail = "failed", f"not done within {seconds} s; it stood in {Path(where.filename).name}: {where.line}"
    except Failure as failure:
        outcome, detail = "failed", str(failure)
    except Exception:  # a broken test is a failed test
        outcome, detail = "failed", traceback.format_exc()
    finally:
        signal.alarm(0)
        elapsed = time.monotonic() - started
        logs = workspace.logs() if outcome == "failed" else ""
        keep = options.keep or (outcome == "failed" and options.keep_failed)
        workspace.close(keep)
    lines = [f"{outcome:8}{elapsed:6.1f} s  {case.name}: {case.claim}" + (f" ({detail})" if outcome == "skipped" else "")]
    lines += [f"                 {note}" for note in context.notes]
    if outcome == "failed":
        lines += ["    " + text.replace("\n", "\n    ") for text in (detail, logs)]
        if keep:
            lines.append(f"    kept: {workspace.dir}")
    return outcome, "\n".join(lines)


def run_cases(cases, jobs, run):
    """Yields what `run(case)` returns, as they end: so many at a time, each in a process of its own."""
    fork = multiprocessing.get_context("fork")
    waiting, running = collections.deque(cases), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                case = waiting.popleft()
                receiver, sender = fork.Pipe(duplex=False)
                process = fork.Process(target=lambda: sender.send(run(case)))
                process.start()
                sender.close()
                running[receiver] = case, process
            for receiver in multiprocessing.connection.wait(list(running)):
                case, process = running[receiver]
                try:
                    result = receiver.recv()
                except EOFError:
                    process.join()
                    result = "failed", f"failed         {case.name}: its process ended with {process.exitcode}"
                process.join()
                del running[receiver]
                yield result
    finally:
        for _, process in running.values():
            process.terminate()  # SIGTERM: it cleans up, as at Ctrl-C
        for _, process in running.values():
            process.join(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="Meson build directory (default: build)")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MARMOT_TEST_DATA", ROOT / ".." / "shared" / "data")),
                        help="where chinook.db is (default: ../shared/data beside the repository)")
    parser.add_argument("--tmp", help="parent of the scratch directories (default: $TMPDIR or /tmp)")
    parser.add_argument("--short", action="store_true", help="the set for sanitizer builds, with wider deadlines")
    parser.add_argument("--long", action="store_true", help="also what takes minutes")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time (default: 1)")
    parser.add_argument("--keep", action="store_true", help="leave every scratch directory")
    parser.add_argument("--keep-failed", action="store_true", help="leave the scratch directories of failed tests")
    parser.add_argument("--list", action="store_true", help="print the tests and end")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    chosen = [c for c in CASES
              if (not options.names or any(n in c.name for n in options.names))
              and (options.long or not c.long) and (c.short or not options.short)]
    if options.list:
        for c in chosen:
            print(f"{c.name}: {c.claim}")
        return 0
    try:
        product = Product(options.build.resolve())
    except Failure as failure:
        print(failure)
        print("0 passed, 1 failed, 0 skipped")
        return 1
    os.environ["PATH"] += ":/usr/sbin:/usr/local/sbin"  # where Debian keeps nats-server
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` ends us as Ctrl-C does: with everything cleaned up
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        beside, alone = [c for c in chosen if not c.alone], [c for c in chosen if c.alone]
        for cases, jobs in ((beside, options.jobs), (alone, 1)):
            for outcome, text in run_cases(cases, jobs, lambda case: run_case(case, product, options)):
                counts[outcome] += 1
                print(text, flush=True)
    except KeyboardInterrupt:
        print("interrupted; everything that was started has been ended")
        return 130
    if not chosen:
        print("no test of that name")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
