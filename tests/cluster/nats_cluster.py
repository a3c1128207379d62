"""Three real nats-servers, routed, with JetStream: what an R3 stream needs."""
import time

from nats import Nats, NatsClient
from netns import LOOPBACK
from process import Failure, free_port, until


class ClusterServer(Nats):
    """One of them. Alone it answers no JetStream call: a majority does."""

    def __init__(self, workspace, name, machine, store):
        self.route_port = free_port()
        self.routes = []
        super().__init__(workspace, name, machine=machine, store=store)

    def text(self, extra):
        routes = ", ".join(f'"nats://{route}"' for route in self.routes)
        # A peer that is silent is given up after seconds, not after minutes.
        return (f'server_name: {self.name}\nping_interval: "2s"\nping_max: 2\nwrite_deadline: "2s"\n'
                f'cluster {{\n name: marmot-test\n listen: {self.machine.address}:{self.route_port}\n routes: [{routes}]\n}}\n'
                + super().text(extra))


class Servers:
    def __init__(self, urls):
        self.urls = urls


class NatsCluster:
    """A cluster of three. `machines` puts each server on one of its own (netns.Network), `stores` its files where they say."""

    def __init__(self, workspace, machines=(LOOPBACK,) * 3, stores=None):
        self.servers = [ClusterServer(workspace, f"nats{i + 1}", machines[i], stores[i] if stores else None) for i in range(3)]
        routes = [f"{s.machine.address}:{s.route_port}" for s in self.servers]
        for server in self.servers:
            server.routes = routes
            server.configure()

    @property
    def urls(self):
        return [server.url for server in self.servers]

    def first(self, number):
        """The cluster as an agent is told of it whose nearest server is this one."""
        return Servers(self.urls[number:] + self.urls[:number])

    def start(self, seconds=120.0):
        for server in self.servers:
            server.launch()
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=120.0):
        """Until every server that runs answers JetStream calls: there is a leader."""
        for server in self.servers:
            if server.program.alive():
                server.wait_ready(seconds)

    def alive(self):
        return [server for server in self.servers if server.program.alive() and not server.paused]

    def api(self, verb, body=None):
        client = NatsClient(self.alive()[0].machine, self.alive()[0].port)
        try:
            return client.api(verb, body)
        finally:
            client.close()

    def stream_info(self, stream, seconds=60.0):
        """As soon as the stream has a leader."""
        def ask():
            for server in self.alive():
                try:
                    client = NatsClient(server.machine, server.port, 2.0)
                except (OSError, Failure):
                    continue
                try:
                    info = client.api(f"STREAM.INFO.{stream}")
                    if info.get("cluster", {}).get("leader"):
                        return info
                except (OSError, Failure):
                    continue
                finally:
                    client.close()
            return None
        return until(f"the stream {stream} has a leader", ask, seconds, pause=0.2)

    def stream_state(self, stream):
        return self.stream_info(stream)["state"]

    def stream_leader(self, stream):
        leader = self.stream_info(stream)["cluster"]["leader"]
        return next(server for server in self.servers if server.name == leader)

    def leads(self, server, stream):
        """Whether it leads the stream or, as the logs say, the cluster."""
        said = [(line, s.name) for s in self.servers for line in s.program.err().splitlines() if "Self is new JetStream cluster metadata" in line]
        return server is self.stream_leader(stream) or bool(said) and max(said, key=lambda item: item[0].split("]", 1)[1])[1] == server.name

    def wait_in_step(self, stream, seconds=120.0):
        """Until every replica of the stream is there and has all of it: the next server may go."""
        def in_step():
            replicas = self.stream_info(stream, seconds)["cluster"].get("replicas", [])
            return len(replicas) == 2 and all(r.get("current") and not r.get("offline") and not r.get("lag") for r in replicas)
        until(f"all replicas of {stream} are current", in_step, seconds, pause=0.2)
