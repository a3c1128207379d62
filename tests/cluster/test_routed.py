"""A cluster of three nodes and three routed servers with an R3 stream: whatever is killed, stopped or cut off comes back,
every node ends the same, and nothing that was committed is lost."""
import os
import signal
import time

import load
from case import case
from nats_cluster import NatsCluster
from netns import LOOPBACK, Network
from node import stream_of
from process import Failure, check, until
from tables import execute, scalar, unpublished, wait_identical

STREAM = stream_of("app")
# A Raft group of nats-server 2.9 waits 4 to 9 s before it elects another leader; the stream's and the cluster's own group
# may do so one after the other, and on a busy machine an election may have to be repeated, more than once.
ELECTION = 120.0
# After a one-way cut nats-server 2.9 has more to repair than an election: docs/consistency.md.
AFTER_ONE_WAY = 300.0


class Routed:
    """Three servers, three nodes, one NoteWriter beside each node. `network`: each on a machine of its own, s1 to n3."""

    def __init__(self, t, network=False, stores=None, timeout=10.0):
        self.t = t
        self.network = Network(t.workspace, ["s1", "s2", "s3", "n1", "n2", "n3"]) if network else None
        machines = self.network.machines if network else [LOOPBACK] * 6
        self.nats = NatsCluster(t.workspace, machines[:3], stores).start()
        config = t.dir / "log.toml"
        config.write_text("[log]\nreplicas = 3\n")
        self.nodes = [t.node(f"n{i + 1}", self.nats.first(i), database_name="app", machine=machines[3 + i], options=["--config", config])
                      for i in range(3)]
        execute(self.nodes[0].db, "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)")
        for node in self.nodes:
            node.start(seconds=ELECTION)
        wait_identical(self.files)
        self.marks = 0
        self.writers = [load.NoteWriter(node.db, i + 1, timeout=timeout) for i, node in enumerate(self.nodes)]
        t.workspace.closers.append(lambda: load.close(self.writers))

    @property
    def files(self):
        return [node.db for node in self.nodes]

    def machine_of(self, server):
        return self.network.machines[self.nats.servers.index(server)]

    def start_load(self):
        for writer in self.writers:
            writer.start()

    def mark(self, node):
        self.marks += 1
        execute(node.db, ("INSERT INTO note VALUES(?, 'mark')", (self.marks,)))
        return self.marks

    def wait_flows(self, what, seconds=ELECTION, nodes=None):
        """Until a row written now on every node (of `nodes`) is on every other: how long that took."""
        nodes = nodes or self.nodes
        started = time.monotonic()
        marks = [self.mark(node) for node in nodes]
        for node in nodes:
            until(f"{what}: {node.name} has the rows written after it", lambda n=node: scalar(
                n.db, f"SELECT count(*) FROM note WHERE id IN ({', '.join(map(str, marks))})") == len(marks), seconds * self.t.slow, 0.1)
        return time.monotonic() - started

    def finish(self, seconds=ELECTION):
        """The end of every test here."""
        load.end_notes(self.writers)
        found = wait_identical(self.files, seconds * self.t.slow)
        load.check_notes(self.writers, found)
        verify = self.nodes[0].command("verify", seconds=60)
        check(verify.returncode == 0, f"verify ended with {verify.returncode}: {verify.stdout}{verify.stderr}")
        self.t.note(f"{sum(w.statements for w in self.writers)} transactions while it happened, the worst took "
                    f"{max(w.worst for w in self.writers) * 1e3:.0f} ms; {len(found['note'])} rows identical on three nodes")


@case("R3: kill -9 of every agent and of every server in turn, under load: each comes back, nothing is lost", seconds=600)
def routed_kill_each(t):
    c = Routed(t)
    c.start_load()
    for node in c.nodes:
        node.kill9()
        time.sleep(0.3)
        node.start(seconds=ELECTION)
    for server in c.nats.servers:
        leads = server is c.nats.stream_leader(STREAM)
        server.kill9()
        took = c.wait_flows(f"kill -9 of {server.name}")
        t.note(f"kill -9 of {server.name}{', the leader' if leads else ''}: rows flow again after {took:.1f} s")
        server.start(ELECTION)
        c.nats.wait_in_step(STREAM)
    c.finish()


@case("R3: the stream's leader and an agent are killed in one moment, under load: nobody waits, nothing is lost", seconds=600,
      short=True)
