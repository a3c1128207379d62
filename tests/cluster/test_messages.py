"""Messages between agents (docs/format.md): what one does with bytes of another Marmot, or of nobody."""
import re
import threading
import time

from case import case
from process import check, until
from tables import execute, scalar, wait_identical

PREFIX = "marmot.main.ctl.app."


SEEDED = (4, 5, 6, 7, 8, 9, 12, 13, 14, 15)  # of format 2; all others are of format 1


def head(kind, node, version=None):
    return bytes([version or (2 if kind in SEEDED else 1), kind]) + node.to_bytes(8, "big")


def text(string):
    return bytes([0xA0 | len(string)]) + string.encode()


def beat(node, incarnation, data_format, version=1):
    """Able, and has applied nothing."""
    return head(2, node, version) + b"\x96" + bytes([incarnation, 0, 0, 0xC3]) + text("9.9\n") + bytes([data_format])


class Impostor:
    """A node 9 that beats, and answers every request with what `answer` gives for it."""

    def __init__(self, nats, answer, incarnation=1, data_format=1):
        self.beats, self.ears = nats.client(), nats.client()
        self.answer, self.incarnation, self.data_format = answer, incarnation, data_format
        self.asked = []
        self.over = False
        for work in (self.beat, self.listen):
            threading.Thread(target=work, daemon=True).start()

    def beat(self):
        while not self.over:
            try:
                self.beats.publish(PREFIX + "beat", beat(9, self.incarnation, self.data_format))
            except OSError:
                return
            time.sleep(0.3)

    def listen(self):
        try:
            for subject, reply, payload in self.ears.listen(PREFIX + ">"):
                if reply and (subject.endswith(".9") or subject[len(PREFIX):] in ("digest", "scrub")):
                    self.asked.append((subject[len(PREFIX):], payload))
                    answer = self.answer(subject[len(PREFIX):], payload)
                    if answer is not None:
                        self.ears.publish(reply, answer)
        except (OSError, ValueError):
            return


def two(t):
    nats = t.nats()
    config = t.dir / "marmot.toml"
    config.write_text("anti_entropy_interval_seconds = 0\n")
    one, other = t.nodes(2, nats, options=["--config", config])
    execute(one.db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO note(body) VALUES('one'), ('two')")
    for i, node in enumerate((one, other)):
        node.node_id = i + 1
        node.start()
    wait_identical([one.db, other.db])
    return nats, one, other


@case("messages between agents that nobody can read are dropped, each logged once, and replication goes on", short=True)
def unreadable_messages(t):
    nats, one, other = two(t)
    client = nats.client()
    subjects = ["beat", "members", "digest", "node.1", "repair.1", "scrub", "repaired", "snapshot"]
    for _ in range(3):
        for subject in subjects:
            for payload in (b"", b"{}", b'{"node":9,"members":[[1]]}', b"\x00" * 300, head(2, 9), head(3, 9) + b"\x91\xdd\xff\xff\xff\xff",
                            head(16, 9) + b"\xc1" * 5000, beat(9, 1, 1, version=3), head(99, 9) + b"\x90"):
                client.publish(PREFIX + subject, payload)
        time.sleep(0.5)
    one.says("node 9 speaks control format 3, this Marmot 2: upgrade it")
    one.says("node 9 sends control message 99 of format 1, this Marmot knows 1 to 23: upgrade it")
    for pattern, most in (("speaks control format 3", 1), ("sends control message 99", 1), ("not a message between agents", 1), ("is dropped", 64)):
        count = len(re.findall(pattern, one.program.err()))
        check(0 < count <= most, f"/{pattern}/ is logged {count} times\n{one.program.err_tail()}")
    execute(one.db, "INSERT INTO note(body) VALUES('three')")
    until("replication goes on", lambda: scalar(other.db, "SELECT count(*) FROM note") == 3, 10 * t.slow)
    same = one.command("verify")
    check(same.returncode == 0 and "identical" in same.stdout, f"{same.returncode}: {same.stdout}{same.stderr}")


@case("a request between agents that is not understood is refused in words that say what is spoken", short=True)
def requests_refused(t):
    nats, one, _ = two(t)
    client = nats.client()
    for subject, request in (("node.1", head(4, 9, version=7)), ("repair.1", head(88, 9)), ("digest", b"")):
        answer = client.request(PREFIX + subject, request)
        check(answer[:2] == b"\x01\x01" and int.from_bytes(answer[2:10], "big") in (1, 2), f"{subject}: {answer}")
    check(b"node 9 speaks control format 7, this Marmot 2" in client.request(PREFIX + "node.1", head(4, 9, version=7)), "it does not say why")
    one.says("node 9 speaks control format 7")
    earlier = client.request(PREFIX + "digest", head(4, 9, version=1) + b"\x91\x05")
    check(earlier[:2] == b"\x01\x01" and b"node 9 sends control message 4 of format 1, this Marmot reads format 2: upgrade that node" in earlier,
          f"an earlier format: {earlier}")


@case("verify names a node whose answers are of another control format, and so does verify --repair", short=True)
def newer_answers(t):
    nats, one, _ = two(t)
    impostor = Impostor(nats, lambda subject, request: head(5, 9, version=3) + b"whatever")
    until("node 9 is heard", lambda: any(peer["node"] == 9 for peer in one.status()["databases"][0]["peers"]), 10 * t.slow)
    for arguments in ((), ("--repair",)):
        run = one.command("verify", *arguments)
        check(run.returncode == 1 and "node 9 speaks control format 3, this Marmot 2: upgrade it" in run.stderr,
              f"verify {arguments}: {run.returncode}: {run.stdout}{run.stderr}")
    check({"digest", "scrub"} <= {subject for subject, _ in impostor.asked}, f"{impostor.asked}")
    impostor.answer = lambda subject, request: head(5, 9, version=1) + b"\x93\x01\x00\x90"
    run = one.command("verify")
    check(run.returncode == 1 and "node 9 sends control message 5 of format 1, this Marmot reads format 2: upgrade that node" in run.stderr,
          f"verify: {run.returncode}: {run.stdout}{run.stderr}")
    impostor.answer = lambda subject, request: head(19, 9) + b"\x91\x90" if subject == "scrub" else head(12, 9, version=3)
    run = one.command("verify", "--repair")
    check(run.returncode == 1 and "node 9 speaks control format 3" in run.stderr, f"{run.returncode}: {run.stdout}{run.stderr}")
    check("repair.9" in {subject for subject, _ in impostor.asked}, f"{impostor.asked}")
    impostor.over = True


@case("a node that may write a newer data format is named once in each of its lives", short=True)
def newer_data_format(t):
    nats, one, _ = two(t)
    impostor = Impostor(nats, lambda subject, request: None, data_format=9)
    line = r"node 9 runs Marmot 9\.9\? and may write messages of format 9, this Marmot \S+ reads up to \d+: upgrade it"
    one.says(line)
    time.sleep(1.5)
    check(len(re.findall(line, one.program.err())) == 1, one.program.err_tail())
    impostor.incarnation = 2
    until("its next life is named", lambda: len(re.findall(line, one.program.err())) == 2, 10 * t.slow)
    impostor.over = True
