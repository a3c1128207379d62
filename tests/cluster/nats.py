"""A real nats-server on a port of its own, and the few words of its protocol that the tests speak themselves."""
import json
import os
import random
import signal
import time

from netns import LOOPBACK
from process import Failure, check, free_port


class NatsClient:
    """One connection. NATS client protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol"""

    def __init__(self, machine, port, seconds=5.0):
        self._socket = machine.connect(port, seconds)
        self._file = self._socket.makefile("rb")
        check(self._file.readline().startswith(b"INFO "), "nats-server greets with INFO")
        self._inbox = "_INBOX." + os.urandom(8).hex()
        self._send(b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n'
                   + f"SUB {self._inbox}.* 1\r\n".encode())

    def _send(self, data):
        self._socket.sendall(data)

    def _receive(self):
        """The next message as (subject, headers, payload)."""
        while True:
            line = self._file.readline()
            if not line:
                raise Failure("nats-server closed the connection")
            words = line.split()
            if words[0] == b"PING":
                self._send(b"PONG\r\n")
            elif words[0] == b"MSG":
                body = self._file.read(int(words[-1]) + 2)[:-2]
                return words[1].decode(), b"", body
            elif words[0] == b"HMSG":
                head, total = int(words[-2]), int(words[-1])
                body = self._file.read(total + 2)[:-2]
                return words[1].decode(), body[:head], body[head:]
            elif words[0] == b"-ERR":
                raise Failure(f"nats-server says {line!r}")

    def listen(self, subject):
        """Every message of a subject, as (subject, reply, payload), without end: for a connection that does nothing else."""
        self._send(f"SUB {subject} 2\r\n".encode())
        while True:
            words = self._file.readline().split()
            if not words:
                return
            if words[0] == b"PING":
                self._send(b"PONG\r\n")
            elif words[0] == b"MSG":
                body = self._file.read(int(words[-1]) + 2)[:-2]
                yield words[1].decode(), words[3].decode() if len(words) == 5 else "", body
            elif words[0] == b"HMSG":
                self._file.read(int(words[-1]) + 2)

    def publish(self, subject, payload, headers=None, reply=""):
        if headers is None:
            self._send(f"PUB {subject} {reply} {len(payload)}\r\n".encode() + payload + b"\r\n")
            return
        head = ("NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
        self._send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(payload)}\r\n".encode() + head + payload + b"\r\n")

    def request(self, subject, payload=b"", headers=None):
        reply = f"{self._inbox}.{random.getrandbits(64):x}"
        self.publish(subject, payload, headers, reply)
        while True:
            where, head, body = self._receive()
            if where == reply:
                if b" 503" in head:
                    raise Failure(f"nobody answers on {subject}")
                return body

    def api(self, verb, body=None):
        """A JetStream API call; raises with the server's description when it is refused."""
        answer = json.loads(self.request(f"$JS.API.{verb}", json.dumps(body).encode() if body is not None else b""))
        if "error" in answer:
            raise Failure(f"$JS.API.{verb}: {answer['error']}")
        return answer

    def append(self, subject, payload, headers=None):
        """Publishes into a stream and returns the sequence of the acknowledgement."""
        answer = json.loads(self.request(subject, payload, headers))
        if "error" in answer:
            raise Failure(f"publish to {subject}: {answer['error']}")
        return answer["seq"]

    def close(self):
        self._file.close()
        self._socket.close()


class Nats:
    """nats-server as its own process: kill9() and start() again keep port and store."""

    def __init__(self, workspace, name="nats", jetstream=True, port=None, extra="", machine=LOOPBACK, store=None, server=""):
        self.workspace = workspace
        self.name = name
        self.machine = machine
        self.store = store or workspace.dir / f"{name}-store"
        self.paused = False
        self.port = port or free_port()
        self.program = None
        self.jetstream = jetstream
        self.server = server  # lines of its configuration; `extra`: of its block about JetStream
        self.configure(extra)

    def configure(self, extra=""):
        self.config = self.workspace.dir / f"{self.name}.conf"
        self.config.write_text(self.text(extra))

    def text(self, extra):
        listen = f"listen: {self.machine.address}:{self.port}\n{self.server}"
        if not self.jetstream:
            return listen + extra
        limits = extra if "max_file" in extra else "max_file: 50GB\n" + extra
        return listen + f'jetstream {{\n store_dir: "{self.store}"\n {limits}\n}}\n'

    @property
    def url(self):
        return f"nats://{self.machine.address}:{self.port}"

    @property
    def urls(self):
        return [self.url]

    def launch(self):
        """Starts it without waiting for anything."""
        self.program = self.workspace.start(self.machine.wrap(["nats-server", "-c", self.config]), self.name)
        self.paused = False

    def start(self, seconds=10.0):
        self.launch()
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=10.0):
        deadline = time.monotonic() + seconds
        while True:
            try:
                client = NatsClient(self.machine, self.port, 2.0)
                try:
                    if self.jetstream:
                        client.api("INFO")
                finally:
                    client.close()
                return
            except (OSError, Failure) as error:
                if not self.program.alive() or time.monotonic() > deadline:
                    raise Failure(f"nats-server does not start: {error}\n{self.program.err_tail()}") from error
                time.sleep(0.02)

    def kill9(self):
        self.program.kill9()

    def stop(self):
        self.program.end()

    def pause(self):
        """SIGSTOP: it neither answers nor closes its connections."""
        self.program.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.program.signal(signal.SIGCONT)
        self.paused = False

    def client(self):
        client = NatsClient(self.machine, self.port)
        self.workspace.closers.append(client.close)
        return client

    def stream_state(self, stream):
        client = NatsClient(self.machine, self.port)
        try:
            return client.api(f"STREAM.INFO.{stream}")["state"]
        finally:
            client.close()
