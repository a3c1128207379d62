"""Child processes that tests can wait for, kill and end for certain, and the scratch directory they live in.

Nothing here ends a process by name: every process is known by the pid it was started with, and its children by the pid
and start time that /proc showed while it lived.
"""
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path


class Failure(AssertionError):
    """What a test claims does not hold."""


class Skipped(Exception):
    """A test cannot run here; the message says why."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def until(what, condition, seconds=10.0, pause=0.02):
    """Polls `condition` until it gives something true, and returns that. `what` reads like "node 2 has the row"."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds:g} s: {what}")
        time.sleep(pause)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_time(pid):
    """Clock ticks since boot, or None when the process is gone: tells a process from a later one with its pid."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return None if fields[0] == "Z" else int(fields[19])


def children_of(pid):
    try:
        pids = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [(p, start_time(p)) for p in pids]


def die_with_parent():
    """Linux: the kernel kills the child should the runner itself be killed. It counts from the thread that forks, so
    programs are started from the main thread only."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Program:
    """A running program. Its stdout and stderr go to files; stdout lines can be waited for."""

    def __init__(self, argv, log_stem, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.out_path = Path(f"{log_stem}.out")
        self.err_path = Path(f"{log_stem}.err")
        self.lines = []
        self._changed = threading.Condition()
        self._closed = False
        self._err_start = self.err_path.stat().st_size if self.err_path.exists() else 0
        with open(self.err_path, "ab") as err:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err,
                                          env=env, cwd=cwd, preexec_fn=die_with_parent)
        self.pid = self.popen.pid
        self._pump = threading.Thread(target=self._read, daemon=True)
        self._pump.start()

    def _read(self):
        with open(self.out_path, "ab") as out:
            for raw in self.popen.stdout:
                out.write(raw)
                out.flush()
                with self._changed:
                    self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_line(self, pattern, seconds=10.0):
        """The first stdout line that matches, as a match object."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if self._closed or left <= 0:
                    why = f"ended with {self.popen.poll()}" if self._closed else f"not within {seconds:g} s"
                    raise Failure(f"no line /{pattern}/ from {' '.join(self.argv)}: {why}\n{self.err_tail()}")
                self._changed.wait(min(left, 0.2))

    def err(self):
        """What this run wrote to stderr."""
        try:
            with open(self.err_path, "rb") as f:
                f.seek(self._err_start)
                return f.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def err_tail(self, lines=12):
        return "\n".join("    " + line for line in self.err().splitlines()[-lines:])

    def alive(self):
        return self.popen.poll() is None

    def wait(self, seconds=10.0):
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{' '.join(self.argv)} still runs after {seconds:g} s\n{self.err_tail()}") from None
        self._pump.join(2)
        return code

    def signal(self, number):
        if self.alive():
            self.popen.send_signal(number)

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.popen.wait()
        self._pump.join(2)

    def end(self):
        """For clean-up: SIGTERM, then SIGKILL; and its children, should it leave any."""
        children = children_of(self.pid) if self.alive() else []
        if self.alive():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.popen.wait(6)
            except subprocess.TimeoutExpired:
                self.kill9()
        for pid, started in children:
            if started is not None and start_time(pid) == started:
                os.kill(pid, signal.SIGKILL)
        self._pump.join(2)


class Workspace:
    """A test's scratch directory and everything it started."""

    def __init__(self, name, parent=None):
        self.dir = Path(tempfile.mkdtemp(prefix=f"marmot-{name}-", dir=parent))
        self.programs = []
        self.mounts = []
        self.closers = []

    def start(self, argv, log_name, env=None, cwd=None):
        program = Program(argv, self.dir / log_name, env=env, cwd=cwd)
        self.programs.append(program)
        return program

    def tmpfs(self, name, size):
        """A small file system of its own; needs root."""
        if os.geteuid() != 0:
            raise Skipped("mounting a tmpfs needs root")
        path = self.dir / name
        path.mkdir()
        run = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, text=True)
        if run.returncode != 0:
            raise Skipped(f"mount -t tmpfs: {run.stderr.strip()}")
        self.mounts.append(path)
        return path

    def remount(self, path, option):
        subprocess.run(["mount", "-o", f"remount,{option}", path], check=True)

    def logs(self, lines=25):
        """The ends of all logs, for a failure report."""
        parts = []
        for path in sorted(self.dir.glob("*.err")):
            tail = path.read_text("utf-8", "replace").splitlines()[-lines:]
            if tail:
                parts.append(f"--- {path.name}\n" + "\n".join(tail))
        return "\n".join(parts)

    def close(self, keep):
        for closer in reversed(self.closers):
            closer()
        for program in reversed(self.programs):
            program.end()
        for path in reversed(self.mounts):
            subprocess.run(["umount", "-l", path], check=False)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)
