"""Machines on a network of their own: one network namespace each, and a bridge in another. Needs root and iproute2.

All of it lives in namespaces that this module makes, so nothing that a test cuts is anybody else's. Cutting is done in the
neighbour table: packets from one machine to another go to a hardware address that nobody has. Nothing answers and nothing
refuses, as when a cable is pulled, and one direction can be cut alone.
"""
import contextlib
import ctypes
import os
import socket
import subprocess

from process import Failure, Skipped, start_time

CLONE_NEWNET = 0x40000000
NOWHERE = "02:00:00:00:ff:ff"


class Loopback:
    """This machine, as most tests use it."""

    address = "127.0.0.1"

    def wrap(self, argv):
        return argv

    def connect(self, port, seconds):
        return socket.create_connection((self.address, port), timeout=seconds)


LOOPBACK = Loopback()


def ip(*words, check=True):
    run = subprocess.run(["ip", *words], capture_output=True, text=True)
    if check and run.returncode != 0:
        raise Failure(f"ip {' '.join(words)}: {run.stderr.strip()}")
    return run


class Machine:
    """A namespace with one address. Programs are started in it by wrap()."""

    def __init__(self, name, namespace, number):
        self.name = name
        self.namespace = namespace
        self.address = f"10.77.0.{number}"
        self.hardware = f"02:00:00:00:00:{number:02x}"

    def wrap(self, argv):
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *argv]

    @contextlib.contextmanager
    def entered(self):
        """This thread sees the machine's network; sockets made meanwhile stay there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.namespace}") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise Failure(f"setns: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)

    def connect(self, port, seconds):
        with self.entered():
            return socket.create_connection((self.address, port), timeout=seconds)

    def set_route(self, other, hardware):
        ip("-n", self.namespace, "neigh", "replace", other.address, "lladdr", hardware, "dev", "eth0", "nud", "permanent")


class Network:
    """Machines that all reach each other until they are cut."""

    def __init__(self, workspace, names):
        if os.geteuid() != 0:
            raise Skipped("network namespaces need root")
        sweep()
        self.prefix = f"marmot-{os.getpid()}-{workspace.dir.name.rsplit('-', 1)[-1]}"
        workspace.closers.append(self.close)
        self.switch = f"{self.prefix}-switch"
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "bridge0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge0", "up")
        self.machines = [self._machine(name, number) for number, name in enumerate(names, 1)]
        for machine in self.machines:
            for other in self.machines:
                if machine is not other:
                    machine.set_route(other, other.hardware)

    def _machine(self, name, number):
        machine = Machine(name, f"{self.prefix}-{name}", number)
        ip("netns", "add", machine.namespace)
        ip("-n", self.switch, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", machine.namespace)
        ip("-n", self.switch, "link", "set", f"port{number}", "master", "bridge0", "up")
        ip("-n", machine.namespace, "link", "set", "lo", "up")
        ip("-n", machine.namespace, "link", "set", "eth0", "address", machine.hardware, "up")
        ip("-n", machine.namespace, "address", "add", f"{machine.address}/24", "dev", "eth0")
        return machine

    def machine(self, name):
        return next(m for m in self.machines if m.name == name)

    def cut_one_way(self, senders, receivers):
        """What `senders` send to `receivers` is lost; the other direction works."""
        for sender in senders:
            for receiver in receivers:
                sender.set_route(receiver, NOWHERE)

    def cut(self, some, others=None):
        """Both ways between `some` and `others` (default: all the rest)."""
        rest = others or [m for m in self.machines if m not in some]
        self.cut_one_way(some, rest)
        self.cut_one_way(rest, some)

    def heal(self):
        for machine in self.machines:
            for other in self.machines:
                if machine is not other:
                    machine.set_route(other, other.hardware)

    def close(self):
        for line in ip("netns", "list", check=False).stdout.splitlines():
            name = line.split()[0]
            if name.startswith(self.prefix + "-"):
                ip("netns", "delete", name, check=False)


def sweep():
    """Removes what a killed run left behind."""
    for line in ip("netns", "list", check=False).stdout.splitlines():
        words = line.split()[0].split("-")
        if len(words) == 4 and words[0] == "marmot" and words[1].isdigit() and start_time(int(words[1])) is None:
            ip("netns", "delete", line.split()[0], check=False)
