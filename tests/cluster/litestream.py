"""Litestream, the backup sidecar: built from its Go module, and run beside an agent."""
import os
import shutil
import subprocess
from pathlib import Path

from process import Skipped, check

VERSION = "v0.3.13"


def program():
    """Its path: the one on PATH, else built and kept in the user's cache."""
    found = shutil.which("litestream")
    if found:
        return Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "marmot-tests" / f"litestream-{VERSION}"
    if (cache / "litestream").exists():
        return cache / "litestream"
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise Skipped("there is neither litestream nor go to build it")
    run = subprocess.run([go, "install", f"github.com/benbjohnson/litestream/cmd/litestream@{VERSION}"],
                         env={**os.environ, "GOBIN": str(cache)}, capture_output=True, text=True)
    if run.returncode != 0:
        raise Skipped(f"litestream could not be built: {run.stderr.strip()[-300:]}")
    return cache / "litestream"


class Litestream:
    """`litestream replicate` of one file into a folder."""

    def __init__(self, workspace, db):
        self.program = program()
        self.workspace = workspace
        self.db = db
        self.folder = workspace.dir / f"{db.stem}-backup"
        self.running = None

    def start(self):
        self.running = self.workspace.start([self.program, "replicate", self.db, f"file://{self.folder}"], f"{self.db.stem}-litestream")
        return self

    def has_backup(self):
        return any(self.folder.rglob("*.snapshot.lz4"))

    def restore(self, to):
        run = subprocess.run([self.program, "restore", "-o", to, f"file://{self.folder}"], capture_output=True, text=True, timeout=60)
        check(run.returncode == 0 and to.exists(), f"litestream restore ended with {run.returncode}: {run.stderr.strip()}")
