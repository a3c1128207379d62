"""What the tests install from language registries: once, below the test work directory, and never into the system."""
import os
import shutil
import subprocess
from pathlib import Path

from process import Skipped, check

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"


def cache(name):
    """A directory that outlives the run."""
    path = Path(os.environ.get("MARMOT_TEST_DIR", ROOT / "build-tests")) / "apps" / name
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def needs(*programs):
    """Skips the test where a toolchain is missing."""
    for program in programs:
        if shutil.which(program) is None:
            raise Skipped(f"{program} is not there")


def install(argv, cwd, made, seconds=300):
    """Runs an installer unless what it makes is there. A registry that cannot be reached fails the test: it must really run."""
    if made.exists():
        return
    run = subprocess.run([str(word) for word in argv], cwd=cwd, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    check(run.returncode == 0 and made.exists(), f"{' '.join(map(str, argv))} ended with {run.returncode}:\n{(run.stdout + run.stderr)[-2000:]}")


def from_pypi(requirement, module):
    """The directory, for PYTHONPATH, that holds a Python package as PyPI has it. `requirement` names one version."""
    target = cache(requirement.replace("==", "-"))
    install([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", target, requirement],
            target, target / module / "__init__.py")
    return target