def routed_leader_loss(t):
    c = Routed(t)
    c.start_load()
    time.sleep(1)
    leader = c.nats.stream_leader(STREAM)
    leader.kill9()
    c.nodes[1].kill9()
    time.sleep(0.5)
    c.nodes[1].launch()
    took = c.wait_flows("the leader's death", ELECTION)
    t.note(f"rows flow again after {took:.1f} s")
    leader.start(ELECTION)
    c.nats.wait_in_step(STREAM)
    c.finish()


@case("R3: the three servers are restarted one after the other, under load", seconds=600)
def routed_rolling_restart(t):
    c = Routed(t)
    c.start_load()
    for server in c.nats.servers:
        server.stop()
        server.start(ELECTION)
        c.nats.wait_in_step(STREAM)
        t.note(f"{server.name} restarted: rows flow after {c.wait_flows(server.name):.1f} s")
    c.finish()


@case("R3: all three servers are killed at once and come back: the stream goes on, under load", seconds=600)
def routed_all_servers(t):
    c = Routed(t)
    c.start_load()
    for server in c.nats.servers:
        server.kill9()
    time.sleep(2)
    for server in c.nats.servers:
        server.launch()
    c.nats.wait_ready(ELECTION)
    t.note(f"rows flow again {c.wait_flows('the servers are back'):.1f} s after they are")
    c.finish()


@case("R3: SIGSTOP of an agent, of a server and of the stream's leader: the others go on, and SIGCONT brings it back", seconds=600)
def routed_stopped(t):
    c = Routed(t)
    c.start_load()
    agent = c.nodes[2]
    agent.program.signal(signal.SIGSTOP)
    time.sleep(3 if not t.long else 60)
    check(scalar(c.nodes[0].db, "SELECT count(*) FROM note WHERE id >= ?", 2 * load.OWN_SPAN) > 0, "the others stand still")
    agent.program.signal(signal.SIGCONT)
    t.note(f"an agent: rows flow {c.wait_flows('SIGCONT of an agent'):.1f} s after SIGCONT")
    leader = c.nats.stream_leader(STREAM)
    other = next(s for s in c.nats.servers if s is not leader)
    for server, what in ((other, "a server"), (leader, "the leader")):
        server.pause()
        t.note(f"{what}: rows flow {c.wait_flows(f'SIGSTOP of {server.name}'):.1f} s after SIGSTOP")
        server.resume()
        c.nats.wait_in_step(STREAM)
    c.finish()


@case("R3: the leader's machine is cut off from everybody: the rest goes on without it, and it catches up", seconds=600)
def partition_leader(t):
    c = Routed(t, network=True)
    c.start_load()
    c.network.cut([c.machine_of(c.nats.stream_leader(STREAM))])
    t.note(f"rows flow again after {c.wait_flows('the leader is cut off'):.1f} s")
    c.network.heal()
    c.nats.wait_in_step(STREAM)
    c.finish()


@case("R3: servers that do not reach each other, while every agent reaches all: agents leave the one without a majority", seconds=600)
def partition_servers(t):
    c = Routed(t, network=True)
    c.start_load()
    servers = c.network.machines[:3]
    c.network.cut([servers[0]], servers[1:])  # node 1 is connected to it
    took = c.wait_flows("a server without a majority", 60)
    t.note(f"rows flow again after {took:.1f} s")
    c.network.heal()
    c.nats.wait_in_step(STREAM)
    c.finish()


@case("R3: a node cut off from all servers keeps writing; both sides' rows meet when the cut is healed", seconds=600)
def partition_node(t):
    c = Routed(t, network=True)
    c.start_load()
    alone = c.network.machine("n3")
    c.network.cut([alone])
    time.sleep(5 if not t.long else 60)
    check(unpublished(c.nodes[2].db) > 0, "node 3 was not cut off")
    check(unpublished(c.nodes[0].db) < 50, "node 1 stands still")
    c.network.heal()
    t.note(f"rows flow {c.wait_flows('the cut is healed'):.1f} s after healing")
    c.finish()


@case("R3: one-way cuts, of a node from all servers and of all servers from a node: it goes on once they are healed", seconds=600)
def partition_one_way(t):
    c = Routed(t, network=True)
    c.start_load()
    servers, node = c.network.machines[:3], c.network.machine("n2")
    for senders, receivers, what in (([node], servers, "what node 2 sends is lost"), (servers, [node], "what node 2 is sent is lost")):
        c.network.cut_one_way(senders, receivers)
        time.sleep(5)
        c.network.heal()
        t.note(f"{what}: rows flow {c.wait_flows(what):.1f} s after healing")
    c.finish()


