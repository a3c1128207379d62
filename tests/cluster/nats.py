"""A real nats-server on a port of its own, and the few words of its protocol that the tests speak themselves."""
import json
import os
import random
import socket
import time

from process import Failure, check, free_port


class NatsClient:
    """One connection. NATS client protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol"""

    def __init__(self, port, seconds=5.0):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
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

    def __init__(self, workspace, name="nats", jetstream=True, port=None, extra=""):
        self.workspace = workspace
        self.name = name
        self.port = port or free_port()
        self.program = None
        self.jetstream = jetstream
        self.configure(extra)

    def configure(self, extra=""):
        store = self.workspace.dir / f"{self.name}-store"
        text = f"listen: 127.0.0.1:{self.port}\n"
        if self.jetstream:
            limits = extra if "max_file" in extra else "max_file: 8GB\n" + extra
            text += f'jetstream {{\n store_dir: "{store}"\n {limits}\n}}\n'
        else:
            text += extra
        self.config = self.workspace.dir / f"{self.name}.conf"
        self.config.write_text(text)

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def start(self, seconds=10.0):
        self.program = self.workspace.start(["nats-server", "-c", self.config], self.name)
        deadline = time.monotonic() + seconds
        while True:
            try:
                client = NatsClient(self.port)
                if self.jetstream:
                    client.api("INFO")
                client.close()
                return self
            except (OSError, Failure) as error:
                if not self.program.alive() or time.monotonic() > deadline:
                    raise Failure(f"nats-server does not start: {error}\n{self.program.err_tail()}") from error
                time.sleep(0.02)

    def kill9(self):
        self.program.kill9()

    def stop(self):
        self.program.end()

    def client(self):
        client = NatsClient(self.port)
        self.workspace.closers.append(client.close)
        return client

    def stream_state(self, stream):
        client = NatsClient(self.port)
        try:
            return client.api(f"STREAM.INFO.{stream}")["state"]
        finally:
            client.close()
