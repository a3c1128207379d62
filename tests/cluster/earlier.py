"""A Marmot of an earlier commit, for clusters of two versions."""
import os
import subprocess
from pathlib import Path

from process import Failure, Skipped

ROOT = Path(__file__).resolve().parents[2]


def earlier_build(build, commit):
    """The folder of a build of `commit`: the one that MARMOT_EARLIER names, else one beside `build`, which is made here and
    kept (minutes)."""
    if "MARMOT_EARLIER" in os.environ:
        return Path(os.environ["MARMOT_EARLIER"])
    folder = Path(build).resolve().parent / f"earlier-{commit}"
    source, made = folder / "source", folder / "build"
    if (made / "agent" / "marmot").exists():
        return made
    if subprocess.run(["git", "-C", ROOT, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True).returncode != 0:
        raise Skipped(f"this checkout has no commit {commit}, and MARMOT_EARLIER names no build of it")
    source.mkdir(parents=True, exist_ok=True)
    script = (f'git -C "{ROOT}" archive {commit} | tar -x -C "{source}" && {{ [ -f "{made}/build.ninja" ] || '
              f'meson setup "{made}" "{source}" --buildtype=debugoptimized; }} && ninja -C "{made}" agent/marmot')
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"commit {commit} cannot be built: {(done.stdout + done.stderr)[-2000:]}")
    return made
