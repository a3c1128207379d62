#!/usr/bin/env -S /usr/bin/python3 -B
"""Executes every command block of README.md, in order, in one scratch directory.

    tests/readme/run.py --build build [--source-build] [FILE...]

How a fenced block is treated, by its language:
  sh       one bash session per file runs them all, under `set -eu`, with `marmot` on the PATH; every block must succeed
  console  the lines after `$ ` run in that session; what they print must be what stands there, numbers aside; a line
           `...` there stands for any number of lines
  python   /usr/bin/python3 runs it in the scratch directory
  toml     `marmot config check` accepts it
  text     a figure or other text: nothing to run
A word behind the language is a machine: the block runs in a folder of that name, `--listen 0.0.0.0` and `--join db1` mean one
free port of this machine.
A block of any other language fails: nothing in README may look like a command that nobody runs.

`sudo` is played by a script that runs its arguments, `meson install` and `ninja install` go to a directory of the scratch,
and `./tests/run.sh` prints the suites it would run (it is what runs this). With --source-build the blocks that build do
build, in a clone of this repository; else they find the finished build there.
"""
import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Block:
    def __init__(self, language, text, heading, machine=""):
        self.language, self.text, self.heading, self.machine = language, text, heading, machine


def blocks_of(markdown):
    found, heading, language, machine, lines = [], "", None, "", []
    for line in markdown.splitlines():
        fence = re.match(r"\s*```(\S*) ?(\S*)", line)
        if fence and language is None:
            language, machine, lines = fence.group(1), fence.group(2), []
        elif fence:
            found.append(Block(language, "\n".join(lines) + "\n", heading, machine))
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    return found


def shape(text):
    """Output without what differs from run to run: numbers, hexadecimal ids, trailing space, and runs of spaces."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"\b(?=[0-9A-F]*\d)[0-9A-F]{16}\b", "N", text)
    text = re.sub(r"/tmp/[\w.-]+", "/tmp/DIR", text)
    text = re.sub(r"[0-9][0-9,.]*", "N", text)
    return "\n".join(re.sub(r" +", " ", line).rstrip() for line in text.strip("\n").splitlines())


def alike(printed, expected):
    """Are their shapes the same? A line `...` of the expected text stands for any number of lines."""
    pattern = r"\n".join(r"(?:.*\n?)*?" if line == "..." else re.escape(line) for line in shape(expected).split("\n"))
    return re.fullmatch(pattern.replace(r"(?:.*\n?)*?\n", r"(?:.*\n)*?"), shape(printed)) is not None


class Session:
    """A bash that is fed one piece at a time and says after each how it ended."""

    def __init__(self, directory, environment):
        self.output_path = directory / ".output"
        self.process = subprocess.Popen(["bash", "--noprofile", "--norc"], stdin=subprocess.PIPE, cwd=directory, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                                        start_new_session=True)
        self.counter = 0

    def run(self, script, seconds):
        """(exit code, output) of `script`; background jobs go on."""
        if self.process.poll() is not None:
            return 1, "(the session ended with an earlier block)"
        self.counter += 1
        mark = f"--- marmot readme {self.counter} ends with"
        source = Path(str(self.output_path) + f".{self.counter}.sh")
        source.write_text(script)
        # The exit code of the whole piece under -e, without losing cd, exports and jobs of this shell.
        self.process.stdin.write(f"set -e; trap 'echo \"{mark} $?\"' EXIT\n. {source}\nset +e; trap - EXIT\necho \"{mark} 0\"\n")
        self.process.stdin.flush()
        signal.alarm(seconds)
        lines = []
        try:
            for line in self.process.stdout:
                if mark in line:
                    before, _, code = line.rpartition(mark)
                    lines.append(before)
                    return int(code), "".join(lines)
                lines.append(line)
        except TimeoutError:
            return 124, "".join(lines) + f"\n(not done within {seconds} s)"
        finally:
            signal.alarm(0)
        return 1, "".join(lines)

    def close(self):
        """Ends the session and the background jobs it started: they are its process group."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            deadline = time.monotonic() + 6
            while time.monotonic() < deadline and self.group_lives():
                self.process.poll()
                time.sleep(0.05)
        self.process.wait()

    def group_lives(self):
        try:
            os.killpg(self.process.pid, 0)
            return True
        except ProcessLookupError:
            return False


def first_free_port(port):
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                port += 1


def with_waits(script):
    """After a line that starts an agent in the background, waits until it runs: a reader would see it print `ready`."""
    if "marmot agent" in script and "--join" not in script:
        with_waits.port = first_free_port(4250)  # the one that a first agent started now takes, and prints
    return lines_with_waits(script.replace("--join 127.0.0.1:4250", f"--join 127.0.0.1:{with_waits.port}"))


def lines_with_waits(script):
    lines = []
    for line in script.splitlines():
        lines.append(line)
        started = re.match(r"\s*marmot agent (\S+\.db)\b.*&\s*(#.*)?$", line)
        if started:
            lines.append(f"for _ in $(seq 200); do marmot status {started.group(1)} 2>/dev/null | grep -q 'state *running' && break; sleep 0.05; done")
    return "\n".join(lines) + "\n"