@case("R3: what the stream's leader sends to the other servers is lost: nobody waits, nothing is lost, all flows once it is healed",
      seconds=600)
def partition_one_way_leader(t):
    c = Routed(t, network=True)
    c.start_load()
    leader = c.machine_of(c.nats.stream_leader(STREAM))
    # The leader hears the others and takes part in every election, but none of its votes and none of its messages arrives:
    # nats-server 2.9 may find a leader at once, or none for minutes. Only what comes after the cut has a bound.
    c.network.cut_one_way([leader], [s for s in c.network.machines[:3] if s is not leader])
    try:
        t.note(f"rows flow {c.wait_flows('the cut', 20):.1f} s after the cut")
    except Failure as still:
        t.note(f"during the cut: {still}")
    written = [writer.statements for writer in c.writers]
    c.network.heal()
    t.note(f"rows flow {c.wait_flows('the cut is healed', AFTER_ONE_WAY):.1f} s after healing")
    check(all(w.statements > before for w, before in zip(c.writers, written)), "a writer stood still")
    c.nats.wait_in_step(STREAM, AFTER_ONE_WAY)
    c.finish()


@case("R3: a server's disk is full: nobody waits, nothing is lost, all flows by the other servers, and it comes back once there is room",
      seconds=600)
def routed_full_disk(t):
    disks = [t.workspace.tmpfs(f"disk{i + 1}", "24m") for i in range(3)]
    c = Routed(t, stores=[disk / "store" for disk in disks])
    c.start_load()
    # nats-server 2.9 hangs where a write fails, yet its heart beats: as the cluster's leader it would hold up all of it; the
    # nodes that it delivers the stream to notice that nothing comes, and ask for another one until they get it.
    index = next(i for i, server in enumerate(c.nats.servers) if not c.nats.leads(server, STREAM))
    full, disk = c.nats.servers[index], disks[index]
    free = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(b"\0" * (free.f_bavail * free.f_bsize - 40_000))
    for i in range(20):
        execute(c.nodes[1].db, ("INSERT INTO note VALUES(?, hex(randomblob(30000)))", (1000 + i,)), timeout=15)
    t.note(f"{full.name} has no room: rows flow after {c.wait_flows('a full disk'):.1f} s all the same")
    check(os.statvfs(disk).f_bavail * free.f_bsize < 60_000, "the disk was not full")  # what was written takes ten times that
    ballast.unlink()
    full.kill9()
    full.start(ELECTION)
    c.nats.wait_in_step(STREAM)
    t.note(f"rows flow {c.wait_flows('its restart'):.1f} s after its restart")
    c.finish()


@case("R3: a node comes back after the stream was trimmed: by a snapshot, with what was written beside it meanwhile", seconds=600)
def routed_trimmed(t):
    c = Routed(t)
    c.start_load()
    time.sleep(1)
    c.nodes[2].kill9()
    time.sleep(2)
    saved = t.product.run("snapshot", "save", c.nodes[0].db, seconds=60)
    check(saved.returncode == 0, f"snapshot save: {saved.stdout}{saved.stderr}")
    last = c.nats.stream_state(STREAM)["last_seq"]
    c.nats.api(f"STREAM.PURGE.{STREAM}", {"keep": 1})
    check(c.nats.stream_state(STREAM)["first_seq"] >= last, "the stream was not trimmed")
    c.nodes[2].start(seconds=ELECTION)
    c.nodes[2].says("snapshot")
    t.note(f"rows flow {c.wait_flows('the return of node 3'):.1f} s after the return")
    c.finish()


@case("1,000 inserts a second for 30 s (--long: ten minutes) at busy_timeout = 1000, beside two writing nodes: never \"database is locked\"",
      seconds=1200)
def load_never_locked(t):
    c = Routed(t, timeout=1.0)
    c.writers[0].pause = 1 / 1000
    seconds = 600 if t.long else 30
    c.start_load()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not any(writer.error for writer in c.writers):
        time.sleep(0.5)
    load.end_notes(c.writers)
    rate = c.writers[0].statements / seconds
    c.finish(300)  # to compare half a million rows takes its time
    t.note(f"{rate:.0f} a second")
    check(rate > 900, f"only {rate:.0f} transactions a second were tried")
