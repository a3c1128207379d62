"""What replication costs on disk."""
import disk
from case import case
from process import check


@case("rows of 100 bytes take at most 1.6 times the disk of plain SQLite, with a UNIQUE column too; what narrower ones take is noted",
      seconds=180)
def disk_ratio(t):
    rows = 20_000 if not t.long else 200_000
    empty, measured = disk.measure(t.product, t.workspace, t.nats(), disk.shapes(), rows)
    t.note(f"an empty file: {empty // 1024} KiB more, told apart")
    check(empty <= 300 * 1024, f"an empty file takes {empty // 1024} KiB more")
    for name, (plain, watched, _) in measured.items():
        ratio = watched / plain
        t.note(f"{name}: {plain / rows:.0f} bytes a row, with Marmot {watched / rows:.0f}: {ratio:.2f} times")
        if plain >= 95 * rows and not name.startswith("no key"):
            check(ratio <= 1.6, f"{name}: {ratio:.2f} times")
        check(watched - plain <= 100 * rows, f"{name}: {(watched - plain) / rows:.0f} bytes a row more")