with_waits.port = 4250


def on_machine(machine, script):
    """The block of one of several machines: a folder each, and one loopback address with one port for all of them."""
    if "--listen" in script:
        on_machine.port = first_free_port(4260)
    script = re.sub(r"--listen 0\.0\.0\.0(:\d+)?", f"--listen 127.0.0.1:{on_machine.port}", script)
    script = re.sub(r"--join db1(:\d+)?", f"--join 127.0.0.1:{on_machine.port}", script)
    return f"mkdir -p {machine} && cd {machine}\n{lines_with_waits(script)}cd ..\n"


on_machine.port = 4260


def commands_and_output(text):
    """Of a console block: (command, expected output) pairs."""
    pairs = []
    for line in text.splitlines():
        if line.startswith("$ "):
            pairs.append([line[2:], ""])
        elif not pairs:
            raise ValueError(f"a console block starts with '{line}', not with a command")
        else:
            pairs[-1][1] += line + "\n"
    return pairs


def script_file(directory, name, text):
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)


class Readme:
    def __init__(self, path, build, scratch, source_build):
        self.path = path
        self.build = build
        self.scratch = scratch
        self.clone = scratch / "marmot"
        tools = scratch / ".tools"
        tools.mkdir()
        script_file(tools, "sudo", '#!/bin/sh\nexec "$@"\n')
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.clone)], check=True)
        for changed in subprocess.run(["git", "-C", str(ROOT), "ls-files", "-mo", "--exclude-standard"], text=True,
                                      capture_output=True, check=True).stdout.splitlines():
            if (ROOT / changed).is_file():  # what is not committed yet is tested too
                (self.clone / changed).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / changed, self.clone / changed)
        if not source_build:
            script_file(tools, "meson", f'#!/bin/sh\n[ "$1" = setup ] && ln -sfn "{build}" "$2" && exit 0\n'
                                        '[ "$1" = install ] && set -- "$@" --no-rebuild\nexec /usr/bin/meson "$@"\n')
            script_file(tools, "ninja", '#!/bin/sh\nexit 0\n')
        self.environment = {**os.environ, "CI": "true", "DESTDIR": str(scratch / "installed"), "MARMOT_DRY_RUN": "1",
                            "PATH": f"{tools}:{build}/agent:{os.environ['PATH']}:/usr/sbin:/sbin"}
        if not source_build:
            self.environment["MARMOT_BUILD"] = str(build)
        for leak in ("MAKEFLAGS", "NINJA_STATUS"):
            self.environment.pop(leak, None)
        self.session = Session(self.clone, self.environment)

    def run_block(self, block):
        """Words of what went wrong, or None."""
        if block.language == "text":
            return None
        if block.language == "sh":
            script = on_machine(block.machine, block.text) if block.machine else with_waits(block.text)
            code, output = self.session.run(script, 600)
            return None if code == 0 else f"ended with {code}:\n{output}"
        if block.language == "console":
            for command, expected in commands_and_output(block.text):
                code, output = self.session.run(with_waits(command), 600)
                if code != 0:
                    return f"$ {command}\nended with {code}:\n{output}"
                if not alike(output, expected):
                    return f"$ {command}\nprinted\n{output}\nand README shows\n{expected}"
            return None
        if block.language == "python":
            source = Path(str(self.session.output_path) + ".py")
            source.write_text(block.text)
            code, output = self.session.run(f"/usr/bin/python3 -B {source}\n", 60)
            return None if code == 0 else f"ended with {code}:\n{output}"
        if block.language == "toml":
            config = self.scratch / "block.toml"
            config.write_text(block.text)
            run = subprocess.run([self.build / "agent" / "marmot", "config", "check", config], capture_output=True, text=True,
                                 timeout=20, env=self.environment)
            return None if run.returncode == 0 else f"config check ended with {run.returncode}: {run.stderr}"
        return f"a block of language '{block.language}': this test knows sh, console, python, toml and text"

    def run(self):
        passed = failed = 0
        try:
            for number, block in enumerate(blocks_of(self.path.read_text()), 1):
                started = time.monotonic()
                trouble = self.run_block(block)
                outcome = "failed" if trouble else "passed"
                passed, failed = passed + (not trouble), failed + bool(trouble)
                first = block.text.strip().splitlines()[0][:70] if block.text.strip() else ""
                print(f"{outcome:8}{time.monotonic() - started:6.1f} s  {self.path.name} {number} ({block.heading}) "
                      f"{block.language}: {first}")
                if trouble:
                    print("    " + trouble.replace("\n", "\n    "))
                sys.stdout.flush()
        finally:
            self.session.close()
        return passed, failed


def out_of_time(_signal, _frame):
    raise TimeoutError


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--source-build", action="store_true", help="really build in a clone of this repository")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    passed = failed = 0
    for path in options.files or [ROOT / "README.md"]:
        scratch = Path(tempfile.mkdtemp(prefix="marmot-readme-"))
        try:
            counts = Readme(path.resolve(), options.build.resolve(), scratch, options.source_build).run()
            passed, failed = passed + counts[0], failed + counts[1]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if passed + failed == 0:
        print("no block found")
        failed = 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
