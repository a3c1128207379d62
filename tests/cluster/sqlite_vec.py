"""sqlite-vec, a virtual table that is none of SQLite's own: from PyPI once, kept in the user's cache."""
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from process import Skipped
from tables import connect

VERSION = "0.1.9"


def vec0():
    """The path of its module."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "marmot-tests" / f"sqlite-vec-{VERSION}"
    module = cache / "sqlite_vec" / "vec0.so"
    if module.exists():
        return module
    run = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", cache,
                          f"sqlite-vec=={VERSION}"], capture_output=True, text=True, timeout=120)
    wheels = list(cache.glob("*.whl"))
    if run.returncode != 0 or not wheels:
        raise Skipped(f"sqlite-vec is not to be had from PyPI: {run.stderr.strip()[-300:]}")
    zipfile.ZipFile(wheels[0]).extractall(cache)
    return module


def vec_connect(path):
    """A connection of an application that has loaded it."""
    connection = connect(path)
    connection.enable_load_extension(True)
    connection.load_extension(str(vec0()))
    connection.enable_load_extension(False)
    return connection
