"""Files that others reach without their folder (docs/decisions/0029): two names, two -wal files, and rows that overwrite each other."""
import os
import subprocess
import time

from case import case
from process import Skipped, check, until
from tables import connect, execute, scalar

CURE = "share the folder, not the file"


def note(db):
    execute(db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO note VALUES(1, 'a')")


@case("a file with a hard link is refused at the first watching and left as it is; a member's is warned of, and the harm told", short=True)
def hard_link(t):
    one = t.node("n1")
    note(one.db)
    other = t.dir / "elsewhere.db"
    os.link(one.db, other)
    before = one.db.read_bytes()
    one.launch()
    code = one.program.wait(20)
    check(code != 0 and CURE in one.program.err(), f"it ended with {code}: {one.program.err_tail()}")
    check(one.db.read_bytes() == before, "the file was changed")
    other.unlink()
    one.start()
    until("its row has a version", lambda: scalar(one.db, "SELECT count(*) FROM __marmot_version WHERE seq IS NOT NULL") == 1)
    one.stop()
    os.link(one.db, other)  # as a backup tool does
    one.start()
    one.says(f"2 names.*{CURE}")
    writer = connect(other)
    writer.execute("PRAGMA wal_autocheckpoint = 1")
    for i in range(2, 402):
        writer.execute("INSERT INTO note VALUES(?, ?)", (i, "x" * 500))
        time.sleep(0.02)
    writer.close()
    one.says("past its -wal file", seconds=20)


@case("a file that is mounted without its folder is refused at the first watching")
def file_mount(t):
    one = t.node("n1")
    inside = t.dir / "inside"
    inside.mkdir()
    note(one.db)
    (inside / "app.db").touch()
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(one.db), str(inside / "app.db")]
    probe = subprocess.run([*wrap, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        raise Skipped(f"no mounts in a namespace of its own here: {probe.stderr.strip()}")
    run = subprocess.run([*wrap, str(t.product.marmot), "agent", str(inside / "app.db")], capture_output=True, text=True, timeout=30)
    said = run.stdout + run.stderr
    check(run.returncode != 0 and CURE in said and "mounted" in said, f"it ended with {run.returncode}: {said}")
    # The folder is what is shared: that goes on.
    folder = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(t.dir), str(inside)]
    two = t.node("n2", db=inside / "n1.db")
    two.machine = type("Mounted", (), {"wrap": staticmethod(lambda argv: [*folder, *map(str, argv)]), "address": "127.0.0.1"})()
    two.start()
    until("its row is published", lambda: scalar(one.db, "SELECT count(*) FROM __marmot_version WHERE seq IS NOT NULL") == 1)
    execute(one.db, "INSERT INTO note VALUES(2, 'from outside')")
    until("a row from outside is published", lambda: scalar(one.db, "SELECT count(*) FROM __marmot_version WHERE seq IS NOT NULL") == 2)
